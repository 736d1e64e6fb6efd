//! Normal forms and rewrites of paths; no rewrite may lead where its prefix does not.

use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

use super::*;

fn normal(raw: &[u8]) -> Vec<u8> {
    normal_path(raw, &mut Vec::new()).to_vec()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_normal_form_is_that_of_the_rfc_with_slashes_merged() {
    for (raw, wanted) in [
        ("/", "/"),
        ("/a/b.c", "/a/b.c"),
        ("/a/./b/../c", "/a/c"),
        ("/a/b/..", "/a/"),
        ("/a/b/.", "/a/b/"),
        ("/..", "/"),
        ("/../../a", "/a"),
        ("/.a/..b/c..", "/.a/..b/c.."),
        ("//admin", "/admin"),
        ("/a//b///", "/a/b/"),
        ("/a//../b", "/b"),
        ("/pub/%2e%2E/admin", "/admin"),
        ("/%61%7e%5f", "/a~_"),
        ("/a%2fb", "/a%2Fb"),
        ("/a%2f%2e%2e%2fb", "/a%2F..%2Fb"),
        ("/%c3%a4", "/%C3%A4"),
        ("/%252e%252e/a", "/%252e%252e/a"),
        ("/a;v=1/b", "/a;v=1/b"),
        ("/%a%61", "/%25aa"),
        ("*", "*"),
    ] {
        assert_eq!(text(&normal(raw.as_bytes())), wanted, "{raw}");
    }
}

#[test]
fn a_path_in_normal_form_is_not_copied() {
    let raw = b"/a/b.c/d";
    let mut scratch = Vec::new();
    assert_eq!(normal_path(raw, &mut scratch).as_ptr(), raw.as_ptr());
    assert_eq!(scratch.capacity(), 0);
}

fn rewritten(raw: &str, strip: Option<&str>, add: Option<&str>) -> String {
    let rewrite = PathRewrite { strip: strip.map(str::to_owned), add: add.map(str::to_owned) };
    let mut out = Vec::new();
    rewrite_path(&mut out, raw.as_bytes(), &normal(raw.as_bytes()), &rewrite);
    text(&out)
}

#[test]
fn prefixes_go_and_come_as_whole_segments() {
    for (raw, strip, add, wanted) in [
        ("/api/users", Some("/api"), None, "/users"),
        ("/api", Some("/api"), None, "/"),
        ("/api/", Some("/api/"), None, "/"),
        ("/apis/users", Some("/api"), None, "/apis/users"),
        ("/other", Some("/api"), None, "/other"),
        ("/a", None, Some("/v1"), "/v1/a"),
        ("/a", None, Some("/v1/"), "/v1/a"),
        ("/api/a%2fb", Some("/api"), Some("/v1"), "/v1/a%2fb"),
        ("/a", Some("/"), None, "/a"),
        ("*", Some("/api"), Some("/v1"), "*"),
    ] {
        assert_eq!(rewritten(raw, strip, add), wanted, "{raw} {strip:?} {add:?}");
    }
}

#[test]
fn no_segment_leads_out_of_a_prefix() {
    for (raw, strip, add, wanted) in [
        ("/api/../api/x", Some("/api"), None, "/x"),
        ("/%61pi/a%20b", Some("/api"), None, "/a%20b"),
        ("/../secret", None, Some("/v1"), "/v1/secret"),
        ("/%2e%2e/secret", None, Some("/v1"), "/v1/secret"),
        ("//api/x", Some("/api"), None, "/x"),
        ("/api//x", Some("/api"), None, "/x"),
    ] {
        assert_eq!(rewritten(raw, strip, add), wanted, "{raw} {strip:?} {add:?}");
    }
}

#[test]
fn a_query_is_found_by_unescaped_name_and_given_as_written() {
    let query = b"a=1&b=x%20y&&c&d=&%61=2&sid=abc=";
    for (name, wanted) in
        [("a", Some("1")), ("b", Some("x%20y")), ("c", Some("")), ("d", Some("")), ("sid", Some("abc=")), ("x", None)]
    {
        assert_eq!(query_value(query, name.as_bytes()).map(text), wanted.map(str::to_owned), "{name}");
    }
    assert_eq!(query_value(b"%61b=2", b"ab"), Some(&b"2"[..]));
    assert!(means(b"a+b%2Bc%", b"a b+c%"));
    assert!(!means(b"a", b"ab") && !means(b"ab", b"a"));
}

proptest! {
    #[test]
    fn the_normal_form_is_its_own_normal_form(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "/", "//", ".", "..", "a", "%2e", "%2E", "%2f", "%61", "%25", "%", "%4", ";", "%c3%a4", "~", "%7E",
        ]), 0..12),
    ) {
        let raw = format!("/{}", pieces.concat());
        let once = normal(raw.as_bytes());
        prop_assert_eq!(text(&normal(&once)), text(&once));
        prop_assert!(once.starts_with(b"/"));
        prop_assert!(!once.split(|&b| b == b'/').any(|segment| segment == b"." || segment == b".."));
    }

    #[test]
    fn a_prefix_added_is_never_left(
        pieces in prop::collection::vec(prop::sample::select(vec!["/", "//", ".", "..", "a", "%2e", "%2f"]), 0..10),
    ) {
        let raw = format!("/{}", pieces.concat());
        let out = rewritten(&raw, None, Some("/v1"));
        let landed = normal(out.as_bytes());
        prop_assert!(below(&landed, b"/v1").is_some(), "{} became {}", raw, out);
    }
}

#[test]
fn path_parameters_are_found_in_any_segment() {
    for (path, wanted) in [
        ("/cart;jsessionid=abc", Some("abc")),
        ("/a;x=1;jsessionid=abc/b;y=2", Some("abc")),
        ("/a;JSESSIONID=abc", None),
        ("/jsessionid=abc", None),
        ("/a;jsessionid", None),
        ("/a;jsessionid=", Some("")),
        ("/a;j%73essionid=1;jsessionid=2", Some("1")),
    ] {
        assert_eq!(path_parameter(path.as_bytes(), b"jsessionid"), wanted.map(str::as_bytes), "{path}");
    }
}
