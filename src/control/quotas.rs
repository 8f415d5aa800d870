//! Requests of the day, kept over restarts. They are counted in memory, and written down once a second
//! where they have changed.
//!
//! ```text
//! Limiter: 1,200 today ──every second──▶ quota/k/{digest}: 1,200 and as many as came in this second
//!                      ──a quiet second──▶ 1,200        start: read before a request is answered
//! ```
//!
//! A kill loses what came since the last writing, a second of requests. So what is written while they
//! come is ahead by as many as came since the writing before: a steady client has had at most as many
//! as the record says, and loses at most a second of its quota to a kill. An orderly end writes the
//! exact count.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use super::{
    deployments::overwrite,
    error::ControlError,
    plane::Control,
    record::{decode, place},
};
use crate::{
    base::{
        clock::{Tick, unix_ms},
        name::DeploymentName,
        secret::KeyDigest,
        task,
    },
    limit::{DayCount, Kept, Limiter, day_of},
    store::{If, Write},
};

/// How often counts are written down.
const EVERY: Duration = Duration::from_secs(1);

/// Rounds between two looks for counts that nobody needs any more.
const ROUNDS_PER_PRUNING: u64 = 60;

/// Counts that are written in one batch.
const BATCH: usize = 5_000;

/// What is written down.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    written: HashMap<Owner, DayCount>,
    /// Whose records are ahead of their counts.
    ahead: HashSet<Owner>,
}

/// Whose requests are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Owner {
    Key(KeyDigest),
    /// In this life of the name: who comes after a deletion begins anew.
    Deployment(DeploymentName, u32),
}

/// What is written of requests that still come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ahead {
    /// As many more as came since the last time.
    ByGrowth,
    /// None: no more will come.
    Exact,
}

/// A count that is to be written.
struct News {
    owner: Owner,
    count: DayCount,
    /// How many more the record says.
    ahead: u64,
    /// Whose count it is; none when it was written before and only gets exact.
    limiter: Option<Arc<Limiter>>,
}

impl Control {
    /// Writes counts down from now on.
    pub(super) fn keep_quotas(self: &Arc<Self>) {
        let control = Arc::clone(self);
        task::spawn("quotas", async move {
            let mut rounds = tokio::time::interval(EVERY);
            rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            let mut was_failing = false;
            for count in 0u64.. {
                rounds.tick().await;
                let mut done = control.write_quotas(Ahead::ByGrowth, unix_ms()).await;
                if done.is_ok() && count % ROUNDS_PER_PRUNING == 0 {
                    done = control.prune_quotas(unix_ms()).await;
                }
                match done {
                    Ok(()) => was_failing = false,
                    // Once for each time that the store goes out of service.
                    Err(error) if !was_failing => {
                        was_failing = true;
                        tracing::warn!(%error, "daily quotas were not written down");
                    }
                    Err(_) => {}
                }
            }
        });
    }

    /// Counts on from what was written down. Called before requests are answered.
    pub(super) async fn restore_quotas(&self) -> Result<(), ControlError> {
        let mut written = HashMap::new();
        self.each(place::QUOTAS, |record| {
            // What can't be read any more was of a name that there is no more.
            if let Some(owner) = Owner::parse(&record.key) {
                written.insert(owner, decode::<DayCount>(record)?.value);
            }
            Ok(())
        })
        .await?;
        let today = day_of(unix_ms());
        let view = self.current.load_full();
        for (owner, count) in &written {
            match owner {
                Owner::Key(digest) => self.current.keys().restore_quota(digest, *count, today),
                Owner::Deployment(name, life) => {
                    let route = view.route(name.as_str());
                    if let Some(route) = route.filter(|route| route.queue().life == *life) {
                        route.restore_quota(*count, today);
                    }
                }
            }
        }
        self.quotas.lock().await.written = written;
        Ok(())
    }

    /// Writes down what has changed.
    pub(super) async fn write_quotas(&self, ahead: Ahead, now_ms: u64) -> Result<(), ControlError> {
        let mut quotas = self.quotas.lock().await;
        let today = day_of(now_ms);
        let mut news = Vec::new();
        for (owner, limiter) in self.quota_owners(today) {
            let Some(count) = limiter.unnoted() else {
                continue;
            };
            if count.day < today {
                limiter.note(count);
                continue;
            }
            let before = quotas.written.get(&owner);
            let before = before.filter(|before| before.day == count.day);
            let grown = count
                .count
                .saturating_sub(before.map_or(0, |before| before.count));
            news.push(News {
                ahead: if ahead == Ahead::ByGrowth { grown } else { 0 },
                owner,
                count,
                limiter: Some(limiter),
            });
        }
        let changed: HashSet<&Owner> = news.iter().map(|news| &news.owner).collect();
        let quiet = quotas.ahead.iter().filter(|owner| !changed.contains(owner));
        let quiet = quiet.filter_map(|owner| {
            Some(News {
                owner: owner.clone(),
                count: *quotas.written.get(owner)?,
                ahead: 0,
                limiter: None,
            })
        });
        let quiet: Vec<_> = quiet.collect();
        news.extend(quiet);
        for batch in news.chunks(BATCH) {
            let writes = batch.iter().map(News::write);
            self.store.commit(writes.collect()).await?;
            for news in batch {
                if let Some(limiter) = &news.limiter {
                    limiter.note(news.count);
                }
                quotas.written.insert(news.owner.clone(), news.count);
                match news.ahead {
                    0 => drop(quotas.ahead.remove(&news.owner)),
                    _ => drop(quotas.ahead.insert(news.owner.clone())),
                }
            }
        }
        Ok(())
    }

    /// Removes what is written of other days, and of keys and deployments that are gone, were made anew
    /// or had no such limit today.
    pub(super) async fn prune_quotas(&self, now_ms: u64) -> Result<(), ControlError> {
        let mut quotas = self.quotas.lock().await;
        let today = day_of(now_ms);
        self.current.keys().forget_quotas(today);
        let view = self.current.load_full();
        let quota_of = |owner: &Owner| match owner {
            Owner::Key(digest) => self.current.keys().quota_of(digest, today),
            Owner::Deployment(name, life) => {
                let route = view.route(name.as_str())?;
                (route.queue().life == *life).then(|| route.quota(today).cloned())?
            }
        };
        let is_needed = |owner: &Owner, count: &DayCount| {
            // Of one that has had none today it is another's, which was there before under its name.
            let has_had = |quota: Kept| quota.limits().standing(Tick::now(), now_ms).requests_today;
            count.day >= today && quota_of(owner).map_or(0, has_had) > 0
        };
        let written = quotas.written.iter();
        let gone = written.filter(|(owner, count)| !is_needed(owner, count));
        let gone: Vec<Owner> = gone.map(|(owner, _)| owner.clone()).collect();
        for batch in gone.chunks(BATCH) {
            let writes = batch.iter().map(|owner| Write::Delete {
                key: owner.place(),
                condition: If::Any,
            });
            self.store.commit(writes.collect()).await?;
            for owner in batch {
                quotas.written.remove(owner);
                quotas.ahead.remove(owner);
            }
        }
        Ok(())
    }

    /// Everybody who may have only so many requests a day, or might until it was lifted today.
    fn quota_owners(&self, today: u32) -> Vec<(Owner, Arc<Limiter>)> {
        let view = self.current.load_full();
        let routes = view.routes().filter_map(|route| {
            let limits = route.quota(today)?.limits();
            let owner = Owner::Deployment(route.name().clone(), route.queue().life);
            Some((owner, Arc::clone(limits)))
        });
        let keys = self.current.keys().quotas(today);
        let keys = keys.map(|(digest, limits)| (Owner::Key(digest), limits));
        // Of a million most are as they were.
        routes
            .chain(keys)
            .filter(|(_, limits)| limits.unnoted().is_some())
            .collect()
    }
}

// === impl Owner ===

impl Owner {
    fn place(&self) -> String {
        match self {
            Self::Key(digest) => place::key_quota(digest),
            Self::Deployment(name, life) => place::deployment_quota(name, *life),
        }
    }

    fn parse(place: &str) -> Option<Self> {
        let (kind, whose) = place.strip_prefix(place::QUOTAS)?.split_once('/')?;
        match kind {
            "k" => KeyDigest::from_hex(whose).ok().map(Self::Key),
            "d" => {
                let (name, life) = whose.rsplit_once('/')?;
                let name = DeploymentName::parse(name).ok()?;
                Some(Self::Deployment(name, life.parse().ok()?))
            }
            _ => None,
        }
    }
}

// === impl News ===

impl News {
    fn write(&self) -> Write {
        let kept = DayCount {
            day: self.count.day,
            count: self.count.count.saturating_add(self.ahead),
        };
        overwrite(self.owner.place(), &kept)
    }
}
