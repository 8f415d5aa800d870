//! A disk that refuses to write: a limit on the size of files, set while a store is at work. The
//! limit is on the whole process, so this runs in one of its own.

use std::{
    env,
    process::{Command, Stdio},
    time::Duration,
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::*;

const DIRECTORY: &str = "WEIR_TEST_STORE_FAILING";

#[test]
fn a_disk_that_fails_loses_nothing_that_was_acknowledged() {
    let directory = tempfile::tempdir().expect("a directory");
    let this = env::current_exe().expect("a test binary");
    // The signal that comes with a refused write is ignored from the start, as only a shell can
    // without unsafe code; what is left is the error.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(this)
        .args(["store::sqlite::tests::failing::on_a_disk_that_fails"])
        .args(["--exact", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory.path())
        .stdin(Stdio::null())
        .output()
        .expect("a child");
    let words = [output.stdout, output.stderr].concat();
    let words = String::from_utf8_lossy(&words);
    assert!(output.status.success(), "{words}");
    assert!(words.contains("went through all of it"), "{words}");
}

fn limit_files(bytes: Option<u64>) {
    let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).expect("a limit");
    setrlimit(Resource::RLIMIT_FSIZE, bytes.unwrap_or(hard), hard).expect("a limit");
}

/// Both records of batch `n`, or none.
async fn whole(store: &Sqlite, n: u64) -> Option<Revision> {
    let first = store.get(&format!("a/{n:04}")).await.expect("reads go on");
    let second = store.get(&format!("b/{n:04}")).await.expect("reads go on");
    let revisions = [first, second].map(|record| record.map(|record| record.revision));
    assert_eq!(revisions[0], revisions[1], "half of batch {n}");
    revisions[0]
}

#[tokio::test]
#[ignore = "is run by the test above"]
async fn on_a_disk_that_fails() {
    let Ok(directory) = env::var(DIRECTORY) else {
        return;
    };
    let options = SqliteOptions {
        reopen_pause_ms: 10,
        ..SqliteOptions::default()
    };
    let store = Sqlite::open(Path::new(&directory), options).expect("a store");
    let value = Bytes::from(vec![7; 10 << 10]);
    let batch = |n| {
        let value = value.clone();
        vec![
            put(&format!("a/{n:04}"), value.clone()),
            put(&format!("b/{n:04}"), value),
        ]
    };
    let mut told: Vec<Option<Revision>> = Vec::new();
    for n in 0..5 {
        told.push(Some(store.commit(batch(n)).await.expect("written")));
    }
    // At first only the log meets the limit, and the store comes back by moving what is in it to
    // its place; in the end that place meets it too.
    limit_files(Some(512 << 10));
    let mut failed = 0;
    while store.available() || failed < 3 {
        let n = told.len() as u64;
        assert!(n < 1_000, "it never failed for good");
        let answer = store.commit(batch(n)).await;
        match answer {
            Ok(revision) => told.push(Some(revision)),
            Err(CommitError::Store(StoreError::Unavailable(_) | StoreError::Full(_))) => {
                failed += 1;
                told.push(None);
            }
            Err(error) => panic!("{error}"),
        }
    }
    for (n, told) in (0..).zip(&told) {
        let found = whole(&store, n).await;
        assert!(told.is_none() || found == *told, "batch {n}: {found:?}");
    }
    limit_files(None);
    while !store.available() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let next = store.commit(batch(5_000)).await.expect("back");
    drop(store);
    let store = open(Path::new(&directory));
    assert_eq!(whole(&store, 5_000).await, Some(next));
    let mut last = Revision(0);
    for (n, told) in (0..).zip(&told) {
        let found = whole(&store, n).await;
        assert!(told.is_none() || found == *told, "batch {n}: {found:?}");
        if let Some(found) = found {
            assert!(found > last && found < next);
            last = found;
        }
    }
    let written = told.iter().flatten().count();
    println!("went through all of it: {written} written, {failed} failed");
}
