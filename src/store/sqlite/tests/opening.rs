use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use rusqlite::Connection;

use super::{super::schema, *};
use crate::store::OpenError;

fn refused(directory: &Path) -> OpenError {
    Sqlite::open(directory, SqliteOptions::default()).expect_err("refused")
}

#[tokio::test]
async fn what_was_written_is_there_when_it_is_opened_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let first = store.commit(vec![put("a", "1")]).await.expect("written");
    for name in ["weir.db", "weir.db-wal", "weir.db-shm", "weir.db-lock"] {
        let metadata = fs::metadata(directory.path().join(name)).expect(name);
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
    drop(store);
    let store = open(directory.path());
    assert!(has(&store, "a").await);
    let second = store.commit(vec![put("b", "1")]).await.expect("written");
    assert_eq!(second.0, first.0 + 1, "revisions go on");
}

#[tokio::test]
async fn one_at_a_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let error = refused(directory.path());
    assert!(matches!(error, OpenError::Taken(_)), "{error}");
    assert!(error.to_string().contains("weir.db is in use"), "{error}");
    store.commit(vec![put("a", "1")]).await.expect("unharmed");
    drop(store);
    open(directory.path());
}

#[tokio::test]
async fn commits_are_synced_and_readers_cannot_write() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let pragma = |sql: &Connection, name: &str| -> Result<i64, rusqlite::Error> {
        sql.pragma_query_value(None, name, |row| row.get(0))
    };
    let read = move |batch: &mut Batch<'_>| {
        let mode: String = batch
            .sql
            .pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        let names = ["synchronous", "foreign_keys", "trusted_schema", "mmap_size"];
        let mut values = Vec::new();
        for name in names {
            // A pragma that is compiled out gives no row: as good as 0.
            values.push(pragma(batch.sql, name).unwrap_or(0));
        }
        Ok((mode, values))
    };
    let (mode, values) = store.writer.ask(read).await.expect("an answer");
    assert_eq!((mode.as_str(), values), ("wal", vec![2, 1, 0, 0]));
    let written = store
        .readers
        .read(|sql| sql.execute("DELETE FROM records", []));
    assert!(matches!(written.await, Err(StoreError::Unavailable(_))));
}

#[test]
fn a_newer_store_is_refused_and_left_untouched() {
    let directory = tempfile::tempdir().expect("a directory");
    drop(open(directory.path()));
    let file = directory.path().join("weir.db");
    let newer = schema::version() + 1;
    Connection::open(&file)
        .and_then(|connection| connection.pragma_update(None, "user_version", newer))
        .expect("a newer schema");
    let before = fs::read(&file).expect("a file");
    let error = refused(directory.path());
    assert!(matches!(error, OpenError::Newer { .. }), "{error}");
    assert!(error.to_string().contains("newer weir"), "{error}");
    assert_eq!(fs::read(&file).expect("a file"), before);
}

#[test]
fn what_is_not_ours_is_refused_and_left_untouched() {
    let foreign = |path: &Path| {
        let connection = Connection::open(path).expect("a database");
        let made =
            connection.execute_batch("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)");
        made.expect("a table");
    };
    let text = |path: &Path| fs::write(path, "not a database. ".repeat(400)).expect("a file");
    let makers: [&dyn Fn(&Path); 2] = [&foreign, &text];
    for make in makers {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("weir.db");
        make(&file);
        let before = fs::read(&file).expect("a file");
        let error = refused(directory.path());
        assert!(matches!(error, OpenError::NotOurs(_)), "{error}");
        assert!(
            error.to_string().contains("weir.db is not a store"),
            "{error}"
        );
        assert_eq!(fs::read(&file).expect("a file"), before);
    }
}

#[test]
fn a_damaged_store_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    drop(open(directory.path()));
    let file = directory.path().join("weir.db");
    // The root of the table of tables; the header stays.
    let mut bytes = fs::read(&file).expect("a file");
    bytes[100..200].fill(0xff);
    fs::write(&file, &bytes).expect("damage");
    let error = refused(directory.path());
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("weir.db is damaged"), "{error}");
    assert_eq!(fs::read(&file).expect("a file"), bytes);
}

#[test]
fn a_file_cut_short_while_it_was_made_is_made_anew() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("weir.db"), "").expect("an empty file");
    open(directory.path());
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let error = refused(&directory.path().join("absent"));
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
    assert!(error.to_string().contains("absent"), "{error}");
}

#[tokio::test]
async fn a_hundred_thousand_records_are_listed_in_pages() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let batch: Vec<Write> = (0..100_000)
        .map(|n| {
            put(
                &format!("keys/{n:06}"),
                "a value of some length, as they are",
            )
        })
        .collect();
    let began = std::time::Instant::now();
    store.commit(batch).await.expect("written");
    println!("written in {:?}", began.elapsed());
    let began = std::time::Instant::now();
    let listed = all(&store, "keys/").await;
    println!("listed {} in {:?}", listed.len(), began.elapsed());
    assert_eq!(listed.len(), 100_000);
    assert!(listed.is_sorted_by(|a, b| a.key < b.key));
}
