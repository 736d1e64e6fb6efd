//! The demo's stage: toys, a node, clients, and what can be done to them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use evenkeel_admin::client::Client;
use evenkeel_admin::report::ServerReport;
use evenkeel_admin::servers::{ServerWish, WishedState};
use evenkeel_config::Options;
use evenkeel_model::State;
use evenkeel_node::{ControlPlace, Handle, Node, Origin, SignalUse, Start};

use super::house::{House, USER};
use super::load::Load;
use super::play::Show;
use super::toy::{CHECK_PATH, Mood, TRIO, Toy};
use crate::control;

/// The ports that are tried first, for traffic and for the dashboard, and how many after each.
const FIRST_PORT: u16 = 8080;
const ADMIN_PORT: u16 = 9090;
const PORTS: u16 = 10;

/// The pool of the toys.
const POOL: &str = "toys";

/// Clients at the start, and their requests a second in all: enough to see, too few to hear the fan.
const CLIENTS: usize = 6;
const RATE: u32 = 20;

/// Something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Make this toy (0 to 2) the one that the others act on.
    Choose(usize),
    /// Let it die, as by kill -9.
    Kill,
    /// Let it hang: it accepts and says nothing.
    Hang,
    /// Let it be well again.
    Restore,
    /// Give it no new clients, or let it have them again.
    Drain,
    /// Take it out of service, or put it back.
    Maintain,
    /// Add a client without a cookie.
    NewClient,
}

/// Everything that plays.
pub(super) struct Stage {
    toys: Vec<Toy>,
    node: Node,
    handle: Handle,
    config: Config,
    house: House,
    load: Load,
    chosen: usize,
    /// The states that were told last.
    told: BTreeMap<String, State>,
}

impl Stage {
    /// Sets everything up.
    pub(super) async fn set(port: Option<u16>) -> Result<Self, String> {
        let mut toys = Vec::new();
        for character in TRIO {
            toys.push(Toy::start(character).await.map_err(|error| format!("no toy server: {error}"))?);
        }
        let house = House::build().map_err(|error| format!("no folder for the control socket: {error}"))?;
        let (node, config) = start(port, &toys, &house)?;
        let handle = node.handle();
        let load = Load::start(config.addr, CLIENTS, RATE);
        Ok(Self { toys, node, handle, config, house, load, chosen: 0, told: BTreeMap::new() })
    }

    /// What is to be seen, and where.
    pub(super) fn welcome(&self) -> String {
        let mut text = format!(
            "evenkeel demo: open http://{}/ in a browser, and reload the page\n\ndashboard: http://{}/, user `{USER}`, password \
             `{}`\nany command, such as: evenkeel top --control {}\n\n{}\n\nservers:\n",
            self.config.addr,
            self.config.admin,
            self.house.password(),
            self.house.socket().display(),
            self.config
        );
        for toy in &self.toys {
            text.push_str(&format!("  {:6} http://{}/\n", toy.name(), toy.addr()));
        }
        text.push_str(&format!("\n{CLIENTS} clients with cookies make {RATE} requests a second.\n"));
        text
    }

    /// Makes this toy the one that acts are about.
    fn choose(&mut self, toy: usize) {
        if toy < self.toys.len() {
            self.chosen = toy;
        }
    }

    /// What the clients saw in all, and what the toys say they answered, retries and browsers included.
    pub(super) fn total(&self) -> String {
        let served: Vec<String> = self.toys.iter().map(|toy| format!("{} {}", toy.name(), toy.served())).collect();
        format!("{}\nthe servers' own count: {}", self.load.total(), served.join(", "))
    }

    /// Takes everything down.
    pub(super) async fn close(self) -> Result<(), String> {
        let Self { toys, node, handle, load, house, .. } = self;
        // The clients first, so that there is nothing to drain.
        drop(load);
        // A node that has ended needs no stopping.
        let _ = handle.stop("the demo").await;
        let ended = tokio::task::spawn_blocking(move || node.wait()).await;
        drop((toys, house));
        match ended {
            Ok(ended) => ended.failed.map_or(Ok(()), Err),
            Err(panic) => Err(panic.to_string()),
        }
    }

    /// Orders something of the chosen toy, or lifts the order, as the command line and the dashboard do: by the API.
    async fn order(&mut self, order: WishedState) -> Result<String, String> {
        let Some(name) = self.toys.get(self.chosen).map(Toy::name) else { return Ok(String::new()) };
        let socket = self.house.socket();
        let asked = tokio::task::spawn_blocking(move || toggle(&socket, name, order)).await;
        let (ordered, report) = asked.map_err(|panic| panic.to_string())??;
        let what = match ordered {
            WishedState::Ready => "takes clients again",
            WishedState::Drain => "keeps the clients it has and gets no new ones",
            WishedState::Maint => "gets no traffic at all",
        };
        let still = if report.state == "down" { ", once it is up again" } else { "" };
        Ok(format!("ordered, and every worker sees it: {name} is {} and {what}{still}", report.state))
    }
}

impl Show for Stage {
    /// What to do, and the toy that it is about where that is not the chosen one.
    type Act = (Option<usize>, Act);

    const LOOK: Duration = Duration::from_millis(100);

    async fn act(&mut self, (toy, act): Self::Act) -> Result<Option<String>, String> {
        if let Some(toy) = toy {
            self.choose(toy);
        }
        let Some(toy) = self.toys.get(self.chosen) else { return Ok(None) };
        let name = toy.name();
        Ok(Some(match act {
            Act::Choose(index) => {
                let Some(toy) = self.toys.get(index) else { return Ok(None) };
                let line = format!("the keys now mean {}, which is {}", toy.name(), toy.mood());
                self.choose(index);
                line
            }
            Act::Kill if toy.mood() == Mood::Dead => format!("{name} is dead already; u restores it"),
            Act::Hang if toy.mood() == Mood::Hung => format!("{name} hangs already; u restores it"),
            Act::Restore if toy.mood() == Mood::Well => format!("{name} is well already; k kills it, h hangs it"),
            Act::Kill => {
                toy.set(Mood::Dead).await;
                format!("{name} is killed: its clients are to move at once, and none to notice")
            }
            Act::Hang => {
                toy.set(Mood::Hung).await;
                format!("{name} hangs: it accepts and says nothing until the checks find out")
            }
            Act::Restore => {
                toy.set(Mood::Well).await;
                format!("{name} is well again: two checks in a row bring it back")
            }
            Act::Drain => self.order(WishedState::Drain).await?,
            Act::Maintain => self.order(WishedState::Maint).await?,
            Act::NewClient => format!("a new client comes; there are {}", self.load.add_client()),
        }))
    }

    async fn news(&mut self) -> Result<Vec<String>, String> {
        let status = self.handle.status().await.map_err(|gone| gone.to_string())?;
        let mut news = Vec::new();
        for server in status.pools.iter().flat_map(|pool| &pool.servers) {
            let (name, state) = (server.id.server.to_string(), server.verdict.state);
            let is_news = self.told.get(&name).map_or(state != State::Unknown, |told| *told != state);
            if is_news {
                news.push(format!("{name} is {state}: {}", server.verdict.text));
                self.told.insert(name, state);
            }
        }
        Ok(news)
    }

    fn recent(&mut self) -> String {
        let mut held = BTreeMap::<String, usize>::new();
        for server in self.load.bonds().into_iter().flatten() {
            let count = held.entry(server).or_default();
            *count = count.saturating_add(1);
        }
        let held: Vec<String> = held.iter().map(|(name, count)| format!("{name} {count}")).collect();
        format!("{} | clients on {}", self.load.take(), held.join(", "))
    }
}

/// Orders it, or lifts it where it is ordered already, by whomever.
fn toggle(socket: &Path, name: &str, order: WishedState) -> Result<(WishedState, ServerReport), String> {
    let client = Client::new(Some(socket));
    let words = |error: evenkeel_admin::client::ClientError| error.to_string();
    let now = client.server(POOL, name).map_err(words)?.intent.and_then(|intent| intent.state);
    let is_ordered = match order {
        WishedState::Drain => now.as_deref() == Some("drain"),
        WishedState::Maint => now.as_deref() == Some("maint"),
        WishedState::Ready => true,
    };
    let state = if is_ordered { WishedState::Ready } else { order };
    let wish = ServerWish { state: Some(state), why: Some("a key of the demo".to_owned()), ..ServerWish::default() };
    client.order(POOL, name, &wish).map(|report| (state, report)).map_err(words)
}

/// Starts the node at the port, or at the first free one.
fn start(port: Option<u16>, toys: &[Toy], house: &House) -> Result<(Node, Config), String> {
    let customary = FIRST_PORT..FIRST_PORT.saturating_add(PORTS);
    let ports: Vec<u16> = port.map_or_else(|| customary.chain(free_port()).collect(), |port| vec![port]);
    let admin = (ADMIN_PORT..ADMIN_PORT.saturating_add(PORTS))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .or_else(free_port)
        .ok_or("no port is free for the dashboard")?;
    let mut last = String::new();
    for port in ports {
        let config = Config {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            admin: SocketAddr::from((Ipv4Addr::LOCALHOST, admin)),
            pass: house.hash(),
            log: house.log(),
            servers: toys.iter().map(|toy| (toy.name(), toy.addr())).collect(),
        };
        match start_at(&config, house) {
            Ok(node) => return Ok((node, config)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn start_at(config: &Config, house: &House) -> Result<Node, String> {
    let origin = Origin::Text { name: "demo".to_owned(), text: config.to_string() };
    let loading = origin.load(&Options::default());
    let start = Start {
        origin,
        loaded: loading.loaded,
        texts: loading.texts,
        is_last_good: false,
        state: None,
        control: ControlPlace::At(house.socket()),
        service: Some(control::service()),
        signals: SignalUse::Leave,
        node: None,
        guard: None,
    };
    Node::start(start).map_err(|error| error.to_string())
}

/// A port that was free a moment ago.
fn free_port() -> Option<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    listener.local_addr().ok().map(|addr| addr.port())
}

/// The demo's configuration.
struct Config {
    addr: SocketAddr,
    admin: SocketAddr,
    pass: PathBuf,
    log: PathBuf,
    servers: Vec<(&'static str, SocketAddr)>,
}

/// A kept connection to a toy that hangs would hold its request for the default of a minute: too long for a demo.
const ANSWER: Duration = Duration::from_secs(2);

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "state off")?;
        writeln!(f, "limits {{\n    workers 1\n    drain   2s\n}}")?;
        writeln!(f, "admin {} {{", self.admin)?;
        writeln!(f, "    user {USER} role=operate pass=\"file:{}\"\n}}", self.pass.display())?;
        writeln!(f, "log \"{}\"", self.log.display())?;
        writeln!(f, "http {} {{\n    route * to={POOL}\n}}", self.addr)?;
        writeln!(f, "pool {POOL} {{\n    sticky")?;
        writeln!(f, "    check   GET {CHECK_PATH} every=500ms timeout=500ms rise=2 fall=2")?;
        writeln!(f, "    retry   2 elsewhere on=lost,timeout\n    timeout answer={}s", ANSWER.as_secs())?;
        for (name, addr) in &self.servers {
            writeln!(f, "    server  {name:6} {addr}")?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_good() {
        let house = House::build().unwrap();
        let addr = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let servers = vec![("amber", addr(1)), ("blue", addr(2))];
        let text =
            Config { addr: addr(8080), admin: addr(9090), pass: house.hash(), log: house.log(), servers }.to_string();
        let loaded = Origin::Text { name: "demo".to_owned(), text: text.clone() }.load(&Options::default()).loaded;
        assert!(loaded.diagnostics.is_empty(), "{:?} in\n{text}", loaded.diagnostics);
        let config = loaded.config.unwrap();
        assert_eq!((config.pools[0].servers.len(), config.admin.unwrap().users.len()), (2, 1));
    }
}
