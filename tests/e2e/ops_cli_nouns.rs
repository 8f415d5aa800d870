//! Each noun and verb on a gateway with three deployments that answer and one that could not be
//! deployed: tables for people, the API's own answer for programs.

use serde_json::{Value, json};

use crate::support::{Admin, Backend, Cli, Gateway, Nowhere, admin::at, version, want};

/// Three that answer and one whose backend is not there.
pub(crate) struct Fleet {
    pub(crate) gateway: Gateway,
    pub(crate) backends: [Backend; 3],
    pub(crate) nowhere: Nowhere,
    /// What the First Key of `demo/iris` is presented as.
    pub(crate) secret: String,
}

/// `demo/broken`, `demo/iris`, `demo/text` and `fraud/score`.
pub(crate) fn fleet() -> Fleet {
    let gateway = Gateway::bare()
        .env("WEIR_DEPLOY_UNREACHABLE_MS", 300)
        .start();
    let backends = ["iris", "text", "score"].map(Backend::says);
    let nowhere = Nowhere::new();
    let api = gateway.api();
    let made = api.create_with(
        "demo/iris",
        &version(&backends[0].url()),
        &json!({"description": "flowers", "tags": ["tabular"]}),
    );
    api.create_with(
        "demo/text",
        &version(&backends[1].url()),
        &json!({"access": "public"}),
    );
    api.create("fraud/score", &version(&backends[2].url()));
    let body = json!({"name": "broken", "version": version(&nowhere.url())});
    let failed = want(201, &api.post("/projects/demo/deployments?wait=15", &body));
    assert_eq!(failed["task"]["status"], "failed", "{failed}");
    Fleet {
        secret: made.secret,
        gateway,
        backends,
        nowhere,
    }
}

/// A table's rows as cells: each column begins where its heading does, two spaces part them, and no
/// line ends with spaces.
#[track_caller]
pub(crate) fn table(text: &str) -> Vec<Vec<String>> {
    let lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
    let head = lines.first().unwrap_or_else(|| panic!("no table: {text}"));
    let parted = |i: usize| i == 0 || (i > 1 && head[i - 2..i] == [' ', ' ']);
    let begins = |i: usize| head[i] != ' ' && parted(i);
    let starts: Vec<usize> = (0..head.len()).filter(|&i| begins(i)).collect();
    let cells = |line: &Vec<char>| {
        assert!(line.last() != Some(&' '), "spaces at a line's end: {text}");
        let cell = |(n, &from): (usize, &usize)| {
            if from > 1 && line.len() > from {
                let parted = line[from - 2..from] == [' ', ' '];
                assert!(parted, "column {n} does not begin at {from}:\n{text}");
            }
            let to = starts.get(n + 1).copied().unwrap_or(usize::MAX);
            let cell = line.iter().take(to).skip(from).collect::<String>();
            cell.trim_end().to_owned()
        };
        starts.iter().enumerate().map(cell).collect()
    };
    lines.iter().map(cells).collect()
}

/// A table as text to compare: cells parted by ` | `, with ages, addresses and ids replaced.
#[track_caller]
pub(crate) fn golden(out: &str) -> String {
    let plain = |cell: &String| match cell.as_str() {
        "" | "—" | "–" => "-".to_owned(),
        "now" | "just now" => "AGE".to_owned(),
        cell if cell.ends_with(" ago") => "AGE".to_owned(),
        cell if cell.contains("127.0.0.1:") => "URL".to_owned(),
        cell => cell.to_owned(),
    };
    let rows = table(out).into_iter();
    let lines = rows.map(|row| row.iter().map(plain).collect::<Vec<_>>().join(" | "));
    lines.collect::<Vec<_>>().join("\n")
}

/// Checks that a command's JSON is what the API answers.
#[track_caller]
pub(crate) fn same(cli: &Cli, line: &str, api: &Admin, path: &str) -> Value {
    let shown = cli.json(line);
    assert_eq!(shown, api.show(path), "weir {line}");
    shown
}

/// The same for a list, all of whose pages are joined.
#[track_caller]
pub(crate) fn same_list(cli: &Cli, line: &str, api: &Admin, path: &str) -> Vec<Value> {
    let shown = cli.json(line);
    let all = api.list(path);
    assert_eq!(shown, json!({"items": all, "next": null}), "weir {line}");
    all
}

#[test]
fn deployments_are_listed() {
    let fleet = fleet();
    let (cli, api) = (fleet.gateway.cli(), fleet.gateway.api());
    let all = cli.ok("deployment list");
    assert_eq!(
        golden(&all),
        "NAME | STATE | VERSION | ACCESS | BACKENDS | AGE\n\
         demo/broken | failed | - | keys | - | AGE\n\
         demo/iris | live | 1 | keys | 1/1 | AGE\n\
         demo/text | live | 1 | public | 1/1 | AGE\n\
         fraud/score | live | 1 | keys | 1/1 | AGE"
    );
    let names = |line: &str| -> Vec<String> {
        let rows = table(&cli.ok(line)).into_iter().skip(1);
        rows.map(|row| row[0].clone()).collect()
    };
    assert_eq!(names("deployment list -p fraud"), ["fraud/score"]);
    assert_eq!(names("deployment list --state failed"), ["demo/broken"]);
    assert_eq!(names("deployment list --tag tabular"), ["demo/iris"]);
    assert_eq!(names("deployment list --search scor"), ["fraud/score"]);
    let wide = cli.ok("deployment list --wide");
    assert!(table(&wide)[0].len() > 6, "{wide}");
    assert!(wide.lines().count() == 5, "{wide}");
    same_list(&cli, "deployment list", &api, "/deployments");
    same_list(
        &cli,
        "deployment list -p demo",
        &api,
        "/projects/demo/deployments",
    );
    let none = cli.run("deployment list --tag nobody-has-this");
    assert_eq!(
        (none.code, none.out.lines().count() <= 1),
        (0, true),
        "{none:?}"
    );
}

#[test]
fn a_list_is_whole_however_many_pages_it_has() {
    let fleet = fleet();
    let (cli, api) = (fleet.gateway.cli(), fleet.gateway.api());
    for n in 0..230 {
        want(
            201,
            &api.post("/projects", &json!({"name": format!("p{n:03}")})),
        );
    }
    let all = same_list(&cli, "project list", &api, "/projects");
    assert!(all.len() >= 232, "{}", all.len());
    let rows = table(&cli.ok("project list"));
    assert_eq!(rows.len(), all.len() + 1, "and a heading");
    for n in [0, 99, 100, 229] {
        let name = format!("p{n:03}");
        assert!(rows.iter().any(|row| row[0] == name), "{name}");
    }
}

#[test]
fn a_deployment_is_shown_with_what_stands_behind_it() {
    let fleet = fleet();
    let (cli, api) = (fleet.gateway.cli(), fleet.gateway.api());
    let shown = cli.ok("deployment info demo/iris --calls none");
    for words in [
        "demo/iris",
        "live",
        "iris_v1",
        "flowers",
        "tabular",
        "model:1",
        "/predict/demo/iris",
        "/stream/demo/iris",
        "available",
        &fleet.backends[0].url(),
    ] {
        assert!(shown.contains(words), "no {words}: {shown}");
    }
    assert!(!shown.contains("curl"), "--calls none: {shown}");
    let failed = cli.ok("deployment info demo/broken --calls none");
    assert!(failed.contains("failed"), "{failed}");
    assert!(failed.contains(&fleet.nowhere.url()), "why: {failed}");
    for name in ["demo/iris", "demo/broken", "fraud/score"] {
        same(&cli, &format!("deployment info {name}"), &api, &at(name));
    }
}

#[test]
fn versions_and_history_are_shown() {
    let fleet = fleet();
    let (cli, api) = (fleet.gateway.cli(), fleet.gateway.api());
    let url = fleet.backends[1].url();
    let ran = cli.run(&format!(
        "deployment deploy demo/iris --backend {url} --notes 'second try'"
    ));
    ran.said(0, &[]);
    let both = format!("{}{}", ran.out, ran.err);
    assert!(both.contains("iris_v2 is live after "), "{ran:?}");
    let versions = cli.ok("deployment versions demo/iris");
    assert_eq!(versions.lines().count(), 3, "{versions}");
    for words in ["iris_v1", "iris_v2", "retired", "success"] {
        assert!(versions.contains(words), "no {words}: {versions}");
    }
    let path = |rest: &str| format!("{}{rest}", at("demo/iris"));
    same_list(
        &cli,
        "deployment versions demo/iris",
        &api,
        &path("/versions"),
    );
    same(
        &cli,
        "deployment versions demo/iris 2",
        &api,
        &path("/versions/2"),
    );
    assert!(
        cli.ok("deployment versions demo/iris 2")
            .contains("second try")
    );
    let second = api.show(&path("/versions/2"));
    assert!(
        second.to_string().contains("model:1"),
        "from the live one: {second}"
    );
    same_list(
        &cli,
        "deployment history demo/iris",
        &api,
        &path("/history"),
    );
    let history = cli.ok("deployment history demo/iris");
    for words in ["create", "deploy", "iris_v2", "ago"] {
        assert!(history.contains(words), "no {words}: {history}");
    }
}

#[test]
fn what_to_do_about_a_failed_one_is_a_line_of_its_own() {
    let fleet = fleet();
    let ran = fleet
        .gateway
        .cli()
        .run("deployment info demo/broken --calls none");
    ran.said(0, &["\nIt answers nothing: "]);
    ran.plain();
}
