//! How much may be asked: of one API key, of one deployment, of its backends.
//!
//! ```text
//! request ──▶ Limiter of the key, Limiter of the deployment ──▶ Gate of the deployment ──▶ backends
//!             rate, bytes, quota, concurrency: 429              full, no turn in time: 503
//! ```

mod day;
mod gate;
mod gcra;
mod limiter;

pub use day::{DayCount, day_of};
pub use gate::{Entry, Gate, GateStanding, NoTurn, Turn, TurnedAway, Waiting, Why};
pub use gcra::Allowance;
pub use limiter::{Arrival, Exceeded, Kept, Limiter, Permit, Quota, Refusals, Standing};
