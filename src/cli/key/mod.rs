//! `weir key`: what applications call deployments with.

mod given;
mod named;

use clap::Subcommand;
use serde_json::{Map, Value, json};

pub(super) use named::KeyArgs;

use super::{
    expiry::Expiry,
    failure::Failure,
    limits::{LimitFlags, LimitsArgs, PRIORITIES, in_flags, limits, limits_in_short},
    remote::{Call, Session, ending, last_used, text, when},
    terminal::{Sure, Table, ago},
};
use crate::spec::Scope;

/// What a scope is, for each verb's help.
const SCOPE: &str = "PROJECT/DEPLOYMENT, PROJECT or `instance`";

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key, or import one, and show it once
    #[command(
        visible_alias = "create",
        after_help = "\
Examples:
  weir key add demo/iris --description \"Team A\" --expires-in 30d
  KEY=$(weir key add demo/iris -q)
  weir key add demo/iris --requests-per-second 50 --burst 100 --priority interactive
  weir key add demo --secret-stdin < old.key"
    )]
    Add {
        #[arg(help = format!("What it opens: {SCOPE}"), value_parser = named::ScopeParser)]
        scope: Scope,
        #[command(flatten)]
        arguments: Box<AddArgs>,
    },
    /// List the keys of a deployment, of a project, or of the instance
    #[command(after_help = "Example: weir key list demo/iris")]
    List {
        #[arg(help = format!("Whose keys: {SCOPE}"), value_parser = named::ScopeParser)]
        scope: Scope,
        /// At most so many
        #[arg(short = 'n', long)]
        limit: Option<usize>,
    },
    /// Show what is known of a key, never the key itself
    #[command(after_help = "Example: weir key info demo/iris k1a2b3")]
    Info {
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Change a key's description
    #[command(after_help = "Example: weir key edit demo/iris k1a2b3 --description \"Team B\"")]
    Edit {
        #[command(flatten)]
        key: KeyArgs,
        /// What it says from now on
        #[arg(long, value_name = "TEXT")]
        description: String,
    },
    /// Show or change how much a key may ask for, and whether its requests go first
    #[command(after_help = "\
Examples:
  weir key limits demo/iris k1a2b3
  weir key limits demo/iris k1a2b3 --requests-per-second 50 --burst 100 --requests-per-day 100000
  weir key limits demo/iris k1a2b3 --count
  weir key limits demo/iris k1a2b3 --burst none --priority bulk
  weir key limits demo/iris k1a2b3 --none
What is not named stays as it is. --count refuses nothing and counts what would be. It holds for
every request that starts when this is done.")]
    Limits {
        #[command(flatten)]
        key: KeyArgs,
        #[command(flatten)]
        arguments: Box<LimitsArgs>,
        /// Whose requests go first when there are too many
        #[arg(long, value_parser = PRIORITIES)]
        priority: Option<String>,
    },
    /// Revoke a key, for good: no request gets in with it from then on
    #[command(after_help = "Example: weir key revoke demo/iris k1a2b3 --yes")]
    Revoke {
        #[command(flatten)]
        key: KeyArgs,
        #[command(flatten)]
        arguments: RevokeArgs,
    },
    /// Show a key itself again, where the gateway keeps sealed copies
    #[command(after_help = "\
Example: KEY=$(weir key reveal demo/iris k1a2b3)
Each time is noted in the history. A gateway keeps none unless its settings say keys.reveal = true.")]
    Reveal {
        #[command(flatten)]
        key: KeyArgs,
    },
}

/// What a new key is to be.
#[derive(Debug, Default, clap::Args)]
pub(super) struct AddArgs {
    /// Whom or what it is for
    #[arg(long, value_name = "TEXT")]
    pub(super) description: Option<String>,
    #[command(flatten)]
    pub(super) expiry: Expiry,
    /// Its requests may pin a version with X-Deployment-Version
    #[arg(long)]
    pub(super) may_pin: bool,
    /// Whether its requests go first when there are too many [default: default]
    #[arg(long, value_parser = PRIORITIES)]
    pub(super) priority: Option<String>,
    #[command(flatten)]
    pub(super) limits: LimitFlags,
    /// Import the key that stands on a line of standard input
    #[arg(long)]
    pub(super) secret_stdin: bool,
}

/// How a key is revoked.
#[derive(Debug, Default, clap::Args)]
pub(super) struct RevokeArgs {
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
    #[command(flatten)]
    pub(super) sure: Sure,
}

/// Runs a command.
///
/// # Errors
/// As calls of the API.
pub(super) fn run(command: KeyCommand, session: &Session) -> Result<(), Failure> {
    match command {
        KeyCommand::Add { scope, arguments } => add(&scope, &arguments, session),
        KeyCommand::List { scope, limit } => list(&scope, limit, session),
        KeyCommand::Info { key } => info(&key, session),
        KeyCommand::Edit { key, description } => edit(&key, &description, session),
        KeyCommand::Limits {
            key,
            arguments,
            priority,
        } => limits(&key.path()?, &arguments, priority.as_deref(), session)
            .map_err(|failure| key.hinted(failure, session)),
        KeyCommand::Revoke { key, arguments } => revoke(&key, &arguments, session),
        KeyCommand::Reveal { key } => reveal(&key, session),
    }
}

/// Makes or imports a key.
///
/// # Errors
/// As calls of the API; when standard input holds no key.
pub(super) fn add(scope: &Scope, arguments: &AddArgs, session: &Session) -> Result<(), Failure> {
    let mut body = Map::new();
    if let Some(description) = &arguments.description {
        body.insert("description".to_owned(), json!(description));
    }
    if let Some(at) = arguments.expiry.at() {
        body.insert("expires_at".to_owned(), json!(at));
    }
    if arguments.may_pin {
        body.insert("may_pin".to_owned(), json!(true));
    }
    if !arguments.limits.is_empty() {
        let limits = arguments.limits.of_new();
        arguments.limits.check(&limits)?;
        body.insert("limits".to_owned(), limits);
    }
    if let Some(priority) = &arguments.priority {
        body.insert("priority".to_owned(), json!(priority));
    }
    if arguments.secret_stdin {
        body.insert("secret".to_owned(), json!(given::secret_of_stdin()?));
    }
    let call = Call::post(&named::keys_of(scope)).json(&Value::Object(body));
    let key = session.client.send(call).map_err(in_flags)?.json()?;
    let out = &session.out;
    let id = text(&key, "id");
    match key["secret"].as_str() {
        _ if out.is_json() => out.json(&key),
        // Alone, so that `KEY=$(weir key add demo/iris -q)` is the key.
        Some(secret) if out.is_quiet() => out.line(secret),
        Some(secret) => out.line(&format!("Key {id} created.\nSecret (shown once): {secret}")),
        None if out.is_quiet() => out.line(&id),
        None => out.line(&format!("Key {id} imported.")),
    }
}

/// Lists the keys of a scope.
///
/// # Errors
/// As calls of the API.
pub(super) fn list(scope: &Scope, limit: Option<usize>, session: &Session) -> Result<(), Failure> {
    let limit = limit.unwrap_or(usize::MAX);
    let keys = session.client.list_up_to(&named::keys_of(scope), limit)?;
    let none = match scope {
        Scope::Instance => "no keys of the whole instance".to_owned(),
        scope => format!("no keys in {scope}"),
    };
    session.out.list(&keys, &none, table(), row)
}

/// Shows a key.
///
/// # Errors
/// As calls of the API.
pub(super) fn info(key: &KeyArgs, session: &Session) -> Result<(), Failure> {
    let found = session.client.get(&key.path()?);
    let key = found.map_err(|failure| key.hinted(failure, session))?;
    let told = [
        ("id", text(&key, "id")),
        ("description", text(&key, "description")),
        ("status", text(&key, "status")),
        ("opens", text(&key, "scope")),
        ("owner", text(&key, "owner")),
        ("created", when(&key, "created_at")),
        ending(&key),
        ("last used", last_used(&key)),
        ("may pin", text(&key, "may_pin")),
        ("limits", limits_in_short(&key["limits"])),
        ("priority", text(&key, "priority")),
        ("first key", text(&key, "first")),
        ("revealable", text(&key, "revealable")),
        ("revoked", when(&key, "revoked_at")),
        ("revoked by", text(&key, "revoked_by")),
    ];
    session.out.block(&key, &told)
}

/// Changes a key's description.
///
/// # Errors
/// As calls of the API.
pub(super) fn edit(key: &KeyArgs, description: &str, session: &Session) -> Result<(), Failure> {
    let call = Call::patch(&key.path()?).json(&json!({"description": description}));
    let edited = session.client.send(call).map_err(in_flags);
    let edited = edited.map_err(|failure| key.hinted(failure, session))?;
    let shown = edited.json()?;
    let words = format!("Key {} is now described as {description:?}.", key.id);
    session.out.done(&shown, &words)
}

/// Revokes a key, once its user is sure.
///
/// # Errors
/// As calls of the API; when the answer is not yes.
pub(super) fn revoke(
    key: &KeyArgs,
    arguments: &RevokeArgs,
    session: &Session,
) -> Result<(), Failure> {
    let path = key.path()?;
    let found = session.client.look(&path);
    let (shown, tag) = found.map_err(|failure| key.hinted(failure, session))?;
    if shown["status"] == "revoked" {
        // Whoever repeats it has what they want.
        let words = format!("Key {} was revoked {}.", key.id, ago(&shown["revoked_at"]));
        return session.out.done(&shown, &words);
    }
    let mut call = Call::post(&format!("{path}/revoke")).if_match(tag.as_deref());
    if let Some(reason) = &arguments.reason {
        call = call.json(&json!({"reason": reason}));
    }
    let revoked = session.send_if(call, &question(&shown), arguments.sure)?;
    let words = format!("Key {} revoked.", key.id);
    session.out.done(&revoked.json()?, &words)
}

fn reveal(key: &KeyArgs, session: &Session) -> Result<(), Failure> {
    let call = Call::post(&format!("{}/reveal", key.path()?));
    let revealed = session.client.send(call);
    let revealed = revealed.map_err(|failure| key.hinted(failure, session))?;
    let revealed = revealed.json()?;
    match session.out.is_json() {
        true => session.out.json(&revealed),
        false => session.out.line(&text(&revealed, "secret")),
    }
}

fn question(key: &Value) -> String {
    let described = match text(key, "description").as_str() {
        "" => String::new(),
        description => format!("{description}, "),
    };
    let used = match last_used(key).as_str() {
        "never" => "never used".to_owned(),
        ago => format!("last used {ago}"),
    };
    let (id, scope) = (text(key, "id"), text(key, "scope"));
    format!("Revoke key {id} of {scope} ({described}{used})? It can't be undone.")
}

fn table() -> Table {
    Table::new(&[
        "ID",
        "DESCRIPTION",
        "STATUS",
        "SCOPE",
        "OWNER",
        "AGE",
        "LAST USED",
        "PRIORITY",
        "LIMITS",
    ])
}

fn row(key: &Value) -> Vec<String> {
    vec![
        text(key, "id"),
        text(key, "description"),
        text(key, "status"),
        text(key, "scope"),
        text(key, "owner"),
        ago(&key["created_at"]),
        last_used(key),
        text(key, "priority"),
        limits_in_short(&key["limits"]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::terminal::Style;

    fn shown() -> Value {
        json!({"id": "k1", "description": "Team A", "status": "live", "scope": "demo/iris",
            "owner": "ann", "created_at": "2020-01-01T00:00:00Z", "may_pin": false, "first": false,
            "priority": "bulk", "limits": {"requests_per_second": 5.0}})
    }

    #[test]
    fn the_table() {
        let mut table = table();
        table.row(row(&shown()));
        let lines = table.lines(Style::new(false));
        let age = ago(&shown()["created_at"]);
        let pad = " ".repeat(age.len() - "AGE".len());
        assert_eq!(
            lines,
            [
                format!(
                    "ID  DESCRIPTION  STATUS  SCOPE      OWNER  AGE{pad}  LAST USED  PRIORITY  LIMITS"
                ),
                format!(
                    "k1  Team A       live    demo/iris  ann    {age}  never      bulk      5/s"
                ),
            ]
        );
    }

    #[test]
    fn the_question_names_the_key_and_its_use() {
        assert_eq!(
            question(&shown()),
            "Revoke key k1 of demo/iris (Team A, never used)? It can't be undone."
        );
    }
}
