//! Async requests as an application with a key sees them: submitted now, fetched by id.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    Backend, Ended, Gate, Gateway, KEY, PATIENCE, PREDICT, RawClient, Response, admin, eventually,
    gateway::Builder, holds_within, want,
};

/// The header that asks for it.
pub(crate) const LATER: (&str, &str) = ("x-async-request", "true");

/// How long an accepted request may take to its end here, retries and a restart included.
pub(crate) const WHOLE_LIFE: Duration = Duration::from_secs(60);

/// The statuses that never change again.
pub(crate) const TERMINAL: [&str; 4] = ["completed", "error", "cancelled", "expired"];

/// An application with a key. Each call has a connection of its own, so that threads may share one.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    addr: SocketAddr,
    key: String,
}

impl Gateway {
    /// The application with [`KEY`].
    pub(crate) fn caller(&self) -> Caller {
        self.caller_with(KEY)
    }

    /// The same with another key.
    pub(crate) fn caller_with(&self, key: &str) -> Caller {
        Caller {
            addr: self.addr(),
            key: key.to_owned(),
        }
    }
}

/// Short pauses between attempts, and no judgement of backends but what the test scripts: one
/// delivery an attempt, nobody ejected.
pub(crate) fn impatient(builder: Builder) -> Builder {
    builder
        .env("WEIR_QUEUE_RETRY_MIN_MS", 5)
        .env("WEIR_QUEUE_RETRY_MAX_MS", 50)
        .env("WEIR_UPSTREAM_RETRIES_MAX", 0)
        .env("WEIR_EJECTION_CONSECUTIVE_FAILURES", 100_000)
        .env("WEIR_EJECTION_SUCCESS_RATE_MIN_REQUESTS", 1_000_000)
        .env("WEIR_HEALTH_INTERVAL_MS", 100)
}

/// So many at once for a deployment, whatever direct calls do.
pub(crate) fn at_most(builder: Builder, concurrency: usize) -> Builder {
    builder
        .env("WEIR_QUEUE_CONCURRENCY", concurrency)
        .env("WEIR_QUEUE_CONCURRENCY_FLOOR", concurrency)
}

/// Echoes what is async once the gate lets it through; direct calls are answered at once.
pub(crate) fn held_echo(gate: &Gate) -> Backend {
    let door = gate.clone();
    Backend::start(move |conn, head| {
        let body = conn.body(head);
        if head.has("x-async-attempt") {
            while !door.wait() {}
        }
        conn.answer(200, &[("content-type", "text/x-echo")], &body.bytes)
    })
}

/// Whether this document is of a request that has ended.
pub(crate) fn has_ended(document: &Value) -> bool {
    let status = document["status"].as_str().unwrap_or_default();
    assert!(
        TERMINAL.contains(&status) || matches!(status, "queued" | "running"),
        "the status of {document}"
    );
    TERMINAL.contains(&status)
}

/// The tag of an attempt's answer: the request, the attempt's number, and when it began. The number
/// alone does not tell: one that was given back uncounted leaves its number to the next.
pub(crate) fn etag(document: &Value, attempt: u32) -> String {
    let (id, started) = (&document["id"], &document["started_at"]);
    let started: jiff::Timestamp = started.as_str().unwrap().parse().unwrap();
    let started = started.as_millisecond();
    format!("\"{}.{attempt}.{started:x}\"", id.as_str().unwrap())
}

/// Checks that a document has every member that each has, in form; its id.
#[track_caller]
pub(crate) fn whole_document(document: &Value) -> String {
    has_ended(document);
    let id = admin::text(&document["id"]);
    assert!(
        (31..=40).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric()),
        "{id}"
    );
    for (member, tail) in [
        ("status_url", ""),
        ("result_url", "/result"),
        ("cancel_url", "/cancel"),
    ] {
        let url = admin::text(&document[member]);
        assert!(url.ends_with(&format!("/async/{id}{tail}")), "{document}");
    }
    for member in ["request_id", "status_text", "deployment"] {
        admin::text(&document[member]);
    }
    assert!(document["attempts"].is_u64(), "{document}");
    let version = document.get("version").expect("a version or null");
    assert!(version.is_null() || version.is_string(), "{document}");
    let time =
        |member: &str| -> jiff::Timestamp { admin::text(&document[member]).parse().expect(member) };
    assert!(time("created_at") < time("expires_at"), "{document}");
    id
}

// === impl Caller ===

impl Caller {
    /// What it presents.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// A request with the key, unless it has one.
    pub(crate) fn try_send(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response, Ended> {
        let mut all = vec![("connection", "close"), ("x-api-key", self.key.as_str())];
        all.extend(headers);
        let method = line.split(' ').next().unwrap_or_default();
        RawClient::try_connect(self.addr)?
            .request(line, &all, body)
            .try_response(method)
    }

    /// The same, when an answer must come.
    #[track_caller]
    pub(crate) fn send(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let answer = self
            .try_send(line, headers, body)
            .unwrap_or_else(|ended| panic!("no answer to {line}: {ended:?}"));
        assert_eq!(answer.ended, Ended::Clean, "{line}");
        answer
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Response {
        self.send(&format!("GET {path}"), &[], b"")
    }

    /// What a submission is answered.
    #[track_caller]
    pub(crate) fn submit(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let mut all = vec![LATER];
        all.extend(headers);
        self.send(line, &all, body)
    }

    /// The id of a submission that is accepted.
    #[track_caller]
    pub(crate) fn accepted(&self, body: &[u8]) -> String {
        self.accepted_as(&format!("POST {PREDICT}"), &[], body)
    }

    /// The same for any request.
    #[track_caller]
    pub(crate) fn accepted_as(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
        whole_document(&want(202, &self.submit(line, headers, body)))
    }

    /// The status document now.
    #[track_caller]
    pub(crate) fn show(&self, id: &str) -> Value {
        let document = want(200, &self.get(&format!("/async/{id}")));
        assert_eq!(whole_document(&document), id);
        document
    }

    #[track_caller]
    pub(crate) fn result(&self, id: &str) -> Response {
        self.get(&format!("/async/{id}/result"))
    }

    #[track_caller]
    pub(crate) fn cancel(&self, id: &str) -> Response {
        self.send(&format!("POST /async/{id}/cancel"), &[], b"")
    }

    /// The document, once the request has ended.
    #[track_caller]
    pub(crate) fn ended(&self, id: &str) -> Value {
        let deadline = Instant::now() + WHOLE_LIFE;
        loop {
            let document = want(200, &self.get(&format!("/async/{id}?wait=5")));
            if has_ended(&document) {
                return document;
            }
            assert!(Instant::now() < deadline, "never ended: {document}");
        }
    }

    /// The same, when it must end like this.
    #[track_caller]
    pub(crate) fn ends(&self, id: &str, status: &str) -> Value {
        let document = self.ended(id);
        assert_eq!(document["status"], status, "{document}");
        document
    }

    /// Ends as an error for this reason.
    #[track_caller]
    pub(crate) fn fails(&self, id: &str, reason: &str) -> Value {
        let document = self.ends(id, "error");
        assert_eq!(document["reason"], reason, "{document}");
        document
    }

    /// Waits until the request is in this state.
    #[track_caller]
    pub(crate) fn wait_status(&self, id: &str, status: &str) -> Value {
        let mut document = Value::Null;
        let came = holds_within(PATIENCE, || {
            document = self.show(id);
            document["status"] == status
        });
        assert!(came, "never {status}: {document}");
        document
    }

    /// Every page of the key's own list, put together; the query without a cursor.
    #[track_caller]
    pub(crate) fn list(&self, query: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut path = format!("/async?{query}");
        loop {
            let page = want(200, &self.get(&path));
            all.extend(admin::items(&page).iter().cloned());
            let Some(next) = page["next"].as_str() else {
                return all;
            };
            assert!(all.len() < 1_000_000, "a list without an end");
            path = format!("/async?{query}&cursor={next}");
        }
    }

    /// Submits again and again until it is accepted; its id.
    #[track_caller]
    pub(crate) fn accepted_in_the_end(&self, body: &[u8]) -> String {
        let line = format!("POST {PREDICT}");
        let mut id = None;
        eventually(WHOLE_LIFE, "accepting goes on", || {
            let answer = self.submit(&line, &[], body);
            if answer.status == 202 {
                id = Some(whole_document(&answer.json()));
            }
            id.is_some()
        });
        id.unwrap()
    }
}
