//! A scripted night: do status, API, dashboard, metrics, events and log tell one truth while things go wrong?

use std::net::SocketAddr;
use std::time::Duration;

use evenkeel_e2e::balancer::{Balancer, text};
use evenkeel_e2e::browser::Browser;
use evenkeel_e2e::nginx::Nginx;
use evenkeel_e2e::origin::{Manner, Origin};
use evenkeel_e2e::place::free;
use evenkeel_e2e::{PATIENCE, await_for, wire};
use serde_json::Value;

/// A balancer and where it is looked at.
struct Night {
    balancer: Balancer,
    admin: SocketAddr,
    /// Somebody who looks at the dashboard all night, and never asks for the page again.
    browser: Browser,
}

impl Night {
    fn get(&self, path: &str) -> Value {
        let answer = wire::get(self.admin, path).unwrap();
        serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}: {}", answer.text()))
    }

    fn events(&self) -> Vec<Value> {
        self.get("/api/v1/events/recent").as_array().cloned().unwrap_or_default()
    }

    /// The last event of that kind about that subject.
    fn last_event(&self, kind: &str, subject: &str) -> Value {
        let events = self.events();
        events.iter().rev().find(|it| it["kind"] == kind && it["subject"] == subject).cloned().unwrap_or_default()
    }

    fn metric(&self, name: &str) -> Option<f64> {
        let page = wire::get(self.admin, "/metrics").unwrap().text();
        page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    /// Every view of a server says this state, as soon as the first one does; those of a change tell its reason.
    fn expect(&mut self, server: &str, state: &str, reason: &str) {
        self.balancer.await_state("shop", server, state);
        let id = format!("shop/{server}");
        let report = self.get(&format!("/api/v1/pools/shop/servers/{server}"));
        assert_eq!((report["state"].as_str(), report["reason"].as_str()), (Some(state), Some(reason)), "{report}");
        let event = self.last_event("server", &id);
        assert_eq!(event["state"], state, "{event}");
        let serves = f64::from(u8::from(matches!(state, "up" | "unknown")));
        let up = format!("evenkeel_server_up{{pool=\"shop\",server=\"{server}\"}}");
        assert_eq!(self.metric(&up), Some(serves), "{up}");
        let pool = self.get("/api/v1/pools/shop");
        let same = pool["servers"].as_array().unwrap().iter().filter(|it| it["state"] == state).count();
        let counted = self.metric(&format!("evenkeel_pool_servers{{pool=\"shop\",state=\"{state}\"}}"));
        assert_eq!(counted, Some(u32::try_from(same).unwrap().into()), "{pool}");
        let status = text(&self.balancer.run("status", &[]));
        if state == "up" {
            assert!(!status.contains(&format!("  {id} is ")), "{status}");
        } else {
            let line = status.lines().find(|line| line.contains(&format!("{id} is {state} "))).unwrap_or_default();
            assert!(line.contains(&format!("({reason})")), "{status}");
            assert!(!status.lines().next().unwrap().contains("all well"), "{status}");
        }
        let log = self.balancer.process().output();
        assert!(log.contains(&format!("server {id} is {state}")), "{log}");
        self.expect_on_page(&id, state, reason);
    }

    /// The dashboard says so, too: the card, the line of what is wrong or ordered, and the head.
    fn expect_on_page(&mut self, id: &str, state: &str, reason: &str) {
        let card = format!("document.querySelector(\"a.card[data-keep='server-{id}']\")");
        self.browser.until(&format!("{card}?.innerText.includes('{state}')"));
        let boxed = match state {
            "up" => None,
            "draining" | "maintenance" => Some("by-order"),
            _ => Some("concerns"),
        };
        for place in ["concerns", "by-order"] {
            let line = format!(
                "[...document.querySelectorAll('.{place} li')].find(it => it.innerText.startsWith('{id} is {state} '))"
            );
            match boxed == Some(place) {
                true => self.browser.until(&format!("{line}?.innerText.includes('({reason})')")),
                false => self.browser.until(&format!("!{line}")),
            }
        }
    }

    /// What the dashboard's head and its box of troubles say.
    fn page(&mut self) -> String {
        self.browser.text(
            "document.getElementById('said').innerText + ' ' + (document.querySelector('.concerns')?.innerText ?? '')",
        )
    }
}

fn config(at: SocketAddr, admin: SocketAddr, servers: &[(&str, SocketAddr)]) -> String {
    let servers: String = servers.iter().map(|(name, at)| format!("    server {name} {at}\n")).collect();
    format!(
        "admin {admin}\nhttp {at} {{\n    route * to=shop\n}}\npool shop {{\n    \
         check GET /check every=200ms timeout=400ms rise=1 fall=2\n{servers}}}\n"
    )
}

// long: one night in its order, in which each step stands on the one before.
#[test]
fn every_view_of_a_bad_night_tells_the_same() {
    let nginx = Nginx::start_many(2);
    let (hangs, flaps) = (Origin::start("hangs", Manner::Answer), Origin::start("flaps", Manner::Answer));
    let (at, admin) = (free(), free());
    let servers = [("a", nginx[0].at), ("drains", nginx[1].at), ("hangs", hangs.at), ("flaps", flaps.at)];
    let config = config(at, admin, &servers);
    let mut night = Night { balancer: Balancer::start(&config), admin, browser: Browser::start(1300, 900) };
    night.browser.open(&format!("http://{admin}/"));
    for (name, _) in servers {
        night.expect(name, "up", "check-passed");
    }

    // A server hangs.
    hangs.behave(Manner::Hang);
    night.expect("hangs", "down", "answer-timeout");

    // Another flaps: each turn is told once, in order.
    for _ in 0..2 {
        flaps.behave(Manner::Status(500));
        night.expect("flaps", "down", "status-mismatch");
        flaps.behave(Manner::Answer);
        night.expect("flaps", "up", "check-passed");
    }
    let turns: Vec<String> = night
        .events()
        .iter()
        .filter(|it| it["kind"] == "server" && it["subject"] == "shop/flaps")
        .map(|it| it["state"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(turns, ["up", "down", "up", "down", "up"]);

    // An operator drains a third.
    let drained = night.balancer.run("drain", &["shop/drains", "--why", "new kernel"]);
    assert_eq!(drained.status.code(), Some(0), "{}", text(&drained));
    night.expect("drains", "draining", "operator");
    let ordered = night.last_event("intent", "shop/drains");
    assert!(ordered["text"].as_str().unwrap_or_default().contains("new kernel"), "{ordered}");

    // A bad reload.
    assert_eq!(night.metric("evenkeel_config_last_reload_success"), Some(1.0));
    assert_eq!(night.balancer.reload(&config.replace("route *", "rout *")).status.code(), Some(2));
    assert_eq!(night.metric("evenkeel_config_last_reload_success"), Some(0.0));
    let refused = night.last_event("reload", "");
    assert!(refused["text"].as_str().unwrap_or_default().contains("unknown word `rout`"), "{refused}");
    let status = text(&night.balancer.run("status", &[]));
    assert!(status.contains("the last reload was refused") && status.contains("`rout`"), "{status}");
    night.browser.until("document.querySelector('.concerns')?.innerText.includes('the last reload was refused')");
    assert!(night.page().contains("`rout`"));
    assert_eq!(night.get("/api/v1/config")["last_reload"]["ok"], false);
    assert!(night.balancer.process().output().contains("the reload is refused"));
    assert_eq!(wire::get(at, "/").unwrap().status, 200);

    // A restart, with the good file. What was ordered still holds, and what hangs is still out.
    night.balancer.rewrite(&config);
    night.balancer.signal(rustix::process::Signal::TERM);
    assert_eq!(night.balancer.end(Duration::from_secs(60)), 0);
    night.browser.until("document.getElementById('live').innerText.includes('no answer')");
    let Night { balancer, admin, browser } = night;
    let mut night = Night { balancer: balancer.again(), admin, browser };
    await_for("the verdicts after the restart", PATIENCE, || {
        let status = night.balancer.status();
        let servers = status["pools"][0]["servers"].as_array()?.clone();
        let state = |name: &str| servers.iter().find(|it| it["name"] == name).and_then(|it| it["state"].as_str());
        let wanted = [("a", "up"), ("drains", "draining"), ("hangs", "down"), ("flaps", "up")];
        wanted.iter().all(|(name, wanted)| state(name) == Some(wanted)).then_some(())
    });
    let drains = night.get("/api/v1/pools/shop/servers/drains");
    assert_eq!(drains["intent"]["why"], "new kernel", "{drains}");
    let lifted = night.balancer.run("ready", &["drains"]);
    assert_eq!(lifted.status.code(), Some(0), "{}", text(&lifted));
    night.expect("drains", "up", "check-passed");
    hangs.behave(Manner::Answer);
    night.expect("hangs", "up", "check-passed");
    night.browser.until("document.getElementById('said').innerText.includes('all well, 4 servers')");
    assert_eq!(night.browser.value("document.querySelector('.concerns, .by-order')"), Value::Null, "{}", night.page());
    let well = text(&night.balancer.run("status", &[]));
    assert!(well.lines().next().unwrap().contains("all well, 4 servers up"), "{well}");
}
