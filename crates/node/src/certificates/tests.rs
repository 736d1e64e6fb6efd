//! Configurations to certificates, over reloads, and with those that come from elsewhere.

use evenkeel_config::{Loaded, MemorySource, Options, load_text};

use super::*;
use crate::scratch::Scratch;

fn loaded(text: &str) -> Loaded {
    load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default())
}

fn next(tls: &Tls, text: &str) -> Result<Tls, Vec<Diagnostic>> {
    let loaded = loaded(text);
    tls.next(loaded.config.as_ref().unwrap(), &loaded)
}

fn mark(tls: &Tls, host: &str) -> [u8; 32] {
    let acceptor = &tls.acceptors()[&ListenerName::of_address(":443")];
    *acceptor.certificates().choose(Some(host)).unwrap().mark()
}

const SHOP: &str = "https :443 a.example {\n cert self\n respond 200\n}\n";

#[test]
fn a_certificate_of_our_own_stays_over_reloads_as_long_as_its_hosts_do() {
    let first = next(&Tls::new(None), SHOP).unwrap();
    let same = next(&first, &format!("{SHOP}http :80 {{\n respond 200\n}}\n")).unwrap();
    assert_eq!(mark(&first, "a.example"), mark(&same, "a.example"));
    assert_eq!(same.renewed(&first), (vec![], vec![]));
    let other = next(&same, &SHOP.replace("a.example", "b.example")).unwrap();
    assert_ne!(mark(&same, "a.example"), mark(&other, "a.example"));
    assert_eq!(other.renewed(&same).0, [ListenerName::of_address(":443")]);
    assert!(next(&other, "http :80 {\n respond 200\n}\n").unwrap().acceptors().is_empty());
}

#[test]
fn a_certificate_of_our_own_is_made_anew_before_it_ends_while_everything_runs() {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let name = ListenerName::of_address(":443");
    let text = "https :443 a.example {\n cert self\n respond 200\n}\nhttps :443 b.example {\n acme ops@example.com\n respond 200\n}\n";
    let mut tls = next(&Tls::new(None), text).unwrap();
    let marks = |tls: &Tls| ["a.example", "b.example"].map(|host| mark(tls, host));
    let first = marks(&tls);
    assert_eq!(tls.renew_own(clock::unix_now() + 370 * DAY), Ok(vec![]));
    assert_eq!(marks(&tls), first);
    let ending = clock::unix_now() + 380 * DAY;
    assert_eq!(tls.renew_own(ending), Ok(vec![name]));
    let then = marks(&tls);
    assert!(first.iter().all(|mark| !then.contains(mark)), "{then:?}");
    assert_eq!(tls.renew_own(ending), Ok(vec![]));
    assert_eq!(marks(&next(&tls, text).unwrap()), then, "a reload keeps them");
}

#[test]
fn one_of_our_own_for_the_hosts_of_an_order_is_kept_over_restarts_on_whichever_side_of_it() {
    let dir = Scratch::new();
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o700);
    std::fs::set_permissions(dir.path(), mode).unwrap();
    for words in ["acme ops@example.com\n cert self", "cert self\n acme ops@example.com"] {
        let text = format!("https :443 a.example {{\n {words}\n respond 200\n}}\n");
        let start = || {
            let state = State::open(dir.path(), None).unwrap();
            mark(&next(&Tls::new(None).keeping(state), &text).unwrap(), "a.example")
        };
        assert_eq!(start(), start(), "{words}");
    }
}

#[test]
fn what_came_from_elsewhere_is_preferred_and_kept_over_reloads() {
    let name = ListenerName::of_address(":443");
    let mut tls = next(&Tls::new(None), SHOP).unwrap();
    let prepared = next(&tls, SHOP).unwrap();
    let made = Arc::new(Certificate::self_signed(&["a.example".to_owned()]).unwrap());
    let installed = Installed { certificates: vec![Arc::clone(&made)], challenges: Vec::new() };
    tls.install(&name, installed.clone()).unwrap();
    assert_eq!(mark(&tls, "a.example"), *made.mark());
    let sources: Vec<String> = tls.shown().into_iter().map(|shown| shown.source).collect();
    assert_eq!(sources, ["acme:a.example", "self"]);
    // A reload that was under way meanwhile, and one that comes later.
    let mut late = prepared;
    late.adopt(&tls);
    assert_eq!(mark(&late, "a.example"), *made.mark());
    assert_eq!(mark(&next(&late, SHOP).unwrap(), "a.example"), *made.mark());
    assert!(tls.install(&ListenerName::of_address(":444"), installed).is_err());
}

#[test]
fn a_stand_in_is_shown_until_the_authority_has_given_the_certificate_for_all_of_its_hosts() {
    let name = ListenerName::of_address(":443");
    let text = "https :443 a.example b.example {\n acme ops@example.com\n respond 200\n}\n";
    let mut tls = next(&Tls::new(None), text).unwrap();
    let sources = |tls: &Tls| tls.shown().into_iter().map(|shown| shown.source).collect::<Vec<_>>();
    assert_eq!(sources(&tls), ["stand-in:a.example"]);
    let stand_in = mark(&tls, "b.example");
    let given = |hosts: &[&str]| {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let made = Arc::new(Certificate::self_signed(&hosts).unwrap());
        Installed { certificates: vec![made], challenges: Vec::new() }
    };
    // One of before, for a part of them.
    tls.install(&name, given(&["a.example"])).unwrap();
    assert_eq!(sources(&tls), ["acme:a.example", "stand-in:a.example"]);
    assert_eq!(mark(&tls, "b.example"), stand_in);
    assert_ne!(mark(&tls, "a.example"), stand_in);
    tls.install(&name, given(&["a.example", "b.example"])).unwrap();
    assert_eq!(sources(&tls), ["acme:a.example"]);
    assert_ne!(mark(&tls, "b.example"), stand_in);
    // The words are gone, and what they brought with them.
    tls.install(&name, Installed::default()).unwrap();
    assert_eq!(mark(&tls, "b.example"), stand_in);
}

#[test]
fn the_certificate_for_everybody_else_is_the_first_as_written_whatever_an_authority_gives() {
    let name = ListenerName::of_address(":443");
    let made = Arc::new(Certificate::self_signed(&["b.example".to_owned()]).unwrap());
    let installed = Installed { certificates: vec![Arc::clone(&made)], challenges: Vec::new() };
    let acme = "https :443 b.example {\n acme ops@example.com\n respond 200\n}\n";
    let mut tls =
        next(&Tls::new(None), &format!("https :443 z.example {{\n cert self\n respond 200\n}}\n{acme}")).unwrap();
    let default = mark(&tls, "elsewhere.example");
    tls.install(&name, installed.clone()).unwrap();
    assert_eq!((mark(&tls, "elsewhere.example"), mark(&tls, "b.example")), (default, *made.mark()));
    // Where nothing else is written, or only below, it is the authority's, in the place of what stood for it.
    for below in ["", "https :443 z.example {\n cert self\n respond 200\n}\n"] {
        let mut first = next(&Tls::new(None), &format!("{acme}{below}")).unwrap();
        first.install(&name, installed.clone()).unwrap();
        assert_eq!(mark(&first, "elsewhere.example"), *made.mark(), "{below}");
    }
}

#[test]
fn http_listeners_offer_what_they_speak_and_others_what_is_written() {
    let text = |alpn: &str| {
        format!(
            "{SHOP}tcp :444 {{\n cert self\n {alpn}\n to 10.0.0.1:1\n}}\ntcp :445 {{\n cert self\n to 10.0.0.1:1\n}}\n"
        )
    };
    let offered = |tls: &Tls, name: &str| {
        let door = &tls.listeners[&ListenerName::of_address(name)];
        door.protocols.iter().map(|it| String::from_utf8_lossy(it).into_owned()).collect::<Vec<_>>().join(" ")
    };
    let first = next(&Tls::new(None), &text("tls alpn=postgresql,h2")).unwrap();
    assert_eq!([":443", ":444", ":445"].map(|name| offered(&first, name)), ["h2 http/1.1", "postgresql h2", ""]);
    let other = next(&first, &text("tls alpn=h2")).unwrap();
    assert_eq!(offered(&other, ":444"), "h2", "a reload changes it");
}

#[test]
fn everything_that_cannot_be_used_is_told_at_once() {
    let text = "https :443 {\n cert /nonexistent/a.pem\n cert /nonexistent/b.pem\n tls client-ca=/nonexistent/c.pem\n route * to=p\n}\n\
                https :444 a.example {\n acme ops@example.com ca=/nonexistent/e.pem\n route * to=p\n}\n\
                pool p {\n tls ca=/nonexistent/d.pem\n server a 10.0.0.1:443\n}\n";
    let found = next(&Tls::new(None), text).err().unwrap();
    let messages: Vec<&str> = found.iter().map(|one| one.message.as_str()).collect();
    assert_eq!(messages.len(), 5, "{messages:?}");
    assert!(messages.iter().all(|message| message.contains("/nonexistent/")), "{messages:?}");
    assert!(found.iter().all(|one| one.code == Code::E434));
}

#[test]
fn the_way_to_servers_is_kept_while_nothing_about_it_changes() {
    let pool = PoolName::new("p").unwrap();
    let text = "http :80 {\n route * to=p\n}\npool p {\n tls verify=off\n server a 10.0.0.1:443\n}\n";
    let first = next(&Tls::new(None), text).unwrap();
    let same = next(&first, &text.replace("10.0.0.1", "10.0.0.2")).unwrap();
    assert!(Arc::ptr_eq(&first.connectors()[&pool], &same.connectors()[&pool]));
    let other = next(&same, &text.replace("verify=off", "verify=off min=1.3")).unwrap();
    assert!(!Arc::ptr_eq(&same.connectors()[&pool], &other.connectors()[&pool]));
    assert_eq!(other.renewed(&same).1, [pool]);
}
