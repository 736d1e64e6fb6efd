//! One server's verdict: what checks, live traffic, the name service and operators say, in one word with its reason.
//!
//! A [`Health`] lives outside configuration generations, by the server's full name, and survives reloads. It is
//! a stack of layers, each with its own memory; the first that objects decides:
//!
//! ```text
//!   maintenance ordered ─▶ no address ─▶ checks say down ─▶ ejected by traffic ─▶ drain ordered ─▶ what checks say
//!   Maintenance            Down          Down               Down                  Draining         Up | Unknown
//! ```
//!
//! The invariants: the verdict is always that of the layers; a [`Transition`] is returned exactly where its state
//! changes; what a client does, and what hinders us alone, never changes it.

mod ejection;
mod outcome;
mod probes;
mod ramp;
mod record;

#[cfg(test)]
mod tests;

use std::time::Duration;

use evenkeel_model::config::{Eject, Pool, Standing};
use evenkeel_model::{Reason, State, Verdict};

pub use self::ejection::Census;
use self::ejection::Ejection;
pub use self::outcome::{CheckOutcome, Failure, Resolution, TrafficFailure};
use self::probes::Probes;
use self::ramp::Ramp;
pub use self::record::{EjectedRecord, VerdictRecord};

/// By what a server is judged, from its pool's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// For active checks. `None`: there are none.
    pub check: Option<Thresholds>,
    /// For live traffic. `None`: it is not judged.
    pub eject: Option<Eject>,
    /// How long a server that comes back takes to its full share. Zero: at once.
    pub slow_start: Duration,
}

/// How many checks in a row decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Passed ones, to bring a server back.
    pub rise: u16,
    /// Failed ones, to take it out.
    pub fall: u16,
}

impl Policy {
    /// The policy of a pool.
    pub fn of(pool: &Pool) -> Self {
        let check = pool.check.as_ref().map(|check| Thresholds { rise: check.rise, fall: check.fall });
        Self { check, eject: pool.eject, slow_start: pool.slow_start }
    }
}

/// A change of state: what is logged, and published to those who balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The verdict from now on.
    pub verdict: Verdict,
}

/// Everything that is known of one server's health.
#[derive(Debug, Clone)]
pub struct Health {
    policy: Policy,
    standing: Standing,
    intent: Option<Standing>,
    /// Why there is no address, where there is none.
    unresolved: Option<String>,
    probes: Probes,
    ejection: Ejection,
    ramp: Ramp,
    verdict: Verdict,
}

impl Health {
    /// The health of a server of which nothing is known yet.
    pub fn new(policy: Policy, standing: Standing, now: Duration) -> Self {
        Self::with(policy, standing, Probes::new(), Ejection::default(), now)
    }

    fn with(policy: Policy, standing: Standing, probes: Probes, ejection: Ejection, now: Duration) -> Self {
        let mut health = Self {
            policy,
            standing,
            intent: None,
            unresolved: None,
            probes,
            ejection,
            ramp: Ramp::default(),
            verdict: Verdict::initial(now),
        };
        // What is found at the start is no change to report.
        health.verdict = health.judged(now);
        health
    }

    /// Whether there are checks and none has ended yet.
    pub fn is_awaited(&self) -> bool {
        self.policy.check.is_some() && self.unresolved.is_none() && self.probes.is_awaited()
    }

    /// How many more checks like the last one would change what checks hold the server for; `None` where the last one
    /// agreed.
    pub fn checks_to_change(&self) -> Option<u32> {
        self.policy.check.and_then(|thresholds| self.probes.to_change(thresholds))
    }

    /// Takes the end of a check. Without checks in the policy (one was on its way during a reload) it is ignored.
    pub fn on_check(&mut self, now: Duration, outcome: CheckOutcome) -> Option<Transition> {
        let thresholds = self.policy.check?;
        let before = self.probes.state();
        self.probes.take(outcome, thresholds);
        if before == State::Down && self.probes.state() == State::Up {
            self.ejection.forgive();
        }
        self.settle(now)
    }

    /// Takes a failure of live traffic. The census is that of the pool at this moment.
    ///
    /// A server that is out already is not counted against: what still fails there was sent before, or
    /// because everything is down.
    pub fn on_traffic(&mut self, now: Duration, report: &TrafficFailure, census: Census) -> Option<Transition> {
        let rule = self.policy.eject?;
        let state = self.verdict.state;
        if matches!(state, State::Down | State::Maintenance) {
            return None;
        }
        self.ejection.fail(now, report, &rule, state, census);
        self.settle(now)
    }

    /// Takes the result of looking up the server's name.
    pub fn on_resolve(&mut self, now: Duration, resolution: Resolution) -> Option<Transition> {
        self.unresolved = match resolution {
            Resolution::Found => None,
            Resolution::Missing { detail } => Some(detail),
        };
        self.settle(now)
    }

    /// Follows the configuration's order.
    pub fn set_standing(&mut self, now: Duration, standing: Standing) -> Option<Transition> {
        self.standing = standing;
        self.settle(now)
    }

    /// Follows an operator's order, which outranks the configuration's; `None` lifts it.
    pub fn set_intent(&mut self, now: Duration, intent: Option<Standing>) -> Option<Transition> {
        self.intent = intent;
        self.settle(now)
    }

    /// Follows a changed configuration of the pool. What was found so far stays, except what is no longer asked for.
    pub fn set_policy(&mut self, now: Duration, policy: Policy) -> Option<Transition> {
        if policy.check.is_none() {
            self.probes = Probes::new();
        }
        if policy.eject.is_none() {
            self.ejection = Ejection::default();
        }
        self.policy = policy;
        self.settle(now)
    }

    /// Does what is due: call it when [`Self::poll_timeout`] has come. Afterwards [`Self::ramp`] has grown even
    /// where there is no transition.
    pub fn on_timeout(&mut self, now: Duration) -> Option<Transition> {
        self.settle(now)
    }

    /// When [`Self::on_timeout`] is due next: the end of an ejection, or the next step of a slow start.
    pub fn poll_timeout(&self) -> Option<Duration> {
        [self.ejection.until(), self.ramp.next_step(self.policy.slow_start)].into_iter().flatten().min()
    }

    /// What the server is held for.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// How much of its weight counts at `now`, in per mille: 1000 but for slow start, where it grows by steps of 50.
    pub fn ramp(&self, now: Duration) -> u16 {
        self.ramp.share(now, self.policy.slow_start)
    }

    /// The weight in force, of the one that the configuration or an operator gives: 0 for a server that is to be
    /// drained, so that it gets no new session even where it is down and the pool fails open.
    pub fn weight(&self, given: u16) -> u16 {
        if self.order() == Standing::Drain { 0 } else { given }
    }

    /// Whether live traffic holds the server out.
    pub fn is_ejected(&self) -> bool {
        self.ejection.until().is_some()
    }

    fn order(&self) -> Standing {
        self.intent.unwrap_or(self.standing)
    }

    /// Brings the verdict in line with the layers, and says so where its state has changed.
    fn settle(&mut self, now: Duration) -> Option<Transition> {
        self.ejection.expire(now);
        let judged = self.judged(now);
        let from = self.verdict.state;
        let is_cold = from == State::Maintenance || (from == State::Down && self.verdict.reason != Reason::Dns);
        if judged.state == State::Up && is_cold {
            self.ramp.begin(now);
        }
        self.ramp.advance(now, self.policy.slow_start);
        if judged.state == from {
            self.verdict = Verdict { since: self.verdict.since, ..judged };
            return None;
        }
        self.verdict = judged;
        Some(Transition { from, verdict: self.verdict.clone() })
    }

    /// The verdict of the layers, as if it began now.
    fn judged(&self, now: Duration) -> Verdict {
        let (state, reason, text) = self.objection().unwrap_or_else(|| self.no_objection());
        Verdict { state, reason, text, last_answer: self.probes.last_answer.clone(), since: now }
    }

    /// What the first layer that objects to traffic says.
    fn objection(&self) -> Option<(State, Reason, String)> {
        let order = self.order();
        if order == Standing::Maintenance {
            let (reason, who) = self.who_ordered();
            return Some((State::Maintenance, reason, format!("{who} orders maintenance")));
        }
        if let Some(detail) = &self.unresolved {
            return Some((State::Down, Reason::Dns, format!("its name does not resolve: {detail}")));
        }
        if self.probes.state() == State::Down {
            return Some((State::Down, self.probes.reason, self.probes.text.clone()));
        }
        if self.is_ejected() {
            return Some((State::Down, Reason::TrafficFailing, self.ejection.text.clone()));
        }
        if order == Standing::Drain {
            let (reason, who) = self.who_ordered();
            return Some((State::Draining, reason, format!("{who} orders draining")));
        }
        None
    }

    fn no_objection(&self) -> (State, Reason, String) {
        match self.policy.check {
            Some(_) => (self.probes.state(), self.probes.reason, self.probes.text.clone()),
            None => {
                let text = "the pool has no checks, and live traffic shows no failure";
                (State::Up, Reason::Unchecked, text.to_owned())
            }
        }
    }

    fn who_ordered(&self) -> (Reason, &'static str) {
        match self.intent {
            Some(_) => (Reason::Operator, "an operator"),
            None => (Reason::Configured, "the configuration"),
        }
    }
}
