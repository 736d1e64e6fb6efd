//! Texts for authorities.

use super::*;

const ZONE: &str =
    "$TTL 60\n@ SOA ns root 7 1h 15m 4w 30\n@ NS ns\nns A 192.0.2.1\n* TXT \"a wildcard's\"\nshop A 192.0.2.2\n";

fn ask_beside(zones: &Zones, texts: &Texts, name: &str, kind: Type) -> Message {
    let pools = HashMap::new();
    let health = Health { ready: true, own: evenkeel_model::State::Up, peers: &[], pools: &pools, next_change: None };
    let server = Server { zones, health: &health, policy: &Policy::default(), cookies: None };
    let from = "192.0.2.77:5353".parse().unwrap();
    let bytes = write_query(7, &question(name, kind), false, None);
    assert_eq!(texts.may_concern(&bytes), name.to_ascii_lowercase().starts_with("_acme-challenge."), "{name}");
    let asked = Asked { bytes: &bytes, from, arrived_at: None, over: Transport::Udp, luck: 1, reserve: 0 };
    Message::read(&respond_beside(server, texts, asked).unwrap().bytes).unwrap()
}

#[test]
fn a_text_is_answered_under_its_name_alone_and_only_in_our_zones() {
    let zones = zones_of("example.com", ZONE);
    let mut texts = Texts::default();
    for (host, text) in [("shop.example.com", "one"), ("Shop.example.com", "two"), ("shop.example.net", "three")] {
        texts.add(host, text).unwrap();
    }
    let answer = ask_beside(&zones, &texts, "_ACME-challenge.shop.example.com", Type::TXT);
    assert!(answer.is_authoritative());
    let name = "_acme-challenge.shop.example.com.";
    let shown = lines(&answer.answer);
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(
        shown.iter().all(|line| line.starts_with(&format!("{name} 0 IN TXT")) || line.contains("0 IN TXT")),
        "{shown:?}"
    );
    assert!(shown.iter().any(|line| line.ends_with("\"one\"")) && shown.iter().any(|line| line.ends_with("\"two\"")));

    // The name is there for who asks for another type, and not for texts of others.
    let other = ask_beside(&zones, &texts, "_acme-challenge.shop.example.com", Type::A);
    assert_eq!((other.rcode(), other.answer.len(), other.authority.len()), (0, 0, 1));
    let other = ask_beside(&zones, &texts, "shop.example.com", Type::A);
    assert_eq!(other.answer.len(), 1);
    let other = ask_beside(&zones, &texts, "_acme-challenge.example.com", Type::TXT);
    assert!(lines(&other.answer).iter().all(|line| line.contains("wildcard")), "{:?}", lines(&other.answer));
    // We do not speak for a zone that is not ours.
    let foreign = ask_beside(&zones, &texts, "_acme-challenge.shop.example.net", Type::TXT);
    assert_eq!((rcode_name(foreign.rcode()), foreign.answer.len()), ("REFUSED", 0));
}

#[test]
fn without_texts_nothing_is_looked_at() {
    let texts = Texts::default();
    let bytes = write_query(7, &question("_acme-challenge.shop.example.com", Type::TXT), false, None);
    assert!(texts.is_empty() && !texts.may_concern(&bytes));
    let mut texts = texts;
    assert!(texts.add(&format!("{}.example.com", "a".repeat(64)), "x").is_err());
    texts.add("shop.example.com", "x").unwrap();
    for length in 0..bytes.len() {
        let _ = texts.may_concern(&bytes[..length]);
    }
    assert!(texts.may_concern(&bytes));
}
