//! Notifications: whoever subscribes to a project hears when something is ready or wrong.
//!
//! ```text
//! control: what happened ──▶ message ──matches──▶ subscriptions
//!                                                     │ in the commit that makes it so
//!                         ┌─ again: later, jittered ──┤
//!                         ▼                           ▼
//!                  its turn (due) ──▶ webhook, signed │ mail, through the relay
//!                                                     │ heard, unwanted, or the last attempt
//!                                                     ▼
//!                                     log: the newest of each subscription
//! ```
//!
//! A delivery is written in the commit of what it tells of, so there is one for each or none. Each
//! step of it is one commit, fenced by its revision: whatever is killed, one turn is left. A
//! repetition carries the same id, as `webhook-id` or in `Message-ID`.

mod delivery;
mod mail;
mod message;
mod subscription;
#[cfg(test)]
mod tests;
mod worker;

pub use delivery::{Delivery, deliver, deliveries, delivery_prefix, withdraw};
pub use mail::{MailError, MailOptions, MailTls, Mailer};
pub use message::Message;
pub use subscription::{SUBSCRIPTIONS, Subscription};
pub use worker::{Notifier, NotifyOptions};
