//! Entries for a fuzzer: each takes any bytes, and states what must hold for all of them.
//!
//! Not used by the product. The invariant: none of these panics.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use evenkeel_model::{State, caps};

use crate::answer::{Asked, Health, Policy, Server, Transport, Zones, respond};
use crate::checker::{self, Target, When};
use crate::name::Name;
use crate::wire::Message;
use crate::zone::{NoSource, Reread, Zone, ZoneText, load};

/// A message to a server with the given zones: what comes back is readable, no larger than a datagram, and the
/// answer to a response is silence.
pub fn message(zones: &Zones, bytes: &[u8]) {
    let pools = HashMap::new();
    let health = Health { ready: true, own: State::Up, peers: &[], pools: &pools, next_change: None };
    let server = Server { zones, health: &health, policy: &Policy::default(), cookies: None };
    let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 5353));
    let arrived_at = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    if let Some(reply) = respond(server, Asked { bytes, from, arrived_at, over: Transport::Udp, luck: 7, reserve: 0 }) {
        assert!(reply.bytes.len() <= caps::DNS_UDP_BYTES, "{} bytes", reply.bytes.len());
        assert!(Message::read(&reply.bytes).is_some(), "our own answer is unreadable");
        let echoed =
            respond(server, Asked { bytes: &reply.bytes, from, arrived_at, over: Transport::Udp, luck: 7, reserve: 0 });
        assert!(echoed.is_none(), "a response was answered");
    }
}

/// A zone file: its lines cover every byte; a zone that results answers any message, and follows an edit as if it were
/// read as a whole.
pub fn zone_file(bytes: &[u8]) {
    let text = ZoneText::new(bytes);
    let covered: usize = text.lines.iter().map(|line| line.end.saturating_sub(line.start)).sum();
    assert_eq!(covered, bytes.len(), "bytes are lost");
    if let Some(zone) = load("fuzz", bytes.to_vec(), &Name::root(), &mut NoSource).zone {
        // Each of the first lines goes, or comes twice.
        for line in text.lines.iter().take(4) {
            for (before, after) in [(line.start, line.end), (line.end, line.start)] {
                let (before, after) = (bytes.get(..before), bytes.get(after..));
                edited(&zone, [before.unwrap_or_default(), after.unwrap_or_default()].concat());
            }
        }
        let mut zones = Zones::new();
        zones.insert(crate::answer::Served::plain(zone));
        message(&zones, b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\xff\x00\x01");
    }
}

/// Another text of a zone: what follows from what has changed is what the whole says.
fn edited(zone: &Zone, text: Vec<u8>) {
    let text = Arc::new(text);
    let Some(Reread { zone, .. }) = zone.reread(&text) else { return };
    let whole = load("fuzz", text.to_vec(), &Name::root(), &mut NoSource);
    assert!(whole.problems.is_empty(), "something is to be said about it: {:?}", whole.report());
    let whole = whole.zone.map(|whole| (whole.soa().clone(), whole.nodes().into_iter().cloned().collect::<Vec<_>>()));
    assert_eq!(Some((zone.soa().clone(), zone.nodes().into_iter().cloned().collect())), whole);
}

/// A zone file under the checker, the verdicts drawn from `luck`: a plan either stands its own proof or is refused.
pub fn zone_checker(bytes: &[u8], luck: u64) {
    let survey = checker::survey(bytes, None);
    let states = [State::Up, State::Down, State::Unknown, State::Draining];
    let drawn = |at: usize| states.get((luck >> (at & 31)) as usize & 3).copied().unwrap_or(State::Up);
    let verdicts: HashMap<Target, State> =
        survey.targets().into_iter().enumerate().map(|(at, target)| (target, drawn(at))).collect();
    let when = When { date: 20_261_121, unix: 1_795_000_000 };
    let plan = checker::plan(bytes, &survey, &verdicts, when, false);
    let after = plan.apply(bytes).unwrap_or_default();
    assert!(plan.refused.is_none() || after == bytes, "a refused plan changes the file");
    assert!(
        plan.refused.is_none() || survey.is_broken(),
        "a sound file got no plan: {:?}",
        String::from_utf8_lossy(bytes)
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::*;

    const SEEDS: [&[u8]; 8] = [
        b"",
        b"@ 1 SOA a. b. 1 2 3 4 5\n@ NS a.\n",
        b"$TTL 1\n@ SOA a. b. 1 2 3 4 5\n@ NS a.\n;; BALANCED_AUTOCHECK::80\nw A 192.0.2.1\n;; A 192.0.2.2\n TXT x\n",
        b";; BALANCED_OPTIONS: owners=any\r\n;; BALANCED_AUTOCHECK::80\r\n;;w A (\r\n;;192.0.2.1)\r\nx A 192.0.2.1",
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01\x01a\x00\x00\x01\x00\x01\x00\x00\x29\x04\x00\x00\x00\x00\x00\x00\x00",
        b"$TTL 1\n@ SOA a. b. 092 3 4 5 6\n@ NS a.\n;; BALANCED_AUTOCHECK::80\nw A 192.0.2.1\n;;v A 192.0.2.2\n",
        b";;\"\n;; BALANCED_AUTOCHECK::80\n;;w A 192.0.2.1 (",
        b"f A 192.0.2.9\n;; BALANCED_OPTIONS: owners=any\n;; BALANCED_AUTOCHECK::80\ny A 192.0.2.1\nw A 192.0.2.3\nw A 192.0.2.4\n;;y A 192.0.2.1\n;;w A 192.0.2.2\n FOO x\n",
    ];

    #[test]
    fn the_seeds_hold() {
        for seed in SEEDS {
            message(&Zones::new(), seed);
            zone_file(seed);
            for luck in 0..64 {
                zone_checker(seed, luck);
            }
        }
    }

    proptest! {
        #[test]
        fn mutated_seeds_hold(
            seed in 0..SEEDS.len(),
            flips in prop::collection::vec((any::<u16>(), any::<u8>()), 0..4),
            cut in any::<u16>(),
            luck in any::<u64>(),
        ) {
            let mut bytes = SEEDS[seed].to_vec();
            for (at, value) in flips {
                let length = bytes.len().max(1);
                if let Some(slot) = bytes.get_mut(usize::from(at) % length) {
                    *slot = value;
                }
            }
            bytes.truncate(usize::from(cut) % 400);
            message(&Zones::new(), &bytes);
            zone_file(&bytes);
            zone_checker(&bytes, luck);
        }
    }
}
