use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn owner(number: u8) -> KeyDigest {
    KeyDigest::of_key(format!("key-of-owner-{number:03}").as_bytes()).expect("a key")
}

fn lane(deployment: &str, number: u8) -> Lane {
    Lane {
        deployment: deployment.to_owned(),
        life: 1,
        owner: owner(number),
    }
}

fn at(place: u64) -> Position {
    Position::from_u64(place).expect("a place")
}

fn free(_: &GroupKey, _: u32) -> u32 {
    u32::MAX / 2
}

/// Serves one after another; answers how many each owner got.
fn serve(schedule: &mut Schedule, count: usize, owners: u8) -> Vec<usize> {
    let mut served = vec![0; usize::from(owners)];
    for _ in 0..count {
        let Some(pick) = schedule.pick(1, free).pop() else {
            break;
        };
        for number in 0..owners {
            served[usize::from(number)] += usize::from(owner(number) == pick.lane.owner);
        }
        schedule.done(&pick.lane);
    }
    served
}

#[test]
fn a_lane_is_first_in_first_out_and_what_was_tried_before_goes_first() {
    let mut schedule = Schedule::default();
    let lane = lane("demo/iris", 0);
    for place in [5, 6, 3] {
        schedule.push(&lane, at(place), 1);
    }
    schedule.push_again(&lane, at(4), 1, None);
    schedule.push_again(&lane, at(1), 1, Some(100));
    assert_eq!((schedule.queued(), schedule.next_due_ms()), (5, Some(100)));
    schedule.promote(99);
    let places = |picks: Vec<Pick>| -> Vec<u64> {
        picks.iter().map(|pick| pick.position.as_u64()).collect()
    };
    assert_eq!(places(schedule.pick(2, free)), [4, 3]);
    schedule.promote(100);
    assert_eq!(places(schedule.pick(9, free)), [1, 5, 6]);
    assert_eq!((schedule.queued(), schedule.running()), (0, 5));
    (0..5).for_each(|_| schedule.done(&lane));
    assert_eq!(
        schedule.groups().count(),
        0,
        "nothing is left of an idle group"
    );
}

#[test]
fn a_key_that_floods_takes_no_more_than_its_part() {
    let mut schedule = Schedule::default();
    for place in 0..1_000 {
        schedule.push(&lane("demo/iris", 0), at(place), 1);
    }
    for place in 0..100 {
        for number in 1..4 {
            let place = 1_000 + place * 4 + u64::from(number);
            schedule.push(&lane("demo/iris", number), at(place), 1);
        }
    }
    let served = serve(&mut schedule, 400, 4);
    assert!(
        served.iter().all(|served| (99..=101).contains(served)),
        "{served:?}"
    );
}

#[test]
fn weight_is_paid_for() {
    let mut schedule = Schedule::default();
    for place in 0..1_000 {
        schedule.push(&lane("demo/iris", 0), at(place * 2), 8);
        schedule.push(&lane("demo/iris", 1), at(place * 2 + 1), 1);
    }
    let served = serve(&mut schedule, 900, 2);
    assert!((95..=105).contains(&served[0]), "{served:?}");
}

#[test]
fn slow_requests_of_one_key_do_not_sit_in_every_slot() {
    let mut schedule = Schedule::default();
    for place in 0..100 {
        schedule.push(&lane("demo/iris", 0), at(place), 1);
        schedule.push(&lane("demo/iris", 1), at(place + 1_000), 1);
    }
    let room = |_: &GroupKey, running: u32| 8 - running;
    let first = schedule.pick(8, room);
    assert_eq!(first.len(), 8);
    // Those of the second key end at once, again and again, those of the first never.
    let mut served = 0;
    let mut fast: Vec<Pick> = first;
    fast.retain(|pick| pick.lane.owner == owner(1));
    assert_eq!(fast.len(), 4);
    while let Some(pick) = fast.pop() {
        schedule.done(&pick.lane);
        let next = schedule.pick(8, room);
        assert!(
            next.iter().all(|pick| pick.lane.owner == owner(1)),
            "{served}"
        );
        served += 1;
        if served < 90 {
            fast.extend(next);
        }
    }
}

#[test]
fn groups_take_turns_and_keep_to_their_room() {
    let mut schedule = Schedule::default();
    for place in 0..50 {
        for name in ["demo/a", "demo/b", "demo/paused"] {
            schedule.push(&lane(name, 0), at(place), 1);
        }
    }
    let room = |key: &GroupKey, running: u32| match key.deployment.as_str() {
        "demo/paused" => 0,
        _ => 3 - running.min(3),
    };
    let picks = schedule.pick(4, room);
    let of_a = picks
        .iter()
        .filter(|pick| pick.lane.deployment == "demo/a")
        .count();
    assert_eq!((picks.len(), of_a), (4, 2));
    assert_eq!(schedule.pick(9, room).len(), 2);
    assert_eq!(schedule.pick(9, room).len(), 0);
    schedule.done(&lane("demo/a", 0));
    assert_eq!(schedule.pick(9, room).len(), 1);
    let key = GroupKey::of(&lane("demo/paused", 0));
    assert_eq!(schedule.standing(&key).queued, 50);
    assert_eq!(schedule.standing(&key).oldest, Some(at(0)));
}

#[derive(Debug, Clone)]
enum Step {
    Push(u8, u8),
    Again(usize, Option<u64>),
    Remove(usize),
    Promote(u64),
    Pick(usize, u32),
    Done(usize),
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..4, 0u8..6).prop_map(|(owner, weight)| Step::Push(owner, weight)),
        1 => (any::<usize>(), prop::option::of(0u64..50)).prop_map(|(at, due)| Step::Again(at, due)),
        1 => any::<usize>().prop_map(Step::Remove),
        1 => (0u64..60).prop_map(Step::Promote),
        2 => (1usize..4, 0u32..6).prop_map(|(limit, room)| Step::Pick(limit, room)),
        2 => any::<usize>().prop_map(Step::Done),
    ]
}

proptest! {
    /// Nothing is lost, nothing is picked twice, and the counts are true, whatever happens.
    #[test]
    fn what_waits_is_what_was_pushed(steps in prop::collection::vec(steps(), 0..200)) {
        let mut schedule = Schedule::default();
        let mut waiting: BTreeSet<(u64, u8)> = BTreeSet::new();
        let mut running: Vec<(Pick, u8)> = Vec::new();
        let mut next = 0;
        for step in steps {
            match step {
                Step::Push(number, weight) => {
                    next += 1;
                    schedule.push(&lane("demo/iris", number), at(next), u32::from(weight));
                    waiting.insert((next, number));
                }
                Step::Again(which, due) if !running.is_empty() => {
                    let (pick, number) = running.remove(which % running.len());
                    schedule.push_again(&pick.lane, pick.position, pick.weight, due);
                    schedule.done(&pick.lane);
                    waiting.insert((pick.position.as_u64(), number));
                }
                Step::Remove(which) if !waiting.is_empty() => {
                    let chosen = *waiting.iter().nth(which % waiting.len()).expect("there");
                    waiting.remove(&chosen);
                    let lane = lane("demo/iris", chosen.1);
                    prop_assert!(schedule.remove(&lane, at(chosen.0)));
                    prop_assert!(!schedule.remove(&lane, at(chosen.0)));
                }
                Step::Promote(now) => schedule.promote(now),
                Step::Pick(limit, room) => {
                    for pick in schedule.pick(limit, |_, running| room.saturating_sub(running)) {
                        let number = (0..4).find(|n| owner(*n) == pick.lane.owner).expect("ours");
                        prop_assert!(waiting.remove(&(pick.position.as_u64(), number)));
                        running.push((pick, number));
                    }
                    prop_assert!(running.len() <= 3_000);
                }
                Step::Done(which) if !running.is_empty() => {
                    let (pick, _) = running.remove(which % running.len());
                    schedule.done(&pick.lane);
                }
                _ => {}
            }
            prop_assert_eq!(schedule.queued(), waiting.len() as u64);
            prop_assert_eq!(schedule.running() as usize, running.len());
            let key = GroupKey::of(&lane("demo/iris", 0));
            let standing = schedule.standing(&key);
            prop_assert_eq!(standing.queued, waiting.len() as u64);
            let oldest = waiting.first().map(|(place, _)| at(*place));
            prop_assert_eq!(standing.oldest, oldest);
            prop_assert_eq!(schedule.some_of(&key, usize::MAX).len(), waiting.len());
        }
        schedule.promote(u64::MAX);
        for (pick, _) in running.drain(..) {
            schedule.done(&pick.lane);
        }
        let rest = schedule.pick(usize::MAX, free);
        prop_assert_eq!(rest.len(), waiting.len());
    }
}
