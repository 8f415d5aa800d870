//! A plan carried out: up to 16 calls at once, stage by stage, and each deploy waited for.
//!
//! ```text
//! tenants ─▶ projects ─▶ deployments ─▶ keys ─▶ what is not declared, when all else went well
//!                          call (waits a moment) ──▶ task goes on ──▶ back into the queue: wait for it
//! ```
//!
//! A deploy that takes long does not hold up those behind it: its task is waited for when everything has
//! been asked for. Nothing is polled; the gateway holds its answer until the task has ended.

use std::{
    collections::VecDeque,
    fmt::Write,
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};

use super::{
    each::AT_ONCE,
    gateway::{deployment, keys_path},
    plan::{Action, Object, Plan, Step, Work},
    show::{counted, grouped, title},
};
use crate::{
    base::name::DeploymentName,
    cli::{
        failure::{Code, Failure},
        remote::{Answer, Call, Client, Session, escaped, path_of},
        task::has_ended,
        terminal::{Live, on_interrupt},
    },
    spec::{DeploymentSpec, KeySpec},
};

/// How long a call that starts a task waits for its end: most end sooner.
const SOON: Duration = Duration::from_secs(2);

/// So many tasks go on: those that come do not wait for their ends any more before the next one.
const GOING_ON_MAX: usize = 2 * AT_ONCE;

/// How long one call waits for the end of a task that goes on.
const LATER: Duration = Duration::from_secs(20);

/// How often the live line shows the time pass.
const REFRESH: Duration = Duration::from_millis(100);

/// Why a deployment goes, for its history.
const REASON: &str = "it is not declared any more (weir apply --prune)";

/// What came of a plan.
#[derive(Debug)]
pub(super) struct Done {
    created: usize,
    changed: usize,
    deleted: usize,
    failed: Vec<(Object, Failure)>,
    /// Deletions that were not begun.
    left: usize,
    took: Duration,
}

/// What is still to be done in a stage.
enum Job<'p> {
    /// The step has not been begun.
    Begin(&'p Step),
    /// Its task goes on.
    Wait(&'p Step, String),
}

/// What came of a job.
enum Came<'p> {
    /// The step is done.
    Done(&'p Step),
    /// Its task goes on.
    GoesOn,
    /// It failed; whether a task of it went on until then.
    Failed(&'p Step, Failure),
    /// A task that went on has ended.
    Ended,
}

/// The jobs of a stage, and how many of its tasks go on.
struct Queue<'p> {
    jobs: Mutex<(VecDeque<Job<'p>>, usize)>,
}

/// What all workers know.
struct Executor<'s> {
    client: &'s Client,
    deadline: Option<Instant>,
}

/// Carries a plan out. `timeout` is for how many seconds deploys are waited for.
pub(super) fn apply(plan: &Plan, session: &Session, timeout: Option<u64>) -> Done {
    let began = Instant::now();
    // Without it an interrupt ends the waiting just the same, only with nothing said.
    let _ = on_interrupt(|| {
        "what was begun goes on at the gateway; the same command again does the rest".to_owned()
    });
    let mut done = Done {
        created: 0,
        changed: 0,
        deleted: 0,
        failed: Vec::new(),
        left: 0,
        took: Duration::ZERO,
    };
    let executor = Executor {
        client: &session.client,
        deadline: timeout.map(|s| began + Duration::from_secs(s)),
    };
    let mut live = Live::new(session.out.is_quiet() || session.out.is_json());
    let total = plan.steps.len();
    for stage in stages(plan) {
        let is_final = stage.iter().any(|step| step.action.is_final());
        if is_final && !done.failed.is_empty() {
            // What was to take their place may be what failed.
            done.left += stage.len();
            continue;
        }
        executor.run(&stage, total, &mut done, &mut live);
    }
    live.clear();
    done.took = began.elapsed();
    done
}

/// The steps by what has to be there first.
fn stages(plan: &Plan) -> Vec<Vec<&Step>> {
    let stage = |step: &Step| match (&step.object, step.action) {
        (Object::Deployment(_), Action::Delete) => 4,
        (_, Action::Revoke) => 5,
        (Object::Tenant(_), _) => 0,
        (Object::Project(_), _) => 1,
        (Object::Deployment(_), _) => 2,
        (Object::Key(..), _) => 3,
    };
    let mut stages = vec![Vec::new(); 6];
    for step in &plan.steps {
        stages[stage(step)].push(step);
    }
    stages.retain(|stage| !stage.is_empty());
    stages
}

// === impl Executor ===

impl Executor<'_> {
    fn run<'p>(&self, steps: &[&'p Step], total: usize, done: &mut Done, live: &mut Live) {
        let queue = Queue {
            jobs: Mutex::new((steps.iter().map(|step| Job::Begin(step)).collect(), 0)),
        };
        let (tell, told) = mpsc::channel::<Came<'p>>();
        thread::scope(|scope| {
            for _ in 0..AT_ONCE.min(steps.len()) {
                let (queue, tell) = (&queue, tell.clone());
                scope.spawn(move || {
                    while let Some(job) = queue.next() {
                        for came in self.work(job, queue) {
                            // It is listened to until the last worker has gone.
                            let _ = tell.send(came);
                        }
                    }
                });
            }
            drop(tell);
            let mut going_on = 0;
            loop {
                match told.recv_timeout(REFRESH) {
                    Ok(Came::Done(step)) => done.count(step),
                    Ok(Came::Failed(step, failure)) => {
                        done.failed.push((step.object.clone(), failure));
                    }
                    Ok(Came::GoesOn) => going_on += 1,
                    Ok(Came::Ended) => going_on -= 1,
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                    Err(mpsc::RecvTimeoutError::Disconnected) => break,
                }
                let applied = done.applied();
                let line = format!(
                    "applied {} of {}, {going_on} deploying, {} failed",
                    grouped(applied),
                    grouped(total),
                    done.failed.len()
                );
                // Elsewhere than on a terminal, a line for each quarter.
                live.show(&format!("{}", 4 * applied / total.max(1)), &line);
            }
        });
    }

    fn work<'p>(&self, job: Job<'p>, queue: &Queue<'p>) -> Vec<Came<'p>> {
        match job {
            Job::Begin(step) => {
                let wait = match queue.going_on() {
                    count if count < GOING_ON_MAX => self.patience(SOON),
                    _ => Duration::ZERO,
                };
                match self.begin(step, wait).and_then(conclude) {
                    Ok(None) => vec![Came::Done(step)],
                    Ok(Some(task)) => {
                        queue.wait(Job::Wait(step, task));
                        vec![Came::GoesOn]
                    }
                    Err(failure) => vec![Came::Failed(step, failure)],
                }
            }
            Job::Wait(step, task) => {
                let came = match self.awaited(&task) {
                    Ok(()) => Came::Done(step),
                    Err(failure) => Came::Failed(step, failure),
                };
                queue.ended();
                vec![Came::Ended, came]
            }
        }
    }

    /// How much of this time is left to wait.
    fn patience(&self, time: Duration) -> Duration {
        self.deadline.map_or(time, |deadline| {
            time.min(deadline.saturating_duration_since(Instant::now()))
        })
    }

    /// Waits for the end of a task.
    fn awaited(&self, task: &str) -> Result<(), Failure> {
        loop {
            let wait = self.patience(LATER);
            let path = format!(
                "/api/v1/tasks/{}?wait={}",
                escaped(task),
                wait.as_secs_f64()
            );
            let shown = self.client.send(Call::get(&path).waits(wait))?.json()?;
            if conclude(shown)?.is_none() {
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
    fn begin(&self, step: &Step, wait: Duration) -> Result<Value, Failure> {
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
                self.patch(&path, shown.etag, &patch)?;
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
        Ok(self.patch(&path, shown.etag, patch)?.etag)
    }

    fn patch(
        &self,
        path: &str,
        etag: Option<String>,
        patch: &Map<String, Value>,
    ) -> Result<Answer, Failure> {
        let call = Call::patch(path).json(&Value::Object(patch.clone()));
        let call = match &etag {
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
fn conclude(answer: Value) -> Result<Option<String>, Failure> {
    let task = match answer.get("task") {
        Some(task) => task,
        None => &answer,
    };
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
    if let Some(ms) = key.expires_at_ms {
        body["expires_at"] = json!(super::toml_text::time(ms));
    }
    body
}

// === impl Queue ===

impl<'p> Queue<'p> {
    fn jobs(&self) -> MutexGuard<'_, (VecDeque<Job<'p>>, usize)> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job. When there is none, whoever puts another one there does it as well.
    fn next(&self) -> Option<Job<'p>> {
        self.jobs().0.pop_front()
    }

    /// A task goes on; what is begun goes first.
    fn wait(&self, job: Job<'p>) {
        let mut jobs = self.jobs();
        jobs.0.push_back(job);
        jobs.1 += 1;
    }

    fn ended(&self) {
        self.jobs().1 -= 1;
    }

    fn going_on(&self) -> usize {
        self.jobs().1
    }
}

// === impl Done ===

impl Done {
    fn count(&mut self, step: &Step) {
        match step.action {
            Action::Create => self.created += 1,
            Action::Delete | Action::Revoke => self.deleted += 1,
            Action::Change | Action::Swap | Action::Wait | Action::Blocked => self.changed += 1,
        }
    }

    fn applied(&self) -> usize {
        self.created + self.changed + self.deleted
    }

    /// `3 created, 1 changed, 0 failed in 1.2 s`.
    pub(super) fn summary(&self) -> String {
        let mut line = format!(
            "{} created, {} changed",
            grouped(self.created),
            grouped(self.changed)
        );
        // Writing to a string does not fail.
        if self.deleted > 0 {
            let _ = write!(line, ", {} deleted", grouped(self.deleted));
        }
        let _ = write!(line, ", {} failed", grouped(self.failed.len()));
        if self.left > 0 {
            let _ = write!(line, ", {} left undone", counted(self.left, "deletion"));
        }
        let _ = write!(line, " in {:.1} s", self.took.as_secs_f64());
        line
    }

    /// The same for programs.
    pub(super) fn to_json(&self) -> Value {
        let failed: Vec<Value> = self
            .failed
            .iter()
            .map(|(object, failure)| {
                let (kind, name) = (object.kind(), object.name());
                json!({"kind": kind, "name": name, "reason": failure.words()})
            })
            .collect();
        json!({
            "created": self.created,
            "changed": self.changed,
            "deleted": self.deleted,
            "left": self.left,
            "failed": failed,
            "seconds": self.took.as_secs_f64(),
        })
    }

    /// What failed, with its reasons; none when nothing did.
    pub(super) fn into_failure(mut self) -> Option<Failure> {
        if self.failed.is_empty() {
            return None;
        }
        // Workers end in any order.
        self.failed.sort_by_key(|(object, _)| title(object));
        let words = format!("{} failed", counted(self.failed.len(), "step"));
        let details = self.failed.iter().flat_map(|(object, failure)| {
            let own = failure.more().iter().map(|line| format!("  {line}"));
            let head = format!("{}: {}", title(object), failure.words());
            std::iter::once(head).chain(own).collect::<Vec<_>>()
        });
        let failure = Failure::new(words).details(details.collect::<Vec<_>>());
        Some(match self.left {
            0 => failure,
            _ => failure.hint("nothing is deleted while anything else fails"),
        })
    }
}
