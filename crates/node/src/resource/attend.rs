//! One resource: its orders one after the other, and a look at it now and then while it runs.
//!
//! The invariant: an order ends within the resource's time, whatever the resource does.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::script::{self, Action, Found};
use super::{Deed, Managed, Report, Reports, ResourceState, Service, Standing, unit};
use crate::command::{self, Ended, Invocation};

/// The program that speaks to systemd.
const SYSTEMCTL: &str = "systemctl";
/// How long a resource may take after a start or stop to say that it has happened: daemons write their pid files late.
const SETTLE: Duration = Duration::from_secs(5);
/// Between two looks while it settles.
const GLANCE: Duration = Duration::from_millis(100);
/// Unclear looks in a row that count as broken: a machine under load answers late.
const UNCLEAR: u32 = 3;
/// How long killing a unit may take, beyond the resource's own time.
const KILL: Duration = Duration::from_secs(1);

/// Who attends to a resource.
pub(super) struct Attendant {
    place: (usize, usize),
    managed: Managed,
    systemctl: String,
    orders: mpsc::Receiver<(u32, Deed)>,
    reports: Reports,
    state: watch::Sender<ResourceState>,
    /// Unclear looks in a row.
    unclear: u32,
}

impl Attendant {
    pub(super) fn new(
        place: (usize, usize),
        managed: Managed,
        orders: mpsc::Receiver<(u32, Deed)>,
        reports: Reports,
        state: watch::Sender<ResourceState>,
    ) -> Self {
        Self { place, managed, systemctl: SYSTEMCTL.to_owned(), orders, reports, state, unclear: 0 }
    }

    /// Until nobody gives orders any more.
    pub(super) async fn live(mut self) {
        let mut look_at = self.next_look();
        loop {
            let is_watched = self.managed.every.is_some() && self.state.borrow().standing == Standing::Running;
            // An order goes before a look; a look that is under way is given up for it.
            let looked = tokio::select! {
                biased;
                order = self.orders.recv() => match order {
                    Some((number, deed)) => Err((number, deed)),
                    None => return,
                },
                found = look(&self.managed, &self.systemctl, look_at), if is_watched => Ok(found),
            };
            match looked {
                Err((number, deed)) => {
                    let failed = self.obey(deed).await.err();
                    if !self.reports.send(Report::Done { number, failed }).await {
                        return;
                    }
                }
                Ok(found) => self.weigh(found).await,
            }
            look_at = self.next_look();
        }
    }

    fn next_look(&self) -> Instant {
        Instant::now() + self.managed.every.unwrap_or_default()
    }

    async fn obey(&mut self, deed: Deed) -> Result<(), String> {
        self.unclear = 0;
        let deadline = Instant::now() + self.managed.timeout;
        let (under_way, done) = match deed {
            Deed::Start => (Standing::Starting, Standing::Running),
            Deed::Stop => (Standing::Stopping, Standing::Stopped),
        };
        self.hold(under_way, "");
        let outcome = match deed {
            Deed::Start => self.start(deadline).await,
            Deed::Stop => self.stop(deadline).await,
        };
        match &outcome {
            Ok(said) => self.hold(done, said),
            Err(why) => self.hold(Standing::Broken, why),
        }
        outcome.map(|_| ())
    }

    async fn start(&self, deadline: Instant) -> Result<String, String> {
        match &self.managed.service {
            Service::Script { .. } if self.managed.every.is_some() => {
                if let Found::Running(said) = self.found(deadline).await {
                    return Ok(said);
                }
            }
            Service::Script { .. } => {}
            Service::Unit(unit) => {
                let left = deadline.saturating_duration_since(Instant::now());
                // One that was not loaded has nothing to be forgiven, and is refused.
                let _ = command::run(unit::forgive(&self.systemctl, unit), left).await;
            }
        }
        let ended = self.act(Action::Start, deadline).await?;
        if !ended.status.success() {
            return Err(self.refusal(&ended));
        }
        let found = self.settled(deadline, |found| matches!(found, Found::Running(_))).await;
        match found {
            None | Some(Found::Running(_)) => Ok("it runs".to_owned()),
            Some(Found::Stopped(said) | Found::Dead(said)) => {
                Err(format!("its start succeeded, and still it does not run: {said}"))
            }
            Some(Found::Unclear(why)) => Err(format!("its start succeeded, and whether it runs cannot be told: {why}")),
        }
    }

    async fn stop(&self, deadline: Instant) -> Result<String, String> {
        if self.managed.every.is_some()
            && let Found::Stopped(said) = self.found(deadline).await
        {
            return Ok(said);
        }
        let ended = match self.act(Action::Stop, deadline).await {
            Ok(ended) => ended,
            Err(why) => {
                self.kill_unit().await;
                return Err(why);
            }
        };
        let found = self.settled(deadline, |found| matches!(found, Found::Stopped(_) | Found::Dead(_))).await;
        match (found, ended.status.success()) {
            (Some(Found::Stopped(said) | Found::Dead(said)), _) => Ok(said),
            (Some(Found::Running(said)), _) => Err(format!("it was stopped, and still it runs: {said}")),
            (None | Some(Found::Unclear(_)), true) => Ok("its stop succeeded".to_owned()),
            (None | Some(Found::Unclear(_)), false) => Err(self.refusal(&ended)),
        }
    }

    /// Asks until the resource is as it should be, for a while. `None` where it has no status.
    async fn settled(&self, deadline: Instant, is_it: impl Fn(&Found) -> bool) -> Option<Found> {
        self.managed.every?;
        let deadline = deadline.min(Instant::now() + SETTLE);
        let mut pause = GLANCE;
        loop {
            let found = self.found(deadline).await;
            if is_it(&found) || Instant::now() + pause >= deadline {
                return Some(found);
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(Duration::from_secs(1));
        }
    }

    fn refusal(&self, ended: &Ended) -> String {
        match &self.managed.service {
            Service::Unit(_) => unit::refusal(ended),
            Service::Script { .. } => ended.sentence(),
        }
    }

    async fn act(&self, action: Action, deadline: Instant) -> Result<Ended, String> {
        run(&self.managed, &self.systemctl, action, deadline).await
    }

    async fn found(&self, deadline: Instant) -> Found {
        found(&self.managed, &self.systemctl, deadline).await
    }

    /// A unit that does not stop is killed, with all of its processes. A script's own tree is dead by now.
    async fn kill_unit(&self) {
        if let Service::Unit(unit) = &self.managed.service
            && let Err(why) = command::run(unit::kill(&self.systemctl, unit), KILL).await
        {
            tracing::warn!("`{unit}` cannot be killed: {why}");
        }
    }

    /// What a look at a running resource means.
    async fn weigh(&mut self, found: Found) {
        let why = match found {
            Found::Running(said) => {
                self.unclear = 0;
                return self.hold(Standing::Running, &said);
            }
            Found::Unclear(why) => {
                self.unclear = self.unclear.saturating_add(1);
                if self.unclear < UNCLEAR {
                    return;
                }
                format!("{UNCLEAR} times in a row it cannot be told whether it runs: {why}")
            }
            Found::Stopped(said) | Found::Dead(said) => format!("it does not run any more: {said}"),
        };
        self.hold(Standing::Broken, &why);
        let (group, resource) = self.place;
        // Where nobody listens, nobody gives orders either, which ends this loop.
        let _ = self.reports.send(Report::Broken { group, resource, why }).await;
    }

    fn hold(&self, standing: Standing, why: &str) {
        let next = ResourceState { standing, why: why.to_owned() };
        self.state.send_if_modified(|state| {
            let differs = *state != next;
            if differs {
                *state = next;
            }
            differs
        });
    }
}

/// Looks at a running resource, at that time.
async fn look(managed: &Managed, systemctl: &str, at: Instant) -> Found {
    tokio::time::sleep_until(at).await;
    found(managed, systemctl, Instant::now() + managed.timeout).await
}

async fn found(managed: &Managed, systemctl: &str, deadline: Instant) -> Found {
    match run(managed, systemctl, Action::Status, deadline).await {
        Ok(ended) => match &managed.service {
            Service::Unit(_) => unit::found(&ended),
            Service::Script { path, .. } => script::found(path, &ended),
        },
        Err(why) => Found::Unclear(why),
    }
}

async fn run(managed: &Managed, systemctl: &str, action: Action, deadline: Instant) -> Result<Ended, String> {
    let invocation: Invocation = match &managed.service {
        Service::Unit(unit) => unit::invocation(systemctl, unit, action),
        Service::Script { path, args } => {
            // Each time: it may have been changed since it was started.
            script::check(path)?;
            script::invocation(path, args, action)
        }
    };
    command::run(invocation, deadline.saturating_duration_since(Instant::now())).await
}

#[cfg(test)]
mod tests;
