//! Cases of raw bytes: what a client sends to the letter, the rule it stands for, and what a
//! gateway may make of it.
//!
//! ```text
//! Case ──send──▶ gateway ──▶ recording backend ──▶ judge ──▶ the list of what went wrong
//!   victim ─────────▲ (its own connections, the same pool of the gateway)
//! ```
//!
//! Each request of a case carries its id in `X-Case`, so that what reached the backend is known
//! for whose it is, however late it came.

mod judge;
mod others;
mod run;
mod victim;

pub(crate) use others::compare;
pub(crate) use run::run;

use super::KEY;

/// Stands for the id of the case in its bytes; as long as any id is.
const ID: &str = "@CASEID@";

/// One case.
pub(crate) struct Case {
    pub(crate) name: String,
    /// The section, advisory or family of attacks that it stands for.
    pub(crate) rule: &'static str,
    steps: Vec<Step>,
    /// A request for `/after` is sent right behind it.
    is_followed: bool,
    /// Any of these is right.
    ways: Vec<Way>,
}

/// What a client does, in order.
pub(crate) enum Step {
    /// One write.
    Send(Vec<u8>),
    /// Reads until an interim answer has come; a final one ends the script.
    Await100,
    /// Reads one answer, whichever it is, and goes on.
    AwaitAny,
    /// Ends its half of the connection.
    End,
}

/// What is sent, in its pieces.
pub(crate) struct Script(Vec<Step>);

/// What is allowed to come of a case.
pub(crate) struct Allowed(Vec<Way>);

/// One way in which a case may go.
#[derive(Clone)]
struct Way {
    answers: Vec<Want>,
    after: After,
}

/// What one request comes to.
#[derive(Clone)]
enum Want {
    /// It reaches the backend, whole and in this form, and is answered from there.
    Backend(Form),
    /// The gateway answers, and nothing of it reaches a backend.
    Own(&'static [u16]),
    /// The gateway answers; its head may have gone to a backend, but never a body that looks whole.
    Cut(&'static [u16]),
}

/// What becomes of the request that is sent behind a case.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Served,
    MayBeServed,
    Never,
}

/// A request as the backend must see it.
#[derive(Clone)]
pub(crate) struct Form {
    method: String,
    target: String,
    body: Vec<u8>,
    lacks: Vec<&'static str>,
    has: Vec<(&'static str, &'static str)>,
}

// === bytes ===

/// A head with this request line and these further lines, each with its own end; `Host`, key and
/// id come first.
pub(crate) fn head(line: &str, more: impl AsRef<[u8]>) -> Vec<u8> {
    let host = format!("Host: gateway.test\r\nX-Api-Key: {KEY}\r\n");
    bare(line, [host.as_bytes(), more.as_ref()].concat())
}

/// The same without `Host` and key; `@KEY@` stands for the key.
pub(crate) fn bare(line: &str, lines: impl AsRef<[u8]>) -> Vec<u8> {
    let start = format!("{line}\r\nX-Case: {ID}\r\n");
    let lines = replaced(lines.as_ref(), b"@KEY@", KEY.as_bytes());
    [start.as_bytes(), &lines, b"\r\n"].concat()
}

/// Bytes as they are, with `@KEY@` and `@CASEID@` filled in.
pub(crate) fn exactly(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    replaced(bytes.as_ref(), b"@KEY@", KEY.as_bytes())
}

/// `POST .../case` with these further lines.
pub(crate) fn post(more: impl AsRef<[u8]>) -> Vec<u8> {
    head("POST /predict/demo/iris/case HTTP/1.1", more)
}

/// `POST .../case` with these lines and this body behind its head.
pub(crate) fn post_with(more: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Vec<u8> {
    [post(more), body.as_ref().to_vec()].concat()
}

/// A chunked `POST` with this body on the wire.
pub(crate) fn chunked(body: impl AsRef<[u8]>) -> Vec<u8> {
    post_with("Transfer-Encoding: chunked\r\n", body)
}

/// A request that must never be taken for one.
pub(crate) fn smuggled() -> Vec<u8> {
    head("GET /predict/demo/iris/smuggled HTTP/1.1", "")
}

/// The request behind a case: legitimate wherever the case left no doubt where it ends.
fn follower() -> Vec<u8> {
    head(
        "GET /predict/demo/iris/after HTTP/1.1",
        "Connection: close\r\n",
    )
}

fn replaced(bytes: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(what.len()).position(|w| w == what) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(with);
        rest = &rest[at + what.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// `GET` of a target in any bytes.
pub(crate) fn aim(target: impl AsRef<[u8]>) -> Vec<u8> {
    let host = format!(" HTTP/1.1\r\nHost: gateway.test\r\nX-Api-Key: {KEY}\r\n");
    let case = format!("X-Case: {ID}\r\n\r\n");
    [b"GET ", target.as_ref(), host.as_bytes(), case.as_bytes()].concat()
}

/// The bytes in writes of one byte each.
pub(crate) fn crumbs(bytes: &[u8]) -> Script {
    Script(bytes.iter().map(|b| Step::Send(vec![*b])).collect())
}

/// The bytes in two writes, parted right behind the first place where `mark` stands.
pub(crate) fn parted(bytes: &[u8], mark: &str) -> Script {
    let at = bytes
        .windows(mark.len())
        .position(|w| w == mark.as_bytes())
        .expect("the mark stands in the bytes")
        + mark.len();
    Script(vec![
        Step::Send(bytes[..at].to_vec()),
        Step::Send(bytes[at..].to_vec()),
    ])
}

/// The bytes, then the end of the client's half.
pub(crate) fn ended(bytes: impl Into<Vec<u8>>) -> Script {
    Script(vec![Step::Send(bytes.into()), Step::End])
}

impl From<Vec<u8>> for Script {
    fn from(bytes: Vec<u8>) -> Self {
        Self(vec![Step::Send(bytes)])
    }
}

impl From<Vec<Step>> for Script {
    fn from(steps: Vec<Step>) -> Self {
        Self(steps)
    }
}

// === impl Case ===

/// A case; the request for `/after` follows it unless its script ends the connection.
pub(crate) fn case(
    name: impl Into<String>,
    rule: &'static str,
    script: impl Into<Script>,
    allowed: Allowed,
) -> Case {
    let Script(steps) = script.into();
    Case {
        name: name.into(),
        rule,
        is_followed: matches!(steps.last(), Some(Step::Send(_))),
        steps,
        ways: allowed.0,
    }
}

// === impl Allowed ===

/// Refused with 400, the connection closed; nothing of it or behind it reaches a backend.
pub(crate) fn refused() -> Allowed {
    refused_as(&[400])
}

/// The same with one of these statuses.
pub(crate) fn refused_as(statuses: &'static [u16]) -> Allowed {
    Allowed::way(Want::Own(statuses), After::Never)
}

/// The gateway answers with one of these statuses. Where the request ends is clear, so what follows
/// may be served.
pub(crate) fn answered(statuses: &'static [u16]) -> Allowed {
    Allowed::way(Want::Own(statuses), After::MayBeServed)
}

/// Refused in the middle of its body, or at its end: no backend has it whole.
pub(crate) fn cut() -> Allowed {
    Allowed::way(Want::Cut(&[400]), After::Never)
}

/// Closed without an answer, or with a refusal.
pub(crate) fn closed() -> Allowed {
    let mut silently = refused_as(&[400, 408]);
    silently.0.push(Way {
        answers: Vec::new(),
        after: After::Never,
    });
    silently
}

/// An upload that its client gives up: refused or not answered, and no backend has it whole.
pub(crate) fn torn() -> Allowed {
    closed().or(cut())
}

/// Reaches the backend in this form; what follows may be served.
pub(crate) fn reframed(form: Form) -> Allowed {
    Allowed::way(Want::Backend(form), After::MayBeServed)
}

/// Must reach the backend in this form, and what follows must be served too.
pub(crate) fn served(form: Form) -> Allowed {
    Allowed::way(Want::Backend(form), After::Served)
}

/// Must reach the backend in this form, and is the last on its connection.
pub(crate) fn served_last(form: Form) -> Allowed {
    Allowed::way(Want::Backend(form), After::Never)
}

impl Allowed {
    fn way(want: Want, after: After) -> Self {
        Self(vec![Way {
            answers: vec![want],
            after,
        }])
    }

    /// The other is right too.
    pub(crate) fn or(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// And behind it on the connection the other.
    pub(crate) fn then(self, other: Self) -> Self {
        let mut ways = Vec::new();
        for second in other.0 {
            for first in &self.0 {
                let answers = [&first.answers[..], &second.answers[..]].concat();
                let after = second.after;
                ways.push(Way { answers, after });
            }
        }
        Self(ways)
    }
}

// === impl Form ===

/// A `POST` without a body to `/case`.
pub(crate) fn form() -> Form {
    Form {
        method: "POST".to_owned(),
        target: "/case".to_owned(),
        body: Vec::new(),
        lacks: Vec::new(),
        has: Vec::new(),
    }
}

/// A `GET` of this target.
pub(crate) fn got(target: &str) -> Form {
    form().method("GET").target(target)
}

impl Form {
    pub(crate) fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    pub(crate) fn target(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        body.as_ref().clone_into(&mut self.body);
        self
    }

    /// Headers that must not be there, in whatever spelling, nor as trailers.
    pub(crate) fn lacks(mut self, names: &[&'static str]) -> Self {
        self.lacks.extend(names);
        self
    }

    /// A header that must be there once, with this value.
    pub(crate) fn has(mut self, name: &'static str, value: &'static str) -> Self {
        self.has.push((name, value));
        self
    }
}
