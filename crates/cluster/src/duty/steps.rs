//! A group's resources, one step at a time.
//!
//! The invariant: at most one step runs, and its resource is the next in the order. A step that nobody reports counts as
//! failed after the resource's own time and a grace, since whoever carries it out ends it at that time.

use std::time::Duration;

use evenkeel_model::caps;

use crate::action::Outcome;
use crate::settings::{Resource, STOP_GRACE};

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Start(usize),
    Stop(usize),
}

/// What came of a report or of the time that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing to tell.
    None,
    /// A resource did not start.
    StartFailed(usize),
    /// A resource does not stop.
    Stuck(usize),
}

#[derive(Debug, Clone, Copy)]
struct Running {
    step: Step,
    number: u32,
    deadline: Duration,
}

/// Where the resources are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Steps {
    /// Resources before this one run, or may.
    up: usize,
    /// Resources before this one may still run from before a reload, and have to be stopped on the way down.
    reach: usize,
    running: Option<Running>,
    attempts: u8,
}

impl Steps {
    /// The next step on the way up, if none runs.
    pub(crate) fn start(&mut self, now: Duration, resources: &[Resource], number: u32) -> Option<Step> {
        let resource = resources.get(self.up).filter(|_| self.running.is_none())?;
        self.begin(Step::Start(self.up), number, now + resource.timeout + STOP_GRACE)
    }

    /// The next step on the way down, if none runs.
    pub(crate) fn stop(&mut self, now: Duration, resources: &[Resource], number: u32) -> Option<Step> {
        let last = self.up.max(self.reach).checked_sub(1).filter(|_| self.running.is_none())?;
        let timeout = resources.get(last).map_or(Duration::ZERO, |resource| resource.timeout);
        self.begin(Step::Stop(last), number, now + timeout + STOP_GRACE)
    }

    fn begin(&mut self, step: Step, number: u32, deadline: Duration) -> Option<Step> {
        self.running = Some(Running { step, number, deadline });
        Some(step)
    }

    /// A step of that number has ended.
    pub(crate) fn report(&mut self, number: u32, outcome: Outcome) -> Progress {
        match self.running.take_if(|running| running.number == number) {
            Some(running) => self.end(running.step, outcome),
            None => Progress::None,
        }
    }

    /// Time has passed.
    pub(crate) fn expire(&mut self, now: Duration) -> Progress {
        match self.running.take_if(|running| running.deadline <= now) {
            Some(running) => self.end(running.step, Outcome::Failed),
            None => Progress::None,
        }
    }

    fn end(&mut self, step: Step, outcome: Outcome) -> Progress {
        match (step, outcome) {
            (Step::Start(at), Outcome::Ok) => {
                self.up = at + 1;
                Progress::None
            }
            (Step::Start(at), Outcome::Failed) => {
                // It may have started in part: it is stopped as well.
                self.up = at + 1;
                Progress::StartFailed(at)
            }
            (Step::Stop(at), Outcome::Ok) => {
                (self.up, self.reach, self.attempts) = (self.up.min(at), at, 0);
                Progress::None
            }
            (Step::Stop(at), Outcome::Failed) => {
                self.attempts += 1;
                if self.attempts < caps::GROUP_STOP_ATTEMPTS {
                    return Progress::None;
                }
                self.attempts = 0;
                Progress::Stuck(at)
            }
        }
    }

    /// This node stood still for that long: so did its waiting.
    pub(crate) fn extend(&mut self, late: Duration) {
        if let Some(running) = &mut self.running {
            running.deadline += late;
        }
    }

    /// Other resources from now on: what stands first in both, and runs, goes on. Of the others any may run by now.
    pub(crate) fn follow(&mut self, now: &[Resource], next: &[Resource]) {
        if now != next {
            self.reach = if self.is_down() { 0 } else { next.len() };
            let running = now.iter().take(self.up);
            self.up = running.zip(next).take_while(|(one, other)| one == other).count();
            (self.running, self.attempts) = (None, 0);
        }
    }

    /// Whether a report is awaited under that number.
    pub(crate) fn awaits(&self, number: u32) -> bool {
        self.running.is_some_and(|running| running.number == number)
    }

    /// Whether all run.
    pub(crate) fn is_up(&self, resources: &[Resource]) -> bool {
        self.running.is_none() && self.up == resources.len()
    }

    /// Whether none runs.
    pub(crate) fn is_down(&self) -> bool {
        self.running.is_none() && self.up == 0 && self.reach == 0
    }

    /// When a step counts as failed.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.running.map(|running| running.deadline)
    }
}
