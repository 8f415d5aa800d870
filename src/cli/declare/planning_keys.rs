//! What is to be done to keys, and what is there that nobody declares.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, json};

use super::{
    diff::FieldChange,
    gateway::{Standing, StandingKey, keys_path},
    plan::{Action, Object, Plan, Work, projects_of},
};
use crate::spec::{Declarations, KeySpec, Scope};

// === impl Plan ===

impl Plan {
    /// Keys that are declared.
    pub(super) fn all_keys(&mut self, declared: &Declarations, standing: &Standing, now_ms: u64) {
        // Where a key stands under another id or scope.
        let by_digest: HashMap<_, _> = standing
            .keys
            .iter()
            .filter(|(_, own)| own.is_live)
            .filter_map(|(place, own)| Some((own.digest?, place)))
            .collect();
        for key in &declared.keys {
            let object = Object::Key(key.scope.clone(), key.id.clone());
            let place = (key.scope.clone(), key.id.clone());
            if let Some(own) = standing.keys.get(&place) {
                self.key(object, key, own, now_ms);
                continue;
            }
            if standing.closed.contains(&key.scope) {
                let why = format!("can't be seen: this token opens no keys of {}", key.scope);
                self.blocked(object, why);
            } else if let Some((scope, id)) = by_digest.get(&key.digest) {
                let why = format!("is the key {id} of {scope} already, and can't move");
                self.blocked(object, why);
            } else if key.expires_at_ms.is_some_and(|ms| ms <= now_ms) {
                self.notes
                    .push(format!("key {} ({}) has expired", key.id, key.scope));
                self.unchanged += 1;
            } else {
                let work = Work::CreateKey(key.clone());
                self.step(object, Action::Create, Vec::new(), work);
            }
        }
    }

    fn key(&mut self, object: Object, key: &KeySpec, own: &StandingKey, now_ms: u64) {
        if !own.is_live {
            let (id, scope) = (&key.id, &key.scope);
            let what = match own.expires_at_ms {
                Some(ms) if ms <= now_ms => "has expired",
                _ => "is revoked",
            };
            self.notes
                .push(format!("key {id} ({scope}) {what}, and never comes back"));
            self.unchanged += 1;
            return;
        }
        if own.digest.is_some_and(|digest| digest != key.digest) {
            let why =
                "is another key under the same id; declare the new one under an id of its own";
            return self.blocked(object, why.to_owned());
        }
        let both = [
            (
                "description",
                json!(own.description),
                json!(key.description),
            ),
            ("limits", json!(own.limits), json!(key.limits)),
            ("priority", json!(own.priority), json!(key.priority)),
        ];
        let differing: Vec<_> = both.into_iter().filter(|(_, a, b)| a != b).collect();
        let of_first = differing.first().filter(|_| own.is_first);
        let fixed = [
            ("may_pin", own.may_pin != key.may_pin),
            ("expires_at", own.expires_at_ms != key.expires_at_ms),
            (of_first.map_or("", |(field, ..)| field), of_first.is_some()),
        ];
        if let Some((field, _)) = fixed.iter().find(|(_, differs)| *differs) {
            let whose = match own.is_first {
                true => "a First Key",
                false => "a key",
            };
            let why = format!("has another {field}, which never changes of {whose}");
            return self.blocked(object, why);
        }
        if differing.is_empty() {
            self.unchanged += 1;
            return;
        }
        let (mut changes, mut patch) = (Vec::new(), Map::new());
        for (field, from, to) in differing {
            patch.insert(field.to_owned(), to.clone());
            changes.push(FieldChange {
                field: field.to_owned(),
                from: Some(from),
                to: Some(to),
            });
        }
        self.step(object, Action::Change, changes, Work::ChangeKey(patch));
    }

    /// What stands in the declared projects and is not declared.
    pub(super) fn prune(&mut self, declared: &Declarations, standing: &Standing) {
        let projects = projects_of(declared);
        let kept: HashSet<_> = declared.deployments.iter().map(|spec| &spec.name).collect();
        let mut gone = HashSet::new();
        for (name, own) in &standing.deployments {
            if !projects.contains(name.project()) || kept.contains(name) {
                continue;
            }
            gone.insert(name);
            if own.state == "deleting" {
                continue;
            }
            let object = Object::Deployment(name.clone());
            self.step(object, Action::Delete, Vec::new(), Work::DeleteDeployment);
        }
        let kept: HashSet<_> = declared
            .keys
            .iter()
            .map(|key| (key.scope.clone(), key.id.clone()))
            .collect();
        let of_instance = declared.keys.iter().any(|key| key.scope == Scope::Instance);
        let is_ours = |scope: &Scope| match scope {
            Scope::Instance => of_instance,
            Scope::Project(project) => projects.contains(project.as_str()),
            // The keys of a deployment go with it.
            Scope::Deployment(name) => projects.contains(name.project()) && !gone.contains(name),
        };
        let mut left: Vec<_> = standing
            .keys
            .iter()
            .filter(|(place, own)| {
                own.is_live && !own.is_first && is_ours(&place.0) && !kept.contains(*place)
            })
            .map(|(place, _)| place)
            .collect();
        for scope in standing.closed.iter().filter(|scope| is_ours(scope)) {
            self.notes
                .push(format!("keys of {scope} stay: this token may not see them"));
        }
        left.sort_by_key(|(scope, id)| (keys_path(scope), id.to_string()));
        for (scope, id) in left {
            let object = Object::Key(scope.clone(), id.clone());
            self.step(object, Action::Revoke, Vec::new(), Work::RevokeKey);
        }
    }
}
