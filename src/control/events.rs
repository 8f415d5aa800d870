//! Live events: what happened to deployments and how tasks stand, as it comes in force.
//!
//! The newest are kept, so that a listener who was cut off for a moment misses nothing. One who is
//! slower than that is told that something was lost, and reads what it needs anew.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use super::{
    access::{Caller, Object, Verb},
    plane::Control,
};
use crate::base::{clock::unix_ms, name::DeploymentName};

/// Events that are kept.
const KEPT_MAX: usize = 4_096;

/// Something happened.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its number. Grows from event to event and from start to start.
    pub id: u64,
    /// What kind it is.
    pub kind: EventKind,
    /// What happened, as JSON.
    pub data: Value,
    about: About,
}

/// What an event is about, to tell who may see it.
#[derive(Debug, Clone)]
enum About {
    Nothing,
    Deployment(DeploymentName),
    Project(String),
    Tenant(String),
    Instance,
}

/// What kind an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// Something happened to a deployment.
    History,
    /// A task changed.
    Task,
    /// Something happened to a tenant, a project, a token, or a key that is no deployment's.
    Deed,
    /// Events were lost to a listener that was too slow or away for too long.
    Lost,
}

/// Where events are told and kept.
pub(super) struct Feed {
    kept: Mutex<Kept>,
    newest: watch::Sender<u64>,
}

struct Kept {
    events: VecDeque<Arc<Event>>,
    next: u64,
}

/// A listener's place in the feed.
pub struct Events {
    control: Arc<Control>,
    caller: Caller,
    newest: watch::Receiver<u64>,
    last: u64,
}

// === impl EventKind ===

impl EventKind {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::History => "history",
            Self::Task => "task",
            Self::Deed => "deed",
            Self::Lost => "lost",
        }
    }
}

// === impl Feed ===

impl Feed {
    /// Nothing has happened yet.
    pub(super) fn new() -> Self {
        // Numbers of an earlier process must not meet ours: a listener may resume by them.
        let next = unix_ms() << 16;
        Self {
            kept: Mutex::new(Kept {
                events: VecDeque::new(),
                next,
            }),
            newest: watch::Sender::new(next - 1),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what happened.
    pub(super) fn tell(&self, kind: EventKind, what: &impl Serialize) {
        let data = serde_json::to_value(what).unwrap_or_default();
        let about = About::of(kind, &data);
        let mut kept = self.kept();
        let id = kept.next;
        kept.next += 1;
        if kept.events.len() == KEPT_MAX {
            kept.events.pop_front();
        }
        kept.events.push_back(Arc::new(Event {
            id,
            kind,
            data,
            about,
        }));
        drop(kept);
        self.newest.send_replace(id);
    }

    /// Wakes whenever something was told.
    pub(super) fn listen(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// The next event beyond `last`, and whether any were lost in between.
    fn after(&self, last: u64) -> Option<(Arc<Event>, bool)> {
        let kept = self.kept();
        let at = kept.events.partition_point(|event| event.id <= last);
        let event = kept.events.get(at)?;
        Some((Arc::clone(event), event.id != last + 1))
    }
}

// === impl About ===

impl About {
    fn of(kind: EventKind, data: &Value) -> Self {
        let text = |member: &str| data.get(member).and_then(Value::as_str);
        let name = text("deployment").and_then(|name| DeploymentName::parse(name).ok());
        match (kind, name, text("project"), text("tenant")) {
            (EventKind::Lost, ..) => Self::Nothing,
            (_, Some(name), ..) => Self::Deployment(name),
            (_, None, Some(project), _) => Self::Project(project.to_owned()),
            (_, None, None, Some(tenant)) => Self::Tenant(tenant.to_owned()),
            (_, None, None, None) => Self::Instance,
        }
    }
}

// === impl Control ===

impl Control {
    /// Listens to what this caller may see, from now on or from beyond an event that it has seen.
    pub fn events(self: &Arc<Self>, caller: &Caller, after: Option<u64>) -> Events {
        let newest = self.feed.newest.subscribe();
        let now = *newest.borrow();
        // A number that was never given out, or not by this process: from the oldest that is kept,
        // which tells that something may be missing.
        let last = after.map_or(now, |after| if after > now { 0 } else { after });
        Events {
            control: Arc::clone(self),
            caller: caller.clone(),
            newest,
            last,
        }
    }
}

// === impl Events ===

impl Events {
    /// The next event; none when the gateway ends, or the caller's token does.
    ///
    /// # Cancellation
    /// Loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if !self.control.is_still_valid(&self.caller) {
                return None;
            }
            while let Some((event, is_gap)) = self.control.feed.after(self.last) {
                if is_gap {
                    self.last = event.id - 1;
                    return Some(Event {
                        id: self.last,
                        kind: EventKind::Lost,
                        data: serde_json::json!({
                            "words": "events are missing here; read what you need anew"
                        }),
                        about: About::Nothing,
                    });
                }
                self.last = event.id;
                if self.may_see(&event) {
                    return Some(Event::clone(&event));
                }
            }
            self.newest.changed().await.ok()?;
        }
    }

    fn may_see(&self, event: &Event) -> bool {
        let state = self.control.state();
        let (verb, object) = match &event.about {
            About::Nothing => return true,
            About::Deployment(name) => (Verb::Read, Object::Deployment(name)),
            About::Project(name) => (Verb::Read, Object::Project(name)),
            About::Tenant(name) => (Verb::Govern, Object::Tenant(name)),
            About::Instance => (Verb::Rule, Object::Instance),
        };
        self.caller.is_allowed(verb, object, &state)
    }
}
