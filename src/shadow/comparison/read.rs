//! What is read of the comparison beyond memory: from its journal, on threads that may block.

use std::ops::Range;

use super::{Comparison, case::Case, case::Standing, challenger, point::Point};
use crate::{
    base::{id::VersionNumber, name::DeploymentName},
    shadow::journal::{Bodies, Filter, Journal, Kept, Page},
    store::side_file::FileError,
};

/// Why what is kept can't be read.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The file can't be used.
    #[error("{0}")]
    File(#[from] FileError),
    /// Reading it panicked.
    #[error("{0}")]
    Panicked(#[from] tokio::task::JoinError),
}

// === impl Comparison ===

/// In each: dropped, the reading goes on to its end, for nobody.
impl Comparison {
    /// How a version's challenger stands, deployed or not; none when nothing was seen of it.
    ///
    /// # Errors
    /// [`LookError`], when it is in the journal alone.
    pub async fn look(
        &self,
        name: &DeploymentName,
        life: u32,
        version: VersionNumber,
    ) -> Result<Option<Standing>, LookError> {
        if let Some(standing) = self.standing(name, life, version) {
            return Ok(Some(standing));
        }
        let key = challenger(name, life, version);
        let read = move |journal: &Journal| journal.state(&key);
        let kept = self.journal.read(read).await??;
        let case = kept.and_then(|kept| Case::restored(&kept, None));
        Ok(case.map(|case| case.standing(version)))
    }

    /// The newest version of which anything was seen, in this life of the name.
    ///
    /// # Errors
    /// [`LookError`].
    pub async fn newest(
        &self,
        name: &DeploymentName,
        life: u32,
    ) -> Result<Option<VersionNumber>, LookError> {
        let in_memory = {
            let cases = self.cases();
            let seen = cases.iter().filter(|(_, case)| !case.is_empty());
            let keys = seen.map(|(key, _)| key);
            let keys = keys.filter(|key| key.name == *name && key.life == life);
            keys.map(|key| key.version).max()
        };
        let name = name.clone();
        let read = move |journal: &Journal| journal.challengers(&name);
        let kept = self.journal.read(read).await??;
        let kept = kept.iter().filter(|key| key.life == life);
        Ok(kept.map(|key| key.version).max().max(in_memory))
    }

    /// A page of pairs that were kept.
    ///
    /// # Errors
    /// [`LookError`].
    pub async fn pairs(&self, filter: Filter) -> Result<Page<Kept>, LookError> {
        let read = move |journal: &Journal| journal.pairs(&filter);
        Ok(self.journal.read(read).await??)
    }

    /// A pair that was kept, with its bodies where they are.
    ///
    /// # Errors
    /// [`LookError`].
    pub async fn pair(
        &self,
        name: DeploymentName,
        life: u32,
        id: u64,
    ) -> Result<Option<(Kept, Option<Bodies>)>, LookError> {
        let read = move |journal: &Journal| journal.pair(&name, Some(life), id);
        Ok(self.journal.read(read).await??)
    }

    /// How a challenger stood over time, the oldest first: in at most so many points, two at least.
    ///
    /// # Errors
    /// [`LookError`].
    pub async fn series(
        &self,
        name: &DeploymentName,
        life: u32,
        version: VersionNumber,
        span_ms: Range<u64>,
        points_max: usize,
    ) -> Result<Vec<Point>, LookError> {
        let of = challenger(name, life, version);
        let read = move |journal: &Journal| journal.series(&of, span_ms, points_max);
        let points = self.journal.read(read).await??;
        Ok(points.iter().filter_map(Point::from_kept).collect())
    }
}
