//! Looks after the process's memory, and says when there is too little of it for new work.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::{
    base::{
        memory::{self, Pressure, Watermark},
        task,
    },
    config::Settings,
    telemetry::{series, table},
};

/// Starts looking, on the control runtime. Where the system does not say how much memory there may be,
/// and nobody has declared it, there is nothing to look after.
pub(super) fn start(settings: &Settings) {
    let overload = &settings.overload;
    let high = match overload.memory_high_bytes {
        0 => memory::limit().map(|limit| limit / 5 * 4),
        declared => Some(declared),
    };
    let Some(high) = high else { return };
    let every = Duration::from_millis(overload.memory_check_ms);
    task::spawn("memory", watch(Watermark::new(high), every));
}

async fn watch(mut mark: Watermark, every: Duration) {
    let gauge = series::gauge(&table::MEMORY_HIGH, &[]);
    let mut rounds = tokio::time::interval(every);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = Pressure::None;
    // What the allocator keeps is given back before any work is shed: once each time.
    let mut gave_back = false;
    loop {
        rounds.tick().await;
        let Some(mut resident) = memory::resident() else {
            continue;
        };
        if resident < mark.high() {
            gave_back &= before > Pressure::None;
        } else if !std::mem::replace(&mut gave_back, true) {
            memory::give_back();
            resident = memory::resident().unwrap_or(resident);
        }
        let now = mark.judge(resident);
        if now != before {
            memory::set_pressure(now);
            let high = mark.high();
            match now {
                Pressure::None => tracing::info!(resident, high, "memory suffices again"),
                Pressure::High => {
                    tracing::warn!(resident, high, "short of memory: bulk work is shed");
                }
                Pressure::Critical => {
                    tracing::warn!(resident, high, "short of memory: all new requests are shed");
                }
            }
            before = now;
        }
        gauge.set(f64::from(now as u8));
    }
}
