//! Do clients that are not ours get what they ask for, and do the malformed get nothing?

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use evenkeel_e2e::balancer::Balancer;
use evenkeel_e2e::nginx::{LARGE, Nginx};
use evenkeel_e2e::origin::{Manner, Origin};
use evenkeel_e2e::place::{Scratch, free};
use evenkeel_e2e::wire::{self, Connection, Failure};

use crate::setting::{QUICK_CHECK, named, shop};

/// Runs curl; its standard output and whether it was content.
fn curl(arguments: &[&str]) -> (String, bool) {
    let output =
        Command::new("curl").args(["-sS", "--max-time", "20"]).args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (text, output.status.success())
}

#[test]
fn curl_gets_what_it_asks_for_in_every_dialect() {
    let servers = Nginx::start_many(2);
    let at = free();
    let _balancer = Balancer::start(&shop(at, QUICK_CHECK, &named(&servers)));
    let scratch = Scratch::new("curl");
    let body = scratch.write("body", &"x".repeat(300_000));
    let body = format!("@{}", body.display());
    let [root, large] = ["/", "/large"].map(|path| format!("http://{at}{path}"));
    let cases: &[(&[&str], &str)] = &[
        (&["-w", "%{http_code} %{http_version}", &root], "200 1.1"),
        (&["--http1.0", "-w", "%{http_code}", &root], "200"),
        (&["-I", &root], "X-Server:"),
        (&["-I", &large], "Content-Length: 2097152"),
        (&["-r", "26-51", &large], "abcdefghijklmnopqrstuvwxyz"),
        (&["-o", "/dev/null", "-w", "%{http_code} %{size_download}", &large], "200 2097152"),
        (&["-d", &body, "-w", "%{http_code}", &root], "200"),
        (&["-H", "Expect: 100-continue", "-d", &body, "-w", "%{http_code}", &root], "200"),
        (&["-H", "Transfer-Encoding: chunked", "-d", &body, "-w", "%{http_code}", &root], "200"),
        (&["-X", "PUT", "-T", "/dev/null", "-w", "%{http_code}", &root], "200"),
        (&["-o", "/dev/null", "-o", "/dev/null", "-w", "%{num_connects} ", &root, &root], "1 0 "),
        (&["-w", "%{http_code}", &format!("http://{at}/no-such/../../x%2Fy?q=1")], "200"),
    ];
    for (arguments, wanted) in cases {
        let (text, is_content) = curl(arguments);
        let shown: String = text.chars().take(400).collect();
        assert!(is_content && text.contains(wanted), "curl {arguments:?}: {shown}");
    }
}

#[test]
fn a_large_answer_arrives_whole_for_a_slow_reader() {
    let servers = Nginx::start_many(1);
    let at = free();
    let _balancer = Balancer::start(&shop(at, QUICK_CHECK, &named(&servers)));
    let direct = wire::get(servers[0].at, "/large").unwrap();
    let mut connection = Connection::open(at, evenkeel_e2e::PATIENCE).unwrap();
    connection.send(&wire::request(at, "GET", "/large", "", b"")).unwrap();
    // The answer has to wait in the kernel's buffers and in the server: nothing else may hold it.
    std::thread::sleep(Duration::from_millis(300));
    let answer = connection.answer("GET").unwrap();
    assert_eq!(answer.body.len(), LARGE);
    assert!(answer.body == direct.body, "the bytes differ");
}

#[test]
fn a_stranger_to_the_standard_is_turned_away_before_a_server_sees_it() {
    let origin = Origin::start("o", Manner::Answer);
    let at = free();
    let _balancer = Balancer::start(&shop(at, "check off", &[("o", origin.at)]));
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(20_000));
    let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "y".repeat(9_000));
    let cases: &[(&str, u16)] = &[
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \u{1}\r\n\r\n", 400),
        ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (&long, 431),
        (&target, 414),
    ];
    for (bytes, wanted) in cases {
        let shown: String = bytes.chars().take(80).collect();
        let mut connection = Connection::open(at, evenkeel_e2e::PATIENCE).unwrap();
        connection.send(bytes.as_bytes()).unwrap();
        let answer = connection.answer("GET").unwrap_or_else(|failure| panic!("{shown:?}: {failure}"));
        assert_eq!(answer.status, *wanted, "{shown:?}");
        assert!(answer.closes(), "{shown:?}: the connection may be used again");
    }
    assert_eq!(origin.total_heads(), 0);
    let answer = wire::get(at, "/").unwrap();
    assert_eq!(answer.status, 200, "after all of that the listener serves");
}

#[test]
fn a_head_that_drips_gets_408_in_its_time() {
    let origin = Origin::start("o", Manner::Answer);
    let at = free();
    let config = format!("timeout head=500ms\n{}", shop(at, "check off", &[("o", origin.at)]));
    let _balancer = Balancer::start(&config);
    let mut connection = Connection::open(at, Duration::from_secs(5)).unwrap();
    for byte in "GET / HTTP/1.1\r\n".bytes().take(10) {
        connection.send(&[byte]).unwrap();
        std::thread::sleep(Duration::from_millis(80));
    }
    assert_eq!(connection.answer("GET").unwrap().status, 408);
}

#[test]
fn a_cut_answer_never_looks_whole() {
    let origin = Origin::start("o", Manner::DieWithin);
    let at = free();
    let _balancer = Balancer::start(&shop(at, "check off\neject off", &[("o", origin.at)]));
    assert_eq!(wire::get(at, "/").unwrap_err(), Failure::ResetMid);
}

#[test]
fn requests_that_came_in_one_piece_are_answered_in_order() {
    let servers = Nginx::start_many(1);
    let at: SocketAddr = free();
    let _balancer = Balancer::start(&shop(at, QUICK_CHECK, &named(&servers)));
    let mut connection = Connection::open(at, evenkeel_e2e::PATIENCE).unwrap();
    let three = [("GET", "/"), ("POST", "/"), ("GET", "/fields")];
    let bytes: Vec<u8> = three.iter().flat_map(|(method, target)| wire::request(at, method, target, "", b"")).collect();
    connection.send(&bytes).unwrap();
    let answers: Vec<_> = three.iter().map(|(method, _)| connection.answer(method).unwrap().text()).collect();
    assert!(answers[0] == "a\n" && answers[1] == "a\n" && answers[2].starts_with("host="), "{answers:?}");
}
