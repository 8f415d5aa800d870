//! `weir deployment list`.

use serde_json::Value;

use super::near::full_name;
use crate::{
    base::name::Name,
    cli::{
        failure::{Code, Failure},
        limits::limits_in_short,
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
    /// Show more of each: model, tags, owner, limits, description
    #[arg(short, long)]
    wide: bool,
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
    let listed = session.client.list(path.trim_end_matches('?'));
    let deployments = listed.map_err(|failure| match failure.code() {
        Some(Code::Unknown) => failure.hint("`weir project list` shows those there are"),
        _ => failure,
    })?;
    let out = &session.out;
    if out.is_json() {
        return out.items(&deployments);
    }
    if deployments.is_empty() {
        out.note("no deployments; `weir deployment create PROJECT/NAME --backend URL` makes one");
    }
    out.table(&table(&deployments, arguments.wide))
}

fn table(deployments: &[Value], wide: bool) -> Table {
    let heads = [
        "NAME",
        "STATE",
        "VERSION",
        "ACCESS",
        "BACKENDS",
        "AGE",
        "MODEL",
        "TAGS",
        "OWNER",
        "LIMITS",
        "DESCRIPTION",
    ];
    let shown = if wide { heads.len() } else { 6 };
    let mut table = Table::new(&heads[..shown]);
    for deployment in deployments {
        let text = |member: &str| deployment[member].as_str().unwrap_or("").to_owned();
        let version = deployment["live_version"].as_u64();
        let tags = deployment["tags"].as_array().into_iter().flatten();
        let tags: Vec<&str> = tags.filter_map(Value::as_str).collect();
        let model = deployment["version"]["model"].as_str().unwrap_or("");
        let mut row = vec![
            full_name(deployment),
            text("state"),
            version.map_or_else(String::new, |version| version.to_string()),
            text("access"),
            backends(deployment),
            ago(&deployment["created_at"]),
            model.to_owned(),
            tags.join(","),
            text("owner"),
            limits_in_short(&deployment["limits"]),
            text("description"),
        ];
        row.truncate(shown);
        table.row(row);
    }
    table
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::terminal::Style;

    #[test]
    fn the_table() {
        let deployments = [
            json!({"project": "demo", "name": "iris", "state": "live", "live_version": 2,
                "access": "keys", "created_at": null, "tags": ["a", "b"], "owner": "ann", "limits": {"concurrency_max": 8},
                "description": "three\u{1b}[2J species", "version": {"model": "iris:1.2"},
                "backends": [{"role": "main", "state": "available"},
                    {"role": "main", "state": "ejected"},
                    {"role": "challenger", "state": "unhealthy"}]}),
            json!({"project": "demo", "name": "broken", "state": "failed", "live_version": null,
                "access": "public", "created_at": null, "tags": [], "owner": "ann",
                "description": "", "version": null, "backends": []}),
        ];
        assert_eq!(
            table(&deployments, false).lines(Style::new(false)),
            [
                "NAME         STATE   VERSION  ACCESS  BACKENDS  AGE",
                "demo/iris    live    2        keys    1/2       -",
                "demo/broken  failed  -        public  -         -",
            ]
        );
        assert_eq!(
            table(&deployments, true).lines(Style::new(false)),
            [
                "NAME         STATE   VERSION  ACCESS  BACKENDS  AGE  MODEL     TAGS  OWNER  LIMITS     DESCRIPTION",
                "demo/iris    live    2        keys    1/2       -    iris:1.2  a,b   ann    8 at once  \
                 three\\u{1b}[2J species",
                "demo/broken  failed  -        public  -         -    -         -     ann    -          -",
            ]
        );
    }
}
