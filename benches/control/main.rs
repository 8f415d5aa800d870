//! What the control plane costs and takes: `cargo bench --bench control -- --help`.
//!
//! ```text
//!   clients of the admin plane ──▶ ┌───────────────────┐
//!   (this process)                 │ weir, two workers │ ──▶ model
//!   load, 32 keep-alive ─────────▶ └───────────────────┘
//!   connections                      1,000 deployments, 100,000 keys, in a directory of its own
//! ```
//!
//! The questions, a table each:
//!
//! - `starts`: how long until it is ready, how much memory it has then and how large its store is,
//!   from a file for the first time, from the same file again, and from its data directory alone;
//!   at 1,000 deployments with 100,000 keys and at a tenth of both.
//! - `mutations`: how long a mutation takes from its call until it is answered, one at a time. Each
//!   is in force then: the very next request of the data plane has to show it, or the run fails.
//! - `writers`: how many keys a second 16 clients can create.
//! - `apply`: how long `weir apply` takes to make 1,000 deployments on an empty gateway, and to find
//!   that there is nothing to do.
//! - `traffic`: what requests at a fixed rate see while 50 mutations a second go on, beside the
//!   same without; quiet and busy rounds in turn, medians over rounds. Some of the deployments and
//!   keys that the load uses are those that change.
//!
//! Every answer of the data plane is checked byte by byte: one that is wrong or missing ends the
//! run with exit code 1, and so does a mutation that is refused.
//!
//! Linux only. Nothing is pinned, since weir has as many workers as this needs cores; what `others %`
//! says of other programs holds for both of them. A store's commit waits for the disk, so figures
//! depend on where temporary files are: `TMPDIR` says it. `WEIR_BIN` measures another binary than
//! the one just built.

#[path = "../common/mod.rs"]
mod common;

mod apply;
mod client;
mod figures;
mod mutations;
mod mutator;
mod options;
mod place;
mod starts;
mod traffic;

use std::{env, process::ExitCode};

use common::{Checked, child, model, start};
use options::{Options, Part};
use place::{BIG, Place};

fn main() -> ExitCode {
    let mut args = env::args_os().skip(1);
    let done = match args.next() {
        Some(role) if role == child::LAUNCH => child::launch(args).map(|never| match never {}),
        Some(role) if role == model::MODEL => model::serve().map(|never| match never {}),
        // `cargo test --benches` runs this without a word.
        None => {
            println!("nothing measured: run cargo bench --bench control");
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
    let dir = tempfile::tempdir()?;
    let model = start::Model::start(None, dir.path())?;
    println!(
        "two workers, nothing pinned, stores in {}",
        env::temp_dir().display()
    );
    if options.only.contains(&Part::Starts) {
        starts::run(options, &model)?;
    }
    if options.only.contains(&Part::Apply) {
        apply::run(options, &model)?;
    }
    let own = [Part::Starts, Part::Apply];
    if options.only.iter().all(|part| own.contains(part)) {
        return Ok(());
    }
    let place = Place::new(BIG, &model)?;
    let mut weir = place.start(true)?;
    let mut run = || {
        for &part in &options.only {
            match part {
                Part::Starts | Part::Apply => {}
                Part::Mutations => mutations::one_at_a_time(options, &weir, &model)?,
                Part::Writers => mutations::at_once(options, &weir, &model)?,
                Part::Traffic => traffic::run(options, &weir, &model)?,
            }
            weir.child.ensure_alive()?;
        }
        Ok(())
    };
    let done: Checked<()> = run();
    done.map_err(|e| format!("{e}\n{}", weir.child.last_words()).into())
}
