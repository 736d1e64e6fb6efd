//! What comes from a peer's address and is none of its heartbeats.

use super::*;
use crate::packet::PacketError;

#[test]
fn what_comes_from_a_peers_address_and_is_none_of_its_heartbeats_is_named() {
    let (mut first, _, now) = settled();
    let named = |name: &str| Member { name: name.into(), is_witness: false };
    let strange = |cluster: &str, me: &str, secret: u8| {
        let Settings { timing, groups, .. } = settings(0, DEAD, Vec::new());
        let settings = Settings::new(cluster, 0, vec![named(me), named("lb9")], timing, groups).unwrap();
        let keys = Keyring::new(vec![Key::derive(&[secret; 32]).unwrap()]).unwrap();
        let mut node = Node::new(settings, keys, BootId([9; 16]), now);
        node.handle_timeout(now);
        carry_out(&mut node, now);
        node.heartbeat().to_vec()
    };
    let cases = [
        (strange("egde", "lb2", b'k'), PacketError::OtherCluster),
        (strange("edge", "lb3", b'k'), PacketError::Stranger),
        (strange("edge", "lb1", b'k'), PacketError::Namesake),
        (b"EKB2 and what else a later version says".to_vec(), PacketError::Foreign),
        (b"EKB1".to_vec(), PacketError::Length),
    ];
    for (packet, error) in cases {
        assert_eq!(first.handle_packet(now, 0, &packet), Err(error));
        first.blame(now, 1, 0, error);
        assert_eq!(first.view(now).peers[0].paths[0].trouble, Some(error));
    }
    // Who has not the key cannot say so.
    assert_eq!(first.handle_packet(now, 0, &strange("edge", "lb1", b's')), Ok(()));
    // And our own are no other machine's.
    let own = first.heartbeat().to_vec();
    assert_eq!(first.handle_packet(now, 0, &own), Ok(()));
}
