//! Declarations as TOML: only what differs from the defaults, always in the same order.

use std::fmt::Write;

use serde_json::Value;

use super::{
    normal::{sparse, sparse_overload},
    toml_text::{inline, key, list, long_text, text as quoted, time},
};
use crate::{
    cli::terminal::safe,
    spec::{Access, Declarations, DeploymentSpec, KeySpec, LimitsSpec, VersionSpec},
};

/// The text of a file with these declarations, and with notes in its head.
pub(super) fn text(declared: &Declarations, notes: &[String], gateway: &str) -> String {
    // Without the time: in git, a file changes when the gateway does.
    let mut out = format!(
        "# What stands at {}, written by `weir export`.\n\
         # `weir apply -f FILE` makes a gateway like this, `weir diff -f FILE` says where one differs.\n\
         # A key stands here by its digest, from which nobody can make the key.\n",
        safe(gateway)
    );
    for note in notes {
        push(&mut out, &format!("# Note: {}", safe(note)));
    }
    out.push_str(&body(declared));
    out
}

/// The declarations alone.
pub(super) fn body(declared: &Declarations) -> String {
    let mut out = String::new();
    for tenant in &declared.tenants {
        push(&mut out, "\n[[tenant]]");
        pair(&mut out, "name", &quoted(tenant.name.as_str()));
        unless_empty(&mut out, "description", &tenant.description);
    }
    for project in &declared.projects {
        push(&mut out, "\n[[project]]");
        pair(&mut out, "name", &quoted(project.name.as_str()));
        if let Some(tenant) = &project.tenant {
            pair(&mut out, "tenant", &quoted(tenant.as_str()));
        }
        unless_empty(&mut out, "description", &project.description);
    }
    for spec in &declared.deployments {
        deployment(&mut out, spec);
    }
    for spec in &declared.keys {
        api_key(&mut out, spec);
    }
    out
}

fn deployment(out: &mut String, spec: &DeploymentSpec) {
    push(out, "\n[[deployment]]");
    pair(out, "project", &quoted(spec.name.project()));
    pair(out, "name", &quoted(spec.name.deployment()));
    if spec.display_name != spec.name.deployment() {
        pair(out, "display_name", &quoted(&spec.display_name));
    }
    unless_empty(out, "description", &spec.description);
    if !spec.tags.is_empty() {
        let tags: Vec<String> = spec.tags.iter().map(|tag| quoted(tag)).collect();
        pair(out, "tags", &format!("[{}]", tags.join(", ")));
    }
    if spec.access != Access::default() {
        let access = serde_json::to_value(spec.access).unwrap_or_default();
        pair(out, "access", &inline(&access));
    }
    if spec.keep_previous != 0 {
        pair(out, "keep_previous", &spec.keep_previous.to_string());
    }
    limits(out, &spec.limits);
    if let Some(overload) = &spec.overload {
        pair(out, "overload", &inline(&sparse_overload(overload)));
    }
    version(out, &spec.version);
}

fn limits(out: &mut String, spec: &LimitsSpec) {
    if !spec.is_default() {
        let limits = serde_json::to_value(spec).unwrap_or_default();
        pair(out, "limits", &inline(&limits));
    }
}

/// A version: first what is a value, then a table for each part.
fn version(out: &mut String, spec: &VersionSpec) {
    let Value::Object(members) = sparse(spec) else {
        return;
    };
    let is_part = |value: &Value| value.as_object().is_some_and(|own| !own.is_empty());
    let (parts, values): (Vec<_>, Vec<_>) = members.iter().partition(|(_, value)| is_part(value));
    if !values.is_empty() {
        push(out, "\n[deployment.version]");
    }
    for (name, value) in values {
        member(out, name, value);
    }
    for (part, value) in parts {
        push(out, &format!("\n[deployment.version.{}]", key(part)));
        for (name, value) in value.as_object().into_iter().flatten() {
            member(out, name, value);
        }
    }
}

fn member(out: &mut String, name: &str, value: &Value) {
    let value = match value {
        Value::String(text) => long_text(text),
        Value::Array(items) if name == "backends" => list(items),
        value => inline(value),
    };
    pair(out, name, &value);
}

fn api_key(out: &mut String, spec: &KeySpec) {
    push(out, "\n[[key]]");
    if spec.id != spec.digest.to_key_id() {
        pair(out, "id", &quoted(spec.id.as_str()));
    }
    pair(out, "digest", &quoted(&spec.digest.to_hex()));
    pair(out, "scope", &quoted(&spec.scope.to_string()));
    unless_empty(out, "description", &spec.description);
    if spec.may_pin {
        pair(out, "may_pin", "true");
    }
    limits(out, &spec.limits);
    if !spec.priority.is_default() {
        pair(out, "priority", &quoted(spec.priority.as_str()));
    }
    if let Some(ms) = spec.expires_at_ms {
        pair(out, "expires_at", &time(ms));
    }
}

fn unless_empty(out: &mut String, name: &str, text: &str) {
    if !text.is_empty() {
        pair(out, name, &long_text(text));
    }
}

fn pair(out: &mut String, name: &str, value: &str) {
    push(out, &format!("{} = {value}", key(name)));
}

fn push(out: &mut String, line: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{line}");
}
