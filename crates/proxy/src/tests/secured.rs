//! TLS at a listener: of connections that are passed on, and whom a connection stands for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_http::preface::proxy::{Ends, Facts, OwnTls, write_v2};
use evenkeel_model::ListenerName;
use evenkeel_model::config::{CertificateSource, Config, HostPattern, ListenerTls, ProxyVersion, TcpRoute, TlsMin};
use evenkeel_net::stream::{self, Stream};
use evenkeel_net::tls::{
    self, Acceptor, AcceptorOptions, Certificate, CertificateSet, ClientAuthority, Connector, ConnectorOptions,
    TicketKeys, TlsVersion, Trust,
};
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::http2::Http2;
use super::rig::{Client, Origin, Rig, config, passing, pool, run};

const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn certificate(hosts: &[&str]) -> Arc<Certificate> {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    Arc::new(Certificate::self_signed(&hosts).unwrap())
}

pub(super) fn acceptor(certificates: &[Arc<Certificate>], clients: Option<ClientAuthority>) -> Arc<Acceptor> {
    let options = AcceptorOptions {
        certificates: CertificateSet::new(certificates.to_vec()),
        min: TlsVersion::Tls12,
        clients,
        tickets: TicketKeys::of_chance(),
        protocols: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    };
    Arc::new(Acceptor::new(options).unwrap())
}

/// The configuration with TLS at its listener. Its certificates are those of the acceptor.
fn with_tls(mut config: Config) -> Config {
    config.listeners[0].tls = Some(ListenerTls {
        certificates: vec![CertificateSource::Own { hosts: vec!["a.example".to_owned()] }],
        acme: Vec::new(),
        min: TlsMin::Tls12,
        clients: None,
        alpn: Vec::new(),
    });
    config
}

/// A rig whose listener shows these certificates.
async fn secured(config: Config, certificates: &[Arc<Certificate>]) -> Rig {
    let mut rig = Rig::start(with_tls(config)).await;
    rig.acceptors.insert(ListenerName::of_address(":test"), acceptor(certificates, None));
    rig.reload().await;
    rig
}

/// A client that asks for this name, and offers these protocols.
async fn client(addr: SocketAddr, name: &str, protocols: &[&[u8]]) -> Stream {
    let connector = Connector::new(ConnectorOptions {
        trust: Trust::Anybody,
        min: TlsVersion::Tls12,
        identity: None,
        protocols: protocols.iter().map(|name| name.to_vec()).collect(),
    });
    let stream = stream::connect(addr, PATIENCE).await.unwrap();
    tls::connect(stream, &connector.unwrap(), &Connector::name_of(name).unwrap()).await.unwrap()
}

/// A server that says everything that it hears, once it hears no more.
async fn repeating(name: &'static str) -> Origin {
    Origin::scripted(move |mut peer| {
        Box::pin(async move {
            let mut all = name.as_bytes().to_vec();
            if peer.stream.read_to_end(&mut all).await.is_ok() {
                peer.send(all).await;
            }
        })
    })
    .await
}

/// Sends words and an end, and gives what comes back up to an end that was announced.
async fn say(stream: &mut Stream, words: &[u8]) -> std::io::Result<String> {
    stream.write_all(words).await?;
    stream.shutdown().await?;
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await?;
    Ok(String::from_utf8(all).unwrap())
}

#[test]
fn tls_ends_at_a_tcp_listener_and_either_side_may_end_first() {
    run(async {
        let origin = repeating("a:").await;
        let rig = secured(passing(pool(&[&origin])), &[certificate(&["db.example"])]).await;
        let words = vec![b'x'; 300_000];
        let mut stream = client(rig.addr, "db.example", &[]).await;
        let said = tokio::time::timeout(PATIENCE, async {
            // The half that has ended does not keep the other from flowing.
            let (mut from, mut to) = tokio::io::split(stream);
            to.write_all(&words).await.unwrap();
            to.shutdown().await.unwrap();
            let mut all = Vec::new();
            from.read_to_end(&mut all).await.unwrap();
            all
        });
        assert_eq!(said.await.unwrap().len(), words.len() + 2);
        let line = rig.lines(1).await.remove(0);
        for part in ["\"tls\":\"TLSv1.3\"", "\"sni\":\"db.example\"", "\"bytes_in\":300000", "\"end\":\"ok\""] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        stream = client(rig.addr, "db.example", &[]).await;
        assert_eq!(say(&mut stream, b"").await.unwrap(), "a:");
        let stats = rig.shared.listener_stats(&ListenerName::of_address(":test")).unwrap();
        assert_eq!((stats.handshakes, stats.handshakes_failed), (2, 0));
    });
}

#[test]
fn the_name_of_the_handshake_chooses_the_route_and_servers_hear_of_it() {
    run(async {
        let shop = repeating("shop:").await;
        let other = repeating("").await;
        let mut config = passing(pool(&[&shop]));
        let mut rest = pool(&[&other]);
        rest.name = evenkeel_model::PoolName::new("rest").unwrap();
        rest.servers[0].proxy = Some(ProxyVersion::V2);
        let names = vec![HostPattern::Exact("shop.example".to_owned())];
        let routes = &mut config.listeners[0].tcp.as_mut().unwrap().routes;
        routes.insert(0, TcpRoute { name: "shop".to_owned(), names, to: config.pools[0].name.clone() });
        routes[1].to = rest.name.clone();
        config.pools.push(rest);
        let rig = secured(config, &[certificate(&["shop.example"]), certificate(&["x.example"])]).await;
        assert_eq!(say(&mut client(rig.addr, "shop.example", &[]).await, b"1").await.unwrap(), "shop:1");
        let mut stream = client(rig.addr, "x.example", &[b"x", b"http/1.1"]).await;
        let (source, cipher) = (stream.local_addr(), stream.tls().unwrap().cipher);
        let own = OwnTls { version: "TLSv1.3", cipher, has_certificate: false, common_name: None };
        let facts = Facts {
            authority: Some("x.example".to_owned()),
            is_over_tls: true,
            own_tls: Some(Box::new(own)),
            alpn: Some(b"http/1.1".to_vec()),
        };
        let mut expected = Vec::new();
        write_v2(&mut expected, Some(&Ends { source, destination: rig.addr }), &facts);
        expected.extend_from_slice(b"2");
        stream.write_all(b"2").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, expected);
    });
}

#[test]
fn an_end_that_nobody_announced_is_none() {
    run(async {
        let (told, mut heard) = tokio::sync::mpsc::channel(1);
        let origin = Origin::scripted(move |mut peer| {
            let told = told.clone();
            Box::pin(async move {
                let mut all = Vec::new();
                let end = peer.stream.read_to_end(&mut all).await.map_err(|error| error.kind());
                told.send((all, end)).await.unwrap();
            })
        })
        .await;
        let rig = secured(passing(pool(&[&origin])), &[certificate(&["a.example"])]).await;
        let mut stream = client(rig.addr, "a.example", &[]).await;
        stream.write_all(b"half of it").await.unwrap();
        rig.until(|_| origin.connections() == 1).await;
        stream.reset();
        let line = rig.lines(1).await.remove(0);
        assert!(line.contains("\"end\":\"client-abort\""), "{line}");
        let (_, end) = heard.recv().await.unwrap();
        assert_eq!(end, Err(std::io::ErrorKind::ConnectionReset), "the server must not take it for whole");
        // And a server that breaks off: the client reads no end of data.
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                peer.send("half of it").await;
                tokio::time::sleep(Duration::from_millis(20)).await;
                peer.stream.set_zero_linger().unwrap();
            })
        })
        .await;
        let rig = secured(passing(pool(&[&origin])), &[certificate(&["a.example"])]).await;
        let mut stream = client(rig.addr, "a.example", &[]).await;
        let mut all = Vec::new();
        assert!(stream.read_to_end(&mut all).await.is_err(), "{all:?}");
        assert_eq!(all, b"half of it");
    });
}

#[test]
fn a_handshake_that_does_not_come_is_not_waited_for() {
    run(async {
        let origin = repeating("").await;
        let mut config = passing(pool(&[&origin]));
        config.listeners[0].tcp.as_mut().unwrap().timeouts.head = Duration::from_millis(100);
        let rig = secured(config, &[certificate(&["a.example"])]).await;
        let mut mute = TcpStream::connect(rig.addr).await.unwrap();
        assert_eq!(mute.read(&mut [0; 1]).await.unwrap_or(0), 0);
        assert_eq!(rig.shared.totals().handshakes_failed.get("timeout"), Some(&1));
        rig.until(|rig| rig.shared.connections() == 0).await;
        assert_eq!(origin.connections(), 0);
    });
}

#[test]
fn a_refused_handshake_says_why_before_the_connection_ends() {
    run(async {
        let origin = repeating("").await;
        for config in [passing(pool(&[&origin])), config(pool(&[&origin]))] {
            let rig = secured(config, &[certificate(&["a.example"])]).await;
            let mut stream = TcpStream::connect(rig.addr).await.unwrap();
            // A message of a kind that does not exist, and more behind it than anybody reads.
            stream.write_all(&[0x16, 3, 1, 0, 4, 0x63, 0, 0, 0]).await.unwrap();
            let _ = stream.write_all(&[0x16; 60_000]).await;
            let mut said = Vec::new();
            stream.read_to_end(&mut said).await.expect("an alert, and then an end");
            assert_eq!(said.first(), Some(&0x15), "{said:?}");
            drop(stream);
            rig.until(|rig| rig.shared.connections() == 0).await;
            assert_eq!(rig.shared.totals().handshakes_failed.values().sum::<u64>(), 1);
        }
    });
}

/// The status of a request for that host on the stream, and whether the connection is kept.
async fn status(stream: &mut Stream, host: &str) -> (u16, bool) {
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    let head = loop {
        let count = stream.read_buf(&mut seen).await.unwrap();
        assert!(count > 0, "no answer");
        let text = String::from_utf8_lossy(&seen).into_owned();
        let length = super::rig::field(&text, "content-length").and_then(|length| length.parse::<usize>().ok());
        if let Some((end, length)) = text.find("\r\n\r\n").zip(length)
            && seen.len() >= end + 4 + length
        {
            break text;
        }
    };
    let is_kept = super::rig::field(&head, "connection").is_none_or(|value| value != "close");
    (head.split(' ').nth(1).unwrap().parse().unwrap(), is_kept)
}

#[test]
fn a_connection_stands_for_the_hosts_of_the_certificate_that_it_was_shown() {
    run(async {
        let origin = Origin::saying("x").await;
        let certificates = [certificate(&["a.example", "*.a.example"]), certificate(&["b.example"])];
        let mut rig = secured(config(pool(&[&origin])), &certificates).await;
        let cases = [
            ("a.example", "a.example", 200),
            ("a.example", "A.EXAMPLE:443", 200),
            ("a.example", "shop.a.example", 200),
            ("a.example", "b.example", 421),
            ("b.example", "a.example", 421),
            ("b.example", "shop.a.example:8443", 421),
            // Nothing of ours stands for it, so that another connection would be no better.
            ("a.example", "c.example", 200),
            ("a.example", "127.0.0.1", 200),
            ("b.example", "c.example", 200),
            ("b.example", "127.0.0.1", 200),
            // A client that names no host says nothing that could be wrong.
            ("127.0.0.1", "b.example", 200),
        ];
        for (name, host, expected) in cases {
            let mut stream = client(rig.addr, name, &[]).await;
            assert_eq!(status(&mut stream, host).await, (expected, true), "{name} asks for {host}");
            assert_eq!(status(&mut stream, name).await, (200, true), "{name} goes on");
            let mut http2 = Http2::over(client(rig.addr, name, &[b"h2"]).await).await;
            let uri = format!("https://{host}/");
            let head = Request::builder().uri(uri).body(()).unwrap();
            let got = http2.send(head, true).await.0.whole().await.unwrap();
            assert_eq!(got.status, expected, "{name} asks for {host} over HTTP/2");
        }
        assert_eq!(rig.shared.totals().rejected.get("misdirected"), Some(&6));
        // A proxy of ours may bring requests for all hosts on one connection.
        rig.config.listeners[0].trusted =
            vec![evenkeel_model::config::Network { addr: "127.0.0.1".parse().unwrap(), prefix: 32 }];
        rig.reload().await;
        assert_eq!(status(&mut client(rig.addr, "a.example", &[]).await, "b.example").await, (200, true));
    });
}

#[test]
fn a_connection_made_by_laxer_rules_reaches_nothing_behind_stricter_ones() {
    run(async {
        let origin = Origin::saying("x").await;
        let certificates = [certificate(&["a.example"])];
        let mut rig = Rig::start(config(pool(&[&origin]))).await;
        let mut plain = Client::connect(&rig).await;
        assert_eq!(plain.get("/").await.status(), 200);
        let mut late = Client::connect(&rig).await;
        rig.until(|rig| rig.shared.connections() == 2).await;
        rig.config = with_tls(rig.config.clone());
        let name = ListenerName::of_address(":test");
        rig.acceptors.insert(name.clone(), acceptor(&certificates, None));
        rig.reload().await;
        let answer = late.get("/").await;
        assert_eq!((answer.status(), late.is_closed().await), (421, true));
        assert!(plain.is_closed().await, "it rested, and leaves in good order");
        let mut stream = client(rig.addr, "a.example", &[]).await;
        let mut http2 = Http2::over(client(rig.addr, "a.example", &[b"h2"]).await).await;
        assert_eq!(status(&mut stream, "a.example").await, (200, true));
        assert_eq!(http2.get("/").await.status, 200);
        // The same rules anew: nobody notices.
        rig.acceptors.insert(name.clone(), acceptor(&certificates, None));
        rig.reload().await;
        assert_eq!(status(&mut stream, "a.example").await, (200, true));
        let authority = ClientAuthority { roots: certificates[0].chain().to_vec(), is_required: true };
        rig.acceptors.insert(name, acceptor(&certificates, Some(authority)));
        rig.reload().await;
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
        http2.over.await.unwrap().unwrap();
        assert_eq!(rig.shared.totals().rejected.get("tls-rules"), Some(&1));
        assert_eq!(origin.count(), 4);
    });
}

#[test]
fn a_certificate_that_was_shown_to_us_is_told_to_servers_by_its_name() {
    let own = OwnTls {
        version: "TLSv1.2",
        cipher: "ECDHE-RSA-AES128-GCM-SHA256",
        has_certificate: true,
        common_name: Some("alice".to_owned()),
    };
    let facts = Facts { is_over_tls: true, own_tls: Some(Box::new(own)), ..Facts::default() };
    let ends = Ends { source: "192.0.2.1:1".parse().unwrap(), destination: "192.0.2.2:2".parse().unwrap() };
    let mut header = Vec::new();
    write_v2(&mut header, Some(&ends), &facts);
    let value = &header[16 + 12..];
    // Flags of TLS, of a certificate on the connection and in the session; 0 for verified.
    assert_eq!(value[..8], [0x20, 0, 53, 7, 0, 0, 0, 0]);
    assert!(value.windows(8).any(|part| part == b"\x22\x00\x05alice"));
    let (length, read) = evenkeel_http::preface::proxy::parse(&header).unwrap().unwrap();
    assert_eq!((length, read.facts.is_over_tls), (header.len(), true));
}
