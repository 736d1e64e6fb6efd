//! Writing chunked bodies: the line before a chunk's data, and what ends a body.
//!
//! Not here: heads (`write`) and reading (`body`). A chunk is [`chunk_head`], the data, and [`CRLF`].

/// What ends each line, and each chunk's data.
pub const CRLF: &[u8] = b"\r\n";

/// Room for the longest [`chunk_head`]: 16 hexadecimal digits and a line end.
pub const CHUNK_HEAD_MAX: usize = 18;

/// The line before a chunk of `len` bytes, written into `room`. A length of 0 would be a last chunk: write none.
pub fn chunk_head(len: usize, room: &mut [u8; CHUNK_HEAD_MAX]) -> &[u8] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let [digits @ .., cr, lf] = room;
    (*cr, *lf) = (b'\r', b'\n');
    let mut rest = len;
    let mut used = 0usize;
    for place in digits.iter_mut().rev() {
        *place = DIGITS.get(rest & 0xf).copied().unwrap_or(b'0');
        used = used.saturating_add(1);
        rest >>= 4;
        if rest == 0 {
            break;
        }
    }
    room.get(CHUNK_HEAD_MAX.saturating_sub(used).saturating_sub(2)..).unwrap_or_default()
}

/// Appends the line before a chunk of `len` bytes.
pub fn write_chunk_head(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(chunk_head(len, &mut [0; CHUNK_HEAD_MAX]));
}

/// Appends the last chunk with trailer fields as `BodyDecoder::trailers` gives them.
pub fn write_last_chunk(out: &mut Vec<u8>, trailers: &[u8]) {
    out.extend_from_slice(b"0\r\n");
    out.extend_from_slice(trailers);
    out.extend_from_slice(CRLF);
}

/// Appends a number in decimal digits.
pub(crate) fn write_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0u8; 20];
    let mut rest = number;
    let mut used = 0usize;
    for place in digits.iter_mut().rev() {
        *place = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        used = used.saturating_add(1);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len().saturating_sub(used)..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_heads_are_shortest_hexadecimal() {
        for (len, wanted) in
            [(1, "1\r\n"), (10, "a\r\n"), (255, "ff\r\n"), (65536, "10000\r\n"), (usize::MAX, "ffffffffffffffff\r\n")]
        {
            assert_eq!(chunk_head(len, &mut [0; CHUNK_HEAD_MAX]), wanted.as_bytes());
        }
    }

    #[test]
    fn numbers_are_written_without_leading_zeros() {
        for number in [0, 9, 10, 12_345, u64::MAX] {
            let mut out = Vec::new();
            write_number(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}
