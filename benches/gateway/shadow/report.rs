//! Tables, what became of the copies, and whether the goals are met.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{
    Case, Samples, Subject, Way,
    measure::{COMPARED, LATER},
};
use crate::{
    common::{
        Checked,
        meter::median,
        table::{self, cell},
    },
    options::Options,
    report::disturbed,
    rounds::{
        CPU_US, Figure, LATE_P99_US, LOAD_BUSY, MIRRORED, OTHERS_BUSY, P50_US, P99_US, P999_US,
        PER_SECOND, PROXY_BUSY,
    },
};

/// A column: its title, its figure, whether what it adds to its base is wanted, digits.
type Column = (&'static str, Figure, bool, usize);

const BUNCHES: &[Column] = &[
    ("CPU us/request", CPU_US, false, 1),
    ("added", CPU_US, true, 1),
    ("requests/s", PER_SECOND, false, 0),
    ("mirrored %", MIRRORED, false, 1),
    ("compared %", COMPARED, false, 1),
    ("others %", OTHERS_BUSY, false, 0),
];
const RATE: &[Column] = &[
    ("CPU us/request", CPU_US, false, 1),
    ("added", CPU_US, true, 1),
    ("p50 us", P50_US, false, 0),
    ("added", P50_US, true, 0),
    ("p99 us", P99_US, false, 0),
    ("added", P99_US, true, 0),
    ("p99.9 us", P999_US, false, 0),
    ("sent late p99", LATE_P99_US, false, 0),
    ("proxy core %", PROXY_BUSY, false, 0),
    ("load core %", LOAD_BUSY, false, 0),
    ("mirrored %", MIRRORED, false, 1),
    ("compared %", COMPARED, false, 1),
    ("others %", OTHERS_BUSY, false, 0),
];
const FLOOD: &[Column] = &[
    ("requests/s", PER_SECOND, false, 0),
    ("CPU us/request", CPU_US, false, 1),
    ("CPU later %", LATER, false, 1),
    ("mirrored %", MIRRORED, false, 1),
    ("compared %", COMPARED, false, 1),
    ("proxy core %", PROXY_BUSY, false, 0),
    ("load core %", LOAD_BUSY, false, 0),
    ("others %", OTHERS_BUSY, false, 0),
];

/// What mirroring and comparing may cost, in second exchanges.
const COST_MAX: f64 = 1.3;
/// The share of the requests, in percent, that has to be mirrored and compared for a cost to mean
/// anything: to leave copies out is no way to be cheap.
const WHOLE: f64 = 99.0;
/// With fewer rounds nothing can be said of what is chance.
const ROUNDS_MIN: u32 = 3;

/// Prints everything.
pub(super) fn print(options: &Options, subjects: &[Subject], samples: &Samples) {
    for way in Way::ALL {
        let (title, columns) = match way {
            Way::Bunches => (
                format!(
                    "{} requests at a time over {} connections, then a rest",
                    options.bunch, options.connections
                ),
                BUNCHES,
            ),
            Way::Rate => (
                format!(
                    "{} requests/s, {} at a time, {} connections",
                    options.rate, options.burst, options.connections
                ),
                RATE,
            ),
            Way::Flood => (
                format!("{} connections, closed loop", options.connections),
                FLOOD,
            ),
        };
        println!("\n{}: {title}", way.name());
        let rows = subjects.iter().map(|subject| {
            let of = |&(_, figure, is_added, digits): &Column| {
                let value = match is_added {
                    true => median(samples.added(way, subject.case, figure)),
                    false => samples.median(way, subject.case, figure),
                };
                cell(value, digits)
            };
            let number = subject.program.version.rsplit(' ').next();
            let name = format!("{} ({})", subject.case.name(), number.unwrap_or("?"));
            (name, columns.iter().map(of).collect())
        });
        let titles: Vec<_> = columns.iter().map(|column| column.0).collect();
        table::print(&titles, &rows.collect::<Vec<_>>());
    }
    println!(
        "\n\"added\": the median over the rounds of what it has more than the same without copies"
    );
    copies(subjects, samples);
    disturbed(samples.0.iter().map(|sample| sample.get(OTHERS_BUSY)));
    println!("\ngoals");
    for way in [Way::Bunches, Way::Rate] {
        println!("  CPU, {}: {}", way.name(), cost(samples, way));
    }
    println!("  p99, rate: {}", noise(options, samples));
}

fn copies(subjects: &[Subject], samples: &Samples) {
    println!("\nwhat became of the copies, all rounds together");
    for subject in subjects {
        for way in Way::ALL {
            if let Some(copies) = samples.copies(way, subject.case) {
                println!("  {}, {}: {copies}", subject.case.name(), way.name());
            }
        }
    }
}

/// What mirroring and comparing costs, in second exchanges. The yardstick is what mirroring alone
/// costs a weir that does not compare: a second exchange, and nothing but it.
fn cost(samples: &Samples, way: Way) -> String {
    let added = |case| median(samples.added(way, case, CPU_US));
    let compared = added(Case::Compared);
    let whole = samples.least(way, Case::Compared, COMPARED);
    if whole.is_nan() {
        return format!("this weir compares nothing; mirroring adds {compared:.1} us");
    }
    let words = format!("[weir, compared] - [weir] = {compared:.1} us");
    if whole < WHOLE {
        return format!("{words}, which says nothing: only {whole:.1} % were compared");
    }
    let mirrored = samples.least(way, Case::BeforeMirrored, MIRRORED);
    if mirrored.is_nan() {
        let nginx = cell(added(Case::NginxMirror), 1);
        return format!(
            "{words}; not judged, as there is no weir from before (--against); nginx's own second \
             exchange costs it {nginx} us"
        );
    }
    let exchange = added(Case::BeforeMirrored);
    let words =
        format!("{words}; a second exchange: [before, mirrored] - [before] = {exchange:.1} us");
    if mirrored < WHOLE {
        return format!("{words}, which says nothing: only {mirrored:.1} % were mirrored");
    }
    let ratio = compared / exchange;
    let verdict = if ratio <= COST_MAX { "met" } else { "missed" };
    format!("{words}; {ratio:.2} of it, at most {COST_MAX:.2}: {verdict}")
}

/// Whether comparing is felt: it must not add more to the p99 than two runs of the very same weir
/// differ by, each the median over the rounds.
fn noise(options: &Options, samples: &Samples) -> String {
    let added = samples.added(Way::Rate, Case::Compared, P99_US);
    let sizes = samples.added(Way::Rate, Case::WeirAgain, P99_US);
    let sizes: Vec<_> = sizes.into_iter().map(f64::abs).collect();
    let most = sizes.iter().copied().fold(0.0, f64::max);
    let (added, chance) = (median(added), median(sizes));
    let words = format!(
        "[weir, compared] - [weir] = {added:.0} us; [weir, again] and [weir] differ by {chance:.0} us, \
         in one round by {most:.0}"
    );
    let whole = samples.least(Way::Rate, Case::Compared, COMPARED);
    if options.rounds < ROUNDS_MIN {
        format!("{words}: not judged by fewer than {ROUNDS_MIN} rounds")
    } else if whole.is_nan() || whole < WHOLE {
        format!("{words}: not judged, as not every request was compared")
    } else if added <= chance {
        format!("{words}: met")
    } else {
        format!("{words}: missed")
    }
}

/// Every sample as taken.
pub(super) fn write_json(
    path: &Path,
    options: &Options,
    subjects: &[Subject],
    samples: &Samples,
) -> Checked<()> {
    let taken: Vec<Value> = samples
        .0
        .iter()
        .map(|sample| {
            let figures: Map<String, Value> = sample
                .figures
                .iter()
                .map(|&(figure, value)| (figure.to_owned(), json!(value)))
                .collect();
            json!({
                "round": sample.round,
                "load": sample.way.name(),
                "case": sample.case.name(),
                "figures": figures,
                "copies": sample.copies.as_ref().map(ToString::to_string),
            })
        })
        .collect();
    let versions: Map<String, Value> = subjects
        .iter()
        .map(|s| (s.case.name().to_owned(), json!(s.program.version)))
        .collect();
    let all = json!({
        "rounds": options.rounds,
        "seconds": options.seconds,
        "warmup": options.warmup,
        "connections": options.connections,
        "rate": options.rate,
        "burst": options.burst,
        "bunch": options.bunch,
        "versions": versions,
        "samples": taken,
    });
    Ok(std::fs::write(path, serde_json::to_string_pretty(&all)?)?)
}
