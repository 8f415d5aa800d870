//! Async requests as clients see them: accepted here, fetched here.

mod attempt;
mod fetch;
mod fetched;
mod keep;
mod list;
mod query;
mod ranges;
mod result;
mod run;
mod submit;
mod wishes;

pub(super) use fetch::fetch;
pub(super) use fetched::{Broken, Fetched, FetchedBody, KeptBody};
pub use run::Runner;
pub(super) use submit::{Asked, submit};
