//! The hash of names, for tables of what is stored here.
//!
//! It has no key: strangers choose what is looked up, never what is stored, so that nobody can make a look-up longer
//! than the stored names allow. The invariant: a name in lower case has the same hash everywhere in the process.

/// Multiply and fold, eight bytes at a time (in the manner of wyhash; Wang Yi 2019). The last eight are read as one
/// word, some of them perhaps once more.
pub(crate) fn hash(name: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    const LAST: u64 = 0xd6e8_feb8_6659_fd93;
    let mut state = (name.len() as u64) ^ ODD;
    let Some(last) = name.last_chunk::<8>() else {
        let word = name.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
        return fold(state ^ word, LAST);
    };
    for chunk in name.chunks_exact(8) {
        let word = chunk.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        state = fold(state ^ word, ODD);
    }
    fold(state ^ u64::from_le_bytes(*last), LAST)
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a).wrapping_mul(u128::from(b));
    let (high, low) = ((product >> 64) as u64, product as u64);
    high ^ low
}

/// The half of a hash that does not choose the place.
pub(crate) fn tag(hash: u64) -> u32 {
    (hash & u64::from(u32::MAX)) as u32
}
