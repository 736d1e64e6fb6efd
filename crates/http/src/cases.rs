//! Reads the files of raw messages with verdicts that the tests replay. Their form is told at the head of
//! `tests-data/requests.txt`. Only tests use it; it checks the files as strictly as they check the code.

use proptest::sample::Index;

/// One message and what is expected of it.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    /// What was asked (`>>>`), empty where nothing is said.
    pub(crate) asked: String,
    pub(crate) verdict: String,
}

/// Every case of a file.
pub(crate) fn read(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut name: Option<(String, String, String)> = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("=== ") {
            assert!(name.is_none(), "`{rest}` follows a case without verdict");
            assert!(cases.iter().all(|case| case.name != rest), "`{rest}` stands twice");
            name = Some((rest.to_owned(), String::new(), String::new()));
        } else if let Some(rest) = line.strip_prefix("--- ") {
            let (name, bytes, asked) = name.take().expect("a verdict follows a name");
            cases.push(Case { name, bytes: unescape(&bytes), asked, verdict: rest.to_owned() });
        } else if let Some((_, bytes, asked)) = &mut name {
            match line.strip_prefix(">>> ") {
                Some(rest) => rest.clone_into(asked),
                None => bytes.push_str(line),
            }
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "`{line}` belongs to no case");
        }
    }
    assert!(name.is_none(), "the last case has no verdict");
    cases
}

/// The bytes that a text stands for: `\r \n \t \\ \xNN`, and `{TEXT*COUNT}`, which may be nested. A brace that opens no
/// repetition stands for itself.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((inner, count, tail)) = repetition(rest) {
            out.extend(unescape(inner).repeat(count));
            rest = tail;
            continue;
        }
        let escaped = rest.strip_prefix('\\');
        let (byte, tail) = match escaped.and_then(|tail| tail.chars().next()) {
            Some('r') => (b'\r', &rest[2..]),
            Some('n') => (b'\n', &rest[2..]),
            Some('t') => (b'\t', &rest[2..]),
            Some('\\') => (b'\\', &rest[2..]),
            Some('x') => {
                (u8::from_str_radix(&rest[2..4], 16).expect("two hexadecimal digits follow `\\x`"), &rest[4..])
            }
            Some(other) => panic!("`\\{other}` is no escape"),
            None => (u8::try_from(first).expect("text is ASCII"), &rest[1..]),
        };
        out.push(byte);
        rest = tail;
    }
    out
}

fn repetition(text: &str) -> Option<(&str, usize, &str)> {
    let inner = text.strip_prefix('{')?;
    let mut depth = 0usize;
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' => {
                let (body, count) = inner[..at].rsplit_once('*')?;
                return Some((body, count.parse().ok()?, &inner[at + 1..]));
            }
            _ => {}
        }
    }
    None
}

/// Where to cut a message in two: everywhere, or, where it is long, at enough places of every kind.
pub(crate) fn cuts(len: usize) -> impl Iterator<Item = usize> {
    let step = if len > 2048 { 97 } else { 1 };
    (0..=len).filter(move |at| at % step == 0 || at + 40 > len || *at < 40)
}

/// Messages near the border: valid ones with some bytes changed, taken out or put in.
pub(crate) fn mutated(base: &[u8], changes: &[(Index, u8, u8)]) -> Vec<u8> {
    const SPICE: &[u8] = b"\r\n \t:;,\0\x0b\x7f\x80%/\\#?*0019+-_aHT";
    let mut bytes = base.to_vec();
    for (at, what, how) in changes {
        let at = at.index(bytes.len().max(1));
        let byte = SPICE[usize::from(*what) % SPICE.len()];
        match how % 3 {
            _ if at >= bytes.len() => bytes.push(byte),
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ => drop(bytes.remove(at)),
        }
    }
    bytes
}
