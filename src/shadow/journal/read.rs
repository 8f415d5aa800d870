//! What is read from the file: pages of pairs, one pair, states and points.
//!
//! ```text
//! index run of (challenger, class) ┐
//! index run of (challenger, class) ┼─merge by the order─▶ places ──▶ pairs
//! index run of (challenger, class) ┘   up to a page, or so many rows looked at
//! ```

use rusqlite::{Connection, OptionalExtension, Row, Rows, Statement, params};

use super::{
    codec,
    disk::bodies,
    page::{Cursor, Filter, Order, PAGE_MAX, Page, Position},
    record::{Bodies, Challenger, Kept, SeriesPoint, StateBlob},
};
use crate::{
    base::{id::VersionNumber, name::DeploymentName},
    store::side_file::FileError,
};

/// Rows of an index that are looked at for one page; some milliseconds.
const LOOKED_AT_MAX: usize = 20_000;

// In each: the challenger, the class, and a part of the order that `Part` describes.
const NEWEST: &str = "SELECT 0.0, at, id FROM pair INDEXED BY pair_by_time
    WHERE challenger = ?1 AND class = ?2 AND at BETWEEN ?3 AND ?4 AND (at < ?4 OR id < ?5)
    ORDER BY at DESC, id DESC";
const OLDEST: &str = "SELECT 0.0, at, id FROM pair INDEXED BY pair_by_time
    WHERE challenger = ?1 AND class = ?2 AND at BETWEEN ?3 AND ?4 AND (at > ?3 OR id > ?5)
    ORDER BY at, id";
const AS_BAD: &str = "SELECT distance, at, id FROM pair INDEXED BY pair_by_distance
    WHERE challenger = ?1 AND class = ?2 AND class >= 4
        AND distance = ?3 AND at <= ?4 AND (at < ?4 OR id < ?5)
    ORDER BY at DESC, id DESC";
const LESS_BAD: &str = "SELECT distance, at, id FROM pair INDEXED BY pair_by_distance
    WHERE challenger = ?1 AND class = ?2 AND class >= 4 AND distance < ?3
    ORDER BY distance DESC, at DESC, id DESC";

/// A piece of the order that lies together in an index: its statement, and what is bound behind the
/// challenger and the class. More than all ids is no bound.
enum Part {
    Newest(u64, u64, u64),
    Oldest(u64, u64, u64),
    AsBad(f64, u64, u64),
    LessBad(f64),
}

/// Some pairs of a challenger in the page's order.
struct Run<'s> {
    rows: Rows<'s>,
    /// The first of those that are left.
    head: Position,
}

// === pages ===

pub(super) fn pairs(sql: &Connection, filter: &Filter) -> Result<Page<Kept>, FileError> {
    // All of the page is from one moment.
    let transaction = sql.unchecked_transaction()?;
    let challengers = challenger_ids(&transaction, filter)?;
    let parts = parts(filter);
    let mut statements: Vec<(Statement<'_>, u64, u8, &Part)> = Vec::new();
    for challenger in challengers {
        for class in filter.classes() {
            for part in &parts {
                let statement = transaction.prepare(part.sql())?;
                statements.push((statement, challenger, class, part));
            }
        }
    }
    let mut runs = Vec::new();
    for (statement, challenger, class, part) in &mut statements {
        let mut rows = part.query(statement, *challenger, *class)?;
        if let Some(head) = next(&mut rows)? {
            runs.push(Run { rows, head });
        }
    }
    let (places, last) = merge(&mut runs, filter)?;
    drop(runs);
    drop(statements);
    let mut items = Vec::with_capacity(places.len());
    for place in places {
        items.extend(kept(&transaction, place.id)?.map(|(_, kept)| kept));
    }
    let order = filter.order;
    let next = last.map(|at| Cursor { order, at });
    Ok(Page { items, next })
}

/// The places of a page, and where it ends unless that is the end of all.
fn merge(
    runs: &mut Vec<Run<'_>>,
    filter: &Filter,
) -> Result<(Vec<Position>, Option<Position>), FileError> {
    let limit = filter.limit.clamp(1, PAGE_MAX);
    let span = filter.from_ms.unwrap_or(0)..filter.to_ms.unwrap_or(u64::MAX);
    let mut places = Vec::new();
    let mut looked_at = 0;
    loop {
        let heads = runs.iter().map(|run| run.head).enumerate();
        let first = heads.min_by(|(_, one), (_, other)| filter.order.compare(one, other));
        let Some((place, head)) = first else {
            return Ok((places, None));
        };
        looked_at += 1;
        if span.contains(&head.at_ms) {
            places.push(head);
        }
        match next(&mut runs[place].rows)? {
            Some(head) => runs[place].head = head,
            None => drop(runs.swap_remove(place)),
        }
        if places.len() == limit || looked_at == LOOKED_AT_MAX {
            return Ok((places, (!runs.is_empty()).then_some(head)));
        }
    }
}

fn next(rows: &mut Rows<'_>) -> Result<Option<Position>, FileError> {
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    Ok(Some(Position {
        distance: row.get(0)?,
        at_ms: row.get(1)?,
        id: row.get(2)?,
    }))
}

/// What of the order is left behind the cursor.
fn parts(filter: &Filter) -> Vec<Part> {
    let most = i64::MAX as u64;
    let from_ms = filter.from_ms.unwrap_or(0).min(most);
    // Bounds in statements are inclusive; nothing comes before 0.
    let Some(to_ms) = filter.to_ms.unwrap_or(most).min(most).checked_sub(1) else {
        return Vec::new();
    };
    let after = filter.after.map(|after| after.at);
    match (filter.order, after) {
        (Order::Newest, None) => vec![Part::Newest(from_ms, to_ms, most)],
        (Order::Newest, Some(after)) if after.at_ms > to_ms => {
            vec![Part::Newest(from_ms, to_ms, most)]
        }
        (Order::Newest, Some(after)) => vec![Part::Newest(from_ms, after.at_ms, after.id)],
        (Order::Oldest, None) => vec![Part::Oldest(from_ms, to_ms, 0)],
        (Order::Oldest, Some(after)) if after.at_ms < from_ms => {
            vec![Part::Oldest(from_ms, to_ms, 0)]
        }
        (Order::Oldest, Some(after)) => vec![Part::Oldest(after.at_ms, to_ms, after.id)],
        (Order::Worst, None) => vec![Part::LessBad(f64::INFINITY)],
        (Order::Worst, Some(after)) => vec![
            Part::AsBad(after.distance, after.at_ms, after.id),
            Part::LessBad(after.distance),
        ],
    }
}

fn challenger_ids(sql: &Connection, filter: &Filter) -> Result<Vec<u64>, FileError> {
    let select = "SELECT id FROM challenger WHERE deployment = ?1
        AND life = ifnull(?2, life) AND version = ifnull(?3, version)";
    let version = filter.version.map(|version| version.0);
    let key = params![filter.name.as_str(), filter.life, version];
    let select = &mut sql.prepare_cached(select)?;
    let ids = select.query_map(key, |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

// === impl Part ===

impl Part {
    fn sql(&self) -> &'static str {
        match self {
            Self::Newest(..) => NEWEST,
            Self::Oldest(..) => OLDEST,
            Self::AsBad(..) => AS_BAD,
            Self::LessBad(_) => LESS_BAD,
        }
    }

    fn query<'s>(
        &self,
        statement: &'s mut Statement<'_>,
        challenger: u64,
        class: u8,
    ) -> Result<Rows<'s>, rusqlite::Error> {
        match *self {
            Self::Newest(from, to, id) | Self::Oldest(from, to, id) => {
                statement.query(params![challenger, class, from, to, id])
            }
            Self::AsBad(distance, at, id) => {
                statement.query(params![challenger, class, distance, at, id])
            }
            Self::LessBad(distance) => statement.query(params![challenger, class, distance]),
        }
    }
}

// === one pair ===

pub(super) fn pair(
    sql: &Connection,
    name: &DeploymentName,
    life: Option<u32>,
    id: u64,
) -> Result<Option<(Kept, Option<Bodies>)>, FileError> {
    let transaction = sql.unchecked_transaction()?;
    let id = id.min(i64::MAX as u64);
    let found = kept(&transaction, id)?;
    let Some((_, kept)) = found.filter(|(whose, kept)| {
        whose == name.as_str() && life.is_none_or(|life| life == kept.life)
    }) else {
        return Ok(None);
    };
    let bodies = bodies(&transaction, id)?;
    Ok(Some((kept, bodies)))
}

/// A pair, and whose it is. One that can't be read is none: the others are still good.
fn kept(sql: &Connection, id: u64) -> Result<Option<(String, Kept)>, FileError> {
    let select = "SELECT deployment, life, version, at, distance, body
        FROM pair JOIN challenger ON challenger.id = pair.challenger WHERE pair.id = ?1";
    let select = &mut sql.prepare_cached(select)?;
    let read = |row: &Row<'_>| {
        let body = row.get_ref(5)?.as_blob()?;
        let decoded = codec::decode(body, row.get(3)?, row.get(4)?);
        let Ok((record, has_bodies)) = decoded else {
            tracing::warn!(id, "a pair that is kept can't be read and is left out");
            return Ok(None);
        };
        let kept = Kept {
            id,
            life: row.get(1)?,
            version: VersionNumber(row.get(2)?),
            record,
            has_bodies,
        };
        Ok(Some((row.get(0)?, kept)))
    };
    Ok(select.query_row([id], read).optional()?.flatten())
}

// === challengers ===

pub(super) fn states(sql: &Connection) -> Result<Vec<(Challenger, StateBlob)>, FileError> {
    let select = "SELECT deployment, life, version, body
        FROM state JOIN challenger ON challenger.id = state.challenger
        ORDER BY deployment, life, version";
    let select = &mut sql.prepare(select)?;
    let rows = select.query_map([], |row| Ok((challenger(row)?, StateBlob(row.get(3)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn state(sql: &Connection, of: &Challenger) -> Result<Option<StateBlob>, FileError> {
    let select = "SELECT body
        FROM state JOIN challenger ON challenger.id = state.challenger
        WHERE deployment = ?1 AND life = ?2 AND version = ?3";
    let select = &mut sql.prepare_cached(select)?;
    let named = params![of.name.as_str(), of.life, of.version.0];
    let row = select.query_row(named, |row| row.get(0)).optional()?;
    Ok(row.map(StateBlob))
}

pub(super) fn challengers(
    sql: &Connection,
    name: &DeploymentName,
) -> Result<Vec<Challenger>, FileError> {
    let select = "SELECT deployment, life, version
        FROM state JOIN challenger ON challenger.id = state.challenger
        WHERE deployment = ?1 ORDER BY life DESC, version DESC";
    let select = &mut sql.prepare_cached(select)?;
    let rows = select.query_map([name.as_str()], challenger)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn challenger(row: &Row<'_>) -> Result<Challenger, rusqlite::Error> {
    let name: String = row.get(0)?;
    let name = DeploymentName::parse(&name);
    let name = name.map_err(|error| {
        let text = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(0, text, Box::new(error))
    })?;
    Ok(Challenger {
        name,
        life: row.get(1)?,
        version: VersionNumber(row.get(2)?),
    })
}

// === points ===

/// A challenger's points between two moments, thinned evenly to at most so many: the first and the last
/// are always among them.
pub(super) fn series(
    sql: &Connection,
    challenger: &Challenger,
    span_ms: std::ops::Range<u64>,
    points_max: usize,
) -> Result<Vec<SeriesPoint>, FileError> {
    let select = "SELECT at, body FROM point WHERE at >= ?4 AND at < ?5 AND challenger =
        (SELECT id FROM challenger WHERE deployment = ?1 AND life = ?2 AND version = ?3)
        ORDER BY at";
    let most = i64::MAX as u64;
    let (from_ms, to_ms) = (span_ms.start.min(most), span_ms.end.min(most));
    let (name, version) = (challenger.name.as_str(), challenger.version.0);
    let key = params![name, challenger.life, version, from_ms, to_ms];
    let select = &mut sql.prepare_cached(select)?;
    let rows = select.query_map(key, |row| {
        Ok(SeriesPoint {
            at_ms: row.get(0)?,
            body: row.get(1)?,
        })
    })?;
    let mut points: Vec<SeriesPoint> = rows.collect::<Result<_, _>>()?;
    let (count, wanted) = (points.len(), points_max.max(2));
    if count > wanted {
        let shown = (0..wanted).map(|place| place * (count - 1) / (wanted - 1));
        points = shown.map(|place| points[place].clone()).collect();
    }
    Ok(points)
}
