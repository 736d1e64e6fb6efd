//! What would be answered now, and why: for `dns query` and `dns zones`.
//!
//! The invariant: the answer is made by the way that queries go, from the view that they are answered from.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use evenkeel_dns::answer::{Health, Transport, Zones};
use evenkeel_dns::wire::{Message, Question, write_query};
use evenkeel_dns::{Class, Name, Type};
use evenkeel_model::ServerId;
use evenkeel_model::config::{Config, ListenAddr};
use evenkeel_proxy::ServerView;

use super::Dns;
use super::chosen::{self, BalancedStatus};
use super::load::Block;
use super::long::{self, Outcome};

/// What a query gets now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answered {
    /// The zone that answers; `None` where none here does.
    pub zone: Option<String>,
    /// The response code.
    pub rcode: String,
    /// The records of the answer, as in a zone file.
    pub answer: Vec<String>,
    /// Those of the authority section.
    pub authority: Vec<String>,
    /// Why it is so, a sentence each.
    pub why: Vec<String>,
}

/// Stands where an answer holds whichever address the query arrives at.
const THE_ARRIVAL: &str = "the address that is asked";

/// A query that nobody sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsAsked {
    name: Name,
    kind: Type,
    client: Option<IpAddr>,
    arrived_at: Option<IpAddr>,
}

impl DnsAsked {
    /// A query for a name and a type, as people write them. `client` is who would ask, `arrived_at` the address that
    /// would be asked.
    ///
    /// # Errors
    /// Where the name or the type is none, in a sentence.
    pub fn read(
        name: &str,
        kind: &str,
        (client, arrived_at): (Option<IpAddr>, Option<IpAddr>),
    ) -> Result<Self, String> {
        let asked = name.parse().map_err(|error: evenkeel_dns::NameError| format!("`{name}`: {error}"))?;
        let is_answered = |kind: &Type| !matches!(*kind, Type::AXFR | Type::IXFR);
        let kind = Type::from_text(kind.as_bytes()).filter(is_answered).ok_or_else(|| {
            format!("`{kind}` is no type of records; there are A, AAAA, NS, SOA, TXT and so on, or TYPE and a number")
        })?;
        Ok(Self { name: asked, kind, client, arrived_at })
    }
}

/// A zone and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneStatus {
    /// Its name.
    pub name: String,
    /// The addresses at which it is answered.
    pub listeners: Vec<String>,
    /// Its serial.
    pub serial: u32,
    /// How many names it has.
    pub names: usize,
    /// Names whose addresses are chosen by health.
    pub balanced: Vec<BalancedStatus>,
}

impl Dns {
    /// What a query gets now. Where it is not said at which address it would arrive, that is the one that is listened
    /// at; where that is every address, a place is left for it.
    pub(crate) fn query(&self, asked: &DnsAsked, config: &Config) -> Answered {
        let DnsAsked { name, kind, client, arrived_at } = asked;
        let kind = *kind;
        let found = self.blocks.iter().find(|block| block.zones.find(name, kind).is_some()).or(self.blocks.first());
        let answers = found.and_then(|block| self.view.by_listener.get(block.listeners.first()?));
        let Some((block, answers)) = found.zip(answers) else {
            let why = vec!["the configuration has no `dns` block".to_owned()];
            return Answered { rcode: "REFUSED".to_owned(), why, ..Answered::default() };
        };
        let bytes = write_query(1, &Question { name: name.clone(), kind, class: Class::IN }, false, Some(1232));
        let arrival = arrived_at.unwrap_or_else(|| listened_at(block, config));
        let from = SocketAddr::new((*client).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), 53_535);
        let reply = match long::answer(answers, &bytes, from, Some(arrival), Transport::Tcp, 0) {
            Outcome::One(reply) => reply,
            Outcome::Many(..) | Outcome::Silence => return Answered::default(),
        };
        let message = Message::read(&reply.bytes);
        let lines = |section: fn(&Message) -> &Vec<evenkeel_dns::wire::MessageRecord>| {
            let line = |record: &evenkeel_dns::wire::MessageRecord| {
                let is_arrival = arrival.is_unspecified() && record.data.as_ip() == Some(arrival);
                let data = if is_arrival { THE_ARRIVAL.to_owned() } else { record.data.show(record.kind) };
                format!("{} {} {} {data}", record.owner, record.ttl, record.kind)
            };
            message.as_ref().map(|message| section(message).iter().map(line).collect()).unwrap_or_default()
        };
        Answered {
            zone: block.zones.find(name, kind).map(|served| served.zone().origin().to_string()),
            rcode: reply.rcode.to_string(),
            answer: lines(|message| &message.answer),
            authority: lines(|message| &message.authority),
            why: why(&block.zones, (name, kind), &answers.health.borrow(), arrival)
                .into_iter()
                .chain(self.states(&block.zones, name, kind))
                .collect(),
        }
    }

    /// What the servers of the name's pools are held for.
    fn states(&self, zones: &Zones, name: &Name, kind: Type) -> Vec<String> {
        let balanced = zones.find(name, kind).and_then(|served| served.balanced_for(name));
        let Some(balanced) = balanced else { return Vec::new() };
        let mut lines = Vec::new();
        for pool in balanced.pools() {
            for member in self.health.members(pool) {
                lines.push(format!("{} of pool `{pool}` is {}", member.address, member.state));
            }
        }
        lines
    }

    /// Every zone.
    pub(crate) fn zones(&self, config: &Config, views: &HashMap<ServerId, ServerView>) -> Vec<ZoneStatus> {
        let mut all = Vec::new();
        for block in self.blocks.iter() {
            let arrival = listened_at(block, config);
            for served in block.zones.all() {
                let zone = served.zone();
                let chosen = served.chosen().into_iter();
                let balanced =
                    chosen.map(|(name, balanced)| self.balanced_status(name, balanced, arrival, (config, views)));
                all.push(ZoneStatus {
                    name: zone.origin().to_string(),
                    listeners: block.listeners.iter().map(ToString::to_string).collect(),
                    serial: zone.soa().serial,
                    names: zone.len(),
                    balanced: balanced.collect(),
                });
            }
        }
        all
    }
}

impl fmt::Display for DnsAsked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.kind)
    }
}

/// The address that a block answers at; the unspecified one of IPv4, or of IPv6 where it says so, for every address.
fn listened_at(block: &Block, config: &Config) -> IpAddr {
    let mut listeners = config.dns.iter().flat_map(|dns| &dns.listeners);
    match listeners.find(|listener| block.listeners.first() == Some(&listener.name)).map(|listener| listener.addr) {
        Some(ListenAddr::One(addr)) => addr.ip().to_canonical(),
        Some(ListenAddr::Every(_)) | None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

fn why(zones: &Zones, (name, kind): (&Name, Type), health: &Health<'_>, arrival: IpAddr) -> Vec<String> {
    let Some(served) = zones.find(name, kind) else {
        return vec![format!("no zone here holds `{name}`")];
    };
    match served.balanced_for(name) {
        Some(balanced) if matches!(kind, Type::A | Type::AAAA) => {
            let rule = format!("the addresses of the name are chosen: answer={}", balanced.mode);
            std::iter::once(rule).chain(chosen::why(balanced, health, &[kind], arrival)).collect()
        }
        _ => vec![format!("the records of zone `{}`", served.zone().origin())],
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_config::{MemorySource, Options, load_text};

    use super::super::load::load;
    use super::*;

    #[test]
    fn a_query_that_nobody_sent_arrives_where_is_listened() {
        for (at, wanted) in [("192.0.2.7:53", "192.0.2.7"), ("[2001:db8::7]:53", "2001:db8::7"), (":53", "0.0.0.0")] {
            let text = format!(
                "http 127.0.0.1:8080 {{\n    to 127.0.0.1:1\n}}\n\
                 dns {at} {{\n    zone a.example {{\n        ns lb1.example.com\n    }}\n}}\n"
            );
            let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default());
            let config = loaded.config.as_ref().expect("it is sound");
            let blocks = load(config, b"", &loaded, &[]).expect("it can be used");
            let arrival = listened_at(blocks.first().expect("there is a block"), config);
            assert_eq!(arrival.to_string(), wanted, "{at}");
        }
    }
}
