//! `dns` blocks: addresses, zones, and names whose addresses are chosen by health.
//!
//! What a zone file holds is not looked at here. The invariant: a zone has either a file or name servers, and a choice
//! of addresses has whom it chooses from.

use std::time::Duration;

use evenkeel_model::config::{
    BalancedName, Dns, DnsAnswer, DnsCookies, DnsFallback, DnsListener, DnsLog, DnsMode, DnsRate, DnsSpread, DnsTcp,
    DnsZone, ListenAddr, LogTarget, MadeZone, NameServer, Notify, SecretRef, Transfer, ZoneSource,
};
use evenkeel_model::{ListenerName, PoolName, caps, defaults};

use super::Building;
use crate::entry::Entry;
use crate::value::Value;
use crate::{Code, Diagnostics, Span};

/// Words of a zone that is made, which say nothing about one from a file.
const MADE: [&str; 15] = [
    "answer",
    "pool",
    "peers",
    "address",
    "ttl",
    "ttl-min",
    "most",
    "min",
    "min-percent",
    "fallback",
    "spread",
    "ns",
    "ns-ttl",
    "negative-ttl",
    "wildcard",
];

/// Every `dns` block.
pub(super) fn build(building: &mut Building<'_>) {
    let blocks: Vec<&Entry> = building.all("dns").collect();
    for block in &blocks {
        let dns = one(building, block);
        building.config.dns.push(dns);
    }
    overlaps(building, &blocks);
    complain_of_rates(building, &blocks);
}

/// Each thread keeps counts for each rate that differs.
fn complain_of_rates(building: &mut Building<'_>, blocks: &[&Entry]) {
    let mut seen: Vec<DnsRate> = Vec::new();
    for (dns, block) in building.config.dns.iter().zip(blocks) {
        let Some(rate) = dns.rate.filter(|rate| !seen.contains(rate)) else { continue };
        if seen.len() >= caps::DNS_RATE_RULES {
            let span = block.entry("rate").map_or(block.span, |entry| entry.span);
            let message = format!("`dns` blocks with more than {} different rates", caps::DNS_RATE_RULES);
            building.out.report(Code::E411, span, message).help("give some of the blocks the same `rate`");
            return;
        }
        seen.push(rate);
    }
}

fn one(building: &mut Building<'_>, block: &Entry) -> Dns {
    let mut listeners = Vec::new();
    for argument in &block.values {
        let Some(Value::Listen(addr)) = argument.value else { continue };
        let name = ListenerName::of_address(&argument.word.text);
        building.places.listeners.entry(name.clone()).or_insert(argument.word.span);
        listeners.push(DnsListener { name, addr });
    }
    let zones: Vec<DnsZone> = block.all("zone").filter_map(|entry| zone(building, entry)).collect();
    if zones.is_empty() && block.is_sound() {
        building
            .out
            .report(Code::E426, block.span, "this `dns` block answers nothing")
            .help("add a zone: `zone api.example.com answer=self { ns lb1.example.com=198.51.100.10 }`");
    }
    Dns {
        listeners,
        zones,
        id: text(block.option("id")),
        version: text(block.option("version")),
        rate: rate(block.entry("rate")),
        cookies: cookies(block.entry("cookies"), building.out),
        tcp: tcp(block.entry("tcp")),
        log: block.entry("log").and_then(log),
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    match value {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    }
}

fn rate(entry: Option<&Entry>) -> Option<DnsRate> {
    let Some(entry) = entry else { return Some(DnsRate::default()) };
    let mut rate = DnsRate::default();
    match entry.value(0) {
        Some(Value::Off) => return None,
        Some(Value::Integer(number)) => rate.rate = u32::try_from(*number).unwrap_or(rate.rate),
        _ => {}
    }
    rate.burst = number(entry, "burst").unwrap_or(rate.burst.max(rate.rate));
    rate.slip = number(entry, "slip").unwrap_or(rate.slip);
    Some(rate)
}

fn cookies(entry: Option<&Entry>, out: &mut Diagnostics) -> DnsCookies {
    let Some(entry) = entry else { return DnsCookies::Own };
    let is_off = matches!(entry.value(0), Some(Value::Choice("off")));
    match entry.option("key") {
        Some(Value::Secret(_)) if is_off => {
            out.report(Code::E411, entry.span, "`cookies off` has no use for a key").help("take `key=` out");
            DnsCookies::Off
        }
        Some(Value::Secret(secret)) => DnsCookies::Shared(secret.clone()),
        _ if is_off => DnsCookies::Off,
        _ => DnsCookies::Own,
    }
}

fn tcp(entry: Option<&Entry>) -> DnsTcp {
    let mut tcp = DnsTcp::default();
    let Some(entry) = entry else { return tcp };
    tcp.idle = duration(entry, "idle").unwrap_or(tcp.idle);
    tcp.per_client = number(entry, "per-client").unwrap_or(tcp.per_client);
    tcp.conns = number(entry, "conns").unwrap_or(tcp.conns);
    tcp
}

fn log(entry: &Entry) -> Option<DnsLog> {
    let Some(Value::LogTarget(to)) = entry.value(0) else { return None };
    let keep_percent = match entry.option("keep") {
        Some(Value::Percent(percent)) => u8::try_from(*percent).unwrap_or(100),
        _ => 100,
    };
    Some(DnsLog { to: LogTarget::clone(to), keep_percent })
}

fn zone(building: &mut Building<'_>, entry: &Entry) -> Option<DnsZone> {
    let name = match entry.value(0) {
        Some(Value::Text(name)) => absolute(name, "."),
        _ => return None,
    };
    if let Some(argument) = entry.values.first() {
        building.places.zones.insert(name.clone(), argument.word.span);
    }
    let source = match entry.option("file") {
        Some(Value::Path(path)) => {
            complain_of_made(entry, building.out);
            ZoneSource::File(path.clone())
        }
        _ => ZoneSource::Made(made(building, entry, &name)),
    };
    let mut names = Vec::new();
    for line in entry.all("name") {
        let Some(Value::Text(written)) = line.value(0) else { continue };
        if matches!(source, ZoneSource::Made(_)) {
            building
                .out
                .report(Code::E411, line.span, "`name` is for the names of a zone file")
                .help("give the zone a `file=`, or make the name a zone of its own");
        }
        let answer = answer(building, line);
        names.push(BalancedName { name: absolute(written, &name), answer });
    }
    for line in entry.all("transfer") {
        let Some(key) = key(line) else { continue };
        let span = line.entry("key").map_or(line.span, |key| key.span);
        building.places.zone_keys.entry((name.clone(), key)).or_insert(span);
    }
    let transfer = entry.all("transfer").map(|line| transfer(line, building.out)).collect();
    Some(DnsZone { name, source, names, transfer, notify: entry.all("notify").flat_map(notify).collect() })
}

/// A name without its final dot, completed with `origin` where it has none.
fn absolute(written: &str, origin: &str) -> String {
    match written.strip_suffix('.') {
        Some("") => ".".to_owned(),
        Some(bare) => bare.to_owned(),
        None if origin == "." => written.to_owned(),
        None => format!("{written}.{origin}"),
    }
}

fn complain_of_made(entry: &Entry, out: &mut Diagnostics) {
    if let Some(other) = entry.entries.iter().find(|inner| MADE.contains(&inner.directive.name)) {
        let word = other.directive.name;
        out.report(Code::E411, other.span, format!("`{word}` says nothing about a zone from a file"))
            .help("the file's records are answered; for one name by health write `name NAME answer=… pool=…` below");
    }
}

fn made(building: &mut Building<'_>, entry: &Entry, name: &str) -> MadeZone {
    let lines: Vec<&Entry> = entry.all("ns").collect();
    let mut servers: Vec<NameServer> = Vec::new();
    for value in lines.iter().flat_map(|line| line.read_values()) {
        if let Value::NameServer(server) = value {
            servers.push(server.clone());
        }
    }
    if lines.is_empty() && entry.is_sound() {
        building.out.report(Code::E426, entry.span, format!("zone `{name}` has neither `file=` nor `ns`")).help(
            format!(
                "name the servers that the parent zone delegates to: `ns lb1.{name}=198.51.100.10`, or give a `file=`"
            ),
        );
    }
    for server in servers.iter().filter(|server| server.addrs.is_empty() && is_below(&server.name, name)) {
        let span = lines.first().map_or(entry.span, |line| line.span);
        building
            .out
            .report(
                Code::E426,
                span,
                format!("the name server `{}` lies in its own zone and has no address", server.name),
            )
            .help(format!("add it: `ns {}=198.51.100.10`", server.name));
    }
    let answer = answer(building, entry);
    MadeZone {
        servers,
        wildcard: entry.entry("wildcard").is_some(),
        ns_ttl: duration(entry, "ns-ttl").unwrap_or(defaults::DNS_NS_TTL),
        negative_ttl: duration(entry, "negative-ttl").unwrap_or(answer.ttl).min(answer.ttl),
        answer,
    }
}

fn is_below(name: &str, zone: &str) -> bool {
    name == zone || zone == "." || name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'))
}

fn answer(building: &mut Building<'_>, entry: &Entry) -> DnsAnswer {
    let mode = match entry.option("answer") {
        Some(Value::Choice("self+peers")) => DnsMode::OwnAndPeers,
        Some(Value::Choice("peers")) => DnsMode::Peers,
        Some(Value::Choice("pool")) => DnsMode::Pool,
        _ => DnsMode::OwnAddress,
    };
    let (pool, peers) = (pool(building, entry, "pool"), pool(building, entry, "peers"));
    let ttl = duration(entry, "ttl").unwrap_or(defaults::DNS_TTL);
    let answer = DnsAnswer {
        mode,
        own: entry.entry("address").into_iter().flat_map(Entry::read_values).filter_map(ip).collect(),
        pool,
        peers,
        ttl,
        ttl_min: duration(entry, "ttl-min").unwrap_or(defaults::DNS_TTL_MIN).min(ttl),
        most: number(entry, "most").and_then(|most| u8::try_from(most).ok()).unwrap_or(defaults::DNS_MOST),
        min: number(entry, "min").and_then(|min| u16::try_from(min).ok()).unwrap_or(1),
        min_percent: match entry.option("min-percent") {
            Some(Value::Percent(percent)) => u8::try_from(*percent).unwrap_or(0),
            _ => 0,
        },
        fallback: match entry.option("fallback") {
            Some(Value::Choice("last-good")) => DnsFallback::LastGood,
            _ => DnsFallback::All,
        },
        spread: match entry.option("spread") {
            Some(Value::Choice("hash")) => DnsSpread::Hash,
            _ => DnsSpread::Rotate,
        },
    };
    if entry.is_sound() {
        complain_of_answer(entry, &answer, building.out);
    }
    answer
}

/// Words of an answer that need others, or have no use for them.
fn complain_of_answer(entry: &Entry, answer: &DnsAnswer, out: &mut Diagnostics) {
    let place = |word: &str| entry.entry(word).map_or(entry.span, |inner| inner.span);
    match answer.mode {
        DnsMode::Pool if answer.pool.is_none() => {
            out.report(Code::E426, place("answer"), "`answer=pool` does not say which pool")
                .help("add it: `answer=pool pool=shop`");
        }
        DnsMode::OwnAndPeers | DnsMode::Peers if answer.peers.is_none() => {
            let word = answer.mode.as_str();
            out.report(Code::E426, place("answer"), format!("`answer={word}` does not say who the peers are"))
                .help("make a pool of the other nodes, with the check that tells whether they serve, and name it: `peers=nodes`");
        }
        DnsMode::Pool if answer.peers.is_some() || !answer.own.is_empty() => {
            let word = if answer.peers.is_some() { "peers" } else { "address" };
            out.report(Code::E411, place(word), format!("`answer=pool` has no use for `{word}`")).help("take it out");
        }
        _ => {}
    }
}

fn pool(building: &mut Building<'_>, entry: &Entry, option: &str) -> Option<PoolName> {
    let inner = entry.entry(option)?;
    let word = inner.values.first()?.word.clone();
    let name = PoolName::new(&word.text).ok()?;
    building.wanted.push((word, name.clone()));
    Some(name)
}

fn ip(value: &Value) -> Option<std::net::IpAddr> {
    if let Value::Ip(addr) = value { Some(*addr) } else { None }
}

fn duration(entry: &Entry, option: &str) -> Option<Duration> {
    match entry.option(option) {
        Some(Value::Duration(duration)) => Some(*duration),
        _ => None,
    }
}

fn number(entry: &Entry, option: &str) -> Option<u32> {
    match entry.option(option) {
        Some(Value::Integer(number)) => u32::try_from(*number).ok(),
        _ => None,
    }
}

fn key(entry: &Entry) -> Option<SecretRef> {
    match entry.option("key") {
        Some(Value::Secret(secret)) => Some(secret.clone()),
        _ => None,
    }
}

fn transfer(entry: &Entry, out: &mut Diagnostics) -> Transfer {
    let network = |value: &Value| if let Value::Network(network) = value { Some(*network) } else { None };
    let from: Vec<_> = entry.read_values().filter_map(network).collect();
    let key = key(entry);
    if from.is_empty() && key.is_none() && entry.is_sound() {
        out.report(Code::E426, entry.span, "`transfer` does not say who may")
            .help("give addresses (`transfer 192.0.2.53`), a key (`transfer key=cred:xfer`), or both");
    }
    Transfer { from, key }
}

fn notify(entry: &Entry) -> Vec<Notify> {
    let key = key(entry);
    let to = |value: &Value| if let Value::Socket(to) = value { Some(*to) } else { None };
    entry.read_values().filter_map(to).map(|to| Notify { to, key: key.clone() }).collect()
}

/// Reports addresses that are given twice, or that web traffic listens on too.
fn overlaps(building: &mut Building<'_>, blocks: &[&Entry]) {
    let mut seen: Vec<(ListenAddr, Span)> = Vec::new();
    for argument in blocks.iter().flat_map(|block| &block.values) {
        let Some(Value::Listen(addr)) = argument.value else { continue };
        let span = argument.word.span;
        if let Some((_, first)) = seen.iter().find(|(other, _)| meets(*other, addr)) {
            building
                .out
                .report(Code::E408, span, format!("`{}` is an address of `dns` already", argument.word.text))
                .also(*first, "first given here")
                .help("put the zones into one block");
        }
        let web = building.config.listeners.iter().find(|listener| meets(listener.addr, addr));
        if let Some(listener) = web {
            let first = building.places.listeners.get(&listener.name).copied();
            let report = building.out.report(
                Code::E408,
                span,
                format!("`{}` is an address of `http` already", argument.word.text),
            );
            if let Some(first) = first {
                report.also(first, "given here");
            }
            report.help("DNS is answered over TCP too: give it a port of its own, commonly 53");
        }
        seen.push((addr, span));
    }
}

fn meets(one: ListenAddr, other: ListenAddr) -> bool {
    let every = |addr: ListenAddr| match addr {
        ListenAddr::Every(_) => true,
        ListenAddr::One(addr) => addr.ip().is_unspecified(),
    };
    // Port 0 is another port each time.
    one.port() == other.port() && one.port() > 0 && (one == other || every(one) && every(other))
}
