//! `http` and `https` blocks to listeners: blocks of one address share it, and what is the address's own must not differ between them.

use std::time::Duration;

use evenkeel_model::ListenerName;
use evenkeel_model::config::{ClientLimits, ClientTimeouts, ListenAddr, Listener, Network};

use super::{Building, site, tcp, tls};
use crate::entry::{Argument, Entry};
use crate::value::Value;
use crate::{Code, Diagnostics, Span};

/// The blocks of one address.
pub(super) struct Group<'a> {
    pub name: ListenerName,
    pub addr: ListenAddr,
    pub span: Span,
    pub blocks: Vec<&'a Entry>,
}

/// Puts a block to those of its address.
pub(super) fn collect<'a>(building: &mut Building<'a>, entry: &'a Entry, groups: &mut Vec<Group<'a>>) {
    let Some((Argument { word, .. }, Value::Listen(addr))) = entry.values.first().zip(entry.value(0)) else {
        // The address is wrong, which was said. What is in the block is looked at all the same.
        let name = ListenerName::of_address("");
        match entry.directive.name {
            "tcp" => drop(tcp::of_block(building, &name, entry)),
            _ => drop(site::build(building, &name, entry)),
        }
        return;
    };
    if let Some(other) = groups.iter().find(|group| group.addr == *addr && !may_share(group, entry)) {
        building
            .out
            .report(Code::E408, word.span, format!("`{}` is taken already", word.text))
            .also(other.span, "by this block")
            .help("only `http` blocks share an address: give one of the two another port");
        return;
    }
    match groups.iter_mut().find(|group| group.addr == *addr) {
        Some(group) => {
            tls::complain_of_mixture(group, entry, building.out);
            group.blocks.push(entry);
        }
        None => {
            let name = ListenerName::of_address(&word.text);
            building.places.listeners.insert(name.clone(), word.span);
            groups.push(Group { name, addr: *addr, span: word.span, blocks: vec![entry] });
        }
    }
}

/// Whether a block goes with those of its address: requests have hosts to tell them apart, connections have not.
fn may_share(group: &Group<'_>, entry: &Entry) -> bool {
    entry.directive.name != "tcp" && group.blocks.iter().all(|block| block.directive.name != "tcp")
}

pub(super) fn build(building: &mut Building<'_>, group: &Group<'_>) -> Listener {
    if let Some(block) = group.blocks.first().filter(|block| block.directive.name == "tcp") {
        return tcp::build(building, group, block);
    }
    let sites = group.blocks.iter().map(|block| site::build(building, &group.name, block)).collect();
    let shared = Shared { top: building.all("timeout").next(), blocks: &group.blocks, word: "timeout" };
    let timeouts = timeouts(&shared, building.out);
    let shared = Shared { top: building.all("max").next(), blocks: &group.blocks, word: "max" };
    let limits = limits(&shared, building.out);
    let tls = tls::of_listener(building, group);
    let trusted = trusted(building.all("trust").next(), &group.blocks, building.out);
    let proxied = proxied(&group.blocks, building.out);
    let max_conns = max_conns(&group.blocks, building.out);
    let (name, addr) = (group.name.clone(), group.addr);
    Listener { name, addr, tls, timeouts, limits, max_conns, trusted, proxied, sites, tcp: None }
}

/// Reports addresses that are one for the system.
pub(super) fn overlaps(groups: &[Group<'_>], out: &mut Diagnostics) {
    let every = |addr: ListenAddr| match addr {
        ListenAddr::Every(_) => true,
        ListenAddr::One(addr) => addr.ip().is_unspecified(),
    };
    let mut seen: Vec<&Group<'_>> = Vec::new();
    for group in groups.iter().filter(|group| every(group.addr) && group.addr.port() > 0) {
        if let Some(first) = seen.iter().find(|other| other.addr.port() == group.addr.port()) {
            out.report(Code::E408, group.span, format!("`{}` and `{}` are one address", group.name, first.name))
                .also(first.span, "first given here")
                .help(format!("write `{}` in both places", first.name));
        }
        seen.push(group);
    }
}

/// What the blocks of an address say with one word.
pub(super) struct Shared<'a> {
    pub(super) top: Option<&'a Entry>,
    pub(super) blocks: &'a [&'a Entry],
    pub(super) word: &'static str,
}

impl Shared<'_> {
    /// The value of an option: the one that a block gives, or the top.
    pub(super) fn value(&self, option: &str, out: &mut Diagnostics) -> Option<Value> {
        let mut given = self.blocks.iter().filter_map(|block| block.entry(self.word)?.entry(option));
        let first = given.next();
        for other in given {
            if let Some(first) = first.filter(|first| first.value(0) != other.value(0)) {
                disagree(&format!("{}.{option}", self.word), first.span, other.span, out);
            }
        }
        first.or_else(|| self.top?.entry(option)).and_then(|entry| entry.value(0)).cloned()
    }
}

fn disagree(what: &str, first: Span, other: Span, out: &mut Diagnostics) {
    out.report(Code::E407, other, format!("`{what}` differs from that of another block with the same address"))
        .also(first, "given here first")
        .help("give it in one of the blocks: it holds for the address as a whole");
}

fn timeouts(shared: &Shared<'_>, out: &mut Diagnostics) -> ClientTimeouts {
    let mut timeouts = ClientTimeouts::default();
    let mut set = |option: &str, target: &mut Duration| {
        if let Some(Value::Duration(value)) = shared.value(option, out) {
            *target = value;
        }
    };
    set("head", &mut timeouts.head);
    set("body", &mut timeouts.body);
    set("idle", &mut timeouts.idle);
    set("send", &mut timeouts.send);
    set("tunnel", &mut timeouts.tunnel);
    set("life", &mut timeouts.life);
    match shared.value("rate", out) {
        Some(Value::Size(rate)) => timeouts.rate = Some(rate),
        Some(Value::Off) => timeouts.rate = None,
        _ => {}
    }
    timeouts
}

fn limits(shared: &Shared<'_>, out: &mut Diagnostics) -> ClientLimits {
    let mut limits = ClientLimits::default();
    if let Some(Value::Size(head)) = shared.value("head", out) {
        limits.head = head;
    }
    if let Some(Value::Integer(fields)) = shared.value("fields", out) {
        limits.fields = u16::try_from(fields).unwrap_or(limits.fields);
    }
    if let Some(Value::Size(target)) = shared.value("target", out) {
        limits.target = target;
        let entry = shared.blocks.iter().copied().chain(shared.top).find_map(|block| {
            block.entry(shared.word).and_then(|word| word.entry("target")).or_else(|| block.entry("target"))
        });
        if let Some(entry) = entry.filter(|_| target > limits.head) {
            let head = crate::print::size(limits.head);
            out.report(Code::W509, entry.span, format!("`max.head` of {head} is reached before this"))
                .help("a target is part of the head: make it smaller, or `max.head` larger");
        }
    }
    limits.target = limits.target.min(limits.head);
    match shared.value("body", out) {
        Some(Value::Size(body)) => limits.body = Some(body),
        Some(Value::Off) => limits.body = None,
        _ => {}
    }
    if let Some(Value::Integer(requests)) = shared.value("requests", out) {
        limits.requests = u32::try_from(requests).unwrap_or(limits.requests);
    }
    if let Some(Value::Integer(streams)) = shared.value("streams", out) {
        limits.streams = u32::try_from(streams).unwrap_or(limits.streams);
    }
    limits
}

fn trusted(top: Option<&Entry>, blocks: &[&Entry], out: &mut Diagnostics) -> Vec<Network> {
    let mut given = blocks.iter().filter_map(|block| block.entry("trust"));
    let first = given.next();
    for other in given {
        if let Some(first) = first.filter(|first| networks(first) != networks(other)) {
            disagree("trust", first.span, other.span, out);
        }
    }
    first.or(top).map(networks).unwrap_or_default()
}

/// The most connections at one time.
pub(super) fn max_conns(blocks: &[&Entry], out: &mut Diagnostics) -> Option<u32> {
    let mut given = blocks.iter().filter_map(|block| block.entry("max-conns"));
    let first = given.next()?;
    for other in given.filter(|other| other.value(0) != first.value(0)) {
        disagree("max-conns", first.span, other.span, out);
    }
    match first.value(0) {
        Some(Value::Integer(most)) => u32::try_from(*most).ok(),
        _ => None,
    }
}

/// Proxies that begin their connections with a PROXY header.
pub(super) fn proxied(blocks: &[&Entry], out: &mut Diagnostics) -> Vec<Network> {
    let from = |block: &Entry| block.entry("proxy-protocol").and_then(|word| word.entry("from")).map(networks);
    for word in blocks.iter().filter_map(|block| block.entry("proxy-protocol")) {
        if word.is_sound() && word.entry("from").is_none() {
            out.report(Code::E205, word.span, "`proxy-protocol` needs the proxies that send it")
                .help("add `from=RANGE`; to send it to servers, write `proxy-protocol v2` in their `pool`");
        }
    }
    let mut given = blocks.iter().filter_map(|block| block.entry("proxy-protocol"));
    if let Some(first) = given.next() {
        for other in given.filter(|other| other.entry("from").map(networks) != first.entry("from").map(networks)) {
            disagree("proxy-protocol", first.span, other.span, out);
        }
    }
    blocks.iter().find_map(|block| from(block)).unwrap_or_default()
}

fn networks(entry: &Entry) -> Vec<Network> {
    let network = |value: &Value| match value {
        Value::Network(network) => Some(*network),
        _ => None,
    };
    entry.read_values().filter_map(network).collect()
}
