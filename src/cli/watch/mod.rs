//! `weir deployment watch`: rates, latencies and backends, live.
//!
//! ```text
//! every --interval:  API ──▶ figures (numbers) ──▶ frame (lines) ──▶ terminal::Screen (rewrites what is there)
//! ```

mod figures;
mod frame;

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    failure::Failure,
    remote::{Session, path_of},
    terminal::Screen,
};
use crate::base::{clock::unix_ms, name::DeploymentName};

#[derive(Debug, clap::Args)]
pub(super) struct WatchArgs {
    /// Print one frame and end
    #[arg(long)]
    once: bool,
    /// From one frame to the next, such as 2s or 500ms
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = interval)]
    interval: Duration,
}

/// For how long a verdict is shown before it is asked for again: it does not change in a moment.
const JUDGED_FOR: Duration = Duration::from_secs(5);

/// What is known of the challenger.
#[derive(Debug, Default)]
struct Judged {
    comparison: Value,
    version: Option<u64>,
    at: Option<Instant>,
}

/// How far back the curves reach, in steps of 10 s.
const STEPS: u64 = 60;

/// Shows one deployment, or all of them, until it is interrupted.
///
/// # Errors
/// When the first look fails. Later ones that fail are shown and tried again, but for those that can't
/// get better.
pub(super) fn run(
    name: Option<&DeploymentName>,
    arguments: &WatchArgs,
    session: &Session,
) -> Result<(), Failure> {
    let out = &session.out;
    let mut screen = None;
    let mut judged = Judged::default();
    let mut seen = look(name, &mut judged, session)?;
    let mut trouble = None;
    loop {
        let began = Instant::now();
        if out.is_json() {
            // A line a frame, so that programs can read them as they come.
            let line = if arguments.once {
                format!("{seen:#}")
            } else {
                seen.to_string()
            };
            out.line(&line)?;
        } else {
            let mut lines = match name {
                Some(name) => frame::of_one(name, &seen, now_ms(), out.style),
                None => frame::of_all(&seen, out.style),
            };
            lines.extend(trouble.take());
            match (arguments.once, Screen::is_possible()) {
                (false, true) => screen
                    .get_or_insert_with(Screen::enter)
                    .show(&lines, arguments.interval)?,
                (is_last, _) => {
                    out.line(&lines.join("\n"))?;
                    if !is_last {
                        out.line("")?;
                    }
                }
            }
        }
        if arguments.once {
            return Ok(());
        }
        thread::sleep(arguments.interval.saturating_sub(began.elapsed()));
        match look(name, &mut judged, session) {
            Ok(new) => seen = new,
            Err(failure) if failure.may_pass() => {
                trouble = Some(
                    out.style
                        .red(&format!("no new figures: {}", failure.words())),
                );
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// The time here, in milliseconds since 1970.
fn now_ms() -> i64 {
    i64::try_from(unix_ms()).unwrap_or(i64::MAX)
}

/// What a frame is made from.
fn look(
    name: Option<&DeploymentName>,
    judged: &mut Judged,
    session: &Session,
) -> Result<Value, Failure> {
    let client = &session.client;
    let Some(name) = name else {
        return client.get("/api/v1/monitoring");
    };
    let deployment = client.get(&path_of(name, ""))?;
    let query = format!("/monitoring?from=-{}s&step=10s", STEPS * 10);
    let monitoring = client.get(&path_of(name, &query))?;
    let comparison = judged.look(name, &deployment, session);
    Ok(json!({"deployment": deployment, "monitoring": monitoring, "comparison": comparison}))
}

// === impl Judged ===

impl Judged {
    /// The comparison with the challenger; null without one, or while it can't be read: all else is
    /// shown then, too.
    fn look(&mut self, name: &DeploymentName, deployment: &Value, session: &Session) -> Value {
        if deployment["version"]["challenger"].is_null() {
            *self = Self::default();
            return Value::Null;
        }
        let version = deployment["live_version"].as_u64();
        let is_new = self.version == version && self.at.is_some_and(|at| at.elapsed() < JUDGED_FOR);
        if !is_new {
            let shown = session.client.get(&path_of(name, "/comparison"));
            *self = Self {
                comparison: shown.unwrap_or_default(),
                version,
                at: Some(Instant::now()),
            };
        }
        self.comparison.clone()
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let (number, unit_ms) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(ms), _) => (ms, 1),
        (None, Some(s)) => (s, 1_000),
        (None, None) => (text, 1_000),
    };
    let ms = number
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(unit_ms));
    match ms {
        Some(ms @ 100..=3_600_000) => Ok(Duration::from_millis(ms)),
        _ => Err("a duration from 100ms to 3600s, such as 2s".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::remote::tests::gateway;

    const HELD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 12\r\nconnection: close\r\n\r\n\
         {\"pairs\": 2}";
    const UNKNOWN: &str =
        "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";

    #[test]
    fn a_verdict_is_asked_for_where_there_may_be_one_and_not_for_each_frame() {
        // The third call would find nobody.
        let (session, heads) = gateway(&[HELD, UNKNOWN]);
        let name = DeploymentName::parse("demo/iris").expect("a name");
        let mut judged = Judged::default();
        let mut deployment = json!({"live_version": 1, "version": {"challenger": null}});
        assert_eq!(judged.look(&name, &deployment, &session), Value::Null);
        deployment["version"]["challenger"] = json!({"backends": []});
        for _ in 0..3 {
            let shown = judged.look(&name, &deployment, &session);
            assert_eq!(shown, json!({"pairs": 2}));
        }
        // Another version is another challenger; what can't be read stands in nothing's way.
        deployment["live_version"] = json!(2);
        for _ in 0..3 {
            assert_eq!(judged.look(&name, &deployment, &session), Value::Null);
        }
        let heads = heads.join().expect("heads");
        assert!(heads[1].starts_with("get /api/v1/projects/demo/deployments/iris/comparison "));
    }

    #[test]
    fn intervals_in_their_forms() {
        for (text, ms) in [("2s", 2_000), ("500ms", 500), ("3", 3_000)] {
            assert_eq!(interval(text), Ok(Duration::from_millis(ms)));
        }
        for text in ["0", "99ms", "x", "1h", "3601s", "18446744073709551615s"] {
            assert!(interval(text).is_err(), "{text}");
        }
    }
}
