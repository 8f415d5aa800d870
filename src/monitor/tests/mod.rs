//! A monitor over a real file, with a clock that the test sets.

mod clock;
mod keeping;
mod restart;

use std::{path::PathBuf, sync::Arc};

use tempfile::TempDir;

use super::{Asked, Monitor, MonitorOptions, READING_MAX, Series, Shown, lock};
use crate::{
    base::name::DeploymentName,
    telemetry::{
        meters::RoleMeters,
        outcome::{Ended, Role},
        tally::Failed,
    },
};

/// When the tests begin: the start of a chunk on every level.
const BEGIN_S: u64 = 36_000 * 50_000;
const MS: u64 = 1_000_000;

/// A monitor, its clock, and one deployment of its own.
struct World {
    directory: TempDir,
    options: MonitorOptions,
    monitor: Monitor,
    name: DeploymentName,
    meters: Arc<RoleMeters>,
    now_s: u64,
}

impl World {
    /// `name` is the test's own: tallies are the process's.
    fn new(name: &str, options: MonitorOptions) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let name = DeploymentName::parse(&format!("monitor/{name}")).expect("a name");
        let path = directory.path().join("monitoring.db");
        let monitor = Monitor::open(&path, options, BEGIN_S * 1_000);
        Self {
            meters: Arc::new(RoleMeters::new(&name, Role::Main)),
            now_s: BEGIN_S,
            directory,
            options,
            monitor,
            name,
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("monitoring.db")
    }

    fn now_ms(&self) -> u64 {
        self.now_s * 1_000
    }

    /// A request that took so long.
    fn request(&self, ms: u64) {
        self.meters.record_first_byte(ms * MS / 2, MS / 10);
        let complete = Ended::Complete;
        self.meters.record_end(ms * MS, 100, 1_000, complete, None);
    }

    fn fail(&self, failed: Failed) {
        let complete = Ended::Complete;
        self.meters.record_end(MS, 0, 0, complete, Some(failed));
    }

    /// Ten seconds pass.
    fn step(&mut self) {
        self.now_s += 10;
        self.monitor.sample(self.now_ms());
    }

    fn write(&self) {
        self.monitor.write(self.now_ms(), true);
    }

    /// Time passes with one request in each step; what is full is written now and then.
    fn pass(&mut self, seconds: u64, ms: u64) {
        let until = self.now_s + seconds;
        while self.now_s < until {
            self.request(ms);
            self.step();
            if self.now_s.is_multiple_of(60) {
                self.write();
            }
        }
    }

    /// The process ends, with a last word or without, and another one begins.
    fn restart(&mut self, with_a_last_word: bool) {
        if with_a_last_word {
            self.monitor.finish(self.now_ms());
        }
        // What is counted is counted by the process.
        self.meters = Arc::new(RoleMeters::new(&self.name, Role::Main));
        self.monitor = Monitor::open(&self.path(), self.options, self.now_ms());
    }

    fn series(&self, from_s: u64, to_s: u64, step_s: Option<u64>) -> Series {
        let asked = Asked {
            from_s,
            to_s,
            step_s,
        };
        let answered = self.monitor.series(&self.name, asked, self.now_ms());
        answered.expect("answered")
    }

    /// The main pool's steps from the beginning to now.
    fn main(&self, step_s: u64) -> Vec<Shown> {
        let to_s = self.now_s.max(BEGIN_S) + 10;
        self.series(BEGIN_S, to_s, Some(step_s)).main
    }

    fn requests(&self, step_s: u64) -> u64 {
        let main = self.main(step_s);
        main.iter().map(|shown| shown.point.requests).sum()
    }
}

/// When each step began, in seconds from the beginning, with its requests.
fn outline(steps: &[Shown]) -> Vec<(u64, u64)> {
    let outline = steps.iter();
    outline
        .map(|shown| (shown.at_s - BEGIN_S, shown.point.requests))
        .collect()
}
