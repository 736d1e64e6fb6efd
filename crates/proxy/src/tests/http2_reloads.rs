//! What becomes of connections to servers over HTTP/2 when a reload changes their servers.

use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_model::caps;
use evenkeel_model::config::{Config, PoolTls};
use evenkeel_net::tls::{Connector, ConnectorOptions, TlsVersion, Trust};
use h2::Reason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::http2::{Answering, Http2, request};
use super::http2_servers::{Streams, ok, shop};
use super::rig::{Client, Rig, run, server};
use super::secured::{acceptor, certificate};

/// A server that answers everything.
async fn answering() -> Streams {
    Streams::serving(|_, (_, mut respond)| Box::pin(async move { ok("fine", &mut respond) })).await
}

/// The status of an answer, for which the server is told to answer as often as it takes.
async fn answered(told: &Notify, answer: Answering) -> u16 {
    let mut whole = pin!(answer.whole());
    loop {
        told.notify_waiters();
        if let Ok(got) = tokio::time::timeout(Duration::from_millis(20), whole.as_mut()).await {
            return got.unwrap().status;
        }
    }
}

/// A pool of this server, which is spoken to over TLS.
fn shop_over_tls(addr: SocketAddr) -> Config {
    let mut config = shop(&[addr]);
    let mut tls = PoolTls::new();
    tls.name = Some("a.example".to_owned());
    config.pools[0].tls = Some(tls);
    config
}

fn connector() -> Arc<Connector> {
    let options = ConnectorOptions {
        trust: Trust::Anybody,
        min: TlsVersion::Tls12,
        identity: None,
        protocols: vec![b"h2".to_vec()],
    };
    Arc::new(Connector::new(options).unwrap())
}

#[test]
fn a_connection_stands_for_the_way_in_which_it_was_made() {
    run(async {
        let acceptor = acceptor(&[certificate(&["a.example"])], None);
        let streams = Streams::over(Some(acceptor), h2::server::Builder::new(), |_, (_, mut respond)| {
            Box::pin(async move { ok("fine", &mut respond) })
        })
        .await;
        let config = shop_over_tls(streams.addr);
        let pool = config.pools[0].name.clone();
        let mut rig = Rig::start(config).await;
        let mut client = Client::connect(&rig).await;
        for connections in 1..=2 {
            // Another authority, say, or another certificate of ours.
            rig.connectors.insert(pool.clone(), connector());
            for _ in 0..2 {
                rig.reload().await;
                assert_eq!(client.get("/").await.status(), 200);
                assert_eq!(streams.connections.get(), connections);
            }
        }
        // And another name to prove.
        rig.config.pools[0].tls.as_mut().unwrap().name = Some("b.example".to_owned());
        rig.reload().await;
        assert_eq!(client.get("/").await.status(), 200);
        assert_eq!(streams.connections.get(), 3);
        rig.until(|_| streams.open.get() == 1).await;
    });
}

#[test]
fn a_request_from_before_a_reload_leaves_the_newer_connections_to_others() {
    run(async {
        let told = Rc::new(Notify::new());
        let hold = Rc::clone(&told);
        let old = Streams::serving(move |number, (_, mut respond)| {
            let hold = Rc::clone(&hold);
            Box::pin(async move {
                if number > 1 {
                    return ok("old", &mut respond);
                }
                hold.notified().await;
                respond.send_reset(Reason::REFUSED_STREAM);
            })
        })
        .await;
        let new = answering().await;
        let mut config = shop(&[old.addr]);
        config.pools[0].retry.elsewhere = false;
        let mut rig = Rig::start(config).await;
        let (mut early, mut late) = (Http2::connect(&rig).await, Http2::connect(&rig).await);
        let answer = early.send(request("GET", "/"), true).await.0;
        rig.until(|_| old.calls.get() == 1).await;
        rig.config.pools[0].servers[0] = server("a", new.addr);
        rig.reload().await;
        assert_eq!(late.get("/").await.status, 200);
        // It looks for a connection to the server that it knows.
        told.notify_one();
        assert_eq!(answer.whole().await.unwrap().body, b"old");
        assert_eq!(late.get("/").await.status, 200);
        assert_eq!((old.calls.get(), new.connections.get()), (2, 1));
    });
}

#[test]
fn a_connection_that_stands_once_its_server_has_moved_carries_the_one_request() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let new = answering().await;
        let mut config = shop(&[listener.local_addr().unwrap()]);
        config.pools[0].timeouts.keep = Duration::from_secs(3600);
        let mut rig = Rig::start(config).await;
        let mut client = Http2::connect(&rig).await;
        let answer = client.send(request("GET", "/"), true).await.0;
        let (mut stream, _) = listener.accept().await.unwrap();
        rig.config.pools[0].servers[0] = server("a", new.addr);
        rig.reload().await;
        // Its first words, and `:status 200` of the static table with the stream's end.
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        stream.write_all(&[0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88]).await.unwrap();
        assert_eq!(answer.whole().await.unwrap().status, 200);
        assert!(stream.read_to_end(&mut Vec::new()).await.is_ok(), "it is closed, as nobody needs it any more");
        assert_eq!(client.get("/").await.body, b"fine");
    });
}

#[test]
fn who_stands_in_line_is_called_though_the_server_was_away_meanwhile() {
    run(async {
        let most = caps::HTTP2_SERVER_CONNECTIONS;
        let (early, late) = (Rc::new(Notify::new()), Rc::new(Notify::new()));
        let holds = (Rc::clone(&early), Rc::clone(&late));
        let mut settings = h2::server::Builder::new();
        settings.max_concurrent_streams(1);
        let streams = Streams::with(settings, move |number, (_, mut respond)| {
            let hold = Rc::clone(if number <= most { &holds.0 } else { &holds.1 });
            Box::pin(async move {
                hold.notified().await;
                ok("fine", &mut respond);
            })
        })
        .await;
        let mut rig = Rig::start(shop(&[streams.addr])).await;
        let (mut first, mut second) = (Http2::connect(&rig).await, Http2::connect(&rig).await);
        let mut answers = Vec::new();
        for _ in 0..most {
            answers.push(first.send(request("GET", "/"), true).await.0);
        }
        rig.until(|_| streams.calls.get() == most).await;
        // Many more than there may be connections.
        for _ in 0..100 {
            answers.push(second.send(request("GET", "/"), true).await.0);
        }
        rig.until(|rig| rig.shared.pool_stats(&Rig::id("a").pool).unwrap().queued == 100).await;
        for name in ["b", "a"] {
            rig.config.pools[0].servers[0] = server(name, streams.addr);
            rig.reload().await;
        }
        // There is room on the connections from before the reloads, or on those that take their place.
        early.notify_waiters();
        let rest = answers.split_off(most);
        for answer in answers {
            assert_eq!(answer.whole().await.unwrap().status, 200);
        }
        for answer in rest {
            assert_eq!(answered(&late, answer).await, 200);
        }
    });
}

#[test]
fn a_connection_stands_for_as_long_as_its_address_is_one_of_the_server() {
    run(async {
        let (one, two) = (answering().await, answering().await);
        let mut rig = Rig::start(shop(&[one.addr])).await;
        let mut client = Client::connect(&rig).await;
        assert_eq!(client.get("/").await.status(), 200);
        rig.elsewhere.insert(Rig::id("a"), two.addr);
        rig.reload().await;
        assert_eq!(client.get("/").await.status(), 200);
        assert_eq!((one.connections.get(), one.calls.get()), (1, 2));
        rig.elsewhere.clear();
        rig.config.pools[0].servers[0] = server("a", two.addr);
        rig.reload().await;
        rig.until(|_| one.open.get() == 0).await;
        assert_eq!(client.get("/").await.status(), 200);
        assert_eq!((two.connections.get(), two.calls.get()), (1, 1));
    });
}

#[test]
fn a_line_from_before_a_reload_holds_up_nobody_behind_it() {
    run(async {
        let most = caps::HTTP2_SERVER_CONNECTIONS;
        let told = Rc::new(Notify::new());
        let hold = Rc::clone(&told);
        let mut settings = h2::server::Builder::new();
        settings.max_concurrent_streams(1);
        let acceptor = acceptor(&[certificate(&["a.example"])], None);
        let streams = Streams::over(Some(acceptor), settings, move |_, (request, mut respond)| {
            let hold = Rc::clone(&hold);
            Box::pin(async move {
                if request.uri().path() != "/late" {
                    hold.notified().await;
                }
                ok("fine", &mut respond);
            })
        })
        .await;
        let mut config = shop_over_tls(streams.addr);
        let pool = config.pools[0].name.clone();
        let connect = config.pools[0].timeouts.connect;
        config.pools[0].timeouts.answer = Duration::from_secs(60);
        config.pools[0].queue.timeout = Duration::from_secs(60);
        let mut rig = Rig::start(config).await;
        rig.connectors.insert(pool.clone(), connector());
        rig.reload().await;
        let mut early = [Http2::connect(&rig).await, Http2::connect(&rig).await, Http2::connect(&rig).await];
        let mut answers = Vec::new();
        for number in 0..most + 200 {
            answers.push(early[number % 3].send(request("GET", "/"), true).await.0);
        }
        rig.until(|_| streams.calls.get() == most).await;
        rig.until(|rig| rig.shared.pool_stats(&pool).unwrap().queued == 200).await;
        // One connection for each of those in line, one by one, would take longer than may be waited for one.
        streams.delay.set(Duration::from_millis(20));
        rig.connectors.insert(pool.clone(), connector());
        rig.reload().await;
        let mut late = Http2::connect(&rig).await;
        for _ in 0..3 {
            let answer = tokio::time::timeout(connect, late.get("/late")).await.expect("it waits for others");
            assert_eq!(answer.status, 200);
        }
        for answer in answers {
            assert_eq!(answered(&told, answer).await, 200);
        }
        assert!(streams.connections.get() <= 2 * most, "{}", streams.connections.get());
    });
}
