//! Declared shapes: what people write, stored and shown under the names of the design. The
//! compiled shapes that the request path reads live in `snapshot`; these are free of its concerns.
//!
//! ```text
//! text ──parse──▶ Node tree with places ──read──▶ Declarations | every mistake at once
//! ```

pub mod body;
mod challenger;
mod deployment;
mod field;
mod key;
mod limits;
mod mistake;
mod near;
mod node;
mod parameters;
mod pointer;
mod project;
mod read;
mod reader;
mod readiness;
mod role;
mod subscription;

pub use challenger::{
    BudgetSpec, ChallengerSpec, CompareKind, CompareSpec, KeepBodiesSpec, VerdictSpec,
};
pub use deployment::{
    Access, BackendSpec, BackendUrl, BackendUrlError, DeploymentSpec, PoolSpec, Protocol, Tails,
    TimeoutsSpec, VersionSpec,
};
pub(crate) use field::Field;
pub use key::{KeySpec, Scope};
pub use limits::{LimitMode, LimitsSpec, OverloadSpec, Priority};
pub use mistake::{InFile, MISTAKES_MAX, Mistake, Mistakes};
pub(crate) use near::nearest;
pub(crate) use node::{Node, utf8};
pub use parameters::{Example, Parameters};
pub use pointer::{JsonPointer, JsonPointerError};
pub use project::{ProjectSpec, TenantSpec};
#[cfg(any(test, fuzzing))]
pub use read::any_text_holds;
pub(crate) use reader::{Reader, read};
pub use readiness::{ReadinessSpec, WarmUpMethod, WarmUpSpec};
pub use role::Role;
pub use subscription::{EventName, NoEvent, Target};

/// Everything one file declares.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Declarations {
    /// Tenants that are made when they are missing.
    pub tenants: Vec<TenantSpec>,
    /// Projects that are made when they are missing.
    pub projects: Vec<ProjectSpec>,
    /// Deployments, each with the version that is to be live.
    pub deployments: Vec<DeploymentSpec>,
    /// API keys.
    pub keys: Vec<KeySpec>,
}
