//! Does the dashboard show a person what happens, and let one act? In a real browser, which also says what it refused.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use evenkeel_e2e::balancer::Balancer;
use evenkeel_e2e::browser::Browser;
use evenkeel_e2e::origin::{Manner, Origin};
use evenkeel_e2e::place::{Scratch, free};
use serde_json::Value;

use crate::metrics::{answer, get};
use crate::setting::{QUICK_CHECK, shop};

/// The views with a word that each must show.
const VIEWS: [(&str, &str); 10] = [
    ("/", "Pools and servers"),
    ("/servers", "CSV"),
    ("/health", "24 hours"),
    ("/sessions", "No pool learns sessions"),
    ("/cluster", "stands alone"),
    ("/dns", "DNS"),
    ("/zonefiles", "Zone files"),
    ("/events", "who changed what"),
    ("/config", "What a reload would change"),
    ("/log", "the role operate"),
];

#[test]
fn a_server_that_dies_is_seen_with_its_reason_and_comes_back() {
    let (admin, at) = (free(), free());
    let origins = [Origin::start("a", Manner::Answer), Origin::start("b", Manner::Answer)];
    let config = shop(at, QUICK_CHECK, &[("a", origins[0].at), ("b", origins[1].at)]);
    let balancer = Balancer::start(&format!("{config}admin {admin}\n"));
    balancer.await_state("shop", "a", "up");
    balancer.await_state("shop", "b", "up");
    let mut browser = Browser::start(1400, 900);
    browser.open(&format!("http://{admin}/"));
    browser.until("document.getElementById('said').textContent.includes('all well')");
    assert!(browser.text("document.title").starts_with('✓'));

    // No reload of the page: the script brings what is new.
    browser.value("window.marked = true");
    origins[1].behave(Manner::Status(503));
    browser.until("document.getElementById('said').textContent.includes('1 of 2 servers down')");
    let card =
        browser.text("[...document.querySelectorAll('.card')].find(it => it.innerText.includes('down')).innerText");
    assert!(card.contains('b') && card.contains("503"), "{card}");
    assert!(browser.text("document.title").starts_with('✕'));
    let concerns = browser.text("document.querySelector('.concerns').innerText");
    assert!(concerns.contains("shop/b is down"), "{concerns}");
    let status = balancer.status();
    let said = status.pointer("/pools/0/servers/1/text").and_then(Value::as_str).unwrap_or_default().to_owned();
    let family = said.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned();
    assert!(concerns.contains(&family), "the page says {concerns:?}, status {said:?}");
    browser.picture("down");

    // The panel by mouse, closed by keyboard.
    browser.click("a.card[data-keep='server-shop/b']");
    browser.until("document.getElementById('panel')?.innerText.includes('status-mismatch')");
    assert_eq!(browser.value("new URL(location.href).searchParams.get('server')"), "shop/b");
    browser.picture("panel");
    browser.press("Escape", 27);
    browser.until("!document.getElementById('panel')");

    origins[1].behave(Manner::Answer);
    browser.until("document.getElementById('said').textContent.includes('all well')");
    assert_eq!(browser.value("window.marked"), true, "the page was never loaded anew");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn every_view_reads_without_script_and_on_a_phone() {
    let (admin, at) = (free(), free());
    let origin = Origin::start("a", Manner::Answer);
    let balancer = Balancer::start(&format!("{}admin {admin}\n", shop(at, QUICK_CHECK, &[("a", origin.at)])));
    balancer.await_state("shop", "a", "up");
    let mut browser = Browser::start(360, 740);
    browser.allow_scripts(false);
    for (path, word) in VIEWS {
        browser.open(&format!("http://{admin}{path}"));
        let shown = browser.text("document.body.innerText");
        assert!(shown.contains(word) && shown.contains("all well"), "{path}: {shown}");
        let wide = browser.value("document.documentElement.scrollWidth");
        assert!(wide.as_u64().is_some_and(|wide| wide <= 360), "{path} is {wide} wide on a phone");
        browser.picture(&format!("phone{}", path.replace('/', "-")));
    }
}

#[test]
fn axe_finds_nothing_in_either_theme() {
    let Some(axe) = axe("axe_finds_nothing_in_either_theme") else { return };
    let axe = std::fs::read_to_string(axe).unwrap();
    let (admin, at) = (free(), free());
    let origin = Origin::start("a", Manner::Answer);
    let lines = format!("{QUICK_CHECK}\nsticky query sid learn=body");
    let mut config = shop(at, &lines, &[("a", origin.at), ("gone", free()), ("idle", origin.at)]);
    config = config.replace(&format!("server idle {}", origin.at), &format!("server idle {} maint", origin.at));
    let scratch = Scratch::new("users");
    let log = format!("log {}\n", scratch.file("access.log").display());
    let users = with_users(admin, "operate", &scratch);
    let balancer = Balancer::start(&format!("{log}{config}{}{users}", crate::views::names(free())));
    balancer.await_state("shop", "gone", "down");
    get(at, "/a", "");
    let mut browser = Browser::start(1300, 900);
    browser.bypass_policy();
    let judge = |browser: &mut Browser, what: &str| {
        browser.value(&format!("{axe}; 0"));
        let found = browser.text("axe.run(document).then(it => JSON.stringify(it.violations, null, 1))");
        assert_eq!(found, "[]", "{what}");
    };
    browser.open(&format!("http://{admin}/login?failed=A201"));
    judge(&mut browser, "signing in");
    sign_in(&mut browser, "right and long");
    browser.until("document.querySelector('.card')");
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        for (path, _) in VIEWS {
            browser.open(&format!("http://{admin}{path}?server=shop%2Fgone"));
            judge(&mut browser, &format!("{path} in {scheme}"));
            browser.picture(&format!("axe-{scheme}{}", path.replace('/', "-")));
        }
    }
}

/// Where axe is; `cargo xtask setup` fetches it where npm is there.
pub(crate) fn axe(test: &str) -> Option<PathBuf> {
    let own = std::env::current_exe().expect("a running program has a path");
    let places = own.ancestors().map(|folder| folder.join("axe/package/axe.min.js"));
    let named = std::env::var_os("EVENKEEL_AXE").map(PathBuf::from);
    let found = named.into_iter().chain(places).find(|path| path.is_file());
    if found.is_none() {
        println!("\nSKIPPED {test}: axe-core is not there; `cargo xtask setup` fetches it with npm");
    }
    found
}

/// The lines of an admin listener whose user `ops` has that role and the password `right and long`.
pub(crate) fn with_users(admin: SocketAddr, role: &str, scratch: &Scratch) -> String {
    let mut passwd = Command::new(evenkeel_e2e::balancer::program())
        .arg("passwd")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    passwd.stdin.take().unwrap().write_all(b"right and long\n").unwrap();
    let hash = String::from_utf8(passwd.wait_with_output().unwrap().stdout).unwrap();
    let file = scratch.write("ops.pass", &hash);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    format!("admin {admin} {{\n    user ops role={role} pass=file:{}\n}}\n", file.display())
}

pub(crate) fn sign_in(browser: &mut Browser, password: &str) {
    browser.until("document.querySelector('[name=password]')");
    browser.value(&format!(
        "document.querySelector('[name=user]').value = 'ops'; document.querySelector('[name=password]').value = '{password}'; 0"
    ));
    browser.click(".login button");
}

#[test]
fn one_signs_in_and_sees_requests_as_they_come() {
    let (admin, at) = (free(), free());
    let origin = Origin::start("a", Manner::Answer);
    let scratch = Scratch::new("users");
    let log = format!("log {}\n", scratch.file("access.log").display());
    let config = shop(at, QUICK_CHECK, &[("a", origin.at)]);
    let balancer = Balancer::start(&format!("{log}{config}{}", with_users(admin, "operate", &scratch)));
    balancer.await_state("shop", "a", "up");
    let mut browser = Browser::start(1300, 900);
    browser.open(&format!("http://{admin}/log"));
    browser.picture("login");
    sign_in(&mut browser, "wrong");
    browser.until("document.querySelector('[role=alert]')?.innerText.includes('password is wrong')");
    sign_in(&mut browser, "right and long");
    browser.until("location.pathname === '/log' && document.querySelector('h1')?.innerText === 'Log'");
    // Its own icon and the refused attempt are no faults.
    browser.complaints();

    get(at, "/a<script>alert(1)</script>?x=1", "");
    browser.until("document.querySelector('table.log')?.innerText.includes('alert(1)')");
    browser.click("table.log a");
    browser.until("document.getElementById('panel')?.innerText.includes('Where its time went')");
    browser.picture("log");
    origin.behave(Manner::Status(503));
    balancer.await_state("shop", "a", "down");
    for path in ["/first", "/second"] {
        let (status, _) = answer(at, path, "");
        assert_eq!(status, 503);
    }
    browser.open(&format!("http://{admin}/log?only=failed&q=second"));
    browser.until("document.querySelectorAll('table.log tbody tr').length === 1");
    assert!(browser.text("document.querySelector('table.log tbody').innerText").contains("503"));
    browser.click("form.tools button");
    browser.until("location.pathname === '/login'");
    browser.open(&format!("http://{admin}/servers"));
    browser.until("location.pathname === '/login' && location.search === '?to=/servers'");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn one_drains_a_server_sees_it_empty_and_brings_it_back() {
    let (admin, at) = (free(), free());
    let origins = [Origin::start("a", Manner::Answer), Origin::start("b", Manner::Answer)];
    let scratch = Scratch::new("users");
    let config = shop(at, QUICK_CHECK, &[("a", origins[0].at), ("b", origins[1].at)]);
    let balancer = Balancer::start(&format!("{config}{}", with_users(admin, "operate", &scratch)));
    balancer.await_state("shop", "b", "up");
    let mut browser = Browser::start(1300, 900);
    browser.open(&format!("http://{admin}/"));
    sign_in(&mut browser, "right and long");
    browser.until("document.querySelector('.card')");
    browser.complaints();
    browser.click("a.card[data-keep='server-shop/b']");
    browser.until("document.querySelector('#orders:not([hidden]) button[value=drain]')");
    browser.value("document.querySelector('#orders [name=why]').value = 'kernel <b>update'; 0");
    browser.click("#orders button[value=drain]");
    browser.until("document.getElementById('answer').textContent.includes('done')");
    // The order is done: whoever asks elsewhere sees it, too.
    assert_eq!(balancer.state("shop", "b"), "draining");
    browser.until("document.querySelector('.ordered')?.innerText.includes('kernel <b>update')");
    browser.until("document.querySelector('#orders button[value=drain]').getAttribute('aria-pressed') === 'true'");
    browser.until("document.getElementById('drain')?.innerText.includes('Nobody is left')");
    assert_eq!(browser.value("document.querySelector('[name=why]').value"), "kernel <b>update", "what was typed stays");
    browser.picture("drained");
    let requests = || balancer.status().pointer("/pools/0/servers/1/requests").and_then(Value::as_u64);
    let before = requests();
    for _ in 0..6 {
        get(at, "/", "");
    }
    assert_eq!(requests(), before, "no new client goes there");

    browser.value("document.querySelector('#orders [name=weight]').value = 'lots'; 0");
    browser.click("#orders button[value=weight]");
    browser.until("document.getElementById('answer').className === 'bad'");
    assert!(browser.text("document.getElementById('answer').textContent").contains("`lots` is no weight"));
    browser.click("#orders button[value=ready]");
    browser.until("document.querySelector('#panel .state').innerText.includes('up')");
    balancer.await_state("shop", "b", "up");
    browser.open(&format!("http://{admin}/events?q=shop/b"));
    browser.until("document.querySelector('.events')?.innerText.includes('draining')");
    browser.picture("events");
}

#[test]
fn tools_of_haproxy_read_our_csv() {
    let (admin, at) = (free(), free());
    let origin = Origin::start("a", Manner::Answer);
    let balancer = Balancer::start(&format!("{}admin {admin}\n", shop(at, QUICK_CHECK, &[("a", origin.at)])));
    balancer.await_state("shop", "a", "up");
    let ours = get(admin, "/;csv", "");
    assert_eq!(ours, get(admin, "/stats;csv", ""));

    // The columns that HAProxy itself has, in its order, up to those that only its later versions have.
    let place = free();
    let scratch = Scratch::new("haproxy-csv");
    let config = format!(
        "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\nfrontend f\n bind {place}\n stats \
         enable\n stats uri /s\n default_backend b\nbackend b\n server s1 {}\n",
        origin.at
    );
    let path = scratch.write("haproxy.cfg", &config);
    let arguments = ["-db", "-f", path.to_str().unwrap()];
    let program = which("haproxy");
    let output = scratch.file("output");
    let _haproxy = evenkeel_e2e::process::Process::start("haproxy", &program, &arguments, scratch.path(), output);
    let theirs = evenkeel_e2e::await_for("HAProxy's statistics", evenkeel_e2e::PATIENCE, || {
        std::net::TcpStream::connect(place).ok().map(|_| get(place, "/s;csv", ""))
    });
    let columns = |text: &str| -> Vec<String> {
        text.lines().find(|line| line.starts_with("# ")).unwrap_or_default().split(',').map(str::to_owned).collect()
    };
    let (ours_named, theirs_named) = (columns(&ours), columns(&theirs));
    let shared = ours_named.len() - 1;
    assert_eq!(ours_named[..shared], theirs_named[..shared]);
    assert!(shared > 90, "{shared} columns");
    let row = ours.lines().find(|line| line.starts_with("shop,a,")).unwrap();
    assert_eq!(row.split(',').nth(17), Some("UP"), "{row}");
}

fn which(program: &str) -> PathBuf {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    folders.iter().map(|folder| Path::new(folder).join(program)).find(|path| path.is_file()).expect("setup installs it")
}

#[test]
fn top_follows_on_a_terminal_and_is_plain_without_one() {
    let at = free();
    let origin = Origin::start("a", Manner::Answer);
    let balancer = Balancer::start(&shop(at, QUICK_CHECK, &[("a", origin.at)]));
    balancer.await_state("shop", "a", "up");
    let plain = balancer.run("top", &[]);
    let text = String::from_utf8_lossy(&plain.stdout).into_owned();
    assert!(plain.status.success() && text.contains("shop/a") && !text.contains('\x1b'), "{text}");

    let socket = balancer.scratch().file("tmux");
    let tmux = |words: &[&str]| {
        let output = Command::new("tmux").arg("-S").arg(&socket).args(words).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let program = evenkeel_e2e::balancer::program().display().to_string();
    let control = balancer.scratch().file("control.sock").display().to_string();
    let line = format!("{program} top --every 0.2 --control {control}; echo ended with $?; exec sleep 60");
    let _server = Terminal { socket: socket.clone() };
    tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "90", "-y", "20", &line]);
    let shown = |what: &str| {
        evenkeel_e2e::await_for(&format!("{what:?} on the screen"), evenkeel_e2e::PATIENCE, || {
            let screen = tmux(&["capture-pane", "-p"]);
            screen.contains(what).then_some(screen)
        })
    };
    let screen = shown("shop/a");
    assert!(screen.contains("1 of 1 server up") && screen.contains("order: as written"), "{screen}");
    tmux(&["send-keys", "s"]);
    shown("order: state");
    origin.behave(Manner::Status(500));
    shown("shop/a is down");
    tmux(&["resize-window", "-x", "60", "-y", "12"]);
    shown("q quit");
    tmux(&["send-keys", "q"]);
    let after = shown("ended with 0");
    assert!(!after.contains("q quit"), "the screen is as it was: {after}");
}

/// A tmux server of the test's own.
struct Terminal {
    socket: PathBuf,
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").arg("-S").arg(&self.socket).arg("kill-server").output();
    }
}
