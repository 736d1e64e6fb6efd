//! What is said about TLS: towards clients at a listener, towards servers in a pool.

use std::path::PathBuf;

use evenkeel_model::config::{CertificateSource, ClientCertificates, HostPattern, ListenerTls, PoolTls, TlsMin};

use super::listener::{Group, Shared};
use super::{Building, acme};
use crate::entry::Entry;
use crate::table::Context;
use crate::value::Value;
use crate::{Code, Diagnostics, Span};

/// What a certificate of our own is for, where its block is for every host.
const OWN_HOST: &str = "localhost";

fn is_https(block: &Entry) -> bool {
    block.directive.name == "https"
}

/// An address speaks TLS or it does not.
pub(super) fn complain_of_mixture(group: &Group<'_>, block: &Entry, out: &mut Diagnostics) {
    let other = group.blocks.iter().find(|other| is_https(other) != is_https(block));
    if let Some(other) = other {
        let (one, two) = (other.directive.name, block.directive.name);
        out.report(Code::E430, block.span, format!("`{two}` and `{one}` at one address, `{}`", group.name))
            .also(group.span, "first given here")
            .help("TLS is the address's own: give one of them another port, as 80 and 443 are");
    }
}

/// TLS of an address, by what its blocks say.
pub(super) fn of_listener(building: &mut Building<'_>, group: &Group<'_>) -> Option<ListenerTls> {
    if !group.blocks.iter().any(|block| is_https(block)) {
        group.blocks.iter().for_each(|block| complain_of_words(block, building.out));
        return None;
    }
    group.blocks.iter().for_each(|block| complain_of_protocols(block, building.out));
    Some(of_blocks(building, group))
}

/// TLS of a `tcp` block: where it has a certificate, TLS ends here.
pub(super) fn of_passages(building: &mut Building<'_>, group: &Group<'_>, block: &Entry) -> Option<ListenerTls> {
    if block.entry("cert").is_some() {
        return Some(ListenerTls { alpn: protocols(block, building.out), ..of_blocks(building, group) });
    }
    if let Some(entry) = block.entries.iter().find(|entry| entry.directive.opens == Some(Context::ClientTls)) {
        building
            .out
            .report(Code::E431, entry.span, "`tls` is about TLS with clients, and this `tcp` block passes it on as it is")
            .help("to end TLS here name a certificate, `cert FILE key=FILE`; TLS to servers is said by `tls` in their `pool`");
    }
    None
}

fn of_blocks(building: &mut Building<'_>, group: &Group<'_>) -> ListenerTls {
    let (mut certificates, mut spans): (Vec<CertificateSource>, Vec<Span>) = (Vec::new(), Vec::new());
    let mut ordered = Vec::new();
    for block in &group.blocks {
        for entry in block.all("cert") {
            let Some(source) = source(block, entry, building.out) else { continue };
            if !certificates.contains(&source) {
                certificates.push(source);
                spans.push(entry.values.first().map_or(entry.span, |argument| argument.word.span));
            }
        }
        let Some(wanted) = acme::of_block(building, group.addr, block) else { continue };
        certificates.push(CertificateSource::StandIn { hosts: wanted.hosts.clone() });
        spans.push(block.entry("acme").map_or(block.span, |entry| entry.span));
        ordered.push(wanted);
    }
    let has_order = group.blocks.iter().any(|block| block.entry("acme").is_some());
    if certificates.is_empty() && !has_order && group.blocks.iter().all(|block| block.is_sound()) {
        building
            .out
            .report(Code::E432, group.span, format!("`https {}` has no certificate", group.name))
            .help("name its files, `cert FILE key=FILE`, have one made, `acme MAIL`, or write `cert self` to try out");
    }
    building.places.certificates.insert(group.name.clone(), spans);
    let shared = Shared { top: None, blocks: &group.blocks, word: "tls" };
    let min = min(shared.value("min", building.out).as_ref());
    let clients = clients(building, group, &shared);
    ListenerTls { certificates, acme: ordered, min, clients, alpn: Vec::new() }
}

/// What a `tcp` block offers inside of TLS.
fn protocols(block: &Entry, out: &mut Diagnostics) -> Vec<String> {
    let mut protocols: Vec<String> = Vec::new();
    let Some(entry) = block.entry("tls").and_then(|tls| tls.entry("alpn")) else { return protocols };
    for argument in &entry.values {
        let Some(Value::Text(name)) = &argument.value else { continue };
        if protocols.contains(name) {
            out.report(Code::E411, argument.word.span, format!("`{name}` is offered twice"))
                .help("the first place counts: take this one out");
            continue;
        }
        protocols.push(name.clone());
    }
    protocols
}

/// What an `https` block offers follows from what it speaks.
fn complain_of_protocols(block: &Entry, out: &mut Diagnostics) {
    if let Some(entry) = block.entry("tls").and_then(|tls| tls.entry("alpn")) {
        out.report(
            Code::E411,
            entry.span,
            "`alpn` in an `https` block, which offers what it speaks: `h2` and `http/1.1`",
        )
        .help("take it out; to pass another protocol on, write a `tcp` block with this `cert`");
    }
}

fn complain_of_words(block: &Entry, out: &mut Diagnostics) {
    let is_ours =
        |entry: &&Entry| matches!(entry.directive.opens, Some(Context::Cert | Context::Acme | Context::ClientTls));
    for entry in block.entries.iter().filter(is_ours) {
        let name = entry.directive.name;
        out.report(Code::E431, entry.span, format!("`{name}` is about TLS, and an `http` block speaks none"))
            .help("write `https` instead of `http`, usually with port 443");
    }
}

fn source(block: &Entry, entry: &Entry, out: &mut Diagnostics) -> Option<CertificateSource> {
    match entry.value(0)? {
        Value::OwnCertificate => {
            if let Some(inner) = entry.entries.first() {
                let word = inner.directive.name;
                out.report(Code::E411, inner.span, format!("`cert self` has nothing to say `{word}` about"))
                    .help("it is made without files: take one of them out");
            }
            let host = |value: &Value| match value {
                Value::HostPattern(HostPattern::Exact(host)) => Some(host.clone()),
                Value::HostPattern(HostPattern::Below(suffix)) => Some(format!("*{suffix}")),
                _ => None,
            };
            let names = block.all("route").filter_map(|route| route.entry("sni"));
            let named = block.read_values().chain(names.flat_map(Entry::read_values));
            let mut hosts: Vec<String> = Vec::new();
            for host in named.filter_map(host) {
                if !hosts.contains(&host) {
                    hosts.push(host);
                }
            }
            if hosts.is_empty() {
                hosts.push(OWN_HOST.to_owned());
            }
            Some(CertificateSource::Own { hosts })
        }
        Value::Path(cert) => Some(CertificateSource::Files {
            cert: cert.clone(),
            key: path(entry, "key").unwrap_or_else(|| cert.clone()),
            staple: path(entry, "staple"),
        }),
        _ => None,
    }
}

fn clients(building: &mut Building<'_>, group: &Group<'_>, shared: &Shared<'_>) -> Option<ClientCertificates> {
    let verify = shared.value("verify", building.out);
    let Some(Value::Path(ca)) = shared.value("client-ca", building.out) else {
        let word = group.blocks.iter().find_map(|block| block.entry("tls")?.entry("verify"));
        if let Some(word) = word {
            building
                .out
                .report(Code::E411, word.span, "`verify` without `client-ca`: there is nobody who could verify it")
                .help("name the authority that signs your clients' certificates: `tls client-ca=FILE`");
        }
        return None;
    };
    let word = group.blocks.iter().find_map(|block| block.entry("tls")?.entry("client-ca"));
    if let Some(word) = word {
        building.places.client_authorities.insert(group.name.clone(), word.span);
    }
    Some(ClientCertificates { ca, required: verify != Some(Value::Choice("optional")) })
}

fn min(value: Option<&Value>) -> TlsMin {
    match value {
        Some(Value::Choice("1.3")) => TlsMin::Tls13,
        _ => TlsMin::Tls12,
    }
}

pub(super) fn path(entry: &Entry, option: &str) -> Option<PathBuf> {
    match entry.option(option) {
        Some(Value::Path(path)) => Some(path.clone()),
        _ => None,
    }
}

/// The `tls` of a pool; in a block with servers of its own that word is about clients.
pub(super) fn of_pool_entry(entry: &Entry) -> Option<&Entry> {
    entry.entries.iter().find(|inner| inner.directive.opens == Some(Context::ServerTls))
}

/// TLS towards servers.
pub(super) fn of_pool(entry: &Entry, out: &mut Diagnostics) -> PoolTls {
    let mut tls = PoolTls { ca: path(entry, "ca"), min: min(entry.option("min")), ..PoolTls::new() };
    if let Some(Value::Text(name)) = entry.option("sni") {
        tls.name = Some(name.clone());
    }
    tls.identity = path(entry, "cert").map(|cert| {
        let key = path(entry, "key").unwrap_or_else(|| cert.clone());
        (cert, key)
    });
    if let Some(key) = entry.entry("key").filter(|_| entry.entry("cert").is_none()) {
        out.report(Code::E411, key.span, "`key` without `cert`: it is the key of nothing")
            .help("name the certificate, too: `tls cert=FILE key=FILE`");
    }
    if let Some(verify) = entry.entry("verify").filter(|it| it.value(0) == Some(&Value::Choice("off"))) {
        tls.verify = false;
        if let Some(ca) = entry.entry("ca") {
            out.report(Code::E411, ca.span, "`ca` beside `verify=off`, which asks for nobody's signature")
                .also(verify.span, "off")
                .help("take `verify=off` out: then the authority is used");
        } else {
            out.report(Code::W524, verify.span, "servers need not prove who they are")
                .help("name the authority that signed them, or their own certificate: `ca=FILE`");
        }
    }
    tls
}

/// Whether a `to` line speaks TLS. All of its servers do, or none.
pub(super) fn is_secure(to: &Entry, out: &mut Diagnostics) -> bool {
    let is_secure = |value: &Value| matches!(value, Value::SecureServer(_));
    let mut read = to.values.iter().filter_map(|argument| Some((argument, argument.value.as_ref()?)));
    let Some((first, value)) = read.next() else { return false };
    if let Some((other, _)) = read.find(|(_, other)| is_secure(other) != is_secure(value)) {
        out.report(Code::E433, other.word.span, "servers with and without TLS in one line")
            .also(first.word.span, "the first one")
            .help("write `https://` before all of them, or make two pools");
    }
    is_secure(value)
}
