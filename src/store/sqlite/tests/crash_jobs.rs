//! A process that takes jobs through their lives is killed at any moment: each of them is where it
//! was said to be, or one step further, and nothing of a step is there without the rest of it.

use std::{
    collections::BTreeMap,
    env,
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rusqlite::Connection;
use tokio::task::JoinSet;

use super::{crash::Committing, jobs::new_job, *};
use crate::base::{async_id::AsyncId, chance::Chance};

const TASKS: u64 = 6;

/// What was said of a job, as far as it had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Accepted,
    Leased,
    GivenBack,
    Ended,
}

type Said = BTreeMap<u64, Step>;

/// Job `n`, one of `count` that are accepted together from `first` on.
fn of_call(first: u64, count: u64, n: u64) -> NewJob {
    NewJob {
        doc: format!("{first} {count} {n}").into(),
        body: Content::Inline(body(n)),
        once: Some(Once {
            token: [n as u8; 32],
            fingerprint: [1; 32],
            // Tokens are used again, by calls that do not look at those of before.
            until_ms: 1,
        }),
        ..new_job(n, (n % 3) as u32)
    }
}

/// Small ones, and some over several pages.
fn body(n: u64) -> Bytes {
    vec![n as u8; (n * 7_919 % 12_000) as usize].into()
}

fn end(n: u64, dead: bool) -> End {
    End {
        status: if dead {
            JobStatus::Error
        } else {
            JobStatus::Completed
        },
        doc: n.to_string().into(),
        answer: Some((n.to_string().into(), Content::Inline(body(n + 1)))),
        dead,
        forget_at_ms: 1,
        writes: vec![put(&format!("ended/{n}"), n.to_string())],
    }
}

fn say(n: u64, step: Step) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "job {n} {}", step as u8).expect("a parent");
    out.flush().expect("a parent");
}

fn note(line: &str, said: &mut Said) -> bool {
    let Some(line) = line.strip_suffix('\n') else {
        return false;
    };
    let Some((_, numbers)) = line.split_once("job ") else {
        return false;
    };
    let (n, step) = numbers.split_once(' ').expect("two numbers");
    let step = match step {
        "0" => Step::Accepted,
        "1" => Step::Leased,
        "2" => Step::GivenBack,
        "3" => Step::Ended,
        other => panic!("step {other}"),
    };
    let before = said.insert(n.parse().expect("a number"), step);
    assert!(before < Some(step), "{before:?} before {step:?}");
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "is run, and killed, by other tests"]
async fn works_until_killed() {
    let Ok(directory) = env::var(super::crash::DIRECTORY) else {
        return;
    };
    let syncs = env::var(super::crash::CHECKPOINTS).expect("given with the directory");
    let options = SqliteOptions {
        checkpoint_syncs: syncs.parse().expect("a number"),
        ..SqliteOptions::default()
    };
    let store = Arc::new(Sqlite::open(Path::new(&directory), options).expect("a store"));
    let totals = store.totals().await.expect("a read");
    let next = totals.last.map_or(0, |last| last.as_u64() + 1);
    let next = Arc::new(AtomicU64::new(next));
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (store, next) = (Arc::clone(&store), Arc::clone(&next));
        tasks.spawn(async move {
            let chance = Chance::from_os();
            loop {
                let ways: Vec<u64> = (0..=chance.below(4)).map(|_| chance.below(5)).collect();
                let first = next.fetch_add(ways.len() as u64, Ordering::Relaxed);
                work(&store, first, &ways).await;
            }
        });
    }
    tasks.join_all().await;
}

/// Takes jobs these ways.
async fn work(store: &Sqlite, first: u64, ways: &[u64]) {
    let count = ways.len() as u64;
    let numbers = || first..first + count;
    let jobs: Vec<NewJob> = numbers().map(|n| of_call(first, count, n)).collect();
    let ids: Vec<AsyncId> = jobs.iter().map(|job| job.id).collect();
    let became = store.enqueue(jobs, 9).await.expect("accepted");
    assert!(became.iter().all(|one| *one == Enqueued::Added));
    numbers().for_each(|n| say(n, Step::Accepted));
    let places = ids.iter().map(|id| id.position()).collect();
    let leased = store.lease(places, 9).await.expect("leased");
    assert!(leased.iter().all(Option::is_some));
    numbers().for_each(|n| say(n, Step::Leased));
    for ((n, id), way) in numbers().zip(ids).zip(ways) {
        match way {
            0 => {}
            1 => {
                store.requeue(id, 1, 9, true).await.expect("held");
                say(n, Step::GivenBack);
            }
            _ => {
                let end = end(n, *way == 2);
                let ended = store.finish(id, Holder::Attempt(1), end).await;
                ended.expect("held");
                say(n, Step::Ended);
            }
        }
    }
}

/// Opens the store and checks it; answers how many jobs there are.
async fn check(directory: &Path, said: &Said) -> u64 {
    let store = open(directory);
    let mut found = BTreeMap::new();
    let mut before = None;
    loop {
        let page = store.jobs(&JobFilter::default(), before, 500).await;
        let page = page.expect("a page");
        for job in page.jobs {
            found.insert(job.id.position().as_u64(), job);
        }
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    let mut totals = Totals::default();
    for (&n, job) in &found {
        let doc = std::str::from_utf8(&job.doc).expect("text");
        let numbers: Vec<u64> = doc.split(' ').map(|n| n.parse().expect("one")).collect();
        assert_eq!(numbers[2], n);
        let call = numbers[0]..numbers[0] + numbers[1];
        assert!(
            call.clone().all(|n| found.contains_key(&n)),
            "half of {call:?}"
        );
        let is_over = job.status.has_ended();
        let kept = store.body(job.id).await.expect("a read");
        let expected = (!is_over || job.dead).then(|| Content::Inline(body(n)));
        assert_eq!(kept, expected, "{job:?}");
        let answer = store.answer(job.id).await.expect("a read");
        let expected = is_over.then(|| end(n, job.dead).answer.expect("one"));
        assert_eq!(answer, expected, "{job:?}");
        assert_eq!(has(&store, &format!("ended/{n}")).await, is_over);
        assert!(job.attempt <= 1);
        totals.bytes += JOB_BYTES + job.body.bytes() + job.answer.bytes();
        *(if is_over {
            &mut totals.ended
        } else {
            &mut totals.open
        }) += 1;
        totals.last = Some(job.id.position());
    }
    for (n, step) in said {
        let job = found.get(n).expect("what was accepted is there");
        let stands = (job.status, job.attempt);
        let may = match step {
            Step::Accepted => true,
            Step::Leased => job.attempt == 1,
            Step::GivenBack => stands == (JobStatus::Queued, 1),
            Step::Ended => job.status.has_ended(),
        };
        assert!(may, "{n} was said to be {step:?}, and is {job:?}");
    }
    assert_eq!(store.totals().await.expect("a read"), totals);
    drop(store);
    let raw = Connection::open(directory.join("weir.db")).expect("a database");
    let words: String = raw
        .pragma_query_value(None, "integrity_check", |row| row.get(0))
        .expect("an answer");
    assert_eq!(words, "ok");
    let mut strays = raw.prepare("PRAGMA foreign_key_check").expect("a pragma");
    assert!(!strays.exists([]).expect("an answer"));
    found.len() as u64
}

fn rounds(rounds: u64) {
    let seed = Chance::from_os().next_u64();
    println!("seed {seed}");
    let chance = Chance::seeded(seed);
    let directory = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime");
    let (mut said, mut found) = (Said::new(), 0);
    for round in 0..rounds {
        let syncs = 1 + chance.below(12) as u32;
        let test = "crash_jobs::works_until_killed";
        let mut working = Committing::of(test, directory.path(), syncs);
        for _ in 0..1 + chance.below(150) {
            while !note(&working.line(), &mut said) {}
        }
        std::thread::sleep(Duration::from_micros(chance.below(4_000)));
        for line in working.end().split_inclusive('\n') {
            note(line, &mut said);
        }
        let before = found;
        found = runtime.block_on(check(directory.path(), &said));
        println!("round {round}: {found} found, {} told", said.len());
        assert!(found > before && found >= said.len() as u64);
    }
}

#[test]
fn killed_at_any_moment_each_job_is_where_it_was_said_to_be() {
    rounds(8);
}

#[test]
#[ignore = "the long form of the test above"]
fn killed_at_any_moment_each_job_is_where_it_was_said_to_be_100() {
    rounds(100);
}
