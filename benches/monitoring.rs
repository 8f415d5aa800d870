//! What monitoring takes of memory and disk, and how fast it answers: 1,000 deployments that are active
//! in every step, over 72 simulated hours. `cargo bench --bench monitoring`; with `-- --hours 6
//! --deployments 100` less of it.
//!
//! ```text
//! simulated clock ──10 s──▶ 20 requests for each deployment ──▶ tallies ──▶ monitor ──▶ a file
//! ```

use std::{
    fs,
    time::{Duration, Instant},
};

use weir::{
    base::name::DeploymentName,
    monitor::{Asked, Monitor, MonitorOptions},
    telemetry::{
        meters::RoleMeters,
        outcome::{Ended, Role},
    },
};

type Checked<T> = Result<T, Box<dyn std::error::Error>>;

/// Requests of each deployment in each step.
const REQUESTS: u64 = 20;
/// When the simulated time begins.
const BEGIN_S: u64 = 1_800_000_000;
/// A step, and how often the gateway writes.
const STEP_S: u64 = 10;
const WRITE_S: u64 = 20;

fn main() -> Checked<()> {
    let hours = argument("--hours", 72)?;
    let count = argument("--deployments", 1_000)?;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("monitoring.db");
    let names: Checked<Vec<DeploymentName>> = (0..count)
        .map(|i| Ok(DeploymentName::parse(&format!("bench/deployment-{i}"))?))
        .collect();
    let names = names?;
    let bare = resident_bytes()?;
    let meters: Vec<_> = names
        .iter()
        .map(|name| RoleMeters::new(name, Role::Main))
        .collect();
    let mut chance = Chance(7);
    for (i, meters) in meters.iter().enumerate() {
        traffic(meters, i as u64, &mut chance);
    }
    let counted = resident_bytes()?;
    let monitor = Monitor::open(&path, MonitorOptions::default(), BEGIN_S * 1_000);
    let (mut sampling, mut writing) = (Times::default(), Times::default());
    let (mut peak, mut disk_peak) = (0, 0);
    let mut now_s = BEGIN_S;
    while now_s < BEGIN_S + hours * 3_600 {
        for (i, meters) in meters.iter().enumerate() {
            traffic(meters, i as u64, &mut chance);
        }
        now_s += STEP_S;
        sampling.of(|| monitor.sample(now_s * 1_000));
        if now_s.is_multiple_of(WRITE_S) {
            writing.of(|| monitor.write(now_s * 1_000, true));
        }
        if now_s.is_multiple_of(600) {
            peak = resident_bytes()?.max(peak);
            disk_peak = on_disk(&path).max(disk_peak);
        }
    }
    let grown = |bytes: u64| mib(bytes.saturating_sub(bare));
    println!("{count} deployments, {REQUESTS} requests each in each step, {hours} h simulated");
    println!("  counters of the data plane   {:8.1} MiB", grown(counted));
    println!("  all memory, at most          {:8.1} MiB", grown(peak));
    println!(
        "  disk, at the end             {:8.1} MiB",
        mib(on_disk(&path))
    );
    println!("  disk, at most                {:8.1} MiB", mib(disk_peak));
    println!("  ending a step                {sampling}");
    println!("  writing                      {writing}");
    for (words, back_s, step_s) in [
        ("the last hour", 3_600, None),
        ("24 h, finest", 86_400, Some(10)),
        ("72 h", 72 * 3_600, None),
        ("72 h in steps of 1 min", 72 * 3_600, Some(60)),
    ] {
        let mut times = Times::default();
        let mut points = 0;
        for name in names.iter().step_by((names.len() / 20).max(1)) {
            let asked = Asked {
                from_s: now_s - back_s,
                to_s: now_s,
                step_s,
            };
            let series = times.of(|| monitor.series(name, asked, now_s * 1_000))?;
            points = series.main.len();
        }
        println!("  {words:<24} {points:5} points {times}");
    }
    let mut times = Times::default();
    for _ in 0..20 {
        times.of(|| monitor.newest(&names, now_s * 1_000));
    }
    println!("  how all of them do just now  {times}");
    Ok(())
}

/// A deployment's requests of one step: around its own typical duration, some much slower.
fn traffic(meters: &RoleMeters, deployment: u64, chance: &mut Chance) {
    let typical_us = 2_000 * (1 + deployment % 50);
    for _ in 0..REQUESTS {
        let spread = chance.next() % 1_000;
        let slow = if chance.next().is_multiple_of(50) {
            8
        } else {
            1
        };
        let ns = typical_us * slow * (700 + spread);
        meters.record_first_byte(ns * 9 / 10, 100_000);
        meters.record_end(ns, 700 + spread, 2_000 + spread, Ended::Complete, None);
    }
}

/// A generator, the same in every run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        self.0 >> 33
    }
}

/// How long something took, each time.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    fn of<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let done = work();
        self.0.push(begun.elapsed());
        done
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let ms = |at: usize| sorted.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e3);
        let (median, last) = (ms(sorted.len() / 2), ms(sorted.len().saturating_sub(1)));
        write!(f, "{median:8.2} ms, at most {last:.2} ms")
    }
}

fn argument(name: &str, default: u64) -> Checked<u64> {
    let mut given = std::env::args().skip_while(|given| given != name).skip(1);
    Ok(given.next().map_or(Ok(default), |text| text.parse())?)
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn on_disk(path: &std::path::Path) -> u64 {
    let log = format!("{}-wal", path.display());
    let size = |path: &std::path::Path| fs::metadata(path).map_or(0, |found| found.len());
    size(path) + size(log.as_ref())
}

/// Memory that the process holds.
fn resident_bytes() -> Checked<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line
        .and_then(|rest| rest.split_whitespace().next())
        .ok_or("no VmRSS")?;
    Ok(kib.parse::<u64>()? * 1_024)
}
