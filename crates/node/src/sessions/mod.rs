//! The keeper of learned sessions: sweeps the tables, and leaves a copy of them to the next process.
//!
//! It runs on a thread of its own, as disks may be slow. The invariants: a table is looked at shard by shard, so that
//! traffic never waits for it; the file is the last whole copy or none; a file that is torn or not ours is not used, and said
//! so.

mod book;
mod left;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use evenkeel_balance::sessions::{Entry, TableSecret, TableWriter, read_tables};
use evenkeel_model::caps;
use evenkeel_net::{clock, files};
use evenkeel_proxy::Shared;
use tokio::sync::mpsc;

use crate::origin::words;
use crate::supervisor::Event;
use crate::tasks;

pub(crate) use left::{Left, are_all_learned};

pub use book::{NoSession, PoolSessions, SessionBook, SessionFilter, SessionInfo, SessionList};
pub use left::SessionsOn;

/// Between two looks: what a crash may cost of what was learned last.
const PACE: Duration = Duration::from_secs(2);
/// Looks in which the whole of each table is swept: a session that is over goes within two minutes of it.
const ROUND: usize = 60;
/// A copy is made no sooner than so many times the time that the last one took, so that a slow disk has time for others.
const REST: u32 = 10;
/// Unless it took so long that this is enough.
const LONGEST_REST: Duration = Duration::from_secs(30);
/// Bytes that copies write in a second at most, on the average: a disk of flash wears by what is written to it.
const WEAR: u64 = 512 * 1024;
/// How long the last copy may take when the process ends.
const LAST: Duration = Duration::from_secs(10);
/// The file's mode.
const MODE: u32 = 0o600;
/// The most bytes that a file of ours has: some full tables.
const MOST_BYTES: usize = 4 * caps::SESSIONS_PER_POOL as usize * Entry::BYTES;

/// Tables and where their copy goes.
pub(crate) struct SessionKeeper {
    shared: Arc<Shared>,
    secret: TableSecret,
    path: Option<PathBuf>,
    copied: u64,
    is_failing: bool,
    left: Left,
}

/// The keeper at work.
pub(crate) struct KeptSessions {
    stop: SyncSender<()>,
    ended: tasks::Ending,
    thread: thread::JoinHandle<()>,
    /// How many sessions live where.
    pub(crate) left: Left,
}

impl SessionKeeper {
    /// A keeper of the tables that `shared` has and gets. `path` is where their copy is, if anywhere.
    pub(crate) fn new(shared: &Arc<Shared>, hash_seed: &[u8; 16], path: Option<PathBuf>) -> Self {
        Self {
            shared: Arc::clone(shared),
            secret: TableSecret::derive(hash_seed),
            path,
            copied: 0,
            is_failing: false,
            left: Left::default(),
        }
    }

    /// Brings back what the last process left, into the tables that there are.
    pub(crate) fn load(&mut self) {
        let Some(path) = &self.path else { return };
        let file = match files::read_bounded(path, MOST_BYTES) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                tracing::warn!("the saved sessions are not used, `{}`: {}", path.display(), words(&error));
                return;
            }
        };
        match read_tables(&file, &self.secret) {
            Ok(pieces) => {
                let (tables, now) = (self.shared.session_tables(), clock::unix_now().as_secs());
                for (pool, piece) in pieces {
                    let Some(table) = tables.get(&pool) else { continue };
                    piece.entries().for_each(|entry| table.merge(entry, now));
                }
                let held: u64 = tables.values().map(|table| table.stats().held).sum();
                tracing::info!("{held} learned sessions are back from the last run");
            }
            Err(fault) => {
                tracing::warn!("the saved sessions are not used, `{}`: {fault}", path.display());
            }
        }
        self.copied = self.changes();
    }

    /// Goes to work.
    ///
    /// # Errors
    /// Where the system has no thread to give.
    pub(crate) fn start(self, events: &mpsc::Sender<Event>) -> io::Result<KeptSessions> {
        let (stop, stopped) = sync_channel(1);
        let ended = tasks::Ending::new();
        let token = ended.token();
        let left = self.left.clone();
        let thread = tasks::start_thread(tasks::SESSIONS, None, events, move || {
            self.run(&stopped);
            drop(token);
        })?;
        Ok(KeptSessions { stop, ended, thread, left })
    }

    fn run(mut self, stopped: &Receiver<()>) {
        let mut next_copy = clock::now() + PACE;
        let mut next_count = clock::now();
        for look in 0_usize.. {
            match stopped.recv_timeout(PACE) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
            }
            self.sweep(look);
            if clock::now() >= next_count {
                let begun = clock::now();
                self.left.count(&self.shared);
                next_count = clock::now() + (clock::now() - begun) * REST;
            }
            if clock::now() >= next_copy {
                let begun = clock::now();
                let written = self.copy();
                let rest = ((clock::now() - begun) * REST).min(LONGEST_REST);
                next_copy = clock::now() + rest.max(Duration::from_secs(written / WEAR));
            }
        }
        self.copy();
    }

    /// Takes out what is over in the part of the tables whose turn it is.
    fn sweep(&self, look: usize) {
        let now = clock::unix_now().as_secs();
        for table in self.shared.session_tables().values() {
            let share = table.turns().div_ceil(ROUND);
            for turn in 0..share {
                drop(table.sweep(look.wrapping_mul(share).wrapping_add(turn), now));
            }
        }
    }

    /// Writes a copy, if anything has changed since the last one; its bytes. A full disk costs the copy, and nothing else.
    fn copy(&mut self) -> u64 {
        let changes = self.changes();
        let Some(path) = self.path.as_ref().filter(|_| changes != self.copied) else { return 0 };
        let mut written = 0;
        match files::write_atomic_with(path, MODE, |file| self.write(file, &mut written)) {
            Ok(()) => {
                (self.copied, self.is_failing) = (changes, false);
            }
            Err(error) => {
                // Once for each time that it begins: a full disk stays full for a while.
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(
                        "learned sessions are not saved, `{}` could not be written: {}; a restart now would forget them",
                        path.display(),
                        words(&error)
                    );
                }
            }
        }
        written
    }

    fn write(&self, file: &mut dyn Write, written: &mut u64) -> io::Result<()> {
        let (mut out, now) = (Vec::new(), clock::unix_now().as_secs());
        let mut put = |out: &mut Vec<u8>| {
            *written += out.len() as u64;
            let outcome = file.write_all(out);
            out.clear();
            outcome
        };
        let mut writer = TableWriter::begin(&self.secret, &mut out);
        for (pool, table) in self.shared.session_tables() {
            for turn in 0..table.turns() {
                writer.write(&pool, &table.entries(turn, now), &mut out);
                if out.len() >= caps::BODY_BUFFER {
                    put(&mut out)?;
                }
            }
        }
        writer.finish(&mut out);
        put(&mut out)
    }

    fn changes(&self) -> u64 {
        let tables = self.shared.session_tables();
        tables.values().map(|table| table.changes()).fold(tables.len() as u64, u64::wrapping_add)
    }
}

impl KeptSessions {
    /// Has the last copy written.
    pub(crate) fn finish(self) {
        drop(self.stop);
        if self.ended.wait(LAST) {
            // It has let its token go with its last step.
            let _ = self.thread.join();
        } else {
            tracing::warn!(
                "the sessions of the last moments are not saved: the disk took longer than {} s",
                LAST.as_secs()
            );
        }
    }
}
