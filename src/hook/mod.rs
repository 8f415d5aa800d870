//! Telling receivers over HTTP, after Standard Webhooks: what a webhook needs whatever it tells of.
//!
//! ```text
//! turns, by lane and time ──▶ url ──▶ guard ──▶ TLS ──▶ signed POST ──▶ status
//!     ▲                                                                   │
//!     └────────────── schedule: when it is tried again ◀─────────────────┘
//! ```
//!
//! What is told, to whom, and what is kept of it, is its users' to say.

mod delivery;
mod lanes;
mod schedule;
mod send;
mod signer;
#[cfg(test)]
pub(crate) mod testing;
mod tls;
mod turns;
mod url;

pub(crate) use delivery::Verdict;
pub use delivery::{Attempt, DeliveryState};
#[cfg(test)]
pub(crate) use lanes::lane_of;
pub use schedule::pauses_from;
pub(crate) use schedule::{PAUSES_MS, pause_ms};
pub(crate) use send::Sender;
pub use signer::Signer;
#[cfg(test)]
pub(crate) use signer::sign;
pub use tls::TlsError;
pub(crate) use tls::connector;
pub(crate) use turns::{DARK_MIN, Turn, Turns, drop_turn, take_all, turn_key, write_down};
pub use url::{UrlError, WebhookUrl, check_url};
