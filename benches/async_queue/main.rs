//! What accepting for later costs: `cargo bench --bench async_queue -- --help`.
//!
//! ```text
//!   1, 16, 256 clients, ──▶ weir            each answer: one that is on the disk
//!   each with one request   NATS JetStream  one directory of each on the same disk, emptied
//!   under way at a time     PostgreSQL      for every size of body, in turns within a round
//! ```
//!
//! The questions, a table each:
//!
//! - `accept`: durable acceptances a second, and how long one takes. weir answers 202 (to a
//!   deployment that is stopped, so that nothing runs meanwhile), NATS acknowledges a publish to a
//!   stream in a file, PostgreSQL commits the insert of one row. Ratios are taken within a round;
//!   tables show medians over rounds.
//! - `jobs`: from a submission to the model's answer, one at a time; as many as come; and a backlog
//!   that is worked off.
//! - `direct`: what direct calls at a fixed rate see with no queue, beside a full one that waits,
//!   and beside a full one that is worked off.
//! - `starts`: until it is ready with a million requests that wait, and what it holds then.
//!
//! What was answered is held against what the other side counts, and samples of it are fetched: one
//! acceptance too few or too many ends the run with exit code 1.
//!
//! Linux only. Nothing is pinned: load, model and what is measured share the cores. `others %` is
//! what other programs took of them. `TMPDIR` says on which disk all this is. `WEIR_BIN` measures
//! another binary than the one just built, `NATS_SERVER_BIN` and `PG_BIN` (a directory) name others
//! than those installed; what is not there is left out and said so.

#[path = "../common/mod.rs"]
mod common;

#[path = "../control/client.rs"]
#[allow(dead_code, reason = "the other benchmark uses all of it")]
mod client;

mod accept;
mod busy;
mod clients;
mod direct;
mod disk;
mod jobs;
mod nats;
mod options;
mod place;
mod postgres;
mod report;
mod starts;
mod submit;

use std::{env, process::ExitCode};

use common::{Checked, child, model, start};
use options::{Options, Part};
use report::Report;

fn main() -> ExitCode {
    let mut args = env::args_os().skip(1);
    let done = match args.next() {
        Some(role) if role == child::LAUNCH => child::launch(args).map(|never| match never {}),
        Some(role) if role == model::MODEL => model::serve().map(|never| match never {}),
        // `cargo test --benches` runs this without a word.
        None => {
            println!("nothing measured: run cargo bench --bench async_queue");
            Ok(())
        }
        Some(_) => bench(&Options::read()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn bench(options: &Options) -> Checked<()> {
    child::raise_file_limit()?;
    let dir = tempfile::Builder::new().prefix("weir-bench-").tempdir()?;
    let dir = dir.path();
    let model = start::Model::start(None, dir)?;
    println!(
        "{} rounds, nothing pinned, everything in {}",
        options.rounds,
        env::temp_dir().display()
    );
    disk::print("before", dir)?;
    let mut report = Report::default();
    for &part in &options.only {
        match part {
            Part::Accept => accept::run(options, dir, &model, &mut report)?,
            Part::Jobs => jobs::run(options, dir, &model, &mut report)?,
            Part::Direct => direct::run(options, dir, &model, &mut report)?,
            Part::Starts => starts::run(options, dir, &model, &mut report)?,
        }
    }
    println!();
    disk::print("after", dir)?;
    report.print();
    match &options.json {
        Some(path) => report.write(path),
        None => Ok(()),
    }
}
