//! An authority that gives certificates and is strict: pebble, which its makers test clients with.
//!
//! It asks our own DNS where hosts are. The invariant: it listens when [`Authority::start`] returns.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::place::{Scratch, free_at_home};
use crate::process::Process;
use crate::{PATIENCE, await_for};

/// Who issues what it gives, as `openssl` shows it.
pub const ISSUER: &str = "Pebble";

/// How an authority behaves.
#[derive(Debug, Clone)]
pub struct Manner {
    /// Where it asks for texts, instead of on port 80.
    pub http: SocketAddr,
    /// Where it begins TLS, instead of on port 443.
    pub https: SocketAddr,
    /// Which name server it asks.
    pub dns: SocketAddr,
    /// For how many seconds its certificates are valid.
    pub life: u64,
    /// Which share of good nonces it refuses, in percent.
    pub bad_nonces: u8,
    /// How many seconds it takes to look, at most.
    pub slow: u8,
    /// Hosts that it signs for nobody.
    pub refused: Vec<String>,
    /// The only account that it takes others from, where it takes no strangers: its ID and its key.
    pub bound: Option<(String, String)>,
}

impl Manner {
    /// One that looks there, and does what authorities do: it refuses some nonces, and takes its time.
    pub fn new(http: SocketAddr, https: SocketAddr, dns: SocketAddr) -> Self {
        Self { http, https, dns, life: 90 * 24 * 3600, bad_nonces: 5, slow: 1, refused: Vec::new(), bound: None }
    }
}

/// A running authority.
#[derive(Debug)]
pub struct Authority {
    at: SocketAddr,
    ca: PathBuf,
    process: Process,
}

impl Authority {
    /// Starts one in this folder.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start(scratch: &Scratch, manner: &Manner) -> Self {
        Self::start_at(scratch, manner, free_at_home())
    }

    /// Starts one that listens there.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start_at(scratch: &Scratch, manner: &Manner, at: SocketAddr) -> Self {
        let (key, ca) = (scratch.file("authority.key"), scratch.file("authority.pem"));
        if !ca.is_file() {
            certify(at, &key, &ca);
        }
        let keys: serde_json::Map<_, _> =
            manner.bound.iter().map(|(id, key)| (id.clone(), key.as_str().into())).collect();
        let config = serde_json::json!({ "pebble": {
            "listenAddress": at.to_string(),
            "managementListenAddress": free_at_home().to_string(),
            "certificate": ca,
            "privateKey": key,
            "httpPort": manner.http.port(),
            "tlsPort": manner.https.port(),
            "ocspResponderURL": "",
            "externalAccountBindingRequired": manner.bound.is_some(),
            "externalAccountMACKeys": keys,
            "domainBlocklist": manner.refused,
            "certificateValidityPeriod": manner.life,
        }});
        let config = scratch.write("authority.json", &config.to_string()).display().to_string();
        let dns = manner.dns.to_string();
        let words = ["-strict", "-config", &config, "-dnsserver", &dns];
        let (bad_nonces, slow) = (manner.bad_nonces.to_string(), manner.slow.to_string());
        let variables = [
            ("PEBBLE_WFE_NONCEREJECT", bad_nonces.as_str()),
            ("PEBBLE_VA_SLEEPTIME", slow.as_str()),
            // Each order is looked at anew.
            ("PEBBLE_AUTHZREUSE", "0"),
        ];
        let output = scratch.file("authority.log");
        let program = Path::new("/usr/bin/pebble");
        let process = Process::start_with("pebble", program, &words, scratch.path(), output, &variables);
        await_for("the authority to listen", PATIENCE, || TcpStream::connect(at).ok());
        Self { at, ca, process }
    }

    /// The URL of its directory.
    pub fn directory(&self) -> String {
        format!("https://{}/dir", self.at)
    }

    /// Where it listens.
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// Who signed what it shows itself: its own certificate.
    pub fn ca(&self) -> &Path {
        &self.ca
    }

    /// How many certificates it has given.
    pub fn given(&self) -> usize {
        self.log().matches("Issued certificate serial").count()
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        self.process.output()
    }
}

/// Makes a certificate for an address, which signs itself.
///
/// # Panics
/// Where `openssl` does not.
pub fn certify(at: SocketAddr, key: &Path, cert: &Path) {
    let names = format!("subjectAltName=IP:{}", at.ip());
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=authority", "-addext", &names, "-keyout"])
        .arg(key)
        .arg("-out")
        .arg(cert)
        .stdin(Stdio::null())
        .output()
        .expect("openssl is installed by `cargo xtask setup`");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
