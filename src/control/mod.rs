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
mod callers;
mod changed;
mod declare;
mod declared_keys;
mod declared_projects;
mod deployments;
mod easing;
pub mod error;
mod events;
mod heard;
mod kept;
mod keys;
mod leaving;
mod lifecycle;
mod limits;
mod list;
mod listing;
mod load;
pub mod logs;
mod outbox;
mod plane;
mod pools;
pub mod probe;
mod projects;
mod quotas;
mod reach;
pub mod record;
mod requests;
pub mod review;
mod runner;
mod seal;
mod shares;
pub mod source;
mod state;
mod status;
mod subscriptions;
mod swap;
mod tasks;
mod tenants;
#[cfg(test)]
mod tests;
mod tidy;
mod tokens;
mod verdicts;

pub use audit::Refusal;
pub use declare::Changes;
pub use deployments::{BackendShown, ChallengerShown, Created, Shown};
pub use events::{Event, EventKind, Events};
pub use keys::{KeyShown, NewSecret};
pub use limits::Limits;
pub use list::{Listed, Page};
pub use listing::DeploymentFilter;
pub use load::{Parts, TokenCheck};
pub use plane::{Control, ControlOptions, Done, IfBusy, Intent};
pub use requests::{QueueDeed, Webhook};
pub use seal::Sealer;
pub use state::{Held, State};
pub use status::{InShort, Status};
pub use tasks::TaskFilter;
pub use tokens::{NewTokenSecret, TokenShown};
