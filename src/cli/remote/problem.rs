//! What the gateway refused, in words for the terminal.

use serde_json::Value;

use crate::cli::failure::{Code, Failure};

/// More than this is no sentence that somebody is to read in a terminal.
const SAID_BYTES_MAX: usize = 200;

/// The failure that an answer of 400 and more is. `base` is the gateway's address.
pub(super) fn failure(status: u16, body: &[u8], base: &str) -> Failure {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |member: &str| problem.get(member).and_then(Value::as_str);
    let Some(detail) = text("detail").filter(|_| text("code").is_some()) else {
        return foreign(status, body, base);
    };
    let mistakes = problem.get("errors").and_then(Value::as_array);
    let mistakes = mistakes.into_iter().flatten().map(|mistake| {
        let member = |name: &str| mistake.get(name).and_then(Value::as_str).unwrap_or("");
        match member("pointer") {
            "" => member("words").to_owned(),
            pointer => format!("{pointer}: {}", member("words")),
        }
    });
    let failure = Failure::with(code(status), detail).details(mistakes);
    let failure = failure.of_problem(text("code").unwrap_or_default());
    let id = text("request_id").unwrap_or("");
    if text("code") == Some("route_unknown") {
        return failure.hint(
            "that is where applications call: --admin-url is to name the admin listener (8081 by \
             default)",
        );
    }
    match (status, text("task")) {
        (401, _) => {
            failure.hint("give a token with --token or WEIR_ADMIN_TOKEN, or choose a context")
        }
        (409, Some(task)) => {
            failure.hint(format_args!("`weir task wait {task}` waits for what runs"))
        }
        (409, None) if text("code") == Some("first_key") => failure.hint(
            "`weir key create SCOPE` makes another key, which can have limits, be edited and be revoked",
        ),
        (412, _) => failure.hint("look at it again, then repeat"),
        (404, _) => match text("code").and_then(way_to) {
            Some(way) => failure.hint(way),
            None => failure,
        },
        (500.., _) => failure.hint(format_args!("the gateway's log says more under {id}")),
        _ => failure,
    }
}

/// The failure that an answer is which is none of the admin API's, with what it says if that is short.
fn foreign(status: u16, body: &[u8], base: &str) -> Failure {
    let words = format!("{base} answered {status}, and not as weir's admin API does");
    let failure = Failure::with(code(status), words);
    let said = str::from_utf8(body).unwrap_or("").trim();
    // Servers that wait for a handshake tell who sends a request in clear text so.
    let behind = base.strip_prefix("http://");
    let hint = match behind {
        Some(behind) if status == 400 && (said.contains("TLS") || said.contains("HTTPS")) => {
            format!("this port speaks TLS: use https://{behind}")
        }
        _ => "look whether --admin-url names the admin listener (8081 by default)".to_owned(),
    };
    let is_short = !said.is_empty() && said.len() <= SAID_BYTES_MAX && !said.contains(['\n', '<']);
    let said = is_short.then(|| format!("it says: {said}"));
    failure.details(said).hint(hint)
}

/// How to find what there is in place of what is not.
fn way_to(unknown: &str) -> Option<&'static str> {
    Some(match unknown {
        "deployment_unknown" => "`weir deployment list` shows those there are",
        "project_unknown" => {
            "`weir project list` shows those there are, `weir project create NAME` makes one"
        }
        "tenant_unknown" => {
            "`weir tenant list` shows those there are, `weir tenant create NAME` makes one"
        }
        "key_unknown" => {
            "`weir key list SCOPE` shows those there are; a scope is PROJECT/DEPLOYMENT, PROJECT or \
             `instance`"
        }
        "token_unknown" => "`weir token list` shows those there are",
        "task_unknown" => "`weir task list` shows those there are",
        "version_unknown" => "`weir deployment versions` shows those there are",
        "comparison_unknown" => {
            "`weir deployment deploy NAME --challenger URL` gives it one; it is compared from then on"
        }
        "pair_unknown" => "`weir deployment pairs` shows those that are kept",
        "async_unknown" => "`weir async list` shows those there are",
        "path_unknown" => "`weir status` shows the gateway's version; this command may be newer",
        _ => return None,
    })
}

fn code(status: u16) -> Code {
    match status {
        401 | 403 => Code::Denied,
        404 | 410 => Code::Unknown,
        409 | 412 => Code::Conflict,
        _ => Code::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_exit_code() {
        for (status, expected) in [
            (400, Code::Failed),
            (401, Code::Denied),
            (403, Code::Denied),
            (404, Code::Unknown),
            (409, Code::Conflict),
            (412, Code::Conflict),
            (422, Code::Failed),
            (503, Code::Failed),
        ] {
            let body = br#"{"detail": "no", "code": "x"}"#;
            let failure = failure(status, body, "http://g");
            assert_eq!(
                (failure.code(), failure.words()),
                (Some(expected), "no"),
                "{status}"
            );
        }
        let said = b"This port speaks TLS, and this was HTTP in clear text: write https://...\n";
        let secure = failure(400, said, "http://g:1");
        assert_eq!(
            (secure.more(), secure.advice()),
            (
                &["it says: This port speaks TLS, and this was HTTP in clear text: write https://...".to_owned()][..],
                Some("this port speaks TLS: use https://g:1")
            )
        );
        let foreign = failure(404, b"<html>", "http://g");
        assert_eq!(foreign.code(), Some(Code::Unknown));
        assert!(
            foreign.words().starts_with("http://g answered 404"),
            "{foreign:?}"
        );
    }
}
