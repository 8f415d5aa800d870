//! The part `starts`: until it is ready with a long queue, and what it holds then.
//!
//! A few requests are submitted as clients would; the rest are copies of them, written through the
//! store's own interface while the gateway is down, since that is quicker.

use std::{path::Path, time::Duration};

use weir::{
    base::async_id::AsyncId,
    store::{Content, JobFilter, Jobs, NewJob, Sqlite, SqliteOptions},
};

use super::{
    clients::{Until, drive},
    options::Options,
    place::{Place, Running},
    report::Report,
    submit::Submit,
};
use crate::common::{
    Checked,
    meter::{memory_kib, status_kib},
    start::Model,
    wire::{BODY_BYTES, json_body},
};

/// Keys that submitted.
const KEYS: usize = 10;
/// Copies that are written by one commit.
const AT_ONCE: usize = 4_000;
/// Until the memory is read once more.
const SETTLE: Duration = Duration::from_secs(2);
/// Starts of the same directory.
const STARTS: u32 = 2;

const COLUMNS: [(&str, usize); 4] = [
    ("ready s", 2),
    ("RSS MiB", 1),
    ("peak MiB", 1),
    ("PSS MiB, 2 s later", 1),
];

/// Builds a queue, and starts with it.
pub(crate) fn run(
    options: &Options,
    dir: &Path,
    model: &Model,
    report: &mut Report,
) -> Checked<()> {
    let title = format!(
        "starts: with {} requests of 1 KiB that wait, from the data directory alone",
        options.queued
    );
    eprintln!("starts: writing {} requests", options.queued);
    let place = Place::new(dir, "weir", model)?;
    let mut running = place.start()?;
    running.stop_later()?;
    let mut talk = Submit::new(KEYS, BODY_BYTES);
    drive(
        running.weir.data,
        &mut talk,
        KEYS,
        Until::Answered(KEYS as u64),
    )?;
    running.weir.child.stop()?;
    copy(&place.data(), options.queued)?;
    let rows = ["first start", "again"].map(str::to_owned);
    for (row, start) in rows.iter().zip(1..=STARTS) {
        eprintln!("starts: {start} of {STARTS}");
        let mut running = place.start_again()?;
        let figures = figures(&running)?;
        let waiting = running.sums("weir_async_waiting_requests", "")?.0;
        if waiting != u64::from(options.queued) {
            return Err(format!("{waiting} wait instead of {}", options.queued).into());
        }
        talk.check(&running)?;
        report.keep(&title, row, 1, &figures);
        running.weir.child.stop()?;
    }
    report.table(&title, &rows, &COLUMNS);
    let of = |figure| {
        let figures = rows.iter().map(|row| report.median(&title, row, figure));
        figures.fold(0.0, f64::max)
    };
    let (ready, peak) = (of("ready s"), of("peak MiB"));
    let with = |words: &str| format!("{words} with {} that wait", options.queued);
    report.goal(with("ready s"), ready, false, 10.0);
    report.goal(with("peak RSS MiB"), peak, false, 256.0);
    Ok(())
}

fn figures(running: &Running) -> Checked<[(&'static str, f64); 4]> {
    let pid = running.weir.child.pid();
    let (resident, peak) = (status_kib(pid, "VmRSS")?, status_kib(pid, "VmHWM")?);
    std::thread::sleep(SETTLE);
    Ok([
        ("ready s", running.weir.took.as_secs_f64()),
        ("RSS MiB", resident / 1024.0),
        ("peak MiB", peak / 1024.0),
        ("PSS MiB, 2 s later", memory_kib(pid)? / 1024.0),
    ])
}

/// Makes as many of the few that are there.
fn copy(data: &Path, count: u32) -> Checked<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let store = Sqlite::open(data, SqliteOptions::default())?;
    runtime.block_on(async {
        let page = store.jobs(&JobFilter::default(), None, KEYS).await?;
        let newest = page.jobs.first().ok_or("nothing was kept")?.id.position();
        let body = Content::Inline(json_body("inputs").into());
        let (mut last, mut left) = (newest, count as usize - page.jobs.len());
        while left > 0 {
            let mut jobs = Vec::with_capacity(AT_ONCE.min(left));
            for like in page.jobs.iter().cycle().take(AT_ONCE.min(left)) {
                // In the milliseconds behind it, as many as there may be.
                last = last.next(0);
                jobs.push(NewJob {
                    id: AsyncId::draw(last)?,
                    lane: like.lane.clone(),
                    deadline_at_ms: like.deadline_at_ms,
                    weight: 2,
                    doc: like.doc.clone(),
                    body: body.clone(),
                    once: None,
                });
            }
            left -= jobs.len();
            store.enqueue(jobs, 0).await?;
        }
        Ok(())
    })
}
