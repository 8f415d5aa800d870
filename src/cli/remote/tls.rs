//! TLS towards a gateway: whom to trust beside the system's authorities, and what to show of oneself.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tokio_rustls::rustls::{RootCertStore, pki_types::CertificateDer};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use crate::{
    cli::failure::Failure,
    net::tls::{FileMistake, Identity, Raw, Which, files::add_authorities, provider},
};

/// What is shown of oneself.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    cert_file: PathBuf,
    identity: Identity,
}

/// The files that TLS takes.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct TlsFiles {
    /// Certificates of those who are trusted.
    pub(in crate::cli) ca_file: Option<PathBuf>,
    /// The own certificate.
    pub(in crate::cli) cert_file: Option<PathBuf>,
    /// Its key.
    pub(in crate::cli) key_file: Option<PathBuf>,
}

// === impl TlsFiles ===

impl TlsFiles {
    /// Whether neither a certificate nor a key is named: they go together.
    pub(super) fn shows_nothing(&self) -> bool {
        self.cert_file.is_none() && self.key_file.is_none()
    }

    /// What they say, and what of it is shown.
    ///
    /// # Errors
    /// When one can't be read, is none, or does not fit.
    pub(super) fn config(&self) -> Result<(TlsConfig, Option<Shown>), Failure> {
        // Certificates of the system that can't be read are those that are not trusted then.
        let mut roots = rustls_native_certs::load_native_certs().certs;
        if let Some(path) = &self.ca_file {
            roots.extend(authorities(path)?);
        }
        let roots = roots
            .iter()
            .map(|root| Certificate::from_der(root).to_owned());
        let roots: Vec<_> = roots.collect();
        let (cert, shown) = self.shown()?.unzip();
        let config = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&roots))
            .client_cert(cert)
            .unversioned_rustls_crypto_provider(provider())
            .build();
        Ok((config, shown))
    }

    fn shown(&self) -> Result<Option<(ClientCert, Shown)>, Failure> {
        let (cert, key) = match (&self.cert_file, &self.key_file) {
            (None, None) => return Ok(None),
            (Some(cert), Some(key)) => (cert, key),
            (Some(_), None) => {
                return Err(Failure::usage("a certificate needs its key: --key-file"));
            }
            (None, Some(_)) => {
                return Err(Failure::usage("a key needs its certificate: --cert-file"));
            }
        };
        let identity = Identity::read(cert, key).map_err(|mistakes| {
            let words: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
            Failure::usage(words.join("; "))
        })?;
        let shown = Shown {
            cert_file: cert.clone(),
            identity,
        };
        let chain: Vec<_> = parse_pem(&read(cert)?)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        let key = PrivateKey::from_pem(&read(key)?)
            .map_err(|_| Failure::usage(format_args!("{} holds no key", key.display())))?;
        Ok(Some((ClientCert::new_with_certs(&chain, key), shown)))
    }
}

// === impl Shown ===

impl Shown {
    /// What has a gateway refuse it today, as far as that can be told from here.
    pub(super) fn concern(&self) -> Option<String> {
        let concern = self.identity.concerns().into_iter().next()?;
        let cert = self.cert_file.display();
        Some(format!("the certificate in {cert} {concern}"))
    }
}

fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let read = || {
        let raw = Raw::read(Which::Authorities, path)?;
        // The library would leave out what it can't trust without a word.
        add_authorities(&mut RootCertStore::empty(), &raw)?;
        raw.certificates()
    };
    read().map_err(|mistake: FileMistake| Failure::usage(format_args!("--ca-file: {mistake}")))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path)
        .map_err(|error| Failure::usage(format_args!("can't read {}: {error}", path.display())))
}
