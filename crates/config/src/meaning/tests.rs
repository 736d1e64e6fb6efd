//! Configurations and the models that they become.

use std::time::Duration;

use evenkeel_model::config::{
    Action, Balance, CheckKind, Config, HashKey, HostPattern, LogFormat, LogSubject, LogTarget, Pool, RedirectTo,
    RetryOn, Reuse, SecretRef, Standing, StatusRange,
};
use evenkeel_model::{PoolName, Variable};

use crate::{MemorySource, Options, Style, load_text, render};

fn config(text: &str) -> Config {
    let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options { strict: true });
    loaded
        .config
        .unwrap_or_else(|| panic!("{}", render(&loaded.diagnostics, &loaded.sources, Style::Human { color: false })))
}

fn pool(words: &str) -> Pool {
    let config = config(&format!("http :80 {{\n route * to=p\n}}\npool p {{\n{words}\nserver a 10.0.0.1:80\n}}\n"));
    config.pools.into_iter().next().unwrap()
}

#[test]
fn four_lines_are_a_balancer_with_every_default() {
    let config = config("http :80 {\n    to 10.0.0.11:8080 10.0.0.12:8080\n    sticky\n}\n");
    let listener = &config.listeners[0];
    assert_eq!((listener.name.as_str(), listener.addr.port()), (":80", 80));
    let site = &listener.sites[0];
    let name = PoolName::of_listener(&listener.name);
    assert_eq!(site.routes[0].action, Action::To(name.clone()));
    let made = config.pool(&name).unwrap();
    let mut expected = Pool::new(name, made.servers.clone());
    let cookie = evenkeel_model::config::StickyCookie::of_pool(&expected.name);
    expected.sticky =
        vec![evenkeel_model::config::Sticky::new(evenkeel_model::config::StickyMethod::Cookie(Box::new(cookie)))];
    assert_eq!(*made, expected);
    assert_eq!(made.servers[1].name.as_str(), "10.0.0.12:8080");
}

#[test]
fn words_of_a_pool_are_read() {
    assert_eq!(pool("balance least-conn").balance, Balance::LeastConn);
    let hashed = Balance::Hash { key: HashKey::Field("x-user".to_owned()), bound: Some(150) };
    assert_eq!(pool("balance hash header X-User bound=150%").balance, hashed);
    let sticky = pool("sticky cookie SRV key=cred:sticky idle=5m").sticky;
    let cookie = sticky[0].cookie().unwrap();
    assert_eq!((cookie.name.as_str(), cookie.idle), ("SRV", Duration::from_secs(300)));
    assert_eq!(cookie.key, Some(SecretRef::Credential("sticky".to_owned())));
    let retry = pool("retry 3 same on=lost,timeout,503 budget=10% replay=16k").retry;
    assert_eq!((retry.attempts, retry.elsewhere, retry.budget, retry.replay), (3, false, 10, 16384));
    assert_eq!(retry.on, [RetryOn::Lost, RetryOn::Timeout, RetryOn::Status(503)]);
    assert_eq!(pool("check off").check, None);
    assert_eq!(pool("eject off").eject, None);
    assert_eq!(pool("reuse never").reuse, Reuse::Never);
    assert!(!pool("fail-open off").fail_open);
    assert_eq!(pool("slow-start 30s").slow_start, Duration::from_secs(30));
    assert_eq!(pool("timeout connect=1s total=5m").timeouts.total, Some(Duration::from_secs(300)));
    assert_eq!(pool("queue max=7 timeout=1s").queue.max, 7);
    let server = pool("server b [::1]:81 weight=0 backup maint max-conns=9").servers.into_iter().next().unwrap();
    assert_eq!(
        (server.weight, server.backup, server.standing, server.max_conns),
        (0, true, Standing::Maintenance, Some(9))
    );
    assert_eq!(server.addr.to_string(), "[::1]:81");
}

#[test]
fn checks_ask_what_they_are_told() {
    let check = pool(
        "check HEAD /check.txt HTTP/1.0 every=5s rise=1 fall=4 port=81 expect=200,301..302 header=\"X-P: 1\" host=h:8",
    )
    .check
    .unwrap();
    assert_eq!((check.every, check.rise, check.fall, check.port), (Duration::from_secs(5), 1, 4, Some(81)));
    let CheckKind::Http(http) = check.kind else { panic!("not an HTTP check") };
    assert_eq!((http.method.as_str(), http.target.as_str(), http.http10), ("HEAD", "/check.txt", true));
    assert_eq!(http.expect, [StatusRange { first: 200, last: 200 }, StatusRange { first: 301, last: 302 }]);
    assert_eq!(http.fields, [("X-P".to_owned(), "1".to_owned())]);
    assert_eq!(http.host.as_deref(), Some("h:8"));
    let CheckKind::Http(comma) = pool("check /a,b.txt").check.unwrap().kind else { panic!("not an HTTP check") };
    assert_eq!(comma.target, "/a,b.txt");
    let CheckKind::Http(get) = pool("check /x {\n body \"all well\"\n}").check.unwrap().kind else {
        panic!("not an HTTP check")
    };
    assert_eq!((get.method.as_str(), get.body.unwrap().text.as_str()), ("GET", "all well"));
}

#[test]
fn blocks_of_one_address_are_one_listener_and_the_nearest_word_wins() {
    let config = config(
        "timeout head=5s idle=9s\nmax body=1m\ntrust 10.0.0.0/8\nlog stdout\nerrors /e\nforward forwarded\n\
         http :80 a.example {\n timeout idle=7s\n log off\n forward off\n errors /own\n to 10.0.0.1:80\n}\n\
         http :80 *.example {\n max body=off\n to 10.0.0.1:80\n}\nhttp :80 {\n to 10.0.0.2:80\n}\n",
    );
    let [listener] = config.listeners.as_slice() else { panic!("one listener") };
    assert_eq!(listener.timeouts.head, Duration::from_secs(5));
    assert_eq!(listener.timeouts.idle, Duration::from_secs(7));
    assert_eq!(listener.limits.body, None);
    assert_eq!(listener.trusted.len(), 1);
    let [first, second, third] = listener.sites.as_slice() else { panic!("three sites") };
    assert_eq!(first.hosts, [HostPattern::Exact("a.example".to_owned())]);
    assert_eq!(second.hosts, [HostPattern::Below(".example".to_owned())]);
    assert!(third.hosts.is_empty());
    assert!(first.logs.is_empty() && first.forwarded.fields.is_empty());
    assert_eq!(second.logs[0].to, LogTarget::Stdout);
    assert_eq!((first.errors.as_deref(), third.errors.as_deref()), (Some("/own".as_ref()), Some("/e".as_ref())));
    let names: Vec<&str> = config.pools.iter().map(|pool| pool.name.as_str()).collect();
    assert_eq!(names, ["@:80,a.example", "@:80,*.example", "@:80"]);
}

#[test]
fn routes_match_rewrite_and_act() {
    let config = config(
        "http :80 {\n route /api/* host=a.example,*.b.example method=GET header=X-Beta:on query=q to=p strip-prefix=/api add-prefix=/v2\n\
         route /old redirect=https://new.example/\n route /ping {\n respond 200 \"pong $host\"\n }\n redirect https\n}\n\
         pool p {\n server a 10.0.0.1:80\n}\n",
    );
    let routes = &config.listeners[0].sites[0].routes;
    assert_eq!(routes.iter().map(|route| route.name.as_str()).collect::<Vec<_>>(), ["/api/*", "/old", "/ping", "*"]);
    let api = &routes[0];
    assert_eq!((api.matcher.hosts.len(), api.matcher.methods.as_slice()), (2, ["GET".to_owned()].as_slice()));
    assert_eq!((api.matcher.fields[0].name.as_str(), api.matcher.fields[0].value.as_deref()), ("x-beta", Some("on")));
    assert_eq!((api.matcher.query[0].name.as_str(), &api.matcher.query[0].value), ("q", &None));
    assert_eq!((api.rewrite.strip.as_deref(), api.rewrite.add.as_deref()), (Some("/api"), Some("/v2")));
    assert!(matches!(&routes[1].action, Action::Redirect(redirect) if matches!(redirect.to, RedirectTo::Location(_))));
    let Action::Respond(respond) = &routes[2].action else { panic!("an answer") };
    assert_eq!(respond.body.parts[1], evenkeel_model::TemplatePart::Variable(Variable::Host));
    let Action::Redirect(redirect) = &routes[3].action else { panic!("a redirection") };
    assert_eq!(redirect.status, 308);
    assert_eq!(redirect.to, RedirectTo::Parts { scheme: Some("https".to_owned()), host: None, path: None });
}

#[test]
fn a_skip_with_lists_becomes_a_rule_for_each_way_to_fit() {
    let config = config(
        "http :80 {\n to 10.0.0.1:80\n log syslog:127.0.0.1:514 {\n format \"$request.user-agent $$ ${status}s\"\n skip status=200,204 method=GET,HEAD keep=5%\n }\n}\n",
    );
    let log = &config.listeners[0].sites[0].logs[0];
    assert_eq!(log.rules.len(), 4);
    assert!(log.rules.iter().all(|rule| rule.keep_percent == 5 && rule.subjects.len() == 2));
    assert!(matches!(&log.rules[0].subjects[1], LogSubject::Method(method) if method == "GET"));
    let LogFormat::Custom(template) = &log.format else { panic!("a format of its own") };
    assert_eq!(
        template.parts[0],
        evenkeel_model::TemplatePart::Variable(Variable::RequestField("user-agent".to_owned()))
    );
    assert_eq!(template.parts[1], evenkeel_model::TemplatePart::Text(" $ ".to_owned()));
}
