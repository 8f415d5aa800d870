//! `weir deployment logs`: request lines and life-cycle lines, as they come.

use super::{failure::Failure, remote::Session};
use crate::base::name::DeploymentName;

#[derive(Debug, clap::Args)]
pub(super) struct LogsArgs {
    /// Go on showing new lines
    #[arg(short, long)]
    follow: bool,
}

/// Shows the lines.
pub(super) fn run(
    name: &DeploymentName,
    arguments: &LogsArgs,
    session: &Session,
) -> Result<(), Failure> {
    let _ = (name, arguments.follow, session);
    Err(Failure::new("not there yet"))
}
