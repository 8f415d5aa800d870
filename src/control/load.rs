//! Reading everything back: at start, and when a commit ended in the dark.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock, RwLock, atomic::AtomicU64},
};

use tokio::sync::mpsc;

use super::{
    audit,
    error::ControlError,
    events::Feed,
    plane::{Control, ControlOptions, Times},
    record::{
        Deployment, Key, KeyStatus, Project, Stored, Task, Tenant, Token, Version, decode, encode,
        place,
    },
    seal::Sealer,
    state::{Held, State},
};
use crate::{
    base::{
        clock::unix_ms,
        id::VersionNumber,
        name::{DeploymentName, Name},
    },
    logs::Logs,
    net::way::Way,
    notify::{SUBSCRIPTIONS, Subscription},
    snapshot::{Current, Numbered, Principal},
    spec::{Scope, VersionSpec},
    store::{If, Ledger, Order, Record, Write},
};

/// Records that are read at a time.
const PAGE: usize = 5_000;

/// The tenant that there always is.
pub(super) const DEFAULT_TENANT: &str = "default";

/// Whether presented bytes are the right token, in constant time.
pub type TokenCheck = Box<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// What control is built from.
pub struct Parts {
    /// Where everything is kept.
    pub store: Arc<dyn Ledger>,
    /// What the workers read.
    pub current: Arc<Current>,
    /// What it is told once.
    pub options: ControlOptions,
    /// Where backends may be.
    pub way: Way,
    /// Seals copies of keys, if that is wanted.
    pub sealer: Option<Sealer>,
    /// Whether presented bytes are the token from the settings.
    pub root: TokenCheck,
    /// The deployments' logs.
    pub logs: Arc<Logs>,
}

impl Control {
    /// Reads the store and puts what is in it in force.
    ///
    /// # Errors
    /// When the store can't be read or written.
    pub async fn open(parts: Parts) -> Result<Arc<Self>, ControlError> {
        let (refusals, waiting) = mpsc::channel(audit::WAITING_MAX);
        let control = Arc::new(Self {
            store: parts.store,
            current: parts.current,
            options: parts.options,
            way: parts.way,
            sealer: parts.sealer,
            root: parts.root,
            reserved: OnceLock::new(),
            feed: Feed::new(),
            logs: parts.logs,
            started_at_ms: unix_ms(),
            refusals,
            tokens_used: dashmap::DashMap::new(),
            state: RwLock::default(),
            turn: Arc::default(),
            times: Times::new(),
            quotas: tokio::sync::Mutex::default(),
            last_id_ms: AtomicU64::new(0),
        });
        control.reload().await?;
        control.restore_quotas().await?;
        control.keep_audit(waiting);
        Ok(control)
    }

    /// Works off what was left unfinished, and keeps the store tidy. Called once, when backends can
    /// be reached.
    pub fn start(self: &Arc<Self>) {
        self.work_off_all();
        self.keep_tidy();
        self.keep_quotas();
        self.watch_pools();
    }

    /// Has every queue worked off that nobody is at.
    pub(super) fn work_off_all(self: &Arc<Self>) {
        let unfinished: HashSet<DeploymentName> = {
            let state = self.state();
            let open = state.tasks().filter(|task| !task.value.status.is_final());
            open.map(|task| task.value.deployment.clone()).collect()
        };
        for name in unfinished {
            self.work_off(name);
        }
    }

    /// Reads the store anew and puts what is in it in force. The caller holds the turn.
    pub(super) async fn reload(&self) -> Result<(), ControlError> {
        let mut state = self.read_state().await?;
        let keys = self.read_keys().await?;
        // A commit of its own: it gives the snapshot a number above all before, in this process and
        // in those before it, and shows whether the store can be written.
        let start = Write::Put {
            key: "meta/loaded".to_owned(),
            value: encode(&serde_json::json!({ "at_ms": unix_ms() })),
            condition: If::Any,
        };
        let mut writes = vec![start];
        if state.tenant(DEFAULT_TENANT).is_none() {
            writes.push(Write::Put {
                key: place::tenant(DEFAULT_TENANT),
                value: encode(&default_tenant()?),
                condition: If::Any,
            });
        }
        let revision = self.store.commit(writes).await?;
        if state.tenant(DEFAULT_TENANT).is_none() {
            state.put_tenant(Stored {
                revision,
                value: default_tenant()?,
            });
        }
        self.with_state(|known| {
            state.inherit(known);
            *known = state;
            let in_force = self.current.load_full();
            let gone = in_force.routes().map(|route| route.name().clone());
            let names: HashSet<DeploymentName> = gone
                .chain(known.deployments().map(|(name, _)| name.clone()))
                .collect();
            let declared = names
                .into_iter()
                .map(|name| (name.clone(), known.declared(&name)));
            let stored: HashSet<_> = keys.iter().map(|(digest, _)| *digest).collect();
            let in_force = self.current.keys().digests();
            let revoked = in_force
                .into_iter()
                .filter(|digest| !stored.contains(digest))
                .map(|digest| (digest, None));
            let changes = revoked.chain(keys.into_iter().map(|(digest, key)| (digest, Some(key))));
            self.build_and_publish(declared.collect(), changes.collect(), revision);
        });
        Ok(())
    }

    async fn read_state(&self) -> Result<State, ControlError> {
        let mut state = State::default();
        self.each(place::TENANTS, |record| {
            state.put_tenant(decode::<Tenant>(record)?);
            Ok(())
        })
        .await?;
        self.each(place::PROJECTS, |record| {
            state.put_project(decode::<Project>(record)?);
            Ok(())
        })
        .await?;
        self.each(place::TOKENS, |record| {
            state.put_token(decode::<Token>(record)?);
            Ok(())
        })
        .await?;
        self.each(SUBSCRIPTIONS, |record| {
            state.put_subscription(decode::<Subscription>(record)?);
            Ok(())
        })
        .await?;
        let mut deployments = Vec::new();
        self.each(place::DEPLOYMENTS, |record| {
            let stored = decode::<Deployment>(record)?;
            if !stored.value.is_deleted() {
                let name = record.key.trim_start_matches(place::DEPLOYMENTS);
                let name = DeploymentName::parse(name)
                    .map_err(|error| ControlError::Internal(error.to_string()))?;
                deployments.push((name, stored));
            }
            Ok(())
        })
        .await?;
        for (name, stored) in deployments {
            let held = self.held(&name, stored).await?;
            state.put_deployment(&name, held);
        }
        // Ended ones too, until there are as many as are known by heart.
        self.each(place::TASKS, |record| {
            state.put_task(decode::<Task>(record)?);
            Ok(())
        })
        .await?;
        Ok(state)
    }

    /// A deployment with its deployed versions.
    async fn held(
        &self,
        name: &DeploymentName,
        stored: Stored<Deployment>,
    ) -> Result<Held, ControlError> {
        let record = stored.value;
        let live = match record.live {
            Some(number) => Some(self.numbered(name, number).await?),
            None => None,
        };
        let mut kept = Vec::new();
        for number in &record.kept {
            kept.push(self.numbered(name, *number).await?);
        }
        Ok(Held {
            revision: stored.revision,
            record,
            live,
            kept,
        })
    }

    /// A version as the data plane is to have it.
    pub(super) async fn numbered(
        &self,
        name: &DeploymentName,
        number: VersionNumber,
    ) -> Result<Numbered, ControlError> {
        let stored = self.stored_version(name, number).await?;
        let spec = VersionSpec::from_json(&stored.value.spec).map_err(|mistakes| {
            ControlError::Internal(format!("{name}_v{number} as stored: {mistakes}"))
        })?;
        Ok(Numbered {
            number,
            spec: Arc::new(spec),
            is_challenger_stopped: stored.value.challenger_stopped.is_some(),
        })
    }

    /// A version as stored.
    pub(super) async fn stored_version(
        &self,
        name: &DeploymentName,
        number: VersionNumber,
    ) -> Result<Stored<Version>, ControlError> {
        let record = self.store.get(&place::version(name, number)).await?;
        let record = record.ok_or_else(|| {
            let words = format!("{name} has no version {number}");
            ControlError::unknown("version_unknown", words)
        })?;
        Ok(decode(&record)?)
    }

    /// The same, or none when it was deleted.
    pub(super) async fn version_if_kept(
        &self,
        name: &DeploymentName,
        number: VersionNumber,
    ) -> Result<Option<Stored<Version>>, ControlError> {
        match self.stored_version(name, number).await {
            Ok(version) => Ok(Some(version)),
            Err(ControlError::Unknown { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn read_keys(
        &self,
    ) -> Result<Vec<(crate::base::secret::KeyDigest, Arc<Principal>)>, ControlError> {
        // Many keys share few scopes: sharing their names keeps the check of one in the cache.
        let mut scopes: HashMap<Scope, Scope> = HashMap::new();
        let mut keys = Vec::new();
        self.each(place::KEYS, |record| {
            let key = decode::<Key>(record)?.value;
            if key.status == KeyStatus::Live {
                let scope = scopes
                    .entry(key.scope.clone())
                    .or_insert_with(|| key.scope.clone());
                let spec = key.to_spec();
                keys.push((
                    key.digest,
                    Arc::new(Principal::with_scope(&spec, scope.clone())),
                ));
            }
            Ok(())
        })
        .await?;
        Ok(keys)
    }

    /// Hands over every record under a prefix.
    pub(super) async fn each(
        &self,
        prefix: &str,
        mut with: impl FnMut(&Record) -> Result<(), ControlError>,
    ) -> Result<(), ControlError> {
        let mut after: Option<String> = None;
        loop {
            let records = self
                .store
                .list(prefix, after.as_deref(), PAGE, Order::Up)
                .await?;
            records.iter().try_for_each(&mut with)?;
            match records.last() {
                Some(last) if records.len() == PAGE => after = Some(last.key.clone()),
                _ => return Ok(()),
            }
        }
    }
}

fn default_tenant() -> Result<Tenant, ControlError> {
    let name = Name::parse(DEFAULT_TENANT);
    Ok(Tenant {
        name: name.map_err(|error| ControlError::Internal(error.to_string()))?,
        description: "The tenant of whoever names none.".to_owned(),
        created_at_ms: unix_ms(),
        created_by: "system".to_owned(),
    })
}
