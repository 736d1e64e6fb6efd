//! A network of its own: namespaces on one bridge, each a machine with an address.
//!
//! The invariant: namespaces carry this process's id in their names, and go away with their owner, with everything in
//! them.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// How often the observer asks.
const LOOK: Duration = Duration::from_millis(2);
/// How long one of its requests may take before it counts as failed.
const REQUEST: Duration = Duration::from_secs(2);

/// Waits for a frame of ARP (RFC 826) by that sender for that address: `listener ADDRESS MAC SECONDS`.
const LISTENER: &str = "
import socket, sys, time
addr, mac, end = socket.inet_aton(sys.argv[1]), bytes.fromhex(sys.argv[2].replace(':', '')), time.time() + int(sys.argv[3])
heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
heard.bind(('eth0', 0))
while time.time() < end:
    heard.settimeout(max(end - time.time(), 0.01))
    try:
        frame = heard.recv(128)
    except TimeoutError:
        break
    if frame[22:28] == mac and frame[28:32] == addr:
        sys.exit(0)
sys.exit(1)
";

/// Machines on one bridge. The bridge itself is one more namespace.
#[derive(Debug)]
pub struct Network {
    name: String,
    hosts: u8,
}

impl Network {
    /// So many machines, with 10.77.0.1 and so on, each on its `eth0`.
    ///
    /// # Panics
    /// Where there are none to be had.
    pub fn new(hosts: u8) -> Self {
        let name = format!("ek{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let network = Self { name, hosts };
        let bridge = network.bridge();
        ip(&["netns", "add", &bridge]);
        ip(&["-n", &bridge, "link", "add", "br0", "type", "bridge"]);
        ip(&["-n", &bridge, "link", "set", "br0", "up"]);
        for host in 1..=hosts {
            let space = network.space(host);
            ip(&["netns", "add", &space]);
            ip(&["-n", &space, "link", "set", "lo", "up"]);
            network.plug(host);
        }
        network
    }

    /// Makes a machine's `eth0`, with its address.
    ///
    /// # Panics
    /// Where there is one already.
    pub fn plug(&self, host: u8) {
        let (bridge, space, port) = (self.bridge(), self.space(host), format!("port{host}"));
        ip(&["link", "add", &port, "netns", &bridge, "type", "veth", "peer", "name", "eth0", "netns", &space]);
        ip(&["-n", &bridge, "link", "set", &port, "master", "br0", "up"]);
        ip(&["-n", &space, "link", "set", "eth0", "up"]);
        ip(&["-n", &space, "addr", "add", &format!("{}/24", self.address(host)), "dev", "eth0"]);
    }

    /// Takes a machine's `eth0` away, with everything that the kernel knows of it.
    pub fn plug_away(&self, host: u8) {
        ip(&["-n", &self.space(host), "link", "del", "eth0"]);
    }

    fn bridge(&self) -> String {
        format!("{}br", self.name)
    }

    /// The namespace of a machine, counted from 1.
    pub fn space(&self, host: u8) -> String {
        format!("{}h{host}", self.name)
    }

    /// Its address.
    pub fn address(&self, host: u8) -> IpAddr {
        Ipv4Addr::new(10, 77, 0, host).into()
    }

    /// Pulls its cable out of the bridge, or puts it back. The machine itself sees no difference.
    pub fn cut(&self, host: u8, is_cut: bool) {
        let port = format!("port{host}");
        match is_cut {
            true => ip(&["-n", &self.bridge(), "link", "set", &port, "nomaster"]),
            false => ip(&["-n", &self.bridge(), "link", "set", &port, "master", "br0"]),
        };
    }

    /// Takes an address from its `eth0`, as another program would.
    pub fn take_address(&self, host: u8, addr: &str) {
        ip(&["-n", &self.space(host), "addr", "del", addr, "dev", "eth0"]);
    }

    /// Takes every address from its `eth0`, as its end would.
    pub fn forget_addresses(&self, host: u8) {
        ip(&["-n", &self.space(host), "addr", "flush", "dev", "eth0"]);
    }

    /// Gives its `eth0` another Ethernet address.
    pub fn set_mac(&self, host: u8, mac: &str) {
        ip(&["-n", &self.space(host), "link", "set", "eth0", "address", mac]);
    }

    /// The Ethernet address of its `eth0`.
    pub fn mac(&self, host: u8) -> String {
        let shown = ip(&["-n", &self.space(host), "-o", "link", "show", "dev", "eth0"]);
        let mut words = shown.split_whitespace().skip_while(|word| *word != "link/ether");
        words.nth(1).unwrap_or_default().to_owned()
    }

    /// Runs a script of Python on a machine until it ends.
    ///
    /// # Errors
    /// What it says where it fails.
    pub fn run_script(&self, host: u8, script: &str, arguments: &[&str]) -> Result<(), String> {
        let space = self.space(host);
        let run = ["netns", "exec", &space, "python3", "-c", script].into_iter().chain(arguments.iter().copied());
        let run = Command::new("ip").args(run).output().map_err(|error| error.to_string())?;
        if run.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&run.stderr).into_owned()) }
    }

    /// Whether this Ethernet address is said to have that address, in a request or a reply of ARP that a machine hears
    /// within a time. Waits no longer.
    ///
    /// # Panics
    /// Where the listener does not start.
    pub fn hears_claim(&self, host: u8, (addr, mac): (&str, &str), within: Duration) -> bool {
        let seconds = within.as_secs().to_string();
        let listen = ["netns", "exec", &self.space(host), "python3", "-c", LISTENER, addr, mac, &seconds];
        Command::new("ip").args(listen).status().expect("python3 is there").success()
    }

    /// Has it hear no datagram for that port any more that is for its own address alone.
    pub fn refuse_datagrams(&self, host: u8, port: u16) {
        let rules = format!(
            "table inet mute {{\nchain in {{ type filter hook input priority 0; ip daddr {} udp dport {port} drop; }}\n}}",
            self.address(host)
        );
        ip(&["netns", "exec", &self.space(host), "nft", &rules]);
    }

    /// Takes its carrier away, or gives it back.
    pub fn set_carrier(&self, host: u8, is_up: bool) {
        ip(&["-n", &self.bridge(), "link", "set", &format!("port{host}"), if is_up { "up" } else { "down" }]);
    }

    /// Whether a machine has an address.
    pub fn has(&self, host: u8, addr: &str) -> bool {
        let listed = ip(&["-n", &self.space(host), "-o", "addr", "show", "dev", "eth0"]);
        listed.split_whitespace().any(|word| word.split('/').next() == Some(addr))
    }

    /// The machines that have an address.
    pub fn owners(&self, addr: &str) -> Vec<u8> {
        (1..=self.hosts).filter(|host| self.has(*host, addr)).collect()
    }

    /// Begins to ask for `/` at that address from a machine, again and again.
    ///
    /// # Panics
    /// Where the thread cannot go there.
    pub fn observe(&self, host: u8, addr: SocketAddr) -> Observer {
        let space = File::open(format!("/run/netns/{}", self.space(host))).expect("the namespace was made before");
        let is_over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may go there");
            observe(addr, &stop)
        });
        Observer { thread: Some(thread), is_over }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in 1..=self.hosts {
            let _ = Command::new("ip").args(["netns", "del", &self.space(host)]).status();
        }
        let _ = Command::new("ip").args(["netns", "del", &self.bridge()]).status();
    }
}

/// Asks until it is told to end.
#[derive(Debug)]
pub struct Observer {
    thread: Option<JoinHandle<Seen>>,
    is_over: Arc<AtomicBool>,
}

/// What an observer has seen.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Requests that were answered.
    pub answered: u64,
    /// Those that were not.
    pub failed: u64,
    /// The longest time between two answers.
    pub outage: Duration,
}

impl Observer {
    /// Ends it.
    ///
    /// # Panics
    /// Where it has failed itself.
    pub fn end(mut self) -> Seen {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.take().map(|thread| thread.join().expect("the observer does not panic")).unwrap_or_default()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn observe(addr: SocketAddr, is_over: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let mut last = Instant::now();
    while !is_over.load(Ordering::Relaxed) {
        let began = Instant::now();
        if is_answered(addr) {
            seen.answered += 1;
            seen.outage = seen.outage.max(last.elapsed());
            last = Instant::now();
        } else {
            seen.failed += 1;
        }
        std::thread::sleep(LOOK.saturating_sub(began.elapsed()));
    }
    seen.outage = seen.outage.max(last.elapsed());
    seen
}

fn is_answered(addr: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&addr, REQUEST) else { return false };
    let request = b"GET / HTTP/1.1\r\nHost: service.example\r\nConnection: close\r\n\r\n";
    let mut answer = [0; 12];
    stream.set_read_timeout(Some(REQUEST)).is_ok()
        && stream.write_all(request).is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && answer == *b"HTTP/1.1 200"
}

fn ip(arguments: &[&str]) -> String {
    let output =
        Command::new("ip").args(arguments).output().unwrap_or_else(|error| panic!("ip does not start: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {}: {said}", arguments.join(" "));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
