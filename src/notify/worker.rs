//! Takes turns as they become due: a delivery is read, told, and what came of it written down.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;

use super::{
    Mailer, Message, SUBSCRIPTIONS, Subscription,
    delivery::{DUE, Kept, delivery_prefix, key_of, subscription_of, withdraw},
};
use crate::{
    base::{async_id::AsyncId, clock},
    hook::{
        Attempt, DARK_MIN, DeliveryState, Sender, Signer, TlsError, Turn, Turns, Verdict,
        connector, drop_turn, pause_ms, take_all, write_down,
    },
    net::guard::AddressGuard,
    spec::Target,
    store::{CommitError, Order, Records, StoreError},
    telemetry::{series, table},
};

/// After how long a turn of a subscription that is paused is looked at again.
const PAUSED_MS: u64 = 60_000;
/// Deliveries of one subscription that wait; when there are more, the oldest are given up.
const PENDING_MAX: usize = 10_000;
/// Records that are read, or removed, at once.
const BATCH: usize = 1_000;

/// How notifications are delivered.
#[derive(Debug, Clone)]
pub struct NotifyOptions {
    /// For one attempt at a webhook, in milliseconds.
    pub timeout_ms: u64,
    /// Attempts under way at once.
    pub concurrency: usize,
    /// Of these, at one host and port.
    pub per_host: usize,
    /// The pauses between attempts, in milliseconds. One attempt more than there are pauses.
    pub pauses_ms: Vec<u64>,
    /// Certificates in PEM that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// What is put in front of the addresses in messages: `http://host:port` of the admin plane.
    pub base: String,
    /// Deliveries of a subscription that are kept after their end.
    pub deliveries_kept: usize,
}

/// Delivers notifications.
pub struct Notifier {
    store: Arc<dyn Records>,
    options: NotifyOptions,
    pending: AtomicI64,
    touched: Mutex<Touched>,
    sender: Sender,
    signer: Arc<Signer>,
    /// None where no relay is set.
    mailer: Option<Mailer>,
}

/// The subscriptions that had a turn since they were last trimmed, each with the kind of its target;
/// none: nobody knows.
type Touched = Option<HashMap<String, &'static str>>;

// === impl Notifier ===

impl Notifier {
    /// Reads the certificates that are trusted. `guard` is one [`AddressGuard::for_webhooks`].
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn new(
        store: Arc<dyn Records>,
        guard: Arc<AddressGuard>,
        signer: Arc<Signer>,
        mailer: Option<Mailer>,
        options: NotifyOptions,
    ) -> Result<Self, TlsError> {
        let sender = Sender {
            guard,
            tls: connector(options.ca_file.as_deref())?,
            timeout: Duration::from_millis(options.timeout_ms),
        };
        Ok(Self {
            store,
            options,
            pending: AtomicI64::new(0),
            touched: Mutex::new(None),
            sender,
            signer,
            mailer,
        })
    }

    /// Delivers, for ever. What is committed is heard of by itself.
    ///
    /// # Cancellation
    /// Breaks off the attempts under way; they are repeated by whoever runs next.
    pub async fn run(&self) {
        take_all(self).await;
    }

    /// Sets the gauge. It is forgotten unless this is called now and then.
    pub fn refresh(&self) {
        let pending = self.pending.load(Relaxed).max(0);
        series::gauge(&table::NOTIFICATIONS_PENDING, &[]).set(pending as f64);
    }

    async fn try_take(&self, turn: &Turn) -> Result<(), StoreError> {
        let id = turn.id;
        let Some(of) = subscription_of(&turn.record.key) else {
            return drop_turn(&*self.store, turn).await;
        };
        let Some(record) = self.store.get(&key_of(of, id)).await? else {
            return drop_turn(&*self.store, turn).await;
        };
        let kept = match Kept::read(&record) {
            Ok(kept) => kept,
            Err(error) => {
                // Nobody else writes these; without its turn, it stays for whoever looks into it.
                tracing::error!(%id, %error, "a notification can't be read");
                return drop_turn(&*self.store, turn).await;
            }
        };
        if kept.state != DeliveryState::Pending || kept.turn(id) != turn.record.key {
            return drop_turn(&*self.store, turn).await;
        }
        let Some(subscription) = self.subscription(&kept).await? else {
            // Nobody is to be told any more.
            let writes = withdraw(&record);
            write_down(&*self.store, id, writes).await;
            return Ok(());
        };
        let site = subscription.site();
        if subscription.paused {
            let after = kept.later(clock::unix_ms() + PAUSED_MS, site);
            let writes = kept.step(id, record.revision, &after);
            write_down(&*self.store, id, writes).await;
            return Ok(());
        }
        let made = kept.attempts.len() + 1;
        let pause_ms = pause_ms(&self.options.pauses_ms, made, id);
        let told = self.attempt(id, &subscription, &kept.message, pause_ms);
        let (attempt, verdict) = told.await;
        let (kind, result) = (subscription.target.kind(), verdict.as_str());
        tracing::debug!(%id, kind, result, status = ?attempt.status, error = attempt.error, "notification");
        let after = kept.after(attempt, verdict, site);
        let writes = kept.step(id, record.revision, &after);
        write_down(&*self.store, id, writes).await;
        series::count(&table::NOTIFICATIONS, &[kind, result], 1);
        if let Some(touched) = &mut *self.touched() {
            touched.insert(subscription.id, kind);
        }
        Ok(())
    }

    async fn attempt(
        &self,
        id: AsyncId,
        subscription: &Subscription,
        message: &Message,
        pause_ms: Option<u64>,
    ) -> (Attempt, Verdict) {
        let base = &self.options.base;
        match (&subscription.target, &self.mailer) {
            (Target::Webhook { url }, _) => {
                let of = Subscription::signed_as(&subscription.id);
                let secret = self.signer.secret(&of, 0, subscription.generation);
                let told = self.sender.tell(url, &secret, id, message.body(base));
                let (attempt, status) = told.await;
                let verdict = Verdict::of(status, pause_ms, clock::unix_ms());
                (attempt, verdict)
            }
            (Target::Email { to }, Some(mailer)) => {
                mailer.tell(to, id, message, base, pause_ms).await
            }
            (Target::Email { .. }, None) => {
                let (at_ms, began) = (clock::unix_ms(), Instant::now());
                let attempt = Attempt {
                    at_ms,
                    status: None,
                    error: Some("e-mail is off: smtp.host is not set".to_owned()),
                    ms: began.elapsed().as_millis() as u64,
                };
                (attempt, Verdict::of(None, pause_ms, at_ms))
            }
        }
    }

    fn touched(&self) -> MutexGuard<'_, Touched> {
        // A name that is missing is trimmed a little later.
        self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every subscription, with the kind of its target.
    async fn all(&self) -> Result<HashMap<String, &'static str>, StoreError> {
        let mut all = HashMap::new();
        let mut after: Option<String> = None;
        loop {
            let rows = self
                .store
                .list(SUBSCRIPTIONS, after.as_deref(), BATCH, Order::Up)
                .await?;
            for record in &rows {
                if let Ok(read) = serde_json::from_slice::<Subscription>(&record.value) {
                    all.insert(read.id, read.target.kind());
                }
            }
            match rows.last() {
                Some(last) if rows.len() == BATCH => after = Some(last.key.clone()),
                _ => return Ok(all),
            }
        }
    }

    async fn subscription(&self, kept: &Kept) -> Result<Option<Subscription>, StoreError> {
        let place = Subscription::place_of(kept.project.as_str(), &kept.subscription);
        let Some(record) = self.store.get(&place).await? else {
            return Ok(None);
        };
        let read = serde_json::from_slice(&record.value);
        let read = read.map_err(|error| StoreError::Unavailable(format!("{place}: {error}")))?;
        Ok(Some(read))
    }

    /// Removes what of a subscription's deliveries is beyond the newest that are kept: those that
    /// have ended, and of those that wait what is beyond their own limit.
    async fn trim(&self, subscription: &str, kind: &str) -> Result<(), StoreError> {
        let prefix = delivery_prefix(subscription);
        let (mut seen, mut pending) = (0, 0);
        let mut before: Option<String> = None;
        loop {
            let rows = self
                .store
                .list(&prefix, before.as_deref(), BATCH, Order::Down)
                .await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            before = Some(last.key.clone());
            let mut writes = Vec::new();
            for record in &rows {
                seen += 1;
                let kept = Kept::read(record).ok();
                let waits = kept.is_some_and(|kept| kept.state == DeliveryState::Pending);
                pending += usize::from(waits);
                match waits {
                    true if pending <= PENDING_MAX => {}
                    true => {
                        writes.extend(withdraw(record));
                        series::count(&table::NOTIFICATIONS, &[kind, "dropped"], 1);
                    }
                    false if seen > self.options.deliveries_kept => {
                        writes.extend(withdraw(record));
                    }
                    false => {}
                }
            }
            if !writes.is_empty() {
                match self.store.commit(writes).await {
                    // One that moved meanwhile is looked at again next time.
                    Ok(_) | Err(CommitError::Conflict { .. }) => {}
                    Err(CommitError::Store(error)) => return Err(error),
                }
            }
            if rows.len() < BATCH {
                return Ok(());
            }
        }
    }
}

#[async_trait]
impl Turns for Notifier {
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
            tracing::warn!(id = %turn.id, %error, "cannot read a notification");
            tokio::time::sleep(DARK_MIN).await;
        }
    }

    async fn tidy(&self, _: u64) -> Result<(), StoreError> {
        let touched = self.touched().replace(HashMap::new());
        let trimmed = async {
            let touched = match touched {
                Some(touched) => touched,
                None => self.all().await?,
            };
            for (subscription, kind) in touched {
                self.trim(&subscription, kind).await?;
            }
            Ok(())
        };
        let trimmed = trimmed.await;
        if trimmed.is_err() {
            *self.touched() = None;
        }
        trimmed
    }
}
