//! The tables, as the list of steps that led to them. A step that was released is never edited: a
//! change is a further step.

use rusqlite::{Connection, TransactionBehavior};

/// "weir" in ASCII, in the file's header: how a file is known to be ours.
pub(super) const APPLICATION_ID: i32 = 0x7765_6972;

/// Step `n` leads from version `n` to version `n + 1`.
const STEPS: &[&str] = &[FIRST, REQUESTS];

/// Keys, topics, ids and lanes are blobs: their order is that of their bytes, and the end of a
/// prefix's range need not be text.
const FIRST: &str = "
    CREATE TABLE meta (
        name TEXT PRIMARY KEY,
        value INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO meta (name, value) VALUES ('revision', 0);

    CREATE TABLE records (
        key BLOB PRIMARY KEY,
        revision INTEGER NOT NULL,
        value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE topics (
        id INTEGER PRIMARY KEY,
        topic BLOB NOT NULL UNIQUE,
        last INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE entries (
        topic INTEGER NOT NULL REFERENCES topics (id),
        sequence INTEGER NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (topic, sequence)
    ) STRICT, WITHOUT ROWID;

    -- The lane with the smallest turn is served next, and then has the largest.
    CREATE TABLE lanes (
        id INTEGER PRIMARY KEY,
        lane BLOB NOT NULL UNIQUE,
        turn INTEGER NOT NULL UNIQUE
    ) STRICT;
    -- ready_at_ms: when it is due, or when its lease ends.
    CREATE TABLE jobs (
        position INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        lane INTEGER NOT NULL REFERENCES lanes (id),
        ready_at_ms INTEGER NOT NULL,
        leased INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        payload BLOB NOT NULL
    ) STRICT;
    CREATE INDEX jobs_by_lane ON jobs (lane, position, ready_at_ms);
    CREATE INDEX jobs_by_ready ON jobs (ready_at_ms);
    CREATE INDEX jobs_leased ON jobs (leased) WHERE leased = 1;
";

/// Async requests. Nothing wrote to the first tables of jobs before they were replaced.
///
/// Each row but those of `jobs` is written once. Kinds of a status and of what is kept are numbers:
/// `jobs/rows.rs` names them.
const REQUESTS: &str = "
    DROP TABLE jobs;
    DROP TABLE lanes;

    CREATE TABLE lanes (
        id INTEGER PRIMARY KEY,
        deployment BLOB NOT NULL,
        life INTEGER NOT NULL,
        owner BLOB NOT NULL,
        UNIQUE (deployment, life, owner)
    ) STRICT;
    CREATE INDEX lanes_by_owner ON lanes (owner);

    -- All that are kept.
    CREATE TABLE requests (
        position INTEGER PRIMARY KEY,
        tag BLOB NOT NULL,
        lane INTEGER NOT NULL,
        deadline_at_ms INTEGER NOT NULL,
        body_kept INTEGER NOT NULL,
        body_bytes INTEGER NOT NULL,
        doc BLOB NOT NULL
    ) STRICT;
    -- The same by lane: each is in one of the two. An index would have a page changed for nearly each
    -- request, since the next one is of another lane; in the first, which is small, they share pages
    -- until a lane has some to be moved together.
    CREATE TABLE arrived (
        lane INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (lane, position)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE listed (
        lane INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (lane, position)
    ) STRICT, WITHOUT ROWID;

    -- Beside it: those that have not ended. due_at_ms: when it may run, or when its lease ends.
    CREATE TABLE jobs (
        position INTEGER PRIMARY KEY,
        lane INTEGER NOT NULL,
        status INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        due_at_ms INTEGER NOT NULL,
        deadline_at_ms INTEGER NOT NULL,
        weight INTEGER NOT NULL,
        body_bytes INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX jobs_by_deadline ON jobs (deadline_at_ms);
    CREATE INDEX jobs_running ON jobs (due_at_ms) WHERE status = 1;

    -- And those that have, with what is still kept of their bodies.
    CREATE TABLE ends (
        position INTEGER PRIMARY KEY,
        lane INTEGER NOT NULL,
        status INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        forget_at_ms INTEGER NOT NULL,
        dead INTEGER NOT NULL,
        body_kept INTEGER NOT NULL,
        body_bytes INTEGER NOT NULL,
        answer_kept INTEGER NOT NULL,
        answer_bytes INTEGER NOT NULL,
        doc BLOB NOT NULL
    ) STRICT;
    CREATE INDEX ends_by_time ON ends (forget_at_ms);
    CREATE INDEX ends_dead ON ends (dead) WHERE dead = 1;
    CREATE INDEX ends_dead_by_lane ON ends (lane) WHERE dead = 1;

    CREATE TABLE bodies (
        position INTEGER PRIMARY KEY,
        body BLOB NOT NULL
    ) STRICT;
    CREATE TABLE answers (
        position INTEGER PRIMARY KEY,
        head BLOB NOT NULL,
        body BLOB
    ) STRICT;

    CREATE TABLE once (
        token BLOB PRIMARY KEY,
        fingerprint BLOB NOT NULL,
        position INTEGER NOT NULL,
        tag BLOB NOT NULL,
        until_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX once_by_time ON once (until_ms);
";

/// The version that this program reads and writes.
pub(super) fn version() -> i64 {
    STEPS.len() as i64
}

/// Takes the file from its version to this program's, each step in one transaction.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), rusqlite::Error> {
    migrate_by(connection, STEPS)
}

fn migrate_by(connection: &mut Connection, steps: &[&str]) -> Result<(), rusqlite::Error> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let found = usize::try_from(found).unwrap_or(0);
    for (at, step) in steps.iter().enumerate().skip(found) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        // Both stand in the header, and are as much of the transaction as the tables.
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", at as i64 + 1)?;
        transaction.commit()?;
        tracing::info!(version = at + 1, "store: schema brought up");
    }
    Ok(())
}

/// A file as the first release made it.
#[cfg(test)]
pub(super) fn first_alone(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.execute_batch(FIRST)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version_of(connection: &Connection) -> i64 {
        let read = connection.pragma_query_value(None, "user_version", |row| row.get(0));
        read.expect("a version")
    }

    #[test]
    fn steps_are_taken_once_and_in_order_and_a_failing_one_leaves_nothing() {
        let mut connection = Connection::open_in_memory().expect("memory");
        let first = "CREATE TABLE one (a INTEGER) STRICT;";
        let second = "INSERT INTO one VALUES (2);";
        let third = "INSERT INTO one VALUES (3); INSERT INTO absent VALUES (1);";
        migrate_by(&mut connection, &[first]).expect("one step");
        assert_eq!(version_of(&connection), 1);
        migrate_by(&mut connection, &[first, second]).expect("the step that is new");
        migrate_by(&mut connection, &[first, second]).expect("nothing to do");
        assert_eq!(version_of(&connection), 2);
        migrate_by(&mut connection, &[first, second, third]).expect_err("no such table");
        assert_eq!(version_of(&connection), 2);
        let sum: i64 = connection
            .query_row("SELECT sum(a) FROM one", [], |row| row.get(0))
            .expect("a sum");
        assert_eq!(sum, 2, "the failed step took its first half back");
    }
}
