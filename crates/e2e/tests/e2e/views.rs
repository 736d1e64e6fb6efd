//! Does the dashboard show what runs, what would change and what was, and how sessions leave a server that drains?

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use evenkeel_e2e::balancer::{Balancer, program, text};
use evenkeel_e2e::browser::Browser;
use evenkeel_e2e::nginx::Nginx;
use evenkeel_e2e::place::{Scratch, free};
use evenkeel_e2e::{PATIENCE, await_for, wire};
use serde_json::Value;

use crate::dashboard::{sign_in, with_users};
use crate::setting::{QUICK_CHECK, named, shop};

const PASSWORD: &str = "right and long";

// long: one visit from the first look to the way back, in which each step stands on the one before.
#[test]
fn one_sees_what_a_reload_would_change_and_goes_back_in_two_steps() {
    let servers = Nginx::start_many(2);
    let (admin, at) = (free(), free());
    let scratch = Scratch::new("users");
    let users = with_users(admin, "admin", &scratch);
    let config = format!("{}{users}", shop(at, QUICK_CHECK, &named(&servers)));
    let balancer = Balancer::start(&config);
    balancer.await_state("shop", "b", "up");
    let mut browser = Browser::start(1300, 900);
    browser.open(&format!("http://{admin}/config"));
    sign_in(&mut browser, PASSWORD);
    browser.until("document.getElementById('compared')");
    browser.until("document.body?.innerText.includes('Nothing: both say the same')");
    browser.complaints();
    assert!(browser.text("document.querySelector('pre.text').innerText").contains("route * to=shop"));

    // The file changes, and nothing runs of it: the page says what would.
    let line = format!("    server b {}\n", servers[1].at);
    let heavier = config.replace(&line, &line.replace('\n', " weight=3\n"));
    assert_ne!(heavier, config);
    balancer.rewrite(&heavier);
    browser.open(&format!("http://{admin}/config"));
    browser.until("document.querySelector('.text ins')?.innerText.includes('weight=3')");
    let changes = browser.text("document.querySelector('.changes').innerText");
    assert!(changes.contains("shop/b") || changes.contains("shop"), "{changes}");
    balancer.rewrite(&heavier.replace("route *", "rout *"));
    browser.open(&format!("http://{admin}/config"));
    browser.until("document.body?.innerText.includes('It would be refused')");
    assert!(browser.text("document.querySelector('.concerns').innerText").contains("rout"));

    // A reload is seen without asking again; then the way back.
    assert!(balancer.reload(&heavier).status.success());
    browser.until("document.body?.innerText.includes('Nothing: both say the same')");
    browser.until("document.querySelectorAll('tr[data-keep^=config-]').length === 2");
    browser.picture("config");
    browser.click("tr[data-keep=config-1] a[href*='to=1']");
    browser.until("document.getElementById('compared')?.innerText === 'What going back to 1 would change'");
    browser.until("document.querySelector('.text del')?.innerText.includes('weight=3')");
    let generation = || balancer.status()["config"]["generation"].clone();
    let before = generation();
    browser.click("[data-order='/api/v1/config/rollback']");
    browser.until("document.getElementById('told').innerText.includes('Press again')");
    assert_eq!(generation(), before, "one press changes nothing");
    browser.picture("rollback");
    browser.click("[data-order='/api/v1/config/rollback']");
    browser.until("document.getElementById('told').innerText === 'done'");
    let status = balancer.status();
    assert_eq!((&status["config"]["is_rollback"], &status["config"]["kept_as"]), (&true.into(), &3.into()));
    browser.until("document.querySelector('.concerns').innerText.includes('configuration 3 of the history serves')");
    // Going back is a configuration of its own in the history, with who did it.
    browser.until("document.querySelector('tr[data-keep=config-3]')?.innerText.includes('runs')");
    assert!(browser.text("document.querySelector('tr[data-keep=config-3]').innerText").contains("ops"));
    let file = std::fs::read_to_string(balancer.scratch().file("evenkeel.conf")).unwrap();
    assert!(file.ends_with(&heavier), "the file stays as it is: {file}");
    // Who and when.
    let events = wire::ask(admin, "GET", "/api/v1/events/recent", &basic(), b"").unwrap();
    let events: Value = serde_json::from_slice(&events.body).unwrap();
    let told = |kind: &str| -> Vec<String> {
        let of_kind = events.as_array().unwrap().iter().filter(|it| it["kind"] == kind);
        of_kind.map(|it| it["text"].as_str().unwrap().to_owned()).collect()
    };
    assert!(told("audit").iter().any(|it| it.starts_with("ops from ") && it.contains("rollback")), "{events:#}");
    assert!(told("reload").iter().any(|it| it.contains("configuration 3 is in use")), "{events:#}");
    assert_eq!(browser.complaints(), [""; 0]);
}

/// A name server that answers a name with the servers of the pool `shop`.
pub(crate) fn names(at: SocketAddr) -> String {
    format!(
        "dns {at} {{\n    zone www.example.com answer=pool pool=shop ttl=30s {{\n        ns lb1.example.com=198.51.100.10\n    }}\n}}\n"
    )
}

#[test]
fn one_sees_what_dns_answers_from_whom_and_why() {
    let mut servers = Nginx::start_many(2);
    let (admin, at, asked) = (free(), free(), free());
    let config = format!("{}{}admin {admin}\n", shop(at, QUICK_CHECK, &named(&servers)), names(asked));
    let balancer = Balancer::start(&config);
    balancer.await_state("shop", "b", "up");
    let mut browser = Browser::start(1300, 900);
    browser.open(&format!("http://{admin}/dns"));
    let row = "document.querySelector('tr[data-keep^=name-]').innerText";
    browser.until(&format!("{row}.includes('shop/a') && {row}.includes('shop/b') && !{row}.includes('not answered')"));
    // Both servers have one address here, and a name has it once; it goes when neither lives.
    let address = servers[0].at.ip().to_string();
    assert!(browser.text(row).contains(&address));
    servers[1].kill();
    balancer.await_state("shop", "b", "down");
    browser.until(&format!("{row}.includes('down')"));
    assert!(browser.text(row).contains("refused"), "{}", browser.text(row));
    browser.picture("dns");
    browser.open(&format!("http://{admin}/dns?name=www.example.com&type=A"));
    browser.until("document.querySelector('pre.text')?.innerText.includes('NOERROR')");
    let answer = browser.text("document.querySelector('pre.text').innerText");
    assert!(answer.contains(&address) && answer.contains("because "), "{answer}");
    browser.open(&format!("http://{admin}/dns?name=www..example.com"));
    browser.until("document.querySelector('[role=alert]')?.innerText.includes('www..example.com')");
    assert_eq!(browser.complaints(), [""; 0]);
}

fn basic() -> String {
    // `ops:right and long` in base64.
    "Authorization: Basic b3BzOnJpZ2h0IGFuZCBsb25n\r\n".to_owned()
}

/// Asks with a cookie; what the server is called, and the cookie to go on with.
fn visit(at: SocketAddr, cookie: &str) -> (String, String) {
    let answer = wire::ask(at, "GET", "/", &format!("Cookie: {cookie}\r\n"), b"").unwrap();
    let set = answer.field("set-cookie").and_then(|set| set.split(';').next());
    (answer.field("x-server").unwrap().to_owned(), set.unwrap_or(cookie).to_owned())
}

// long: one drain from its click to its end, in which each step stands on the one before.
#[test]
fn one_clicks_drain_and_sees_the_sessions_leave() {
    let servers = Nginx::start_many(2);
    let (admin, at) = (free(), free());
    let scratch = Scratch::new("users");
    let lines = format!("sticky cookie SRV idle=6s\n{QUICK_CHECK}");
    let config = format!("{}{}", shop(at, &lines, &named(&servers)), with_users(admin, "operate", &scratch));
    let balancer = Balancer::start(&config);
    balancer.await_state("shop", "b", "up");

    // A shopper in a browser of its own, and a dozen of other clients; each comes back, so that it has a session.
    let mut shopper = Browser::start(800, 600);
    shopper.open(&format!("http://{at}/"));
    let own = shopper.text("fetch('/').then(it => window.last = it.headers.get('x-server'))");
    shopper.value(
        "window.timer = setInterval(() => fetch('/').then(it => { window.last += ' ' + it.headers.get('x-server'); }), 500); 0",
    );
    let mut others: Vec<(String, String)> = (0..12).map(|_| visit(at, "a=1")).collect();
    let there = others.iter().filter(|(server, _)| *server == own).count() + 1;
    assert!(there > 2, "{others:?}");
    let come = Arc::new(AtomicBool::new(true));
    let coming = Arc::clone(&come);
    let crowd = std::thread::spawn(move || {
        while coming.load(Ordering::Relaxed) {
            for (server, cookie) in &mut others {
                let (now, next) = visit(at, cookie);
                assert_eq!(now, *server, "a session that lives was moved");
                *cookie = next;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    });

    let mut operator = Browser::start(1300, 900);
    operator.open(&format!("http://{admin}/?server=shop%2F{own}"));
    sign_in(&mut operator, PASSWORD);
    operator.until("document.querySelector('.card')");
    operator.open(&format!("http://{admin}/?server=shop%2F{own}"));
    operator.complaints();
    let facts = format!("document.getElementById('panel')?.innerText.includes('{there} sessions')");
    let mut stay = || {
        let servers = shopper.text("window.last");
        assert!(servers.split(' ').all(|server| server == own), "a session that lives was moved: {servers}");
    };
    operator.until(&facts);
    operator.click("#orders button[value=drain]");
    operator.until("document.getElementById('answer').textContent.includes('done')");
    operator.until(&format!("document.getElementById('drain').innerText.includes('{there} sessions left')"));
    operator.picture("sessions-leave");
    assert_eq!(operator.value("document.querySelector('.concerns')"), Value::Null, "an order is no trouble");
    assert!(operator.text("document.querySelector('.by-order').innerText").contains("sessions left"));
    let status = text(&balancer.run("status", &[]));
    let line = status.lines().find(|line| line.contains("by order: ")).unwrap_or_default();
    assert!(line.contains("is draining") && line.contains("sessions left"), "{status}");
    let waiting = Command::new(program())
        .args(["drain", &format!("shop/{own}"), "--wait", "120s", "--control"])
        .arg(balancer.scratch().file("control.sock"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();

    // Who has a session stays, who has none goes elsewhere; those who leave are counted out.
    assert!((0..6).all(|_| visit(at, "a=1").0 != own));
    come.store(false, Ordering::Relaxed);
    crowd.join().unwrap();
    await_for("all but the shopper to leave", 2 * PATIENCE, || {
        stay();
        let seen = operator.text("document.getElementById('drain').innerText");
        seen.contains("1 session left").then_some(())
    });
    stay();
    shopper.value("clearInterval(window.timer)");
    operator.until("document.getElementById('drain').innerText.includes('Nobody is left')");
    let waited = waiting.wait_with_output().unwrap();
    assert!(waited.status.success(), "{}", text(&waited));
    assert!(String::from_utf8_lossy(&waited.stderr).contains("sessions left"), "{}", text(&waited));
    assert_eq!(operator.complaints(), [""; 0]);
}
