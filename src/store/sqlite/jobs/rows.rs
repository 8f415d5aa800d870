//! How the parts of a job stand in columns. The numbers are in files of users: none ever changes.

use bytes::Bytes;
use rusqlite::{Error, Row, types::Type};

use super::super::{
    super::{Content, Job, JobStatus, Kept, Lane, limits},
    records::{text, value},
};
use crate::base::{
    async_id::{AsyncId, Position},
    secret::KeyDigest,
};

pub(super) const QUEUED: i64 = 0;
const RUNNING: i64 = 1;

const STATUSES: [(JobStatus, i64); 6] = [
    (JobStatus::Queued, QUEUED),
    (JobStatus::Running, RUNNING),
    (JobStatus::Completed, 2),
    (JobStatus::Error, 3),
    (JobStatus::Cancelled, 4),
    (JobStatus::Expired, 5),
];

pub(super) const NOTHING: i64 = 0;
const INLINE: i64 = 1;
const SPILLED: i64 = 2;

/// A whole [`Job`] of a request: its columns as [`job`] reads them. The row of its end, if there is
/// one, says more than the others.
pub(super) const JOB: &str = "
    SELECT r.position, r.tag, l.deployment, l.life, l.owner,
           coalesce(e.status, j.status), coalesce(e.attempt, j.attempt),
           coalesce(e.forget_at_ms, j.due_at_ms), r.deadline_at_ms, r.doc, e.doc,
           coalesce(e.dead, 0),
           coalesce(e.body_kept, r.body_kept), coalesce(e.body_bytes, r.body_bytes),
           coalesce(e.answer_kept, 0), coalesce(e.answer_bytes, 0), r.lane
    FROM requests r JOIN lanes l ON l.id = r.lane
    LEFT JOIN jobs j ON j.position = r.position
    LEFT JOIN ends e ON e.position = r.position
    WHERE r.position = ?1";

/// The column of the lane's number in [`JOB`].
pub(super) const JOB_LANE: usize = 16;

pub(super) fn job(row: &Row<'_>) -> Result<Job, Error> {
    Ok(Job {
        id: id(row, 0)?,
        lane: lane(row, 2)?,
        status: status(row, 5)?,
        attempt: row.get(6)?,
        due_at_ms: row.get(7)?,
        deadline_at_ms: row.get(8)?,
        doc: value(row, 9)?,
        end: row.get::<_, Option<Vec<u8>>>(10)?.map(Bytes::from),
        dead: row.get(11)?,
        body: kept(row, 12)?,
        answer: kept(row, 14)?,
    })
}

/// A time as SQLite takes it; what lies beyond its largest number is as good as never.
pub(super) fn time(ms: u64) -> i64 {
    limits::moment(ms) as i64
}

/// A position as SQLite takes it: it has 63 bits.
pub(super) fn place(position: Position) -> i64 {
    position.as_u64() as i64
}

pub(super) fn position(row: &Row<'_>, column: usize) -> Result<Position, Error> {
    let number: i64 = row.get(column)?;
    let position = u64::try_from(number).ok().and_then(Position::from_u64);
    position.ok_or(Error::IntegralValueOutOfRange(column, number))
}

/// From its position and its tag, side by side.
pub(super) fn id(row: &Row<'_>, column: usize) -> Result<AsyncId, Error> {
    Ok(AsyncId::of(position(row, column)?, row.get(column + 1)?))
}

/// From its deployment, life and owner, side by side.
pub(super) fn lane(row: &Row<'_>, column: usize) -> Result<Lane, Error> {
    Ok(Lane {
        deployment: text(row, column)?,
        life: row.get(column + 1)?,
        owner: KeyDigest::from_bytes(row.get(column + 2)?),
    })
}

pub(super) fn status_code(status: JobStatus) -> i64 {
    let known = STATUSES.iter().find(|(known, _)| *known == status);
    // Each has one: a test goes over all.
    known.map_or(-1, |(_, code)| *code)
}

pub(super) fn status(row: &Row<'_>, column: usize) -> Result<JobStatus, Error> {
    let code: i64 = row.get(column)?;
    let known = STATUSES.iter().find(|(_, known)| *known == code);
    known
        .map(|(status, _)| *status)
        .ok_or(Error::IntegralValueOutOfRange(column, code))
}

/// What is kept, its length, and the bytes that stand in the store.
pub(super) fn content(content: &Content) -> (i64, i64, Option<&[u8]>) {
    let bytes = limits::moment(content.bytes()) as i64;
    match content {
        Content::Inline(inline) => (INLINE, bytes, Some(inline)),
        Content::Spilled(_) => (SPILLED, bytes, None),
    }
}

/// From its kind and its length, side by side.
pub(super) fn kept(row: &Row<'_>, column: usize) -> Result<Kept, Error> {
    let bytes = row.get(column + 1)?;
    match row.get(column)? {
        NOTHING => Ok(Kept::Nothing),
        INLINE => Ok(Kept::Inline(bytes)),
        SPILLED => Ok(Kept::Spilled(bytes)),
        other => Err(Error::IntegralValueOutOfRange(column, other)),
    }
}

/// From its kind, its length and its bytes, side by side. None: nothing is kept.
pub(super) fn contained(row: &Row<'_>, column: usize) -> Result<Option<Content>, Error> {
    match kept(row, column)? {
        Kept::Nothing => Ok(None),
        Kept::Spilled(bytes) => Ok(Some(Content::Spilled(bytes))),
        Kept::Inline(_) => {
            let inline: Option<Vec<u8>> = row.get(column + 2)?;
            let none = || Error::InvalidColumnType(column + 2, "body".into(), Type::Null);
            let inline = inline.ok_or_else(none)?;
            Ok(Some(Content::Inline(inline.into())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_a_number_of_its_own() {
        for status in JobStatus::ALL {
            let code = status_code(status);
            let same = STATUSES.iter().filter(|(_, other)| *other == code);
            assert_eq!(same.count(), 1, "{status:?}");
        }
    }
}
