//! The thread's work, step by step, over a real file.

use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::{
    base::{
        id::{Epoch, ExchangeId, VersionNumber},
        name::DeploymentName,
    },
    shadow::{
        comparison::Standing,
        door::{DoorOptions, PairDoor},
        journal::{Filter, Journal, JournalOptions},
        pair::{Captured, Side},
    },
    snapshot::{BuildOptions, Current, Declared, Numbered, QueueRules, Skipped, build},
    spec::{Access, Declarations, KeepBodiesSpec},
    telemetry::outcome::Ended,
};

const NAME: &str = "demo/iris";

/// The comparison of one deployment, without its thread.
struct World {
    _directory: TempDir,
    current: Arc<Current>,
    comparison: Arc<Comparison>,
    work: Work,
    epoch: u64,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("comparison.db");
        let journal = Arc::new(Journal::open(&path, JournalOptions::default()));
        let current = Arc::new(Current::empty());
        let way = DoorOptions {
            pairs_max: 1_000,
            bytes_max: 1 << 30,
        };
        let comparison = Comparison::with(journal, way, Arc::clone(&current));
        let comparison = Arc::new(comparison);
        let mut world = Self {
            _directory: directory,
            current,
            work: Work::new(Arc::clone(&comparison)),
            comparison,
            epoch: 0,
        };
        world.deploy(1);
        world
    }

    fn deploy(&mut self, number: u32) {
        let text = "[[deployment]]\nproject = \"demo\"\nname = \"iris\"\n\
             [deployment.version]\n\
             main = { backends = [{ url = \"http://127.0.0.1:1\" }] }\n\
             challenger = { backends = [{ url = \"http://127.0.0.1:2\" }] }";
        let parsed = Declarations::from_toml(text).expect("declarations");
        let name = DeploymentName::parse(NAME).expect("a name");
        let declared = Declared {
            name: name.clone(),
            access: Access::Keys,
            shared: Vec::new(),
            limits: crate::spec::LimitsSpec::default(),
            overload: None,
            live: Ok(Numbered {
                number: VersionNumber(number),
                spec: Arc::new(parsed.deployments[0].version.clone()),
                is_challenger_stopped: false,
            }),
            kept: Vec::new(),
            queue: QueueRules::default(),
            fresh: false,
        };
        self.epoch += 1;
        let options = BuildOptions::default();
        let before = self.current.load_full();
        let change = [(name, Some(declared))];
        let snapshot = build(change, &before, Epoch(self.epoch), &options);
        self.current.publish(Arc::new(snapshot));
    }

    /// What a request under way holds.
    fn rules(&self) -> Arc<Rules> {
        let snapshot = self.current.load_full();
        let route = snapshot.route(NAME).expect("declared");
        let challenger = route.live().expect("live").challenger.as_ref();
        Arc::clone(&challenger.expect("it has one").rules)
    }

    fn standing(&self, number: u32) -> Option<Standing> {
        let name = DeploymentName::parse(NAME).expect("a name");
        let life = QueueRules::default().life;
        self.comparison.standing(&name, life, VersionNumber(number))
    }

    fn skipped(&self, number: u32, why: Skipped) -> u64 {
        let standing = self.standing(number);
        standing.map_or(0, |standing| standing.skipped[why as usize])
    }

    fn kept(&self) -> usize {
        let filter = Filter::new(DeploymentName::parse(NAME).expect("a name"));
        let page = self.comparison.journal.pairs(&filter).expect("read");
        page.items.len()
    }
}

impl World {
    /// Rules like those that are deployed.
    fn rules_like_it(&self) -> Rules {
        let rules = self.rules();
        Rules {
            name: rules.name.clone(),
            life: rules.life,
            version: rules.version,
            compare: rules.compare.clone(),
            verdict: rules.verdict,
            keep_bodies: rules.keep_bodies.clone(),
            books: Default::default(),
        }
    }
}

fn side(door: &PairDoor, body: &[u8]) -> Side {
    let mut captured = Captured::within(door.teller().room());
    captured.push(body, u64::MAX);
    Side {
        status: Some(200),
        ended: Some(Ended::Complete),
        first_byte_ns: Some(1_000_000),
        latency_ns: Some(2_000_000),
        bytes: body.len() as u64,
        body: captured,
        ..Side::default()
    }
}

fn pair(world: &World, request_id: &str) -> Pair {
    let door = world.comparison.door();
    Pair {
        rules: world.rules(),
        exchange: ExchangeId::from_bytes([1; 16]),
        request_id: request_id.into(),
        at_ms: unix_ms(),
        is_stream: false,
        keeps: false,
        bytes_max: 1 << 20,
        request: None,
        request_type: [None, None],
        main: side(&door, b"same"),
        challenger: side(&door, b"same"),
    }
}

#[test]
fn a_comparator_that_panics_costs_one_pair() {
    let mut world = World::new();
    world.work.examine = |pair| match &*pair.request_id {
        "bad" => panic!("on purpose"),
        _ => examine(pair),
    };
    let running = Arc::clone(&world.work.stop);
    let teller = world.comparison.door().teller();
    for request_id in ["one", "bad", "two"] {
        teller.tell(pair(&world, request_id));
    }
    teller.flush();
    let listener = world.comparison.listener.lock().expect("whole").take();
    running.store(true, Ordering::Relaxed);
    world.work.run(&listener.expect("not taken yet"));
    let standing = world.standing(1).expect("seen");
    assert_eq!((standing.agree, standing.judgement.pairs), (2, 2));
    assert_eq!(world.skipped(1, Skipped::PairDropped), 1);
    assert_eq!(world.kept(), 2);
}

#[test]
fn counts_and_verdict_of_an_answer_are_of_one_moment() {
    let mut world = World::new();
    let mut total = 0;
    for round in 1..4 {
        for at in 0..10 {
            let pair = pair(&world, &format!("{round}-{at}"));
            world.work.try_take(&pair);
            // What came since it was judged is not shown before the verdict that it makes.
            let seen = world.standing(1).map(|standing| {
                let uncompared: u64 = standing.uncompared.iter().sum();
                let counted = standing.agree + standing.disagree + uncompared;
                (standing.judgement.pairs, counted)
            });
            assert_eq!(seen.unwrap_or_default(), (total, total));
        }
        world.work.write();
        total = round * 10;
        let standing = world.standing(1).expect("it was seen");
        assert_eq!(standing.judgement.pairs, total);
    }
}

#[test]
fn who_panicked_with_the_cases_locked_keeps_nobody_out() {
    let mut world = World::new();
    let first = pair(&world, "one");
    world.work.take(&first);
    let poisoned = Arc::clone(&world.comparison);
    let panicked = std::thread::spawn(move || {
        let _cases = poisoned.cases.lock();
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    world.work.take(&pair(&world, "two"));
    world.work.write();
    assert_eq!(world.standing(1).map(|standing| standing.agree), Some(2));
    assert_eq!(world.kept(), 2);
}

#[test]
fn bodies_do_not_pile_up_before_they_are_written() {
    let mut world = World::new();
    let body = vec![b'x'; 1 << 20];
    let door = world.comparison.door();
    let mut most = 0;
    for n in 0..12 {
        let mut pair = pair(&world, &n.to_string());
        let mut rules = world.rules_like_it();
        rules.keep_bodies = KeepBodiesSpec {
            sample: 1.0,
            bytes_max: 1 << 20,
            redact: Vec::new(),
        };
        pair.rules = Arc::new(rules);
        pair.keeps = true;
        (pair.main, pair.challenger) = (side(&door, &body), side(&door, &body));
        world.work.take(&pair);
        most = most.max(world.work.unwritten_bytes);
    }
    assert!(most > 0 && most < WRITE_BYTES, "{most}");
    assert!(world.kept() >= 10, "{} are written", world.kept());
}

#[test]
fn what_is_left_when_it_is_to_stop_is_counted_and_not_compared_for_ever() {
    let mut world = World::new();
    world.work.take(&pair(&world, "before"));
    world.work.stop.store(true, Ordering::Relaxed);
    world.work.take(&pair(&world, "last words"));
    let long_ago = Tick::now().as_ns().saturating_sub(2 * LAST_WORDS_NS);
    world.work.stopped_at = Some(Tick::from_ns(long_ago));
    for _ in 0..3 {
        world.work.take(&pair(&world, "too late"));
    }
    world.work.write();
    assert_eq!(world.standing(1).map(|standing| standing.agree), Some(2));
    assert_eq!(world.skipped(1, Skipped::PairDropped), 3);
}

#[test]
fn what_a_request_of_a_replaced_version_counts_is_not_lost() {
    let mut world = World::new();
    world.work.write();
    let under_way = world.rules();
    under_way.books.count(Skipped::NotSampled);
    world.deploy(2);
    // However long it takes.
    for _ in 0..3 {
        world.work.write();
        assert_eq!(world.work.leaving.len(), 1);
    }
    assert_eq!(world.skipped(1, Skipped::NotSampled), 1);
    under_way.books.count(Skipped::MainIncomplete);
    drop(under_way);
    world.work.write();
    assert!(world.work.leaving.is_empty());
    world.work.write();
    // It is in the journal alone now.
    assert!(world.standing(1).is_none());
    let key = Challenger {
        name: DeploymentName::parse(NAME).expect("a name"),
        life: QueueRules::default().life,
        version: VersionNumber(1),
    };
    let kept = world.comparison.journal.state(&key).expect("read");
    let case = Case::restored(&kept.expect("written"), None).expect("whole");
    let skipped = case.standing(VersionNumber(1)).skipped;
    assert_eq!(skipped[Skipped::NotSampled as usize], 1);
    assert_eq!(skipped[Skipped::MainIncomplete as usize], 1);
}

#[test]
fn small_batches_wait_where_the_channel_is_full_and_none_is_lost_unseen() {
    let mut world = World::new();
    let teller = world.comparison.door().teller();
    for n in 0..300 {
        teller.tell(pair(&world, &n.to_string()));
        teller.flush();
    }
    let listener = world.comparison.listener.lock().expect("whole").take();
    let listener = listener.expect("not taken yet");
    let mut heard = || {
        let mut heard = 0;
        while let Ok(Some(batch)) = listener.next(Duration::ZERO) {
            heard += batch.len();
            batch.iter().for_each(|pair| world.work.take(pair));
        }
        heard
    };
    let at_once = heard();
    assert!(at_once < 300, "{at_once}");
    teller.flush();
    assert_eq!(at_once + heard(), 300);
    // What is told behind the last flush goes with the teller.
    teller.tell(pair(&world, "last"));
    drop(teller);
    assert!(matches!(listener.next(Duration::ZERO), Ok(Some(batch)) if batch.len() == 1));
    let teller = world.comparison.door().teller();
    drop(listener);
    teller.tell(pair(&world, "nobody listens"));
    drop(teller);
    world.work.write();
    assert_eq!(world.skipped(1, Skipped::PairDropped), 1);
    assert_eq!(world.standing(1).map(|standing| standing.agree), Some(300));
}
