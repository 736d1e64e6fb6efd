//! What hides what, and what does not.

use crate::{Code, MemorySource, Options, load_text};

fn unreachable(routes: &[&str]) -> bool {
    let lines: String = routes.iter().map(|route| format!(" route {route} respond=404\n")).collect();
    let text = format!("http :80 {{\n{lines}}}\n");
    let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default());
    assert!(loaded.config.is_some(), "{text} {:?}", loaded.diagnostics);
    loaded.diagnostics.iter().any(|diagnostic| diagnostic.code == Code::W502)
}

#[test]
fn a_server_at_every_address_is_the_listener_itself() {
    for (listener, server, is_own) in [
        (":80", "0.0.0.0:80", true),
        (":80", "[::]:80", true),
        ("127.0.0.1:80", "0.0.0.0:80", true),
        (":80", "0.0.0.0:81", false),
        ("192.0.2.1:80", "0.0.0.0:80", false),
    ] {
        let text = format!("http {listener} {{\n to {server}\n}}\n");
        let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default());
        assert!(loaded.config.is_some(), "{text} {:?}", loaded.diagnostics);
        let is_found = loaded.diagnostics.iter().any(|diagnostic| diagnostic.code == Code::W511);
        assert_eq!(is_found, is_own, "{text}");
    }
}

#[test]
fn a_route_is_hidden_only_by_one_that_takes_all_of_its_requests() {
    let hidden: [[&str; 2]; 9] = [
        ["*", "/x"],
        ["/a/*", "/a"],
        ["/a/*", "/a/b/*"],
        ["/a/*", "/a/*.png"],
        ["/x host=a.example,b.example", "/x host=a.example"],
        ["/x host=*.example", "/x host=a.b.example"],
        ["/x method=GET,HEAD", "/x method=GET"],
        ["/x header=a", "/x header=a:b"],
        ["/x query=a:b", "/x query=a:b header=c"],
    ];
    let open: [[&str; 2]; 9] = [
        ["/x", "*"],
        ["/a/*", "/ab"],
        ["/a/*", "/a*"],
        ["/x host=a.example", "/x"],
        ["/x host=*.example", "/x host=example"],
        ["/x method=GET", "/x method=GET,HEAD"],
        ["/x header=a:b", "/x header=a"],
        ["/x query=a", "/x header=a"],
        ["/img/*.png", "/img/a.png"],
    ];
    for routes in hidden {
        assert!(unreachable(&routes), "{routes:?}");
    }
    for routes in open {
        assert!(!unreachable(&routes), "{routes:?}");
    }
}

#[test]
fn a_block_is_hidden_only_by_one_with_all_of_its_hosts() {
    let cases = [
        ("", "a.example", true),
        ("*.example", "a.example b.example", true),
        ("a.example", "a.example b.example", false),
        ("a.example", "", false),
    ];
    for (first, second, hidden) in cases {
        let text = format!("http :80 {first} {{\n respond 204\n}}\nhttp :80 {second} {{\n respond 204\n}}\n");
        let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default());
        let found = loaded.diagnostics.iter().any(|diagnostic| diagnostic.code == Code::W506);
        assert_eq!(found, hidden, "{text}");
    }
}

#[test]
fn a_route_below_redirect_https_is_reached_by_who_came_over_tls() {
    for (redirect, is_hiding) in [("redirect=https", false), ("redirect=https://b.example/", true)] {
        let text = format!("http :80 {{\n route * {redirect}\n route * respond=404\n}}\n");
        let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default());
        assert!(loaded.config.is_some(), "{text} {:?}", loaded.diagnostics);
        assert_eq!(loaded.diagnostics.iter().any(|found| found.code == Code::W502), is_hiding, "{redirect}");
    }
}
