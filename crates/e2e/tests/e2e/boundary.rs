//! Is the admin listener a boundary? One test for each case of the catalogue: who may not, does not, whatever is sent.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use evenkeel_e2e::balancer::{Balancer, command, text};
use evenkeel_e2e::origin::{Manner, Origin};
use evenkeel_e2e::place::{Scratch, free};
use evenkeel_e2e::{PATIENCE, wire};

use crate::dashboard::with_users;
use crate::setting::{QUICK_CHECK, shop};

/// `ops:right and long`.
const OPS: &str = "Authorization: Basic b3BzOnJpZ2h0IGFuZCBsb25n\r\n";
const DRAIN: &[u8] = b"{\"state\":\"drain\"}";
const SERVER: &str = "/api/v1/pools/shop/servers/a";

struct Bounded {
    balancer: Balancer,
    admin: SocketAddr,
    at: SocketAddr,
    _origin: Origin,
    _scratch: Scratch,
}

impl Bounded {
    fn start(role: &str) -> Self {
        let (admin, at, origin) = (free(), free(), Origin::start("a", Manner::Answer));
        let scratch = Scratch::new("users");
        let users = with_users(admin, role, &scratch);
        let balancer = Balancer::start(&format!("{}{users}", shop(at, QUICK_CHECK, &[("a", origin.at)])));
        balancer.await_state("shop", "a", "up");
        Self { balancer, admin, at, _origin: origin, _scratch: scratch }
    }

    fn ask(&self, method: &str, path: &str, fields: &str, body: &[u8]) -> (u16, String) {
        let answer = wire::ask(self.admin, method, path, fields, body).unwrap();
        (answer.status, answer.text())
    }

    fn is_unchanged(&self) -> bool {
        self.balancer.state("shop", "a") == "up"
    }
}

#[test]
fn a1_foreign_pages_forms_and_names_order_nothing() {
    let bounded = Bounded::start("operate");
    let json = "Content-Type: application/json\r\n";
    let cases = [
        (format!("{OPS}{json}Origin: http://evil.test\r\n"), 403),
        (format!("{OPS}{json}Origin: null\r\n"), 403),
        (format!("{OPS}{json}Sec-Fetch-Site: cross-site\r\n"), 403),
        (format!("{OPS}Content-Type: text/plain\r\n"), 415),
        (format!("{OPS}Content-Type: application/x-www-form-urlencoded\r\n"), 415),
    ];
    for (fields, wanted) in cases {
        let (status, said) = bounded.ask("PATCH", SERVER, &fields, DRAIN);
        assert_eq!(status, wanted, "{fields}: {said}");
    }
    // A name that an attacker lets point here: by it, not even reading goes.
    for (method, body) in [("GET", &b""[..]), ("PATCH", DRAIN)] {
        let mut line = TcpStream::connect(bounded.admin).unwrap();
        let head = format!(
            "{method} {SERVER} HTTP/1.1\r\nHost: rebound.evil.test\r\n{OPS}{json}Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        line.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut said = String::new();
        line.read_to_string(&mut said).unwrap();
        assert!(said.starts_with("HTTP/1.1 421") && said.contains("A204"), "{said}");
    }
    assert!(bounded.is_unchanged());
    assert_eq!(bounded.ask("PATCH", SERVER, &format!("{OPS}{json}"), DRAIN).0, 200, "who may, can");
}

#[test]
fn a2_guesses_are_held_up_alike_for_users_who_are_there_and_who_are_not() {
    let bounded = Bounded::start("operate");
    let mut looked_at = Vec::new();
    for number in 0..200 {
        // `ops:wrong` and `nob:wrong` by turns.
        let proof = if number % 2 == 0 { "b3BzOndyb25n" } else { "bm9iOndyb25n" };
        let (status, said) = bounded.ask("GET", "/api/v1/status", &format!("Authorization: Basic {proof}\r\n"), b"");
        assert!(status == 401 || status == 429, "{status}: {said}");
        if status == 401 {
            looked_at.push(said);
        }
    }
    assert!(looked_at.len() <= 40, "{} of 200 guesses were looked at", looked_at.len());
    assert!(looked_at.iter().all(|said| *said == looked_at[0]), "the answers tell who is there");
    // The one who guesses is held up at this door alone: the control socket and the traffic go on.
    assert!(bounded.is_unchanged() && wire::get(bounded.at, "/").unwrap().status == 200);
}

#[test]
fn a4_by_default_there_is_a_socket_for_its_owner_and_no_door_for_strangers() {
    let bounded = Bounded::start("read");
    let socket = bounded.balancer.scratch().file("control.sock");
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode & 0o007, 0, "mode {mode:04o}");
    let scratch = Scratch::new("open");
    for (line, code) in [("admin 0.0.0.0:9090", "E416"), ("admin :9090", "E416"), ("admin 192.0.2.1:9090", "E416")] {
        let file = scratch.write("open.conf", &format!("{line}\nhttp 127.0.0.1:8080 {{\n    to 127.0.0.1:9001\n}}\n"));
        let checked = command(&["check", "--offline", file.to_str().unwrap()]);
        assert!(checked.status.code() == Some(2) && text(&checked).contains(code), "{line}: {}", text(&checked));
    }
    let quiet = Origin::start("q", Manner::Answer);
    let balancer = Balancer::start(&shop(free(), QUICK_CHECK, &[("a", quiet.at)]));
    assert_eq!(balancer.status()["pools"][0]["name"], "shop");
    assert!(!balancer.scratch().file("evenkeel.conf").to_string_lossy().is_empty());
}

#[test]
fn a5_what_clients_and_operators_write_is_text_on_every_page() {
    let bounded = Bounded::start("operate");
    let hostile = "</script><script>alert(1)</script>";
    let json = format!("{OPS}Content-Type: application/json\r\n");
    let body = format!("{{\"state\":\"drain\",\"why\":\"{hostile}\"}}");
    assert_eq!(bounded.ask("PATCH", SERVER, &json, body.as_bytes()).0, 200);
    wire::ask(bounded.at, "GET", "/%3Cscript%3Ealert(1)", &format!("User-Agent: {hostile}\r\n"), b"").unwrap();
    for path in
        ["/", "/servers", "/events", "/log", "/config", "/dns?name=%3Cscript%3Ealert(1)", "/config?to=%3Cscript%3E"]
    {
        let answer = wire::ask(bounded.admin, "GET", path, OPS, b"").unwrap();
        assert_eq!(answer.status, 200, "{path}");
        let page = answer.text();
        assert!(!page.contains("<script>alert"), "{path}");
        let policy = answer.field("content-security-policy").unwrap_or_default();
        assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'sha256-"), "{path}: {policy}");
    }
}

#[test]
fn a6_slow_clients_hold_up_nobody_else_and_are_let_go() {
    let bounded = Bounded::start("read");
    // Some never end their head, some take nothing of their answer.
    let mut slow: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(bounded.admin).unwrap()).collect();
    for (number, line) in slow.iter_mut().enumerate() {
        let whole = if number % 2 == 0 { "" } else { "\r\n" };
        // One address gets a share of the connections: the others are ended at once.
        let _ = write!(line, "GET /servers HTTP/1.1\r\nHost: {}\r\n{OPS}{whole}", bounded.admin);
    }
    let began = Instant::now();
    let control = bounded.balancer.run("status", &[]);
    assert!(control.status.success(), "{}", text(&control));
    assert_eq!(wire::get(bounded.at, "/").unwrap().status, 200);
    assert!(began.elapsed() < PATIENCE);
    let head = &mut slow[0];
    head.set_read_timeout(Some(Duration::from_secs(90))).unwrap();
    let mut said = Vec::new();
    // It is cut off with a word or without one.
    let _ = head.read_to_end(&mut said);
    assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 408") || said.starts_with(b"HTTP/1.1 400"), "{said:?}");
    drop(slow);
    let (status, _) = bounded.ask("GET", "/api/v1/status", OPS, b"");
    assert_eq!(status, 200);
}

#[test]
fn a7_no_value_makes_the_node_read_a_file_or_call_a_place() {
    let bounded = Bounded::start("admin");
    let bait = TcpListener::bind(free()).unwrap();
    bait.set_nonblocking(true).unwrap();
    let place = bait.local_addr().unwrap();
    let climb =
        ["..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "file%3A%2F%2F%2Fetc%2Fpasswd", "/etc/passwd"];
    for value in climb {
        let paths = [
            format!("/{value}"),
            format!("/api/v1/config/text/{value}"),
            format!("/config?text={value}"),
            format!("/config?from=running&to={value}"),
            format!("/api/v1/config/diff?to={value}"),
            format!("/api/v1/pools/{value}"),
            format!("/login?to={value}"),
        ];
        for path in paths {
            let (_, said) = bounded.ask("GET", &path, OPS, b"");
            assert!(!said.contains("root:x:0"), "{path} reads a file");
        }
    }
    let json = format!("{OPS}Content-Type: application/json\r\n");
    for body in [
        format!("{{\"number\":\"http://{place}/\"}}"),
        format!("{{\"url\":\"http://{place}/\"}}"),
        "{\"number\":-1}".to_owned(),
    ] {
        let (status, said) = bounded.ask("POST", "/api/v1/config/rollback", &json, body.as_bytes());
        assert!((400..500).contains(&status), "{said}");
    }
    // What explains where a request or a query would go sends none.
    let asked = bounded.balancer.run("route", &[&format!("http://{place}/x")]);
    assert!(!text(&asked).is_empty());
    bounded.ask("GET", &format!("/api/v1/dns/query?name={}&at={}", place.ip(), place.ip()), OPS, b"");
    bounded.ask("GET", &format!("/login?to=http://{place}/"), "", b"");
    assert!(bait.accept().is_err(), "somebody called");
    // Where a sign-in leads to is a path of ours.
    let (_, page) = bounded.ask("GET", &format!("/login?to=http://{place}/"), "", b"");
    assert!(!page.contains(&place.to_string()), "{page}");
}

#[test]
fn a8_who_may_read_orders_nothing() {
    let bounded = Bounded::start("read");
    let json = format!("{OPS}Content-Type: application/json\r\n");
    let orders: [(&str, &str, &[u8]); 6] = [
        ("PATCH", SERVER, DRAIN),
        ("PATCH", SERVER, b"{\"weight\":\"0\"}"),
        ("POST", "/api/v1/reload", b"{}"),
        ("POST", "/api/v1/config/rollback", b"{\"number\":1}"),
        ("POST", "/api/v1/sessions/drop", b"{\"all\":true}"),
        ("POST", "/api/v1/stop", b"{}"),
    ];
    for (method, path, body) in orders {
        let (status, said) = bounded.ask(method, path, &json, body);
        assert_eq!(status, 403, "{method} {path}: {said}");
    }
    let (_, page) = bounded.ask("GET", "/?server=shop/a", OPS, b"");
    assert!(page.contains("shop") && !page.contains("id=\"orders\""), "a button that does nothing is offered");
    assert!(bounded.is_unchanged());
    assert!(bounded.balancer.state("shop", "a") == "up");
}
