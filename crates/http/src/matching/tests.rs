//! Matchers, and globs against their meaning written down plainly.

use proptest::prelude::{prop, prop_assert_eq, proptest};

use super::*;
use crate::message::Limits;

#[test]
fn paths_fit_exactly_below_and_by_glob() {
    let exact = PathPattern::Exact("/a".into());
    let below = PathPattern::Below("/a".into());
    for (path, is_exact, is_below) in
        [("/a", true, true), ("/a/", false, true), ("/a/b", false, true), ("/ab", false, false)]
    {
        assert_eq!(
            (path_fits(&exact, path.as_bytes()), path_fits(&below, path.as_bytes())),
            (is_exact, is_below),
            "{path}"
        );
    }
    assert!(path_fits(&PathPattern::Any, b"*"));
    for (glob, path, wanted) in [
        ("/img/*.png", "/img/a.png", true),
        ("/img/*.png", "/img/a/b.png", false),
        ("/img/**.png", "/img/a/b.png", true),
        ("/img/*.png", "/img/.png", true),
        ("/a?c", "/abc", true),
        ("/a?c", "/a/c", false),
        ("/**/x/*", "/a/b/x/c", true),
        ("/**/x/*", "/a/b/x/c/d", false),
        ("/**", "/", true),
        ("/*/b", "/a/b", true),
        ("/*/b", "/a/c/b", false),
        ("/a*b*c", "/aXbYbZc", true),
        ("/a*", "/a", true),
        ("/a", "/ab", false),
    ] {
        assert_eq!(glob_fits(glob.as_bytes(), path.as_bytes()), wanted, "{glob} on {path}");
    }
}

#[test]
fn a_glob_made_to_be_slow_is_not() {
    // Each of these would take minutes where a mismatch goes back and tries again.
    let path = format!("/{}", "a".repeat(8000));
    for glob in ["/**a*b", "/**a*a*a*a*b", "/*a*a*a*a*a*a*b", "/**a**a**a**a**b"] {
        assert!(!glob_fits(glob.as_bytes(), path.as_bytes()), "{glob}");
    }
}

#[test]
fn a_glob_has_a_longest_length() {
    let glob = "?".repeat(caps::GLOB_BYTES);
    assert!(glob_fits(glob.as_bytes(), "a".repeat(caps::GLOB_BYTES).as_bytes()));
    assert!(!glob_fits("*".repeat(caps::GLOB_BYTES + 1).as_bytes(), b"a"));
}

#[test]
fn hosts_fit_exactly_or_below_a_suffix() {
    let exact = HostPattern::Exact("shop.example.com".into());
    let below = HostPattern::Below(".example.com".into());
    for (host, is_exact, is_below) in [
        ("shop.example.com", true, true),
        ("SHOP.Example.com", true, true),
        ("a.b.example.com", false, true),
        ("example.com", false, false),
        (".example.com", false, false),
        ("badexample.com", false, false),
        ("", false, false),
    ] {
        assert_eq!(
            (host_fits(&exact, host.as_bytes()), host_fits(&below, host.as_bytes())),
            (is_exact, is_below),
            "{host}"
        );
    }
    assert!(hosts_fit(&[], b""));
    assert!(!hosts_fit(&[exact], b"x"));
}

fn wants(name: &str, value: Option<&str>) -> FieldMatch {
    FieldMatch { name: name.to_owned(), value: value.map(str::to_owned) }
}

#[test]
fn a_route_asks_for_all_of_its_conditions() {
    let bytes = b"POST /api/v1?debug=on&x=a%20b HTTP/1.1\r\nHost: Shop.example.com.:80\r\nX-Env: a\r\nx-env: b\r\n\r\n";
    let mut head = RequestHead::new();
    head.parse(bytes, &Limits::default()).unwrap();
    let any = Matcher { path: PathPattern::Any, hosts: vec![], methods: vec![], fields: vec![], query: vec![] };
    let fits = |matcher: &Matcher| matcher_fits(matcher, &head, bytes, head.path(bytes));
    assert!(fits(&any));
    let all = Matcher {
        path: PathPattern::Below("/api".into()),
        hosts: vec![HostPattern::Exact("x".into()), HostPattern::Exact("shop.example.com".into())],
        methods: vec!["GET".into(), "POST".into()],
        fields: vec![wants("x-env", Some("b")), wants("x-env", None)],
        query: vec![wants("debug", None), wants("x", Some("a b"))],
    };
    assert!(fits(&all));
    for missed in [
        Matcher { path: PathPattern::Exact("/api".into()), ..all.clone() },
        Matcher { hosts: vec![HostPattern::Exact("x".into())], ..all.clone() },
        Matcher { methods: vec!["post".into()], ..all.clone() },
        Matcher { fields: vec![wants("x-env", Some("B"))], ..all.clone() },
        Matcher { fields: vec![wants("x-other", None)], ..all.clone() },
        Matcher { query: vec![wants("debug", Some("off"))], ..all.clone() },
        Matcher { query: vec![wants("y", None)], ..all },
    ] {
        assert!(!fits(&missed), "{missed:?}");
    }
    assert!(!query_fits(&wants("a", None), None));
}

#[test]
fn lists_are_asked_member_by_member() {
    assert!(lists([&b"gzip, Br"[..], b"x"], b"br"));
    assert!(!lists([&b"brr"[..]], b"br"));
}

/// The meaning of a glob, written down plainly.
fn plainly(glob: &[u8], path: &[u8]) -> bool {
    match (glob, path) {
        ([], rest) => rest.is_empty(),
        ([b'*', b'*', tail @ ..], _) => (0..=path.len()).any(|at| plainly(tail, &path[at..])),
        ([b'*', tail @ ..], _) => {
            (0..=path.iter().take_while(|b| **b != b'/').count()).any(|at| plainly(tail, &path[at..]))
        }
        ([b'?', tail @ ..], [byte, rest @ ..]) => *byte != b'/' && plainly(tail, rest),
        ([wanted, tail @ ..], [byte, rest @ ..]) => wanted == byte && plainly(tail, rest),
        _ => false,
    }
}

proptest! {
    #[test]
    fn globs_mean_what_they_plainly_mean(
        glob in prop::collection::vec(prop::sample::select(vec!["*", "**", "?", "/", "a", "b"]), 0..8),
        path in prop::collection::vec(prop::sample::select(b"/ab*?".to_vec()), 0..10),
    ) {
        let glob = glob.concat();
        prop_assert_eq!(glob_fits(glob.as_bytes(), &path), plainly(glob.as_bytes(), &path));
    }
}
