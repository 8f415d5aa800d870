//! The commands of the binary, one file each.

pub mod sample_model;

mod check;
mod demo;
mod serve;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

pub use check::check;

use crate::demo::SampleModel;

/// An inference gateway and router.
///
/// Applications send predict and stream requests to a deployment; weir checks their API key, routes
/// them to the live version's backends, and sends a copy to a challenger.
#[derive(Debug, Parser)]
#[command(name = "weir", version, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Try it:          weir demo
Serve your own:  weir serve --declare deployments.toml
Every setting with its default stands in config/weir.toml; the environment overrides the file, for
example WEIR_DATA_LISTEN=0.0.0.0:8080.";

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
    match Arguments::parse().command {
        Command::Check { file } => check(&file),
        Command::Serve(arguments) => ended(serve::run(&arguments)),
        Command::Demo(arguments) => ended(demo::run(&arguments)),
        Command::SampleModel { model, listen } => {
            ended(sample_model::run(model, listen).map_err(Into::into))
        }
    }
}

/// Anything that ends a command early; its words are for the terminal.
type Failure = Box<dyn std::error::Error>;

fn ended(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("weir: {failure}");
            ExitCode::FAILURE
        }
    }
}
