//! PROXY headers, taken from those who are trusted with them and sent to servers that await them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use evenkeel_http::preface::proxy::{Ends, Facts, write_v1, write_v2};
use evenkeel_model::config::{
    Action, ClientField, LogFormat, Network, PathPattern, ProxyVersion, Redirect, RedirectTo,
};
use evenkeel_model::{Template, TemplatePart, Variable};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::http2::Http2;

use super::rig::{Client, Origin, Rig, config, ok, passing, pool, route, run};

const SOURCE: &str = "192.0.2.7:7777";

fn ends() -> Ends {
    Ends { source: SOURCE.parse().unwrap(), destination: "198.51.100.1:80".parse().unwrap() }
}

fn network(text: &str) -> Network {
    let (addr, prefix) = text.split_once('/').unwrap();
    Network { addr: addr.parse().unwrap(), prefix: prefix.parse().unwrap() }
}

fn headers() -> [Vec<u8>; 2] {
    let (mut line, mut block) = (Vec::new(), Vec::new());
    write_v1(&mut line, Some(&ends()));
    write_v2(&mut block, Some(&ends()), &Facts { authority: Some("a.example".to_owned()), ..Facts::default() });
    [line, block]
}

#[test]
fn the_client_is_the_one_that_the_header_names_however_it_is_cut() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].proxied = vec![network("127.0.0.0/8")];
        let rig = Rig::start(config).await;
        for header in headers() {
            for cut in 0..=header.len() {
                let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
                let mut client = Client::connect(&rig).await;
                let whole = [&header[..], request].concat();
                let (first, second) = whole.split_at(cut);
                client.send(first).await;
                if cut % 7 == 1 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                client.send(second).await;
                assert_eq!(client.answer().await.status(), 200, "cut after {cut}");
                assert_eq!(origin.seen().last().unwrap().field("x-forwarded-for").as_deref(), Some("192.0.2.7"));
                // The header is the connection's: the next request has none.
                assert_eq!(client.get("/again").await.status(), 200);
            }
        }
    });
}

#[test]
fn who_may_not_say_it_is_refused_and_who_must_say_it_is_waited_for() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].proxied = vec![network("192.0.2.0/24")];
        config.listeners[0].timeouts.head = Duration::from_millis(100);
        let mut rig = Rig::start(config).await;
        let refused = async |rig: &Rig, words: &[u8]| {
            let mut client = Client::connect(rig).await;
            let _ = client.stream.write_all(words).await;
            client.stream.read(&mut [0; 1]).await.is_err()
        };
        assert!(refused(&rig, &headers()[0]).await);
        rig.config.listeners[0].proxied = vec![network("127.0.0.1/32")];
        rig.reload().await;
        for words in [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], b"PROXY TCP4 x\r\n", b"PROXY ", b""] {
            assert!(refused(&rig, words).await, "{words:?}");
        }
        let rejected = rig.shared.totals().rejected;
        for (code, times) in [("proxy-stranger", 1), ("proxy-signature", 1), ("proxy-address", 1), ("proxy-timeout", 2)]
        {
            assert_eq!(rejected.get(code), Some(&times), "{code} in {rejected:?}");
        }
        assert_eq!(origin.count(), 0);
    });
}

#[test]
fn a_proxy_that_speaks_for_itself_is_the_client() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].proxied = vec![network("127.0.0.0/8")];
        let rig = Rig::start(config).await;
        for header in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
            let mut client = Client::connect(&rig).await;
            client.send(header).await;
            assert_eq!(client.get("/").await.status(), 200);
            assert_eq!(origin.seen().last().unwrap().field("x-forwarded-for").as_deref(), Some("127.0.0.1"));
        }
    });
}

#[test]
fn tls_that_a_proxy_has_taken_off_is_told_to_servers_and_logs() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].proxied = vec![network("127.0.0.0/8")];
        config.listeners[0].sites[0].forwarded.fields = vec![ClientField::XForwardedProto, ClientField::Forwarded];
        let scheme = TemplatePart::Variable(Variable::Scheme);
        config.listeners[0].sites[0].logs[0].format = LogFormat::Custom(Template { parts: vec![scheme] });
        let rig = Rig::start(config).await;
        for (is_over_tls, scheme) in [(true, "https"), (false, "http")] {
            let mut header = Vec::new();
            write_v2(&mut header, Some(&ends()), &Facts { is_over_tls, ..Facts::default() });
            let mut client = Client::connect(&rig).await;
            client.send(&header).await;
            // What it says itself is not believed: the proxy's header says it.
            client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: ftp\r\n\r\n").await;
            assert_eq!(client.answer().await.status(), 200);
            // The same of a stream of HTTP/2.
            let mut stream = TcpStream::connect(rig.addr).await.unwrap();
            stream.write_all(&header).await.unwrap();
            assert_eq!(Http2::over(stream).await.get("/").await.status, 200);
            for seen in origin.seen().iter().rev().take(2) {
                assert_eq!(seen.field("x-forwarded-proto").as_deref(), Some(scheme));
                let forwarded = seen.field("forwarded").unwrap();
                assert!(forwarded.ends_with(&format!("proto={scheme}")), "{forwarded}");
            }
            assert_eq!(rig.lines(2).await, [scheme, scheme]);
        }
    });
}

/// Requests, over TLS or not, and where they are sent.
const SENT: [(bool, &str, &str, Option<&str>); 9] = [
    (true, "b.example", "/", None),
    (true, "B.example", "/www", None),
    (true, "b.example:8443", "/port", None),
    (true, "a.example", "/www", Some("https://b.example/www")),
    (true, "a.example", "/port", Some("https://b.example:8443/port")),
    (true, "a.example", "/moved", Some("https://b.example/moved")),
    (false, "a.example", "/moved", Some("http://b.example/moved")),
    (false, "b.example", "/", Some("https://b.example/")),
    (false, "b.example", "/www", Some("https://b.example/www")),
];

#[test]
fn who_came_over_tls_is_not_sent_to_where_it_is() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut config = config(pool(&[&origin]));
        let to = |scheme: Option<&str>, host: Option<&str>| {
            let to = RedirectTo::Parts { scheme: scheme.map(str::to_owned), host: host.map(str::to_owned), path: None };
            Action::Redirect(Redirect { status: 308, to })
        };
        let shop = config.listeners[0].sites[0].routes[0].action.clone();
        config.listeners[0].sites[0].routes = vec![
            route(PathPattern::Exact("/moved".into()), to(None, Some("b.example"))),
            route(PathPattern::Exact("/www".into()), to(Some("https"), Some("b.example"))),
            route(PathPattern::Exact("/port".into()), to(Some("https"), Some("b.example:8443"))),
            route(PathPattern::Any, to(Some("https"), None)),
            route(PathPattern::Any, shop),
        ];
        config.listeners[0].proxied = vec![network("127.0.0.0/8")];
        let mut rig = Rig::start(config).await;
        let header = |is_over_tls| {
            let mut header = Vec::new();
            write_v2(&mut header, Some(&ends()), &Facts { is_over_tls, ..Facts::default() });
            header
        };
        for (is_over_tls, host, path, location) in SENT {
            let status = if location.is_some() { 308 } else { 200 };
            let mut client = Client::connect(&rig).await;
            client.send(&header(is_over_tls)).await;
            client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
            let answer = client.answer().await;
            let got = (answer.status(), answer.field("location"));
            assert_eq!(got, (status, location.map(str::to_owned)), "{is_over_tls} {host}{path}");
        }
        // The same by a field, of those who are trusted with it.
        rig.config.listeners[0].proxied = Vec::new();
        for (trusted, cases) in [(vec![], &[][..]), (vec![network("127.0.0.0/8")], &SENT[..])] {
            rig.config.listeners[0].trusted = trusted;
            rig.reload().await;
            for (is_over_tls, host, path, location) in cases {
                let proto = if *is_over_tls { "https" } else { "http" };
                let mut client = Client::connect(&rig).await;
                let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Proto: {proto}\r\n\r\n");
                client.send(head).await;
                assert_eq!(client.answer().await.field("location").as_deref(), *location, "{proto} {host}{path}");
            }
            if cases.is_empty() {
                let mut client = Client::connect(&rig).await;
                client.send("GET / HTTP/1.1\r\nHost: b.example\r\nX-Forwarded-Proto: https\r\n\r\n").await;
                assert_eq!(client.answer().await.status(), 308, "a stranger says so");
            }
        }
    });
}

#[test]
fn a_connection_goes_with_the_address_that_it_stands_at_and_not_with_the_one_it_speaks_of() {
    run(async {
        let origin = Origin::saying("x").await;
        let mut config = config(pool(&[&origin]));
        config.listeners[0].proxied = vec![network("127.0.0.0/8")];
        let rig = Rig::start(config).await;
        let IpAddr::V4(here) = rig.addr.ip() else { panic!("tests are on IPv4") };
        let (mut old, mut new) = (Client::connect(&rig).await, TcpStream::connect(rig.addr).await.unwrap());
        old.send(&headers()[0]).await;
        assert_eq!(old.get("/").await.field("connection"), None);
        new.write_all(&headers()[1]).await.unwrap();
        let (mut requests, connection) = h2::client::handshake(new).await.unwrap();
        let over = tokio::task::spawn_local(connection);
        let first = requests.send_request(super::http2::request("GET", "/"), true).unwrap().0.await.unwrap();
        assert_eq!(first.status(), 200);
        // Another machine's address leaves, as far as one may say so.
        rig.shared.set_leaving(&["198.51.100.1".parse().unwrap()]);
        assert_eq!(old.get("/").await.field("connection"), None);
        let second = requests.clone().ready().await.unwrap().send_request(super::http2::request("GET", "/"), true);
        assert_eq!(second.unwrap().0.await.unwrap().status(), 200);
        assert!(!over.is_finished());
        rig.shared.set_leaving(&[here]);
        assert_eq!(old.get("/").await.field("connection").as_deref(), Some("close"));
        assert!(old.is_closed().await);
        let last = requests.ready().await.unwrap().send_request(super::http2::request("GET", "/"), true);
        assert_eq!(last.unwrap().0.await.unwrap().status(), 200);
        over.await.unwrap().unwrap();
    });
}

/// A server that awaits a header of this length, and then answers requests; it says the header in each answer.
async fn awaiting(length: usize) -> Origin {
    Origin::scripted(move |mut peer| {
        Box::pin(async move {
            let mut header = vec![0; length];
            if peer.stream.read_exact(&mut header).await.is_err() {
                return;
            }
            let text: String = header.iter().map(|byte| format!("{byte:02x}")).collect();
            while peer.request().await.is_some() {
                peer.send(ok(&text)).await;
            }
        })
    })
    .await
}

#[test]
fn a_server_is_told_whose_the_connection_is_and_no_other_client_gets_it() {
    run(async {
        let origin = awaiting(28).await;
        let mut shop = pool(&[&origin]);
        shop.servers[0].proxy = Some(ProxyVersion::V2);
        let rig = Rig::start(config(shop)).await;
        let header = |client: &Client| {
            let mut out = Vec::new();
            let destination: SocketAddr = rig.addr;
            write_v2(
                &mut out,
                Some(&Ends { source: client.stream.local_addr().unwrap(), destination }),
                &Facts::default(),
            );
            out.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        let (mut first, mut second) = (Client::connect(&rig).await, Client::connect(&rig).await);
        for _ in 0..3 {
            for client in [&mut first, &mut second] {
                let expected = header(client);
                assert_eq!(client.get("/").await.text(), expected);
            }
        }
        // Each client's connection was used again for that client.
        assert_eq!(origin.connections(), 2);
    });
}

#[test]
fn a_connection_that_is_passed_on_begins_with_the_header_of_its_client() {
    run(async {
        let origin = Origin::scripted(|mut peer| {
            Box::pin(async move {
                let mut all = Vec::new();
                let _ = peer.stream.read_to_end(&mut all).await;
                peer.send(all).await;
            })
        })
        .await;
        let mut shop = pool(&[&origin]);
        shop.servers[0].proxy = Some(ProxyVersion::V1);
        let mut config = passing(shop);
        config.listeners[0].proxied = vec![network("127.0.0.0/8")];
        let rig = Rig::start(config).await;
        let mut client = Client::connect(&rig).await;
        // What came in goes out: the client is the same one all the way.
        client.send(&headers()[1]).await;
        client.send("hello").await;
        client.stream.shutdown().await.unwrap();
        let said = client.rest().await;
        assert_eq!(String::from_utf8(said).unwrap(), "PROXY TCP4 192.0.2.7 198.51.100.1 7777 80\r\nhello");
        let line = rig.lines(1).await.remove(0);
        assert!(line.contains("\"client\":\"192.0.2.7\",\"client_port\":7777"), "{line}");
    });
}
