//! What live traffic says of one server: out for a while when too much of it fails.
//!
//! It ends by time, or when checks saw the server dead and then well again: what traffic met was that death, and it is
//! over. A passed check alone does not end it: a server that accepts connections and fails requests would be back with
//! its next check. The invariant: it never takes out the last server that serves, nor more of the pool
//! than `most` says.

use std::time::Duration;

use evenkeel_model::State;
use evenkeel_model::config::Eject;

use super::Health;
use super::outcome::{Number, TrafficFailure, deed};

/// One failure in so many requests is needed besides the configured number: at a thousand requests a second, five
/// failures in ten seconds are a bug of one page, not a server to lose.
const ONE_IN: u64 = 10;

/// A hold grows to at most so many times its first length, and a repetition within that time is one that
/// follows closely.
const LONGEST_HOLD: u32 = 10;

/// A pool's servers, counted just before a failure is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Census {
    servers: usize,
    ejected: usize,
    serving: usize,
}

impl Census {
    /// Counts all servers of one pool, the one that failed included.
    pub fn of<'a>(pool: impl IntoIterator<Item = &'a Health>) -> Self {
        pool.into_iter().fold(Self { servers: 0, ejected: 0, serving: 0 }, |count, health| Self {
            servers: count.servers + 1,
            ejected: count.ejected + usize::from(health.is_ejected()),
            serving: count.serving + usize::from(is_serving(health.verdict().state)),
        })
    }

    /// Whether one more may go, which is itself in `state`.
    fn spares(self, state: State, most: u8) -> bool {
        let others = self.serving.saturating_sub(usize::from(is_serving(state)));
        let room = (self.ejected + 1) * 100 <= usize::from(most) * self.servers;
        others > 0 && room
    }
}

fn is_serving(state: State) -> bool {
    matches!(state, State::Up | State::Unknown)
}

/// The failures of one server, and its times out.
#[derive(Debug, Clone, Default)]
pub(super) struct Ejection {
    /// When the present count began, and the server's requests before it.
    began: Option<(Duration, u64)>,
    failures: u64,
    until: Option<Duration>,
    /// When the last hold ended, or will.
    last_end: Option<Duration>,
    doublings: u32,
    pub(super) text: String,
}

impl Ejection {
    /// As it was before a restart.
    pub(super) fn resumed(until: Duration, text: String) -> Self {
        Self { until: Some(until), last_end: Some(until), text, ..Self::default() }
    }

    /// When the present hold ends, if there is one.
    pub(super) fn until(&self) -> Option<Duration> {
        self.until
    }

    /// Ends a hold whose time has come.
    pub(super) fn expire(&mut self, now: Duration) {
        if self.until.is_some_and(|until| until <= now) {
            self.until = None;
        }
    }

    /// Ends a hold because its cause is over, and with it the memory of repetitions.
    pub(super) fn forgive(&mut self) {
        *self = Self::default();
    }

    /// Counts a failure of a server in `state`, and begins a hold where it was one too many.
    ///
    /// Failures are counted from the first one on for `within`, then afresh from the next: a burst across the border
    /// takes a few failures more, and nothing has to be remembered of each.
    pub(super) fn fail(&mut self, now: Duration, report: &TrafficFailure, rule: &Eject, state: State, census: Census) {
        if self.until.is_some() {
            return;
        }
        let fresh = (now, report.requests.saturating_sub(1));
        let began = match self.began {
            Some(began) if now.saturating_sub(began.0) <= rule.within => began,
            _ => {
                self.failures = 0;
                fresh
            }
        };
        self.began = Some(began);
        self.failures += 1;
        // Reports of different workers arrive out of order, so that the requests seen may lag behind the failures.
        let requests = report.requests.saturating_sub(began.1).max(self.failures);
        let is_enough = self.failures >= u64::from(rule.errors) && self.failures.saturating_mul(ONE_IN) >= requests;
        if is_enough && census.spares(state, rule.most) {
            self.text = format!(
                "{} of {requests} requests failed within {:?}, and the last {}",
                self.failures,
                rule.within,
                deed(report.reason, &report.at, report.detail.as_deref(), Number::One)
            );
            self.hold(now, rule.hold);
        }
    }

    fn hold(&mut self, now: Duration, first: Duration) {
        let longest = first.saturating_mul(LONGEST_HOLD);
        let is_close = self.last_end.is_some_and(|end| now.saturating_sub(end) < longest);
        self.doublings = if is_close { (self.doublings + 1).min(LONGEST_HOLD.ilog2() + 1) } else { 0 };
        let hold = first.saturating_mul(1 << self.doublings).min(longest);
        let until = now.saturating_add(hold);
        self.until = Some(until);
        self.last_end = Some(until);
        self.began = None;
        self.failures = 0;
    }
}
