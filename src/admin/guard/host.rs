//! The allow-list of host names. A page can point its own name at this address (DNS rebinding) and
//! would then count as same-origin here; what it can't do is send another name than its own.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{Request, State},
    http::{StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::Guarded;
use crate::admin::problem::Problem;

/// Names under which this listener may be addressed.
#[derive(Debug, Clone, Default)]
pub(in crate::admin) struct Hosts {
    any: bool,
    names: Vec<String>,
    own: Option<IpAddr>,
}

// === impl Hosts ===

impl Hosts {
    /// The loopback names, the listener's own address, and `more`; a `*` among these allows all.
    pub(in crate::admin) fn new(listen: SocketAddr, more: &[String]) -> Self {
        let mut names: Vec<_> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
        names.extend(more.iter().map(|name| bare(name).to_ascii_lowercase()));
        Self {
            any: more.iter().any(|name| name == "*"),
            names,
            // The address of a listener on all of them is nobody's name.
            own: Some(listen.ip()).filter(|ip| !ip.is_unspecified()),
        }
    }

    /// Whether a request may be addressed to `authority`. Ports say nothing about who asks: a tunnel
    /// or a container changes them.
    pub(in crate::admin) fn allow(&self, authority: &Authority) -> bool {
        if self.any {
            return true;
        }
        let host = bare(authority.host());
        let is_own = self.own.is_some() && host.parse().ok() == self.own;
        is_own
            || self
                .names
                .iter()
                .any(|name| name.eq_ignore_ascii_case(host))
    }
}

/// A host without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// The one authority that a request is addressed to.
///
/// # Errors
/// 400 when there is none, several, or something else.
pub(super) fn authority(request: &Request) -> Result<Authority, Problem> {
    let malformed = || Problem::new(StatusCode::BAD_REQUEST, "host_malformed", "send one Host");
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let named = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(
            Authority::try_from(host.as_bytes())
                .ok()
                .filter(|authority| !authority.as_str().contains('@'))
                .ok_or_else(malformed)?,
        ),
        (None, _) => None,
        (Some(_), Some(_)) => return Err(malformed()),
    };
    match (request.uri().authority(), named) {
        // An absolute target decides (RFC 9112, section 3.2.2), but two that differ are a trick.
        (Some(target), Some(named)) if *target != named => Err(malformed()),
        (Some(target), _) => Ok(target.clone()),
        (None, Some(named)) => Ok(named),
        (None, None) => Err(malformed()),
    }
}

/// The guard itself.
pub(super) async fn check(State(plane): Guarded, request: Request, next: Next) -> Response {
    match authority(&request) {
        Err(problem) => problem.into_response(),
        Ok(authority) if plane.hosts.allow(&authority) => next.run(request).await,
        Ok(_) => Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "host_not_allowed",
            "this listener is not known by the name in Host; the setting admin.hosts allows more",
        )
        .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_allowed() {
        let listen = SocketAddr::from(([10, 0, 0, 7], 8081));
        let hosts = Hosts::new(listen, &["Weir.Example".into(), "fd00::7".into()]);
        for (host, allowed) in [
            ("localhost", true),
            ("LOCALHOST:1", true),
            ("127.0.0.1:8081", true),
            ("[::1]:8081", true),
            ("10.0.0.7", true),
            ("weir.example", true),
            ("WEIR.example:443", true),
            ("[fd00::7]:99", true),
            ("[fd00::8]", false),
            ("evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example", false),
            ("weir.example.", false),
            ("10.0.0.8", false),
            ("127.0.0.2", false),
        ] {
            let authority = Authority::try_from(host).expect(host);
            assert_eq!(hosts.allow(&authority), allowed, "{host}");
        }
        let evil = Authority::from_static("evil.example");
        assert!(Hosts::new(listen, &["*".into()]).allow(&evil));
        let all = Hosts::new(SocketAddr::from(([0, 0, 0, 0], 1)), &[]);
        assert!(!all.allow(&Authority::from_static("0.0.0.0")));
    }
}
