//! What is promised of jobs.

mod accept;
mod end;
mod forget;
mod hold;
mod list;
mod twin;

use bytes::Bytes;

use super::{bytes, cases, put, put_if, value};
use crate::{
    base::{
        async_id::{AsyncId, Position},
        secret::KeyDigest,
    },
    store::{
        Content, End, Enqueued, Holder, Job, JobError, JobFilter, JobStatus, Lane, NewJob, Once,
        Store, StoreError,
    },
};

pub(super) fn at(n: u64) -> Position {
    Position::from_u64(n).expect("a small one")
}

/// The id of the job at place `n`.
pub(super) fn id(n: u64) -> AsyncId {
    tagged(n, 7)
}

pub(super) fn tagged(n: u64, tag: u8) -> AsyncId {
    AsyncId::of(at(n), [tag; 16])
}

pub(super) fn owner(n: u8) -> KeyDigest {
    KeyDigest::from_bytes([n; 32])
}

pub(super) fn lane(deployment: &str, life: u32, by: u8) -> Lane {
    Lane {
        deployment: deployment.into(),
        life,
        owner: owner(by),
    }
}

/// A job of the lane `p/d`, 1, 1.
pub(super) fn job(n: u64) -> NewJob {
    NewJob {
        id: id(n),
        lane: lane("p/d", 1, 1),
        deadline_at_ms: 1_000 + n,
        weight: 3,
        doc: bytes(&format!("doc {n}")),
        body: Content::Inline(bytes(&format!("body {n}"))),
        once: None,
    }
}

pub(super) fn of(n: u64, lane: Lane) -> NewJob {
    NewJob { lane, ..job(n) }
}

fn once(n: u64, token: u8, fingerprint: u8, until_ms: u64) -> NewJob {
    let once = Once {
        token: [token; 32],
        fingerprint: [fingerprint; 32],
        until_ms,
    };
    NewJob {
        once: Some(once),
        ..job(n)
    }
}

pub(super) fn completed() -> End {
    End {
        status: JobStatus::Completed,
        doc: bytes("done"),
        answer: Some((bytes("head"), Content::Inline(bytes("answer")))),
        dead: false,
        forget_at_ms: 5_000,
        writes: Vec::new(),
    }
}

pub(super) fn dead() -> End {
    End {
        status: JobStatus::Error,
        answer: None,
        dead: true,
        ..completed()
    }
}

/// Accepts jobs that are new.
pub(super) async fn enqueue(store: &dyn Store, jobs: Vec<NewJob>) {
    let count = jobs.len();
    let became = store.enqueue(jobs, 0).await.expect("accepted");
    assert_eq!(became, vec![Enqueued::Added; count]);
}

/// Leases jobs that are queued; answers the attempts.
pub(super) async fn lease(store: &dyn Store, places: &[u64]) -> Vec<u32> {
    let places = places.iter().map(|n| at(*n)).collect();
    let leased = store.lease(places, 100).await.expect("leased");
    let attempts = leased.iter().map(|l| l.as_ref().expect("queued").attempt);
    attempts.collect()
}

pub(super) async fn read(store: &dyn Store, n: u64) -> Job {
    store.job(id(n)).await.expect("a read").expect("there")
}

async fn status(store: &dyn Store, n: u64) -> (JobStatus, u32) {
    let job = read(store, n).await;
    (job.status, job.attempt)
}

async fn end(store: &dyn Store, n: u64, end: End) {
    let ended = store.finish(id(n), Holder::Anybody, end).await;
    ended.expect("open");
}

async fn queued(store: &dyn Store) -> Vec<u64> {
    let queued = store.queued(None, 1_000).await.expect("a read");
    queued.iter().map(|job| job.position.as_u64()).collect()
}

/// The places of all that match, read in pages of this length.
pub(super) async fn listed(store: &dyn Store, filter: &JobFilter, limit: usize) -> Vec<u64> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = store.jobs(filter, before, limit).await.expect("a page");
        assert!(page.jobs.len() <= limit);
        assert!(page.next.is_none_or(|n| before.is_none_or(|b| n < b)));
        for job in page.jobs {
            assert_eq!(store.job(job.id).await.expect("a read"), Some(job.clone()));
            all.push(job.id.position().as_u64());
        }
        before = page.next;
        if before.is_none() {
            return all;
        }
    }
}

async fn lanes(store: &dyn Store) -> Vec<Lane> {
    let lanes = store.lanes().await.expect("a read");
    let mut lanes: Vec<Lane> = lanes.into_iter().map(|(_, lane)| lane).collect();
    lanes.sort_by_key(|lane| (lane.deployment.clone(), lane.life, lane.owner));
    lanes
}

#[track_caller]
fn fenced<T: std::fmt::Debug>(answer: &Result<T, JobError>) {
    assert!(matches!(answer, Err(JobError::Fenced(_))), "{answer:?}");
}

#[track_caller]
fn invalid<T: std::fmt::Debug>(answer: &Result<T, JobError>) {
    let is_invalid = matches!(answer, Err(JobError::Store(StoreError::Invalid(_))));
    assert!(is_invalid, "{answer:?}");
}

fn content(text: &'static str) -> Content {
    Content::Inline(Bytes::from_static(text.as_bytes()))
}
