//! Which deployment is meant: `demo/iris`, or `--project demo --endpoint iris`.

use crate::{
    base::name::{DeploymentName, Name},
    cli::failure::Failure,
};

/// The deployment that a command is about.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::cli) struct Target {
    /// Its name, as `demo/iris`
    #[arg(value_name = "PROJECT/DEPLOYMENT", conflicts_with_all = ["project", "endpoint"])]
    name: Option<DeploymentName>,
    /// Its project, with --endpoint
    #[arg(short, long, requires = "endpoint", hide_short_help = true)]
    project: Option<Name>,
    /// Its name in that project
    #[arg(
        short,
        long,
        visible_alias = "deployment",
        aliases = ["endpoint-name", "endpoint_name"],
        requires = "project",
        hide_short_help = true
    )]
    endpoint: Option<Name>,
}

// === impl Target ===

impl Target {
    /// The name.
    ///
    /// # Errors
    /// When none is given.
    pub(in crate::cli) fn name(&self) -> Result<DeploymentName, Failure> {
        self.if_named()?.ok_or_else(|| {
            Failure::usage("which deployment is meant?")
                .hint("name it as PROJECT/DEPLOYMENT, such as demo/iris; `weir deployment list` shows them")
        })
    }

    /// The name, where all deployments may be meant.
    ///
    /// # Errors
    /// None: two names are one name.
    pub(in crate::cli) fn if_named(&self) -> Result<Option<DeploymentName>, Failure> {
        if let Some(name) = &self.name {
            return Ok(Some(name.clone()));
        }
        let halves = self.project.as_ref().zip(self.endpoint.as_ref());
        let joined = halves
            .map(|(project, endpoint)| DeploymentName::parse(&format!("{project}/{endpoint}")));
        Ok(joined.transpose()?)
    }
}
