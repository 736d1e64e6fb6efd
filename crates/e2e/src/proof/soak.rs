//! Does it stay what it was, over a long time of everything at once?
//!
//! Clients that keep their connections and clients that do not, uploads and large answers, slow readers, clients that
//! break off anywhere, tunnels, reloads, servers that die and come back. Memory, descriptors, threads and tasks are
//! sampled all along, and once more in the silence after it. The invariant: what well-behaved clients asked for is
//! counted request by request, and the verdict rests on the floor of each part of the time, not on a moment.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::pool;
use crate::balancer::{Balancer, text};
use crate::nginx::{LARGE, Nginx};
use crate::place::free;
use crate::websocket;
use crate::wire::{Connection, Failure, request};

/// How long one exchange of a well-behaved client may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Tunnels at one time.
const TUNNELS: usize = 8;
/// How often the configuration changes.
const RELOAD_EVERY: Duration = Duration::from_secs(10);
/// How often a server dies.
const DEATH_EVERY: Duration = Duration::from_secs(15);
/// Most growth of the floor of memory from the second fifth of the time to the last that is no leak, in KiB.
const GROWTH: u64 = 2048;

/// What one kind of client met.
#[derive(Debug, Default)]
struct Count {
    good: AtomicU64,
    bad: AtomicU64,
}

/// A moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sample {
    /// Seconds since the begin.
    pub at: u64,
    /// Resident memory of its own, in KiB.
    pub memory: u64,
    /// Descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: u64,
    /// Tasks.
    pub tasks: u64,
    /// Clients' connections.
    pub connections: u64,
}

/// What a soak found.
#[derive(Debug, Clone, Default)]
pub struct Soaked {
    /// How long it took.
    pub took: Duration,
    /// Each kind of client: what it does, how often it went well, how often not, whether each must.
    pub loads: Vec<(&'static str, u64, u64, bool)>,
    /// Reloads and deaths.
    pub reloads: u64,
    /// Servers killed.
    pub deaths: u64,
    /// Before the load, after a first request.
    pub before: Sample,
    /// All along.
    pub samples: Vec<Sample>,
    /// After the load, when every connection has ended.
    pub after: Sample,
    /// What must not be.
    pub faults: Vec<String>,
}

/// Something that a client does again and again.
type Act = fn(SocketAddr, &mut Option<Connection>, u64) -> Result<(), Failure>;

/// The kinds of clients: what it is, how many, the pause between two acts, whether each act must go well.
const KINDS: &[(&str, usize, Duration, bool, Act)] = &[
    ("GET, kept connections", 4, Duration::from_millis(4), true, kept_get),
    ("GET, one connection each", 2, Duration::from_millis(6), true, single_get),
    ("POST of 3000 bytes", 2, Duration::from_millis(8), false, post),
    ("answers of 2 MiB", 1, Duration::from_millis(200), false, large_answer),
    ("uploads of 1 MiB in chunks", 1, Duration::from_millis(250), false, large_upload),
    ("a slow reader of 2 MiB", 2, Duration::from_millis(100), false, slow_reader),
    ("clients that break off", 2, Duration::from_millis(15), true, break_off),
    ("malformed requests", 1, Duration::from_millis(30), true, malformed),
];

/// Runs it for so long.
///
/// # Panics
/// Where something does not start.
pub fn run(length: Duration) -> Soaked {
    let mut servers = Nginx::start_many(3);
    let (at, echo) = (free(), websocket::serve());
    let mut balancer = Balancer::start(&config(0, at, echo, &servers));
    drop(single_get(at, &mut None, 0));
    std::thread::sleep(Duration::from_secs(6));
    let began = Instant::now();
    let mut soaked = Soaked { before: sample(&mut balancer, began), ..Soaked::default() };
    let stop = Arc::new(AtomicBool::new(false));
    let (counts, clients) = start(at, &stop);
    let (tunnelled, tunnels) = hold_tunnels(at, &stop);
    let (mut reloaded, mut died, mut sampled) = (began, began, began);
    let every = (length / 120).clamp(Duration::from_secs(1), Duration::from_secs(30));
    while began.elapsed() < length {
        std::thread::sleep(Duration::from_millis(100));
        if reloaded.elapsed() >= RELOAD_EVERY.min(length / 6) {
            reloaded = Instant::now();
            soaked.reloads += 1;
            let output = balancer.reload(&config(soaked.reloads, at, echo, &servers));
            if !output.status.success() {
                soaked.faults.push(format!("reload {}: {}", soaked.reloads, text(&output)));
            }
        }
        if died.elapsed() >= DEATH_EVERY.min(length / 4) {
            died = Instant::now();
            let victim = usize::try_from(soaked.deaths).unwrap_or(0) % servers.len();
            soaked.deaths += 1;
            servers[victim].kill();
            std::thread::sleep(Duration::from_millis(700));
            servers[victim].restore();
        }
        if sampled.elapsed() >= every {
            sampled = Instant::now();
            soaked.samples.push(sample(&mut balancer, began));
        }
    }
    soaked.took = began.elapsed();
    stop.store(true, Ordering::Relaxed);
    for client in clients.into_iter().chain(tunnels) {
        if client.join().is_err() {
            soaked.faults.push("a client panicked".to_owned());
        }
    }
    for ((what, _, _, must, _), count) in KINDS.iter().zip(&counts) {
        soaked.loads.push((what, count.good.load(Ordering::Relaxed), count.bad.load(Ordering::Relaxed), *must));
    }
    let (good, bad) = (tunnelled.good.load(Ordering::Relaxed), tunnelled.bad.load(Ordering::Relaxed));
    soaked.loads.push(("echoes through tunnels", good, bad, true));
    soaked.after = settle(&mut balancer, began, soaked.before.descriptors);
    soaked.judge();
    soaked
}

/// Waits until connections, and what memory a tide took, are given back.
fn settle(balancer: &mut Balancer, began: Instant, descriptors: usize) -> Sample {
    let patience = Instant::now();
    loop {
        let now = sample(balancer, began);
        let is_calm = now.connections == 0 && now.descriptors <= descriptors + 8;
        if is_calm && patience.elapsed() > Duration::from_secs(10) || patience.elapsed() > Duration::from_secs(90) {
            return now;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn sample(balancer: &mut Balancer, began: Instant) -> Sample {
    let status = balancer.status();
    let listeners = status["listeners"].as_array().cloned().unwrap_or_default();
    let process = balancer.process();
    Sample {
        at: began.elapsed().as_secs(),
        memory: process.memory(),
        descriptors: process.descriptors(),
        threads: process.status("Threads").parse().unwrap_or(0),
        tasks: status["process"]["tasks"].as_u64().unwrap_or(0),
        connections: listeners.iter().filter_map(|one| one["connections"].as_u64()).sum(),
    }
}

fn start(at: SocketAddr, stop: &Arc<AtomicBool>) -> (Vec<Arc<Count>>, Vec<JoinHandle<()>>) {
    let (mut counts, mut threads) = (Vec::new(), Vec::new());
    for (_, clients, pause, _, act) in KINDS {
        let count = Arc::new(Count::default());
        for client in 0..*clients {
            let (count, stop) = (Arc::clone(&count), Arc::clone(stop));
            threads.push(std::thread::spawn(move || {
                let mut kept = None;
                let mut round = client as u64;
                while !stop.load(Ordering::Relaxed) {
                    round += 7;
                    let went = act(at, &mut kept, round);
                    let column = if went.is_ok() { &count.good } else { &count.bad };
                    column.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(*pause);
                }
            }));
        }
        counts.push(count);
    }
    (counts, threads)
}

/// Tunnels that stand for a minute each, through every reload.
fn hold_tunnels(at: SocketAddr, stop: &Arc<AtomicBool>) -> (Arc<Count>, Vec<JoinHandle<()>>) {
    let count = Arc::new(Count::default());
    let hold = |_| {
        let (count, stop) = (Arc::clone(&count), Arc::clone(stop));
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let opened = Instant::now();
                let Ok(mut tunnel) = websocket::Client::open(at, "/chat") else {
                    count.bad.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(100));
                    continue;
                };
                while !stop.load(Ordering::Relaxed) && opened.elapsed() < Duration::from_secs(60) {
                    let went = tunnel.echo("still there");
                    let column = if went.is_ok() { &count.good } else { &count.bad };
                    column.fetch_add(1, Ordering::Relaxed);
                    if went.is_err() {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(200));
                }
            }
        })
    };
    let threads = (0..TUNNELS).map(hold).collect();
    (count, threads)
}

/// The configuration after so many reloads.
fn config(count: u64, at: SocketAddr, echo: SocketAddr, servers: &[Nginx]) -> String {
    let lines = ["", "    balance least-conn\n", "    retry 1 elsewhere\n", "    sticky\n"];
    let line = lines[usize::try_from(count).unwrap_or(0) % lines.len()];
    let extra = if count.is_multiple_of(2) { "" } else { "    response-header set X-Turn odd\n" };
    let log = "    log /dev/null\n";
    format!(
        "http {at} {{\n{log}{extra}    route /chat to=chat\n    route * to=shop\n}}\n\
         pool chat {{\n    check tcp every=500ms\n    server echo {echo}\n}}\n{}",
        pool("shop", &format!("    eject off\n{line}"), servers)
    )
}

fn exchange(at: SocketAddr, kept: &mut Option<Connection>, bytes: &[u8], method: &str) -> Result<usize, Failure> {
    let mut connection = kept.take().map_or_else(|| Connection::open(at, PATIENCE), Ok)?;
    connection.send(bytes)?;
    let answer = connection.answer(method)?;
    if answer.status != 200 {
        return Err(Failure::Malformed(format!("status {}", answer.status)));
    }
    if !answer.closes() {
        *kept = Some(connection);
    }
    Ok(answer.body.len())
}

fn kept_get(at: SocketAddr, kept: &mut Option<Connection>, round: u64) -> Result<(), Failure> {
    exchange(at, kept, &request(at, "GET", "/", "", b""), "GET")?;
    if round.is_multiple_of(500) {
        *kept = None;
    }
    Ok(())
}

fn single_get(at: SocketAddr, _: &mut Option<Connection>, _: u64) -> Result<(), Failure> {
    exchange(at, &mut None, &request(at, "GET", "/fields", "Connection: close\r\n", b""), "GET").map(drop)
}

fn post(at: SocketAddr, kept: &mut Option<Connection>, _: u64) -> Result<(), Failure> {
    exchange(at, kept, &request(at, "POST", "/", "", &[b'x'; 3000]), "POST").map(drop)
}

fn large_answer(at: SocketAddr, kept: &mut Option<Connection>, _: u64) -> Result<(), Failure> {
    let length = exchange(at, kept, &request(at, "GET", "/large", "", b""), "GET")?;
    if length == LARGE { Ok(()) } else { Err(Failure::ResetMid) }
}

fn large_upload(at: SocketAddr, kept: &mut Option<Connection>, _: u64) -> Result<(), Failure> {
    let mut bytes = format!("POST / HTTP/1.1\r\nHost: {at}\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..64 {
        bytes.extend_from_slice(b"4000\r\n");
        bytes.extend(std::iter::repeat_n(b'x', 0x4000));
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    exchange(at, kept, &bytes, "POST").map(drop)
}

fn slow_reader(at: SocketAddr, _: &mut Option<Connection>, _: u64) -> Result<(), Failure> {
    let mut connection = Connection::open(at, PATIENCE)?;
    connection.send(&request(at, "GET", "/large", "Connection: close\r\n", b""))?;
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(100));
        connection.exactly(60_000)?;
    }
    connection.exactly(LARGE - 20 * 60_000).map(drop)
}

/// Ends the connection by a reset wherever the round says: before a word, within a head, within a body, within an answer.
fn break_off(at: SocketAddr, _: &mut Option<Connection>, round: u64) -> Result<(), Failure> {
    let mut connection = Connection::open(at, PATIENCE)?;
    match round % 5 {
        0 => {}
        1 => connection.send(b"GET / HTTP/1.1\r\nHo")?,
        2 => connection.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nsome of it")?,
        3 => connection.send(&request(at, "GET", "/large", "", b""))?,
        _ => {
            connection.send(&request(at, "GET", "/trickle", "", b""))?;
            connection.exactly(2000)?;
        }
    }
    connection.abort();
    Ok(())
}

/// What is malformed is refused, whatever else goes on.
fn malformed(at: SocketAddr, _: &mut Option<Connection>, round: u64) -> Result<(), Failure> {
    let mut connection = Connection::open(at, PATIENCE)?;
    connection.send(match round % 3 {
        0 => b"GET / HTTP/1.1\r\n\r\n",
        1 => b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        _ => b"\x16\x03\x01\x02\x00\x01\x00",
    })?;
    let answer = connection.answer("GET")?;
    if answer.status == 400 { Ok(()) } else { Err(Failure::Malformed(format!("status {}", answer.status))) }
}

impl Soaked {
    fn judge(&mut self) {
        for (what, good, bad, must) in &self.loads {
            if *good == 0 {
                self.faults.push(format!("{what}: nothing went well"));
            }
            // Others may meet the death of the server that they were sent to: a few for each.
            let allowed = if *must { 0 } else { self.deaths * 6 };
            if *bad > allowed {
                self.faults.push(format!("{what}: {bad} failed, {allowed} may"));
            }
        }
        let (early, late) = (self.fifth(1), self.fifth(4));
        if late.memory > early.memory + GROWTH {
            self.faults.push(format!("memory grew from {} to {} KiB", early.memory, late.memory));
        }
        if late.threads > early.threads {
            self.faults.push(format!("threads grew from {} to {}", early.threads, late.threads));
        }
        if self.after.descriptors > self.before.descriptors + 8 {
            let (before, after) = (self.before.descriptors, self.after.descriptors);
            self.faults.push(format!("descriptors: {before} before and {after} after"));
        }
        if self.after.connections > 0 || self.after.tasks > self.before.tasks {
            self.faults.push(format!(
                "{} connections and {} tasks are left; {} tasks before",
                self.after.connections, self.after.tasks, self.before.tasks
            ));
        }
    }

    /// The floors of a fifth of the time.
    fn fifth(&self, number: usize) -> Sample {
        let size = (self.samples.len() / 5).max(1);
        let part = self.samples.chunks(size).nth(number).or(self.samples.chunks(size).last()).unwrap_or_default();
        let floor = |of: fn(&Sample) -> u64| part.iter().map(of).min().unwrap_or(0);
        Sample {
            at: part.first().map_or(0, |sample| sample.at),
            memory: floor(|sample| sample.memory),
            descriptors: part.iter().map(|sample| sample.descriptors).min().unwrap_or(0),
            threads: floor(|sample| sample.threads),
            tasks: floor(|sample| sample.tasks),
            connections: floor(|sample| sample.connections),
        }
    }
}

impl fmt::Display for Soaked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (minutes, reloads, deaths) = (self.took.as_secs_f64() / 60.0, self.reloads, self.deaths);
        writeln!(f, "{minutes:.0} minutes, {reloads} reloads, {deaths} servers killed and restored\n")?;
        writeln!(f, "| clients | went well | failed |\n|---|---:|---:|")?;
        for (what, good, bad, _) in &self.loads {
            writeln!(f, "| {what} | {good} | {bad} |")?;
        }
        writeln!(
            f,
            "\n| | memory KiB | descriptors | threads | tasks | connections |\n|---|---:|---:|---:|---:|---:|"
        )?;
        let fifths = ["first", "second", "third", "fourth", "last"];
        let rows = fifths.iter().enumerate().map(|(at, name)| (format!("floor of the {name} fifth"), self.fifth(at)));
        let before = ("before the load".to_owned(), self.before);
        for (name, row) in [before].into_iter().chain(rows).chain([("after it, in silence".to_owned(), self.after)]) {
            let Sample { memory, descriptors, threads, tasks, connections, .. } = row;
            writeln!(f, "| {name} | {memory} | {descriptors} | {threads} | {tasks} | {connections} |")?;
        }
        writeln!(f)?;
        for fault in &self.faults {
            writeln!(f, "- **fault**: {fault}")?;
        }
        Ok(())
    }
}
