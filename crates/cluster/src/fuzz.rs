//! An entry for a fuzzer: it takes any bytes, and states what must hold for all of them.
//!
//! Not used by the product. The invariant: it never panics.

use std::time::Duration;

use crate::key::{Key, Keyring};
use crate::node::Node;
use crate::packet::BootId;
use crate::settings::{Group, Member, Mode, Resource, Settings, Timing};

/// Bytes of a heartbeat before its seal that say whose it is: magic, kind, key, counts, cluster, sender.
const ADDRESS: usize = 16;

/// Any bytes as a heartbeat: as they came, and as what a member of the cluster that went mad would send. Whatever comes,
/// the node goes on, and hears another member.
pub fn heartbeat(bytes: &[u8]) {
    let (Some(mut node), Some(mut other)) = (member(0), member(1)) else { return };
    let mut now = Duration::from_secs(1);
    let heard_raw = node.handle_packet(now, 0, bytes);
    assert!(heard_raw.is_err() || bytes == node.heartbeat(), "nobody sealed this");
    turn(&mut node, &mut now);
    turn(&mut other, &mut Duration::from_secs(1));
    // What a third member says: its address is right, the rest is as it comes.
    let Some(third) = member(2) else { return };
    let mut message = third.heartbeat().get(..ADDRESS).unwrap_or_default().to_vec();
    for (at, count) in [(6, bytes.first()), (7, bytes.get(1))] {
        if let (Some(slot), Some(count)) = (message.get_mut(at), count) {
            *slot = count % 3;
        }
    }
    message.extend_from_slice(bytes.get(2..).unwrap_or_default());
    if let Some(keys) = keys() {
        let seal = keys.seal(&message);
        message.extend(seal);
        let _whatever = node.handle_packet(now, 0, &message);
    }
    for _ in 0..8 {
        turn(&mut node, &mut now);
    }
    let sound = other.heartbeat().to_vec();
    assert_eq!(node.handle_packet(now, 0, &sound), Ok(()), "a sound member is not heard any more");
    drop(node.view(now));
}

/// Lets half a second pass.
fn turn(node: &mut Node, now: &mut Duration) {
    *now += Duration::from_millis(500);
    node.handle_timeout(*now);
    for _ in 0..64 {
        if node.poll_action().is_none() {
            break;
        }
    }
}

fn keys() -> Option<Keyring> {
    Keyring::new(vec![Key::derive(b"a secret of sufficient length for this").ok()?]).ok()
}

fn member(me: usize) -> Option<Node> {
    let members = ["a", "b", "c"].map(|name| Member { name: name.into(), is_witness: false }).to_vec();
    let second = Duration::from_secs(1);
    let timing = Timing { every: second / 5, warn: second / 2, dead: second, init: second * 2, lifetime: second };
    let resource = Resource { name: "address".into(), is_address: true, timeout: second };
    let groups = [Mode::Available, Mode::Safe].into_iter().enumerate().map(|(at, mode)| Group {
        name: format!("group{at}").into(),
        prefer: vec![at],
        failback: Some(second),
        mode,
        resources: vec![resource.clone()],
    });
    let settings = Settings::new("edge", me, members, timing, groups.collect()).ok()?;
    let boot = BootId([u8::try_from(me).unwrap_or(0) + 1; 16]);
    Some(Node::new(settings, keys()?, boot, Duration::ZERO))
}
