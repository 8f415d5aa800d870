//! Putting declarations in force: number the versions, build, publish, in the order that lets no
//! key into what it was not meant for.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    base::{
        clock::Tick,
        id::{Epoch, VersionNumber},
        name::DeploymentName,
        secret::KeyDigest,
    },
    snapshot::{BuildOptions, Current, Declared, Principal, build},
    spec::{Declarations, DeploymentSpec, KeySpec, Scope},
    telemetry::{seconds::Seconds, table},
};

/// Holds what is declared and puts changes of it in force. There is one; nobody else writes.
pub struct Declarer {
    current: Arc<Current>,
    options: BuildOptions,
    epoch: Epoch,
    /// The newest version of every deployment ever declared, deleted ones included: numbers only
    /// grow.
    versions: HashMap<DeploymentName, Declared>,
    declared: HashSet<DeploymentName>,
    keys: HashMap<KeyDigest, Arc<Principal>>,
    build_time: Seconds,
    publish_time: Seconds,
}

/// What declaring changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changes {
    /// The epoch in force.
    pub epoch: Epoch,
    /// Deployments that are new, or have a new version or new properties.
    pub deployments_changed: usize,
    /// Deployments that are gone.
    pub deployments_removed: usize,
    /// Keys that are new or open something else.
    pub keys_granted: usize,
    /// Keys that are gone.
    pub keys_revoked: usize,
}

impl Changes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.deployments_changed + self.deployments_removed == 0
            && self.keys_granted + self.keys_revoked == 0
    }
}

impl Declarer {
    /// Nothing declared yet.
    pub fn new(current: Arc<Current>, options: BuildOptions) -> Self {
        Self {
            current,
            options,
            epoch: Epoch(0),
            versions: HashMap::new(),
            declared: HashSet::new(),
            keys: HashMap::new(),
            build_time: Seconds::new(&table::SNAPSHOT_BUILD, &[]),
            publish_time: Seconds::new(&table::SNAPSHOT_PUBLISH, &[]),
        }
    }

    /// Puts declarations in force, all of them or, when nothing changed, none. When this returns,
    /// every request that starts sees them.
    pub fn declare(&mut self, declarations: Declarations) -> Changes {
        let mut changes = self.compare(&declarations);
        if changes.is_empty() && self.epoch != Epoch(0) {
            return changes;
        }
        let began = Tick::now();
        let declared: Vec<Declared> = declarations
            .deployments
            .into_iter()
            .map(|spec| self.number(spec))
            .collect();
        self.declared = declared.iter().map(|d| d.spec.name.clone()).collect();
        self.epoch = Epoch(self.epoch.0 + 1);
        let before = self.current.load_full();
        let snapshot = Arc::new(build(&declared, &before, self.epoch, &self.options));
        drop(before);
        let built = Tick::now();

        let mut scopes: HashSet<Scope> = HashSet::new();
        let keys: HashMap<_, _> = declarations
            .keys
            .into_iter()
            .map(|key| {
                let known = self
                    .keys
                    .get(&key.digest)
                    .filter(|known| known.stands_for(&key));
                let principal = known.map(Arc::clone).unwrap_or_else(|| {
                    let shared = scopes.get(&key.scope).cloned().unwrap_or_else(|| {
                        scopes.insert(key.scope.clone());
                        key.scope.clone()
                    });
                    Arc::new(Principal::with_scope(&key, shared))
                });
                (key.digest, principal)
            })
            .collect();
        let revoked = self.keys.keys().filter(|digest| !keys.contains_key(digest));
        // A key that opens something else is replaced in one store, so that it fails nobody, and
        // before the snapshot: what it opened until now must not meet what is declared from now on.
        let grant = |digest: &KeyDigest, key: &Arc<Principal>| (*digest, Some(Arc::clone(key)));
        let replaced = keys
            .iter()
            .filter_map(|(digest, key)| match self.keys.get(digest) {
                Some(old) if !Arc::ptr_eq(old, key) => Some(grant(digest, key)),
                _ => None,
            });
        let granted = keys
            .iter()
            .filter_map(|(digest, key)| match self.keys.get(digest) {
                Some(_) => None,
                None => Some(grant(digest, key)),
            });
        let in_force = self.current.keys();
        in_force.apply(revoked.map(|digest| (*digest, None)).chain(replaced));
        self.current.publish(snapshot);
        in_force.apply(granted);
        self.keys = keys;
        let published = Tick::now();
        self.build_time.record_ns(built.ns_since(began));
        self.publish_time.record_ns(published.ns_since(built));

        changes.epoch = self.epoch;
        changes
    }

    fn compare(&self, declarations: &Declarations) -> Changes {
        let deployments = &declarations.deployments;
        let known = |spec: &DeploymentSpec| {
            self.declared.contains(&spec.name)
                && self
                    .versions
                    .get(&spec.name)
                    .is_some_and(|known| *known.spec == *spec)
        };
        let names: HashSet<_> = deployments.iter().map(|spec| &spec.name).collect();
        let keys: HashMap<_, _> = declarations.keys.iter().map(|k| (&k.digest, k)).collect();
        let known_key = |key: &KeySpec| {
            self.keys
                .get(&key.digest)
                .is_some_and(|known| known.stands_for(key))
        };
        Changes {
            epoch: self.epoch,
            deployments_changed: deployments.iter().filter(|spec| !known(spec)).count(),
            deployments_removed: self
                .declared
                .iter()
                .filter(|name| !names.contains(name))
                .count(),
            keys_granted: keys.values().filter(|key| !known_key(key)).count(),
            keys_revoked: self
                .keys
                .keys()
                .filter(|digest| !keys.contains_key(digest))
                .count(),
        }
    }

    /// Gives a deployment's version its number: 1, and one more each time the version changes.
    fn number(&mut self, spec: DeploymentSpec) -> Declared {
        let known = self.versions.get(&spec.name);
        let version = match known {
            None => VersionNumber(1),
            Some(known) if known.spec.version == spec.version => known.version,
            Some(known) => VersionNumber(known.version.0 + 1),
        };
        let spec = match known {
            Some(known) if *known.spec == spec => Arc::clone(&known.spec),
            _ => Arc::new(spec),
        };
        let declared = Declared { spec, version };
        self.versions
            .insert(declared.spec.name.clone(), declared.clone());
        declared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declarer() -> (Declarer, Arc<Current>) {
        let current = Arc::new(Current::empty());
        (
            Declarer::new(Arc::clone(&current), BuildOptions::default()),
            current,
        )
    }

    fn text(port: u16, access: &str, keys: &[&str]) -> Declarations {
        let mut text = format!(
            "[[deployment]]\nproject = \"demo\"\nname = \"iris\"\naccess = \"{access}\"\n\
             version = {{ main = {{ backends = [{{ url = \"http://127.0.0.1:{port}\" }}] }} }}\n"
        );
        for key in keys {
            text +=
                &format!("[[key]]\nsecret = \"secret-of-16-and-more-{key}\"\nscope = \"demo\"\n");
        }
        Declarations::from_toml(&text).expect("declarations")
    }

    fn version(current: &Current) -> u32 {
        current
            .load()
            .route("demo/iris")
            .expect("declared")
            .live()
            .version
            .0
    }

    fn opens(current: &Current, key: &str) -> bool {
        let key = format!("secret-of-16-and-more-{key}");
        let digest = KeyDigest::of_key(key.as_bytes()).expect("a key");
        current.keys().get(&digest).is_some()
    }

    #[test]
    fn numbers_grow_with_the_version_alone_and_never_come_back() {
        let (mut declarer, current) = declarer();
        assert_eq!(declarer.declare(text(1, "keys", &[])).epoch, Epoch(1));
        assert_eq!(version(&current), 1);
        assert!(declarer.declare(text(1, "keys", &[])).is_empty());
        declarer.declare(text(1, "public", &[]));
        assert_eq!(version(&current), 1, "access is not part of the version");
        declarer.declare(text(2, "public", &[]));
        assert_eq!(version(&current), 2);
        declarer.declare(text(1, "public", &[]));
        assert_eq!(version(&current), 3);
        assert_eq!(
            declarer
                .declare(Declarations::default())
                .deployments_removed,
            1
        );
        assert!(current.load().route("demo/iris").is_none());
        declarer.declare(text(1, "public", &[]));
        assert_eq!(version(&current), 3, "the same version again");
        assert_eq!(current.load().epoch(), Epoch(6));
    }

    #[test]
    fn keys_come_and_go() {
        let (mut declarer, current) = declarer();
        declarer.declare(text(1, "keys", &["a", "b"]));
        assert!(opens(&current, "a") && opens(&current, "b"));
        let changes = declarer.declare(text(1, "keys", &["b", "c"]));
        assert_eq!((changes.keys_granted, changes.keys_revoked), (1, 1));
        assert!(!opens(&current, "a") && opens(&current, "b") && opens(&current, "c"));
        assert_eq!(current.keys().len(), 2);
    }
}
