//! Accepting.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    super::{
        super::{Enqueued, Lane, NewJob, Once, StoreError},
        batch::{Batch, Stop},
    },
    forget,
    rows::{self, QUEUED, content, place, time},
};
use crate::base::async_id::AsyncId;

/// Jobs of a lane that stand among those that arrived; with one more they are moved to the list. More
/// change fewer pages of the list, and make what arrived larger.
const ARRIVED_MAX: i64 = 15;

/// Accepts jobs, one after another.
pub(super) fn enqueue(
    batch: &mut Batch<'_>,
    jobs: &[NewJob],
    now_ms: u64,
) -> Result<Vec<Enqueued>, Stop> {
    // Those of one call are mostly of few lanes, and stand together.
    let mut last: Option<(&Lane, i64)> = None;
    let mut became = Vec::with_capacity(jobs.len());
    for job in jobs {
        if let Some(once) = &job.once
            && let Some(known) = remembered(batch.sql, once, now_ms)?
        {
            became.push(known);
            continue;
        }
        let lane = match last {
            Some((lane, number)) if *lane == job.lane => number,
            _ => number(batch.sql, &job.lane)?,
        };
        last = Some((&job.lane, lane));
        became.push(match add(batch.sql, job, lane)? {
            true => Enqueued::Added,
            false => {
                let known = same(batch.sql, job.id)?;
                // It may have been made just now, and stay without a job.
                forget::lane(batch.sql, lane)?;
                last = None;
                known
            }
        });
    }
    Ok(became)
}

/// What a token was used for, as long as that is known.
fn remembered(
    sql: &Connection,
    once: &Once,
    now_ms: u64,
) -> Result<Option<Enqueued>, rusqlite::Error> {
    // A token is not looked up when its job is forgotten; without the job it counts for nothing.
    sql.prepare_cached(
        "SELECT position, tag, fingerprint FROM once
         WHERE token = ?1 AND until_ms > ?2 AND EXISTS (
             SELECT 1 FROM requests r WHERE r.position = once.position AND r.tag = once.tag)",
    )?
    .query_row(params![once.token, time(now_ms)], |row| {
        let fingerprint: [u8; 32] = row.get(2)?;
        if fingerprint != once.fingerprint {
            return Ok(Enqueued::Contradicts);
        }
        Ok(Enqueued::Known(rows::id(row, 0)?))
    })
    .optional()
}

/// The number of a lane, which joins if it is new.
fn number(sql: &Connection, lane: &Lane) -> Result<i64, rusqlite::Error> {
    let named = params![lane.deployment.as_bytes(), lane.life, lane.owner.as_bytes()];
    let known = sql
        .prepare_cached("SELECT id FROM lanes WHERE deployment = ?1 AND life = ?2 AND owner = ?3")?
        .query_row(named, |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        return Ok(known);
    }
    sql.prepare_cached("INSERT INTO lanes (deployment, life, owner) VALUES (?1, ?2, ?3)")?
        .insert(named)
}

/// Whether its place was free.
fn add(sql: &Connection, job: &NewJob, lane: i64) -> Result<bool, rusqlite::Error> {
    let place = place(job.id.position());
    let (kept, bytes, inline) = content(&job.body);
    let deadline = time(job.deadline_at_ms);
    let added = sql
        .prepare_cached(
            "INSERT INTO requests
                 (position, tag, lane, deadline_at_ms, body_kept, body_bytes, doc)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (position) DO NOTHING",
        )?
        .execute(params![
            place,
            job.id.tag(),
            lane,
            deadline,
            kept,
            bytes,
            job.doc.as_ref()
        ])?;
    if added == 0 {
        return Ok(false);
    }
    list(sql, lane, place)?;
    sql.prepare_cached(
        "INSERT INTO jobs
             (position, lane, status, attempt, due_at_ms, deadline_at_ms, weight, body_bytes)
         VALUES (?1, ?2, ?3, 0, 0, ?4, ?5, ?6)",
    )?
    .execute(params![place, lane, QUEUED, deadline, job.weight, bytes])?;
    if let Some(inline) = inline {
        sql.prepare_cached("INSERT INTO bodies (position, body) VALUES (?1, ?2)")?
            .execute(params![place, inline])?;
    }
    if let Some(once) = &job.once {
        // One whose time is over may still be there.
        sql.prepare_cached(
            "INSERT INTO once (token, fingerprint, position, tag, until_ms)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (token) DO UPDATE SET fingerprint = excluded.fingerprint,
                 position = excluded.position, tag = excluded.tag, until_ms = excluded.until_ms",
        )?
        .execute(params![
            once.token,
            once.fingerprint,
            place,
            job.id.tag(),
            time(once.until_ms)
        ])?;
    }
    Ok(true)
}

/// Notes a job under its lane.
fn list(sql: &Connection, lane: i64, place: i64) -> Result<(), rusqlite::Error> {
    sql.prepare_cached("INSERT INTO arrived (lane, position) VALUES (?1, ?2)")?
        .execute([lane, place])?;
    let arrived: i64 = sql
        .prepare_cached("SELECT count(*) FROM arrived WHERE lane = ?1")?
        .query_row([lane], |row| row.get(0))?;
    if arrived > ARRIVED_MAX {
        sql.prepare_cached(
            "INSERT INTO listed SELECT lane, position FROM arrived WHERE lane = ?1",
        )?
        .execute([lane])?;
        sql.prepare_cached("DELETE FROM arrived WHERE lane = ?1")?
            .execute([lane])?;
    }
    Ok(())
}

/// The place is taken: by the same job, which was accepted before, or by another.
fn same(sql: &Connection, id: AsyncId) -> Result<Enqueued, Stop> {
    let is_same = sql
        .prepare_cached("SELECT 1 FROM requests WHERE position = ?1 AND tag = ?2")?
        .exists(params![place(id.position()), id.tag()])?;
    if is_same {
        return Ok(Enqueued::Known(id));
    }
    let words = format!("the place of {id} is another job's");
    Err(Stop::Store(StoreError::Invalid(words)))
}
