//! What all jobs show: certificates to clients, and to authorities what they look for. One for a node, on its control
//! thread.
//!
//! The invariant: what is shown at a listener, by DNS or over HTTP is always that of all jobs together, so that none takes
//! away what is another's.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use evenkeel_dns::answer::Texts;
use evenkeel_model::{ListenerName, caps};
use evenkeel_net::clock;
use evenkeel_net::tls::Certificate;
use evenkeel_proxy::Shared;
use tokio::sync::{Notify, mpsc, oneshot};

use super::{AcmeStatus, Key};
use crate::certificates::Installed;
use crate::supervisor::{Event, Order};

/// A job as others see it.
pub(super) struct Standing {
    /// What clients get.
    certificate: Option<Arc<Certificate>>,
    /// What an authority is to see, by host (RFC 8737).
    challenges: Vec<(String, Arc<Certificate>)>,
    /// What it is to be told, by token.
    proofs: Vec<(String, String)>,
    /// What it is to be answered, by host.
    texts: Vec<(String, String)>,
    pub(super) status: AcmeStatus,
    /// Woken when a failed order may be tried again.
    pub(super) again: Rc<Notify>,
}

/// All jobs. Cheap to clone: clones are the same.
#[derive(Clone)]
pub(super) struct Board {
    jobs: Rc<RefCell<BTreeMap<Key, Standing>>>,
    shared: Arc<Shared>,
    events: mpsc::Sender<Event>,
}

impl Board {
    pub(super) fn new(shared: Arc<Shared>, events: mpsc::Sender<Event>) -> Self {
        Self { jobs: Rc::default(), shared, events }
    }

    /// A job begins, with what it has to show.
    pub(super) fn begin(&self, key: &Key, certificate: Option<Arc<Certificate>>, status: AcmeStatus) -> Rc<Notify> {
        let again = Rc::<Notify>::default();
        let standing = Standing {
            certificate,
            challenges: Vec::new(),
            proofs: Vec::new(),
            texts: Vec::new(),
            status,
            again: Rc::clone(&again),
        };
        self.jobs.borrow_mut().insert(key.clone(), standing);
        again
    }

    /// A job has ended.
    pub(super) fn end(&self, key: &Key) {
        self.jobs.borrow_mut().remove(key);
        self.publish_proofs();
    }

    /// Changes what is said of a job.
    pub(super) fn note(&self, key: &Key, change: impl FnOnce(&mut AcmeStatus)) {
        self.with(key, |standing| change(&mut standing.status));
    }

    /// Has the job's clients get this one from now on.
    ///
    /// # Errors
    /// In a sentence, where the listener cannot show it yet.
    pub(super) async fn show(&self, key: &Key, certificate: &Arc<Certificate>) -> Result<(), String> {
        self.with(key, |standing| standing.certificate = Some(Arc::clone(certificate)));
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
        self.with(key, |standing| standing.challenges.push((host.to_owned(), Arc::new(certificate))));
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

    /// Wakes the jobs whose last order failed.
    pub(super) fn wake_failed(&self) {
        let jobs = self.jobs.borrow();
        jobs.values().filter(|standing| standing.status.failures > 0).for_each(|standing| standing.again.notify_one());
    }

    /// How the jobs stand.
    pub(super) fn status(&self) -> Vec<AcmeStatus> {
        let now = clock::unix_now().as_secs();
        let of = |standing: &Standing| {
            let status = standing.status.clone();
            AcmeStatus { next_try_in: status.next_try.saturating_sub(now), ..status }
        };
        self.jobs.borrow().values().map(of).collect()
    }

    /// What a listener shows.
    pub(super) fn installed(&self, listener: &ListenerName) -> Installed {
        let jobs = self.jobs.borrow();
        let own = || jobs.iter().filter(|(key, _)| key.listener == *listener).map(|(_, standing)| standing);
        Installed {
            certificates: own().filter_map(|standing| standing.certificate.clone()).collect(),
            challenges: own().flat_map(|standing| standing.challenges.iter().cloned()).collect(),
        }
    }

    /// What DNS answers beside its zones.
    pub(super) fn texts(&self) -> Texts {
        let mut texts = Texts::default();
        let jobs = self.jobs.borrow();
        for (host, text) in jobs.values().flat_map(|standing| &standing.texts).take(caps::ACME_TEXTS) {
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
        let jobs = self.jobs.borrow();
        let proofs = jobs.values().flat_map(|standing| standing.proofs.iter().cloned()).take(caps::ACME_TEXTS);
        self.shared.set_proofs(proofs.collect::<HashMap<_, _>>());
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
