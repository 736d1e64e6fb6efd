//! The harness itself, with HAProxy as the balancer and with servers that lie: it must see what is there.

use std::time::Duration;

use evenkeel_e2e::haproxy::Haproxy;
use evenkeel_e2e::load::{Keeping, Load, Outcome, Plan};
use evenkeel_e2e::nginx::{self, Nginx};
use evenkeel_e2e::origin::{Manner, Origin};
use evenkeel_e2e::wire::{self, Failure};

#[test]
fn every_request_through_haproxy_is_accounted_for() {
    let servers = Nginx::start_many(3);
    let balancer = Haproxy::start(&servers.iter().map(|server| server.at).collect::<Vec<_>>());
    for keeping in [Keeping::Kept, Keeping::OneEach] {
        let plan = Plan { keeping, most: 60, pause: Duration::ZERO, ..Plan::get(balancer.at, 5) };
        let account = Load::start(&plan).finish();
        account.expect_clean(300);
        assert_eq!(account.by_server().len(), 3, "{:?}", account.by_server());
    }
    let executed = nginx::executions(&servers);
    assert_eq!(executed.len(), 600);
    assert!(executed.values().all(|count| *count == 1));
}

#[test]
fn a_killed_and_a_hung_server_are_seen_through_haproxy() {
    let mut servers = Nginx::start_many(2);
    let balancer = Haproxy::start(&servers.iter().map(|server| server.at).collect::<Vec<_>>());
    let load = Load::start(&Plan::get(balancer.at, 4));
    load.await_more(200);
    servers[0].kill();
    load.await_more(400);
    servers[0].restore();
    load.await_more(200);
    let account = load.stop();
    assert!(account.records.len() > 800);
    servers[0].hang();
    servers[1].hang();
    let plan = Plan { most: 1, patience: Duration::from_millis(300), ..Plan::get(balancer.at, 2) };
    let account = Load::start(&plan).finish();
    assert!(account.records.iter().all(|record| !record.outcome.is_good()), "{account}");
}

#[test]
fn each_way_to_fail_has_its_own_class() {
    let cases = [
        (Manner::Answer, Outcome::Answered(200, "o".to_owned())),
        (Manner::Status(404), Outcome::Answered(404, "o".to_owned())),
        (Manner::Status(503), Outcome::ServerError(503)),
        (Manner::Die, Outcome::Failed(Failure::ResetBefore)),
        (Manner::DieWithin, Outcome::Failed(Failure::ResetMid)),
        (Manner::Hang, Outcome::Failed(Failure::Timeout)),
    ];
    for (manner, wanted) in cases {
        let origin = Origin::start("o", manner);
        let plan = Plan { most: 1, patience: Duration::from_millis(500), ..Plan::get(origin.at, 1) };
        let account = Load::start(&plan).finish();
        assert_eq!(account.records[0].outcome, wanted, "{manner:?}");
        assert_eq!(origin.executed().get(&account.records[0].number), Some(&1), "{manner:?}");
    }
    assert_eq!(wire::get(evenkeel_e2e::place::free(), "/").unwrap_err(), Failure::Refused);
}

#[test]
fn a_reset_on_a_kept_connection_is_a_failure() {
    let origin = Origin::start("o", Manner::Answer);
    let load = Load::start(&Plan::get(origin.at, 1));
    load.await_more(5);
    origin.behave(Manner::Die);
    load.await_more(1);
    let account = load.stop();
    assert!(account.classes().contains_key("reset before the answer"), "{account}");
}
