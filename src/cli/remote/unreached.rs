//! Why a gateway can't be reached, in words that say what to do.

use std::io::{self, ErrorKind};

use http::Uri;
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use crate::{
    cli::failure::{Code, Failure},
    net::tls::client::certificate_words,
};

/// Whether a proxy stands between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Between {
    /// None.
    Nothing,
    /// One that the environment names.
    Proxy,
}

/// The failure that an error is. `base` is the gateway's address.
pub(super) fn unreached(base: &str, error: &ureq::Error, between: Between) -> Failure {
    let (why, hint) = tls_words(base, error).unwrap_or_else(|| other_words(base, error, between));
    let words = format_args!("no gateway answers at {base}: {why}");
    Failure::with(Code::Unreachable, words).hint(hint)
}

fn tls_words(base: &str, error: &ureq::Error) -> Option<(String, String)> {
    let (why, hint) = match tls_error(error)? {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            let clear = base.replacen("https://", "http://", 1);
            ("it does not speak TLS".to_owned(), format!("use {clear}"))
        }
        Error::InvalidCertificate(why) => {
            let uri = base.parse::<Uri>().unwrap_or_default();
            let host = uri.host().unwrap_or(base);
            let hint = match why {
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    "--ca-file (WEIR_CA_FILE) names certificates to trust beside the system's"
                }
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => {
                    "--admin-url is to name the gateway as its certificate does"
                }
                _ => "the gateway's own has to be replaced: [admin.tls] cert_file names it",
            };
            let words = certificate_words(host, why);
            (format!("its certificate {words}"), hint.to_owned())
        }
        Error::AlertReceived(alert) => {
            let (why, hint) = alert_words(*alert)?;
            (why.to_owned(), hint.to_owned())
        }
        _ => return None,
    };
    Some((why, hint))
}

/// What a gateway says of what it is shown.
fn alert_words(alert: AlertDescription) -> Option<(&'static str, &'static str)> {
    const SHOW: &str = "--cert-file and --key-file (WEIR_CERT_FILE, WEIR_KEY_FILE) show one";
    const ANOTHER: &str = "--cert-file and --key-file (WEIR_CERT_FILE, WEIR_KEY_FILE) are to name one of the authority \
         that the gateway's client_ca_file holds";
    Some(match alert {
        AlertDescription::CertificateRequired => ("it asks for a certificate", SHOW),
        // With TLS 1.2 there is no alert of its own for that.
        AlertDescription::HandshakeFailure => (
            "it refuses the handshake; it may ask for a certificate",
            SHOW,
        ),
        AlertDescription::CertificateExpired => {
            ("the certificate that was shown has expired", ANOTHER)
        }
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied
        | AlertDescription::DecryptError => {
            ("it does not accept the certificate that was shown", ANOTHER)
        }
        _ => return None,
    })
}

fn other_words(base: &str, error: &ureq::Error, between: Between) -> (String, String) {
    let (why, broke_off) = match error {
        ureq::Error::Io(error) => {
            let ends = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
            (error.to_string(), ends.contains(&error.kind()))
        }
        // As bytes of TLS are no answer of HTTP.
        ureq::Error::Protocol(error) => (error.to_string(), true),
        error => (error.to_string(), false),
    };
    let hint = match base.strip_prefix("http://") {
        _ if between == Between::Proxy => {
            "it was asked for through the proxy that the environment names; NO_PROXY leaves hosts out"
                .to_owned()
        }
        Some(behind) if broke_off => format!("if it speaks TLS, use https://{behind}"),
        _ => "is it running? --admin-url, WEIR_ADMIN_URL or a context say where its admin API is"
            .to_owned(),
    };
    (why, hint)
}

fn tls_error(error: &ureq::Error) -> Option<&Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => inside(error),
        _ => None,
    }
}

fn inside(error: &io::Error) -> Option<&Error> {
    let mut next = error.get_ref()?;
    loop {
        if let Some(found) = next.downcast_ref() {
            return Some(found);
        }
        match next.downcast_ref::<io::Error>() {
            Some(io) => next = io.get_ref()?,
            None => return next.source()?.downcast_ref(),
        }
    }
}
