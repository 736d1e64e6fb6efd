//! What differs between two configurations, as a reload applies it.
//!
//! The invariant: what is not named is the same in both; equal configurations have no difference.

use evenkeel_model::Change;
use evenkeel_model::config::{Cluster, Config, Pool, Process, Server};

/// The changes from one configuration to the next: listeners, then pools with their servers, then the process, each in written order,
/// what is gone after what is there.
pub fn diff(old: &Config, new: &Config) -> Vec<Change> {
    let mut changes = Vec::new();
    for listener in &new.listeners {
        match old.listener(&listener.name) {
            None => changes.push(Change::ListenerAdded(listener.name.clone())),
            Some(before) if before != listener => changes.push(Change::ListenerChanged(listener.name.clone())),
            Some(_) => {}
        }
    }
    for listener in old.listeners.iter().filter(|listener| new.listener(&listener.name).is_none()) {
        changes.push(Change::ListenerRemoved(listener.name.clone()));
    }
    for pool in &new.pools {
        match old.pool(&pool.name) {
            None => changes.push(Change::PoolAdded(pool.name.clone())),
            Some(before) => diff_pool(before, pool, &mut changes),
        }
    }
    for pool in old.pools.iter().filter(|pool| new.pool(&pool.name).is_none()) {
        changes.push(Change::PoolRemoved(pool.name.clone()));
    }
    if old.zonefiles != new.zonefiles {
        changes.push(Change::ProcessChanged { word: "zonefile", needs_restart: false });
    }
    if old.dns != new.dns {
        changes.push(Change::DnsChanged);
    }
    diff_process(&old.process, &new.process, &mut changes);
    if old.cluster != new.cluster {
        diff_cluster(old.cluster.as_ref().zip(new.cluster.as_ref()), &mut changes);
    }
    if old.admin != new.admin {
        changes.push(Change::ProcessChanged { word: "admin", needs_restart: false });
    }
    changes
}

/// Whom a node hears, and what it runs for a group, stay as they are until it starts anew; and so does all of the block then,
/// but for keys.
fn diff_cluster(both: Option<(&Cluster, &Cluster)>, changes: &mut Vec<Change>) {
    let Some((old, new)) = both else {
        return changes.push(Change::ProcessChanged { word: "cluster", needs_restart: true });
    };
    let waiting = old.waiting(new);
    let is_named = |word| waiting.contains(&word);
    let is_more = old.ping != new.ping
        || !is_named("cluster.beat") && old.beat != new.beat
        || !is_named("cluster.group") && old.groups != new.groups;
    if (is_more || waiting.is_empty()) && !is_named("cluster") {
        changes.push(Change::ProcessChanged { word: "cluster", needs_restart: !waiting.is_empty() });
    }
    changes.extend(waiting.into_iter().map(|word| Change::ProcessChanged { word, needs_restart: true }));
}

/// A pool that is in both. Its servers' own changes are told server by server; their order is the pool's.
fn diff_pool(old: &Pool, new: &Pool, changes: &mut Vec<Change>) {
    let without_servers = |pool: &Pool| Pool { servers: Vec::new(), ..pool.clone() };
    let in_both = |pool: &Pool, other: &Pool| {
        let names = pool.servers.iter().map(|server| server.name.clone());
        names.filter(|name| find(other, name).is_some()).collect::<Vec<_>>()
    };
    if without_servers(old) != without_servers(new) || in_both(old, new) != in_both(new, old) {
        changes.push(Change::PoolChanged(new.name.clone()));
    }
    let id = |server: &Server| new.id_of(server);
    for server in &new.servers {
        let Some(before) = find(old, &server.name) else {
            changes.push(Change::ServerAdded(id(server)));
            continue;
        };
        if before.addr != server.addr {
            changes.push(Change::ServerMoved(id(server)));
        }
        if *before != (Server { addr: before.addr.clone(), ..server.clone() }) {
            changes.push(Change::ServerChanged(id(server)));
        }
    }
    for server in old.servers.iter().filter(|server| find(new, &server.name).is_none()) {
        changes.push(Change::ServerRemoved(id(server)));
    }
}

fn find<'a>(pool: &'a Pool, name: &evenkeel_model::ServerName) -> Option<&'a Server> {
    pool.servers.iter().find(|server| server.name == *name)
}

fn diff_process(old: &Process, new: &Process, changes: &mut Vec<Change>) {
    // What is done once at the start, before the rights are given up, waits for the next one.
    let words = [
        ("state", old.state != new.state, true),
        ("user", old.user != new.user, true),
        ("group", old.group != new.group, true),
        ("control", old.control != new.control, true),
        ("resolver", old.resolvers != new.resolvers, false),
        ("limits.workers", old.workers != new.workers, true),
        ("limits.conns", old.max_conns != new.max_conns, false),
        ("limits.buffers", old.buffers != new.buffers, false),
        ("limits.files", old.files != new.files, true),
        ("limits.drain", old.drain != new.drain, false),
    ];
    for (word, differs, needs_restart) in words {
        if differs {
            changes.push(Change::ProcessChanged { word, needs_restart });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::diff;
    use crate::{MemorySource, Options, load_text};

    fn changes(old: &str, new: &str) -> Vec<String> {
        let config = |text: &str| {
            let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default());
            loaded.config.unwrap_or_else(|| panic!("{text}: {:?}", loaded.diagnostics))
        };
        diff(&config(old), &config(new)).iter().map(ToString::to_string).collect()
    }

    const BASE: &str =
        "http :80 {\n route * to=shop\n}\npool shop {\n server a 10.0.0.1:80\n server b 10.0.0.2:80\n}\n";

    #[test]
    fn what_of_a_cluster_waits_for_the_next_start_is_named() {
        let base = format!(
            "{BASE}cluster edge key=file:/k {{\n node lb1 10.0.0.1\n node lb2 10.0.0.2\n group web {{\n  ip 10.0.0.9\n }}\n}}\n"
        );
        let waits = |word: &str| format!("`{word}` changed, and takes effect at the next start");
        let third = ("node lb2 10.0.0.2", "node lb2 10.0.0.2\n node lb3 10.0.0.3");
        let expect = |edits: &[(&str, &str)], expected: &[String]| {
            let new = edits.iter().fold(base.clone(), |text, (from, to)| text.replacen(from, to, 1));
            assert_eq!(changes(&base, &new), expected, "{new}");
        };
        expect(&[("ip 10.0.0.9", "ip 10.0.0.8")], &["`cluster` changed".to_owned()]);
        expect(&[("node lb1", "beat dead=2s\n node lb1")], &["`cluster` changed".to_owned()]);
        expect(&[third], &[waits("cluster.node")]);
        expect(&[third, ("ip 10.0.0.9", "ip 10.0.0.8")], &[waits("cluster"), waits("cluster.node")]);
        expect(&[("node lb1", "port 7000\n node lb1")], &[waits("cluster.port")]);
        expect(&[("ip 10.0.0.9", "unit nfs.service\n  ip 10.0.0.9")], &[waits("cluster.group")]);
        expect(&[("cluster edge", "cluster rim")], &[waits("cluster")]);
        assert_eq!(changes(BASE, &base), [waits("cluster")]);
    }

    #[test]
    fn only_what_differs_is_named() {
        let cases: [(&str, &str, &[&str]); 11] = [
            ("", "", &[]),
            ("10.0.0.2:80", "10.0.0.2:80 weight=3", &["server shop/b changed"]),
            ("10.0.0.2:80", "10.0.0.3:80", &["server shop/b has another address"]),
            ("10.0.0.2:80", "10.0.0.3:80 drain", &["server shop/b has another address", "server shop/b changed"]),
            (" server b 10.0.0.2:80\n", "", &["server shop/b removed"]),
            ("server b", "server c", &["server shop/c added", "server shop/b removed"]),
            ("server a", "sticky\n server a", &["pool shop changed"]),
            ("route *", "route /x to=shop\n route *", &["listener :80 changed"]),
            ("http :80", "http :81", &["listener :81 added", "listener :80 removed"]),
            (
                "http :80",
                "limits workers=2 drain=5s\nhttp :80",
                &["`limits.workers` changed, and takes effect at the next start", "`limits.drain` changed"],
            ),
            (
                "pool shop {\n server a 10.0.0.1:80\n server b",
                "pool shop {\n server b 10.0.0.2:80\n server a 10.0.0.1:80\n}\npool x {\n server z",
                &["pool shop changed", "pool x added"],
            ),
        ];
        for (from, to, expected) in cases {
            let new = if from.is_empty() { BASE.to_owned() } else { BASE.replacen(from, to, 1) };
            assert_eq!(changes(BASE, &new), expected, "{new}");
        }
    }
}
