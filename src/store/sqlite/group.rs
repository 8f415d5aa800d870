//! A group: the batches that wait at one moment, made durable by one sync.
//!
//! ```text
//! BEGIN ─▶ SAVEPOINT, batch, RELEASE ─▶ SAVEPOINT, batch, ROLLBACK TO (refused) ─▶ ... ─▶ COMMIT
//! ```
//!
//! Nobody is answered in here. What is not known to be durable when this returns is answered as
//! failed: there is no second try at a COMMIT.

use rusqlite::{Connection, ErrorCode};

use super::{
    super::{Change, StoreError},
    batch::{Batch, Stop, Unit},
};

/// What became of a group.
pub(super) struct Ended {
    /// The revision after it.
    pub(super) revision: u64,
    /// What changed, in order.
    pub(super) changes: Vec<Change>,
    /// What became of each batch, in the group's order.
    pub(super) batches: Vec<Result<(), Stop>>,
    /// Whether anything was written, and a sync done for it.
    pub(super) synced: bool,
}

enum Attempt {
    Ended(Ended),
    /// This batch found no room, and SQLite rolled back the whole transaction with it.
    TookAllAlong(usize),
}

/// Runs the batches in one transaction and commits it.
///
/// # Errors
/// The connection can no longer be trusted, and what of the group was written is not known.
pub(super) fn run(
    sql: &Connection,
    units: &mut [Box<dyn Unit>],
    revision: u64,
) -> Result<Ended, rusqlite::Error> {
    let mut full = vec![false; units.len()];
    loop {
        match attempt(sql, units, revision, &full)? {
            Attempt::Ended(ended) => return Ok(ended),
            // The others did nothing wrong, and nobody has been told anything: once more without
            // this one. Each turn leaves one more out, so there is an end.
            Attempt::TookAllAlong(at) => full[at] = true,
        }
    }
}

fn attempt(
    sql: &Connection,
    units: &mut [Box<dyn Unit>],
    before: u64,
    full: &[bool],
) -> Result<Attempt, rusqlite::Error> {
    // At once for writing: a later change of mind could fail half-way.
    sql.execute_batch("BEGIN IMMEDIATE")?;
    let mut ended = Ended {
        revision: before,
        changes: Vec::new(),
        batches: Vec::with_capacity(units.len()),
        synced: false,
    };
    for (at, unit) in units.iter_mut().enumerate() {
        if full[at] {
            ended.batches.push(Err(no_room()));
            continue;
        }
        sql.prepare_cached("SAVEPOINT batch")?.execute([])?;
        let rows = sql.total_changes();
        let mut batch = Batch::new(sql, ended.revision);
        let stop = match unit.run(&mut batch) {
            Ok(()) => {
                let (revision, changes) = batch.finish();
                sql.prepare_cached("RELEASE batch")?.execute([])?;
                ended.synced |= revision != ended.revision || sql.total_changes() != rows;
                ended.revision = revision;
                ended.changes.extend(changes);
                ended.batches.push(Ok(()));
                continue;
            }
            Err(Stop::Sql(error)) if is_full(&error) => no_room(),
            Err(Stop::Sql(error)) => return Err(error),
            Err(refusal) => refusal,
        };
        if sql.is_autocommit() {
            return Ok(Attempt::TookAllAlong(at));
        }
        sql.execute_batch("ROLLBACK TO batch; RELEASE batch")?;
        ended.batches.push(Err(stop));
    }
    if !ended.synced {
        sql.execute_batch("ROLLBACK")?;
        return Ok(Attempt::Ended(ended));
    }
    match commit(sql, before, ended.revision) {
        Ok(()) => Ok(Attempt::Ended(ended)),
        // The log's last frame, which makes the others count, found no room: nothing was written.
        Err(error) if is_full(&error) => {
            if !sql.is_autocommit() {
                sql.execute_batch("ROLLBACK")?;
            }
            let none = |batch: Result<(), Stop>| batch.and_then(|()| Err(no_room()));
            Ok(Attempt::Ended(Ended {
                revision: before,
                changes: Vec::new(),
                batches: ended.batches.into_iter().map(none).collect(),
                synced: false,
            }))
        }
        Err(error) => Err(error),
    }
}

fn commit(sql: &Connection, before: u64, after: u64) -> Result<(), rusqlite::Error> {
    if after != before {
        // The number passes 2^63 after nine million years at a million commits a minute.
        sql.prepare_cached("UPDATE meta SET value = ?1 WHERE name = 'revision'")?
            .execute([i64::try_from(after).unwrap_or(i64::MAX)])?;
    }
    sql.execute_batch("COMMIT")
}

fn no_room() -> Stop {
    Stop::Store(StoreError::Full(
        "no room for what was to be written".into(),
    ))
}

fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}
