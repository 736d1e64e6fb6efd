//! The system's source of randomness. It seeds generators; it is not one for the data path.

use rustix::rand::{GetRandomFlags, getrandom};

/// 32 bytes that nobody can guess, from the kernel's generator, to seed a generator with or to make a key from.
///
/// # Panics
/// Where the kernel has no generator. Nothing that needs secrets could go on.
pub fn seed() -> [u8; 32] {
    let mut bytes = [0u8; 32];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match getrandom(rest, GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("the kernel gives no random bytes: {error}"),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::seed;

    #[test]
    fn two_seeds_differ_and_neither_is_blank() {
        let (first, second) = (seed(), seed());
        assert_ne!(first, second);
        assert_ne!(first, [0; 32]);
    }
}
