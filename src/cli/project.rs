//! `weir project`: groups of deployments.

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::{
    failure::{Code, Failure},
    remote::{Call, Session, escaped, some_of, text, when},
    terminal::{Sure, Table, ago, counted},
};
use crate::base::name::Name;

#[derive(Debug, Subcommand)]
pub(super) enum ProjectCommand {
    /// Create a project
    #[command(after_help = "Example: weir project create demo --description \"Things to try\"")]
    Create {
        /// What it is to be called; names are unique in the instance
        name: Name,
        /// The tenant that it belongs to [default: default]
        #[arg(long)]
        tenant: Option<Name>,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// List projects by name
    #[command(after_help = "Example: weir project list --tenant acme")]
    List {
        /// Only those of this tenant
        #[arg(long)]
        tenant: Option<Name>,
        /// At most so many
        #[arg(short = 'n', long)]
        limit: Option<usize>,
    },
    /// Show one
    #[command(after_help = "Example: weir project info demo")]
    Info {
        /// Its name
        name: Name,
    },
    /// Change a project's description
    #[command(after_help = "Example: weir project update demo --description \"Things we sell\"")]
    Update {
        /// Its name
        name: Name,
        /// What it says from now on
        #[arg(long, value_name = "TEXT")]
        description: String,
    },
    /// Delete a project that has no deployments; its keys are revoked
    #[command(after_help = "Example: weir project delete demo --yes")]
    Delete {
        /// Its name
        name: Name,
        #[command(flatten)]
        sure: Sure,
    },
}

/// Runs a command.
///
/// # Errors
/// As calls of the API.
pub(super) fn run(command: ProjectCommand, session: &Session) -> Result<(), Failure> {
    let (client, out) = (&session.client, &session.out);
    match command {
        ProjectCommand::Create {
            name,
            tenant,
            description,
        } => {
            let mut body = Map::new();
            body.insert("name".to_owned(), json!(name.as_str()));
            if let Some(tenant) = tenant {
                body.insert("tenant".to_owned(), json!(tenant.as_str()));
            }
            if let Some(description) = description {
                body.insert("description".to_owned(), json!(description));
            }
            let call = Call::post("/api/v1/projects").json(&Value::Object(body));
            let made = client.send(call)?.json()?;
            out.done(&made, &format!("Project {name} created."))
        }
        ProjectCommand::List { tenant, limit } => {
            let path = match &tenant {
                Some(tenant) => format!("/api/v1/projects?tenant={}", escaped(tenant.as_str())),
                None => "/api/v1/projects".to_owned(),
            };
            let projects = client.list_up_to(&path, limit.unwrap_or(usize::MAX))?;
            let none = match tenant {
                Some(tenant) => format!("no projects of the tenant {tenant}"),
                None => "no projects; `weir project create NAME` makes one".to_owned(),
            };
            out.list(&projects, &none, table(), row)
        }
        ProjectCommand::Info { name } => {
            let project = client.get(&path(&name))?;
            // Programs have lists of their own for the rest.
            let deployments = match out.is_json() {
                true => Vec::new(),
                false => names_in(session, &name, "deployments", "name")?,
            };
            let told = [
                ("name", text(&project, "name")),
                ("tenant", text(&project, "tenant")),
                ("description", text(&project, "description")),
                ("created", when(&project, "created_at")),
                ("by", text(&project, "created_by")),
                ("deployments", listed(&deployments)),
            ];
            out.block(&project, &told)
        }
        ProjectCommand::Update { name, description } => {
            let body = json!({"description": description});
            let project = client.send(Call::patch(&path(&name)).json(&body))?;
            let words = format!("Project {name} is now described as {description:?}.");
            out.done(&project.json()?, &words)
        }
        ProjectCommand::Delete { name, sure } => delete(&name, sure, session),
    }
}

fn delete(name: &Name, sure: Sure, session: &Session) -> Result<(), Failure> {
    let (project, tag) = session.client.look(&path(name))?;
    let deployments = names_in(session, name, "deployments", "name")?;
    if let Some(first) = deployments.first() {
        let still = counted(deployments.len(), "deployment");
        let words = format!(
            "the project {name} still has {still}: {}",
            some_of(&deployments)
        );
        return Err(Failure::with(Code::Conflict, words).hint(format_args!(
            "delete them first, such as: weir deployment delete {name}/{first} --reason \"not used\""
        )));
    }
    let keys = names_in(session, name, "keys", "id")?;
    // Only those who operate it may read them, and gateways before them have none.
    let told = names_in(session, name, "subscriptions", "id").unwrap_or_default();
    let call = Call::delete(&path(name)).if_match(tag.as_deref());
    let gone = session.send_if(call, &question(&project, &keys, &told), sure)?;
    session
        .out
        .done(&gone.json()?, &format!("Project {name} deleted."))
}

fn question(project: &Value, keys: &[String], subscriptions: &[String]) -> String {
    let mut with = Vec::new();
    if !keys.is_empty() {
        let count = counted(keys.len(), "key");
        with.push(format!("revoke its {count} ({})", some_of(keys)));
    }
    if !subscriptions.is_empty() {
        let count = counted(subscriptions.len(), "subscription");
        with.push(format!("remove its {count}"));
    }
    let name = text(project, "name");
    let and = match with.is_empty() {
        true => String::new(),
        false => format!(", {}", with.join(", ")),
    };
    format!("Delete project {name}{and}? It can't be undone.")
}

/// The names of what a project has; keys that are revoked already do not count.
fn names_in(
    session: &Session,
    project: &Name,
    what: &str,
    member: &str,
) -> Result<Vec<String>, Failure> {
    let items = session.client.list(&format!("{}/{what}", path(project)))?;
    let there = items
        .iter()
        .filter(|item| item["status"] != "revoked" && item["state"] != "deleted");
    Ok(there.map(|item| text(item, member)).collect())
}

fn listed(names: &[String]) -> String {
    match names.len() {
        0 => "none".to_owned(),
        count => format!("{count} ({})", some_of(names)),
    }
}

fn table() -> Table {
    Table::new(&["NAME", "TENANT", "DESCRIPTION", "AGE"])
}

fn row(project: &Value) -> Vec<String> {
    vec![
        text(project, "name"),
        text(project, "tenant"),
        text(project, "description"),
        ago(&project["created_at"]),
    ]
}

fn path(name: &Name) -> String {
    format!("/api/v1/projects/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_lists_what_goes_with_it() {
        let project = json!({"name": "demo"});
        let keys = ["k1".to_owned(), "k2".to_owned()];
        for (keys, told, expected) in [
            (
                &keys[..0],
                &keys[..0],
                "Delete project demo? It can't be undone.",
            ),
            (
                &keys[..1],
                &keys[..0],
                "Delete project demo, revoke its 1 key (k1)? It can't be undone.",
            ),
            (
                &keys[..],
                &keys[..],
                "Delete project demo, revoke its 2 keys (k1, k2), remove its 2 subscriptions? It can't be undone.",
            ),
        ] {
            assert_eq!(question(&project, keys, told), expected);
        }
    }
}
