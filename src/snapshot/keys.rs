//! API keys: from the digest of what a request presents to what it opens.
//!
//! Immutable maps behind `ArcSwap`, one for each shard, so that a look-up takes no lock and a
//! change rebuilds one shard. Digests are uniformly distributed: their first bytes choose the
//! shard, others serve as the hash.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwap;
use dashmap::DashMap;

use crate::{
    base::{
        clock::{Tick, unix_ms},
        id::KeyId,
        secret::KeyDigest,
    },
    limit::{DayCount, Kept, Limiter, day_of},
    spec::{KeySpec, Priority, Scope},
};

/// With a million keys, some 4,000 in each: a change then copies a map of 160 KiB, in well under a
/// millisecond. More shards would make that cheaper and every look-up dearer, because what leads to
/// a shard no longer fits the cache (with 4,096 of them it was the first of four misses).
const SHARDS: usize = 256;

/// Whom a key stands for, and what it opens.
#[derive(Debug)]
pub struct Principal {
    id: KeyId,
    scope: Scope,
    may_pin: bool,
    priority: Priority,
    limits: Option<Arc<Limiter>>,
    expires_at_ms: Option<u64>,
    /// When its use was last noted, so that noting it again can be left for a while without looking
    /// at `warm`, which lies elsewhere in memory.
    noted_at_ms: AtomicU64,
    warm: OnceLock<Arc<Warm>>,
}

/// What changes with use. Kept beside the keys, so that editing a key does not lose it.
#[derive(Debug, Default)]
pub(super) struct Warm {
    used_at_ms: AtomicU64,
}

type Shard = HashMap<KeyDigest, Arc<Principal>, BuildHasherDefault<DigestHasher>>;

/// All keys in force.
pub struct Keys {
    shards: Box<[ArcSwap<Shard>]>,
    /// Only keys that were used are in it. A request meets it once in the life of a principal.
    warm: DashMap<KeyDigest, Arc<Warm>>,
    /// Quotas of the day, also those that were lifted today, for whoever writes them down. No request
    /// meets it.
    quotas: DashMap<KeyDigest, Kept>,
    count: AtomicUsize,
}

/// Takes eight bytes of a digest for its hash.
#[derive(Default)]
struct DigestHasher(u64);

// === impl Principal ===

impl Principal {
    /// What a declared key stands for.
    pub fn new(spec: &KeySpec) -> Self {
        Self::with_scope(spec, spec.scope.clone())
    }

    /// The same, with a scope equal to that of `spec` whose name many principals share: checking
    /// it then finds the name in the cache.
    pub fn with_scope(spec: &KeySpec, scope: Scope) -> Self {
        debug_assert_eq!(spec.scope, scope);
        Self {
            id: spec.id.clone(),
            scope,
            may_pin: spec.may_pin,
            priority: spec.priority,
            limits: (!spec.limits.is_unlimited())
                .then(|| Limiter::new(spec.limits, None, Tick::now())),
            expires_at_ms: spec.expires_at_ms,
            noted_at_ms: AtomicU64::new(0),
            warm: OnceLock::new(),
        }
    }

    /// Whether this is what `spec` stands for; its description opens nothing.
    pub fn stands_for(&self, spec: &KeySpec) -> bool {
        self.id == spec.id
            && self.scope == spec.scope
            && self.may_pin == spec.may_pin
            && self.priority == spec.priority
            && self.expires_at_ms == spec.expires_at_ms
            && match &self.limits {
                Some(limits) => *limits.spec() == spec.limits,
                None => spec.limits.is_unlimited(),
            }
    }

    /// The key's public id.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// What it opens.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whether its requests may choose a version.
    pub fn may_pin(&self) -> bool {
        self.may_pin
    }

    /// Whether its requests go before others'.
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// How much it may ask for; none without limits.
    pub fn limits(&self) -> Option<&Arc<Limiter>> {
        self.limits.as_ref()
    }

    /// The same where limits go on that there were before: editing a key does not refill it.
    fn succeeding(self: Arc<Self>, before: Option<&Arc<Limiter>>) -> Arc<Self> {
        let (Some(new), Some(before)) = (&self.limits, before) else {
            return self;
        };
        let limits = Limiter::new(*new.spec(), Some(before), Tick::now());
        Arc::new(Self {
            id: self.id.clone(),
            scope: self.scope.clone(),
            may_pin: self.may_pin,
            priority: self.priority,
            limits: Some(limits),
            expires_at_ms: self.expires_at_ms,
            noted_at_ms: AtomicU64::new(0),
            warm: OnceLock::new(),
        })
    }

    /// Whether it opens anything now.
    pub fn is_valid(&self) -> bool {
        self.expires_at_ms.is_none_or(|expires| unix_ms() < expires)
    }
}

// === impl Keys ===

impl Keys {
    /// No keys.
    pub fn new() -> Self {
        let none = Arc::new(Shard::default());
        Self {
            shards: (0..SHARDS)
                .map(|_| ArcSwap::new(Arc::clone(&none)))
                .collect(),
            warm: DashMap::new(),
            quotas: DashMap::new(),
            count: AtomicUsize::new(0),
        }
    }

    /// The principal of a presented key, if it is in force.
    pub fn get(&self, digest: &KeyDigest) -> Option<Arc<Principal>> {
        let shard = self.shards[shard_of(digest)].load();
        shard
            .get(digest)
            .cloned()
            .filter(|principal| principal.is_valid())
    }

    /// Whether there is a principal for this digest, valid or expired.
    pub fn contains(&self, digest: &KeyDigest) -> bool {
        self.shards[shard_of(digest)].load().contains_key(digest)
    }

    /// The limits of a key, valid or expired.
    pub fn limits_of(&self, digest: &KeyDigest) -> Option<Arc<Limiter>> {
        let shard = self.shards[shard_of(digest)].load();
        shard.get(digest)?.limits().cloned()
    }

    /// The digests of all keys.
    pub fn digests(&self) -> Vec<KeyDigest> {
        let shards = self.shards.iter();
        shards
            .flat_map(|shard| shard.load().keys().copied().collect::<Vec<_>>())
            .collect()
    }

    /// Puts changes in force: a principal for a key to be granted or replaced, none for one to be
    /// revoked. When this returns, every request that starts afterwards sees them.
    pub fn apply(&self, changes: impl IntoIterator<Item = (KeyDigest, Option<Arc<Principal>>)>) {
        let today = day_of(unix_ms());
        let mut by_shard: HashMap<usize, Vec<_>> = HashMap::new();
        for (digest, principal) in changes {
            let shard = by_shard.entry(shard_of(&digest)).or_default();
            shard.push((digest, principal));
        }
        for (shard, changes) in by_shard {
            let mut map = Shard::clone(&self.shards[shard].load());
            let before = map.len();
            for (digest, principal) in changes {
                let old = map.get(&digest);
                let quota = old.and_then(|_| self.quota_of(&digest, today));
                let before = old.and_then(|old| old.limits());
                let before = before.or_else(|| quota.as_ref().map(Kept::limits));
                let principal = principal.map(|new| new.succeeding(before));
                let kept = principal
                    .as_ref()
                    .and_then(|new| Kept::of(new.limits(), quota.as_ref(), today));
                match kept {
                    Some(kept) => drop(self.quotas.insert(digest, kept)),
                    None if quota.is_some() => drop(self.quotas.remove(&digest)),
                    None => {}
                }
                match principal {
                    Some(principal) => drop(map.insert(digest, principal)),
                    None => {
                        map.remove(&digest);
                        self.warm.remove(&digest);
                    }
                }
            }
            let after = map.len();
            // The store is the moment of force: each request loads its shard afresh.
            self.shards[shard].store(Arc::new(map));
            // Relaxed: a figure for people.
            self.count.fetch_add(after, Ordering::Relaxed);
            self.count.fetch_sub(before, Ordering::Relaxed);
        }
    }

    /// Notes that a key was used.
    pub fn touch(&self, digest: &KeyDigest, principal: &Principal, now_ms: u64) {
        // Once a second is enough for people, and spares the workers the cache line. Relaxed: workers
        // that race note nearly the same time.
        if now_ms.saturating_sub(principal.noted_at_ms.load(Ordering::Relaxed)) < 1_000 {
            return;
        }
        principal.noted_at_ms.store(now_ms, Ordering::Relaxed);
        let warm = principal
            .warm
            .get_or_init(|| Arc::clone(&self.warm.entry(*digest).or_default()));
        warm.used_at_ms.store(now_ms, Ordering::Relaxed);
    }

    /// When a key was last used, in milliseconds since 1970.
    pub fn used_at_ms(&self, digest: &KeyDigest) -> Option<u64> {
        let warm = self.warm.get(digest)?;
        Some(warm.used_at_ms.load(Ordering::Relaxed))
    }

    /// Every key that was used, and when.
    pub fn uses(&self) -> Vec<(KeyDigest, u64)> {
        let used = self.warm.iter();
        used.map(|entry| (*entry.key(), entry.used_at_ms.load(Ordering::Relaxed)))
            .collect()
    }

    /// The limits of every key whose requests of this day are to be known.
    pub fn quotas(&self, today: u32) -> impl Iterator<Item = (KeyDigest, Arc<Limiter>)> {
        let quotas = self.quotas.iter();
        let needed = quotas.filter(move |entry| entry.is_needed(today));
        needed.map(|entry| (*entry.key(), Arc::clone(entry.limits())))
    }

    /// What is to be kept of a key's requests of the day.
    pub fn quota_of(&self, digest: &KeyDigest, today: u32) -> Option<Kept> {
        let quota = self.quotas.get(digest)?;
        quota.is_needed(today).then(|| quota.clone())
    }

    /// Counts on from what was written down, also for a quota that may be declared again today.
    pub fn restore_quota(&self, digest: &KeyDigest, count: DayCount, today: u32) {
        if let Some(quota) = self.quotas.get(digest) {
            quota.limits().restore(count);
        } else if self.contains(digest)
            && let Some(kept) = Kept::restored(self.limits_of(digest).as_ref(), count, today)
        {
            self.quotas.insert(*digest, kept);
        }
    }

    /// Forgets quotas that were lifted before this day.
    pub fn forget_quotas(&self, today: u32) {
        self.quotas.retain(|_, quota| quota.is_needed(today));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self::new()
    }
}

fn shard_of(digest: &KeyDigest) -> usize {
    let [low, high, ..] = *digest.as_bytes();
    usize::from(u16::from_le_bytes([low, high])) % SHARDS
}

// === impl DigestHasher ===

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        // Bytes other than those that chose the shard. The array's length comes by `write_usize`.
        if let Some(Ok(eight)) = bytes.get(8..16).map(<[u8; 8]>::try_from) {
            self.0 = u64::from_le_bytes(eight);
        }
    }

    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::LimitsSpec;

    fn key(n: usize) -> (KeyDigest, Arc<Principal>) {
        let secret = format!("key-number-{n:08}");
        let digest = KeyDigest::of_key(secret.as_bytes()).expect("a key");
        let spec = KeySpec {
            id: KeyId::new(&format!("k{n}")),
            digest,
            scope: Scope::Instance,
            description: String::new(),
            may_pin: false,
            limits: crate::spec::LimitsSpec::default(),
            priority: crate::spec::Priority::default(),
            expires_at_ms: None,
        };
        (digest, Arc::new(Principal::new(&spec)))
    }

    #[test]
    fn granted_replaced_and_revoked() {
        let keys = Keys::new();
        keys.apply((0..5_000).map(key).map(|(digest, p)| (digest, Some(p))));
        assert_eq!(keys.len(), 5_000);
        for n in 0..5_000 {
            let found = keys.get(&key(n).0).expect("in force");
            assert_eq!(found.id().as_str(), format!("k{n}"));
        }
        assert!(keys.get(&key(5_000).0).is_none());
        keys.apply([(key(7).0, None), (key(8).0, Some(key(9).1))]);
        assert!(keys.get(&key(7).0).is_none());
        assert_eq!(keys.get(&key(8).0).expect("in force").id().as_str(), "k9");
        assert_eq!(keys.len(), 4_999);
    }

    #[test]
    fn an_expired_key_opens_nothing() {
        let (digest, _) = key(1);
        let principal = |expires_at_ms| Principal {
            id: KeyId::new("k"),
            scope: Scope::Instance,
            may_pin: false,
            limits: None,
            priority: Priority::default(),
            expires_at_ms: Some(expires_at_ms),
            noted_at_ms: AtomicU64::new(0),
            warm: OnceLock::new(),
        };
        let keys = Keys::new();
        keys.apply([(digest, Some(Arc::new(principal(unix_ms() - 1))))]);
        assert!(keys.get(&digest).is_none());
        keys.apply([(digest, Some(Arc::new(principal(unix_ms() + 60_000))))]);
        assert!(keys.get(&digest).is_some());
    }

    fn limited(limits: LimitsSpec) -> Option<Arc<Principal>> {
        let (_, principal) = key(1);
        Some(Arc::new(Principal {
            id: principal.id.clone(),
            scope: Scope::Instance,
            may_pin: false,
            limits: (!limits.is_unlimited()).then(|| Limiter::new(limits, None, Tick::now())),
            priority: Priority::default(),
            expires_at_ms: None,
            noted_at_ms: AtomicU64::new(0),
            warm: OnceLock::new(),
        }))
    }

    #[test]
    fn what_was_taken_outlives_an_edit_but_not_a_revocation() {
        let keys = Keys::new();
        let (digest, _) = key(1);
        let mut spec = LimitsSpec {
            requests_per_second: Some(0.001),
            burst: Some(10),
            ..LimitsSpec::default()
        };
        let limits = || keys.limits_of(&digest).expect("limited");
        let (now, unix_ms) = (Tick::now(), unix_ms());
        let today = day_of(unix_ms);
        let take = || limits().take(crate::limit::Arrival::Now, now, unix_ms);
        keys.apply([(digest, limited(spec))]);
        let first = take().expect("the first");
        spec.requests_per_day = Some(5);
        assert_eq!(keys.quotas(today).count(), 0);
        keys.apply([(digest, limited(spec))]);
        assert_eq!(keys.quotas(today).count(), 1);
        let standing = limits().standing(now, unix_ms);
        assert_eq!(standing.requests_available, Some(9));
        assert_eq!((standing.in_flight, standing.requests_today), (1, 1));
        drop(first);
        assert_eq!(limits().standing(now, unix_ms).in_flight, 0);
        // A key that is replaced by itself has the very same limits.
        let before = limits();
        keys.apply([(digest, limited(spec))]);
        assert!(Arc::ptr_eq(&before, &limits()));
        keys.apply([(digest, limited(LimitsSpec::default()))]);
        assert!(keys.limits_of(&digest).is_none());
        // Lifted limits are counted on when they are declared again, on the same day.
        assert_eq!(keys.quotas(today).count(), 1);
        keys.apply([(digest, limited(spec)), (key(2).0, limited(spec))]);
        assert_eq!(limits().standing(now, unix_ms).requests_today, 1);
        keys.apply([(key(2).0, limited(LimitsSpec::default()))]);
        assert_eq!(keys.quotas(today + 1).count(), 1);
        keys.forget_quotas(today + 1);
        assert_eq!(keys.quotas(today).count(), 1);
        keys.apply([(key(2).0, limited(spec))]);
        keys.apply([(digest, None)]);
        assert_eq!(keys.quotas(today).count(), 1);
        keys.apply([(digest, limited(spec))]);
        assert_eq!(limits().standing(now, unix_ms).requests_today, 0);
    }

    #[test]
    fn use_outlives_an_edit_but_not_a_revocation() {
        let keys = Keys::new();
        let (digest, principal) = key(1);
        keys.apply([(digest, Some(Arc::clone(&principal)))]);
        keys.touch(&digest, &principal, 5_000);
        keys.apply([(digest, Some(key(1).1))]);
        assert_eq!(keys.used_at_ms(&digest), Some(5_000));
        keys.apply([(digest, None)]);
        assert_eq!(keys.used_at_ms(&digest), None);
    }
}
