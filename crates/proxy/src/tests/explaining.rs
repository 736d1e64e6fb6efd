//! What `explain` says is what would happen, and nothing happens by it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use evenkeel_balance::sessions::{ClientMark, Source};
use evenkeel_model::State;
use evenkeel_model::config::{
    Action, Carrier, CookieValue, HostPattern, Learn, LearnFrom, Network, PathPattern, Redirect, RedirectTo, Sticky,
    StickyMethod, WhenDown,
};
use evenkeel_model::{ListenerName, PoolName, defaults};

use super::rig::{Rig, route, run};
use super::sticky_forms::{by_cookie, rig, three};
use crate::{Explanation, Outcome, Question};

fn explain(rig: &mut Rig, head: &str) -> Explanation {
    let question = Question {
        listener: None,
        port: 80,
        is_port_given: false,
        head: format!("{head}\r\n\r\n").replace('\n', "\r\n").replace("\r\r", "\r").into_bytes(),
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    rig.snapshot().explain(&question).unwrap()
}

/// What it says of the session, of the refusal, and the servers that it may go to.
fn told(rig: &mut Rig, head: &str) -> (String, Option<u16>, Vec<String>) {
    match explain(rig, head).outcome {
        Outcome::Pool { session, refusal, servers, .. } => {
            let may = servers.into_iter().filter(|server| server.chance > 0).map(|server| server.name.to_string());
            (session, refusal.map(|(status, _)| status), may.collect())
        }
        Outcome::Answered { status, why } => panic!("{status} {why}"),
    }
}

#[test]
fn a_long_head_is_seen_whole() {
    run(async {
        let origins = three().await;
        let method = by_cookie(|cookie| cookie.value = CookieValue::Name);
        let mut rig = rig(&origins, vec![method]).await;
        rig.config.listeners[0].sites[0].routes[0].matcher.path = PathPattern::Below("/shop".to_owned());
        let head = format!("GET /shop/a HTTP/1.1\nHost: a.example\nX-Long: {}\nCookie: SRV=bee", "x".repeat(9000));
        let (session, refusal, may) = told(&mut rig, &head);
        assert_eq!((refusal, may), (None, vec!["b".to_owned()]), "{session}");
    });
}

#[test]
fn a_url_without_a_port_is_for_the_first_listener_with_a_site_for_its_host() {
    run(async {
        let origins = three().await;
        let mut rig = rig(&origins, Vec::new()).await;
        let mut second = rig.config.listeners[0].clone();
        second.name = ListenerName::of_address(":second");
        second.sites[0].hosts = vec![HostPattern::Exact("b.example".to_owned())];
        rig.config.listeners[0].sites[0].hosts = vec![HostPattern::Exact("a.example".to_owned())];
        rig.config.listeners.push(second);
        for (host, listener) in [("a.example", ":test"), ("b.example", ":second")] {
            // A target as long as browsers send them.
            let head = format!("GET /{} HTTP/1.1\nHost: {host}", "x".repeat(900));
            assert_eq!(explain(&mut rig, &head).listener, listener, "{host}");
        }
        let question = Question {
            listener: None,
            port: 80,
            is_port_given: false,
            head: b"GET / HTTP/1.1\r\nHost: c.example\r\n\r\n".to_vec(),
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let nobody = rig.snapshot().explain(&question).unwrap_err();
        assert!(nobody.starts_with("no listener has a site for that host"), "{nobody}");
    });
}

#[test]
fn a_session_is_not_touched_by_a_question() {
    run(async {
        let origins = three().await;
        let learn = Learn {
            carrier: Carrier::Cookie("SID".to_owned()),
            from: vec![LearnFrom::SetCookie],
            idle: defaults::STICKY_IDLE,
            life: defaults::STICKY_LIFE,
        };
        let mut rig = rig(&origins, vec![Sticky::new(StickyMethod::Learned(learn))]).await;
        let table = rig.shared.session_tables().remove(&PoolName::new("shop").unwrap()).unwrap();
        let now = evenkeel_net::clock::unix_now().as_secs();
        let (key, mark) = (table.key(b"abc"), ClientMark::of(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))));
        let server = rig.snapshot().pools()[0].servers[1].uid;
        table.learn(key, server, Source::Head, mark, now - 60);
        let (entry, stats) = (table.look(key, now), table.stats());
        let (_, _, may) = told(&mut rig, "GET / HTTP/1.1\nHost: a.example\nCookie: SID=abc");
        assert_eq!(may, ["b"]);
        told(&mut rig, "GET / HTTP/1.1\nHost: a.example\nCookie: SID=unknown");
        assert_eq!((table.look(key, now), table.stats()), (entry, stats));
    });
}

#[test]
fn what_a_pool_does_for_clients_of_a_dead_server_is_told() {
    run(async {
        let origins = three().await;
        let method = |down, wait| Sticky {
            down,
            wait: Duration::from_secs(wait),
            ..by_cookie(|cookie| cookie.value = CookieValue::Name)
        };
        let mut rig = rig(&origins, vec![method(WhenDown::Fail, 0)]).await;
        let head = "GET / HTTP/1.1\nHost: a.example\nCookie: SRV=bee";
        let others = vec!["a".to_owned(), "c".to_owned()];
        for (state, sticky, refused, may, end) in [
            (State::Up, method(WhenDown::Fail, 0), None, vec!["b".to_owned()], "binds it to b"),
            (State::Down, method(WhenDown::Fail, 0), Some(503), vec![], "it is refused"),
            (
                State::Down,
                method(WhenDown::Fail, 5),
                Some(503),
                vec![],
                "up to 5s for that to change, then it is refused",
            ),
            (State::Down, method(WhenDown::Elsewhere, 5), None, others.clone(), "then it is bound anew"),
            (State::Maintenance, method(WhenDown::Fail, 5), None, others, ": it is bound anew"),
        ] {
            rig.config.pools[0].sticky = vec![sticky];
            rig.states.insert(Rig::id("b"), state);
            let (session, refusal, servers) = told(&mut rig, head);
            assert_eq!((refusal, servers), (refused, may), "{state:?}: {session}");
            assert!(session.ends_with(end), "{state:?}: {session}");
        }
    });
}

#[test]
fn who_came_over_tls_goes_past_what_would_send_him_back() {
    run(async {
        let origins = three().await;
        let mut rig = rig(&origins, Vec::new()).await;
        let to = RedirectTo::Parts { scheme: Some("https".to_owned()), host: None, path: None };
        let secure = route(PathPattern::Any, Action::Redirect(Redirect { status: 308, to }));
        rig.config.listeners[0].sites[0].routes.insert(0, secure);
        rig.config.listeners[0].trusted = vec![Network { addr: "127.0.0.0".parse().unwrap(), prefix: 8 }];
        let head = "GET / HTTP/1.1\nHost: a.example";
        assert!(matches!(explain(&mut rig, head).outcome, Outcome::Answered { status: 308, .. }));
        let found = explain(&mut rig, &format!("{head}\nX-Forwarded-Proto: https"));
        assert!(matches!(found.outcome, Outcome::Pool { .. }), "{found:?}");
        assert_eq!(found.routes[0].misfit.as_deref(), Some("it came over TLS already"));
    });
}
