//! The supervisor's facts as a [`NodeStatus`].

use std::sync::Arc;

use evenkeel_config::diff;
use evenkeel_model::config::{Listener, Pool, Server};
use evenkeel_model::{Change, ServerId, State, Verdict};
use evenkeel_net::{clock, process};
use evenkeel_proxy::{Explanation, Outcome, Question};

use super::{Supervisor, Turn};
use crate::status::{ConfigStatus, ListenerStatus, NodeStatus, PoolStatus, ServerStatus};

impl Supervisor {
    pub(super) fn describe(&self, turn: &Turn) -> NodeStatus {
        let config = &self.running.config;
        NodeStatus {
            name: process::host_name(),
            pid: std::process::id(),
            uptime: clock::now().saturating_sub(self.about.started),
            workers: self.crew.len(),
            silent_worker: self.watchdog.silent(),
            phase: Self::phase(turn),
            config: self.describe_config(turn),
            running: Arc::clone(config),
            control: self.about.control.clone(),
            listeners: config.listeners.iter().map(|listener| self.describe_listener(listener)).collect(),
            pools: config.pools.iter().map(|pool| self.describe_pool(pool, turn)).collect(),
            drained: self.intents.node().cloned(),
            is_unkept: turn.keep_at.is_some(),
            zonefiles: self.zonefiles.report(),
            certificates: self.running.tls.shown(),
            acme: self.acme.status(),
            dns: self.dns.totals(),
            connections: self.shared.connections(),
            totals: self.shared.totals(),
            log_lines_lost: self.logs.lost(),
            usage: process::usage(),
            tasks: self.crew.tasks(),
        }
    }

    fn describe_config(&self, turn: &Turn) -> ConfigStatus {
        let since_start = diff(&self.about.first_config, &self.running.config);
        let waiting = since_start.into_iter().filter_map(|change| match change {
            Change::ProcessChanged { word, needs_restart: true } => Some(word),
            _ => None,
        });
        ConfigStatus {
            origin: self.origin.name(),
            generation: self.running.generation,
            applied_at: self.running.applied_at,
            kept_as: self.running.kept_as,
            is_rollback: self.running.is_rollback,
            is_last_good: self.about.is_last_good && self.running.generation == 1,
            last_reload: turn.last_reload.clone(),
            reloads: turn.reload_counts,
            waiting_for_restart: waiting.collect(),
        }
    }

    fn describe_listener(&self, listener: &Listener) -> ListenerStatus {
        ListenerStatus {
            name: listener.name.clone(),
            bound: self.running.bound.get(&listener.name).copied(),
            stats: self.shared.listener_stats(&listener.name).unwrap_or_default(),
        }
    }

    /// What would become of a request, with what the servers that do not serve are held for.
    pub(super) fn explain(&self, question: &Question) -> Result<Explanation, String> {
        let mut explanation = self.running.snapshot.explain(question)?;
        if let Outcome::Pool { pool, servers, .. } = &mut explanation.outcome {
            for server in servers.iter_mut().filter(|server| !matches!(server.state, State::Up | State::Unknown)) {
                let id = ServerId { pool: pool.clone(), server: server.name.clone() };
                if let Some(verdict) = self.keeper.verdict(&id) {
                    server.why = format!("{}: {}", server.why, verdict.text);
                }
            }
        }
        Ok(explanation)
    }

    fn describe_pool(&self, pool: &Pool, turn: &Turn) -> PoolStatus {
        PoolStatus {
            name: pool.name.clone(),
            stats: self.shared.pool_stats(&pool.name).unwrap_or_default(),
            servers: pool.servers.iter().map(|server| self.describe_server(pool, server, turn)).collect(),
        }
    }

    pub(super) fn describe_server(&self, pool: &Pool, server: &Server, turn: &Turn) -> ServerStatus {
        let id = pool.id_of(server);
        let now = clock::now();
        let verdict = self.keeper.verdict(&id).cloned().unwrap_or_else(|| Verdict::initial(now));
        let view = self.running.views.get(&id).cloned().unwrap_or_default();
        ServerStatus {
            address: server.addr.clone(),
            addrs: view.addrs,
            held_for: now.saturating_sub(verdict.since),
            verdict,
            is_checked: pool.check.is_some(),
            weight: server.weight,
            intent: self.intents.of(&id).cloned(),
            is_intent_kept: turn.keep_at.is_none() && self.state.is_kept(),
            version: self.version(&id, server),
            drain: self.drain_of(&id, turn),
            sessions: self.sessions.left.on(pool, &id),
            ramp_per_mille: view.ramp_per_mille,
            backup: server.backup,
            stats: self.shared.server_stats(&id).unwrap_or_default(),
            id,
        }
    }
}
