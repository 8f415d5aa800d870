//! Active health: each backend in use is asked regularly whether it is ready.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Semaphore, task::JoinSet};

use super::{ask::health, logs::log_backend};
use crate::{
    base::{id::BackendId, name::DeploymentName},
    logs::Logs,
    net::way::Way,
    snapshot::Current,
    telemetry::outcome::Role,
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

/// What a probe found: why a backend is not ready.
type Finding = Result<(), String>;

/// The machine of one backend: so many findings in a row turn it.
#[derive(Debug, Default, Clone, Copy)]
struct Streak {
    good: u32,
    bad: u32,
}

/// One backend and where it is asked.
struct Probed {
    deployment: DeploymentName,
    role: Role,
    backend: Arc<Backend>,
    path: Option<String>,
}

/// Probes every backend in use, forever.
pub async fn probe(current: Arc<Current>, options: ProbeOptions, way: Way, logs: Arc<Logs>) {
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
            let (way, logs) = (way.clone(), Arc::clone(&logs));
            round.spawn(async move {
                // The semaphore is never closed.
                let _permit = room.acquire().await;
                let (url, protocol) = (probed.backend.url(), probed.backend.protocol());
                let path = probed.path.as_deref();
                let asked = health(url, protocol, path, options.timeout_ms, &way);
                let finding = asked.await.map_err(|silence| silence.words);
                let streak = *lock(&streaks).entry(probed.backend.id()).or_default();
                let (streak, turned) = note(&probed.backend, streak, &finding, &options);
                if let Some(health) = turned {
                    tell(&logs, &probed, health, &finding);
                }
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
        for leg in route.plans().flat_map(|plan| plan.legs()) {
            for member in leg.pool.members() {
                if seen.insert(member.backend.id()) {
                    probed.push(Probed {
                        deployment: route.name().clone(),
                        role: leg.role_meters.role(),
                        backend: Arc::clone(&member.backend),
                        path: leg.health_path().map(str::to_owned),
                    });
                }
            }
        }
    }
    probed
}

/// Adds a finding to a streak, and turns the backend's health when it is long enough; to what, if it
/// was the other way before.
fn note(
    backend: &Backend,
    before: Streak,
    finding: &Finding,
    options: &ProbeOptions,
) -> (Streak, Option<Health>) {
    let streak = match finding {
        Ok(()) => Streak {
            good: before.good.saturating_add(1),
            bad: 0,
        },
        Err(_) => Streak {
            good: 0,
            bad: before.bad.saturating_add(1),
        },
    };
    let turned = match finding {
        // Unknown counts as healthy already, so one good answer confirms it.
        Ok(()) if streak.good >= options.healthy_after || backend.health() == Health::Unknown => {
            turn(backend, Health::Up, "it answered")
        }
        Err(reason) if streak.bad >= options.unhealthy_after => turn(backend, Health::Down, reason),
        _ => None,
    };
    (streak, turned)
}

fn turn(backend: &Backend, health: Health, reason: &str) -> Option<Health> {
    match (backend.set_health(health), health) {
        (Health::Down, Health::Up) => {
            tracing::info!(backend = %backend.url(), "backend is ready again");
            Some(health)
        }
        (Health::Unknown | Health::Up, Health::Down) => {
            tracing::warn!(backend = %backend.url(), reason, "backend is not ready");
            Some(health)
        }
        _ => None,
    }
}

/// Adds to the deployment's log that a backend turned.
fn tell(logs: &Logs, probed: &Probed, health: Health, finding: &Finding) {
    let status = match health {
        Health::Down => "unhealthy",
        Health::Up | Health::Unknown => "available",
    };
    let reason = finding.as_ref().err().map(String::as_str);
    let place = (&probed.deployment, probed.role);
    log_backend(logs, place, &probed.backend, status, reason);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{BackendUrl, Protocol};

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
        let bad = || Err("down".into());
        for (finding, expected) in [
            (bad(), Health::Unknown),
            (Ok(()), Health::Up),
            (bad(), Health::Up),
            (Ok(()), Health::Up),
            (bad(), Health::Up),
            (bad(), Health::Down),
            (Ok(()), Health::Down),
            (bad(), Health::Down),
            (Ok(()), Health::Down),
            (Ok(()), Health::Up),
        ] {
            let before = backend.health();
            let (after, turned) = note(&backend, streak, &finding, &OPTIONS);
            streak = after;
            assert_eq!(backend.health(), expected, "{finding:?}");
            let is_told = before != expected && before != Health::Unknown;
            assert_eq!(turned, is_told.then_some(expected), "{finding:?}");
        }
    }
}
