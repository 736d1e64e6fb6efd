//! Real name servers: BIND and Knot, each with one zone below a scratch folder, asked by `dig`.
//!
//! The invariant: each listens on an address and port of its test alone, and ends with its owner.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::place::{Scratch, free};
use crate::process::Process;
use crate::{PATIENCE, await_for};

/// The zone that every server here has.
pub const ZONE: &str = "example.org";

/// The key that servers take for control and updates, in BIND's form.
pub const KEY: &str =
    "key \"lb-key\" {\n\talgorithm hmac-sha256;\n\tsecret \"c2VjcmV0IG9mIHRoZSBob3VzZSBvZiBrZXlz\";\n};\n";

/// A name server.
#[derive(Debug)]
pub struct NameServer {
    /// Where it answers.
    pub at: SocketAddr,
    /// Where it takes orders (BIND).
    control: SocketAddr,
    _process: Process,
    // Last, since fields go in order: the process's last words lie in it.
    scratch: Scratch,
}

/// How BIND holds the zone.
#[derive(Debug, Clone, Copy)]
pub enum Role {
    /// From a file; these are told of changes.
    Primary(Option<SocketAddr>),
    /// From a file that it changes itself, by updates signed with the key.
    Dynamic,
    /// From that primary.
    Secondary(SocketAddr),
    /// From that primary, which wants the key.
    SignedSecondary(SocketAddr),
}

impl NameServer {
    /// Starts BIND at that place, which is one of [`free_at_home`](crate::place::free_at_home), and waits until it answers for the zone.
    ///
    /// # Panics
    /// Where it does not.
    pub fn bind(at: SocketAddr, role: Role, zone: &str) -> Self {
        let scratch = Scratch::new("named");
        let control = free();
        let file = scratch.write("example.org.db", zone);
        scratch.write("key", KEY);
        let holds = match role {
            Role::Primary(None) => "type primary; file \"example.org.db\"; notify no;".to_owned(),
            Role::Primary(Some(to)) => format!(
                "type primary; file \"example.org.db\"; notify explicit; also-notify {{ {} port {}; }};",
                to.ip(),
                to.port()
            ),
            Role::Dynamic => "type primary; file \"example.org.db\"; notify no; update-policy { grant lb-key name www.example.org. A AAAA; grant lb-key name new.example.org. A; };".to_owned(),
            Role::Secondary(from) | Role::SignedSecondary(from) => {
                let _ = fs::remove_file(&file);
                let key = if matches!(role, Role::SignedSecondary(_)) { " key lb-key" } else { "" };
                format!("type secondary; file \"copy.db\"; primaries {{ {} port {}{key}; }};", from.ip(), from.port())
            }
        };
        let config = format!(
            "{KEY}options {{ directory \"{dir}\"; listen-on port {port} {{ {ip}; }}; listen-on-v6 {{ none; }}; recursion no; \
             dnssec-validation no; pid-file none; session-keyfile \"{dir}/session.key\"; allow-transfer {{ any; }}; \
             notify-delay 0; }};\n\
             controls {{ inet {cip} port {cport} allow {{ any; }} keys {{ \"lb-key\"; }}; }};\n\
             zone \"{ZONE}\" {{ {holds} }};\n",
            dir = scratch.path().display(),
            port = at.port(),
            ip = at.ip(),
            cip = control.ip(),
            cport = control.port(),
        );
        let config = scratch.write("named.conf", &config);
        let output = scratch.file("named.log");
        let arguments = ["-g", "-n", "1", "-c", config.to_str().expect("the path is ours")];
        let process = Process::start("named", Path::new("/usr/sbin/named"), &arguments, scratch.path(), output);
        let server = Self { at, control, _process: process, scratch };
        server.await_serial();
        server
    }

    /// Starts Knot with a zone that it takes updates for.
    ///
    /// # Panics
    /// Where it does not answer.
    pub fn knot(zone: &str) -> Self {
        let scratch = Scratch::new("knot");
        let at = free();
        scratch.write("example.org.db", zone);
        fs::create_dir(scratch.file("db")).expect("the folder is new");
        let dir = scratch.path().display();
        let config = format!(
            "server:\n    rundir: \"{dir}\"\n    listen: {ip}@{port}\n    background-workers: 1\n    udp-workers: 1\n    tcp-workers: 1\n\
             log:\n  - target: stderr\n    any: info\ndatabase:\n    storage: \"{dir}/db\"\n\
             key:\n  - id: lb-key\n    algorithm: hmac-sha256\n    secret: c2VjcmV0IG9mIHRoZSBob3VzZSBvZiBrZXlz\n\
             acl:\n  - id: balancer\n    key: lb-key\n    action: update\n\
             zone:\n  - domain: {ZONE}\n    storage: \"{dir}\"\n    file: example.org.db\n    acl: balancer\n",
            ip = at.ip(),
            port = at.port(),
        );
        let config = scratch.write("knot.conf", &config);
        let output = scratch.file("knot.log");
        let arguments = ["-c", config.to_str().expect("the path is ours")];
        let process = Process::start("knotd", Path::new("/usr/sbin/knotd"), &arguments, scratch.path(), output);
        let server = Self { at, control: at, _process: process, scratch };
        server.await_serial();
        server
    }

    /// A file in its folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.scratch.file(name)
    }

    /// The `rndc` command that has it read its zone anew.
    pub fn reload(&self) -> String {
        let key = self.scratch.file("key");
        format!("rndc -s {} -p {} -k {} reload {ZONE}", self.control.ip(), self.control.port(), key.display())
    }

    /// What `dig` gets, in order.
    ///
    /// # Panics
    /// Where `dig` does not start.
    pub fn dig(&self, name: &str, kind: &str) -> Vec<String> {
        let output = Command::new("dig")
            .args([&format!("@{}", self.at.ip()), "-p", &self.at.port().to_string(), "+short", "+time=2", "+tries=1"])
            .args([name, kind])
            .stdin(Stdio::null())
            .output()
            .expect("dig is installed by `cargo xtask setup`");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines: Vec<String> = text.lines().filter(|line| !line.starts_with(';')).map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// The zone's serial, where it answers.
    pub fn serial(&self) -> Option<u32> {
        self.dig(ZONE, "SOA").first()?.split(' ').nth(2)?.parse().ok()
    }

    fn await_serial(&self) {
        await_for("the name server to answer for the zone", PATIENCE, || self.serial());
    }
}
