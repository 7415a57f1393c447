//! TLS: whom to trust, and what a handshake's failure means in plain words.
//!
//! The roots are read when the first `https` connection is made: most passes make none.

use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore,
    SignatureScheme,
};
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode;

use super::error::{ErrorKind, HttpError};

/// A bundle of certificates is a few hundred KiB.
const MOST_PEM_BYTES: u64 = 16 << 20;

/// When a certificate begins and ends to be valid, unix seconds, both inclusive. rustls verifies that and does not tell.
pub(super) fn validity(certificate: &[u8]) -> Option<RangeInclusive<u64>> {
    let certificate = CertificateInner::<Raw>::from_der(certificate).ok()?;
    let validity = certificate.tbs_certificate().validity();
    Some(validity.not_before.to_unix_duration().as_secs()..=validity.not_after.to_unix_duration().as_secs())
}

/// A client connection to `host`, not yet shaken hands.
pub(super) fn connection(ca_file: Option<&Path>, host: &str) -> Result<ClientConnection, HttpError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_why| {
        HttpError::new(ErrorKind::Request, format!("{host} is no host name that a certificate can hold"))
    })?;
    ClientConnection::new(config(ca_file)?, name).map_err(|e| failure(&e))
}

/// One configuration for each `ca_file`, shared by all connections, so that sessions resume and nothing is read twice.
fn config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, HttpError> {
    static CONFIGS: Mutex<BTreeMap<Option<PathBuf>, Arc<ClientConfig>>> = Mutex::new(BTreeMap::new());
    let mut configs = CONFIGS.lock();
    let key = ca_file.map(Path::to_owned);
    if let Some(config) = configs.get(&key) {
        return Ok(Arc::clone(config));
    }
    let config = Arc::new(build(ca_file)?);
    configs.insert(key, Arc::clone(&config));
    Ok(config)
}

fn build(ca_file: Option<&Path>) -> Result<ClientConfig, HttpError> {
    let system = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(system.certs);
    if let Some(path) = ca_file {
        let problem = match add_file(&mut roots, path) {
            Ok(0) => Some("it holds no certificate".to_owned()),
            read => read.err().map(|e| e.to_string()),
        };
        if let Some(problem) = problem {
            let detail = format!("cannot use ca_file {}: {problem}", path.display());
            let hint = "correct `ca_file`: it names a PEM file with the authority's certificate";
            return Err(HttpError::new(ErrorKind::Tls, detail).with_hint(hint));
        }
    }
    if roots.is_empty() {
        let why = system.errors.first().map_or("no certificate bundle found".into(), ToString::to_string);
        let hint = "correct SSL_CERT_FILE or SSL_CERT_DIR where it is set, else install the package ca-certificates";
        let detail = format!("no trusted certificates on this system: {why}");
        return Err(HttpError::new(ErrorKind::Tls, detail).with_hint(hint));
    }
    let (provider, roots) = (Arc::new(ring::default_provider()), Arc::new(roots));
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
        .build()
        .map_err(|e| HttpError::new(ErrorKind::Tls, e.to_string()))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| failure(&e))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { inner, roots }))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Adds every certificate of a PEM file; what is no certificate in it is passed over. Returns how many there were.
fn add_file(roots: &mut RootCertStore, path: &Path) -> io::Result<usize> {
    let bytes = crate::fs::read_capped(path, MOST_PEM_BYTES)?;
    Ok(roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok)).0)
}

/// The usual verification, and one thing more: a certificate that is itself trusted is accepted as a server's, although
/// it also calls itself an authority. That is what `openssl req -x509` makes, and what OpenSSL and curl accept.
#[derive(Debug)]
struct Verifier {
    inner: Arc<WebPkiServerVerifier>,
    roots: Arc<RootCertStore>,
}

impl Verifier {
    /// Whether this certificate's subject and key are those of a trusted one.
    fn is_itself_trusted(&self, certificate: &CertificateDer<'_>) -> bool {
        let mut own = RootCertStore::empty();
        own.add(certificate.clone()).is_ok() && own.roots.iter().all(|anchor| self.roots.roots.contains(anchor))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // webpki's "an authority's certificate used as a server's" has no variant of its own in rustls.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(_)))
                if self.is_itself_trusted(end_entity) =>
            {
                let validity = validity(end_entity).ok_or(CertificateError::BadEncoding)?;
                if !validity.contains(&now.as_secs()) {
                    return Err(CertificateError::Expired.into());
                }
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// A TLS failure as a person understands it.
pub(super) fn failure(error: &rustls::Error) -> HttpError {
    use CertificateError as C;
    use rustls::Error as E;
    let (what, hint) = match error {
        E::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => ("the server's certificate has expired", None),
        E::InvalidCertificate(C::NotValidYet | C::NotValidYetContext { .. }) => {
            ("the server's certificate is not valid yet", None)
        }
        E::InvalidCertificate(C::UnknownIssuer) => {
            ("the server's certificate is not signed by a trusted authority", None)
        }
        E::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => (
            "the server's certificate is for another host name",
            Some("use a name that the certificate holds, or renew it with this one"),
        ),
        E::InvalidCertificate(C::Other(_)) => ("the server's certificate is an authority's own and not trusted", None),
        E::InvalidMessage(_) => (
            "the server does not speak TLS on this port",
            Some("write http:// if it speaks plain HTTP, or correct the port"),
        ),
        E::AlertReceived(AlertDescription::CertificateRequired) => (
            "the server wants a certificate of its clients",
            Some("lab-probe has no certificate of its own: check the server by a script"),
        ),
        E::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion) => {
            ("the server accepts no common TLS version or cipher", None)
        }
        other => return HttpError::new(ErrorKind::Tls, format!("the TLS connection failed: {other}")),
    };
    HttpError { hint, ..HttpError::new(ErrorKind::Tls, what) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_validity_of_a_certificate_is_read_in_both_time_forms() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).expect("parameters");
        params.not_before = rcgen::date_time_ymd(2020, 1, 2);
        params.not_after = rcgen::date_time_ymd(2075, 3, 4);
        let certificate = params.self_signed(&key).expect("a certificate");
        assert_eq!(validity(certificate.der()), Some(1_577_923_200..=3_318_883_200));
    }

    #[test]
    fn whatever_is_cut_off_or_no_certificate_gives_nothing() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["localhost".into()]).expect("parameters");
        let certificate = params.self_signed(&key).expect("a certificate");
        for length in 0..certificate.der().len() {
            assert_eq!(validity(&certificate.der()[..length]), None, "{length}");
        }
        assert_eq!(validity(b"-----BEGIN CERTIFICATE-----"), None);
    }
}
