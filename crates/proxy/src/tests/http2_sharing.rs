//! What requests that share connections to a server over HTTP/2 do to each other: clients that leave, and servers with no
//! room.

use std::cell::Cell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use evenkeel_model::caps;
use evenkeel_model::config::Queue;
use http::{Response, header};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::http2::{Answering, Http2, request};
use super::http2_servers::{Streams, ok, shop};
use super::rig::{Client, Rig, run};
use crate::stats::PoolStats;

/// What became of requests for `/wait`.
#[derive(Default)]
struct Fates {
    taken: Cell<u32>,
    reset: Cell<u32>,
    cut: Cell<u32>,
    told: Notify,
}

/// A server that never answers `/wait`, and `/hold` once it is told.
async fn holding(fates: &Rc<Fates>) -> Streams {
    let fates = Rc::clone(fates);
    Streams::serving(move |_, (request, mut respond)| {
        let fates = Rc::clone(&fates);
        Box::pin(async move {
            match request.uri().path() {
                "/wait" => {
                    let count = match poll_fn(|cx| respond.poll_reset(cx)).await {
                        Ok(_) => &fates.reset,
                        Err(_) => &fates.cut,
                    };
                    count.set(count.get() + 1);
                }
                "/hold" => {
                    fates.told.notified().await;
                    ok("held", &mut respond);
                }
                _ => ok("fine", &mut respond),
            }
        })
    })
    .await
}

#[test]
fn clients_that_leave_take_no_request_of_others_with_them() {
    run(async {
        let fates = Rc::<Fates>::default();
        let streams = holding(&fates).await;
        let rig = Rig::start(shop(&[streams.addr])).await;
        let mut honest = Client::connect(&rig).await;
        assert_eq!(honest.get("/").await.status(), 200);
        honest.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut leaving = Vec::new();
        for _ in 0..60 {
            let mut client = Client::connect(&rig).await;
            client.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await;
            leaving.push(client);
        }
        rig.until(|_| streams.calls.get() == 62).await;
        assert_eq!(streams.connections.get(), 1);
        let begun = Instant::now();
        for client in leaving {
            client.stream.set_zero_linger().unwrap();
        }
        // What servers bear at once is reset at once, and no more than that.
        rig.until(|_| fates.reset.get() >= caps::HTTP2_GIVEN_UP).await;
        assert_eq!(Client::connect(&rig).await.get("/").await.status(), 200);
        assert_eq!(streams.connections.get(), 2, "those who come now have another connection");
        let steps = begun.elapsed().as_millis() / caps::HTTP2_GIVEN_UP_STEP.as_millis();
        assert!(u128::from(fates.reset.get()) <= u128::from(caps::HTTP2_GIVEN_UP) + steps + 1, "{}", fates.reset.get());
        // The first one lasts until whoever stayed is answered, and no longer: its server is free of the rest, too.
        fates.told.notify_one();
        assert_eq!(honest.answer().await.text(), "4\r\nheld\r\n0\r\n\r\n");
        rig.until(|_| fates.reset.get() + fates.cut.get() == 60).await;
        rig.until(|rig| rig.shared.server_stats(&Rig::id("a")).unwrap().in_flight == 0).await;
        assert_eq!(rig.shared.server_stats(&Rig::id("a")).unwrap().failures, 0);
    });
}

#[test]
fn a_server_that_answers_before_it_has_read_a_body_keeps_its_connection() {
    run(async {
        let fates = Rc::<Fates>::default();
        let streams = holding(&fates).await;
        let rig = Rig::start(shop(&[streams.addr])).await;
        let mut slow = Client::connect(&rig).await;
        slow.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").await;
        rig.until(|_| streams.calls.get() == 1).await;
        let mut client = Http2::connect(&rig).await;
        for number in 0..150 {
            // Its server resets the stream without an error once it has answered.
            let (answer, mut body) = client.send(request("POST", "/"), false).await;
            assert_eq!(answer.whole().await.unwrap().status, 200, "request {number}");
            // It fails where the stream was ended from the other side already.
            let _ = body.send_data(Bytes::new(), true);
        }
        fates.told.notify_one();
        assert_eq!(slow.answer().await.text(), "4\r\nheld\r\n0\r\n\r\n");
        assert_eq!((streams.calls.get(), streams.connections.get()), (151, 1));
    });
}

#[test]
fn an_answer_that_is_nearly_whole_comes_to_its_end_without_its_client() {
    run(async {
        let (told, whole) = (Rc::new(Notify::new()), Rc::<Cell<u32>>::default());
        let (hold, ended) = (Rc::clone(&told), Rc::clone(&whole));
        let streams = Streams::serving(move |_, (_, mut respond)| {
            let (hold, ended) = (Rc::clone(&hold), Rc::clone(&ended));
            Box::pin(async move {
                let mut response = Response::new(());
                response.headers_mut().insert(header::CONTENT_LENGTH, 8.into());
                let mut send = respond.send_response(response, false).unwrap();
                send.send_data(Bytes::from_static(b"half"), false).unwrap();
                hold.notified().await;
                // A reset would be here by now.
                tokio::time::sleep(Duration::from_millis(100)).await;
                let is_reset = poll_fn(|cx| Poll::Ready(send.poll_reset(cx).is_ready())).await;
                if !is_reset && send.send_data(Bytes::from_static(b"half"), true).is_ok() {
                    ended.set(ended.get() + 1);
                }
            })
        })
        .await;
        let rig = Rig::start(shop(&[streams.addr])).await;
        // It is not waited for for ever, which a slow machine may take for long.
        for _ in 0..10 {
            let mut client = Client::connect(&rig).await;
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert!(client.head().await.starts_with("HTTP/1.1 200 "));
            client.stream.set_zero_linger().unwrap();
            drop(client);
            rig.until(|rig| rig.shared.server_stats(&Rig::id("a")).unwrap().in_flight == 0).await;
            told.notify_one();
            tokio::time::sleep(Duration::from_millis(200)).await;
            if whole.get() > 0 {
                return;
            }
        }
        panic!("all were reset");
    });
}

/// The status of an answer, for which the server is told to answer as often as it takes.
async fn answered(fates: &Fates, answer: Answering) -> u16 {
    let mut whole = pin!(answer.whole());
    loop {
        fates.told.notify_one();
        if let Ok(got) = tokio::time::timeout(Duration::from_millis(20), whole.as_mut()).await {
            return got.unwrap().status;
        }
    }
}

/// How many requests a server has room for that takes one at a time on each of its connections.
const ROOM: usize = caps::HTTP2_SERVER_CONNECTIONS;

/// More requests than their server has room for, on one connection of a client.
struct Crowd {
    rig: Rig,
    streams: Streams,
    fates: Rc<Fates>,
    answers: Vec<Answering>,
    /// What the requests came on.
    _client: Http2,
}

/// `ROOM` and `more` requests for a server that answers when it is told, behind a pool whose queue follows `rule`; returns
/// once it is full and the rest wait.
async fn crowd(more: usize, rule: impl FnOnce(&mut Queue)) -> Crowd {
    let mut settings = h2::server::Builder::new();
    settings.max_concurrent_streams(1);
    let fates = Rc::<Fates>::default();
    let told = Rc::clone(&fates);
    let streams = Streams::with(settings, move |_, (_, mut respond)| {
        let fates = Rc::clone(&told);
        Box::pin(async move {
            fates.told.notified().await;
            ok("fine", &mut respond);
        })
    })
    .await;
    let mut config = shop(&[streams.addr]);
    config.pools[0].timeouts.answer = Duration::from_secs(60);
    rule(&mut config.pools[0].queue);
    let rig = Rig::start(config).await;
    let mut client = Http2::connect(&rig).await;
    let mut answers = Vec::new();
    for _ in 0..ROOM + more {
        answers.push(client.send(request("POST", "/"), true).await.0);
    }
    let crowd = Crowd { rig, streams, fates, answers, _client: client };
    crowd.rig.until(|_| crowd.streams.calls.get() == ROOM && crowd.stats().queued as usize == more).await;
    crowd
}

impl Crowd {
    fn stats(&self) -> PoolStats {
        self.rig.shared.pool_stats(&Rig::id("a").pool).unwrap()
    }

    /// Has the server answer as often as it takes; each answer lets another request in.
    async fn await_answers(&mut self) {
        for answer in self.answers.drain(..) {
            assert_eq!(answered(&self.fates, answer).await, 200);
        }
    }

    fn assert_no_failure(&mut self) {
        assert_eq!(self.rig.shared.server_stats(&Rig::id("a")).unwrap().failures, 0);
        assert!(self.rig.reports.try_recv().is_err());
    }
}

#[test]
fn requests_that_find_no_room_wait_in_line_and_none_fails() {
    run(async {
        let mut crowd = crowd(20, |_| {}).await;
        assert_eq!(crowd.streams.connections.get(), ROOM, "each got what its server takes");
        crowd.await_answers().await;
        assert_eq!((crowd.streams.calls.get(), crowd.streams.connections.get()), (ROOM + 20, ROOM));
        crowd.assert_no_failure();
    });
}

#[test]
fn who_waits_hears_of_the_room_that_a_server_makes_by_leaving() {
    run(async {
        let mut crowd = crowd(3, |queue| queue.timeout = Duration::from_secs(20)).await;
        crowd.streams.leave.notify_waiters();
        crowd.rig.until(|_| crowd.streams.calls.get() == ROOM + 3 && crowd.stats().queued == 0).await;
        crowd.await_answers().await;
    });
}

#[test]
fn no_more_wait_for_room_than_may_and_no_longer_in_all() {
    run(async {
        let mut crowd = crowd(2, |queue| {
            queue.max = 2;
            queue.timeout = Duration::from_secs(2);
        })
        .await;
        assert_eq!(Client::connect(&crowd.rig).await.get("/").await.status(), 503);
        assert_eq!(crowd.stats().queue_full, 1);
        for answer in crowd.answers.split_off(ROOM) {
            assert_eq!(answer.whole().await.unwrap().status, 503);
        }
        assert_eq!((crowd.stats().queue_timeouts, crowd.stats().queued), (2, 0));
        let lines = crowd.rig.lines(3).await;
        assert_eq!(lines.iter().filter(|line| line.contains("\"end\":\"queue-timeout\"")).count(), 2, "{lines:?}");
    });
}

#[test]
fn a_request_that_no_connection_had_room_for_is_no_failure_of_its_server() {
    run(async {
        let mut crowd = crowd(0, |queue| queue.timeout = Duration::from_millis(50)).await;
        assert_eq!(Client::connect(&crowd.rig).await.get("/late").await.status(), 503);
        let line = crowd.rig.lines(1).await.remove(0);
        assert!(line.contains("\"end\":\"queue-timeout\""), "{line}");
        assert_eq!(crowd.streams.calls.get(), ROOM, "it was not sent");
        crowd.assert_no_failure();
        crowd.await_answers().await;
        // There is room again.
        crowd.fates.told.notify_one();
        assert_eq!(Client::connect(&crowd.rig).await.get("/").await.status(), 200);
    });
}

/// What becomes of connections to a server that takes no further ones.
#[derive(Debug, Clone, Copy)]
enum Beyond {
    Refused,
    Unheard,
}

/// A server that takes one connection with one stream at a time, and answers when it is told.
async fn only_one(fates: &Rc<Fates>, beyond: Beyond) -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = socket.local_addr().unwrap();
    let listener = socket.listen(0).unwrap();
    let fates = Rc::clone(fates);
    tokio::task::spawn_local(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let _kept = match beyond {
            Beyond::Refused => {
                drop(listener);
                None
            }
            // The one that may wait to be accepted takes the place of all others.
            Beyond::Unheard => Some((TcpStream::connect(addr).await.unwrap(), listener)),
        };
        let mut settings = h2::server::Builder::new();
        settings.max_concurrent_streams(1);
        let mut frames = settings.handshake::<_, Bytes>(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = frames.accept().await {
            let fates = Rc::clone(&fates);
            tokio::task::spawn_local(async move {
                fates.taken.set(fates.taken.get() + 1);
                fates.told.notified().await;
                ok("fine", &mut respond);
            });
        }
    });
    addr
}

#[test]
fn who_waits_for_another_connection_takes_the_room_that_comes_on_the_one_there_is() {
    for beyond in [Beyond::Refused, Beyond::Unheard] {
        run(async move {
            let fates = Rc::<Fates>::default();
            let addr = only_one(&fates, beyond).await;
            let mut config = shop(&[addr]);
            config.pools[0].retry.attempts = 0;
            let mut rig = Rig::start(config).await;
            let (mut early, mut late) = (Http2::connect(&rig).await, Http2::connect(&rig).await);
            let mut answers = vec![early.send(request("GET", "/"), true).await.0];
            rig.until(|_| fates.taken.get() == 1).await;
            for _ in 0..2 {
                answers.push(early.send(request("POST", "/"), true).await.0);
            }
            let queued = |rig: &Rig| rig.shared.pool_stats(&Rig::id("a").pool).unwrap().queued;
            let waiting = if matches!(beyond, Beyond::Refused) { 2 } else { 1 };
            rig.until(|rig| queued(rig) == waiting).await;
            // One that comes now stands behind them.
            answers.push(late.send(request("GET", "/"), true).await.0);
            rig.until(|rig| queued(rig) == waiting + 1).await;
            for answer in answers {
                assert_eq!(answered(&fates, answer).await, 200, "{beyond:?}");
            }
            assert_eq!(rig.shared.server_stats(&Rig::id("a")).unwrap().failures, 0, "{beyond:?}");
            assert!(rig.reports.try_recv().is_err(), "{beyond:?}");
        });
    }
}
