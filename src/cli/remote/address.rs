//! Where a gateway's admin API is, and what opens it: what can be told of both before anything is sent.

use std::net::IpAddr;

use http::Uri;

use crate::cli::failure::Failure;

/// The address of a gateway's admin API, without the slash at its end.
///
/// # Errors
/// When it is none.
pub(in crate::cli) fn address(url: &str) -> Result<(&str, Uri), Failure> {
    let base = url.trim_end_matches('/');
    let parsed = base.parse::<Uri>().ok().filter(|uri| {
        let is_ours = matches!(uri.scheme_str(), Some("http" | "https"));
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        // What a port is not would be left out without a word; a password would stand in exports.
        let has_port = match authority.rsplit_once(':') {
            Some((_, port)) if !port.ends_with(']') => port.parse::<u16>().is_ok_and(|n| n > 0),
            _ => true,
        };
        let is_plain = !authority.contains('@') && !base.contains('#');
        is_ours && is_plain && has_port && uri.host().is_some() && uri.query().is_none()
    });
    match parsed {
        Some(parsed) => Ok((base, parsed)),
        None => Err(
            Failure::usage(format_args!("{url:?} is no address of a gateway"))
                .hint("such as http://127.0.0.1:8081"),
        ),
    }
}

/// Refuses what can be no admin token.
///
/// # Errors
/// When it holds what no token does.
pub(in crate::cli) fn check_token(token: &str) -> Result<(), Failure> {
    match !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(()),
        false => Err(Failure::usage("the admin token holds what no token does")),
    }
}

/// Whether an address is of this machine alone.
pub(super) fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or("");
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_name = host.eq_ignore_ascii_case("localhost");
    is_name || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
