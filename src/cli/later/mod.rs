//! `weir async`: requests that run later, their queue, and who is told of their ends.

mod dead_letters;
mod queue;
mod request;
mod result;
mod webhook;

use clap::Subcommand;

use super::{failure::Failure, remote::Session};

#[derive(Debug, Subcommand)]
pub(super) enum LaterCommand {
    /// List a deployment's async requests, newest first
    #[command(after_help = "Example: weir async list demo/iris --status error -n 20")]
    List(request::ListArgs),
    /// Show an async request, or wait for its end
    #[command(after_help = "\
Example: weir async show demo/iris 02Wq7ZkH3vT0lQh5nB8xUe1RcDy4GjKsP --wait 60")]
    Show(request::ShowArgs),
    /// Write what the model answered, byte for byte
    #[command(after_help = "\
Example: weir async result demo/iris 02Wq7ZkH3vT0lQh5nB8xUe1RcDy4GjKsP --out answer.json
Exit code: 0 when the model answered well; 1 when it answered with an error (its bytes are written all
the same), when there is no answer, and when the request has not ended.")]
    Result(result::ResultArgs),
    /// Call an async request off
    #[command(
        after_help = "Example: weir async cancel demo/iris 02Wq7ZkH3vT0lQh5nB8xUe1RcDy4GjKsP"
    )]
    Cancel(request::DeedArgs),
    /// Run an async request sooner, or a dead letter again
    #[command(after_help = "Example: weir async retry demo/iris 02Wq7ZkH3vT0lQh5nB8xUe1RcDy4GjKsP")]
    Retry(request::DeedArgs),
    /// Those that failed for good: list, replay, purge
    #[command(after_help = "\
Examples:
  weir async dead-letters demo/iris
  weir async dead-letters replay demo/iris -n 100 --reason \"the model is back\"
  weir async dead-letters purge demo/iris")]
    DeadLetters(dead_letters::DeadLettersArgs),
    /// How a deployment's queue stands; pause it and resume it
    #[command(after_help = "\
Examples:
  weir async queue demo/iris
  weir async queue pause demo/iris --reason maintenance")]
    Queue(queue::QueueArgs),
    /// Who is told of the ends of async requests
    #[command(subcommand)]
    Webhook(webhook::WebhookCommand),
}

/// Runs a command.
///
/// # Errors
/// As calls of the API.
pub(super) fn run(command: LaterCommand, session: &Session) -> Result<(), Failure> {
    match command {
        LaterCommand::List(arguments) => request::list(&arguments, session),
        LaterCommand::Show(arguments) => request::show(&arguments, session),
        LaterCommand::Result(arguments) => result::run(&arguments, session),
        LaterCommand::Cancel(arguments) => request::cancel(&arguments, session),
        LaterCommand::Retry(arguments) => request::retry(&arguments, session),
        LaterCommand::DeadLetters(arguments) => dead_letters::run(arguments, session),
        LaterCommand::Queue(arguments) => queue::run(arguments, session),
        LaterCommand::Webhook(command) => webhook::run(command, session),
    }
}
