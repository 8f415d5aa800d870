//! The first phase: what is being asked, from the head of the request alone.

use http::{HeaderMap, request::Parts};

use crate::{
    fault::{Code, Fault},
    wire::{
        headers::{self, Presented},
        target::Target,
    },
};

/// A request whose path names a deployment.
pub(super) struct Call<'a, 'p> {
    pub(super) target: Target<'p>,
    pub(super) headers: &'a HeaderMap,
    pub(super) presented: Presented<'a>,
}

/// Reads a request's head; `path` is its path in normal form.
pub(super) fn read_call<'a, 'p>(parts: &'a Parts, path: &'p str) -> Result<Call<'a, 'p>, Fault> {
    let target = Target::parse(path).ok_or(Code::RouteUnknown)?;
    if let Some(wish) = parts.headers.get(headers::X_ASYNC_REQUEST)
        && wish.as_bytes().trim_ascii().eq_ignore_ascii_case(b"true")
    {
        // Answering at once what was asked for later would break the caller in another place.
        return Err(Code::AsyncUnavailable.into());
    }
    Ok(Call {
        target,
        presented: headers::presented_key(&parts.headers),
        headers: &parts.headers,
    })
}
