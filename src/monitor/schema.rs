//! The file of the monitoring series: what is in it.
//!
//! ```text
//! series    id ── deployment, role
//! journal   points since their chunk began, as they came, all series of a write together
//! chunk_L   points of one series and one chunk's time; the id is the time, then the series, so that
//!           writing appends and what is old lies together
//! meta      bytes of each level, and from when on it is whole
//! ```

use crate::store::side_file::SideFile;

/// The file.
pub(super) const FILE: SideFile = SideFile {
    what: "monitoring series",
    // "wmon".
    application_id: 0x776d_6f6e,
    // The scale of durations is part of it.
    layout: 1,
    tables: TABLES,
    // Chunks have one to three KiB: in smaller pages a third of the room would be lost.
    page_bytes: 8_192,
    cache_kib: 2_048,
    // Each writing ends with a checkpoint.
    checkpoint_pages: 0,
};

const TABLES: &str = "
    CREATE TABLE series (id INTEGER PRIMARY KEY, deployment TEXT NOT NULL, role INTEGER NOT NULL,
        seen INTEGER NOT NULL, UNIQUE (deployment, role));
    CREATE TABLE journal (id INTEGER PRIMARY KEY, chunk INTEGER NOT NULL, body BLOB NOT NULL);
    CREATE TABLE chunk_0 (id INTEGER PRIMARY KEY, steps INTEGER NOT NULL, body BLOB NOT NULL);
    CREATE TABLE chunk_1 (id INTEGER PRIMARY KEY, steps INTEGER NOT NULL, body BLOB NOT NULL);
    CREATE TABLE chunk_2 (id INTEGER PRIMARY KEY, steps INTEGER NOT NULL, body BLOB NOT NULL);
    CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
";
