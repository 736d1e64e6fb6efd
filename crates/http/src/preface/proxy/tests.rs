//! Every rule of the specification as a row of `cases.txt`, looked at as a whole and at every split.

use super::*;

/// The bytes of a row: text, with `\r`, `\n`, `\xNN` and `*N` (repeat the byte before N times) for the rest.
fn bytes_of(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.bytes().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let mut digits = |count: usize| -> String { (0..count).map(|_| char::from(rest.next().unwrap())).collect() };
        match digits(1).as_str() {
            "r" => out.push(b'\r'),
            "n" => out.push(b'\n'),
            "x" => out.push(u8::from_str_radix(&digits(2), 16).unwrap()),
            "s" => out.push(b' '),
            "t" => out.push(b'\t'),
            "*" => {
                let count: usize = digits(3).parse().unwrap();
                let last = *out.last().unwrap();
                out.resize(out.len() + count - 1, last);
            }
            // The signature of version 2.
            "S" => out.extend_from_slice(&SIGNATURE),
            other => panic!("\\{other} in {text}"),
        }
    }
    out
}

fn verdict(bytes: &[u8]) -> String {
    match parse(bytes) {
        Ok(None) => "more".to_owned(),
        Ok(Some((length, header))) => {
            let ends = header.ends.map_or("own".to_owned(), |ends| format!("{}>{}", ends.source, ends.destination));
            let mut text = format!("{length} {ends}");
            let facts = header.facts;
            text.extend(facts.authority.map(|name| format!(" authority={name}")));
            text.extend(facts.alpn.map(|alpn| format!(" alpn={}", String::from_utf8_lossy(&alpn))));
            text.push_str(if facts.is_over_tls { " tls" } else { "" });
            text
        }
        Err(error) => error.code().to_owned(),
    }
}

#[test]
fn each_rule_holds_at_every_split() {
    let mut rows = 0;
    for row in include_str!("cases.txt").lines().filter(|row| !row.is_empty() && !row.starts_with('#')) {
        let (text, expected) = row.split_once("  ").map(|(text, expected)| (text, expected.trim())).unwrap();
        let bytes = bytes_of(text);
        assert_eq!(verdict(&bytes), expected, "{row}");
        // A prefix is undecided, or has the verdict of the whole; and what is refused once stays refused.
        for cut in 0..bytes.len() {
            let early = verdict(&bytes[..cut]);
            assert!(early == "more" || early == expected, "{row}: {early} after {cut} bytes");
        }
        // What comes behind is no part of it.
        if expected.starts_with(|c: char| c.is_ascii_digit()) {
            let longer = [&bytes[..], b"GET / HTTP/1.1\r\n"].concat();
            assert_eq!(verdict(&longer), expected, "{row} with more behind it");
        }
        rows += 1;
    }
    assert!(rows > 80, "only {rows} rows");
}

#[test]
fn what_is_written_reads_the_same() {
    let addresses = ["192.0.2.1:1", "198.51.100.255:65535", "[2001:db8::1]:443", "[::1]:0"];
    let addresses: Vec<SocketAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
    let facts =
        Facts { alpn: Some(b"h2".to_vec()), authority: Some("a.example".to_owned()), is_over_tls: true, own_tls: None };
    for source in &addresses {
        for destination in &addresses {
            let ends = Ends { source: *source, destination: *destination };
            let mut line = Vec::new();
            write_v1(&mut line, Some(&ends));
            assert!(line.len() <= LINE_BYTES);
            assert_eq!(parse(&line), Ok(Some((line.len(), Header { ends: Some(ends), facts: Facts::default() }))));
            for facts in [Facts::default(), facts.clone()] {
                let mut block = Vec::new();
                write_v2(&mut block, Some(&ends), &facts);
                assert_eq!(parse(&block), Ok(Some((block.len(), Header { ends: Some(ends), facts }))));
            }
        }
    }
    let (mut line, mut block) = (Vec::new(), Vec::new());
    write_v1(&mut line, None);
    write_v2(&mut block, None, &facts);
    assert_eq!(parse(&line), Ok(Some((15, Header::default()))));
    assert_eq!(parse(&block), Ok(Some((16, Header::default()))));
}

#[test]
fn a_checksum_is_looked_at() {
    let ends = Ends { source: "192.0.2.1:1".parse().unwrap(), destination: "192.0.2.2:2".parse().unwrap() };
    let mut header = Vec::new();
    write_v2(&mut header, Some(&ends), &Facts::default());
    header.extend_from_slice(&[3, 0, 4, 0, 0, 0, 0]);
    header[15] += 7;
    let sum = crc::crc32c(&header).to_be_bytes();
    let at = header.len() - 4;
    assert_eq!(parse(&header), Err(ProxyError::Checksum));
    header[at..].copy_from_slice(&sum);
    assert_eq!(parse(&header), Ok(Some((header.len(), Header { ends: Some(ends), facts: Facts::default() }))));
    for bit in 0..8 {
        let mut broken = header.clone();
        broken[16] ^= 1 << bit;
        assert_eq!(parse(&broken), Err(ProxyError::Checksum));
    }
}
