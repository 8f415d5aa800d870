//! Backends and the way to them: pools, the choice of a backend, health, ejection, connections.
//!
//! ```text
//! Pool ──pick──▶ Backend ──lease──▶ Connections (one set per worker) ──▶ h1 | h2 ──▶ Answer
//!   ▲ ejection, retry budget  ▲ load, latency, health: atomics that outlive snapshots
//! ```

pub mod answer;
pub mod backend;
pub mod breaker;
pub mod budget;
pub mod connections;
pub mod deliver;
pub mod error;
pub mod ewma;
pub mod h1;
pub mod h2;
pub mod pool;
pub mod rate;
pub mod request;
pub mod upload;
