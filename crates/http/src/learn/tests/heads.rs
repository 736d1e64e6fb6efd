//! What heads of answers and requests tell.

use super::*;
use crate::message::{Limits, Method};

/// A parsed answer.
fn answer(head: &str) -> (ResponseHead, Vec<u8>) {
    let buf = format!("HTTP/1.1 {}\r\n\r\n", head.replace('\n', "\r\n")).into_bytes();
    let facts = crate::RequestFacts { method: Method::Get, ..Default::default() };
    let mut parsed = ResponseHead::new();
    parsed.parse(&buf, &Limits::default(), &facts).unwrap().unwrap();
    (parsed, buf)
}

fn links(head: &str) -> Vec<String> {
    let (parsed, buf) = answer(head);
    let mut told = Vec::new();
    in_head_links(parsed.fields(), &buf, &names(), &own(), &mut |id| {
        told.push(String::from_utf8(id.to_vec()).unwrap());
    });
    told
}

#[test]
fn links_of_heads_are_read() {
    for (head, wanted) in [
        ("302 Found\nLocation: /x?sid=a1B2c3D4e5", Some("a1B2c3D4e5")),
        ("302 Found\nLocation: http://shop.example.com/x?a=b&sid=a1B2c3D4e5#y", Some("a1B2c3D4e5")),
        ("302 Found\nLocation: /x;jsessionid=a1B2c3D4e5?a=b", Some("a1B2c3D4e5")),
        ("200 OK\nRefresh: 3; url=/x?sid=a1B2c3D4e5", Some("a1B2c3D4e5")),
        ("200 OK\nContent-Location: /x?sid=a1B2c3D4e5", Some("a1B2c3D4e5")),
        ("200 OK\nLink: </x?sid=a1B2c3D4e5>; rel=next", Some("a1B2c3D4e5")),
        ("302 Found\nLocation: http://other.example/x?sid=a1B2c3D4e5", None),
        ("302 Found\nX-Other: /x?sid=a1B2c3D4e5", None),
    ] {
        assert_eq!(links(head), wanted.into_iter().collect::<Vec<_>>(), "{head}");
    }
}

#[test]
fn only_whole_pages_are_searched() {
    for (head, wanted) in [
        ("200 OK\nContent-Type: text/html\nContent-Length: 5", true),
        ("200 OK\nContent-Type: TEXT/HTML ; charset=utf-8\nContent-Length: 5", true),
        ("302 Found\nContent-Type: application/xhtml+xml\nContent-Length: 5", true),
        ("200 OK\nContent-Type: text/html\nContent-Length: 0", false),
        ("200 OK\nContent-Type: application/json\nContent-Length: 5", false),
        ("200 OK\nContent-Length: 5", false),
        ("206 Partial Content\nContent-Type: text/html\nContent-Length: 5", false),
        ("304 Not Modified\nContent-Type: text/html", false),
        ("404 Not Found\nContent-Type: text/html\nContent-Length: 5", false),
        ("500 Oops\nContent-Type: text/html\nContent-Length: 5", false),
    ] {
        let (parsed, buf) = answer(head);
        assert_eq!(is_page(&parsed, &buf), wanted, "{head}");
    }
}

#[test]
fn codings_are_known_by_their_words() {
    for (field, wanted) in [
        ("X: y", Some(Coding::Identity)),
        ("Content-Encoding: identity", Some(Coding::Identity)),
        ("Content-Encoding: GZIP", Some(Coding::Gzip)),
        ("Content-Encoding: br", Some(Coding::Brotli)),
        ("Content-Encoding: gzip, br", None),
        ("Content-Encoding: gzip\nContent-Encoding: br", None),
        ("Content-Encoding: dcz", None),
    ] {
        let (parsed, buf) = answer(&format!("200 OK\n{field}\nContent-Length: 5"));
        assert_eq!(Coding::of(parsed.fields(), &buf), wanted, "{field}");
    }
}

#[test]
fn only_codings_that_are_read_are_asked_for() {
    for (given, wanted, is_changed) in [
        ("gzip, deflate, br, zstd", "gzip, deflate, br, zstd", false),
        ("gzip;q=0.5,dcb , br", "gzip;q=0.5, br", true),
        ("*", "", true),
        ("", "", false),
    ] {
        let mut out = Vec::new();
        assert_eq!(write_readable(given.as_bytes(), &mut out), is_changed, "{given}");
        assert_eq!(out, wanted.as_bytes(), "{given}");
    }
}

#[test]
fn requests_carry_ids_in_queries_and_paths() {
    let mut out = Vec::new();
    for (query, wanted) in [
        ("sid=a1B2c3D4e5", true),
        ("x=1&sid=a1B2c3D4%655", true),
        ("x=1&SID=a1B2c3D4e5", false),
        ("sid=short", false),
        ("sid=a1B2c3D4e5%00", false),
        ("sid", false),
    ] {
        assert_eq!(id::in_query(query.as_bytes(), b"sid", &mut out), wanted, "{query}");
    }
    for (path, wanted) in [
        ("/cart;jsessionid=a1B2c3D4e5", true),
        ("/cart;x=1;jsessionid=a1B2c3D4e5/more", true),
        ("/cart;jsession%69d=a1B2c3D4e5", true),
        ("/cart;JSESSIONID=a1B2c3D4e5", false),
        ("/jsessionid=a1B2c3D4e5", false),
    ] {
        assert_eq!(id::in_path(path.as_bytes(), b"jsessionid", &mut out), wanted, "{path}");
        assert!(!wanted || out == b"a1B2c3D4e5", "{path}");
    }
}
