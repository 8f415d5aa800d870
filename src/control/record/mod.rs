//! What control keeps in the store: one type per kind of record, and where each lies.
//!
//! ```text
//! tenant/{t}   project/{p}   token/{id}   former/{p} ──▶ the tenant of a deleted project
//! deployment/{p}/{d}   version/{p}/{d}/{n}   readme/{p}/{d}
//! keys/i/{id}   keys/p/{p}/{id}   keys/d/{p}/{d}/{id}     digest/{blake3} ──▶ the key's place
//! task/{id}   idempotency/{who}/{hash} ──▶ task
//! journal: history/{p}/{d}   history   audit
//! ```
//!
//! These are JSON. A field that comes later has a default, so that what is stored stays readable.

mod deployment;
mod history;
mod key;
mod people;
pub mod place;
mod task;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

pub use deployment::{
    Deployment, DeploymentState, Managed, Readme, Share, StoppedChallenger, Version, VersionStatus,
    display,
};
pub use history::{Action, Deed, FieldChange, Happening};
pub use key::{Key, KeyStatus};
pub use people::{Project, Tenant, Token};
pub use task::{Idempotency, Task, TaskKind, TaskStatus};

use crate::{base::id::Revision, store::Record};

/// What is stored, with the commit that stored it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored<T> {
    /// The commit.
    pub revision: Revision,
    /// What.
    pub value: T,
}

/// A record that can't be read: the store was written by something else, or is damaged.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the record {place} can't be read: {why}")]
pub struct Unreadable {
    /// Its key.
    pub place: String,
    /// Why.
    pub why: String,
}

/// Reads a record.
///
/// # Errors
/// When it is not of this kind.
pub fn decode<T: DeserializeOwned>(record: &Record) -> Result<Stored<T>, Unreadable> {
    match serde_json::from_slice(&record.value) {
        Ok(value) => Ok(Stored {
            revision: record.revision,
            value,
        }),
        Err(error) => Err(Unreadable {
            place: record.key.clone(),
            why: error.to_string(),
        }),
    }
}

/// A record's or an entry's bytes. None of these types can fail to serialise: their maps have
/// strings for keys.
pub fn encode<T: Serialize>(value: &T) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}
