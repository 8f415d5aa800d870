//! The commands of the binary, one file each.

mod check;

pub use check::check;
