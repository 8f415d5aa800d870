//! Leases, and what is said by who holds one. Each change is fenced by the row that it changes. A
//! status stands in the text of a statement, 0 for queued and 1 for running: an index of the running
//! ones is used by those that name it so.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    super::{
        super::{End, Holder, JobStatus, Leased, Was},
        batch::{Batch, Stop},
        records::{self, value},
    },
    rows::{self, NOTHING, content, place, status_code, time},
};
use crate::base::async_id::{AsyncId, Position};

/// Ends all leases.
pub(in super::super) const VOID_LEASES: &str =
    "UPDATE jobs SET status = 0, due_at_ms = 0 WHERE status = 1";

pub(super) fn lease(
    batch: &mut Batch<'_>,
    positions: &[Position],
    until_ms: u64,
) -> Result<Vec<Option<Leased>>, Stop> {
    let leased = positions.iter().map(|at| one(batch.sql, *at, until_ms));
    leased.collect()
}

fn one(sql: &Connection, at: Position, until_ms: u64) -> Result<Option<Leased>, Stop> {
    let attempt: Option<u32> = sql
        .prepare_cached(
            "UPDATE jobs SET status = 1, attempt = attempt + 1, due_at_ms = ?2
             WHERE position = ?1 AND status = 0 RETURNING attempt",
        )?
        .query_row(params![place(at), time(until_ms)], |row| row.get(0))
        .optional()?;
    let Some(attempt) = attempt else {
        return Ok(None);
    };
    let leased = sql
        .prepare_cached(
            "SELECT r.position, r.tag, l.deployment, l.life, l.owner, r.deadline_at_ms, r.doc,
                    r.body_kept, r.body_bytes, b.body
             FROM requests r JOIN lanes l ON l.id = r.lane
             LEFT JOIN bodies b ON b.position = r.position WHERE r.position = ?1",
        )?
        .query_row([place(at)], |row| {
            Ok(Leased {
                id: rows::id(row, 0)?,
                lane: rows::lane(row, 2)?,
                attempt,
                deadline_at_ms: row.get(5)?,
                doc: value(row, 6)?,
                body: rows::contained(row, 7)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?,
            })
        })?;
    Ok(Some(leased))
}

pub(super) fn extend(
    batch: &mut Batch<'_>,
    held: &[(AsyncId, u32)],
    until_ms: u64,
) -> Result<Vec<bool>, Stop> {
    let mut moved = Vec::with_capacity(held.len());
    for (id, attempt) in held {
        let rows = batch
            .sql
            .prepare_cached(
                "UPDATE jobs SET due_at_ms = ?4
                 WHERE position = ?1 AND status = 1 AND attempt = ?3
                 AND EXISTS (SELECT 1 FROM requests WHERE position = ?1 AND tag = ?2)",
            )?
            .execute(params![
                place(id.position()),
                id.tag(),
                attempt,
                time(until_ms)
            ])?;
        moved.push(rows == 1);
    }
    Ok(moved)
}

/// Moves an open job to its end.
pub(super) fn finish(
    batch: &mut Batch<'_>,
    id: AsyncId,
    holder: Holder,
    end: &End,
) -> Result<Was, Stop> {
    let at = place(id.position());
    let open = batch
        .sql
        .prepare_cached(
            "SELECT j.status, j.attempt, j.lane, r.body_kept, r.body_bytes
             FROM jobs j JOIN requests r ON r.position = j.position
             WHERE j.position = ?1 AND r.tag = ?2",
        )?
        .query_row(params![at, id.tag()], |row| {
            let status = rows::status(row, 0)?;
            let attempt = row.get(1)?;
            let lane: i64 = row.get(2)?;
            let body: (i64, i64) = (row.get(3)?, row.get(4)?);
            Ok((Was { status, attempt }, lane, body))
        })
        .optional()?;
    let Some((was, lane, body)) = open else {
        return Err(Stop::Fenced);
    };
    let may = match holder {
        Holder::Attempt(attempt) => was.status == JobStatus::Running && was.attempt == attempt,
        Holder::Queued => was.status == JobStatus::Queued,
        Holder::Anybody => true,
    };
    if !may {
        return Err(Stop::Fenced);
    }
    batch
        .sql
        .prepare_cached("DELETE FROM jobs WHERE position = ?1")?
        .execute([at])?;
    let body = if end.dead { body } else { (NOTHING, 0) };
    if !end.dead {
        batch
            .sql
            .prepare_cached("DELETE FROM bodies WHERE position = ?1")?
            .execute([at])?;
    }
    let answer = end.answer.as_ref();
    let (kept, bytes, inline) = answer.map_or((NOTHING, 0, None), |(_, body)| content(body));
    batch
        .sql
        .prepare_cached(
            "INSERT INTO ends (position, lane, status, attempt, forget_at_ms, dead,
                 body_kept, body_bytes, answer_kept, answer_bytes, doc)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            at,
            lane,
            status_code(end.status),
            was.attempt,
            time(end.forget_at_ms),
            end.dead,
            body.0,
            body.1,
            kept,
            bytes,
            end.doc.as_ref()
        ])?;
    if let Some((head, _)) = answer {
        batch
            .sql
            .prepare_cached("INSERT INTO answers (position, head, body) VALUES (?1, ?2, ?3)")?
            .execute(params![at, head.as_ref(), inline])?;
    }
    if !end.writes.is_empty() {
        records::write_all(batch, &end.writes)?;
    }
    Ok(was)
}

pub(super) fn requeue(
    batch: &mut Batch<'_>,
    id: AsyncId,
    attempt: u32,
    due_at_ms: u64,
    counted: bool,
) -> Result<(), Stop> {
    let rows = batch
        .sql
        .prepare_cached(
            "UPDATE jobs SET status = 0, attempt = attempt - ?5, due_at_ms = ?4
             WHERE position = ?1 AND status = 1 AND attempt = ?3
             AND EXISTS (SELECT 1 FROM requests WHERE position = ?1 AND tag = ?2)",
        )?
        .execute(params![
            place(id.position()),
            id.tag(),
            attempt,
            time(due_at_ms),
            u32::from(!counted)
        ])?;
    held(rows)
}

pub(super) fn reschedule(batch: &mut Batch<'_>, id: AsyncId, due_at_ms: u64) -> Result<(), Stop> {
    let rows = batch
        .sql
        .prepare_cached(
            "UPDATE jobs SET due_at_ms = ?3 WHERE position = ?1 AND status = 0
             AND EXISTS (SELECT 1 FROM requests WHERE position = ?1 AND tag = ?2)",
        )?
        .execute(params![place(id.position()), id.tag(), time(due_at_ms)])?;
    held(rows)
}

pub(super) fn void_leases(batch: &mut Batch<'_>) -> Result<u64, Stop> {
    Ok(batch.sql.execute(VOID_LEASES, [])? as u64)
}

fn held(rows: usize) -> Result<(), Stop> {
    match rows {
        0 => Err(Stop::Fenced),
        _ => Ok(()),
    }
}
