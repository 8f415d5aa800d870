//! What the disk itself takes to make something durable: the floor under every figure here.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use crate::common::{Checked, meter::quantile};

/// One page of most file systems and databases.
const BYTES: usize = 4_096;
/// As many samples as this, or for so long.
const SAMPLES: usize = 1_000;
const LONGEST: Duration = Duration::from_secs(2);

/// Appends and syncs, again and again, and says how long that took.
pub(crate) fn print(when: &str, dir: &Path) -> Checked<()> {
    let path = dir.join("synced");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let page = [7; BYTES];
    let mut taken = Vec::with_capacity(SAMPLES);
    let began = Instant::now();
    while taken.len() < SAMPLES && began.elapsed() < LONGEST {
        let started = Instant::now();
        file.write_all(&page)?;
        file.sync_data()?;
        taken.push(started.elapsed().as_nanos() as i64);
    }
    drop(file);
    fs::remove_file(&path)?;
    taken.sort_unstable();
    println!(
        "the disk, {when}: append 4 KiB + fdatasync p50 {:.0} us, p99 {:.0} us ({} times)",
        quantile(&taken, 0.5) / 1e3,
        quantile(&taken, 0.99) / 1e3,
        taken.len()
    );
    Ok(())
}
