//! The parts `mutations` and `writers`: changes one at a time, and many at once.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use super::{
    client::Client,
    figures::{Histogram, spread_ms},
    mutator::{Change, Mutator, Proof},
    options::Options,
};
use crate::common::{
    Checked,
    start::{Model, Weir},
    table::{self, cell},
};

/// Deployments that are changed in turn.
const CHANGED: std::ops::Range<usize> = 0..10;
/// Clients that create keys at once.
const WRITERS: usize = 16;

/// Each kind of change many times, one at a time, each proven to be in force.
pub(crate) fn one_at_a_time(options: &Options, weir: &Weir, model: &Model) -> Checked<()> {
    eprintln!("mutations: {} of each kind", options.mutations);
    let mut mutator = Mutator::new(weir, model, CHANGED, Proof::Asked)?;
    let mut admin = Client::connect(weir.admin)?;
    let mut rows = Vec::new();
    for change in Change::ALL {
        let before = Histogram::read(&admin.metrics()?)?;
        let mut taken = (0..options.mutations)
            .map(|_| mutator.change(change))
            .collect::<Checked<Vec<_>>>()
            .map_err(|e| format!("{}: {e}", change.name()))?;
        let own = Histogram::read(&admin.metrics()?)?.since(&before);
        taken.sort_unstable();
        let mut cells: Vec<_> = spread_ms(&taken).map(|ms| cell(ms, 2)).into();
        cells.push(cell(own[0] / f64::from(options.mutations), 1));
        cells.extend(own[1..].iter().map(|&ms| cell(ms, 2)));
        rows.push((change.name().to_owned(), cells));
    }
    println!(
        "\nmutations: {} of each, from the call to the answer, in ms; beside it weir_mutation_seconds",
        options.mutations
    );
    let titles = [
        "p50",
        "p99",
        "longest",
        "commits each",
        "own mean",
        "own p50 <=",
        "own p99 <=",
    ];
    table::print(&titles, &rows);
    Ok(())
}

/// As many keys as clients can create at once.
pub(crate) fn at_once(options: &Options, weir: &Weir, model: &Model) -> Checked<()> {
    eprintln!("writers: {WRITERS} for {} s", options.seconds);
    let together = Barrier::new(WRITERS);
    let length = Duration::from_secs_f64(options.seconds);
    // Unproven: as many requests to the data plane would be half of what is measured.
    let mut mutators = (0..WRITERS)
        .map(|at| Mutator::new(weir, model, [at], Proof::Trusted))
        .collect::<Checked<Vec<_>>>()?;
    let taken: Result<Vec<_>, String> = thread::scope(|scope| {
        let writers: Vec<_> = mutators
            .iter_mut()
            .map(|mutator| {
                scope.spawn(|| {
                    together.wait();
                    let began = Instant::now();
                    let mut taken = Vec::new();
                    while began.elapsed() < length {
                        let took = mutator.change(Change::Create);
                        // An error that can leave this thread.
                        taken.push(took.map_err(|e| e.to_string())?);
                    }
                    Ok(taken)
                })
            })
            .collect();
        let joined = |writer: thread::ScopedJoinHandle<'_, _>| {
            writer
                .join()
                .unwrap_or_else(|_| Err("a writer panicked".to_owned()))
        };
        writers.into_iter().map(joined).collect()
    });
    let mut taken: Vec<i64> = taken?.into_iter().flatten().collect();
    taken.sort_unstable();
    let mut cells = vec![cell(taken.len() as f64 / options.seconds, 0)];
    cells.extend(spread_ms(&taken).map(|ms| cell(ms, 2)));
    println!("\nwriters: {WRITERS} clients that create keys, in ms");
    let titles = ["keys/s", "p50", "p99", "longest"];
    table::print(&titles, &[("create a key".to_owned(), cells)]);
    Ok(())
}
