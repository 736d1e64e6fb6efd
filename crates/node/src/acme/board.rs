//! What all jobs show: certificates to clients, and to authorities what they look for. One for a node, on its control
//! thread.
//!
//! What the other nodes of a cluster have to show is shown here, too ([`cluster`]). The invariant: what is shown at a
//! listener, by DNS or over HTTP is always that of all jobs together, so that none takes away what is another's.

mod cluster;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_dns::answer::Texts;
use evenkeel_model::{ListenerName, caps};
use evenkeel_net::clock;
use evenkeel_net::tls::Certificate;
use evenkeel_proxy::Shared;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};

use super::fellows::{Fellows, Proofs, Subject, Turn};
use super::kept::Papers;
use super::{AcmeStatus, Key};
use crate::certificates::Installed;
use crate::journal::Journal;
use crate::supervisor::{Event, Order};

pub(super) use cluster::{Offer, ToShow};

/// A job as others see it.
pub(super) struct Standing {
    subject: Subject,
    /// Since when it is there, by the clock.
    begun: Duration,
    /// What clients get.
    certificate: Option<Arc<Certificate>>,
    /// The certificate for all of its hosts, with its key.
    papers: Option<(Papers, Arc<Certificate>)>,
    /// What an authority is to see, by host (RFC 8737), with the digest that it looks for.
    challenges: Vec<(String, Vec<u8>, Arc<Certificate>)>,
    /// What it is to be told, by token.
    proofs: Vec<(String, String)>,
    /// What it is to be answered, by host.
    texts: Vec<(String, String)>,
    /// When it told this node to renew, in seconds since 1970.
    advised: Option<u64>,
    pub(super) status: AcmeStatus,
    /// Woken when a failed order may be tried again.
    pub(super) again: Rc<Notify>,
}

/// All jobs. Cheap to clone: clones are the same.
#[derive(Clone)]
pub(super) struct Board {
    jobs: Rc<RefCell<BTreeMap<Key, Standing>>>,
    /// The other nodes, in a cluster.
    fellows: Rc<RefCell<Option<Fellows>>>,
    /// By authority: one job at a time makes an account there.
    accounts: Rc<RefCell<BTreeMap<String, Arc<Semaphore>>>>,
    /// Sees each change of what jobs and nodes have.
    news: Rc<watch::Sender<u64>>,
    /// Whether the other nodes are about to be told.
    is_telling: Rc<Cell<bool>>,
    /// Whether this node orders nothing any more.
    is_over: Rc<Cell<bool>>,
    /// Whether somebody waits until it is known who orders.
    is_waiting: Rc<Cell<bool>>,
    /// Who orders, as was said last.
    orderers: Rc<RefCell<BTreeMap<Key, String>>>,
    shared: Arc<Shared>,
    events: mpsc::Sender<Event>,
    journal: Journal,
}

impl Board {
    pub(super) fn new(
        shared: Arc<Shared>,
        (events, journal): (mpsc::Sender<Event>, Journal),
        fellows: Option<Fellows>,
    ) -> Self {
        Self {
            jobs: Rc::default(),
            fellows: Rc::new(RefCell::new(fellows)),
            accounts: Rc::default(),
            news: Rc::new(watch::Sender::new(0)),
            is_telling: Rc::default(),
            is_over: Rc::default(),
            is_waiting: Rc::default(),
            orderers: Rc::default(),
            shared,
            events,
            journal,
        }
    }

    /// A job begins, with its certificate and what it shows until there is one.
    pub(super) fn begin(
        &self,
        key: &Key,
        papers: Option<(Papers, Arc<Certificate>)>,
        next_best: Option<Arc<Certificate>>,
        status: AcmeStatus,
    ) -> Rc<Notify> {
        let again = Rc::<Notify>::default();
        let standing = Standing {
            subject: Subject::of(key),
            begun: clock::now(),
            certificate: papers.as_ref().map(|(_, certificate)| Arc::clone(certificate)).or(next_best),
            papers,
            challenges: Vec::new(),
            proofs: Vec::new(),
            texts: Vec::new(),
            advised: None,
            status,
            again: Rc::clone(&again),
        };
        self.jobs.borrow_mut().insert(key.clone(), standing);
        self.stir();
        again
    }

    /// A job has ended.
    pub(super) fn end(&self, key: &Key) {
        self.jobs.borrow_mut().remove(key);
        self.publish_proofs();
        self.tell_proofs();
        self.stir();
    }

    /// Changes what is said of a job.
    pub(super) fn note(&self, key: &Key, change: impl FnOnce(&mut AcmeStatus)) {
        self.with(key, |standing| change(&mut standing.status));
        self.stir();
    }

    /// When the authority wants a job's certificate renewed, where it told this node.
    pub(super) fn advise(&self, key: &Key, due: Option<u64>) {
        let mut is_news = false;
        self.with(key, |standing| {
            is_news = standing.advised != due;
            standing.advised = due;
        });
        if is_news {
            self.stir();
        }
    }

    /// When it told this node to renew the certificate that is there.
    pub(super) fn advised(&self, key: &Key) -> Option<u64> {
        self.jobs.borrow().get(key)?.advised
    }

    /// Has the job's clients get this one from now on.
    ///
    /// # Errors
    /// In a sentence, where the listener cannot show it yet.
    pub(super) async fn show(&self, key: &Key, papers: &Papers, certificate: &Arc<Certificate>) -> Result<(), String> {
        self.with(key, |standing| {
            standing.certificate = Some(Arc::clone(certificate));
            standing.papers = Some((papers.clone(), Arc::clone(certificate)));
            // What was said of the one before is not said of this one.
            standing.advised = None;
        });
        self.stir();
        self.install(&key.listener).await
    }

    /// Tells the authority this when it asks for the token.
    pub(super) fn tell(&self, key: &Key, token: &str, proof: &str) {
        self.with(key, |standing| standing.proofs.push((token.to_owned(), proof.to_owned())));
        self.publish_proofs();
    }

    /// Shows the authority a certificate with this digest in it.
    ///
    /// # Errors
    /// In a sentence, where there is none to be made, or the listener cannot.
    pub(super) async fn present(&self, key: &Key, host: &str, digest: &[u8]) -> Result<(), String> {
        let certificate = Certificate::for_challenge(host, digest).map_err(|error| error.to_string())?;
        self.with(key, |standing| {
            standing.challenges.push((host.to_owned(), digest.to_vec(), Arc::new(certificate)));
        });
        self.install(&key.listener).await
    }

    /// Answers the authority this record.
    ///
    /// # Errors
    /// In a sentence, where DNS cannot.
    pub(super) async fn answer(&self, key: &Key, host: &str, text: &str) -> Result<(), String> {
        self.with(key, |standing| standing.texts.push((host.to_owned(), text.to_owned())));
        self.order(|reply| Order::ShowTexts { reply }).await
    }

    /// Takes away what an authority was to see.
    pub(super) async fn clear(&self, key: &Key) {
        let mut had = (false, false);
        self.with(key, |standing| {
            had = (!standing.challenges.is_empty(), !standing.texts.is_empty());
            standing.challenges.clear();
            standing.proofs.clear();
            standing.texts.clear();
        });
        self.publish_proofs();
        self.tell_proofs();
        let mut outcome = Ok(());
        if had.0 {
            outcome = self.install(&key.listener).await;
        }
        if had.1 {
            outcome = outcome.and(self.order(|reply| Order::ShowTexts { reply }).await);
        }
        if let Err(cause) = outcome {
            tracing::warn!("what {} was to see is still shown: {cause}", key.directory);
        }
    }

    /// Held by the job that makes an account with that authority.
    pub(super) fn accounts(&self, directory: &str) -> Arc<Semaphore> {
        let mut accounts = self.accounts.borrow_mut();
        Arc::clone(accounts.entry(directory.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(1))))
    }

    /// Wakes the jobs whose last order failed.
    pub(super) fn wake_failed(&self) {
        let jobs = self.jobs.borrow();
        jobs.values().filter(|standing| standing.status.failures > 0).for_each(|standing| standing.again.notify_one());
    }

    /// How the jobs stand.
    pub(super) fn status(&self) -> Vec<AcmeStatus> {
        let now = clock::unix_now().as_secs();
        let of = |standing: &Standing| {
            let (status, orderer) = (standing.status.clone(), self.orderer(standing).ok().flatten());
            AcmeStatus { next_try_in: status.next_try.saturating_sub(now), orderer, ..status }
        };
        self.jobs.borrow().values().map(of).collect()
    }

    /// What a listener shows.
    pub(super) fn installed(&self, listener: &ListenerName) -> Installed {
        let jobs = self.jobs.borrow();
        let own = || jobs.iter().filter(|(key, _)| key.listener == *listener);
        let shown = |host: &str| own().any(|(key, _)| key.hosts.iter().any(|known| known == host));
        let fellows = self.fellows.borrow();
        let of_others = fellows.iter().flat_map(Fellows::challenges).filter(|(host, _)| shown(host));
        let of_jobs = own().flat_map(|(_, standing)| &standing.challenges);
        let of_jobs = of_jobs.map(|(host, _, certificate)| (host.clone(), Arc::clone(certificate)));
        Installed {
            certificates: own().filter_map(|(_, standing)| standing.certificate.clone()).collect(),
            challenges: of_jobs.chain(of_others.cloned()).collect(),
        }
    }

    /// What DNS answers beside its zones.
    pub(super) fn texts(&self) -> Texts {
        let mut texts = Texts::default();
        let (jobs, fellows) = (self.jobs.borrow(), self.fellows.borrow());
        let of_others = fellows.iter().flat_map(Fellows::proofs).flat_map(|proofs| &proofs.texts);
        let all = jobs.values().flat_map(|standing| &standing.texts).chain(of_others);
        for (host, text) in all.take(caps::ACME_TEXTS) {
            if let Err(error) = texts.add(host, text) {
                tracing::error!("DNS cannot answer an authority for `{host}`: {error}");
            }
        }
        texts
    }

    fn with(&self, key: &Key, change: impl FnOnce(&mut Standing)) {
        if let Some(standing) = self.jobs.borrow_mut().get_mut(key) {
            change(standing);
        }
    }

    fn publish_proofs(&self) {
        let (jobs, fellows) = (self.jobs.borrow(), self.fellows.borrow());
        let of_others = fellows.iter().flat_map(Fellows::proofs).flat_map(|proofs| &proofs.tokens);
        let proofs = jobs.values().flat_map(|standing| &standing.proofs).chain(of_others).take(caps::ACME_TEXTS);
        self.shared.set_proofs(proofs.cloned().collect::<HashMap<_, _>>());
    }

    async fn install(&self, listener: &ListenerName) -> Result<(), String> {
        self.order(|reply| Order::ShowCertificates { listener: listener.clone(), reply }).await
    }

    async fn order(&self, order: impl FnOnce(oneshot::Sender<Result<(), String>>) -> Order) -> Result<(), String> {
        let gone = || "the process is ending".to_owned();
        let (reply, answer) = oneshot::channel();
        self.events.send(Event::Order(order(reply))).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

#[cfg(test)]
pub(super) mod tests;
