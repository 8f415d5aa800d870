//! The challenger: a bounded, lossy mirror of what main is asked.

pub mod mirror;
