//! Servers that speak HTTP/2: streams over few connections, and what servers refuse, break and leave unsaid.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use evenkeel_model::config::{Config, Pool, ServerProtocol};
use evenkeel_model::{PoolName, caps};
use evenkeel_net::tls::{self, Acceptor};
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::http2::{Http2, request};
use super::rig::{Client, Rig, config, run, server};

pub(super) type Call = (Request<RecvStream>, SendResponse<Bytes>);
pub(super) type Served = Pin<Box<dyn Future<Output = ()>>>;

/// A server with a script for each stream.
pub(super) struct Streams {
    pub(super) addr: SocketAddr,
    pub(super) connections: Rc<Cell<usize>>,
    /// Those that are open.
    pub(super) open: Rc<Cell<usize>>,
    pub(super) calls: Rc<Cell<usize>>,
    /// Has every connection told that it takes no further calls.
    pub(super) leave: Rc<Notify>,
    /// How long its first words on a connection take.
    pub(super) delay: Rc<Cell<Duration>>,
}

impl Streams {
    pub(super) async fn serving(script: impl Fn(usize, Call) -> Served + 'static) -> Self {
        Self::with(h2::server::Builder::new(), script).await
    }

    pub(super) async fn with(settings: h2::server::Builder, script: impl Fn(usize, Call) -> Served + 'static) -> Self {
        Self::over(None, settings, script).await
    }

    /// The same over TLS, where there is an acceptor.
    pub(super) async fn over(
        acceptor: Option<Arc<Acceptor>>,
        settings: h2::server::Builder,
        script: impl Fn(usize, Call) -> Served + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (connections, calls) = (Rc::<Cell<usize>>::default(), Rc::<Cell<usize>>::default());
        let (counted, called, script) = (Rc::clone(&connections), Rc::clone(&calls), Rc::new(script));
        let (leave, open) = (Rc::<Notify>::default(), Rc::<Cell<usize>>::default());
        let (told, entered) = (Rc::clone(&leave), Rc::clone(&open));
        let delay = Rc::<Cell<Duration>>::default();
        let delayed = Rc::clone(&delay);
        tokio::task::spawn_local(async move {
            while let Ok(mut stream) = evenkeel_net::stream::accept(&listener).await {
                counted.set(counted.get() + 1);
                if let Some(acceptor) = &acceptor {
                    stream = tls::accept(stream, acceptor).await.unwrap();
                }
                let (settings, called, script) = (settings.clone(), Rc::clone(&called), Rc::clone(&script));
                let (told, entered, delay) = (Rc::clone(&told), Rc::clone(&entered), delayed.get());
                entered.set(entered.get() + 1);
                tokio::task::spawn_local(async move {
                    tokio::time::sleep(delay).await;
                    let Ok(mut frames) = settings.handshake::<_, Bytes>(stream).await else { return };
                    let mut leaves = pin!(told.notified());
                    let mut is_leaving = false;
                    let mut next = |cx: &mut Context<'_>| {
                        if !is_leaving && leaves.as_mut().poll(cx).is_ready() {
                            is_leaving = true;
                            frames.graceful_shutdown();
                        }
                        frames.poll_accept(cx)
                    };
                    while let Some(Ok(call)) = poll_fn(&mut next).await {
                        called.set(called.get() + 1);
                        tokio::task::spawn_local(script(called.get(), call));
                    }
                    entered.set(entered.get() - 1);
                });
            }
        });
        Self { addr, connections, open, calls, leave, delay }
    }

    /// A server that sends bodies and trailers back.
    pub(super) async fn echo() -> Self {
        Self::serving(|_, (request, mut respond)| {
            Box::pin(async move {
                let (head, mut body) = request.into_parts();
                let mut response = Response::new(());
                let line = format!("{} {}", head.method, head.uri);
                response.headers_mut().insert("x-line", line.parse().unwrap());
                if let Some(te) = head.headers.get("te") {
                    response.headers_mut().insert("x-te", te.clone());
                }
                let takes_trailers = head.headers.contains_key("te");
                let Ok(mut send) = respond.send_response(response, false) else { return };
                while let Some(Ok(bytes)) = body.data().await {
                    let _ = body.flow_control().release_capacity(bytes.len());
                    let _ = send.send_data(bytes, false);
                }
                if !takes_trailers {
                    let _ = send.send_data(Bytes::new(), true);
                    return;
                }
                let trailers = body.trailers().await.ok().flatten().unwrap_or_else(|| {
                    let mut none = HeaderMap::new();
                    none.insert("x-none", "1".parse().unwrap());
                    none
                });
                let _ = send.send_trailers(trailers);
            })
        })
        .await
    }
}

pub(super) fn ok(text: &'static str, respond: &mut SendResponse<Bytes>) {
    if let Ok(mut send) = respond.send_response(Response::new(()), false) {
        let _ = send.send_data(Bytes::from_static(text.as_bytes()), true);
    }
}

pub(super) fn shop(servers: &[SocketAddr]) -> Config {
    let servers = servers.iter().zip('a'..='z').map(|(addr, name)| server(&name.to_string(), *addr)).collect();
    let mut pool = Pool::new(PoolName::new("shop").unwrap(), servers);
    pool.protocol = ServerProtocol::Http2;
    config(pool)
}

#[test]
fn clients_of_either_version_reach_a_server_over_one_connection() {
    run(async {
        let streams = Streams::echo().await;
        let rig = Rig::start(shop(&[streams.addr])).await;
        let mut old = Client::connect(&rig).await;
        let answer = old.get("/a|b<c>?x").await;
        assert_eq!(answer.status(), 200);
        let line = answer.field("x-line").unwrap();
        assert_eq!(line, "GET http://a.example/a|b%3Cc%3E?x");
        // Every byte that a target of HTTP/1.1 may have can be said.
        let odd: String = ('!'..='~').filter(|it| !matches!(it, '#' | '?' | '%' | '\\')).collect();
        let answer = old.get(&format!("/{odd}?{odd}")).await;
        let escaped = odd.replace('<', "%3C").replace('>', "%3E").replace('`', "%60").replace('"', "%22");
        let line = answer.field("x-line").unwrap();
        assert_eq!(line, format!("GET http://a.example/{escaped}?{escaped}"));
        let answer = old.post("hello").await;
        assert_eq!(answer.text(), "5\r\nhello\r\n0\r\n\r\n");
        old.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(old.head().await.starts_with("HTTP/1.1 200 "));
        let mut new = Http2::connect(&rig).await;
        let mut answers = Vec::new();
        for _ in 0..20 {
            answers.push(new.send(request("GET", "/x"), true).await.0);
        }
        for answer in answers {
            assert_eq!(answer.whole().await.unwrap().status, 200);
        }
        assert_eq!((streams.connections.get(), streams.calls.get()), (1, 24));
        let stats = rig.shared.server_stats(&Rig::id("a")).unwrap();
        assert_eq!((stats.connects, stats.reused, stats.in_flight), (1, 23, 0));
    });
}

#[test]
fn bodies_and_trailers_pass_from_stream_to_stream() {
    run(async {
        let streams = Streams::echo().await;
        let rig = Rig::start(shop(&[streams.addr])).await;
        let mut client = Http2::connect(&rig).await;
        let mut asked = request("POST", "/");
        asked.headers_mut().insert("te", "trailers".parse().unwrap());
        let (answer, mut send) = client.send(asked, false).await;
        let body: Vec<u8> = (0..400_000u32).map(|at| ((at * 7) >> 3) as u8).collect();
        for piece in body.chunks(10_000) {
            super::http2::send_all(&mut send, Bytes::copy_from_slice(piece), false).await;
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        send.send_trailers(trailers).unwrap();
        let got = answer.whole().await.unwrap();
        assert!(got.body == body, "{} bytes came", got.body.len());
        assert_eq!(got.trailers.unwrap()["grpc-status"], "0");
        assert_eq!(got.fields["x-te"], "trailers");
    });
}

#[test]
fn a_connection_that_nobody_used_for_long_is_closed() {
    run(async {
        let streams = Streams::serving(|_, (_, mut respond)| Box::pin(async move { ok("fine", &mut respond) })).await;
        let mut config = shop(&[streams.addr]);
        config.pools[0].timeouts.keep = Duration::from_millis(50);
        let rig = Rig::start(config).await;
        let mut client = Client::connect(&rig).await;
        for number in 1..=2 {
            assert_eq!(client.get("/").await.status(), 200);
            assert_eq!(streams.connections.get(), number);
            rig.until(|_| streams.open.get() == 0).await;
        }
    });
}

#[test]
fn what_a_server_refuses_unseen_goes_to_another_whatever_the_method() {
    run(async {
        let refusing =
            Streams::serving(|_, (_, mut respond)| Box::pin(async move { respond.send_reset(Reason::REFUSED_STREAM) }))
                .await;
        let taking = Streams::serving(|_, (_, mut respond)| Box::pin(async move { ok("taken", &mut respond) })).await;
        let mut config = shop(&[refusing.addr, taking.addr]);
        config.pools[0].retry.attempts = 1;
        let rig = Rig::start(config).await;
        let mut client = Client::connect(&rig).await;
        for _ in 0..4 {
            let answer = client.post("once").await;
            assert_eq!((answer.status(), answer.text()), (200, "5\r\ntaken\r\n0\r\n\r\n"));
        }
        assert!(refusing.calls.get() >= 1);
        assert_eq!(taking.calls.get(), 4);
        assert_eq!(rig.shared.server_stats(&Rig::id("a")).unwrap().failures, 0, "it said so, which is no failure");
    });
}

/// A server that takes `most` streams of each connection, says so once all requests stand there that it has not answered,
/// and answers those: as nginx does past its `keepalive_requests`. On how many connections it did so, for how many requests.
async fn leaving(most: usize, all: usize) -> (SocketAddr, Rc<Cell<usize>>, Rc<Cell<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (connections, taken) = (Rc::<Cell<usize>>::default(), Rc::<Cell<usize>>::default());
    let counted = (Rc::clone(&connections), Rc::clone(&taken));
    tokio::task::spawn_local(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.set(connections.get() + 1);
            let taken = Rc::clone(&taken);
            tokio::task::spawn_local(async move {
                let awaited = all - taken.get();
                let mut asked = Vec::new();
                stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
                stream.read_exact(&mut [0; 24]).await.unwrap();
                while asked.len() < awaited {
                    let mut front = [0; 9];
                    stream.read_exact(&mut front).await.unwrap();
                    let [a, b, c, kind, .., d, e, f, g] = front;
                    let mut rest = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
                    stream.read_exact(&mut rest).await.unwrap();
                    if kind == 1 {
                        asked.push([d, e, f, g]);
                    }
                }
                asked.truncate(most);
                taken.set(taken.get() + asked.len());
                let [a, b, c, d] = *asked.last().unwrap();
                stream.write_all(&[0, 0, 8, 7, 0, 0, 0, 0, 0, a, b, c, d, 0, 0, 0, 0]).await.unwrap();
                for [a, b, c, d] in asked {
                    // `:status 200` of the static table, and the stream's end.
                    stream.write_all(&[0, 0, 1, 1, 5, a, b, c, d, 0x88]).await.unwrap();
                }
                // Until the other side has ended, too.
                let _ = stream.read_to_end(&mut Vec::new()).await;
            });
        }
    });
    (addr, counted.0, counted.1)
}

#[test]
fn answers_that_a_client_does_not_take_leave_their_connection_to_others() {
    run(async {
        let streams = Streams::serving(|_, (request, mut respond)| {
            Box::pin(async move {
                if request.uri().path() != "/large" {
                    return ok("small", &mut respond);
                }
                let mut send = respond.send_response(Response::new(()), false).unwrap();
                super::http2::send_all(&mut send, Bytes::from(vec![b'x'; 1 << 20]), true).await;
            })
        })
        .await;
        let rig = Rig::start(shop(&[streams.addr])).await;
        // It has no window for any body.
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(0);
        let stream = tokio::net::TcpStream::connect(rig.addr).await.unwrap();
        let (mut requests, connection) = builder.handshake::<_, Bytes>(stream).await.unwrap();
        tokio::task::spawn_local(connection);
        let mut waiting = Vec::new();
        for _ in 0..12 {
            requests = requests.ready().await.unwrap();
            waiting.push(requests.send_request(request("GET", "/large"), true).unwrap());
        }
        let mut taken = Vec::new();
        for (answer, _) in waiting {
            taken.push(answer.await.unwrap());
        }
        // As many as are enough for the first ones to take all that there is.
        let mut other = Client::connect(&rig).await;
        for _ in 0..20 {
            assert_eq!(other.get("/").await.text(), "5\r\nsmall\r\n0\r\n\r\n");
        }
        assert_eq!(streams.connections.get(), 1);
        assert!(taken.iter().all(|answer| !answer.body().is_end_stream()));
    });
}

#[test]
fn what_a_server_left_behind_with_its_connection_goes_to_the_same_server_over_a_new_one() {
    run(async {
        let (addr, connections, taken) = leaving(4, 18).await;
        let mut config = shop(&[addr]);
        config.pools[0].retry.attempts = 1;
        let mut rig = Rig::start(config).await;
        let mut client = Http2::connect(&rig).await;
        let mut answers = Vec::new();
        for _ in 0..18 {
            answers.push(client.send(request("POST", "/"), true).await.0);
        }
        for answer in answers {
            assert_eq!(answer.whole().await.unwrap().status, 200);
        }
        assert_eq!((connections.get(), taken.get()), (5, 18), "each request was taken once");
        let stats = rig.shared.server_stats(&Rig::id("a")).unwrap();
        assert_eq!(stats.failures, 0, "a server that ends its connections in order is well");
        assert!(rig.reports.try_recv().is_err());
    });
}

#[test]
fn a_server_that_takes_no_stream_at_all_is_not_asked_for_ever() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Rc::<Cell<usize>>::default();
        let counted = Rc::clone(&connections);
        tokio::task::spawn_local(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.set(counted.get() + 1);
                tokio::task::spawn_local(async move {
                    let mut said = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
                    said.extend([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
                    stream.write_all(&said).await.unwrap();
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                });
            }
        });
        let rig = Rig::start(shop(&[addr])).await;
        let mut client = Http2::connect(&rig).await;
        let answers = [client.send(request("GET", "/"), true).await.0, client.send(request("GET", "/"), true).await.0];
        for answer in answers {
            assert_eq!(answer.whole().await.unwrap().status, 502);
        }
        let most = 2 * (caps::HTTP2_SERVER_LEAVES as usize + 3);
        assert!(connections.get() <= most, "{} connections", connections.get());
        let line = rig.lines(2).await.remove(0);
        assert!(line.contains("\"end\":\"server-lost\""), "{line}");
    });
}

#[test]
fn a_broken_stream_is_an_answer_that_broke_and_a_broken_connection_is_replaced() {
    run(async {
        let streams = Streams::serving(|_, (request, mut respond)| {
            Box::pin(async move {
                match request.uri().path() {
                    "/cut" => {
                        let mut send = respond.send_response(Response::new(()), false).unwrap();
                        let _ = send.send_data(Bytes::from_static(b"half"), false);
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        send.send_reset(Reason::INTERNAL_ERROR);
                    }
                    "/reset" => respond.send_reset(Reason::INTERNAL_ERROR),
                    _ => ok("fine", &mut respond),
                }
            })
        })
        .await;
        let rig = Rig::start(shop(&[streams.addr])).await;
        let mut client = Http2::connect(&rig).await;
        assert_eq!(client.get("/").await.body, b"fine");
        let error = client.send(request("GET", "/cut"), true).await.0.whole().await.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
        assert_eq!(client.send(request("POST", "/reset"), true).await.0.whole().await.unwrap().status, 502);
        assert_eq!(client.get("/").await.body, b"fine");
        assert_eq!(streams.connections.get(), 1, "a stream is not the connection");
    });
}

#[test]
fn a_server_whose_streams_end_without_an_answer_is_held_for_bad() {
    run(async {
        let streams = Streams::serving(|_, (request, mut respond)| {
            Box::pin(async move {
                match request.uri().path() {
                    "/" => ok("fine", &mut respond),
                    _ => respond.send_reset(Reason::INTERNAL_ERROR),
                }
            })
        })
        .await;
        let mut config = shop(&[streams.addr]);
        config.pools[0].retry.on = Vec::new();
        let mut rig = Rig::start(config).await;
        let mut client = Client::connect(&rig).await;
        assert_eq!(client.get("/").await.status(), 200);
        for failures in 1..=3 {
            // The connection was used before and lives: what befell the stream is no race with its end.
            assert_eq!(client.get("/dies").await.status(), 502);
            let report = rig.reports.recv().await.unwrap();
            assert_eq!(report.server, Rig::id("a"));
            assert_eq!(rig.shared.server_stats(&Rig::id("a")).unwrap().failures, failures);
        }
        assert_eq!((streams.calls.get(), streams.connections.get()), (4, 1), "nobody asked for another attempt");
        assert_eq!(client.get("/").await.status(), 200);
    });
}

#[test]
fn a_server_that_is_no_http2_server_is_malformed_and_one_that_is_gone_refuses() {
    run(async {
        let origin = super::rig::Origin::scripted(|mut peer| {
            Box::pin(async move {
                peer.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
                while peer.head().await.is_some() {}
            })
        })
        .await;
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        for addr in [origin.addr, closed] {
            let rig = Rig::start(shop(&[addr])).await;
            let mut client = Client::connect(&rig).await;
            assert_eq!(client.get("/").await.status(), 502);
        }
    });
}

#[test]
fn a_client_that_leaves_ends_its_stream_alone() {
    run(async {
        let gone = Rc::new(Cell::new(0));
        let seen = Rc::clone(&gone);
        let streams = Streams::serving(move |_, (request, mut respond)| {
            let seen = Rc::clone(&seen);
            Box::pin(async move {
                if request.uri().path() == "/wait" {
                    let _ = poll_fn(|cx| respond.poll_reset(cx)).await;
                    return seen.set(seen.get() + 1);
                }
                ok("fine", &mut respond);
            })
        })
        .await;
        let rig = Rig::start(shop(&[streams.addr])).await;
        let mut other = Client::connect(&rig).await;
        assert_eq!(other.get("/").await.status(), 200);
        let mut leaving = Client::connect(&rig).await;
        leaving.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await;
        rig.until(|_| streams.calls.get() == 2).await;
        leaving.stream.set_zero_linger().unwrap();
        drop(leaving);
        rig.until(|_| gone.get() == 1).await;
        assert_eq!(other.get("/").await.status(), 200);
        assert_eq!(streams.connections.get(), 1);
    });
}

#[test]
fn a_connection_that_has_fallen_dumb_gets_no_further_requests() {
    run(async {
        let streams = Streams::serving(|number, (_, mut respond)| {
            Box::pin(async move {
                if number == 2 {
                    // The first connection says nothing any more.
                    return std::future::pending().await;
                }
                ok("fine", &mut respond);
            })
        })
        .await;
        let mut config = shop(&[streams.addr]);
        config.pools[0].timeouts.answer = Duration::from_millis(1200);
        config.pools[0].retry.attempts = 0;
        let rig = Rig::start(config).await;
        let mut client = Client::connect(&rig).await;
        assert_eq!(client.get("/").await.status(), 200);
        assert_eq!(client.get("/").await.status(), 504);
        assert_eq!(client.get("/").await.status(), 200);
        assert_eq!(streams.connections.get(), 2);
    });
}

#[test]
fn as_many_streams_as_the_server_allows_share_a_connection() {
    run(async {
        let mut settings = h2::server::Builder::new();
        settings.max_concurrent_streams(2);
        let told = Rc::new(Notify::new());
        let hold = Rc::clone(&told);
        let streams = Streams::with(settings, move |number, (_, mut respond)| {
            let hold = Rc::clone(&hold);
            Box::pin(async move {
                if number > 1 {
                    hold.notified().await;
                }
                ok("fine", &mut respond);
            })
        })
        .await;
        let rig = Rig::start(shop(&[streams.addr])).await;
        let mut client = Http2::connect(&rig).await;
        // The first answer brings the server's settings.
        assert_eq!(client.get("/").await.status, 200);
        let mut answers = Vec::new();
        for _ in 0..6 {
            answers.push(client.send(request("GET", "/"), true).await.0);
        }
        rig.until(|_| streams.calls.get() == 7).await;
        told.notify_waiters();
        for answer in answers {
            assert_eq!(answer.whole().await.unwrap().status, 200);
        }
        assert_eq!(streams.connections.get(), 3);
    });
}

const CHAT: &str =
    "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[test]
fn what_a_client_asks_in_vain_is_no_fault_of_the_server() {
    run(async {
        let streams = Streams::echo().await;
        let mut rig = Rig::start(shop(&[streams.addr])).await;
        // A WebSocket to a server that takes none, and one to a server that might, but without a key to prove it by.
        for key in [KEY, ""].repeat(3) {
            let mut client = Client::connect(&rig).await;
            client.send(format!("{CHAT}{key}\r\n")).await;
            assert_eq!(client.answer().await.status(), 501);
            let line = rig.lines(1).await.remove(0);
            assert!(line.contains("\"end\":\"unsupported\"") && line.contains("\"retries\":0"), "{line}");
        }
        assert_eq!(Client::connect(&rig).await.get("/").await.status(), 200);
        assert_eq!((streams.calls.get(), streams.connections.get()), (1, 1));
        assert!(rig.reports.try_recv().is_err());
        assert_eq!(rig.shared.server_stats(&Rig::id("a")).unwrap().failures, 0);
        assert_eq!(rig.shared.totals().rejected.get("http2-unsupported"), Some(&6));
    });
}

#[test]
fn a_websocket_reaches_a_server_over_http2() {
    run(async {
        let mut settings = h2::server::Builder::new();
        settings.enable_connect_protocol();
        let streams = Streams::with(settings, |_, (request, mut respond)| {
            Box::pin(async move {
                let protocol = request.extensions().get::<h2::ext::Protocol>().unwrap();
                assert_eq!((request.method().as_str(), protocol.as_str()), ("CONNECT", "websocket"));
                let mut body = request.into_body();
                let mut send = respond.send_response(Response::new(()), false).unwrap();
                while let Some(Ok(bytes)) = body.data().await {
                    let _ = body.flow_control().release_capacity(bytes.len());
                    let _ = send.send_data(bytes, false);
                }
                let _ = send.send_data(Bytes::from_static(b"bye"), true);
            })
        })
        .await;
        let rig = Rig::start(shop(&[streams.addr])).await;
        let mut client = Client::connect(&rig).await;
        // The first request of all: what the server allows is yet to come.
        client.send(format!("{CHAT}{KEY}\r\n")).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert_eq!(super::rig::field(&head, "sec-websocket-accept").as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        client.send("ping").await;
        let mut back = [0; 4];
        client.stream.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"ping");
        client.stream.shutdown().await.unwrap();
        assert_eq!(client.rest().await, b"bye");
    });
}
