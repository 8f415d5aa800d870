//! The first phase behind the look: what is being asked, from the path in normal form.

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

/// Reads what a request asks for; `path` is its path in normal form.
pub(super) fn read_call<'a, 'p>(seen: &'a Seen, path: &'p str) -> Result<Call<'a, 'p>, Fault> {
    let target = Target::parse(path).ok_or(Code::RouteUnknown)?;
    Ok(Call { target, seen })
}
