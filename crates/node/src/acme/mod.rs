//! Certificates from an authority (ACME, RFC 8555): ordered, renewed, kept, and put to use without a file.
//!
//! A job for each `acme` word, on the control thread. [`board`] is what they show, [`kept`] what outlives the process,
//! [`order`] the talk with an authority, [`plan`] when to have it. The invariant: a job ends with its word, and all that it
//! showed with it.
//!
//! In a cluster one node orders and all get it: [`fellows`] is what the others have told, and whose turn it is.

mod board;
mod bound;
mod client;
mod fellows;
mod job;
mod kept;
mod order;
mod plan;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use evenkeel_dns::answer::Texts;
use evenkeel_model::ListenerName;
use evenkeel_model::config::{AccountBinding, AcmeChallenge, Config};
use evenkeel_net::clock;
use evenkeel_net::resolve::Resolver;
use evenkeel_proxy::Shared;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::certificates::Installed;
use crate::cluster::Desk;
use crate::journal::Journal;
use crate::state::State;
use crate::supervisor::Event;
use crate::tasks;
use board::{Board, ToShow};
use job::Job;
use order::Orders;

pub(crate) use bound::key as binding_key;
pub(crate) use fellows::Fellows;
pub(crate) use kept::{Papers, file_name};

/// What a job is about. Another one is another job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    listener: ListenerName,
    hosts: Vec<String>,
    mail: String,
    directory: String,
    ca: Option<PathBuf>,
    challenge: AcmeChallenge,
    binding: Option<AccountBinding>,
}

/// How a job stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AcmeStatus {
    /// The listener.
    pub listener: String,
    /// The hosts.
    pub hosts: Vec<String>,
    /// The authority's directory.
    pub directory: String,
    /// How it is shown that the hosts are ours.
    pub challenge: &'static str,
    /// Until when the certificate for them is valid, in seconds since 1970; absent while there is none.
    pub expires: Option<u64>,
    /// When it was had, where that was in this process.
    pub ordered_at: Option<u64>,
    /// The node of the cluster that had it; absent where that was this one, or in another process.
    pub from: Option<String>,
    /// The node that orders for the cluster; absent without one, and where it is not known yet.
    pub orderer: Option<String>,
    /// Whether it is kept over restarts.
    pub is_kept: bool,
    /// When it is ordered next, in seconds since 1970.
    pub next_try: u64,
    /// In how many seconds that is.
    pub next_try_in: u64,
    /// Whether the authority said when.
    pub by_authority: bool,
    /// Whether an order is under way.
    pub is_ordering: bool,
    /// Orders that failed since the last one that did not.
    pub failures: u32,
    /// Why the last one failed.
    pub last_error: Option<String>,
}

/// All jobs of a node.
pub(crate) struct Acme {
    jobs: BTreeMap<Key, JoinHandle<()>>,
    board: Board,
    state: State,
    resolver: Resolver,
    events: mpsc::Sender<Event>,
    journal: Journal,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hosts.join(", "))
    }
}

impl Acme {
    pub(crate) fn new(
        state: State,
        resolver: Resolver,
        shared: &Arc<Shared>,
        (events, journal): (mpsc::Sender<Event>, Journal),
        fellows: Option<Fellows>,
    ) -> Self {
        let board = Board::new(Arc::clone(shared), (events.clone(), journal.clone()), fellows);
        Self { jobs: BTreeMap::new(), board, state, resolver, events, journal }
    }

    /// Ends the jobs that a configuration has no more, and readies those that are new in it: what they have to show is
    /// there when this returns. Gives the listeners whose certificates are others than before.
    pub(crate) fn follow(&mut self, config: &Config) -> BTreeSet<ListenerName> {
        let wanted = keys(config);
        let mut touched = BTreeSet::new();
        self.jobs.retain(|key, job| {
            let stays = wanted.contains(key);
            if !stays {
                job.abort();
                self.board.end(key);
                touched.insert(key.listener.clone());
            }
            stays
        });
        self.board.wake_failed();
        let fresh: Vec<Key> = wanted.into_iter().filter(|key| !self.jobs.contains_key(key)).collect();
        if !fresh.is_empty() && !self.state.is_kept() {
            tracing::warn!("no state directory: certificates of authorities are ordered anew at each start");
        }
        for key in fresh {
            touched.insert(key.listener.clone());
            let job = self.begin(&key);
            self.jobs.insert(key, tasks::start_task(tasks::ACME, &self.events, job.run()));
        }
        touched
    }

    fn begin(&self, key: &Key) -> Job {
        let now = clock::unix_now().as_secs();
        let papers = kept::papers(&self.state, key);
        let current = papers.as_ref().map(|(_, certificate)| Arc::clone(certificate));
        let status = AcmeStatus {
            listener: key.listener.to_string(),
            hosts: key.hosts.clone(),
            directory: key.directory.clone(),
            challenge: key.challenge.as_str(),
            expires: current.as_ref().map(|certificate| certificate.facts().not_after),
            is_kept: current.is_some(),
            next_try: now,
            ..AcmeStatus::default()
        };
        let next_best = if papers.is_none() { kept::next_best(&self.state, key, now) } else { None };
        if papers.is_none() && next_best.is_none() {
            tracing::warn!("until there is a certificate for {key}, clients get one that this program made itself");
        }
        let again = self.board.begin(key, papers, next_best, status);
        let orders = Orders {
            key: key.clone(),
            board: self.board.clone(),
            state: self.state.clone(),
            resolver: self.resolver.clone(),
        };
        Job { orders, current, again, journal: self.journal.clone() }
    }

    /// What a listener shows.
    pub(crate) fn installed(&self, listener: &ListenerName) -> Installed {
        self.board.installed(listener)
    }

    /// What DNS answers beside its zones.
    pub(crate) fn texts(&self) -> Texts {
        self.board.texts()
    }

    /// How the jobs stand.
    pub(crate) fn status(&self) -> Vec<AcmeStatus> {
        self.board.status()
    }

    /// Ends all jobs: nothing is ordered while the process ends.
    pub(crate) fn end(&mut self) {
        std::mem::take(&mut self.jobs).into_values().for_each(|job| job.abort());
        self.board.quit();
    }

    /// The channel to the other nodes of the cluster is there.
    pub(crate) fn take_desk(&self, desk: Desk) {
        self.board.take_desk(desk);
    }

    /// Hears of the orders of another node, with its certificates.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub(crate) fn hear_orders(&self, from: &Arc<str>, bytes: &[u8]) -> serde_json::Result<()> {
        self.board.hear_orders(from, bytes)
    }

    /// Hears what authorities are to be shown for another node. What is to be done here for it is given back, and
    /// [`Showing::confirm`] then says that it is.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(crate) fn hear_proofs(&self, from: &Arc<str>, bytes: &[u8]) -> serde_json::Result<Showing> {
        let what = self.board.hear_proofs(from, bytes)?;
        Ok(Showing { what, from: Arc::clone(from), board: self.board.clone() })
    }

    /// Another node is not heard any more.
    pub(crate) fn lose(&self, from: &Arc<str>) -> Showing {
        Showing { what: self.board.lose(from), from: Arc::clone(from), board: self.board.clone() }
    }
}

/// What is to be shown for another node.
pub(crate) struct Showing {
    pub(crate) what: ToShow,
    from: Arc<str>,
    board: Board,
}

impl Showing {
    /// Says to that node that it is shown.
    pub(crate) fn confirm(self) {
        if let Some(number) = self.what.number {
            self.board.saw(&self.from, number);
        }
    }
}

fn keys(config: &Config) -> BTreeSet<Key> {
    let mut keys = BTreeSet::new();
    for listener in &config.listeners {
        for acme in listener.tls.iter().flat_map(|tls| &tls.acme) {
            keys.insert(Key {
                listener: listener.name.clone(),
                hosts: acme.hosts.clone(),
                mail: acme.mail.clone(),
                directory: acme.directory.clone(),
                ca: acme.ca.clone(),
                challenge: acme.challenge,
                binding: acme.binding.clone(),
            });
        }
    }
    keys
}
