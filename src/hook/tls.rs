//! TLS towards receivers.

use std::{path::Path, sync::Arc};

use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, Error, RootCertStore},
};

use crate::net::tls::{
    FileMistake, Raw, Which, files::add_authorities, provider, roots::add_system,
};

/// Why receivers' certificates can't be judged.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of further authorities.
    #[error("webhook.ca_file {0}")]
    CaFile(#[from] FileMistake),
    /// The library.
    #[error("TLS for webhooks: {0}")]
    Library(#[from] Error),
}

/// Trusts the system's authorities and those of the file. A system without any is no error: then
/// each `https` receiver fails with words that say so.
pub(crate) fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, TlsError> {
    let mut roots = RootCertStore::empty();
    add_system(&mut roots);
    if let Some(path) = ca_file {
        let file = Raw::read(Which::Authorities, path)?;
        add_authorities(&mut roots, &file)?;
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
