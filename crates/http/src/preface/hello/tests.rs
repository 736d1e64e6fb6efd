use super::*;

/// A record of a handshake with these bytes.
fn record(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![22, 3, 1];
    out.extend_from_slice(&u16::try_from(bytes.len()).unwrap().to_be_bytes());
    out.extend_from_slice(bytes);
    out
}

fn part(bytes: &[u8]) -> Vec<u8> {
    let mut out = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &part(body)].concat()
}

fn name_of(kind: u8, name: &[u8]) -> Vec<u8> {
    extension(0, &part(&[&[kind][..], &part(name)].concat()))
}

/// A hello with these extensions, as a handshake.
fn handshake(extensions: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend_from_slice(&[7; 32]);
    body.push(0);
    body.extend_from_slice(&part(&[0x13, 0x01]));
    body.extend_from_slice(&[1, 0]);
    body.extend_from_slice(&part(extensions));
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[1][..], &length[1..], &body].concat()
}

fn hello(name: &str) -> Vec<u8> {
    handshake(&[extension(10, &[0, 2, 0, 29]), name_of(0, name.as_bytes())].concat())
}

fn look(bytes: &[u8]) -> Result<Option<Seen>, HelloError> {
    Reading::default().look(bytes)
}

fn named(seen: Seen) -> Option<String> {
    match seen {
        Seen::Hello(hello) => hello.name,
        Seen::Other => None,
    }
}

#[test]
fn the_name_is_found_however_the_hello_is_cut() {
    let handshake = hello("Shop.Example.COM");
    for piece in [1, 2, 3, 7, 50, 4000] {
        let bytes: Vec<u8> = handshake.chunks(piece).flat_map(record).collect();
        for cut in 1..bytes.len() {
            assert_eq!(look(&bytes[..cut]), Ok(None), "{piece} {cut}");
        }
        // In one go, and byte by byte with a reading that goes on.
        assert_eq!(named(look(&bytes).unwrap().unwrap()).as_deref(), Some("shop.example.com"));
        let mut reading = Reading::default();
        let found = (1..=bytes.len()).find_map(|end| reading.look(&bytes[..end]).unwrap());
        assert_eq!(named(found.unwrap()).as_deref(), Some("shop.example.com"));
    }
}

#[test]
fn what_follows_the_hello_does_not_matter() {
    let bytes = [record(&hello("a.example")), b"\x17\x03\x03\x00\x05early".to_vec()].concat();
    assert_eq!(named(look(&bytes).unwrap().unwrap()).as_deref(), Some("a.example"));
}

#[test]
fn a_hello_without_a_name_is_one_all_the_same() {
    let without = record(&handshake(&extension(10, &[0, 2, 0, 29])));
    assert_eq!(look(&without), Ok(Some(Seen::Hello(Hello::default()))));
    let mut bare = handshake(&[]);
    bare.truncate(bare.len() - 2);
    let length = u32::try_from(bare.len() - 4).unwrap().to_be_bytes();
    bare[1..4].copy_from_slice(&length[1..]);
    assert_eq!(look(&record(&bare)), Ok(Some(Seen::Hello(Hello::default()))));
    let dotted = look(&record(&hello("a.example."))).unwrap().unwrap();
    assert_eq!(named(dotted).as_deref(), Some("a.example"));
}

#[test]
fn the_first_protocol_is_told() {
    let list = part(b"\x02h2\x08http/1.1");
    let Some(Seen::Hello(hello)) = look(&record(&handshake(&extension(16, &list)))).unwrap() else { panic!() };
    assert_eq!(hello.alpn.as_deref(), Some(&b"h2"[..]));
}

#[test]
fn other_protocols_are_told_from_tls_at_once() {
    for bytes in [&b"G"[..], b"SSH-2.0-x", b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b"\x16\x02", b"\x80\x2e\x01"] {
        assert_eq!(look(bytes), Ok(Some(Seen::Other)), "{bytes:?}");
    }
    assert_eq!(look(b""), Ok(None));
    assert_eq!(look(b"\x16"), Ok(None));
}

#[test]
fn what_cannot_become_a_hello_is_refused() {
    let good = hello("a.example");
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        record(&bytes)
    };
    let two_names = part(&[&b"\x00\x00\x01a\x00\x00\x01b"[..]].concat());
    let cases: Vec<(&str, Vec<u8>, HelloError)> = vec![
        ("an empty record", vec![22, 3, 1, 0, 0], HelloError::Record),
        ("a record too long", vec![22, 3, 1, 0x40, 0x01], HelloError::Record),
        ("data in between", [record(&good[..9]), vec![23, 3, 3, 0, 1, 0]].concat(), HelloError::Record),
        ("another handshake", with(0, 2), HelloError::Malformed),
        ("longer than anyone's", with(1, 1), HelloError::TooLong),
        ("a session id too long", with(4 + 34, 33), HelloError::Malformed),
        ("an odd list of ciphers", with(4 + 36, 1), HelloError::Malformed),
        ("no compression", with(4 + 39, 0), HelloError::Malformed),
        ("a part past the end", with(good.len() - 11, 0xff), HelloError::Malformed),
        ("bytes behind the extensions", record(&[&good[..], b"x"].concat()), HelloError::Malformed),
        (
            "one extension twice",
            record(&handshake(&[name_of(0, b"a"), name_of(0, b"a")].concat())),
            HelloError::Malformed,
        ),
        ("two names", record(&handshake(&extension(0, &two_names))), HelloError::Malformed),
        ("another kind of name", record(&handshake(&name_of(1, b"a"))), HelloError::Name),
        ("an empty name", record(&handshake(&name_of(0, b""))), HelloError::Name),
        ("a name with a line end", record(&handshake(&name_of(0, b"a\nb"))), HelloError::Name),
        ("a name with a NUL", record(&handshake(&name_of(0, b"a\0b"))), HelloError::Name),
        ("an empty protocol", record(&handshake(&extension(16, &part(b"\0")))), HelloError::Malformed),
    ];
    for (what, bytes, error) in cases {
        // Bytes behind a hello are those of its handshake only where its length says so.
        let bytes = match what {
            "bytes behind the extensions" => {
                let mut bytes = bytes;
                let length = u16::try_from(bytes.len() - 9).unwrap().to_be_bytes();
                bytes[7..9].copy_from_slice(&length);
                bytes
            }
            _ => bytes,
        };
        assert_eq!(look(&bytes), Err(error), "{what}");
        // Byte by byte it comes to the same.
        let mut reading = Reading::default();
        let verdict = (1..=bytes.len()).find_map(|end| match reading.look(&bytes[..end]) {
            Ok(None) => None,
            verdict => Some(verdict),
        });
        assert_eq!(verdict, Some(Err(error)), "{what}, byte by byte");
    }
}

#[test]
fn a_hello_that_never_ends_is_given_up() {
    let mut bytes = Vec::new();
    let mut reading = Reading::default();
    let mut handshake = vec![1, 0, 0x3f, 0];
    handshake.resize(16_000, 0);
    for byte in handshake {
        bytes.extend(record(&[byte]));
        match reading.look(&bytes) {
            Ok(None) => {}
            verdict => {
                assert_eq!(verdict, Err(HelloError::TooLong));
                assert!(bytes.len() <= 2 * caps::HELLO_BYTES + 6);
                return;
            }
        }
    }
    panic!("it was never given up");
}
