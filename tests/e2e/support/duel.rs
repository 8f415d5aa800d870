//! A deployment whose challenger is compared with main, and what the admin plane says of the two.
//!
//! ```text
//! Duel::ask ──▶ gateway ──▶ main: puppet or sample model
//!                     └───▶ challenger: the same
//! Duel::saw ◀── .../comparison ◀── pairs
//! ```

use std::{
    io::{BufRead, BufReader},
    ops::Range,
    process::{Child, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    Admin, Backend, Conn, Ended, Gateway, Head, Next, PATIENCE, RawClient, Response, SetOnDrop,
    admin, at, at_once, client::chunk, gateway, gateway::Builder, holds_within, version,
};

/// The deployment.
pub(crate) const NAME: &str = "demo/iris";

/// How long a verdict may take here.
const LONG: Duration = Duration::from_secs(60);

/// A gateway with one deployment, made through the API.
pub(crate) struct Duel {
    pub(crate) gateway: Gateway,
    pub(crate) api: Admin,
    pub(crate) secret: String,
}

/// A sample model as a process of its own; killed when dropped.
pub(crate) struct Model {
    child: Child,
    url: String,
}

/// A version with a challenger; `more` are further members of the challenger.
pub(crate) fn challenged(main: &str, challenger: &str, more: Value) -> Value {
    let mut spec = version(main);
    spec["challenger"] = json!({"backends": [{"url": challenger}]});
    put(&mut spec["challenger"], more);
    spec
}

/// Limits that say nothing, but for what a test sets: no latency of a shared machine is judged.
pub(crate) fn lenient(more: Value) -> Value {
    let mut limits = json!({"max_latency_ratio_p50": 0.0, "max_latency_ratio_p99": 0.0});
    put(&mut limits, more);
    limits
}

fn put(object: &mut Value, more: Value) {
    let Value::Object(more) = more else {
        panic!("no object: {more}");
    };
    object.as_object_mut().unwrap().extend(more);
}

/// Answers as the request says under the name of its side:
///
/// ```text
/// {"main": {"status": 200, "type": "text/plain", "encoding": "gzip", "text": "a" | "bytes": [1],
///           "after_ms": 5} | {"stream": ["data: a\n\n"], "gap_ms": 5, "torn": true}}
/// ```
///
/// A side that is not there says `{"ok":true}` as JSON.
pub(crate) fn puppet(side: &'static str) -> Backend {
    Backend::start(move |conn, head| {
        let body = conn.body(head);
        let asked: Value = serde_json::from_slice(&body.bytes).unwrap_or_default();
        say(conn, head, &asked[side])
    })
}

/// Both, on one gateway.
pub(crate) fn puppets() -> (Backend, Backend) {
    (puppet("main"), puppet("challenger"))
}

/// A body that has both puppets say these.
pub(crate) fn both(main: Value, challenger: Value) -> String {
    let sides = [("main", main), ("challenger", challenger)];
    Value::from_iter(sides).to_string()
}

/// One that has both say the same.
pub(crate) fn alike(part: Value) -> String {
    both(part.clone(), part)
}

/// The `n`th of many flowers, petals 4.0 to 4.9 cm long: where two species meet, as in what
/// `weir demo` prints for a load.
pub(crate) fn flower(n: usize) -> String {
    let (a, b, c) = (n % 7, n % 10, n % 9);
    format!("{{\"inputs\": [[6.{a}, 2.8, 4.{b}, 1.{c}]]}}")
}

fn say(conn: &mut Conn, head: &Head, part: &Value) -> Next {
    if let Some(ms) = part["after_ms"].as_u64() {
        // Its slowness is the script.
        thread::sleep(Duration::from_millis(ms));
    }
    if let Some(pieces) = part["stream"].as_array() {
        return stream(conn, part, pieces);
    }
    let body = match (part["text"].as_str(), part["bytes"].as_array()) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (_, Some(bytes)) => bytes.iter().map(|b| b.as_u64().unwrap() as u8).collect(),
        _ => b"{\"ok\":true}".to_vec(),
    };
    let status = part["status"].as_u64().unwrap_or(200) as u16;
    let kind = part["type"].as_str().unwrap_or("application/json");
    let mut headers = vec![("content-type", kind)];
    headers.retain(|(_, kind)| !kind.is_empty());
    if let Some(encoding) = part["encoding"].as_str() {
        headers.push(("content-encoding", encoding));
    }
    if head.method() == "HEAD" || status == 204 {
        let length = if status == 204 {
            ""
        } else {
            "content-length: 11\r\n"
        };
        let _ = conn.write(format!("HTTP/1.1 {status} Said\r\n{length}\r\n"));
        return Next::Keep;
    }
    conn.answer(status, &headers, &body)
}

fn stream(conn: &mut Conn, part: &Value, pieces: &[Value]) -> Next {
    conn.start_chunked();
    let gap = Duration::from_millis(part["gap_ms"].as_u64().unwrap_or(0));
    for (at, piece) in pieces.iter().enumerate() {
        if at > 0 {
            // The gap is the script.
            thread::sleep(gap);
        }
        if conn.write(chunk(piece.as_str().unwrap())).is_err() {
            return Next::Close;
        }
    }
    if part["torn"] == true {
        return Next::Reset;
    }
    let _ = conn.write("0\r\n\r\n");
    Next::Keep
}

// === impl Duel ===

impl Duel {
    /// Puppets are compared; `more` are further members of the challenger.
    pub(crate) fn of(sides: &(Backend, Backend), more: Value) -> Self {
        Self::start(&challenged(&sides.0.url(), &sides.1.url(), more))
    }

    /// A gateway with this version live.
    pub(crate) fn start(spec: &Value) -> Self {
        Self::on(Gateway::bare(), spec)
    }

    /// The same with settings.
    pub(crate) fn on(builder: Builder, spec: &Value) -> Self {
        let gateway = builder.start();
        let api = gateway.api();
        let secret = api.create(NAME, spec).secret;
        Self {
            gateway,
            api,
            secret,
        }
    }

    /// The gateway was started again.
    pub(crate) fn came_back(&mut self) {
        self.api = self.gateway.api();
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn ask(&self, body: &str) -> Response {
        self.ask_at("POST /predict/demo/iris", &[], body)
    }

    /// The same anywhere.
    #[track_caller]
    pub(crate) fn ask_at(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let mut all = vec![("x-api-key", self.secret.as_str())];
        all.extend(headers);
        self.gateway.call(line, &all, body.as_bytes())
    }

    /// So many requests on one connection, each answered whole.
    #[track_caller]
    pub(crate) fn asks(&self, n: usize, body: &str) {
        let headers = [("x-api-key", self.secret.as_str())];
        let mut client = self.gateway.connect();
        for _ in 0..n {
            let answer = client.call("POST /predict/demo/iris", &headers, body.as_bytes());
            let text = answer.text();
            assert_eq!((answer.status, answer.ended), (200, Ended::Clean), "{text}");
        }
    }

    /// Asks once for each of these numbers, from several clients, each answered whole.
    #[track_caller]
    pub(crate) fn asks_each(
        &self,
        clients: usize,
        numbers: Range<usize>,
        body: impl Fn(usize) -> String + Sync,
    ) {
        let next = AtomicUsize::new(numbers.start);
        let headers = [("x-api-key", self.secret.as_str())];
        at_once(clients, |_| {
            let mut client = self.gateway.connect();
            loop {
                let number = next.fetch_add(1, Ordering::SeqCst);
                if number >= numbers.end {
                    return;
                }
                let body = body(number);
                let answer = client.call("POST /predict/demo/iris", &headers, body.as_bytes());
                let text = answer.text();
                assert_eq!((answer.status, answer.ended), (200, Ended::Clean), "{text}");
            }
        });
    }

    /// Asks from several clients until `done` holds; how often. Every answer is a whole one of 200.
    #[track_caller]
    pub(crate) fn asks_until(
        &self,
        clients: usize,
        body: impl Fn(usize) -> String + Sync,
        done: impl FnMut() -> bool,
    ) -> usize {
        let (stop, next) = (AtomicBool::new(false), AtomicUsize::new(0));
        let (addr, secret) = (self.gateway.addr(), &self.secret);
        let (over, served) = thread::scope(|scope| {
            let work = || {
                let headers = [("x-api-key", secret.as_str())];
                let mut client = RawClient::connect(addr);
                let mut served = 0;
                while !stop.load(Ordering::SeqCst) {
                    let body = body(next.fetch_add(1, Ordering::SeqCst));
                    let answer = client.call("POST /predict/demo/iris", &headers, body.as_bytes());
                    let text = answer.text();
                    assert_eq!((answer.status, answer.ended), (200, Ended::Clean), "{text}");
                    served += 1;
                }
                served
            };
            let threads: Vec<_> = (0..clients).map(|_| scope.spawn(work)).collect();
            let over = {
                let _stop = SetOnDrop(&stop);
                holds_within(LONG, done)
            };
            let served: usize = threads.into_iter().map(|t| t.join().unwrap()).sum();
            (over, served)
        });
        assert!(over, "not after {served} requests: {}", self.shown());
        served
    }

    /// What `.../comparison` says, with a query.
    #[track_caller]
    pub(crate) fn shown_of(&self, query: &str) -> Value {
        self.api.show(&format!("{}/comparison{query}", at(NAME)))
    }

    /// What it says of the version that is meant when nothing is said.
    #[track_caller]
    pub(crate) fn shown(&self) -> Value {
        self.shown_of("")
    }

    /// What it says once this holds of it.
    #[track_caller]
    pub(crate) fn shows(&self, what: &str, mut cond: impl FnMut(&Value) -> bool) -> Value {
        let mut shown = Value::Null;
        let came = holds_within(PATIENCE, || {
            shown = self.shown();
            cond(&shown)
        });
        assert!(came, "never {what}: {shown}");
        shown
    }

    /// What it says once so many pairs were seen, and no more than that.
    #[track_caller]
    pub(crate) fn saw(&self, pairs: u64) -> Value {
        let shown = self.shows(&format!("{pairs} pairs"), |shown| {
            shown["pairs"].as_u64().expect("pairs") >= pairs
        });
        assert_eq!(shown["pairs"], pairs, "{shown}");
        shown
    }

    /// All pairs that match, once there are so many, and no more than that.
    #[track_caller]
    pub(crate) fn listed(&self, query: &str, count: usize) -> Vec<Value> {
        let path = format!("{}/comparison/pairs?{query}", at(NAME));
        let mut all = Vec::new();
        let came = holds_within(PATIENCE, || {
            all = self.api.list(&path);
            all.len() >= count
        });
        assert!(
            came && all.len() == count,
            "{query}: {} {all:#?}",
            all.len()
        );
        all
    }

    /// The pair of a request with this id, with its bodies.
    #[track_caller]
    pub(crate) fn pair_of(&self, request_id: &str) -> Value {
        let path = format!("{}/comparison/pairs?limit=100", at(NAME));
        let mut id = None;
        let came = holds_within(PATIENCE, || {
            let page = self.api.show(&path);
            let mut items = admin::items(&page).iter();
            let found = items.find(|pair| pair["request_id"] == request_id);
            id = found.map(|pair| pair["id"].as_u64().expect("an id"));
            id.is_some()
        });
        assert!(came, "no pair of {request_id}: {}", self.shown());
        self.whole(id.unwrap())
    }

    /// A pair with its bodies.
    #[track_caller]
    pub(crate) fn whole(&self, id: u64) -> Value {
        self.api
            .show(&format!("{}/comparison/pairs/{id}", at(NAME)))
    }

    /// The pairs of these requests, each under an id of its own: all are asked before any is waited
    /// for, since what is kept is written a second later.
    #[track_caller]
    pub(crate) fn pairs_of<'i>(
        &self,
        asked: impl IntoIterator<Item = (&'i str, String)>,
    ) -> Vec<Value> {
        let mut ids = Vec::new();
        for (id, body) in asked {
            self.ask_at("POST /predict/demo/iris", &[("x-request-id", id)], &body);
            ids.push(id);
        }
        ids.iter().map(|id| self.pair_of(id)).collect()
    }

    /// The pair that comes of one request.
    #[track_caller]
    pub(crate) fn pair(&self, request_id: &str, body: &str) -> Value {
        self.ask_at(
            "POST /predict/demo/iris",
            &[("x-request-id", request_id)],
            body,
        );
        self.pair_of(request_id)
    }
}

// === impl Model ===

impl Model {
    /// `weir sample-model KIND --listen 127.0.0.1:0`, each answer later by so much.
    pub(crate) fn start(kind: &str, delay_ms: u64) -> Self {
        let mut child = gateway::command()
            .args(["sample-model", kind, "--listen", "127.0.0.1:0"])
            .args(["--delay-ms", &delay_ms.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let mut url = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut url).unwrap();
        assert!(url.starts_with("http://127.0.0.1:"), "{url:?}");
        Self {
            child,
            url: url.trim_end().to_owned(),
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
