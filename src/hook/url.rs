//! Where a receiver is.

use http::Uri;

use crate::net::guard::{AddressGuard, Denied};

/// The longest address of a receiver, in bytes.
const URL_BYTES_MAX: usize = 2_048;

/// `http(s)://host[:port][/path][?query]`, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    /// Without the fragment.
    text: String,
    uri: Uri,
    tls: bool,
    /// Lower-cased; an IPv6 address in brackets.
    host: String,
    port: u16,
}

/// Why a text is no address of a receiver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Longer than is taken.
    #[error("a webhook's address has at most {URL_BYTES_MAX} bytes")]
    TooLong,
    /// Not one at all.
    #[error("a webhook's address is http://host/path or https://host/path")]
    Form,
    /// Secrets do not belong there: the address is shown.
    #[error("a webhook's address has no user name or password; deliveries are signed")]
    UserInfo,
    /// Nobody may be told there.
    #[error(transparent)]
    Denied(#[from] Denied),
}

/// Reads the address of a receiver. What an address says of itself is judged at once; what a name
/// stands for when it is connected to.
///
/// # Errors
/// [`UrlError`] says why not.
pub fn check_url(text: &str, guard: &AddressGuard) -> Result<WebhookUrl, UrlError> {
    let url = WebhookUrl::parse(text)?;
    guard.check_host(&url.host, url.port)?;
    Ok(url)
}

// === impl WebhookUrl ===

impl WebhookUrl {
    /// Parses, without asking whether anybody may be told there.
    ///
    /// # Errors
    /// [`UrlError`], all but `Denied`.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.len() > URL_BYTES_MAX {
            return Err(UrlError::TooLong);
        }
        let text = text.split('#').next().unwrap_or_default();
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UrlError::Form);
        }
        let uri: Uri = text.parse().map_err(|_| UrlError::Form)?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(UrlError::Form),
        };
        let authority = uri.authority().ok_or(UrlError::Form)?;
        if authority.as_str().contains('@') {
            return Err(UrlError::UserInfo);
        }
        let host = authority.host().to_ascii_lowercase();
        // `Uri::port` answers `None` for a port that is out of range, as if there were none.
        let port = match &authority.as_str()[authority.host().len()..] {
            "" => Some(if tls { 443 } else { 80 }),
            // A number's parser takes a leading `+`, too.
            rest if rest.contains('+') => None,
            rest => rest[1..].parse().ok().filter(|&port: &u16| port != 0),
        };
        match port {
            Some(port) if !host.trim_end_matches('.').is_empty() => Ok(Self {
                text: text.to_owned(),
                uri,
                tls,
                host,
                port,
            }),
            _ => Err(UrlError::Form),
        }
    }

    /// As it was written, without its fragment.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether TLS is spoken there.
    pub(crate) fn is_tls(&self) -> bool {
        self.tls
    }

    /// Its host; an IPv6 address in brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What attempts are counted by.
    pub(crate) fn site(&self) -> String {
        format!("{}:{}", self.host.trim_end_matches('.'), self.port)
    }

    /// The value of `Host`.
    pub(crate) fn authority(&self) -> String {
        match (self.tls, self.port) {
            (false, 80) | (true, 443) => self.host.clone(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }

    /// Path and query; a path is there even where none was written.
    pub(crate) fn target(&self) -> String {
        match self.uri.query() {
            Some(query) => format!("{}?{query}", self.uri.path()),
            None => self.uri.path().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_address_is_read_as() {
        for (text, tls, site, authority, target) in [
            ("http://a.example", false, "a.example:80", "a.example", "/"),
            (
                "https://a.example/",
                true,
                "a.example:443",
                "a.example",
                "/",
            ),
            (
                "HTTPS://A.example.:8443/x?y=%20z#part",
                true,
                "a.example:8443",
                "a.example.:8443",
                "/x?y=%20z",
            ),
            (
                "http://a.example:443?q",
                false,
                "a.example:443",
                "a.example:443",
                "/?q",
            ),
            (
                "http://[2600::1]:80/h",
                false,
                "[2600::1]:80",
                "[2600::1]",
                "/h",
            ),
        ] {
            let url = WebhookUrl::parse(text).expect(text);
            assert_eq!(url.is_tls(), tls, "{text}");
            assert_eq!(url.site(), site, "{text}");
            assert_eq!(url.authority(), authority, "{text}");
            assert_eq!(url.target(), target, "{text}");
            assert!(!url.as_str().contains('#'), "{text}");
            assert_eq!(WebhookUrl::parse(url.as_str()), Ok(url), "{text}");
        }
    }

    #[test]
    fn what_is_none() {
        let fits = format!("http://a/{}", "x".repeat(URL_BYTES_MAX - 9));
        assert!(WebhookUrl::parse(&fits).is_ok());
        for (text, expected) in [
            ("", UrlError::Form),
            ("a.example/hook", UrlError::Form),
            ("/hook", UrlError::Form),
            ("ftp://a.example/", UrlError::Form),
            ("file:///etc/passwd", UrlError::Form),
            ("http://", UrlError::Form),
            ("http:///hook", UrlError::Form),
            ("http://./hook", UrlError::Form),
            ("http://a.example:0/", UrlError::Form),
            ("http://a.example:+80/", UrlError::Form),
            ("http://a.example:65536/", UrlError::Form),
            ("http://a b/", UrlError::Form),
            ("http://a.example/\r\nx: y", UrlError::Form),
            ("http://é.example/", UrlError::Form),
            ("https://user@a.example/", UrlError::UserInfo),
            ("https://user:pass@a.example/", UrlError::UserInfo),
            (&format!("{fits}x"), UrlError::TooLong),
        ] {
            assert_eq!(WebhookUrl::parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_denied_address_is_refused_at_once_and_a_name_is_not() {
        let guard = AddressGuard::for_webhooks(vec![], vec![], vec![]);
        for text in [
            "http://127.0.0.1/",
            "http://10.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:192.168.0.1]/",
            "http://169.254.169.254/latest",
            "http://metadata.google.internal/",
        ] {
            let refused = check_url(text, &guard);
            assert!(matches!(refused, Err(UrlError::Denied(_))), "{text}");
        }
        for text in ["https://a.example/", "http://localhost/", "http://8.8.8.8/"] {
            assert!(check_url(text, &guard).is_ok(), "{text}");
        }
    }
}
