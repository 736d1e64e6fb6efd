//! What is known of a connection's TLS once the handshake is over: for fields, logs and conditions.

use rustls::pki_types::CertificateDer;
use rustls::{CipherSuite, CommonState, HandshakeKind, ProtocolVersion};

use sha2::{Digest, Sha256};

use super::acceptor::ClientRules;
use super::der::CertificateFacts;

/// What is known of a connection's TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLSv1.3` or `TLSv1.2`.
    pub protocol: &'static str,
    /// The suite, as OpenSSL calls it.
    pub cipher: &'static str,
    /// The host that the client asked for (SNI).
    pub server_name: Option<String>,
    /// Whether a session was resumed by a ticket.
    pub is_resumed: bool,
    /// The protocol inside that both chose (ALPN), such as `http/1.1`.
    pub application: Option<String>,
    /// The client's certificate, which was verified.
    pub client: Option<Box<ClientCertificate>>,
    /// What was asked of the client. `None` where we are the client.
    pub rules: Option<ClientRules>,
}

/// A client's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The subject, as RFC 4514 writes it.
    pub subject: String,
    /// The subject's common name.
    pub common_name: Option<String>,
    /// The issuer, written alike.
    pub issuer: String,
    /// The serial number in hexadecimal digits.
    pub serial: String,
    /// The SHA-256 digest of the whole certificate, in hexadecimal digits.
    pub fingerprint: String,
}

impl TlsFacts {
    pub(super) fn of(state: &CommonState, server_name: Option<&str>, client: Option<&CertificateDer<'_>>) -> Self {
        Self {
            protocol: match state.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
                _ => "TLSv1.3",
            },
            cipher: state.negotiated_cipher_suite().map_or("", |suite| cipher_name(suite.suite())),
            server_name: server_name.map(str::to_ascii_lowercase),
            application: state.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
            rules: None,
            is_resumed: state.handshake_kind() == Some(HandshakeKind::Resumed),
            client: client.and_then(|der| {
                let facts = CertificateFacts::read(der)?;
                let common_name = facts.common_name();
                let CertificateFacts { subject, issuer, serial, .. } = facts;
                Some(Box::new(ClientCertificate {
                    common_name,
                    subject,
                    issuer,
                    serial,
                    fingerprint: fingerprint(der),
                }))
            }),
        }
    }
}

/// The name by which administrators know a suite.
fn cipher_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-ECDSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-RSA-CHACHA20-POLY1305",
        _ => "unknown",
    }
}

/// The digest by which certificates are told apart everywhere.
pub(super) fn fingerprint(der: &[u8]) -> String {
    Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect()
}
