//! Keys after everything at once: whatever was done with them, rightly and wrongly, by whatever way they
//! came, none stands in a log, a figure, an answer or a file, and nobody upstream saw one.

use std::fs;

use serde_json::{Value, json};

use crate::{
    restart::files,
    support::{
        Admin, Backend, Declarations, Gateway, KEY, Next, PATIENCE, RawClient, Stop, admin, at,
        deployment, eventually,
        gateway::ADMIN_TOKEN,
        h2::H2Client,
        hmac, key,
        later::{LATER, impatient},
        tls::Pki,
        version, want,
    },
};

const NAME: &str = "made/iris";
const PATH: &str = "/predict/made/iris";
const IMPORTED: &str = "sk-imported/0123456789+abcdefghijklmnop";
const WRONG: &str = "sk-wrong/0123456789+abcdefghijklmnopqrs";
const IN_QUERY: &str = "sk-in-a-query-0123456789-abcdefghij";
const SEALING: &str = "00112233445566778899aabbccddeeff0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const TRAP: &str = "an id that is to be found";

/// Each byte as a character, so that text and what is none are searched alike.
fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// What a secret may look like where it leaked: itself, in hex, escaped, and in base64 wherever in a text it
/// stood.
fn forms(secret: &[u8]) -> Vec<String> {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let escaped: String = secret.iter().map(|byte| format!("%{byte:02X}")).collect();
    let numbers: Vec<_> = secret.iter().map(u8::to_string).collect();
    let url = latin(secret).replace('/', "%2F").replace('+', "%2B");
    let mut forms = vec![
        latin(secret),
        secret.escape_ascii().to_string(),
        url,
        hex.to_uppercase(),
        hex,
        escaped.to_lowercase(),
        escaped,
        numbers.join(", "),
        numbers.join(","),
    ];
    for before in 0..3 {
        let text = hmac::to_base64(&[&vec![b':'; before], secret].concat());
        // But for the characters that what stands around has a part in.
        let whole = &text[(before * 8).div_ceil(6)..(before + secret.len()) * 8 / 6];
        forms.push(whole.to_owned());
        forms.push(whole.replace('+', "-").replace('/', "_"));
    }
    forms
}

/// Where any of these stands.
fn found(places: &[(String, String)], secrets: &[Vec<u8>]) -> Vec<String> {
    let mut hits = Vec::new();
    for form in secrets.iter().flat_map(|secret| forms(secret)) {
        let holding = places.iter().filter(|(_, text)| text.contains(&form));
        hits.extend(holding.map(|(place, _)| format!("{form} in {place}")));
    }
    hits
}

/// What the process wrote.
fn written(gateway: &Gateway) -> Vec<(String, String)> {
    let mut places = vec![
        ("the log".to_owned(), gateway.log()),
        ("the metrics".to_owned(), gateway.metrics().text),
    ];
    for path in files(&gateway.data_dir()) {
        // What is gone meanwhile holds nothing.
        if let Ok(bytes) = fs::read(&path) {
            places.push((path.display().to_string(), latin(&bytes)));
        }
    }
    places
}

/// Echoes bodies, or breaks every rule, as it is told.
fn moody() -> Backend {
    Backend::start(|conn, head| {
        let body = conn.body(head).bytes;
        let odd: &[u8] = match body.as_slice() {
            b"reset" => return Next::Reset,
            b"status" => b"HTTP/1.1 2x0 \x1b[31m\r\n\r\n",
            b"twice" => b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n\r\n",
            b"framing" => b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
            b"torn" => b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            _ => return conn.answer(200, &[("content-type", "text/plain")], &body),
        };
        let _ = conn.write(odd);
        Next::Close
    })
}

/// Heads that are refused, or nearly, with a key in them.
fn malformed(key: &str) -> Vec<Vec<u8>> {
    let head = |lines: &str| format!("POST {PATH} HTTP/1.1\r\nhost: a\r\n{lines}\r\n\r\n");
    let long = "x".repeat(70_000);
    let mut all = vec![
        head(&format!("x-api-key: {key}\r\n folded: {key}")),
        head(&format!("x-api-key : {key}")),
        head(&format!("x-api-key: {key}\0")),
        head(&format!("x_api_key: {key}")),
        head(&format!("{key}: {key}\r\nx-api-key: {key}\r\nbad name: x")),
        head(&format!(
            "authorization: Bearer {key}\r\ncontent-length: 1\r\ntransfer-encoding: chunked"
        )),
        head(&format!(
            "authorization: Bearer {key}\r\ncontent-length: {key}"
        )),
        head(&format!("x-api-key: {key}\r\nx-long: {long}")),
        head(&format!(
            "connection: x-api-key, {key}\r\nx-api-key: {key}\r\ncontent-length: -1"
        )),
        format!("{key} {PATH} HTTP/1.1\r\nhost: a\r\n\r\n"),
        format!("POST {PATH} HTTP/1.1\r\nhost: {key}@a\r\n\r\n"),
        format!("POST {PATH}?{key} HTTP/9.9\r\nhost: a\r\n\r\n"),
        format!("POST http://{key}@a{PATH} HTTP/1.1\r\nhost: a\r\n\r\n"),
    ];
    // In a body's framing and behind it.
    let chunked = head(&format!("x-api-key: {key}\r\ntransfer-encoding: chunked"));
    all.push(format!("{chunked}{key}\r\n"));
    all.push(format!(
        "{chunked}0\r\nx-api-key: {key}\r\nauthorization: {key}\r\n\r\n"
    ));
    all.into_iter().map(String::into_bytes).collect()
}

/// One who collects all that is answered.
struct Client<'g> {
    gateway: &'g Gateway,
    pki: &'g Pki,
    answers: String,
}

impl Client<'_> {
    fn call(&mut self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, Value) {
        let mut client = RawClient::secure(self.gateway.addr(), &self.pki.client());
        client.request(line, headers, body);
        let Ok(answer) = client.try_response(line.split(' ').next().unwrap()) else {
            return (0, Value::Null);
        };
        self.answers += &latin(&answer.head.raw);
        self.answers += &latin(&answer.body);
        let said = serde_json::from_slice(&answer.body).unwrap_or_default();
        (answer.status, said)
    }

    fn raw(&mut self, bytes: &[u8]) {
        let mut client = RawClient::secure(self.gateway.addr(), &self.pki.client());
        client.send(bytes);
        client.shutdown_write();
        client.end_within(PATIENCE);
        self.answers += &latin(&client.buffer);
    }

    /// A key in every place where one may stand, and in some where none may.
    fn present(&mut self, key: &str) {
        let bearer = format!("Bearer {key}");
        let basic = format!(
            "Basic {}",
            hmac::to_base64(format!("user:{key}").as_bytes())
        );
        let line = format!("POST {PATH}");
        for headers in [
            &[("x-api-key", key)][..],
            &[("Authorization", &bearer)],
            &[("KEY", key)],
            &[("x-api-key", key), ("authorization", &bearer), ("key", key)],
            &[("x-api-key", key), ("x-api-key", WRONG)],
            &[("authorization", &basic)],
            &[("authorization", key)],
            &[("authorization", &basic), ("x-api-key", key)],
            &[("proxy-authorization", &basic), ("x-api-key", key)],
        ] {
            self.call(&line, headers, b"{}");
        }
        for body in ["reset", "status", "twice", "framing", "torn"] {
            self.call(&line, &[("x-api-key", key)], body.as_bytes());
        }
        for head in malformed(key) {
            self.raw(&head);
        }
        let h2 = H2Client::connect_tls(self.gateway.addr(), self.pki.client());
        for headers in [
            &[("x-api-key", key)][..],
            &[("authorization", &bearer), ("key", WRONG)],
            &[("authorization", &basic)],
            &[("authorization", &bearer), ("content-length", "77")],
        ] {
            if let Ok(answer) = h2.try_call("POST", PATH, headers, b"reset") {
                self.answers += &format!("{:?}{}", answer.headers, latin(&answer.body));
            }
        }
    }

    /// A request for later with a body that goes to a file, told to a receiver; its id.
    #[track_caller]
    fn later(&mut self, key: &str, receiver: &Backend) -> String {
        let url = receiver.url();
        let headers = [("x-api-key", key), LATER, ("x-webhook-url", &url)];
        let body = vec![b'b'; 200_000];
        let (status, said) = self.call(&format!("POST {PATH}"), &headers, &body);
        assert_eq!(status, 202, "{said}");
        let id = admin::text(&said["id"]);
        let headers = [("x-api-key", key)];
        eventually(PATIENCE, "the end of an async request", || {
            self.call(&format!("GET /async/{id}"), &headers, b"").1["status"] == "completed"
        });
        self.call(&format!("GET /async/{id}/result"), &headers, b"");
        eventually(PATIENCE, "a webhook", || !receiver.received().is_empty());
        id
    }
}

/// All that operators can look at.
fn shown(api: &Admin) -> String {
    let d = at(NAME);
    let mut all = String::new();
    for path in [
        "/keys",
        "/projects/made/keys",
        "/tokens",
        "/tasks",
        "/audit",
        "/status",
    ] {
        all += &api.get(path).text();
    }
    for path in [
        "",
        "/keys",
        "/versions",
        "/history",
        "/shares",
        "/logs",
        "/comparison",
        "/comparison/pairs?limit=100",
        "/monitoring",
        "/async",
    ] {
        all += &api.get(&format!("{d}{path}")).text();
    }
    for pair in api.list(&format!("{d}/comparison/pairs?limit=100")) {
        all += &api
            .get(&format!("{d}/comparison/pairs/{}", pair["id"]))
            .text();
    }
    all
}

#[test]
fn a_key_is_nowhere_after_everything() {
    for format in ["json", "text"] {
        let (backend, challenger, receiver) = (moody(), moody(), Backend::echo());
        let pki = Pki::new();
        let declared = Declarations::new()
            .with(deployment("demo/declared").backend(&backend))
            .with(key(KEY, "demo"));
        let mut gateway = impatient(pki.on("DATA", Gateway::with(declared)))
            .env("WEIR_LOG_LEVEL", "trace")
            .env("WEIR_LOG_ACCESS", "true")
            .env("WEIR_LOG_FORMAT", format)
            .env("WEIR_WEBHOOK_ALLOW_NETWORKS", "127.0.0.0/8")
            .env("WEIR_KEYS_REVEAL", "true")
            .env("WEIR_KEYS_SEALING_KEY", SEALING)
            .start();
        let api = gateway.api();
        let mut spec = version(&backend.url());
        spec["challenger"] = json!({
            "backends": [{"url": challenger.url()}], "sample": 1.0, "keep_bodies": {"sample": 1.0},
        });
        let made = api.create(NAME, &spec);
        let d = at(NAME);
        let (id, own) = api.key(&d, &json!({"description": "own"}));
        let (limited_id, limited) = api.key(&d, &json!({"description": "limited"}));
        want(
            201,
            &api.post(&format!("{d}/keys"), &json!({"secret": IMPORTED})),
        );
        let limits = json!({"limits": {"requests_per_second": 0.001, "burst": 1}});
        want(200, &api.patch(&format!("{d}/keys/{limited_id}"), &limits));
        let (_, token) = api.token(&json!({"name": "bot", "role": "org-admin", "description": ""}));

        let mut client = Client {
            gateway: &gateway,
            pki: &pki,
            answers: String::new(),
        };
        for key in [
            &made.secret,
            &own,
            &limited,
            IMPORTED,
            WRONG,
            KEY,
            &token,
            ADMIN_TOKEN,
        ] {
            client.present(key);
            let bearer = format!("Bearer {key}");
            for headers in [
                &[("authorization", bearer.as_str())][..],
                &[("x-api-key", key), ("key", key)],
            ] {
                let answer = api.nobody().send("GET /api/v1/status", headers, b"");
                client.answers += &answer.text();
                let answer = api
                    .nobody()
                    .send(&format!("GET /api/v1/keys?token={key}"), &[], b"");
                client.answers += &answer.text();
            }
        }
        client.later(&own, &receiver);
        let headers = [("x-api-key", own.as_str()), ("x-request-id", "find-me")];
        let line = format!("POST {PATH}/tail?api_key={IN_QUERY}");
        assert_eq!(client.call(&line, &headers, TRAP.as_bytes()).0, 200);
        let refused = client.call(&format!("POST {PATH}"), &[("x-api-key", &limited)], b"{}");
        assert_eq!(refused.0, 429, "{}", refused.1);
        let revealed = api.poke(&format!("{d}/keys/{id}/reveal"));
        assert_eq!(want(200, &revealed)["secret"], own);
        want(200, &api.poke(&format!("{d}/keys/{id}/revoke")));
        client.present(&own);
        let answers = std::mem::take(&mut client.answers);

        eventually(PATIENCE, "the exchange in the log", || {
            gateway.log().contains("find-me")
        });
        let shown = shown(&api);
        let mut upstream = String::new();
        for server in [&backend, &challenger, &receiver] {
            for request in server.received() {
                upstream += &latin(&request.head.raw);
                if let Some(body) = request.body {
                    upstream += &latin(&body.bytes);
                    upstream += &format!("{:?}", body.trailers);
                }
            }
        }
        let pem = fs::read_to_string(pki.path("key.pem")).unwrap();
        let pem: String = pem
            .lines()
            .filter(|line| !line.starts_with("---"))
            .collect();
        // PKCS#8 of a key of P-256 begins alike in each; the secret follows.
        let tls = hmac::from_base64(&pem)[36..68].to_vec();
        let mut secrets = vec![SEALING.as_bytes().to_vec(), tls];
        for key in [
            &made.secret,
            &own,
            &limited,
            IMPORTED,
            WRONG,
            KEY,
            &token,
            ADMIN_TOKEN,
        ] {
            secrets.push(key.as_bytes().to_vec());
            // The secret part alone is as good as the whole.
            let part = key
                .strip_prefix("wk_")
                .and_then(|rest| rest.split_once('_'));
            secrets.extend(part.map(|(_, part)| part.as_bytes().to_vec()));
        }
        let told = [
            ("answers".to_owned(), answers),
            ("what is shown".to_owned(), shown),
        ];
        assert_eq!(found(&told, &secrets), Vec::<String>::new());
        let upstream = [("a request upstream".to_owned(), upstream)];
        assert_eq!(found(&upstream, &secrets), Vec::<String>::new());
        // A query is its client's and its model's business, and nobody else's.
        assert!(!found(&upstream, &[IN_QUERY.as_bytes().to_vec()]).is_empty());
        secrets.push(IN_QUERY.as_bytes().to_vec());
        assert_eq!(found(&told, &secrets), Vec::<String>::new());
        // Pairs with their bodies are written down once a second.
        let trap = [TRAP.as_bytes().to_vec()];
        eventually(PATIENCE, "the search finds what is there", || {
            !found(&written(&gateway), &trap).is_empty()
        });
        for stop in [None, Some(Stop::Kill), Some(Stop::Term)] {
            stop.into_iter().for_each(|stop| gateway.restart(stop));
            let written = written(&gateway);
            assert_eq!(
                found(&written, &secrets),
                Vec::<String>::new(),
                "{format} {stop:?}"
            );
            let trap = found(&written, &trap);
            assert!(!trap.is_empty(), "the search finds what is there");
        }
    }
}
