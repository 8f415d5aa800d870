//! What control knows by heart: everything that answers a request of the admin plane quickly, or that
//! a snapshot is built from. A copy of what the store has; replaced piece by piece after each commit,
//! so that whoever reads it sees only what is in force.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    ops::Bound,
    sync::Arc,
};

use tokio::sync::watch;

use super::record::{
    Deployment, DeploymentState, Project, Share, Stored, Task, TaskStatus, Tenant, Token,
};
use crate::{
    base::{
        id::{Revision, VersionNumber},
        name::{DeploymentName, Name},
        secret::KeyDigest,
    },
    notify::Subscription,
    snapshot::{Declared, Idle, Numbered, QueueRules},
};

/// Tasks that have ended and are still known by heart; older ones are in the store.
const ENDED_TASKS_MAX: usize = 1_000;

/// A deployment that is not deleted, with the versions that are deployed.
#[derive(Debug, Clone)]
pub struct Held {
    /// The commit of the record.
    pub revision: Revision,
    /// The record.
    pub record: Deployment,
    /// The version that answers.
    pub live: Option<Numbered>,
    /// Retired versions that are still deployed.
    pub kept: Vec<Numbered>,
}

/// What control knows by heart.
#[derive(Debug, Default)]
pub struct State {
    deployments: BTreeMap<DeploymentName, Arc<Held>>,
    projects: BTreeMap<Name, Arc<Stored<Project>>>,
    tenants: BTreeMap<Name, Arc<Stored<Tenant>>>,
    tokens: BTreeMap<String, Arc<Stored<Token>>>,
    by_digest: HashMap<KeyDigest, Arc<Stored<Token>>>,
    subscriptions: BTreeMap<Name, BTreeMap<String, Arc<Stored<Subscription>>>>,
    tasks: BTreeMap<String, Arc<Stored<Task>>>,
    ended: VecDeque<String>,
    /// Tasks of a deployment that have not ended, in the order of their coming; the first has its
    /// turn.
    queues: HashMap<DeploymentName, VecDeque<String>>,
    /// Tasks whose turn it is, with the line on which they are told to stop.
    running: HashMap<String, watch::Sender<bool>>,
    /// Deployments whose queue somebody works off.
    worked: HashSet<DeploymentName>,
}

// === impl State, reading ===

impl State {
    /// A deployment that is not deleted.
    pub fn deployment(&self, name: &DeploymentName) -> Option<&Arc<Held>> {
        self.deployments.get(name)
    }

    /// Every deployment that is not deleted, by name.
    pub fn deployments(&self) -> impl Iterator<Item = (&DeploymentName, &Arc<Held>)> {
        self.deployments.iter()
    }

    /// Those of a project.
    pub fn deployments_of<'a>(
        &'a self,
        project: &'a str,
    ) -> impl Iterator<Item = (&'a DeploymentName, &'a Arc<Held>)> {
        // `-` sorts before `/`: a project's deployments stand together, but not beside its name.
        self.deployments_beyond(&format!("{project}/"))
            .take_while(move |(name, _)| name.project() == project)
    }

    /// Those whose names come behind a text, by name.
    pub fn deployments_beyond(
        &self,
        text: &str,
    ) -> impl Iterator<Item = (&DeploymentName, &Arc<Held>)> + use<'_> {
        let beyond = (Bound::Excluded(text), Bound::Unbounded);
        self.deployments.range::<str, _>(beyond)
    }

    /// A project.
    pub fn project(&self, name: &str) -> Option<&Arc<Stored<Project>>> {
        self.projects.get(name)
    }

    /// Every project, by name.
    pub fn projects(&self) -> impl Iterator<Item = &Arc<Stored<Project>>> {
        self.projects.values()
    }

    /// A tenant.
    pub fn tenant(&self, name: &str) -> Option<&Arc<Stored<Tenant>>> {
        self.tenants.get(name)
    }

    /// Every tenant, by name.
    pub fn tenants(&self) -> impl Iterator<Item = &Arc<Stored<Tenant>>> {
        self.tenants.values()
    }

    /// An admin token by its public id.
    pub fn token(&self, id: &str) -> Option<&Arc<Stored<Token>>> {
        self.tokens.get(id)
    }

    /// An admin token by the digest of what was presented.
    pub fn token_of(&self, digest: &KeyDigest) -> Option<&Arc<Stored<Token>>> {
        self.by_digest.get(digest)
    }

    /// Every admin token, by id.
    pub fn tokens(&self) -> impl Iterator<Item = &Arc<Stored<Token>>> {
        self.tokens.values()
    }

    /// Whether there are any subscriptions.
    pub fn has_subscriptions(&self) -> bool {
        !self.subscriptions.is_empty()
    }

    /// The subscriptions of a project, by id.
    pub fn subscriptions_of(
        &self,
        project: &str,
    ) -> impl Iterator<Item = &Arc<Stored<Subscription>>> {
        let of_project = self.subscriptions.get(project);
        of_project.into_iter().flat_map(BTreeMap::values)
    }

    /// A subscription of a project.
    pub fn subscription(&self, project: &str, id: &str) -> Option<&Arc<Stored<Subscription>>> {
        self.subscriptions.get(project)?.get(id)
    }

    /// A task that has not ended, or not long ago.
    pub fn task(&self, id: &str) -> Option<&Arc<Stored<Task>>> {
        self.tasks.get(id)
    }

    /// The tasks known by heart, by id.
    pub fn tasks(&self) -> impl DoubleEndedIterator<Item = &Arc<Stored<Task>>> {
        self.tasks.values()
    }

    /// The task of a deployment whose turn it is.
    pub fn turn_of(&self, name: &DeploymentName) -> Option<&str> {
        self.queues.get(name)?.front().map(String::as_str)
    }

    /// The tasks of a deployment that have not ended.
    pub fn unfinished(&self, name: &DeploymentName) -> impl Iterator<Item = &str> {
        let queue = self.queues.get(name).into_iter().flatten();
        queue.map(String::as_str)
    }

    /// What a snapshot is to hold of a deployment; none when nothing of it answers.
    pub fn declared(&self, name: &DeploymentName) -> Option<Declared> {
        let held = self.deployments.get(name)?;
        let idle = match held.record.state {
            DeploymentState::Deleting | DeploymentState::Deleted => return None,
            DeploymentState::Stopping | DeploymentState::Stopped => Idle::Stopped,
            _ => Idle::NotLive,
        };
        let mut shared: Vec<Name> = Vec::new();
        for share in &held.record.shares {
            match share {
                Share::Project(project) => shared.push(project.clone()),
                Share::Tenant(tenant) => {
                    let of_tenant = self.projects.values().filter(|p| p.value.tenant == *tenant);
                    shared.extend(of_tenant.map(|project| project.value.name.clone()));
                }
            }
        }
        Some(Declared {
            name: name.clone(),
            access: held.record.access,
            shared,
            limits: held.record.limits,
            overload: held.record.overload,
            live: held.live.clone().ok_or(idle),
            kept: match held.live {
                Some(_) => held.kept.clone(),
                None => Vec::new(),
            },
            queue: QueueRules {
                life: held.record.first_version,
                paused: held.record.queue_paused,
                webhook_url: held.record.webhook.as_deref().map(Arc::from),
                webhook_generation: held.record.webhook_generation,
            },
            fresh: false,
        })
    }
}

// === impl State, writing: by commits alone ===

impl State {
    pub(super) fn put_deployment(&mut self, name: &DeploymentName, held: Held) {
        if held.record.is_deleted() {
            self.deployments.remove(name);
        } else {
            self.deployments.insert(name.clone(), Arc::new(held));
        }
    }

    pub(super) fn put_project(&mut self, project: Stored<Project>) {
        let name = project.value.name.clone();
        self.projects.insert(name, Arc::new(project));
    }

    pub(super) fn remove_project(&mut self, name: &Name) {
        self.projects.remove(name);
    }

    pub(super) fn put_tenant(&mut self, tenant: Stored<Tenant>) {
        let name = tenant.value.name.clone();
        self.tenants.insert(name, Arc::new(tenant));
    }

    pub(super) fn remove_tenant(&mut self, name: &Name) {
        self.tenants.remove(name);
    }

    pub(super) fn put_token(&mut self, token: Stored<Token>) {
        let token = Arc::new(token);
        self.by_digest
            .insert(token.value.digest, Arc::clone(&token));
        self.tokens.insert(token.value.id.clone(), token);
    }

    pub(super) fn remove_token(&mut self, token: &Token) {
        self.by_digest.remove(&token.digest);
        self.tokens.remove(&token.id);
    }

    pub(super) fn put_subscription(&mut self, subscription: Stored<Subscription>) {
        let (project, id) = (&subscription.value.project, subscription.value.id.clone());
        let of_project = self.subscriptions.entry(project.clone()).or_default();
        of_project.insert(id, Arc::new(subscription));
    }

    pub(super) fn remove_subscription(&mut self, subscription: &Subscription) {
        let project = &subscription.project;
        if let Some(of_project) = self.subscriptions.get_mut(project) {
            of_project.remove(&subscription.id);
            if of_project.is_empty() {
                self.subscriptions.remove(project);
            }
        }
    }

    /// Notes how a task stands, and lets it join or leave its deployment's queue.
    pub(super) fn put_task(&mut self, task: Stored<Task>) {
        let (id, name) = (task.value.id.clone(), task.value.deployment.clone());
        let status = task.value.status;
        let is_new = self.tasks.insert(id.clone(), Arc::new(task)).is_none();
        if status.is_final() {
            if let Some(queue) = self.queues.get_mut(&name) {
                queue.retain(|waiting| *waiting != id);
                if queue.is_empty() {
                    self.queues.remove(&name);
                }
            }
            self.ended.push_back(id);
            while self.ended.len() > ENDED_TASKS_MAX {
                if let Some(old) = self.ended.pop_front() {
                    self.tasks.remove(&old);
                }
            }
        } else if is_new {
            self.queues.entry(name).or_default().push_back(id);
        }
    }

    /// Notes what a task is doing; not kept over a restart.
    pub(super) fn note_progress(&mut self, id: &str, phase: &str, reason: Option<String>) -> bool {
        let Some(task) = self.tasks.get_mut(id) else {
            return false;
        };
        if task.value.status != TaskStatus::Processing {
            return false;
        }
        let task = Arc::make_mut(task);
        let is_new = task.value.phase != phase;
        task.value.phase = phase.to_owned();
        task.value.reason = reason;
        is_new
    }

    /// Takes on the work on a deployment's queue; false when somebody has it.
    pub(super) fn take_work(&mut self, name: &DeploymentName) -> bool {
        self.queues.contains_key(name) && self.worked.insert(name.clone())
    }

    /// The next task of a queue; when there is none, the work on it is given back.
    pub(super) fn next_work(&mut self, name: &DeploymentName) -> Option<String> {
        let next = self.queues.get(name).and_then(|queue| queue.front());
        if next.is_none() {
            self.worked.remove(name);
        }
        next.cloned()
    }

    /// Opens the line on which a task is told to stop.
    pub(super) fn begin_running(&mut self, id: &str) -> watch::Receiver<bool> {
        let (stop, stopped) = watch::channel(false);
        self.running.insert(id.to_owned(), stop);
        stopped
    }

    pub(super) fn end_running(&mut self, id: &str) {
        self.running.remove(id);
    }

    /// Tells a task to stop.
    pub(super) fn stop_running(&self, id: &str) {
        if let Some(stop) = self.running.get(id) {
            stop.send_replace(true);
        }
    }

    /// Takes over from a state that was read before: who works on what.
    pub(super) fn inherit(&mut self, before: &mut Self) {
        self.running = std::mem::take(&mut before.running);
        self.worked = std::mem::take(&mut before.worked);
    }
}

impl Held {
    /// Makes a version the one that answers; answers the number of the one that it retires. A version
    /// that is live already, and goes live afresh, retires none.
    pub(super) fn enter(&mut self, version: Numbered, now_ms: u64) -> Option<VersionNumber> {
        let number = version.number;
        let old = self.live.replace(version);
        let old = old.filter(|old| old.number != number);
        let retired = old.as_ref().map(|old| old.number);
        let record = &mut self.record;
        let stays = record.live == Some(number);
        if !stays {
            record.live_since_ms = Some(now_ms);
            let last = record.last_live.filter(|last| *last != number);
            record.before = retired.or(last).or(record.before);
        }
        self.kept.retain(|kept| kept.number != number);
        self.kept.splice(..0, old);
        self.kept.truncate(record.keep_previous as usize);
        record.kept = self.kept.iter().map(|kept| kept.number).collect();
        record.live = Some(number);
        record.last_live = Some(number);
        record.state = DeploymentState::Live;
        record.reason = None;
        record.updated_at_ms = now_ms;
        retired
    }

    /// The number of the version that answers.
    pub fn live_number(&self) -> Option<VersionNumber> {
        self.live.as_ref().map(|live| live.number)
    }
}
