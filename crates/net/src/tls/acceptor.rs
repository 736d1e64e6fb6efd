//! A listener's side of TLS: its certificates and what it asks of clients, made ready for handshakes.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

use super::resolver::{ACME_TLS, CertificateSet, Resolver};
use super::tickets::TicketKeys;
use super::{TlsVersion, provider};

/// What an [`Acceptor`] is made of.
#[derive(Debug, Clone)]
pub struct AcceptorOptions {
    /// The certificates that it presents. At least one.
    pub certificates: CertificateSet,
    /// The lowest version that it speaks.
    pub min: TlsVersion,
    /// Who has to have signed the certificates of clients, where they are asked for one.
    pub clients: Option<ClientAuthority>,
    /// The keys of its session tickets.
    pub tickets: TicketKeys,
    /// The protocols that it offers inside of TLS (ALPN), the preferred first.
    pub protocols: Vec<Vec<u8>>,
}

/// Who has to have signed the certificates of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAuthority {
    /// The authorities.
    pub roots: Vec<CertificateDer<'static>>,
    /// Whether a client without a certificate is turned away.
    pub is_required: bool,
}

/// A listener's side of TLS. Immutable; another one takes its place when a certificate changes.
#[derive(Clone)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
    certificates: CertificateSet,
    rules: ClientRules,
}

/// What is asked of clients, as a value to be compared: equal for the same authorities, asked for in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientRules([u8; 32]);

impl ClientRules {
    /// Whether a connection that was made by `other` rules has proved what these ask for: the same was asked of it, or these
    /// ask for nothing.
    pub fn are_met_by(self, other: Self) -> bool {
        self == other || self == rules(None)
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("certificates", &self.certificates.certificates().len()).finish()
    }
}

impl Acceptor {
    /// Makes everything ready.
    ///
    /// # Errors
    /// In a sentence, where no certificate of `clients` can be used as an authority.
    pub fn new(options: AcceptorOptions) -> Result<Self, String> {
        let AcceptorOptions { certificates, min, clients, tickets, mut protocols } = options;
        let builder = ServerConfig::builder_with_provider(Arc::clone(provider()))
            .with_protocol_versions(min.versions())
            .map_err(|error| error.to_string())?;
        let rules = rules(clients.as_ref());
        let builder = match &clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(authority.roots.iter().cloned());
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider()));
                let verifier = if authority.is_required { verifier } else { verifier.allow_unauthenticated() };
                builder.with_client_cert_verifier(verifier.build().map_err(|error| error.to_string())?)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(Resolver::new(&certificates)));
        if certificates.has_challenges() {
            protocols.push(ACME_TLS.to_vec());
        }
        config.alpn_protocols = protocols;
        // Ours are all sound; the order says which are cheapest.
        config.ignore_client_order = true;
        config.ticketer = tickets.maker(&rules.0);
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self { config: Arc::new(config), certificates, rules })
    }

    /// Of what was made ready elsewhere, and presents no certificate.
    pub(super) fn of(config: ServerConfig) -> Self {
        Self { config: Arc::new(config), certificates: CertificateSet::default(), rules: rules(None) }
    }

    /// What it asks of clients.
    pub fn rules(&self) -> ClientRules {
        self.rules
    }

    /// Whether a client that asked for `name` shall come again by the name of `host`: it was shown a certificate that does
    /// not stand for that host, and would be shown one that does.
    pub fn stands_apart(&self, name: &str, host: &str) -> bool {
        let stands_for_it = |name| self.certificates.choose(Some(name)).is_some_and(|it| it.facts().names.cover(host));
        name != host && !stands_for_it(name) && stands_for_it(host)
    }

    /// What it presents.
    pub fn certificates(&self) -> &CertificateSet {
        &self.certificates
    }

    pub(super) fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }
}

/// What tells listeners with the same rules for clients from others.
fn rules(clients: Option<&ClientAuthority>) -> ClientRules {
    let mut hasher = blake3::Hasher::new();
    if let Some(clients) = clients {
        hasher.update(&[1 + u8::from(clients.is_required)]);
        for root in &clients.roots {
            hasher.update(&(root.len() as u64).to_le_bytes());
            hasher.update(root);
        }
    }
    ClientRules(*hasher.finalize().as_bytes())
}
