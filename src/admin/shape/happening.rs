//! What happened: to deployments, and to those who were turned away.

use serde::Serialize;
use utoipa::ToSchema;

use super::Time;
use crate::control::{self, record};

/// An entry of a deployment's history.
#[derive(Serialize, ToSchema)]
pub struct Happening {
    /// Its number; later ones are greater.
    pub id: u64,
    /// The deployment, as `{project}/{deployment}`.
    pub deployment: String,
    /// What happened.
    #[schema(example = "deploy")]
    pub action: &'static str,
    /// When.
    pub at: Time,
    /// Who did it: a person, `declarations` or `system`.
    pub by: String,
    /// The public id of the token they did it with.
    pub token: Option<String>,
    /// How people call what it happened to: `Flan T5_v2`.
    pub name: String,
    /// The version, where it concerns one.
    pub version: Option<u32>,
    /// How it ended: `success`, `failed`, `canceled`.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// What an edit changed.
    pub changes: Vec<FieldChange>,
    /// The key it was done to.
    pub key: Option<String>,
    /// The task that did it.
    pub task: Option<String>,
    /// The async request it was done to.
    pub request: Option<String>,
    /// How many async requests it was done to.
    pub count: Option<u64>,
    /// For a retired version: since when it was live.
    pub started_at: Option<Time>,
    /// For a retired version: until when.
    pub ended_at: Option<Time>,
    /// What weir itself saw that made it do this: of a challenger, the verdict with its figures.
    #[schema(value_type = Option<Object>)]
    pub evidence: Option<serde_json::Value>,
}

/// Something that was done to a tenant, a project, a token, or a key that is no deployment's.
#[derive(Serialize, ToSchema)]
pub struct Deed {
    /// Its number; later ones are greater.
    pub id: u64,
    /// When.
    pub at: Time,
    /// Who did it.
    pub by: String,
    /// The public id of the token they did it with.
    pub token: Option<String>,
    /// What: `create`, `edit`, `delete`, `revoke`, `reveal`, `rotate`.
    pub action: String,
    /// To what: `tenant`, `project`, `token`, `key`, `subscription`.
    pub kind: String,
    /// Its name or public id.
    pub name: String,
    /// The project that it belongs to.
    pub project: Option<String>,
    /// The tenant that it belongs to.
    pub tenant: Option<String>,
    /// Why, or whom it is for.
    pub reason: Option<String>,
    /// What an edit of a key changed.
    pub changes: Vec<FieldChange>,
}

/// A field that an edit changed.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"field": "limits", "from": {}, "to": {"requests_per_second": 100.0}}))]
pub struct FieldChange {
    /// Its name.
    pub field: String,
    /// As it was.
    pub from: serde_json::Value,
    /// As it is.
    pub to: serde_json::Value,
}

/// A call of the admin plane that was turned away.
#[derive(Serialize, ToSchema)]
pub struct Refusal {
    /// Its number; later ones are greater.
    pub id: u64,
    /// When.
    pub at: Time,
    /// Who asked, where a valid token was presented.
    pub who: Option<String>,
    /// The request's method.
    pub method: String,
    /// The request's path.
    pub path: String,
    /// The status answered.
    pub status: u16,
    /// The code answered.
    pub code: String,
    /// What the `Host` header said.
    pub host: Option<String>,
    /// Where the call came from.
    pub peer: Option<String>,
}

// === impl Happening, Refusal ===

impl Happening {
    /// Shapes an entry of this number.
    pub fn new(id: u64, entry: record::Happening) -> Self {
        Self {
            id,
            deployment: entry.deployment.to_string(),
            action: entry.action.as_str(),
            at: Time(entry.at_ms),
            by: entry.by,
            token: entry.token,
            name: entry.name,
            version: entry.version.map(|number| number.0),
            status: entry.status,
            reason: entry.reason,
            duration_ms: entry.duration_ms,
            changes: entry.changes.into_iter().map(FieldChange::from).collect(),
            key: entry.key,
            task: entry.task,
            request: entry.request.map(|id| id.to_string()),
            count: entry.count,
            started_at: entry.started_at_ms.map(Time),
            ended_at: entry.ended_at_ms.map(Time),
            evidence: entry.evidence,
        }
    }
}

impl Deed {
    /// Shapes an entry of this number.
    pub fn new(id: u64, deed: record::Deed) -> Self {
        Self {
            id,
            at: Time(deed.at_ms),
            by: deed.by,
            token: deed.token,
            action: deed.action,
            kind: deed.kind,
            name: deed.name,
            project: deed.project.map(|name| name.to_string()),
            tenant: deed.tenant.map(|name| name.to_string()),
            reason: deed.reason,
            changes: deed.changes.into_iter().map(FieldChange::from).collect(),
        }
    }
}

impl From<record::FieldChange> for FieldChange {
    fn from(change: record::FieldChange) -> Self {
        let record::FieldChange { field, from, to } = change;
        Self { field, from, to }
    }
}

impl Refusal {
    /// Shapes an entry of this number.
    pub fn new(id: u64, refusal: control::Refusal) -> Self {
        Self {
            id,
            at: Time(refusal.at_ms),
            who: refusal.who,
            method: refusal.method,
            path: refusal.path,
            status: refusal.status,
            code: refusal.code,
            host: refusal.host,
            peer: refusal.peer,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::name::DeploymentName;

    #[test]
    fn what_weir_did_by_itself_is_shown_with_its_evidence() {
        let name = DeploymentName::parse("demo/iris").expect("a name");
        let action = record::Action::Promote;
        let mut entry = record::Happening::new(&name, action, "system", "iris_v2".to_owned(), 0);
        let shown =
            |entry: &record::Happening| json!(Happening::new(1, entry.clone()))["evidence"].take();
        assert_eq!(shown(&entry), json!(null));
        // Entries that were kept before there was any are read as before.
        assert!(json!(entry).get("evidence").is_none());
        entry.evidence = Some(json!({"verdict": "promote", "pairs": 300}));
        assert_eq!(shown(&entry), json!({"verdict": "promote", "pairs": 300}));
        let kept = serde_json::from_value(json!(entry));
        assert_eq!(kept.ok(), Some(entry));
    }
}
