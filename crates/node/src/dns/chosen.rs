//! The names whose addresses are chosen by health: what they are answered with now, from whom that was chosen, and why.
//!
//! The invariant: the choice shown is made by the way that queries go, from the view that they are answered from.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use evenkeel_dns::answer::{Asker, Balanced, Basis, Health, Mode, Own, Picked};
use evenkeel_dns::{Name, Rdata, Type};
use evenkeel_model::config::Config;
use evenkeel_model::{PoolName, ServerId, State};
use evenkeel_proxy::ServerView;

use super::Dns;

/// Who asks at an address where nobody does.
fn nobody_at(arrival: IpAddr) -> Asker {
    Asker { client: IpAddr::V4(Ipv4Addr::UNSPECIFIED), arrived_at: Some(arrival), luck: 0 }
}

/// A name whose addresses are chosen by health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalancedStatus {
    /// The name.
    pub name: String,
    /// The rule: `self`, `self+peers`, `peers` or `pool` with its name.
    pub answer: String,
    /// The addresses that may be answered now, but for the one that a query arrives at; empty where health is not known
    /// yet.
    pub now: Vec<IpAddr>,
    /// Whether the address that a query arrives at may be answered now.
    pub is_arrival: bool,
    /// Seconds that an answer may be kept now.
    pub ttl: u32,
    /// What this node is held for under this name; absent where its own address is never answered.
    pub own: Option<State>,
    /// The servers that the choice goes by, in written order.
    pub servers: Vec<ChosenServer>,
    /// Why it is so, a sentence each.
    pub why: Vec<String>,
}

/// A server that the choice of a name's addresses goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenServer {
    /// Which one.
    pub id: ServerId,
    /// Its addresses; none while its name does not resolve.
    pub addresses: Vec<IpAddr>,
    /// What it is held for.
    pub state: State,
    /// Whether its addresses are those that are answered, or it only decides whether this node answers with itself.
    pub is_answered_with: bool,
}

impl Dns {
    pub(super) fn balanced_status(
        &self,
        name: &Name,
        balanced: &Balanced,
        arrival: IpAddr,
        (config, views): (&Config, &HashMap<ServerId, ServerView>),
    ) -> BalancedStatus {
        let health = self.health.borrow();
        let (now, is_arrival) = now_at(balanced, &health, arrival);
        let own = (!matches!(balanced.mode, Mode::Pool(_))).then(|| balanced.own_state(&health));
        let servers = self.servers(balanced, config, views);
        let mut why = why(balanced, &health, &[Type::A, Type::AAAA], arrival);
        if servers.iter().any(|server| self.health.of_node(&server.id).is_some()) {
            why.push("nodes of the cluster are held for what their heartbeats say".to_owned());
        }
        BalancedStatus {
            name: name.to_string(),
            answer: balanced.mode.to_string(),
            now,
            ttl: balanced.pick(Type::A, &health, &nobody_at(arrival)).ttl,
            own,
            is_arrival,
            servers,
            why,
        }
    }

    fn servers(
        &self,
        balanced: &Balanced,
        config: &Config,
        views: &HashMap<ServerId, ServerView>,
    ) -> Vec<ChosenServer> {
        let answered_with =
            |pool: &PoolName| balanced.peers.as_ref() == Some(pool) || balanced.mode == Mode::Pool(pool.clone());
        let mut servers = Vec::new();
        let named = balanced.pools();
        for pool in config.pools.iter().filter(|pool| named.contains(&&pool.name)) {
            for server in &pool.servers {
                let id = pool.id_of(server);
                let view = views.get(&id).cloned().unwrap_or_default();
                let addresses = view.addrs.iter().map(|addr| addr.ip().to_canonical()).collect();
                servers.push(ChosenServer {
                    state: self.health.of_node(&id).unwrap_or(view.state),
                    id,
                    addresses,
                    is_answered_with: answered_with(&pool.name),
                });
            }
        }
        servers
    }
}

/// The addresses that are answered at `arrival`, and whether that one is among them: left out where it stands for
/// whichever address is asked.
fn now_at(balanced: &Balanced, health: &Health<'_>, arrival: IpAddr) -> (Vec<IpAddr>, bool) {
    if !health.ready {
        return (Vec::new(), false);
    }
    let takes_arrival = !matches!(balanced.mode, Mode::Pool(_)) && matches!(balanced.own, Own::Arrival { .. });
    let picked = [Type::A, Type::AAAA].map(|kind| balanced.pick(kind, health, &nobody_at(arrival)).data);
    let addresses = picked.iter().flatten().filter_map(Rdata::as_ip);
    let (own, now): (Vec<_>, Vec<_>) = addresses.partition(|address| takes_arrival && *address == arrival);
    (now, !own.is_empty())
}

/// In sentences, for the types of addresses that are asked for at `arrival`.
pub(super) fn why(balanced: &Balanced, health: &Health<'_>, kinds: &[Type], arrival: IpAddr) -> Vec<String> {
    if !health.ready {
        return vec!["what is healthy is not known yet, so that queries get SERVFAIL".to_owned()];
    }
    let own = of_own(balanced, balanced.own_state(health));
    let is_by_own = own.is_some();
    let of_family = |kind: &Type| of_basis(*kind, &balanced.pick(*kind, health, &nobody_at(arrival)), is_by_own);
    own.into_iter().chain(kinds.iter().filter_map(of_family)).collect()
}

/// What the choice of one family went by; nothing where it has no addresses, or where it is said already.
fn of_basis(kind: Type, picked: &Picked, is_by_own: bool) -> Option<String> {
    if picked.data.is_empty() {
        return None;
    }
    match picked.basis {
        Basis::Alive { .. } if is_by_own => None,
        Basis::Alive { alive, all, tier: 0 } => Some(format!("{kind}: {alive} of {all} are alive")),
        Basis::Alive { alive, all, .. } => Some(format!("{kind}: {alive} of {all} are alive, all of them backups")),
        Basis::LastGood { alive, needed } => Some(format!(
            "{kind}: {alive} are alive and {needed} would have to be, so that those stay which last were good"
        )),
        // A node without peers that answers with itself has said so.
        Basis::Everyone { .. } if is_by_own && picked.data.len() <= 1 => None,
        Basis::Everyone { alive, needed } => Some(format!(
            "{kind}: {alive} are alive and {needed} would have to be, so that nobody is left out for being down"
        )),
    }
}

/// What this node's own state makes of the answer.
fn of_own(balanced: &Balanced, state: State) -> Option<String> {
    let line = match (&balanced.mode, state) {
        (Mode::Pool(_), _) => return None,
        (Mode::Peers, _) => "the peers are answered; this node only where none of them is alive",
        (_, State::Up | State::Unknown) => "this node answers with its own address",
        (_, State::Down) => {
            "no pool of this node has a server left, so that it answers with peers that are alive, if there are any"
        }
        (_, State::Draining | State::Maintenance) => {
            "this node is being left, so that it answers with peers that are alive, if there are any"
        }
    };
    Some(line.to_owned())
}

#[cfg(test)]
mod tests {
    use evenkeel_config::{MemorySource, Options, load_text};
    use evenkeel_dns::answer::Member;

    use super::super::load::load;
    use super::*;

    #[test]
    fn a_node_that_is_left_is_not_shown_as_one_of_its_peers() {
        let text = "dns 127.0.0.1:5300 {\n    zone api.example answer=self peers=nodes {\n        ns lb1.example.com\n    }\n}\n\
                    pool nodes {\n    server lb1 192.0.2.1:80\n    server lb2 192.0.2.2:80\n}\n\
                    http 127.0.0.1:8080 {\n    to 127.0.0.1:1\n}\n";
        let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default());
        let blocks = load(loaded.config.as_ref().expect("it is sound"), b"", &loaded, &[]).expect("it can be used");
        let zones = blocks[0].zones.all();
        let written = zones[0].chosen()[0].1;
        let rule = |mode| Balanced { mode, needs: Vec::new(), ..written.clone() };
        let nodes = written.peers.clone().expect("it names its peers");
        let [lb1, lb2] = [1, 2].map(|last| IpAddr::from([192, 0, 2, last]));
        let member = |address| Member { address, state: State::Up, tier: 0, weight: 1, was_good: false };
        let pools = HashMap::from([(nodes.clone(), vec![member(lb1), member(lb2)])]);
        let health = |own| Health { ready: true, own, peers: &[], pools: &pools, next_change: None };
        for (mode, own, now, is_arrival) in [
            (Mode::OwnAddress, State::Up, vec![], true),
            (Mode::OwnAddress, State::Draining, vec![lb2], false),
            (Mode::OwnAndPeers, State::Up, vec![lb2], true),
            (Mode::Peers, State::Up, vec![lb2], false),
        ] {
            assert_eq!(now_at(&rule(mode.clone()), &health(own), lb1), (now, is_arrival), "{mode} {own}");
        }
        // A server of a pool is shown by its address, also where it is the one that is listened at.
        let (mut now, is_arrival) = now_at(&rule(Mode::Pool(nodes)), &health(State::Up), lb1);
        now.sort();
        assert_eq!((now, is_arrival), (vec![lb1, lb2], false));
    }
}
