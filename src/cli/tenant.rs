//! `weir tenant`: organisations, whose projects are.

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::{
    failure::{Code, Failure},
    remote::{Call, Session, some_of, text, when},
    terminal::{Sure, Table, ago, counted},
};
use crate::base::name::Name;

#[derive(Debug, Subcommand)]
pub(super) enum TenantCommand {
    /// Create a tenant
    #[command(after_help = "Example: weir tenant create acme --description \"Acme Ltd\"")]
    Create {
        /// What it is to be called
        name: Name,
        /// Who it is
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// List tenants by name
    #[command(after_help = "Example: weir tenant list")]
    List {
        /// At most so many
        #[arg(short = 'n', long)]
        limit: Option<usize>,
    },
    /// Show one
    #[command(after_help = "Example: weir tenant info acme")]
    Info {
        /// Its name
        name: Name,
    },
    /// Change a tenant's description
    #[command(after_help = "Example: weir tenant update acme --description \"Acme Inc\"")]
    Update {
        /// Its name
        name: Name,
        /// What it says from now on
        #[arg(long, value_name = "TEXT")]
        description: String,
    },
    /// Delete a tenant that has no projects and no tokens
    #[command(after_help = "Example: weir tenant delete acme --yes")]
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
pub(super) fn run(command: TenantCommand, session: &Session) -> Result<(), Failure> {
    let (client, out) = (&session.client, &session.out);
    match command {
        TenantCommand::Create { name, description } => {
            let mut body = Map::new();
            body.insert("name".to_owned(), json!(name.as_str()));
            if let Some(description) = description {
                body.insert("description".to_owned(), json!(description));
            }
            let call = Call::post("/api/v1/tenants").json(&Value::Object(body));
            let made = client.send(call)?.json()?;
            out.done(&made, &format!("Tenant {name} created."))
        }
        TenantCommand::List { limit } => {
            let tenants = client.list_up_to("/api/v1/tenants", limit.unwrap_or(usize::MAX))?;
            out.list(&tenants, "no tenants that you may see", table(), row)
        }
        TenantCommand::Info { name } => {
            let tenant = client.get(&path(&name))?;
            // Programs have a list of their own for them.
            let projects = match out.is_json() {
                true => Vec::new(),
                false => projects_of(session, &name)?,
            };
            let told = [
                ("name", text(&tenant, "name")),
                ("description", text(&tenant, "description")),
                ("created", when(&tenant, "created_at")),
                ("by", text(&tenant, "created_by")),
                (
                    "projects",
                    match projects.len() {
                        0 => "none".to_owned(),
                        count => format!("{count} ({})", some_of(&projects)),
                    },
                ),
            ];
            out.block(&tenant, &told)
        }
        TenantCommand::Update { name, description } => {
            let body = json!({"description": description});
            let tenant = client.send(Call::patch(&path(&name)).json(&body))?;
            let words = format!("Tenant {name} is now described as {description:?}.");
            out.done(&tenant.json()?, &words)
        }
        TenantCommand::Delete { name, sure } => delete(&name, sure, session),
    }
}

fn delete(name: &Name, sure: Sure, session: &Session) -> Result<(), Failure> {
    let (tenant, tag) = session.client.look(&path(name))?;
    let described = match text(&tenant, "description").as_str() {
        "" => String::new(),
        description => format!(" ({description})"),
    };
    let question = format!("Delete tenant {name}{described}? It can't be undone.");
    let call = Call::delete(&path(name)).if_match(tag.as_deref());
    let gone = session.send_if(call, &question, sure);
    let gone = gone.map_err(|failure| match failure.code() {
        // The one that stays whatever it has.
        _ if name.as_str() == "default" => failure,
        Some(Code::Conflict) => failure.details(what_it_has(session, name)),
        _ => failure,
    })?;
    let words = format!("Tenant {name} deleted.");
    session.out.done(&gone.json()?, &words)
}

/// What keeps a tenant from being deleted, as far as it can be seen.
fn what_it_has(session: &Session, tenant: &Name) -> Vec<String> {
    let projects = projects_of(session, tenant).unwrap_or_default();
    let tokens = session.client.list("/api/v1/tokens").unwrap_or_default();
    let is_its = |token: &&Value| token["tenant"] == tenant.as_str() && token["status"] == "live";
    let tokens = tokens.iter().filter(is_its);
    let tokens: Vec<String> = tokens
        .map(|token| format!("{} ({})", text(token, "id"), text(token, "name")))
        .collect();
    [("project", projects), ("token", tokens)]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(noun, names)| format!("{}: {}", counted(names.len(), noun), some_of(&names)))
        .collect()
}

fn projects_of(session: &Session, tenant: &Name) -> Result<Vec<String>, Failure> {
    let projects = session
        .client
        .list(&format!("/api/v1/projects?tenant={tenant}"))?;
    Ok(projects
        .iter()
        .map(|project| text(project, "name"))
        .collect())
}

fn table() -> Table {
    Table::new(&["NAME", "DESCRIPTION", "AGE"])
}

fn row(tenant: &Value) -> Vec<String> {
    vec![
        text(tenant, "name"),
        text(tenant, "description"),
        ago(&tenant["created_at"]),
    ]
}

fn path(name: &Name) -> String {
    format!("/api/v1/tenants/{name}")
}
