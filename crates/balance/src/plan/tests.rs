//! Who a plan lets through, case by case.

use std::sync::Arc;

use evenkeel_model::config::{Balance, HashKey};
use evenkeel_model::{ServerName, State};

use super::{FULL_RAMP, Member, Plan};
use crate::{ServerIndex, ServerUid};

use State::{Down, Draining, Maintenance, Unknown, Up};

const HASH: Balance = Balance::Hash { key: HashKey::Client, bound: Some(200) };
const SEED: [u8; 16] = [7; 16];

fn member(name: usize, state: State) -> Member {
    let id = ServerName::new(&format!("web-{name}")).unwrap();
    Member { id, weight: 1, backup: false, state, has_address: true, ramp: FULL_RAMP }
}

fn backup(member: Member) -> Member {
    Member { backup: true, ..member }
}

fn lost(member: Member) -> Member {
    Member { has_address: false, ..member }
}

fn resting(member: Member) -> Member {
    Member { weight: 0, ..member }
}

fn plan(members: &[Member], fail_open: bool) -> Plan {
    Plan::new(members, &Balance::RoundRobin, fail_open, SEED)
}

fn eligible(plan: &Plan) -> Vec<u16> {
    plan.eligible().map(|index| index.0).collect()
}

fn kept(plan: &Plan) -> Vec<u16> {
    (0..10).filter(|index| plan.may_keep(ServerIndex(*index))).collect()
}

#[test]
fn states_weights_and_tiers_decide_who_is_chosen_and_who_is_kept() {
    let m = member;
    // Members, whether the pool fails open when it must, who gets new sessions, who keeps old ones, whether it does.
    #[allow(clippy::type_complexity)]
    let cases: Vec<(&str, Vec<Member>, &[u16], &[u16], bool)> = vec![
        ("up and unknown serve", vec![m(0, Up), m(1, Unknown), m(2, Down)], &[0, 1], &[0, 1], false),
        ("draining and weight 0 keep", vec![m(0, Up), m(1, Draining), resting(m(2, Up))], &[0], &[0, 1, 2], false),
        ("maintenance keeps nothing", vec![m(0, Up), m(1, Maintenance)], &[0], &[0], false),
        ("backups wait", vec![m(0, Up), backup(m(1, Up))], &[0], &[0, 1], false),
        ("backups serve when no primary is left", vec![m(0, Down), backup(m(1, Up))], &[1], &[1], false),
        ("a draining primary is not left", vec![m(0, Draining), backup(m(1, Up))], &[1], &[0, 1], false),
        ("all down are all tried", vec![m(0, Down), m(1, Down)], &[0, 1], &[0, 1], true),
        ("primaries are tried first", vec![m(0, Down), backup(m(1, Down))], &[0], &[0, 1], true),
        ("orders stand when all fail", vec![m(0, Down), m(1, Maintenance), m(2, Draining)], &[0], &[0, 2], true),
        ("without address none is tried", vec![lost(m(0, Down)), m(1, Down)], &[1], &[1], true),
        ("nobody has an address", vec![lost(m(0, Down)), lost(m(1, Unknown))], &[], &[], false),
        ("maintenance of all is obeyed", vec![m(0, Maintenance), m(1, Maintenance)], &[], &[], false),
        ("weight 0 is no last resort", vec![resting(m(0, Up)), resting(m(1, Down))], &[], &[0, 1], true),
    ];
    for (case, members, new, old, fails_open) in cases {
        let plan = plan(&members, true);
        assert_eq!(
            (eligible(&plan), kept(&plan), plan.fails_open()),
            (new.to_vec(), old.to_vec(), fails_open),
            "{case}"
        );
    }
}

#[test]
fn a_pool_that_does_not_fail_open_has_nobody_when_all_are_down() {
    let plan = plan(&[member(0, Down), backup(member(1, Down))], false);
    assert_eq!((eligible(&plan), kept(&plan), plan.fails_open()), (vec![], vec![], false));
}

#[test]
fn a_server_is_found_by_its_identity_wherever_it_stands() {
    let members: Vec<Member> = (0..40).map(|name| member(name, Up)).collect();
    let turned: Vec<Member> = members.iter().rev().cloned().collect();
    let (plan, turned) = (plan(&members, true), plan(&turned, true));
    for (position, member) in (0..40).zip(&members) {
        let uid = ServerUid::of(&member.id);
        assert_eq!(plan.server(uid), Some(ServerIndex(position)));
        assert_eq!(turned.server(uid), Some(ServerIndex(39 - position)));
        assert_eq!(plan.name(ServerIndex(position)), Some(&member.id));
    }
    assert_eq!(plan.server(ServerUid::of(&ServerName::new("gone").unwrap())), None);
    assert_eq!(plan.name(ServerIndex(40)), None);
    assert_eq!((plan.len(), plan.is_empty()), (40, false));
}

#[test]
fn a_big_table_outlives_verdicts_and_yields_to_new_weights() {
    let mut members: Vec<Member> = (0..100).map(|name| member(name, Up)).collect();
    let first = Plan::new(&members, &HASH, true, SEED);
    members[3].state = Down;
    members[4].ramp = 50;
    let second = Plan::following(&first, &members, &HASH, true, SEED);
    members[5].weight = 2;
    let third = Plan::following(&second, &members, &HASH, true, SEED);
    let table = |plan: &Plan| Arc::clone(plan.tables[0].as_ref().unwrap());
    assert!(Arc::ptr_eq(&table(&first), &table(&second)));
    assert!(!Arc::ptr_eq(&table(&second), &table(&third)));
    assert!(Plan::new(&members[..64], &HASH, true, SEED).tables[0].is_none());
    assert!(Plan::new(&members, &Balance::Random, true, SEED).tables[0].is_none());
}
