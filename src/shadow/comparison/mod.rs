//! The comparison: takes pairs from the workers, compares them, weighs what they say, and writes them
//! down. A thread of its own, with less right to the processor than those that answer clients.
//!
//! ```text
//! workers ──PairTeller──▶ channel ──▶ thread: examine ▶ Case (evidence, findings, counts) ▶ journal
//!                          books ───────────────────────▶ │
//!                             admin, control ◀── Standing ┘
//! ```
//!
//! A case is the challenger of one version. In memory are those that are deployed; what is known of
//! others is in the journal, and is read when somebody asks or when they are deployed again. A kill
//! costs what came since the journal was written last, a second ago.

mod case;
mod examine;
mod point;
mod read;
mod run;

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use self::case::Case;
pub use self::{
    case::{InShort, Standing},
    point::{Bounds, Point},
    read::LookError,
    run::Running,
};
use super::{
    door::{DoorOptions, PairDoor, PairListener, door},
    journal::{Challenger, Journal, JournalOptions},
    verdict::{Judgement, VerdictState},
};
use crate::{
    base::{id::VersionNumber, name::DeploymentName},
    snapshot::{self, Current, Rules, Snapshot},
    telemetry::{series, table},
};

/// The comparison of all challengers.
pub struct Comparison {
    current: Arc<Current>,
    journal: Arc<Journal>,
    door: PairDoor,
    /// Until the thread takes it.
    listener: Mutex<Option<PairListener>>,
    cases: Mutex<HashMap<Challenger, Case>>,
}

// === impl Comparison ===

impl Comparison {
    /// Opens the journal, or makes one. Does not fail: while its file can't be used, pairs are compared
    /// all the same, and not written down. Blocks.
    pub fn open(
        path: &Path,
        journal: JournalOptions,
        way: DoorOptions,
        current: Arc<Current>,
    ) -> Self {
        Self::with(Arc::new(Journal::open(path, journal)), way, current)
    }

    fn with(journal: Arc<Journal>, way: DoorOptions, current: Arc<Current>) -> Self {
        let (door, listener) = door(way);
        Self {
            current,
            journal,
            door,
            listener: Mutex::new(Some(listener)),
            cases: Mutex::default(),
        }
    }

    /// Where pairs go.
    pub fn door(&self) -> PairDoor {
        self.door.clone()
    }

    /// How the challenger of a version that is deployed stands; none when nothing was seen of it.
    /// Reads memory alone.
    pub fn standing(
        &self,
        name: &DeploymentName,
        life: u32,
        version: VersionNumber,
    ) -> Option<Standing> {
        let key = challenger(name, life, version);
        let cases = self.cases();
        let case = cases.get(&key).filter(|case| !case.is_empty());
        case.map(|case| case.standing(version))
    }

    /// What follows from what was seen of the challenger of a version that is deployed. Reads memory
    /// alone.
    pub fn judgement(
        &self,
        name: &DeploymentName,
        life: u32,
        version: VersionNumber,
    ) -> Option<Judgement> {
        let key = challenger(name, life, version);
        let cases = self.cases();
        cases.get(&key).map(|case| case.judgement().clone())
    }

    /// The same in short. Reads memory alone, and copies next to nothing of it: lists ask for it once
    /// for each deployment.
    pub fn in_short(
        &self,
        name: &DeploymentName,
        life: u32,
        version: VersionNumber,
    ) -> Option<InShort> {
        let key = challenger(name, life, version);
        let cases = self.cases();
        let case = cases.get(&key).filter(|case| !case.is_empty());
        case.map(Case::in_short)
    }

    /// Sets the gauges. They are forgotten unless this is called now and then.
    pub fn refresh(&self) {
        self.journal.refresh();
        let snapshot = self.current.load_full();
        let live = snapshot.routes().filter_map(|route| route.live().ok());
        let rivals = live.filter_map(|plan| plan.challenger.as_ref());
        let cases = self.cases();
        for rival in rivals {
            let rules = &rival.rules;
            if let Some(case) = cases.get(&key_of(rules)).filter(|case| !case.is_empty()) {
                show(&rules.name, case, rival.brake.is_stopped());
            }
        }
    }

    /// What is in it is whole whenever it is let go of.
    fn cases(&self) -> MutexGuard<'_, HashMap<Challenger, Case>> {
        self.cases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Comparison {
    /// A comparison without a thread, whose pairs are in this journal.
    pub(crate) fn of_journal(journal: Arc<Journal>) -> Self {
        let way = DoorOptions {
            pairs_max: 16,
            bytes_max: 1 << 20,
        };
        Self::with(journal, way, Arc::new(Current::empty()))
    }

    /// Has a challenger stand so.
    pub(crate) fn put_standing(&self, name: &DeploymentName, life: u32, standing: &Standing) {
        let key = challenger(name, life, standing.version);
        self.cases().insert(key, Case::standing_so(standing));
    }
}

fn challenger(name: &DeploymentName, life: u32, version: VersionNumber) -> Challenger {
    Challenger {
        name: name.clone(),
        life,
        version,
    }
}

fn key_of(rules: &Rules) -> Challenger {
    challenger(&rules.name, rules.life, rules.version)
}

/// What the comparison has to know of all challengers that are deployed, those of retired versions
/// that are kept warm included.
fn deployed(snapshot: &Snapshot) -> impl Iterator<Item = &Arc<Rules>> {
    let plans = snapshot.routes().flat_map(|route| route.plans());
    let rivals = plans.filter_map(|plan| plan.challenger.as_ref());
    rivals.map(|rival: &snapshot::Challenger| &rival.rules)
}

fn show(name: &DeploymentName, case: &Case, is_stopped: bool) {
    let judgement = case.judgement();
    // It was stopped for that; what came in after it decides nothing any more.
    let verdict = match is_stopped {
        true => VerdictState::Reject,
        false => judgement.state,
    };
    let (project, deployment) = (name.project(), name.deployment());
    let gauge = |metric, labels: &[&str], value: Option<f64>| {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            series::gauge(metric, labels).set(value);
        }
    };
    let own = [project, deployment];
    gauge(
        &table::COMPARISON_AGREEMENT,
        &own,
        judgement.agreement.value,
    );
    let increase = judgement.error_increase.value;
    gauge(&table::COMPARISON_ERROR_INCREASE, &own, increase);
    for (percentile, latency) in [
        ("50", &judgement.latency_p50),
        ("99", &judgement.latency_p99),
    ] {
        let labels = [project, deployment, percentile];
        gauge(&table::COMPARISON_LATENCY, &labels, latency.ratio.value);
    }
    for state in VerdictState::ALL {
        let is_it = f64::from(u8::from(state == verdict));
        let labels = [project, deployment, state.as_str()];
        gauge(&table::COMPARISON_VERDICT, &labels, Some(is_it));
    }
    case.touch();
}
