//! Secrets stay secret: after a run of everything, none stands on the disk, in the log, in an answer
//! or in a metric; and nobody upstream saw one.

use std::fs;

use serde_json::json;

use crate::{
    restart::files,
    support::{
        Backend, Gateway, Nowhere, PATIENCE, Stop, at, eventually, gateway::ADMIN_TOKEN, version,
        want,
    },
};

const IMPORTED: &str = "sk-imported-0123456789-abcdefghijklmnop";
const REFUSED: &str = "refused secret 0123456789 with a space";
const SEALING: &str = "00112233445566778899aabbccddeeff0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// Which of these words stand in a file below the data directory or in the log, and where.
fn found(gateway: &Gateway, words: &[String]) -> Vec<String> {
    let mut hits = Vec::new();
    let mut look = |place: String, bytes: &[u8]| {
        // Secrets are ASCII, so what is no text around them does not hide them.
        let text = String::from_utf8_lossy(bytes);
        for word in words {
            if text.contains(word.as_str()) {
                hits.push(format!("{word} in {place}"));
            }
        }
    };
    for path in files(&gateway.data_dir()) {
        look(path.display().to_string(), &fs::read(&path).unwrap());
    }
    look("the log".to_owned(), gateway.log().as_bytes());
    look("the metrics".to_owned(), gateway.metrics().text.as_bytes());
    hits
}

/// Whether any file holds this key's digest, raw or in hex: what is looked for can be found.
fn digest_is_kept(gateway: &Gateway, secret: &str) -> bool {
    let digest = blake3::hash(secret.as_bytes());
    let hex = digest.to_hex();
    files(&gateway.data_dir()).iter().any(|path| {
        let bytes = fs::read(path).unwrap();
        bytes.windows(32).any(|w| w == digest.as_bytes())
            || bytes
                .windows(64)
                .any(|w| w.eq_ignore_ascii_case(hex.as_bytes()))
    })
}

#[test]
fn after_everything_only_digests_are_kept() {
    for reveal in [false, true] {
        let backend = Backend::echo();
        let nowhere = Nowhere::new();
        let mut builder = Gateway::bare()
            .env("WEIR_LOG_LEVEL", "trace")
            .env("WEIR_LOG_ACCESS", "true")
            .env("WEIR_DEPLOY_UNREACHABLE_MS", 200);
        if reveal {
            builder = builder
                .env("WEIR_KEYS_REVEAL", "true")
                .env("WEIR_KEYS_SEALING_KEY", SEALING);
        }
        let mut gateway = builder.start();
        let api = gateway.api();
        let made = api.create("demo/iris", &version(&backend.url()));
        let d = at("demo/iris");
        let mut secrets = vec![
            made.secret.clone(),
            IMPORTED.to_owned(),
            REFUSED.to_owned(),
            ADMIN_TOKEN.to_owned(),
        ];
        let (id, own) = api.key(&d, &json!({"description": "own"}));
        let (_, project) = api.key("/projects/demo", &json!({}));
        let (_, instance) = api.key("", &json!({}));
        want(
            201,
            &api.post(&format!("{d}/keys"), &json!({"secret": IMPORTED})),
        );
        let refused = api.post(&format!("{d}/keys"), &json!({"secret": REFUSED}));
        assert!(matches!(refused.status, 400 | 422) && !refused.text().contains(REFUSED));
        let again = api.post(&format!("{d}/keys"), &json!({"secret": IMPORTED}));
        assert!(again.status == 409 && !again.text().contains(IMPORTED));
        let (_, token) = api.token(&json!({"name": "bot", "role": "org-admin", "description": ""}));
        let bot = api.with_token(&token);
        bot.deploy("demo/iris", &version(&backend.url()));
        want(
            202,
            &bot.post(&format!("{d}/versions?wait=15"), &version(&nowhere.url())),
        );
        want(202, &bot.post(&format!("{d}/rollback?wait=15"), &json!({})));
        for key in [
            &made.secret,
            &own,
            &project,
            &instance,
            &IMPORTED.to_owned(),
        ] {
            let bearer = format!("Bearer {key}");
            for header in [("x-api-key", key.as_str()), ("authorization", &bearer)] {
                assert_eq!(
                    gateway
                        .call("POST /predict/demo/iris", &[header], b"{}")
                        .status,
                    200
                );
            }
            api.send("GET /api/v1/status", &[("authorization", &bearer)], b"");
        }
        let bearer = format!("Bearer {token}");
        gateway.call(
            "POST /predict/demo/iris",
            &[("authorization", &bearer)],
            b"{}",
        );
        api.with_token("wrong-token-0123456789abcdef")
            .get("/status");
        secrets.push("wrong-token-0123456789abcdef".to_owned());
        if reveal {
            assert_eq!(
                want(200, &api.poke(&format!("{d}/keys/{id}/reveal")))["secret"],
                *own
            );
        }
        want(200, &api.poke(&format!("{d}/keys/{id}/revoke")));
        secrets.extend([own, project, instance, token]);
        // The secret part alone is as good as the whole.
        let parts: Vec<_> = secrets
            .iter()
            .filter_map(|s| s.strip_prefix("wk_")?.split_once('_'))
            .map(|(_, part)| part.to_owned())
            .collect();
        assert!(parts.len() >= 4);
        secrets.extend(parts);
        if reveal {
            secrets.push(SEALING.to_owned());
        }
        let mut shown = String::new();
        for path in [
            "/keys",
            "/projects/demo/keys",
            "/tokens",
            "/tasks",
            "/audit",
            "/status",
        ] {
            shown += &api.get(path).text();
        }
        for path in ["", "/keys", "/versions", "/history", "/shares"] {
            shown += &api.get(&format!("{d}{path}")).text();
        }
        for secret in &secrets {
            assert!(!shown.contains(secret.as_str()), "{secret} is shown");
        }
        let upstream: String = backend
            .received()
            .iter()
            .map(|r| String::from_utf8_lossy(&r.head.raw).into_owned())
            .collect();
        assert!(!upstream.is_empty());
        for secret in &secrets {
            assert!(
                !upstream.contains(secret.as_str()),
                "{secret} went upstream"
            );
        }
        eventually(PATIENCE, "access lines", || {
            gateway.log().contains("request_id")
        });
        assert_eq!(
            found(&gateway, &secrets),
            Vec::<String>::new(),
            "while it runs"
        );
        assert!(
            digest_is_kept(&gateway, IMPORTED),
            "the search finds what is there"
        );
        gateway.restart(Stop::Kill);
        assert_eq!(
            found(&gateway, &secrets),
            Vec::<String>::new(),
            "after a kill"
        );
        gateway.restart(Stop::Term);
        assert_eq!(
            found(&gateway, &secrets),
            Vec::<String>::new(),
            "after an orderly end"
        );
        assert!(digest_is_kept(&gateway, &made.secret));
    }
}
