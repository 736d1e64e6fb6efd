//! Making bytes harmless in a log line: no value can end a line, close a quote or steer a terminal.

/// Appends a value for a line of text: quotes and backslashes escaped, control bytes and those above 126 as `\xHH`.
pub(crate) fn text(value: &[u8], out: &mut Vec<u8>) {
    for &byte in value {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x20..=0x7e => out.push(byte),
            _ => {
                out.extend_from_slice(b"\\x");
                push_hex(byte, out);
            }
        }
    }
}

/// Escapes what was appended since `from`, if it must be.
pub(crate) fn text_since(from: usize, out: &mut Vec<u8>) {
    let added = out.get(from..).unwrap_or_default();
    if is_harmless(added) {
        return;
    }
    let raw = added.to_vec();
    out.truncate(from);
    text(&raw, out);
}

/// Whether no byte has to be escaped. Without an early exit, so that many bytes are looked at at once.
fn is_harmless(value: &[u8]) -> bool {
    value.iter().fold(true, |good, byte| good & matches!(byte, 0x20..=0x7e) & (*byte != b'"') & (*byte != b'\\'))
}

/// Appends a JSON string with its quotes. What is not UTF-8 becomes U+FFFD.
pub(crate) fn json(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    if is_harmless(value) {
        out.extend_from_slice(value);
        out.push(b'"');
        return;
    }
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                '\u{0}'..='\u{1f}' | '\u{7f}' => {
                    out.extend_from_slice(b"\\u00");
                    push_hex(character as u8, out);
                }
                // Some readers take these two for line ends.
                '\u{2028}' => out.extend_from_slice(b"\\u2028"),
                '\u{2029}' => out.extend_from_slice(b"\\u2029"),
                _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}

fn push_hex(byte: u8, out: &mut Vec<u8>) {
    for digit in [byte >> 4, byte & 15] {
        out.push(b"0123456789abcdef".get(usize::from(digit)).copied().unwrap_or(b'0'));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_value_ends_a_line_or_closes_a_quote() {
        for (value, as_text, as_json) in [
            (&b"plain"[..], "plain", "\"plain\""),
            (b"a\"b\\c", "a\\\"b\\\\c", "\"a\\\"b\\\\c\""),
            (b"a\r\nb\x1b[2J\x7f", "a\\x0d\\x0ab\\x1b[2J\\x7f", "\"a\\u000d\\u000ab\\u001b[2J\\u007f\""),
            ("ü".as_bytes(), "\\xc3\\xbc", "\"ü\""),
            (b"\xff!", "\\xff!", "\"\u{fffd}!\""),
            ("\u{2028}".as_bytes(), "\\xe2\\x80\\xa8", "\"\\u2028\""),
        ] {
            let mut out = b"kept \n".to_vec();
            let from = out.len();
            out.extend_from_slice(value);
            super::text_since(from, &mut out);
            assert_eq!(std::str::from_utf8(&out[from..]).unwrap(), as_text);
            let mut out = Vec::new();
            super::json(value, &mut out);
            assert_eq!(std::str::from_utf8(&out).unwrap(), as_json);
        }
    }
}
