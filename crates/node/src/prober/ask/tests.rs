//! Answers in, outcomes out.

use evenkeel_model::config::BodyMatch;

use super::*;

fn check() -> HttpCheck {
    HttpCheck {
        method: "GET".to_owned(),
        target: "/check.txt".to_owned(),
        http10: false,
        host: None,
        fields: Vec::new(),
        expect: vec![StatusRange { first: 200, last: 399 }],
        body: None,
    }
}

fn with_text(text: &str) -> HttpCheck {
    HttpCheck { body: Some(BodyMatch { text: text.to_owned() }), ..check() }
}

/// Feeds the answer in pieces of one size, then the end of the stream.
fn judge(check: &HttpCheck, answer: &str, piece: usize) -> Result<Option<String>, (Reason, Option<String>)> {
    let mut judge = Judge::new(check, "10.0.0.1:80".to_owned());
    let fed = answer.as_bytes().chunks(piece).find_map(|bytes| judge.feed(bytes));
    match fed.unwrap_or_else(|| judge.end()) {
        CheckOutcome::Passed { answer } => Ok(answer),
        CheckOutcome::Failed(failure) => Err((failure.reason, failure.answer)),
        CheckOutcome::Local { detail } => panic!("a judge knows nothing of our side: {detail}"),
    }
}

#[test]
fn a_request_says_who_asks_and_closes() {
    let text = String::from_utf8(request(&check(), "10.0.0.1:8080")).unwrap();
    assert_eq!(
        text,
        "GET /check.txt HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nUser-Agent: evenkeel-check\r\nAccept: */*\r\n\
         Connection: close\r\n\r\n"
    );
}

#[test]
fn an_old_request_has_no_host_unless_one_is_set() {
    let old = HttpCheck { http10: true, method: "HEAD".to_owned(), ..check() };
    let text = String::from_utf8(request(&old, "10.0.0.1:80")).unwrap();
    assert!(text.starts_with("HEAD /check.txt HTTP/1.0\r\nUser-Agent"), "{text}");
    let named = HttpCheck { host: Some("shop.example".to_owned()), ..old };
    let text = String::from_utf8(request(&named, "10.0.0.1:80")).unwrap();
    assert!(
        text.contains("\r\nHost: shop.example\r\n") || text.contains("HTTP/1.0\r\nHost: shop.example\r\n"),
        "{text}"
    );
}

#[test]
fn own_fields_replace_ours() {
    let own = HttpCheck { fields: vec![("user-agent".to_owned(), "x".to_owned())], ..check() };
    let text = String::from_utf8(request(&own, "a:1")).unwrap();
    assert!(text.contains("user-agent: x\r\n") && !text.contains("evenkeel-check"), "{text}");
}

#[test]
fn the_status_decides_whatever_the_pieces() {
    let cases: &[(&str, Result<&str, Reason>)] = &[
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Ok("HTTP/1.1 200 OK")),
        ("HTTP/1.0 204 No Content\r\n\r\n", Ok("HTTP/1.0 204 No Content")),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", Ok("HTTP/1.1 302 Found")),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", Err(Reason::StatusMismatch)),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", Err(Reason::AnswerMalformed)),
        ("HTTP/1.1 200 OK\r\nContent-Le", Err(Reason::ConnectionLost)),
        ("", Err(Reason::ConnectionLost)),
    ];
    for (answer, expected) in cases {
        for piece in [1, 7, 4096] {
            let got = judge(&check(), answer, piece);
            match expected {
                Ok(line) => assert_eq!(got, Ok(Some((*line).to_owned())), "{answer:?} by {piece}"),
                Err(reason) => assert_eq!(got.unwrap_err().0, *reason, "{answer:?} by {piece}"),
            }
        }
    }
}

#[test]
fn a_text_is_found_across_pieces_and_chunks() {
    let sized = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nall is well";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nall i\r\n6\r\ns well\r\n0\r\n\r\n";
    let until_close = "HTTP/1.1 200 OK\r\n\r\nall is well";
    for answer in [sized, chunked, until_close] {
        for piece in [1, 5, 4096] {
            assert!(judge(&with_text("is well"), answer, piece).is_ok(), "{answer:?} by {piece}");
            assert_eq!(judge(&with_text("is bad"), answer, piece).unwrap_err().0, Reason::BodyMismatch, "{answer:?}");
        }
    }
}

#[test]
fn a_body_is_searched_up_to_its_cap_and_no_further() {
    let long = format!("HTTP/1.1 200 OK\r\n\r\n{}needle", "x".repeat(caps::CHECK_BODY_BYTES));
    assert_eq!(judge(&with_text("needle"), &long, 4096).unwrap_err().0, Reason::BodyMismatch);
}

#[test]
fn a_quoted_line_is_printable_and_short() {
    let long = format!("HTTP/1.1 500 \u{1}{}", "y".repeat(300));
    let line = first_line(long.as_bytes()).unwrap();
    assert!(line.len() <= QUOTED_BYTES && line.contains('?'), "{line}");
}
