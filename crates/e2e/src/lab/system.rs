//! The systems that are compared, each with the settings that its users would give it.
//!
//! The invariant: they all hold one address on two machines of which the first is preferred, over the same network.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::balancer::program;
use crate::network::Network;
use crate::place::Scratch;
use crate::process::Process;

/// The address that moves.
pub const SERVICE: &str = "10.77.0.50";

/// Which system, with which times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// Ours, with its defaults.
    Evenkeel,
    /// Ours, `beat every=20ms dead=80ms`.
    EvenkeelTuned,
    /// VRRP version 2 with its default of one advertisement a second.
    Keepalived,
    /// VRRP version 3 with twenty advertisements a second.
    KeepalivedTuned,
    /// `keepalive 500ms`, `deadtime 3`, `initdead 10`, `auto_failback on`.
    Heartbeat,
}

impl System {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Evenkeel, Self::EvenkeelTuned, Self::Keepalived, Self::KeepalivedTuned, Self::Heartbeat];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Evenkeel => "evenkeel",
            Self::EvenkeelTuned => "evenkeel 20/80 ms",
            Self::Keepalived => "keepalived",
            Self::KeepalivedTuned => "keepalived 50 ms",
            Self::Heartbeat => "Heartbeat",
        }
    }

    /// Whether it is ours.
    pub fn is_ours(self) -> bool {
        matches!(self, Self::Evenkeel | Self::EvenkeelTuned)
    }

    /// After how long of silence it holds a node for dead.
    pub fn dead(self) -> Duration {
        Duration::from_millis(match self {
            Self::Evenkeel => 1000,
            Self::EvenkeelTuned => 80,
            Self::Keepalived => 3600,
            Self::KeepalivedTuned => 180,
            Self::Heartbeat => 3000,
        })
    }

    /// How long it may take until the first machine has the address.
    pub(super) fn patience(self) -> Duration {
        match self {
            Self::Heartbeat => Duration::from_secs(60),
            _ => Duration::from_secs(30),
        }
    }

    /// The program that has to be there.
    pub fn program(self) -> &'static Path {
        Path::new(match self {
            Self::Evenkeel | Self::EvenkeelTuned => "/usr/bin/setpriv",
            Self::Keepalived | Self::KeepalivedTuned => "/usr/sbin/keepalived",
            Self::Heartbeat => "/usr/libexec/heartbeat/heartbeat",
        })
    }

    /// Starts it on a machine.
    pub(super) fn launch(self, network: &Network, scratch: &Scratch, host: u8, service: &str) -> Process {
        match self {
            Self::Evenkeel => evenkeel(network, scratch, host, "", service),
            Self::EvenkeelTuned => evenkeel(network, scratch, host, "    beat every=20ms dead=80ms\n", service),
            Self::Keepalived => keepalived(network, scratch, host, "    advert_int 1\n"),
            Self::KeepalivedTuned => keepalived(network, scratch, host, "    version 3\n    advert_int 0.05\n"),
            Self::Heartbeat => heartbeat(network, scratch, host),
        }
    }
}

fn evenkeel(network: &Network, scratch: &Scratch, host: u8, beat: &str, service: &str) -> Process {
    let key = scratch.write("key", &"k".repeat(40));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("the file was made just now");
    let file = scratch.write(
        "evenkeel.conf",
        &format!(
            "{service}cluster edge key=file:{} {{\n    node lb1 10.77.0.1\n    node lb2 10.77.0.2\n{beat}    \
             group web prefer=lb1 {{\n        ip {SERVICE}/24\n    }}\n}}\n",
            key.display()
        ),
    );
    let (file, name) = (file.display().to_string(), format!("lb{host}"));
    let place = |what: &str| scratch.file(&format!("{what}{host}")).display().to_string();
    let program = program().display().to_string();
    let (state, control) = (place("state"), place("control"));
    let words = [program.as_str(), "run", &file, "--node", &name, "--state", &state, "--control", &control];
    start(network, scratch, host, &words)
}

fn keepalived(network: &Network, scratch: &Scratch, host: u8, times: &str) -> Process {
    let (state, priority) = if host == 1 { ("MASTER", 150) } else { ("BACKUP", 100) };
    let file = scratch.write(
        &format!("keepalived{host}.conf"),
        &format!(
            "global_defs {{\n    router_id lb{host}\n}}\nvrrp_instance web {{\n    state {state}\n    interface eth0\n    \
             virtual_router_id 51\n    priority {priority}\n{times}    virtual_ipaddress {{\n        {SERVICE}/24\n    }}\n}}\n"
        ),
    );
    let place = |what: &str| scratch.file(&format!("{what}{host}.pid")).display().to_string();
    let (file, main, vrrp) = (file.display().to_string(), place("main"), place("vrrp"));
    // A machine that was switched off has lost what stood in `/run`: with these it takes itself for running.
    for left in [&main, &vrrp] {
        let _ = fs::remove_file(left);
    }
    let words = ["/usr/sbin/keepalived", "-n", "-l", "-P", "-f", &file, "-p", &main, "-r", &vrrp];
    start(network, scratch, host, &words)
}

/// It knows its files by fixed names, so that each machine sees its own under them.
fn heartbeat(network: &Network, scratch: &Scratch, host: u8) -> Process {
    let folder = scratch.file(&format!("ha{host}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the scratch folder is ours");
    let shown = folder.display().to_string();
    for (from, to) in [("/etc/ha.d", "etc"), ("/var/lib/heartbeat", "lib")] {
        let copied = Command::new("cp").args(["-a", from, &format!("{shown}/{to}")]).status();
        assert!(copied.is_ok_and(|status| status.success()), "{from} cannot be copied");
    }
    let other = 3 - host;
    let write = |name: &str, text: &str, mode: u32| {
        let path = folder.join("etc").join(name);
        fs::write(&path, text).expect("the scratch folder is ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("the file was made just now");
    };
    let times = "keepalive 500ms\ndeadtime 3\nwarntime 1500ms\ninitdead 10\n";
    let rest = format!("udpport 694\nucast eth0 10.77.0.{other}\nauto_failback on\nnode lb1\nnode lb2\n");
    write("ha.cf", &format!("logfile /dev/stderr\n{times}{rest}"), 0o644);
    write("authkeys", "auth 1\n1 sha1 a-secret-of-the-lab\n", 0o600);
    write("haresources", &format!("lb1 IPaddr::{SERVICE}/24/eth0\n"), 0o644);
    let script = format!(
        "hostname lb{host} && mount --bind {shown}/etc /etc/ha.d && mount --bind {shown}/lib /var/lib/heartbeat && \
         mount -t tmpfs tmpfs /run && mkdir -p /run/heartbeat/ccm /run/heartbeat/crm /run/lock /run/resource-agents && \
         chown -R hacluster:haclient /run/heartbeat && /usr/libexec/heartbeat/heartbeat -f & wait"
    );
    let own = ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", &script];
    start(network, scratch, host, &own)
}

fn start(network: &Network, scratch: &Scratch, host: u8, words: &[&str]) -> Process {
    let space = network.space(host);
    let arguments: Vec<&str> = ["netns", "exec", &space].into_iter().chain(words.iter().copied()).collect();
    let output = scratch.file(&format!("output{host}"));
    Process::start(&format!("machine {host}"), "ip".as_ref(), &arguments, scratch.path(), output)
}
