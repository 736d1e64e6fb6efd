//! The numbers of the data plane at one moment, for status, metrics and dashboards.
//!
//! Plain values, summed over all workers. Everything but what says "now" grows from the start of the process, or from
//! the moment when the thing got its name, and goes on over reloads.

use std::collections::BTreeMap;

use evenkeel_model::Histogram;

/// Requests, their answers and their bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How many requests.
    pub requests: u64,
    /// Their answers by the first digit of the status: 1xx, 2xx, 3xx, 4xx, 5xx. A request that got none, because its
    /// client left, is in no class.
    pub by_class: [u64; 5],
    /// Bytes of requests.
    pub bytes_in: u64,
    /// Bytes of answers.
    pub bytes_out: u64,
    /// How long they took. Upgraded connections are left out.
    pub times: Histogram,
}

/// One listener's numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListenerStats {
    /// Client connections open now.
    pub connections: u64,
    /// Client connections accepted.
    pub accepted: u64,
    /// TLS handshakes that came to their end.
    pub handshakes: u64,
    /// Those of them that resumed a session.
    pub handshakes_resumed: u64,
    /// TLS handshakes that did not.
    pub handshakes_failed: u64,
    /// How often it had as many connections as it may have, so that the next ones waited.
    pub full: u64,
    /// Its requests; times run from a request's first byte to the last of its answer.
    pub traffic: Traffic,
}

/// One pool's numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Requests that wait for a slot now.
    pub queued: u32,
    /// Its requests, those included that no server answered; times as a listener's.
    pub traffic: Traffic,
    /// Attempts beyond a request's first.
    pub retries: u64,
    /// Those of them that went to another server.
    pub redispatches: u64,
    /// How long those waited for a slot that had to, served in the end or not.
    pub waits: Histogram,
    /// Requests turned away because the line was full.
    pub queue_full: u64,
    /// Requests turned away because they waited for too long.
    pub queue_timeouts: u64,
    /// Sessions whose token or learned id came from so many networks that copies of it must be about.
    pub roaming: u64,
}

/// One server's numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerStats {
    /// Requests in flight now.
    pub in_flight: u32,
    /// Requests sent to it, retries included, and its answers; times run from a request's despatch to the first byte
    /// of the answer.
    pub traffic: Traffic,
    /// Requests that failed by its fault.
    pub failures: u64,
    /// Requests that came to it by their session.
    pub sticky_hits: u64,
    /// Clients that were bound to it.
    pub sticky_new: u64,
    /// Requests of its sessions that others served, since it was busy or failed them.
    pub sticky_moved: u64,
    /// Sessions that others took over, since it could not be asked.
    pub sticky_lost: u64,
    /// Connections made to it.
    pub connects: u64,
    /// Attempts to connect that failed.
    pub connect_failures: u64,
    /// Requests that went over a kept connection.
    pub reused: u64,
}

/// The counters of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Client connections accepted.
    pub accepted: u64,
    /// Failed attempts to accept one.
    pub accept_errors: u64,
    /// Requests answered, by us or by a server.
    pub requests: u64,
    /// The same by the first digit of the status: 1xx, 2xx, 3xx, 4xx, 5xx.
    pub by_class: [u64; 5],
    /// Requests that were not served as asked, by the cause's stable code.
    pub rejected: BTreeMap<&'static str, u64>,
    /// TLS handshakes of clients that came to nothing, by the cause's stable code.
    pub handshakes_failed: BTreeMap<&'static str, u64>,
    /// Attempts beyond a request's first.
    pub retries: u64,
    /// Connections lost to a panic.
    pub panics: u64,
    /// Log lines given up because their writer did not keep up.
    pub log_lines_dropped: u64,
    /// Traffic reports given up because the health keeper did not keep up.
    pub reports_dropped: u64,
    /// Server connections destroyed because bytes came that nobody asked for.
    pub surplus: u64,
    /// Connections upgraded and tunnelled.
    pub tunnels: u64,
    /// Bytes received from clients.
    pub bytes_in: u64,
    /// Bytes sent to clients.
    pub bytes_out: u64,
}
