//! Whose word on the client's address is believed, and what servers are told of it.

use super::*;
use crate::message::Limits;
use crate::request::RequestHead;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn trusted() -> Vec<Network> {
    vec![Network { addr: ip("10.0.0.0"), prefix: 8 }, Network { addr: ip("2001:db8::"), prefix: 32 }]
}

fn parsed(fields: &str) -> (RequestHead, Vec<u8>) {
    let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into_bytes();
    let mut head = RequestHead::new();
    assert_eq!(head.parse(&bytes, &Limits::default()), Ok(Some(bytes.len())));
    (head, bytes)
}

#[test]
fn the_client_is_the_right_most_address_that_is_not_trusted() {
    for (peer, fields, wanted) in [
        ("192.0.2.9", "", "192.0.2.9"),
        ("192.0.2.9", "X-Forwarded-For: 198.51.100.1\r\n", "192.0.2.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "X-Forwarded-For: 198.51.100.1\r\n", "198.51.100.1"),
        ("::ffff:10.0.0.1", "X-Forwarded-For: ::ffff:198.51.100.1\r\n", "198.51.100.1"),
        ("10.0.0.1", "X-Forwarded-For: 1.1.1.1, 198.51.100.1, 10.0.0.2\r\n", "198.51.100.1"),
        ("10.0.0.1", "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 198.51.100.1\r\n", "198.51.100.1"),
        ("10.0.0.1", "X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3"),
        ("10.0.0.1", "X-Forwarded-For: 198.51.100.1:4711\r\n", "198.51.100.1"),
        ("10.0.0.1", "X-Forwarded-For: [2001:db9::1]:4711\r\n", "2001:db9::1"),
        ("10.0.0.1", "X-Forwarded-For: [2001:db9::1]\r\n", "2001:db9::1"),
        ("2001:db8::1", "X-Forwarded-For: 2001:db9::1\r\n", "2001:db9::1"),
        ("10.0.0.1", "X-Forwarded-For: 198.51.100.1, unknown, 10.0.0.2\r\n", "10.0.0.2"),
        ("10.0.0.1", "X-Forwarded-For: ,,\r\n", "10.0.0.1"),
        ("10.0.0.1", "X_Forwarded_For: 198.51.100.1\r\n", "10.0.0.1"),
    ] {
        let (head, bytes) = parsed(fields);
        assert_eq!(client_address(head.fields(), &bytes, ip(peer), &trusted()), ip(wanted), "{peer} {fields}");
    }
}

fn value(field: ClientField, client: &Client<'_>, fields: &str) -> String {
    let (head, bytes) = parsed(fields);
    let mut out = Vec::new();
    write_value(&mut out, field, client, head.fields(), &bytes);
    String::from_utf8(out).unwrap()
}

#[test]
fn addresses_are_written_as_everybody_writes_them() {
    let all = (0..=255).map(|octet| format!("{octet}.{}.0.{}", 255 - octet, octet / 2));
    for text in all.chain(["2001:db8::7", "::"].map(str::to_owned)) {
        let mut out = Vec::new();
        write_display(&mut out, ip(&text));
        assert_eq!(out, text.as_bytes());
    }
}

#[test]
fn an_untrusted_peer_is_not_quoted() {
    let client = Client {
        fields: &ClientField::ALL,
        trusted: false,
        peer: ip("192.0.2.9"),
        client: ip("192.0.2.9"),
        scheme: Scheme::Https,
        host: b"shop.example:8443",
    };
    let lies =
        "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: gopher\r\nX-Forwarded-Host: evil\r\nForwarded: for=1.1.1.1\r\n";
    for (field, wanted) in [
        (ClientField::XForwardedFor, "192.0.2.9"),
        (ClientField::XForwardedProto, "https"),
        (ClientField::XForwardedHost, "shop.example:8443"),
        (ClientField::XRealIp, "192.0.2.9"),
        (ClientField::Forwarded, "for=192.0.2.9;host=\"shop.example:8443\";proto=https"),
    ] {
        assert_eq!(value(field, &client, lies), wanted);
    }
}

#[test]
fn a_trusted_peer_is_continued() {
    let client = Client {
        fields: &ClientField::ALL,
        trusted: true,
        peer: ip("2001:db8::1"),
        client: ip("198.51.100.1"),
        scheme: Scheme::Http,
        host: b"inner",
    };
    let told = "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: https\r\n\
                X-Forwarded-Host: shop.example\r\nForwarded: for=198.51.100.1\r\n";
    for (field, wanted) in [
        (ClientField::XForwardedFor, "1.1.1.1, 198.51.100.1, 2001:db8::1"),
        (ClientField::XForwardedProto, "https"),
        (ClientField::XForwardedHost, "shop.example"),
        (ClientField::XRealIp, "198.51.100.1"),
        (ClientField::Forwarded, "for=198.51.100.1, for=\"[2001:db8::1]\";host=inner;proto=http"),
    ] {
        assert_eq!(value(field, &client, told), wanted);
    }
    assert_eq!(value(ClientField::XForwardedProto, &client, ""), "http");
    assert_eq!(value(ClientField::XForwardedFor, &client, ""), "2001:db8::1");
}

#[test]
fn a_long_list_is_walked_once() {
    let list = "10.0.0.2, ".repeat(1000) + "10.0.0.3";
    let (head, bytes) = parsed(&format!("X-Forwarded-For: {list}\r\n"));
    assert_eq!(client_address(head.fields(), &bytes, ip("10.0.0.1"), &trusted()), ip("10.0.0.2"));
}
