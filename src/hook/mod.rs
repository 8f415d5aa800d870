//! Telling receivers over HTTP, after Standard Webhooks: what a webhook needs whatever it tells of.
//!
//! ```text
//! turns, by lane and time ──▶ url ──▶ guard ──▶ TLS ──▶ signed POST ──▶ status
//!     ▲                                                                   │
//!     └────────────── schedule: when it is tried again ◀─────────────────┘
//! ```
//!
//! What is told, to whom, and what is kept of it, is its users' to say.

mod lanes;
mod schedule;
mod send;
mod signer;
mod tls;
mod url;

pub(crate) use lanes::{Lanes, lane_of};
pub use schedule::pauses_from;
pub(crate) use schedule::{PAUSES_MS, pause_ms};
pub(crate) use send::{Message, SendError, Sender};
pub use signer::Signer;
pub(crate) use signer::sign;
pub use tls::TlsError;
pub(crate) use tls::connector;
pub use url::{UrlError, WebhookUrl, check_url};
