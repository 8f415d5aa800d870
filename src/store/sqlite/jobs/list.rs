//! Lists: pages of jobs, newest first.
//!
//! ```text
//! requests, jobs or dead letters, by position ─────┐
//! or: lane ─▶ cursor ─┐                            ├─▶ position ─▶ job ─▶ does it match? ─▶ page
//!     lane ─▶ cursor ─┴─▶ the newest of them, next ┘
//! ```
//!
//! A page looks at so many jobs and no more, whatever it finds: the reader of a rare status comes
//! back for the next page.

use std::collections::{BinaryHeap, HashSet};

use rusqlite::{Connection, Error, OptionalExtension, params};

use super::{
    super::super::{Job, JobFilter, JobPage},
    rows::{self, place},
};
use crate::base::async_id::Position;

/// Jobs that a page looks at.
const LOOKED_MAX: usize = 5_000;
/// Lanes that are merged. Where more match, they are a good part of all, and are met by walking
/// through all of them.
const LANES_MAX: usize = 1_000;
/// Positions that are read ahead, over all lanes.
const AHEAD: usize = 1_024;

// Up to ?2 positions from ?1 downwards; of the lane ?3, which says nothing where all are walked.

pub(in super::super) const ALL: &str = "
    SELECT position FROM requests WHERE position <= ?1 AND ?3 = 0
    ORDER BY position DESC LIMIT ?2";
const ALL_OPEN: &str = "
    SELECT position FROM jobs WHERE position <= ?1 AND ?3 = 0
    ORDER BY position DESC LIMIT ?2";
pub(in super::super) const ALL_DEAD: &str = "
    SELECT position FROM ends WHERE dead = 1 AND position <= ?1 AND ?3 = 0
    ORDER BY position DESC LIMIT ?2";
pub(in super::super) const OF_LANE: &str = "
    SELECT position FROM arrived WHERE lane = ?3 AND position <= ?1
    UNION ALL SELECT position FROM listed WHERE lane = ?3 AND position <= ?1
    ORDER BY position DESC LIMIT ?2";
pub(in super::super) const OF_LANE_DEAD: &str = "
    SELECT position FROM ends WHERE lane = ?3 AND dead = 1 AND position <= ?1
    ORDER BY position DESC LIMIT ?2";

/// Positions, newest first.
struct Walk<'c> {
    sql: &'c Connection,
    text: &'static str,
    ahead: usize,
    cursors: Vec<Cursor>,
    /// The next position of each cursor that has one.
    heads: BinaryHeap<(i64, usize)>,
}

/// Where the walk through a lane, or through all, stands.
struct Cursor {
    lane: i64,
    /// What is read ahead, the newest last.
    ahead: Vec<i64>,
    /// The newest that is not read yet.
    from: i64,
}

pub(super) fn page(
    sql: &Connection,
    filter: &JobFilter,
    before: Option<Position>,
    limit: usize,
) -> Result<JobPage, Error> {
    // All of one moment: what ends meanwhile is not missed.
    let sql = &*sql.unchecked_transaction()?;
    let from = before.map_or(i64::MAX, |before| place(before) - 1);
    let lanes = lanes(sql, filter)?;
    let of_many = lanes.as_ref().is_some_and(|lanes| lanes.len() > LANES_MAX);
    let mut walk = match &lanes {
        Some(lanes) if !of_many => Walk::of_lanes(sql, filter, lanes, from)?,
        _ => Walk::of_all(sql, filter, from)?,
    };
    let lanes: Option<HashSet<i64>> = lanes.filter(|_| of_many).map(HashSet::from_iter);

    let text = format!(
        "{} AND (?2 IS NULL OR coalesce(e.status, j.status) = ?2) AND (?3 = 0 OR e.dead = 1)",
        rows::JOB
    );
    let mut statement = sql.prepare_cached(&text)?;
    let status = filter.status.map(rows::status_code);
    let mut page = JobPage::default();
    let mut looked = 0;
    while page.jobs.len() < limit
        && looked < LOOKED_MAX
        && let Some(at) = walk.next()?
    {
        looked += 1;
        let found: Option<Option<Job>> = statement
            .query_row(params![at, status, filter.dead], |row| {
                let is_of = match &lanes {
                    Some(lanes) => lanes.contains(&row.get(rows::JOB_LANE)?),
                    None => true,
                };
                is_of.then(|| rows::job(row)).transpose()
            })
            .optional()?;
        page.jobs.extend(found.flatten());
        page.next = u64::try_from(at).ok().and_then(Position::from_u64);
    }
    if walk.heads.is_empty() {
        page.next = None;
    }
    Ok(page)
}

/// The lanes that the filter names; none: all.
fn lanes(sql: &Connection, filter: &JobFilter) -> Result<Option<Vec<i64>>, Error> {
    let owner = filter.owner.as_ref().map(|owner| owner.as_bytes());
    let deployment = filter.deployment.as_ref().map(|name| name.as_bytes());
    let text = match (owner, deployment) {
        (None, None) => return Ok(None),
        // Each uses both, to be asked alike.
        (Some(_), None) => "SELECT id FROM lanes WHERE owner = ?1 AND ?2 IS NULL",
        (None, Some(_)) => "SELECT id FROM lanes WHERE deployment = ?2 AND ?1 IS NULL",
        (Some(_), Some(_)) => "SELECT id FROM lanes WHERE owner = ?1 AND deployment = ?2",
    };
    let mut statement = sql.prepare_cached(text)?;
    let lanes = statement.query_map(params![owner, deployment], |row| row.get(0))?;
    lanes.collect::<Result<_, _>>().map(Some)
}

// === impl Walk ===

impl<'c> Walk<'c> {
    fn of_all(sql: &'c Connection, filter: &JobFilter, from: i64) -> Result<Self, Error> {
        let is_open = filter.status.is_some_and(|status| !status.has_ended());
        let text = match (filter.dead, is_open) {
            (true, _) => ALL_DEAD,
            (false, true) => ALL_OPEN,
            (false, false) => ALL,
        };
        Self::of(sql, text, &[0], from)
    }

    fn of_lanes(
        sql: &'c Connection,
        filter: &JobFilter,
        lanes: &[i64],
        from: i64,
    ) -> Result<Self, Error> {
        let text = match filter.dead {
            true => OF_LANE_DEAD,
            false => OF_LANE,
        };
        Self::of(sql, text, lanes, from)
    }

    fn of(
        sql: &'c Connection,
        text: &'static str,
        lanes: &[i64],
        from: i64,
    ) -> Result<Self, Error> {
        let cursor = |lane: &i64| Cursor {
            lane: *lane,
            ahead: Vec::new(),
            from,
        };
        let mut walk = Self {
            sql,
            text,
            ahead: (AHEAD / lanes.len().max(1)).clamp(4, 64),
            cursors: lanes.iter().map(cursor).collect(),
            heads: BinaryHeap::with_capacity(lanes.len()),
        };
        for at in 0..walk.cursors.len() {
            walk.step(at)?;
        }
        Ok(walk)
    }

    fn next(&mut self) -> Result<Option<i64>, Error> {
        let Some((position, at)) = self.heads.pop() else {
            return Ok(None);
        };
        self.step(at)?;
        Ok(Some(position))
    }

    /// Puts the next position of this cursor among the heads.
    fn step(&mut self, at: usize) -> Result<(), Error> {
        let cursor = &mut self.cursors[at];
        if cursor.ahead.is_empty() {
            let mut statement = self.sql.prepare_cached(self.text)?;
            let most = self.ahead as i64;
            let read = params![cursor.from, most, cursor.lane];
            let read = statement.query_map(read, |row| row.get::<_, i64>(0))?;
            cursor.ahead = read.collect::<Result<_, _>>()?;
            cursor.ahead.reverse();
        }
        if let Some(next) = cursor.ahead.pop() {
            cursor.from = next - 1;
            self.heads.push((next, at));
        }
        Ok(())
    }
}
