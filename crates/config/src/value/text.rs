//! Names, tokens, methods, secrets and media types.

use std::path::PathBuf;

use evenkeel_model::PoolName;
use evenkeel_model::config::{FieldMatch, SecretRef};

use crate::syntax::Word;
use crate::{Code, Diagnostics};

/// Whether a text is a token (RFC 9110 section 5.6.2): what names of fields, cookies and methods are made of.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

pub(super) fn name(word: &Word, out: &mut Diagnostics) -> Option<String> {
    match PoolName::new(&word.text) {
        Ok(_) => Some(word.text.clone()),
        Err(why) => {
            out.report(Code::E310, word.span, why.to_string());
            None
        }
    }
}

pub(super) fn account(word: &Word, out: &mut Diagnostics) -> Option<String> {
    let text = &word.text;
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'$');
    if !text.is_empty() && text.len() <= 32 && !text.starts_with('-') && text.bytes().all(fits) {
        return Some(text.clone());
    }
    out.report(Code::E323, word.span, format!("`{text}` cannot be a user or group"))
        .note("1 to 32 letters, digits, `-` and `_`, not beginning with `-`");
    None
}

pub(super) fn token(word: &Word, of: &str, out: &mut Diagnostics) -> Option<String> {
    if is_token(&word.text) {
        return Some(word.text.clone());
    }
    let report = out.report(Code::E315, word.span, format!("`{}` cannot be the name of a {of}", word.text));
    match word.text.strip_suffix(':').filter(|name| is_token(name)) {
        Some(name) => report.help(format!("write `{name}`, without the colon")),
        None => report.note("a name is letters, digits and ``!#$%&'*+-.^_`|~``"),
    };
    None
}

/// What a cookie's value may be (RFC 6265 section 4.1.1), and neither of the marks that part ours from others.
pub(super) fn cookie_value(word: &Word, out: &mut Diagnostics) -> Option<String> {
    let fits = |b: u8| b.is_ascii_graphic() && !br#"",;\~|"#.contains(&b);
    if !word.text.is_empty() && word.text.bytes().all(fits) {
        return Some(word.text.clone());
    }
    out.report(Code::E324, word.span, format!("`{}` cannot be the value of a cookie", word.text.escape_debug()))
        .note("a value has no blank, quote, comma, semicolon or backslash, and none of the marks `~` and `|`");
    None
}

/// What the `Path` of a cookie may be (RFC 6265 section 4.1.1).
pub(super) fn cookie_path(word: &Word, out: &mut Diagnostics) -> Option<String> {
    let text = word.text.as_str();
    if !text.starts_with('/') {
        out.report(Code::E312, word.span, format!("`{}` is not a path", text.escape_debug()))
            .help("the path of a cookie begins with `/`: `path=/shop`");
        return None;
    }
    if !text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b';' | b',')) {
        out.report(Code::E324, word.span, format!("`{}` cannot be the path of a cookie", text.escape_debug()))
            .note("`;` and `,` end an attribute of a cookie, and blanks and other letters than ASCII are not in paths");
        return None;
    }
    Some(text.to_owned())
}

pub(super) fn method(word: &Word, out: &mut Diagnostics) -> Option<String> {
    let text = word.text.as_str();
    if is_token(text) && !text.bytes().any(|b| b.is_ascii_lowercase()) {
        return Some(text.to_owned());
    }
    let report = out.report(Code::E314, word.span, format!("`{text}` cannot be a method"));
    if is_token(text) {
        report.help(format!("write `{}`: methods are upper case", text.to_ascii_uppercase()));
    } else {
        report.note("a method is letters such as `GET`");
    }
    None
}

/// `NAME` or `NAME:VALUE`; blanks after the colon do not count.
pub(super) fn condition(word: &Word) -> FieldMatch {
    match word.text.split_once(':') {
        Some((name, value)) => FieldMatch { name: name.to_owned(), value: Some(value.trim().to_owned()) },
        None => FieldMatch { name: word.text.clone(), value: None },
    }
}

pub(super) fn field_line(word: &Word, out: &mut Diagnostics) -> Option<FieldMatch> {
    let line = condition(word);
    let value = line.value.as_deref().unwrap_or_default();
    if !is_token(&line.name) || line.value.is_none() {
        out.report(Code::E315, word.span, format!("`{}` is not a header field", word.text))
            .help("write `NAME:VALUE`, in quotes where there are blanks: `header=\"X-Probe: yes\"`");
        return None;
    }
    if value.chars().any(char::is_control) {
        out.report(Code::E324, word.span, "a control character in a header field").help("take it out");
        return None;
    }
    Some(line)
}

pub(super) fn secret(word: &Word, out: &mut Diagnostics) -> Option<SecretRef> {
    let text = word.text.as_str();
    if let Some(path) = text.strip_prefix("file:") {
        if path.starts_with('/') {
            return Some(SecretRef::File(PathBuf::from(path)));
        }
        out.report(Code::E320, word.span, format!("`{path}` does not begin at the root"))
            .help("write the whole path: `file:/etc/evenkeel/NAME.key`");
        return None;
    }
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    if let Some(name) = text.strip_prefix("env:").filter(|name| plain(name)) {
        return Some(SecretRef::Env(name.to_owned()));
    }
    if let Some(name) = text.strip_prefix("cred:").filter(|name| plain(name)) {
        return Some(SecretRef::Credential(name.to_owned()));
    }
    out.report(Code::E311, word.span, "a secret is not written in the configuration")
        .label("not a reference")
        .help("put it in a file that only root reads and write `file:/etc/evenkeel/NAME.key`")
        .note("also: `cred:NAME` for a systemd credential, `env:NAME` for an environment variable");
    None
}

/// Bytes, of which those that cannot be written are written as escapes.
pub(crate) fn bytes(word: &Word, out: &mut Diagnostics) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = word.text.as_bytes().iter();
    while let Some(byte) = rest.next() {
        let escaped = match byte {
            b'\\' => escape(&mut rest),
            byte => Some(*byte),
        };
        let Some(byte) = escaped else {
            out.report(Code::E105, word.span, "an escape that is not known")
                .note("allowed: `\\r` `\\n` `\\t` `\\xNN` `\\\\`, each backslash twice where the text is in quotes");
            return None;
        };
        bytes.push(byte);
    }
    Some(bytes)
}

/// The byte that stands behind a backslash.
fn escape<'a>(rest: &mut impl Iterator<Item = &'a u8>) -> Option<u8> {
    match rest.next()? {
        b'r' => Some(b'\r'),
        b'n' => Some(b'\n'),
        b't' => Some(b'\t'),
        b'\\' => Some(b'\\'),
        b'x' => {
            let mut digit = || char::from(*rest.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let (high, low) = (digit()?, digit()?);
            Some(high << 4 | low)
        }
        _ => None,
    }
}

/// A protocol as ALPN calls it: bytes of any kind to TLS (RFC 7301 section 3.1), and printable ones wherever somebody named one.
pub(super) fn protocol(word: &Word, out: &mut Diagnostics) -> Option<String> {
    let text = word.text.as_str();
    if (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && b != b',') {
        return Some(text.to_owned());
    }
    out.report(Code::E324, word.span, format!("`{}` cannot be the name of a protocol", text.escape_debug()))
        .note("1 to 255 letters, digits and marks, as in `h2`, `http/1.1` and `postgresql`");
    None
}

pub(super) fn media_type(word: &Word, out: &mut Diagnostics) -> Option<String> {
    let text = word.text.as_str();
    let essence = text.split(';').next().unwrap_or_default().trim();
    let typed = essence.split_once('/').is_some_and(|(kind, sub)| is_token(kind) && is_token(sub));
    if typed && !text.chars().any(char::is_control) {
        return Some(text.to_owned());
    }
    out.report(Code::E325, word.span, format!("`{text}` is not a media type"))
        .note("a media type is `type/subtype`, such as `application/json` or `\"text/html; charset=utf-8\"`");
    None
}
