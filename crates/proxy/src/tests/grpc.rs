//! Calls by gRPC: their trailers, their failures, and their rests.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use tokio::net::TcpListener;

use super::http2::{Http2, request};
use super::http2_servers::{Streams, shop};
use super::rig::{Rig, run};

#[test]
fn calls_keep_their_trailers_whatever_length_they_have() {
    run(async {
        let streams = Streams::serving(|_, (request, mut respond)| {
            Box::pin(async move {
                let (head, mut body) = request.into_parts();
                while let Some(Ok(bytes)) = body.data().await {
                    let _ = body.flow_control().release_capacity(bytes.len());
                }
                let asked = body.trailers().await.unwrap().unwrap();
                let mut response = Response::new(());
                response.headers_mut().insert("content-length", "5".parse().unwrap());
                response.headers_mut().insert("content-type", head.headers["content-type"].clone());
                let mut send = respond.send_response(response, false).unwrap();
                // A path of `/short` is answered with less than its head says.
                let body = if head.uri.path() == "/short" { "hell" } else { "hello" };
                send.send_data(Bytes::from_static(body.as_bytes()), false).unwrap();
                send.send_trailers(asked).unwrap();
            })
        })
        .await;
        let rig = Rig::start(shop(&[streams.addr])).await;
        let mut client = Http2::connect(&rig).await;
        for path in ["/whole", "/short"] {
            let mut call = request("POST", path);
            call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
            call.headers_mut().insert("content-length", "3".parse().unwrap());
            call.headers_mut().insert("te", "trailers".parse().unwrap());
            let (answer, mut send) = client.send(call, false).await;
            send.send_data(Bytes::from_static(b"abc"), false).unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            send.send_trailers(trailers).unwrap();
            let got = answer.whole().await;
            match path {
                "/whole" => {
                    let got = got.unwrap();
                    assert_eq!((got.status, &got.body[..]), (200, &b"hello"[..]));
                    assert_eq!(got.trailers.unwrap()["grpc-status"], "0");
                }
                // Noticed before or after its head went on.
                _ => assert!(got.is_err() || got.unwrap().fields["grpc-status"] == "14", "it looks whole and is not"),
            }
        }
    });
}

#[test]
fn a_call_by_grpc_learns_of_our_failures_in_its_own_words() {
    run(async {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let rig = Rig::start(shop(&[closed])).await;
        let mut client = Http2::connect(&rig).await;
        let mut call = request("POST", "/shop.Cart/Add");
        call.headers_mut().insert("content-type", "application/grpc+proto".parse().unwrap());
        call.headers_mut().insert("te", "trailers".parse().unwrap());
        let (answer, mut send) = client.send(call, false).await;
        let _ = send.send_data(Bytes::from_static(b"\0\0\0\0\0"), true);
        let got = answer.whole().await.unwrap();
        assert_eq!((got.status, got.fields["grpc-status"].as_bytes()), (StatusCode::OK.as_u16(), &b"14"[..]));
        assert_eq!(got.fields["content-type"], "application/grpc");
        let line = rig.lines(1).await.remove(0);
        assert!(line.contains("\"status\":502"), "{line}");
        // Whoever speaks plain HTTP gets the page.
        assert_eq!(client.get("/").await.status, 502);
    });
}

#[test]
fn the_two_sides_of_a_call_may_rest() {
    run(async {
        let streams = Streams::echo().await;
        let mut config = shop(&[streams.addr]);
        config.listeners[0].timeouts.body = Duration::from_millis(50);
        config.listeners[0].timeouts.rate = Some(1 << 20);
        config.pools[0].timeouts.idle = Duration::from_millis(50);
        let rig = Rig::start(config).await;
        let mut client = Http2::connect(&rig).await;
        let mut call = request("POST", "/shop.Cart/Watch");
        call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        call.headers_mut().insert("te", "trailers".parse().unwrap());
        let (answer, mut send) = client.send(call, false).await;
        send.send_data(Bytes::from_static(b"one"), false).unwrap();
        let mut recv = answer.head().await.unwrap().into_body();
        assert_eq!(&recv.data().await.unwrap().unwrap()[..], b"one");
        tokio::time::sleep(Duration::from_millis(300)).await;
        send.send_data(Bytes::from_static(b"two"), true).unwrap();
        assert_eq!(&recv.data().await.unwrap().unwrap()[..], b"two");
        assert_eq!(recv.trailers().await.unwrap().unwrap()["x-none"], "1");
    });
}
