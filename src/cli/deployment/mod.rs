//! `weir deployment`, and `weir endpoint` with SambaStudio's words.

mod list;
mod target;

use clap::Subcommand;

pub(super) use target::Target;

use super::{failure::Failure, logs::LogsArgs, remote::Session, watch::WatchArgs};

/// Whose words are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wording {
    /// weir's own.
    Weir,
    /// SambaStudio's.
    SambaStudio,
}

#[derive(Debug, Subcommand)]
pub(super) enum DeploymentCommand {
    /// List deployments by name
    List(list::ListArgs),
    /// Show request lines and life-cycle lines
    Logs {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        arguments: LogsArgs,
    },
    /// Show rates, latencies and backends, live
    Watch {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        arguments: WatchArgs,
    },
}

/// Runs a command.
///
/// # Errors
/// As calls of the API.
pub(super) fn run(
    command: DeploymentCommand,
    wording: Wording,
    session: &Session,
) -> Result<(), Failure> {
    let _ = wording;
    match command {
        DeploymentCommand::List(arguments) => list::run(&arguments, session),
        DeploymentCommand::Logs { target, arguments } => {
            super::logs::run(&target.name()?, &arguments, session)
        }
        DeploymentCommand::Watch { target, arguments } => {
            super::watch::run(target.if_named()?.as_ref(), &arguments, session)
        }
    }
}
