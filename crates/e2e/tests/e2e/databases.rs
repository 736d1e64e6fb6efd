//! Do clients of a pair of databases reach the one that serves, whatever befalls the other?

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use evenkeel_e2e::balancer::{Balancer, text};
use evenkeel_e2e::database::{self, Postgres, Redis};
use evenkeel_e2e::place::free;
use evenkeel_e2e::{PATIENCE, await_for};

fn pair(at: SocketAddr, lines: &str, servers: &[(&str, SocketAddr, &str)]) -> String {
    let servers: String = servers.iter().map(|(name, at, rank)| format!("server {name} {at} {rank}\n")).collect();
    format!("tcp {at} {{\nroute to=db\n}}\npool db {{\n{lines}\n{servers}}}\n")
}

/// A connection that has told a PostgreSQL server its user, and was let in.
fn session(at: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let body = b"\0\x03\0\0user\0postgres\0database\0postgres\0\0";
    stream.write_all(&u32::try_from(body.len() + 4).unwrap().to_be_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut kind = [0; 1];
    stream.read_exact(&mut kind).unwrap();
    assert_eq!(&kind, b"R", "PostgreSQL lets nobody in");
    stream
}

#[test]
fn a_dead_primary_is_stood_in_for_and_does_not_come_back_by_itself() {
    let (mut a, b) = (Postgres::start("a"), Postgres::start("b"));
    let at = free();
    let lines = "check postgres every=200ms timeout=1s rise=1 fall=2\non-down close\nfailback off\nfail-open off";
    let balancer = Balancer::start(&pair(at, lines, &[("a", a.at, ""), ("b", b.at, "backup")]));
    let who = || b.ask(at, "show cluster_name");
    balancer.await_state("db", "a", "up");
    balancer.await_state("db", "b", "up");
    assert_eq!(who().as_deref(), Some("a"));
    assert_eq!(b.ask(at, "select 6*7").as_deref(), Some("42"));
    a.kill();
    // Whoever comes at once is sent to the other by the refused connection, before any check.
    assert_eq!(who().as_deref(), Some("b"));
    balancer.await_state("db", "a", "down");
    a.restore();
    balancer.await_state("db", "a", "up");
    for _ in 0..3 {
        assert_eq!(who().as_deref(), Some("b"), "it came back by itself");
    }
    assert!(balancer.run("maint", &["db/b"]).status.success());
    assert_eq!(who().as_deref(), Some("a"));
    assert!(balancer.run("ready", &["db/b"]).status.success());
    assert_eq!(who().as_deref(), Some("a"));
}

#[test]
fn a_hung_primarys_sessions_are_closed_and_its_verdict_says_why() {
    let (mut a, b) = (Postgres::start("a"), Postgres::start("b"));
    let at = free();
    let lines = "check postgres every=200ms timeout=500ms rise=1 fall=2\non-down close";
    let balancer = Balancer::start(&pair(at, lines, &[("a", a.at, ""), ("b", b.at, "backup")]));
    balancer.await_state("db", "a", "up");
    let mut held = session(at);
    a.hang();
    // It would wait for ever: its own server process still lives.
    let mut rest = Vec::new();
    assert!(held.read_to_end(&mut rest).is_err(), "an end that looks whole: {rest:?}");
    balancer.await_state("db", "a", "down");
    assert_eq!(b.ask(at, "show cluster_name").as_deref(), Some("b"));
    let status = text(&balancer.run("status", &[]));
    assert!(status.contains("no answer after 500 ms"), "{status}");
    a.resume();
    balancer.await_state("db", "a", "up");
    assert_eq!(b.ask(at, "show cluster_name").as_deref(), Some("a"));
}

#[test]
fn connections_follow_the_primary_of_redis() {
    let mut a = Redis::start("a", None);
    let b = Redis::start("b", Some(a.at));
    let at = free();
    let lines = "check redis role=primary every=200ms timeout=1s rise=1 fall=2\non-down close\nfail-open off";
    let balancer = Balancer::start(&pair(at, lines, &[("a", a.at, ""), ("b", b.at, "")]));
    balancer.await_state("db", "a", "up");
    balancer.await_state("db", "b", "down");
    assert_eq!(database::ask(at, "SET x 1").as_deref(), Some("+OK"));
    let status = text(&balancer.run("status", &[]));
    assert!(status.contains("its role is replica"), "{status}");
    a.kill();
    balancer.await_state("db", "a", "down");
    assert_eq!(database::ask(b.at, "REPLICAOF NO ONE").as_deref(), Some("+OK"));
    balancer.await_state("db", "b", "up");
    assert_eq!(database::ask(at, "SET x 2").as_deref(), Some("+OK"));
    // The old one comes back as a replica, which is not what is asked for.
    a.restore(Some(b.at));
    await_for("the old primary to be seen as a replica", PATIENCE, || {
        text(&balancer.run("status", &[])).contains("its role is replica").then_some(())
    });
    assert_eq!(database::ask(at, "SET x 3").as_deref(), Some("+OK"));
}

#[test]
fn what_is_no_database_is_no_server() {
    let redis = Redis::start("r", None);
    let at = free();
    let servers = [("r", redis.at, "")];
    let balancer = Balancer::start(&pair(at, "check postgres every=200ms rise=1 fall=1", &servers));
    balancer.await_state("db", "r", "down");
    let words = "check tcp send=PING\\r\\n expect=+PONG every=200ms rise=1 fall=1";
    let output = balancer.reload(&pair(at, words, &servers));
    assert!(output.status.success(), "{}", text(&output));
    balancer.await_state("db", "r", "up");
}
