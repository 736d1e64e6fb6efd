//! Two nodes and one address, each on a machine of its own, and a client.

use std::fs::{File, Permissions};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use evenkeel_e2e::balancer::program;
use evenkeel_e2e::network::Network;
use evenkeel_e2e::place::Scratch;
use evenkeel_e2e::process::Process;
use evenkeel_e2e::{PATIENCE, await_for};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

pub(crate) const SERVICE: &str = "10.77.0.50";
pub(crate) const CLIENT: u8 = 3;
/// A listener that answers by itself.
pub(crate) const LISTENER: &str = "http :80 {\n    respond 200\n}\n";

/// The line of a group that has the one address.
pub(crate) fn service_line(_: &Scratch) -> String {
    format!("        ip {SERVICE}/24\n")
}

/// Two nodes in their own namespaces, and a client.
pub(crate) struct Pair {
    pub(crate) nodes: Vec<Process>,
    pub(crate) network: Network,
    pub(crate) scratch: Scratch,
}

impl Pair {
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// With further lines at the top of the file.
    pub(crate) fn start_with(top: &str) -> Self {
        Self::start_group(top, service_line)
    }

    /// With this in the place of a listener that answers by itself.
    pub(crate) fn start_serving(listener: &str) -> Self {
        Self::start_file(listener, "", service_line)
    }

    /// With further lines at the top of the file, and these in the group.
    pub(crate) fn start_group(top: &str, lines: impl FnOnce(&Scratch) -> String) -> Self {
        Self::start_file(&format!("{top}{LISTENER}"), "", lines)
    }

    /// With a further line in the cluster's block.
    pub(crate) fn start_by(line: &str) -> Self {
        Self::start_file(LISTENER, line, service_line)
    }

    pub(crate) fn start_file(top: &str, more: &str, lines: impl FnOnce(&Scratch) -> String) -> Self {
        let mut pair = Self::lay(top, more, lines);
        pair.launch_both();
        pair
    }

    /// Both machines with their file, and nothing that runs on them yet.
    pub(crate) fn lay(top: &str, more: &str, lines: impl FnOnce(&Scratch) -> String) -> Self {
        let network = Network::new(CLIENT);
        let scratch = Scratch::new("cluster");
        let key = scratch.write("key", &"k".repeat(40));
        let owner_alone = Permissions::from_mode(0o600);
        std::fs::set_permissions(&key, owner_alone).unwrap();
        let lines = lines(&scratch);
        let config = format!(
            "{top}cluster edge key=file:{} {{\n    node lb1 10.77.0.1\n    node lb2 10.77.0.2\n    {more}\n    \
             group web prefer=lb1 {{\n{lines}    }}\n}}\n",
            key.display()
        );
        scratch.write("evenkeel.conf", &config);
        Self { nodes: Vec::new(), network, scratch }
    }

    pub(crate) fn launch_both(&mut self) {
        for node in 1..=2 {
            let process = self.launch(node);
            self.nodes.push(process);
        }
        self.await_owner(1);
    }

    pub(crate) fn launch(&self, node: u8) -> Process {
        self.launch_under(node, &[])
    }

    /// Runs it by a program that takes some of its rights first.
    pub(crate) fn launch_under(&self, node: u8, wrapper: &[&str]) -> Process {
        self.launch_so(node, wrapper, "evenkeel.conf", &format!("lb{node}"))
    }

    /// The same, by another file and under that name.
    pub(crate) fn launch_so(&self, node: u8, wrapper: &[&str], file: &str, name: &str) -> Process {
        let space = self.network.space(node);
        let file = self.scratch.file(file).display().to_string();
        let state = self.scratch.file(&format!("state{node}")).display().to_string();
        let control = self.control(node);
        let program = program().display().to_string();
        let run = ["run", &file, "--node", name, "--state", &state, "--control", &control];
        let exec = ["netns", "exec", &space].into_iter().chain(wrapper.iter().copied());
        let arguments: Vec<&str> = exec.chain([program.as_str()]).chain(run).collect();
        let output = self.scratch.file(&format!("output{node}"));
        Process::start(name, "ip".as_ref(), &arguments, self.scratch.path(), output)
    }

    pub(crate) fn control(&self, node: u8) -> String {
        self.scratch.file(&format!("control{node}")).display().to_string()
    }

    pub(crate) fn node(&mut self, node: u8) -> &mut Process {
        &mut self.nodes[usize::from(node) - 1]
    }

    /// A command of `cluster`, and whether it succeeded.
    pub(crate) fn order(&self, node: u8, words: &[&str]) -> bool {
        self.command(node, &[&["cluster"], words].concat())
    }

    /// A command for a node, and whether it succeeded.
    pub(crate) fn command(&self, node: u8, words: &[&str]) -> bool {
        let control = self.control(node);
        let run = Command::new(program()).args(words).args(["--control", &control]).output().unwrap();
        run.status.success()
    }

    pub(crate) fn report(&self, node: u8) -> Option<Value> {
        let control = self.control(node);
        let run =
            Command::new(program()).args(["cluster", "status", "--json", "--control", &control]).output().unwrap();
        serde_json::from_slice(&run.stdout).ok()
    }

    /// Waits until this node alone has the address, and says so.
    pub(crate) fn await_owner(&self, node: u8) {
        await_for(&format!("lb{node} alone to have the address"), PATIENCE, || {
            let is_alone = self.network.owners(SERVICE) == [node];
            let report = self.report(node).filter(|_| is_alone)?;
            (report["groups"][0]["role"] == "owner").then_some(())
        });
    }

    /// Has the calling thread, and what it starts, go on in the network of a node, or of the client.
    pub(crate) fn enter(&self, host: u8) {
        let space = File::open(format!("/run/netns/{}", self.network.space(host))).unwrap();
        move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }

    /// Runs something there.
    pub(crate) fn within<T: Send>(&self, host: u8, run: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.enter(host);
                run()
            });
            inside.join().unwrap()
        })
    }

    /// Runs a line of the shell on a machine.
    pub(crate) fn shell(&self, host: u8, line: &str) {
        let space = self.network.space(host);
        let run = Command::new("ip").args(["netns", "exec", &space, "sh", "-c", line]).output().unwrap();
        assert!(run.status.success(), "{line}: {}", String::from_utf8_lossy(&run.stderr));
    }

    pub(crate) fn client(&self) -> evenkeel_e2e::network::Observer {
        let addr = SocketAddr::new(SERVICE.parse().unwrap(), 80);
        let observer = self.network.observe(CLIENT, addr);
        std::thread::sleep(Duration::from_millis(300));
        observer
    }
}

/// The process that a node has started.
pub(crate) fn guard_of(node: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{node}/task/{node}/children")).unwrap();
    children.split_whitespace().next().expect("a node has a guard").parse().unwrap()
}
