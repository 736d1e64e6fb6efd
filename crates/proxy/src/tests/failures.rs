//! Servers and clients that fail, and what each sees of it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::rig::{Client, Origin, Rig, config, ok, pool, run, server};
use crate::{TrafficOutcome, TrafficReport};
use evenkeel_model::config::{ListenAddr, RetryOn};
use evenkeel_model::{Reason, caps};

/// An address where nobody listens.
async fn nowhere() -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

fn reason(report: &TrafficReport) -> Reason {
    let TrafficOutcome::Failed { reason, .. } = report.outcome;
    reason
}

/// A server that reads a request, counts it and closes without a word.
async fn mute() -> Origin {
    Origin::scripted(|mut peer| {
        Box::pin(async move {
            peer.request().await;
        })
    })
    .await
}

#[test]
fn a_server_that_refuses_is_passed_over_and_reported() {
    run(async {
        let origin = Origin::saying("here").await;
        let mut shop = pool(&[&origin]);
        shop.servers.insert(0, server("gone", nowhere().await));
        let mut rig = Rig::start(config(shop)).await;
        let mut client = Client::connect(&rig).await;
        for _ in 0..4 {
            assert_eq!(client.post("x").await.text(), "here");
        }
        let report = rig.reports.recv().await.unwrap();
        assert_eq!((report.server.clone(), reason(&report)), (Rig::id("gone"), Reason::ConnectRefused));
        assert_eq!(rig.shared.totals().retries, 2);
        assert_eq!(origin.count(), 4);
    });
}

#[test]
fn a_get_moves_on_from_a_server_that_dies_and_a_post_does_not() {
    run(async {
        let (dying, living) = (mute().await, Origin::saying("alive").await);
        let rig = Rig::start(config(pool(&[&dying, &living]))).await;
        let mut client = Client::connect(&rig).await;
        for _ in 0..4 {
            assert_eq!(client.get("/").await.text(), "alive");
        }
        assert_eq!(dying.count(), 2);
        let mut statuses = Vec::new();
        for _ in 0..4 {
            let mut client = Client::connect(&rig).await;
            statuses.push(client.post("once").await.status());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 200, 502, 502]);
        // The servers' own counts: each POST was executed once.
        let posts = |origin: &Origin| origin.seen().iter().filter(|seen| seen.line().starts_with("POST")).count();
        assert_eq!(posts(&dying) + posts(&living), 4);
    });
}

#[test]
fn a_body_is_replayed_to_the_next_server() {
    run(async {
        let (dying, living) = (mute().await, Origin::saying("stored").await);
        let rig = Rig::start(config(pool(&[&dying, &living]))).await;
        for length in [10, 30_000, 60_000] {
            let mut client = Client::connect(&rig).await;
            let body: Vec<u8> = (0..length).map(|place| b'0' + (place % 10) as u8).collect();
            for _ in 0..2 {
                client.send(format!("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")).await;
                client.send(&body).await;
                assert_eq!(client.answer().await.text(), "stored");
            }
            assert!(living.seen().iter().rev().take(2).all(|seen| seen.body == body), "{length}");
        }
        assert_eq!((dying.count(), living.count()), (3, 6));
    });
}

#[test]
fn a_body_that_is_too_long_to_keep_is_sent_once() {
    run(async {
        let (dying, living) = (mute().await, Origin::saying("stored").await);
        let rig = Rig::start(config(pool(&[&dying, &living]))).await;
        let mut statuses = Vec::new();
        for _ in 0..2 {
            let mut client = Client::connect(&rig).await;
            client.send("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n").await;
            client.send(vec![b'x'; 200_000]).await;
            statuses.push(client.answer().await.status());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 502]);
    });
}

#[test]
fn a_kept_connection_that_the_server_closed_costs_no_request() {
    run(async {
        // Each connection carries one answer, then closes without having said so, in the moment of the next request.
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                peer.request().await;
                peer.send(ok("one")).await;
                peer.head().await;
            })
        })
        .await;
        // Elsewhere or not: it says nothing of the server, which is the only one.
        let shop = pool(&[&origin]);
        assert!(shop.retry.elsewhere);
        let mut rig = Rig::start(config(shop)).await;
        let mut client = Client::connect(&rig).await;
        for _ in 0..3 {
            assert_eq!(client.get("/").await.text(), "one");
        }
        assert_eq!(rig.shared.totals().retries, 2);
        assert!(rig.reports.try_recv().is_err(), "nobody is to blame");
    });
}

#[test]
fn without_retries_a_lost_server_is_502() {
    run(async {
        let (dying, living) = (mute().await, Origin::saying("alive").await);
        let mut shop = pool(&[&dying, &living]);
        shop.retry.attempts = 0;
        let mut rig = Rig::start(config(shop)).await;
        let mut client = Client::connect(&rig).await;
        let mut statuses = [client.get("/").await.status(), client.get("/").await.status()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 502]);
        assert_eq!(reason(&rig.reports.recv().await.unwrap()), Reason::ConnectionLost);
        assert_eq!(rig.shared.totals().rejected.get("server-lost"), Some(&1));
    });
}

#[test]
fn a_status_is_retried_where_the_pool_says_so() {
    run(async {
        let sick =
            Origin::answering(|_| b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
        let well = Origin::saying("well").await;
        let mut shop = pool(&[&sick, &well]);
        shop.retry.on = vec![RetryOn::Status(503)];
        let mut rig = Rig::start(config(shop)).await;
        let mut client = Client::connect(&rig).await;
        for _ in 0..4 {
            assert_eq!(client.get("/").await.text(), "well");
        }
        assert_eq!(
            rig.reports.recv().await.unwrap().outcome,
            TrafficOutcome::Failed { reason: Reason::StatusMismatch, status: Some(503) }
        );
    });
}

#[test]
fn an_answer_cut_in_the_middle_never_looks_whole() {
    for (head, name) in [("Content-Length: 100", "length"), ("Transfer-Encoding: chunked", "chunked")] {
        run(async move {
            let origin = Origin::scripted(move |mut peer| {
                Box::pin(async move {
                    peer.request().await;
                    peer.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello\r\n")).await;
                    // Long enough that the answer is under way before it breaks.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                })
            })
            .await;
            let mut rig = Rig::start(config(pool(&[&origin]))).await;
            let mut client = Client::connect(&rig).await;
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            client.head().await;
            assert_eq!(client.rest().await, b"5\r\nhello\r\n", "{name}");
            assert_eq!(reason(&rig.reports.recv().await.unwrap()), Reason::ConnectionLost);
            let line = rig.lines(1).await.remove(0);
            assert!(line.contains("\"end\":\"server-abort\""), "{line}");
        });
    }
}

#[test]
fn what_is_no_answer_is_502_and_the_connection_is_dropped() {
    for bytes in [
        "\x16\x03\x01\x02\x00",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    ] {
        run(async move {
            let origin = Origin::answering(move |_| format!("{bytes}\r\n\r\n").into_bytes()).await;
            let mut rig = Rig::start(config(pool(&[&origin]))).await;
            let mut client = Client::connect(&rig).await;
            assert_eq!(client.get("/").await.status(), 502, "{bytes:?}");
            assert_eq!(reason(&rig.reports.recv().await.unwrap()), Reason::AnswerMalformed);
            // The client's own connection is in good order.
            assert_eq!(client.get("/").await.status(), 502);
            assert_eq!(origin.connections(), 2);
        });
    }
}

#[test]
fn a_head_that_never_ends_is_502() {
    run(async {
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                peer.request().await;
                peer.send("HTTP/1.1 200 OK\r\n").await;
                for number in 0..10_000 {
                    peer.send(format!("X-{number}: {}\r\n", "y".repeat(100))).await;
                }
            })
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        assert_eq!(Client::connect(&rig).await.get("/").await.status(), 502);
    });
}

#[test]
fn a_server_that_hangs_is_504_and_reported() {
    run(async {
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                peer.request().await;
                tokio::time::sleep(Duration::from_secs(5)).await;
            })
        })
        .await;
        let mut shop = pool(&[&origin]);
        shop.timeouts.answer = Duration::from_millis(80);
        let mut rig = Rig::start(config(shop)).await;
        let mut client = Client::connect(&rig).await;
        assert_eq!(client.get("/").await.status(), 504);
        assert_eq!(reason(&rig.reports.recv().await.unwrap()), Reason::AnswerTimeout);
        // The client's connection goes on.
        assert_eq!(client.get("/").await.status(), 504);
    });
}

#[test]
fn an_answer_that_stalls_is_cut_off() {
    run(async {
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                peer.request().await;
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await;
                tokio::time::sleep(Duration::from_secs(5)).await;
            })
        })
        .await;
        let mut shop = pool(&[&origin]);
        shop.timeouts.idle = Duration::from_millis(80);
        let rig = Rig::start(config(shop)).await;
        let mut client = Client::connect(&rig).await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.head().await;
        assert_eq!(client.rest().await, b"abc");
    });
}

#[test]
fn a_client_that_leaves_is_no_fault_of_the_server() {
    run(async {
        let got_all = Rc::new(Cell::new(false));
        let told = Rc::clone(&got_all);
        let origin = Origin::scripted(move |mut peer| {
            let told = Rc::clone(&told);
            Box::pin(async move {
                told.set(peer.request().await.is_some());
            })
        })
        .await;
        let mut rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf").await;
        rig.until(|rig| rig.shared.server_stats(&Rig::id("a")).is_some_and(|stats| stats.traffic.requests == 1)).await;
        drop(client);
        let line = rig.lines(1).await.remove(0);
        assert!(line.contains("\"end\":\"client-abort\"") && line.contains("\"status\":400"), "{line}");
        assert!(rig.reports.try_recv().is_err());
        assert!(!got_all.get(), "the server must not take half a body for a whole one");
        assert_eq!(rig.shared.server_stats(&Rig::id("a")).unwrap().failures, 0);
        assert_eq!(rig.shared.server_stats(&Rig::id("a")).unwrap().in_flight, 0);

        // One that only ended its sending is still there to be told.
        let mut client = Client::connect(&rig).await;
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf").await;
        tokio::io::AsyncWriteExt::shutdown(&mut client.stream).await.unwrap();
        assert_eq!(client.answer().await.status(), 400);
        assert!(client.is_closed().await);
    });
}

#[test]
fn a_body_that_breaks_its_framing_is_400_and_never_ends_well_at_the_server() {
    run(async {
        let origin = Origin::saying("no").await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
        rig.until(|rig| rig.shared.server_stats(&Rig::id("a")).is_some_and(|stats| stats.traffic.requests == 1)).await;
        client.send("0x5\r\nhello\r\n0\r\n\r\n").await;
        let answer = client.answer().await;
        assert_eq!((answer.status(), answer.field("connection").as_deref()), (400, Some("close")));
        assert!(client.is_closed().await);
        assert_eq!(origin.count(), 0);
    });
}

#[test]
fn the_budget_ends_a_flood_of_retries() {
    run(async {
        let (one, two) = (mute().await, mute().await);
        let mut shop = pool(&[&one, &two]);
        shop.retry.budget = 1;
        let rig = Rig::start(config(shop)).await;
        let mut client = Client::connect(&rig).await;
        for _ in 0..40 {
            assert_eq!(client.get("/").await.status(), 502);
        }
        // Three a second are always allowed; the loop may touch a few seconds on a slow machine.
        let retries = rig.shared.totals().retries;
        assert!((3..=20).contains(&retries), "{retries}");
    });
}

#[test]
fn a_dead_server_exhausts_no_budget_since_nothing_reached_it() {
    run(async {
        let alive = Origin::saying("alive").await;
        let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut shop = pool(&[&alive]);
        shop.servers.push(server("dead", dead));
        shop.retry.budget = 1;
        let rig = Rig::start(config(shop)).await;
        let mut client = Client::connect(&rig).await;
        for _ in 0..100 {
            assert_eq!(client.get("/").await.text(), "alive");
        }
        assert_eq!(rig.shared.totals().retries, 50);
    });
}

#[test]
fn a_server_that_accepts_and_resets_is_passed_over() {
    run(async {
        let slamming = Origin::scripted(|peer| {
            Box::pin(async move {
                peer.stream.set_zero_linger().unwrap();
            })
        })
        .await;
        let living = Origin::saying("alive").await;
        let mut shop = pool(&[&slamming, &living]);
        shop.retry.budget = 100;
        let rig = Rig::start(config(shop)).await;
        let body = "x".repeat(40_000);
        for _ in 0..4 {
            let mut client = Client::connect(&rig).await;
            client.send(format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n{body}")).await;
            assert_eq!(client.answer().await.text(), "alive");
            assert_eq!(client.get("/").await.text(), "alive");
        }
        assert!(living.seen().iter().all(|seen| seen.body.is_empty() || seen.body.len() == 40_000));
    });
}

#[test]
fn a_broken_answer_that_ends_with_the_connection_ends_in_a_reset() {
    run(async {
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                peer.request().await;
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel").await;
            })
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        client.send("GET / HTTP/1.0\r\n\r\n").await;
        client.head().await;
        let mut rest = Vec::new();
        let ended = tokio::io::AsyncReadExt::read_to_end(&mut client.stream, &mut rest).await;
        assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_client_that_resets_is_not_connected_for() {
    run(async {
        // An address of a documentation block: nobody answers, nobody refuses.
        let mut shop = pool(&[]);
        shop.servers.push(server("far", "192.0.2.1:80".parse().unwrap()));
        shop.timeouts.connect = Duration::from_secs(60);
        let rig = Rig::start(config(shop)).await;
        let mut client = Client::connect(&rig).await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        client.stream.set_zero_linger().unwrap();
        drop(client);
        let line = rig.lines(1).await.remove(0);
        let is_unreachable = line.contains("connect-failed");
        assert!(is_unreachable || line.contains("\"end\":\"client-abort\""), "{line}");
    });
}

#[test]
fn a_client_that_drips_its_body_is_cut_off_like_one_that_is_silent() {
    run(async {
        let origin = Origin::saying("late").await;
        let mut config = config(pool(&[&origin]));
        let client_terms = &mut config.listeners[0].timeouts;
        (client_terms.body, client_terms.rate) = (Duration::from_millis(400), Some(1000));
        let rig = Rig::start(config).await;
        let mut client = Client::connect(&rig).await;
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n").await;
        // A byte every 20 ms is 50 a second: every pause is short, and all of them together are not.
        let (mut reader, mut writer) = client.stream.into_split();
        let drip = tokio::task::spawn_local(async move {
            let mut sent = 0;
            while sent < 600 && tokio::io::AsyncWriteExt::write_all(&mut writer, b"x").await.is_ok() {
                sent += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            sent
        });
        let mut answer = Vec::new();
        drop(tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut answer).await);
        assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", answer.escape_ascii());
        let sent = drip.await.unwrap();
        assert!((2..500).contains(&sent), "{sent}");
        assert!(origin.seen().is_empty());
    });
}

#[test]
fn a_client_that_sends_in_bursts_is_waited_for() {
    run(async {
        let origin = Origin::saying("whole").await;
        let mut config = config(pool(&[&origin]));
        let client_terms = &mut config.listeners[0].timeouts;
        (client_terms.body, client_terms.rate) = (Duration::from_secs(3), Some(1000));
        let rig = Rig::start(config).await;
        let mut client = Client::connect(&rig).await;
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6000\r\n\r\n").await;
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_millis(700)).await;
            client.send("x".repeat(1000)).await;
        }
        assert_eq!(client.answer().await.text(), "whole");
    });
}

#[test]
fn a_server_that_died_with_its_kept_connection_costs_one_retry_and_not_two() {
    run(async {
        let alive = Origin::saying("alive").await;
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut shop = pool(&[]);
        shop.servers.push(server("dies", socket.local_addr().unwrap()));
        // So heavy that it is the first choice again as long as it is one.
        shop.servers[0].weight = 1000;
        shop.servers.push(server("alive", alive.addr));
        shop.retry.attempts = 1;
        let life = tokio::task::spawn_local(async move {
            let (mut stream, _) = socket.accept().await.unwrap();
            let mut head = [0; 1024];
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut head).await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, &ok("last words")).await.unwrap();
            // Read, and never answered.
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut head).await.unwrap();
        });
        let rig = Rig::start(config(shop)).await;
        let mut client = Client::connect(&rig).await;
        assert_eq!(client.get("/").await.text(), "last words");
        assert_eq!(client.get("/").await.text(), "alive");
        life.await.unwrap();
    });
}

#[test]
fn a_listener_that_is_its_own_server_answers_and_goes_on_serving() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut rig = Rig::start(config(pool(&[&origin]))).await;
        rig.config.listeners[0].addr = ListenAddr::One(rig.addr);
        rig.config.pools[0].servers.iter_mut().for_each(|at| *at = server("a", rig.addr));
        rig.reload().await;
        let mut client = Client::connect(&rig).await;
        for _ in 0..3 {
            assert_eq!(client.get("/round").await.status(), 508);
        }
        let accepted = rig.shared.totals().accepted;
        assert!(accepted <= 3 * (u64::from(caps::OWN_ROUNDS) + 2), "{accepted} connections");
        assert!(rig.shared.totals().rejected.contains_key("loop"));
        // Where it is no longer its own, it serves as before.
        rig.config.pools[0].servers.iter_mut().for_each(|at| *at = server("a", origin.addr));
        rig.reload().await;
        assert_eq!(client.get("/").await.status(), 200);
    });
}
