//! Which certificate a client gets: the one for the very name that it asks for, else a wildcard's, else the first.
//!
//! The invariant: a set is whole and never changes; another choice is another set.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;

/// The protocol of ACME's challenge (RFC 8737).
pub(super) const ACME_TLS: &[u8] = b"acme-tls/1";

/// The certificates of a listener.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateSet {
    /// In the order in which they are preferred.
    certificates: Vec<Arc<Certificate>>,
    /// For clients that name no host, or one that none covers.
    default: Option<Arc<Certificate>>,
    /// What is presented to an authority that looks whether a name is ours, by name.
    challenges: Vec<(String, Arc<Certificate>)>,
}

impl CertificateSet {
    /// A set, the first being the one for everybody else.
    pub fn new(certificates: Vec<Arc<Certificate>>) -> Self {
        Self { default: certificates.first().map(Arc::clone), certificates, challenges: Vec::new() }
    }

    /// The same with another one for everybody else.
    #[must_use]
    pub fn with_default(mut self, certificate: Arc<Certificate>) -> Self {
        self.default = Some(certificate);
        self
    }

    /// Adds what is presented to an ACME authority that asks for a name (RFC 8737).
    #[must_use]
    pub fn with_challenges(mut self, challenges: Vec<(String, Arc<Certificate>)>) -> Self {
        self.challenges = challenges;
        self
    }

    /// The certificates.
    pub fn certificates(&self) -> &[Arc<Certificate>] {
        &self.certificates
    }

    /// Whether an authority may come to look.
    pub(super) fn has_challenges(&self) -> bool {
        !self.challenges.is_empty()
    }

    /// The certificate that a client gets that asks for this host.
    pub fn choose(&self, host: Option<&str>) -> Option<&Arc<Certificate>> {
        let exact =
            |it: &&Arc<Certificate>| host.is_some_and(|host| it.facts().names.hosts.iter().any(|name| name == host));
        let covers = |it: &&Arc<Certificate>| host.is_some_and(|host| it.facts().names.cover(host));
        let every = &self.certificates;
        every.iter().find(exact).or_else(|| every.iter().find(covers)).or(self.default.as_ref())
    }
}

/// A set, made ready to be asked at every handshake.
#[derive(Debug)]
pub(super) struct Resolver {
    exact: HashMap<String, Choice>,
    /// By what follows the `*.`.
    below: HashMap<String, Choice>,
    other: Choice,
    challenges: HashMap<String, Arc<CertifiedKey>>,
}

/// Certificates for one name, by their kinds of keys: the preferred first.
#[derive(Debug, Default)]
struct Choice(Vec<Arc<CertifiedKey>>);

impl Choice {
    /// The first that the client can verify; where there is none, the first, so that the client is told why.
    fn for_client(&self, hello: &ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        self.0.iter().find(fits).or_else(|| self.0.first()).map(Arc::clone)
    }
}

impl Resolver {
    pub(super) fn new(set: &CertificateSet) -> Self {
        let mut resolver =
            Self { exact: HashMap::new(), below: HashMap::new(), other: Choice::default(), challenges: HashMap::new() };
        for certificate in &set.certificates {
            for host in &certificate.facts().names.hosts {
                let (map, name) = match host.strip_prefix("*.") {
                    Some(suffix) => (&mut resolver.below, suffix),
                    None => (&mut resolver.exact, host.as_str()),
                };
                map.entry(name.to_owned()).or_default().0.push(Arc::clone(certificate.certified()));
            }
        }
        if let Some(default) = &set.default {
            // One for the same names with another kind of key serves clients that cannot use it.
            let is_twin = |other: &&Arc<Certificate>| {
                other.facts().names == default.facts().names && !Arc::ptr_eq(other, default)
            };
            let twins = set.certificates.iter().filter(is_twin);
            resolver.other.0.extend([default].into_iter().chain(twins).map(|it| Arc::clone(it.certified())));
        }
        for (name, certificate) in &set.challenges {
            resolver.challenges.insert(name.to_ascii_lowercase(), Arc::clone(certificate.certified()));
        }
        resolver
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        // An authority offers nothing but its own protocol.
        if !self.challenges.is_empty() && hello.alpn().is_some_and(|mut all| all.all(|one| one == ACME_TLS)) {
            return self.challenges.get(&name?).map(Arc::clone);
        }
        let found = name.as_deref().and_then(|name| {
            let below = name.split_once('.').map(|(_, rest)| rest);
            self.exact.get(name).or_else(|| self.below.get(below?))
        });
        found.unwrap_or(&self.other).for_client(&hello)
    }
}
