//! `max-conns` and the line in front of it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::rig::{Client, Origin, Rig, config, ok, pool, run};
use evenkeel_model::ListenerName;
use tokio::sync::{mpsc, oneshot};

/// A server that takes its time and notes how many requests it had at once.
async fn slow(most: Rc<Cell<usize>>, takes: Duration) -> Origin {
    let now = Rc::new(Cell::new(0));
    Origin::scripted(move |mut peer| {
        let (now, most) = (Rc::clone(&now), Rc::clone(&most));
        Box::pin(async move {
            while peer.request().await.is_some() {
                now.set(now.get() + 1);
                most.set(most.get().max(now.get()));
                tokio::time::sleep(takes).await;
                now.set(now.get() - 1);
                peer.send(ok("done")).await;
            }
        })
    })
    .await
}

/// Starts so many clients at once and gives their statuses.
async fn crowd(rig: &Rig, count: usize) -> Vec<u16> {
    let mut tasks = Vec::new();
    for _ in 0..count {
        let mut client = Client::connect(rig).await;
        tasks.push(tokio::task::spawn_local(async move { client.get("/").await.status() }));
    }
    let mut statuses = Vec::new();
    for task in tasks {
        statuses.push(task.await.unwrap());
    }
    statuses.sort_unstable();
    statuses
}

#[test]
fn a_full_server_makes_the_others_wait_their_turn() {
    run(async {
        let most = Rc::new(Cell::new(0));
        let origin = slow(Rc::clone(&most), Duration::from_millis(10)).await;
        let mut shop = pool(&[&origin]);
        shop.servers[0].max_conns = Some(2);
        let rig = Rig::start(config(shop)).await;
        assert_eq!(crowd(&rig, 12).await, [200; 12]);
        assert_eq!(most.get(), 2);
        assert_eq!(rig.shared.server_stats(&Rig::id("a")).unwrap().in_flight, 0);
    });
}

#[test]
fn a_full_queue_is_answered_at_once() {
    run(async {
        let most = Rc::new(Cell::new(0));
        let origin = slow(Rc::clone(&most), Duration::from_millis(50)).await;
        let mut shop = pool(&[&origin]);
        shop.servers[0].max_conns = Some(1);
        shop.queue.max = 2;
        let rig = Rig::start(config(shop)).await;
        assert_eq!(crowd(&rig, 5).await, [200, 200, 200, 503, 503]);
        assert_eq!(rig.shared.totals().rejected.get("queue-full"), Some(&2));
    });
}

#[test]
fn waiting_too_long_is_503() {
    run(async {
        let most = Rc::new(Cell::new(0));
        let origin = slow(Rc::clone(&most), Duration::from_millis(300)).await;
        let mut shop = pool(&[&origin]);
        shop.servers[0].max_conns = Some(1);
        shop.queue.timeout = Duration::from_millis(30);
        let rig = Rig::start(config(shop)).await;
        assert_eq!(crowd(&rig, 2).await, [200, 503]);
        assert_eq!(rig.shared.totals().rejected.get("queue-timeout"), Some(&1));
        assert_eq!(rig.shared.pool_stats(&evenkeel_model::PoolName::new("shop").unwrap()).unwrap().queued, 0);
    });
}

/// A server that never answers, whatever it is asked.
async fn silent() -> Origin {
    Origin::scripted(|mut peer| Box::pin(async move { while peer.request().await.is_some() {} })).await
}

#[test]
fn a_client_that_resets_while_the_server_thinks_frees_the_slot() {
    run(async {
        let origin = silent().await;
        let mut shop = pool(&[&origin]);
        shop.servers[0].max_conns = Some(1);
        let rig = Rig::start(config(shop)).await;
        let mut client = Client::connect(&rig).await;
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").await;
        rig.until(|_| origin.count() == 1).await;
        client.stream.set_zero_linger().unwrap();
        drop(client);
        rig.until(|rig| rig.shared.server_stats(&Rig::id("a")).unwrap().in_flight == 0).await;
        assert_eq!(rig.shared.server_stats(&Rig::id("a")).unwrap().failures, 0);
        assert_eq!(rig.shared.totals().rejected.get("client-abort"), Some(&1));
    });
}

#[test]
fn a_client_that_resets_in_the_middle_of_a_silent_answer_frees_the_slot() {
    run(async {
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                peer.request().await;
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfirst").await;
                peer.request().await;
            })
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.head().await;
        client.stream.set_zero_linger().unwrap();
        drop(client);
        rig.until(|rig| rig.shared.server_stats(&Rig::id("a")).unwrap().in_flight == 0).await;
    });
}

#[test]
fn a_client_that_resets_in_the_line_leaves_it() {
    run(async {
        let origin = silent().await;
        let mut shop = pool(&[&origin]);
        shop.servers[0].max_conns = Some(1);
        let rig = Rig::start(config(shop)).await;
        let queued = |rig: &Rig| rig.shared.pool_stats(&evenkeel_model::PoolName::new("shop").unwrap()).unwrap().queued;
        let mut first = Client::connect(&rig).await;
        first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        rig.until(|_| origin.count() == 1).await;
        let mut second = Client::connect(&rig).await;
        second.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        rig.until(|rig| queued(rig) == 1).await;
        second.stream.set_zero_linger().unwrap();
        drop(second);
        rig.until(|rig| queued(rig) == 0).await;
        assert_eq!(origin.count(), 1);
    });
}

#[test]
fn a_client_that_ends_its_sending_is_answered_after_its_turn() {
    run(async {
        let most = Rc::new(Cell::new(0));
        let origin = slow(Rc::clone(&most), Duration::from_millis(30)).await;
        let mut shop = pool(&[&origin]);
        shop.servers[0].max_conns = Some(1);
        let rig = Rig::start(config(shop)).await;
        let mut clients = Vec::new();
        for _ in 0..3 {
            let mut client = Client::connect(&rig).await;
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            tokio::io::AsyncWriteExt::shutdown(&mut client.stream).await.unwrap();
            clients.push(client);
        }
        for mut client in clients {
            assert_eq!(client.answer().await.text(), "done");
        }
    });
}

#[test]
fn connections_beyond_the_ceiling_wait_outside() {
    run(async {
        let origin = Origin::saying("in").await;
        let rig = Rig::with_max(config(pool(&[&origin])), 2).await;
        let mut first = Client::connect(&rig).await;
        let mut second = Client::connect(&rig).await;
        assert_eq!((first.get("/").await.status(), second.get("/").await.status()), (200, 200));
        let mut third = Client::connect(&rig).await;
        third.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(tokio::time::timeout(Duration::from_millis(50), third.head()).await.is_err());
        assert_eq!(rig.shared.connections(), 2);
        drop(first);
        assert_eq!(third.answer().await.text(), "in");
    });
}

#[test]
fn connections_beyond_a_listeners_own_bound_wait_until_one_ends() {
    run(async {
        let (origin, told) = Origin::waiting("in").await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].max_conns = Some(2);
        let mut rig = Rig::start(config).await;
        let full = |rig: &Rig| rig.shared.listener_stats(&ListenerName::of_address(":test")).unwrap().full;
        let mut clients = Vec::new();
        for _ in 0..4 {
            let mut client = Client::connect(&rig).await;
            client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
            clients.push(client);
        }
        rig.until(|rig| full(rig) > 0).await;
        rig.until(|_| origin.count() == 2).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert_eq!((origin.count(), rig.shared.connections()), (2, 2));
        // A reload that raises the bound lets the next one in.
        rig.config.listeners[0].max_conns = Some(3);
        rig.reload().await;
        rig.until(|_| origin.count() == 3).await;
        // And so does the end of one.
        let asking = async {
            for client in &mut clients {
                assert_eq!(client.answer().await.text(), "in");
            }
        };
        let answering = async {
            loop {
                told.notify_waiters();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! { () = asking => {}, () = answering => {} }
        rig.until(|rig| rig.shared.connections() == 0).await;
        let stats = rig.shared.listener_stats(&ListenerName::of_address(":test")).unwrap();
        assert_eq!(stats.accepted, 4);
    });
}

#[test]
fn a_listener_that_is_full_lets_go_of_its_own_silent_ones() {
    run(async {
        let origin = Origin::saying("in").await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].max_conns = Some(2);
        let rig = Rig::start(config).await;
        let mut first = Client::connect(&rig).await;
        assert_eq!(first.get("/").await.status(), 200);
        let mut second = Client::connect(&rig).await;
        assert_eq!(second.get("/").await.status(), 200);
        let mut third = Client::connect(&rig).await;
        assert_eq!(third.get("/").await.text(), "in");
        assert!(first.is_closed().await);
    });
}

#[test]
fn where_there_is_no_room_the_longest_silent_connection_makes_some() {
    run(async {
        let origin = Origin::saying("in").await;
        let rig = Rig::with_max(config(pool(&[&origin])), 2).await;
        let mut first = Client::connect(&rig).await;
        assert_eq!(first.get("/").await.status(), 200);
        let mut second = Client::connect(&rig).await;
        assert_eq!(second.get("/").await.status(), 200);
        let mut third = Client::connect(&rig).await;
        assert_eq!(third.get("/").await.text(), "in");
        assert!(first.is_closed().await);
        assert_eq!(second.get("/").await.status(), 200);
    });
}

#[test]
fn the_bound_is_exact_over_two_workers_on_two_threads() {
    const CLIENTS: usize = 24;
    let now = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (counted, highest) = (Arc::clone(&now), Arc::clone(&most));
    run(async move {
        let origin = Origin::scripted(move |mut peer| {
            let (now, most) = (Arc::clone(&counted), Arc::clone(&highest));
            Box::pin(async move {
                while peer.request().await.is_some() {
                    let at_once = now.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(at_once, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    peer.send(ok("done")).await;
                }
            })
        })
        .await;
        let mut shop = pool(&[&origin]);
        shop.servers[0].max_conns = Some(3);
        let mut rig = Rig::start(config(shop)).await;
        // The second worker, on a thread of its own, with a socket of its own.
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let second_addr = socket.local_addr().unwrap();
        let (commands, inbox) = mpsc::channel(4);
        let shared = Arc::clone(&rig.shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            tokio::task::LocalSet::new().block_on(&runtime, crate::worker(1, shared, inbox));
        });
        let (done, applied) = oneshot::channel();
        let snapshot = rig.snapshot();
        let open = vec![(ListenerName::of_address(":test"), socket)];
        assert!(commands.send(crate::Command::Apply { snapshot, open, close: Vec::new(), done }).await.is_ok());
        applied.await.unwrap();
        let first_addr = rig.addr;
        let mut tasks = Vec::new();
        for number in 0..CLIENTS {
            rig.addr = if number % 2 == 0 { first_addr } else { second_addr };
            let mut client = Client::connect(&rig).await;
            tasks.push(tokio::task::spawn_local(async move {
                for _ in 0..10 {
                    assert_eq!(client.get("/").await.status(), 200);
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(origin.count(), CLIENTS * 10);
        // The last client has its answer before the last slot is given back.
        rig.until(|rig| rig.shared.server_stats(&Rig::id("a")).unwrap().in_flight == 0).await;
        drop(commands);
        thread.join().unwrap();
    });
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[test]
fn without_memory_for_another_request_it_gets_503_and_the_next_one_is_served() {
    run(async {
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                while let Some(seen) = peer.request().await {
                    if seen.line().contains("/slow") {
                        tokio::time::sleep(Duration::from_millis(600)).await;
                    }
                    peer.send(ok("served")).await;
                }
            })
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        // Room for two requests.
        rig.shared.set_buffers(100_000);
        let (mut one, mut two, mut three) =
            (Client::connect(&rig).await, Client::connect(&rig).await, Client::connect(&rig).await);
        one.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
        two.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
        rig.until(|rig| rig.shared.server_stats(&Rig::id("a")).is_some_and(|stats| stats.in_flight == 2)).await;
        let answer = three.get("/").await;
        assert_eq!((answer.status(), answer.field("retry-after").as_deref()), (503, Some("1")));
        assert!(three.is_closed().await);
        assert_eq!((one.answer().await.text(), two.answer().await.text()), ("served", "served"));
        let mut four = Client::connect(&rig).await;
        assert_eq!(four.get("/").await.text(), "served");
        assert_eq!(one.get("/").await.text(), "served");
    });
}
