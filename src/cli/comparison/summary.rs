//! All of a comparison, as lines.

use serde_json::Value;

use super::{
    chart::chart,
    kinds::lines as of_kinds,
    standing::{Bound, Estimate},
    tables::{latencies, left_out},
    words::{count, figure, percent, state, surely},
};
use crate::cli::{
    remote::{text, texts},
    terminal::{Style, Table, ago, counted, grouped, pairs, safe, spark},
};

/// Points of the curve over time.
pub(super) const POINTS: usize = 60;

/// The lines of `.../comparison`, and of `.../comparison/series` where it is known.
pub(super) fn lines(comparison: &Value, series: &Value, style: Style) -> Vec<String> {
    let mut lines = vec![heading(comparison, style)];
    let reasons = texts(&comparison["verdict"], "reasons");
    lines.extend(reasons.iter().map(|reason| format!("  {}", safe(reason))));
    lines.push(String::new());
    lines.extend(pairs(&known(comparison), style));
    lines.push(String::new());
    lines.extend(limits(comparison, style));
    let curves = curves(series, style);
    if !curves.is_empty() {
        lines.push(String::new());
        lines.extend(curves);
    }
    let latencies = latencies(comparison, style);
    if !latencies.is_empty() {
        lines.push(String::new());
        lines.extend(latencies);
    }
    lines.extend(left_out(comparison, style));
    lines.extend(of_kinds(&comparison["kinds"], style));
    lines
}

fn heading(comparison: &Value, style: Style) -> String {
    let own = text(comparison, "deployment");
    let name = format!("{}/{own}", text(comparison, "project"));
    let version = match comparison["version"].as_u64() {
        Some(version) => format!("  {}_v{version}", safe(&own)),
        None => String::new(),
    };
    let verdict = &comparison["verdict"];
    let since = match &verdict["since"] {
        Value::Null => String::new(),
        since => style.dim(&format!(", since {}", ago(since))),
    };
    let state = state(&text(verdict, "state"), style);
    format!("{}{version}  {state}{since}", style.bold(&safe(&name)))
}

fn known(comparison: &Value) -> [(&'static str, String); 7] {
    let verdict = &comparison["verdict"];
    let challenger = &comparison["challenger"];
    let compared = &comparison["compared"];
    let uncompared = compared["uncompared"].as_object().into_iter().flatten();
    let uncompared: usize = uncompared.map(|(_, own)| count(own)).sum();
    let seen = format!(
        "{}: {} agree, {} disagree, {} not compared",
        counted(count(&comparison["pairs"]), "pair"),
        grouped(count(&compared["agree"])),
        grouped(count(&compared["disagree"])),
        grouped(uncompared),
    );
    let times = match &comparison["first_pair_at"] {
        Value::Null => String::new(),
        first => format!(
            "first {}, last {}",
            ago(first),
            ago(&comparison["last_pair_at"])
        ),
    };
    let errors = &comparison["errors"];
    let errors = match count(&errors["n"]) {
        0 => String::new(),
        n => format!(
            "{} of main, {} of the challenger, in {}",
            grouped(count(&errors["main"])),
            grouped(count(&errors["challenger"])),
            counted(n, "pair")
        ),
    };
    [
        ("challenger", texts_of(&challenger["backends"])),
        ("copied", copied(comparison)),
        ("seen", seen),
        ("when", times),
        ("errors", errors),
        ("by itself", deeds(comparison)),
        ("sure", sureness(&verdict["limits"])),
    ]
}

/// How much of the requests is copied; or why nothing is, and how that ends.
fn copied(comparison: &Value) -> String {
    let stopped = &comparison["stopped"];
    if comparison["challenger"].is_null() {
        "no more: this version was deleted, or has no challenger".to_owned()
    } else if comparison["is_live"] == false {
        "no more: this version is not live".to_owned()
    } else if !stopped.is_null() {
        let since = ago(&stopped["at"]);
        format!("no more: stopped {since}; deploy it again to begin anew (deploy --challenger URL)")
    } else if comparison["is_stopped"] == true {
        "no more: the challenger is stopped".to_owned()
    } else {
        let share = comparison["share"].as_f64();
        let declared = comparison["challenger"]["sample"].as_f64();
        share.map_or_else(String::new, |share| {
            let less = declared.filter(|declared| share < declared * 0.999);
            let less = less.map(|declared| {
                format!(
                    ", less than the sample of {}: its budget",
                    percent(declared)
                )
            });
            format!("{} of requests{}", percent(share), less.unwrap_or_default())
        })
    }
}

/// What weir does by itself, and has done: each once for a version.
fn deeds(comparison: &Value) -> String {
    let verdict = &comparison["verdict"];
    let on = |member: &str| verdict[member] == true;
    let mut deeds = Vec::new();
    match &verdict["auto_promoted_at"] {
        Value::Null if on("auto_promote") => {
            deeds.push("promotes it once it is cleared".to_owned());
        }
        Value::Null => {}
        at => deeds.push(format!("took on to promote it {}", ago(at))),
    }
    match &comparison["stopped"]["at"] {
        Value::Null if on("auto_stop") => deeds.push("stops it once it is surely worse".to_owned()),
        Value::Null => {}
        at => deeds.push(format!("stopped it {}", ago(at))),
    }
    deeds.join(", ")
}

fn texts_of(urls: &Value) -> String {
    let urls = urls.as_array().into_iter().flatten();
    let urls: Vec<&str> = urls.filter_map(Value::as_str).collect();
    urls.join(", ")
}

/// How sure the intervals are, and from when on they are enough.
fn sureness(limits: &Value) -> String {
    let Some(alpha) = limits["alpha"].as_f64() else {
        return String::new();
    };
    let sure = percent(1.0 - alpha);
    let least = counted(count(&limits["min_pairs"]), "pair");
    format!("{sure} for all limits at once, at any time; promote from {least} on")
}

/// The limits that are judged: figures, and a chart beside them.
fn limits(comparison: &Value, style: Style) -> Vec<String> {
    let latency = &comparison["latency"];
    let rows = [
        ("agreement", &comparison["agreement"], Bound::AtLeast),
        (
            "error increase",
            &comparison["errors"]["increase"],
            Bound::AtMost,
        ),
        ("latency p50", &latency["p50"]["ratio"], Bound::AtMost),
        ("latency p99", &latency["p99"]["ratio"], Bound::AtMost),
    ];
    let heads = ["ESTIMATE", "VALUE", "SURELY", "LIMIT"];
    let mut table = Table::new(&heads).right(1).right(3);
    let mut charts = vec![String::new()];
    for (name, shown, bound) in rows {
        let estimate = Estimate::of(shown);
        let limit = estimate.and_then(|own| own.limit);
        let side = match bound {
            Bound::AtLeast => "min",
            Bound::AtMost => "max",
        };
        table.row(vec![
            name.to_owned(),
            estimate
                .and_then(|own| own.value)
                .map_or_else(String::new, figure),
            estimate.as_ref().map_or_else(String::new, surely),
            limit.map_or_else(String::new, |limit| format!("{side} {limit}")),
        ]);
        charts.push(estimate.map_or_else(String::new, |estimate| {
            let drawn = chart(&estimate, bound);
            match estimate.standing(bound) {
                Some(standing) => standing.painted(&drawn, style),
                None => style.dim(&drawn),
            }
        }));
    }
    let lines = table.lines(style).into_iter().zip(charts);
    let lines = lines.map(|(line, chart)| match chart.is_empty() {
        true => line,
        false => format!("{line}  {chart}"),
    });
    lines.collect()
}

/// Agreement over time, and what it surely was at least.
fn curves(series: &Value, style: Style) -> Vec<String> {
    let points: Vec<&Value> = series["points"].as_array().into_iter().flatten().collect();
    let of = |member: &str| -> Vec<Option<f64>> {
        let values = points
            .iter()
            .map(|point| point["agreement"][member].as_f64());
        values.collect()
    };
    let (values, lows) = (of("value"), of("low"));
    let Some(first) = points
        .first()
        .filter(|_| values.iter().any(Option::is_some))
    else {
        return Vec::new();
    };
    let mut lines = vec![style.bold(&format!("OVER TIME, FROM {}", ago(&first["at"])))];
    for (name, values) in [("agreement", values), ("at least", lows)] {
        let known = values.iter().flatten().copied();
        let least = known.clone().fold(f64::INFINITY, f64::min);
        let most = known.fold(f64::NEG_INFINITY, f64::max);
        if least > most {
            continue;
        }
        // From the least on: all of them are near 1, and nobody would see anything move.
        let above: Vec<_> = values
            .iter()
            .map(|own| own.map(|own| own - least))
            .collect();
        let range = style.dim(&format!("{} to {}", figure(least), figure(most)));
        lines.push(format!("{name:<11}{}  {range}", spark(&above)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use unicode_width::UnicodeWidthStr;

    use super::*;

    fn comparison() -> Value {
        let estimate = |value: f64, low: f64, high: Value, limit: Value| json!({"n": 300, "value": value, "low": low, "high": high, "limit": limit});
        let ratio = |main: f64, challenger: f64, ratio: Value| json!({"main_ms": main, "challenger_ms": challenger, "ratio": ratio});
        json!({"project": "demo", "deployment": "iris", "version": 3,
            "challenger": {"backends": ["http://c:9001"], "sample": 1.0},
            "is_live": true, "is_stopped": false, "stopped": null, "share": 0.5,
            "verdict": {"state": "hold", "since": null, "auto_promote": false, "auto_stop": true,
                "reasons": ["agreement is 0.91 to 0.983, not yet surely 0.95 or more", "a\x1bb"],
                "limits": {"min_agreement": 0.95, "max_error_increase": 0.02, "alpha": 0.05,
                    "max_latency_ratio_p50": 1.5, "max_latency_ratio_p99": 0, "min_pairs": 100}},
            "pairs": 1_300,
            "agreement": estimate(0.967, 0.91, json!(0.983), json!(0.95)),
            "errors": {"n": 1_300, "main": 3, "challenger": 9,
                "increase": estimate(0.0046, -0.004, json!(0.0142), json!(0.02))},
            "latency": {"p50": ratio(2.0, 4.0, estimate(2.0, 1.9, json!(2.1), json!(1.5))),
                "p99": ratio(20.0, 2_100.0, estimate(105.0, 0.0, json!(null), json!(null)))},
            "first_byte": null,
            "compared": {"agree": 1_250, "disagree": 40, "uncompared": {"main_failed": 10}},
            "skipped": {"not_sampled": 1_290},
            "kinds": {"tensor": {"max_abs": 0.5, "mean_abs": 0.25}},
            "first_pair_at": null, "last_pair_at": null})
    }

    #[test]
    fn all_of_it_on_80_columns() {
        let point = |value: Value, low: f64| json!({"at": null, "pairs": 1, "agreement": {"value": value, "low": low, "high": 1.0}});
        let series = json!({"points": [point(json!(null), 0.0), point(json!(0.9), 0.5), point(json!(0.96), 0.91)]});
        let shown = lines(&comparison(), &series, Style::new(false));
        assert_eq!(
            shown,
            [
                "demo/iris  iris_v3  hold",
                "  agreement is 0.91 to 0.983, not yet surely 0.95 or more",
                "  a\\u{1b}b",
                "",
                "challenger:  http://c:9001",
                "copied:      50 % of requests, less than the sample of 100 %: its budget",
                "seen:        1,300 pairs: 1,250 agree, 40 disagree, 10 not compared",
                "errors:      3 of main, 9 of the challenger, in 1,300 pairs",
                "by itself:   stops it once it is surely worse",
                "sure:        95 % for all limits at once, at any time; promote from 100 pairs on",
                "",
                "ESTIMATE          VALUE  SURELY                LIMIT",
                "agreement         0.967  0.910 to 0.983     min 0.95   ├─────────┼────●───┤",
                "error increase  0.00460  -0.00400 to 0.014  max 0.02   ├──────●──────┤    │",
                "latency p50       2.000  1.900 to 2.100      max 1.5   │            ├──●──┤",
                "latency p99      105.00  0.000 or more             -   ├──────────────────●▶",
                "",
                "OVER TIME, FROM -",
                "agreement   ▁█  0.900 to 0.960",
                "at least   ▁▅█  0.000 to 0.910",
                "",
                "MILLISECONDS  P50 MAIN  CHALLENGER  P99 MAIN  CHALLENGER",
                "latency           2.00        4.00      20.0       2,100",
                "",
                "LEFT OUT      BECAUSE      REQUESTS    SHARE",
                "not copied    not sampled     1,290  49.81 %",
                "not compared  main failed        10   0.39 %",
                "What is left out by other than chance may differ from what is compared.",
                "",
                "TENSOR",
                "mean error 0.250, largest 0.500",
            ]
        );
        let wide = shown.iter().find(|line| line.width() > 80);
        assert_eq!(wide, None);
    }

    #[test]
    fn states_and_charts_are_coloured_and_nothing_else_changes() {
        let plain = lines(&comparison(), &Value::Null, Style::new(false));
        let coloured = lines(&comparison(), &Value::Null, Style::new(true));
        assert!(coloured[0].contains("\x1b[33mhold\x1b[0m"), "{coloured:?}");
        assert!(coloured[12].contains("\x1b[33m ├"), "{coloured:?}");
        assert!(coloured[13].contains("\x1b[32m ├"), "{coloured:?}");
        assert!(coloured[14].contains("\x1b[31m │"), "{coloured:?}");
        let bare = coloured.iter().map(|line| {
            let mut bare = line.clone();
            for code in ["0", "1", "2", "31", "32", "33"] {
                bare = bare.replace(&format!("\x1b[{code}m"), "");
            }
            bare
        });
        assert_eq!(bare.collect::<Vec<_>>(), plain);
    }

    #[test]
    fn before_the_first_pair_nothing_is_made_up() {
        let nothing = json!({"n": 0, "value": null, "low": 0.0, "high": 1.0, "limit": 0.95});
        let mut fresh = comparison();
        fresh["pairs"] = json!(0);
        fresh["agreement"] = nothing;
        fresh["errors"] = json!({"n": 0, "main": 0, "challenger": 0, "increase":
            {"n": 0, "value": null, "low": -1.0, "high": 1.0, "limit": 0.02}});
        fresh["latency"] = json!({"p50": {"main_ms": null, "challenger_ms": null, "ratio":
            {"n": 0, "value": null, "low": 0.0, "high": null, "limit": 1.5}}});
        fresh["skipped"] = json!({});
        fresh["compared"] = json!({"agree": 0, "disagree": 0, "uncompared": {}});
        fresh["kinds"] = json!({});
        let shown = lines(&fresh, &json!({"points": []}), Style::new(false));
        let text = shown.join("\n");
        assert!(text.contains("0 pairs: 0 agree"), "{text}");
        assert!(
            text.contains("\nagreement           -  0.000 to 1.000"),
            "{text}"
        );
        assert!(text.contains("\nlatency p99         -  -"), "{text}");
        for none in [
            "NaN",
            "inf",
            "errors:",
            "MILLISECONDS",
            "LEFT OUT",
            "OVER TIME",
            "●",
        ] {
            assert!(!text.contains(none), "{none}: {text}");
        }
    }

    #[test]
    fn what_is_copied_no_more_is_said_and_how_that_ends() {
        let mut shown = comparison();
        shown["is_stopped"] = json!(true);
        assert_eq!(copied(&shown), "no more: the challenger is stopped");
        assert_eq!(deeds(&shown), "stops it once it is surely worse");
        shown["stopped"] = json!({"at": "1970-01-01T00:00:00Z", "reason": "it was worse"});
        shown["verdict"]["auto_promote"] = json!(true);
        let since = ago(&shown["stopped"]["at"]);
        let words = format!(
            "no more: stopped {since}; deploy it again to begin anew (deploy --challenger URL)"
        );
        assert_eq!(copied(&shown), words);
        let words = format!("promotes it once it is cleared, stopped it {since}");
        assert_eq!(deeds(&shown), words);
        shown["verdict"]["auto_promoted_at"] = shown["stopped"]["at"].take();
        let words = format!("took on to promote it {since}, stops it once it is surely worse");
        assert_eq!(deeds(&shown), words);
        shown["is_live"] = json!(false);
        assert_eq!(copied(&shown), "no more: this version is not live");
        shown["challenger"] = Value::Null;
        assert_eq!(
            copied(&shown),
            "no more: this version was deleted, or has no challenger"
        );
    }
}
