//! `weir token`: what opens the admin API, and what it may do there.

use clap::{Subcommand, builder::PossibleValue};
use serde_json::{Map, Value, json};

use super::{
    expiry::Expiry,
    failure::Failure,
    remote::{Call, Session, ending, escaped, last_used, text, texts, when},
    terminal::{Sure, Table, ago},
};
use crate::{base::name::Name, spec::Role};

const TOKENS: &str = "/api/v1/tokens";

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make an admin token, and show it once
    #[command(after_help = "\
Examples:
  weir token add ci --role member --project demo --expires-in 90d
  weir token add ann --role tenant-admin --tenant acme
  WEIR_ADMIN_TOKEN=$(weir token add look --role viewer -q) weir status")]
    Add {
        /// Whom it is for
        name: String,
        /// What it may do
        #[arg(long, value_parser = roles())]
        role: String,
        /// Where: in this tenant
        #[arg(long, conflicts_with = "projects")]
        tenant: Option<Name>,
        /// Where: in this project; may be given more than once
        #[arg(short, long = "project", value_name = "PROJECT")]
        projects: Vec<Name>,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        #[command(flatten)]
        expiry: Expiry,
    },
    /// List admin tokens
    #[command(after_help = "Example: weir token list")]
    List {
        /// At most so many
        #[arg(short = 'n', long)]
        limit: Option<usize>,
    },
    /// Show what is known of an admin token, never the token itself
    #[command(after_help = "Example: weir token info a1b2c3")]
    Info {
        /// Its public id, as `weir token list` shows it
        id: String,
    },
    /// Change an admin token's description
    #[command(after_help = "Example: weir token edit a1b2c3 --description \"the build server\"")]
    Edit {
        /// Its public id
        id: String,
        /// What it says from now on
        #[arg(long, value_name = "TEXT")]
        description: String,
    },
    /// Revoke an admin token, for good
    #[command(after_help = "Example: weir token revoke a1b2c3 --yes")]
    Revoke {
        /// Its public id
        id: String,
        #[command(flatten)]
        sure: Sure,
    },
}

/// Runs a command.
///
/// # Errors
/// As calls of the API.
pub(super) fn run(command: TokenCommand, session: &Session) -> Result<(), Failure> {
    let (client, out) = (&session.client, &session.out);
    match command {
        TokenCommand::Add {
            name,
            role,
            tenant,
            projects,
            description,
            expiry,
        } => {
            let mut body = Map::new();
            let mut with = |member: &str, value: Value| body.insert(member.to_owned(), value);
            with("name", json!(name));
            with("role", json!(role));
            if let Some(tenant) = tenant {
                with("tenant", json!(tenant.as_str()));
            }
            if !projects.is_empty() {
                let projects = projects.iter().map(Name::as_str).collect::<Vec<_>>();
                with("projects", json!(projects));
            }
            if let Some(description) = description {
                with("description", json!(description));
            }
            if let Some(at) = expiry.at() {
                with("expires_at", json!(at));
            }
            let call = Call::post(TOKENS).json(&Value::Object(body));
            let token = client.send(call)?.json()?;
            let secret = text(&token, "secret");
            match (out.is_json(), out.is_quiet()) {
                (true, _) => out.json(&token),
                // Alone, so that `$(weir token add ... -q)` is the token.
                (false, true) => out.line(&secret),
                (false, false) => out.line(&format!(
                    "Token {} created: {}.\nToken (shown once): {secret}",
                    text(&token, "id"),
                    power(&token)
                )),
            }
        }
        TokenCommand::List { limit } => {
            let tokens = client.list_up_to(TOKENS, limit.unwrap_or(usize::MAX))?;
            let none = "no tokens beside the one of the gateway's own settings";
            out.list(&tokens, none, table(), row)
        }
        TokenCommand::Info { id } => {
            let token = client.get(&path(&id))?;
            let told = [
                ("id", text(&token, "id")),
                ("name", text(&token, "name")),
                ("description", text(&token, "description")),
                ("role", text(&token, "role")),
                ("reaches", reach(&token)),
                ("status", text(&token, "status")),
                ("created", when(&token, "created_at")),
                ("by", text(&token, "created_by")),
                ending(&token),
                ("last used", last_used(&token)),
                ("revoked", when(&token, "revoked_at")),
            ];
            out.block(&token, &told)
        }
        TokenCommand::Edit { id, description } => {
            let body = json!({"description": description});
            let token = client.send(Call::patch(&path(&id)).json(&body))?;
            let words = format!("Token {id} is now described as {description:?}.");
            out.done(&token.json()?, &words)
        }
        TokenCommand::Revoke { id, sure } => {
            let (token, tag) = client.look(&path(&id))?;
            if token["status"] == "revoked" {
                // Whoever repeats it has what they want.
                let words = format!("Token {id} was revoked {}.", ago(&token["revoked_at"]));
                return out.done(&token, &words);
            }
            let call = Call::post(&format!("{}/revoke", path(&id))).if_match(tag.as_deref());
            let revoked = session.send_if(call, &question(&token), sure)?;
            out.done(&revoked.json()?, &format!("Token {id} revoked."))
        }
    }
}

/// The roles, each with what it means.
fn roles() -> Vec<PossibleValue> {
    let meaning = |role| match role {
        Role::OrgAdmin => "everything",
        Role::TenantAdmin => "everything in its --tenant",
        Role::Member => "works in each --project, and owns what it creates",
        Role::Viewer => "reads: everything, a --tenant, or each --project",
    };
    let roles = Role::ALL.into_iter();
    roles
        .map(|role| PossibleValue::new(role.as_str()).help(meaning(role)))
        .collect()
}

fn question(token: &Value) -> String {
    let used = match last_used(token).as_str() {
        "never" => "never used".to_owned(),
        ago => format!("last used {ago}"),
    };
    let (id, name, power) = (text(token, "id"), text(token, "name"), power(token));
    format!("Revoke token {id} of {name} ({power}, {used})? It can't be undone.")
}

/// What it may do, and where: `member of demo, other`.
fn power(token: &Value) -> String {
    let role = text(token, "role");
    match reach(token).as_str() {
        "everything" => role,
        reach => format!("{role} of {reach}"),
    }
}

fn reach(token: &Value) -> String {
    let projects = texts(token, "projects");
    match (text(token, "tenant"), projects.is_empty()) {
        (tenant, true) if tenant.is_empty() => "everything".to_owned(),
        (tenant, true) => format!("the tenant {tenant}"),
        (_, false) => projects.join(", "),
    }
}

fn table() -> Table {
    Table::new(&[
        "ID",
        "NAME",
        "ROLE",
        "REACHES",
        "STATUS",
        "AGE",
        "LAST USED",
    ])
}

fn row(token: &Value) -> Vec<String> {
    vec![
        text(token, "id"),
        text(token, "name"),
        text(token, "role"),
        reach(token),
        text(token, "status"),
        ago(&token["created_at"]),
        last_used(token),
    ]
}

fn path(id: &str) -> String {
    format!("{TOKENS}/{}", escaped(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_shown_with_its_reach() {
        for (token, expected) in [
            (json!({"role": "org-admin", "projects": []}), "org-admin"),
            (
                json!({"role": "tenant-admin", "tenant": "acme", "projects": []}),
                "tenant-admin of the tenant acme",
            ),
            (
                json!({"role": "member", "projects": ["a", "b"]}),
                "member of a, b",
            ),
        ] {
            assert_eq!(power(&token), expected);
        }
        let token = json!({"id": "t1", "name": "ci", "role": "viewer", "projects": ["a"]});
        assert_eq!(
            question(&token),
            "Revoke token t1 of ci (viewer of a, never used)? It can't be undone."
        );
    }
}
