//! Learning, by tables of pages and of heads, and by properties over every cut.

mod decoding;
mod finding;
mod heads;

use super::*;

fn own() -> OwnHosts {
    OwnHosts::new([&b"shop.example.com:8080"[..], b"www.shop.example.com"])
}

/// `sid` in queries, `jsessionid` in paths, `PHPSESSID` in both.
fn names() -> IdNames {
    IdNames::new([&b"sid"[..], b"PHPSESSID"], [&b"jsessionid"[..], b"PHPSESSID"]).unwrap()
}

/// The ids in a page that comes in these pieces.
fn scan<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<String> {
    let (names, mut scanner, mut told) = (names(), Scanner::new(own()), Vec::new());
    let mut tell = |id: &[u8]| told.push(String::from_utf8(id.to_vec()).unwrap());
    for piece in pieces {
        scanner.feed(&names, piece, &mut tell);
    }
    scanner.finish(&names, &mut tell);
    told
}

/// The ids in a page, however it is cut.
fn found(page: &str) -> Vec<String> {
    let whole = scan([page.as_bytes()]);
    for at in 1..page.len() {
        let (front, back) = page.as_bytes().split_at(at);
        assert_eq!(scan([front, back]), whole, "cut at {at} of {page}");
    }
    assert_eq!(scan(page.as_bytes().chunks(1)), whole, "byte by byte: {page}");
    whole
}
