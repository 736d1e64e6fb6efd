//! Connections that are passed on: every byte both ways, other servers where one does not accept, and their ends.

use std::net::SocketAddr;
use std::time::Duration;

use evenkeel_balance::Rng;
use evenkeel_model::config::{HostPattern, LogFormat, OnDown, Sticky, StickyMethod, TcpRoute};
use evenkeel_model::{PoolName, State};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::rig::{Origin, Rig, passing, pool, run, server};
use crate::{DrainOutcome, Outcome, Question, TrafficOutcome};

/// A server that says its name, and then everything that it hears, until it hears no more.
async fn echo(name: &'static str) -> Origin {
    Origin::scripted(move |mut peer| {
        Box::pin(async move {
            peer.send(name).await;
            let (mut from, mut to) = peer.stream.split();
            let _ = tokio::io::copy(&mut from, &mut to).await;
            let _ = to.shutdown().await;
        })
    })
    .await
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// What a connection carries to its end, after these bytes and an end of our own; `None` where it is reset.
async fn said(rig: &Rig, words: &[u8]) -> Option<String> {
    let mut client = TcpStream::connect(rig.addr).await.unwrap();
    let _ = client.write_all(words).await;
    let _ = client.shutdown().await;
    let mut all = Vec::new();
    client.read_to_end(&mut all).await.ok().map(|_| String::from_utf8(all).unwrap())
}

#[test]
fn a_connection_is_passed_on_and_half_of_it_may_end_first() {
    run(async {
        let origin = echo("a:").await;
        let rig = Rig::start(passing(pool(&[&origin]))).await;
        assert_eq!(said(&rig, b"hello").await.as_deref(), Some("a:hello"));
        let line = rig.lines(1).await.remove(0);
        for part in [
            "\"protocol\":\"TCP\"",
            "\"bytes\":7",
            "\"bytes_in\":5",
            "\"listener\":\":test\"",
            "\"route\":\"*\"",
            "\"pool\":\"shop\"",
            "\"server\":\"a\"",
            "\"end\":\"ok\"",
            "\"t_first\":",
        ] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        let listener = rig.shared.listener_stats(&evenkeel_model::ListenerName::of_address(":test")).unwrap();
        assert_eq!((listener.accepted, listener.traffic.requests), (1, 1));
        assert_eq!((listener.traffic.bytes_in, listener.traffic.bytes_out), (5, 7));
        let server = rig.shared.server_stats(&Rig::id("a")).unwrap();
        assert_eq!((server.connects, server.traffic.requests, server.traffic.bytes_out), (1, 1, 7));
        rig.until(|rig| rig.shared.server_stats(&Rig::id("a")).unwrap().in_flight == 0).await;
    });
}

/// Bytes by chance, sent in pieces by chance with pauses by chance, arrive as they were sent, and so does what comes
/// back.
#[test]
fn bytes_arrive_as_they_were_sent_however_they_are_cut() {
    run(async {
        let seed = 0x7cb5_11e4;
        let mut rng = Rng::new(seed);
        let origin = echo("").await;
        let rig = Rig::start(passing(pool(&[&origin]))).await;
        for round in 0..30 {
            let length = [1, 100, 70_000, 600_000][round % 4] + rng.below(5000) as usize;
            let bytes: Vec<u8> = (0..length).map(|_| rng.next_u64() as u8).collect();
            let stream = TcpStream::connect(rig.addr).await.unwrap();
            let (mut from, mut to) = stream.into_split();
            let sent = bytes.clone();
            let mut cuts = Rng::new(rng.next_u64());
            let writer = tokio::task::spawn_local(async move {
                let mut rest = sent.as_slice();
                while !rest.is_empty() {
                    let piece = (1 + cuts.below(40_000) as usize).min(rest.len());
                    to.write_all(&rest[..piece]).await.unwrap();
                    rest = &rest[piece..];
                    if cuts.below(4) == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                to.shutdown().await.unwrap();
                to
            });
            let mut got = Vec::new();
            let mut piece = vec![0; 1 + rng.below(50_000) as usize];
            loop {
                let count = from.read(&mut piece).await.unwrap();
                if count == 0 {
                    break;
                }
                got.extend_from_slice(&piece[..count]);
                if rng.below(3) == 0 {
                    tokio::time::sleep(Duration::from_micros(rng.below(500).into())).await;
                }
            }
            writer.await.unwrap();
            assert!(got == bytes, "round {round} of seed {seed:#x}: {} of {length} bytes", got.len());
        }
    });
}

#[test]
fn a_server_that_does_not_accept_is_passed_over_and_reported() {
    run(async {
        let living = echo("b").await;
        let mut shop = pool(&[&living, &living]);
        shop.servers = vec![server("a", nobody().await), server("b", living.addr)];
        let mut rig = Rig::start(passing(shop)).await;
        for _ in 0..4 {
            assert_eq!(said(&rig, b"").await.as_deref(), Some("b"));
        }
        let report = rig.reports.recv().await.unwrap();
        assert_eq!(report.server, Rig::id("a"));
        assert!(matches!(report.outcome, TrafficOutcome::Failed { status: None, .. }));
        let stats = rig.shared.server_stats(&Rig::id("a")).unwrap();
        assert_eq!((stats.connects, stats.traffic.requests), (0, 0));
        assert!(stats.connect_failures >= 1 && rig.shared.totals().retries >= 1);
    });
}

#[test]
fn where_nobody_serves_the_connection_is_reset_and_the_log_says_why() {
    run(async {
        let mut shop = pool(&[]);
        shop.servers = vec![server("a", nobody().await)];
        let mut rig = Rig::start(passing(shop)).await;
        assert_eq!(said(&rig, b"x").await, None);
        rig.states.insert(Rig::id("a"), State::Maintenance);
        rig.reload().await;
        assert_eq!(said(&rig, b"x").await, None);
        let lines = rig.lines(2).await;
        assert!(lines[0].contains("\"end\":\"connect-failed\""), "{}", lines[0]);
        assert!(lines[1].contains("\"end\":\"maintenance\""), "{}", lines[1]);
        let rejected = rig.shared.totals().rejected;
        assert_eq!((rejected.get("connect-refused"), rejected.get("maintenance")), (Some(&1), Some(&1)));
    });
}

#[test]
fn a_client_that_breaks_off_is_no_fault_of_the_server() {
    run(async {
        let origin = echo("a").await;
        let mut rig = Rig::start(passing(pool(&[&origin]))).await;
        let mut client = TcpStream::connect(rig.addr).await.unwrap();
        client.write_all(b"x").await.unwrap();
        client.read_exact(&mut [0; 2]).await.unwrap();
        client.set_zero_linger().unwrap();
        drop(client);
        let line = rig.lines(1).await.remove(0);
        assert!(line.contains("\"end\":\"client-abort\""), "{line}");
        assert!(rig.reports.try_recv().is_err());
        assert_eq!(rig.shared.server_stats(&Rig::id("a")).unwrap().failures, 0);
    });
}

#[test]
fn what_a_server_says_before_it_breaks_arrives_and_its_break_does_too() {
    run(async {
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                peer.send("sorry, too many").await;
                // Bytes that nobody reads make the close a reset.
                tokio::time::sleep(Duration::from_millis(50)).await;
            })
        })
        .await;
        let rig = Rig::start(passing(pool(&[&origin]))).await;
        let mut client = TcpStream::connect(rig.addr).await.unwrap();
        client.write_all(b"hello").await.unwrap();
        let mut all = Vec::new();
        let mut piece = [0; 64];
        let end = loop {
            match client.read(&mut piece).await {
                Ok(count) if count > 0 => all.extend_from_slice(&piece[..count]),
                end => break end,
            }
        };
        assert_eq!(all, b"sorry, too many");
        assert!(end.is_err(), "an end that looks whole");
        let line = rig.lines(1).await.remove(0);
        assert!(line.contains("\"end\":\"server-abort\""), "{line}");
    });
}

#[test]
fn silence_has_an_end_and_half_closed_silence_an_earlier_one() {
    run(async {
        let silent = Origin::scripted(|peer| {
            Box::pin(async move {
                tokio::time::sleep(Duration::from_secs(20)).await;
                drop(peer);
            })
        })
        .await;
        let mut config = passing(pool(&[&silent]));
        let tcp = config.listeners[0].tcp.as_mut().unwrap();
        (tcp.timeouts.idle, tcp.timeouts.fin) = (Duration::from_millis(400), Duration::from_millis(50));
        let rig = Rig::start(config).await;
        let mut whole = TcpStream::connect(rig.addr).await.unwrap();
        assert_eq!(said(&rig, b"x").await, None);
        let first = rig.lines(1).await.remove(0);
        assert!(first.contains("\"end\":\"fin-timeout\""), "{first}");
        assert!(whole.read(&mut [0; 1]).await.is_err());
        let second = rig.lines(1).await.remove(0);
        assert!(second.contains("\"end\":\"idle-timeout\""), "{second}");
    });
}

#[test]
fn full_servers_have_a_line_in_front_of_them() {
    run(async {
        let origin = echo("a").await;
        let mut shop = pool(&[&origin]);
        shop.servers[0].max_conns = Some(1);
        shop.queue.max = 1;
        let rig = Rig::start(passing(shop)).await;
        let mut first = TcpStream::connect(rig.addr).await.unwrap();
        first.read_exact(&mut [0; 1]).await.unwrap();
        let mut second = TcpStream::connect(rig.addr).await.unwrap();
        rig.until(|rig| rig.shared.pool_stats(&Rig::id("a").pool).unwrap().queued == 1).await;
        assert_eq!(said(&rig, b"").await, None);
        drop(first);
        second.read_exact(&mut [0; 1]).await.unwrap();
        assert_eq!(origin.connections(), 2);
        let end = rig.lines(2).await.into_iter().find(|line| line.contains("queue-full"));
        assert!(end.is_some());
    });
}

#[test]
fn a_client_finds_its_server_again_by_its_address() {
    run(async {
        let (a, b, c) = (echo("a").await, echo("b").await, echo("c").await);
        let mut shop = pool(&[&a, &b, &c]);
        shop.sticky = vec![Sticky::new(StickyMethod::Client)];
        let rig = Rig::start(passing(shop)).await;
        let first = said(&rig, b"").await;
        for _ in 0..6 {
            assert_eq!(said(&rig, b"").await, first);
        }
        let plain = Rig::start(passing(pool(&[&a, &b, &c]))).await;
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..6 {
            seen.extend(said(&plain, b"").await);
        }
        assert_eq!(seen.len(), 3);
    });
}

#[test]
fn a_reload_leaves_connections_alone_and_a_drain_cuts_what_outlives_its_deadline() {
    run(async {
        let origin = echo("a").await;
        let mut rig = Rig::start(passing(pool(&[&origin]))).await;
        let mut ending = TcpStream::connect(rig.addr).await.unwrap();
        let mut staying = TcpStream::connect(rig.addr).await.unwrap();
        for client in [&mut ending, &mut staying] {
            client.read_exact(&mut [0; 1]).await.unwrap();
        }
        for _ in 0..20 {
            rig.reload().await;
            ending.write_all(b"x").await.unwrap();
            ending.read_exact(&mut [0; 1]).await.unwrap();
        }
        let drained = rig.drain(Duration::from_millis(400)).await;
        // Both go on while it lasts.
        for client in [&mut ending, &mut staying] {
            client.write_all(b"x").await.unwrap();
            client.read_exact(&mut [0; 1]).await.unwrap();
        }
        ending.shutdown().await.unwrap();
        assert_eq!(ending.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(drained.await.unwrap(), DrainOutcome { cut: 1 });
        assert!(staying.read(&mut [0; 1]).await.is_err(), "an end that looks whole");
        let lines = rig.lines(2).await;
        assert!(lines[0].contains("\"end\":\"ok\"") && lines[1].contains("\"end\":\"cut\""), "{lines:?}");
    });
}

#[test]
fn a_connection_has_the_line_of_haproxys_tcp_log() {
    run(async {
        let origin = echo("a").await;
        let mut config = passing(pool(&[&origin]));
        config.listeners[0].tcp.as_mut().unwrap().logs[0].format = LogFormat::Haproxy;
        let rig = Rig::start(config).await;
        assert_eq!(said(&rig, b"12345").await.as_deref(), Some("a12345"));
        let line = rig.lines(1).await.remove(0);
        let words: Vec<&str> = line.split(' ').collect();
        assert!(words[0].starts_with("127.0.0.1:") && words[1].starts_with('['), "{line}");
        assert_eq!(&words[2..4], [":test", "shop/a"], "{line}");
        assert_eq!(words[4].split('/').count(), 3, "{line}");
        assert_eq!(&words[5..], ["6", "--", "0/0/0/0/0", "0/0"], "{line}");
    });
}

#[test]
fn connections_of_a_server_that_goes_down_are_closed_where_that_is_wanted() {
    run(async {
        let (a, b) = (echo("a").await, echo("b").await);
        let mut shop = pool(&[&a, &b]);
        shop.servers[1].backup = true;
        shop.on_down = OnDown::Close;
        let mut rig = Rig::start(passing(shop)).await;
        let mut client = TcpStream::connect(rig.addr).await.unwrap();
        client.read_exact(&mut [0; 1]).await.unwrap();
        // What befalls the other is nothing to it.
        rig.states.insert(Rig::id("b"), State::Down);
        rig.reload().await;
        rig.states.insert(Rig::id("b"), State::Up);
        rig.reload().await;
        client.write_all(b"x").await.unwrap();
        client.read_exact(&mut [0; 1]).await.unwrap();
        rig.states.insert(Rig::id("a"), State::Down);
        rig.reload().await;
        assert!(client.read(&mut [0; 1]).await.is_err(), "an end that looks whole");
        let line = rig.lines(1).await.remove(0);
        assert!(line.contains("\"server\":\"a\"") && line.contains("\"end\":\"server-down\""), "{line}");
        assert_eq!(said(&rig, b"").await.as_deref(), Some("b"));
    });
}

#[test]
fn a_connection_to_a_server_that_was_down_all_along_stays() {
    run(async {
        let a = echo("a").await;
        let mut shop = pool(&[&a]);
        shop.on_down = OnDown::Close;
        let mut rig = Rig::start(passing(shop)).await;
        rig.states.insert(Rig::id("a"), State::Down);
        rig.reload().await;
        // The pool fails open.
        let mut client = TcpStream::connect(rig.addr).await.unwrap();
        client.read_exact(&mut [0; 1]).await.unwrap();
        rig.reload().await;
        client.write_all(b"x").await.unwrap();
        client.read_exact(&mut [0; 1]).await.unwrap();
        rig.states.insert(Rig::id("a"), State::Up);
        rig.reload().await;
        rig.states.insert(Rig::id("a"), State::Maintenance);
        rig.reload().await;
        assert!(client.read(&mut [0; 1]).await.is_err());
    });
}

#[test]
fn backups_keep_what_they_took_over_where_that_is_wanted() {
    run(async {
        let (a, b) = (echo("a").await, echo("b").await);
        for (failback, back) in [(true, "a"), (false, "b")] {
            let mut shop = pool(&[&a, &b]);
            shop.servers[1].backup = true;
            shop.failback = failback;
            let mut rig = Rig::start(passing(shop)).await;
            for (server, state, serves) in [
                ("a", State::Up, "a"),
                ("a", State::Down, "b"),
                ("a", State::Up, back),
                ("b", State::Maintenance, "a"),
                ("b", State::Up, "a"),
                ("a", State::Down, "b"),
                ("b", State::Down, "a"),
                ("a", State::Up, "a"),
            ] {
                rig.states.insert(Rig::id(server), state);
                rig.reload().await;
                assert_eq!(said(&rig, b"").await.as_deref(), Some(serves), "{server} {state}, failback {failback}");
            }
        }
    });
}

/// A hello that asks for that name, as a TLS client sends it.
fn hello(name: &str) -> Vec<u8> {
    let part = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    let names = part(&[&[0][..], &part(name.as_bytes())].concat());
    let extensions = part(&[&[0, 0][..], &part(&names)].concat());
    let body = [&[3, 3][..], &[7; 32], &[0], &part(&[0x13, 1]), &[1, 0], &extensions].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[22, 3, 1][..], &part(&[&[1][..], &length[1..], &body].concat())].concat()
}

#[test]
fn the_name_in_a_tls_hello_decides_and_the_hello_goes_on_as_it_came() {
    run(async {
        let (a, b) = (echo("").await, echo("").await);
        let mut config = passing(pool(&[&a]));
        let mut other = pool(&[&b]);
        other.name = PoolName::new("other").unwrap();
        config.pools.push(other);
        let tcp = config.listeners[0].tcp.as_mut().unwrap();
        tcp.timeouts.head = Duration::from_millis(300);
        tcp.routes[0].names =
            vec![HostPattern::Exact("a.example".to_owned()), HostPattern::Below(".a.example".to_owned())];
        let mut rig = Rig::start(config).await;
        for name in ["a.example", "A.EXAMPLE", "x.y.a.example"] {
            let hello = hello(name);
            let mut client = TcpStream::connect(rig.addr).await.unwrap();
            let (first, second) = hello.split_at(40);
            client.write_all(first).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
            client.write_all(second).await.unwrap();
            let mut back = vec![0; hello.len()];
            client.read_exact(&mut back).await.unwrap();
            assert_eq!(back, hello);
        }
        // No route for other names, for other protocols, for silence, and for what is no hello.
        for words in [hello("b.example"), b"SSH-2.0-x\r\n".to_vec(), vec![22, 3, 1, 0, 0]] {
            assert_eq!(said(&rig, &words).await, None);
        }
        let mut silent = TcpStream::connect(rig.addr).await.unwrap();
        assert!(silent.read(&mut [0; 1]).await.is_err());
        let ends: Vec<String> = rig.lines(7).await;
        for end in ["no-route", "client-error", "client-timeout"] {
            assert!(ends.iter().any(|line| line.contains(&format!("\"end\":\"{end}\""))), "{end}: {ends:?}");
        }
        assert!(ends.iter().any(|line| line.contains("\"sni\":\"x.y.a.example\"")), "{ends:?}");
        // What is told of a connection is what becomes of it.
        let told = rig.snapshot().explain(&Question {
            listener: None,
            port: 1,
            is_port_given: true,
            head: b"GET / HTTP/1.1\r\nHost: x.A.example:1\r\n\r\n".to_vec(),
            client: std::net::Ipv4Addr::LOCALHOST.into(),
        });
        let told = told.unwrap();
        assert!(told.routes.len() == 1 && told.routes[0].misfit.is_none(), "{told:?}");
        assert!(matches!(told.outcome, Outcome::Pool { pool, .. } if pool.as_str() == "shop"));
        let rest = TcpRoute { name: "*".to_owned(), names: Vec::new(), to: PoolName::new("other").unwrap() };
        rig.config.listeners[0].tcp.as_mut().unwrap().routes.push(rest);
        rig.reload().await;
        assert_eq!(said(&rig, b"SSH-2.0-x").await.as_deref(), Some("SSH-2.0-x"));
        assert_eq!(b.connections(), 1);
    });
}
