//! What may come before a conversation: PROXY headers, TLS hellos.

use evenkeel_http::preface::hello::{Reading, Seen};
use evenkeel_http::preface::proxy::{self, Facts, write_v1, write_v2};

/// A PROXY header: the same verdict however it is cut, and what we write of it reads as it did.
pub fn proxy_header(bytes: &[u8]) {
    let verdict = proxy::parse(bytes);
    let early = (0..=bytes.len()).map(|end| proxy::parse(&bytes[..end])).find(|verdict| !matches!(verdict, Ok(None)));
    assert_eq!(early.unwrap_or(Ok(None)), verdict, "the verdict depends on how the header was cut");
    let Ok(Some((length, header))) = verdict else { return };
    assert!(length <= bytes.len(), "a header longer than its bytes");
    let mut out = Vec::new();
    write_v2(&mut out, header.ends.as_ref(), &header.facts);
    let Ok(Some((written, again))) = proxy::parse(&out) else { panic!("what we write is no header") };
    assert_eq!((written, again.ends), (out.len(), header.ends), "the ends changed");
    if header.ends.is_some() {
        assert_eq!(again.facts, header.facts, "the facts changed");
    }
    let mut line = Vec::new();
    write_v1(&mut line, header.ends.as_ref());
    let Ok(Some((written, again))) = proxy::parse(&line) else { panic!("what we write is no line") };
    assert_eq!((written, again.ends, again.facts), (line.len(), header.ends, Facts::default()), "the line differs");
}

/// A TLS hello: the same verdict in one piece and byte by byte, and a name that is one.
pub fn tls_hello(bytes: &[u8]) {
    let verdict = Reading::default().look(bytes);
    let mut reading = Reading::default();
    let early = (0..=bytes.len()).map(|end| reading.look(&bytes[..end])).find(|verdict| !matches!(verdict, Ok(None)));
    assert_eq!(early.unwrap_or(Ok(None)), verdict, "the verdict depends on how the hello was cut");
    if let Ok(Some(Seen::Hello(hello))) = verdict
        && let Some(name) = hello.name
    {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase();
        assert!(name.len() <= 255 && name.bytes().all(is_plain), "a name that is none: {name:?}");
    }
}
