//! The journal, in SQL. The entries of a topic are those from some sequence up to its last without
//! a gap, since only the oldest are ever taken away; the last is kept beside them, so that none is
//! used twice.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    super::{Entry, Order},
    batch::{Batch, Stop},
    records::{limited, value},
};

/// Entries that one batch takes away, so that a long trim does not hold up commits.
pub(super) const TRIM_AT_ONCE: u64 = 5_000;

/// Appends entries; answers the sequence of the last.
pub(super) fn append(
    batch: &mut Batch<'_>,
    topic: &str,
    entries: &[Bytes],
) -> Result<u64, rusqlite::Error> {
    batch.revision();
    let (topic, last): (i64, u64) = batch
        .sql
        .prepare_cached(
            "INSERT INTO topics (topic, last) VALUES (?1, ?2)
             ON CONFLICT (topic) DO UPDATE SET last = last + excluded.last RETURNING id, last",
        )?
        .query_row(params![topic.as_bytes(), limited(entries.len())], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let first = last + 1 - entries.len() as u64;
    let mut insert = batch
        .sql
        .prepare_cached("INSERT INTO entries (topic, sequence, value) VALUES (?1, ?2, ?3)")?;
    for (sequence, entry) in (first..).zip(entries) {
        insert.execute(params![topic, sequence, entry.as_ref()])?;
    }
    Ok(last)
}

pub(super) fn range(
    sql: &Connection,
    topic: &str,
    after: Option<u64>,
    limit: usize,
    order: Order,
) -> Result<Vec<Entry>, rusqlite::Error> {
    let (text, start) = match order {
        Order::Up => (
            "SELECT sequence, value FROM entries
             WHERE topic = (SELECT id FROM topics WHERE topic = ?1) AND sequence > ?2
             ORDER BY sequence LIMIT ?3",
            0,
        ),
        Order::Down => (
            "SELECT sequence, value FROM entries
             WHERE topic = (SELECT id FROM topics WHERE topic = ?1) AND sequence < ?2
             ORDER BY sequence DESC LIMIT ?3",
            i64::MAX,
        ),
    };
    let after = after.map_or(start, |after| i64::try_from(after).unwrap_or(i64::MAX));
    let mut statement = sql.prepare_cached(text)?;
    let rows = statement.query_map(params![topic.as_bytes(), after, limited(limit)], |row| {
        Ok(Entry {
            sequence: row.get(0)?,
            value: value(row, 1)?,
        })
    })?;
    rows.collect()
}

/// Takes away some of the oldest entries while more than `keep` are there; answers how many. Fewer
/// than [`TRIM_AT_ONCE`]: that was all.
pub(super) fn trim(batch: &mut Batch<'_>, topic: &str, keep: u64) -> Result<u64, Stop> {
    let ends: Option<(i64, u64, Option<u64>)> = batch
        .sql
        .prepare_cached(
            "SELECT id, last, (SELECT min(sequence) FROM entries WHERE entries.topic = topics.id)
             FROM topics WHERE topic = ?1",
        )?
        .query_row([topic.as_bytes()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((topic, last, Some(first))) = ends else {
        return Ok(0);
    };
    let to = last.saturating_sub(keep).min(first - 1 + TRIM_AT_ONCE);
    let gone = batch
        .sql
        .prepare_cached("DELETE FROM entries WHERE topic = ?1 AND sequence <= ?2")?
        .execute(params![topic, to])?;
    Ok(gone as u64)
}
