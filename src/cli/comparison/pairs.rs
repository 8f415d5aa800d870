//! `weir deployment pairs`: what main and its challenger answered to the same requests.

use clap::ValueEnum;
use jiff::Timestamp;
use serde_json::Value;

use super::{
    download::{Written, passed_on},
    kinds::short,
    query,
    words::{figure, ms, number, plain},
};
use crate::{
    base::{clock::unix_ms, name::DeploymentName},
    cli::{
        expiry::lasting,
        failure::Failure,
        number::Number,
        remote::{Call, Session, path_of, text, texts},
        terminal::{Table, ago},
    },
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct PairsArgs {
    /// The version, as 2 or iris_v2 [default: the live one, or else the newest that was compared]
    #[arg(long, value_name = "VERSION")]
    version: Option<Number>,
    /// Those with this result alone
    #[arg(long, value_enum, value_name = "RESULT")]
    result: Option<Wanted>,
    /// Which come first
    #[arg(long, value_enum, value_name = "ORDER", default_value_t)]
    order: Order,
    /// Those from then on alone: 10m, 2h, or a time such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Those until then alone, likewise
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    /// At most so many [default: 20 in a table, else all]
    #[arg(short = 'n', long, value_name = "COUNT")]
    limit: Option<usize>,
    /// How they are written; csv and ndjson are passed on as the gateway writes them
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Format,
}

/// What a comparison found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Wanted {
    /// Both say the same
    Agree,
    /// They do not
    Disagree,
    /// There was nothing to compare
    Uncompared,
    /// One of the two failed
    Error,
}

/// Which pairs come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Order {
    /// The latest
    #[default]
    Newest,
    /// The earliest
    Oldest,
    /// Those that differ most; only of those that disagree
    Worst,
}

/// How pairs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// For people; with -o json a list
    #[default]
    Table,
    /// For spreadsheets
    Csv,
    /// A line of JSON each
    Ndjson,
}

/// Pairs in a table, where nobody says how many.
const SHOWN: usize = 20;

/// Lists pairs, or passes them on.
///
/// # Errors
/// As calls of the API; when the download breaks off.
pub(in crate::cli) fn run(
    name: &DeploymentName,
    arguments: &PairsArgs,
    session: &Session,
) -> Result<(), Failure> {
    let out = &session.out;
    let written = match arguments.format {
        Format::Table => None,
        Format::Csv => Some(Written::Csv),
        Format::Ndjson => Some(Written::Ndjson),
    };
    let path = path_of(name, &arguments.rest(written));
    if let Some(written) = written {
        let call = Call::get(&path).header("accept", written.media_type());
        let from = session.client.follow(call)?;
        let limit = arguments.limit.and_then(|limit| u64::try_from(limit).ok());
        return passed_on(from, written, limit, |part| out.bytes(part));
    }
    let usual = if out.is_json() { usize::MAX } else { SHOWN };
    let limit = arguments.limit.unwrap_or(usual);
    let pairs = session.client.list_up_to(&path, limit)?;
    out.list(&pairs, "no pairs", table(), row)
}

/// A time, or how long ago it was.
fn moment(text: &str) -> Result<Timestamp, String> {
    moment_from(text, unix_ms())
}

fn moment_from(text: &str, now_ms: u64) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let wrong =
        || "is neither a duration such as 10m or 2h nor a time such as 2026-01-31T12:00:00Z";
    let ago = lasting(text).map_err(|_| wrong().to_owned())?;
    let ago_ms = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
    let at_ms = i64::try_from(now_ms.saturating_sub(ago_ms)).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(at_ms).map_err(|_| wrong().to_owned())
}

// === impl PairsArgs ===

impl PairsArgs {
    /// What is asked for, behind the address of the deployment.
    fn rest(&self, written: Option<Written>) -> String {
        let word = |value: Option<clap::builder::PossibleValue>| {
            value.map(|value| value.get_name().to_owned())
        };
        let query = query(&[
            ("version", self.version.map(|number| number.0.to_string())),
            (
                "result",
                word(self.result.and_then(|own| own.to_possible_value())),
            ),
            ("order", word(self.order.to_possible_value())),
            ("from", self.since.map(|time| time.to_string())),
            ("to", self.until.map(|time| time.to_string())),
            ("format", written.map(|written| written.as_str().to_owned())),
        ]);
        format!("/comparison/pairs{query}")
    }
}

fn table() -> Table {
    let heads = [
        "WHEN",
        "RESULT",
        "KIND",
        "DISTANCE",
        "MAIN",
        "CHALLENGER",
        "DETAIL",
        "ID",
    ];
    Table::new(&heads).right(3)
}

fn row(pair: &Value) -> Vec<String> {
    vec![
        ago(&pair["at"]),
        text(pair, "result"),
        text(pair, "kind"),
        number(&pair["distance"]),
        side(&pair["main"]),
        side(&pair["challenger"]),
        short(&detail(pair)),
        text(pair, "id"),
    ]
}

/// One side: its status and how long it took, `200 12.3 ms`.
fn side(side: &Value) -> String {
    let status = match text(side, "status") {
        none if none.is_empty() => "failed".to_owned(),
        status => status,
    };
    match ms(&side["latency_ms"]) {
        none if none.is_empty() => status,
        ms => format!("{status} {ms} ms"),
    }
}

/// What went wrong with one side, if anything did.
pub(super) fn fault(side: &Value) -> Option<String> {
    let error = text(side, "error");
    if !error.is_empty() {
        return Some(error);
    }
    match text(side, "ended").as_str() {
        "" | "complete" => None,
        ended => Some(plain(ended)),
    }
}

/// What there is to say of a pair, in short words.
pub(super) fn detail(pair: &Value) -> String {
    let (main, challenger) = (&pair["main"], &pair["challenger"]);
    if let Some(reason) = pair["reason"].as_str() {
        return plain(reason);
    }
    if let Some(fault) = fault(challenger) {
        return fault;
    }
    if main["status"] != challenger["status"] {
        return format!("{}, not {}", challenger["status"], main["status"]);
    }
    found(&pair["detail"])
}

/// What a comparator found: its details tell by their members which it was.
fn found(detail: &Value) -> String {
    if detail == "unreadable" || detail["unreadable"] == true || detail["what"] == "unreadable" {
        return "unreadable".to_owned();
    }
    if let Some(similarity) = detail["similarity"].as_f64() {
        return format!("similarity {}", figure(similarity));
    }
    if let Some(mismatch) = detail["mismatch"].as_str() {
        return mismatch.to_owned();
    }
    if let Some(differences) = detail["differences"].as_u64() {
        let places = texts(detail, "places");
        return match (differences, places.is_empty()) {
            (0, _) => String::new(),
            (count, true) => format!("{count} differ"),
            (count, false) => format!("{count} differ: {}", places.join(" ")),
        };
    }
    if detail["max_abs"].is_number() {
        let (max, mean) = (number(&detail["max_abs"]), number(&detail["mean_abs"]));
        return format!("off by {max}, mean {mean}");
    }
    match (&detail["main"], &detail["challenger"]) {
        (Value::String(main), Value::String(challenger)) if main == challenger => main.clone(),
        (Value::String(main), Value::String(challenger)) => format!("{challenger}, not {main}"),
        (main, challenger) if main.is_number() => {
            format!("{}, not {}", number(challenger), number(main))
        }
        _ => match detail["first"].as_u64() {
            Some(first) => format!("from byte {first} on"),
            None => String::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};
    use serde_json::json;

    use super::*;
    use crate::cli::terminal::Style;

    fn arguments(line: &str) -> Result<PairsArgs, clap::Error> {
        let command = PairsArgs::augment_args(clap::Command::new("x").no_binary_name(true));
        let matches = command.try_get_matches_from(line.split_whitespace())?;
        PairsArgs::from_arg_matches(&matches)
    }

    #[test]
    fn what_is_asked_for_stands_in_the_query() {
        let rest = |line: &str, written| arguments(line).expect(line).rest(written);
        assert_eq!(rest("", None), "/comparison/pairs?order=newest");
        assert_eq!(
            rest(
                "--version iris_v3 --result disagree --order worst -n 3 \
                 --since 2026-01-31T13:00:00+01:00 --until 2026-01-31T13:00:00Z",
                Some(Written::Csv)
            ),
            "/comparison/pairs?version=3&result=disagree&order=worst&from=2026-01-31T12%3A00%3A00Z\
             &to=2026-01-31T13%3A00%3A00Z&format=csv"
        );
        for line in [
            "--order best",
            "--result fine",
            "--format xml",
            "--since soon",
        ] {
            assert!(arguments(line).is_err(), "{line}");
        }
    }

    #[test]
    fn moments_are_counted_back_from_now() {
        let at = |text: &str| moment_from(text, 1_795_000_000_000).map(|time| time.to_string());
        assert_eq!(at("1h").as_deref(), Ok("2026-11-18T10:06:40Z"));
        assert_eq!(
            at("2026-01-31T12:00:00Z").as_deref(),
            Ok("2026-01-31T12:00:00Z")
        );
        assert_eq!(at("1000w").as_deref(), Ok("2007-09-19T11:06:40Z"));
        assert!(at("-1h").is_err() && at("").is_err() && at("yesterday").is_err());
    }

    #[test]
    fn the_table() {
        let side = |status: Value, ms: f64| json!({"status": status, "latency_ms": ms, "ended": "complete"});
        let pairs = [
            json!({"id": 17, "at": null, "result": "disagree", "kind": "label", "distance": 1.0,
                "detail": {"main": "cat", "challenger": "dog\n"},
                "main": side(json!(200), 12.3), "challenger": side(json!(200), 4.0)}),
            json!({"id": 16, "at": null, "result": "disagree", "kind": "auto", "distance": 1e6,
                "detail": null, "main": side(json!(200), 12.3),
                "challenger": {"status": null, "error": "the connection was refused", "latency_ms": null}}),
            json!({"id": 9, "at": null, "result": "uncompared", "reason": "too_large", "kind": null,
                "distance": null, "detail": null, "main": side(json!(200), 30_000.0),
                "challenger": side(json!(200), 1.0)}),
        ];
        let mut table = table();
        pairs.iter().for_each(|pair| table.row(row(pair)));
        assert_eq!(
            table.lines(Style::new(false)),
            [
                "WHEN  RESULT      KIND   DISTANCE  MAIN           CHALLENGER   DETAIL                      ID",
                "-     disagree    label     1.000  200 12.3 ms    200 4.00 ms  dog\\u{a}, not cat           17",
                "-     disagree    auto     1.00e6  200 12.3 ms    failed       the connection was refused  16",
                "-     uncompared  -             -  200 30,000 ms  200 1.00 ms  too large                   9",
            ]
        );
    }

    #[test]
    fn each_detail_in_short_words() {
        for (detail, words) in [
            (json!({"main": "a", "challenger": "a"}), "a"),
            (json!({"main": 1.5, "challenger": 2}), "2.000, not 1.500"),
            (json!({"first": 17}), "from byte 17 on"),
            (json!({"first": null}), ""),
            (json!({"differences": 0, "places": [], "max_abs": 0.1}), ""),
            (
                json!({"differences": 3, "places": ["/a", "/b/0"], "max_abs": 0.1, "max_rel": 1.0}),
                "3 differ: /a /b/0",
            ),
            (
                json!({"max_abs": 0.5, "mean_abs": 0.1, "elements": 9, "mismatch": null}),
                "off by 0.500, mean 0.100",
            ),
            (
                json!({"max_abs": 0.0, "mean_abs": 0.0, "elements": 0, "mismatch": "shape of y"}),
                "shape of y",
            ),
            (
                json!({"similarity": 0.93, "main_chars": 9, "challenger_chars": 8}),
                "similarity 0.930",
            ),
            (json!("unreadable"), "unreadable"),
            (json!(null), ""),
        ] {
            assert_eq!(found(&detail), words, "{detail}");
        }
        let side = |status: u16, ended: &str| json!({"status": status, "ended": ended});
        let of = |main: Value, challenger: Value| {
            super::detail(
                &json!({"detail": null, "reason": null, "main": main, "challenger": challenger}),
            )
        };
        assert_eq!(
            of(side(200, "complete"), side(404, "complete")),
            "404, not 200"
        );
        assert_eq!(
            of(side(200, "complete"), side(200, "timed_out")),
            "timed out"
        );
    }
}
