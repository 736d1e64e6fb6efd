//! What is counted of requests, by listener, pool and server, and that a reload loses none of it.

use std::time::Duration;

use super::rig::{Client, Origin, Rig, config, ok, pool, run, server};
use evenkeel_model::{ListenerName, PoolName};

use crate::stats::{ListenerStats, PoolStats};

fn of_pool(rig: &Rig) -> PoolStats {
    rig.shared.pool_stats(&PoolName::new("shop").unwrap()).unwrap()
}

fn of_listener(rig: &Rig) -> ListenerStats {
    rig.shared.listener_stats(&ListenerName::of_address(":test")).unwrap()
}

#[test]
fn requests_are_counted_where_they_went() {
    run(async {
        let a = Origin::answering(|seen| match seen.line().contains("/missing") {
            true => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
            false => ok("hello"),
        })
        .await;
        let rig = Rig::start(config(pool(&[&a]))).await;
        let mut client = Client::connect(&rig).await;
        for path in ["/", "/missing", "/"] {
            client.get(path).await;
        }
        client.send("nonsense\r\n\r\n").await;
        assert_eq!(client.answer().await.status(), 400);
        rig.until(|rig| of_listener(rig).traffic.requests == 4).await;
        let (listener, pool, server) =
            (of_listener(&rig), of_pool(&rig), rig.shared.server_stats(&Rig::id("a")).unwrap());
        assert_eq!((listener.accepted, listener.traffic.by_class), (1, [0, 2, 0, 2, 0]));
        assert_eq!((pool.traffic.requests, pool.traffic.by_class), (3, [0, 2, 0, 1, 0]));
        assert_eq!((server.traffic.requests, server.traffic.by_class), (3, [0, 2, 0, 1, 0]));
        assert_eq!((server.connects, server.reused), (1, 2));
        assert_eq!((listener.traffic.times.total(), server.traffic.times.total()), (4, 3));
        assert!(server.traffic.times.sum() <= pool.traffic.times.sum());
        assert!(pool.traffic.bytes_out < listener.traffic.bytes_out);
        assert_eq!(pool.traffic.bytes_out, server.traffic.bytes_out);
    });
}

#[test]
fn a_client_that_left_before_its_answer_is_in_no_class() {
    run(async {
        let mute = Origin::scripted(|mut peer| {
            Box::pin(async move {
                peer.request().await;
                std::future::pending::<()>().await;
            })
        })
        .await;
        let rig = Rig::start(config(pool(&[&mute]))).await;
        let mut client = Client::connect(&rig).await;
        client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").await;
        rig.until(|_| mute.count() == 1).await;
        client.stream.set_zero_linger().unwrap();
        drop(client);
        rig.until(|rig| of_listener(rig).traffic.requests == 1).await;
        assert!(rig.lines(1).await[0].contains("\"status\":499"));
        assert_eq!((of_listener(&rig).traffic.by_class, of_pool(&rig).traffic.by_class), ([0; 5], [0; 5]));
        assert_eq!(rig.shared.totals().by_class, [0; 5]);
    });
}

#[test]
fn retries_and_redispatches_are_counted_with_their_pool() {
    run(async {
        let (dead, alive) = (Origin::scripted(|_| Box::pin(async {})).await, Origin::saying("b").await);
        let rig = Rig::start(config(pool(&[&dead, &alive]))).await;
        for _ in 0..4 {
            assert_eq!(Client::connect(&rig).await.get("/").await.status(), 200);
        }
        let (pool, dead, alive) = (
            of_pool(&rig),
            rig.shared.server_stats(&Rig::id("a")).unwrap(),
            rig.shared.server_stats(&Rig::id("b")).unwrap(),
        );
        assert!(pool.retries > 0);
        assert_eq!(pool.retries, pool.redispatches);
        assert_eq!((dead.traffic.requests, dead.failures), (pool.retries, pool.retries));
        assert_eq!((dead.traffic.times.total(), alive.traffic.by_class), (0, [0, 4, 0, 0, 0]));
        assert_eq!(pool.traffic.requests, 4);
    });
}

#[test]
fn counts_go_on_over_a_reload_that_changes_pool_and_order() {
    run(async {
        let (a, b) = (Origin::saying("a").await, Origin::saying("b").await);
        let mut rig = Rig::start(config(pool(&[&a]))).await;
        let mut client = Client::connect(&rig).await;
        client.get("/").await;
        rig.config.pools[0].servers.insert(0, server("b", b.addr));
        rig.reload().await;
        rig.shared.forget_unnamed();
        for _ in 0..4 {
            client.get("/").await;
        }
        rig.until(|rig| of_listener(rig).traffic.requests == 5).await;
        let requests = |name| rig.shared.server_stats(&Rig::id(name)).unwrap().traffic.requests;
        assert_eq!((of_pool(&rig).traffic.requests, requests("a"), requests("b")), (5, 3, 2));
        assert_eq!(of_listener(&rig).connections, 1);
    });
}

#[test]
fn waits_in_line_are_timed() {
    run(async {
        let slow = Origin::scripted(|mut peer| {
            Box::pin(async move {
                while peer.request().await.is_some() {
                    tokio::time::sleep(Duration::from_millis(30)).await;
                    if tokio::io::AsyncWriteExt::write_all(&mut peer.stream, &ok("late")).await.is_err() {
                        return;
                    }
                }
            })
        })
        .await;
        let mut shop = pool(&[&slow]);
        shop.servers[0].max_conns = Some(1);
        let rig = Rig::start(config(shop)).await;
        let (mut first, mut second) = (Client::connect(&rig).await, Client::connect(&rig).await);
        tokio::join!(first.get("/"), second.get("/"));
        rig.until(|rig| of_pool(rig).waits.total() == 1).await;
        let pool = of_pool(&rig);
        assert!(pool.waits.sum() > Duration::ZERO && pool.waits.sum() < pool.traffic.times.sum());
        assert_eq!((pool.queued, pool.queue_full, pool.queue_timeouts), (0, 0, 0));
    });
}
