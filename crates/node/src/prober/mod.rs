//! Active checks: one task for each server that has one.
//!
//! A probe only asks and reports. What its outcome means is the keeper's matter.
//! The invariant: one probe of a server is under way at a time, and it ends within the check's timeout.

mod ask;
mod talk;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_balance::{CheckOutcome, Failure, Rng};
use evenkeel_http::preface::proxy::{Facts, write_v1, write_v2};
use evenkeel_model::config::{Check, CheckKind, Config, Host, HttpCheck, Pool, ProxyVersion, Server};
use evenkeel_model::{PoolName, Reason, ServerId};
use evenkeel_net::stream::{self, Stream};
use evenkeel_net::tls::{self, Connector, Opening, ServerName};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::origin::words;
use crate::supervisor::Event;
use crate::tasks;

/// Bytes read at a time from a probe's answer: most answers are one piece.
const PIECE_BYTES: usize = 4096;

/// The first probes of a start are at least this far apart, so that a thousand servers are not asked in one instant.
const FIRST_STEP: Duration = Duration::from_micros(500);

/// Between two probes of one server while it is to be known soon how it is.
pub(crate) const SOON: Duration = Duration::from_millis(200);

/// The probes that run, by server.
pub(crate) struct Probes {
    running: HashMap<ServerId, Running>,
    events: mpsc::Sender<Event>,
    rng: Rng,
}

struct Running {
    check: Check,
    authority: String,
    proxy: Option<ProxyVersion>,
    secure: Option<Secure>,
    addrs: watch::Sender<Arc<[SocketAddr]>>,
    hurry: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Probes {
    /// No probes yet; outcomes go to `events`.
    pub(crate) fn new(events: mpsc::Sender<Event>, rng: Rng) -> Self {
        Self { running: HashMap::new(), events, rng }
    }

    /// Makes the probes those of the configuration. A probe whose check and server are unchanged goes on as it is.
    pub(crate) fn follow(
        &mut self,
        config: &Config,
        connectors: &HashMap<PoolName, Arc<Connector>>,
        addrs: impl Fn(&ServerId) -> Arc<[SocketAddr]>,
    ) {
        let mut wanted = HashMap::new();
        for pool in &config.pools {
            let Some(check) = &pool.check else { continue };
            for server in &pool.servers {
                let id = pool.id_of(server);
                let secure = Secure::of(pool, server, connectors.get(&pool.name));
                wanted.insert(id, (check, server.addr.to_string(), (secure, server.proxy)));
            }
        }
        self.running.retain(|id, running| {
            let stays = wanted.get(id).is_some_and(|(check, at, (secure, proxy))| {
                **check == running.check
                    && *at == running.authority
                    && *proxy == running.proxy
                    && Secure::is_same(secure, &running.secure)
            });
            if !stays {
                running.task.abort();
            }
            stays
        });
        let mut delay = Duration::ZERO;
        for (id, (check, authority, door)) in wanted {
            if !self.running.contains_key(&id) {
                let known = addrs(&id);
                self.start((id, door), check.clone(), authority, known, delay);
                delay = delay.saturating_add(FIRST_STEP).min(check.every);
            }
        }
    }

    /// Where a server is, as of now.
    pub(crate) fn moved(&self, id: &ServerId, addrs: &Arc<[SocketAddr]>) {
        if let Some(running) = self.running.get(id) {
            running.addrs.send_if_modified(|known| {
                let differs = known != addrs;
                known.clone_from(addrs);
                differs
            });
        }
    }

    /// Has every server asked now, and as often in a row as may decide over it: somebody else has seen some go or come.
    pub(crate) fn hurry(&self) {
        self.running.values().for_each(|running| running.hurry.notify_one());
    }

    fn start(
        &mut self,
        (id, (secure, proxy)): (ServerId, (Option<Secure>, Option<ProxyVersion>)),
        check: Check,
        authority: String,
        known: Arc<[SocketAddr]>,
        delay: Duration,
    ) {
        let (sender, addrs) = watch::channel(known);
        let hurry = Arc::new(Notify::new());
        let probe = Probe {
            id: id.clone(),
            check: check.clone(),
            authority: authority.clone(),
            secure: secure.clone(),
            proxy,
            addrs,
            hurry: Arc::clone(&hurry),
            events: self.events.clone(),
            rng: Rng::new(self.rng.next_u64()),
        };
        let task = tasks::start_task(tasks::PROBE, &self.events, probe.run(delay));
        self.running.insert(id, Running { check, authority, secure, proxy, addrs: sender, hurry, task });
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        for running in self.running.values() {
            running.task.abort();
        }
    }
}

/// TLS with a server, under the name that it has to prove.
#[derive(Clone)]
pub(crate) struct Secure {
    connector: Arc<Connector>,
    name: ServerName<'static>,
}

impl Secure {
    fn of(pool: &Pool, server: &Server, connector: Option<&Arc<Connector>>) -> Option<Self> {
        let own = || match &server.addr.host {
            Host::Ip(ip) => ip.to_string(),
            Host::Name(name) => name.clone(),
        };
        let name = pool.tls.as_ref()?.name.clone().unwrap_or_else(own);
        // A name that is none refuses the configuration before it comes here.
        Some(Self { connector: Arc::clone(connector?), name: Connector::name_of(&name).ok()? })
    }

    fn is_same(one: &Option<Self>, other: &Option<Self>) -> bool {
        match (one, other) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(&one.connector, &other.connector) && one.name == other.name,
            _ => false,
        }
    }
}

struct Probe {
    id: ServerId,
    check: Check,
    authority: String,
    proxy: Option<ProxyVersion>,
    secure: Option<Secure>,
    addrs: watch::Receiver<Arc<[SocketAddr]>>,
    hurry: Arc<Notify>,
    events: mpsc::Sender<Event>,
    rng: Rng,
}

impl Probe {
    async fn run(mut self, delay: Duration) {
        let mut next = Instant::now() + delay;
        let mut first = true;
        // Probes that are left of a series in a hurry.
        let mut left = 0;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = self.hurry.notified() => {
                    left = self.check.rise.max(self.check.fall);
                    // Or all servers would be asked in one instant.
                    tokio::time::sleep(SOON.mul_f64(f64::from(self.rng.below(250)) / 1000.0)).await;
                }
            }
            let Some(addr) = self.address().await else { return };
            let started = Instant::now();
            let outcome = probe(&self.check, &self.authority, (self.secure.as_ref(), self.proxy), addr).await;
            if self.events.send(Event::Checked { id: self.id.clone(), outcome }).await.is_err() {
                return;
            }
            // Only the second probe comes at any point of the interval: it spreads what a start set going at once.
            let pause = if first { self.part_of_interval() } else { self.interval() };
            left = left.saturating_sub(1);
            next = started + if left > 0 { pause.min(SOON) } else { pause };
            first = false;
        }
    }

    /// The address to ask, once there is one; none when nobody wants to know any more.
    async fn address(&mut self) -> Option<SocketAddr> {
        let known = self.addrs.wait_for(|addrs| !addrs.is_empty()).await.ok()?;
        let first = known.first().copied()?;
        Some(self.check.port.map_or(first, |port| SocketAddr::new(first.ip(), port)))
    }

    /// The interval, up to a tenth longer or shorter.
    fn interval(&mut self) -> Duration {
        self.check.every.mul_f64(f64::from(900 + self.rng.below(201)) / 1000.0)
    }

    /// A tenth to the whole of the interval.
    fn part_of_interval(&mut self) -> Duration {
        self.check.every.mul_f64(f64::from(100 + self.rng.below(901)) / 1000.0)
    }
}

/// Asks once, for ourselves where the server awaits to be told for whom.
pub(crate) async fn probe(
    check: &Check,
    authority: &str,
    (secure, proxy): (Option<&Secure>, Option<ProxyVersion>),
    addr: SocketAddr,
) -> CheckOutcome {
    let mut first = Vec::new();
    match proxy {
        None => {}
        Some(ProxyVersion::V1) => write_v1(&mut first, None),
        Some(ProxyVersion::V2) => write_v2(&mut first, None, &Facts::default()),
    }
    let deadline = Instant::now() + check.timeout;
    let connected = match secure {
        None => stream::connect_saying(addr, &first, check.timeout).await,
        Some(Secure { connector, name }) => {
            let opening = Opening { words: &first, protocol: None };
            tls::connect_to(addr, connector, name, opening, check.timeout).await
        }
    };
    let mut stream = match connected {
        Ok(stream) => stream,
        Err(error) if error.local => return CheckOutcome::Local { detail: error.to_string() },
        Err(error) => {
            return CheckOutcome::Failed(Failure {
                reason: error.reason,
                at: addr.to_string(),
                detail: (error.reason == Reason::TlsFailed).then(|| error.source.to_string()),
                answer: None,
            });
        }
    };
    ask_over(&mut stream, check, authority, addr, deadline).await
}

/// Asks once over a connection that stands; `deadline` is the probe's.
pub(crate) async fn ask_over(
    stream: &mut Stream,
    check: &Check,
    authority: &str,
    addr: SocketAddr,
    deadline: Instant,
) -> CheckOutcome {
    match &check.kind {
        // Closed in order: many a small server takes a reset for an error worth a page in its log.
        CheckKind::Tcp => CheckOutcome::Passed { answer: None },
        CheckKind::Http(http) => {
            let mut judge = ask::Judge::new(http, addr.to_string());
            let asked = ask_and_read(stream, http, authority, &mut judge);
            match tokio::time::timeout_at(deadline, asked).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(error)) => lost(&error, addr),
                Err(_) => judge.late(check.timeout),
            }
        }
        kind => {
            let Some(mut talk) = talk::Talk::new(kind, addr.to_string()) else {
                return CheckOutcome::Passed { answer: None };
            };
            match tokio::time::timeout_at(deadline, converse(stream, &mut talk)).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(error)) => lost(&error, addr),
                Err(_) => talk.late(check.timeout),
            }
        }
    }
}

fn lost(error: &io::Error, addr: SocketAddr) -> CheckOutcome {
    let detail = Some(words(error));
    CheckOutcome::Failed(Failure { reason: Reason::ConnectionLost, at: addr.to_string(), detail, answer: None })
}

/// Talks with a server until it is certain what to hold of it.
async fn converse(stream: &mut Stream, talk: &mut talk::Talk<'_>) -> io::Result<CheckOutcome> {
    say(stream, &talk.opening()).await?;
    let mut piece = [0; PIECE_BYTES];
    loop {
        let count = hear(stream, &mut piece).await?;
        if count == 0 {
            return Ok(talk.end());
        }
        let mut step = talk.hear(piece.get(..count).unwrap_or_default());
        loop {
            match step {
                talk::Step::More => break,
                talk::Step::Done(finding) => return Ok(talk.outcome(finding)),
                talk::Step::Say(words) => say(stream, &words).await?,
            }
            // What was heard may hold the answer already.
            step = talk.hear(&[]);
        }
    }
}

async fn ask_and_read(
    stream: &mut Stream,
    check: &HttpCheck,
    authority: &str,
    judge: &mut ask::Judge<'_>,
) -> io::Result<CheckOutcome> {
    say(stream, &ask::request(check, authority)).await?;
    let mut piece = [0; PIECE_BYTES];
    loop {
        let count = hear(stream, &mut piece).await?;
        if count == 0 {
            return Ok(judge.end());
        }
        if let Some(outcome) = judge.feed(piece.get(..count).unwrap_or_default()) {
            return Ok(outcome);
        }
    }
}

/// Sends all of the bytes.
async fn say(stream: &mut Stream, mut rest: &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        match stream.try_write(rest) {
            Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads what comes next; 0 is the end.
async fn hear(stream: &mut Stream, piece: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.try_read(piece) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.readable().await?,
            read => return read,
        }
    }
}

#[cfg(test)]
mod tests;
