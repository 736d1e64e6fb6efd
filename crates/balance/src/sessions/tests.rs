use std::collections::HashMap;
use std::net::IpAddr;

use evenkeel_model::ServerName;
use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_790_000_000;

fn bounds(max: usize) -> Bounds {
    Bounds { idle: Duration::from_secs(600), life: Duration::from_secs(3600), max }
}

fn secret() -> TableSecret {
    TableSecret::derive(b"sixteen bytes of")
}

fn table(max: usize) -> SessionTable {
    SessionTable::new(&PoolName::new("shop").unwrap(), &secret(), bounds(max))
}

fn server(name: &str) -> ServerUid {
    ServerUid::of(&ServerName::new(name).unwrap())
}

fn client(text: &str) -> ClientMark {
    ClientMark::of(text.parse().unwrap())
}

/// Learns from the head of an answer, to a client of no interest.
fn learn(table: &SessionTable, id: &[u8], to: ServerUid, now: u64) -> Learnt {
    table.learn(table.key(id), to, Source::Head, client("192.0.2.1"), now)
}

fn find(table: &SessionTable, id: &[u8], now: u64) -> Option<ServerUid> {
    table.find(table.key(id), client("192.0.2.1"), now)
}

#[test]
fn what_an_answer_names_is_found_until_it_is_idle_or_too_old() {
    let (table, a) = (table(100), server("a"));
    assert_eq!(find(&table, b"one", NOW), None);
    assert_eq!(learn(&table, b"one", a, NOW), Learnt::New);
    for step in 1..=6 {
        assert_eq!(find(&table, b"one", NOW + step * 590), Some(a), "{step}");
    }
    assert_eq!(find(&table, b"one", NOW + 3601), None, "its life is over, however often it was seen");
    learn(&table, b"two", a, NOW);
    assert_eq!(find(&table, b"two", NOW + 601), None, "it was idle");
}

#[test]
fn asking_for_an_unknown_id_leaves_nothing_behind() {
    let table = table(10);
    for id in 0..10_000_u32 {
        assert_eq!(find(&table, &id.to_be_bytes(), NOW), None);
        assert!(!table.bind(table.key(&id.to_be_bytes()), server("a"), NOW));
    }
    assert_eq!((table.stats().held, table.stats().misses), (0, 10_000));
}

#[test]
fn a_page_never_moves_a_live_session_and_a_head_does() {
    let (table, a, b) = (table(100), server("a"), server("b"));
    let key = table.key(b"victim");
    learn(&table, b"victim", a, NOW);
    assert_eq!(table.learn(key, b, Source::Body, client("203.0.113.9"), NOW + 1), Learnt::Refused);
    assert_eq!(find(&table, b"victim", NOW + 2), Some(a));
    assert_eq!(table.learn(key, a, Source::Body, client("203.0.113.9"), NOW + 3), Learnt::Known);
    assert_eq!(table.learn(key, b, Source::Head, client("203.0.113.9"), NOW + 4), Learnt::Moved);
    assert_eq!(find(&table, b"victim", NOW + 5), Some(b));
    assert_eq!(table.learn(key, a, Source::Body, client("203.0.113.9"), NOW + 5 + 601), Learnt::New, "it was over");
    assert_eq!(find(&table, b"victim", NOW + 5 + 602), Some(a));
}

#[test]
fn a_session_moves_with_the_server_that_answered_and_ends_when_told() {
    let (table, a, b) = (table(100), server("a"), server("b"));
    learn(&table, b"one", a, NOW);
    assert!(table.bind(table.key(b"one"), b, NOW + 1));
    assert_eq!(find(&table, b"one", NOW + 2), Some(b));
    assert!(table.end(table.key(b"one"), NOW + 3));
    assert_eq!(find(&table, b"one", NOW + 4), None);
    assert!(!table.end(table.key(b"one"), NOW + 5));
    assert_eq!(learn(&table, b"one", a, NOW + 6), Learnt::New);
    assert_eq!(find(&table, b"one", NOW + 7), Some(a));
}

#[test]
fn a_full_table_lets_the_never_presented_go_first() {
    for max in [1000, 50_000] {
        let (table, a) = (table(max), server("a"));
        let used: Vec<[u8; 4]> = (0..max as u32 / 2).map(u32::to_be_bytes).collect();
        for id in &used {
            learn(&table, id, a, NOW);
            assert_eq!(find(&table, id, NOW), Some(a));
        }
        // A crawler, or somebody who wants the table for himself: many more ids than there is room for.
        for id in 0..4 * max as u32 {
            learn(&table, &(id + 10_000_000).to_be_bytes(), a, NOW + 1 + u64::from(id % 60));
        }
        let lost = used.iter().filter(|id| find(&table, *id, NOW + 100).is_none()).count();
        let stats = table.stats();
        assert_eq!((lost, stats.evicted_used), (0, 0), "max {max}");
        assert!(stats.held <= max as u64 && stats.evicted_new > 3 * max as u64, "{stats:?}");
    }
}

#[test]
fn a_flood_from_one_network_washes_out_its_own_sessions_alone() {
    let (table, a) = (table(4096), server("a"));
    let begin = |id: u32, from: [u8; 4], now: u64| {
        table.learn(table.key(&id.to_be_bytes()), a, Source::Head, ClientMark::of(IpAddr::from(from)), now);
    };
    // Clients that have just begun, each from elsewhere, and have not come back yet.
    (0..400_u32).for_each(|id| begin(id, [10, (id / 200) as u8, (id % 200) as u8, 1], NOW));
    for id in 1000..40_000_u32 {
        begin(id, [192, 0, 2, id as u8], NOW + 1);
    }
    let left = (0..400_u32).filter(|id| find(&table, &id.to_be_bytes(), NOW + 2).is_some()).count();
    assert_eq!(left, 400);
    let stats = table.stats();
    assert!(stats.held <= 4096 && stats.evicted_new > 30_000 && stats.evicted_used == 0, "{stats:?}");
    // Where nobody stands out, the oldest go.
    let crowd = self::table(4096);
    for id in 0..8192_u32 {
        let [_, _, high, low] = id.to_be_bytes();
        let from = ClientMark::of(IpAddr::from([10, high, low, 1]));
        crowd.learn(crowd.key(&id.to_be_bytes()), a, Source::Head, from, NOW + u64::from(id >= 4096) * 50);
    }
    let young = (4096..8192_u32).filter(|id| find(&crowd, &id.to_be_bytes(), NOW + 60).is_some()).count();
    assert!(young > 3500, "{young} of 4096 that came lately are left");
}

#[test]
fn a_table_full_of_used_sessions_loses_those_that_were_silent_for_longest() {
    let (table, a) = (table(4096), server("a"));
    for id in 0..4096_u32 {
        learn(&table, &id.to_be_bytes(), a, NOW);
        find(&table, &id.to_be_bytes(), NOW + u64::from(id >= 2048) * 50);
    }
    for id in 5000..5500_u32 {
        learn(&table, &id.to_be_bytes(), a, NOW + 60);
        find(&table, &id.to_be_bytes(), NOW + 60);
    }
    let young = (2048..4096_u32).filter(|id| find(&table, &id.to_be_bytes(), NOW + 61).is_some()).count();
    assert!(young > 2000, "{young} of 2048 that were seen lately are left");
    assert!(table.stats().held <= 4096 && table.stats().evicted_used >= 500);
}

#[test]
fn a_table_for_one_session_holds_one() {
    let (table, a) = (table(1), server("a"));
    for id in 0..50_u32 {
        learn(&table, &id.to_be_bytes(), a, NOW);
        assert_eq!(find(&table, &id.to_be_bytes(), NOW), Some(a));
        assert_eq!(table.stats().held, 1);
    }
}

#[test]
fn sweeping_takes_what_is_over_and_gives_the_room_back() {
    let (table, a) = (table(100_000), server("a"));
    (0..60_000_u32).for_each(|id| {
        learn(&table, &id.to_be_bytes(), a, NOW + if id < 100 { 500 } else { 0 });
    });
    let before = table.stats();
    (0..table.turns()).for_each(|turn| drop(table.sweep(turn, NOW + 700)));
    let after = table.stats();
    assert_eq!((before.held, after.held), (60_000, 100));
    assert!(after.bytes < before.bytes / 10, "{before:?} {after:?}");
    assert_eq!((0..60_000_u32).filter(|id| find(&table, &id.to_be_bytes(), NOW + 700).is_some()).count(), 100);
}

#[test]
fn sessions_are_counted_moved_and_ended_by_server() {
    let (table, a, b) = (table(1000), server("a"), server("b"));
    for id in 0..30_u32 {
        learn(&table, &id.to_be_bytes(), if id < 10 { a } else { b }, NOW);
    }
    find(&table, &0_u32.to_be_bytes(), NOW);
    assert_eq!(table.by_server(NOW)[&a], ServerSessions { live: 10, presented: 1 });
    let moved = table.change_all(NOW, &mut |session| {
        if session.entry().server == a {
            session.move_to(b);
        }
    });
    assert_eq!((moved, table.by_server(NOW).get(&a), table.by_server(NOW)[&b].live), (10, None, 30));
    assert_eq!(table.change_all(NOW, &mut |session| session.end()), 30);
    assert!(table.by_server(NOW).is_empty());
}

#[test]
fn an_address_is_told_again_and_ipv6_by_its_network() {
    for (given, told) in [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("255.255.255.255", "255.255.255.255"),
    ] {
        assert_eq!(client(given).address(), told.parse::<IpAddr>().unwrap());
    }
}

#[test]
fn pools_and_secrets_have_keys_of_their_own() {
    let one = table(1);
    let other_pool = SessionTable::new(&PoolName::new("shop2").unwrap(), &secret(), bounds(1));
    let other_secret =
        SessionTable::new(&PoolName::new("shop").unwrap(), &TableSecret::derive(b"Sixteen bytes of"), bounds(1));
    assert_eq!(one.key(b"id"), table(9).key(b"id"));
    assert_ne!(one.key(b"id"), other_pool.key(b"id"));
    assert_ne!(one.key(b"id"), other_secret.key(b"id"));
}

fn written(table: &SessionTable, now: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = TableWriter::begin(&secret(), &mut out);
    for turn in 0..table.turns() {
        writer.write(&PoolName::new("shop").unwrap(), &table.entries(turn, now), &mut out);
    }
    writer.finish(&mut out);
    out
}

fn load(file: &[u8], into: &SessionTable, now: u64) -> Result<(), FileFault> {
    for (pool, piece) in read_tables(file, &secret())? {
        assert_eq!(pool.as_str(), "shop");
        piece.entries().for_each(|entry| into.merge(entry, now));
    }
    Ok(())
}

#[test]
fn a_file_brings_every_session_back() {
    let (before, a, b) = (table(10_000), server("a"), server("b"));
    for id in 0..5000_u32 {
        learn(&before, &id.to_be_bytes(), if id % 2 == 0 { a } else { b }, NOW);
    }
    find(&before, &7_u32.to_be_bytes(), NOW + 1);
    before.end(before.key(&8_u32.to_be_bytes()), NOW + 1);
    let after = table(10_000);
    load(&written(&before, NOW + 2), &after, NOW + 100).unwrap();
    for id in 0..5000_u32 {
        let known = before.look(before.key(&id.to_be_bytes()), NOW + 100);
        assert_eq!(after.look(after.key(&id.to_be_bytes()), NOW + 100), known);
        assert_eq!(known.is_none(), id == 8);
    }
    let late = table(10_000);
    load(&written(&before, NOW + 2), &late, NOW + 5000).unwrap();
    assert_eq!(late.stats().held, 0, "what went idle meanwhile does not come back");
}

#[test]
fn a_torn_foreign_or_changed_file_is_refused() {
    let before = table(100);
    (0..20_u32).for_each(|id| {
        learn(&before, &id.to_be_bytes(), server("a"), NOW);
    });
    let file = written(&before, NOW);
    assert!(read_tables(&file, &secret()).is_ok());
    for cut in 0..file.len() {
        assert!(read_tables(&file[..cut], &secret()).is_err(), "cut at {cut}");
    }
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 0x10;
        assert!(read_tables(&changed, &secret()).is_err(), "changed at {at}");
    }
    let other = TableSecret::derive(b"Sixteen bytes of");
    assert_eq!(read_tables(&file, &other).unwrap_err(), FileFault::OtherSecret);
    assert_eq!(read_tables(&[b'x'; 100], &secret()).unwrap_err(), FileFault::Foreign);
    let longer = [file.as_slice(), b"tail"].concat();
    assert_eq!(read_tables(&longer, &secret()).unwrap_err(), FileFault::Torn);
}

/// What may happen to a session on some node.
#[derive(Debug, Clone)]
enum Act {
    Learn(u8, u8, bool),
    Find(u8),
    Bind(u8, u8),
    End(u8),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..6_u8, 0..3_u8, any::<bool>()).prop_map(|(id, to, head)| Act::Learn(id, to, head)),
        (0..6_u8).prop_map(Act::Find),
        (0..6_u8, 0..3_u8).prop_map(|(id, to)| Act::Bind(id, to)),
        (0..6_u8).prop_map(Act::End),
    ]
}

fn everything(table: &SessionTable, now: u64) -> HashMap<SessionKey, Entry> {
    (0..table.turns()).flat_map(|turn| table.entries(turn, now)).map(|entry| (entry.key, entry)).collect()
}

fn act_on(table: &SessionTable, act: &Act, now: u64) {
    let to = |number: u8| server(["a", "b", "c"][usize::from(number)]);
    match *act {
        Act::Learn(id, server, head) => {
            let source = if head { Source::Head } else { Source::Body };
            table.learn(table.key(&[id]), to(server), source, ClientMark::default(), now);
        }
        Act::Find(id) => drop(table.find(table.key(&[id]), ClientMark::default(), now)),
        Act::Bind(id, server) => drop(table.bind(table.key(&[id]), to(server), now)),
        Act::End(id) => drop(table.end(table.key(&[id]), now)),
    }
}

proptest! {
    /// Two nodes act apart and tell each other everything, one of them twice and backwards: they agree.
    #[test]
    fn nodes_that_heard_of_the_same_entries_agree(
        acts in proptest::collection::vec((any::<bool>(), act(), 0..30_u64), 0..40),
        order in any::<u64>(),
    ) {
        let (left, right) = (table(100), table(100));
        let mut now = NOW;
        let mut told = Vec::new();
        for (is_left, act, passed) in &acts {
            now += passed;
            let table = if *is_left { &left } else { &right };
            act_on(table, act, now);
            if now.is_multiple_of(3) {
                told.extend(everything(table, now).into_values());
            }
        }
        told.extend(everything(&left, now).into_values());
        told.extend(everything(&right, now).into_values());
        told.iter().for_each(|entry| left.merge(*entry, now));
        let mut rng = crate::Rng::new(order);
        for _ in 0..2 * told.len() {
            right.merge(told[(rng.next_u64() % told.len() as u64) as usize], now);
        }
        told.iter().rev().for_each(|entry| right.merge(*entry, now));
        prop_assert_eq!(everything(&left, now), everything(&right, now));
    }

    /// The table is a map with times: it agrees with the plainest one.
    #[test]
    fn the_table_agrees_with_a_plain_map(acts in proptest::collection::vec((act(), 0..500_u64), 0..80)) {
        let table = table(100);
        let mut plain: HashMap<u8, (u8, u64, u64)> = HashMap::new();
        let mut now = NOW;
        for (act, passed) in &acts {
            now += passed;
            plain.retain(|_, (_, born, seen)| now - *seen <= 600 && now - *born <= 3600);
            act_on(&table, act, now);
            match *act {
                Act::Learn(id, to, head) => {
                    let known = plain.entry(id).or_insert((to, now, now));
                    if head || known.0 == to {
                        *known = (to, known.1, now);
                    }
                }
                Act::Find(id) => drop(plain.get_mut(&id).map(|known| known.2 = now)),
                Act::Bind(id, to) => drop(plain.get_mut(&id).map(|known| *known = (to, known.1, now))),
                Act::End(id) => drop(plain.remove(&id)),
            }
            for id in 0..6_u8 {
                let wanted = plain.get(&id).map(|known| server(["a", "b", "c"][usize::from(known.0)]));
                let found = table.look(table.key(&[id]), now).map(|entry| entry.server);
                prop_assert_eq!(found, wanted, "id {}", id);
            }
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let file = [b"evenkeel sess 1\n".as_slice(), &secret().mark(), &bytes].concat();
        let _ = read_tables(&file, &secret());
    }
}

#[test]
fn a_million_sessions_stay_below_64_bytes_each() {
    let (table, a) = (table(1_000_000), server("a"));
    for id in 0..1_100_000_u32 {
        learn(&table, &id.to_be_bytes(), a, NOW);
    }
    let stats = table.stats();
    assert!(stats.held <= 1_000_000 && stats.held > 930_000, "{stats:?}");
    assert!(stats.bytes / stats.held <= 64, "{} bytes for each session", stats.bytes / stats.held);
}
