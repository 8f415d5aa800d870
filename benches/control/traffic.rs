//! The part `traffic`: requests at a fixed rate, quiet and beside mutations.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{
    figures::spread_ms,
    mutator::{Change, Mutator, Proof},
    options::Options,
};
use crate::common::{
    Checked,
    child::Cores,
    load::{Load, Measured, Pace, Window},
    meter::{Meter, median, quantile},
    start::{Model, Weir},
    table::{self, cell},
};

/// Client connections.
const CONNECTIONS: usize = 32;
/// Who changes things, each a few deployments of its own: a deploy that waits must not hold up the
/// others' pace.
const MUTATORS: usize = 4;
/// Deployments of each.
const EACH: usize = 4;
/// What they do in turn.
const MIX: [Change; 8] = [
    Change::Create,
    Change::Deploy,
    Change::Revoke,
    Change::Patch,
    Change::Create,
    Change::Rollback,
    Change::Revoke,
    Change::Patch,
];

/// A round's figures, in the order of [`TITLES`].
type Figures = [f64; TITLES.len()];

const TITLES: [&str; 9] = [
    "answered",
    "p50 us",
    "p99 us",
    "p99.9 us",
    "sent late p99",
    "changes/s",
    "change p50 ms",
    "change p99 ms",
    "others %",
];
const DIGITS: [usize; TITLES.len()] = [0, 0, 0, 0, 0, 1, 2, 2, 0];

/// Quiet, busy, quiet, busy ...
pub(crate) fn run(options: &Options, weir: &Weir, model: &Model) -> Checked<()> {
    let mut mutators = (0..MUTATORS)
        .map(|at| Mutator::new(weir, model, at * EACH..(at + 1) * EACH, Proof::Trusted))
        .collect::<Checked<Vec<_>>>()?;
    // So that every deployment has a version to go back to.
    for mutator in &mut mutators {
        for _ in 0..EACH {
            mutator.change(Change::Deploy)?;
        }
    }
    let meter = Meter::new(Some(weir.child.pid()), model.pid(), Cores::choose()?)?;
    let (mut quiet, mut busy) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        eprintln!("traffic: round {round} of {}", options.rounds);
        let mut load = Load::connect(weir.data, CONNECTIONS, u64::from(round))?;
        quiet.push(figures(&measure(options, &mut load, &meter)?, &[], options));
        let (measured, changes) = beside(options, &mut load, &meter, &mut mutators)?;
        busy.push(figures(&measured, &changes, options));
    }
    // One that failed would have ended the run.
    println!(
        "\ntraffic: {} requests/s of 1 KiB over {CONNECTIONS} connections, medians of {} rounds of {} s, \
         none failed",
        options.rate, options.rounds, options.seconds
    );
    let rows = [("quiet", &quiet), ("busy", &busy)].map(|(name, rounds)| {
        let of = |at: usize| median(rounds.iter().map(|round: &Figures| round[at]));
        let cells = (0..TITLES.len()).map(|at| cell(of(at), DIGITS[at]));
        (name.to_owned(), cells.collect())
    });
    table::print(&TITLES, &rows);
    Ok(())
}

fn measure(options: &Options, load: &mut Load, meter: &Meter) -> Checked<Measured> {
    let window = Window {
        warmup_ns: (options.settle * 1e9) as u64,
        length_ns: (options.seconds * 1e9) as u64,
    };
    let pace = Pace {
        per_second: options.rate,
        burst: 1,
    };
    load.open_loop(window, pace, meter)
}

/// The same while things change; beside it what the changes took, sorted.
fn beside(
    options: &Options,
    load: &mut Load,
    meter: &Meter,
    mutators: &mut [Mutator],
) -> Checked<(Measured, Vec<i64>)> {
    let ended = AtomicBool::new(false);
    let every = Duration::from_secs(1) * MUTATORS as u32 / options.changes;
    let warm = Duration::from_secs_f64(options.settle);
    thread::scope(|scope| {
        let changing: Vec<_> = mutators
            .iter_mut()
            .map(|mutator| scope.spawn(|| keep_changing(mutator, every, warm, &ended)))
            .collect();
        let measured = measure(options, load, meter);
        ended.store(true, Ordering::Relaxed);
        let mut changes = Vec::new();
        for one in changing {
            let one = one.join().map_err(|_| "a mutator panicked")?;
            changes.extend(one?);
        }
        changes.sort_unstable();
        Ok((measured?, changes))
    })
}

/// Changes things at a steady pace until it is told to end. What took place while the load warmed up
/// is left out.
fn keep_changing(
    mutator: &mut Mutator,
    every: Duration,
    warm: Duration,
    ended: &AtomicBool,
) -> Result<Vec<i64>, String> {
    let began = Instant::now();
    let mut taken = Vec::new();
    let mut due = Duration::ZERO;
    for &change in MIX.iter().cycle() {
        if ended.load(Ordering::Relaxed) {
            break;
        }
        let took = mutator.change(change);
        // An error that can leave this thread.
        let took = took.map_err(|e| format!("{}: {e}", change.name()))?;
        if began.elapsed() >= warm {
            taken.push(took);
        }
        due += every;
        thread::sleep(due.saturating_sub(began.elapsed()));
    }
    Ok(taken)
}

fn figures(measured: &Measured, changes: &[i64], options: &Options) -> Figures {
    let at = |share| quantile(&measured.latencies, share) / 1e3;
    let [change_p50, change_p99, _] = spread_ms(changes);
    let per_second = match changes.len() {
        0 => f64::NAN,
        count => count as f64 / options.seconds,
    };
    [
        measured.latencies.len() as f64,
        at(0.5),
        at(0.99),
        at(0.999),
        quantile(&measured.lateness, 0.99) / 1e3,
        per_second,
        change_p50,
        change_p99,
        measured.used.others_busy * 100.0,
    ]
}
