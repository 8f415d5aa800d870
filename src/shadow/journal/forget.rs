//! What goes: pairs that are older than they are kept, the evidence of challengers that nothing came of
//! for as long, and the oldest pairs of all where the room ends.
//!
//! Each writing does a step of it, so that none takes long. A step takes at least twice as much away as
//! a writing adds, so that it never falls behind.

use rusqlite::{Transaction, params};

use super::{JournalOptions, disk::Disk, schema::CLASSES};
use crate::store::side_file::{self, FileError};

/// Challengers that are looked at in one step.
const CHALLENGERS_AT_ONCE: usize = 32;
/// Pairs that go in one step since they are old, or twice as many as came if that is more.
const OLD_PAIRS_MAX: usize = 1_024;
/// The same where the room ends.
const ROOM_PAIRS_MAX: usize = 8_192;
/// Pairs that go before it is looked again whether there is room: with their bodies they may be large.
const PAIRS_AT_ONCE: usize = 16;

// === impl Disk ===

impl Disk {
    /// Removes some of what came before this moment: pairs, and all there is of challengers to which
    /// nothing was written since. `added` is how many pairs were written just now.
    pub(super) fn forget(&mut self, before_ms: u64, added: usize) -> Result<(), FileError> {
        let transaction = self.sql.transaction()?;
        let select = "SELECT id, changed FROM challenger WHERE id > ?1 ORDER BY id LIMIT ?2";
        let mut select = transaction.prepare_cached(select)?;
        let key = params![self.forgot_until, CHALLENGERS_AT_ONCE];
        let rows = select.query_map(key, |row| Ok((row.get(0)?, row.get(1)?)))?;
        let rows: Vec<(u64, u64)> = rows.collect::<Result<_, _>>()?;
        drop(select);
        let mut left = OLD_PAIRS_MAX.max(2 * added);
        let (mut until, mut is_gone) = (self.forgot_until, false);
        if rows.len() < CHALLENGERS_AT_ONCE {
            // All were looked at: from the beginning again.
            until = 0;
        }
        for (challenger, changed_ms) in &rows {
            left -= old_pairs(&transaction, *challenger, before_ms, left)?;
            if left == 0 {
                // Here it goes on.
                until = challenger - 1;
                break;
            }
            if *changed_ms < before_ms {
                is_gone |= remove(&transaction, *challenger)?;
            }
            if rows.len() == CHALLENGERS_AT_ONCE {
                until = *challenger;
            }
        }
        transaction.commit()?;
        self.forgot_until = until;
        if is_gone {
            self.forget_numbers();
        }
        Ok(())
    }

    /// Removes the oldest pairs of all until the rest has room, and `bytes` more besides. Returns how
    /// many that were. `added` is how many pairs were written just now.
    pub(super) fn make_room(
        &mut self,
        options: &JournalOptions,
        bytes: u64,
        added: usize,
    ) -> Result<u64, FileError> {
        // The log stands beside the file, and what is written next needs some.
        let mut most = options.disk_bytes_max / 8 * 7;
        if bytes > 0 {
            most = most.min(self.used()?.saturating_sub(bytes));
        }
        let transaction = self.sql.transaction()?;
        let (mut dropped, mut is_gone) = (0, false);
        while dropped < ROOM_PAIRS_MAX.max(2 * added) && side_file::used_bytes(&transaction)? > most
        {
            let oldest = "SELECT id FROM pair ORDER BY id LIMIT ?1";
            let gone = delete(&transaction, oldest, params![PAIRS_AT_ONCE])?;
            if gone == 0 && !remove_stalest(&transaction)? {
                break;
            }
            is_gone |= gone == 0;
            dropped += gone;
        }
        transaction.commit()?;
        if is_gone {
            self.forget_numbers();
        }
        Ok(dropped as u64)
    }

    fn used(&self) -> Result<u64, FileError> {
        side_file::used_bytes(&self.sql)
    }
}

/// Removes up to so many pairs of a challenger that came before this moment. Returns how many.
fn old_pairs(
    transaction: &Transaction<'_>,
    challenger: u64,
    before_ms: u64,
    limit: usize,
) -> Result<usize, FileError> {
    let old = "SELECT id FROM pair INDEXED BY pair_by_time
        WHERE challenger = ?1 AND class = ?2 AND at < ?3 ORDER BY at LIMIT ?4";
    let mut gone = 0;
    for class in CLASSES {
        let key = params![challenger, class, before_ms, limit - gone];
        gone += delete(transaction, old, key)?;
    }
    Ok(gone)
}

/// Removes the pairs whose ids this statement selects, and their bodies. Returns how many.
fn delete(
    transaction: &Transaction<'_>,
    select: &str,
    key: &[&dyn rusqlite::ToSql],
) -> Result<usize, FileError> {
    let mut select = transaction.prepare_cached(select)?;
    let ids = select.query_map(key, |row| row.get(0))?;
    let ids: Vec<u64> = ids.collect::<Result<_, _>>()?;
    let mut pair = transaction.prepare_cached("DELETE FROM pair WHERE id = ?1")?;
    let mut bodies = transaction.prepare_cached("DELETE FROM bodies WHERE id = ?1")?;
    for id in &ids {
        pair.execute([id])?;
        bodies.execute([id])?;
    }
    Ok(ids.len())
}

/// Removes what there is of a challenger, unless it has pairs. Returns whether it had none.
fn remove(transaction: &Transaction<'_>, challenger: u64) -> Result<bool, FileError> {
    let find = "SELECT EXISTS (SELECT 1 FROM pair WHERE challenger = ?1)";
    let mut find = transaction.prepare_cached(find)?;
    if find.query_row([challenger], |row| row.get(0))? {
        return Ok(false);
    }
    for delete in [
        "DELETE FROM point WHERE challenger = ?1",
        "DELETE FROM state WHERE challenger = ?1",
        "DELETE FROM challenger WHERE id = ?1",
    ] {
        transaction.prepare_cached(delete)?.execute([challenger])?;
    }
    Ok(true)
}

/// Where no pairs are left: removes what there is of the challenger that was written to longest ago.
fn remove_stalest(transaction: &Transaction<'_>) -> Result<bool, FileError> {
    let stalest = "SELECT id FROM challenger ORDER BY changed LIMIT 1";
    let mut stalest = transaction.prepare_cached(stalest)?;
    let mut rows = stalest.query([])?;
    match rows.next()? {
        Some(row) => remove(transaction, row.get(0)?),
        None => Ok(false),
    }
}
