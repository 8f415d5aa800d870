//! The control plane: the only writer of what is in force, and everything slow.
//!
//! ```text
//! file ──read──▶ Declarations ──declare──▶ build ──▶ Current ◀── workers
//!                                 probes ──▶ Backend.health ◀┘
//! ```

pub mod access_log;
pub mod declare;
pub mod probe;
pub mod review;
pub mod source;
