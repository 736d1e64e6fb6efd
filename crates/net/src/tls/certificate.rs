//! A certificate with its key, as a listener presents it: read from PEM, the key compared with it.
//!
//! The invariant: a [`Certificate`] can be used; its key fits it, and its chain begins with it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use super::der::CertificateFacts;
use super::provider;
use crate::clock;

/// How long a certificate of our own is valid: for more than 398 days browsers believe none, whoever signed it
/// (CA/Browser Forum, Baseline Requirements 6.3.2).
const OWN_LIFE: Duration = Duration::from_secs(397 * 24 * 3600);

/// Clients whose clocks are late believe it, too.
const OWN_BEFORE: Duration = Duration::from_secs(24 * 3600);

/// A certificate, its chain and its key.
#[derive(Debug, Clone)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    facts: CertificateFacts,
    mark: [u8; 32],
}

/// Why a certificate cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateError {
    /// The file of the certificate holds none.
    NoCertificate,
    /// The file of the key holds none that is not locked by a password.
    NoKey {
        /// Whether there is one behind a password.
        is_locked: bool,
    },
    /// The file is no PEM.
    NotPem(String),
    /// The certificate cannot be read.
    Malformed(String),
    /// The key is of a kind, or of a size, that is not known.
    UnknownKey(String),
    /// The key belongs to another certificate.
    Mismatch {
        /// The subject of the certificate.
        subject: String,
    },
    /// A certificate could not be made.
    NotMade(String),
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str("it holds no certificate (`-----BEGIN CERTIFICATE-----`)"),
            Self::NoKey { is_locked: true } => f.write_str("its private key is locked by a password"),
            Self::NoKey { is_locked: false } => f.write_str("it holds no private key (`-----BEGIN PRIVATE KEY-----`)"),
            Self::NotPem(cause) => write!(f, "it is not PEM: {cause}"),
            Self::Malformed(cause) => write!(f, "its certificate cannot be read: {cause}"),
            Self::UnknownKey(cause) => write!(f, "its private key cannot be used: {cause}"),
            Self::Mismatch { subject } => write!(f, "its private key is not that of the certificate of `{subject}`"),
            Self::NotMade(cause) => write!(f, "a certificate could not be made: {cause}"),
        }
    }
}

impl std::error::Error for CertificateError {}

/// The certificates of a PEM text, in their order.
///
/// # Errors
/// Where there is none, or the text is no PEM.
pub fn chain_of(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|error| CertificateError::NotPem(error.to_string()))?;
    if chain.is_empty() { Err(CertificateError::NoCertificate) } else { Ok(chain) }
}

/// Whether a PEM text holds a private key.
pub fn is_key_of(pem: &[u8]) -> bool {
    PrivateKeyDer::from_pem_slice(pem).is_ok()
}

impl Certificate {
    /// Reads a certificate with its chain, and its key; both may be the same text. A staple is an OCSP answer in DER, to be
    /// shown to clients.
    ///
    /// # Errors
    /// Where they cannot be used.
    pub fn read(chain: &[u8], key: &[u8], staple: Option<Vec<u8>>) -> Result<Self, CertificateError> {
        let chain = chain_of(chain)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
            let is_locked = key.windows(9).any(|part| part == b"ENCRYPTED");
            CertificateError::NoKey { is_locked }
        })?;
        Self::new(chain, key, staple)
    }

    /// A certificate that this process made for itself, for these hosts, valid for 397 days from now on.
    ///
    /// # Errors
    /// Where a host is none.
    pub fn self_signed(hosts: &[String]) -> Result<Self, CertificateError> {
        let (chain, key) = Self::self_signed_pem(hosts, clock::unix_now())?;
        Self::read(chain.as_bytes(), key.as_bytes(), None)
    }

    /// The same from another time on, given since 1970, as it is kept: the certificate and its key, both in PEM.
    ///
    /// # Errors
    /// Where a host is none.
    pub fn self_signed_pem(hosts: &[String], from: Duration) -> Result<(String, String), CertificateError> {
        self_signed(hosts, from)
    }

    /// What an authority is shown that looks whether a host is ours (RFC 8737 section 3), with the digest that it wants to see.
    ///
    /// # Errors
    /// Where the host is none, or the digest is no SHA-256.
    pub fn for_challenge(host: &str, digest: &[u8]) -> Result<Self, CertificateError> {
        let fail = |error: rcgen::Error| CertificateError::NotMade(error.to_string());
        let digest: &[u8; 32] =
            digest.try_into().map_err(|_| CertificateError::NotMade("a digest has 32 bytes".to_owned()))?;
        let mut params = rcgen::CertificateParams::new(vec![host.to_owned()]).map_err(fail)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.custom_extensions = vec![rcgen::CustomExtension::new_acme_identifier(digest)];
        let key = rcgen::KeyPair::generate().map_err(fail)?;
        let certificate = params.self_signed(&key).map_err(fail)?;
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        // What rustls compares keys with refuses the extension, which no client is to understand.
        Self::assemble(vec![certificate.der().clone()], key, None)
    }

    /// A key of its own, in PEM, and what asks an authority to sign for these hosts with it, in DER (RFC 2986).
    ///
    /// # Errors
    /// Where a host is none.
    pub fn request(hosts: &[String]) -> Result<(String, Vec<u8>), CertificateError> {
        let fail = |error: rcgen::Error| CertificateError::NotMade(error.to_string());
        let mut params = rcgen::CertificateParams::new(hosts.to_vec()).map_err(fail)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        let key = rcgen::KeyPair::generate().map_err(fail)?;
        let request = params.serialize_request(&key).map_err(fail)?;
        Ok((key.serialize_pem(), request.der().to_vec()))
    }

    /// A certificate of its parts, the chain's first being the one that the key is for.
    ///
    /// # Errors
    /// Where they cannot be used.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        staple: Option<Vec<u8>>,
    ) -> Result<Self, CertificateError> {
        let made = Self::assemble(chain, key, staple)?;
        match made.key.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(made),
            Err(Error::InconsistentKeys(_)) => Err(CertificateError::Mismatch { subject: made.facts.subject }),
            Err(error) => Err(CertificateError::Malformed(error.to_string())),
        }
    }

    /// The same, where the key is known to fit.
    fn assemble(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        staple: Option<Vec<u8>>,
    ) -> Result<Self, CertificateError> {
        let first = chain.first().ok_or(CertificateError::NoCertificate)?;
        let facts = CertificateFacts::read(first)
            .ok_or_else(|| CertificateError::Malformed("it does not follow X.509".to_owned()))?;
        let mut hasher = blake3::Hasher::new();
        chain.iter().for_each(|part| {
            hasher.update(part);
        });
        hasher.update(staple.as_deref().unwrap_or_default());
        let mark = *hasher.finalize().as_bytes();
        let key = provider()
            .key_provider
            .load_private_key(key)
            .map_err(|error| CertificateError::UnknownKey(error.to_string()))?;
        let mut certified = CertifiedKey::new(chain, key);
        certified.ocsp = staple;
        Ok(Self { key: Arc::new(certified), facts, mark })
    }

    /// What it says of itself.
    pub fn facts(&self) -> &CertificateFacts {
        &self.facts
    }

    /// The whole chain, its own certificate first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.key.cert
    }

    /// What tells it from any other, the chain and the staple included.
    pub fn mark(&self) -> &[u8; 32] {
        &self.mark
    }

    /// What is wrong with the chain behind it: in words, or nothing. That the root is missing is as it should be.
    pub fn chain_flaw(&self) -> Option<String> {
        let facts: Vec<CertificateFacts> = self.chain().iter().filter_map(|der| CertificateFacts::read(der)).collect();
        for pair in facts.windows(2) {
            let [lower, upper] = pair else { continue };
            if lower.is_self_issued() {
                return Some(format!("`{}` follows `{}`, which is a root", upper.subject, lower.subject));
            }
            if !lower.is_issued_by(upper) {
                let (issuer, next) = (&lower.issuer, &upper.subject);
                return Some(format!("`{}` was issued by `{issuer}`, and what follows it is `{next}`", lower.subject));
            }
        }
        None
    }

    /// What its authority calls it when it is asked when to renew (RFC 9773 section 4.1); `None` where it does not say who signed it.
    pub fn renewal_id(&self) -> Option<String> {
        let authority = Base64UrlUnpadded::encode_string(self.facts.authority_key.as_deref()?);
        Some(format!("{authority}.{}", Base64UrlUnpadded::encode_string(&self.facts.serial_der)))
    }

    /// Whether only the certificate itself is there, and its issuer is somebody else.
    pub fn is_without_chain(&self) -> bool {
        self.chain().len() == 1 && !self.facts.is_self_issued()
    }

    pub(super) fn certified(&self) -> &Arc<CertifiedKey> {
        &self.key
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.mark == other.mark
    }
}

impl Eq for Certificate {}

/// Makes a certificate and its key, both in PEM.
fn self_signed(hosts: &[String], from: Duration) -> Result<(String, String), CertificateError> {
    let fail = |error: rcgen::Error| CertificateError::NotMade(error.to_string());
    let mut params = rcgen::CertificateParams::new(hosts.to_vec()).map_err(fail)?;
    let name = hosts.first().map_or("evenkeel", String::as_str);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.distinguished_name.push(rcgen::DnType::OrganizationName, "evenkeel, self-signed");
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + from.saturating_sub(OWN_BEFORE);
    params.not_after = epoch + from + OWN_LIFE;
    let key = rcgen::KeyPair::generate().map_err(fail)?;
    let certificate = params.self_signed(&key).map_err(fail)?;
    Ok((certificate.pem(), key.serialize_pem()))
}
