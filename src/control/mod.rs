//! The control plane: the only writer of what is stored and of what is in force, and everything slow.
//!
//! ```text
//! admin ─┐            ┌─▶ store: compare-and-set, fsync
//! file ──┼─▶ Control ─┤
//! tasks ─┘            └─▶ state ─▶ build ─▶ Current ◀── workers
//!                              probes ─▶ Backend.health ◀┘
//! ```
//!
//! `plane` is the way of every change; `record` what is kept; `state` what is known by heart. What
//! people ask for is in a file of its name, and `runner` does what takes time.

pub mod access;
pub mod access_log;
mod ask;
mod audit;
mod declare;
mod deployments;
pub mod error;
mod events;
mod keys;
mod lifecycle;
mod limits;
mod list;
mod load;
mod people;
mod plane;
pub mod probe;
mod reach;
pub mod record;
pub mod review;
mod runner;
mod seal;
pub mod source;
mod state;
mod status;
mod tasks;
#[cfg(test)]
mod tests;
mod tidy;

pub use audit::Refusal;
pub use declare::Changes;
pub use deployments::{BackendShown, Created, DeploymentFilter, Shown};
pub use events::{Event, EventKind, Events};
pub use keys::{KeyShown, NewSecret};
pub use limits::Limits;
pub use list::{Listed, Page};
pub use load::{Parts, TokenCheck};
pub use people::{NewTokenSecret, TokenShown};
pub use plane::{Control, ControlOptions, Done, IfBusy, Intent};
pub use seal::Sealer;
pub use state::{Held, State};
pub use status::Status;
pub use tasks::TaskFilter;
