//! TLS: certificates, who presents which, handshakes on both sides, and streams that seal what goes through them.
//!
//! The cryptography is rustls' and its provider's; what stands here is what a balancer makes of it. Not here: files (who
//! reads them gives bytes) and what a verdict is. The invariant: a stream that came out of a handshake is verified as
//! its settings ask; there is no way to one that skips it.

mod acceptor;
mod certificate;
mod connector;
mod der;
mod facts;
mod handshake;
mod holders;
mod resolver;
mod secured;
mod tickets;
mod verify;

use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;

pub use acceptor::{Acceptor, AcceptorOptions, ClientAuthority, ClientRules};
pub use certificate::{Certificate, CertificateError, chain_of, is_key_of};
pub use connector::{Connector, ConnectorOptions, Trust};
pub use der::{CertificateFacts, Names};
pub use facts::{ClientCertificate, TlsFacts};
pub use handshake::{HandshakeError, Opening, accept, connect, connect_to};
pub use holders::between_holders;
pub use resolver::CertificateSet;
pub use rustls::pki_types::{CertificateDer, ServerName};
pub use tickets::TicketKeys;

pub(crate) use secured::Secured;

/// A version of TLS that may be the lowest in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2 and 1.3.
    Tls12,
    /// TLS 1.3 alone.
    Tls13,
}

impl TlsVersion {
    fn versions(self) -> &'static [&'static rustls::SupportedProtocolVersion] {
        static BOTH: [&rustls::SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];
        static NEWEST: [&rustls::SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
        match self {
            Self::Tls12 => &BOTH,
            Self::Tls13 => &NEWEST,
        }
    }
}

/// The cryptography, made once.
fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

#[cfg(test)]
mod tests;
