//! Reads API keys. Nothing that stands in a key's table is repeated in a mistake: what was meant
//! for `secret` may have slipped into any of its values.

use std::collections::HashMap;

use super::{
    limits::{PRIORITIES, limits},
    tables,
    text::{DESCRIPTION_BYTES_MAX, instant_ms},
};
use crate::{
    base::{
        id::KeyId,
        secret::{KeyDigest, KeyFormError, id_within},
    },
    spec::{KeySpec, Scope, field::Field, reader::Reader},
};

/// What is said of a key that is given in both of its forms.
pub(in crate::spec) const BOTH: &str = "stands beside a secret; a key has one of the two";

/// A key's public id, in characters of `[0-9a-zA-Z_-]`.
const ID_CHARS_MAX: usize = 64;

pub(super) fn keys(reader: &mut Reader<'_>) -> Vec<KeySpec> {
    let mut ids = HashMap::new();
    let mut digests = HashMap::new();
    let mut keys = Vec::new();
    for field in tables(reader, "key") {
        let Some(key) = field.table(key) else {
            continue;
        };
        if let Some(earlier) = digests.insert(key.digest, field.pointer().to_owned()) {
            field.wrong(format!("is the same key as {earlier}"));
        } else if let Some(earlier) = ids.insert(key.id.clone(), field.pointer().to_owned()) {
            field.wrong(format!("has the same id as {earlier}"));
        } else {
            keys.push(key);
        }
    }
    keys
}

fn key(reader: &mut Reader<'_>) -> Option<KeySpec> {
    reader.keep_private();
    let identity = identity(reader);
    let id = given_id(reader);
    let scope = reader.required("scope").and_then(|field| scope(&field));
    let description = reader.text("description", DESCRIPTION_BYTES_MAX, "");
    let may_pin = reader.flag("may_pin", false);
    let expires_at_ms = reader.field("expires_at").and_then(|f| instant_ms(&f));
    let limits = limits(reader);
    let priority = reader.choice("priority", &PRIORITIES);
    let (digest, own_id) = identity?;
    Some(KeySpec {
        id: match id {
            Some(given) => given?,
            None => own_id,
        },
        digest,
        scope: scope?,
        description,
        may_pin,
        expires_at_ms,
        limits,
        priority,
    })
}

/// The digest, and the id for a key that is given none.
fn identity(reader: &mut Reader<'_>) -> Option<(KeyDigest, KeyId)> {
    match (reader.field("secret"), reader.field("digest")) {
        (Some(secret), None) => {
            let digest = secret.parse(|text| KeyDigest::of_key(text.as_bytes()))?;
            Some((digest, own_id(secret.text()?, digest)))
        }
        (None, Some(field)) => {
            let digest = digest(&field)?;
            Some((digest, digest.to_key_id()))
        }
        (Some(_), Some(_)) => {
            reader.wrong("digest", BOTH);
            None
        }
        (None, None) => {
            reader.wrong("secret", "is missing; a key has a secret or a digest");
            None
        }
    }
}

/// The public id of a key that is given none.
pub(in crate::spec) fn own_id(secret: &str, digest: KeyDigest) -> KeyId {
    // An imported key may look like ours and carry an id that is longer than ids are.
    let within = id_within(secret).filter(|id| is_id(id.as_str()));
    within.unwrap_or_else(|| digest.to_key_id())
}

/// The id that a key is to have: outer none when none is given, inner none when it is a mistake.
pub(in crate::spec) fn given_id(reader: &mut Reader<'_>) -> Option<Option<KeyId>> {
    reader.field("id").map(|field| id(&field))
}

/// A key by what stands for it.
pub(in crate::spec) fn digest(field: &Field<'_>) -> Option<KeyDigest> {
    field.parse(|text| KeyDigest::from_hex(text).map_err(|_| KeyFormError::Digest))
}

fn id(field: &Field<'_>) -> Option<KeyId> {
    field.parse(|text| {
        if is_id(text) {
            Ok(KeyId::new(text))
        } else {
            Err("an id is 1 to 64 of a-z, A-Z, 0-9, '_', '-'")
        }
    })
}

fn is_id(text: &str) -> bool {
    (1..=ID_CHARS_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn scope(field: &Field<'_>) -> Option<Scope> {
    // `NameError` repeats the text, so its words stay here.
    field.parse(|text| {
        Scope::parse(text)
            .map_err(|_| "a scope is \"instance\", a project, or a project/deployment")
    })
}
