//! Whether somebody answers: the main pool of each live version is looked at every second. One in
//! which no backend has been available for two rounds is down, and up again when one has been for
//! two. Both stand in the history and in the deployment's record, so that a restart says nothing
//! twice.
//!
//! ```text
//! up ──two rounds without a backend, a minute after the last time──▶ down
//!  ◀────────────── two rounds with one that is known to be ready ──────┘
//! ```

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    error::ControlError,
    plane::{Change, Control},
    record::{Action, Deployment, Happening, display},
    state::Held,
};
use crate::{
    base::{
        clock::{Tick, unix_ms},
        id::VersionNumber,
        name::DeploymentName,
        task,
    },
    upstream::{backend::Health, pool::Pool},
};

/// From one round to the next.
const ROUND: Duration = Duration::from_secs(1);
/// Rounds in a row that turn a pool.
const ROUNDS: u32 = 2;
/// From one time that a pool is told to be down to the next at the least: one that flaps is told of
/// once a minute.
const APART_MS: u64 = 60_000;
/// Before what the store refused is tried again.
const DARK: Duration = Duration::from_secs(5);

/// How a pool looks.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Look {
    /// Nobody is available, and why.
    Down(String),
    /// Somebody is known to be ready.
    Up,
    /// Nobody was asked yet.
    Unsure,
}

/// A pool that looks otherwise than is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Turning {
    version: VersionNumber,
    /// Why it is down; none when it is up.
    down: Option<String>,
    /// For how many rounds.
    rounds: u32,
}

impl Control {
    /// Looks after pools, for ever.
    pub(super) fn watch_pools(self: &Arc<Self>) {
        let control = Arc::clone(self);
        task::spawn("pools", async move {
            let mut rounds = tokio::time::interval(ROUND);
            rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            let mut turning = HashMap::new();
            loop {
                rounds.tick().await;
                turning = control.look_at_pools(&turning);
                if let Err(error) = control.turn_pools(&turning).await {
                    tracing::warn!(%error, "which pools are down was not written down");
                    tokio::time::sleep(DARK).await;
                }
            }
        });
    }

    /// The pools that look otherwise than their records say, after this round.
    fn look_at_pools(
        &self,
        before: &HashMap<DeploymentName, Turning>,
    ) -> HashMap<DeploymentName, Turning> {
        let (snapshot, now) = (self.current.load_full(), Tick::now());
        let state = self.state();
        let mut turning = HashMap::new();
        for route in snapshot.routes() {
            let Some(plan) = route.live().ok() else {
                continue;
            };
            // The first leg is main's.
            let (Some(main), Some(held)) = (plan.legs().next(), state.deployment(route.name()))
            else {
                continue;
            };
            let is_down = held.record.pool_down_at_ms.is_some();
            let down = match (Look::of(&main.pool, now), is_down) {
                (Look::Down(why), false) => Some(why),
                (Look::Up, true) => None,
                _ => continue,
            };
            let (name, version) = (route.name().clone(), plan.version);
            let last = before
                .get(&name)
                .filter(|last| (last.version, last.down.is_some()) == (version, down.is_some()));
            let rounds = last.map_or(1, |last| last.rounds.saturating_add(1));
            let next = Turning {
                version,
                down,
                rounds,
            };
            turning.insert(name, next);
        }
        turning
    }

    /// Writes down, in one commit, which pools have turned.
    async fn turn_pools(
        self: &Arc<Self>,
        turning: &HashMap<DeploymentName, Turning>,
    ) -> Result<(), ControlError> {
        let now = unix_ms();
        let has_turned = |(name, turning): &(&DeploymentName, &Turning)| {
            let state = self.state();
            let held = state.deployment(name);
            held.is_some_and(|held| turning.is_due(&held.record, now))
        };
        let turned: Vec<_> = turning.iter().filter(has_turned).collect();
        if turned.is_empty() {
            return Ok(());
        }
        let turn = self.turn().await?;
        let mut change = Change::default();
        for (name, turning) in turned {
            let Some(held) = self.state().deployment(name).cloned() else {
                continue;
            };
            let is_same = held.live_number() == Some(turning.version);
            if !is_same || !turning.is_due(&held.record, now) {
                // Something else was done with it before this turn.
                continue;
            }
            let mut new = Held::clone(&held);
            let record = &mut new.record;
            let action = match &turning.down {
                Some(_) => {
                    (record.pool_down_at_ms, record.pool_told_at_ms) = (Some(now), Some(now));
                    Action::PoolDown
                }
                None => {
                    record.pool_down_at_ms = None;
                    Action::PoolUp
                }
            };
            let title = display(record, turning.version);
            let mut happening = Happening::new(name, action, "system", title, now);
            happening.version = Some(turning.version);
            happening.reason.clone_from(&turning.down);
            happening.started_at_ms = held.record.pool_down_at_ms;
            change.happened(happening);
            change.deployment(name, Some(held.revision), new);
        }
        self.commit(turn, change).await?;
        Ok(())
    }
}

// === impl Turning ===

impl Turning {
    fn is_due(&self, record: &Deployment, now_ms: u64) -> bool {
        let is_down = record.pool_down_at_ms.is_some();
        let told = record.pool_told_at_ms;
        let may_be_told =
            self.down.is_none() || told.is_none_or(|told| now_ms.abs_diff(told) >= APART_MS);
        self.rounds >= ROUNDS && is_down != self.down.is_some() && may_be_told
    }
}

// === impl Look ===

impl Look {
    fn of(pool: &Pool, now: Tick) -> Self {
        let (available, unhealthy, ejected) = pool.census(now);
        if available == 0 {
            let all = unhealthy + ejected;
            return Self::Down(format!(
                "none of {all} backends is available: {unhealthy} unhealthy, {ejected} ejected"
            ));
        }
        let is_ready = pool.members().iter().any(|member| {
            let backend = &member.backend;
            backend.health() == Health::Up && !backend.breaker.is_ejected(now)
        });
        if is_ready { Self::Up } else { Self::Unsure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::name::Name,
        control::{access::Caller, deployments::new_record},
        spec::DeploymentSpec,
    };

    fn record() -> Deployment {
        let project = Name::parse("demo").expect("a name");
        let body = serde_json::json!({ "name": "iris",
            "version": { "main": { "backends": [{ "url": "http://m:1" }] } } });
        let spec = DeploymentSpec::from_json(Some(&project), &body).expect("a deployment");
        new_record(&spec, &Caller::root(), 0)
    }

    #[test]
    fn a_pool_turns_after_two_rounds_and_goes_down_once_a_minute() {
        let turning = |rounds, is_down: bool| Turning {
            version: VersionNumber(1),
            down: is_down.then(|| "nobody".to_owned()),
            rounds,
        };
        let mut up = record();
        for (rounds, due) in [(1, false), (2, true), (3, true)] {
            assert_eq!(
                turning(rounds, true).is_due(&up, 1_000_000),
                due,
                "{rounds}"
            );
        }
        assert!(!turning(9, false).is_due(&up, 1_000_000), "it is up");
        up.pool_told_at_ms = Some(1_000_000);
        assert!(!turning(9, true).is_due(&up, 1_059_999));
        assert!(turning(9, true).is_due(&up, 1_060_000));
        let mut down = up;
        down.pool_down_at_ms = Some(1_000_000);
        assert!(!turning(9, true).is_due(&down, 2_000_000), "it is down");
        assert!(!turning(1, false).is_due(&down, 1_000_001));
        assert!(turning(2, false).is_due(&down, 1_000_001));
    }
}
