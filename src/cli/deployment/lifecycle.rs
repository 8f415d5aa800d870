//! `weir deployment rollback`, `promote`, `stop` and `restart`.

use std::str::FromStr;

use serde_json::{Value, json};

use super::{
    Target,
    started::{call, start},
};
use crate::cli::{failure::Failure, remote::Session, task::Patience};

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

/// A version's number, also as it is shown elsewhere: `2`, `v2`, `iris_v2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(pub(super) u32);

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

// === impl Number ===

impl FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.rsplit_once("_v").map_or(text, |(_, digits)| digits);
        let digits = digits.strip_prefix('v').unwrap_or(digits);
        match digits.parse() {
            Ok(number) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Self(number)),
            _ => Err("a version is a number, such as 2, or iris_v2".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_they_are_shown() {
        for (text, number) in [
            ("2", Some(2)),
            ("v12", Some(12)),
            ("iris_v3", Some(3)),
            ("my_v2_v4", Some(4)),
            ("+2", None),
            ("iris", None),
            ("", None),
            ("-1", None),
        ] {
            assert_eq!(text.parse().ok(), number.map(Number), "{text}");
        }
    }
}
