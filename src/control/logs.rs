//! What control adds to the logs of deployments: what happens to them, backends that turn, and lines
//! of requests that were over their limit.

use std::{collections::HashSet, sync::Arc};

use super::{
    plane::Control,
    record::{Action, Happening},
};
use crate::{
    base::{
        clock::{Tick, unix_ms},
        id::BackendId,
        name::DeploymentName,
    },
    logs::{Level, Lifecycle, Line, Logs, What},
    snapshot::Snapshot,
    telemetry::outcome::Role,
    upstream::backend::Backend,
};

/// Backends that are out after failures, as of the last round.
#[derive(Default)]
pub(super) struct Ejected(HashSet<BackendId>);

// === impl Control ===

impl Control {
    /// The deployments' logs.
    pub fn logs(&self) -> &Arc<Logs> {
        &self.logs
    }

    /// Whether a deployment is there, and not deleted.
    pub fn is_there(&self, name: &DeploymentName) -> bool {
        self.state().deployment(name).is_some()
    }

    /// Adds what happened to its deployment's log.
    pub(super) fn log_happening(&self, happening: &Happening) {
        let name = &happening.deployment;
        if happening.action == Action::Create {
            let state = self.state();
            let first = state.deployment(name).map(|held| held.record.first_version);
            drop(state);
            self.logs.begin(name, first.unwrap_or_default());
        }
        let (level, what) = lifecycle(happening);
        self.logs.happened(name, happening.at_ms, level, &what);
    }
}

/// What happened, as a line of a log: for what is read from the history.
pub fn line(happening: &Happening) -> Line {
    let (level, what) = lifecycle(happening);
    Line {
        at_ms: happening.at_ms,
        level,
        what: What::Lifecycle(Box::new(what.cleaned())),
    }
}

fn lifecycle(happening: &Happening) -> (Level, Lifecycle) {
    let action = happening.action.as_str();
    let level = match (&*happening.status, happening.action) {
        ("failed", _) => Level::Error,
        ("canceled", _) => Level::Warn,
        _ if action == "pool-down" => Level::Error,
        (
            _,
            Action::Rollback
            | Action::Stop
            | Action::Delete
            | Action::VersionDelete
            | Action::KeyRevoke
            | Action::KeyReveal
            | Action::QueuePause
            | Action::QueuePurge
            | Action::ChallengerStop,
        ) => Level::Warn,
        _ => Level::Info,
    };
    let mut text = format!("{action} {}", happening.name);
    if let Some(key) = &happening.key {
        text += &format!(" key {key}");
    }
    if let Some(request) = &happening.request {
        text += &format!(" request {request}");
    }
    if let Some(count) = happening.count {
        text += &format!(" ({count} requests)");
    }
    if happening.status != "success" {
        text += &format!(" {}", happening.status);
    }
    if let Some(ms) = happening.duration_ms {
        text += &format!(" after {:.1} s", ms as f64 / 1e3);
    }
    text += &format!(" by {}", happening.by);
    if let Some(reason) = &happening.reason {
        text += &format!(": {reason}");
    }
    let what = Lifecycle {
        action: action.to_owned(),
        version: happening.version.map(|version| version.0),
        by: happening.by.clone(),
        status: happening.status.clone(),
        reason: happening.reason.clone(),
        text,
    };
    (level, what)
}

/// Adds that a backend turned: it is `unhealthy`, `ejected`, or `available` again.
pub(super) fn log_backend(
    logs: &Logs,
    place: (&DeploymentName, Role),
    backend: &Backend,
    status: &str,
    reason: Option<&str>,
) {
    let (name, role) = place;
    let level = match status {
        "available" => Level::Info,
        _ => Level::Warn,
    };
    let again = if level == Level::Info { " again" } else { "" };
    let why = reason.map_or(String::new(), |reason| format!(": {reason}"));
    let what = Lifecycle {
        action: "backend".to_owned(),
        version: None,
        by: "system".to_owned(),
        status: status.to_owned(),
        reason: reason.map(str::to_owned),
        text: format!(
            "backend {} of {} {status}{again}{why}",
            backend.url(),
            role.as_str()
        ),
    };
    logs.happened(name, unix_ms(), level, &what);
}

/// Gives deployments their lines of the next second, and says what was over in the last one.
pub(super) fn refill(snapshot: &Snapshot, logs: &Logs) {
    let lines = logs.options().lines_per_second;
    let now = unix_ms();
    for route in snapshot.routes() {
        let challengers = route.plans().flat_map(|plan| plan.legs().skip(1));
        let challengers = challengers.map(|leg| &*leg.role_meters);
        for meters in std::iter::once(route.main_meters()).chain(challengers) {
            let over = meters.credit().refill(lines);
            if over != Default::default() {
                logs.was_over(route.name(), now, over);
            }
        }
    }
}

// === impl Ejected ===

impl Ejected {
    /// Finds what was ejected and what came back since the last round.
    pub(super) fn look(&mut self, snapshot: &Snapshot, logs: &Logs, now: Tick) {
        let mut before = std::mem::take(&mut self.0);
        for route in snapshot.routes() {
            for leg in route.plans().flat_map(|plan| plan.legs()) {
                let place = (route.name(), leg.role_meters.role());
                for backend in leg.pool.members().iter().map(|member| &member.backend) {
                    // A backend of several versions is met several times, and told of once.
                    let is_first = !self.0.contains(&backend.id());
                    let was_out = is_first && before.remove(&backend.id());
                    if backend.breaker.is_ejected(now) {
                        self.0.insert(backend.id());
                        if is_first && !was_out {
                            let reason = Some("it failed too many requests");
                            log_backend(logs, place, backend, "ejected", reason);
                        }
                    } else if was_out {
                        log_backend(logs, place, backend, "available", None);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ring escapes what it is given; what comes from the history was kept as it was written.
    #[test]
    fn a_line_of_the_history_forges_none() {
        let name = DeploymentName::parse("demo/iris").expect("a name");
        let title = "Iris\u{202e}_v1".to_owned();
        let mut happening = Happening::new(&name, Action::Delete, "ann\r", title, 7);
        happening.reason = Some(format!("over\nERROR forged\u{1b}[31m{}", "x".repeat(2_000)));
        let line = line(&happening);
        let What::Lifecycle(what) = line.what else {
            panic!("{line:?}");
        };
        let reason = what.reason.as_deref().expect("a reason");
        assert!(
            reason.starts_with("over\\u{a}ERROR forged\\u{1b}[31mx"),
            "{reason}"
        );
        for text in [&*what.by, &*what.text, reason] {
            let is_plain = |c: char| !c.is_control() && c != '\u{202e}';
            assert!(text.chars().all(is_plain) && text.len() < 600, "{text:?}");
        }
    }
}
