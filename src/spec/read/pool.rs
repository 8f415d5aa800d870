//! Reads pools: main, the challenger, and their backends.

use std::collections::HashMap;

use super::path::{self, PathError};
use crate::spec::{
    BackendSpec, BackendUrl, PoolSpec, Protocol, Tails, field::Field, reader::Reader,
};

/// Backends of one pool. Picking and probing are built for dozens.
const BACKENDS_MAX: usize = 256;
/// The longest backend address, in bytes: a host name has 253 at most, a path 1,024.
const URL_BYTES_MAX: usize = 1_400;
/// The heaviest backend; the design's range is 0 to 1,000.
const WEIGHT_MAX: u64 = 1_000;
/// Prefixes that a pool may limit its tails to.
const TAILS_MAX: usize = 64;
/// A day: nothing that anybody waits for takes longer.
pub(in crate::spec) const TIMEOUT_MS_MAX: u64 = 86_400_000;

/// Reads a pool's keys; those of a challenger stand in the same table.
pub(super) fn pool(reader: &mut Reader<'_>) -> PoolSpec {
    let default = PoolSpec::default();
    let backends = reader
        .required("backends")
        .and_then(|field| backends(&field));
    PoolSpec {
        backends: backends.unwrap_or_default(),
        predict_path: path_of(reader, "predict_path").unwrap_or(default.predict_path),
        stream_path: path_of(reader, "stream_path").unwrap_or(default.stream_path),
        health_path: path_of(reader, "health_path"),
        tails: reader
            .field("tails")
            .and_then(|field| tails(&field))
            .unwrap_or_default(),
    }
}

pub(super) fn path_of(reader: &mut Reader<'_>, key: &'static str) -> Option<String> {
    quoting(&reader.field(key)?, path::path)
}

/// Parses a path and puts the text in front of what is wrong with it.
fn quoting<T>(field: &Field<'_>, parse: impl FnOnce(&str) -> Result<T, PathError>) -> Option<T> {
    field.parse(|text| parse(text).map_err(|error| format!("{}: {error}", field.quote(text))))
}

fn tails(field: &Field<'_>) -> Option<Tails> {
    if field.is_text() {
        return field.choice(&[("any", ())]).map(|()| Tails::Any);
    }
    let prefixes: Vec<_> = field
        .list_within(TAILS_MAX)?
        .map(|item| quoting(&item, path::tail_prefix))
        .collect();
    prefixes
        .into_iter()
        .collect::<Option<_>>()
        .map(Tails::Prefixes)
}

fn backends(field: &Field<'_>) -> Option<Vec<BackendSpec>> {
    let items = field.list_within(BACKENDS_MAX)?;
    if items.len() == 0 {
        field.wrong("a pool needs at least one backend");
        return None;
    }
    let mut first = HashMap::new();
    let read: Vec<_> = items
        .map(|item| {
            let backend = item.table(backend)?;
            let earlier = first
                .entry(backend.url.clone())
                .or_insert_with(|| item.pointer().to_owned());
            if earlier != item.pointer() {
                item.wrong(format!("{} stands at {earlier} already", backend.url));
            }
            Some(backend)
        })
        .collect();
    let backends: Vec<_> = read.into_iter().collect::<Option<_>>()?;
    if backends
        .iter()
        .all(|backend: &BackendSpec| backend.weight == 0)
    {
        field.wrong("at least one backend needs a weight above 0");
    }
    Some(backends)
}

fn backend(reader: &mut Reader<'_>) -> Option<BackendSpec> {
    let url = reader.required("url").and_then(|field| backend_url(&field));
    let weight = reader.integer("weight", 0..=WEIGHT_MAX, 1);
    let protocols = [
        ("http1", Protocol::Http1),
        ("h2c", Protocol::H2c),
        ("h2", Protocol::H2),
    ];
    let protocol = reader.choice("protocol", &protocols);
    let url = url?;
    if let Err(why) = protocol.check(&url) {
        reader.wrong("protocol", why);
    }
    Some(BackendSpec {
        url,
        weight,
        protocol,
    })
}

fn backend_url(field: &Field<'_>) -> Option<BackendUrl> {
    let text = field.text_within(1..=URL_BYTES_MAX)?;
    if text.contains('@') {
        // What stands before it may be a password, so these words repeat nothing.
        field.wrong("a backend address has no user name, password or @");
        return None;
    }
    let url = field.parse(BackendUrl::parse)?;
    if let Err(error) = path::plain(url.path()) {
        field.wrong(format!("{}: {error}", field.quote(text)));
        return None;
    }
    Some(url)
}
