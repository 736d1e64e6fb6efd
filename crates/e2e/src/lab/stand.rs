//! Two machines, a client, and a system on both.
//!
//! The invariant: signals go to processes that this stand has started, found by their parents.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::client::Client;
use super::owners::Owners;
use super::system::{SERVICE, System};
use crate::balancer::program;
use crate::network::Network;
use crate::place::Scratch;
use crate::process::Process;

const CLIENT: u8 = 3;

/// Writes down the datagrams and VRRP packets of a station, each with the time since the one before: `FILE MAC SECONDS`.
const RECORDER: &str = "
import socket, sys, time
mac, end = bytes.fromhex(sys.argv[2].replace(':', '')), time.time() + int(sys.argv[3])
heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
heard.bind(('eth0', 0x0800))
frames, last = [], time.time()
while time.time() < end:
    heard.settimeout(max(end - time.time(), 0.01))
    try:
        frame = heard.recv(4096)
    except TimeoutError:
        break
    if frame[6:12] == mac and frame[23] in (17, 112):
        frames.append('%f %s' % (time.time() - last, frame.hex()))
        last = time.time()
if not frames:
    sys.exit('nothing was heard of ' + sys.argv[2])
open(sys.argv[1], 'w').write('\\n'.join(frames))
";
/// Sends what was written down, over and over: `FILE SECONDS`.
const PLAYER: &str = "
import socket, sys, time
frames = [line.split() for line in open(sys.argv[1])]
end = time.time() + int(sys.argv[2])
said = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
said.bind(('eth0', 0))
while time.time() < end:
    for pause, frame in frames:
        time.sleep(min(float(pause), max(end - time.time(), 0)))
        said.send(bytes.fromhex(frame))
";

/// What stands behind the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Something that answers as long as its machine lives.
    Simple,
    /// A server on each machine, which may die alone.
    Server,
}

/// Two machines, a client, and a system on both.
#[derive(Debug)]
pub struct Stand {
    /// Which system.
    pub system: System,
    machines: Vec<Process>,
    /// What our configuration says beside the cluster.
    words: &'static str,
    servers: Vec<Server>,
    /// Their network.
    pub network: Network,
    scratch: Scratch,
}

impl Stand {
    /// Starts the system on both machines.
    pub(super) fn start(system: System, service: Service) -> Self {
        let network = Network::new(CLIENT);
        let scratch = Scratch::new("lab");
        let (port, words) = match service {
            Service::Simple => (80, "http :80 {\n    respond 200\n}\n"),
            Service::Server => (
                8080,
                "http :80 {\n    route * to=web\n}\npool web {\n    check tcp every=500ms fall=2\n    server own 127.0.0.1:8080\n}\n",
            ),
        };
        let needs_server = !system.is_ours() || service == Service::Server;
        let port = if system.is_ours() { port } else { 80 };
        let servers =
            if needs_server { (1..=2).map(|host| Server::start(&network, host, port)).collect() } else { Vec::new() };
        let machines = (1..=2).map(|host| system.launch(&network, &scratch, host, words)).collect();
        Self { system, machines, words, servers, network, scratch }
    }

    pub(super) fn client(&self) -> Client {
        let addr = SocketAddr::new(SERVICE.parse().expect("it is an address"), 80);
        Client::start(self.space(CLIENT), addr)
    }

    pub(super) fn owners(&self) -> Owners {
        let addr: Ipv4Addr = SERVICE.parse().expect("it is an address");
        Owners::watch((1..=2).map(|host| self.space(host)).collect(), addr)
    }

    fn space(&self, host: u8) -> File {
        open_space(&self.network, host)
    }

    /// What the machines have said.
    pub(super) fn words(&self) -> String {
        let last = |text: String| text.lines().rev().take(12).map(str::to_owned).collect::<Vec<_>>();
        self.machines.iter().flat_map(|machine| last(machine.output())).collect::<Vec<_>>().join("\n")
    }

    /// Every process of a machine, parents first.
    fn tree(&self, host: u8) -> Vec<u32> {
        let mut all = vec![self.machine(host).id()];
        let mut at = 0;
        while let Some(parent) = all.get(at).copied() {
            all.extend(children(parent));
            at += 1;
        }
        // Heartbeat's machine has a process that waits for it, and one that gave it its namespaces.
        let holders = if self.system == System::Heartbeat { 2 } else { 0 };
        all.into_iter().skip(holders).collect()
    }

    /// Sends a signal to every process of a machine's system.
    pub fn signal_all(&self, host: u8, signal: Signal) {
        self.tree(host).into_iter().for_each(|id| send(id, signal));
    }

    /// The process that a stop is asked of.
    pub fn main(&self, host: u8) -> Option<u32> {
        self.tree(host).first().copied()
    }

    /// The process that does the work, where another one watches over it.
    pub fn worker(&self, host: u8) -> Option<u32> {
        let tree = self.tree(host);
        let at = usize::from(matches!(self.system, System::Keepalived | System::KeepalivedTuned));
        tree.get(at).copied()
    }

    fn machine(&self, host: u8) -> &Process {
        &self.machines[usize::from(host) - 1]
    }

    /// Ends all of a machine's processes as the loss of its power would: no address of the system's outlives it.
    pub fn switch_off(&mut self, host: u8) {
        self.signal_all(host, Signal::STOP);
        self.signal_all(host, Signal::KILL);
        self.machines[usize::from(host) - 1].kill();
        if self.network.has(host, SERVICE) {
            self.network.take_address(host, &format!("{SERVICE}/24"));
        }
    }

    /// Starts the system on a machine that was switched off.
    pub fn switch_on(&mut self, host: u8) {
        self.machines[usize::from(host) - 1] = self.system.launch(&self.network, &self.scratch, host, self.words);
    }

    /// Keeps what the owner says to the standby in that time.
    ///
    /// # Errors
    /// Where nothing came.
    pub fn record(&self, within: Duration) -> Result<(), String> {
        let (tape, owner) = (self.tape(), self.network.mac(1));
        self.network.run_script(2, RECORDER, &[&tape, &owner, &within.as_secs().to_string()])
    }

    /// Says it again from another machine, over and over.
    pub fn replay(&self, within: Duration) {
        let played = self.network.run_script(3, PLAYER, &[&self.tape(), &within.as_secs().to_string()]);
        assert_eq!(played, Ok(()));
    }

    fn tape(&self) -> String {
        self.scratch.file("tape").display().to_string()
    }

    /// Asks the system, as its operator would, to move the address to the second machine.
    pub fn order_move(&self) {
        match self.system {
            System::Evenkeel | System::EvenkeelTuned => self.order_to(2),
            System::Keepalived | System::KeepalivedTuned => self.stop(1),
            System::Heartbeat => {
                let Some(id) = self.main(1) else { return };
                let inside = ["-t", &id.to_string(), "-m", "-p", "-u", "-n", "/usr/share/heartbeat/hb_standby"]
                    .map(str::to_owned);
                let _ = Command::new("nsenter").args(inside).output();
            }
        }
    }

    /// Has that machine own the address; ours alone.
    pub(super) fn order_to(&self, host: u8) {
        let control = self.scratch.file(&format!("control{host}")).display().to_string();
        let _ = Command::new(program()).args(["cluster", "takeover", "web", "--control", &control]).output();
    }

    /// Asks a machine's system to end.
    pub fn stop(&self, host: u8) {
        self.main(host).into_iter().for_each(|id| send(id, Signal::TERM));
    }

    /// Has a machine's system read its configuration again.
    pub fn reload(&self, host: u8) {
        self.main(host).into_iter().for_each(|id| send(id, Signal::HUP));
    }

    /// Ends the server behind the address on a machine.
    pub fn stop_server(&mut self, host: u8) {
        if let Some(server) = self.servers.get_mut(usize::from(host) - 1) {
            server.stop();
        }
    }

    /// Has a machine lose heartbeats that come in: all of them, or so many of a hundred.
    pub fn lose(&self, host: u8, percent: u8) {
        let chance = if percent >= 100 { String::new() } else { format!("numgen random mod 100 < {percent} ") };
        let rules = format!(
            "table ip lab {{ chain in {{ type filter hook input priority 0; ip protocol udp {chance}drop; ip protocol 112 \
             {chance}drop; }} ; }}"
        );
        self.nft(host, &rules);
    }

    /// Ends that.
    pub fn lose_nothing(&self, host: u8) {
        self.nft(host, "delete table ip lab");
    }

    fn nft(&self, host: u8, rules: &str) {
        let space = self.network.space(host);
        let run = Command::new("ip").args(["netns", "exec", &space, "nft", rules]).output();
        assert!(run.as_ref().is_ok_and(|run| run.status.success()), "nft: {run:?}");
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        for host in 1..=2 {
            // A parent that stands still has no new child, which could outlive it.
            self.signal_all(host, Signal::STOP);
            self.signal_all(host, Signal::KILL);
        }
    }
}

fn open_space(network: &Network, host: u8) -> File {
    File::open(format!("/run/netns/{}", network.space(host))).expect("the namespace was made before")
}

fn children(parent: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect()
}

fn send(id: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        // It may have ended meanwhile, by itself or by its parent.
        let _ = kill_process(pid, signal);
    }
}

/// Answers every request on a machine.
#[derive(Debug)]
struct Server {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(network: &Network, host: u8, port: u16) -> Self {
        let space = open_space(network, host);
        let is_over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may go there");
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).expect("the machine is new");
            serve(&listener, &stop);
        });
        Self { is_over, thread: Some(thread) }
    }

    fn stop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(listener: &TcpListener, is_over: &AtomicBool) {
    listener.set_nonblocking(true).expect("a listener can");
    while !is_over.load(Ordering::Relaxed) {
        let Ok((mut stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_micros(200));
            continue;
        };
        let is_set =
            stream.set_nonblocking(false).is_ok() && stream.set_read_timeout(Some(Duration::from_millis(100))).is_ok();
        // A client that says nothing is left; the next one waits for it no longer than that.
        if is_set && stream.read(&mut [0; 512]).is_ok_and(|length| length > 0) {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n");
        }
    }
}
