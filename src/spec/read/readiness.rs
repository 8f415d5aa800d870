//! Reads what a version has to show before it goes live.

use super::pool::{TIMEOUT_MS_MAX, path_of};
use crate::spec::{ReadinessSpec, WarmUpMethod, WarmUpSpec, field::Field, reader::Reader};

/// A warm-up request's body, in bytes: it stands in every copy of the version.
const BODY_BYTES_MAX: usize = 64 << 10;
/// A content type, in bytes.
const CONTENT_TYPE_BYTES_MAX: usize = 256;

pub(super) fn readiness(reader: &mut Reader<'_>) -> ReadinessSpec {
    let mut ms = |key| reader.field(key)?.integer(0..=TIMEOUT_MS_MAX);
    ReadinessSpec {
        unreachable_ms: ms("unreachable_ms"),
        ready_ms: ms("ready_ms"),
    }
}

pub(super) fn warm_up(reader: &mut Reader<'_>) -> WarmUpSpec {
    let default = WarmUpSpec::default();
    if reader.field("path").is_none() {
        reader.wrong("path", "is missing");
    }
    let methods = [("GET", WarmUpMethod::Get), ("POST", WarmUpMethod::Post)];
    let spec = WarmUpSpec {
        path: path_of(reader, "path").unwrap_or(default.path),
        method: reader.choice("method", &methods),
        content_type: reader
            .field("content_type")
            .and_then(|field| content_type(&field))
            .unwrap_or(default.content_type),
        body: reader.text("body", BODY_BYTES_MAX, ""),
        expect_status: reader.integer("expect_status", 100..=599, default.expect_status),
        timeout_ms: reader.integer("timeout_ms", 1..=TIMEOUT_MS_MAX, default.timeout_ms),
    };
    if spec.method == WarmUpMethod::Get && !spec.body.is_empty() {
        reader.wrong("body", "stands beside GET, which has no body");
    }
    spec
}

/// A text that may stand in a header.
fn content_type(field: &Field<'_>) -> Option<String> {
    let text = field.text_within(1..=CONTENT_TYPE_BYTES_MAX)?;
    let plain = text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if !plain || text.trim() != text {
        field.wrong("a content type is visible ASCII, such as application/json");
        return None;
    }
    Some(text.to_owned())
}
