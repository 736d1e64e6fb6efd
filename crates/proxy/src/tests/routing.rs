//! Sites, routes, edits, own answers, limits of clients.

use std::time::Duration;

use super::http2::Http2;
use super::rig::{Client, Origin, Rig, config, field, pool, route, run};
use crate::ErrorPages;
use evenkeel_model::config::{
    Action, ClientField, FieldEdit, HostPattern, Network, PathPattern, PathRewrite, Redirect, RedirectTo, Respond, Site,
};
use evenkeel_model::{PoolName, State, Template, TemplatePart, Variable};

fn to_shop() -> Action {
    Action::To(PoolName::new("shop").unwrap())
}

#[test]
fn the_first_route_that_fits_decides() {
    run(async {
        let origin = Origin::saying("shop").await;
        let mut config = config(pool(&[&origin]));
        let said = |text: &str| {
            Action::Respond(Respond { status: 200, content_type: "text/plain".into(), body: Template::literal(text) })
        };
        config.listeners[0].sites[0].routes = vec![
            route(PathPattern::Below("/api".into()), said("api")),
            route(PathPattern::Exact("/api/x".into()), said("never")),
            route(PathPattern::Below("/shop".into()), to_shop()),
        ];
        let rig = Rig::start(config).await;
        let mut client = Client::connect(&rig).await;
        for (path, status, text) in [
            ("/api/x", 200, "api"),
            ("/%61pi", 200, "api"),
            ("/other/../api/y", 200, "api"),
            ("/shop/1", 200, "shop"),
            ("/other", 404, ""),
        ] {
            let answer = client.get(path).await;
            assert_eq!(answer.status(), status, "{path}");
            assert!(status != 200 || answer.text() == text, "{path}: {}", answer.text());
        }
        assert_eq!(origin.count(), 1);
    });
}

#[test]
fn a_trace_goes_on_or_begins() {
    run(async {
        let origin = Origin::saying("shop").await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].sites[0].trace = Some(100);
        let rig = Rig::start(config).await;
        let mut client = Client::connect(&rig).await;
        let given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        let traces = |head: &str| -> Vec<String> {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.filter(|(name, _)| name.eq_ignore_ascii_case("traceparent")).map(|(_, it)| it.to_owned()).collect()
        };
        for (fields, goes_on, state_stays) in [
            (format!("traceparent: {given}\r\ntracestate: a=1\r\n"), true, true),
            ("traceparent: 00-nonsense\r\ntracestate: a=1\r\n".to_owned(), false, false),
            (String::new(), false, false),
        ] {
            client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
            assert_eq!(client.answer().await.status(), 200);
            let head = origin.seen().last().unwrap().head.clone();
            let found = traces(&head);
            assert_eq!(found.len(), 1, "{head}");
            assert_eq!(found[0] == given, goes_on, "{head}");
            assert!(crate::trace::is_well_formed(found[0].as_bytes()), "{head}");
            assert_eq!(head.contains("tracestate: a=1"), state_stays, "{head}");
        }
    });
}

#[test]
fn sites_are_told_apart_by_host() {
    run(async {
        let origin = Origin::saying("shop").await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].sites[0].hosts =
            vec![HostPattern::Exact("shop.example".into()), HostPattern::Below(".shop.example".into())];
        let rig = Rig::start(config).await;
        let mut client = Client::connect(&rig).await;
        for (host, status) in [("SHOP.example:8080", 200), ("www.shop.example", 200), ("other.example", 421)] {
            client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
            assert_eq!(client.answer().await.status(), status, "{host}");
        }
    });
}

#[test]
fn paths_and_fields_are_edited_on_their_way() {
    run(async {
        let origin =
            Origin::answering(|_| b"HTTP/1.1 200 OK\r\nServer: secret\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
        let mut config = config(pool(&[&origin]));
        let mut way = route(PathPattern::Below("/api".into()), to_shop());
        way.rewrite = PathRewrite { strip: Some("/api".into()), add: Some("/v1".into()) };
        let client_of = Template {
            parts: vec![
                TemplatePart::Text("<".into()),
                TemplatePart::Variable(Variable::Client),
                TemplatePart::Text(">".into()),
            ],
        };
        way.request_edits = vec![FieldEdit::Set("X-Client".into(), client_of), FieldEdit::Remove("X-Old".into())];
        way.response_edits =
            vec![FieldEdit::Remove("Server".into()), FieldEdit::Add("X-New".into(), Template::literal("1"))];
        config.listeners[0].sites[0].routes = vec![way];
        let rig = Rig::start(config).await;
        let mut client = Client::connect(&rig).await;
        client.send("GET /api/a%2Fb?q=1 HTTP/1.1\r\nHost: a\r\nX-Old: 1\r\nX-Client: forged\r\n\r\n").await;
        let answer = client.answer().await;
        assert_eq!((answer.field("server"), answer.field("x-new").as_deref()), (None, Some("1")));
        let seen = origin.seen().remove(0);
        assert_eq!(seen.line(), "GET /v1/a%2Fb?q=1 HTTP/1.1");
        assert_eq!((seen.field("x-client").as_deref(), seen.field("x-old")), (Some("<127.0.0.1>"), None));
    });
}

#[test]
fn answers_of_our_own_are_edited_like_a_servers() {
    run(async {
        let mut config = config(pool(&[&Origin::saying("x").await]));
        let respond = Respond { status: 200, content_type: "text/plain".into(), body: Template::literal("here") };
        let site = &mut config.listeners[0].sites[0];
        site.routes = vec![route(PathPattern::Exact("/here".into()), Action::Respond(respond))];
        site.response_edits = vec![
            FieldEdit::Set("content-type".into(), Template::literal("text/x-own")),
            FieldEdit::Add("X-Frame-Options".into(), Template::literal("DENY")),
            FieldEdit::Remove("Cache-Control".into()),
        ];
        let rig = Rig::start(config).await;
        let mut client = Client::connect(&rig).await;
        for (path, status) in [("/here", 200), ("/nowhere", 404)] {
            let answer = client.get(path).await;
            assert_eq!(answer.status(), status);
            assert_eq!(answer.head.to_lowercase().matches("content-type:").count(), 1, "{}", answer.head);
            assert_eq!(answer.field("content-type").as_deref(), Some("text/x-own"));
            assert_eq!(answer.field("x-frame-options").as_deref(), Some("DENY"));
            assert_eq!(answer.field("cache-control"), None);
        }
        client.send("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let refused = client.answer().await;
        assert!(refused.field("allow").is_some_and(|methods| methods.contains("GET")), "{}", refused.head);
    });
}

#[test]
fn the_server_learns_the_client_from_us_alone() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].sites[0].forwarded.fields =
            vec![ClientField::XForwardedFor, ClientField::XForwardedProto, ClientField::XRealIp];
        let mut rig = Rig::start(config).await;
        let mut client = Client::connect(&rig).await;
        let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.9.8.7\r\nX-Real-IP: 1.1.1.1\r\nX-Request-Id: forged\r\n\r\n";
        client.send(request).await;
        let answer = client.answer().await;
        let seen = origin.seen().remove(0);
        assert_eq!(seen.field("x-forwarded-for").as_deref(), Some("127.0.0.1"));
        assert_eq!(seen.field("x-real-ip").as_deref(), Some("127.0.0.1"));
        assert_eq!(seen.field("x-forwarded-proto").as_deref(), Some("http"));
        let id = seen.field("x-request-id").unwrap();
        assert!(id.len() == 32 && id != "forged", "{id}");
        assert_eq!(answer.field("x-request-id"), Some(id));
        // From a trusted proxy the same fields count.
        rig.config.listeners[0].trusted = vec![Network { addr: "127.0.0.0".parse().unwrap(), prefix: 8 }];
        rig.reload().await;
        client.send(request).await;
        client.answer().await;
        let seen = origin.seen().remove(1);
        assert_eq!(seen.field("x-forwarded-for").as_deref(), Some("10.9.8.7, 127.0.0.1"));
        assert_eq!(seen.field("x-real-ip").as_deref(), Some("10.9.8.7"));
        assert_eq!(seen.field("x-request-id").as_deref(), Some("forged"));
    });
}

#[test]
fn redirects_keep_what_is_not_given() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut config = config(pool(&[&origin]));
        let parts = |scheme: Option<&str>, host: Option<&str>, path: Option<&str>| RedirectTo::Parts {
            scheme: scheme.map(str::to_owned),
            host: host.map(str::to_owned),
            path: path.map(Template::literal),
        };
        let redirect =
            |path: &str, status, to| route(PathPattern::Exact(path.into()), Action::Redirect(Redirect { status, to }));
        config.listeners[0].sites[0].routes = vec![
            redirect("/secure", 308, parts(Some("https"), None, None)),
            redirect("/moved", 301, parts(None, Some("b.example"), Some("/new"))),
            route(
                PathPattern::Exact("*".into()),
                Action::Redirect(Redirect { status: 308, to: parts(Some("https"), None, None) }),
            ),
            redirect("/away", 302, RedirectTo::Location(Template::literal("https://c.example/"))),
        ];
        let rig = Rig::start(config).await;
        let mut client = Client::connect(&rig).await;
        for (target, status, location) in [
            ("/secure?q=1", 308, "https://a.example/secure?q=1"),
            ("/moved?q=2", 301, "http://b.example/new?q=2"),
            ("/away", 302, "https://c.example/"),
        ] {
            let answer = client.get(target).await;
            assert_eq!((answer.status(), answer.field("location").as_deref()), (status, Some(location)), "{target}");
        }
        client.send("OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n").await;
        assert_eq!(client.answer().await.field("location").as_deref(), Some("https://a.example/"));
    });
}

#[test]
fn an_answer_without_a_date_gets_one() {
    run(async {
        let given = "Sun, 06 Nov 1994 08:49:37 GMT";
        let origin = Origin::answering(move |seen| match seen.line().contains("/dated") {
            true => format!("HTTP/1.1 200 OK\r\ndate: {given}\r\nContent-Length: 0\r\n\r\n").into_bytes(),
            false => b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        })
        .await;
        let mut config = config(pool(&[&origin]));
        let mut undated = route(PathPattern::Exact("/undated".into()), to_shop());
        undated.response_edits = vec![FieldEdit::Remove("Date".into())];
        config.listeners[0].sites[0].routes.insert(0, undated);
        let rig = Rig::start(config).await;
        let mut client = Client::connect(&rig).await;
        let dates = |head: &str| head.lines().filter(|line| line.to_lowercase().starts_with("date:")).count();
        for (path, count) in [("/dated", 1), ("/", 1), ("/undated", 0)] {
            client.send(format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n")).await;
            let mut head = client.head().await;
            if path != "/dated" {
                assert!(head.starts_with("HTTP/1.1 103 ") && dates(&head) == 0, "{head}");
                head = client.head().await;
            }
            assert_eq!(dates(&head), count, "{path}: {head}");
            assert!(path != "/" || field(&head, "date").is_some_and(|date| date.ends_with(" GMT")), "{head}");
            assert!(path != "/dated" || field(&head, "date").as_deref() == Some(given), "{head}");
        }
        let got = Http2::connect(&rig).await.get("/").await;
        assert!(got.fields.get("date").is_some(), "{got:?}");
    });
}

#[test]
fn an_options_request_goes_no_further_than_it_may() {
    run(async {
        let origin = Origin::saying("of the server").await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].sites[0].response_edits = vec![FieldEdit::Set("X-Edge".into(), Template::literal("yes"))];
        let rig = Rig::start(config).await;
        let mut client = Client::connect(&rig).await;
        client.send("OPTIONS /x HTTP/1.1\r\nHost: a.example\r\nMax-Forwards: 0\r\n\r\n").await;
        let answer = client.answer().await;
        assert_eq!((answer.status(), answer.text(), origin.count()), (200, "", 0));
        assert!(answer.field("allow").is_some_and(|allow| allow.contains("OPTIONS")));
        assert_eq!(answer.field("x-edge").as_deref(), Some("yes"));
        client.send("OPTIONS /x HTTP/1.1\r\nHost: a.example\r\nMax-Forwards: 1\r\n\r\n").await;
        assert_eq!(client.answer().await.text(), "of the server");
        assert_eq!(origin.seen()[0].field("max-forwards").as_deref(), Some("0"));
        client.send("GET /x HTTP/1.1\r\nHost: a.example\r\nMax-Forwards: 0\r\n\r\n").await;
        assert_eq!(client.answer().await.text(), "of the server");
    });
}

#[test]
fn a_body_sent_to_an_answer_of_ours_is_never_the_next_request() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].sites[0].routes = vec![route(PathPattern::Below("/shop".into()), to_shop())];
        let rig = Rig::start(config).await;
        let smuggled = "GET /shop/secret HTTP/1.1\r\nHost: a\r\n\r\n";
        for (framing, body) in [
            (format!("Content-Length: {}", smuggled.len()), smuggled.to_owned()),
            ("Transfer-Encoding: chunked".to_owned(), format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len())),
        ] {
            let mut client = Client::connect(&rig).await;
            client.send(format!("POST /none HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{body}")).await;
            assert_eq!(client.answer().await.status(), 404);
            assert_eq!(client.get("/none").await.status(), 404);
        }
        assert_eq!(origin.count(), 0);
        // A body that is too long to be thrown away costs the connection.
        let mut client = Client::connect(&rig).await;
        client.send("POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nGET /shop HTTP/1.1\r\n").await;
        assert_eq!(client.answer().await.field("connection").as_deref(), Some("close"));
        assert!(client.is_closed().await);
    });
}

#[test]
fn what_exceeds_a_limit_is_answered_with_its_own_status() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut config = config(pool(&[&origin]));
        let limits = &mut config.listeners[0].limits;
        limits.body = Some(1000);
        limits.fields = 20;
        config.listeners[0].timeouts.head = Duration::from_millis(150);
        config.listeners[0].timeouts.body = Duration::from_millis(150);
        let rig = Rig::start(config).await;
        let long = "x".repeat(9000);
        for (message, status) in [
            (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
            (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}{long}\r\n\r\n"), 431),
            (format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(21)), 431),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n".to_owned(), 413),
            (
                format!(
                    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n{}\r\n",
                    "y".repeat(2000)
                ),
                413,
            ),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), 400),
            ("GET /\u{1} HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.1\r\nHo".to_owned(), 408),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc".to_owned(), 408),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX"
                    .to_owned(),
                400,
            ),
            ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n".to_owned(), 405),
        ] {
            let mut client = Client::connect(&rig).await;
            client.send(&message).await;
            let answer = client.answer().await;
            let shown: String = message.chars().take(60).collect();
            assert_eq!((answer.status(), answer.field("connection").as_deref()), (status, Some("close")), "{shown:?}");
            assert!(client.is_closed().await, "{shown:?}");
        }
        // The stalled upload alone had reached the server.
        assert_eq!(origin.count(), 0);
    });
}

#[test]
fn the_last_request_allowed_on_a_connection_says_so() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].limits.requests = 2;
        let rig = Rig::start(config).await;
        let mut client = Client::connect(&rig).await;
        assert_eq!(client.get("/").await.field("connection"), None);
        assert_eq!(client.get("/").await.field("connection").as_deref(), Some("close"));
        assert!(client.is_closed().await);
    });
}

#[test]
fn error_pages_are_the_operators_own_where_there_are_any() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].sites[0].errors = Some("/pages".into());
        config.listeners[0].sites[0].response_edits = vec![FieldEdit::Add("X-Own".into(), Template::literal("1"))];
        config.listeners[0].sites.push(Site::default());
        let mut rig = Rig::start(config).await;
        rig.pages = ErrorPages::new(vec![
            ("5xx.html".into(), b"<p>sorry".to_vec()),
            ("4xx.html".into(), b"<p>what".to_vec()),
            ("503.json".into(), b"{\"sorry\":true}".to_vec()),
            ("maintenance.html".into(), b"<p>back soon".to_vec()),
        ]);
        rig.states.insert(Rig::id("a"), State::Down);
        rig.config.pools[0].fail_open = false;
        rig.reload().await;
        let mut client = Client::connect(&rig).await;
        let answer = client.get("/").await;
        assert_eq!((answer.status(), answer.text()), (503, "<p>sorry"));
        assert_eq!(answer.field("x-own").as_deref(), Some("1"));
        assert_eq!(answer.field("cache-control").as_deref(), Some("no-store"));
        client.send("GET / HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n").await;
        let answer = client.answer().await;
        assert_eq!(
            (answer.text(), answer.field("content-type").as_deref()),
            ("{\"sorry\":true}", Some("application/problem+json"))
        );
        rig.states.insert(Rig::id("a"), State::Maintenance);
        rig.reload().await;
        assert_eq!(client.get("/").await.text(), "<p>back soon");
        assert_eq!(rig.shared.totals().rejected.get("maintenance"), Some(&1));
        // One that cannot be understood came to no block: it gets the page of the first, and none of its fields.
        client.send("GET / HTTP/1.1\r\nHost: a b\r\n\r\n").await;
        let answer = client.answer().await;
        assert_eq!((answer.status(), answer.text(), answer.field("x-own")), (400, "<p>what", None));
    });
}

#[test]
fn an_authority_is_told_what_it_asks_for_and_other_tokens_are_the_routes() {
    run(async {
        let origin = Origin::saying("shop").await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].sites[0].hosts = vec![HostPattern::Exact("shop.example".into())];
        let rig = Rig::start(config).await;
        let mut client = Client::connect(&rig).await;
        let ask = |method: &str, host: &str, token: &str| {
            format!("{method} /.well-known/acme-challenge/{token} HTTP/1.1\r\nHost: {host}\r\n\r\n")
        };
        client.send(ask("GET", "shop.example", "abc")).await;
        assert_eq!(client.answer().await.text(), "shop", "nothing is shown");

        rig.shared.set_proofs([("abc".to_owned(), "abc.thumb".to_owned())].into());
        client.send(ask("GET", "shop.example", "abc")).await;
        let answer = client.answer().await;
        assert_eq!((answer.status(), answer.text()), (200, "abc.thumb"));
        // Whatever host it asks by, and though no block is for it.
        client.send(ask("GET", "other.example", "abc")).await;
        assert_eq!(client.answer().await.text(), "abc.thumb");
        for (method, token) in [("GET", "abcd"), ("GET", "ab"), ("GET", ""), ("GET", "abc/"), ("DELETE", "abc")] {
            client.send(ask(method, "shop.example", token)).await;
            assert_eq!(client.answer().await.text(), "shop", "{method} {token}");
        }
        rig.shared.set_proofs([].into());
        client.send(ask("GET", "shop.example", "abc")).await;
        assert_eq!(client.answer().await.text(), "shop", "it is shown no more");
        assert_eq!(origin.count(), 7);
    });
}
