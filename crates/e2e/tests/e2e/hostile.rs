//! Do bad clients and bad servers harm anybody but themselves?

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use evenkeel_e2e::balancer::Balancer;
use evenkeel_e2e::load::{Account, Load, Plan};
use evenkeel_e2e::nginx::Nginx;
use evenkeel_e2e::origin::{Manner, Origin};
use evenkeel_e2e::place::{Scratch, free};
use evenkeel_e2e::wire::{self, Connection, Failure};
use evenkeel_e2e::{PATIENCE, await_for};

use crate::setting::{named, pool, shop};

#[test]
fn what_a_server_answers_wrongly_is_502_and_harms_no_other_request() {
    let (bad, good) = (Origin::start("bad", Manner::Answer), Origin::start("good", Manner::Answer));
    let at = free();
    let config = format!(
        "http {at} {{\n    route /bad to=bad\n    route * to=good\n}}\n\
         pool bad {{\n    check off\n    eject off\n    retry 0\n    timeout answer=1s idle=1s\n    server bad {}\n}}\n\
         pool good {{\n    check off\n    server good {}\n}}\n",
        bad.at, good.at
    );
    let _balancer = Balancer::start(&config);
    let load = Load::start(&Plan::get(at, 2));
    let cases: &[&[u8]] = &[
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX y: z\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    ];
    for bytes in cases {
        bad.behave(Manner::Bytes(bytes));
        let answer = wire::get(at, "/bad").unwrap();
        assert_eq!(answer.status, 502, "{}", bytes.escape_ascii());
    }
    load.await_more(50);
    load.stop().expect_clean(50);
}

#[test]
fn surplus_bytes_of_a_server_never_become_somebodys_answer() {
    let origin = Origin::start("o", Manner::Answer);
    let at = free();
    let _balancer = Balancer::start(&shop(at, "check off\neject off\nreuse always", &[("o", origin.at)]));
    origin.behave(Manner::Bytes(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirstHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
    ));
    for _ in 0..10 {
        let mut connection = Connection::open(at, PATIENCE).unwrap();
        for _ in 0..3 {
            connection.send(&wire::request(at, "GET", "/", "", b"")).unwrap();
            let answer = connection.answer("GET").unwrap();
            assert_ne!(answer.text(), "poison");
            if answer.closes() {
                break;
            }
        }
    }
}

#[test]
fn a_broken_chunked_answer_is_cut_or_refused_and_never_ended_as_if_whole() {
    let origin =
        Origin::start("o", Manner::Bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"));
    let at = free();
    let _balancer = Balancer::start(&shop(at, "check off\neject off", &[("o", origin.at)]));
    // It came in one piece, so that the fault may be seen before a byte was passed on.
    match wire::get(at, "/") {
        Ok(answer) => assert_eq!(answer.status, 502),
        Err(failure) => assert_eq!(failure, Failure::ResetMid),
    }
}

#[test]
fn clients_that_abort_are_no_fault_of_the_server() {
    let origin = Origin::start("o", Manner::AnswerAfter(Duration::from_millis(150)));
    let at = free();
    let balancer = Balancer::start(&shop(at, "check off\neject errors=3 within=30s", &[("o", origin.at)]));
    for _ in 0..20 {
        let mut connection = Connection::open(at, PATIENCE).unwrap();
        connection.send(&wire::request(at, "GET", "/", "", b"")).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        connection.abort();
        let mut half = Connection::open(at, PATIENCE).unwrap();
        half.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf").unwrap();
        half.abort();
    }
    await_for("the server to be free", PATIENCE, || (origin.now() == 0).then_some(()));
    assert_eq!(balancer.state("shop", "o"), "up");
    assert_eq!(wire::get(at, "/").unwrap().status, 200);
}

#[test]
fn a_crowd_past_the_limit_of_connections_waits_and_is_served() {
    let origin = Origin::start("o", Manner::Answer);
    let at = free();
    let config = format!("limits {{\n    conns 8\n}}\n{}", shop(at, "check off", &[("o", origin.at)]));
    let _balancer = Balancer::start(&config);
    let idle: Vec<_> = (0..6).map(|_| Connection::open(at, PATIENCE).unwrap()).collect();
    let plan = Plan { keeping: evenkeel_e2e::load::Keeping::OneEach, most: 10, ..Plan::get(at, 10) };
    let load = Load::start(&plan);
    load.await_more(20);
    drop(idle);
    load.finish().expect_clean(100);
}

/// Slow clients of each kind.
const SLOW: usize = 40;

#[test]
fn slow_clients_are_cut_off_and_nobody_else_waits() {
    let (origin, files) = (Origin::start("o", Manner::Answer), Nginx::start_many(1));
    let (at, scratch) = (free(), Scratch::new("slow"));
    let log = scratch.file("access.log");
    let config = format!(
        "timeout head=4s body=4s send=4s rate=1k\n\
         http {at} {{\n    log {} format=json\n    route /large to=files\n    route * to=shop\n}}\n{}{}",
        log.display(),
        pool("shop", "check off\neject errors=3 within=30s", &[("o", origin.at)]),
        pool("files", "check off", &named(&files))
    );
    let balancer = Balancer::start(&config);
    let plan = Plan { most: 250, ..Plan::get(at, 4) };
    let alone = Load::start(&plan).finish();
    alone.expect_clean(1000);

    let stop = Arc::new(AtomicBool::new(false));
    // More answers than the system holds on their way.
    let readers = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n".repeat(8);
    let kinds = [
        "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ".to_owned(),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n".to_owned(),
        readers,
    ];
    let attackers = kinds.map(|begin| {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || attack(at, begin.as_bytes(), &stop))
    });
    // What the readers let the system take at first is work, not slowness.
    std::thread::sleep(Duration::from_millis(1500));
    let beset = Load::start(&plan).finish();
    beset.expect_clean(1000);
    // Each dripped a byte every 100 ms, so that no pause of its own was long.
    await_for("every slow client to be cut off", PATIENCE, || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        (text.matches("\"end\":\"client-timeout\"").count() >= 3 * SLOW).then_some(())
    });
    stop.store(true, Ordering::Relaxed);
    for attacker in attackers {
        attacker.join().unwrap();
    }
    let (alone, beset) = (late(&alone), late(&beset));
    assert!(beset < alone * 10 + Duration::from_millis(100), "p99 was {alone:?} and is {beset:?} beside slow clients");
    assert_eq!(balancer.state("shop", "o"), "up");
}

/// Connections that begin so, and then move a byte each way every 100 ms, until they are told to stop.
fn attack(at: SocketAddr, begin: &[u8], stop: &AtomicBool) {
    let connect = |_| {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.write_all(begin).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    };
    let mut held: Vec<TcpStream> = (0..SLOW).map(connect).collect();
    let is_reader = begin.starts_with(b"GET /large");
    while !stop.load(Ordering::Relaxed) {
        for stream in &mut held {
            let _ = if is_reader { stream.read(&mut [0]) } else { stream.write(b"x") };
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The time within which 99 of 100 were answered.
fn late(account: &Account) -> Duration {
    let mut times: Vec<Duration> = account.records.iter().map(|record| record.took).collect();
    times.sort_unstable();
    times[times.len() * 99 / 100]
}
