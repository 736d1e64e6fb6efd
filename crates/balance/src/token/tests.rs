//! Tokens: what comes back, and everything that must not.

use std::time::Duration;

use evenkeel_model::config::StickyCookie;
use evenkeel_model::{PoolName, ServerName};
use proptest::prelude::{any, prop};
use proptest::{prop_assert, prop_assert_eq, proptest};

use crate::sticky::Why;

use super::{Key, Keys, Sealer, ServerUid, Token, TokenMemo, WIRE, WeakSecret, base64url};

const NOW: u64 = 1_800_000_000;
const IDLE: u64 = 1800;
const LIFE: u64 = 86_400;

fn key(secret: &str) -> Key {
    Key::derive(secret.as_bytes()).unwrap()
}

fn keys(current: &str, previous: Option<&str>) -> Keys {
    Keys { current: key(current), previous: previous.map(key).into_iter().collect() }
}

fn sealer_of(keys: Keys, pool: &str, cookie: &str) -> Sealer {
    let (idle, life) = (Duration::from_secs(IDLE), Duration::from_secs(LIFE));
    let sticky = StickyCookie { idle, life, ..StickyCookie::new(cookie.to_owned()) };
    Sealer::new(keys, &PoolName::new(pool).unwrap(), &sticky)
}

fn sealer() -> Sealer {
    sealer_of(keys("a secret of 25 characters", None), "shop", "SRV")
}

fn token(now: u64) -> Token {
    Token { bond: 0x0123_4567_89ab_cdef, ..Token::new(ServerUid::of(&ServerName::new("a").unwrap()), 0xdead_beef, now) }
}

fn sealed(sealer: &Sealer, token: &Token) -> Vec<u8> {
    let mut out = Vec::new();
    sealer.seal(token, [9; 24], &mut out);
    out
}

#[test]
fn a_token_comes_back_as_it_was() {
    let text = sealed(&sealer(), &token(NOW));
    assert_eq!(text.len(), 94);
    assert_eq!(sealer().open(&text, NOW), Ok(token(NOW)));
    assert!(text.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_')), "fit for a cookie's value");
}

#[test]
fn no_bit_of_a_token_can_be_changed() {
    let text = sealed(&sealer(), &token(NOW));
    let wire: [u8; WIRE] = base64url::decode(&text).unwrap();
    for bit in 0..WIRE * 8 {
        let mut forged = wire;
        forged[bit / 8] ^= 1 << (bit % 8);
        let mut forged_text = Vec::new();
        base64url::encode(&forged, &mut forged_text);
        assert_eq!(sealer().open(&forged_text, NOW), Err(Why::Foreign), "bit {bit}");
    }
    for bit in 0..text.len() * 8 {
        let mut forged = text.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(sealer().open(&forged, NOW), Err(Why::Foreign), "bit {bit} of the text");
    }
}

#[test]
fn a_token_that_is_cut_or_stretched_is_none() {
    let text = sealed(&sealer(), &token(NOW));
    (0..text.len()).for_each(|length| assert_eq!(sealer().open(&text[..length], NOW), Err(Why::Foreign), "{length}"));
    let longer = [text.as_slice(), b"A"].concat();
    assert_eq!(sealer().open(&longer, NOW), Err(Why::Foreign));
    assert_eq!(sealer().open(&vec![b'A'; 1 << 16], NOW), Err(Why::Foreign));
}

#[test]
fn a_token_is_bound_to_its_pool_cookie_and_key() {
    let secret = "a secret of 25 characters";
    let text = sealed(&sealer(), &token(NOW));
    let others = [
        sealer_of(keys(secret, None), "shop2", "SRV"),
        sealer_of(keys(secret, None), "shop", "SRW"),
        sealer_of(keys(secret, None), "shopS", "RV"),
        sealer_of(keys("another secret, as long..", None), "shop", "SRV"),
    ];
    others.iter().for_each(|other| assert_eq!(other.open(&text, NOW), Err(Why::Foreign), "{other:?}"));
}

#[test]
fn an_old_key_opens_until_it_is_dropped() {
    let (old, new) = ("the old secret, 0123456789", "the new secret, 0123456789");
    let before = sealed(&sealer_of(keys(old, None), "shop", "SRV"), &token(NOW));
    let rotated = sealer_of(keys(new, Some(old)), "shop", "SRV");
    assert_eq!(rotated.open(&before, NOW), Ok(token(NOW)));
    let after = sealed(&rotated, &token(NOW));
    assert_eq!(sealer_of(keys(new, None), "shop", "SRV").open(&after, NOW), Ok(token(NOW)));
    assert_eq!(sealer_of(keys(new, None), "shop", "SRV").open(&before, NOW), Err(Why::Foreign));
}

#[test]
fn keys_whose_ids_meet_by_chance_both_open() {
    let first = "a secret of 25 characters 0";
    let id = key(first).id();
    let twin = (1..).map(|n| format!("a secret of 25 characters {n}")).find(|twin| key(twin).id() == id).unwrap();
    let text = sealed(&sealer_of(keys(first, None), "shop", "SRV"), &token(NOW));
    assert_eq!(sealer_of(keys(&twin, Some(first)), "shop", "SRV").open(&text, NOW), Ok(token(NOW)));
}

#[test]
fn a_token_has_its_time() {
    let fresh = token(NOW);
    // The token, the moment it is opened at, whether it is good.
    let cases = [
        ("idle is allowed", fresh, NOW + IDLE, true),
        ("longer is not", fresh, NOW + IDLE + 1, false),
        ("renewed", fresh.renewed(NOW + LIFE), NOW + LIFE, true),
        ("too old, however often renewed", fresh.renewed(NOW + LIFE), NOW + LIFE + 1, false),
        ("from a clock that is a little ahead", token(NOW + 300), NOW, true),
        ("from the future", token(NOW + 301), NOW, false),
        ("renewed before it was first seen", Token { first: fresh.first + 1, ..fresh }, NOW, false),
        ("at the end of 32 bits", token(u64::MAX), u64::from(u32::MAX), true),
    ];
    for (case, token, at, is_good) in cases {
        let text = sealed(&sealer(), &token);
        assert_eq!(sealer().open(&text, at), is_good.then_some(token).ok_or(Why::Expired), "{case}");
    }
}

#[test]
fn a_token_is_renewed_after_a_quarter_of_its_idle_time() {
    let sealer = sealer();
    for (after, is_due) in [(0, false), (IDLE / 4, false), (IDLE / 4 + 1, true), (IDLE, true)] {
        assert_eq!(sealer.is_due(&token(NOW), NOW + after), is_due, "{after}");
    }
    let renewed = token(NOW).renewed(NOW + 1000);
    assert!(!sealer.is_due(&renewed, NOW + 1000));
    assert_eq!((renewed.first, renewed.client), (token(NOW).first, token(NOW).client));
}

#[test]
fn what_is_remembered_is_what_the_sealer_would_say() {
    let (old, new) = ("the old secret, 0123456789", "the new secret, 0123456789");
    let sealers = [
        sealer_of(keys(old, None), "shop", "SRV"),
        sealer_of(keys(new, Some(old)), "shop", "SRV"),
        sealer_of(keys(new, None), "shop", "SRV"),
        sealer_of(keys(old, None), "shop2", "SRV"),
        sealer_of(keys(old, None), "shop", "SRW"),
    ];
    let mut texts = vec![b"".to_vec(), vec![b'A'; 94]];
    for (count, sealer) in sealers.iter().enumerate() {
        let mut text = Vec::new();
        sealer.seal(&token(NOW), [count as u8; 24], &mut text);
        let mut forged = text.clone();
        forged[50] ^= 1;
        texts.extend([text, forged]);
    }
    let mut memo = TokenMemo::default();
    for now in [NOW, NOW + 10, NOW, NOW + IDLE + 1, NOW - 1000, NOW + 10] {
        for (text, sealer) in texts.iter().flat_map(|text| sealers.iter().map(move |sealer| (text, sealer))) {
            assert_eq!(memo.open(sealer, text, now), sealer.open(text, now), "{}", String::from_utf8_lossy(text));
        }
    }
}

#[test]
fn more_tokens_than_are_remembered_are_opened_all_the_same() {
    let mut memo = TokenMemo::default();
    let texts: Vec<Vec<u8>> = (0..3000_u32)
        .map(|client| {
            let mut text = Vec::new();
            let nonce = std::array::from_fn(|at| client.to_be_bytes()[at % 4]);
            sealer().seal(&Token { client, ..token(NOW) }, nonce, &mut text);
            text
        })
        .collect();
    for _ in 0..2 {
        for (client, text) in (0..).zip(&texts) {
            assert_eq!(memo.open(&sealer(), text, NOW).map(|token| token.client), Ok(client));
        }
    }
}

#[test]
fn a_secret_that_can_be_guessed_is_refused_with_the_way_out() {
    let refusal = Key::derive(b"hunter2").unwrap_err();
    assert_eq!(refusal, WeakSecret { bytes: 7 });
    assert_eq!(
        refusal.to_string(),
        "the sticky secret has 7 bytes and needs at least 16: make one with `openssl rand -base64 32`"
    );
}

#[test]
fn a_key_does_not_show_itself() {
    let shown = format!("{:?}", keys("a secret of 25 characters", None));
    assert!(shown.len() < 60, "{shown}");
}

#[test]
fn the_text_is_base64url_as_the_rfc_has_it() {
    // RFC 4648 section 10, without the padding, and the two characters that differ.
    for (bytes, text) in
        [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE")]
    {
        let mut out = Vec::new();
        base64url::encode(bytes.as_bytes(), &mut out);
        assert_eq!(out, text.as_bytes());
    }
    assert_eq!(base64url::decode(b"-_-_"), Some([0xfb, 0xff, 0xbf]));
    assert_eq!(base64url::decode::<1>(b"Zg"), Some(*b"f"));
    for wrong in ["Zh", "Z", "Zg=", "Z+", "Z/", "Z ", ""] {
        assert_eq!(base64url::decode::<1>(wrong.as_bytes()), None, "{wrong}");
    }
}

proptest! {
    #[test]
    fn base64url_gives_back_what_it_took(bytes in any::<[u8; 70]>()) {
        let mut text = Vec::new();
        base64url::encode(&bytes, &mut text);
        prop_assert_eq!(base64url::decode(&text), Some(bytes));
    }

    #[test]
    fn nothing_that_a_client_makes_up_is_a_token(value in prop::collection::vec(any::<u8>(), 0..200), text in "[A-Za-z0-9_-]{94}") {
        prop_assert!(sealer().open(&value, NOW).is_err());
        prop_assert!(sealer().open(text.as_bytes(), NOW).is_err());
    }
}
