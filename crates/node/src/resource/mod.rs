//! Units and scripts that move between nodes: started, stopped and watched on this machine.
//!
//! ```text
//!   at rest ── Start ──▶ starting ── it says that it runs ──▶ running ── it says that it does not ──▶ broken
//!      ▲                    │ failed                             │        (told once)                   │
//!      └───── stopping ◀────┴──────────────── Stop ◀─────────────┴──────────────────────────────────────┘
//! ```
//!
//! Which of them runs where, and in which order, is decided in `evenkeel-cluster`. The invariant: each order is answered
//! by one report, at the latest when the resource's time is over; one resource never does two things at once.

mod attend;
mod script;
mod trust;
mod unit;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_model::caps;
use evenkeel_net::bell::Bell;
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::tasks;
use attend::Attendant;

/// What is started and stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Service {
    /// A unit of systemd.
    Unit(String),
    /// A program that is called with its own arguments and then `start`, `stop` or `status`.
    Script {
        /// The program.
        path: PathBuf,
        /// Its own arguments.
        args: Vec<String>,
    },
}

/// A resource as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Managed {
    /// What it is.
    pub(crate) service: Service,
    /// The longest that a start or stop may take.
    pub(crate) timeout: Duration,
    /// How often it is looked at while it runs. `None`: it has no status, and is believed.
    pub(crate) every: Option<Duration>,
}

/// What is to be done with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// It is to run. One that runs already is left as it is.
    Start,
    /// It is not to run. One that does not run already is left as it is.
    Stop,
}

/// What the runner tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Report {
    /// An order was carried out, or was not, and why.
    Done {
        /// The order's number.
        number: u32,
        /// Why it failed, in words.
        failed: Option<String>,
    },
    /// A resource that was started does not run any more.
    Broken {
        /// Which group.
        group: usize,
        /// Which of its resources.
        resource: usize,
        /// How that was seen.
        why: String,
    },
}

/// Where reports go: to a thread that hears a bell for each.
#[derive(Debug, Clone)]
pub(crate) struct Reports {
    sender: mpsc::Sender<Report>,
    bell: Arc<Bell>,
}

impl Reports {
    /// Into that channel, and the bell rings.
    pub(crate) fn new(sender: mpsc::Sender<Report>, bell: Arc<Bell>) -> Self {
        Self { sender, bell }
    }

    /// Whether somebody listens.
    async fn send(&self, report: Report) -> bool {
        let is_taken = self.sender.send(report).await.is_ok();
        self.bell.ring();
        is_taken
    }
}

/// What a resource is held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing was ordered yet, or it was stopped.
    Stopped,
    /// It is being started.
    Starting,
    /// It runs.
    Running,
    /// It is being stopped.
    Stopping,
    /// It should run and does not, or could not be stopped.
    Broken,
}

/// How a resource is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResourceState {
    /// What it is held for.
    pub(crate) standing: Standing,
    /// Why, where something is wrong; what it said of itself the last time otherwise.
    pub(crate) why: String,
}

/// Orders for one resource, with their numbers.
type Orders = mpsc::Sender<(u32, Deed)>;

/// The runner: a thread that attends to every resource, each on its own.
#[derive(Debug)]
pub(crate) struct Runner {
    orders: Vec<Vec<Option<Orders>>>,
    states: Vec<Vec<Option<watch::Receiver<ResourceState>>>>,
}

impl Runner {
    /// Starts the thread. For each group, for each of its resources: what it is, where it is the runner's business.
    /// Nothing is done before the first order. Reports go to `reports`.
    ///
    /// # Errors
    /// Where the system has no thread to give.
    pub(crate) fn start(groups: Vec<Vec<Option<Managed>>>, reports: &Reports) -> io::Result<Self> {
        let mut attendants = Vec::new();
        let mut runner = Self { orders: Vec::new(), states: Vec::new() };
        for (group, resources) in groups.into_iter().enumerate() {
            let (mut orders, mut states) = (Vec::new(), Vec::new());
            for (resource, managed) in resources.into_iter().enumerate() {
                let begun = managed.map(|managed| {
                    let (sender, received) = mpsc::channel(caps::RESOURCE_ORDERS);
                    let first =
                        ResourceState { standing: Standing::Stopped, why: "nothing was ordered yet".to_owned() };
                    let (state, seen) = watch::channel(first);
                    attendants.push(Attendant::new((group, resource), managed, received, reports.clone(), state));
                    (sender, seen)
                });
                let (sender, seen) = begun.unzip();
                orders.push(sender);
                states.push(seen);
            }
            runner.orders.push(orders);
            runner.states.push(states);
        }
        // In the guard nobody takes events: orders that are not followed say enough.
        let (nobody, _) = mpsc::channel(1);
        tasks::start_thread(tasks::RESOURCES, None, &nobody, move || attend(attendants))?;
        Ok(runner)
    }

    /// Orders something. Whether it will be done and reported: not where the resource is not the runner's, or what was
    /// ordered before is still not done.
    pub(crate) fn order(&self, group: usize, resource: usize, number: u32, deed: Deed) -> bool {
        let orders = self.orders.get(group).and_then(|resources| resources.get(resource)?.as_ref());
        orders.is_some_and(|orders| orders.try_send((number, deed)).is_ok())
    }

    /// How a resource is. `None` where it is not the runner's.
    pub(crate) fn state(&self, group: usize, resource: usize) -> Option<ResourceState> {
        self.states.get(group)?.get(resource)?.as_ref().map(|state| state.borrow().clone())
    }
}

/// Until nobody gives orders any more. What runs then goes on running.
fn attend(attendants: Vec<Attendant>) {
    let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!("units and scripts cannot be run: {error}"),
    };
    runtime.block_on(async {
        let mut all: JoinSet<()> = JoinSet::new();
        for attendant in attendants {
            all.spawn_local(attendant.live());
        }
        while let Some(ended) = all.join_next().await {
            if ended.is_err() {
                tracing::error!("a resource is not attended to any more; restart to have it moved again");
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_find_their_resource_and_reports_the_way_back() {
        let script = |path: &str| Managed {
            service: Service::Script { path: PathBuf::from(path), args: Vec::new() },
            timeout: Duration::from_secs(30),
            every: None,
        };
        let groups = vec![vec![None, Some(script("/bin/true"))], vec![Some(script("/bin/false"))]];
        let (sender, mut reports) = mpsc::channel(4);
        let sender = Reports::new(sender, Arc::new(Bell::new().unwrap()));
        let runner = Runner::start(groups, &sender).unwrap();
        assert!(!runner.order(0, 0, 1, Deed::Start) && !runner.order(2, 0, 1, Deed::Start));
        assert!(runner.order(0, 1, 7, Deed::Start));
        assert_eq!(reports.blocking_recv(), Some(Report::Done { number: 7, failed: None }));
        assert!(runner.order(1, 0, 8, Deed::Start));
        let failed = Some("it ended with exit status 1".to_owned());
        assert_eq!(reports.blocking_recv(), Some(Report::Done { number: 8, failed }));
        assert_eq!(runner.state(0, 1).map(|state| state.standing), Some(Standing::Running));
        assert_eq!(
            (runner.state(0, 0), runner.state(1, 0).map(|state| state.standing)),
            (None, Some(Standing::Broken))
        );
        // The thread ends with its orders, and lets the reports go.
        drop((runner, sender));
        assert_eq!(reports.blocking_recv(), None);
    }
}
