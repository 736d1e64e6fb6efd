//! Do sessions stay with a real application that keeps them in its own memory, whatever happens around them?

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;

use evenkeel_e2e::balancer::{Balancer, command, text};
use evenkeel_e2e::place::free;
use evenkeel_e2e::webshop::{Facts, Visitor, Webshop};
use evenkeel_e2e::{PATIENCE, await_for, wire};
use rustix::process::Signal;

use crate::setting::{QUICK_CHECK, shop};

fn named(servers: &[Webshop]) -> Vec<(&str, SocketAddr)> {
    servers.iter().map(|server| (server.name.as_str(), server.at)).collect()
}

fn enter(at: SocketAddr, count: usize) -> Vec<Visitor> {
    (0..count).map(|number| Visitor::enter(at, number)).collect()
}

/// Has every visitor follow a link, and expects that each kept its session.
fn all_stay(at: SocketAddr, visitors: &mut [Visitor]) {
    for visitor in visitors {
        let before = visitor.facts.clone();
        visitor.follow(at);
        let after = &visitor.facts;
        assert_eq!((&after.server, &after.session), (&before.server, &before.session), "a session was lost");
        assert!(after.count > before.count);
    }
}

fn all_on(visitors: &[Visitor], servers: &[&str]) -> bool {
    servers.iter().all(|name| visitors.iter().any(|visitor| visitor.facts.server == *name))
}

/// The first configuration of the manual's page, with the addresses of what runs here.
fn of_the_manual(at: SocketAddr, servers: &[Webshop]) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/how-to/url-sessions.md");
    let page = fs::read_to_string(page).unwrap();
    let block = page.split("```evenkeel\n").nth(1).unwrap().split("```").next().unwrap();
    let mut config =
        block.replace("http :80", &format!("http {at}")).replace("GET /check", "GET /check every=200ms fall=1 rise=1");
    for (server, written) in servers.iter().zip(["10.0.1.11:8080", "10.0.1.12:8080"]) {
        assert!(config.contains(written), "the page has another address than {written}");
        config = config.replace(written, &server.at.to_string());
    }
    config
}

#[test]
fn sessions_in_links_outlive_drain_reload_restart_and_a_crash() {
    let servers = [Webshop::start("a"), Webshop::start("b")];
    let at = free();
    let config = of_the_manual(at, &servers);
    let mut balancer = Balancer::start(&config);
    let mut visitors = enter(at, 24);
    assert!(all_on(&visitors, &["a", "b"]));
    for _ in 0..3 {
        all_stay(at, &mut visitors);
    }

    let drained = balancer.run("drain", &["shop/a"]);
    assert!(drained.status.success(), "{}", text(&drained));
    all_stay(at, &mut visitors);
    assert!(enter(at, 6).iter().all(|visitor| visitor.facts.server == "b"), "a server that drains got a new session");
    assert!(balancer.run("ready", &["shop/a"]).status.success());

    let turned = config.replacen("server    a", "server    x", 1).replacen("server    b", "server    a", 1);
    let turned = turned.replacen("server    x", "server    b", 1);
    let turned = turned
        .replace(&servers[0].at.to_string(), "ADDRESS")
        .replace(&servers[1].at.to_string(), &servers[0].at.to_string());
    let turned = turned.replace("ADDRESS", &servers[1].at.to_string());
    let reload = balancer.reload(&turned);
    assert!(reload.status.success(), "{}", text(&reload));
    all_stay(at, &mut visitors);

    // A stop leaves a whole copy.
    assert!(balancer.run("stop", &[]).status.success());
    balancer.end(PATIENCE);
    let mut balancer = balancer.again();
    all_stay(at, &mut visitors);

    // A crash leaves the last copy, which has everybody once it was written after they came.
    let file = balancer.scratch().file("state/sessions.table");
    let written = fs::metadata(&file).unwrap().modified().unwrap();
    // A disk that is slow gets half a minute of rest between copies; what is seen again within a second is no change.
    await_for("a newer copy", 3 * PATIENCE, || {
        all_stay(at, &mut visitors);
        fs::metadata(&file).is_ok_and(|file| file.modified().unwrap() > written).then_some(())
    });
    balancer.signal(Signal::KILL);
    balancer.end(PATIENCE);
    let _balancer = balancer.again();
    all_stay(at, &mut visitors);
}

/// What a PHP application's page says, and its first link of its own.
fn php_page(at: SocketAddr, path: &str) -> (Facts, String) {
    let answer = wire::get(at, path).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    let link =
        text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).find(|link| link.starts_with('/'));
    (Facts::of(&answer), link.unwrap_or_else(|| panic!("no link in {text}")).to_owned())
}

#[test]
fn a_php_application_s_own_sessions_in_urls_are_learned() {
    let mut servers = vec![Webshop::start_php("a"), Webshop::start_php("b"), Webshop::start_php("c")];
    let at = free();
    let lines = format!("sticky query PHPSESSID learn=body\n{QUICK_CHECK}");
    let config = shop(at, &lines, &named(&servers));
    let balancer = Balancer::start(&config);
    let mut visitors: Vec<(Facts, String)> = (0..12).map(|_| php_page(at, "/")).collect();
    assert!(
        visitors.iter().all(|(facts, link)| link.contains(&format!("PHPSESSID={}", facts.session))),
        "{visitors:?}"
    );
    let stay = |visitors: &mut Vec<(Facts, String)>, what: &str| {
        for (facts, link) in visitors {
            let (now, next) = php_page(at, link);
            assert_eq!((&now.server, &now.session), (&facts.server, &facts.session), "{what}");
            assert_eq!(now.count, facts.count + 1, "{what}");
            (*facts, *link) = (now, next);
        }
    };
    stay(&mut visitors, "at once");
    let drained = balancer.run("drain", &["shop/a"]);
    assert!(drained.status.success(), "{}", text(&drained));
    let reload = balancer.reload(&config.replace("fall=2", "fall=1"));
    assert!(reload.status.success(), "{}", text(&reload));
    stay(&mut visitors, "by a drain and a reload");
    assert!(visitors.iter().any(|(facts, _)| facts.server == "c"), "{visitors:?}");
    servers[2].kill();
    balancer.await_state("shop", "c", "down");
    visitors.retain(|(facts, _)| facts.server != "c");
    stay(&mut visitors, "by the death of another server");
}

#[test]
fn the_death_of_a_server_costs_its_own_sessions_alone() {
    let mut servers = vec![Webshop::start("a"), Webshop::start("b"), Webshop::start("c")];
    let at = free();
    let lines = format!("sticky query sid learn=body\n{QUICK_CHECK}");
    let balancer = Balancer::start(&shop(at, &lines, &named(&servers)));
    let mut visitors = enter(at, 24);
    all_stay(at, &mut visitors);
    assert!(all_on(&visitors, &["a", "b", "c"]));
    servers[2].kill();
    balancer.await_state("shop", "c", "down");
    let (mut lost, mut kept): (Vec<_>, Vec<_>) = visitors.into_iter().partition(|visitor| visitor.facts.server == "c");
    all_stay(at, &mut kept);
    for visitor in &mut lost {
        visitor.follow(at);
        assert_ne!(visitor.facts.server, "c");
    }
    // What they began anew is theirs from then on.
    all_stay(at, &mut lost);
    all_stay(at, &mut kept);
}

#[test]
fn sessions_in_the_application_s_cookie_are_kept() {
    let servers = [Webshop::start("a"), Webshop::start("b")];
    let at = free();
    let lines = format!("sticky learn APPSESSION\n{QUICK_CHECK}");
    let _balancer = Balancer::start(&shop(at, &lines, &named(&servers)));
    let mut seen = Vec::new();
    for _ in 0..8 {
        let first = wire::get(at, "/cookies").unwrap();
        let cookie = first.field("set-cookie").and_then(|value| value.split(';').next()).unwrap().to_owned();
        let facts = Facts::of(&first);
        for count in 2..6 {
            let again = wire::ask(at, "GET", "/cookies", &format!("Cookie: theme=dark; {cookie}\r\n"), b"").unwrap();
            assert_eq!(Facts::of(&again), Facts { count, ..facts.clone() });
            assert_eq!(again.field("set-cookie"), None);
        }
        seen.push(facts.server);
    }
    assert!(seen.contains(&"a".to_owned()) && seen.contains(&"b".to_owned()));
}

/// `evenkeel session` of a running program.
fn session(balancer: &Balancer, words: &[&str]) -> Output {
    let control = balancer.scratch().file("control.sock");
    command(&[&["session"], words, &["--control", control.to_str().unwrap()]].concat())
}

#[test]
fn a_session_stays_wherever_its_client_roams_and_a_copied_one_is_told() {
    let servers = [Webshop::start("a"), Webshop::start("b")];
    let at = free();
    let lines = format!("sticky query sid learn=body\n{QUICK_CHECK}");
    let config = shop(at, &lines, &named(&servers)).replace("route *", "trust 127.0.0.0/8\n    route *");
    let mut balancer = Balancer::start(&config);
    let from = |path: &str, client: &str| {
        let answer = wire::ask(at, "GET", path, &format!("X-Forwarded-For: {client}\r\n"), b"").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.head);
        Facts::of(&answer)
    };
    let again = |facts: &Facts, client: &str| {
        let now = from(&format!("/cart?sid={}", facts.session), client);
        assert_eq!((&now.server, &now.session), (&facts.server, &facts.session), "{client}");
    };
    let begun: Vec<Facts> = (0..8).map(|number| from("/", &format!("198.51.100.{number}"))).collect();
    assert!(["a", "b"].iter().all(|server| begun.iter().any(|facts| facts.server == *server)));

    // On a journey: at home, in a train, by IPv6, and home again; over a restart of the balancer in between.
    let journey = ["198.51.100.1", "203.0.113.9", "2001:db8:7::1", "198.51.100.1"];
    begun.iter().for_each(|facts| journey[..2].iter().for_each(|client| again(facts, client)));
    assert!(balancer.run("stop", &[]).status.success());
    balancer.end(PATIENCE);
    let balancer = balancer.again();
    begun.iter().for_each(|facts| journey[2..].iter().for_each(|client| again(facts, client)));
    let shown = text(&session(&balancer, &["show", &begun[0].session]));
    assert!(shown.contains("changed 3 times\n") || shown.trim_end().ends_with("changed 3 times"), "{shown}");
    assert!(shown.contains("client    198.51.100.1"), "{shown}");
    assert!(!text(&session(&balancer, &["list"])).contains("many networks"));

    // An id that somebody published: everybody comes to its server, and an operator sees it.
    (0..12).for_each(|network| again(&begun[0], &format!("10.{network}.0.1")));
    let shown = text(&session(&balancer, &["show", &begun[0].session]));
    assert!(shown.contains("changed 15 times: copies of its id may be about"), "{shown}");
    let list = text(&session(&balancer, &["list"]));
    assert_eq!(list.lines().filter(|line| line.ends_with("from many networks")).count(), 1, "{list}");
    // Whoever comes with an id that nobody gave is balanced, and leaves nothing behind.
    let total = |list: &Output| serde_json::from_slice::<serde_json::Value>(&list.stdout).unwrap()["total"].clone();
    let before = total(&session(&balancer, &["list", "--json"]));
    for number in 0..20 {
        let answer = wire::get(at, &format!("/check?sid=made-up-{number}0123456789")).unwrap();
        assert_eq!(answer.status, 200);
    }
    assert_eq!(total(&session(&balancer, &["list", "--json"])), before);
}

#[test]
fn an_operator_sees_moves_and_drops_sessions() {
    let servers = [Webshop::start("a"), Webshop::start("b")];
    let at = free();
    let lines = format!("sticky query sid learn=body\n{QUICK_CHECK}");
    let balancer = Balancer::start(&shop(at, &lines, &named(&servers)));
    let mut visitors = enter(at, 12);
    all_stay(at, &mut visitors);
    assert!(!balancer.run("session", &[]).status.success(), "a verb is missing");
    let session = |words: &[&str]| session(&balancer, words);
    let list = text(&session(&["list"]));
    // Each worker takes its own turns, so that twelve visitors need not be six and six.
    let on_a = visitors.iter().filter(|visitor| visitor.facts.server == "a").count();
    let on_b = visitors.len() - on_a;
    let counts = |a: usize, b: usize| format!("shop: a {a} ({a} used), b {b} ({b} used)");
    assert!(on_a > 1 && list.contains(&counts(on_a, on_b)), "{list}");
    let json: serde_json::Value =
        serde_json::from_slice(&session(&["list", "--server", "a", "--json"]).stdout).unwrap();
    assert_eq!((&json["total"], &json["sessions"][0]["server"]), (&on_a.into(), &"a".into()), "{json:#}");

    // An id of the application names a session too, and stands nowhere afterwards.
    let own = visitors.iter().find(|visitor| visitor.facts.server == "a").unwrap().facts.session.clone();
    let shown = text(&session(&["show", &own]));
    assert!(shown.contains("server    a") && shown.contains("by a request") && !shown.contains(&own), "{shown}");
    assert_eq!(text(&session(&["move", &own, "--to", "b"])).trim(), "1 session moved to b");
    assert!(text(&session(&["list"])).contains(&counts(on_a - 1, on_b + 1)));
    let dropped = format!("{} sessions forgotten", on_b + 1);
    assert_eq!(text(&session(&["drop", "--server", "b", "--pool", "shop"])).trim(), dropped);

    for (words, code, says) in [
        (&["drop"][..], 2, "A305"),
        (&["move", "--server", "a", "--to", "z"], 1, "has no server `z`"),
        (&["list", "--pool", "cart"], 1, "no pool `cart` that learns sessions"),
        (&["show", "nobody"], 1, "no such session"),
        (&["list", "--client", "here"], 2, "here"),
    ] {
        let output = session(words);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", text(&output));
        assert!(text(&output).contains(says), "{words:?}: {}", text(&output));
    }
    assert!(!fs::read_to_string(balancer.scratch().file("output")).unwrap().contains(&own), "an id is in the log");
}
