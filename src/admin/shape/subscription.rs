//! Subscriptions and their deliveries, as shown.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DeliveryAttempt, Time};
use crate::{hook::DeliveryState, notify, spec};

/// Somebody who is told what happens in a project.
#[derive(Serialize, ToSchema)]
pub struct Subscription {
    /// Its id. Ids of later ones are greater.
    pub id: String,
    /// The project.
    pub project: String,
    /// Free text.
    pub name: String,
    /// Of what it tells; of everything when empty.
    #[schema(example = json!(["version.failed", "pool.down"]))]
    pub events: Vec<&'static str>,
    /// Of which deployments; of the whole project when empty.
    pub deployments: Vec<String>,
    /// Where.
    pub target: Target,
    /// Whether it tells nothing for now.
    pub paused: bool,
    /// When it was made.
    pub created_at: Time,
    /// By whom.
    pub created_by: String,
    /// What its webhook's messages are signed with; null for mail, and in a dry run that makes one.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw2dFYcjVVyWA=")]
    pub secret: Option<String>,
}

/// Where messages go.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Target {
    /// To a receiver over HTTP, signed after Standard Webhooks.
    Webhook {
        /// An `http` or `https` URL that the settings allow. 2,048 bytes at most.
        #[schema(
            max_length = 2048,
            pattern = r"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?([/?][!-~]*)?$",
            example = "https://hooks.example/weir"
        )]
        url: String,
    },
    /// To people, by mail.
    Email {
        /// Their addresses, each once.
        #[schema(min_items = 1, max_items = 16, example = json!(["team@example.org"]))]
        to: Vec<String>,
    },
}

/// How one message of a subscription goes.
#[derive(Serialize, ToSchema)]
pub struct SubscriptionDelivery {
    /// Its id: `webhook-id` in every try, and in a mail's `Message-ID`.
    pub id: String,
    /// Of what it tells.
    #[schema(example = "version.ready")]
    pub event: &'static str,
    /// Of which deployment; null when it concerns the project itself.
    pub deployment: Option<String>,
    /// `pending`, `delivered` or `failed`.
    #[schema(example = "delivered")]
    pub state: &'static str,
    /// When what it tells of happened.
    pub created_at: Time,
    /// Each try, oldest first.
    pub attempts: Vec<DeliveryAttempt>,
    /// When the next try is due.
    pub next_attempt_at: Option<Time>,
}

// === impl Subscription ===

impl Subscription {
    /// Shapes one, with its secret where that may be seen.
    pub fn new(subscription: notify::Subscription, secret: Option<String>) -> Self {
        let events = subscription.events.iter();
        let deployments = subscription.deployments.iter();
        Self {
            events: events.map(|event| event.as_str()).collect(),
            deployments: deployments.map(ToString::to_string).collect(),
            id: subscription.id,
            project: subscription.project.to_string(),
            name: subscription.name,
            target: subscription.target.into(),
            paused: subscription.paused,
            created_at: Time(subscription.created_at_ms),
            created_by: subscription.created_by,
            secret,
        }
    }
}

// === impl Target ===

impl From<spec::Target> for Target {
    fn from(target: spec::Target) -> Self {
        match target {
            spec::Target::Webhook { url } => Self::Webhook { url },
            spec::Target::Email { to } => Self::Email { to },
        }
    }
}

// === impl SubscriptionDelivery ===

impl From<notify::Delivery> for SubscriptionDelivery {
    fn from(delivery: notify::Delivery) -> Self {
        let attempts = delivery.attempts.into_iter();
        Self {
            id: delivery.id.to_string(),
            event: delivery.event.as_str(),
            deployment: delivery.deployment.map(|name| name.to_string()),
            state: match delivery.state {
                DeliveryState::Pending => "pending",
                DeliveryState::Delivered => "delivered",
                DeliveryState::Failed => "failed",
            },
            created_at: Time(delivery.created_at_ms),
            attempts: attempts
                .map(|attempt| DeliveryAttempt {
                    at: Time(attempt.at_ms),
                    status: attempt.status,
                    error: attempt.error,
                    ms: attempt.ms,
                })
                .collect(),
            next_attempt_at: delivery.next_attempt_at_ms.map(Time),
        }
    }
}
