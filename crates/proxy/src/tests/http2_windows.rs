//! The memory that bodies of HTTP/2 clients may take before anybody read them: lent, given back, and never that of requests.

use std::cell::Cell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use evenkeel_model::config::Pool;
use evenkeel_model::{ListenerName, PoolName, caps};
use h2::SendStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::Instant;

use super::http2::{Http2, request, send_all};
use super::http2_abuse::{GET, POST, Raw, frame, headers};
use super::rig::{Client, Origin, Rig, config, pool, run, server};

/// Waits until there is room for more than so many bytes on a stream that wants that many.
async fn room_beyond(stream: &mut SendStream<Bytes>, bytes: u32, wanted: u32) {
    let bytes = bytes as usize;
    stream.reserve_capacity(wanted as usize);
    while stream.capacity() <= bytes {
        poll_fn(|cx| stream.poll_capacity(cx)).await.expect("the stream goes on").unwrap();
    }
}

#[test]
fn bodies_without_an_end_leave_requests_their_memory() {
    run(async {
        let origin = Origin::saying("x").await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        rig.shared.set_buffers(u64::from(caps::HTTP2_UPLOADS_HELD) + 128 * 1024);
        let mut calling = Http2::connect(&rig).await;
        let (answer, mut body) = calling.send(request("POST", "/"), false).await;
        rig.until(|_| origin.connections() == 1).await;
        let mut other = Http2::connect(&rig).await;
        assert_eq!(other.get("/").await.status, 200);
        assert_eq!(calling.get("/").await.status, 200);
        body.send_data(Bytes::from_static(b"end"), true).unwrap();
        assert_eq!(answer.whole().await.unwrap().status, 200);
    });
}

#[test]
fn a_window_that_nobody_needs_any_more_is_lent_to_others() {
    run(async {
        let origin = Origin::saying("x").await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        // Half of it is one client's windows and what the two requests take.
        rig.shared.set_buffers(2 * (u64::from(caps::HTTP2_UPLOADS_HELD) + 512 * 1024));
        let (mut first, mut second) = (Http2::connect(&rig).await, Http2::connect(&rig).await);
        let (answer, mut body) = first.send(request("POST", "/"), false).await;
        room_beyond(&mut body, caps::HTTP2_STREAM_WINDOW, caps::HTTP2_UPLOAD_WINDOW).await;
        body.send_data(Bytes::new(), true).unwrap();
        assert_eq!(answer.whole().await.unwrap().status, 200);
        // Whoever begins a body while there is none left goes on without; later ones get it.
        loop {
            let (answer, mut body) = second.send(request("POST", "/"), false).await;
            let room = room_beyond(&mut body, caps::HTTP2_STREAM_WINDOW, caps::HTTP2_UPLOAD_WINDOW);
            let is_lent = tokio::time::timeout(Duration::from_millis(200), room).await.is_ok();
            body.send_data(Bytes::new(), true).unwrap();
            assert_eq!(answer.whole().await.unwrap().status, 200);
            if is_lent {
                break;
            }
        }
        // The first one's connection goes on as it began.
        assert_eq!(first.get("/").await.status, 200);
    });
}

#[test]
fn a_body_leaves_others_their_share_of_the_window() {
    run(async {
        let origin = Origin::saying("x").await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        // There is no larger window for anybody.
        rig.shared.set_buffers(2 * u64::from(caps::HTTP2_UPLOADS_HELD) - 1);
        let mut client = Http2::connect(&rig).await;
        assert_eq!(client.get("/").await.status, 200, "the answer comes behind what streams are allowed");
        let mut bodies = Vec::new();
        for _ in 0..8 {
            let (answer, mut body) = client.send(request("POST", "/"), false).await;
            // It wants more than there is for all of them.
            room_beyond(&mut body, 16_000, caps::HTTP2_UPLOAD_WINDOW).await;
            bodies.push((answer, body));
        }
        for (answer, mut body) in bodies {
            body.send_data(Bytes::new(), true).unwrap();
            assert_eq!(answer.whole().await.unwrap().status, 200);
        }
    });
}

/// A server that never reads the bodies of requests for `/stall`, nor has room for much of them.
async fn stalling() -> (SocketAddr, Rc<Cell<usize>>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(128).unwrap();
    let (addr, stalled) = (listener.local_addr().unwrap(), Rc::<Cell<usize>>::default());
    let counted = Rc::clone(&stalled);
    tokio::task::spawn_local(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let stalled = Rc::clone(&stalled);
            tokio::task::spawn_local(async move {
                let mut got = [0; 4096];
                let count = stream.read(&mut got).await.unwrap();
                if got[..count].starts_with(b"POST /stall") {
                    stalled.set(stalled.get() + 1);
                    std::future::pending::<()>().await;
                }
                let mut end = got[..count].to_vec();
                while !end.ends_with(b"0\r\n\r\n") {
                    let count = stream.read(&mut got).await.unwrap();
                    assert!(count > 0, "the body ends in order");
                    end = [end.split_off(end.len().saturating_sub(4)), got[..count].to_vec()].concat();
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            });
        }
    });
    (addr, counted)
}

#[test]
fn bodies_that_no_server_reads_leave_their_connection_to_others() {
    run(async {
        let (addr, stalled) = stalling().await;
        let mut pool = Pool::new(PoolName::new("shop").unwrap(), vec![server("a", addr)]);
        pool.timeouts.idle = Duration::from_secs(60);
        let rig = Rig::start(config(pool)).await;
        let mut client = Http2::connect(&rig).await;
        let taken = Rc::<Cell<usize>>::default();
        let mut waiting = Vec::new();
        for _ in 0..12 {
            let (answer, mut body) = client.send(request("POST", "/stall"), false).await;
            let counted = Rc::clone(&taken);
            let sending = tokio::task::spawn_local(async move {
                // More than anybody has room for; it ends with the test.
                for _ in 0..4096 {
                    send_all(&mut body, Bytes::from_static(&[b'x'; 1024]), false).await;
                    counted.set(counted.get() + 1);
                }
            });
            waiting.push((answer, sending));
        }
        rig.until(|_| stalled.get() == 12).await;
        // Until they have all that they get, or nearly.
        for _ in 0..20 {
            let before = taken.get();
            tokio::time::sleep(Duration::from_millis(100)).await;
            if taken.get() == before {
                break;
            }
        }
        let (answer, mut body) = client.send(request("POST", "/"), false).await;
        // Little for its window, much for the server's: the system is slow where a receiver has so little room.
        send_all(&mut body, Bytes::from(vec![b'x'; 1 << 16]), true).await;
        assert_eq!(answer.whole().await.unwrap().status, 200);
        assert!(waiting.iter().all(|(_, sending)| !sending.is_finished()), "the others still wait");
        waiting.iter().for_each(|(_, sending)| sending.abort());
    });
}

/// Reads on until the stream's answer, and says yes to the settings that come before; how many came.
async fn settle(raw: &mut Raw, stream: u32) -> u32 {
    let mut settings = 0;
    loop {
        let next = raw.next().await.expect("the connection goes on");
        match (next.kind, next.stream) {
            (4, _) if !next.payload.is_empty() => {
                settings += 1;
                raw.send(&frame(4, 1, 0, &[])).await;
            }
            (1, of) if of == stream => return settings,
            (7, _) => panic!("told to go away: {:?}", next.payload),
            _ => {}
        }
    }
}

#[test]
fn bodies_that_come_and_go_where_the_window_is_smallest_change_it_seldom() {
    run(async {
        let origin = Origin::saying("x").await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut raw = Raw::connect(&rig).await;
        let begun = Instant::now();
        let stream = |number: u32| 2 * number + 1;
        // One more than there is a larger window for.
        for number in 0..17 {
            raw.send(&headers(stream(number), 4, POST)).await;
        }
        let mut settings = 0;
        for number in 0..60 {
            raw.send(&frame(0, 1, stream(number), b"end")).await;
            settings += settle(&mut raw, stream(number)).await;
            raw.send(&headers(stream(number + 17), 4, POST)).await;
        }
        // The first ones, down from the largest window; then once down and once up in a second.
        let most = 6 + 2 * (begun.elapsed().as_secs() + 2);
        assert!(u64::from(settings) <= most, "told {settings} times in {:?}", begun.elapsed());
        assert!(!rig.shared.totals().rejected.contains_key("http2-settings"));
    });
}

#[test]
fn a_client_that_reads_slowly_is_left_alone_for_as_long_as_it_reads() {
    const LENGTH: usize = 200_000;
    for rate in [Some(100), None] {
        run(async move {
            let body: &'static str = Box::leak("x".repeat(LENGTH).into_boxed_str());
            let origin = Origin::saying(body).await;
            let mut config = config(pool(&[&origin]));
            config.listeners[0].timeouts.send = Duration::from_secs(1);
            config.listeners[0].timeouts.rate = rate;
            let rig = Rig::start(config).await;
            let mut client = Http2::connect(&rig).await;
            let (answer, _) = client.send(request("GET", "/"), true).await;
            let mut body = answer.head().await.unwrap().into_body();
            // All of the window, and then little by little, for longer than one who reads nothing has, to the end: the last of
            // it waits for the client alone.
            let mut taken = 0;
            while taken < 65_535 {
                taken += body.data().await.unwrap().unwrap().len();
            }
            while taken < LENGTH {
                body.flow_control().release_capacity(1000).unwrap();
                tokio::time::sleep(Duration::from_millis(50)).await;
                let wanted = LENGTH.min(taken + 1000);
                while taken < wanted {
                    taken += body.data().await.expect("the answer goes on").expect("nobody cuts it off").len();
                }
            }
            assert!(body.data().await.is_none_or(|last| last.unwrap().is_empty()), "{rate:?}");
        });
    }
}

#[test]
fn a_client_that_reads_slowly_gets_all_of_its_answer_before_a_drain_ends_its_connection() {
    const LENGTH: usize = 300_000;
    // The system takes little of it, on either side; or much, and then nothing for longer than one who reads nothing has.
    for (room, send) in [(16 * 1024, Duration::from_secs(30)), (128 * 1024, Duration::from_millis(300))] {
        run(async move {
            let body: &'static str = Box::leak("x".repeat(LENGTH).into_boxed_str());
            let origin = Origin::saying(body).await;
            let mut config = config(pool(&[&origin]));
            config.listeners[0].timeouts.send = send;
            let mut rig = Rig::start(config).await;
            let mut raw = asking_with_little_room(&mut rig, room).await;
            let mut drained = None;
            while let Some(read) = raw.sip().await {
                if read > LENGTH / 4 && drained.is_none() {
                    drained = Some(rig.drain(Duration::from_secs(20)).await);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(answered(&mut raw).await, (LENGTH, true), "{room}");
            assert_eq!(drained.unwrap().await.unwrap().cut, 0);
        });
    }
}

#[test]
fn a_client_that_speaks_after_the_end_of_its_connection_gets_all_of_its_answer() {
    const LENGTH: usize = 100_000;
    run(async {
        let body: &'static str = Box::leak("x".repeat(LENGTH).into_boxed_str());
        let origin = Origin::saying(body).await;
        let mut rig = Rig::start(config(pool(&[&origin]))).await;
        // The system takes all of it from us at once, and gives it to the client little by little.
        let mut raw = asking_with_little_room(&mut rig, 1 << 20).await;
        rig.lines(1).await;
        let drained = rig.drain(Duration::from_secs(20)).await;
        // Longer than a connection stands after its client was told.
        while raw.sip().await.is_some() {
            raw.send(&frame(8, 0, 0, &1u32.to_be_bytes())).await;
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        assert_eq!(answered(&mut raw).await, (LENGTH, true));
        drop(raw);
        assert_eq!(drained.await.unwrap().cut, 0);
    });
}

#[test]
fn a_client_that_takes_nothing_more_is_not_waited_for_at_the_end() {
    run(async {
        let body: &'static str = Box::leak("x".repeat(100_000).into_boxed_str());
        let origin = Origin::saying(body).await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].timeouts.send = Duration::from_secs(1);
        let mut rig = Rig::start(config).await;
        let _raw = asking_with_little_room(&mut rig, 1 << 20).await;
        rig.lines(1).await;
        let drained = rig.drain(Duration::from_secs(20)).await;
        assert_eq!(drained.await.unwrap().cut, 0);
    });
}

#[test]
fn a_client_that_pings_and_reads_little_of_it_is_idle() {
    run(async {
        let origin = Origin::saying("hello").await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].timeouts.idle = Duration::from_millis(300);
        let mut rig = Rig::start(config).await;
        let mut raw = asking_with_little_room(&mut rig, 4096).await;
        while raw.next().await.is_some_and(|next| (next.kind, next.flags & 1) != (0, 1)) {}
        // More answers than the socket holds, and then as many as it reads.
        let ping = frame(6, 0, 0, &[0; 8]);
        raw.send(&ping.repeat(3000)).await;
        let kept = async {
            while raw.sip().await.is_some() {
                raw.send(&ping.repeat(60)).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(
            tokio::time::timeout(Duration::from_secs(15), kept).await.is_ok(),
            "it is kept for as long as it likes"
        );
    });
}

#[test]
fn a_connection_at_its_end_makes_room_for_others() {
    run(async {
        let body: &'static str = Box::leak("x".repeat(100_000).into_boxed_str());
        let origin = Origin::saying(body).await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].limits.requests = 1;
        let mut rig = Rig::with_max(config, 1).await;
        let _raw = asking_with_little_room(&mut rig, 1 << 20).await;
        rig.lines(1).await;
        assert_eq!(Client::connect(&rig).await.get("/").await.status(), 200);
    });
}

/// A client that has asked for `/`, whose system has little room, with as much as that for it in ours. It has windows for
/// all of the answer, so that nothing but the socket holds it up.
async fn asking_with_little_room(rig: &mut Rig, ours: u32) -> Raw {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(ours).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(8).unwrap();
    let addr = listener.local_addr().unwrap();
    rig.apply(vec![(ListenerName::of_address(":test"), listener.into_std().unwrap())], Vec::new()).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut raw = Raw::over(socket.connect(addr).await.unwrap(), &[0, 4, 0x7f, 0xff, 0xff, 0xff]).await;
    raw.send(&frame(8, 0, 0, &0x7000_0000u32.to_be_bytes())).await;
    raw.send(&headers(1, 5, GET)).await;
    raw
}

/// How much of the first stream's answer comes up to the end of the connection, and whether that is all.
async fn answered(raw: &mut Raw) -> (usize, bool) {
    let (mut came, mut is_whole) = (0, false);
    while let Some(next) = raw.next().await {
        if (next.kind, next.stream) == (0, 1) {
            came += next.payload.len();
            is_whole |= next.flags & 1 != 0;
        }
    }
    (came, is_whole)
}
