//! The one way to spawn: a task has a name, its panic is logged and ends it alone, and it ends
//! with its runtime.

use std::{
    any::Any,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

use tokio::task::JoinHandle;

/// Spawns on the runtime of this thread; what runs need not be `Send`. Dropping the handle leaves
/// the task running; dropping the runtime ends it.
///
/// # Panics
/// Outside a `LocalRuntime`.
#[expect(clippy::disallowed_methods, reason = "this is the helper that spawns")]
pub fn spawn_local(name: &'static str, task: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
    tokio::task::spawn_local(guarded(name, task))
}

/// Spawns on the multi-threaded runtime of the control plane.
///
/// # Panics
/// Outside a runtime.
#[expect(clippy::disallowed_methods, reason = "this is the helper that spawns")]
pub fn spawn(
    name: &'static str,
    task: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
    tokio::spawn(guarded(name, task))
}

async fn guarded(name: &'static str, task: impl Future<Output = ()>) {
    let mut task = pin!(task);
    poll_fn(|cx| {
        // What the task holds is dropped with it and never looked at again.
        catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(cx))).unwrap_or_else(|panic| {
            tracing::error!(task = name, panic = words(&*panic), "task panicked");
            Poll::Ready(())
        })
    })
    .await;
}

fn words(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without words")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_its_task_alone() {
        let ended = spawn("panics", async { panic!("on purpose") }).await;
        assert!(ended.is_ok());
    }
}
