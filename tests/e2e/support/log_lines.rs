//! A deployment's log, read and followed.

use serde_json::Value;

use super::*;

pub(crate) const BODY: &[u8] = b"{\"secret\": \"a body is nobody's business\"}";

/// A backend that answers with the status that the request's body names, breaks off at `break`, and
/// answers 200 otherwise.
pub(crate) fn obedient() -> Backend {
    Backend::start(|conn, head| {
        let body = conn.body(head).bytes;
        let wish = String::from_utf8(body.clone()).unwrap_or_default();
        match wish.parse() {
            Ok(status) => conn.answer(status, &[], b"as told"),
            Err(_) if wish == "break" => {
                let _ = conn.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf");
                Next::Close
            }
            Err(_) => conn.answer(200, &[], &body),
        }
    })
}

pub(crate) fn path(name: &str, query: &str) -> String {
    format!("{}/logs{query}", at(name))
}

pub(crate) fn read(api: &Admin, name: &str, query: &str) -> Vec<Value> {
    let answer = api.get(&path(name, query));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let kind = answer.get("content-type");
    assert_eq!(kind.as_deref(), Some("application/x-ndjson"));
    lines(&answer.text())
}

pub(crate) fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

pub(crate) fn read_text(api: &Admin, name: &str, query: &str) -> String {
    let line = format!("GET /api/v1{}", path(name, query));
    let answer = api.send(&line, &[("accept", "text/plain")], b"");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let kind = answer.get("content-type");
    assert_eq!(kind.as_deref(), Some("text/plain; charset=utf-8"));
    answer.text()
}

/// Waits for the request of this id; its line. Workers hand over what they know a few times a second.
#[track_caller]
pub(crate) fn line_of(api: &Admin, name: &str, id: &str) -> Value {
    let mut found = None;
    eventually(PATIENCE, &format!("a line of {id}"), || {
        let all = read(api, name, "");
        found = all.into_iter().find(|line| line["request_id"] == id);
        found.is_some()
    });
    found.unwrap()
}

pub(crate) fn call(
    gateway: &Gateway,
    target: &str,
    secret: &str,
    id: &str,
    body: &[u8],
) -> Response {
    let headers = [("x-api-key", secret), ("x-request-id", id)];
    gateway.call(&format!("POST {target}"), &headers, body)
}

/// Those of the requests, by their ids.
pub(crate) fn ids(lines: &[Value]) -> Vec<&str> {
    let requests = lines.iter().filter(|line| line["kind"] == "request");
    requests
        .map(|line| line["request_id"].as_str().unwrap())
        .collect()
}

pub(crate) fn actions(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|l| l["action"].as_str()).collect()
}

/// Lines that are followed, as they come.
pub(crate) struct Followed {
    pub(crate) client: RawClient,
    text: String,
}

impl Followed {
    #[track_caller]
    pub(crate) fn begin(api: &Admin, name: &str, query: &str) -> Self {
        let mut client = RawClient::connect(api.host().parse().unwrap());
        let (host, token) = (api.host(), api.token_presented().unwrap());
        let headers = [
            ("host", &*host),
            ("authorization", &format!("Bearer {token}")),
        ];
        let line = format!("GET /api/v1{}", path(name, query));
        let head = client.request(&line, &headers, b"").head();
        assert_eq!(head.status(), Ok(200));
        Self {
            client,
            text: String::new(),
        }
    }

    /// The next line; none when it has ended in order.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.text.find('\n') {
                let line: String = self.text.drain(..=end).collect();
                match line.trim() {
                    "" => continue,
                    line => return Some(serde_json::from_str(line).expect(line)),
                }
            }
            let bytes = self.client.read_chunk().expect("a line or the end");
            if bytes.is_empty() {
                assert_eq!(self.text, "", "half a line");
                return None;
            }
            self.text += &String::from_utf8(bytes).unwrap();
        }
    }

    #[track_caller]
    pub(crate) fn until(&mut self, member: &str, value: &str) -> Value {
        while let Some(line) = self.next() {
            if line[member] == value {
                return line;
            }
        }
        panic!("ended before {member} {value}");
    }
}
