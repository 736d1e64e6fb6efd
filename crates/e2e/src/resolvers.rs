//! A small internet in a network of its own: a root, a parent zone, two nodes, and the resolvers that people run.
//!
//! Everything is on one loopback, on addresses that belong to no document and no private network, since judges of
//! delegations refuse those; nothing leaves the network. The invariant: it goes away with its owner.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::balancer::program;
use crate::place::Scratch;
use crate::process::Process;
use crate::{PATIENCE, await_for};

/// The root, and the servers of the parent zone.
const ROOT: &str = "9.53.0.1";
const PARENTS: [&str; 2] = ["9.53.0.2", "9.54.0.2"];
/// The nodes.
pub const NODES: [&str; 2] = ["9.53.1.1", "9.54.2.2"];

/// The resolvers with their addresses.
pub const RESOLVERS: [(&str, &str); 4] =
    [("Unbound", "9.53.3.1"), ("BIND", "9.53.3.2"), ("Knot Resolver", "9.53.3.3"), ("PowerDNS", "9.53.3.4")];

/// The zone of the nodes.
pub const NAME: &str = "api.example.com";

const ROOT_ZONE: &str = "\
. 300 SOA a.root. h.example.com. 1 14400 3600 604800 300
. 300 NS a.root.
a.root. 300 A 9.53.0.1
example.com. 300 NS ns1.example.com.
example.com. 300 NS ns2.example.com.
ns1.example.com. 300 A 9.53.0.2
ns2.example.com. 300 A 9.54.0.2
";

const PARENT_ZONE: &str = "\
example.com. 300 SOA ns1.example.com. h.example.com. 1 14400 3600 604800 300
example.com. 300 NS ns1.example.com.
example.com. 300 NS ns2.example.com.
ns1.example.com. 300 A 9.53.0.2
ns2.example.com. 300 A 9.54.0.2
api.example.com. 300 NS lb1.example.com.
api.example.com. 300 NS lb2.example.com.
lb1.example.com. 300 A 9.53.1.1
lb2.example.com. 300 A 9.54.2.2
";

/// How long what is started may take to serve, on a machine that has other things to do.
const STARTING: Duration = Duration::from_secs(60);

/// The whole of it.
pub struct Lab {
    parts: Vec<Process>,
    nodes: [Option<usize>; 2],
    holder: Process,
    // Last, since fields go in order: what the others said lies in it.
    scratch: Scratch,
}

/// What a name server said.
#[derive(Debug)]
pub struct Said {
    /// The response code.
    pub status: String,
    /// The data of the records that were asked for.
    pub records: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

impl Lab {
    /// Root, parent, both nodes and the resolvers, when all of them answer.
    pub fn start() -> Self {
        let mut lab = Self::bare();
        lab.nsd("root", ROOT, ".", ROOT_ZONE);
        for (number, address) in PARENTS.iter().enumerate() {
            lab.nsd(&format!("parent{number}"), address, "example.com", PARENT_ZONE);
        }
        lab.node(0);
        lab.node(1);
        lab.resolvers();
        for server in PARENTS.iter().chain(&NODES) {
            await_for("the name servers to answer", STARTING, || {
                (lab.ask(server, NAME, "SOA").status == "NOERROR").then_some(())
            });
        }
        for (name, address) in RESOLVERS {
            let up = || (lab.ask(address, NAME, "NS").status == "NOERROR").then_some(());
            await_for(&format!("{name} to resolve"), STARTING, up);
        }
        lab
    }

    fn bare() -> Self {
        let scratch = Scratch::new("resolvers");
        let unshare = "/usr/bin/unshare".as_ref();
        let holder =
            Process::start("holder", unshare, &["-n", "-m", "sleep", "3600"], scratch.path(), scratch.file("holder"));
        let network = |id: u32| fs::read_link(format!("/proc/{id}/ns/mnt")).ok();
        await_for("a network of its own", PATIENCE, || {
            (network(holder.id()) != network(std::process::id())).then_some(())
        });
        let lab = Self { parts: Vec::new(), nodes: [None; 2], holder, scratch };
        assert!(lab.inside("ip", &["link", "set", "lo", "up"]).0);
        let resolvers = RESOLVERS.map(|(_, address)| address);
        for address in [ROOT].iter().chain(&PARENTS).chain(&NODES).chain(&resolvers) {
            assert!(lab.inside("ip", &["addr", "add", address, "dev", "lo"]).0, "{address}");
        }
        // For `dig +trace`, which asks the system's resolver for the addresses of name servers.
        let system = lab.write("resolv.conf", &format!("nameserver {}\n", RESOLVERS[0].1));
        assert!(lab.inside("mount", &["--bind", &system, "/etc/resolv.conf"]).0);
        lab
    }

    /// Runs a program in it to its end.
    pub fn inside(&self, program: &str, arguments: &[&str]) -> (bool, String) {
        let id = self.holder.id().to_string();
        let output = Command::new("nsenter")
            .args(["-t", &id, "-n", "-m", program])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("nsenter is there");
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// Starts a program in it.
    fn start_part(&mut self, name: &str, program: &str, arguments: &[&str]) -> usize {
        let id = self.holder.id().to_string();
        let words: Vec<&str> = ["-t", &id, "-n", "-m", program].into_iter().chain(arguments.iter().copied()).collect();
        let output = self.scratch.file(&format!("{name}.log"));
        self.parts.push(Process::start(name, "/usr/bin/nsenter".as_ref(), &words, self.scratch.path(), output));
        self.parts.len() - 1
    }

    fn write(&self, name: &str, text: &str) -> String {
        self.scratch.write(name, text).to_str().expect("the path is text").to_owned()
    }

    fn nsd(&mut self, name: &str, address: &str, zone: &str, text: &str) {
        let dir = self.scratch.path().display().to_string();
        self.write(&format!("{name}.zone"), text);
        let config = format!(
            "server:\n  ip-address: {address}\n  server-count: 1\n  username: \"\"\n  chroot: \"\"\n  zonesdir: \"{dir}\"\n  database: \"\"\n  \
             pidfile: \"{dir}/{name}.pid\"\n  xfrdfile: \"{dir}/{name}.xfrd\"\n  zonelistfile: \"{dir}/{name}.list\"\n  xfrdir: \"{dir}\"\n\
             remote-control:\n  control-enable: no\nzone:\n  name: \"{zone}\"\n  zonefile: \"{name}.zone\"\n"
        );
        let config = self.write(&format!("{name}.conf"), &config);
        self.start_part(name, "nsd", &["-d", "-c", &config]);
    }

    /// Starts a node, or starts it again.
    pub fn node(&mut self, at: usize) {
        let dir = self.scratch.path().display().to_string();
        let (own, peer) = (NODES[at], NODES[1 - at]);
        let config = format!(
            "state {dir}/state{at}\ncontrol {dir}/control{at}\nlimits {{\n    drain 10m\n}}\nhttp {own}:80 {{\n    route /hold to=slow\n    route /* {{\n        respond 200 well\n    }}\n}}\n\
             pool slow {{\n    check off\n    timeout answer=1h\n    server a {ROOT}:81\n}}\n\
             pool peers {{\n    check tcp every=500ms timeout=400ms\n    server peer {peer}:80\n}}\n\
             dns {own}:53 {{\n    zone {NAME} answer=self peers=peers ttl=30s {{\n        wildcard\n        \
             ns lb1.example.com={} lb2.example.com={}\n    }}\n}}\n",
            NODES[0], NODES[1]
        );
        let config = self.write(&format!("node{at}.conf"), &config);
        self.nodes[at] = Some(self.start_part(
            &format!("node{at}"),
            program().to_str().expect("the path is text"),
            &["run", &config],
        ));
    }

    /// A node's process.
    pub fn node_process(&mut self, at: usize) -> &mut Process {
        let part = self.nodes[at].expect("the node was started");
        &mut self.parts[part]
    }

    /// Holds a request at a node, so that it is not done when it is to stop.
    pub fn hold(&mut self, at: usize) {
        let silent = format!(
            "import socket\nlistener = socket.create_server(('{ROOT}', 81))\nheld = []\nwhile True: held.append(listener.accept())"
        );
        self.start_part("silent", "/usr/bin/python3", &["-c", &silent]);
        let line = format!(
            "exec 3<>/dev/tcp/{}/80; printf 'GET /hold HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n' >&3; exec sleep 3600",
            NODES[at]
        );
        let is_there = |lab: &Self, state: &str, place: &str| {
            !lab.inside("ss", &["-Htn", "state", state, "src", place]).1.trim().is_empty()
        };
        let place = format!("{ROOT}:81");
        await_for("a silent server", PATIENCE, || is_there(self, "listening", &place).then_some(()));
        self.start_part("held", "/bin/bash", &["-c", &line]);
        await_for("a request that is held", PATIENCE, || is_there(self, "established", &place).then_some(()));
    }

    fn resolvers(&mut self) {
        let dir = self.scratch.path().display().to_string();
        let hints = self.hints();
        let [unbound, bind, knot, powerdns] = RESOLVERS.map(|(_, address)| address);
        let config = format!(
            "server:\n  interface: {unbound}\n  access-control: 0.0.0.0/0 allow\n  chroot: \"\"\n  username: \"\"\n  directory: \"{dir}\"\n  \
             pidfile: \"\"\n  root-hints: \"{hints}\"\n  module-config: \"iterator\"\n  use-syslog: no\n"
        );
        let config = self.write("unbound.conf", &config);
        self.start_part("unbound", "unbound", &["-d", "-c", &config]);
        let config = format!(
            "options {{ directory \"{dir}\"; listen-on {{ {bind}; }}; listen-on-v6 {{ none; }}; recursion yes; allow-recursion {{ any; }}; \
             dnssec-validation no; pid-file none; session-keyfile \"{dir}/session.key\"; }};\ncontrols {{ }};\n\
             zone \".\" {{ type hint; file \"{hints}\"; }};\n"
        );
        let config = self.write("named.conf", &config);
        self.start_part("named", "named", &["-g", "-4", "-n", "1", "-c", &config]);
        let config = format!(
            "net.listen('{knot}', 53)\ntrust_anchors.remove('.')\nmodules.load('hints')\nhints.root_file('{hints}')\ncache.size = 10 * MB\n"
        );
        let config = self.write("kresd.conf", &config);
        fs::create_dir(self.scratch.file("kresd")).expect("a folder can be made");
        self.start_part("kresd", "kresd", &["-n", "-c", &config, &format!("{dir}/kresd")]);
        fs::create_dir(self.scratch.file("recursor")).expect("a folder can be made");
        let own = [
            format!("--config-dir={dir}/recursor"),
            format!("--socket-dir={dir}/recursor"),
            format!("--hint-file={hints}"),
            format!("--local-address={powerdns}"),
        ];
        let fixed =
            ["--dnssec=off", "--daemon=no", "--dont-query=", "--security-poll-suffix=", "--allow-from=0.0.0.0/0"];
        let arguments: Vec<&str> = own.iter().map(String::as_str).chain(fixed).collect();
        self.start_part("recursor", "pdns_recursor", &arguments);
    }

    /// The file that names the root.
    pub fn hints(&self) -> String {
        let path = self.scratch.file("hints");
        if !Path::new(&path).is_file() {
            self.write("hints", &format!(". 3600 NS a.root.\na.root. 3600 A {ROOT}\n"));
        }
        path.to_str().expect("the path is text").to_owned()
    }

    /// Asks a name server, as long as the most patient resolver tries on its own.
    pub fn ask(&self, server: &str, name: &str, kind: &str) -> Said {
        let began = Instant::now();
        let at = format!("@{server}");
        let (_, text) = self.inside("dig", &[&at, "+time=12", "+tries=1", name, kind]);
        let status = text.split("status: ").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or("none");
        let answer = text.lines().filter(|line| line.starts_with(name)).filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words.get(3) == Some(&kind)).then(|| words.get(4).copied().unwrap_or_default().to_owned())
        });
        // What `dig` measured, without its own start.
        let told = text.split("Query time: ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        Said {
            status: status.to_owned(),
            records: answer.collect(),
            took: told.map_or_else(|| began.elapsed(), Duration::from_millis),
        }
    }
}
