//! Challengers that step back while main is slow: every two seconds main's own time to the first byte
//! is looked at, and the brake of each adaptive challenger is set to the share that is left of it.
//!
//! ```text
//! main's first bytes ──difference──▶ Window ──▶ Adaptive ──factor──▶ the brake, which the plan holds
//! ```

use std::collections::HashMap;

use crate::{
    base::{clock::Tick, name::DeploymentName},
    monitor::Past,
    shadow::adaptive::{Adaptive, Window},
    snapshot::{Challenger, Route, Snapshot},
};

/// How the main pools do beside adaptive challengers.
#[derive(Default)]
pub(super) struct Easing {
    mains: HashMap<DeploymentName, Main>,
}

/// A deployment's main, as it was seen so far.
struct Main {
    /// Of which life of the name.
    life: u32,
    first_byte: Past,
    adaptive: Adaptive,
}

// === impl Easing ===

impl Easing {
    /// Looks at what happened since the last time, and sets the brakes. What is known of a deployment
    /// goes when it goes, or has no adaptive challenger any more.
    pub(super) fn look(&mut self, snapshot: &Snapshot, now: Tick) {
        self.look_with(snapshot, |adaptive, window| adaptive.step(window, now));
    }

    fn look_with(
        &mut self,
        snapshot: &Snapshot,
        mut step: impl FnMut(&mut Adaptive, Window) -> f64,
    ) {
        let mut known = std::mem::take(&mut self.mains);
        for route in snapshot.routes() {
            if adaptive(route).next().is_none() {
                continue;
            }
            let (name, life) = (route.name(), route.queue().life);
            let main = known.remove(name).filter(|main| main.life == life);
            let main = match main {
                Some(mut main) => {
                    let window = main.window(route);
                    let factor = step(&mut main.adaptive, window);
                    for challenger in adaptive(route) {
                        challenger.brake.set_share(challenger.share_max * factor);
                    }
                    main
                }
                // What came before the first look belongs to no window.
                None => Main::begin(route),
            };
            self.mains.insert(name.clone(), main);
        }
    }
}

/// The adaptive challengers of the versions that are deployed.
fn adaptive(route: &Route) -> impl Iterator<Item = &Challenger> {
    let challengers = route.plans().filter_map(|plan| plan.challenger.as_ref());
    challengers.filter(|challenger| challenger.is_adaptive)
}

// === impl Main ===

impl Main {
    fn begin(route: &Route) -> Self {
        let mut first_byte = Past::default();
        first_byte.take(route.main_meters().first_byte());
        Self {
            life: route.queue().life,
            first_byte,
            adaptive: Adaptive::new(),
        }
    }

    /// What happened since the last time.
    fn window(&mut self, route: &Route) -> Window {
        let grown = self.first_byte.take(route.main_meters().first_byte());
        Window {
            count: grown.total(),
            first_byte_ns_p50: grown.quantile_ns(0.5),
            first_byte_ns_p90: grown.quantile_ns(0.9),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::id::{Epoch, VersionNumber},
        snapshot::{BuildOptions, Declared, Idle, Numbered, QueueRules, build},
        spec::{Access, Declarations},
    };

    const NAME: &str = "easing/iris";

    /// The deployment in this life, live with a challenger of half of all, or stopped.
    fn snapshot(before: &Snapshot, number: u32, life: u32, state: Option<bool>) -> Snapshot {
        let adaptive = state.unwrap_or(false);
        let text = format!(
            "[[deployment]]\nproject = \"easing\"\nname = \"iris\"\n\
             [deployment.version]\n\
             main = {{ backends = [{{ url = \"http://127.0.0.1:1\" }}] }}\n\
             [deployment.version.challenger]\n\
             backends = [{{ url = \"http://127.0.0.1:2\" }}]\nsample = 0.5\n\
             budget = {{ adaptive = {adaptive} }}"
        );
        let parsed = Declarations::from_toml(&text).expect("declarations");
        let live = Numbered {
            number: VersionNumber(number),
            spec: std::sync::Arc::new(parsed.deployments[0].version.clone()),
            is_challenger_stopped: false,
        };
        let name = DeploymentName::parse(NAME).expect("a name");
        let declared = Declared {
            name: name.clone(),
            access: Access::Keys,
            shared: Vec::new(),
            live: state.map(|_| live).ok_or(Idle::Stopped),
            kept: Vec::new(),
            queue: QueueRules {
                life,
                ..QueueRules::default()
            },
            fresh: false,
        };
        let options = BuildOptions::default();
        build([(name, Some(declared))], before, Epoch(1), &options)
    }

    fn brake(snapshot: &Snapshot) -> f64 {
        let route = snapshot.route(NAME).expect("declared");
        let plan = route.live().expect("live");
        plan.challenger.as_ref().expect("it has one").brake.share()
    }

    /// The windows that a look hands over, when each makes the share half.
    fn windows(easing: &mut Easing, snapshot: &Snapshot) -> Vec<Window> {
        let mut seen = Vec::new();
        easing.look_with(snapshot, |_, window| {
            seen.push(window);
            0.5
        });
        seen
    }

    #[test]
    fn a_brake_follows_what_happened_since_the_last_look() {
        let mut easing = Easing::default();
        let first = snapshot(&Snapshot::empty(), 1, 1, Some(true));
        let main = |snapshot: &Snapshot, ms: u64| {
            let route = snapshot.route(NAME).expect("declared");
            route.main_meters().record_first_byte(ms * 1_000_000, 0);
        };
        main(&first, 900);
        assert!(windows(&mut easing, &first).is_empty(), "it only begins");
        assert_eq!(brake(&first), 1.0);
        (0..10).for_each(|_| main(&first, 20));
        let [window] = windows(&mut easing, &first)[..] else {
            panic!("one deployment");
        };
        assert_eq!(window.count, 10, "what came before belongs to no window");
        for read in [window.first_byte_ns_p50, window.first_byte_ns_p90] {
            let ms = read.expect("there were some") / 1e6;
            assert!((18.0..23.0).contains(&ms), "{ms}");
        }
        assert!((brake(&first) - 0.25).abs() < 1e-9, "half of a half");
        let nothing = Window {
            count: 0,
            first_byte_ns_p50: None,
            first_byte_ns_p90: None,
        };
        assert_eq!(windows(&mut easing, &first), [nothing]);

        // A swap brings a new brake, which begins where the old one was.
        let second = snapshot(&first, 2, 1, Some(true));
        assert!((brake(&second) - 0.25).abs() < 1e-9);
        assert_eq!(windows(&mut easing, &second), [nothing], "it goes on");

        // One that is not adaptive is left alone, and nothing is known any more.
        let third = snapshot(&second, 3, 1, Some(false));
        assert!(windows(&mut easing, &third).is_empty());
        assert_eq!(brake(&third), 1.0);
        assert!(easing.mains.is_empty());
    }

    #[test]
    fn what_is_known_goes_with_the_deployment() {
        let mut easing = Easing::default();
        let first = snapshot(&Snapshot::empty(), 1, 1, Some(true));
        windows(&mut easing, &first);
        assert_eq!(windows(&mut easing, &first).len(), 1);
        let again = snapshot(&first, 2, 2, Some(true));
        assert!(windows(&mut easing, &again).is_empty(), "another life");
        let stopped = snapshot(&again, 2, 2, None);
        assert!(windows(&mut easing, &stopped).is_empty());
        assert!(easing.mains.is_empty());
        windows(&mut easing, &again);
        assert!(windows(&mut easing, &Snapshot::empty()).is_empty());
        assert!(easing.mains.is_empty());
    }
}
