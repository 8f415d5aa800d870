//! Every table as text, but for ages, ids, durations and addresses.

use crate::ops_cli_nouns::fleet;

/// Cells parted by ` | `, with what differs from run to run replaced. Where numbers stand to the right,
/// columns do not begin under their headings, so that two spaces are what parts them here.
fn shape(out: &str) -> Vec<String> {
    let cell = |cell: &str| {
        let id = cell.len() >= 20 && cell.bytes().all(|b| b.is_ascii_alphanumeric());
        if id {
            "ID".to_owned()
        } else if cell.ends_with(" ago") {
            "AGE".to_owned()
        } else if cell.contains("127.0.0.1:") {
            "WHERE".to_owned()
        } else if cell.ends_with(" ms") || cell.ends_with(" s") {
            "TOOK".to_owned()
        } else {
            cell.to_owned()
        }
    };
    let line = |line: &str| {
        assert!(!line.ends_with(' '), "spaces at a line's end: {out}");
        let cells = line.split("  ").map(str::trim).filter(|c| !c.is_empty());
        cells.map(cell).collect::<Vec<_>>().join(" | ")
    };
    out.lines().map(line).collect()
}

#[test]
fn each_has_its_columns() {
    let fleet = fleet();
    let cli = fleet.gateway.cli();
    let mut wrong = Vec::new();
    for (line, wanted) in [
        (
            "key list demo/iris",
            &[
                "ID | DESCRIPTION | STATUS | SCOPE | OWNER | AGE | LAST USED | PRIORITY | LIMITS",
                "ID | First Key | live | demo/iris | admin | AGE | never | default | -",
            ][..],
        ),
        (
            "task list",
            &[
                "ID | TASK | STATUS | PHASE | AGE | REASON",
                "ID | deploy of broken_v1 | failed | failed | AGE | WHERE",
                "ID | deploy of score_v1 | done | done | AGE | -",
                "ID | deploy of text_v1 | done | done | AGE | -",
                "ID | deploy of iris_v1 | done | done | AGE | -",
            ],
        ),
        (
            "deployment versions demo/iris",
            &[
                "VERSION | STATUS | MODEL | BACKENDS | CREATED | BY | TOOK | REASON",
                "iris_v1 | success | model:1 | 1 | AGE | admin | TOOK | -",
            ],
        ),
        (
            "deployment history demo/broken",
            &[
                "WHEN | ACTION | OBJECT | STATUS | BY | TOOK | REASON",
                "AGE | deploy | broken_v1 | failed | admin | TOOK | WHERE",
                "AGE | create | broken_v1 | success | admin | - | -",
            ],
        ),
        (
            "project list",
            &[
                "NAME | TENANT | DESCRIPTION | AGE",
                "demo | default | - | AGE",
                "fraud | default | - | AGE",
            ],
        ),
        (
            "tenant list",
            &[
                "NAME | DESCRIPTION | AGE",
                "default | The tenant of whoever names none. | AGE",
            ],
        ),
    ] {
        let shown = shape(&cli.ok(line));
        if shown != wanted {
            wrong.push(format!("weir {line}: {shown:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
