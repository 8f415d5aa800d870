//! Async requests: list, show, cancel, retry.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    base::name::DeploymentName,
    cli::{
        failure::Failure,
        remote::{Call, Session, escaped, path_of, text, when},
        terminal::{Live, Table, ago},
    },
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ListArgs {
    /// Whose: such as demo/iris; also one that was deleted
    #[arg(value_name = "PROJECT/DEPLOYMENT")]
    deployment: DeploymentName,
    /// Only those that stand so: queued, running, completed, error, cancelled or expired
    #[arg(long)]
    status: Option<String>,
    /// Only those that this key submitted: its public id
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// Only those with this X-Request-Id
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// At most so many
    #[arg(short = 'n', long, default_value_t = 50)]
    limit: usize,
}

/// Which async request is meant.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RequestArgs {
    /// Its deployment, such as demo/iris
    #[arg(value_name = "PROJECT/DEPLOYMENT")]
    pub(super) deployment: DeploymentName,
    /// Its id, as the 202 and `weir async list` show it
    pub(super) id: String,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ShowArgs {
    #[command(flatten)]
    request: RequestArgs,
    /// Wait up to so many seconds for its end
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct DeedArgs {
    #[command(flatten)]
    request: RequestArgs,
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

// === impl RequestArgs ===

impl RequestArgs {
    /// Its address, with what comes behind it.
    pub(super) fn path(&self, rest: &str) -> String {
        path_of(
            &self.deployment,
            &format!("/async/{}{rest}", escaped(&self.id)),
        )
    }
}

/// Lists them.
pub(super) fn list(arguments: &ListArgs, session: &Session) -> Result<(), Failure> {
    let filters = [
        ("status", &arguments.status),
        ("key", &arguments.key),
        ("request_id", &arguments.request_id),
    ];
    let filters = filters
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", escaped(value.as_ref()?))));
    let filters: Vec<String> = filters.collect();
    let name = &arguments.deployment;
    let path = path_of(name, &format!("/async?{}", filters.join("&")));
    let path = path.trim_end_matches('?');
    let requests = session.client.list_up_to(path, arguments.limit)?;
    let none = match filters.is_empty() {
        true => format!("no async requests of {name}"),
        false => format!("no such async requests of {name}"),
    };
    session.out.list(&requests, &none, table(), row)
}

/// Shows one, as it stands or at its end.
pub(super) fn show(arguments: &ShowArgs, session: &Session) -> Result<(), Failure> {
    let of = &arguments.request;
    let request = match arguments.wait {
        Some(s) => awaited(session, of, Duration::from_secs(s))?,
        None => session.client.get(&of.path(""))?,
    };
    session.out.block(&request, &told(&request))?;
    match arguments.wait {
        Some(s) if !has_ended(&request) => {
            let (id, status) = (&of.id, text(&request, "status"));
            let words = format!("async request {id} is still {status} after {s} s");
            Err(Failure::new(words).hint("it goes on; look again later"))
        }
        _ => Ok(()),
    }
}

/// Calls one off.
pub(super) fn cancel(arguments: &DeedArgs, session: &Session) -> Result<(), Failure> {
    let request = deed(arguments, "/cancel", session)?;
    let id = text(&request, "id");
    let words = match has_ended(&request) {
        true => format!("Async request {id} is cancelled."),
        false => format!("Async request {id} is under way and being broken off."),
    };
    session.out.done(&request, &words)
}

/// Runs one sooner, or again.
pub(super) fn retry(arguments: &DeedArgs, session: &Session) -> Result<(), Failure> {
    let request = deed(arguments, "/retry", session)?;
    let id = text(&request, "id");
    let words = match text(&request, "retry_of").as_str() {
        of if !of.is_empty() && of == arguments.request.id => {
            format!("Async request {of} runs again as {id}.")
        }
        _ => format!("Async request {id} is due now."),
    };
    session.out.done(&request, &words)
}

fn deed(arguments: &DeedArgs, what: &str, session: &Session) -> Result<Value, Failure> {
    let mut call = Call::post(&arguments.request.path(what));
    if let Some(reason) = &arguments.reason {
        call = call.json(&json!({"reason": reason}));
    }
    session.client.send(call)?.json()
}

/// One as it stands once it has ended, or when the time is over.
pub(super) fn awaited(
    session: &Session,
    of: &RequestArgs,
    patience: Duration,
) -> Result<Value, Failure> {
    /// Between two looks; the first ones sooner, since most end soon.
    const PAUSE: Duration = Duration::from_millis(250);
    let began = Instant::now();
    let mut live = Live::new(session.out.is_quiet());
    let mut pause = Duration::from_millis(20);
    loop {
        let request = session.client.get(&of.path(""))?;
        let left = patience.saturating_sub(began.elapsed());
        if has_ended(&request) || left.is_zero() {
            return Ok(request);
        }
        let status = text(&request, "status");
        let phase = format!("{}  {status}", of.id);
        let s = began.elapsed().as_millis() as f64 / 1e3;
        live.show(&phase, &format!("{phase}  {s:.1} s"));
        thread::sleep(pause.min(left));
        pause = PAUSE.min(pause * 2);
    }
}

/// Whether one has ended.
pub(super) fn has_ended(request: &Value) -> bool {
    !matches!(request["status"].as_str(), Some("queued" | "running"))
}

fn told(request: &Value) -> Vec<(&'static str, String)> {
    let answer = match (request["result_status"].as_u64(), &request["result_bytes"]) {
        (Some(status), Value::Number(bytes)) => format!("{status}, {bytes} bytes"),
        (Some(status), _) => status.to_string(),
        (None, _) => String::new(),
    };
    let webhook = &request["webhook"];
    let told = match text(webhook, "state").as_str() {
        "" => String::new(),
        state => format!("{state}, attempt {}", text(webhook, "attempts")),
    };
    let call = format!(
        "{} {} ({} bytes)",
        text(request, "method"),
        text(request, "path"),
        text(request, "body_bytes")
    );
    vec![
        ("id", text(request, "id")),
        ("request id", text(request, "request_id")),
        ("deployment", text(request, "deployment")),
        ("status", text(request, "status")),
        ("version", text(request, "version")),
        ("pinned to", text(request, "pinned_version")),
        ("attempts", text(request, "attempts")),
        ("accepted", when(request, "created_at")),
        ("next attempt", when(request, "next_attempt_at")),
        ("began", when(request, "started_at")),
        ("ended", when(request, "ended_at")),
        (
            match has_ended(request) {
                true => "forgotten",
                false => "expires",
            },
            when(request, "expires_at"),
        ),
        ("answer", answer),
        ("reason", text(request, "reason")),
        ("detail", text(request, "detail")),
        (
            "dead letter",
            match request["dead_letter"] == true {
                true => "yes".to_owned(),
                false => String::new(),
            },
        ),
        ("repeats", text(request, "retry_of")),
        ("webhook", told),
        ("key", text(request, "key")),
        ("call", call),
    ]
}

/// The table of async requests.
pub(super) fn table() -> Table {
    Table::new(&[
        "ID", "STATUS", "VERSION", "ATTEMPTS", "KEY", "AGE", "REASON",
    ])
    .right(3)
}

/// A row of it.
pub(super) fn row(request: &Value) -> Vec<String> {
    vec![
        text(request, "id"),
        text(request, "status"),
        text(request, "version"),
        text(request, "attempts"),
        text(request, "key"),
        ago(&request["created_at"]),
        text(request, "reason"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::terminal::{Style, pairs};

    #[test]
    fn what_is_told_of_one() {
        let request = json!({
            "id": "02W", "request_id": "r1", "status": "error", "deployment": "demo/iris",
            "version": "iris_v3", "attempts": 2, "created_at": "?", "expires_at": "?",
            "key": "k1", "method": "POST", "path": "/predict/demo/iris", "body_bytes": 60,
            "result_bytes": 12, "result_status": 500, "reason": "exhausted", "dead_letter": true,
            "webhook": {"state": "delivered", "attempts": 1}
        });
        assert_eq!(
            pairs(&told(&request), Style::new(false)),
            [
                "id:           02W",
                "request id:   r1",
                "deployment:   demo/iris",
                "status:       error",
                "version:      iris_v3",
                "attempts:     2",
                "answer:       500, 12 bytes",
                "reason:       exhausted",
                "dead letter:  yes",
                "webhook:      delivered, attempt 1",
                "key:          k1",
                "call:         POST /predict/demo/iris (60 bytes)",
            ]
        );
        let mut table = table();
        table.row(row(&request));
        assert_eq!(
            table.lines(Style::new(false)),
            [
                "ID   STATUS  VERSION  ATTEMPTS  KEY  AGE  REASON",
                "02W  error   iris_v3         2  k1   -    exhausted",
            ]
        );
    }
}
