//! What can be asked for behind `cargo bench --bench comparison --`.

use clap::{Parser, ValueEnum};

/// Whether weir's memory stays flat over a million pairs.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench comparison --")]
pub(crate) struct Options {
    /// Pairs to be compared in each variant; requests are sent until there are so many.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(100..))]
    pub(crate) pairs: u64,
    /// Deployments that share them, each with evidence of its own.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) deployments: u16,
    /// How answers are compared. `label` compares a label that is another one each time.
    #[arg(long, default_value = "json")]
    pub(crate) kind: Kind,
    /// Client connections.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1_900))]
    pub(crate) connections: u16,
    /// Worker threads of weir.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) workers: u16,
    /// By how many MiB its memory may grow over half of the pairs: 8 are 17 bytes a pair of a million.
    #[arg(long, default_value_t = 8.0)]
    pub(crate) growth_mib_max: f64,
    /// What the variant `small` may keep on disk, in MiB.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) disk_mib: u64,
    /// Only these variants.
    #[arg(long, value_delimiter = ',', default_values_t = Variant::ALL)]
    pub(crate) only: Vec<Variant>,
    /// A smoke run of 20,000 pairs. Its growth is that of a start, and not judged.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Given by `cargo bench`; without it (`cargo test --benches`) nothing is measured.
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Variant {
    /// As it is by default: every pair's figures.
    Kept,
    /// The bodies of every pair too, in a file that is far too small for them.
    Small,
}

/// A comparator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Exact,
    Json,
    Label,
    Number,
    Text,
}

// === impl Options ===

impl Options {
    /// Reads the command line.
    pub(crate) fn read() -> Self {
        let mut options = Self::parse();
        if options.quick {
            options.pairs = options.pairs.min(20_000);
        }
        options
    }
}

// === impl Variant ===

impl Variant {
    pub(crate) const ALL: [Self; 2] = [Self::Kept, Self::Small];
}

impl std::fmt::Display for Variant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Kept => "kept",
            Self::Small => "small",
        })
    }
}

// === impl Kind ===

impl Kind {
    /// The table `compare` of a challenger.
    pub(crate) fn declared(self) -> &'static str {
        match self {
            Self::Exact => "kind = \"exact\"",
            Self::Json => "kind = \"json\"",
            Self::Label => "kind = \"label\"\npointer = \"/id\"",
            Self::Number => "kind = \"number\"\npointer = \"/outputs/0/0\"",
            Self::Text => "kind = \"text\"",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Exact => "exact",
            Self::Json => "json",
            Self::Label => "label",
            Self::Number => "number",
            Self::Text => "text",
        })
    }
}
