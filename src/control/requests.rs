//! Async requests, as far as they are control's business: whether a deployment begins any, who is
//! told of their ends, and what its history says of what operators did to them. The requests
//! themselves are the queue's.

use std::sync::Arc;

use super::{
    access::{Caller, Object, Verb},
    deployments::Shown,
    error::ControlError,
    plane::{Change, Control, Done, Intent},
    record::{Action, Happening, Key, decode, place},
    state::Held,
};
use crate::{
    base::{
        async_id::AsyncId,
        clock::unix_ms,
        id::{Epoch, KeyId, Revision},
        name::{DeploymentName, Name},
        secret::KeyDigest,
    },
    spec::Scope,
};

/// Who is told of the ends of a deployment's async requests, and with which secret that is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The commit of the deployment that says so.
    pub revision: Revision,
    /// Where those are told that do not say so themselves.
    pub url: Option<String>,
    /// Which life of the deployment's name this is.
    pub life: u32,
    /// Which of its secrets is in use.
    pub generation: u32,
    /// Whether the caller may see the secret.
    pub shows_secret: bool,
}

/// What an operator did to async requests.
#[derive(Debug, Clone)]
pub struct QueueDeed {
    /// What.
    pub action: Action,
    /// To which one.
    pub request: Option<AsyncId>,
    /// To how many.
    pub count: Option<u64>,
    /// Why.
    pub reason: Option<String>,
    /// Why it came to nothing, or stopped half-way.
    pub failure: Option<String>,
}

impl Control {
    /// Has no more of a deployment's async requests begun; those under way go on, and new ones are
    /// accepted.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn pause_queue(
        self: &Arc<Self>,
        caller: &Caller,
        name: &DeploymentName,
        reason: Option<String>,
        intent: &Intent,
    ) -> Result<Done<Shown>, ControlError> {
        let edit = |held: &mut Held| held.record.queue_paused = true;
        self.edit_held(caller, name, Action::QueuePause, reason, intent, edit)
            .await
    }

    /// Has a deployment's async requests begun again.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn resume_queue(
        self: &Arc<Self>,
        caller: &Caller,
        name: &DeploymentName,
        reason: Option<String>,
        intent: &Intent,
    ) -> Result<Done<Shown>, ControlError> {
        let edit = |held: &mut Held| held.record.queue_paused = false;
        self.edit_held(caller, name, Action::QueueResume, reason, intent, edit)
            .await
    }

    /// Checks that the caller may work with the async requests of a deployment, and that it is not
    /// deleted.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn permit_queue(&self, caller: &Caller, name: &DeploymentName) -> Result<(), ControlError> {
        self.standing(caller, Verb::Operate, name).map(drop)
    }

    /// Who is told of the ends of a deployment's async requests.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn webhook(&self, caller: &Caller, name: &DeploymentName) -> Result<Webhook, ControlError> {
        let held = self.standing(caller, Verb::Read, name)?;
        Ok(self.show_webhook(caller, name, held.revision, &held.record))
    }

    /// Says who is told of the ends of a deployment's async requests: an address that was checked, or
    /// nobody.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn set_webhook(
        self: &Arc<Self>,
        caller: &Caller,
        name: &DeploymentName,
        url: Option<String>,
        intent: &Intent,
    ) -> Result<Done<Webhook>, ControlError> {
        let edit = |held: &mut Held| held.record.webhook = url;
        let done = self.edit_held(caller, name, Action::WebhookEdit, None, intent, edit);
        Ok(self.webhook_of(caller, name, &done.await?))
    }

    /// Replaces the secret that a deployment's webhooks are signed with.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn rotate_webhook(
        self: &Arc<Self>,
        caller: &Caller,
        name: &DeploymentName,
        reason: Option<String>,
        intent: &Intent,
    ) -> Result<Done<Webhook>, ControlError> {
        let edit = |held: &mut Held| {
            let generation = &mut held.record.webhook_generation;
            *generation = generation.wrapping_add(1);
        };
        let done = self.edit_held(caller, name, Action::WebhookRotate, reason, intent, edit);
        Ok(self.webhook_of(caller, name, &done.await?))
    }

    /// Notes what an operator did to a deployment's async requests; answers the epoch in force. It
    /// has happened by now: when the history can't take it, the log does.
    pub async fn note_queue_deed(
        self: &Arc<Self>,
        caller: &Caller,
        name: &DeploymentName,
        deed: QueueDeed,
    ) -> Epoch {
        let title = match self.state().deployment(name) {
            Some(held) => held.record.display_name.clone(),
            None => name.deployment().to_owned(),
        };
        let mut happening = Happening::new(name, deed.action, &caller.name, title, unix_ms());
        happening.request = deed.request;
        happening.count = deed.count;
        happening.reason = deed.reason;
        if let Some(failure) = deed.failure {
            "failed".clone_into(&mut happening.status);
            happening.reason = Some(failure);
        }
        let noted = async {
            let turn = self.turn_by(caller).await?;
            let mut change = Change::default();
            change.happened(happening.clone());
            self.commit(turn, change).await
        };
        match noted.await {
            Ok(done) => done.epoch,
            Err(error) => {
                tracing::error!(
                    %error,
                    deployment = %name,
                    action = happening.action.as_str(),
                    by = happening.by,
                    token = caller.token,
                    request = happening.request.map(tracing::field::display),
                    count = happening.count,
                    "it was done, and does not stand in the history"
                );
                self.epoch()
            }
        }
    }

    /// The key of this public id among those of a deployment, of its project and of the instance;
    /// also one that is revoked. Who asks may read the deployment.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn key_digest(
        &self,
        name: &DeploymentName,
        id: &KeyId,
    ) -> Result<Option<KeyDigest>, ControlError> {
        let project = Name::parse(name.project()).ok().map(Scope::Project);
        let scopes = [Some(Scope::Deployment(name.clone())), project];
        let scopes = scopes.into_iter().flatten().chain([Scope::Instance]);
        for scope in scopes {
            if let Some(record) = self.store.get(&place::key(&scope, id)).await? {
                return Ok(Some(decode::<Key>(&record)?.value.digest));
            }
        }
        Ok(None)
    }

    async fn edit_held(
        self: &Arc<Self>,
        caller: &Caller,
        name: &DeploymentName,
        action: Action,
        reason: Option<String>,
        intent: &Intent,
        edit: impl FnOnce(&mut Held) + Send,
    ) -> Result<Done<Shown>, ControlError> {
        let turn = self.turn_by(caller).await?;
        let held = self.standing(caller, Verb::Operate, name)?;
        intent.check(held.revision)?;
        let mut new = Held::clone(&held);
        edit(&mut new);
        self.replace(caller, name, &held, new, action, reason, turn, intent)
            .await
    }

    fn webhook_of(
        &self,
        caller: &Caller,
        name: &DeploymentName,
        done: &Done<Shown>,
    ) -> Done<Webhook> {
        let stored = &done.value.stored;
        Done {
            value: self.show_webhook(caller, name, stored.revision, &stored.value),
            epoch: done.epoch,
        }
    }

    fn show_webhook(
        &self,
        caller: &Caller,
        name: &DeploymentName,
        revision: Revision,
        record: &super::record::Deployment,
    ) -> Webhook {
        Webhook {
            revision,
            url: record.webhook.clone(),
            life: record.first_version,
            generation: record.webhook_generation,
            shows_secret: caller.is_allowed(Verb::Own, Object::Deployment(name), &self.state()),
        }
    }
}
