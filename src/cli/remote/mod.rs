//! The way to a gateway: every command but those that serve speaks the admin API and nothing else.
//!
//! ```text
//! flags, environment, contexts ──▶ Options ──open──▶ Session ─┬─ client: calls, each an answer or a Failure
//!                                                            ├─ out: results, as tables or JSON
//!                                                            └─ say: progress and notes, on standard error
//! ```

mod address;
mod client;
mod contexts;
mod names;
mod options;
mod problem;
mod shown;
#[cfg(test)]
pub(super) mod tests;
mod tls;
mod unreached;

pub(super) use address::{address, check_token};
pub(super) use client::{Answer, Call, Client};
pub(super) use contexts::{Context, Contexts, unknown as unknown_context};
pub(super) use names::{escaped, path_of};
pub(super) use options::{Options, OutputFormat};
pub(super) use shown::{ending, last_used, some_of, text, texts, when};

use super::{
    failure::Failure,
    terminal::{Out, Sure, confirmed},
};

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

    /// Makes a call that can't be undone, once the question is answered with yes. What the gateway
    /// would refuse anyway it refuses before anybody is asked.
    ///
    /// # Errors
    /// As [`Client::send`]; when the answer is not yes.
    pub(super) fn send_if(
        &self,
        call: Call,
        question: &str,
        sure: Sure,
    ) -> Result<Answer, Failure> {
        if !sure.yes {
            self.client.send(call.clone().dry_run())?;
            confirmed(question, sure.yes)?;
        }
        self.client.send(call)
    }
}
