//! Live events, read as they come.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Admin, PATIENCE, RawClient};

/// Server-sent events as they come.
pub(crate) struct Events {
    client: RawClient,
    text: String,
}

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) event: String,
    pub(crate) data: Value,
}

impl Events {
    /// Listens, from behind an event when one is given.
    #[track_caller]
    pub(crate) fn listen(admin: &Admin, last: Option<&str>) -> Self {
        match Self::try_listen(admin, last) {
            Ok(events) => events,
            Err(status) => panic!("no events: {status}"),
        }
    }

    /// The same, or the status of the refusal.
    #[track_caller]
    pub(crate) fn try_listen(admin: &Admin, last: Option<&str>) -> Result<Self, u16> {
        let mut client = RawClient::connect(admin.addr);
        let host = admin.host();
        let bearer = format!("Bearer {}", admin.token.as_deref().unwrap_or_default());
        let mut headers = vec![
            ("host", host.as_str()),
            ("authorization", &bearer),
            ("accept", "text/event-stream"),
        ];
        headers.extend(last.map(|id| ("last-event-id", id)));
        let head = client.request("GET /api/v1/events", &headers, b"").head();
        let status = head.status().expect("a status");
        if status != 200 {
            return Err(status);
        }
        let kind = head.get("content-type").unwrap_or_default();
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        Ok(Self {
            client,
            text: String::new(),
        })
    }

    /// The next event; `None` when none comes within `limit`.
    pub(crate) fn next(&mut self, limit: Duration) -> Option<Event> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                if let Some(event) = parse_event(&block) {
                    return Some(event);
                }
                continue;
            }
            // Comments keep the connection, and are no reason to wait longer.
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            self.client.socket.set_read_timeout(Some(left)).unwrap();
            let chunk = self.client.read_chunk();
            match chunk {
                Ok(bytes) if !bytes.is_empty() => {
                    self.text
                        .push_str(&String::from_utf8(bytes).expect("events are UTF-8"));
                }
                _ => return None,
            }
        }
    }

    /// The first event that satisfies `cond`, and those before it.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, cond: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut seen = Vec::new();
        while let Some(event) = self.next(PATIENCE) {
            let found = cond(&event);
            seen.push(event);
            if found {
                return seen;
            }
        }
        panic!("no event {what} among {seen:#?}");
    }
}

fn parse_event(block: &str) -> Option<Event> {
    let field = |name: &str| -> Vec<&str> {
        block
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(|value| value.strip_prefix(' ').unwrap_or(value))
            .collect()
    };
    let data = field("data");
    if data.is_empty() {
        // A comment, sent to keep the connection.
        return None;
    }
    let data = data.join("\n");
    Some(Event {
        id: field("id").join(""),
        event: field("event").join(""),
        data: serde_json::from_str(&data).unwrap_or_else(|e| panic!("{e}: {data}")),
    })
}
