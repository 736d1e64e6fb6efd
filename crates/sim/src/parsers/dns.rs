//! DNS: messages, zone files, the zone-file checker, signatures.

use std::sync::OnceLock;
use std::time::Duration;

use evenkeel_dns::answer::{Served, Zones};
use evenkeel_dns::tsig::{Algorithm, Key, sign_request, verify_request};
use evenkeel_dns::zone::{NoSource, load};
use evenkeel_dns::{Name, fuzz};

const ZONE: &[u8] = b"$TTL 60\n@ SOA a. b. 1 2 3 4 5\n@ NS w\n@ MX 10 w\nw A 192.0.2.1\nw A 192.0.2.2\nw AAAA 2001:db8::1\n\
                      *.d A 192.0.2.3\nc CNAME w\nl CNAME l2\nl2 CNAME l\ns NS n.s\nn.s A 192.0.2.9\nt TXT \"a\" \"b\"\n";

/// A message to a server with a zone of every kind of answer.
pub fn dns_message(bytes: &[u8]) {
    static ZONES: OnceLock<Zones> = OnceLock::new();
    let zones = ZONES.get_or_init(|| {
        let loaded = load("fuzz", ZONE.to_vec(), &Name::root(), &mut NoSource);
        let report = loaded.report();
        let zone = loaded.zone.unwrap_or_else(|| panic!("{report:?}"));
        let mut zones = Zones::new();
        zones.insert(Served::plain(zone));
        zones
    });
    fuzz::message(zones, bytes);
}

/// A zone file.
pub fn dns_zone(bytes: &[u8]) {
    fuzz::zone_file(bytes);
}

/// A zone file under the checker; the verdicts are drawn from the bytes.
pub fn dns_checker(bytes: &[u8]) {
    let luck = bytes.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    fuzz::zone_checker(bytes, luck);
    fuzz::zone_checker(bytes, u64::MAX);
}

/// A signed message and a file of keys: what was signed is believed, what was changed is not.
pub fn dns_tsig(bytes: &[u8]) {
    let now = Duration::from_secs(1_800_000_000);
    let name = Name::from_text(b"k.", None).expect("the name is one");
    let key = Key::new(name, Algorithm::Sha256, vec![7; 32]).expect("the secret is long enough");
    let keys = [key];
    let [key] = &keys;
    drop(std::str::from_utf8(bytes).map(Key::read_all));
    assert!(!matches!(verify_request(bytes, &keys, now), Ok(Some(_))), "nobody signed this");
    let mut message = vec![0x12, 0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    sign_request(&mut message, key, now);
    assert!(matches!(verify_request(&message, &keys, now), Ok(Some(_))), "what was signed is not believed");
    // Behind the names, whose case does not count: time, fudge and signature, id, error, and a length.
    let end = message.len();
    let at = end.saturating_sub(1 + usize::from(bytes.first().copied().unwrap_or(0)) % 48);
    if let Some(byte) = message.get_mut(at) {
        *byte ^= 1 << (bytes.get(1).copied().unwrap_or(0) % 8);
    }
    assert!(!matches!(verify_request(&message, &keys, now), Ok(Some(_))), "changed at {at} of {end}, and believed");
}
