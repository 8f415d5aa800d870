//! `weir deployment list`.

use serde_json::Value;

use crate::{
    base::name::Name,
    cli::{
        failure::Failure,
        remote::{Session, escaped},
        terminal::{Table, ago},
    },
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ListArgs {
    /// Only those of this project
    #[arg(short, long)]
    project: Option<Name>,
    /// Only those in this state: queued, setting-up, live, stopping, stopped, failed, deleting or deleted
    #[arg(long)]
    state: Option<String>,
    /// Only those with this tag
    #[arg(long)]
    tag: Option<String>,
    /// Only those with this text in their name or description
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
}

/// Lists deployments.
///
/// # Errors
/// As calls of the API.
pub(super) fn run(arguments: &ListArgs, session: &Session) -> Result<(), Failure> {
    let filters = [
        ("state", &arguments.state),
        ("tag", &arguments.tag),
        ("q", &arguments.search),
    ];
    let filters = filters
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", escaped(value.as_ref()?))));
    let filters: Vec<String> = filters.collect();
    let all = match &arguments.project {
        Some(project) => format!("/api/v1/projects/{project}/deployments"),
        None => "/api/v1/deployments".to_owned(),
    };
    let path = format!("{all}?{}", filters.join("&"));
    let deployments = session.client.list(path.trim_end_matches('?'))?;
    let out = &session.out;
    if out.is_json() {
        return out.items(&deployments);
    }
    let mut table = Table::new(&["NAME", "STATE", "VERSION", "ACCESS", "BACKENDS", "AGE"]);
    for deployment in &deployments {
        let text = |member: &str| deployment[member].as_str().unwrap_or("").to_owned();
        let version = deployment["live_version"].as_u64();
        table.row(vec![
            format!("{}/{}", text("project"), text("name")),
            text("state"),
            version.map_or_else(String::new, |version| version.to_string()),
            text("access"),
            backends(deployment),
            ago(&deployment["created_at"]),
        ]);
    }
    out.table(&table)
}

/// How many of main's backends are available: `2/3`.
fn backends(deployment: &Value) -> String {
    let of_main = deployment["backends"].as_array().into_iter().flatten();
    let of_main = of_main.filter(|backend| backend["role"] == "main");
    let (mut available, mut all) = (0, 0);
    for backend in of_main {
        all += 1;
        available += u32::from(backend["state"] == "available");
    }
    match all {
        0 => String::new(),
        all => format!("{available}/{all}"),
    }
}
