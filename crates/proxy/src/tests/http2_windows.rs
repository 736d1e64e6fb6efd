//! The memory that bodies of HTTP/2 clients may take before anybody read them: lent, given back, and never that of requests.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use evenkeel_model::caps;
use h2::SendStream;

use super::http2::{Http2, request};
use super::rig::{Origin, Rig, config, pool, run};

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
        rig.shared.set_buffers(u64::from(caps::HTTP2_UPLOAD_WINDOW) + 128 * 1024);
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
        // Half of it is one window and what the two requests take.
        rig.shared.set_buffers(2 * (u64::from(caps::HTTP2_UPLOAD_WINDOW) + 512 * 1024));
        let (mut first, mut second) = (Http2::connect(&rig).await, Http2::connect(&rig).await);
        let (answer, mut body) = first.send(request("POST", "/"), false).await;
        room_beyond(&mut body, caps::HTTP2_WINDOW, 2 * caps::HTTP2_WINDOW).await;
        body.send_data(Bytes::new(), true).unwrap();
        assert_eq!(answer.whole().await.unwrap().status, 200);
        // Whoever begins a body while there is none left goes on without; later ones get it.
        loop {
            let (answer, mut body) = second.send(request("POST", "/"), false).await;
            let room = room_beyond(&mut body, caps::HTTP2_WINDOW, 2 * caps::HTTP2_WINDOW);
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
        rig.shared.set_buffers(u64::from(caps::HTTP2_UPLOAD_WINDOW));
        let mut client = Http2::connect(&rig).await;
        assert_eq!(client.get("/").await.status, 200, "the answer comes behind what streams are allowed");
        let mut bodies = Vec::new();
        for _ in 0..caps::HTTP2_STREAM_SHARE {
            let (answer, mut body) = client.send(request("POST", "/"), false).await;
            // It wants more than there is for all of them.
            room_beyond(&mut body, 16_000, caps::HTTP2_WINDOW).await;
            bodies.push((answer, body));
        }
        for (answer, mut body) in bodies {
            body.send_data(Bytes::new(), true).unwrap();
            assert_eq!(answer.whole().await.unwrap().status, 200);
        }
    });
}
