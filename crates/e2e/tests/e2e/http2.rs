//! HTTP/2, gRPC and WebSockets with peers that others wrote.

use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use evenkeel_e2e::balancer::{Balancer, text};
use evenkeel_e2e::nginx::Nginx;
use evenkeel_e2e::place::{Scratch, free};
use evenkeel_e2e::python::{Program, Server};
use evenkeel_e2e::websocket;
use rustix::process::Signal;

use crate::setting::{QUICK_CHECK, named, pool, shop};

fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new("timeout").arg("60").arg(program).args(arguments).stdin(Stdio::null()).output();
    output.unwrap_or_else(|error| panic!("{program} does not start: {error}"))
}

fn h2load(to: SocketAddr, arguments: &[&str]) -> String {
    let url = format!("http://{to}/");
    text(&run("h2load", &[arguments, &[url.as_str()]].concat()))
}

/// Whether all requests of a run of h2load were answered with success.
fn expect_clean(told: &str, requests: usize) {
    let wanted = [
        format!("{requests} total, {requests} started, {requests} done, {requests} succeeded, 0 failed, 0 errored"),
        format!("status codes: {requests} 2xx, 0 3xx, 0 4xx, 0 5xx"),
    ];
    for line in wanted {
        assert!(told.contains(&line), "{line:?} is not in:\n{told}");
    }
}

#[test]
fn curl_and_h2load_speak_http2_by_prior_knowledge() {
    let servers = Nginx::start_many(2);
    let at = free();
    let _balancer = Balancer::start(&shop(at, QUICK_CHECK, &named(&servers)));
    let url = format!("http://{at}/");
    let how = ["--silent", "--show-error", "--http2-prior-knowledge", "--output", "/dev/null", "--write-out"];
    let what = "%{http_version} %{http_code}";
    let get = run("curl", &[&how[..], &[what, &url]].concat());
    assert_eq!(text(&get), "2 200");
    let scratch = Scratch::new("upload");
    let body = format!("@{}", scratch.write("body", &"x".repeat(50_000)).display());
    let post = run("curl", &[&how[..], &[what, "--data-binary", &body, &url]].concat());
    assert_eq!(text(&post), "2 200");
    let head = run("curl", &["--silent", "--head", "--http2-prior-knowledge", &url]);
    assert!(text(&head).starts_with("HTTP/2 200"), "{}", text(&head));
    // An offer to upgrade is none that is taken: the request is served as it came.
    let offer = run("curl", &["--silent", "--http2", "--output", "/dev/null", "--write-out", what, &url]);
    assert_eq!(text(&offer), "1.1 200");
    expect_clean(&h2load(at, &["-n", "3000", "-c", "4", "-m", "16"]), 3000);
    // The server answers before the body has come: who goes on sending is listened to, and has the answer.
    let large = scratch.write("large", &"x".repeat(5_000_000));
    expect_clean(&h2load(at, &["-n", "20", "-c", "2", "-d", large.to_str().unwrap()]), 20);
    // An old client of the same listener.
    expect_clean(&h2load(at, &["-n", "300", "-c", "4", "--h1"]), 300);
}

#[test]
fn reloads_and_a_stop_lose_no_stream() {
    let servers = Nginx::start_many(3);
    let at = free();
    let with = |count: usize| {
        let lines = format!("retry {} elsewhere\n{QUICK_CHECK}", 1 + count % 2);
        shop(at, &lines, &named(&servers)[..2 + count % 2])
    };
    let mut balancer = Balancer::start(&with(0));
    let load = std::thread::spawn(move || h2load(at, &["-n", "12000", "-c", "8", "-m", "8"]));
    let mut count = 0;
    while !load.is_finished() {
        count += 1;
        let output = balancer.reload(&with(count));
        assert!(output.status.success(), "{}", text(&output));
    }
    assert!(count > 2, "{count} reloads");
    expect_clean(&load.join().unwrap(), 12_000);
    // A stop lets the streams under way finish.
    let origin = evenkeel_e2e::origin::Origin::start("o", evenkeel_e2e::origin::Manner::Answer);
    let output = balancer.reload(&shop(at, "check off", &[("o", origin.at)]));
    assert!(output.status.success(), "{}", text(&output));
    let url = format!("http://{at}/");
    let last = run(
        "curl",
        &["--silent", "--http2-prior-knowledge", "--write-out", "%{http_code}", "--output", "/dev/null", &url],
    );
    assert_eq!(text(&last), "200");
    balancer.signal(Signal::TERM);
    assert_eq!(balancer.end(Duration::from_secs(20)), 0);
}

#[test]
fn calls_by_grpc_of_every_kind_pass() {
    let mut server = Server::start(Program::Calls);
    let at = free();
    let lines = "protocol h2\ncheck tcp every=300ms timeout=300ms rise=1 fall=1\nretry 0";
    let balancer = Balancer::start(&shop(at, lines, &[("calls", server.at)]));
    balancer.await_state("shop", "calls", "up");
    assert_eq!(server.client("call", server.at, &[]), "ok", "without a balancer");
    assert_eq!(server.client("call", at, &[]), "ok");
    server.kill();
    assert_eq!(server.client("fail", at, &[]), "UNAVAILABLE");
}

#[test]
fn websockets_carry_every_message_as_it_is() {
    let server = Server::start(Program::Sockets);
    let at = free();
    let _balancer = Balancer::start(&shop(at, "check tcp", &[("sockets", server.at)]));
    let seed = std::env::var("EVENKEEL_SEED").unwrap_or_else(|_| std::process::id().to_string());
    println!("seed {seed} (EVENKEEL_SEED)");
    assert_eq!(server.client("echo", at, &[&seed]), "ok");
}

#[test]
fn a_websocket_stays_up_across_a_thousand_reloads_and_through_a_drain() {
    let echo = websocket::serve();
    let at = free();
    let with = |count: u64| {
        let chat = pool("chat", "check tcp every=500ms", &[("echo", echo)]);
        format!(
            "limits drain=2s\nhttp {at} {{\n    route /chat to=chat\n    response-header set X-Count {count}\n}}\n{chat}"
        )
    };
    let mut balancer = Balancer::start(&with(0));
    let mut tunnel = websocket::Client::open(at, "/chat").unwrap();
    let generation = |balancer: &Balancer| balancer.status()["config"]["generation"].as_u64().unwrap_or(0);
    let (first, until) = (generation(&balancer), Instant::now() + Duration::from_secs(120));
    let mut sent = 0;
    loop {
        for _ in 0..50 {
            sent += 1;
            balancer.rewrite(&with(sent));
            balancer.signal(Signal::HUP);
            std::thread::sleep(Duration::from_millis(4));
        }
        tunnel.echo("still there").unwrap();
        if generation(&balancer) >= first + 1000 {
            break;
        }
        assert!(Instant::now() < until, "{} reloads in two minutes", generation(&balancer) - first);
    }
    // A stop waits for it as long as a drain may take, and no longer.
    balancer.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(500));
    tunnel.echo("while it drains").unwrap();
    assert!(balancer.end(Duration::from_secs(20)) >= 0);
    assert!(tunnel.echo("after").is_err());
}
