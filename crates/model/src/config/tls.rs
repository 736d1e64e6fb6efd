//! TLS towards clients and towards servers.

use std::path::PathBuf;

/// TLS towards the clients of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// The certificates in written order; never empty. The first is for clients that ask for no host, or for one that none
    /// covers.
    pub certificates: Vec<CertificateSource>,
    /// The lowest version.
    pub min: TlsMin,
    /// The certificates that clients show. `None`: they are not asked for one.
    pub clients: Option<ClientCertificates>,
}

/// Where a certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CertificateSource {
    /// From files.
    Files {
        /// The certificate with its chain, in PEM.
        cert: PathBuf,
        /// Its key, in PEM; it may be the same file.
        key: PathBuf,
        /// An OCSP answer in DER, to be shown with it.
        staple: Option<PathBuf>,
    },
    /// Made by the program itself, for trying out: clients do not believe it.
    Own {
        /// The hosts that it is for.
        hosts: Vec<String>,
    },
}

/// The lowest version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsMin {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// The certificates that clients show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificates {
    /// Who has to have signed them, in PEM.
    pub ca: PathBuf,
    /// Whether a client without one is turned away.
    pub required: bool,
}

/// TLS towards the servers of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolTls {
    /// The name that is asked for (SNI) and that servers have to prove. `None`: each server's own host.
    pub name: Option<String>,
    /// Whether servers have to prove who they are.
    pub verify: bool,
    /// Who has to have signed their certificates, in PEM. `None`: whom the system believes.
    pub ca: Option<PathBuf>,
    /// The certificate that we show, and its key, in PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The lowest version.
    pub min: TlsMin,
}

impl PoolTls {
    /// With every default.
    pub fn new() -> Self {
        Self { verify: true, ..Self::default() }
    }
}
