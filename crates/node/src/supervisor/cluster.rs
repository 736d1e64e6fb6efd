//! The supervisor's side of the cluster: what it tells the heartbeat thread, and what it makes of what it hears.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_cluster::{Change, Event, View, name_id};
use evenkeel_model::State;
use evenkeel_model::config::{ResourceKind, Standing};
use tokio::sync::oneshot;

use super::{Supervisor, Turn};
use crate::cluster::{Link, Report, Told};
use crate::node::Ended;

/// What is ordered of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupOrder {
    /// This node is to own it.
    Takeover,
    /// Another node is to own it, until this one is ordered ready.
    Standby,
    /// What was ordered or has failed here counts no more.
    Ready,
}

/// Why an order for a group was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupRefused {
    /// The configuration has no cluster.
    NoCluster,
    /// The cluster has no such group.
    NoGroup,
    /// The heartbeat thread takes no orders.
    Deaf,
}

/// The cluster as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterStatus {
    /// The cluster's name.
    pub name: String,
    /// This node's name in it.
    pub node: String,
    /// What it sees; `None` where the heartbeat thread does not answer.
    pub view: Option<View>,
    /// The channels to the other nodes, by their names.
    pub links: BTreeMap<Arc<str>, Link>,
    /// The digest of the configuration that runs here.
    pub config: [u8; 8],
}

impl Supervisor {
    pub(super) fn tell_cluster(&self, reply: oneshot::Sender<Option<ClusterStatus>>) {
        let known = self.cluster.as_ref().zip(self.about.first_config.cluster.as_ref());
        let Some((cluster, config)) = known else {
            // Whoever asked and left is not waited for.
            let _ = reply.send(None);
            return;
        };
        let (name, node, view) = (config.name.to_string(), cluster.name.to_string(), cluster.view());
        let (links, config) = (cluster.links(), self.config_digest());
        tokio::task::spawn_local(async move {
            let _ = reply.send(Some(ClusterStatus { name, node, view: view.await, links, config }));
        });
    }

    /// Passes an order on. That it was taken does not say that it was followed: the view does.
    pub(super) fn order_group(&self, group: &str, order: GroupOrder, by: &str) -> Result<(), GroupRefused> {
        let known = self.cluster.as_ref().zip(self.about.first_config.cluster.as_ref());
        let (cluster, config) = known.ok_or(GroupRefused::NoCluster)?;
        let place = config.groups.iter().position(|known| &*known.name == group).ok_or(GroupRefused::NoGroup)?;
        let (change, words) = match order {
            GroupOrder::Takeover => (Change::Takeover { group: place }, "to be taken over here"),
            GroupOrder::Standby => (Change::Standby { group: place }, "to be given to another node"),
            GroupOrder::Ready => (Change::Ready { group: place }, "to be ready here"),
        };
        self.journal.note("group", group, format!("{by} orders group {group} {words}"));
        if cluster.change(change) { Ok(()) } else { Err(GroupRefused::Deaf) }
    }

    pub(super) fn hear_cluster(&mut self, told: Told, turn: &mut Turn) -> Option<Ended> {
        match told {
            Told::Event(event) => {
                self.follow_leaving(&event);
                self.note_cluster(&event);
            }
            Told::Report(report) => self.note_report(&report),
            Told::GuardLost if turn.end_at.is_none() => {
                tracing::error!(
                    "the address guard has ended, and addresses cannot be held without it; the process ends"
                );
                let failed = Some("the address guard has ended".to_owned());
                return Some(Ended { cut: self.shared.connections(), failed });
            }
            Told::GuardLost => {}
            Told::Left(guard) => {
                self.parted = Some(guard);
                self.left_cluster(turn);
            }
        }
        None
    }

    /// Has connections to addresses that go end with their answers: their clients come again, to the next owner.
    fn follow_leaving(&mut self, event: &Event) {
        let Some((cluster, config)) = self.cluster.as_mut().zip(self.about.first_config.cluster.as_ref()) else {
            return;
        };
        let has_changed = match event {
            Event::Yields(group, ..) | Event::Stops(group, _) => cluster.leaving.insert(Arc::clone(group)),
            Event::Claimed(group, ..) | Event::Keeps(group, _) => cluster.leaving.remove(group),
            _ => false,
        };
        if has_changed {
            let groups = config.groups.iter().filter(|group| cluster.leaving.contains(&group.name));
            let addrs = groups.flat_map(|group| &group.resources).filter_map(|resource| match &resource.kind {
                ResourceKind::Address(address) => match address.addr {
                    IpAddr::V4(addr) => Some(addr),
                    IpAddr::V6(_) => None,
                },
                ResourceKind::Unit(_) | ResourceKind::Script { .. } => None,
            });
            self.shared.set_leaving(&addrs.collect::<Vec<_>>());
        }
    }

    fn note_cluster(&self, event: &Event) {
        let text = event.to_string();
        let subject = match event {
            Event::PeerUp(name)
            | Event::PeerLate(name, _)
            | Event::PeerDead(name, _)
            | Event::PeerLeft(name)
            | Event::HearsUsNot(name)
            | Event::Trouble(name, ..)
            | Event::Claimed(name, ..)
            | Event::Owned(name, ..)
            | Event::Yields(name, ..)
            | Event::Keeps(name, _)
            | Event::Stops(name, _)
            | Event::Stopped(name)
            | Event::Failed(name, ..)
            | Event::Stuck(name, _)
            | Event::Refused(name, _) => name.to_string(),
            Event::Paused(_) => String::new(),
        };
        match event {
            Event::PeerUp(_)
            | Event::Claimed(..)
            | Event::Owned(..)
            | Event::Yields(..)
            | Event::Stopped(_)
            | Event::Stops(..) => tracing::info!("{text}"),
            Event::Stuck(..) => tracing::error!("{text}"),
            _ => tracing::warn!("{text}"),
        }
        self.journal.note("cluster", subject, text);
        if let (Event::Claimed(group, _, claim), Some(cluster)) = (event, &self.about.first_config.cluster) {
            // Here and not beside: of two claims written at once one would be lost.
            self.state.save_claim(&cluster.name, group, *claim);
        }
    }

    fn note_report(&self, report: &Report) {
        let group = |index: usize| {
            let groups = self.about.first_config.cluster.as_ref().map(|cluster| cluster.groups.as_slice());
            groups.and_then(|groups| groups.get(index)).map(|group| group.name.to_string()).unwrap_or_default()
        };
        let (subject, text) = match report {
            Report::Done { failed: Some(cause), .. } => (String::new(), format!("resource {cause}")),
            Report::Done { failed: None, .. } => return,
            Report::Broken { group: at, why, .. } => {
                (group(*at), format!("a resource of group {} is broken: {why}", group(*at)))
            }
            Report::CarrierLost { group: at } => {
                (group(*at), format!("the network of group {} is gone here", group(*at)))
            }
            Report::ForeignOwner { group: at, addr, mac } => {
                let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
                (group(*at), format!("{addr} of group {} is claimed by {mac} too; it is announced again", group(*at)))
            }
            Report::Restored { group: at, addr } => {
                let text = format!("{addr} of group {} was taken away by another program and is back", group(*at));
                (group(*at), text)
            }
            Report::Lost { group: at, addr, cause } => {
                (group(*at), format!("{addr} of group {} cannot be kept: {cause}", group(*at)))
            }
        };
        tracing::warn!("{text}");
        self.journal.note("cluster", subject, text);
    }

    /// A digest of the configuration that runs, as it is written.
    fn config_digest(&self) -> [u8; 8] {
        let whole: String = self.running.texts.files().map(|(_, text)| text).collect();
        let [first, second] = [name_id(&whole), name_id(&format!("2 {whole}"))].map(u32::to_be_bytes);
        let mut digest = [0; 8];
        digest[..4].copy_from_slice(&first);
        digest[4..].copy_from_slice(&second);
        digest
    }

    /// Tells the others which configuration runs here, after it has changed.
    pub(crate) fn tell_config(&self) {
        if let Some(cluster) = &self.cluster {
            cluster.run_config(self.config_digest());
        }
    }

    /// Tells the cluster what this node is worth: of each pool the part of its weight that can serve, and the mean of
    /// these.
    pub(super) fn grade(&mut self) {
        let Some(cluster) = &mut self.cluster else { return };
        let mut sum = 0_u64;
        let mut count = 0_u64;
        for pool in &self.running.config.pools {
            let (mut all, mut usable) = (0_u64, 0_u64);
            for server in pool.servers.iter().filter(|server| server.standing == Standing::Ready && server.weight > 0) {
                let id = evenkeel_model::ServerId { pool: pool.name.clone(), server: server.name.clone() };
                let weight = u64::from(server.weight);
                all += weight;
                let is_usable = self.running.views.get(&id).is_none_or(|view| view.state != State::Down);
                usable += if is_usable { weight } else { 0 };
            }
            if let Some(percent) = (usable * 100).checked_div(all) {
                (sum, count) = (sum + percent, count + 1);
            }
        }
        let score = sum.checked_div(count).unwrap_or(100);
        cluster.grade(u8::try_from(score).unwrap_or(100));
    }

    /// Begins to leave the cluster before anything is drained: whether there is something to wait for.
    pub(super) fn leave_cluster(&mut self, within: Duration) -> bool {
        let Some(cluster) = &self.cluster else { return false };
        cluster.leave(within);
        true
    }

    fn left_cluster(&mut self, turn: &mut Turn) {
        tracing::info!("this node has left its cluster");
        if let Some(mut cluster) = self.cluster.take() {
            cluster.finish();
        }
        if turn.end_at.is_some() {
            self.drain(turn);
        }
    }
}
