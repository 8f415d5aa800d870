//! Async requests: accepted now, run later, fetched by id.
//!
//! ```text
//! gateway ──submit──▶ intake ──one commit for all that wait──▶ store ──▶ 202
//!                                                                │
//! schedule: lanes of (deployment, key), in fair turns ◀──────────┘
//!     │ lease                ┌──▶ finished: answer, status, webhook, in one commit
//!     ▼                      │
//! gateway's runner ──attempt─┼──▶ again later: backoff
//!     └ recording ──▶ followers, result
//! ```
//!
//! The store is the truth; what is in memory is an order over what it holds, and can be read from
//! it again.

mod backoff;
mod caps;
mod document;
mod end;
mod held;
mod intake;
mod load;
mod look;
mod meters;
mod operate;
mod options;
mod plane;
mod pump;
mod recording;
mod request;
mod room;
mod schedule;
mod spill;
mod sse;
mod submit;
#[cfg(test)]
mod tests;
pub mod webhook;
mod work;

pub use document::{Document, Language, document};
pub use end::Cancelled;
pub use held::{Held, Stop, Work};
pub use look::{Answer, AnswerContent, Page};
pub use operate::Retried;
pub use options::QueueOptions;
pub use plane::{Figures, Queue};
pub use pump::{Pump, Works};
pub use recording::{Follower, GivenUp, RecordError, Recorder, Recording};
pub use request::{
    Accepted, Ended, HeaderText, Reason, Request, Told, read_headers, write_headers,
};
pub use spill::{
    INLINE_BYTES_MAX, Opener, Spill, SpillBody, SpillError, SpillFile, SpillName, Swept,
};
#[cfg(any(test, fuzzing))]
pub use sse::any_stream_holds;
pub use sse::{EventEnds, end_of_event};
pub use submit::{Refused, Reserved, Submission, Submitted};
pub use webhook::{WebhookOptions, Webhooks};
pub use work::{Answered, Attempted, Failure, may_be_retried};
