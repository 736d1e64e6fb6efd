//! The two lines that the checker reads: the header and the options before it.
//!
//! `;; BALANCED_AUTOCHECK::80` begins a block; `;; BALANCED_OPTIONS: rise=3 fall=2 min=1 http=/health owners=any` on
//! a line before it changes how. The invariant: a line that looks like one of them and is none is an error, never
//! silently a comment.

/// Which owners a block covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// The first record's; the block ends where another owner begins.
    One,
    /// Every owner up to the block's end.
    Any,
}

/// How a block is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetOptions {
    /// Successes in a row until a parked record comes back.
    pub rise: u32,
    /// Failures in a row until a record is parked.
    pub fall: u32,
    /// Fewest records of a set that stay, whatever the checks say.
    pub min: usize,
    /// The path of an HTTP check; a connection alone is checked where there is none.
    pub http: Option<String>,
    /// Which owners the block covers.
    pub owners: Owners,
}

impl Default for SetOptions {
    fn default() -> Self {
        // Two of each: one lost packet moves nothing. At least one record stays: an empty set is an outage that
        // resolvers remember.
        Self { rise: 2, fall: 2, min: 1, http: None, owners: Owners::One }
    }
}

/// What a comment line is to the checker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Note {
    /// A header with its port.
    Header(u16),
    /// Options for the next header.
    Options(SetOptions),
    /// It was meant as one of the two and is wrong.
    Wrong(String),
    /// Any other comment.
    Other,
}

/// Judges a line without its end. What options leave open is as in `defaults`.
pub(super) fn read_note(line: &[u8], defaults: &SetOptions) -> Note {
    let text = String::from_utf8_lossy(line);
    if text.contains("BALANCED_AUTOCHECK") {
        return header(&text).map_or_else(Note::Wrong, Note::Header);
    }
    if text.contains("BALANCED_OPTIONS") {
        return options(&text, defaults).map_or_else(Note::Wrong, Note::Options);
    }
    Note::Other
}

fn header(text: &str) -> Result<u16, String> {
    let shape = || "a header is `;; BALANCED_AUTOCHECK::PORT` from the first column; this line is none".to_owned();
    let rest = text.strip_prefix(";;").ok_or_else(shape)?.trim_start();
    let digits = rest.strip_prefix("BALANCED_AUTOCHECK::").ok_or_else(shape)?.trim_end();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(shape());
    }
    let port = digits.parse::<u16>().ok().filter(|port| *port != 0);
    port.ok_or_else(|| format!("`{digits}` is no port; write 1 to 65535"))
}

fn options(text: &str, defaults: &SetOptions) -> Result<SetOptions, String> {
    let shape =
        || "options are `;; BALANCED_OPTIONS: KEY=VALUE ...` from the first column; this line is none".to_owned();
    let rest = text.strip_prefix(";;").ok_or_else(shape)?.trim_start();
    let rest = rest.strip_prefix("BALANCED_OPTIONS:").ok_or_else(shape)?;
    let mut options = defaults.clone();
    for word in rest.split_whitespace() {
        let (key, value) = word.split_once('=').ok_or_else(|| format!("`{word}` is no option; write KEY=VALUE"))?;
        let count = || {
            let number = value.parse::<u32>().ok().filter(|number| (1..=1000).contains(number));
            number.ok_or_else(|| format!("`{value}` is no value for `{key}`; write 1 to 1000"))
        };
        match key {
            "rise" => options.rise = count()?,
            "fall" => options.fall = count()?,
            "min" => options.min = usize::try_from(count()?).unwrap_or(1),
            "http" if value.starts_with('/') => options.http = Some(value.to_owned()),
            "http" => return Err(format!("`{value}` is no path; write one that begins with /")),
            "owners" if value == "any" => options.owners = Owners::Any,
            "owners" if value == "one" => options.owners = Owners::One,
            _ => return Err(format!("`{word}` is no option; there are rise= fall= min= http=/PATH owners=one|any")),
        }
    }
    Ok(options)
}
