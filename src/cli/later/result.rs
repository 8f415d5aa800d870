//! `weir async result`: what the model answered, byte for byte but for what would steer a terminal.

use std::{
    fs::File,
    io::{self, IsTerminal, Read, Write},
    path::PathBuf,
    time::Duration,
};

use http::header;
use serde_json::Value;

use super::request::{RequestArgs, awaited, has_ended};
use crate::cli::{
    failure::Failure,
    remote::{Call, Session, text},
    terminal::Foreign,
};

/// Read and written at once.
const PART_BYTES: usize = 64 << 10;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ResultArgs {
    #[command(flatten)]
    request: RequestArgs,
    /// Write to this file rather than to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Wait up to so many seconds for its end
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
}

/// Writes the answer.
pub(super) fn run(arguments: &ResultArgs, session: &Session) -> Result<(), Failure> {
    let of = &arguments.request;
    let request = awaited(session, of, Duration::from_secs(arguments.wait))?;
    if let Some(failure) = without_answer(of, &request) {
        return Err(failure);
    }
    // The gateway's own answers carry no tag here, and a model's always do.
    let opened = session
        .client
        .open(Call::get(&of.path("/result")), |headers| {
            headers.contains_key("x-async-status") && headers.contains_key(header::ETAG)
        })?;
    match &arguments.out {
        None => {
            let (mut last, is_seen) = (None, io::stdout().is_terminal());
            let mut foreign = Foreign::default();
            copied(opened.reader, |part| {
                last = part.last().copied();
                match is_seen {
                    true => session.out.bytes(foreign.text(part).as_bytes()),
                    false => session.out.bytes(part),
                }
            })?;
            if last != Some(b'\n') && is_seen {
                // The prompt, or what went wrong, is not to stand behind the answer.
                let _ = writeln!(io::stderr());
            }
        }
        Some(path) => {
            let cannot = |error: io::Error| {
                Failure::new(format_args!("can't write {}: {error}", path.display()))
            };
            let mut file = File::create(path).map_err(cannot)?;
            copied(opened.reader, |part| file.write_all(part).map_err(cannot))?;
        }
    }
    if opened.status < 400 {
        return Ok(());
    }
    let words = format!(
        "the model answered {} to async request {}",
        opened.status, of.id
    );
    Err(with_way_out(Failure::new(words), of, &request))
}

/// Why there is no answer to be had, if there is none.
fn without_answer(of: &RequestArgs, request: &Value) -> Option<Failure> {
    let RequestArgs { deployment, id } = of;
    let status = text(request, "status");
    if !has_ended(request) {
        let words = format!("async request {id} is still {status}");
        return Some(Failure::new(words).hint(format_args!(
            "`weir async result {deployment} {id} --wait 60` waits for its end"
        )));
    }
    if request["result_bytes"].is_u64() {
        return None;
    }
    let why = [text(request, "reason"), text(request, "detail")];
    let why = why.into_iter().filter(|why| !why.is_empty());
    let why = why.collect::<Vec<_>>().join(", ");
    let words = match (status.as_str(), why.as_str()) {
        ("error", "") => format!("async request {id} failed"),
        ("error", why) => format!("async request {id} failed: {why}"),
        ("completed", _) => format!("the answer to async request {id} is no longer kept"),
        (status, _) => format!("async request {id} is {status}, and has no answer"),
    };
    Some(with_way_out(Failure::new(words), of, request))
}

/// A dead letter can be run again.
fn with_way_out(failure: Failure, of: &RequestArgs, request: &Value) -> Failure {
    let RequestArgs { deployment, id } = of;
    match request["dead_letter"] == true {
        true => failure.hint(format_args!(
            "`weir async retry {deployment} {id}` runs it again"
        )),
        false => failure,
    }
}

fn copied(
    mut from: impl Read,
    mut to: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut part = vec![0; PART_BYTES];
    loop {
        match from.read(&mut part) {
            Ok(0) => return Ok(()),
            Ok(read) => to(&part[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(Failure::new(format_args!("the answer broke off: {error}"))
                    .hint("what was written is not whole; repeat it"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::name::DeploymentName;

    #[test]
    fn why_there_is_no_answer() {
        let of = RequestArgs {
            deployment: DeploymentName::parse("demo/iris").expect("a name"),
            id: "02W".to_owned(),
        };
        for (request, words) in [
            (
                json!({"status": "running"}),
                Some("async request 02W is still running"),
            ),
            (
                json!({"status": "error", "reason": "exhausted", "detail": "HTTP 500"}),
                Some("async request 02W failed: exhausted, HTTP 500"),
            ),
            (
                json!({"status": "cancelled", "result_bytes": null}),
                Some("async request 02W is cancelled, and has no answer"),
            ),
            (json!({"status": "completed", "result_bytes": 0}), None),
            (json!({"status": "error", "result_bytes": 9}), None),
        ] {
            let failure = without_answer(&of, &request);
            assert_eq!(failure.as_ref().map(Failure::words), words, "{request}");
        }
    }

    #[test]
    fn every_byte_is_written() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut written = Vec::new();
        let copied = copied(&bytes[..], |part| {
            written.extend_from_slice(part);
            Ok(())
        });
        assert!(copied.is_ok());
        assert_eq!(written, bytes);
    }
}
