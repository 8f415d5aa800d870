//! The file of pairs: what is in it.
//!
//! ```text
//! challenger  id ── deployment, life, version; when anything was last written of it
//! state       what all its pairs say together, replaced each time
//! point       how that looked over time
//! pair        one request that both answered; its class is its result, and whether one failed
//! bodies      of the pairs that they are kept of, under the pair's id
//! ```
//!
//! A filter is a set of classes, so that each page is read off the front of a few runs of an index, one
//! for each challenger and class, however many pairs there are. Distances are in an index only where
//! pairs disagree: elsewhere nobody asks for the greatest.

use crate::store::side_file::SideFile;

/// The file.
pub(super) const FILE: SideFile = SideFile {
    what: "pairs of challengers",
    // "wcmp".
    application_id: 0x7763_6d70,
    layout: 1,
    tables: TABLES,
    page_bytes: 8_192,
    cache_kib: 4_096,
    // 4 MiB, the most that is kept of a log.
    checkpoint_pages: 512,
};

const TABLES: &str = "
    CREATE TABLE challenger (id INTEGER PRIMARY KEY, deployment TEXT NOT NULL, life INTEGER NOT NULL,
        version INTEGER NOT NULL, changed INTEGER NOT NULL, UNIQUE (deployment, life, version));
    CREATE TABLE state (challenger INTEGER PRIMARY KEY, body BLOB NOT NULL);
    CREATE TABLE point (challenger INTEGER NOT NULL, at INTEGER NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (challenger, at)) WITHOUT ROWID;
    CREATE TABLE pair (id INTEGER PRIMARY KEY AUTOINCREMENT, challenger INTEGER NOT NULL,
        class INTEGER NOT NULL, at INTEGER NOT NULL, distance REAL NOT NULL, body BLOB NOT NULL);
    CREATE INDEX pair_by_time ON pair (challenger, class, at);
    CREATE INDEX pair_by_distance ON pair (challenger, class, distance, at) WHERE class >= 4;
    CREATE TABLE bodies (id INTEGER PRIMARY KEY, flags INTEGER NOT NULL, request BLOB, main BLOB,
        challenger BLOB);
";

/// Classes of pairs.
pub(super) const CLASSES: std::ops::Range<u8> = 0..6;
/// The first of the two classes of pairs that disagree; `pair_by_distance` has these alone.
pub(super) const DISAGREE: u8 = 4;
