//! Are an operator's orders carried out at once, kept, and lifted by what may lift them?

use evenkeel_e2e::balancer::{Balancer, text};
use evenkeel_e2e::nginx::Nginx;
use evenkeel_e2e::place::free;
use evenkeel_e2e::{PATIENCE, await_for, wire};
use rustix::process::Signal;

use crate::setting::{QUICK_CHECK, named, shop};

/// Who answers a client that brings nothing, and one that brings this cookie.
fn who(at: std::net::SocketAddr, cookie: Option<&str>) -> (String, Option<String>) {
    let fields = cookie.map(|cookie| format!("Cookie: {cookie}\r\n")).unwrap_or_default();
    let answer = wire::ask(at, "GET", "/", &fields, b"").unwrap();
    let set = answer.field("set-cookie").and_then(|set| set.split(';').next()).map(str::to_owned);
    (answer.field("x-server").unwrap_or_default().to_owned(), set)
}

fn order(balancer: &Balancer, verb: &str, arguments: &[&str], code: i32) -> String {
    let output = balancer.run(verb, arguments);
    assert_eq!(output.status.code(), Some(code), "{verb} {arguments:?}: {}", text(&output));
    text(&output)
}

#[test]
fn a_drained_server_keeps_its_sessions_from_the_moment_the_command_returns() {
    let servers = Nginx::start_many(2);
    let at = free();
    let lines = format!("sticky idle=2s\n    {QUICK_CHECK}");
    let config = shop(at, &lines, &named(&servers));
    let balancer = Balancer::start(&config);
    balancer.await_state("shop", "a", "up");
    balancer.await_state("shop", "b", "up");
    let cookie = await_for("a session on a", PATIENCE, || {
        let (server, cookie) = who(at, None);
        (server == "a").then_some(cookie).flatten()
    });

    let said = order(&balancer, "drain", &["shop/a", "--why", "new kernel", "--for", "1h"], 0);
    assert!(said.contains("draining"), "{said}");
    assert!((0..10).all(|_| who(at, None).0 == "b"), "a new client came to a draining server");
    assert_eq!(who(at, Some(&cookie)).0, "a");
    let status = balancer.status();
    let intent = &status["pools"][0]["servers"][0]["intent"];
    assert_eq!((intent["why"].as_str(), intent["state"].as_str()), (Some("new kernel"), Some("drain")), "{intent}");

    // Once no session can come back, it is drained.
    order(&balancer, "drain", &["shop/a", "--wait", "30s"], 0);
    order(&balancer, "maint", &["a"], 0);
    assert_ne!(who(at, Some(&cookie)).0, "a");
    order(&balancer, "ready", &["a"], 0);
    order(&balancer, "weight", &["shop/b", "0"], 0);
    assert!((0..10).all(|_| who(at, None).0 == "a"), "a server with weight 0 got a new client");
    order(&balancer, "weight", &["shop/b", "100%"], 0);
    assert_eq!(balancer.status()["pools"][0]["servers"][1]["intent"], serde_json::Value::Null);
}

#[test]
fn orders_outlive_a_crash_and_give_way_to_the_file() {
    let servers = Nginx::start_many(2);
    let at = free();
    let config = shop(at, QUICK_CHECK, &named(&servers));
    let mut balancer = Balancer::start(&config);
    order(&balancer, "maint", &["shop/a"], 0);
    balancer.signal(Signal::KILL);
    balancer.end(PATIENCE);
    let balancer = balancer.again();
    assert_eq!(balancer.state("shop", "a"), "maintenance");

    // Another change leaves it, the file's word on just that lifts it.
    let other = config.replace("pool shop {", "pool shop {\n    balance least-conn");
    assert_eq!(balancer.reload(&other).status.code(), Some(0));
    assert_eq!(balancer.state("shop", "a"), "maintenance");
    let a = servers[0].at;
    let named_by_file = config.replace(&format!("server a {a}"), &format!("server a {a} drain"));
    assert_eq!(balancer.reload(&named_by_file).status.code(), Some(0));
    assert_eq!(balancer.state("shop", "a"), "draining");
    assert_eq!(balancer.reload(&config).status.code(), Some(0));
    balancer.await_state("shop", "a", "up");
}

#[test]
fn orders_that_the_disk_does_not_take_are_written_down_when_it_does() {
    let servers = Nginx::start_many(2);
    let mut balancer = Balancer::start(&shop(free(), QUICK_CHECK, &named(&servers)));
    // As a full disk: nothing can take the place of a folder.
    let obstacle = balancer.scratch().file("state").join("intents.json");
    std::fs::create_dir(&obstacle).unwrap();
    let said = order(&balancer, "drain", &["--node", "--why", "new kernel"], 3);
    assert!(said.starts_with("this node is drained; no group is here; "), "{said}");
    let forgets = "it could not be written down, and a restart forgets it: the state directory cannot be written";
    assert!(said.contains(forgets), "{said}");
    let said = order(&balancer, "drain", &["shop/a"], 0);
    assert!(said.contains("a restart forgets"), "{said}");
    assert_eq!(balancer.status()["unkept"], true);

    std::fs::remove_dir(&obstacle).unwrap();
    await_for("the orders to be written down", PATIENCE, || (balancer.status()["unkept"] != true).then_some(()));
    balancer.signal(Signal::KILL);
    balancer.end(PATIENCE);
    let balancer = balancer.again();
    let status = balancer.status();
    assert_eq!(status["drained"]["why"], "new kernel", "{status:#}");
    assert_eq!(balancer.state("shop", "a"), "draining");
    let said = order(&balancer, "ready", &["--node"], 0);
    assert!(said.contains("this node is ready") && !said.contains("written"), "{said}");
}

#[test]
fn what_cannot_be_ordered_is_refused_with_the_way_out() {
    let servers = Nginx::start_many(1);
    let balancer = Balancer::start(&shop(free(), QUICK_CHECK, &named(&servers)));
    for (verb, arguments, code, wanted) in [
        ("drain", &["shop/zz"][..], 1, "it has `a`"),
        ("drain", &["nowhere/a"], 1, "pools: `shop`"),
        ("drain", &["zz"], 1, "evenkeel status"),
        ("weight", &["shop/a", "1001"], 2, "0 to 1000"),
        ("weight", &["shop/a", "half"], 2, "50%"),
        ("maint", &["shop/a", "--for", "5"], 2, "`90s`"),
        ("maint", &["shop/a", "--wait", "soon"], 2, "`90s`"),
        ("ready", &["shop/a", "--for", "5m"], 2, "A305"),
    ] {
        let said = order(&balancer, verb, arguments, code);
        assert!(said.contains(wanted), "{verb} {arguments:?}: no {wanted:?} in {said}");
    }
    assert_eq!(balancer.status()["pools"][0]["servers"][0]["intent"], serde_json::Value::Null);
}
