//! The admin plane as a person with a token sees it.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{Ended, Gateway, PATIENCE, RawClient, Response, gateway::ADMIN_TOKEN, holds_within};

/// Somebody with a token. Each call has a connection of its own, so that threads may share one.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    pub(super) addr: SocketAddr,
    pub(super) token: Option<String>,
}

/// A deployment that was made through the API.
#[derive(Clone, Debug)]
pub(crate) struct Created {
    /// What its First Key is presented as.
    pub(crate) secret: String,
    pub(crate) key_id: String,
    /// The whole answer.
    pub(crate) body: Value,
}

/// The path of `project/name` below `/api/v1`.
pub(crate) fn at(name: &str) -> String {
    let (project, name) = name.split_once('/').unwrap();
    format!("/projects/{project}/deployments/{name}")
}

/// A version with one backend.
pub(crate) fn version(url: &str) -> Value {
    json!({"model": "model:1", "main": {"backends": [{"url": url}]}})
}

/// The answer's JSON, when its status is this one.
#[track_caller]
pub(crate) fn want(status: u16, answer: &Response) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    answer.json()
}

/// Checks that the answer is a whole problem document, one of these statuses, and gives its code.
#[track_caller]
pub(crate) fn problem(statuses: &[u16], answer: &Response) -> String {
    let text = answer.text();
    assert!(
        statuses.contains(&answer.status),
        "{} is none of {statuses:?}: {text}",
        answer.status
    );
    let kind = answer.get("content-type").unwrap_or_default();
    assert!(
        kind.starts_with("application/problem+json"),
        "{kind} {text}"
    );
    let body = answer.json();
    assert_eq!(body["status"], answer.status, "{text}");
    for member in ["type", "title", "code", "request_id"] {
        assert!(body[member].is_string(), "no {member}: {text}");
    }
    assert_eq!(
        body["request_id"].as_str(),
        answer
            .get("x-request-id")
            .as_deref()
            .or(body["request_id"].as_str()),
        "{text}"
    );
    body["code"].as_str().unwrap().to_owned()
}

/// Whether a task has ended.
pub(crate) fn is_terminal(task: &Value) -> bool {
    match task["status"].as_str() {
        Some("done" | "failed" | "canceled" | "refused") => true,
        Some("pending" | "processing") => false,
        _ => panic!("the status of {task}"),
    }
}

/// The members `items` of a list.
#[track_caller]
pub(crate) fn items(list: &Value) -> &Vec<Value> {
    assert!(list.get("next").is_some(), "no next: {list}");
    list["items"].as_array().expect("items")
}

/// What `X-Config-Epoch` says.
#[track_caller]
pub(crate) fn epoch_of(answer: &Response) -> u64 {
    let epoch = answer.get("x-config-epoch");
    let parsed = epoch.as_deref().and_then(|e| e.parse().ok());
    parsed.unwrap_or_else(|| panic!("X-Config-Epoch {epoch:?}: {}", answer.text()))
}

impl Gateway {
    /// The operator.
    pub(crate) fn api(&self) -> Admin {
        Admin {
            addr: self.admin_addr(),
            token: Some(ADMIN_TOKEN.to_owned()),
        }
    }
}

// === impl Admin ===

impl Admin {
    /// Somebody else.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self {
            addr: self.addr,
            token: Some(token.to_owned()),
        }
    }

    /// Somebody without a token.
    pub(crate) fn nobody(&self) -> Self {
        Self {
            addr: self.addr,
            token: None,
        }
    }

    /// What it presents.
    pub(crate) fn token_presented(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The `Host` that is right.
    pub(crate) fn host(&self) -> String {
        self.addr.to_string()
    }

    /// A request as it is given, with `Host` and the token beside its headers unless they are there.
    pub(crate) fn try_send(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response, Ended> {
        let given = |name: &str| headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        let host = self.host();
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut all = vec![("connection", "close")];
        if !given("host") {
            all.push(("host", &host));
        }
        if let Some(bearer) = bearer.as_ref().filter(|_| !given("authorization")) {
            all.push(("authorization", bearer));
        }
        all.extend(headers);
        let method = line.split(' ').next().unwrap_or_default();
        let answer = RawClient::try_connect(self.addr)?
            .request(line, &all, body)
            .try_response(method)?;
        if answer.ended != Ended::Clean {
            return Err(answer.ended);
        }
        Ok(answer)
    }

    /// The same, when an answer must come; the gateway never answers that it broke.
    #[track_caller]
    pub(crate) fn send(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let answer = match self.try_send(line, headers, body) {
            Ok(answer) => answer,
            Err(ended) => panic!("no answer to {line}: {ended:?}"),
        };
        assert_ne!(answer.status, 500, "{line}: {}", answer.text());
        answer
    }

    /// A JSON request; the path is below `/api/v1`.
    pub(crate) fn try_json(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Result<Response, Ended> {
        let mut all = vec![("content-type", "application/json")];
        all.extend(headers);
        let body = body.to_string();
        self.try_send(&format!("{method} /api/v1{path}"), &all, body.as_bytes())
    }

    #[track_caller]
    pub(crate) fn json(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Response {
        match self.try_json(method, path, headers, body) {
            Ok(answer) => {
                assert_ne!(answer.status, 500, "{method} {path}: {}", answer.text());
                answer
            }
            Err(ended) => panic!("no answer to {method} {path}: {ended:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Response {
        self.send(&format!("GET /api/v1{path}"), &[], b"")
    }

    /// What is there.
    #[track_caller]
    pub(crate) fn show(&self, path: &str) -> Value {
        want(200, &self.get(path))
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Response {
        self.json("POST", path, &[], body)
    }

    #[track_caller]
    pub(crate) fn patch(&self, path: &str, body: &Value) -> Response {
        self.json("PATCH", path, &[], body)
    }

    /// POST without a body.
    #[track_caller]
    pub(crate) fn poke(&self, path: &str) -> Response {
        self.send(&format!("POST /api/v1{path}"), &[], b"")
    }

    #[track_caller]
    pub(crate) fn delete(&self, path: &str) -> Response {
        self.send(&format!("DELETE /api/v1{path}"), &[], b"")
    }

    /// Any of them by name, with an empty object where a body is usual.
    #[track_caller]
    pub(crate) fn verb(&self, method: &str, path: &str, body: &Value) -> Response {
        if body.is_null() {
            self.send(&format!("{method} /api/v1{path}"), &[], b"")
        } else {
            self.json(method, path, &[], body)
        }
    }

    /// Every page of a list, put together.
    #[track_caller]
    pub(crate) fn list(&self, path: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut page = self.show(path);
        loop {
            all.extend(items(&page).iter().cloned());
            let Some(next) = page["next"].as_str() else {
                return all;
            };
            assert!(all.len() < 100_000, "a list without an end");
            page = self.show(&with_cursor(path, next));
        }
    }

    /// The project, made unless it is there or others make it.
    #[track_caller]
    pub(crate) fn project(&self, name: &str) {
        let made = self.post("/projects", &json!({"name": name}));
        assert!(matches!(made.status, 201 | 403 | 409), "{}", made.text());
    }

    /// The deployment, live, with this version.
    #[track_caller]
    pub(crate) fn create(&self, name: &str, version: &Value) -> Created {
        self.create_with(name, version, &json!({}))
    }

    /// The same with more members.
    #[track_caller]
    pub(crate) fn create_with(&self, name: &str, version: &Value, more: &Value) -> Created {
        let (project, short) = name.split_once('/').unwrap();
        self.project(project);
        let mut body = json!({"name": short, "version": version});
        for (member, value) in more.as_object().unwrap() {
            body[member] = value.clone();
        }
        let made = self.post(&format!("/projects/{project}/deployments?wait=15"), &body);
        let body = want(201, &made);
        assert_eq!(body["task"]["status"], "done", "{body}");
        Created {
            secret: text(&body["first_key"]["secret"]),
            key_id: text(&body["first_key"]["id"]),
            body,
        }
    }

    /// A new version, live; its number.
    #[track_caller]
    pub(crate) fn deploy(&self, name: &str, version: &Value) -> u64 {
        let answer = self.post(&format!("{}/versions?wait=15", at(name)), version);
        let body = want(202, &answer);
        assert_eq!(body["task"]["status"], "done", "{body}");
        body["version"].as_u64().expect("a version")
    }

    /// Starts a task; its id.
    #[track_caller]
    pub(crate) fn begin(&self, path: &str, body: &Value) -> String {
        let body = want(202, &self.verb("POST", path, body));
        text(&body["task"]["id"])
    }

    #[track_caller]
    pub(crate) fn task(&self, id: &str) -> Value {
        self.show(&format!("/tasks/{id}"))
    }

    /// The task, once it has ended.
    #[track_caller]
    pub(crate) fn ended(&self, id: &str) -> Value {
        let mut task = Value::Null;
        let ended = holds_within(PATIENCE, || {
            task = self.task(id);
            is_terminal(&task)
        });
        assert!(ended, "never ended: {task}");
        task
    }

    /// The task, once it is done.
    #[track_caller]
    pub(crate) fn done(&self, id: &str) -> Value {
        let task = self.ended(id);
        assert_eq!(task["status"], "done", "{task}");
        task
    }

    /// Waits until the task is in this state.
    #[track_caller]
    pub(crate) fn wait_status(&self, id: &str, status: &str) {
        let mut task = Value::Null;
        let came = holds_within(PATIENCE, || {
            task = self.task(id);
            task["status"] == status
        });
        assert!(came, "never {status}: {task}");
    }

    /// A new key; its id and secret.
    #[track_caller]
    pub(crate) fn key(&self, path: &str, more: &Value) -> (String, String) {
        let body = want(201, &self.post(&format!("{path}/keys"), more));
        (text(&body["id"]), text(&body["secret"]))
    }

    /// A new admin token; its id and secret.
    #[track_caller]
    pub(crate) fn token(&self, body: &Value) -> (String, String) {
        let body = want(201, &self.post("/tokens", body));
        (text(&body["id"]), text(&body["secret"]))
    }

    #[track_caller]
    pub(crate) fn live_version(&self, name: &str) -> Option<u64> {
        self.show(&at(name))["live_version"].as_u64()
    }
}

/// The words of a member that must have some.
#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    let words = value
        .as_str()
        .unwrap_or_else(|| panic!("no words: {value}"));
    assert!(!words.is_empty());
    words.to_owned()
}

/// The path of the next page; a cursor may also be a whole path.
fn with_cursor(path: &str, next: &str) -> String {
    if let Some(path) = next.split_once("/api/v1").map(|(_, path)| path) {
        return path.to_owned();
    }
    let sign = if path.contains('?') { '&' } else { '?' };
    format!("{path}{sign}cursor={next}")
}
