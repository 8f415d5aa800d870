//! Jobs, in SQL.
//!
//! A job is ready from `ready_at_ms` on: when it is due, or when its lease has ended. Lanes stand in
//! a ring: the one with the smallest turn is served first and then goes to its end; a lane joins at
//! the end, and leaves with its last job.

use rusqlite::{OptionalExtension, params};

use super::{
    super::{Leased, NewJob},
    batch::{Batch, Stop},
    records::{limited, text, value},
};

/// Adds jobs whose ids are not known.
pub(super) fn enqueue(batch: &mut Batch<'_>, jobs: &[NewJob]) -> Result<(), Stop> {
    for job in jobs {
        let known = batch
            .sql
            .prepare_cached("SELECT 1 FROM jobs WHERE id = ?1")?
            .exists([job.id.as_bytes()])?;
        if known {
            continue;
        }
        let lane = lane(batch, &job.lane)?;
        batch
            .sql
            .prepare_cached(
                "INSERT INTO jobs (id, lane, ready_at_ms, leased, attempt, payload)
                 VALUES (?1, ?2, ?3, 0, 0, ?4)",
            )?
            .execute(params![
                job.id.as_bytes(),
                lane,
                time(job.due_at_ms),
                job.payload.as_ref()
            ])?;
    }
    Ok(())
}

fn lane(batch: &Batch<'_>, name: &str) -> Result<i64, rusqlite::Error> {
    let known = batch
        .sql
        .prepare_cached("SELECT id FROM lanes WHERE lane = ?1")?
        .query_row([name.as_bytes()], |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        return Ok(known);
    }
    batch
        .sql
        .prepare_cached(
            "INSERT INTO lanes (lane, turn)
             VALUES (?1, (SELECT coalesce(max(turn), 0) + 1 FROM lanes)) RETURNING id",
        )?
        .query_row([name.as_bytes()], |row| row.get(0))
}

/// Leases ready jobs: round after round through the lanes, of each its oldest.
pub(super) fn lease(
    batch: &mut Batch<'_>,
    now_ms: u64,
    until_ms: u64,
    limit: usize,
) -> Result<Vec<Leased>, Stop> {
    let (now, mut leased) = (time(now_ms), Vec::new());
    while leased.len() < limit {
        let round = heads(batch, now, limit - leased.len())?;
        if round.is_empty() {
            break;
        }
        for (lane, position) in round {
            batch
                .sql
                .prepare_cached(
                    "UPDATE lanes SET turn = (SELECT max(turn) + 1 FROM lanes) WHERE id = ?1",
                )?
                .execute([lane])?;
            let job = batch
                .sql
                .prepare_cached(
                    "UPDATE jobs SET leased = 1, attempt = attempt + 1, ready_at_ms = ?2
                     WHERE position = ?1
                     RETURNING id, (SELECT lane FROM lanes WHERE id = jobs.lane), attempt, payload",
                )?
                .query_row(params![position, time(until_ms)], |row| {
                    Ok(Leased {
                        id: text(row, 0)?,
                        lane: text(row, 1)?,
                        attempt: row.get(2)?,
                        until_ms,
                        payload: value(row, 3)?,
                    })
                })?;
            leased.push(job);
        }
    }
    Ok(leased)
}

/// The oldest ready job of each lane that has one, in the lanes' turn.
fn heads(batch: &Batch<'_>, now: i64, limit: usize) -> Result<Vec<(i64, i64)>, rusqlite::Error> {
    // The usual answer of a queue at rest, without a look at each lane.
    let any = "SELECT 1 FROM jobs WHERE ready_at_ms <= ?1";
    if !batch.sql.prepare_cached(any)?.exists([now])? {
        return Ok(Vec::new());
    }
    let mut statement = batch.sql.prepare_cached(
        "SELECT id, (SELECT position FROM jobs
                     WHERE jobs.lane = lanes.id AND ready_at_ms <= ?1
                     ORDER BY position LIMIT 1) AS head
         FROM lanes WHERE head IS NOT NULL ORDER BY turn LIMIT ?2",
    )?;
    let rows = statement.query_map(params![now, limited(limit)], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    rows.collect()
}

pub(super) fn extend(
    batch: &mut Batch<'_>,
    id: &str,
    attempt: u32,
    until_ms: u64,
) -> Result<(), Stop> {
    let sql = "UPDATE jobs SET ready_at_ms = ?3 WHERE id = ?1 AND attempt = ?2 AND leased = 1";
    let moved = params![id.as_bytes(), attempt, time(until_ms)];
    one(batch.sql.prepare_cached(sql)?.execute(moved)?)
}

/// Takes a job away, and its lane with the last one.
pub(super) fn finish(batch: &mut Batch<'_>, id: &str, attempt: u32) -> Result<(), Stop> {
    let lane: Option<i64> = batch
        .sql
        .prepare_cached(
            "DELETE FROM jobs WHERE id = ?1 AND attempt = ?2 AND leased = 1 RETURNING lane",
        )?
        .query_row(params![id.as_bytes(), attempt], |row| row.get(0))
        .optional()?;
    let lane = lane.ok_or(Stop::Fenced)?;
    batch
        .sql
        .prepare_cached(
            "DELETE FROM lanes
             WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.lane = lanes.id)",
        )?
        .execute([lane])?;
    Ok(())
}

pub(super) fn requeue(
    batch: &mut Batch<'_>,
    id: &str,
    attempt: u32,
    due_at_ms: u64,
) -> Result<(), Stop> {
    let sql = "UPDATE jobs SET leased = 0, ready_at_ms = ?3
               WHERE id = ?1 AND attempt = ?2 AND leased = 1";
    let given = params![id.as_bytes(), attempt, time(due_at_ms)];
    one(batch.sql.prepare_cached(sql)?.execute(given)?)
}

/// Ends every lease; the jobs are ready at once.
pub(super) fn void_leases(batch: &mut Batch<'_>) -> Result<u64, Stop> {
    let sql = "UPDATE jobs SET leased = 0, ready_at_ms = 0 WHERE leased = 1";
    Ok(batch.sql.execute(sql, [])? as u64)
}

fn one(rows: usize) -> Result<(), Stop> {
    match rows {
        0 => Err(Stop::Fenced),
        _ => Ok(()),
    }
}

/// A time as SQLite takes it; what lies beyond its largest number is as good as never.
fn time(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}
