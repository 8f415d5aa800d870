//! The outbox: what a change tells subscribers is written in the same commit, so that each is told
//! of what is in force, once, and of nothing else.
//!
//! ```text
//! Happening, Deed ──▶ Message ──wants──▶ a delivery for each subscription ──▶ the change's writes
//! ```

use super::{
    error::ControlError,
    plane::{Change, Control},
    record::{Action, Deed, Happening},
    state::State,
};
use crate::{
    base::{
        async_id::{AsyncId, Position},
        name::Name,
    },
    notify::{Message, deliver},
    spec::EventName,
    store::Write,
};

impl Control {
    /// What has to be written beside a change so that subscribers are told of it.
    pub(super) fn outbox(&self, change: &Change) -> Result<Vec<Write>, ControlError> {
        let mut writes = Vec::new();
        let state = self.state();
        if !state.has_subscriptions() {
            return Ok(writes);
        }
        let happenings = change.happenings().iter();
        let happened = happenings.filter_map(|happening| of_happening(happening, &state));
        let done = change.deeds().iter().filter_map(of_deed);
        let mut position = None;
        for message in happened.chain(done).chain(change.news().iter().cloned()) {
            for subscription in state.subscriptions_of(message.project.as_str()) {
                if subscription.value.wants(&message) {
                    let id = self.draw_delivery(&mut position)?;
                    writes.extend(deliver(&subscription.value, id, &message));
                }
            }
        }
        Ok(writes)
    }

    /// The id of a delivery; those of one change follow each other.
    pub(super) fn draw_delivery(
        &self,
        position: &mut Option<Position>,
    ) -> Result<AsyncId, ControlError> {
        let next = match position {
            Some(last) => last.next(0),
            None => Position::at(self.id_ms()),
        };
        *position = Some(next);
        AsyncId::draw(next).map_err(|error| ControlError::Internal(error.to_string()))
    }
}

/// What is told of something that happens to a deployment, if anything is; `state` is how things
/// were before.
fn of_happening(happening: &Happening, state: &State) -> Option<Message> {
    let is_done = happening.status == "success";
    let has_failed = happening.status == "failed";
    let event = match happening.action {
        Action::Create | Action::Deploy | Action::Promote if is_done => {
            // One that is created is queued, mostly; a file that takes over what is live already
            // makes nothing ready.
            let held = state.deployment(&happening.deployment);
            let live = held.and_then(|held| held.live_number());
            (happening.version.is_some() && live != happening.version)
                .then_some(EventName::VersionReady)?
        }
        Action::Restart if is_done => EventName::VersionReady,
        Action::Rollback if is_done => EventName::RolledBack,
        Action::Deploy | Action::Promote | Action::Restart | Action::Rollback if has_failed => {
            EventName::VersionFailed
        }
        Action::KeyRevoke => EventName::KeyRevoked,
        Action::PoolDown => EventName::PoolDown,
        Action::PoolUp => EventName::PoolUp,
        Action::ChallengerStop => EventName::ChallengerStopped,
        _ => return None,
    };
    let name = &happening.deployment;
    // A half of a parsed name is a name.
    let project = Name::parse(name.project()).ok()?;
    let mut message = Message::new(event, &project, &happening.by, happening.at_ms);
    message.deployment = Name::parse(name.deployment()).ok();
    message.version = happening.version;
    message.version_name = happening.version.map(|_| happening.name.clone());
    message.reason.clone_from(&happening.reason);
    message.key.clone_from(&happening.key);
    message.task.clone_from(&happening.task);
    Some(message)
}

/// What is told of a deed, if anything is: that a project's key is revoked.
fn of_deed(deed: &Deed) -> Option<Message> {
    let project = deed.project.as_ref()?;
    if (&*deed.kind, &*deed.action) != ("key", "revoke") {
        return None;
    }
    let mut message = Message::new(EventName::KeyRevoked, project, &deed.by, deed.at_ms);
    message.key = Some(deed.name.clone());
    message.reason.clone_from(&deed.reason);
    Some(message)
}
