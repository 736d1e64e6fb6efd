//! DNS of a node: answers over both transports, following health and reloads, transfers, refusals.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use evenkeel_dns::tsig::{Key, sign_request, verify_response};
use evenkeel_dns::wire::{Message, Question, write_query};
use evenkeel_dns::{Class, Type};
use evenkeel_net::clock;
use evenkeel_node::DnsAsked;

use crate::Running;
use crate::origin::{Scratch, Server, eventually, free_port};

/// A question, asked over UDP; `None` where no answer comes.
fn ask(port: u16, name: &str, kind: Type) -> Option<Message> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.connect(("127.0.0.1", port)).unwrap();
    socket.send(&query(name, kind)).unwrap();
    let mut answer = [0; 2048];
    let length = socket.recv(&mut answer).ok()?;
    Message::read(&answer[..length])
}

fn query(name: &str, kind: Type) -> Vec<u8> {
    write_query(7, &Question { name: name.parse().unwrap(), kind, class: Class::IN }, false, Some(1232))
}

fn ask_over_tcp(stream: &mut TcpStream, name: &str, kind: Type) -> Option<Message> {
    let query = query(name, kind);
    stream.write_all(&u16::try_from(query.len()).unwrap().to_be_bytes()).unwrap();
    stream.write_all(&query).unwrap();
    read_over_tcp(stream)
}

fn read_over_tcp(stream: &mut TcpStream) -> Option<Message> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).ok()?;
    Message::read(&answer)
}

fn stream_to(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// Waits until every thread, over UDP and over TCP, answers by what is healthy: each takes a new view in its own time.
fn answered_everywhere(port: u16) {
    let is_known = |answer: Option<Message>| answer.is_some_and(|answer| answer.rcode() == 0);
    eventually("every thread knows what is healthy", || {
        // The port that a query comes from chooses the thread.
        (0..16).all(|_| is_known(ask(port, "api.example.com", Type::A)))
            && is_known(ask_over_tcp(&mut stream_to(port), "api.example.com", Type::A))
    });
}

/// The addresses of an answer, sorted.
fn addresses(message: &Message) -> Vec<String> {
    let mut all: Vec<String> = message.answer.iter().map(|record| record.data.show(record.kind)).collect();
    all.sort();
    all
}

fn config(dns: u16, servers: &[u16], zone: &str) -> String {
    let servers: String =
        servers.iter().enumerate().map(|(at, port)| format!("    server s{at} 127.0.0.{}:{port}\n", at + 1)).collect();
    format!(
        "state off\nlimits {{\n    workers 2\n    drain 1s\n}}\npool shop {{\n    check GET /check every=100ms rise=1 fall=1\n\
         {servers}}}\npool others {{\n    check tcp every=100ms rise=1 fall=1\n    server lb2 127.0.0.9:1\n}}\n\
         dns 127.0.0.1:{dns} {{\n    rate off\n{zone}}}\n"
    )
}

const OWN: &str =
    "    zone api.example.com answer=self pool=shop ttl=30s {\n        ns lb1.example.com=198.51.100.10\n    }\n";

#[test]
fn a_node_answers_its_own_zone_over_both_transports() {
    let server = Server::start("one");
    let port = free_port();
    let running = Running::start(&config(port, &[server.port()], OWN));
    eventually("its server is up", || running.status().is_settled());
    answered_everywhere(port);
    let before = running.status().dns.tcp;
    assert_eq!(addresses(&ask(port, "API.example.com", Type::A).unwrap()), ["127.0.0.1"]);
    let answer = ask(port, "api.example.com", Type::AAAA).unwrap();
    assert_eq!((answer.rcode(), answer.answer.len(), answer.authority.len()), (0, 0, 1));
    assert_eq!(answer.authority[0].owner.to_string(), "api.example.com.", "the SOA is the zone's own");
    assert_eq!(ask(port, "x.api.example.com", Type::A).unwrap().rcode(), 3);
    assert_eq!(ask(port, "example.com", Type::A).unwrap().rcode(), 5, "what is elsewhere is refused");

    let mut stream = stream_to(port);
    // Three at once on one connection (RFC 7766): answered in order.
    for kind in [Type::A, Type::NS, Type::SOA] {
        let query = query("api.example.com", kind);
        stream.write_all(&u16::try_from(query.len()).unwrap().to_be_bytes()).unwrap();
        stream.write_all(&query).unwrap();
    }
    for kind in [Type::A, Type::NS, Type::SOA] {
        assert_eq!(read_over_tcp(&mut stream).unwrap().answer[0].kind, kind);
    }
    let totals = running.status().dns;
    assert!(totals.udp >= 4 && totals.tcp == before + 3, "{totals:?}");
    assert_eq!(totals.rcodes.get("REFUSED"), Some(&1));
    assert_eq!(running.stop().failed, None);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "nobody listens any more");
}

#[test]
fn answers_follow_health_and_are_never_empty() {
    let (one, two) = (Server::start("one"), Server::start("two"));
    let ports = [one.port(), two.port()];
    let zone =
        "    zone www.example.com answer=pool pool=shop ttl=30s {\n        ns lb1.example.com=198.51.100.10\n    }\n";
    let port = free_port();
    // Both are asked at 127.0.0.1 and .2: servers of the test listen on one of them only.
    let text = config(port, &ports, zone).replace("127.0.0.2:", "127.0.0.1:");
    let running = Running::start(&text);
    let now = || addresses(&ask(port, "www.example.com", Type::A).expect("an answer"));
    eventually("it answers", || now() == ["127.0.0.1"]);
    drop((one, two));
    eventually("both are down", || {
        running.status().pools[0].servers.iter().all(|server| server.verdict.state == evenkeel_model::State::Down)
    });
    for _ in 0..20 {
        assert_eq!(now(), ["127.0.0.1"], "a set is never emptied by health");
    }
}

#[test]
fn a_node_whose_pool_is_empty_answers_with_its_peers() {
    let (server, peer) = (Server::start("one"), Server::start("peer"));
    let port = free_port();
    let zone = OWN.replace("pool=shop", "pool=shop peers=others address=198.51.100.10");
    let text = config(port, &[server.port()], &zone).replace("127.0.0.9:1", &format!("127.0.0.1:{}", peer.port()));
    let running = Running::start(&text);
    let now = || addresses(&ask(port, "api.example.com", Type::A).expect("an answer"));
    eventually("it answers with itself", || now() == ["198.51.100.10"]);
    let origin = server.port();
    drop(server);
    eventually("it answers with its peer", || now() == ["127.0.0.1"]);
    let back = Server::start_at("one", origin);
    eventually("it answers with itself again", || now() == ["198.51.100.10"]);
    drop(back);
    drop(running);
}

#[test]
fn no_query_is_lost_over_reloads_and_each_answer_is_of_one_configuration() {
    let server = Server::start("one");
    let port = free_port();
    let text = |ttl: u32| {
        let zone = OWN.replace("ttl=30s", &format!("ttl={ttl}s address=192.0.2.{ttl}"));
        config(port, &[server.port()], &zone)
    };
    let running = Running::start(&text(30));
    eventually("its server is up", || running.status().is_settled());
    answered_everywhere(port);
    let (ended, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !ended.load(Ordering::SeqCst) {
                    let answer = ask(port, "api.example.com", Type::A).expect("no query is lost");
                    let [record] = answer.answer.as_slice() else { panic!("{answer:?}") };
                    assert_eq!(addresses(&answer), [format!("192.0.2.{}", record.ttl)]);
                    asked.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for round in 0..20 {
            running.reload(&text(30 + round)).unwrap();
            let answer = ask(port, "api.example.com", Type::A).unwrap();
            assert_eq!(answer.answer[0].ttl, 30 + round, "done means that queries see it");
        }
        ended.store(true, Ordering::SeqCst);
    });
    assert!(asked.load(Ordering::SeqCst) > 20);
}

#[test]
fn a_pool_that_gets_another_name_is_answered_from_all_the_time() {
    let port = free_port();
    // Other zones, so that a new view takes its time.
    let others: String = (0..200)
        .map(|at| format!("    zone n{at}.example answer=pool pool=POOL {{\n        ns lb1.example.com\n    }}\n"))
        .collect();
    let text = |pool: &str| {
        format!(
            "state off\nlimits {{\n    workers 2\n    drain 1s\n}}\npool POOL {{\n    check off\n    server s 192.0.2.7:80\n}}\n\
             dns 127.0.0.1:{port} {{\n    rate off\n    zone www.example.com answer=pool pool=POOL {{\n        \
             ns lb1.example.com\n    }}\n{others}}}\n"
        )
        .replace("POOL", pool)
    };
    let running = Running::start(&text("web"));
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !ended.load(Ordering::SeqCst) {
                    let answer = ask(port, "www.example.com", Type::A).expect("no query is lost");
                    let told = (answer.rcode(), addresses(&answer));
                    if told != (0, vec!["192.0.2.7".to_owned()]) {
                        ended.store(true, Ordering::SeqCst);
                        panic!("{told:?}");
                    }
                }
            });
        }
        for round in 0..20 {
            running.reload(&text(if round % 2 == 0 { "shop" } else { "web" })).unwrap();
        }
        ended.store(true, Ordering::SeqCst);
    });
}

#[test]
fn an_access_log_that_goes_is_closed_beside_a_block_that_answers() {
    let server = Server::start("one");
    let (dir, dns, http) = (Scratch::new("dns-log"), free_port(), free_port());
    let (goes, stays) = (dir.path().join("goes.log"), dir.path().join("stays.log"));
    let text = |log: &str| {
        config(dns, &[server.port()], &format!("    log {}\n{OWN}", stays.display()))
            + &format!("http 127.0.0.1:{http} {{\n{log}    route * to=shop\n}}\n")
    };
    let is_open = |path: &std::path::Path| {
        let open = fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
        open.into_iter().any(|open| open == path)
    };
    let running = Running::start(&text(&format!("    log {}\n", goes.display())));
    assert!(is_open(&goes) && is_open(&stays));
    running.reload(&text("")).unwrap();
    eventually("the log is closed", || !is_open(&goes));
    assert!(is_open(&stays));
    assert_eq!(running.stop().failed, None);
}

#[test]
fn an_address_that_goes_is_answered_to_its_last_query() {
    let server = Server::start("one");
    let (stays, goes) = (free_port(), free_port());
    let text =
        |addresses: &str| config(stays, &[server.port()], OWN).replace(&format!("dns 127.0.0.1:{stays}"), addresses);
    let both = text(&format!("dns 127.0.0.1:{stays} 127.0.0.1:{goes}"));
    let running = Running::start(&both);
    eventually("it answers", || ask(goes, "api.example.com", Type::A).is_some_and(|answer| answer.rcode() == 0));
    for _ in 0..10 {
        // From many sockets, so that each thread has some; all under way when the address goes.
        let clients: Vec<UdpSocket> = (0..40)
            .map(|_| {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                socket.connect(("127.0.0.1", goes)).unwrap();
                for _ in 0..3 {
                    socket.send(&query("api.example.com", Type::SOA)).unwrap();
                }
                socket
            })
            .collect();
        running.reload(&text(&format!("dns 127.0.0.1:{stays}"))).unwrap();
        for client in &clients {
            let mut answer = [0; 2048];
            for _ in 0..3 {
                client.recv(&mut answer).expect("a query that came in time is answered");
            }
        }
        running.reload(&both).unwrap();
    }
}

#[test]
fn a_zone_file_is_answered_transferred_to_whom_it_may_and_refused_whole_when_bad() {
    let scratch = Scratch::new("zone");
    let path = scratch.path().join("example.org");
    let good = "$TTL 60\n@ SOA ns h 5 1 1 1 1\n@ NS ns\nns A 192.0.2.1\nwww TXT chosen\n*.w A 192.0.2.4\n";
    fs::write(&path, good).unwrap();
    let server = Server::start("one");
    let port = free_port();
    let zone = format!(
        "    zone example.org file={} {{\n        name www answer=pool pool=shop\n        transfer 127.0.0.1\n    }}\n    \
         zone closed.example file={}\n",
        path.display(),
        path.display()
    );
    let text = config(port, &[server.port()], &zone);
    let running = Running::start(&text);
    let first = |kind| move || ask(port, "www.example.org", kind).map(|answer| addresses(&answer)).unwrap_or_default();
    eventually("the pool's server is answered", || first(Type::A)() == ["127.0.0.1"]);
    assert_eq!(first(Type::TXT)(), ["\"chosen\""]);
    assert_eq!(addresses(&ask(port, "a.b.w.example.org", Type::A).unwrap()), ["192.0.2.4"]);

    let mut stream = stream_to(port);
    let whole = ask_over_tcp(&mut stream, "example.org", Type::AXFR).unwrap();
    let kinds: Vec<String> = whole.answer.iter().map(|record| record.kind.to_string()).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&"SOA".to_owned()), Some(&"SOA".to_owned())));
    assert!(whole.answer.iter().any(|record| record.kind == Type::A && record.owner.to_string() == "www.example.org."));
    assert_eq!(ask_over_tcp(&mut stream, "closed.example", Type::AXFR).unwrap().rcode(), 5);

    fs::write(&path, format!("{good}www A 192.0.2.300\nmx MX ten mail\n")).unwrap();
    let refused = running.reload(&text).unwrap_err();
    assert!(refused.contains("example.org") && refused.contains(":7") && refused.contains(":8"), "{refused}");
    assert_eq!(first(Type::A)(), ["127.0.0.1"], "what was read before is answered on");
    fs::write(&path, good.replace("192.0.2.4", "192.0.2.5").replace(" 5 ", " 6 ")).unwrap();
    running.reload(&text).unwrap();
    assert_eq!(addresses(&ask(port, "a.w.example.org", Type::A).unwrap()), ["192.0.2.5"]);
}

#[test]
fn signed_answers_fit_their_client_and_refusals_are_signed_too() {
    let key = "hmac-sha256:some.key:c2VjcmV0IG9mIHRoZSBob3VzZSBvZiBrZXlz";
    let scratch = Scratch::new("signed");
    let file = |name: &str, text: &str| {
        let path = scratch.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let mut records = "$TTL 60\n@ SOA ns h 5 1 1 1 1\n@ NS ns\nns A 192.0.2.1\n".to_owned();
    // With its signature the answer would have more than 512 bytes, without it fewer.
    (0..26).for_each(|number| records.push_str(&format!("many A 192.0.2.{number}\n")));
    let (open, closed) = (file("open", &records), file("closed", &records));
    let zone = format!(
        "    zone open.example file={open} {{\n        transfer 192.0.2.9 key=file:{}\n    }}\n    zone closed.example file={closed}\n",
        file("key", key)
    );
    let server = Server::start("one");
    let port = free_port();
    let running = Running::start(&config(port, &[server.port()], &zone));
    let key = Key::read_all(key).unwrap().remove(0);
    let ask = |name: &str, kind, size: Option<u16>| {
        let question = Question { name: name.parse().unwrap(), kind, class: Class::IN };
        let mut query = write_query(7, &question, false, size);
        let mac = sign_request(&mut query, &key, clock::unix_now());
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.send_to(&query, ("127.0.0.1", port)).unwrap();
        let mut answer = [0; 2048];
        let length = socket.recv(&mut answer).unwrap();
        verify_response(&answer[..length], &key, &mac, clock::unix_now()).expect("the answer is signed");
        (length, Message::read(&answer[..length]).unwrap())
    };
    let (length, cut) = ask("many.open.example", Type::A, None);
    assert!(length <= 512 && cut.is_truncated() && cut.answer.is_empty(), "{length}");
    let (_, whole) = ask("many.open.example", Type::A, Some(1232));
    assert_eq!((whole.is_truncated(), whole.answer.len()), (false, 26));
    for _ in 0..20 {
        assert_eq!(ask("open.example", Type::AXFR, Some(1232)).1.rcode(), 5);
    }
    assert_eq!(ask("closed.example", Type::IXFR, Some(1232)).1.rcode(), 5);
    assert_eq!(running.status().dns.refused_transfers, 21);
    drop((server, running));
}

#[test]
fn a_name_twice_or_out_of_reach_is_refused() {
    let scratch = Scratch::new("spellings");
    let path = scratch.path().join("zone");
    fs::write(&path, "$TTL 60\n@ SOA ns h 5 1 1 1 1\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.2\nal CNAME www\nsub NS ns.sub\nns.sub A 192.0.2.3\n").unwrap();
    let (server, port) = (Server::start("one"), free_port());
    let zone = |name: &str, names: &[&str]| {
        let names: String = names.iter().map(|name| format!("        name {name} answer=pool pool=shop\n")).collect();
        format!("    zone {name} file={} {{\n{names}    }}\n", path.display())
    };
    let text = |zones: &[String]| config(port, &[server.port()], &zones.concat());
    let running = Running::start(&text(&[zone("a.example", &["www"])]));
    for (zones, said) in [
        (vec![zone("a.example", &["www"]), zone("A.Example.", &[])], "`a.example.` is there already"),
        (vec![zone("a.example", &["www", "WWW.a.example."])], "the addresses of `www.a.example.` are chosen already"),
        (vec![zone("a.example", &["al"])], "`al.a.example.`, whose addresses are to be chosen by health, is an alias"),
        (vec![zone("a.example", &["sub"])], "is delegated"),
        (vec![zone("a.example", &["ns.sub"])], "is delegated"),
    ] {
        let refused = running.reload(&text(&zones)).unwrap_err();
        assert!(refused.contains("E427") && refused.contains(said), "{refused}");
    }
}

#[test]
fn two_keys_of_one_name_are_refused_and_both_places_shown() {
    let scratch = Scratch::new("keys");
    let file = |name: &str, text: &str| {
        let path = scratch.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let key = |name: &str, secret: &str| file(name, &format!("hmac-sha256:Some.key:{secret}"));
    let records = file("zone", "$TTL 60\n@ SOA ns h 5 1 1 1 1\n@ NS ns\nns A 192.0.2.1\n");
    let (one, copy) = (key("one", "c2VjcmV0IG9mIHRoZSBob3VzZQ=="), key("copy", "c2VjcmV0IG9mIHRoZSBob3VzZQ=="));
    let other = key("other", "YW5vdGhlciBzZWNyZXQgb2YgaXQ=");
    let server = Server::start("one");
    let port = free_port();
    let text = |second: &str| {
        let zone = |name: &str, key: &str| {
            format!("    zone {name} file={records} {{\n        transfer key=file:{key}\n    }}\n")
        };
        config(port, &[server.port()], &format!("{}{}", zone("a.example", &one), zone("b.example", second)))
    };
    let running = Running::start(&text(&one));
    running.reload(&text(&copy)).unwrap();
    let refused = running.reload(&text(&other)).unwrap_err();
    assert!(refused.contains("E411") && refused.contains("`Some.key.` too"), "{refused}");
    assert!(
        refused.contains(&format!("key=file:{one}")) && refused.contains(&format!("key=file:{other}")),
        "{refused}"
    );
}

#[test]
fn it_says_what_it_would_answer_and_why() {
    let server = Server::start("one");
    let port = free_port();
    let running = Running::start(&config(port, &[server.port()], OWN));
    eventually("its server is up", || running.status().is_settled());
    let handle = running.node.as_ref().unwrap().handle();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let at: IpAddr = "198.51.100.7".parse().unwrap();
    let query = |name: &str, kind: &str| {
        let asked = DnsAsked::read(name, kind, (None, Some(at))).unwrap();
        runtime.block_on(handle.dns_query(asked)).unwrap()
    };
    let by_itself = |kind: &str| {
        let asked = DnsAsked::read("api.example.com", kind, (None, None)).unwrap();
        runtime.block_on(handle.dns_query(asked)).unwrap()
    };
    eventually("health is known", || query("api.example.com", "A").rcode == "NOERROR");
    let answered = query("api.example.com", "A");
    assert_eq!(answered.zone.as_deref(), Some("api.example.com."));
    assert_eq!(answered.answer, ["api.example.com. 30 A 198.51.100.7"]);
    assert!(answered.why.iter().any(|why| why.contains("pool `shop` is up")), "{:?}", answered.why);
    let listened_at = by_itself("A");
    assert_eq!(listened_at.answer, ["api.example.com. 30 A 127.0.0.1"], "{:?}", listened_at.why);
    assert_eq!(by_itself("AAAA").rcode, "NOERROR");
    assert_eq!(query("elsewhere.example", "A").rcode, "REFUSED");
    assert!(DnsAsked::read("api.example.com", "NOTYPE", (None, None)).is_err());
    let zones = runtime.block_on(handle.dns_zones()).unwrap();
    assert_eq!(zones.len(), 1);
    let balanced = &zones[0].balanced[0];
    assert_eq!((balanced.name.as_str(), balanced.answer.as_str(), balanced.ttl), ("api.example.com.", "self", 30));
    ask(port, "x.api.example.com", Type::A).unwrap();
    ask(port, "api.example.com", Type::MX).unwrap();
    assert_eq!(running.status().dns.zones.get("api.example.com."), Some(&2));
}
