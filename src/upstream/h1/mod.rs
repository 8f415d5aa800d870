//! The HTTP/1.1 leg to a backend, inline in the task that serves the client: no second task, no
//! channel between.
//!
//! ```text
//! encode ──▶ one send ──▶ exchange (both directions at once) ──▶ head ──▶ body ──▶ parked
//! ```

pub mod body;
pub mod decode;
pub mod encode;
pub mod exchange;
pub mod head;

use std::cell::RefCell;

/// What one read can bring. An idle stream holds no buffer of ours: bytes are read here, and only
/// what arrived is copied out. Larger bodies are read into buffers of their own.
pub const SCRATCH_BYTES: usize = 16 * 1024;

thread_local! {
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
    static WRITE: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(4 * 1024));
}
