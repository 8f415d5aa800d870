//! How much there may be of everything that people make.

use super::{error::ControlError, plane::Control};
use crate::telemetry::{series, table};

/// How much there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Deployments that are not deleted.
    pub deployments_max: usize,
    /// API keys in force.
    pub keys_max: usize,
    /// Projects.
    pub projects_max: usize,
    /// Tenants.
    pub tenants_max: usize,
    /// Admin tokens that open something.
    pub tokens_max: usize,
    /// Tasks of one deployment that have not ended.
    pub tasks_waiting_max: usize,
    /// Tasks that have ended and are kept; the oldest go first.
    pub tasks_kept_max: usize,
    /// Versions of one deployment that are kept; the oldest that are not needed go first.
    pub versions_kept_max: u32,
    /// Entries of one deployment's history that are kept; the oldest go first.
    pub history_kept_max: u64,
    /// Subscriptions of one project.
    pub subscriptions_per_project_max: usize,
}

/// The settings' defaults.
impl Default for Limits {
    fn default() -> Self {
        Self {
            deployments_max: 10_000,
            keys_max: 1_000_000,
            projects_max: 10_000,
            tenants_max: 1_000,
            tokens_max: 10_000,
            tasks_waiting_max: 100,
            tasks_kept_max: 20_000,
            versions_kept_max: 1_000,
            history_kept_max: 10_000,
            subscriptions_per_project_max: 50,
        }
    }
}

/// Something of which there may be only so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limited {
    Deployments,
    Keys,
    Projects,
    Tenants,
    Tokens,
    Subscriptions,
    Tasks,
}

impl Control {
    /// Whether there may be `more` of it beside those there are.
    ///
    /// # Errors
    /// `limit_reached`.
    pub(super) fn room(
        &self,
        what: Limited,
        there: usize,
        more: usize,
    ) -> Result<(), ControlError> {
        let limits = &self.options.limits;
        let (name, max, words) = match what {
            Limited::Deployments => ("deployments_max", limits.deployments_max, "deployments"),
            Limited::Keys => ("keys_max", limits.keys_max, "API keys in force"),
            Limited::Projects => ("projects_max", limits.projects_max, "projects"),
            Limited::Tenants => ("tenants_max", limits.tenants_max, "tenants"),
            Limited::Tokens => ("tokens_max", limits.tokens_max, "admin tokens"),
            Limited::Subscriptions => (
                "subscriptions_per_project_max",
                limits.subscriptions_per_project_max,
                "subscriptions of one project",
            ),
            Limited::Tasks => (
                "tasks_waiting_max",
                limits.tasks_waiting_max,
                "tasks of this deployment that have not ended",
            ),
        };
        if there.saturating_add(more) <= max {
            return Ok(());
        }
        series::count(&table::CONTROL_LIMITED, &[name], 1);
        let section = match what {
            Limited::Subscriptions => "notify",
            _ => "limits",
        };
        let words = format!("there may be {max} {words} ({section}.{name}), and there are {there}");
        Err(ControlError::conflict("limit_reached", words))
    }
}
