//! What can go wrong with TLS towards a backend, in words for people who know neither the library
//! nor X.509.

use std::io;

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use crate::net::tls::{MAKE_ANOTHER, OF_AN_AUTHORITY, is_of_an_authority};

/// What the other side says with an alert that [`is_rejection`] knows.
pub(super) const REJECTED: &str = "TLS: it does not accept the certificate that weir shows, or that there is \
    none: cert_file and key_file of [upstream.tls] name it";

/// The same, of one that has come to its end.
pub(super) const REJECTED_AS_EXPIRED: &str = "TLS: it says that the certificate that weir shows has expired: \
    cert_file and key_file of [upstream.tls] are to name one that is valid, with its whole chain";

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
    /// What it says is no TLS.
    #[error("TLS: it does not speak TLS; use http://")]
    ClearText,
    /// It says nothing.
    #[error("TLS: it closed the connection in the handshake; if it speaks no TLS, use http://")]
    Closed,
    /// It does not take what weir shows.
    #[error("{0}")]
    Rejected(&'static str),
    /// All else.
    #[error("TLS: {0}")]
    Handshake(#[source] io::Error),
}

// === impl TlsFailed ===

impl TlsFailed {
    pub(super) fn of(host: &str, error: io::Error) -> Self {
        match rustls_error(&error) {
            Some(Error::InvalidCertificate(why)) => {
                let mut words = certificate_words(host, why);
                if is_of_an_authority(why) {
                    words = format!(
                        "{words}; {MAKE_ANOTHER}, and name the authority in ca_file of [upstream.tls]"
                    );
                }
                Self::Certificate(words)
            }
            Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => Self::ClearText,
            _ => match rejection_words(&error) {
                Some(words) => Self::Rejected(words),
                None if is_end(&error) => Self::Closed,
                None => Self::Handshake(error),
            },
        }
    }
}

/// What is wrong with the certificate of a host.
pub fn certificate_words(host: &str, why: &CertificateError) -> String {
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
        why if is_of_an_authority(why) => OF_AN_AUTHORITY.to_owned(),
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
    rejection_words(error).is_some()
}

/// The words for what [`is_rejection`] knows.
pub fn rejection_words(error: &io::Error) -> Option<&'static str> {
    match rustls_error(error)? {
        Error::AlertReceived(AlertDescription::CertificateExpired) => Some(REJECTED_AS_EXPIRED),
        Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError,
        ) => Some(REJECTED),
        _ => None,
    }
}

/// Whether the connection ended where more was expected.
fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

fn rustls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}
