//! `weir deployment create`.

use serde_json::{Value, json};

use super::{
    Target,
    flags::VersionFlags,
    near::full_name,
    started::{Started, body},
};
use crate::{
    base::name::DeploymentName,
    cli::{
        failure::{Code, Failure},
        limits::{LimitFlags, in_flags},
        remote::{Call, Session, path_of},
        task::{Patience, has_ended},
        terminal::safe,
    },
};

/// Whose keys may open a deployment.
pub(super) const ACCESSES: [&str; 4] = ["keys", "project", "instance", "public"];

/// What stands below the flags.
pub(super) const HELP: &str = "\
Examples:
  weir deployment create demo/iris --backend http://10.0.0.7:9001 --model iris:1.2
  weir deployment create demo/iris --backend http://a:9001=3 --backend http://b:9001=1 \\
      --challenger http://c:9001 --sample 0.1 --create-project
  weir deployment create demo/iris --backend http://a:9001 --challenger http://c:9001 \\
      --compare label --compare-pointer /label --min-agreement 0.98 --auto-stop
  weir deployment create demo/iris --backend http://a:9001 --requests-per-second 500 --concurrency 64
  weir deployment create demo/iris --backend https://model.local --protocol h2
  weir deployment create demo/iris --file version.toml";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CreateArgs {
    #[command(flatten)]
    target: Target,
    /// Free text
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// What people call it [default: its name]
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// A word to find it by; may be given several times
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Whose keys open it [default: keys]
    #[arg(long, value_parser = ACCESSES)]
    access: Option<String>,
    /// How many retired versions stay warm [default: 0]
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    keep_previous: Option<u32>,
    /// Create its project, too, when there is none
    #[arg(long)]
    create_project: bool,
    /// Make no key for it
    #[arg(long)]
    no_first_key: bool,
    #[command(flatten)]
    limits: LimitFlags,
    #[command(flatten)]
    version: VersionFlags,
    #[command(flatten)]
    patience: Patience,
}

/// Creates a deployment, and waits until its first version is live.
///
/// # Errors
/// As calls of the API; when the first version does not become live.
pub(super) fn run(arguments: &CreateArgs, session: &Session) -> Result<(), Failure> {
    let name = arguments.target.name()?;
    if !arguments.version.is_whole() {
        return Err(
            Failure::usage(format_args!("what is {name} to call?")).hint(
                "name a model server with --backend http://HOST:PORT, or a version with --file",
            ),
        );
    }
    let limits = arguments.limits.of_new();
    arguments.limits.check(&limits)?;
    let mut version = arguments.version.in_file()?.unwrap_or_else(|| json!({}));
    arguments.version.put_on(&mut version)?;
    let body = body(&[
        ("name", json!(name.deployment())),
        ("display_name", json!(arguments.display_name)),
        ("description", json!(arguments.description)),
        ("tags", json!(arguments.tags)),
        ("access", json!(arguments.access)),
        ("keep_previous", json!(arguments.keep_previous)),
        ("limits", limits),
        ("first_key", json!(!arguments.no_first_key)),
        ("version", version),
    ]);
    let created = created(&name, &body, arguments.create_project, session).map_err(in_flags)?;
    let out = &session.out;
    if !out.is_json() {
        // Before anything is waited for: the key is in this answer alone, and whoever waits may not
        // wait to the end.
        out.line(&announcement(&created).join("\n"))?;
    }
    let first_key = created["first_key"].clone();
    let mut started = Started::of(created, arguments.patience, session);
    if started.has_failed() {
        let hint = format!(
            "deployment {name} is there all the same, in state failed: deploy what mends it with \
             `weir deployment deploy {name} --backend URL`, or take it away with \
             `weir deployment delete {name} --reason TEXT`"
        );
        started.ended = started.ended.map_err(|failure| failure.hint(hint));
    }
    // As it is now that its task is over.
    if let Ok(mut now) = session.client.get(&path_of(&name, "")) {
        now["task"] = started.answer["task"].take();
        now["first_key"] = first_key;
        started.answer = now;
    }
    let task = &started.answer["task"];
    if !out.is_json() && started.ended.is_ok() && !has_ended(task) {
        return out.line(&format!("Task: {}", task["id"].as_str().unwrap_or("")));
    }
    started.show(session)
}

/// The answer of the call; with its project made first, if that is wanted.
fn created(
    name: &DeploymentName,
    body: &Value,
    create_project: bool,
    session: &Session,
) -> Result<Value, Failure> {
    let project = name.project();
    let call = Call::post(&format!("/api/v1/projects/{project}/deployments")).json(body);
    match session.client.send(call.clone()) {
        Ok(answer) => answer.json(),
        Err(failure) if failure.code() == Some(Code::Conflict) => Err(failure.hint(format_args!(
            "`weir deployment deploy {name}` deploys a new version of one that is there"
        ))),
        Err(failure) if failure.code() != Some(Code::Unknown) => Err(failure),
        Err(failure) if !create_project => Err(failure.hint(
            "--create-project makes the project, too; `weir project list` shows those there are",
        )),
        Err(_) => {
            let made = Call::post("/api/v1/projects").json(&json!({"name": project}));
            match session.client.send(made) {
                Ok(_) => session.out.note(&format!("project {project} created")),
                // Somebody else was faster.
                Err(failure) if failure.code() == Some(Code::Conflict) => {}
                Err(failure) => return Err(failure),
            }
            session.client.send(call)?.json()
        }
    }
}

/// What people are told of a deployment that was created.
fn announcement(created: &Value) -> Vec<String> {
    let mut lines = vec![format!("Deployment {} created.", full_name(created))];
    let known = [
        ("Predict URL", &created["predict_url"]),
        ("Stream URL", &created["stream_url"]),
        ("First key (shown once)", &created["first_key"]["secret"]),
    ];
    // Without colour and columns: scripts cut the key out.
    let told = known
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}: {}", safe(value.as_str()?))));
    lines.extend(told);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_creation_says() {
        let mut created = json!({"project": "demo", "name": "iris", "predict_url": "http://d/p",
            "stream_url": "http://d/s", "first_key": {"id": "1", "secret": "wk_1_x"}});
        assert_eq!(
            announcement(&created),
            [
                "Deployment demo/iris created.",
                "Predict URL: http://d/p",
                "Stream URL: http://d/s",
                "First key (shown once): wk_1_x",
            ]
        );
        created["first_key"] = Value::Null;
        assert_eq!(announcement(&created).len(), 3);
    }
}
