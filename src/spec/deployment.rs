//! A deployment and its version as declared.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use serde::{Deserialize, Serialize, Serializer};

use super::{
    ChallengerSpec, Example, LimitsSpec, OverloadSpec, Parameters, ReadinessSpec, WarmUpSpec,
};
use crate::base::name::DeploymentName;

/// A stable name that applications call, and the version that is to answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeploymentSpec {
    /// `{project}/{deployment}`.
    #[serde(skip)]
    pub name: DeploymentName,
    /// Free text for people beside the URL name; the URL name when none is given.
    pub display_name: String,
    /// Free text.
    pub description: String,
    /// Free words to find it by.
    pub tags: Vec<String>,
    /// Who may call it.
    pub access: Access,
    /// How many retired versions stay warm, so that keys with `may_pin` can still pin them.
    pub keep_previous: u32,
    /// How much it may be asked for, by all its callers together.
    #[serde(skip_serializing_if = "LimitsSpec::is_default")]
    pub limits: LimitsSpec,
    /// What happens when it is asked for more than its backends do; nothing when it is not declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overload: Option<OverloadSpec>,
    /// What answers.
    pub version: VersionSpec,
}

/// Whose keys open a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// This deployment's keys, and its project's.
    #[default]
    Keys,
    /// Any key of the project.
    Project,
    /// Any valid key.
    Instance,
    /// No key needed; one that is presented is checked all the same.
    Public,
}

/// An immutable configuration of a deployment.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct VersionSpec {
    /// What model this is, in the operator's words.
    pub model: String,
    /// The model's parameters; stored and shown.
    pub parameters: Parameters,
    /// What applications send, as an example; stored, shown, and what callers' description of the
    /// deployment is made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_example: Option<Example>,
    /// What they get for it; likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_example: Option<Example>,
    /// Free text; stored and shown.
    pub notes: String,
    /// Stored and shown.
    pub image: String,
    /// Stored and shown.
    pub hardware: String,
    /// Stored and shown.
    pub optimization: String,
    /// Stored and shown.
    pub instances: Option<u32>,
    /// Stored and shown.
    pub arch: String,
    /// Stored and shown.
    pub labels: BTreeMap<String, String>,
    /// The pool whose answer the client gets.
    pub main: PoolSpec,
    /// The pool that gets a copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenger: Option<ChallengerSpec>,
    /// Whether a challenger that is surely as good as declared is made main, as a new version.
    #[serde(skip_serializing_if = "is_off")]
    pub auto_promote: bool,
    /// Whether a challenger that is surely worse than declared gets no more copies.
    #[serde(skip_serializing_if = "is_off")]
    pub auto_stop: bool,
    /// How long each part of an exchange may take.
    pub timeouts: TimeoutsSpec,
    /// How long a deploy waits for the main backends.
    #[serde(skip_serializing_if = "ReadinessSpec::is_default")]
    pub readiness: ReadinessSpec,
    /// What each main backend has to answer before the version goes live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<WarmUpSpec>,
}

/// Backends that serve the same model the same way.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PoolSpec {
    /// At least one.
    pub backends: Vec<BackendSpec>,
    /// Where a predict request without a tail goes. Starts with `/`.
    pub predict_path: String,
    /// Where a stream request without a tail goes. Starts with `/`.
    pub stream_path: String,
    /// Given: 2xx there means ready. Not given: any answer below 500 to `/health` does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_path: Option<String>,
    /// Which tails are forwarded.
    pub tails: Tails,
}

/// Which `/{tail}` a pool forwards.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tails {
    /// Any tail.
    #[default]
    Any,
    /// Tails that are one of these, or lie below one of them by whole path segments. Kept without
    /// a leading `/`. An empty list forwards none.
    Prefixes(Vec<String>),
}

/// One address of a model server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BackendSpec {
    /// Where it listens; a path in it is put in front of every request's.
    pub url: BackendUrl,
    /// Its share beside its pool's other backends, 0 to 1,000; 0 takes no traffic.
    pub weight: u32,
    /// How it is spoken to.
    pub protocol: Protocol,
}

/// How a backend is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 with prior knowledge, in clear text.
    H2c,
    /// HTTP/2 under TLS, chosen by ALPN.
    H2,
}

/// `http(s)://host[:port][/path]`, parsed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BackendUrl {
    tls: bool,
    host: String,
    port: u16,
    path: String,
}

/// How long each part of an exchange may take, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TimeoutsSpec {
    /// Until a connection to a backend is ready for a request, the TLS handshake included.
    pub connect_ms: u64,
    /// From the request sent until the head of the answer.
    pub first_byte_ms: u64,
    /// Between two pieces of a body, either way.
    pub idle_ms: u64,
    /// For the whole exchange.
    pub total_ms: u64,
}

/// Why a text is no backend address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackendUrlError {
    /// Not of the form `http://host[:port][/path]`, nor the same with `https`.
    #[error(
        "{0:?} is not a backend address: write http://host:port or https://host:port, with a path behind it if wanted"
    )]
    Form(String),
    /// A query, a fragment or user information.
    #[error("{0:?}: a backend address has no query, fragment or user name")]
    Extra(String),
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_off(flag: &bool) -> bool {
    !flag
}

// === impl Protocol ===

impl Protocol {
    /// Whether it is HTTP/2, over whatever carries it.
    pub fn is_h2(self) -> bool {
        matches!(self, Self::H2c | Self::H2)
    }

    /// Whether it can be spoken at an address, which says by its scheme if there is TLS.
    ///
    /// # Errors
    /// Why not, and what to write.
    pub fn check(self, url: &BackendUrl) -> Result<(), &'static str> {
        match (self, url.is_tls()) {
            (Self::H2c, true) => {
                Err("\"h2c\" is HTTP/2 in clear text; at an https address write \"h2\"")
            }
            (Self::H2, false) => Err(
                "\"h2\" is HTTP/2 under TLS; at an http address write \"h2c\", or make it https",
            ),
            (Self::Http1, _) | (Self::H2c, false) | (Self::H2, true) => Ok(()),
        }
    }
}

// === impl BackendUrl ===

impl BackendUrl {
    /// Parses `http(s)://host[:port][/path]`; the port is the scheme's when none is given, and a
    /// trailing `/` of the path is dropped, since every request's path brings its own.
    ///
    /// # Errors
    /// [`BackendUrlError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, BackendUrlError> {
        let form = || BackendUrlError::Form(text.chars().take(200).collect());
        let uri: http::Uri = text.parse().map_err(|_| form())?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(form()),
        };
        let authority = uri.authority().ok_or_else(form)?;
        if authority.as_str().contains('@') || uri.query().is_some() || text.contains('#') {
            return Err(BackendUrlError::Extra(text.to_owned()));
        }
        // `Uri::port` answers `None` for a port that is out of range, as if there were none.
        let port = match &authority.as_str()[authority.host().len()..] {
            "" => Some(default_port(tls)),
            // A number's parser takes a leading `+`, too.
            rest if rest.contains('+') => None,
            rest => rest[1..].parse().ok().filter(|&port: &u16| port != 0),
        };
        let path = uri.path().trim_end_matches('/');
        let plain = path.bytes().all(|b| b.is_ascii_graphic()) && !authority.host().is_empty();
        let host = authority.host().to_ascii_lowercase();
        match port {
            Some(port) if plain => Ok(Self {
                tls,
                host,
                port,
                path: path.to_owned(),
            }),
            _ => Err(form()),
        }
    }

    /// Whether TLS is spoken there.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// The host as written, lower-cased; an IPv6 address keeps its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host as an address, when it is one and no name has to be looked up.
    pub fn ip(&self) -> Option<IpAddr> {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        bare.parse().ok()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What is put in front of every request's path: empty, or `/...` without a trailing `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// `host:port`, as the `Host` header carries it; the port is left out when it is the
    /// scheme's own.
    pub fn authority(&self) -> String {
        if self.port == default_port(self.tls) {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

impl fmt::Display for BackendUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.scheme();
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

impl fmt::Debug for BackendUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for BackendUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

// === impl Tails ===

impl Tails {
    /// Whether `tail` (without its leading `/`, already normalised) may be forwarded.
    pub fn allow(&self, tail: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Prefixes(prefixes) => prefixes.iter().any(|prefix| {
                tail.strip_prefix(prefix.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }),
        }
    }
}

impl Serialize for Tails {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Any => serializer.serialize_str("any"),
            Self::Prefixes(prefixes) => prefixes.serialize(serializer),
        }
    }
}

// === defaults, one place ===

impl Default for TimeoutsSpec {
    fn default() -> Self {
        Self {
            connect_ms: 2_000,
            first_byte_ms: 60_000,
            idle_ms: 60_000,
            total_ms: 600_000,
        }
    }
}

impl Default for PoolSpec {
    fn default() -> Self {
        Self {
            backends: Vec::new(),
            predict_path: "/predict".to_owned(),
            stream_path: "/stream".to_owned(),
            health_path: None,
            tails: Tails::Any,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backend_addresses() {
        let parsed = |text| BackendUrl::parse(text).map(|url| (url.to_string(), url.port()));
        for (text, shown, port) in [
            ("http://127.0.0.1:9001", "http://127.0.0.1:9001", 9001),
            ("http://Model.Local/", "http://model.local", 80),
            ("http://m:8080/a/b/", "http://m:8080/a/b", 8080),
            ("http://[::1]:9001", "http://[::1]:9001", 9001),
            ("http://m:443", "http://m:443", 443),
            ("https://m", "https://m", 443),
            ("HTTPS://M:443/", "https://m", 443),
            ("https://m:0443/a/", "https://m/a", 443),
            ("https://m:80", "https://m:80", 80),
            ("https://[::1]:8443/a", "https://[::1]:8443/a", 8443),
        ] {
            assert_eq!(parsed(text), Ok((shown.to_owned(), port)), "{text}");
        }
        for bad in [
            "",
            "127.0.0.1:9001",
            "http://",
            "ftp://m",
            "http://m:0",
            "http://m:99999",
            "http://m:",
            "http://m:+80",
            "http://u@m",
            "http://m?q",
            "http://m/#f",
            "https://",
            "https://m:0",
            "https://u:p@m",
            "https://m?q",
            "httpss://m",
        ] {
            assert!(BackendUrl::parse(bad).is_err(), "{bad}");
        }
        let ip = |text| BackendUrl::parse(text).expect("good").ip();
        assert!(ip("http://[::1]:9001").is_some() && ip("http://model").is_none());
        let good = |text| BackendUrl::parse(text).expect("good");
        assert_ne!(good("http://m:443"), good("https://m:443"));
        assert_eq!(good("https://m:443").authority(), "m");
        assert_eq!(good("https://m:80").authority(), "m:80");
    }

    #[test]
    fn a_protocol_fits_to_its_scheme() {
        for (protocol, url, fits) in [
            (Protocol::Http1, "http://m", true),
            (Protocol::Http1, "https://m", true),
            (Protocol::H2c, "http://m", true),
            (Protocol::H2c, "https://m", false),
            (Protocol::H2, "http://m", false),
            (Protocol::H2, "https://m", true),
        ] {
            let url = BackendUrl::parse(url).expect("good");
            assert_eq!(protocol.check(&url).is_ok(), fits, "{protocol:?} {url}");
        }
    }

    #[test]
    fn tails_match_by_whole_segments() {
        let some = Tails::Prefixes(vec!["v1".into(), "a/b".into()]);
        for (tail, allowed) in [
            ("v1", true),
            ("v1/x", true),
            ("v10", false),
            ("a/b/c", true),
            ("a", false),
            ("", false),
        ] {
            assert_eq!(some.allow(tail), allowed, "{tail}");
        }
        assert!(Tails::Any.allow("x/y"));
    }
}
