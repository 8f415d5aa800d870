//! `weir deployment rollback`, `promote`, `stop` and `restart`.

use serde_json::{Value, json};

use super::{
    Target,
    started::{call, start},
};
use crate::cli::{failure::Failure, number::Number, remote::Session, task::Patience};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RollbackArgs {
    #[command(flatten)]
    pub(super) target: Target,
    /// The version, as 2 or iris_v2 [default: the one that was live before]
    #[arg(long, value_name = "VERSION")]
    to: Option<Number>,
    /// Go there without waiting for its backends to be ready
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    reason: Reason,
    #[command(flatten)]
    patience: Patience,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct PromoteArgs {
    #[command(flatten)]
    pub(super) target: Target,
    /// Let the old main become the new version's challenger
    #[arg(long)]
    keep_main_as_challenger: bool,
    #[command(flatten)]
    reason: Reason,
    #[command(flatten)]
    patience: Patience,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct BecauseArgs {
    #[command(flatten)]
    pub(super) target: Target,
    #[command(flatten)]
    reason: Reason,
    #[command(flatten)]
    patience: Patience,
}

/// Why something is done.
#[derive(Debug, clap::Args)]
struct Reason {
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Makes an earlier version live again.
///
/// # Errors
/// As calls of the API; when the rollback fails.
pub(super) fn rollback(arguments: &RollbackArgs, session: &Session) -> Result<(), Failure> {
    let members = [
        ("version", json!(arguments.to.map(|number| number.0))),
        ("force", only_if(arguments.force)),
        ("reason", json!(arguments.reason.reason)),
    ];
    let call = call(&arguments.target.name()?, "/rollback", &members);
    start(call, arguments.patience, session)?.show(session)
}

/// Makes the challenger main.
///
/// # Errors
/// As calls of the API; when the new version does not become live.
pub(super) fn promote(arguments: &PromoteArgs, session: &Session) -> Result<(), Failure> {
    let keep = arguments.keep_main_as_challenger;
    let members = [
        ("keep_main_as_challenger", only_if(keep)),
        ("reason", json!(arguments.reason.reason)),
    ];
    let call = call(&arguments.target.name()?, "/promote", &members);
    start(call, arguments.patience, session)?.show(session)
}

/// Takes a deployment out of service.
///
/// # Errors
/// As calls of the API.
pub(super) fn stop(arguments: &BecauseArgs, session: &Session) -> Result<(), Failure> {
    because(arguments, "/stop", session)
}

/// Makes a version live afresh.
///
/// # Errors
/// As calls of the API; when it does not become live.
pub(super) fn restart(arguments: &BecauseArgs, session: &Session) -> Result<(), Failure> {
    because(arguments, "/restart", session)
}

fn because(arguments: &BecauseArgs, rest: &str, session: &Session) -> Result<(), Failure> {
    let members = [("reason", json!(arguments.reason.reason))];
    let call = call(&arguments.target.name()?, rest, &members);
    start(call, arguments.patience, session)?.show(session)
}

fn only_if(flag: bool) -> Value {
    if flag { json!(true) } else { Value::Null }
}
