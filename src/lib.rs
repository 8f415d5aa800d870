//! weir, an inference gateway and router. ARCHITECTURE.md is the map.

pub mod base;
pub mod cli;
pub mod demo;
pub mod spec;
