//! What it adds to mirror every request and to compare every answer with main's.
//!
//! ```text
//!   weir                  weir, again           the same twice: what a difference is by chance
//!   weir, compared                              every request mirrored, every pair compared as JSON
//!   before                before, mirrored      a weir that mirrors and compares nothing: --against
//!   nginx                 nginx, mirror         its `mirror`, which throws the answers away
//! ```
//!
//! Each is set beside its own without copies, within a round. Three loads: `bunches` (a closed loop of
//! some thousand requests, then a rest until the last pair of them is compared, again and again: what
//! a request costs when none of its pairs is given up), `rate` (a fixed arrival rate: what requests
//! feel of it) and `flood` (a closed loop without rest: what is given up when there is no time).
//!
//! CPU is all that the process uses until it is quiet again, so work that was put off is in it, over
//! the requests that have reached the model; `others %` is of that time too, rests included. The model's answers mean the same to a comparison and
//! are not the same bytes. A pair found to disagree ends the run with exit code 1.

mod measure;
mod report;

use std::path::Path;

use crate::{
    common::{Checked, child::Cores, meter::median, scrape},
    config::Copies,
    options::{Kind, Options},
    proxy::Program,
    rounds::Figure,
};

/// One of those that are set beside each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Weir,
    WeirAgain,
    Compared,
    Before,
    BeforeMirrored,
    Nginx,
    NginxMirror,
}

/// One kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// A closed loop with rests.
    Bunches,
    /// An open loop.
    Rate,
    /// A closed loop without rests.
    Flood,
}

/// A case and the program that it is of.
pub(super) struct Subject {
    case: Case,
    program: Program,
}

/// One case's figures under one load in one round.
pub(super) struct Sample {
    round: u32,
    way: Way,
    case: Case,
    figures: Vec<(Figure, f64)>,
    /// What weir says of its copies.
    copies: Option<scrape::Copies>,
}

/// All samples of a run.
#[derive(Default)]
pub(super) struct Samples(Vec<Sample>);

/// Runs all rounds and prints what they say.
pub(crate) fn run(options: &Options, cores: Cores) -> Checked<()> {
    let subjects = subjects(options)?;
    println!(
        "{} rounds of {} s behind {} s of warm-up; proxy on core {}, load and models on core {}",
        options.rounds, options.seconds, options.warmup, cores.proxy, cores.load,
    );
    let mut samples = Samples::default();
    for round in 1..=options.rounds {
        for way in Way::ALL {
            eprintln!("round {round} of {}: {}", options.rounds, way.name());
            for at in 0..subjects.len() {
                // No round begins with the one that the round before began with.
                let subject = &subjects[(at + round as usize) % subjects.len()];
                let sample = measure::sample(options, cores, subject, way, round);
                let named = |e| format!("{}, {}: {e}", subject.case.name(), way.name());
                samples.0.push(sample.map_err(named)?);
            }
        }
    }
    report::print(options, &subjects, &samples);
    match &options.json {
        Some(path) => report::write_json(path, options, &subjects, &samples),
        None => Ok(()),
    }
}

/// Those that can be measured: weir always, the others where they were found or named.
fn subjects(options: &Options) -> Checked<Vec<Subject>> {
    let mut subjects = Vec::new();
    let mut add = |cases: &[Case], find: &dyn Fn() -> Checked<Program>| -> Checked<()> {
        for &case in cases {
            let program = find()?;
            subjects.push(Subject { case, program });
        }
        Ok(())
    };
    add(&[Case::Weir, Case::WeirAgain, Case::Compared], &|| {
        Program::find(Kind::Weir)
    })?;
    if let Some(path) = &options.against {
        add(&[Case::Before, Case::BeforeMirrored], &|| {
            Program::another_weir(Path::new(path))
        })?;
    } else {
        eprintln!("left out: a weir that mirrors without comparing; --against names one");
    }
    if let Err(e) = add(&[Case::Nginx, Case::NginxMirror], &|| {
        Program::find(Kind::Nginx)
    }) {
        eprintln!("left out: {e}");
    }
    Ok(subjects)
}

// === impl Case ===

impl Case {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Weir => "weir",
            Self::WeirAgain => "weir, again",
            Self::Compared => "weir, compared",
            Self::Before => "before",
            Self::BeforeMirrored => "before, mirrored",
            Self::Nginx => "nginx",
            Self::NginxMirror => "nginx, mirror",
        }
    }

    fn copies(self) -> Copies {
        match self {
            Self::Compared => Copies::Compared,
            Self::BeforeMirrored | Self::NginxMirror => Copies::Made,
            Self::Weir | Self::WeirAgain | Self::Before | Self::Nginx => Copies::None,
        }
    }

    /// The one that it is set beside.
    fn base(self) -> Option<Self> {
        match self {
            Self::WeirAgain | Self::Compared => Some(Self::Weir),
            Self::BeforeMirrored => Some(Self::Before),
            Self::NginxMirror => Some(Self::Nginx),
            Self::Weir | Self::Before | Self::Nginx => None,
        }
    }
}

// === impl Way ===

impl Way {
    const ALL: [Self; 3] = [Self::Bunches, Self::Rate, Self::Flood];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bunches => "bunches",
            Self::Rate => "rate",
            Self::Flood => "flood",
        }
    }
}

// === impl Sample ===

impl Sample {
    /// A figure; NaN when this sample has none of that name.
    fn get(&self, figure: Figure) -> f64 {
        let found = self.figures.iter().find(|(name, _)| *name == figure);
        found.map_or(f64::NAN, |(_, value)| *value)
    }
}

// === impl Samples ===

impl Samples {
    fn of(&self, way: Way, case: Case) -> impl Iterator<Item = &Sample> {
        let wanted = move |sample: &&Sample| sample.way == way && sample.case == case;
        self.0.iter().filter(wanted)
    }

    /// A figure's median over the rounds.
    fn median(&self, way: Way, case: Case, figure: Figure) -> f64 {
        median(self.of(way, case).map(|sample| sample.get(figure)))
    }

    /// The least of a figure in any round; NaN where a round has none.
    fn least(&self, way: Way, case: Case, figure: Figure) -> f64 {
        let values = self.of(way, case).map(|sample| sample.get(figure));
        let lesser = |a: f64, b: f64| if a <= b || a.is_nan() { a } else { b };
        values.reduce(lesser).unwrap_or(f64::NAN)
    }

    /// By how much a figure exceeds its base's, in each round.
    fn added(&self, way: Way, case: Case, figure: Figure) -> Vec<f64> {
        let Some(base) = case.base() else {
            return Vec::new();
        };
        let added = |sample: &Sample| {
            let base = self.of(way, base).find(|base| base.round == sample.round)?;
            Some(sample.get(figure) - base.get(figure))
        };
        self.of(way, case).filter_map(added).collect()
    }

    /// What became of the copies, over all rounds.
    fn copies(&self, way: Way, case: Case) -> Option<scrape::Copies> {
        let mut sum = None;
        for copies in self.of(way, case).filter_map(|s| s.copies.as_ref()) {
            sum.get_or_insert_with(scrape::Copies::default).add(copies);
        }
        sum
    }
}
