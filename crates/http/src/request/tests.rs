//! Requests replayed from `tests-data/requests.txt` in every cut, and random changes of them.

use std::sync::LazyLock;

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::cases::{self, Case};

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| cases::read(include_str!("../../tests-data/requests.txt")));

/// The verdict in the words of the data file.
fn describe(head: &RequestHead, buf: &[u8], parsed: Result<Option<usize>, RequestError>) -> String {
    let text =
        |bytes: &[u8]| if bytes.is_empty() { "-".to_owned() } else { String::from_utf8_lossy(bytes).into_owned() };
    let len = match parsed {
        Ok(Some(len)) => len,
        Ok(None) => return "more".to_owned(),
        Err(error) => return format!("{} {}", error.status(), error.code()),
    };
    assert_eq!(len, head.len());
    let framing = match head.framing() {
        Framing::None => "none".to_owned(),
        Framing::Length(length) => format!("length:{length}"),
        Framing::Chunked => "chunked".to_owned(),
        Framing::UntilClose => "until-close".to_owned(),
    };
    let query = head.query(buf).map_or("-".to_owned(), |query| format!("?{}", String::from_utf8_lossy(query)));
    let mut words = format!(
        "ok {} {} {query} {} {framing} {}",
        text(head.method_text(buf)),
        text(head.path(buf)),
        text(head.authority(buf)),
        if head.keep_alive() { "keep" } else { "close" },
    );
    if head.expects_continue() {
        words += " continue";
    }
    if head.asks_websocket() {
        words += " websocket";
    }
    if let Some(protocol) = head.upgrade(buf) {
        words += &format!(" upgrade:{}", text(protocol));
    }
    if len < buf.len() {
        words += &format!(" rest:{}", buf.len() - len);
    }
    words
}

/// Reads the bytes in two pieces; the verdict of the first counts if it is one.
fn in_two(bytes: &[u8], cut: usize) -> (RequestHead, Result<Option<usize>, RequestError>) {
    let mut head = RequestHead::new();
    let limits = Limits::default();
    let parsed = match head.parse(&bytes[..cut], &limits) {
        Ok(None) => head.parse(bytes, &limits),
        verdict => verdict,
    };
    (head, parsed)
}

#[test]
fn every_request_of_the_file_gets_its_verdict_however_it_is_cut() {
    assert!(CASES.len() > 100);
    for case in CASES.iter() {
        let wanted = String::from_utf8(cases::unescape(&case.verdict)).unwrap();
        for cut in cases::cuts(case.bytes.len()) {
            let (head, parsed) = in_two(&case.bytes, cut);
            assert_eq!(describe(&head, &case.bytes, parsed), wanted, "{} cut at {cut}", case.name);
        }
    }
}

#[test]
fn a_request_that_drips_in_gets_the_same_verdict() {
    let limits = Limits::default();
    let mut head = RequestHead::new();
    for case in CASES.iter() {
        let wanted = String::from_utf8(cases::unescape(&case.verdict)).unwrap();
        head.clear();
        let verdict =
            (0..=case.bytes.len()).map(|end| head.parse(&case.bytes[..end], &limits)).find(|v| *v != Ok(None));
        let verdict = verdict.unwrap_or(Ok(None));
        assert_eq!(describe(&head, &case.bytes, verdict), wanted, "{}", case.name);
    }
}

#[test]
fn a_head_used_again_remembers_nothing() {
    let limits = Limits::default();
    let mut head = RequestHead::new();
    for pair in CASES.windows(2) {
        for case in pair {
            head.clear();
            let used = head.parse(&case.bytes, &limits);
            let mut new = RequestHead::new();
            let fresh = new.parse(&case.bytes, &limits);
            assert_eq!(describe(&head, &case.bytes, used), describe(&new, &case.bytes, fresh), "{}", case.name);
        }
    }
}

#[test]
fn a_complete_head_answers_the_same_again() {
    let bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut head = RequestHead::new();
    for _ in 0..2 {
        assert_eq!(head.parse(bytes, &Limits::default()), Ok(Some(bytes.len())));
        assert_eq!(head.fields().len(), 1);
    }
}

#[test]
fn the_host_is_the_targets_or_the_fields_without_port_and_final_dot() {
    for (text, host) in [
        ("GET / HTTP/1.1\r\nHost: Shop.example.:8080\r\n\r\n", "Shop.example"),
        ("GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", "[2001:db8::1]"),
        ("GET http://a.example:80/ HTTP/1.1\r\nHost: A.example:80\r\n\r\n", "a.example"),
        ("GET http://b.example.?q HTTP/1.0\r\n\r\n", "b.example"),
        ("GET / HTTP/1.0\r\n\r\n", ""),
    ] {
        let mut head = RequestHead::new();
        assert_eq!(head.parse(text.as_bytes(), &Limits::default()), Ok(Some(text.len())), "{text}");
        assert_eq!(head.host(text.as_bytes()), host.as_bytes(), "{text}");
        assert_eq!(head.host(text.as_bytes()), authority::host_of(head.authority(text.as_bytes())), "{text}");
    }
}

#[test]
fn fields_are_found_by_meaning_and_by_name() {
    let bytes = b"GET / HTTP/1.1\r\nHost: a:1\r\nX: 1\r\ncookie: c=1\r\nx:  2 \r\nCookie: d=2\r\n\r\n";
    let mut head = RequestHead::new();
    head.parse(bytes, &Limits::default()).unwrap();
    let fields = head.fields();
    assert_eq!(head.host(bytes), b"a");
    assert_eq!(head.line(bytes), b"GET / HTTP/1.1");
    assert_eq!(fields.named(bytes, b"X").collect::<Vec<_>>(), [b"1", b"2"]);
    assert_eq!(fields.known(bytes, Known::Cookie).rev().collect::<Vec<_>>(), [b"d=2", b"c=1"]);
    assert_eq!(fields.find(bytes, b"COOKIE"), Some(&b"c=1"[..]));
    assert_eq!(fields.find(bytes, b"y"), None);
    assert_eq!(
        fields.iter(bytes).map(|field| field.name).collect::<Vec<_>>(),
        [&b"Host"[..], b"X", b"cookie", b"x", b"Cookie"]
    );
}

#[test]
fn another_buffer_gives_wrong_answers_and_no_panic() {
    let bytes = b"GET /long/path?query HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n";
    let mut head = RequestHead::new();
    head.parse(bytes, &Limits::default()).unwrap();
    assert_eq!(head.path(b""), b"/");
    assert_eq!(head.query(b"GET"), Some(&b""[..]));
    assert_eq!(head.fields().find(b"", b"X"), None);
}

proptest! {
    #[test]
    fn no_cut_changes_the_verdict_on_any_message(
        pick in any::<prop::sample::Index>(),
        changes in prop::collection::vec(any::<(prop::sample::Index, u8, u8)>(), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let base = &CASES[pick.index(CASES.len())].bytes;
        let bytes = cases::mutated(&base[..base.len().min(600)], &changes);
        let (whole, verdict) = in_two(&bytes, 0);
        let (parts, again) = in_two(&bytes, cut.index(bytes.len() + 1));
        prop_assert_eq!(describe(&whole, &bytes, verdict), describe(&parts, &bytes, again));
        if verdict.is_ok_and(|len| len.is_some()) {
            let head = bytes.get(..whole.len()).unwrap();
            prop_assert!(!head.windows(2).any(|pair| pair[1] == b'\n' && pair[0] != b'\r'), "a bare line feed passed");
            prop_assert!(!head.windows(2).any(|pair| pair[0] == b'\r' && pair[1] != b'\n'), "a bare carriage return passed");
        }
    }
}
