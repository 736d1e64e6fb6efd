//! What is doubtful about certificates that can be used: dates, names, chains, files. For `check`, for reloads, for the log.
//!
//! The invariant: nothing here refuses a configuration; a certificate that expired last night is no reason not to start.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use evenkeel_config::{Code, Diagnostic, Loaded};
use evenkeel_model::config::{CertificateSource, Config, HostPattern, Listener, ListenerTls};
use evenkeel_model::is_ending;
use evenkeel_net::clock;
use evenkeel_net::tls::Certificate;

use super::Tls;

const DAY: u64 = 24 * 3600;

/// What is wrong with the TLS of a configuration, and what is doubtful about it.
pub fn problems(loaded: &Loaded) -> Vec<Diagnostic> {
    let Some(config) = &loaded.config else { return Vec::new() };
    match Tls::new(None).next(config, loaded) {
        Ok(tls) => doubts(config, &tls, loaded),
        Err(wrong) => wrong,
    }
}

/// What is doubtful.
pub(crate) fn doubts(config: &Config, tls: &Tls, loaded: &Loaded) -> Vec<Diagnostic> {
    let now = clock::unix_now().as_secs();
    let mut found = Vec::new();
    for (listener, settings) in config.listeners.iter().filter_map(|it| Some((it, it.tls.as_ref()?))) {
        let Some(door) = tls.listeners.get(&listener.name) else { continue };
        for (index, (source, certificate)) in door.certificates.iter().enumerate() {
            let mut doubt = |code: Code, text: String, help: &str| {
                let mut diagnostic = loaded.certificate_doubted(code, (&listener.name, index), &text);
                diagnostic.help(help);
                found.push(diagnostic);
            };
            let CertificateSource::Files { cert, key, .. } = source else { continue };
            if let Some(text) = age(certificate, now) {
                doubt(Code::W520, format!("`{}` {text}", cert.display()), "renew it, and `evenkeel reload`");
            }
            if let Some(text) = certificate.chain_flaw() {
                let help = "put the certificates in order, each followed by its issuer";
                doubt(Code::W522, format!("`{}`: {text}", cert.display()), help);
            } else if certificate.is_without_chain() {
                let issuer = &certificate.facts().issuer;
                let text = format!("`{}` comes without the certificate of its issuer, `{issuer}`", cert.display());
                doubt(
                    Code::W522,
                    text,
                    "use the file that holds the whole chain (`fullchain.pem`), unless the issuer is a root",
                );
            }
            if let Some(mode) = loose(key) {
                let text = format!("the private key `{}` can be read by others (mode {mode:04o})", key.display());
                doubt(Code::W523, text, &format!("run `chmod 0600 {}`", key.display()));
            }
        }
        uncovered(listener, settings, tls, loaded, &mut found);
    }
    found
}

/// What is to say about its dates.
fn age(certificate: &Certificate, now: u64) -> Option<String> {
    let facts = certificate.facts();
    if facts.not_after <= now {
        return Some(format!("expired {} ago", span(now - facts.not_after)));
    }
    if facts.not_before > now {
        return Some(format!("is not valid for another {}", span(facts.not_before - now)));
    }
    let left = facts.not_after - now;
    let life = facts.not_after.saturating_sub(facts.not_before);
    is_ending(i64::try_from(left).unwrap_or(i64::MAX), life).then(|| format!("expires in {}", span(left)))
}

fn span(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..3600 => (seconds.div_ceil(60), "minute"),
        3600..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / DAY, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// Hosts of the listener, of its sites or its routes, that no certificate of it is for.
fn uncovered(listener: &Listener, settings: &ListenerTls, tls: &Tls, loaded: &Loaded, found: &mut Vec<Diagnostic>) {
    let Some(acceptor) = tls.acceptors.get(&listener.name) else { return };
    let every = acceptor.certificates().certificates();
    // One that the program makes itself is for trying out, where names do not matter.
    if settings.certificates.iter().any(|source| matches!(source, CertificateSource::Own { .. })) {
        return;
    }
    let covers = |host: &HostPattern| match host {
        HostPattern::Exact(host) => every.iter().any(|it| it.facts().names.cover(host)),
        HostPattern::Below(suffix) => {
            let wildcard = format!("*{suffix}");
            every.iter().any(|it| it.facts().names.hosts.contains(&wildcard))
        }
    };
    let of_sites = listener.sites.iter().flat_map(|site| &site.hosts);
    let of_routes = listener.tcp.iter().flat_map(|tcp| &tcp.routes).flat_map(|route| &route.names);
    for host in of_sites.chain(of_routes).filter(|host| !covers(host)) {
        let host = match host {
            HostPattern::Exact(host) => host.clone(),
            HostPattern::Below(suffix) => format!("*{suffix}"),
        };
        let mut names: Vec<&str> = every.iter().flat_map(|it| &it.facts().names.hosts).map(String::as_str).collect();
        names.dedup();
        let text = format!("no certificate of {} is for `{host}`", listener.name);
        let mut diagnostic = loaded.certificate_doubted(Code::W521, (&listener.name, 0), &text);
        diagnostic.help(format!("they are for {}", quoted(&names)));
        found.push(diagnostic);
    }
}

fn quoted(names: &[&str]) -> String {
    /// More do not help.
    const SHOWN: usize = 8;
    let mut text = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(", …");
    }
    if text.is_empty() { "no host at all".to_owned() } else { text }
}

/// The mode of a key's file, where others than its owner and group can read it, or others than its owner write it.
fn loose(key: &Path) -> Option<u32> {
    let mode = std::fs::metadata(key).ok()?.permissions().mode() & 0o777;
    (mode & 0o026 != 0).then_some(mode)
}
