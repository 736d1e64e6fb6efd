//! Values, right and wrong, by kind.

use std::time::Duration;

use super::{nearest, read};
use crate::syntax::{Form, Word};
use crate::table::{Kind, Phase};
use crate::{Diagnostics, SourceMap, Span, print};

fn reads(kind: Kind, text: &str) -> Option<super::Value> {
    let file = SourceMap::default().add("t", text);
    let word = Word { text: text.to_owned(), span: Span { file, start: 0, end: text.len() }, form: Form::Bare };
    let mut out = Diagnostics::default();
    let value = read(kind, &word, &mut out);
    assert_eq!(value.is_none(), out.has_errors(), "{kind:?} {text}");
    assert!(out.len() <= 1, "{kind:?} {text}");
    value
}

#[test]
fn a_number_that_nothing_holds_is_out_of_range_and_not_misspelt() {
    let nines = "99999999999999999999";
    let kinds = [
        (Kind::Duration(Duration::ZERO, Duration::from_secs(60)), "s"),
        (Kind::Size(0, 1 << 30), "k"),
        (Kind::Integer(1, 9), ""),
        (Kind::Percent(1, 100), "%"),
    ];
    for (kind, unit) in kinds {
        let text = format!("{nines}{unit}");
        let file = SourceMap::default().add("t", &*text);
        let word = Word { span: Span { file, start: 0, end: text.len() }, text, form: Form::Bare };
        let mut out = Diagnostics::default();
        assert!(read(kind, &word, &mut out).is_none());
        let found = out.into_sorted();
        assert!(found[0].message.contains("is out of range: ") && found[0].notes.is_empty(), "{found:?}");
    }
}

// long: a table, one row a kind
#[test]
fn what_is_right_is_read_and_what_is_wrong_is_reported_once() {
    let day = Duration::from_secs(86_400);
    let endless = "x".repeat(256);
    let cases: &[(Kind, &[&str], &[&str])] = &[
        (
            Kind::Duration(Duration::ZERO, day),
            &["0s", "500ms", "2s", "10m", "24h", "1d"],
            &["2", "", "s", "2 s", "2S", "1.5s", "-1s", "2d", "99999999999999999999s"],
        ),
        (Kind::Size(0, 1 << 30), &["0b", "16k", "1m", "1g"], &["16", "16K", "16kb", "", "2g", "-1k"]),
        (Kind::Integer(1, 9), &["1", "9"], &["0", "10", "x", "", "+1", "1.0"]),
        (Kind::Percent(1, 100), &["1%", "100%"], &["0%", "101%", "20", "%", "x%"]),
        (Kind::Status(200, 599), &["200", "599"], &["199", "600", "0200", "x"]),
        (Kind::Statuses, &["200", "200..399"], &["2xx", "200-399", "399..200", "99", "200..", ".."]),
        (
            Kind::Listen,
            &[":80", "10.0.0.1:80", "[::1]:80", "127.0.0.1:0"],
            &["80", "*:80", "localhost:80", "::1:80", "10.0.0.1", ":99999", "", ":"],
        ),
        (
            Kind::Server,
            &["10.0.0.1:80", "[::1]:80", "web-1.example:80", "a:1"],
            &["10.0.0.1", "http://a:80", "a:0", "::1:80", "10.0.0.256:80", "a b:80", ":80", "", "ä:80"],
        ),
        (
            Kind::Network,
            &["10.0.0.0/8", "10.0.0.1", "::/0", "2001:db8::/32"],
            &["10.0.0.1/8", "10.0.0.0/33", "x", "10.0.0.0/", ""],
        ),
        (Kind::Resolver, &["10.0.0.2", "10.0.0.2:5353", "::1", "[::1]:53"], &["ns1", "", "10.0.0.2:"]),
        (
            Kind::HostPattern,
            &["a.example", "*.example.com", "10.0.0.1", "[::1]", "A.Example."],
            &["*", "a:80", "http://a", ".a.example", "a/b", "", "a..b", "*.*.a"],
        ),
        (
            Kind::PathPattern,
            &["*", "/*", "/a", "/a/*", "/img/*.png", "/a/**/b"],
            &["a", "", "/a?b=c", "/a#b", "/a b", "/../a", "http://h/a", "/ä"],
        ),
        (Kind::UrlPath, &["/a", "/a/b/"], &["a", "/", "/a?b", "/*", ""]),
        (Kind::CookiePath, &["/", "/a/", "/a/b"], &["a", "", "/a;b", "/a,b", "/a b", "/ä"]),
        (Kind::Method, &["GET", "M-SEARCH"], &["get", "", "G T"]),
        (Kind::Field, &["X-A"], &["X-A:", "", "a b", "ä"]),
        (Kind::Secret, &["file:/a", "env:A_B", "cred:sticky"], &["hunter2", "file:a", "env:", "cred:a/b", ""]),
        (Kind::Path, &["/a"], &["a", ""]),
        (Kind::PathOrOff, &["/a", "off"], &["on"]),
        (
            Kind::LogTarget,
            &["/a", "stdout", "syslog", "syslog:/dev/log", "syslog:10.0.0.1:514", "off"],
            &["a", "syslog:host:514", "syslog:", "stderr", ""],
        ),
        (Kind::LogFormat, &["json", "combined", "haproxy", "$status"], &["jsno", "", "$nope", "$status\n$host"]),
        (Kind::MediaType, &["text/html", "text/html; charset=utf-8"], &["html", "", "text/", "a b/c"]),
        (Kind::Protocol, &["h2", "http/1.1", "postgresql", "x"], &["", "a b", "ä", "h2,h3", &endless]),
        (Kind::Account, &["www-data", "_x"], &["-x", "", "a b"]),
        (Kind::Name, &["a", "a-1"], &["-a", "", "a/b"]),
        (Kind::FieldLine, &["X-A:", "X-A: b c"], &["X-A", ": b", "X A: b", "X-A: a\nb"]),
        (Kind::Authority, &["a.example", "a.example:8443", "[::1]:80"], &["a.example:", "http://a", "a/b", ""]),
        (Kind::RetryOn, &["lost", "timeout", "malformed", "503"], &["302", "never", ""]),
        (Kind::ClientField, &["x-forwarded-for", "X-Real-IP", "forwarded", "off"], &["x-forwarded", ""]),
        (
            Kind::Template(Phase::Request),
            &["", "a", "$host", "${host}x", "$$5", "$request.x-y z", "$cookie.a", "$query"],
            &["$", "$statsu", "$status", "$nope.x", "${}", "a $ b", "$response.x"],
        ),
        (Kind::Template(Phase::Answer), &["$status", "$server"], &["$t_total", "$bytes", "$end"]),
        (Kind::Template(Phase::Log), &["$t_total", "$response.x"], &["$nope"]),
    ];
    for (kind, right, wrong) in cases {
        for text in *right {
            assert!(reads(*kind, text).is_some(), "{kind:?} refuses {text:?}");
        }
        for text in *wrong {
            assert!(reads(*kind, text).is_none(), "{kind:?} takes {text:?}");
        }
    }
}

#[test]
fn printed_values_are_read_back() {
    for millis in [0, 1, 500, 1000, 1500, 60_000, 90_000, 3_600_000, 86_400_000, 90_000_000] {
        let duration = Duration::from_millis(millis);
        let text = print::duration(duration);
        assert_eq!(
            reads(Kind::Duration(Duration::ZERO, Duration::from_secs(1 << 30)), &text),
            Some(super::Value::Duration(duration)),
            "{text}"
        );
    }
    for bytes in [0, 1, 1023, 1024, 1536, 1 << 20, 3 << 30] {
        let text = print::size(bytes);
        assert_eq!(reads(Kind::Size(0, u64::MAX), &text), Some(super::Value::Size(bytes)), "{text}");
    }
}

#[test]
fn a_near_miss_finds_what_was_meant() {
    let words = ["balance", "sticky", "check", "server", "to"];
    let cases = [
        ("balanec", Some("balance")),
        ("stickey", Some("sticky")),
        ("Server", Some("server")),
        ("xyz", None),
        ("cheque", None),
        ("t0", Some("to")),
    ];
    for (text, expected) in cases {
        assert_eq!(nearest(text, words.into_iter()), expected, "{text}");
    }
}
