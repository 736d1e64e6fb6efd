//! Does each server get its share, and does it see who asked?

use std::time::Duration;

use evenkeel_e2e::balancer::Balancer;
use evenkeel_e2e::load::{Keeping, Load, Plan};
use evenkeel_e2e::nginx::{self, Nginx};
use evenkeel_e2e::place::free;
use evenkeel_e2e::wire::{self, Connection, request};

use crate::setting::{QUICK_CHECK, named, shop};

#[test]
fn three_servers_share_the_requests_and_each_is_executed_once() {
    let servers = Nginx::start_many(3);
    let at = free();
    let balancer = Balancer::start(&shop(at, QUICK_CHECK, &named(&servers)));
    for keeping in [Keeping::Kept, Keeping::OneEach] {
        let plan = Plan { keeping, most: 100, pause: Duration::ZERO, ..Plan::get(at, 6) };
        let account = Load::start(&plan).finish();
        account.expect_clean(600);
        let shares = account.by_server();
        for server in ["a", "b", "c"] {
            let share = shares.get(server).copied().unwrap_or(0);
            assert!((150..=250).contains(&share), "{keeping:?}: {shares:?}");
        }
    }
    let executed = nginx::executions(&servers);
    assert_eq!(executed.len(), 1200);
    assert!(executed.values().all(|count| *count == 1));
    drop(balancer);
}

#[test]
fn weights_divide_the_requests_and_a_backup_waits() {
    let mut servers = Nginx::start_many(3);
    let at = free();
    let [a, b, c] = [servers[0].at, servers[1].at, servers[2].at];
    let balancer = Balancer::start(&format!(
        "limits {{\n    workers 1\n}}\nhttp {at} {{\n    route * to=shop\n}}\npool shop {{\n    {QUICK_CHECK}\n    \
         server a {a} weight=3\n    server b {b}\n    server c {c} backup\n}}\n"
    ));
    for server in ["a", "b", "c"] {
        balancer.await_state("shop", server, "up");
    }
    let plan = Plan { most: 100, pause: Duration::ZERO, ..Plan::get(at, 4) };
    let shares = Load::start(&plan).finish().by_server();
    assert_eq!((shares.get("a"), shares.get("b"), shares.get("c")), (Some(&300), Some(&100), None));
    servers[0].kill();
    servers[1].kill();
    balancer.await_state("shop", "a", "down");
    balancer.await_state("shop", "b", "down");
    let account = Load::start(&plan).finish();
    account.expect_clean(400);
    assert_eq!(account.by_server().get("c"), Some(&400));
}

#[test]
fn a_hash_brings_a_key_back_to_its_server() {
    let servers = Nginx::start_many(3);
    let at = free();
    let lines = format!("balance hash header X-Tenant\n{QUICK_CHECK}");
    let _balancer = Balancer::start(&shop(at, &lines, &named(&servers)));
    let mut seen = std::collections::HashSet::new();
    for tenant in 0..20 {
        let answers: Vec<_> = (0..4)
            .map(|_| wire::ask(at, "GET", "/", &format!("X-Tenant: t{tenant}\r\n"), b"").unwrap())
            .map(|answer| answer.field("x-server").unwrap().to_owned())
            .collect();
        assert!(answers.iter().all(|server| *server == answers[0]), "tenant {tenant}: {answers:?}");
        seen.insert(answers[0].clone());
    }
    assert_eq!(seen.len(), 3, "20 keys on {seen:?}");
}

#[test]
fn a_server_sees_the_client_and_not_what_the_client_claims() {
    let servers = Nginx::start_many(1);
    let (at, trusting) = (free(), free());
    let config = shop(at, QUICK_CHECK, &named(&servers))
        + &format!("http {trusting} {{\n    trust 127.0.0.0/8\n    route * to=shop\n}}\n");
    let _balancer = Balancer::start(&config);
    let ask = |to| {
        let mut connection = Connection::open(to, evenkeel_e2e::PATIENCE).unwrap();
        connection.send(&request(to, "GET", "/fields", "X-Forwarded-For: 203.0.113.9\r\n", b"")).unwrap();
        let text = connection.answer("GET").unwrap().text();
        (text, connection.local().unwrap().ip())
    };
    let (text, own) = ask(at);
    assert!(text.contains(&format!("xff={own} proto=http id=")), "{text}");
    let (text, own) = ask(trusting);
    assert!(text.contains(&format!("xff=203.0.113.9, {own} ")), "{text}");
    assert!(!text.contains("id=\n"), "no request id: {text}");
    // nginx's own log shows the same.
    let log = servers[0].log();
    let seen: Vec<_> = log.iter().filter(|line| line.target == "/fields").map(|line| &line.forwarded_for).collect();
    assert_eq!(*seen[0], own.to_string());
}
