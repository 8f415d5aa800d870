//! The way to a gateway: every command but those that serve speaks the admin API and nothing else.
//!
//! ```text
//! flags, environment, contexts ──▶ Options ──open──▶ Session ─┬─ client: calls, each an answer or a Failure
//!                                                            ├─ out: results, as tables or JSON
//!                                                            └─ say: progress and notes, on standard error
//! ```

mod client;
mod contexts;
mod names;
mod options;
mod problem;

pub(super) use client::{Answer, Call, Client};
pub(super) use contexts::{Context, Contexts, unknown as unknown_context};
pub(super) use names::{escaped, path_of};
pub(super) use options::{Options, OutputFormat};

use super::{failure::Failure, terminal::Out};

/// A gateway that is spoken to, and where the answers go.
pub(super) struct Session {
    /// The admin API.
    pub(super) client: Client,
    /// Standard output.
    pub(super) out: Out,
}

// === impl Session ===

impl Session {
    /// Finds the gateway that is meant. Nothing is sent yet.
    ///
    /// # Errors
    /// When no token is known, a context is not, or an address is none.
    pub(super) fn open(options: &Options) -> Result<Self, Failure> {
        Ok(Self {
            client: options.client()?,
            out: options.out(),
        })
    }
}
