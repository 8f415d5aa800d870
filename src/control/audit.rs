//! Refusals of the admin plane: who was turned away from what. Written by the batch through a bounded
//! door, so that a flood of them costs neither its callers' time nor much of the disk's.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{
    access::{Caller, Object, Verb},
    error::ControlError,
    list::{Listed, Page},
    plane::Control,
    record::{encode, place},
};
use crate::{
    base::task,
    store::Order,
    telemetry::{series, table},
};

/// Refusals that may wait to be written.
pub(super) const WAITING_MAX: usize = 1_024;

/// Refusals between two looks at how many are kept.
const TRIM_EVERY: u64 = 1_000;

/// A call that was turned away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// When.
    pub at_ms: u64,
    /// Who asked, where a valid token was presented.
    pub who: Option<String>,
    /// The request's method.
    pub method: String,
    /// The request's path.
    pub path: String,
    /// The status answered.
    pub status: u16,
    /// The code answered.
    pub code: String,
    /// What the Host header said.
    pub host: Option<String>,
    /// Where the call came from.
    pub peer: Option<String>,
}

impl Control {
    /// Notes that a call was turned away. When too many wait to be written, it is only counted.
    pub fn note_refusal(&self, refusal: Refusal) {
        series::count(&table::ADMIN_REFUSED, &[&refusal.code], 1);
        if self.refusals.try_send(refusal).is_err() {
            series::count(&table::AUDIT_DROPPED, &[], 1);
        }
    }

    /// Refusals, newest first. For org-admins.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn audit(
        &self,
        caller: &Caller,
        page: &Page,
    ) -> Result<Listed<(u64, Refusal)>, ControlError> {
        caller.may(Verb::Rule, Object::Instance, &self.state())?;
        self.journal(place::AUDIT, page).await
    }

    /// Writes refusals until the process ends.
    pub(super) fn keep_audit(self: &Arc<Self>, mut refusals: mpsc::Receiver<Refusal>) {
        let control = Arc::clone(self);
        task::spawn("audit", async move {
            let mut since_trim = TRIM_EVERY;
            let mut batch = Vec::new();
            while refusals.recv_many(&mut batch, WAITING_MAX).await > 0 {
                let entries: Vec<_> = batch.drain(..).map(|refusal| encode(&refusal)).collect();
                since_trim += entries.len() as u64;
                let appended = control.store.append(place::AUDIT, entries).await;
                if let Err(error) = appended {
                    tracing::warn!(%error, "refusals not kept");
                    series::count(&table::AUDIT_DROPPED, &[], 1);
                    continue;
                }
                if since_trim >= TRIM_EVERY {
                    since_trim = 0;
                    let trimmed = control.store.trim(place::AUDIT, control.options.audit_max);
                    if let Err(error) = trimmed.await {
                        tracing::warn!(%error, "old refusals not removed");
                    }
                }
            }
        });
    }

    /// Entries of a topic, newest first.
    pub(super) async fn journal<T: serde::de::DeserializeOwned>(
        &self,
        topic: &str,
        page: &Page,
    ) -> Result<Listed<(u64, T)>, ControlError> {
        let after = page.last()?.and_then(|last| last.parse().ok());
        let entries = self
            .store
            .range(topic, after, page.limit + 1, Order::Down)
            .await?;
        let more = entries.len() > page.limit;
        let mut items = Vec::with_capacity(page.limit.min(entries.len()));
        for entry in entries.into_iter().take(page.limit) {
            let value = serde_json::from_slice(&entry.value).map_err(|error| {
                ControlError::Internal(format!("entry {} of {topic}: {error}", entry.sequence))
            })?;
            items.push((entry.sequence, value));
        }
        let next = match (more, items.last()) {
            (true, Some((sequence, _))) => Some(Page::cursor(&sequence.to_string())),
            _ => None,
        };
        Ok(Listed { items, next })
    }
}
