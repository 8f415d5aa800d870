//! `weir endpoint add-apikey` and its kin: `weir key` of a deployment, in SambaStudio's words.

use clap::Subcommand;

use super::Target;
use crate::{
    cli::{
        failure::Failure,
        key::{self, AddArgs, KeyArgs, RevokeArgs},
        remote::Session,
    },
    spec::Scope,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ApikeyCommand {
    /// Make an API key
    AddApikey {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        arguments: Box<AddArgs>,
    },
    /// List API keys
    ListApikeys {
        #[command(flatten)]
        target: Target,
    },
    /// Change what an API key is for
    EditApikey {
        #[command(flatten)]
        key: Apikey,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: String,
    },
    /// Revoke an API key, for good
    RevokeApikey {
        #[command(flatten)]
        key: Apikey,
        #[command(flatten)]
        arguments: RevokeArgs,
    },
    /// Show an API key, never the key itself
    InfoApikey {
        #[command(flatten)]
        key: Apikey,
    },
}

/// Which key is meant.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Apikey {
    #[command(flatten)]
    target: Target,
    /// Its id, as list-apikeys shows it
    #[arg(long, value_name = "ID")]
    apikey: String,
}

/// Runs a command.
///
/// # Errors
/// As calls of the API; when a question is not answered with yes.
pub(super) fn run(command: ApikeyCommand, session: &Session) -> Result<(), Failure> {
    match command {
        ApikeyCommand::AddApikey { target, arguments } => {
            key::add(&scope(&target)?, &arguments, session)
        }
        ApikeyCommand::ListApikeys { target } => key::list(&scope(&target)?, None, session),
        ApikeyCommand::EditApikey { key, description } => {
            key::edit(&key.meant()?, &description, session)
        }
        ApikeyCommand::RevokeApikey { key, arguments } => {
            key::revoke(&key.meant()?, &arguments, session)
        }
        ApikeyCommand::InfoApikey { key } => key::info(&key.meant()?, session),
    }
}

fn scope(target: &Target) -> Result<Scope, Failure> {
    Ok(Scope::Deployment(target.name()?))
}

// === impl ApikeyCommand ===

impl ApikeyCommand {
    /// The deployment that it is about.
    pub(super) fn target(&self) -> &Target {
        match self {
            Self::AddApikey { target, .. } | Self::ListApikeys { target } => target,
            Self::EditApikey { key, .. }
            | Self::RevokeApikey { key, .. }
            | Self::InfoApikey { key } => &key.target,
        }
    }
}

// === impl Apikey ===

impl Apikey {
    fn meant(self) -> Result<KeyArgs, Failure> {
        let scope = scope(&self.target)?;
        Ok(KeyArgs {
            scope,
            id: self.apikey,
        })
    }
}
