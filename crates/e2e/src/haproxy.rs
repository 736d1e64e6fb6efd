//! Debian's HAProxy as the balancer under test: what the harness itself is proven with.
//!
//! If it were wrong about what it counts, it would be wrong about this one too. The invariant: no scenario that is
//! about evenkeel runs against it.

use std::fmt::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use crate::place::{Scratch, free};
use crate::process::Process;
use crate::{PATIENCE, await_for};

/// Where Debian puts it.
const PROGRAM: &str = "/usr/sbin/haproxy";

/// A running HAProxy.
#[derive(Debug)]
pub struct Haproxy {
    /// Where it listens.
    pub at: SocketAddr,
    process: Process,
    _scratch: Scratch,
}

impl Haproxy {
    /// Starts it in front of the servers, with checks and retries on.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start(servers: &[SocketAddr]) -> Self {
        let scratch = Scratch::new("haproxy");
        let at = free();
        let mut config = format!(
            "global\n maxconn 1000\n\
             defaults\n mode http\n timeout connect 2s\n timeout client 30s\n timeout server 30s\n retries 3\n \
             option redispatch 1\n option forwardfor\n retry-on conn-failure empty-response\n\
             listen main\n bind {at}\n balance roundrobin\n option httpchk GET /check\n"
        );
        for (count, server) in servers.iter().enumerate() {
            writeln!(config, " server s{count} {server} check inter 200 fall 1 rise 1").expect("a string takes all");
        }
        let path = scratch.write("haproxy.cfg", &config);
        let arguments = ["-db", "-f", &path.to_string_lossy()];
        let output = scratch.file("output");
        let mut process = Process::start("haproxy", Path::new(PROGRAM), &arguments, scratch.path(), output);
        await_for("haproxy to accept", PATIENCE, || {
            process.expect_running();
            TcpStream::connect(at).ok()
        });
        Self { at, process, _scratch: scratch }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}
