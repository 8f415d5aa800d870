//! The HTTP/1.1 leg to a backend, inline in the task that serves the client: no second task, no
//! channel between.
//!
//! ```text
//! encode ──▶ one send ──▶ exchange (both directions at once) ──▶ head ──▶ body ──▶ parked
//! ```

#[cfg(any(test, fuzzing))]
pub mod answers;
pub mod body;
pub mod decode;
pub mod encode;
pub mod exchange;
pub mod head;
mod read;

use std::cell::RefCell;

thread_local! {
    /// Where a request's head is put together, with a small body behind it.
    static WRITE: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(4 * 1024));
}
