//! Certificates, in the words of the API.

use evenkeel_admin::report::CertificateReport;
use evenkeel_node::ShownCertificate;

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
