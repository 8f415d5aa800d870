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
    /// A future whose panic is its output. Written out, because an `async fn` would hold the future
    /// twice: once as its argument, once where it is polled.
    pub struct Caught<F> {
        name: &'static str,
        #[pin]
        future: F,
    }
}

/// A future panicked; the log says where and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panicked;

/// Lets a panic of `future` end it alone. What it borrowed may be half changed then, and is only to
/// be dropped or answered from.
pub fn caught<F: Future>(name: &'static str, future: F) -> Caught<F> {
    Caught { name, future }
}

/// The same for what runs at once.
///
/// # Errors
/// [`Panicked`].
pub fn attempt<T>(name: &'static str, run: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        tracing::error!(task = name, panic = words(&*panic), "panicked");
        Panicked
    })
}

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let future = this.future;
        match attempt(this.name, || future.poll(cx)) {
            Ok(polled) => polled.map(Ok),
            Err(Panicked) => Poll::Ready(Err(Panicked)),
        }
    }
}

pin_project! {
    /// A task that ends itself alone when it panics.
    struct Guarded<F> {
        #[pin]
        task: Caught<F>,
    }
}

fn guarded<F: Future<Output = ()>>(name: &'static str, task: F) -> Guarded<F> {
    Guarded {
        task: caught(name, task),
    }
}

impl<F: Future<Output = ()>> Future for Guarded<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().task.poll(cx).map(|_| ())
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
        let caught = caught("panics", async { panic!("on purpose") }).await;
        assert_eq!(caught, Err::<(), _>(Panicked));
        assert_eq!(
            attempt("panics", || panic!("on purpose")),
            Err::<(), _>(Panicked)
        );
        assert_eq!(attempt("does not", || 7), Ok(7));
    }
}
