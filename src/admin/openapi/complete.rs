//! What operations have in common, written once instead of at each handler: parameters in addresses,
//! conditions, problems, headers, dry runs.

use serde_json::{Map, Value, json};

use crate::admin::moment;

/// What a segment of an address may hold: name, pattern, description, example.
const SEGMENTS: [(&str, &str, &str, &str); 11] = [
    ("tenant", NAME, "The tenant's name", "default"),
    ("project", NAME, "The project's name", "demo"),
    ("deployment", NAME, "The deployment's URL name", "iris"),
    ("version", "^[1-9][0-9]{0,9}$", "The version's number", "1"),
    (
        "share",
        "^(project|tenant):[a-z0-9][a-z0-9._-]{0,62}$",
        "The share's id",
        "project:fraud",
    ),
    ("key", ID, "The key's public id", "k7"),
    ("token", ID, "The token's public id", "t7"),
    ("subscription", ID, "The subscription's id", "s7"),
    ("task", ID, "The task's id", "t7"),
    ("pair", "^[1-9][0-9]{0,17}$", "The pair's number", "17"),
    (
        "request",
        "^[0-9A-Za-z]{31,40}$",
        "The async request's id",
        "02Wq7ZkH3vT0lQh5nB8xUe1RcDy4GjKsP",
    ),
];
const NAME: &str = "^[a-z0-9][a-z0-9._-]{0,62}$";
const ID: &str = "^[0-9A-Za-z_-]{1,64}$";

/// Problems by status: the component's name, and when it happens.
const PROBLEMS: [(&str, &str, &str); 17] = [
    (
        "400",
        "BadRequest",
        "Malformed: the query, a header, or JSON.",
    ),
    ("401", "Unauthorized", "No valid admin token."),
    (
        "403",
        "Forbidden",
        "The token's role does not allow it, or the page's origin.",
    ),
    (
        "404",
        "NotFound",
        "Something that is named is not there; the code says what.",
    ),
    (
        "405",
        "MethodNotAllowed",
        "Not with this method; `Allow` names those that are.",
    ),
    ("408", "RequestTimeout", "The body took too long to arrive."),
    (
        "409",
        "Conflict",
        "The state of things forbids it; the code says why.",
    ),
    (
        "410",
        "Gone",
        "It ended without an answer: it was called off, or its time was over.",
    ),
    (
        "412",
        "PreconditionFailed",
        "It is at another revision than `If-Match` names.",
    ),
    ("413", "ContentTooLarge", "The body is too large."),
    (
        "415",
        "UnsupportedMediaType",
        "The body is of a type that is not read here.",
    ),
    (
        "421",
        "MisdirectedRequest",
        "This listener is not known by the name in `Host`.",
    ),
    (
        "422",
        "UnprocessableContent",
        "The body has mistakes; every one is listed.",
    ),
    (
        "429",
        "TooManyRequests",
        "A key has as many requests waiting as it may.",
    ),
    (
        "500",
        "InternalServerError",
        "weir failed; its log says more.",
    ),
    (
        "502",
        "BadGateway",
        "It failed without an answer of the model; the code says why.",
    ),
    (
        "503",
        "ServiceUnavailable",
        "The store is out of service, or the call took too long.",
    ),
];

/// What happens to any call of an operation with a token.
const ALWAYS: [&str; 8] = ["400", "401", "403", "413", "415", "421", "500", "503"];

/// The last segments of calls that change what their address names, beside PATCH, PUT and DELETE.
const CONDITIONAL: [&str; 11] = [
    "versions", "rollback", "promote", "stop", "restart", "shares", "revoke", "cancel", "pause",
    "resume", "rotate",
];

const TAGS: [(&str, &str); 19] = [
    ("tenants", "Organisations"),
    ("projects", "Groups of deployments inside a tenant"),
    ("deployments", "Stable names that applications call"),
    (
        "versions",
        "What a deployment answers with, numbered and immutable",
    ),
    ("lifecycle", "Between versions, and in and out of service"),
    ("history", "What happened to a deployment"),
    (
        "logs",
        "A deployment's newest requests, and what happened to it",
    ),
    ("monitoring", "What deployments did, step by step"),
    (
        "comparison",
        "Whether a challenger is as good as main, pair by pair and in all",
    ),
    ("shares", "Who else may see and call a deployment"),
    ("readme", "What people write about a deployment"),
    ("keys", "What lets applications call deployments"),
    (
        "async",
        "Requests that are run later, and who is told of their ends",
    ),
    ("tasks", "Background pieces of control work"),
    ("tokens", "Who may use this API"),
    (
        "subscriptions",
        "Who is told what happens in a project, by webhook or mail",
    ),
    ("events", "What happens, live"),
    ("status", "How this gateway stands"),
    ("audit", "Who was turned away"),
];

/// One operation, with what its place says of it.
struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    value: &'a mut Map<String, Value>,
}

/// Completes a document.
pub(super) fn complete(document: &mut Value) {
    document["openapi"] = json!("3.1.0");
    document["info"] = json!({
        "title": "weir",
        "version": env!("CARGO_PKG_VERSION"),
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        "description": DESCRIPTION,
    });
    document["servers"] = json!([{"url": "/"}]);
    let reference = ("reference", "This description");
    let tags = TAGS.iter().chain([&reference]);
    document["tags"] = tags
        .map(|(name, words)| json!({"name": name, "description": words}))
        .collect();
    document["components"]["securitySchemes"] = json!({"token": {
        "type": "http", "scheme": "bearer",
        "description": "An admin token. An API key is none, and the other way round.",
    }});
    document["components"]["responses"] = problems();
    document["components"]["headers"] = headers();
    let Some(Value::Object(paths)) = document.get_mut("paths") else {
        return;
    };
    for (path, item) in paths {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            if let Value::Object(value) = operation {
                Operation {
                    path,
                    method,
                    value,
                }
                .complete();
            }
        }
    }
}

const DESCRIPTION: &str = "The admin plane of weir, an inference gateway and router.\n\n\
Every change names in `X-Config-Epoch` the epoch from which on it is in force on every worker. \
Errors are problem documents (RFC 9457) with a stable `code`. Lists come in pages: pass `next` as \
`cursor`. What can be changed has an `ETag`; send it as `If-Match` and a lost race is a 412. \
`dry_run=true` checks everything and changes nothing. A call that starts a task answers at once, or \
with `wait=S` when the task has ended; the same `Idempotency-Key` gives the same task again.";

fn problems() -> Value {
    let all = PROBLEMS.iter().map(|(_, name, words)| {
        let response = json!({
            "description": words,
            "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
            "content": {"application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"}}},
        });
        ((*name).to_owned(), response)
    });
    Value::Object(all.collect())
}

fn headers() -> Value {
    json!({
        "X-Request-Id": {
            "description": "The request's id: the client's own, or a new one.",
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"}},
        "X-Config-Epoch": {
            "description": "The epoch by which every worker admits when this is answered.",
            "schema": {"type": "integer", "minimum": 0}},
        "ETag": {
            "description": "The record's revision, for `If-Match` and `If-None-Match`.",
            "schema": {"type": "string", "pattern": "^\"r[0-9]+(-[0-9a-f]{8})?\"$"}},
        "Location": {
            "description": "Where what was made is found.",
            "schema": {"type": "string", "pattern": "^/api/v1/"}},
    })
}

// === impl Operation ===

impl Operation<'_> {
    fn complete(mut self) {
        self.name();
        self.parameters();
        self.dry_run();
        self.problems();
        self.response_headers();
        let is_open = !self.path.starts_with("/api/v1");
        let security = if is_open {
            json!([])
        } else {
            json!([{"token": []}])
        };
        self.value.insert("security".to_owned(), security);
    }

    fn is_change(&self) -> bool {
        self.method != "get"
    }

    fn last(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Whether it is about one async request, which has no revision: the queue alone changes it.
    fn is_of_request(&self) -> bool {
        self.path.contains("/async/{")
    }

    fn is_conditional(&self) -> bool {
        if self.is_of_request() {
            return false;
        }
        let by_method = matches!(self.method, "patch" | "put" | "delete");
        by_method || self.method == "post" && CONDITIONAL.contains(&self.last())
    }

    fn has_parameter(&self, name: &str) -> bool {
        let parameters = self.value.get("parameters").and_then(Value::as_array);
        parameters.is_some_and(|all| all.iter().any(|own| own["name"] == name))
    }

    fn has_body(&self) -> bool {
        self.value.contains_key("requestBody")
    }

    /// Keys have three mounts with the same handlers; their ids have to differ.
    fn name(&mut self) {
        let mount = match self.path {
            path if !path.contains("/keys") => return,
            path if path.contains("{deployment}") => "deployment_",
            path if path.contains("{project}") => "project_",
            _ => "instance_",
        };
        if let Some(Value::String(id)) = self.value.get_mut("operationId") {
            id.insert_str(0, mount);
        }
    }

    fn parameters(&mut self) {
        let segments = self.path.split('/').filter_map(|segment| {
            let name = segment.strip_prefix('{')?.strip_suffix('}')?;
            SEGMENTS.iter().find(|(own, ..)| *own == name)
        });
        let mut all: Vec<Value> = segments
            .map(|(name, pattern, words, example)| {
                json!({"name": name, "in": "path", "required": true, "description": words,
                    "schema": {"type": "string", "pattern": pattern}, "example": example})
            })
            .collect();
        if let Some(Value::Array(own)) = self.value.remove("parameters") {
            all.extend(own.into_iter().map(not_null));
        }
        for own in all.iter_mut().filter(|own| own["name"] == "cursor") {
            // What it goes on behind, and a check that tells it from a typing mistake.
            own["schema"] = json!({"type": "string",
                "pattern": "^[0-9A-Za-z._/-]{1,127}~[0-9a-f]{8}$"});
        }
        for own in &mut all {
            if matches!(own["name"].as_str(), Some("from" | "to")) {
                own["schema"] = json!({"type": "string", "minLength": 1, "maxLength": 64,
                    "pattern": moment::PATTERN});
            }
        }
        let header = |name: &str, words: &str, schema: Value| {
            json!({"name": name, "in": "header", "required": false, "description": words,
                "schema": schema})
        };
        let tags = json!({"type": "string", "format": "entity-tags",
            "pattern": "^(\\*|(W/)?\"[!#-~]*\"(, (W/)?\"[!#-~]*\"){0,7})$"});
        if self.is_conditional() {
            let words = "Only if it is at one of these: `*`, or a list of tags.";
            all.push(header("If-Match", words, tags.clone()));
        }
        if self.is_tagged() {
            let words = "Only if it is none of these: `*`, or a list of tags. Else 304.";
            all.push(header("If-None-Match", words, tags));
        }
        // Of calls that start a task: the others change what they change at once, or not at all.
        if all.iter().any(|own| own["name"] == "if_busy") {
            let words = "Your own id of this request. The same one with the same body, by the same \
                         token, gives the same task again.";
            let schema = json!({"type": "string", "pattern": "^[!-~]{1,128}$"});
            all.push(header("Idempotency-Key", words, schema));
        }
        self.value.insert("parameters".to_owned(), all.into());
    }

    /// Whether its answer has a tag: it shows one thing.
    fn is_tagged(&self) -> bool {
        let is_one = self.last().starts_with('{');
        let is_named = matches!(self.last(), "readme" | "webhook" | "openapi.json");
        self.method == "get" && (is_one || is_named) && !self.is_of_request()
    }

    fn dry_run(&mut self) {
        if !self.has_parameter("dry_run") {
            return;
        }
        let mark = json!({"type": "object", "required": ["dry_run"],
            "properties": {"dry_run": {"const": true, "description": "Nothing was changed."}}});
        let responses = &mut self.value["responses"];
        if responses.get("200").is_some() {
            // The answer of a real one has that status too; it is told by its mark.
            return;
        }
        let real = ["201", "202", "204"].iter().find(|status| {
            let own = responses.get(**status);
            own.is_some()
        });
        let Some(real) = real else {
            return;
        };
        let shown = &responses[*real]["content"]["application/json"]["schema"];
        let schema = match shown {
            Value::Null => mark,
            shown => json!({"allOf": [shown, mark]}),
        };
        responses["200"] = json!({
            "description": "With `dry_run=true`: what would be.",
            "content": {"application/json": {"schema": schema}},
        });
        if *real == "204" {
            // Indexing left a null behind.
            responses["204"] = json!({"description": "It is gone."});
        }
    }

    fn problems(&mut self) {
        let mut statuses: Vec<&str> = ALWAYS.into();
        if !self.path.starts_with("/api/v1") {
            statuses.retain(|status| !matches!(*status, "401" | "403"));
        }
        if self.path.contains('{') || self.is_change() || self.has_parameter("deployment") {
            statuses.push("404");
        }
        if self.is_change() {
            statuses.push("409");
        }
        if self.is_conditional() {
            statuses.push("412");
        }
        if self.has_body() {
            statuses.push("408");
        }
        if self.has_body() || self.has_parameter("Idempotency-Key") {
            statuses.push("422");
        }
        match (self.is_of_request(), self.last()) {
            (true, "result") => statuses.extend(["410", "502"]),
            (true, "retry") | (false, "replay") => statuses.push("429"),
            _ => {}
        }
        let is_tagged = self.is_tagged();
        let responses = &mut self.value["responses"];
        for (status, name, _) in PROBLEMS {
            if statuses.contains(&status) {
                responses[status] = json!({"$ref": format!("#/components/responses/{name}")});
            }
        }
        if is_tagged {
            responses["304"] = json!({"description": "The client has this answer already."});
        }
        if let Value::Object(responses) = responses {
            responses.sort_keys();
        }
    }

    fn response_headers(&mut self) {
        let (is_change, is_tagged) = (self.is_change(), self.is_tagged());
        let edits = matches!(self.method, "patch" | "put");
        let is_share = self.last() == "shares";
        for (status, response) in self.value["responses"]
            .as_object_mut()
            .into_iter()
            .flatten()
        {
            if !status.starts_with(['2', '3']) {
                continue;
            }
            let mut names = vec!["X-Request-Id"];
            if is_change {
                names.push("X-Config-Epoch");
            }
            // A share is part of its deployment's record and has no tag of its own.
            if is_tagged || edits || status == "201" && !is_share {
                names.push("ETag");
            }
            if matches!(status.as_str(), "201" | "202") {
                names.push("Location");
            }
            let refs = names.into_iter().map(|name| {
                let header = json!({"$ref": format!("#/components/headers/{name}")});
                (name.to_owned(), header)
            });
            response["headers"] = Value::Object(refs.collect());
            if response["description"].as_str().is_none_or(str::is_empty) {
                response["description"] = match status.as_str() {
                    "201" => json!("It is made."),
                    "202" => json!("The task is recorded."),
                    "204" => json!("It is gone."),
                    _ => json!("As asked."),
                };
            }
        }
    }
}

/// A parameter is left out, or has a value: in an address there is no null.
fn not_null(mut parameter: Value) -> Value {
    let schema = &mut parameter["schema"];
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = &types[..] {
            schema["type"] = only.clone();
        }
    }
    if let Some(Value::Array(kinds)) = schema.get_mut("oneOf") {
        kinds.retain(|kind| kind["type"] != "null");
        if let [only] = &kinds[..] {
            *schema = only.clone();
        }
    }
    parameter
}
