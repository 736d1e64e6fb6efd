//! Are connections passed on whole, to whom they are for, and do both ends know of each other?

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use evenkeel_e2e::balancer::{Balancer, text};
use evenkeel_e2e::nginx::Nginx;
use evenkeel_e2e::place::free;
use evenkeel_e2e::relay::Relay;
use evenkeel_e2e::{PATIENCE, await_for};
use rustix::process::Signal;

use crate::setting::{echo, pool, shop};

/// Runs curl; its standard output and whether it was content.
fn curl(arguments: &[&str]) -> (String, bool) {
    let output =
        Command::new("curl").args(["-sS", "--max-time", "20"]).args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (text.trim().to_owned(), output.status.success())
}

fn connect(at: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A word there and back.
fn turn(stream: &mut TcpStream, number: u64) -> std::io::Result<()> {
    let word = number.to_be_bytes();
    stream.write_all(&word)?;
    let mut back = [0; 8];
    stream.read_exact(&mut back)?;
    assert_eq!(back, word, "bytes changed on the way");
    Ok(())
}

fn passing(at: SocketAddr, lines: &str, server: SocketAddr) -> String {
    format!("tcp {at} {{\nroute to=e\n{lines}\n}}\n{}", pool("e", "check tcp every=200ms", &[("a", server)]))
}

#[test]
fn no_connection_is_lost_to_reloads() {
    let (server, at) = (echo(), free());
    let balancer = Balancer::start(&passing(at, "", server));
    let is_over = Arc::new(AtomicBool::new(false));
    let turns = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..8)
        .map(|client: u64| {
            let (is_over, turns) = (Arc::clone(&is_over), Arc::clone(&turns));
            std::thread::spawn(move || {
                let mut lost = Vec::new();
                let mut stream = connect(at);
                while !is_over.load(Ordering::Relaxed) {
                    let number = turns.fetch_add(1, Ordering::Relaxed);
                    // Half of the clients keep their connection all along, the others take a new one now and then.
                    if client.is_multiple_of(2) && number.is_multiple_of(16) {
                        stream = connect(at);
                    }
                    if let Err(error) = turn(&mut stream, number) {
                        lost.push(error.to_string());
                        stream = connect(at);
                    }
                }
                lost
            })
        })
        .collect();
    for round in 0..40 {
        let output = balancer.reload(&passing(at, &format!("timeout idle={}m", 10 + round), server));
        assert!(output.status.success(), "{}", text(&output));
    }
    is_over.store(true, Ordering::Relaxed);
    let lost: Vec<String> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    assert!(lost.is_empty(), "{} turns lost of {}: {lost:?}", lost.len(), turns.load(Ordering::Relaxed));
    assert!(turns.load(Ordering::Relaxed) > 500);
}

#[test]
fn a_stop_waits_for_connections_and_cuts_those_that_outlive_it() {
    let (server, at) = (echo(), free());
    let mut balancer = Balancer::start(&format!("limits drain=2s\n{}", passing(at, "log /dev/stdout", server)));
    let (mut ending, mut staying) = (connect(at), connect(at));
    turn(&mut ending, 1).unwrap();
    turn(&mut staying, 2).unwrap();
    balancer.signal(Signal::TERM);
    await_for("new connections to be refused", PATIENCE, || TcpStream::connect(at).is_err().then_some(()));
    turn(&mut ending, 3).unwrap();
    ending.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(ending.read(&mut [0; 1]).unwrap(), 0, "an orderly end arrives as one");
    assert!(staying.read(&mut [0; 1]).is_err(), "what was cut looks whole");
    balancer.end(PATIENCE);
}

#[test]
fn tls_goes_on_by_name_and_undecrypted() {
    let [shop, other, at] = [free(), free(), free()];
    let _servers = (Relay::nginx_with_tls(shop, "shop.example"), Relay::nginx_with_tls(other, "other.example"));
    let config = format!(
        "tcp {at} {{\nroute sni=shop.example,*.shop.example to=s\nroute sni=other.example to=o\ntimeout head=2s\n}}\n{}{}",
        pool("s", "", &[("a", shop)]),
        pool("o", "", &[("a", other)])
    );
    let balancer = Balancer::start(&config);
    let get = |name: &str| {
        let to = format!("{name}:443:{at}");
        curl(&["-k", "--connect-to", &to, &format!("https://{name}/")])
    };
    for (name, answer) in [
        ("shop.example", "shop.example shop.example"),
        ("a.shop.example", "shop.example a.shop.example"),
        ("other.example", "other.example other.example"),
    ] {
        assert_eq!(get(name), (answer.to_owned(), true));
    }
    assert!(!get("stranger.example").1);
    // The certificate is the server's own, and nothing of ours.
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &at.to_string(), "-servername", "shop.example"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("shop.example"), "{}", text(&output));
    // Routes are seen as they are.
    let found = text(&balancer.run("route", &[&format!("https://shop.example:{}/", at.port())]));
    assert!(found.contains("sni") || found.contains("shop.example"), "{found}");
}

#[test]
fn haproxy_tells_us_the_client_and_is_told() {
    let origin = Nginx::start("a");
    for version in ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"] {
        let [front, at] = [free(), free()];
        let config = format!("http {at} {{\nproxy-protocol from=127.0.0.0/8\nroute * to=shop\n}}\n");
        let _balancer = Balancer::start(&(config + &pool("shop", "check off", &[("a", origin.at)])));
        let lines = format!("listen f\n mode tcp\n bind {front}\n server s {at} {version}\n");
        let _haproxy = Relay::haproxy(front, &lines);
        let (answer, _) = curl(&["--interface", "127.9.8.7", &format!("http://{front}/fields")]);
        assert!(answer.contains("xff=127.9.8.7 "), "{version}: {answer}");
        // Who comes past HAProxy and says nothing is refused.
        assert!(!curl(&[&format!("http://{at}/")]).1);
    }
    for version in ["v1", "v2"] {
        let [back, at, passed] = [free(), free(), free()];
        let lines = format!(
            "listen b\n mode http\n bind {back} accept-proxy\n http-request return status 200 content-type text/plain lf-string \"%ci:%cp\"\n"
        );
        let _haproxy = Relay::haproxy(back, &lines);
        let servers =
            pool("shop", &format!("proxy-protocol {version}\ncheck GET / every=200ms rise=1"), &[("a", back)]);
        let config = format!("http {at} {{\nroute * to=shop\n}}\ntcp {passed} {{\nroute to=shop\n}}\n{servers}");
        let balancer = Balancer::start(&config);
        balancer.await_state("shop", "a", "up");
        for listener in [at, passed] {
            let (answer, _) = curl(&["--interface", "127.9.8.7", &format!("http://{listener}/")]);
            assert!(answer.starts_with("127.9.8.7:"), "{version} at {listener}: {answer}");
        }
    }
}

#[test]
fn nginx_takes_our_headers() {
    for version in ["v1", "v2"] {
        let [back, at] = [free(), free()];
        let server = format!("server {{ listen {back} proxy_protocol; return 200 \"$proxy_protocol_addr\\n\"; }}");
        let _nginx = Relay::nginx(back, &server);
        let lines = format!("proxy-protocol {version}\ncheck GET / every=200ms rise=1 fall=1");
        let balancer = Balancer::start(&shop(at, &lines, &[("a", back)]));
        balancer.await_state("shop", "a", "up");
        let (answer, _) = curl(&["--interface", "127.9.8.7", &format!("http://{at}/")]);
        assert_eq!(answer, "127.9.8.7", "{version}");
    }
}

#[test]
fn a_tcp_listener_is_seen_in_status_and_metrics() {
    let (server, at) = (echo(), free());
    let admin = free();
    let config = format!("admin {admin} {{\n}}\n{}", passing(at, "", server));
    let balancer = Balancer::start(&config);
    let mut stream = connect(at);
    turn(&mut stream, 7).unwrap();
    await_for("the numbers of the connection", PATIENCE, || {
        let status = balancer.status();
        let listener = &status["listeners"][0];
        let routes = &listener["routes"][0];
        (listener["accepted"] == 1 && listener["traffic"]["bytes_in"] == 8 && routes["pool"] == "e").then_some(())
    });
    let (metrics, _) = curl(&[&format!("http://{admin}/metrics")]);
    assert!(metrics.contains("evenkeel_") && metrics.contains(&at.to_string()), "{metrics}");
    let (csv, _) = curl(&[&format!("http://{admin}/;csv")]);
    let row = csv.lines().find(|line| line.contains("FRONTEND")).unwrap_or_default();
    assert!(row.contains(",tcp,"), "{row}");
    std::thread::sleep(Duration::from_millis(1));
}
