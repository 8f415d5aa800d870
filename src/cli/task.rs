//! `weir task`: background work, and the waiting for it that other commands do.

use std::{
    thread,
    time::{Duration, Instant},
};

use clap::Subcommand;
use serde_json::Value;

use super::{
    failure::{Code, Failure},
    remote::{Call, Session, escaped, text},
    terminal::{Live, Table, ago, on_interrupt, pairs, since_ms},
};
use crate::base::name::DeploymentName;

#[derive(Debug, Subcommand)]
pub(super) enum TaskCommand {
    /// List tasks, newest first
    #[command(after_help = "Example: weir task list demo/iris --status failed")]
    List {
        /// Only those of this deployment
        #[arg(value_name = "PROJECT/DEPLOYMENT")]
        deployment: Option<DeploymentName>,
        /// Only those that stand so: pending, processing, done, failed, canceled or refused
        #[arg(long)]
        status: Option<String>,
        /// At most so many [default: 50, in JSON all]
        #[arg(short = 'n', long)]
        limit: Option<usize>,
    },
    /// Show one
    #[command(after_help = "Example: weir task info t1a2b3")]
    Info {
        /// Its id
        id: String,
    },
    /// Wait for its end
    #[command(after_help = "Example: weir task wait t1a2b3 --timeout 60")]
    Wait {
        /// Its id
        id: String,
        #[command(flatten)]
        patience: Patience,
    },
    /// Call it off
    #[command(after_help = "Example: weir task cancel t1a2b3")]
    Cancel {
        /// Its id
        id: String,
    },
}

/// How long the end of a task is waited for.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(super) struct Patience {
    /// Do not wait for the end; the gateway goes on
    #[arg(long)]
    no_wait: bool,
    /// Stop waiting after so many seconds; the gateway goes on
    #[arg(long, value_name = "SECONDS", conflicts_with = "no_wait")]
    timeout: Option<u64>,
}

/// Tasks that people are shown unless they want more.
const SHOWN: usize = 50;

/// From one look at a task to the next: the first soon, since most end soon.
const LOOKS: [u64; 5] = [20, 40, 60, 100, 200];

/// Runs a command.
///
/// # Errors
/// As calls of the API; a task that is waited for and fails is one too.
pub(super) fn run(command: TaskCommand, session: &Session) -> Result<(), Failure> {
    let (client, out) = (&session.client, &session.out);
    match command {
        TaskCommand::List {
            deployment,
            status,
            limit,
        } => {
            let filters = [
                ("deployment", deployment.map(|name| name.to_string())),
                ("status", status),
            ];
            let filters = filters
                .into_iter()
                .filter_map(|(name, value)| Some(format!("{name}={}", escaped(&value?))));
            let filters: Vec<String> = filters.collect();
            let path = format!("/api/v1/tasks?{}", filters.join("&"));
            let usual = if out.is_json() { usize::MAX } else { SHOWN };
            let limit = limit.unwrap_or(usual);
            let tasks = client.list_up_to(path.trim_end_matches('?'), limit)?;
            let table = Table::new(&["ID", "TASK", "STATUS", "PHASE", "AGE", "REASON"]);
            out.list(&tasks, "no such tasks", table, |task| {
                vec![
                    text(task, "id"),
                    title(task),
                    text(task, "status"),
                    text(task, "phase"),
                    ago(&task["created_at"]),
                    text(task, "reason"),
                ]
            })
        }
        TaskCommand::Info { id } => {
            let task = client.get(&path(&id))?;
            show(&task, session)
        }
        TaskCommand::Wait { id, patience } => {
            let task = client.get(&path(&id))?;
            let ended = awaited(session, task, patience)?;
            match out.is_json() {
                true => out.json(&ended),
                false => Ok(()),
            }
        }
        TaskCommand::Cancel { id } => {
            let task = client.send(Call::post(&format!("{}/cancel", path(&id))))?;
            let task = task.json()?;
            if out.is_json() {
                return out.json(&task);
            }
            let task = task.get("task").unwrap_or(&task);
            out.line(&format!("{} is {}.", title(task), text(task, "status")))
        }
    }
}

fn show(task: &Value, session: &Session) -> Result<(), Failure> {
    let out = &session.out;
    if out.is_json() {
        return out.json(task);
    }
    let time = |member: &str| match &task[member] {
        Value::Null => String::new(),
        time => ago(time),
    };
    let lines = pairs(
        &[
            ("id", text(task, "id")),
            ("task", title(task)),
            ("status", text(task, "status")),
            ("phase", text(task, "phase")),
            ("reason", text(task, "reason")),
            ("asked for", time("created_at")),
            ("by", text(task, "actor")),
            ("began", time("started_at")),
            ("ended", time("ended_at")),
        ],
        out.style,
    );
    out.line(&lines.join("\n"))
}

fn path(id: &str) -> String {
    format!("/api/v1/tasks/{}", escaped(id))
}

/// What a task does, to what: `deploy of iris_v3`, `stop of demo/iris`.
pub(super) fn title(task: &Value) -> String {
    format!("{} of {}", text(task, "kind"), object(task))
}

fn object(task: &Value) -> String {
    let name = text(task, "deployment");
    match (task["version"].as_u64(), name.split_once('/')) {
        (Some(version), Some((_, deployment))) => format!("{deployment}_v{version}"),
        _ => name,
    }
}

/// Waits for the end of a task that the API showed, with a live line. With `--no-wait` it is answered as
/// it stands.
///
/// # Errors
/// When it ends in anything but done, or takes longer than people wait.
pub(super) fn awaited(
    session: &Session,
    mut task: Value,
    patience: Patience,
) -> Result<Value, Failure> {
    let (client, out) = (&session.client, &session.out);
    let id = text(&task, "id");
    if patience.no_wait {
        out.note(&format!(
            "{} goes on; `weir task wait {id}` waits for it",
            title(&task)
        ));
        return Ok(task);
    }
    let (what, waiter) = (title(&task), id.clone());
    // Without it an interrupt ends the waiting just the same, only with nothing said.
    let _ = on_interrupt(move || {
        format!("{what} goes on at the gateway; `weir task wait {waiter}` waits for it")
    });
    let mut live = Live::new(out.is_quiet());
    let began = Instant::now();
    for look in 0.. {
        if has_ended(&task) {
            break;
        }
        let waited = began.elapsed();
        if patience
            .timeout
            .is_some_and(|s| waited >= Duration::from_secs(s))
        {
            live.clear();
            let words = format!(
                "{} has not ended after {} s",
                title(&task),
                waited.as_secs()
            );
            return Err(Failure::new(words).hint(format_args!(
                "it goes on; `weir task wait {id}` waits for it"
            )));
        }
        let (phase, line) = described(&task, waited);
        live.show(&phase, &line);
        let pause = LOOKS.get(look).copied().unwrap_or(250);
        thread::sleep(Duration::from_millis(pause));
        task = client
            .get(&path(&id))
            .map_err(|failure| match failure.code() {
                Some(Code::Unreachable) => failure.hint(format_args!(
                    "it goes on when the gateway is back; `weir task wait {id}` waits for it"
                )),
                _ => failure,
            })?;
    }
    live.clear();
    let status = text(&task, "status");
    if status != "done" {
        let reason = text(&task, "reason");
        let words = match reason.is_empty() {
            true => format!("{} {status}", title(&task)),
            false => format!("{} {status}: {reason}", title(&task)),
        };
        let code = match status.as_str() {
            "refused" => Code::Conflict,
            _ => Code::Failed,
        };
        return Err(Failure::with(code, words));
    }
    out.note(&ending(&task));
    Ok(task)
}

/// Whether a task has ended.
pub(super) fn has_ended(task: &Value) -> bool {
    !matches!(task["status"].as_str(), Some("pending" | "processing"))
}

/// A task under way: what stays for a phase, and the whole line.
fn described(task: &Value, waited: Duration) -> (String, String) {
    let (status, phase) = (text(task, "status"), text(task, "phase"));
    let reason = text(task, "reason");
    let doing = match status.as_str() {
        "pending" => "waiting for its turn".to_owned(),
        _ => phase,
    };
    let stays = format!("{}  {doing}", title(task));
    let seconds = waited.as_millis() as f64 / 1e3;
    let mut line = format!("{stays}  {seconds:.1} s");
    if !reason.is_empty() {
        line = format!("{line}  ({reason})");
    }
    (stays, line)
}

/// What the end of a task that went well means: `iris_v3 is live after 1.2 s`.
fn ending(task: &Value) -> String {
    let object = object(task);
    let end = match task["kind"].as_str() {
        Some("stop") => format!("{} is stopped", text(task, "deployment")),
        Some("delete") => format!("{} is deleted", text(task, "deployment")),
        _ => format!("{object} is live"),
    };
    let from = since_ms(&task["created_at"]).zip(since_ms(&task["ended_at"]));
    match from {
        Some((created, ended)) => {
            let ms = (created - ended).max(0);
            match ms {
                0..1_000 => format!("{end} after {ms} ms"),
                ms => format!("{end} after {:.1} s", ms as f64 / 1e3),
            }
        }
        None => end,
    }
}
