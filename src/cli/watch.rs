//! `weir deployment watch`: rates, latencies and backends, live.

use super::{failure::Failure, remote::Session};
use crate::base::name::DeploymentName;

#[derive(Debug, clap::Args)]
pub(super) struct WatchArgs {
    /// Print one frame and end
    #[arg(long)]
    once: bool,
}

/// Shows one deployment, or all of them.
pub(super) fn run(
    name: Option<&DeploymentName>,
    arguments: &WatchArgs,
    session: &Session,
) -> Result<(), Failure> {
    let _ = (name, arguments.once, session);
    Err(Failure::new("not there yet"))
}
