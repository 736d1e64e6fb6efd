//! The two nodes of `demo --ha`: processes of this program, with the same cluster in both files.
//!
//! The invariant: they end with the demo, however that ends, those that stand still as well.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time;

use super::NODES;
use super::network::{Network, SCRIPT};
use crate::demo::house::House;

/// How long the nodes may take until one of them has the address.
const STARTING: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// Both nodes.
pub(super) struct Nodes {
    nodes: Vec<Node>,
    port: u16,
}

struct Node {
    name: &'static str,
    folder: PathBuf,
    file: PathBuf,
    socket: PathBuf,
    text: String,
    child: Option<Child>,
    is_frozen: bool,
}

impl Drop for Node {
    fn drop(&mut self) {
        // Killed, it ends all the same; its guard ends when it sees that.
        self.signal(Signal::CONT);
    }
}

impl Nodes {
    /// Starts both, and waits until one of them has the address.
    pub(super) async fn start(house: &House, (http, cluster): (u16, u16), network: &Network) -> Result<Self, String> {
        let (key, script) = (house.file("cluster.key"), house.file("address.sh"));
        let secret: String = evenkeel_node::chance().iter().map(|byte| format!("{byte:02x}")).collect();
        write_private(&key, &secret)?;
        write_private(&script, SCRIPT)?;
        let mut nodes = Vec::new();
        for (at, name) in ["lb1", "lb2"].into_iter().enumerate() {
            let text = configuration(at, (http, cluster), (&key, &script)).ok_or("there are two nodes")?;
            let (folder, file) = (house.file(name), house.file(&format!("{name}.conf")));
            fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            fs::write(&file, &text).map_err(|error| format!("{}: {error}", file.display()))?;
            let socket = house.file(&format!("{name}.sock"));
            nodes.push(Node { name, folder, file, socket, text, child: None, is_frozen: false });
        }
        for node in &mut nodes {
            node.begin()?;
        }
        let started = time::timeout(STARTING, async {
            while network.owner().is_none() {
                time::sleep(PAUSE).await;
            }
        });
        started.await.map_err(|_| "no node takes the address".to_owned())?;
        Ok(Self { nodes, port: http })
    }

    /// Where they are served.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The first node's control socket.
    pub(super) fn socket(&self) -> &Path {
        self.nodes.first().map_or(Path::new(""), |node| &node.socket)
    }

    /// The first node's configuration.
    pub(super) fn example(&self) -> String {
        self.nodes.first().map(|node| node.text.clone()).unwrap_or_default()
    }

    /// Kills a node, or starts it again, and says what was done.
    pub(super) async fn turn(&mut self, at: usize) -> Result<String, String> {
        let Some(node) = self.nodes.get_mut(at) else { return Ok(String::new()) };
        node.is_frozen = false;
        let Some(mut child) = node.child.take() else {
            node.begin()?;
            return Ok(format!("{} is started again: it listens first, and takes nothing from the other", node.name));
        };
        // One that has ended by itself is as dead.
        let _ = child.kill().await;
        Ok(format!("{} is killed (kill -9): its guard sees that, gives the address up and says so", node.name))
    }

    /// Has a node stand still, or go on.
    pub(super) fn freeze(&mut self, at: usize) -> String {
        let Some(node) = self.nodes.get_mut(at) else { return String::new() };
        if node.child.is_none() {
            return format!("{} does not run", node.name);
        }
        node.is_frozen = !node.is_frozen;
        if node.is_frozen {
            node.signal(Signal::STOP);
            format!("{} stands still (SIGSTOP): after the dead time its guard gives the address up", node.name)
        } else {
            node.signal(Signal::CONT);
            format!("{} goes on: it asks before it does anything", node.name)
        }
    }

    /// Has a node take the address over, by the command that an operator gives.
    pub(super) async fn takeover(&mut self, at: usize) -> Result<String, String> {
        let Some(node) = self.nodes.get(at).filter(|node| node.child.is_some() && !node.is_frozen) else {
            return Ok("a node that does not run takes nothing over".to_owned());
        };
        let mut order = Command::new(program()?);
        order.args(["cluster", "takeover", "site", "--control"]).arg(&node.socket);
        let order = order.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let mut order = order.spawn().map_err(|error| format!("the order is not given: {error}"))?;
        // It is done when the address has moved, which is seen by itself.
        tokio::spawn(async move { order.wait().await });
        Ok(format!("{} is to take the address over (evenkeel cluster takeover site)", node.name))
    }
}

impl Node {
    fn begin(&mut self) -> Result<(), String> {
        let mut command = Command::new(program()?);
        command.arg("run").arg(&self.file).args(["--node", self.name, "--log-level", "error", "--control"]);
        command.arg(&self.socket).current_dir(&self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        evenkeel_node::end_with_us(command.as_std_mut());
        let child = command.process_group(0).kill_on_drop(true).spawn();
        self.child = Some(child.map_err(|error| format!("{} does not start: {error}", self.name))?);
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.as_ref().and_then(Child::id).and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            // One that has ended by itself needs none.
            let _ = kill_process(id, signal);
        }
    }
}

fn program() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| format!("this program is not found: {error}"))
}

fn write_private(path: &Path, text: &str) -> Result<(), String> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| format!("{}: {error}", path.display()))
}

/// A node's file: its own listener, and the cluster, which is the same on both.
fn configuration(at: usize, (http, cluster): (u16, u16), (key, script): (&Path, &Path)) -> Option<String> {
    let (own, name) = (NODES.get(at)?, ["lb1", "lb2"].get(at)?);
    Some(format!(
        "state off\nlimits {{\n    workers 1\n    drain   2s\n}}\nhttp {own}:{http} {{\n    respond 200 \"{name}\"\n}}\n\
         cluster demo key=file:{} {{\n    port  {cluster}\n    node  lb1 {}\n    node  lb2 {}\n    beat  every=100ms dead=500ms\n    \
         group site prefer=lb1 {{\n        script /bin/sh {} timeout=5s every=1s\n    }}\n}}\n",
        key.display(),
        NODES[0],
        NODES[1],
        script.display()
    ))
}

#[cfg(test)]
mod tests {
    use evenkeel_config::Options;
    use evenkeel_node::Origin;

    use super::*;

    #[test]
    fn the_configurations_are_good() {
        for at in [0, 1] {
            let text = configuration(at, (8080, 6940), (Path::new("/tmp/key"), Path::new("/tmp/address.sh"))).unwrap();
            let loaded = Origin::Text { name: "demo".to_owned(), text: text.clone() }.load(&Options::default()).loaded;
            assert!(loaded.diagnostics.is_empty(), "{:?} in\n{text}", loaded.diagnostics);
        }
        assert_eq!(configuration(2, (8080, 6940), (Path::new("k"), Path::new("s"))), None);
    }
}
