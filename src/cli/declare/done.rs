//! What came of a plan.

use std::{fmt::Write, time::Duration};

use serde_json::{Value, json};

use super::{
    plan::{Action, Object, Step},
    show::title,
};
use crate::cli::{
    failure::Failure,
    terminal::{counted, grouped},
};

/// What came of a plan.
#[derive(Debug, Default)]
pub(super) struct Done {
    created: usize,
    changed: usize,
    deleted: usize,
    /// What failed, and why.
    pub(super) failed: Vec<(Object, Failure)>,
    /// Deletions that were not begun.
    pub(super) left: usize,
    /// How long it all took.
    pub(super) took: Duration,
}

// === impl Done ===

impl Done {
    /// A step is done.
    pub(super) fn count(&mut self, step: &Step) {
        match step.action {
            Action::Create => self.created += 1,
            Action::Delete | Action::Revoke => self.deleted += 1,
            Action::Change | Action::Swap | Action::Wait | Action::Blocked => self.changed += 1,
        }
    }

    /// How many steps are.
    pub(super) fn applied(&self) -> usize {
        self.created + self.changed + self.deleted
    }

    /// `3 created, 1 changed, 0 failed in 1.2 s`.
    pub(super) fn summary(&self) -> String {
        let mut line = format!(
            "{} created, {} changed",
            grouped(self.created),
            grouped(self.changed)
        );
        // Writing to a string does not fail.
        if self.deleted > 0 {
            let _ = write!(line, ", {} deleted", grouped(self.deleted));
        }
        let _ = write!(line, ", {} failed", grouped(self.failed.len()));
        if self.left > 0 {
            let _ = write!(line, ", {} left undone", counted(self.left, "deletion"));
        }
        let _ = write!(line, " in {:.1} s", self.took.as_secs_f64());
        line
    }

    /// The same for programs.
    pub(super) fn to_json(&self) -> Value {
        let failed: Vec<Value> = self
            .failed
            .iter()
            .map(|(object, failure)| {
                let (kind, name) = (object.kind(), object.name());
                json!({"kind": kind, "name": name, "reason": failure.words()})
            })
            .collect();
        json!({
            "created": self.created,
            "changed": self.changed,
            "deleted": self.deleted,
            "left": self.left,
            "failed": failed,
            "seconds": self.took.as_secs_f64(),
        })
    }

    /// What failed, with its reasons; none when nothing did.
    pub(super) fn into_failure(mut self) -> Option<Failure> {
        if self.failed.is_empty() {
            return None;
        }
        // Workers end in any order.
        self.failed.sort_by_key(|(object, _)| title(object));
        let words = format!("{} failed", counted(self.failed.len(), "step"));
        let details = self.failed.iter().flat_map(|(object, failure)| {
            let own = failure.more().iter().map(|line| format!("  {line}"));
            let head = format!("{}: {}", title(object), failure.words());
            std::iter::once(head).chain(own).collect::<Vec<_>>()
        });
        let failure = Failure::new(words).details(details.collect::<Vec<_>>());
        Some(match self.left {
            0 => failure,
            _ => failure.hint("nothing is deleted while anything else fails"),
        })
    }
}
