//! How much may be asked for: the flags that say it, and the words that show it. Of keys, of
//! deployments, and of what protects a deployment's backends.

mod flags;
mod names;
mod overload;
mod words;

pub(super) use flags::{LimitFlags, LimitsArgs, PRIORITIES};
pub(super) use names::in_flags;
pub(super) use overload::{OverloadFlags, overload};
pub(super) use words::{limits_in_short, overload_in_short, told};

use serde_json::{Map, Value, json};

use super::{
    failure::Failure,
    remote::{Call, Session},
};

/// Shows or changes the limits of the key or of the deployment at a path of the API.
///
/// # Errors
/// As calls of the API, in the words of the flags; when there is nothing for what they say.
pub(super) fn limits(
    path: &str,
    arguments: &LimitsArgs,
    priority: Option<&str>,
    session: &Session,
) -> Result<(), Failure> {
    let (shown, tag) = session.client.look(path)?;
    let mut patch = Map::new();
    if arguments.none {
        patch.insert("limits".to_owned(), Value::Null);
    } else if !arguments.flags.is_empty() {
        let mut limits = shown["limits"].clone();
        arguments.flags.put_on(&mut limits);
        arguments.flags.check(&limits)?;
        patch.insert("limits".to_owned(), limits);
    }
    if let Some(priority) = priority {
        patch.insert("priority".to_owned(), json!(priority));
    }
    let shown = patched(path, shown, tag.as_deref(), patch, session)?;
    session.out.block(&shown, &told(&shown))
}

/// What stands at a path once this is changed of it; the same when nothing is.
fn patched(
    path: &str,
    shown: Value,
    tag: Option<&str>,
    patch: Map<String, Value>,
    session: &Session,
) -> Result<Value, Failure> {
    if patch.is_empty() {
        return Ok(shown);
    }
    // What is kept of the limits was read a moment ago: whoever changed them since is not overwritten.
    let call = Call::patch(path).json(&Value::Object(patch)).if_match(tag);
    session.client.send(call).map_err(in_flags)?.json()
}
