//! `demo --ha`: two nodes that stand in for one another, and a client that knows one address.
//!
//! The nodes are processes of their own, so that they can be killed: heartbeats, who owns the address, the guard of each
//! and its script are what they are anywhere. Without rights no address can move; the [`network`] of the demo stands in
//! for that. The invariant: a connection reaches the node that had the address last, or nobody.

mod client;
mod network;
mod nodes;

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::time::Duration;

use super::house::House;
use super::pair::{self, Client, free_port};
use super::play::{Meanings, Show, Tour};
use crate::args::DemoArgs;
use crate::exit::Exit;
use client::Tally;
use network::Network;
use nodes::Nodes;

/// The address that clients know, and the nodes' own.
const SERVICE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 30);
const NODES: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 31), Ipv4Addr::new(127, 0, 0, 32)];

/// The ports that are tried, from each of these on.
const HTTP_PORT: u16 = 8080;
const CLUSTER_PORT: u16 = 6940;
/// The addresses, for people.
const WHERE: &str = "127.0.0.30 to 127.0.0.32";

/// What the keys do.
const HELP: &str = "keys: a b kill a node (kill -9), or start it again · A B have a node take the address over\n\
                    \u{20}     s t have a node stand still, or go on · q quit\n";

/// Something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// Kill a node, or start it again.
    Kill(usize),
    /// Have a node take the address over.
    Takeover(usize),
    /// Have a node stand still, or go on.
    Freeze(usize),
}

/// The tour: seconds from the start, and what is done then.
const TOUR: [(u64, Act); 6] = [
    (4, Act::Kill(0)),
    (8, Act::Kill(0)),
    (12, Act::Takeover(0)),
    (16, Act::Freeze(0)),
    (20, Act::Freeze(0)),
    (24, Act::Takeover(0)),
];

/// When it ends.
const END: Duration = Duration::from_secs(27);

pub(super) async fn show(args: &DemoArgs) -> Exit {
    let steps = TOUR.into_iter().map(|(at, act)| (Duration::from_secs(at), act)).collect();
    pair::show(Stage::set(), args, Tour { steps, end: END }, Meanings { help: HELP, of: meaning }).await
}

fn meaning(key: u8) -> Option<Act> {
    Some(match key {
        b'a' | b'b' => Act::Kill(usize::from(key - b'a')),
        b'A' | b'B' => Act::Takeover(usize::from(key - b'A')),
        b's' | b't' => Act::Freeze(usize::from(key - b's')),
        _ => return None,
    })
}

/// Everything that plays.
struct Stage {
    client: Client<Tally>,
    network: Network,
    // Before the house, in which their files lie.
    nodes: Nodes,
    /// Who had the address at the last look.
    owner: Option<String>,
    _house: House,
}

impl Stage {
    async fn set() -> Result<Self, String> {
        let http = free_port(HTTP_PORT, WHERE, |port| {
            NODES.iter().chain([&SERVICE]).all(|ip| TcpListener::bind((*ip, port)).is_ok())
        })?;
        let cluster = free_port(CLUSTER_PORT, WHERE, |port| {
            NODES.iter().all(|ip| UdpSocket::bind((*ip, port)).is_ok() && TcpListener::bind((*ip, port)).is_ok())
        })?;
        let house = House::build().map_err(|error| format!("no folder for the nodes' files: {error}"))?;
        let network = Network::start(house.file(network::OWNER), http).await?;
        let nodes = Nodes::start(&house, (http, cluster), &network).await?;
        let client = Client::start(|seen| client::run(http, seen));
        let owner = network.owner();
        Ok(Self { client, network, nodes, owner, _house: house })
    }
}

impl pair::Stage for Stage {
    fn welcome(&self) -> String {
        format!(
            "evenkeel demo of two nodes and one address\n\n\
             clients know {SERVICE}, port {}; the nodes are lb1 ({}) and lb2 ({})\n\
             any command, such as: evenkeel cluster status --control {}\n\n\
             Heartbeats, who owns the address, guards and the script of the group are real. To move an address takes\n\
             rights; here the script writes down who has it, and a relay at {SERVICE} stands in for the network.\n\n{}\n\
             a client opens a connection every 50 ms.\n",
            self.nodes.port(),
            NODES[0],
            NODES[1],
            self.nodes.socket().display(),
            self.nodes.example(),
        )
    }

    fn total(&self) -> String {
        self.client.total().to_string()
    }
}

impl Show for Stage {
    type Act = Act;

    const LOOK: Duration = Duration::from_millis(20);

    async fn act(&mut self, act: Act) -> Result<Option<String>, String> {
        match act {
            Act::Kill(at) => self.nodes.turn(at).await.map(Some),
            Act::Freeze(at) => Ok(Some(self.nodes.freeze(at))),
            Act::Takeover(at) => self.nodes.takeover(at).await.map(Some),
        }
    }

    async fn news(&mut self) -> Result<Vec<String>, String> {
        let owner = self.network.owner();
        if owner == self.owner {
            return Ok(Vec::new());
        }
        self.owner.clone_from(&owner);
        Ok(vec![owner.map_or_else(|| format!("nobody has {SERVICE}"), |owner| format!("{owner} has {SERVICE}"))])
    }

    fn recent(&mut self) -> String {
        self.client.take().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_help_does_something() {
        for key in *b"abABst" {
            assert!(meaning(key).is_some(), "{}", char::from(key));
            assert!(HELP.contains(char::from(key)));
        }
        assert_eq!(meaning(b'x'), None);
    }

    #[test]
    fn the_tour_goes_forward_and_heals_what_it_hurts() {
        assert!(TOUR.is_sorted_by_key(|(at, _)| *at));
        assert!(TOUR.last().is_some_and(|(at, _)| Duration::from_secs(*at) < END));
        let hurts = TOUR.iter().map(|(_, act)| *act).filter(|act| !matches!(act, Act::Takeover(_)));
        for act in hurts {
            assert_eq!(TOUR.iter().filter(|(_, other)| *other == act).count() % 2, 0, "{act:?}");
        }
    }
}
