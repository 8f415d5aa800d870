//! Turns: what is to be told, in the order of its time, so many at once and of a site. Each user keeps
//! its turns under a prefix of its own:
//!
//! ```text
//! {prefix}{lane}/{due_ms}/.../{id}    the value is the site
//! ```

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use tokio::sync::broadcast::error::RecvError;

use super::lanes::{Lanes, lane_of};
use crate::{
    base::{async_id::AsyncId, clock, id::Revision, task},
    store::{Change, CommitError, If, Order, Record, Records, StoreError, Watch, Write},
};

/// From one try to the next to ask a store that is out of service, at first and at most.
pub(crate) const DARK_MIN: Duration = Duration::from_secs(1);
const DARK_MAX: Duration = Duration::from_secs(30);

/// Turns that are read of a lane at once, beside those under way.
const PAGE: usize = 64;
/// Turns that are read at once to be counted.
const BATCH: usize = 1_000;
/// Up to so many turns are counted anew each time, since a count that is taken while turns come and
/// go may be out by a few.
const COUNTED_ANEW: i64 = 10_000;
/// Changes that are noted before something is begun.
const CHANGES_MAX: usize = 1_024;
/// The longest sleep: the wall clock, by which turns are due, may be set.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// From one tidying, or count anew, to the next.
const TIDY_EVERY_MS: u64 = 60_000;

/// The attempts under way; each answers whose it was, and of which site.
type UnderWay<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = (AsyncId, String)> + Send + 'a>>>;

/// The attempts under way, and those that ended while something else was waited for.
struct Attempts<'a> {
    under_way: UnderWay<'a>,
    ended: Vec<(AsyncId, String)>,
}

struct Loop<'a> {
    turns: &'a dyn Turns,
    lanes: Lanes,
    attempts: Attempts<'a>,
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

/// A turn that is due.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) id: AsyncId,
    pub(crate) site: String,
    pub(crate) record: Record,
}

/// Whoever has turns, and takes them.
#[async_trait]
pub(crate) trait Turns: Send + Sync {
    /// What the keys of its turns begin with.
    fn prefix(&self) -> &'static str;

    /// Where they are kept.
    fn store(&self) -> &Arc<dyn Records>;

    /// Attempts under way at once, and of these at one site.
    fn limits(&self) -> (usize, usize);

    /// Where it is noted how many turns there are.
    fn pending(&self) -> &AtomicI64;

    /// Takes one turn: when this returns, another one stands for it, or none. A store that is out
    /// of service leaves it as it was.
    async fn take(&self, turn: Turn);

    /// Removes what is kept no longer. Called about once a minute.
    async fn tidy(&self, now_ms: u64) -> Result<(), StoreError>;
}

/// The key of a turn. `of` is what it belongs to, and ends with its id.
pub(crate) fn turn_key(prefix: &str, site: &str, due_ms: u64, of: &str) -> String {
    format!("{prefix}{:02x}/{due_ms:016x}/{of}", lane_of(site))
}

/// The time and the id in the key of a turn.
fn read_turn(prefix: &str, key: &str) -> Option<(u64, AsyncId)> {
    let (_, id) = key.rsplit_once('/')?;
    let due_ms = key.get(prefix.len() + 3..prefix.len() + 19)?;
    Some((u64::from_str_radix(due_ms, 16).ok()?, AsyncId::parse(id)?))
}

/// Takes turns, for ever. What is committed under their prefix is heard of by itself.
///
/// # Cancellation
/// Breaks off the attempts under way; they are repeated by whoever runs next.
pub(crate) async fn take_all(turns: &dyn Turns) {
    let (concurrency, per_site) = turns.limits();
    let mut state = Loop {
        turns,
        lanes: Lanes::new(concurrency, per_site),
        attempts: Attempts {
            under_way: FuturesUnordered::new(),
            ended: Vec::new(),
        },
        watch: turns.store().watch(turns.prefix()),
        anew: true,
        tidy_at_ms: 0,
        miscounted: true,
        count: None,
    };
    loop {
        let sleep = match state.begin_what_is_due().await {
            Ok(sleep) => sleep,
            Err(error) => {
                let prefix = turns.prefix();
                tracing::warn!(%error, prefix, "cannot read the webhooks that are due");
                state.anew = true;
                DARK_MIN
            }
        };
        state.wait(sleep).await;
    }
}

/// Writes down what came of an attempt, however long the store is out of service: nobody is told
/// again because of a full disk.
pub(crate) async fn write_down(store: &dyn Records, id: AsyncId, writes: Vec<Write>) {
    let mut pause = DARK_MIN;
    loop {
        match store.commit(writes.clone()).await {
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
pub(crate) async fn drop_turn(store: &dyn Records, turn: &Turn) -> Result<(), StoreError> {
    let write = Write::Delete {
        key: turn.record.key.clone(),
        condition: If::Revision(turn.record.revision),
    };
    match store.commit(vec![write]).await {
        Ok(_) | Err(CommitError::Conflict { .. }) => Ok(()),
        Err(CommitError::Store(error)) => Err(error),
    }
}

// === impl Count ===

impl Count {
    fn new(prefix: &str) -> Self {
        Self {
            up_to: prefix.to_owned(),
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
            self.watch = self.turns.store().watch(self.turns.prefix());
            self.lanes.all_are_due();
            (self.anew, self.miscounted) = (false, true);
        }
        let now_ms = clock::unix_ms();
        if self.tidy_at_ms <= now_ms {
            let (turns, attempts) = (self.turns, &mut self.attempts);
            attempts.beside(turns.tidy(now_ms)).await?;
            self.tidy_at_ms = now_ms + TIDY_EVERY_MS;
            let pending = self.turns.pending().load(Relaxed);
            let is_worth_it = self.miscounted || pending <= COUNTED_ANEW;
            if is_worth_it && self.count.is_none() {
                (self.miscounted, self.count) = (false, Some(Count::new(self.turns.prefix())));
            }
        }
        self.count().await?;
        self.end_what_ended();
        while let Some(lane) = self.lanes.next(now_ms) {
            let looked = self.look(lane, now_ms).await;
            // Not before what was read then is begun: it may show a turn that was just taken.
            self.end_what_ended();
            looked?;
        }
        if self.count.is_some() {
            return Ok(Duration::ZERO);
        }
        let next_ms = self.lanes.first_ms().min(self.tidy_at_ms);
        let sleep = Duration::from_millis(next_ms.saturating_sub(clock::unix_ms()));
        Ok(sleep.min(SLEEP_MAX))
    }

    fn end_what_ended(&mut self) {
        for (id, site) in self.attempts.ended.drain(..) {
            self.lanes.end(id, &site);
        }
    }

    /// Begins what is due of a lane, and notes when the next of it is.
    async fn look(&mut self, lane: u8, now_ms: u64) -> Result<(), StoreError> {
        let limit = PAGE + self.lanes.under_way();
        let of = self.turns.prefix();
        let prefix = format!("{of}{lane:02x}/");
        let store = self.turns.store();
        let listed = store.list(&prefix, None, limit, Order::Up);
        let rows = self.attempts.beside(listed).await?;
        let is_page_full = rows.len() == limit;
        let mut begun = false;
        for record in rows {
            let Some((due_at_ms, id)) = read_turn(of, &record.key) else {
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
                let turn = Turn { id, site, record };
                let under_way = &self.attempts.under_way;
                under_way.push(Box::pin(taken(self.turns, turn)));
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
            Some((id, site)) = self.attempts.under_way.next() => self.lanes.end(id, &site),
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
        self.turns.pending().fetch_add(delta, Relaxed);
        if let Some(count) = &mut self.count {
            count.note(change, delta);
        }
        let prefix = self.turns.prefix();
        let lane = change.key.get(prefix.len()..prefix.len() + 2);
        let lane = lane.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let (Some(lane), Some((due_at_ms, _)), 1) = (lane, read_turn(prefix, &change.key), delta)
        {
            self.lanes.is_due(lane, due_at_ms);
        }
    }

    /// Counts a page of the turns.
    async fn count(&mut self) -> Result<(), StoreError> {
        let Some(count) = &mut self.count else {
            return Ok(());
        };
        let store = self.turns.store();
        let listed = store.list(self.turns.prefix(), Some(&count.up_to), BATCH, Order::Up);
        let rows = self.attempts.beside(listed).await?;
        count.pending += rows.len() as i64;
        let latest = rows.iter().map(|row| row.revision).max();
        count.seen = count.seen.max(latest.unwrap_or(count.seen));
        match rows.into_iter().last() {
            Some(row) => count.up_to = row.key,
            None => {
                self.turns.pending().store(count.pending, Relaxed);
                self.count = None;
            }
        }
        Ok(())
    }
}

// === impl Attempts ===

impl Attempts<'_> {
    /// Waits for something, and drives the attempts meanwhile. One that is not driven may hold what
    /// this waits for: it stands in line for a reader of the store, gets it, and never takes it.
    async fn beside<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = std::pin::pin!(other);
        loop {
            tokio::select! {
                done = &mut other => return done,
                Some(ended) = self.under_way.next() => self.ended.push(ended),
            }
        }
    }
}

/// Takes a turn; whatever becomes of it, it ends.
async fn taken(turns: &dyn Turns, turn: Turn) -> (AsyncId, String) {
    let (id, site) = (turn.id, turn.site.clone());
    if task::caught("webhook", turns.take(turn)).await.is_err() {
        // It is due still, and would do so again at once.
        tokio::time::sleep(DARK_MAX).await;
    }
    (id, site)
}
