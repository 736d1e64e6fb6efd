//! CRC-32C (Castagnoli, RFC 3720 appendix B.4): the checksum of PROXY headers.

/// The polynomial 0x1EDC6F41 with its bits in reverse.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// The checksum of the bytes. Bit by bit: headers are short, and few carry one.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _bit: u8| (crc >> 1) ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::crc32c;

    #[test]
    fn known_sums() {
        assert_eq!(crc32c(b""), 0);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        // RFC 3720 appendix B.4: 32 zeros, 32 ones.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }
}
