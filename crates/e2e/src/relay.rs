//! nginx and HAProxy with a configuration that a scenario writes: other ends of the PROXY protocol, servers with TLS.
//!
//! The invariant: it accepts when its start returns.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::place::Scratch;
use crate::process::Process;
use crate::{PATIENCE, await_for};

/// A running one.
#[derive(Debug)]
pub struct Relay {
    process: Process,
    /// What lies beside it and goes away with it.
    scratches: Vec<Scratch>,
}

impl Relay {
    /// nginx with these lines in its `http` block.
    ///
    /// # Panics
    /// Where it does not accept at that address.
    pub fn nginx(at: SocketAddr, lines: &str) -> Self {
        let scratch = Scratch::new("nginx");
        let folder = scratch.path().display();
        let temps: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {folder}/{kind};\n"))
            .collect();
        let config = format!(
            "daemon off;\nmaster_process off;\npid {folder}/pid;\nevents {{ worker_connections 512; }}\n\
             http {{\naccess_log off;\ndefault_type text/plain;\n{temps}{lines}\n}}\n"
        );
        let path = scratch.write("nginx.conf", &config);
        let arguments = ["-p".to_owned(), folder.to_string(), "-c".to_owned(), path.display().to_string()];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["-e", "error.log"]).collect();
        Self::start("nginx", Path::new("/usr/sbin/nginx"), &arguments, at, scratch)
    }

    /// nginx with TLS and a certificate of its own for that name, which it answers every request with.
    ///
    /// # Panics
    /// Where it does not accept at that address, or there is no certificate.
    pub fn nginx_with_tls(at: SocketAddr, name: &str) -> Self {
        let certificates = Scratch::new("certificate");
        let [cert, key] = ["cert.pem", "key.pem"].map(|file| certificates.file(file).display().to_string());
        let subject = format!("/CN={name}");
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
            .args(["-subj", &subject, "-keyout", &key, "-out", &cert])
            .stdin(Stdio::null())
            .output();
        assert!(made.is_ok_and(|made| made.status.success()), "openssl makes no certificate");
        let server = format!(
            "server {{ listen {at} ssl; ssl_certificate {cert}; ssl_certificate_key {key}; \
             location / {{ return 200 \"{name} $ssl_server_name\\n\"; }} }}"
        );
        let mut relay = Self::nginx(at, &server);
        relay.scratches.push(certificates);
        relay
    }

    /// HAProxy with this configuration.
    ///
    /// # Panics
    /// Where it does not accept at that address.
    pub fn haproxy(at: SocketAddr, config: &str) -> Self {
        let scratch = Scratch::new("haproxy");
        let defaults = "defaults\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n";
        let path = scratch.write("haproxy.cfg", &format!("{defaults}{config}"));
        let path = path.display().to_string();
        Self::start("haproxy", Path::new("/usr/sbin/haproxy"), &["-db", "-f", &path], at, scratch)
    }

    fn start(name: &str, program: &Path, arguments: &[&str], at: SocketAddr, scratch: Scratch) -> Self {
        let output = scratch.file("output");
        let mut process = Process::start(name, program, arguments, scratch.path(), output);
        await_for(&format!("{name} to accept"), PATIENCE, || {
            process.expect_running();
            TcpStream::connect(at).ok()
        });
        Self { process, scratches: vec![scratch] }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}
