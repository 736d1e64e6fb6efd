//! The HTTP/2 bench: small answers over few connections with one and with many streams, beside nginx and HAProxy.
//!
//! The load is h2load, which sends as fast as it is answered: what streams save they save when several are under way, so
//! that a fixed rate would measure its pauses. Servers are spoken to by HTTP/1.1, as all three do it. The invariant: a
//! ratio is one of two runs of the same round.

use std::io;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::cpu;
use crate::http::{OTHER_CORE, PROXY_CORE, TempDir, again, only, origin};
use crate::options::Options;
use crate::peers::{self, Dress, Peer, Place, Running};

/// The proxies; the last one is what the others are compared with.
const PEERS: [Peer; 3] = [Peer::Evenkeel, Peer::Nginx, Peer::Haproxy];

/// Connections and streams on each.
const ROWS: [(&str, usize, usize); 2] =
    [("1 KB, 32 connections, 1 stream each", 32, 1), ("1 KB, 4 connections, 32 streams each", 4, 32)];

/// Requests of one run for each second that it is to take.
const REQUESTS_PER_SECOND: u64 = 10_000;

#[derive(Debug, Clone, Copy)]
struct Sample {
    micros: f64,
    rate: f64,
    failed: u64,
}

/// Runs the bench; a table of what it found.
pub(crate) fn run(options: &Options) -> io::Result<String> {
    let begun = Instant::now();
    let dir = TempDir::new()?;
    let (_origin, server) = origin()?;
    rustix::thread::sched_setaffinity(None, &only(OTHER_CORE))?;
    let mut page = HEAD.to_owned();
    for (name, connections, streams) in ROWS {
        let mut samples: Vec<Vec<Sample>> = PEERS.iter().map(|_| Vec::new()).collect();
        for round in 0..options.rounds {
            for step in 0..PEERS.len() {
                let step = if round % 2 == 0 { step } else { PEERS.len() - 1 - step };
                let at = (step + round) % PEERS.len();
                let sample = again(|| {
                    let addr = peers::free_addr()?;
                    let place =
                        Place { addr, server, dir: dir.path(), dress: Dress::Plain, evenkeel: &options.evenkeel };
                    measure(PEERS[at], &place, connections, streams, options.time)
                })?;
                eprintln!("{name}, round {}: {} {sample:.1?}", round + 1, PEERS[at].name());
                samples[at].push(sample);
            }
        }
        PEERS.iter().zip(&samples).for_each(|(peer, own)| line(name, *peer, own, samples.last(), &mut page));
    }
    page.push_str("\n## Where and when\n\n");
    for peer in PEERS {
        page.push_str(&format!("- {}: {}\n", peer.name(), peer.version(&options.evenkeel)));
    }
    let date = Command::new("date").arg("+%Y-%m-%d").output().map(|output| output.stdout).unwrap_or_default();
    let date = String::from_utf8_lossy(&date).trim().to_owned();
    page.push_str(&format!("- {date}, {} rounds, {} s in all\n", options.rounds, begun.elapsed().as_secs()));
    Ok(page)
}

const HEAD: &str = "# Benchmarks of HTTP/2

Written by `cargo xtask bench http2`. Each proxy has one worker on one core, without a log, speaks HTTP/2 without TLS to h2load and HTTP/1.1 on kept
connections to one server; load and server share the other core. h2load sends as fast as it is answered. CPU is the proxy's alone, by the
scheduler's own account; tables have medians, and in brackets the least and the most; the order of the proxies turns with each round.

| load | peer | CPU per request, µs | against HAProxy | requests a second | failed |
|---|---|---|---|---|---|
";

fn line(name: &str, peer: Peer, own: &[Sample], anchor: Option<&Vec<Sample>>, page: &mut String) {
    let micros: Vec<f64> = own.iter().map(|sample| sample.micros).collect();
    let anchor = anchor.map(Vec::as_slice).unwrap_or_default();
    let ratios: Vec<f64> = own.iter().zip(anchor).map(|(own, anchor)| own.micros / anchor.micros).collect();
    let (low, high) = range(&micros);
    let failed: u64 = own.iter().map(|sample| sample.failed).sum();
    page.push_str(&format!(
        "| {name} | {} | {:.1} ({low:.1} – {high:.1}) | {:.2} ({:.2} – {:.2}) | {:.0} | {failed} |\n",
        peer.name(),
        median(&micros),
        median(&ratios),
        range(&ratios).0,
        range(&ratios).1,
        median(&own.iter().map(|sample| sample.rate).collect::<Vec<_>>()),
    ));
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

fn range(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    (least, values.iter().copied().fold(0.0, f64::max))
}

fn measure(peer: Peer, place: &Place<'_>, connections: usize, streams: usize, time: Duration) -> io::Result<Sample> {
    let running = start(peer, place)?;
    let requests = (time.as_secs_f64() * REQUESTS_PER_SECOND as f64) as u64;
    h2load(place, requests / 10, connections, streams)?;
    let before = cpu::usage(running.pid());
    let begun = Instant::now();
    let succeeded = h2load(place, requests, connections, streams)?;
    let took = begun.elapsed();
    let after = cpu::usage(running.pid());
    let answered = succeeded.max(1) as f64;
    Ok(Sample {
        micros: after.run.saturating_sub(before.run).as_secs_f64() * 1e6 / answered,
        rate: answered / took.as_secs_f64(),
        failed: requests.saturating_sub(succeeded),
    })
}

/// Starts a peer that speaks HTTP/2 without TLS: evenkeel does by itself, the others are told.
fn start(peer: Peer, place: &Place<'_>) -> io::Result<Running> {
    match peer {
        Peer::Nginx => peers::start_changed(peer, place, PROXY_CORE, |config| {
            config.replace(" backlog=4096;", " backlog=4096 http2;")
        }),
        Peer::Haproxy => peers::start_changed(peer, place, PROXY_CORE, |config| {
            config.replace(" backlog 4096\n", " backlog 4096 proto h2\n")
        }),
        Peer::Evenkeel | Peer::Relay => peers::start_changed(peer, place, PROXY_CORE, |config| {
            // Connections live for the whole run, as the others' do.
            config.replace("request-id off", "request-id off\n    max requests=1000000000")
        }),
    }
}

/// Runs the load; how many requests were answered with success.
fn h2load(place: &Place<'_>, requests: u64, connections: usize, streams: usize) -> io::Result<u64> {
    let output = Command::new("h2load")
        .args(["-n", &requests.max(100).to_string(), "-c", &connections.to_string(), "-m", &streams.to_string()])
        .arg(format!("http://{}/", place.addr))
        .stdin(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    read(&text).ok_or_else(|| io::Error::other(format!("h2load says no count:\n{text}")))
}

/// The requests answered with 2xx, out of what h2load prints.
fn read(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("status codes: "))?;
    line.split(' ').next()?.parse().ok()
}

/// Whether what the bench needs is there.
pub(crate) fn is_possible() -> Result<(), String> {
    let found = Command::new("h2load").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    match found {
        Ok(status) if status.success() => Ok(()),
        _ => Err("it needs h2load: `apt-get install nghttp2-client`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_count_of_h2load_is_read() {
        let text =
            "finished in 101.20ms\nrequests: 100 total, 100 started\nstatus codes: 99 2xx, 0 3xx, 1 4xx, 0 5xx\n";
        assert_eq!(super::read(text), Some(99));
        assert_eq!(super::read("nothing"), None);
    }
}
