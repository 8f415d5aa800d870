//! Calls of the admin API.

use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Read},
    sync::Arc,
    time::Duration,
};

use http::{HeaderMap, Method, Request, header};
use serde_json::Value;
use ureq::{Agent, Body};

use super::{
    address::{address, check_token, is_loopback},
    escaped, problem,
    tls::{Shown, TlsFiles},
    unreached::{Between, unreached},
};
use crate::cli::failure::{Code, Failure};

/// How long a connection may take to come up.
const CONNECT: Duration = Duration::from_secs(10);

/// How long an answer may take beside what the call itself waits for (`?wait=`).
const ANSWER: Duration = Duration::from_secs(60);

/// How long an answer without an end may say nothing: the gateway gives a sign of life each 15 s.
const SILENCE: Duration = Duration::from_secs(60);

/// An answer that is read whole may not be larger.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// Items of one part of a list; the most that the API gives.
const PART: usize = 500;

/// The admin API of one gateway. May be used by several threads at once.
pub(in crate::cli) struct Client {
    agent: Agent,
    base: Arc<str>,
    token: String,
    shown: Option<Shown>,
}

/// A call that is being put together.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Call {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    wait: Duration,
}

/// What a call was answered with, below 400.
#[derive(Debug)]
pub(in crate::cli) struct Answer {
    /// The `ETag`, for a later `If-Match`.
    pub(in crate::cli) etag: Option<String>,
    /// The bytes.
    pub(in crate::cli) body: Vec<u8>,
    status: u16,
    base: Arc<str>,
}

/// An answer of somebody else's that the gateway passes on.
pub(in crate::cli) struct Opened {
    /// Their status.
    pub(in crate::cli) status: u16,
    /// Their bytes.
    pub(in crate::cli) reader: Box<dyn Read>,
}

// === impl Client ===

impl Client {
    /// A client of the gateway at `url`. Nothing is sent yet.
    ///
    /// # Errors
    /// When the address is none, or the certificates can't be read.
    pub(super) fn new(url: &str, token: &str, files: &TlsFiles) -> Result<Self, Failure> {
        let (base, parsed) = address(url)?;
        check_token(token)?;
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // A DELETE says why in its body.
            .allow_non_standard_methods(true)
            .timeout_connect(Some(CONNECT))
            .max_idle_connections_per_host(32)
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")));
        let mut shown = None;
        if parsed.scheme_str() == Some("https") {
            let (tls, own) = files.config()?;
            config = config.tls_config(tls);
            shown = own;
        }
        if is_loopback(&parsed) {
            // A proxy has another loopback, and is not to see the token.
            config = config.proxy(None);
        }
        Ok(Self {
            agent: config.build().into(),
            base: base.into(),
            token: token.to_owned(),
            shown,
        })
    }

    /// The gateway's address, without a slash behind it.
    pub(in crate::cli) fn base(&self) -> &str {
        &self.base
    }

    /// Makes a call.
    ///
    /// # Errors
    /// When the gateway can't be reached, or refuses.
    pub(in crate::cli) fn send(&self, call: Call) -> Result<Answer, Failure> {
        let timeout = ANSWER.saturating_add(call.wait);
        let answered = self.ask(call, Some(timeout))?;
        let status = answered.status().as_u16();
        let etag = answered.headers().get(header::ETAG);
        let etag = etag.and_then(|tag| Some(tag.to_str().ok()?.to_owned()));
        let body = self.read(answered)?;
        if status >= 300 {
            return Err(problem::failure(status, &body, &self.base));
        }
        let base = Arc::clone(&self.base);
        Ok(Answer {
            status,
            etag,
            body,
            base,
        })
    }

    /// What is at a path, as JSON.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub(in crate::cli) fn get(&self, path: &str) -> Result<Value, Failure> {
        self.send(Call::get(path))?.json()
    }

    /// What is at a path, and the tag that says whether it is still the same later.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub(in crate::cli) fn look(&self, path: &str) -> Result<(Value, Option<String>), Failure> {
        let answer = self.send(Call::get(path))?;
        Ok((answer.json()?, answer.etag))
    }

    /// All items of a list, part by part, up to `limit`.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub(in crate::cli) fn list_up_to(
        &self,
        path: &str,
        limit: usize,
    ) -> Result<Vec<Value>, Failure> {
        let join = if path.contains('?') { '&' } else { '?' };
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        let mut seen = HashSet::new();
        while items.len() < limit {
            let part = PART.min(limit - items.len());
            let mut page = format!("{path}{join}limit={part}");
            if let Some(cursor) = &cursor {
                page = format!("{page}&cursor={}", escaped(cursor));
            }
            let mut answer = self.get(&page)?;
            match answer.get_mut("items").map(Value::take) {
                Some(Value::Array(part)) => items.extend(part),
                _ => return Err(self.odd("a list without items")),
            }
            cursor = answer["next"].as_str().map(str::to_owned);
            match &cursor {
                None => break,
                Some(cursor) if !seen.insert(cursor.clone()) => {
                    return Err(self.odd("a list without an end"));
                }
                Some(_) => {}
            }
        }
        Ok(items)
    }

    /// All items of a list.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub(in crate::cli) fn list(&self, path: &str) -> Result<Vec<Value>, Failure> {
        self.list_up_to(path, usize::MAX)
    }

    /// An answer that is read as it comes.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub(in crate::cli) fn follow(&self, call: Call) -> Result<impl BufRead + use<>, Failure> {
        let answered = self.ask(call, None)?;
        let status = answered.status().as_u16();
        if status >= 300 {
            let body = self.read(answered)?;
            return Err(problem::failure(status, &body, &self.base));
        }
        Ok(BufReader::new(answered.into_body().into_reader()))
    }

    /// An answer that may be somebody else's than the gateway's, with any status: `is_theirs` says so
    /// by its headers.
    ///
    /// # Errors
    /// As [`Client::send`], for answers of the gateway.
    pub(in crate::cli) fn open(
        &self,
        call: Call,
        is_theirs: impl Fn(&HeaderMap) -> bool,
    ) -> Result<Opened, Failure> {
        let answered = self.ask(call, None)?;
        let status = answered.status().as_u16();
        if !is_theirs(answered.headers()) {
            let body = self.read(answered)?;
            return Err(match status {
                200..300 => self.odd("something of its own"),
                _ => problem::failure(status, &body, &self.base),
            });
        }
        let reader = Box::new(answered.into_body().into_reader());
        Ok(Opened { status, reader })
    }

    fn ask(&self, call: Call, timeout: Option<Duration>) -> Result<http::Response<Body>, Failure> {
        let uri = format!("{}{}", self.base, call.path);
        let mut request = Request::builder()
            .method(call.method)
            .uri(&uri)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        let request = request.body(call.body)?;
        let agent = &self.agent;
        let configured = agent.configure_request(request);
        let configured = match timeout {
            Some(timeout) => configured.timeout_global(Some(timeout)),
            None => configured
                .timeout_recv_response(Some(ANSWER))
                .timeout_per_read(Some(SILENCE)),
        };
        agent
            .run(configured.build())
            .map_err(|error| self.unreachable(&error))
    }

    fn read(&self, answered: http::Response<Body>) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        let reader = answered.into_body().into_reader();
        let read = reader.take(ANSWER_BYTES_MAX).read_to_end(&mut body);
        read.map_err(|error| {
            let base = &self.base;
            Failure::with(
                Code::Unreachable,
                format_args!("the answer of {base} broke off: {error}"),
            )
        })?;
        Ok(body)
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        let between = match self.agent.config().proxy() {
            Some(_) => Between::Proxy,
            None => Between::Nothing,
        };
        let concern = self.shown.as_ref().and_then(Shown::concern);
        unreached(&self.base, error, between, concern.as_deref())
    }

    /// The gateway answered what its API does not.
    pub(in crate::cli) fn odd(&self, what: &str) -> Failure {
        odd(&self.base, what)
    }
}

fn odd(base: &str, what: &str) -> Failure {
    Failure::new(format_args!(
        "{base} answered {what}, which weir's admin API does not"
    ))
    .hint("look whether --admin-url names the admin listener (8081 by default)")
}

// === impl Call ===

impl Call {
    fn new(method: Method, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            wait: Duration::ZERO,
        }
    }

    /// Reads.
    pub(in crate::cli) fn get(path: &str) -> Self {
        Self::new(Method::GET, path)
    }

    /// Makes or does something.
    pub(in crate::cli) fn post(path: &str) -> Self {
        Self::new(Method::POST, path)
    }

    /// Changes something.
    pub(in crate::cli) fn patch(path: &str) -> Self {
        Self::new(Method::PATCH, path)
    }

    /// Writes something anew.
    pub(in crate::cli) fn put(path: &str) -> Self {
        Self::new(Method::PUT, path)
    }

    /// Takes something away.
    pub(in crate::cli) fn delete(path: &str) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// With a body.
    pub(in crate::cli) fn json(self, body: &Value) -> Self {
        self.bytes("application/json", body.to_string().into_bytes())
    }

    /// With a body of another type.
    pub(in crate::cli) fn bytes(mut self, content_type: &str, body: Vec<u8>) -> Self {
        self.body = body;
        self.header("content-type", content_type)
    }

    /// With a header.
    pub(in crate::cli) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Only if what it changes is still as it was seen.
    pub(in crate::cli) fn if_match(self, tag: Option<&str>) -> Self {
        match tag {
            Some(tag) => self.header("if-match", tag),
            None => self,
        }
    }

    /// Only tried: everything is checked and nothing done.
    pub(in crate::cli) fn dry_run(mut self) -> Self {
        let join = if self.path.contains('?') { '&' } else { '?' };
        self.path = format!("{}{join}dry_run=true", self.path);
        self
    }

    /// The answer may take so much longer, because the path asks it to wait.
    pub(in crate::cli) fn waits(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

// === impl Answer ===

impl Answer {
    /// The body as JSON; null when there is none.
    ///
    /// # Errors
    /// When it is no JSON.
    pub(in crate::cli) fn json(&self) -> Result<Value, Failure> {
        if self.status == 204 {
            return Ok(Value::Null);
        }
        match serde_json::from_slice(&self.body) {
            Ok(shown @ Value::Object(_)) => Ok(shown),
            Ok(_) => Err(odd(&self.base, "no object")),
            Err(_) => Err(odd(&self.base, "no JSON")),
        }
    }
}
