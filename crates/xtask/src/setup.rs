//! What the tests need on a Debian machine, and how it gets there.
//!
//! It installs what is missing and touches nothing else. Its invariant: what it is about to do is printed before.

use std::path::{Path, PathBuf};

use crate::steps::{Outcome, answers, command};

/// A program that the tests call, the package that has it, and what it is for.
const PROGRAMS: &[(&str, &str, &str)] = &[
    ("cc", "gcc", "linking"),
    ("/usr/bin/python3", "python3", "an application with sessions"),
    ("/usr/bin/php", "php-cli", "another one, whose sessions stand in URLs"),
    ("nginx", "nginx-light", "servers behind the balancer"),
    ("/usr/lib/nginx/modules/ngx_stream_module.so", "libnginx-mod-stream", "nginx's TCP mode, to measure beside"),
    ("haproxy", "haproxy", "another balancer, to prove the harness"),
    ("curl", "curl", "a client that is not ours"),
    ("h2load", "nghttp2-client", "a client of HTTP/2 that is not ours"),
    ("/usr/lib/python3/dist-packages/grpc/__init__.py", "python3-grpcio", "calls by gRPC, both sides"),
    ("/usr/lib/python3/dist-packages/websockets/__init__.py", "python3-websockets", "WebSockets, both sides"),
    ("named", "bind9", "a primary and a secondary behind the zone-file checker"),
    ("rndc", "bind9-utils", "the command after a change, and `named-checkzone`"),
    ("dig", "bind9-dnsutils", "a client of name servers"),
    ("knotd", "knot", "another server that takes dynamic updates"),
    ("dnsperf", "dnsperf", "load on name servers"),
    ("kzonecheck", "knot-dnssecutils", "another judge of zones"),
    ("nsd", "nsd", "the parents of a zone that nodes answer"),
    ("gdnsd", "gdnsd", "a name server that answers by health, to measure beside"),
    ("pebble", "pebble", "an authority that gives certificates, and is strict"),
    ("zonemaster-cli", "zonemaster-cli", "a judge of delegations"),
    ("unbound", "unbound", "a resolver"),
    ("kresd", "knot-resolver", "another resolver"),
    ("pdns_recursor", "pdns-recursor", "a third resolver; BIND is the fourth"),
    ("chromium", "chromium", "the dashboard as a browser shows it"),
    ("prometheus", "prometheus", "reading our metrics, and promtool, which judges them"),
    ("pg_ctlcluster", "postgresql", "a pair of databases behind the balancer"),
    ("redis-server", "redis-server", "another pair"),
    ("tmux", "tmux", "a terminal for `top`"),
    ("openssl", "openssl", "digests in cookies, to compare with ours; another end of TLS"),
    ("testssl", "testssl.sh", "a judge of TLS"),
    ("setfacl", "acl", "a directory that a list of users opens"),
    ("ip", "iproute2", "machines on a network of their own"),
    ("nft", "nftables", "heartbeats that get lost"),
    ("/lib/systemd/systemd", "systemd", "a manager of units, in namespaces of its own"),
    ("keepalived", "keepalived", "another system that moves addresses"),
    ("/usr/libexec/heartbeat/heartbeat", "heartbeat", "a third one"),
];

/// Where system programs lie that a user's path may lack.
const FOLDERS: &[&str] = &["/usr/sbin", "/usr/bin", "/usr/local/bin", "/usr/local/sbin", "/sbin", "/bin"];

/// Installs what is missing.
pub(crate) fn packages() -> Outcome {
    let missing: Vec<_> = PROGRAMS.iter().filter(|(program, ..)| !is_there(program)).collect();
    for (program, package, purpose) in PROGRAMS {
        let word = if missing.iter().any(|(other, ..)| other == program) { "missing" } else { "there" };
        println!("{program:<8} {word:<8} package {package}: {purpose}");
    }
    if missing.is_empty() {
        return Outcome::Passed;
    }
    let names: Vec<&str> = missing.iter().map(|(_, package, _)| *package).collect();
    let by_hand = format!("install them by `apt-get install --no-install-recommends {}`", names.join(" "));
    let Some(rise) = privilege() else {
        return Outcome::Failed(format!("neither root nor sudo without a password; {by_hand}"));
    };
    let mut update = rise.clone();
    update.extend(["apt-get", "update", "-qq"]);
    let mut install = rise;
    install.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "--no-install-recommends"]);
    install.extend(names);
    match (command(&update), command(&install)) {
        (_, Outcome::Passed) => Outcome::Passed,
        _ => Outcome::Failed(format!("packages did not install; {by_hand}")),
    }
}

/// What to put before a command so that root runs it.
fn privilege() -> Option<Vec<&'static str>> {
    if is_root() {
        Some(Vec::new())
    } else if answers(&["sudo", "-n", "true"]) {
        Some(vec!["sudo", "-n"])
    } else {
        None
    }
}

fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .is_ok_and(|status| status.lines().any(|line| line.starts_with("Uid:\t0\t")))
}

fn is_there(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').chain(FOLDERS.iter().copied()).any(|folder| Path::new(folder).join(program).is_file())
}

/// The version of axe-core that judges the dashboard; one and the same everywhere.
const AXE: &str = "axe-core@4.14.1";

/// Fetches axe-core into the target folder if it is absent. Without a network the test that needs it says so.
pub(crate) fn axe() -> Outcome {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let folder = target.join("axe");
    if folder.join("package/axe.min.js").is_file() {
        return Outcome::Passed;
    }
    let (Ok(()), Some(place)) = (std::fs::create_dir_all(&folder), folder.to_str()) else {
        return Outcome::Failed(format!("{} cannot be made", folder.display()));
    };
    let line = format!("cd '{place}' && npm pack --silent {AXE} && tar xzf axe-core-*.tgz && rm axe-core-*.tgz");
    match command(&["sh", "-c", &line]) {
        Outcome::Failed(why) => Outcome::Skipped(format!("axe-core cannot be fetched from here: {why}")),
        other => other,
    }
}

/// Installs `cargo-deny` if it is absent.
pub(crate) fn cargo_deny() -> Outcome {
    if answers(&["cargo", "deny", "--version"]) {
        return Outcome::Passed;
    }
    println!("cargo-deny is absent: building it, once");
    command(&["cargo", "install", "--locked", "cargo-deny"])
}
