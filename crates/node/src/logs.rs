//! Log writers: a thread for each access log, which takes batches of lines from the workers and puts them where
//! they belong.
//!
//! What a line looks like is the data plane's matter. The invariant: a log that is slow, full or gone costs its own
//! lines, which are counted, and never a request or another log.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use evenkeel_model::config::{Config, LogTarget};
use evenkeel_net::clock;
use evenkeel_net::files::{LogFile, Lost};
use evenkeel_net::syslog::Syslog;
use evenkeel_proxy::log::{self, LogSink, LogSource};
use tokio::sync::mpsc;

use crate::crew::JOIN_PATIENCE;
use crate::origin::words;
use crate::supervisor::Event;
use crate::tail::LogTail;
use crate::tasks::{self, Ending};

/// A log that loses lines says so at most this often.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// Logs that were opened for a configuration that does not run yet.
pub(crate) type OpenedLogs = Vec<(LogTarget, Destination)>;

/// Where a log's lines go.
pub(crate) enum Destination {
    File(LogFile),
    Syslog(Syslog),
}

/// The logs that are written.
///
/// A log that is no longer named loses its sink here; its writer ends when the last connection that writes to it does.
pub(crate) struct LogWriters {
    sinks: HashMap<LogTarget, LogSink>,
    shared: HashMap<LogTarget, Arc<WriterShared>>,
    tail: LogTail,
    ending: Ending,
    events: mpsc::Sender<Event>,
}

/// What a writer's thread shares with the supervisor.
#[derive(Default)]
struct WriterShared {
    /// Counts orders to open the file anew.
    reopen: AtomicU64,
    /// Lines lost on their way into the queue.
    dropped: AtomicU64,
    /// Lines that the destination did not take.
    refused: AtomicU64,
}

/// Opens the logs that a configuration names and that do not run yet.
///
/// # Errors
/// Every file that cannot be opened, in words.
pub(crate) fn open(config: &Config, running: &HashSet<LogTarget>) -> Result<OpenedLogs, Vec<String>> {
    let mut opened = OpenedLogs::new();
    let mut wrong = Vec::new();
    for target in targets(config) {
        if running.contains(&target) {
            continue;
        }
        match Destination::open(&target) {
            Ok(destination) => opened.push((target, destination)),
            Err(error) => wrong.push(format!("the log {} cannot be opened: {}", name(&target), words(&error))),
        }
    }
    if wrong.is_empty() { Ok(opened) } else { Err(wrong) }
}

impl LogWriters {
    /// None yet.
    pub(crate) fn new(events: &mpsc::Sender<Event>) -> Self {
        Self {
            sinks: HashMap::new(),
            shared: HashMap::new(),
            tail: LogTail::default(),
            ending: Ending::new(),
            events: events.clone(),
        }
    }

    /// Starts the writers of opened logs.
    ///
    /// # Errors
    /// Where the system has no thread to give. What was started by then goes with the next reload.
    pub(crate) fn start(&mut self, opened: OpenedLogs) -> io::Result<()> {
        for (target, destination) in opened {
            let (sink, source) = log::channel();
            let shared = Arc::new(WriterShared::default());
            let write = Writing {
                target: target.clone(),
                destination,
                source,
                shared: Arc::clone(&shared),
                tail: self.tail.clone(),
            };
            let token = self.ending.token();
            let run = move || {
                let _held = token;
                write.run();
            };
            tasks::start_thread(tasks::LOG_WRITER, Some(self.sinks.len()), &self.events, run)?;
            self.sinks.insert(target.clone(), sink);
            self.shared.insert(target, shared);
        }
        Ok(())
    }

    /// Lets go of logs that the configuration no longer names.
    pub(crate) fn forget_unnamed(&mut self, config: &Config) {
        let named = targets(config);
        self.sinks.retain(|target, _| named.contains(target));
        self.shared.retain(|target, _| named.contains(target));
    }

    /// Where workers put lines, by log.
    pub(crate) fn sinks(&self) -> &HashMap<LogTarget, LogSink> {
        &self.sinks
    }

    /// The latest lines of all of them.
    pub(crate) fn tail(&self) -> LogTail {
        self.tail.clone()
    }

    /// Has every file opened anew, those as well to which nothing is written: whoever moved them away waits for their room.
    pub(crate) fn reopen(&self) {
        for shared in self.shared.values() {
            shared.reopen.fetch_add(1, Ordering::Relaxed);
        }
        for sink in self.sinks.values() {
            // It wakes the writer. One that has no room for it is awake.
            sink.send(Vec::new());
        }
    }

    /// Lines lost so far, by log; logs that lost none are left out.
    pub(crate) fn lost(&self) -> BTreeMap<String, u64> {
        let count = |shared: &WriterShared| {
            shared.dropped.load(Ordering::Relaxed).saturating_add(shared.refused.load(Ordering::Relaxed))
        };
        let each = self.shared.iter().map(|(target, shared)| (name(target), count(shared)));
        each.filter(|(_, lost)| *lost > 0).collect()
    }

    /// Waits a moment for the last lines. The workers must be gone by now.
    pub(crate) fn finish(self) {
        drop(self.sinks);
        if !self.ending.wait(JOIN_PATIENCE) {
            tracing::warn!("a log has not taken its last lines after {} s", JOIN_PATIENCE.as_secs());
        }
    }
}

/// One writer's thread.
struct Writing {
    target: LogTarget,
    destination: Destination,
    source: LogSource,
    shared: Arc<WriterShared>,
    tail: LogTail,
}

impl Writing {
    fn run(mut self) {
        let mut reopened = 0;
        let mut complaint = Complaint::default();
        while let Some(batch) = self.source.recv() {
            let wanted = self.shared.reopen.load(Ordering::Relaxed);
            if wanted != reopened {
                reopened = wanted;
                self.reopen();
            }
            if batch.is_empty() {
                continue;
            }
            let outcome = self.destination.write(&batch);
            // Also what the destination did not take: then it is the only place that has it.
            self.tail.push(&batch);
            self.shared.dropped.store(self.source.dropped(), Ordering::Relaxed);
            if let Err(lost) = outcome {
                self.shared.refused.fetch_add(lost.lines, Ordering::Relaxed);
                if let Some(lines) = complaint.add(lost.lines, clock::now()) {
                    let (log, cause) = (name(&self.target), words(&lost.source));
                    tracing::warn!("the log {log} has lost {lines} lines: {cause}");
                }
            }
        }
    }

    fn reopen(&mut self) {
        if let Err(error) = self.destination.reopen() {
            let (log, cause) = (name(&self.target), words(&error));
            tracing::error!("the log {log} cannot be opened anew and goes on in the old file: {cause}");
        }
    }
}

impl Destination {
    fn open(target: &LogTarget) -> io::Result<Self> {
        Ok(match target {
            LogTarget::Stdout => Self::File(LogFile::stdout()),
            LogTarget::File(path) => Self::File(LogFile::open(path)?),
            LogTarget::SyslogUnix(path) => Self::Syslog(Syslog::unix(path)),
            LogTarget::SyslogUdp(addr) => Self::Syslog(Syslog::udp(*addr)),
        })
    }

    fn write(&mut self, batch: &[u8]) -> Result<(), Lost> {
        match self {
            Self::File(file) => file.append(batch),
            Self::Syslog(syslog) => {
                let lines = batch.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                let mut lost = None;
                for line in lines {
                    if let Err(source) = syslog.send(line) {
                        let before = lost.map_or(0, |lost: Lost| lost.lines);
                        lost = Some(Lost { lines: before.saturating_add(1), source });
                    }
                }
                lost.map_or(Ok(()), Err)
            }
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.reopen(),
            // Syslog opens anew by itself when its daemon went away.
            Self::Syslog(_) => Ok(()),
        }
    }
}

/// Gathers what would be a line each, so that neither a full disk nor a stranger fills the log with complaints.
#[derive(Debug, Default)]
pub(crate) struct Complaint {
    count: u64,
    last: Option<Duration>,
}

impl Complaint {
    /// Adds so many; gives how many there were since the last complaint where it is time for one.
    pub(crate) fn add(&mut self, count: u64, now: Duration) -> Option<u64> {
        self.count = self.count.saturating_add(count);
        let is_time = self.last.is_none_or(|last| now.saturating_sub(last) >= COMPLAIN_EVERY);
        is_time.then(|| {
            self.last = Some(now);
            std::mem::take(&mut self.count)
        })
    }
}

/// The logs that a configuration names, each once.
pub(crate) fn targets(config: &Config) -> Vec<LogTarget> {
    let mut found: Vec<LogTarget> = Vec::new();
    let of_requests = config.listeners.iter().flat_map(|listener| &listener.sites).flat_map(|site| &site.logs);
    let of_connections = config.listeners.iter().filter_map(|listener| listener.tcp.as_ref()).flat_map(|tcp| &tcp.logs);
    for log in of_requests.chain(of_connections) {
        if !found.contains(&log.to) {
            found.push(log.to.clone());
        }
    }
    for log in config.dns.iter().filter_map(|dns| dns.log.as_ref()) {
        if !found.contains(&log.to) {
            found.push(log.to.clone());
        }
    }
    found
}

fn name(target: &LogTarget) -> String {
    match target {
        LogTarget::Stdout => "stdout".to_owned(),
        LogTarget::File(path) => format!("`{}`", path.display()),
        LogTarget::SyslogUnix(path) => format!("syslog at `{}`", path.display()),
        LogTarget::SyslogUdp(addr) => format!("syslog at {addr}"),
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_model::ListenerName;
    use evenkeel_model::config::{AccessLog, ListenAddr, Listener, LogFormat, Site};

    use super::*;
    use crate::scratch::Scratch;

    fn config(targets: &[LogTarget]) -> Config {
        let log = |to: &LogTarget| AccessLog { to: to.clone(), format: LogFormat::Json, rules: Vec::new() };
        let site = Site { logs: targets.iter().map(log).collect(), ..Site::default() };
        let listener = Listener {
            tls: None,
            name: ListenerName::of_address(":1"),
            addr: ListenAddr::Every(1),
            timeouts: Default::default(),
            limits: Default::default(),
            trusted: Vec::new(),
            max_conns: None,
            proxied: Vec::new(),
            sites: vec![site],
            tcp: None,
        };
        Config { listeners: vec![listener], ..Config::default() }
    }

    #[test]
    fn a_log_that_cannot_be_opened_is_named_and_one_that_runs_is_left_alone() {
        let dir = Scratch::new();
        let good = LogTarget::File(dir.path().join("a.log"));
        let bad = LogTarget::File(dir.path().join("absent/b.log"));
        let wrong = open(&config(&[good.clone(), bad.clone()]), &HashSet::new()).err().unwrap();
        assert!(wrong.len() == 1 && wrong[0].contains("absent/b.log"), "{wrong:?}");
        let opened = open(&config(&[good, bad.clone()]), &HashSet::from([bad]));
        assert_eq!(opened.unwrap().len(), 1);
    }

    #[test]
    fn a_log_without_lines_is_opened_anew_when_that_is_ordered() {
        let dir = Scratch::new();
        let path = dir.path().join("a.log");
        let mut writers = LogWriters::new(&mpsc::channel(1).0);
        writers.start(open(&config(&[LogTarget::File(path.clone())]), &HashSet::new()).unwrap()).unwrap();
        std::fs::rename(&path, dir.path().join("a.log.1")).unwrap();
        writers.reopen();
        // What was ordered before the end is done before it.
        writers.finish();
        assert!(path.exists(), "no line has come, and none has to");
    }

    #[test]
    fn a_log_no_longer_named_lets_its_writer_end() {
        let dir = Scratch::new();
        let named = config(&[LogTarget::File(dir.path().join("a.log"))]);
        let mut writers = LogWriters::new(&mpsc::channel(1).0);
        writers.start(open(&named, &HashSet::new()).unwrap()).unwrap();
        assert_eq!(writers.sinks().len(), 1);
        writers.forget_unnamed(&Config::default());
        assert!(writers.sinks().is_empty());
        assert!(writers.ending.wait(Duration::from_secs(10)), "its thread ends");
    }

    #[test]
    fn complaints_are_rare_and_lose_no_count() {
        let mut complaint = Complaint::default();
        let at = Duration::from_secs;
        assert_eq!(complaint.add(3, at(100)), Some(3));
        assert_eq!(complaint.add(4, at(101)), None);
        assert_eq!(complaint.add(5, at(109)), None);
        assert_eq!(complaint.add(1, at(110)), Some(10));
    }
}
