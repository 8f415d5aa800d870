//! The commands of the binary, one file or folder each.
//!
//! ```text
//! serve, demo, sample-model, check        run something here
//! everything else ──▶ remote::Session ──▶ the admin API of a running gateway ──▶ terminal
//! ```

pub mod sample_model;

mod check;
mod completions;
mod context;
mod demo;
mod deployment;
mod failure;
mod logs;
mod remote;
mod serve;
mod status;
mod task;
mod terminal;
mod watch;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

pub use check::check;

use self::{
    failure::Failure,
    remote::{Options, Session},
};
use crate::demo::SampleModel;

/// An inference gateway and router.
///
/// Applications send predict and stream requests to a deployment; weir checks their API key, routes
/// them to the live version's backends, and sends a copy to a challenger.
#[derive(Debug, Parser)]
#[command(name = "weir", version, after_help = AFTER_HELP)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Try it:          weir demo
Serve your own:  weir serve --declare deployments.toml
Operate it:      weir status, weir deployment list, weir apply -f deployments.toml
Every setting with its default stands in config/weir.toml; the environment overrides the file, for
example WEIR_DATA_LISTEN=0.0.0.0:8080.
Exit codes: 0 done; 1 refused or failed; 2 usage, or a question not answered with yes; 3 gateway not
reachable; 4 not found; 5 not allowed; 6 changed meanwhile or busy; 7 drift (`weir diff`).";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the deployments of a declarations file
    Serve(Serve),
    /// Say every mistake in a declarations file, with line and column
    #[command(after_help = "Exit code: 0 no mistake, 1 mistakes, 2 the file can't be read.")]
    Check {
        /// The declarations file
        file: PathBuf,
    },
    /// Serve small real models behind a gateway, and print what to paste to try it
    Demo(Demo),
    /// Serve one of the demo's models alone, without a gateway
    SampleModel {
        /// Which model
        model: SampleModel,
        /// Where to listen; port 0 takes a free one, printed at start
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
    /// Show how a gateway stands
    Status,
    /// Deployments: create, deploy, roll back, watch
    #[command(subcommand)]
    Deployment(deployment::DeploymentCommand),
    /// The same as `deployment`, with the words of SambaStudio
    #[command(subcommand)]
    Endpoint(deployment::DeploymentCommand),
    /// Background work of a gateway
    #[command(subcommand)]
    Task(task::TaskCommand),
    /// Gateways by name, for --context
    #[command(subcommand)]
    Context(context::ContextCommand),
    /// Print a script that completes commands in a shell
    #[command(after_help = completions::HELP)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, clap::Args)]
struct Serve {
    /// Settings (TOML); config/weir.toml shows each with its default
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Deployments and keys (TOML); read again when it changes and on SIGHUP
    #[arg(long, value_name = "FILE")]
    declare: Option<PathBuf>,
    /// Write a JSON file with addresses and admin token here once everything answers
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Demo {
    /// Settings (TOML); config/weir.toml shows each with its default
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write a JSON file with addresses, key and admin token here once everything answers
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let Arguments { options, command } = Arguments::parse();
    let done = match command {
        Command::Check { file } => return check(&file),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::SampleModel { model, listen } => {
            sample_model::run(model, listen).map_err(Failure::from)
        }
        Command::Context(command) => context::run(command, &options),
        Command::Completions { shell } => completions::run(shell, &options.out()),
        remote => Session::open(&options).and_then(|session| run(remote, &session)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Runs a command that speaks to a gateway.
fn run(command: Command, session: &Session) -> Result<(), Failure> {
    use deployment::Wording;
    match command {
        Command::Status => status::run(session),
        Command::Deployment(command) => deployment::run(command, Wording::Weir, session),
        Command::Endpoint(command) => deployment::run(command, Wording::SambaStudio, session),
        Command::Task(command) => task::run(command, session),
        // Those that run here were dealt with before a gateway was looked for.
        Command::Serve(_)
        | Command::Check { .. }
        | Command::Demo(_)
        | Command::SampleModel { .. }
        | Command::Context(_)
        | Command::Completions { .. } => Ok(()),
    }
}

/// The whole command line, for completions and tests.
fn command() -> clap::Command {
    Arguments::command()
}
