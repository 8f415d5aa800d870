//! A process that commits is killed at any moment; what it was told is there.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Read, Write as _},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use rusqlite::Connection;
use tokio::task::JoinSet;

use super::*;
use crate::base::chance::Chance;

pub(super) const DIRECTORY: &str = "WEIR_TEST_STORE_CRASH";
pub(super) const CHECKPOINTS: &str = "WEIR_TEST_STORE_CHECKPOINTS";
const TASKS: u64 = 8;

/// What was acknowledged: the revision of batch `n` of a task.
pub(super) type Acknowledged = BTreeMap<(u64, u64), u64>;

/// A process that commits until it is killed.
pub(super) struct Committing {
    pub(super) child: Child,
    lines: BufReader<ChildStdout>,
}

// === impl Committing ===

impl Committing {
    pub(super) fn start(directory: &Path, checkpoint_syncs: u32) -> Self {
        Self::of("crash::commits_until_killed", directory, checkpoint_syncs)
    }

    /// The same with another test in the child.
    pub(super) fn of(test: &str, directory: &Path, checkpoint_syncs: u32) -> Self {
        let this = env::current_exe().expect("a test binary");
        let mut child = Command::new(this)
            .arg(format!("store::sqlite::tests::{test}"))
            .args(["--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(DIRECTORY, directory)
            .env(CHECKPOINTS, checkpoint_syncs.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("a child");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, lines }
    }

    /// Waits for so many acknowledgements.
    pub(super) fn take(&mut self, count: u64, acknowledged: &mut Acknowledged) {
        for _ in 0..count {
            while !note(&self.line(), acknowledged) {}
        }
    }

    pub(super) fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).expect("a line");
        assert!(read > 0, "the child ended by itself");
        line
    }

    /// Kills it; what it had said by then counts.
    pub(super) fn kill(self, acknowledged: &mut Acknowledged) {
        for line in self.end().split_inclusive('\n') {
            note(line, acknowledged);
        }
    }

    /// Kills it; answers what it had said by then and was not read.
    pub(super) fn end(mut self) -> String {
        self.child.kill().expect("alive");
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).expect("lines");
        self.child.wait().expect("dead");
        rest
    }
}

/// Notes a line that acknowledges; others are the test harness's.
fn note(line: &str, acknowledged: &mut Acknowledged) -> bool {
    let Some(line) = line.strip_suffix('\n') else {
        return false;
    };
    let Some((_, numbers)) = line.split_once("ack ") else {
        return false;
    };
    let numbers: Vec<u64> = numbers
        .split(' ')
        .map(|number| number.parse().expect("a number"))
        .collect();
    let known = acknowledged.insert((numbers[0], numbers[1]), numbers[2]);
    assert_eq!(known, None, "batch {numbers:?} was acknowledged before");
    true
}

/// The child: several tasks, each of which writes numbered batches of five writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "is run, and killed, by other tests"]
async fn commits_until_killed() {
    let Ok(directory) = env::var(DIRECTORY) else {
        return;
    };
    let syncs = env::var(CHECKPOINTS).expect("given with the directory");
    let options = SqliteOptions {
        checkpoint_syncs: syncs.parse().expect("a number"),
        ..SqliteOptions::default()
    };
    let store = Sqlite::open(Path::new(&directory), options).expect("a store");
    let store = Arc::new(store);
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let chance = Chance::from_os();
            let mut n = count(&store, task).await;
            loop {
                // Small ones, and some over several pages.
                let size = 1 << chance.below(15);
                let value = Bytes::from(vec![n as u8; size]);
                let batch = vec![
                    put(&format!("{task}/a/{n:08}"), value.clone()),
                    Write::Append {
                        topic: task.to_string(),
                        value: n.to_string().into(),
                    },
                    put(&format!("{task}/count"), (n + 1).to_string()),
                    put("last", format!("{task}/{n}")),
                    put(&format!("{task}/b/{n:08}"), value),
                ];
                let revision = store.commit(batch).await.expect("written");
                let mut out = std::io::stdout().lock();
                writeln!(out, "ack {task} {n} {revision}").expect("a parent");
                out.flush().expect("a parent");
                n += 1;
            }
        });
    }
    tasks.join_all().await;
}

async fn count(store: &Sqlite, task: u64) -> u64 {
    let record = store.get(&format!("{task}/count")).await.expect("a read");
    record.map_or(0, |record| {
        let text = std::str::from_utf8(&record.value).expect("text");
        text.parse().expect("a number")
    })
}

/// Opens the store and checks it: all that was acknowledged is there, nothing is there in part.
/// Answers the batches that were found; there are no gaps, so that is the last revision too.
pub(super) fn check(directory: &Path, acknowledged: &Acknowledged) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let found = runtime.expect("a runtime").block_on(async {
        let store = open(directory);
        let mut revisions = Vec::new();
        for task in 0..TASKS {
            let count = count(&store, task).await;
            let first = all(&store, &format!("{task}/a/")).await;
            let second = all(&store, &format!("{task}/b/")).await;
            let log = store
                .range(&task.to_string(), None, usize::MAX, Order::Up)
                .await;
            let log = log.expect("a read");
            let lengths = [first.len(), second.len(), log.len()].map(|len| len as u64);
            assert_eq!(lengths, [count; 3], "task {task} has half a batch");
            for (n, (first, second)) in (0..).zip(first.iter().zip(&second)) {
                assert_eq!(first.key, format!("{task}/a/{n:08}"));
                assert_eq!(second.key, format!("{task}/b/{n:08}"));
                assert_eq!(first.revision, second.revision);
                assert_eq!(first.value, second.value);
                assert_eq!(log[n as usize].value, n.to_string());
                if let Some(&told) = acknowledged.get(&(task, n)) {
                    assert_eq!(first.revision.0, told);
                }
                revisions.push(first.revision.0);
            }
            let acknowledged = acknowledged.range((task, 0)..=(task, u64::MAX));
            if let Some((&(_, last), _)) = acknowledged.last() {
                assert!(last < count, "batch {last} of task {task} is lost");
            }
        }
        revisions.sort_unstable();
        let expected: Vec<u64> = (1..=revisions.len() as u64).collect();
        assert_eq!(revisions, expected, "a prefix of all commits");
        if let Some(&last) = revisions.last() {
            let record = store.get("last").await.expect("a read").expect("there");
            assert_eq!(record.revision.0, last);
        }
        revisions.len() as u64
    });
    let raw = Connection::open(directory.join("weir.db")).expect("a database");
    let words: String = raw
        .pragma_query_value(None, "integrity_check", |row| row.get(0))
        .expect("an answer");
    assert_eq!(words, "ok");
    found
}

fn rounds(rounds: u64) {
    let seed = Chance::from_os().next_u64();
    println!("seed {seed}");
    let chance = Chance::seeded(seed);
    let directory = tempfile::tempdir().expect("a directory");
    let mut acknowledged = Acknowledged::new();
    let mut found = 0;
    for round in 0..rounds {
        // Often enough that some die in the middle of it.
        let mut committing = Committing::start(directory.path(), 1 + chance.below(12) as u32);
        committing.take(1 + chance.below(150), &mut acknowledged);
        std::thread::sleep(Duration::from_micros(chance.below(4_000)));
        committing.kill(&mut acknowledged);
        let before = found;
        found = check(directory.path(), &acknowledged);
        let told = acknowledged.len() as u64;
        println!("round {round}: {found} found, {told} acknowledged");
        assert!(found > before && found >= told);
        // At most one batch of each task was on its way when it died.
        assert!(found - told <= (round + 1) * TASKS);
    }
}

#[test]
fn another_process_is_refused_until_this_one_is_dead() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut acknowledged = Acknowledged::new();
    let mut committing = Committing::start(directory.path(), 5);
    committing.take(5, &mut acknowledged);
    let refused = Sqlite::open(directory.path(), SqliteOptions::default());
    assert!(matches!(refused, Err(OpenError::Taken(_))), "{refused:?}");
    committing.take(5, &mut acknowledged);
    committing.kill(&mut acknowledged);
    check(directory.path(), &acknowledged);
}

#[test]
fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    rounds(10);
}

#[test]
#[ignore = "the long form of the test above"]
fn killed_at_any_moment_nothing_acknowledged_is_lost_100() {
    rounds(100);
}
