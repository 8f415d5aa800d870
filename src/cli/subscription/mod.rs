//! `weir subscription`: who hears of what happens in a project, by webhook or by mail.

mod shown;

use std::{
    thread,
    time::{Duration, Instant},
};

use clap::{ArgGroup, Subcommand};
use serde_json::{Map, Value, json};

use self::shown::{deliveries_table, delivery_row, row, table, target, told};
use super::{
    failure::Failure,
    remote::{Call, Session, escaped, text},
    terminal::Sure,
};
use crate::base::name::Name;

/// What somebody can hear of.
const EVENTS: [&str; 7] = [
    "version.ready",
    "version.failed",
    "deployment.rolled_back",
    "key.revoked",
    "pool.down",
    "pool.up",
    "challenger.stopped",
];

/// How long a test message is waited for, in seconds.
const TEST_S: u64 = 10;

#[derive(Debug, Subcommand)]
pub(super) enum SubscriptionCommand {
    /// Have a webhook or people told
    #[command(after_help = "\
Examples:
  weir subscription add demo --webhook https://ops.example/hook --event version.failed --event pool.down
  weir subscription add demo --email ann@example.org --deployment iris --name \"Ann, iris only\"
Messages to a webhook are signed (Standard Webhooks); the secret is printed, and shown again by `info`.")]
    #[command(group = ArgGroup::new("target").required(true).args(["webhook", "email"]))]
    Add {
        /// The project
        project: Name,
        #[command(flatten)]
        wishes: Wishes,
        /// Tell nothing for now
        #[arg(long)]
        paused: bool,
    },
    /// List the subscriptions of a project
    #[command(after_help = "Example: weir subscription list demo")]
    List {
        /// The project
        project: Name,
        /// At most so many
        #[arg(short = 'n', long)]
        limit: Option<usize>,
    },
    /// Show one, and what its messages are signed with
    #[command(after_help = "Example: weir subscription info demo s1a2b3")]
    Info(OneArgs),
    /// Change one; what is not named stays
    #[command(after_help = "\
Examples:
  weir subscription edit demo s1a2b3 --pause
  weir subscription edit demo s1a2b3 --all-events --deployment iris")]
    Edit {
        #[command(flatten)]
        one: OneArgs,
        #[command(flatten)]
        wishes: Wishes,
        /// Tell of every event again
        #[arg(long, conflicts_with = "events")]
        all_events: bool,
        /// Tell of every deployment again
        #[arg(long, conflicts_with = "deployments")]
        all_deployments: bool,
        /// Tell nothing for now
        #[arg(long, conflicts_with = "resume")]
        pause: bool,
        /// Tell again
        #[arg(long)]
        resume: bool,
    },
    /// Remove one, with its secret and its deliveries
    #[command(after_help = "Example: weir subscription remove demo s1a2b3 --yes")]
    Remove {
        #[command(flatten)]
        one: OneArgs,
        #[command(flatten)]
        sure: Sure,
    },
    /// Replace the secret that messages are signed with; the old one signs nothing any more
    #[command(after_help = "Example: SECRET=$(weir subscription rotate demo s1a2b3 --yes -q)")]
    Rotate {
        #[command(flatten)]
        one: OneArgs,
        #[command(flatten)]
        sure: Sure,
    },
    /// Send a test message, and say whether it arrived
    #[command(after_help = "Example: weir subscription test demo s1a2b3")]
    Test {
        #[command(flatten)]
        one: OneArgs,
        /// Wait up to so many seconds for it to arrive
        #[arg(long, value_name = "SECONDS", default_value_t = TEST_S)]
        wait: u64,
    },
    /// List what was sent, newest first, and whether it arrived
    #[command(after_help = "Example: weir subscription deliveries demo s1a2b3 -n 20")]
    Deliveries {
        #[command(flatten)]
        one: OneArgs,
        /// At most so many
        #[arg(short = 'n', long, default_value_t = 50)]
        limit: usize,
    },
}

/// Which subscription is meant.
#[derive(Debug, clap::Args)]
pub(super) struct OneArgs {
    /// Its project
    project: Name,
    /// Its id, as `weir subscription list` shows it
    #[arg(value_name = "SUBSCRIPTION")]
    id: String,
}

/// Who is told of what.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Wishes {
    /// The receiver: http or https
    #[arg(long, value_name = "URL", conflicts_with = "email")]
    webhook: Option<String>,
    /// Whom to write to; may be given more than once
    #[arg(long, value_name = "ADDRESS")]
    email: Vec<String>,
    /// What to call it
    #[arg(long)]
    name: Option<String>,
    /// Of what; may be given more than once [default: of everything]
    #[arg(long = "event", value_name = "EVENT", value_parser = EVENTS)]
    events: Vec<String>,
    /// Of which deployment, by its name in the project; may be given more than once [default: of all]
    #[arg(long = "deployment", value_name = "DEPLOYMENT")]
    deployments: Vec<Name>,
}

// === impl OneArgs ===

impl OneArgs {
    fn path(&self, rest: &str) -> String {
        format!("{}/{}{rest}", all(&self.project), escaped(&self.id))
    }
}

// === impl Wishes ===

impl Wishes {
    /// As the API takes them; what nobody wished for is not in it.
    fn body(&self) -> Map<String, Value> {
        let mut body = Map::new();
        if let Some(name) = &self.name {
            body.insert("name".to_owned(), json!(name));
        }
        if !self.events.is_empty() {
            body.insert("events".to_owned(), json!(self.events));
        }
        if !self.deployments.is_empty() {
            let names = self.deployments.iter().map(Name::as_str);
            body.insert("deployments".to_owned(), json!(names.collect::<Vec<_>>()));
        }
        if let Some(url) = &self.webhook {
            let target = json!({"kind": "webhook", "url": url});
            body.insert("target".to_owned(), target);
        }
        if !self.email.is_empty() {
            let target = json!({"kind": "email", "to": self.email});
            body.insert("target".to_owned(), target);
        }
        body
    }
}

/// Runs a command.
///
/// # Errors
/// As calls of the API.
pub(super) fn run(command: SubscriptionCommand, session: &Session) -> Result<(), Failure> {
    let (client, out) = (&session.client, &session.out);
    match command {
        SubscriptionCommand::Add {
            project,
            wishes,
            paused,
        } => {
            let mut body = wishes.body();
            if paused {
                body.insert("paused".to_owned(), json!(true));
            }
            let call = Call::post(&all(&project)).json(&Value::Object(body));
            let made = client.send(call)?.json()?;
            let id = text(&made, "id");
            match (out.is_json(), out.is_quiet(), made["secret"].as_str()) {
                (true, ..) => out.json(&made),
                (false, true, _) => out.line(&id),
                (false, false, Some(secret)) => out.line(&format!(
                    "Subscription {id} created.\nSecret of its signatures: {secret}"
                )),
                (false, false, None) => out.line(&format!("Subscription {id} created.")),
            }
        }
        SubscriptionCommand::List { project, limit } => {
            let limit = limit.unwrap_or(usize::MAX);
            let subscriptions = client.list_up_to(&all(&project), limit)?;
            let none = format!("no subscriptions in {project}");
            out.list(&subscriptions, &none, table(), row)
        }
        SubscriptionCommand::Info(one) => {
            let subscription = client.get(&one.path(""))?;
            out.block(&subscription, &told(&subscription))
        }
        SubscriptionCommand::Edit {
            one,
            wishes,
            all_events,
            all_deployments,
            pause,
            resume,
        } => {
            let mut body = wishes.body();
            if all_events {
                body.insert("events".to_owned(), json!([]));
            }
            if all_deployments {
                body.insert("deployments".to_owned(), json!([]));
            }
            if pause || resume {
                body.insert("paused".to_owned(), json!(pause));
            }
            if body.is_empty() {
                return Err(Failure::usage("nothing is to be changed")
                    .hint("`weir subscription edit --help` shows what can be"));
            }
            let call = Call::patch(&one.path("")).json(&Value::Object(body));
            let edited = client.send(call)?.json()?;
            out.note(&format!("Subscription {} changed.", one.id));
            out.block(&edited, &told(&edited))
        }
        SubscriptionCommand::Remove { one, sure } => {
            let (subscription, tag) = client.look(&one.path(""))?;
            let call = Call::delete(&one.path("")).if_match(tag.as_deref());
            let gone = session.send_if(call, &question(&one, &subscription), sure)?;
            let words = format!("Subscription {} removed.", one.id);
            out.done(&gone.json()?, &words)
        }
        SubscriptionCommand::Rotate { one, sure } => {
            let (subscription, tag) = client.look(&one.path(""))?;
            let call = Call::post(&one.path("/rotate")).if_match(tag.as_deref());
            let question = format!(
                "Replace the secret of subscription {} (to {})? Its receiver has to learn the new one; \
                 it can't be undone.",
                one.id,
                target(&subscription)
            );
            let rotated = session.send_if(call, &question, sure)?.json()?;
            let secret = text(&rotated, "secret");
            match (out.is_json(), out.is_quiet()) {
                (true, _) => out.json(&rotated),
                (false, true) => out.line(&secret),
                (false, false) => out.line(&format!("Secret of its signatures: {secret}")),
            }
        }
        SubscriptionCommand::Test { one, wait } => test(&one, wait, session),
        SubscriptionCommand::Deliveries { one, limit } => {
            let deliveries = client.list_up_to(&one.path("/deliveries"), limit)?;
            let none = format!("nothing was sent to subscription {} yet", one.id);
            out.list(&deliveries, &none, deliveries_table(), delivery_row)
        }
    }
}

/// Sends a test message and waits for what comes of its first attempt.
fn test(one: &OneArgs, wait: u64, session: &Session) -> Result<(), Failure> {
    /// Between two looks.
    const PAUSE: Duration = Duration::from_millis(200);
    let (client, out) = (&session.client, &session.out);
    let mut delivery = client.send(Call::post(&one.path("/test")))?.json()?;
    let id = text(&delivery, "id");
    let began = Instant::now();
    let is_tried = |delivery: &Value| delivery["attempts"].get(0).is_some();
    while !is_tried(&delivery) && began.elapsed() < Duration::from_secs(wait) {
        thread::sleep(PAUSE);
        let newest = client.list_up_to(&one.path("/deliveries"), 50)?;
        let ours = newest.into_iter().find(|newest| text(newest, "id") == id);
        delivery = ours.unwrap_or(delivery);
    }
    let attempts = delivery["attempts"].as_array();
    let attempt = attempts.and_then(|all| all.last()).unwrap_or(&Value::Null);
    let came = match (attempt["status"].as_u64(), attempt["error"].as_str()) {
        (_, Some(error)) => error.to_owned(),
        (Some(status), None) => format!("answered {status}"),
        (None, None) => "taken".to_owned(),
    };
    let ms = text(attempt, "ms");
    if delivery["state"] == "delivered" {
        let words = format!("The test message arrived: {came} after {ms} ms.");
        return out.done(&delivery, &words);
    }
    if out.is_json() {
        out.json(&delivery)?;
    }
    let words = match is_tried(&delivery) {
        true => format!("the test message did not arrive: {came}"),
        false => format!("the test message was not sent within {wait} s"),
    };
    let (project, id) = (&one.project, &one.id);
    Err(Failure::new(words).hint(format_args!(
        "`weir subscription deliveries {project} {id}` shows each try"
    )))
}

fn question(one: &OneArgs, subscription: &Value) -> String {
    let (id, project, target) = (&one.id, &one.project, target(subscription));
    let name = match text(subscription, "name").as_str() {
        "" => String::new(),
        name => format!("{name}, "),
    };
    format!("Remove subscription {id} of {project} ({name}to {target})? It can't be undone.")
}

fn all(project: &Name) -> String {
    format!("/api/v1/projects/{project}/subscriptions")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wished_for_is_sent() {
        assert!(Wishes::default().body().is_empty());
        let wishes = Wishes {
            webhook: Some("http://h".to_owned()),
            events: vec!["pool.up".to_owned()],
            ..Wishes::default()
        };
        assert_eq!(
            Value::Object(wishes.body()),
            json!({"events": ["pool.up"], "target": {"kind": "webhook", "url": "http://h"}})
        );
    }
}
