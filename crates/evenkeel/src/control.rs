//! The node behind the control socket: its facts in the words of the API.

mod certificates;
mod dns;

use std::collections::BTreeMap;
use std::os::unix::net::UnixListener as StdListener;
use std::sync::Arc;

use evenkeel_admin::access::Access;
use evenkeel_admin::report::{
    ConfigReport, DrainReport, LastReload, ListenerReport, LogLine, NodeDrainReport, PoolReport, ProcessReport,
    ReloadRefused, ReloadReport, ServerReport, SessionsOnReport, StatusReport, TimelineReport, TotalsReport,
    TrafficReport,
};
use evenkeel_admin::serve::{self, Door};
use evenkeel_admin::watch::Watch;
use evenkeel_admin::{
    Answer, Audit, Cluster, Configs, Control, DnsControl, Events, NodeOrder, Routes, Servers, Sessions,
};
use evenkeel_model::ListenerName;
use evenkeel_model::config::Listener;
use evenkeel_node::{
    AdminDoor, ConfigStatus, Doors, Handle, LogTail, NodeStatus, Phase, PoolStatus, ServerStatus, Service, SessionsOn,
    Traffic,
};
use tokio::net::UnixListener;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use crate::{steering, topology, zonefiles};

/// A node, as the control API sees it.
pub(crate) struct Running {
    pub(crate) handle: Handle,
    watch: Watch,
    log: LogTail,
}

/// What serves a node's control socket.
pub(crate) fn service() -> Service {
    Box::new(|handle, doors: Doors| {
        Box::pin(async move {
            let running = Arc::new(Running { handle, watch: Watch::default(), log: doors.log });
            let control: Arc<dyn Control> = Arc::clone(&running) as _;
            // All of it ends with the node.
            tokio::join!(
                running.watch.run(&*running),
                running.follow_states(),
                on_socket(doors.control, Arc::clone(&control)),
                on_listener(doors.admin, control)
            );
        })
    })
}

async fn on_socket(listener: Option<StdListener>, control: Arc<dyn Control>) {
    let Some(listener) = listener else { return };
    match UnixListener::from_std(listener) {
        Ok(listener) => serve::serve(listener, control, std::future::pending()).await,
        Err(error) => tracing::error!("the control socket cannot be served: {error}"),
    }
}

/// Follows the admin listener through reloads.
async fn on_listener(mut doors: watch::Receiver<AdminDoor>, control: Arc<dyn Control>) {
    let (now, followed) = watch::channel(door(&doors.borrow_and_update()));
    let follow = async {
        while doors.changed().await.is_ok() {
            now.send_replace(door(&doors.borrow_and_update()));
        }
    };
    tokio::join!(follow, serve::serve_admin(followed, control));
}

fn door(door: &AdminDoor) -> Door {
    let Some(config) = &door.config else { return Door::default() };
    let users = config.users.iter().zip(&door.hashes).map(|(user, hash)| (user.name.clone(), user.role, hash.clone()));
    match Access::new(users, config.hosts.clone(), config.read_only) {
        Ok(access) => Door { listener: door.socket.clone(), access: Some(Arc::new(access)) },
        Err(wrong) => {
            tracing::error!("nobody is let in at the admin listener: {wrong}");
            Door::default()
        }
    }
}

impl Running {
    /// Has states that came and went between two looks in the day, too.
    async fn follow_states(&self) {
        let (_, mut coming) = self.handle.journal().watch(u64::MAX);
        loop {
            match coming.recv().await {
                Ok(happening) if !happening.state.is_empty() => {
                    if let Some((pool, server)) = happening.subject.split_once('/') {
                        self.watch.held(pool, server, happening.state);
                    }
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

impl Control for Running {
    fn order_node(&self, order: NodeOrder) -> Answer<'_, bool> {
        let NodeOrder { drained, why, by } = order;
        let order = evenkeel_node::NodeOrder { is_drained: drained, why, by };
        Box::pin(async move { self.handle.order_node(order).await.is_ok() })
    }

    fn servers(&self) -> &dyn Servers {
        self
    }

    fn configs(&self) -> &dyn Configs {
        self
    }

    fn routes(&self) -> &dyn Routes {
        self
    }

    fn events(&self) -> &dyn Events {
        self
    }

    fn cluster(&self) -> &dyn Cluster {
        self
    }

    fn sessions(&self) -> &dyn Sessions {
        self
    }

    fn audit(&self, line: &Audit) {
        let Audit { who, what, status } = line;
        tracing::info!(target: "audit", status, "{who}: {what}");
        self.handle.journal().note("audit", "", format!("{who}: {what}: {status}"));
    }

    fn status(&self) -> Answer<'_, StatusReport> {
        Box::pin(async {
            let mut report = self.counters().await;
            self.watch.annotate(&mut report);
            report
        })
    }

    fn counters(&self) -> Answer<'_, StatusReport> {
        Box::pin(async {
            // A node that ends just now says that it stops.
            let status = self.handle.status().await;
            let stopping = |_| StatusReport { stopping: true, ..StatusReport::default() };
            let mut report = status.map_or_else(stopping, |status| report(&status));
            report.cluster = self.cluster().report().await;
            report
        })
    }

    fn log(&self, after: u64, most: usize, fits: &dyn Fn(&str) -> bool) -> Vec<LogLine> {
        let lines = self.log.latest(after, most, fits);
        lines.into_iter().map(|(number, text)| LogLine { number, text }).collect()
    }

    fn timeline(&self, report: &StatusReport) -> TimelineReport {
        self.watch.timeline(report)
    }

    fn reload(&self) -> Answer<'_, Result<ReloadReport, ReloadRefused>> {
        Box::pin(async {
            let outcome = self.handle.reload("the control socket").await;
            self.reloaded(outcome).await
        })
    }

    fn dns(&self) -> &dyn DnsControl {
        self
    }

    fn stop(&self) -> Answer<'_, ()> {
        Box::pin(async {
            // A node that has ended has stopped.
            let _ = self.handle.stop("the control socket").await;
        })
    }
}

/// What a listener takes.
fn protocol(listener: Option<&Listener>) -> &'static str {
    if listener.is_some_and(|listener| listener.tcp.is_some()) { "tcp" } else { "http" }
}

/// A node's status as a report.
pub(crate) fn report(status: &NodeStatus) -> StatusReport {
    let written = |name: &ListenerName| status.running.listeners.iter().find(|listener| listener.name == *name);
    let listeners = status.listeners.iter().map(|listener| ListenerReport {
        routes: written(&listener.name).map(topology::routes).unwrap_or_default(),
        name: listener.name.to_string(),
        protocol: protocol(written(&listener.name)).to_owned(),
        bound: listener.bound.map(|addr| addr.to_string()),
        connections: listener.stats.connections,
        accepted: listener.stats.accepted,
        handshakes: listener.stats.handshakes,
        handshakes_resumed: listener.stats.handshakes_resumed,
        handshakes_failed: listener.stats.handshakes_failed,
        max_conns: written(&listener.name).and_then(|listener| listener.max_conns),
        full: listener.stats.full,
        tls: written(&listener.name).is_some_and(|listener| listener.tls.is_some()),
        requests: listener.stats.traffic.requests,
        traffic: traffic(&listener.stats.traffic),
    });
    StatusReport {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: status.pid,
        uptime_s: status.uptime.as_secs(),
        node: status.name.clone(),
        stopping: status.phase == Phase::Draining,
        workers: number(status.workers),
        silent_worker: status.silent_worker.map(number),
        process: ProcessReport {
            cpu_s: status.usage.cpu.as_secs_f64(),
            resident_bytes: status.usage.resident,
            open_files: status.usage.open_files,
            max_files: status.usage.max_files,
            tasks: number(status.tasks),
        },
        config: config(&status.config),
        listeners: listeners.collect(),
        pools: status.pools.iter().map(pool).collect(),
        certificates: status.certificates.iter().map(certificates::report).collect(),
        acme: status.acme.iter().map(certificates::ordered).collect(),
        dns: (!status.running.dns.is_empty()).then(|| dns::report(&status.dns)),
        // It takes an answer of another thread, and is asked for by whoever wants the whole.
        cluster: None,
        drained: status.drained.as_ref().map(|drain| NodeDrainReport {
            by: drain.by.clone(),
            why: drain.why.clone(),
            since: drain.since,
        }),
        unkept: status.is_unkept,
        zonefiles: status.zonefiles.iter().map(zonefiles::report).collect(),
        totals: totals(status),
        live: None,
    }
}

fn config(config: &ConfigStatus) -> ConfigReport {
    ConfigReport {
        path: config.origin.clone(),
        generation: config.generation,
        applied_at: config.applied_at.as_secs(),
        kept_as: config.kept_as,
        is_rollback: config.is_rollback,
        is_last_good: config.is_last_good,
        last_reload: config.last_reload.as_ref().map(|last| LastReload {
            ok: last.refused.is_none(),
            at: last.at.as_secs(),
            error: last.refused.clone(),
        }),
        waiting_for_restart: config.waiting_for_restart.iter().map(|word| (*word).to_owned()).collect(),
        reloads_applied: config.reloads.applied,
        reloads_refused: config.reloads.refused,
    }
}

fn pool(pool: &PoolStatus) -> PoolReport {
    PoolReport {
        name: pool.name.to_string(),
        queued: u64::from(pool.stats.queued),
        requests: pool.stats.traffic.requests,
        sticky_roaming: pool.stats.roaming,
        traffic: traffic(&pool.stats.traffic),
        servers: pool.servers.iter().map(server).collect(),
    }
}

pub(crate) fn server(server: &ServerStatus) -> ServerReport {
    ServerReport {
        name: server.id.server.to_string(),
        address: server.address.to_string(),
        state: server.verdict.state.to_string(),
        reason: server.verdict.reason.to_string(),
        text: server.verdict.text.clone(),
        since_s: server.held_for.as_secs(),
        last_answer: server.verdict.last_answer.clone(),
        weight: server.intent.as_ref().and_then(|intent| intent.weight).unwrap_or(server.weight),
        intent: server.intent.as_ref().map(|intent| steering::intent(intent, server.is_intent_kept)),
        drain: server.drain.map(|(quiet, is_over)| DrainReport { quiet_s: quiet.as_secs(), is_over }),
        sessions: server.sessions.map(|SessionsOn { live, is_exact }| SessionsOnReport { live, is_exact }),
        version: format!("{:016x}", server.version),
        backup: server.backup,
        in_flight: u64::from(server.stats.in_flight),
        requests: server.stats.traffic.requests,
        failures: server.stats.failures,
        errors_5xx: server.stats.traffic.by_class[4],
        sticky_hits: server.stats.sticky_hits,
        sticky_new: server.stats.sticky_new,
        sticky_moved: server.stats.sticky_moved,
        sticky_lost: server.stats.sticky_lost,
        connects: server.stats.connects,
        reused: server.stats.reused,
        is_checked: server.is_checked,
        ramp_percent: u8::try_from(server.ramp_per_mille / 10).unwrap_or(100).min(100),
        traffic: traffic(&server.stats.traffic),
    }
}

fn traffic(traffic: &Traffic) -> TrafficReport {
    TrafficReport {
        bytes_in: traffic.bytes_in,
        bytes_out: traffic.bytes_out,
        by_class: by_class(traffic.by_class),
        latency: Some(traffic.times.clone()),
        live: None,
    }
}

fn by_class(counts: [u64; 5]) -> BTreeMap<String, u64> {
    let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"];
    classes.into_iter().map(str::to_owned).zip(counts).collect()
}

fn totals(status: &NodeStatus) -> TotalsReport {
    let totals = &status.totals;
    TotalsReport {
        connections: status.connections,
        accepted: totals.accepted,
        requests: totals.requests,
        by_class: by_class(totals.by_class),
        rejected: totals.rejected.iter().map(|(code, count)| ((*code).to_owned(), *count)).collect(),
        handshakes_failed: totals.handshakes_failed.iter().map(|(code, count)| ((*code).to_owned(), *count)).collect(),
        retries: totals.retries,
        panics: totals.panics,
        accept_errors: totals.accept_errors,
        tunnels: totals.tunnels,
        bytes_in: totals.bytes_in,
        bytes_out: totals.bytes_out,
        log_lines_lost: status.log_lines_lost.values().fold(0, |sum, lost| sum.saturating_add(*lost)),
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
