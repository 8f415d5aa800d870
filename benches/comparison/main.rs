//! Whether weir's memory stays flat over a million pairs: `cargo bench --bench comparison -- --help`.
//!
//! ```text
//!   load, 64 keep-alive ──▶ ┌──────┐ ──▶ model
//!   connections             │ weir │ ──▶ its challenger, wrong in one of ten answers,
//!   (this process)          └──────┘     each time at another place
//!                              └──▶ comparison.db
//! ```
//!
//! Two variants, each with a weir of its own: `kept` with all settings at their defaults, `small` with
//! the bodies of every pair kept in a file that is far too small for them, so that most of its time
//! it has to delete. Requests come as fast as they are answered until as many pairs as asked were
//! compared; those that were given up because too many waited do not count, and are told. At each
//! tenth weir is left alone until it is quiet, and its memory and its file are read.
//!
//! Memory that a burst of copies has needed for a moment is not given back at once, and the next one
//! uses it again: single readings are 8 MiB apart without anything being kept. So what is judged is
//! the least of three late readings (80 to 100 %) over the least of three half of the pairs earlier (30
//! to 50 %): a leak lifts it, a burst does not.
//!
//! The run ends with exit code 1 when that is more than `--growth-mib-max`, when the file of `small`
//! is ever found larger than it may be, when an answer is wrong, and when nothing was compared or the
//! challenger's mistakes were not found. A weir from before it compared is run all the same, with its
//! copies counted in the place of pairs.
//!
//! Linux only, nothing pinned. `WEIR_BIN` measures another binary than the one just built.

#[path = "../common/mod.rs"]
mod common;
mod options;
mod place;

use std::{env, ops::RangeInclusive, process::ExitCode, time::Duration};

use common::{
    Checked, child,
    load::Load,
    meter::{settle, status_kib},
    model,
    scrape::Copies,
    start,
};
use options::{Kind, Options, Variant};
use place::Place;

/// Requests between two looks at how many pairs there are.
const BUNCH: u64 = 10_000;
/// Requests for each pair asked for, beyond which it is plain that most of them are given up.
const REQUESTS_MAX: u64 = 20;

/// The share of pairs that may be found to disagree with a challenger that is wrong in one of ten
/// answers, since copies that were given up are not chosen by that.
const WRONG_SHARE: RangeInclusive<f64> = 0.08..=0.12;

/// What was read at a tenth.
struct Read {
    rss_mib: f64,
    disk_mib: f64,
}

fn main() -> ExitCode {
    let mut args = env::args_os().skip(1);
    let done = match args.next() {
        Some(role) if role == child::LAUNCH => child::launch(args).map(|never| match never {}),
        Some(role) if role == model::MODEL => model::serve().map(|never| match never {}),
        // `cargo test --benches` runs this without a word.
        None => {
            println!("nothing measured: run cargo bench --bench comparison");
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
    println!(
        "{} pairs over {} deployment(s), compared as {}; {} worker(s), nothing pinned, files in {}",
        options.pairs,
        options.deployments,
        options.kind,
        options.workers,
        env::temp_dir().display()
    );
    let dir = tempfile::tempdir()?;
    let main = start::Model::start(None, dir.path())?;
    let challenger_dir = tempfile::tempdir()?;
    let challenger = start::Model::start(None, challenger_dir.path())?;
    let mut broken = Vec::new();
    for &variant in &options.only {
        let place = Place::new(options, variant, &main, &challenger)?;
        let Some(mut weir) = place.start(options, variant)? else {
            println!("\n{variant}: left out, as this weir has no [comparison] in its settings");
            continue;
        };
        let done = run(options, variant, &place, &weir);
        broken.extend(done.map_err(|e| format!("{variant}: {e}\n{}", weir.child.last_words()))?);
        weir.child.ensure_alive()?;
    }
    match broken.is_empty() {
        true => Ok(()),
        false => Err(broken.join("; ").into()),
    }
}

/// One variant; what it has broken.
fn run(
    options: &Options,
    variant: Variant,
    place: &Place,
    weir: &start::Weir,
) -> Checked<Vec<String>> {
    println!("\n{variant}");
    println!(
        "   done       pairs    pairs/s    RSS MiB   anon MiB   disk MiB   lost pairs and copies"
    );
    let connections = usize::from(options.connections);
    let mut load =
        Load::connect(weir.data, connections, 1)?.among(usize::from(options.deployments));
    let (mut requests, mut disk_peak, mut reads) = (0, 0.0_f64, Vec::new());
    let before = Copies::read(weir.admin)?;
    let mut copies = Copies::default();
    for tenth in 0..=10 {
        let (target, reached) = (options.pairs * tenth / 10, count(&copies));
        let mut busy = Duration::ZERO;
        while count(&copies) < target {
            let bunch = (target - count(&copies)).clamp(connections as u64, BUNCH);
            busy += load.bunch(bunch)?;
            requests += bunch;
            copies = Copies::read(weir.admin)?.since(&before);
            disk_peak = disk_peak.max(place.disk_mib());
            if requests > options.pairs * REQUESTS_MAX {
                return Err(format!("most pairs are given up: {copies}").into());
            }
        }
        let added = count(&copies) - reached;
        settle(weir.child.pid())?;
        copies = Copies::read(weir.admin)?.since(&before);
        let read = Read {
            rss_mib: status_kib(weir.child.pid(), "VmRSS")? / 1024.0,
            disk_mib: place.disk_mib(),
        };
        disk_peak = disk_peak.max(read.disk_mib);
        println!(
            "{:>5} % {:>11} {:>10} {:>10.1} {:>10.1} {:>10.1}   {}",
            tenth * 10,
            count(&copies),
            match added {
                0 => "-".to_owned(),
                added => format!("{:.0}", added as f64 / busy.as_secs_f64()),
            },
            read.rss_mib,
            status_kib(weir.child.pid(), "RssAnon")? / 1024.0,
            read.disk_mib,
            lost(&copies),
        );
        reads.push(read);
    }
    let peak = status_kib(weir.child.pid(), "VmHWM")? / 1024.0;
    println!("  {requests} requests; {copies}; {peak:.1} MiB of memory at most");
    let mut broken = judge(options, variant, &reads, disk_peak);
    broken.extend(unlikely(options, &copies).map(|words| format!("{variant}: {words}")));
    Ok(broken)
}

/// Pairs that were compared; the copies of a weir that compares nothing.
fn count(copies: &Copies) -> u64 {
    match copies.knows_pairs() {
        true => copies.compared(),
        false => copies.sent,
    }
}

fn lost(copies: &Copies) -> String {
    let sum = |by: &std::collections::BTreeMap<String, u64>| by.values().sum::<u64>();
    format!("{} {}", sum(&copies.pairs_dropped), sum(&copies.dropped))
}

/// What is wrong with the comparison itself: memory that is flat because nothing is done is no result.
fn unlikely(options: &Options, copies: &Copies) -> Option<String> {
    if !copies.knows_pairs() {
        return Some(
            "this weir compares nothing: copies were counted in the place of pairs".into(),
        );
    }
    let share = copies.disagreeing() as f64 / copies.compared() as f64;
    let is_likely = options.kind != Kind::Json || WRONG_SHARE.contains(&share);
    let words = "answers disagree, and one of ten is wrong";
    (!is_likely).then(|| format!("{:.1} % of the {words}", share * 100.0))
}

/// Says what was reached, and gives what was not.
fn judge(options: &Options, variant: Variant, reads: &[Read], disk_peak: f64) -> Vec<String> {
    let mut broken = Vec::new();
    let least = |reads: &[Read]| reads.iter().map(|r| r.rss_mib).fold(f64::MAX, f64::min);
    let grown = least(&reads[8..=10]) - least(&reads[3..=5]);
    let most = options.growth_mib_max;
    let each = grown * f64::from(1 << 20) / (options.pairs as f64 / 2.0);
    let verdict = match (options.quick, grown <= most) {
        (true, _) => "not judged",
        (false, true) => "met",
        (false, false) => "missed",
    };
    println!(
        "  memory, 80 to 100 % over 30 to 50 %: {grown:+.1} MiB, {each:+.1} bytes a pair; at most {most:.1} MiB: {verdict}"
    );
    if verdict == "missed" {
        broken.push(format!(
            "{variant}: memory grew by {grown:.1} MiB over half of the pairs"
        ));
    }
    if variant == Variant::Small {
        let most = options.disk_mib as f64;
        // Without a file there is nothing that could be too large.
        let is_kept = disk_peak > 0.0 && disk_peak <= most;
        let verdict = if is_kept { "met" } else { "missed" };
        println!("  file at its largest: {disk_peak:.1} MiB; at most {most:.1} MiB: {verdict}");
        if verdict == "missed" {
            broken.push(format!("{variant}: its file took up to {disk_peak:.1} MiB"));
        }
    }
    broken
}
