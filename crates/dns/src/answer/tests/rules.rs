//! What the recorded data does not cover: EDNS, ANY, MX and SRV targets, chains, refusals, cookies.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use proptest::prelude::{any, prop, proptest};

use super::*;
use crate::kind::Rcode;
use crate::tsig::{Key, sign_request, sign_response};
use crate::wire::{Cookie, Encoded};

const ZONE: &str = "$TTL 300
@ 3600 SOA ns1 root 1 2 3 4 60
@ NS ns1
@ NS ns.other.
@ MX 10 mail
ns1 A 192.0.2.53
mail A 192.0.2.25
mail AAAA 2001:db8::25
_sip._tcp SRV 1 2 5060 mail
www CNAME web
web A 192.0.2.80
loop1 CNAME loop2
loop2 CNAME loop1
far CNAME host.other.
gone CNAME nowhere
*.w TXT wild
e.n.t A 192.0.2.9
sub NS ns.sub
sub NS ns.other.
sub DS 1 13 2 2bb183af5f22588179a53b0a98631fad1a2921182bb183af5f22588179a53b0a
ns.sub A 192.0.2.54
old DNAME new
a.new A 192.0.2.66
https HTTPS 1 mail alpn=h2
mail HTTPS 1 . alpn=h2
big TXT aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
$GENERATE 1-60 many A 192.0.2.$
";

fn zones() -> Zones {
    zones_of("example.", ZONE)
}

fn rcode(message: &Message) -> &'static str {
    rcode_name(message.rcode())
}

#[test]
fn answers_carry_what_will_be_asked_next() {
    let zones = zones();
    for (name, kind) in [
        ("example.", Type::MX),
        ("_sip._tcp.example.", Type::SRV),
        ("https.example.", Type::HTTPS),
        ("mail.example.", Type::HTTPS),
    ] {
        let got = lines(&ask(&zones, name, kind).additional);
        assert!(got.contains(&"mail.example. 300 IN A 192.0.2.25".to_owned()), "{name}: {got:?}");
        assert!(got.contains(&"mail.example. 300 IN AAAA 2001:db8::25".to_owned()), "{name}");
    }
}

#[test]
fn negative_answers_are_kept_no_longer_than_the_minimum() {
    let zones = zones();
    for (name, kind, wanted) in [
        ("nowhere.example.", Type::A, "NXDOMAIN"),
        ("web.example.", Type::AAAA, "NOERROR"),
        ("n.t.example.", Type::A, "NOERROR"),
        ("x.w.example.", Type::A, "NOERROR"),
        ("gone.example.", Type::A, "NXDOMAIN"),
        ("w.example.", Type::TXT, "NOERROR"),
    ] {
        let got = ask(&zones, name, kind);
        assert_eq!(rcode(&got), wanted, "{name}");
        assert_eq!(got.authority.len(), 1, "{name}");
        assert_eq!((got.authority[0].kind, got.authority[0].ttl), (Type::SOA, 60), "{name}");
    }
}

#[test]
fn chains_end_in_the_zone_at_a_loop_or_at_a_bound() {
    let zones = zones();
    assert_eq!(ask(&zones, "www.example.", Type::A).answer.len(), 2);
    assert_eq!(ask(&zones, "loop1.example.", Type::A).answer.len(), 2);
    assert_eq!(ask(&zones, "far.example.", Type::A).answer.len(), 1);
    assert_eq!(ask(&zones, "a.old.example.", Type::A).answer.len(), 3);
    let links: String = (0..1000).map(|n| format!("c{n} CNAME c{}\n", n + 1)).collect();
    let zones = zones_of("example.", &format!("$TTL 1\n@ SOA a. b. 1 2 3 4 5\n@ NS a.\n{links}"));
    assert_eq!(ask(&zones, "c0.example.", Type::A).answer.len(), evenkeel_model::caps::DNS_CHAIN);
}

#[test]
fn a_chain_into_a_deeper_zone_of_ours_ends_where_that_begins() {
    let parent = "$TTL 300\n@ SOA a. b. 1 2 3 4 5\n@ NS a.\nwww CNAME api\nto CNAME www.api\ngone CNAME no.api\nold DNAME api\n\
                  *.w CNAME api\nin CNAME www\ncut NS ns.cut\nns.cut A 192.0.2.3\nfar CNAME x.cut\n";
    let mut zones = zones_of("example.", parent);
    for child in ["api.example.", "cut.example."] {
        let text = "$TTL 1\n@ SOA a. b. 9 2 3 4 5\n@ NS a.\n@ A 192.0.2.1\nwww A 192.0.2.2\n";
        let loaded = load("z", text.as_bytes().to_vec(), &child.parse().unwrap(), &mut NoSource);
        zones.insert(Served::plain(loaded.zone.unwrap()));
    }
    for (name, links) in
        [("www", 1), ("to", 1), ("gone", 1), ("www.old", 2), ("no.old", 2), ("x.w", 1), ("in", 2), ("far", 1)]
    {
        for kind in [Type::A, Type::TXT] {
            let got = ask(&zones, &format!("{name}.example."), kind);
            assert_eq!((rcode(&got), got.is_authoritative()), ("NOERROR", true), "{name} {kind}");
            assert_eq!((got.answer.len(), got.authority.len()), (links, 0), "{name} {kind}");
        }
    }
    assert_eq!(ask(&zones, "www.api.example.", Type::A).answer.len(), 1);
}

#[test]
fn a_dname_that_makes_a_name_too_long_is_yxdomain() {
    let label = "x".repeat(63);
    let zone = format!("$TTL 1\n@ SOA a. b. 1 2 3 4 5\n@ NS a.\nd DNAME {label}.{label}.{label}.e\n");
    let zones = zones_of("example.", &zone);
    let got = ask(&zones, &format!("{label}.d.example."), Type::A);
    assert_eq!(rcode(&got), "YXDOMAIN");
    assert_eq!(got.answer.len(), 1);
}

#[test]
fn a_delegation_refers_and_ds_is_the_parents() {
    let zones = zones();
    let got = ask(&zones, "x.sub.example.", Type::A);
    assert!(!got.is_authoritative() && got.answer.is_empty());
    assert_eq!(got.authority.len(), 2, "who knows no DNSSEC is sent no DS");
    let mut query = write_query(7, &question("x.sub.example.", Type::A), false, Some(1232));
    // The flags of OPT stand before the length of its data.
    let flags = query.len() - 4;
    query[flags] |= 0x80;
    let signed = Message::read(&ask_bytes(&zones, &query).unwrap().bytes).unwrap();
    assert_eq!(signed.authority.len(), 3, "two NS and the DS");
    assert_eq!(lines(&got.additional), ["ns.sub.example. 300 IN A 192.0.2.54"]);
    let ds = ask(&zones, "sub.example.", Type::DS);
    assert!(ds.is_authoritative());
    assert_eq!(ds.answer.len(), 1);
}

#[test]
fn the_parent_answers_ds_where_both_zones_are_served() {
    let mut zones = zones();
    let child = "$TTL 1\n@ SOA a. b. 1 2 3 4 5\n@ NS a.\n";
    let loaded = load("z", child.as_bytes().to_vec(), &"sub.example.".parse().unwrap(), &mut NoSource);
    zones.insert(Served::plain(loaded.zone.unwrap()));
    assert_eq!(ask(&zones, "sub.example.", Type::DS).answer.len(), 1);
    assert!(ask(&zones, "sub.example.", Type::NS).is_authoritative());
    assert_eq!(zones.all().len(), 2);
}

#[test]
fn any_is_answered_with_one_small_record() {
    let zones = zones();
    let got = ask(&zones, "many.example.", Type::ANY);
    assert_eq!(lines(&got.answer), ["many.example. 3600 IN HINFO \"RFC8482\" \"\""]);
    assert_eq!(ask(&zones, "www.example.", Type::ANY).answer[0].kind, Type::CNAME);
    assert_eq!(rcode(&ask(&zones, "nowhere.example.", Type::ANY)), "NXDOMAIN");
    assert!(ask(&zones, "n.t.example.", Type::ANY).answer.is_empty());
}

#[test]
fn case_is_kept_in_the_question_and_ignored_in_the_search() {
    let zones = zones();
    let bytes = write_query(7, &question("WeB.eXample.", Type::A), false, None);
    let reply = ask_bytes(&zones, &bytes).unwrap();
    assert_eq!(reply.bytes[12..26], bytes[12..26]);
    assert_eq!(Message::read(&reply.bytes).unwrap().answer.len(), 1);
}

#[test]
fn what_is_not_ours_is_refused_in_few_bytes() {
    let zones = zones();
    let chaos = Question { name: "version.bind.".parse().unwrap(), kind: Type::TXT, class: Class::CH };
    for (question, wanted) in [
        (question("www.other.", Type::A), "REFUSED"),
        (question("example.", Type::AXFR), "REFUSED"),
        (question("example.", Type::IXFR), "REFUSED"),
        (question("example.", Type::MAILB), "NOTIMP"),
        (chaos, "REFUSED"),
        (Question { class: Class::HS, ..question("example.", Type::A) }, "REFUSED"),
    ] {
        for size in [None, Some(4096)] {
            let query = write_query(7, &question, false, size);
            let reply = ask_bytes(&zones, &query).unwrap();
            assert_eq!(rcode_name(Message::read(&reply.bytes).unwrap().rcode()), wanted, "{question:?}");
            assert!(reply.bytes.len() <= query.len() + 12, "{question:?}");
        }
    }
}

#[test]
fn datagrams_keep_to_what_the_client_takes_and_to_our_bound() {
    let zones = zones();
    let many = question("many.example.", Type::A);
    for (size, cut) in [(None, true), (Some(0), true), (Some(512), true), (Some(1232), false), (Some(65_535), false)] {
        let reply = ask_bytes(&zones, &write_query(7, &many, false, size)).unwrap();
        assert_eq!(reply.truncated, cut, "{size:?}");
        assert!(reply.bytes.len() <= 1232);
    }
}

#[test]
fn what_is_put_on_an_answer_afterwards_finds_its_room() {
    let key = Key::read_all("hmac-sha512:some.key:c2VjcmV0IG9mIHRoZSBob3VzZSBvZiBrZXlz").unwrap().remove(0);
    let pools = HashMap::new();
    let health = Health { ready: true, own: evenkeel_model::State::Up, peers: &[], pools: &pools, next_change: None };
    for count in 1..90 {
        let records: String = (0..count).map(|number| format!("many A 192.0.2.{number}\n")).collect();
        let zones = zones_of("example.", &format!("$TTL 60\n@ SOA ns h 1 1 1 1 1\n@ NS ns\nns A 192.0.2.1\n{records}"));
        let server = Server { zones: &zones, health: &health, policy: &Policy::default(), cookies: None };
        for (size, most) in [(None, 512), (Some(512), 512), (Some(900), 900), (Some(1232), 1232), (Some(4096), 1232)] {
            let mut bytes = write_query(7, &question("many.example.", Type::A), false, size);
            let mac = sign_request(&mut bytes, &key, Duration::from_secs(1));
            let from = SocketAddr::from(([192, 0, 2, 1], 5300));
            let (over, reserve) = (Transport::Udp, key.signature_bytes());
            let mut reply =
                respond(server, Asked { bytes: &bytes, from, arrived_at: None, over, luck: 0, reserve }).unwrap();
            sign_response(&mut reply.bytes, &key, &mac, Duration::from_secs(1));
            assert!(reply.bytes.len() <= most, "{count} records, {size:?}: {} bytes", reply.bytes.len());
            let answers = Message::read(&reply.bytes).unwrap().answer.len();
            assert_eq!(answers, if reply.truncated { 0 } else { count }, "{size:?}");
        }
    }
}

#[test]
fn a_source_port_that_echoes_gets_no_answer() {
    let zones = zones();
    let pools = HashMap::new();
    let health = Health { ready: true, own: evenkeel_model::State::Up, peers: &[], pools: &pools, next_change: None };
    let server = Server { zones: &zones, health: &health, policy: &Policy::default(), cookies: None };
    let bytes = write_query(7, &question("web.example.", Type::A), false, None);
    for port in [0, 7, 19] {
        let from = SocketAddr::from(([192, 0, 2, 1], port));
        assert!(
            respond(server, Asked { bytes: &bytes, from, arrived_at: None, over: Transport::Udp, luck: 0, reserve: 0 })
                .is_none()
        );
    }
}

struct Jar {
    demanded: bool,
}

impl Cookies for Jar {
    fn is_good(&self, _client: IpAddr, cookie: &Cookie) -> bool {
        cookie.server == b"goodgood"
    }

    fn make(&self, _client: IpAddr, client_part: [u8; 8]) -> Vec<u8> {
        assert_eq!(&client_part, b"clientpt");
        b"goodgood".to_vec()
    }

    fn is_demanded(&self) -> bool {
        self.demanded
    }
}

fn with_option(code: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = write_query(7, &question("web.example.", Type::A), false, Some(1232));
    let length = u16::try_from(value.len()).unwrap();
    bytes.truncate(bytes.len() - 2);
    bytes.extend_from_slice(&(length + 4).to_be_bytes());
    bytes.extend_from_slice(&code.to_be_bytes());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(value);
    bytes
}

fn respond_with(policy: &Policy, jar: &Jar, bytes: &[u8]) -> (Reply, Encoded) {
    let zones = zones();
    let pools = HashMap::new();
    let health = Health { ready: true, own: evenkeel_model::State::Up, peers: &[], pools: &pools, next_change: None };
    let server = Server { zones: &zones, health: &health, policy, cookies: Some(jar) };
    let from = SocketAddr::from(([192, 0, 2, 1], 5300));
    let reply =
        respond(server, Asked { bytes, from, arrived_at: None, over: Transport::Udp, luck: 0, reserve: 0 }).unwrap();
    let encoded = Encoded { bytes: reply.bytes.clone(), truncated: reply.truncated };
    (reply, encoded)
}

#[test]
fn cookies_are_made_judged_and_demanded() {
    let policy = Policy::default();
    let (fresh, _) = respond_with(&policy, &Jar { demanded: false }, &with_option(10, b"clientpt"));
    assert!(!fresh.cookie_is_good && fresh.rcode == Rcode::NoError);
    assert!(fresh.bytes.ends_with(b"\x00\x0a\x00\x10clientptgoodgood"));
    let (good, _) = respond_with(&policy, &Jar { demanded: true }, &with_option(10, b"clientptgoodgood"));
    assert!(good.cookie_is_good && good.rcode == Rcode::NoError);
    let (bad, encoded) = respond_with(&policy, &Jar { demanded: true }, &with_option(10, b"clientptbadbadba"));
    assert_eq!(bad.rcode, Rcode::BadCookie);
    assert_eq!(Message::read(&encoded.bytes).unwrap().rcode(), 23);
}

#[test]
fn a_message_without_a_question_gets_a_cookie() {
    let greet = |cookie: &[u8]| {
        let mut bytes = with_option(10, cookie);
        let question = b"\x03web\x07example\x00\x00\x01\x00\x01";
        bytes.drain(12..12 + question.len());
        bytes[5] = 0;
        bytes
    };
    let jar = Jar { demanded: false };
    for (cookie, rcode) in [
        (&b"clientpt"[..], Rcode::NoError),
        (b"clientptgoodgood", Rcode::NoError),
        (b"clientptbadbadba", Rcode::BadCookie),
    ] {
        let (reply, encoded) = respond_with(&Policy::default(), &jar, &greet(cookie));
        assert_eq!(reply.rcode, rcode);
        let message = Message::read(&encoded.bytes).unwrap();
        assert_eq!((message.rcode(), message.questions.len()), (rcode.code(), 0));
        assert!(encoded.bytes.ends_with(b"\x00\x0a\x00\x10clientptgoodgood"));
    }
    let without = ask_bytes(&zones(), &greet(b"clientpt")).unwrap();
    assert_eq!(without.rcode, Rcode::FormErr, "there are no cookies here");
}

#[test]
fn identifier_and_version_are_told_only_where_the_policy_says_so() {
    let open = Policy { identifier: Some("lb1".into()), version: Some("1.0".into()), ..Policy::default() };
    let jar = Jar { demanded: false };
    let asked = with_option(3, b"");
    assert!(respond_with(&open, &jar, &asked).0.bytes.ends_with(b"\x00\x03\x00\x03lb1"));
    assert!(!respond_with(&Policy::default(), &jar, &asked).0.bytes.ends_with(b"lb1"));
    for (name, text) in [("version.bind.", "1.0"), ("ID.server.", "lb1"), ("hostname.bind.", "lb1")] {
        let question = Question { name: name.parse().unwrap(), kind: Type::TXT, class: Class::CH };
        let (_, encoded) = respond_with(&open, &jar, &write_query(7, &question, false, None));
        let message = Message::read(&encoded.bytes).unwrap();
        assert_eq!(message.answer[0].data.show(Type::TXT), format!("\"{text}\""));
        assert_eq!(message.answer[0].class, Class::CH.0);
    }
}

#[test]
fn an_unknown_version_of_edns_is_badvers_whatever_its_options() {
    let mut bytes = with_option(10, b"abc");
    let at = bytes.len() - 2 - 4 - 3 - 3;
    bytes[at] = 1;
    let (reply, encoded) = respond_with(&Policy::default(), &Jar { demanded: false }, &bytes);
    assert_eq!(reply.rcode, Rcode::BadVers);
    let message = Message::read(&encoded.bytes).unwrap();
    assert_eq!((message.rcode(), message.additional[0].ttl), (16, 1 << 24));
}

proptest! {
    #[test]
    fn no_message_makes_answering_panic_or_overflow(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        if let Some(reply) = ask_bytes(&zones(), &bytes) {
            assert!(reply.bytes.len() <= 1232);
        }
    }

    #[test]
    fn every_name_and_type_gets_a_readable_answer(name in "([a-z]{1,3}|www|sub|old|\\*|w|loop1)(\\.(sub|old|w|n|t))?", kind in 0..300_u16) {
        let got = ask(&zones(), &format!("{name}.example."), Type(kind));
        assert!(matches!(rcode(&got), "NOERROR" | "NXDOMAIN" | "REFUSED" | "NOTIMP" | "FORMERR"));
    }
}
