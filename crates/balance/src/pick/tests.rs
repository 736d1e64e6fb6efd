//! What every rule must keep, and what each is for.

use std::collections::HashMap;

use evenkeel_model::config::{Balance, HashKey};
use evenkeel_model::{ServerName, State};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::{Ask, Loads, Pick, Picker};
use crate::plan::FULL_RAMP;
use crate::rng::scatter;
use crate::sticky::QUIET;
use crate::{Member, Plan, Rng, ServerIndex, ServerSet};

const SEED: [u8; 16] = [3; 16];
const NONE_TRIED: ServerSet = ServerSet::new();

/// Loads by position; a server that is at `full` or above is full.
#[derive(Debug, Clone)]
struct Fake {
    loads: Vec<u32>,
    full: u32,
}

impl Loads for Fake {
    fn in_flight(&self, index: ServerIndex) -> u32 {
        self.loads[index.at()]
    }

    fn is_full(&self, index: ServerIndex) -> bool {
        self.loads[index.at()] >= self.full
    }
}

fn idle(count: usize) -> Fake {
    Fake { loads: vec![0; count], full: u32::MAX }
}

fn members(weights: &[u16]) -> Vec<Member> {
    let member = |(n, weight): (usize, &u16)| Member {
        id: ServerName::new(&format!("web-{n}")).unwrap(),
        weight: *weight,
        backup: false,
        state: State::Up,
        has_address: true,
        ramp: FULL_RAMP,
    };
    weights.iter().enumerate().map(member).collect()
}

fn hash(bound: u16) -> Balance {
    Balance::Hash { key: HashKey::Client, bound: Some(bound) }
}

fn plan(members: &[Member], balance: &Balance) -> Plan {
    Plan::new(members, balance, true, SEED)
}

/// One worker with its luck.
struct Worker {
    picker: Picker,
    rng: Rng,
}

impl Worker {
    fn new(seed: u64) -> Self {
        Self { picker: Picker::new(), rng: Rng::new(seed) }
    }

    fn ask(&mut self, plan: &Plan, key: Option<u64>, tried: &ServerSet, loads: &Fake) -> Pick {
        self.picker.pick(plan, &Ask { key, tried, loads }, &mut self.rng)
    }

    fn next(&mut self, plan: &Plan, loads: &Fake) -> u16 {
        self.keyed(plan, None, loads)
    }

    fn keyed(&mut self, plan: &Plan, key: Option<u64>, loads: &Fake) -> u16 {
        match self.ask(plan, key, &NONE_TRIED, loads) {
            Pick::Server(index) => index.0,
            other => panic!("nobody was chosen: {other:?}"),
        }
    }

    fn counts(&mut self, plan: &Plan, loads: &Fake, picks: u32) -> Vec<u32> {
        let mut counts = vec![0; plan.len()];
        (0..picks).for_each(|_| counts[usize::from(self.next(plan, loads))] += 1);
        counts
    }
}

fn keys(count: u64) -> impl Iterator<Item = Option<u64>> {
    (0..count).map(|key| Some(scatter(key ^ 0x5bd1_e995)))
}

fn balances() -> impl Strategy<Value = Balance> {
    prop_oneof![
        Just(Balance::RoundRobin),
        Just(Balance::LeastConn),
        Just(Balance::Random),
        (100..=1000_u16).prop_map(hash),
    ]
}

fn states() -> impl Strategy<Value = State> {
    use State::{Down, Draining, Maintenance, Unknown, Up};
    prop_oneof![Just(Up), Just(Up), Just(Down), Just(Draining), Just(Maintenance), Just(Unknown)]
}

/// A pool of any size and shape, with loads and a set of servers already tried.
fn scenes() -> impl Strategy<Value = (Vec<Member>, Fake, Vec<bool>)> {
    let one = (
        0..5_u16,
        any::<bool>(),
        states(),
        prop::bool::weighted(0.9),
        0..=FULL_RAMP,
        0..6_u32,
        prop::bool::weighted(0.3),
    );
    prop::collection::vec(one, 1..150).prop_map(|rows| {
        let mut pool = members(&vec![1; rows.len()]);
        let mut loads = Fake { loads: Vec::new(), full: 4 };
        let mut tried = Vec::new();
        for (member, (weight, backup, state, has_address, ramp, load, is_tried)) in pool.iter_mut().zip(rows) {
            *member = Member { id: member.id.clone(), weight, backup, state, has_address, ramp };
            loads.loads.push(load);
            tried.push(is_tried);
        }
        (pool, loads, tried)
    })
}

/// Who may be chosen, worked out from the words of the manual rather than from a plan.
fn expected(pool: &[Member], loads: &Fake, tried: &[bool]) -> (Vec<u16>, bool) {
    let live =
        |member: &Member| member.weight > 0 && member.has_address && matches!(member.state, State::Up | State::Unknown);
    let resort = |member: &Member| member.weight > 0 && member.has_address && member.state == State::Down;
    let is_any_live = pool.iter().any(live);
    for backup in [false, true] {
        let left: Vec<usize> = (0..pool.len())
            .filter(|n| pool[*n].backup == backup && !tried[*n])
            .filter(|n| if is_any_live { live(&pool[*n]) } else { resort(&pool[*n]) })
            .collect();
        if !left.is_empty() {
            return (left.iter().filter(|n| loads.loads[**n] < loads.full).map(|n| *n as u16).collect(), true);
        }
    }
    (Vec::new(), false)
}

proptest! {
    #[test]
    fn a_picker_names_only_servers_that_may_serve_and_says_why_when_there_is_none(
        (pool, loads, tried) in scenes(), balance in balances(), key in any::<Option<u64>>(), seed in any::<u64>(),
    ) {
        let mut set = ServerSet::new();
        (0..pool.len()).filter(|n| tried[*n]).for_each(|n| set.insert(ServerIndex(n as u16)));
        let (candidates, is_any_left) = expected(&pool, &loads, &tried);
        let plan = plan(&pool, &balance);
        let mut worker = Worker::new(seed);
        for _ in 0..5 {
            match worker.ask(&plan, key, &set, &loads) {
                Pick::Server(index) => prop_assert!(candidates.contains(&index.0), "{:?} of {:?}", index, candidates),
                Pick::AllFull => prop_assert!(candidates.is_empty() && is_any_left),
                Pick::None => prop_assert!(!is_any_left),
            }
        }
    }

    #[test]
    fn turns_are_exactly_in_proportion_over_a_cycle(
        weights in prop::collection::vec(1..30_u16, 1..12), seed in any::<u64>(), cycles in 1..4_u32,
    ) {
        let plan = plan(&members(&weights), &Balance::RoundRobin);
        let loads = idle(weights.len());
        let cycle: u32 = weights.iter().map(|weight| u32::from(*weight)).sum();
        let mut worker = Worker::new(seed);
        let expected: Vec<u32> = weights.iter().map(|weight| u32::from(*weight) * cycles).collect();
        prop_assert_eq!(worker.counts(&plan, &loads, cycle * cycles), expected);
    }

    #[test]
    fn a_bound_is_never_exceeded_while_requests_only_come(
        weights in prop::collection::vec(1..10_u16, 2..90), bound in 100..300_u16, one_key in any::<bool>(),
    ) {
        let plan = plan(&members(&weights), &hash(bound));
        let mut loads = idle(weights.len());
        let mut worker = Worker::new(1);
        let shares: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        for (sent, key) in (0_u64..300).zip(keys(300)) {
            let key = if one_key { Some(42) } else { key };
            let chosen = usize::from(worker.keyed(&plan, key, &loads));
            loads.loads[chosen] += 1;
            let most = ((sent + 1) * u64::from(weights[chosen]) * u64::from(bound)).div_ceil(shares * 100);
            prop_assert!(u64::from(loads.loads[chosen]) <= most.max(QUIET), "{} of {most} at {sent}", loads.loads[chosen]);
        }
    }
}

#[test]
fn turns_of_a_heavy_server_are_spread_out() {
    let plan = plan(&members(&[5, 1, 1]), &Balance::RoundRobin);
    for seed in 0..20 {
        let mut worker = Worker::new(seed);
        let turns: Vec<u16> = (0..14).map(|_| worker.next(&plan, &idle(3))).collect();
        let cycle = [0, 0, 1, 0, 2, 0, 0];
        let is_rotation = (0..7).any(|by| turns.iter().enumerate().all(|(n, turn)| *turn == cycle[(n + by) % 7]));
        assert!(is_rotation, "{turns:?}");
    }
}

#[test]
fn workers_do_not_march_in_step() {
    let plan = plan(&members(&[1; 10]), &Balance::RoundRobin);
    let mut firsts = [0; 10];
    (0..1000).for_each(|seed| firsts[usize::from(Worker::new(seed).next(&plan, &idle(10)))] += 1);
    assert!(firsts.iter().all(|first| (60..150).contains(first)), "{firsts:?}");
}

#[test]
fn turns_are_remembered_by_name_when_the_pool_changes() {
    let before = members(&[1, 1, 1, 1]);
    let mut worker = Worker::new(9);
    let old = plan(&before, &Balance::RoundRobin);
    // To the end of a cycle, so that all are even.
    while worker.next(&old, &idle(4)) != 3 {}
    let had: Vec<String> = (0..2).map(|_| before[usize::from(worker.next(&old, &idle(4)))].id.to_string()).collect();
    // The same servers in another order: the two that have not had their turn come first.
    let after: Vec<Member> = [1, 0, 3, 2].map(|n: usize| before[n].clone()).to_vec();
    let new = plan(&after, &Balance::RoundRobin);
    let then: Vec<String> = (0..2).map(|_| after[usize::from(worker.next(&new, &idle(4)))].id.to_string()).collect();
    assert!(then.iter().all(|name| !had.contains(name)), "{had:?} then {then:?}");
}

#[test]
fn backups_serve_a_request_that_has_tried_every_primary_but_not_one_that_must_wait() {
    let mut pool = members(&[1, 1, 1]);
    pool[2].backup = true;
    let plan = plan(&pool, &Balance::RoundRobin);
    let mut worker = Worker::new(5);
    let mut tried = ServerSet::new();
    tried.insert(ServerIndex(0));
    assert_eq!(worker.ask(&plan, None, &tried, &idle(3)), Pick::Server(ServerIndex(1)));
    let loads = Fake { loads: vec![0, 9, 0], full: 9 };
    assert_eq!(worker.ask(&plan, None, &tried, &loads), Pick::AllFull);
    tried.insert(ServerIndex(1));
    assert_eq!(worker.ask(&plan, None, &tried, &loads), Pick::Server(ServerIndex(2)));
    tried.insert(ServerIndex(2));
    assert_eq!(worker.ask(&plan, None, &tried, &loads), Pick::None);
}

#[test]
fn least_conn_takes_the_least_loaded_for_its_weight() {
    let plan = plan(&members(&[1, 4, 1]), &Balance::LeastConn);
    let cases: [(&[u32], u16); 4] = [(&[1, 3, 2], 1), (&[1, 8, 2], 0), (&[5, 13, 3], 2), (&[1, 0, 1], 1)];
    for (loads, expected) in cases {
        let loads = Fake { loads: loads.to_vec(), full: u32::MAX };
        (0..5).for_each(|seed| assert_eq!(Worker::new(seed).next(&plan, &loads), expected, "{loads:?}"));
    }
}

#[test]
fn least_conn_lets_ties_take_turns_by_weight() {
    let plan = plan(&members(&[1, 3, 2, 2]), &Balance::LeastConn);
    assert_eq!(Worker::new(4).counts(&plan, &idle(4), 80), [10, 30, 20, 20]);
    let busy = Fake { loads: vec![7, 6, 9, 4], full: u32::MAX };
    let counts = Worker::new(4).counts(&plan, &busy, 80);
    // Only those that tie take turns; what went before, among all, may shift a turn or two.
    assert!(counts[0] == 0 && counts[2] == 0 && (46..=50).contains(&counts[1]), "{counts:?}");
}

#[test]
fn of_two_choices_the_less_loaded_wins() {
    let plan = plan(&members(&[1; 5]), &Balance::Random);
    let loads = Fake { loads: vec![5, 9, 5, 1, 5], full: u32::MAX };
    let counts = Worker::new(11).counts(&plan, &loads, 10_000);
    assert_eq!(counts[1], 0, "the busiest loses to any other");
    // It is one of the two with probability 2/5, and then wins.
    assert!((3800..4200).contains(&counts[3]), "{counts:?}");
}

#[test]
fn two_choices_draw_by_weight() {
    let plan = plan(&members(&[1, 2, 7]), &Balance::Random);
    let counts = Worker::new(12).counts(&plan, &idle(3), 20_000);
    for (count, weight) in counts.iter().zip([1.0, 2.0, 7.0]) {
        let expected = 20_000.0 * weight / 10.0;
        assert!((f64::from(*count) - expected).abs() < expected * 0.08, "{counts:?}");
    }
}

#[test]
fn a_request_without_a_key_is_balanced_in_turn() {
    let plan = plan(&members(&[2, 1]), &hash(200));
    assert_eq!(Worker::new(2).counts(&plan, &idle(2), 30), [20, 10]);
}

/// Where each key goes, by the server's name.
fn map_of(pool: &[Member]) -> HashMap<u64, String> {
    let plan = plan(pool, &hash(200));
    let mut worker = Worker::new(1);
    let loads = idle(pool.len());
    keys(5000).map(|key| (key.unwrap(), pool[usize::from(worker.keyed(&plan, key, &loads))].id.to_string())).collect()
}

#[test]
fn a_key_meets_the_same_server_whatever_the_order_of_the_list() {
    for count in [10, 100] {
        let pool = members(&vec![1; count]);
        let turned: Vec<Member> = pool.iter().rev().cloned().collect();
        assert_eq!(map_of(&pool), map_of(&turned), "{count} servers");
    }
}

#[test]
fn a_server_that_dies_moves_its_own_keys_and_no_others_and_gets_them_back() {
    for count in [10, 100] {
        let mut pool = members(&vec![1; count]);
        let before = map_of(&pool);
        pool[3].state = State::Down;
        let after = map_of(&pool);
        let dead = pool[3].id.to_string();
        for (key, server) in &before {
            assert_eq!(after[key] == *server, *server != dead, "{count} servers, key {key:x}");
        }
        let heirs: std::collections::HashSet<&String> =
            before.iter().filter(|(_, server)| **server == dead).map(|(key, _)| &after[key]).collect();
        assert!(heirs.len() > 5, "its keys spread over the others: {heirs:?}");
        pool[3].state = State::Up;
        assert_eq!(map_of(&pool), before);
    }
}

#[test]
fn a_pool_does_not_change_its_way_of_hashing_when_it_shrinks_to_64_living() {
    let mut pool = members(&[1; 70]);
    let before = map_of(&pool);
    pool[..10].iter_mut().for_each(|member| member.state = State::Down);
    let after = map_of(&pool);
    let dead: Vec<String> = pool[..10].iter().map(|member| member.id.to_string()).collect();
    assert!(before.iter().all(|(key, server)| dead.contains(server) || after[key] == *server));
}

#[test]
fn one_more_server_takes_about_one_in_n_keys() {
    for count in [10_usize, 100] {
        let pool = members(&vec![1; count + 1]);
        let (before, after) = (map_of(&pool[..count]), map_of(&pool));
        let moved = before.iter().filter(|(key, server)| after[*key] != **server).count();
        let fair = before.len() / (count + 1);
        assert!((fair / 2..fair * 3).contains(&moved), "{count} servers: {moved} moved, {fair} are fair");
    }
}

#[test]
fn a_server_in_slow_start_has_a_small_share_under_every_rule() {
    for (count, balance) in [(10, Balance::RoundRobin), (10, Balance::Random), (10, hash(1000)), (100, hash(1000))] {
        let mut pool = members(&vec![1; count]);
        pool[0].ramp = 200;
        let plan = plan(&pool, &balance);
        let mut worker = Worker::new(6);
        let loads = idle(count);
        let got = keys(20_000).filter(|key| worker.keyed(&plan, *key, &loads) == 0).count() as f64;
        let full = 20_000.0 / (count as f64 - 0.8);
        assert!((0.12..0.3).contains(&(got / full)), "{balance:?} of {count}: {got}");
    }
}

#[test]
fn a_hot_key_spills_to_the_same_next_server_everywhere() {
    for count in [10, 100] {
        let pool = members(&vec![1; count]);
        let unbound = plan(&pool, &Balance::Hash { key: HashKey::Client, bound: None });
        let plan = plan(&pool, &hash(200));
        let mut loads = idle(count);
        let first = Worker::new(1).keyed(&plan, Some(77), &loads);
        loads.loads[usize::from(first)] = 31;
        assert_eq!(Worker::new(2).keyed(&plan, Some(77), &loads), first, "a browser or two overload nothing");
        loads.loads[usize::from(first)] = 50;
        assert_eq!(Worker::new(2).keyed(&unbound, Some(77), &loads), first);
        let next = Worker::new(2).keyed(&plan, Some(77), &loads);
        assert_ne!(first, next);
        assert_eq!(next, Worker::new(3).keyed(&plan, Some(77), &loads));
        loads.loads.fill(50);
        assert_eq!(Worker::new(4).keyed(&plan, Some(77), &loads), first, "even load is no overload");
    }
}
