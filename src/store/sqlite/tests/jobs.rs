use rusqlite::{Connection, params_from_iter};

use super::{
    super::{
        jobs::{forget, hold, list, look},
        schema,
    },
    *,
};
use crate::base::{
    async_id::{AsyncId, Position},
    secret::KeyDigest,
};

/// A job at place `n`, of a deployment of its own lane.
pub(super) fn new_job(n: u64, lane: u32) -> NewJob {
    let position = Position::from_u64(n).expect("a small one");
    NewJob {
        id: AsyncId::of(position, [7; 16]),
        lane: Lane {
            deployment: format!("p/d{lane}"),
            life: 1,
            owner: KeyDigest::from_bytes([1; 32]),
        },
        deadline_at_ms: 1_000_000 + n / 10,
        weight: 1,
        doc: Bytes::from(format!("{{\"n\":{n},\"path\":\"/v1/models/m:predict\"}}").repeat(4)),
        body: Content::Inline(Bytes::from_static(b"body")),
        once: None,
    }
}

fn ended(status: JobStatus) -> End {
    End {
        status,
        doc: Bytes::from_static(b"end"),
        answer: None,
        dead: false,
        forget_at_ms: 9,
        writes: Vec::new(),
    }
}

/// Each page's length, and whether it goes on; with all that was found.
async fn pages(store: &Sqlite, filter: &JobFilter) -> (Vec<usize>, Vec<u64>) {
    let (mut lengths, mut found, mut before) = (Vec::new(), Vec::new(), None);
    loop {
        let page = store.jobs(filter, before, 50).await.expect("a page");
        lengths.push(page.jobs.len());
        found.extend(page.jobs.iter().map(|job| job.id.position().as_u64()));
        before = page.next;
        if before.is_none() {
            return (lengths, found);
        }
    }
}

#[tokio::test]
async fn a_page_looks_at_so_many_and_no_more() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    // The oldest is the one that is looked for, in a lane of its own and in the one of all others.
    let jobs: Vec<NewJob> = (0..12_000).map(|n| new_job(n, 0)).collect();
    let first = jobs[0].id;
    store.enqueue(jobs, 0).await.expect("accepted");
    let end = ended(JobStatus::Completed);
    let finished = store.finish(first, Holder::Queued, end).await;
    finished.expect("queued");
    for deployment in [None, Some("p/d0".to_owned())] {
        let filter = JobFilter {
            status: Some(JobStatus::Completed),
            deployment,
            ..JobFilter::default()
        };
        assert_eq!(pages(&store, &filter).await, (vec![0, 0, 1], vec![0]));
    }
    // Open ones, and dead letters, are found without walking over others.
    for (status, dead) in [(Some(JobStatus::Running), false), (None, true)] {
        let filter = JobFilter {
            status,
            dead,
            ..JobFilter::default()
        };
        let expected = if dead { vec![0] } else { vec![0, 0, 0] };
        assert_eq!(pages(&store, &filter).await, (expected, vec![]));
    }
}

#[tokio::test]
async fn a_list_over_more_lanes_than_are_merged_finds_all() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let lanes = |count: u64| {
        // Of one deployment, each third is by another owner, and of another one.
        (0..count).map(|n| {
            let (which, life) = ((n % 3) as u32, n as u32);
            let mut job = new_job(n, which);
            job.lane.life = life;
            job
        })
    };
    let jobs: Vec<NewJob> = lanes(4_500).collect();
    store.enqueue(jobs, 0).await.expect("accepted");
    for n in (0..4_500).step_by(30) {
        let id = new_job(n, 0).id;
        let dead = End {
            dead: true,
            ..ended(JobStatus::Error)
        };
        let finished = store.finish(id, Holder::Queued, dead).await;
        finished.expect("queued");
    }
    let of = |deployment: &str, dead, status| JobFilter {
        deployment: Some(deployment.to_owned()),
        dead,
        status,
        ..JobFilter::default()
    };
    let expected = |keep: &dyn Fn(u64) -> bool| -> Vec<u64> {
        (0..4_500).rev().filter(|n| keep(*n)).collect()
    };
    let (_, found) = pages(&store, &of("p/d1", false, None)).await;
    assert_eq!(found, expected(&|n| n % 3 == 1));
    let (_, found) = pages(&store, &of("p/d0", true, None)).await;
    assert_eq!(found, expected(&|n| n % 30 == 0));
    let (_, found) = pages(&store, &of("p/d1", true, None)).await;
    assert!(found.is_empty());
    let (_, found) = pages(&store, &of("p/d0", false, Some(JobStatus::Queued))).await;
    assert_eq!(found, expected(&|n| n % 3 == 0 && n % 30 != 0));
}

#[tokio::test]
async fn what_is_looked_for_often_is_found_by_an_index() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    // What is there shows in no plan: the planner has no statistics.
    let cases = [
        (list::ALL, "PRIMARY"),
        (list::ALL_DEAD, "ends_dead"),
        (list::OF_LANE, "PRIMARY"),
        (list::OF_LANE_DEAD, "ends_dead_by_lane"),
        (look::LAPSED, "jobs_running"),
        (look::OVERDUE, "jobs_by_deadline"),
        (forget::TOKENS, "once_by_time"),
        (forget::ENDED, "ends_by_time"),
        (forget::DEAD, "ends_dead_by_lane"),
        (hold::VOID_LEASES, "jobs_running"),
    ];
    for (text, index) in cases {
        let plan = move |batch: &mut Batch<'_>| {
            let mut plan = batch.sql.prepare(&format!("EXPLAIN QUERY PLAN {text}"))?;
            let any = vec![0; plan.parameter_count()];
            let lines = plan.query_map(params_from_iter(any), |row| row.get::<_, String>(3))?;
            Ok(lines.collect::<Result<Vec<_>, _>>()?)
        };
        let plan = store.writer.ask(plan).await.expect("a plan");
        let words = |line: &String| line.split(' ').any(|word| word == index);
        assert!(plan.iter().any(words), "{text}: {plan:?}");
        let sorts = |line: &String| line.contains("TEMP B-TREE");
        assert!(!plan.iter().any(sorts), "{text}: {plan:?}");
    }
}

#[tokio::test]
async fn a_store_of_the_first_schema_is_brought_up() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("weir.db");
    // As the first release left it: made by its step, with records of its time.
    let old = Connection::open(&file).expect("a database");
    schema::first_alone(&old).expect("the first schema");
    old.execute_batch(
        "INSERT INTO records VALUES (x'61', 1, x'31');
         INSERT INTO topics VALUES (1, x'74', 2);
         INSERT INTO entries VALUES (1, 2, x'32');
         UPDATE meta SET value = 2 WHERE name = 'revision'",
    )
    .expect("what was kept");
    drop(old);
    let store = open(directory.path());
    let kept = store.get("a").await.expect("a read").expect("kept");
    assert_eq!((kept.revision.0, &kept.value[..]), (1, &b"1"[..]));
    let entries = store.range("t", None, 9, Order::Up).await.expect("a read");
    assert_eq!((entries.len(), entries[0].sequence), (1, 2));
    let next = store.commit(vec![put("b", "1")]).await.expect("written");
    assert_eq!(next.0, 3);
    assert_eq!(store.totals().await.expect("a read"), Totals::default());
    let became = store.enqueue(vec![new_job(1, 1)], 0).await;
    assert_eq!(became.expect("accepted"), [Enqueued::Added]);
    drop(store);
    // And once only.
    let store = open(directory.path());
    assert_eq!(store.totals().await.expect("a read").open, 1);
}

async fn read(store: &Sqlite, ids: &[AsyncId]) -> Vec<Option<Job>> {
    let mut jobs = Vec::new();
    for id in ids {
        jobs.push(store.job(*id).await.expect("a read"));
    }
    jobs
}

#[tokio::test]
async fn what_was_said_of_jobs_is_there_when_it_is_opened_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let jobs: Vec<NewJob> = (1..=4).map(|n| new_job(n, n as u32 % 2)).collect();
    let ids: Vec<AsyncId> = jobs.iter().map(|job| job.id).collect();
    store.enqueue(jobs, 0).await.expect("accepted");
    let places = ids[..3].iter().map(|id| id.position()).collect();
    store.lease(places, 50).await.expect("leased");
    let end = ended(JobStatus::Completed);
    let finished = store.finish(ids[0], Holder::Attempt(1), end).await;
    finished.expect("held");
    let before = read(&store, &ids).await;
    drop(store);
    let store = open(directory.path());
    assert_eq!(read(&store, &ids).await, before);
    // The places of those that were forgotten stay given.
    store.forget(9, 9).await.expect("forgotten");
    drop(store);
    let store = open(directory.path());
    let last = store.totals().await.expect("a read").last;
    assert_eq!(last, Some(ids[3].position()));
}
