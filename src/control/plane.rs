//! The only writer. A mutation holds the turn, prepares a [`Change`], and commits it:
//!
//! ```text
//! turn ──▶ check ──▶ Change ──▶ store: compare-and-set, fsync ──▶ state ──▶ build ──▶ publish ──▶ answer
//!                                   └ refused: nothing happened          revoked keys first, granted last
//! ```
//!
//! Workers load the snapshot and the keys afresh for each request, so publishing is the moment at
//! which all of them have seen the epoch; there is nothing left to wait for.

use std::sync::{
    Arc, OnceLock, RwLock, RwLockReadGuard,
    atomic::{AtomicU64, Ordering},
};

use dashmap::DashMap;
use tokio::sync::{OwnedMutexGuard, oneshot};

use super::{
    access::Caller,
    error::ControlError,
    events::{EventKind, Feed},
    limits::Limits,
    load::TokenCheck,
    quotas::Quotas,
    record::{Deed, Happening, Stored, Task, encode, place},
    seal::Sealer,
    state::{Held, State},
};
use crate::{
    base::{
        clock::{Tick, unix_ms},
        id::{Epoch, Revision},
        name::DeploymentName,
        secret::KeyDigest,
        task,
    },
    logs::Logs,
    net::way::Way,
    notify::Message,
    snapshot::{BuildOptions, Current, Declared, Principal, build},
    store::{Ledger, Write},
    telemetry::{seconds::Seconds, table},
};

/// What control is told once.
#[derive(Debug, Clone)]
pub struct ControlOptions {
    /// What applies to every deployment alike.
    pub build: BuildOptions,
    /// How long a deploy tries while a main backend can't be reached, in milliseconds; 0: no limit.
    pub unreachable_ms: u64,
    /// How long it waits for one that is reached and not ready; 0: no limit.
    pub ready_ms: u64,
    /// How long a stop or a delete waits for exchanges under way.
    pub drain_ms: u64,
    /// For one answer of a backend to a question for its health.
    pub probe_timeout_ms: u64,
    /// Refusals that are kept.
    pub audit_max: u64,
    /// How much there may be of everything that people make.
    pub limits: Limits,
}

/// The control plane.
pub struct Control {
    pub(super) store: Arc<dyn Ledger>,
    pub(super) current: Arc<Current>,
    pub(super) options: ControlOptions,
    pub(super) way: Way,
    pub(super) sealer: Option<Sealer>,
    pub(super) root: TokenCheck,
    /// What the token from the settings would be as an API key, which it never is.
    pub(super) reserved: OnceLock<KeyDigest>,
    pub(super) feed: Feed,
    pub(super) logs: Arc<Logs>,
    pub(super) started_at_ms: u64,
    pub(super) tokens_used: DashMap<String, u64>,
    pub(super) refusals: tokio::sync::mpsc::Sender<super::audit::Refusal>,
    pub(super) state: RwLock<State>,
    pub(super) turn: Arc<tokio::sync::Mutex<Writer>>,
    pub(super) times: Times,
    pub(super) quotas: tokio::sync::Mutex<Quotas>,
    /// The last id given to a record whose ids are ordered by time.
    pub(super) last_id_ms: AtomicU64,
}

/// How long things take.
pub(super) struct Times {
    mutation: Seconds,
    build: Seconds,
    publish: Seconds,
}

/// What only the one whose turn it is may touch.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// Whether what control knows by heart may differ from what is stored, because a commit ended
    /// in the dark.
    stale: bool,
}

/// The right to change something. Held by one mutation at a time, from its first check to the moment
/// when its change is in force.
pub(super) struct Turn {
    /// Whose token the history is to name.
    token: Option<String>,
    writer: OwnedMutexGuard<Writer>,
    began: Tick,
}

type Edit = Box<dyn FnOnce(&mut State, Revision) + Send>;

/// A change that is being prepared.
#[derive(Default)]
pub(super) struct Change {
    writes: Vec<Write>,
    edits: Vec<Edit>,
    routes: Vec<DeploymentName>,
    fresh: bool,
    keys: Vec<(KeyDigest, Option<Arc<Principal>>)>,
    happenings: Vec<Happening>,
    deeds: Vec<Deed>,
    news: Vec<Message>,
    tasks: Vec<Task>,
    wake: Vec<DeploymentName>,
}

/// A change that is in force.
#[derive(Debug, Clone, Copy)]
pub(super) struct Committed {
    pub(super) revision: Revision,
    pub(super) epoch: Epoch,
}

/// An answer to a mutation, and an epoch by which every worker admits.
#[derive(Debug, Clone)]
pub struct Done<T> {
    /// The answer.
    pub value: T,
    /// The epoch.
    pub epoch: Epoch,
}

/// How a mutation is meant.
#[derive(Debug, Clone, Default)]
pub struct Intent {
    /// Whether it is only tried: everything is checked and nothing changed.
    pub dry_run: bool,
    /// The revision that the caller has read.
    pub if_match: Option<Revision>,
    /// The caller's own id of a request that starts a task.
    pub idempotency: Option<String>,
    /// What is to happen while another task of the deployment runs.
    pub if_busy: IfBusy,
}

/// What is to happen to a task while another one of its deployment runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IfBusy {
    /// It waits for its turn.
    #[default]
    Wait,
    /// It is refused.
    Refuse,
}

// === impl Control ===

impl Control {
    /// What control knows by heart, for a moment: not to be held across an await.
    pub(super) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Changes what is known by heart and is not stored.
    pub(super) fn with_state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self
            .state
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut state)
    }

    /// Waits for the turn.
    ///
    /// # Errors
    /// When the store has to be read again first and can't be.
    ///
    /// # Cancellation
    /// Leaves nothing behind.
    pub(super) async fn turn(self: &Arc<Self>) -> Result<Turn, ControlError> {
        let began = Tick::now();
        let writer = Arc::clone(&self.turn).lock_owned().await;
        let mut turn = Turn {
            token: None,
            writer,
            began,
        };
        if turn.writer.stale {
            self.reload().await?;
            turn.writer.stale = false;
            // A task that was recorded in the dark has nobody yet who works it off.
            self.work_off_all();
        }
        Ok(turn)
    }

    /// Waits for the turn of somebody, whose token the history will name.
    ///
    /// # Errors
    /// As [`Control::turn`].
    pub(super) async fn turn_by(self: &Arc<Self>, caller: &Caller) -> Result<Turn, ControlError> {
        Ok(self.turn().await?.with(caller.token.as_ref()))
    }

    /// Puts a change in force, all of it or nothing, and ends the turn.
    ///
    /// # Errors
    /// When the store did not take it.
    ///
    /// # Cancellation
    /// None: it runs to its end whoever waits for it.
    pub(super) async fn commit(
        self: &Arc<Self>,
        turn: Turn,
        change: Change,
    ) -> Result<Committed, ControlError> {
        let (answer, answered) = oneshot::channel();
        let control = Arc::clone(self);
        task::spawn("commit", async move {
            // Whoever asked may be gone.
            let _ = answer.send(control.commit_now(turn, change).await);
        });
        let cut_off = || ControlError::Internal("the change was cut off".to_owned());
        answered.await.unwrap_or_else(|_| Err(cut_off()))
    }

    /// Commits a change that writes this record, or only says what it would be.
    ///
    /// # Errors
    /// As [`Control::commit`].
    pub(super) async fn commit_record<T>(
        self: &Arc<Self>,
        turn: Turn,
        change: Change,
        before: Option<Revision>,
        value: T,
        intent: &Intent,
    ) -> Result<Done<Stored<T>>, ControlError> {
        if intent.dry_run {
            let revision = before.unwrap_or_default();
            return Ok(self.unchanged(Stored { revision, value }));
        }
        let Committed { revision, epoch } = self.commit(turn, change).await?;
        let value = Stored { revision, value };
        Ok(Done { value, epoch })
    }

    async fn commit_now(
        self: &Arc<Self>,
        mut turn: Turn,
        mut change: Change,
    ) -> Result<Committed, ControlError> {
        change.tell(turn.token.as_ref());
        let outbox = self.outbox(&change)?;
        change.writes.extend(outbox);
        if change.writes.is_empty() {
            return Ok(Committed {
                revision: Revision(0),
                epoch: self.epoch(),
            });
        }
        // Also if this panics: the next turn reads everything again.
        turn.writer.stale = true;
        let revision = match self.store.commit(std::mem::take(&mut change.writes)).await {
            Ok(revision) => revision,
            Err(error) => {
                let error = ControlError::from(error);
                turn.writer.stale = !matches!(error, ControlError::Full(_));
                return Err(error);
            }
        };
        let epoch = self.put_in_force(&mut change, revision);
        turn.writer.stale = false;
        let in_force = Tick::now();
        self.times.mutation.record_ns(in_force.ns_since(turn.began));
        drop(turn);
        for happening in &change.happenings {
            // Who hears of it finds it in the log already.
            self.log_happening(happening);
            self.feed.tell(EventKind::History, happening);
        }
        for deed in &change.deeds {
            self.feed.tell(EventKind::Deed, deed);
        }
        for task in change.tasks {
            self.tell_task(&Stored {
                revision,
                value: task,
            });
        }
        for name in change.wake {
            self.work_off(name);
        }
        Ok(Committed { revision, epoch })
    }

    /// Publishes what is committed. Reads of the admin plane see it only when it is in force.
    fn put_in_force(&self, change: &mut Change, revision: Revision) -> Epoch {
        // Routes are compiled from a copy, so that nobody reads a state that is not in force yet.
        let touches_data = !(change.routes.is_empty() && change.keys.is_empty());
        let edits = std::mem::take(&mut change.edits);
        if !touches_data {
            self.with_state(|state| edits.into_iter().for_each(|edit| edit(state, revision)));
            return self.epoch();
        }
        self.with_state(|state| {
            edits.into_iter().for_each(|edit| edit(state, revision));
            let routes = std::mem::take(&mut change.routes);
            let fresh = change.fresh;
            let declared: Vec<_> = routes
                .into_iter()
                .map(|name| {
                    let mut declared = state.declared(&name);
                    if let Some(declared) = &mut declared {
                        declared.fresh = fresh;
                    }
                    (name, declared)
                })
                .collect();
            self.build_and_publish(declared, std::mem::take(&mut change.keys), revision)
        })
    }

    /// Compiles what changed, and puts it and changes of keys in force. What a key opened until now
    /// must not meet what is declared from now on, so revocations and replacements come first and
    /// grants last.
    pub(super) fn build_and_publish(
        &self,
        declared: Vec<(DeploymentName, Option<Declared>)>,
        keys: Vec<(KeyDigest, Option<Arc<Principal>>)>,
        revision: Revision,
    ) -> Epoch {
        let began = Tick::now();
        let before = self.current.load_full();
        let epoch = Epoch(revision.0);
        let snapshot = match declared.is_empty() {
            true => before.renumbered(epoch),
            false => build(declared, &before, epoch, &self.options.build),
        };
        drop(before);
        let built = Tick::now();
        let in_force = self.current.keys();
        let (first, last): (Vec<_>, Vec<_>) = keys
            .into_iter()
            .partition(|(digest, key)| key.is_none() || in_force.contains(digest));
        in_force.apply(first);
        self.current.publish(Arc::new(snapshot));
        in_force.apply(last);
        self.times.build.record_ns(built.ns_since(began));
        self.times.publish.record_ns(Tick::now().ns_since(built));
        epoch
    }

    /// The epoch in force.
    pub fn epoch(&self) -> Epoch {
        self.current.load().epoch()
    }

    /// Tells listeners how a task stands.
    pub(super) fn tell_task(&self, task: &Stored<Task>) {
        self.feed.tell(EventKind::Task, &task.value);
    }

    /// An answer to a mutation that was not made, or changed nothing.
    pub(super) fn unchanged<T>(&self, value: T) -> Done<T> {
        Done {
            value,
            epoch: self.epoch(),
        }
    }

    /// A moment for an id that is ordered by time: no two are the same.
    pub(super) fn id_ms(&self) -> u64 {
        let now = unix_ms();
        let before = self
            .last_id_ms
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                Some(now.max(last + 1))
            });
        before.map_or(now, |last| now.max(last + 1))
    }
}

// === impl Times ===

impl Times {
    pub(super) fn new() -> Self {
        Self {
            mutation: Seconds::new(&table::MUTATION, &[]),
            build: Seconds::new(&table::SNAPSHOT_BUILD, &[]),
            publish: Seconds::new(&table::SNAPSHOT_PUBLISH, &[]),
        }
    }
}

// === impl Turn ===

impl Turn {
    /// The same turn, taken with this token.
    pub(super) fn with(mut self, token: Option<&String>) -> Self {
        self.token = token.cloned();
        self
    }
}

// === impl Change ===

impl Change {
    /// Writes to the store.
    pub(super) fn write(&mut self, write: Write) -> &mut Self {
        self.writes.push(write);
        self
    }

    /// Changes what is known by heart, once it is stored.
    pub(super) fn edit(
        &mut self,
        edit: impl FnOnce(&mut State, Revision) + Send + 'static,
    ) -> &mut Self {
        self.edits.push(Box::new(edit));
        self
    }

    /// Writes a deployment, on the condition that it is as it was read.
    pub(super) fn deployment(
        &mut self,
        name: &DeploymentName,
        before: Option<Revision>,
        mut held: Held,
    ) -> &mut Self {
        self.put(place::deployment(name), &held.record, before);
        let name = name.clone();
        self.edit(move |state, revision| {
            held.revision = revision;
            state.put_deployment(&name, held);
        })
    }

    /// Writes a record, on the condition that it is as it was read: absent, or of this revision.
    pub(super) fn put<T: serde::Serialize>(
        &mut self,
        key: String,
        value: &T,
        before: Option<Revision>,
    ) -> &mut Self {
        let condition = before.map_or(crate::store::If::Absent, crate::store::If::Revision);
        self.write(Write::Put {
            key,
            value: encode(value),
            condition,
        })
    }

    /// Writes a task.
    pub(super) fn task(&mut self, task: &Task, before: Option<Revision>) -> &mut Self {
        self.put(place::task(&task.id), task, before);
        self.tasks.push(task.clone());
        let task = task.clone();
        self.edit(move |state, revision| {
            state.put_task(Stored {
                revision,
                value: task,
            });
        })
    }

    /// Appends to a deployment's history.
    pub(super) fn happened(&mut self, happening: Happening) -> &mut Self {
        self.happenings.push(happening);
        self
    }

    /// Appends to the history of what is no deployment.
    pub(super) fn done(&mut self, deed: Deed) -> &mut Self {
        self.deeds.push(deed);
        self
    }

    /// Has subscribers told of something that stands in no history.
    pub(super) fn tells(&mut self, message: Message) -> &mut Self {
        self.news.push(message);
        self
    }

    /// What happens to deployments.
    pub(super) fn happenings(&self) -> &[Happening] {
        &self.happenings
    }

    /// What is done to what is no deployment.
    pub(super) fn deeds(&self) -> &[Deed] {
        &self.deeds
    }

    /// What else subscribers are told of.
    pub(super) fn news(&self) -> &[Message] {
        &self.news
    }

    /// Writes down what happened, by whose token.
    fn tell(&mut self, token: Option<&String>) {
        for happening in &mut self.happenings {
            happening.token = happening.token.take().or(token.cloned());
            self.writes.push(Write::Append {
                topic: place::history(&happening.deployment),
                value: encode(happening),
            });
        }
        for deed in &mut self.deeds {
            deed.token = token.cloned();
            self.writes.push(Write::Append {
                topic: place::DEEDS.to_owned(),
                value: encode(deed),
            });
        }
    }

    /// Has a deployment compiled anew.
    pub(super) fn route(&mut self, name: &DeploymentName) -> &mut Self {
        self.routes.push(name.clone());
        self
    }

    /// Has nothing taken over from before: new connections, no ejections.
    pub(super) fn fresh(&mut self) -> &mut Self {
        self.fresh = true;
        self
    }

    /// Grants, replaces or revokes a key.
    pub(super) fn key(&mut self, digest: KeyDigest, key: Option<Arc<Principal>>) -> &mut Self {
        self.keys.push((digest, key));
        self
    }

    /// Has a deployment's queue worked off.
    pub(super) fn wake(&mut self, name: &DeploymentName) -> &mut Self {
        self.wake.push(name.clone());
        self
    }
}

// === impl Intent ===

impl Intent {
    /// Checks that what the caller has read is what there is.
    pub(super) fn check(&self, revision: Revision) -> Result<(), ControlError> {
        match self.if_match {
            Some(read) if read != revision => Err(ControlError::Changed),
            _ => Ok(()),
        }
    }
}
