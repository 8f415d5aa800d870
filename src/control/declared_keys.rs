//! The keys of a declarations file. One that was revoked through the admin plane stays revoked
//! whatever the file says.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    declare::{Changes, speaker},
    error::ControlError,
    plane::{Change, Control},
    record::{Key, KeyStatus, Stored, decode, encode, place},
};
use crate::{
    base::{
        id::{KeyId, Revision},
        name::Name,
        secret::KeyDigest,
    },
    notify::Message,
    snapshot::Principal,
    spec::{EventName, KeySpec, Scope},
    store::{If, Write},
};

/// A key that is declared anew.
struct Granted {
    key: Key,
    /// The record in its place.
    before: Option<Revision>,
    /// What has to hold of the record of its digest.
    digest: If,
}

impl Control {
    pub(super) async fn declare_keys(
        &self,
        change: &mut Change,
        changes: &mut Changes,
        specs: Vec<KeySpec>,
        now: u64,
    ) -> Result<(), ControlError> {
        let mut managed: HashMap<KeyDigest, Stored<Key>> = HashMap::new();
        // Those that people made: one pass over all keys instead of a look for each that is declared.
        let mut others: HashMap<KeyDigest, (KeyId, Scope, KeyStatus)> = HashMap::new();
        // Places of keys that stay there whatever the file says.
        let mut taken: HashSet<String> = HashSet::new();
        self.each(place::KEYS, |record| {
            let key = decode::<Key>(record)?;
            if !key.value.managed || key.value.status == KeyStatus::Revoked {
                taken.insert(record.key.clone());
            }
            if key.value.managed {
                managed.insert(key.value.digest, key);
            } else {
                let Key {
                    id,
                    digest,
                    scope,
                    status,
                    ..
                } = key.value;
                others.insert(digest, (id, scope, status));
            }
            Ok(())
        })
        .await?;
        // A key may come to where another one goes from: whatever goes, goes first.
        let mut granted: Vec<Granted> = Vec::new();
        let mut gone = Vec::new();
        // Many keys share few scopes: sharing their names keeps the check of one in the cache.
        let mut scopes: HashMap<Scope, Scope> = HashMap::new();
        for spec in specs {
            let is_token = self.reserved.get() == Some(&spec.digest)
                || self.state().token_of(&spec.digest).is_some();
            if is_token {
                tracing::warn!(key = %spec.id, "a declared key is an admin token; it opens nothing");
                continue;
            }
            let known = managed.remove(&spec.digest);
            if known
                .as_ref()
                .is_some_and(|known| is_same(&known.value, &spec))
            {
                continue;
            }
            let scope = scopes
                .entry(spec.scope.clone())
                .or_insert_with(|| spec.scope.clone())
                .clone();
            let mut key = Key::new(
                spec.id.clone(),
                spec.digest,
                scope.clone(),
                &speaker().name,
                now,
            );
            key.description.clone_from(&spec.description);
            key.may_pin = spec.may_pin;
            key.expires_at_ms = spec.expires_at_ms;
            key.limits = spec.limits;
            key.priority = spec.priority;
            key.managed = true;
            let mut before = None;
            let mut digest = If::Absent;
            let is_revoked = |known: &Stored<Key>| known.value.status == KeyStatus::Revoked;
            if taken.contains(&key.place()) && !known.as_ref().is_some_and(is_revoked) {
                warn_taken(&key);
                gone.extend(known);
                continue;
            }
            match known {
                Some(known) if known.value.status == KeyStatus::Revoked => {
                    warn_revoked(&known.value.id, &known.value.scope);
                    continue;
                }
                Some(known) => {
                    key.created_at_ms = known.value.created_at_ms;
                    if known.value.place() == key.place() {
                        before = Some(known.revision);
                    } else {
                        withdraw(change, &known);
                    }
                    digest = If::Any;
                }
                None => match others.get(&key.digest) {
                    // It was made through the admin plane; there it stays.
                    Some((id, scope, KeyStatus::Revoked)) => {
                        warn_revoked(id, scope);
                        continue;
                    }
                    Some((id, scope, KeyStatus::Live)) => {
                        tracing::warn!(
                            key = %id, %scope,
                            "a declared key was made through the admin plane, and stays as it is there"
                        );
                        continue;
                    }
                    None => {}
                },
            }
            granted.push(Granted {
                key,
                before,
                digest,
            });
            changes.keys_granted += 1;
        }
        for known in managed.into_values().chain(gone) {
            // A key that was revoked stays where it is, so that nothing can bring it back.
            if known.value.status == KeyStatus::Live {
                withdraw(change, &known);
                change.write(Write::Delete {
                    key: place::digest(&known.value.digest),
                    condition: If::Any,
                });
                change.key(known.value.digest, None);
                tell_of(change, &known.value, now);
                changes.keys_revoked += 1;
            }
        }
        prepare_grants(change, granted);
        Ok(())
    }
}

/// Puts keys in a change, in the order in which the store keeps them: a hundred thousand in the order
/// of their digests had each of its pages read and written many times over.
fn prepare_grants(change: &mut Change, mut granted: Vec<Granted>) {
    granted.sort_unstable_by_key(|granted| granted.key.digest);
    for Granted { key, digest, .. } in &granted {
        change.write(Write::Put {
            key: place::digest(&key.digest),
            value: encode(&key.place()),
            condition: *digest,
        });
    }
    granted.sort_by_cached_key(|granted| granted.key.place());
    for Granted { key, before, .. } in &granted {
        change.put(key.place(), key, *before);
    }
    // What lives on is made when all that does not is made already, so that they do not stand between
    // each other in memory.
    for Granted { key, .. } in granted {
        let principal = Principal::with_scope(&key.to_spec(), key.scope);
        change.key(key.digest, Some(Arc::new(principal)));
    }
}

/// Has subscribers told of a key that is no longer declared. No history has it: the file is one.
fn tell_of(change: &mut Change, key: &Key, now_ms: u64) {
    let (project, deployment) = match &key.scope {
        Scope::Instance => return,
        Scope::Project(project) => (Ok(project.clone()), None),
        Scope::Deployment(name) => (
            Name::parse(name.project()),
            Name::parse(name.deployment()).ok(),
        ),
    };
    // A half of a parsed name is a name.
    let Ok(project) = project else { return };
    let by = speaker().name;
    let mut message = Message::new(EventName::KeyRevoked, &project, &by, now_ms);
    message.deployment = deployment;
    message.key = Some(key.id.to_string());
    message.reason = Some("it is no longer declared".to_owned());
    change.tells(message);
}

fn withdraw(change: &mut Change, known: &Stored<Key>) {
    change.write(Write::Delete {
        key: known.value.place(),
        condition: If::Revision(known.revision),
    });
}

fn warn_revoked(id: &KeyId, scope: &Scope) {
    tracing::warn!(
        key = %id, %scope,
        "a declared key was revoked, and stays revoked; take it out of the declarations"
    );
}

fn warn_taken(key: &Key) {
    tracing::warn!(
        key = %key.id, scope = %key.scope,
        "a declared key has the id of another one, made through the admin plane or revoked; \
         it opens nothing until it has an id of its own"
    );
}

fn is_same(key: &Key, spec: &KeySpec) -> bool {
    key.id == spec.id
        && key.scope == spec.scope
        && key.description == spec.description
        && key.may_pin == spec.may_pin
        && key.expires_at_ms == spec.expires_at_ms
        && key.limits == spec.limits
        && key.priority == spec.priority
        && key.status == KeyStatus::Live
}
