//! The parameters of SVCB and HTTPS records (RFC 9460).
//!
//! The invariant: parameters stand in rising order of their keys, each once, and a mandatory key is there.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::base64;
use super::text::{Word, decode_text, holds_quotes, lossy};

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6HINT: u16 = 6;

const KEYS: [(&str, u16); 7] = [
    ("mandatory", MANDATORY),
    ("alpn", ALPN),
    ("no-default-alpn", NO_DEFAULT_ALPN),
    ("port", PORT),
    ("ipv4hint", IPV4HINT),
    ("ech", ECH),
    ("ipv6hint", IPV6HINT),
];

/// What is said of a key that is none.
const KEYS_ARE: &str =
    "there are mandatory, alpn, no-default-alpn, port, ipv4hint, ech, ipv6hint and `key` with a number, in lower case";

/// Whether bytes are well-formed parameters in rising order, with values that fit their keys.
pub(super) fn fits(bytes: &[u8]) -> bool {
    let Some(params) = split(bytes) else { return false };
    let rising = params.iter().zip(params.iter().skip(1)).all(|(a, b)| a.0 < b.0);
    rising && params.iter().all(|(key, value)| value_fits(*key, value)) && mandatory_fits(&params) && alpn_fits(&params)
}

/// Whether well-formed parameters hold addresses.
pub(super) fn has_hints(bytes: &[u8]) -> bool {
    split(bytes).is_some_and(|params| params.iter().any(|(key, _)| matches!(*key, IPV4HINT | IPV6HINT)))
}

fn split(mut bytes: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut params = Vec::new();
    while !bytes.is_empty() {
        let (key, rest) = bytes.split_first_chunk::<2>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        params.push((u16::from_be_bytes(*key), value));
        bytes = rest;
    }
    Some(params)
}

fn value_fits(key: u16, value: &[u8]) -> bool {
    let many = |size: usize| !value.is_empty() && value.len().is_multiple_of(size);
    match key {
        MANDATORY => many(2),
        ALPN => alpn_ids(value).is_some_and(|ids| !ids.is_empty() && ids.iter().all(|id| !id.is_empty())),
        NO_DEFAULT_ALPN => value.is_empty(),
        PORT => value.len() == 2,
        ECH => !value.is_empty(),
        IPV4HINT => many(4),
        IPV6HINT => many(16),
        _ => true,
    }
}

fn mandatory_fits(params: &[(u16, &[u8])]) -> bool {
    let Some((MANDATORY, value)) = params.first() else { return true };
    let keys: Vec<u16> = value.chunks_exact(2).map(|b| u16::from_be_bytes([b[0], b[1]])).collect();
    keys.iter().zip(keys.iter().skip(1)).all(|(a, b)| a < b)
        && keys.iter().all(|key| *key != MANDATORY && params.iter().any(|(k, _)| k == key))
}

/// RFC 9460, 7.1.1: who takes the default away says what there is. Clients pass a record by that does not.
fn alpn_fits(params: &[(u16, &[u8])]) -> bool {
    let has = |wanted| params.iter().any(|(key, _)| *key == wanted);
    has(ALPN) || !has(NO_DEFAULT_ALPN)
}

fn alpn_ids(mut value: &[u8]) -> Option<Vec<&[u8]>> {
    let mut ids = Vec::new();
    while let Some((&length, tail)) = value.split_first() {
        let (id, rest) = tail.split_at_checked(usize::from(length))?;
        ids.push(id);
        value = rest;
    }
    Some(ids)
}

/// Reads parameters from words (`alpn=h2,h3`). An error gives the word's number and a sentence.
pub(super) fn parse(words: &[Word<'_>]) -> Result<Vec<u8>, (usize, String)> {
    let mut params: Vec<(u16, Vec<u8>)> = Vec::with_capacity(words.len());
    for (at, word) in words.iter().enumerate() {
        if word.quoted {
            return Err((at, "a parameter stands in quotes; write quotes around its value only".to_owned()));
        }
        let (name, raw) = match word.text.iter().position(|b| *b == b'=') {
            Some(cut) => (word.text.get(..cut).unwrap_or_default(), word.text.get(cut.saturating_add(1)..)),
            None => (word.text, None),
        };
        let key =
            key_number(name).ok_or_else(|| (at, format!("`{}` is no parameter's key; {KEYS_ARE}", lossy(name))))?;
        if params.iter().any(|(k, _)| *k == key) {
            return Err((at, format!("the parameter `{}` stands twice", lossy(name))));
        }
        let raw = unquote(raw.unwrap_or_default());
        // RFC 9460, 2.1: behind `keyN` stands the value as it is sent, also of a key that has a name.
        let value = if name.starts_with(b"key") { decode_text(raw) } else { read_value(key, raw) };
        let value = value
            .filter(|_| !holds_quotes(raw))
            .filter(|value| value_fits(key, value))
            .ok_or_else(|| (at, format!("`{}` does not hold a value for `{}`", lossy(word.text), key_name(key))))?;
        params.push((key, value));
    }
    params.sort_by_key(|(key, _)| *key);
    let borrowed: Vec<(u16, &[u8])> = params.iter().map(|(key, value)| (*key, value.as_slice())).collect();
    if !mandatory_fits(&borrowed) {
        return Err((0, "`mandatory` must name other parameters of this record, each once".to_owned()));
    }
    if !alpn_fits(&borrowed) {
        return Err((0, "`no-default-alpn` stands without `alpn`: say which protocols there are".to_owned()));
    }
    let mut bytes = Vec::new();
    for (key, value) in &params {
        let length =
            u16::try_from(value.len()).map_err(|_| (0, "a parameter is longer than 65535 bytes".to_owned()))?;
        bytes.extend_from_slice(&key.to_be_bytes());
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(value);
    }
    Ok(bytes)
}

fn unquote(raw: &[u8]) -> &[u8] {
    raw.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\"")).unwrap_or(raw)
}

/// RFC 9460, 2.1: keys are written in lower case, numbers without leading zeros.
fn key_number(name: &[u8]) -> Option<u16> {
    let name = std::str::from_utf8(name).ok()?;
    if let Some((_, key)) = KEYS.iter().find(|(text, _)| *text == name) {
        return Some(*key);
    }
    let digits = name.strip_prefix("key").filter(|digits| *digits == "0" || !digits.starts_with('0'))?;
    plain_number(digits).filter(|key| *key != u16::MAX)
}

/// A number of digits alone: `+1` is none.
fn plain_number(digits: &str) -> Option<u16> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn key_name(key: u16) -> String {
    KEYS.iter().find(|(_, k)| *k == key).map_or_else(|| format!("key{key}"), |(text, _)| (*text).to_owned())
}

fn read_value(key: u16, raw: &[u8]) -> Option<Vec<u8>> {
    let text = decode_text(raw)?;
    let items = || text.split(|b| *b == b',');
    match key {
        MANDATORY => {
            let mut keys = items().map(key_number).collect::<Option<Vec<u16>>>()?;
            keys.sort_unstable();
            Some(keys.iter().flat_map(|key| key.to_be_bytes()).collect())
        }
        ALPN => read_alpn(&text),
        PORT => Some(plain_number(std::str::from_utf8(&text).ok()?)?.to_be_bytes().to_vec()),
        IPV4HINT => {
            let read = |item: &[u8]| std::str::from_utf8(item).ok()?.parse::<Ipv4Addr>().ok();
            Some(items().map(read).collect::<Option<Vec<_>>>()?.iter().flat_map(Ipv4Addr::octets).collect())
        }
        IPV6HINT => {
            let read = |item: &[u8]| std::str::from_utf8(item).ok()?.parse::<Ipv6Addr>().ok();
            Some(items().map(read).collect::<Option<Vec<_>>>()?.iter().flat_map(Ipv6Addr::octets).collect())
        }
        ECH => base64::read(&text),
        _ => Some(text),
    }
}

/// A comma inside an id is written `\,` after the first layer of escapes (RFC 9460, appendix A.1).
fn read_alpn(text: &[u8]) -> Option<Vec<u8>> {
    let mut ids: Vec<Vec<u8>> = vec![Vec::new()];
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b',' => ids.push(Vec::new()),
            b'\\' => ids.last_mut()?.push(*bytes.next()?),
            other => ids.last_mut()?.push(other),
        }
    }
    let mut value = Vec::new();
    for id in &ids {
        value.push(u8::try_from(id.len()).ok().filter(|n| *n > 0)?);
        value.extend_from_slice(id);
    }
    Some(value)
}

pub(super) fn show(bytes: &[u8]) -> String {
    let params = split(bytes).unwrap_or_default();
    let words: Vec<String> = params.iter().map(|(key, value)| show_param(*key, value)).collect();
    words.join(" ")
}

fn show_param(key: u16, value: &[u8]) -> String {
    let name = key_name(key);
    let shown = match key {
        MANDATORY => {
            let keys = value.chunks_exact(2).map(|b| key_name(u16::from_be_bytes([b[0], b[1]])));
            keys.collect::<Vec<_>>().join(",")
        }
        ALPN => return format!("{name}={}", show_alpn(value)),
        NO_DEFAULT_ALPN => return name,
        PORT => value.first_chunk::<2>().map(|b| u16::from_be_bytes(*b).to_string()).unwrap_or_default(),
        IPV4HINT => {
            let addresses = value.chunks_exact(4).filter_map(|b| <[u8; 4]>::try_from(b).ok());
            addresses.map(|b| Ipv4Addr::from(b).to_string()).collect::<Vec<_>>().join(",")
        }
        IPV6HINT => {
            let addresses = value.chunks_exact(16).filter_map(|b| <[u8; 16]>::try_from(b).ok());
            addresses.map(|b| Ipv6Addr::from(b).to_string()).collect::<Vec<_>>().join(",")
        }
        ECH => base64::show(value),
        _ if value.is_empty() => return name,
        _ => value.iter().map(|byte| format!("\\{byte:03}")).collect(),
    };
    format!("{name}={shown}")
}

fn show_alpn(value: &[u8]) -> String {
    let ids = alpn_ids(value).unwrap_or_default();
    let shown = ids.iter().map(|id| {
        id.iter().fold(String::new(), |mut out, &byte| {
            match byte {
                // Escaped for the list, and each backslash again for the word.
                b',' | b'\\' => out.push_str(&format!("\\\\\\{byte:03}")),
                b'!' | b'#'..=b'\'' | b'*'..=b':' | b'<'..=b'~' => out.push(char::from(byte)),
                other => out.push_str(&format!("\\{other:03}")),
            }
            out
        })
    });
    shown.collect::<Vec<_>>().join(",")
}
