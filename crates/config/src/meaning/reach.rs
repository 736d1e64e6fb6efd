//! What is never reached, and what does nothing: warnings about a configuration that is otherwise sound.
//!
//! The invariant: what is called unreachable is; not everything unreachable is found.

use std::collections::HashMap;

use evenkeel_model::config::{
    Action, Config, FieldMatch, Host, HostPattern, ListenAddr, Listener, Matcher, PathPattern, Pool, ServerAddr, Site,
    Standing, ZoneSource, called,
};

use super::route::host_covers;
use super::tcp;
use crate::entry::{Entries, Entry};
use crate::value::Value;
use crate::{Code, Diagnostics};

/// Reports what can be reported of a configuration without errors.
pub(super) fn warn(config: &Config, top: &Entries, out: &mut Diagnostics) {
    let blocks: Vec<&Entry> =
        top.list.iter().filter(|entry| matches!(entry.directive.name, "http" | "https" | "tcp")).collect();
    for listener in &config.listeners {
        let own =
            blocks.iter().filter(|block| matches!(block.value(0), Some(Value::Listen(addr)) if *addr == listener.addr));
        if let Some(block) = own.clone().next().filter(|_| listener.tcp.is_some()) {
            tcp::warn(listener, block, out);
        }
        let pairs: Vec<(&Site, &Entry)> = listener.sites.iter().zip(own.copied()).collect();
        sites(&pairs, out);
        for (site, block) in pairs {
            routes(site, block, out);
        }
    }
    circles(config, top, out);
    for entry in top.list.iter().filter(|entry| entry.directive.name == "pool") {
        let name = entry.values.first().map(|argument| argument.word.text.as_str());
        if let Some(pool) = config.pools.iter().find(|pool| Some(pool.name.as_str()) == name) {
            servers(pool, entry, out);
            unused(config, pool, entry, out);
        }
    }
}

fn sites(pairs: &[(&Site, &Entry)], out: &mut Diagnostics) {
    for (index, (site, block)) in pairs.iter().enumerate() {
        let earlier = pairs.iter().take(index).find(|(wide, _)| hosts_cover(&wide.hosts, &site.hosts));
        if let Some((_, first)) = earlier {
            out.report(Code::W506, block.span, "this block is never reached")
                .also(first.span, "takes every host of it")
                .help("move it up, or put its routes into the earlier block");
        }
    }
}

fn routes(site: &Site, block: &Entry, out: &mut Diagnostics) {
    let lines: Vec<&Entry> = block
        .all("route")
        .chain(block.entries.iter().filter(|entry| super::site::ACTIONS.contains(&entry.directive.name)))
        .collect();
    for (index, route) in site.routes.iter().enumerate() {
        let shadow = site.routes.iter().take(index).position(|earlier| {
            // What came over TLS already goes past one that sends others there.
            !matches!(&earlier.action, Action::Redirect(redirect) if redirect.only_secures())
                && covers(&earlier.matcher, &route.matcher)
        });
        let (Some(line), Some(first)) = (lines.get(index), shadow.and_then(|shadow| lines.get(shadow))) else {
            continue;
        };
        out.report(Code::W502, line.span, "this is never reached")
            .also(first.span, "takes every request that it would take")
            .help("the first that fits wins: move the narrower one up, or take it out");
    }
}

/// Whether every request that the narrow one takes is taken by the wide one.
fn covers(wide: &Matcher, narrow: &Matcher) -> bool {
    let conditions = |wide: &[FieldMatch], narrow: &[FieldMatch]| {
        wide.iter().all(|must| {
            narrow.iter().any(|has| has.name == must.name && (must.value.is_none() || must.value == has.value))
        })
    };
    let methods = wide.methods.is_empty()
        || (!narrow.methods.is_empty() && narrow.methods.iter().all(|method| wide.methods.contains(method)));
    path_covers(&wide.path, &narrow.path)
        && hosts_cover(&wide.hosts, &narrow.hosts)
        && methods
        && conditions(&wide.fields, &narrow.fields)
        && conditions(&wide.query, &narrow.query)
}

fn hosts_cover(wide: &[HostPattern], narrow: &[HostPattern]) -> bool {
    wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(|host| wide.iter().any(|wide| host_covers(wide, host))))
}

fn path_covers(wide: &PathPattern, narrow: &PathPattern) -> bool {
    let below = |prefix: &str, path: &str| {
        path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match (wide, narrow) {
        (PathPattern::Any, _) => true,
        (PathPattern::Below(prefix), PathPattern::Exact(path) | PathPattern::Below(path)) => below(prefix, path),
        // The part before the first star of a glob is fixed; only whole segments of it count.
        (PathPattern::Below(prefix), PathPattern::Glob(glob)) => {
            let fixed = glob.find(['*', '?']).and_then(|at| glob.get(..at)).unwrap_or(glob);
            fixed.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with('/'))
        }
        (wide, narrow) => wide == narrow,
    }
}

fn servers(pool: &Pool, entry: &Entry, out: &mut Diagnostics) {
    twins(pool, entry, out);
    let primaries = || pool.servers.iter().filter(|server| !server.backup);
    if primaries().next().is_none() {
        out.report(Code::W508, entry.span, format!("every server of pool `{}` is a backup", pool.name))
            .help("take `backup` away from those that shall serve first");
    } else if primaries().all(|server| server.weight == 0 || server.standing != Standing::Ready) {
        out.report(Code::W503, entry.span, format!("no primary server of pool `{}` takes new sessions", pool.name))
            .help("give one of them a weight above 0, or take `drain` or `maint` away");
    }
}

/// One warning for a pool, however many of its servers are one: what was copied once was often copied a hundred times.
fn twins(pool: &Pool, entry: &Entry, out: &mut Diagnostics) {
    let mut first = HashMap::new();
    let mut twins = Vec::new();
    for (index, server) in pool.servers.iter().enumerate() {
        match first.get(&server.addr) {
            Some(first) => twins.push((index, *first, &server.addr)),
            None => {
                first.insert(&server.addr, index);
            }
        }
    }
    let Some((index, first, addr)) = twins.first() else { return };
    let lines: Vec<&Entry> = entry.all("server").collect();
    let span = |index: usize| {
        let argument = lines.get(index).and_then(|line| line.values.get(1));
        argument.map_or(entry.span, |argument| argument.word.span)
    };
    let more = match twins.len() - 1 {
        0 => String::new(),
        1 => "; so is that of one server more".to_owned(),
        more => format!("; so are those of {more} servers more"),
    };
    out.report(Code::W504, span(*index), format!("`{addr}` is the address of another server of this pool{more}"))
        .also(span(*first), "the other one")
        .help("for a larger share give one of them a `weight`");
}

/// One warning for each pool of which a server is the very listener that leads to it.
fn circles(config: &Config, top: &Entries, out: &mut Diagnostics) {
    for pool in &config.pools {
        let found = pool.servers.iter().enumerate().find_map(|(index, server)| {
            let leads = |listener: &&Listener| is_at(listener, &server.addr) && leads_to(listener, pool);
            Some((index, server, config.listeners.iter().find(leads)?))
        });
        let Some((index, server, listener)) = found else { continue };
        let named = |entry: &&Entry| entry.directive.name == "pool" && text(entry) == Some(pool.name.as_str());
        let line = match top.list.iter().find(named) {
            Some(entry) => entry.all("server").nth(index),
            None => {
                top.list.iter().filter(|block| is_block_of(block, listener)).find_map(|block| block.all("to").next())
            }
        };
        let Some(line) = line else { continue };
        let own = format!("`{}` is the listener `{}` itself", server.addr, listener.name);
        out.report(Code::W511, line.span, own).help("name the address of the program behind");
    }
}

fn text(entry: &Entry) -> Option<&str> {
    entry.values.first().map(|argument| argument.word.text.as_str())
}

fn is_block_of(block: &Entry, listener: &Listener) -> bool {
    matches!(block.value(0), Some(Value::Listen(addr)) if *addr == listener.addr)
}

fn leads_to(listener: &Listener, pool: &Pool) -> bool {
    let mut routes = listener.sites.iter().flat_map(|site| &site.routes);
    routes.any(|route| matches!(&route.action, Action::To(name) if *name == pool.name))
        || listener.tcp.iter().flat_map(|tcp| &tcp.routes).any(|route| route.to == pool.name)
}

/// Whether a server's address is the listener's own, as far as the file tells: which addresses a machine has it does not.
fn is_at(listener: &Listener, addr: &ServerAddr) -> bool {
    let Host::Ip(ip) = addr.host else { return false };
    let ip = called(ip);
    addr.port == listener.addr.port()
        && match listener.addr {
            ListenAddr::One(own) if !own.ip().is_unspecified() => own.ip() == ip,
            ListenAddr::One(_) | ListenAddr::Every(_) => ip.is_loopback(),
        }
}

fn unused(config: &Config, pool: &Pool, entry: &Entry, out: &mut Diagnostics) {
    let leads = |action: &Action| matches!(action, Action::To(name) if *name == pool.name);
    let mut routes = config.listeners.iter().flat_map(|listener| &listener.sites).flat_map(|site| &site.routes);
    let mut passages = config.listeners.iter().filter_map(|listener| listener.tcp.as_ref()).flat_map(|tcp| &tcp.routes);
    if passages.any(|route| route.to == pool.name) {
        return;
    }
    let is_looked_at = config.zonefiles.iter().any(|block| block.pool.as_ref() == Some(&pool.name));
    if !is_looked_at && !routes.any(|route| leads(&route.action)) && !is_answered(config, pool) {
        out.report(Code::W501, entry.span, format!("no route leads to pool `{}`", pool.name))
            .help(format!("add one: `route * to={}`, or take the pool out", pool.name));
    }
}

/// Whether answers of DNS go by the pool.
fn is_answered(config: &Config, pool: &Pool) -> bool {
    let zones = || config.dns.iter().flat_map(|dns| &dns.zones);
    let made = zones().filter_map(|zone| match &zone.source {
        ZoneSource::Made(made) => Some(&made.answer),
        ZoneSource::File(_) => None,
    });
    let mut answers = made.chain(zones().flat_map(|zone| &zone.names).map(|name| &name.answer));
    answers.any(|answer| [&answer.pool, &answer.peers].contains(&&Some(pool.name.clone())))
}

#[cfg(test)]
mod tests;
