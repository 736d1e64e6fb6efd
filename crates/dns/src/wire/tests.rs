use std::borrow::Cow;

use proptest::prelude::{any, prop, proptest};

use super::*;
use crate::kind::{Class, Rcode, Type};
use crate::name::Name;
use crate::rdata::Rdata;
use crate::wire::write::Writer;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<char> = hex.chars().filter(|c| !c.is_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap()).collect()
}

/// `drop`, a response code, or `query`.
fn outcome(message: &[u8]) -> String {
    match read_query(message) {
        Incoming::Drop => "drop".to_owned(),
        Incoming::Reject(rejection) => rejection.rcode.to_string(),
        Incoming::Cookie(_) => "cookie".to_owned(),
        Incoming::Query(_) => "query".to_owned(),
    }
}

// long: a table of messages.
#[test]
fn hostile_messages_get_what_they_deserve() {
    let label = format!("3f{}", "61".repeat(63));
    let too_long = format!("123401000001000000000000 {} 00 0001 0001", label.repeat(4));
    let cases: &[(&str, &str, &str)] = &[
        ("no bytes", "", "drop"),
        ("eleven zeros", "0000000000000000000000", "drop"),
        ("twelve zeros", "000000000000000000000000", "FORMERR"),
        ("sixteen zeros", "00000000000000000000000000000000", "FORMERR"),
        ("a pointer to itself", "123401000001000000000000 c00c 0001 0001", "FORMERR"),
        ("pointers to each other", "123401000001000000000000 c00ec00c 0001 0001", "FORMERR"),
        ("a pointer into the header", "123401000001000000000000 c000 0001 0001", "FORMERR"),
        ("a pointer beyond the end", "123401000001000000000000 c0ff 0001 0001", "FORMERR"),
        ("a reserved label", "123401000001000000000000 40ff 0000 0100 01", "FORMERR"),
        ("a name of 257 bytes", &too_long, "FORMERR"),
        ("a response", "123481000001000000000000 016100 0001 0001", "drop"),
        ("a malformed response", "123481000009000000000000 c0", "drop"),
        ("two questions", "123401000002000000000000 016100 0001 0001 016100 0001 0001", "FORMERR"),
        ("65535 questions", "12340100ffff000000000000 016100 0001 0001", "FORMERR"),
        ("an answer that is not there", "123401000001000100000000 016100 0001 0001", "FORMERR"),
        ("65535 additional records", "12340100000100000000ffff 016100 0001 0001", "FORMERR"),
        ("bytes behind the end", "123401000001000000000000 016100 0001 0001 00", "FORMERR"),
        ("a cut question", "123401000001000000000000 016100 0001 00", "FORMERR"),
        ("STATUS", "123411000001000000000000 016100 0001 0001", "NOTIMP"),
        ("NOTIFY", "123420000001000000000000 016100 0006 0001", "NOTIMP"),
        ("UPDATE", "123428000001000000000000 016100 0006 0001", "NOTIMP"),
        ("a question for OPT", "123401000001000000000000 016100 0029 0001", "FORMERR"),
        ("a plain query", "123401000001000000000000 016100 0001 0001", "query"),
        ("the root", "123401000001000000000000 00 0002 0001", "query"),
        ("with EDNS", "123401000001000000000001 016100 0001 0001 0000290400000000000000", "query"),
        ("EDNS version 1", "123401000001000000000001 016100 0001 0001 0000290400000100000000", "query"),
        (
            "two OPT",
            "123401000001000000000002 016100 0001 0001 0000290400000000000000 0000290400000000000000",
            "FORMERR",
        ),
        ("OPT below the root", "123401000001000000000001 016100 0001 0001 016100 00290400000000000000", "FORMERR"),
        ("OPT in the answer", "123401000001000100000000 016100 0001 0001 0000290400000000000000", "FORMERR"),
        ("OPT in the authority", "123401000001000000010000 016100 0001 0001 0000290400000000000000", "FORMERR"),
        ("OPT data that overruns", "123401000001000000000001 016100 0001 0001 0000290400000000000005 00", "FORMERR"),
        (
            "an option that overruns",
            "123401000001000000000001 016100 0001 0001 0000290400000000000004 00030001",
            "FORMERR",
        ),
        ("an unknown option", "123401000001000000000001 016100 0001 0001 0000290400000000000005 fde900 01 00", "query"),
        (
            "a cookie of 7 bytes",
            "123401000001000000000001 016100 0001 0001 000029040000000000000b 000a0007 01020304050607",
            "FORMERR",
        ),
        ("nothing but OPT", "123401000000000000000001 0000290400000000000000", "FORMERR"),
        ("nothing but a cookie", "123401000000000000000001 000029040000000000000c 000a0008 0102030405060708", "cookie"),
        (
            "a cookie of EDNS version 1",
            "123401000000000000000001 000029040000010000000c 000a0008 0102030405060708",
            "FORMERR",
        ),
        ("IXFR with its SOA cut", "123401000001000000010000 016100 00fb 0001", "FORMERR"),
    ];
    for (what, hex, wanted) in cases {
        assert_eq!(outcome(&bytes(hex)), *wanted, "{what}");
    }
}

#[test]
fn a_rejection_repeats_the_question_and_speaks_edns_where_the_client_does() {
    let opt = "0000290400000080000000";
    let short_cookie = "000029040000008000000b 000a0007 01020304050607";
    let ours = "000029 04d0 0000 8000 0000";
    let question = "016100 0001 0001";
    let cases: &[(&str, String, String)] = &[
        (
            "a cookie of 7 bytes",
            format!("1234 0100 0001 0000 0000 0001 {question} {short_cookie}"),
            format!("1234 8101 0001 0000 0000 0001 {question} {ours}"),
        ),
        (
            "no question",
            format!("1234 0100 0000 0000 0000 0001 {opt}"),
            format!("1234 8101 0000 0000 0000 0001 {ours}"),
        ),
        (
            "two questions",
            format!("1234 0100 0002 0000 0000 0001 {question} {question} {opt}"),
            format!("1234 8101 0000 0000 0000 0001 {ours}"),
        ),
        (
            "NOTIFY",
            format!("1234 2000 0001 0000 0000 0001 {question} {opt}"),
            format!("1234 a004 0001 0000 0000 0001 {question} {ours}"),
        ),
        ("UPDATE", format!("1234 2800 0001 0000 0000 0000 {question}"), "1234 a804 0000 0000 0000 0000".to_owned()),
        (
            "an unknown opcode",
            "1234 7800 0001 0000 0000 0000 c0".to_owned(),
            "1234 f804 0000 0000 0000 0000".to_owned(),
        ),
        (
            "bytes behind the end",
            format!("1234 0110 0001 0000 0000 0000 {question} 00"),
            format!("1234 8111 0001 0000 0000 0000 {question}"),
        ),
        ("a cut question", "1234 0100 0001 0000 0000 0000 0161".to_owned(), "1234 8101 0000 0000 0000 0000".to_owned()),
    ];
    for (what, message, wanted) in cases {
        let Incoming::Reject(rejection) = read_query(&bytes(message)) else { panic!("{what} is not rejected") };
        assert_eq!(encode_rejection(&rejection, &OptExtras::default()), bytes(wanted), "{what}");
    }
}

#[test]
fn a_query_keeps_case_flags_and_edns() {
    let hex = "beef0110 0001 0000 0000 0001 03 577757 02 4578 00 001c 0001 00 0029 ffff 00 00 8000 0010 0003 0000 000a 0008 0102030405060708";
    let Incoming::Query(query) = read_query(&bytes(hex)) else { panic!("not a query") };
    assert_eq!(query.question.name.to_string(), "WwW.Ex.");
    assert_eq!((query.id, query.recursion_desired, query.checking_disabled), (0xbeef, true, true));
    let edns = query.edns.unwrap();
    assert_eq!((edns.udp_bytes, edns.version, edns.dnssec_ok, edns.nsid), (0xffff, 0, true, true));
    assert_eq!(edns.cookie, Some(Cookie { client: [1, 2, 3, 4, 5, 6, 7, 8], server: vec![] }));
}

#[test]
fn a_query_of_our_own_is_read_back() {
    let question = Question { name: "Www.Example.".parse().unwrap(), kind: Type::AAAA, class: Class::IN };
    for size in [None, Some(1232)] {
        let Incoming::Query(query) = read_query(&write_query(9, &question, true, size)) else { panic!("not a query") };
        assert_eq!(query.question, question);
        assert_eq!(query.edns.map(|edns| edns.udp_bytes), size);
    }
}

fn query(name: &str, edns: bool) -> Query {
    let question = Question { name: name.parse().unwrap(), kind: Type::A, class: Class::IN };
    match read_query(&write_query(1, &question, false, edns.then_some(1232))) {
        Incoming::Query(query) => query,
        other => panic!("{other:?}"),
    }
}

fn set(owner: &str, count: u8, need: Need) -> Set<'static> {
    let data: Vec<Rdata> = (0..count).map(|last| Rdata::a([192, 0, 2, last].into())).collect();
    let owner: Name = owner.parse().unwrap();
    Set { owner: Cow::Owned(owner), kind: Type::A, ttl: 5, data: data.into(), need }
}

#[test]
fn what_is_needed_and_does_not_fit_leaves_only_tc() {
    let query = query("a.example.", true);
    let mut response =
        Response { answer: vec![set("a.example.", 200, Need::Must)], ..Response::bare(Rcode::NoError, None) };
    let cut = encode(&query, &response, &OptExtras::default(), 512);
    assert!(cut.truncated && cut.bytes.len() < 50);
    let message = Message::read(&cut.bytes).unwrap();
    assert!(message.is_truncated() && message.answer.is_empty());
    assert_eq!(message.additional.len(), 1, "OPT stays");
    let whole = encode(&query, &response, &OptExtras::default(), 65_535);
    assert_eq!(Message::read(&whole.bytes).unwrap().answer.len(), 200);
    response.answer = vec![set("a.example.", 1, Need::Must)];
    response.additional = vec![set("b.example.", 200, Need::May), set("c.example.", 2, Need::May)];
    let partial = encode(&query, &response, &OptExtras::default(), 512);
    let message = Message::read(&partial.bytes).unwrap();
    assert!(!partial.truncated);
    assert_eq!(
        (message.answer.len(), message.additional.len()),
        (1, 3),
        "the large set is left out, OPT and the small one stay"
    );
}

#[test]
fn the_longest_question_and_all_options_fit_the_smallest_datagram() {
    let label = "x".repeat(63);
    let mut query = query(&format!("{label}.{label}.{label}.{}.", "x".repeat(61)), true);
    query.question.kind = Type(65_280);
    let response = Response::bare(Rcode::Refused, Some(crate::kind::ExtendedError::NotAuthoritative));
    for (identifier, is_sent) in [(128, true), (129, false)] {
        let extras = OptExtras { nsid: Some(vec![b'n'; identifier]), cookie: Some(vec![b'c'; 40]) };
        let encoded = encode(&query, &response, &extras, 512);
        assert!(encoded.bytes.len() <= 512 && !encoded.truncated);
        assert_eq!(encoded.bytes.contains(&b'n'), is_sent);
    }
}

#[test]
fn names_are_shortened_and_read_back() {
    let mut writer = Writer::new(65_535);
    writer.put(&[0; HEADER_BYTES]);
    for name in ["www.example.com.", "WWW.EXAMPLE.com.", "mail.example.com.", "com.", "."] {
        writer.name(name.parse::<Name>().unwrap().as_wire());
    }
    let written = writer.into_bytes();
    assert_eq!(written.len(), HEADER_BYTES + 17 + 2 + 7 + 2 + 1);
    let mut cursor = Cursor::new(&written, HEADER_BYTES);
    for name in ["www.example.com.", "www.example.com.", "mail.example.com.", "com.", "."] {
        assert_eq!(cursor.name().unwrap().to_string(), name);
    }
}

#[test]
fn a_long_row_of_pointers_is_not_followed() {
    let mut message = vec![0; HEADER_BYTES];
    message.extend_from_slice(&[1, b'a', 0]);
    let mut target = HEADER_BYTES;
    for _ in 0..200 {
        let here = message.len();
        message.extend_from_slice(&(0xc000 | u16::try_from(target).unwrap()).to_be_bytes());
        target = here;
    }
    let after = |pointers: usize| Cursor::new(&message, HEADER_BYTES + 3 + (pointers - 1) * 2).name();
    assert_eq!(after(127).unwrap().to_string(), "a.");
    assert_eq!(after(128), None);
}

#[test]
fn a_thousand_names_are_written_in_linear_time() {
    let response = Response {
        answer: (0..1000).map(|n| set(&format!("n{n}.x{n}.example."), 1, Need::Must)).collect(),
        ..Response::bare(Rcode::NoError, None)
    };
    let encoded = encode(&query("q.example.", false), &response, &OptExtras::default(), 65_535);
    assert_eq!(Message::read(&encoded.bytes).unwrap().answer.len(), 1000);
}

#[test]
fn upper_bits_of_the_response_code_and_the_error_travel_in_opt() {
    let response = Response::bare(Rcode::BadVers, Some(crate::kind::ExtendedError::NotReady));
    let extras = OptExtras { nsid: Some(b"lb1".to_vec()), cookie: None };
    let message = Message::read(&encode(&query("a.", true), &response, &extras, 512).bytes).unwrap();
    assert_eq!(message.rcode(), 16);
    let opt = &message.additional[0];
    assert_eq!((opt.kind, opt.class), (Type::OPT, 1232));
    assert_eq!(opt.data.as_wire(), b"\x00\x03\x00\x03lb1\x00\x0f\x00\x02\x00\x0e");
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_query(&bytes);
        Message::read(&bytes);
    }

    #[test]
    fn no_flip_in_a_good_message_makes_reading_panic(at in 0..60_usize, value in any::<u8>()) {
        let response = Response { answer: vec![set("a.example.", 3, Need::Must)], ..Response::bare(Rcode::NoError, None) };
        let mut message = encode(&query("a.example.", true), &response, &OptExtras::default(), 512).bytes;
        if let Some(slot) = message.get_mut(at) {
            *slot = value;
        }
        Message::read(&message);
        if let Some(flags) = message.get_mut(2) {
            *flags &= 0x7f;
        }
        read_query(&message);
    }
}
