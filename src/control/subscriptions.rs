//! Subscriptions: who is told what happens in a project.

use std::sync::Arc;

use super::{
    access::{Caller, Object, Verb},
    deployments::needs_project,
    error::ControlError,
    limits::Limited,
    list::{Listed, Page},
    plane::{Change, Control, Done, Intent, Turn},
    record::{Deed, Stored},
};
use crate::{
    base::{async_id::AsyncId, clock::unix_ms, id::Revision, name::Name},
    hook::DeliveryState,
    notify::{Delivery, Message, Subscription, deliver, deliveries, delivery_prefix, withdraw},
    spec::{
        EventName,
        body::{NewSubscription, SubscriptionPatch},
    },
    store::{If, Write},
};

impl Control {
    /// The subscriptions of a project, oldest first.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn subscriptions(
        &self,
        caller: &Caller,
        project: &Name,
        page: &Page,
    ) -> Result<Listed<Stored<Subscription>>, ControlError> {
        self.permit_subscriptions(caller, project)?;
        let state = self.state();
        let all = state.subscriptions_of(project.as_str());
        let listed = page.cut(all, |subscription| &subscription.value.id)?;
        Ok(listed.map(|subscription| Stored::clone(subscription)))
    }

    /// A subscription.
    ///
    /// # Errors
    /// `subscription_unknown`.
    pub fn subscription(
        &self,
        caller: &Caller,
        project: &Name,
        id: &str,
    ) -> Result<Stored<Subscription>, ControlError> {
        self.permit_subscriptions(caller, project)?;
        let state = self.state();
        let found = state.subscription(project.as_str(), id);
        found
            .map(|subscription| Stored::clone(subscription))
            .ok_or_else(|| {
                let shown: String = id.chars().take(64).collect();
                let words = format!("the project {project} has no subscription {shown:?}");
                ControlError::unknown("subscription_unknown", words)
            })
    }

    /// Whether the caller may order the subscriptions of a project, and whether there is one.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn permit_subscriptions(
        &self,
        caller: &Caller,
        project: &Name,
    ) -> Result<(), ControlError> {
        let state = self.state();
        caller.may(Verb::Operate, Object::Project(project.as_str()), &state)?;
        needs_project(&state, project.as_str())
    }

    /// Makes a subscription. That its target may be told has been checked.
    ///
    /// # Errors
    /// `limit_reached`.
    pub async fn create_subscription(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Name,
        body: NewSubscription,
        intent: &Intent,
    ) -> Result<Done<Stored<Subscription>>, ControlError> {
        let turn = self.turn_by(caller).await?;
        self.permit_subscriptions(caller, project)?;
        let there = self.state().subscriptions_of(project.as_str()).count();
        self.room(Limited::Subscriptions, there, 1)?;
        let subscription = Subscription {
            id: self.draw_id()?,
            project: project.clone(),
            name: body.name,
            events: body.events,
            deployments: body.deployments,
            target: body.target,
            paused: body.paused,
            generation: 0,
            created_at_ms: unix_ms(),
            created_by: caller.name.clone(),
        };
        self.put_subscription(turn, caller, subscription, None, "create", intent)
            .await
    }

    /// Changes a subscription. What waits to be delivered goes to where it says then.
    ///
    /// # Errors
    /// `subscription_unknown`.
    pub async fn edit_subscription(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Name,
        id: &str,
        patch: SubscriptionPatch,
        intent: &Intent,
    ) -> Result<Done<Stored<Subscription>>, ControlError> {
        let turn = self.turn_by(caller).await?;
        let stored = self.subscription(caller, project, id)?;
        intent.check(stored.revision)?;
        let mut new = stored.value.clone();
        new.name = patch.name.unwrap_or(new.name);
        new.events = patch.events.unwrap_or(new.events);
        new.deployments = patch.deployments.unwrap_or(new.deployments);
        new.target = patch.target.unwrap_or(new.target);
        new.paused = patch.paused.unwrap_or(new.paused);
        if new == stored.value {
            return Ok(self.unchanged(stored));
        }
        self.put_subscription(turn, caller, new, Some(stored.revision), "edit", intent)
            .await
    }

    /// Replaces the secret that a subscription's messages are signed with.
    ///
    /// # Errors
    /// `subscription_unknown`.
    pub async fn rotate_subscription(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Name,
        id: &str,
        intent: &Intent,
    ) -> Result<Done<Stored<Subscription>>, ControlError> {
        let turn = self.turn_by(caller).await?;
        let stored = self.subscription(caller, project, id)?;
        intent.check(stored.revision)?;
        let mut new = stored.value;
        new.generation = new.generation.wrapping_add(1);
        self.put_subscription(turn, caller, new, Some(stored.revision), "rotate", intent)
            .await
    }

    async fn put_subscription(
        self: &Arc<Self>,
        turn: Turn,
        caller: &Caller,
        subscription: Subscription,
        before: Option<Revision>,
        action: &str,
        intent: &Intent,
    ) -> Result<Done<Stored<Subscription>>, ControlError> {
        let mut change = Change::default();
        change.put(subscription.place(), &subscription, before);
        let value = subscription.clone();
        change.edit(move |state, revision| state.put_subscription(Stored { revision, value }));
        change.done(deed(caller, action, &subscription));
        self.commit_record(turn, change, before, subscription, intent)
            .await
    }

    /// Deletes a subscription with its deliveries: what waits is told to nobody.
    ///
    /// # Errors
    /// `subscription_unknown`.
    pub async fn delete_subscription(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Name,
        id: &str,
        intent: &Intent,
    ) -> Result<Done<()>, ControlError> {
        let turn = self.turn_by(caller).await?;
        let stored = self.subscription(caller, project, id)?;
        intent.check(stored.revision)?;
        if intent.dry_run {
            return Ok(self.unchanged(()));
        }
        let mut change = Change::default();
        change.done(deed(caller, "delete", &stored.value));
        self.prepare_unsubscribing(&mut change, stored).await?;
        let done = self.commit(turn, change).await?;
        Ok(Done {
            value: (),
            epoch: done.epoch,
        })
    }

    /// Takes a subscription away in a change.
    async fn prepare_unsubscribing(
        &self,
        change: &mut Change,
        stored: Stored<Subscription>,
    ) -> Result<(), ControlError> {
        let subscription = stored.value;
        change.write(Write::Delete {
            key: subscription.place(),
            condition: If::Revision(stored.revision),
        });
        self.each(&delivery_prefix(&subscription.id), |record| {
            for write in withdraw(record) {
                change.write(write);
            }
            Ok(())
        })
        .await?;
        change.edit(move |state, _| state.remove_subscription(&subscription));
        Ok(())
    }

    /// Takes all subscriptions of a project away in a change.
    pub(super) async fn prepare_unsubscribing_all(
        &self,
        change: &mut Change,
        project: &str,
    ) -> Result<(), ControlError> {
        let all: Vec<_> = {
            let state = self.state();
            let all = state.subscriptions_of(project);
            all.map(|subscription| Stored::clone(subscription))
                .collect()
        };
        for stored in all {
            self.prepare_unsubscribing(change, stored).await?;
        }
        Ok(())
    }

    /// Has a subscription deliver a message that says that nothing happened, also when it is
    /// paused: then it waits.
    ///
    /// # Errors
    /// `subscription_unknown`.
    pub async fn test_subscription(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Name,
        id: &str,
        intent: &Intent,
    ) -> Result<Done<Delivery>, ControlError> {
        let turn = self.turn_by(caller).await?;
        let subscription = self.subscription(caller, project, id)?.value;
        let message = Message::new(EventName::Test, project, &caller.name, unix_ms());
        let id = self.draw_delivery(&mut None)?;
        let value = Delivery {
            id,
            event: message.event,
            deployment: None,
            state: DeliveryState::Pending,
            created_at_ms: message.at_ms,
            attempts: Vec::new(),
            next_attempt_at_ms: Some(message.at_ms),
        };
        if intent.dry_run {
            return Ok(self.unchanged(value));
        }
        let mut change = Change::default();
        for write in deliver(&subscription, id, &message) {
            change.write(write);
        }
        let epoch = self.commit(turn, change).await?.epoch;
        Ok(Done { value, epoch })
    }

    /// How the deliveries of a subscription went, newest first.
    ///
    /// # Errors
    /// `subscription_unknown`.
    pub async fn subscription_deliveries(
        &self,
        caller: &Caller,
        project: &Name,
        id: &str,
        page: &Page,
    ) -> Result<Listed<Delivery>, ControlError> {
        let of = self.subscription(caller, project, id)?.value.id;
        let before = page.last()?;
        if before.is_some_and(|before| AsyncId::parse(before).is_none()) {
            return Err(Page::bad_cursor());
        }
        let mut items = deliveries(&*self.store, &of, before, page.limit + 1).await?;
        let more = items.len() > page.limit;
        items.truncate(page.limit);
        let next = items.last().filter(|_| more);
        Ok(Listed {
            next: next.map(|last| Page::cursor(&last.id.to_string())),
            items,
        })
    }
}

fn deed(caller: &Caller, action: &str, subscription: &Subscription) -> Deed {
    let mut deed = Deed::new(&caller.name, action, "subscription", &subscription.id);
    deed.project = Some(subscription.project.clone());
    deed
}
