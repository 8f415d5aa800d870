//! The first phase: what is being asked, from the head of the request alone.

use http::{HeaderMap, Version, request::Parts};

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

impl Call<'_, '_> {
    /// Whether the answer is wanted later.
    pub(super) fn is_async(&self) -> bool {
        let wish = self.headers.get(headers::X_ASYNC_REQUEST);
        wish.is_some_and(|wish| wish.as_bytes().trim_ascii().eq_ignore_ascii_case(b"true"))
    }
}

/// Reads a request's head; `path` is its path in normal form.
pub(super) fn read_call<'a, 'p>(parts: &'a Parts, path: &'p str) -> Result<Call<'a, 'p>, Fault> {
    if parts.version == Version::HTTP_11 && !headers::has_one_host(&parts.headers) {
        return Err(Code::RequestMalformed.into());
    }
    let target = Target::parse(path).ok_or(Code::RouteUnknown)?;
    Ok(Call {
        target,
        presented: headers::presented_key(&parts.headers),
        headers: &parts.headers,
    })
}
