//! `weir deployment watch`: rates, latencies and backends, live.
//!
//! ```text
//! every --interval:  API ──▶ figures (numbers) ──▶ frame (lines) ──▶ screen (rewrites what is there)
//! ```

mod figures;
mod frame;
mod screen;
mod spark;

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use self::screen::Screen;
use super::{
    failure::{Code, Failure},
    remote::{Session, path_of},
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
    let mut seen = look(name, session)?;
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
        match look(name, session) {
            Ok(new) => seen = new,
            Err(failure) if may_pass(&failure) => {
                trouble = Some(
                    out.style
                        .red(&format!("no new figures: {}", failure.words())),
                );
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// Whether a look may succeed later that failed so.
fn may_pass(failure: &Failure) -> bool {
    matches!(failure.code(), Some(Code::Unreachable | Code::Failed))
}

/// The time here, in milliseconds since 1970.
fn now_ms() -> i64 {
    i64::try_from(unix_ms()).unwrap_or(i64::MAX)
}

/// What a frame is made from.
fn look(name: Option<&DeploymentName>, session: &Session) -> Result<Value, Failure> {
    let client = &session.client;
    let Some(name) = name else {
        return client.get("/api/v1/monitoring");
    };
    let deployment = client.get(&path_of(name, ""))?;
    let query = format!("/monitoring?from=-{}s&step=10s", STEPS * 10);
    let monitoring = client.get(&path_of(name, &query))?;
    Ok(json!({"deployment": deployment, "monitoring": monitoring}))
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
