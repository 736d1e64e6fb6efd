//! Getting ready for a configuration: everything that can fail is done here, before anything running is touched.
//!
//! A start and a reload go the same way. The invariant: what is prepared and then dropped leaves no trace; its sockets
//! close, and the configuration that runs has not noticed.

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use evenkeel_cluster::Keyring;
use evenkeel_config::{Diagnostic, Loaded, Options, SourceMap, Style, diff, render};
use evenkeel_model::config::{Cluster, Config, ListenAddr, LogTarget};
use evenkeel_model::{Change, ListenerName};
use evenkeel_net::NetError;
use evenkeel_net::listen::{self, Presence};

use crate::certificates::{self, Tls};
use crate::cluster;
use crate::crew::Opened;
use crate::dns;
use crate::door::AdminDoor;
use crate::logs::{self, OpenedLogs};
use crate::origin::{Loading, Origin, Texts};
use crate::pages::{self, Pages};
use crate::secrets::{self, OwnSecrets, TokenKeys};
use crate::state::State;
use crate::zonefile;

/// A configuration with everything that it needs, ready to be applied.
pub(crate) struct Prepared {
    pub(crate) config: Config,
    pub(crate) texts: Texts,
    pub(crate) warnings: Vec<String>,
    pub(crate) changes: Vec<Change>,
    pub(crate) opened: Vec<Opened>,
    pub(crate) closed: Vec<ListenerName>,
    pub(crate) dns_opened: Vec<dns::Opened>,
    pub(crate) dns_closed: Vec<ListenerName>,
    pub(crate) resources: Resources,
    /// The cluster's keys, read again.
    pub(crate) cluster_keys: Option<Keyring>,
    /// What changes of the cluster beside.
    pub(crate) cluster_news: Option<cluster::News>,
}

/// What a configuration names outside of itself.
pub(crate) struct Resources {
    pub(crate) pages: Pages,
    pub(crate) keys: TokenKeys,
    pub(crate) logs: OpenedLogs,
    pub(crate) admin: AdminDoor,
    pub(crate) dns: Vec<dns::LoadedBlock>,
    pub(crate) tls: Tls,
}

/// A configuration that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What was wrong, a line each: `shop.conf:4:1: error[E201]: unknown word `lisen``.
    pub cause: String,
    /// The whole of it, for people: diagnostics with their places, or the cause with what to do about it.
    pub report: String,
    /// Whether the configuration is to blame, or a file that it names, and not the machine.
    pub is_of_configuration: bool,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// A refusal with nothing more to say.
    pub(crate) fn plain(cause: impl Into<String>) -> Self {
        let cause = cause.into();
        Self { report: cause.clone(), cause, is_of_configuration: false }
    }

    /// A refusal with the next step.
    pub(crate) fn with_hint(cause: impl Into<String>, hint: Option<&str>) -> Self {
        let cause = cause.into();
        let report = hint.map_or_else(|| cause.clone(), |hint| format!("{cause}\n{hint}"));
        Self { cause, report, is_of_configuration: false }
    }

    pub(crate) fn of_diagnostics(diagnostics: &[Diagnostic], sources: &SourceMap) -> Self {
        let errors: Vec<Diagnostic> = diagnostics.iter().filter(|found| found.is_error()).cloned().collect();
        let cause = render(&errors, sources, Style::Short).trim_end().to_owned();
        let report = render(diagnostics, sources, Style::Human { color: false });
        Self { cause, report, is_of_configuration: false }
    }
}

/// What runs now, as far as a reload has to know it.
pub(crate) struct Running<'a> {
    pub(crate) config: &'a Config,
    /// What the process was started with, and where it still is in what only a start changes.
    pub(crate) first: &'a Config,
    pub(crate) keys: &'a TokenKeys,
    pub(crate) pages: &'a Pages,
    pub(crate) logs: &'a HashSet<LogTarget>,
    pub(crate) own_secrets: &'a OwnSecrets,
    pub(crate) admin: &'a AdminDoor,
    pub(crate) dns: &'a [dns::LoadedBlock],
    pub(crate) tls: &'a Tls,
    pub(crate) workers: usize,
    pub(crate) state: &'a State,
    /// This node's name in its cluster, and what that runs by.
    pub(crate) cluster: Option<(&'a str, &'a Cluster)>,
}

/// What is there already of what a configuration names.
pub(crate) struct Known<'a> {
    pub(crate) keys: &'a TokenKeys,
    pub(crate) logs: &'a HashSet<LogTarget>,
    pub(crate) own_secrets: &'a OwnSecrets,
    pub(crate) admin: &'a AdminDoor,
    pub(crate) dns: &'a [dns::LoadedBlock],
    pub(crate) tls: &'a Tls,
}

/// Reads the configuration anew and gets everything ready that the running one lacks.
///
/// # Errors
/// Where the configuration is wrong, or something that it names cannot be had. Nothing was changed then.
pub(crate) fn prepare(origin: &Origin, running: &Running<'_>) -> Result<Prepared, Refusal> {
    let Loading { loaded, texts } = origin.load(&Options::default());
    let Some(config) = loaded.config.clone() else {
        return Err(Refusal::of_diagnostics(&loaded.diagnostics, &loaded.sources));
    };
    let opened = bind(&config, running.config, running.workers, &loaded)?;
    let cluster_keys = cluster_keys(running.config, &config)?;
    // A node that starts under the new key makes tickets of it.
    let secret = config.cluster.as_ref().filter(|_| cluster_keys.is_some()).map(|it| secrets::read_private(&it.key));
    let tls = secret.and_then(Result::ok).map(|secret| running.tls.sharing(&secret));
    let known = Known {
        keys: running.keys,
        logs: running.logs,
        own_secrets: running.own_secrets,
        admin: running.admin,
        dns: running.dns,
        tls: tls.as_ref().unwrap_or(running.tls),
    };
    let resources = gather(&config, &known, &loaded)?;
    let unreadable = zonefile::unreadable_keys(&config, &loaded);
    if !unreadable.is_empty() {
        return Err(Refusal::of_diagnostics(&unreadable, &loaded.sources));
    }
    let dns_opened = dns::bind(&config, running.config, running.workers, &loaded)?;
    let clusters = running.cluster.zip(config.cluster.as_ref());
    let cluster_news = clusters.map(|((me, now), next)| cluster::news(now, next, me, running.state));
    let cluster_news = cluster_news.transpose()?.flatten();
    let changes = changes(running, &config, &resources);
    let closed = gone(running.config, &config);
    let dns_closed = dns::gone(running.config, &config);
    let mut doubts = certificates::doubts(&config, &resources.tls, &loaded);
    doubts.extend(dns::doubts(&resources.dns));
    let mut warnings = warnings(&loaded, &doubts);
    let known = unserved(running.config);
    warnings.extend(unserved(&config).into_iter().filter(|it| !known.contains(it)));
    Ok(Prepared {
        config,
        texts,
        warnings,
        changes,
        opened,
        closed,
        dns_opened,
        dns_closed,
        resources,
        cluster_keys,
        cluster_news,
    })
}

/// The keys that the cluster's block names, as they are now. Those that it named before may be unreadable since the
/// process has given its rights up: then it goes on with what it has.
///
/// # Errors
/// Where other keys are named, and cannot be had.
fn cluster_keys(now: &Config, next: &Config) -> Result<Option<Keyring>, Refusal> {
    let (Some(now), Some(next)) = (&now.cluster, &next.cluster) else { return Ok(None) };
    match cluster::keys(next) {
        Ok(keys) => Ok(Some(keys)),
        Err(_) if (&now.key, &now.accept) == (&next.key, &next.accept) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

/// Binds the listeners that `next` has and `now` lacks: all of them or none.
///
/// # Errors
/// The first address that cannot be had, with its place in the file and its holder.
pub(crate) fn bind(next: &Config, now: &Config, workers: usize, loaded: &Loaded) -> Result<Vec<Opened>, Refusal> {
    let added = next.listeners.iter().filter(|listener| !is_bound(now, &listener.name, listener.addr));
    added
        .map(|listener| match listen::bind(listener.addr, workers, presence(next, listener.addr)) {
            Ok(sockets) => Ok((listener.name.clone(), sockets)),
            Err(error) => {
                let mut found = loaded.unbindable(&listener.name, &error.cause());
                if let (NetError::PortForbidden { .. }, Some(user)) = (&error, &now.process.user) {
                    found.help(format!("started by root, this process has become `{user}`: a restart binds it"));
                }
                if let Some(hint) = error.hint() {
                    found.help(hint);
                }
                Err(Refusal::of_diagnostics(&[found], &loaded.sources))
            }
        })
        .collect()
}

/// Service addresses are elsewhere most of the time, and listened on all the same: what moves is then served at once.
pub(crate) fn presence(config: &Config, addr: ListenAddr) -> Presence {
    let ListenAddr::One(addr) = addr else { return Presence::Here };
    let mut moving = config.cluster.iter().flat_map(Cluster::service_addresses);
    if moving.any(|service| service.addr == addr.ip()) { Presence::Moves } else { Presence::Here }
}

/// Reads pages, keys and zones, and opens logs that do not run yet.
///
/// # Errors
/// Everything that cannot be had.
pub(crate) fn gather(config: &Config, known: &Known<'_>, loaded: &Loaded) -> Result<Resources, Refusal> {
    read(config, known, loaded).map_err(|refusal| Refusal { is_of_configuration: true, ..refusal })
}

fn read(config: &Config, known: &Known<'_>, loaded: &Loaded) -> Result<Resources, Refusal> {
    let keys = known.keys.next(config, known.own_secrets).map_err(|missing| {
        let found: Vec<Diagnostic> =
            missing.iter().map(|key| loaded.secret_unreadable(&key.pool, &key.cause)).collect();
        Refusal::of_diagnostics(&found, &loaded.sources)
    })?;
    let pages = pages::read(config).map_err(|wrong| all_of(&wrong))?;
    let admin = known
        .admin
        .next(config.admin.as_ref(), loaded)
        .map_err(|found| Refusal::of_diagnostics(&found, &loaded.sources))?;
    let tls = known.tls.next(config, loaded).map_err(|wrong| Refusal::of_diagnostics(&wrong, &loaded.sources))?;
    let logs = logs::open(config, known.logs).map_err(|wrong| all_of(&wrong))?;
    let dns = dns::load(config, known.own_secrets.current(), loaded, known.dns)
        .map_err(|wrong| Refusal::of_diagnostics(&wrong, &loaded.sources))?;
    Ok(Resources { pages, keys, logs, admin, dns, tls })
}

/// What the reload changes, for people. A file may be the same and the key or the error pages that it names others; and
/// what was turned back to what the process was started with waits for nothing.
fn changes(running: &Running<'_>, next: &Config, resources: &Resources) -> Vec<Change> {
    let cluster = cluster_before(running.config.cluster.as_ref(), running.cluster.map(|(_, runs)| runs), next);
    let since = |before: &Config| diff(&Config { cluster: cluster.clone(), ..before.clone() }, next);
    let (since_start, mut changes) = (since(running.first), since(running.config));
    changes.retain(|change| {
        !matches!(change, Change::ProcessChanged { needs_restart: true, .. }) || since_start.contains(change)
    });
    let renewed = resources.keys.renewed(running.keys).into_iter().map(|pool| Change::PoolChanged(pool.clone()));
    let repainted = repainted(running, next, &resources.pages).map(Change::ListenerChanged);
    let (listeners, pools) = resources.tls.renewed(running.tls);
    let certified =
        listeners.into_iter().map(Change::ListenerChanged).chain(pools.into_iter().map(Change::PoolChanged));
    for change in renewed.chain(repainted).chain(certified) {
        if !changes.contains(&change) {
            changes.push(change);
        }
    }
    changes
}

/// The cluster's block that changes are told from: what the cluster runs by, for what waits for the next start stands in
/// the `last` file already, and has all that comes after it wait too. Keys alone are always taken up. Where the file's block
/// stays as it is, so does what it waits for, and nothing is told.
fn cluster_before(last: Option<&Cluster>, runs: Option<&Cluster>, next: &Config) -> Option<Cluster> {
    if last == next.cluster.as_ref() {
        return last.cloned();
    }
    let runs = runs?;
    let keys = last.unwrap_or(runs);
    Some(Cluster { key: keys.key.clone(), accept: keys.accept.clone(), ..runs.clone() })
}

/// Listeners that stay and whose error pages read otherwise than they did.
fn repainted<'a>(
    running: &'a Running<'_>,
    next: &'a Config,
    pages: &'a Pages,
) -> impl Iterator<Item = ListenerName> + 'a {
    let differ = |dir: &PathBuf| running.pages.get(dir).is_some_and(|before| pages.get(dir) != Some(before));
    let staying = next.listeners.iter().filter(|listener| running.config.listener(&listener.name).is_some());
    staying
        .filter(move |listener| listener.sites.iter().filter_map(|site| site.errors.as_ref()).any(differ))
        .map(|listener| listener.name.clone())
}

/// The warnings of a configuration, a line each.
pub(crate) fn warnings(loaded: &Loaded, doubts: &[Diagnostic]) -> Vec<String> {
    let all: Vec<Diagnostic> = loaded.diagnostics.iter().chain(doubts).cloned().collect();
    let text = render(&all, &loaded.sources, Style::Short);
    text.lines().map(str::to_owned).collect()
}

/// Of each address that the service manager listens on for us and that this configuration names nowhere, what to do: who
/// connects there is taken by the system, and waits for ever.
pub(crate) fn unserved(config: &Config) -> Vec<String> {
    let dns: Vec<ListenAddr> = config.dns.iter().flat_map(|dns| &dns.listeners).map(|listener| listener.addr).collect();
    let listeners = config.listeners.iter().map(|listener| listener.addr);
    let admin = config.admin.iter().map(|admin| admin.addr);
    // Nodes speak of sessions there, each at its own addresses.
    let of_nodes = config.cluster.iter().flat_map(|cluster| {
        let at = |addr: &IpAddr| ListenAddr::One(SocketAddr::new(*addr, cluster.port));
        cluster.nodes.iter().flat_map(|node| &node.addrs).map(at)
    });
    let streams: Vec<ListenAddr> = listeners.chain(admin).chain(of_nodes).chain(dns.iter().copied()).collect();
    let sentence = |addr| {
        format!(
            "the service manager listens on {addr} for us, and nothing in the configuration listens on just that; take it \
             out of the socket unit"
        )
    };
    listen::unused_given(&streams, &dns).into_iter().map(sentence).collect()
}

/// Listeners that `next` no longer has.
fn gone(now: &Config, next: &Config) -> Vec<ListenerName> {
    let left = now.listeners.iter().filter(|listener| !is_bound(next, &listener.name, listener.addr));
    left.map(|listener| listener.name.clone()).collect()
}

fn is_bound(config: &Config, name: &ListenerName, addr: ListenAddr) -> bool {
    config.listener(name).is_some_and(|listener| listener.addr == addr)
}

fn all_of(wrong: &[String]) -> Refusal {
    Refusal::plain(wrong.join("\n"))
}

#[cfg(test)]
mod tests {
    use evenkeel_config::{MemorySource, load_text};

    use super::*;

    /// What a reload tells of the cluster's block, and what the cluster runs by afterwards.
    fn told(last: &Config, runs: &Cluster, next: &Config) -> (Vec<String>, Cluster) {
        let before = Config { cluster: cluster_before(last.cluster.as_ref(), Some(runs), next), ..last.clone() };
        let told = diff(&before, next).iter().map(ToString::to_string).collect();
        let next = next.cluster.clone().unwrap();
        (told, if runs.becomes(&next) { next } else { runs.clone() })
    }

    #[test]
    fn what_a_change_of_the_cluster_does_is_told_by_what_runs() {
        let config = |port: u16, more: &str| {
            let text = format!(
                "http :80 {{\n to 10.0.0.1:80\n}}\ncluster edge key=file:/k {{\n port {port}\n node lb1 10.0.0.1\n \
                 node lb2 10.0.0.2\n group web {{\n  ip 10.0.0.8{more}\n }}\n}}\n"
            );
            let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default());
            loaded.config.unwrap_or_else(|| panic!("{text}: {:?}", loaded.diagnostics))
        };
        let waits = |word: &str| format!("`{word}` changed, and takes effect at the next start");
        let (first, added) = (config(7000, ""), "\n  ip 10.0.0.9");
        let runs = first.cluster.clone().unwrap();

        let (port, runs) = told(&first, &runs, &config(7001, ""));
        assert_eq!(port, [waits("cluster.port")]);
        let (same, runs) = told(&config(7001, ""), &runs, &config(7001, ""));
        assert!(same.is_empty(), "{same:?}");
        let (address, still) = told(&config(7001, ""), &runs, &config(7001, added));
        assert_eq!(address, [waits("cluster"), waits("cluster.port")], "the address waits for the port");
        assert_eq!(still, runs);

        let (back, runs) = told(&config(7001, ""), &runs, &config(7000, added));
        assert_eq!(back, ["`cluster` changed"], "the address is taken up");
        assert_eq!(runs, config(7000, added).cluster.unwrap());
        let (undone, _) = told(&config(7001, added), &runs, &config(7000, added));
        assert!(undone.is_empty(), "{undone:?}");
    }
}
