//! The loop that takes turns as they become due.

use std::{future::Future, pin::Pin, sync::atomic::Ordering::Relaxed, time::Duration};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use tokio::sync::broadcast::error::RecvError;

use super::{
    deliver::{DARK_MAX, DARK_MIN, Turn, Webhooks},
    note::{DUE, END, forgotten, read_turn},
};
use crate::{
    base::{async_id::AsyncId, clock, id::Revision, task},
    hook::Lanes,
    store::{Change, CommitError, Order, StoreError, Watch},
    telemetry::{series, table},
};

/// Turns that are read of a lane at once, beside those under way.
const PAGE: usize = 64;
/// Turns that are read at once to be counted, and notes that are forgotten in one commit.
const BATCH: usize = 1_000;
/// Up to so many turns are counted anew each time, since a count that is taken while turns come and
/// go may be out by a few.
const COUNTED_ANEW: i64 = 10_000;
/// Changes that are noted before something is begun.
const CHANGES_MAX: usize = 1_024;
/// The longest sleep: the wall clock, by which turns are due, may be set.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// From one look for what is to be forgotten, or counted anew, to the next.
const TIDY_EVERY_MS: u64 = 60_000;

/// The attempts under way; each answers whose it was, and of which site.
type UnderWay<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = (AsyncId, String)> + Send + 'a>>>;

struct Loop<'a> {
    webhooks: &'a Webhooks,
    lanes: Lanes,
    under_way: UnderWay<'a>,
    watch: Watch,
    /// Whether the store has to be read again: nothing is known of it, or changes were lost.
    anew: bool,
    tidy_at_ms: u64,
    /// Whether changes were lost since the last count began.
    miscounted: bool,
    count: Option<Count>,
}

/// A count that is under way, page by page, so that it holds nothing up.
struct Count {
    /// The key that it has come to.
    up_to: String,
    /// The latest commit that it has seen.
    seen: Revision,
    pending: i64,
}

// === impl Webhooks ===

impl Webhooks {
    /// Tells receivers, for ever. What is committed under the notes' keys is heard of by itself.
    ///
    /// # Cancellation
    /// Breaks off the attempts under way; they are repeated by whoever runs next.
    pub async fn run(&self) {
        let mut state = Loop {
            webhooks: self,
            lanes: Lanes::new(self.options.concurrency, self.options.per_host),
            under_way: FuturesUnordered::new(),
            watch: self.store.watch(DUE),
            anew: true,
            tidy_at_ms: 0,
            miscounted: true,
            count: None,
        };
        loop {
            let sleep = match state.begin_what_is_due().await {
                Ok(sleep) => sleep,
                Err(error) => {
                    tracing::warn!(%error, "cannot read the webhooks that are due");
                    state.anew = true;
                    DARK_MIN
                }
            };
            state.wait(sleep).await;
        }
    }

    /// Sets the gauge. It is forgotten unless this is called now and then.
    pub fn refresh(&self) {
        let pending = self.pending.load(Relaxed).max(0);
        series::gauge(&table::WEBHOOK_PENDING, &[]).set(pending as f64);
    }

    /// Forgets what is only kept as a log and whose time is over.
    async fn forget(&self, now_ms: u64) -> Result<(), StoreError> {
        loop {
            let rows = self.store.list(END, None, BATCH, Order::Up).await?;
            let turns = rows.iter().filter_map(|row| {
                let (end_ms, id) = read_turn(&row.key)?;
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

// === impl Count ===

impl Count {
    fn new() -> Self {
        Self {
            up_to: DUE.to_owned(),
            seen: Revision(0),
            pending: 0,
        }
    }

    /// Changes what was counted already. Of a turn that went just when its page was read, nobody
    /// can tell whether it was still there.
    fn note(&mut self, change: &Change, delta: i64) {
        if change.key <= self.up_to && change.revision > self.seen {
            self.pending += delta;
        }
    }
}

// === impl Loop ===

impl Loop<'_> {
    /// Begins what can be begun; answers how long there is nothing more to begin.
    async fn begin_what_is_due(&mut self) -> Result<Duration, StoreError> {
        if self.anew {
            self.watch = self.webhooks.store.watch(DUE);
            self.lanes.all_are_due();
            (self.anew, self.miscounted) = (false, true);
        }
        let now_ms = clock::unix_ms();
        if self.tidy_at_ms <= now_ms {
            self.webhooks.forget(now_ms).await?;
            self.tidy_at_ms = now_ms + TIDY_EVERY_MS;
            let pending = self.webhooks.pending.load(Relaxed);
            let is_worth_it = self.miscounted || pending <= COUNTED_ANEW;
            if is_worth_it && self.count.is_none() {
                (self.miscounted, self.count) = (false, Some(Count::new()));
            }
        }
        self.count().await?;
        while let Some(lane) = self.lanes.next(now_ms) {
            self.look(lane, now_ms).await?;
        }
        if self.count.is_some() {
            return Ok(Duration::ZERO);
        }
        let next_ms = self.lanes.first_ms().min(self.tidy_at_ms);
        let sleep = Duration::from_millis(next_ms.saturating_sub(clock::unix_ms()));
        Ok(sleep.min(SLEEP_MAX))
    }

    /// Begins what is due of a lane, and notes when the next of it is.
    async fn look(&mut self, lane: u8, now_ms: u64) -> Result<(), StoreError> {
        let limit = PAGE + self.lanes.under_way();
        let prefix = format!("{DUE}{lane:02x}/");
        let store = &self.webhooks.store;
        let rows = store.list(&prefix, None, limit, Order::Up).await?;
        let is_page_full = rows.len() == limit;
        let mut begun = false;
        for record in rows {
            let Some((due_at_ms, id)) = read_turn(&record.key) else {
                tracing::error!(key = record.key, "not the turn of a webhook");
                continue;
            };
            if due_at_ms > now_ms {
                self.lanes.is_due(lane, due_at_ms);
                return Ok(());
            }
            if self.lanes.is_full() {
                self.lanes.is_due(lane, now_ms);
                return Ok(());
            }
            let site = String::from_utf8_lossy(&record.value).into_owned();
            if self.lanes.begin(id, &site) {
                begun = true;
                self.under_way
                    .push(Box::pin(taken(self.webhooks, Turn { id, site, record })));
            }
        }
        // Where nothing was begun, each turn waits for the end of an attempt.
        if is_page_full && begun {
            self.lanes.is_due(lane, now_ms);
        }
        Ok(())
    }

    /// Until an attempt ends, a change is heard of, or the time is over.
    async fn wait(&mut self, sleep: Duration) {
        tokio::select! {
            Some((id, site)) = self.under_way.next() => self.lanes.end(id, &site),
            change = self.watch.next() => self.note_all(change),
            () = tokio::time::sleep(sleep) => {}
        }
    }

    /// Notes a change, and those that are there already behind it.
    fn note_all(&mut self, first: Result<Change, RecvError>) {
        let mut change = Some(first);
        for _ in 0..CHANGES_MAX {
            match change.take() {
                Some(Ok(change)) => self.note(&change),
                Some(Err(_)) => {
                    self.anew = true;
                    return;
                }
                None => return,
            }
            change = self.watch.next().now_or_never();
        }
        // One is still in hand.
        if let Some(Ok(change)) = change {
            self.note(&change);
        }
    }

    fn note(&mut self, change: &Change) {
        let delta = if change.value.is_some() { 1 } else { -1 };
        self.webhooks.pending.fetch_add(delta, Relaxed);
        if let Some(count) = &mut self.count {
            count.note(change, delta);
        }
        let lane = change.key.get(DUE.len()..DUE.len() + 2);
        let lane = lane.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let (Some(lane), Some((due_at_ms, _)), 1) = (lane, read_turn(&change.key), delta) {
            self.lanes.is_due(lane, due_at_ms);
        }
    }

    /// Counts a page of the turns.
    async fn count(&mut self) -> Result<(), StoreError> {
        let Some(count) = &mut self.count else {
            return Ok(());
        };
        let store = &self.webhooks.store;
        let rows = store
            .list(DUE, Some(&count.up_to), BATCH, Order::Up)
            .await?;
        count.pending += rows.len() as i64;
        let latest = rows.iter().map(|row| row.revision).max();
        count.seen = count.seen.max(latest.unwrap_or(count.seen));
        match rows.into_iter().last() {
            Some(row) => count.up_to = row.key,
            None => {
                self.webhooks.pending.store(count.pending, Relaxed);
                self.count = None;
            }
        }
        Ok(())
    }
}

/// Takes a turn; whatever becomes of it, it ends.
async fn taken(webhooks: &Webhooks, turn: Turn) -> (AsyncId, String) {
    let (id, site) = (turn.id, turn.site.clone());
    if task::caught("webhook", webhooks.take(turn)).await.is_err() {
        // It is due still, and would do so again at once.
        tokio::time::sleep(DARK_MAX).await;
    }
    (id, site)
}
