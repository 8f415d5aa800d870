//! Records, in SQL.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params, types::Type};

use super::{
    super::{Change, If, Order, Record, Write},
    batch::{Batch, Stop},
    journal,
};
use crate::base::id::Revision;

/// Greater than every key: no text holds this byte.
const BEYOND_ALL: u8 = 0xff;

pub(super) fn get(sql: &Connection, key: &str) -> Result<Option<Record>, rusqlite::Error> {
    sql.prepare_cached("SELECT key, revision, value FROM records WHERE key = ?1")?
        .query_row([key.as_bytes()], record)
        .optional()
}

pub(super) fn list(
    sql: &Connection,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
    order: Order,
) -> Result<Vec<Record>, rusqlite::Error> {
    let (from, to) = range(prefix, after, order);
    let mut statement = sql.prepare_cached(match order {
        Order::Up => {
            "SELECT key, revision, value FROM records
             WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3"
        }
        Order::Down => {
            "SELECT key, revision, value FROM records
             WHERE key >= ?1 AND key < ?2 ORDER BY key DESC LIMIT ?3"
        }
    })?;
    let rows = statement.query_map(params![from, to, limited(limit)], record)?;
    rows.collect()
}

/// The keys of a list: from the first of these, and below the second.
fn range(prefix: &str, after: Option<&str>, order: Order) -> (Vec<u8>, Vec<u8>) {
    let mut from = prefix.as_bytes().to_vec();
    let mut to = from.clone();
    match to.last_mut() {
        // Never the largest byte: this is text.
        Some(last) => *last += 1,
        None => to.push(BEYOND_ALL),
    }
    match (order, after.map(str::as_bytes)) {
        (_, None) => {}
        (Order::Up, Some(after)) => {
            // The very next string of bytes.
            let next = [after, &[0]].concat();
            from = from.max(next);
        }
        (Order::Down, Some(after)) => to = to.min(after.to_vec()),
    }
    (from, to)
}

/// Does all writes of a batch, or stops at the first whose condition does not hold.
pub(super) fn write_all(batch: &mut Batch<'_>, writes: &[Write]) -> Result<Revision, Stop> {
    let revision = batch.revision();
    for write in writes {
        match write {
            Write::Put {
                key,
                value,
                condition,
            } => {
                hold(batch.sql, key, *condition)?;
                put(batch, key, value)?;
            }
            Write::Delete { key, condition } => {
                hold(batch.sql, key, *condition)?;
                delete(batch, key)?;
            }
            Write::Append { topic, value } => {
                journal::append(batch, topic, std::slice::from_ref(value))?;
            }
        }
    }
    Ok(revision)
}

/// Writes one record, whatever was there.
pub(super) fn put(batch: &mut Batch<'_>, key: &str, value: &Bytes) -> Result<(), rusqlite::Error> {
    let revision = batch.revision();
    let number = i64::try_from(revision.0).unwrap_or(i64::MAX);
    batch
        .sql
        .prepare_cached(
            "INSERT INTO records (key, revision, value) VALUES (?1, ?2, ?3)
             ON CONFLICT (key) DO UPDATE SET revision = excluded.revision, value = excluded.value",
        )?
        .execute(params![key.as_bytes(), number, value.as_ref()])?;
    batch.changed(Change {
        revision,
        key: key.to_owned(),
        value: Some(value.clone()),
    });
    Ok(())
}

fn delete(batch: &mut Batch<'_>, key: &str) -> Result<(), rusqlite::Error> {
    let revision = batch.revision();
    let gone = batch
        .sql
        .prepare_cached("DELETE FROM records WHERE key = ?1")?
        .execute([key.as_bytes()])?;
    if gone > 0 {
        batch.changed(Change {
            revision,
            key: key.to_owned(),
            value: None,
        });
    }
    Ok(())
}

fn hold(sql: &Connection, key: &str, condition: If) -> Result<(), Stop> {
    if condition == If::Any {
        return Ok(());
    }
    let found: Option<u64> = sql
        .prepare_cached("SELECT revision FROM records WHERE key = ?1")?
        .query_row([key.as_bytes()], |row| row.get(0))
        .optional()?;
    let found = found.map(Revision);
    let holds = match condition {
        If::Any => true,
        If::Absent => found.is_none(),
        If::Revision(expected) => found == Some(expected),
    };
    if holds {
        return Ok(());
    }
    let key = key.to_owned();
    Err(Stop::Conflict { key, found })
}

fn record(row: &Row<'_>) -> Result<Record, rusqlite::Error> {
    Ok(Record {
        key: text(row, 0)?,
        revision: Revision(row.get(1)?),
        value: value(row, 2)?,
    })
}

/// A blob that is text.
pub(super) fn text(row: &Row<'_>, column: usize) -> Result<String, rusqlite::Error> {
    let bytes = row.get(column)?;
    String::from_utf8(bytes).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, Box::new(error))
    })
}

/// A blob.
pub(super) fn value(row: &Row<'_>, column: usize) -> Result<Bytes, rusqlite::Error> {
    row.get::<_, Vec<u8>>(column).map(Bytes::from)
}

/// A number of rows as SQLite takes it.
pub(super) fn limited(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
