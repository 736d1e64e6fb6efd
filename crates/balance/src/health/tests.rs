//! Verdicts, in virtual time.

use std::time::Duration;

use evenkeel_model::config::{Eject, Standing};
use evenkeel_model::{Reason, State};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::{Census, CheckOutcome, Failure, Health, Policy, Resolution, Thresholds, TrafficFailure, Transition};
use crate::FULL_RAMP;

use State::{Down, Draining, Maintenance, Unknown, Up};

const AT: &str = "10.0.0.11:8080";

fn policy() -> Policy {
    Policy { check: Some(Thresholds { rise: 2, fall: 3 }), eject: Some(Eject::default()), slow_start: Duration::ZERO }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn new(policy: Policy) -> Health {
    Health::new(policy, Standing::Ready, Duration::ZERO)
}

fn passed() -> CheckOutcome {
    CheckOutcome::Passed { answer: Some("HTTP/1.1 200 OK".to_owned()) }
}

fn failed(reason: Reason) -> CheckOutcome {
    CheckOutcome::Failed(Failure { reason, at: AT.to_owned(), detail: None, answer: None })
}

fn hindered() -> CheckOutcome {
    CheckOutcome::Local { detail: "too many open files".to_owned() }
}

fn error(requests: u64) -> TrafficFailure {
    TrafficFailure { reason: Reason::StatusMismatch, at: AT.to_owned(), detail: Some("503".to_owned()), requests }
}

/// Feeds one letter a second: `p` a passed check, `f` a failed one, `l` one that we could not make; and writes
/// the state after each: `U`p, `D`own, `?` unknown.
fn played(health: &mut Health, script: &str) -> String {
    let step = |(second, letter): (u64, char)| {
        let outcome = match letter {
            'p' => passed(),
            'f' => failed(Reason::ConnectRefused),
            _ => hindered(),
        };
        health.on_check(seconds(second), outcome);
        match health.verdict().state {
            Up => 'U',
            Down => 'D',
            Unknown => '?',
            other => panic!("{other}"),
        }
    };
    (1..).zip(script.chars()).map(step).collect()
}

#[test]
fn checks_decide_with_hysteresis() {
    let cases = [
        ("p", "U"),
        ("fff", "??D"),
        ("ffp", "??U"),
        ("pffpffpfff", "UUUUUUUUUD"),
        ("pfffp", "UUUDD"),
        ("pfffpp", "UUUDDU"),
        ("pfffpfpp", "UUUDDDDU"),
        ("lll", "???"),
        ("pfflllf", "UUUUUUD"),
        ("pfffplp", "UUUDDDU"),
        ("fffllllllpp", "??DDDDDDDDU"),
    ];
    for (script, expected) in cases {
        assert_eq!(played(&mut new(policy()), script), expected, "{script}");
    }
}

#[test]
fn a_verdict_says_why_in_a_sentence() {
    let mut health = new(policy());
    assert_eq!(health.verdict().text, "no check has ended yet");
    played(&mut health, "p");
    assert_eq!((health.verdict().reason, health.verdict().text.as_str()), (Reason::CheckPassed, "checks pass"));
    assert_eq!(health.verdict().last_answer.as_deref(), Some("HTTP/1.1 200 OK"));
    let mut texts = Vec::new();
    for outcome in [failed(Reason::ConnectRefused), failed(Reason::ConnectRefused), failed(Reason::ConnectRefused)] {
        health.on_check(seconds(2), outcome);
        texts.push(health.verdict().text.clone());
    }
    assert_eq!(texts[0], "1 check was refused by 10.0.0.11:8080, and 3 in a row would take it out");
    assert_eq!(texts[2], "3 checks in a row were refused by 10.0.0.11:8080");
    assert_eq!((health.verdict().reason, &health.verdict().last_answer), (Reason::ConnectRefused, &None));
    health.on_check(seconds(3), passed());
    assert_eq!(health.verdict().text, "1 of the 2 passed checks that it takes after a failure");
    health.on_check(seconds(4), hindered());
    assert_eq!(health.verdict().reason, Reason::Local);
    assert_eq!(health.verdict().text, "no check could be made (too many open files), and the state is the one before");
}

#[test]
fn each_cause_of_a_failed_check_has_its_words() {
    let cases = [
        (Reason::ConnectTimeout, "1 check got no connection to 10.0.0.11:8080 in time"),
        (Reason::Unreachable, "1 check found no way to 10.0.0.11:8080"),
        (Reason::ConnectionLost, "1 check lost the connection to 10.0.0.11:8080 before the answer was complete"),
        (Reason::AnswerTimeout, "1 check got no answer from 10.0.0.11:8080 in time"),
        (Reason::AnswerMalformed, "1 check got a malformed answer from 10.0.0.11:8080"),
        (Reason::StatusMismatch, "1 check got an unexpected status from 10.0.0.11:8080"),
        (Reason::BodyMismatch, "1 check missed the expected text in the answer from 10.0.0.11:8080"),
    ];
    for (reason, expected) in cases {
        let mut health = new(Policy { check: Some(Thresholds { rise: 1, fall: 1 }), ..policy() });
        health.on_check(seconds(1), failed(reason));
        assert_eq!((health.verdict().reason, health.verdict().text.as_str()), (reason, expected));
    }
    let mut health = new(Policy { check: Some(Thresholds { rise: 1, fall: 1 }), ..policy() });
    let detail = Some("503, expected 200 to 399".to_owned());
    let answer = Some("HTTP/1.1 503 Service Unavailable".to_owned());
    let failure = Failure { reason: Reason::StatusMismatch, at: AT.to_owned(), detail, answer: answer.clone() };
    health.on_check(seconds(1), CheckOutcome::Failed(failure));
    let text = "1 check got an unexpected status from 10.0.0.11:8080: 503, expected 200 to 399";
    assert_eq!((health.verdict().text.as_str(), &health.verdict().last_answer), (text, &answer));
}

#[test]
fn a_transition_is_told_once_and_the_state_keeps_its_beginning() {
    let mut health = new(policy());
    let told: Vec<Option<Transition>> =
        (1..=5).map(|second| health.on_check(seconds(second), failed(Reason::ConnectRefused))).collect();
    assert_eq!(told.iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, true, false, false]);
    let transition = told[2].as_ref().unwrap();
    assert_eq!((transition.from, transition.verdict.state, transition.verdict.since), (Unknown, Down, seconds(3)));
    assert_eq!(health.verdict().since, seconds(3));
    assert_eq!(health.verdict().text, "5 checks in a row were refused by 10.0.0.11:8080", "the sentence stays fresh");
}

#[test]
fn a_pool_without_checks_trusts_its_servers() {
    let mut health = new(Policy { check: None, ..policy() });
    assert_eq!((health.verdict().state, health.verdict().reason), (Up, Reason::Unchecked));
    assert_eq!(health.on_check(seconds(1), failed(Reason::ConnectRefused)), None);
    assert_eq!(health.verdict().state, Up);
}

#[test]
fn orders_outrank_checks_and_an_operator_outranks_the_configuration() {
    let mut health = new(policy());
    played(&mut health, "p");
    let now = seconds(10);
    let steps: [(Option<Standing>, Standing, State, Reason); 6] = [
        (None, Standing::Drain, Draining, Reason::Configured),
        (Some(Standing::Ready), Standing::Drain, Up, Reason::CheckPassed),
        (Some(Standing::Maintenance), Standing::Drain, Maintenance, Reason::Operator),
        (None, Standing::Maintenance, Maintenance, Reason::Configured),
        (Some(Standing::Drain), Standing::Maintenance, Draining, Reason::Operator),
        (None, Standing::Ready, Up, Reason::CheckPassed),
    ];
    for (intent, standing, state, reason) in steps {
        health.set_standing(now, standing);
        health.set_intent(now, intent);
        assert_eq!((health.verdict().state, health.verdict().reason), (state, reason), "{intent:?} over {standing:?}");
        assert_eq!(health.weight(10), if state == Draining { 0 } else { 10 });
    }
}

#[test]
fn a_draining_server_that_fails_is_down_and_one_in_maintenance_stays_there() {
    let mut health = new(policy());
    health.set_standing(seconds(0), Standing::Drain);
    assert_eq!(health.verdict().text, "the configuration orders draining");
    (1..=3).for_each(|second| drop(health.on_check(seconds(second), failed(Reason::AnswerTimeout))));
    assert_eq!((health.verdict().state, health.weight(10)), (Down, 0));
    let told = health.set_intent(seconds(4), Some(Standing::Maintenance)).unwrap();
    assert_eq!((told.from, told.verdict.text.as_str()), (Down, "an operator orders maintenance"));
    assert_eq!(health.on_check(seconds(5), passed()), None, "checks go on unseen");
    assert_eq!(health.on_check(seconds(6), passed()), None);
    let told = health.set_intent(seconds(7), Some(Standing::Ready)).unwrap();
    assert_eq!((told.from, told.verdict.state), (Maintenance, Up));
}

#[test]
fn a_server_without_address_is_down_until_it_has_one() {
    let mut health = new(policy());
    let missing = Resolution::Missing { detail: "no such name: web.example".to_owned() };
    let told = health.on_resolve(seconds(1), missing).unwrap();
    assert_eq!((told.verdict.state, told.verdict.reason), (Down, Reason::Dns));
    assert_eq!(told.verdict.text, "its name does not resolve: no such name: web.example");
    assert_eq!(health.on_resolve(seconds(2), Resolution::Found).unwrap().verdict.state, Unknown);
    assert_eq!(health.on_resolve(seconds(3), Resolution::Found), None);
}

/// A pool of servers that have passed a check.
fn pool(count: usize, policy: &Policy) -> Vec<Health> {
    let mut pool = vec![new(policy.clone()); count];
    pool.iter_mut().for_each(|health| drop(health.on_check(Duration::ZERO, passed())));
    pool
}

/// Lets a server fail its live traffic, all of it, and says whether that took it out.
fn struck(pool: &mut [Health], which: usize, now: Duration, errors: u64) -> bool {
    (1..=errors).any(|request| {
        let census = Census::of(&*pool);
        pool[which].on_traffic(now, &error(request), census).is_some_and(|told| told.verdict.state == Down)
    })
}

#[test]
fn enough_failures_within_the_window_take_a_server_out_for_a_while() {
    let mut pool = pool(3, &policy());
    assert!(!struck(&mut pool, 0, seconds(1), 4));
    assert!(struck(&mut pool, 0, seconds(2), 1));
    let verdict = pool[0].verdict();
    assert_eq!((verdict.state, verdict.reason), (Down, Reason::TrafficFailing));
    assert_eq!(
        verdict.text,
        "5 of 5 requests failed within 10s, and the last got an unexpected status from 10.0.0.11:8080: 503"
    );
    assert_eq!(pool[0].on_check(seconds(5), passed()), None, "a passed check does not end it");
    assert_eq!(pool[0].poll_timeout(), Some(seconds(12)));
    assert_eq!(pool[0].on_timeout(seconds(11)), None);
    let told = pool[0].on_timeout(seconds(12)).unwrap();
    assert_eq!((told.from, told.verdict.state, pool[0].poll_timeout()), (Down, Up, None));
}

#[test]
fn a_hold_ends_when_checks_saw_the_server_dead_and_then_well_again() {
    let mut pool = pool(3, &policy());
    assert!(struck(&mut pool, 0, seconds(1), 5));
    // Two failed checks are no death yet, so that the passed ones prove nothing.
    assert_eq!(played(&mut pool[0], "ffpp"), "DDDD");
    assert!(pool[0].is_ejected());
    assert_eq!(played(&mut pool[0], "fffpp"), "DDDDU");
    assert_eq!((pool[0].is_ejected(), pool[0].poll_timeout()), (false, None));
}

#[test]
fn failures_that_are_far_apart_or_few_among_many_requests_do_not() {
    let mut apart = pool(2, &policy());
    assert!((0..50).all(|n| !struck(&mut apart, 0, seconds(n * 3), 1)));
    let mut few = pool(2, &policy());
    for n in 1..=200_u64 {
        let census = Census::of(&few);
        assert_eq!(few[0].on_traffic(Duration::from_millis(n), &error(n * 15), census), None, "failure {n}");
    }
    for n in 201..=1000 {
        let census = Census::of(&few);
        few[0].on_traffic(Duration::from_millis(n), &error(200 * 15 + n - 200), census);
    }
    assert!(few[0].is_ejected(), "it counts once they are one in ten");
}

#[test]
fn a_hold_doubles_when_it_follows_closely_and_starts_over_when_it_does_not() {
    let mut pool = pool(2, &policy());
    let mut now = seconds(1);
    let mut holds = Vec::new();
    for _ in 0..6 {
        assert!(struck(&mut pool, 0, now, 5));
        let until = pool[0].poll_timeout().unwrap();
        holds.push((until - now).as_secs());
        now = until + seconds(1);
        pool[0].on_timeout(until);
    }
    assert_eq!(holds, [10, 20, 40, 80, 100, 100]);
    now += seconds(100);
    assert!(struck(&mut pool, 0, now, 5));
    assert_eq!(pool[0].poll_timeout(), Some(now + seconds(10)));
}

#[test]
fn no_more_of_the_pool_than_allowed_is_taken_out_and_never_its_last_server() {
    // Servers, percent, how many may go.
    for (servers, most, expected) in
        [(1, 100, 0), (2, 50, 1), (2, 100, 1), (3, 50, 1), (4, 50, 2), (10, 50, 5), (10, 9, 0)]
    {
        let rule = Eject { most, ..Eject::default() };
        let mut pool = pool(servers, &Policy { eject: Some(rule), ..policy() });
        let gone = (0..servers).filter(|which| struck(&mut pool, *which, seconds(1), 50)).count();
        assert_eq!(gone, expected, "{servers} servers, {most} percent");
    }
}

#[test]
fn a_server_is_spared_when_the_others_are_out_for_other_reasons() {
    let mut pool = pool(3, &policy());
    pool[1].set_intent(seconds(1), Some(Standing::Maintenance));
    (0..3).for_each(|_| drop(pool[2].on_check(seconds(1), failed(Reason::ConnectRefused))));
    assert!(!struck(&mut pool, 0, seconds(2), 50));
    pool[1].set_intent(seconds(3), None);
    assert!(struck(&mut pool, 0, seconds(4), 5));
}

#[test]
fn traffic_is_not_judged_where_it_is_not_asked_for_or_the_server_is_out() {
    let mut unjudged = pool(2, &Policy { eject: None, ..policy() });
    assert!(!struck(&mut unjudged, 0, seconds(1), 50));
    let mut down = pool(3, &policy());
    (0..3).for_each(|_| drop(down[0].on_check(seconds(1), failed(Reason::ConnectRefused))));
    assert!(!struck(&mut down, 0, seconds(2), 50));
    assert!(!down[0].is_ejected());
}

#[test]
fn a_reload_keeps_what_was_found_and_drops_what_is_no_longer_asked() {
    let mut pool = pool(2, &policy());
    assert!(struck(&mut pool, 0, seconds(1), 5));
    let health = &mut pool[0];
    let stricter = Policy { check: Some(Thresholds { rise: 1, fall: 1 }), ..policy() };
    assert_eq!(health.set_policy(seconds(2), stricter.clone()), None);
    assert!(health.is_ejected());
    let told = health.set_policy(seconds(3), Policy { eject: None, ..stricter }).unwrap();
    assert_eq!((told.verdict.state, told.verdict.reason), (Up, Reason::CheckPassed));
    assert_eq!(health.on_check(seconds(4), failed(Reason::ConnectRefused)).unwrap().verdict.state, Down);
    let told = health.set_policy(seconds(5), Policy { check: None, eject: None, ..policy() }).unwrap();
    assert_eq!((told.verdict.state, told.verdict.reason), (Up, Reason::Unchecked));
}

#[test]
fn a_server_that_comes_back_starts_slowly_and_one_that_we_first_meet_does_not() {
    let slow = Policy { slow_start: seconds(20), ..policy() };
    let mut health = new(slow);
    played(&mut health, "p");
    assert_eq!((health.ramp(seconds(1)), health.poll_timeout()), (FULL_RAMP, None));
    played(&mut health, "fffpp");
    let began = health.verdict().since;
    let mut shares = vec![health.ramp(began)];
    while let Some(next) = health.poll_timeout() {
        assert_eq!(health.on_timeout(next), None);
        shares.push(health.ramp(next));
    }
    let expected: Vec<u16> = (1..=20).chain([20]).map(|step| step * 50).collect();
    assert_eq!(shares, expected);
    assert_eq!(health.ramp(began + seconds(10)), FULL_RAMP, "what is over stays over");
    health.set_intent(seconds(100), Some(Standing::Drain));
    health.set_intent(seconds(101), None);
    assert_eq!(health.ramp(seconds(101)), FULL_RAMP, "a drained server is warm");
    health.set_intent(seconds(102), Some(Standing::Maintenance));
    health.set_intent(seconds(103), None);
    assert_eq!((health.ramp(seconds(103)), health.ramp(seconds(113))), (50, 550));
    health.on_timeout(seconds(123));
    health.on_resolve(seconds(124), Resolution::Missing { detail: "gone".to_owned() });
    health.on_resolve(seconds(125), Resolution::Found);
    assert_eq!(health.ramp(seconds(125)), FULL_RAMP, "a name that was not known says nothing about the server");
    health.set_intent(seconds(126), Some(Standing::Maintenance));
    health.set_intent(seconds(127), None);
    health.set_policy(seconds(128), policy());
    assert_eq!((health.ramp(seconds(128)), health.poll_timeout()), (FULL_RAMP, None));
}

#[test]
fn a_record_brings_a_young_verdict_back_and_an_old_one_is_forgotten() {
    let mut pool = pool(2, &policy());
    assert!(struck(&mut pool, 0, seconds(90), 5));
    let down = &mut pool[1];
    (100..103).for_each(|second| drop(down.on_check(seconds(second), failed(Reason::ConnectRefused))));
    let [ejected, down] = [pool[0].record(seconds(95)), pool[1].record(seconds(110))];
    let restored = |record, age| Health::restore(policy(), Standing::Ready, record, seconds(age), seconds(50));

    let back = restored(down.clone(), 60);
    let text = "3 checks in a row were refused by 10.0.0.11:8080";
    assert_eq!(
        (back.verdict().state, back.verdict().reason, back.verdict().text.as_str()),
        (Down, Reason::ConnectRefused, text)
    );
    assert_eq!(back.verdict().since, Duration::ZERO, "a state from before this clock began");
    assert_eq!(restored(down.clone(), 61).verdict().state, Unknown);

    let back = restored(ejected.clone(), 2);
    assert_eq!((back.verdict().reason, back.poll_timeout()), (Reason::TrafficFailing, Some(seconds(53))));
    assert_eq!(back.verdict().since, seconds(43));
    assert_eq!(restored(ejected, 5).verdict().state, Up, "its hold ended while nobody was there");

    let unchecked = Policy { check: None, ..policy() };
    let back = Health::restore(unchecked, Standing::Drain, down, seconds(1), seconds(50));
    assert_eq!((back.verdict().state, back.verdict().reason), (Draining, Reason::Configured));
}

#[derive(Debug, Clone)]
enum Event {
    Check(CheckOutcome),
    Traffic(u64),
    Resolve(Resolution),
    Standing(Standing),
    Intent(Option<Standing>),
    Timeout,
}

fn standings() -> impl Strategy<Value = Standing> {
    prop_oneof![Just(Standing::Ready), Just(Standing::Drain), Just(Standing::Maintenance)]
}

fn events() -> impl Strategy<Value = Vec<(u64, usize, Event)>> {
    let event = prop_oneof![
        4 => Just(Event::Check(passed())),
        4 => Just(Event::Check(failed(Reason::ConnectRefused))),
        1 => Just(Event::Check(hindered())),
        6 => (1..20_u64).prop_map(Event::Traffic),
        1 => Just(Event::Resolve(Resolution::Found)),
        1 => Just(Event::Resolve(Resolution::Missing { detail: "gone".to_owned() })),
        1 => standings().prop_map(Event::Standing),
        1 => prop::option::of(standings()).prop_map(Event::Intent),
        2 => Just(Event::Timeout),
    ];
    prop::collection::vec((0..5000_u64, any::<prop::sample::Index>(), event), 0..150)
        .prop_map(|rows| rows.into_iter().map(|(pause, which, event)| (pause, which.index(4), event)).collect())
}

proptest! {
    #[test]
    fn transitions_are_told_exactly_when_states_change_and_traffic_never_empties_a_pool(events in events()) {
        let mut pool = pool(4, &Policy { slow_start: seconds(5), ..policy() });
        let mut now = Duration::ZERO;
        for (pause, which, event) in events {
            now += Duration::from_millis(pause);
            let census = Census::of(&pool);
            let is_serving = |health: &Health| matches!(health.verdict().state, Up | Unknown);
            let serving_before = pool.iter().filter(|health| is_serving(health)).count();
            let health = &mut pool[which];
            let before = health.verdict().clone();
            let is_traffic = matches!(event, Event::Traffic(_));
            let is_local = matches!(event, Event::Check(CheckOutcome::Local { .. }));
            let was_held_until = health.poll_timeout();
            let told = match event {
                Event::Check(outcome) => health.on_check(now, outcome),
                Event::Traffic(requests) => health.on_traffic(now, &error(requests), census),
                Event::Resolve(resolution) => health.on_resolve(now, resolution),
                Event::Standing(standing) => health.set_standing(now, standing),
                Event::Intent(intent) => health.set_intent(now, intent),
                Event::Timeout => health.on_timeout(now),
            };
            let after = health.verdict().clone();
            prop_assert_eq!(told.is_some(), before.state != after.state);
            if let Some(told) = told {
                prop_assert_eq!((told.from, told.verdict), (before.state, after.clone()));
                prop_assert_eq!(after.since, now);
                prop_assert!(!is_local || was_held_until.is_some_and(|until| until <= now));
            } else {
                prop_assert_eq!(after.since, before.since);
            }
            let serving = pool.iter().filter(|health| is_serving(health)).count();
            prop_assert!(!is_traffic || serving > 0 || serving_before == 0);
            prop_assert!(pool.iter().filter(|health| health.is_ejected()).count() <= 2);
            prop_assert!(pool.iter().all(|health| (50..=FULL_RAMP).contains(&health.ramp(now))));
        }
    }
}
