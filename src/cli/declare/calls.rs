//! The calls that a step takes.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::{
    gateway::keys_path,
    overtaken::overtaken,
    plan::{Object, Step, Work},
    shown::deployment,
    toml_text::time,
};
use crate::{
    base::name::DeploymentName,
    cli::{
        failure::{Code, Failure},
        remote::{Answer, Call, Client, escaped, path_of},
        task::has_ended,
    },
    spec::{DeploymentSpec, KeySpec},
};

/// How long one call waits for the end of a task that goes on.
const LATER: Duration = Duration::from_secs(20);

/// Why a deployment goes, for its history.
const REASON: &str = "it is not declared any more (weir apply --prune)";

/// What all workers know.
pub(super) struct Executor<'s> {
    /// The gateway.
    pub(super) client: &'s Client,
    /// Until when ends are waited for.
    pub(super) deadline: Option<Instant>,
}

// === impl Executor ===

impl Executor<'_> {
    /// How much of this time is left to wait.
    pub(super) fn patience(&self, time: Duration) -> Duration {
        self.deadline.map_or(time, |deadline| {
            time.min(deadline.saturating_duration_since(Instant::now()))
        })
    }

    /// Waits for the end of a task.
    pub(super) fn awaited(&self, task: &str) -> Result<(), Failure> {
        loop {
            let wait = self.patience(LATER);
            let path = format!(
                "/api/v1/tasks/{}?wait={}",
                escaped(task),
                wait.as_secs_f64()
            );
            let shown = self.client.send(Call::get(&path).waits(wait))?.json()?;
            if conclude(&shown)?.is_none() {
                return Ok(());
            }
            if self.patience(LATER).is_zero() {
                return Err(Failure::new(format_args!(
                    "has not ended in time; it goes on, `weir task wait {task}` waits for it"
                )));
            }
        }
    }

    /// Begins a step. Answered is the task that it started, or anything else when it is done.
    ///
    /// Where somebody else was faster, as a second apply of the same files is, what they did is what
    /// counts: a step that they have done is done.
    pub(super) fn begin(&self, step: &Step, wait: Duration) -> Result<Value, Failure> {
        let failure = match self.call(step, wait) {
            Err(failure) => failure,
            done => return done,
        };
        let is_done = match (&step.work, failure.code()) {
            (Work::DeleteDeployment | Work::RevokeKey, Some(Code::Unknown)) => Some(Value::Null),
            (_, Some(Code::Conflict)) => overtaken(self.client, step).ok().flatten(),
            _ => None,
        };
        is_done.ok_or(failure)
    }

    fn call(&self, step: &Step, wait: Duration) -> Result<Value, Failure> {
        let client = self.client;
        match (&step.work, &step.object) {
            (Work::CreateTenant(spec), _) => {
                client.send(Call::post("/api/v1/tenants").json(&json!(spec)))?;
            }
            (Work::CreateProject(spec), _) => {
                client.send(Call::post("/api/v1/projects").json(&json!(spec)))?;
            }
            (Work::Describe(description), object) => {
                let path = match object {
                    Object::Tenant(name) => format!("/api/v1/tenants/{name}"),
                    Object::Project(name) => format!("/api/v1/projects/{name}"),
                    Object::Deployment(name) => path_of(name, ""),
                    Object::Key(scope, id) => format!("{}/{id}", keys_path(scope)),
                };
                let shown = client.send(Call::get(&path))?;
                let patch = Map::from_iter([("description".to_owned(), json!(description))]);
                self.patch(&path, shown.etag.as_deref(), &patch)?;
            }
            (Work::ChangeKey(patch), Object::Key(scope, id)) => {
                let path = format!("{}/{id}", keys_path(scope));
                let shown = client.send(Call::get(&path))?;
                self.patch(&path, shown.etag.as_deref(), patch)?;
            }
            (Work::CreateDeployment(spec), _) => return self.create(spec, wait),
            (
                Work::ChangeDeployment {
                    mark,
                    patch,
                    version,
                },
                Object::Deployment(name),
            ) => {
                let etag = self.change(name, mark, patch)?;
                let Some(version) = version else {
                    return Ok(Value::Null);
                };
                let version = json!(version);
                // Again from the same state is the same request, whoever was interrupted meanwhile.
                let id = idempotency(&["deploy", name.as_str(), mark, &version.to_string()]);
                let path = waiting(&path_of(name, "/versions"), wait);
                let call = Call::post(&path).json(&version).waits(wait);
                let call = call.header("idempotency-key", &id);
                let call = match &etag {
                    Some(etag) => call.header("if-match", etag),
                    None => call,
                };
                return client.send(call)?.json();
            }
            (Work::Wait { task, patch, mark }, Object::Deployment(name)) => {
                if !patch.is_empty() {
                    self.change(name, mark, patch)?;
                }
                return client.get(&format!("/api/v1/tasks/{}", escaped(task)));
            }
            (Work::CreateKey(key), Object::Key(scope, _)) => {
                client.send(Call::post(&keys_path(scope)).json(&key_body(key)))?;
            }
            (Work::DeleteDeployment, Object::Deployment(name)) => {
                let path = waiting(&path_of(name, ""), wait);
                let call = Call::delete(&path).json(&json!({"reason": REASON}));
                return client.send(call.waits(wait))?.json();
            }
            (Work::RevokeKey, Object::Key(scope, id)) => {
                let path = format!("{}/{id}/revoke", keys_path(scope));
                client.send(Call::post(&path).json(&json!({"reason": REASON})))?;
            }
            (Work::Nothing, _) => return Err(Failure::new(&step.says)),
            // A plan pairs each kind of work with its kind of object.
            (_, object) => {
                let words = format!("nobody knows how to do this to a {}", object.kind());
                return Err(Failure::new(words));
            }
        }
        Ok(Value::Null)
    }

    fn create(&self, spec: &DeploymentSpec, wait: Duration) -> Result<Value, Failure> {
        let name = &spec.name;
        let mut body = json!(spec);
        body["name"] = json!(name.deployment());
        body["first_key"] = json!(false);
        // A name may have had a life before, whose creation is not to be answered again.
        let before = match self.client.get(&path_of(name, "")) {
            Ok(shown) => shown["deleted_at"].as_str().unwrap_or("").to_owned(),
            Err(failure) if failure.code() == Some(Code::Unknown) => String::new(),
            Err(failure) => return Err(failure),
        };
        let id = idempotency(&["create", name.as_str(), &before, &body.to_string()]);
        let path = format!("/api/v1/projects/{}/deployments", name.project());
        let call = Call::post(&waiting(&path, wait)).json(&body).waits(wait);
        let answer = self.client.send(call.header("idempotency-key", &id))?;
        answer.json()
    }

    /// Changes properties of a deployment that still is as it was, and answers its tag.
    fn change(
        &self,
        name: &DeploymentName,
        mark: &str,
        patch: &Map<String, Value>,
    ) -> Result<Option<String>, Failure> {
        let path = path_of(name, "");
        let shown = self.client.send(Call::get(&path))?;
        let (_, own) = deployment(self.client, shown.json()?)?;
        if own.mark != mark {
            return Err(Failure::with(
                Code::Conflict,
                "somebody changed it since the plan was made; run the same command again",
            ));
        }
        if patch.is_empty() {
            return Ok(shown.etag);
        }
        Ok(self.patch(&path, shown.etag.as_deref(), patch)?.etag)
    }

    fn patch(
        &self,
        path: &str,
        etag: Option<&str>,
        patch: &Map<String, Value>,
    ) -> Result<Answer, Failure> {
        let call = Call::patch(path).json(&Value::Object(patch.clone()));
        let call = match etag {
            Some(etag) => call.header("if-match", etag),
            None => call,
        };
        self.client.send(call)
    }
}

/// The task that an answer is or holds, if it goes on.
///
/// # Errors
/// When it ended in anything but done.
pub(super) fn conclude(answer: &Value) -> Result<Option<String>, Failure> {
    let task = answer.get("task").unwrap_or(answer);
    let Some(status) = task["status"].as_str() else {
        return Ok(None);
    };
    if !has_ended(task) {
        return Ok(task["id"].as_str().map(str::to_owned));
    }
    if status == "done" {
        return Ok(None);
    }
    let reason = task["reason"].as_str().filter(|reason| !reason.is_empty());
    Err(Failure::new(reason.unwrap_or(status)))
}

/// One id for one request.
fn idempotency(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part.as_bytes());
        hasher.update(b"\0");
    }
    format!("apply-{}", &hasher.finalize().to_hex()[..40])
}

fn waiting(path: &str, wait: Duration) -> String {
    format!("{path}?wait={}", wait.as_secs_f64())
}

fn key_body(key: &KeySpec) -> Value {
    let mut body = json!({
        "id": key.id,
        "digest": key.digest,
        "description": key.description,
        "may_pin": key.may_pin,
    });
    // A gateway that knows none of these takes a key without them.
    if !key.limits.is_default() {
        body["limits"] = json!(key.limits);
    }
    if !key.priority.is_default() {
        body["priority"] = json!(key.priority);
    }
    if let Some(ms) = key.expires_at_ms {
        body["expires_at"] = json!(time(ms));
    }
    body
}
