//! Whatever clients, backends and people write, an event is one line of the log, and no terminal is
//! steered by it.

use serde_json::{Value, json};

use crate::support::{
    Backend, Gateway, Next, PATIENCE, at, cli::Ran, eventually, gateway::ADMIN_TOKEN, log_lines,
    version, want,
};

/// Line ends, colours, a title, DEL, C1 and what turns directions.
const HOSTILE: &str = "x\r\n2026-01-01T00:00:00.000000Z ERROR forged \u{1b}[31m\u{1b}]0;t\u{7}\u{7f}\u{9b}2J\u{202e}\u{2028}\t\u{feff}";

/// What a model may send for a head, and for what follows.
const ANSWERS: [&[u8]; 6] = [
    b"HTTP/1.1 200 \x1b[31mred\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 200 \xc2\x9b31m\xe2\x80\xae\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 \x1b[2J\r\n\r\n",
    b"\x1b[2J\n\x07\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nx\x1b[31m: y\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\x1b[31m\r\n",
];

fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Answers with the bytes that the request's body names by their number.
fn liar() -> Backend {
    Backend::start(|conn, head| {
        let body = conn.body(head).bytes;
        let named = std::str::from_utf8(&body)
            .ok()
            .and_then(|n| n.parse::<usize>().ok());
        let Some(answer) = named.and_then(|n| ANSWERS.get(n)) else {
            return conn.answer(200, &[], b"fine");
        };
        let _ = conn.write(answer);
        Next::Close
    })
}

/// Requests with such bytes wherever a client may put some.
fn requests(secret: &str) -> Vec<Vec<u8>> {
    let long = "y".repeat(8 << 10);
    let bytes = HOSTILE.as_bytes();
    let esc = "\u{1b}[31m\u{9b}2J".as_bytes();
    let mut all = Vec::new();
    for odd in [
        bytes,
        esc,
        b"\xff\xfe\x9b31m",
        b"\x7f",
        b"%0D%0A%1B%5B31m%C2%9B",
        long.as_bytes(),
    ] {
        for (before, behind) in [
            ("POST /predict/demo/iris/", " HTTP/1.1\r\nhost: a"),
            ("POST /predict/demo/iris?", " HTTP/1.1\r\nhost: a"),
            ("", " /predict/demo/iris HTTP/1.1\r\nhost: a"),
            ("POST /predict/demo/iris HTTP/1.1\r\nhost: ", ""),
            (
                "POST /predict/demo/iris HTTP/1.1\r\nhost: a\r\nuser-agent: ",
                "",
            ),
            (
                "POST /predict/demo/iris HTTP/1.1\r\nhost: a\r\nx-request-id: ",
                "",
            ),
            (
                "POST /predict/demo/iris HTTP/1.1\r\nhost: a\r\nx-deployment-version: ",
                "",
            ),
            ("POST /predict/demo/iris HTTP/1.1\r\nhost: a\r\n", ": value"),
        ] {
            let key = format!("\r\nx-api-key: {secret}\r\nconnection: close\r\n\r\n");
            all.push([before.as_bytes(), odd, behind.as_bytes(), key.as_bytes()].concat());
        }
    }
    all
}

#[track_caller]
fn is_tame(ran: &Ran) {
    for text in [&ran.out, &ran.err] {
        let odd = text.chars().find(|&c| is_harmful(c) && c != '\n');
        assert!(odd.is_none(), "{odd:?} in {ran:?}");
    }
    assert!(
        !ran.out.lines().any(|line| line.starts_with("2026-01-01")),
        "{ran}"
    );
}

#[test]
fn whatever_is_written_is_one_line_of_the_log() {
    for format in ["text", "json"] {
        let backend = liar();
        let gateway = Gateway::bare()
            .env("WEIR_LOG_LEVEL", "trace")
            .env("WEIR_LOG_ACCESS", "true")
            .env("WEIR_LOG_FORMAT", format)
            .env("WEIR_UPSTREAM_RETRIES_MAX", 0)
            .env("WEIR_EJECTION_CONSECUTIVE_FAILURES", 100_000)
            .start();
        let api = gateway.api();
        let made = api.create("demo/iris", &version(&backend.url()));
        let d = at("demo/iris");
        // People: some of it is refused, which is as good.
        for (method, path, body) in [
            ("PATCH", d.clone(), json!({"description": HOSTILE})),
            ("POST", format!("{d}/keys"), json!({"description": HOSTILE})),
            (
                "POST",
                "/tokens".to_owned(),
                json!({"name": HOSTILE, "role": "org-admin", "description": HOSTILE}),
            ),
            (
                "POST",
                "/tokens".to_owned(),
                json!({"name": "bot", "role": "org-admin", "description": HOSTILE}),
            ),
            (
                "POST",
                format!("{d}/versions?wait=15"),
                json!({"model": HOSTILE, "main": {"backends": [{"url": backend.url()}]}}),
            ),
        ] {
            let answer = api.json(method, &path, &[], &body);
            assert!(answer.status < 500, "{}", answer.text());
        }
        let hostile_host = "\u{9b}31m\u{202e}";
        for (line, host) in [
            ("GET /api/v1/%0D%0A%1B%5B31m", "127.0.0.1"),
            ("GET /api/v1/keys", hostile_host),
        ] {
            api.with_token("wrong-token-0123456789abcdef")
                .send(line, &[("host", host)], b"");
        }
        for bytes in requests(&made.secret) {
            let mut client = gateway.connect();
            client.send(&bytes).shutdown_write();
            client.end_within(PATIENCE);
        }
        let headers = [("x-api-key", made.secret.as_str())];
        for n in 0..ANSWERS.len() {
            let id = format!("liar-{n}");
            let headers = [headers[0], ("x-request-id", id.as_str())];
            let mut client = gateway.connect();
            client.request(
                "POST /predict/demo/iris",
                &headers,
                n.to_string().as_bytes(),
            );
            let _torn_or_refused = client.try_response("POST");
        }
        log_lines::line_of(&api, "demo/iris", &format!("liar-{}", ANSWERS.len() - 1));
        want(
            202,
            &api.post(&format!("{d}/stop?wait=15"), &json!({"reason": HOSTILE})),
        );

        let exchanges = |log: &str| {
            let of = |n| {
                log.lines()
                    .filter(|l| l.contains(&format!("liar-{n}")) && l.contains("duration_ms"))
                    .count()
            };
            (0..ANSWERS.len()).map(of).collect::<Vec<_>>()
        };
        eventually(PATIENCE, "one line an exchange", || {
            exchanges(&gateway.log()) == [1; ANSWERS.len()]
        });
        let log = gateway.log();
        for line in log.lines() {
            assert!(!line.contains(is_harmful), "{line:?}");
            match format {
                "json" => {
                    let said: Value =
                        serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
                    assert!(
                        said["timestamp"].is_string() && said["level"].is_string(),
                        "{line}"
                    );
                }
                _ => {
                    let mut words = line.split_whitespace();
                    let time = words
                        .next()
                        .and_then(|word| word.parse::<jiff::Timestamp>().ok());
                    assert!(
                        time.is_some_and(|time| time
                            > jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1)),
                        "{line}"
                    );
                    let levels = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
                    assert!(
                        words.next().is_some_and(|word| levels.contains(&word)),
                        "{line}"
                    );
                }
            }
        }
        // By every way to a terminal.
        let cli = gateway.cli();
        for line in [
            "deployment logs demo/iris",
            "deployment logs demo/iris -o json",
            "deployment info demo/iris",
            "deployment info demo/iris -o json",
            "deployment list -o json",
            "deployment history demo/iris",
            "deployment watch demo/iris --once",
            "key list -o json",
            "key list",
            "token list",
            "token list -o json",
            "audit",
            "audit -o json",
            "task list",
            "export",
        ] {
            is_tame(&cli.run(line));
        }
        let raw = api.get(&format!("{d}/logs")).text();
        assert!(!raw.replace('\n', "").contains(is_harmful), "{raw:?}");
        assert!(!log.contains(&made.secret) && !log.contains(ADMIN_TOKEN));
    }
}
