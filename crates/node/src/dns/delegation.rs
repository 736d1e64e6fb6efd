//! The self-test: does the parent zone delegate a zone that is made here to the servers that it names?
//!
//! It asks a configured resolver who serves the parent, and one of those for the delegation. What does not fit is
//! warned of and changes nothing. The invariant: it sends a bounded number of queries, and nobody waits for it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use evenkeel_dns::wire::{Message, MessageRecord};
use evenkeel_dns::{Name, Type};

use super::asking::{RCODE, ask};

/// How long one answer is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// How many names upwards the parent zone is looked for: names between zones are rare.
const MOST_LABELS: usize = 8;

/// How many of the parent's servers are tried.
const MOST_SERVERS: usize = 3;

/// The port of name servers.
const PORT: u16 = 53;

/// The bit of a message's flags that says that it was cut (RFC 1035 section 4.1.1).
const TRUNCATED: u16 = 0x0200;

/// Response codes that say whether there is a name.
const NOERROR: u16 = 0;
const NXDOMAIN: u16 = 3;

/// What the parent should say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delegation {
    pub(super) zone: Name,
    pub(super) servers: Vec<(Name, Vec<IpAddr>)>,
    pub(super) resolver: SocketAddr,
}

/// Asks, and says what does not fit.
pub(super) async fn check(wanted: Delegation) {
    let zone = &wanted.zone;
    match referral(&wanted).await {
        Ok(referral) => match problems(&wanted, &referral) {
            found if found.is_empty() => tracing::info!("the parent zone delegates `{zone}` as the configuration says"),
            found => found.iter().for_each(|problem| tracing::warn!("zone `{zone}`: {problem}")),
        },
        Err(cause) => tracing::info!("whether the parent zone delegates `{zone}` cannot be told: {cause}"),
    }
}

/// What a server of the parent zone says of the zone.
async fn referral(wanted: &Delegation) -> Result<Message, String> {
    let resolver = wanted.resolver;
    let mut above = wanted.zone.parent();
    for _ in 0..MOST_LABELS {
        let Some(parent) = above else { break };
        let answer = ask(resolver, (&parent, Type::NS), true, PATIENCE).await?;
        let Some(NOERROR | NXDOMAIN) = outcome(&answer) else {
            return Err(format!("the resolver {resolver} cannot tell who serves `{parent}`"));
        };
        let servers: Vec<Name> = targets(&answer.answer, &parent);
        if servers.is_empty() {
            above = parent.parent();
            continue;
        }
        for server in servers.iter().take(MOST_SERVERS) {
            let addresses = ask(resolver, (server, Type::A), true, PATIENCE).await?;
            let Some(address) = addresses.answer.iter().find_map(|record| record.data.as_ip()) else { continue };
            let asked = ask(SocketAddr::new(address, PORT), (&wanted.zone, Type::NS), false, PATIENCE).await;
            if let Some(referral) = asked.ok().filter(|it| matches!(outcome(it), Some(NOERROR | NXDOMAIN))) {
                return Ok(referral);
            }
        }
        return Err(format!("no server of `{parent}` tells"));
    }
    Err(format!("the resolver {resolver} knows no servers of the zones above it"))
}

/// How the query went, where the answer came whole.
fn outcome(message: &Message) -> Option<u16> {
    (message.flags & TRUNCATED == 0).then_some(message.flags & RCODE)
}

/// The names that the NS records of an owner name.
fn targets(records: &[MessageRecord], owner: &Name) -> Vec<Name> {
    let own = records.iter().filter(|record| record.kind == Type::NS && record.owner == *owner);
    own.filter_map(|record| record.data.target(Type::NS)).map(|name| name.to_lower()).collect()
}

/// What does not fit, a sentence each.
fn problems(wanted: &Delegation, referral: &Message) -> Vec<String> {
    let mut named = targets(&referral.authority, &wanted.zone);
    named.extend(targets(&referral.answer, &wanted.zone));
    if named.is_empty() {
        return vec![
            "the parent zone does not delegate it, so that nobody asks here; add its NS records there".to_owned(),
        ];
    }
    let there: BTreeSet<String> = named.iter().map(Name::to_string).collect();
    let here: BTreeSet<String> = wanted.servers.iter().map(|(name, _)| name.to_lower().to_string()).collect();
    let mut found = Vec::new();
    for name in here.difference(&there) {
        found.push(format!("`ns` names {name}, and the parent zone does not"));
    }
    for name in there.difference(&here) {
        found.push(format!("the parent zone names {name}, and `ns` does not"));
    }
    for (name, addrs) in wanted.servers.iter().filter(|(_, addrs)| !addrs.is_empty()) {
        let glue: BTreeSet<IpAddr> = referral
            .additional
            .iter()
            .filter(|record| record.owner == *name && matches!(record.kind, Type::A | Type::AAAA))
            .filter_map(|record| record.data.as_ip())
            .collect();
        let own: BTreeSet<IpAddr> = addrs.iter().copied().collect();
        if !glue.is_empty() && !own.is_subset(&glue) {
            let list = |all: &BTreeSet<IpAddr>| all.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ");
            found.push(format!("the parent zone says that {name} is at {}, and `ns` at {}", list(&glue), list(&own)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use evenkeel_dns::Rdata;

    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn record(owner: &str, kind: Type, data: Rdata) -> MessageRecord {
        MessageRecord { owner: name(owner), kind, class: 1, ttl: 300, data }
    }

    fn ns(target: &str) -> MessageRecord {
        let data = Rdata::from_wire(Type::NS, name(target).as_wire()).unwrap();
        record("api.example.com.", Type::NS, data)
    }

    fn referral(servers: &[&str], glue: &str) -> Message {
        Message {
            id: 1,
            flags: 0x8000,
            questions: Vec::new(),
            answer: Vec::new(),
            authority: servers.iter().map(|server| ns(server)).collect(),
            additional: vec![record("lb1.example.com.", Type::A, Rdata::a(glue.parse().unwrap()))],
        }
    }

    #[test]
    fn what_does_not_fit_the_parent_is_told() {
        let wanted = Delegation {
            zone: name("api.example.com."),
            servers: vec![
                (name("lb1.example.com."), vec!["198.51.100.10".parse().unwrap()]),
                (name("lb2.example.com."), Vec::new()),
            ],
            resolver: "127.0.0.1:53".parse().unwrap(),
        };
        let both = ["LB1.example.com.", "lb2.example.com."];
        let cases = [
            (referral(&both, "198.51.100.10"), vec![]),
            (referral(&both, "198.51.100.99"), vec!["lb1.example.com. is at 198.51.100.99"]),
            (referral(&["lb1.example.com."], "198.51.100.10"), vec!["`ns` names lb2.example.com."]),
            (
                referral(&["lb1.example.com.", "lb2.example.com.", "old.example.net."], "198.51.100.10"),
                vec!["the parent zone names old.example.net."],
            ),
            (referral(&[], "198.51.100.10"), vec!["does not delegate it"]),
        ];
        for (referral, wants) in cases {
            let found = problems(&wanted, &referral);
            assert_eq!(found.len(), wants.len(), "{found:?}");
            assert!(found.iter().zip(&wants).all(|(found, wanted)| found.contains(wanted)), "{found:?}");
        }
    }
}
