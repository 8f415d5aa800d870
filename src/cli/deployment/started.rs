//! What starts a task: the call, the waiting for its end, and the answer as it then is.

use serde_json::{Value, json};

use crate::{
    base::name::DeploymentName,
    cli::{
        failure::Failure,
        remote::{Call, Session, escaped, path_of},
        task::{Patience, awaited, has_ended},
    },
};

/// The answer of a call that started a task, and how waiting for that task went.
pub(super) struct Started {
    /// The API's answer, with the task as it was seen last.
    pub(super) answer: Value,
    /// An error when the task did not do what it was to do.
    pub(super) ended: Result<(), Failure>,
}

// === impl Started ===

impl Started {
    /// Waits for the end of the task in an answer.
    pub(super) fn of(mut answer: Value, patience: Patience, session: &Session) -> Self {
        let task = answer["task"].take();
        let id = task["id"].as_str().unwrap_or("").to_owned();
        let (seen, ended) = match awaited(session, task.clone(), patience) {
            Ok(ended) => (ended, Ok(())),
            Err(failure) => {
                // Programs are shown the task that failed, too.
                let path = format!("/api/v1/tasks/{}", escaped(&id));
                (session.client.get(&path).unwrap_or(task), Err(failure))
            }
        };
        answer["task"] = seen;
        Self { answer, ended }
    }

    /// Whether the task ended otherwise than well. It may also be that nobody waited for its end.
    pub(super) fn has_failed(&self) -> bool {
        self.ended.is_err() && has_ended(&self.answer["task"])
    }

    /// Shows the answer to programs and, of a task that goes on, its id to people; then fails as the
    /// task did.
    ///
    /// # Errors
    /// The task's.
    pub(super) fn show(self, session: &Session) -> Result<(), Failure> {
        let (out, task) = (&session.out, &self.answer["task"]);
        if out.is_json() {
            out.json(&self.answer)?;
        } else if self.ended.is_ok() && !has_ended(task) {
            out.line(task["id"].as_str().unwrap_or(""))?;
        }
        self.ended
    }
}

/// Makes a call that starts a task of a deployment, and waits for its end.
///
/// # Errors
/// When the call is refused.
pub(super) fn start(call: Call, patience: Patience, session: &Session) -> Result<Started, Failure> {
    let answer = session.client.send(call)?.json()?;
    if !answer["task"].is_object() {
        return Err(session.client.odd("without a task"));
    }
    Ok(Started::of(answer, patience, session))
}

/// A call that starts a task of a deployment, with the members of its body that have a value.
pub(super) fn call(name: &DeploymentName, rest: &str, members: &[(&str, Value)]) -> Call {
    Call::post(&path_of(name, rest)).json(&body(members))
}

/// A body of those members that have a value.
pub(super) fn body(members: &[(&str, Value)]) -> Value {
    let mut body = json!({});
    for (name, value) in members {
        if !value.is_null() {
            body[*name] = value.clone();
        }
    }
    body
}
