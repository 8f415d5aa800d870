//! What is written to the file: the journal, chunks on every level, and the end of what is too old or
//! too much. All of it blocks, and runs on the monitor's own thread.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{
    MonitorOptions, codec, level::Level, point::Point, recent::Filling, sampler::Key, schema,
};
use crate::{
    base::{name::DeploymentName, varint},
    store::side_file::{self, FileError},
};

/// In a chunk's id, the bits of the series; above them is the time.
const SERIES_BITS: u32 = 24;
/// A series is noted as seen when it was last seen so long ago.
const SEEN_EVERY_S: u64 = 86_400;
/// Free pages that are given back to the system at once.
const PAGES_AT_ONCE: u32 = 1_024;

const READ: [&str; 3] = [
    "SELECT body FROM chunk_0 WHERE id = ?1",
    "SELECT body FROM chunk_1 WHERE id = ?1",
    "SELECT body FROM chunk_2 WHERE id = ?1",
];
const APPEND: [&str; 3] = [
    "INSERT INTO chunk_0 VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET
        steps = steps + excluded.steps, body = CAST(body || excluded.body AS BLOB)",
    "INSERT INTO chunk_1 VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET
        steps = steps + excluded.steps, body = CAST(body || excluded.body AS BLOB)",
    "INSERT INTO chunk_2 VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET
        steps = steps + excluded.steps, body = CAST(body || excluded.body AS BLOB)",
];
const OLDEST: [&str; 3] = [
    "SELECT min(id) FROM chunk_0",
    "SELECT min(id) FROM chunk_1",
    "SELECT min(id) FROM chunk_2",
];
const SUM: [&str; 3] = [
    "SELECT total(steps), total(length(body)) FROM chunk_0 WHERE id < ?1",
    "SELECT total(steps), total(length(body)) FROM chunk_1 WHERE id < ?1",
    "SELECT total(steps), total(length(body)) FROM chunk_2 WHERE id < ?1",
];
const DELETE: [&str; 3] = [
    "DELETE FROM chunk_0 WHERE id < ?1",
    "DELETE FROM chunk_1 WHERE id < ?1",
    "DELETE FROM chunk_2 WHERE id < ?1",
];
const BYTES: [&str; 3] = ["bytes_0", "bytes_1", "bytes_2"];
const WHOLE_FROM: [&str; 3] = ["whole_from_0", "whole_from_1", "whole_from_2"];

/// The connection that writes.
pub(super) struct Disk {
    sql: Connection,
    /// Series that were written to.
    ids: HashMap<Key, Seen>,
}

#[derive(Clone, Copy)]
struct Seen {
    id: u64,
    at_s: u64,
}

// === impl Disk ===

impl Disk {
    pub(super) fn open(path: &Path, options: &MonitorOptions) -> Result<Self, FileError> {
        let sql = schema::FILE.writer(path, options.disk_bytes_max)?;
        sql.set_prepared_statement_cache_capacity(32);
        let ids = HashMap::new();
        Ok(Self { sql, ids })
    }

    /// Goes through what the journal has: chunk, series, points.
    pub(super) fn journal(&self, mut each: impl FnMut(u64, Key, &[u8])) -> Result<(), FileError> {
        let mut select = self
            .sql
            .prepare("SELECT chunk, body FROM journal ORDER BY id")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let (chunk, body): (u64, Vec<u8>) = (row.get(0)?, row.get(1)?);
            let mut rest = &body[..];
            while !rest.is_empty() {
                let (key, points) = read_entry(&mut rest)?;
                codec::decode(points, |_, _| {})?;
                each(chunk, key, points);
            }
        }
        Ok(())
    }

    /// Appends to the journal. One commit.
    pub(super) fn note(&mut self, unwritten: &BTreeMap<u64, Filling>) -> Result<(), FileError> {
        let transaction = self.sql.transaction()?;
        for (chunk, filling) in unwritten {
            let mut body = Vec::new();
            for (key, points) in filling {
                write_entry(key, points, &mut body);
            }
            let insert = "INSERT INTO journal (chunk, body) VALUES (?1, ?2)";
            transaction
                .prepare_cached(insert)?
                .execute(params![chunk, body])?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Writes a chunk of the finest level, adds it up into the coarser ones, and takes it out of the
    /// journal. One commit, which `commit` makes.
    pub(super) fn close(
        &mut self,
        chunk: u64,
        filling: &Filling,
        options: &MonitorOptions,
        commit: impl FnOnce(Transaction<'_>) -> Result<(), rusqlite::Error>,
    ) -> Result<(), FileError> {
        let begun_s = Level::TenSeconds.at_s(chunk, 0);
        let transaction = self.sql.transaction()?;
        let mut written = [0; 3];
        let mut ids = Vec::new();
        for (key, bytes) in filling {
            let seen = series(&transaction, self.ids.get(key).copied(), key, begun_s)?;
            ids.push((key, seen));
            let mut steps = 0;
            let mut coarser: [BTreeMap<u64, Point>; 2] = Default::default();
            codec::decode(bytes, |place, point| {
                steps += 1;
                let at_s = Level::TenSeconds.at_s(chunk, place);
                for (level, sums) in Level::ALL[1..].iter().zip(&mut coarser) {
                    let begins_s = at_s / level.step_s() * level.step_s();
                    sums.entry(begins_s).or_default().add(&point);
                }
            })?;
            let mut append = |level: Level, at_s: u64, steps: u64, bytes: &[u8]| {
                if options.kept_s[level as usize] == 0 {
                    return Ok::<_, FileError>(());
                }
                let id = id(level.place_of(at_s).0, seen.id);
                let mut statement = transaction.prepare_cached(APPEND[level as usize])?;
                statement.execute(params![id, steps, bytes])?;
                written[level as usize] += bytes.len() as u64;
                Ok(())
            };
            append(Level::TenSeconds, begun_s, steps, bytes)?;
            for (level, sums) in Level::ALL[1..].iter().zip(&coarser) {
                let mut bytes = Vec::new();
                for (at_s, point) in sums {
                    codec::encode(level.place_of(*at_s).1, point, &mut bytes);
                }
                append(*level, begun_s, sums.len() as u64, &bytes)?;
            }
        }
        for (name, more) in BYTES.into_iter().zip(written) {
            add(&transaction, name, more as i64)?;
        }
        let done = "DELETE FROM journal WHERE chunk = ?1";
        transaction.prepare_cached(done)?.execute([chunk])?;
        commit(transaction)?;
        self.ids
            .extend(ids.into_iter().map(|(key, seen)| (key.clone(), seen)));
        Ok(())
    }

    /// Removes what is older than it is kept.
    pub(super) fn forget(&mut self, now_s: u64, options: &MonitorOptions) -> Result<(), FileError> {
        let transaction = self.sql.transaction()?;
        for level in Level::ALL {
            let until_s = now_s.saturating_sub(options.kept_s[level as usize]);
            cut(&transaction, level, until_s / level.chunk_s())?;
        }
        let most = options.kept_s.into_iter().max().unwrap_or(0);
        // What is seen is noted once a day, and the last chunks of it span some hours.
        let until_s = now_s.saturating_sub(most + 2 * SEEN_EVERY_S);
        let gone = "DELETE FROM series WHERE seen < ?1";
        if transaction.execute(gone, [until_s])? > 0 {
            self.ids.clear();
        }
        transaction.commit()?;
        Ok(())
    }

    /// Removes the oldest of the level that takes most, until the rest has room; `more` than usual
    /// when that was not enough. Returns how many steps that were.
    pub(super) fn make_room(
        &mut self,
        options: &MonitorOptions,
        more: bool,
    ) -> Result<u64, FileError> {
        // The log stands beside the file, and what is written next needs some.
        let mut most = options.disk_bytes_max / 8 * 7;
        if more {
            most = most.min(self.used()? / 8 * 7);
        }
        let mut dropped = 0;
        while self.used()? > most {
            let transaction = self.sql.transaction()?;
            let mut largest = (0, Level::TenSeconds);
            for level in Level::ALL {
                let bytes = get(&transaction, BYTES[level as usize])?;
                largest = if bytes > largest.0 {
                    (bytes, level)
                } else {
                    largest
                };
            }
            let (_, level) = largest;
            let oldest: Option<u64> =
                transaction.query_row(OLDEST[level as usize], [], |row| row.get(0))?;
            let Some(oldest) = oldest else { break };
            let behind = (oldest >> SERIES_BITS) + 1;
            dropped += cut(&transaction, level, behind)?;
            let whole_from = level.at_s(behind, 0) as i64;
            set(&transaction, WHOLE_FROM[level as usize], whole_from)?;
            transaction.commit()?;
        }
        Ok(dropped)
    }

    /// Moves what is in the log to its place, and gives room back that is free for good.
    pub(super) fn tidy(&mut self) -> Result<(), FileError> {
        side_file::give_back(&self.sql, PAGES_AT_ONCE)?;
        let checkpoint = "PRAGMA wal_checkpoint(PASSIVE)";
        self.sql.query_row(checkpoint, [], |_| Ok(()))?;
        Ok(())
    }

    fn used(&self) -> Result<u64, FileError> {
        side_file::used_bytes(&self.sql)
    }
}

/// A series' number; made when it is new.
fn series(
    transaction: &Transaction<'_>,
    known: Option<Seen>,
    key: &Key,
    at_s: u64,
) -> Result<Seen, FileError> {
    let role = key.is_challenger;
    let seen = match known {
        Some(seen) => Some(seen),
        None => {
            let find = "SELECT id, seen FROM series WHERE deployment = ?1 AND role = ?2";
            let mut find = transaction.prepare_cached(find)?;
            let row = find.query_row(params![key.name.as_str(), role], |row| {
                Ok(Seen {
                    id: row.get(0)?,
                    at_s: row.get(1)?,
                })
            });
            row.optional()?
        }
    };
    match seen {
        Some(seen) if seen.at_s + SEEN_EVERY_S > at_s => Ok(seen),
        Some(Seen { id, .. }) => {
            let note = "UPDATE series SET seen = ?2 WHERE id = ?1";
            transaction
                .prepare_cached(note)?
                .execute(params![id, at_s])?;
            Ok(Seen { id, at_s })
        }
        None => {
            let insert = "INSERT INTO series (deployment, role, seen) VALUES (?1, ?2, ?3)";
            let mut insert = transaction.prepare_cached(insert)?;
            insert.execute(params![key.name.as_str(), role, at_s])?;
            let id = transaction.last_insert_rowid() as u64;
            if id >> SERIES_BITS != 0 {
                return Err(FileError::Broken(
                    "it has as many series as it can have".into(),
                ));
            }
            Ok(Seen { id, at_s })
        }
    }
}

fn id(chunk: u64, series: u64) -> u64 {
    chunk << SERIES_BITS | series
}

/// Removes a level's chunks before this one. Returns how many steps that were.
fn cut(transaction: &Transaction<'_>, level: Level, before: u64) -> Result<u64, FileError> {
    let before = id(before, 0);
    let sum = |row: &rusqlite::Row<'_>| Ok((row.get::<_, f64>(0)?, row.get::<_, f64>(1)?));
    let mut sums = transaction.prepare_cached(SUM[level as usize])?;
    let (steps, bytes) = sums.query_row([before], sum)?;
    if steps == 0.0 {
        return Ok(0);
    }
    transaction
        .prepare_cached(DELETE[level as usize])?
        .execute([before])?;
    add(transaction, BYTES[level as usize], -(bytes as i64))?;
    Ok(steps as u64)
}

fn get(sql: &Connection, name: &str) -> Result<u64, FileError> {
    let mut select = sql.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    Ok(select
        .query_row([name], |row| row.get(0))
        .optional()?
        .unwrap_or(0))
}

fn set(transaction: &Transaction<'_>, name: &str, value: i64) -> Result<(), FileError> {
    let put = "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2";
    transaction
        .prepare_cached(put)?
        .execute(params![name, value])?;
    Ok(())
}

fn add(transaction: &Transaction<'_>, name: &str, more: i64) -> Result<(), FileError> {
    let put = "INSERT INTO meta VALUES (?1, max(?2, 0)) ON CONFLICT (name) DO UPDATE SET \
               value = max(value + ?2, 0)";
    transaction
        .prepare_cached(put)?
        .execute(params![name, more])?;
    Ok(())
}

// === reading ===

/// From when on each level is whole, as far as room was needed for newer points.
pub(super) fn whole_from_s(sql: &Connection) -> Result<[u64; 3], FileError> {
    let [ten, minute, minutes] = WHOLE_FROM;
    Ok([get(sql, ten)?, get(sql, minute)?, get(sql, minutes)?])
}

/// Goes through a series' points in these chunks of a level, with when each began.
pub(super) fn points(
    sql: &Connection,
    key: &Key,
    level: Level,
    chunks: std::ops::RangeInclusive<u64>,
    mut each: impl FnMut(u64, Point),
) -> Result<(), FileError> {
    let find = "SELECT id FROM series WHERE deployment = ?1 AND role = ?2";
    let mut find = sql.prepare_cached(find)?;
    let found = find.query_row(params![key.name.as_str(), key.is_challenger], |row| {
        row.get(0)
    });
    let Some(series) = found.optional()? else {
        return Ok(());
    };
    let mut select = sql.prepare_cached(READ[level as usize])?;
    for chunk in chunks {
        let mut rows = select.query([id(chunk, series)])?;
        if let Some(row) = rows.next()? {
            let body = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            codec::decode(body, |place, point| each(level.at_s(chunk, place), point))?;
        }
    }
    Ok(())
}

// === the journal's rows ===

fn write_entry(key: &Key, points: &[u8], out: &mut Vec<u8>) {
    let name = key.name.as_str().as_bytes();
    varint::write(name.len() as u64, out);
    out.extend_from_slice(name);
    out.push(u8::from(key.is_challenger));
    varint::write(points.len() as u64, out);
    out.extend_from_slice(points);
}

fn read_entry<'a>(rest: &mut &'a [u8]) -> Result<(Key, &'a [u8]), varint::Malformed> {
    let length = varint::read(rest)?;
    let name = std::str::from_utf8(varint::part(rest, length)?).map_err(|_| varint::Malformed)?;
    let name = DeploymentName::parse(name).map_err(|_| varint::Malformed)?;
    let is_challenger = varint::part(rest, 1)? != [0];
    let length = varint::read(rest)?;
    let key = Key {
        name,
        is_challenger,
    };
    Ok((key, varint::part(rest, length)?))
}
