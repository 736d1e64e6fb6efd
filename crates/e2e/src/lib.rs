//! The harness of the end-to-end tests: real peers, counted requests, and nothing left behind.
//!
//! It knows the built program by its command line and by what goes over the wire, and no crate of the product.
//! [`network`] makes machines that can be cut off,
//! [`balancer`] runs the program, [`nginx`] and [`haproxy`] run real peers, [`browser`] is a
//! Chromium, [`database`] runs PostgreSQL and Redis, [`relay`] whatever a scenario configures, [`old`] runs balancers that
//! clients come from, [`origin`] a server that misbehaves on order, [`webshop`] an application with sessions, [`python`] peers
//! by gRPC and WebSocket, [`systemd`] a manager of units, [`load`] sends numbered requests and accounts for every one, [`websocket`] holds a tunnel open,
//! [`lab`] compares what a failure costs.
//!
//! The invariant: whatever a test started ends with the test, also when it panics, by the id of its process and never
//! by its name. All traffic is on loopback, on an address that no other test process uses.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]
#![allow(clippy::disallowed_methods)] // it drives real processes: it reads the clock and waits for them

pub mod authority;
pub mod balancer;
pub mod browser;
pub mod database;
pub mod haproxy;
mod http2;
pub mod lab;
pub mod load;
pub mod named;
pub mod network;
pub mod nginx;
pub mod old;
pub mod origin;
pub mod over;
pub mod place;
pub mod process;
pub mod proof;
pub mod python;
pub mod relay;
pub mod resolvers;
pub mod systemd;
pub mod vectors;
pub mod webshop;
pub mod websocket;
pub mod wire;

use std::time::{Duration, Instant};

/// How long anything outside of the test may take before the test fails: generous, since machines are shared.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How often something is asked again while it is awaited.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Waits until the question is answered with a value, at most so long.
///
/// # Panics
/// After that time, naming what was awaited.
pub fn await_for<T>(what: &str, patience: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < patience, "waited {patience:?} in vain for {what}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Whether the test runs as root. Where it does not and has to, this says so aloud, for the count of skipped tests.
pub fn is_root_or_skips(test: &str, why: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("\nSKIPPED {test}: needs root {why}");
    }
    is_root
}
