//! Heads of streams replayed from `tests-data/streams.txt`, random ones, and frames in every cut.

use std::time::Duration;

use evenkeel_model::caps;
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::downgrade::Body;
use super::*;
use crate::cases::unescape;
use crate::{Limits, RequestHead, StreamError};

/// One head of a stream and what is expected of it.
#[derive(Debug, Default)]
struct Case {
    name: String,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    goes_on: bool,
    verdict: String,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut case = Case::default();
    for line in include_str!("../../tests-data/streams.txt").lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("=== ") {
            case = Case { name: name.to_owned(), ..Case::default() };
        } else if let Some(verdict) = line.strip_prefix("--- ") {
            case.verdict = verdict.to_owned();
            cases.push(std::mem::take(&mut case));
        } else if line == "body" {
            case.goes_on = true;
        } else if !line.is_empty() {
            let fields = match line.starts_with('{') {
                true => String::from_utf8(unescape(line)).unwrap(),
                false => line.to_owned(),
            };
            for field in fields.lines() {
                let (name, value) = field.split_once(' ').unwrap_or((field, ""));
                case.fields.push((unescape(name), unescape(value)));
            }
        }
    }
    cases
}

type Fields = [(Vec<u8>, Vec<u8>)];

fn written(fields: &Fields, end: End) -> Result<(Vec<u8>, Body), StreamError> {
    let pseudo =
        |name: &str| fields.iter().find(|(found, _)| found == name.as_bytes()).map(|(_, value)| value.as_slice());
    let line = StreamLine {
        method: pseudo(":method").unwrap_or_default(),
        scheme: pseudo(":scheme"),
        authority: pseudo(":authority"),
        path: pseudo(":path"),
        protocol: pseudo(":protocol"),
    };
    let mut head = Downgrade::begin(&line, 100, b"KEY")?;
    for (name, value) in fields.iter().filter(|(name, _)| !name.starts_with(b":")) {
        head.field(name, value)?;
    }
    head.finish(end)
}

fn describe(fields: &Fields, end: End) -> String {
    let (text, body) = match written(fields, end) {
        Ok(written) => written,
        Err(error) => return format!("{} {}", error.status(), error.code()),
    };
    let mut head = RequestHead::new();
    match head.parse(&text, &Limits::default()) {
        Err(error) => format!("{} {}", error.status(), error.code()),
        Ok(length) => {
            assert_eq!(length, Some(text.len()), "the head ends where the text does");
            let body = match body {
                Body::None => "none".to_owned(),
                Body::Exactly(length) => format!("exactly:{length}"),
                Body::Chunks => "chunks".to_owned(),
                Body::Tunnel => "tunnel".to_owned(),
            };
            format!("ok {body} {}", String::from_utf8(text).unwrap())
        }
    }
}

#[test]
fn every_stream_of_the_file_becomes_what_it_says() {
    let cases = cases();
    assert!(cases.len() > 50);
    for case in cases {
        let end = if case.goes_on { End::Later } else { End::Here };
        let wanted = String::from_utf8(unescape(&case.verdict)).unwrap();
        assert_eq!(describe(&case.fields, end), wanted, "{}", case.name);
    }
}

proptest! {
    #[test]
    fn whatever_a_stream_says_the_text_has_one_line_for_each_field(
        path in "/[ -~]{0,20}|\\PC{0,10}",
        authority in "[a-z.:@\\r\\n ]{0,10}",
        fields in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..8), prop::collection::vec(any::<u8>(), 0..12)), 0..8),
        names in prop::collection::vec(prop::sample::select(vec!["cookie", "host", "content-length", "te", "x", "expect"]), 0..6),
        goes_on in any::<bool>(),
    ) {
        let mut all: Vec<(Vec<u8>, Vec<u8>)> = vec![
            (b":method".to_vec(), b"POST".to_vec()),
            (b":scheme".to_vec(), b"http".to_vec()),
            (b":authority".to_vec(), authority.into_bytes()),
            (b":path".to_vec(), path.into_bytes()),
        ];
        all.extend(fields);
        all.extend(names.into_iter().zip([&b"1"[..], b"trailers", b"a; b", b"5", b"x", b"100-continue"]).map(|(n, v)| (n.as_bytes().to_vec(), v.to_vec())));
        let end = if goes_on { End::Later } else { End::Here };
        if let Ok((text, body)) = written(&all, end) {
            prop_assert!(text.ends_with(b"\r\n\r\n"));
            let inner = &text[..text.len() - 4];
            prop_assert!(memchr::memmem::find(inner, b"\r\n\r\n").is_none());
            prop_assert!(!text.contains(&0));
            prop_assert_eq!(memchr::memchr_iter(b'\n', &text).count(), memchr::memmem::find_iter(&text, b"\r\n").count());
            let mut head = RequestHead::new();
            if let Ok(length) = head.parse(&text, &Limits::default()) {
                prop_assert_eq!(length, Some(text.len()));
                let framing = match body {
                    Body::None | Body::Tunnel => !head.framing().has_body(),
                    Body::Exactly(length) => head.framing() == crate::Framing::Length(length),
                    Body::Chunks => head.framing() == crate::Framing::Chunked,
                };
                prop_assert!(framing, "{body:?} and {:?}", head.framing());
            }
        }
    }
}

#[test]
fn a_connection_is_taken_for_http2_by_its_whole_preface_alone() {
    assert_eq!(opening(PREFACE), Opening::Http2);
    assert_eq!(opening(&[PREFACE, b"more"].concat()), Opening::Http2);
    for cut in 0..PREFACE.len() {
        assert_eq!(opening(&PREFACE[..cut]), Opening::Perhaps);
    }
    for other in
        [&b"POST / HTTP/1.1\r\n"[..], b"PRI * HTTP/1.1\r\n", b"GET", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r.", b"\x16\x03"]
    {
        assert_eq!(opening(other), Opening::Other, "{}", String::from_utf8_lossy(other));
    }
}

/// A frame: its kind, its flags, its length and what is in it.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
}

/// A sentry that has let a client's first words pass.
fn greeted_client(now: Duration) -> Sentry {
    let mut sentry = Sentry::of_client();
    sentry.see(&[PREFACE, &frame(4, 0, &[])].concat(), now).unwrap();
    sentry
}

/// How many frames pass before one is too many.
fn passed(one: &[u8], tries: u32) -> (u32, Option<Flood>) {
    let now = Duration::from_secs(7);
    let mut sentry = greeted_client(now);
    let mut one = one.to_vec();
    for count in 0..tries {
        if one[3] == 1 {
            // Each request has a stream of its own.
            one[5..9].copy_from_slice(&(2 * count + 1).to_be_bytes());
        }
        match sentry.see(&one, now) {
            Ok(()) => {}
            Err(Offence::Flood(flood)) => return (count, Some(flood)),
            Err(Offence::Breach(breach)) => panic!("{breach:?}"),
        }
    }
    (tries, None)
}

#[test]
fn each_kind_of_flood_is_found_at_its_bound() {
    let table = [
        (frame(6, 0, &[0; 8]), caps::HTTP2_PING_RATE, Flood::Pings),
        (frame(4, 0, &[]), caps::HTTP2_SETTINGS_RATE - 1, Flood::Settings),
        (frame(3, 0, &[0; 4]), caps::HTTP2_RESETS_UNANSWERED, Flood::Resets),
        (frame(0, 0, &[]), caps::HTTP2_EMPTY_DATA_RATE, Flood::EmptyData),
        (frame(0, 8, &[255; 256]), caps::HTTP2_EMPTY_DATA_RATE, Flood::EmptyData),
        (frame(2, 0, &[0; 5]), caps::HTTP2_IDLE_RATE, Flood::Idle),
        (frame(0xbb, 0, &[0; 5]), caps::HTTP2_IDLE_RATE, Flood::Idle),
        (frame(8, 0, &[0, 0, 0, 1]), caps::HTTP2_WINDOW_RATE, Flood::Windows),
    ];
    for (one, most, flood) in table {
        assert_eq!(passed(&one, most + 10), (most, Some(flood)), "{flood:?}");
    }
}

#[test]
fn what_a_client_does_all_day_is_no_flood() {
    let frames = [
        frame(0, 1, &[]),
        frame(0, 0, b"x"),
        frame(0, 8, &[1, b'x', 0]),
        frame(1, 5, &[0; 20]),
        // What it has to say to each SETTINGS of ours.
        frame(4, 1, &[]),
        frame(7, 0, &[0; 8]),
    ];
    for one in frames {
        assert_eq!(passed(&one, 10_000), (10_000, None));
    }
    let start = Duration::from_secs(7);
    let mut sentry = greeted_client(start);
    let reset = frame(3, 0, &[0; 4]);
    for turn in 0..1000 {
        // Answered now and then, so that credit comes back; never many in a second.
        sentry.see(&reset, start + Duration::from_millis(turn * 20)).unwrap();
        sentry.answered();
    }
}

#[test]
fn who_measures_the_line_with_a_ping_for_each_piece_of_data_is_left_alone() {
    let start = Duration::from_secs(7);
    let pair = [frame(0, 0, b"data"), frame(6, 0, &[0; 8])].concat();
    let mut server = Sentry::of_server();
    server.see(&frame(4, 0, &[]), start).unwrap();
    let mut client = greeted_client(start);
    client.see(&frame(1, 4, b"block"), start).unwrap();
    for mut sentry in [server, client] {
        for turn in 0..20_000 {
            assert_eq!(sentry.see(&pair, start + Duration::from_micros(100) * turn), Ok(()), "pair {turn}");
        }
    }
}

#[test]
fn resets_without_answers_end_a_connection_however_slowly_they_come() {
    let start = Duration::from_secs(7);
    let mut sentry = greeted_client(start);
    let reset = frame(3, 0, &[0; 4]);
    let seen = (0..1000).find(|turn| sentry.see(&reset, start + Duration::from_secs(*turn)).is_err());
    assert_eq!(seen, Some(u64::from(caps::HTTP2_RESETS_UNANSWERED)));
}

#[test]
fn a_server_may_reset_every_stream_that_it_answers() {
    let now = Duration::from_secs(7);
    let reset = frame(3, 0, &[0; 4]);
    let mut sentry = Sentry::of_server();
    let seen = (0..).find(|_| sentry.see(&reset, now).is_err());
    assert_eq!(seen, Some(caps::HTTP2_SERVER_RESET_RATE));
    let mut sentry = Sentry::of_server();
    for turn in 0..100 {
        sentry.see(&reset.repeat(1000), now + Duration::from_secs(turn)).unwrap();
    }
}

#[test]
fn a_block_of_fields_is_owed_until_its_end() {
    let now = Duration::from_secs(7);
    let mut sentry = Sentry::of_server();
    sentry.see(&frame(1, 0, b"abc"), now).unwrap();
    assert_eq!(sentry.owes_fields_since(), Some(now));
    sentry.see(&frame(9, 0, b"def"), now + Duration::from_secs(3)).unwrap();
    assert_eq!(sentry.owes_fields_since(), Some(now), "what comes in pieces is owed from the first one");
    sentry.see(&frame(9, 4, b"ghi"), now + Duration::from_secs(5)).unwrap();
    assert_eq!(sentry.owes_fields_since(), None);
}

#[test]
fn the_count_does_not_depend_on_how_the_bytes_are_cut() {
    let mut bytes = [PREFACE, &frame(4, 0, &[])].concat();
    for _ in 0..30 {
        bytes.extend(frame(0, 8, &[3, 0, 0, 0]));
        bytes.extend(frame(0, 8, &[2, 0, 0, 0]));
        bytes.extend(frame(6, 0, &[9; 8]));
        bytes.extend(frame(0, 0, b""));
    }
    let now = Duration::from_secs(7);
    for size in 1..40 {
        let mut sentry = Sentry::of_client();
        let mut at = 0;
        let flood = bytes.chunks(size).find_map(|piece| {
            at += piece.len();
            sentry.see(piece, now).err()
        });
        assert_eq!(flood, Some(Offence::Flood(Flood::EmptyData)), "in pieces of {size}");
        // The 51st empty one is the padded one of the 26th round.
        let end = PREFACE.len() + 9 + 25 * (13 + 13 + 17 + 9) + 10;
        assert!(at >= end && at < end + size + 1, "in pieces of {size}: at {at}, not {end}");
    }
}

/// HEADERS of stream 1 that say which one it depends on.
fn depending(flags: u8, before: &[u8], on: u32) -> Vec<u8> {
    let exclusive = 0x8000_0000 | on;
    frame(1, flags | 0x24, &[before, &exclusive.to_be_bytes(), &[16], b"block", &[0; 3]].concat())
}

#[test]
fn what_no_client_may_send_is_called_by_its_name_however_it_is_cut() {
    let table = [
        (frame(6, 0, &[0; 7]), Some(Breach::FrameSize)),
        (frame(6, 0, &[0; 9]), Some(Breach::FrameSize)),
        (frame(3, 0, &[0; 3]), Some(Breach::FrameSize)),
        (frame(8, 0, &[0; 3]), Some(Breach::FrameSize)),
        (frame(2, 0, &[0; 4]), Some(Breach::FrameSize)),
        (frame(4, 0, &[0; 5]), Some(Breach::FrameSize)),
        (frame(4, 1, &[0; 6]), Some(Breach::FrameSize)),
        (frame(7, 0, &[0; 7]), Some(Breach::FrameSize)),
        (frame(4, 1, &[]), None),
        (frame(7, 0, &[0; 12]), None),
        (frame(0, 0, &[]), None),
        (frame(0, 8, &[]), None),
        (frame(1, 4, &[0; 3]), None),
        (frame(1, 0x24, &[0; 3]), None),
        (frame(1, 0x2c, &[3, 0, 0, 0]), None),
        (depending(0, &[], 1), Some(Breach::OwnDependency)),
        (depending(8, &[3], 1), Some(Breach::OwnDependency)),
        (depending(0, &[], 3), None),
        (depending(8, &[3], 0), None),
    ];
    for (one, breach) in table {
        let bytes = [PREFACE, &frame(4, 0, &[0; 6]), &one, &frame(6, 0, &[0; 8])].concat();
        for size in [1, 2, 3, 5, 7, 11, bytes.len()] {
            let mut sentry = Sentry::of_client();
            let seen = bytes.chunks(size).find_map(|piece| sentry.see(piece, Duration::ZERO).err());
            assert_eq!(seen, breach.map(Offence::Breach), "{one:?} in pieces of {size}");
        }
    }
    for first in [frame(1, 5, b"x"), frame(6, 0, &[0; 8]), frame(4, 1, &[])] {
        let mut sentry = Sentry::of_client();
        sentry.see(PREFACE, Duration::ZERO).unwrap();
        assert_eq!(sentry.see(&first, Duration::ZERO), Err(Offence::Breach(Breach::Greeting)));
    }
}

/// A frame of a stream.
fn of_stream(kind: u8, flags: u8, stream: u32) -> Vec<u8> {
    let mut frame = frame(kind, flags, b"abcd");
    frame[5..9].copy_from_slice(&stream.to_be_bytes());
    frame
}

#[test]
fn a_window_that_is_none_is_found_among_settings_however_they_are_cut() {
    let settings = |window: u32| {
        let window = window.to_be_bytes();
        [&[0, 3, 0xff, 0, 0, 9, 0, 4][..], &window, &[0, 0x14, 0, 0, 0, 1]].concat()
    };
    for (window, breach) in [(0x8000_0000, true), (u32::MAX, true), (0x7fff_ffff, false), (0, false)] {
        let bytes =
            [PREFACE, &frame(4, 0, &settings(7)), &frame(4, 0, &settings(window)), &frame(6, 0, &[0; 8])].concat();
        for size in 1..bytes.len() {
            let mut sentry = Sentry::of_client();
            let seen = bytes.chunks(size).find_map(|piece| sentry.see(piece, Duration::ZERO).err());
            assert_eq!(seen, breach.then_some(Offence::Breach(Breach::Window)), "{window:x} in pieces of {size}");
        }
    }
}

#[test]
fn a_stream_that_its_client_ended_has_nothing_more_to_say() {
    let (head, last_head, data, last) =
        (|at| of_stream(1, 4, at), |at| of_stream(1, 5, at), |at| of_stream(0, 0, at), |at| of_stream(0, 1, at));
    let seen = |frames: &[Vec<u8>]| {
        let mut sentry = Sentry::of_client();
        sentry.see(&[PREFACE, &frame(4, 0, &[])].concat(), Duration::ZERO).unwrap();
        frames.iter().position(|one| sentry.see(one, Duration::ZERO).is_err())
    };
    assert_eq!(seen(&[last_head(1), data(1)]), Some(1));
    assert_eq!(seen(&[last_head(1), last_head(1)]), Some(1));
    assert_eq!(seen(&[head(1), data(1), last(1), data(1)]), Some(3));
    assert_eq!(seen(&[head(1), head(3), last_head(1), last_head(3), last(3)]), Some(4), "trailers end a stream, too");
    // What it reset may be under way still; what it never began is another fault, which the library calls by its name.
    assert_eq!(seen(&[head(1), of_stream(3, 0, 1), data(1)]), None);
    assert_eq!(seen(&[last_head(1), last_head(7), data(3), last_head(5), data(9)]), None);
    assert_eq!(seen(&[last_head(1), last_head(7), data(7)]), Some(2));
    // Of more than are known nothing is said, and what is known stays bounded.
    let most = u32::try_from(caps::HTTP2_OPEN_SEEN).unwrap();
    let mut many: Vec<_> = (0..2 * most).map(|number| head(2 * number + 1)).collect();
    many.extend([data(1), data(2 * most - 1), last(4 * most - 1), data(4 * most - 1)]);
    assert_eq!(seen(&many), Some(many.len() - 1));
}

#[test]
fn trailers_are_cut_where_they_were_written() {
    let fields: Vec<_> = upgrade::trailer_fields(b"grpc-status: 0\r\nX-Sum:  abc \r\n").collect();
    assert_eq!(fields, [(&b"grpc-status"[..], &b"0"[..]), (b"X-Sum", b"abc")]);
}

#[test]
fn the_first_frame_is_the_greeting_once_it_is_whole() {
    let frames = [frame(4, 0, &[0, 3, 0, 0, 0, 1]), frame(6, 0, &[0; 8])].concat();
    for cut in 1..frames.len() {
        let mut sentry = Sentry::of_server();
        assert!(!sentry.has_greeted());
        for (part, seen) in [(&frames[..cut], cut), (&frames[cut..], frames.len())] {
            sentry.see(part, Duration::ZERO).unwrap();
            assert_eq!(sentry.has_greeted(), seen >= 15, "{seen} bytes, cut after {cut}");
        }
    }
}
