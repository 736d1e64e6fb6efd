//! The program under test, run by its command line alone.
//!
//! It is built on first use, unless `EVENKEEL_BIN` names one. Its invariant: it is ready when [`Balancer::start`]
//! returns, by what it answers on its control socket.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::place::Scratch;
use crate::process::Process;
use crate::{PATIENCE, await_for};

/// Exit code of a command whose daemon does not answer.
pub const NO_DAEMON: i32 = 4;

/// The program.
///
/// # Panics
/// Where it cannot be built.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match std::env::var_os("EVENKEEL_BIN") {
        Some(path) => path.into(),
        None => build(),
    })
}

/// Builds it into the folder that the tests themselves were built into, and says where it is.
fn build() -> PathBuf {
    let profile: &[&str] = if cfg!(debug_assertions) { &[] } else { &["--release"] };
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--package", "evenkeel", "--bin", "evenkeel"])
        .args(profile)
        .current_dir(root)
        .stdin(Stdio::null())
        .status();
    assert!(status.is_ok_and(|status| status.success()), "evenkeel does not build; or name one by EVENKEEL_BIN");
    let own = std::env::current_exe().expect("a running program has a path");
    // Tests are …/target/debug/deps/e2e-1234, programs lie beside …/target/debug/evenkeel.
    let folder = own.ancestors().skip(1).find(|folder| !folder.ends_with("deps"));
    let path = folder.expect("cargo puts programs into a folder").join("evenkeel");
    assert!(path.is_file(), "{} is not there after the build", path.display());
    path
}

/// Runs a command of the program to its end.
///
/// # Panics
/// Where it does not start.
pub fn command(arguments: &[&str]) -> Output {
    let output = Command::new(program()).args(arguments).stdin(Stdio::null()).output();
    output.unwrap_or_else(|error| panic!("{} does not start: {error}", program().display()))
}

/// Both outputs of a command, as text.
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A running evenkeel.
#[derive(Debug)]
pub struct Balancer {
    process: Process,
    scratch: Scratch,
}

impl Balancer {
    /// Runs it with this configuration, to which the places of its state and control socket are added, and waits until it is ready.
    ///
    /// # Panics
    /// Where it does not get ready.
    pub fn start(config: &str) -> Self {
        Self::launch(config).ready()
    }

    /// As [`start`](Self::start), with both its outputs going there.
    ///
    /// # Panics
    /// Where it does not get ready.
    pub fn start_with_output(config: &str, output: PathBuf) -> Self {
        Self::launch_with(config, |_| output).ready()
    }

    fn ready(mut self) -> Self {
        let balancer = &mut self;
        await_for("evenkeel to be ready", PATIENCE, || {
            balancer.process.expect_running();
            balancer.run("status", &[]).status.success().then_some(())
        });
        self
    }

    /// Runs it without waiting.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn launch(config: &str) -> Self {
        Self::launch_with(config, |scratch| scratch.file("output"))
    }

    fn launch_with(config: &str, output: impl FnOnce(&Scratch) -> PathBuf) -> Self {
        let scratch = Scratch::new("evenkeel");
        let path = scratch.write("evenkeel.conf", &complete(config, &scratch));
        let arguments = ["run", &path.to_string_lossy()];
        let output = output(&scratch);
        let process = Process::start("evenkeel", program(), &arguments, scratch.path(), output);
        Self { process, scratch }
    }

    /// Writes another configuration and has it applied.
    ///
    /// # Panics
    /// Where the command does not start.
    pub fn reload(&self, config: &str) -> Output {
        self.scratch.write("evenkeel.conf", &complete(config, &self.scratch));
        self.run("reload", &[])
    }

    /// Runs it again with the same folder, after its end.
    ///
    /// # Panics
    /// Where it does not get ready.
    pub fn again(self) -> Self {
        let Self { process, scratch } = self;
        drop(process);
        let path = scratch.file("evenkeel.conf");
        let arguments = ["run", &path.to_string_lossy()];
        let output = scratch.file("output-again");
        let process = Process::start("evenkeel", program(), &arguments, scratch.path(), output);
        Self { process, scratch }.ready()
    }

    /// Runs a command against its control socket.
    ///
    /// # Panics
    /// Where the command does not start.
    pub fn run(&self, verb: &str, arguments: &[&str]) -> Output {
        let control = self.scratch.file("control.sock");
        let mut words = vec![verb, "--control", control.to_str().expect("the folder's name is ours, and text")];
        words.extend(arguments);
        command(&words)
    }

    /// Runs a command of several words against its control socket.
    ///
    /// # Panics
    /// Where the command does not start.
    pub fn run_words(&self, words: &[&str]) -> Output {
        let control = self.scratch.file("control.sock");
        let control = control.to_str().expect("the folder's name is ours, and text");
        command(&words.iter().copied().chain(["--control", control]).collect::<Vec<_>>())
    }

    /// Writes another configuration, and nothing more.
    pub fn rewrite(&self, config: &str) {
        self.scratch.write("evenkeel.conf", &complete(config, &self.scratch));
    }

    /// Its status as a value.
    ///
    /// # Panics
    /// Where it has none.
    pub fn status(&self) -> Value {
        let output = self.run("status", &["--json"]);
        let read = serde_json::from_slice(&output.stdout);
        read.unwrap_or_else(|error| panic!("status is not JSON: {error}\n{}", text(&output)))
    }

    /// The state of a server, by pool and name.
    ///
    /// # Panics
    /// Where the status does not name it.
    pub fn state(&self, pool: &str, server: &str) -> String {
        let status = self.status();
        let named = |list: &Value, name: &str| {
            list.as_array().and_then(|all| all.iter().find(|one| one["name"] == name).cloned())
        };
        let found = named(&status["pools"], pool).and_then(|pool| named(&pool["servers"], server));
        let found = found.unwrap_or_else(|| panic!("{pool}/{server} is not in {status:#}"));
        found["state"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until a server has that state.
    ///
    /// # Panics
    /// Where that takes too long.
    pub fn await_state(&self, pool: &str, server: &str, state: &str) {
        let what = format!("{pool}/{server} to be {state}");
        await_for(&what, PATIENCE, || (self.state(pool, server) == state).then_some(()));
    }

    /// Sends it a signal.
    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for its end, and gives its exit code; -1 where a signal ended it.
    ///
    /// # Panics
    /// Where it does not end in that time.
    pub fn end(&mut self, patience: Duration) -> i32 {
        self.process.end(patience).code().unwrap_or(-1)
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Its folder.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }
}

fn complete(config: &str, scratch: &Scratch) -> String {
    format!("state {}\ncontrol {}\n{config}", scratch.file("state").display(), scratch.file("control.sock").display())
}
