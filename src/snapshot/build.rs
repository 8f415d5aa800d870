//! Building a snapshot: a pure function of what is declared and of the snapshot before, from which
//! it takes over what is to survive. What did not change is shared, so that one deployment's swap
//! among a thousand compiles one.

use std::sync::Arc;

use http::HeaderValue;

use super::{Challenger, Lane, LaneCaps, Leg, Plan, Route, Snapshot};
use crate::{
    base::{
        id::{Epoch, SampleShare, VersionNumber},
        name::DeploymentName,
    },
    spec::{ChallengerSpec, DeploymentSpec, PoolSpec},
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

/// A deployment as it is to be, with the number its version has.
#[derive(Debug, Clone)]
pub struct Declared {
    /// The declaration.
    pub spec: Arc<DeploymentSpec>,
    /// The number of `spec.version`.
    pub version: VersionNumber,
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

/// Compiles what is declared.
pub fn build(
    declared: &[Declared],
    before: &Snapshot,
    epoch: Epoch,
    options: &BuildOptions,
) -> Snapshot {
    let routes = declared.iter().map(|declared| {
        let name = &declared.spec.name;
        let old = before.routes.get(name);
        let unchanged = old.filter(|old| {
            let same = Arc::ptr_eq(&old.spec, &declared.spec) || old.spec == declared.spec;
            same && old.live.version == declared.version
        });
        let route = match unchanged {
            Some(old) => Arc::clone(old),
            None => Arc::new(route(declared, old.map(|old| &*old.live), options)),
        };
        (name.clone(), route)
    });
    Snapshot::new(epoch, routes.collect())
}

fn route(declared: &Declared, old: Option<&Plan>, options: &BuildOptions) -> Route {
    let spec = &declared.spec;
    let version = &spec.version;
    let name = &spec.name;
    let number = declared.version;
    let main = leg(
        &version.main,
        name,
        number,
        Role::Main,
        old.map(|old| &old.main),
        options,
    );
    let challenger = version.challenger.as_ref().map(|challenger| {
        let old = old.and_then(|old| old.challenger.as_ref());
        rival(challenger, name, number, old, options)
    });
    let header = format!("{}_v{number}", name.deployment());
    Route {
        name: name.clone(),
        access: spec.access,
        live: Arc::new(Plan {
            name: name.clone(),
            version: number,
            // A name holds nothing that a header could not.
            version_header: HeaderValue::try_from(header)
                .unwrap_or_else(|_| HeaderValue::from(number.0)),
            main,
            challenger,
            timeouts: version.timeouts,
        }),
        spec: Arc::clone(spec),
    }
}

fn rival(
    spec: &ChallengerSpec,
    name: &DeploymentName,
    number: VersionNumber,
    old: Option<&Challenger>,
    options: &BuildOptions,
) -> Challenger {
    let caps = LaneCaps {
        running_max: spec.concurrency_max,
        queued_max: spec.queue_max,
        queued_bytes_max: options.mirror_queue_bytes_max,
    };
    let lane = old.map(|old| &old.lane).filter(|lane| lane.caps() == caps);
    Challenger {
        leg: leg(
            &spec.pool,
            name,
            number,
            Role::Challenger,
            old.map(|old| &old.leg),
            options,
        ),
        share: SampleShare::new(spec.sample),
        body_bytes_max: spec.body_bytes_max,
        response_bytes_max: spec.response_bytes_max,
        timeout_ms: spec.timeout_ms,
        lane: lane.map_or_else(|| Arc::new(Lane::new(caps)), Arc::clone),
    }
}

fn leg(
    spec: &PoolSpec,
    name: &DeploymentName,
    number: VersionNumber,
    role: Role,
    old: Option<&Leg>,
    options: &BuildOptions,
) -> Leg {
    let role_meters = match old {
        Some(old) => Arc::clone(&old.role_meters),
        None => Arc::new(RoleMeters::new(name, role)),
    };
    let members = spec.backends.iter().map(|backend| {
        let known = old.and_then(|old| {
            let members = old.pool.members().iter();
            members
                .map(|member| &member.backend)
                .find(|known| *known.url() == backend.url && known.protocol() == backend.protocol)
        });
        Member {
            backend: known.map_or_else(
                || Arc::new(Backend::new(&backend.url, backend.protocol)),
                Arc::clone,
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
        role_meters,
        version_meters: VersionMeters::new(name, number, role),
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

    fn declared(ports: &[u16], version: u32) -> Declared {
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
        Declared {
            spec: Arc::new(parsed.deployments[0].clone()),
            version: VersionNumber(version),
        }
    }

    fn ids(snapshot: &Snapshot) -> Vec<u64> {
        let plan = snapshot.route("demo/iris").expect("declared").live();
        plan.main
            .pool
            .members()
            .iter()
            .map(|m| m.backend.id().0)
            .collect()
    }

    #[test]
    fn what_did_not_change_is_shared_and_backends_survive_a_swap() {
        let first = build(
            &[declared(&[1, 2], 1)],
            &Snapshot::empty(),
            Epoch(1),
            &BuildOptions::default(),
        );
        let same = build(
            &[declared(&[1, 2], 1)],
            &first,
            Epoch(2),
            &BuildOptions::default(),
        );
        let route = |snapshot: &Snapshot| Arc::clone(snapshot.route("demo/iris").expect("there"));
        assert!(Arc::ptr_eq(&route(&first), &route(&same)));
        assert_eq!(same.epoch_header(), "2");

        let swapped = build(
            &[declared(&[2, 3], 2)],
            &same,
            Epoch(3),
            &BuildOptions::default(),
        );
        assert_eq!(ids(&swapped)[0], ids(&first)[1]);
        assert!(!ids(&first).contains(&ids(&swapped)[1]));
        let plan = Arc::clone(route(&swapped).live());
        assert_eq!(plan.version_header, "iris_v2");

        let gone = build(&[], &swapped, Epoch(4), &BuildOptions::default());
        assert!(gone.route("demo/iris").is_none());
    }

    #[test]
    fn paths_and_tails() {
        let snapshot = build(
            &[declared(&[1], 1)],
            &Snapshot::empty(),
            Epoch(1),
            &BuildOptions::default(),
        );
        let plan = Arc::clone(snapshot.route("demo/iris").expect("there").live());
        let path = |operation, tail| plan.main.path(operation, tail);
        use crate::wire::target::Operation::{Predict, Stream};
        assert_eq!(path(Predict, ""), Some("/predict"));
        assert_eq!(path(Stream, ""), Some("/stream"));
        assert_eq!(path(Stream, "v1/x"), Some("/"));
        assert!(!Tails::Prefixes(vec![]).allow("v1"));
    }
}
