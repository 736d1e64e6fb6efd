//! What does a client notice when servers die, hang and come back?

use std::time::Duration;

use evenkeel_e2e::balancer::Balancer;
use evenkeel_e2e::load::{Keeping, Load, Outcome, Plan};
use evenkeel_e2e::nginx::Nginx;
use evenkeel_e2e::origin::{Manner, Origin};
use evenkeel_e2e::place::free;
use evenkeel_e2e::{PATIENCE, await_for, wire};

use crate::setting::{QUICK_CHECK, named, shop};

#[test]
fn a_server_killed_and_restored_costs_no_request_that_may_be_sent_again() {
    let mut servers = Nginx::start_many(3);
    let at = free();
    let balancer = Balancer::start(&shop(at, QUICK_CHECK, &named(&servers)));
    let kept = Load::start(&Plan::get(at, 4));
    let each = Load::start(&Plan { keeping: Keeping::OneEach, ..Plan::get(at, 2) });
    kept.await_more(200);
    for victim in [0, 1] {
        let name = servers[victim].name.clone();
        servers[victim].kill();
        balancer.await_state("shop", &name, "down");
        kept.await_more(200);
        servers[victim].restore();
        balancer.await_state("shop", &name, "up");
        kept.await_more(200);
    }
    let (kept, each) = (kept.stop(), each.stop());
    kept.expect_clean(1000);
    each.expect_clean(100);
    assert_eq!(kept.by_server().len(), 3);
}

#[test]
fn a_hung_server_costs_time_and_no_request() {
    let mut servers = Nginx::start_many(3);
    let at = free();
    let lines = format!("{QUICK_CHECK}\ntimeout answer=600ms\nretry 2 elsewhere on=lost,timeout budget=100%");
    let balancer = Balancer::start(&shop(at, &lines, &named(&servers)));
    let load = Load::start(&Plan::get(at, 6));
    load.await_more(200);
    servers[2].hang();
    balancer.await_state("shop", "c", "down");
    // What status says is with the workers a moment later.
    let noticed = std::time::Instant::now() + Duration::from_millis(100);
    load.await_more(300);
    servers[2].resume();
    balancer.await_state("shop", "c", "up");
    load.await_more(200);
    let account = load.stop();
    account.expect_clean(700);
    // Once the server is known to be down, nobody waits for it.
    let late =
        account.records.iter().filter(|record| record.sent > noticed && record.took > Duration::from_millis(550));
    assert_eq!(late.count(), 0);
}

#[test]
fn a_post_is_never_executed_twice() {
    let (bad, good) = (Origin::start("bad", Manner::Die), Origin::start("good", Manner::Answer));
    let at = free();
    let lines = "check off\neject off\nretry 3 elsewhere on=lost,timeout,503 budget=100%";
    let _balancer = Balancer::start(&shop(at, lines, &[("bad", bad.at), ("good", good.at)]));
    for manner in [Manner::Die, Manner::DieWithin, Manner::Status(503)] {
        bad.behave(manner);
        let plan =
            Plan { method: "POST", body: b"amount=1".to_vec(), most: 50, pause: Duration::ZERO, ..Plan::get(at, 4) };
        let account = Load::start(&plan).finish();
        let good_answers = account.records.iter().filter(|record| record.outcome.is_good()).count();
        assert!((60..=140).contains(&good_answers), "{manner:?}: about half should succeed\n{account}");
        let mut counts = bad.executed();
        for (number, count) in good.executed() {
            *counts.entry(number).or_default() += count;
        }
        let twice = counts.iter().filter(|(_, count)| **count > 1).count();
        assert_eq!(twice, 0, "{manner:?}");
        for record in &account.records {
            assert_eq!(counts.get(&record.number), Some(&1), "{manner:?}: {record:?}");
        }
    }
}

#[test]
fn a_get_goes_elsewhere_and_a_refused_post_too() {
    let (bad, good) = (Origin::start("bad", Manner::Die), Origin::start("good", Manner::Answer));
    let refused = free();
    let at = free();
    let lines = "check off\neject off\nretry 2 elsewhere budget=100%";
    // Half of the servers work, so that the retries stay within the largest budget.
    let other = Origin::start("other", Manner::Answer);
    let servers = [("bad", bad.at), ("good", good.at), ("refused", refused), ("other", other.at)];
    let balancer = Balancer::start(&shop(at, lines, &servers));
    let plan = Plan { most: 60, pause: Duration::ZERO, ..Plan::get(at, 3) };
    Load::start(&plan).finish().expect_clean(180);
    // Without the one that reads and dies, what fails was never sent: a POST may go on as well.
    let output = balancer.reload(&shop(at, lines, &servers[1..3]));
    assert!(output.status.success(), "{}", evenkeel_e2e::balancer::text(&output));
    let plan = Plan { method: "POST", body: b"x".to_vec(), ..plan };
    Load::start(&plan).finish().expect_clean(180);
    assert!(good.executed().values().all(|count| *count == 1));
}

#[test]
fn live_traffic_takes_a_failing_server_out() {
    let (bad, good) = (Origin::start("bad", Manner::Status(500)), Origin::start("good", Manner::Answer));
    let at = free();
    let lines = "check off\neject errors=5 within=10s for=60s";
    let balancer = Balancer::start(&shop(at, lines, &[("bad", bad.at), ("good", good.at)]));
    let load = Load::start(&Plan::get(at, 2));
    balancer.await_state("shop", "bad", "down");
    load.await_more(20);
    let before = bad.total();
    load.await_more(200);
    let account = load.stop();
    assert!(bad.total() <= before + 2, "it still gets requests: {} after {before}", bad.total());
    let errors = account.records.iter().filter(|record| record.outcome == Outcome::ServerError(500)).count();
    assert!((5..60).contains(&errors), "{account}");
}

#[test]
fn with_every_server_down_the_answer_is_503_or_the_pool_is_tried() {
    let gone = free();
    let (strict, open) = (free(), free());
    let origin = Origin::start("o", Manner::Status(404));
    let config = shop(strict, &format!("{QUICK_CHECK}\nfail-open off"), &[("x", gone)])
        + &format!(
            "http {open} {{\n    to {}\n    check GET /check every=200ms timeout=400ms rise=1 fall=2 expect=200\n}}\n",
            origin.at
        );
    let balancer = Balancer::start(&config);
    balancer.await_state("shop", "x", "down");
    balancer.await_state(&format!("@{open}"), &origin.at.to_string(), "down");
    // What status says is with the workers a moment later.
    let is_503 = || wire::get(strict, "/").ok().filter(|answer| answer.status == 503);
    await_for("503 for a pool without a server", PATIENCE, is_503);
    // Down by its check alone: the check may be what is wrong, so the server is asked.
    assert_eq!(wire::get(open, "/").unwrap().status, 404);
}

#[test]
fn with_every_default_the_death_of_most_servers_at_once_costs_no_request_that_may_be_sent_again() {
    let mut servers = Nginx::start_many(3);
    let at = free();
    let balancer = Balancer::start(&shop(at, "check GET /check", &named(&servers)));
    let load = Load::start(&Plan::get(at, 4));
    load.await_more(500);
    servers[0].kill();
    servers[1].kill();
    balancer.await_state("shop", "a", "down");
    balancer.await_state("shop", "b", "down");
    load.await_more(200);
    load.stop().expect_clean(700);
}
