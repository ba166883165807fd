//! A certificate for one test, and a client that trusts only this one.

use std::sync::Arc;

use rcgen::{CertifiedKey, KeyPair};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The name in the certificate, which clients request.
pub(crate) const SERVER_NAME: &str = "test.example";

/// A self-signed certificate with its key.
pub(crate) struct Certificate(CertifiedKey<KeyPair>);

impl Certificate {
    pub(crate) fn generate() -> Self {
        let certificate = rcgen::generate_simple_self_signed([SERVER_NAME.to_owned()]);
        Self(certificate.expect("a certificate"))
    }

    /// The certificate and its key, as PEM.
    pub(crate) fn pem(&self) -> (String, String) {
        (self.0.cert.pem(), self.0.signing_key.serialize_pem())
    }

    /// The configuration of a client that trusts this certificate.
    pub(crate) fn trusting_client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.0.cert.der().clone())
            .expect("a trust anchor");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the protocol versions of ring")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    }
}
