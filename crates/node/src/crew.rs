//! The workers: one thread with one single-threaded runtime for each core, and the channel of commands to each.
//!
//! Nothing here knows what a worker does with a command; that is the data plane's. The invariant: a change of sockets
//! is sent to every worker or to none, which is why room in every channel is taken before anything is sent.

use std::io;
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_model::{ListenerName, caps};
use evenkeel_proxy::{Command, DrainOutcome, Shared, Snapshot};
use tokio::runtime::{Builder, LocalOptions, RuntimeMetrics};
use tokio::sync::mpsc::OwnedPermit;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::supervisor::Event;
use crate::tasks::{self, Ending, Token};

/// How long a thread that was told to end is waited for. A thread that takes longer is stuck, and the end of the
/// process ends it.
pub(crate) const JOIN_PATIENCE: Duration = Duration::from_secs(2);

/// A listener's new sockets, one for each worker.
pub(crate) type Opened = (ListenerName, Vec<TcpListener>);

/// The workers.
pub(crate) struct Crew {
    workers: Vec<Worker>,
    ending: Ending,
}

struct Worker {
    commands: mpsc::Sender<Command>,
    runtime: RuntimeMetrics,
}

/// The worker of that number did not take or answer a command in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Silent(pub(crate) usize);

/// Room for one command to each worker.
pub(crate) struct Room(Vec<OwnedPermit<Command>>);

/// Answers that are still to come, one from each worker.
pub(crate) struct Acks(Vec<oneshot::Receiver<()>>);

/// The same of workers of which some had no room for the question.
pub(crate) struct Asked(Vec<Option<oneshot::Receiver<()>>>);

impl Crew {
    /// Starts the workers. One that ends says so in `events`.
    ///
    /// # Errors
    /// Where the system has no thread or descriptor to give.
    pub(crate) fn start(count: usize, shared: &Arc<Shared>, events: &mpsc::Sender<Event>) -> io::Result<Self> {
        let ending = Ending::new();
        let start = |index| start_worker(index, Arc::clone(shared), events, ending.token());
        let workers = (0..count).map(start).collect::<io::Result<_>>()?;
        Ok(Self { workers, ending })
    }

    /// How many tasks they run, all of them together: their own few and one for each connection.
    pub(crate) fn tasks(&self) -> usize {
        self.workers.iter().map(|worker| worker.runtime.num_alive_tasks()).sum()
    }

    /// How many they are.
    pub(crate) fn len(&self) -> usize {
        self.workers.len()
    }

    /// Gives every worker a snapshot without waiting for it. Says whether all of them had room; one that had none gets
    /// the next snapshot.
    pub(crate) fn publish(&self, snapshot: &Arc<Snapshot>) -> bool {
        let mut all = true;
        for worker in &self.workers {
            let (command, _) = apply(snapshot, Vec::new(), Vec::new());
            all &= worker.commands.try_send(command).is_ok();
        }
        all
    }

    /// Takes room for one command in every worker's channel.
    ///
    /// # Errors
    /// Where a worker has none within that time.
    pub(crate) async fn room(&self, within: Duration) -> Result<Room, Silent> {
        let deadline = Instant::now() + within;
        let mut permits = Vec::with_capacity(self.workers.len());
        for (index, worker) in self.workers.iter().enumerate() {
            match tokio::time::timeout_at(deadline, worker.commands.clone().reserve_owned()).await {
                Ok(Ok(permit)) => permits.push(permit),
                Ok(Err(_)) | Err(_) => return Err(Silent(index)),
            }
        }
        Ok(Room(permits))
    }

    /// Asks every worker to stop accepting and to let its connections finish until the deadline.
    pub(crate) fn drain(&self, deadline: Instant) -> impl Future<Output = u64> + 'static {
        let channels: Vec<_> = self.workers.iter().map(|worker| worker.commands.clone()).collect();
        async move {
            let mut answers = Vec::new();
            for channel in channels {
                let (done, answer) = oneshot::channel::<DrainOutcome>();
                if channel.send(Command::Drain { deadline, done }).await.is_ok() {
                    answers.push(answer);
                }
            }
            let mut cut = 0_u64;
            for answer in answers {
                cut = cut.saturating_add(answer.await.map_or(0, |outcome| outcome.cut));
            }
            cut
        }
    }

    /// Gives every worker the snapshot and asks for a sign of life. Those behind one that has no room get it too.
    ///
    /// # Errors
    /// The first that has no room.
    pub(crate) fn ping(&self, snapshot: &Arc<Snapshot>) -> Result<Acks, Silent> {
        let answer = |(index, answer): (usize, Option<_>)| answer.ok_or(Silent(index));
        self.ask(snapshot).0.into_iter().enumerate().map(answer).collect::<Result<_, _>>().map(Acks)
    }

    /// The same, where a worker without room is one that does not answer.
    pub(crate) fn ask(&self, snapshot: &Arc<Snapshot>) -> Asked {
        let ask = |worker: &Worker| {
            let (command, ack) = apply(snapshot, Vec::new(), Vec::new());
            worker.commands.try_send(command).ok().map(|()| ack)
        };
        Asked(self.workers.iter().map(ask).collect())
    }

    /// Lets the workers go and waits for their threads for a moment.
    pub(crate) fn dismiss(self) {
        drop(self.workers);
        if !self.ending.wait(JOIN_PATIENCE) {
            tracing::error!("a worker has not ended after {} s", JOIN_PATIENCE.as_secs());
        }
    }
}

impl Room {
    /// Sends the change. From here on it happens.
    pub(crate) fn apply(self, snapshot: &Arc<Snapshot>, opened: Vec<Opened>, closed: &[ListenerName]) -> Acks {
        let mut sockets: Vec<Vec<(ListenerName, TcpListener)>> = self.0.iter().map(|_| Vec::new()).collect();
        for (name, listeners) in opened {
            for (own, listener) in sockets.iter_mut().zip(listeners) {
                own.push((name.clone(), listener));
            }
        }
        let send = |(permit, open): (OwnedPermit<Command>, _)| {
            let (command, ack) = apply(snapshot, open, closed.to_vec());
            permit.send(command);
            ack
        };
        Acks(self.0.into_iter().zip(sockets).map(send).collect())
    }
}

impl Asked {
    /// Those of workers in their order.
    #[cfg(test)]
    pub(crate) fn of(answers: Vec<Option<oneshot::Receiver<()>>>) -> Self {
        Self(answers)
    }

    /// The workers that have not answered when the time is over; nobody, as soon as all have.
    pub(crate) async fn silent(self, within: Duration) -> Vec<usize> {
        let deadline = Instant::now() + within;
        let mut silent = Vec::new();
        for (index, answer) in self.0.into_iter().enumerate() {
            let has_answered = match answer {
                Some(answer) => matches!(tokio::time::timeout_at(deadline, answer).await, Ok(Ok(()))),
                None => false,
            };
            if !has_answered {
                silent.push(index);
            }
        }
        if !silent.is_empty() {
            tokio::time::sleep_until(deadline).await;
        }
        silent
    }
}

impl Acks {
    /// Waits until every worker has answered.
    ///
    /// # Errors
    /// The first worker that has not, when the time is over.
    pub(crate) async fn all(self, within: Duration) -> Result<(), Silent> {
        let deadline = Instant::now() + within;
        for (index, ack) in self.0.into_iter().enumerate() {
            match tokio::time::timeout_at(deadline, ack).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(Silent(index)),
            }
        }
        Ok(())
    }
}

fn apply(
    snapshot: &Arc<Snapshot>,
    open: Vec<(ListenerName, TcpListener)>,
    close: Vec<ListenerName>,
) -> (Command, oneshot::Receiver<()>) {
    let (done, ack) = oneshot::channel();
    (Command::Apply { snapshot: Arc::clone(snapshot), open, close, done }, ack)
}

fn start_worker(index: usize, shared: Arc<Shared>, events: &mpsc::Sender<Event>, token: Token) -> io::Result<Worker> {
    let (commands, received) = mpsc::channel(caps::WORKER_COMMANDS);
    let runtime = || Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    // The runtime belongs to its thread, so that whether it can be built is told back from there.
    let (told, built) = std::sync::mpsc::sync_channel(1);
    let told_to = events.clone();
    let run = move || match runtime() {
        Ok(runtime) => {
            let _held = token;
            let _ = told.send(Ok(runtime.metrics()));
            let life = evenkeel_proxy::worker(index, shared, received);
            let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(life)));
            // Nobody listens any more when the process ends; then nobody needs to know.
            let _ = told_to.blocking_send(Event::WorkerEnded { index, panicked: ended.is_err() });
        }
        Err(error) => {
            let _ = told.send(Err(error));
        }
    };
    tasks::start_thread(tasks::WORKER, Some(index), events, run)?;
    match built.recv() {
        Ok(Ok(runtime)) => Ok(Worker { commands, runtime }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::Error::other("a worker ended before it began")),
    }
}

#[cfg(test)]
mod tests;
