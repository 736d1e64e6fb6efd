//! Pools: their servers, and everything that is said about them. The words are the same in a `pool` block and in an `http` block
//! with servers of its own.

pub(super) mod check;
mod choose;
mod sticky;

use std::time::Duration;

use evenkeel_model::config::{
    Eject, OnDown, Pool, PoolTimeouts, PoolTls, ProxyVersion, Queue, Retry, RetryOn, Reuse, Server, ServerAddr,
    ServerProtocol, Standing, StickyMethod,
};
use evenkeel_model::{PoolName, ServerId, ServerName, caps, defaults};

use super::{Building, tls};
use crate::entry::Entry;
use crate::value::Value;
use crate::{Code, Diagnostics};

/// A `pool NAME { … }`.
pub(super) fn named(building: &mut Building<'_>, entry: &Entry) {
    let name = match entry.value(0) {
        Some(Value::Text(name)) => PoolName::new(name).ok(),
        _ => None,
    };
    let Some(name) = name else {
        // The name is wrong, which was said. What is in the block is looked at all the same.
        words(
            entry,
            Pool::new(PoolName::of_site(&evenkeel_model::ListenerName::of_address(""), ""), Vec::new()),
            building.out,
        );
        return;
    };
    let mut servers = Vec::new();
    for line in entry.all("server") {
        if let Some(server) = server(line, building.out) {
            if let Some(argument) = line.values.get(1) {
                let id = ServerId { pool: name.clone(), server: server.name.clone() };
                building.places.servers.insert(id, argument.word.span);
            }
            servers.push(server);
        }
    }
    if entry.is_sound() && servers.is_empty() && entry.entry("server").is_none() {
        building
            .out
            .report(Code::E402, entry.span, format!("pool `{name}` has no servers"))
            .help("add one: `server NAME ADDRESS:PORT`");
    }
    finish(building, name, servers, entry);
}

/// The pool of an `http` block's own `to ADDRESS…`.
pub(super) fn of_block(building: &mut Building<'_>, name: &PoolName, to: &Entry, block: &Entry) {
    let mut servers: Vec<Server> = Vec::new();
    for argument in &to.values {
        let Some(Value::Server(addr) | Value::SecureServer(addr)) = &argument.value else { continue };
        let server = ServerName::of_address(&argument.word.text);
        if let Some(twin) = servers.iter().find(|other| other.name == server || other.addr == *addr) {
            let span = building
                .places
                .servers
                .get(&ServerId { pool: name.clone(), server: twin.name.clone() })
                .copied()
                .unwrap_or(to.span);
            building
                .out
                .report(Code::E209, argument.word.span, format!("`{addr}` is given twice"))
                .also(span, "the first one")
                .help("for a larger share write a `pool` with `server NAME ADDRESS weight=2`");
            continue;
        }
        let id = ServerId { pool: name.clone(), server: server.clone() };
        building.places.servers.insert(id, argument.word.span);
        servers.push(Server::new(server, addr.clone()));
    }
    let is_secure = tls::is_secure(to, building.out);
    finish(building, name.clone(), servers, block);
    if is_secure && let Some(pool) = building.config.pools.last_mut() {
        building.places.pool_tls.insert(name.clone(), to.span);
        pool.tls = Some(PoolTls::new());
    }
}

fn finish(building: &mut Building<'_>, name: PoolName, servers: Vec<Server>, entry: &Entry) {
    if servers.len() > caps::SERVERS_PER_POOL {
        let (given, most) = (servers.len(), caps::SERVERS_PER_POOL);
        building
            .out
            .report(Code::E410, entry.span, format!("{given} servers in one pool: the most is {most}"))
            .help("make two pools of it, and let routes tell their traffic apart");
    }
    let mut keys = entry.all("sticky").flat_map(|sticky| sticky.entry("key"));
    if let Some(argument) = keys.next().and_then(|key| key.values.first()) {
        building.places.keys.insert(name.clone(), argument.word.span);
    }
    if let Some(entry) = tls::of_pool_entry(entry) {
        building.places.pool_tls.insert(name.clone(), entry.span);
    }
    let pool = words(entry, Pool::new(name, servers), building.out);
    building.add_pool(pool);
}

fn server(entry: &Entry, out: &mut Diagnostics) -> Option<Server> {
    let name = match entry.value(0) {
        Some(Value::Text(name)) => ServerName::new(name).ok()?,
        _ => return None,
    };
    let addr: ServerAddr = match entry.value(1) {
        Some(Value::Server(addr)) => addr.clone(),
        _ => return None,
    };
    let mut server = Server::new(name, addr);
    if let Some(Value::Integer(weight)) = entry.option("weight") {
        server.weight = u16::try_from(*weight).unwrap_or(defaults::WEIGHT_MAX);
    }
    if let Some(Value::Integer(most)) = entry.option("max-conns") {
        server.max_conns = u32::try_from(*most).ok();
    }
    server.proxy = entry.option("proxy-protocol").and_then(proxy);
    if let Some(known) = entry.entry("known-as") {
        let text = |value: &Value| match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        };
        server.known_as = known.read_values().filter_map(text).collect();
    }
    server.backup = entry.entry("backup").is_some();
    server.standing = match (entry.entry("drain"), entry.entry("maint")) {
        (Some(drain), Some(maint)) => {
            out.report(Code::E411, maint.span, "`maint` beside `drain`: a server is at one of them")
                .also(drain.span, "the other")
                .help("`drain` keeps sessions, `maint` takes nothing: keep one");
            Standing::Maintenance
        }
        (Some(_), None) => Standing::Drain,
        (None, Some(_)) => Standing::Maintenance,
        (None, None) => Standing::Ready,
    };
    Some(server)
}

/// The version of the PROXY protocol; none for `off`.
fn proxy(value: &Value) -> Option<ProxyVersion> {
    match value {
        Value::Choice("v1") => Some(ProxyVersion::V1),
        Value::Choice("v2") => Some(ProxyVersion::V2),
        _ => None,
    }
}

/// Everything but the servers.
fn words(entry: &Entry, mut pool: Pool, out: &mut Diagnostics) -> Pool {
    if let Some(balance) = entry.entry("balance").and_then(|balance| choose::balance(balance, out)) {
        pool.balance = balance;
    }
    pool.sticky = sticky::methods(entry, &pool.name, out);
    if let Some(probe) = entry.entry("check") {
        pool.check = check::check(probe, out);
    }
    if let Some(eject_entry) = entry.entry("eject") {
        pool.eject = eject(eject_entry, out);
    }
    if let Some(retry_entry) = entry.entry("retry") {
        pool.retry = retry(retry_entry);
    }
    if let Some(timeout) = entry.entry("timeout") {
        pool.timeouts = timeouts(timeout);
    }
    if let Some(table) = entry.entry("sessions") {
        sessions(table, &mut pool, out);
    }
    if let Some(queue_entry) = entry.entry("queue") {
        pool.queue = queue(queue_entry);
    }
    if let Some(entry) = tls::of_pool_entry(entry) {
        pool.tls = Some(tls::of_pool(entry, out));
    }
    connections(entry, &mut pool, out);
    manner(entry, &mut pool);
    pool
}

/// How servers are come back to, and what is done without any.
fn manner(entry: &Entry, pool: &mut Pool) {
    if let Some(Value::Duration(time)) = entry.option("slow-start") {
        pool.slow_start = *time;
    }
    if let Some(Value::Choice(when)) = entry.option("reuse") {
        pool.reuse = match *when {
            "never" => Reuse::Never,
            "always" => Reuse::Always,
            _ => Reuse::Safe,
        };
    }
    if let Some(Value::Choice(switch)) = entry.option("fail-open") {
        pool.fail_open = *switch == "on";
    }
}

/// What connections to the servers begin with, carry, and come to.
fn connections(entry: &Entry, pool: &mut Pool, out: &mut Diagnostics) {
    if let Some(version) = entry.option("proxy-protocol").and_then(proxy) {
        // What a server says itself counts more, `off` included.
        let own: Vec<bool> = entry.all("server").map(|line| line.entry("proxy-protocol").is_some()).collect();
        for (server, _) in
            pool.servers.iter_mut().zip(own.iter().chain(std::iter::repeat(&false))).filter(|(_, own)| !**own)
        {
            server.proxy = Some(version);
        }
    }
    if let Some(Value::Choice("close")) = entry.option("on-down") {
        pool.on_down = OnDown::Close;
    }
    if let Some(Value::Choice(switch)) = entry.option("failback") {
        pool.failback = *switch == "on";
    }
    if let Some(Value::Choice(protocol)) = entry.option("protocol") {
        pool.protocol = if *protocol == "h2" { ServerProtocol::Http2 } else { ServerProtocol::Http1 };
    }
    if pool.protocol == ServerProtocol::Http2
        && pool.servers.iter().any(|server| server.proxy.is_some())
        && let Some(line) = entry.entry("protocol")
    {
        out.report(Code::E411, line.span, "`protocol h2` beside `proxy-protocol`: clients share its connections")
            .help("take one of them out");
    }
}

fn sessions(entry: &Entry, pool: &mut Pool, out: &mut Diagnostics) {
    if let Some(Value::Integer(max)) = entry.option("max") {
        pool.sessions.max = u32::try_from(*max).unwrap_or(pool.sessions.max);
    }
    if !pool.sticky.iter().any(|sticky| matches!(sticky.method, StickyMethod::Learned(_))) {
        out.report(Code::W509, entry.span, "`sessions` holds nothing: no `sticky` of this pool learns")
            .help("write `sticky learn COOKIE` or `learn=` with another method, or take it out");
    }
}

/// Takes over an option's duration where it is given.
pub(super) fn set(entry: &Entry, option: &str, target: &mut Duration) {
    if let Some(Value::Duration(value)) = entry.option(option) {
        *target = *value;
    }
}

fn eject(entry: &Entry, out: &mut Diagnostics) -> Option<Eject> {
    if let Some(off) = entry.values.first() {
        if let Some(inner) = entry.entries.first() {
            out.report(Code::E411, inner.span, "`eject off` has nothing to say this about")
                .also(off.word.span, "off")
                .help("take one of them out");
        }
        return None;
    }
    let mut eject = Eject::default();
    if let Some(Value::Integer(errors)) = entry.option("errors") {
        eject.errors = u32::try_from(*errors).unwrap_or(eject.errors);
    }
    set(entry, "within", &mut eject.within);
    set(entry, "for", &mut eject.hold);
    if let Some(Value::Percent(most)) = entry.option("most") {
        eject.most = u8::try_from(*most).unwrap_or(eject.most);
    }
    Some(eject)
}

fn retry(entry: &Entry) -> Retry {
    let mut retry = Retry::default();
    if let Some(Value::Integer(attempts)) = entry.value(0) {
        retry.attempts = u8::try_from(*attempts).unwrap_or(retry.attempts);
    }
    if let Some(Value::Choice(place)) = entry.value(1) {
        retry.elsewhere = *place == "elsewhere";
    }
    if let Some(on) = entry.entry("on") {
        let mut list: Vec<RetryOn> = Vec::new();
        for value in on.read_values() {
            match value {
                Value::RetryOn(failure) if !list.contains(failure) => list.push(*failure),
                _ => {}
            }
        }
        retry.on = list;
    }
    if let Some(Value::Percent(budget)) = entry.option("budget") {
        retry.budget = u8::try_from(*budget).unwrap_or(retry.budget);
    }
    if let Some(Value::Size(replay)) = entry.option("replay") {
        retry.replay = *replay;
    }
    retry
}

fn timeouts(entry: &Entry) -> PoolTimeouts {
    let mut timeouts = PoolTimeouts::default();
    set(entry, "connect", &mut timeouts.connect);
    set(entry, "answer", &mut timeouts.answer);
    set(entry, "idle", &mut timeouts.idle);
    set(entry, "keep", &mut timeouts.keep);
    if let Some(Value::Duration(total)) = entry.option("total") {
        timeouts.total = Some(*total);
    }
    timeouts
}

fn queue(entry: &Entry) -> Queue {
    let mut queue = Queue::default();
    if let Some(Value::Integer(max)) = entry.option("max") {
        queue.max = u32::try_from(*max).unwrap_or(queue.max);
    }
    set(entry, "timeout", &mut queue.timeout);
    queue
}
