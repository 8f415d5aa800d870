//! Tables for people, and one JSON file for whatever keeps the figures.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::{
    common::{
        Checked,
        table::{self, cell},
    },
    options::{Kind, Options, Part},
    proxy::Program,
    rounds::{
        ADDED_P50_US, ADDED_P99_US, CPU_US, Figure, IDLE_MB, LATE_P99_US, LOAD_BUSY, MIRRORED,
        OTHERS_BUSY, P50_US, P99_US, P999_US, PER_SECOND, PROXY_BUSY, STREAM_KIB, Samples, Target,
    },
};

/// A column: its title, its figure, whether the ratio to nginx is wanted, digits after the point.
type Column = (&'static str, Figure, bool, usize);

const REQUESTS: &[Column] = &[
    ("CPU us/request", CPU_US, false, 1),
    ("x nginx", CPU_US, true, 2),
    ("requests/s", PER_SECOND, false, 0),
    ("x nginx", PER_SECOND, true, 2),
    ("proxy core %", PROXY_BUSY, false, 0),
    ("load core %", LOAD_BUSY, false, 0),
    ("others %", OTHERS_BUSY, false, 0),
    ("idle MB", IDLE_MB, false, 1),
    ("mirrored %", MIRRORED, false, 1),
];
const RATE: &[Column] = &[
    ("CPU us/request", CPU_US, false, 1),
    ("x nginx", CPU_US, true, 2),
    ("p50 us", P50_US, false, 0),
    ("p99 us", P99_US, false, 0),
    ("p99.9 us", P999_US, false, 0),
    ("added p50", ADDED_P50_US, false, 0),
    ("x nginx", ADDED_P50_US, true, 2),
    ("added p99", ADDED_P99_US, false, 0),
    ("x nginx", ADDED_P99_US, true, 2),
    ("sent late p99", LATE_P99_US, false, 0),
    ("proxy core %", PROXY_BUSY, false, 0),
    ("load core %", LOAD_BUSY, false, 0),
    ("others %", OTHERS_BUSY, false, 0),
    ("mirrored %", MIRRORED, false, 1),
];
const STREAMS: &[Column] = &[
    ("CPU us/chunk", CPU_US, false, 1),
    ("x nginx", CPU_US, true, 2),
    ("chunks/s", PER_SECOND, false, 0),
    ("p50 us", P50_US, false, 0),
    ("p99 us", P99_US, false, 0),
    ("added p50", ADDED_P50_US, false, 0),
    ("x nginx", ADDED_P50_US, true, 2),
    ("added p99", ADDED_P99_US, false, 0),
    ("x nginx", ADDED_P99_US, true, 2),
    ("KiB/stream", STREAM_KIB, false, 1),
    ("proxy core %", PROXY_BUSY, false, 0),
    ("load core %", LOAD_BUSY, false, 0),
    ("others %", OTHERS_BUSY, false, 0),
];

/// With more than this share taken by others, in percent, a run says so. Idle machines showed 0 to 4.
const OTHERS_MAX: f64 = 5.0;

/// What weir is to reach: its words, the part, the figure, whether it is the ratio to nginx that
/// counts, and the most that it may be.
const GOALS: &[(&str, Part, Figure, bool, f64)] = &[
    (
        "CPU per request, closed loop, x nginx",
        Part::Requests,
        CPU_US,
        true,
        0.75,
    ),
    (
        "CPU per request, fixed rate, x nginx",
        Part::Rate,
        CPU_US,
        true,
        0.85,
    ),
    (
        "added p50, fixed rate, x nginx",
        Part::Rate,
        ADDED_P50_US,
        true,
        1.0,
    ),
    (
        "added p99, fixed rate, x nginx",
        Part::Rate,
        ADDED_P99_US,
        true,
        1.0,
    ),
    ("CPU per chunk, x nginx", Part::Streams, CPU_US, true, 0.9),
    (
        "memory per stream, KiB",
        Part::Streams,
        STREAM_KIB,
        false,
        17.0,
    ),
    ("idle memory, MB", Part::Requests, IDLE_MB, false, 15.0),
];

/// Prints a table for each part, and the goals when weir took part.
pub(crate) fn print(options: &Options, programs: &[Program], samples: &Samples) {
    let mut targets = vec![(Target::Direct, "model, direct".to_owned())];
    for program in programs {
        targets.push((Target::Through(program.kind), program.version.clone()));
    }
    for &part in &options.only {
        let (title, columns) = match part {
            Part::Requests => (
                format!("{} connections, closed loop", options.connections),
                REQUESTS,
            ),
            Part::Rate => (
                format!(
                    "{} requests/s, {} at a time, {} connections",
                    options.rate, options.burst, options.connections
                ),
                RATE,
            ),
            Part::Streams => (
                format!("{} token streams, an event every 20 ms", options.streams),
                STREAMS,
            ),
        };
        println!("\n{}: {title}", part.name());
        let rows = targets.iter().map(|(target, name)| {
            let cell = |&(_, figure, ratio, digits): &Column| {
                cell(value(samples, part, *target, figure, ratio), digits)
            };
            (name.clone(), columns.iter().map(cell).collect())
        });
        let titles: Vec<_> = columns.iter().map(|column| column.0).collect();
        table::print(&titles, &rows.collect::<Vec<_>>());
    }
    disturbed(samples.0.iter().map(|sample| sample.get(OTHERS_BUSY)));
    if programs.iter().any(|program| program.kind == Kind::Weir) {
        goals(options, samples);
    }
}

/// Says so when other programs took too much of the cores, of all shares that were read.
pub(crate) fn disturbed(others: impl Iterator<Item = f64>) {
    let others = others.fold(0.0, f64::max);
    if others > OTHERS_MAX {
        println!("\ndisturbed: other programs took up to {others:.0} % of the two cores");
    }
}

fn goals(options: &Options, samples: &Samples) {
    println!("\ngoals{:41}weir    at most", "");
    for &(words, part, figure, ratio, limit) in GOALS {
        // Idle memory is read at every start, so any part knows it.
        let part = match options.only.first() {
            Some(&first) if figure == IDLE_MB => first,
            _ => part,
        };
        let reached = value(samples, part, Target::Through(Kind::Weir), figure, ratio);
        let verdict = match reached {
            reached if reached.is_nan() => "not measured",
            reached if reached <= limit => "met",
            _ => "missed",
        };
        println!(
            "  {words:40}{:>8}{limit:>11.2}   {verdict}",
            cell(reached, 2)
        );
    }
    if options.challenger {
        println!("  (the goals are meant for a run without --challenger)");
    }
}

fn value(samples: &Samples, part: Part, target: Target, figure: Figure, ratio: bool) -> f64 {
    if ratio {
        samples.ratio(part, target, figure)
    } else {
        samples.median(part, target, figure)
    }
}

/// Every sample as taken; medians and ratios can be made from them again.
pub(crate) fn write_json(
    path: &Path,
    options: &Options,
    programs: &[Program],
    samples: &Samples,
) -> Checked<()> {
    let name = |target| match target {
        Target::Direct => "direct",
        Target::Through(kind) => kind.name(),
    };
    let samples: Vec<Value> = samples
        .0
        .iter()
        .map(|sample| {
            let figures: Map<String, Value> = sample
                .figures()
                .iter()
                .map(|&(figure, value)| (figure.to_owned(), json!(value)))
                .collect();
            json!({
                "round": sample.round,
                "part": sample.part.name(),
                "target": name(sample.target),
                "figures": figures,
            })
        })
        .collect();
    let versions: Map<String, Value> = programs
        .iter()
        .map(|program| (program.kind.name().to_owned(), json!(program.version)))
        .collect();
    let all = json!({
        "rounds": options.rounds,
        "seconds": options.seconds,
        "warmup": options.warmup,
        "connections": options.connections,
        "rate": options.rate,
        "burst": options.burst,
        "streams": options.streams,
        "challenger": options.challenger,
        "versions": versions,
        "samples": samples,
    });
    Ok(std::fs::write(path, serde_json::to_string_pretty(&all)?)?)
}
