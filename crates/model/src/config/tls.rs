//! TLS towards clients and towards servers.

use std::path::PathBuf;

use super::SecretRef;

/// TLS towards the clients of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// The certificates in written order; never empty. The first is for clients that ask for no host, or for one that none
    /// covers.
    pub certificates: Vec<CertificateSource>,
    /// What authorities are asked for, one certificate for each block that says `acme`. For each there is a
    /// [`CertificateSource::StandIn`] among the certificates.
    pub acme: Vec<Acme>,
    /// The lowest version.
    pub min: TlsMin,
    /// The certificates that clients show. `None`: they are not asked for one.
    pub clients: Option<ClientCertificates>,
    /// The protocols that are offered inside of it (ALPN), the preferred first, at a `tcp` listener; none: nothing is agreed
    /// on. What is spoken at other listeners follows from them.
    pub alpn: Vec<String>,
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
    /// Made by the program itself, and shown until an authority has given the one that `acme` asks for.
    StandIn {
        /// The hosts that it is for.
        hosts: Vec<String>,
    },
}

/// A certificate that an authority is asked for (ACME, RFC 8555).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acme {
    /// The hosts that it is for, in lower case; never empty. `*.example.com` is a wildcard.
    pub hosts: Vec<String>,
    /// Whom the authority may write to.
    pub mail: String,
    /// The URL of the authority's directory.
    pub directory: String,
    /// Who signed what the authority itself shows, in PEM. `None`: somebody whom the system believes.
    pub ca: Option<PathBuf>,
    /// How the authority is shown that the hosts are ours.
    pub challenge: AcmeChallenge,
    /// The account with the authority that ours is bound to, where it wants one.
    pub binding: Option<AccountBinding>,
}

/// An account that somebody has with an authority already (external account binding, RFC 8555 section 7.3.4).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountBinding {
    /// What the authority calls its key.
    pub id: String,
    /// The key, in base64url.
    pub key: SecretRef,
}

/// How an authority is shown that a host is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum AcmeChallenge {
    /// It asks for a text over HTTP on port 80 (RFC 8555 section 8.3).
    #[default]
    Http,
    /// It begins TLS on port 443 and looks at the certificate (RFC 8737).
    Alpn,
    /// It asks for a record of DNS, which a zone here answers (RFC 8555 section 8.4).
    Dns,
}

impl AcmeChallenge {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Alpn => "alpn",
            Self::Dns => "dns",
        }
    }
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
