//! A process that a test started: signalled by its id, and never outliving its owner.
//!
//! The kernel kills it as well when the thread that started it is gone (`setpriv --pdeathsig`), so that a test run
//! that is itself killed leaves nothing behind. The invariant: a signal goes to a child that was not yet reaped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::await_for;

/// A running process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    output: PathBuf,
}

impl Process {
    /// Starts a program with both its outputs in one file.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start(name: &str, program: &Path, arguments: &[&str], folder: &Path, output: PathBuf) -> Self {
        Self::start_with(name, program, arguments, folder, output, &[])
    }

    /// As [`start`](Self::start), with these variables in its environment.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start_with(
        name: &str,
        program: &Path,
        arguments: &[&str],
        folder: &Path,
        output: PathBuf,
        environment: &[(&str, &str)],
    ) -> Self {
        let file = File::create(&output).unwrap_or_else(|error| panic!("{}: {error}", output.display()));
        let other = file.try_clone().expect("a file that was just opened can be shared");
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(other)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} ({}) does not start: {error}", program.display()));
        Self { child, name: name.to_owned(), output }
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How many descriptors it has open.
    ///
    /// # Panics
    /// Where it has ended.
    pub fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.id());
        std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}")).count()
    }

    /// The memory that is its own and resident, in KiB.
    ///
    /// # Panics
    /// Where it has ended.
    pub fn memory(&self) -> u64 {
        self.status("RssAnon").parse().expect("the kernel writes a number")
    }

    /// A line of the kernel's account of it, its first word.
    ///
    /// # Panics
    /// Where it has ended, or there is no such line.
    pub fn status(&self, name: &str) -> String {
        let path = format!("/proc/{}/status", self.id());
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let word = line.and_then(|line| line.split_whitespace().next());
        word.unwrap_or_else(|| panic!("no {name} in {path}")).to_owned()
    }

    /// What it has written so far, where that went to a file.
    pub fn output(&self) -> String {
        if !self.output.is_file() {
            return String::new();
        }
        std::fs::read(&self.output).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Sends it a signal. A process that has ended gets none.
    pub fn signal(&mut self, signal: Signal) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none())
            && let Some(id) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
        {
            // It may end between the question and the signal; that is no failure of the test.
            let _ = kill_process(id, signal);
        }
    }

    /// Kills it at once and waits for its end.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|ended| ended.is_none())
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// Where it does not end in that time.
    pub fn end(&mut self, patience: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        await_for(&what, patience, || self.child.try_wait().ok().flatten())
    }

    /// Fails with its output if it has ended.
    ///
    /// # Panics
    /// In that case.
    pub fn expect_running(&mut self) {
        if let Ok(Some(status)) = self.child.try_wait() {
            panic!("{} ended with {status}:\n{}", self.name, self.output());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let output = self.output();
            let tail: Vec<&str> = output.lines().rev().take(40).collect();
            eprintln!("---- last lines of {}:", self.name);
            for line in tail.iter().rev() {
                eprintln!("{line}");
            }
        }
    }
}
