//! `weir async webhook`: who is told of the ends of async requests.

use clap::Subcommand;
use serde_json::{Value, json};

use super::request::RequestArgs;
use crate::{
    base::name::DeploymentName,
    cli::{
        failure::Failure,
        remote::{Call, Session, path_of, text, when},
        terminal::{Sure, Table, ago},
    },
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum WebhookCommand {
    /// Show where the ends are told, and what the messages are signed with
    #[command(after_help = "Example: weir async webhook show demo/iris")]
    Show(OfArgs),
    /// Say where the ends of requests are told that name no webhook themselves
    #[command(after_help = "Example: weir async webhook set demo/iris https://app.example/hooks")]
    Set {
        #[command(flatten)]
        of: OfArgs,
        /// The receiver: http or https
        url: String,
    },
    /// Tell nobody any more
    #[command(after_help = "Example: weir async webhook remove demo/iris")]
    Remove(OfArgs),
    /// Replace the secret that messages are signed with; the old one signs nothing any more
    #[command(after_help = "Example: SECRET=$(weir async webhook rotate demo/iris --yes -q)")]
    Rotate {
        #[command(flatten)]
        of: OfArgs,
        /// Why, for the history
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        sure: Sure,
    },
    /// Show each try to tell of the end of one request
    #[command(after_help = "\
Example: weir async webhook deliveries demo/iris 02Wq7ZkH3vT0lQh5nB8xUe1RcDy4GjKsP")]
    Deliveries(RequestArgs),
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct OfArgs {
    /// Whose: such as demo/iris
    #[arg(value_name = "PROJECT/DEPLOYMENT")]
    deployment: DeploymentName,
}

/// Runs a command.
pub(super) fn run(command: WebhookCommand, session: &Session) -> Result<(), Failure> {
    let (client, out) = (&session.client, &session.out);
    match command {
        WebhookCommand::Show(of) => {
            let webhook = client.get(&path(&of))?;
            out.block(&webhook, &told(&webhook))
        }
        WebhookCommand::Set { of, url } => {
            let call = Call::put(&path(&of)).json(&json!({"url": url}));
            let webhook = client.send(call)?.json()?;
            shown(
                &webhook,
                "The ends of async requests are told there.",
                session,
            )
        }
        WebhookCommand::Remove(of) => {
            let (_, tag) = client.look(&path(&of))?;
            let call = Call::delete(&path(&of)).if_match(tag.as_deref());
            let gone = client.send(call)?.json()?;
            let words = format!(
                "Nobody is told any more, unless a request of {} says so.",
                of.deployment
            );
            out.done(&gone, &words)
        }
        WebhookCommand::Rotate { of, reason, sure } => {
            let (webhook, tag) = client.look(&path(&of))?;
            let call = Call::post(&format!("{}/rotate", path(&of))).if_match(tag.as_deref());
            let call = match reason {
                Some(reason) => call.json(&json!({"reason": reason})),
                None => call,
            };
            let whose = match webhook["url"].as_str() {
                Some(url) => format!("{} (told at {url})", of.deployment),
                None => of.deployment.to_string(),
            };
            let question = format!(
                "Replace the webhook secret of {whose}? Receivers have to learn the new one; it can't be undone."
            );
            let webhook = session.send_if(call, &question, sure)?.json()?;
            shown(&webhook, "The secret is a new one.", session)
        }
        WebhookCommand::Deliveries(of) => {
            let delivery = client.get(&of.path("/webhook"))?;
            if out.is_json() {
                return out.json(&delivery);
            }
            deliveries(&delivery, session)
        }
    }
}

/// The secret alone when nobody wants more, for scripts.
fn shown(webhook: &Value, words: &str, session: &Session) -> Result<(), Failure> {
    let out = &session.out;
    if out.is_quiet() && !out.is_json() {
        return out.line(&text(webhook, "secret"));
    }
    out.note(words);
    out.block(webhook, &told(webhook))
}

fn told(webhook: &Value) -> Vec<(&'static str, String)> {
    let url = match webhook["url"].as_str() {
        Some(url) => url.to_owned(),
        None => "none; requests name their own with X-Webhook-Url".to_owned(),
    };
    vec![("url", url), ("secret", text(webhook, "secret"))]
}

fn deliveries(delivery: &Value, session: &Session) -> Result<(), Failure> {
    let out = &session.out;
    let told = [
        ("url", text(delivery, "url")),
        ("state", text(delivery, "state")),
        ("next attempt", when(delivery, "next_attempt_at")),
    ];
    out.block(delivery, &told)?;
    let attempts = delivery["attempts"].as_array();
    let attempts = attempts.map(Vec::as_slice).unwrap_or_default();
    if attempts.is_empty() {
        return Ok(());
    }
    out.line("")?;
    let mut table = Table::new(&["AT", "STATUS", "MS", "ERROR"]).right(2);
    for attempt in attempts {
        table.row(vec![
            ago(&attempt["at"]),
            text(attempt, "status"),
            text(attempt, "ms"),
            text(attempt, "error"),
        ]);
    }
    out.table(&table)
}

fn path(of: &OfArgs) -> String {
    path_of(&of.deployment, "/webhook")
}
