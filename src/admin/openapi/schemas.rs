//! What JSON Schema can say of bodies and Rust's types can not: members that depend on each other,
//! items that differ, names of free members.

use serde_json::{Value, json};
use utoipa::{PartialSchema, ToSchema};

use crate::admin::problem::ProblemBody;

/// A text in one line.
const LINE: &str = r"^[^\u0000-\u001F\u007F-\u009F]*$";

/// Members of patches that null takes away.
const LIFTED: [&str; 2] = ["limits", "overload"];

/// Completes the schemas of a document.
pub(super) fn complete(document: &mut Value) {
    let schemas = &mut document["components"]["schemas"];
    // No handler names what every one of them may answer.
    let mut more = vec![(ProblemBody::name().into_owned(), ProblemBody::schema())];
    ProblemBody::schemas(&mut more);
    for (name, schema) in more {
        schemas[name] = serde_json::to_value(schema).unwrap_or_default();
    }
    for pool in ["PoolSpec", "ChallengerSpec"] {
        let backends = &mut schemas[pool]["properties"]["backends"];
        // `uniqueItems` says less than the words do: it compares whole backends.
        backends["uniqueItems"] = json!(true);
        backends["contains"] = json!({"type": "object",
            "properties": {"weight": {"type": ["integer", "null"], "minimum": 1}}});
    }
    for (body, list) in [
        ("NewDeployment", "tags"),
        ("DeploymentPatch", "tags"),
        ("NewToken", "projects"),
        ("NewSubscription", "events"),
        ("NewSubscription", "deployments"),
        ("SubscriptionPatch", "events"),
        ("SubscriptionPatch", "deployments"),
    ] {
        schemas[body]["properties"][list]["uniqueItems"] = json!(true);
    }
    let labels = &mut schemas["VersionSpec"]["properties"]["labels"];
    labels["maxProperties"] = json!(64);
    labels["propertyNames"] = json!({"minLength": 1, "maxLength": 64, "pattern": LINE});
    schemas["NewToken"]["properties"]["name"]["pattern"] = json!(
        r"^(?=.*[^\u0020\u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000])[^\u0000-\u001F\u007F-\u009F]+$"
    );
    for patch in ["DeploymentPatch", "KeyPatch", "SubscriptionPatch"] {
        schemas[patch]["anyOf"] = patches(&schemas[patch]);
    }
    for kind in 0..2 {
        schemas["Target"]["oneOf"][kind]["additionalProperties"] = json!(false);
    }
    let to = &mut schemas["Target"]["oneOf"][1]["properties"]["to"];
    to["uniqueItems"] = json!(true);
    to["items"]["format"] = json!("email");
    schemas["NewShare"]["oneOf"] = json!([
        {"required": ["project"],
         "properties": {"project": {"type": "string"}, "tenant": {"type": "null"}}},
        {"required": ["tenant"],
         "properties": {"tenant": {"type": "string"}, "project": {"type": "null"}}},
    ]);
    schemas["NewToken"]["oneOf"] = reaches();
    // A key is brought in one of its two forms.
    schemas["NewKey"]["not"] = json!({"required": ["secret", "digest"],
        "properties": {"secret": {"type": "string"}, "digest": {"type": "string"}}});
    schemas["Tails"]["oneOf"][1]["maxItems"] = json!(64);
    // A GET has no body.
    schemas["WarmUpSpec"]["if"] = json!({"required": ["method"],
        "properties": {"method": {"const": "GET"}}});
    schemas["WarmUpSpec"]["then"] = json!({"properties": {"body": {"maxLength": 0}}});
    addressed(schemas);
    limited(schemas);
    compared(schemas);
    plain_numbers(document);
}

/// What of limits depends on what else of them.
fn limited(schemas: &mut Value) {
    let there = |limit: &str| json!({"required": [limit], "properties": {limit: {"not": {"type": "null"}}}});
    schemas["LimitsSpec"]["allOf"] = json!([
        {"anyOf": [
            {"properties": {"burst": {"type": "null"}}},
            there("requests_per_second"),
        ]},
        {"anyOf": [
            {"properties": {"mode": {"type": "null"}}},
            there("requests_per_second"),
            there("concurrency_max"),
            there("bytes_per_second"),
            there("requests_per_day"),
        ]},
    ]);
}

/// HTTP/2 is spoken in clear text or under TLS, and which is in the address, too.
fn addressed(schemas: &mut Value) {
    let either = schemas["BackendSpec"]["properties"]["url"]["pattern"].take();
    let either = either.as_str().unwrap_or_default();
    let at = |scheme: &str, protocol: &str| {
        json!({"properties": {
            "url": {"pattern": either.replacen("https?", scheme, 1)},
            "protocol": {"enum": ["http1", protocol, null]},
        }})
    };
    schemas["BackendSpec"]["anyOf"] = json!([at("http", "h2c"), at("https", "h2")]);
    if let Some(url) = schemas["BackendSpec"]["properties"]["url"].as_object_mut() {
        url.remove("pattern");
    }
}

/// What of a challenger depends on what else of it.
fn compared(schemas: &mut Value) {
    let off = json!({"enum": [false, null]});
    schemas["VersionSpec"]["anyOf"] = json!([
        {"required": ["challenger"], "properties": {"challenger": {"type": "object"}}},
        {"properties": {"auto_promote": off, "auto_stop": off}},
    ]);
    let kind = |words: Value| json!({"required": ["kind"], "properties": {"kind": words}});
    schemas["CompareSpec"]["allOf"] = json!([
        {"if": kind(json!({"enum": ["label", "number"]})),
         "then": {"required": ["pointer"], "properties": {"pointer": {"type": "string"}}}},
        {"if": kind(json!({"const": "text"})),
         "then": {"properties": {"tolerance_abs": {"maximum": 1}}}},
    ]);
}

/// One member at least that is not null, but where null says something, too.
fn patches(patch: &Value) -> Value {
    let members = patch["properties"].as_object().into_iter().flatten();
    members
        .map(|(name, _)| match LIFTED.contains(&name.as_str()) {
            true => json!({"required": [name]}),
            false => json!({"required": [name], "properties": {name: {"not": {"type": "null"}}}}),
        })
        .collect()
}

/// Which role names what.
fn reaches() -> Value {
    let none = json!({"maxItems": 0});
    let some = json!({"type": "array", "minItems": 1});
    json!([
        {"properties": {"role": {"const": "org-admin"}, "tenant": {"type": "null"},
            "projects": none}},
        {"required": ["tenant"], "properties": {"role": {"const": "tenant-admin"},
            "tenant": {"type": "string"}, "projects": none}},
        {"required": ["projects"], "properties": {"role": {"const": "member"},
            "tenant": {"type": "null"}, "projects": some}},
        {"properties": {"role": {"const": "viewer"}, "tenant": {"type": "null"}}},
        {"required": ["tenant"], "properties": {"role": {"const": "viewer"},
            "tenant": {"type": "string"}, "projects": none}},
    ])
}

/// Numbers have limits of their own; the formats of machine words beside them say nothing more.
fn plain_numbers(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let is_number = members.get("format").is_some_and(|format| {
                matches!(
                    format.as_str(),
                    Some("int32" | "int64" | "double" | "float")
                )
            });
            if is_number {
                members.shift_remove("format");
            }
            members.values_mut().for_each(plain_numbers);
        }
        Value::Array(items) => items.iter_mut().for_each(plain_numbers),
        _ => {}
    }
}
