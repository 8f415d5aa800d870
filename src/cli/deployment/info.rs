//! `weir deployment info`.

use clap::ValueEnum;
use serde_json::Value;

use super::{
    Target,
    calls::{KINDS, Kind, LANGUAGES, Language, block},
    near::full_name,
};
use crate::{
    base::name::DeploymentName,
    cli::{
        comparison,
        failure::Failure,
        limits::{limits_in_short, overload_in_short},
        remote::{Session, path_of},
        terminal::{Style, Table, ago, pairs},
    },
};

/// What stands below the flags.
pub(super) const HELP: &str = "\
Examples:
  weir deployment info demo/iris
  weir deployment info demo/iris --calls python --call predict > predict.py
  export WEIR_API_KEY=wk_... ; weir deployment info demo/iris --calls curl --call predict | sh";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct InfoArgs {
    #[command(flatten)]
    pub(super) target: Target,
    /// In which language calls are shown; one alone is shown without all else
    #[arg(long, value_enum, default_value_t, value_name = "LANGUAGE")]
    calls: Calls,
    /// Show this way to call alone
    #[arg(long, value_enum, value_name = "WAY")]
    call: Option<Kind>,
}

/// Which calls are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Calls {
    /// With curl, in a shell
    Curl,
    /// With Python's standard library
    Python,
    /// With fetch, as node has it from 18 on
    Javascript,
    /// All of them, below what is known of the deployment
    #[default]
    All,
    /// No calls
    None,
}

/// Shows what is known of a deployment, and how it is called.
///
/// # Errors
/// As calls of the API.
pub(super) fn run(arguments: &InfoArgs, session: &Session) -> Result<(), Failure> {
    let deployment = session
        .client
        .get(&path_of(&arguments.target.name()?, ""))?;
    let out = &session.out;
    if out.is_json() {
        return out.json(&deployment);
    }
    let is_cut_out =
        arguments.call.is_some() || !matches!(arguments.calls, Calls::All | Calls::None);
    if !is_cut_out {
        let verdict = verdict(&deployment, &arguments.target.name()?, session);
        shown(&deployment, verdict, session)?;
    }
    let is_gone = matches!(deployment["state"].as_str(), Some("deleting" | "deleted"));
    let blocks = arguments.blocks(&deployment);
    if blocks.is_empty() || (is_gone && !is_cut_out) {
        return Ok(());
    }
    if !is_cut_out {
        out.line("")?;
    }
    out.line(&blocks.join("\n\n"))
}

/// Shows what is known of a deployment.
///
/// # Errors
/// When nobody reads it.
pub(super) fn summary(deployment: &Value, session: &Session) -> Result<(), Failure> {
    shown(deployment, None, session)
}

/// The verdict on the live version's challenger, in a line. All else is shown without it, too.
fn verdict(deployment: &Value, name: &DeploymentName, session: &Session) -> Option<String> {
    if deployment["version"]["challenger"].is_null() {
        return None;
    }
    let comparison = session.client.get(&path_of(name, "/comparison")).ok()?;
    // Without colour: it stands among what is made safe.
    comparison::line(&comparison, Style::new(false))
}

fn shown(deployment: &Value, verdict: Option<String>, session: &Session) -> Result<(), Failure> {
    let out = &session.out;
    let mut known = known(deployment).to_vec();
    if let Some(verdict) = verdict {
        let behind = known.iter().position(|(name, _)| *name == "model");
        known.insert(behind.unwrap_or(0), ("challenger", verdict));
    }
    let mut lines = pairs(&known, out.style);
    let backends = backends(deployment);
    if let Some(backends) = backends {
        lines.push(String::new());
        lines.extend(backends.lines(out.style));
    }
    out.line(&lines.join("\n"))?;
    if let Some(hint) = hint(deployment) {
        out.note("");
        out.note(&hint);
    }
    Ok(())
}

fn known(deployment: &Value) -> [(&'static str, String); 21] {
    let text = |member: &str| deployment[member].as_str().unwrap_or("").to_owned();
    let version = &deployment["version"];
    let of_version = |member: &str| version[member].as_str().unwrap_or("").to_owned();
    let own = text("name");
    let state = match text("reason") {
        reason if reason.is_empty() => text("state"),
        reason => format!("{} ({reason})", text("state")),
    };
    let live = deployment["live_version"].as_u64().map(|number| {
        let since = ago(&deployment["live_since"]);
        format!("{own}_v{number}, live since {since}")
    });
    let kept = list(&deployment["kept_versions"], |number| {
        Some(format!("{own}_v{}", number.as_u64()?))
    });
    let display_name = match text("display_name") {
        same if same == own => String::new(),
        other => other,
    };
    let flag = |member: &str| match deployment[member].as_bool() {
        Some(true) => "yes".to_owned(),
        _ => String::new(),
    };
    let words = |value: &Value| value.as_str().map(str::to_owned);
    let instances = version["instances"].as_u64();
    [
        ("name", full_name(deployment)),
        ("display name", display_name),
        ("description", text("description")),
        ("state", state),
        ("version", live.unwrap_or_default()),
        ("model", of_version("model")),
        ("arch", of_version("arch")),
        (
            "instances",
            instances.map_or_else(String::new, |count| count.to_string()),
        ),
        ("notes", of_version("notes")),
        ("access", text("access")),
        ("limits", limits_in_short(&deployment["limits"])),
        ("overload", overload_in_short(&deployment["overload"])),
        ("predict URL", text("predict_url")),
        ("stream URL", text("stream_url")),
        ("tags", list(&deployment["tags"], words)),
        ("kept versions", kept),
        (
            "shared with",
            list(&deployment["shares"], |share| words(&share["id"])),
        ),
        ("queue paused", flag("queue_paused")),
        ("declared in a file", flag("declared")),
        (
            "created",
            format!("{} by {}", ago(&deployment["created_at"]), text("owner")),
        ),
        ("newest task", task(&deployment["task"])),
    ]
}

fn list(value: &Value, word: impl Fn(&Value) -> Option<String>) -> String {
    let items = value.as_array().into_iter().flatten();
    let words: Vec<String> = items.filter_map(word).collect();
    words.join(", ")
}

fn task(task: &Value) -> String {
    let text = |member: &str| task[member].as_str().unwrap_or("");
    if task.is_null() {
        return String::new();
    }
    let mut line = format!("{} {}", crate::cli::task::title(task), text("status"));
    match &task["ended_at"] {
        Value::Null => line = format!("{line}, {}", text("phase")),
        ended => line = format!("{line} {}", ago(ended)),
    }
    if !text("reason").is_empty() {
        line = format!("{line}: {}", text("reason"));
    }
    line
}

/// The live version's backends, main's first; none when none is live.
fn backends(deployment: &Value) -> Option<Table> {
    let heads = ["BACKEND", "POOL", "WEIGHT", "STATE", "IN FLIGHT"];
    let mut table = Table::new(&heads).right(2).right(4);
    let shown = deployment["backends"].as_array()?;
    if shown.is_empty() {
        return None;
    }
    for backend in shown {
        let text = |member: &str| backend[member].as_str().unwrap_or("");
        let pool = &deployment["version"][text("role")]["backends"];
        let declared = pool.as_array().into_iter().flatten();
        let declared = declared
            .into_iter()
            .find(|own| own["url"] == backend["url"]);
        let number = |value: &Value| value.as_u64().map_or_else(String::new, |n| n.to_string());
        table.row(vec![
            text("url").to_owned(),
            text("role").to_owned(),
            declared.map_or_else(String::new, |own| number(&own["weight"])),
            text("state").to_owned(),
            number(&backend["in_flight"]),
        ]);
    }
    Some(table)
}

/// What to do about a state in which it does not answer.
fn hint(deployment: &Value) -> Option<String> {
    let name = full_name(deployment);
    Some(match deployment["state"].as_str()? {
        "failed" => format!(
            "It answers nothing: `weir deployment deploy {name} ...` deploys what mends it, \
             `weir deployment history {name}` shows what happened."
        ),
        "stopped" => format!("`weir deployment restart {name}` puts it back in service."),
        "queued" | "setting-up" | "stopping" | "deleting" => {
            let id = deployment["task"]["id"].as_str()?;
            format!("`weir task wait {id}` waits for what is under way.")
        }
        _ => return None,
    })
}

// === impl InfoArgs ===

impl InfoArgs {
    /// The calls that are wanted.
    fn blocks(&self, deployment: &Value) -> Vec<String> {
        let one;
        let languages = match self.calls {
            Calls::All => &LANGUAGES[..],
            Calls::None => &[],
            Calls::Curl => {
                one = [Language::Curl];
                &one[..]
            }
            Calls::Python => {
                one = [Language::Python];
                &one[..]
            }
            Calls::Javascript => {
                one = [Language::Javascript];
                &one[..]
            }
        };
        let mut blocks = Vec::new();
        for &language in languages {
            let wanted = |kind: &&Kind| self.call.is_none_or(|call| call == **kind);
            let kinds = KINDS.iter().filter(wanted);
            blocks.extend(kinds.map(|&kind| block(deployment, language, kind)));
        }
        blocks
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn iris() -> Value {
        json!({"project": "demo", "name": "iris", "display_name": "iris", "state": "live",
            "reason": null, "live_version": 3, "live_since": null, "access": "keys",
            "owner": "ann", "created_at": null, "kept_versions": [2], "tags": ["a", "b"],
            "predict_url": "http://d/predict/demo/iris",
            "stream_url": "http://d/stream/demo/iris", "shares": [], "declared": false,
            "version": {"model": "iris:1.2", "main": {"backends": [{"url": "http://a", "weight": 10}]}},
            "task": {"kind": "deploy", "status": "done", "deployment": "demo/iris", "version": 3,
                "ended_at": "2020-01-01T00:00:00Z"},
            "backends": [{"role": "main", "url": "http://a", "state": "available", "in_flight": 12},
                {"role": "challenger", "url": "http://b", "state": "ejected", "in_flight": 0}]})
    }

    #[test]
    fn what_is_known() {
        let shown = pairs(&known(&iris()), Style::new(false));
        let (task, rest) = shown.split_last().expect("lines");
        assert!(
            task.starts_with("newest task:    deploy of iris_v3 done "),
            "{task}"
        );
        assert_eq!(
            rest,
            [
                "name:           demo/iris",
                "state:          live",
                "version:        iris_v3, live since -",
                "model:          iris:1.2",
                "access:         keys",
                "predict URL:    http://d/predict/demo/iris",
                "stream URL:     http://d/stream/demo/iris",
                "tags:           a, b",
                "kept versions:  iris_v2",
                "created:        - by ann",
            ]
        );
    }

    #[test]
    fn the_backends() {
        let table = backends(&iris()).expect("backends");
        assert_eq!(
            table.lines(Style::new(false)),
            [
                "BACKEND   POOL        WEIGHT  STATE      IN FLIGHT",
                "http://a  main            10  available         12",
                "http://b  challenger       -  ejected            0",
            ]
        );
        assert!(backends(&json!({"backends": []})).is_none());
    }

    #[test]
    fn a_state_that_answers_nothing_says_what_to_do() {
        let mut iris = iris();
        assert_eq!(hint(&iris), None);
        iris["state"] = json!("stopped");
        let stopped = hint(&iris).expect("a hint");
        assert!(
            stopped.starts_with("`weir deployment restart demo/iris`"),
            "{stopped}"
        );
        iris["state"] = json!("setting-up");
        iris["task"]["id"] = json!("t1");
        assert!(hint(&iris).expect("a hint").contains("weir task wait t1"));
    }
}
