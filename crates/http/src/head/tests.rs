//! Lines and fields against a plain reading of the same rules.

use proptest::prelude::{any, prop, prop_assert_eq, proptest};

use super::*;

/// What is said of all lines, in the plain way: each is searched for whole, and nothing is remembered but its beginning.
fn plain_lines(buf: &[u8], limit: usize) -> (Vec<(usize, Vec<u8>)>, Option<HeadFault>) {
    let mut lines = Vec::new();
    let mut start = 0;
    while let Some(offset) = buf[start..].iter().position(|&byte| byte == b'\n') {
        if start + offset + 1 > limit {
            return (lines, Some(HeadFault::TooLong));
        }
        let Some(line) = buf[start..start + offset].strip_suffix(b"\r") else {
            return (lines, Some(HeadFault::LineEnd));
        };
        lines.push((start, line.to_vec()));
        start += offset + 1;
    }
    (lines, (buf.len() >= limit).then_some(HeadFault::TooLong))
}

/// A field line in the plain way: cut at its first colon, each part looked at byte by byte.
fn plain_field(line: &[u8]) -> Result<(&[u8], &[u8]), HeadFault> {
    if line.starts_with(b" ") || line.starts_with(b"\t") {
        return Err(HeadFault::Folded);
    }
    let colon = line.iter().position(|&byte| byte == b':').ok_or(HeadFault::FieldName)?;
    let (name, raw) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() || !name.iter().all(|&byte| field::is_token_byte(byte)) {
        return Err(HeadFault::FieldName);
    }
    if raw.contains(&b'\r') && raw.iter().any(u8::is_ascii_control) {
        return Err(HeadFault::LineEnd);
    }
    if raw.iter().any(|&byte| byte.is_ascii_control() && byte != b'\t') {
        return Err(HeadFault::FieldValue);
    }
    Ok((name, field::trim(raw)))
}

proptest! {
    #[test]
    fn lines_are_those_of_a_plain_search_however_they_are_cut(
        picks in prop::collection::vec((0usize..12, any::<u8>()), 0..80),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        limit in 1usize..200,
    ) {
        let pieces: [&[u8]; 11] =
            [b"\r\n", b"\r", b"\n", b"\t", b"\0", b"\x7f", b" ", b"a: b", b"0123456789abcdef", b"\r\n", b"xyz\r\n"];
        let mut buf = Vec::new();
        for (pick, byte) in picks {
            buf.extend_from_slice(pieces.get(pick).copied().unwrap_or(&[byte]));
        }
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(buf.len() + 1)).collect();
        ends.push(buf.len());
        ends.sort_unstable();
        let (mut lines, mut found, mut fault) = (Lines::default(), Vec::new(), None);
        'reads: for end in ends {
            loop {
                match lines.next(&buf[..end], limit) {
                    Ok(Some(line)) => {
                        prop_assert_eq!(line.is_odd, !field::is_value(line.bytes) && !line.bytes.is_empty());
                        found.push((line.start, line.bytes.to_vec()));
                    }
                    Ok(None) => break,
                    Err(found) => {
                        fault = Some(found);
                        break 'reads;
                    }
                }
            }
        }
        prop_assert_eq!((found, fault), plain_lines(&buf, limit));
    }

    #[test]
    fn a_field_is_cut_as_a_plain_reading_cuts_it(
        base in 0usize..4,
        changes in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 0..3),
    ) {
        let mut line = [&b"Host: a"[..], b"X-Quite-A-Long-Name:\t some value  ", b":", b"a:"][base].to_vec();
        for (at, byte) in changes {
            let at = at.index(line.len());
            line[at] = byte;
        }
        let cut = cut_field(&line, true).map(|(name, tail)| (name, field::trim_end(tail)));
        prop_assert_eq!(cut, plain_field(&line));
        if field::is_value(&line) {
            prop_assert_eq!(cut_field(&line, false), cut_field(&line, true));
        }
    }
}

#[test]
fn a_line_that_drips_in_is_not_searched_again() {
    let buf = [b"a: ", &[b'x'; 100][..]].concat();
    for odd in [false, true] {
        let mut lines = Lines { is_odd: odd, ..Lines::default() };
        for end in 0..=buf.len() {
            assert_eq!(lines.next(&buf[..end], 1000), Ok(None));
            assert_eq!(lines.scanned, end);
        }
    }
}
