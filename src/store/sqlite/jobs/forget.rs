//! Forgetting.

use std::collections::BTreeSet;

use rusqlite::{Connection, Params, Row, params};

use super::{
    super::{
        super::{Forgotten, JOB_BYTES},
        batch::{Batch, Stop},
        records::limited,
    },
    rows::{self, place, time},
};

/// Jobs, or tokens, that one batch takes away.
pub(super) const AT_ONCE: usize = 250;

/// Tokens that go.
pub(in super::super) const TOKENS: &str = "
    DELETE FROM once WHERE token IN
        (SELECT token FROM once WHERE until_ms <= ?1 ORDER BY until_ms, token LIMIT ?2)";

/// What is read of jobs that go.
pub(in super::super) const ENDED: &str = "
    SELECT r.position, r.tag, e.attempt, e.body_kept, e.body_bytes,
           e.answer_kept, e.answer_bytes, e.lane
    FROM ends e JOIN requests r ON r.position = e.position
    WHERE e.forget_at_ms <= ?1 ORDER BY e.forget_at_ms, e.position LIMIT ?2";

/// The same of dead letters. Left to itself SQLite would look at those of all deployments, and sort
/// them: it can't know that there are many.
pub(in super::super) const DEAD: &str = "
    SELECT r.position, r.tag, e.attempt, e.body_kept, e.body_bytes,
           e.answer_kept, e.answer_bytes, e.lane
    FROM lanes l CROSS JOIN ends e INDEXED BY ends_dead_by_lane ON e.lane = l.id AND e.dead = 1
    CROSS JOIN requests r ON r.position = e.position
    WHERE l.deployment = ?1 ORDER BY l.life, l.owner, e.position LIMIT ?2";

/// Takes away tokens whose memory has ended; answers how many.
pub(super) fn tokens(batch: &mut Batch<'_>, now_ms: u64, limit: usize) -> Result<usize, Stop> {
    let gone = batch
        .sql
        .prepare_cached(TOKENS)?
        .execute(params![time(now_ms), limited(limit)])?;
    Ok(gone)
}

/// Takes away jobs whose time is over.
pub(super) fn ended(
    batch: &mut Batch<'_>,
    now_ms: u64,
    limit: usize,
) -> Result<Vec<Forgotten>, Stop> {
    all_of(batch, ENDED, params![time(now_ms), limited(limit)])
}

/// Takes away dead letters of a deployment.
pub(super) fn dead(
    batch: &mut Batch<'_>,
    deployment: &str,
    limit: usize,
) -> Result<Vec<Forgotten>, Stop> {
    let of = params![deployment.as_bytes(), limited(limit)];
    all_of(batch, DEAD, of)
}

fn all_of(batch: &mut Batch<'_>, text: &str, params: impl Params) -> Result<Vec<Forgotten>, Stop> {
    let sql = batch.sql;
    let mut going = Vec::new();
    let mut statement = sql.prepare_cached(text)?;
    for row in statement.query_map(params, forgotten)? {
        going.push(row?);
    }
    let Some(last) = going.iter().map(|(gone, _)| gone.id.position()).max() else {
        return Ok(Vec::new());
    };
    // No place is given twice, also when nothing is left that had it.
    sql.prepare_cached(
        "INSERT INTO meta (name, value) VALUES ('position', ?1)
         ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
    )?
    .execute([place(last)])?;
    for (gone, lane) in &going {
        let at = place(gone.id.position());
        for text in [
            "DELETE FROM arrived WHERE lane = ?1 AND position = ?2",
            "DELETE FROM listed WHERE lane = ?1 AND position = ?2",
        ] {
            sql.prepare_cached(text)?.execute([*lane, at])?;
        }
        for text in [
            "DELETE FROM requests WHERE position = ?1",
            "DELETE FROM ends WHERE position = ?1",
            "DELETE FROM bodies WHERE position = ?1",
            "DELETE FROM answers WHERE position = ?1",
        ] {
            sql.prepare_cached(text)?.execute([at])?;
        }
    }
    let lanes: BTreeSet<i64> = going.iter().map(|(_, lane)| *lane).collect();
    for number in lanes {
        lane(sql, number)?;
    }
    Ok(going.into_iter().map(|(gone, _)| gone).collect())
}

fn forgotten(row: &Row<'_>) -> Result<(Forgotten, i64), rusqlite::Error> {
    let (body, answer) = (rows::kept(row, 3)?, rows::kept(row, 5)?);
    let forgotten = Forgotten {
        id: rows::id(row, 0)?,
        attempt: row.get(2)?,
        body,
        answer,
        bytes: JOB_BYTES + body.bytes() + answer.bytes(),
    };
    Ok((forgotten, row.get(7)?))
}

/// Takes away a lane that has no jobs.
pub(super) fn lane(sql: &Connection, number: i64) -> Result<(), rusqlite::Error> {
    sql.prepare_cached(
        "DELETE FROM lanes
         WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM arrived WHERE lane = ?1)
             AND NOT EXISTS (SELECT 1 FROM listed WHERE lane = ?1)",
    )?
    .execute([number])?;
    Ok(())
}
