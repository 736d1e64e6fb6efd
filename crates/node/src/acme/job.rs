//! One job: shows what is kept, orders where there is nothing or it is time, and tries again later where that fails.
//!
//! ```text
//!   waiting ──due──▶ standing by ──turn──▶ ordering ──certificate──▶ waiting
//!                      ▲                      │ failed
//!                      └────time, reload─── resting
//! ```
//!
//! Outside of a cluster it is always this node's turn. From each state but ordering a certificate that another node has had
//! leads back to waiting, and so does a word of the authority to another node that it is not due yet.
//!
//! The invariant: what was had last is shown until something better is there, whatever fails.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_net::tls::Certificate;
use evenkeel_net::{clock, rng};
use tokio::sync::Notify;

use super::board::Offer;
use super::fellows::Turn;
use super::kept::{self, Papers};
use super::order::{Failed, Orders};
use super::plan::{self, Failure, Window};
use crate::journal::Journal;

/// The longest that a job sleeps: the clock may be set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(600);

/// Between two times that an authority is asked when to renew: at least and at most this, whatever it says, and this where
/// it says nothing.
const LEAST_ASKING: Duration = Duration::from_secs(300);
const MOST_ASKING: Duration = Duration::from_secs(24 * 3600);
const USUAL_ASKING: Duration = Duration::from_secs(6 * 3600);

/// Between two tries to keep a certificate over restarts.
const KEEPING_AGAIN: Duration = Duration::from_secs(60);

/// How soon after a failed order a reload may bring about the next.
const LEAST_REST: Duration = Duration::from_secs(30);

/// What a job has waited for.
enum Came {
    Due,
    /// What was due is not any more.
    NotDue,
    /// Somebody else has had a certificate.
    Offer(Offer),
}

/// One job.
pub(super) struct Job {
    pub(super) orders: Orders,
    pub(super) current: Option<Arc<Certificate>>,
    pub(super) again: Rc<Notify>,
    pub(super) journal: Journal,
}

/// Orders that failed since the last one that did not.
#[derive(Debug, Clone, Copy, Default)]
struct Failures {
    count: u32,
    /// Those of the last kind, without another between.
    alike: u32,
    last: Option<Failure>,
}

impl Failures {
    fn and(self, failure: Failure) -> Self {
        let alike = if self.last == Some(failure) { self.alike } else { 0 };
        Self { count: self.count.saturating_add(1), alike: alike.saturating_add(1), last: Some(failure) }
    }
}

impl Job {
    /// Runs until it is ended.
    pub(super) async fn run(mut self) {
        let (mut failures, mut earliest) = (Failures::default(), 0);
        loop {
            let came = match self.current.clone().filter(|_| failures.count == 0) {
                Some(current) => self.wait_until_due(&current, earliest).await,
                None => Came::Due,
            };
            let came = match came {
                // Who has failed knows that it was due.
                Came::Due => self.wait_for_turn((failures.count == 0).then_some(earliest)).await,
                came => came,
            };
            match came {
                Came::Due => {}
                Came::NotDue => continue,
                Came::Offer(offer) => {
                    self.take(offer).await;
                    failures = Failures::default();
                    continue;
                }
            }
            match self.order().await {
                Ok(certificate) => {
                    failures = Failures::default();
                    earliest = clock::unix_now().as_secs().saturating_add(plan::spacing(life(&certificate)));
                    self.current = Some(certificate);
                }
                Err(failed) => {
                    failures = failures.and(failed.failure);
                    self.rest(failures, failed).await;
                }
            }
        }
    }

    /// Until the certificate is to be renewed, which is not before the earliest time; or until somebody else has renewed it.
    async fn wait_until_due(&self, current: &Certificate, earliest: u64) -> Came {
        let Orders { key, board, .. } = &self.orders;
        let mut news = board.news();
        loop {
            let advice = self.orders.advice(current).await;
            let asking = advice.as_ref().map_or(USUAL_ASKING, |it| it.again.clamp(LEAST_ASKING, MOST_ASKING));
            let ask_at = clock::unix_now().saturating_add(asking).as_secs();
            let advised = advice.map(|advice| plan::renew_at(life(current), Some(advice.window), luck_of(current)));
            board.advise(key, advised);
            loop {
                if let Some(offer) = board.offer(key) {
                    return Came::Offer(offer);
                }
                let due = self.due(current, earliest);
                if due <= clock::unix_now().as_secs() {
                    return Came::Due;
                }
                tokio::select! {
                    () = until(due.min(ask_at)) => {}
                    () = tokio::time::sleep(KEEPING_AGAIN) => self.keep_again(),
                    _ = news.changed() => {}
                }
                if ask_at <= clock::unix_now().as_secs() {
                    break;
                }
            }
        }
    }

    /// When the certificate is to be renewed, by all that is known now.
    fn due(&self, current: &Certificate, earliest: u64) -> u64 {
        let Orders { key, board, .. } = &self.orders;
        let told = board.advised(key).or_else(|| {
            // Who orders may have been told, and this node not.
            let at = board.due(key, current)?;
            Some(plan::renew_at(life(current), Some(Window { start: at, end: at }), 0))
        });
        let due = told.unwrap_or_else(|| plan::renew_at(life(current), None, luck_of(current))).max(earliest);
        board.plan(key, due, told.is_some());
        due
    }

    /// Until it is this node's turn to order, or another one has had a certificate; or until the one that is there is not due
    /// any more, where an earliest time for that is given. Who has the turn is not waited for without end.
    async fn wait_for_turn(&self, earliest: Option<u64>) -> Came {
        let Orders { key, board, .. } = &self.orders;
        let now = clock::unix_now().as_secs();
        let latest = plan::patience(self.current.as_deref().map(life), now);
        let mut news = board.news();
        loop {
            if let Some(offer) = board.offer(key) {
                return Came::Offer(offer);
            }
            if let Some((current, earliest)) = self.current.as_deref().zip(earliest)
                && self.due(current, earliest) > clock::unix_now().as_secs()
            {
                return Came::NotDue;
            }
            let woken = match board.turn(key) {
                Turn::Ours => return Came::Due,
                Turn::Another(_) => latest,
                Turn::Unknown(at) => {
                    let wait = at.saturating_sub(clock::now()) + Duration::from_millis(999);
                    clock::unix_now().saturating_add(wait).as_secs()
                }
            };
            if latest <= clock::unix_now().as_secs() {
                return Came::Due;
            }
            tokio::select! {
                () = until(woken) => {}
                _ = news.changed() => {}
            }
        }
    }

    /// Puts to use what somebody else has had.
    async fn take(&mut self, offer: Offer) {
        let Orders { key, board, .. } = &self.orders;
        let Offer { papers, certificate, from } = offer;
        // One file is for all blocks of the same hosts.
        let is_kept = self.keep(&papers);
        let node = from.as_ref().map(ToString::to_string);
        let text = match &node {
            Some(node) => {
                format!("the certificate for {key} is that of node {node}, which had it from {}", key.directory)
            }
            None => format!("the certificate for {key} is that of another listener"),
        };
        if let Err(cause) = board.show(key, &papers, &certificate).await {
            tracing::error!("{text}, and is not shown everywhere yet: {cause}");
        } else {
            tracing::info!("{text}");
        }
        self.journal.note("certificate", key.to_string(), text);
        let not_after = certificate.facts().not_after;
        board.note(key, |status| {
            (status.expires, status.ordered_at, status.is_kept, status.from) = (Some(not_after), None, is_kept, node);
            (status.failures, status.last_error) = (0, None);
        });
        self.current = Some(certificate);
    }

    /// Keeps a certificate over restarts. Whether that was done, which is said where it was not.
    fn keep(&self, papers: &Papers) -> bool {
        let Orders { key, state, .. } = &self.orders;
        let kept = kept::keep_papers(state, key, papers);
        if let Err(cause) = &kept {
            let text = format!("the certificate for {key} is not kept, and a restart needs another one: {cause}");
            tracing::error!("{text}");
            self.journal.note("certificate", key.to_string(), text);
        }
        kept.is_ok()
    }

    /// Tries again to keep what could not be kept: there may be room now.
    fn keep_again(&self) {
        let Orders { key, board, state, .. } = &self.orders;
        if let Some(papers) = board.unkept(key).filter(|_| state.is_kept())
            && kept::keep_papers(state, key, &papers).is_ok()
        {
            let text = format!("the certificate for {key} is kept now");
            tracing::info!("{text}");
            self.journal.note("certificate", key.to_string(), text);
            board.note(key, |status| status.is_kept = true);
        }
    }

    async fn order(&self) -> Result<Arc<Certificate>, Failed> {
        let refused = |cause: String| Failed { cause, failure: Failure::Refused, wait: None };
        let Orders { key, board, .. } = &self.orders;
        board.note(key, |status| (status.is_ordering, status.next_try) = (true, clock::unix_now().as_secs()));
        tracing::info!("a certificate for {key} is ordered of {}", key.directory);
        let papers = self.orders.order(self.current.as_deref()).await?;
        let certificate = papers.certificate().map_err(|cause| refused(format!("what the authority gave: {cause}")))?;
        if let Some(host) = kept::uncovered(&key.hosts, &certificate) {
            return Err(refused(format!("what the authority gave is not for {host}")));
        }
        if plan::renew_at(life(&certificate), None, 0) <= clock::unix_now().as_secs() {
            return Err(refused(
                "what the authority gave would have to be renewed at once: is this machine's clock right?".to_owned(),
            ));
        }
        let is_kept = self.keep(&papers);
        // It is shown where it cannot be kept, too: it is better than what was there.
        if let Err(cause) = board.show(key, &papers, &certificate).await {
            // It was had, and who is slow gets it later: another order would mend nothing.
            tracing::warn!("the certificate for {key} is not shown everywhere yet: {cause}");
        }
        let text = format!("a certificate for {key} was had from {}", key.directory);
        tracing::info!("{text}");
        self.journal.note("certificate", key.to_string(), text);
        let (not_after, now) = (certificate.facts().not_after, clock::unix_now().as_secs());
        board.note(key, |status| {
            (status.expires, status.ordered_at, status.is_kept) = (Some(not_after), Some(now), is_kept);
            (status.failures, status.last_error, status.is_ordering, status.from) = (0, None, false, None);
        });
        Ok(certificate)
    }

    /// After a failure: until it is time to try again, or a reload may have mended what was wrong.
    async fn rest(&self, failures: Failures, failed: Failed) {
        let Orders { key, board, .. } = &self.orders;
        let wait = plan::wait(failures.alike, failed.failure, failed.wait, luck());
        let text = format!("no certificate for {key}: {}", failed.cause);
        tracing::error!("{text}; the next try is in {} s", wait.as_secs());
        self.journal.note("certificate", key.to_string(), text);
        let next = clock::unix_now().saturating_add(wait).as_secs();
        board.note(key, |status| {
            (status.failures, status.last_error) = (failures.count, Some(failed.cause));
            (status.next_try, status.is_ordering) = (next, false);
        });
        let earliest = clock::unix_now().saturating_add(LEAST_REST.min(wait)).as_secs();
        let woken = async {
            self.again.notified().await;
            until(earliest).await;
        };
        tokio::select! {
            () = until(next) => {}
            // What the authority told to wait is waited for.
            () = woken, if failed.wait.is_none() => {}
            () = board.is_offered(key) => {}
        }
    }
}

/// From when and until when it is valid, in seconds since 1970.
fn life(certificate: &Certificate) -> (u64, u64) {
    (certificate.facts().not_before, certificate.facts().not_after)
}

/// A number that is the same for the same certificate: it is due at the same time, over restarts and on every node.
fn luck_of(certificate: &Certificate) -> u64 {
    certificate.mark().first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// A number by chance.
fn luck() -> u64 {
    rng::seed().first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Sleeps until a time of day, in seconds since 1970.
async fn until(unix: u64) {
    loop {
        let left = Duration::from_secs(unix).saturating_sub(clock::unix_now());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LONGEST_SLEEP)).await;
    }
}

#[cfg(test)]
mod tests;
