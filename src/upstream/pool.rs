//! A pool: backends that serve the same model, and the choice between them.
//!
//! Power of two choices (Mitzenmacher 2001): two candidates are drawn by weight, the one with less
//! in flight for its weight is taken; on a tie the first, unless its latency is clearly worse. The
//! tie-break has a margin because without it the faster of two equally idle backends would get
//! every request, whatever the weights say.

use std::sync::{Arc, Mutex, PoisonError};

use smallvec::SmallVec;

use super::{
    backend::{Backend, Health},
    breaker::{EjectionOptions, Verdict, poor},
    budget::{Budget, BudgetOptions},
};
use crate::{
    base::{chance::Chance, clock::Tick, id::BackendId},
    telemetry::meters::{Reason, RoleMeters},
};

/// A latency is clearly worse when it is this many times the other's ...
const WORSE_FACTOR: f64 = 2.0;
/// ... and longer by this much: below it, loopback and scheduling decide, not the model.
const WORSE_NS: f64 = 10e6;

/// Of the draws that latency alone would decide, one in so many is left as it fell, so that a
/// backend which was slow once is asked again before its estimate has faded.
const EXPLORE_ONE_IN: u64 = 8;

/// How often a draw may hit a backend that is out before the pool is looked through.
const DRAWS_MAX: usize = 4;

/// A backend and its share.
#[derive(Debug, Clone)]
pub struct Member {
    /// The backend.
    pub backend: Arc<Backend>,
    /// Its share beside the others; 0 takes no traffic.
    pub weight: u32,
}

/// Backends that serve the same model the same way.
pub struct Pool {
    members: Vec<Member>,
    /// Sums of the weights up to and including each member.
    sums: Vec<u64>,
    ejection: EjectionOptions,
    /// Held while an ejection is decided, so that two at once can't empty half the pool twice.
    ejecting: Mutex<()>,
    budget: Budget,
    meters: Arc<RoleMeters>,
}

/// Backends that this request has tried.
pub type Tried = SmallVec<[BackendId; 4]>;

impl Pool {
    /// A pool of at least one member with a weight above zero.
    pub fn new(
        members: Vec<Member>,
        ejection: EjectionOptions,
        budget: BudgetOptions,
        meters: Arc<RoleMeters>,
    ) -> Self {
        let sums = members
            .iter()
            .scan(0u64, |sum, member| {
                *sum += u64::from(member.weight);
                Some(*sum)
            })
            .collect();
        Self {
            members,
            sums,
            ejection,
            ejecting: Mutex::new(()),
            budget: Budget::new(budget),
            meters,
        }
    }

    /// Its backends with their weights.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The retry budget.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Where its events are counted.
    pub fn meters(&self) -> &Arc<RoleMeters> {
        &self.meters
    }

    /// A backend that was not tried yet; none when all were. Backends that are out are taken only
    /// when nothing else is left.
    pub fn pick(&self, now: Tick, chance: &Chance, tried: &[BackendId]) -> Option<&Arc<Backend>> {
        if let [only] = &self.members[..] {
            return (!tried.contains(&only.backend.id())).then_some(&only.backend);
        }
        let Some(first) = self.draw(now, chance, tried, None) else {
            return self.last_resort(chance, tried);
        };
        let Some(second) = self.draw(now, chance, tried, Some(first)) else {
            return Some(&self.members[first].backend);
        };
        let (a, b) = (&self.members[first], &self.members[second]);
        let explores = chance.below(EXPLORE_ONE_IN) == 0 && a.backend.in_flight() == 0;
        Some(if !explores && is_better(b, a, now) {
            &b.backend
        } else {
            &a.backend
        })
    }

    /// Draws by weight among the available, the untried, and those other than `but`.
    fn draw(
        &self,
        now: Tick,
        chance: &Chance,
        tried: &[BackendId],
        but: Option<usize>,
    ) -> Option<usize> {
        let fits = |i: usize| {
            let backend = &self.members[i].backend;
            Some(i) != but && !tried.contains(&backend.id()) && self.is_available(backend, now)
        };
        let total = *self.sums.last()?;
        for _ in 0..DRAWS_MAX {
            let i = self.at(chance.below(total));
            if fits(i) && self.is_let_in(i, now, chance) {
                return Some(i);
            }
        }
        // Many are out: look at all, and draw by weight from what fits.
        let fitting = || (0..self.members.len()).filter(|&i| fits(i));
        let total: u64 = fitting().map(|i| u64::from(self.members[i].weight)).sum();
        if total == 0 {
            return None;
        }
        let mut drawn = chance.below(total);
        fitting().find(|&i| {
            let weight = u64::from(self.members[i].weight);
            let hit = drawn < weight;
            drawn = drawn.saturating_sub(weight);
            hit
        })
    }

    fn at(&self, drawn: u64) -> usize {
        self.sums.partition_point(|&sum| sum <= drawn)
    }

    /// A returning backend takes a growing part of its share.
    fn is_let_in(&self, i: usize, now: Tick, chance: &Chance) -> bool {
        let share = self.members[i].backend.breaker.share(now, &self.ejection);
        share >= 1.0 || chance.unit() < share
    }

    fn is_available(&self, backend: &Backend, now: Tick) -> bool {
        backend.health() != Health::Down && !backend.breaker.is_ejected(now)
    }

    /// All that is left is out; better to try one than to refuse. Ejected ones, which were reached
    /// not long ago, come before those that probes call down.
    fn last_resort(&self, chance: &Chance, tried: &[BackendId]) -> Option<&Arc<Backend>> {
        let left = |down: bool| {
            let fits = move |member: &&Member| {
                let backend = &member.backend;
                member.weight > 0
                    && !tried.contains(&backend.id())
                    && (backend.health() == Health::Down) == down
            };
            self.members.iter().filter(fits)
        };
        for down in [false, true] {
            let count = left(down).count() as u64;
            if count > 0 {
                let drawn = chance.below(count) as usize;
                return left(down).nth(drawn).map(|member| &member.backend);
            }
        }
        None
    }

    /// Records how an exchange with one of its backends went, and ejects it if its time has come.
    pub fn record(&self, backend: &Arc<Backend>, verdict: Verdict, now: Tick) {
        // A pool of one is never ejected, so its record need not be kept.
        if self.members.len() > 1 && backend.breaker.record(verdict, now, &self.ejection) {
            self.eject(backend, now, Reason::EjectedConsecutive);
        }
    }

    /// Notes a time to first byte.
    pub fn observe(&self, backend: &Backend, first_byte_ns: u64, now: Tick) {
        if self.members.len() > 1 {
            backend.latency.observe(first_byte_ns, now);
        }
    }

    #[cold]
    fn eject(&self, backend: &Arc<Backend>, now: Tick, reason: Reason) {
        // A panic while it was held can have left nothing half done: it guards no data.
        let _deciding = self.ejecting.lock().unwrap_or_else(PoisonError::into_inner);
        let in_use = || self.members.iter().filter(|member| member.weight > 0);
        let out = in_use()
            .filter(|member| member.backend.breaker.is_ejected(now))
            .count();
        if backend.breaker.is_ejected(now) || out + 1 > in_use().count() / 2 {
            return;
        }
        backend.breaker.eject(now, &self.ejection);
        self.meters.count(reason);
        tracing::warn!(backend = %backend.url(), ?reason, "backend ejected");
    }

    /// Looks over the success rates of the time since the last review. Called by control every
    /// few seconds.
    pub fn review(&self, now: Tick) {
        let windows: SmallVec<[(u32, u32); 8]> = self
            .members
            .iter()
            .map(|member| member.backend.breaker.window())
            .collect();
        let poor = poor(&windows, &self.ejection);
        for (i, member) in self.members.iter().enumerate() {
            let breaker = &member.backend.breaker;
            if poor.contains(&i) {
                self.eject(&member.backend, now, Reason::EjectedSuccessRate);
            } else if !breaker.is_ejected(now) && windows[i].0 > 0 {
                breaker.forgive();
            }
            let (good, bad) = windows[i];
            if good + bad >= self.ejection.success_rate_min_requests {
                breaker.take_window();
            }
        }
    }

    /// How many of its backends are available, called down by probes, and ejected.
    pub fn census(&self, now: Tick) -> (usize, usize, usize) {
        let mut census = (0, 0, 0);
        for member in &self.members {
            if member.backend.health() == Health::Down {
                census.1 += 1;
            } else if member.backend.breaker.is_ejected(now) {
                census.2 += 1;
            } else {
                census.0 += 1;
            }
        }
        census
    }
}

/// Whether `a` is the better choice than `b`.
fn is_better(a: &Member, b: &Member, now: Tick) -> bool {
    let (busy_a, busy_b) = (a.backend.in_flight(), b.backend.in_flight());
    if (busy_a, busy_b) != (0, 0) {
        // The load for its weight that each would have with this request, compared crosswise to
        // stay with whole numbers. Between two idle ones it would always favour the heavier, whose
        // share the draw has already seen to.
        let load_a = (u64::from(busy_a) + 1) * u64::from(b.weight);
        let load_b = (u64::from(busy_b) + 1) * u64::from(a.weight);
        if load_a != load_b {
            return load_a < load_b;
        }
    }
    let (a, b) = (a.backend.latency.faded(now), b.backend.latency.faded(now));
    b > a * WORSE_FACTOR && b > a + WORSE_NS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::name::DeploymentName,
        spec::{BackendUrl, Protocol},
        telemetry::outcome::Role,
    };

    const EJECTION: EjectionOptions = EjectionOptions {
        consecutive_failures: 3,
        success_rate_margin: 0.3,
        success_rate_min_requests: 20,
        base_ms: 10_000,
        max_ms: 300_000,
        return_ramp_ms: 0,
    };

    fn pool(weights: &[u32]) -> Pool {
        let members = weights.iter().enumerate().map(|(i, &weight)| {
            let url = BackendUrl::parse(&format!("http://127.0.0.1:{}", 9_000 + i));
            Member {
                backend: Arc::new(Backend::new(&url.expect("an address"), Protocol::Http1)),
                weight,
            }
        });
        let name = DeploymentName::parse("demo/iris").expect("a name");
        let budget = BudgetOptions {
            percent: 20,
            min: 3,
        };
        let meters = Arc::new(RoleMeters::new(&name, Role::Main));
        Pool::new(members.collect(), EJECTION, budget, meters)
    }

    fn shares(pool: &Pool, now: Tick, draws: usize) -> Vec<usize> {
        let chance = Chance::seeded(11);
        let mut hits = vec![0; pool.members.len()];
        for _ in 0..draws {
            let picked = pool.pick(now, &chance, &[]).expect("a backend").id();
            let place = pool.members.iter().position(|m| m.backend.id() == picked);
            hits[place.expect("a member")] += 1;
        }
        hits
    }

    #[test]
    fn idle_backends_share_by_weight() {
        let hits = shares(&pool(&[3, 1, 0]), Tick::now(), 4_000);
        assert!((2_850..3_150).contains(&hits[0]), "{hits:?}");
        assert_eq!(hits[2], 0);
    }

    #[test]
    fn load_decides_and_latency_breaks_ties() {
        let pool = pool(&[1, 1]);
        let now = Tick::now();
        let load = pool.members[0].backend.load();
        assert_eq!(shares(&pool, now, 100), [0, 100]);
        drop(load);
        pool.members[1].backend.latency.observe(50_000_000, now);
        let hits = shares(&pool, now, 1_000);
        assert!(
            (30..100).contains(&hits[1]),
            "an eighth of its half: {hits:?}"
        );
    }

    #[test]
    fn at_most_half_is_out_and_a_pool_of_one_never() {
        let now = Tick::now();
        for (size, out) in [(1, 0), (2, 1), (3, 1), (5, 2)] {
            let pool = pool(&vec![1; size]);
            for member in &pool.members {
                (0..9).for_each(|_| pool.record(&member.backend, Verdict::Failure, now));
            }
            assert_eq!(pool.census(now).2, out, "of {size}");
        }
    }

    #[test]
    fn when_all_are_down_they_are_tried_anyway_each_once() {
        let pool = pool(&[1, 1, 1]);
        let (now, chance) = (Tick::now(), Chance::seeded(3));
        for member in &pool.members {
            member.backend.set_health(Health::Down);
        }
        let mut tried = Tried::new();
        while let Some(backend) = pool.pick(now, &chance, &tried) {
            assert!(!tried.contains(&backend.id()));
            tried.push(backend.id());
        }
        assert_eq!(tried.len(), 3);
    }

    #[test]
    fn a_down_backend_gets_nothing_while_another_is_up() {
        let pool = pool(&[1, 1]);
        pool.members[0].backend.set_health(Health::Down);
        assert_eq!(shares(&pool, Tick::now(), 100), [0, 100]);
    }

    #[test]
    fn a_poor_success_rate_ejects_at_review() {
        let pool = pool(&[1, 1, 1]);
        let now = Tick::now();
        for _ in 0..30 {
            pool.record(&pool.members[0].backend, Verdict::Errored, now);
            pool.record(&pool.members[1].backend, Verdict::Success, now);
            pool.record(&pool.members[2].backend, Verdict::Success, now);
        }
        pool.review(now);
        assert!(pool.members[0].backend.breaker.is_ejected(now));
        assert_eq!(pool.census(now), (2, 0, 1));
    }
}
