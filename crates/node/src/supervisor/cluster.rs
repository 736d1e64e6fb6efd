//! The supervisor's side of the cluster: what it tells the heartbeat thread, and what it makes of what it hears.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_cluster::{Change, Event, View, name_id};
use evenkeel_model::config::{Cluster, ClusterNode, Config, Host, Pool, ResourceKind, Server, Standing};
use evenkeel_model::{Reason, ServerId, State};
use evenkeel_net::clock;
use tokio::sync::oneshot;

use evenkeel_proxy::ServerView;

use super::{OtherView, Supervisor, Turn};
use crate::cluster::{Deaf, Held, Link, Report, Told};
use crate::dns::{peer_pools, serving};
use crate::intents::Ordered;
use crate::node::Ended;
use crate::prober::SOON;

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
    /// It cannot be followed at this moment, and why.
    Refused(&'static str),
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
    /// What other nodes hold servers for that this one holds for something else, by their names.
    pub other_views: BTreeMap<Arc<str>, Vec<OtherView>>,
    /// What hinders this node's own service addresses, a sentence each.
    pub troubles: Vec<String>,
    /// The nodes' addresses, one for each path, by their names.
    pub addrs: BTreeMap<Arc<str>, Vec<IpAddr>>,
}

impl Supervisor {
    pub(super) fn tell_cluster(&self, reply: oneshot::Sender<Option<ClusterStatus>>) {
        let Some((cluster, config)) = self.cluster.as_ref().map(|cluster| (cluster, &cluster.config)) else {
            // Whoever asked and left is not waited for.
            let _ = reply.send(None);
            return;
        };
        let (name, node, view) = (config.name.to_string(), cluster.name.to_string(), cluster.view());
        let silent = self.watchdog.silent().map(|index| {
            format!("worker {index} does not answer: this node counts as one that cannot serve; restart it")
        });
        let mute = cluster.mute.iter().map(|(device, cause)| unannounced(device, cause));
        let missing = missing(config, &node, &cluster.missing);
        let troubles = silent.into_iter().chain(missing).chain(mute).collect();
        let addrs = config.nodes.iter().map(|node| (Arc::clone(&node.name), node.addrs.clone())).collect();
        let (links, config, other_views) = (cluster.links(), self.config_digest(), self.other_views());
        tokio::task::spawn_local(async move {
            let view = view.await;
            let _ = reply.send(Some(ClusterStatus { name, node, view, links, config, other_views, troubles, addrs }));
        });
    }

    /// Passes an order on. That it was taken does not say that the group has moved: the view does.
    pub(super) fn order_group(
        &self,
        group: &str,
        order: GroupOrder,
        by: &str,
        reply: oneshot::Sender<Result<(), GroupRefused>>,
    ) {
        let asked = self.pass_on(group, order, by);
        tokio::task::spawn_local(async move {
            let outcome = match asked {
                Ok(answer) => match answer.await {
                    Ok(None) => Ok(()),
                    Ok(Some(why)) => Err(GroupRefused::Refused(why)),
                    Err(Deaf) => Err(GroupRefused::Deaf),
                },
                Err(refused) => Err(refused),
            };
            // Whoever ordered may have left.
            let _ = reply.send(outcome);
        });
    }

    fn pass_on(
        &self,
        group: &str,
        order: GroupOrder,
        by: &str,
    ) -> Result<impl Future<Output = Result<Option<&'static str>, Deaf>> + use<>, GroupRefused> {
        let cluster = self.cluster.as_ref().ok_or(GroupRefused::NoCluster)?;
        let place =
            cluster.config.groups.iter().position(|known| &*known.name == group).ok_or(GroupRefused::NoGroup)?;
        let (change, words) = match order {
            GroupOrder::Takeover => (Change::Takeover { group: place }, "to be taken over here"),
            GroupOrder::Standby => (Change::Standby { group: place }, "to be given to another node"),
            GroupOrder::Ready => (Change::Ready { group: place }, "to be ready here"),
        };
        self.journal.note("group", group, format!("{by} orders group {group} {words}"));
        Ok(cluster.order(change))
    }

    pub(super) fn hear_cluster(&mut self, told: Told, turn: &mut Turn) -> Option<Ended> {
        match told {
            Told::Event(event) => {
                self.follow_leaving(&event);
                self.note_cluster(&event);
            }
            Told::Report(report, group) => self.note_report(report, &group),
            Told::Nodes(held) => {
                self.others.held = held;
                self.follow_health();
            }
            Told::Look => self.probes.hurry(),
            Told::Unreadable(why) => {
                tracing::error!("a report of the address guard cannot be read, and is lost: {why}");
            }
            Told::GuardLost if turn.end_at.is_none() => {
                tracing::error!(
                    "the address guard has ended, and addresses cannot be held without it; the process ends"
                );
                let failed = Some("the address guard has ended".to_owned());
                return Some(Ended { cut: self.shared.connections(), failed });
            }
            Told::GuardLost => {}
            Told::Left(guard) => {
                self.parted = guard;
                self.left_cluster(turn);
            }
        }
        None
    }

    /// Has connections to addresses that go end with their answers: their clients come again, to the next owner.
    fn follow_leaving(&mut self, event: &Event) {
        let Some(cluster) = &mut self.cluster else { return };
        let is_known = |group: &Arc<str>| cluster.config.groups.iter().any(|known| known.name == *group);
        let has_changed = match event {
            // One that goes because a reload has taken it out of the file does not come back.
            Event::Yields(group, ..) | Event::Stops(group, _) => {
                is_known(group) && cluster.leaving.insert(Arc::clone(group))
            }
            Event::Claimed(group, ..) | Event::Keeps(group, _) => cluster.leaving.remove(group),
            _ => false,
        };
        if has_changed {
            self.show_leaving();
        }
    }

    /// Which addresses go, or are gone, by the groups as they are now.
    pub(super) fn show_leaving(&self) {
        if let Some(cluster) = &self.cluster {
            let groups = cluster.config.groups.iter().filter(|group| cluster.leaving.contains(&group.name));
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
        if let (Event::Claimed(group, _, claim), Some(cluster)) = (event, &self.cluster) {
            let (state, cluster, group, claim) =
                (self.state.clone(), cluster.config.name.clone(), group.clone(), *claim);
            // The disk may take its time, at a failover above all; verdicts and orders go on meanwhile.
            tokio::task::spawn_blocking(move || state.save_claim(&cluster, &group, claim));
        }
    }

    fn note_report(&mut self, report: Report, group: &str) {
        let (subject, text) = match &report {
            Report::Done { failed: Some(cause), .. } => ("", format!("resource {cause}")),
            Report::Done { failed: None, .. } | Report::Arranged | Report::Alive => return,
            Report::Broken { why, .. } => (group, format!("a resource of group {group} is broken: {why}")),
            Report::CarrierLost { .. } => (group, format!("the network of group {group} is gone here")),
            Report::CarrierBack { .. } => (group, format!("the network of group {group} is back here")),
            Report::ForeignOwner { addr, mac, .. } => {
                let Some(cluster) = &mut self.cluster else { return };
                if !cluster.sighted.is_news(clock::now(), *addr, *mac) {
                    return;
                }
                let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
                let follows = if is_absent(&cluster.config, &cluster.name, &cluster.missing) {
                    "it is left to it, since no own address of this node is on this machine"
                } else {
                    "it is announced again"
                };
                (group, format!("{addr} of group {group} is claimed by {mac} too; {follows}"))
            }
            Report::Restored { addr, .. } => {
                (group, format!("{addr} of group {group} was taken away by another program and is back"))
            }
            Report::Lost { addr, cause, .. } => (group, format!("{addr} of group {group} cannot be kept: {cause}")),
            Report::Stays { addr, cause, .. } => (
                group,
                format!("{addr} of group {group} stays where it was, and not where the file has it now: {cause}"),
            ),
            Report::Missing { addrs } => return self.note_missing(addrs.clone()),
            Report::Mute { device, cause: Some(cause) } => ("", unannounced(device, cause)),
            Report::Mute { device, cause: None } => ("", format!("service addresses on {device} are announced again")),
        };
        tracing::warn!("{text}");
        self.journal.note("cluster", subject, text);
        if let (Report::Mute { device, cause }, Some(cluster)) = (report, &mut self.cluster) {
            match cause {
                Some(cause) => cluster.mute.insert(device, cause),
                None => cluster.mute.remove(&device),
            };
        }
    }

    /// Own addresses of this node that are not on this machine, as of now.
    fn note_missing(&mut self, addrs: Vec<IpAddr>) {
        // The first report of a node that has all its addresses says nothing new.
        let Some(cluster) = self.cluster.as_mut().filter(|cluster| cluster.missing != addrs) else { return };
        let text = match missing(&cluster.config, &cluster.name, &addrs) {
            Some(text) => {
                tracing::warn!("{text}");
                text
            }
            None => {
                let text = format!("the addresses of node {} are on this machine now", cluster.name);
                tracing::info!("{text}");
                text
            }
        };
        cluster.missing = addrs;
        self.journal.note("cluster", "", text);
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

    /// Servers that DNS answers with and that are nodes of the cluster: those are held for what they say of themselves.
    pub(super) fn nodes_as_servers(&self) -> HashMap<ServerId, State> {
        let Some((own, cluster)) = self.cluster.as_ref().map(|own| (own, &own.config)) else { return HashMap::new() };
        let mut held = self.others.held;
        let me = cluster.node(&own.name).and_then(|place| held.get_mut(place));
        if let Some(me) = me {
            *me = match () {
                () if self.dns.is_aside() => Some(State::Draining),
                () if self.watchdog.silent().is_some() => Some(State::Down),
                () => *me,
            };
        }
        nodes_as_servers((&self.running.config, &self.running.views), cluster, &held)
    }

    /// Tells the others which configuration runs here, after it has changed.
    pub(crate) fn tell_config(&self) {
        if let Some(cluster) = &self.cluster {
            cluster.run_config(self.config_digest());
        }
    }

    /// Tells the cluster what this node is worth, where that has changed.
    pub(super) fn grade(&mut self) {
        let Some(cluster) = &mut self.cluster else { return };
        let reason = |id: &ServerId| self.keeper.verdict(id).map(|verdict| verdict.reason);
        let view = |id: &ServerId| {
            let state = self.running.views.get(id).map(|view| view.state);
            as_shared(self.intents.of(id).and_then(|intent| intent.state), state, reason(id))
        };
        // A worker that hangs keeps its share of the clients waiting, and no server behind it can help.
        let (worth, lag) = match self.watchdog.silent() {
            Some(_) => (0, Duration::ZERO),
            None => {
                let late = lag(&self.running.config, reason);
                (score(&self.running.config, view), cluster.config.beat.dead * 2 + late)
            }
        };
        cluster.grade(worth, lag);
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

/// What a node is worth: of each pool the part of its weight that is healthy, and the mean of these. What the file or an
/// operator sets aside, which holds on all nodes, counts in neither.
fn score(config: &Config, state: impl Fn(&ServerId) -> Option<State>) -> u8 {
    let percent = |pool: &Pool| {
        let (mut all, mut usable) = (0_u64, 0_u64);
        for server in pool.servers.iter().filter(|server| server.standing == Standing::Ready && server.weight > 0) {
            let id = pool.id_of(server);
            let (weight, state) = (u64::from(server.weight), state(&id));
            if matches!(state, Some(State::Draining | State::Maintenance)) {
                continue;
            }
            all += weight;
            if matches!(state, None | Some(State::Up | State::Unknown)) {
                usable += weight;
            }
        }
        (usable * 100).checked_div(all)
    };
    let (peers, serving) = (peer_pools(config), serving(config));
    // The other nodes' health is none of our capacity.
    let own = config.pools.iter().filter(|pool| !peers.contains(&pool.name) || serving.contains(&pool.name));
    let (sum, count) = own.filter_map(percent).fold((0, 0), |(sum, count), percent| (sum + percent, count + 1));
    u8::try_from(sum.checked_div(count).unwrap_or(100)).unwrap_or(100)
}

/// What of a server's state counts for its node. What an operator set aside stays so whatever checks see of it, each node at
/// its own moment: it may be stopped meanwhile. What live traffic alone holds out counts as usable: a node without traffic
/// cannot see the same, and a fault that all share would move a group to and fro.
fn as_shared(ordered: Option<Ordered>, state: Option<State>, reason: Option<Reason>) -> Option<State> {
    match (ordered, reason) {
        (Some(Ordered::Drain), _) => Some(State::Draining),
        (Some(Ordered::Maint), _) => Some(State::Maintenance),
        (Some(Ordered::Ready) | None, Some(Reason::TrafficFailing)) => Some(State::Up),
        (Some(Ordered::Ready) | None, _) => state,
    }
}

/// How long it takes other nodes to see of their servers what this one sees, from when they hear of it: they look at once,
/// and again until it is decided. What does not answer in time here does not there.
fn lag(config: &Config, reason: impl Fn(&ServerId) -> Option<Reason>) -> Duration {
    let is_late = |reason| matches!(reason, Reason::ConnectTimeout | Reason::AnswerTimeout | Reason::Unreachable);
    let of = |pool: &Pool| {
        let check = pool.check.as_ref()?;
        let is_slow = pool.servers.iter().any(|server| reason(&pool.id_of(server)).is_some_and(is_late));
        let each = if is_slow { check.timeout + SOON } else { SOON * 2 };
        Some(each * u32::from(check.rise.max(check.fall)))
    };
    config.pools.iter().filter_map(of).max().unwrap_or_default()
}

/// A server is a node where it bears the node's name, or has one of its addresses.
fn nodes_as_servers(
    (config, views): (&Config, &HashMap<ServerId, ServerView>),
    cluster: &Cluster,
    held: &Held,
) -> HashMap<ServerId, State> {
    let is_of = |server: &Server, node: &ClusterNode| {
        let is_there = matches!(&server.addr.host, Host::Ip(addr) if node.addrs.contains(addr));
        server.name.as_str() == &*node.name || is_there
    };
    let named = peer_pools(config);
    let mut known = HashMap::new();
    for pool in config.pools.iter().filter(|pool| named.contains(&pool.name)) {
        for server in &pool.servers {
            let node = cluster.nodes.iter().position(|node| is_of(server, node));
            let Some(state) = node.and_then(|node| *held.get(node)?) else { continue };
            let id = pool.id_of(server);
            // What the file or an operator says of the server itself comes first.
            let is_ordered =
                views.get(&id).is_some_and(|view| matches!(view.state, State::Draining | State::Maintenance));
            if !is_ordered {
                known.insert(id, state);
            }
        }
    }
    known
}

/// That own addresses of the node are not on this machine, if any are not, and what follows from it.
fn missing(config: &Cluster, node: &str, addrs: &[IpAddr]) -> Option<String> {
    let named: Vec<String> = addrs.iter().map(ToString::to_string).collect();
    let (are, they) = if addrs.len() > 1 { ("are", "they are") } else { ("is", "it is") };
    let follows = if is_absent(config, node, addrs) {
        format!(", so that nothing is heard and nothing is claimed until {they}")
    } else {
        String::new()
    };
    (!addrs.is_empty()).then(|| {
        format!(
            "{} of node {node} {are} on no device of this machine{follows}: is this node {node} (`--node`), and is the `node` line right?",
            named.join(", ")
        )
    })
}

/// Whether those that are missing are all that the node has.
fn is_absent(config: &Cluster, node: &str, missing: &[IpAddr]) -> bool {
    let node = config.node(node).and_then(|place| config.nodes.get(place));
    node.is_some_and(|node| missing.len() >= node.addrs.len())
}

fn unannounced(device: &str, cause: &str) -> String {
    format!(
        "service addresses on {device} cannot be announced, so that neighbours go on sending to their last owner: {cause}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_have_the_time_of_their_checks_to_see_what_a_node_sees() {
        let text = "http :80 {\n    respond 200\n}\npool shop {\n    check tcp fall=4 timeout=3s\n    server a 10.0.0.1:80\n}\n\
                    pool cart {\n    server a 10.0.0.1:81\n}\n";
        let origin = crate::Origin::Text { name: "test".to_owned(), text: text.to_owned() };
        let config = origin.load(&evenkeel_config::Options::default()).loaded.config.unwrap();
        assert_eq!(lag(&config, |_| Some(Reason::ConnectRefused)), SOON * 8);
        assert_eq!(lag(&config, |_| Some(Reason::ConnectTimeout)), (Duration::from_secs(3) + SOON) * 4);
    }

    #[test]
    fn a_node_is_worth_what_takes_new_sessions_there() {
        let text = "http :80 {\n    respond 200\n}\npool shop {\n    server a 10.0.0.1:80 weight=3\n    server b 10.0.0.2:80\n    \
                    server c 10.0.0.3:80 drain\n}\npool cart {\n    server a 10.0.0.1:81\n}\n";
        let origin = crate::Origin::Text { name: "test".to_owned(), text: text.to_owned() };
        let config = origin.load(&evenkeel_config::Options::default()).loaded.config.unwrap();
        let scored = |states: &[(&str, State)]| {
            let states: HashMap<String, State> = states.iter().map(|(id, state)| ((*id).to_owned(), *state)).collect();
            score(&config, |id| states.get(&id.to_string()).copied())
        };
        assert_eq!(scored(&[]), 100);
        assert_eq!(scored(&[("shop/a", State::Up), ("shop/b", State::Unknown), ("shop/c", State::Draining)]), 100);
        // What an operator has ordered holds on the other nodes as well.
        for (state, of_some, of_all) in
            [(State::Down, 62, 0), (State::Maintenance, 100, 100), (State::Draining, 100, 100)]
        {
            assert_eq!(scored(&[("shop/a", state)]), of_some, "{state:?}");
            assert_eq!(scored(&[("shop/a", state), ("shop/b", state), ("cart/a", state)]), of_all, "{state:?}");
        }
        assert_eq!(scored(&[("shop/a", State::Down), ("shop/b", State::Maintenance), ("cart/a", State::Up)]), 50);
        // One that was drained and then stopped is none that failed.
        let down = |ordered, reason| {
            let state = as_shared(ordered, Some(State::Down), Some(reason)).unwrap();
            scored(&[("shop/a", state)])
        };
        let stopped = |ordered| down(ordered, Reason::ConnectRefused);
        assert_eq!([None, Some(Ordered::Ready)].map(stopped), [62, 62]);
        assert_eq!([Some(Ordered::Drain), Some(Ordered::Maint)].map(stopped), [100, 100]);
        // One that live traffic alone has ejected is up to a node that has none.
        assert_eq!([None, Some(Ordered::Ready)].map(|ordered| down(ordered, Reason::TrafficFailing)), [100, 100]);
        assert_eq!(as_shared(None, None, None), None);
    }
}
