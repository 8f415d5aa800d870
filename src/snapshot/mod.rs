//! The compiled view that the data plane reads: routes with their live version's pools, paths and
//! meters, all resolved beforehand; and the keys. Immutable, replaced as a whole.
//!
//! ```text
//! declarations ──build──▶ Snapshot ──publish──▶ Current ◀──load── every request, once
//!                  ▲ survivors of the old one: backends, meters, lanes
//! ```

mod books;
mod brake;
mod build;
mod current;
mod keys;
mod lane;

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, Weak},
};

use http::HeaderValue;

pub use books::{Books, Skipped};
pub use brake::{Brake, FACTOR_FIRST, Let};
pub use build::{BuildOptions, Declared, Numbered, build};
pub use current::Current;
pub use keys::{Keys, Principal};
pub use lane::{Lane, LaneCaps, NoRoom, Place};

use crate::{
    base::{
        id::{Epoch, SampleShare, VersionNumber},
        name::{DeploymentName, Name},
    },
    limit::{Allowance, DayCount, Gate, Kept, Limiter},
    spec::{Access, CompareSpec, KeepBodiesSpec, Tails, TimeoutsSpec, VerdictSpec, VersionSpec},
    telemetry::meters::{RoleMeters, VersionMeters},
    upstream::pool::Pool,
    wire::target::Operation,
};

/// Everything a request needs to know, as of one epoch.
pub struct Snapshot {
    epoch: Epoch,
    epoch_header: HeaderValue,
    /// By `{project}/{deployment}`. Only declared names are in it, so that what clients invent
    /// can neither fill it nor choose its collisions. Shared with the snapshot before when nothing
    /// but keys changed.
    routes: Arc<Routes>,
}

/// Routes by name. The hash is a fast one, seeded for each process.
type Routes = HashMap<DeploymentName, Arc<Route>, foldhash::fast::RandomState>;

/// A deployment: who may call it, and what answers.
pub struct Route {
    name: DeploymentName,
    access: Access,
    /// Projects, other than its own, whose keys open it too; sorted.
    shared: Box<[Name]>,
    standing: Standing,
    main_meters: Arc<RoleMeters>,
    queue: QueueRules,
    limits: Option<Arc<Limiter>>,
    /// Its quota of the day, also for the rest of the day on which it was lifted.
    quota: OnceLock<Kept>,
    gate: Option<Arc<Gate>>,
    /// One that was lifted, for as long as somebody is behind it: declared again, it counts them still.
    lifted: Weak<Gate>,
}

/// What a deployment says of its async requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueRules {
    /// Which life of its name this is: one made anew under a deleted one's name is another.
    pub life: u32,
    /// Whether none are begun.
    pub paused: bool,
    /// Who is told of the end of those that do not say so themselves.
    pub webhook_url: Option<Arc<str>>,
    /// Which of its signing secrets is in use.
    pub webhook_generation: u32,
}

/// Whether a deployment answers.
enum Standing {
    Live {
        live: Arc<Plan>,
        /// Retired versions that are kept warm, to be pinned.
        kept: Box<[Arc<Plan>]>,
    },
    Idle(Idle),
}

/// Why a deployment that exists does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// No version of it has been live yet, or its set-up failed.
    NotLive,
    /// An operator stopped it.
    Stopped,
}

/// One version of a deployment, compiled. An exchange holds on to its plan to its last byte.
pub struct Plan {
    /// The deployment.
    pub name: DeploymentName,
    /// The version's number.
    pub version: VersionNumber,
    /// `{deployment}_v{N}`, as `X-Deployment-Version` carries it.
    pub version_header: HeaderValue,
    /// The pool whose answer the client gets.
    pub main: Leg,
    /// The pool that gets a copy.
    pub challenger: Option<Challenger>,
    /// How long each part may take.
    pub timeouts: TimeoutsSpec,
    /// What it was compiled from, and what applied then; to tell whether it has to be again.
    spec: Arc<VersionSpec>,
    options: BuildOptions,
}

/// A pool with the paths that lead to it and the meters of its role.
pub struct Leg {
    /// The backends.
    pub pool: Pool,
    /// What this deployment's exchanges in this role write to.
    pub role_meters: Arc<RoleMeters>,
    /// What this version's exchanges in this role write to.
    pub version_meters: VersionMeters,
    predict_path: String,
    stream_path: String,
    tails: Tails,
    health_path: Option<String>,
}

/// The pool that gets a copy, and what its copies may cost.
pub struct Challenger {
    /// Pool, paths, meters.
    pub leg: Leg,
    /// Which exchanges are copied.
    pub share: SampleShare,
    /// Requests with a larger body are not copied.
    pub body_bytes_max: u64,
    /// An answer is read up to here.
    pub response_bytes_max: u64,
    /// A copy that waits longer, or then runs longer, is given up.
    pub timeout_ms: u64,
    /// The caps that all workers share.
    pub lane: Arc<Lane>,
    /// What holds its traffic back, whichever version it is a part of.
    pub brake: Arc<Brake>,
    /// Whether the share shrinks while main is slow.
    pub is_adaptive: bool,
    /// The share of all exchanges that is copied at the most.
    pub share_max: f64,
    /// Copies a second, where that is limited.
    pub requests: Option<Arc<Allowance>>,
    /// Bytes a second, of requests and answers, where that is limited.
    pub bytes: Option<Arc<Allowance>>,
    /// How its answers are compared with main's, and what is made of that.
    pub rules: Arc<Rules>,
}

/// What the comparison has to know of a version's challenger.
#[derive(Debug, PartialEq)]
pub struct Rules {
    /// The deployment.
    pub name: DeploymentName,
    /// Which life of its name this is.
    pub life: u32,
    /// The version whose challenger it is.
    pub version: VersionNumber,
    /// How answers are compared.
    pub compare: CompareSpec,
    /// When it is good enough, and when it is not.
    pub verdict: VerdictSpec,
    /// Of which pairs the bodies are kept.
    pub keep_bodies: KeepBodiesSpec,
    /// What became of the requests that have no pair.
    pub books: Books,
}

// === impl Snapshot ===

impl Snapshot {
    /// A snapshot of nothing, in force until the first is built.
    pub fn empty() -> Self {
        Self::new(Epoch(0), Arc::default())
    }

    fn new(epoch: Epoch, routes: Arc<Routes>) -> Self {
        Self {
            epoch,
            epoch_header: HeaderValue::from(epoch.0),
            routes,
        }
    }

    /// Its number.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Its number, as `X-Config-Epoch` carries it.
    pub fn epoch_header(&self) -> &HeaderValue {
        &self.epoch_header
    }

    /// The deployment of this name, `{project}/{deployment}`.
    pub fn route(&self, name: &str) -> Option<&Arc<Route>> {
        self.routes.get(name)
    }

    /// The same routes under a newer number, for a change that concerns keys alone.
    #[must_use]
    pub fn renumbered(&self, epoch: Epoch) -> Self {
        Self::new(epoch, Arc::clone(&self.routes))
    }

    /// Every deployment.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.values()
    }
}

// === impl Route ===

impl Route {
    /// Its name.
    pub fn name(&self) -> &DeploymentName {
        &self.name
    }

    /// Whose keys open it.
    pub fn access(&self) -> Access {
        self.access
    }

    /// What it says of its async requests.
    pub fn queue(&self) -> &QueueRules {
        &self.queue
    }

    /// How much it may be asked for; none without limits.
    pub fn limits(&self) -> Option<&Arc<Limiter>> {
        self.limits.as_ref()
    }

    /// What is to be kept of its requests of the day.
    pub fn quota(&self, today: u32) -> Option<&Kept> {
        self.quota.get().filter(|quota| quota.is_needed(today))
    }

    /// Counts on from what was written down, also for a quota that may be declared again today.
    /// Called before requests are answered.
    pub fn restore_quota(&self, count: DayCount, today: u32) {
        match self.quota.get() {
            Some(quota) => quota.limits().restore(count),
            None => {
                let restored = Kept::restored(self.limits.as_ref(), count, today);
                if let Some(restored) = restored {
                    let _ = self.quota.set(restored);
                }
            }
        }
    }

    /// What protects its backends; none where that is not declared.
    pub fn gate(&self) -> Option<&Arc<Gate>> {
        self.gate.as_ref()
    }

    /// The same, or one that was lifted while somebody is behind it still.
    pub fn shown_gate(&self) -> Option<Arc<Gate>> {
        self.gate.clone().or_else(|| self.lifted.upgrade())
    }

    /// What its exchanges with main write to, kept while it is stopped.
    pub fn main_meters(&self) -> &RoleMeters {
        &self.main_meters
    }

    /// Whether a key of this project opens it because it is shared with the project.
    pub fn is_shared_with(&self, project: &str) -> bool {
        let found = self
            .shared
            .binary_search_by(|name| name.as_str().cmp(project));
        found.is_ok()
    }

    /// The live version, or why there is none. This is where the arm that answers is chosen, from the
    /// snapshot alone; a candidate that answers its share would be chosen here, by the exchange's id and
    /// its own [`Brake`].
    ///
    /// # Errors
    /// [`Idle`] when the deployment exists and does not answer.
    pub fn live(&self) -> Result<&Arc<Plan>, Idle> {
        match &self.standing {
            Standing::Live { live, .. } => Ok(live),
            Standing::Idle(idle) => Err(*idle),
        }
    }

    /// Every version that is deployed: the live one first, then those that are kept.
    pub fn plans(&self) -> impl Iterator<Item = &Arc<Plan>> {
        let (live, kept) = match &self.standing {
            Standing::Live { live, kept } => (Some(live), &**kept),
            Standing::Idle(_) => (None, &[][..]),
        };
        live.into_iter().chain(kept)
    }

    /// A version that is still deployed.
    pub fn deployed(&self, number: u32) -> Option<&Arc<Plan>> {
        self.plans().find(|plan| plan.version.0 == number)
    }
}

// === impl Plan ===

impl Plan {
    /// Its legs: main, and the challenger's if it has one.
    pub fn legs(&self) -> impl Iterator<Item = &Leg> {
        let challenger = self.challenger.as_ref();
        std::iter::once(&self.main).chain(challenger.map(|challenger| &challenger.leg))
    }
}

// === impl Leg ===

impl Leg {
    /// Where a request goes: the pool's path for its operation, or `/` with its tail behind. None
    /// when the pool does not forward this tail.
    pub fn path(&self, operation: Operation, tail: &str) -> Option<&str> {
        match (operation, tail) {
            (Operation::Predict, "") => Some(&self.predict_path),
            (Operation::Stream, "") => Some(&self.stream_path),
            (_, tail) => self.tails.allow(tail).then_some("/"),
        }
    }

    /// Where probes go, if that is declared.
    pub fn health_path(&self) -> Option<&str> {
        self.health_path.as_deref()
    }
}
