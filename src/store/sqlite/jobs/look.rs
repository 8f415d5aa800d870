//! Looking at jobs.

use bytes::Bytes;
use rusqlite::{Connection, Error, OptionalExtension, params};

use super::{
    super::{
        super::{Content, JOB_BYTES, Job, Lane, OpenJob, Totals},
        records::{limited, value},
    },
    rows::{self, place, time},
};
use crate::base::async_id::{AsyncId, Position};

/// Running jobs whose leases have ended.
pub(in super::super) const LAPSED: &str = "
    SELECT j.position, r.tag, j.attempt FROM jobs j JOIN requests r ON r.position = j.position
    WHERE j.status = 1 AND j.due_at_ms <= ?1 ORDER BY j.due_at_ms, j.position LIMIT ?2";

/// Open jobs whose deadlines have come.
pub(in super::super) const OVERDUE: &str = "
    SELECT j.position, r.tag FROM jobs j JOIN requests r ON r.position = j.position
    WHERE j.deadline_at_ms <= ?1 ORDER BY j.deadline_at_ms, j.position LIMIT ?2";

pub(super) fn lanes(sql: &Connection) -> Result<Vec<(u32, Lane)>, Error> {
    let mut statement = sql.prepare_cached("SELECT id, deployment, life, owner FROM lanes")?;
    let lanes = statement.query_map([], |row| Ok((row.get(0)?, rows::lane(row, 1)?)))?;
    lanes.collect()
}

pub(super) fn queued(
    sql: &Connection,
    after: Option<Position>,
    limit: usize,
) -> Result<Vec<OpenJob>, Error> {
    let mut statement = sql.prepare_cached(
        "SELECT position, lane, due_at_ms, weight FROM jobs
         WHERE position > ?1 AND status = 0 ORDER BY position LIMIT ?2",
    )?;
    let after = after.map_or(-1, place);
    let open = statement.query_map(params![after, limited(limit)], |row| {
        Ok(OpenJob {
            position: rows::position(row, 0)?,
            lane: row.get(1)?,
            due_at_ms: row.get(2)?,
            weight: row.get(3)?,
        })
    })?;
    open.collect()
}

pub(super) fn lapsed(
    sql: &Connection,
    now_ms: u64,
    limit: usize,
) -> Result<Vec<(AsyncId, u32)>, Error> {
    let mut statement = sql.prepare_cached(LAPSED)?;
    let lapsed = statement.query_map(params![time(now_ms), limited(limit)], |row| {
        Ok((rows::id(row, 0)?, row.get(2)?))
    })?;
    lapsed.collect()
}

pub(super) fn overdue(sql: &Connection, now_ms: u64, limit: usize) -> Result<Vec<AsyncId>, Error> {
    let mut statement = sql.prepare_cached(OVERDUE)?;
    let overdue = statement.query_map(params![time(now_ms), limited(limit)], |row| {
        rows::id(row, 0)
    })?;
    overdue.collect()
}

pub(super) fn job(sql: &Connection, id: AsyncId) -> Result<Option<Job>, Error> {
    let text = format!("{} AND r.tag = ?2", rows::JOB);
    sql.prepare_cached(&text)?
        .query_row(params![place(id.position()), id.tag()], rows::job)
        .optional()
}

pub(super) fn body(sql: &Connection, id: AsyncId) -> Result<Option<Content>, Error> {
    let body = sql
        .prepare_cached(
            "SELECT coalesce(e.body_kept, r.body_kept), coalesce(e.body_bytes, r.body_bytes), b.body
             FROM requests r LEFT JOIN ends e ON e.position = r.position
             LEFT JOIN bodies b ON b.position = r.position
             WHERE r.position = ?1 AND r.tag = ?2",
        )?
        .query_row(params![place(id.position()), id.tag()], |row| {
            rows::contained(row, 0)
        })
        .optional()?;
    Ok(body.flatten())
}

pub(super) fn answer(sql: &Connection, id: AsyncId) -> Result<Option<(Bytes, Content)>, Error> {
    let answer = sql
        .prepare_cached(
            "SELECT e.answer_kept, e.answer_bytes, a.body, a.head
             FROM requests r JOIN ends e ON e.position = r.position
             JOIN answers a ON a.position = r.position
             WHERE r.position = ?1 AND r.tag = ?2",
        )?
        .query_row(params![place(id.position()), id.tag()], |row| {
            Ok((value(row, 3)?, rows::contained(row, 0)?))
        })
        .optional()?;
    Ok(answer.and_then(|(head, body)| Some((head, body?))))
}

pub(super) fn totals(sql: &Connection) -> Result<Totals, Error> {
    // All of one moment.
    let sql = sql.unchecked_transaction()?;
    let sums = |text: &str| -> Result<(u64, u64), Error> {
        sql.query_row(text, [], |row| Ok((row.get(0)?, row.get(1)?)))
    };
    let (open, bodies) = sums("SELECT count(*), coalesce(sum(body_bytes), 0) FROM jobs")?;
    let (ended, kept) =
        sums("SELECT count(*), coalesce(sum(body_bytes + answer_bytes), 0) FROM ends")?;
    // Those of before, when the last ones have been forgotten.
    let last: Option<u64> = sql.query_row(
        "SELECT max(position) FROM (SELECT max(position) AS position FROM requests
             UNION ALL SELECT value FROM meta WHERE name = 'position')",
        [],
        |row| row.get(0),
    )?;
    Ok(Totals {
        open,
        ended,
        bytes: bodies + kept + JOB_BYTES * (open + ended),
        last: last.and_then(Position::from_u64),
    })
}
