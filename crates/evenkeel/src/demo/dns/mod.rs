//! `demo --dns`: two nodes that answer names by what is healthy, three toy servers, and a client that asks them as a
//! resolver and a browser do.
//!
//! The nodes are processes of their own, so that they can be killed. All of it is on addresses of the loopback and
//! ports that need no rights. The invariant: what it shows is what the nodes answer to queries over the network.

mod client;
mod nodes;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use super::house::House;
use super::pair::{self, Client, free_port};
use super::play::{Meanings, Show, Tour};
use super::toy::{Mood, TRIO, Toy};
use crate::args::DemoArgs;
use crate::exit::Exit;
use client::{Tally, User};
use nodes::Nodes;

/// Answered with the node that is asked, and its peer behind it.
const SITE: &str = "api.demo.test";

/// Answered with the servers that are alive.
const SERVERS: &str = "www.demo.test";

/// Where the nodes and the toys are.
const NODES: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 11), Ipv4Addr::new(127, 0, 0, 12)];
const TOYS: [Ipv4Addr; 3] = [Ipv4Addr::new(127, 0, 0, 21), Ipv4Addr::new(127, 0, 0, 22), Ipv4Addr::new(127, 0, 0, 23)];

/// The ports that are tried, from each of these on.
const HTTP_PORT: u16 = 8080;
const DNS_PORT: u16 = 5300;
/// The addresses, for people.
const WHERE: &str = "127.0.0.11 to 127.0.0.23";

/// What the keys do.
const HELP: &str = "keys: 1 2 3 kill a server, or restore it · a b kill a node (kill -9), or start it again\n\
                    \u{20}     A B stop a node in order · q quit\n";

/// Something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// Kill a server, or restore it.
    Server(usize),
    /// Kill a node, or start it again.
    Node(usize),
    /// Stop a node in order, or start it again.
    Stop(usize),
}

/// The tour: seconds from the start, and what is done then.
const TOUR: [(u64, Act); 6] = [
    (4, Act::Server(0)),
    (8, Act::Server(0)),
    (11, Act::Node(0)),
    (15, Act::Node(0)),
    (18, Act::Stop(1)),
    (22, Act::Stop(1)),
];

/// When it ends.
const END: Duration = Duration::from_secs(25);

pub(super) async fn show(args: &DemoArgs) -> Exit {
    let steps = TOUR.into_iter().map(|(at, act)| (Duration::from_secs(at), act)).collect();
    pair::show(Stage::set(), args, Tour { steps, end: END }, Meanings { help: HELP, of: meaning }).await
}

fn meaning(key: u8) -> Option<Act> {
    Some(match key {
        b'1'..=b'3' => Act::Server(usize::from(key - b'1')),
        b'a' | b'b' => Act::Node(usize::from(key - b'a')),
        b'A' | b'B' => Act::Stop(usize::from(key - b'A')),
        _ => return None,
    })
}

/// Everything that plays.
struct Stage {
    toys: Vec<Toy>,
    client: Client<Tally>,
    // Before the house, in which their files lie.
    nodes: Nodes,
    /// What each node answered last for each name.
    told: BTreeMap<(usize, &'static str), String>,
    _house: House,
}

impl Stage {
    async fn set() -> Result<Self, String> {
        let http = free_port(HTTP_PORT, WHERE, |port| {
            NODES.iter().chain(&TOYS).all(|ip| TcpListener::bind((*ip, port)).is_ok())
        })?;
        let dns = free_port(DNS_PORT, WHERE, |port| {
            NODES.iter().all(|ip| UdpSocket::bind((*ip, port)).is_ok() && TcpListener::bind((*ip, port)).is_ok())
        })?;
        let mut toys = Vec::new();
        for (character, ip) in TRIO.into_iter().zip(TOYS) {
            let toy = Toy::start_at(character, SocketAddr::from((ip, http))).await;
            toys.push(toy.map_err(|error| format!("no toy server: {error}"))?);
        }
        let house = House::build().map_err(|error| format!("no folder for the nodes' files: {error}"))?;
        let nodes = Nodes::start(&house, (http, dns), &toys).await?;
        let servers = nodes.resolvers();
        let client = Client::start(|seen| User::new(servers, SITE, http, seen).run());
        Ok(Self { toys, client, nodes, told: BTreeMap::new(), _house: house })
    }
}

impl pair::Stage for Stage {
    fn welcome(&self) -> String {
        let mut text = String::from("evenkeel demo of DNS: two nodes answer for demo.test, by what is healthy\n\n");
        for (name, at) in self.nodes.names() {
            text.push_str(&format!("  {name}  dig @{} -p {} {SITE} (or {SERVERS})\n", at.ip(), at.port()));
        }
        text.push_str(&format!(
            "any command, such as: evenkeel dns zones --control {}\n\n",
            self.nodes.socket().display()
        ));
        text.push_str(&self.nodes.example());
        text.push_str("\nservers:\n");
        for toy in &self.toys {
            text.push_str(&format!("  {:6} http://{}/\n", toy.name(), toy.addr()));
        }
        text.push_str(&format!(
            "\na client looks {SITE} up anew when its TTL is over, and asks it ten times a second.\n"
        ));
        text
    }

    fn total(&self) -> String {
        self.client.total().to_string()
    }
}

impl Show for Stage {
    type Act = Act;

    const LOOK: Duration = Duration::from_millis(200);

    async fn act(&mut self, act: Act) -> Result<Option<String>, String> {
        match act {
            Act::Server(at) => {
                let Some(toy) = self.toys.get(at) else { return Ok(None) };
                let (mood, line) = match toy.mood() {
                    Mood::Dead => (Mood::Well, "is well again: two checks in a row bring it back"),
                    Mood::Well | Mood::Hung => (Mood::Dead, "is killed: no node is to answer with it any more"),
                };
                toy.set(mood).await;
                Ok(Some(format!("{} {line}", toy.name())))
            }
            Act::Node(at) | Act::Stop(at) => self.nodes.turn(at, matches!(act, Act::Stop(_))).await.map(Some),
        }
    }

    async fn news(&mut self) -> Result<Vec<String>, String> {
        let mut lines = Vec::new();
        for (at, (node, server)) in self.nodes.names().into_iter().enumerate() {
            for name in [SITE, SERVERS] {
                let answer = match evenkeel_node::look_up(server, name, client::PATIENCE).await {
                    Ok(found) => shown(found.addresses, name == SERVERS),
                    Err(_) => "nothing: nobody is there".to_owned(),
                };
                if self.told.get(&(at, name)) != Some(&answer) {
                    lines.push(format!("{node} answers {name} with {answer}"));
                    self.told.insert((at, name), answer);
                }
            }
        }
        Ok(lines)
    }

    fn recent(&mut self) -> String {
        self.client.take().to_string()
    }
}

/// Addresses for people: in their order where it means something, sorted where it turns with each answer.
fn shown(mut addresses: Vec<IpAddr>, turns: bool) -> String {
    if turns {
        addresses.sort_unstable();
    }
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_help_does_something() {
        for key in *b"123abAB" {
            assert!(meaning(key).is_some(), "{}", char::from(key));
            assert!(HELP.contains(char::from(key)));
        }
        assert_eq!(meaning(b'x'), None);
    }

    #[test]
    fn the_tour_goes_forward_and_heals_what_it_hurts() {
        assert!(TOUR.is_sorted_by_key(|(at, _)| *at));
        assert!(TOUR.last().is_some_and(|(at, _)| Duration::from_secs(*at) < END));
        for act in TOUR.map(|(_, act)| act) {
            assert_eq!(TOUR.iter().filter(|(_, other)| *other == act).count() % 2, 0, "{act:?}");
        }
    }
}
