//! Configurations as the scenarios write them, built from what is running.
//!
//! They are texts, as an operator's are; nothing here knows how they are read.

use std::fmt::Write;
use std::net::{Shutdown, SocketAddr, TcpListener};

use evenkeel_e2e::nginx::Nginx;
use evenkeel_e2e::place::free;

/// Checks that notice a death within a second, so that no scenario waits for the defaults; a machine that stands still for a
/// moment is none.
pub(crate) const QUICK_CHECK: &str = "check GET /check every=200ms timeout=2s rise=1 fall=2";

/// A listener whose requests all go to the pool `shop`, which has these lines and servers.
pub(crate) fn shop(at: SocketAddr, lines: &str, servers: &[(&str, SocketAddr)]) -> String {
    format!("http {at} {{\n    route * to=shop\n}}\n{}", pool("shop", lines, servers))
}

/// A pool with these lines and servers.
pub(crate) fn pool(name: &str, lines: &str, servers: &[(&str, SocketAddr)]) -> String {
    let mut text = format!("pool {name} {{\n");
    for line in lines.lines() {
        writeln!(text, "    {line}").unwrap();
    }
    for (name, at) in servers {
        writeln!(text, "    server {name} {at}").unwrap();
    }
    text.push_str("}\n");
    text
}

/// Names and addresses of nginx servers.
pub(crate) fn named(servers: &[Nginx]) -> Vec<(&str, SocketAddr)> {
    servers.iter().map(|server| (server.name.as_str(), server.at)).collect()
}

/// A server that says what it hears, in a thread of its own, until the test's process ends.
pub(crate) fn echo() -> SocketAddr {
    let at = free();
    let listener = TcpListener::bind(at).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let (mut from, mut to) = (stream.try_clone().unwrap(), stream);
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
        }
    });
    at
}
