//! What ends a session or sets its bounds: time, the application, its server, too much load; and where it does not reach.

use std::time::Duration;

use evenkeel_model::config::{
    Carrier, CookieAttributes, CookieValue, Network, PathPattern, SameSite, Sticky, StickyMethod, StickySkip, WhenDown,
};
use evenkeel_model::{PoolName, ServerName, State};

use super::rig::{Client, Rig, ok, run};
use super::sticky_forms::{ask, by_cookie, cookie_of, logged, logged_many, rig, three};

/// A token of a client that the server `b` serves.
async fn token_for_b(rig: &Rig) -> String {
    for _ in 0..10 {
        let answer = ask(rig, "/", "").await;
        logged(rig).await;
        if answer.text() == "b" {
            return format!("Cookie: {}\r\n", cookie_of(&answer).unwrap());
        }
    }
    panic!("nobody gets to b")
}

#[test]
fn only_where_its_server_is_down_a_session_is_refused_if_told_so() {
    run(async {
        let origins = three().await;
        let method = Sticky { down: WhenDown::Fail, ..by_cookie(|_| {}) };
        let mut rig = rig(&origins, vec![method]).await;
        let bond = token_for_b(&rig).await;
        for (state, expected) in
            [(State::Down, 503), (State::Maintenance, 200), (State::Draining, 200), (State::Up, 200)]
        {
            rig.states.insert(Rig::id("b"), state);
            rig.reload().await;
            let answer = ask(&rig, "/", &bond).await;
            assert_eq!(answer.status(), expected, "{state:?}");
            if state == State::Down {
                assert_eq!(cookie_of(&answer), None, "the session is not given up");
                assert_eq!(ask(&rig, "/", "").await.status(), 200, "new clients are served");
            }
        }
    });
}

#[test]
fn a_session_whose_server_is_gone_is_balanced_afresh() {
    run(async {
        let origins = three().await;
        let method = Sticky { down: WhenDown::Fail, wait: Duration::from_secs(5), ..by_cookie(|_| {}) };
        let mut rig = rig(&origins, vec![method]).await;
        let bond = token_for_b(&rig).await;
        rig.config.pools[0].servers.remove(1);
        rig.reload().await;
        let answer = ask(&rig, "/", &bond).await;
        assert_eq!(answer.status(), 200);
        assert!(cookie_of(&answer).is_some());
        assert_eq!(logged(&rig).await, "lost token gone");
        // Another server in its place is not the one it was.
        let mut other = rig.config.pools[0].servers[0].clone();
        other.name = ServerName::new("d").unwrap();
        rig.config.pools[0].servers.insert(1, other);
        rig.reload().await;
        ask(&rig, "/", &bond).await;
        assert_eq!(logged(&rig).await, "lost token gone");
    });
}

#[test]
fn a_request_waits_for_its_server_and_goes_elsewhere_only_then() {
    run(async {
        let origins = three().await;
        let method = |wait| Sticky { wait: Duration::from_millis(wait), ..by_cookie(|_| {}) };
        let mut patient = rig(&origins, vec![method(20_000)]).await;
        let bond = token_for_b(&patient).await;
        patient.states.insert(Rig::id("b"), State::Down);
        patient.reload().await;
        let mut client = Client::connect(&patient).await;
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{bond}\r\n")).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        patient.states.insert(Rig::id("b"), State::Up);
        patient.reload().await;
        assert_eq!(client.answer().await.text(), "b");
        assert_eq!(logged(&patient).await, "hit token");
        patient.config.pools[0].sticky = vec![method(100)];
        patient.states.insert(Rig::id("b"), State::Down);
        patient.reload().await;
        assert_ne!(ask(&patient, "/", &bond).await.text(), "b");
        assert_eq!(logged(&patient).await, "lost token down");
    });
}

#[test]
fn those_who_waited_do_not_drown_the_server_that_comes_back() {
    run(async {
        let origins = three().await;
        let wait = Duration::from_secs(20);
        let mut rig = rig(&origins, vec![Sticky { wait, ..by_cookie(|cookie| cookie.rate = Some(2)) }]).await;
        let bond = token_for_b(&rig).await;
        rig.states.insert(Rig::id("b"), State::Down);
        rig.reload().await;
        let arrived = |rig: &Rig| rig.shared.pool_stats(&PoolName::new("shop").unwrap()).unwrap().traffic.requests;
        let before = arrived(&rig);
        let mut waiting = Vec::new();
        for _ in 0..24 {
            let mut client = Client::connect(&rig).await;
            client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{bond}\r\n")).await;
            waiting.push(client);
        }
        // Other changes wake them, and they go on waiting.
        rig.reload().await;
        rig.until(|rig| arrived(rig) >= before + 24).await;
        rig.states.insert(Rig::id("b"), State::Up);
        rig.reload().await;
        let mut served = 0;
        for mut client in waiting {
            served += usize::from(client.answer().await.text() == "b");
        }
        // Two in each second by their tokens, and a third of the others as of any clients. Most of them at once would be
        // all: on a slow machine the second turns more than once meanwhile.
        assert!((2..=16).contains(&served), "{served} of 24 at b");
    });
}

#[test]
fn a_token_used_too_often_binds_nobody_for_that_moment_and_stays_good() {
    run(async {
        let origins = three().await;
        let rig = rig(&origins, vec![by_cookie(|cookie| cookie.rate = Some(3))]).await;
        let bond = token_for_b(&rig).await;
        let mut client = Client::connect(&rig).await;
        let mut served = Vec::new();
        for _ in 0..40 {
            client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{bond}\r\n")).await;
            let answer = client.answer().await;
            assert_eq!(cookie_of(&answer), None, "the bond stays as it is");
            served.push(answer.text() == "b");
        }
        for (is_own, told) in served.iter().zip(logged_many(&rig, 40).await) {
            assert_eq!(told, if *is_own { "hit token" } else { "moved token rate" });
        }
        let lent = served.iter().filter(|is_own| !**is_own).count();
        // Forty requests take more than one second only on a machine that is all but stopped.
        assert!(lent >= 10, "{lent}");
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert_eq!(ask(&rig, "/", &bond).await.text(), "b");
    });
}

#[test]
fn a_request_that_its_own_server_serves_after_all_has_not_moved() {
    run(async {
        let origins = three().await;
        let mut rig = rig(&origins, vec![by_cookie(|cookie| cookie.rate = Some(1))]).await;
        let bond = token_for_b(&rig).await;
        for other in ["a", "c"] {
            rig.states.insert(Rig::id(other), State::Down);
        }
        rig.reload().await;
        for _ in 0..5 {
            assert_eq!(ask(&rig, "/", &bond).await.text(), "b");
        }
        assert_eq!(logged_many(&rig, 5).await, ["hit token"; 5]);
        let stats = rig.shared.server_stats(&Rig::id("b")).unwrap();
        assert_eq!((stats.sticky_hits, stats.sticky_moved), (5, 0));
    });
}

#[test]
fn sessions_cannot_flood_a_server_beyond_the_bound() {
    run(async {
        let mut origins = three().await;
        // b holds every request for a while.
        origins[1] = super::rig::Origin::scripted(|mut peer| {
            Box::pin(async move {
                while peer.request().await.is_some() {
                    tokio::time::sleep(Duration::from_secs(3)).await;
                    peer.send(ok("b")).await;
                }
            })
        })
        .await;
        let method = Sticky { bound: Some(150), ..by_cookie(|cookie| cookie.value = CookieValue::Name) };
        let rig = rig(&origins, vec![method]).await;
        let mut clients = Vec::new();
        for _ in 0..60 {
            let mut client = Client::connect(&rig).await;
            client.send("GET / HTTP/1.1\r\nHost: a\r\nCookie: SRV=bee\r\n\r\n").await;
            clients.push(client);
        }
        let mut served = 0;
        for mut client in clients {
            served += usize::from(client.answer().await.text() == "b");
        }
        let lines = rig.lines(60).await;
        let lent = lines.iter().filter(|line| line.contains("\"sticky_why\":\"busy\"")).count();
        assert!((32..=45).contains(&served), "{served} of 60 at b");
        assert_eq!(served + lent, 60);
    });
}

#[test]
fn requests_that_need_no_session_get_none() {
    run(async {
        let origins = three().await;
        let skip = vec![
            StickySkip { path: Some(PathPattern::Below("/static".to_owned())), agent: None },
            StickySkip { path: None, agent: Some("bot".to_owned()) },
        ];
        let rig = rig(&origins, vec![Sticky { skip, ..by_cookie(|cookie| cookie.value = CookieValue::Name) }]).await;
        for (target, fields, is_met) in [
            ("/static/a.css", "", true),
            ("/statics", "", false),
            ("/", "User-Agent: GoogleBot/2.1\r\n", true),
            ("/", "User-Agent: Mozilla\r\n", false),
        ] {
            let answer = ask(&rig, target, fields).await;
            assert_eq!(cookie_of(&answer).is_none(), is_met, "{target} {fields}");
            assert_eq!(logged(&rig).await, if is_met { "" } else { "new" }, "{target} {fields}");
        }
        // Nor are they bound by a cookie that they bring.
        let mut served = Vec::new();
        for _ in 0..6 {
            served.push(ask(&rig, "/static/a.css", "Cookie: SRV=bee\r\n").await.text().to_owned());
        }
        assert!(served.iter().any(|name| name != "b"), "{served:?}");
    });
}

#[test]
fn a_method_leaves_a_request_alone_whichever_method_bound_it() {
    run(async {
        let origins = three().await;
        let skip = vec![StickySkip { path: Some(PathPattern::Below("/static".to_owned())), agent: None }];
        let first = Sticky::new(StickyMethod::Named(Carrier::Query("srv".to_owned())));
        let rig = rig(&origins, vec![first, Sticky { skip, ..by_cookie(|_| {}) }]).await;
        for (target, is_met) in [("/?srv=bee", false), ("/static/a.css?srv=bee", true)] {
            let answer = ask(&rig, target, "").await;
            assert_eq!(answer.text(), "b");
            assert_eq!(cookie_of(&answer).is_none(), is_met, "{target}");
        }
    });
}

#[test]
fn a_token_ends_with_the_applications_session() {
    run(async {
        let origins = three().await;
        let rig = rig(&origins, vec![by_cookie(|cookie| cookie.bond = Some("SID".to_owned()))]).await;
        let first = ask(&rig, "/", "X-Say: Set-Cookie: SID=one\r\n").await;
        assert_eq!(logged(&rig).await, "new");
        let token = first.head.lines().find_map(|line| line.strip_prefix("Set-Cookie: SRV=")).unwrap();
        let token = token.split(';').next().unwrap().to_owned();
        let with = |sid: &str| format!("Cookie: SRV={token}{sid}\r\n");
        for (sid, expected) in [
            ("; SID=one", "hit token"),
            ("; SID=two", "new token ended"),
            ("", "new token ended"),
            ("; SID=zero; SID=one", "hit token"),
            ("; SID=one; SID=zero", "hit token"),
        ] {
            let answer = ask(&rig, "/", &with(sid)).await;
            assert_eq!(logged(&rig).await, expected, "{sid}");
            // Of two cookies one is that of another path: the bond stays with the one that it has.
            assert_eq!(cookie_of(&answer).is_none(), expected == "hit token", "{sid}");
        }
        // The session goes on under another id: so does the bond, by a new token.
        let answer = ask(&rig, "/", &format!("{}X-Say: Set-Cookie: SID=two\r\n", with("; SID=one"))).await;
        assert_eq!((answer.text(), logged(&rig).await.as_str()), (first.text(), "hit token"));
        let renewed = answer.head.lines().find_map(|line| line.strip_prefix("Set-Cookie: SRV=")).unwrap();
        let renewed = renewed.split(';').next().unwrap();
        let again = ask(&rig, "/", &format!("Cookie: SRV={renewed}; SID=two\r\n")).await;
        assert_eq!((again.text(), logged(&rig).await.as_str()), (first.text(), "hit token"));
        // It is over: the token goes with it.
        let over = ask(&rig, "/", &format!("{}X-Say: Set-Cookie: SID=; Max-Age=0\r\n", with("; SID=one"))).await;
        assert!(over.head.contains("Set-Cookie: SRV=; Path=/; Max-Age=0;"), "{}", over.head);
    });
}

/// What is set of the attributes, the request's fields, and the cookie of the answer.
type Case = (fn(&mut CookieAttributes), &'static str, &'static str);

#[test]
fn attributes_are_as_the_situation_asks() {
    run(async {
        let origins = three().await;
        let tls = "X-Forwarded-Proto: https\r\n";
        let frame = "X-Forwarded-Proto: https\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Dest: iframe\r\n";
        let plain = |_: &mut CookieAttributes| {};
        let cases: Vec<Case> = vec![
            (plain, "", "SRV=bee; Path=/; HttpOnly; SameSite=Lax"),
            (plain, tls, "__Host-SRV=bee; Path=/; Secure; HttpOnly; SameSite=Lax"),
            (plain, frame, "__Host-SRV=bee; Path=/; Secure; HttpOnly; SameSite=None; Partitioned"),
            (|it| it.path = "/shop".to_owned(), tls, "SRV=bee; Path=/shop; Secure; HttpOnly; SameSite=Lax"),
            (
                |it| it.domain = Some("example.com".to_owned()),
                tls,
                "SRV=bee; Path=/; Domain=example.com; Secure; HttpOnly; SameSite=Lax",
            ),
            (|it| it.secure = Some(false), tls, "SRV=bee; Path=/; HttpOnly; SameSite=Lax"),
            (|it| it.same_site = SameSite::Strict, frame, "__Host-SRV=bee; Path=/; Secure; HttpOnly; SameSite=Strict"),
            (|it| it.same_site = SameSite::Off, "", "SRV=bee; Path=/; HttpOnly"),
            (|it| it.http_only = false, "", "SRV=bee; Path=/; SameSite=Lax"),
            (
                |it| it.expires = Some(Duration::from_secs(3600)),
                "",
                "SRV=bee; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax",
            ),
        ];
        for (change, fields, expected) in cases {
            let method = by_cookie(|cookie| {
                (cookie.value, cookie.host_prefix) = (CookieValue::Name, true);
                change(&mut cookie.attributes);
            });
            let mut rig = rig(&origins, vec![method]).await;
            rig.config.listeners[0].trusted = vec![Network { addr: "127.0.0.1".parse().unwrap(), prefix: 32 }];
            for other in ["a", "c"] {
                rig.states.insert(Rig::id(other), State::Down);
            }
            rig.reload().await;
            let answer = ask(&rig, "/", fields).await;
            assert_eq!(answer.field("set-cookie").as_deref(), Some(expected));
        }
    });
}

#[test]
fn caches_are_told_where_an_answer_sets_a_cookie() {
    run(async {
        let origins = three().await;
        let rig = rig(&origins, vec![by_cookie(|cookie| cookie.value = CookieValue::Name)]).await;
        for (fields, expected) in [
            ("", vec!["private"]),
            ("X-Say: Cache-Control: public, max-age=60\r\n", vec!["public, max-age=60", "private"]),
            ("X-Say: Cache-Control: no-store\r\n", vec!["no-store"]),
            ("X-Say: Cache-Control: private\r\n", vec!["private"]),
        ] {
            let answer = ask(&rig, "/", fields).await;
            let said: Vec<&str> = answer.head.lines().filter_map(|line| line.strip_prefix("Cache-Control: ")).collect();
            assert_eq!(said, expected, "{fields}");
        }
        let kept = ask(&rig, "/", "Cookie: SRV=bee\r\nX-Say: Cache-Control: max-age=60\r\n").await;
        assert_eq!(kept.field("cache-control").as_deref(), Some("max-age=60"));
    });
}

#[test]
fn methods_are_asked_in_order_and_the_first_that_may_serve_counts() {
    run(async {
        let origins = three().await;
        let query = Sticky::new(StickyMethod::Named(Carrier::Query("r".to_owned())));
        let methods =
            vec![by_cookie(|cookie| cookie.value = CookieValue::Name), query, Sticky::new(StickyMethod::Client)];
        let mut rig = rig(&origins, methods).await;
        let both = ask(&rig, "/?r=a", "Cookie: SRV=bee\r\n").await;
        assert_eq!((both.text(), logged(&rig).await.as_str()), ("b", "hit name"));
        let second = ask(&rig, "/?r=a", "").await;
        assert_eq!((second.text(), logged(&rig).await.as_str()), ("a", "hit query"));
        assert_eq!(cookie_of(&second).as_deref(), Some("SRV=a"), "from now on the cookie tells it");
        let by_address = ask(&rig, "/", "").await.text().to_owned();
        logged(&rig).await;
        for _ in 0..5 {
            assert_eq!(ask(&rig, "/", "").await.text(), by_address, "without either the address tells it");
            assert!(logged(&rig).await.contains("client"));
        }
        rig.states.insert(Rig::id("b"), State::Down);
        rig.reload().await;
        let moved = ask(&rig, "/?r=c", "Cookie: SRV=bee\r\n").await;
        assert_eq!((moved.text(), cookie_of(&moved).as_deref()), ("c", Some("SRV=c")));
    });
}
