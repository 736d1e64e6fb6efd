//! The checker beside a running node: a thread of its own, since files and their disks may be slow.
//!
//! The invariant: blocks that a reload leaves as they are keep their counts; what is owed is not forgotten.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_model::caps;
use evenkeel_model::config::{Config, Zonefile};
use evenkeel_net::clock;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::judge::PoolVerdicts;
use super::report::{Outcome, ZonefileReport};
use super::round::{Checker, Mode};
use super::then::{Debts, Strange};
use crate::journal::Journal;
use crate::supervisor::Event;
use crate::tasks;

/// Verdicts of servers that change one after the other are taken together.
const GATHER: Duration = Duration::from_millis(500);

/// The checker's thread, once a configuration has something for it.
pub(crate) struct Zonefiles {
    running: Option<Running>,
    blocks: Vec<Zonefile>,
    place: Option<PathBuf>,
    events: mpsc::Sender<Event>,
    journal: Journal,
    verdicts: watch::Sender<Arc<PoolVerdicts>>,
    reports: watch::Sender<Arc<Vec<ZonefileReport>>>,
}

struct Running {
    orders: mpsc::Sender<Vec<Zonefile>>,
}

impl Zonefiles {
    /// No thread yet. What is owed is kept at `place`.
    pub(crate) fn new(place: Option<PathBuf>, events: mpsc::Sender<Event>, journal: Journal) -> Self {
        let (verdicts, reports) = (watch::Sender::new(Arc::default()), watch::Sender::new(Arc::default()));
        Self { running: None, blocks: Vec::new(), place, events, journal, verdicts, reports }
    }

    /// Makes the blocks those of the configuration.
    ///
    /// # Errors
    /// Where the system has no thread to give.
    pub(crate) fn follow(&mut self, config: &Config) -> io::Result<()> {
        if self.blocks == config.zonefiles {
            return Ok(());
        }
        self.blocks.clone_from(&config.zonefiles);
        if self.running.is_none() {
            self.running = Some(self.start()?);
        }
        if let Some(running) = &self.running {
            // Reloads come one at a time and the thread takes each within a round; were there so many that they pile
            // up, the next reload brings the newest.
            if running.orders.try_send(self.blocks.clone()).is_err() {
                tracing::warn!("the zone-file checker is busy; reload once more to give it the new configuration");
                self.blocks.clear();
            }
        }
        Ok(())
    }

    /// Tells the verdicts of the pools that blocks name.
    pub(crate) fn tell(&self, verdicts: impl FnOnce() -> PoolVerdicts) {
        if self.blocks.iter().all(|block| block.pool.is_none()) {
            return;
        }
        let verdicts = verdicts();
        self.verdicts.send_if_modified(|known| {
            let differs = **known != verdicts;
            if differs {
                *known = Arc::new(verdicts);
            }
            differs
        });
    }

    /// How the files and their sets are.
    pub(crate) fn report(&self) -> Arc<Vec<ZonefileReport>> {
        Arc::clone(&self.reports.borrow())
    }

    fn start(&self) -> io::Result<Running> {
        let (orders, received) = mpsc::channel(caps::ZONEFILE_ORDERS);
        let mut work = Work {
            checkers: Vec::new(),
            debts: Debts::default(),
            place: self.place.clone(),
            journal: self.journal.clone(),
            verdicts: self.verdicts.subscribe(),
            reports: self.reports.clone(),
        };
        let run = move || match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => runtime.block_on(work.live(received)),
            Err(error) => tracing::error!("the zone-file checker cannot run: {error}"),
        };
        tasks::start_thread(tasks::ZONEFILE, None, &self.events, run)?;
        Ok(Running { orders })
    }
}

/// What the thread holds.
struct Work {
    checkers: Vec<Scheduled>,
    debts: Debts,
    place: Option<PathBuf>,
    journal: Journal,
    verdicts: watch::Receiver<Arc<PoolVerdicts>>,
    reports: watch::Sender<Arc<Vec<ZonefileReport>>>,
}

struct Scheduled {
    checker: Checker,
    next: Instant,
}

impl Work {
    /// Until nobody gives orders any more.
    async fn live(&mut self, mut orders: mpsc::Receiver<Vec<Zonefile>>) {
        let mut is_first = true;
        loop {
            let wake = self.wake_at();
            tokio::select! {
                order = orders.recv() => match order {
                    Some(blocks) => {
                        self.follow(blocks, is_first);
                        is_first = false;
                    }
                    None => return,
                },
                changed = self.verdicts.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.hurry();
                }
                () = tokio::time::sleep_until(wake) => self.work().await,
            }
        }
    }

    fn follow(&mut self, blocks: Vec<Zonefile>, is_first: bool) {
        let mut before = std::mem::take(&mut self.checkers);
        for block in blocks {
            let known = before.iter().position(|scheduled| scheduled.checker.block == block);
            let scheduled = known.map(|at| before.swap_remove(at));
            self.checkers
                .push(scheduled.unwrap_or_else(|| Scheduled { checker: Checker::new(block), next: Instant::now() }));
        }
        let blocks: Vec<&Zonefile> = self.checkers.iter().map(|scheduled| &scheduled.checker.block).collect();
        if is_first {
            self.debts = Debts::load(self.place.clone(), &blocks, Strange::Drop);
        } else {
            self.debts.keep(&blocks);
        }
        self.publish();
    }

    /// Blocks that go by a pool's verdicts look at once.
    fn hurry(&mut self) {
        let soon = Instant::now() + GATHER;
        for scheduled in self.checkers.iter_mut().filter(|scheduled| scheduled.checker.block.pool.is_some()) {
            scheduled.next = scheduled.next.min(soon);
        }
    }

    async fn work(&mut self) {
        let pools = Arc::clone(&self.verdicts.borrow());
        for scheduled in &mut self.checkers {
            if scheduled.next > Instant::now() {
                continue;
            }
            let every = scheduled.checker.block.every;
            // A round that takes longer than it should is followed by a full pause, so that there always is one.
            scheduled.checker.round(Mode::Fix, &pools, every, &mut self.debts).await;
            note(&self.journal, &scheduled.checker.report(&self.debts));
            scheduled.next = (scheduled.next + every).max(Instant::now() + every / 10);
        }
        self.debts.run_due().await;
        self.publish();
    }

    fn publish(&self) {
        let reports = self.checkers.iter().map(|scheduled| scheduled.checker.report(&self.debts)).collect();
        self.reports.send_replace(Arc::new(reports));
    }

    fn wake_at(&self) -> Instant {
        let rounds = self.checkers.iter().map(|scheduled| scheduled.next).min();
        let debt = self.debts.next().map(|due| Instant::now() + due.saturating_sub(clock::now()));
        // An hour is as good as never: any order wakes us.
        [rounds, debt].into_iter().flatten().min().unwrap_or_else(|| Instant::now() + Duration::from_secs(3600))
    }
}

/// Writes down what a round changed.
fn note(journal: &Journal, report: &ZonefileReport) {
    for sheet in report.sheets.iter().filter(|sheet| sheet.outcome == Outcome::Changed) {
        // Updates of a live server have no plan of records; their lines say what was sent.
        let said = if sheet.changes.is_empty() { &sheet.diff } else { &sheet.changes };
        journal.note("zonefile", sheet.file.clone(), said.join("; "));
    }
}
