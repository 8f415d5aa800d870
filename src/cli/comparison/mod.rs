//! Main against its challenger: what the pairs say together, and each by itself.
//!
//! ```text
//! verdict:  .../comparison, .../series ──▶ summary ─┬─ standing: is a limit kept? ──▶ chart
//!                                                   ├─ tables: latencies, what is left out
//!                                                   └─ kinds: what each comparator found
//! pairs:    .../pairs ──▶ a table, or the gateway's own CSV and NDJSON, passed on as they come
//! pair:     .../pairs/ID ──▶ both sides, and the bodies that were kept
//! ```

mod chart;
mod download;
mod kinds;
mod pair;
mod pairs;
mod standing;
mod summary;
mod tables;
mod verdict;
mod words;

pub(super) use pair::{PairArgs, run as pair};
pub(super) use pairs::{PairsArgs, run as pairs};
pub(super) use verdict::{HELP as VERDICT_HELP, VerdictArgs, run as verdict};
pub(super) use words::line;

/// What stands below the flags of `pairs`.
pub(super) const PAIRS_HELP: &str = "\
Examples:
  weir deployment pairs demo/iris --result disagree --order worst
  weir deployment pairs demo/iris --since 1h --format csv > pairs.csv
  weir deployment pairs demo/iris --format ndjson | head";

/// A query of an address, of those parts that are said.
fn query(parts: &[(&str, Option<String>)]) -> String {
    let said = parts
        .iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)));
    let said: Vec<String> = said
        .map(|(name, value)| format!("{name}={}", super::remote::escaped(value)))
        .collect();
    match said.is_empty() {
        true => String::new(),
        false => format!("?{}", said.join("&")),
    }
}
