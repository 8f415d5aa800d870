//! Jobs, in SQL.
//!
//! ```text
//! enqueue ─▶ requests (written once) ────────────────────────────▶ forget
//!        ├─▶ bodies ──────────── finish, unless dead ─▶ gone         ▲
//!        └─▶ jobs (small, changes) ── finish ─▶ ends, answers ───────┘
//! ```
//!
//! A request's rows are written once each: what changes is its row in `jobs`, which is small and
//! there while it is open, and its end is a row of its own. Positions only grow, so that nearly all
//! of it is appended.

mod accept;
pub(super) mod forget;
pub(super) mod hold;
pub(super) mod list;
pub(super) mod look;
mod rows;

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    super::{
        Content, End, Enqueued, Forgotten, Holder, Job, JobError, JobFilter, JobPage, Jobs, Lane,
        Leased, NewJob, OpenJob, StoreError, Totals, Was, limits,
    },
    Sqlite,
    batch::{Batch, Stop},
};
use crate::base::async_id::{AsyncId, Position};

#[async_trait]
impl Jobs for Sqlite {
    async fn enqueue(&self, jobs: Vec<NewJob>, now_ms: u64) -> Result<Vec<Enqueued>, StoreError> {
        limits::jobs(&jobs)?;
        let work = move |to: &mut Batch<'_>| accept::enqueue(to, &jobs, now_ms);
        self.writer.ask(work).await.map_err(Stop::into_store)
    }

    async fn lease(
        &self,
        positions: Vec<Position>,
        until_ms: u64,
    ) -> Result<Vec<Option<Leased>>, StoreError> {
        let work = move |to: &mut Batch<'_>| hold::lease(to, &positions, until_ms);
        self.writer.ask(work).await.map_err(Stop::into_store)
    }

    async fn extend(
        &self,
        held: Vec<(AsyncId, u32)>,
        until_ms: u64,
    ) -> Result<Vec<bool>, StoreError> {
        let work = move |to: &mut Batch<'_>| hold::extend(to, &held, until_ms);
        self.writer.ask(work).await.map_err(Stop::into_store)
    }

    async fn finish(&self, id: AsyncId, holder: Holder, end: End) -> Result<Was, JobError> {
        limits::end(&end)?;
        let work = move |to: &mut Batch<'_>| hold::finish(to, id, holder, &end);
        let asked = self.writer.ask(work).await;
        asked.map_err(|stop| stop.into_job(id))
    }

    async fn requeue(
        &self,
        id: AsyncId,
        attempt: u32,
        due_at_ms: u64,
        counted: bool,
    ) -> Result<(), JobError> {
        let work = move |to: &mut Batch<'_>| hold::requeue(to, id, attempt, due_at_ms, counted);
        let asked = self.writer.ask(work).await;
        asked.map_err(|stop| stop.into_job(id))
    }

    async fn reschedule(&self, id: AsyncId, due_at_ms: u64) -> Result<(), JobError> {
        let work = move |to: &mut Batch<'_>| hold::reschedule(to, id, due_at_ms);
        let asked = self.writer.ask(work).await;
        asked.map_err(|stop| stop.into_job(id))
    }

    async fn void_leases(&self) -> Result<u64, StoreError> {
        let asked = self.writer.ask(hold::void_leases).await;
        asked.map_err(Stop::into_store)
    }

    async fn lanes(&self) -> Result<Vec<(u32, Lane)>, StoreError> {
        self.readers.read(look::lanes).await
    }

    async fn queued(
        &self,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<OpenJob>, StoreError> {
        let read = move |sql: &_| look::queued(sql, after, limit);
        self.readers.read(read).await
    }

    async fn lapsed(&self, now_ms: u64, limit: usize) -> Result<Vec<(AsyncId, u32)>, StoreError> {
        let read = move |sql: &_| look::lapsed(sql, now_ms, limit);
        self.readers.read(read).await
    }

    async fn overdue(&self, now_ms: u64, limit: usize) -> Result<Vec<AsyncId>, StoreError> {
        let read = move |sql: &_| look::overdue(sql, now_ms, limit);
        self.readers.read(read).await
    }

    async fn job(&self, id: AsyncId) -> Result<Option<Job>, StoreError> {
        self.readers.read(move |sql| look::job(sql, id)).await
    }

    async fn body(&self, id: AsyncId) -> Result<Option<Content>, StoreError> {
        self.readers.read(move |sql| look::body(sql, id)).await
    }

    async fn answer(&self, id: AsyncId) -> Result<Option<(Bytes, Content)>, StoreError> {
        self.readers.read(move |sql| look::answer(sql, id)).await
    }

    async fn jobs(
        &self,
        filter: &JobFilter,
        before: Option<Position>,
        limit: usize,
    ) -> Result<JobPage, StoreError> {
        let filter = filter.clone();
        let read = move |sql: &_| list::page(sql, &filter, before, limit);
        self.readers.read(read).await
    }

    async fn forget(&self, now_ms: u64, limit: usize) -> Result<Vec<Forgotten>, StoreError> {
        self.forget_tokens(now_ms, limit).await?;
        self.forget_by(limit, move |to, limit| forget::ended(to, now_ms, limit))
            .await
    }

    async fn forget_dead(
        &self,
        deployment: &str,
        limit: usize,
    ) -> Result<Vec<Forgotten>, StoreError> {
        let deployment = deployment.to_owned();
        self.forget_by(limit, move |to, limit| forget::dead(to, &deployment, limit))
            .await
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        self.readers.read(look::totals).await
    }
}

impl Sqlite {
    async fn forget_tokens(&self, now_ms: u64, limit: usize) -> Result<(), StoreError> {
        let mut left = limit;
        while left > 0 {
            let most = forget::AT_ONCE.min(left);
            let work = move |to: &mut Batch<'_>| forget::tokens(to, now_ms, most);
            let gone = self.writer.ask(work).await.map_err(Stop::into_store)?;
            left -= gone;
            if gone < most {
                break;
            }
        }
        Ok(())
    }

    /// Forgets in several batches, so that a long one does not hold up commits.
    async fn forget_by<F>(&self, limit: usize, forget: F) -> Result<Vec<Forgotten>, StoreError>
    where
        F: FnMut(&mut Batch<'_>, usize) -> Result<Vec<Forgotten>, Stop> + Clone + Send + 'static,
    {
        let mut all = Vec::new();
        while all.len() < limit {
            let most = forget::AT_ONCE.min(limit - all.len());
            let mut forget = forget.clone();
            let work = move |to: &mut Batch<'_>| forget(to, most);
            match self.writer.ask(work).await {
                Ok(gone) => {
                    let is_last = gone.len() < most;
                    all.extend(gone);
                    if is_last {
                        break;
                    }
                }
                // Those before are gone for good, and their files are somebody's business: the
                // next call will fail too, or go on.
                Err(_) if !all.is_empty() => break,
                Err(stop) => return Err(stop.into_store()),
            }
        }
        Ok(all)
    }
}
