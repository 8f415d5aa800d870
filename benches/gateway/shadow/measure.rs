//! One case under one load: started afresh, warmed up, loaded, and waited for.

use std::time::Duration;

use super::{Sample, Subject, Way};
use crate::{
    common::{
        Checked,
        child::Cores,
        load::{Load, Measured, Pace, Window},
        meter::{Meter, quantile, settle},
        scrape,
        start::Model,
    },
    config::{Copies, Work},
    options::Options,
    proxy::Proxy,
    rounds::{
        CPU_US, Figure, LATE_P99_US, LOAD_BUSY, MIRRORED, OTHERS_BUSY, P50_US, P99_US, P999_US,
        PER_SECOND, PROXY_BUSY,
    },
};

/// The share of the requests whose two answers were held against each other.
pub(super) const COMPARED: Figure = "compared_percent";
/// The share of the CPU that was used when the load was over.
pub(super) const LATER: Figure = "later_percent";
/// Requests that reached the model while the CPU was counted.
pub(super) const REQUESTS: Figure = "requests";

type Figures = Vec<(Figure, f64)>;

/// Takes one sample.
pub(super) fn sample(
    options: &Options,
    cores: Cores,
    subject: &Subject,
    way: Way,
    round: u32,
) -> Checked<Sample> {
    let dir = tempfile::tempdir()?;
    let model = Model::start(Some(cores.load), dir.path())?;
    let copies = subject.case.copies();
    let (mut proxy, _place) =
        Proxy::start(&subject.program, cores, &model, Work::usual(copies), None)?;
    let taken = take(options, cores, &model, &proxy, way, round, copies);
    let (figures, copies) = taken.map_err(|e| format!("{e}\n{}", proxy.last_words()))?;
    proxy.ensure_alive()?;
    Ok(Sample {
        round,
        way,
        case: subject.case,
        figures,
        copies,
    })
}

fn take(
    options: &Options,
    cores: Cores,
    model: &Model,
    proxy: &Proxy,
    way: Way,
    round: u32,
    copies: Copies,
) -> Checked<(Figures, Option<scrape::Copies>)> {
    let meter = Meter::new(Some(proxy.pid()), model.pid(), cores)?;
    let connections = usize::from(options.connections);
    // Every case of a round gets the same sequence of deployments and keys.
    let connect = || Load::connect(proxy.target.clone(), connections, u64::from(round));
    connect()?.closed_loop(window(0.0, options.warmup), &meter)?;
    settle(proxy.pid())?;
    let admin = proxy.admin.filter(|_| copies != Copies::None);
    let told = || admin.map(scrape::Copies::read).transpose();
    let (told_before, counted_before) = (told()?, model.counts()?);
    let opened = meter.read()?;
    let mut figures = load(options, &connect, way, proxy, &meter)?;
    settle(proxy.pid())?;
    let used = opened.until(&meter.read()?);
    let (told, counted) = (told()?, model.counts()?);
    let requests = (counted.0 - counted_before.0) as f64;
    figures.push((REQUESTS, requests));
    figures.push((CPU_US, used.proxy_us / requests));
    figures.push((OTHERS_BUSY, used.others_busy * 100.0));
    if let Some((_, in_window)) = figures.iter().find(|(name, _)| *name == IN_WINDOW_US) {
        let later = 1.0 - in_window / used.proxy_us;
        figures.push((LATER, later * 100.0));
    }
    let copied = match (told_before, told) {
        (Some(before), Some(after)) => Some(after.since(&before)),
        _ => None,
    };
    if copies != Copies::None {
        let challenges = (counted.1 - counted_before.1) as f64;
        figures.push((MIRRORED, challenges * 100.0 / requests));
    }
    if let Some(copied) = copied.as_ref().filter(|copied| copied.knows_pairs()) {
        if copied.disagreeing() > 0 {
            return Err(format!("answers that mean the same were told apart: {copied}").into());
        }
        figures.push((COMPARED, copied.compared() as f64 * 100.0 / requests));
    }
    Ok((figures, copied))
}

/// The proxy's CPU time while the load was on.
const IN_WINDOW_US: Figure = "cpu_in_window_us";

/// The load itself, and what only it can tell.
fn load(
    options: &Options,
    connect: &dyn Fn() -> Checked<Load>,
    way: Way,
    proxy: &Proxy,
    meter: &Meter,
) -> Checked<Figures> {
    let mut load = connect()?;
    match way {
        Way::Bunches => {
            let (mut busy, mut requests) = (Duration::ZERO, 0);
            while busy.as_secs_f64() < options.seconds {
                busy += load.bunch(u64::from(options.bunch))?;
                requests += u64::from(options.bunch);
                settle(proxy.pid())?;
            }
            Ok(vec![(PER_SECOND, requests as f64 / busy.as_secs_f64())])
        }
        Way::Rate => {
            let pace = Pace {
                per_second: options.rate,
                burst: options.burst,
            };
            // The first request of a connection is no typical one, so none of them counts.
            let window = window(options.warmup, options.seconds);
            let measured = load.open_loop(window, pace, meter)?;
            let at = |share| quantile(&measured.latencies, share) / 1e3;
            let mut figures = busy(&measured);
            figures.extend([(P50_US, at(0.5)), (P99_US, at(0.99)), (P999_US, at(0.999))]);
            figures.push((LATE_P99_US, quantile(&measured.lateness, 0.99) / 1e3));
            Ok(figures)
        }
        Way::Flood => {
            let measured = load.closed_loop(window(0.0, options.seconds), meter)?;
            let mut figures = busy(&measured);
            figures.push((IN_WINDOW_US, measured.used.proxy_us));
            // What is under way is answered, so that no copy is one of a client that went away.
            load.finish()?;
            Ok(figures)
        }
    }
}

fn busy(measured: &Measured) -> Figures {
    let used = measured.used;
    vec![
        (PER_SECOND, measured.units as f64 / used.seconds),
        (PROXY_BUSY, used.proxy_busy * 100.0),
        (LOAD_BUSY, used.load_busy * 100.0),
    ]
}

fn window(warmup: f64, seconds: f64) -> Window {
    Window {
        warmup_ns: (warmup * 1e9) as u64,
        length_ns: (seconds * 1e9) as u64,
    }
}
