//! `acme` in `https` blocks: what is ordered of whom, and whether it can be had.
//!
//! The invariant: an order that comes out of here names hosts that an authority can look up, and a way to show them.

use evenkeel_model::config::{AccountBinding, Acme, AcmeChallenge, Config, DnsZone, HostPattern, ListenAddr};
use evenkeel_model::{caps, defaults};

use super::Building;
use super::tls::path;
use crate::entry::Entry;
use crate::value::Value;
use crate::{Code, Diagnostics, Span};

/// The word for the authority's place for trying out.
const STAGING: &str = "staging";

/// An order, with where it stands.
pub(super) struct Ordered {
    acme: Acme,
    addr: ListenAddr,
    span: Span,
}

/// What a block has ordered.
pub(super) fn of_block(building: &mut Building<'_>, addr: ListenAddr, block: &Entry) -> Option<Acme> {
    let entry = block.entry("acme")?;
    let mail = mail(entry, building.out)?;
    let challenge = match entry.option("challenge") {
        Some(Value::Choice("alpn")) => AcmeChallenge::Alpn,
        Some(Value::Choice("dns")) => AcmeChallenge::Dns,
        _ => AcmeChallenge::Http,
    };
    let hosts = hosts(block, entry, challenge, building.out)?;
    let directory = directory(entry, building.out)?;
    let binding = binding(entry, building.out)?;
    let acme = Acme { hosts, mail, directory, ca: path(entry, "ca"), challenge, binding };
    building.ordered.push(Ordered { acme: acme.clone(), addr, span: entry.span });
    Some(acme)
}

/// What an order needs of the rest of the configuration.
pub(super) fn complain(ordered: &[Ordered], config: &Config, out: &mut Diagnostics) {
    let has_plain_80 = config
        .listeners
        .iter()
        .any(|listener| listener.tls.is_none() && listener.tcp.is_none() && listener.addr.port() == 80);
    for Ordered { acme, addr, span } in ordered {
        match acme.challenge {
            AcmeChallenge::Http if !has_plain_80 => {
                out.report(Code::W525, *span, "no `http` listener on port 80, where the authority will ask").help(
                    "add one: `http :80 {`, `redirect https`, `}`; or write `challenge=alpn`, which asks on port 443",
                );
            }
            AcmeChallenge::Alpn if addr.port() != 443 => {
                out.report(
                    Code::W525,
                    *span,
                    format!("the authority will ask on port 443, and this is port {}", addr.port()),
                )
                .help("let this listener have port 443, or have it forwarded here");
            }
            AcmeChallenge::Dns => complain_of_zones(acme, config, *span, out),
            AcmeChallenge::Http | AcmeChallenge::Alpn => {}
        }
    }
}

fn complain_of_zones(acme: &Acme, config: &Config, span: Span, out: &mut Diagnostics) {
    let zones: Vec<&DnsZone> = config.dns.iter().flat_map(|dns| &dns.zones).collect();
    let is_held = |host: &&String| {
        let name = host.strip_prefix("*.").unwrap_or(host);
        zones.iter().any(|zone| is_within(name, &zone.name))
    };
    for host in acme.hosts.iter().filter(|host| !is_held(host)) {
        out.report(Code::E435, span, format!("`challenge=dns`, and no zone here holds `{host}`"))
            .help("answer its zone in a `dns` block, or write `challenge=http` or `challenge=alpn`");
    }
}

fn is_within(name: &str, zone: &str) -> bool {
    zone == "." || name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn mail(entry: &Entry, out: &mut Diagnostics) -> Option<String> {
    let (Some(Value::Text(mail)), Some(place)) = (entry.value(0), entry.values.first()) else { return None };
    let is_letter = |letter: char| letter.is_ascii_graphic() && !matches!(letter, ',' | '?' | '<' | '>' | '"' | '%');
    let is_whole = mail.split_once('@').is_some_and(|(user, host)| {
        !user.is_empty() && host.contains('.') && !host.starts_with('.') && !host.ends_with('.') && !host.contains('@')
    });
    if !is_whole || !mail.chars().all(is_letter) {
        out.report(Code::E435, place.word.span, format!("`{mail}` is not a mail address"))
            .help("name where the authority may write to: `acme ops@example.com`");
        return None;
    }
    Some(mail.clone())
}

/// The hosts of the block, as a certificate names them.
fn hosts(block: &Entry, entry: &Entry, challenge: AcmeChallenge, out: &mut Diagnostics) -> Option<Vec<String>> {
    let mut hosts: Vec<String> = Vec::new();
    let mut is_sound = true;
    for argument in &block.values {
        let host = match &argument.value {
            Some(Value::HostPattern(HostPattern::Exact(host))) => host.clone(),
            Some(Value::HostPattern(HostPattern::Below(suffix))) => format!("*{suffix}"),
            _ => continue,
        };
        if let Some((what, help)) = unsigned(&host, challenge) {
            out.report(
                Code::E435,
                argument.word.span,
                format!("no authority gives a certificate for `{host}`: {what}"),
            )
            .also(entry.span, "ordered here")
            .help(help);
            is_sound = false;
        } else if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    if hosts.is_empty() && is_sound && block.is_sound() {
        out.report(Code::E435, entry.span, "`acme` in a block for every host")
            .help("name them behind the address: `https :443 shop.example.com {`");
        return None;
    }
    if hosts.len() > caps::ACME_HOSTS {
        let (count, most) = (hosts.len(), caps::ACME_HOSTS);
        out.report(
            Code::E435,
            entry.span,
            format!("{count} hosts in one certificate; authorities take at most {most}"),
        )
        .help("make several blocks of the same address, each with its own `acme`");
        return None;
    }
    (is_sound && !hosts.is_empty()).then_some(hosts)
}

/// Why no authority signs for a host, and what to do.
fn unsigned(host: &str, challenge: AcmeChallenge) -> Option<(&'static str, &'static str)> {
    if host.starts_with("*.") && challenge != AcmeChallenge::Dns {
        return Some((
            "a wildcard is shown to it in DNS alone",
            "write `challenge=dns`, with a `zone` here that holds it; or name the hosts",
        ));
    }
    let bare = host.trim_matches(['[', ']']);
    if bare.parse::<std::net::IpAddr>().is_ok() {
        return Some(("it is an address", "name a host, or use `cert FILE` for this block"));
    }
    None
}

/// The account that ours is bound to, or that there is none.
fn binding(entry: &Entry, out: &mut Diagnostics) -> Option<Option<AccountBinding>> {
    let (id, key) = match (entry.entry("eab"), entry.entry("key")) {
        (None, None) => return Some(None),
        (Some(id), Some(key)) => (id, key),
        (Some(half), None) => {
            out.report(Code::E435, half.span, "`eab` without the key that the authority gave with it")
                .help("say where it is: `eab=ID key=file:/etc/evenkeel/eab.key`");
            return None;
        }
        (None, Some(half)) => {
            out.report(Code::E435, half.span, "`key` without the ID that the authority gave with it")
                .help("name it: `eab=ID key=file:/etc/evenkeel/eab.key`; the certificate's own key is made here");
            return None;
        }
    };
    match (id.value(0), key.value(0)) {
        (Some(Value::Text(id)), Some(Value::Secret(key))) => {
            Some(Some(AccountBinding { id: id.clone(), key: key.clone() }))
        }
        _ => None,
    }
}

fn directory(entry: &Entry, out: &mut Diagnostics) -> Option<String> {
    let url = match entry.option("directory") {
        None => return Some(defaults::ACME_DIRECTORY.to_owned()),
        Some(Value::Text(word)) if word == STAGING => return Some(defaults::ACME_STAGING.to_owned()),
        Some(Value::Text(url)) => url,
        Some(_) => return None,
    };
    let host = url.strip_prefix("https://").map(|rest| rest.split('/').next().unwrap_or_default());
    if host.is_none_or(str::is_empty) || !url.chars().all(|letter| letter.is_ascii_graphic()) {
        let span = entry.entry("directory").map_or(entry.span, |it| it.span);
        out.report(Code::E321, span, format!("`{url}` is not the URL of a directory")).help(
            "authorities are spoken to over TLS: `directory=https://ca.example.com/directory`, or `directory=staging`",
        );
        return None;
    }
    Some(url.clone())
}
