//! The part `starts`: until it is ready, and what it holds then.

use std::{thread, time::Duration};

use super::{
    options::Options,
    place::{BIG, Place, SMALL, Size},
};
use crate::common::{
    Checked,
    meter::{median, memory_kib},
    start::Model,
    table::{self, cell},
};

/// What it starts from, in this order in the same directory.
const FROM: [(&str, bool); 3] = [
    ("from a file, first", true),
    ("from the file again", true),
    ("data directory alone", false),
];

/// Starts, waits, reads, stops; every kind of start as often as asked.
pub(crate) fn run(options: &Options, model: &Model) -> Checked<()> {
    let mut rows = Vec::new();
    for size in [SMALL, BIG] {
        let mut taken = FROM.map(|_| Vec::new());
        for round in 1..=options.starts {
            let (deployments, keys) = (size.deployments, size.keys);
            eprintln!("starts with {deployments} deployments, {keys} keys: round {round}");
            for (kind, figures) in once(options, size, model)?.into_iter().enumerate() {
                taken[kind].push(figures);
            }
        }
        for ((name, _), samples) in FROM.iter().zip(&taken) {
            let name = format!("{} / {}, {name}", size.deployments, size.keys);
            let of = |at: usize| median(samples.iter().map(|sample: &[f64; 3]| sample[at]));
            let longest = samples.iter().map(|sample| sample[0]).fold(0.0, f64::max);
            let cells = vec![
                cell(of(0), 2),
                cell(longest, 2),
                cell(of(1), 1),
                cell(of(2), 1),
            ];
            rows.push((name, cells));
        }
    }
    println!(
        "\nstarts: medians of {}, memory {} s after it was ready",
        options.starts, options.settle
    );
    table::print(&["ready s", "longest s", "memory MB", "store MB"], &rows);
    Ok(())
}

/// Each kind of start once: seconds until it is ready, MB of memory, MB of store.
fn once(options: &Options, size: Size, model: &Model) -> Checked<[[f64; 3]; 3]> {
    let place = Place::new(size, model)?;
    let mut figures = [[0.0; 3]; 3];
    for ((_, from_file), figures) in FROM.into_iter().zip(&mut figures) {
        let weir = place.start(from_file)?;
        thread::sleep(Duration::from_secs_f64(options.settle));
        *figures = [
            weir.took.as_secs_f64(),
            memory_kib(weir.child.pid())? / 1024.0,
            place.store_bytes()? as f64 / (1024.0 * 1024.0),
        ];
        // In order, so that the next start finds what an orderly end leaves.
        weir.child.stop()?;
    }
    Ok(figures)
}
