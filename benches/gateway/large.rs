//! What it costs to know much: 1,000,000 keys and 10,000 deployments beside 10,000 and 100.
//!
//! weir against itself and HAProxy against itself, on the same requests, interleaved; the keys and
//! deployments called are drawn from all of them. nginx is left out: it looks for a size of the table of
//! its `map` one by one, and takes minutes to start with so many. weir's health probes are off, as the
//! others make none.

use crate::{
    common::{
        Checked,
        child::Cores,
        load::{Load, Measured, Pace, Window},
        meter::{Meter, median, quantile},
        start::Model,
        table::{self, cell},
        wire::Scale,
    },
    config::{Copies, Work},
    options::{Kind, Options},
    proxy::{Program, Proxy},
    report::disturbed,
};

/// As many as weir takes by default.
const LARGE: Scale = Scale {
    deployments: 10_000,
    keys: 1_000_000,
};

/// One program at one scale.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Case {
    kind: Kind,
    scale: Scale,
}

/// Its figures in one round.
struct Sample {
    round: u32,
    case: Case,
    /// The closed loop's.
    cpu_us: f64,
    per_second: f64,
    /// The fixed rate's.
    rate_cpu_us: f64,
    p50_us: f64,
    p99_us: f64,
    idle_mb: f64,
    start_s: f64,
    others_busy: f64,
}

/// Runs all rounds and prints what they say.
pub(crate) fn run(options: &Options, cores: Cores) -> Checked<()> {
    let mut cases = Vec::new();
    let mut programs = Vec::new();
    for kind in [Kind::Weir, Kind::Haproxy] {
        match Program::find(kind) {
            Ok(program) => {
                programs.push(program);
                cases.extend([Scale::USUAL, LARGE].map(|scale| Case { kind, scale }));
            }
            Err(e) if kind == Kind::Weir => return Err(e),
            Err(e) => eprintln!("left out: {e}"),
        }
    }
    let mut samples = Vec::new();
    for round in 1..=options.rounds {
        for &case in &cases {
            let program = programs.iter().find(|program| program.kind == case.kind);
            let program = program.ok_or("a program that was found")?;
            eprintln!(
                "round {round} of {}: {}",
                options.rounds,
                name(program, case)
            );
            let sample = measure(options, cores, program, case, round);
            samples.push(sample.map_err(|e| format!("{}: {e}", name(program, case)))?);
        }
    }
    print(options, &programs, &cases, &samples);
    Ok(())
}

fn name(program: &Program, case: Case) -> String {
    let Scale { deployments, keys } = case.scale;
    format!(
        "{}, {keys} keys, {deployments} deployments",
        program.version
    )
}

fn measure(
    options: &Options,
    cores: Cores,
    program: &Program,
    case: Case,
    round: u32,
) -> Checked<Sample> {
    let dir = tempfile::tempdir()?;
    let model = Model::start(Some(cores.load), dir.path())?;
    let work = Work {
        scale: case.scale,
        ..Work::usual(Copies::None)
    };
    let (mut proxy, _place) = Proxy::start(program, cores, &model, work, None)?;
    let meter = Meter::new(Some(proxy.pid()), model.pid(), cores)?;
    let window = Window {
        warmup_ns: (options.warmup * 1e9) as u64,
        length_ns: (options.seconds * 1e9) as u64,
    };
    let connections = usize::from(options.connections);
    let connect = || -> Checked<Load> {
        let load = Load::connect(proxy.target.clone(), connections, u64::from(round))?;
        Ok(load.of(case.scale))
    };
    let taken = (|| {
        let closed = connect()?.closed_loop(window, &meter)?;
        let pace = Pace {
            per_second: options.rate,
            burst: options.burst,
        };
        Ok::<_, Box<dyn std::error::Error>>((closed, connect()?.open_loop(window, pace, &meter)?))
    })();
    let (closed, rate) = taken.map_err(|e| format!("{e}\n{}", proxy.last_words()))?;
    proxy.ensure_alive()?;
    let each = |measured: &Measured| measured.used.proxy_us / measured.units as f64;
    Ok(Sample {
        round,
        case,
        cpu_us: each(&closed),
        per_second: closed.units as f64 / closed.used.seconds,
        rate_cpu_us: each(&rate),
        p50_us: quantile(&rate.latencies, 0.5) / 1e3,
        p99_us: quantile(&rate.latencies, 0.99) / 1e3,
        idle_mb: proxy.idle_kib / 1024.0,
        start_s: proxy.took.as_secs_f64(),
        others_busy: closed.used.others_busy.max(rate.used.others_busy) * 100.0,
    })
}

fn print(options: &Options, programs: &[Program], cases: &[Case], samples: &[Sample]) {
    let titles = [
        "CPU us/request",
        "x own usual",
        "requests/s",
        "CPU us at rate",
        "x own usual",
        "p50 us",
        "p99 us",
        "idle MB",
        "start s",
        "others %",
    ];
    println!(
        "\n{} connections; closed loop, then {} requests/s",
        options.connections, options.rate
    );
    let rows = cases.iter().filter_map(|&case| {
        let program = programs.iter().find(|program| program.kind == case.kind)?;
        let of =
            |get: fn(&Sample) -> f64| median(samples.iter().filter(|s| s.case == case).map(get));
        // Within a round, where whatever drifts meets both.
        let ratio = |get: fn(&Sample) -> f64| {
            median(samples.iter().filter(|s| s.case == case).map(|sample| {
                let usual = samples.iter().find(|other| {
                    other.round == sample.round
                        && other.case.kind == case.kind
                        && other.case.scale == Scale::USUAL
                });
                usual.map_or(f64::NAN, |usual| get(sample) / get(usual))
            }))
        };
        let cells = vec![
            cell(of(|s| s.cpu_us), 1),
            cell(ratio(|s| s.cpu_us), 2),
            cell(of(|s| s.per_second), 0),
            cell(of(|s| s.rate_cpu_us), 1),
            cell(ratio(|s| s.rate_cpu_us), 2),
            cell(of(|s| s.p50_us), 0),
            cell(of(|s| s.p99_us), 0),
            cell(of(|s| s.idle_mb), 1),
            cell(of(|s| s.start_s), 1),
            cell(of(|s| s.others_busy), 0),
        ];
        Some((name(program, case), cells))
    });
    table::print(&titles, &rows.collect::<Vec<_>>());
    disturbed(samples.iter().map(|sample| sample.others_busy));
}
