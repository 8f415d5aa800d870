//! The rings of all deployments, and which of them gives way when there are too many bytes.

use std::collections::{BTreeSet, HashMap};

use super::{
    Asked, LogsOptions,
    follow::Place,
    pack::Packed,
    ring::{Copied, Mark, Ring},
};
use crate::{
    base::{clock::Tick, name::DeploymentName},
    telemetry::{series, table},
};

/// All rings.
#[derive(Debug)]
pub(super) struct Rings {
    options: LogsOptions,
    by_name: HashMap<DeploymentName, Ring>,
    /// The same by their bytes, so that the largest is found.
    by_bytes: BTreeSet<(usize, DeploymentName)>,
    bytes: usize,
}

impl Rings {
    pub(super) fn new(options: LogsOptions) -> Self {
        Self {
            options,
            by_name: HashMap::new(),
            by_bytes: BTreeSet::new(),
            bytes: 0,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn has(&self, name: &DeploymentName) -> bool {
        self.by_name.contains_key(name)
    }

    /// Adds a line; see [`Ring::push`].
    pub(super) fn append(&mut self, name: &DeploymentName, version: Option<u32>, packed: &Packed) {
        let lines_max = self.options.lines_per_deployment;
        self.change(name, |ring| ring.push(version, packed, lines_max));
        self.give_way();
    }

    /// Has a ring, be it an empty one.
    pub(super) fn open(&mut self, name: &DeploymentName) {
        self.change(name, |_| ());
    }

    /// See [`Ring::begin`].
    pub(super) fn begin(&mut self, name: &DeploymentName, first_version: u32) {
        self.change(name, |ring| ring.begin(first_version));
    }

    /// The newest lines of a deployment, and the place behind them.
    pub(super) fn newest(
        &mut self,
        name: &DeploymentName,
        asked: &Asked,
    ) -> Option<(Copied, Place)> {
        let ring = self.by_name.get_mut(name)?;
        let copied = ring.newest(asked);
        let place = Place {
            mark: ring.mark(),
            told: ring.listen(),
        };
        Some((copied, place))
    }

    /// See [`Ring::beyond`]. None when that life is over, or its lines are forgotten.
    pub(super) fn beyond(
        &self,
        name: &DeploymentName,
        mark: &mut Mark,
        bytes_max: usize,
    ) -> Option<(Copied, u64)> {
        let ring = self.by_name.get(name)?;
        (ring.mark().life == mark.life).then(|| ring.beyond(mark, bytes_max))
    }

    /// Forgets the rings of deployments that have been gone for so long.
    pub(super) fn tidy(&mut self, now: Tick, kept_ms: u64, is_there: impl Fn(&str) -> bool) {
        let mut over = Vec::new();
        for (name, ring) in &mut self.by_name {
            ring.hush();
            if is_there(name.as_str()) {
                ring.gone = None;
                continue;
            }
            let gone = *ring.gone.get_or_insert(now);
            if now.ns_since(gone) >= kept_ms * 1_000_000 {
                over.push(name.clone());
            }
        }
        over.iter().for_each(|name| self.remove(name));
    }

    fn change(&mut self, name: &DeploymentName, change: impl FnOnce(&mut Ring)) {
        let (before, after) = match self.by_name.get_mut(name) {
            Some(ring) => {
                let before = ring.bytes();
                change(ring);
                (before, ring.bytes())
            }
            None => {
                let ring = self.by_name.entry(name.clone()).or_default();
                change(ring);
                (0, ring.bytes())
            }
        };
        self.resize(name, before, after);
    }

    fn resize(&mut self, name: &DeploymentName, before: usize, after: usize) {
        if before != after {
            self.by_bytes.remove(&(before, name.clone()));
            self.by_bytes.insert((after, name.clone()));
            self.bytes = self.bytes - before + after;
        }
    }

    fn remove(&mut self, name: &DeploymentName) {
        if let Some(ring) = self.by_name.remove(name) {
            self.by_bytes.remove(&(ring.bytes(), name.clone()));
            self.bytes -= ring.bytes();
        }
    }

    /// Has the largest rings give their oldest lines back until there is room.
    fn give_way(&mut self) {
        let mut lost = 0;
        while self.bytes > self.options.bytes_max {
            let Some((before, name)) = self.by_bytes.last().cloned() else {
                break;
            };
            let Some(ring) = self.by_name.get_mut(&name) else {
                self.by_bytes.pop_last();
                continue;
            };
            let Some(lines) = ring.pop_block() else {
                // The largest is empty: what there is are deployments, and those are bounded.
                break;
            };
            lost += lines as u64;
            let (after, is_over) = (ring.bytes(), ring.is_empty() && ring.gone.is_some());
            self.resize(&name, before, after);
            if is_over {
                self.remove(&name);
            }
        }
        if lost > 0 {
            series::count(&table::LOG_LINES_DROPPED, &["memory"], lost);
        }
    }
}
