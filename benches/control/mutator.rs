//! Somebody who changes things, one after another, and can see to it that each is in force.

use std::time::Instant;

use serde_json::{Value, json};

use super::client::{Answer, Client};
use crate::common::{
    Checked,
    start::{Model, Weir},
    wire,
};

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Create,
    Revoke,
    Patch,
    Deploy,
    Rollback,
}

/// Whether the data plane is asked after each change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    Asked,
    Trusted,
}

/// One connection to each plane, and the deployments that nobody else changes.
pub(crate) struct Mutator {
    admin: Client,
    data: Client,
    backend: String,
    deployments: Vec<Held>,
    next: usize,
    /// Keys that were created and not revoked: their deployment, id and secret.
    keys: Vec<(usize, String, String)>,
    body: Vec<u8>,
    proof: Proof,
}

struct Held {
    name: String,
    is_open: bool,
}

impl Change {
    pub(crate) const ALL: [Self; 5] = [
        Self::Create,
        Self::Revoke,
        Self::Patch,
        Self::Deploy,
        Self::Rollback,
    ];

    /// Its words in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Create => "create a key",
            Self::Revoke => "revoke a key",
            Self::Patch => "PATCH access",
            Self::Deploy => "deploy a version",
            Self::Rollback => "roll back",
        }
    }
}

// === impl Mutator ===

impl Mutator {
    /// Connects. The deployments have to be among those that the shared load calls.
    pub(crate) fn new(
        weir: &Weir,
        model: &Model,
        deployments: impl IntoIterator<Item = usize>,
        proof: Proof,
    ) -> Checked<Self> {
        let held = |index| Held {
            name: wire::deployment(index),
            is_open: false,
        };
        Ok(Self {
            admin: Client::connect(weir.admin)?,
            data: Client::connect(weir.data)?,
            backend: format!("http://{}", model.address),
            deployments: deployments.into_iter().map(held).collect(),
            next: 0,
            keys: Vec::new(),
            body: wire::json_body("inputs"),
            proof,
        })
    }

    /// Makes one change, to the next of the deployments in turn; the nanoseconds from its call until
    /// its answer.
    pub(crate) fn change(&mut self, change: Change) -> Checked<i64> {
        let at = self.next % self.deployments.len();
        self.next += 1;
        match change {
            Change::Create => self.create(at),
            Change::Revoke => self.revoke(),
            Change::Patch => self.patch(at),
            Change::Deploy => self.swap(at, Change::Deploy),
            Change::Rollback => self.swap(at, Change::Rollback),
        }
    }

    fn create(&mut self, at: usize) -> Checked<i64> {
        let path = format!("{}/keys", self.path(at));
        let body = json!({"description": "bench"});
        let (took, made) = self.timed(201, "POST", &path, &body)?;
        let id = text(&made["id"])?;
        let secret = text(&made["secret"])?;
        self.prove(at, Some(&secret), 200)?;
        self.keys.push((at, id, secret));
        Ok(took)
    }

    /// Revokes the key that was created last; makes one when there is none.
    fn revoke(&mut self) -> Checked<i64> {
        if self.keys.is_empty() {
            self.create(0)?;
        }
        let (at, id, secret) = self.keys.pop().ok_or("no key")?;
        let path = format!("{}/keys/{id}/revoke", self.path(at));
        let (took, _) = self.timed(200, "POST", &path, &json!({}))?;
        self.prove(at, Some(&secret), 401)?;
        Ok(took)
    }

    /// Opens the deployment to everybody, or closes it again.
    fn patch(&mut self, at: usize) -> Checked<i64> {
        let path = self.path(at);
        let open = !self.deployments[at].is_open;
        let access = if open { "public" } else { "keys" };
        let (took, _) = self.timed(200, "PATCH", &path, &json!({"access": access}))?;
        self.deployments[at].is_open = open;
        self.prove(at, None, if open { 200 } else { 401 })?;
        Ok(took)
    }

    /// Another version, live when the call returns.
    fn swap(&mut self, at: usize, change: Change) -> Checked<i64> {
        let (verb, body) = match change {
            Change::Deploy => (
                "versions",
                json!({"model": "model:1", "main": {"backends": [{"url": self.backend}]}}),
            ),
            _ => ("rollback", json!({})),
        };
        let path = format!("{}/{verb}?wait=30", self.path(at));
        let (took, done) = self.timed(202, "POST", &path, &body)?;
        if done["task"]["status"] != "done" {
            return Err(format!("{path}: {done}").into());
        }
        let version = format!("{}_v{}", self.deployments[at].name, done["task"]["version"]);
        let shown = self.prove(at, Some(&wire::key(0)), 200)?;
        match shown.and_then(|answer| answer.version) {
            Some(shown) if shown != version => {
                Err(format!("{path}: {shown} answers, not {version}").into())
            }
            _ => Ok(took),
        }
    }

    /// The next request has to show the change.
    fn prove(&mut self, at: usize, key: Option<&str>, status: u16) -> Checked<Option<Answer>> {
        if self.proof == Proof::Trusted {
            return Ok(None);
        }
        let name = &self.deployments[at].name;
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(key.map(|key| ("X-API-Key", key)));
        let line = format!("POST /predict/bench/{name}");
        let answer = self.data.call(&line, &headers, &self.body)?;
        if answer.status != status {
            let found = answer.status;
            return Err(format!("not in force on {name}: {found}, not {status}").into());
        }
        Ok(Some(answer))
    }

    fn timed(
        &mut self,
        status: u16,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Checked<(i64, Value)> {
        let began = Instant::now();
        let answer = self.admin.want(status, method, path, body)?;
        Ok((began.elapsed().as_nanos().try_into()?, answer))
    }

    fn path(&self, at: usize) -> String {
        format!("/projects/bench/deployments/{}", self.deployments[at].name)
    }
}

fn text(value: &Value) -> Checked<String> {
    Ok(value.as_str().ok_or("an answer without a word")?.to_owned())
}
