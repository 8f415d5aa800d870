//! What everything stands on: names and ids, secrets, the clock, chance, numbers as bytes, text of others
//! made harmless, and the one way to spawn.

pub mod async_id;
pub mod chance;
pub mod clock;
pub mod draw;
pub mod harm;
pub mod id;
pub mod memory;
pub mod name;
pub mod secret;
pub mod task;
pub mod trust;
pub mod varint;
