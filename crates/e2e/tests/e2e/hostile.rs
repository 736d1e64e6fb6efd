//! Do bad clients and bad servers harm anybody but themselves?

use std::time::Duration;

use evenkeel_e2e::balancer::Balancer;
use evenkeel_e2e::load::{Load, Plan};
use evenkeel_e2e::origin::{Manner, Origin};
use evenkeel_e2e::place::free;
use evenkeel_e2e::wire::{self, Connection, Failure};
use evenkeel_e2e::{PATIENCE, await_for};

use crate::setting::shop;

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
