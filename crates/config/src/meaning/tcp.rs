//! `tcp` blocks to listeners: where connections go, and what of a pool's words does nothing for them.

use evenkeel_model::config::{
    Balance, ClientLimits, ClientTimeouts, Config, HashKey, HostPattern, Listener, LogFormat, Pool, StickyMethod, Tcp,
    TcpRoute, TcpTimeouts,
};
use evenkeel_model::{ListenerName, PoolName};

use super::listener::{self, Group};
use super::{Building, log, pool, route, site, tls};
use crate::entry::{Entries, Entry};
use crate::value::Value;
use crate::{Code, Diagnostics};

/// The listener of a block.
pub(super) fn build(building: &mut Building<'_>, group: &Group<'_>, block: &Entry) -> Listener {
    Listener {
        name: group.name.clone(),
        addr: group.addr,
        tls: tls::of_passages(building, group, block),
        timeouts: ClientTimeouts::default(),
        limits: ClientLimits::default(),
        max_conns: listener::max_conns(&[block], building.out),
        trusted: Vec::new(),
        proxied: listener::proxied(&[block], building.out),
        sites: Vec::new(),
        tcp: Some(of_block(building, &group.name, block)),
    }
}

/// What a block says.
pub(super) fn of_block(building: &mut Building<'_>, listener: &ListenerName, block: &Entry) -> Tcp {
    let mut routes: Vec<TcpRoute> = block.all("route").filter_map(|entry| route(building, entry)).collect();
    if let Some(to) = block.entry("to") {
        let name = PoolName::of_listener(listener);
        pool::of_block(building, &name, to, block);
        routes.push(TcpRoute { name: "*".to_owned(), names: Vec::new(), to: name });
        site::complain_of_order(block, building.out);
    } else if !block.flawed {
        site::complain_of_pool_words(block, building.out);
    }
    if block.is_sound() && routes.is_empty() && block.entry("route").is_none() {
        building
            .out
            .report(Code::E403, block.span, "this `tcp` block does nothing")
            .help("say where its connections go: `to ADDRESS:PORT`, or `route to=POOL`");
    }
    let top: Vec<&Entry> = building.all("log").collect();
    let own: Vec<&Entry> = block.all("log").collect();
    complain_of_logs(&own, building.out);
    let logs = if own.is_empty() { log::quietly(&top) } else { log::build(&own, building.out) };
    Tcp { routes, timeouts: timeouts(block), logs }
}

fn route(building: &mut Building<'_>, entry: &Entry) -> Option<TcpRoute> {
    let Some(to) = entry.entry("to") else {
        if entry.is_sound() {
            building
                .out
                .report(Code::E404, entry.span, "this route does nothing")
                .help("say where its connections go: `to=POOL`");
        }
        return None;
    };
    let Some(Value::Text(pool)) = to.value(0) else { return None };
    let pool = PoolName::new(pool).ok()?;
    if let Some(argument) = to.values.first() {
        building.wanted.push((argument.word.clone(), pool.clone()));
    }
    let sni = entry.entry("sni");
    let pattern = |value: &Value| match value {
        Value::HostPattern(host) => Some(host.clone()),
        _ => None,
    };
    let names: Vec<HostPattern> = sni.map(|sni| sni.read_values().filter_map(pattern).collect()).unwrap_or_default();
    let written = sni.map(|sni| sni.values.iter().map(|argument| argument.word.text.as_str()).collect::<Vec<_>>());
    let name = written.map_or_else(|| "*".to_owned(), |written| written.join(","));
    Some(TcpRoute { name, names, to: pool })
}

fn timeouts(block: &Entry) -> TcpTimeouts {
    let mut timeouts = TcpTimeouts::default();
    if let Some(entry) = block.entry("timeout") {
        pool::set(entry, "head", &mut timeouts.head);
        pool::set(entry, "idle", &mut timeouts.idle);
        pool::set(entry, "fin", &mut timeouts.fin);
    }
    timeouts
}

/// A connection has neither path nor status, and no request line.
fn complain_of_logs(logs: &[&Entry], out: &mut Diagnostics) {
    for log in logs {
        for skip in log.all("skip") {
            out.report(Code::E411, skip.span, "`skip` looks at requests, and this log is of connections")
                .help("take it out");
        }
        if let Some(format) = log.entry("format")
            && matches!(format.value(0), Some(Value::LogFormat(LogFormat::Combined)))
        {
            out.report(Code::E411, format.span, "`combined` is a form for requests, and this log is of connections")
                .help("write `json`, `haproxy`, or a text with `$variables`");
        }
    }
}

/// Reports what pools of TCP traffic say that only requests could obey.
pub(super) fn complain_of_pools(config: &Config, top: &Entries, out: &mut Diagnostics) {
    let blocks: Vec<&Entry> = top.list.iter().filter(|entry| entry.directive.name == "tcp").collect();
    for listener in &config.listeners {
        let Some(tcp) = &listener.tcp else { continue };
        let block =
            blocks.iter().find(|block| matches!(block.value(0), Some(Value::Listen(addr)) if *addr == listener.addr));
        for route in &tcp.routes {
            let Some(pool) = config.pool(&route.to) else { continue };
            let named = |entry: &&Entry| {
                entry.directive.name == "pool"
                    && entry.values.first().is_some_and(|name| name.word.text == pool.name.as_str())
            };
            let own = top.list.iter().find(named);
            if let Some(entry) = own.or(block.copied()) {
                complain_of_pool(pool, entry, &listener.name, out);
            }
        }
    }
}

fn complain_of_pool(pool: &Pool, entry: &Entry, listener: &ListenerName, out: &mut Diagnostics) {
    let lines = entry.all("sticky").zip(&pool.sticky);
    for (line, _) in lines.filter(|(_, sticky)| sticky.method != StickyMethod::Client) {
        out.report(Code::E411, line.span, format!("connections at `{listener}` have no cookies and no parameters"))
            .help("write `sticky client`, which goes by the client's address");
    }
    if let Some(line) = entry.entry("balance")
        && matches!(&pool.balance, Balance::Hash { key, .. } if *key != HashKey::Client)
    {
        out.report(Code::E411, line.span, format!("connections at `{listener}` have nothing of that to hash"))
            .help("write `balance hash client`");
    }
}

/// Reports routes that are never reached.
pub(super) fn warn(listener: &Listener, block: &Entry, out: &mut Diagnostics) {
    let Some(tcp) = &listener.tcp else { return };
    let lines: Vec<&Entry> =
        block.entries.iter().filter(|entry| matches!(entry.directive.name, "route" | "to")).collect();
    let covers = |wide: &TcpRoute, narrow: &TcpRoute| {
        wide.names.is_empty()
            || (!narrow.names.is_empty()
                && narrow.names.iter().all(|name| wide.names.iter().any(|wide| route::host_covers(wide, name))))
    };
    for (index, narrow) in tcp.routes.iter().enumerate() {
        let shadow = tcp.routes.iter().take(index).position(|wide| covers(wide, narrow));
        let (Some(line), Some(first)) = (lines.get(index), shadow.and_then(|shadow| lines.get(shadow))) else {
            continue;
        };
        out.report(Code::W502, line.span, "this is never reached")
            .also(first.span, "takes every connection that it would take")
            .help("the first that fits wins: move the narrower one up, or take it out");
    }
}
