//! A gate before a backend that does so many requests at once and queues the rest, in simulated time:
//! what is offered against what is answered, and how late.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::{Entry, Gate, Turn, Waiting, Why};
use crate::{
    base::{chance::Chance, clock::Tick},
    spec::{OverloadSpec, Priority},
};

const PATIENCE_MS: u64 = 1_000;

/// A backend: what an answer takes without a queue, and how many it works on at once.
struct World {
    gate: Arc<Gate>,
    now: u64,
    chance: Chance,
    capacity: usize,
    busy: usize,
    queue: VecDeque<Request>,
    line: Vec<(Waiting, u64)>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    count: u64,
    service_us: fn(&Chance) -> f64,
    /// How long an answer goes on behind its first byte.
    stream_us: f64,
    requests: Vec<Option<(Turn, u64, u64)>>,
    seen: Seen,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives,
    FirstByte(usize),
    Ends(usize),
    Expires(u64),
}

type Request = usize;

#[derive(Default)]
struct Seen {
    answered: u64,
    refused: u64,
    refused_late: u64,
    /// From coming to the first byte, in µs.
    latency_us: Vec<u64>,
}

fn tick(us: u64) -> Tick {
    Tick::from_ns(1_000_000_000_000 + us * 1_000)
}

impl World {
    fn new(spec: OverloadSpec, capacity: usize, service_us: fn(&Chance) -> f64) -> Self {
        Self {
            gate: Gate::new(spec, None),
            now: 0,
            chance: Chance::seeded(7),
            capacity,
            busy: 0,
            queue: VecDeque::new(),
            line: Vec::new(),
            events: BinaryHeap::new(),
            count: 0,
            service_us,
            stream_us: 0.0,
            requests: Vec::new(),
            seen: Seen::default(),
        }
    }

    fn at(&mut self, us: u64, event: Event) {
        self.count += 1;
        self.events.push(Reverse((us, self.count, event)));
    }

    fn exponential(&self, mean: f64) -> f64 {
        -mean * (1.0 - self.chance.unit()).ln()
    }

    /// Offers so many requests a second for so long; what is seen is of this time alone.
    fn offer(&mut self, per_second: f64, ms: u64) -> Seen {
        let end = self.now + ms * 1_000;
        self.seen = Seen::default();
        let first = self.now + self.exponential(1e6 / per_second) as u64;
        self.at(first, Event::Arrives);
        while let Some(Reverse((at, _, event))) = self.events.pop() {
            self.now = at;
            match event {
                Event::Arrives if at >= end => break,
                Event::Arrives => {
                    let next = at + self.exponential(1e6 / per_second) as u64 + 1;
                    self.at(next, Event::Arrives);
                    self.arrive();
                }
                Event::FirstByte(id) => self.first_byte(id),
                Event::Ends(id) => self.end(id),
                Event::Expires(since) => self.expire(since),
            }
            self.poll_line();
        }
        std::mem::take(&mut self.seen)
    }

    fn arrive(&mut self) {
        match self.gate.enter(Priority::Default, tick(self.now)) {
            Entry::Turn(turn) => self.send(turn, self.now),
            Entry::No(_) => self.seen.refused += 1,
            Entry::Wait(waiting) => {
                self.line.push((waiting, self.now));
                self.at(self.now + PATIENCE_MS * 1_000, Event::Expires(self.now));
            }
        }
    }

    fn poll_line(&mut self) {
        if self.gate.standing().waiting as usize == self.line.len() {
            return;
        }
        let mut line = std::mem::take(&mut self.line);
        let mut turns = Vec::new();
        line.retain_mut(|(waiting, since)| {
            match Pin::new(waiting).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => true,
                Poll::Ready(Ok(turn)) => {
                    turns.push((turn, *since));
                    false
                }
                Poll::Ready(Err(no)) => panic!("{no:?}"),
            }
        });
        self.line = line;
        for (turn, since) in turns {
            self.send(turn, since);
        }
    }

    fn expire(&mut self, since: u64) {
        let Some(place) = self.line.iter().position(|(_, of)| *of == since) else {
            return;
        };
        let (waiting, _) = self.line.remove(place);
        match waiting.give_up(tick(self.now)) {
            Ok(turn) => self.send(turn, since),
            Err(no) => {
                assert_eq!(no.why, Why::TooLong);
                self.seen.refused += 1;
                self.seen.refused_late += 1;
            }
        }
    }

    fn send(&mut self, turn: Turn, since: u64) {
        let id = self.requests.len();
        self.requests.push(Some((turn, since, self.now)));
        self.queue.push_back(id);
        self.work();
    }

    fn work(&mut self) {
        while self.busy < self.capacity
            && let Some(id) = self.queue.pop_front()
        {
            self.busy += 1;
            let service = (self.service_us)(&self.chance) as u64;
            self.at(self.now + service, Event::FirstByte(id));
        }
    }

    fn first_byte(&mut self, id: usize) {
        let Some((turn, since, sent)) = &self.requests[id] else {
            return;
        };
        turn.first_byte_at((self.now - sent) * 1_000, tick(self.now));
        self.seen.latency_us.push(self.now - since);
        let rest = self.stream_us as u64;
        self.at(self.now + rest, Event::Ends(id));
    }

    fn end(&mut self, id: usize) {
        if let Some((turn, ..)) = self.requests[id].take() {
            turn.end_at(tick(self.now));
        }
        self.busy -= 1;
        self.seen.answered += 1;
        self.work();
    }
}

impl Seen {
    fn p99_ms(&mut self) -> f64 {
        self.latency_us.sort_unstable();
        let at = self.latency_us.len() * 99 / 100;
        self.latency_us.get(at).map_or(0.0, |us| *us as f64 / 1e3)
    }
}

fn spec(adaptive: bool, max: u32) -> OverloadSpec {
    OverloadSpec {
        concurrency_max: max,
        adaptive,
        concurrency_min: Some(4),
        queue_max: 512,
        queue_timeout_ms: PATIENCE_MS,
    }
}

fn steady(chance: &Chance) -> f64 {
    45_000.0 + 10_000.0 * chance.unit()
}

/// Nine fast ones to a slow one that takes fifty times as long.
fn mixed(chance: &Chance) -> f64 {
    match chance.below(10) {
        0 => 500_000.0,
        _ => 10_000.0,
    }
}

/// What is offered against goodput and p99, for a backend that does 640 a second.
fn curve(adaptive: bool, max: u32, service_us: fn(&Chance) -> f64, per_second: f64, p99_max: f64) {
    let mut peak = 0.0_f64;
    for load in [0.5, 1.0, 3.0, 10.0] {
        let mut world = World::new(spec(adaptive, max), 32, service_us);
        world.offer(per_second * load, 10_000);
        let mut seen = world.offer(per_second * load, 10_000);
        let goodput = seen.answered as f64 / 10.0;
        let p99 = seen.p99_ms();
        let late = seen.refused_late as f64 / seen.refused.max(1) as f64;
        println!(
            "adaptive {adaptive} {load:>4} offered: goodput {goodput:>6.1}/s, p99 {p99:>6.1} ms, limit {}, late {late:.3}",
            world.gate.standing().limit
        );
        if load <= 0.5 {
            assert_eq!(seen.refused, 0, "refused at half the load");
        }
        peak = peak.max(goodput);
        let expected = (per_second * load).min(peak) * 0.9;
        assert!(goodput >= expected, "{load}: {goodput} of {peak}");
        assert!(
            peak <= 0.0 || load < 1.0 || goodput >= per_second * 0.85,
            "{load}: {goodput}"
        );
        assert!(p99 <= p99_max, "{load}: {p99} ms");
        // What is refused is refused at once.
        assert!(
            load < 1.5 || late <= 0.01,
            "{load}: {late} of refusals were late"
        );
    }
}

#[test]
fn goodput_holds_at_three_and_ten_times_the_load() {
    curve(false, 48, steady, 640.0, 1_150.0);
    curve(true, 1_000, steady, 640.0, 1_250.0);
}

#[test]
fn fast_and_slow_requests_together_do_not_hide_the_queue() {
    let per_second = 32.0 / 0.059;
    curve(true, 1_000, mixed, per_second, 2_000.0);
}

/// Long streams behind a quick first byte: what counts is the first byte.
#[test]
fn long_streams_do_not_look_like_a_queue() {
    let mut world = World::new(spec(true, 64), 64, |chance| {
        20_000.0 + 1_000.0 * chance.unit()
    });
    world.stream_us = 3e6;
    world.offer(60.0, 30_000);
    let seen = world.offer(60.0, 30_000);
    let goodput = seen.answered as f64 / 30.0;
    // 64 places, three seconds each.
    assert!(goodput >= 0.85 * 64.0 / 3.02, "{goodput}");
}

#[test]
fn a_step_of_the_capacity_is_followed_both_ways() {
    let mut world = World::new(spec(true, 1_000), 32, steady);
    let goodput = |world: &mut World, per_second: f64| {
        world.offer(per_second, 10_000);
        let mut seen = world.offer(per_second, 10_000);
        (
            seen.answered as f64 / 10.0,
            seen.p99_ms(),
            world.gate.standing().limit,
        )
    };
    let wide = goodput(&mut world, 1_900.0);
    world.capacity = 8;
    let narrow = goodput(&mut world, 1_900.0);
    world.capacity = 32;
    let again = goodput(&mut world, 1_900.0);
    println!("{wide:?} {narrow:?} {again:?}");
    assert!(wide.0 >= 576.0 && narrow.0 >= 144.0 && again.0 >= 576.0);
    assert!(wide.2 < 128 && narrow.2 < 48 && again.2 < 128);
    assert!(narrow.1 < 1_500.0, "{narrow:?}");
}
