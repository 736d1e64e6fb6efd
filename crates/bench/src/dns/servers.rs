//! The name servers under test, each with the same zone, one thread for datagrams on one core, and no limit on answers.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::peers::Running;

/// A server under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    /// The socket that reflects: the floor.
    Reflector,
    /// This tree's.
    Evenkeel,
    /// Debian's.
    Nsd,
    /// Debian's.
    Knot,
    /// Debian's.
    Gdnsd,
    /// Debian's.
    Bind,
}

impl Server {
    /// Those measured, the floor first.
    pub(crate) const ALL: [Self; 6] = [Self::Reflector, Self::Evenkeel, Self::Nsd, Self::Knot, Self::Gdnsd, Self::Bind];

    /// The name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Reflector => "reflecting socket",
            Self::Evenkeel => "evenkeel",
            Self::Nsd => "NSD",
            Self::Knot => "Knot",
            Self::Gdnsd => "gdnsd",
            Self::Bind => "BIND",
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::Reflector | Self::Evenkeel => "",
            Self::Nsd => "/usr/sbin/nsd",
            Self::Knot => "/usr/sbin/knotd",
            Self::Gdnsd => "/usr/sbin/gdnsd",
            Self::Bind => "/usr/sbin/named",
        }
    }

    /// Debian's package that has it.
    pub(crate) fn package(self) -> &'static str {
        match self {
            Self::Reflector | Self::Evenkeel => "",
            Self::Nsd => "nsd",
            Self::Knot => "knot",
            Self::Gdnsd => "gdnsd",
            Self::Bind => "bind9",
        }
    }

    /// Whether the machine has it.
    pub(crate) fn is_there(self) -> bool {
        self.program().is_empty() || Path::new(self.program()).is_file()
    }

    /// The version as the program tells it.
    pub(crate) fn version(self, evenkeel: &Path) -> String {
        let (program, argument) = match self {
            Self::Reflector => return "this tree".to_owned(),
            Self::Evenkeel => (evenkeel, "version"),
            Self::Nsd => (Path::new(self.program()), "-v"),
            Self::Knot => (Path::new(self.program()), "--version"),
            // It tells it when it is called wrongly, and not otherwise.
            Self::Gdnsd => (Path::new(self.program()), "version"),
            Self::Bind => (Path::new(self.program()), "-v"),
        };
        let Ok(output) = Command::new(program).arg(argument).stdin(Stdio::null()).output() else {
            return "not found".to_owned();
        };
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned()
    }
}

/// Where a server runs.
pub(crate) struct Place<'a> {
    pub(crate) addr: SocketAddr,
    /// A directory for its files, with the zone in `zones/bench.test`.
    pub(crate) dir: &'a Path,
    pub(crate) evenkeel: &'a Path,
    /// Where a TCP server comes and goes, for the run in which verdicts change.
    pub(crate) flapping: Option<SocketAddr>,
}

/// Of so many names one has another address with the next serial.
const CHANGING: u32 = 10_000;

/// The zone with so many names. It is put in place whole, as an editor or a script does it.
pub(crate) fn write_zone(dir: &Path, names: u32, serial: u32) -> io::Result<()> {
    use std::fmt::Write as _;
    let mut text = format!(
        "$ORIGIN bench.test.\n$TTL 300\n@ SOA ns1 hostmaster {serial} 7200 900 1209600 300\n@ NS ns1\nns1 A 192.0.2.1\n"
    );
    for number in 0..names {
        let [_, high, middle, low] = number.to_be_bytes();
        let first = if number % CHANGING == serial % CHANGING { 11 } else { 10 };
        let _ = writeln!(text, "h{number} A {first}.{high}.{middle}.{low}");
    }
    std::fs::create_dir_all(dir.join("zones"))?;
    // Beside the folder, since gdnsd reads every file in it.
    std::fs::write(dir.join("bench.test.new"), text)?;
    std::fs::rename(dir.join("bench.test.new"), dir.join("zones/bench.test"))
}

/// Starts a server pinned to a core.
pub(crate) fn start(server: Server, place: &Place<'_>, core: usize) -> io::Result<Running> {
    let mut command = Command::new("taskset");
    command.arg("-c").arg(core.to_string());
    let Place { addr, dir, .. } = place;
    match server {
        Server::Reflector => {
            command.arg(std::env::current_exe()?).arg("reflect").arg(addr.to_string());
        }
        Server::Evenkeel => {
            let file = write(dir, "evenkeel.conf", &evenkeel_conf(place))?;
            command.arg(place.evenkeel).arg("run").arg(file).args(["--log-level", "error"]);
        }
        Server::Nsd => {
            let file = write(dir, "nsd.conf", &nsd_conf(place))?;
            command.arg(server.program()).arg("-d").arg("-c").arg(file);
        }
        Server::Knot => {
            let file = write(dir, "knot.conf", &knot_conf(place))?;
            command.arg(server.program()).arg("-c").arg(file);
        }
        Server::Gdnsd => {
            write(dir, "config", &gdnsd_conf(place))?;
            command.arg(server.program()).arg("-c").arg(dir).arg("start");
        }
        Server::Bind => {
            let file = write(dir, "named.conf", &named_conf(place))?;
            command.arg(server.program()).args(["-f", "-n", "1", "-c"]).arg(file);
        }
    }
    Running::start(&mut command)
}

/// Has it read its zone anew, in the way that its manual says.
pub(crate) fn reload(server: Server, pid: u32, place: &Place<'_>) {
    match server {
        Server::Reflector => {}
        Server::Evenkeel => {
            let control = place.dir.join("evenkeel.sock");
            let mut command = Command::new(place.evenkeel);
            let _ = command.arg("reload").arg("--control").arg(control).stdout(Stdio::null()).status();
        }
        Server::Gdnsd => {
            let mut command = Command::new("gdnsdctl");
            let _ = command.arg("-c").arg(place.dir).arg("reload-zones").stderr(Stdio::null()).status();
        }
        Server::Nsd | Server::Knot | Server::Bind => {
            if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::HUP);
            }
        }
    }
}

fn write(dir: &Path, name: &str, text: &str) -> io::Result<PathBuf> {
    let path = dir.join(name);
    std::fs::write(&path, text)?;
    Ok(path)
}

fn evenkeel_conf(place: &Place<'_>) -> String {
    let (dir, addr) = (place.dir.display(), place.addr);
    let head = format!("state {dir}/state\ncontrol {dir}/evenkeel.sock\nlimits {{\n    workers 1\n}}\n");
    let (pool, zone) = match place.flapping {
        Some(flapping) => (
            format!(
                "pool flapping {{\n    check tcp every=100ms rise=1 fall=1\n    server a {flapping}\n    server b 127.0.0.2:9\n}}\n"
            ),
            format!(
                "    zone bench.test file={dir}/zones/bench.test {{\n        name h0 answer=pool pool=flapping\n    }}\n"
            ),
        ),
        None => (String::new(), format!("    zone bench.test file={dir}/zones/bench.test\n")),
    };
    format!("{head}{pool}dns {addr} {{\n    rate off\n{zone}}}\n")
}

fn nsd_conf(place: &Place<'_>) -> String {
    let (dir, ip, port) = (place.dir.display(), place.addr.ip(), place.addr.port());
    format!(
        "server:\n  server-count: 1\n  ip-address: {ip}@{port}\n  zonesdir: \"{dir}/zones\"\n  username: \"\"\n  chroot: \"\"\n  \
         pidfile: \"{dir}/nsd.pid\"\n  xfrdfile: \"{dir}/xfrd.state\"\n  zonelistfile: \"{dir}/zone.list\"\n  \
         xfrdir: \"{dir}\"\n  rrl-ratelimit: 0\n  rrl-whitelist-ratelimit: 0\n  minimal-responses: yes\n\
         remote-control:\n  control-enable: no\nzone:\n  name: bench.test\n  zonefile: bench.test\n"
    )
}

fn knot_conf(place: &Place<'_>) -> String {
    let (dir, ip, port) = (place.dir.display(), place.addr.ip(), place.addr.port());
    format!(
        "server:\n    rundir: \"{dir}\"\n    listen: {ip}@{port}\n    udp-workers: 1\n    tcp-workers: 1\n    background-workers: 1\n\
         log:\n  - target: stderr\n    any: error\ndatabase:\n    storage: \"{dir}/db\"\n\
         zone:\n  - domain: bench.test\n    storage: \"{dir}/zones\"\n    file: bench.test\n"
    )
}

fn gdnsd_conf(place: &Place<'_>) -> String {
    let dir = place.dir.display();
    format!(
        "options => {{\n  run_dir => {dir}\n  state_dir => {dir}\n  listen => {{ {} => {{ udp_threads = 1, tcp_threads = 1 }} }}\n}}\n",
        place.addr
    )
}

fn named_conf(place: &Place<'_>) -> String {
    let (dir, ip, port) = (place.dir.display(), place.addr.ip(), place.addr.port());
    format!(
        "options {{ directory \"{dir}\"; listen-on port {port} {{ {ip}; }}; listen-on-v6 {{ none; }}; recursion no; \
         pid-file none; session-keyfile \"{dir}/session.key\"; minimal-responses yes; notify no; dnssec-validation no; }};\n\
         controls {{ }};\nzone \"bench.test\" {{ type primary; file \"{dir}/zones/bench.test\"; }};\n"
    )
}
