//! Reload, drain, panics: what happens to connections when something greater happens.

use std::time::Duration;

use super::rig::{Client, Origin, Rig, config, pool, route, run, server};
use crate::DrainOutcome;
use evenkeel_model::config::{Action, PathPattern, Respond};
use evenkeel_model::{ListenerName, Template};

#[test]
fn a_request_keeps_the_configuration_that_it_began_with() {
    run(async {
        let ((old, told), new) = (Origin::waiting("old").await, Origin::saying("new").await);
        let mut rig = Rig::start(config(pool(&[&old]))).await;
        let mut client = Client::connect(&rig).await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        rig.until(|_| old.count() == 1).await;
        rig.config.pools[0].servers = vec![server("b", new.addr)];
        rig.reload().await;
        told.notify_one();
        assert_eq!(client.answer().await.text(), "old");
        // The same connection sees the new one from the next request on.
        assert_eq!(client.get("/").await.text(), "new");
    });
}

#[test]
fn a_reload_closes_no_idle_connection() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        for number in 0..20 {
            assert_eq!(client.get("/").await.status(), 200, "after {number} reloads");
            rig.reload().await;
        }
        assert_eq!((origin.connections(), rig.shared.totals().accepted), (1, 1));
    });
}

#[test]
fn a_server_that_moved_is_asked_at_its_new_address() {
    run(async {
        let (old, new) = (Origin::saying("old").await, Origin::saying("new").await);
        let mut rig = Rig::start(config(pool(&[&old]))).await;
        let mut client = Client::connect(&rig).await;
        assert_eq!(client.get("/").await.text(), "old");
        rig.config.pools[0].servers = vec![server("a", new.addr)];
        rig.reload().await;
        assert_eq!(client.get("/").await.text(), "new");
    });
}

#[test]
fn a_removed_listener_stops_and_its_connections_end() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        client.get("/").await;
        let name = ListenerName::of_address(":test");
        rig.config.listeners.clear();
        rig.apply(Vec::new(), vec![name.clone()]).await;
        assert!(client.is_closed().await);
        assert!(tokio::net::TcpStream::connect(rig.addr).await.is_err());
        assert_eq!(rig.shared.listener_stats(&name).unwrap().connections, 0);
    });
}

#[test]
fn a_drain_lets_requests_finish_and_idle_connections_go() {
    run(async {
        let (origin, told) = Origin::waiting("old").await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut busy = Client::connect(&rig).await;
        let mut idle = Client::connect(&rig).await;
        told.notify_one();
        idle.get("/").await;
        busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        rig.until(|_| origin.count() == 2).await;
        let mut drained = rig.drain(Duration::from_secs(10)).await;
        assert!(idle.is_closed().await);
        assert!(drained.try_recv().is_err(), "a request is under way");
        told.notify_one();
        let answer = busy.answer().await;
        assert_eq!((answer.text(), answer.field("connection").as_deref()), ("old", Some("close")));
        drop(busy);
        assert_eq!(drained.await.unwrap(), DrainOutcome { cut: 0 });
        assert!(tokio::net::TcpStream::connect(rig.addr).await.is_err());
    });
}

#[test]
fn a_drain_cuts_what_stands_at_its_deadline() {
    run(async {
        let (origin, _told) = Origin::waiting("old").await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        rig.until(|_| origin.count() == 1).await;
        let drained = rig.drain(Duration::from_millis(30)).await;
        assert_eq!(drained.await.unwrap(), DrainOutcome { cut: 1 });
    });
}

#[test]
fn a_connection_that_waits_in_the_socket_when_it_closes_is_served() {
    run(async {
        let origin = Origin::saying("in time").await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        // The worker has had no turn since: the connection stands in the system's queue alone.
        let stream = std::net::TcpStream::connect(rig.addr).unwrap();
        stream.set_nonblocking(true).unwrap();
        let drained = rig.drain(Duration::from_secs(5)).await;
        let mut stream = tokio::net::TcpStream::from_std(stream).unwrap();
        let sent = tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(sent.is_ok());
        let mut answer = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await.unwrap();
        assert!(answer.ends_with("in time") && answer.contains("Connection: close"), "{answer}");
        assert_eq!(drained.await.unwrap(), DrainOutcome { cut: 0 });
    });
}

#[test]
fn who_has_just_connected_when_a_drain_begins_is_still_served() {
    run(async {
        let origin = Origin::saying("in time").await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut fresh = Client::connect(&rig).await;
        let mut silent = Client::connect(&rig).await;
        rig.until(|rig| rig.shared.connections() == 2).await;
        let drained = rig.drain(Duration::from_secs(10)).await;
        // Longer than any turn of the worker takes.
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(fresh.get("/").await.text(), "in time");
        assert!(silent.is_closed().await);
        drop(fresh);
        assert_eq!(drained.await.unwrap(), DrainOutcome { cut: 0 });
    });
}

#[test]
fn a_silent_connection_is_closed_without_a_word() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].timeouts.head = Duration::from_millis(40);
        config.listeners[0].timeouts.idle = Duration::from_millis(40);
        let rig = Rig::start(config).await;
        assert!(Client::connect(&rig).await.is_closed().await);
        let mut client = Client::connect(&rig).await;
        assert_eq!(client.get("/").await.status(), 200);
        assert!(client.is_closed().await);
        assert_eq!(rig.shared.totals().requests, 1);
    });
}

#[test]
fn a_client_that_takes_nothing_is_let_go() {
    run(async {
        let body: &'static str = Box::leak("x".repeat(20_000_000).into_boxed_str());
        let mut config = config(pool(&[&Origin::saying("x").await]));
        config.listeners[0].timeouts.send = Duration::from_millis(100);
        config.listeners[0].sites[0].routes = vec![route(
            PathPattern::Any,
            Action::Respond(Respond { status: 200, content_type: "text/plain".into(), body: Template::literal(body) }),
        )];
        let rig = Rig::start(config).await;
        let mut client = Client::connect(&rig).await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        rig.until(|rig| rig.shared.connections() == 0).await;
        let line = rig.lines(1).await.remove(0);
        assert!(line.contains("\"end\":\"client-timeout\""), "{line}");
    });
}

#[test]
fn a_panic_costs_its_connection_alone_and_is_counted() {
    run(async {
        let (report, _reports) = tokio::sync::mpsc::channel(1);
        let shared = crate::Shared::new(10, report);
        let worker = std::rc::Rc::new(crate::worker::Worker::new(0, std::sync::Arc::clone(&shared)));
        let presence = worker.enter();
        let lost = tokio::task::spawn_local(async move {
            let _held = presence;
            panic!("this panic belongs to the test");
        });
        assert!(lost.await.is_err());
        assert_eq!(shared.totals().panics, 1);
        drop(worker.enter());
        assert_eq!(shared.totals().panics, 1);
    });
}

#[test]
fn unchanged_pools_are_taken_over_by_the_next_snapshot() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut rig = Rig::start(config(pool(&[&origin]))).await;
        let first = rig.snapshot();
        let second = rig.snapshot();
        assert!(std::sync::Arc::ptr_eq(&first.pools()[0], &second.pools()[0]));
        rig.config.pools[0].servers[0].weight = 5;
        let third = rig.snapshot();
        assert!(!std::sync::Arc::ptr_eq(&second.pools()[0], &third.pools()[0]));
        assert_eq!(third.generation(), second.generation() + 1);
    });
}

#[test]
fn a_connection_is_small() {
    run(async {
        let origin = Origin::saying("x").await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let stream = tokio::net::TcpStream::connect(rig.addr).await.unwrap();
        drop(stream);
        let (report, _reports) = tokio::sync::mpsc::channel(1);
        let worker = std::rc::Rc::new(crate::worker::Worker::new(0, crate::Shared::new(10, report)));
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = tokio::net::TcpStream::connect(socket.local_addr().unwrap()).await.unwrap();
        let stream = evenkeel_net::stream::accept(&socket).await.unwrap();
        let future = crate::serve::h1::connection(worker, ListenerName::of_address(":test"), stream);
        // With the runtime's own records of task, socket and timer an idle connection stays well below 4 KiB.
        let size = size_of_val(&future);
        assert!(size <= 1024, "a connection's future takes {size} bytes");
    });
}
