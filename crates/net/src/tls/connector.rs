//! Our side of TLS to servers: whom we believe, and who we say that we are.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};

use super::certificate::{Certificate, chain_of};
use super::verify::{Belief, Trusting};
use super::{TlsVersion, provider};
use crate::files::read_plain;

/// Where distributions keep the authorities that they believe, in one file.
const SYSTEM_ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Whom to believe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Whoever one of these signed, or is one of these.
    Roots(Vec<CertificateDer<'static>>),
    /// Anybody.
    Anybody,
}

impl Trust {
    /// The authorities that the system believes.
    ///
    /// # Errors
    /// In a sentence, where there are none.
    pub fn of_system() -> Result<Self, String> {
        let told = std::env::var_os("SSL_CERT_FILE");
        let mut places = told.iter().map(Path::new).chain(SYSTEM_ROOTS.iter().map(Path::new));
        let pem = places.find_map(|place| read_plain(place, usize::MAX).ok());
        let pem = pem.ok_or("this system has no list of authorities (Debian: package `ca-certificates`)")?;
        chain_of(&pem).map(Self::Roots).map_err(|error| error.to_string())
    }
}

/// What a [`Connector`] is made of.
#[derive(Debug, Clone)]
pub struct ConnectorOptions {
    /// Whom to believe.
    pub trust: Trust,
    /// The lowest version to speak.
    pub min: TlsVersion,
    /// Who we are, where servers ask for it.
    pub identity: Option<Arc<Certificate>>,
    /// The protocols to offer inside of TLS (ALPN), the preferred first.
    pub protocols: Vec<Vec<u8>>,
}

/// Our side of TLS to the servers of a pool. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    config: Arc<ClientConfig>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl Connector {
    /// Makes everything ready.
    ///
    /// # Errors
    /// In a sentence, where the trust or the identity cannot be used.
    pub fn new(options: ConnectorOptions) -> Result<Self, String> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(provider()))
            .with_protocol_versions(options.min.versions())
            .map_err(|error| error.to_string())?
            .dangerous();
        let belief = match options.trust {
            Trust::Roots(roots) => Belief::Proven(Trusting::new(&roots)?),
            Trust::Anybody => Belief::Any,
        };
        let builder = builder.with_custom_certificate_verifier(Arc::new(belief));
        let mut config = match options.identity {
            Some(identity) => builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(
                Arc::clone(identity.certified()),
            ))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = options.protocols;
        Ok(Self { config: Arc::new(config) })
    }

    /// Of what was made ready elsewhere.
    pub(super) fn of(config: ClientConfig) -> Self {
        Self { config: Arc::new(config) }
    }

    /// The name that a server has to prove: a host, or an address.
    ///
    /// # Errors
    /// Where it is neither.
    pub fn name_of(name: &str) -> Result<ServerName<'static>, String> {
        ServerName::try_from(name.to_owned()).map_err(|_| format!("`{name}` is no host and no address"))
    }

    pub(super) fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }
}
