//! HTTP/1: heads, bodies, paths, and the fields that decisions rest on.

use std::net::{IpAddr, Ipv4Addr};

use evenkeel_http::cookie::CookieRule;
use evenkeel_http::http2::{Downgrade, End, StreamLine};
use evenkeel_http::uri::{normal_path, query_pairs, query_value, rewrite_path};
use evenkeel_http::{
    BodyDecoder, Framing, Known, Limits, Piece, RequestFacts, RequestHead, RequestOut, ResponseHead, ResponseOut,
    authority, cookie, forwarded, write_request, write_response,
};
use evenkeel_model::config::{Network, PathRewrite};

use super::shown;

/// A request's head: the same verdict however it is cut, and the head that we write of it has one framing, one host, and
/// the method and target that we read.
pub fn h1_request(bytes: &[u8]) {
    let limits = Limits::default();
    let mut whole = RequestHead::new();
    let verdict = whole.parse(bytes, &limits);
    let mut cut = RequestHead::new();
    let mut cut_verdict = Ok(None);
    for end in 0..=bytes.len() {
        cut_verdict = cut.parse(&bytes[..end], &limits);
        if !matches!(cut_verdict, Ok(None)) {
            break;
        }
    }
    assert_eq!(verdict, cut_verdict, "the verdict depends on how the head was cut");
    let Ok(Some(length)) = verdict else { return };
    assert!(length <= bytes.len(), "a head longer than its bytes");
    let mut out = Vec::new();
    let how = RequestOut { fallback_host: b"fallback", framing: whole.framing(), ..RequestOut::default() };
    write_request(&mut out, &whole, bytes, &how);
    let mut again = RequestHead::new();
    let wide = Limits { head: limits.head + 1024, fields: limits.fields + 8, target: limits.target };
    assert_eq!(again.parse(&out, &wide), Ok(Some(out.len())), "what we write is not one head: {}", shown(&out));
    assert_eq!(again.method_text(&out), whole.method_text(bytes), "the method changed");
    assert_eq!(again.framing(), whole.framing(), "the framing changed: {}", shown(&out));
    assert!(!again.expects_continue(), "an expectation is ours to answer");
    let hosts = again.fields().iter(&out).filter(|field| field.name.eq_ignore_ascii_case(b"host")).count();
    assert_eq!(hosts, 1, "not one host: {}", shown(&out));
    if !whole.host(bytes).is_empty() {
        assert!(again.host(&out).eq_ignore_ascii_case(whole.host(bytes)), "the host changed: {}", shown(&out));
    }
}

/// A head of a stream of HTTP/2, a field in each line: what is written of it is one head of HTTP/1.1 with a line for each
/// field, or nothing.
pub fn h2_request(bytes: &[u8]) {
    let fields: Vec<(&[u8], &[u8])> = bytes
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split_at_checked(1 + line.get(1..)?.iter().position(|byte| *byte == b'=')?))
        .map(|(name, value)| (name, value.get(1..).unwrap_or_default()))
        .collect();
    let pseudo = |name: &[u8]| fields.iter().find(|(found, _)| *found == name).map(|(_, value)| *value);
    let line = StreamLine {
        method: pseudo(b":method").unwrap_or(b"GET"),
        scheme: pseudo(b":scheme"),
        authority: pseudo(b":authority"),
        path: pseudo(b":path"),
        protocol: pseudo(b":protocol"),
    };
    for end in [End::Here, End::Later] {
        let Ok(mut head) = Downgrade::begin(&line, 100, b"KEY") else { return };
        let mut written = 0;
        for (name, value) in fields.iter().filter(|(name, _)| !name.starts_with(b":")) {
            if head.field(name, value).is_err() {
                return;
            }
            written += 1;
        }
        let Ok((text, _)) = head.finish(end) else { continue };
        let lines = text.iter().filter(|byte| **byte == b'\n').count();
        assert!(lines <= written + 8, "more lines than fields: {}", shown(&text));
        assert!(!text.contains(&0), "a NUL: {}", shown(&text));
        let mut again = RequestHead::new();
        if let Ok(length) = again.parse(&text, &Limits::default()) {
            assert_eq!(length, Some(text.len()), "the head ends elsewhere: {}", shown(&text));
            assert!(end == End::Later || !again.framing().has_body(), "a body from nowhere: {}", shown(&text));
        }
    }
}

/// An answer's head, to an ordinary request and to one without a body in its answer: as for requests.
pub fn h1_response(bytes: &[u8]) {
    let limits = Limits::SERVER;
    for method in [evenkeel_http::Method::Get, evenkeel_http::Method::Head] {
        let facts = RequestFacts { method, ..RequestFacts::default() };
        let mut whole = ResponseHead::new();
        let verdict = whole.parse(bytes, &limits, &facts);
        let mut cut = ResponseHead::new();
        let mut cut_verdict = Ok(None);
        for end in 0..=bytes.len() {
            cut_verdict = cut.parse(&bytes[..end], &limits, &facts);
            if !matches!(cut_verdict, Ok(None)) {
                break;
            }
        }
        assert_eq!(verdict, cut_verdict, "the verdict depends on how the head was cut");
        let Ok(Some(length)) = verdict else { continue };
        assert!(length <= bytes.len(), "a head longer than its bytes");
        let mut out = Vec::new();
        let how = ResponseOut { framing: whole.framing(), ..ResponseOut::default() };
        write_response(&mut out, &whole, bytes, &how);
        let wide = Limits { head: limits.head + 1024, fields: limits.fields + 8, target: 0 };
        let mut again = ResponseHead::new();
        assert_eq!(again.parse(&out, &wide, &facts), Ok(Some(out.len())), "not one head: {}", shown(&out));
        assert_eq!((again.status(), again.framing()), (whole.status(), whole.framing()), "changed: {}", shown(&out));
    }
}

/// A chunked body: the same data, end and verdict however it is cut.
pub fn h1_chunked(bytes: &[u8]) {
    let whole = decode(bytes, bytes.len().max(1));
    for step in [1, 2, 3, 7] {
        assert_eq!(decode(bytes, step), whole, "the body depends on how it was cut, in pieces of {step}");
    }
}

/// The data, what is left after the end, and whether it was refused.
fn decode(bytes: &[u8], step: usize) -> (Vec<u8>, Option<usize>, bool) {
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    let (mut data, mut at, mut known) = (Vec::new(), 0, step.min(bytes.len()));
    loop {
        let input = &bytes[at..known];
        match decoder.next(input) {
            Ok(Piece::Data(count)) => {
                data.extend_from_slice(&input[..count]);
                at += count;
            }
            Ok(Piece::Framing(count) | Piece::Dropped(count)) => {
                assert!(count > 0 && count <= input.len(), "a piece outside of its bytes");
                at += count;
            }
            Ok(Piece::More) if known == bytes.len() => return (data, None, false),
            Ok(Piece::More) => known = (known + step).min(bytes.len()),
            Ok(Piece::End) => return (data, Some(bytes.len() - at), false),
            Err(_) => return (data, None, true),
        }
    }
}

/// A path: its normal form is its own normal form, and leaves no way up.
pub fn h1_path(bytes: &[u8]) {
    let path = [b"/", bytes].concat();
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let once = normal_path(&path, &mut first);
    let twice = normal_path(once, &mut second);
    assert_eq!(once, twice, "the normal form of {} has another", shown(&path));
    let is_up = |segment: &[u8]| matches!(segment, b".." | b".");
    assert!(!once.split(|byte| *byte == b'/').any(is_up), "{} leads up: {}", shown(&path), shown(once));
    let (mut sent, mut third) = (Vec::new(), Vec::new());
    let rewrite = PathRewrite { strip: Some("/api".to_owned()), add: Some("/v1".to_owned()) };
    rewrite_path(&mut sent, &path, once, &rewrite);
    let there = normal_path(&sent, &mut third);
    assert!(there == b"/v1" || there.starts_with(b"/v1/"), "{} leads out of /v1: {}", shown(&path), shown(&sent));
    for (name, _) in query_pairs(bytes).filter(|(name, _)| !name.iter().any(|byte| matches!(byte, b'%' | b'+'))) {
        let value = query_value(bytes, name);
        assert!(query_pairs(bytes).any(|(_, one)| Some(one) == value), "{} is not found", shown(name));
    }
}

/// A `Cookie` value: ours is gone on its way to the server, another loses what we put before it, all others are there,
/// in their order, with their bytes.
pub fn h1_cookie(bytes: &[u8]) {
    const RULES: &[CookieRule<'_>] =
        &[CookieRule { name: b"SID", until: None }, CookieRule { name: b"PRE", until: Some(b'~') }];
    if let Some((name, _)) = cookie::set_pair(bytes, 1_800_000_000) {
        assert!(!name.is_empty() && !name.contains(&b';') && cookie::set_name(bytes) == Some(name));
    }
    let request = [b"GET / HTTP/1.1\r\nHost: a\r\nCookie: ", bytes, b"\r\n\r\n"].concat();
    let (mut head, mut sent) = (RequestHead::new(), RequestHead::new());
    let Ok(Some(_)) = head.parse(&request, &Limits::default()) else { return };
    let mut out = Vec::new();
    write_request(&mut out, &head, &request, &RequestOut { cookies: RULES, ..RequestOut::default() });
    assert_eq!(sent.parse(&out, &Limits::default()), Ok(Some(out.len())), "not one head: {}", shown(&out));
    let cookies = |head: &RequestHead, bytes: &[u8]| {
        let values = head.fields().known(bytes, Known::Cookie);
        values.flat_map(cookie::pairs).map(|(name, value)| (name.to_vec(), value.to_vec())).collect::<Vec<_>>()
    };
    let mut wanted = cookies(&head, &request);
    wanted.retain(|(name, _)| name != b"SID");
    for (_, value) in wanted.iter_mut().filter(|(name, _)| name == b"PRE") {
        let from = value.iter().position(|byte| *byte == b'~').map_or(0, |at| at + 1);
        *value = value.get(from..).unwrap_or_default().trim_ascii().to_vec();
    }
    assert_eq!(cookies(&sent, &out), wanted, "{} became {}", shown(&request), shown(&out));
}

/// What is said of the client: an address further left is believed only where every one right of it is trusted.
pub fn h1_forwarded(bytes: &[u8]) {
    const FORGED: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));
    let proxy = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let trusted = [Network { addr: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), prefix: 8 }];
    let client = |list: &[u8], peer: IpAddr| {
        let bytes = [b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: ", list, b"\r\n\r\n"].concat();
        let mut head = RequestHead::new();
        let read = head.parse(&bytes, &Limits::default());
        matches!(read, Ok(Some(_))).then(|| forwarded::client_address(head.fields(), &bytes, peer, &trusted))
    };
    let stranger = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
    if let Some(address) = client(bytes, stranger) {
        assert_eq!(address, stranger, "a stranger was believed");
    }
    let longer = [b"203.0.113.9, ", bytes].concat();
    if let (Some(short), Some(long)) = (client(bytes, proxy), client(&longer, proxy)) {
        assert!(long == short || (long == FORGED && forwarded::is_trusted(short, &trusted)), "{short} became {long}");
    }
    if let Some((host, port)) = authority::split(bytes) {
        let plain = [host, b":", port.unwrap_or(80).to_string().as_bytes()].concat();
        assert_eq!(authority::split(&plain), Some((host, Some(port.unwrap_or(80)))));
        assert!(!host.is_empty() && !authority::host_of(bytes).ends_with(b".."));
    }
}
