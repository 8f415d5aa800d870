//! One turn: the note is read, its receiver told, and what came of it written down.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use http::StatusCode;

use super::{
    note::{DUE, END, Note, forgotten, key_of, read_end},
    options::WebhookOptions,
    payload::payload,
};
use crate::{
    base::{async_id::AsyncId, clock},
    hook::{
        Attempt, DARK_MIN, DeliveryState, Sender, Signer, TlsError, Turn, Turns, Verdict,
        connector, drop_turn, pause_ms, take_all, write_down,
    },
    net::guard::AddressGuard,
    queue::Request,
    store::{CommitError, Jobs, Order, Records, StoreError},
    telemetry::{series, table},
};

/// Notes that are forgotten in one commit.
const BATCH: usize = 1_000;

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

    /// Tells receivers, for ever. What is committed under the notes' keys is heard of by itself.
    ///
    /// # Cancellation
    /// Breaks off the attempts under way; they are repeated by whoever runs next.
    pub async fn run(&self) {
        take_all(self).await;
    }

    /// Sets the gauge. It is forgotten unless this is called now and then.
    pub fn refresh(&self) {
        let pending = self.pending.load(Relaxed).max(0);
        series::gauge(&table::WEBHOOK_PENDING, &[]).set(pending as f64);
    }

    async fn try_take(&self, turn: &Turn) -> Result<(), StoreError> {
        let id = turn.id;
        let Some(record) = self.store.get(&key_of(id)).await? else {
            return drop_turn(&*self.store, turn).await;
        };
        let note = match Note::read(id, &record.value) {
            Ok(note) => note,
            Err(error) => {
                // Nobody else writes these; without its turn, it stays for whoever looks into it.
                tracing::error!(%id, %error, "a webhook can't be read");
                return drop_turn(&*self.store, turn).await;
            }
        };
        if note.state != DeliveryState::Pending || note.turn(id) != turn.record.key {
            return drop_turn(&*self.store, turn).await;
        }
        let request = self.jobs.job(id).await?.map(Request::read);
        let request = request.and_then(Result::ok);
        let ended = request.filter(|request| request.status().has_ended());
        let (attempt, status) = self.attempt(id, &note, ended.as_ref()).await;
        let now_ms = clock::unix_ms();
        let made = note.attempts.len() + 1;
        let pause_ms = pause_ms(&self.options.pauses_ms, made, id);
        let verdict = Verdict::of(status, pause_ms, now_ms);
        let told = verdict.as_str();
        tracing::debug!(%id, result = told, ?status, error = attempt.error, "webhook");
        let after = note.after(attempt, verdict, now_ms);
        write_down(&*self.store, id, note.step(id, record.revision, &after)).await;
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
        let in_use = (self.generation)(&facts.deployment, facts.life);
        let generation = in_use.unwrap_or(facts.generation);
        let secret = self
            .signer
            .secret(&facts.deployment, facts.life, generation);
        let body = payload(id, facts, request, &self.options.base);
        self.sender.tell(&note.url, &secret, id, body).await
    }
}

#[async_trait]
impl Turns for Webhooks {
    fn prefix(&self) -> &'static str {
        DUE
    }

    fn store(&self) -> &Arc<dyn Records> {
        &self.store
    }

    fn limits(&self) -> (usize, usize) {
        (self.options.concurrency, self.options.per_host)
    }

    fn pending(&self) -> &AtomicI64 {
        &self.pending
    }

    async fn take(&self, turn: Turn) {
        if let Err(error) = self.try_take(&turn).await {
            tracing::warn!(id = %turn.id, %error, "cannot read a webhook");
            tokio::time::sleep(DARK_MIN).await;
        }
    }

    /// Forgets what is only kept as a log and whose time is over.
    async fn tidy(&self, now_ms: u64) -> Result<(), StoreError> {
        loop {
            let rows = self.store.list(END, None, BATCH, Order::Up).await?;
            let turns = rows.iter().filter_map(|row| {
                let (end_ms, id) = read_end(&row.key)?;
                (end_ms <= now_ms).then(|| forgotten(id, &row.key))
            });
            let writes: Vec<_> = turns.flatten().collect();
            if writes.is_empty() {
                return Ok(());
            }
            match self.store.commit(writes).await {
                Ok(_) | Err(CommitError::Conflict { .. }) => {}
                Err(CommitError::Store(error)) => return Err(error),
            }
        }
    }
}
