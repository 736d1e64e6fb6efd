//! What a reload changes of a cluster that goes on: times, preferences, ping nodes, and groups of nothing but addresses.
//!
//! The invariant: what cannot be is refused here, before anything has changed.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_cluster::Settings;
use evenkeel_model::config::{self, ServiceAddress};
use evenkeel_net::addresses::Addresses;

use super::hand::Address;
use super::thread::PingNode;
use super::{addresses, lifetime, pings, settings};
use crate::prepare::Refusal;
use crate::state::State;

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
pub(crate) fn news(
    now: &config::Cluster,
    next: &config::Cluster,
    me: &str,
    state: &State,
) -> Result<Option<News>, Refusal> {
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
    let added = next.service_addresses().filter(|address| !is_witness && !known.contains(address));
    find(&added.collect::<Vec<_>>())
        .map_err(|(address, why)| Refusal::plain(format!("cluster `{}`: `ip {}`: {why}", next.name, address)))?;
    let settings =
        settings(next, place).map_err(|error| Refusal::plain(format!("cluster `{}`: {error}", next.name)))?;
    let need = next.ping.as_ref().map_or(0, |ping| ping.need);
    let pings = (now.ping != next.ping).then(|| pings(next)).transpose()?.map(|pings| (pings, need));
    let (dead, lifetime) = (next.beat.dead, lifetime(next.beat.dead));
    let (config, addresses) = (Arc::new(next.clone()), addresses(next));
    Ok(Some(News { config, settings, claims: state.claims(next), addresses, dead, lifetime, pings }))
}

/// Sees whether these addresses have a place here, or which one has none, and why. One that has none would take its
/// whole group to another node.
fn find(added: &[&ServiceAddress]) -> Result<(), (IpAddr, String)> {
    let Some(first) = added.first() else { return Ok(()) };
    let unanswered = |error: io::Error| (first.addr, error.to_string());
    let mut kernel = Addresses::open().map_err(unanswered)?;
    let devices = kernel.devices().map_err(unanswered)?;
    let routed: Vec<IpAddr> = added.iter().filter(|it| it.device.is_none()).map(|it| it.addr).collect();
    let places = kernel.places_by_route(&routed).map_err(unanswered)?;
    for address in added {
        match &address.device {
            Some(name) if !devices.iter().any(|device| device.name == *name) => {
                return Err((address.addr, format!("there is no device `{name}` here")));
            }
            None if !places.iter().any(|place| place.addr == address.addr) => {
                return Err((address.addr, "no route leads to it here: name its device with `dev=`".to_owned()));
            }
            _ => {}
        }
    }
    Ok(())
}
