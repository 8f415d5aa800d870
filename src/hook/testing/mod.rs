//! Receivers and stores that fail as they are told, for whoever tells somebody something.

pub(crate) mod receiver;
pub(crate) mod store;

use std::{future::Future, time::Duration};

/// However slow the machine is, it is not this slow.
pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    let timed = tokio::time::timeout(Duration::from_secs(60), future).await;
    timed.unwrap_or_else(|_| panic!("{what} does not happen"))
}
