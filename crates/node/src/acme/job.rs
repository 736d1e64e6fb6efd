//! One job: shows what is kept, orders where there is nothing or it is time, and tries again later where that fails.
//!
//! ```text
//!   waiting ──due──▶ ordering ──certificate──▶ waiting
//!                        │ failed                 ▲
//!                        ▼                        │
//!                     resting ──time, reload──▶ ordering
//! ```
//!
//! The invariant: what was had last is shown until something better is there, whatever fails.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_net::tls::Certificate;
use evenkeel_net::{clock, rng};
use tokio::sync::Notify;

use super::kept;
use super::order::{Failed, Orders};
use super::plan::{self, Failure};
use crate::journal::Journal;

/// The longest that a job sleeps: the clock may be set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(600);

/// Between two times that an authority is asked when to renew: at least and at most this, whatever it says, and this where
/// it says nothing.
const LEAST_ASKING: Duration = Duration::from_secs(300);
const MOST_ASKING: Duration = Duration::from_secs(24 * 3600);
const USUAL_ASKING: Duration = Duration::from_secs(6 * 3600);

/// How soon after a failed order a reload may bring about the next.
const LEAST_REST: Duration = Duration::from_secs(30);

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
            if let Some(current) = self.current.clone()
                && failures.count == 0
            {
                self.wait_until_due(&current, earliest).await;
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

    /// Until the certificate is to be renewed, which is not before the earliest time.
    async fn wait_until_due(&self, current: &Certificate, earliest: u64) {
        // The same certificate is due at the same time, over restarts, too.
        let luck = current.mark().first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        loop {
            let advice = self.orders.advice(current).await;
            let window = advice.as_ref().map(|advice| advice.window);
            let due = plan::renew_at(life(current), window, luck).max(earliest);
            let asking = advice.map_or(USUAL_ASKING, |advice| advice.again.clamp(LEAST_ASKING, MOST_ASKING));
            let ask_at = clock::unix_now().saturating_add(asking).as_secs();
            self.orders.board.note(&self.orders.key, |status| {
                status.next_try = due;
                status.by_authority = window.is_some();
            });
            until(due.min(ask_at)).await;
            if due <= clock::unix_now().as_secs() {
                return;
            }
        }
    }

    async fn order(&self) -> Result<Arc<Certificate>, Failed> {
        let refused = |cause: String| Failed { cause, failure: Failure::Refused, wait: None };
        let Orders { key, board, state, .. } = &self.orders;
        board.note(key, |status| (status.is_ordering, status.next_try) = (true, clock::unix_now().as_secs()));
        tracing::info!("a certificate for {key} is ordered of {}", key.directory);
        let papers = self.orders.order(self.current.as_deref()).await?;
        let certificate = papers.certificate().map_err(|cause| refused(format!("what the authority gave: {cause}")))?;
        if !kept::is_for(key, &certificate) {
            return Err(refused(format!("what the authority gave is not for {key}")));
        }
        if plan::renew_at(life(&certificate), None, 0) <= clock::unix_now().as_secs() {
            return Err(refused(
                "what the authority gave would have to be renewed at once: is this machine's clock right?".to_owned(),
            ));
        }
        let is_kept = kept::keep_papers(state, key, &papers);
        // It is shown where it cannot be kept, too: it is better than what was there.
        board.show(key, &certificate).await.map_err(refused)?;
        let text = format!("a certificate for {key} was had from {}", key.directory);
        tracing::info!("{text}");
        if !is_kept {
            tracing::error!("the certificate for {key} is not kept: a restart orders another one");
        }
        self.journal.note("certificate", key.to_string(), text);
        let (not_after, now) = (certificate.facts().not_after, clock::unix_now().as_secs());
        board.note(key, |status| {
            (status.expires, status.ordered_at, status.is_kept) = (Some(not_after), Some(now), is_kept);
            (status.failures, status.last_error, status.is_ordering) = (0, None, false);
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
        }
    }
}

/// From when and until when it is valid, in seconds since 1970.
fn life(certificate: &Certificate) -> (u64, u64) {
    (certificate.facts().not_before, certificate.facts().not_after)
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
