use std::{sync::Arc, time::Duration};

use rusqlite::{Connection, ffi};
use tokio::{sync::broadcast::error::RecvError, task::JoinSet};

use super::{
    super::batch::{Batch, Stop},
    *,
};

fn quick(directory: &Path) -> Sqlite {
    let options = SqliteOptions {
        reopen_pause_ms: 20,
        ..SqliteOptions::default()
    };
    Sqlite::open(directory, options).expect("a store")
}

fn is_unavailable<T>(result: &Result<T, CommitError>) -> bool {
    matches!(result, Err(CommitError::Store(StoreError::Unavailable(_))))
}

/// Work whose COMMIT fails: its entry belongs to no topic, which is looked at in the end.
fn spoiled(batch: &mut Batch<'_>) -> Result<(), Stop> {
    batch.sql.execute_batch(
        "PRAGMA defer_foreign_keys = ON; INSERT INTO entries VALUES (999, 1, x'00')",
    )?;
    Ok(())
}

/// Asks for commits while the writer is held, spoils the group, and gives their answers.
async fn in_one_group(
    store: &Arc<Sqlite>,
    spoil: fn(&mut Batch<'_>) -> Result<(), Stop>,
) -> Vec<Result<Revision, CommitError>> {
    let mut holding = JoinSet::new();
    let release = hold(store, &mut holding).await;
    let mut commits = JoinSet::new();
    for n in 0..5 {
        let store = Arc::clone(store);
        commits.spawn(async move { store.commit(vec![put(&format!("lost/{n}"), "v")]).await });
    }
    let spoiler = Arc::clone(store);
    holding.spawn(async move {
        let answer = spoiler.writer.ask(spoil).await;
        let Err(Stop::Store(StoreError::Unavailable(_))) = answer else {
            panic!("{answer:?}");
        };
    });
    let_in_group(release).await;
    holding.join_all().await;
    commits.join_all().await
}

#[tokio::test]
async fn a_failed_commit_acknowledges_nobody_and_the_store_comes_back() {
    let panics = |_: &mut Batch<'_>| -> Result<(), Stop> { panic!("on purpose") };
    let sync_fails = |_: &mut Batch<'_>| -> Result<(), Stop> {
        let error = ffi::Error::new(ffi::SQLITE_IOERR_FSYNC);
        Err(Stop::Sql(rusqlite::Error::SqliteFailure(error, None)))
    };
    for spoil in [spoiled, panics, sync_fails] {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Arc::new(quick(directory.path()));
        let kept = store.commit(vec![put("kept", "v")]).await.expect("written");
        let mut watch = store.watch("");
        let answers = in_one_group(&store, spoil).await;
        assert_eq!(answers.len(), 5);
        assert!(answers.iter().all(is_unavailable), "{answers:?}");
        // It was back before anybody was told.
        assert!(store.available());
        assert_eq!(all(&store, "").await.len(), 1, "the group left nothing");
        let next = store.commit(vec![put("next", "v")]).await.expect("written");
        assert_eq!(next.0, kept.0 + 1);
        let change = watch.next().await.expect("a change");
        assert_eq!((change.key.as_str(), change.revision), ("next", next));
    }
}

#[tokio::test]
async fn out_of_service_it_reads_and_refuses_until_its_file_is_free() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Arc::new(quick(directory.path()));
    store.commit(vec![put("kept", "v")]).await.expect("written");
    // Work done by a stranger in the middle: its lock keeps the store from coming back.
    let file = directory.path().join("weir.db");
    let (locked, is_locked) = std::sync::mpsc::channel();
    let broken = Arc::clone(&store);
    let mut failing = JoinSet::new();
    failing.spawn(async move {
        let work = move |batch: &mut Batch<'_>| -> Result<(), Stop> {
            batch.sql.execute_batch("ROLLBACK")?;
            let stranger = Connection::open(&file)?;
            stranger.execute_batch("BEGIN IMMEDIATE")?;
            locked.send(stranger).expect("waited for");
            let error = ffi::Error::new(ffi::SQLITE_IOERR_FSYNC);
            Err(Stop::Sql(rusqlite::Error::SqliteFailure(error, None)))
        };
        broken.writer.ask(work).await.expect_err("failed");
    });
    let stranger = tokio::task::spawn_blocking(move || is_locked.recv()).await;
    let stranger = stranger.expect("no panic").expect("a lock");
    failing.join_all().await;
    assert!(!store.available());
    assert!(has(&store, "kept").await, "reads go on");
    let refused = store.commit(vec![put("refused", "v")]).await;
    assert!(is_unavailable(&refused), "{refused:?}");
    stranger.execute_batch("ROLLBACK").expect("free");
    while !store.available() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!has(&store, "refused").await);
    store.commit(vec![put("again", "v")]).await.expect("back");
}

#[tokio::test]
async fn watchers_begin_anew_when_a_given_up_commit_has_happened() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Arc::new(quick(directory.path()));
    store.commit(vec![put("a", "v")]).await.expect("written");
    let mut watch = store.watch("");
    // Durable, and yet reported as failed: what a sync that fails too late looks like.
    let work = |batch: &mut Batch<'_>| -> Result<(), Stop> {
        batch.sql.execute_batch(
            "INSERT INTO records VALUES (x'62', 2, x'');
             UPDATE meta SET value = 2 WHERE name = 'revision'; COMMIT",
        )?;
        let error = ffi::Error::new(ffi::SQLITE_IOERR_FSYNC);
        Err(Stop::Sql(rusqlite::Error::SqliteFailure(error, None)))
    };
    store.writer.ask(work).await.expect_err("not known");
    let next = tokio::time::timeout(Duration::from_secs(5), watch.next()).await;
    assert_eq!(next.expect("told"), Err(RecvError::Closed));
    assert!(has(&store, "b").await);
    let mut watch = store.watch("");
    let next = store.commit(vec![put("c", "v")]).await.expect("written");
    assert_eq!(next, Revision(3));
    assert_eq!(watch.next().await.expect("a change").key, "c");
}

#[tokio::test]
async fn a_full_store_writes_nothing_and_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let limited = SqliteOptions {
        bytes_max: Some(1 << 20),
        ..SqliteOptions::default()
    };
    let store = Arc::new(Sqlite::open(directory.path(), limited).expect("a store"));
    let large = || Bytes::from(vec![7; 900 << 10]);
    store
        .commit(vec![put("large", large())])
        .await
        .expect("room");
    let batch = vec![put("small", "v"), put("large2", large())];
    let full = store.commit(batch).await;
    assert!(
        matches!(full, Err(CommitError::Store(StoreError::Full(_)))),
        "{full:?}"
    );
    assert!(!has(&store, "small").await, "nothing of it was written");
    assert!(store.available());

    // In one group, those that fit are written; only the large ones are turned away.
    let mut tasks = JoinSet::new();
    let release = hold(&store, &mut tasks).await;
    let mut commits = JoinSet::new();
    for n in 0..6 {
        let store = Arc::clone(&store);
        let value = if n % 2 == 0 { large() } else { "v".into() };
        commits.spawn(async move {
            let answer = store.commit(vec![put(&format!("group/{n}"), value)]).await;
            (n, answer)
        });
    }
    let_in_group(release).await;
    tasks.join_all().await;
    let mut revisions = Vec::new();
    for (n, answer) in commits.join_all().await {
        match answer {
            Ok(revision) => {
                assert_eq!(n % 2, 1);
                revisions.push(revision.0);
            }
            Err(CommitError::Store(StoreError::Full(_))) => assert_eq!(n % 2, 0),
            Err(error) => panic!("{error}"),
        }
    }
    revisions.sort_unstable();
    assert_eq!(revisions, [2, 3, 4], "the full ones used up no number");
    assert_eq!(all(&store, "group/").await.len(), 3);

    // Room is made by taking away, or by allowing more.
    let key = "large".into();
    let condition = If::Any;
    let gone = vec![Write::Delete { key, condition }];
    store.commit(gone).await.expect("less is always possible");
    store
        .commit(vec![put("large2", large())])
        .await
        .expect("room");
    drop(store);
    let store = open(directory.path());
    store
        .commit(vec![put("large3", large())])
        .await
        .expect("room");
}
