//! From a token to a server, and to the word for the log.

use std::net::SocketAddr;

use evenkeel_model::config::{Balance, CookieValue, DigestOf};
use evenkeel_model::{ServerName, State};
use proptest::prelude::{any, prop};
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::{Bond, By, Dated, Known, Rate, StickyOutcome, Values, app_session, is_over, keep_first, resolve};
use crate::{FULL_RAMP, Loads, Member, Plan, ServerIndex, ServerUid, Token};

fn member(name: &str, state: State) -> Member {
    Member { id: ServerName::new(name).unwrap(), weight: 1, backup: false, state, has_address: true, ramp: FULL_RAMP }
}

fn token(name: &str) -> Token {
    Token::new(ServerUid::of(&ServerName::new(name).unwrap()), 1, 1_800_000_000)
}

#[test]
fn a_token_leads_to_its_server_while_that_may_keep_it() {
    let members = [
        member("up", State::Up),
        member("draining", State::Draining),
        member("down", State::Down),
        member("maint", State::Maintenance),
        member("unknown", State::Unknown),
    ];
    let plan = Plan::new(&members, &Balance::RoundRobin, true, [0; 16]);
    let cases = [
        ("up", Bond::Bound(ServerIndex(0))),
        ("draining", Bond::Bound(ServerIndex(1))),
        ("down", Bond::Lost(Some(ServerIndex(2)))),
        ("maint", Bond::Lost(Some(ServerIndex(3)))),
        ("unknown", Bond::Bound(ServerIndex(4))),
        ("gone", Bond::Lost(None)),
    ];
    for (name, expected) in cases {
        assert_eq!(resolve(Some(&token(name)), &plan), expected, "{name}");
    }
    assert_eq!(resolve(None, &plan), Bond::Unbound);
}

#[test]
fn a_bond_survives_while_the_whole_pool_is_down_and_tried_all_the_same() {
    let members = [member("a", State::Down), member("b", State::Maintenance)];
    let open = Plan::new(&members, &Balance::RoundRobin, true, [0; 16]);
    let closed = Plan::new(&members, &Balance::RoundRobin, false, [0; 16]);
    assert_eq!(resolve(Some(&token("a")), &open), Bond::Bound(ServerIndex(0)));
    assert_eq!(resolve(Some(&token("b")), &open), Bond::Lost(Some(ServerIndex(1))));
    assert_eq!(resolve(Some(&token("a")), &closed), Bond::Lost(Some(ServerIndex(0))));
}

#[test]
fn the_log_says_how_a_session_was_found() {
    let (own, other) = (ServerIndex(1), ServerIndex(2));
    let cases = [
        (Bond::Unbound, own, StickyOutcome::New, "new"),
        (Bond::Bound(own), own, StickyOutcome::Hit, "hit"),
        (Bond::Bound(own), other, StickyOutcome::Moved, "moved"),
        (Bond::Lost(Some(other)), own, StickyOutcome::Lost, "lost"),
    ];
    for (bond, answered, expected, word) in cases {
        assert_eq!(bond.outcome(answered), expected);
        assert_eq!(expected.as_str(), word);
    }
    assert_eq!(StickyOutcome::None.as_str(), "none");
}

#[test]
fn of_servers_known_as_one_the_first_that_may_serve_has_the_session() {
    let members = [member("a", State::Maintenance), member("b", State::Draining), member("c", State::Up)];
    let plan = Plan::new(&members, &Balance::RoundRobin, false, [0; 16]);
    let [a, b, c] = [0, 1, 2].map(ServerIndex);
    assert_eq!(keep_first(&[a, b, c], &plan), Bond::Bound(b));
    assert_eq!(keep_first(&[c, b], &plan), Bond::Bound(c));
    assert_eq!(keep_first(&[a], &plan), Bond::Lost(Some(a)));
    assert_eq!(keep_first(&[], &plan), Bond::Unbound);
}

/// Made by Python's `hashlib` and `hmac` from `struct`-packed addresses; those of 127.0.0.1:1984 are also the ones in
/// the module's own tests.
const DIGESTS: &[(&str, DigestOf, &str, &str)] = &[
    ("127.0.0.1:1984", DigestOf::SocketAddress, "md5", "908c1a9fb15095f454c085282da20d92"),
    ("127.0.0.1:1984", DigestOf::SocketAddress, "sha1", "4262de333a18749d31416a617184734678797276"),
    ("127.0.0.1:1984", DigestOf::SocketAddress, "hmac-md5", "d20fd0a9eb6864058781ed6104e4c9fd"),
    ("127.0.0.1:1984", DigestOf::SocketAddress, "hmac-sha1", "34734c8d4b451151897b62db281c0b055e035adc"),
    ("127.0.0.1:1984", DigestOf::Address, "md5", "f6082e846954099610d58161bf189f37"),
    ("127.0.0.1:1984", DigestOf::Address, "sha1", "17305d40bf37f65329da1850efddd32840891e32"),
    ("127.0.0.1:1984", DigestOf::Address, "hmac-md5", "efbc0d44b591a2cbf7bc45a8789a2ffc"),
    ("127.0.0.1:1984", DigestOf::Address, "hmac-sha1", "4fe9ae1d5697287db9ec0d0eaf0434b3a81d08a4"),
    ("10.0.0.11:8080", DigestOf::SocketAddress, "md5", "8a578e27859ecb035260a6c0f60e9b69"),
    ("10.0.0.11:8080", DigestOf::SocketAddress, "sha1", "54e43e5ade76d47d0a161b4f93e73016ec79029c"),
    ("10.0.0.11:8080", DigestOf::SocketAddress, "hmac-md5", "f76bdf42a8f216501e949468872415a0"),
    ("10.0.0.11:8080", DigestOf::SocketAddress, "hmac-sha1", "ac8ce5af3eae6a202ab406bb91761ff91162d33d"),
    ("10.0.0.11:8080", DigestOf::Address, "md5", "3fa9a8ccac67ea9d9aca6123ed2a6c5a"),
    ("10.0.0.11:8080", DigestOf::Address, "sha1", "665cd0b26d5a5a8903f09fc2013eb480e11db3fe"),
    ("10.0.0.11:8080", DigestOf::Address, "hmac-md5", "2ac5509ba48bab909095da1a81a1f94f"),
    ("10.0.0.11:8080", DigestOf::Address, "hmac-sha1", "9bfb2bd2e1368bf77a6cad66e4f8be36108267b1"),
    ("[2001:db8::11]:443", DigestOf::SocketAddress, "md5", "1a7d93900eec840771ac9582e5bb28fa"),
    ("[2001:db8::11]:443", DigestOf::SocketAddress, "sha1", "bef8b2eac8e86bfe1047dd878bbc4468a86e7436"),
    ("[2001:db8::11]:443", DigestOf::SocketAddress, "hmac-md5", "23d829492e95880ce2a09af6680f721a"),
    ("[2001:db8::11]:443", DigestOf::SocketAddress, "hmac-sha1", "5552a0f8aaac2f0bfbf7a147932213cabc955116"),
    ("[2001:db8::11]:443", DigestOf::Address, "md5", "831a2e8313507950ceff61765c3f81ec"),
    ("[2001:db8::11]:443", DigestOf::Address, "sha1", "18fb89d0a3b1c5885b77439147da1a401cbf534e"),
    ("[2001:db8::11]:443", DigestOf::Address, "hmac-md5", "d8c66069a07d739200afd15684cc97f9"),
    ("[2001:db8::11]:443", DigestOf::Address, "hmac-sha1", "4d7fa7787fa8a1e34fbd22c2cf9a697e62356967"),
];

#[test]
fn digests_are_those_of_the_modules() {
    for (addr, of, form, expected) in DIGESTS {
        let addrs: [SocketAddr; 1] = [addr.parse().unwrap()];
        let form = CookieValue::of_word(form).unwrap();
        let names = ["a".to_owned()];
        let known = Known { names: &names, written: "a.example.com:80", addrs: &addrs };
        let values = Values::new(form, &[], (*of, b"secret"), &[known]);
        assert_eq!(values.written(ServerIndex(0)), Some(expected.as_bytes()), "{addr} {of:?} {form:?}");
        assert_eq!(values.find(expected.as_bytes()), Some((By::Digest, [ServerIndex(0)].as_slice())));
    }
}

#[test]
fn a_value_finds_the_servers_that_it_was_written_for() {
    let addrs: Vec<[SocketAddr; 2]> = vec![
        ["10.0.0.1:80".parse().unwrap(), "10.0.0.2:80".parse().unwrap()],
        ["[2001:db8::1]:80".parse().unwrap(), "10.0.0.4:80".parse().unwrap()],
    ];
    let names =
        [vec!["s1".to_owned(), "old1".to_owned()], vec!["s2".to_owned(), "shared".to_owned(), "old1".to_owned()]];
    let known = |at: usize| Known { names: &names[at], written: "app.example.com:80", addrs: &addrs[at] };
    let servers = [known(0), known(1)];
    let [a, b] = [0, 1].map(ServerIndex);
    let read = [CookieValue::Index, CookieValue::Address, CookieValue::Digest(evenkeel_model::config::Digest::Md5)];
    let values = Values::new(CookieValue::Name, &read, (DigestOf::Written, b""), &servers);
    type Found<'a> = Option<(By, &'a [ServerIndex])>;
    let cases: &[(&str, Found<'_>)] = &[
        ("s1", Some((By::Name, &[a]))),
        ("s2", Some((By::Name, &[b]))),
        ("shared", Some((By::Name, &[b]))),
        ("old1", Some((By::Name, &[a, b]))),
        ("1", Some((By::Index, &[b]))),
        ("10.0.0.2:80", Some((By::Address, &[a]))),
        ("[2001:db8::1]:80", Some((By::Address, &[b]))),
        // One name of two servers gives one digest, as the module has it.
        ("f5077b373f45026f9e9672e986f6422c", Some((By::Digest, &[a, b]))),
        ("", None),
        ("S1", None),
        ("s1 ", None),
        ("2", None),
    ];
    for (value, expected) in cases {
        assert_eq!(values.find(value.as_bytes()), *expected, "{value}");
    }
    assert_eq!([values.written(a), values.written(b)], [Some(b"s1".as_slice()), Some(b"s2")]);
    assert_eq!(values.written(ServerIndex(2)), None);
    let tokens = Values::new(CookieValue::Token, &[], (DigestOf::Written, b""), &servers);
    assert_eq!((tokens.written(a), tokens.find(b"")), (None, None));
}

#[test]
fn dates_are_those_of_haproxy() {
    // Worked out by another program.
    let now = 1_700_000_000;
    let dated = Dated { name: b"s1", last: Some(now), first: Some(now - 4000) };
    let mut out = Vec::new();
    dated.write(&mut out);
    assert_eq!(out, b"s1|ZVPxA|ZVPhY", "{}", String::from_utf8_lossy(&out));
    assert_eq!(Dated::read(&out, now), dated);
    assert_eq!(Dated::read(b"s1", now), Dated { name: b"s1", last: None, first: None });
    assert_eq!(Dated::read(b"s1|?", now), Dated { name: b"s1", last: None, first: None });
    let cases = [
        (Dated { last: Some(now - 60), ..dated }, true),
        (Dated { last: Some(now - 70), ..dated }, false),
        (Dated { first: Some(now - 5000), ..dated }, false),
        (Dated { last: Some(now + 200), ..dated }, true),
        (Dated { last: Some(now + 400), ..dated }, false),
        (Dated { last: None, first: None, ..dated }, true),
    ];
    for (dated, expected) in cases {
        assert_eq!(dated.is_current(now, 60, 4500), expected, "{dated:?}");
    }
}

#[test]
fn a_token_used_too_often_is_noticed_and_others_are_not() {
    let rate = Rate::default();
    for count in 0..150 {
        assert_eq!(rate.admit(7, 1000, 100), count < 100, "{count}");
    }
    assert!(rate.admit(8, 1000, 100));
    assert!(rate.admit(7, 1001, 100), "the next second begins anew");
}

struct Carried([u32; 3]);

impl Loads for Carried {
    fn in_flight(&self, index: ServerIndex) -> u32 {
        self.0[index.at()]
    }

    fn is_full(&self, _: ServerIndex) -> bool {
        false
    }
}

#[test]
fn a_server_far_above_the_others_is_over_and_a_quiet_one_never() {
    let members = [member("a", State::Up), member("b", State::Up), member("c", State::Draining)];
    let plan = Plan::new(&members, &Balance::RoundRobin, false, [0; 16]);
    for (loads, server, expected) in [
        ([31, 0, 0], 0, false),
        ([200, 100, 0], 0, false),
        ([301, 99, 0], 0, true),
        ([301, 99, 0], 1, false),
        ([1, 1, 900], 2, false),
    ] {
        assert_eq!(is_over(&plan, ServerIndex(server), &Carried(loads), 150), expected, "{loads:?}");
    }
}

#[test]
fn an_application_session_has_a_mark_of_its_own() {
    assert_eq!(app_session(b"abc"), app_session(b"abc"));
    assert_ne!(app_session(b"abc"), app_session(b"abd"));
    assert_ne!(app_session(b""), 0);
}

proptest! {
    #[test]
    fn dates_come_back_to_four_seconds(last in 1_500_000_000_u64..4_000_000_000, age in 0_u64..100_000_000, name in "[a-z0-9.-]{0,20}") {
        let dated = Dated { name: name.as_bytes(), last: Some(last / 4 * 4), first: Some((last - age) / 4 * 4) };
        let mut out = Vec::new();
        dated.write(&mut out);
        prop_assert_eq!(Dated::read(&out, last), dated);
    }

    #[test]
    fn no_value_is_an_error(value in prop::collection::vec(any::<u8>(), 0..60), now in any::<u64>()) {
        let dated = Dated::read(&value, now);
        dated.is_current(now, 60, 600);
        prop_assert!(dated.name.len() <= value.len());
    }
}
