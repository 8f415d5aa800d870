//! Subscriptions, as kept: `subscription/{project}/{id}`.

use serde::{Deserialize, Serialize};

use super::Message;
use crate::{
    base::name::Name,
    hook::WebhookUrl,
    spec::{EventName, Target},
};

/// Where all of them lie.
pub const SUBSCRIPTIONS: &str = "subscription/";

/// The site of all mail: there is one relay.
const RELAY: &str = "smtp";

/// Somebody who is told what happens in a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Its id. Ids of later ones are greater.
    pub id: String,
    /// The project.
    pub project: Name,
    /// Free text.
    pub name: String,
    /// Of what it tells; of everything when empty.
    pub events: Vec<EventName>,
    /// Of which deployments; of the whole project when empty.
    pub deployments: Vec<Name>,
    /// Where.
    pub target: Target,
    /// Whether it tells nothing for now.
    pub paused: bool,
    /// Which of its signing secrets is in use.
    #[serde(default)]
    pub generation: u32,
    /// When it was made.
    pub created_at_ms: u64,
    /// By whom.
    pub created_by: String,
}

// === impl Subscription ===

impl Subscription {
    /// Where one lies.
    pub fn place_of(project: &str, id: &str) -> String {
        format!("{SUBSCRIPTIONS}{project}/{id}")
    }

    /// Where it lies.
    pub fn place(&self) -> String {
        Self::place_of(self.project.as_str(), &self.id)
    }

    /// What its secret is derived for, in place of a deployment's name: no name has a colon.
    pub fn signed_as(id: &str) -> String {
        format!("subscription:{id}")
    }

    /// Whether it tells of this. What concerns the whole project it tells unless it names
    /// deployments.
    pub fn wants(&self, message: &Message) -> bool {
        let is_named = match &message.deployment {
            Some(deployment) => self.deployments.contains(deployment),
            None => false,
        };
        !self.paused
            && self.project == message.project
            && (self.events.is_empty() || self.events.contains(&message.event))
            && (self.deployments.is_empty() || is_named)
    }

    /// What attempts are counted by.
    pub(super) fn site(&self) -> String {
        match &self.target {
            Target::Webhook { url } => {
                // Whatever can't be read has a site, too: its attempts say what is wrong with it.
                WebhookUrl::parse(url).map_or_else(|_| String::new(), |url| url.site())
            }
            Target::Email { .. } => RELAY.to_owned(),
        }
    }
}
