//! Every long-lived task of the process, in one table: what it is called, who owns it, and what ends it.
//!
//! Nothing else in the tree starts a thread or a task that outlives the call that made it; connections' own tasks
//! belong to the worker that accepted them. The invariant: each row is started through this file, so that the table
//! is the whole truth.

use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::supervisor::Event;

/// One kind of long-lived task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// What it is called: the name of the thread, or of the task in messages.
    pub name: &'static str,
    /// Where it runs.
    pub place: Place,
    /// Who holds it.
    pub owner: &'static str,
    /// What it does, in a line.
    pub does: &'static str,
    /// What ends it.
    pub end: &'static str,
}

/// Where a task runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A thread of its own.
    Thread,
    /// The control thread.
    Control,
}

/// The control thread: everything that is not traffic.
pub const CONTROL: Task = Task {
    name: "control",
    place: Place::Thread,
    owner: "the handle",
    does: "runs the supervisor and every task below that is not a thread",
    end: "the supervisor has drained the workers and saved the state",
};
/// One worker.
pub const WORKER: Task = Task {
    name: "worker",
    place: Place::Thread,
    owner: "the crew",
    does: "accepts and serves connections",
    end: "it is drained, or its channel of commands closes",
};
/// One log's writer.
pub const LOG_WRITER: Task = Task {
    name: "log",
    place: Place::Thread,
    owner: "the log writers",
    does: "writes one log's lines, so that a slow disk holds up nobody else",
    end: "the last snapshot that names the log is gone",
};
/// The zone-file checker.
pub const ZONEFILE: Task = Task {
    name: "zonefile",
    place: Place::Thread,
    owner: "the supervisor",
    does: "keeps zone files in step with the servers that answer",
    end: "the supervisor ends, after the round that is under way",
};
/// The channels between nodes.
pub const SHARING: Task = Task {
    name: "sharing",
    place: Place::Thread,
    owner: "the cluster",
    does: "tells the other nodes of learned sessions, and hears of theirs",
    end: "the node has left the cluster",
};
/// The resources' runner.
pub const RESOURCES: Task = Task {
    name: "resources",
    place: Place::Thread,
    owner: "the node of a cluster",
    does: "starts, stops and watches units and scripts that move between nodes",
    end: "nobody gives orders any more; what runs goes on running",
};
/// The signals' listener.
pub const SIGNALS: Task = Task {
    name: "signals",
    place: Place::Control,
    owner: "the supervisor",
    does: "turns signals into orders",
    end: "the control thread ends",
};
/// One server's probe.
pub const PROBE: Task = Task {
    name: "probe",
    place: Place::Control,
    owner: "the probes",
    does: "checks one server again and again",
    end: "the server or its check leaves the configuration, or the control thread ends",
};
/// One name's look-up.
pub const LOOKUP: Task = Task {
    name: "lookup",
    place: Place::Control,
    owner: "the look-ups",
    does: "asks for one host name again when its answer has aged",
    end: "no server has that name any more, or the control thread ends",
};
/// The watchdog.
pub const WATCHDOG: Task = Task {
    name: "watchdog",
    place: Place::Control,
    owner: "the supervisor",
    does: "asks every worker for a sign of life, and tells the service manager",
    end: "the control thread ends",
};
/// One certificate of an authority.
pub const ACME: Task = Task {
    name: "acme",
    place: Place::Control,
    owner: "the orders",
    does: "has a certificate made and renewed by an authority",
    end: "its `acme` leaves the configuration, or the process stops",
};
/// The control socket's service.
pub const SERVICE: Task = Task {
    name: "service",
    place: Place::Control,
    owner: "the supervisor",
    does: "answers on the control socket",
    end: "the control thread ends",
};

/// The sessions' keeper.
pub const SESSIONS: Task = Task {
    name: "sessions",
    place: Place::Thread,
    owner: "the supervisor",
    does: "takes learned sessions out that are over, and copies the tables to the state directory",
    end: "the supervisor has ended, and the last copy is written",
};

/// One thread that answers DNS.
pub const DNS: Task = Task {
    name: "dns",
    place: Place::Thread,
    owner: "dns",
    does: "answers queries over UDP",
    end: "its channel of commands closes",
};
/// DNS over TCP.
pub const DNS_STREAMS: Task = Task {
    name: "dns-tcp",
    place: Place::Thread,
    owner: "dns",
    does: "answers queries over TCP, sends zones, and tells secondary servers of changes",
    end: "its channel of commands closes",
};

/// The heartbeat thread.
pub const HEARTBEAT: Task = Task {
    name: "heartbeat",
    place: Place::Thread,
    owner: "the cluster",
    does: "hears the other nodes, and decides what this one owns",
    end: "the node has left the cluster",
};

/// What keeps paths in their multicast groups.
pub const MULTICAST: Task = Task {
    name: "multicast",
    place: Place::Thread,
    owner: "the heartbeat thread",
    does: "joins the multicast groups of heartbeats again when a device was gone and came back",
    end: "the heartbeat thread has ended",
};

/// The table.
pub const TASKS: [Task; 17] = [
    CONTROL,
    WORKER,
    DNS,
    DNS_STREAMS,
    LOG_WRITER,
    SESSIONS,
    SIGNALS,
    PROBE,
    LOOKUP,
    ACME,
    WATCHDOG,
    SERVICE,
    ZONEFILE,
    HEARTBEAT,
    MULTICAST,
    RESOURCES,
    SHARING,
];

/// Tells when threads have ended: each holds a [`Token`] and lets it go with its last step.
pub(crate) struct Ending {
    token: SyncSender<()>,
    gone: Receiver<()>,
}

/// What a thread holds as long as it runs.
pub(crate) struct Token {
    _held: SyncSender<()>,
}

impl Ending {
    /// Of no thread yet.
    pub(crate) fn new() -> Self {
        let (token, gone) = sync_channel(1);
        Self { token, gone }
    }

    /// For one more thread.
    pub(crate) fn token(&self) -> Token {
        Token { _held: self.token.clone() }
    }

    /// Waits until every token is let go, but no longer than `patience`. Says whether they all are.
    pub(crate) fn wait(self, patience: Duration) -> bool {
        drop(self.token);
        // Nothing is ever sent: the channel breaks when its last sender goes.
        self.gone.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected)
    }
}

/// Starts the control thread. Whoever joins it hears of its panic.
///
/// # Errors
/// Where the system has no thread to give.
pub(crate) fn start_control<T: Send + 'static>(
    run: impl FnOnce() -> T + Send + 'static,
) -> io::Result<thread::JoinHandle<T>> {
    thread::Builder::new().name(CONTROL.name.to_owned()).spawn(run)
}

/// Starts a thread of the table, named after it; a number tells several of a kind apart. One that panics is reported,
/// after all that it held is gone: the process cannot go on as if it still had it.
///
/// # Errors
/// Where the system has no thread to give.
pub(crate) fn start_thread(
    task: Task,
    number: Option<usize>,
    events: &mpsc::Sender<Event>,
    run: impl FnOnce() + Send + 'static,
) -> io::Result<thread::JoinHandle<()>> {
    debug_assert_eq!(task.place, Place::Thread);
    let name = number.map_or_else(|| task.name.to_owned(), |number| format!("{}-{number}", task.name));
    let events = events.clone();
    thread::Builder::new().name(name).spawn(move || {
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            // If nobody takes it, the process is ending already.
            let _ = events.blocking_send(Event::Panicked { task: task.name });
        }
    })
}

/// Starts a task of the table on the control thread. One that panics is reported: the process cannot go on as if it
/// still had it.
pub(crate) fn start_task(
    task: Task,
    events: &mpsc::Sender<Event>,
    run: impl Future<Output = ()> + 'static,
) -> JoinHandle<()> {
    debug_assert_eq!(task.place, Place::Control);
    let events = events.clone();
    tokio::task::spawn_local(async move {
        if caught(run).await.is_err() {
            // If nobody takes it, the process is ending already.
            let _ = events.send(Event::Panicked { task: task.name }).await;
        }
    })
}

/// Runs to the end, or to a panic. What panicked is dropped and not looked at again.
async fn caught(run: impl Future<Output = ()>) -> thread::Result<()> {
    let mut run = pin!(run);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(context))) {
        Ok(polled) => polled.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_has_a_name_of_its_own_an_owner_and_an_end() {
        for (index, task) in TASKS.iter().enumerate() {
            assert!(!task.owner.is_empty() && !task.end.is_empty() && !task.does.is_empty(), "{task:?}");
            assert!(TASKS.iter().skip(index + 1).all(|other| other.name != task.name), "{task:?}");
        }
    }

    #[test]
    fn a_thread_carries_the_name_of_its_row() {
        let (events, _received) = mpsc::channel(1);
        let (told, name) = sync_channel(1);
        let tell = move || told.send(thread::current().name().map(str::to_owned)).unwrap();
        start_thread(WORKER, Some(3), &events, tell).unwrap().join().unwrap();
        assert_eq!(name.recv().unwrap().as_deref(), Some("worker-3"));
    }

    #[test]
    fn a_thread_that_panics_is_reported_after_its_token_is_gone() {
        let (events, mut received) = mpsc::channel(1);
        let ending = Ending::new();
        let token = ending.token();
        let run = move || {
            let _held = token;
            panic!("on purpose");
        };
        start_thread(HEARTBEAT, None, &events, run).unwrap();
        assert!(matches!(received.blocking_recv(), Some(Event::Panicked { task: "heartbeat" })));
        assert!(ending.wait(Duration::ZERO));
    }

    #[test]
    fn an_ending_waits_for_the_last_token_and_not_for_ever() {
        let ending = Ending::new();
        let token = ending.token();
        let thread = thread::spawn(move || drop(token));
        assert!(ending.wait(Duration::from_secs(10)));
        thread.join().unwrap();

        let ending = Ending::new();
        let _held = ending.token();
        assert!(!ending.wait(Duration::from_millis(1)));
    }

    #[test]
    fn a_task_that_panics_is_reported_by_name() {
        let reported = crate::run_beside(async {
            let (events, mut received) = mpsc::channel(1);
            start_task(PROBE, &events, async { panic!("on purpose") });
            received.recv().await
        });
        assert!(matches!(reported.unwrap(), Some(Event::Panicked { task: "probe" })));
    }
}
