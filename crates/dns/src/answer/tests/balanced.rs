//! Health decides which addresses are answered, never whether.

use std::net::IpAddr;
use std::time::Duration;

use evenkeel_model::{PoolName, State};
use proptest::prelude::{any, prop, proptest};

use super::*;
use crate::wire::Message;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn member(address: &str, state: State) -> Member {
    Member { address: ip(address), state, tier: 0, weight: 1, was_good: false }
}

fn balanced(mode: Mode) -> Balanced {
    Balanced::usual(mode, Own::Arrival { else_use: vec![ip("2001:db8::1")] })
}

fn asker(luck: u64) -> Asker {
    Asker { client: ip("198.51.100.7"), arrived_at: Some(ip("192.0.2.1")), luck }
}

struct World {
    own: State,
    peers: Vec<Member>,
    pools: HashMap<PoolName, Vec<Member>>,
    next_change: Option<Duration>,
}

impl World {
    fn new(own: State, peers: &[Member]) -> Self {
        Self { own, peers: peers.to_vec(), pools: HashMap::new(), next_change: None }
    }

    fn pool(members: &[Member]) -> Self {
        let pools = HashMap::from([(PoolName::new("shop").unwrap(), members.to_vec())]);
        Self { own: State::Up, peers: vec![], pools, next_change: None }
    }

    fn health(&self) -> Health<'_> {
        Health { ready: true, own: self.own, peers: &self.peers, pools: &self.pools, next_change: self.next_change }
    }

    fn pick(&self, how: &Balanced, family: Type, luck: u64) -> Vec<String> {
        let picked = how.pick(family, &self.health(), &asker(luck));
        let mut shown: Vec<String> = picked.data.iter().map(|data| data.show(family)).collect();
        shown.sort();
        shown
    }
}

fn shop() -> Mode {
    Mode::Pool(PoolName::new("shop").unwrap())
}

#[test]
fn each_mode_answers_its_addresses() {
    use State::{Down, Draining, Maintenance, Unknown, Up};
    let peer = |state| [member("192.0.2.2", state), member("192.0.2.3", Down)];
    let cases: [(Mode, State, State, &[&str]); 11] = [
        (Mode::OwnAddress, Up, Up, &["192.0.2.1"]),
        (Mode::OwnAddress, Unknown, Up, &["192.0.2.1"]),
        // Its own pool is empty, or it drains: it steps aside for the healthy peer.
        (Mode::OwnAddress, Down, Up, &["192.0.2.2"]),
        (Mode::OwnAddress, Draining, Up, &["192.0.2.2"]),
        // Nobody is healthy: what nobody ordered away.
        (Mode::OwnAddress, Draining, Down, &["192.0.2.2", "192.0.2.3"]),
        (Mode::OwnAndPeers, Up, Up, &["192.0.2.1", "192.0.2.2"]),
        (Mode::OwnAndPeers, Up, Maintenance, &["192.0.2.1"]),
        (Mode::OwnAndPeers, Down, Down, &["192.0.2.1", "192.0.2.2", "192.0.2.3"]),
        (Mode::Peers, Up, Up, &["192.0.2.2"]),
        (Mode::Peers, Up, Unknown, &["192.0.2.2"]),
        (Mode::Peers, Up, Down, &["192.0.2.2", "192.0.2.3"]),
    ];
    for (mode, own, other, wanted) in cases {
        let world = World::new(own, &peer(other));
        assert_eq!(world.pick(&balanced(mode.clone()), Type::A, 1), wanted, "{mode:?} {own} {other}");
    }
    assert_eq!(World::new(Draining, &[]).pick(&balanced(Mode::Peers), Type::A, 1), ["192.0.2.1"]);
}

#[test]
fn a_node_that_is_one_of_its_own_peers_is_what_it_knows_of_itself() {
    use State::{Down, Draining, Up};
    // Its own check, 192.0.2.1, passes all the time: a node that drains still serves.
    let peers = |other| [member("192.0.2.1", Up), member("192.0.2.2", other)];
    let cases: [(Mode, State, State, &[&str]); 9] = [
        (Mode::OwnAddress, Up, Up, &["192.0.2.1"]),
        (Mode::OwnAddress, Draining, Up, &["192.0.2.2"]),
        (Mode::OwnAddress, Down, Up, &["192.0.2.2"]),
        (Mode::OwnAddress, Draining, Down, &["192.0.2.2"]),
        (Mode::OwnAndPeers, Up, Up, &["192.0.2.1", "192.0.2.2"]),
        (Mode::OwnAndPeers, Draining, Up, &["192.0.2.2"]),
        (Mode::OwnAndPeers, Down, Down, &["192.0.2.1", "192.0.2.2"]),
        (Mode::Peers, Up, Up, &["192.0.2.2"]),
        (Mode::Peers, Up, Down, &["192.0.2.2"]),
    ];
    for (mode, own, other, wanted) in cases {
        let world = World::new(own, &peers(other));
        assert_eq!(world.pick(&balanced(mode.clone()), Type::A, 1), wanted, "{mode:?} {own} {other}");
        let fixed = Balanced { own: Own::Fixed(vec![ip("192.0.2.1")]), ..balanced(mode.clone()) };
        assert_eq!(world.pick(&fixed, Type::A, 1), wanted, "{mode:?} {own} {other}, by its configured address");
    }
    let alone = World::new(Draining, &[member("192.0.2.1", Up)]);
    assert_eq!(alone.pick(&balanced(Mode::OwnAddress), Type::A, 1), ["192.0.2.1"], "there is nobody else");
}

#[test]
fn the_family_that_the_query_did_not_arrive_by_is_configured() {
    let world = World::new(State::Up, &[]);
    assert_eq!(world.pick(&balanced(Mode::OwnAddress), Type::AAAA, 1), ["2001:db8::1"]);
    let fixed = Balanced { own: Own::Fixed(vec![ip("203.0.113.9")]), ..balanced(Mode::OwnAddress) };
    assert_eq!(world.pick(&fixed, Type::A, 1), ["203.0.113.9"]);
    assert!(world.pick(&fixed, Type::AAAA, 1).is_empty(), "no address of that family is configured");
}

#[test]
fn a_pool_goes_by_tier_threshold_and_last_good() {
    use State::{Down, Up};
    let tier = |address: &str, state, tier| Member { tier, ..member(address, state) };
    let two = [tier("192.0.2.1", Up, 0), tier("192.0.2.2", Down, 0), tier("192.0.2.9", Up, 1)];
    assert_eq!(World::pool(&two).pick(&balanced(shop()), Type::A, 1), ["192.0.2.1"]);
    let first_dead = [tier("192.0.2.1", Down, 0), tier("192.0.2.9", Up, 1)];
    assert_eq!(World::pool(&first_dead).pick(&balanced(shop()), Type::A, 1), ["192.0.2.9"]);
    let strict = Balanced { min_alive_percent: 50, ..balanced(shop()) };
    let three = [member("192.0.2.1", Up), member("192.0.2.2", Down), member("192.0.2.3", Down)];
    assert_eq!(World::pool(&three).pick(&strict, Type::A, 1).len(), 3, "a third alive is not believed");
    let good = Balanced { on_all_down: OnAllDown::LastGood(vec![ip("192.0.2.3")]), ..strict };
    assert_eq!(World::pool(&three).pick(&good, Type::A, 1), ["192.0.2.3"]);
    let lost = Balanced { on_all_down: OnAllDown::LastGood(vec![ip("203.0.113.1")]), ..good };
    assert_eq!(World::pool(&three).pick(&lost, Type::A, 1).len(), 3, "last good addresses that are gone help nobody");
}

#[test]
fn servers_that_share_an_address_are_one_answer() {
    let mut members =
        vec![member("192.0.2.1", State::Up), member("192.0.2.2", State::Up), member("192.0.2.1", State::Down)];
    members.push(Member { weight: 7, ..member("192.0.2.1", State::Up) });
    for luck in 0..50 {
        assert_eq!(World::pool(&members).pick(&balanced(shop()), Type::A, luck), ["192.0.2.1", "192.0.2.2"]);
    }
}

#[test]
fn a_pool_that_is_not_in_the_view_fails_rather_than_vanishes() {
    let zone = "$TTL 1\n@ SOA a. b. 1 2 3 4 5\n@ NS a.\nshop TXT x\n";
    let loaded = load("z", zone.as_bytes().to_vec(), &"example.".parse().unwrap(), &mut NoSource);
    let mut served = Served::plain(loaded.zone.unwrap());
    assert!(served.balance(&"shop.example.".parse().unwrap(), balanced(shop())));
    assert!(!served.balance(&"none.example.".parse().unwrap(), balanced(shop())));
    let mut zones = Zones::new();
    zones.insert(served);
    assert_eq!(rcode_name(ask(&zones, "shop.example.", Type::A).rcode()), "SERVFAIL");
    assert_eq!(rcode_name(ask(&zones, "shop.example.", Type::TXT).rcode()), "NOERROR");
}

#[test]
fn no_answer_carries_the_files_addresses_of_a_name_that_health_chooses() {
    let zone = "$TTL 300\n@ SOA a. b. 1 2 3 4 5\n@ NS www\n@ MX 10 www\nwww A 192.0.2.10\nwww HTTPS 1 . alpn=h2\n\
                srv SRV 0 0 80 www\nsub NS www\n";
    let loaded = load("z", zone.as_bytes().to_vec(), &"bal.test.".parse().unwrap(), &mut NoSource);
    let mut served = Served::plain(loaded.zone.unwrap());
    assert!(served.balance(&"www.bal.test.".parse().unwrap(), balanced(shop())));
    let mut zones = Zones::new();
    zones.insert(served);
    let world = World::pool(&[member("127.0.0.1", State::Up), member("127.0.0.2", State::Down)]);
    let health = world.health();
    let server = Server { zones: &zones, health: &health, policy: &Policy::default(), cookies: None };
    let ask = |name, kind| {
        let bytes = write_query(7, &question(name, kind), false, None);
        let from = "192.0.2.77:5353".parse().unwrap();
        let asked = Asked { bytes: &bytes, from, arrived_at: None, over: Transport::Udp, luck: 1, reserve: 0 };
        Message::read(&respond(server, asked).unwrap().bytes).unwrap()
    };
    for (name, kind) in [
        ("bal.test.", Type::NS),
        ("bal.test.", Type::MX),
        ("srv.bal.test.", Type::SRV),
        ("www.bal.test.", Type::HTTPS),
        ("q.sub.bal.test.", Type::A),
        ("www.bal.test.", Type::A),
    ] {
        let got = ask(name, kind);
        assert!(!got.answer.is_empty() || !got.authority.is_empty(), "{name} {kind}");
        assert!(lines(&got.additional).is_empty(), "{name} {kind}: {:?}", lines(&got.additional));
    }
    assert_eq!(lines(&ask("www.bal.test.", Type::A).answer), ["www.bal.test. 30 IN A 127.0.0.1"]);
}

#[test]
fn weights_decide_how_often_a_server_is_first() {
    let mut members =
        vec![member("192.0.2.1", State::Up), member("192.0.2.2", State::Up), member("192.0.2.3", State::Up)];
    members[0].weight = 3;
    members[2].weight = 0;
    let world = World::pool(&members);
    let one = Balanced { at_most: 1, ..balanced(shop()) };
    let mut counts: HashMap<String, u32> = HashMap::new();
    for luck in 0..4000 {
        *counts.entry(world.pick(&one, Type::A, luck)[0].clone()).or_default() += 1;
    }
    assert_eq!(counts.len(), 2, "weight 0 gets nothing while others live");
    let share = counts["192.0.2.1"];
    assert!((2900..3100).contains(&share), "{share} of 4000 for three quarters of the weight");
    assert_eq!(world.pick(&Balanced { at_most: 2, ..balanced(shop()) }, Type::A, 5).len(), 2);
}

#[test]
fn a_hashed_client_keeps_its_server_and_losing_another_moves_nothing() {
    let members: Vec<Member> = (1..=5).map(|n| member(&format!("192.0.2.{n}"), State::Up)).collect();
    let hashed = Balanced { at_most: 1, spread: Spread::Hash, ..balanced(shop()) };
    let world = World::pool(&members);
    let first = world.pick(&hashed, Type::A, 1);
    assert_eq!(first, world.pick(&hashed, Type::A, 99));
    for lost in members.iter().filter(|m| m.address.to_string() != first[0]) {
        let left: Vec<Member> = members.iter().filter(|m| *m != lost).cloned().collect();
        assert_eq!(World::pool(&left).pick(&hashed, Type::A, 1), first);
    }
}

#[test]
fn the_ttl_shrinks_to_the_next_possible_change() {
    let mut world = World::new(State::Up, &[]);
    for (seconds, ttl) in [(None, 30), (Some(600), 30), (Some(12), 12), (Some(0), 5)] {
        world.next_change = seconds.map(Duration::from_secs);
        assert_eq!(balanced(Mode::OwnAddress).pick(Type::A, &world.health(), &asker(1)).ttl, ttl);
    }
}

fn own_zone(wildcard: bool) -> Zones {
    let servers = vec![
        ("lb1.example.com.".parse().unwrap(), vec![ip("198.51.100.10")]),
        ("ns2.api.example.com.".parse().unwrap(), vec![ip("203.0.113.20")]),
    ];
    let zone = OwnZone {
        name: "api.example.com.".parse().unwrap(),
        servers,
        wildcard,
        serial: 7,
        ns_ttl: 300,
        negative_ttl: 3600,
        balanced: Balanced { own: Own::Fixed(vec![ip("192.0.2.1")]), ..balanced(Mode::OwnAddress) },
    };
    let mut zones = Zones::new();
    zones.insert(zone.build().unwrap());
    zones
}

#[test]
fn a_node_answers_the_delegated_name_as_its_own_apex() {
    let zones = own_zone(false);
    let address = ask(&zones, "API.example.com.", Type::A);
    assert!(address.is_authoritative());
    assert_eq!(lines(&address.answer), ["api.example.com. 30 IN A 192.0.2.1"]);
    for kind in [Type::AAAA, Type::HTTPS, Type::MX] {
        let none = ask(&zones, "api.example.com.", kind);
        assert_eq!(none.authority[0].owner.to_string(), "api.example.com.", "the SOA is the child's own");
        assert_eq!((none.authority[0].kind, none.authority[0].ttl), (Type::SOA, 30));
    }
    assert_eq!(ask(&zones, "api.example.com.", Type::NS).answer.len(), 2);
    assert_eq!(
        lines(&ask(&zones, "ns2.api.example.com.", Type::A).answer),
        ["ns2.api.example.com. 300 IN A 203.0.113.20"]
    );
    assert_eq!(rcode_name(ask(&zones, "x.api.example.com.", Type::A).rcode()), "NXDOMAIN");
    assert_eq!(rcode_name(ask(&zones, "example.com.", Type::A).rcode()), "REFUSED");
    let below = ask(&own_zone(true), "x.api.example.com.", Type::A);
    assert_eq!(lines(&below.answer), ["x.api.example.com. 30 IN A 192.0.2.1"]);
}

#[test]
fn before_there_is_a_view_balanced_names_fail_and_others_do_not() {
    let zones = own_zone(false);
    let pools = HashMap::new();
    let health = Health { ready: false, own: State::Unknown, peers: &[], pools: &pools, next_change: None };
    let server = Server { zones: &zones, health: &health, policy: &Policy::default(), cookies: None };
    let ask = |kind| {
        let bytes = write_query(7, &question("api.example.com.", kind), false, Some(1232));
        let from = "192.0.2.77:5353".parse().unwrap();
        let reply =
            respond(server, Asked { bytes: &bytes, from, arrived_at: None, over: Transport::Udp, luck: 1, reserve: 0 });
        Message::read(&reply.unwrap().bytes).unwrap()
    };
    let early = ask(Type::A);
    assert_eq!(rcode_name(early.rcode()), "SERVFAIL");
    assert!(early.additional[0].data.as_wire().ends_with(&[0, 15, 0, 2, 0, 14]));
    assert_eq!(rcode_name(ask(Type::NS).rcode()), "NOERROR");
}

proptest! {
    #[test]
    fn health_never_empties_a_set(
        states in prop::collection::vec(0..5_usize, 1..9),
        weights in prop::collection::vec(0..3_u16, 9),
        tiers in prop::collection::vec(0..3_u8, 9),
        (min_alive, percent, at_most) in (0..12_usize, 0..=100_u8, 0..40_usize),
        luck in any::<u64>(),
    ) {
        let all = [State::Up, State::Down, State::Draining, State::Maintenance, State::Unknown];
        let members: Vec<Member> = states
            .iter()
            .enumerate()
            .map(|(at, state)| Member {
                address: IpAddr::from([192, 0, 2, u8::try_from(at).unwrap()]),
                state: all[*state],
                tier: tiers[at],
                weight: weights[at],
                was_good: false,
            })
            .collect();
        let how = Balanced { min_alive, min_alive_percent: percent, at_most, ..balanced(shop()) };
        let picked = World::pool(&members).pick(&how, Type::A, luck);
        assert!(!picked.is_empty());
        let alive: Vec<&Member> = members.iter().filter(|m| matches!(m.state, State::Up | State::Unknown)).collect();
        if min_alive <= 1 && percent == 0 && !alive.is_empty() {
            assert!(picked.iter().all(|text| alive.iter().any(|m| m.address.to_string() == *text)));
        }
        for mode in [Mode::OwnAddress, Mode::OwnAndPeers, Mode::Peers] {
            let world = World { own: all[states[0]], peers: members.clone(), pools: HashMap::new(), next_change: None };
            assert!(!world.pick(&Balanced { mode, ..how.clone() }, Type::A, luck).is_empty());
        }
    }
}
