//! The newest log lines of each deployment: its requests, and what happened to it.
//!
//! ```text
//! workers ──outcomes, as far as a deployment's credit goes──┐
//! control ──happenings, backends that turn, what was over──▶ Logs ──▶ read: the newest
//!                                                     one ring each └─▶ follow: as they come
//! ```
//!
//! Lines are in memory only, packed: `pack` writes one in 20 to 60 bytes. A ring is bounded by its
//! number of lines, all of them together by their bytes; the largest gives way first, so that a busy
//! deployment can't push a quiet one's lines out. What could forge another line is escaped before it
//! is kept (`clean`), so that no way of showing a line can forget it. A follower keeps nothing but its
//! place: one that is too slow finds that lines are gone, is told how many, and goes on.
//!
//! A ring belongs to one life of a deployment's name. That of a deleted deployment stays for a while.

mod clean;
mod follow;
mod line;
mod pack;
mod ring;
mod rings;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use follow::Follower;
pub use line::{Level, Lifecycle, Line, Operation, Request, What};

use crate::{
    base::{clock::Tick, name::DeploymentName},
    telemetry::{credit::Over, outcome::Outcome, series, table},
};
use pack::Packed;
use rings::Rings;

/// What the logs are told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogsOptions {
    /// Lines of one deployment; 0: none are kept.
    pub lines_per_deployment: usize,
    /// Bytes of all lines and of what holds them.
    pub bytes_max: usize,
    /// Lines of a deployment's requests that are taken in a second, faults apart; as many again of
    /// its faults.
    pub lines_per_second: u32,
}

/// The settings' defaults.
impl Default for LogsOptions {
    fn default() -> Self {
        Self {
            lines_per_deployment: 1_000,
            bytes_max: 32 << 20,
            lines_per_second: 100,
        }
    }
}

/// The lines of all deployments.
#[derive(Debug)]
pub struct Logs {
    options: LogsOptions,
    rings: Mutex<Rings>,
}

/// Which lines are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Of this moment or later, in milliseconds since 1970.
    pub since_ms: u64,
    /// At least this serious.
    pub level: Level,
    /// So many of the newest.
    pub limit: usize,
}

/// How long the lines of a deleted deployment stay, in milliseconds.
const DELETED_KEPT_MS: u64 = 15 * 60_000;

// === impl Logs ===

impl Logs {
    /// No lines yet.
    pub fn new(options: LogsOptions) -> Arc<Self> {
        Arc::new(Self {
            options,
            rings: Mutex::new(Rings::new(options)),
        })
    }

    /// What it was told.
    pub fn options(&self) -> &LogsOptions {
        &self.options
    }

    /// Whether any lines are kept.
    pub fn is_on(&self) -> bool {
        self.options.lines_per_deployment > 0
    }

    /// Takes in what a worker told.
    pub fn take(&self, outcomes: &[Outcome]) {
        if !self.is_on() {
            return;
        }
        let mut packed = Packed::default();
        // Not all of a batch under one lock: whoever reads need not wait for that long.
        for outcome in outcomes.iter().filter(|outcome| outcome.is_credited) {
            let Some(name) = &outcome.deployment else {
                continue;
            };
            packed.request(name, outcome);
            let version = outcome.version.map_or(u32::MAX, |version| version.0);
            self.rings().append(name, Some(version), &packed);
        }
    }

    /// Takes in what happened to a deployment.
    pub fn happened(&self, name: &DeploymentName, at_ms: u64, level: Level, what: &Lifecycle) {
        if self.is_on() {
            let mut packed = Packed::default();
            packed.lifecycle(at_ms, level, what);
            self.rings().append(name, None, &packed);
        }
    }

    /// Takes in that lines of a deployment's requests were over its limit.
    pub fn was_over(&self, name: &DeploymentName, at_ms: u64, over: Over) {
        if !self.is_on() {
            return;
        }
        let lines = u64::from(over.usual) + u64::from(over.faults);
        series::count(&table::LOG_LINES_DROPPED, &["rate"], lines);
        // As serious as the lines that are missing, so that whoever asks for faults alone is told of
        // missing faults alone.
        for (level, lines) in [(Level::Info, over.usual), (Level::Error, over.faults)] {
            if lines > 0 {
                let mut packed = Packed::default();
                packed.lost(at_ms, level, u64::from(lines));
                self.rings().append(name, None, &packed);
            }
        }
    }

    /// A deployment came to be whose versions are numbered from `first` on. What there is of a former
    /// life of its name is forgotten, and who follows that has come to its end.
    pub fn begin(&self, name: &DeploymentName, first: u32) {
        if self.is_on() {
            self.rings().begin(name, first);
        }
    }

    /// Whether there is anything of a deployment.
    pub fn has(&self, name: &DeploymentName) -> bool {
        self.rings().has(name)
    }

    /// The newest lines of a deployment, oldest first.
    pub fn read(&self, name: &DeploymentName, asked: &Asked) -> Vec<Line> {
        self.read_on(name, asked).0
    }

    /// The same, and those that come behind them.
    pub fn follow(
        self: &Arc<Self>,
        name: &DeploymentName,
        asked: &Asked,
    ) -> (Vec<Line>, Option<Follower>) {
        if self.is_on() {
            // There may have been none of it so far.
            self.rings().open(name);
        }
        let (lines, place) = self.read_on(name, asked);
        let follower = place.map(|place| Follower::new(Arc::clone(self), name, asked.level, place));
        (lines, follower)
    }

    fn read_on(&self, name: &DeploymentName, asked: &Asked) -> (Vec<Line>, Option<follow::Place>) {
        // Read back when nobody waits for the lock any more.
        let newest = self.rings().newest(name, asked);
        let Some((copied, place)) = newest else {
            return (Vec::new(), None);
        };
        let mut lines = copied.lines(name);
        lines.retain(|line| line.level >= asked.level && line.at_ms >= asked.since_ms);
        let beyond = lines.len().saturating_sub(asked.limit);
        lines.drain(..beyond);
        (lines, Some(place))
    }

    /// Forgets what belongs to deployments that have been gone for a while. Called by control, every
    /// second.
    pub fn tidy(&self, now: Tick, is_there: impl Fn(&str) -> bool) {
        self.rings().tidy(now, DELETED_KEPT_MS, is_there);
    }

    /// Bytes of all lines and of what holds them.
    pub fn bytes(&self) -> usize {
        self.rings().bytes()
    }

    fn rings(&self) -> MutexGuard<'_, Rings> {
        // A panic while it was held would at worst have left a figure wrong.
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
