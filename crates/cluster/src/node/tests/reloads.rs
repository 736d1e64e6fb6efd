//! Settings that change while the owner goes on: groups and addresses.

use super::*;

/// The same settings with other groups: each a name and its addresses.
fn with_groups(node: &Node, groups: &[(&str, &[&str])]) -> Settings {
    let resource = |name: &&str| Resource { name: (*name).into(), is_address: true, timeout: DEAD };
    let group = |(name, addresses): &(&str, &[&str])| Group {
        name: (*name).into(),
        prefer: vec![0],
        failback: None,
        mode: Mode::Available,
        resources: addresses.iter().map(resource).collect(),
    };
    let Settings { me, members, timing, .. } = node.settings.clone();
    Settings::new("edge", me, members, timing, groups.iter().map(group).collect()).unwrap()
}

/// What was done to groups.
fn deeds(wanted: &[Action]) -> Vec<&Action> {
    let is_deed = |action: &&Action| {
        matches!(action, Action::Start { .. } | Action::Stop { .. } | Action::Withdraw { .. } | Action::Linger { .. })
    };
    wanted.iter().filter(is_deed).collect()
}

/// Everything that the node wants, its starts reported as done.
fn all_of(node: &mut Node, now: Duration) -> Vec<Action> {
    let mut all = Vec::new();
    while let Some(action) = node.poll_action() {
        if let Action::Start { number, .. } = action {
            node.apply(now, Change::Done { number, outcome: Outcome::Ok });
        }
        all.push(action);
    }
    all
}

#[test]
fn groups_of_addresses_come_go_and_change_while_the_owner_goes_on() {
    let (mut first, mut second, mut now) = settled();
    go_on(&mut first, &mut second, &mut now);
    let claim = first.view(now).groups[0].epoch;

    // Another group before it, and an address more in it: only what is new is started.
    let wider: [(&str, &[&str]); 2] = [("db", &["10.8.0.9"]), ("web", &["10.8.0.1", "10.8.0.2"])];
    let settings = with_groups(&first, &wider);
    assert!(first.change_settings(now, settings, &[7, 0]));
    let wanted = all_of(&mut first, now);
    assert_eq!(wanted.first(), Some(&Action::Arrange { origins: vec![None, Some(0)] }));
    let started = |wanted: &[Action]| -> Vec<(usize, usize)> {
        let place = |action: &Action| match action {
            Action::Start { group, resource, .. } => Some((*group, *resource)),
            _ => None,
        };
        wanted.iter().filter_map(place).collect()
    };
    assert_eq!(started(&wanted), [(0, 0), (1, 1)], "{wanted:?}");
    assert_eq!(deeds(&wanted).len(), 2, "{wanted:?}");
    let view = first.view(now);
    assert_eq!(view.groups.iter().map(|group| group.role).collect::<Vec<_>>(), [Role::Owner; 2]);
    assert_eq!((view.groups[0].epoch, view.groups[1].epoch), (8, claim), "claims go on from what was written down");
    assert_eq!(view.groups[1].moves.len(), 1, "it has not moved");

    // The other node follows, and hears at once who owns the new group.
    let settings = with_groups(&second, &wider);
    second.change_settings(now, settings, &[]);
    go_on(&mut first, &mut second, &mut now);
    assert_eq!(second.view(now).groups[0].owners, ["lb1".into()]);
    second.apply(now, Change::Takeover { group: 1 });
    go_on(&mut first, &mut second, &mut now);
    assert_eq!(second.view(now).groups[1].role, Role::Owner);

    // One goes where it is owned, one where it is not.
    let narrower: [(&str, &[&str]); 1] = [("web", &["10.8.0.2"])];
    let settings = with_groups(&first, &narrower);
    assert!(first.change_settings(now, settings, &[]));
    let wanted = all_of(&mut first, now);
    assert!(wanted.contains(&Action::Arrange { origins: vec![Some(1)] }), "{wanted:?}");
    assert!(wanted.contains(&Action::Note(Event::Stopped("db".into()))), "{wanted:?}");
    assert_eq!(started(&wanted), []);
    let settings = with_groups(&second, &narrower);
    second.change_settings(now, settings, &[]);
    assert_eq!(started(&all_of(&mut second, now)), [(0, 0)], "it stands elsewhere in the list, and is there already");
    go_on(&mut first, &mut second, &mut now);
    let view = second.view(now);
    assert_eq!((view.groups.len(), view.groups[0].role), (1, Role::Owner));
    assert!(!view.peers[0].is_other_config);
}

#[test]
fn an_added_address_that_does_not_start_moves_the_group_like_any_other() {
    let (mut first, mut second, mut now) = settled();
    let wider: [(&str, &[&str]); 1] = [("web", &["10.8.0.1", "10.8.0.2"])];
    let settings = with_groups(&second, &wider);
    second.change_settings(now, settings, &[]);
    let settings = with_groups(&first, &wider);
    first.change_settings(now, settings, &[]);
    carry_out_with(&mut first, now, Outcome::Failed);
    assert_eq!(first.view(now).groups[0].role, Role::Failed);
    go_on(&mut first, &mut second, &mut now);
    assert_eq!(second.view(now).groups[0].role, Role::Owner);
}

#[test]
fn an_added_address_that_does_not_start_takes_down_what_stands_behind_it_too() {
    for wider in [&["10.8.0.2", "10.8.0.1"][..], &["10.8.0.2", "10.8.0.3", "10.8.0.1"]] {
        let (mut first, mut second, mut now) = settled();
        for node in [&mut second, &mut first] {
            let settings = with_groups(node, &[("web", wider)]);
            node.change_settings(now, settings, &[]);
        }
        let mut stopped = Vec::new();
        while let Some(action) = first.poll_action() {
            match action {
                Action::Start { number, .. } => first.apply(now, Change::Done { number, outcome: Outcome::Failed }),
                Action::Stop { resource, number, .. } => {
                    stopped.push(resource);
                    first.apply(now, Change::Done { number, outcome: Outcome::Ok });
                }
                _ => {}
            }
        }
        let all: Vec<usize> = (0..wider.len()).rev().collect();
        assert_eq!(stopped, all, "the last one still runs from before");
        assert_eq!(first.view(now).groups[0].role, Role::Failed);
        go_on(&mut first, &mut second, &mut now);
        assert_eq!(second.view(now).groups[0].role, Role::Owner);
    }
}

#[test]
fn a_reload_after_a_pause_withdraws_what_was_held_before_places_change() {
    let key = [b'k'; 32];
    let resource = Resource { name: "10.8.0.9".into(), is_address: true, timeout: DEAD };
    let mail = Group {
        name: "mail".into(),
        prefer: vec![0],
        failback: None,
        mode: Mode::Available,
        resources: vec![resource],
    };
    let (mut first, _, now) = settle(node_with(0, 1, &key, vec![mail.clone()]), node_with(1, 2, &key, vec![mail]));
    let now = now + DEAD * 3;
    let settings = with_groups(&first, &[("mail", &["10.8.0.9"])]);
    assert!(first.change_settings(now, settings, &[]));
    let wanted: Vec<Action> = std::iter::from_fn(|| first.poll_action()).collect();
    let place = |action: &Action| wanted.iter().position(|wanted| wanted == action);
    let arranged = place(&Action::Arrange { origins: vec![Some(1)] });
    assert!(arranged.is_some(), "{wanted:?}");
    // In the places of before; in those of afterwards there is no second group.
    for group in [0, 1] {
        let withdrawn = place(&Action::Withdraw { group });
        assert!(withdrawn.is_some() && withdrawn < arranged, "{wanted:?}");
    }
}
