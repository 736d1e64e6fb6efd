//! More than two nodes: whom a group is meant for, and what comes of it.

use super::*;

/// Several nodes that hear each other, but for those that are `None`.
fn go_on_all(nodes: &mut [Option<Node>], now: &mut Duration, time: Duration, outcome: fn(usize, &Action) -> Outcome) {
    let until = *now + time;
    while *now < until {
        *now += DEAD / 20;
        for from in 0..nodes.len() {
            let Some(node) = &mut nodes[from] else { continue };
            node.handle_timeout(*now);
            let mut beats = Vec::new();
            while let Some(action) = node.poll_action() {
                match action {
                    Action::Beat => beats.push(node.heartbeat().to_vec()),
                    Action::Start { number, .. } | Action::Stop { number, .. } => {
                        let outcome = outcome(from, &action);
                        node.apply(*now, Change::Done { number, outcome });
                    }
                    _ => {}
                }
            }
            for beat in beats {
                for (to, node) in nodes.iter_mut().enumerate().filter(|(to, _)| *to != from) {
                    let Some(node) = node else { continue };
                    node.handle_packet(*now, 0, &beat).unwrap_or_else(|error| panic!("to {to}: {error}"));
                }
            }
        }
    }
}

/// Nodes of one cluster with a group of one unit, which the first one prefers and owns.
fn with_unit(size: usize) -> (Vec<Option<Node>>, Duration) {
    let mut nodes: Vec<Option<Node>> = (0..size).map(|me| Some(unit_node(me, size, 0, Duration::ZERO))).collect();
    let mut now = Duration::ZERO;
    go_on_all(&mut nodes, &mut now, DEAD * 6, well);
    assert_eq!(role(&nodes, 0, now), Role::Owner);
    (nodes, now)
}

fn unit_node(me: usize, size: usize, life: usize, now: Duration) -> Node {
    let members = (1..=size).map(|at| Member { name: format!("lb{at}").into(), is_witness: false }).collect();
    let timing = Timing { every: DEAD / 5, warn: DEAD / 2, dead: DEAD, init: DEAD * 2, lifetime: DEAD };
    let resources = vec![Resource { name: "data".into(), is_address: false, timeout: DEAD }];
    let group = Group { name: "data".into(), prefer: vec![0], failback: None, mode: Mode::Available, resources };
    let keys = Keyring::new(vec![Key::derive(&[b'k'; 32]).unwrap()]).unwrap();
    let boot = BootId([u8::try_from(me * 16 + life).unwrap(); 16]);
    Node::new(Settings::new("edge", me, members, timing, vec![group]).unwrap(), keys, boot, now)
}

fn role(nodes: &[Option<Node>], at: usize, now: Duration) -> Role {
    nodes[at].as_ref().unwrap().view(now).groups[0].role
}

/// All goes well everywhere.
fn well(_: usize, _: &Action) -> Outcome {
    Outcome::Ok
}

/// On the first node nothing stops.
fn first_gets_stuck(node: usize, action: &Action) -> Outcome {
    if node == 0 && matches!(action, Action::Stop { .. }) { Outcome::Failed } else { Outcome::Ok }
}

#[test]
fn who_was_sent_a_group_by_a_node_that_is_stuck_hands_it_on_by_merit() {
    let (mut nodes, mut now) = with_unit(3);
    nodes[1].as_mut().unwrap().apply(now, Change::Takeover { group: 0 });
    go_on_all(&mut nodes, &mut now, DEAD * 6, first_gets_stuck);
    assert_eq!([0, 1].map(|at| role(&nodes, at, now)), [Role::Stuck, Role::Owner]);
    nodes[1].as_mut().unwrap().apply(now, Change::Score(0));
    go_on_all(&mut nodes, &mut now, DEAD * 6, first_gets_stuck);
    assert_eq!(role(&nodes, 2, now), Role::Owner, "it has all its capacity, and the owner none");
}

#[test]
fn who_was_meant_once_is_not_meant_for_ever() {
    for owner_dies in [false, true] {
        let (mut nodes, mut now) = with_unit(4);
        nodes[1].as_mut().unwrap().apply(now, Change::Takeover { group: 0 });
        go_on_all(&mut nodes, &mut now, DEAD * 6, first_gets_stuck);
        assert_eq!([0, 1].map(|at| role(&nodes, at, now)), [Role::Stuck, Role::Owner]);
        // Who was meant dies, and comes back without capacity while another one owns the group.
        nodes[1] = None;
        go_on_all(&mut nodes, &mut now, DEAD * 6, first_gets_stuck);
        assert_eq!(role(&nodes, 2, now), Role::Owner);
        nodes[1] = Some(unit_node(1, 4, 1, now));
        nodes[1].as_mut().unwrap().apply(now, Change::Score(0));
        go_on_all(&mut nodes, &mut now, DEAD * 6, first_gets_stuck);
        if owner_dies {
            nodes[2] = None;
        } else {
            nodes[2].as_mut().unwrap().apply(now, Change::Score(0));
        }
        for _ in 0..20 * 6 {
            go_on_all(&mut nodes, &mut now, DEAD / 20, first_gets_stuck);
            assert_eq!(role(&nodes, 1, now), Role::Idle, "it is the worst, and was meant long ago");
        }
        assert_eq!(role(&nodes, 3, now), Role::Owner);
    }
}

#[test]
fn a_group_whose_next_owner_dies_on_the_way_has_one_owner_again() {
    for is_first_stuck in [false, true] {
        let (mut nodes, mut now) = with_unit(3);
        nodes[1].as_mut().unwrap().apply(now, Change::Takeover { group: 0 });
        // Until the first one is stopping it for the second, which dies at that moment.
        while role(&nodes, 0, now) == Role::Owner {
            go_on_all(&mut nodes, &mut now, DEAD / 20, |_, _| Outcome::Failed);
        }
        nodes[1] = None;
        let outcome = if is_first_stuck { first_gets_stuck } else { well };
        go_on_all(&mut nodes, &mut now, DEAD * 4, outcome);
        let roles = [0, 2].map(|at| role(&nodes, at, now));
        let wanted = if is_first_stuck { [Role::Stuck, Role::Owner] } else { [Role::Owner, Role::Idle] };
        assert_eq!(roles, wanted, "the first one is preferred, where it can own it at all");
    }
}
