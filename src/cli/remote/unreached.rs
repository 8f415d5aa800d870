//! Why a gateway can't be reached, in words that say what to do.

use std::io::{self, ErrorKind};

use http::Uri;
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use crate::{
    cli::failure::{Code, Failure},
    net::tls::{MAKE_ANOTHER, client::certificate_words, is_of_an_authority},
};

#[cfg(test)]
mod tests;

const REPLACED: &str = "the gateway's own has to be replaced: [admin.tls] cert_file names it";
const ANOTHER_GOOD: &str =
    "--cert-file and --key-file (WEIR_CERT_FILE, WEIR_KEY_FILE) are to name one that is good";

/// Whether a proxy stands between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Between {
    /// None.
    Nothing,
    /// One that the environment names.
    Proxy,
}

/// The failure that an error is. `base` is the gateway's address, `concern` what may be wrong with the
/// certificate that was shown.
pub(super) fn unreached(
    base: &str,
    error: &ureq::Error,
    between: Between,
    concern: Option<&str>,
) -> Failure {
    let (why, hint) = tls_words(base, error, concern)
        .unwrap_or_else(|| other_words(base, error, between, concern));
    let words = format_args!("no gateway answers at {base}: {why}");
    Failure::with(Code::Unreachable, words).hint(hint)
}

fn tls_words(base: &str, error: &ureq::Error, concern: Option<&str>) -> Option<(String, String)> {
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
                        .to_owned()
                }
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => {
                    "--admin-url is to name the gateway as its certificate does".to_owned()
                }
                why if is_of_an_authority(why) => format!(
                    "{REPLACED}; {MAKE_ANOTHER}, and name the authority with --ca-file (WEIR_CA_FILE)"
                ),
                _ => REPLACED.to_owned(),
            };
            let words = certificate_words(host, why);
            (format!("its certificate {words}"), hint)
        }
        Error::AlertReceived(alert) => {
            let (why, hint) = alert_words(*alert)?;
            let concern = concern.filter(|_| *alert != AlertDescription::CertificateRequired);
            let hint = concern.map_or_else(|| hint.to_owned(), renewed);
            (why.to_owned(), hint)
        }
        _ => return None,
    };
    Some((why, hint))
}

/// What there is to do about a certificate that was shown and can't be good.
fn renewed(concern: &str) -> String {
    format!("{concern}; {ANOTHER_GOOD}")
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
        AlertDescription::CertificateExpired => (
            "the certificate that was shown has expired",
            "do the clocks agree, here and there? --cert-file and --key-file (WEIR_CERT_FILE, WEIR_KEY_FILE) \
             are to name one that is valid, with its whole chain",
        ),
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

fn other_words(
    base: &str,
    error: &ureq::Error,
    between: Between,
    concern: Option<&str>,
) -> (String, String) {
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
        // Who closes at once on what was shown may cut off their own word for it.
        None if broke_off && let Some(concern) = concern => {
            format!("if it asks for a certificate: {}", renewed(concern))
        }
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
