//! `weir deployment update`: what is no part of a version.

use serde_json::{Value, json};

use super::{Target, create::ACCESSES, info, started::body};
use crate::cli::{
    failure::Failure,
    remote::{Call, Session, path_of},
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct UpdateArgs {
    #[command(flatten)]
    pub(super) target: Target,
    /// Free text
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// What people call it; an empty one means its name again
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// A word to find it by; may be given several times, and replaces all there are
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Take all tags away
    #[arg(long, conflicts_with = "tags")]
    no_tags: bool,
    /// Whose keys open it
    #[arg(long, value_parser = ACCESSES)]
    access: Option<String>,
    /// How many retired versions stay warm
    #[arg(long, value_name = "COUNT")]
    keep_previous: Option<u32>,
}

/// Changes what the flags name.
///
/// # Errors
/// As calls of the API; when no flag names anything.
pub(super) fn run(arguments: &UpdateArgs, session: &Session) -> Result<(), Failure> {
    let name = arguments.target.name()?;
    let tags = match (arguments.tags.is_empty(), arguments.no_tags) {
        (true, false) => Value::Null,
        _ => json!(arguments.tags),
    };
    let body = body(&[
        ("description", json!(arguments.description)),
        ("display_name", json!(arguments.display_name)),
        ("tags", tags),
        ("access", json!(arguments.access)),
        ("keep_previous", json!(arguments.keep_previous)),
    ]);
    if body.as_object().is_none_or(serde_json::Map::is_empty) {
        return Err(Failure::usage("nothing to change is named").hint(
            "what can be changed so is --description, --display-name, --tag, --access and \
             --keep-previous; `weir deployment limits` and `weir deployment overload` say how much it \
             may be asked for; all else takes a new version: `weir deployment deploy`",
        ));
    }
    let call = Call::patch(&path_of(&name, "")).json(&body);
    let deployment = session.client.send(call)?.json()?;
    if session.out.is_json() {
        return session.out.json(&deployment);
    }
    info::summary(&deployment, session)
}
