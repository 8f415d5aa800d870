//! Following a deployment's log: a place in its ring, and nothing kept beside it.

use std::sync::Arc;

use tokio::sync::watch;

use super::{
    Logs,
    line::{Level, Line, What},
    ring::Mark,
};
use crate::{
    base::{clock::unix_ms, name::DeploymentName},
    telemetry::{series, table},
};

/// Bytes of packed lines that a follower takes at a time.
const TAKEN_BYTES_MAX: usize = 16 << 10;

/// Somebody who reads lines as they come.
#[derive(Debug)]
pub struct Follower {
    logs: Arc<Logs>,
    name: DeploymentName,
    level: Level,
    place: Place,
}

/// A place in a ring.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) mark: Mark,
    pub(super) told: watch::Receiver<()>,
}

impl Follower {
    pub(super) fn new(logs: Arc<Logs>, name: &DeploymentName, level: Level, place: Place) -> Self {
        Self {
            logs,
            name: name.clone(),
            level,
            place,
        }
    }

    /// The next lines, at least one. None when there will be no more: the deployment's name has a new
    /// life, or its lines were forgotten.
    ///
    /// # Cancellation
    /// Loses nothing.
    pub async fn next(&mut self) -> Option<Vec<Line>> {
        loop {
            // A new life of the name, or a new ring of it, is nothing of this one.
            self.place.told.has_changed().ok()?;
            // Seen before it is looked for, so that no line can come unseen in between.
            self.place.told.mark_unchanged();
            let before = self.place.mark.next;
            let lines = self.taken()?;
            if !lines.is_empty() {
                return Some(lines);
            }
            // What was taken may all have been less serious than what is asked for.
            if self.place.mark.next == before {
                self.place.told.changed().await.ok()?;
            }
        }
    }

    fn taken(&mut self) -> Option<Vec<Line>> {
        let rings = self.logs.rings();
        let mark = &mut self.place.mark;
        let (copied, lost) = rings.beyond(&self.name, mark, TAKEN_BYTES_MAX)?;
        drop(rings);
        let mut lines = Vec::new();
        if lost > 0 {
            series::count(&table::LOG_LINES_DROPPED, &["slow_follower"], lost);
            lines.push(Line {
                at_ms: unix_ms(),
                level: Level::Warn,
                what: What::Lost(lost),
            });
        }
        let copied = copied.lines(&self.name).into_iter();
        lines.extend(copied.filter(|line| line.level >= self.level));
        Some(lines)
    }
}
