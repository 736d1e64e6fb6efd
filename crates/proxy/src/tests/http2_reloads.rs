//! What becomes of connections to servers over HTTP/2 when a reload changes their servers.

use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_model::caps;
use evenkeel_model::config::PoolTls;
use evenkeel_net::tls::{Connector, ConnectorOptions, TlsVersion, Trust};
use h2::Reason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::http2::{Http2, request};
use super::http2_servers::{Streams, ok, shop};
use super::rig::{Client, Rig, run, server};
use super::secured::{acceptor, certificate};

/// A server that answers everything.
async fn answering() -> Streams {
    Streams::serving(|_, (_, mut respond)| Box::pin(async move { ok("fine", &mut respond) })).await
}

#[test]
fn a_connection_stands_for_the_way_in_which_it_was_made() {
    run(async {
        let acceptor = acceptor(&[certificate(&["a.example"])], None);
        let streams = Streams::over(Some(acceptor), h2::server::Builder::new(), |_, (_, mut respond)| {
            Box::pin(async move { ok("fine", &mut respond) })
        })
        .await;
        let mut config = shop(&[streams.addr]);
        let mut tls = PoolTls::new();
        tls.name = Some("a.example".to_owned());
        config.pools[0].tls = Some(tls);
        let pool = config.pools[0].name.clone();
        let connector = || {
            let options = ConnectorOptions {
                trust: Trust::Anybody,
                min: TlsVersion::Tls12,
                identity: None,
                protocols: vec![b"h2".to_vec()],
            };
            Arc::new(Connector::new(options).unwrap())
        };
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
        rig.until(|_| streams.connections.get() >= 2 * most).await;
        // The connections from before the reloads end, and then there is room on those from behind them.
        early.notify_waiters();
        let rest = answers.split_off(most);
        for answer in answers {
            assert_eq!(answer.whole().await.unwrap().status, 200);
        }
        for answer in rest {
            let mut whole = pin!(answer.whole());
            let got = loop {
                late.notify_waiters();
                if let Ok(got) = tokio::time::timeout(Duration::from_millis(20), whole.as_mut()).await {
                    break got;
                }
            };
            assert_eq!(got.unwrap().status, 200);
        }
    });
}
