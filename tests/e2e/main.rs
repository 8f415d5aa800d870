//! The data plane from outside: the built binary, real sockets, backends that stall, tear, lie and
//! flood. Modules are named for what users are promised.
//!
//! `WEIR_BIN` names another binary to test; `WEIR_FULL=1` runs the long forms.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed test is what unwrap and panic are for, in helpers too"
)]

mod support;

mod addresses;
mod balance;
mod broken;
mod bytes;
mod copies;
mod declarations;
mod demo;
mod framing;
mod h2;
mod hangup;
mod headers;
mod health;
mod keys;
mod lies;
mod life;
mod limits;
mod memory;
mod messages;
mod metrics;
mod mirror;
mod pipelining;
mod retries;
mod routing;
mod stalls;
mod swap;
mod timeouts;
