//! What a reload changes of a cluster that goes on: times, preferences, ping nodes, and groups of nothing but addresses.
//!
//! The invariant: what cannot be is refused here, before anything has changed.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_cluster::Settings;
use evenkeel_model::config::{self, ServiceAddress};
use evenkeel_net::addresses::Addresses;

use super::hand::Address;
use super::thread::PingNode;
use super::{addresses, lifetime, pings, settings};
use crate::prepare::Refusal;

/// What a reload may change.
pub(crate) struct News {
    /// The whole block.
    pub(super) config: Arc<config::Cluster>,
    pub(super) settings: Settings,
    /// The highest claims that were written down, for each group.
    pub(super) claims: Vec<u64>,
    /// For each group, for each of its resources: the service address, where it is one.
    pub(super) addresses: Vec<Vec<Option<Address>>>,
    pub(super) dead: Duration,
    pub(super) lifetime: Duration,
    /// The ping nodes and how many have to answer, where they are others.
    pub(super) pings: Option<(Vec<PingNode>, usize)>,
}

/// What a reload changes of a cluster while it goes on; nothing where it changes nothing, or needs a restart. `me` is this
/// node's name.
///
/// # Errors
/// Where the other nodes, which are reloaded before or after, would take this one for dead or it them, a ping node cannot be
/// asked, or an address would have no place here.
pub(crate) fn news(now: &config::Cluster, next: &config::Cluster, me: &str) -> Result<Option<News>, Refusal> {
    let rest = |cluster: &config::Cluster| config::Cluster {
        key: now.key.clone(),
        accept: now.accept.clone(),
        ..cluster.clone()
    };
    let Some(place) = next.node(me).filter(|_| now.becomes(next) && rest(now) != rest(next)) else { return Ok(None) };
    for (slow, quick) in [(now.beat, next.beat), (next.beat, now.beat)] {
        if quick.dead < slow.every * 3 {
            let (dead, every) = (quick.dead.as_millis(), slow.every.as_millis());
            return Err(Refusal::with_hint(
                format!(
                    "cluster `{}`: `dead` of {dead} ms and `every` of {every} ms would meet while nodes are reloaded one by one, and nodes that live be taken for dead",
                    next.name
                ),
                Some("go in two steps: first the shorter `every` with the longer `dead` on all nodes, then the rest"),
            ));
        }
    }
    let is_witness = next.nodes.get(place).is_some_and(|node| node.is_witness);
    let known: Vec<&ServiceAddress> = now.service_addresses().collect();
    for address in next.service_addresses().filter(|address| !is_witness && !known.contains(address)) {
        let refused = |why: String| Refusal::plain(format!("cluster `{}`: `ip {}`: {why}", next.name, address.addr));
        find(address).map_err(refused)?;
    }
    let settings =
        settings(next, place).map_err(|error| Refusal::plain(format!("cluster `{}`: {error}", next.name)))?;
    let need = next.ping.as_ref().map_or(0, |ping| ping.need);
    let pings = (now.ping != next.ping).then(|| pings(next)).transpose()?.map(|pings| (pings, need));
    let (dead, lifetime) = (next.beat.dead, lifetime(next.beat.dead));
    let (config, addresses) = (Arc::new(next.clone()), addresses(next));
    Ok(Some(News { config, settings, claims: Vec::new(), addresses, dead, lifetime, pings }))
}

/// Sees whether an address has a place here. One that has none would take its whole group to another node.
fn find(address: &ServiceAddress) -> Result<(), String> {
    let mut kernel = Addresses::open().map_err(|error| error.to_string())?;
    match &address.device {
        Some(name) => {
            let devices = kernel.devices().map_err(|error| error.to_string())?;
            let is_there = devices.iter().any(|device| device.name == *name);
            if is_there { Ok(()) } else { Err(format!("there is no device `{name}` here")) }
        }
        None => match kernel.place_by_route(address.addr) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err("no route leads to it here: name its device with `dev=`".to_owned()),
            Err(error) => Err(error.to_string()),
        },
    }
}
