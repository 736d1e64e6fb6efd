//! Traces that begin here (W3C Trace Context, level 1).
//!
//! We are no span of a trace: one that a client began goes on to the server as it came. Where a request carries none, or one
//! that is malformed, and the site asks for it, a new one begins. The invariant: what we begin is well-formed, and no number in
//! it is zero.

/// A `traceparent` of ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TraceParent {
    text: [u8; Self::LENGTH],
}

impl TraceParent {
    /// `00-`, 32 digits, `-`, 16 digits, `-`, 2 digits (section 3.2.2).
    const LENGTH: usize = 55;

    /// A trace of these numbers.
    pub(crate) fn begin(trace: (u64, u64), parent: u64, is_sampled: bool) -> Self {
        let mut text = [b'-'; Self::LENGTH];
        let (high, low) = trace;
        let digits = [(0, 2, 0), (3, 16, high), (19, 16, low.max(1)), (36, 16, parent.max(1))];
        for (from, count, number) in digits.into_iter().chain([(53, 2, u64::from(is_sampled))]) {
            for place in 0..count {
                let digit = (number >> (4 * (count - 1 - place)) & 15) as usize;
                if let Some((byte, digit)) = text.get_mut(from + place).zip(b"0123456789abcdef".get(digit)) {
                    *byte = *digit;
                }
            }
        }
        Self { text }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text
    }
}

/// Whether a `traceparent` is well-formed, of this version or of a later one (sections 3.2.2 and 4.1).
pub(crate) fn is_well_formed(text: &[u8]) -> bool {
    let (Some(known), rest) = (text.get(..TraceParent::LENGTH), text.get(TraceParent::LENGTH..).unwrap_or_default())
    else {
        return false;
    };
    let mut parts = known.split(|byte| *byte == b'-');
    let mut next = |length: usize| {
        let part = parts.next().filter(|part| part.len() == length)?;
        part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).then_some(part)
    };
    let (Some(version), Some(trace), Some(parent), Some(_)) = (next(2), next(32), next(16), next(2)) else {
        return false;
    };
    let is_zero = |part: &[u8]| part.iter().all(|byte| *byte == b'0');
    let may_end = match version {
        b"00" => rest.is_empty(),
        b"ff" => false,
        _ => rest.first().is_none_or(|byte| *byte == b'-'),
    };
    may_end && !is_zero(trace) && !is_zero(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_begin_is_well_formed_whatever_chance_gives() {
        for (trace, parent) in [((0, 0), 0), ((u64::MAX, u64::MAX), u64::MAX), ((0x0af7_6519_16cd_43dd, 7), 9)] {
            for is_sampled in [true, false] {
                let text = TraceParent::begin(trace, parent, is_sampled);
                assert!(is_well_formed(text.as_bytes()), "{:?}", str::from_utf8(text.as_bytes()));
                assert!(text.as_bytes().ends_with(if is_sampled { b"-01" } else { b"-00" }));
            }
        }
        let text = TraceParent::begin((0x0af7_6519_16cd_43dd, 0x8448_eb21_1c80_319c), 0xb7ad_6b71_6920_3331, true);
        assert_eq!(text.as_bytes(), b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    }

    #[test]
    fn malformed_ones_are_told_from_those_of_later_versions() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(is_well_formed(good.as_bytes()));
        for later in [good.replacen("00", "01", 1), format!("{}-more", good.replacen("00", "cc", 1))] {
            assert!(is_well_formed(later.as_bytes()), "{later}");
        }
        let bad = [
            String::new(),
            good.to_uppercase(),
            good.replacen("00", "ff", 1),
            format!("{good}-more"),
            format!("{}x", good.replacen("00", "01", 1)),
            good.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            good.replace("b7ad6b7169203331", &"0".repeat(16)),
            good.replace('-', "_"),
            good[..54].to_owned(),
        ];
        assert!(bad.iter().all(|text| !is_well_formed(text.as_bytes())), "{bad:?}");
    }
}
