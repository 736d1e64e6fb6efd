//! Peers in Python that speak what we do not write ourselves: gRPC by its own library, WebSockets by one of theirs.
//!
//! The invariant: what was right is judged by the peer's client, which prints `ok` or what it saw.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::place::{Scratch, free};
use crate::process::Process;
use crate::{PATIENCE, await_for};

const PYTHON: &str = "/usr/bin/python3";

/// A program with a server and a client in it.
#[derive(Debug, Clone, Copy)]
pub enum Program {
    /// gRPC (`python3-grpcio`).
    Calls,
    /// WebSockets (`python3-websockets`).
    Sockets,
}

impl Program {
    fn text(self) -> &'static str {
        match self {
            Self::Calls => include_str!("calls.py"),
            Self::Sockets => include_str!("sockets.py"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls.py",
            Self::Sockets => "sockets.py",
        }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub at: SocketAddr,
    process: Process,
    scratch: Scratch,
    program: Program,
}

impl Server {
    /// Starts a server and waits until it listens.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start(program: Program) -> Self {
        let scratch = Scratch::new(program.name());
        let at = free();
        let path = scratch.write(program.name(), program.text());
        let (host, port) = (at.ip().to_string(), at.port().to_string());
        let arguments = [path.to_str().unwrap_or_default(), "serve", &host, &port];
        let mut process =
            Process::start(program.name(), Path::new(PYTHON), &arguments, scratch.path(), scratch.file("output"));
        await_for("the Python server to be ready", PATIENCE, || {
            process.expect_running();
            process.output().contains("ready").then_some(())
        });
        Self { at, process, scratch, program }
    }

    /// Runs a client of the same program against an address; what it printed.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn client(&self, verb: &str, to: SocketAddr, more: &[&str]) -> String {
        let path = self.scratch.file(self.program.name());
        let output = Command::new("timeout")
            .args(["60", PYTHON])
            .arg(path)
            .args([verb, &to.ip().to_string(), &to.port().to_string()])
            .args(more)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{PYTHON} does not start: {error}"));
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).trim().to_owned()
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}
