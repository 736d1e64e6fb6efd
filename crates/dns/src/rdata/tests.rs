use proptest::prelude::{any, prop, proptest};

use super::*;

fn read(kind: Type, text: &str) -> Result<Rdata, RdataError> {
    let origin: Name = "example.com.".parse().unwrap();
    let line = crate::zone::ZoneText::new(text.as_bytes()).lines.into_iter().next();
    let words: Vec<Word<'_>> =
        line.iter().flat_map(|line| line.words()).map(|token| token.word(text.as_bytes())).collect();
    parse(kind, &words, Some(&origin))
}

// long: a table of types.
#[test]
fn every_type_is_read_and_shown() {
    let cases = [
        (Type::A, "192.0.2.1", "192.0.2.1"),
        (Type::AAAA, "2001:DB8:0:0::1", "2001:db8::1"),
        (Type::NS, "ns1", "ns1.example.com."),
        (Type::CNAME, "@", "example.com."),
        (Type::SOA, "ns1 root 7 1h 15m 4w 1h30m", "ns1.example.com. root.example.com. 7 3600 900 2419200 5400"),
        (Type::MX, "10 mail.example.org.", "10 mail.example.org."),
        (Type::MX, "0 .", "0 ."),
        (Type::TXT, "\"a b\" c \"\"", "\"a b\" \"c\" \"\""),
        (Type::TXT, "\\255\\\"", "\"\\255\\\"\""),
        (Type::SRV, "1 2 443 host", "1 2 443 host.example.com."),
        (Type::PTR, "h.", "h."),
        (Type::DNAME, "new.example.", "new.example."),
        (Type::CAA, "0 issue \"ca.example; policy=ev\"", "0 issue \"ca.example; policy=ev\""),
        (
            Type::NAPTR,
            "100 10 \"s\" \"SIP+D2U\" \"\" _sip._udp",
            "100 10 \"s\" \"SIP+D2U\" \"\" _sip._udp.example.com.",
        ),
        (
            Type::DS,
            "60485 5 1 2BB183AF 5f22588179a53b0a98631fad1a292118",
            "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118",
        ),
        (
            Type::DS,
            "1 ecdsap256sha256 1 2BB183AF5F22588179A53B0A98631FAD1A292118",
            "1 13 1 2BB183AF5F22588179A53B0A98631FAD1A292118",
        ),
        // A kind of digest that we do not know may have any length (RFC 8078, 4: 0 takes the DS away).
        (Type::CDS, "0 0 0 00", "0 0 0 00"),
        (Type::DNSKEY, "257 3 RSASHA256 AAEC", "257 3 8 AAEC"),
        (Type::TXT, "key=\"a b\"", "\"key=\" \"a b\""),
        (Type::TXT, "a\"b\"c\"\"", "\"a\" \"b\" \"c\" \"\""),
        (Type::TXT, "a\\\"b", "\"a\\\"b\""),
        (Type::HTTPS, "0 other.example. alpn=h2", "0 other.example. alpn=h2"),
        (Type::HTTPS, "1 . alpn=\"h2,h3\"", "1 . alpn=h2,h3"),
        (Type::TLSA, "3 1 1 abcdef", "3 1 1 ABCDEF"),
        (Type::SSHFP, "4 1 2BB183AF 5f22588179a53b0a98631fad1a292118", "4 1 2BB183AF5F22588179A53B0A98631FAD1A292118"),
        (Type::SSHFP, "4 3 00ff", "4 3 00FF"),
        (Type::DNSKEY, "257 3 13 AAEC AwQF BgcICQo=", "257 3 13 AAECAwQFBgcICQo="),
        (Type::URI, "10 1 \"https://a.example/\"", "10 1 \"https://a.example/\""),
        (Type::RP, "admin .", "admin.example.com. ."),
        (Type::SPF, "\"v=spf1 -all\"", "\"v=spf1 -all\""),
        (Type::HTTPS, "0 other.example.", "0 other.example."),
        (
            Type::HTTPS,
            "1 . port=8443 alpn=h3,h2 ipv6hint=2001:db8::1 ipv4hint=192.0.2.1,192.0.2.2 mandatory=port,alpn no-default-alpn",
            "1 . mandatory=alpn,port alpn=h3,h2 no-default-alpn port=8443 ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1",
        ),
        (Type::SVCB, "16 foo ech=AAEC key667=hello", "16 foo.example.com. ech=AAEC key667=\\104\\101\\108\\108\\111"),
        (Type::HTTPS, "1 . key1=\\002h2 key3=\\000\\080", "1 . alpn=h2 port=80"),
        (Type::HTTPS, "1 . key5=AQ key0=\\000\\005", "1 . mandatory=ech ech=QVE="),
        (Type(65280), "\\# 3 abcd ef", "\\# 3 ABCDEF"),
        (Type(65280), "\\# 0", "\\# 0"),
        (Type::A, "\\# 4 c0000201", "192.0.2.1"),
    ];
    for (kind, text, shown) in cases {
        let data = read(kind, text).unwrap_or_else(|error| panic!("{kind} {text}: {error}"));
        assert_eq!(data.show(kind), shown, "{kind} {text}");
        assert_eq!(read(kind, shown).unwrap(), data, "{kind} {shown} reads back");
        assert_eq!(Rdata::from_wire(kind, data.as_wire()).unwrap(), data);
    }
}

#[test]
fn what_does_not_fit_its_type_is_refused_at_its_word() {
    let long = format!("\"{}\"", "x".repeat(256));
    let cases = [
        (Type::A, "258.421.3.125", Some(0)),
        (Type::A, "1.2.3", Some(0)),
        (Type::A, "", None),
        (Type::A, "1.2.3.4 5", Some(1)),
        (Type::AAAA, "192.0.2.1", Some(0)),
        (Type::MX, "65536 mail", Some(0)),
        (Type::MX, "10", None),
        (Type::SOA, "a b -1 2 3 4 5", Some(2)),
        (Type::SOA, "a b 1 2x 3 4 5", Some(3)),
        (Type::TXT, &long, Some(0)),
        (Type::TXT, "\\999", Some(0)),
        (Type::TXT, "a\0b", Some(0)),
        (Type::CAA, "0 iss-ue x", Some(1)),
        (Type::DS, "1 2 3 abc", Some(3)),
        (Type::DS, "1 2 3 zz", Some(3)),
        (Type::DNSKEY, "257 3 13 AAE", Some(3)),
        (Type::DNSKEY, "257 3 13 A*==", Some(3)),
        (Type::A, "\\# 3 010203", None),
        (Type::A, "\\# 4 010203", Some(1)),
        (Type(65280), "hello", Some(0)),
        (Type::HTTPS, "1 . alpn=", Some(2)),
        (Type::HTTPS, "1 . port=1 port=2", Some(3)),
        (Type::HTTPS, "1 . mandatory=alpn", Some(2)),
        (Type::HTTPS, "1 . no-default-alpn port=8443", Some(2)),
        (Type::SSHFP, "4 1 00ff", Some(2)),
        (Type::SSHFP, "4 2 00ff", Some(2)),
        (Type::HTTPS, "1 . alpn=\"h2\"x", Some(2)),
        (Type::HTTPS, "1 . \"alpn=h2\"", Some(2)),
        (Type::A, "\"192.0.2.1\"", Some(0)),
        (Type::CNAME, "\"a\"", Some(0)),
        (Type::CNAME, "\\[x1/8]", Some(0)),
        (Type::CAA, "0 issue a\"b\"", Some(3)),
        (Type::MX, "\"10\" mail", Some(0)),
        (Type::TLSA, "3 1 1 \"ab\"", Some(3)),
        (Type::OPENPGPKEY, "\"AAAA\"", Some(0)),
        (Type::DS, "1 8 2 abcd", Some(3)),
        (Type::CDS, "1 8 1 abcd", Some(3)),
        (Type::DS, "1 8 2 2BB183AF5F22588179A53B0A98631FAD1A292118", Some(3)),
        (Type::DS, "1 RSASHA2 1 2BB183AF5F22588179A53B0A98631FAD1A292118", Some(1)),
        (Type::DNSKEY, "257 3 256 AAEC", Some(2)),
        (Type::HTTPS, "1 . colour=red", Some(2)),
        (Type::HTTPS, "1 . key1=h2", Some(2)),
        (Type::HTTPS, "1 . ALPN=h2", Some(2)),
        (Type::HTTPS, "1 . Key99=h2", Some(2)),
        (Type::HTTPS, "1 . key099=h2", Some(2)),
        (Type::HTTPS, "1 . port=+443", Some(2)),
    ];
    for (kind, text, word) in cases {
        let error = read(kind, text).unwrap_err();
        assert_eq!(error.word, word, "{kind} {text}: {error}");
    }
}

#[test]
fn periods_take_units_and_refuse_nonsense() {
    let cases: [(&str, Option<u32>); 11] = [
        ("300", Some(300)),
        ("1h30m", Some(5400)),
        ("2W", Some(1_209_600)),
        ("1d1s", Some(86_401)),
        ("0", Some(0)),
        ("", None),
        ("h", None),
        ("1h30", None),
        ("4294967296", None),
        ("99999w", None),
        ("1y", None),
    ];
    for (text, seconds) in cases {
        assert_eq!(period(text.as_bytes()), seconds, "{text}");
    }
}

/// Every type with a layout, and one without.
const KINDS: [Type; 24] = [
    Type::A,
    Type::AAAA,
    Type::NS,
    Type::SOA,
    Type::MX,
    Type::TXT,
    Type::HINFO,
    Type::SRV,
    Type::CAA,
    Type::SVCB,
    Type::HTTPS,
    Type::NAPTR,
    Type::DS,
    Type::CDS,
    Type::TLSA,
    Type::SMIMEA,
    Type::SSHFP,
    Type::DNSKEY,
    Type::CDNSKEY,
    Type::OPENPGPKEY,
    Type::RP,
    Type::AFSDB,
    Type::URI,
    Type(65_280),
];

fn assert_reads_back(kind: Type, bytes: &[u8]) {
    if let Some(data) = Rdata::from_wire(kind, bytes) {
        let text = data.show(kind);
        let again = read(kind, &text).unwrap_or_else(|error| panic!("{kind} {bytes:02x?} shown as `{text}`: {error}"));
        assert_eq!(again.as_wire(), bytes, "{kind} shown as `{text}`");
    }
}

proptest! {
    #[test]
    fn whatever_is_taken_from_the_wire_is_shown_so_that_it_reads_back(
        kind in 0..KINDS.len(),
        bytes in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        assert_reads_back(KINDS[kind], &bytes);
    }

    #[test]
    fn so_are_names_texts_and_parameters(
        kind in 0..KINDS.len(),
        head in prop::collection::vec(any::<u8>(), 0..4),
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..6), 0..4),
        key in 0..9_u8,
    ) {
        // Rows of length and bytes: at once labels, character strings and ids.
        let mut rows: Vec<u8> = head.clone();
        for part in &parts {
            rows.push(u8::try_from(part.len()).unwrap());
            rows.extend_from_slice(part);
        }
        assert_reads_back(KINDS[kind], &rows);
        rows.push(0);
        assert_reads_back(KINDS[kind], &rows);
        let value: Vec<u8> = rows.get(head.len()..rows.len() - 1).unwrap().to_vec();
        let mut service = vec![0, 1, 0, 0, key, 0, u8::try_from(value.len()).unwrap()];
        service.extend_from_slice(&value);
        assert_reads_back(Type::HTTPS, &service);
    }
}

#[test]
fn addresses_in_parameters_are_seen() {
    let hints = |kind, text| read(kind, text).unwrap().has_address_hints(kind);
    assert!(hints(Type::HTTPS, "1 . alpn=h2 ipv4hint=192.0.2.1") && hints(Type::SVCB, "1 a. ipv6hint=::1"));
    assert!(!hints(Type::HTTPS, "1 . alpn=h2") && !hints(Type::A, "192.0.2.1"));
}
