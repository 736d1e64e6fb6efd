//! Are the bounds exact, and what does a client get past them?

use std::time::Duration;

use evenkeel_e2e::balancer::Balancer;
use evenkeel_e2e::load::{Load, Plan};
use evenkeel_e2e::origin::{Manner, Origin};
use evenkeel_e2e::place::{Scratch, free};
use evenkeel_e2e::{PATIENCE, await_for, wire};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::setting::shop;

/// A pool of one server that takes so many requests at one time.
fn bounded(at: std::net::SocketAddr, origin: &Origin, most: u32, lines: &str) -> String {
    format!(
        "limits {{\n    workers 2\n}}\nhttp {at} {{\n    route * to=shop\n}}\npool shop {{\n    check off\n    {lines}\n    server o {} max-conns={most}\n}}\n",
        origin.at
    )
}

#[test]
fn max_conns_is_exact_over_all_workers_and_the_rest_waits() {
    let origin = Origin::start("o", Manner::AnswerAfter(Duration::from_millis(20)));
    let at = free();
    let _balancer = Balancer::start(&bounded(at, &origin, 3, "queue max=100 timeout=15s"));
    let plan = Plan { most: 20, pause: Duration::ZERO, ..Plan::get(at, 16) };
    Load::start(&plan).finish().expect_clean(320);
    assert_eq!(origin.peak(), 3);
    assert_eq!(origin.total(), 320);
}

#[test]
fn a_full_queue_answers_503_at_once_and_a_long_wait_in_its_time() {
    let origin = Origin::start("o", Manner::Hang);
    let at = free();
    let lines = "queue max=2 timeout=800ms\n    timeout answer=10s\n    retry 0";
    let _balancer = Balancer::start(&bounded(at, &origin, 1, lines));
    let held = Load::start(&Plan { most: 1, ..Plan::get(at, 1) });
    await_for("the server to be full", PATIENCE, || (origin.now() == 1).then_some(()));
    let waiting = Load::start(&Plan { most: 1, ..Plan::get(at, 2) });
    std::thread::sleep(Duration::from_millis(200));
    let began = std::time::Instant::now();
    assert_eq!(wire::get(at, "/").unwrap().status, 503);
    assert!(began.elapsed() < Duration::from_millis(400), "the queue was full: {:?}", began.elapsed());
    let waited = waiting.finish();
    assert_eq!(waited.classes().get("status 503"), Some(&2), "{waited}");
    for record in &waited.records {
        assert!((600..3000).contains(&record.took.as_millis()), "{record:?}");
    }
    drop(held);
    origin.behave(Manner::Answer);
}

#[test]
fn error_pages_are_the_operators_own_for_people_and_for_programs() {
    let scratch = Scratch::new("pages");
    scratch.write("503.html", "<p>back soon</p>");
    scratch.write("503.json", "{\"say\":\"back soon\"}");
    scratch.write("4xx.html", "<p>not here</p>");
    scratch.write("maintenance.html", "<p>we are painting</p>");
    let at = free();
    let gone = free();
    let config = format!(
        "http {at} {{\n    errors {}\n    route /paint to=paint\n    route /shop to=shop\n}}\n\
         pool shop {{\n    check off\n    retry 0\n    server a {gone}\n}}\n\
         pool paint {{\n    server a {gone} maint\n}}\n",
        scratch.path().display()
    );
    let balancer = Balancer::start(&config);
    let page = |target: &str, accept: &str| {
        let answer = wire::ask(at, "GET", target, &format!("Accept: {accept}\r\n"), b"").unwrap();
        (answer.status, answer.field("content-type").unwrap_or("").to_owned(), answer.text())
    };
    let (status, kind, text) = page("/paint", "text/html");
    assert!(status == 503 && kind.starts_with("text/html") && text.contains("painting"), "{status} {kind} {text}");
    let (status, kind, text) = page("/paint", "application/json");
    assert!(status == 503 && kind.contains("json") && text.contains("back soon"), "{status} {kind} {text}");
    let (status, _, text) = page("/nowhere", "text/html");
    assert!(status == 404 && text.contains("not here"), "{status} {text}");
    // No page for 502 and no class page for it: a plain one of ours, that tells nothing about the server.
    let (status, kind, text) = page("/shop", "text/html");
    assert!(
        status == 502 && kind.starts_with("text/html") && !text.contains(&gone.to_string()),
        "{status} {kind} {text}"
    );
    drop(balancer);
}

#[test]
fn a_body_over_the_limit_is_413_and_never_reaches_a_server() {
    let origin = Origin::start("o", Manner::Answer);
    let at = free();
    let _balancer = Balancer::start(&format!("max body=1k\n{}", shop(at, "check off", &[("o", origin.at)])));
    assert_eq!(wire::ask(at, "POST", "/", "", &[b'x'; 1024]).unwrap().status, 200);
    assert_eq!(wire::ask(at, "POST", "/", "", &[b'x'; 1025]).unwrap().status, 413);
    assert_eq!(origin.total_heads(), 1);
}

/// Has all of them ask at the same time; how many were answered with 200.
fn wave(clients: &mut [wire::Connection], target: &str, host: std::net::SocketAddr) -> usize {
    for client in clients.iter_mut() {
        client.send(&wire::request(host, "GET", target, "", b"")).unwrap();
    }
    clients
        .iter_mut()
        .map(|client| client.answer("GET"))
        .filter(|answer| matches!(answer, Ok(it) if it.status == 200))
        .count()
}

#[test]
fn unused_connections_to_servers_are_kept_as_long_as_nobody_needs_their_descriptors() {
    const CLIENTS: usize = 370;
    let slow = || Origin::start("o", Manner::AnswerAfter(Duration::from_millis(300)));
    let (a, b) = (slow(), slow());
    let at = free();
    let mut balancer = Balancer::start(&format!(
        "limits workers=1\nhttp {at} {{\n    route /a to=a\n    route /b to=b\n}}\n\
         pool a {{\n    check off\n    server one {}\n}}\npool b {{\n    check off\n    server one {}\n}}\n",
        a.at, b.at
    ));
    let few = Rlimit { current: Some(1024), maximum: Some(1024) };
    prlimit(Pid::from_raw(balancer.process().id() as i32), Resource::Nofile, few).unwrap();
    let open = || wire::Connection::open(at, PATIENCE).unwrap();
    let mut clients: Vec<wire::Connection> = (0..CLIENTS).map(|_| open()).collect();
    // The same number again finds the connections of the first.
    assert_eq!(wave(&mut clients, "/a", at), CLIENTS);
    assert_eq!(wave(&mut clients, "/a", at), CLIENTS);
    let status = balancer.status();
    let pool = status["pools"].as_array().unwrap().iter().find(|pool| pool["name"] == "a").unwrap();
    assert_eq!(pool["servers"][0]["connects"], CLIENTS, "{pool:#}");
    // To another server they are of no use, and there are no descriptors for as many again.
    assert_eq!(wave(&mut clients, "/b", at), CLIENTS);
    assert_eq!(a.peak(), CLIENTS as u32);
}
