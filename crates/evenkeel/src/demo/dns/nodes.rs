//! The two nodes of `demo --dns`: processes of this program, with a configuration each.
//!
//! The invariant: they end with the demo, however that ends.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time;

use super::{NODES, SERVERS, SITE};
use crate::demo::house::House;
use crate::demo::toy::{CHECK_PATH, Toy};

/// How long a node may take until it answers.
const STARTING: Duration = Duration::from_secs(20);

/// How long a client waits for one of them, and how often one that starts is asked.
const PAUSE: Duration = Duration::from_millis(50);

/// Both nodes.
pub(super) struct Nodes {
    nodes: Vec<Node>,
}

struct Node {
    name: &'static str,
    dns: SocketAddr,
    file: PathBuf,
    socket: PathBuf,
    text: String,
    child: Option<Child>,
}

impl Nodes {
    /// Starts both, and waits until they answer.
    pub(super) async fn start(house: &House, (http, dns): (u16, u16), toys: &[Toy]) -> Result<Self, String> {
        let mut nodes = Vec::new();
        for (at, name) in ["lb1", "lb2"].into_iter().enumerate() {
            let text = configuration(at, (http, dns), toys).ok_or("there are two nodes")?;
            let Some(ip) = NODES.get(at) else { continue };
            let (file, socket) = (house.file(&format!("{name}.conf")), house.file(&format!("{name}.sock")));
            fs::write(&file, &text).map_err(|error| format!("{}: {error}", file.display()))?;
            nodes.push(Node { name, dns: SocketAddr::from((*ip, dns)), file, socket, text, child: None });
        }
        for node in &mut nodes {
            node.begin()?;
        }
        for node in &mut nodes {
            node.wait().await?;
        }
        Ok(Self { nodes })
    }

    /// The nodes, and where they answer queries.
    pub(super) fn names(&self) -> Vec<(&'static str, SocketAddr)> {
        self.nodes.iter().map(|node| (node.name, node.dns)).collect()
    }

    /// Where a resolver asks.
    pub(super) fn resolvers(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.dns).collect()
    }

    /// The first node's control socket.
    pub(super) fn socket(&self) -> &Path {
        self.nodes.first().map_or(Path::new(""), |node| &node.socket)
    }

    /// The first node's configuration.
    pub(super) fn example(&self) -> String {
        self.nodes.first().map(|node| node.text.clone()).unwrap_or_default()
    }

    /// Ends a node, or starts it again, and says what was done.
    pub(super) async fn turn(&mut self, at: usize, in_order: bool) -> Result<String, String> {
        let Some(node) = self.nodes.get_mut(at) else { return Ok(String::new()) };
        let Some(mut child) = node.child.take() else {
            node.begin()?;
            node.wait().await?;
            return Ok(format!("{} is started again", node.name));
        };
        if !in_order {
            // One that has ended by itself is as dead.
            let _ = child.kill().await;
            return Ok(format!("{} is killed (kill -9): who asked it asks the other", node.name));
        }
        if let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw) {
            // One that has ended by itself needs no order.
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        // It ends when its clients have left.
        tokio::spawn(async move { child.wait().await });
        Ok(format!("{} is stopped in order: as long as clients come, it answers with the other", node.name))
    }
}

impl Node {
    fn begin(&mut self) -> Result<(), String> {
        let program = std::env::current_exe().map_err(|error| format!("this program is not found: {error}"))?;
        let mut command = Command::new(program);
        command.arg("run").arg(&self.file).arg("--control").arg(&self.socket).args(["--log-level", "error"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0).kill_on_drop(true);
        evenkeel_node::end_with_us(command.as_std_mut());
        let child = command.spawn();
        self.child = Some(child.map_err(|error| format!("{} does not start: {error}", self.name))?);
        Ok(())
    }

    /// Waits until it answers with an address.
    async fn wait(&mut self) -> Result<(), String> {
        let started = time::timeout(STARTING, async {
            while evenkeel_node::look_up(self.dns, SERVERS, super::client::PATIENCE).await.is_err() {
                time::sleep(PAUSE).await;
            }
        });
        started.await.map_err(|_| format!("{} does not answer", self.name))
    }
}

/// A node's file: its own listeners, the servers, its peer, and what is answered.
fn configuration(at: usize, (http, dns): (u16, u16), toys: &[Toy]) -> Option<String> {
    let (own, peer) = (NODES.get(at)?, NODES.get(1_usize.checked_sub(at)?)?);
    let check = "every=500ms timeout=500ms rise=2 fall=2";
    let mut text = format!(
        "state off\nlimits {{\n    workers 1\n    drain   3s\n}}\nhttp {own}:{http} {{\n    route * to=toys\n}}\n"
    );
    // Writing into a string cannot fail.
    let _ = writeln!(text, "pool toys {{\n    check  GET {CHECK_PATH} {check}");
    for toy in toys {
        let _ = writeln!(text, "    server {:6} {}", toy.name(), toy.addr());
    }
    let _ = writeln!(text, "}}\npool peers {{\n    check  tcp {check}\n    server peer {peer}:{http}\n}}");
    let _ = writeln!(text, "dns {own}:{dns} {{\n    rate off");
    for (name, answer) in
        [(SITE, "self+peers pool=toys peers=peers".to_owned()), (SERVERS, "pool pool=toys".to_owned())]
    {
        let _ = writeln!(
            text,
            "    zone {name} answer={answer} ttl=2s {{\n        ns lb1.demo.test={} lb2.demo.test={}\n    }}",
            NODES[0], NODES[1]
        );
    }
    text.push_str("}\n");
    Some(text)
}

#[cfg(test)]
mod tests {
    use evenkeel_config::Options;
    use evenkeel_node::Origin;

    use super::*;

    #[test]
    fn the_configurations_are_good() {
        for at in [0, 1] {
            let text = configuration(at, (8080, 5300), &[]).unwrap();
            let text = text.replace("pool toys {\n", "pool toys {\n    server a 127.0.0.21:8080\n");
            let loaded = Origin::Text { name: "demo".to_owned(), text: text.clone() }.load(&Options::default()).loaded;
            assert!(loaded.diagnostics.is_empty(), "{:?} in\n{text}", loaded.diagnostics);
        }
        assert_eq!(configuration(2, (8080, 5300), &[]), None);
    }
}
