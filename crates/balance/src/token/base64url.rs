//! Base64url without padding (RFC 4648 section 5), strict: each value has one text, and no other text decodes to it.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// How many letters so many bytes take.
pub(super) const fn letters(bytes: usize) -> usize {
    (bytes * 8).div_ceil(6)
}

/// Appends the text of `bytes`.
pub(super) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let [a, b, c] = group;
        let digits = [a >> 2, (a & 3) << 4 | b >> 4, (b & 15) << 2 | c >> 6, c & 63];
        // One byte takes two digits, two take three, three take four.
        out.extend(digits.iter().take(chunk.len() + 1).map(|digit| ALPHABET[usize::from(*digit)]));
    }
}

/// The `N` bytes of a text, if it is the text of so many.
pub(super) fn decode<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != letters(N) {
        return None;
    }
    let mut bytes = [0; N];
    let mut places = bytes.iter_mut();
    let (mut held, mut bits) = (0_u32, 0);
    for character in text {
        held = held << 6 | u32::from(digit(*character)?);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            *places.next()? = (held >> bits) as u8;
            held &= (1 << bits) - 1;
        }
    }
    // What is left over of the last digit means nothing, and must say nothing.
    (held == 0).then_some(bytes)
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => Some(character - b'A'),
        b'a'..=b'z' => Some(character - b'a' + 26),
        b'0'..=b'9' => Some(character - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}
