//! `weir endpoint add-apikey` and its kin: a deployment's keys, in SambaStudio's words.

use clap::Subcommand;
use serde_json::{Value, json};

use super::Target;
use crate::{
    base::name::DeploymentName,
    cli::{
        failure::Failure,
        remote::{Call, Session, escaped, path_of},
        terminal::{Table, ago, confirmed, pairs},
    },
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ApikeyCommand {
    /// Make an API key
    AddApikey {
        #[command(flatten)]
        target: Target,
        /// What it is for
        #[arg(
            long,
            value_name = "TEXT",
            default_value = "",
            hide_default_value = true
        )]
        description: String,
    },
    /// List API keys
    ListApikeys {
        #[command(flatten)]
        target: Target,
    },
    /// Change what an API key is for
    EditApikey {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        key: Key,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: String,
    },
    /// Revoke an API key, for good
    RevokeApikey {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        key: Key,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Show an API key, never the key itself
    InfoApikey {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        key: Key,
    },
}

/// Which key is meant.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Key {
    /// Its id, as list-apikeys shows it
    #[arg(long, value_name = "ID")]
    apikey: String,
}

/// Runs a command.
///
/// # Errors
/// As calls of the API; when a question is not answered with yes.
pub(super) fn run(command: ApikeyCommand, session: &Session) -> Result<(), Failure> {
    let (client, out) = (&session.client, &session.out);
    match command {
        ApikeyCommand::AddApikey {
            target,
            description,
        } => {
            let call = Call::post(&path_of(&target.name()?, "/keys"));
            let call = call.json(&json!({"description": description}));
            let key = client.send(call)?.json()?;
            if out.is_json() {
                return out.json(&key);
            }
            let (id, secret) = (text(&key, "id"), text(&key, "secret"));
            out.line(&format!("Key {id} created.\nSecret (shown once): {secret}"))
        }
        ApikeyCommand::ListApikeys { target } => {
            let keys = client.list(&path_of(&target.name()?, "/keys"))?;
            match out.is_json() {
                true => out.items(&keys),
                false => out.table(&table(&keys)),
            }
        }
        ApikeyCommand::EditApikey {
            target,
            key,
            description,
        } => {
            let call = Call::patch(&key.path(&target.name()?));
            let call = call.json(&json!({"description": description}));
            let key = client.send(call)?.json()?;
            match out.is_json() {
                true => out.json(&key),
                false => out.line(&format!("Key {} changed.", text(&key, "id"))),
            }
        }
        ApikeyCommand::RevokeApikey { target, key, yes } => {
            let name = target.name()?;
            if !yes {
                let now = client.get(&key.path(&name))?;
                let id = text(&now, "id");
                let description = match text(&now, "description") {
                    description if description.is_empty() => String::new(),
                    description => format!(" ({description:?})"),
                };
                let question =
                    format!("Revoke key {id}{description} of {name}? It can't be undone.");
                confirmed(&question, false)?;
            }
            let revoke = Call::post(&format!("{}/revoke", key.path(&name)));
            let key = client.send(revoke)?.json()?;
            match out.is_json() {
                true => out.json(&key),
                false => out.line(&format!("Key {} revoked.", text(&key, "id"))),
            }
        }
        ApikeyCommand::InfoApikey { target, key } => {
            let key = client.get(&key.path(&target.name()?))?;
            match out.is_json() {
                true => out.json(&key),
                false => out.line(&pairs(&known(&key), out.style).join("\n")),
            }
        }
    }
}

fn text(key: &Value, member: &str) -> String {
    key[member].as_str().unwrap_or("").to_owned()
}

fn table(keys: &[Value]) -> Table {
    let heads = [
        "ID",
        "DESCRIPTION",
        "STATUS",
        "SCOPE",
        "OWNER",
        "AGE",
        "LAST USED",
    ];
    let mut table = Table::new(&heads);
    for key in keys {
        table.row(vec![
            text(key, "id"),
            text(key, "description"),
            text(key, "status"),
            text(key, "scope"),
            text(key, "owner"),
            ago(&key["created_at"]),
            ago(&key["last_used_at"]),
        ]);
    }
    table
}

fn known(key: &Value) -> [(&'static str, String); 10] {
    let time = |member: &str| match &key[member] {
        Value::Null => String::new(),
        time => ago(time),
    };
    let flag = |member: &str| match key[member].as_bool() {
        Some(true) => "yes".to_owned(),
        _ => String::new(),
    };
    [
        ("id", text(key, "id")),
        ("description", text(key, "description")),
        ("status", text(key, "status")),
        ("scope", text(key, "scope")),
        ("owner", text(key, "owner")),
        ("created", time("created_at")),
        ("expires", time("expires_at")),
        ("last used", time("last_used_at")),
        ("may pin versions", flag("may_pin")),
        ("first key", flag("first")),
    ]
}

// === impl ApikeyCommand, Key ===

impl ApikeyCommand {
    /// The deployment that it is about.
    pub(super) fn target(&self) -> &Target {
        match self {
            Self::AddApikey { target, .. }
            | Self::ListApikeys { target }
            | Self::EditApikey { target, .. }
            | Self::RevokeApikey { target, .. }
            | Self::InfoApikey { target, .. } => target,
        }
    }
}

impl Key {
    fn path(&self, name: &DeploymentName) -> String {
        path_of(name, &format!("/keys/{}", escaped(&self.apikey)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::terminal::Style;

    #[test]
    fn the_table() {
        let keys = [
            json!({"id": "k1", "description": "First Key", "status": "live", "scope": "demo/iris",
                "owner": "ann", "created_at": null, "last_used_at": null}),
            json!({"id": "k22", "description": "", "status": "revoked", "scope": "demo/iris",
                "owner": "ann", "created_at": null, "last_used_at": null}),
        ];
        assert_eq!(
            table(&keys).lines(Style::new(false)),
            [
                "ID   DESCRIPTION  STATUS   SCOPE      OWNER  AGE  LAST USED",
                "k1   First Key    live     demo/iris  ann    -    -",
                "k22  -            revoked  demo/iris  ann    -    -",
            ]
        );
    }
}
