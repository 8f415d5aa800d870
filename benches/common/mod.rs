//! What the benchmarks that start processes share: children, load, model, meter, tables.

#![allow(dead_code, reason = "each benchmark uses the parts that it needs")]

pub(crate) mod child;
pub(crate) mod dial;
pub(crate) mod load;
pub(crate) mod meter;
pub(crate) mod model;
pub(crate) mod scrape;
pub(crate) mod start;
pub(crate) mod table;
pub(crate) mod ticker;
pub(crate) mod wire;

/// What can fail here ends the run, so its words are all that counts.
pub(crate) type Checked<T> = Result<T, Box<dyn std::error::Error>>;
