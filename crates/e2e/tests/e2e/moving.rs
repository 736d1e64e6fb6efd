//! Do clients keep their servers when evenkeel takes another balancer's place, by the manual's own configurations?

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use evenkeel_e2e::balancer::Balancer;
use evenkeel_e2e::nginx::Nginx;
use evenkeel_e2e::old::Old;
use evenkeel_e2e::origin::{Manner, Origin};
use evenkeel_e2e::place::{Scratch, free};
use evenkeel_e2e::wire::{self, Response};

/// The configuration of that place on a page of how-tos, with addresses that are there and keys that can be read.
fn page(name: &str, place: usize, at: SocketAddr, servers: &[SocketAddr], keys: &Scratch) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/how-to").join(name);
    let text = fs::read_to_string(path).unwrap();
    let mut blocks = text.split("```evenkeel\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut block = blocks.nth(place).unwrap_or_else(|| panic!("{name} has no block {place}")).to_owned();
    for (count, server) in servers.iter().enumerate() {
        for network in ["10.0.0", "10.0.1"] {
            block = block.replace(&format!("{network}.{}:8080", 11 + count), &server.to_string());
        }
    }
    assert!(!block.contains("10.0."), "more servers than the test has: {block}");
    block.replace("http :80", &format!("http {at}")).replace("/etc/evenkeel/", &format!("{}/", keys.path().display()))
}

fn ask(at: SocketAddr, cookie: &str) -> Response {
    let field = if cookie.is_empty() { String::new() } else { format!("Cookie: {cookie}\r\n") };
    wire::ask(at, "GET", "/", &field, b"").unwrap()
}

fn server(answer: &Response) -> String {
    answer.field("x-server").unwrap_or_else(|| panic!("nobody answered: {}", answer.head)).to_owned()
}

fn cookie(answer: &Response) -> Option<String> {
    Some(answer.field("set-cookie")?.split(';').next()?.to_owned())
}

/// New clients of a balancer: each with its server and its cookie. There are clients of every server.
fn clients(at: SocketAddr, servers: usize) -> Vec<(String, String)> {
    let mut clients = Vec::new();
    for _ in 0..4 * servers {
        let answer = ask(at, "");
        clients.push((server(&answer), cookie(&answer).expect("a new client gets a cookie")));
    }
    assert_eq!(clients.iter().map(|(server, _)| server).collect::<BTreeSet<_>>().len(), servers);
    clients
}

/// Sends clients of one balancer to the other: they keep their servers, by what they have and by what they then get.
fn expect_kept(clients: &[(String, String)], there: SocketAddr) -> Vec<(String, String)> {
    let mut now = Vec::new();
    for (own, held) in clients {
        let answer = ask(there, held);
        assert_eq!(server(&answer), *own, "{held}");
        let held = cookie(&answer).unwrap_or_else(|| held.clone());
        assert_eq!(server(&ask(there, &held)), *own, "{held}");
        now.push((own.clone(), held));
    }
    now
}

fn haproxy(cookie: &str, servers: &[Nginx]) -> Old {
    let mut lines = format!(" {cookie}\n");
    for (count, server) in servers.iter().enumerate() {
        lines.push_str(&format!(" server s{0} {1} cookie s{0}\n", count + 1, server.at));
    }
    Old::haproxy(&lines)
}

#[test]
fn clients_of_haproxy_keep_their_servers_and_get_tokens() {
    let servers = Nginx::start_many(2);
    let addresses: Vec<SocketAddr> = servers.iter().map(|server| server.at).collect();
    let old = haproxy("cookie SERVERID insert indirect nocache", &servers);
    let (at, keys) = (free(), Scratch::new("keys"));
    let _balancer = Balancer::start(&page("from-haproxy-cookie.md", 0, at, &addresses, &keys));
    let before = clients(old.at, 2);
    assert!(before.iter().all(|(_, held)| held.starts_with("SERVERID=s")), "{before:?}");
    let after = expect_kept(&before, at);
    assert!(after.iter().all(|(_, held)| held.len() > 90), "tokens now: {after:?}");
}

#[test]
fn haproxy_and_evenkeel_serve_side_by_side_by_the_same_cookie() {
    let servers = Nginx::start_many(2);
    let addresses: Vec<SocketAddr> = servers.iter().map(|server| server.at).collect();
    let keys = Scratch::new("keys");
    let ways = [
        (1, "cookie SERVERID insert indirect nocache"),
        (2, "cookie SERVERID insert indirect nocache maxidle 30m maxlife 8h"),
    ];
    for (place, option) in ways {
        let old = haproxy(option, &servers);
        let at = free();
        let _balancer = Balancer::start(&page("from-haproxy-cookie.md", place, at, &addresses, &keys));
        // From there to here and back, and the other way round.
        expect_kept(&expect_kept(&clients(old.at, 2), at), old.at);
        expect_kept(&expect_kept(&clients(at, 2), old.at), at);
        let value = cookie(&ask(at, "")).unwrap();
        assert_eq!(value.contains('|'), option.contains("maxidle"), "{value}");
    }
}

/// Servers that set a cookie themselves, as bytes.
fn setting(cookie: [&'static str; 2]) -> [Origin; 2] {
    let answer = |name: &str, cookie: &str| {
        let text =
            format!("HTTP/1.1 200 OK\r\nX-Server: {name}\r\nSet-Cookie: {cookie}; Path=/\r\nContent-Length: 0\r\n\r\n");
        Manner::Bytes(Box::leak(text.into_bytes().into_boxed_slice()))
    };
    [Origin::start("a", answer("a", cookie[0])), Origin::start("b", answer("b", cookie[1]))]
}

#[test]
fn servers_own_cookies_are_understood_as_by_an_nginx_with_a_map() {
    let servers = setting(["backend=backend1", "backend=backend2"]);
    let [a, b] = [servers[0].at, servers[1].at];
    let map = format!(
        "map $cookie_backend $to {{\nbackend1 {a};\nbackend2 {b};\ndefault all;\n}}\nupstream all {{ server {a}; server {b}; }}"
    );
    let old = Old::nginx(&map, "proxy_pass http://$to;");
    let (at, keys) = (free(), Scratch::new("keys"));
    let balancer = Balancer::start(&page("servers-own-cookie.md", 0, at, &[a, b], &keys));
    expect_kept(&expect_kept(&clients(old.at, 2), at), old.at);
    expect_kept(&expect_kept(&clients(at, 2), old.at), at);
    // A value that names nobody, and one whose server is dead, fall back to balancing.
    let answered: BTreeSet<String> = (0..4).map(|_| server(&ask(at, "backend=backend9"))).collect();
    assert_eq!(answered.len(), 2);
    servers[0].behave(Manner::Die);
    balancer.await_state("shop", "web1", "down");
    assert_eq!(server(&ask(at, "backend=backend1")), "b");
}

#[test]
fn haproxys_rewrite_and_prefix_go_on() {
    let keys = Scratch::new("keys");
    for (option, mode, value) in
        [("rewrite", "rewrite value=name", "SID=s1"), ("prefix", "prefix value=name", "SID=s1~own")]
    {
        let servers = setting(["SID=own", "SID=own"]);
        let lines: String = servers
            .iter()
            .enumerate()
            .map(|(count, server)| format!(" server s{0} {1} cookie s{0}\n", count + 1, server.at))
            .collect();
        let old = Old::haproxy(&format!(" cookie SID {option}\n{lines}"));
        let at = free();
        let config = page("servers-own-cookie.md", 2, at, &[servers[0].at, servers[1].at], &keys)
            .replace("cookie PHPSESSID set-by=server prefix", &format!("cookie SID set-by=server {mode}"))
            .replace("server a", "server s1")
            .replace("server b", "server s2");
        let _balancer = Balancer::start(&config);
        let before = clients(old.at, 2);
        assert!(before.iter().any(|(_, held)| held == value), "{option}: {before:?}");
        expect_kept(&expect_kept(&before, at), old.at);
        let after = clients(at, 2);
        assert!(after.iter().any(|(_, held)| held == value), "{option}: {after:?}");
        expect_kept(&after, old.at);
    }
}

/// What another program makes of bytes.
fn digest(arguments: &[&str], input: &[u8]) -> String {
    let mut program = Command::new("openssl")
        .arg("dgst")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl is there");
    program.stdin.take().unwrap().write_all(input).unwrap();
    let output = String::from_utf8(program.wait_with_output().unwrap().stdout).unwrap();
    output.split_whitespace().last().expect("a digest").to_owned()
}

/// An IPv4 address as Linux has it on a little-endian machine.
fn sockaddr(at: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(at) = at else { panic!("tests have IPv4") };
    let mut bytes = vec![2, 0];
    bytes.extend(at.port().to_be_bytes());
    bytes.extend(at.ip().octets());
    bytes.resize(16, 0);
    bytes
}

#[test]
fn clients_of_the_sticky_module_keep_their_servers() {
    let servers = Nginx::start_many(2);
    let addresses: Vec<SocketAddr> = servers.iter().map(|server| server.at).collect();
    let keys = Scratch::new("keys");
    keys.write("route.key", "a key of some length\n");
    let old = |how: &dyn Fn(SocketAddr) -> String| -> Vec<(String, String)> {
        servers.iter().map(|server| (server.name.clone(), format!("route={}", how(server.at)))).collect()
    };
    let hmac = old(&|at| digest(&["-sha1", "-hmac", "a key of some length"], &sockaddr(at)));
    let cases = [
        ("md5", 0, "", old(&|at| digest(&["-md5"], &sockaddr(at)))),
        ("text", 0, "read=md5 of=address", old(&|at| digest(&["-md5"], at.to_string().as_bytes()))),
        ("sha1 of later versions", 0, "read=sha1 of=written", old(&|at| digest(&["-sha1"], at.to_string().as_bytes()))),
        (
            "index",
            0,
            "read=index",
            vec![("a".to_owned(), "route=0".to_owned()), ("b".to_owned(), "route=1".to_owned())],
        ),
        ("raw", 0, "read=address", old(&|at| at.to_string())),
        ("hmac", 1, "", hmac.clone()),
    ];
    for (what, place, read, before) in cases {
        let at = free();
        let mut config = page("from-nginx-sticky-module.md", place, at, &addresses, &keys);
        if !read.is_empty() {
            assert!(config.contains("read=md5"), "{config}");
            config = config.replace("read=md5", read);
        }
        let _balancer = Balancer::start(&config);
        let after = expect_kept(&before, at);
        let is_old_form = after.iter().zip(&before).all(|(after, before)| after.1 == before.1);
        assert_eq!(is_old_form, place == 1, "{what}: {after:?}");
        if place == 1 {
            let written: BTreeSet<String> = clients(at, 2).into_iter().map(|(_, held)| held).collect();
            assert_eq!(written, hmac.iter().map(|(_, held)| held.clone()).collect(), "what is written is the module's");
        }
    }
}

#[test]
fn nginxs_own_routes_are_understood_in_cookie_and_query() {
    let servers = Nginx::start_many(2);
    let addresses: Vec<SocketAddr> = servers.iter().map(|server| server.at).collect();
    let (at, keys) = (free(), Scratch::new("keys"));
    let _balancer = Balancer::start(&page("from-nginx-sticky-module.md", 2, at, &addresses, &keys));
    for _ in 0..3 {
        assert_eq!(server(&ask(at, "r=b1")), "b");
        assert_eq!(server(&wire::get(at, "/?x=1&r=a1").unwrap()), "a");
        assert_eq!(server(&wire::get(at, "/?r=b1").unwrap()), "b");
    }
}
