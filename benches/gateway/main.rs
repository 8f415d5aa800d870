//! weir beside nginx and HAProxy on the same work: `cargo bench --bench gateway -- --help`.
//!
//! ```text
//!   core A                          core B
//!   load ──── 64 keep-alive ──────▶ the proxy, one worker
//!     ▲         connections           │  key among 10,000, route among 100 deployments
//!     │                               ▼
//!   (this process)     model ◀──── kept-alive connections, a pool for each deployment
//! ```
//!
//! Three parts: `requests` (a closed loop: what a request costs when there is always one waiting),
//! `rate` (a fixed arrival rate: what it costs and adds when there is not) and `streams` (tokens).
//! Rounds interleave the proxies, ratios are taken within a round, tables show medians over rounds.
//! Others ask something else, with tables of their own: `--shadow` what it adds to mirror every request
//! and to compare every answer with main's, `--large` what it costs to know a million keys, `--overload`
//! what is left of a model's answers when it is asked for more than it does. With `--tls` clients come
//! under TLS.
//! Every answer and every event is checked byte by byte: one that is wrong ends the run with exit
//! code 1. Figures of two machines, or of two runs, are not comparable; their ratios nearly are.
//!
//! Linux only. How to read a table: `others %` is what other programs took of the two cores, and
//! with more than a few percent a run says little about latencies; a `load core %` near 100 means
//! that the load and not the proxy set the pace of a closed loop. A proxy that is left out is named
//! with the line that installs it. `WEIR_BIN` measures another binary than the one just built.

#[path = "../common/mod.rs"]
mod common;
mod config;
mod large;
mod options;
mod overload;
mod proxy;
mod report;
mod rounds;
mod shadow;
mod streams;

use std::{convert::Infallible, env, ffi::OsString, process::ExitCode};

use common::{Checked, child, model};
use options::{Kind, Options};
use proxy::Program;

fn main() -> ExitCode {
    let mut args = env::args_os().skip(1);
    let done = match args.next() {
        Some(role) if role == child::LAUNCH => child::launch(args).map(|never| match never {}),
        Some(role) if role == model::MODEL => model::serve().map(|never| match never {}),
        Some(role) if role == overload::model::MODEL => {
            slow_model(args).map(|never| match never {})
        }
        // `cargo test --benches` runs this without a word.
        None => {
            println!("nothing measured: run cargo bench --bench gateway");
            Ok(())
        }
        Some(_) => bench(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn slow_model(args: impl Iterator<Item = OsString>) -> Checked<Infallible> {
    let numbers = args.map(|arg| arg.to_string_lossy().parse::<u64>());
    let numbers: Vec<u64> = numbers.collect::<Result<_, _>>()?;
    match numbers[..] {
        [slots, takes_us] => overload::model::serve(slots as usize, takes_us),
        _ => Err("a slow model takes two numbers".into()),
    }
}

fn bench() -> Checked<()> {
    let options = Options::read();
    let cores = child::Cores::choose()?;
    if cores.proxy == cores.load {
        eprintln!("only one core may be used: load and proxy share it, latencies mean nothing");
    }
    // Behind the choice, which asks what this process may use.
    child::pin(cores.load)?;
    child::raise_file_limit()?;
    if options.shadow {
        return shadow::run(&options, cores);
    }
    if options.large {
        return large::run(&options, cores);
    }
    if options.overload {
        return overload::run(&options, cores);
    }
    let programs = programs(&options)?;
    println!(
        "{} rounds of {} s behind {} s of warm-up; proxy on core {}, load and model on core {}{}",
        options.rounds,
        options.seconds,
        options.warmup,
        cores.proxy,
        cores.load,
        if options.challenger {
            "; every predict request mirrored"
        } else {
            ""
        },
    );
    let samples = rounds::run(&options, &programs, cores)?;
    report::print(&options, &programs, &samples);
    match &options.json {
        Some(path) => report::write_json(path, &options, &programs, &samples),
        None => Ok(()),
    }
}

/// The proxies to measure. One that is asked for by name must be there.
fn programs(options: &Options) -> Checked<Vec<Program>> {
    let mut programs = Vec::new();
    let asked = options.proxies.as_deref();
    for kind in Kind::ALL {
        if !asked.unwrap_or(&Kind::ALL).contains(&kind) {
            continue;
        }
        if options.challenger && kind == Kind::Haproxy {
            eprintln!("left out: haproxy mirrors only through an agent of its own (SPOE)");
            continue;
        }
        match Program::find(kind) {
            Ok(program) => programs.push(program),
            Err(e) if asked.is_some() || kind == Kind::Weir => return Err(e),
            Err(e) => eprintln!("left out: {e}"),
        }
    }
    Ok(programs)
}
