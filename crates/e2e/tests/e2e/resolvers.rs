//! Do real resolvers find a living node, whatever becomes of the others? A parent zone on NSD, two nodes, four resolvers,
//! in a network of their own.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use evenkeel_e2e::balancer::program;
use evenkeel_e2e::place::Scratch;
use evenkeel_e2e::process::Process;
use evenkeel_e2e::{PATIENCE, await_for, is_root_or_skips};
use rustix::process::Signal;

const ROOT: &str = "10.53.0.1";
const PARENT: &str = "10.53.0.2";
const NODES: [&str; 2] = ["10.53.1.1", "10.53.2.2"];
const RESOLVERS: [(&str, &str); 4] =
    [("unbound", "10.53.3.1"), ("BIND", "10.53.3.2"), ("Knot Resolver", "10.53.3.3"), ("PowerDNS", "10.53.3.4")];

/// What is asked for.
const NAME: &str = "api.example.com";

const ROOT_ZONE: &str = "\
. 60 SOA a.root. h.root. 1 60 60 60 1
. 60 NS a.root.
a.root. 60 A 10.53.0.1
example.com. 60 NS ns.example.com.
ns.example.com. 60 A 10.53.0.2
";

const PARENT_ZONE: &str = "\
example.com. 60 SOA ns.example.com. h.example.com. 1 60 60 60 1
example.com. 60 NS ns.example.com.
ns.example.com. 60 A 10.53.0.2
api.example.com. 60 NS lb1.example.com.
api.example.com. 60 NS lb2.example.com.
lb1.example.com. 60 A 10.53.1.1
lb2.example.com. 60 A 10.53.2.2
";

/// A network that goes away with its owner: everything in it is on its own loopback.
struct Lab {
    parts: Vec<Process>,
    holder: Process,
    // Last, since fields go in order: what the others said lies in it.
    scratch: Scratch,
}

/// What a resolver said.
#[derive(Debug)]
struct Said {
    status: String,
    records: Vec<String>,
    took: Duration,
}

impl Lab {
    fn new() -> Self {
        let scratch = Scratch::new("resolvers");
        let unshare = "/usr/bin/unshare".as_ref();
        let holder = Process::start("holder", unshare, &["-n", "sleep", "600"], scratch.path(), scratch.file("holder"));
        let network = |id: u32| std::fs::read_link(format!("/proc/{id}/ns/net")).ok();
        await_for("a network of its own", PATIENCE, || {
            (network(holder.id()) != network(std::process::id())).then_some(())
        });
        let lab = Self { parts: Vec::new(), holder, scratch };
        assert!(lab.inside("ip", &["link", "set", "lo", "up"]).0);
        let resolvers = RESOLVERS.map(|(_, address)| address);
        for address in [ROOT, PARENT].iter().chain(&NODES).chain(&resolvers) {
            assert!(lab.inside("ip", &["addr", "add", address, "dev", "lo"]).0, "{address}");
        }
        lab
    }

    /// Runs a program in it to its end.
    fn inside(&self, program: &str, arguments: &[&str]) -> (bool, String) {
        let id = self.holder.id().to_string();
        let output = Command::new("nsenter")
            .args(["-t", &id, "-n", program])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts a program in it.
    fn start(&mut self, name: &str, program: &str, arguments: &[&str]) -> usize {
        let id = self.holder.id().to_string();
        let words: Vec<&str> = ["-t", &id, "-n", program].into_iter().chain(arguments.iter().copied()).collect();
        let output = self.scratch.file(&format!("{name}.log"));
        self.parts.push(Process::start(name, "/usr/bin/nsenter".as_ref(), &words, self.scratch.path(), output));
        self.parts.len() - 1
    }

    fn write(&self, name: &str, text: &str) -> String {
        self.scratch.write(name, text).to_str().unwrap().to_owned()
    }

    fn nsd(&mut self, name: &str, address: &str, zone: &str, text: &str) {
        let dir = self.scratch.path().display().to_string();
        self.write(&format!("{name}.zone"), text);
        let config = format!(
            "server:\n  ip-address: {address}\n  server-count: 1\n  username: \"\"\n  chroot: \"\"\n  zonesdir: \"{dir}\"\n  database: \"\"\n  \
             pidfile: \"{dir}/{name}.pid\"\n  xfrdfile: \"{dir}/{name}.xfrd\"\n  zonelistfile: \"{dir}/{name}.list\"\n\
             remote-control:\n  control-enable: no\nzone:\n  name: \"{zone}\"\n  zonefile: \"{name}.zone\"\n"
        );
        let config = self.write(&format!("{name}.conf"), &config);
        self.start(name, "nsd", &["-d", "-c", &config]);
    }

    fn node(&mut self, at: usize) -> usize {
        let dir = self.scratch.path().display().to_string();
        let config = format!(
            "state {dir}/state{at}\ncontrol {dir}/control{at}\ndns {}:53 {{\n    zone {NAME} answer=self ttl=1s {{\n        \
             ns lb1.example.com={} lb2.example.com={}\n    }}\n}}\n",
            NODES[at], NODES[0], NODES[1]
        );
        let config = self.write(&format!("node{at}.conf"), &config);
        self.start(&format!("node{at}"), program().to_str().unwrap(), &["run", &config])
    }

    fn resolvers(&mut self) {
        let dir = self.scratch.path().display().to_string();
        let hints = self.write("hints", ". 3600 NS a.root.\na.root. 3600 A 10.53.0.1\n");
        let [unbound, bind, knot, powerdns] = RESOLVERS.map(|(_, address)| address);
        let config = format!(
            "server:\n  interface: {unbound}\n  access-control: 0.0.0.0/0 allow\n  chroot: \"\"\n  username: \"\"\n  directory: \"{dir}\"\n  \
             pidfile: \"\"\n  root-hints: \"{hints}\"\n  module-config: \"iterator\"\n  use-syslog: no\n"
        );
        let config = self.write("unbound.conf", &config);
        self.start("unbound", "unbound", &["-d", "-c", &config]);
        let config = format!(
            "options {{ directory \"{dir}\"; listen-on {{ {bind}; }}; listen-on-v6 {{ none; }}; recursion yes; allow-recursion {{ any; }}; \
             dnssec-validation no; pid-file none; session-keyfile \"{dir}/session.key\"; }};\ncontrols {{ }};\n\
             zone \".\" {{ type hint; file \"{hints}\"; }};\n"
        );
        let config = self.write("named.conf", &config);
        self.start("named", "named", &["-g", "-4", "-n", "1", "-c", &config]);
        let config = format!(
            "net.listen('{knot}', 53)\ntrust_anchors.remove('.')\nmodules.load('hints')\nhints.root_file('{hints}')\ncache.size = 10 * MB\n"
        );
        let config = self.write("kresd.conf", &config);
        std::fs::create_dir(self.scratch.file("kresd")).unwrap();
        self.start("kresd", "kresd", &["-n", "-c", &config, &format!("{dir}/kresd")]);
        std::fs::create_dir(self.scratch.file("recursor")).unwrap();
        let own = [
            format!("--config-dir={dir}/recursor"),
            format!("--socket-dir={dir}/recursor"),
            format!("--hint-file={hints}"),
            format!("--local-address={powerdns}"),
        ];
        let fixed =
            ["--dnssec=off", "--daemon=no", "--dont-query=", "--security-poll-suffix=", "--allow-from=0.0.0.0/0"];
        let arguments: Vec<&str> = own.iter().map(String::as_str).chain(fixed).collect();
        self.start("recursor", "pdns_recursor", &arguments);
    }

    fn ask(&self, server: &str, kind: &str) -> Said {
        let began = Instant::now();
        let at = format!("@{server}");
        // As long as the most patient of them tries on its own.
        let (_, text) = self.inside("dig", &[&at, "+time=12", "+tries=1", NAME, kind]);
        let status = text.split("status: ").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or("none");
        let answer = text.lines().filter(|line| line.starts_with(NAME)).filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words.get(3) == Some(&kind)).then(|| words.get(4).copied().unwrap_or_default().to_owned())
        });
        Said { status: status.to_owned(), records: answer.collect(), took: began.elapsed() }
    }

    /// Every resolver gives one of these addresses, twice: once what it knew has run out, and once more after that.
    fn expect(&self, event: &str, of: &[&str]) {
        // A second is the zone's TTL, and Knot Resolver keeps nothing for less than five.
        std::thread::sleep(Duration::from_millis(5500));
        for _ in 0..2 {
            for (name, address) in RESOLVERS {
                let said = self.ask(address, "A");
                println!("{event}: {name} answered {} within {:?}", said.records.join(" "), said.took);
                let fits = said.records.len() == 1 && said.records.iter().all(|record| of.contains(&record.as_str()));
                assert!(said.status == "NOERROR" && fits, "{event}: {name} {said:?}");
            }
            std::thread::sleep(Duration::from_millis(1100));
        }
    }
}

#[test]
fn resolvers_find_the_node_that_lives() {
    if !is_root_or_skips("resolvers_find_the_node_that_lives", "to make a network") {
        return;
    }
    let mut lab = Lab::new();
    lab.nsd("root", ROOT, ".", ROOT_ZONE);
    lab.nsd("parent", PARENT, "example.com", PARENT_ZONE);
    let first = lab.node(0);
    lab.node(1);
    lab.resolvers();
    for server in [PARENT].iter().chain(&NODES) {
        await_for("the name servers to answer", PATIENCE, || {
            (lab.ask(server, "SOA").status == "NOERROR").then_some(())
        });
    }
    for (name, address) in RESOLVERS {
        let up = || (lab.ask(address, "NS").status == "NOERROR").then_some(());
        await_for(&format!("{name} to resolve"), PATIENCE, up);
        // What the zone of a parent cannot say of a child: it is there, and has no such record.
        for kind in ["AAAA", "HTTPS", "MX"] {
            let said = lab.ask(address, kind);
            assert!(said.status == "NOERROR" && said.records.is_empty(), "{name} {kind}: {said:?}");
        }
    }
    lab.expect("both up", &NODES);
    lab.parts[first].signal(Signal::STOP);
    lab.expect("the first is silent", &NODES[1..]);
    lab.parts[first].signal(Signal::CONT);
    lab.expect("the first is back", &NODES);
    lab.parts[first].kill();
    lab.expect("the first is dead", &NODES[1..]);
}
