//! HTTP/2 clients that mean harm, in frames written by hand: each is told to calm down, and nobody else suffers.

use std::time::Duration;

use evenkeel_model::caps;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::http2::Http2;
use super::rig::{Origin, Rig, config, pool, run};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// GET http `/` for the authority `a`, in HPACK.
pub(super) const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 0x01, 0x61];
/// The same with POST.
pub(super) const POST: &[u8] = &[0x83, 0x86, 0x84, 0x41, 0x01, 0x61];

const PROTOCOL_ERROR: u32 = 1;
const FRAME_SIZE_ERROR: u32 = 6;
const FLOW_CONTROL_ERROR: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const COMPRESSION_ERROR: u32 = 9;
const CALM: u32 = 11;

/// What a hostile client does with a stream: its frames.
type Trick = fn(u32) -> Vec<u8>;

/// A frame as it is on the wire (RFC 9113 section 4.1).
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub(super) fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(1, flags, stream, block)
}

fn reset(stream: u32) -> Vec<u8> {
    frame(3, 0, stream, &8u32.to_be_bytes())
}

/// A client that says what it likes.
pub(super) struct Raw {
    stream: TcpStream,
    have: Vec<u8>,
}

impl Raw {
    pub(super) async fn connect(rig: &Rig) -> Self {
        Self::with_settings(rig, &[]).await
    }

    async fn with_settings(rig: &Rig, settings: &[u8]) -> Self {
        Self::over(TcpStream::connect(rig.addr).await.unwrap(), settings).await
    }

    pub(super) async fn over(stream: TcpStream, settings: &[u8]) -> Self {
        let mut raw = Self { stream, have: Vec::new() };
        raw.send(&[PREFACE, &frame(4, 0, 0, settings)].concat()).await;
        raw
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        // Whoever misbehaves may be cut off in the middle.
        let _ = self.stream.write_all(bytes).await;
    }

    /// Reads a little of what there is; how much was read so far, unless that is all.
    pub(super) async fn sip(&mut self) -> Option<usize> {
        let mut room = [0; 1024];
        let count = self.stream.read(&mut room).await.unwrap();
        self.have.extend_from_slice(&room[..count]);
        (count > 0).then_some(self.have.len())
    }

    /// The next frame; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let [a, b, c, kind, flags, s, t, u, v, rest @ ..] = self.have.as_slice() {
                let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
                if let Some(payload) = rest.get(..length) {
                    let stream = u32::from_be_bytes([*s, *t, *u, *v]);
                    let frame = Frame { kind: *kind, flags: *flags, stream, payload: payload.to_vec() };
                    self.have.drain(..9 + length);
                    return Some(frame);
                }
            }
            match self.stream.read_buf(&mut self.have).await {
                Ok(count) if count > 0 => {}
                _ => return None,
            }
        }
    }

    /// Reads on to a frame that fits.
    async fn find(&mut self, fits: impl Fn(&Frame) -> bool) -> Option<Frame> {
        while let Some(frame) = self.next().await {
            if fits(&frame) {
                return Some(frame);
            }
        }
        None
    }

    /// Sends all of it, reads what comes meanwhile, and gives the reason that the connection ends for.
    async fn flood(&mut self, bytes: &[u8]) -> u32 {
        let (mut from, mut to) = self.stream.split();
        let reading = async { while from.read_buf(&mut self.have).await.is_ok_and(|count| count > 0) {} };
        let _ = tokio::join!(to.write_all(bytes), reading);
        self.farewell().await
    }

    /// The reason that the connection ends for; 1000 where it ends without one.
    async fn farewell(&mut self) -> u32 {
        let frame = self.find(|frame| frame.kind == 7 && frame.payload[4..8] != [0; 4]).await;
        frame.map_or(1000, |frame| u32::from_be_bytes(frame.payload[4..8].try_into().unwrap()))
    }
}

/// A rig with an origin that answers, and one client that behaves.
async fn stand() -> (Origin, Rig, Http2) {
    let origin = Origin::saying("x").await;
    let rig = Rig::start(config(pool(&[&origin]))).await;
    let mut good = Http2::connect(&rig).await;
    assert_eq!(good.get("/good").await.status, 200);
    (origin, rig, good)
}

#[test]
fn a_flood_of_frames_ends_its_connection_and_no_other() {
    run(async {
        let (_origin, rig, mut good) = stand().await;
        let opened = |rest: Vec<u8>| [headers(1, 4, POST), rest].concat();
        let floods: [(&str, Vec<u8>, u32); 7] = [
            ("http2-pings", frame(6, 0, 0, &[1; 8]).repeat(2 * caps::HTTP2_PING_RATE as usize), CALM),
            ("http2-settings", frame(4, 0, 0, &[]).repeat(100), CALM),
            ("http2-empty-data", opened(frame(0, 0, 1, &[]).repeat(200)), CALM),
            ("http2-empty-data", opened(frame(0, 8, 1, &[255; 256]).repeat(200)), CALM),
            ("http2-idle-frames", frame(2, 0, 1, &[0, 0, 0, 0, 16]).repeat(2000), CALM),
            ("http2-idle-frames", frame(0xbb, 0, 0, &[]).repeat(2000), CALM),
            ("http2-window-updates", frame(8, 0, 0, &[0, 0, 0, 1]).repeat(40_000), CALM),
        ];
        for (code, flood, reason) in floods {
            let before = rig.shared.totals().rejected.get(code).copied().unwrap_or(0);
            let mut bad = Raw::connect(&rig).await;
            assert_eq!(bad.flood(&flood).await, reason, "{code}");
            assert_eq!(rig.shared.totals().rejected.get(code).copied(), Some(before + 1), "{code}");
            assert_eq!(good.get("/good").await.status, 200, "{code}");
        }
    });
}

#[test]
fn a_client_that_breaks_the_rules_is_told_which() {
    run(async {
        let (origin, rig, mut good) = stand().await;
        // `x-user: alice` goes into the table; a stream that depends on itself would add another; the third asks for it.
        let named = |value: &[u8]| [GET, &[0x40, 6], b"x-user", &[value.len() as u8], value].concat();
        let own = [&[0, 0, 0, 3, 16][..], &named(b"mallory")].concat();
        let confused =
            [headers(1, 5, &named(b"alice")), headers(3, 0x25, &own), headers(5, 5, &[GET, &[0xbe]].concat())].concat();
        let breaches = [
            ("http2-own-dependency", confused, COMPRESSION_ERROR),
            ("http2-frame-size", frame(6, 0, 0, &[0; 7]), FRAME_SIZE_ERROR),
            ("http2-frame-size", frame(4, 0, 0, &[0; 5]), FRAME_SIZE_ERROR),
            ("http2-bad-window", frame(4, 0, 0, &[0, 4, 0x80, 0, 0, 0]), FLOW_CONTROL_ERROR),
        ];
        for (code, said, reason) in breaches {
            let mut bad = Raw::connect(&rig).await;
            bad.send(&said).await;
            assert_eq!(bad.farewell().await, reason, "{code}");
            assert!(rig.shared.totals().rejected.contains_key(code), "{code}");
            assert_eq!(good.get("/good").await.status, 200, "{code}");
        }
        let mut bad = Raw { stream: TcpStream::connect(rig.addr).await.unwrap(), have: Vec::new() };
        bad.send(&[PREFACE, &headers(1, 5, GET)].concat()).await;
        assert_eq!(bad.farewell().await, PROTOCOL_ERROR);
        assert!(
            origin.seen().iter().all(|seen| seen.line().starts_with("GET /good ")),
            "nothing of it reached a server"
        );
        // What was asked before may be on its way to a server.
        for more in [frame(0, 0, 1, b"x"), headers(1, 5, GET)] {
            let mut bad = Raw::connect(&rig).await;
            bad.send(&[headers(1, 5, GET), more].concat()).await;
            assert_eq!(bad.farewell().await, STREAM_CLOSED);
            assert_eq!(good.get("/good").await.status, 200);
        }
        assert!(rig.shared.totals().rejected.contains_key("http2-stream-ended"));
    });
}

#[test]
fn settings_are_agreed_to_once() {
    run(async {
        let (_origin, rig, mut good) = stand().await;
        let mut bad = Raw::connect(&rig).await;
        bad.send(&frame(4, 1, 0, &[]).repeat(2)).await;
        assert_eq!(bad.farewell().await, PROTOCOL_ERROR);
        assert_eq!(good.get("/good").await.status, 200);
    });
}

#[test]
fn h1_rapid_reset_asks_servers_for_little_and_ends() {
    run(async {
        let (origin, rig, mut good) = stand().await;
        let mut bad = Raw::connect(&rig).await;
        let mut flood = Vec::new();
        for number in 0..10_000u32 {
            let stream = 2 * number + 1;
            flood.extend(headers(stream, 5, GET));
            flood.extend(reset(stream));
        }
        bad.send(&flood).await;
        assert_eq!(bad.farewell().await, CALM);
        rig.until(|rig| rig.shared.server_stats(&Rig::id("a")).unwrap().in_flight == 0).await;
        let asked = origin.count();
        assert!(asked <= 1 + 2 * caps::HTTP2_RESET_RATE as usize, "{asked} requests came through");
        assert_eq!(good.get("/good").await.status, 200);
    });
}

#[test]
fn answers_that_are_cancelled_in_the_middle_cost_nothing_in_the_long_run() {
    run(async {
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                while peer.head().await.is_some() {
                    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n").await;
                }
            })
        })
        .await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut client = Http2::connect(&rig).await;
        for round in 0..3 {
            for number in 0..caps::HTTP2_RESET_RATE / 2 {
                // A page that is left, and a call both ways that is.
                let (method, is_whole) = if number % 2 == 0 { ("GET", true) } else { ("POST", false) };
                let (answer, mut stream) = client.send(super::http2::request(method, "/"), is_whole).await;
                let mut body = answer.head().await.unwrap().into_body();
                body.data().await.unwrap().unwrap();
                stream.send_reset(h2::Reason::CANCEL);
                drop(body);
            }
            if round < 2 {
                tokio::time::sleep(Duration::from_millis(1100)).await;
            }
        }
        rig.until(|rig| rig.shared.server_stats(&Rig::id("a")).unwrap().in_flight == 0).await;
        let (answer, _) = client.send(super::http2::request("GET", "/"), true).await;
        assert_eq!(answer.head().await.unwrap().status(), 200, "the connection stands");
        assert_eq!(rig.shared.totals().rejected.get("http2-resets"), None);
    });
}

#[test]
fn h2_resets_that_we_are_made_to_send_are_counted() {
    run(async {
        let (_origin, rig, mut good) = stand().await;
        // Each makes us reset the stream, or end the connection at once.
        let tricks: [(&str, Trick); 4] = [
            ("a window update of nothing", |stream| frame(8, 0, stream, &[0; 4])),
            ("a window that overflows", |stream| frame(8, 0, stream, &[0x7f, 0xff, 0xff, 0xff])),
            ("data behind the end", |stream| frame(0, 0, stream, b"x")),
            ("a second head", |stream| headers(stream, 5, GET)),
        ];
        for (what, trick) in tricks {
            let mut bad = Raw::connect(&rig).await;
            let mut flood = Vec::new();
            for number in 0..2000u32 {
                let stream = 2 * number + 1;
                flood.extend(headers(stream, 5, GET));
                flood.extend(trick(stream));
            }
            bad.send(&flood).await;
            let reason = bad.farewell().await;
            assert!(matches!(reason, CALM | PROTOCOL_ERROR | 3 | 5), "{what}: {reason}");
            assert_eq!(good.get("/good").await.status, 200, "{what}");
        }
    });
}

#[test]
fn h3_heads_without_an_end_are_cut_short() {
    run(async {
        let (origin, rig, mut good) = stand().await;
        let before = origin.count();
        for (what, piece) in [("empty", Vec::new()), ("large", vec![0x40; 16 * 1024])] {
            let mut bad = Raw::connect(&rig).await;
            let flood = [headers(1, 1, GET), frame(9, 0, 1, &piece).repeat(64)].concat();
            bad.send(&flood).await;
            let reason = bad.farewell().await;
            assert!(matches!(reason, CALM | PROTOCOL_ERROR | COMPRESSION_ERROR), "{what}: {reason}");
        }
        assert_eq!((origin.count(), good.get("/good").await.status), (before, 200));
    });
}

#[test]
fn a_head_that_drips_in_has_as_long_as_any_head() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].timeouts.head = Duration::from_millis(200);
        let rig = Rig::start(config).await;
        let mut bad = Raw::connect(&rig).await;
        bad.send(&headers(1, 1, &GET[..3])).await;
        assert_eq!(bad.farewell().await, CALM);
        // The same before it is HTTP/2 at all.
        let mut slow = TcpStream::connect(rig.addr).await.unwrap();
        slow.write_all(&PREFACE[..10]).await.unwrap();
        let mut answer = Vec::new();
        slow.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
    });
}

#[test]
fn a_body_that_rests_is_cut_short_whatever_its_type() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].timeouts.body = Duration::from_millis(100);
        config.listeners[0].timeouts.tunnel = Duration::from_secs(3600);
        let rig = Rig::start(config).await;
        let mut bad = Http2::connect(&rig).await;
        let mut asked = super::http2::request("POST", "/");
        asked.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        let (answer, _body) = bad.send(asked, false).await;
        // It is told in the words of gRPC, as it says that it is one.
        let got = answer.whole().await.unwrap();
        assert_eq!((got.status, got.fields["grpc-status"].as_bytes()), (200, &b"2"[..]));
        let line = rig.lines(1).await.remove(0);
        assert!(line.contains("\"status\":408") && line.contains("\"end\":\"client-timeout\""), "{line}");
    });
}

#[test]
fn h4_a_head_that_unfolds_is_refused_by_the_size_that_it_has_unfolded() {
    run(async {
        let (origin, rig, mut good) = stand().await;
        let before = origin.count();
        let bombs: [(&str, Vec<u8>); 3] = [
            // An empty cookie, then references to it of one byte each.
            ("cookies", [&[0x82, 0x86, 0x84, 0x41, 0x01, 0x61, 0x60, 0x00][..], &[0xbe; 16_000]].concat()),
            ("names", [&[0x82, 0x86, 0x84, 0x41, 0x01, 0x61, 0x40, 0x01, b'x', 0x00][..], &[0xbe; 16_000]].concat()),
            // Few enough for the size, too many for the count.
            ("crumbs", [&[0x82, 0x86, 0x84, 0x41, 0x01, 0x61, 0x60, 0x00][..], &[0xbe; 200]].concat()),
        ];
        for (what, block) in bombs {
            let mut bad = Raw::with_settings(&rig, &[0, 4, 0, 0, 0, 0]).await;
            bad.send(&headers(1, 5, &block)).await;
            // The stream is answered 431 or reset, or the whole connection ends.
            let answer = bad.find(|frame| frame.stream == 1 || frame.kind == 7).await.unwrap();
            assert!(answer.kind != 1 || answer.payload.first() != Some(&0x88), "{what}: {answer:?}");
        }
        assert_eq!((origin.count(), good.get("/good").await.status), (before, 200));
    });
}

#[test]
fn h5_a_client_that_opens_no_window_loses_its_streams_and_gives_their_memory_back() {
    run(async {
        let origin = Origin::answering(|_| {
            let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n".to_vec();
            answer.resize(answer.len() + 200_000, b'x');
            answer
        })
        .await;
        let small = Origin::saying("small enough for the stream's own buffer").await;
        for origin in [&origin, &small] {
            let mut config = config(pool(&[origin]));
            config.listeners[0].timeouts.send = Duration::from_millis(300);
            config.listeners[0].timeouts.rate = None;
            let rig = Rig::start(config).await;
            let mut bad = Raw::with_settings(&rig, &[0, 4, 0, 0, 0, 0]).await;
            bad.send(&headers(1, 5, GET)).await;
            let reset = bad.find(|frame| frame.kind == 3).await.expect("the stream is reset");
            assert_eq!(reset.stream, 1);
            assert_eq!(rig.shared.server_stats(&Rig::id("a")).unwrap().in_flight, 0);
        }
    });
}

#[test]
fn h7_tables_are_as_large_as_we_say() {
    run(async {
        let (_origin, rig, mut good) = stand().await;
        // Theirs may be of any size, ours may not be made larger than it is.
        let mut odd = Raw::with_settings(&rig, &[0, 1, 0xff, 0xff, 0xff, 0xff]).await;
        odd.send(&headers(1, 5, GET)).await;
        assert!(odd.find(|frame| frame.kind == 1 && frame.stream == 1).await.is_some());
        let mut bad = Raw::connect(&rig).await;
        bad.send(&headers(1, 5, &[&[0x3f, 0xe1, 0xff, 0x03][..], GET].concat())).await;
        assert!(matches!(bad.farewell().await, COMPRESSION_ERROR | PROTOCOL_ERROR));
        assert_eq!(good.get("/good").await.status, 200);
    });
}

#[test]
fn more_streams_than_allowed_are_refused_and_may_be_sent_again() {
    run(async {
        let origin =
            Origin::scripted(|mut peer| Box::pin(async move { while peer.request().await.is_some() {} })).await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].limits.streams = 3;
        let rig = Rig::start(config).await;
        let mut raw = Raw::connect(&rig).await;
        // The bound holds for whoever has heard it (RFC 9113 section 5.1.2).
        let settings = raw.find(|frame| frame.kind == 4).await.unwrap();
        assert!(settings.payload.chunks(6).any(|pair| pair == [0, 3, 0, 0, 0, 3]));
        raw.send(&frame(4, 1, 0, &[])).await;
        let heads: Vec<u8> = (0..5).flat_map(|number| headers(2 * number + 1, 5, GET)).collect();
        raw.send(&heads).await;
        for stream in [7, 9] {
            let refused = raw.find(|frame| frame.kind == 3).await.unwrap();
            assert_eq!((refused.stream, &refused.payload[..]), (stream, &7u32.to_be_bytes()[..]));
        }
        rig.until(|_| origin.count() == 3).await;
        // One that its client gives up makes room once its server is let go.
        raw.send(&reset(1)).await;
        rig.until(|rig| rig.shared.server_stats(&Rig::id("a")).unwrap().in_flight == 2).await;
        raw.send(&headers(11, 5, GET)).await;
        rig.until(|_| origin.count() == 4).await;
    });
}

#[test]
fn without_memory_streams_are_turned_away_and_the_connection_stands() {
    run(async {
        let (origin, told) = Origin::waiting("late").await;
        let rig = Rig::start(config(pool(&[&origin]))).await;
        let mut good = Http2::connect(&rig).await;
        // One request is served however little there is.
        rig.shared.set_buffers(1);
        let first = good.send(super::http2::request("GET", "/"), true).await.0;
        rig.until(|_| origin.count() == 1).await;
        assert_eq!(good.get("/").await.status, 503);
        told.notify_one();
        assert_eq!(first.whole().await.unwrap().status, 200);
        told.notify_one();
        assert_eq!(good.get("/").await.status, 200);
        assert_eq!(origin.count(), 2);
        assert_eq!(rig.shared.totals().rejected.get("memory").copied(), Some(1));
    });
}

#[test]
fn what_is_wrong_with_a_stream_is_told_on_it_and_counted() {
    run(async {
        let (origin, rig, mut good) = stand().await;
        let before = origin.count();
        // `host: b` beside the authority `a`: refused by the HTTP/1.1 parser, with a line in the log.
        let mut bad = Raw::connect(&rig).await;
        bad.send(&headers(1, 5, &[GET, &[0x00, 0x04], b"host", &[0x01], b"b"].concat())).await;
        let answer = bad.find(|frame| frame.stream == 1).await.unwrap();
        // 400 is entry 12 of the static table.
        assert_eq!((answer.kind, answer.payload.first()), (1, Some(&0x8c)));
        assert_eq!(rig.shared.totals().rejected.get("repeated-host").copied(), Some(1));
        // A path that no request line can hold.
        let mut bad = Raw::connect(&rig).await;
        bad.send(&headers(1, 5, &[&[0x82, 0x86, 0x41, 0x01, 0x61, 0x04, 0x02], &b"x "[..]].concat())).await;
        let answer = bad.find(|frame| frame.stream == 1).await.unwrap();
        assert!(answer.kind == 3 || answer.payload.first() == Some(&0x8c), "{answer:?}");
        assert_eq!((origin.count(), good.get("/good").await.status), (before, 200));
    });
}
