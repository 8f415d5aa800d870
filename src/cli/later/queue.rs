//! `weir async queue`: how a deployment's queue stands.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    base::name::DeploymentName,
    cli::{
        failure::Failure,
        remote::{Call, Session, path_of, text},
        terminal::lasted,
    },
};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(in crate::cli) struct QueueArgs {
    #[command(subcommand)]
    verb: Option<QueueCommand>,
    #[command(flatten)]
    show: Option<ShowArgs>,
}

#[derive(Debug, Subcommand)]
enum QueueCommand {
    /// Show how many wait and run
    #[command(after_help = "Example: weir async queue show demo/iris")]
    Show(ShowArgs),
    /// Begin no more requests; new ones are accepted and wait
    #[command(after_help = "Example: weir async queue pause demo/iris --reason maintenance")]
    Pause(TurnArgs),
    /// Begin requests again
    #[command(after_help = "Example: weir async queue resume demo/iris")]
    Resume(TurnArgs),
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// Whose: such as demo/iris
    #[arg(value_name = "PROJECT/DEPLOYMENT")]
    deployment: DeploymentName,
}

#[derive(Debug, clap::Args)]
struct TurnArgs {
    /// Whose: such as demo/iris
    #[arg(value_name = "PROJECT/DEPLOYMENT")]
    deployment: DeploymentName,
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Runs a command; without a verb the queue is shown.
pub(super) fn run(arguments: QueueArgs, session: &Session) -> Result<(), Failure> {
    let (turn, what, is) = match (arguments.verb, arguments.show) {
        (Some(QueueCommand::Show(of)), _) | (None, Some(of)) => {
            let path = path_of(&of.deployment, "/async/queue");
            let queue = session.client.get(&path)?;
            return session.out.block(&queue, &told(&of.deployment, &queue));
        }
        (Some(QueueCommand::Pause(turn)), _) => (turn, "pause", "paused"),
        (Some(QueueCommand::Resume(turn)), _) => (turn, "resume", "running"),
        (None, None) => return Err(which_deployment()),
    };
    let mut call = Call::post(&path_of(&turn.deployment, &format!("/async/{what}")));
    if let Some(reason) = turn.reason {
        call = call.json(&json!({"reason": reason}));
    }
    let queue = session.client.send(call)?.json()?;
    let words = format!(
        "The queue of {} is {is}: {} waiting, {} under way.",
        turn.deployment,
        text(&queue, "queued"),
        text(&queue, "running")
    );
    session.out.done(&queue, &words)
}

/// Neither a verb nor a deployment was given.
pub(super) fn which_deployment() -> Failure {
    Failure::usage("which deployment is meant?")
        .hint("name it as PROJECT/DEPLOYMENT, such as demo/iris; `weir deployment list` shows them")
}

fn told(name: &DeploymentName, queue: &Value) -> Vec<(&'static str, String)> {
    let state = match queue["paused"] == true {
        true => "paused",
        false => "running",
    };
    let oldest = queue["oldest_queued_age_ms"].as_u64();
    vec![
        ("deployment", name.to_string()),
        ("state", state.to_owned()),
        ("waiting", text(queue, "queued")),
        ("for a retry", text(queue, "waiting_retry")),
        ("under way", text(queue, "running")),
        ("oldest waits", oldest.map_or_else(String::new, lasted)),
    ]
}
