//! Turns are neither lost nor given twice, whoever comes, leaves or gives up at the same moment.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use super::{Entry, Gate, NoTurn, Turn, Waiting, Why};
use crate::{
    base::{chance::Chance, clock::Tick},
    spec::{OverloadSpec, Priority},
};

fn spec(concurrency_max: u32, queue_max: u32) -> OverloadSpec {
    OverloadSpec {
        concurrency_max,
        queue_max,
        queue_timeout_ms: 60_000,
        ..OverloadSpec::default()
    }
}

fn turn(gate: &Arc<Gate>) -> Turn {
    match gate.enter(Priority::Default, Tick::now()) {
        Entry::Turn(turn) => turn,
        other => panic!("{other:?}"),
    }
}

fn wait(gate: &Arc<Gate>, priority: Priority) -> Waiting {
    match gate.enter(priority, Tick::now()) {
        Entry::Wait(waiting) => waiting,
        other => panic!("{other:?}"),
    }
}

fn no(gate: &Arc<Gate>, priority: Priority) -> Why {
    match gate.enter(priority, Tick::now()) {
        Entry::No(no) => no.why,
        other => panic!("{other:?}"),
    }
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll(waiting: &mut Waiting, waker: &Waker) -> Poll<Result<Turn, NoTurn>> {
    Pin::new(waiting).poll(&mut Context::from_waker(waker))
}

#[test]
fn a_turn_goes_straight_to_the_one_who_waits_for_it() {
    let gate = Gate::new(spec(1, 8), None);
    let first = turn(&gate);
    let mut waiting = wait(&gate, Priority::Default);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    assert!(poll(&mut waiting, &waker).is_pending());
    drop(first);
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    // Taken although nobody has looked: who comes now does not get past.
    let standing = gate.standing();
    assert_eq!((standing.in_flight, standing.waiting), (1, 0));
    let later = wait(&gate, Priority::Interactive);
    let Poll::Ready(Ok(second)) = poll(&mut waiting, &waker) else {
        panic!("no turn");
    };
    drop(later);
    drop(second);
    assert_eq!(gate.standing().in_flight, 0);
}

#[test]
fn one_who_leaves_with_a_turn_in_hand_passes_it_on() {
    let gate = Gate::new(spec(1, 8), None);
    let first = turn(&gate);
    let leaves = wait(&gate, Priority::Default);
    let mut next = wait(&gate, Priority::Default);
    drop(first);
    drop(leaves);
    assert!(matches!(poll(&mut next, Waker::noop()), Poll::Ready(Ok(_))));
    let standing = gate.standing();
    assert_eq!((standing.in_flight, standing.waiting), (0, 0));
    // One whose time is over at the moment at which its turn comes has it.
    let first = turn(&gate);
    let late = wait(&gate, Priority::Default);
    drop(first);
    assert!(late.give_up(Tick::now()).is_ok());
    assert_eq!(gate.standing().in_flight, 0);
}

#[test]
fn a_full_line_makes_place_for_a_higher_class_alone() {
    let gate = Gate::new(spec(1, 2), None);
    let held = turn(&gate);
    let mut old = wait(&gate, Priority::Bulk);
    let mut new = wait(&gate, Priority::Bulk);
    assert_eq!(no(&gate, Priority::Bulk), Why::Full);
    let mut higher = wait(&gate, Priority::Interactive);
    let displaced = poll(&mut new, Waker::noop());
    assert!(matches!(
        displaced,
        Poll::Ready(Err(NoTurn {
            why: Why::Displaced,
            ..
        }))
    ));
    assert!(poll(&mut old, Waker::noop()).is_pending());
    assert_eq!(gate.standing().waiting, 2);
    drop(held);
    assert!(matches!(
        poll(&mut higher, Waker::noop()),
        Poll::Ready(Ok(_))
    ));
    assert!(matches!(poll(&mut old, Waker::noop()), Poll::Ready(Ok(_))));
    // None may wait at all.
    let gate = Gate::new(spec(1, 0), None);
    let _held = turn(&gate);
    assert_eq!(no(&gate, Priority::Interactive), Why::Full);
}

#[test]
fn who_would_wait_too_long_is_told_at_once() {
    let rules = OverloadSpec {
        queue_timeout_ms: 1_000,
        ..spec(2, 1_000)
    };
    let gate = Gate::new(rules, None);
    let at = |ms| Tick::from_ns(1_000_000_000_000).plus_ms(ms);
    let entered = |ms| match gate.enter(Priority::Default, at(ms)) {
        Entry::Turn(turn) => turn,
        other => panic!("{other:?}"),
    };
    // A turn is held for 200 ms: ten of them a second.
    for _ in 0..2 {
        entered(0).end_at(at(200));
    }
    let held = [entered(200), entered(200)];
    let mut line = Vec::new();
    let refused = loop {
        match gate.enter(Priority::Default, at(200)) {
            Entry::Wait(waiting) => line.push(waiting),
            Entry::No(no) => break no,
            Entry::Turn(_) => panic!("a third turn"),
        }
    };
    assert_eq!(refused.why, Why::TooLong);
    assert!((4..=7).contains(&line.len()), "{}", line.len());
    assert!((500..=800).contains(&refused.retry_ms), "{refused:?}");
    // Somebody who goes before them all has a place still.
    let higher = gate.enter(Priority::Interactive, at(200));
    assert!(matches!(higher, Entry::Wait(_)), "{higher:?}");
    drop((higher, line, held));
    assert_eq!(
        gate.standing(),
        super::GateStanding {
            limit: 2,
            ..Default::default()
        }
    );
}

#[test]
fn one_wait_in_vain_turns_nobody_away_from_a_line_that_has_emptied() {
    let rules = OverloadSpec {
        queue_timeout_ms: 1_500,
        ..spec(1, 10)
    };
    let gate = Gate::new(rules, None);
    let at = |ms| Tick::from_ns(1_000_000_000_000).plus_ms(ms);
    let enter = |ms| gate.enter(Priority::Default, at(ms));
    let turn = |entry| match entry {
        Entry::Turn(turn) => turn,
        other => panic!("{other:?}"),
    };
    turn(enter(0)).end_at(at(500));
    // One is held far longer than those before it, and whoever waits for it gives up.
    let held = turn(enter(500));
    let Entry::Wait(waiting) = enter(500) else {
        panic!("the line is empty");
    };
    assert!(waiting.give_up(at(2_000)).is_err());
    for ms in [2_000, 2_100, 3_000] {
        assert_eq!(gate.room(Priority::Default, at(ms)), 1);
        let entry = enter(ms);
        assert!(matches!(entry, Entry::Wait(_)), "{ms}: {entry:?}");
    }
    drop(held);
}

#[test]
fn other_rules_keep_who_is_inside_and_none_let_everybody_pass() {
    let gate = Gate::new(spec(1, 8), None);
    let first = turn(&gate);
    let mut waiting = [Priority::Default; 3].map(|class| wait(&gate, class));
    let same = Gate::new(spec(2, 8), Some(&gate));
    assert!(Arc::ptr_eq(&same, &gate));
    let standing = gate.standing();
    assert_eq!(
        (standing.limit, standing.in_flight, standing.waiting),
        (2, 2, 2)
    );
    let Poll::Ready(Ok(second)) = poll(&mut waiting[0], Waker::noop()) else {
        panic!("no turn");
    };
    // Fewer than are inside: nobody is put out, and nobody comes in until there is room.
    Gate::new(spec(1, 8), Some(&gate));
    drop(first);
    assert!(poll(&mut waiting[1], Waker::noop()).is_pending());
    gate.lift();
    for waiting in &mut waiting[1..] {
        assert!(matches!(poll(waiting, Waker::noop()), Poll::Ready(Ok(_))));
    }
    drop(second);
    Gate::new(spec(1, 8), Some(&gate));
    assert_eq!(
        gate.standing(),
        super::GateStanding {
            limit: 1,
            ..Default::default()
        }
    );
}

/// Wakes its thread.
struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Threads come, wait, hold, leave, and give up at random. A wake-up that was lost would leave a thread
/// parked for ever; a turn given twice shows in the count.
#[test]
fn threads_that_come_and_go_find_every_turn() {
    const THREADS: u64 = 8;
    const ROUNDS: u64 = 20_000;
    const LIMIT: u32 = 3;
    let gate = Gate::new(spec(LIMIT, 64), None);
    let inside = AtomicU32::new(0);
    let served = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (gate, inside, served) = (&gate, &inside, &served);
            scope.spawn(move || {
                let chance = Chance::seeded(thread);
                let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
                for _ in 0..ROUNDS {
                    let class = Priority::ALL[chance.below(3) as usize];
                    let got = match gate.enter(class, Tick::now()) {
                        Entry::Turn(turn) => Some(turn),
                        Entry::No(no) => panic!("{no:?}"),
                        Entry::Wait(mut waiting) => match chance.below(4) {
                            0 => None,
                            1 => waiting.give_up(Tick::now()).ok(),
                            _ => loop {
                                match poll(&mut waiting, &waker) {
                                    Poll::Ready(turn) => break turn.ok(),
                                    Poll::Pending => std::thread::park(),
                                }
                            },
                        },
                    };
                    let Some(turn) = got else { continue };
                    assert!(inside.fetch_add(1, Ordering::SeqCst) < LIMIT);
                    if chance.below(8) == 0 {
                        std::thread::yield_now();
                    }
                    served.fetch_add(1, Ordering::SeqCst);
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(turn);
                }
            });
        }
    });
    assert!(served.load(Ordering::SeqCst) > (THREADS * ROUNDS / 2) as usize);
    assert_eq!(
        gate.standing(),
        super::GateStanding {
            limit: LIMIT,
            ..Default::default()
        }
    );
}
