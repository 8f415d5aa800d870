//! What `config/prometheus` and `config/grafana` name is there: every metric and every label, against
//! the one table of metrics; and Prometheus' own tool takes the files and finds each alert to fire.
//!
//! ```text
//! rules.yml, rules_test.yml, weir.json ──▶ expressions ──▶ names, labels ──▶ the table
//!                                                └──▶ promtool, where it is installed
//! ```
#![allow(
    clippy::panic,
    reason = "a failed test is what panic is for, in helpers too"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use serde_json::Value;
use weir::telemetry::{
    series,
    table::{self, Kind},
};

/// Labels that Prometheus adds to each series that it scrapes.
const OF_SCRAPES: [&str; 2] = ["job", "instance"];

/// Each name that a series can have, with its labels.
static KNOWN: LazyLock<BTreeMap<String, BTreeSet<String>>> = LazyLock::new(known);

fn known() -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::new();
    let mut add = |name: String, labels: &[&str]| {
        let labels = labels.iter().chain(&OF_SCRAPES);
        all.insert(name, labels.map(|label| (*label).to_owned()).collect());
    };
    for metric in table::ALL {
        if metric.kind == Kind::Histogram {
            add(
                format!("{}_bucket", metric.name),
                &[metric.labels, &["le"]].concat(),
            );
            add(format!("{}_sum", metric.name), metric.labels);
            add(format!("{}_count", metric.name), metric.labels);
        } else {
            add(metric.name.to_owned(), metric.labels);
        }
    }
    // What the process says of itself is another crate's to name.
    let handle = series::install(60_000).expect("the one recorder of this process");
    let process = metrics_process::Collector::default();
    process.describe();
    process.collect();
    for line in handle
        .render()
        .lines()
        .filter(|line| line.starts_with("process_"))
    {
        let name = line.split([' ', '{']).next().expect("a name");
        add(name.to_owned(), &[]);
    }
    add("up".to_owned(), &[]);
    add("ALERTS".to_owned(), &["alertname", "alertstate"]);
    all
}

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("config")
        .join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

// === expressions ===

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Holds each metric of an expression, its matchers, and each label it is grouped by against the
/// table; answers the labels that its result may have.
#[track_caller]
fn check(expression: &str) -> BTreeSet<String> {
    let mut labels: BTreeSet<String> = BTreeSet::new();
    let mut grouped: Vec<String> = Vec::new();
    let mut found = 0;
    let mut rest = expression;
    while let Some(at) = rest.find(|c: char| is_word(c) || c == '"') {
        rest = &rest[at..];
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted.split_once('"').expect(expression).1;
            continue;
        }
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        rest = behind;
        if let Some(own) = KNOWN.get(word) {
            found += 1;
            labels.extend(own.iter().cloned());
            if let Some(inside) = rest.strip_prefix('{') {
                let (matchers, behind) = inside.split_once('}').expect(expression);
                rest = behind;
                for label in names_of(matchers) {
                    assert!(
                        own.contains(&label),
                        "{word} has no label {label}: {expression}"
                    );
                }
            }
        } else if matches!(word, "by" | "without" | "on" | "ignoring") {
            let inside = rest.trim_start().strip_prefix('(').expect(expression);
            let (list, behind) = inside.split_once(')').expect(expression);
            grouped.extend(list.split(',').map(|label| label.trim().to_owned()));
            rest = behind;
        } else {
            let names_a_metric = ["weir_", "process_"]
                .iter()
                .any(|own| word.starts_with(own));
            assert!(!names_a_metric, "there is no metric {word}: {expression}");
        }
    }
    assert!(found > 0, "no metric in {expression}");
    for label in &grouped {
        assert!(
            labels.contains(label),
            "no metric has the label {label}: {expression}"
        );
    }
    match grouped.is_empty() {
        true => labels,
        false => grouped.into_iter().collect(),
    }
}

/// The labels of matchers; their values stand in quotes and may hold anything but those.
fn names_of(matchers: &str) -> Vec<String> {
    let outside = matchers.split('"').step_by(2);
    outside
        .map(|part| part.trim_matches(|c: char| !is_word(c)).to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

/// The labels that a template shows: `{{ $labels.a }}` in alerts, `{{a}}` in legends.
fn shown(template: &str) -> BTreeSet<String> {
    let inside = template
        .split("{{")
        .skip(1)
        .filter_map(|part| part.split("}}").next());
    let labels = inside
        .map(str::trim)
        .filter(|inside| !inside.starts_with("$value"));
    labels
        .map(|label| label.trim_start_matches("$labels.").to_owned())
        .collect()
}

/// The alerts of a rules file: name, expression, and the whole of it.
fn alerts(rules: &str) -> Vec<(String, String, String)> {
    let blocks = rules.split("- alert: ").skip(1);
    blocks
        .map(|block| {
            let name = block.lines().next().expect("a name").to_owned();
            let (_, behind) = block.split_once("expr: ").expect("an expression");
            let expression = match behind.strip_prefix("|\n") {
                Some(lines) => lines
                    .lines()
                    .take_while(|line| line.starts_with("          "))
                    .collect::<Vec<_>>()
                    .join("\n"),
                None => behind.lines().next().expect("a line").to_owned(),
            };
            (name, expression, block.to_owned())
        })
        .collect()
}

#[test]
fn what_alerts_name_is_there() {
    let tried = text("prometheus/rules_test.yml");
    let alerts = alerts(&text("prometheus/rules.yml"));
    assert!(alerts.len() > 10, "{}", alerts.len());
    for (name, expression, block) in alerts {
        let labels = check(&expression);
        for label in shown(&block) {
            assert!(
                labels.contains(&label),
                "{name} shows {label}, which it has not"
            );
        }
        for part in ["severity: ", "summary: ", "description: ", "runbook: "] {
            assert!(block.contains(part), "{name} has no {part}");
        }
        let fires = format!("alertname=\"{name}\"");
        assert!(tried.contains(&fires), "{name} is never seen to fire");
    }
    let series = tried.lines().filter_map(|line| {
        let line = line.trim_start().strip_prefix("- series: '")?;
        line.strip_suffix('\'')
    });
    assert!(series.map(check).count() > 50);
}

// === the dashboard ===

fn dashboard() -> Value {
    serde_json::from_str(&text("grafana/weir.json")).expect("JSON")
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn word<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name} in {value}"))
}

#[test]
fn what_the_dashboard_shows_is_there() {
    let dashboard = dashboard();
    let mut count = 0;
    for panel in list(&dashboard, "panels") {
        for target in list(panel, "targets") {
            let expression = word(target, "expr");
            let labels = check(expression);
            for label in shown(word(target, "legendFormat")) {
                assert!(labels.contains(&label), "{label} of {expression}");
            }
            // What knows deployments goes by the variables.
            let metrics = KNOWN
                .keys()
                .filter(|name| expression.contains(name.as_str()));
            let of_deployments = metrics
                .filter(|name| KNOWN[*name].contains("deployment"))
                .count();
            for variable in ["$project", "$deployment"] {
                let is_used = expression.contains(variable);
                assert_eq!(is_used, of_deployments > 0, "{variable} in {expression}");
            }
            count += 1;
        }
    }
    assert!(count > 30, "{count}");
}

#[test]
fn the_dashboard_can_be_imported() {
    let dashboard = dashboard();
    assert!(
        dashboard["schemaVersion"]
            .as_u64()
            .is_some_and(|own| (36..=41).contains(&own))
    );
    assert!(dashboard["id"].is_null(), "an id is given at the import");
    let variables = list(&dashboard["templating"], "list");
    let names: Vec<_> = variables.iter().map(|own| word(own, "name")).collect();
    assert_eq!(names, ["datasource", "project", "deployment"]);
    for variable in &variables[1..] {
        let query = word(&variable["query"], "query");
        let inside = query
            .strip_prefix("label_values(")
            .and_then(|own| own.strip_suffix(')'));
        let (metric, label) = inside.and_then(|own| own.rsplit_once(", ")).expect(query);
        assert_eq!(label, word(variable, "name"));
        assert!(check(metric).contains(label), "{query}");
    }
    let panels = list(&dashboard, "panels");
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{panel}");
        let [x, y, w, h] =
            ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().expect("a position"));
        assert!(w > 0 && h > 0 && x + w <= 24, "{panel}");
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(
                taken.insert(place),
                "{} lies over another one",
                word(panel, "title")
            );
        }
        let targets = list(panel, "targets");
        assert_eq!(targets.is_empty(), panel["type"] == "row", "{panel}");
        let refs: BTreeSet<_> = targets.iter().map(|target| word(target, "refId")).collect();
        assert_eq!(refs.len(), targets.len(), "{panel}");
        for part in targets
            .iter()
            .chain([panel])
            .filter(|part| part["type"] != "row")
        {
            assert_eq!(part["datasource"]["uid"], "${datasource}", "{part}");
        }
    }
}

// === promtool ===

/// Runs the tool, where there is one.
fn promtool(arguments: &[&str], path: &Path) {
    let run = Command::new("promtool").args(arguments).arg(path).output();
    let output = match run {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("promtool is not installed: skipped");
            return;
        }
        Err(error) => panic!("promtool: {error}"),
    };
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "promtool {arguments:?}:\n{said}");
}

#[test]
fn promtool_takes_the_configuration_with_its_rules() {
    promtool(&["check", "config"], &file("prometheus/prometheus.yml"));
}

#[test]
fn promtool_sees_each_alert_fire_when_it_should() {
    promtool(&["test", "rules"], &file("prometheus/rules_test.yml"));
}

#[test]
fn promtool_takes_what_the_dashboard_asks() {
    let mut rules = "groups: [{name: dashboard, rules: [\n".to_owned();
    let dashboard = dashboard();
    let targets = list(&dashboard, "panels").iter();
    for (i, target) in targets.flat_map(|panel| list(panel, "targets")).enumerate() {
        let expression = word(target, "expr").replace("$__rate_interval", "5m");
        let expression = Value::from(expression);
        // JSON is YAML.
        rules += &format!("{{record: 'panel:{i}', expr: {expression}}},\n");
    }
    rules += "]}]\n";
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("dashboard.yml");
    fs::write(&path, rules).expect("written");
    promtool(&["check", "rules"], &path);
}
