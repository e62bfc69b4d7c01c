//! TLS between a participant and a hub: version 1.3 alone, everywhere, loopback too.
//!
//! A hub's certificate is its own word for itself: nobody signed it, and the client asks for no name, date or authority.
//! What a client trusts is the SHA-256 of the certificate that stands in its link (the pin). Whoever has the link and talks
//! to the holder of that certificate's key talks to the hub. [`Channel`] is what both sides know of one such connection and
//! nobody in between does; a proof of identity that covers it cannot be carried over to another connection.

use crate::hash::Hash;
use crate::protocol::Channel;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ConnectionCommon, DigitallySignedStruct, InvalidMessage, SignatureScheme};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What is spoken inside.
pub const ALPN: &[u8] = b"crosscheck/1";
/// RFC 9266.
const BINDING_LABEL: &[u8] = b"EXPORTER-Channel-Binding";
/// Plain bytes that one connection may hold back while its socket takes nothing: one TLS record. It bounds what a slow
/// participant costs, and what has to leave within the patience of one flush.
const HELD_BACK: usize = 16 * 1024;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum TlsError {
    #[error("{what} cannot be read from {path}: {why}\nhint: --tls-cert and --tls-key take PEM files, as openssl and ACME clients write them", path = path.display())]
    File { what: &'static str, path: PathBuf, why: String },
    #[error("the certificate cannot be used: {0}")]
    Unusable(String),
    #[error("no certificate could be made: {0}")]
    Making(String),
    #[error("this connection has no binding: {0}")]
    Binding(String),
}

/// A hub's certificate (first of its chain) and the key to it.
pub struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Clone for Certificate {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}
impl std::fmt::Debug for Certificate {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({})", self.fingerprint())
    }
}

impl Certificate {
    /// A new one that nobody else has signed.
    pub fn make() -> Result<Certificate, TlsError> {
        let making = |error: rcgen::Error| TlsError::Making(error.to_string());
        let made = rcgen::generate_simple_self_signed(["crosscheck.invalid".to_owned()]).map_err(making)?;
        Ok(Self::from_der(made.cert.der().to_vec(), made.signing_key.serialize_der()))
    }

    /// From the bytes that [`to_der`](Self::to_der) gave. Whether they are any good shows when they are [used](Self::acceptor).
    pub fn from_der(certificate: Vec<u8>, pkcs8_key: Vec<u8>) -> Certificate {
        let key = PrivatePkcs8KeyDer::from(pkcs8_key).into();
        Certificate { chain: vec![CertificateDer::from(certificate)], key }
    }

    /// Certificate and key (PKCS #8), to be kept.
    pub fn to_der(&self) -> (&[u8], &[u8]) {
        (self.leaf(), self.key.secret_der())
    }

    /// From PEM files: the certificate, others of its chain after it; and its key (PKCS #8, PKCS #1 or SEC1, without a
    /// passphrase).
    pub fn read(certificate: &Path, key: &Path) -> Result<Certificate, TlsError> {
        let failed = |what, path: &Path| {
            let path = path.to_owned();
            move |why: rustls::pki_types::pem::Error| TlsError::File { what, path, why: why.to_string() }
        };
        let what = "a certificate";
        let chain = CertificateDer::pem_file_iter(certificate).map_err(failed(what, certificate))?;
        let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(failed(what, certificate))?;
        if chain.is_empty() {
            let why = "no certificate stands in it".to_owned();
            return Err(TlsError::File { what, path: certificate.to_owned(), why });
        }
        let key = PrivateKeyDer::from_pem_file(key).map_err(failed("a private key", key))?;
        Ok(Certificate { chain, key })
    }

    fn leaf(&self) -> &[u8] {
        self.chain.first().map_or(&[], |leaf| leaf.as_ref()) // no constructor leaves the chain empty
    }

    /// SHA-256 of the certificate's DER: what links name, and `openssl x509 -outform der | sha256sum` prints.
    pub fn fingerprint(&self) -> Hash {
        Hash::of(self.leaf())
    }

    /// The hub's side. A certificate that our own client would not take is refused here, before anybody has its link.
    pub fn acceptor(&self) -> Result<TlsAcceptor, TlsError> {
        let unusable = |error: rustls::Error| TlsError::Unusable(error.to_string());
        let mut config = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(unusable)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // Every connection proves the certificate's key anew: nothing is resumed, so nothing has to be remembered.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        let config = Arc::new(config);
        try_out(config.clone(), Arc::new(client_config(self.fingerprint())?)).map_err(unusable)?;
        Ok(config.into())
    }
}

/// The client's side: takes the certificate with that SHA-256, from whoever proves to have its key, and no other.
pub fn connector(pin: Hash) -> Result<TlsConnector, TlsError> {
    Ok(Arc::new(client_config(pin)?).into())
}

fn client_config(pin: Hash) -> Result<rustls::ClientConfig, TlsError> {
    let provider = provider();
    let pinned = Arc::new(Pinned { pin, provider: provider.clone() });
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| TlsError::Unusable(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(pinned)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.enable_sni = false; // the name of a hub is nobody's business on the way
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The name a client asks for. It is never sent and never compared: the pin is the identity.
pub fn server_name() -> ServerName<'static> {
    ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into())
}

/// One handshake in memory.
fn try_out(server: Arc<rustls::ServerConfig>, client: Arc<rustls::ClientConfig>) -> Result<(), rustls::Error> {
    let mut server = rustls::ServerConnection::new(server)?;
    let mut client = rustls::ClientConnection::new(client, server_name())?;
    let other = |error: io::Error| rustls::Error::General(error.to_string());
    for _ in 0..8 {
        for to_server in [true, false] {
            let mut bytes = vec![];
            while if to_server { client.wants_write() } else { server.wants_write() } {
                if to_server { client.write_tls(&mut bytes) } else { server.write_tls(&mut bytes) }.map_err(other)?;
            }
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                match to_server {
                    true => _ = server.read_tls(&mut rest).map_err(other).and_then(|_| server.process_new_packets())?,
                    false => {
                        _ = client.read_tls(&mut rest).map_err(other).and_then(|_| client.process_new_packets())?
                    }
                }
            }
        }
        if !server.is_handshaking() && !client.is_handshaking() {
            return Ok(());
        }
    }
    Err(rustls::Error::HandshakeNotComplete)
}

/// Holds a new connection to our protocol and to its bounds, and tells what is known of it.
///
/// # Errors
/// Where the other side did not agree to our protocol inside, or TLS gives no keys to bind to.
pub fn channel<Side>(connection: &mut ConnectionCommon<Side>, certificate: Hash) -> Result<Channel, TlsError> {
    if connection.alpn_protocol() != Some(ALPN) {
        return Err(TlsError::Binding("the other side did not ask for crosscheck/1".to_owned()));
    }
    connection.set_buffer_limit(Some(HELD_BACK));
    let keys = connection
        .export_keying_material([0; 32], BINDING_LABEL, Some(&[]))
        .map_err(|error| TlsError::Binding(error.to_string()))?;
    Ok(Channel { certificate, binding: Hash::of(&keys) })
}

/// What went wrong in a client's handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The other side has another certificate, or not its key.
    OtherCertificate,
    /// The other side does not speak TLS.
    NoTls,
    /// It is TLS, but not of our version or with our protocol inside.
    OtherTls,
    /// The connection.
    Connection,
}

impl Failure {
    /// Reads the error of a handshake.
    pub fn of(error: &io::Error) -> Failure {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(_)) => Failure::OtherCertificate,
            Some(rustls::Error::InvalidMessage(
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
            )) => Failure::NoTls,
            Some(_) => Failure::OtherTls,
            None => Failure::Connection,
        }
    }
}

/// Takes one certificate.
#[derive(Debug)]
struct Pinned {
    pin: Hash,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match Hash::of(end_entity) == self.pin {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::PeerIncompatible::Tls12NotOffered.into())
    }

    /// The certificate travels in the open; only this tells its owner from somebody who has seen it.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that presents a certificate with whatever key: TLS libraries refuse to be configured so.
    #[derive(Debug)]
    struct Presents(Arc<rustls::sign::CertifiedKey>);
    impl rustls::server::ResolvesServerCert for Presents {
        fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
            Some(self.0.clone())
        }
    }

    fn presenting(certificate: &Certificate, key: &Certificate) -> Arc<rustls::ServerConfig> {
        let key = provider().key_provider.load_private_key(key.key.clone_key()).unwrap();
        let presented = rustls::sign::CertifiedKey::new(certificate.chain.clone(), key);
        let mut config = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Presents(Arc::new(presented))));
        config.alpn_protocols = vec![ALPN.to_vec()];
        Arc::new(config)
    }

    #[test]
    fn a_client_takes_the_pinned_certificate_from_the_holder_of_its_key_alone() {
        let (hub, attacker) = (Certificate::make().unwrap(), Certificate::make().unwrap());
        let client = Arc::new(client_config(hub.fingerprint()).unwrap());
        try_out(presenting(&hub, &hub), client.clone()).unwrap();
        let other = try_out(presenting(&attacker, &attacker), client.clone()).unwrap_err();
        assert!(matches!(other, rustls::Error::InvalidCertificate(_)), "{other:?}");
        // For ever: a verifier that forgets the handshake's signature takes this one.
        let stolen = try_out(presenting(&hub, &attacker), client).unwrap_err();
        assert!(matches!(stolen, rustls::Error::InvalidCertificate(CertificateError::BadSignature)), "{stolen:?}");
    }

    #[test]
    fn a_certificate_is_kept_and_a_wrong_key_is_found_at_once() {
        let made = Certificate::make().unwrap();
        let (certificate, key) = made.to_der();
        let kept = Certificate::from_der(certificate.to_vec(), key.to_vec());
        assert_eq!(kept.fingerprint(), made.fingerprint());
        kept.acceptor().unwrap();
        let other = Certificate::make().unwrap();
        let mixed = Certificate::from_der(certificate.to_vec(), other.to_der().1.to_vec());
        assert!(matches!(mixed.acceptor(), Err(TlsError::Unusable(_))));
        assert!(matches!(Certificate::from_der(vec![1], key.to_vec()).acceptor(), Err(TlsError::Unusable(_))));
        assert!(matches!(Certificate::from_der(certificate.to_vec(), vec![1]).acceptor(), Err(TlsError::Unusable(_))));
        assert!(!format!("{made:?}").contains(&format!("{:?}", key)));
    }

    #[test]
    fn files_that_hold_no_certificate_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let error = || Certificate::read(&cert, &key).unwrap_err().to_string();
        assert!(error().contains("cert.pem"), "{}", error());
        std::fs::write(&cert, "nothing\n").unwrap();
        assert!(error().contains("no certificate stands in it"), "{}", error());
        let made = Certificate::make().unwrap();
        let pem = |kind: &str, bytes: &[u8]| {
            use base64::Engine as _;
            let text = base64::prelude::BASE64_STANDARD.encode(bytes);
            format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n")
        };
        std::fs::write(&cert, pem("CERTIFICATE", made.to_der().0)).unwrap();
        std::fs::write(&key, "nothing\n").unwrap();
        assert!(error().contains("key.pem"), "{}", error());
        std::fs::write(&key, pem("PRIVATE KEY", made.to_der().1)).unwrap();
        let read = Certificate::read(&cert, &key).unwrap();
        assert_eq!(read.fingerprint(), made.fingerprint());
        read.acceptor().unwrap();
    }
}
