//! Keeps a [`Pulse`] beating beside the API.
//!
//! The invariant: nobody holds the pulse while something is awaited.

use std::sync::{Mutex, MutexGuard, PoisonError};

use evenkeel_net::clock;

use crate::Control;
use crate::pulse::{BEAT, Pulse};
use crate::report::{StatusReport, TimelineReport};

/// A node's pulse, shared by everything that shows the node.
#[derive(Debug, Default)]
pub struct Watch {
    pulse: Mutex<Pulse>,
}

impl Watch {
    /// Asks the node how it is, again and again, until this is dropped.
    pub async fn run(&self, control: &dyn Control) {
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            let report = control.counters().await;
            self.pulse().beat(clock::now(), clock::unix_now(), &report);
        }
    }

    /// Writes rates and percentiles into a report.
    pub fn annotate(&self, report: &mut StatusReport) {
        self.pulse().annotate(report);
    }

    /// A server was held for this state, for however short a time.
    pub fn held(&self, pool: &str, server: &str, state: &str) {
        self.pulse().held(clock::unix_now(), pool, server, state);
    }

    /// What the servers of the report were held for in the last day.
    pub fn timeline(&self, report: &StatusReport) -> TimelineReport {
        self.pulse().timeline(clock::unix_now(), report)
    }

    /// A panic within leaves rings that are whole, at worst without the last value.
    fn pulse(&self) -> MutexGuard<'_, Pulse> {
        self.pulse.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
