//! The proxies under test, each started the same way: one worker on one core, kept connections on both sides, the
//! same added fields, the log as asked for.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A proxy under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// The do-nothing relay: the floor.
    Relay,
    /// This tree's.
    Evenkeel,
    /// Debian's.
    Nginx,
    /// Debian's.
    Haproxy,
}

impl Peer {
    /// Those measured, the floor first.
    pub(crate) const ALL: [Self; 4] = [Self::Relay, Self::Evenkeel, Self::Nginx, Self::Haproxy];

    /// Whether it can do all of that.
    pub(crate) fn has(self, dress: Dress) -> bool {
        dress != Dress::Full || matches!(self, Self::Evenkeel | Self::Haproxy)
    }

    /// The name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Evenkeel => "evenkeel",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
        }
    }

    /// The version as the program tells it.
    pub(crate) fn version(self, evenkeel: &Path) -> String {
        let (program, argument) = match self {
            Self::Relay => return "this tree".to_owned(),
            Self::Evenkeel => (evenkeel.as_os_str().to_owned(), "version"),
            Self::Nginx => ("nginx".into(), "-v"),
            Self::Haproxy => ("haproxy".into(), "-v"),
        };
        let Ok(output) = Command::new(program).arg(argument).output() else { return "not found".to_owned() };
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned()
    }
}

/// What a peer does beside passing requests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dress {
    /// Nothing.
    Plain,
    /// It writes an access log.
    Logs,
    /// It writes an access log, keeps clients on their server by a cookie and checks servers, where it can.
    Full,
    /// It reads nothing of what it passes on.
    Passed,
}

impl Dress {
    /// Whether it writes an access log.
    pub(crate) fn logs(self) -> bool {
        matches!(self, Self::Logs | Self::Full)
    }

    /// Whether it keeps clients on their server.
    pub(crate) fn is_sticky(self) -> bool {
        self == Self::Full
    }
}

/// Where a peer listens and what it forwards to.
pub(crate) struct Place<'a> {
    /// The peer's own address.
    pub(crate) addr: SocketAddr,
    /// The server behind it.
    pub(crate) server: SocketAddr,
    /// A directory for its files.
    pub(crate) dir: &'a Path,
    /// What it does beside passing requests on.
    pub(crate) dress: Dress,
    /// The program of this tree.
    pub(crate) evenkeel: &'a Path,
}

/// A process of ours, ended when dropped.
pub(crate) struct Running(Child);

impl Running {
    /// Starts a command with its output thrown away.
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.spawn()?))
    }

    /// A process that runs already.
    pub(crate) fn of(child: Child) -> Self {
        Self(child)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // TERM first, so that nginx ends its workers too.
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let end = Instant::now() + Duration::from_secs(3);
        while Instant::now() < end {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a peer pinned to a core and waits until it accepts.
pub(crate) fn start(peer: Peer, place: &Place<'_>, core: usize) -> io::Result<Running> {
    start_with(peer, place, core, &[])
}

/// Starts this tree's program with a configuration of one's own.
pub(crate) fn start_evenkeel(
    evenkeel: &Path,
    dir: &Path,
    config: &str,
    addr: SocketAddr,
    core: usize,
) -> io::Result<Running> {
    let file = write(dir, "evenkeel.conf", config)?;
    let mut command = Command::new("taskset");
    command.arg("-c").arg(core.to_string()).arg(evenkeel).arg("run").arg(file);
    let running = Running::start(&mut command)?;
    wait_for(addr)?;
    Ok(running)
}

/// The same with its configuration changed.
pub(crate) fn start_changed(
    peer: Peer,
    place: &Place<'_>,
    core: usize,
    change: fn(String) -> String,
) -> io::Result<Running> {
    launch(peer, place, core, &[], change)
}

/// The same with these variables in its environment.
pub(crate) fn start_with(
    peer: Peer,
    place: &Place<'_>,
    core: usize,
    environment: &[(&str, &Path)],
) -> io::Result<Running> {
    launch(peer, place, core, environment, |config| config)
}

fn launch(
    peer: Peer,
    place: &Place<'_>,
    core: usize,
    environment: &[(&str, &Path)],
    change: fn(String) -> String,
) -> io::Result<Running> {
    let mut command = Command::new("taskset");
    command.arg("-c").arg(core.to_string()).envs(environment.iter().copied());
    match peer {
        Peer::Relay => {
            command
                .arg(std::env::current_exe()?)
                .arg("relay")
                .arg(place.addr.to_string())
                .arg(place.server.to_string());
        }
        Peer::Evenkeel => {
            let file = write(place.dir, "evenkeel.conf", &change(evenkeel_conf(place)))?;
            command.arg(place.evenkeel).arg("run").arg(file);
        }
        Peer::Nginx => {
            let file = write(place.dir, "nginx.conf", &change(nginx_conf(place)))?;
            command.args(["nginx", "-e", "stderr", "-p"]).arg(place.dir).arg("-c").arg(file);
        }
        Peer::Haproxy => {
            let file = write(place.dir, "haproxy.cfg", &change(haproxy_cfg(place)))?;
            command.args(["haproxy", "-f"]).arg(file);
        }
    }
    let running = Running::start(&mut command)?;
    wait_for(place.addr)?;
    Ok(running)
}

/// Waits until something accepts at the address.
pub(crate) fn wait_for(addr: SocketAddr) -> io::Result<()> {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        match TcpStream::connect_timeout(&addr, Duration::from_millis(200)) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > end => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// An address of this machine that nobody listens at.
pub(crate) fn free_addr() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn write(dir: &Path, name: &str, text: &str) -> io::Result<PathBuf> {
    let path = dir.join(name);
    std::fs::write(&path, text)?;
    Ok(path)
}

fn evenkeel_conf(place: &Place<'_>) -> String {
    let dir = place.dir.display();
    if place.dress == Dress::Passed {
        return format!(
            "state {dir}/state\ncontrol {dir}/evenkeel.sock\nlimits workers=1\ntcp {} {{\n    log off\n    to {}\n}}\n",
            place.addr, place.server
        );
    }
    let log = if place.dress.logs() {
        format!("log {dir}/evenkeel.log {{\n        format combined\n    }}")
    } else {
        "log off".to_owned()
    };
    let extra = if place.dress.is_sticky() { "\n    sticky\n    check GET / every=1s" } else { "" };
    format!(
        "state {dir}/state\ncontrol {dir}/evenkeel.sock\nlimits {{\n    workers 1\n}}\nhttp {} {{\n    {log}\n    \
         forward x-forwarded-for x-forwarded-proto\n    request-id off\n    to {}{extra}\n}}\n",
        place.addr, place.server
    )
}

fn nginx_conf(place: &Place<'_>) -> String {
    let dir = place.dir.display();
    if place.dress == Dress::Passed {
        return format!(
            "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\nworker_processes 1;\ndaemon off;\npid {dir}/nginx.pid;\n\
             error_log /dev/null;\nevents {{ worker_connections 8192; }}\nstream {{\n  server {{\n    listen {} backlog=4096;\n    \
             proxy_pass {};\n  }}\n}}\n",
            place.addr, place.server
        );
    }
    let log =
        if place.dress.logs() { format!("{dir}/nginx.log combined buffer=32k flush=1s") } else { "off".to_owned() };
    format!(
        "worker_processes 1;\ndaemon off;\npid {dir}/nginx.pid;\nerror_log /dev/null;\nevents {{ worker_connections 8192; }}\n\
         http {{\n  access_log {log};\n  client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; \
         uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;\n  keepalive_requests 100000000;\n  \
         upstream origin {{ server {}; keepalive 2048; keepalive_requests 100000000; }}\n  server {{\n    listen {} backlog=4096;\n    location / {{\n      \
         proxy_pass http://origin;\n      proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n      \
         proxy_set_header Host $host;\n      proxy_set_header X-Forwarded-For $remote_addr;\n      \
         proxy_set_header X-Forwarded-Proto $scheme;\n    }}\n  }}\n}}\n",
        place.server, place.addr
    )
}

fn haproxy_cfg(place: &Place<'_>) -> String {
    if place.dress == Dress::Passed {
        return format!(
            "global\n  nbthread 1\n  maxconn 8192\ndefaults\n  mode tcp\n  timeout client 60s\n  timeout server 60s\n  \
             timeout connect 3s\nlisten f\n  bind {} backlog 4096\n  server s {}\n",
            place.addr, place.server
        );
    }
    let (log, option) = if place.dress.logs() {
        ("  log stdout format raw local0 info\n", "  option httplog\n  log global\n")
    } else {
        ("", "")
    };
    let (cookie, check) = match place.dress.is_sticky() {
        true => ("cookie SRV insert indirect nocache\n  option httpchk GET /\n  ", "cookie s check inter 1s"),
        false => ("", ""),
    };
    format!(
        "global\n  nbthread 1\n  maxconn 8192\n{log}defaults\n  mode http\n{option}  timeout client 60s\n  timeout server 60s\n  \
         timeout connect 3s\n  http-reuse always\n  option forwardfor\nfrontend f\n  bind {} backlog 4096\n  \
         http-request set-header X-Forwarded-Proto http\n  default_backend b\nbackend b\n  {cookie}server s {} {check}\n",
        place.addr, place.server
    )
}
