//! Challengers that step back while main is slow: every two seconds main's own time to the first byte
//! is looked at, and the brake of each adaptive challenger is set to the share that is left of it.
//!
//! ```text
//! main's first bytes ──difference──▶ Window ──▶ Adaptive ──factor──▶ the brake, which the plan holds
//! ```

use std::collections::HashMap;

use crate::{
    base::{clock::Tick, id::VersionNumber, name::DeploymentName},
    monitor::Past,
    shadow::adaptive::{Adaptive, Window},
    snapshot::{Challenger, Route, Snapshot},
};

/// How the main pools do beside adaptive challengers.
#[derive(Default)]
pub(super) struct Easing {
    mains: HashMap<DeploymentName, Main>,
}

/// A version's main, as it was seen so far. What is usual for one says nothing of the next.
struct Main {
    /// Of which life of the name, and of which version.
    of: (u32, VersionNumber),
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
            let Ok(live) = route.live() else { continue };
            let of = (route.queue().life, live.version);
            let main = known.remove(route.name()).filter(|main| main.of == of);
            let (mut main, window) = match main {
                Some(mut main) => {
                    let window = main.window(route);
                    (main, window)
                }
                // What came before belongs to no window of it.
                None => (Main::begin(route, of), Window::default()),
            };
            let factor = step(&mut main.adaptive, window);
            for challenger in adaptive(route) {
                challenger.brake.set_share(challenger.share_max * factor);
            }
            self.mains.insert(route.name().clone(), main);
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
    fn begin(route: &Route, of: (u32, VersionNumber)) -> Self {
        let mut first_byte = Past::default();
        first_byte.take(route.main_meters().first_byte());
        Self {
            of,
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
    use std::sync::Arc;

    use super::*;
    use crate::{
        base::id::Epoch,
        snapshot::{BuildOptions, Declared, Idle, Numbered, QueueRules, build},
        spec::{Access, Declarations},
    };

    /// A test's own deployment: all of one name share their histograms.
    struct Mine(&'static str);

    impl Mine {
        fn route<'s>(&self, snapshot: &'s Snapshot) -> Option<&'s Arc<Route>> {
            snapshot.route(&format!("easing/{}", self.0))
        }

        fn answer(&self, snapshot: &Snapshot, ms: u64) {
            let route = self.route(snapshot).expect("declared");
            route.main_meters().record_first_byte(ms * 1_000_000, 0);
        }

        fn brake(&self, snapshot: &Snapshot) -> f64 {
            let plan = self.route(snapshot).and_then(|route| route.live().ok());
            let challenger = plan.expect("live").challenger.as_ref();
            challenger.expect("it has one").brake.share()
        }

        /// It in this life, live with a challenger of half of all, or stopped.
        fn snapshot(
            &self,
            before: &Snapshot,
            number: u32,
            life: u32,
            state: Option<bool>,
        ) -> Snapshot {
            let adaptive = state.unwrap_or(false);
            let text = format!(
                "[[deployment]]\nproject = \"easing\"\nname = \"{}\"\n\
                 [deployment.version]\n\
                 main = {{ backends = [{{ url = \"http://127.0.0.1:1\" }}] }}\n\
                 [deployment.version.challenger]\n\
                 backends = [{{ url = \"http://127.0.0.1:2\" }}]\nsample = 0.5\n\
                 budget = {{ adaptive = {adaptive} }}",
                self.0
            );
            let parsed = Declarations::from_toml(&text).expect("declarations");
            let live = Numbered {
                number: VersionNumber(number),
                spec: Arc::new(parsed.deployments[0].version.clone()),
                is_challenger_stopped: false,
            };
            let name = DeploymentName::parse(&format!("easing/{}", self.0)).expect("a name");
            let declared = Declared {
                name: name.clone(),
                access: Access::Keys,
                shared: Vec::new(),
                limits: crate::spec::LimitsSpec::default(),
                overload: None,
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
        let (mine, mut easing) = (Mine("iris"), Easing::default());
        let first = mine.snapshot(&Snapshot::empty(), 1, 1, Some(true));
        mine.answer(&first, 900);
        let nothing = Window::default();
        assert_eq!(windows(&mut easing, &first), [nothing], "it only begins");
        assert!((mine.brake(&first) - 0.25).abs() < 1e-9, "half of a half");
        (0..10).for_each(|_| mine.answer(&first, 20));
        let [window] = windows(&mut easing, &first)[..] else {
            panic!("one deployment");
        };
        assert_eq!(window.count, 10, "what came before belongs to no window");
        for read in [window.first_byte_ns_p50, window.first_byte_ns_p90] {
            let ms = read.expect("there were some") / 1e6;
            assert!((18.0..23.0).contains(&ms), "{ms}");
        }
        assert_eq!(windows(&mut easing, &first), [nothing]);

        // A swap brings a new brake, which begins where the old one was; and what is known of main
        // is known of the old one.
        mine.answer(&first, 900);
        let second = mine.snapshot(&first, 2, 1, Some(true));
        assert!((mine.brake(&second) - 0.25).abs() < 1e-9);
        assert_eq!(windows(&mut easing, &second), [nothing]);

        // One that is not adaptive is left alone, and nothing is known any more.
        let third = mine.snapshot(&second, 3, 1, Some(false));
        assert!(windows(&mut easing, &third).is_empty());
        assert_eq!(mine.brake(&third), 1.0);
        assert!(easing.mains.is_empty());
    }

    #[test]
    fn what_is_known_goes_with_the_version_and_the_deployment() {
        let (mine, mut easing) = (Mine("flan"), Easing::default());
        let mut look = |snapshot: &Snapshot| {
            if mine.route(snapshot).is_some() {
                mine.answer(snapshot, 1);
            }
            let counts: Vec<_> = windows(&mut easing, snapshot)
                .iter()
                .map(|w| w.count)
                .collect();
            (counts, easing.mains.len())
        };
        let first = mine.snapshot(&Snapshot::empty(), 1, 1, Some(true));
        assert_eq!(look(&first), (vec![0], 1), "it begins");
        assert_eq!(look(&first), (vec![1], 1), "it goes on");
        let second = mine.snapshot(&first, 2, 1, Some(true));
        assert_eq!(look(&second), (vec![0], 1), "another version");
        assert_eq!(look(&second), (vec![1], 1));
        let again = mine.snapshot(&second, 2, 2, Some(true));
        assert_eq!(look(&again), (vec![0], 1), "another life");
        let stopped = mine.snapshot(&again, 2, 2, None);
        assert_eq!(look(&stopped), (vec![], 0));
        assert_eq!(look(&again), (vec![0], 1));
        assert_eq!(look(&Snapshot::empty()), (vec![], 0));
    }
}
