use std::time::Duration;

use super::*;
use crate::key::{Key, Keyring};

fn ring(secret: &[u8]) -> Keyring {
    Keyring::new(vec![Key::derive(secret).unwrap()]).unwrap()
}

fn sample() -> Beat {
    let mut beat = Beat::blank(7, BootId([9; 16]));
    (beat.sequence, beat.digest, beat.phase, beat.score) = (u64::MAX, 0x0102_0304, Phase::Doubting, 100);
    for peer in 1..16 {
        let age = Duration::from_millis(u64::from(peer));
        beat.echoes.push(Echo { peer, boot: BootId([3; 16]), sequence: 12, age, is_lossy: peer % 2 == 0 });
    }
    for (at, role) in ROLES.iter().chain(&ROLES).chain(&ROLES[..6]).enumerate() {
        beat.lines.push(Line {
            group: u32::try_from(at).unwrap() + 1,
            digest: 5,
            role: *role,
            is_away: at % 2 == 0,
            is_wanted: at % 3 == 0,
            epoch: u64::MAX - 1,
            target: 4,
            vote_for: 2,
            vote_epoch: 77,
        });
    }
    beat
}

fn read(bytes: &[u8], keys: &Keyring) -> Result<Beat, PacketError> {
    let prelude = Prelude::read(bytes)?;
    let mut beat = Beat::blank(0, BootId([0; 16]));
    beat.read(bytes, &prelude, keys)?;
    Ok(beat)
}

fn written(beat: &Beat, keys: &Keyring) -> Vec<u8> {
    let mut bytes = Vec::new();
    beat.write(42, keys, &mut bytes);
    bytes
}

#[test]
fn the_fullest_heartbeat_reads_back_equal_and_fits_a_frame() {
    let keys = ring(b"0123456789abcdef");
    let bytes = written(&sample(), &keys);
    assert_eq!(bytes.len(), LARGEST);
    assert_eq!(read(&bytes, &keys).unwrap(), sample());
}

#[test]
fn no_flip_of_a_bit_passes() {
    let keys = ring(b"0123456789abcdef");
    let bytes = written(&sample(), &keys);
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&changed, &keys).is_err(), "bit {bit}");
    }
}

#[test]
fn every_cut_and_every_surplus_is_an_error() {
    let keys = ring(b"0123456789abcdef");
    let bytes = written(&sample(), &keys);
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length], &keys).is_err(), "{length} bytes");
    }
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(read(&longer, &keys), Err(PacketError::Length));
}

#[test]
fn a_key_that_we_lack_is_told_from_a_seal_that_is_wrong() {
    let (ours, theirs) = (ring(b"0123456789abcdef"), ring(b"fedcba9876543210"));
    let mut bytes = written(&sample(), &theirs);
    assert_eq!(read(&bytes, &ours), Err(PacketError::UnknownKey));
    bytes[5] = ours.signing_id();
    assert_eq!(read(&bytes, &ours), Err(PacketError::BadSeal));
}

#[test]
fn a_ring_accepts_what_any_of_its_keys_sealed() {
    let [old, new] = [b"0123456789abcdef", b"fedcba9876543210"].map(|secret| Key::derive(secret).unwrap());
    let before = Keyring::new(vec![old.clone()]).unwrap();
    let receiving = Keyring::new(vec![old.clone(), new.clone()]).unwrap();
    let permissive = Keyring::new(vec![new.clone(), old]).unwrap();
    let enforcing = Keyring::new(vec![new]).unwrap();
    for (sender, receiver, is_heard) in [
        (&before, &receiving, true),
        (&receiving, &before, true),
        (&permissive, &receiving, true),
        (&receiving, &permissive, true),
        (&enforcing, &permissive, true),
        (&permissive, &enforcing, true),
        (&before, &enforcing, false),
    ] {
        assert_eq!(read(&written(&sample(), sender), receiver).is_ok(), is_heard);
    }
}

#[test]
fn short_secrets_are_refused() {
    assert_eq!(Key::derive(b"123456789012345"), Err(crate::KeyError::Weak(15)));
    assert_eq!(Keyring::new(Vec::new()), Err(crate::KeyError::Count(0)));
}
