//! The control plane's regular round: success rates, retry budgets, figures, the series of what is
//! live, and the share of requests that goes to challengers.

use std::{sync::Arc, time::Duration};

use super::{
    easing::Easing,
    logs::{Ejected, refill},
};
use crate::{
    base::clock::Tick,
    logs::Logs,
    snapshot::{Current, Leg, Snapshot},
    telemetry::{meters::FaultMeters, series, table},
};

/// From one round to the next.
const ROUND: Duration = Duration::from_secs(1);

/// Rounds between two reviews of success rates.
const ROUNDS_PER_REVIEW: u64 = 5;

/// Rounds between two looks at how main does beside challengers that step back for it.
const ROUNDS_PER_EASING: u64 = 2;

/// Looks after what is in force, forever.
pub async fn review(current: Arc<Current>, faults: Arc<FaultMeters>, logs: Arc<Logs>) {
    let mut ejected = Ejected::default();
    let mut easing = Easing::default();
    let mut rounds = tokio::time::interval(ROUND);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for count in 1u64.. {
        rounds.tick().await;
        let snapshot = current.load_full();
        refresh(&current, &faults);
        refill(&snapshot, &logs);
        let now = Tick::now();
        ejected.look(&snapshot, &logs, now);
        if count.is_multiple_of(ROUNDS_PER_EASING) {
            easing.look(&snapshot, now);
        }
        logs.tidy(now, |name| snapshot.route(name).is_some());
        series::gauge(&table::LOG_BYTES, &[]).set(logs.bytes() as f64);
        for leg in legs(&snapshot) {
            leg.pool.budget().refill();
            if count.is_multiple_of(ROUNDS_PER_REVIEW) {
                leg.pool.review(Tick::now());
            }
        }
    }
}

/// Publishes figures that are kept as plain numbers, and keeps the series of what is live from
/// being forgotten.
pub fn refresh(current: &Current, faults: &FaultMeters) {
    faults.touch();
    series::touch_counted();
    let snapshot = current.load_full();
    series::gauge(&table::EPOCH, &[]).set(snapshot.epoch().0 as f64);
    series::gauge(&table::DEPLOYMENTS, &[]).set(snapshot.routes().count() as f64);
    series::gauge(&table::KEYS, &[]).set(current.keys().len() as f64);
    let now = Tick::now();
    for route in snapshot.routes() {
        route.main_meters().touch();
        if let Some(gate) = route.shown_gate() {
            gate.show(route.name());
        }
        if route.live().is_err() {
            route.main_meters().show_backends(0, 0, 0);
        }
    }
    legs(&snapshot).for_each(|leg| {
        leg.role_meters.touch();
        leg.version_meters.touch();
    });
    let live = snapshot.routes().filter_map(|route| route.live().ok());
    for leg in live.flat_map(|plan| plan.legs()) {
        let (available, unhealthy, ejected) = leg.pool.census(now);
        leg.role_meters.show_backends(available, unhealthy, ejected);
    }
}

/// The legs of every version that is deployed.
fn legs(snapshot: &Snapshot) -> impl Iterator<Item = &Leg> {
    let plans = snapshot.routes().flat_map(|route| route.plans());
    plans.flat_map(|plan| plan.legs())
}
