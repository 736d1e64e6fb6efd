//! Listeners whose servers are listeners of ours: what goes round comes to an end whichever way it goes, and whoever comes
//! through is none the worse for it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use evenkeel_model::caps;
use evenkeel_model::config::{
    Action, Config, ListenAddr, Network, PathPattern, PathRewrite, Pool, ProxyVersion, Reuse, ServerProtocol,
};
use evenkeel_model::{PoolName, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::http2::{Http2, request};
use super::rig::{Client, Origin, Rig, config, passing, pool, route, run, server};

/// A pool whose one server is the listener itself, once [`closed`] has said where that is.
fn own() -> Pool {
    let nowhere = "127.0.0.1:1".parse().unwrap();
    Pool::new(PoolName::new("own").unwrap(), vec![server("itself", nowhere)])
}

/// A rig of which the servers called `itself` are its own listener.
async fn closed(config: Config) -> Rig {
    closed_by(None, config).await
}

/// The same with servers that have another address for the same.
async fn closed_by(ip: Option<IpAddr>, config: Config) -> Rig {
    let mut rig = Rig::start(config).await;
    let addr = SocketAddr::new(ip.unwrap_or(rig.addr.ip()), rig.addr.port());
    rig.config.listeners[0].addr = ListenAddr::One(rig.addr);
    for pool in &mut rig.config.pools {
        for at in pool.servers.iter_mut().filter(|server| server.name.as_str() == "itself") {
            *at = evenkeel_model::config::Server { proxy: at.proxy, ..server("itself", addr) };
        }
    }
    rig.reload().await;
    rig
}

/// What begins with `/through` comes once by the listener itself and then to the origin, and all else goes round.
fn through(origin: &Origin, own: Pool) -> Config {
    let shop = pool(&[origin]);
    let mut config = config(shop.clone());
    let mut once = route(PathPattern::Below("/through".into()), Action::To(own.name.clone()));
    once.rewrite = PathRewrite { strip: Some("/through".into()), add: Some("/arrived".into()) };
    let last = route(PathPattern::Below("/arrived".into()), Action::To(shop.name));
    let round = route(PathPattern::Any, Action::To(own.name.clone()));
    config.listeners[0].sites[0].routes = vec![once, last, round];
    config.pools.push(own);
    config
}

/// Whether nothing is noted any more once every connection is gone.
async fn forgotten(rig: &Rig) {
    rig.until(|rig| rig.shared.rounds.len() == 0).await;
}

#[test]
fn a_request_that_goes_round_costs_those_that_come_through_nothing() {
    for (protocol, reuse) in [
        (ServerProtocol::Http1, Reuse::Always),
        (ServerProtocol::Http1, Reuse::Never),
        (ServerProtocol::Http2, Reuse::Always),
    ] {
        run(async move {
            let origin = Origin::saying("x").await;
            let mut own = own();
            (own.protocol, own.reuse) = (protocol, reuse);
            own.timeouts.keep = Duration::from_millis(200);
            let rig = closed(through(&origin, own)).await;
            let (mut plain, mut streams) = (Client::connect(&rig).await, Http2::connect(&rig).await);
            for round in 0..5 {
                assert_eq!(plain.get("/through").await.status(), 200, "{protocol:?}, round {round}");
                assert_eq!(streams.get("/through").await.status, 200, "{protocol:?}, round {round}");
                assert_eq!(plain.get("/round").await.status(), 508, "{protocol:?}, round {round}");
                let both = [("/round", 508), ("/through", 200), ("/round", 508), ("/through", 200)];
                let mut answers = Vec::new();
                for (path, status) in both {
                    answers.push((streams.send(request("GET", path), true).await.0, status));
                }
                for (answer, status) in answers {
                    assert_eq!(answer.whole().await.unwrap().status, status, "{protocol:?}, round {round}");
                }
            }
            let rounds = 5 * 3 * (u64::from(caps::OWN_ROUNDS) + 1);
            let accepted = rig.shared.totals().accepted;
            assert!(accepted <= rounds + 200, "{protocol:?}: {accepted} connections");
            drop((plain, streams));
            forgotten(&rig).await;
        });
    }
}

#[test]
fn a_server_at_every_address_is_one_here() {
    for protocol in [ServerProtocol::Http1, ServerProtocol::Http2] {
        run(async move {
            let origin = Origin::saying("x").await;
            let mut own = own();
            own.protocol = protocol;
            let rig = closed_by(Some(Ipv4Addr::UNSPECIFIED.into()), through(&origin, own)).await;
            let mut client = Client::connect(&rig).await;
            for (path, status) in [("/through", 200), ("/round", 508), ("/through", 200), ("/round", 508)] {
                assert_eq!(client.get(path).await.status(), status, "{protocol:?}");
            }
            let accepted = rig.shared.totals().accepted;
            assert!(accepted <= 4 * (u64::from(caps::OWN_ROUNDS) + 1), "{protocol:?}: {accepted} connections");
        });
    }
}

/// Whether a connection that is passed on to the listener that it came by is reset, and after how many listeners.
async fn goes_round(rig: &Rig, words: &[u8]) {
    let before = rig.shared.totals();
    let mut client = TcpStream::connect(rig.addr).await.unwrap();
    let _ = client.write_all(words).await;
    assert!(client.read(&mut [0; 1]).await.is_err(), "it is reset");
    let after = rig.shared.totals();
    // One that is accepted before its caller has noted it may go a little further.
    let passed = after.accepted - before.accepted;
    assert!(passed <= 2 * u64::from(caps::OWN_ROUNDS), "{passed} listeners, {:?}", after.rejected);
    assert!(after.rejected.contains_key("loop"), "{:?}", after.rejected);
}

#[test]
fn a_connection_that_is_passed_on_to_where_it_came_by_comes_to_an_end() {
    run(async {
        let rig = closed(passing(own())).await;
        for _ in 0..3 {
            goes_round(&rig, b"words").await;
        }
        forgotten(&rig).await;
    });
}

#[test]
fn what_servers_are_told_of_the_client_hides_no_round() {
    let everybody = Network { addr: "127.0.0.0".parse().unwrap(), prefix: 8 };
    let named = |config: &mut Config| {
        config.listeners[0].proxied = vec![everybody];
        for server in config.pools.iter_mut().flat_map(|pool| &mut pool.servers) {
            server.proxy = (server.name == ServerName::new("itself").unwrap()).then_some(ProxyVersion::V2);
        }
    };
    let header = b"PROXY TCP4 192.0.2.7 198.51.100.1 7777 80\r\n";
    run(async move {
        let mut config = passing(own());
        named(&mut config);
        let rig = closed(config).await;
        goes_round(&rig, header).await;
        forgotten(&rig).await;

        let origin = Origin::saying("x").await;
        let mut config = through(&origin, own());
        named(&mut config);
        let rig = closed(config).await;
        for (path, status) in [("/round", 508), ("/through", 200), ("/round", 508), ("/through", 200)] {
            let mut client = Client::connect(&rig).await;
            client.send(header).await;
            assert_eq!(client.get(path).await.status(), status, "{path}");
            let mut streams = Client::connect(&rig).await;
            streams.send(header).await;
            let mut streams = Http2::over(streams.stream).await;
            assert_eq!(streams.get(path).await.status, status, "{path}");
        }
        let accepted = rig.shared.totals().accepted;
        assert!(accepted <= 4 * (u64::from(caps::OWN_ROUNDS) + 4) + 8, "{accepted} connections");
    });
}
