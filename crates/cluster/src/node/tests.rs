mod absence;
mod many;
mod reloads;

use evenkeel_model::State;

use super::*;
use crate::action::{Change, Outcome};
use crate::event::Cause;
use crate::key::Key;
use crate::packet::Role;
use crate::settings::{Group, Member, Resource, Timing};

const DEAD: Duration = Duration::from_secs(1);

fn node(me: usize, boot: u8, secret: &[u8]) -> Node {
    node_with(me, boot, secret, Vec::new())
}

/// A node with these groups behind the usual one.
fn node_with(me: usize, boot: u8, secret: &[u8], more: Vec<Group>) -> Node {
    let keys = Keyring::new(vec![Key::derive(secret).unwrap()]).unwrap();
    Node::new(settings(me, DEAD, more), keys, BootId([boot; 16]), Duration::ZERO)
}

fn settings(me: usize, dead: Duration, more: Vec<Group>) -> Settings {
    let members = ["lb1", "lb2"].map(|name| Member { name: name.into(), is_witness: false }).to_vec();
    let timing = Timing { every: DEAD / 5, warn: dead / 2, dead, init: dead * 2, lifetime: dead };
    let resource = Resource { name: "10.8.0.1".into(), is_address: true, timeout: DEAD };
    let group =
        Group { name: "web".into(), prefer: vec![0], failback: None, mode: Mode::Available, resources: vec![resource] };
    let groups = [vec![group], more].concat();
    Settings::new("edge", me, members, timing, groups).unwrap()
}

/// Does what the node wants, and gives its heartbeats and the rest of what it wanted.
fn carry_out(node: &mut Node, now: Duration) -> (Vec<Vec<u8>>, Vec<Action>) {
    carry_out_with(node, now, Outcome::Ok)
}

/// The same where starts end so.
fn carry_out_with(node: &mut Node, now: Duration, starts: Outcome) -> (Vec<Vec<u8>>, Vec<Action>) {
    let (mut beats, mut rest) = (Vec::new(), Vec::new());
    while let Some(action) = node.poll_action() {
        match action {
            Action::Beat => beats.push(node.heartbeat().to_vec()),
            Action::Start { number, .. } => node.apply(now, Change::Done { number, outcome: starts }),
            Action::Stop { number, .. } => node.apply(now, Change::Done { number, outcome: Outcome::Ok }),
            other => rest.push(other),
        }
    }
    (beats, rest)
}

/// Two nodes that hear each other, until the first owns the group.
fn settled() -> (Node, Node, Duration) {
    settle(node(0, 1, &[b'k'; 32]), node(1, 2, &[b'k'; 32]))
}

fn settle(mut first: Node, mut second: Node) -> (Node, Node, Duration) {
    let mut now = Duration::ZERO;
    while now < DEAD * 6 {
        now += DEAD / 20;
        first.handle_timeout(now);
        for beat in carry_out(&mut first, now).0 {
            second.handle_packet(now, 0, &beat).unwrap();
        }
        second.handle_timeout(now);
        for beat in carry_out(&mut second, now).0 {
            first.handle_packet(now, 0, &beat).unwrap();
        }
    }
    carry_out(&mut first, now);
    assert_eq!(first.view(now).groups[0].role, Role::Owner);
    (first, second, now)
}

/// A step of two nodes that hear each other, and what the second wanted.
fn step(first: &mut Node, second: &mut Node, now: Duration, starts: Outcome) -> Vec<Action> {
    first.handle_timeout(now);
    for beat in carry_out(first, now).0 {
        second.handle_packet(now, 0, &beat).unwrap();
    }
    second.handle_timeout(now);
    let (beats, wanted) = carry_out_with(second, now, starts);
    for beat in beats {
        first.handle_packet(now, 0, &beat).unwrap();
    }
    wanted
}

/// From whom the group came with each claim.
fn inherited(wanted: &[Action]) -> Vec<Option<usize>> {
    let from = |action: &Action| match action {
        Action::Inherit { group: 0, from } => Some(*from),
        _ => None,
    };
    let all: Vec<_> = wanted.iter().filter_map(from).collect();
    let claims = wanted.iter().filter(|action| matches!(action, Action::Note(Event::Claimed(..)))).count();
    assert_eq!(all.len(), claims, "one with each claim: {wanted:?}");
    all
}

#[test]
fn what_was_offered_and_did_not_start_is_not_inherited_from_the_dead() {
    let (mut first, mut second, mut now) = settled();
    second.apply(now, Change::Takeover { group: 0 });
    let mut wanted = Vec::new();
    while now < DEAD * 30 {
        now += DEAD / 20;
        wanted.extend(step(&mut first, &mut second, now, Outcome::Failed));
    }
    assert_eq!(inherited(&wanted), [Some(0)], "offered once, and declined since");
    assert_eq!(first.view(now).groups[0].role, Role::Owner);
    // Now the first dies.
    let mut wanted = Vec::new();
    while second.view(now).groups[0].role != Role::Owner {
        now = second.poll_timeout();
        assert!(now < DEAD * 60, "{:?}", second.view(now).groups[0]);
        second.handle_timeout(now);
        wanted.extend(carry_out(&mut second, now).1);
    }
    assert_eq!(inherited(&wanted), [None]);
}

#[test]
fn a_node_whose_network_is_back_listens_before_it_takes_what_it_was_ordered_to() {
    let (mut first, mut second, mut now) = settled();
    second.apply(now, Change::Takeover { group: 0 });
    second.apply(now, Change::CarrierLost { group: 0 });
    second.apply(now, Change::CarrierBack { group: 0 });
    let until = now + DEAD * 3;
    let mut wanted = Vec::new();
    while now < until {
        now += DEAD / 20;
        let new = step(&mut first, &mut second, now, Outcome::Ok);
        assert!(now >= until - DEAD * 2 || inherited(&new).is_empty(), "before it has listened: {new:?}");
        wanted.extend(new);
    }
    assert_eq!(inherited(&wanted), [Some(0)]);
    assert_eq!(second.view(now).groups[0].role, Role::Owner);
}

#[test]
fn who_was_cut_off_for_any_time_hears_of_the_new_owner_before_it_claims() {
    for twentieths in 1..=60 {
        let (mut first, mut second, mut now) = settled();
        first.apply(now, Change::CarrierLost { group: 0 });
        let back = now + DEAD / 20 * twentieths;
        while now < back {
            now += DEAD / 20;
            for node in [&mut first, &mut second] {
                node.handle_timeout(now);
                carry_out(node, now);
            }
            assert_eq!(first.view(now).groups[0].role, Role::Failed, "others must not offer it what is of no use here");
        }
        first.apply(now, Change::CarrierBack { group: 0 });
        while now < back + DEAD * 4 {
            now += DEAD / 20;
            step(&mut first, &mut second, now, Outcome::Ok);
            assert!(!matches!(first.view(now).groups[0].role, Role::Starting | Role::Owner), "{twentieths} twentieths");
        }
        assert_eq!(second.view(now).groups[0].role, Role::Owner, "{twentieths} twentieths");
        assert_eq!(first.view(now).groups[0].role, Role::Idle, "it can take over again");
    }
}

#[test]
fn who_is_alone_takes_the_group_again_soon_after_its_network_is_back() {
    let mut alone = node(0, 1, &[b'k'; 32]);
    let mut now = Duration::ZERO;
    let mut run = |alone: &mut Node, time: Duration, starts: Outcome| {
        let until = now + time;
        while now < until {
            now += DEAD / 20;
            alone.handle_timeout(now);
            carry_out_with(alone, now, starts);
        }
        (now, alone.view(now).groups[0].role)
    };
    // Its device had no carrier from the beginning.
    let (now, _) = run(&mut alone, DEAD * 6, Outcome::Failed);
    alone.apply(now, Change::CarrierLost { group: 0 });
    let (now, role) = run(&mut alone, DEAD * 50, Outcome::Failed);
    assert_eq!(role, Role::Failed);
    alone.apply(now, Change::CarrierBack { group: 0 });
    assert_eq!(run(&mut alone, DEAD * 2, Outcome::Ok).1, Role::Owner);
}

#[test]
fn a_network_that_is_back_does_not_lift_what_failed_for_another_cause() {
    // Pauses after failures that are shorter than that for a network, and longer.
    for failures in [1, 3, 8] {
        let mut alone = node(0, 1, &[b'k'; 32]);
        let mut now = Duration::ZERO;
        while alone.duties[0].failures < failures {
            assert!(now < DEAD * 2000, "{} failures", alone.duties[0].failures);
            now += DEAD / 20;
            alone.handle_timeout(now);
            carry_out_with(&mut alone, now, Outcome::Failed);
        }
        let pause = alone.duties[0].paused_until;
        assert!(pause > now + DEAD * 4, "{pause:?} at {now:?}");
        for _ in 0..2 {
            alone.apply(now, Change::CarrierLost { group: 0 });
            alone.apply(now, Change::CarrierLost { group: 0 });
            alone.apply(now, Change::CarrierBack { group: 0 });
        }
        assert_eq!((alone.duties[0].paused_until, alone.duties[0].failures), (pause, failures));
        while now < pause - DEAD {
            now += DEAD / 20;
            alone.handle_timeout(now);
            carry_out(&mut alone, now);
            assert_eq!(alone.view(now).groups[0].role, Role::Failed, "at {now:?} of {pause:?}");
        }
    }
}

#[test]
fn an_address_lives_on_while_its_unit_stops_and_in_a_safe_group_no_longer_than_the_votes() {
    for mode in [Mode::Available, Mode::Safe] {
        let slow = |me: usize| {
            let resource = |name: &str, is_address| Resource { name: name.into(), is_address, timeout: DEAD * 60 };
            let resources = vec![resource("10.8.0.2", true), resource("data", false)];
            let group = Group { name: "data".into(), prefer: vec![0], failback: None, mode, resources };
            let members = ["lb1", "lb2", "lb3"].map(|name| Member { name: name.into(), is_witness: name == "lb3" });
            let timing = settings(me, DEAD, Vec::new()).timing;
            let settings = Settings::new("edge", me, members.to_vec(), timing, vec![group]).unwrap();
            let keys = Keyring::new(vec![Key::derive(&[b'k'; 32]).unwrap()]).unwrap();
            Node::new(settings, keys, BootId([u8::try_from(me).unwrap(); 16]), Duration::ZERO)
        };
        let (mut first, mut second, mut now) = settle(slow(0), slow(1));
        first.apply(now, Change::Standby { group: 0 });
        let (stops_at, mut renewed_at, mut withdrawn_at) = (now, now, None);
        while now < stops_at + DEAD * 4 {
            now += DEAD / 20;
            first.handle_timeout(now);
            // Nothing is heard of the stop.
            while let Some(action) = first.poll_action() {
                match action {
                    Action::Beat => second.handle_packet(now, 0, first.heartbeat()).unwrap(),
                    Action::Renew { group: 0 } => renewed_at = now,
                    Action::Withdraw { group: 0 } => withdrawn_at = withdrawn_at.or(Some(now)),
                    _ => {}
                }
            }
            assert!(withdrawn_at.is_some() || now - renewed_at <= DEAD / 2, "{mode:?}: its lifetime ends at {now:?}");
            second.handle_timeout(now);
            for beat in carry_out(&mut second, now).0 {
                first.handle_packet(now, 0, &beat).unwrap();
            }
        }
        assert_eq!(first.view(now).groups[0].role, Role::Stopping, "{mode:?}");
        let within = withdrawn_at.map(|at| at - stops_at <= DEAD);
        assert_eq!(within, (mode == Mode::Safe).then_some(true), "{mode:?}");
    }
}

#[test]
fn addresses_are_renewed_at_once_where_the_next_renewal_comes_later_than_before() {
    let (mut first, _, now) = settled();
    assert!(first.change_settings(now, settings(0, DEAD * 10, Vec::new()), &[]));
    let wanted = carry_out(&mut first, now).1;
    assert!(wanted.contains(&Action::Renew { group: 0 }), "{wanted:?}");
}

#[test]
fn what_does_not_overlap_goes_where_it_was_sent_and_not_back() {
    let data = || {
        let resource = Resource { name: "data".into(), is_address: false, timeout: DEAD };
        let prefer = vec![0];
        Group { name: "data".into(), prefer, failback: None, mode: Mode::Available, resources: vec![resource] }
    };
    let key = [b'k'; 32];
    let (mut first, mut second, mut now) =
        settle(node_with(0, 1, &key, vec![data()]), node_with(1, 2, &key, vec![data()]));
    second.apply(now, Change::Takeover { group: 1 });
    let until = now + DEAD * 3;
    let (mut has_left, mut free_for) = (false, Duration::ZERO);
    while now < until {
        now += DEAD / 20;
        step(&mut first, &mut second, now, Outcome::Ok);
        let roles = [&first, &second].map(|node| node.view(now).groups[1].role);
        has_left |= roles[0] == Role::Idle;
        assert!(!has_left || roles[0] == Role::Idle, "it was sent away, and is taken back");
        if roles == [Role::Idle, Role::Idle] {
            free_for += DEAD / 20;
        }
    }
    assert_eq!(second.view(now).groups[1].role, Role::Owner);
    assert!(free_for <= DEAD / 5, "free for {free_for:?}: nobody was better, and it waited");
}

#[test]
fn an_address_does_not_wait_for_the_unit_of_another_group() {
    let data = || {
        let resource = Resource { name: "data".into(), is_address: false, timeout: DEAD * 4 };
        let prefer = vec![0];
        Group { name: "data".into(), prefer, failback: None, mode: Mode::Available, resources: vec![resource] }
    };
    let key = [b'k'; 32];
    let (mut first, mut second, mut now) =
        settle(node_with(0, 1, &key, vec![data()]), node_with(1, 2, &key, vec![data()]));
    let claims = |node: &mut Node, now: Duration| {
        let of = |action: Action| match action {
            Action::Note(Event::Claimed(group, ..)) => Some(group.to_string()),
            _ => None,
        };
        carry_out(node, now).1.into_iter().filter_map(of).collect::<Vec<_>>()
    };
    assert_eq!([0, 1].map(|group| first.view(now).groups[group].role), [Role::Owner; 2]);
    claims(&mut second, now);
    // The process of the first is dead, and its guard stops the unit: longer than a dead node is waited for otherwise.
    second.handle_packet(now, 0, first.notice()).unwrap();
    assert_eq!(claims(&mut second, now), ["web"]);
    let until = now + DEAD * 5;
    while now < until {
        now = second.poll_timeout();
        second.handle_timeout(now);
        assert_eq!(claims(&mut second, now), [""; 0]);
    }
    second.handle_packet(now, 0, first.resignation()).unwrap();
    assert_eq!(claims(&mut second, now), ["data"]);
    // Where nothing but addresses runs there is nothing to wait for.
    first.apply(now, Change::Leave);
    while !first.has_left() {
        now = first.poll_timeout();
        first.handle_timeout(now);
        carry_out(&mut first, now);
    }
    assert!(first.notice().is_empty());
}

#[test]
fn a_second_pause_while_it_asks_does_not_answer_the_question() {
    let (mut first, _, mut now) = settled();
    for pause in 0..3 {
        now += DEAD * 3;
        first.handle_timeout(now);
        let (_, wanted) = carry_out(&mut first, now);
        assert_eq!(first.view(now).phase, Phase::Doubting, "pause {pause}");
        assert!(!wanted.contains(&Action::Restore { group: 0 }), "pause {pause}: {wanted:?}");
    }
    // Nobody answers: after the dead time it is alone.
    let until = now + DEAD;
    while now < until {
        now = first.poll_timeout();
        first.handle_timeout(now);
    }
    assert!(carry_out(&mut first, now).1.contains(&Action::Restore { group: 0 }));
}

/// Lets both run for some dead times.
fn go_on(first: &mut Node, second: &mut Node, now: &mut Duration) {
    for _ in 0..200 {
        *now += DEAD / 20;
        for turn in [0, 1] {
            let (one, other) = if turn == 0 { (&mut *first, &mut *second) } else { (&mut *second, &mut *first) };
            one.handle_timeout(*now);
            for beat in carry_out(one, *now).0 {
                other.handle_packet(*now, 0, &beat).unwrap();
            }
        }
    }
}

#[test]
fn times_and_preferences_change_while_the_owner_goes_on() {
    let (mut first, mut second, mut now) = settled();
    let changed = |node: &Node| {
        let mut settings = node.settings.clone();
        settings.groups[0].prefer = vec![1];
        settings.groups[0].failback = Some(DEAD * 4);
        let timing = Timing { every: DEAD / 10, ..settings.timing };
        Settings::new("edge", settings.me, settings.members, timing, settings.groups).unwrap()
    };
    for node in [&mut first, &mut second] {
        let settings = changed(node);
        assert!(node.change_settings(now, settings, &[]));
    }
    assert_eq!(first.view(now).groups[0].role, Role::Owner);
    let (_, wanted) = carry_out(&mut first, now);
    assert!(!wanted.iter().any(|action| matches!(action, Action::Withdraw { .. } | Action::Stop { .. })), "{wanted:?}");
    go_on(&mut first, &mut second, &mut now);
    go_on(&mut first, &mut second, &mut now);
    assert_eq!(second.view(now).groups[0].role, Role::Owner, "it is preferred now, and has been well for long enough");

    let mut others = changed(&first);
    others.groups[0].resources[0].is_address = false;
    assert!(!first.change_settings(now, others, &[]));
}

#[test]
fn a_drained_node_gives_up_what_another_can_own_and_says_so() {
    let (mut first, mut second, mut now) = settled();
    assert_eq!(second.held_for(now)[..3], [Some(State::Up), None, None]);
    first.apply(now, Change::Aside(true));
    go_on(&mut first, &mut second, &mut now);
    assert_eq!((first.view(now).groups[0].role, second.view(now).groups[0].role), (Role::Idle, Role::Owner));
    assert_eq!(second.held_for(now)[0], Some(State::Draining));
    assert!(second.view(now).peers[0].is_aside);

    first.apply(now, Change::Takeover { group: 0 });
    let refused = carry_out(&mut first, now).1;
    assert!(refused.iter().any(|action| matches!(action, Action::Note(Event::Refused(..)))), "{refused:?}");
    go_on(&mut first, &mut second, &mut now);
    assert_eq!(second.view(now).groups[0].role, Role::Owner);

    // Where nobody else is left it serves all the same.
    for _ in 0..200 {
        now += DEAD / 20;
        first.handle_timeout(now);
        carry_out(&mut first, now);
    }
    assert_eq!(first.view(now).groups[0].role, Role::Owner);
    assert_eq!(first.held_for(now)[1], Some(State::Down));
    first.apply(now, Change::Aside(false));
    first.apply(now, Change::Takeover { group: 0 });
    assert!(!carry_out(&mut first, now).1.iter().any(|action| matches!(action, Action::Note(Event::Refused(..)))));
}

#[test]
fn packets_that_nobody_sealed_do_not_fill_the_log() {
    let (mut first, mut second, mut now) = settled();
    let mut stranger = node(1, 3, &[b's'; 32]);
    let mut told = 0;
    for round in 0..400_u32 {
        now += DEAD / 20;
        // By turns under another key, and torn: with a sound packet between them.
        stranger.handle_timeout(now);
        carry_out(&mut stranger, now);
        let mut packet = stranger.heartbeat().to_vec();
        packet.truncate(packet.len() - usize::from(round % 2 == 0));
        assert!(first.handle_packet(now, 0, &packet).is_err());
        second.handle_timeout(now);
        for beat in carry_out(&mut second, now).0 {
            first.handle_packet(now, 0, &beat).unwrap();
        }
        first.handle_timeout(now);
        let (beats, wanted) = carry_out(&mut first, now);
        told += wanted.iter().filter(|action| matches!(action, Action::Note(Event::Trouble(..)))).count();
        for beat in beats {
            second.handle_packet(now, 0, &beat).unwrap();
        }
    }
    assert_eq!(told, 1, "in twenty dead times");
}

#[test]
fn a_router_that_dies_is_missed_by_each_node_at_its_own_moment_and_moves_nothing() {
    let (mut first, mut second, mut now) = settled();
    first.apply(now, Change::Reaches(false));
    for _ in 0..8 {
        now += DEAD / 20;
        step(&mut first, &mut second, now, Outcome::Ok);
    }
    second.apply(now, Change::Reaches(false));
    go_on(&mut first, &mut second, &mut now);
    let view = first.view(now).groups.remove(0);
    assert_eq!((view.role, view.epoch), (Role::Owner, 1));

    // It was not the router, as it turns out.
    second.apply(now, Change::Reaches(true));
    go_on(&mut first, &mut second, &mut now);
    assert_eq!(second.view(now).groups[0].role, Role::Owner);
}

#[test]
fn each_node_says_whom_it_hears() {
    let member = |name: &str| Member { name: name.into(), is_witness: false };
    let timing = Timing { every: DEAD / 5, warn: DEAD / 2, dead: DEAD, init: DEAD * 2, lifetime: DEAD };
    let keys = Keyring::new(vec![Key::derive(&[b'k'; 32]).unwrap()]).unwrap();
    let made = |me: usize| {
        let members = ["lb1", "lb2", "lb3"].map(member).to_vec();
        let settings = Settings::new("edge", me, members, timing, Vec::new()).unwrap();
        Node::new(settings, keys.clone(), BootId([me as u8 + 1; 16]), Duration::ZERO)
    };
    let mut nodes = [0, 1, 2].map(made);
    let mut now = Duration::ZERO;
    while now < DEAD * 6 {
        now += DEAD / 20;
        for from in 0..3 {
            nodes[from].handle_timeout(now);
            for beat in carry_out(&mut nodes[from], now).0 {
                // What the second says does not come to the third, after a while in which it did.
                let is_cut = |to: usize| from == 1 && to == 2 && now > DEAD * 3;
                for to in (0..3).filter(|to| *to != from && !is_cut(*to)) {
                    nodes[to].handle_packet(now, 0, &beat).unwrap();
                }
            }
        }
    }
    let seen: Vec<_> = nodes[0].view(now).peers.into_iter().map(|peer| (peer.hears, peer.deaf_to)).collect();
    let names = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect::<Vec<Arc<str>>>();
    assert_eq!(seen, [(names(&["lb1", "lb3"]), names(&[])), (names(&["lb1"]), names(&["lb2"]))]);
    assert_eq!(nodes[2].view(now).peers[1].hears, names(&[]), "of one that is not heard nothing is known");
    assert!(nodes[0].view(now).peers[0].paths[1].is_silent && !nodes[0].view(now).peers[0].paths[0].is_silent);
}

#[test]
fn groups_that_differ_do_not_move_between_their_nodes() {
    let other = |timeout: Duration| Group {
        name: "db".into(),
        prefer: vec![0],
        failback: None,
        mode: Mode::Available,
        resources: vec![Resource { name: "10.8.0.2".into(), is_address: true, timeout }],
    };
    let first = node_with(0, 1, &[b'k'; 32], vec![other(DEAD)]);
    let second = node_with(1, 2, &[b'k'; 32], vec![other(DEAD * 2)]);
    let (mut first, mut second, mut now) = settle(first, second);
    assert!(first.view(now).peers[0].is_other_config);
    for group in [0, 1] {
        second.apply(now, Change::Takeover { group });
    }
    go_on(&mut first, &mut second, &mut now);
    let roles = |node: &Node| node.view(now).groups.iter().map(|group| group.role).collect::<Vec<_>>();
    assert_eq!((roles(&first), roles(&second)), (vec![Role::Idle, Role::Owner], vec![Role::Owner, Role::Idle]));
}

#[test]
fn an_order_that_cannot_be_followed_says_why_and_a_view_where_the_group_is() {
    let (mut first, mut second, mut now) = settled();
    let (takeover, standby) = (Change::Takeover { group: 0 }, Change::Standby { group: 0 });
    let elsewhere = second.view(now).groups[0].clone();
    assert_eq!((elsewhere.cause, elsewhere.is_moving), (Cause::Elsewhere("lb1".into()), false));

    let hear = |first: &mut Node, second: &mut Node, now: &mut Duration| {
        for _ in 0..8 {
            *now += DEAD / 20;
            step(first, second, *now, Outcome::Ok);
        }
    };
    second.apply(now, Change::Aside(true));
    assert!(second.refusal(now, takeover).is_some_and(|why| why.contains("drained")));
    hear(&mut first, &mut second, &mut now);
    assert!(first.refusal(now, standby).is_some_and(|why| why.contains("no other node")));
    second.apply(now, Change::Aside(false));
    hear(&mut first, &mut second, &mut now);
    assert_eq!((first.refusal(now, standby), second.refusal(now, takeover)), (None, None));

    second.apply(now, takeover);
    assert!(second.view(now).groups[0].is_moving);
    let until = now + DEAD * 3;
    while second.view(now).groups[0].role != Role::Owner {
        now += DEAD / 20;
        assert!(now < until);
        step(&mut first, &mut second, now, Outcome::Ok);
    }
    hear(&mut first, &mut second, &mut now);
    assert_eq!(first.view(now).groups[0].cause, Cause::Elsewhere("lb2".into()));
}

#[test]
fn the_next_owner_is_no_stranger_while_a_group_goes_there() {
    let (mut first, mut second, mut now) = settled();
    let announces = |node: &mut Node, now| {
        node.apply(now, Change::ForeignOwner { group: 0 });
        carry_out(node, now).1.contains(&Action::Announce { group: 0 })
    };
    assert!(first.is_ours(0) && announces(&mut first, now));
    second.apply(now, Change::Takeover { group: 0 });
    let until = now + DEAD * 3;
    while first.view(now).groups[0].role == Role::Owner {
        now += DEAD / 20;
        assert!(now < until);
        step(&mut first, &mut second, now, Outcome::Ok);
    }
    assert!(!first.is_ours(0) && !announces(&mut first, now));
}

#[test]
fn what_is_stuck_says_what_does_not_stop() {
    let (mut first, _, mut now) = settled();
    first.apply(now, Change::CarrierLost { group: 0 });
    let until = now + DEAD * 30;
    while first.view(now).groups[0].role != Role::Stuck {
        while let Some(action) = first.poll_action() {
            if let Action::Stop { number, .. } = action {
                first.apply(now, Change::Done { number, outcome: Outcome::Failed });
            }
        }
        now += DEAD / 20;
        assert!(now < until);
        first.handle_timeout(now);
    }
    let cause = first.view(now).groups[0].cause.clone();
    assert_eq!(cause, Cause::Stuck("10.8.0.1".into()));
    assert!(cause.to_string().contains("evenkeel cluster ready"));
}
