//! Certificates on a terminal: those that end, and those that authorities are asked for.

use std::fmt::{self, Write};

use super::words::{age, count, plain};
use crate::report::{AcmeReport, CertificateReport, StatusReport};

/// What is wrong with them.
pub(super) fn concerns(report: &StatusReport) -> Vec<String> {
    let mut lines: Vec<String> = report.certificates.iter().filter(|it| it.is_ending()).map(ending).collect();
    for acme in &report.acme {
        let of = format!("{} of {}", plain(&acme.hosts.join(", ")), plain(&acme.listener));
        if let Some(error) = acme.last_error.as_deref().filter(|_| acme.failures > 0) {
            let orders = count(u64::from(acme.failures), "order");
            let next =
                if acme.is_ordering { "tried now".to_owned() } else { format!("next in {}", age(acme.next_try_in_s)) };
            lines.push(format!("{orders} of a certificate for {of} failed, {next}: {}", plain(error)));
        }
        if acme.expires.is_some() && !acme.is_kept {
            lines.push(format!("a restart forgets the certificate for {of}: the state directory cannot be written"));
        }
    }
    lines
}

/// A certificate that clients will turn away from, or already do.
fn ending(certificate: &CertificateReport) -> String {
    let when = match u64::try_from(certificate.left_s) {
        Ok(left) => format!("expires in {}", age(left)),
        Err(_) => format!("expired {} ago", age(certificate.left_s.unsigned_abs())),
    };
    format!("the certificate {} of {} {when}", plain(&certificate.source), plain(&certificate.listener))
}

/// How the orders stand, a line each.
pub(super) fn orders(to: &mut String, report: &StatusReport) -> fmt::Result {
    for acme in &report.acme {
        let (listener, hosts) = (plain(&acme.listener), plain(&acme.hosts.join(", ")));
        let from = acme.from.as_ref().map(|node| format!(" (from {})", plain(node))).unwrap_or_default();
        let by = acme.orderer.as_ref().map(|node| format!(", {} orders for this cluster", plain(node)));
        let (holding, next, by) = (holding(report, acme), next(acme), by.unwrap_or_default());
        writeln!(to, "  certificate  {hosts} of {listener}: {holding}{from}, {next}{by}")?;
    }
    Ok(())
}

fn holding(report: &StatusReport, acme: &AcmeReport) -> String {
    let Some(expires) = acme.expires else { return "none yet, clients get another one".to_owned() };
    let shown = report.certificates.iter().find(|it| it.listener == acme.listener && it.not_after == expires);
    match shown.map(|it| u64::try_from(it.left_s)) {
        Some(Ok(left)) => format!("holds for {}", age(left)),
        Some(Err(_)) => "expired".to_owned(),
        None => "not shown".to_owned(),
    }
}

fn next(acme: &AcmeReport) -> String {
    let next = age(acme.next_try_in_s);
    match (acme.is_ordering, acme.by_authority) {
        (true, _) => "ordered now".to_owned(),
        (false, true) => format!("next order in {next}, as the authority says"),
        (false, false) => format!("next order in {next}"),
    }
}
