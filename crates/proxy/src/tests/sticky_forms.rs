//! Every kind of value that tells a server: how it is read, what is written, and what the server sees of it.

use evenkeel_balance::sticky::Dated;
use evenkeel_model::State;
use evenkeel_model::config::{Carrier, CookieValue, Insert, SetBy, Sticky, StickyCookie, StickyMethod};

use super::rig::{Answer, Client, Origin, Rig, Seen, config, pool, run};

/// Servers named `a`, `b`, `c` that say their name, and add to the answer the lines that the request asks for in
/// `X-Say`.
pub(super) async fn three() -> Vec<Origin> {
    let mut origins = Vec::new();
    for name in ["a", "b", "c"] {
        let answer = move |seen: &Seen| {
            let said = seen.field("x-say").map(|say| say.replace('|', "\r\n") + "\r\n").unwrap_or_default();
            format!("HTTP/1.1 200 OK\r\n{said}Content-Length: 1\r\n\r\n{name}").into_bytes()
        };
        origins.push(Origin::answering(answer).await);
    }
    origins
}

/// A method by the cookie `SRV`.
pub(super) fn by_cookie(change: impl FnOnce(&mut StickyCookie)) -> Sticky {
    let mut cookie = StickyCookie::new("SRV".to_owned());
    change(&mut cookie);
    Sticky::new(StickyMethod::Cookie(Box::new(cookie)))
}

fn form(value: CookieValue) -> Sticky {
    by_cookie(|cookie| cookie.value = value)
}

fn by_server(set_by: SetBy) -> Sticky {
    by_cookie(|cookie| (cookie.set_by, cookie.value) = (set_by, CookieValue::Name))
}

fn carried(carrier: Carrier) -> Sticky {
    Sticky::new(StickyMethod::Named(carrier))
}

/// A balancer with these methods before three servers, of which `b` is known as `bee` and `old-b`.
pub(super) async fn rig(origins: &[Origin], methods: Vec<Sticky>) -> Rig {
    let mut shop = pool(&origins.iter().collect::<Vec<_>>());
    shop.sticky = methods;
    shop.servers[1].known_as = vec!["bee".to_owned(), "old-b".to_owned()];
    Rig::start(config(shop)).await
}

/// One `GET` on a connection of its own.
pub(super) async fn ask(rig: &Rig, target: &str, fields: &str) -> Answer {
    ask_by(rig, "GET", target, fields).await
}

async fn ask_by(rig: &Rig, method: &str, target: &str, fields: &str) -> Answer {
    let mut client = Client::connect(rig).await;
    let length = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
    client.send(format!("{method} {target} HTTP/1.1\r\nHost: a.example\r\n{length}{fields}\r\n")).await;
    client.answer().await
}

/// The cookie that an answer sets, as the client sends it back.
pub(super) fn cookie_of(answer: &Answer) -> Option<String> {
    Some(answer.field("set-cookie")?.split(';').next()?.to_owned())
}

/// How the next requests in the log went: outcome, what told, why not.
pub(super) async fn logged_many(rig: &Rig, count: usize) -> Vec<String> {
    let lines = rig.lines(count).await;
    assert_eq!(lines.len(), count, "{lines:?}");
    lines.iter().map(|line| told(line)).collect()
}

/// How the next request in the log went.
pub(super) async fn logged(rig: &Rig) -> String {
    logged_many(rig, 1).await.remove(0)
}

fn told(line: &str) -> String {
    let word = |key: &str| {
        let from = line.find(&format!("\"{key}\":\""))? + key.len() + 4;
        line[from..].split('"').next()
    };
    let words = ["sticky", "sticky_by", "sticky_why"].into_iter().filter_map(word).filter(|word| *word != "none");
    words.collect::<Vec<_>>().join(" ")
}

/// A method, what it reads `b` from, what it knows nobody by, and what logs call it. A value is put into the request in
/// place of `{}`.
struct Reader {
    method: Sticky,
    target: &'static str,
    field: &'static str,
    good: String,
    bad: &'static str,
    by: &'static str,
}

fn readers(b: &Origin) -> Vec<Reader> {
    let now = evenkeel_net::clock::unix_now().as_secs();
    let mut dated = Vec::new();
    Dated { name: b"bee", last: Some(now), first: Some(now) }.write(&mut dated);
    let dated = String::from_utf8(dated).unwrap();
    let reader = |method, (target, field), good: &str, bad, by| {
        let good = good.to_owned();
        Reader { method, target, field, good, bad, by }
    };
    let cookie = ("/", "Cookie: x=1; SRV={}; y\r\n");
    vec![
        reader(form(CookieValue::Name), cookie, "bee", "b", "name"),
        reader(form(CookieValue::Name), cookie, "old-b", "bee2", "name"),
        reader(form(CookieValue::Index), cookie, "1", "7", "index"),
        reader(form(CookieValue::Address), cookie, &b.addr.to_string(), "127.0.0.1:1", "address"),
        reader(form(CookieValue::Dated), cookie, &dated, "bees|AAAAA", "dated"),
        reader(by_server(SetBy::Server), cookie, "bee", "nobody", "server"),
        reader(by_server(SetBy::Suffix), cookie, "0A1B2C.bee", "0A1B2C.bee.x", "server"),
        reader(by_server(SetBy::Prefix), cookie, "bee~0A1B~2C", "z~bee", "name"),
        reader(by_server(SetBy::Rewrite), cookie, "bee", "0A1B2C", "name"),
        reader(carried(Carrier::Field("x-route".to_owned())), ("/", "X-Route: {}\r\n"), "bee", "z", "header"),
        reader(carried(Carrier::Query("r".to_owned())), ("/a?x=1&r={}&y", ""), "bee", "z", "query"),
        reader(carried(Carrier::Path("r".to_owned())), ("/a;r={};q=2?r=a", ""), "bee", "z", "path"),
    ]
}

impl Reader {
    async fn ask(&self, rig: &Rig, value: &str) -> Answer {
        ask(rig, &self.target.replace("{}", value), &self.field.replace("{}", value)).await
    }
}

#[test]
fn every_kind_of_value_leads_to_its_server_and_an_unknown_one_to_any() {
    run(async {
        let origins = three().await;
        for reader in readers(&origins[1]) {
            let what = format!("{:?}", reader.method.method);
            let mut rig = rig(&origins, vec![reader.method.clone()]).await;
            for _ in 0..3 {
                assert_eq!(reader.ask(&rig, &reader.good).await.text(), "b", "{what}");
            }
            assert_eq!(reader.ask(&rig, reader.bad).await.status(), 200, "{what}");
            rig.states.insert(Rig::id("b"), State::Down);
            rig.reload().await;
            assert_ne!(reader.ask(&rig, &reader.good).await.text(), "b", "{what}");
            let told = logged_many(&rig, 5).await;
            assert!(told[..3].iter().all(|told| *told == format!("hit {}", reader.by)), "{what}: {told:?}");
            assert!(told[3].starts_with("new") && told[3].ends_with("foreign"), "{what}: {told:?}");
            assert_eq!(told[4], format!("lost {} down", reader.by), "{what}");
        }
    });
}

#[test]
fn what_is_written_is_read_again_and_written_no_more() {
    run(async {
        let origins = three().await;
        for value in
            [CookieValue::Token, CookieValue::Name, CookieValue::Dated, CookieValue::Index, CookieValue::Address]
        {
            let rig = rig(&origins, vec![form(value)]).await;
            let first = ask(&rig, "/", "").await;
            let bond = cookie_of(&first).unwrap();
            for _ in 0..4 {
                let again = ask(&rig, "/", &format!("Cookie: {bond}\r\n")).await;
                assert_eq!((again.text(), cookie_of(&again)), (first.text(), None), "{value:?}");
            }
            let told = logged_many(&rig, 5).await;
            assert_eq!(told[0], "new", "{value:?}");
            assert!(told[1..].iter().all(|told| *told == format!("hit {}", value.word())), "{told:?}");
        }
    });
}

#[test]
fn clients_keep_their_server_when_another_balancers_cookies_turn_into_tokens() {
    run(async {
        let origins = three().await;
        let method = by_cookie(|cookie| cookie.read = vec![CookieValue::Name, CookieValue::Index]);
        let rig = rig(&origins, vec![method]).await;
        for old in ["SRV=bee", "SRV=1"] {
            let first = ask(&rig, "/", &format!("Cookie: {old}\r\n")).await;
            let token = cookie_of(&first).expect("a token in place of the old value");
            assert!(first.text() == "b" && token.len() > 90, "{token}");
            assert!(logged(&rig).await.starts_with("hit "));
            // The browser replaces one by the other; one that sends both is on the same server.
            let again = ask(&rig, "/", &format!("Cookie: {token}\r\n")).await;
            assert_eq!((again.text(), cookie_of(&again)), ("b", None));
            assert_eq!(logged(&rig).await, "hit token");
        }
    });
}

#[test]
fn a_servers_own_cookie_passes_is_rewritten_or_gets_our_part_before_its_own() {
    run(async {
        let origins = three().await;
        let say = "X-Say: Set-Cookie: SRV=own; Path=/app|Set-Cookie: other=1\r\n";
        // The method, what the client gets, what the server gets when the client sends that back.
        let cases = [
            (by_server(SetBy::Server), "SRV=own; Path=/app", Some("SRV=own")),
            (by_server(SetBy::Rewrite), "SRV=bee; Path=/app", Some("SRV=bee")),
            (by_server(SetBy::Prefix), "SRV=bee~own; Path=/app", Some("SRV=own")),
            (by_cookie(|cookie| cookie.preserve = true), "SRV=own; Path=/app", None),
        ];
        for (method, expected, back) in cases {
            let what = format!("{:?}", method.cookie().unwrap().set_by);
            let mut rig = rig(&origins, vec![method]).await;
            for other in ["a", "c"] {
                rig.states.insert(Rig::id(other), State::Down);
            }
            rig.reload().await;
            let answer = ask(&rig, "/", say).await;
            let set: Vec<&str> = answer.head.lines().filter_map(|line| line.strip_prefix("Set-Cookie: ")).collect();
            assert_eq!(set, [expected, "other=1"], "{what}");
            let cookie = cookie_of(&answer).unwrap();
            ask(&rig, "/", &format!("Cookie: {cookie}\r\n")).await;
            let got = origins[1].seen().last().unwrap().field("cookie");
            assert_eq!(got.as_deref(), back, "{what}");
            // Nothing is set unless the server sets it.
            assert_eq!(cookie_of(&ask(&rig, "/", "").await).is_some(), what == "Us", "{what}");
        }
    });
}

#[test]
fn a_cookie_of_ours_is_the_only_one_of_its_name() {
    run(async {
        let origins = three().await;
        let rig = rig(&origins, vec![by_cookie(|_| {})]).await;
        let answer = ask(&rig, "/", "X-Say: Set-Cookie: SRV=own; Path=/|Set-Cookie: other=1\r\n").await;
        assert_eq!(answer.head.matches("SRV=").count(), 1, "{}", answer.head);
        assert!(!answer.head.contains("SRV=own") && answer.head.contains("other=1"), "{}", answer.head);
    });
}

#[test]
fn several_cookie_lines_lose_ours_and_the_last_cookie_leaves_no_field() {
    run(async {
        let origins = three().await;
        let rig = rig(&origins, vec![by_cookie(|_| {})]).await;
        let bond = cookie_of(&ask(&rig, "/", "").await).unwrap();
        let seen = |name: &str| {
            let at = ["a", "b", "c"].iter().position(|known| *known == name).unwrap();
            origins[at].seen().last().unwrap().head.to_ascii_lowercase()
        };
        let answer = ask(&rig, "/", &format!("Cookie: a=1\r\nCookie: {bond}\r\nCookie: b=2; {bond}; c=3\r\n")).await;
        let head = seen(answer.text());
        assert!(head.contains("cookie: a=1\r\n") && head.contains("cookie: b=2; c=3\r\n"), "{head}");
        assert_eq!(head.matches("cookie:").count(), 2, "{head}");
        let answer = ask(&rig, "/", &format!("Cookie: {bond}\r\nCookie: SRV=junk\r\n")).await;
        assert!(!seen(answer.text()).contains("cookie"), "{}", seen(answer.text()));
        assert_eq!(cookie_of(&answer), None, "the good one counts");
    });
}

#[test]
fn without_strip_the_server_sees_the_cookie_too() {
    run(async {
        let origins = three().await;
        let rig =
            rig(&origins, vec![by_cookie(|cookie| (cookie.strip, cookie.value) = (false, CookieValue::Name))]).await;
        assert_eq!(ask(&rig, "/", "Cookie: SRV=bee\r\n").await.text(), "b");
        assert_eq!(origins[1].seen().last().unwrap().field("cookie").as_deref(), Some("SRV=bee"));
    });
}

#[test]
fn a_cookie_is_inserted_when_it_is_wanted() {
    run(async {
        let origins = three().await;
        let post = rig(&origins, vec![by_cookie(|cookie| cookie.insert = Insert::Post)]).await;
        assert_eq!(cookie_of(&ask(&post, "/", "").await), None);
        let bond = cookie_of(&ask_by(&post, "POST", "/", "").await).expect("a cookie with the answer to a POST");
        assert_eq!(cookie_of(&ask(&post, "/", &format!("Cookie: {bond}\r\n")).await), None);
        let session = by_cookie(|cookie| {
            (cookie.insert, cookie.bond) = (Insert::Session, Some("JSESSIONID".to_owned()));
        });
        let session = rig(&origins, vec![session]).await;
        assert_eq!(cookie_of(&ask(&session, "/", "Cookie: theme=dark\r\n").await), None);
        let answer = ask(&session, "/", "X-Say: Set-Cookie: JSESSIONID=1\r\n").await;
        assert_eq!(answer.head.matches("Set-Cookie").count(), 2, "{}", answer.head);
    });
}
