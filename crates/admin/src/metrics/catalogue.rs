//! The catalogue of metrics: one row for each family.
//!
//! Names are an interface: they are added, never renamed. Base units, `_total` for counters and for nothing else, no
//! rates, no metric that says in its name what its labels say. A server has fewer than 25 series.
//!
//! The invariant: a row puts as many values as it has labels, in their order.

use super::write::Sink;
use crate::report::{
    AcmeReport, DnsReport, GroupReport, ListenerReport, NodeReport, PoolReport, ServerReport, StatusReport,
    TrafficReport, ZonefileReport,
};

/// One family of metrics.
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// What kind of numbers they are.
    pub kind: Kind,
    /// The labels of its samples.
    pub labels: &'static [&'static str],
    /// What it is, in a sentence without a full stop.
    pub help: &'static str,
    pub(super) read: fn(&StatusReport, &mut Sink),
}

/// What kind of numbers a family has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from the start of the process.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts below growing bounds.
    Histogram,
}

impl Kind {
    /// The word of the format.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    read: fn(&StatusReport, &mut Sink),
) -> Family {
    Family { name, kind: Kind::Counter, labels, help, read }
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    read: fn(&StatusReport, &mut Sink),
) -> Family {
    Family { name, kind: Kind::Gauge, labels, help, read }
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    read: fn(&StatusReport, &mut Sink),
) -> Family {
    Family { name, kind: Kind::Histogram, labels, help, read }
}

/// The states that a server may have, in the order in which they are counted.
const STATES: [&str; 5] = ["up", "down", "draining", "maintenance", "unknown"];

/// Every family, in the order of the page.
#[rustfmt::skip] // a row is read as a row
pub const FAMILIES: &[Family] = &[
    gauge("evenkeel_build_info", &["version"], "1, with the program's version",
        |report, sink| sink.put(&[&report.version], 1)),
    gauge("evenkeel_uptime_seconds", &[], "How long the process has run",
        |report, sink| sink.put(&[], report.uptime_s)),
    gauge("evenkeel_stopping", &[], "1 while the node accepts nothing more and waits for its connections to end",
        |report, sink| sink.put(&[], report.stopping.into())),
    gauge("evenkeel_workers", &[], "Threads that carry traffic",
        |report, sink| sink.put(&[], report.workers)),
    counter("process_cpu_seconds_total", &[], "Seconds that the process's threads computed",
        |report, sink| sink.put_real(&[], report.process.cpu_s)),
    gauge("process_resident_memory_bytes", &[], "Memory of the process that is resident",
        |report, sink| sink.put(&[], report.process.resident_bytes)),
    gauge("process_open_fds", &[], "Descriptors that the process has open",
        |report, sink| sink.put(&[], report.process.open_files)),
    gauge("process_max_fds", &[], "Descriptors that the process may have open",
        |report, sink| sink.put(&[], report.process.max_files)),

    gauge("evenkeel_config_generation", &[], "Grows by one with each configuration applied, from 1",
        |report, sink| sink.put(&[], report.config.generation)),
    gauge("evenkeel_config_applied_timestamp_seconds", &[], "When the configuration that runs was applied, since 1970",
        |report, sink| sink.put(&[], report.config.applied_at)),
    gauge("evenkeel_config_last_reload_success", &[], "1 unless the last reload was refused",
        |report, sink| sink.put(&[], report.config.last_reload.as_ref().is_none_or(|last| last.ok).into())),
    gauge("evenkeel_config_last_good", &[], "1 while the last good configuration serves because the file is broken",
        |report, sink| sink.put(&[], report.config.is_last_good.into())),
    counter("evenkeel_config_reloads_total", &["result"], "Reloads by result: `applied` or `refused`",
        |report, sink| {
            sink.put(&["applied"], report.config.reloads_applied);
            sink.put(&["refused"], report.config.reloads_refused);
        }),

    gauge("evenkeel_connections", &[], "Client connections open now",
        |report, sink| sink.put(&[], report.totals.connections)),
    counter("evenkeel_connections_accepted_total", &[], "Client connections accepted",
        |report, sink| sink.put(&[], report.totals.accepted)),
    counter("evenkeel_accept_errors_total", &[], "Attempts to accept a client connection that failed",
        |report, sink| sink.put(&[], report.totals.accept_errors)),
    counter("evenkeel_requests_total", &[], "Requests answered, by us or by a server",
        |report, sink| sink.put(&[], report.totals.requests)),
    counter("evenkeel_responses_total", &["code"], "Answers to clients by the class of their status",
        |report, sink| report.totals.by_class.iter().for_each(|(class, count)| sink.put(&[class], *count))),
    counter("evenkeel_requests_rejected_total", &["reason"], "Requests that were not served as asked, by cause",
        |report, sink| report.totals.rejected.iter().for_each(|(code, count)| sink.put(&[code], *count))),
    counter("evenkeel_tls_handshakes_total", &["listener", "result"], "TLS handshakes of clients: `new` sessions, and `resumed` ones",
        |report, sink| report.listeners.iter().filter(|it| it.handshakes + it.handshakes_failed > 0).for_each(|it| {
            sink.put(&[&it.name, "new"], it.handshakes.saturating_sub(it.handshakes_resumed));
            sink.put(&[&it.name, "resumed"], it.handshakes_resumed);
        })),
    counter("evenkeel_tls_handshakes_failed_total", &["reason"], "TLS handshakes of clients that came to nothing, by cause",
        |report, sink| report.totals.handshakes_failed.iter().for_each(|(code, count)| sink.put(&[code], *count))),
    gauge("evenkeel_certificate_expiry_timestamp_seconds", &["listener", "source"], "Until when a certificate holds, since 1970",
        |report, sink| report.certificates.iter().for_each(|it| sink.put(&[&it.listener, &it.source], it.not_after))),
    gauge("evenkeel_acme_expiry_timestamp_seconds", &["listener", "host"], "Until when the certificate that an authority gave for a host and its block holds, since 1970; 0 while there is none",
        |report, sink| report.acme.iter().for_each(|it| sink.put(&[&it.listener, first_host(it)], it.expires.unwrap_or(0)))),
    gauge("evenkeel_acme_next_try_timestamp_seconds", &["listener", "host"], "When it is ordered next, since 1970",
        |report, sink| report.acme.iter().for_each(|it| sink.put(&[&it.listener, first_host(it)], it.next_try))),
    gauge("evenkeel_acme_failures", &["listener", "host"], "Orders of it that failed since the last one that did not",
        |report, sink| report.acme.iter().for_each(|it| sink.put(&[&it.listener, first_host(it)], u64::from(it.failures)))),
    gauge("evenkeel_acme_orderer", &["listener", "host", "node"], "1 for the node of the cluster that orders it; none without a cluster, and where that is not known yet",
        |report, sink| report.acme.iter().for_each(|it| {
            if let Some(node) = &it.orderer {
                sink.put(&[&it.listener, first_host(it), node], 1);
            }
        })),
    counter("evenkeel_retries_total", &[], "Attempts at a server beyond a request's first",
        |report, sink| sink.put(&[], report.totals.retries)),
    counter("evenkeel_tunnels_total", &[], "Connections upgraded (WebSocket) and tunnelled",
        |report, sink| sink.put(&[], report.totals.tunnels)),
    counter("evenkeel_received_bytes_total", &[], "Bytes received from clients",
        |report, sink| sink.put(&[], report.totals.bytes_in)),
    counter("evenkeel_sent_bytes_total", &[], "Bytes sent to clients",
        |report, sink| sink.put(&[], report.totals.bytes_out)),
    counter("evenkeel_panics_total", &[], "Connections lost to a fault of this program",
        |report, sink| sink.put(&[], report.totals.panics)),
    counter("evenkeel_log_lines_lost_total", &[], "Lines of access logs lost to a slow or full log",
        |report, sink| sink.put(&[], report.totals.log_lines_lost)),

    counter("evenkeel_dns_queries_total", &["transport"], "Queries of DNS by transport: `udp` or `tcp`",
        |report, sink| each_dns(report, |dns| {
            sink.put(&["udp"], dns.udp);
            sink.put(&["tcp"], dns.tcp);
        })),
    counter("evenkeel_dns_answers_total", &["rcode"], "Answers of DNS by response code",
        |report, sink| each_dns(report, |dns| dns.rcodes.iter().for_each(|(rcode, count)| sink.put(&[rcode], *count)))),
    counter("evenkeel_dns_zone_queries_total", &["zone"], "Queries of DNS by the zone that they were about",
        |report, sink| each_dns(report, |dns| dns.zones.iter().for_each(|(zone, count)| sink.put(&[zone], *count)))),
    counter("evenkeel_dns_unanswered_total", &["cause"],
        "Messages of DNS without an answer: `malformed`, or `limited` where the client was past its allowance",
        |report, sink| each_dns(report, |dns| {
            sink.put(&["malformed"], dns.dropped);
            sink.put(&["limited"], dns.limited);
        })),
    counter("evenkeel_dns_truncated_total", &[], "Answers of DNS that were cut, so that the client comes over TCP",
        |report, sink| each_dns(report, |dns| sink.put(&[], dns.truncated))),
    counter("evenkeel_dns_transfers_total", &[], "Zones transferred to secondary servers",
        |report, sink| each_dns(report, |dns| sink.put(&[], dns.transfers))),
    counter("evenkeel_dns_refused_transfers_total", &[], "Transfers refused, since no line of the configuration allows them",
        |report, sink| each_dns(report, |dns| sink.put(&[], dns.refused_transfers))),

    gauge("evenkeel_cluster_node_up", &["node"], "Whether another node of the cluster is heard, and lives",
        |report, sink| each_node(report, |node| sink.put(&[&node.name], u64::from(matches!(node.state.as_str(), "up" | "late"))))),
    gauge("evenkeel_cluster_node_hears_us", &["node"], "Whether another node hears this one",
        |report, sink| each_node(report, |node| sink.put(&[&node.name], u64::from(node.hears_us)))),
    gauge("evenkeel_cluster_node_shares_sessions", &["node"], "Whether learned sessions are shared with another node",
        |report, sink| each_node(report, |node| sink.put(&[&node.name], u64::from(node.shares)))),
    gauge("evenkeel_cluster_node_differs", &["node"], "Whether another node runs another configuration file",
        |report, sink| each_node(report, |node| sink.put(&[&node.name], u64::from(node.other_file)))),
    counter("evenkeel_cluster_heartbeats_refused_total", &["node"], "Heartbeats that were too old to count: replayed, or much delayed",
        |report, sink| each_node(report, |node| sink.put(&[&node.name], node.refused))),
    gauge("evenkeel_cluster_group_owned", &["group"], "Whether this node owns a group",
        |report, sink| each_group(report, |group| sink.put(&[&group.name], u64::from(group.role == "owner")))),
    gauge("evenkeel_cluster_group_owners", &["group"], "Owners of a group as far as is heard here: 1 is right, 0 and 2 are not",
        |report, sink| each_group(report, |group| sink.put(&[&group.name], group.owners.len() as u64))),
    gauge("evenkeel_cluster_group_broken", &["group"], "Whether a group has failed or does not stop on this node",
        |report, sink| each_group(report, |group| sink.put(&[&group.name], u64::from(matches!(group.role.as_str(), "failed" | "stuck"))))),

    gauge("evenkeel_listener_connections", &["listener"], "Client connections of a listener open now",
        |report, sink| each_listener(report, sink, |listener| listener.connections)),
    counter("evenkeel_listener_connections_accepted_total", &["listener"], "Client connections that a listener accepted",
        |report, sink| each_listener(report, sink, |listener| listener.accepted)),
    counter("evenkeel_listener_full_total", &["listener"], "Times that a listener had as many client connections as `max-conns` lets it, so that the next ones waited",
        |report, sink| each_listener(report, sink, |listener| listener.full)),
    counter("evenkeel_listener_requests_total", &["listener"], "Requests of a listener answered",
        |report, sink| each_listener(report, sink, |listener| listener.requests)),
    counter("evenkeel_listener_responses_total", &["listener", "code"], "Answers of a listener by the class of their status",
        |report, sink| for listener in &report.listeners {
            classes(sink, &listener.name, &listener.traffic);
        }),
    counter("evenkeel_listener_received_bytes_total", &["listener"], "Bytes that a listener received from clients",
        |report, sink| each_listener(report, sink, |listener| listener.traffic.bytes_in)),
    counter("evenkeel_listener_sent_bytes_total", &["listener"], "Bytes that a listener sent to clients",
        |report, sink| each_listener(report, sink, |listener| listener.traffic.bytes_out)),
    histogram("evenkeel_listener_request_duration_seconds", &["listener"],
        "Time from a request's first byte to its answer's last, by listener",
        |report, sink| for listener in &report.listeners {
            listener.traffic.latency.iter().for_each(|latency| sink.histogram(&[&listener.name], latency));
        }),

    gauge("evenkeel_pool_servers", &["pool", "state"], "Servers of a pool by the state that they are held for",
        |report, sink| for pool in &report.pools {
            for state in STATES {
                sink.put(&[&pool.name, state], number(pool.servers.iter().filter(|it| it.state == state).count()));
            }
        }),
    gauge("evenkeel_pool_queued_requests", &["pool"], "Requests that wait for a slot of a pool's servers",
        |report, sink| each_pool(report, sink, |pool| pool.queued)),
    counter("evenkeel_pool_requests_total", &["pool"], "Requests that came to a pool",
        |report, sink| each_pool(report, sink, |pool| pool.requests)),
    counter("evenkeel_pool_responses_total", &["pool", "code"], "Answers of a pool's servers by the class of their status",
        |report, sink| for pool in &report.pools {
            classes(sink, &pool.name, &pool.traffic);
        }),
    histogram("evenkeel_pool_request_duration_seconds", &["pool"],
        "Time from a request's first byte to its answer's last, by pool",
        |report, sink| for pool in &report.pools {
            pool.traffic.latency.iter().for_each(|latency| sink.histogram(&[&pool.name], latency));
        }),

    counter("evenkeel_pool_sticky_roaming_total", &["pool"], "Sessions whose token or id came from many networks, so that copies of it must be about",
        |report, sink| each_pool(report, sink, |pool| pool.sticky_roaming)),

    gauge("evenkeel_server_up", &["pool", "server"], "1 where a server is held for up, or is not known to be otherwise",
        |report, sink| each_server(report, sink, |server| server.is_serving().into())),
    gauge("evenkeel_server_weight", &["pool", "server"], "A server's share of the traffic",
        |report, sink| each_server(report, sink, |server| server.weight.into())),
    gauge("evenkeel_server_in_flight_requests", &["pool", "server"], "Requests that a server has now",
        |report, sink| each_server(report, sink, |server| server.in_flight)),
    counter("evenkeel_server_requests_total", &["pool", "server"], "Requests sent to a server, retries included",
        |report, sink| each_server(report, sink, |server| server.requests)),
    counter("evenkeel_server_failures_total", &["pool", "server"], "Requests that failed by a server's fault",
        |report, sink| each_server(report, sink, |server| server.failures)),
    counter("evenkeel_server_errors_total", &["pool", "server"], "Answers of a server with a status of 500 or above",
        |report, sink| each_server(report, sink, |server| server.errors_5xx)),
    gauge("evenkeel_server_sessions", &["pool", "server"], "Sessions that live on a server, where they can be counted",
        |report, sink| for pool in &report.pools {
            for (server, sessions) in pool.servers.iter().filter_map(|server| server.sessions.map(|it| (server, it))) {
                sink.put(&[&pool.name, &server.name], sessions.live);
            }
        }),
    counter("evenkeel_server_sticky_hits_total", &["pool", "server"], "Requests that came to a server by their session",
        |report, sink| each_server(report, sink, |server| server.sticky_hits)),
    counter("evenkeel_server_sticky_new_total", &["pool", "server"], "Clients that were bound to a server",
        |report, sink| each_server(report, sink, |server| server.sticky_new)),
    counter("evenkeel_server_sticky_moved_total", &["pool", "server"], "Requests of a server's sessions that others served, since it was busy or failed them",
        |report, sink| each_server(report, sink, |server| server.sticky_moved)),
    counter("evenkeel_server_sticky_lost_total", &["pool", "server"], "Sessions of a server that others took over, since it could not be asked",
        |report, sink| each_server(report, sink, |server| server.sticky_lost)),
    counter("evenkeel_server_connects_total", &["pool", "server"], "Connections made to a server",
        |report, sink| each_server(report, sink, |server| server.connects)),
    counter("evenkeel_server_reused_total", &["pool", "server"], "Requests that went to a server over a kept connection",
        |report, sink| each_server(report, sink, |server| server.reused)),
    counter("evenkeel_server_received_bytes_total", &["pool", "server"], "Bytes received from clients for a server",
        |report, sink| each_server(report, sink, |server| server.traffic.bytes_in)),
    counter("evenkeel_server_sent_bytes_total", &["pool", "server"], "Bytes sent to clients that came from a server",
        |report, sink| each_server(report, sink, |server| server.traffic.bytes_out)),

    gauge("evenkeel_zonefile_records", &["state"], "Records that the zone-file checker covers, by the state that their targets are held for",
        |report, sink| for state in STATES {
            let has_it = |block: &ZonefileReport| block.records().filter(|record| record.state == state).count();
            sink.put(&[state], number(report.zonefiles.iter().map(has_it).sum()));
        }),
    gauge("evenkeel_zonefile_parked_records", &[], "Records that are commented out of their zones",
        |report, sink| sink.put(&[], zonefiles(report, |block| block.records().filter(|record| record.parked).count()))),
    gauge("evenkeel_zonefile_faulty_files", &[], "Zone files that the last round could not bring in step",
        |report, sink| sink.put(&[], zonefiles(report, |block| block.sheets.iter().filter(|sheet| !sheet.is_good()).count()))),
    gauge("evenkeel_zonefile_blind", &[], "Blocks of which every target fails, so that nothing is changed",
        |report, sink| sink.put(&[], zonefiles(report, |block| block.blind.into()))),
    gauge("evenkeel_zonefile_owed_commands", &[], "Commands after a change that have not succeeded yet",
        |report, sink| sink.put(&[], zonefiles(report, |block| block.then.iter().filter(|then| then.owed).count()))),
    counter("evenkeel_zonefile_changes_total", &[], "Records parked or put back",
        |report, sink| sink.put(&[], report.zonefiles.iter().map(|block| block.changes).fold(0, u64::saturating_add))),
    gauge("evenkeel_zonefile_round_timestamp_seconds", &[], "When the block that was looked at longest ago was, since 1970; 0 before that",
        |report, sink| sink.put(&[], report.zonefiles.iter().map(|block| block.last_round.unwrap_or(0)).min().unwrap_or(0))),
];

fn first_host(acme: &AcmeReport) -> &str {
    acme.hosts.first().map_or("", String::as_str)
}

fn each_dns(report: &StatusReport, mut put: impl FnMut(&DnsReport)) {
    if let Some(dns) = &report.dns {
        put(dns);
    }
}

fn each_node(report: &StatusReport, put: impl FnMut(&NodeReport)) {
    report.cluster.iter().flat_map(|cluster| &cluster.nodes).for_each(put);
}

fn each_group(report: &StatusReport, put: impl FnMut(&GroupReport)) {
    report.cluster.iter().flat_map(|cluster| &cluster.groups).for_each(put);
}

fn each_listener(report: &StatusReport, sink: &mut Sink, of: fn(&ListenerReport) -> u64) {
    for listener in &report.listeners {
        sink.put(&[&listener.name], of(listener));
    }
}

fn each_pool(report: &StatusReport, sink: &mut Sink, of: fn(&PoolReport) -> u64) {
    for pool in &report.pools {
        sink.put(&[&pool.name], of(pool));
    }
}

fn each_server(report: &StatusReport, sink: &mut Sink, of: fn(&ServerReport) -> u64) {
    for pool in &report.pools {
        for server in &pool.servers {
            sink.put(&[&pool.name, &server.name], of(server));
        }
    }
}

fn zonefiles(report: &StatusReport, of: fn(&ZonefileReport) -> usize) -> u64 {
    number(report.zonefiles.iter().map(of).sum())
}

fn classes(sink: &mut Sink, name: &str, traffic: &TrafficReport) {
    for (class, count) in &traffic.by_class {
        sink.put(&[name, class], *count);
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
