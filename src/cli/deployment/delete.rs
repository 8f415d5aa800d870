//! `weir deployment delete`.

use serde_json::json;

use super::{Target, Wording, started};
use crate::{
    base::name::DeploymentName,
    cli::{
        failure::Failure,
        remote::{Call, Session, path_of},
        task::{Patience, has_ended},
        terminal::confirmed,
    },
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct DeleteArgs {
    #[command(flatten)]
    pub(super) target: Target,
    /// Why; its history shows it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    patience: Patience,
}

/// What stands in the history when SambaStudio's words leave no room for a reason.
const SAMBASTUDIO_REASON: &str = "weir endpoint delete";

/// Deletes a deployment, after a question.
///
/// # Errors
/// As calls of the API; when the answer is not yes.
pub(super) fn run(
    arguments: &DeleteArgs,
    wording: Wording,
    session: &Session,
) -> Result<(), Failure> {
    let name = arguments.target.name()?;
    let reason = match (&arguments.reason, wording) {
        (Some(reason), _) => reason,
        (None, Wording::SambaStudio) => SAMBASTUDIO_REASON,
        (None, Wording::Weir) => {
            return Err(Failure::usage(format_args!("why is {name} to be deleted?"))
                .hint("say it with --reason; its history keeps it"));
        }
    };
    let call = Call::delete(&path_of(&name, "")).json(&json!({"reason": reason}));
    if !arguments.yes {
        // Nobody is asked about what would be refused.
        session.client.send(call.clone().dry_run())?;
        confirmed(&question(&name, session)?, false)?;
    }
    let started = started::start(call, arguments.patience, session)?;
    if session.out.is_json() || started.ended.is_err() {
        return started.show(session);
    }
    match wording {
        Wording::SambaStudio => {
            let name = name.deployment();
            session
                .out
                .line(&format!("Endpoint {name} successfully marked delete."))
        }
        Wording::Weir if has_ended(&started.answer["task"]) => {
            session.out.line(&format!("Deployment {name} deleted."))
        }
        Wording::Weir => started.show(session),
    }
}

/// Names what goes, so that nobody says yes to something else.
fn question(name: &DeploymentName, session: &Session) -> Result<String, Failure> {
    let deployment = session.client.get(&path_of(name, ""))?;
    let state = deployment["state"].as_str().unwrap_or("");
    let keys = session.client.list(&path_of(name, "/keys"))?;
    let keys = keys.iter().filter(|key| key["status"] == "live").count();
    let keys = match keys {
        1 => "1 key".to_owned(),
        keys => format!("{keys} keys"),
    };
    Ok(format!(
        "Delete deployment {name} ({state}, {keys})? It can't be undone."
    ))
}
