//! The document, put together.

use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

use super::{
    faults::{self, Answers, OF_CALLS, OF_CANCELS, OF_FETCHES, OF_LATER, OF_RESULTS},
    infer::schema_of,
};
use crate::{
    admin::shape::AsyncRequest,
    control::{Shown, record::DeploymentState},
    fault::Code,
    spec::{Access, Example},
};

/// Members of an async request's document that operators see and callers do not.
const OF_OPERATORS: [&str; 6] = [
    "key",
    "method",
    "path",
    "body_bytes",
    "result_bytes",
    "dead_letter",
];

/// The longest that a call about an async request waits, in seconds.
const WAIT_S_MAX: u32 = 60;

/// What is described.
pub(super) struct Described<'a> {
    pub(super) shown: &'a Shown,
    /// Where the data plane listens, as applications write it.
    pub(super) data_url: &'a str,
    /// Whether requests are taken to be answered later.
    pub(super) takes_later: bool,
}

/// One of the two URLs.
#[derive(Clone, Copy)]
enum Operation {
    Predict,
    Stream,
}

// === impl Described ===

impl Described<'_> {
    pub(super) fn document(&self) -> Value {
        let name = &self.shown.name;
        let mut paths = Map::new();
        for operation in [Operation::Predict, Operation::Stream] {
            let path = format!("/{}/{name}", operation.word());
            paths.insert(path, json!({"post": self.call(operation)}));
        }
        if self.takes_later {
            paths.extend(fetches());
        }
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": self.shown.stored.value.display_name,
                "version": self.version(),
                "description": self.words(),
            },
            "servers": [{"url": self.data_url.trim_end_matches('/')}],
            "paths": paths,
            "components": self.components(),
        })
    }

    /// The version that the document is of.
    fn version(&self) -> String {
        match self.shown.stored.value.live {
            Some(number) => format!("{}_v{number}", self.shown.name.deployment()),
            None => "none".to_owned(),
        }
    }

    fn words(&self) -> String {
        let record = &self.shown.stored.value;
        let mut words = Vec::new();
        if !record.description.is_empty() {
            words.push(record.description.clone());
        }
        let stands = match record.state {
            DeploymentState::Live => None,
            DeploymentState::Deleted => Some("It was deleted, and answers nothing."),
            DeploymentState::Stopping | DeploymentState::Stopped => {
                Some("It is stopped: calls are answered with 503 until it runs again.")
            }
            // While a newer version is on its way, the one before answers.
            _ if self.shown.live.is_some() => None,
            _ => Some("It is not live: calls are answered with 503 until a version of it is."),
        };
        words.extend(stands.map(str::to_owned));
        let model = self.shown.live.as_ref().map(|spec| spec.model.as_str());
        if let Some(model) = model.filter(|model| !model.is_empty()) {
            words.push(format!("The model: {model}."));
        }
        words.push(
            match record.access {
                Access::Keys => "Its own API keys open it, and its project's.",
                Access::Project => "Any API key of its project opens it.",
                Access::Instance => "Any valid API key opens it.",
                Access::Public => "It needs no API key; one that is sent is checked all the same.",
            }
            .to_owned(),
        );
        if self.takes_later {
            words.push("What is to be answered later needs an API key everywhere.".to_owned());
        }
        words.push(
            "Any method is forwarded, the query with it; a path behind the URL is the model's own. \
             What the model answers is passed on as it is, its errors included."
                .to_owned(),
        );
        words.join("\n\n")
    }

    /// A call of one of the two URLs.
    fn call(&self, operation: Operation) -> Value {
        let live = self.shown.live.as_deref();
        let input = live.and_then(|spec| spec.input_example.as_ref());
        let output = live.and_then(|spec| spec.output_example.as_ref());
        let mut responses = Map::new();
        responses.insert(
            "200".to_owned(),
            json!({
                "description": "The model's answer.",
                "headers": headers(&["X-Request-Id", "X-Deployment-Version", "X-Config-Epoch"]),
                "content": match operation {
                    Operation::Predict => content(output, "OutputOfModel"),
                    Operation::Stream => json!({
                        "text/event-stream": {"schema": {"type": "string"}}, "*/*": {}}),
                },
            }),
        );
        let mut codes = OF_CALLS.to_vec();
        let mut call = json!({
            "operationId": operation.word(),
            "summary": operation.summary(),
            "requestBody": {
                "description": "What the model takes.",
                "content": content(input, "InputOfModel"),
            },
            "security": self.security(),
        });
        if self.takes_later {
            codes.extend(OF_LATER);
            let accepted = "It is durable, and will be answered at `Location`.";
            let names = [
                "X-Request-Id",
                "Location",
                "Retry-After",
                "Preference-Applied",
                "Idempotency-Replayed",
            ];
            responses.insert("202".to_owned(), document_of_request(accepted, &names));
            call["parameters"] = parameters().keys().map(|name| parameter(name)).collect();
        }
        faults::add(&mut responses, Answers::Model, codes);
        responses.insert(
            "default".to_owned(),
            json!({"description": "Any other answer of the model.", "content": {"*/*": {}}}),
        );
        call["responses"] = responses.into();
        call
    }

    fn security(&self) -> Value {
        match self.shown.stored.value.access {
            Access::Public => json!([{}, {"bearer": []}, {"header": []}]),
            Access::Keys | Access::Project | Access::Instance => keys(),
        }
    }

    fn components(&self) -> Value {
        let live = self.shown.live.as_deref();
        let mut schemas = Map::new();
        schemas.insert("Problem".to_owned(), faults::schema());
        for (name, example) in [
            (
                "InputOfModel",
                live.and_then(|spec| spec.input_example.as_ref()),
            ),
            (
                "OutputOfModel",
                live.and_then(|spec| spec.output_example.as_ref()),
            ),
        ] {
            if let Some(example) = example {
                schemas.insert(name.to_owned(), schema_of(example.as_value()));
            }
        }
        let mut components = json!({
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key",
                    "description": "The same, where `Authorization` is taken."},
            },
            "headers": response_headers(self.takes_later),
        });
        if self.takes_later {
            schemas.extend(async_schemas());
            components["parameters"] = parameters().into();
        }
        components["schemas"] = schemas.into();
        components
    }
}

// === impl Operation ===

impl Operation {
    fn word(self) -> &'static str {
        match self {
            Self::Predict => "predict",
            Self::Stream => "stream",
        }
    }

    fn summary(self) -> &'static str {
        match self {
            Self::Predict => "Ask the model",
            Self::Stream => "Ask the model, and read its answer as it comes",
        }
    }
}

// === parts ===

/// A body of which an example may be known; then it is JSON.
fn content(example: Option<&Example>, schema: &str) -> Value {
    match example {
        Some(example) => json!({"application/json": {
            "schema": {"$ref": format!("#/components/schemas/{schema}")},
            "example": example,
        }}),
        None => json!({"*/*": {}}),
    }
}

fn keys() -> Value {
    json!([{"bearer": []}, {"header": []}])
}

fn headers(names: &[&str]) -> Value {
    let refs = names.iter().map(|name| {
        let header = json!({"$ref": format!("#/components/headers/{name}")});
        ((*name).to_owned(), header)
    });
    Value::Object(refs.collect())
}

fn parameter(name: &str) -> Value {
    json!({"$ref": format!("#/components/parameters/{name}")})
}

/// A response that shows how an async request stands.
fn document_of_request(words: &str, names: &[&str]) -> Value {
    json!({"description": words, "headers": headers(names), "content": {"application/json": {
        "schema": {"$ref": "#/components/schemas/AsyncRequest"}}}})
}

/// What a call says that may be answered later.
fn parameters() -> Map<String, Value> {
    let seconds = |max: u32| json!({"type": "integer", "minimum": 1, "maximum": max});
    let all = [
        (
            "X-Async-Request",
            "`true`: the request is kept and answered later, with 202 now.",
            json!({"type": "string", "enum": ["true", "false"]}),
        ),
        (
            "Prefer",
            "`respond-async` asks for the same; with `wait=N` it is answered at once if it is ready \
             within N seconds.",
            json!({"type": "string", "examples": ["respond-async, wait=5"]}),
        ),
        (
            "Idempotency-Key",
            "Of a request to be answered later: the same one with the same body is the same request \
             for a day.",
            json!({"type": "string", "pattern": "^[!-~]{1,255}$"}),
        ),
        (
            "X-Request-Timeout",
            "Of a request to be answered later: seconds that one attempt may take.",
            seconds(86_400),
        ),
        (
            "X-Full-Live-Timeout",
            "Of a request to be answered later: seconds from its acceptance to its end.",
            seconds(604_800),
        ),
        (
            "X-Webhook-URL",
            "Of a request to be answered later: who is told of its end.",
            json!({"type": "string", "pattern": "^https?://[!-~]+$", "maxLength": 2048}),
        ),
    ];
    let all = all.into_iter().map(|(name, words, schema)| {
        let shown = json!({"name": name, "in": "header", "required": false, "description": words,
            "schema": schema});
        (name.to_owned(), shown)
    });
    all.collect()
}

fn response_headers(takes_later: bool) -> Value {
    let all = [
        (
            "X-Request-Id",
            "The request's id: the client's own, or a new one.",
            true,
        ),
        ("X-Deployment-Version", "The version that answered.", true),
        (
            "X-Config-Epoch",
            "The epoch of the configuration that it was answered by.",
            true,
        ),
        (
            "Retry-After",
            "Seconds after which it is worth to look, or to come again.",
            true,
        ),
        (
            "RateLimit",
            "What is left of each limit: `\"key\";r=150;t=1`, t the seconds until all of it is there \
             again.",
            true,
        ),
        (
            "RateLimit-Policy",
            "The limits there are: `\"key\";q=200;w=2`, so many requests in so many seconds.",
            true,
        ),
        ("Location", "Where the request is found.", false),
        ("Preference-Applied", "What of `Prefer` was heeded.", false),
        (
            "Idempotency-Replayed",
            "`true`: this is an earlier request.",
            false,
        ),
        ("X-Async-Status", "How the request stands.", false),
    ];
    let all = all
        .into_iter()
        .filter(|(_, _, always)| *always || takes_later);
    let all = all.map(|(name, words, _)| {
        let header = json!({"description": words, "schema": {"type": "string"}});
        (name.to_owned(), header)
    });
    Value::Object(all.collect())
}

/// The addresses under which a request is followed.
fn fetches() -> Map<String, Value> {
    let id = json!({"name": "id", "in": "path", "required": true,
        "description": "The request's id, as its acceptance told it.",
        "schema": {"type": "string", "pattern": "^[0-9A-Za-z]{31,40}$"}});
    let wait = json!({"name": "wait", "in": "query", "required": false,
        "description": "Seconds to wait for its end.",
        "schema": {"type": "integer", "minimum": 0, "maximum": WAIT_S_MAX}});
    let plain = ["X-Request-Id"];
    let operation = |name: &str, summary: &str, good: Value, codes: &[Code]| {
        let mut responses = match good {
            Value::Object(good) => good,
            _ => Map::new(),
        };
        let answers = match responses.contains_key("default") {
            true => Answers::Model,
            false => Answers::Weir,
        };
        faults::add(
            &mut responses,
            answers,
            OF_FETCHES.iter().chain(codes).copied(),
        );
        json!({"operationId": name, "summary": summary, "security": keys(),
            "responses": responses})
    };
    let stands = document_of_request("How it stands.", &plain);
    let mut status = operation(
        "async_status",
        "See how a request stands",
        json!({"200": stands}),
        &[],
    );
    status["parameters"] = json!([wait]);
    let called_off = json!({
        "200": document_of_request("It is called off.", &plain),
        "202": document_of_request("It is running, and will be called off.", &plain),
    });
    let cancel = |name| operation(name, "Call a request off", called_off.clone(), &OF_CANCELS);
    let answer = json!({
        "200": {"description": "The model's answer.",
            "headers": headers(&["X-Request-Id", "X-Deployment-Version", "X-Async-Status"]),
            "content": {"*/*": {}}},
        "202": document_of_request("It has not been answered yet.",
            &["X-Request-Id", "Retry-After", "X-Async-Status"]),
        "default": {"description": "Any other answer of the model.", "content": {"*/*": {}}},
    });
    let result = operation(
        "async_result",
        "Fetch the model's answer",
        answer,
        &OF_RESULTS,
    );
    let ids = json!([id]);
    let paths = json!({
        "/async/{id}": {"parameters": ids, "get": status, "delete": cancel("async_delete")},
        "/async/{id}/result": {"parameters": ids, "get": result},
        "/async/{id}/cancel": {"parameters": ids, "post": cancel("async_cancel")},
    });
    match paths {
        Value::Object(paths) => paths,
        _ => Map::new(),
    }
}

/// The document of an async request and what it is made of, as in the admin API's description.
fn async_schemas() -> Map<String, Value> {
    let mut all = vec![(AsyncRequest::name().into_owned(), AsyncRequest::schema())];
    AsyncRequest::schemas(&mut all);
    let mut all: Map<String, Value> = all
        .into_iter()
        .map(|(name, schema)| (name, serde_json::to_value(schema).unwrap_or_default()))
        .collect();
    let request = &mut all["AsyncRequest"];
    if let Some(members) = request["properties"].as_object_mut() {
        members.retain(|name, _| !OF_OPERATORS.contains(&name.as_str()));
    }
    if let Some(required) = request["required"].as_array_mut() {
        required.retain(|name| !OF_OPERATORS.iter().any(|own| name == own));
    }
    all
}
