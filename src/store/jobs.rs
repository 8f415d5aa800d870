//! Jobs: async requests as a store keeps them.
//!
//! ```text
//! enqueue ──▶ queued ──lease──▶ running ──finish──▶ ended ──forget──▶ gone
//!                ▲ ▲──requeue──────┘ │                 ▲
//!                └── lease over ─────┘   finish ───────┘ (cancelled, expired)
//! ```
//!
//! A store knows order, leases, fences and ends; what a request is, and when its turn comes, is
//! the queue's business. The fence is the attempt's number: what is said for an attempt counts only
//! while that attempt holds the job.

use async_trait::async_trait;
use bytes::Bytes;

use super::{StoreError, Write};
use crate::base::{
    async_id::{AsyncId, Position},
    secret::KeyDigest,
};

/// How a job stands. The last four are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobStatus {
    /// It waits for its turn.
    Queued,
    /// An attempt holds it.
    Running,
    /// The model answered.
    Completed,
    /// It failed for good.
    Error,
    /// Somebody called it off.
    Cancelled,
    /// Its time was over before it had ended.
    Expired,
}

/// Whose turn a job takes: jobs of one lane run in the order of their acceptance.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lane {
    /// The deployment, `{project}/{deployment}`.
    pub deployment: String,
    /// Which life of that name: a deployment made anew under a deleted one's name is another.
    pub life: u32,
    /// The key that submitted it.
    pub owner: KeyDigest,
}

/// A body, or where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Here, up to [`super::VALUE_BYTES_MAX`].
    Inline(Bytes),
    /// In a file beside the store, so many bytes.
    Spilled(u64),
}

/// What makes a submission the same as an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Once {
    /// The idempotency key, digested together with its owner.
    pub token: [u8; 32],
    /// What was asked, digested.
    pub fingerprint: [u8; 32],
    /// Until when it is remembered, in milliseconds since 1970.
    pub until_ms: u64,
}

/// A job to be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// Its id. Positions are unique.
    pub id: AsyncId,
    /// Its lane.
    pub lane: Lane,
    /// When it ends as expired unless it has ended before, in milliseconds since 1970.
    pub deadline_at_ms: u64,
    /// What it costs when its turn comes; kept for the queue.
    pub weight: u32,
    /// What is known of it from the start. Never changes.
    pub doc: Bytes,
    /// What is to be sent to the model.
    pub body: Content,
    /// When given: not accepted twice.
    pub once: Option<Once>,
}

/// What became of a [`NewJob`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// It is accepted.
    Added,
    /// The same was accepted before, as this.
    Known(AsyncId),
    /// Its token was used for something else.
    Contradicts,
}

/// A job that has not ended, as the queue learns of it at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenJob {
    /// Its place.
    pub position: Position,
    /// Its lane, by its number in [`Jobs::lanes`].
    pub lane: u32,
    /// From when on it may run, in milliseconds since 1970.
    pub due_at_ms: u64,
    /// See [`NewJob::weight`].
    pub weight: u32,
}

/// A job held by an attempt until its lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// The job.
    pub id: AsyncId,
    /// Its lane.
    pub lane: Lane,
    /// The fencing token: 1 at the first lease, one more at each that was not given back uncounted.
    pub attempt: u32,
    /// See [`NewJob::deadline_at_ms`].
    pub deadline_at_ms: u64,
    /// See [`NewJob::doc`].
    pub doc: Bytes,
    /// See [`NewJob::body`].
    pub body: Content,
}

/// Who may end a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// This attempt, while it holds the job.
    Attempt(u32),
    /// Whoever finds it queued.
    Queued,
    /// Anybody, as long as it has not ended.
    Anybody,
}

/// How a job ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// A final status.
    pub status: JobStatus,
    /// What is known of its end.
    pub doc: Bytes,
    /// The answer, head and body. A spilled body belongs to the attempt that ended it.
    pub answer: Option<(Bytes, Content)>,
    /// Whether it is a dead letter: listed as one, its body kept to be run again.
    pub dead: bool,
    /// When all of it is forgotten, in milliseconds since 1970.
    pub forget_at_ms: u64,
    /// Written in the same commit.
    pub writes: Vec<Write>,
}

/// How a job stood when it was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Was {
    /// Queued or running.
    pub status: JobStatus,
    /// Its attempts so far.
    pub attempt: u32,
}

/// What is kept of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Nothing.
    Nothing,
    /// So many bytes in the store.
    Inline(u64),
    /// So many bytes in a file.
    Spilled(u64),
}

/// A job without its bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: AsyncId,
    /// Its lane.
    pub lane: Lane,
    /// How it stands.
    pub status: JobStatus,
    /// Its attempts so far; of an ended one the attempt that ended it.
    pub attempt: u32,
    /// Queued: from when on it may run. Running: when its lease ends. Ended: when it is forgotten.
    pub due_at_ms: u64,
    /// See [`NewJob::deadline_at_ms`].
    pub deadline_at_ms: u64,
    /// See [`NewJob::doc`].
    pub doc: Bytes,
    /// See [`End::doc`]; none while it has not ended.
    pub end: Option<Bytes>,
    /// Whether it is a dead letter.
    pub dead: bool,
    /// What is kept of its body.
    pub body: Kept,
    /// What is kept of its answer's body.
    pub answer: Kept,
}

/// Which jobs are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Of this key.
    pub owner: Option<KeyDigest>,
    /// Of this deployment, in all its lives.
    pub deployment: Option<String>,
    /// That stand so.
    pub status: Option<JobStatus>,
    /// Dead letters alone.
    pub dead: bool,
}

/// A part of a list, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// Where to go on; none at the end. A page may be short, even empty, and still have a next one:
    /// a rare status is looked for among so many jobs at once and no more.
    pub next: Option<Position>,
}

/// A job whose time was over and that is gone, with the files that are now nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forgotten {
    /// Its id.
    pub id: AsyncId,
    /// The attempt that ended it.
    pub attempt: u32,
    /// What was kept of its body.
    pub body: Kept,
    /// What was kept of its answer's body.
    pub answer: Kept,
    /// What it counted for in [`Totals::bytes`].
    pub bytes: u64,
}

/// What a store holds of jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Jobs that have not ended.
    pub open: u64,
    /// Jobs that have ended and are kept.
    pub ended: u64,
    /// Bodies and answers' bodies of all of them, spilled ones included, and [`JOB_BYTES`] for each.
    pub bytes: u64,
    /// The highest place ever given.
    pub last: Option<Position>,
}

/// What a job counts for in [`Totals::bytes`] beside its bodies: its rows, roughly.
pub const JOB_BYTES: u64 = 1_024;

/// Why nobody may say that of a job.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("{0} is not held by who asked, or has ended")]
pub struct Fenced(pub AsyncId);

/// Why a job was not changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JobError {
    /// Another attempt holds the job, it is not queued, or it has ended.
    #[error(transparent)]
    Fenced(#[from] Fenced),
    /// The store itself.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Jobs: requests that are leased, and done when their end is recorded.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Accepts jobs durably, one after another, all in one commit; answers what became of each, in
    /// their order. A token's memory ends at `until_ms` against `now_ms`, or with its job. An id
    /// that was accepted before is known, token or not; another id's place refuses all of the call.
    /// A job may run at once: it is due at 0.
    async fn enqueue(&self, jobs: Vec<NewJob>, now_ms: u64) -> Result<Vec<Enqueued>, StoreError>;

    /// Leases the jobs at these places that are queued, until `until_ms`, durably; none in place of
    /// each that is not there or not queued. When they are due is not looked at.
    async fn lease(
        &self,
        positions: Vec<Position>,
        until_ms: u64,
    ) -> Result<Vec<Option<Leased>>, StoreError>;

    /// Moves the end of leases; answers for each whether the attempt still holds its job.
    async fn extend(
        &self,
        held: Vec<(AsyncId, u32)>,
        until_ms: u64,
    ) -> Result<Vec<bool>, StoreError>;

    /// Ends a job: compare-and-set. Its body is dropped unless it is dead. When a condition among
    /// the writes does not hold, it has not ended, and the answer is [`StoreError::Invalid`].
    async fn finish(&self, id: AsyncId, holder: Holder, end: End) -> Result<Was, JobError>;

    /// Gives a job back, to run again from `due_at_ms` on. Uncounted: its attempt did not happen.
    async fn requeue(
        &self,
        id: AsyncId,
        attempt: u32,
        due_at_ms: u64,
        counted: bool,
    ) -> Result<(), JobError>;

    /// Changes from when on a queued job may run.
    async fn reschedule(&self, id: AsyncId, due_at_ms: u64) -> Result<(), JobError>;

    /// Ends every lease, so that the jobs may be leased again at once, due at 0: what a process does at start
    /// when its store is its own, since whoever held them is dead. Their attempts stay counted.
    /// Answers how many.
    async fn void_leases(&self) -> Result<u64, StoreError>;

    /// All lanes that have jobs, with the numbers that [`OpenJob::lane`] names them by.
    async fn lanes(&self) -> Result<Vec<(u32, Lane)>, StoreError>;

    /// Up to `limit` queued jobs beyond `after`, oldest first.
    async fn queued(
        &self,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<OpenJob>, StoreError>;

    /// Up to `limit` running jobs whose leases have ended at `now_ms`, the longest ago first, with
    /// the attempts that held them.
    async fn lapsed(&self, now_ms: u64, limit: usize) -> Result<Vec<(AsyncId, u32)>, StoreError>;

    /// Up to `limit` jobs that have not ended though their deadline has come at `now_ms`, the
    /// earliest first.
    async fn overdue(&self, now_ms: u64, limit: usize) -> Result<Vec<AsyncId>, StoreError>;

    /// The job of this id, place and tag.
    async fn job(&self, id: AsyncId) -> Result<Option<Job>, StoreError>;

    /// The body of a job; none when there is no such job or its body is not kept.
    async fn body(&self, id: AsyncId) -> Result<Option<Content>, StoreError>;

    /// The answer of an ended job, head and body; none when it ended without one.
    async fn answer(&self, id: AsyncId) -> Result<Option<(Bytes, Content)>, StoreError>;

    /// Jobs below `before`, newest first, up to `limit`; of one moment.
    async fn jobs(
        &self,
        filter: &JobFilter,
        before: Option<Position>,
        limit: usize,
    ) -> Result<JobPage, StoreError>;

    /// Takes away up to `limit` ended jobs whose time is over at `now_ms`, the longest ago first, and
    /// as many tokens whose memory has ended. Fewer than `limit`: those were all, or the store
    /// failed half-way.
    async fn forget(&self, now_ms: u64, limit: usize) -> Result<Vec<Forgotten>, StoreError>;

    /// Takes away up to `limit` dead letters of a deployment, in all its lives.
    async fn forget_dead(
        &self,
        deployment: &str,
        limit: usize,
    ) -> Result<Vec<Forgotten>, StoreError>;

    /// What there is.
    async fn totals(&self) -> Result<Totals, StoreError>;
}

// === impl JobStatus ===

impl JobStatus {
    /// Every status.
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Running,
        Self::Completed,
        Self::Error,
        Self::Cancelled,
        Self::Expired,
    ];

    /// Its word. Never changes with the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// The status of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether it is final.
    pub fn has_ended(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

// === impl Content ===

impl Content {
    /// Its length in bytes.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Spilled(bytes) => *bytes,
        }
    }
}

// === impl Kept ===

impl Kept {
    /// Its length in bytes.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Inline(bytes) | Self::Spilled(bytes) => bytes,
        }
    }
}
