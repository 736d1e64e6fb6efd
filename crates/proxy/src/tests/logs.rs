//! Access log lines, byte for byte where they do not depend on the clock.

use bytes::Bytes;

use super::http2::{Http2, request};
use super::rig::{Client, Origin, Rig, config, pool, run};
use crate::ErrorPages;
use evenkeel_model::config::{AccessLog, LogFormat, LogRule, LogSubject, LogTarget, PathPattern, StatusRange};
use evenkeel_model::{Template, TemplatePart, Variable};

/// Replaces runs of digits by `#`, so that times and ports compare equal.
fn masked(line: &str) -> String {
    let mut out = String::new();
    for character in line.chars() {
        match character {
            '0'..='9' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            _ => out.push(character),
        }
    }
    out
}

async fn line_of(format: LogFormat, request: &str) -> String {
    let origin = Origin::saying("hello").await;
    let mut config = config(pool(&[&origin]));
    config.listeners[0].sites[0].logs[0].format = format;
    let rig = Rig::start(config).await;
    let mut client = Client::connect(&rig).await;
    client.send(request).await;
    client.answer().await;
    rig.lines(1).await.remove(0)
}

const REQUEST: &str = "GET /a?b=c HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: curl \"x\"\r\nReferer: http://r/\r\n\
                       Authorization: Basic b3BzOnNlY3JldA==\r\n\r\n";

#[test]
fn the_combined_format_is_the_customary_one() {
    run(async {
        let line = line_of(LogFormat::Combined, REQUEST).await;
        let (front, rest) = line.split_once(" [").unwrap();
        let (_, back) = rest.split_once("] ").unwrap();
        assert_eq!(front, "127.0.0.1 - ops");
        assert_eq!(back, "\"GET /a?b=c HTTP/1.1\" 200 5 \"http://r/\" \"curl \\\"x\\\"\"");
    });
}

#[test]
fn the_haproxy_format_is_that_of_its_httplog() {
    run(async {
        let line = line_of(LogFormat::Haproxy, REQUEST).await;
        let (_, after_date) = line.split_once("] ").unwrap();
        assert_eq!(masked(after_date), ":test shop/a #/#/#/#/# # # - - ---- #/#/#/#/# #/# \"GET /a?b=c HTTP/#.#\"");
        assert!(after_date.contains(" 200 "), "{line}");
    });
}

#[test]
fn the_json_format_has_every_fact() {
    run(async {
        let line = line_of(LogFormat::Json, REQUEST).await;
        let mut shape = masked(&line);
        let (before, after) = shape.split_once("\"id\":\"").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        shape = format!("{before}\"id\":\"…{}", after.split_once('"').map(|(_, rest)| format!("\"{rest}")).unwrap());
        assert_eq!(
            shape,
            "{\"time\":\"#-#-#T#:#:#.#Z\",\"client\":\"#.#.#.#\",\"id\":\"…\",\"method\":\"GET\",\"host\":\"shop.example\",\
             \"target\":\"/a?b=c\",\"protocol\":\"HTTP/#.#\",\"status\":#,\"bytes\":#,\"body_bytes\":#,\"bytes_in\":#,\
             \"listener\":\":test\",\"route\":\"*\",\"pool\":\"shop\",\"server\":\"a\",\"server_addr\":\"#.#.#.#:#\",\
             \"sticky\":\"none\",\"retries\":#,\"end\":\"ok\",\"conn_requests\":#,\"t_head\":#.#,\"t_queue\":#.#,\
             \"t_connect\":#.#,\"t_first\":#.#,\"t_total\":#.#,\"referer\":\"http://r/\",\"user_agent\":\"curl \\\"x\\\"\"}"
        );
        assert!(line.contains("\"status\":200,") && line.contains("\"body_bytes\":5,"), "{line}");
    });
}

#[test]
fn a_format_of_ones_own_has_a_dash_for_what_is_not_there() {
    run(async {
        let text = |text: &str| TemplatePart::Text(text.to_owned());
        let template = Template {
            parts: vec![
                TemplatePart::Variable(Variable::Xff),
                text(" "),
                TemplatePart::Variable(Variable::Status),
                text(" "),
                TemplatePart::Variable(Variable::Pool),
                text("/"),
                TemplatePart::Variable(Variable::Server),
                text(" "),
                TemplatePart::Variable(Variable::ResponseField("content-length".to_owned())),
                text(" "),
                TemplatePart::Variable(Variable::Query("b".to_owned())),
                text("\n"),
                TemplatePart::Variable(Variable::End),
            ],
        };
        assert_eq!(line_of(LogFormat::Custom(template), REQUEST).await, "- 200 shop/a 5 c ok");
    });
}

#[test]
fn what_a_client_sends_stays_in_its_line() {
    run(async {
        let request = "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: x\u{1b}[31m\r\n\r\n";
        // A control character does not get as far as a log; high bytes do, escaped.
        let line = line_of(LogFormat::Combined, request).await;
        assert!(line.contains("\" 400 ") && !line.contains('\u{1b}'), "{line}");
        let line = line_of(LogFormat::Combined, "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \u{9b}x\r\n\r\n").await;
        assert!(line.ends_with("\"\\xc2\\x9bx\""), "{line}");
    });
}

#[test]
fn rules_leave_lines_out_and_the_first_that_fits_decides() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut config = config(pool(&[&origin]));
        let path = |text: &str| LogSubject::Path(PathPattern::Exact(text.to_owned()));
        config.listeners[0].sites[0].logs = vec![AccessLog {
            to: LogTarget::Stdout,
            format: LogFormat::Custom(Template { parts: vec![TemplatePart::Variable(Variable::Target)] }),
            rules: vec![
                LogRule { subjects: vec![path("/kept"), LogSubject::Method("GET".to_owned())], keep_percent: 100 },
                LogRule { subjects: vec![path("/check.txt")], keep_percent: 0 },
                LogRule { subjects: vec![LogSubject::Status(StatusRange { first: 200, last: 299 })], keep_percent: 0 },
            ],
        }];
        let rig = Rig::start(config).await;
        let mut client = Client::connect(&rig).await;
        for target in ["/check.txt", "/other", "/./check.txt", "/kept"] {
            client.get(target).await;
        }
        client.send("BAD\r\n\r\n").await;
        client.answer().await;
        assert_eq!(rig.lines(2).await, ["/kept", "-"]);
    });
}

#[test]
fn a_request_that_no_text_can_say_is_refused_like_any_other() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].sites[0].errors = Some("/pages".into());
        let mut rig = Rig::start(config).await;
        rig.pages = ErrorPages::new(vec![("431.html".to_owned(), b"of the house".to_vec())]);
        rig.reload().await;
        let mut client = Http2::connect(&rig).await;
        let mut many = request("GET", "/many?q=1");
        many.headers_mut().insert("accept", "text/html".parse().unwrap());
        many.headers_mut().insert("user-agent", "told".parse().unwrap());
        for number in 0..150 {
            many.headers_mut().append("x-field", number.into());
        }
        let mut odd = request("POST", "/te");
        odd.headers_mut().insert("x-odd", "blank ".parse().unwrap());
        let mut unknown = request("CONNECT", "/other");
        unknown.extensions_mut().insert(h2::ext::Protocol::from_static("other"));
        for (asked, is_end, status) in [(many, true, 431), (odd, false, 400), (unknown, false, 501)] {
            let (answer, mut stream) = client.send(asked, is_end).await;
            if !is_end {
                // A body under way takes nothing from the answer.
                let _ = stream.send_data(Bytes::from_static(b"some"), true);
            }
            let got = answer.whole().await.unwrap();
            assert_eq!(got.status, status);
            assert!(got.fields.get("date").is_some() && got.fields.get("content-type").is_some(), "{got:?}");
            assert_eq!(got.body == b"of the house", status == 431, "{got:?}");
        }
        assert_eq!(client.get("/").await.body, b"x");
        let lines = rig.lines(4).await;
        for (line, told) in lines.iter().zip(["/many?q=1", "/te", "/other"]) {
            assert!(line.contains(told) && line.contains("\"end\":\"client-error\""), "{line}");
        }
        assert!(
            lines[0].contains("\"told\"") && lines[0].contains("431") && lines[0].contains("a.example"),
            "{}",
            lines[0]
        );
        assert_eq!(origin.count(), 1);
    });
}
