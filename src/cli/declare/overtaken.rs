//! What to think of a step that the gateway refused since somebody else changed the same thing meanwhile.

use serde_json::{Map, Value, json};

use super::{
    gateway::keys_path,
    plan::{Object, Step, Work},
    planning::is_same,
    shown::{VersionShown, deployment, keys, typed, version_spec},
};
use crate::{
    base::name::DeploymentName,
    cli::{
        failure::Failure,
        remote::{Client, escaped, path_of},
        task::has_ended,
    },
    spec::VersionSpec,
};

/// Whether somebody else has done, or is doing, just what a step was to do. Answered is their task that
/// goes on, or anything else when nothing is left to wait for.
///
/// # Errors
/// As calls of the API.
pub(super) fn overtaken(client: &Client, step: &Step) -> Result<Option<Value>, Failure> {
    match (&step.work, &step.object) {
        (Work::CreateTenant(spec), _) => {
            client.get(&format!("/api/v1/tenants/{}", spec.name))?;
            Ok(Some(Value::Null))
        }
        (Work::CreateProject(spec), _) => {
            let shown = client.get(&format!("/api/v1/projects/{}", spec.name))?;
            let wanted = spec.tenant.as_ref();
            let is_so = wanted.is_none_or(|tenant| shown["tenant"] == tenant.as_str());
            Ok(is_so.then_some(Value::Null))
        }
        (Work::CreateKey(key), Object::Key(scope, id)) => {
            let there = keys(client, scope)?;
            let is_there = there.iter().any(|(own_id, own)| {
                let is_it = own_id == id && own.digest == Some(key.digest);
                is_it && own.is_live
            });
            Ok(is_there.then_some(Value::Null))
        }
        (Work::CreateDeployment(spec), Object::Deployment(name)) => {
            let body = json!(**spec);
            let fields = [
                "display_name",
                "description",
                "tags",
                "access",
                "keep_previous",
            ];
            let fields = fields.map(|field| (field.to_owned(), body[field].clone()));
            let mut fields = Map::from_iter(fields);
            fields.insert("limits".to_owned(), json!(spec.limits));
            fields.insert("overload".to_owned(), json!(spec.overload));
            looks_so(client, name, &fields, Some(&spec.version))
        }
        (Work::ChangeDeployment { patch, version, .. }, Object::Deployment(name)) => {
            looks_so(client, name, patch, version.as_deref())
        }
        (Work::DeleteDeployment, Object::Deployment(name)) => {
            let mut shown = client.get(&path_of(name, ""))?;
            let task = shown["task"].take();
            // One that waits for its turn shows in no state yet.
            let is_going = task["kind"] == "delete" && !has_ended(&task);
            let is_gone = shown["state"] == "deleted";
            Ok(is_gone
                .then_some(Value::Null)
                .or_else(|| is_going.then_some(task)))
        }
        (Work::RevokeKey, Object::Key(scope, id)) => {
            let shown = client.get(&format!("{}/{id}", keys_path(scope)))?;
            Ok((shown["status"] == "revoked").then_some(Value::Null))
        }
        _ => Ok(None),
    }
}

/// Whether a deployment has these properties, and this version is live or on its way.
fn looks_so(
    client: &Client,
    name: &DeploymentName,
    properties: &Map<String, Value>,
    version: Option<&VersionSpec>,
) -> Result<Option<Value>, Failure> {
    let shown = client.get(&path_of(name, ""))?;
    if properties.iter().any(|(field, to)| shown[field] != *to) {
        return Ok(None);
    }
    let Some(version) = version else {
        return Ok(Some(Value::Null));
    };
    let (_, own) = deployment(client, shown)?;
    let Some(deploying) = &own.deploying else {
        let live = own.live.filter(|_| own.state == "live");
        let is_so = live.is_some_and(|(_, live)| is_same(&live, version));
        return Ok(is_so.then_some(Value::Null));
    };
    let newest = client.list_up_to(&path_of(name, "/versions"), 1)?;
    let newest = typed::<VersionShown>(client, newest)?.into_iter();
    for own in newest.filter(|own| own.version == deploying.version) {
        if is_same(&version_spec(name, &own.spec)?, version) {
            let path = format!("/api/v1/tasks/{}", escaped(&deploying.task));
            return client.get(&path).map(Some);
        }
    }
    Ok(None)
}
