//! What the nodes of a cluster have in common: whose turn it is to order, certificates that another one had, and what
//! authorities are to be shown on all of them.
//!
//! The invariant: an authority is told to look when every node that is heard shows what it looks for, or was given the time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_model::ListenerName;
use evenkeel_net::clock;
use evenkeel_net::tls::Certificate;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{Board, Key, Papers, Proofs, Standing, Turn};
use crate::acme::fellows::{Changed, ToldOrder, rank};
use crate::cluster::Desk;

/// How long the other nodes may take to show what an authority is to look for.
const SHOWING: Duration = Duration::from_secs(10);

/// What changes within this time is told together.
const GATHER: Duration = Duration::from_millis(20);

/// A certificate for a job's hosts that is newer than its own.
pub(crate) struct Offer {
    pub(in crate::acme) papers: Papers,
    pub(in crate::acme) certificate: Arc<Certificate>,
    /// The node that had it; `None`: another block of this one.
    pub(in crate::acme) from: Option<Arc<str>>,
}

/// What is to be shown here for another node.
#[derive(Debug, Default)]
pub(crate) struct ToShow {
    /// At these listeners.
    pub(crate) listeners: BTreeSet<ListenerName>,
    /// By DNS.
    pub(crate) texts: bool,
    /// What is said to that node once it is.
    pub(crate) number: Option<u64>,
}

impl Board {
    /// The channel to the other nodes is there.
    pub(in crate::acme) fn take_desk(&self, desk: Desk) {
        if let Some(fellows) = &mut *self.fellows.borrow_mut() {
            fellows.take_desk(desk);
        }
        self.stir();
    }

    /// Sees what changes.
    pub(in crate::acme) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Whose turn it is to order for a job.
    pub(in crate::acme) fn turn(&self, key: &Key) -> Turn {
        let jobs = self.jobs.borrow();
        let Some(standing) = jobs.get(key) else { return Turn::Ours };
        let fellows = self.fellows.borrow();
        let is_first =
            jobs.iter().find(|(_, other)| other.subject == standing.subject).is_some_and(|(it, _)| it == key);
        if !is_first {
            // Two listeners with the same hosts need one certificate.
            return Turn::Another(fellows.as_ref().map_or_else(|| "this".into(), |fellows| Arc::clone(fellows.me())));
        }
        let own = told(standing);
        fellows.as_ref().map_or(Turn::Ours, |fellows| fellows.turn(&standing.subject, &own, standing.begun))
    }

    /// The name of the node that orders for a job, in a cluster.
    ///
    /// # Errors
    /// The time of the clock before which nobody knows.
    pub(super) fn orderer(&self, standing: &Standing) -> Result<Option<String>, Duration> {
        let fellows = self.fellows.borrow();
        let Some(fellows) = &*fellows else { return Ok(None) };
        match fellows.turn(&standing.subject, &told(standing), standing.begun) {
            Turn::Ours => Ok(Some(fellows.me().to_string())),
            Turn::Another(name) => Ok(Some(name.to_string())),
            Turn::Unknown(at) => Err(at),
        }
    }

    /// The best certificate for a job's hosts that somebody else has, if it is newer than the job's own.
    pub(in crate::acme) fn offer(&self, key: &Key) -> Option<Offer> {
        let (jobs, fellows) = (self.jobs.borrow(), self.fellows.borrow());
        let standing = jobs.get(key)?;
        let own = standing.papers.as_ref().map(|(_, certificate)| certificate);
        let beside = jobs.values().filter(|other| other.subject == standing.subject);
        let beside = beside.filter_map(|other| other.papers.as_ref()).map(|(papers, it)| (None, papers, it));
        let told = fellows.iter().flat_map(|fellows| fellows.offers(&standing.subject));
        let all = beside.chain(told.map(|(name, papers, it)| (Some(name), papers, it)));
        let now = clock::unix_now().as_secs();
        let is_better = |it: &Certificate| it.facts().not_after > now && own.is_none_or(|own| rank(it) > rank(own));
        let best = all.filter(|(_, _, it)| is_better(it)).max_by_key(|(_, _, it)| rank(it))?;
        let (from, papers, certificate) = best;
        Some(Offer { papers: papers.clone(), certificate: Arc::clone(certificate), from: from.cloned() })
    }

    /// Waits until there is such a one.
    pub(in crate::acme) async fn is_offered(&self, key: &Key) {
        let mut news = self.news();
        while self.offer(key).is_none() {
            if news.changed().await.is_err() {
                // The board itself holds the other end.
                std::future::pending::<()>().await;
            }
        }
    }

    /// A job's certificate, where a restart would not find it.
    pub(in crate::acme) fn unkept(&self, key: &Key) -> Option<Papers> {
        let jobs = self.jobs.borrow();
        let standing = jobs.get(key).filter(|standing| !standing.status.is_kept)?;
        standing.papers.as_ref().map(|(papers, _)| papers.clone())
    }

    /// When a job's certificate is ordered next, and whether the authority said so. This is news to operators alone.
    pub(in crate::acme) fn plan(&self, key: &Key, due: u64, by_authority: bool) {
        self.with(key, |standing| {
            (standing.status.next_try, standing.status.by_authority) = (due, by_authority);
        });
    }

    /// When the authority wants this certificate renewed, by what it told another node.
    pub(in crate::acme) fn due(&self, key: &Key, certificate: &Certificate) -> Option<u64> {
        let (jobs, fellows) = (self.jobs.borrow(), self.fellows.borrow());
        fellows.as_ref()?.due(&jobs.get(key)?.subject, certificate.mark())
    }

    /// Waits until the other nodes show what the authority is to look for, too: it may ask any of them.
    pub(in crate::acme) async fn show_everywhere(&self) {
        let Some(number) = self.tell_proofs() else { return };
        let mut news = self.news();
        let all = async { while !self.is_shown(number) && news.changed().await.is_ok() {} };
        if timeout(SHOWING, all).await.is_err() {
            let late = self.fellows.borrow().as_ref().and_then(|it| it.late(number).cloned()).unwrap_or_default();
            tracing::warn!(
                "node {late} does not say that it shows what the authority is to look for; it is asked to look all the same"
            );
        }
    }

    fn is_shown(&self, number: u64) -> bool {
        self.fellows.borrow().as_ref().is_none_or(|fellows| fellows.is_shown(number))
    }

    /// Tells the other nodes what authorities are to be shown. Gives the number by which they say that they do.
    pub(super) fn tell_proofs(&self) -> Option<u64> {
        let jobs = self.jobs.borrow();
        let mut proofs = Proofs::default();
        for standing in jobs.values().filter(|_| !self.is_over.get()) {
            proofs.tokens.extend(standing.proofs.iter().cloned());
            proofs.texts.extend(standing.texts.iter().cloned());
            let digests = standing.challenges.iter().map(|(host, digest, _)| (host.clone(), digest.clone()));
            proofs.digests.extend(digests);
        }
        self.fellows.borrow_mut().as_mut().map(|fellows| fellows.show(proofs))
    }

    /// Hears of another node's orders.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub(in crate::acme) fn hear_orders(&self, from: &Arc<str>, bytes: &[u8]) -> serde_json::Result<()> {
        let refused = match &mut *self.fellows.borrow_mut() {
            Some(fellows) => fellows.hear_orders(from, bytes)?,
            None => Vec::new(),
        };
        for text in refused {
            tracing::error!("{text}");
            self.journal.note("certificate", from.to_string(), text);
        }
        self.stir();
        Ok(())
    }

    /// Hears what authorities are to be shown for another node.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(in crate::acme) fn hear_proofs(&self, from: &Arc<str>, bytes: &[u8]) -> serde_json::Result<ToShow> {
        let changed = match &mut *self.fellows.borrow_mut() {
            Some(fellows) => fellows.hear_proofs(from, bytes)?,
            None => Changed::default(),
        };
        Ok(self.show_for_others(&changed))
    }

    /// Another node is not heard any more: what it had is what it had last.
    pub(in crate::acme) fn lose(&self, from: &str) -> ToShow {
        let changed = self.fellows.borrow_mut().as_mut().map(|fellows| fellows.lose(from)).unwrap_or_default();
        self.show_for_others(&changed)
    }

    /// What that node has to show is shown here.
    pub(in crate::acme) fn saw(&self, from: &str, number: u64) {
        if let Some(fellows) = &mut *self.fellows.borrow_mut() {
            fellows.saw(from, number);
        }
    }

    /// This node orders nothing any more: the others need not wait for it.
    pub(in crate::acme) fn quit(&self) {
        self.is_over.set(true);
        self.tell_proofs();
        self.tell_orders();
    }

    fn show_for_others(&self, changed: &Changed) -> ToShow {
        if changed.tokens {
            self.publish_proofs();
        }
        let jobs = self.jobs.borrow();
        let is_touched = |key: &&Key| key.hosts.iter().any(|host| changed.hosts.contains(host));
        let listeners = jobs.keys().filter(is_touched).map(|key| key.listener.clone()).collect();
        self.stir();
        ToShow { listeners, texts: changed.texts, number: changed.number }
    }

    /// Something has changed: jobs look again, and the other nodes are told soon.
    pub(super) fn stir(&self) {
        self.news.send_modify(|count| *count = count.wrapping_add(1));
        if self.fellows.borrow().is_none() || self.is_telling.replace(true) {
            return;
        }
        let board = self.clone();
        tokio::task::spawn_local(async move {
            sleep(GATHER).await;
            board.is_telling.set(false);
            board.tell_orders();
            if let Some(known_at) = board.follow_orderers()
                && !board.is_waiting.replace(true)
            {
                sleep(known_at.saturating_sub(clock::now())).await;
                board.is_waiting.set(false);
                board.stir();
            }
        });
    }

    /// Says who orders, where that is news. Gives the time at which what is not known yet will be.
    fn follow_orderers(&self) -> Option<Duration> {
        if self.is_over.get() {
            return None;
        }
        let (jobs, mut orderers) = (self.jobs.borrow(), self.orderers.borrow_mut());
        let mut known_at: Option<Duration> = None;
        orderers.retain(|key, _| jobs.contains_key(key));
        for (key, standing) in jobs.iter() {
            let name = match self.orderer(standing) {
                Ok(Some(name)) => name,
                Ok(None) => continue,
                Err(at) => {
                    known_at = Some(known_at.map_or(at, |known| known.min(at)));
                    continue;
                }
            };
            let before = orderers.insert(key.clone(), name.clone());
            if before.as_ref() != Some(&name) {
                let text = format!("node {name} orders certificates for {key} in this cluster");
                tracing::info!("{text}");
                self.journal.note("certificate", key.to_string(), text);
            }
        }
        known_at
    }

    fn tell_orders(&self) {
        let jobs = self.jobs.borrow();
        let mut all = BTreeMap::new();
        // After the end nothing is told: what is late tells of none, as the end did.
        for standing in jobs.values().filter(|_| !self.is_over.get()) {
            // The first one of a subject is the one that orders.
            all.entry(&standing.subject).or_insert_with(|| {
                let mut order = told(standing);
                order.papers = standing.papers.as_ref().map(|(papers, _)| papers.clone());
                order
            });
        }
        if let Some(fellows) = &mut *self.fellows.borrow_mut() {
            fellows.tell_orders(all.into_values());
        }
    }
}

/// What is told of a job, but for its certificate.
fn told(standing: &Standing) -> ToldOrder {
    let mut told = ToldOrder::new(&standing.subject);
    (told.is_ordering, told.failures) = (standing.status.is_ordering, standing.status.failures);
    told.due = standing.advised;
    told
}
