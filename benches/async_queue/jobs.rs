//! The part `jobs`: from a submission to the model's answer.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use super::{
    busy::Busy,
    clients::{Until, drive},
    options::Options,
    place::{Place, Running},
    report::Report,
    submit::{Await, Submit},
};
use crate::common::{Checked, load::Window, start::Model, wire::BODY_BYTES};

const TITLE: &str =
    "jobs: submitted, run by the model (1 KiB both ways), kept, at default settings";
const COLUMNS: [(&str, usize); 4] = [("jobs/s", 0), ("p50 ms", 2), ("p99 ms", 2), ("others %", 0)];

/// Who submits as many as they can.
const CLIENTS: usize = 16;

/// One at a time, many at a time, and a backlog.
pub(crate) fn run(
    options: &Options,
    dir: &Path,
    model: &Model,
    report: &mut Report,
) -> Checked<()> {
    let backlog = format!("backlog of {} worked off", options.backlog);
    let waited = [
        "1 client waits for each answer",
        "16 clients wait for each answer",
    ];
    let submitted = "16 clients submit, until the last is completed";
    for round in 1..=options.rounds {
        eprintln!("jobs: round {round} of {}", options.rounds);
        let place = Place::new(dir, "weir", model)?;
        let mut running = place.start()?;
        let window = Window {
            warmup_ns: (options.warmup * 1e9) as u64,
            length_ns: (options.seconds * 1e9) as u64,
        };
        for (row, clients) in waited.into_iter().zip([1, CLIENTS]) {
            let mut talk = Await::new(clients);
            let seen = drive(running.weir.data, &mut talk, clients, Until::Closed(window))?;
            let figures = [
                ("jobs/s", seen.per_second),
                ("p50 ms", seen.p50_ms),
                ("p99 ms", seen.p99_ms),
                ("others %", seen.others),
            ];
            report.keep(TITLE, row, round, &figures);
            report.disturbed(seen.others);
        }
        let rate = both_at_once(&mut running, window)?;
        report.keep(TITLE, submitted, round, &rate);
        fill(&mut running, options.backlog)?;
        let rate = work_off(&mut running, options.backlog)?;
        report.keep(TITLE, &backlog, round, &rate);
        running.weir.child.stop()?;
    }
    let mut rows: Vec<String> = waited.map(str::to_owned).to_vec();
    rows.extend([submitted.to_owned(), backlog]);
    report.table(TITLE, &rows, &COLUMNS);
    Ok(())
}

/// Clients submit for a while; the time runs until the last one of theirs is completed.
fn both_at_once(running: &mut Running, window: Window) -> Checked<[(&'static str, f64); 2]> {
    let before = running.completed()?;
    let (began, busy) = (Instant::now(), Busy::now()?);
    let mut talk = Submit::new(CLIENTS, BODY_BYTES);
    let seen = drive(running.weir.data, &mut talk, CLIENTS, Until::Closed(window))?;
    let ended = running.wait_completed(before + seen.answers)?;
    let per_second = seen.answers as f64 / (ended - began).as_secs_f64();
    let others = busy.others_until(&Busy::now()?);
    Ok([("jobs/s", per_second), ("others %", others)])
}

/// Fills the queue of a deployment that is stopped for it.
pub(crate) fn fill(running: &mut Running, count: u32) -> Checked<()> {
    const FILLERS: usize = 64;
    running.stop_later()?;
    let count = u64::from(count);
    let mut talk = Submit::new(FILLERS, BODY_BYTES);
    let seen = drive(
        running.weir.data,
        &mut talk,
        FILLERS,
        Until::Answered(count),
    )?;
    match seen.answers == count {
        true => Ok(()),
        false => Err(format!("{} accepted instead of {count}", seen.answers).into()),
    }
}

/// Lets the deployment run until all that waited is completed.
fn work_off(running: &mut Running, count: u32) -> Checked<[(&'static str, f64); 2]> {
    // What the filling left to be written is not the draining's.
    std::thread::sleep(Duration::from_millis(500));
    let before = running.completed()?;
    let (began, busy) = (Instant::now(), Busy::now()?);
    running.restart_later()?;
    let ended = running.wait_completed(before + u64::from(count))?;
    let per_second = f64::from(count) / (ended - began).as_secs_f64();
    let others = busy.others_until(&Busy::now()?);
    Ok([("jobs/s", per_second), ("others %", others)])
}
