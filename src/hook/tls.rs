//! TLS towards receivers.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls_native_certs::load_native_certs;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, Error, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, pem::PemObject},
    },
};

/// Why receivers' certificates can't be judged.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of further authorities.
    #[error("webhook.ca_file {}: {error}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: io::Error,
    },
    /// The library.
    #[error("TLS for webhooks: {0}")]
    Library(#[from] Error),
}

/// Trusts the system's authorities and those of the file. A system without any is no error: then
/// each `https` receiver fails with words that say so.
pub(crate) fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, TlsError> {
    let mut roots = RootCertStore::empty();
    let native = load_native_certs();
    let (_, ignored) = roots.add_parsable_certificates(native.certs);
    if ignored > 0 || !native.errors.is_empty() {
        let errors = native.errors.len();
        tracing::warn!(
            ignored,
            errors,
            "some of the system's certificates are not usable"
        );
    }
    if let Some(path) = ca_file {
        add_file(&mut roots, path).map_err(|error| TlsError::CaFile {
            path: path.to_owned(),
            error,
        })?;
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> io::Result<()> {
    let before = roots.len();
    for certificate in CertificateDer::pem_file_iter(path).map_err(io::Error::other)? {
        let certificate = certificate.map_err(io::Error::other)?;
        roots.add(certificate).map_err(io::Error::other)?;
    }
    if roots.len() == before {
        return Err(io::Error::other("there is no certificate in it"));
    }
    Ok(())
}
