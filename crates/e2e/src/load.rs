//! Load in which every request is accounted for.
//!
//! Each request carries a number of its own, and gets exactly one outcome. A client that keeps its connection uses it
//! again unless the answer said `close`; a reset on it then is a failure, not bad luck. The invariant: numbers sent and
//! outcomes written are equally many.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::over::Over;
use crate::wire::{Connection, Failure, request};
use crate::{await_for, http2};

/// The field that carries a request's number.
pub const NUMBER: &str = "X-Number";

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

/// A number that no other request of this process has, made different from other processes' by the process id.
pub fn number() -> u64 {
    u64::from(std::process::id()) << 32 | NEXT_NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// Whether clients keep their connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// Until an answer says `close`.
    Kept,
    /// One request each.
    OneEach,
}

/// What is sent.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where to.
    pub to: SocketAddr,
    /// How many clients at one time.
    pub clients: usize,
    /// What the requests travel over.
    pub over: Over,
    /// Whether they keep their connections.
    pub keeping: Keeping,
    /// The method.
    pub method: &'static str,
    /// The target.
    pub target: String,
    /// The body.
    pub body: Vec<u8>,
    /// Most requests of one client.
    pub most: u64,
    /// How long a client rests between two requests.
    pub pause: Duration,
    /// How long one exchange may take.
    pub patience: Duration,
}

impl Plan {
    /// Kept connections, `GET /`, with pauses of 2 ms: some thousand requests a second at most.
    pub fn get(to: SocketAddr, clients: usize) -> Self {
        Self {
            to,
            clients,
            over: Over::Clear,
            keeping: Keeping::Kept,
            method: "GET",
            target: "/".to_owned(),
            body: Vec::new(),
            most: 1_000_000,
            pause: Duration::from_millis(2),
            patience: crate::PATIENCE,
        }
    }
}

/// How one request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A complete answer below 500, by the server that named itself.
    Answered(u16, String),
    /// A complete answer of 500 or above.
    ServerError(u16),
    /// No complete answer.
    Failed(Failure),
}

impl Outcome {
    /// The class that it is counted under.
    pub fn class(&self) -> String {
        match self {
            Self::Answered(status, _) | Self::ServerError(status) => format!("status {status}"),
            Self::Failed(failure) => failure.to_string(),
        }
    }

    /// Whether the client got what it asked for.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Answered(200..=399, _))
    }
}

/// One request's account.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its number.
    pub number: u64,
    /// When it was sent.
    pub sent: Instant,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

/// Every account of a load.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// One record for each request, in no order.
    pub records: Vec<Record>,
}

impl Account {
    /// Those that did not get what they asked for.
    pub fn failures(&self) -> Vec<&Record> {
        self.records.iter().filter(|record| !record.outcome.is_good()).collect()
    }

    /// How many of each class.
    pub fn classes(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for record in &self.records {
            *counts.entry(record.outcome.class()).or_default() += 1;
        }
        counts
    }

    /// How many answers each server gave.
    pub fn by_server(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for record in &self.records {
            if let Outcome::Answered(_, server) = &record.outcome {
                *counts.entry(server.clone()).or_default() += 1;
            }
        }
        counts
    }

    /// Fails unless at least so many requests were sent and each got what it asked for.
    ///
    /// # Panics
    /// In that case, with the classes.
    pub fn expect_clean(&self, least: usize) {
        assert!(self.records.len() >= least, "only {} requests were sent, wanted {least}", self.records.len());
        let failures = self.failures();
        assert!(failures.is_empty(), "{} of {} requests failed\n{self}", failures.len(), self.records.len());
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut classes: Vec<_> = self.classes().into_iter().collect();
        classes.sort();
        for (class, count) in classes {
            writeln!(f, "{count:>8}  {class}")?;
        }
        Ok(())
    }
}

/// Load that is running.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    records: Arc<Mutex<Vec<Record>>>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts the clients.
    pub fn start(plan: &Plan) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let records = Arc::new(Mutex::new(Vec::new()));
        let clients = (0..plan.clients).map(|_| {
            let (plan, stop, records) = (plan.clone(), Arc::clone(&stop), Arc::clone(&records));
            std::thread::spawn(move || client(&plan, &stop, &records))
        });
        let clients = clients.collect();
        Self { stop, records, clients }
    }

    /// How many requests have ended.
    pub fn count(&self) -> usize {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits until so many more requests have ended.
    ///
    /// # Panics
    /// Where that takes too long.
    pub fn await_more(&self, more: usize) {
        let wanted = self.count() + more;
        await_for(&format!("{more} more requests"), crate::PATIENCE * 2, || (self.count() >= wanted).then_some(()));
    }

    /// Lets each client end its current request, and hands over the accounts.
    ///
    /// # Panics
    /// Where a client itself panicked.
    pub fn stop(mut self) -> Account {
        self.stop.store(true, Ordering::Relaxed);
        self.collect()
    }

    /// Waits until each client has sent all its requests.
    ///
    /// # Panics
    /// Where a client itself panicked.
    pub fn finish(mut self) -> Account {
        self.collect()
    }

    fn collect(&mut self) -> Account {
        for client in self.clients.drain(..) {
            client.join().expect("a client of the load has no way to panic");
        }
        Account { records: std::mem::take(&mut self.records.lock().unwrap_or_else(PoisonError::into_inner)) }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn client(plan: &Plan, stop: &AtomicBool, records: &Mutex<Vec<Record>>) {
    if plan.over == Over::Http2 {
        let note = |record| records.lock().unwrap_or_else(PoisonError::into_inner).push(record);
        return http2::client(plan, stop, note);
    }
    let mut kept = None;
    for _ in 0..plan.most {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let (number, sent) = (number(), Instant::now());
        let outcome = exchange(plan, number, &mut kept);
        let record = Record { number, sent, took: sent.elapsed(), outcome };
        records.lock().unwrap_or_else(PoisonError::into_inner).push(record);
        std::thread::sleep(plan.pause);
    }
}

fn exchange(plan: &Plan, number: u64, kept: &mut Option<Connection>) -> Outcome {
    let close = if plan.keeping == Keeping::OneEach { "Connection: close\r\n" } else { "" };
    let fields = format!("{NUMBER}: {number:016x}\r\n{close}");
    let bytes = request(plan.to, plan.method, &plan.target, &fields, &plan.body);
    let mut talk = || {
        let mut connection =
            kept.take().map_or_else(|| Connection::open_over(plan.to, plan.over, plan.patience), Ok)?;
        connection.send(&bytes)?;
        let response = connection.answer(plan.method)?;
        if plan.keeping == Keeping::Kept && !response.closes() {
            *kept = Some(connection);
        }
        Ok(response)
    };
    match talk() {
        Ok(response) if response.status >= 500 => Outcome::ServerError(response.status),
        Ok(response) => Outcome::Answered(response.status, response.field("x-server").unwrap_or("").to_owned()),
        Err(failure) => Outcome::Failed(failure),
    }
}
