//! Cookies found, taken out and set, with what applications send that are none.

use super::*;
use crate::message::Limits;
use crate::request::RequestHead;

#[test]
fn cookies_are_found_over_all_fields_in_order() {
    let bytes = b"GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1; srv=x\r\nCookie:srv=y;SRV=z; srv =\"q\"\r\n\r\n";
    let mut head = RequestHead::new();
    head.parse(bytes, &Limits::default()).unwrap();
    let found: Vec<&[u8]> = values(head.fields(), bytes, b"srv").collect();
    assert_eq!(found, [&b"x"[..], b"y", b"\"q\""]);
    assert_eq!(values(head.fields(), bytes, b"none").count(), 0);
}

#[test]
fn what_is_no_cookie_is_passed_over() {
    for (value, wanted) in [
        ("", vec![]),
        (";;=;", vec![]),
        ("; ; =x", vec![]),
        ("a", vec![]),
        ("a=", vec![("a", "")]),
        ("a=b=c", vec![("a", "b=c")]),
        (" a = b ;c=d", vec![("a", "b"), ("c", "d")]),
        ("$Version=1; a=1", vec![("$Version", "1"), ("a", "1")]),
    ] {
        let wanted: Vec<(&[u8], &[u8])> = wanted.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
        assert_eq!(pairs(value.as_bytes()).collect::<Vec<_>>(), wanted, "{value}");
    }
}

#[test]
fn a_cookie_is_taken_out_and_the_rest_keeps_its_bytes() {
    for (value, wanted) in [
        ("srv=1", None),
        ("srv=1; srv=2", None),
        (" srv=1 ;", None),
        ("a=1; srv=x; b=2", Some("a=1; b=2")),
        ("srv=x; a=1", Some("a=1")),
        ("a=1;srv=x", Some("a=1")),
        ("a=1;  b=2", Some("a=1;  b=2")),
        ("mysrv=1; srvx=2", Some("mysrv=1; srvx=2")),
        ("srv", Some("srv")),
        ("a=srv; junk;; srv=1", Some("a=srv; junk;")),
    ] {
        let mut out = b"<".to_vec();
        let any = write_without(&mut out, value.as_bytes(), b"srv");
        assert_eq!(any.then(|| String::from_utf8_lossy(&out[1..]).into_owned()).as_deref(), wanted, "{value}");
    }
}

#[test]
fn ten_thousand_cookies_are_only_long() {
    let value = "a=b;".repeat(10_000) + "srv=1";
    let mut out = Vec::new();
    assert!(write_without(&mut out, value.as_bytes(), b"srv"));
    assert_eq!(pairs(&out).count(), 10_000);
}

#[test]
fn set_cookie_is_written_in_full() {
    let mut out = Vec::new();
    let plain = SetCookie::new(b"srv", b"x");
    plain.write(&mut out);
    assert_eq!(out, b"srv=x; Path=/; HttpOnly; SameSite=Lax");
    assert_eq!(set_name(&out), Some(&b"srv"[..]));
    assert_eq!(set_name(b"; srv=x"), None);
    out.clear();
    let full = SetCookie {
        path: b"/app",
        domain: Some(b"example.com"),
        max_age: Some(3600),
        secure: true,
        http_only: false,
        same_site: SameSite::None,
        ..plain
    };
    full.write(&mut out);
    assert_eq!(out, b"srv=x; Path=/app; Domain=example.com; Max-Age=3600; Secure; SameSite=None");
}
