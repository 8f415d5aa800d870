//! The one way to spawn: a task has a name, its panic is logged and ends it alone, and it ends
//! with its runtime.

use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
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

pin_project! {
    /// A task that ends itself alone when it panics. Written out, because an `async fn` would hold
    /// the task twice: once as its argument, once where it is polled.
    struct Guarded<F> {
        name: &'static str,
        #[pin]
        task: F,
    }
}

fn guarded<F: Future<Output = ()>>(name: &'static str, task: F) -> Guarded<F> {
    Guarded { name, task }
}

impl<F: Future<Output = ()>> Future for Guarded<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let (name, task) = (*this.name, this.task);
        // What the task holds is dropped with it and never looked at again.
        catch_unwind(AssertUnwindSafe(|| task.poll(cx))).unwrap_or_else(|panic| {
            tracing::error!(task = name, panic = words(&*panic), "task panicked");
            Poll::Ready(())
        })
    }
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
