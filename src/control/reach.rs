//! Reaching the backends of a version that is to go live, beside the ones that serve.
//!
//! ```text
//! every main backend with a weight:  ask for its health ──ready──▶ warm up ──expected status──▶ in
//!                                        │ unreachable, or not ready: again after a pause
//!                                        └ for too long: the reason, for people
//! ```
//!
//! The challenger is not waited for: what main answers must not depend on it.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use http::Method;
use tokio::time::{Instant, sleep};

use super::ask::{Question, health};
use crate::{
    net::way::Way,
    spec::{BackendSpec, PoolSpec, VersionSpec, WarmUpMethod, WarmUpSpec},
};

/// The first pause between two tries; each is half as long again as the one before.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(3_000);

/// How long backends are waited for, in milliseconds; 0: no limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReachOptions {
    /// While one can't be reached.
    pub(super) unreachable_ms: u64,
    /// While one is reached and not ready.
    pub(super) ready_ms: u64,
    /// For one answer.
    pub(super) probe_timeout_ms: u64,
}

/// Is told the phase, and what stands against its end.
pub(super) type Progress<'a> = dyn Fn(&str, Option<String>) + Send + Sync + 'a;

/// Waits until every main backend is ready and warm.
///
/// # Errors
/// Why that can't be waited for any longer.
///
/// # Cancellation
/// Closes its connections.
pub(super) async fn reach(
    version: &VersionSpec,
    options: &ReachOptions,
    way: &Way,
    progress: &Progress<'_>,
) -> Result<(), String> {
    let pool = &version.main;
    let wanted = || pool.backends.iter().filter(|backend| backend.weight > 0);
    progress("waiting for readiness", None);
    let ready = wanted().map(|backend| until_ready(pool, backend, options, way, progress));
    try_join_all(ready).await?;
    if let Some(warm_up) = &version.warm_up {
        progress("warming up", None);
        let warm = wanted().map(|backend| warm(warm_up, backend, way));
        try_join_all(warm).await?;
    }
    Ok(())
}

async fn until_ready(
    pool: &PoolSpec,
    backend: &BackendSpec,
    options: &ReachOptions,
    way: &Way,
    progress: &Progress<'_>,
) -> Result<(), String> {
    let url = &backend.url;
    let began = Instant::now();
    let mut unreached_since = began;
    let mut reached_since = None;
    let mut pause = PAUSE_MIN;
    let mut tries = 0;
    loop {
        tries += 1;
        let asked = health(
            url,
            backend.protocol,
            pool.health_path.as_deref(),
            options.probe_timeout_ms,
            way,
        );
        let Err(silence) = asked.await else {
            return Ok(());
        };
        let (since, limit_ms) = if silence.reached {
            unreached_since = Instant::now();
            (
                *reached_since.get_or_insert(unreached_since),
                options.ready_ms,
            )
        } else {
            (unreached_since, options.unreachable_ms)
        };
        let limit = Duration::from_millis(limit_ms);
        let seconds = began.elapsed().as_secs_f64().round();
        let reason = format!(
            "main backend {url}: {}, {tries} {} in {seconds} s",
            silence.words,
            if tries == 1 { "try" } else { "tries" }
        );
        let left = limit.saturating_sub(since.elapsed());
        if limit_ms > 0 && left.is_zero() {
            return Err(reason);
        }
        progress("waiting for readiness", Some(reason));
        sleep(if limit_ms > 0 { pause.min(left) } else { pause }).await;
        pause = (pause * 3 / 2).min(PAUSE_MAX);
    }
}

async fn warm(warm_up: &WarmUpSpec, backend: &BackendSpec, way: &Way) -> Result<(), String> {
    let body = || (&*warm_up.content_type, Bytes::from(warm_up.body.clone()));
    let question = Question {
        url: &backend.url,
        protocol: backend.protocol,
        path: &warm_up.path,
        method: match warm_up.method {
            WarmUpMethod::Get => Method::GET,
            WarmUpMethod::Post => Method::POST,
        },
        body: (warm_up.method == WarmUpMethod::Post).then(body),
        timeout_ms: warm_up.timeout_ms,
        whole: true,
    };
    let failed =
        |words: String| format!("main backend {}: the warm-up request: {words}", backend.url);
    match question.ask(way).await {
        Ok(status) if status.as_u16() == warm_up.expect_status => Ok(()),
        Ok(status) => Err(failed(format!(
            "{} answered {}, expected {}",
            warm_up.path,
            status.as_u16(),
            warm_up.expect_status
        ))),
        Err(silence) => Err(failed(silence.words)),
    }
}
