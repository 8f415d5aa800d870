//! `weir deployment verdict`: whether the challenger is as good as main.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    query,
    summary::{POINTS, lines},
};
use crate::{
    base::name::DeploymentName,
    cli::{
        failure::{Code, Failure},
        number::Number,
        remote::{Session, path_of},
        terminal::Screen,
    },
};

/// What stands below the flags.
pub(in crate::cli) const HELP: &str = "\
Examples:
  weir deployment verdict demo/iris
  weir deployment verdict demo/iris --watch
  weir deployment verdict demo/iris --exit-code -q || echo \"not yet\"
With --exit-code: 0 promote, 8 hold (also when the version is not live), 9 reject; others as of every
command. Without it: 0, whatever the verdict is.";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct VerdictArgs {
    /// The version, as 2 or iris_v2 [default: the live one, or else the newest that was compared]
    #[arg(long, value_name = "VERSION")]
    version: Option<Number>,
    /// Show it anew each second, until interrupted
    #[arg(long)]
    watch: bool,
    /// Say the verdict by the exit code, too: 0 promote, 8 hold, 9 reject
    #[arg(long, conflicts_with = "watch")]
    exit_code: bool,
}

/// From one frame to the next.
const INTERVAL: Duration = Duration::from_secs(1);

/// Frames until the curve over time is asked for again: it hardly moves within one.
const FRAMES_PER_CURVE: u32 = 10;

/// Shows the verdict, and what it comes from.
///
/// # Errors
/// As calls of the API; with --exit-code, when the verdict is not `promote`.
pub(in crate::cli) fn run(
    name: &DeploymentName,
    arguments: &VerdictArgs,
    session: &Session,
) -> Result<(), Failure> {
    let shown = look(name, arguments, session)?;
    if arguments.watch {
        return watch(name, arguments, shown, session);
    }
    let out = &session.out;
    match out.is_json() {
        true => out.json(&shown)?,
        false => {
            let series = curve(name, &shown, session)?;
            out.line(&lines(&shown, &series, out.style).join("\n"))?;
        }
    }
    match arguments.exit_code {
        true => told(&shown, session),
        false => Ok(()),
    }
}

fn look(
    name: &DeploymentName,
    arguments: &VerdictArgs,
    session: &Session,
) -> Result<Value, Failure> {
    let version = arguments.version.map(|number| number.0.to_string());
    let path = format!("/comparison{}", query(&[("version", version)]));
    session.client.get(&path_of(name, &path))
}

/// The curve over time of the version that was shown.
fn curve(name: &DeploymentName, shown: &Value, session: &Session) -> Result<Value, Failure> {
    let version = shown["version"].as_u64().map(|version| version.to_string());
    let query = query(&[("version", version), ("points", Some(POINTS.to_string()))]);
    let path = format!("/comparison/series{query}");
    session.client.get(&path_of(name, &path))
}

/// The verdict as the exit code. What is not live is nothing to promote.
fn told(shown: &Value, session: &Session) -> Result<(), Failure> {
    if shown["is_live"] == false {
        return Err(Failure::silent(Code::Hold));
    }
    match shown["verdict"]["state"].as_str() {
        Some("promote") => Ok(()),
        Some("hold") => Err(Failure::silent(Code::Hold)),
        Some("reject") => Err(Failure::silent(Code::Reject)),
        _ => Err(session.client.odd("a verdict of another kind")),
    }
}

fn watch(
    name: &DeploymentName,
    arguments: &VerdictArgs,
    mut shown: Value,
    session: &Session,
) -> Result<(), Failure> {
    let out = &session.out;
    let (mut screen, mut series) = (None, Value::Null);
    let mut trouble = None;
    for frame in 0_u32.. {
        let began = Instant::now();
        if out.is_json() {
            // A line a frame, so that programs can read them as they come.
            out.line(&shown.to_string())?;
        } else {
            if frame % FRAMES_PER_CURVE == 0 {
                // The one there was is better than none.
                series = curve(name, &shown, session).unwrap_or(series);
            }
            let mut lines = lines(&shown, &series, out.style);
            lines.extend(trouble.take());
            match Screen::is_possible() {
                true => screen
                    .get_or_insert_with(Screen::enter)
                    .show(&lines, INTERVAL)?,
                false => out.line(&format!("{}\n", lines.join("\n")))?,
            }
        }
        thread::sleep(INTERVAL.saturating_sub(began.elapsed()));
        match look(name, arguments, session) {
            Ok(new) => shown = new,
            Err(failure) if failure.may_pass() => {
                let words = format!("no new figures: {}", failure.words());
                trouble = Some(out.style.red(&words));
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::remote::tests::gateway;

    const SHOWN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 14\r\nconnection: close\r\n\r\n\
         {\"version\": 3}";
    const POINTS_OF_IT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 14\r\nconnection: close\r\n\r\n\
         {\"points\": []}";

    #[test]
    fn the_curve_is_of_the_version_that_is_shown() {
        let (session, heads) = gateway(&[SHOWN, POINTS_OF_IT, SHOWN]);
        let name = DeploymentName::parse("demo/iris").expect("a name");
        let mut arguments = VerdictArgs {
            version: None,
            watch: false,
            exit_code: false,
        };
        let shown = look(&name, &arguments, &session).expect("shown");
        curve(&name, &shown, &session).expect("a curve");
        arguments.version = Some(Number(2));
        look(&name, &arguments, &session).expect("shown");
        let heads = heads.join().expect("heads");
        let paths: Vec<_> = heads
            .iter()
            .map(|head| head.split(' ').nth(1).unwrap_or(""))
            .collect();
        assert_eq!(
            paths,
            [
                "/api/v1/projects/demo/deployments/iris/comparison",
                "/api/v1/projects/demo/deployments/iris/comparison/series?version=3&points=60",
                "/api/v1/projects/demo/deployments/iris/comparison?version=2",
            ]
        );
    }

    #[test]
    fn each_verdict_has_its_exit_code() {
        let (session, heads) = gateway(&[]);
        let code = |state: &str| {
            let shown = json!({"verdict": {"state": state}});
            told(&shown, &session)
                .err()
                .and_then(|failure| failure.code())
        };
        assert_eq!(code("promote"), None);
        assert_eq!(code("hold"), Some(Code::Hold));
        assert_eq!(code("reject"), Some(Code::Reject));
        assert_eq!(code("maybe"), Some(Code::Failed));
        assert_eq!((Code::Hold as u8, Code::Reject as u8), (8, 9));
        heads.join().expect("none");
    }
}
