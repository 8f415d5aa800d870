//! Active health: each backend in use is asked regularly whether it is ready.

use std::{
    collections::HashMap,
    future::Future,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Empty;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};

use crate::{
    base::{id::BackendId, task},
    net::{dial::dial, guard::AddressGuard},
    snapshot::Current,
    spec::Protocol,
    upstream::backend::{Backend, Health},
};

/// How backends are probed.
#[derive(Debug, Clone, Copy)]
pub struct ProbeOptions {
    /// From one round to the next, in milliseconds.
    pub interval_ms: u64,
    /// For one answer, in milliseconds.
    pub timeout_ms: u64,
    /// Bad answers in a row that make a backend unhealthy.
    pub unhealthy_after: u32,
    /// Good answers in a row that make it healthy again.
    pub healthy_after: u32,
}

/// Probes under way at once.
const PROBES_MAX: usize = 64;

/// Where a backend is asked that declares no `health_path`.
const DEFAULT_PATH: &str = "/health";

/// What a probe found.
#[derive(Debug)]
enum Finding {
    Ready,
    NotReady(String),
}

/// The machine of one backend: so many findings in a row turn it.
#[derive(Debug, Default, Clone, Copy)]
struct Streak {
    good: u32,
    bad: u32,
}

/// One backend and where it is asked.
struct Probed {
    backend: Arc<Backend>,
    path: Option<String>,
}

/// Probes every backend in use, forever.
pub async fn probe(current: Arc<Current>, options: ProbeOptions, guard: Arc<AddressGuard>) {
    let mut rounds = tokio::time::interval(Duration::from_millis(options.interval_ms));
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let streaks = Arc::new(Mutex::new(HashMap::<BackendId, Streak>::new()));
    let room = Arc::new(Semaphore::new(PROBES_MAX));
    loop {
        rounds.tick().await;
        let probed = in_use(&current);
        lock(&streaks).retain(|id, _| probed.iter().any(|probed| probed.backend.id() == *id));
        let mut round = JoinSet::new();
        for probed in probed {
            let (streaks, room) = (Arc::clone(&streaks), Arc::clone(&room));
            let guard = Arc::clone(&guard);
            round.spawn(async move {
                // The semaphore is never closed.
                let _permit = room.acquire().await;
                let finding = ask(&probed, options.timeout_ms, &guard).await;
                let streak = *lock(&streaks).entry(probed.backend.id()).or_default();
                let streak = note(&probed.backend, streak, &finding, &options);
                lock(&streaks).insert(probed.backend.id(), streak);
            });
        }
        // One that panicked has said so in the log and ends alone.
        while round.join_next().await.is_some() {}
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Counts of streaks survive a panic beside them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn in_use(current: &Current) -> Vec<Probed> {
    let snapshot = current.load_full();
    let mut seen = std::collections::HashSet::new();
    let mut probed = Vec::new();
    for route in snapshot.routes() {
        for leg in route.live().legs() {
            for member in leg.pool.members() {
                if seen.insert(member.backend.id()) {
                    probed.push(Probed {
                        backend: Arc::clone(&member.backend),
                        path: leg.health_path().map(str::to_owned),
                    });
                }
            }
        }
    }
    probed
}

/// Adds a finding to a streak, and turns the backend's health when it is long enough.
fn note(backend: &Backend, before: Streak, finding: &Finding, options: &ProbeOptions) -> Streak {
    let streak = match finding {
        Finding::Ready => Streak {
            good: before.good.saturating_add(1),
            bad: 0,
        },
        Finding::NotReady(_) => Streak {
            good: 0,
            bad: before.bad.saturating_add(1),
        },
    };
    match finding {
        // Unknown counts as healthy already, so one good answer confirms it.
        Finding::Ready
            if streak.good >= options.healthy_after || backend.health() == Health::Unknown =>
        {
            turn(backend, Health::Up, "it answered");
        }
        Finding::NotReady(reason) if streak.bad >= options.unhealthy_after => {
            turn(backend, Health::Down, reason);
        }
        _ => {}
    }
    streak
}

fn turn(backend: &Backend, health: Health, reason: &str) {
    match (backend.set_health(health), health) {
        (Health::Down, Health::Up) => {
            tracing::info!(backend = %backend.url(), "backend is ready again");
        }
        (Health::Unknown | Health::Up, Health::Down) => {
            tracing::warn!(backend = %backend.url(), reason, "backend is not ready");
        }
        _ => {}
    }
}

async fn ask(probed: &Probed, timeout_ms: u64, guard: &AddressGuard) -> Finding {
    let limit = Duration::from_millis(timeout_ms);
    let answer = match timeout(limit, status(probed, guard)).await {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => return Finding::NotReady(error.to_string()),
        Err(_) => return Finding::NotReady(format!("no answer within {timeout_ms} ms")),
    };
    let ready = match probed.path {
        Some(_) => answer.is_success(),
        None => answer.as_u16() < 500,
    };
    if ready {
        Finding::Ready
    } else {
        let path = probed.path.as_deref().unwrap_or(DEFAULT_PATH);
        Finding::NotReady(format!("{path} answered {answer}"))
    }
}

async fn status(probed: &Probed, guard: &AddressGuard) -> io::Result<StatusCode> {
    let backend = &probed.backend;
    let url = backend.url();
    let io = TokioIo::new(dial(url, guard).await?);
    let path = probed.path.as_deref().unwrap_or(DEFAULT_PATH);
    let target = format!("{}{path}", url.path());
    let request = |target: String| {
        Request::get(target)
            .header(header::HOST, backend.host())
            .header(header::USER_AGENT, "weir-probe")
            .body(Empty::<Bytes>::new())
            .map_err(io::Error::other)
    };
    let (status, _driver) = match backend.protocol() {
        Protocol::Http1 => {
            let (mut sender, connection) = http1::handshake(io).await.map_err(io::Error::other)?;
            let driver = driven(connection);
            let answer = sender.send_request(request(target)?).await;
            (answer.map_err(io::Error::other)?.status(), driver)
        }
        Protocol::H2c => {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io)
                .await
                .map_err(io::Error::other)?;
            let driver = driven(connection);
            let target = format!("http://{}{target}", url.authority());
            let answer = sender.send_request(request(target)?).await;
            (answer.map_err(io::Error::other)?.status(), driver)
        }
    };
    Ok(status)
}

/// Ends the connection's task with the probe.
struct Driver(tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn driven(connection: impl Future<Output = Result<(), hyper::Error>> + Send + 'static) -> Driver {
    Driver(task::spawn("probe", async move {
        // What goes wrong here shows in the probe's own answer.
        let _ = connection.await;
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::BackendUrl;

    const OPTIONS: ProbeOptions = ProbeOptions {
        interval_ms: 1_000,
        timeout_ms: 1_000,
        unhealthy_after: 2,
        healthy_after: 2,
    };

    #[test]
    fn streaks_turn_a_backend() {
        let url = BackendUrl::parse("http://127.0.0.1:9").expect("an address");
        let backend = Backend::new(&url, Protocol::Http1);
        let mut streak = Streak::default();
        let bad = || Finding::NotReady("down".into());
        for (finding, expected) in [
            (bad(), Health::Unknown),
            (Finding::Ready, Health::Up),
            (bad(), Health::Up),
            (Finding::Ready, Health::Up),
            (bad(), Health::Up),
            (bad(), Health::Down),
            (Finding::Ready, Health::Down),
            (bad(), Health::Down),
            (Finding::Ready, Health::Down),
            (Finding::Ready, Health::Up),
        ] {
            streak = note(&backend, streak, &finding, &OPTIONS);
            assert_eq!(backend.health(), expected, "{finding:?}");
        }
    }
}
