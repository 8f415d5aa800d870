//! What stands behind each command of the binary.

pub mod sample_model;
