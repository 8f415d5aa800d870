//! The part `direct`: what direct calls at a fixed rate see of a queue.

use std::path::Path;

use super::{jobs::fill, options::Options, place::Place, report::Report};
use crate::common::{
    Checked,
    child::Cores,
    load::{Load, Measured, Pace, Window},
    meter::{Meter, quantile},
    start::Model,
};

/// Client connections.
const CONNECTIONS: usize = 32;

const COLUMNS: [(&str, usize); 7] = [
    ("answered", 0),
    ("p50 us", 0),
    ("p99 us", 0),
    ("p99.9 us", 0),
    ("sent late p99", 0),
    ("jobs/s beside", 0),
    ("others %", 0),
];

/// Quiet, beside a queue that waits, beside one that is worked off; again in each round.
pub(crate) fn run(
    options: &Options,
    dir: &Path,
    model: &Model,
    report: &mut Report,
) -> Checked<()> {
    let title = format!(
        "direct: {} direct calls/s of 1 KiB over {CONNECTIONS} connections",
        options.rate
    );
    let rows = [
        "no queue".to_owned(),
        format!("beside {} that wait", options.backlog),
        format!("beside {} worked off", options.backlog),
    ];
    for round in 1..=options.rounds {
        eprintln!("direct: round {round} of {}", options.rounds);
        let place = Place::new(dir, "weir", model)?;
        let mut running = place.start()?;
        let meter = Meter::new(
            Some(running.weir.child.pid()),
            model.pid(),
            Cores::choose()?,
        )?;
        let mut load = Load::connect(running.weir.data, CONNECTIONS, u64::from(round))?;
        for (at, row) in rows.iter().enumerate() {
            match at {
                0 => {}
                1 => fill(&mut running, options.backlog)?,
                _ => running.restart_later()?,
            }
            let before = running.completed()?;
            let measured = measure(options, &mut load, &meter)?;
            let done = running.completed()? - before;
            if at == 2 && done >= u64::from(options.backlog) {
                println!("direct: the queue was empty before the end; a larger --backlog lasts");
            }
            let mut figures = figures(&measured).to_vec();
            if at == 2 {
                let seconds = options.warmup + options.seconds;
                figures.push(("jobs/s beside", done as f64 / seconds));
            }
            report.disturbed(measured.used.others_busy * 100.0);
            report.keep(&title, row, round, &figures);
        }
        drop(load);
        // What is left of the queue is nobody's business.
        running
            .weir
            .child
            .end_by(nix::sys::signal::Signal::SIGKILL)?;
    }
    report.table(&title, &rows, &COLUMNS);
    Ok(())
}

fn measure(options: &Options, load: &mut Load, meter: &Meter) -> Checked<Measured> {
    let window = Window {
        warmup_ns: (options.warmup * 1e9) as u64,
        length_ns: (options.seconds * 1e9) as u64,
    };
    let pace = Pace {
        per_second: options.rate,
        burst: 1,
    };
    load.open_loop(window, pace, meter)
}

fn figures(measured: &Measured) -> [(&'static str, f64); 6] {
    let at = |share| quantile(&measured.latencies, share) / 1e3;
    [
        ("answered", measured.latencies.len() as f64),
        ("p50 us", at(0.5)),
        ("p99 us", at(0.99)),
        ("p99.9 us", at(0.999)),
        ("sent late p99", quantile(&measured.lateness, 0.99) / 1e3),
        ("others %", measured.used.others_busy * 100.0),
    ]
}
