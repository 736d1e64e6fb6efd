//! Base 64 (RFC 4648, 4), as keys are written in zone files.
//!
//! The invariant: what is shown reads back to the same bytes.

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The bytes of base 64 with its padding; `None` where it is none, or empty.
pub(crate) fn read(text: &[u8]) -> Option<Vec<u8>> {
    if text.is_empty() || !text.len().is_multiple_of(4) {
        return None;
    }
    let digits = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let mut out = Vec::with_capacity(digits.len());
    let (mut bits, mut count) = (0_u32, 0_u32);
    for digit in digits {
        let value = u32::try_from(DIGITS.iter().position(|b| b == digit)?).ok()?;
        bits = (bits << 6 | value) & 0xff_ffff;
        count = count.checked_add(6)?;
        if count >= 8 {
            count = count.checked_sub(8)?;
            out.push(u8::try_from((bits >> count) & 0xff).ok()?);
        }
    }
    Some(out)
}

/// Bytes in base 64.
pub(crate) fn show(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let group = (0..3).fold(0_u32, |sum, at| (sum << 8) | u32::from(chunk.get(at).copied().unwrap_or(0)));
        for place in 0..4_usize {
            let shift = 18_u32.saturating_sub(u32::try_from(place).unwrap_or(0).saturating_mul(6));
            let digit = usize::try_from((group >> shift) & 63).unwrap_or(0);
            let used = place <= chunk.len();
            out.push(if used { char::from(DIGITS.get(digit).copied().unwrap_or(b'=')) } else { '=' });
        }
    }
    out
}
