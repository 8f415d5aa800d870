//! `weir deployment`, and `weir endpoint` with SambaStudio's words.
//!
//! ```text
//! create, deploy                 flags ─┐
//!   a version file ──▶ file ───────────▶ version, as JSON ──▶ the API ──▶ a task
//!   the live version ──────────────────┘                                   │
//! rollback, promote, stop, restart, delete ────────────────────────────────┴──▶ started: its end
//! info ──▶ calls: the lines to paste
//! logs, watch, verdict, pairs, pair: modules of their own beside this one
//! ```

mod apikeys;
mod calls;
mod challenger;
mod create;
mod delete;
mod deploy;
mod file;
mod flags;
mod history;
mod info;
mod lifecycle;
mod list;
mod near;
mod readme;
mod started;
mod target;
mod update;
mod versions;

use clap::Subcommand;

pub(super) use apikeys::ApikeyCommand;
pub(super) use target::Target;

use super::{
    comparison::{self, PAIRS_HELP, PairArgs, PairsArgs, VERDICT_HELP, VerdictArgs},
    failure::Failure,
    limits::{self, LimitsArgs, OverloadFlags},
    logs::LogsArgs,
    remote::{Session, path_of},
    watch::WatchArgs,
};

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
    /// Create a deployment and deploy its first version
    #[command(after_help = create::HELP)]
    Create(Box<create::CreateArgs>),
    /// List deployments by name
    #[command(after_help = "Example: weir deployment list -p demo --state live")]
    List(list::ListArgs),
    /// Show one, with ready-to-paste calls in cURL, Python and JavaScript
    #[command(after_help = info::HELP)]
    Info(info::InfoArgs),
    /// Deploy a new version: the live one with what the flags change, or a file
    #[command(after_help = deploy::HELP)]
    Deploy(Box<deploy::DeployArgs>),
    /// Change what is no part of a version: description, tags, access
    #[command(
        after_help = "Example: weir deployment update demo/iris --tag tabular --access project"
    )]
    Update(update::UpdateArgs),
    /// Show or change how much it may be asked for, by all its callers together
    #[command(after_help = "\
Examples:
  weir deployment limits demo/iris
  weir deployment limits demo/iris --requests-per-second 500 --burst 1000 --concurrency 64
  weir deployment limits demo/iris --count
  weir deployment limits demo/iris --burst none
  weir deployment limits demo/iris --none
What is not named stays as it is. --count refuses nothing and counts what would be. It holds for every
request that starts when this is done, and is no part of a version: a rollback leaves it as it is.")]
    Limits {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        arguments: Box<LimitsArgs>,
    },
    /// Show or change what protects its backends from more than they bear
    #[command(after_help = "\
Examples:
  weir deployment overload demo/iris
  weir deployment overload demo/iris --concurrency 64 --queue 256 --queue-timeout-ms 1000
  weir deployment overload demo/iris --adaptive --concurrency-min 4
  weir deployment overload demo/iris --none
Beyond --concurrency requests wait for their turn, those of interactive keys first; what would wait too
long is refused at once with 503. It is no part of a version: a rollback leaves it as it is.")]
    Overload {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        arguments: OverloadFlags,
    },
    /// Make an earlier version live again
    #[command(after_help = "Example: weir deployment rollback demo/iris --to 2")]
    Rollback(lifecycle::RollbackArgs),
    /// Make the challenger main, as a new version
    #[command(after_help = "Example: weir deployment promote demo/iris")]
    Promote(lifecycle::PromoteArgs),
    /// Take it out of service; what is under way ends
    #[command(after_help = "Example: weir deployment stop demo/iris --reason \"wrong answers\"")]
    Stop(lifecycle::BecauseArgs),
    /// Make the live version live afresh; of a stopped one, that which was live last
    #[command(after_help = "Example: weir deployment restart demo/iris")]
    Restart(lifecycle::BecauseArgs),
    /// Delete it for good; its history and readme stay readable
    #[command(
        after_help = "Example: weir deployment delete demo/iris --reason \"not used any more\""
    )]
    Delete(delete::DeleteArgs),
    /// Show what happened to it, newest first
    #[command(after_help = "Example: weir deployment history demo/iris -n 5")]
    History(history::HistoryArgs),
    /// List its versions, or show one
    #[command(after_help = "Example: weir deployment versions demo/iris 2")]
    Versions(versions::VersionsArgs),
    /// Show request lines and life-cycle lines
    #[command(after_help = "Example: weir deployment logs demo/iris -f --level warn --since 10m")]
    Logs {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        arguments: LogsArgs,
    },
    /// Show rates, latencies and backends, live; of all deployments without a name
    #[command(after_help = "Example: weir deployment watch demo/iris")]
    Watch {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        arguments: WatchArgs,
    },
    /// Show whether the challenger is as good as main, and why
    #[command(after_help = VERDICT_HELP)]
    Verdict {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        arguments: VerdictArgs,
    },
    /// List what main and the challenger answered to the same requests
    #[command(after_help = PAIRS_HELP)]
    Pairs {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        arguments: PairsArgs,
    },
    /// Show one of those pairs, with the bodies that were kept
    #[command(after_help = "Example: weir deployment pair demo/iris 17")]
    Pair {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        arguments: PairArgs,
    },
    /// Show its readme, or write it
    #[command(after_help = "Example: weir deployment readme demo/iris --write README.md")]
    Readme(readme::ReadmeArgs),
    /// Print the OpenAPI document of its own predict and stream URLs
    #[command(after_help = "Example: weir deployment openapi demo/iris > iris.json")]
    Openapi {
        #[command(flatten)]
        target: Target,
    },
}

/// What SambaStudio's command line does with an endpoint.
#[derive(Debug, Subcommand)]
pub(super) enum EndpointCommand {
    #[command(flatten)]
    Deployment(DeploymentCommand),
    #[command(flatten)]
    Apikey(ApikeyCommand),
}

/// Runs a command.
///
/// # Errors
/// As calls of the API; when there is no such deployment, with the names that may be meant.
pub(super) fn run(
    command: DeploymentCommand,
    wording: Wording,
    session: &Session,
) -> Result<(), Failure> {
    let target = command.target().cloned();
    let done = dispatch(command, wording, session);
    done.map_err(|failure| near::hinted(failure, target.as_ref(), session))
}

/// Runs a command in SambaStudio's words.
///
/// # Errors
/// As [`run`].
pub(super) fn run_endpoint(command: EndpointCommand, session: &Session) -> Result<(), Failure> {
    match command {
        EndpointCommand::Deployment(command) => run(command, Wording::SambaStudio, session),
        EndpointCommand::Apikey(command) => {
            let target = command.target().clone();
            let done = apikeys::run(command, session);
            done.map_err(|failure| near::hinted(failure, Some(&target), session))
        }
    }
}

fn dispatch(
    command: DeploymentCommand,
    wording: Wording,
    session: &Session,
) -> Result<(), Failure> {
    use DeploymentCommand as C;
    match command {
        C::Create(arguments) => create::run(&arguments, session),
        C::List(arguments) => list::run(&arguments, session),
        C::Info(arguments) => info::run(&arguments, session),
        C::Deploy(arguments) => deploy::run(&arguments, session),
        C::Update(arguments) => update::run(&arguments, session),
        C::Limits { target, arguments } => {
            limits::limits(&path_of(&target.name()?, ""), &arguments, None, session)
        }
        C::Overload { target, arguments } => {
            limits::overload(&path_of(&target.name()?, ""), &arguments, session)
        }
        C::Rollback(arguments) => lifecycle::rollback(&arguments, session),
        C::Promote(arguments) => lifecycle::promote(&arguments, session),
        C::Stop(arguments) => lifecycle::stop(&arguments, session),
        C::Restart(arguments) => lifecycle::restart(&arguments, session),
        C::Delete(arguments) => delete::run(&arguments, wording, session),
        C::History(arguments) => history::run(&arguments, session),
        C::Versions(arguments) => versions::run(&arguments, session),
        C::Logs { target, arguments } => super::logs::run(&target.name()?, &arguments, session),
        C::Watch { target, arguments } => {
            super::watch::run(target.if_named()?.as_ref(), &arguments, session)
        }
        C::Verdict { target, arguments } => {
            comparison::verdict(&target.name()?, &arguments, session)
        }
        C::Pairs { target, arguments } => comparison::pairs(&target.name()?, &arguments, session),
        C::Pair { target, arguments } => comparison::pair(&target.name()?, &arguments, session),
        C::Readme(arguments) => readme::run(&arguments, session),
        C::Openapi { target } => {
            let document = session
                .client
                .get(&path_of(&target.name()?, "/openapi.json"))?;
            session.out.json(&document)
        }
    }
}

// === impl DeploymentCommand ===

impl DeploymentCommand {
    /// The deployment that has to be there for it.
    fn target(&self) -> Option<&Target> {
        match self {
            // What it names is still to come.
            Self::Create(_) | Self::List(_) => None,
            Self::Info(info::InfoArgs { target, .. })
            | Self::Update(update::UpdateArgs { target, .. })
            | Self::Rollback(lifecycle::RollbackArgs { target, .. })
            | Self::Promote(lifecycle::PromoteArgs { target, .. })
            | Self::Stop(lifecycle::BecauseArgs { target, .. })
            | Self::Restart(lifecycle::BecauseArgs { target, .. })
            | Self::Delete(delete::DeleteArgs { target, .. })
            | Self::History(history::HistoryArgs { target, .. })
            | Self::Versions(versions::VersionsArgs { target, .. })
            | Self::Readme(readme::ReadmeArgs { target, .. })
            | Self::Limits { target, .. }
            | Self::Overload { target, .. }
            | Self::Logs { target, .. }
            | Self::Watch { target, .. }
            | Self::Verdict { target, .. }
            | Self::Pairs { target, .. }
            | Self::Pair { target, .. }
            | Self::Openapi { target } => Some(target),
            Self::Deploy(arguments) => Some(&arguments.target),
        }
    }
}

#[cfg(test)]
mod tests;
