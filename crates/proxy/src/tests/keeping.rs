//! Connections kept on both sides, pipelining, versions.

use super::rig::{Client, Origin, Rig, config, ok, pool, run};
use evenkeel_model::config::Reuse;

#[test]
fn one_client_connection_and_one_server_connection_carry_many_requests() {
    run(async {
        let origin = Origin::saying("hello").await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        for number in 0..5 {
            let answer = client.get(&format!("/{number}")).await;
            assert_eq!((answer.status(), answer.text()), (200, "hello"));
            assert_eq!(answer.field("connection"), None);
        }
        assert_eq!((origin.count(), origin.connections()), (5, 1));
        let lines: Vec<String> = origin.seen().iter().map(|seen| seen.line().to_owned()).collect();
        assert_eq!(lines[4], "GET /4 HTTP/1.1");
        assert_eq!(rig.shared.totals().requests, 5);
        assert_eq!(rig.shared.server_stats(&Rig::id("a")).unwrap().reused, 4);
    });
}

#[test]
fn servers_take_turns() {
    run(async {
        let (a, b) = (Origin::saying("a").await, Origin::saying("b").await);
        let rig = Rig::start(config(pool(&[&a, &b]))).await;
        let mut client = Client::connect(&rig).await;
        let mut said = String::new();
        for _ in 0..6 {
            said.push_str(client.get("/").await.text());
        }
        assert!(said == "ababab" || said == "bababa", "{said}");
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    run(async {
        let origin = Origin::answering(|seen| ok(seen.line())).await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        client
            .send(
                "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
                 POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n\
                 GET /4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            )
            .await;
        for wanted in ["GET /1 HTTP/1.1", "POST /2 HTTP/1.1", "POST /3 HTTP/1.1", "GET /4 HTTP/1.1"] {
            assert_eq!(client.answer().await.text(), wanted);
        }
        assert!(client.is_closed().await);
        let bodies: Vec<Vec<u8>> = origin.seen().iter().map(|seen| seen.body.clone()).collect();
        assert_eq!(bodies, [&b""[..], b"abc", b"hi", b""]);
    });
}

#[test]
fn an_http_1_0_client_gets_its_answer_and_the_end() {
    run(async {
        let origin = Origin::answering(|_| {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n".to_vec()
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        client.send("GET / HTTP/1.0\r\n\r\n").await;
        let answer = client.answer().await;
        assert_eq!((answer.text(), answer.field("transfer-encoding")), ("abcde", None));
        assert_eq!(origin.seen()[0].field("host"), Some(origin.addr.to_string()));
    });
}

#[test]
fn an_http_1_0_client_may_keep_its_connection() {
    run(async {
        let origin = Origin::saying("x").await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        for _ in 0..2 {
            client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
            assert_eq!(client.answer().await.field("connection").as_deref(), Some("keep-alive"));
        }
        assert_eq!(origin.connections(), 1);
    });
}

#[test]
fn an_http_1_0_server_ends_its_answer_by_closing() {
    run(async {
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                peer.request().await;
                peer.send("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nto the end").await;
            })
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        // The end of the server's connection is not the end of the client's.
        for _ in 0..2 {
            let answer = client.get("/").await;
            assert_eq!((answer.status(), answer.text()), (200, "a\r\nto the end\r\n0\r\n\r\n"));
        }
        // A client of the same age gets what it understands.
        client.send("GET / HTTP/1.0\r\n\r\n").await;
        assert_eq!(client.answer().await.text(), "to the end");
    });
}

#[test]
fn with_reuse_off_each_request_has_its_own_connection() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut shop = pool(&[&origin]);
        shop.reuse = Reuse::Never;
        let rig = Rig::start(config(shop)).await;
        let mut client = Client::connect(&rig).await;
        for _ in 0..3 {
            client.get("/").await;
        }
        assert_eq!(origin.connections(), 3);
        assert_eq!(origin.seen()[0].field("connection").as_deref(), Some("close"));
    });
}

#[test]
fn the_first_post_of_a_client_gets_a_connection_that_cannot_be_stale() {
    run(async {
        let origin = Origin::saying("x").await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        Client::connect(&rig).await.get("/").await;
        let mut second = Client::connect(&rig).await;
        second.post("a").await;
        assert_eq!(origin.connections(), 2);
        // From the second request on the client's connection vouches for itself.
        second.post("b").await;
        assert_eq!(origin.connections(), 2);
    });
}

#[test]
fn bytes_behind_an_answer_never_reach_the_next_client() {
    run(async {
        let origin = Origin::answering(|_| [ok("mine"), ok("poison")].concat()).await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        assert_eq!(client.get("/1").await.text(), "mine");
        assert_eq!(client.get("/2").await.text(), "mine");
        assert_eq!(origin.connections(), 2);
        assert_eq!(rig.shared.totals().surplus, 2);
    });
}

#[test]
fn bytes_on_an_idle_server_connection_destroy_it() {
    run(async {
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                while peer.request().await.is_some() {
                    peer.send(ok("mine")).await;
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    peer.send(ok("poison")).await;
                }
            })
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        assert_eq!(client.get("/1").await.text(), "mine");
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
        assert_eq!(client.get("/2").await.text(), "mine");
        assert_eq!(origin.connections(), 2);
        assert_eq!(rig.shared.totals().surplus, 1);
    });
}
