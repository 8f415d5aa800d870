//! API keys: made, imported, seen, edited, revoked, and revealed where the operator wants that.

use std::sync::Arc;

use super::{
    access::{Caller, Object, Verb},
    changed,
    deployments::needs_project,
    error::ControlError,
    limits::Limited,
    list::{Listed, Page},
    plane::{Change, Control, Done, Intent, Turn},
    record::{
        Action, Deed, DeploymentState, FieldChange, Happening, Key, KeyStatus, Stored, decode,
        place,
    },
    state::State,
};
use crate::{
    base::{
        clock::{Tick, unix_ms},
        draw,
        id::{KeyId, Revision},
        name::DeploymentName,
        secret::{self, KeyDigest},
    },
    limit::Standing,
    snapshot::Principal,
    spec::{
        Scope,
        body::{KeyPatch, NewKey, OwnKey, RevokeBody},
    },
    store::Order,
};

/// A key that was just made, or imported.
#[derive(Debug, Clone)]
pub struct NewSecret {
    /// The key.
    pub key: Stored<Key>,
    /// The secret, shown this once; none for one that its owner has brought.
    pub secret: Option<String>,
}

/// A key as it is shown: never the secret.
#[derive(Debug, Clone)]
pub struct KeyShown {
    /// Its record.
    pub stored: Stored<Key>,
    /// When it was last used.
    pub used_at_ms: Option<u64>,
    /// Whether there is a sealed copy that can be revealed.
    pub revealable: bool,
    /// How its limits stand; none where nothing is limited.
    pub limits: Option<Standing>,
}

/// A key that is about to be made.
pub(super) struct Drawn {
    pub(super) record: Key,
    pub(super) secret: String,
}

impl Control {
    /// Draws a new key, under an id of its own unless it is given one.
    pub(super) fn draw_key(
        &self,
        scope: Scope,
        caller: &Caller,
        id: Option<KeyId>,
    ) -> Result<Drawn, ControlError> {
        let internal = |error: String| ControlError::Internal(error);
        let id = match id {
            Some(id) => id,
            None => KeyId::new(&self.draw_id()?),
        };
        // Inside of a secret, an id has no marks: they part it from what is drawn.
        let within: String = id
            .as_str()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        let within = if within.is_empty() { "0" } else { &within };
        let secret = draw::secret("wk", within).map_err(|error| internal(error.to_string()))?;
        let digest = KeyDigest::of_key(secret.as_bytes());
        let digest = digest.map_err(|error| internal(error.to_string()))?;
        let mut record = Key::new(id, digest, scope, &caller.name, unix_ms());
        self.seal(&mut record, &secret)?;
        Ok(Drawn { record, secret })
    }

    /// The key of a digest, wherever it lies.
    async fn key_of(&self, digest: &KeyDigest) -> Result<Option<Stored<Key>>, ControlError> {
        let Some(pointer) = self.store.get(&place::digest(digest)).await? else {
            return Ok(None);
        };
        let place: String = decode(&pointer)?.value;
        let record = self.store.get(&place).await?;
        Ok(record.as_ref().map(decode).transpose()?)
    }

    fn seal(&self, record: &mut Key, secret: &str) -> Result<(), ControlError> {
        if let Some(sealer) = &self.sealer {
            let sealed = sealer.seal(&record.digest, secret);
            let internal = |_| ControlError::Internal("no randomness".to_owned());
            record.sealed = Some(sealed.map_err(internal)?);
        }
        Ok(())
    }

    /// Puts a new key in a change. Its digest must be new to the store, also among revoked ones.
    #[expect(clippy::unused_self, reason = "beside its kin")]
    pub(super) fn grant(&self, change: &mut Change, record: &Key) {
        change.put(record.place(), record, None);
        change.put(place::digest(&record.digest), &record.place(), None);
        let principal = Principal::new(&record.to_spec());
        change.key(record.digest, Some(Arc::new(principal)));
    }

    /// Keeps the token from the settings out of the API keys, also out of those that are declared
    /// from now on.
    ///
    /// # Errors
    /// `exists` when it is one already.
    pub async fn reserve(&self, token: &str) -> Result<(), ControlError> {
        // One that can't be a key needs no keeping out.
        let Ok(digest) = KeyDigest::of_key(token.as_bytes()) else {
            return Ok(());
        };
        let _ = self.reserved.set(digest);
        let found = self.key_of(&digest).await?;
        match found.map(|key| key.value) {
            Some(key) if key.status == KeyStatus::Live => {
                let words = format!(
                    "the admin token is the API key {} of {} too; set another one",
                    key.id, key.scope
                );
                Err(ControlError::conflict("exists", words))
            }
            _ => Ok(()),
        }
    }

    /// Makes or imports a key.
    ///
    /// # Errors
    /// `exists` when the value or the id was a key's before, revoked ones included.
    pub async fn create_key(
        self: &Arc<Self>,
        caller: &Caller,
        scope: &Scope,
        body: NewKey,
        intent: &Intent,
    ) -> Result<Done<NewSecret>, ControlError> {
        let turn = self.turn_by(caller).await?;
        self.check_scope(caller, Verb::Operate, scope)?;
        self.room(Limited::Keys, self.current.keys().len(), 1)?;
        if let Scope::Deployment(name) = scope {
            self.refuse_leaving(name)?;
        }
        let (mut record, secret) = match &body.own {
            None => {
                let drawn = self.draw_key(scope.clone(), caller, body.id)?;
                (drawn.record, Some(drawn.secret))
            }
            Some(own) => {
                let id = body.id.unwrap_or_else(|| own.to_key_id());
                let digest = own.digest();
                if self.is_admin_token(own) {
                    let words = "this value is an admin token, which is never an API key";
                    return Err(ControlError::conflict("exists", words));
                }
                let now = unix_ms();
                let mut record = Key::new(id, digest, scope.clone(), &caller.name, now);
                if let OwnKey::Secret(secret) = own {
                    self.seal(&mut record, secret.expose())?;
                }
                (record, None)
            }
        };
        record.description = body.description;
        record.expires_at_ms = body.expires_at_ms;
        record.may_pin = body.may_pin;
        record.limits = body.limits;
        record.priority = body.priority;
        self.refuse_known(&record).await?;
        if intent.dry_run {
            let key = Stored {
                revision: Revision(0),
                value: record,
            };
            return Ok(self.unchanged(NewSecret { key, secret: None }));
        }
        let mut change = Change::default();
        self.grant(&mut change, &record);
        self.key_happened(
            &mut change,
            caller,
            &record,
            Action::KeyCreate,
            None,
            vec![],
        );
        let done = self.commit(turn, change).await?;
        Ok(Done {
            value: NewSecret {
                key: Stored {
                    revision: done.revision,
                    value: record,
                },
                secret,
            },
            epoch: done.epoch,
        })
    }

    /// A value is one key for good, and so is an id in its scope.
    async fn refuse_known(&self, record: &Key) -> Result<(), ControlError> {
        let by_value = self.store.get(&place::digest(&record.digest)).await?;
        if by_value.is_some() {
            let words = "this value is, or was, a key already; a revoked key never comes back";
            return Err(ControlError::conflict("exists", words));
        }
        let by_id = self.store.get(&record.place()).await?;
        let Some(by_id) = by_id.as_ref().map(decode::<Key>).transpose()? else {
            return Ok(());
        };
        let stands = match by_id.value.status {
            KeyStatus::Live => "is that of another key",
            KeyStatus::Revoked => "was that of a key that is revoked, and never comes back",
        };
        let words = format!("the id {} {stands} of {}", record.id, record.scope);
        Err(ControlError::conflict("exists", words))
    }

    /// Whether this is an admin token, valid or not: the two planes share no secret.
    fn is_admin_token(&self, own: &OwnKey) -> bool {
        let digest = own.digest();
        let is_set = match own {
            OwnKey::Secret(secret) => (self.root)(secret.expose().as_bytes()),
            OwnKey::Digest(digest) => self.reserved.get() == Some(digest),
        };
        is_set || self.state().token_of(&digest).is_some()
    }

    /// The keys of a scope, oldest first.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn keys(
        &self,
        caller: &Caller,
        scope: &Scope,
        page: &Page,
    ) -> Result<Listed<KeyShown>, ControlError> {
        self.check_readable(caller, scope).await?;
        let prefix = place::keys_of(scope);
        let after = page.last()?.map(|after| format!("{prefix}{after}"));
        let records = self
            .store
            .list(&prefix, after.as_deref(), page.limit + 1, Order::Up)
            .await?;
        let more = records.len() > page.limit;
        let mut items = Vec::new();
        for record in records.iter().take(page.limit) {
            items.push(self.show_key(decode(record)?).await?);
        }
        let next = items.last().filter(|_| more);
        Ok(Listed {
            next: next.map(|key| Page::cursor(key.stored.value.id.as_str())),
            items,
        })
    }

    /// A key.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn key(
        &self,
        caller: &Caller,
        scope: &Scope,
        id: &str,
    ) -> Result<KeyShown, ControlError> {
        self.check_readable(caller, scope).await?;
        let stored = self.stored_key(scope, id).await?;
        self.show_key(stored).await
    }

    async fn show_key(&self, stored: Stored<Key>) -> Result<KeyShown, ControlError> {
        let digest = &stored.value.digest;
        let used_at_ms = match self.current.keys().used_at_ms(digest) {
            Some(used) => Some(used),
            None => self.used_before(digest).await?,
        };
        let limits = self.current.keys().limits_of(digest);
        Ok(KeyShown {
            used_at_ms,
            limits: limits.map(|limits| limits.standing(Tick::now(), unix_ms())),
            revealable: self.sealer.is_some() && stored.value.sealed.is_some(),
            stored,
        })
    }

    async fn stored_key(&self, scope: &Scope, id: &str) -> Result<Stored<Key>, ControlError> {
        let unknown = || {
            let is_key = KeyDigest::of_key(id.as_bytes())
                .is_ok_and(|digest| self.current.keys().contains(&digest));
            if is_key || secret::id_within(id).is_some() {
                let is_a_key = secret::IS_A_KEY;
                let words = format!("{is_a_key}, not the public id that a list of keys shows");
                return ControlError::unknown("key_unknown", words);
            }
            let shown: String = id.chars().take(64).collect();
            ControlError::unknown("key_unknown", format!("{scope} has no key {shown:?}"))
        };
        if id.contains('/') || id.len() > 64 {
            return Err(unknown());
        }
        let place = place::key(scope, &KeyId::new(id));
        let record = self.store.get(&place).await?.ok_or_else(unknown)?;
        Ok(decode(&record)?)
    }

    /// Changes what people may change of a key. When this returns, every request that starts later
    /// meets it as it is now.
    ///
    /// # Errors
    /// `first_key`, `key_revoked`.
    pub async fn edit_key(
        self: &Arc<Self>,
        caller: &Caller,
        scope: &Scope,
        id: &str,
        patch: KeyPatch,
        intent: &Intent,
    ) -> Result<Done<KeyShown>, ControlError> {
        let turn = self.turn_by(caller).await?;
        self.check_scope(caller, Verb::Operate, scope)?;
        let mut stored = self.stored_key(scope, id).await?;
        intent.check(stored.revision)?;
        refuse_first(&stored.value, "edited")?;
        if stored.value.status == KeyStatus::Revoked {
            let words = format!("the key {id} is revoked, and stays as it is");
            return Err(ControlError::conflict("key_revoked", words));
        }
        let before = stored.value.clone();
        let key = &mut stored.value;
        if let Some(description) = patch.description {
            key.description = description;
        }
        key.limits = patch.limits.unwrap_or(key.limits);
        key.priority = patch.priority.unwrap_or(key.priority);
        let mut change = Change::default();
        change.put(key.place(), key, Some(stored.revision));
        // A description opens nothing: what is in force stays in force.
        if (key.limits, key.priority) != (before.limits, before.priority) {
            let principal = Principal::new(&key.to_spec());
            change.key(key.digest, Some(Arc::new(principal)));
        }
        let changes = changed::of_key(&before, &stored.value);
        let action = Action::KeyEdit;
        self.key_happened(&mut change, caller, &stored.value, action, None, changes);
        self.commit_key(turn, change, stored, intent).await
    }

    /// Revokes a key for good. When this returns, it admits no request that starts later. A key that
    /// is revoked already stays so.
    ///
    /// # Errors
    /// `first_key`.
    pub async fn revoke_key(
        self: &Arc<Self>,
        caller: &Caller,
        scope: &Scope,
        id: &str,
        body: RevokeBody,
        intent: &Intent,
    ) -> Result<Done<KeyShown>, ControlError> {
        let turn = self.turn_by(caller).await?;
        self.check_scope(caller, Verb::Operate, scope)?;
        let mut stored = self.stored_key(scope, id).await?;
        intent.check(stored.revision)?;
        refuse_first(&stored.value, "revoked")?;
        if stored.value.status == KeyStatus::Revoked {
            return Ok(self.unchanged(self.show_key(stored).await?));
        }
        let key = &mut stored.value;
        key.status = KeyStatus::Revoked;
        key.revoked_at_ms = Some(unix_ms());
        key.revoked_by = Some(caller.name.clone());
        // Nobody needs to read again what opens nothing.
        key.sealed = None;
        let used_at_ms = self.current.keys().used_at_ms(&stored.value.digest);
        let mut change = Change::default();
        change.put(stored.value.place(), &stored.value, Some(stored.revision));
        if let Some(used) = used_at_ms {
            change.write(self.note_used(&stored.value.digest, used));
        }
        change.key(stored.value.digest, None);
        self.key_happened(
            &mut change,
            caller,
            &stored.value,
            Action::KeyRevoke,
            body.reason,
            vec![],
        );
        self.commit_key(turn, change, stored, intent).await
    }

    /// Shows a key again, from its sealed copy. It stands in the history before it is shown.
    ///
    /// # Errors
    /// `reveal_off`, `not_sealed`, `key_revoked`.
    pub async fn reveal_key(
        self: &Arc<Self>,
        caller: &Caller,
        scope: &Scope,
        id: &str,
    ) -> Result<Done<String>, ControlError> {
        let turn = self.turn_by(caller).await?;
        self.check_scope(caller, Verb::Own, scope)?;
        let key = self.stored_key(scope, id).await?.value;
        let Some(sealer) = &self.sealer else {
            let words = "keys are shown once here: keys.reveal is off in the settings";
            return Err(ControlError::conflict("reveal_off", words));
        };
        if key.status == KeyStatus::Revoked {
            let words = format!("the key {id} is revoked, and its copy is gone");
            return Err(ControlError::conflict("key_revoked", words));
        }
        let sealed = key.sealed.as_deref().ok_or_else(|| {
            let words = format!("there is no sealed copy of the key {id}: it was made without one");
            ControlError::conflict("not_sealed", words)
        })?;
        let secret = sealer
            .open(&key.digest, sealed)
            .map_err(|error| ControlError::conflict("not_sealed", error.to_string()))?;
        let mut change = Change::default();
        self.key_happened(&mut change, caller, &key, Action::KeyReveal, None, vec![]);
        let done = self.commit(turn, change).await?;
        Ok(Done {
            value: secret,
            epoch: done.epoch,
        })
    }

    async fn commit_key(
        self: &Arc<Self>,
        turn: Turn,
        change: Change,
        key: Stored<Key>,
        intent: &Intent,
    ) -> Result<Done<KeyShown>, ControlError> {
        let (before, value) = (Some(key.revision), key.value);
        let done = self.commit_record(turn, change, before, value, intent);
        let Done { value, epoch } = done.await?;
        let value = self.show_key(value).await?;
        Ok(Done { value, epoch })
    }

    fn key_happened(
        &self,
        change: &mut Change,
        caller: &Caller,
        key: &Key,
        action: Action,
        reason: Option<String>,
        changes: Vec<FieldChange>,
    ) {
        let Scope::Deployment(name) = &key.scope else {
            // A key of a project or of the instance has no deployment's history to stand in.
            let verb = action.as_str().trim_start_matches("key-");
            let mut deed = Deed::new(&caller.name, verb, "key", key.id.as_str());
            if let Scope::Project(project) = &key.scope {
                deed.project = Some(project.clone());
            }
            deed.reason = reason;
            deed.changes = changes;
            change.done(deed);
            return;
        };
        let title = match self.state().deployment(name) {
            Some(held) => held.record.display_name.clone(),
            None => name.deployment().to_owned(),
        };
        let mut happening = Happening::new(name, action, &caller.name, title, unix_ms());
        happening.key = Some(key.id.to_string());
        happening.reason = reason;
        happening.changes = changes;
        change.happened(happening);
    }

    /// Whether the caller may do this to the keys of a scope, and whether there is such a scope.
    fn check_scope(&self, caller: &Caller, verb: Verb, scope: &Scope) -> Result<(), ControlError> {
        let state = self.state();
        allow(caller, verb, scope, &state)?;
        match scope {
            Scope::Instance => Ok(()),
            Scope::Project(project) => needs_project(&state, project.as_str()),
            Scope::Deployment(name) => match state.deployment(name) {
                Some(_) => Ok(()),
                None => Err(super::deployments::unknown(&state, name)),
            },
        }
    }

    /// A deployment that is going has had its keys revoked: one that came now would outlive it.
    fn refuse_leaving(&self, name: &DeploymentName) -> Result<(), ControlError> {
        let state = self.state();
        let held = state.deployment(name);
        match held.is_some_and(|held| held.record.state == DeploymentState::Deleting) {
            true => Err(ControlError::conflict(
                "deleting",
                format!("{name} is being deleted"),
            )),
            false => Ok(()),
        }
    }

    /// Keys of a deleted deployment stay readable: they show who had access until when.
    async fn check_readable(&self, caller: &Caller, scope: &Scope) -> Result<(), ControlError> {
        match scope {
            Scope::Deployment(name) => {
                allow(caller, Verb::Read, scope, &self.state())?;
                self.readable(caller, name).await
            }
            Scope::Instance | Scope::Project(_) => self.check_scope(caller, Verb::Read, scope),
        }
    }
}

pub(super) fn allow(
    caller: &Caller,
    verb: Verb,
    scope: &Scope,
    state: &State,
) -> Result<(), ControlError> {
    match scope {
        // Keys that open everything are ordered by those who order everything.
        Scope::Instance => caller.may(Verb::Rule, Object::Instance, state),
        Scope::Project(project) => {
            // A project has no owner: whoever governs it stands for one.
            let verb = if verb == Verb::Own {
                Verb::Govern
            } else {
                verb
            };
            caller.may(verb, Object::Project(project.as_str()), state)
        }
        Scope::Deployment(name) => caller.may(verb, Object::Deployment(name), state),
    }
}

fn refuse_first(key: &Key, what: &str) -> Result<(), ControlError> {
    if key.first {
        let words = format!(
            "the First Key came with its deployment and can't be {what}; make another key, which can"
        );
        return Err(ControlError::conflict("first_key", words));
    }
    Ok(())
}
