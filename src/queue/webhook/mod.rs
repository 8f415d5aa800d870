//! Webhooks: whoever is to know of a request's end is told, after Standard Webhooks.
//!
//! ```text
//! a request's end ──one commit──▶ note (of) and its turn (due)
//!                                              │ run: what is due, so many at once and of a host
//!                 ┌─ again: later, with jitter ─┤
//!                 ▼                            ▼
//!                due                     signed POST ──▶ receiver
//!                                              │ 2xx, 410, or the last attempt
//!                                              ▼
//!                                   log, until the request is forgotten (end)
//! ```
//!
//! Each arrow between records is one commit, fenced by the note's revision: whatever is killed, one
//! turn is left, so that a receiver is told at least once. A repetition carries the same
//! `webhook-id`. What a receiver is told is the status document and never the answer.

mod deliver;
mod note;
mod options;
mod payload;
#[cfg(test)]
mod tests;

pub use crate::hook::{Attempt, DeliveryState};
pub use deliver::Webhooks;
pub use note::{Delivery, Notice, delivery, note};
pub use options::WebhookOptions;
