//! Heads as they go out. Whatever was read must be written with the same meaning.

use proptest::prelude::{any, prop, proptest};

use super::*;
use crate::cases;
use crate::cookie::SetCookieAction;
use crate::forwarded::Scheme;
use crate::message::{Limits, Method};
use crate::request::RequestFacts;

const REQUESTS: &str = include_str!("../../tests-data/requests.txt");
const RESPONSES: &str = include_str!("../../tests-data/responses.txt");

fn request(text: &str, how: &RequestOut<'_>) -> String {
    let mut head = RequestHead::new();
    let len = head.parse(text.as_bytes(), &Limits::default()).unwrap().unwrap();
    assert_eq!(len, text.len());
    let mut out = Vec::new();
    write_request(&mut out, &head, text.as_bytes(), how);
    // What goes out must itself be a request with the framing that was asked for.
    let mut again = RequestHead::new();
    assert_eq!(again.parse(&out, &Limits::default()), Ok(Some(out.len())), "{}", String::from_utf8_lossy(&out));
    assert_eq!((again.method_text(&out), again.framing()), (head.method_text(text.as_bytes()), how.framing));
    String::from_utf8(out).unwrap()
}

fn response(text: &str, facts: &RequestFacts, how: &ResponseOut<'_>) -> String {
    let mut head = ResponseHead::new();
    head.parse(text.as_bytes(), &Limits::SERVER, facts).unwrap().unwrap();
    let mut out = Vec::new();
    write_response(&mut out, &head, text.as_bytes(), how);
    String::from_utf8(out).unwrap()
}

#[test]
fn what_is_not_ours_goes_out_as_it_came() {
    let text = "GET /%7Ea//b?x=%2e HTTP/1.1\r\nhOST: Shop.example\r\nACCEPT:  a, b\r\nX:\r\nAccept: c\r\n\r\n";
    assert_eq!(request(text, &RequestOut::default()), text);
    let text = "HTTP/1.1 200 Gut so\r\nserver:x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\ncontent-LENGTH: 5\r\n\r\n";
    let how = ResponseOut { framing: Framing::Length(5), ..ResponseOut::default() };
    assert_eq!(response(text, &RequestFacts::default(), &how), text);
}

#[test]
fn fields_go_out_alone_and_in_pieces_without_the_blanks_behind_them() {
    let kept = |n: usize| format!("X-{n}: {n}\r\n");
    let padded = |n: usize| format!("X-{n}: {n} \t\r\n");
    // Every field passes, has blanks behind it, or goes.
    for mut fates in 0..3usize.pow(5) {
        let (mut came, mut goes) =
            ("GET / HTTP/1.1\r\nHost: a\r\n".to_owned(), "GET / HTTP/1.1\r\nHost: a\r\n".to_owned());
        for n in 0..5 {
            came += &match fates % 3 {
                0 => kept(n),
                1 => padded(n),
                _ => "Keep-Alive: 1\r\n".to_owned(),
            };
            if fates % 3 < 2 {
                goes += &kept(n);
            }
            fates /= 3;
        }
        assert_eq!(request(&(came + "\r\n"), &RequestOut::default()), goes + "\r\n");
    }
}

#[test]
fn fields_of_one_connection_stay_on_it() {
    let text = "POST / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Mine, Upgrade, HTTP2-Settings\r\nKeep-Alive: 5\r\n\
                X-Mine: 1\r\nX-Yours: 2\r\nProxy-Connection: x\r\nTE: trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n\
                Proxy: evil\r\nTransfer-Encoding: Chunked\r\nExpect: 100-continue\r\nTrailer: X-Sum\r\n\r\n";
    let how = RequestOut { framing: Framing::Chunked, ..RequestOut::default() };
    let wanted = "POST / HTTP/1.1\r\nHost: a\r\nX-Yours: 2\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(request(text, &how), wanted);
}

#[test]
fn an_options_request_has_one_step_less_to_go() {
    let asked = |method: &str, value: &str| format!("{method} / HTTP/1.1\r\nHost: a\r\nmax-forwards: {value}\r\n\r\n");
    for (value, next) in [("1", "0"), ("10", "9"), ("007", "6"), ("99999999999999999999999", "18446744073709551614")] {
        assert_eq!(request(&asked("OPTIONS", value), &RequestOut::default()), asked("OPTIONS", next));
        // It means nothing in other requests.
        assert_eq!(request(&asked("GET", value), &RequestOut::default()), asked("GET", value));
    }
    for odd in ["x", "-1", "1, 2", ""] {
        assert_eq!(request(&asked("OPTIONS", odd), &RequestOut::default()), asked("OPTIONS", odd));
    }
    let left = |text: &str| {
        let mut head = RequestHead::new();
        head.parse(text.as_bytes(), &Limits::default()).unwrap().unwrap();
        hops_left(&head, text.as_bytes())
    };
    assert_eq!((left(&asked("OPTIONS", "0")), left(&asked("OPTIONS", "3"))), (Some(0), Some(3)));
    assert_eq!((left(&asked("OPTIONS", "x")), left(&asked("GET", "0"))), (None, None));
}

#[test]
fn connection_strips_nothing_that_servers_rely_on() {
    let text = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Forwarded-For, X-Real-IP, Cookie, Host, Content-Length, Authorization\r\n\
                Cookie: a=1\r\nAuthorization: b\r\nContent-Length: 5\r\n\r\n";
    let client = Client {
        fields: &[ClientField::XForwardedFor, ClientField::XRealIp],
        trusted: false,
        peer: [192, 0, 2, 9].into(),
        client: [192, 0, 2, 9].into(),
        scheme: Scheme::Http,
        host: b"a",
    };
    let how = RequestOut { framing: Framing::Length(5), client: Some(client), ..RequestOut::default() };
    let wanted = "POST / HTTP/1.1\r\nHost: a\r\nCookie: a=1\r\nAuthorization: b\r\nContent-Length: 5\r\n\
                  X-Forwarded-For: 192.0.2.9\r\nX-Real-IP: 192.0.2.9\r\n\r\n";
    assert_eq!(request(text, &how), wanted);
}

#[test]
fn spoofed_forwarding_fields_never_pass() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.1\r\nx-forwarded-for: 10.0.0.2\r\nX_Forwarded_For: 10.0.0.3\r\n\
                X-Forwarded-Port: 1\r\nForwarded: for=10.0.0.1\r\nX-Real_IP: 10.0.0.4\r\nX-Real-IP: 10.0.0.4\r\n\r\n";
    let client = Client {
        fields: &[ClientField::XForwardedFor],
        trusted: false,
        peer: [192, 0, 2, 9].into(),
        client: [192, 0, 2, 9].into(),
        scheme: Scheme::Http,
        host: b"a",
    };
    let how = RequestOut { client: Some(client), ..RequestOut::default() };
    assert_eq!(request(text, &how), "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n");
    let trusting = RequestOut { client: Some(Client { trusted: true, ..client }), ..how };
    let wanted = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Port: 1\r\nForwarded: for=10.0.0.1\r\nX-Real-IP: 10.0.0.4\r\n\
                  X-Forwarded-For: 10.0.0.1, 10.0.0.2, 192.0.2.9\r\n\r\n";
    assert_eq!(request(text, &trusting), wanted);
}

#[test]
fn edits_apply_in_order_and_reach_fields_in_disguise() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nX-User: evil\r\nX_USER: evil\r\nVia: x\r\nCookie: a=1\r\n\r\n";
    let edits = [
        Edit::set(b"X-User", b"first"),
        Edit::add(b"X-Tag", b"1"),
        Edit::add(b"X-Tag", b"2"),
        Edit::set(b"x-user", b"second"),
        Edit::remove(b"Via"),
        Edit::add(b"X-Gone", b"1"),
        Edit::remove(b"X-Gone"),
    ];
    let how = RequestOut { edits: &edits, ..RequestOut::default() };
    assert_eq!(
        request(text, &how),
        "GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1\r\nX-Tag: 1\r\nX-Tag: 2\r\nx-user: second\r\n\r\n"
    );
}

#[test]
fn edits_break_neither_framing_nor_host_nor_lines() {
    let text = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    let edits = [
        Edit::remove(b"Host"),
        Edit::add(b"Host", b"b"),
        Edit::set(b"Host", b"b, c"),
        Edit::set(b"Content-Length", b"6"),
        Edit::remove(b"content-length"),
        Edit::set(b"Transfer-Encoding", b"chunked"),
        Edit::set(b"transfer_encoding", b"chunked"),
        Edit::set(b"Connection", b"x"),
        Edit::set(b"X", b"a\r\nEvil: 1"),
        Edit::set(b"X y", b"a"),
        Edit::add(b"", b"a"),
    ];
    let how = RequestOut { framing: Framing::Length(5), edits: &edits, ..RequestOut::default() };
    assert_eq!(request(text, &how), text);
    let set = [Edit::set(b"Host", b"b:81")];
    let how = RequestOut { framing: Framing::Length(5), edits: &set, ..RequestOut::default() };
    assert_eq!(request(text, &how), "POST / HTTP/1.1\r\nContent-Length: 5\r\nHost: b:81\r\n\r\n");
}

#[test]
fn a_request_without_host_gets_one() {
    let how = RequestOut { fallback_host: b"10.0.0.1:8080", ..RequestOut::default() };
    assert_eq!(request("GET / HTTP/1.0\r\n\r\n", &how), "GET / HTTP/1.1\r\nHost: 10.0.0.1:8080\r\n\r\n");
    assert_eq!(request("GET http://b?x HTTP/1.0\r\n\r\n", &how), "GET /?x HTTP/1.1\r\nHost: b\r\n\r\n");
}

#[test]
fn a_host_that_nobody_asked_for_is_not_told() {
    let client = Client {
        fields: &[ClientField::XForwardedHost, ClientField::XForwardedProto],
        trusted: false,
        peer: [192, 0, 2, 9].into(),
        client: [192, 0, 2, 9].into(),
        scheme: Scheme::Http,
        host: b"",
    };
    let how = RequestOut { fallback_host: b"a", client: Some(client), ..RequestOut::default() };
    let wanted = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: http\r\n\r\n";
    assert_eq!(request("GET / HTTP/1.0\r\n\r\n", &how), wanted);
}

#[test]
fn a_path_is_replaced_and_the_query_stays() {
    let how = RequestOut { path: Some(b"/users"), ..RequestOut::default() };
    assert_eq!(
        request("GET /api/users?a=1 HTTP/1.1\r\nHost: a\r\n\r\n", &how),
        "GET /users?a=1 HTTP/1.1\r\nHost: a\r\n\r\n"
    );
    let asterisk = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(request(asterisk, &RequestOut::default()), asterisk);
}

#[test]
fn our_cookie_stays_with_us() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nCookie: srv=1\r\ncookie:a=1; srv=2\r\n\r\n";
    let how = RequestOut { cookies: &[CookieRule { name: b"srv", until: None }], ..RequestOut::default() };
    assert_eq!(request(text, &how), "GET / HTTP/1.1\r\nHost: a\r\ncookie: a=1\r\n\r\n");
    let text = "HTTP/1.1 200 OK\r\nSet-Cookie: srv=evil; Path=/\r\nSet-Cookie: a=srv\r\nSet-Cookie2: srv=x\r\nContent-Length: 0\r\n\r\n";
    let edits = [Edit::add(b"Set-Cookie", b"srv=ours")];
    let how = ResponseOut {
        framing: Framing::Length(0),
        edits: &edits,
        set_cookies: &[SetCookieRule { name: b"srv", action: SetCookieAction::Drop }],
        ..ResponseOut::default()
    };
    let wanted = "HTTP/1.1 200 OK\r\nSet-Cookie: a=srv\r\nContent-Length: 0\r\nSet-Cookie: srv=ours\r\n\r\n";
    assert_eq!(response(text, &RequestFacts::default(), &how), wanted);
}

#[test]
fn an_upgrade_is_asked_for_and_agreed_to() {
    let text =
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: k\r\n\r\n";
    let how = RequestOut { connection: ConnectionField::Upgrade, ..RequestOut::default() };
    let wanted =
        "GET /ws HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: k\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(request(text, &how), wanted);
    let text = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: s\r\n\r\n";
    let facts = RequestFacts { websocket: true, ..RequestFacts::default() };
    let how = ResponseOut { connection: ConnectionField::Upgrade, ..ResponseOut::default() };
    let wanted = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(response(text, &facts, &how), wanted);
}

#[test]
fn an_answer_gets_the_framing_that_its_body_will_have() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    let sized = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let close = ConnectionField::Close;
    for (text, method, framing, connection, wanted) in [
        (chunked, Method::Get, Framing::Chunked, ConnectionField::Silent, "Transfer-Encoding: chunked\r\n"),
        (chunked, Method::Get, Framing::UntilClose, close, "Connection: close\r\n"),
        (
            chunked,
            Method::Get,
            Framing::Length(7),
            ConnectionField::KeepAlive,
            "Content-Length: 7\r\nConnection: keep-alive\r\n",
        ),
        (sized, Method::Get, Framing::Chunked, ConnectionField::Silent, "Transfer-Encoding: chunked\r\n"),
        (sized, Method::Head, Framing::None, ConnectionField::Silent, "Content-Length: 5\r\n"),
        (chunked, Method::Head, Framing::None, ConnectionField::Silent, ""),
    ] {
        let how = ResponseOut { framing, connection, ..ResponseOut::default() };
        let facts = RequestFacts { method, ..RequestFacts::default() };
        assert_eq!(response(text, &facts, &how), format!("HTTP/1.1 200 OK\r\n{wanted}\r\n"));
    }
    let plain = ResponseOut::default();
    for (text, wanted) in [
        ("HTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\n"),
        ("HTTP/1.1 204 N\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 204 N\r\n\r\n"),
        ("HTTP/1.1 103 E\r\nLink: </a>\r\n\r\n", "HTTP/1.1 103 E\r\nLink: </a>\r\n\r\n"),
    ] {
        assert_eq!(response(text, &RequestFacts::default(), &plain), wanted);
    }
}

#[test]
fn an_answer_of_our_own_is_whole() {
    let mut out = Vec::new();
    let how = OwnResponse {
        status: 503,
        date: b"Sat, 21 Nov 2026 01:12:43 GMT",
        fields: &[(b"Content-Type", b"text/html"), (b"Content-Length", b"9"), (b"X", b"a\nb"), (b"Retry-After", b"5")],
        length: Some(12),
        connection: ConnectionField::Close,
    };
    write_own_response(&mut out, &how);
    let wanted = "HTTP/1.1 503 Service Unavailable\r\nDate: Sat, 21 Nov 2026 01:12:43 GMT\r\nContent-Type: text/html\r\n\
                  Retry-After: 5\r\nContent-Length: 12\r\nConnection: close\r\n\r\n";
    assert_eq!(String::from_utf8(out).unwrap(), wanted);
    let mut out = Vec::new();
    write_own_response(&mut out, &OwnResponse { status: 100, length: Some(0), ..OwnResponse::default() });
    assert_eq!(out, b"HTTP/1.1 100 Continue\r\n\r\n");
}

/// Room for what is added to a head that was at its bounds when it came.
const WIDE: Limits = Limits { head: 64 * 1024, fields: 300, target: 64 * 1024 };

/// Reads a request, writes it, and checks that the server gets the very request that was read.
fn check_request(bytes: &[u8]) -> bool {
    let mut head = RequestHead::new();
    let Ok(Some(_)) = head.parse(bytes, &Limits::default()) else { return false };
    let client = Client {
        fields: &ClientField::ALL,
        trusted: true,
        peer: [10, 0, 0, 1].into(),
        client: [10, 0, 0, 1].into(),
        scheme: Scheme::Http,
        host: head.authority(bytes),
    };
    let how = RequestOut {
        fallback_host: b"fallback",
        framing: head.framing(),
        client: Some(client),
        cookies: &[CookieRule { name: b"a", until: None }],
        ..RequestOut::default()
    };
    let mut out = Vec::new();
    write_request(&mut out, &head, bytes, &how);
    let mut again = RequestHead::new();
    let parsed = again.parse(&out, &WIDE);
    assert_eq!(parsed, Ok(Some(out.len())), "{}", String::from_utf8_lossy(&out));
    let facts = |head: &RequestHead, buf: &[u8]| {
        (head.method_text(buf).to_vec(), head.path(buf).to_vec(), head.query(buf).map(<[u8]>::to_vec), head.framing())
    };
    assert_eq!(facts(&again, &out), facts(&head, bytes));
    assert_eq!(again.fields().known(&out, Known::Host).count(), 1);
    assert!(!again.fields().iter(&out).any(|field| field.known == Known::Alias));
    true
}

/// Reads an answer, writes it, and checks that the client gets the very answer that was read.
fn check_response(bytes: &[u8]) -> bool {
    let facts = RequestFacts { websocket: true, ..RequestFacts::default() };
    let mut head = ResponseHead::new();
    let Ok(Some(_)) = head.parse(bytes, &Limits::SERVER, &facts) else { return false };
    let connection = if head.switches_protocols() { ConnectionField::Upgrade } else { ConnectionField::Silent };
    let mut out = Vec::new();
    let how = ResponseOut { framing: head.framing(), connection, ..ResponseOut::default() };
    write_response(&mut out, &head, bytes, &how);
    let mut again = ResponseHead::new();
    let parsed = again.parse(&out, &Limits { head: 128 * 1024, ..WIDE }, &facts);
    assert_eq!(parsed, Ok(Some(out.len())), "{}", String::from_utf8_lossy(&out));
    assert_eq!((again.status(), again.framing()), (head.status(), head.framing()));
    true
}

#[test]
fn whatever_is_read_is_written_with_the_same_meaning() {
    let count = |text: &str, check: fn(&[u8]) -> bool| {
        cases::read(text).iter().filter(|case| case.verdict.starts_with("ok") && case.asked.is_empty()).fold(
            0,
            |sum, case| {
                assert!(check(&case.bytes), "{}", case.name);
                sum + 1
            },
        )
    };
    assert!(count(REQUESTS, check_request) > 40);
    assert!(count(RESPONSES, check_response) > 12);
}

proptest! {
    #[test]
    fn whatever_is_read_near_the_border_is_written_with_the_same_meaning(
        pick in any::<prop::sample::Index>(),
        changes in prop::collection::vec(any::<(prop::sample::Index, u8, u8)>(), 0..6),
    ) {
        thread_local! {
            static BASES: (Vec<Vec<u8>>, Vec<Vec<u8>>) = (short(REQUESTS), short(RESPONSES));
        }
        BASES.with(|(requests, responses)| {
            check_request(&cases::mutated(&requests[pick.index(requests.len())], &changes));
            check_response(&cases::mutated(&responses[pick.index(responses.len())], &changes));
        });
    }
}

fn short(text: &str) -> Vec<Vec<u8>> {
    cases::read(text).into_iter().map(|case| case.bytes).filter(|bytes| bytes.len() < 1000).collect()
}
