//! What a machine does; not a check of anything. Run in a release build, one at a time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::{jobs::new_job, *};

/// The jobs of one call, at places of their own.
fn call(first: u64, count: u64, body: &Bytes) -> Vec<NewJob> {
    let jobs = first..first + count;
    jobs.map(|n| NewJob {
        body: Content::Inline(body.clone()),
        ..new_job(n, (n % 50) as u32)
    })
    .collect()
}

fn places() -> Arc<std::sync::atomic::AtomicU64> {
    Arc::new(std::sync::atomic::AtomicU64::new(1))
}

fn take(places: &std::sync::atomic::AtomicU64, count: u64) -> u64 {
    places.fetch_add(count, std::sync::atomic::Ordering::Relaxed)
}

fn at_most(sorted: &[Duration], share: f64) -> Duration {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

/// The largest that the log was.
async fn log_bytes(file: std::path::PathBuf, until: Instant) -> u64 {
    let mut most = 0;
    while Instant::now() < until {
        let log = std::fs::metadata(file.join("weir.db-wal"));
        most = log.map_or(0, |log| log.len()).max(most);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    most
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn accepts_a_second() {
    let body = Bytes::from(vec![b'x'; 1_024]);
    for (count, tasks) in [(1, 1), (1, 64), (1, 256), (16, 16), (256, 1), (256, 4)] {
        let directory = tempfile::tempdir_in(".").expect("a directory");
        let store = Arc::new(open(directory.path()));
        let (began, places) = (Instant::now(), places());
        let until = began + Duration::from_secs(4);
        let mut log = JoinSet::new();
        log.spawn(log_bytes(directory.path().into(), until));
        let mut running = JoinSet::new();
        for _ in 0..tasks {
            let (store, places, body) = (Arc::clone(&store), Arc::clone(&places), body.clone());
            running.spawn(async move {
                while Instant::now() < until {
                    let jobs = call(take(&places, count), count, &body);
                    store.enqueue(jobs, 0).await.expect("accepted");
                }
            });
        }
        running.join_all().await;
        let rate = (take(&places, 0) as f64) / began.elapsed().as_secs_f64();
        let (commits, syncs) = store.commits_and_syncs();
        let log = log.join_all().await[0] >> 20;
        println!(
            "{tasks} tasks, {count} a call: {rate:.0} accepts/s, {commits} calls in {syncs} syncs, log {log} MiB"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn calls_at_10_000_a_second() {
    let body = Bytes::from(vec![b'x'; 1_024]);
    for count in [1, 10, 256] {
        let directory = tempfile::tempdir_in(".").expect("a directory");
        let store = Arc::new(open(directory.path()));
        let (began, places) = (Instant::now(), places());
        let until = began + Duration::from_secs(8);
        let mut log = JoinSet::new();
        log.spawn(log_bytes(directory.path().into(), until));
        let mut running = JoinSet::new();
        let mut asked = 0;
        while Instant::now() < until {
            let due = (began.elapsed().as_secs_f64() * 10_000.0) as u64;
            while asked + count <= due {
                asked += count;
                let (store, places, body) = (Arc::clone(&store), Arc::clone(&places), body.clone());
                running.spawn(async move {
                    let jobs = call(take(&places, count), count, &body);
                    let began = Instant::now();
                    store.enqueue(jobs, 0).await.expect("accepted");
                    began.elapsed()
                });
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut took = running.join_all().await;
        took.sort_unstable();
        let [p50, p99, p999, most] = [0.5, 0.99, 0.999, 1.0].map(|share| at_most(&took, share));
        let rate = asked as f64 / began.elapsed().as_secs_f64();
        let (_, syncs) = store.commits_and_syncs();
        let log = log.join_all().await[0] >> 20;
        println!(
            "{count} a call, {rate:.0} accepts/s: p50 {p50:?} p99 {p99:?} p99.9 {p999:?} max {most:?}, \
             {syncs} syncs, log {log} MiB"
        );
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let words = line.expect("a line").split_whitespace().next();
    words.expect("a number").parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn a_million_queued() {
    let body = Bytes::from(vec![b'x'; 1_024]);
    let directory = tempfile::tempdir_in(".").expect("a directory");
    let store = open(directory.path());
    let began = Instant::now();
    for n in 0..1_000 {
        let jobs = call(n * 1_000, 1_000, &body);
        store.enqueue(jobs, 0).await.expect("accepted");
    }
    println!("written in {:?}", began.elapsed());
    drop(store);

    let before = resident_kib();
    let began = Instant::now();
    let store = open(directory.path());
    let opened = began.elapsed();
    let lanes = store.lanes().await.expect("a read").len();
    let (mut count, mut after) = (0, None);
    loop {
        let page = store.queued(after, 10_000).await.expect("a page");
        let Some(last) = page.last() else { break };
        (count, after) = (count + page.len(), Some(last.position));
    }
    let read = began.elapsed();
    println!(
        "opened in {opened:?}; {count} of {lanes} lanes read in {read:?}; {} KiB before, {} after",
        before,
        resident_kib()
    );
    let began = Instant::now();
    let totals = store.totals().await.expect("a read");
    println!("{totals:?} in {:?}", began.elapsed());
    for status in [None, Some(JobStatus::Queued), Some(JobStatus::Completed)] {
        for deployment in [None, Some("p/d7".to_owned())] {
            let filter = JobFilter {
                status,
                deployment: deployment.clone(),
                ..JobFilter::default()
            };
            let began = Instant::now();
            let page = store.jobs(&filter, None, 50).await.expect("a page");
            let (found, took) = (page.jobs.len(), began.elapsed());
            println!("{status:?} {deployment:?}: {found} in {took:?}");
        }
    }
}
