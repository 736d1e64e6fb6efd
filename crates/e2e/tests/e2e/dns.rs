//! Does DNS of a node stand before real name servers, clients and admins?

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use evenkeel_e2e::balancer::{Balancer, command, text};
use evenkeel_e2e::named::{KEY, NameServer, Role, ZONE};
use evenkeel_e2e::place::{Scratch, free, free_at_home};
use evenkeel_e2e::{PATIENCE, await_for};

/// What `dig` prints.
fn dig(at: SocketAddr, arguments: &[&str]) -> String {
    let server = format!("@{}", at.ip());
    let output = Command::new("dig")
        .args([&server, "-p", &at.port().to_string(), "+time=2", "+tries=2"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("dig is installed by `cargo xtask setup`");
    text(&output)
}

/// The records that `dig` gets, in order.
fn records(at: SocketAddr, name: &str, kind: &str) -> Vec<String> {
    let mut lines: Vec<String> = dig(at, &["+short", name, kind])
        .lines()
        .filter(|line| !line.starts_with(';') && !line.is_empty())
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines
}

/// A command of two words against a running program.
fn dns(balancer: &Balancer, arguments: &[&str]) -> Output {
    let control = balancer.scratch().file("control.sock");
    let mut words = vec!["dns"];
    words.extend(arguments);
    words.extend(["--control", control.to_str().unwrap()]);
    command(&words)
}

fn zone(serial: u32, www: &str) -> String {
    format!(
        "$TTL 60\n@ SOA ns root {serial} 1h 15m 4w 30\n@ NS ns\nns A 127.0.0.1\nwww A {www}\n*.w TXT \"wild\"\nold CNAME www\n"
    )
}

#[test]
fn a_bind_secondary_transfers_with_the_key_and_follows_notices() {
    let scratch = Scratch::new("dns-primary");
    let (at, other) = (free_at_home(), free_at_home());
    let file = scratch.write("example.org.db", &zone(2026010101, "192.0.2.1"));
    let key = scratch.write("key", KEY);
    let config = format!(
        "dns {at} {{\n    zone {ZONE} file={} {{\n        transfer key=file:{key}\n        notify {other} key=file:{key}\n    }}\n}}\n",
        file.display(),
        key = key.display()
    );
    let balancer = Balancer::start(&config);
    let secondary = NameServer::bind(other, Role::SignedSecondary(at), "");
    assert_eq!(secondary.serial(), Some(2026010101));
    assert_eq!(secondary.dig("www.example.org", "A"), ["192.0.2.1"]);
    assert_eq!(secondary.dig("a.b.w.example.org", "TXT"), ["\"wild\""]);

    fs::write(&file, zone(2026010102, "192.0.2.2")).unwrap();
    let reloaded = balancer.reload(&config);
    assert!(reloaded.status.success(), "{}", text(&reloaded));
    await_for("the secondary to follow the notice", PATIENCE, || {
        (secondary.dig("www.example.org", "A") == ["192.0.2.2"]).then_some(())
    });
    assert_eq!(secondary.serial(), Some(2026010102));
    // Without the key there is no transfer, over TCP or at all.
    let refused = dig(at, &[ZONE, "AXFR"]);
    assert!(refused.contains("Transfer failed"), "{refused}");
    // With it dig sees every record, signed.
    let all = dig(at, &["-k", key.to_str().unwrap(), ZONE, "AXFR"]);
    assert!(all.contains("www.example.org.\t60\tIN\tA\t192.0.2.2") || all.contains("192.0.2.2"), "{all}");
    assert!(all.contains("TSIG") && !all.contains("Couldn't verify"), "{all}");

    // A bad file refuses the reload, and the old zone is answered on.
    fs::write(&file, zone(2026010103, "192.0.2.300")).unwrap();
    let refused = balancer.reload(&config);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(text(&refused).contains("example.org.db:5"), "{}", text(&refused));
    assert_eq!(records(at, "www.example.org", "A"), ["192.0.2.2"]);
    let checked = command(&["check", "--offline", balancer.scratch().file("evenkeel.conf").to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(2), "{}", text(&checked));
}

#[test]
fn dig_gets_every_courtesy_and_no_more() {
    let scratch = Scratch::new("dns-manners");
    let at = free();
    let file = scratch.write("example.org.db", &zone(1, "192.0.2.1"));
    let config = format!(
        "dns {at} {{\n    id lb1\n    log {log} keep=100%\n    zone {ZONE} file={file}\n}}\n",
        log = scratch.file("dns.log").display(),
        file = file.display()
    );
    let _balancer = Balancer::start(&config);
    let answer = dig(at, &["+nsid", "+cookie", "www.ExAmPlE.org", "A"]);
    assert!(answer.contains("status: NOERROR") && answer.contains("flags: qr aa rd;"), "{answer}");
    assert!(
        answer.contains("www.ExAmPlE.org.") && answer.contains("(\"lb1\")") && answer.contains("(good)"),
        "{answer}"
    );
    assert!(answer.contains("udp: 1232"), "{answer}");
    let cases: [(&[&str], &str); 9] = [
        (&["+tcp", "www.example.org", "A"], "192.0.2.1"),
        (&["old.example.org", "A"], "192.0.2.1"),
        (&["no.example.org", "A"], "status: NXDOMAIN"),
        (&["www.example.org", "AAAA"], "ANSWER: 0, AUTHORITY: 1"),
        (&["www.example.net", "A"], "status: REFUSED"),
        (&["www.example.net", "A"], "EDE: 20"),
        (&["+edns=1", "+noednsnegotiation", "www.example.org", "A"], "status: BADVERS"),
        (&["+ednsopt=65001:00ff", "www.example.org", "A"], "192.0.2.1"),
        (&["+opcode=UPDATE", "www.example.org", "A"], "status: NOTIMP"),
    ];
    for (arguments, wanted) in cases {
        let answer = dig(at, arguments);
        assert!(answer.contains(wanted), "{arguments:?} wants `{wanted}`:\n{answer}");
    }
    let version = dig(at, &["+short", "version.bind", "TXT", "CH"]);
    assert!(!version.contains("evenkeel"), "{version}");
    await_for("the log to have a line", PATIENCE, || {
        let log = fs::read_to_string(scratch.file("dns.log")).unwrap_or_default();
        log.lines().any(|line| line.contains("tcp www.example.org. A NOERROR")).then_some(())
    });
}

#[test]
fn each_block_writes_its_own_log_and_one_without_writes_none() {
    let scratch = Scratch::new("dns-logs");
    let file = scratch.write("example.org.db", &zone(1, "192.0.2.1"));
    let blocks = [(free(), Some("first.log")), (free(), Some("second.log")), (free(), None)];
    let block = |(at, log): &(SocketAddr, Option<&str>)| {
        let log = log.map(|log| format!("    log {} keep=100%\n", scratch.file(log).display())).unwrap_or_default();
        format!("dns {at} {{\n    rate off\n{log}    zone {ZONE} file={}\n}}\n", file.display())
    };
    let config: String = blocks.iter().map(block).collect();
    let _balancer = Balancer::start(&format!("limits {{\n    workers 1\n}}\n{config}"));
    // From one socket each, all under way at once, so that one thread answers them in one turn of its loop.
    let sockets: Vec<_> = blocks.iter().map(|(at, _)| (UdpSocket::bind((at.ip(), 0)).unwrap(), at)).collect();
    for round in 0..50_u8 {
        for (number, (socket, at)) in sockets.iter().enumerate() {
            let label = format!("q{number}-{round}");
            let mut query = vec![0, round, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
            for label in [label.as_str(), "w", "example", "org"] {
                query.push(u8::try_from(label.len()).unwrap());
                query.extend_from_slice(label.as_bytes());
            }
            query.extend_from_slice(&[0, 0, 16, 0, 1]);
            socket.send_to(&query, at).unwrap();
        }
    }
    for (number, log) in [(0, "first.log"), (1, "second.log")] {
        let log = await_for("every query to be logged", PATIENCE, || {
            let log = fs::read_to_string(scratch.file(log)).unwrap_or_default();
            (log.lines().count() >= 50).then_some(log)
        });
        let own = format!(" q{number}-");
        assert!(log.lines().all(|line| line.contains(&own)) && log.lines().count() == 50, "{log}");
    }
}

#[test]
fn a_start_with_a_bad_zone_ends_like_every_bad_configuration() {
    let scratch = Scratch::new("dns-bad");
    let file = scratch.write("example.org.db", &zone(1, "192.0.2.300"));
    let config = scratch.write(
        "evenkeel.conf",
        &format!(
            "state {}\ndns {} {{\n    zone {ZONE} file={}\n}}\n",
            scratch.file("state").display(),
            free(),
            file.display()
        ),
    );
    let started = command(&["run", config.to_str().unwrap(), "--control", scratch.file("control").to_str().unwrap()]);
    assert_eq!(started.status.code(), Some(2), "{}", text(&started));
    assert!(text(&started).contains("example.org.db:5"), "{}", text(&started));
}

/// A node with a server of its own at `origin`, and a peer that always serves.
fn node(at: SocketAddr, origin: SocketAddr, peer: SocketAddr) -> String {
    format!(
        "limits {{\n    drain 3s\n}}\nhttp {} {{\n    route * to=shop\n}}\npool shop {{\n    check tcp every=100ms rise=1 fall=1\n    server a {origin}\n}}\n\
         pool nodes {{\n    check tcp every=100ms rise=1 fall=1\n    server lb2 {peer}\n}}\n\
         dns {at} {{\n    zone api.example.com answer=self pool=shop peers=nodes ttl=30s address=198.51.100.10 {{\n        \
         ns lb1.example.com=198.51.100.10 lb2.example.com=203.0.113.20\n    }}\n}}\n",
        free()
    )
}

#[test]
fn a_node_answers_with_itself_steps_aside_and_says_why() {
    let (at, origin) = (free(), free());
    let peer = TcpListener::bind((evenkeel_e2e::place::address(), 0)).unwrap();
    let peer_ip = peer.local_addr().unwrap().ip().to_string();
    let mut balancer = Balancer::start(&node(at, origin, peer.local_addr().unwrap()));
    let answers = |wanted: &str| {
        await_for(&format!("{wanted} to be answered"), PATIENCE, || {
            (records(at, "api.example.com", "A") == [wanted]).then_some(())
        });
    };
    // Its pool is empty.
    answers(&peer_ip);
    let server = TcpListener::bind(origin).unwrap();
    answers("198.51.100.10");
    let nodata = dig(at, &["api.example.com", "AAAA"]);
    assert!(nodata.contains("api.example.com.") && nodata.contains("SOA") && nodata.contains("NOERROR"), "{nodata}");
    let why = dns(&balancer, &["query", "api.example.com", "A"]);
    assert!(why.status.success() && text(&why).contains("api.example.com. 30 A 198.51.100.10"), "{}", text(&why));
    assert!(text(&why).contains("answer=self") && text(&why).contains("of pool `shop` is up"), "{}", text(&why));
    let zones = dns(&balancer, &["zones"]);
    assert!(text(&zones).contains("198.51.100.10"), "{}", text(&zones));
    let zones: serde_json::Value =
        serde_json::from_slice(&dns(&balancer, &["zones", "--json"]).stdout).expect("zones as JSON");
    let name = &zones[0]["balanced"][0];
    assert_eq!((&name["own"], &name["now"][0]), (&"up".into(), &"198.51.100.10".into()), "{zones}");
    let servers: Vec<_> = name["servers"].as_array().unwrap().iter().map(|it| (&it["server"], &it["state"])).collect();
    assert_eq!(servers, [(&"a".into(), &"up".into()), (&"lb2".into(), &"up".into())], "{zones}");
    assert!(name["why"][0].as_str().unwrap().contains("its own address"), "{zones}");
    let json = dns(&balancer, &["query", "--json", "nowhere.example.net", "MX"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["rcode"], "REFUSED");
    let wrong = dns(&balancer, &["query", "api.example.com", "NONSENSE"]);
    assert_eq!((wrong.status.code(), text(&wrong).contains("NONSENSE")), (Some(1), true), "{}", text(&wrong));

    // While it stops it answers with its peer, as long as a connection keeps it.
    let _held = std::net::TcpStream::connect(at).unwrap();
    drop(server);
    answers(&peer_ip);
    balancer.signal(rustix::process::Signal::TERM);
    assert_eq!(balancer.end(Duration::from_secs(20)), 0);
}

#[test]
fn reloads_lose_no_query_of_a_real_client() {
    let scratch = Scratch::new("dns-reload");
    let at = free_at_home();
    let mut text_of = String::from("$TTL 60\n@ SOA ns root 1 1h 15m 4w 30\n@ NS ns\nns A 127.0.0.1\n");
    for number in 0..2000 {
        text_of.push_str(&format!("h{number} A 10.0.{}.{}\n", number / 256, number % 256));
    }
    let file = scratch.write("example.org.db", &text_of);
    let config = format!("dns {at} {{\n    rate off\n    zone {ZONE} file={}\n}}\n", file.display());
    let balancer = Balancer::start(&config);
    let queries: String = (0..2000).map(|number| format!("h{number}.{ZONE} A\n")).collect();
    let list = scratch.write("queries", &queries);
    let load = Command::new("dnsperf")
        .args(["-s", &at.ip().to_string(), "-p", &at.port().to_string(), "-d", list.to_str().unwrap()])
        .args(["-l", "4", "-Q", "3000", "-q", "50", "-t", "2"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("dnsperf is installed by `cargo xtask setup`");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        let reloaded = balancer.reload(&config);
        assert!(reloaded.status.success(), "{}", text(&reloaded));
    }
    let report = text(&load.wait_with_output().unwrap());
    let figure = |word: &str| report.lines().find(|line| line.contains(word)).unwrap_or_else(|| panic!("{report}"));
    assert!(figure("Queries lost").contains("0 (0.00%)"), "{report}");
    assert!(figure("Response codes").contains("NOERROR") && figure("Response codes").contains("(100.00%)"), "{report}");
    assert!(Path::new(&file).is_file());
}
