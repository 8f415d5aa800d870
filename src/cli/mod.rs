//! The commands of the binary, one file each.

pub mod sample_model;

mod check;

pub use check::check;
