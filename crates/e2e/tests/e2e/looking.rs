//! Do the views of what runs tell the truth: `route`, `config diff`, `history`, `rollback`, `status`?

use evenkeel_e2e::balancer::{Balancer, text};
use evenkeel_e2e::nginx::Nginx;
use evenkeel_e2e::place::free;
use evenkeel_e2e::{PATIENCE, await_for, wire};
use serde_json::Value;

use crate::setting::{QUICK_CHECK, named, pool, shop};

fn said(balancer: &Balancer, verb: &[&str], code: i32) -> String {
    let output = balancer.run_words(verb);
    assert_eq!(output.status.code(), Some(code), "{verb:?}: {}", text(&output));
    text(&output)
}

fn json(balancer: &Balancer, verb: &[&str]) -> Value {
    let words: Vec<&str> = verb.iter().copied().chain(["--json"]).collect();
    let output = balancer.run_words(&words);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{verb:?}: {error}: {}", text(&output)))
}

#[test]
fn what_route_says_is_what_happens() {
    let servers = Nginx::start_many(3);
    let at = free();
    let config = format!(
        "http {at} {{\n    route /api/* method=POST to=hashed\n    route /old redirect=https://example.org/new\n    route /shop/* to=shop\n    \
         route /hash to=hashed\n}}\n{}{}",
        pool("shop", &format!("sticky\n{QUICK_CHECK}"), &named(&servers)),
        pool("hashed", &format!("balance hash query id\n{QUICK_CHECK}"), &named(&servers)),
    );
    let mut servers = servers;
    let balancer = Balancer::start(&config);
    for server in ["a", "b", "c"] {
        balancer.await_state("shop", server, "up");
        balancer.await_state("hashed", server, "up");
    }
    let url = |path: &str| format!("http://{at}{path}");

    // Losers have their reasons, and the answer without a server its status.
    let told = said(&balancer, &["route", &url("/nowhere")], 0);
    assert!(told.starts_with("404: no route takes it"), "{told}");
    assert!(told.contains("its path is not /shop/*"), "{told}");
    let told = said(&balancer, &["route", &url("/api/x")], 0);
    assert!(told.contains("its method is not POST"), "{told}");
    assert_eq!(json(&balancer, &["route", &url("/api/x"), "-X", "POST"])["pool"], "hashed");

    // A hash leads to just the server that answers.
    for id in 0..8 {
        let path = format!("/hash?id={id}");
        let found = json(&balancer, &["route", &url(&path)]);
        let sure: Vec<&Value> =
            found["servers"].as_array().unwrap().iter().filter(|it| it["chance_percent"] == 100.0).collect();
        let answered = wire::ask(at, "GET", &path, "", b"").unwrap();
        assert_eq!(sure.len(), 1, "{found}");
        assert_eq!(sure[0]["name"].as_str(), answered.field("x-server"), "{found}");
    }

    // A session decides, until its server is gone.
    let answer = wire::ask(at, "GET", "/shop/", "", b"").unwrap();
    let owner = answer.field("x-server").unwrap().to_owned();
    let cookie = answer.field("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let field = format!("Cookie: {cookie}");
    let found = json(&balancer, &["route", &url("/shop/"), "-H", &field]);
    assert_eq!(found["text"], format!("it goes to {owner}"), "{found}");
    let place = ["a", "b", "c"].iter().position(|name| *name == owner).unwrap();
    servers[place].kill();
    balancer.await_state("shop", &owner, "down");
    let told = said(&balancer, &["route", &url("/shop/"), "-H", &field], 0);
    assert!(told.contains(&format!("binds it to {owner}, which may not serve (down)")), "{told}");
    assert!(told.contains("it is down: "), "{told}");
}

#[test]
fn what_cannot_be_asked_is_refused_with_the_way_out() {
    let servers = Nginx::start_many(1);
    let balancer = Balancer::start(&shop(free(), QUICK_CHECK, &named(&servers)));
    for (arguments, code, wanted) in [
        (&["route", "no url"][..], 2, "no URL"),
        (&["route", "*"], 2, "begins with `/`"),
        (&["route", "/", "-H", "nonsense"], 2, "Name: value"),
        (&["route", "/", "--from", "me"], 2, "no address"),
        (&["route", "http://x:1/"], 1, "listeners: "),
        (&["route", "/", "--listener", ":9"], 1, "there is no listener `:9`"),
    ] {
        let told = said(&balancer, arguments, code);
        assert!(told.contains(wanted), "{arguments:?}: {told}");
    }
}

#[test]
fn a_configuration_can_be_compared_and_had_back() {
    let servers = Nginx::start_many(2);
    let at = free();
    let first = shop(at, QUICK_CHECK, &named(&servers));
    let balancer = Balancer::start(&first);
    assert!(said(&balancer, &["config", "diff"], 0).contains("are the same"));
    let second = first.replace("pool shop {", "pool shop {\n    balance least-conn");
    assert_eq!(balancer.reload(&second).status.code(), Some(0));

    // What a reload would change, a broken file included.
    balancer.rewrite(&second.replace("least-conn", "randomm"));
    let told = said(&balancer, &["config", "diff"], 2);
    assert!(told.contains("-    balance least-conn") && told.contains("+    balance randomm"), "{told}");
    assert!(told.contains("would be refused") && told.contains("random"), "{told}");

    let history = json(&balancer, &["config", "history"]);
    let numbers: Vec<u64> = history.as_array().unwrap().iter().map(|it| it["number"].as_u64().unwrap()).collect();
    assert_eq!((numbers.as_slice(), &history[1]["is_running"]), (&[1, 2][..], &Value::Bool(true)), "{history}");

    // Back, though the file is broken; and the file stays as it is.
    let told = said(&balancer, &["config", "rollback"], 0);
    assert!(told.contains("pool shop changed") && told.contains("the file still says otherwise"), "{told}");
    let running = said(&balancer, &["config", "show", "--running"], 0);
    assert!(!running.contains("least-conn"), "{running}");
    assert!(said(&balancer, &["status"], 0).contains("of the history serves"));
    assert_eq!(said(&balancer, &["config", "show", "--kept", "3"], 0), running);
    assert!(said(&balancer, &["config", "rollback", "77"], 1).contains("A402"));

    // The history outlives the process.
    assert_eq!(balancer.reload(&second).status.code(), Some(0));
    let mut balancer = balancer;
    balancer.signal(rustix::process::Signal::KILL);
    balancer.end(PATIENCE);
    let balancer = balancer.again();
    let history = json(&balancer, &["config", "history"]);
    assert_eq!(history.as_array().unwrap().len(), 4, "{history}");
    assert_eq!(history[3]["is_running"], true);
}

#[test]
fn two_daemons_do_not_share_a_state_directory() {
    let servers = Nginx::start_many(1);
    let balancer = Balancer::start(&shop(free(), QUICK_CHECK, &named(&servers)));
    let other = shop(free(), QUICK_CHECK, &named(&servers));
    let state = balancer.scratch().file("state");
    let control = balancer.scratch().file("other.sock");
    let config = format!("state {}\ncontrol {}\n{other}", state.display(), control.display());
    let path = balancer.scratch().write("other.conf", &config);
    let output = evenkeel_e2e::balancer::command(&["run", path.to_str().unwrap()]);
    assert_ne!(output.status.code(), Some(0));
    assert!(text(&output).contains("another evenkeel"), "{}", text(&output));
}

#[test]
fn status_is_not_well_before_it_is() {
    let servers = Nginx::start_many(1);
    let dead = free();
    let at = free();
    let lines = "check GET /check every=300ms timeout=250ms rise=1 fall=100";
    let config = shop(at, lines, &[("a", servers[0].at), ("dead", dead)]);
    let balancer = Balancer::start(&config);
    let told = await_for("the failing first checks", PATIENCE, || {
        let told = said(&balancer, &["status"], 0);
        told.contains("shop/dead is unknown").then_some(told)
    });
    assert!(told.lines().next().unwrap().contains("1 of 2 servers up"), "{told}");
    assert!(told.contains("would take it out"), "{told}");
}
