//! What `weir deployment info` offers to paste works as it stands: each block is cut out and run.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::json;

use crate::support::{
    Backend, Cli, Gateway, Next, PATIENCE, admin::at, client::chunk, eventually, later, want,
};

const LANGUAGES: [(&str, &str); 3] = [
    ("curl", "cURL"),
    ("python", "Python"),
    ("javascript", "JavaScript"),
];
const KINDS: [&str; 3] = ["predict", "stream", "async"];

/// A model that answers predict requests with `setosa` and streams `ver`, `si`, `color`.
fn model() -> Backend {
    Backend::start(|conn, head| {
        conn.body(head);
        if head.target().starts_with("/stream") {
            conn.start_chunked();
            for piece in ["ver", "si", "color"] {
                let _ = conn.write(chunk(format!("data: {{\"token\": \"{piece}\"}}\n\n")));
            }
            let _ = conn.write(b"0\r\n\r\n");
            return Next::Keep;
        }
        let headers = [("content-type", "application/json")];
        conn.answer(200, &headers, br#"{"class": "setosa"}"#)
    })
}

/// The block under `# cURL: predict` and its like, up to the next heading.
#[track_caller]
fn block(out: &str, language: &str, kind: &str) -> String {
    let heading = |line: &str| -> Option<(String, String)> {
        let line = line.trim_start_matches('#').trim_start_matches("//").trim();
        let (language, kind) = line.split_once(": ")?;
        let known = LANGUAGES.iter().any(|(_, name)| *name == language) && KINDS.contains(&kind);
        known.then(|| (language.to_owned(), kind.to_owned()))
    };
    let wanted = Some((language.to_owned(), kind.to_owned()));
    let mut lines = out.lines().skip_while(|line| heading(line) != wanted);
    lines
        .next()
        .unwrap_or_else(|| panic!("no {language}: {kind}:\n{out}"));
    let lines = lines.take_while(|line| heading(line).is_none());
    lines.map(|line| format!("{line}\n")).collect()
}

/// Runs a block as its language runs it; `None` when the language is not here.
fn run(cli: &Cli, language: &str, text: &str, key: &str) -> Option<Output> {
    let (program, name) = match language {
        "cURL" => ("sh", "call.sh"),
        "Python" => ("python3", "call.py"),
        _ => ("node", "call.mjs"),
    };
    let needed = if language == "cURL" { "curl" } else { program };
    let there = Command::new(needed).arg("--version").output();
    if !there.is_ok_and(|ran| ran.status.success()) {
        eprintln!("{needed} is not here, so its calls are not tried");
        return None;
    }
    let file = cli.file(name, text);
    let mut command = Command::new("timeout");
    command
        .arg("60")
        .arg(program)
        .arg(file)
        .current_dir(cli.home())
        .env("WEIR_API_KEY", key)
        .env_remove("http_proxy")
        .env_remove("HTTP_PROXY")
        .stdin(Stdio::null());
    Some(command.output().unwrap())
}

#[test]
fn each_call_runs_verbatim_and_prints_the_answer() {
    let model = model();
    let gateway = later::impatient(Gateway::bare()).start();
    let (cli, api) = (gateway.cli(), gateway.api());
    let example =
        json!({"instances": [[5.1, 3.5, 1.4, 0.2]], "note": "it's \"quoted\" $HOME `x` \\ é"});
    let spec = json!({"model": "iris:1", "main": {"backends": [{"url": model.url()}]},
        "input_example": example, "output_example": {"class": "setosa"}});
    let made = api.create("demo/iris", &spec);
    for (option, language) in LANGUAGES {
        let out = cli.ok(&format!("deployment info demo/iris --calls {option}"));
        assert!(
            !out.contains(&made.secret) && out.contains("WEIR_API_KEY"),
            "{out}"
        );
        for (_, other) in LANGUAGES.iter().filter(|(o, _)| *o != option) {
            assert!(
                !out.contains(&format!("{other}: ")),
                "only {option}:\n{out}"
            );
        }
        for kind in KINDS {
            let text = block(&out, language, kind);
            let before = model.count();
            let Some(ran) = run(&cli, language, &text, &made.secret) else {
                continue;
            };
            let printed = String::from_utf8_lossy(&ran.stdout);
            assert!(ran.status.success(), "{language} {kind}: {ran:?}\n{text}");
            let answer: &[&str] = match kind {
                "stream" => &["ver", "si", "color"],
                _ => &["setosa"],
            };
            for word in answer {
                assert!(printed.contains(word), "{language} {kind}: {ran:?}\n{text}");
            }
            let got = model.received();
            assert_eq!(got.len(), before + 1, "{language} {kind}: one call");
            let got = got.last().unwrap();
            let path = if kind == "stream" {
                "/stream"
            } else {
                "/predict"
            };
            assert_eq!(got.head.target(), path, "{language} {kind}");
            assert_eq!(
                got.head.has("x-async-attempt"),
                kind == "async",
                "{language} {kind}"
            );
            let sent = got.body.as_ref().expect("a body");
            let sent: serde_json::Value = serde_json::from_slice(&sent.bytes).expect("JSON");
            assert_eq!(sent, example, "{language} {kind}");
            let refused =
                run(&cli, language, &text, "wk_wrong_0123456789abcdefghijklmnop").unwrap();
            assert!(
                !refused.status.success(),
                "{language} {kind}: {refused:?}\n{text}"
            );
        }
    }
    let requests = api.list(&format!("{}/async", at("demo/iris")));
    assert!(
        requests.iter().all(|r| r["status"] == "completed"),
        "{requests:?}"
    );
}

#[test]
fn all_of_them_are_shown_unless_told_otherwise() {
    let model = model();
    let gateway = Gateway::bare().start();
    let cli = gateway.cli();
    let spec = json!({"main": {"backends": [{"url": model.url()}]}});
    let made = gateway.api().create("demo/iris", &spec);
    let all = cli.ok("deployment info demo/iris");
    assert_eq!(all, cli.ok("deployment info demo/iris --calls all"));
    for (option, language) in LANGUAGES {
        let alone = cli.ok(&format!("deployment info demo/iris --calls {option}"));
        for kind in KINDS {
            let text = block(&all, language, kind);
            assert_eq!(text.trim(), block(&alone, language, kind).trim());
            assert!(text.contains("demo/iris"), "{text}");
        }
        // Without an example there is a body all the same.
        if let Some(ran) = run(
            &cli,
            language,
            &block(&all, language, "predict"),
            &made.secret,
        ) {
            assert!(ran.status.success(), "{ran:?}");
        }
    }
    assert_eq!(cli.run("deployment info demo/iris --calls cobol").code, 2);
}

#[test]
fn a_stream_is_printed_as_it_comes() {
    let gate = crate::support::Gate::new();
    let door = gate.clone();
    let model = Backend::start(move |conn, head| {
        conn.body(head);
        conn.start_chunked();
        let _ = conn.write(chunk("data: early\n\n"));
        door.wait();
        let _ = conn.write([chunk("data: late\n\n"), b"0\r\n\r\n".to_vec()].concat());
        Next::Keep
    });
    let gateway = Gateway::bare().start();
    let cli = gateway.cli();
    let spec = json!({"main": {"backends": [{"url": model.url()}]}});
    let made = gateway.api().create("demo/iris", &spec);
    for (_, language) in LANGUAGES {
        let text = block(&cli.ok("deployment info demo/iris"), language, "stream");
        if run(&cli, language, "", &made.secret).is_none() {
            continue;
        }
        let (program, name) = match language {
            "cURL" => ("sh", "live.sh"),
            "Python" => ("python3", "live.py"),
            _ => ("node", "live.mjs"),
        };
        let file = cli.file(name, &text);
        let printed = cli.home().join(format!("{name}.out"));
        let mut child = Command::new(program)
            .arg(file)
            .env("WEIR_API_KEY", &made.secret)
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&printed).unwrap())
            .spawn()
            .unwrap();
        let so_far = || std::fs::read_to_string(&printed).unwrap();
        let early = crate::support::holds_within(PATIENCE, || so_far().contains("early"));
        let late = so_far().contains("late");
        gate.step();
        eventually(PATIENCE, "the call ends", || {
            child.try_wait().unwrap().is_some()
        });
        assert!(early && !late, "{language}: {}\n{text}", so_far());
        assert!(so_far().contains("late"), "{language}: {}", so_far());
    }
}

#[test]
fn an_async_call_that_takes_a_while_is_waited_for() {
    let model = Backend::start(|conn, head| {
        conn.body(head);
        std::thread::sleep(Duration::from_millis(1_500));
        conn.answer(200, &[], b"slow setosa")
    });
    let gateway = Gateway::bare().start();
    let cli = gateway.cli();
    let spec = json!({"main": {"backends": [{"url": model.url()}]}});
    let made = want_created(&gateway, &spec);
    for (_, language) in LANGUAGES {
        let text = block(&cli.ok("deployment info demo/iris"), language, "async");
        let Some(ran) = run(&cli, language, &text, &made) else {
            continue;
        };
        let printed = String::from_utf8_lossy(&ran.stdout);
        assert!(
            ran.status.success() && printed.contains("slow setosa"),
            "{ran:?}\n{text}"
        );
    }
    let _ = std::io::stderr().flush();
}

/// The deployment `demo/iris`; the secret of its First Key.
fn want_created(gateway: &Gateway, spec: &serde_json::Value) -> String {
    let api = gateway.api();
    api.project("demo");
    let body = json!({"name": "iris", "version": spec});
    let made = want(201, &api.post("/projects/demo/deployments?wait=15", &body));
    made["first_key"]["secret"].as_str().unwrap().to_owned()
}
