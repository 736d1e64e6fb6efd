//! What is ready is what the long way answers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use evenkeel_model::{PoolName, State};
use proptest::prelude::{any, prop, proptest};

use super::*;
use crate::Name;
use crate::answer::{
    Asked, Balanced, Health, Member, Mode, OnAllDown, Own, OwnZone, Policy, Served, Server, Transport, respond,
};
use crate::kind::Class;
use crate::wire::{Message, Question, write_query};
use crate::zone::{NoSource, load};

const ZONE: &str = "$TTL 300
@ SOA ns1 hostmaster 7 3600 900 1209600 60
@ NS ns1
@ NS ns.example.net.
@ MX 10 mail
ns1 A 192.0.2.1
mail A 192.0.2.2
mail AAAA 2001:db8::2
alias CNAME mail
far CNAME www.example.net.
a.b.c TXT \"deep\"
*.wild A 192.0.2.3
sub NS ns.sub
ns.sub A 192.0.2.4
tree DNAME example.net.
big TXT \"x\"
www A 192.0.2.9
";

fn shop() -> PoolName {
    PoolName::new("shop").unwrap()
}

fn plain(origin: &str, text: &str) -> Served {
    let loaded = load("z", text.as_bytes().to_vec(), &origin.parse().unwrap(), &mut NoSource);
    Served::plain(loaded.zone.unwrap())
}

fn zones_of(all: impl IntoIterator<Item = Served>) -> Zones {
    let mut zones = Zones::new();
    for served in all {
        assert!(zones.insert(served).is_none());
    }
    zones
}

fn zones() -> Zones {
    let mut served = plain("example.org.", ZONE);
    served.balance(&"www.example.org.".parse().unwrap(), Balanced::usual(Mode::Pool(shop()), Own::Fixed(vec![])));
    let own = OwnZone {
        name: "api.example.com.".parse().unwrap(),
        servers: vec![("ns.example.net.".parse().unwrap(), vec![])],
        wildcard: true,
        serial: 1,
        ns_ttl: 300,
        negative_ttl: 30,
        balanced: Balanced::usual(Mode::OwnAddress, Own::Arrival { else_use: vec!["2001:db8::77".parse().unwrap()] }),
    };
    zones_of([served, own.build().unwrap()])
}

fn pools() -> HashMap<PoolName, Vec<Member>> {
    let member = |last: u8, weight| Member {
        address: IpAddr::from([198, 51, 100, last]),
        state: State::Up,
        tier: 0,
        weight,
        was_good: false,
    };
    HashMap::from([(shop(), vec![member(1, 1), member(2, 3)])])
}

struct Both {
    zones: Zones,
    ready: Ready,
    live: Live,
    own: State,
    pools: HashMap<PoolName, Vec<Member>>,
}

impl Both {
    fn new() -> Self {
        Self::of(zones())
    }

    fn of(zones: Zones) -> Self {
        let pools = pools();
        let health = Health { ready: true, own: State::Up, peers: &[], pools: &pools, next_change: None };
        let live = Live::compile(&zones, &health);
        Self { ready: Ready::compile(&zones), zones, live, own: State::Up, pools }
    }

    /// The ready answer and the composed one.
    fn ask(&self, query: &[u8], arrived_at: Option<IpAddr>, luck: u64) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let mut out = [0; 1232];
        let way = Way { arrived_at, luck, udp_bytes: 1232 };
        let ready = self.ready.answer(&self.live, query, &way, &mut out).map(|written| out[..written.length].to_vec());
        let health = Health { ready: true, own: self.own, peers: &[], pools: &self.pools, next_change: None };
        let policy = Policy::default();
        let server = Server { zones: &self.zones, health: &health, policy: &policy, cookies: None };
        let from = "192.0.2.77:5353".parse().unwrap();
        let composed =
            respond(server, Asked { bytes: query, from, arrived_at, over: Transport::Udp, luck, reserve: 0 });
        (ready, composed.map(|reply| reply.bytes))
    }
}

#[test]
fn every_question_gets_the_same_both_ways() {
    let both = Both::new();
    let names = [
        "example.org.",
        "EXAMPLE.org.",
        "ns1.example.org.",
        "mail.example.org.",
        "Alias.example.org.",
        "far.example.org.",
        "b.c.example.org.",
        "a.b.c.example.org.",
        "x.b.c.example.org.",
        "no.example.org.",
        "no.ns1.example.org.",
        "x.wild.example.org.",
        "wild.example.org.",
        "*.wild.example.org.",
        "sub.example.org.",
        "ns.sub.example.org.",
        "x.tree.example.org.",
        "tree.example.org.",
        "big.example.org.",
        "www.example.org.",
        "api.example.com.",
        "aPi.exaMple.com.",
        "x.api.example.com.",
        "example.com.",
        "other.test.",
        ".",
    ];
    let kinds =
        [Type::A, Type::AAAA, Type::NS, Type::SOA, Type::MX, Type::TXT, Type::CNAME, Type::DS, Type::ANY, Type::HTTPS];
    let mut count = 0;
    for name in names {
        for kind in kinds {
            for size in [None, Some(512), Some(1232), Some(65_535)] {
                for arrival in ["192.0.2.50", "2001:db8::50"] {
                    let question = Question { name: name.parse().unwrap(), kind, class: Class::IN };
                    let query = write_query(0x4242, &question, true, size);
                    let (ready, composed) = both.ask(&query, Some(arrival.parse().unwrap()), 5);
                    let Some(ready) = ready else { continue };
                    count += 1;
                    let (got, wanted) = (Message::read(&ready).unwrap(), Message::read(&composed.unwrap()).unwrap());
                    assert_eq!(got, wanted, "{name} {kind} {size:?} {arrival}");
                    assert_eq!(got.questions[0].name.as_wire(), question.name.as_wire(), "the case is kept");
                }
            }
        }
    }
    assert!(count > 1000, "only {count} were ready");
}

#[test]
fn looking_ahead_changes_no_answer_and_bears_any_bytes() {
    let mut text = "$TTL 60\n@ SOA ns h 1 1 1 1 1\n@ NS ns\nns A 192.0.2.1\n".to_owned();
    (0..8000).for_each(|number| text.push_str(&format!("host{number} A 192.0.2.7\n")));
    let mut zones = Zones::new();
    let origin = "large.example.".parse().unwrap();
    zones.insert(Served::plain(load("z", text.into_bytes(), &origin, &mut NoSource).zone.unwrap()));
    let ready = Ready::compile(&zones);
    assert!(ready.table.is_large(), "so that it is looked ahead in");
    let mut queries: Vec<Vec<u8>> = (0..40)
        .map(|number| {
            let name = format!("HOST{}.large.example.", number * 300).parse().unwrap();
            write_query(number, &Question { name, kind: Type::A, class: Class::IN }, true, Some(1232))
        })
        .collect();
    queries.extend([vec![], vec![0; 11], vec![0xff; 12], vec![63; 2048], [vec![0; 12], vec![1; 400]].concat()]);
    let way = Way { arrived_at: None, luck: 0, udp_bytes: 1232 };
    let answers = |ready: &Ready| -> Vec<_> {
        let answer = |query: &Vec<u8>| {
            let mut out = [0; 1232];
            ready
                .answer(&Live::default(), query, &way, &mut out)
                .map(|written| (out[..written.length].to_vec(), written))
        };
        queries.iter().map(answer).collect()
    };
    let (before, mut ahead) = (answers(&ready), Ahead::default());
    for _ in 0..2 {
        ready.look_ahead(&mut queries.iter().map(Vec::as_slice), &mut ahead);
        assert_eq!(answers(&ready), before);
    }
    assert_eq!(before.iter().flatten().filter(|(_, written)| written.rcode == Rcode::NoError).count(), 27);
    let [slots, bytes] = ready.memory();
    assert!(slots.len() >= 16_384 * 8 && bytes.len() > 8000 * 40, "{slots:?} {bytes:?}");
}

#[test]
fn common_questions_are_ready() {
    let both = Both::new();
    for (name, kind) in [
        ("mail.example.org.", Type::A),
        ("alias.example.org.", Type::CNAME),
        ("no.example.org.", Type::A),
        ("mail.example.org.", Type::TXT),
        ("www.example.org.", Type::A),
        ("api.example.com.", Type::A),
        ("api.example.com.", Type::AAAA),
        ("api.example.com.", Type::HTTPS),
        ("other.test.", Type::A),
    ] {
        let question = Question { name: name.parse().unwrap(), kind, class: Class::IN };
        let query = write_query(1, &question, true, Some(1232));
        assert!(both.ask(&query, Some("192.0.2.50".parse().unwrap()), 0).0.is_some(), "{name} {kind}");
    }
}

#[test]
fn the_variants_share_by_weight() {
    let both = Both::new();
    let question = Question { name: "www.example.org.".parse().unwrap(), kind: Type::A, class: Class::IN };
    let query = write_query(1, &question, true, None);
    let mut firsts: HashMap<String, usize> = HashMap::new();
    for luck in 0..VARIANTS as u64 {
        let message = Message::read(&both.ask(&query, None, luck).0.unwrap()).unwrap();
        *firsts.entry(message.answer[0].data.show(Type::A)).or_default() += 1;
    }
    assert_eq!(firsts["198.51.100.1"], 16);
    assert_eq!(firsts["198.51.100.2"], 48);
}

proptest! {
    #[test]
    fn mutated_queries_get_the_same_both_ways(
        flips in prop::collection::vec((any::<u8>(), any::<u8>()), 0..3),
        size in prop::option::of(0_u16..2000),
        luck in any::<u64>(),
    ) {
        let both = Both::new();
        let question = Question { name: "mail.example.org.".parse().unwrap(), kind: Type::A, class: Class::IN };
        let mut query = write_query(7, &question, true, size);
        for (at, value) in flips {
            let length = query.len();
            query[usize::from(at) % length] = value;
        }
        let (ready, composed) = both.ask(&query, None, luck);
        if let Some(ready) = ready {
            let composed = Message::read(&composed.unwrap()).unwrap();
            assert_eq!(Message::read(&ready).unwrap(), composed);
        }
    }
}

/// A zone whose names stand in every relation to those of its name servers.
const CLOSE: &str = "$TTL 300
@ SOA ns1 hostmaster 7 3600 900 1209600 60
@ NS ns1
@ NS NS2.deep
@ NS ns.org.
@ NS ns.example.net.
@ A 192.0.2.1
@ TXT apex
ns1 A 192.0.2.2
ns1 AAAA 2001:db8::2
below.ns1 A 192.0.2.3
ns2.deep A 192.0.2.4
deep TXT \"above a name server\"
beside.deep A 192.0.2.5
www 60 A 192.0.2.6
www A 192.0.2.7
www AAAA 2001:db8::6
www MX 10 www
www TXT one \"two three\"
www CAA 0 issue ca.example
www TYPE65280 \\# 3 010203
www HTTPS 1 . alpn=h2
WWW2 A 192.0.2.8
a.long.way.down A 192.0.2.9
_x._tcp SRV 1 2 3 www
ptr PTR www
";

#[test]
fn positive_answers_are_those_of_the_long_way_byte_for_byte() {
    let mut text = CLOSE.to_owned();
    (0..60).for_each(|number| text.push_str(&format!("many A 192.0.2.{number}\nfull A 198.51.100.{number}\n")));
    // As large as fits with all that stands behind it, and larger.
    (60..80).for_each(|number| text.push_str(&format!("full A 198.51.100.{number}\n")));
    let mut count = 0;
    let glue = ["ns.org. A 192.0.2.10\n", "ns.example.net. AAAA 2001:db8::10\n"];
    for (origin, glue) in [("example.org.", &glue[..0]), ("org.", &glue[..1]), (".", &glue[..])] {
        let (origin, text): (Name, _) = (origin.parse().unwrap(), format!("{text}{}", glue.concat()));
        let mut zones = Zones::new();
        zones.insert(Served::plain(load("z", text.into_bytes(), &origin, &mut NoSource).zone.unwrap()));
        let ready = Ready::compile(&zones);
        let both = Both { zones, ready, live: Live::default(), own: State::Up, pools: pools() };
        let served = both.zones.all()[0];
        for (name, kind) in served.zone().nodes().iter().flat_map(|n| n.sets.iter().map(|set| (&n.name, set.kind))) {
            let query = write_query(9, &Question { name: name.clone(), kind, class: Class::IN }, true, Some(1232));
            let (ready, composed) = both.ask(&query, None, 0);
            let Some(ready) = ready else { continue };
            assert_eq!(ready, composed.unwrap(), "{name} {kind}");
            count += 1;
        }
    }
    assert!(count >= 3 * 22, "only {count} were ready");
}

#[test]
fn a_set_too_large_for_a_datagram_is_cut_and_never_said_not_to_be_there() {
    let mut text = CLOSE.to_owned();
    (0..100).for_each(|number| text.push_str(&format!("huge A 192.0.2.{number}\n@ TXT \"{number} {:060}\"\n", 0)));
    text.push_str("huge TXT small\n");
    let both = Both::of(zones_of([plain("example.org.", &text)]));
    for (name, kind, is_cut) in [
        ("huge.", Type::A, true),
        ("huge.", Type::TXT, false),
        ("huge.", Type::AAAA, false),
        ("", Type::TXT, true),
        ("", Type::MX, false),
        ("", Type::NS, false),
        ("", Type::SOA, false),
        ("no.", Type::A, false),
        ("no.such.", Type::TXT, false),
    ] {
        let name = format!("{name}example.org.").parse().unwrap();
        let question = Question { name, kind, class: Class::IN };
        let (ready, composed) = both.ask(&write_query(1, &question, true, Some(1232)), None, 0);
        let (ready, composed) =
            (ready.map(|bytes| Message::read(&bytes).unwrap()), Message::read(&composed.unwrap()).unwrap());
        assert_eq!(composed.is_truncated(), is_cut, "{question:?}");
        // One set is left to the long way, and nothing beside it.
        assert_eq!(ready, (!is_cut).then_some(composed), "{question:?}");
    }
}

#[test]
fn a_name_in_a_deeper_zone_of_ours_is_answered_from_there() {
    let soa = "$TTL 300\n@ SOA ns hostmaster 7 3600 900 1209600 60\n@ NS ns\nns A 192.0.2.1\n";
    let parent = format!("{soa}www.sub A 192.0.2.2\nonly.sub A 192.0.2.3\ninto CNAME www.sub\n");
    let mut parent = plain("example.org.", &parent);
    let own = Own::Fixed(vec!["198.51.100.9".parse().unwrap()]);
    assert!(parent.balance(&"only.sub.example.org.".parse().unwrap(), Balanced::usual(Mode::OwnAddress, own)));
    let mut child = plain("sub.example.org.", &format!("{soa}www A 192.0.2.4\n"));
    let pool = Balanced::usual(Mode::Pool(shop()), Own::Fixed(vec![]));
    assert!(child.balance(&"www.sub.example.org.".parse().unwrap(), pool));
    let both = Both::of(zones_of([parent, child]));
    for name in ["www.sub", "only.sub", "sub", "ns.sub", "no.sub", "ns", "no"] {
        for kind in [Type::A, Type::TXT] {
            let name = format!("{name}.example.org.").parse().unwrap();
            let question = Question { name, kind, class: Class::IN };
            let (ready, composed) = both.ask(&write_query(1, &question, true, Some(1232)), None, 3);
            let ready = Message::read(&ready.unwrap_or_else(|| panic!("{question:?} is not ready")));
            assert_eq!(ready, Message::read(&composed.unwrap()), "{question:?}");
        }
    }
}

/// Names under every kind of rule; each choice goes by the servers of the pool.
fn rules() -> Vec<Balanced> {
    let v4 = || Own::Fixed(vec!["198.51.100.9".parse().unwrap(), "2001:db8::9".parse().unwrap()]);
    let arrival = || Own::Arrival { else_use: vec!["2001:db8::77".parse().unwrap()] };
    let bare = || Own::Arrival { else_use: vec![] };
    let modes = [
        (Mode::Pool(shop()), v4()),
        (Mode::OwnAddress, v4()),
        (Mode::OwnAddress, arrival()),
        (Mode::OwnAndPeers, v4()),
        (Mode::OwnAndPeers, arrival()),
        (Mode::OwnAndPeers, bare()),
        (Mode::Peers, v4()),
        (Mode::Peers, arrival()),
        (Mode::Peers, bare()),
    ];
    let mut rules = Vec::new();
    for (mode, own) in modes {
        for (at_most, min_alive_percent, on_all_down) in
            [(8, 0, OnAllDown::All), (1, 0, OnAllDown::All), (2, 60, OnAllDown::LastGood(vec![]))]
        {
            let rule = Balanced::usual(mode.clone(), own.clone());
            rules.push(Balanced { peers: Some(shop()), at_most, min_alive_percent, on_all_down, ..rule });
        }
    }
    rules
}

fn with_rules(rules: &[Balanced]) -> Zones {
    let mut text = "$TTL 300\n@ SOA ns1 hostmaster 7 3600 900 1209600 60\n@ NS ns1\nns1 A 192.0.2.1\n".to_owned();
    (0..rules.len()).for_each(|number| text.push_str(&format!("n{number} A 192.0.2.7\n")));
    let mut served = plain("example.org.", &text);
    for (number, rule) in rules.iter().enumerate() {
        assert!(served.balance(&format!("n{number}.example.org.").parse().unwrap(), rule.clone()));
    }
    zones_of([served])
}

/// Servers of both families under some states: by the bits of a number.
fn servers(states: usize) -> HashMap<PoolName, Vec<Member>> {
    let addresses = ["198.51.100.1", "198.51.100.2", "198.51.100.2", "198.51.100.3", "2001:db8::1"];
    let member = |(at, address): (usize, &&str)| Member {
        address: address.parse().unwrap(),
        state: [State::Up, State::Down, State::Maintenance][states / 3_usize.pow(u32::try_from(at).unwrap()) % 3],
        tier: u8::from(at == 3),
        weight: u16::try_from(at + 1).unwrap(),
        was_good: at < 2,
    };
    HashMap::from([(shop(), addresses.iter().enumerate().map(member).collect())])
}

#[test]
fn each_variant_of_a_choice_is_what_the_long_way_draws() {
    let (rules, mut ready, mut left) = (rules(), 0, 0);
    let zones = with_rules(&rules);
    for states in (0..243).step_by(7) {
        let pools = servers(states);
        let health = |own| Health { ready: true, own, peers: &[], pools: &pools, next_change: None };
        for own in [State::Up, State::Draining, State::Down] {
            let live = Live::compile(&zones, &health(own));
            let both = Both { ready: Ready::compile(&zones), zones: zones.clone(), live, own, pools: pools.clone() };
            for (number, kind) in (0..rules.len()).flat_map(|number| [(number, Type::A), (number, Type::AAAA)]) {
                let name = format!("n{number}.example.org.").parse().unwrap();
                let query = write_query(1, &Question { name, kind, class: Class::IN }, true, Some(1232));
                for (arrival, luck) in
                    [("192.0.2.50", 0), ("2001:db8::50", 0), ("192.0.2.50", 37), ("2001:db8::50", 22)]
                {
                    let (got, wanted) = both.ask(&query, Some(arrival.parse().unwrap()), luck);
                    let Some(got) = got else {
                        left += 1;
                        continue;
                    };
                    ready += 1;
                    assert_eq!(got, wanted.unwrap(), "{states} {own} {kind} {arrival} {luck} {:?}", rules[number]);
                }
                // This node is one of its own peers.
                for (arrival, luck) in [("198.51.100.2", 9), ("198.51.100.3", 5), ("2001:db8::1", 21)] {
                    let (Some(got), wanted) = both.ask(&query, Some(arrival.parse().unwrap()), luck) else { continue };
                    assert_eq!(got, wanted.unwrap(), "{states} {own} {kind} {arrival} {luck} {:?}", rules[number]);
                }
            }
        }
    }
    assert!(ready > left, "{ready} were ready and {left} were not");
}

#[test]
fn choices_that_follow_a_change_are_those_made_anew_and_no_others_are_touched() {
    let beside = Balanced {
        peers: None,
        ..Balanced::usual(Mode::OwnAddress, Own::Fixed(vec!["198.51.100.9".parse().unwrap()]))
    };
    let mut rules = rules();
    rules.push(beside);
    let zones = with_rules(&rules);
    let mut live = Live::default();
    let mut last = 0;
    for states in [0, 1, 1, 9, 27, 242, 80, 0] {
        let pools = servers(states);
        let health = Health { ready: true, own: State::Up, peers: &[], pools: &pools, next_change: None };
        let next = live.following(&zones, &health);
        let anew = Live::compile(&zones, &health);
        let answers = |live: &Live| format!("{live:?}");
        assert_eq!(answers(&next), answers(&anew), "{states}");
        let kept = next.names.iter().zip(&live.names).filter(|(new, old)| Arc::ptr_eq(new, old)).count();
        if !live.names.is_empty() {
            assert_eq!(kept, if states == last { rules.len() } else { 1 }, "{states}");
        }
        (live, last) = (next, states);
    }
    let none = HashMap::new();
    let unknown = Health { ready: false, own: State::Up, peers: &[], pools: &none, next_change: None };
    assert!(live.following(&zones, &unknown).names.is_empty());
}
