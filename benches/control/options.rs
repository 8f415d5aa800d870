//! What can be asked for behind `cargo bench --bench control --`.

use clap::{Parser, ValueEnum};

/// What the control plane costs and takes, on a gateway with 1,000 deployments and 100,000 keys.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench control --")]
pub(crate) struct Options {
    /// Starts of each kind, and empty gateways of the part `apply`; the tables show medians over them.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) starts: u32,
    /// Mutations of each kind, one at a time.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) mutations: u32,
    /// Quiet and busy rounds of the part `traffic`; the table shows medians over them.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Measured seconds of each round, and of the part `writers`.
    #[arg(long, default_value_t = 5.0)]
    pub(crate) seconds: f64,
    /// Seconds from a start until its memory is read, and of load before each round.
    #[arg(long, default_value_t = 3.0)]
    pub(crate) settle: f64,
    /// Requests per second of the part `traffic`.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: u32,
    /// Mutations per second of its busy rounds.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) changes: u32,
    /// Only these parts.
    #[arg(long, value_delimiter = ',', default_values_t = Part::ALL)]
    pub(crate) only: Vec<Part>,
    /// A smoke run: one short round of everything. Its figures mean little.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Given by `cargo bench`; without it (`cargo test --benches`) nothing is measured.
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

/// One question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Until it is ready, and what it holds then.
    Starts,
    /// `weir apply` of 1,000 deployments, and again.
    Apply,
    /// From a mutation's call until it is in force.
    Mutations,
    /// Sixteen clients that create keys.
    Writers,
    /// Requests beside mutations.
    Traffic,
}

// === impl Options ===

impl Options {
    /// Reads the command line.
    pub(crate) fn read() -> Self {
        let mut options = Self::parse();
        if options.quick {
            options.starts = 1;
            options.mutations = 20;
            options.rounds = 1;
            options.seconds = 1.0;
            options.settle = 0.5;
        }
        options.seconds = options.seconds.clamp(0.1, 600.0);
        options.settle = options.settle.clamp(0.0, 60.0);
        options
    }
}

// === impl Part ===

impl Part {
    /// In the order of the tables.
    pub(crate) const ALL: [Self; 5] = [
        Self::Starts,
        Self::Apply,
        Self::Mutations,
        Self::Writers,
        Self::Traffic,
    ];
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Starts => "starts",
            Self::Apply => "apply",
            Self::Mutations => "mutations",
            Self::Writers => "writers",
            Self::Traffic => "traffic",
        })
    }
}
