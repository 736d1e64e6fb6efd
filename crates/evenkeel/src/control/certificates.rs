//! Certificates, in the words of the API.

use evenkeel_admin::report::{AcmeReport, CertificateReport};
use evenkeel_node::{AcmeStatus, ShownCertificate};

pub(super) fn report(shown: &ShownCertificate) -> CertificateReport {
    CertificateReport {
        listener: shown.listener.to_string(),
        source: shown.source.clone(),
        names: shown.names.clone(),
        subject: shown.subject.clone(),
        issuer: shown.issuer.clone(),
        serial: shown.serial.clone(),
        not_before: shown.not_before,
        not_after: shown.not_after,
        left_s: shown.left,
    }
}

pub(super) fn ordered(status: &AcmeStatus) -> AcmeReport {
    AcmeReport {
        listener: status.listener.clone(),
        hosts: status.hosts.clone(),
        directory: status.directory.clone(),
        challenge: status.challenge.to_owned(),
        expires: status.expires,
        ordered_at: status.ordered_at,
        from: status.from.clone(),
        orderer: status.orderer.clone(),
        is_kept: status.is_kept,
        next_try: status.next_try,
        next_try_in_s: status.next_try_in,
        by_authority: status.by_authority,
        is_ordering: status.is_ordering,
        failures: status.failures,
        last_error: status.last_error.clone(),
    }
}
