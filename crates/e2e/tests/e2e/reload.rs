//! Does anybody notice a reload who should not?

use std::time::Duration;

use evenkeel_e2e::balancer::{Balancer, text};
use evenkeel_e2e::load::{Keeping, Load, Plan};
use evenkeel_e2e::nginx::{self, Nginx};
use evenkeel_e2e::place::free;
use evenkeel_e2e::wire::{self, Failure};
use evenkeel_e2e::{PATIENCE, await_for, websocket};

use crate::setting::{QUICK_CHECK, named, pool, shop};

/// How often the configuration changes in each of these scenarios.
const RELOADS: usize = 20;

/// One of several configurations that all serve the same address, each unlike the one before.
fn variant(count: usize, at: std::net::SocketAddr, servers: &[Nginx]) -> String {
    let named = named(servers);
    let all = pool("shop", &format!("balance least-conn\n{QUICK_CHECK}"), &named);
    match count % 5 {
        0 => shop(at, QUICK_CHECK, &named),
        1 => shop(at, QUICK_CHECK, &named[..2]),
        2 => format!(
            "http {at} {{\n    route /never to=other\n    route * to=shop\n}}\n{all}{}",
            pool("other", QUICK_CHECK, &named[1..])
        ),
        3 => format!(
            "http {at} {{\n    route * to=renamed\n    response-header set X-Reload {count}\n}}\n{}",
            pool("renamed", &format!("retry 1 elsewhere\n{QUICK_CHECK}"), &named)
        ),
        _ => {
            format!("http {at} {{\n    route * to=shop {{\n        request-header set X-Way {count}\n    }}\n}}\n{all}")
        }
    }
}

#[test]
fn twenty_reloads_under_load_lose_no_request() {
    let servers = Nginx::start_many(3);
    let at = free();
    let balancer = Balancer::start(&variant(0, at, &servers));
    let kept = Load::start(&Plan::get(at, 5));
    let each = Load::start(&Plan { keeping: Keeping::OneEach, ..Plan::get(at, 3) });
    let posts = Load::start(&Plan { method: "POST", body: vec![b'x'; 5000], ..Plan::get(at, 2) });
    kept.await_more(100);
    for count in 1..=RELOADS {
        if count % 4 == 0 {
            let generation = balancer.status()["config"]["generation"].clone();
            let output =
                balancer.reload(&format!("{}\nhttp {at} {{\n    rout * to=shop\n}}\n", variant(count, at, &servers)));
            assert_eq!(output.status.code(), Some(2), "{}", text(&output));
            assert!(text(&output).contains("rout"), "{}", text(&output));
            assert_eq!(balancer.status()["config"]["generation"], generation, "a refused file had an effect");
        }
        let output = balancer.reload(&variant(count, at, &servers));
        assert!(output.status.success(), "reload {count}: {}", text(&output));
        kept.await_more(30);
    }
    let accounts = [kept.stop(), each.stop(), posts.stop()];
    for (account, least) in accounts.iter().zip([700, 100, 100]) {
        account.expect_clean(least);
    }
    let executed = nginx::executions(&servers);
    for record in accounts.iter().flat_map(|account| &account.records) {
        assert_eq!(executed.get(&record.number), Some(&1), "{record:?}");
    }
}

#[test]
fn a_websocket_lives_through_twenty_reloads_and_the_end_of_its_pool() {
    let servers = Nginx::start_many(2);
    let echo = websocket::serve();
    let at = free();
    let with = |count: usize| {
        let chat = pool("chat", "check tcp every=500ms", &[("echo", echo)]);
        let web = pool("shop", QUICK_CHECK, &named(&servers)[..1 + count % 2]);
        format!("http {at} {{\n    route /chat to=chat\n    route * to=shop\n}}\n{chat}{web}")
    };
    let balancer = Balancer::start(&with(0));
    let mut tunnel = websocket::Client::open(at, "/chat").unwrap();
    for count in 1..=RELOADS {
        let output = balancer.reload(&with(count));
        assert!(output.status.success(), "{}", text(&output));
        tunnel.echo(&format!("after reload {count}")).unwrap();
    }
    let output = balancer.reload(&shop(at, QUICK_CHECK, &named(&servers)));
    assert!(output.status.success(), "{}", text(&output));
    tunnel.echo("its route is gone").unwrap();
    assert!(websocket::Client::open(at, "/chat").is_err(), "a new one has no route");
}

#[test]
fn listeners_come_and_go_when_the_command_returns() {
    let servers = Nginx::start_many(1);
    let (first, second) = (free(), free());
    let balancer = Balancer::start(&shop(first, QUICK_CHECK, &named(&servers)));
    assert_eq!(wire::get(second, "/").unwrap_err(), Failure::Refused);
    let output = balancer.reload(&shop(second, QUICK_CHECK, &named(&servers)));
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains(&format!("listener {second} added")), "{}", text(&output));
    assert_eq!(wire::get(second, "/").unwrap().status, 200);
    assert_eq!(wire::get(first, "/").unwrap_err(), Failure::Refused);
}

#[test]
fn a_reload_that_cannot_bind_changes_nothing() {
    let servers = Nginx::start_many(1);
    let at = free();
    let config = shop(at, QUICK_CHECK, &named(&servers));
    let balancer = Balancer::start(&config);
    let taken = servers[0].at;
    let fresh = free();
    let more = format!("http {fresh} {{\n    respond 200 new\n}}\nhttp {taken} {{\n    respond 200 taken\n}}\n");
    let output = balancer.reload(&(config + &more));
    assert!(!output.status.success(), "{}", text(&output));
    assert!(text(&output).contains(&taken.to_string()), "{}", text(&output));
    assert_eq!(wire::get(at, "/").unwrap().text(), "a\n");
    assert_eq!(wire::get(fresh, "/").unwrap_err(), Failure::Refused, "half of the change is in effect");
}

#[test]
fn verdicts_and_counters_stay_over_a_reload() {
    let servers = Nginx::start_many(1);
    let gone = free();
    let at = free();
    let with = |retries: u8| {
        let lines = format!("{QUICK_CHECK}\nretry {retries} elsewhere");
        shop(at, &lines, &[("a", servers[0].at), ("b", gone)])
    };
    let balancer = Balancer::start(&with(1));
    balancer.await_state("shop", "b", "down");
    let plan = Plan { most: 25, ..Plan::get(at, 2) };
    Load::start(&plan).finish().expect_clean(50);
    let requests = |status: &serde_json::Value| status["pools"][0]["servers"][0]["requests"].as_u64();
    await_for("the counter of requests", PATIENCE, || requests(&balancer.status()).filter(|count| *count >= 50));
    let output = balancer.reload(&with(2));
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(balancer.state("shop", "b"), "down");
    assert!(requests(&balancer.status()) >= Some(50));
}

#[test]
fn a_hang_up_signal_reloads_as_the_command_does() {
    let servers = Nginx::start_many(1);
    let at = free();
    let mut balancer = Balancer::start(&shop(at, QUICK_CHECK, &named(&servers)));
    let config = format!(
        "state {0}/state\ncontrol {0}/control.sock\nhttp {at} {{\n    respond 200 other\n}}\n",
        balancer.scratch().path().display()
    );
    balancer.scratch().write("evenkeel.conf", &config);
    balancer.signal(rustix::process::Signal::HUP);
    await_for("the new answer", PATIENCE, || {
        wire::get(at, "/").ok().filter(|answer| answer.text().starts_with("other"))
    });
}

#[test]
fn drain_by_configuration_keeps_sessions_and_takes_no_new_ones() {
    let servers = Nginx::start_many(2);
    let at = free();
    let [a, b] = [servers[0].at, servers[1].at];
    let with = |word: &str| {
        format!(
            "http {at} {{\n    route * to=shop\n}}\npool shop {{\n    sticky\n    {QUICK_CHECK}\n    server a {a} {word}\n    server b {b}\n}}\n"
        )
    };
    let balancer = Balancer::start(&with(""));
    let cookie = await_for("a session on a", Duration::from_secs(10), || {
        let answer = wire::get(at, "/").ok().filter(|answer| answer.field("x-server") == Some("a"))?;
        Some(answer.field("set-cookie")?.split(';').next()?.to_owned())
    });
    assert!(balancer.reload(&with("drain")).status.success());
    assert_eq!(balancer.state("shop", "a"), "draining");
    for _ in 0..20 {
        let known = wire::ask(at, "GET", "/", &format!("Cookie: {cookie}\r\n"), b"").unwrap();
        assert_eq!(known.field("x-server"), Some("a"));
        assert_eq!(wire::get(at, "/").unwrap().field("x-server"), Some("b"));
    }
    assert!(balancer.reload(&with("maint")).status.success());
    let moved = wire::ask(at, "GET", "/", &format!("Cookie: {cookie}\r\n"), b"").unwrap();
    assert_eq!(moved.field("x-server"), Some("b"));
    assert!(moved.field("set-cookie").is_some(), "a session that moved gets a new token");
}
