//! The commands of the binary, one file or folder each.
//!
//! ```text
//! serve, demo, sample-model, check        run something here
//! everything else ──▶ remote::Session ──▶ the admin API of a running gateway ──▶ terminal
//! ```

pub mod sample_model;

mod audit;
mod check;
mod comparison;
mod completions;
mod context;
mod declare;
mod demo;
mod deployment;
mod events;
mod expiry;
mod failure;
mod key;
mod later;
mod limits;
mod logs;
mod number;
mod project;
mod remote;
mod serve;
mod status;
mod subscription;
mod task;
mod tenant;
mod terminal;
mod token;
mod watch;

use std::{env, ffi::OsString, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};

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
reachable; 4 not found; 5 not allowed; 6 changed meanwhile or busy; 7 drift (`weir diff`);
8 hold and 9 reject (`weir deployment verdict --exit-code`).";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the deployments of a declarations file
    Serve(Serve),
    /// Say every mistake in declarations and settings, with file, line and column
    #[command(after_help = "Exit code: 0 no mistake, 1 mistakes, 2 a file can't be read.")]
    Check {
        /// Declarations: a file, a directory with *.toml files, or - for standard input
        #[arg(required_unless_present = "config", value_name = "FILE|DIR")]
        files: Vec<PathBuf>,
        /// Settings (TOML), and the certificates and keys that they name
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
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
        /// By how many milliseconds each answer is later than it could be, to try out a slow model
        #[arg(long, default_value_t = 0, value_name = "MS")]
        delay_ms: u64,
    },
    /// Show how a gateway stands
    Status,
    /// Deployments: create, deploy, roll back, watch
    #[command(subcommand)]
    Deployment(deployment::DeploymentCommand),
    /// The same as `deployment`, with the words of SambaStudio
    #[command(subcommand)]
    Endpoint(deployment::EndpointCommand),
    /// What applications call deployments with
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Requests that run later: list, results, dead letters, webhooks
    #[command(subcommand, name = "async")]
    Later(later::LaterCommand),
    /// Make a gateway as declared: show the plan, carry it out, wait for it
    #[command(
        after_help = "Examples:\n  weir apply -f deployments/ --dry-run\n  weir apply -f iris.toml --prune\n\nCtrl-C: what was begun goes on; the same command again does the rest."
    )]
    Apply(declare::Apply),
    /// Show in what a gateway differs from its declarations
    #[command(
        after_help = "Example: weir diff -f deployments/\n\nExit code: 0 it does not, 7 it does; others as of every command."
    )]
    Diff(declare::Diff),
    /// Write what stands at a gateway as declarations (TOML)
    #[command(after_help = "Example: weir export -p demo > demo.toml")]
    Export(declare::Export),
    /// Background work of a gateway
    #[command(subcommand)]
    Task(task::TaskCommand),
    /// Groups of deployments
    #[command(subcommand)]
    Project(project::ProjectCommand),
    /// Organisations, whose projects are
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Admin tokens, and what they may do
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Who hears of what happens in a project
    #[command(subcommand)]
    Subscription(subscription::SubscriptionCommand),
    /// Show what happens, as it happens
    Events(events::EventsArgs),
    /// Show who did what, and who was refused
    Audit(audit::AuditArgs),
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
    let Arguments { options, command } =
        parsed(env::args_os()).unwrap_or_else(|error| error.exit());
    let done = match command {
        Command::Check { files, config } => return check(&files, config.as_deref()),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::SampleModel {
            model,
            listen,
            delay_ms,
        } => {
            let delay = Duration::from_millis(delay_ms);
            sample_model::run(model, delay, listen).map_err(Failure::from)
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
        Command::Apply(arguments) => declare::apply(&arguments, session),
        Command::Diff(arguments) => declare::diff(&arguments, session),
        Command::Export(arguments) => declare::export(&arguments, session),
        Command::Deployment(command) => deployment::run(command, Wording::Weir, session),
        Command::Key(command) => key::run(command, session),
        Command::Later(command) => later::run(command, session),
        Command::Endpoint(command) => deployment::run_endpoint(command, session),
        Command::Task(command) => task::run(command, session),
        Command::Project(command) => project::run(command, session),
        Command::Tenant(command) => tenant::run(command, session),
        Command::Token(command) => token::run(command, session),
        Command::Subscription(command) => subscription::run(command, session),
        Command::Events(arguments) => events::run(&arguments, session),
        Command::Audit(arguments) => audit::run(&arguments, session),
        // Those that run here were dealt with before a gateway was looked for.
        Command::Serve(_)
        | Command::Check { .. }
        | Command::Demo(_)
        | Command::SampleModel { .. }
        | Command::Context(_)
        | Command::Completions { .. } => Ok(()),
    }
}

/// Commands that speak to no gateway.
const ALONE: [&str; 5] = ["serve", "check", "demo", "sample-model", "completions"];

fn parsed(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments, clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    Arguments::from_arg_matches(&matches)
}

/// The whole command line.
fn command() -> clap::Command {
    let command = Arguments::command();
    let options: Vec<Arg> = command
        .get_arguments()
        .filter(|option| option.is_global_set())
        .map(|option| option.clone().hide(true))
        .collect();
    // An option of the whole command is one of each: these do not show what is nothing to them.
    ALONE.iter().fold(command, |command, name| {
        command.mut_subcommand(name, |alone| alone.args(options.clone()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Arguments, clap::Error> {
        parsed(line.split(' ').map(OsString::from))
    }

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn options_stand_before_and_behind_the_noun() {
        for line in [
            "weir --token t -o json key list demo/iris",
            "weir key --token t -o json list demo/iris",
            "weir key list demo/iris --token t -o json",
        ] {
            let options = of(line).expect(line).options;
            assert_eq!(options.token.as_deref(), Some("t"), "{line}");
            assert!(options.out().is_json(), "{line}");
        }
    }

    #[test]
    fn what_speaks_to_no_gateway_shows_no_option_of_one() {
        for (name, is_shown) in [("serve", false), ("check", false), ("status", true)] {
            let error = of(&format!("weir {name} --help")).expect_err("help");
            let help = error.to_string();
            assert_eq!(help.contains("--admin-url"), is_shown, "{help}");
        }
    }

    #[test]
    fn every_command_that_does_something_shows_how_it_is_used() {
        fn check(command: &clap::Command, path: &str) {
            assert!(command.get_about().is_some(), "{path} says nothing");
            let mut verbs = command.get_subcommands().peekable();
            if verbs.peek().is_none() && TAUGHT.iter().any(|noun| path.starts_with(noun)) {
                let help = command.get_after_help().map(ToString::to_string);
                let help = help.unwrap_or_default();
                assert!(help.contains("Example"), "{path} shows no example");
                assert!(help.contains("weir "), "{path} shows no example");
            }
            for verb in verbs {
                check(verb, &format!("{path} {}", verb.get_name()));
            }
        }
        const TAUGHT: [&str; 10] = [
            "weir deployment",
            "weir key",
            "weir async",
            "weir task",
            "weir project",
            "weir tenant",
            "weir token",
            "weir subscription",
            "weir events",
            "weir audit",
        ];
        check(&command(), "weir");
    }

    /// Each example of a help is a command line that parses.
    #[test]
    fn the_examples_can_be_typed() {
        fn examples(command: &clap::Command, into: &mut Vec<String>) {
            let help = command.get_after_help().map(ToString::to_string);
            // A long one goes on in the next line, as in a shell.
            let help = help.unwrap_or_default().replace("\\\n", "");
            for line in help.lines() {
                let line = line.trim().trim_start_matches("Example: ").to_owned();
                if let Some(at) = line
                    .find("weir ")
                    .filter(|&at| at == 0 || line.contains("$(weir"))
                {
                    into.push(line[at..].to_owned());
                }
            }
            for verb in command.get_subcommands() {
                examples(verb, into);
            }
        }
        let mut lines = Vec::new();
        examples(&command(), &mut lines);
        assert!(lines.len() > 40, "{lines:#?}");
        for line in lines {
            let words = words(&line);
            let parsed = parsed(words.iter().map(OsString::from));
            assert!(parsed.is_ok(), "{line}: {:?}", parsed.err());
        }
    }

    /// The words of a command, as a shell cuts them; what a shell does with the rest is not looked at.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut is_quoted) = (vec![String::new()], false);
        for char in line.chars() {
            match char {
                '"' => is_quoted = !is_quoted,
                ')' | '<' | '>' | '|' | ';' if !is_quoted => break,
                ' ' if !is_quoted => words.push(String::new()),
                char => words.last_mut().expect("one").push(char),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }
}
