//! Units and scripts of groups, in the guard's hands: a thread attends to them, and they are stopped when nobody orders
//! them any more.
//!
//! The invariant: what was started here is stopped before the guard ends, or had its time to.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_cluster::STOP_GRACE;
use evenkeel_model::caps;
use evenkeel_net::beat::{readable, wait};
use evenkeel_net::bell::Bell;
use evenkeel_net::clock;
use tokio::sync::mpsc;

use super::super::hand::Report;
use crate::resource::{self, Deed, Managed, Reports, Runner, Service, Standing};

/// The number of what nobody ordered. The node's own begin at 1.
const OURS: u32 = 0;
/// Units and scripts; none where no group has any.
pub(super) struct Services(Option<Running>);

struct Running {
    managed: Vec<Vec<Option<Managed>>>,
    runner: Runner,
    reports: mpsc::Receiver<resource::Report>,
    bell: Arc<Bell>,
}

impl Services {
    /// Begins with a clean machine: what runs although this node owns nothing yet is stopped.
    pub(super) fn start(managed: Vec<Vec<Option<Managed>>>) -> io::Result<Self> {
        if managed.iter().flatten().all(Option::is_none) {
            return Ok(Self(None));
        }
        let bell = Arc::new(Bell::new()?);
        let (sender, reports) = mpsc::channel(caps::CLUSTER_COMMANDS);
        let runner = Runner::start(managed.clone(), &Reports::new(sender, Arc::clone(&bell)))?;
        let running = Running { managed, runner, reports, bell };
        for (group, resource) in running.places().filter(|place| running.has_status(*place)) {
            running.runner.order(group, resource, OURS, Deed::Stop);
        }
        Ok(Self(Some(running)))
    }

    /// What to wait for.
    pub(super) fn bell(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(|running| running.bell.as_fd())
    }

    /// Orders something. `None` where it is no unit or script; else what is to be reported now.
    pub(super) fn order(&self, group: usize, resource: usize, number: u32, deed: Deed) -> Option<Vec<Report>> {
        let running = self.0.as_ref()?;
        let managed = running.managed.get(group)?.get(resource)?.as_ref()?;
        if running.runner.order(group, resource, number, deed) {
            return Some(Vec::new());
        }
        let failed = Some(format!("{}: what was ordered before is still under way", name(managed)));
        Some(vec![Report::Done { number, failed }])
    }

    /// What was reported meanwhile.
    pub(super) fn told(&mut self) -> Vec<Report> {
        let Some(running) = &mut self.0 else { return Vec::new() };
        running.bell.hear();
        let mut told = Vec::new();
        while let Ok(report) = running.reports.try_recv() {
            match report {
                resource::Report::Done { number: OURS, .. } => {}
                resource::Report::Done { number, failed } => told.push(Report::Done { number, failed }),
                resource::Report::Broken { group, resource, why } => {
                    let name = running.name(group, resource);
                    told.push(Report::Broken { group, resource, why: format!("{name}: {why}") });
                }
            }
        }
        told
    }

    /// Whether one runs, or is on its way.
    pub(super) fn are_running(&self) -> bool {
        self.0.as_ref().is_some_and(|running| running.places().any(|place| running.is_up(place)))
    }

    /// Nobody has said anything for long: another node runs them by now. They are stopped, from the last to the first, and
    /// count as broken.
    pub(super) fn give_up(&self) -> Vec<Report> {
        let Some(running) = &self.0 else { return Vec::new() };
        let up: Vec<_> = running.places().filter(|place| running.is_up(*place)).collect();
        let stop = |(group, resource): (usize, usize)| {
            running.runner.order(group, resource, OURS, Deed::Stop);
            let why = format!("{}: stopped, since nobody gave orders any more", running.name(group, resource));
            Report::Broken { group, resource, why }
        };
        up.into_iter().rev().map(stop).collect()
    }

    /// Stops them all, the last of each group first, and waits for it as long as each of them may take.
    pub(super) fn stop_all(&mut self) {
        let Some(running) = &mut self.0 else { return };
        let up: Vec<_> = running.places().filter(|place| running.is_up(*place)).collect();
        for (group, resource) in up.into_iter().rev() {
            let timeout = running.managed(group, resource).map_or(Duration::ZERO, |managed| managed.timeout);
            let by = clock::now() + timeout + STOP_GRACE;
            let mut is_ordered = false;
            while running.is_up((group, resource)) && clock::now() < by {
                // What is under way is waited for: its order takes one of few places.
                is_ordered = is_ordered || running.runner.order(group, resource, OURS, Deed::Stop);
                let _ = wait(&mut [readable(running.bell.as_fd())], Duration::from_millis(50));
                running.bell.hear();
                let mut has_failed = false;
                while let Ok(report) = running.reports.try_recv() {
                    has_failed |= matches!(report, resource::Report::Done { number: OURS, failed: Some(_) });
                }
                if has_failed {
                    break;
                }
            }
        }
    }
}

impl Running {
    /// Every place that holds a unit or script, in the order in which they start.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        let of = |(group, resources): (usize, &Vec<Option<Managed>>)| {
            let here = resources.iter().enumerate().filter(|(_, managed)| managed.is_some());
            here.map(|(resource, _)| (group, resource)).collect::<Vec<_>>()
        };
        self.managed.iter().enumerate().flat_map(of)
    }

    fn managed(&self, group: usize, resource: usize) -> Option<&Managed> {
        self.managed.get(group)?.get(resource)?.as_ref()
    }

    fn has_status(&self, (group, resource): (usize, usize)) -> bool {
        self.managed(group, resource).is_some_and(|managed| managed.every.is_some())
    }

    /// Whether something of it may run: what is broken may, in part.
    fn is_up(&self, (group, resource): (usize, usize)) -> bool {
        let standing = self.runner.state(group, resource).map(|state| state.standing);
        standing.is_some_and(|standing| standing != Standing::Stopped)
    }

    fn name(&self, group: usize, resource: usize) -> String {
        self.managed(group, resource).map(name).unwrap_or_default()
    }
}

fn name(managed: &Managed) -> String {
    match &managed.service {
        Service::Unit(unit) => unit.clone(),
        Service::Script { path, .. } => path.display().to_string(),
    }
}
