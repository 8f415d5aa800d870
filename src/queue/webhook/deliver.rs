//! One turn: the note is read, its receiver told, and what came of it written down.

use std::{
    sync::{Arc, atomic::AtomicI64},
    time::{Duration, Instant},
};

use http::StatusCode;

use super::{
    note::{Attempt, DeliveryState, Note, Verdict, key_of},
    options::WebhookOptions,
    payload::payload,
};
use crate::{
    base::{async_id::AsyncId, clock},
    hook::{Message, SendError, Sender, Signer, TlsError, WebhookUrl, connector, pause_ms, sign},
    net::guard::AddressGuard,
    queue::Request,
    store::{CommitError, If, Jobs, Record, Records, StoreError, Write},
    telemetry::{series, table},
};

/// From one try to the next to ask a store that is out of service, at first and at most.
pub(super) const DARK_MIN: Duration = Duration::from_secs(1);
pub(super) const DARK_MAX: Duration = Duration::from_secs(30);

type Generation = Box<dyn Fn(&str, u32) -> Option<u32> + Send + Sync>;

/// Tells receivers of the ends of requests.
pub struct Webhooks {
    pub(super) store: Arc<dyn Records>,
    jobs: Arc<dyn Jobs>,
    pub(super) options: WebhookOptions,
    pub(super) pending: AtomicI64,
    sender: Sender,
    signer: Arc<Signer>,
    generation: Generation,
}

/// A turn that is due.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    pub(super) id: AsyncId,
    pub(super) site: String,
    pub(super) record: Record,
}

// === impl Webhooks ===

impl Webhooks {
    /// Reads the certificates that are trusted. `store` and `jobs` are the same store; `guard` is
    /// one [`AddressGuard::for_webhooks`]; `generation` says which of a deployment's signing secrets
    /// is in use in a life of its name, and none when that is over.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn new(
        store: Arc<dyn Records>,
        jobs: Arc<dyn Jobs>,
        guard: Arc<AddressGuard>,
        signer: Arc<Signer>,
        generation: impl Fn(&str, u32) -> Option<u32> + Send + Sync + 'static,
        options: WebhookOptions,
    ) -> Result<Self, TlsError> {
        let sender = Sender {
            guard,
            tls: connector(options.ca_file.as_deref())?,
            timeout: Duration::from_millis(options.timeout_ms),
        };
        Ok(Self {
            store,
            jobs,
            options,
            pending: AtomicI64::new(0),
            sender,
            signer,
            generation: Box::new(generation),
        })
    }

    /// Takes one turn. A store that is out of service leaves it as it was.
    ///
    /// # Cancellation
    /// The receiver may have been told, and will be told again.
    pub(super) async fn take(&self, turn: Turn) {
        if let Err(error) = self.try_take(&turn).await {
            tracing::warn!(id = %turn.id, %error, "cannot read a webhook");
            tokio::time::sleep(DARK_MIN).await;
        }
    }

    async fn try_take(&self, turn: &Turn) -> Result<(), StoreError> {
        let id = turn.id;
        let Some(record) = self.store.get(&key_of(id)).await? else {
            return self.drop_turn(turn).await;
        };
        let note = match Note::read(id, &record.value) {
            Ok(note) => note,
            Err(error) => {
                // Nobody else writes these; without its turn, it stays for whoever looks into it.
                tracing::error!(%id, %error, "a webhook can't be read");
                return self.drop_turn(turn).await;
            }
        };
        if note.state != DeliveryState::Pending || note.turn(id) != turn.record.key {
            return self.drop_turn(turn).await;
        }
        let request = self.jobs.job(id).await?.map(Request::read);
        let request = request.and_then(Result::ok);
        let ended = request.filter(|request| request.status().has_ended());
        let (attempt, status) = self.attempt(id, &note, ended.as_ref()).await;
        let now_ms = clock::unix_ms();
        let verdict = self.judge(id, &note, status, now_ms);
        let told = match verdict {
            Verdict::Delivered => "delivered",
            Verdict::Again(_) => "again",
            Verdict::Failed => "failed",
        };
        tracing::debug!(%id, result = told, ?status, error = attempt.error, "webhook");
        let after = note.after(attempt, verdict, now_ms);
        self.commit(id, note.step(id, record.revision, &after))
            .await;
        series::count(&table::WEBHOOK_DELIVERIES, &[told], 1);
        Ok(())
    }

    async fn attempt(
        &self,
        id: AsyncId,
        note: &Note,
        request: Option<&Request>,
    ) -> (Attempt, Option<StatusCode>) {
        let facts = &note.facts;
        let (at_ms, began) = (clock::unix_ms(), Instant::now());
        let sent = match WebhookUrl::parse(&note.url) {
            Err(error) => Err(SendError::Address(error.to_string())),
            Ok(url) => {
                let in_use = (self.generation)(&facts.deployment, facts.life);
                let generation = in_use.unwrap_or(facts.generation);
                let secret = self
                    .signer
                    .secret(&facts.deployment, facts.life, generation);
                let body = payload(id, facts, request, &self.options.base);
                let (id, at_s) = (id.to_string(), at_ms / 1_000);
                let signature = sign(&secret, &id, at_s, &body);
                let message = Message {
                    id,
                    at_s,
                    signature,
                    body,
                };
                self.sender.send(&url, message).await
            }
        };
        let status = sent.as_ref().ok().copied();
        let error = match sent {
            Err(error) => Some(Attempt::words(&error.to_string())),
            Ok(status) if status.is_redirection() => Some("redirects are not followed".to_owned()),
            Ok(_) => None,
        };
        let attempt = Attempt {
            at_ms,
            status: status.map(|status| status.as_u16()),
            error,
            ms: began.elapsed().as_millis() as u64,
        };
        (attempt, status)
    }

    fn judge(&self, id: AsyncId, note: &Note, status: Option<StatusCode>, now_ms: u64) -> Verdict {
        match status {
            Some(status) if status.is_success() => Verdict::Delivered,
            Some(StatusCode::GONE) => Verdict::Failed,
            _ => match pause_ms(&self.options.pauses_ms, note.attempts.len() + 1, id) {
                Some(pause_ms) => Verdict::Again(now_ms.saturating_add(pause_ms)),
                None => Verdict::Failed,
            },
        }
    }

    /// Writes down what came of an attempt, however long the store is out of service: the receiver
    /// is not told again because of a full disk.
    async fn commit(&self, id: AsyncId, writes: Vec<Write>) {
        let mut pause = DARK_MIN;
        loop {
            match self.store.commit(writes.clone()).await {
                Ok(_) => return,
                // An earlier try was made after all.
                Err(CommitError::Conflict { .. }) => return,
                Err(CommitError::Store(error)) => {
                    tracing::warn!(%id, %error, "cannot write down a webhook's attempt");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(DARK_MAX);
        }
    }

    /// Takes away a turn that stands for nothing.
    async fn drop_turn(&self, turn: &Turn) -> Result<(), StoreError> {
        let write = Write::Delete {
            key: turn.record.key.clone(),
            condition: If::Revision(turn.record.revision),
        };
        match self.store.commit(vec![write]).await {
            Ok(_) | Err(CommitError::Conflict { .. }) => Ok(()),
            Err(CommitError::Store(error)) => Err(error),
        }
    }
}
