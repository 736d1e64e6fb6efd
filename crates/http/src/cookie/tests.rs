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
        let any = write_ruled(&mut out, value.as_bytes(), &[CookieRule { name: b"srv", until: None }]);
        assert_eq!(any.then(|| String::from_utf8_lossy(&out[1..]).into_owned()).as_deref(), wanted, "{value}");
    }
}

#[test]
fn ten_thousand_cookies_are_only_long() {
    let value = "a=b;".repeat(10_000) + "srv=1";
    let mut out = Vec::new();
    assert!(write_ruled(&mut out, value.as_bytes(), &[CookieRule { name: b"srv", until: None }]));
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
        same_site: Some(SameSite::None),
        partitioned: true,
        ..plain
    };
    full.write(&mut out);
    assert_eq!(out, b"srv=x; Path=/app; Domain=example.com; Max-Age=3600; Secure; SameSite=None; Partitioned");
}

#[test]
fn what_stands_before_a_cookie_s_own_value_stays_with_us() {
    let rules =
        [CookieRule { name: b"__Host-srv", until: None }, CookieRule { name: b"JSESSIONID", until: Some(b'~') }];
    for (value, wanted) in [
        ("JSESSIONID=s1~abc", Some("JSESSIONID=abc")),
        ("a=1; JSESSIONID=s1~abc~d; __Host-srv=x", Some("a=1; JSESSIONID=abc~d")),
        ("JSESSIONID=abc; b=2", Some("JSESSIONID=abc; b=2")),
        ("JSESSIONID=; b=~", Some("JSESSIONID=; b=~")),
        ("__Host-srv=1", None),
    ] {
        let mut out = Vec::new();
        let any = write_ruled(&mut out, value.as_bytes(), &rules);
        assert_eq!(any.then(|| String::from_utf8_lossy(&out).into_owned()).as_deref(), wanted, "{value}");
    }
}

#[test]
fn a_cookie_that_a_server_sets_is_dropped_replaced_or_prefixed() {
    let rules = [
        SetCookieRule { name: b"drop", action: SetCookieAction::Drop },
        SetCookieRule { name: b"own", action: SetCookieAction::Replace(b"s1") },
        SetCookieRule { name: b"SID", action: SetCookieAction::Prefix(b"s1~") },
    ];
    for (value, wanted) in [
        ("drop=1; Path=/", None),
        ("own=anything; Path=/a; HttpOnly", Some("own=s1; Path=/a; HttpOnly")),
        ("own=x", Some("own=s1")),
        ("own=; Max-Age=0", Some("own=; Max-Age=0")),
        (" SID = abc ; Secure", Some("SID=s1~abc; Secure")),
        ("SID=", Some("SID=")),
        ("other=1; drop=2", Some("other=1; drop=2")),
        ("junk", Some("junk")),
    ] {
        let mut out = Vec::new();
        let any = write_ruled_set(&mut out, value.as_bytes(), &rules);
        assert_eq!(any.then(|| String::from_utf8_lossy(&out).into_owned()).as_deref(), wanted, "{value}");
    }
}

#[test]
fn a_cookie_that_is_deleted_is_known_for_it() {
    const NOW: u64 = 1_795_223_563;
    for (value, wanted) in [
        ("sid=abc; Path=/", Some(("sid", Some("abc")))),
        ("sid=abc; Max-Age=10; Expires=Thu, 01 Jan 1970 00:00:00 GMT", Some(("sid", Some("abc")))),
        ("sid=abc; max-age=0", Some(("sid", None))),
        ("sid=abc; Max-Age=-1; Expires=Fri, 31 Dec 2099 00:00:00 GMT", Some(("sid", None))),
        ("sid=abc; expires=Thu, 01-Jan-1970 00:00:01 GMT", Some(("sid", None))),
        ("sid=abc; Expires=Sat, 21 Nov 2026 01:12:42 GMT", Some(("sid", None))),
        ("sid=abc; Expires=Sat, 21 Nov 2026 01:12:44 GMT", Some(("sid", Some("abc")))),
        ("sid=abc; Expires=never", Some(("sid", Some("abc")))),
        ("sid=; Path=/", Some(("sid", None))),
        ("sid=abc; Max-Age=", Some(("sid", Some("abc")))),
        ("sid=abc; Max-Age=-", Some(("sid", Some("abc")))),
        ("sid=abc; Max-Age=0x; Max-Age=00", Some(("sid", None))),
        ("sid=abc; Max-Age=; Expires=Thu, 01 Jan 1970 00:00:00 GMT", Some(("sid", None))),
        ("nothing", None),
    ] {
        let wanted = wanted.map(|(name, value): (&str, Option<&str>)| (name.as_bytes(), value.map(str::as_bytes)));
        assert_eq!(set_pair(value.as_bytes(), NOW), wanted, "{value}");
    }
}

#[test]
fn the_last_word_of_an_answer_on_a_cookie_counts() {
    for (fields, wanted) in [
        ("Set-Cookie: SESSION=abc; Path=/", Told::Set(b"abc")),
        ("Set-Cookie: other=1\r\nSet-Cookie: SESSION=abc", Told::Set(b"abc")),
        ("Set-Cookie: SESSION=old\r\nSet-Cookie: SESSION=new; HttpOnly", Told::Set(b"new")),
        ("Set-Cookie: SESSION=gone; Max-Age=0", Told::Deleted),
        ("Set-Cookie: SESSION=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT; Max-Age=0; path=/", Told::Deleted),
        ("Set-Cookie: SESSION=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT", Told::Deleted),
        ("Set-Cookie: SESSION=; Path=/", Told::Deleted),
        ("Set-Cookie: session=abc", Told::Nothing),
        ("Cookie: SESSION=abc", Told::Nothing),
    ] {
        let buf = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n").into_bytes();
        let facts = crate::RequestFacts { method: crate::Method::Get, ..Default::default() };
        let mut parsed = crate::ResponseHead::new();
        parsed.parse(&buf, &Limits::default(), &facts).unwrap().unwrap();
        assert_eq!(told(parsed.fields(), &buf, b"SESSION", 1_795_223_563), wanted, "{fields}");
    }
}
