//! Acting on verdicts, where a version asks for it: each live version with a challenger and
//! `auto_stop` or `auto_promote` is looked at every second.
//!
//! ```text
//! verdict ─┬─ reject,  auto_stop ────▶ one commit: the version notes it, history, brake
//!          └─ promote, auto_promote ─▶ one commit: the version notes it, a promote is taken on
//! ```
//!
//! A verdict is of one version, and so is what is noted: each happens to a version once, over restarts
//! of the process and after a rollback to it, too. A restart of the deployment does not let a stopped
//! challenger go on: the evidence against it stays as it was. Who has repaired it deploys it as a new
//! version, which begins with evidence of its own.

use std::{collections::HashMap, sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    access::{Caller, Reach},
    error::ControlError,
    lifecycle::promoted,
    plane::{Change, Control, Intent},
    record::{Action, Happening, StoppedChallenger, TaskKind, display},
    state::{Held, State},
    tasks::{Ask, NewTask},
};
use crate::{
    base::{clock::unix_ms, id::VersionNumber, name::DeploymentName, task},
    shadow::{
        comparison::Comparison,
        verdict::{Estimate, Judgement, Ratio, VerdictState},
    },
    spec::{Role, VerdictSpec},
};

/// From one round to the next.
const ROUND: Duration = Duration::from_secs(1);
/// Before what was refused is tried again.
const DARK: Duration = Duration::from_secs(5);

/// What is known of a version's challenger, in one life of its name; none when nothing is.
pub(super) type Verdicts =
    dyn Fn(&DeploymentName, u32, VersionNumber) -> Option<Judgement> + Send + Sync;

/// Versions that were promoted already, as far as was looked. What is stored says it; this spares
/// reading it each second while such a version stays live.
#[derive(Debug, Default)]
pub(super) struct Spent(HashMap<DeploymentName, (u32, VersionNumber)>);

/// What is to be done about a challenger.
#[derive(Debug)]
struct Due {
    name: DeploymentName,
    life: u32,
    version: VersionNumber,
    act: Act,
    judgement: Judgement,
    limits: VerdictSpec,
}

/// What may be done about a challenger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Stop,
    Promote,
}

impl Control {
    /// Acts on what the comparison finds, for ever.
    pub fn watch_verdicts(self: &Arc<Self>, comparison: Arc<Comparison>) {
        let control = Arc::clone(self);
        task::spawn("verdicts", async move {
            let verdicts = move |name: &DeploymentName, life, version| {
                comparison.judgement(name, life, version)
            };
            let mut rounds = tokio::time::interval(ROUND);
            rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            let mut spent = Spent::default();
            loop {
                rounds.tick().await;
                if !control.act_on_verdicts(&verdicts, &mut spent).await {
                    tokio::time::sleep(DARK).await;
                }
            }
        });
    }

    /// Acts once on each verdict that asks for it; false when any of it was refused, and is to be
    /// tried again.
    pub(super) async fn act_on_verdicts(
        self: &Arc<Self>,
        verdicts: &Verdicts,
        spent: &mut Spent,
    ) -> bool {
        let mut is_well = true;
        for due in self.look_at_verdicts(verdicts, spent) {
            let acted = match due.act {
                Act::Stop => self.stop_challenger(&due).await,
                Act::Promote => self.auto_promote(&due, spent).await,
            };
            if let Err(error) = acted {
                let (name, version) = (&due.name, due.version);
                tracing::warn!(%name, %version, %error, "a verdict was not acted on");
                is_well = false;
            }
        }
        is_well
    }

    /// What is to be done after this look.
    fn look_at_verdicts(&self, verdicts: &Verdicts, spent: &mut Spent) -> Vec<Due> {
        // The comparison is asked when the state is let go of: each has a lock of its own.
        let candidates: Vec<_> = {
            let state = self.state();
            let may_act = state.deployments().filter(|(_, held)| acts(held));
            may_act
                .map(|(name, held)| (name.clone(), Arc::clone(held)))
                .collect()
        };
        let known = std::mem::take(&mut spent.0);
        let mut due = Vec::new();
        for (name, held) in candidates {
            let life = held.record.first_version;
            let Some(live) = &held.live else { continue };
            let version = live.number;
            let is_spent = known.get(&name) == Some(&(life, version));
            if is_spent {
                spent.0.insert(name.clone(), (life, version));
            }
            let Some(judgement) = verdicts(&name, life, version) else {
                continue;
            };
            let limits = live.spec.challenger.as_ref().map(|spec| spec.verdict);
            let limits = limits.unwrap_or_default();
            // A challenger that is still coming up fails at first, and would be stopped for good.
            let is_enough = judgement.pairs >= limits.min_pairs;
            let act = match judgement.state {
                VerdictState::Reject if live.spec.auto_stop && is_enough => Act::Stop,
                VerdictState::Promote if live.spec.auto_promote && !is_spent => Act::Promote,
                _ => continue,
            };
            due.push(Due {
                name,
                life,
                version,
                act,
                judgement,
                limits,
            });
        }
        due
    }

    /// Stops a challenger: it gets no more copies from the moment of the commit.
    async fn stop_challenger(self: &Arc<Self>, due: &Due) -> Result<(), ControlError> {
        let (name, number) = (&due.name, due.version);
        let turn = self.turn().await?;
        let Some(held) = due.still(&self.state()) else {
            return Ok(());
        };
        let now = unix_ms();
        let reason = due.reason();
        let mut version = self.stored_version(name, number).await?;
        version.value.challenger_stopped = Some(StoppedChallenger {
            at_ms: now,
            reason: reason.clone(),
        });
        let mut new = Held::clone(&held);
        if let Some(live) = &mut new.live {
            live.is_challenger_stopped = true;
        }
        new.record.updated_at_ms = now;
        let title = display(&new.record, number);
        let mut happening = Happening::new(name, Action::ChallengerStop, BY, title, now);
        happening.version = Some(number);
        happening.reason = Some(reason);
        happening.evidence = Some(due.evidence());
        let mut change = Change::default();
        let place = version.value.place(name);
        change.put(place, &version.value, Some(version.revision));
        change.happened(happening).route(name);
        change.deployment(name, Some(held.revision), new);
        self.commit(turn, change).await?;
        tracing::info!(%name, version = %number, reason = due.reason(), "challenger stopped by itself");
        Ok(())
    }

    /// Takes on to make a challenger main, as a new version: what [`Control::promote`] does when it
    /// is asked to.
    async fn auto_promote(
        self: &Arc<Self>,
        due: &Due,
        spent: &mut Spent,
    ) -> Result<(), ControlError> {
        let (name, number) = (&due.name, due.version);
        let turn = self.turn().await?;
        let held = {
            let state = self.state();
            // Whoever is at work on it decides first; the verdict will still be there.
            let is_busy = state.unfinished(name).next().is_some();
            due.still(&state).filter(|_| !is_busy)
        };
        let Some(held) = held else { return Ok(()) };
        let spec = held.live.as_ref();
        let Some(spec) = spec.and_then(|live| promoted(name, live, false)) else {
            return Ok(());
        };
        let mut version = self.stored_version(name, number).await?;
        let is_new = version.value.auto_promoted_at_ms.is_none();
        if is_new {
            version.value.auto_promoted_at_ms = Some(unix_ms());
            let mut change = Change::default();
            let place = version.value.place(name);
            change.put(place, &version.value, Some(version.revision));
            let (by, intent) = (itself(), Intent::default());
            let reason = due.reason();
            let ask = Ask::new(&by, "promote", name, &(false, &reason), &intent);
            let mut task = NewTask::new(TaskKind::Deploy, None);
            task.promotes = true;
            task.note = Some(reason.clone());
            task.evidence = Some(due.evidence());
            self.deploy_now(turn, &ask, change, &spec, task).await?;
            tracing::info!(%name, version = %number, reason, "challenger taken on to be promoted by itself");
        }
        spent.0.insert(name.clone(), (due.life, number));
        Ok(())
    }
}

/// Who the history says it was.
const BY: &str = "system";

/// weir itself, asking for a task.
fn itself() -> Caller {
    Caller {
        name: BY.to_owned(),
        token: None,
        role: Role::OrgAdmin,
        reach: Reach::Instance,
    }
}

/// Whether a verdict may have something done with a deployment.
fn acts(held: &Held) -> bool {
    held.live.as_ref().is_some_and(|live| {
        let spec = &live.spec;
        let is_told_to = spec.auto_stop || spec.auto_promote;
        is_told_to && spec.challenger.is_some() && !live.is_challenger_stopped
    })
}

// === impl Due ===

impl Due {
    /// The deployment, if it still is as it was looked at: what is live may have changed before the
    /// turn came.
    fn still(&self, state: &State) -> Option<Arc<Held>> {
        let held = state.deployment(&self.name)?;
        let is_same =
            (held.record.first_version, held.live_number()) == (self.life, Some(self.version));
        (is_same && acts(held)).then(|| Arc::clone(held))
    }

    /// Why, in words for the history.
    fn reason(&self) -> String {
        let Judgement {
            state,
            reasons,
            pairs,
            ..
        } = &self.judgement;
        let words = match reasons.is_empty() {
            true => format!("in {pairs} pairs"),
            false => reasons.join("; "),
        };
        format!("the verdict is {}: {words}", state.as_str())
    }

    /// The judgement with its figures, in the words of the admin API.
    fn evidence(&self) -> Value {
        let judgement = &self.judgement;
        let limits = &self.limits;
        json!({
            "state": judgement.state.as_str(),
            "reasons": judgement.reasons,
            "limits": {
                "min_agreement": limits.min_agreement,
                "max_error_increase": limits.max_error_increase,
                "max_latency_ratio_p50": limits.max_latency_ratio_p50,
                "max_latency_ratio_p99": limits.max_latency_ratio_p99,
                "alpha": limits.alpha,
                "min_pairs": limits.min_pairs,
            },
            "pairs": judgement.pairs,
            "agreement": estimate(&judgement.agreement),
            "errors": {
                "n": judgement.error_increase.n,
                "main": judgement.errors.0,
                "challenger": judgement.errors.1,
                "increase": estimate(&judgement.error_increase),
            },
            "latency": {
                "p50": ratio(&judgement.latency_p50),
                "p99": ratio(&judgement.latency_p99),
            },
        })
    }
}

/// What is not bounded is null: JSON has no infinity.
fn estimate(estimate: &Estimate) -> Value {
    let Estimate {
        n,
        value,
        low,
        high,
        limit,
    } = estimate;
    json!({ "n": n, "value": value, "low": low, "high": high, "limit": limit })
}

fn ratio(ratio: &Ratio) -> Value {
    let ms = |ns: Option<f64>| ns.map(|ns| ns / 1e6);
    json!({
        "main_ms": ms(ratio.main_ns),
        "challenger_ms": ms(ratio.challenger_ns),
        "ratio": estimate(&ratio.ratio),
    })
}
