//! The part `apply`: how long `weir apply` takes from nothing to everything, and when there is nothing
//! to do. Only this part's gateway has an empty directory; what is applied is what `starts` declares.

use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use super::{
    options::Options,
    place::{self, Size},
};
use crate::common::{
    Checked,
    meter::{cpu_seconds, median, memory_kib},
    start::{Model, Setup, Weir, binary},
    table::{self, cell},
};

/// How much is applied, and what it is called.
const SIZES: [(&str, Size); 3] = [
    (
        "100 deployments",
        Size {
            deployments: 100,
            keys: 0,
        },
    ),
    (
        "1,000 deployments",
        Size {
            deployments: 1_000,
            keys: 0,
        },
    ),
    (
        "1,000 deployments, 1,000 keys",
        Size {
            deployments: 1_000,
            keys: 1_000,
        },
    ),
];

/// The runs, each after the other on the same gateway.
const RUNS: [&str; 2] = ["first run", "second run"];

/// What a run took: seconds, CPU seconds of the gateway, MB of its memory then.
type Figures = [f64; 3];

/// Applies to an empty gateway, and again.
pub(crate) fn run(options: &Options, model: &Model) -> Checked<()> {
    let mut rows = Vec::new();
    for (name, size) in SIZES {
        let mut taken = RUNS.map(|_| Vec::new());
        for round in 1..=options.starts {
            eprintln!("apply of {name}: round {round}");
            for (at, figures) in once(options, size, model)?.into_iter().enumerate() {
                taken[at].push(figures);
            }
        }
        for (run, samples) in RUNS.iter().zip(&taken) {
            let of = |at: usize| median(samples.iter().map(|sample: &Figures| sample[at]));
            let longest = samples.iter().map(|sample| sample[0]).fold(0.0, f64::max);
            let cells = vec![
                cell(of(0), 2),
                cell(longest, 2),
                cell(of(1), 2),
                cell(of(2), 1),
            ];
            rows.push((format!("{name}, {run}"), cells));
        }
    }
    println!(
        "\napply: medians of {}, the gateway's CPU time of the run, its memory {} s after it",
        options.starts, options.settle
    );
    let titles = ["apply s", "longest s", "gateway CPU s", "memory MB"];
    table::print(&titles, &rows);
    Ok(())
}

fn once(options: &Options, size: Size, model: &Model) -> Checked<[Figures; 2]> {
    let dir = tempfile::Builder::new().prefix("weir-bench-").tempdir()?;
    let declared = dir.path().join("apply.toml");
    fs::write(&declared, place::declarations(size, model))?;
    let setup = Setup {
        dir: dir.path(),
        declared: None,
        workers: 2,
        core: None,
    };
    let weir = Weir::start(&binary(), setup)?;
    let mut figures = [[0.0; 3]; 2];
    for (at, figures) in figures.iter_mut().enumerate() {
        let (before, began) = (cpu_seconds(weir.child.pid())?, Instant::now());
        let applied = Command::new(binary())
            .args(["apply", "--quiet", "--file"])
            .arg(&declared)
            .env("WEIR_ADMIN_URL", format!("http://{}", weir.admin))
            .env("WEIR_ADMIN_TOKEN", Weir::TOKEN)
            .output()?;
        let took = began.elapsed();
        let used = cpu_seconds(weir.child.pid())? - before;
        let text = String::from_utf8_lossy(&applied.stdout).into_owned();
        let last = text.lines().last().unwrap_or("").to_owned();
        // A first run that made less, or a second one that did anything, measures something else.
        let made = place::grouped(size.deployments + size.keys + 1);
        let is_right = match at {
            0 => last.starts_with(&format!("{made} created, 0 changed, 0 failed")),
            _ => last.starts_with("Nothing to do"),
        };
        if !applied.status.success() || !is_right {
            let words = String::from_utf8_lossy(&applied.stderr);
            return Err(format!("weir apply said {last:?}\n{words}").into());
        }
        thread::sleep(Duration::from_secs_f64(options.settle));
        let memory = memory_kib(weir.child.pid())? / 1024.0;
        *figures = [took.as_secs_f64(), used, memory];
    }
    weir.child.stop()?;
    Ok(figures)
}
