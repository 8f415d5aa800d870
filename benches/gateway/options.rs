//! What can be asked for behind `cargo bench --bench gateway --`.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::config::{Copies, Work};

/// weir, nginx and HAProxy side by side on the same work.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench gateway --")]
pub(crate) struct Options {
    /// Rounds over all parts and proxies; the tables show medians over them.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Measured seconds of each part for each proxy in each round.
    #[arg(long, default_value_t = 4.0)]
    pub(crate) seconds: f64,
    /// Seconds of load before each measured window.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) warmup: f64,
    /// Only these parts.
    #[arg(long, value_delimiter = ',', default_values_t = Part::ALL)]
    pub(crate) only: Vec<Part>,
    /// Only these proxies. A proxy named here must be there; by default those found run.
    #[arg(long, value_delimiter = ',')]
    pub(crate) proxies: Option<Vec<Kind>>,
    /// Client connections of the parts `requests` and `rate`.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1_900))]
    pub(crate) connections: u16,
    /// Requests per second of the part `rate`; with `--shadow` 2,000 unless given.
    #[arg(long, default_value_t = 5_000, default_value_if("shadow", "true", "2000"), value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: u32,
    /// Requests of the part `rate` that leave at the same time. At 1 each wakes a sleeping proxy by
    /// itself; a load that sleeps in whole milliseconds sends 5,000/s as bursts of 5, which cost a
    /// third less each, so figures of such loads compare with `--burst 5` only.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) burst: u32,
    /// Concurrent token streams of the part `streams`.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..=1_900))]
    pub(crate) streams: u16,
    /// Mirror every predict request: weir to a challenger, nginx with `mirror`.
    #[arg(long)]
    pub(crate) challenger: bool,
    /// Instead of the parts: what it costs to mirror every predict request and to compare every pair
    /// of answers, beside the same without, and nginx with and without its `mirror`.
    #[arg(long, conflicts_with_all = ["only", "proxies", "challenger"])]
    pub(crate) shadow: bool,
    /// With `--shadow`: a weir from before it compared (commit dd01ed9 is the last such one). What
    /// mirroring costs that one is the cost of a second exchange, by which this one is judged.
    #[arg(long, requires = "shadow", value_name = "BINARY")]
    pub(crate) against: Option<PathBuf>,
    /// With `--shadow`: requests of each burst of a closed loop. Pairs are dropped when more than
    /// 16,384 wait to be compared, and to compare half of them costs half.
    #[arg(long, default_value_t = 8_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) bunch: u32,
    /// Clients speak TLS 1.3 with the proxies, which all show the same certificate.
    #[arg(long, conflicts_with_all = ["shadow", "large", "overload"])]
    pub(crate) tls: bool,
    /// Instead of the parts: what it costs to know 1,000,000 keys and 10,000 deployments, beside the
    /// usual 10,000 and 100.
    #[arg(long, conflicts_with_all = ["only", "proxies", "challenger", "shadow"])]
    pub(crate) large: bool,
    /// Instead of the parts: a model that does so much and no more, asked for up to three times that.
    #[arg(long, conflicts_with_all = ["only", "proxies", "challenger", "shadow", "large"])]
    pub(crate) overload: bool,
    /// A smoke run: one short round, few streams. Its figures mean little.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Write every round's figures and the medians here.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Given by `cargo bench`; without it (`cargo test --benches`) nothing is measured.
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

/// One kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// A closed loop: every connection always has one request under way.
    Requests,
    /// An open loop: requests leave at fixed times, answered or not.
    Rate,
    /// Concurrent token streams.
    Streams,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum Kind {
    /// This crate's binary.
    Weir,
    /// nginx.
    Nginx,
    /// HAProxy.
    Haproxy,
}

// === impl Options ===

impl Options {
    /// Reads the command line.
    pub(crate) fn read() -> Self {
        let mut options = Self::parse();
        if options.quick {
            options.rounds = 1;
            options.seconds = 0.5;
            options.warmup = 0.1;
            options.streams = options.streams.min(200);
            options.bunch = options.bunch.min(2_000);
        }
        options.seconds = options.seconds.clamp(0.1, 600.0);
        options.warmup = options.warmup.clamp(0.0, 60.0);
        options
    }

    /// What the parts' proxies do.
    pub(crate) fn work(&self) -> Work {
        let copies = match self.challenger {
            true => Copies::Made,
            false => Copies::None,
        };
        Work {
            tls: self.tls,
            ..Work::usual(copies)
        }
    }
}

// === impl Part ===

impl Part {
    /// In the order of the tables.
    pub(crate) const ALL: [Self; 3] = [Self::Requests, Self::Rate, Self::Streams];

    /// Its name on the command line and in the JSON file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Rate => "rate",
            Self::Streams => "streams",
        }
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

// === impl Kind ===

impl Kind {
    /// In the order in which each round runs them.
    pub(crate) const ALL: [Self; 3] = [Self::Weir, Self::Nginx, Self::Haproxy];

    /// Its name on the command line, and its program's.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Weir => "weir",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        }
    }
}
