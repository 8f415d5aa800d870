//! What can be asked for behind `cargo bench --bench async_queue --`.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Durable acceptances, what becomes of them, and what they cost others.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench async_queue --")]
pub(crate) struct Options {
    /// Rounds of the parts `accept`, `jobs` and `direct`; the tables show medians over them.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Measured seconds of each row in each round.
    #[arg(long, default_value_t = 5.0)]
    pub(crate) seconds: f64,
    /// Seconds of load before each measured window.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) warmup: f64,
    /// Only these parts.
    #[arg(long, value_delimiter = ',', default_values_t = Part::ALL)]
    pub(crate) only: Vec<Part>,
    /// Who accepts. One named here must be there; by default those found run.
    #[arg(long, value_delimiter = ',')]
    pub(crate) systems: Option<Vec<Kind>>,
    /// Clients of the part `accept`.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 256],
          value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) clients: Vec<u16>,
    /// Bytes of its bodies.
    #[arg(long, value_delimiter = ',', default_values_t = [1_024, 65_536],
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) bodies: Vec<u32>,
    /// Requests that wait in the parts `jobs` and `direct`.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1_000..=5_000_000))]
    pub(crate) backlog: u32,
    /// Direct calls per second of the part `direct`.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: u32,
    /// Requests that wait at the start that the part `starts` measures.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(10..=10_000_000))]
    pub(crate) queued: u32,
    /// One short round of everything, in about three minutes.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Write every round's figures here.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Given by `cargo bench`; without it (`cargo test --benches`) nothing is measured.
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

/// One question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Durable acceptances a second.
    Accept,
    /// From a submission to the model's answer.
    Jobs,
    /// Direct calls beside a full queue.
    Direct,
    /// Until it is ready with a full queue.
    Starts,
}

/// Who accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// This crate's binary.
    Weir,
    /// NATS with JetStream.
    Nats,
    /// PostgreSQL.
    Postgres,
}

// === impl Options ===

impl Options {
    /// Reads the command line.
    pub(crate) fn read() -> Self {
        let mut options = Self::parse();
        if options.quick {
            options.rounds = 1;
            options.seconds = 2.0;
            options.warmup = 0.5;
            options.backlog = options.backlog.min(50_000);
        }
        options.seconds = options.seconds.clamp(0.1, 600.0);
        options.warmup = options.warmup.clamp(0.0, 60.0);
        options
    }

    /// Whether somebody is to take part, and whether that was said by name.
    pub(crate) fn wants(&self, kind: Kind) -> (bool, bool) {
        match &self.systems {
            None => (true, false),
            Some(named) => (named.contains(&kind), true),
        }
    }
}

// === impl Part ===

impl Part {
    /// In the order in which they run.
    pub(crate) const ALL: [Self; 4] = [Self::Accept, Self::Jobs, Self::Direct, Self::Starts];
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Accept => "accept",
            Self::Jobs => "jobs",
            Self::Direct => "direct",
            Self::Starts => "starts",
        })
    }
}
