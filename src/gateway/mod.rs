//! The data plane: workers, and the way of a request through them. `serve` is the page to read.
//!
//! ```text
//! worker ──accept──▶ connection ──▶ serve: look ▶ admit ▶ route ▶ limits ▶ turn ▶ dispatch ▶ respond
//!    │ levels arrivals                            └─── snapshot ────┘
//!    └ ticks: deadlines, hang-ups, idle connections, outcomes
//! ```

mod admit;
mod call;
mod connection;
mod dispatch;
mod exchange;
mod health;
mod later;
mod levelling;
mod limits;
mod local;
mod look;
mod respond;
mod route;
mod secure;
mod seen;
mod serve;
mod shed;
mod sniff;
mod turn;
mod worker;

pub use later::Runner;
pub use levelling::{Handed, Levelling};
pub use local::GatewayOptions;
#[cfg(any(test, fuzzing))]
pub use seen::any_headers_hold;
pub use worker::{Figures, Shared, Worker};
