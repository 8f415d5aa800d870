//! Building a snapshot: a function of what is declared and of the snapshot before, from which it takes
//! over what is to survive. What did not change is shared, so that one deployment's swap among a
//! thousand compiles one. It does one thing beside: the brakes of challengers and the gates, shared with
//! what is in force, are set as declared, so that a challenger that is stopped is so for requests that
//! began before, too, and nobody waits at a gate that is no more.

use std::sync::{Arc, OnceLock, Weak};

use http::HeaderValue;

use super::{
    Books, Brake, Challenger, FACTOR_FIRST, Idle, Lane, LaneCaps, Leg, Plan, QueueRules, Route,
    Routes, Rules, Snapshot, Standing,
};
use crate::{
    base::{
        clock::{Tick, unix_ms},
        id::{Epoch, SampleShare, VersionNumber},
        name::{DeploymentName, Name},
    },
    limit::{Allowance, Gate, Kept, Limiter, day_of},
    spec::{Access, ChallengerSpec, LimitsSpec, OverloadSpec, PoolSpec, VersionSpec},
    telemetry::{
        meters::{RoleMeters, VersionMeters},
        outcome::Role,
    },
    upstream::{
        backend::Backend,
        breaker::EjectionOptions,
        budget::BudgetOptions,
        pool::{Member, Pool},
    },
};

/// A deployment as it is to be.
#[derive(Debug, Clone)]
pub struct Declared {
    /// Its name.
    pub name: DeploymentName,
    /// Whose keys open it.
    pub access: Access,
    /// Projects, other than its own, whose keys open it too.
    pub shared: Vec<Name>,
    /// The version that answers, or why none does.
    pub live: Result<Numbered, Idle>,
    /// How much it may be asked for.
    pub limits: LimitsSpec,
    /// What happens when it is asked for more than its backends do.
    pub overload: Option<OverloadSpec>,
    /// What it says of its async requests.
    pub queue: QueueRules,
    /// Retired versions that are kept warm, to be pinned. None are without a live version.
    pub kept: Vec<Numbered>,
    /// Whether nothing is taken over from before: new connections, no ejections.
    pub fresh: bool,
}

/// A version with its number.
#[derive(Debug, Clone)]
pub struct Numbered {
    /// The number.
    pub number: VersionNumber,
    /// The version. Shared with the plan, so that what did not change is seen by its address.
    pub spec: Arc<VersionSpec>,
    /// Whether its challenger was stopped: it gets no copies.
    pub is_challenger_stopped: bool,
}

/// What applies to every deployment alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BuildOptions {
    /// When backends are ejected.
    pub ejection: EjectionOptions,
    /// What retries may add.
    pub budget: BudgetOptions,
    /// Bytes that the copies waiting for one challenger may hold.
    pub mirror_queue_bytes_max: u64,
}

/// The settings' defaults.
impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            ejection: EjectionOptions::default(),
            budget: BudgetOptions::default(),
            mirror_queue_bytes_max: 64 << 20,
        }
    }
}

/// Compiles what changed on top of the snapshot before: a deployment as it is to be, or none for one
/// that is gone. All others stay as they are.
pub fn build(
    changes: impl IntoIterator<Item = (DeploymentName, Option<Declared>)>,
    before: &Snapshot,
    epoch: Epoch,
    options: &BuildOptions,
) -> Snapshot {
    let mut routes = Routes::clone(&before.routes);
    for (name, declared) in changes {
        match declared {
            Some(declared) => {
                let old = before.routes.get(&name).map(|old| &**old);
                let new = route(declared, old, options);
                routes.insert(name, Arc::new(new));
            }
            None => {
                let gone = routes.remove(&name);
                if let Some(gate) = gone.as_ref().and_then(|gone| gone.gate.as_ref()) {
                    gate.lift();
                }
            }
        }
    }
    Snapshot::new(epoch, Arc::new(routes))
}

fn route(declared: Declared, old: Option<&Route>, options: &BuildOptions) -> Route {
    let name = declared.name;
    let main_meters = match old {
        Some(old) => Arc::clone(&old.main_meters),
        None => Arc::new(RoleMeters::new(&name, Role::Main)),
    };
    let survivor = old.filter(|_| !declared.fresh);
    let life = declared.queue.life;
    let plan = |numbered: &Numbered| plan(numbered, &name, life, survivor, &main_meters, options);
    let standing = match &declared.live {
        Err(idle) => Standing::Idle(*idle),
        Ok(live) => Standing::Live {
            live: plan(live),
            kept: declared.kept.iter().map(plan).collect(),
        },
    };
    let mut shared = declared.shared;
    shared.sort_unstable();
    let today = day_of(unix_ms());
    let quota = old.and_then(|old| old.quota.get());
    let quota = quota.filter(|quota| quota.is_needed(today));
    let before = old.and_then(|old| old.limits.as_ref());
    let before = before.or_else(|| quota.map(Kept::limits));
    let limits = (!declared.limits.is_unlimited())
        .then(|| Limiter::new(declared.limits, before, Tick::now()));
    let before = old.and_then(|old| old.gate.clone().or_else(|| old.lifted.upgrade()));
    let gate = declared
        .overload
        .map(|spec| Gate::new(spec, before.as_ref()));
    let mut lifted = Weak::new();
    if let (None, Some(before)) = (&gate, before) {
        before.lift();
        lifted = Arc::downgrade(&before);
    }
    Route {
        quota: Kept::of(limits.as_ref(), quota, today).map_or_else(OnceLock::new, OnceLock::from),
        limits,
        gate,
        lifted,
        access: declared.access,
        shared: shared.into(),
        standing,
        main_meters,
        queue: declared.queue,
        name,
    }
}

/// The plan of a version: the one there is, or a new one. Its challenger's brake is as declared.
fn plan(
    numbered: &Numbered,
    name: &DeploymentName,
    life: u32,
    old: Option<&Route>,
    main_meters: &Arc<RoleMeters>,
    options: &BuildOptions,
) -> Arc<Plan> {
    let plan = compiled(numbered, name, life, old, main_meters, options);
    if let Some(challenger) = &plan.challenger {
        challenger.brake.set_stopped(numbered.is_challenger_stopped);
    }
    plan
}

fn compiled(
    numbered: &Numbered,
    name: &DeploymentName,
    life: u32,
    old: Option<&Route>,
    main_meters: &Arc<RoleMeters>,
    options: &BuildOptions,
) -> Arc<Plan> {
    let number = numbered.number;
    let unchanged = old.and_then(|old| old.deployed(number.0)).filter(|plan| {
        let same = Arc::ptr_eq(&plan.spec, &numbered.spec) || plan.spec == numbered.spec;
        same && plan.options == *options
    });
    if let Some(plan) = unchanged {
        return Arc::clone(plan);
    }
    let version = &*numbered.spec;
    let survivors: Vec<&Plan> =
        old.map_or_else(Vec::new, |old| old.plans().map(|plan| &**plan).collect());
    let mains = survivors.iter().map(|plan| &plan.main);
    let main = leg(
        &version.main,
        name,
        number,
        Arc::clone(main_meters),
        mains,
        options,
    );
    let rivals: Vec<&Challenger> = survivors
        .iter()
        .filter_map(|plan| plan.challenger.as_ref())
        .collect();
    let challenger = version.challenger.as_ref();
    let challenger = challenger.map(|spec| rival(spec, name, life, number, &rivals, options));
    let header = format!("{}_v{number}", name.deployment());
    Arc::new(Plan {
        name: name.clone(),
        version: number,
        // A name holds nothing that a header could not.
        version_header: HeaderValue::try_from(header)
            .unwrap_or_else(|_| HeaderValue::from(number.0)),
        main,
        challenger,
        timeouts: version.timeouts,
        spec: Arc::clone(&numbered.spec),
        options: *options,
    })
}

fn rival(
    spec: &ChallengerSpec,
    name: &DeploymentName,
    life: u32,
    number: VersionNumber,
    old: &[&Challenger],
    options: &BuildOptions,
) -> Challenger {
    let caps = LaneCaps {
        running_max: spec.running_max(),
        queued_max: spec.queue_max,
        queued_bytes_max: options.mirror_queue_bytes_max,
    };
    let lane = old
        .iter()
        .map(|old| &old.lane)
        .find(|lane| lane.caps() == caps);
    let role_meters = match old.first() {
        Some(old) => Arc::clone(&old.leg.role_meters),
        None => Arc::new(RoleMeters::new(name, Role::Challenger)),
    };
    let legs = old.iter().map(|old| &old.leg);
    // What was taken of an allowance stays taken over a swap that leaves it as it is.
    let allowance = |per_second: Option<f64>, of: fn(&Challenger) -> &Option<Arc<Allowance>>| {
        let per_second = per_second?;
        let mut known = old.iter().filter_map(|old| of(old).as_ref());
        let known = known.find(|known| known.per_second() == per_second);
        Some(known.map_or_else(|| Arc::new(Allowance::new(per_second)), Arc::clone))
    };
    let brake = Brake::new();
    if spec.budget.adaptive {
        // Main is as slow behind a swap as before it: a share that was shrunk stays so until the next
        // look. Of one that is new nothing is known; the first look comes seconds later.
        let mut eased = old.iter().filter(|old| old.is_adaptive);
        let factor = eased
            .find(|old| old.share_max > 0.0)
            .map_or(FACTOR_FIRST, |old| old.brake.share() / old.share_max);
        brake.set_share(factor.min(1.0) * spec.share());
    }
    Challenger {
        leg: leg(&spec.pool, name, number, role_meters, legs, options),
        share: SampleShare::new(spec.share()),
        body_bytes_max: spec.body_bytes_max,
        response_bytes_max: spec.response_bytes_max,
        timeout_ms: spec.timeout_ms,
        lane: lane.map_or_else(|| Arc::new(Lane::new(caps)), Arc::clone),
        rules: Arc::new(Rules {
            name: name.clone(),
            life,
            version: number,
            compare: spec.compare.clone(),
            verdict: spec.verdict,
            keep_bodies: spec.keep_bodies.clone(),
            books: Books::default(),
        }),
        brake: Arc::new(brake),
        is_adaptive: spec.budget.adaptive,
        share_max: spec.share(),
        requests: allowance(spec.budget.requests_per_second, |old| &old.requests),
        bytes: allowance(spec.budget.bytes_per_second.map(|n| n as f64), |old| {
            &old.bytes
        }),
    }
}

fn leg<'a>(
    spec: &PoolSpec,
    name: &DeploymentName,
    number: VersionNumber,
    role_meters: Arc<RoleMeters>,
    old: impl Iterator<Item = &'a Leg>,
    options: &BuildOptions,
) -> Leg {
    let known: Vec<&Arc<Backend>> = old
        .flat_map(|old| old.pool.members().iter().map(|member| &member.backend))
        .collect();
    let members = spec.backends.iter().map(|backend| {
        let known = known
            .iter()
            .find(|known| *known.url() == backend.url && known.protocol() == backend.protocol);
        Member {
            backend: known.map_or_else(
                || Arc::new(Backend::new(&backend.url, backend.protocol)),
                |known| Arc::clone(known),
            ),
            weight: backend.weight,
        }
    });
    Leg {
        pool: Pool::new(
            members.collect(),
            options.ejection,
            options.budget,
            Arc::clone(&role_meters),
        ),
        version_meters: VersionMeters::new(name, number, role_meters.role()),
        role_meters,
        predict_path: spec.predict_path.clone(),
        stream_path: spec.stream_path.clone(),
        tails: spec.tails.clone(),
        health_path: spec.health_path.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Declarations, Tails};

    fn numbered(ports: &[u16], number: u32) -> Numbered {
        let urls: Vec<_> = ports
            .iter()
            .map(|port| format!("{{ url = \"http://127.0.0.1:{port}\" }}"))
            .collect();
        let text = format!(
            "[[deployment]]\nproject = \"demo\"\nname = \"iris\"\n\
             version = {{ main = {{ backends = [{}] }} }}",
            urls.join(", ")
        );
        let parsed = Declarations::from_toml(&text).expect("declarations");
        Numbered {
            number: VersionNumber(number),
            spec: Arc::new(parsed.deployments[0].version.clone()),
            is_challenger_stopped: false,
        }
    }

    fn iris(
        live: Result<Numbered, Idle>,
        kept: Vec<Numbered>,
    ) -> (DeploymentName, Option<Declared>) {
        let name = DeploymentName::parse("demo/iris").expect("a name");
        let declared = Declared {
            name: name.clone(),
            access: Access::Keys,
            shared: Vec::new(),
            limits: crate::spec::LimitsSpec::default(),
            overload: None,
            live,
            kept,
            queue: QueueRules::default(),
            fresh: false,
        };
        (name, Some(declared))
    }

    fn built(
        change: (DeploymentName, Option<Declared>),
        before: &Snapshot,
        epoch: u64,
    ) -> Snapshot {
        build([change], before, Epoch(epoch), &BuildOptions::default())
    }

    fn live(snapshot: &Snapshot) -> Arc<Plan> {
        let route = snapshot.route("demo/iris").expect("declared");
        Arc::clone(route.live().expect("live"))
    }

    fn ids(plan: &Plan) -> Vec<u64> {
        let members = plan.main.pool.members().iter();
        members.map(|member| member.backend.id().0).collect()
    }

    #[test]
    fn what_did_not_change_is_shared_and_backends_survive_a_swap() {
        let first = built(
            iris(Ok(numbered(&[1, 2], 1)), vec![]),
            &Snapshot::empty(),
            1,
        );
        let same = built(iris(Ok(numbered(&[1, 2], 1)), vec![]), &first, 2);
        assert!(Arc::ptr_eq(&live(&first), &live(&same)));
        assert_eq!(same.epoch_header(), "2");
        assert!(Arc::ptr_eq(&live(&same), &live(&same.renumbered(Epoch(3)))));

        let swapped = built(iris(Ok(numbered(&[2, 3], 2)), vec![]), &same, 3);
        let (before, after) = (ids(&live(&first)), ids(&live(&swapped)));
        assert_eq!(after[0], before[1]);
        assert!(!before.contains(&after[1]));
        assert_eq!(live(&swapped).version_header, "iris_v2");

        let gone = built((iris(Err(Idle::Stopped), vec![]).0, None), &swapped, 4);
        assert!(gone.route("demo/iris").is_none());
    }

    #[test]
    fn a_kept_version_stays_and_a_rollback_meets_its_backends_again() {
        let first = built(iris(Ok(numbered(&[1], 1)), vec![]), &Snapshot::empty(), 1);
        let second = built(
            iris(Ok(numbered(&[2], 2)), vec![numbered(&[1], 1)]),
            &first,
            2,
        );
        let route = second.route("demo/iris").expect("declared");
        assert!(Arc::ptr_eq(route.deployed(1).expect("kept"), &live(&first)));
        assert_eq!(route.plans().count(), 2);
        assert!(route.deployed(3).is_none());
        let back = built(iris(Ok(numbered(&[1], 1)), vec![]), &second, 3);
        assert!(Arc::ptr_eq(&live(&back), &live(&first)));
        assert!(
            back.route("demo/iris")
                .expect("there")
                .deployed(2)
                .is_none()
        );
    }

    #[test]
    fn a_brake_is_as_declared_on_the_plan_in_force_too() {
        let rival = |number: u32, is_challenger_stopped| {
            let mut numbered = numbered(&[1], number);
            let mut spec = VersionSpec::clone(&numbered.spec);
            spec.challenger = Some(ChallengerSpec {
                pool: spec.main.clone(),
                ..ChallengerSpec::default()
            });
            numbered.spec = Arc::new(spec);
            numbered.is_challenger_stopped = is_challenger_stopped;
            numbered
        };
        let is_stopped = |plan: &Plan| plan.challenger.as_ref().map(|own| own.brake.is_stopped());
        let first = built(iris(Ok(rival(1, false)), vec![]), &Snapshot::empty(), 1);
        let plan = live(&first);
        assert_eq!(is_stopped(&plan), Some(false));
        for (epoch, stopped) in [(2, true), (3, false), (4, true)] {
            let next = built(iris(Ok(rival(1, stopped)), vec![]), &first, epoch);
            assert!(Arc::ptr_eq(&plan, &live(&next)));
            assert_eq!(is_stopped(&plan), Some(stopped));
        }
        // A kept one stays as it is, and the next version's is another.
        let kept = vec![rival(1, true)];
        let second = built(iris(Ok(rival(2, false)), kept), &first, 5);
        assert_eq!(is_stopped(&live(&second)), Some(false));
        assert_eq!(is_stopped(&plan), Some(true));
        // One that is compiled anew begins so.
        let (name, mut declared) = iris(Ok(rival(1, true)), vec![]);
        if let Some(declared) = &mut declared {
            declared.fresh = true;
        }
        let fresh = built((name, declared), &second, 6);
        assert!(!Arc::ptr_eq(&plan, &live(&fresh)));
        assert_eq!(is_stopped(&live(&fresh)), Some(true));
    }

    #[test]
    fn an_adaptive_share_begins_small_and_goes_on_over_a_swap() {
        let rival = |number: u32, sample: f64, adaptive: bool| {
            let mut numbered = numbered(&[1], number);
            let mut spec = VersionSpec::clone(&numbered.spec);
            let mut rival = ChallengerSpec {
                pool: spec.main.clone(),
                sample,
                ..ChallengerSpec::default()
            };
            rival.budget.adaptive = adaptive;
            spec.challenger = Some(rival);
            numbered.spec = Arc::new(spec);
            numbered
        };
        let brake = |snapshot: &Snapshot| {
            let plan = live(snapshot);
            let challenger = plan.challenger.as_ref().expect("it has one");
            Arc::clone(&challenger.brake)
        };
        let is = |share: f64, wanted: f64| (share - wanted).abs() < 1e-9;
        let first = built(iris(Ok(rival(1, 0.5, true)), vec![]), &Snapshot::empty(), 1);
        assert!(is(brake(&first).share(), 0.5 * FACTOR_FIRST));
        brake(&first).set_share(0.25);
        let second = built(iris(Ok(rival(2, 1.0, true)), vec![]), &first, 2);
        assert!(is(brake(&second).share(), 0.5), "half of what is declared");
        let third = built(iris(Ok(rival(3, 1.0, false)), vec![]), &second, 3);
        assert!(is(brake(&third).share(), 1.0));
        let fourth = built(iris(Ok(rival(4, 1.0, true)), vec![]), &third, 4);
        assert!(is(brake(&fourth).share(), FACTOR_FIRST));
    }

    #[test]
    fn an_idle_deployment_says_why() {
        let first = built(iris(Ok(numbered(&[1], 1)), vec![]), &Snapshot::empty(), 1);
        for idle in [Idle::Stopped, Idle::NotLive] {
            let stopped = built(iris(Err(idle), vec![]), &first, 2);
            let route = stopped.route("demo/iris").expect("declared");
            assert!(matches!(route.live(), Err(why) if why == idle));
            assert_eq!(route.plans().count(), 0);
        }
    }

    #[test]
    fn paths_and_tails() {
        let snapshot = built(iris(Ok(numbered(&[1], 1)), vec![]), &Snapshot::empty(), 1);
        let plan = live(&snapshot);
        let path = |operation, tail| plan.main.path(operation, tail);
        use crate::wire::target::Operation::{Predict, Stream};
        assert_eq!(path(Predict, ""), Some("/predict"));
        assert_eq!(path(Stream, ""), Some("/stream"));
        assert_eq!(path(Stream, "v1/x"), Some("/"));
        assert!(!Tails::Prefixes(vec![]).allow("v1"));
    }
}
