//! `weir deployment deploy`.

use serde_json::Value;

use super::{
    Target,
    flags::VersionFlags,
    started::{Started, start},
};
use crate::{
    base::name::DeploymentName,
    cli::{
        failure::Failure,
        remote::{Call, Session, path_of},
        task::Patience,
    },
};

/// What stands below the flags.
pub(super) const HELP: &str = "\
Examples:
  weir deployment deploy demo/iris --backend http://10.0.0.8:9001 --model iris:1.3
  weir deployment deploy demo/iris --no-challenger
  weir deployment versions demo/iris 2 | weir deployment deploy demo/iris --file -
What no flag names stays as the live version has it; --file replaces all of it.";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct DeployArgs {
    #[command(flatten)]
    pub(super) target: Target,
    #[command(flatten)]
    version: VersionFlags,
    #[command(flatten)]
    patience: Patience,
}

/// Deploys a new version, and waits until it is live.
///
/// # Errors
/// As calls of the API; when the version does not become live.
pub(super) fn run(arguments: &DeployArgs, session: &Session) -> Result<(), Failure> {
    let name = arguments.target.name()?;
    if arguments.version.is_empty() {
        return Err(
            Failure::usage("nothing that a new version is to change is named").hint(format_args!(
                "--backend, --model, --file and others do (see --help); \
                 `weir deployment restart {name}` makes the live version live afresh"
            )),
        );
    }
    let mut call = Call::post(&path_of(&name, "/versions"));
    let mut version = match arguments.version.in_file()? {
        Some(version) => version,
        None => {
            let (version, etag) = base(&name, session)?;
            // What somebody else deploys meanwhile is not to be undone by what is built on here.
            if let Some(etag) = etag {
                call = call.header("if-match", &etag);
            }
            version
        }
    };
    arguments.version.put_on(&mut version)?;
    let mut started = start(call.json(&version), arguments.patience, session)?;
    if started.has_failed()
        && let Some(hint) = hint(&name, session)
    {
        let Started { answer, ended } = started;
        started = Started {
            answer,
            ended: ended.map_err(|failure| failure.hint(hint)),
        };
    }
    started.show(session)
}

/// What the new version goes out from: the live one, or else the newest. With the tag of the
/// deployment as it was then.
fn base(name: &DeploymentName, session: &Session) -> Result<(Value, Option<String>), Failure> {
    let answer = session.client.send(Call::get(&path_of(name, "")))?;
    let mut deployment = answer.json()?;
    if deployment["version"].is_object() {
        return Ok((deployment["version"].take(), answer.etag));
    }
    let path = path_of(name, "/versions");
    let newest = session.client.list_up_to(&path, 1)?.into_iter().next();
    let Some(mut newest) = newest else {
        let words = format!("{name} has no version to start from");
        return Err(Failure::new(words).hint("say the whole of one: --backend URL, or --file FILE"));
    };
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let (state, own) = (text(&deployment["state"]), text(&newest["name"]));
    session.out.note(&format!(
        "{name} is {state}; this starts from {own}, its newest version"
    ));
    Ok((newest["spec"].take(), answer.etag))
}

/// What a version that did not become live leaves behind.
fn hint(name: &DeploymentName, session: &Session) -> Option<String> {
    let deployment = session.client.get(&path_of(name, "")).ok()?;
    Some(match deployment["live_version"].as_u64() {
        Some(version) => {
            let deployment = name.deployment();
            format!("{deployment}_v{version} is still live and answers")
        }
        None => format!("nothing answers at {name} until a version is live"),
    })
}
