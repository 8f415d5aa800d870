//! Bodies are kept only where that is declared, cut and redacted as declared, and shown only to those
//! who may change the deployment. What is redacted is nowhere: not in the API, not on the disk.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::support::{
    Admin, Backend, Duel, Gateway, Stop, at,
    duel::{NAME, alike, both, challenged, puppets},
    problem,
};

const SECRET: &str = "hunter2-whom-nobody-may-see";
const PLAIN: &str = "what-everybody-may-see";

/// The files below a directory that have these words in them.
fn files_with(dir: &Path, words: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, words));
            continue;
        }
        // One that goes meanwhile has nothing in it.
        let bytes = fs::read(&path).unwrap_or_default();
        if bytes.windows(words.len()).any(|w| w == words.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}

/// Asks for everything that shows pairs, as people and as programs.
fn everything_shown(duel: &Duel, ids: &[u64]) -> String {
    let path = format!("{}/comparison", at(NAME));
    let mut all = String::new();
    for rest in [
        "",
        "/series",
        "/pairs",
        "/pairs?format=ndjson",
        "/pairs?format=csv",
    ] {
        all.push_str(&duel.api.get(&format!("{path}{rest}")).text());
    }
    for id in ids {
        all.push_str(&duel.whole(*id).to_string());
    }
    let cli = duel.gateway.cli();
    for line in [
        "verdict demo/iris",
        "pairs demo/iris",
        "pairs demo/iris --format csv",
    ] {
        all.push_str(&cli.run(&format!("deployment {line}")).out);
    }
    for id in ids {
        all.push_str(&cli.run(&format!("deployment pair demo/iris {id}")).out);
    }
    all.push_str(&duel.gateway.metrics().text);
    all.push_str(&duel.gateway.log());
    all
}

#[test]
fn what_is_redacted_is_nowhere() {
    // Scripts that need not be told in the request what to say.
    let rows = format!(
        "{{\"rows\": [{{\"token\": \"{SECRET}\"}}, {{\"token\": \"{SECRET}\"}}], \
          \"password\": \"{SECRET}\", \"password\": \"x\", \"a/b\": \"{SECRET}\"}}"
    );
    let json = json!({"password": SECRET, "shown": PLAIN}).to_string();
    let said = [
        ("json", json.clone(), "application/json"),
        ("rows", rows, "application/json"),
        ("text", format!("my {SECRET}"), "text/plain"),
        (
            "half",
            format!("{{\"password\": \"{SECRET}\""),
            "application/json",
        ),
        (
            "events",
            format!("data: {{\"password\":\"{SECRET}\"}}\n\n"),
            "text/event-stream",
        ),
        ("pdf", format!("%PDF {SECRET}"), "application/pdf"),
    ];
    let scripted = said.clone();
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        let id = head.get("x-request-id").unwrap_or_default();
        let found = scripted.iter().find(|(name, ..)| *name == id);
        let (_, text, kind) = found.expect("a known request");
        conn.answer(200, &[("content-type", kind)], text.as_bytes())
    });
    let redact = ["/password", "/rows/*/token", "/a~1b"];
    let more =
        json!({"keep_bodies": {"sample": 1.0, "redact": redact}, "compare": {"kind": "json"}});
    let mut duel = Duel::start(&challenged(&backend.url(), &backend.url(), more));
    let pairs = duel.pairs_of(said.iter().map(|(id, ..)| (*id, json.clone())));
    let mut ids = Vec::new();
    for ((id, ..), pair) in said.iter().zip(&pairs) {
        ids.push(pair["id"].as_u64().unwrap());
        let bodies = pair["bodies"].as_object().expect("bodies");
        for (side, body) in bodies {
            let text =
                || -> Value { serde_json::from_str(body["text"].as_str().expect("text")).unwrap() };
            match (side.as_str(), *id) {
                ("request", _) | (_, "json") => {
                    assert_eq!(text(), json!({"password": "***", "shown": PLAIN}), "{pair}");
                    assert_eq!(body["is_redacted"], true, "{pair}");
                }
                (_, "rows") => {
                    let stars = json!({"rows": [{"token": "***"}, {"token": "***"}],
                        "password": "***", "a/b": "***"});
                    assert_eq!(text(), stars, "{pair}");
                }
                _ => assert_eq!(
                    (&body["is_withheld"], &body["text"], &body["base64"]),
                    (&json!(true), &Value::Null, &Value::Null),
                    "{side} of {id}: {pair}"
                ),
            }
        }
    }
    assert!(!everything_shown(&duel, &ids).contains(SECRET));
    let dir = duel.gateway.data_dir();
    assert_eq!(files_with(&dir, SECRET), Vec::<String>::new());
    assert_eq!(
        files_with(&dir, &duel.secret),
        Vec::<String>::new(),
        "nor is the key"
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(dir.join("comparison.db"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o007, 0, "{mode:o}: what is kept is nobody else's");
    }
    // That is no accident of how files are written: what is not redacted is found there.
    assert!(
        !files_with(&dir, PLAIN).is_empty(),
        "bodies are packed: to look for them proves nothing"
    );
    duel.gateway.restart(Stop::Term);
    duel.came_back();
    assert!(!everything_shown(&duel, &ids).contains(SECRET));
    assert_eq!(files_with(&dir, SECRET), Vec::<String>::new());
}

#[test]
fn nothing_is_kept_unless_it_is_declared() {
    let sides = puppets();
    let duel = Duel::of(&sides, json!({}));
    let pair = duel.pair(
        "r",
        &alike(json!({"text": format!("{{\"a\":\"{SECRET}\"}}")})),
    );
    assert_eq!(
        (&pair["has_bodies"], &pair["bodies"]),
        (&json!(false), &Value::Null),
        "{pair}"
    );
    // Of what differs the place is told, and not the value.
    let main = json!({"text": format!("{{\"a\":\"{SECRET}\"}}")});
    let pair = duel.pair("d", &both(main, json!({"text": "{\"a\":1}"})));
    assert_eq!(pair["detail"]["places"], json!(["/a"]), "{pair}");
    let ids: Vec<_> = duel
        .listed("", 2)
        .iter()
        .filter_map(|p| p["id"].as_u64())
        .collect();
    assert!(!everything_shown(&duel, &ids).contains(SECRET));
    assert_eq!(
        files_with(&duel.gateway.data_dir(), SECRET),
        Vec::<String>::new()
    );
}

/// Kept for no time is not kept at all; it is judged all the same.
#[test]
fn what_is_kept_for_no_time_is_not_on_the_disk() {
    let sides = puppets();
    let more = json!({"keep_bodies": {"sample": 1.0}});
    let spec = challenged(&sides.0.url(), &sides.1.url(), more);
    let duel = Duel::on(Gateway::bare().env("WEIR_COMPARISON_KEPT_H", 0), &spec);
    duel.asks(
        20,
        &alike(json!({"text": format!("{{\"a\":\"{SECRET}\"}}")})),
    );
    let shown = duel.saw(20);
    assert_eq!(shown["compared"]["agree"], 20, "{shown}");
    duel.listed("", 0);
    assert_eq!(
        files_with(&duel.gateway.data_dir(), SECRET),
        Vec::<String>::new()
    );
}

#[test]
fn bodies_are_cut_sampled_and_shown_as_what_they_are() {
    let sides = puppets();
    let keep = json!({"sample": 1.0, "bytes_max": 10});
    let duel = Duel::of(&sides, json!({"keep_bodies": keep}));
    // The ninth character is cut in two.
    let text = json!({"type": "text/plain", "text": "123456789\u{e4}xyz"});
    let bytes = json!({"type": "image/png", "bytes": [0, 255, 1]});
    let pair = duel.pair("cut", &both(text.clone(), text));
    let main = &pair["bodies"]["main"];
    assert_eq!(
        (&main["text"], &main["is_cut"]),
        (&json!("123456789"), &json!(true)),
        "{pair}"
    );
    assert_eq!(pair["bodies"]["request"]["is_cut"], true, "{pair}");
    // Kept is less than compared: what was cut off was looked at all the same.
    assert_eq!(pair["result"], "agree", "{pair}");
    let pair = duel.pair("bytes", &alike(bytes));
    let main = &pair["bodies"]["main"];
    assert_eq!(
        (&main["base64"], &main["text"]),
        (&json!("AP8B"), &Value::Null),
        "{pair}"
    );

    let spec = challenged(
        &sides.0.url(),
        &sides.1.url(),
        json!({"keep_bodies": {"sample": 0.25}}),
    );
    duel.api.deploy(NAME, &spec);
    duel.asks(200, &alike(json!({})));
    let pairs = duel.listed("version=2&limit=1000", 200);
    let kept = pairs
        .iter()
        .filter(|pair| pair["has_bodies"] == true)
        .count();
    // Six standard deviations.
    assert!((13..=87).contains(&kept), "{kept} of 200");
}

#[test]
fn bodies_are_for_those_who_may_change_the_deployment() {
    let sides = puppets();
    let duel = Duel::of(&sides, json!({"keep_bodies": {"sample": 1.0}}));
    let pair = duel.pair(
        "r",
        &alike(json!({"text": format!("{{\"a\":\"{PLAIN}\"}}")})),
    );
    assert!(
        pair["bodies"]["main"]["text"]
            .as_str()
            .is_some_and(|t| t.contains(PLAIN))
    );
    let path = format!("{}/comparison/pairs/{}", at(NAME), pair["id"]);
    let person = |role: &str, project: &str| -> Admin {
        let (_, secret) = duel
            .api
            .token(&json!({"name": format!("{role}-{project}"), "role": role,
            "projects": [project], "description": ""}));
        duel.api.with_token(&secret)
    };
    duel.api.project("other");
    let viewer = person("viewer", "demo");
    let shown = viewer.show(&path);
    assert_eq!(
        (&shown["bodies"], &shown["has_bodies"]),
        (&Value::Null, &json!(true)),
        "{shown}"
    );
    assert!(!shown.to_string().contains(PLAIN), "{shown}");
    assert!(viewer.show(&format!("{}/comparison", at(NAME)))["pairs"] == 1);
    for rest in ["", "/series", "/pairs", "/pairs?format=csv", "/pairs/1"] {
        let path = format!("{}/comparison{rest}", at(NAME));
        problem(&[401], &duel.api.nobody().get(&path));
        problem(&[403, 404], &person("viewer", "other").get(&path));
    }
    // By its number it can't be had from another deployment.
    duel.api.create(
        "demo/other",
        &challenged(&sides.0.url(), &sides.1.url(), json!({})),
    );
    let from_other = format!("{}/comparison/pairs/{}", at("demo/other"), pair["id"]);
    assert_eq!(problem(&[404], &duel.api.get(&from_other)), "pair_unknown");
    let unknown = duel
        .api
        .get(&format!("{}/comparison/pairs/999999", at(NAME)));
    assert_eq!(problem(&[404], &unknown), "pair_unknown");
}
