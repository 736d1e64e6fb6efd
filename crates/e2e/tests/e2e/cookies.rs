//! Do browsers keep and send our cookie as its attributes say? By a real one, with names that it resolves as we tell it.

use std::fmt::Write;
use std::net::SocketAddr;

use evenkeel_e2e::balancer::Balancer;
use evenkeel_e2e::browser::Browser;
use evenkeel_e2e::origin::{Manner, Origin};
use evenkeel_e2e::place::{Scratch, free};
use serde_json::Value;

use crate::tls::Pair;

/// Hosts of one balancer, each with the words of its cookie. The server sees the cookie here, so that it can tell what came.
const HOSTS: [(&str, &str); 6] = [
    ("plain.shop.test", ""),
    ("life.shop.test", "expires=1h"),
    ("wide.shop.test", "domain=shop.test path=/app"),
    ("secure.shop.test", "secure=on"),
    ("strict.shop.test", "same-site=strict http-only=off"),
    ("off.shop.test", "same-site=off"),
];

fn start(at: SocketAddr, origin: &Origin) -> Balancer {
    let mut config = String::new();
    for (host, words) in HOSTS {
        let name = host.split('.').next().unwrap();
        let lines = [format!("sticky cookie {name} strip=off {words}"), format!("to {}", origin.at)];
        writeln!(config, "http {at} {host} {{\n    {}\n}}", lines.join("\n    ")).unwrap();
    }
    // What stands beside them: another site, and a host below the same domain.
    writeln!(config, "http {at} other.shop.test evil.test {{\n    to {}\n}}", origin.at).unwrap();
    Balancer::start(&config)
}

/// A page of a host, and what the browser sent with the request for it.
fn open(browser: &mut Browser, origin: &Origin, at: SocketAddr, host: &str, path: &str) -> String {
    browser.open(&format!("http://{host}:{}{path}", at.port()));
    cookies_of(&origin.head_of(host, path))
}

fn cookies_of(head: &str) -> String {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("cookie:"));
    line.map(|line| line[7..].trim().to_owned()).unwrap_or_default()
}

// long: one browser, in which each host is looked at after the others have left their cookies.
#[test]
fn a_browser_keeps_and_sends_the_cookie_as_its_attributes_say() {
    let (at, origin) = (free(), Origin::start("a", Manner::Answer));
    let _balancer = start(at, &origin);
    let rules = format!("'--host-resolver-rules=MAP *.test {}'", at.ip());
    let mut browser = Browser::start_with(800, 600, &rules);
    let kept = |browser: &mut Browser, host: &str, path: &str| -> Option<Value> {
        let name = host.split('.').next().unwrap().to_owned();
        let all = browser.cookies(&format!("http://{host}:{}{path}", at.port()));
        all.into_iter().find(|cookie| cookie["name"] == name.as_str())
    };

    // By default: for this host alone, every path, until the browser ends, out of scripts' reach.
    assert_eq!(open(&mut browser, &origin, at, "plain.shop.test", "/a/b"), "");
    let cookie = kept(&mut browser, "plain.shop.test", "/").expect("the browser has taken it");
    assert_eq!((&cookie["domain"], &cookie["path"]), (&"plain.shop.test".into(), &"/".into()), "{cookie}");
    assert_eq!(
        (&cookie["session"], &cookie["httpOnly"], &cookie["secure"]),
        (&true.into(), &true.into(), &false.into())
    );
    assert_eq!(cookie["sameSite"], "Lax", "{cookie}");
    assert_eq!(browser.text("document.cookie"), "");
    let sent = open(&mut browser, &origin, at, "plain.shop.test", "/");
    assert_eq!(sent, format!("plain={}", cookie["value"].as_str().unwrap()));
    assert_eq!(open(&mut browser, &origin, at, "other.shop.test", "/"), "", "another host has it");

    // With a life: an hour from now, as the browser counts it.
    open(&mut browser, &origin, at, "life.shop.test", "/");
    let cookie = kept(&mut browser, "life.shop.test", "/").unwrap();
    let left = cookie["expires"].as_f64().unwrap() - browser.value("Date.now() / 1000").as_f64().unwrap();
    assert!(cookie["session"] == false && (3000.0..3700.0).contains(&left), "{cookie}");

    // For a whole domain, below a path.
    open(&mut browser, &origin, at, "wide.shop.test", "/app/");
    let sent = open(&mut browser, &origin, at, "other.shop.test", "/app/x");
    assert!(sent.starts_with("wide="), "{sent:?}");
    assert_eq!(open(&mut browser, &origin, at, "other.shop.test", "/elsewhere"), "");
    assert_eq!(open(&mut browser, &origin, at, "evil.test", "/app/"), "");

    // `Secure` over plain HTTP: no browser keeps that.
    open(&mut browser, &origin, at, "secure.shop.test", "/");
    assert_eq!(kept(&mut browser, "secure.shop.test", "/"), None);
    assert!(!open(&mut browser, &origin, at, "secure.shop.test", "/").contains("secure="));

    // From another site's link: a lax one comes along, a strict one does not; a script sees it where it may.
    open(&mut browser, &origin, at, "strict.shop.test", "/");
    assert!(browser.text("document.cookie").starts_with("strict="));
    assert_eq!(kept(&mut browser, "strict.shop.test", "/").unwrap()["sameSite"], "Strict");
    for (host, comes) in [("plain.shop.test", true), ("strict.shop.test", false)] {
        open(&mut browser, &origin, at, "evil.test", "/");
        let place = format!("http://{host}:{}/from-afar", at.port());
        browser.value(&format!("location.href = '{place}'; 0"));
        browser.until(&format!("location.pathname === '/from-afar' && location.host.startsWith('{host}') && document.readyState === 'complete'"));
        let name = host.split('.').next().unwrap();
        let sent = cookies_of(&origin.head_of(host, "/from-afar"));
        assert_eq!(sent.contains(&format!("{name}=")), comes, "{host}: {sent:?}");
    }

    // Without the attribute browsers treat it as lax, and say that nobody said so.
    open(&mut browser, &origin, at, "off.shop.test", "/");
    assert_eq!(kept(&mut browser, "off.shop.test", "/").unwrap()["sameSite"], Value::Null);
}

#[test]
fn over_tls_a_browser_keeps_the_prefixed_cookie_and_sends_it_where_it_is_embedded() {
    let (at, origin) = (free(), Origin::start("a", Manner::Answer));
    let scratch = Scratch::new("cookies-tls");
    let pair = Pair::make(&scratch, "shop", &["own.shop.test", "evil.test"], "30");
    let block = |host: &str, lines: &str| {
        format!("https {at} {host} {{\n    {}\n{lines}    to {}\n}}\n", pair.line(), origin.at)
    };
    let config = format!("{}{}", block("own.shop.test", "    sticky strip=off\n"), block("evil.test", ""));
    let _balancer = Balancer::start(&config);
    let words = format!("'--host-resolver-rules=MAP *.test {}' --ignore-certificate-errors", at.ip());
    let mut browser = Browser::start_with(800, 600, &words);
    let place = |host: &str, path: &str| format!("https://{host}:{}{path}", at.port());
    browser.open(&place("own.shop.test", "/"));
    let all = browser.cookies(&place("own.shop.test", "/"));
    let cookie = all.iter().find(|cookie| cookie["name"].as_str().unwrap().starts_with("__Host-")).expect("it is kept");
    assert_eq!((&cookie["secure"], &cookie["httpOnly"]), (&true.into(), &true.into()), "{cookie}");
    assert_eq!((&cookie["domain"], &cookie["path"]), (&"own.shop.test".into(), &"/".into()), "{cookie}");
    browser.open(&place("own.shop.test", "/again"));
    assert!(cookies_of(&origin.head_of("own.shop.test", "/again")).starts_with("__Host-"));

    // In a frame of another site: no lax cookie comes along, and one of its own is kept for that site alone.
    browser.open(&place("evil.test", "/"));
    for (path, comes) in [("/framed", false), ("/framed-again", true)] {
        let script = format!(
            "new Promise(done => {{ const it = document.createElement('iframe'); it.src = '{}'; it.onload = () => done(1); \
             document.body.append(it); }})",
            place("own.shop.test", path)
        );
        browser.value(&script);
        let sent = cookies_of(&origin.head_of("own.shop.test", path));
        assert_eq!(sent.contains("__Host-"), comes, "{path}: {sent:?}");
    }
}
