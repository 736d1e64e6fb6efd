//! Real nginx servers, each a single process that names itself in every answer and logs the number of every request.
//!
//! It can be killed, hung and brought back on the same port. The invariant: a line of its log is an execution.

use std::collections::HashMap;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use rustix::process::Signal;

use crate::place::{Scratch, free};
use crate::process::Process;
use crate::{PATIENCE, await_for};

/// Where Debian puts it.
const PROGRAM: &str = "/usr/sbin/nginx";

/// Bytes of the large file that each server has under `/large`.
pub const LARGE: usize = 2 * 1024 * 1024;

/// A line of a server's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The request's number, 0 where it had none.
    pub number: u64,
    /// The method.
    pub method: String,
    /// The target.
    pub target: String,
    /// The status.
    pub status: u16,
    /// `X-Forwarded-For` as the server got it.
    pub forwarded_for: String,
}

/// One server.
#[derive(Debug)]
pub struct Nginx {
    /// Its name, in the field `X-Server` of every answer.
    pub name: String,
    /// Where it listens.
    pub at: SocketAddr,
    scratch: Scratch,
    process: Option<Process>,
}

impl Nginx {
    /// Starts a server and waits until it accepts.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start(name: &str) -> Self {
        let scratch = Scratch::new(&format!("nginx-{name}"));
        let at = free();
        let large: Vec<u8> = (0..LARGE).map(|byte| b'a' + u8::try_from(byte % 26).unwrap_or(0)).collect();
        fs::create_dir_all(scratch.file("files")).expect("the folder is ours");
        fs::write(scratch.file("files/large"), large).expect("the folder is ours");
        scratch.write("nginx.conf", &config(name, at, scratch.path()));
        let mut server = Self { name: name.to_owned(), at, scratch, process: None };
        server.restore();
        server
    }

    /// Several, named `a`, `b`, `c` and so on.
    ///
    /// # Panics
    /// Where one does not start.
    pub fn start_many(count: u8) -> Vec<Self> {
        (0..count).map(|at| Self::start(&char::from(b'a' + at).to_string())).collect()
    }

    /// Ends it with SIGKILL.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Stops it without ending it: its kernel still accepts, nothing is answered.
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

    /// Starts it again on its port.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn restore(&mut self) {
        let folder = self.scratch.path().to_owned();
        let config = self.scratch.file("nginx.conf");
        let output = self.scratch.file("output");
        let arguments = ["-p", &folder.to_string_lossy(), "-c", &config.to_string_lossy(), "-e", "error.log"];
        let name = format!("nginx {}", self.name);
        let mut process = Process::start(&name, Path::new(PROGRAM), &arguments, &folder, output);
        await_for(&format!("{name} to accept"), PATIENCE, || {
            process.expect_running();
            TcpStream::connect(self.at).ok()
        });
        self.process = Some(process);
    }

    /// What it has logged.
    pub fn log(&self) -> Vec<Line> {
        let text = fs::read_to_string(self.scratch.file("access.log")).unwrap_or_default();
        text.lines().filter_map(parse).collect()
    }
}

/// How often each numbered request was executed, over all of these servers.
pub fn executions(servers: &[Nginx]) -> HashMap<u64, u32> {
    let mut counts = HashMap::new();
    for line in servers.iter().flat_map(Nginx::log).filter(|line| line.number != 0) {
        *counts.entry(line.number).or_default() += 1;
    }
    counts
}

fn parse(line: &str) -> Option<Line> {
    let mut words = line.split('|');
    Some(Line {
        number: u64::from_str_radix(words.next()?, 16).unwrap_or(0),
        method: words.next()?.to_owned(),
        target: words.next()?.to_owned(),
        status: words.next()?.parse().ok()?,
        forwarded_for: words.next()?.to_owned(),
    })
}

fn config(name: &str, at: SocketAddr, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/pid;\nworker_rlimit_nofile 4096;\n\
         events {{ worker_connections 2048; }}\n\
         http {{\n\
         access_log off;\n\
         log_format account '$http_x_number|$request_method|$request_uri|$status|$http_x_forwarded_for';\n\
         client_body_temp_path {folder}/body;\nproxy_temp_path {folder}/proxy;\nfastcgi_temp_path {folder}/fastcgi;\n\
         uwsgi_temp_path {folder}/uwsgi;\nscgi_temp_path {folder}/scgi;\n\
         keepalive_requests 100000;\nclient_max_body_size 0;\ndefault_type text/plain;\n\
         map $arg_sid $sid {{ default $arg_sid; \"\" $request_id; }}\n\
         server {{\n\
         listen {at} backlog=1024;\n\
         access_log {folder}/access.log account;\n\
         add_header X-Server {name} always;\n\
         location / {{ return 200 \"{name}\\n\"; }}\n\
         location = /check {{ access_log off; return 200 \"ready\\n\"; }}\n\
         location = /fields {{ return 200 \"host=$host xff=$http_x_forwarded_for proto=$http_x_forwarded_proto id=$http_x_request_id\\n\"; }}\n\
         location = /session {{ access_log off; default_type text/html; return 200 '<a href=\"/session?sid=$sid\">on</a>'; }}\n\
         location = /error {{ return 500 \"broken\\n\"; }}\n\
         location = /large {{ root {folder}/files; }}\n\
         location = /trickle {{ alias {folder}/files/large; limit_rate 400k; }}\n\
         }}\n}}\n"
    )
}
