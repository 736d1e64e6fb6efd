//! The balancers that cases are sent to: ours and Debian's nginx and HAProxy, each with the same routes to the same
//! recording server, each as its manual would have it set up.
//!
//! The invariant: all three tell the server the client's address, and only that, in `X-Forwarded-For`.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use crate::balancer::{self, Balancer};
use crate::place::{Scratch, free};
use crate::process::Process;
use crate::{PATIENCE, await_for};

/// Whose work is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// Ours.
    Evenkeel,
    /// Debian's nginx.
    Nginx,
    /// Debian's HAProxy.
    Haproxy,
}

impl Product {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Evenkeel => "evenkeel",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
        }
    }

    /// Its version, as it says itself.
    pub fn version(self) -> String {
        let output = match self {
            Self::Evenkeel => balancer::command(&["version"]),
            Self::Nginx => Command::new(NGINX).arg("-v").output().expect("nginx is installed"),
            Self::Haproxy => Command::new(HAPROXY).arg("-v").output().expect("haproxy is installed"),
        };
        let text = balancer::text(&output);
        let number = text
            .split(|c: char| c.is_whitespace() || c == '/')
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'));
        number.unwrap_or("of unknown version").to_owned()
    }
}

const NGINX: &str = "/usr/sbin/nginx";
const HAPROXY: &str = "/usr/sbin/haproxy";

/// A balancer in front of a server.
#[derive(Debug)]
pub struct Stand {
    /// Where it listens.
    pub at: SocketAddr,
    product: Product,
    ours: Option<Balancer>,
    theirs: Option<(Process, Scratch)>,
}

impl Stand {
    /// Starts it in front of the server.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start(product: Product, server: SocketAddr) -> Self {
        let (at, nobody) = (free(), free());
        let mut stand = Self { at, product, ours: None, theirs: None };
        match product {
            Product::Evenkeel => stand.ours = Some(Balancer::start(&evenkeel(at, server, nobody))),
            Product::Nginx => stand.run(NGINX, &nginx(at, server, nobody), &["-p", ".", "-e", "error.log", "-c"]),
            Product::Haproxy => stand.run(HAPROXY, &haproxy(at, server, nobody), &["-db", "-f"]),
        }
        stand
    }

    fn run(&mut self, program: &str, config: &str, options: &[&str]) {
        let scratch = Scratch::new(self.product.name());
        let path = scratch.write("peer.conf", config);
        let path = path.to_string_lossy();
        let arguments: Vec<&str> = options.iter().copied().chain([&*path]).collect();
        let output = scratch.file("output");
        let mut process = Process::start(self.product.name(), Path::new(program), &arguments, scratch.path(), output);
        await_for(&format!("{} to accept", self.product.name()), PATIENCE, || {
            process.expect_running();
            TcpStream::connect(self.at).ok()
        });
        self.theirs = Some((process, scratch));
    }

    /// Ours, where it is ours.
    pub fn ours(&self) -> Option<&Balancer> {
        self.ours.as_ref()
    }
}

fn evenkeel(at: SocketAddr, server: SocketAddr, nobody: SocketAddr) -> String {
    format!(
        "http {at} {{\n\
         \x20   route /redirect {{\n        redirect https\n    }}\n\
         \x20   route /own {{\n        respond 200 own\n    }}\n\
         \x20   route /admin/* {{\n        respond 403 no\n    }}\n\
         \x20   route /gone to=gone\n\
         \x20   route * to=shop\n\
         }}\n\
         pool gone {{\n    check off\n    eject off\n    retry 0\n    server x {nobody}\n}}\n\
         pool shop {{\n    check off\n    server o {server}\n}}\n"
    )
}

fn nginx(at: SocketAddr, server: SocketAddr, nobody: SocketAddr) -> String {
    format!(
        "daemon off;\nmaster_process off;\npid pid;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n\
         access_log off;\n\
         client_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\n\
         uwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\n\
         upstream shop {{ server {server}; keepalive 32; }}\n\
         server {{\n\
         listen {at};\n\
         proxy_http_version 1.1;\nproxy_set_header Connection \"\";\nproxy_set_header Host $http_host;\n\
         proxy_set_header X-Forwarded-For $remote_addr;\n\
         location = /redirect {{ return 302 https://$host/redirect; }}\n\
         location = /own {{ return 200 own; }}\n\
         location /admin/ {{ return 403; }}\n\
         location = /gone {{ proxy_pass http://{nobody}; }}\n\
         location / {{ proxy_pass http://shop; }}\n\
         }}\n}}\n"
    )
}

fn haproxy(at: SocketAddr, server: SocketAddr, nobody: SocketAddr) -> String {
    format!(
        "global\n maxconn 1000\n\
         defaults\n mode http\n timeout connect 2s\n timeout client 30s\n timeout server 30s\n timeout http-request 10s\n\
         frontend main\n bind {at}\n\
         http-request set-header X-Forwarded-For %[src]\n\
         http-request redirect scheme https if {{ path /redirect }}\n\
         http-request return status 200 content-type text/plain string own if {{ path /own }}\n\
         http-request deny deny_status 403 if {{ path_beg /admin/ }}\n\
         use_backend gone if {{ path /gone }}\n\
         default_backend shop\n\
         backend gone\n retries 0\n server x {nobody}\n\
         backend shop\n http-reuse always\n server o {server}\n"
    )
}
