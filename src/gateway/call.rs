//! The first phase: what is being asked, from the head of the request alone.

use http::{Version, request::Parts};

use super::seen::Seen;
use crate::{
    fault::{Code, Fault},
    wire::target::Target,
};

/// Headers in one head. hyper sees to it for HTTP/1, and for HTTP/2 to their size alone.
const HEADERS_MAX: usize = 100;

/// A request whose path names a deployment.
pub(super) struct Call<'a, 'p> {
    pub(super) target: Target<'p>,
    pub(super) seen: &'a Seen,
}

/// Reads a request's head; `path` is its path in normal form.
pub(super) fn read_call<'a, 'p>(
    seen: &'a Seen,
    parts: &Parts,
    path: &'p str,
) -> Result<Call<'a, 'p>, Fault> {
    check_head(seen, parts)?;
    let target = Target::parse(path).ok_or(Code::RouteUnknown)?;
    Ok(Call { target, seen })
}

/// Whether a head keeps the rules that hold for each, whatever it asks for.
pub(super) fn check_head(seen: &Seen, parts: &Parts) -> Result<(), Fault> {
    if parts.version == Version::HTTP_11 && !seen.has_one_host {
        return Err(Code::RequestMalformed.into());
    }
    if parts.headers.len() > HEADERS_MAX {
        return Err(Code::HeadTooLarge.into());
    }
    Ok(())
}
