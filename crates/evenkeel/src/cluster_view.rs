//! The cluster, between the node and the API.

use std::time::Duration;

use evenkeel_admin::report::{ClusterReport, GroupReport, MoveReport, NodeReport, OtherViewReport, PathReport};
use evenkeel_admin::{Answer, Cluster, GroupOrder, GroupRefused};
use evenkeel_node::cluster::{
    self as own, ClusterStatus, GroupView, Hearing, Move, OtherView, PathView, PeerView, Phase, Role,
};

use crate::control::Running;

impl Cluster for Running {
    fn report(&self) -> Answer<'_, Option<ClusterReport>> {
        // A node that ends just now has no cluster any more.
        Box::pin(async { self.handle.cluster().await.ok().flatten().map(|status| report(&status)) })
    }

    fn order(&self, group: String, order: GroupOrder, by: String) -> Answer<'_, Result<(), GroupRefused>> {
        let order = match order {
            GroupOrder::Takeover => own::GroupOrder::Takeover,
            GroupOrder::Standby => own::GroupOrder::Standby,
            GroupOrder::Ready => own::GroupOrder::Ready,
        };
        Box::pin(async move {
            self.handle.order_group(group, order, by).await.map_err(|refused| match refused {
                own::GroupRefused::NoCluster => GroupRefused::NoCluster,
                own::GroupRefused::NoGroup => GroupRefused::NoGroup,
                own::GroupRefused::Deaf => GroupRefused::Silent,
                own::GroupRefused::Refused(why) => GroupRefused::Refused(why),
            })
        })
    }
}

fn report(status: &ClusterStatus) -> ClusterReport {
    let view = status.view.as_ref();
    ClusterReport {
        name: status.name.clone(),
        node: status.node.clone(),
        phase: view.map_or("silent", |view| phase(view.phase)).to_owned(),
        nodes: view.map(|view| view.peers.iter().map(|peer| node(peer, status)).collect()).unwrap_or_default(),
        groups: view.map(|view| view.groups.iter().map(group).collect()).unwrap_or_default(),
        drained: view.is_some_and(|view| view.is_aside),
        troubles: status.troubles.clone(),
    }
}

fn node(peer: &PeerView, status: &ClusterStatus) -> NodeReport {
    let link = status.links.get(&peer.name).cloned().unwrap_or_default();
    let state = match peer.hearing {
        Hearing::Never => "never",
        Hearing::Up => "up",
        Hearing::Late => "late",
        Hearing::Dead => "dead",
        Hearing::Left => "left",
    };
    NodeReport {
        name: peer.name.to_string(),
        state: state.to_owned(),
        age_ms: peer.age.map(millis),
        hears_us: peer.hears_us,
        phase: phase(peer.phase).to_owned(),
        drained: peer.is_aside,
        score: peer.score,
        reaches: peer.reaches,
        other_config: peer.is_other_config,
        refused: peer.refused,
        shares: link.since.is_some() && link.trouble.is_none(),
        share_trouble: link.trouble,
        sessions_sent: link.sent,
        sessions_received: link.received,
        other_file: link.config.is_some_and(|config| config != status.config),
        sees_otherwise: status.other_views.get(&peer.name).into_iter().flatten().map(other_view).collect(),
        hears: peer.hears.iter().map(ToString::to_string).collect(),
        deaf_to: peer.deaf_to.iter().map(ToString::to_string).collect(),
        paths: paths(peer, status),
    }
}

fn other_view(view: &OtherView) -> OtherViewReport {
    OtherViewReport {
        server: view.server.to_string(),
        state: view.state.clone(),
        text: view.text.clone(),
        here: view.here.to_string(),
    }
}

/// Every path that is configured, those as well on which nothing ever came.
fn paths(peer: &PeerView, status: &ClusterStatus) -> Vec<PathReport> {
    let addrs = status.addrs.get(&peer.name).map(Vec::as_slice).unwrap_or_default();
    let mut seen = peer.paths.iter().map(path);
    let known = addrs.iter().map(|addr| {
        let silent = || PathReport { silent: true, ..PathReport::default() };
        PathReport { address: Some(addr.to_string()), ..seen.next().unwrap_or_else(silent) }
    });
    known.collect()
}

fn path(path: &PathView) -> PathReport {
    PathReport {
        address: None,
        age_ms: path.age.map(millis),
        loss: path.loss,
        silent: path.is_silent,
        trouble: path.trouble.map(|trouble| trouble.to_string()),
    }
}

fn group(group: &GroupView) -> GroupReport {
    let role = match group.role {
        Role::Idle => "idle",
        Role::Asking => "asking",
        Role::Starting => "starting",
        Role::Owner => "owner",
        Role::Yielding => "yielding",
        Role::Doubting => "doubting",
        Role::Stopping => "stopping",
        Role::Failed => "failed",
        Role::Stuck => "stuck",
    };
    GroupReport {
        name: group.name.to_string(),
        role: role.to_owned(),
        since_s: group.since.as_secs(),
        owners: group.owners.iter().map(ToString::to_string).collect(),
        claim: group.epoch,
        why: group.cause.to_string(),
        standby: group.is_away,
        moving: group.is_moving,
        next: group.next.as_ref().map(ToString::to_string),
        takeover: group.takeover.clone(),
        moves: group.moves.iter().map(moved).collect(),
    }
}

fn moved(it: &Move) -> MoveReport {
    MoveReport { age_s: it.at.as_secs(), ownerless_ms: millis(it.ownerless), why: it.cause.to_string() }
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Listening => "listening",
        Phase::Active => "active",
        Phase::Doubting => "doubting",
        Phase::Leaving => "leaving",
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
