//! Does a client stay on its server, and learn nothing by it?

use evenkeel_e2e::balancer::Balancer;
use evenkeel_e2e::nginx::Nginx;
use evenkeel_e2e::origin::{Manner, Origin};
use evenkeel_e2e::place::{Scratch, free};
use evenkeel_e2e::wire::{self, Response};

use crate::setting::{QUICK_CHECK, named, shop};

/// The cookie that an answer sets, as a client sends it back.
fn cookie(answer: &Response) -> Option<String> {
    Some(answer.field("set-cookie")?.split(';').next()?.to_owned())
}

fn ask(at: std::net::SocketAddr, cookie: &str) -> Response {
    wire::ask(at, "GET", "/", &format!("Cookie: theme=dark; {cookie}\r\n"), b"").unwrap()
}

#[test]
fn a_client_stays_until_its_server_dies_and_then_stays_on_another() {
    let mut servers = Nginx::start_many(3);
    let at = free();
    let balancer = Balancer::start(&shop(at, &format!("sticky cookie SRV\n{QUICK_CHECK}"), &named(&servers)));
    let first = wire::get(at, "/").unwrap();
    let own = first.field("x-server").unwrap().to_owned();
    let token = cookie(&first).unwrap();
    assert!(token.starts_with("SRV=") && first.head.contains("HttpOnly"), "{}", first.head);
    assert!(!first.head.contains(&servers[0].at.ip().to_string()), "the token tells an address");
    for _ in 0..30 {
        assert_eq!(ask(at, &token).field("x-server"), Some(own.as_str()));
    }
    let at_fault = servers.iter().position(|server| server.name == own).unwrap();
    servers[at_fault].kill();
    balancer.await_state("shop", &own, "down");
    let moved = ask(at, &token);
    let other = moved.field("x-server").unwrap().to_owned();
    assert_ne!(other, own);
    let token = cookie(&moved).expect("a session that moved gets a new token");
    servers[at_fault].restore();
    balancer.await_state("shop", &own, "up");
    for _ in 0..20 {
        assert_eq!(ask(at, &token).field("x-server"), Some(other.as_str()));
    }
}

#[test]
fn balancers_with_the_same_key_understand_each_other_and_forgeries_bind_nobody() {
    let servers = Nginx::start_many(3);
    let scratch = Scratch::new("key");
    let key = scratch.write("key", "0123456789abcdef0123456789abcdef");
    let line = format!("sticky cookie SRV key=file:{}\n{QUICK_CHECK}", key.display());
    let (one, two) = (free(), free());
    let _first = Balancer::start(&shop(one, &line, &named(&servers)));
    let _second = Balancer::start(&shop(two, &line, &named(&servers)));
    for _ in 0..6 {
        let answer = wire::get(one, "/").unwrap();
        let token = cookie(&answer).unwrap();
        for _ in 0..5 {
            assert_eq!(ask(two, &token).field("x-server"), answer.field("x-server"));
        }
    }
    let token = cookie(&wire::get(one, "/").unwrap()).unwrap();
    let mut forged = token.into_bytes();
    let last = forged.len() - 3;
    forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
    let answer = ask(one, &String::from_utf8(forged).unwrap());
    assert_eq!(answer.status, 200);
    assert!(cookie(&answer).is_some(), "a forged token is replaced");
}

#[test]
fn a_server_never_sees_the_token() {
    let origin = Origin::start("o", Manner::Answer);
    let echo = Nginx::start("n");
    let at = free();
    let config = format!(
        "http {at} {{\n    route /o to=o\n    route * to=n {{\n        response-header set X-Cookie \"$request.cookie\"\n    }}\n}}\n\
         pool o {{\n    sticky cookie SRV\n    check off\n    server o {}\n}}\npool n {{\n    sticky cookie SRV\n    check off\n    server n {}\n}}\n",
        origin.at, echo.at
    );
    let _balancer = Balancer::start(&config);
    let token = cookie(&wire::get(at, "/").unwrap()).unwrap();
    assert_eq!(ask(at, &token).status, 200);
    assert!(!echo.log().is_empty());
    let answer = wire::ask(at, "GET", "/o", &format!("Cookie: a=1; {token}; b=2\r\n"), b"").unwrap();
    assert_eq!(answer.status, 200);
    let head = origin.last_head();
    assert!(head.contains("a=1") && head.contains("b=2") && !head.contains("SRV="), "{head}");
}
