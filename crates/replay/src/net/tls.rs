//! TLS around the bytes that are played.

use super::stream::{Plain, Stream};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig, SignatureScheme,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

/// How streams are wrapped.
#[derive(Clone, Default)]
pub enum Tls {
    /// Not at all.
    #[default]
    None,
    /// As a server.
    Server(TlsServer),
    /// As a client.
    Client(TlsClient),
}

/// A server's side of TLS.
#[derive(Clone)]
pub struct TlsServer(TlsAcceptor);

/// A client's side of TLS.
#[derive(Clone)]
pub struct TlsClient(TlsConnector, ServerName<'static>);

/// Whom a client believes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trust<'a> {
    /// Whom the system does.
    System,
    /// Who has a certificate from the authorities in this file, or one that is in it.
    File(&'a Path),
    /// Anybody.
    All,
}

impl TlsServer {
    /// A server with these files' certificates (PEM, its own first) and key; `alpn` are protocols that it offers.
    ///
    /// # Errors
    /// A file cannot be read or used.
    pub fn new(certificates: &Path, key: &Path, alpn: &[String]) -> Result<Self, String> {
        let chain = certificates_in(certificates)?;
        let of_key = |error: &dyn std::fmt::Display| format!("{}: {error}", key.display());
        let private = PrivateKeyDer::from_pem_slice(&file(key)?).map_err(|error| of_key(&error))?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let mut config = config
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|error| of_key(&error))?;
        config.alpn_protocols = protocols(alpn);
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

impl TlsClient {
    /// A client that wants to talk to `name`.
    ///
    /// # Errors
    /// A file cannot be read, or the name is none.
    pub fn new(name: &str, trust: Trust<'_>, alpn: &[String]) -> Result<Self, String> {
        let server = ServerName::try_from(name.to_owned())
            .map_err(|_| format!("'{name}' is no name of a server: --tls-name NAME"))?;
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let believed = match trust {
            Trust::All => Believed::Anybody,
            Trust::System => Believed::Certified { by: verifier(system_roots()?)?, or: Vec::new() },
            Trust::File(path) => {
                let all = certificates_in(path)?;
                Believed::Certified { by: verifier(roots(path, &all)?)?, or: all }
            }
        };
        let verifier = Arc::new(Verifier { believed, provider: provider() });
        let mut config =
            config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        config.alpn_protocols = protocols(alpn);
        Ok(Self(TlsConnector::from(Arc::new(config)), server))
    }
}

impl Tls {
    /// Is there any?
    pub(crate) fn is_there(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Wraps a stream that was just opened, and shakes hands.
    pub(crate) async fn wrap(&self, plain: Plain) -> io::Result<Stream> {
        Ok(match self {
            Self::None => Stream::Plain(plain),
            Self::Server(TlsServer(acceptor)) => {
                Stream::Tls(Box::new(TlsStream::Server(acceptor.accept(plain).await?)))
            }
            Self::Client(TlsClient(connector, name)) => {
                let stream = connector.connect(name.clone(), plain).await?;
                Stream::Tls(Box::new(TlsStream::Client(stream)))
            }
        })
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn protocols(alpn: &[String]) -> Vec<Vec<u8>> {
    alpn.iter().map(|name| name.as_bytes().to_vec()).collect()
}

/// Certificates and keys of a file have so many bytes at most: those of all authorities have a fifth of a mebibyte.
const MOST: u64 = 16 << 20;

fn file(path: &Path) -> Result<Vec<u8>, String> {
    let of_file = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let mut bytes = Vec::new();
    let opened = File::open(path).map_err(|error| of_file(&error))?;
    opened.take(MOST + 1).read_to_end(&mut bytes).map_err(|error| of_file(&error))?;
    match bytes.len() as u64 > MOST {
        true => Err(of_file(&format!("more than {MOST} bytes are no certificates"))),
        false => Ok(bytes),
    }
}

fn certificates_in(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let of_file = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = file(path)?;
    let all: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| of_file(&error))?;
    match all.is_empty() {
        true => Err(of_file(&"no certificate in it (PEM is needed)")),
        false => Ok(all),
    }
}

fn roots(path: &Path, all: &[CertificateDer<'static>]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in all {
        let added = roots.add(certificate.clone());
        added.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(roots)
}

fn verifier(roots: RootCertStore) -> Result<Arc<WebPkiServerVerifier>, String> {
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
    verifier.build().map_err(|error| error.to_string())
}

fn system_roots() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    match roots.is_empty() {
        true => Err("this system has no certificates of authorities: --tls-ca FILE, or \
                     --tls-insecure to believe anybody"
            .into()),
        false => Ok(roots),
    }
}

/// Whom a client believes, who has the key of the certificate that is shown.
#[derive(Debug)]
enum Believed {
    Anybody,
    /// Who has a certificate from one of these authorities, or one of these certificates itself: those that
    /// people make for tests are both.
    Certified {
        by: Arc<WebPkiServerVerifier>,
        or: Vec<CertificateDer<'static>>,
    },
}

#[derive(Debug)]
struct Verifier {
    believed: Believed,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.believed {
            Believed::Anybody => Ok(ServerCertVerified::assertion()),
            Believed::Certified { or, .. } if or.iter().any(|certificate| certificate == shown) => {
                verify_server_name(&ParsedCertificate::try_from(shown)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            Believed::Certified { by, .. } => by.verify_server_cert(shown, above, name, ocsp, now),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
