//! How far a server is believed to be the one that was meant.
//!
//! The invariant: whatever is believed of a certificate, the server has to prove that it holds its key.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::der::CertificateFacts;
use super::provider;

/// Believes a chain up to one of the roots, and a certificate that is itself among them: one that a server signed for
/// itself is no authority's, and its file is what administrators have at hand.
#[derive(Debug)]
pub(super) struct Trusting {
    chain: Option<Arc<WebPkiServerVerifier>>,
    pinned: Vec<CertificateDer<'static>>,
}

/// What is believed of a server's certificate.
#[derive(Debug)]
pub(super) enum Belief {
    /// What these roots say.
    Proven(Trusting),
    /// Anything: the way is closed to eyes, and not to somebody in the middle.
    Any,
}

impl Trusting {
    /// Of the certificates of a `ca` file, or those of the system.
    ///
    /// # Errors
    /// In a sentence, where none of them can be used.
    pub(super) fn new(roots: &[CertificateDer<'static>]) -> Result<Self, String> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.iter().cloned());
        let chain = match store.is_empty() {
            true => None,
            false => Some(
                WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider()))
                    .build()
                    .map_err(|error| error.to_string())?,
            ),
        };
        if chain.is_none() && roots.is_empty() {
            return Err("there is no certificate of an authority to believe".to_owned());
        }
        Ok(Self { chain, pinned: roots.to_vec() })
    }

    fn pinned(&self, found: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<(), Error> {
        if !self.pinned.iter().any(|pin| pin.as_ref() == found.as_ref()) {
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        }
        let facts = CertificateFacts::read(found).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let wrong = match (now.as_secs() < facts.not_before, now.as_secs() > facts.not_after) {
            (true, _) => Some(CertificateError::NotValidYet),
            (_, true) => Some(CertificateError::Expired),
            _ if !facts.names.cover(&name.to_str()) => Some(CertificateError::NotValidForNameContext {
                expected: name.to_owned(),
                presented: facts.names.hosts,
            }),
            _ => None,
        };
        wrong.map_or(Ok(()), |wrong| Err(Error::InvalidCertificate(wrong)))
    }

    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let by_chain = match &self.chain {
            Some(chain) => chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            None => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        };
        match by_chain {
            Ok(verified) => Ok(verified),
            // What the chain says is the better answer where the certificate is none of ours.
            Err(error) => match self.pinned(end_entity, server_name, now) {
                Ok(()) => Ok(ServerCertVerified::assertion()),
                Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => Err(error),
                Err(closer) => Err(closer),
            },
        }
    }
}

impl ServerCertVerifier for Belief {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self {
            Self::Proven(trusting) => trusting.verify(end_entity, intermediates, server_name, ocsp_response, now),
            Self::Any => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
