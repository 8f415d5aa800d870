//! What can go wrong with TLS towards a backend, in words for people who know neither the library
//! nor X.509.

use std::io;

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

/// Why there is no TLS with a backend. Nothing of a request was sent.
#[derive(Debug, thiserror::Error)]
pub enum TlsFailed {
    /// Its certificate.
    #[error("certificate {0}")]
    Certificate(String),
    /// It is not as it was declared.
    #[error("TLS: it does not choose h2 by ALPN")]
    Alpn,
    /// The host that the URL names.
    #[error("TLS: {0:?} is no name that a certificate can be for")]
    Name(String),
    /// All else.
    #[error("TLS: {0}")]
    Handshake(#[source] io::Error),
}

// === impl TlsFailed ===

impl TlsFailed {
    pub(super) fn of(host: &str, error: io::Error) -> Self {
        match rustls_error(&error) {
            Some(Error::InvalidCertificate(why)) => Self::Certificate(certificate_words(host, why)),
            _ => Self::Handshake(error),
        }
    }
}

fn certificate_words(host: &str, why: &CertificateError) -> String {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet".to_owned()
        }
        // The second is an authority of the same name with another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "is not signed by an authority that is trusted".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("is not for {host}")
        }
        other => format!("is not acceptable: {other}"),
    }
}

/// What went wrong with TLS, if that is what an error of a handshake with a backend says.
pub fn tls_failed(error: &io::Error) -> Option<&TlsFailed> {
    error.get_ref()?.downcast_ref()
}

/// Whether the other side says that it does not accept weir's certificate, or the lack of one. With
/// TLS 1.3 that comes when the handshake is over on this side; until it has accepted, a server reads
/// no request.
pub fn is_rejection(error: &io::Error) -> bool {
    matches!(
        rustls_error(error),
        Some(Error::AlertReceived(
            AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied
                | AlertDescription::DecryptError
        ))
    )
}

fn rustls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}
