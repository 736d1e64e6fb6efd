//! Two ends over loopback, and what goes wrong between them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::tickets::TicketKeys;
use super::*;
use crate::stream::{self, Stream};

fn certificate(hosts: &[&str]) -> Arc<Certificate> {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    Arc::new(Certificate::self_signed(&hosts).unwrap())
}

fn options(certificates: Vec<Arc<Certificate>>) -> AcceptorOptions {
    AcceptorOptions {
        certificates: CertificateSet::new(certificates),
        min: TlsVersion::Tls12,
        clients: None,
        tickets: TicketKeys::derive(b"a secret of all nodes"),
        protocols: vec![b"http/1.1".to_vec()],
    }
}

fn trusting(certificate: &Certificate) -> ConnectorOptions {
    ConnectorOptions {
        trust: Trust::Roots(certificate.chain().to_vec()),
        min: TlsVersion::Tls12,
        identity: None,
        protocols: vec![b"http/1.1".to_vec()],
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

type Ends = (Result<Stream, HandshakeError>, Result<Stream, HandshakeError>);

/// Both ends of one handshake: the server's, the client's.
async fn shake(acceptor: &Acceptor, connector: &Connector, name: &str) -> Ends {
    let (listener, addr) = listen().await;
    let name = Connector::name_of(name).unwrap();
    let server = async { accept(stream::accept(&listener).await.unwrap(), acceptor).await };
    let client = async {
        let stream = stream::connect(addr, Duration::from_secs(5)).await.unwrap();
        connect(stream, connector, &name).await
    };
    tokio::join!(server, client)
}

async fn ends(acceptor: &Acceptor, connector: &Connector, name: &str) -> (Stream, Stream) {
    let (server, client) = shake(acceptor, connector, name).await;
    (server.unwrap(), client.unwrap())
}

async fn pair() -> (Stream, Stream) {
    let own = certificate(&["a.example"]);
    let acceptor = Acceptor::new(options(vec![Arc::clone(&own)])).unwrap();
    let connector = Connector::new(trusting(&own)).unwrap();
    ends(&acceptor, &connector, "a.example").await
}

#[tokio::test]
async fn what_is_written_arrives_whole_both_ways_and_ends_in_order() {
    let (mut server, mut client) = pair().await;
    let body: Vec<u8> = (0..700_000u32).map(|number| (number % 251) as u8).collect();
    let sending = async {
        client.write_all(&body).await.unwrap();
        client.flush().await.unwrap();
        let mut answer = vec![0; 5];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, b"thank");
        client.shutdown_write().unwrap();
        client
    };
    let receiving = async {
        let mut got = vec![0; body.len()];
        server.read_exact(&mut got).await.unwrap();
        assert!(got == body);
        server.write_all(b"thank").await.unwrap();
        // The end that was announced is an end.
        assert_eq!(server.read(&mut [0; 10]).await.unwrap(), 0);
        server
    };
    let (client, server) = tokio::join!(sending, receiving);
    let facts = server.tls().unwrap();
    assert_eq!((facts.protocol, facts.server_name.as_deref()), ("TLSv1.3", Some("a.example")));
    assert!(facts.cipher.starts_with("TLS_") && facts.application.as_deref() == Some("http/1.1"), "{facts:?}");
    assert_eq!(client.tls().unwrap().protocol, "TLSv1.3");
}

#[tokio::test]
async fn an_end_that_nobody_announced_is_an_error() {
    let (mut server, client) = pair().await;
    client.reset();
    let error = server.read(&mut [0; 10]).await.unwrap_err();
    assert!(matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset), "{error}");
}

#[tokio::test]
async fn a_stream_that_is_let_go_says_so() {
    let (mut server, client) = pair().await;
    drop(client);
    assert_eq!(server.read(&mut [0; 10]).await.unwrap(), 0);
}

#[tokio::test]
async fn an_idle_connection_with_late_tickets_is_still_good_and_one_with_bytes_is_not() {
    let (mut server, mut client) = pair().await;
    // The tickets of TLS 1.3 come behind the handshake, and this end has read nothing since.
    client.write_all(b"x").await.unwrap();
    server.read_exact(&mut [0; 1]).await.unwrap();
    assert!(!client.is_closed_or_readable());
    assert!(!client.is_closed_or_readable());
    server.write_all(b"surplus").await.unwrap();
    for _ in 0..1000 {
        if client.is_closed_or_readable() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(client.is_closed_or_readable());
    let mut got = [0; 7];
    client.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"surplus");
    drop(server);
    assert_eq!(client.read(&mut got).await.unwrap(), 0);
    assert!(client.is_closed_or_readable());
}

#[tokio::test]
async fn a_writer_that_has_to_wait_loses_and_doubles_nothing() {
    let (mut server, mut client) = pair().await;
    let body: Vec<u8> = (0..8_000_000u32).map(|number| (number % 249) as u8).collect();
    let mut sent = 0;
    let writing = async {
        while sent < body.len() {
            match client.try_write(&body[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => client.writable().await.unwrap(),
                Err(error) => panic!("{error}"),
            }
        }
        client
    };
    let reading = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut got = vec![0; body.len()];
        server.read_exact(&mut got).await.unwrap();
        assert!(got == body);
        server
    };
    let _both = tokio::join!(writing, reading);
}

#[tokio::test]
async fn the_certificate_is_chosen_by_the_very_name_then_by_wildcard_then_the_first() {
    let (first, exact, wild) =
        (certificate(&["first.example"]), certificate(&["a.b.example"]), certificate(&["*.b.example"]));
    let every = vec![Arc::clone(&first), Arc::clone(&wild), Arc::clone(&exact)];
    let acceptor = Acceptor::new(options(every)).unwrap();
    for (asked, wanted) in [
        ("a.b.example", &exact),
        ("A.B.Example", &exact),
        ("c.b.example", &wild),
        ("d.c.b.example", &first),
        ("z.example", &first),
    ] {
        assert_eq!(acceptor.certificates().choose(Some(&asked.to_ascii_lowercase())), Some(wanted), "{asked}");
        let connector = Connector::new(trusting(wanted)).unwrap();
        let (_, client) = shake(&acceptor, &connector, asked).await;
        let is_named = wanted.facts().names.cover(asked);
        assert_eq!(client.is_ok(), is_named, "{asked}: {:?}", client.err());
    }
    assert_eq!(acceptor.certificates().choose(None), Some(&first));
}

#[tokio::test]
async fn a_server_has_to_prove_its_name_unless_it_need_not() {
    let (own, other) = (certificate(&["a.example"]), certificate(&["a.example"]));
    let acceptor = Acceptor::new(options(vec![own.clone()])).unwrap();
    let stranger = Connector::new(trusting(&other)).unwrap();
    let (server, client) = shake(&acceptor, &stranger, "a.example").await;
    assert_eq!(client.unwrap_err().word(), "certificate");
    assert_eq!(server.unwrap_err().word(), "unbelieved");
    let known = Connector::new(trusting(&own)).unwrap();
    let (_, client) = shake(&acceptor, &known, "b.example").await;
    let error = client.unwrap_err();
    assert!(error.word() == "certificate" && error.to_string().contains("name"), "{error}");
    let anybody = Connector::new(ConnectorOptions { trust: Trust::Anybody, ..trusting(&other) }).unwrap();
    ends(&acceptor, &anybody, "b.example").await;
}

#[tokio::test]
async fn who_asks_for_client_certificates_knows_who_came() {
    let (own, alice, mallory) = (certificate(&["a.example"]), certificate(&["alice"]), certificate(&["mallory"]));
    let demanding = |is_required| {
        let clients = Some(ClientAuthority { roots: alice.chain().to_vec(), is_required });
        Acceptor::new(AcceptorOptions { clients, ..options(vec![own.clone()]) }).unwrap()
    };
    let nobody = Connector::new(trusting(&own)).unwrap();
    let (server, _) = shake(&demanding(true), &nobody, "a.example").await;
    assert_eq!(server.unwrap_err().word(), "certificate");
    let (server, _) = ends(&demanding(false), &nobody, "a.example").await;
    assert_eq!(server.tls().unwrap().client, None);
    let wrong = Connector::new(ConnectorOptions { identity: Some(mallory), ..trusting(&own) }).unwrap();
    let (server, _) = shake(&demanding(false), &wrong, "a.example").await;
    assert_eq!(server.unwrap_err().word(), "certificate");
}

/// Sends a byte from each end, so that tickets arrive.
async fn exchange((server, client): &mut (Stream, Stream)) {
    server.write_all(b"x").await.unwrap();
    client.read_exact(&mut [0]).await.unwrap();
}

#[tokio::test]
async fn whoever_has_the_secret_resumes_sessions_and_other_rules_for_clients_do_not() {
    let own = certificate(&["a.example"]);
    for min in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let connector = Connector::new(ConnectorOptions { min, ..trusting(&own) }).unwrap();
        let one = Acceptor::new(options(vec![own.clone()])).unwrap();
        let two = Acceptor::new(options(vec![own.clone()])).unwrap();
        let mut first = ends(&one, &connector, "a.example").await;
        exchange(&mut first).await;
        assert!(!first.0.tls().unwrap().is_resumed);
        let mut again = ends(&two, &connector, "a.example").await;
        exchange(&mut again).await;
        assert!(again.0.tls().unwrap().is_resumed && again.1.tls().unwrap().is_resumed);
        let clients = Some(ClientAuthority { roots: own.chain().to_vec(), is_required: true });
        let strict = Acceptor::new(AcceptorOptions { clients, ..options(vec![own.clone()]) }).unwrap();
        let (server, _) = shake(&strict, &connector, "a.example").await;
        assert_eq!(server.unwrap_err().word(), "certificate");
    }
}

#[test]
fn a_ticket_opens_for_two_periods_and_not_under_other_rules() {
    let hour = Duration::from_secs(3600);
    let now = hour * 1_000_002;
    let keys = TicketKeys::derive(b"secret");
    let (maker, other) = (keys.maker(&[1; 32]), keys.maker(&[2; 32]));
    let ticket = maker.seal_at(now, b"session").unwrap();
    assert_eq!(maker.open_at(now, &ticket).as_deref(), Some(b"session".as_slice()));
    assert_eq!(maker.open_at(now + 6 * hour, &ticket).as_deref(), Some(b"session".as_slice()));
    assert_eq!(maker.open_at(now - 6 * hour, &ticket).as_deref(), Some(b"session".as_slice()));
    assert_eq!(maker.open_at(now + 12 * hour, &ticket), None);
    assert_eq!(other.open_at(now, &ticket), None);
    assert_eq!(TicketKeys::derive(b"another").maker(&[1; 32]).open_at(now, &ticket), None);
    for at in 0..ticket.len() {
        let mut bent = ticket.clone();
        bent[at] ^= 1;
        assert_eq!(maker.open_at(now, &bent), None);
        assert_eq!(maker.open_at(now, &ticket[..at]), None);
    }
}

#[tokio::test]
async fn holders_of_one_secret_find_each_other_while_secrets_change_and_nobody_else_does() {
    const PROTOCOL: &[u8] = b"channel";
    let (old, new, foreign) = ([1; 32], [2; 32], [3; 32]);
    let of = |secrets: &[[u8; 32]]| between_holders(secrets, PROTOCOL).unwrap();
    let rings: [&[[u8; 32]]; 4] = [&[old], &[old, new], &[new, old], &[new]];
    for (place, called) in rings.iter().enumerate() {
        for (other, caller) in rings.iter().enumerate() {
            let (acceptor, connector) = (of(called).1, of(caller).0);
            let (server, client) = shake(&acceptor, &connector, "127.0.0.1").await;
            let do_know = called.contains(&caller[0]) && caller.contains(&called[0]);
            assert_eq!(server.is_ok() && client.is_ok(), do_know, "{other} calls {place}");
            if let (true, Ok(server), Ok(client)) = (do_know, server, client) {
                exchange(&mut (server, client)).await;
            }
        }
    }
    let (server, client) = shake(&of(&[old]).1, &of(&[foreign]).0, "127.0.0.1").await;
    assert_eq!((server.unwrap_err().word(), client.unwrap_err().word()), ("unbelieved", "certificate"));
}

#[tokio::test]
async fn holders_turn_away_who_shows_a_certificate_who_shows_nothing_and_who_speaks_otherwise() {
    let secret = [7; 32];
    let (connector, acceptor) = between_holders(&[secret], b"channel").unwrap();
    let own = certificate(&["a.example"]);
    let plain = Connector::new(ConnectorOptions { trust: Trust::Anybody, ..trusting(&own) }).unwrap();
    assert!(shake(&acceptor, &plain, "a.example").await.0.is_err(), "a client that shows nothing");
    let named = ConnectorOptions { trust: Trust::Anybody, identity: Some(Arc::clone(&own)), ..trusting(&own) };
    assert!(shake(&acceptor, &Connector::new(named).unwrap(), "a.example").await.0.is_err(), "a client's certificate");
    let server = Acceptor::new(options(vec![own])).unwrap();
    assert!(shake(&server, &connector, "a.example").await.1.is_err(), "a server's certificate");
    let other = between_holders(&[secret], b"another").unwrap().0;
    assert_eq!(shake(&acceptor, &other, "a.example").await.0.unwrap_err().word(), "protocol");
    assert!(between_holders(&[], b"channel").is_err());
}

#[tokio::test]
async fn http_without_tls_is_told_apart_and_garbage_ends_the_handshake() {
    let acceptor = Acceptor::new(options(vec![certificate(&["a.example"])])).unwrap();
    for (bytes, wanted) in [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".as_slice(), "plain-http"),
        (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00".as_slice(), "malformed"),
        (b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10".as_slice(), "not-tls"),
        (b"\x00\x00\x00\x00\x00\x00\x00\x00\x00".as_slice(), "not-tls"),
        (b"\x16\x03\x01\xff\xff\x01\x00\x00\x01\x00".as_slice(), "malformed"),
        (b"".as_slice(), "gone"),
    ] {
        let (listener, addr) = listen().await;
        let client = async {
            let mut client = TcpStream::connect(addr).await.unwrap();
            client.write_all(bytes).await.unwrap();
            client.shutdown().await.unwrap();
            client
        };
        let server = async { accept(stream::accept(&listener).await.unwrap(), &acceptor).await };
        let (_client, server) = tokio::join!(client, server);
        assert_eq!(server.unwrap_err().word(), wanted, "{bytes:02x?}");
    }
}

#[tokio::test]
async fn a_hello_in_single_bytes_is_a_hello() {
    let own = certificate(&["a.example"]);
    let acceptor = Acceptor::new(options(vec![own.clone()])).unwrap();
    let connector = Connector::new(trusting(&own)).unwrap();
    let (front, front_addr) = listen().await;
    let (back, back_addr) = listen().await;
    // Between both ends somebody who passes single bytes on.
    let middle = async {
        let (mut near, _) = front.accept().await.unwrap();
        let mut far = TcpStream::connect(back_addr).await.unwrap();
        near.set_nodelay(true).unwrap();
        far.set_nodelay(true).unwrap();
        let (mut near_read, mut near_write) = near.split();
        let (mut far_read, mut far_write) = far.split();
        let up = async {
            let mut byte = [0];
            while near_read.read_exact(&mut byte).await.is_ok() {
                far_write.write_all(&byte).await.unwrap();
            }
        };
        let down = tokio::io::copy(&mut far_read, &mut near_write);
        tokio::select! { () = up => {}, _ = down => {} }
    };
    let server = async { accept(stream::accept(&back).await.unwrap(), &acceptor).await.unwrap() };
    let client = async {
        let name = Connector::name_of("a.example").unwrap();
        connect_to(front_addr, &connector, &name, Opening::default(), Duration::from_secs(20)).await.unwrap()
    };
    tokio::select! {
        () = middle => panic!("the way closed"),
        (server, client) = async { tokio::join!(server, client) } => {
            assert_eq!(server.tls().unwrap().protocol, client.tls().unwrap().protocol);
        }
    }
}

#[tokio::test]
async fn one_connection_may_offer_another_protocol_than_the_others() {
    let own = certificate(&["a.example"]);
    let protocols = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>();
    let acceptor = AcceptorOptions { protocols: protocols(&["x", "h2"]), ..options(vec![own.clone()]) };
    let acceptor = Acceptor::new(acceptor).unwrap();
    let connector = Connector::new(ConnectorOptions { protocols: protocols(&["x"]), ..trusting(&own) }).unwrap();
    let name = Connector::name_of("a.example").unwrap();
    let agreed = async |protocol: Option<&[u8]>| {
        let (listener, addr) = listen().await;
        let opening = Opening { words: b"", protocol };
        let (server, client) = tokio::join!(
            async { accept(stream::accept(&listener).await.unwrap(), &acceptor).await },
            connect_to(addr, &connector, &name, opening, Duration::from_secs(20))
        );
        let of = |stream: Stream| stream.tls().unwrap().application.clone().unwrap();
        (server.map(of).map_err(|error| error.word()), client.map(of).map_err(|error| error.reason))
    };
    assert_eq!(agreed(None).await, (Ok("x".to_owned()), Ok("x".to_owned())));
    assert_eq!(agreed(Some(b"h2")).await, (Ok("h2".to_owned()), Ok("h2".to_owned())));
    assert_eq!(agreed(Some(b"smtp")).await, (Err("protocol"), Err(evenkeel_model::Reason::TlsFailed)));
}

#[test]
fn a_key_of_another_certificate_is_refused_and_so_is_what_is_none() {
    let (chain, key) = Certificate::self_signed_pem(&["a.example".to_owned()], Duration::ZERO).unwrap();
    let (_, other) = Certificate::self_signed_pem(&["b.example".to_owned()], Duration::ZERO).unwrap();
    assert!(Certificate::read(chain.as_bytes(), key.as_bytes(), None).is_ok());
    let both = format!("{key}{chain}");
    assert!(Certificate::read(both.as_bytes(), both.as_bytes(), None).is_ok());
    let wrong = Certificate::read(chain.as_bytes(), other.as_bytes(), None).unwrap_err();
    assert!(matches!(&wrong, CertificateError::Mismatch { subject } if subject.contains("CN=a.example")), "{wrong}");
    assert_eq!(Certificate::read(key.as_bytes(), key.as_bytes(), None).unwrap_err(), CertificateError::NoCertificate);
    let none = Certificate::read(chain.as_bytes(), chain.as_bytes(), None).unwrap_err();
    assert_eq!(none, CertificateError::NoKey { is_locked: false });
}

#[test]
fn facts_of_a_certificate_are_read_and_hostile_ones_cost_nothing() {
    let certificate = certificate(&["a.example", "*.b.example", "192.0.2.7"]);
    let facts = certificate.facts();
    assert_eq!(facts.subject, "O=evenkeel\\, self-signed,CN=a.example");
    assert!(facts.is_self_issued() && !facts.serial.is_empty() && facts.not_before < facts.not_after);
    assert_eq!(facts.names.hosts, ["a.example", "*.b.example"]);
    for (host, is_covered) in [
        ("a.example", true),
        ("A.example.", true),
        ("x.b.example", true),
        ("b.example", false),
        ("x.y.b.example", false),
        ("192.0.2.7", true),
        ("192.0.2.8", false),
    ] {
        assert_eq!(facts.names.cover(host), is_covered, "{host}");
    }
    let der = certificate.chain()[0].as_ref();
    for at in 0..der.len() {
        for bit in [0x01, 0x80, 0xff] {
            let mut bent = der.to_vec();
            bent[at] ^= bit;
            let _ = CertificateFacts::read(&bent);
        }
        let _ = CertificateFacts::read(&der[..at]);
    }
}

#[test]
fn an_authority_is_shown_its_digest_and_asked_for_hosts_with_a_key_that_fits() {
    let shown = Certificate::for_challenge("a.example", &[7; 32]).unwrap();
    assert_eq!(shown.facts().names.hosts, ["a.example"]);
    // 1.3.6.1.5.5.7.1.31, critical, and the digest in a string of octets (RFC 8737 section 3).
    let extension = [&[6, 8, 0x2b, 6, 1, 5, 5, 7, 1, 0x1f, 1, 1, 0xff, 4, 34, 4, 32][..], &[7; 32]].concat();
    let der = shown.chain()[0].as_ref();
    assert!(der.windows(extension.len()).any(|part| part == extension));
    assert!(Certificate::for_challenge("a.example", &[7; 31]).is_err());

    let hosts = ["a.example".to_owned(), "*.b.example".to_owned()];
    let (key, request) = Certificate::request(&hosts).unwrap();
    assert!(is_key_of(key.as_bytes()) && request.windows(9).any(|part| part == b"b.example"));
}

#[test]
fn who_signed_a_certificate_names_it_by_key_and_number() {
    let mut params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    params.serial_number = Some(rcgen::SerialNumber::from_slice(&[0x87, 0x65, 0x43, 0x21]));
    params.use_authority_key_identifier_extension = true;
    let mut above = rcgen::CertificateParams::new(Vec::new()).unwrap();
    above.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    above.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(vec![0x69, 0x88, 0x5b, 0x6b]);
    let issuer = rcgen::Issuer::new(above, rcgen::KeyPair::generate().unwrap());
    let key = rcgen::KeyPair::generate().unwrap();
    let signed = params.signed_by(&key, &issuer).unwrap();
    let read = Certificate::read(signed.pem().as_bytes(), key.serialize_pem().as_bytes(), None).unwrap();
    // The number's leading zero belongs to it, as in the example of RFC 9773 section 4.1.
    assert_eq!(read.renewal_id().as_deref(), Some("aYhbaw.AIdlQyE"));
    assert_eq!(certificate(&["a.example"]).renewal_id(), None);
}
