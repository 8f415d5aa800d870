//! weir, an inference gateway and router. ARCHITECTURE.md is the map.

pub mod admin;
pub mod app;
pub mod base;
pub mod cli;
pub mod config;
pub mod control;
pub mod demo;
pub mod fault;
pub mod gateway;
pub mod hook;
pub mod limit;
pub mod logs;
pub mod monitor;
pub mod net;
pub mod notify;
pub mod queue;
pub mod shadow;
pub mod snapshot;
pub mod spec;
pub mod store;
pub mod telemetry;
pub mod upstream;
pub mod wire;
