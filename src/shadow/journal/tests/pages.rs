//! What a filter finds, in which order, and that pages fit together while more is written.

use proptest::{collection, prelude::*};

use super::*;

/// Ids 1 to 9, of two versions and two lives of a deployment, and another one's 10 and 11.
fn nine() -> World {
    let world = World::new(JournalOptions::default());
    let (first, second) = (iris(), challenger("demo/iris", 1, 2));
    let pairs = [
        pair(first.clone(), BEGIN_MS + 1),
        disagreeing(first.clone(), BEGIN_MS + 2, 0.5),
        failed(disagreeing(first.clone(), BEGIN_MS + 3, 1e6)),
        uncompared(first.clone(), BEGIN_MS + 4, Uncompared::MainFailed),
        // Later than its neighbours, and written before them.
        uncompared(second.clone(), BEGIN_MS + 9, Uncompared::TooLarge),
        disagreeing(second.clone(), BEGIN_MS + 6, 0.25),
        disagreeing(second, BEGIN_MS + 7, 0.5),
        pair(challenger("demo/iris", 2, 1), BEGIN_MS + 8),
        disagreeing(first, BEGIN_MS + 8, f64::NAN),
        disagreeing(challenger("demo/other", 1, 1), BEGIN_MS + 5, 3.0),
        pair(challenger("demo/other", 1, 1), BEGIN_MS + 5),
    ];
    assert_eq!(world.write(&pairs), Wrote::All);
    world
}

#[test]
fn a_filter_finds_what_it_says_in_its_order() {
    use Order::{Newest, Oldest, Worst};
    let world = nine();
    let all = Filter::new(name("demo/iris"));
    let check = |filter: Filter, expected: &[u64]| {
        for limit in [1, 2, 100] {
            let filter = Filter {
                limit,
                ..filter.clone()
            };
            assert_eq!(world.ids(&filter), expected, "{filter:?}");
        }
    };
    let by = |order, result| Filter {
        order,
        result,
        ..all.clone()
    };
    check(by(Newest, None), &[5, 9, 8, 7, 6, 4, 3, 2, 1]);
    check(by(Oldest, None), &[1, 2, 3, 4, 6, 7, 8, 9, 5]);
    // What is no number is as far apart as can be.
    check(by(Worst, None), &[9, 3, 7, 2, 6]);
    check(by(Worst, Some(Wanted::Disagree)), &[9, 3, 7, 2, 6]);
    check(by(Worst, Some(Wanted::Error)), &[3]);
    check(by(Worst, Some(Wanted::Agree)), &[]);
    check(by(Newest, Some(Wanted::Agree)), &[8, 1]);
    check(by(Newest, Some(Wanted::Disagree)), &[9, 7, 6, 3, 2]);
    check(by(Oldest, Some(Wanted::Uncompared)), &[4, 5]);
    check(by(Oldest, Some(Wanted::Error)), &[3, 4]);
    for order in [Newest, Oldest, Worst] {
        let span = |from, to| Filter {
            from_ms: Some(BEGIN_MS + from),
            to_ms: Some(BEGIN_MS + to),
            ..by(order, Some(Wanted::Disagree))
        };
        check(span(2, 2), &[]);
        check(span(9, 2), &[]);
        check(span(2, 3), &[2]);
        let expected = match order {
            Newest => [7, 6, 3],
            Oldest => [3, 6, 7],
            Worst => [3, 7, 6],
        };
        check(span(3, 8), &expected);
    }
    let of = |life, version: Option<u32>| Filter {
        life,
        version: version.map(VersionNumber),
        ..all.clone()
    };
    check(of(Some(1), None), &[5, 9, 7, 6, 4, 3, 2, 1]);
    check(of(Some(1), Some(2)), &[5, 7, 6]);
    check(of(None, Some(1)), &[9, 8, 4, 3, 2, 1]);
    check(of(Some(3), None), &[]);
    check(Filter::new(name("demo/nobody")), &[]);
    let ends = Filter {
        from_ms: Some(u64::MAX),
        to_ms: Some(0),
        ..all.clone()
    };
    check(ends, &[]);
    let everything = Filter {
        from_ms: Some(0),
        to_ms: Some(u64::MAX),
        ..by(Oldest, None)
    };
    check(everything, &[1, 2, 3, 4, 6, 7, 8, 9, 5]);
}

#[test]
fn a_pair_is_read_as_it_was_written_by_those_whose_it_is() {
    let world = World::new(JournalOptions::default());
    let mut pairs = [
        with_bodies(disagreeing(iris(), BEGIN_MS, 0.5), 10),
        pair(challenger("demo/iris", 2, 7), BEGIN_MS),
    ];
    let bodies = pairs[0].bodies.as_mut().expect("has bodies");
    let main = bodies.main.as_mut().expect("has main's");
    (main.is_cut, main.is_redacted) = (true, true);
    bodies.request = None;
    bodies.challenger = Some(Body {
        is_withheld: true,
        ..Body::default()
    });
    pairs[0].record.has_error = true;
    pairs[0].record.challenger = SideRecord {
        ended: Some(Ended::TimedOut),
        error: Some("backend_timeout: no answer".into()),
        ..SideRecord::default()
    };
    world.write(&pairs);
    let read = |of, life, id| world.journal.pair(&name(of), life, id).expect("read");
    for (id, pair) in (1..).zip(&pairs) {
        let Challenger { life, version, .. } = pair.challenger;
        let kept = Kept {
            id,
            life,
            version,
            record: pair.record.clone(),
            has_bodies: pair.bodies.is_some(),
        };
        let expected = Some((kept, pair.bodies.clone()));
        assert_eq!(read("demo/iris", Some(life), id), expected);
        assert_eq!(read("demo/iris", None, id), expected);
        assert_eq!(read("demo/iris", Some(life + 5), id), None);
        assert_eq!(read("demo/other", None, id), None);
    }
    for id in [0, 3, u64::MAX] {
        assert_eq!(read("demo/iris", None, id), None);
    }
    // A list has the same, without the bodies.
    let filter = Filter::new(name("demo/iris"));
    let listed = world.all(&filter);
    assert_eq!(listed[1], read("demo/iris", None, 1).expect("there").0);
}

#[test]
fn a_pair_that_can_not_be_read_is_left_out_and_the_rest_is_shown() {
    let world = nine();
    let sql = Connection::open(world.path()).expect("opened");
    sql.execute("UPDATE pair SET body = x'01' WHERE id = 7", [])
        .expect("damaged");
    let filter = Filter::new(name("demo/iris"));
    assert_eq!(world.ids(&filter), [5, 9, 8, 6, 4, 3, 2, 1]);
    assert_eq!(world.write(&[]), Wrote::All);
    assert!(!world.aside().exists());
}

#[test]
fn pages_fit_together_while_more_is_written() {
    for order in [Order::Newest, Order::Oldest, Order::Worst] {
        let world = World::new(JournalOptions::default());
        let batch = |round: u64| -> Vec<NewPair> {
            // Many at the same moment and as far apart as others.
            let pair = |n: u64| disagreeing(iris(), BEGIN_MS + round + n / 7, (n % 3) as f64);
            (0..100).map(pair).collect()
        };
        world.write(&batch(0));
        let mut filter = Filter::new(name("demo/iris"));
        (filter.order, filter.limit) = (order, 9);
        let before = world.ids(&filter);
        assert_eq!(before.len(), 100);
        let mut seen = Vec::new();
        for round in 1.. {
            let page = world.page(&filter);
            seen.extend(page.items.iter().map(|kept| kept.id));
            // As the next caller gives it back.
            let text = page.next.map(|next| next.to_string());
            filter.after = text.and_then(|text| Cursor::parse(&text, order));
            if filter.after.is_none() {
                break;
            }
            if round < 5 {
                world.write(&batch(round));
            }
        }
        let mut once = seen.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), seen.len(), "{order:?}: none twice");
        // What was there at the beginning is seen, in the order in which it was.
        let old: Vec<u64> = seen.into_iter().filter(|id| *id <= 100).collect();
        assert_eq!(old, before, "{order:?}");
    }
}

#[test]
fn a_page_ends_where_looking_on_would_take_long() {
    let world = World::new(JournalOptions::default());
    let late = BEGIN_MS + HOUR_MS;
    // The bad ones came early; what is asked for is late, and agrees nearly.
    let pairs: Vec<NewPair> = (0..25_000)
        .map(|n| disagreeing(iris(), BEGIN_MS + n, 2.0))
        .chain([disagreeing(iris(), late, 1.0)])
        .collect();
    world.write(&pairs);
    let mut filter = Filter::new(name("demo/iris"));
    (filter.order, filter.from_ms) = (Order::Worst, Some(late));
    let page = world.page(&filter);
    assert_eq!((page.items.len(), page.next.is_some()), (0, true));
    assert_eq!(world.ids(&filter), [25_001]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Every filter and order against the plain way: all of them, filtered and sorted.
    #[test]
    fn pages_are_what_filtering_and_sorting_all_would_give(
        pairs in collection::vec((1..4u32, 0..20u64, 0..6u8, 0..3u8), 0..60),
        (version, from, to) in (prop::option::of(1..4u32), prop::option::of(0..22u64), prop::option::of(0..22u64)),
        (result, order, limit) in (prop::option::of(0..4usize), 0..3usize, 1..8usize),
    ) {
        let world = World::new(JournalOptions::default());
        let made = |&(version, at, class, distance): &(u32, u64, u8, u8)| {
            let mut made = disagreeing(challenger("demo/iris", 1, version), BEGIN_MS + at, distance.into());
            made.record.result = match class / 2 {
                0 => PairResult::Agree,
                1 => PairResult::Uncompared(Uncompared::Encoded),
                _ => PairResult::Disagree,
            };
            made.record.has_error = class % 2 == 1;
            made
        };
        let pairs: Vec<NewPair> = pairs.iter().map(made).collect();
        world.write(&pairs);
        let filter = Filter {
            version: version.map(VersionNumber),
            from_ms: from.map(|from| BEGIN_MS + from),
            to_ms: to.map(|to| BEGIN_MS + to),
            result: result.map(|place| Wanted::WORDS[place].1),
            order: Order::WORDS[order].1,
            limit,
            ..Filter::new(name("demo/iris"))
        };
        let wanted = |pair: &NewPair| {
            let Record { at_ms, result, has_error, .. } = pair.record;
            let is_bad = result == PairResult::Disagree;
            let fits = match filter.result {
                None => true,
                Some(Wanted::Agree) => result == PairResult::Agree,
                Some(Wanted::Disagree) => is_bad,
                Some(Wanted::Uncompared) => matches!(result, PairResult::Uncompared(_)),
                Some(Wanted::Error) => has_error,
            };
            fits && (is_bad || filter.order != Order::Worst)
                && filter.version.is_none_or(|version| version == pair.challenger.version)
                && filter.from_ms.is_none_or(|from_ms| at_ms >= from_ms)
                && filter.to_ms.is_none_or(|to_ms| at_ms < to_ms)
        };
        let mut expected: Vec<(u64, u64, u64)> = (1..).zip(&pairs)
            .filter(|(_, pair)| wanted(pair))
            .map(|(id, pair)| (pair.record.distance as u64, pair.record.at_ms, id))
            .collect();
        match filter.order {
            Order::Oldest => expected.sort_by_key(|(_, at, id)| (*at, *id)),
            Order::Newest => expected.sort_by_key(|(_, at, id)| std::cmp::Reverse((*at, *id))),
            Order::Worst => expected.sort_by_key(|place| std::cmp::Reverse(*place)),
        }
        let expected: Vec<u64> = expected.into_iter().map(|(_, _, id)| id).collect();
        prop_assert_eq!(world.ids(&filter), expected);
    }
}
