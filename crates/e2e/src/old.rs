//! Balancers that evenkeel takes the place of, with configurations as their manuals write them.
//!
//! Real programs of Debian's, to show that clients keep their servers while one is exchanged for the other. The
//! invariant: such a balancer runs until its owner goes.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use crate::place::{Scratch, free};
use crate::process::Process;
use crate::{PATIENCE, await_for};

/// A running balancer.
#[derive(Debug)]
pub struct Old {
    /// Where it listens.
    pub at: SocketAddr,
    _process: Process,
    _scratch: Scratch,
}

impl Old {
    /// HAProxy whose `listen` section has these lines.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn haproxy(lines: &str) -> Self {
        let scratch = Scratch::new("old-haproxy");
        let at = free();
        let config = format!(
            "global\n maxconn 1000\ndefaults\n mode http\n timeout connect 2s\n timeout client 30s\n \
             timeout server 30s\nlisten main\n bind {at}\n balance roundrobin\n{lines}\n"
        );
        let path = scratch.write("haproxy.cfg", &config);
        Self::start("/usr/sbin/haproxy", &["-db", "-f", &path.to_string_lossy()], at, scratch)
    }

    /// nginx whose `http` section has these lines, and whose `location /` has those.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn nginx(http: &str, location: &str) -> Self {
        let scratch = Scratch::new("old-nginx");
        let at = free();
        let folder = scratch.path().to_string_lossy().into_owned();
        let config = format!(
            "daemon off;\nmaster_process off;\npid {folder}/pid;\nevents {{ worker_connections 512; }}\nhttp {{\n\
             access_log off;\nclient_body_temp_path {folder}/b;\nproxy_temp_path {folder}/p;\n\
             fastcgi_temp_path {folder}/f;\nuwsgi_temp_path {folder}/u;\nscgi_temp_path {folder}/s;\n{http}\n\
             server {{\nlisten {at};\nlocation / {{\n{location}\n}}\n}}\n}}\n"
        );
        let path = scratch.write("nginx.conf", &config);
        let arguments = ["-p", &folder, "-c", &path.to_string_lossy(), "-e", "error.log"];
        Self::start("/usr/sbin/nginx", &arguments, at, scratch)
    }

    fn start(program: &str, arguments: &[&str], at: SocketAddr, scratch: Scratch) -> Self {
        let output = scratch.file("output");
        let mut process = Process::start(program, Path::new(program), arguments, scratch.path(), output);
        await_for(&format!("{program} to accept"), PATIENCE, || {
            process.expect_running();
            TcpStream::connect(at).ok()
        });
        Self { at, _process: process, _scratch: scratch }
    }
}
