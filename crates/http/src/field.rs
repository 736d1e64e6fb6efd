//! What a field's name and value may be made of (RFC 9110 sections 5.1, 5.5 and 5.6), and little else.
//!
//! Not here: which fields mean something to us (`known`) and the table of a message's fields (`fields`).
//! A byte that these functions refuse is never sent to a server or a client.

/// For each byte whether it may stand in a token.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            );
        byte += 1;
    }
    table
};

/// For each byte whether it may stand in a value.
const VALUE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = is_value_byte(byte as u8);
        byte += 1;
    }
    table
};

/// Whether the byte may stand in a token.
pub fn is_token_byte(byte: u8) -> bool {
    TOKEN.get(usize::from(byte)).copied().unwrap_or(false)
}

/// Whether the bytes are a token: a method, a field's name, a protocol's name. Never true for none.
#[inline]
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && token_length(bytes) == bytes.len()
}

/// How many bytes at the beginning may stand in a token.
#[inline]
pub(crate) fn token_length(bytes: &[u8]) -> usize {
    length_listed(&TOKEN, bytes)
}

/// Whether the bytes may be a field's value: no control character but the tab. Bytes above 127 are let through, as
/// RFC 9110 section 5.5 asks, and never interpreted.
pub fn is_value(bytes: &[u8]) -> bool {
    value_length(bytes) == bytes.len()
}

/// How many bytes at the beginning may stand in a value.
#[inline]
pub(crate) fn value_length(bytes: &[u8]) -> usize {
    let (blocks, rest) = bytes.as_chunks::<16>();
    let mut passed = 0;
    for block in blocks {
        // Without early exits this becomes a few vector instructions.
        let mut marks = *block;
        marks.iter_mut().for_each(|byte| *byte = if is_value_byte(*byte) { 0 } else { u8::MAX });
        if marks != [0; 16] {
            return passed + u128::from_le_bytes(marks).trailing_zeros() as usize / 8;
        }
        passed += block.len();
    }
    passed + length_listed(&VALUE, rest)
}

/// How many bytes at the beginning are in the table.
#[inline]
pub(crate) fn length_listed(table: &[bool; 256], bytes: &[u8]) -> usize {
    let is_missing = |byte: &u8| !table.get(usize::from(*byte)).copied().unwrap_or(false);
    let (blocks, rest) = bytes.as_chunks::<8>();
    let mut passed = 0;
    for block in blocks {
        if let Some(offset) = block.iter().position(is_missing) {
            return passed + offset;
        }
        passed += block.len();
    }
    passed + rest.iter().position(is_missing).unwrap_or(rest.len())
}

const fn is_value_byte(byte: u8) -> bool {
    ((byte >= 0x20) & (byte != 0x7f)) | (byte == b'\t')
}

/// The bytes without blanks and tabs at either end (`OWS` of RFC 9110 section 5.6.3).
pub fn trim(bytes: &[u8]) -> &[u8] {
    trim_end(trim_start(bytes))
}

/// The bytes without blanks and tabs at their beginning.
pub(crate) fn trim_start(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let [b' ' | b'\t', tail @ ..] = rest {
        rest = tail;
    }
    rest
}

/// The bytes without blanks and tabs at their end.
pub(crate) fn trim_end(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let [head @ .., b' ' | b'\t'] = rest {
        rest = head;
    }
    rest
}

/// The members of a comma-separated list, trimmed, empty ones left out (RFC 9110 section 5.6.1.2). Commas in quoted
/// strings are not looked for: use it for lists of tokens and addresses.
pub fn members(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|&b| b == b',').map(trim).filter(|member| !member.is_empty())
}

/// A decimal number in the one form that every parser reads alike: digits alone, no leading zero, at most 2^63 - 1.
pub(crate) fn strict_number(digits: &[u8]) -> Option<u64> {
    match digits {
        [] | [b'0', _, ..] => None,
        _ if digits.len() > 19 || !digits.iter().all(u8::is_ascii_digit) => None,
        _ => {
            let value = digits.iter().try_fold(0u64, |sum, d| sum.checked_mul(10)?.checked_add(u64::from(d - b'0')))?;
            (value <= i64::MAX.unsigned_abs()).then_some(value)
        }
    }
}

/// Whether a field's name and another name are the same to a program that sees fields as CGI variables, where
/// `X_Real_IP` and `X-Real-IP` are one. `name` is what a peer sent, `other` is ours.
pub fn is_same_or_alias(name: &[u8], other: &[u8]) -> bool {
    name.len() == other.len()
        && name.iter().zip(other).all(|(a, b)| a.eq_ignore_ascii_case(b) || (*a == b'_' && *b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_what_the_rfc_lists_and_nothing_else() {
        let allowed = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        for byte in 0..=255u8 {
            assert_eq!(is_token(&[byte]), allowed.contains(&byte), "byte {byte:#x}");
        }
        assert!(!is_token(b""));
    }

    #[test]
    fn a_value_has_no_control_character_but_the_tab() {
        for byte in 0..=255u8 {
            let good = byte == b'\t' || (byte >= 0x20 && byte != 0x7f);
            for at in [0, 15, 16, 33, 39] {
                let mut value = [b'a'; 40];
                value[at] = byte;
                assert_eq!(is_value(&value), good, "byte {byte:#x} at {at}");
            }
        }
    }

    #[test]
    fn bytes_that_fit_are_counted_up_to_the_first_that_does_not() {
        for length in 0..70 {
            for at in 0..length {
                let mut bytes = vec![b'a'; length];
                for later in [b'a', b'\r', 0x7f, 0xff] {
                    bytes[length - 1] = later;
                    bytes[at] = 0;
                    assert_eq!((token_length(&bytes), value_length(&bytes)), (at, at), "{at} of {length}");
                }
            }
            assert_eq!((token_length(&vec![b'a'; length]), value_length(&vec![b'a'; length])), (length, length));
        }
    }

    #[test]
    fn blanks_are_trimmed_from_the_ends_alone() {
        for (given, wanted) in [("", ""), (" \t", ""), (" a b\t", "a b"), ("a", "a"), ("\u{a0}a", "\u{a0}a")] {
            assert_eq!(trim(given.as_bytes()), wanted.as_bytes());
        }
    }

    #[test]
    fn numbers_have_one_form() {
        for (text, wanted) in [
            ("0", Some(0)),
            ("5", Some(5)),
            ("9223372036854775807", Some(9_223_372_036_854_775_807)),
            ("9223372036854775808", None),
            ("18446744073709551616", None),
            ("", None),
            ("05", None),
            ("+5", None),
            ("-0", None),
            ("0x5", None),
            ("5_0", None),
            ("5 5", None),
        ] {
            assert_eq!(strict_number(text.as_bytes()), wanted, "{text}");
        }
        assert_eq!(strict_number(&[b'1'; 1000]), None);
    }

    #[test]
    fn lists_lose_their_empty_members() {
        let list: Vec<&[u8]> = members(b" a ,, b\t,").collect();
        assert_eq!(list, [&b"a"[..], b"b"]);
    }

    #[test]
    fn an_underscore_passes_for_our_hyphen_and_not_the_other_way() {
        assert!(is_same_or_alias(b"x_real-IP", b"X-Real-IP"));
        assert!(!is_same_or_alias(b"X-Real-IP", b"X_Real_IP"));
        assert!(!is_same_or_alias(b"X-Real-I", b"X-Real-IP"));
    }
}
