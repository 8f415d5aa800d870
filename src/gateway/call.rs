//! The first phase: what is being asked, from the head of the request alone.

use http::Version;

use super::seen::Seen;
use crate::{
    fault::{Code, Fault},
    wire::target::Target,
};

/// A request whose path names a deployment.
pub(super) struct Call<'a, 'p> {
    pub(super) target: Target<'p>,
    pub(super) seen: &'a Seen,
}

/// Reads a request's head; `path` is its path in normal form.
pub(super) fn read_call<'a, 'p>(
    seen: &'a Seen,
    version: Version,
    path: &'p str,
) -> Result<Call<'a, 'p>, Fault> {
    if version == Version::HTTP_11 && !seen.has_one_host {
        return Err(Code::RequestMalformed.into());
    }
    let target = Target::parse(path).ok_or(Code::RouteUnknown)?;
    Ok(Call { target, seen })
}
