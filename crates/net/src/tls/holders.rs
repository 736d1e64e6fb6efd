//! TLS between parties that hold the same secrets: no certificate, no name, no date. Who is there has proved that it
//! holds one of them.
//!
//! Each secret is the seed of an Ed25519 key pair (RFC 8032), whose public half stands in the handshake as it is
//! (RFC 7250). The invariant: a stream from here has a holder at its other end, and what was recorded of it is read by
//! nobody who gets a secret later.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::verify_tls13_signature_with_raw_key;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, ServerConfig,
    SignatureScheme,
};

use super::acceptor::Acceptor;
use super::connector::Connector;
use super::{TlsVersion, provider};

/// What stands before the seed in an Ed25519 key's PKCS#8 form (RFC 8410 section 7).
const PKCS8_HEAD: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Both sides of TLS 1.3 between holders of these secrets, who speak `protocol` (ALPN): the first secret is shown,
/// each is accepted.
///
/// # Errors
/// In a sentence, where there is no secret.
pub fn between_holders(secrets: &[[u8; 32]], protocol: &[u8]) -> Result<(Connector, Acceptor), String> {
    let pairs = secrets.iter().map(pair).collect::<Result<Vec<_>, _>>()?;
    let shown = Arc::new(pairs.first().ok_or("there is no secret to prove")?.clone());
    let holders = Arc::new(Holders(pairs.into_iter().flat_map(|pair| pair.cert).collect()));
    let versions = TlsVersion::Tls13.versions();
    let words = |error: Error| error.to_string();

    let mut caller = ClientConfig::builder_with_provider(Arc::clone(provider()))
        .with_protocol_versions(versions)
        .map_err(words)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&holders) as Arc<dyn ServerCertVerifier>)
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(Arc::clone(&shown))));
    caller.alpn_protocols = vec![protocol.to_vec()];
    caller.enable_sni = false;
    caller.resumption = Resumption::disabled();

    let mut called = ServerConfig::builder_with_provider(Arc::clone(provider()))
        .with_protocol_versions(versions)
        .map_err(words)?
        .with_client_cert_verifier(holders)
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(shown)));
    called.alpn_protocols = vec![protocol.to_vec()];
    called.session_storage = Arc::new(NoServerSessionStorage {});
    Ok((Connector::of(caller), Acceptor::of(called)))
}

fn pair(secret: &[u8; 32]) -> Result<CertifiedKey, String> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from([&PKCS8_HEAD[..], secret].concat()));
    let key = provider().key_provider.load_private_key(key).map_err(|error| error.to_string())?;
    let public = key.public_key().ok_or("the key has no public half")?;
    Ok(CertifiedKey::new(vec![CertificateDer::from(public.to_vec())], key))
}

/// The public halves of all secrets.
#[derive(Debug)]
struct Holders(Vec<CertificateDer<'static>>);

impl Holders {
    fn know(&self, shown: &CertificateDer<'_>) -> Result<(), Error> {
        let is_known = self.0.iter().any(|key| key.as_ref() == shown.as_ref());
        is_known.then_some(()).ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))
    }

    fn verify(
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(shown.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, signed, &provider().signature_verification_algorithms)
    }
}

/// TLS 1.2 is not offered.
fn too_old() -> Error {
    Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered)
}

impl ServerCertVerifier for Holders {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.know(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::verify(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Holders {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.know(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::verify(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
