//! Bodies both ways, interim answers, upgrades, half-close.

use std::time::Duration;

use evenkeel_model::Template;
use evenkeel_model::config::{FieldEdit, RequestId, Sticky};

use super::rig::{Client, Origin, Rig, config, field, ok, pool, run};

/// Bytes that differ from place to place.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|place| b'a' + (place * 7 % 26) as u8).collect()
}

#[test]
fn bodies_of_every_size_go_through_unchanged() {
    run(async {
        let origin = Origin::answering(|seen| {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", seen.body.len());
            [head.as_bytes(), &seen.body].concat()
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        for length in [0, 1, 17, 4096, 17_900, 18_432, 20_000, 65_536, 70_001, 300_000] {
            let body = pattern(length);
            let head = format!("POST /{length} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
            client.send([head.as_bytes(), &body].concat()).await;
            let answer = client.answer().await;
            assert_eq!(answer.status(), 200);
            assert!(answer.body == body, "{length} bytes came back as {}", answer.body.len());
        }
        assert_eq!(origin.connections(), 1);
    });
}

#[test]
fn chunks_go_through_both_ways_with_their_trailers() {
    run(async {
        let origin = Origin::answering(|_| {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 7\r\n\r\n"
                .to_vec()
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        client
            .send(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\n\
                 X-Check: 1\r\nContent-Length: 9\r\n\r\n",
            )
            .await;
        let head = client.head().await;
        assert!(head.contains("Transfer-Encoding: chunked"), "{head}");
        client.stream.set_nodelay(true).unwrap();
        // The extension is gone, the harmless trailer is there.
        let mut got = Vec::new();
        let wanted = b"5\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 7\r\n\r\n";
        client.send("GET /2 HTTP/1.0\r\n\r\n").await;
        got.extend(client.rest().await);
        assert!(got.starts_with(wanted), "{}", String::from_utf8_lossy(&got));
        assert_eq!(origin.seen()[0].body, b"abcdeX-Check: 1\r\n");
    });
}

#[test]
fn a_chunked_body_sent_byte_by_byte_arrives_whole() {
    run(async {
        let origin = Origin::saying("ok").await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        client.stream.set_nodelay(true).unwrap();
        let message =
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\n5\r\npedia\r\n0\r\n\r\n";
        for byte in message.as_bytes() {
            client.send([*byte]).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(client.answer().await.text(), "ok");
        assert_eq!(origin.seen()[0].body, b"wikipedia");
    });
}

#[test]
fn a_large_chunked_upload_and_what_follows_it_stay_apart() {
    run(async {
        let origin = Origin::saying("ok").await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        let chunk = pattern(50_000);
        let mut message = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for _ in 0..4 {
            message.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            message.extend_from_slice(&chunk);
            message.extend_from_slice(b"\r\n");
        }
        message.extend_from_slice(b"0\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n");
        client.send(message).await;
        assert_eq!(client.answer().await.text(), "ok");
        assert_eq!(client.answer().await.text(), "ok");
        assert!(origin.seen()[0].body == chunk.repeat(4));
        assert_eq!(origin.seen()[1].line(), "GET /next HTTP/1.1");
    });
}

#[test]
fn answers_without_a_body_keep_the_connection_in_step() {
    run(async {
        let origin = Origin::answering(|seen| {
            let status = seen.line().split('/').nth(1).unwrap().get(..3).unwrap().to_owned();
            match status.as_str() {
                "204" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
                "304" => b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n".to_vec(),
                _ => b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_vec(),
            }
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        for (request, wanted) in
            [("HEAD /200", "200 OK"), ("GET /204", "204 No Content"), ("GET /304", "304 Not Modified")]
        {
            client.send(format!("{request} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
            let head = client.head().await;
            assert!(head.starts_with(&format!("HTTP/1.1 {wanted}\r\n")), "{head}");
        }
        assert_eq!((origin.count(), origin.connections()), (3, 1));
    });
}

#[test]
fn we_answer_the_expectation_ourselves_and_do_not_pass_it_on() {
    run(async {
        let origin = Origin::saying("done").await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n").await;
        assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
        client.send("body").await;
        assert_eq!(client.answer().await.text(), "done");
        assert_eq!((origin.seen()[0].field("expect"), &*origin.seen()[0].body), (None, &b"body"[..]));
    });
}

#[test]
fn early_hints_are_passed_on_before_the_answer() {
    run(async {
        let origin = Origin::answering(|_| {
            [&b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"[..], &ok("page")]
                .concat()
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        let hint = client.get("/").await;
        assert_eq!((hint.status(), hint.field("link").as_deref()), (103, Some("</a.css>")));
        assert_eq!(client.answer().await.text(), "page");
    });
}

#[test]
fn a_storm_of_interim_answers_ends_in_502() {
    run(async {
        let origin = Origin::answering(|_| b"HTTP/1.1 102 Processing\r\n\r\n".repeat(100)).await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        let mut answer = client.get("/").await;
        let mut interim = 0;
        while answer.status() == 102 {
            interim += 1;
            answer = client.answer().await;
        }
        assert_eq!((interim, answer.status()), (evenkeel_model::caps::INTERIM_RESPONSES, 502));
    });
}

#[test]
fn an_answer_that_switches_is_edited_and_binds_its_client_like_any_other() {
    run(async {
        let switching = |name: &'static str| {
            Origin::scripted(move |mut peer| {
                Box::pin(async move {
                    peer.request().await.unwrap();
                    peer.send(format!(
                        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                         Server: origin/9\r\nSet-Cookie: SID=abc\r\n\r\n{name}"
                    ))
                    .await;
                })
            })
        };
        let (a, b) = (switching("a").await, switching("b").await);
        let mut chat = pool(&[&a, &b]);
        chat.sticky = vec![Sticky::token("evenkeel")];
        let mut config = config(chat);
        let site = &mut config.listeners[0].sites[0];
        site.request_id = RequestId::Field("X-Request-Id".to_owned());
        site.response_edits =
            vec![FieldEdit::Set("X-Edge".to_owned(), Template::literal("yes")), FieldEdit::Remove("Server".to_owned())];
        let rig = Rig::start(config).await;
        let mut bond = String::new();
        let mut first = None;
        for _ in 0..4 {
            let mut client = Client::connect(&rig).await;
            client
                .send(format!(
                    "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{bond}\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
                ))
                .await;
            let head = client.head().await;
            assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
            assert_eq!(field(&head, "x-edge").as_deref(), Some("yes"));
            assert_eq!(field(&head, "server"), None);
            assert_eq!(field(&head, "connection").as_deref(), Some("upgrade"));
            assert!(field(&head, "x-request-id").is_some() && head.contains("Set-Cookie: SID=abc\r\n"), "{head}");
            let served = client.rest().await;
            assert_eq!(first.get_or_insert_with(|| served.clone()), &served, "the client keeps its server");
            let set = head.lines().find_map(|line| line.strip_prefix("Set-Cookie: evenkeel="));
            assert_eq!(set.is_some(), bond.is_empty(), "{head}");
            if let Some(set) = set {
                bond = format!("Cookie: evenkeel={}\r\n", set.split(';').next().unwrap());
            }
        }
    });
}

#[test]
fn an_upgrade_becomes_a_tunnel_after_101() {
    run(async {
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                let seen = peer.request().await.unwrap();
                assert_eq!(seen.field("upgrade").as_deref(), Some("websocket"));
                peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhi!")
                    .await;
                let mut buffer = [0; 64];
                loop {
                    let count = tokio::io::AsyncReadExt::read(&mut peer.stream, &mut buffer).await.unwrap();
                    if count == 0 {
                        break;
                    }
                    peer.send(&buffer[..count]).await;
                }
                peer.send("bye").await;
            })
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        client
            .send(
                "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
            )
            .await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        client.send("echo me").await;
        // Half-close: our end of sending is the server's end of reading, and its last word still comes.
        tokio::io::AsyncWriteExt::shutdown(&mut client.stream).await.unwrap();
        assert_eq!(client.rest().await, b"hi!echo mebye");
        assert_eq!(rig.shared.totals().tunnels, 1);
        let line = rig.lines(1).await.remove(0);
        assert!(line.contains("\"status\":101") && line.contains("\"end\":\"ok\""), "{line}");
    });
}

#[test]
fn a_tunnel_that_breaks_ends_with_the_word_of_the_side_that_broke() {
    run(async {
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                peer.head().await.unwrap();
                peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
                    .await;
                let mut byte = [0; 1];
                if matches!(tokio::io::AsyncReadExt::read(&mut peer.stream, &mut byte).await, Ok(1)) {
                    peer.stream.set_zero_linger().unwrap();
                }
            })
        })
        .await;
        let mut rig = Rig::start(config(pool(&[&origin]))).await;
        for (end, is_servers) in [("server-abort", true), ("client-abort", false)] {
            let mut client = Client::connect(&rig).await;
            client
                .send(
                    "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                )
                .await;
            assert!(client.head().await.starts_with("HTTP/1.1 101 "));
            if is_servers {
                client.send("x").await;
                assert_eq!(client.rest().await, b"");
            } else {
                client.stream.set_zero_linger().unwrap();
                drop(client);
            }
            let line = rig.lines(1).await.remove(0);
            assert!(line.contains(&format!("\"end\":\"{end}\"")), "{line}");
        }
        assert!(rig.reports.try_recv().is_err());
    });
}

#[test]
fn what_follows_a_refused_upgrade_is_an_ordinary_request() {
    run(async {
        let origin = Origin::answering(|seen| ok(seen.line())).await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        client
            .send(
                "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n\
                 GET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
            )
            .await;
        assert_eq!(client.answer().await.text(), "GET /chat HTTP/1.1");
        assert_eq!(client.answer().await.text(), "GET /admin HTTP/1.1");
    });
}

#[test]
fn switching_protocols_unasked_is_502() {
    run(async {
        let origin = Origin::answering(|_| {
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n".to_vec()
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        assert_eq!(Client::connect(&rig).await.get("/").await.status(), 502);
    });
}

#[test]
fn an_early_answer_comes_through_while_the_body_is_still_sent() {
    run(async {
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                peer.head().await;
                peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig").await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            })
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n").await;
        client.send(pattern(1000)).await;
        let answer = client.answer().await;
        assert_eq!((answer.status(), answer.text()), (413, "big"));
        assert_eq!(answer.field("connection").as_deref(), Some("close"));
        assert!(client.is_closed().await);
    });
}

#[test]
fn a_client_that_ends_its_sending_still_gets_its_answer() {
    run(async {
        let origin = Origin::saying("late").await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        tokio::io::AsyncWriteExt::shutdown(&mut client.stream).await.unwrap();
        assert_eq!(client.answer().await.text(), "late");
    });
}

#[test]
fn a_body_is_streamed_as_it_comes() {
    run(async {
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                peer.request().await;
                peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
                    .await;
                peer.send("5\r\nfirst\r\n").await;
                // The second part comes only once the client has the first.
                peer.head().await;
            })
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        // Head and part come together, or one after the other.
        let mut got = Vec::new();
        while !got.ends_with(b"\r\n\r\n5\r\nfirst\r\n") {
            let count = tokio::io::AsyncReadExt::read_buf(&mut client.stream, &mut got).await.unwrap();
            assert!(count > 0, "{}", String::from_utf8_lossy(&got));
        }
    });
}

#[test]
fn memory_stays_at_one_buffer_when_the_client_does_not_read() {
    run(async {
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                peer.request().await;
                let head = "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n";
                peer.send(head).await;
                let sent = std::cell::Cell::new(0u64);
                let block = vec![b'x'; 65_536];
                let pushing = async {
                    loop {
                        tokio::io::AsyncWriteExt::write_all(&mut peer.stream, &block).await.unwrap();
                        sent.set(sent.get() + 65_536);
                    }
                };
                let _ = tokio::time::timeout(Duration::from_millis(300), pushing).await;
                // What the kernel's buffers take on both sides, and no more.
                assert!(sent.get() < 50_000_000, "{} bytes were taken", sent.get());
            })
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        tokio::time::sleep(Duration::from_millis(400)).await;
    });
}

#[test]
fn an_answer_without_length_is_put_into_chunks_as_it_comes() {
    run(async {
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                peer.request().await;
                peer.send("HTTP/1.1 200 OK\r\n\r\n").await;
                for length in [1, 20_000, 70_000] {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    peer.send(pattern(length)).await;
                }
            })
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.0\r\n\r\n").await;
        let wanted = [pattern(1), pattern(20_000), pattern(70_000)].concat();
        let chunked = client.answer().await.body;
        let mut decoder = evenkeel_http::BodyDecoder::new(evenkeel_http::Framing::Chunked);
        let (mut at, mut body) = (0, Vec::new());
        loop {
            let run = decoder.run(&chunked[at..], evenkeel_http::Keep::Data).unwrap();
            body.extend_from_slice(&chunked[at..][run.forward.clone()]);
            at += run.consumed;
            if run.state == evenkeel_http::RunState::End {
                break;
            }
        }
        assert!(body == wanted, "{} bytes", body.len());
        assert!(client.answer().await.body == wanted);
    });
}
