//! What must hold of every parser, whatever bytes it gets. One function a parser; each panics where its property fails.
//!
//! The properties are the ones that keep two readers of the same bytes from disagreeing: a verdict does not depend on how
//! the bytes were cut, and what we write is read as what we meant. The invariant: a target looks at nothing but its bytes.

use evenkeel_config::{Diagnostic, MemorySource, Options, Show, Style, load_text, render, show};
use evenkeel_http::uri::normal_path;
use evenkeel_http::{
    BodyDecoder, Framing, Limits, Piece, RequestFacts, RequestHead, RequestOut, ResponseHead, ResponseOut,
    write_request, write_response,
};

/// A parser under test.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name: that of its file in `fuzz/fuzz_targets` and of its folder in `fuzz/corpus`.
    pub name: &'static str,
    /// Feeds it.
    pub feed: fn(&[u8]),
    /// Pieces of its language, for mutations.
    pub marks: &'static [&'static [u8]],
}

/// Every parser that reads what strangers send.
pub const TARGETS: &[Target] = &[
    Target { name: "h1_request", feed: h1_request, marks: HEAD_MARKS },
    Target { name: "h1_response", feed: h1_response, marks: HEAD_MARKS },
    Target {
        name: "h1_chunked",
        feed: h1_chunked,
        marks: &[b"\r\n", b"0\r\n\r\n", b";", b"\"", b"ffffffff", b"\n", b"T: v\r\n"],
    },
    Target { name: "h1_path", feed: h1_path, marks: &[b"/", b"..", b".", b"%2e", b"%2F", b"%", b"//", b"%25"] },
    Target {
        name: "config",
        feed: config,
        marks: &[
            b" {\n",
            b"\n}\n",
            b"\n",
            b" \\\n",
            b" # ",
            b"\"",
            b"=",
            b",",
            b"$",
            b"{\"is\":",
            b"[",
            b"]",
            b"}",
            b" off",
            b"\xc2\xa0",
        ],
    },
];

const HEAD_MARKS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b"\0",
    b":",
    b",",
    b"\r\n\r\n",
    b"Content-Length: 3\r\n",
    b"Content_Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Host: a\r\n",
    b"Connection: close, x\r\n",
    b"Upgrade: websocket\r\n",
    b"Expect: 100-continue\r\n",
    b" folded\r\n",
    b"HTTP/1.0",
    b"HTTP/1.1",
];

/// A request's head: the same verdict however it is cut, and the head that we write of it has one framing, one host, and
/// the method and target that we read.
pub fn h1_request(bytes: &[u8]) {
    let limits = Limits::default();
    let mut whole = RequestHead::new();
    let verdict = whole.parse(bytes, &limits);
    let mut cut = RequestHead::new();
    let mut cut_verdict = Ok(None);
    for end in 0..=bytes.len() {
        cut_verdict = cut.parse(&bytes[..end], &limits);
        if !matches!(cut_verdict, Ok(None)) {
            break;
        }
    }
    assert_eq!(verdict, cut_verdict, "the verdict depends on how the head was cut");
    let Ok(Some(length)) = verdict else { return };
    assert!(length <= bytes.len(), "a head longer than its bytes");
    let mut out = Vec::new();
    let how = RequestOut { fallback_host: b"fallback", framing: whole.framing(), ..RequestOut::default() };
    write_request(&mut out, &whole, bytes, &how);
    let mut again = RequestHead::new();
    let wide = Limits { head: limits.head + 1024, fields: limits.fields + 8, target: limits.target };
    assert_eq!(again.parse(&out, &wide), Ok(Some(out.len())), "what we write is not one head: {}", shown(&out));
    assert_eq!(again.method_text(&out), whole.method_text(bytes), "the method changed");
    assert_eq!(again.framing(), whole.framing(), "the framing changed: {}", shown(&out));
    assert!(!again.expects_continue(), "an expectation is ours to answer");
    let hosts = again.fields().iter(&out).filter(|field| field.name.eq_ignore_ascii_case(b"host")).count();
    assert_eq!(hosts, 1, "not one host: {}", shown(&out));
    if !whole.host(bytes).is_empty() {
        assert!(again.host(&out).eq_ignore_ascii_case(whole.host(bytes)), "the host changed: {}", shown(&out));
    }
}

/// An answer's head, to an ordinary request and to one without a body in its answer: as for requests.
pub fn h1_response(bytes: &[u8]) {
    let limits = Limits::SERVER;
    for method in [evenkeel_http::Method::Get, evenkeel_http::Method::Head] {
        let facts = RequestFacts { method, ..RequestFacts::default() };
        let mut whole = ResponseHead::new();
        let verdict = whole.parse(bytes, &limits, &facts);
        let mut cut = ResponseHead::new();
        let mut cut_verdict = Ok(None);
        for end in 0..=bytes.len() {
            cut_verdict = cut.parse(&bytes[..end], &limits, &facts);
            if !matches!(cut_verdict, Ok(None)) {
                break;
            }
        }
        assert_eq!(verdict, cut_verdict, "the verdict depends on how the head was cut");
        let Ok(Some(length)) = verdict else { continue };
        assert!(length <= bytes.len(), "a head longer than its bytes");
        let mut out = Vec::new();
        let how = ResponseOut { framing: whole.framing(), ..ResponseOut::default() };
        write_response(&mut out, &whole, bytes, &how);
        let wide = Limits { head: limits.head + 1024, fields: limits.fields + 8, target: 0 };
        let mut again = ResponseHead::new();
        assert_eq!(again.parse(&out, &wide, &facts), Ok(Some(out.len())), "not one head: {}", shown(&out));
        assert_eq!((again.status(), again.framing()), (whole.status(), whole.framing()), "changed: {}", shown(&out));
    }
}

/// A chunked body: the same data, end and verdict however it is cut.
pub fn h1_chunked(bytes: &[u8]) {
    let whole = decode(bytes, bytes.len().max(1));
    for step in [1, 2, 3, 7] {
        assert_eq!(decode(bytes, step), whole, "the body depends on how it was cut, in pieces of {step}");
    }
}

/// The data, what is left after the end, and whether it was refused.
fn decode(bytes: &[u8], step: usize) -> (Vec<u8>, Option<usize>, bool) {
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    let (mut data, mut at, mut known) = (Vec::new(), 0, step.min(bytes.len()));
    loop {
        let input = &bytes[at..known];
        match decoder.next(input) {
            Ok(Piece::Data(count)) => {
                data.extend_from_slice(&input[..count]);
                at += count;
            }
            Ok(Piece::Framing(count) | Piece::Dropped(count)) => {
                assert!(count > 0 && count <= input.len(), "a piece outside of its bytes");
                at += count;
            }
            Ok(Piece::More) if known == bytes.len() => return (data, None, false),
            Ok(Piece::More) => known = (known + step).min(bytes.len()),
            Ok(Piece::End) => return (data, Some(bytes.len() - at), false),
            Err(_) => return (data, None, true),
        }
    }
}

/// A path: its normal form is its own normal form, and leaves no way up.
pub fn h1_path(bytes: &[u8]) {
    let path = [b"/", bytes].concat();
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let once = normal_path(&path, &mut first);
    let twice = normal_path(once, &mut second);
    assert_eq!(once, twice, "the normal form of {} has another", shown(&path));
    let is_up = |segment: &[u8]| matches!(segment, b".." | b".");
    assert!(!once.split(|byte| *byte == b'/').any(is_up), "{} leads up: {}", shown(&path), shown(once));
}

/// A configuration: it is read without a panic, its formatted text is its own and means the same, and so does its twin.
pub fn config(bytes: &[u8]) {
    let load = |bytes: &[u8]| load_text("fuzz", bytes, &MemorySource::default(), &Options::default());
    let loaded = load(bytes);
    assert_eq!(loaded.config.is_none(), loaded.diagnostics.iter().any(Diagnostic::is_error));
    for style in [Style::Human { color: true }, Style::Short, Style::Json] {
        let rendered = render(&loaded.diagnostics, &loaded.sources, style);
        assert!(!rendered.is_empty() || loaded.diagnostics.is_empty());
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let once = evenkeel_config::format(text);
        assert_eq!(evenkeel_config::format(&once), once, "{} formats to another text", shown(bytes));
        assert_eq!(load(once.as_bytes()).config, loaded.config, "{} means something else when formatted", shown(bytes));
    }
    if loaded.config.is_some() {
        for (json, defaults) in [(false, false), (true, false), (false, true)] {
            let text = show(&loaded, Show { json, defaults });
            assert_eq!(load(text.as_bytes()).config, loaded.config, "{} is shown as something else", shown(bytes));
        }
    }
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

#[cfg(test)]
mod tests;
