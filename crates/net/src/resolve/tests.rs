//! Answers from a name server of our own on loopback.

use std::net::UdpSocket;
use std::thread;

use super::*;

/// A name server for three names, in a thread that ends with the process: `both.test` has one address of each family,
/// `four.test` only IPv4 with a TTL of 0, everything else does not exist.
fn name_server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut query = [0u8; 1500];
        while let Ok((length, peer)) = socket.recv_from(&mut query) {
            let _ = socket.send_to(&reply(&query[..length]), peer);
        }
    });
    addr
}

/// A reply, RFC 1035 section 4: head, the question again, at most one record.
fn reply(query: &[u8]) -> Vec<u8> {
    let name_end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap();
    let question = &query[12..name_end + 5];
    let name = query[13..name_end].to_ascii_lowercase();
    let record: &[u8] = match (&*name, query[name_end + 2]) {
        (b"both\x04test", 1) => b"\xc0\x0c\0\x01\0\x01\0\0\0\x1e\0\x04\xc0\0\x02\x01",
        (b"both\x04test", 28) => b"\xc0\x0c\0\x1c\0\x01\0\0\0\x14\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01",
        (b"four\x04test", 1) => b"\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04\xc0\0\x02\x02",
        _ => b"",
    };
    let is_known = [&b"both\x04test"[..], &b"four\x04test"[..]].contains(&&*name);
    let code = if is_known { 0x80 } else { 0x83 };
    let mut reply = query[..2].to_vec();
    reply.extend([0x81, code, 0, 1, 0, u8::from(!record.is_empty()), 0, 0, 0, 0]);
    reply.extend(question);
    reply.extend(record);
    reply
}

#[tokio::test]
async fn both_families_are_asked_and_the_shorter_time_holds() {
    let answer = Resolver::new(&[name_server()]).lookup("both.test.").await.unwrap();
    let expected: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    assert_eq!(answer.addrs, expected);
    assert_eq!(answer.ttl, Duration::from_secs(20));
}

#[tokio::test]
async fn a_time_to_live_of_nothing_is_a_second() {
    let answer = Resolver::new(&[name_server()]).lookup("four.test.").await.unwrap();
    assert_eq!(answer.addrs, ["192.0.2.2".parse::<IpAddr>().unwrap()]);
    assert_eq!(answer.ttl, TTL_MIN);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_told_from_silence() {
    let error = Resolver::new(&[name_server()]).lookup("none.test.").await.unwrap_err();
    assert_eq!(error.kind, ResolveFailure::NoSuchName);
    assert_eq!(error.to_string(), "`none.test.` has no address: the name servers do not know it");

    let deaf = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Resolver::new(&[deaf]).lookup("both.test.").await.unwrap_err();
    assert!(matches!(error.kind, ResolveFailure::Unanswered(_)), "{error}");
}

#[tokio::test]
async fn what_cannot_be_a_name_is_not_asked_for() {
    let error = Resolver::new(&[SocketAddr::from(([127, 0, 0, 1], 1))]).lookup("a..b").await.unwrap_err();
    assert_eq!(error.to_string(), "`a..b` cannot be a host name");
}

#[tokio::test]
async fn an_address_is_its_own_answer() {
    let resolver = Resolver::new(&[SocketAddr::from(([127, 0, 0, 1], 1))]);
    for text in ["192.0.2.7", "2001:db8::7"] {
        let answer = resolver.lookup(text).await.unwrap();
        assert_eq!((answer.addrs, answer.ttl), (vec![text.parse().unwrap()], TTL_MAX));
    }
}

#[tokio::test]
async fn the_hosts_file_comes_first() {
    let answer = Resolver::new(&[SocketAddr::from(([127, 0, 0, 1], 1))]).lookup("localhost").await.unwrap();
    assert!(answer.addrs.iter().all(IpAddr::is_loopback), "{answer:?}");
    assert_eq!(answer.ttl, TTL_HOSTS);
}

#[test]
fn the_hosts_file_is_read_as_the_manual_says() {
    let text = "127.0.0.1 localhost\n::1 localhost ip6-localhost # loopback\n\
                # 10.0.0.9 shop\n10.0.0.1\tshop  shop.example.com\nbroken shop\nfe80::1 shop\n10.0.0.2 SHOP\n10.0.0.1 shop\n";
    for (name, expected) in [
        ("localhost", &["127.0.0.1", "::1"][..]),
        ("shop", &["10.0.0.1", "10.0.0.2", "fe80::1"]),
        ("Shop.Example.com.", &["10.0.0.1"]),
        ("loopback", &[]),
        ("10.0.0.1", &[]),
    ] {
        let expected: Vec<IpAddr> = expected.iter().map(|addr| addr.parse().unwrap()).collect();
        assert_eq!(hosts::lookup(text, name), expected, "{name}");
    }
}

#[test]
fn one_familys_silence_does_not_hide_the_others_addresses() {
    let found = |addr: &str, ttl| Ok(Answer { addrs: vec![addr.parse().unwrap()], ttl: Duration::from_secs(ttl) });
    let silent = || Err(ResolveFailure::Unanswered("timed out".to_owned()));
    let none = || Err(ResolveFailure::NoSuchName);

    assert_eq!(combine("a", found("192.0.2.1", 9), silent()).unwrap().ttl, Duration::from_secs(9));
    assert_eq!(combine("a", none(), found("2001:db8::1", 90_000)).unwrap().ttl, TTL_MAX);
    assert!(matches!(combine("a", none(), silent()).unwrap_err().kind, ResolveFailure::Unanswered(_)));
    assert_eq!(combine("a", none(), none()).unwrap_err().kind, ResolveFailure::NoSuchName);
}
