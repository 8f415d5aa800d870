//! The rounds: every part, every proxy in turn, again and again, so that whatever drifts on the
//! machine meanwhile meets all of them alike.

use crate::{
    common::{
        Checked,
        child::Cores,
        dial::Identity,
        load::{Load, Measured, Pace, Window},
        meter::{Meter, median, memory_kib, quantile},
        start::Model,
    },
    options::{Kind, Options, Part},
    proxy::{Program, Proxy},
    streams::Streams,
};

/// Streams that a fresh proxy serves before its memory is read: they bring in its code and its
/// tables, which are no stream's own.
const FIRST_STREAMS: usize = 16;

/// A figure's name, also in the JSON file.
pub(crate) type Figure = &'static str;

pub(crate) const CPU_US: Figure = "cpu_us";
pub(crate) const PER_SECOND: Figure = "per_second";
pub(crate) const PROXY_BUSY: Figure = "proxy_busy_percent";
pub(crate) const LOAD_BUSY: Figure = "load_busy_percent";
pub(crate) const OTHERS_BUSY: Figure = "others_busy_percent";
pub(crate) const P50_US: Figure = "p50_us";
pub(crate) const P99_US: Figure = "p99_us";
pub(crate) const P999_US: Figure = "p999_us";
pub(crate) const ADDED_P50_US: Figure = "added_p50_us";
pub(crate) const ADDED_P99_US: Figure = "added_p99_us";
pub(crate) const LATE_P99_US: Figure = "load_late_p99_us";
pub(crate) const STREAM_KIB: Figure = "kib_per_stream";
pub(crate) const IDLE_MB: Figure = "idle_mb";
pub(crate) const MIRRORED: Figure = "mirrored_percent";

/// Whom a sample is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The model without a proxy.
    Direct,
    /// A proxy.
    Through(Kind),
}

/// One target's figures of one part in one round.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) round: u32,
    pub(crate) part: Part,
    pub(crate) target: Target,
    figures: Vec<(Figure, f64)>,
}

/// All samples of a run.
#[derive(Debug, Default)]
pub(crate) struct Samples(pub(crate) Vec<Sample>);

/// Runs all rounds.
pub(crate) fn run(options: &Options, programs: &[Program], cores: Cores) -> Checked<Samples> {
    let identity = options.tls.then(Identity::new).transpose()?;
    let identity = identity.as_ref();
    let mut samples = Samples::default();
    for round in 1..=options.rounds {
        for &part in &options.only {
            eprintln!("round {round} of {}: {}", options.rounds, part.name());
            // Closed loops saturate, so there is no added latency to take from a direct run.
            let direct = match part {
                Part::Requests => None,
                Part::Rate | Part::Streams => {
                    Some(measure(options, cores, identity, None, part, round)?)
                }
            };
            for program in programs {
                let sample = measure(options, cores, identity, Some(program), part, round);
                samples.0.push(
                    sample.map_err(|e| format!("{}, {}: {e}", program.kind.name(), part.name()))?,
                );
            }
            samples.0.extend(direct);
        }
    }
    samples.add_added();
    Ok(samples)
}

/// One part against one target; everything is started afresh for it and gone behind it.
fn measure(
    options: &Options,
    cores: Cores,
    identity: Option<&Identity>,
    program: Option<&Program>,
    part: Part,
    round: u32,
) -> Checked<Sample> {
    let dir = tempfile::tempdir()?;
    let model = Model::start(Some(cores.load), dir.path())?;
    let mut proxy = program
        .map(|program| Proxy::start(program, cores, &model, options.work(), identity))
        .transpose()?;
    let taken = take(
        options,
        cores,
        &model,
        proxy.as_ref().map(|(proxy, _)| proxy),
        part,
        round,
    );
    let mut figures = taken.map_err(|e| match &proxy {
        Some((proxy, _)) => format!("{e}\n{}", proxy.last_words()).into(),
        None => e,
    })?;
    if let Some((proxy, _)) = &mut proxy {
        proxy.ensure_alive()?;
        figures.push((IDLE_MB, proxy.idle_kib / 1024.0));
    }
    Ok(Sample {
        round,
        part,
        target: program.map_or(Target::Direct, |program| Target::Through(program.kind)),
        figures,
    })
}

fn take(
    options: &Options,
    cores: Cores,
    model: &Model,
    proxy: Option<&Proxy>,
    part: Part,
    round: u32,
) -> Checked<Vec<(Figure, f64)>> {
    let target = proxy.map_or_else(|| model.address.into(), |proxy| proxy.target.clone());
    let meter = Meter::new(proxy.map(Proxy::pid), model.pid(), cores)?;
    let window = Window {
        warmup_ns: (options.warmup * 1e9) as u64,
        length_ns: (options.seconds * 1e9) as u64,
    };
    // Every target of a round gets the same sequence of deployments and keys.
    let connect = || {
        Load::connect(
            target.clone(),
            usize::from(options.connections),
            u64::from(round),
        )
    };
    match part {
        Part::Requests => {
            let measured = connect()?.closed_loop(window, &meter)?;
            let mut figures = common(&measured);
            figures.extend(mirrored(options, model)?);
            Ok(figures)
        }
        Part::Rate => {
            let pace = Pace {
                per_second: options.rate,
                burst: options.burst,
            };
            let measured = connect()?.open_loop(window, pace, &meter)?;
            let mut figures = common(&measured);
            figures.extend(latencies(&measured));
            figures.push((LATE_P99_US, quantile(&measured.lateness, 0.99) / 1e3));
            figures.extend(mirrored(options, model)?);
            Ok(figures)
        }
        Part::Streams => {
            let first = Streams::open(target.clone(), FIRST_STREAMS)?;
            let before = proxy.map(|proxy| memory_kib(proxy.pid())).transpose()?;
            drop(first);
            let count = usize::from(options.streams);
            let mut streams = Streams::open(target.clone(), count)?;
            let measured = streams.read(window, &meter)?;
            let mut figures = common(&measured);
            figures.extend(latencies(&measured));
            if let (Some(proxy), Some(before)) = (proxy, before) {
                let grown = memory_kib(proxy.pid())? - before;
                figures.push((STREAM_KIB, grown / count as f64));
            }
            Ok(figures)
        }
    }
}

fn common(measured: &Measured) -> Vec<(Figure, f64)> {
    let (used, units) = (measured.used, measured.units as f64);
    let mut figures = vec![
        (PER_SECOND, units / used.seconds),
        (LOAD_BUSY, used.load_busy * 100.0),
        (OTHERS_BUSY, used.others_busy * 100.0),
    ];
    // Nothing is in between when the model is called directly.
    if used.proxy_us > 0.0 {
        figures.push((CPU_US, used.proxy_us / units));
        figures.push((PROXY_BUSY, used.proxy_busy * 100.0));
    }
    figures
}

fn latencies(measured: &Measured) -> [(Figure, f64); 3] {
    let at = |share| quantile(&measured.latencies, share) / 1e3;
    [(P50_US, at(0.5)), (P99_US, at(0.99)), (P999_US, at(0.999))]
}

/// The share of the predict requests that the model was sent twice. A proxy that drops its copies
/// looks fast, so the share belongs beside its figures.
fn mirrored(options: &Options, model: &Model) -> Checked<Option<(Figure, f64)>> {
    if !options.challenger {
        return Ok(None);
    }
    let (predicts, challenges) = model.counts()?;
    Ok(Some((
        MIRRORED,
        challenges as f64 * 100.0 / predicts as f64,
    )))
}

// === impl Sample ===

impl Sample {
    /// A figure; NaN when this sample has none of that name.
    pub(crate) fn get(&self, figure: Figure) -> f64 {
        let found = self.figures.iter().find(|(name, _)| *name == figure);
        found.map_or(f64::NAN, |(_, value)| *value)
    }

    /// All figures, in the order in which they were taken.
    pub(crate) fn figures(&self) -> &[(Figure, f64)] {
        &self.figures
    }
}

// === impl Samples ===

impl Samples {
    /// A figure's median over the rounds.
    pub(crate) fn median(&self, part: Part, target: Target, figure: Figure) -> f64 {
        median(self.of(part, target).map(|sample| sample.get(figure)))
    }

    /// The median over the rounds of a figure's ratio to nginx in the same round. Of added latencies
    /// it is the ratio of the medians: they are small differences, and in a round whose own is near
    /// zero their ratio can be anything. NaN without nginx, or where its figure is not above zero.
    pub(crate) fn ratio(&self, part: Part, target: Target, figure: Figure) -> f64 {
        let nginx = Target::Through(Kind::Nginx);
        let over = |value: f64, base: f64| if base > 0.0 { value / base } else { f64::NAN };
        if matches!(figure, ADDED_P50_US | ADDED_P99_US) {
            let medians = [target, nginx].map(|target| self.median(part, target, figure));
            return over(medians[0], medians[1]);
        }
        median(self.of(part, target).map(|sample| {
            let base = self.of(part, nginx).find(|base| base.round == sample.round);
            over(
                sample.get(figure),
                base.map_or(f64::NAN, |base| base.get(figure)),
            )
        }))
    }

    /// Gives each proxy's sample what it adds to the direct latencies: to their medians over all
    /// rounds, since a disturbed direct round would make every proxy of its round look fast.
    fn add_added(&mut self) {
        for part in Part::ALL {
            for (added, of) in [(ADDED_P50_US, P50_US), (ADDED_P99_US, P99_US)] {
                let direct = self.median(part, Target::Direct, of);
                let through = self
                    .0
                    .iter_mut()
                    .filter(|s| s.part == part && s.target != Target::Direct);
                if direct.is_finite() {
                    through.for_each(|s| s.figures.push((added, s.get(of) - direct)));
                }
            }
        }
    }

    fn of(&self, part: Part, target: Target) -> impl Iterator<Item = &Sample> {
        let wanted = move |sample: &&Sample| sample.part == part && sample.target == target;
        self.0.iter().filter(wanted)
    }
}
