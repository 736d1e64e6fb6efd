//! TLS to clients against the same peers: handshakes, requests on kept connections, and what an idle one holds.
//!
//! All show the same certificate (ECDSA P-256) and choose by themselves what to agree on with a client of today. The
//! invariant: what counts is the proxy's own time on a processor for each handshake or request; how fast the client is
//! plays no part.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_net::stream::Stream;
use evenkeel_net::tls::{self, Connector, ConnectorOptions, Opening, ServerName, TlsVersion, Trust};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::cpu;
use crate::http::{OTHER_CORE, PROXY_CORE, TempDir, again, only, origin};
use crate::peers::{self, Peer, Running};

/// Those that speak TLS.
const PEERS: [Peer; 3] = [Peer::Evenkeel, Peer::Nginx, Peer::Haproxy];

/// Connections that are held idle.
const IDLE: usize = 2000;

/// How long memory is given to settle.
const SETTLE: Duration = Duration::from_millis(1500);

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// One kind of load.
#[derive(Clone, Copy)]
enum Work {
    /// Connections one after the other on so many tasks, each with a session of its own.
    Full(usize),
    /// The same, each resuming a session.
    Resumed(usize),
    /// Requests on kept connections: path, connections, rate.
    Requests(&'static str, usize, u64),
}

const ROWS: [(&str, Work); 5] = [
    ("full handshake and one request", Work::Full(16)),
    ("resumed handshake and one request", Work::Resumed(16)),
    ("1 KB, 64 connections", Work::Requests("/", 64, 6_000)),
    ("1 KB, 1000 connections", Work::Requests("/", 1000, 6_000)),
    ("128 KB, 64 connections", Work::Requests("/128k", 64, 800)),
];

/// Runs it, each load for so long: the tables.
pub(crate) fn run(evenkeel: &Path, rounds: usize, time: Duration) -> io::Result<String> {
    let dir = TempDir::new()?;
    certify(dir.path())?;
    let (_origin, server) = origin()?;
    rustix::thread::sched_setaffinity(None, &only(OTHER_CORE))?;
    let place = Place { evenkeel, dir: dir.path(), server };
    let mut text = String::from(
        "| load | peer | CPU each, µs (min – max) | each second of a core | failed |\n|---|---|---:|---:|---:|\n",
    );
    for (name, work) in ROWS {
        let mut samples: Vec<Vec<(f64, u64)>> = PEERS.iter().map(|_| Vec::new()).collect();
        for round in 0..rounds {
            for step in 0..PEERS.len() {
                let at = (step + round) % PEERS.len();
                let sample = again(|| measure(&place, PEERS[at], work, time))?;
                eprintln!("{name}, round {}: {} {sample:.1?}", round + 1, PEERS[at].name());
                samples[at].push(sample);
            }
        }
        for (peer, samples) in PEERS.iter().zip(&samples) {
            row(&mut text, name, *peer, samples);
        }
    }
    text.push_str("\n| peer | memory of an idle connection with TLS, bytes |\n|---|---:|\n");
    for peer in PEERS {
        let bytes = again(|| memory(&place, peer))?;
        let _ = writeln!(text, "| {} | {bytes:.0} |", peer.name());
    }
    Ok(text)
}

fn row(text: &mut String, name: &str, peer: Peer, samples: &[(f64, u64)]) {
    let mut micros: Vec<f64> = samples.iter().map(|(micros, _)| *micros).collect();
    micros.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (micros.first(), micros.last()) else { return };
    let median = micros.get(micros.len() / 2).copied().unwrap_or(0.0);
    let failed: u64 = samples.iter().map(|(_, failed)| failed).sum();
    let each_second = 1e6 / median.max(f64::MIN_POSITIVE);
    let _ = writeln!(
        text,
        "| {name} | {} | {median:.1} ({least:.1} – {most:.1}) | {each_second:.0} | {failed} |",
        peer.name()
    );
}

/// Where everything is.
struct Place<'a> {
    evenkeel: &'a Path,
    dir: &'a Path,
    server: SocketAddr,
}

/// Makes the certificate that all of them show.
fn certify(dir: &Path) -> io::Result<()> {
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"])
        .args(["-subj", "/CN=bench.test", "-addext", "subjectAltName=DNS:bench.test", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .output()?;
    if !made.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&made.stderr).into_owned()));
    }
    let both = [std::fs::read(&cert)?, std::fs::read(&key)?].concat();
    std::fs::write(dir.join("both.pem"), both)
}

fn start(place: &Place<'_>, peer: Peer) -> io::Result<(Running, SocketAddr)> {
    let addr = peers::free_addr()?;
    let (dir, server) = (place.dir.display(), place.server);
    let (name, config) = match peer {
        Peer::Nginx => ("nginx.conf", nginx(&dir.to_string(), addr, server)),
        Peer::Haproxy => ("haproxy.cfg", haproxy(&dir.to_string(), addr, server)),
        Peer::Evenkeel | Peer::Relay => (
            "evenkeel.conf",
            format!(
                "state {dir}/state\ncontrol {dir}/evenkeel.sock\nlimits {{\n    workers 1\n}}\nhttps {addr} {{\n    \
                 cert {dir}/both.pem\n    log off\n    forward x-forwarded-for x-forwarded-proto\n    request-id off\n    \
                 max requests=100000000\n    to {server}\n}}\n"
            ),
        ),
    };
    let file = place.dir.join(name);
    std::fs::write(&file, config)?;
    let mut command = Command::new("taskset");
    command.arg("-c").arg(PROXY_CORE.to_string());
    match peer {
        Peer::Nginx => command.args(["nginx", "-e", "stderr", "-p"]).arg(place.dir).arg("-c").arg(file),
        Peer::Haproxy => command.args(["haproxy", "-f"]).arg(file),
        Peer::Evenkeel | Peer::Relay => command.arg(place.evenkeel).arg("run").arg(file),
    };
    let running = Running::start(&mut command)?;
    peers::wait_for(addr)?;
    Ok((running, addr))
}

fn nginx(dir: &str, addr: SocketAddr, server: SocketAddr) -> String {
    format!(
        "worker_processes 1;\ndaemon off;\npid {dir}/nginx.pid;\nerror_log /dev/null;\nevents {{ worker_connections 8192; }}\n\
         http {{\n  access_log off;\n  client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; \
         uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;\n  keepalive_requests 100000000;\n  \
         upstream origin {{ server {server}; keepalive 2048; keepalive_requests 100000000; }}\n  server {{\n    \
         listen {addr} ssl backlog=4096;\n    ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;\n    \
         ssl_protocols TLSv1.2 TLSv1.3;\n    location / {{\n      proxy_pass http://origin;\n      proxy_http_version 1.1;\n      \
         proxy_set_header Connection \"\";\n      proxy_set_header Host $host;\n      proxy_set_header X-Forwarded-For $remote_addr;\n      \
         proxy_set_header X-Forwarded-Proto $scheme;\n    }}\n  }}\n}}\n"
    )
}

fn haproxy(dir: &str, addr: SocketAddr, server: SocketAddr) -> String {
    format!(
        "global\n  nbthread 1\n  maxconn 8192\ndefaults\n  mode http\n  timeout client 60s\n  timeout server 60s\n  \
         timeout connect 3s\n  http-reuse always\n  option forwardfor\nfrontend f\n  bind {addr} ssl crt {dir}/both.pem backlog 4096\n  \
         http-request set-header X-Forwarded-Proto https\n  default_backend b\nbackend b\n  server s {server}\n"
    )
}

/// A runtime of one thread, as all of the client runs on one core.
fn on_one_thread<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

/// One run of one peer: the proxy's time for each, in microseconds, and how many failed.
fn measure(place: &Place<'_>, peer: Peer, work: Work, time: Duration) -> io::Result<(f64, u64)> {
    let (running, addr) = start(place, peer)?;
    on_one_thread(load(addr, work, Duration::from_millis(500)))?;
    let before = cpu::usage(running.pid());
    let (done, failed) = on_one_thread(load(addr, work, time))?;
    let after = cpu::usage(running.pid());
    let micros = after.run.saturating_sub(before.run).as_secs_f64() * 1e6;
    Ok((micros / done.max(1) as f64, failed))
}

fn connector() -> io::Result<Connector> {
    let options =
        ConnectorOptions { trust: Trust::Anybody, min: TlsVersion::Tls12, identity: None, protocols: Vec::new() };
    Connector::new(options).map_err(io::Error::other)
}

fn name() -> io::Result<ServerName<'static>> {
    Connector::name_of("bench.test").map_err(io::Error::other)
}

/// Runs a load to its end: how many were done, how many failed.
async fn load(addr: SocketAddr, work: Work, time: Duration) -> io::Result<(u64, u64)> {
    let end = Instant::now() + time;
    let mut tasks = JoinSet::new();
    match work {
        Work::Full(count) => {
            for _ in 0..count {
                tasks.spawn_local(connections(addr, None, end));
            }
        }
        Work::Resumed(count) => {
            let shared = Arc::new(connector()?);
            for _ in 0..count {
                tasks.spawn_local(connections(addr, Some(Arc::clone(&shared)), end));
            }
        }
        Work::Requests(path, count, rate) => {
            let step = Duration::from_secs_f64(count as f64 / rate as f64);
            let shared = connector()?;
            let mut streams = Vec::with_capacity(count);
            for _ in 0..count {
                streams.push(open(addr, &shared).await?);
            }
            let begin = Instant::now();
            for (index, stream) in streams.into_iter().enumerate() {
                let first = begin + step.mul_f64(index as f64 / count as f64);
                tasks.spawn_local(requests(stream, path, first, step, begin + time));
            }
        }
    }
    let (mut done, mut failed) = (0, 0);
    while let Some(ended) = tasks.join_next().await {
        let (more, lost) = ended.map_err(io::Error::other)?;
        done += more;
        failed += lost;
    }
    Ok((done, failed))
}

async fn open(addr: SocketAddr, connector: &Connector) -> io::Result<Stream> {
    let connected = tls::connect_to(addr, connector, &name()?, Opening::default(), PATIENCE).await;
    connected.map_err(|error| io::Error::other(error.to_string()))
}

/// Connects, asks once and closes, again and again.
async fn connections(addr: SocketAddr, shared: Option<Arc<Connector>>, end: Instant) -> (u64, u64) {
    let (mut done, mut failed) = (0, 0);
    let mut buffer = vec![0; 16 * 1024];
    while Instant::now() < end {
        let once = async {
            let own = match &shared {
                Some(shared) => Arc::clone(shared),
                None => Arc::new(connector()?),
            };
            let mut stream = open(addr, &own).await?;
            ask(&mut stream, "/", &mut buffer).await
        };
        match once.await {
            Ok(()) => done += 1,
            Err(_) => failed += 1,
        }
    }
    (done, failed)
}

/// Asks on a kept connection, each time when it is due.
async fn requests(mut stream: Stream, path: &'static str, first: Instant, step: Duration, end: Instant) -> (u64, u64) {
    let (mut done, mut due) = (0, first);
    let mut buffer = vec![0; 64 * 1024];
    while due < end {
        tokio::time::sleep_until(due).await;
        match tokio::time::timeout(PATIENCE, ask(&mut stream, path, &mut buffer)).await {
            Ok(Ok(())) => done += 1,
            _ => return (done, 1),
        }
        due += step;
    }
    (done, 0)
}

/// One request and its whole answer, which has a length.
async fn ask(stream: &mut Stream, path: &str, buffer: &mut [u8]) -> io::Result<()> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: bench.test\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    let mut left = loop {
        let count = stream.read(buffer).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(buffer.get(..count).unwrap_or_default());
        let Some(at) = head.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(head.get(..at).unwrap_or_default()).to_ascii_lowercase();
        if !text.starts_with("http/1.1 200") {
            return Err(io::Error::other(text));
        }
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
        break length.saturating_sub(head.len() - at - 4);
    };
    while left > 0 {
        match stream.read(buffer).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => left = left.saturating_sub(count),
        }
    }
    Ok(())
}

/// What an idle connection holds: the growth of the proxy's resident memory, divided by the connections that came.
fn memory(place: &Place<'_>, peer: Peer) -> io::Result<f64> {
    let (running, addr) = start(place, peer)?;
    let pid = running.pid();
    on_one_thread(async {
        let connector = connector()?;
        let mut buffer = vec![0; 16 * 1024];
        let mut held = Vec::new();
        let mut before = 0;
        while held.len() < IDLE {
            if held.len() == 64 {
                tokio::time::sleep(SETTLE).await;
                before = cpu::usage(pid).resident;
            }
            let mut stream = open(addr, &connector).await?;
            ask(&mut stream, "/", &mut buffer).await?;
            held.push(stream);
        }
        tokio::time::sleep(SETTLE).await;
        let grown = cpu::usage(pid).resident.saturating_sub(before);
        Ok(grown as f64 / (IDLE - 64) as f64)
    })
}
