//! Real databases, each in a folder of its own, as a user without rights: PostgreSQL and Redis.
//!
//! They can be killed, hung and brought back on the same port. The invariant: what they wrote goes away with them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::place::{Scratch, free};
use crate::process::Process;
use crate::{PATIENCE, await_for};

/// Who runs databases where the test runs as root, which PostgreSQL refuses.
const USER: &str = "nobody";

/// One PostgreSQL server.
#[derive(Debug)]
pub struct Postgres {
    /// Its name, which `show cluster_name` tells.
    pub name: String,
    /// Where it listens.
    pub at: SocketAddr,
    scratch: Scratch,
    process: Option<Process>,
}

impl Postgres {
    /// A new, empty server, which accepts.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start(name: &str) -> Self {
        let scratch = Scratch::new(&format!("postgres-{name}"));
        let data = scratch.file("data");
        std::fs::create_dir_all(&data).expect("the folder is ours");
        give_away(scratch.path());
        let output = run_as_user(
            &program("initdb"),
            &["-D", &data.to_string_lossy(), "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C"],
        );
        assert!(output.status.success(), "initdb: {}", crate::balancer::text(&output));
        let mut server = Self { name: name.to_owned(), at: free(), scratch, process: None };
        server.restore();
        server
    }

    /// Starts it again on its port, and waits until it answers.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn restore(&mut self) {
        let data = self.scratch.file("data");
        let settings = [
            format!("listen_addresses={}", self.at.ip()),
            format!("port={}", self.at.port()),
            format!("unix_socket_directories={}", self.scratch.path().display()),
            format!("cluster_name={}", self.name),
            "fsync=off".to_owned(),
            "max_connections=20".to_owned(),
            "shared_buffers=1MB".to_owned(),
        ];
        let mut arguments = as_user(&program("postgres"));
        arguments.extend(["-D".to_owned(), data.to_string_lossy().into_owned()]);
        arguments.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = self.scratch.file("output");
        let name = format!("postgres {}", self.name);
        let mut process = Process::start(&name, Path::new("setpriv"), &arguments, self.scratch.path(), output);
        await_for(&format!("{name} to answer"), PATIENCE, || {
            process.expect_running();
            self.ask(self.at, "show cluster_name").filter(|answer| *answer == self.name)
        });
        self.process = Some(process);
    }

    /// What a query through some address tells; `None` where it fails.
    pub fn ask(&self, at: SocketAddr, query: &str) -> Option<String> {
        let (host, port) = (at.ip().to_string(), at.port().to_string());
        let output = Command::new(program("psql"))
            .args(["-h", &host, "-p", &port, "-U", "postgres", "-d", "postgres", "-XAtc", query])
            .env("PGCONNECT_TIMEOUT", "5")
            .stdin(Stdio::null())
            .output()
            .expect("psql is installed");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Ends it with SIGKILL, as a machine that dies does.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Stops it without ending it: its kernel still accepts, nobody answers.
    pub fn hang(&mut self) {
        if let Some(process) = &mut self.process {
            process.signal(Signal::STOP);
        }
    }

    /// Lets a hung server go on.
    pub fn resume(&mut self) {
        if let Some(process) = &mut self.process {
            process.signal(Signal::CONT);
        }
    }
}

/// A program of the newest PostgreSQL that Debian has put here.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("postgresql is installed");
    let newest = versions.filter_map(Result::ok).map(|version| version.path()).max();
    newest.expect("postgresql is installed").join("bin").join(name)
}

/// The arguments with which `setpriv` runs a program without rights.
fn as_user(program: &Path) -> Vec<String> {
    let program = program.to_string_lossy().into_owned();
    let mut arguments = vec!["--pdeathsig".to_owned(), "KILL".to_owned()];
    if rustix::process::geteuid().is_root() {
        arguments.extend(["--reuid", USER, "--regid", "nogroup", "--clear-groups"].map(str::to_owned));
    }
    arguments.extend(["--".to_owned(), program]);
    arguments
}

fn run_as_user(program: &Path, arguments: &[&str]) -> std::process::Output {
    let output = Command::new("setpriv").args(as_user(program)).args(arguments).stdin(Stdio::null()).output();
    output.unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()))
}

fn give_away(folder: &Path) {
    if rustix::process::geteuid().is_root() {
        let owner = format!("{USER}:nogroup");
        let status = Command::new("chown").args(["-R", &owner]).arg(folder).status();
        assert!(status.is_ok_and(|status| status.success()), "{} cannot be given away", folder.display());
    }
}

/// One Redis server.
#[derive(Debug)]
pub struct Redis {
    /// Where it listens.
    pub at: SocketAddr,
    scratch: Scratch,
    process: Option<Process>,
}

impl Redis {
    /// A new, empty server that follows another or nobody, and accepts.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start(name: &str, follows: Option<SocketAddr>) -> Self {
        let scratch = Scratch::new(&format!("redis-{name}"));
        give_away(scratch.path());
        let mut server = Self { at: free(), scratch, process: None };
        server.restore(follows);
        server
    }

    /// Starts it again on its port.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn restore(&mut self, follows: Option<SocketAddr>) {
        let words = [
            ("--bind", self.at.ip().to_string()),
            ("--port", self.at.port().to_string()),
            ("--dir", self.scratch.path().to_string_lossy().into_owned()),
            ("--save", String::new()),
            ("--appendonly", "no".to_owned()),
            ("--protected-mode", "no".to_owned()),
        ];
        let mut arguments = as_user(Path::new("/usr/bin/redis-server"));
        arguments.extend(words.into_iter().flat_map(|(word, value)| [word.to_owned(), value]));
        if let Some(other) = follows {
            arguments.extend(["--replicaof".to_owned(), format!("{} {}", other.ip(), other.port())]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = self.scratch.file("output");
        let mut process = Process::start("redis", Path::new("setpriv"), &arguments, self.scratch.path(), output);
        await_for("redis to answer", PATIENCE, || {
            process.expect_running();
            ask(self.at, "PING").filter(|answer| answer == "+PONG")
        });
        self.process = Some(process);
    }

    /// Ends it with SIGKILL.
    pub fn kill(&mut self) {
        self.process = None;
    }
}

/// The first line of Redis's answer to a command over a connection of its own; `None` where there is none.
pub fn ask(at: SocketAddr, command: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&at, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(format!("{command}\r\n").as_bytes()).ok()?;
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        stream.read_exact(&mut byte).ok()?;
        line.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&line).trim_end().to_owned())
}
