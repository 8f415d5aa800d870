//! What is written to the file: pairs, states and points, one commit for all of a batch. It blocks, and
//! runs on the comparison's own thread.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{
    JournalOptions, codec,
    record::{Bodies, Body, Challenger, NewPair, PairResult, Record, SeriesPoint, StateBlob},
    schema,
};
use crate::store::side_file::{self, FileError};

/// Points that a challenger has at most, just before every second one of the older half goes: what is
/// long ago is seen from further away.
pub const POINTS_MAX: usize = 4_096;
/// Challengers whose numbers are remembered.
const IDS_MAX: usize = 16_384;
/// Free pages that are given back to the system at once.
const PAGES_AT_ONCE: u32 = 256;
/// The latest moment that is kept, far beyond all clocks.
const AT_MS_MAX: u64 = 1 << 52;

/// The flags of bodies: three bits for each, the request's lowest.
const IS_CUT: u16 = 1;
const IS_REDACTED: u16 = 1 << 1;
const IS_WITHHELD: u16 = 1 << 2;

/// What one commit writes.
#[derive(Clone, Copy, Default)]
pub(super) struct Batch<'a> {
    pub(super) pairs: &'a [NewPair],
    pub(super) states: &'a [(Challenger, StateBlob)],
    pub(super) points: &'a [(Challenger, SeriesPoint)],
}

/// The connection that writes.
pub(super) struct Disk {
    pub(super) sql: Connection,
    /// Challengers that were written to.
    ids: HashMap<Challenger, u64>,
    /// How many points they have.
    points: HashMap<u64, usize>,
    /// Where forgetting goes on.
    pub(super) forgot_until: u64,
}

// === impl Batch ===

impl Batch<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.states.is_empty() && self.points.is_empty()
    }

    /// About as much room as it takes.
    pub(super) fn bytes(&self) -> u64 {
        let pairs = self.pairs.iter();
        let pairs = pairs.map(|pair| 512 + pair.bodies.as_ref().map_or(0, Bodies::bytes));
        let states = self.states.iter().map(|(_, state)| state.0.len());
        let points = self.points.iter().map(|(_, point)| point.body.len() + 64);
        pairs.chain(states).chain(points).sum::<usize>() as u64
    }
}

// === impl Disk ===

impl Disk {
    pub(super) fn open(path: &Path, options: &JournalOptions) -> Result<Self, FileError> {
        let sql = schema::FILE.writer(path, options.disk_bytes_max)?;
        sql.set_prepared_statement_cache_capacity(32);
        Ok(Self {
            sql,
            ids: HashMap::new(),
            points: HashMap::new(),
            forgot_until: 0,
        })
    }

    /// Writes all of it, or nothing.
    pub(super) fn write(&mut self, batch: Batch<'_>, now_ms: u64) -> Result<(), FileError> {
        let written = self.try_write(batch, now_ms);
        if written.is_err() {
            // What was made with it is not there.
            self.forget_numbers();
        }
        written
    }

    /// Numbers are looked up anew.
    pub(super) fn forget_numbers(&mut self) {
        self.ids.clear();
        self.points.clear();
    }

    fn try_write(&mut self, batch: Batch<'_>, now_ms: u64) -> Result<(), FileError> {
        if self.ids.len() > IDS_MAX {
            self.forget_numbers();
        }
        let transaction = self.sql.transaction()?;
        let mut changed = BTreeSet::new();
        let mut number = |challenger: &Challenger| {
            let id = match self.ids.get(challenger) {
                Some(id) => *id,
                None => {
                    let id = challenger_id(&transaction, challenger)?;
                    self.ids.insert(challenger.clone(), id);
                    id
                }
            };
            changed.insert(id);
            Ok::<u64, FileError>(id)
        };
        let mut body = Vec::new();
        for pair in batch.pairs {
            let challenger = number(&pair.challenger)?;
            body.clear();
            codec::encode(&pair.record, pair.bodies.is_some(), &mut body);
            insert(&transaction, challenger, &pair.record, &body)?;
            if let Some(bodies) = &pair.bodies {
                let id = transaction.last_insert_rowid();
                insert_bodies(&transaction, id, bodies)?;
            }
        }
        for (challenger, state) in batch.states {
            let put = "INSERT INTO state VALUES (?1, ?2) ON CONFLICT DO UPDATE SET body = ?2";
            let put = &mut transaction.prepare_cached(put)?;
            put.execute(params![number(challenger)?, state.0])?;
        }
        for (challenger, point) in batch.points {
            let challenger = number(challenger)?;
            let count = match self.points.get(&challenger) {
                Some(count) => *count,
                None => count_points(&transaction, challenger)?,
            };
            let count = append(&transaction, challenger, point, count)?;
            self.points.insert(challenger, count);
        }
        for challenger in changed {
            let note = "UPDATE challenger SET changed = ?2 WHERE id = ?1";
            let note = &mut transaction.prepare_cached(note)?;
            note.execute(params![challenger, now_ms.min(AT_MS_MAX)])?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Gives room back that is free for good.
    pub(super) fn tidy(&mut self) -> Result<(), FileError> {
        side_file::give_back(&self.sql, PAGES_AT_ONCE)
    }
}

/// A challenger's number; made when it is new.
fn challenger_id(transaction: &Transaction<'_>, challenger: &Challenger) -> Result<u64, FileError> {
    let (name, version) = (challenger.name.as_str(), challenger.version.0);
    let key = params![name, challenger.life, version];
    let find = "SELECT id FROM challenger WHERE deployment = ?1 AND life = ?2 AND version = ?3";
    let find = &mut transaction.prepare_cached(find)?;
    if let Some(id) = find.query_row(key, |row| row.get(0)).optional()? {
        return Ok(id);
    }
    let make = "INSERT INTO challenger (deployment, life, version, changed) VALUES (?1, ?2, ?3, 0)";
    transaction.prepare_cached(make)?.execute(key)?;
    Ok(transaction.last_insert_rowid() as u64)
}

fn insert(
    transaction: &Transaction<'_>,
    challenger: u64,
    record: &Record,
    body: &[u8],
) -> Result<(), FileError> {
    let insert =
        "INSERT INTO pair (challenger, class, at, distance, body) VALUES (?1, ?2, ?3, ?4, ?5)";
    let insert = &mut transaction.prepare_cached(insert)?;
    let class = class(record.result, record.has_error);
    let at_ms = record.at_ms.min(AT_MS_MAX);
    let distance = match record.distance.is_finite() {
        true => record.distance,
        false => f64::MAX,
    };
    insert.execute(params![challenger, class, at_ms, distance, body])?;
    Ok(())
}

/// The class of pairs with this result, with or without an error.
pub(super) fn class(result: PairResult, has_error: bool) -> u8 {
    let class = match result {
        PairResult::Agree => 0,
        PairResult::Uncompared(_) => 2,
        PairResult::Disagree => schema::DISAGREE,
    };
    class + u8::from(has_error)
}

// === points ===

fn count_points(transaction: &Transaction<'_>, challenger: u64) -> Result<usize, FileError> {
    let count = "SELECT count(*) FROM point WHERE challenger = ?1";
    let count = &mut transaction.prepare_cached(count)?;
    Ok(count.query_row([challenger], |row| row.get(0))?)
}

/// Adds a point to so many, and says how many there are then. One at the same moment is replaced.
fn append(
    transaction: &Transaction<'_>,
    challenger: u64,
    point: &SeriesPoint,
    count: usize,
) -> Result<usize, FileError> {
    let at_ms = point.at_ms.min(AT_MS_MAX);
    let replace = "UPDATE point SET body = ?3 WHERE challenger = ?1 AND at = ?2";
    let replace = &mut transaction.prepare_cached(replace)?;
    if replace.execute(params![challenger, at_ms, point.body])? > 0 {
        return Ok(count);
    }
    let insert = "INSERT INTO point VALUES (?1, ?2, ?3)";
    let insert = &mut transaction.prepare_cached(insert)?;
    insert.execute(params![challenger, at_ms, point.body])?;
    let count = count + 1;
    if count <= POINTS_MAX {
        return Ok(count);
    }
    let older = "SELECT at FROM point WHERE challenger = ?1 ORDER BY at LIMIT ?2";
    let older = &mut transaction.prepare_cached(older)?;
    let older = older.query_map(params![challenger, count / 2], |row| row.get(0))?;
    let older: Vec<u64> = older.collect::<Result<_, _>>()?;
    let delete = "DELETE FROM point WHERE challenger = ?1 AND at = ?2";
    let delete = &mut transaction.prepare_cached(delete)?;
    let mut gone = 0;
    // The very first one stays, so that the series begins where it began.
    for at_ms in older.iter().skip(1).step_by(2) {
        gone += delete.execute(params![challenger, at_ms])?;
    }
    Ok(count - gone)
}

// === bodies ===

fn insert_bodies(transaction: &Transaction<'_>, id: i64, bodies: &Bodies) -> Result<(), FileError> {
    let all = [&bodies.request, &bodies.main, &bodies.challenger];
    let flags = all.iter().enumerate().fold(0, |flags, (place, body)| {
        let flags_of = |body: &Body| {
            let flags = [
                (IS_CUT, body.is_cut),
                (IS_REDACTED, body.is_redacted),
                (IS_WITHHELD, body.is_withheld),
            ];
            let set = flags.iter().filter(|(_, is_set)| *is_set);
            set.fold(0, |mask, (flag, _)| mask | flag)
        };
        flags | body.as_ref().map_or(0, flags_of) << (3 * place)
    });
    let [request, main, challenger] = all.map(|body| body.as_ref().map(|body| &body.bytes));
    let insert = "INSERT INTO bodies VALUES (?1, ?2, ?3, ?4, ?5)";
    let insert = &mut transaction.prepare_cached(insert)?;
    insert.execute(params![id, flags, request, main, challenger])?;
    Ok(())
}

/// The bodies of a pair.
pub(super) fn bodies(sql: &Connection, id: u64) -> Result<Option<Bodies>, FileError> {
    let select = "SELECT flags, request, main, challenger FROM bodies WHERE id = ?1";
    let select = &mut sql.prepare_cached(select)?;
    let found = select.query_row([id], |row| {
        let flags: u16 = row.get(0)?;
        let body = |place: usize| {
            let flags = flags >> (3 * place);
            let bytes: Option<Vec<u8>> = row.get(1 + place)?;
            Ok::<_, rusqlite::Error>(bytes.map(|bytes| Body {
                bytes,
                is_cut: flags & IS_CUT != 0,
                is_redacted: flags & IS_REDACTED != 0,
                is_withheld: flags & IS_WITHHELD != 0,
            }))
        };
        Ok(Bodies {
            request: body(0)?,
            main: body(1)?,
            challenger: body(2)?,
        })
    });
    Ok(found.optional()?)
}
