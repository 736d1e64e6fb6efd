//! HTTP/2 clients by prior knowledge: streams, bodies both ways, trailers, tunnels, ends.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::rig::{Client, Origin, Rig, config, field, ok, pool, run};
use evenkeel_model::ListenerName;

/// A client with one connection.
pub(super) struct Http2 {
    pub(super) requests: SendRequest<Bytes>,
    pub(super) over: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl Http2 {
    pub(super) async fn connect(rig: &Rig) -> Self {
        Self::over(TcpStream::connect(rig.addr).await.unwrap()).await
    }

    /// A client on a connection that stands.
    pub(super) async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + 'static) -> Self {
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(64 * 1024);
        let (requests, connection) = builder.handshake(stream).await.unwrap();
        Self { requests, over: tokio::task::spawn_local(connection) }
    }

    pub(super) async fn send(&mut self, request: Request<()>, is_end: bool) -> (Answering, SendStream<Bytes>) {
        let mut ready = self.requests.clone().ready().await.unwrap();
        let (response, stream) = ready.send_request(request, is_end).unwrap();
        (Answering(response), stream)
    }

    pub(super) async fn get(&mut self, path: &str) -> Got {
        self.send(request("GET", path), true).await.0.whole().await.unwrap()
    }
}

/// An answer that is awaited.
pub(super) struct Answering(h2::client::ResponseFuture);

/// An answer, whole.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) status: u16,
    pub(super) fields: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Option<HeaderMap>,
}

impl Answering {
    pub(super) async fn head(self) -> Result<Response<RecvStream>, h2::Error> {
        self.0.await
    }

    pub(super) async fn whole(self) -> Result<Got, h2::Error> {
        let (head, mut recv) = self.0.await?.into_parts();
        let mut body = Vec::new();
        while let Some(bytes) = recv.data().await {
            let bytes = bytes?;
            recv.flow_control().release_capacity(bytes.len()).unwrap();
            body.extend_from_slice(&bytes);
        }
        let trailers = recv.trailers().await?;
        Ok(Got { status: head.status.as_u16(), fields: head.headers, body, trailers })
    }
}

pub(super) fn request(method: &str, path: &str) -> Request<()> {
    let uri = format!("http://a.example{path}");
    Request::builder().method(method).uri(uri).body(()).unwrap()
}

/// A wish for a WebSocket (RFC 8441).
fn websocket(path: &str) -> Request<()> {
    let mut asked = request("CONNECT", path);
    asked.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
    asked
}

/// Sends all of it, as the peer has room.
pub(super) async fn send_all(stream: &mut SendStream<Bytes>, mut bytes: Bytes, is_end: bool) {
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len());
        let room = match stream.capacity() {
            0 => poll_fn(|cx| stream.poll_capacity(cx)).await.unwrap().unwrap(),
            room => room,
        };
        let part = bytes.split_to(room.min(bytes.len()));
        stream.send_data(part, is_end && bytes.is_empty()).unwrap();
    }
}

#[test]
fn streams_of_one_connection_are_requests_like_any_other() {
    run(async {
        let origin = Origin::answering(|seen| ok(seen.line())).await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Http2::connect(&rig).await;
        let mut answers = Vec::new();
        for number in 0..20 {
            answers.push(client.send(request("GET", &format!("/{number}?x")), true).await.0);
        }
        for (number, answer) in answers.into_iter().enumerate() {
            let got = answer.whole().await.unwrap();
            assert_eq!((got.status, got.body), (200, format!("GET /{number}?x HTTP/1.1").into_bytes()));
            assert_eq!(got.fields["content-length"], (16 + number.to_string().len()).to_string().as_str());
            assert!(got.fields.get("connection").is_none() && got.trailers.is_none());
        }
        assert_eq!(rig.shared.totals().accepted, 1);
        let seen = origin.seen().remove(3);
        assert_eq!(seen.field("host").as_deref(), Some("a.example"));
        assert_eq!(seen.field("x-forwarded-proto").as_deref(), Some("http"));
        assert!(seen.field("x-forwarded-for").is_some());
        let lines = rig.lines(20).await;
        assert!(lines.iter().all(|line| line.contains("\"protocol\":\"HTTP/2.0\"")), "{}", lines[0]);
    });
}

#[test]
fn a_connection_that_begins_in_pieces_is_understood_and_one_that_only_looks_so_is_not() {
    run(async {
        let origin = Origin::saying("x").await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Client::connect(&rig).await;
        for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" {
            client.send([*byte]).await;
            tokio::task::yield_now().await;
        }
        client.send([0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
        // Its SETTINGS come first.
        let mut first = [0; 9];
        tokio::io::AsyncReadExt::read_exact(&mut client.stream, &mut first).await.unwrap();
        assert_eq!(first[3], 4);
        let mut other = Client::connect(&rig).await;
        other.send("P").await;
        tokio::task::yield_now().await;
        other.send("OST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(other.answer().await.status(), 200);
        let mut false_start = Client::connect(&rig).await;
        false_start.send("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").await;
        assert_eq!(false_start.answer().await.status(), 505);
    });
}

#[test]
fn a_host_may_be_named_by_its_field_alone() {
    run(async {
        let origin = Origin::answering(|seen| ok(&seen.field("host").unwrap_or_default())).await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        // `:method GET`, `:scheme http` or `https`, `:path /`, each by its place in the static table; and `host`, or none.
        let host = [&[0x66, 6][..], b"a.test"].concat();
        for (scheme, host, status) in [(0x86, &host[..], 0x88), (0x87, &host, 0x88), (0x86, b"", 0x8c)] {
            let mut stream = TcpStream::connect(rig.addr).await.unwrap();
            let block = [&[0x82, scheme, 0x84][..], host].concat();
            let head = [&[0, 0, block.len() as u8, 1, 5, 0, 0, 0, 1][..], &block].concat();
            let said = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0], &head].concat();
            stream.write_all(&said).await.unwrap();
            loop {
                let mut front = [0; 9];
                tokio::io::AsyncReadExt::read_exact(&mut stream, &mut front).await.unwrap();
                let [a, b, c, kind, ..] = front;
                let mut rest = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
                tokio::io::AsyncReadExt::read_exact(&mut stream, &mut rest).await.unwrap();
                assert!(matches!(kind, 1 | 4 | 8), "{front:?}");
                if kind == 1 {
                    // The table may be told to be smaller first.
                    let first = rest.iter().find(|byte| **byte & 0xe0 != 0x20);
                    assert_eq!(first, Some(&status), "{scheme:x}");
                    break;
                }
            }
        }
        assert!(origin.seen().iter().all(|seen| seen.field("host").as_deref() == Some("a.test")));
        assert_eq!(origin.count(), 2);
    });
}

#[test]
fn bodies_and_trailers_pass_both_ways() {
    run(async {
        let origin = Origin::answering(|seen| {
            let length = seen.body.len();
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Length: {length}\r\n\r\n"
            )
            .into_bytes()
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Http2::connect(&rig).await;
        let (answer, mut stream) = client.send(request("POST", "/"), false).await;
        send_all(&mut stream, Bytes::from_static(b"one"), false).await;
        send_all(&mut stream, Bytes::from_static(b"two"), false).await;
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "6".parse().unwrap());
        trailers.insert("content-length", "1".parse().unwrap());
        stream.send_trailers(trailers).unwrap();
        let got = answer.whole().await.unwrap();
        assert_eq!(got.body, b"hello");
        let seen = origin.seen().remove(0);
        assert_eq!(seen.field("transfer-encoding").as_deref(), Some("chunked"));
        assert_eq!(String::from_utf8(seen.body).unwrap(), "onetwox-sum: 6\r\n");
        assert_eq!(got.trailers.unwrap()["x-length"], "16");
    });
}

#[test]
fn large_bodies_keep_to_the_windows_and_come_whole() {
    run(async {
        let origin = Origin::answering(|seen| {
            let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", seen.body.len()).into_bytes();
            answer.extend_from_slice(&seen.body);
            answer
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Http2::connect(&rig).await;
        let body: Vec<u8> = (0..3_000_000u32).map(|at| ((at * 7) >> 3) as u8).collect();
        for with_length in [true, false] {
            let mut asked = request("POST", "/");
            if with_length {
                asked.headers_mut().insert("content-length", body.len().into());
            }
            let (answer, mut stream) = client.send(asked, false).await;
            send_all(&mut stream, Bytes::from(body.clone()), true).await;
            let got = answer.whole().await.unwrap();
            assert!(got.body == body, "{} bytes came", got.body.len());
        }
    });
}

#[test]
fn an_answer_may_flow_while_the_request_still_comes() {
    run(async {
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                peer.head().await.unwrap();
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
                loop {
                    let mut buffer = [0; 4096];
                    match tokio::io::AsyncReadExt::read(&mut peer.stream, &mut buffer).await {
                        Ok(count) if count > 0 => {
                            // The chunks come back as they came, the last one included.
                            peer.send(&buffer[..count]).await;
                        }
                        _ => return,
                    }
                }
            })
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Http2::connect(&rig).await;
        let (answer, mut stream) = client.send(request("POST", "/"), false).await;
        let mut recv = answer.head().await.unwrap().into_body();
        for word in ["ping", "pong", "and again"] {
            send_all(&mut stream, Bytes::from(word), false).await;
            let mut back = Vec::new();
            while back.len() < word.len() {
                back.extend_from_slice(&recv.data().await.unwrap().unwrap());
            }
            assert_eq!(back, word.as_bytes());
        }
        stream.send_data(Bytes::new(), true).unwrap();
        assert!(recv.data().await.is_none_or(|last| last.unwrap().is_empty()));
    });
}

#[test]
fn a_stream_that_its_client_gives_up_gives_its_server_up() {
    run(async {
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                peer.request().await.unwrap();
                // Never an answer; the end of the connection is what the test waits for.
                while peer.head().await.is_some() {}
                peer.send("gone").await;
            })
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Http2::connect(&rig).await;
        let (_answer, mut stream) = client.send(request("GET", "/"), true).await;
        rig.until(|_| origin.count() == 1).await;
        assert_eq!(rig.shared.server_stats(&Rig::id("a")).unwrap().in_flight, 1);
        stream.send_reset(Reason::CANCEL);
        rig.until(|rig| rig.shared.server_stats(&Rig::id("a")).unwrap().in_flight == 0).await;
        let line = rig.lines(1).await.remove(0);
        assert!(line.contains("\"end\":\"client-abort\""), "{line}");
        assert_eq!(rig.shared.server_stats(&Rig::id("a")).unwrap().failures, 0);
    });
}

#[test]
fn an_answer_without_its_end_never_looks_whole() {
    run(async {
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                let seen = peer.request().await.unwrap();
                let framing =
                    if seen.line().contains("chunks") { "Transfer-Encoding: chunked" } else { "Content-Length: 100" };
                peer.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n5\r\nhello\r\n")).await;
            })
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Http2::connect(&rig).await;
        for path in ["/chunks", "/length"] {
            let error = client.send(request("GET", path), true).await.0.whole().await.unwrap_err();
            assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR), "{path}");
        }
        // The connection carries on.
        assert!(!client.over.is_finished());
    });
}

#[test]
fn a_body_that_is_not_as_long_as_it_says_reaches_no_server_whole() {
    run(async {
        let origin = Origin::saying("x").await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Http2::connect(&rig).await;
        let mut asked = request("POST", "/");
        asked.headers_mut().insert("content-length", 10.into());
        let (answer, mut stream) = client.send(asked, false).await;
        send_all(&mut stream, Bytes::from_static(b"short"), true).await;
        let error = answer.whole().await.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::PROTOCOL_ERROR));
        assert_eq!(origin.count(), 0, "no whole request came");
        assert_eq!(client.get("/").await.status, 200);
    });
}

#[test]
fn a_websocket_over_a_stream_is_a_tunnel_to_the_server() {
    run(async {
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                let head = peer.head().await.unwrap();
                if head.starts_with("GET /no ") {
                    return peer.send(ok("not here")).await;
                }
                let key = field(&head, "sec-websocket-key").unwrap();
                let proof = evenkeel_http::http2::websocket::proof(key.as_bytes());
                let proof = if head.starts_with("GET /false ") { b"AAAA".to_vec() } else { proof };
                let proof = String::from_utf8(proof).unwrap();
                peer.send(format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {proof}\r\n\r\nhello")).await;
                let mut buffer = [0; 4096];
                while let Ok(count) = tokio::io::AsyncReadExt::read(&mut peer.stream, &mut buffer).await {
                    if count == 0 {
                        return peer.send("bye").await;
                    }
                    peer.send(&buffer[..count]).await;
                }
            })
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Http2::connect(&rig).await;
        // Whether extended CONNECT is allowed is said in the first SETTINGS.
        assert_eq!(client.get("/no").await.status, 200);
        let (answer, mut stream) = client.send(websocket("/chat"), false).await;
        let response = answer.head().await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(
            response.headers().get("sec-websocket-accept").is_none() && response.headers().get("upgrade").is_none()
        );
        let mut recv = response.into_body();
        assert_eq!(&recv.data().await.unwrap().unwrap()[..], b"hello");
        stream.send_data(Bytes::from_static(b"ping"), false).unwrap();
        assert_eq!(&recv.data().await.unwrap().unwrap()[..], b"ping");
        stream.send_data(Bytes::new(), true).unwrap();
        assert_eq!(&recv.data().await.unwrap().unwrap()[..], b"bye");
        assert!(recv.data().await.is_none_or(|last| last.unwrap().is_empty()));
        // What is no agreement over HTTP/1.1 must not look like one.
        for path in ["/no", "/false"] {
            assert_eq!(client.send(websocket(path), false).await.0.head().await.unwrap().status(), 502, "{path}");
        }
    });
}

#[test]
fn a_websocket_that_is_no_agreement_lets_its_server_go() {
    const FALSE: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: AAAA\r\n\r\n";
    run(async {
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                while let Some(head) = peer.head().await {
                    match head.split(' ').nth(1) {
                        Some("/false") => peer.send(FALSE).await,
                        Some("/page") => peer.send(ok(&"x".repeat(4_000_000))).await,
                        _ => peer.send(ok("x")).await,
                    }
                }
            })
        })
        .await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].timeouts.send = Duration::from_secs(3600);
        let rig = Rig::start(config).await;
        let mut client = Http2::connect(&rig).await;
        // Whether extended CONNECT is allowed is said in the first SETTINGS, which come with the first answer.
        assert_eq!(client.get("/").await.status, 200);
        for path in ["/false", "/page"] {
            let (answer, _stream) = client.send(websocket(path), false).await;
            assert_eq!(answer.head().await.unwrap().status(), 502, "{path}");
            rig.until(|rig| rig.shared.server_stats(&Rig::id("a")).unwrap().in_flight == 0).await;
        }
    });
}

#[test]
fn a_drain_tells_the_client_and_lets_its_streams_finish() {
    run(async {
        let (origin, told) = Origin::waiting("late").await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Http2::connect(&rig).await;
        let answer = client.send(request("GET", "/"), true).await.0;
        rig.until(|_| origin.count() == 1).await;
        let mut drained = rig.drain(Duration::from_secs(20)).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(drained.try_recv().is_err(), "a stream is under way");
        told.notify_one();
        assert_eq!(answer.whole().await.unwrap().body, b"late");
        assert_eq!(drained.await.unwrap().cut, 0);
        // The end was announced: no error.
        client.over.await.unwrap().unwrap();
    });
}

#[test]
fn a_drain_waits_for_no_body_whose_answer_is_out() {
    run(async {
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                peer.head().await.unwrap();
                peer.send(ok("early")).await;
                while peer.head().await.is_some() {}
            })
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Http2::connect(&rig).await;
        let (answer, mut body) = client.send(request("POST", "/"), false).await;
        assert_eq!(answer.whole().await.unwrap().body, b"early");
        // What still comes is taken, as the client may look at the answer only behind it.
        send_all(&mut body, Bytes::from(vec![0; 1 << 20]), false).await;
        let drained = rig.drain(Duration::from_secs(20)).await;
        assert_eq!(drained.await.unwrap().cut, 0);
        client.over.await.unwrap().unwrap();
    });
}

#[test]
fn a_drain_whose_deadline_passes_cuts_what_still_stands() {
    run(async {
        let origin =
            Origin::scripted(|mut peer| Box::pin(async move { while peer.request().await.is_some() {} })).await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Http2::connect(&rig).await;
        let answer = client.send(request("GET", "/"), true).await.0;
        rig.until(|_| origin.count() == 1).await;
        let drained = rig.drain(Duration::from_millis(100)).await;
        assert_eq!(drained.await.unwrap().cut, 1);
        assert!(answer.whole().await.is_err());
    });
}

#[test]
fn a_reload_without_the_listener_ends_its_connections_softly() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Http2::connect(&rig).await;
        assert_eq!(client.get("/").await.status, 200);
        rig.reload().await;
        assert_eq!(client.get("/").await.status, 200, "a reload that keeps the listener keeps its connections");
        let listener = rig.config.listeners.remove(0);
        let name: ListenerName = listener.name.clone();
        rig.apply(Vec::new(), vec![name]).await;
        client.over.await.unwrap().unwrap();
    });
}

#[test]
fn a_connection_that_is_worn_is_replaced_without_a_lost_request() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].limits.requests = 5;
        let rig = Rig::start(config).await;
        let mut served = 0;
        for _ in 0..4 {
            let client = Http2::connect(&rig).await;
            while let Ok(mut ready) = client.requests.clone().ready().await {
                match ready.send_request(request("GET", "/"), true) {
                    Ok((answer, _)) => match Answering(answer).whole().await {
                        Ok(got) => {
                            assert_eq!(got.status, 200);
                            served += 1;
                        }
                        // One that was not taken any more may be sent again (RFC 9113 section 8.7).
                        Err(error) => {
                            assert!(error.is_go_away() && error.reason() == Some(Reason::NO_ERROR), "{error:?}");
                            break;
                        }
                    },
                    Err(_) => break,
                }
            }
            client.over.abort();
        }
        assert!(served >= 20, "{served}");
    });
}

#[test]
fn a_silent_connection_is_told_to_go_and_goes() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].timeouts.idle = Duration::from_millis(100);
        let rig = Rig::start(config).await;
        let mut client = Http2::connect(&rig).await;
        assert_eq!(client.get("/").await.status, 200);
        client.over.await.unwrap().unwrap();
        rig.until(|rig| rig.shared.connections() == 0).await;
        // One that does not even answer the PING of the farewell goes, too.
        let mut mute = TcpStream::connect(rig.addr).await.unwrap();
        mute.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        rig.until(|rig| rig.shared.connections() == 1).await;
        rig.until(|rig| rig.shared.connections() == 0).await;
    });
}
