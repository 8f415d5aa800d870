//! `weir async dead-letters`: requests that failed for good.

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::request::{row, table};
use crate::{
    base::name::DeploymentName,
    cli::{
        failure::Failure,
        remote::{Call, Session, path_of},
        terminal::{Sure, confirmed, counted},
    },
};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(in crate::cli) struct DeadLettersArgs {
    #[command(subcommand)]
    verb: Option<DeadLettersCommand>,
    #[command(flatten)]
    list: Option<ListArgs>,
}

#[derive(Debug, Subcommand)]
enum DeadLettersCommand {
    /// List them, newest first
    #[command(after_help = "Example: weir async dead-letters list demo/iris")]
    List(ListArgs),
    /// Run them again, each as a new request
    #[command(after_help = "Example: weir async dead-letters replay demo/iris -n 100")]
    Replay {
        /// Whose: such as demo/iris
        #[arg(value_name = "PROJECT/DEPLOYMENT")]
        deployment: DeploymentName,
        /// At most so many
        #[arg(short = 'n', long)]
        limit: Option<u64>,
        /// Why, for the history
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Remove them all, for good
    #[command(
        after_help = "Example: weir async dead-letters purge demo/iris --reason \"old\" --yes"
    )]
    Purge {
        /// Whose: such as demo/iris
        #[arg(value_name = "PROJECT/DEPLOYMENT")]
        deployment: DeploymentName,
        /// Why, for the history
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        sure: Sure,
    },
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Whose: such as demo/iris
    #[arg(value_name = "PROJECT/DEPLOYMENT")]
    deployment: DeploymentName,
    /// At most so many
    #[arg(short = 'n', long, default_value_t = 50)]
    limit: usize,
}

/// Runs a command; without a verb they are listed.
pub(super) fn run(arguments: DeadLettersArgs, session: &Session) -> Result<(), Failure> {
    match (arguments.verb, arguments.list) {
        (Some(DeadLettersCommand::List(list)), _) | (None, Some(list)) => list_them(&list, session),
        (
            Some(DeadLettersCommand::Replay {
                deployment,
                limit,
                reason,
            }),
            _,
        ) => {
            let mut body = Map::new();
            if let Some(limit) = limit {
                body.insert("limit".to_owned(), json!(limit));
            }
            if let Some(reason) = reason {
                body.insert("reason".to_owned(), json!(reason));
            }
            let call = Call::post(&path_of(&deployment, "/async/replay"));
            let call = call.json(&Value::Object(body));
            let replayed = session.client.send(call)?.json()?;
            let count = count(&replayed, "replayed");
            let run = if count == 1 { "runs" } else { "run" };
            let letters = counted(count, "dead letter");
            let words = format!("{letters} of {deployment} {run} again.");
            session.out.done(&replayed, &words)
        }
        (
            Some(DeadLettersCommand::Purge {
                deployment,
                reason,
                sure,
            }),
            _,
        ) => purge(&deployment, reason.as_deref(), sure, session),
        (None, None) => Err(super::queue::which_deployment()),
    }
}

fn list_them(arguments: &ListArgs, session: &Session) -> Result<(), Failure> {
    let name = &arguments.deployment;
    let path = path_of(name, "/async?dead=true");
    let letters = session.client.list_up_to(&path, arguments.limit)?;
    let none = format!("no dead letters in {name}");
    session.out.list(&letters, &none, table(), row)
}

fn purge(
    name: &DeploymentName,
    reason: Option<&str>,
    sure: Sure,
    session: &Session,
) -> Result<(), Failure> {
    let mut call = Call::post(&path_of(name, "/async/purge"));
    if let Some(reason) = reason {
        call = call.json(&json!({"reason": reason}));
    }
    if !sure.yes {
        let found = session.client.send(call.clone().dry_run())?.json()?;
        if count(&found, "purged") == 0 {
            return session
                .out
                .done(&found, &format!("There are no dead letters in {name}."));
        }
        let letters = counted(count(&found, "purged"), "dead letter");
        let question = format!("Purge {letters} of {name}? It can't be undone.");
        confirmed(&question, sure.yes)?;
    }
    let purged = session.client.send(call)?.json()?;
    let letters = counted(count(&purged, "purged"), "dead letter");
    let words = format!("{letters} of {name} purged.");
    session.out.done(&purged, &words)
}

fn count(value: &Value, member: &str) -> usize {
    let count = value[member].as_u64().unwrap_or(0);
    usize::try_from(count).unwrap_or(usize::MAX)
}
