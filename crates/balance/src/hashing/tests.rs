//! Keys, and what becomes of them when servers come and go.

use std::collections::HashMap;
use std::net::IpAddr;

use evenkeel_model::ServerName;
use proptest::prelude::any;
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::{HashKeyValue, MAGLEV_SLOTS, Maglev, distance, hash_key, identity, in_stable_order};
use crate::rng::scatter;

const SEED: [u8; 16] = *b"a seed of a test";
const KEYS: u64 = 20_000;

fn client(address: &str) -> u64 {
    hash_key(&SEED, HashKeyValue::Client(address.parse::<IpAddr>().unwrap()))
}

#[test]
fn a_client_is_all_of_ipv4_and_the_network_of_ipv6() {
    let same = [
        ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.3", "::ffff:10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:ffff:4:5:7"),
        ("2001:db8::", "2001:db8::1"),
    ];
    for (a, b) in same {
        assert_eq!(client(a), client(b), "{a} and {b}");
    }
    let apart = [
        ("10.1.2.3", "10.1.2.4"),
        ("10.1.2.3", "10.1.3.3"),
        ("2001:db8:1:2::1", "2001:db8:1:3::1"),
        ("2001:db8:1:2::1", "2001:db9:1:2::1"),
        ("::10.1.2.3", "10.1.2.3"),
    ];
    for (a, b) in apart {
        assert_ne!(client(a), client(b), "{a} and {b}");
    }
}

#[test]
fn a_key_depends_on_the_seed_and_on_its_kind() {
    let name = HashKeyValue::Bytes(b"10.1.2.3");
    assert_ne!(hash_key(&SEED, name), hash_key(b"another test see", name));
    assert_ne!(hash_key(&SEED, name), client("10.1.2.3"));
    assert_ne!(hash_key(&SEED, HashKeyValue::Bytes(b"a")), identity(&SEED, &ServerName::new("a").unwrap()));
    assert_eq!(hash_key(&SEED, name), hash_key(&SEED, HashKeyValue::Bytes(b"10.1.2.3")));
}

fn named(count: usize, weight: u16) -> Vec<(u64, u16)> {
    (0..count).map(|n| (identity(&SEED, &ServerName::new(&format!("web-{n}")).unwrap()), weight)).collect()
}

fn nearest(key: u64, servers: &[(u64, u16)]) -> u64 {
    let far = |(id, weight): &(u64, u16)| distance(key, *id, u32::from(*weight));
    servers.iter().min_by(|a, b| far(a).total_cmp(&far(b))).unwrap().0
}

fn keys() -> impl Iterator<Item = u64> {
    (0..KEYS).map(|key| scatter(key.wrapping_mul(0x9e37_79b9)))
}

#[test]
fn rendezvous_moves_keys_to_a_new_server_only_and_about_one_in_n() {
    for count in [1, 2, 9, 63] {
        let servers = named(count + 1, 1);
        let before = &servers[..count];
        let added = servers[count].0;
        let mut moved = 0;
        for key in keys() {
            let (old, new) = (nearest(key, before), nearest(key, &servers));
            assert!(old == new || new == added);
            moved += u64::from(old != new);
        }
        let expected = KEYS as f64 / (count + 1) as f64;
        assert!(
            (moved as f64 - expected).abs() < expected * 0.15 + 30.0,
            "{moved} of {KEYS} moved to one more than {count}"
        );
    }
}

#[test]
fn rendezvous_gives_keys_in_proportion_to_weights() {
    let mut servers = named(4, 1);
    let weights = [1, 2, 3, 10];
    servers.iter_mut().zip(weights).for_each(|(server, weight)| server.1 = weight);
    let mut counts: HashMap<u64, u32> = HashMap::new();
    keys().for_each(|key| *counts.entry(nearest(key, &servers)).or_default() += 1);
    for (id, weight) in servers {
        let expected = KEYS as f64 * f64::from(weight) / 16.0;
        let got = f64::from(counts[&id]);
        assert!((got - expected).abs() < expected * 0.08, "weight {weight}: {got} for {expected}");
    }
}

fn slots_of(table: &Maglev) -> HashMap<u64, usize> {
    let mut counts = HashMap::new();
    table.slots.iter().for_each(|rank| *counts.entry(table.weights[usize::from(*rank)].0).or_default() += 1);
    counts
}

#[test]
fn the_table_gives_slots_in_proportion_to_weights() {
    let mut servers = named(100, 10);
    servers[7].1 = 20;
    servers[8].1 = 1;
    let total: usize = servers.iter().map(|(_, weight)| usize::from(*weight)).sum();
    let table = Maglev::new(in_stable_order(servers.clone()));
    let counts = slots_of(&table);
    assert_eq!(counts.values().sum::<usize>(), MAGLEV_SLOTS);
    for (id, weight) in servers {
        let expected = MAGLEV_SLOTS as f64 * f64::from(weight) / total as f64;
        assert!((counts[&id] as f64 - expected).abs() <= expected * 0.02 + 2.0, "weight {weight}: {}", counts[&id]);
    }
}

#[test]
fn the_table_changes_little_when_a_server_comes_or_goes() {
    let servers = named(101, 1);
    let before = Maglev::new(in_stable_order(servers[..100].to_vec()));
    let after = Maglev::new(in_stable_order(servers));
    let owner = |table: &Maglev, slot: usize| table.weights[usize::from(table.slots[slot])].0;
    let moved = (0..MAGLEV_SLOTS).filter(|slot| owner(&before, *slot) != owner(&after, *slot)).count();
    let share = moved as f64 / MAGLEV_SLOTS as f64;
    // One in 101 must move; the rest of the bound is the table's known price.
    assert!((0.009..0.03).contains(&share), "{share}");
}

proptest! {
    #[test]
    fn a_distance_is_a_number_and_weight_brings_nearer(key in any::<u64>(), id in any::<u64>(), share in 0..1_000_000_u32) {
        let far = distance(key, id, share);
        prop_assert!(far.is_finite() && far >= 0.0);
        prop_assert!(distance(key, id, share + 1) <= far);
        prop_assert_eq!(far.to_bits(), distance(key, id, share).to_bits());
    }
}
