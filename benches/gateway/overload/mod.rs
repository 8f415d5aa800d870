//! A model that does so much and no more, asked for up to three times that.
//!
//! ```text
//!   load, a fixed rate ──▶ weir without, with a fixed, with an adaptive gate ──▶ model: so many at
//!                          HAProxy with `maxconn` and a queue                    once, the others wait
//! ```
//!
//! Goodput is what is answered with 200 within [`WITHIN_MS`] of the time at which it was to be asked: an
//! answer that comes later helps nobody any more. Every answer counts from that time, so that waiting
//! for a connection is in it.

mod load;
pub(crate) mod model;

use std::{fs, path::Path};

use load::{Seen, Times, ask};

use crate::{
    common::{
        Checked,
        child::{Cores, Pinned},
        meter::{median, quantile},
        start::{Setup, Weir, binary, poll},
        table::{self, cell},
        wire::{key, loopback},
    },
    options::Options,
    proxy,
};

/// What the model does at once, and how long for each.
const SLOTS: u32 = 16;
const TAKES_US: u64 = 20_000;
/// So it answers this many a second, at the most.
const CAPACITY: u32 = 800;
/// An answer that takes longer is no good.
const WITHIN_MS: f64 = 250.0;
/// How many wait before the model, and how long.
const QUEUE_MAX: u32 = 64;
const QUEUE_MS: u64 = 100;
/// How much is asked for, beside what the model does.
const OFFERED: [f64; 7] = [0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0];
/// Columns of a bar.
const BAR: f64 = 16.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Open,
    Fixed,
    Adaptive,
    Haproxy,
}

struct Sample {
    case: Case,
    offered: f64,
    goodput: f64,
    p50_ms: f64,
    p99_ms: f64,
    refused: f64,
    refused_p50_ms: f64,
    refused_p99_ms: f64,
    lost: f64,
}

/// Runs all cases and prints their curves.
pub(crate) fn run(options: &Options, cores: Cores) -> Checked<()> {
    let mut cases = vec![Case::Open, Case::Fixed, Case::Adaptive];
    match proxy::on_path("haproxy") {
        path if path.is_file() => cases.push(Case::Haproxy),
        _ => eprintln!("left out: haproxy was not found: apt-get install haproxy"),
    }
    let mut samples = Vec::new();
    for round in 1..=options.rounds {
        for &case in &cases {
            eprintln!("round {round} of {}: {}", options.rounds, case.name());
            for offered in OFFERED {
                let sample = measure(options, cores, case, offered);
                samples.push(sample.map_err(|e| format!("{}: {e}", case.name()))?);
            }
        }
    }
    print(&cases, &samples);
    Ok(())
}

fn measure(options: &Options, cores: Cores, case: Case, offered: f64) -> Checked<Sample> {
    let dir = tempfile::Builder::new().prefix("weir-bench-").tempdir()?;
    let program = std::env::current_exe()?;
    let args = [
        model::MODEL.into(),
        SLOTS.to_string().into(),
        TAKES_US.to_string().into(),
    ];
    let log = dir.path().join("model.log");
    let (_model, port) = Pinned::start_and_hear(Some(cores.load), &log, &program, &args)?;
    let model: u16 = port.parse()?;
    let (mut child, target) = match case {
        Case::Haproxy => start_haproxy(cores, model, dir.path())?,
        _ => {
            let declared = dir.path().join("bench.toml");
            fs::write(&declared, declarations(case, model))?;
            let setup = Setup {
                dir: dir.path(),
                declared: Some(&declared),
                workers: 1,
                core: Some(cores.proxy),
            };
            // One pool of connections to the model may hold all that comes when nothing bounds it.
            let settings = [("WEIR_UPSTREAM_CONNECTIONS_MAX", "8192".into())];
            let weir = Weir::start_with(&binary(), setup, &settings)?;
            (weir.child, weir.data)
        }
    };
    let times = Times {
        // An adaptive limit is learned, and a line without an end takes its time to grow.
        warmup_ns: (options.warmup.max(2.0) * 1e9) as u64,
        length_ns: (options.seconds * 1e9) as u64,
        patience_ns: 3_000_000_000,
    };
    let per_second = (f64::from(CAPACITY) * offered) as u32;
    let seen =
        ask(target, per_second, times).map_err(|e| format!("{e}\n{}", child.last_words()))?;
    child.ensure_alive()?;
    Ok(Sample::of(case, offered, options.seconds, &seen))
}

impl Sample {
    fn of(case: Case, offered: f64, seconds: f64, seen: &Seen) -> Self {
        let ms = |sorted: &[i64], share| quantile(sorted, share) / 1e6;
        let good = seen
            .answered_ns
            .partition_point(|&ns| ns as f64 <= WITHIN_MS * 1e6);
        Self {
            case,
            offered,
            goodput: good as f64 / seconds,
            p50_ms: ms(&seen.answered_ns, 0.5),
            p99_ms: ms(&seen.answered_ns, 0.99),
            refused: seen.refused_ns.len() as f64 / seconds,
            refused_p50_ms: ms(&seen.refused_ns, 0.5),
            refused_p99_ms: ms(&seen.refused_ns, 0.99),
            lost: (seen.failed + seen.unanswered) as f64 / seconds,
        }
    }
}

impl Case {
    fn name(self) -> &'static str {
        match self {
            Self::Open => "weir, no gate",
            Self::Fixed => "weir, fixed gate",
            Self::Adaptive => "weir, adaptive gate",
            Self::Haproxy => "haproxy, maxconn",
        }
    }
}

fn declarations(case: Case, model: u16) -> String {
    let overload = match case {
        Case::Open | Case::Haproxy => String::new(),
        Case::Fixed => format!(
            "overload = {{ concurrency_max = {SLOTS}, queue_max = {QUEUE_MAX}, queue_timeout_ms = {QUEUE_MS} }}\n"
        ),
        Case::Adaptive => format!(
            "overload = {{ concurrency_max = 256, concurrency_min = 4, adaptive = true, \
             queue_max = {QUEUE_MAX}, queue_timeout_ms = {QUEUE_MS} }}\n"
        ),
    };
    format!(
        "[[deployment]]\nproject = \"bench\"\nname = \"d00000\"\n{overload}\
         [deployment.version.main]\nbackends = [{{ url = \"http://127.0.0.1:{model}\" }}]\n\
         [[key]]\ndigest = \"{}\"\nscope = \"bench\"\n",
        blake3::hash(key(0).as_bytes()).to_hex()
    )
}

fn start_haproxy(cores: Cores, model: u16, dir: &Path) -> Checked<(Pinned, std::net::SocketAddr)> {
    let port = std::net::TcpListener::bind(loopback(0))?
        .local_addr()?
        .port();
    let text = format!(
        "global\n  nbthread 1\n  maxconn 8192\ndefaults\n  mode http\n  timeout connect 2s\n  \
         timeout client 60s\n  timeout server 60s\n  timeout queue {QUEUE_MS}ms\n  \
         option http-keep-alive\n  http-reuse always\nfrontend clients\n  \
         bind 127.0.0.1:{port} backlog 1024\n  default_backend model\nbackend model\n  \
         http-request set-path /predict\n  \
         server model 127.0.0.1:{model} maxconn {SLOTS} maxqueue {QUEUE_MAX}\n"
    );
    let file = dir.join("haproxy.cfg");
    fs::write(&file, text)?;
    let args = ["-db".into(), "-f".into(), file.into()];
    let program = proxy::on_path("haproxy");
    let log = dir.join("log");
    let mut child = Pinned::start(Some(cores.proxy), &log, &program, &args, &[])?;
    let ask = || Ok(std::net::TcpStream::connect(loopback(port))?);
    drop(poll(&mut child, ask)?);
    Ok((child, loopback(port)))
}

fn print(cases: &[Case], samples: &[Sample]) {
    println!(
        "\na model that answers {CAPACITY}/s ({SLOTS} at once, {} ms each); good: 200 within {WITHIN_MS} ms; \
         {QUEUE_MAX} may wait, for {QUEUE_MS} ms",
        TAKES_US / 1_000
    );
    let titles = [
        "offered/s",
        "good/s",
        "% of peak",
        "p50 ms",
        "p99 ms",
        "refused/s",
        "their p50",
        "their p99",
        "lost/s",
    ];
    for &case in cases {
        let of = |offered: f64, get: fn(&Sample) -> f64| middle(samples, case, offered, get);
        let peak = OFFERED.map(|offered| of(offered, |s| s.goodput));
        let peak = peak.into_iter().fold(0.0, f64::max);
        println!("\n{}", case.name());
        let rows: Vec<_> = OFFERED
            .iter()
            .map(|&offered| {
                let goodput = of(offered, |s| s.goodput);
                let cells = vec![
                    cell(f64::from(CAPACITY) * offered, 0),
                    cell(goodput, 0),
                    cell(goodput * 100.0 / peak, 0),
                    cell(of(offered, |s| s.p50_ms), 1),
                    cell(of(offered, |s| s.p99_ms), 1),
                    cell(of(offered, |s| s.refused), 0),
                    cell(of(offered, |s| s.refused_p50_ms), 2),
                    cell(of(offered, |s| s.refused_p99_ms), 2),
                    cell(of(offered, |s| s.lost), 0),
                ];
                (format!("{offered:.2} x"), cells)
            })
            .collect();
        table::print(&titles, &rows);
    }
    figure(cases, samples);
}

/// The curves beside each other: what was answered in time in a second, and the p99 of all answers.
fn figure(cases: &[Case], samples: &[Sample]) {
    print!("\n   asked/s");
    for case in cases {
        print!("  {:<width$}", case.name(), width = BAR as usize + 13);
    }
    println!();
    for offered in OFFERED {
        print!("{:>10.0}", f64::from(CAPACITY) * offered);
        for &case in cases {
            let goodput = middle(samples, case, offered, |s| s.goodput);
            let p99_ms = middle(samples, case, offered, |s| s.p99_ms);
            let columns = (goodput / f64::from(CAPACITY) * BAR).round().max(0.0) as usize;
            let bar = "▇".repeat(columns);
            print!("  {bar:<0$} {goodput:>3.0} {p99_ms:>5.0} ms", BAR as usize);
        }
        println!();
    }
}

fn middle(samples: &[Sample], case: Case, offered: f64, get: fn(&Sample) -> f64) -> f64 {
    let same = samples
        .iter()
        .filter(|s| s.case == case && (s.offered - offered).abs() < 1e-9);
    median(same.map(get))
}
