//! Answers replayed from `tests-data/responses.txt` in every cut.

use super::*;
use crate::cases::{self, Case};

const CASES: &str = include_str!("../../tests-data/responses.txt");

fn facts(case: &Case) -> RequestFacts {
    let mut facts = RequestFacts::default();
    for word in case.asked.split_whitespace() {
        if word == "websocket" {
            facts.websocket = true;
        } else {
            facts.method = Method::of(word.as_bytes());
        }
    }
    facts
}

/// The verdict in the words of the data file.
fn describe(head: &ResponseHead, buf: &[u8], parsed: Result<Option<usize>, ResponseError>) -> String {
    let len = match parsed {
        Ok(Some(len)) => len,
        Ok(None) => return "more".to_owned(),
        Err(error) => return error.code().to_owned(),
    };
    assert_eq!(len, head.len());
    let framing = match head.framing() {
        Framing::None => "none".to_owned(),
        Framing::Length(length) => format!("length:{length}"),
        Framing::Chunked => "chunked".to_owned(),
        Framing::UntilClose => "until-close".to_owned(),
    };
    let mut words = format!("ok {} {framing} {}", head.status(), if head.keep_alive() { "keep" } else { "close" });
    if head.is_interim() {
        words += " interim";
    }
    if head.switches_protocols() {
        words += " switch";
    }
    if len < buf.len() {
        words += &format!(" rest:{}", buf.len() - len);
    }
    words
}

#[test]
fn every_answer_of_the_file_gets_its_verdict_however_it_is_cut() {
    let cases = cases::read(CASES);
    assert!(cases.len() > 40);
    let mut head = ResponseHead::new();
    for case in &cases {
        let facts = facts(case);
        for cut in cases::cuts(case.bytes.len()) {
            head.clear();
            let parsed = match head.parse(&case.bytes[..cut], &Limits::SERVER, &facts) {
                Ok(None) => head.parse(&case.bytes, &Limits::SERVER, &facts),
                verdict => verdict,
            };
            assert_eq!(describe(&head, &case.bytes, parsed), case.verdict, "{} cut at {cut}", case.name);
        }
    }
}

#[test]
fn an_answer_that_drips_in_gets_the_same_verdict() {
    let mut head = ResponseHead::new();
    for case in cases::read(CASES) {
        let facts = facts(&case);
        head.clear();
        let mut ends = 0..=case.bytes.len();
        let verdict = ends.find_map(|end| match head.parse(&case.bytes[..end], &Limits::SERVER, &facts) {
            Ok(None) => None,
            verdict => Some(verdict),
        });
        assert_eq!(describe(&head, &case.bytes, verdict.unwrap_or(Ok(None))), case.verdict, "{}", case.name);
    }
}

#[test]
fn a_server_that_speaks_another_protocol_is_found_out_at_its_first_byte() {
    let mut head = ResponseHead::new();
    let verdict = head.parse(b"\x15", &Limits::SERVER, &RequestFacts::default());
    assert_eq!(verdict, Err(ResponseError::BadStatusLine));
}

#[test]
fn the_reason_is_kept_as_it_came() {
    let bytes = b"HTTP/1.1 404 Gar nicht da\r\nContent-Length: 0\r\n\r\n";
    let mut head = ResponseHead::new();
    head.parse(bytes, &Limits::SERVER, &RequestFacts::default()).unwrap();
    assert_eq!((head.status(), head.reason(bytes)), (404, &b"Gar nicht da"[..]));
}
