//! The demo's stage: toys, a node, clients, and what can be done to them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use evenkeel_config::Options;
use evenkeel_model::State;
use evenkeel_model::config::Standing;
use evenkeel_node::{ControlPlace, Handle, LiveText, Node, Origin, SignalUse, Start, StartError};

use super::load::Load;
use super::toy::{CHECK_PATH, Mood, TRIO, Toy};

/// The port that is tried first, and how many after it.
const FIRST_PORT: u16 = 8080;
const PORTS: u16 = 10;

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
    /// Give it no new clients, or let it have them again, by a reload.
    Drain,
    /// Take it out of service, or put it back, by a reload.
    Maintain,
    /// Add a client without a cookie.
    NewClient,
}

/// Everything that plays.
pub(super) struct Stage {
    toys: Vec<Toy>,
    node: Node,
    handle: Handle,
    config: LiveText,
    addr: SocketAddr,
    load: Load,
    chosen: usize,
    standing: Vec<Standing>,
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
        let standing = vec![Standing::Ready; toys.len()];
        let config = LiveText::new(String::new());
        let (node, addr) = start(port, &toys, &standing, &config)?;
        let handle = node.handle();
        let load = Load::start(addr, CLIENTS, RATE);
        Ok(Self { toys, node, handle, config, addr, load, chosen: 0, standing, told: BTreeMap::new() })
    }

    /// What is to be seen, and where.
    pub(super) fn welcome(&self) -> String {
        let mut text = format!(
            "evenkeel demo: open http://{}/ in a browser, and reload the page\n\n{}\n\nservers:\n",
            self.addr,
            text(self.addr, &self.toys, &self.standing)
        );
        for toy in &self.toys {
            text.push_str(&format!("  {:6} http://{}/\n", toy.name(), toy.addr()));
        }
        text.push_str(&format!("\n{CLIENTS} clients with cookies make {RATE} requests a second.\n"));
        text
    }

    /// Makes this toy the one that acts are about.
    pub(super) fn choose(&mut self, toy: usize) {
        if toy < self.toys.len() {
            self.chosen = toy;
        }
    }

    /// Does it, and says what it did.
    pub(super) async fn act(&mut self, act: Act) -> Result<Option<String>, String> {
        let Some(toy) = self.toys.get(self.chosen) else { return Ok(None) };
        let name = toy.name();
        Ok(Some(match act {
            Act::Choose(index) => {
                let Some(toy) = self.toys.get(index) else { return Ok(None) };
                let line = format!("the keys now mean {}, which is {}", toy.name(), toy.mood());
                self.choose(index);
                line
            }
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
            Act::Drain => self.order(Standing::Drain).await?,
            Act::Maintain => self.order(Standing::Maintenance).await?,
            Act::NewClient => format!("a new client comes; there are {}", self.load.add_client()),
        }))
    }

    /// Transitions since the last look.
    pub(super) async fn news(&mut self) -> Result<Vec<String>, String> {
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

    /// What the clients saw since this was asked last, and how many each toy holds.
    pub(super) fn recent(&self) -> String {
        let mut held = BTreeMap::<String, usize>::new();
        for server in self.load.bonds().into_iter().flatten() {
            let count = held.entry(server).or_default();
            *count = count.saturating_add(1);
        }
        let held: Vec<String> = held.iter().map(|(name, count)| format!("{name} {count}")).collect();
        format!("{} | clients on {}", self.load.take(), held.join(", "))
    }

    /// What the clients saw in all, and what the toys say they answered, retries and browsers included.
    pub(super) fn total(&self) -> String {
        let served: Vec<String> = self.toys.iter().map(|toy| format!("{} {}", toy.name(), toy.served())).collect();
        format!("{}\nthe servers' own count: {}", self.load.total(), served.join(", "))
    }

    /// Takes everything down.
    pub(super) async fn close(self) -> Result<(), String> {
        let Self { toys, node, handle, load, .. } = self;
        // The clients first, so that there is nothing to drain.
        drop(load);
        // A node that has ended needs no stopping.
        let _ = handle.stop("the demo").await;
        let ended = tokio::task::spawn_blocking(move || node.wait()).await;
        drop(toys);
        match ended {
            Ok(ended) => ended.failed.map_or(Ok(()), Err),
            Err(panic) => Err(panic.to_string()),
        }
    }

    /// Orders something of the chosen toy in the configuration, or lifts the order, and reloads.
    async fn order(&mut self, order: Standing) -> Result<String, String> {
        let Some(standing) = self.standing.get_mut(self.chosen) else { return Ok(String::new()) };
        *standing = if *standing == order { Standing::Ready } else { order };
        let standing = *standing;
        self.config.set(text(self.addr, &self.toys, &self.standing));
        let reloaded = self.handle.reload("the demo").await.map_err(|refusal| refusal.report)?;
        let name = self.toys.get(self.chosen).map_or("", Toy::name);
        let what = match standing {
            Standing::Ready => "takes clients again",
            Standing::Drain => "keeps the clients it has and gets no new ones",
            Standing::Maintenance => "gets no traffic at all",
        };
        Ok(format!("reload, generation {}: {name} {what}", reloaded.generation))
    }
}

/// Starts the node at the port, or at the first free one.
fn start(
    port: Option<u16>,
    toys: &[Toy],
    standing: &[Standing],
    config: &LiveText,
) -> Result<(Node, SocketAddr), String> {
    let customary = FIRST_PORT..FIRST_PORT.saturating_add(PORTS);
    let ports: Vec<u16> = port.map_or_else(|| customary.chain(free_port()).collect(), |port| vec![port]);
    let mut last = String::new();
    for port in ports {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        config.set(text(addr, toys, standing));
        match start_at(config) {
            Ok(node) => return Ok((node, addr)),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

fn start_at(config: &LiveText) -> Result<Node, StartError> {
    let origin = Origin::Live { name: "demo".to_owned(), text: config.clone() };
    let loading = origin.load(&Options::default());
    Node::start(Start {
        origin,
        loaded: loading.loaded,
        texts: loading.texts,
        is_last_good: false,
        state: None,
        control: ControlPlace::Nowhere,
        service: None,
        signals: SignalUse::Leave,
    })
}

/// A port that was free a moment ago.
fn free_port() -> Option<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    listener.local_addr().ok().map(|addr| addr.port())
}

/// The demo's configuration.
fn text(addr: SocketAddr, toys: &[Toy], standing: &[Standing]) -> String {
    let servers = toys.iter().zip(standing).map(|(toy, standing)| (toy.name(), toy.addr(), *standing));
    Config { addr, servers: servers.collect() }.to_string()
}

struct Config {
    addr: SocketAddr,
    servers: Vec<(&'static str, SocketAddr, Standing)>,
}

/// A kept connection to a toy that hangs would hold its request for the default of a minute: too long for a demo.
const ANSWER: Duration = Duration::from_secs(2);

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "state off")?;
        writeln!(f, "limits {{\n    workers 1\n    drain   2s\n}}")?;
        writeln!(f, "http {} {{\n    route * to=toys\n}}", self.addr)?;
        writeln!(f, "pool toys {{\n    sticky")?;
        writeln!(f, "    check   GET {CHECK_PATH} every=500ms timeout=500ms rise=2 fall=2")?;
        writeln!(f, "    retry   2 elsewhere on=lost,timeout\n    timeout answer={}s", ANSWER.as_secs())?;
        for (name, addr, standing) in &self.servers {
            let order = match standing {
                Standing::Ready => "",
                Standing::Drain => " drain",
                Standing::Maintenance => " maint",
            };
            writeln!(f, "    server  {name:6} {addr}{order}")?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_good_whatever_is_ordered() {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
        for standing in [Standing::Ready, Standing::Drain, Standing::Maintenance] {
            let servers =
                vec![("amber", addr, standing), ("blue", SocketAddr::from((Ipv4Addr::LOCALHOST, 1)), Standing::Ready)];
            let text = Config { addr, servers }.to_string();
            let origin = Origin::Text { name: "demo".to_owned(), text: text.clone() };
            let loaded = origin.load(&Options::default()).loaded;
            assert!(loaded.diagnostics.is_empty(), "{:?} in\n{text}", loaded.diagnostics);
            let config = loaded.config.unwrap();
            assert_eq!(config.pools[0].servers[0].standing, standing);
        }
    }
}
