use proptest::prelude::{any, prop, proptest};

use super::*;
use crate::kind::{Class, Rcode, Type};
use crate::name::Name;
use crate::wire::{Incoming, Message, Question, read_query, write_query};

const NOW: Duration = Duration::from_secs(1_795_000_000);
const TEXT: &str = "hmac-sha256:lb-key:c2VjcmV0IG9mIHRoZSBob3VzZSBvZiBrZXlz";

fn key() -> Key {
    Key::read_all(TEXT).unwrap().remove(0)
}

fn query() -> Vec<u8> {
    let question = Question { name: "example.org.".parse().unwrap(), kind: Type::AXFR, class: Class::IN };
    write_query(0x1234, &question, false, Some(1232))
}

/// A request, signed, and its signature.
fn signed() -> (Vec<u8>, Mac) {
    let mut message = query();
    let mac = sign_request(&mut message, &key(), NOW);
    (message, mac)
}

fn fault(message: &[u8], keys: &[Key], now: Duration) -> Fault {
    verify_request(message, keys, now).unwrap_err().fault
}

#[test]
fn a_signature_is_that_of_the_standards_test_vector() {
    // RFC 4231, 4.3: HMAC-SHA-256 of a short key, cut into the parts that we feed.
    let mac = Key::of_any_length(b"Jefe").mac(&[b"what do ya ", b"want for nothing?"]);
    let hex: String = mac.0.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

#[test]
fn a_signed_answer_is_longer_by_what_its_key_says() {
    for algorithm in Algorithm::ALL {
        for name in [".", "k", "a-long.name.of.a.key.example.org"] {
            let key = Key::new(name.parse().unwrap(), algorithm, vec![7; 32]).unwrap();
            let mut message = query();
            let before = message.len();
            let request = Mac(vec![1; algorithm.mac_bytes()]);
            sign_response(&mut message, &key, &request, NOW);
            assert_eq!(message.len() - before, key.signature_bytes(), "{name} {algorithm}");
        }
    }
}

#[test]
fn a_signed_query_is_still_a_query_and_believed() {
    let (message, mac) = signed();
    assert!(matches!(read_query(&message), Incoming::Query(_)));
    let keys = [key()];
    let request = verify_request(&message, &keys, NOW + Duration::from_secs(299)).unwrap().unwrap();
    assert_eq!((request.key.name(), &request.mac), (keys[0].name(), &mac));
    assert_eq!(verify_request(&query(), &keys, NOW).unwrap(), None);
}

#[test]
fn a_forwarder_may_change_the_id_and_nothing_else() {
    let (mut message, _) = signed();
    message[0] ^= 0xff;
    assert!(verify_request(&message, &[key()], NOW).unwrap().is_some());
    message[3] ^= 1;
    assert_eq!(fault(&message, &[key()], NOW), Fault::BadSig);
}

#[test]
fn each_doubt_has_its_own_name() {
    let (message, _) = signed();
    let other = Key::read_all(&TEXT.replace("c2Vj", "c2Vk")).unwrap();
    let longer = Key::read_all(&TEXT.replace("sha256", "sha512")).unwrap();
    let stranger = Key::read_all(&TEXT.replace("lb-key", "lb2-key")).unwrap();
    assert_eq!(fault(&message, &other, NOW), Fault::BadSig);
    assert_eq!(fault(&message, &longer, NOW), Fault::BadKey);
    assert_eq!(fault(&message, &stranger, NOW), Fault::BadKey);
    assert!(matches!(fault(&message, &[key()], NOW + Duration::from_secs(301)), Fault::BadTime(_)));
    assert!(matches!(fault(&message, &[key()], NOW - Duration::from_secs(301)), Fault::BadTime(_)));
    // A wrong signature is told before a wrong time: the time of a forged message means nothing.
    assert_eq!(fault(&message, &other, NOW + Duration::from_secs(999)), Fault::BadSig);
}

#[test]
fn a_cut_signature_is_refused() {
    let (message, _) = signed();
    let cut = |bytes: usize| {
        let mut signed = record::take_off(&message).unwrap().unwrap();
        signed.signature.mac.truncate(bytes);
        record::put_on(&mut signed.message, &signed.signature);
        fault(&signed.message, &[key()], NOW)
    };
    assert_eq!((cut(16), cut(15), cut(0)), (Fault::BadTrunc, Fault::Malformed, Fault::Malformed));
}

#[test]
fn a_signature_out_of_place_is_malformed() {
    let (message, _) = signed();
    let twice = {
        let mut message = message.clone();
        sign_request(&mut message, &key(), NOW);
        message
    };
    let followed = [message.clone(), vec![0]].concat();
    // The last record counted as an authority.
    let moved = {
        let mut message = message.clone();
        (message[9], message[11]) = (2, 0);
        message
    };
    for message in [twice, followed, moved, message[..message.len() - 1].to_vec()] {
        let rejected = verify_request(&message, &[key()], NOW).unwrap_err();
        assert_eq!((&rejected.fault, rejected.rcode()), (&Fault::Malformed, Rcode::FormErr));
    }
}

#[test]
fn a_response_fits_its_own_request_alone() {
    let (_, mac) = signed();
    let mut response = query();
    sign_response(&mut response, &key(), &mac, NOW);
    assert_eq!(verify_response(&response, &key(), &mac, NOW), Ok(()));
    let mut other = query();
    let other = sign_request(&mut other, &key(), NOW + Duration::from_secs(1));
    assert_eq!(verify_response(&response, &key(), &other, NOW), Err(Fault::BadSig));
    assert_eq!(verify_response(&query(), &key(), &mac, NOW), Err(Fault::Unsigned));
}

#[test]
fn the_client_learns_why_it_was_rejected() {
    let (message, mac) = signed();
    let told = |keys: &[Key], now: Duration| {
        let rejected = verify_request(&message, keys, now).unwrap_err();
        assert_eq!(rejected.rcode(), Rcode::NotAuth);
        let mut response = query();
        rejected.finish(&mut response, now);
        assert_eq!(Message::read(&response).unwrap().additional.len(), 2);
        verify_response(&response, &key(), &mac, NOW).unwrap_err()
    };
    let late = NOW + Duration::from_secs(4000);
    assert_eq!(told(&[], NOW), Fault::BadKey);
    assert_eq!(told(&Key::read_all(&TEXT.replace("c2Vj", "c2Vk")).unwrap(), NOW), Fault::BadSig);
    assert_eq!(told(&[key()], late), Fault::BadTime(Some(late)));
}

#[test]
fn the_messages_of_a_row_are_bound_to_each_other() {
    let (_, mac) = signed();
    let mut stream = Stream::new(&key(), &mac);
    let (mut first, mut second) = (query(), query());
    stream.sign(&mut first, NOW);
    stream.sign(&mut second, NOW);
    assert_eq!(verify_response(&first, &key(), &mac, NOW), Ok(()));
    // By hand, as RFC 8945, 5.3.1 has it: the signature before, the message, the two timers.
    let before = record::take_off(&first).unwrap().unwrap().signature.mac;
    let record::Signed { message, signature } = record::take_off(&second).unwrap().unwrap();
    assert!(key().fits(&[&[0, 32], &before, &message, &signature.timers()], &signature.mac));
    assert_eq!(verify_response(&second, &key(), &mac, NOW), Err(Fault::BadSig));
}

#[test]
fn keys_are_read_as_operators_write_them() {
    let bind = "# made by tsig-keygen\n/* key \"no\" { } */\nkey \"lb-key\" {\n\talgorithm HMAC-SHA256; // usual\n\tsecret \"c2VjcmV0IG9mIHRoZSBob3VzZSBvZiBrZXlz\";\n};\noptions { directory \"/\"; };\nkey two. { secret c2VjcmV0IG9mIHRo//NlIG9mIGtleXM=; algorithm hmac-sha512; };";
    let keys = Key::read_all(bind).unwrap();
    assert_eq!(keys[0], key());
    assert_eq!((keys.len(), keys[1].algorithm()), (2, Algorithm::Sha512));
    assert_eq!(Key::read_all(&TEXT.replace("hmac-sha256:", "")).unwrap(), [key()]);
    assert_eq!(*keys[1].name(), "two.".parse::<Name>().unwrap());
}

#[test]
fn a_wrong_key_is_named_and_its_secret_not_shown() {
    let cases = [
        ("", "there is no key in it"),
        ("key a { algorithm hmac-md5; secret \"c2VjcmV0c2VjcmV0c2VjcmV0\"; };", "`hmac-md5` is not supported"),
        ("key a { secret \"c2VjcmV0c2VjcmV0c2VjcmV0\"; };", "no `algorithm`"),
        ("key a { algorithm hmac-sha256; };", "no `secret`"),
        ("hmac-sha256:a:c2Vj", "3 bytes; at least 16"),
        ("hmac-sha256:a:c2Vj!", "not base 64"),
        ("hmac-sha256:a..b:c2VjcmV0c2VjcmV0c2VjcmV0", "empty label"),
    ];
    for (text, wanted) in cases {
        let error = Key::read_all(text).unwrap_err().to_string();
        assert!(error.contains(wanted) && !error.contains("c2Vj"), "{text}: {error}");
    }
    assert_eq!(format!("{:?}", key()), "Key(lb-key. hmac-sha256)");
}

proptest! {
    #[test]
    fn no_bytes_make_verifying_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..120_usize, with in any::<u8>()) {
        let _ = verify_request(&bytes, &[key()], NOW);
        let (mut message, mac) = signed();
        if let Some(byte) = message.get_mut(at) {
            *byte = with;
        }
        let _ = verify_request(&message, &[key()], NOW);
        let _ = verify_response(&message, &key(), &mac, NOW);
        let _ = Key::read_all(&String::from_utf8_lossy(&bytes));
    }
}
