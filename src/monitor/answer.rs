//! What is answered: a deployment's series of a while, and how all deployments do just now.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, PoisonError, atomic::Ordering},
};

use tokio::task::{JoinError, spawn_blocking};

use super::{
    Monitor, disk,
    level::{Asked, Level, Plan, Refused, STEP_MS},
    lock,
    point::Point,
    sampler::Key,
    schema,
};
use crate::{base::name::DeploymentName, store::side_file::FileError, telemetry::outcome::Role};

/// How far ahead of the clock points are looked for, in seconds.
const AHEAD_S: u64 = 86_400;

/// A deployment's series.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The seconds since 1970 that it covers: whole steps.
    pub span_s: Range<u64>,
    /// Seconds of a step.
    pub step_s: u64,
    /// The pool whose answers clients get.
    pub main: Vec<Shown>,
    /// The pool that gets copies.
    pub challenger: Vec<Shown>,
}

/// A step in which something happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// When it began, in seconds since 1970.
    pub at_s: u64,
    /// How long it took; less than a step for the one that is running.
    pub ms: u64,
    /// What happened.
    pub point: Point,
}

/// How a deployment does just now.
#[derive(Debug, Clone, PartialEq)]
pub struct Newest {
    /// How long the figures go back: 10 to 20 seconds.
    pub ms: u64,
    /// What happened.
    pub point: Point,
}

// === impl Monitor ===

impl Monitor {
    /// The same as [`Monitor::series`], on a thread that may block, of which a few are taken at most.
    ///
    /// # Errors
    /// When the reading panicked.
    ///
    /// # Cancellation
    /// The reading goes on to its end, for nobody.
    pub async fn read(
        self: &Arc<Self>,
        name: DeploymentName,
        asked: Asked,
        now_ms: u64,
    ) -> Result<Result<Series, Refused>, JoinError> {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.reading).acquire_owned().await;
        let monitor = Arc::clone(self);
        let reading = move || {
            // Held until the thread is free, also when nobody waits any more.
            let _permit = permit;
            monitor.series(&name, asked, now_ms)
        };
        spawn_blocking(reading).await
    }

    /// A deployment's series, whether or not it is still there. Blocks.
    ///
    /// # Errors
    /// [`Refused`]. What of the file can't be read is left out, and the log says so.
    pub fn series(
        &self,
        name: &DeploymentName,
        asked: Asked,
        now_ms: u64,
    ) -> Result<Series, Refused> {
        let _unmoved = self.moving.read().unwrap_or_else(PoisonError::into_inner);
        let mut reader = lock(&self.reader);
        let opened = match &mut *reader {
            Some(reader) => Ok(reader),
            none => schema::FILE
                .reader(&self.path)
                .map(|opened| none.insert(opened)),
        };
        let (sql, whole_from_s) = match opened.map(|sql| (disk::whole_from_s(sql), sql)) {
            Ok((Ok(whole_from_s), sql)) => (Some(&*sql), whole_from_s),
            Ok((Err(error), _)) | Err(error) => {
                self.unread(&error);
                (None, [0; 3])
            }
        };
        let floors = self.floors_s(now_ms, whole_from_s);
        let plan = Plan::new(asked, floors)?;
        let of = |role| {
            let (mut steps, running_ms) = self.steps(&Key::new(name, role), &plan, now_ms);
            if let (Some(level), Some(sql)) = (plan.level, sql) {
                let floor_s = floors[level as usize].unwrap_or(0);
                // Nothing is later, but for a clock that was set back by more.
                let kept_s = floor_s..now_ms / 1_000 + AHEAD_S;
                let read = stored(sql, &Key::new(name, role), &plan, level, kept_s, &mut steps);
                read.unwrap_or_else(|error| self.unread(&error));
            }
            let shown = steps.into_iter().map(|(at_s, point)| Shown {
                at_s,
                ms: match at_s == running_ms / 1_000 / plan.step_s * plan.step_s {
                    true => now_ms
                        .saturating_sub(at_s * 1_000)
                        .clamp(1, plan.step_s * 1_000),
                    false => plan.step_s * 1_000,
                },
                point,
            });
            shown.collect()
        };
        let (main, challenger) = (of(Role::Main), of(Role::Challenger));
        Ok(Series {
            span_s: plan.span_s,
            step_s: plan.step_s,
            main,
            challenger,
        })
    }

    /// How the main pools of these deployments do just now. Cheap: a few microseconds for each.
    pub fn newest<'a>(
        &self,
        names: impl IntoIterator<Item = &'a DeploymentName>,
        now_ms: u64,
    ) -> Vec<Newest> {
        let mut sampler = lock(&self.sampler);
        sampler.look_around();
        let ms = now_ms.saturating_sub(sampler.step() * STEP_MS).min(STEP_MS) + STEP_MS;
        let newest = |name| Newest {
            ms,
            point: sampler.newest(&Key::new(name, Role::Main)),
        };
        names.into_iter().map(newest).collect()
    }

    /// From when on each level has what happened.
    fn floors_s(&self, now_ms: u64, whole_from_s: [u64; 3]) -> [Option<u64>; 3] {
        let mut floors = [None; 3];
        for level in Level::ALL {
            let kept_s = self.options.kept_s[level as usize];
            floors[level as usize] = (kept_s > 0).then(|| {
                let floor = (now_ms / 1_000).saturating_sub(kept_s);
                floor.max(whole_from_s[level as usize])
            });
        }
        floors
    }

    /// What memory has, and when the running step began.
    fn steps(&self, key: &Key, plan: &Plan, now_ms: u64) -> (BTreeMap<u64, Point>, u64) {
        let mut steps = BTreeMap::new();
        let mut sampler = lock(&self.sampler);
        sampler.look_around();
        let running_ms = sampler.step() * STEP_MS;
        let mut put = |at_s, point: Point| put(&mut steps, plan, at_s, &point);
        lock(&self.recent).of(key, &mut put);
        if let Some(point) = sampler.running(key) {
            put(running_ms / 1_000, point);
        }
        (steps, running_ms.min(now_ms))
    }

    fn unread(&self, error: &FileError) {
        if matches!(error, FileError::Broken(_)) {
            // The thread that writes sets it aside.
            self.is_broken.store(true, Ordering::Relaxed);
        }
        let file = self.path.display();
        tracing::warn!(%file, %error, "monitoring series can't be read");
    }
}

/// Adds what the disk has.
fn stored(
    sql: &rusqlite::Connection,
    key: &Key,
    plan: &Plan,
    level: Level,
    kept_s: Range<u64>,
    steps: &mut BTreeMap<u64, Point>,
) -> Result<(), FileError> {
    let from_s = plan.span_s.start.max(kept_s.start);
    let to_s = plan.span_s.end.min(kept_s.end);
    let chunks = from_s / level.chunk_s()..=to_s.saturating_sub(1) / level.chunk_s();
    disk::points(sql, key, level, chunks, |at_s, point| {
        put(steps, plan, at_s, &point);
    })
}

fn put(steps: &mut BTreeMap<u64, Point>, plan: &Plan, at_s: u64, point: &Point) {
    if plan.span_s.contains(&at_s) {
        let begins_s = at_s / plan.step_s * plan.step_s;
        steps.entry(begins_s).or_default().add(point);
    }
}
