//! A flood is limited, an honest client finds its way.

use std::net::IpAddr;
use std::time::Duration;

use super::*;

const RULES: RateRules = RateRules { rate: 10, instant: 20, slip: 2 };

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn flood(limit: &mut RateLimit, client: &str, now: u64, count: usize) -> [usize; 3] {
    let client: IpAddr = client.parse().unwrap();
    let mut counts = [0; 3];
    for _ in 0..count {
        let slot = match limit.count(at(now), client) {
            Allowance::Send => 0,
            Allowance::Slip => 1,
            Allowance::Drop => 2,
        };
        counts[slot] += 1;
    }
    counts
}

#[test]
fn an_address_has_its_burst_then_its_rate() {
    let mut limit = RateLimit::new(RULES, 7);
    assert_eq!(flood(&mut limit, "192.0.2.1", 0, 100), [20, 40, 40]);
    assert_eq!(flood(&mut limit, "192.0.2.2", 0, 5), [5, 0, 0], "a neighbour is not punished");
    assert_eq!(flood(&mut limit, "192.0.2.1", 1000, 100)[0], 10);
    assert_eq!(flood(&mut limit, "192.0.2.1", 60_000, 100)[0], 20);
    assert_eq!(flood(&mut limit, "::ffff:192.0.2.1", 60_000, 10)[0], 0, "a mapped address is the same client");
}

#[test]
fn a_network_that_spreads_over_its_addresses_is_limited_too() {
    let mut limit = RateLimit::new(RULES, 7);
    let sent: usize = (0..250).map(|n| flood(&mut limit, &format!("192.0.2.{n}"), 0, 20)[0]).sum();
    assert_eq!(sent, 20 * 32);
    let sent: usize = (0..250).map(|n| flood(&mut limit, &format!("2001:db8::{n:x}"), 0, 20)[0]).sum();
    assert_eq!(sent, 20 * 2);
}

#[test]
fn a_flood_of_one_address_leaves_its_network_what_it_had() {
    for (flooding, others) in [
        ("192.0.2.1", ["192.0.2.2", "192.0.3.1", "192.0.60.1"]),
        ("2001:db8::1", ["2001:db8::2", "2001:db8:0:1::1", "2001:db8:1::1"]),
    ] {
        let mut limit = RateLimit::new(RULES, 7);
        assert_eq!(flood(&mut limit, flooding, 0, 100_000)[0], 20);
        for other in others {
            assert_eq!(flood(&mut limit, other, 0, 30)[0], 20, "{other} beside {flooding}");
        }
    }
}

#[test]
fn slip_is_counted_as_the_rules_say() {
    for (slip, wanted) in [(0, [20, 0, 80]), (1, [20, 80, 0]), (4, [20, 20, 60])] {
        let mut limit = RateLimit::new(RateRules { slip, ..RULES }, 7);
        assert_eq!(flood(&mut limit, "192.0.2.1", 0, 100), wanted, "slip {slip}");
    }
}

#[test]
fn a_cut_answer_keeps_question_and_opt_and_is_small() {
    let zones = zones_of("example.", "$TTL 1\n@ SOA a. b. 1 2 3 4 5\n@ NS a.\n");
    let pools = HashMap::new();
    let health = Health { ready: true, own: evenkeel_model::State::Up, peers: &[], pools: &pools, next_change: None };
    let server = Server { zones: &zones, health: &health, policy: &Policy::default(), cookies: None };
    let bytes = write_query(7, &question("eXample.", Type::NS), true, Some(1232));
    let from = "192.0.2.77:5353".parse().unwrap();
    let asked = Asked { bytes: &bytes, from, arrived_at: None, over: Transport::Udp, luck: 1, reserve: 0 };
    let reply = cut(server, asked).unwrap();
    assert!(reply.truncated && reply.bytes.len() == bytes.len());
    let message = Message::read(&reply.bytes).unwrap();
    assert!(message.is_truncated() && message.answer.is_empty() && message.additional.len() == 1);
    assert_eq!(message.questions[0].name.to_string(), "eXample.");
    assert!(cut(server, Asked { bytes: &reply.bytes, ..asked }).is_none());
}
