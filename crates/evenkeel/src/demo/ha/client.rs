//! The client of `demo --ha`: it opens a connection to the one address that it knows, again and again.
//!
//! The invariant: each request is counted once, as answered by a node or as failed.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{self, Instant, MissedTickBehavior};

use super::SERVICE;
use crate::demo::pair::Seen;

/// Between two requests.
const PACE: Duration = Duration::from_millis(50);
/// How long an answer is waited for.
const ANSWER: Duration = Duration::from_millis(500);
/// Bytes of an answer that are looked at.
const BYTES: usize = 1024;

/// What the client met.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    by_node: BTreeMap<String, u64>,
    failed: u64,
    /// The longest time from one answer to the next.
    gap: Duration,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by: Vec<String> = self.by_node.iter().map(|(node, count)| format!("{count} by {node}")).collect();
        let by = if by.is_empty() { "nothing answered".to_owned() } else { format!("answered {}", by.join(", ")) };
        write!(f, "{by}; {} failed; {} ms from one answer to the next at most", self.failed, self.gap.as_millis())
    }
}

/// Asks for as long as it is let.
pub(super) async fn run(port: u16, seen: Seen<Tally>) {
    let mut beat = time::interval(PACE);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    loop {
        beat.tick().await;
        let answer = time::timeout(ANSWER, ask(port)).await;
        let node = answer.ok().and_then(Result::ok);
        let gap = if node.is_some() { std::mem::replace(&mut last, Instant::now()).elapsed() } else { Duration::ZERO };
        seen.count(|tally| {
            tally.gap = tally.gap.max(gap);
            match &node {
                Some(node) => {
                    let count = tally.by_node.entry(node.clone()).or_default();
                    *count = count.saturating_add(1);
                }
                None => tally.failed = tally.failed.saturating_add(1),
            }
        });
    }
}

/// Which node answers.
async fn ask(port: u16) -> io::Result<String> {
    let mut stream = TcpStream::connect((SERVICE, port)).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: demo.test\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::with_capacity(BYTES);
    while answer.len() < BYTES && stream.read_buf(&mut answer).await? > 0 {}
    let text = String::from_utf8_lossy(&answer);
    let body = text.split_once("\r\n\r\n").filter(|(head, _)| head.starts_with("HTTP/1.1 200")).map(|(_, body)| body);
    body.map(|body| body.trim().to_owned()).ok_or_else(|| io::Error::other("no answer"))
}
