//! What goes when, and what stays.

use super::*;

fn kept(hours: u64) -> JournalOptions {
    JournalOptions {
        kept_s: hours * 3_600,
        ..JournalOptions::default()
    }
}

fn count(world: &World, table: &str) -> u64 {
    let sql = Connection::open(world.path()).expect("opened");
    let count = format!("SELECT count(*) FROM {table}");
    sql.query_row(&count, [], |row| row.get(0))
        .expect("counted")
}

#[test]
fn pairs_go_when_they_are_old_and_evidence_when_nothing_comes_any_more() {
    let mut world = World::new(kept(2));
    // More challengers than are looked at in one step.
    let all: Vec<Challenger> = (1..=70)
        .map(|version| challenger("demo/iris", 1, version))
        .collect();
    let at = |at_ms| -> Vec<NewPair> {
        let pair = |challenger: &Challenger| with_bodies(pair(challenger.clone(), at_ms), 100);
        all.iter().map(pair).collect()
    };
    let states: Vec<_> = all
        .iter()
        .map(|each| (each.clone(), state("first")))
        .collect();
    let points: Vec<_> = all
        .iter()
        .map(|each| (each.clone(), point(BEGIN_MS)))
        .collect();
    let wrote = world
        .journal
        .write(&at(BEGIN_MS), &states, &points, world.now_ms, true);
    assert_eq!(wrote, Wrote::All);
    world.now_ms += HOUR_MS;
    world.write(&at(world.now_ms));
    let of = |world: &World| {
        (
            count(world, "pair"),
            count(world, "bodies"),
            count(world, "state"),
        )
    };
    world.rest(10);
    assert_eq!(of(&world), (140, 140, 70));
    // The first ones are too old now; their challengers are not.
    world.now_ms = BEGIN_MS + 2 * HOUR_MS + 1;
    world.rest(10);
    assert_eq!(of(&world), (70, 70, 70));
    assert_eq!(count(&world, "point"), 70);
    // One of them gets another.
    world.write(&[pair(iris(), world.now_ms)]);
    world.now_ms += HOUR_MS;
    world.rest(10);
    assert_eq!(of(&world), (1, 0, 1));
    assert_eq!(
        (count(&world, "point"), count(&world, "challenger")),
        (1, 1)
    );
    let left = world.journal.states().expect("read");
    assert_eq!(left, [(iris(), state("first"))]);
    // The numbers of those that went are given again, and mean the new ones.
    let other = challenger("demo/other", 1, 1);
    world.write(&[
        pair(all[69].clone(), world.now_ms),
        pair(other, world.now_ms),
    ]);
    assert_eq!(world.all(&Filter::new(name("demo/iris"))).len(), 2);
    assert_eq!(world.all(&Filter::new(name("demo/other"))).len(), 1);
}

#[test]
fn a_clock_that_is_not_trusted_forgets_nothing() {
    let mut world = World::new(kept(1));
    world.write(&[pair(iris(), BEGIN_MS)]);
    world.now_ms += 1_000 * HOUR_MS;
    for _ in 0..5 {
        world.journal.write(&[], &[], &[], world.now_ms, false);
    }
    assert_eq!(count(&world, "pair"), 1);
    world.rest(1);
    assert_eq!(count(&world, "pair"), 0);
}

#[test]
fn an_id_is_never_used_twice() {
    let mut world = World::new(kept(1));
    world.write(&[pair(iris(), BEGIN_MS), pair(iris(), BEGIN_MS)]);
    world.now_ms += 2 * HOUR_MS;
    world.rest(3);
    assert_eq!(count(&world, "pair"), 0);
    world.restart();
    world.write(&[pair(iris(), world.now_ms)]);
    assert_eq!(world.ids(&Filter::new(name("demo/iris"))), [3]);
}

#[test]
fn forgetting_goes_on_where_much_is_old_and_a_step_is_small() {
    let mut world = World::new(kept(1));
    let pairs: Vec<NewPair> = (0..10_000).map(|n| pair(iris(), BEGIN_MS + n)).collect();
    for part in pairs.chunks(1_000) {
        world.write(part);
    }
    world.now_ms += 2 * HOUR_MS;
    world.rest(1);
    let left = count(&world, "pair");
    assert!((1..10_000).contains(&left), "{left}");
    world.rest(10);
    assert_eq!(count(&world, "pair"), 0);
}

#[test]
fn with_nothing_to_keep_nothing_is_kept_and_what_was_goes() {
    let mut world = World::new(kept(1));
    world.write(&[with_bodies(pair(iris(), BEGIN_MS), 10)]);
    world.options = kept(0);
    world.restart();
    let (states, points) = ([(iris(), state("s"))], [(iris(), point(BEGIN_MS))]);
    let pairs = [pair(iris(), BEGIN_MS + 1)];
    let wrote = world
        .journal
        .write(&pairs, &states, &points, world.now_ms, true);
    assert_eq!(wrote, Wrote::All);
    for table in ["pair", "bodies", "challenger", "state", "point"] {
        assert_eq!(count(&world, table), 0, "{table}");
    }
}

#[test]
fn the_oldest_pairs_of_all_go_where_the_room_ends() {
    let options = JournalOptions {
        disk_bytes_max: 16 << 20,
        ..JournalOptions::default()
    };
    let world = World::new(options);
    let evidence = [(iris(), state("kept"))];
    world.journal.write(&[], &evidence, &[], BEGIN_MS, true);
    let other = challenger("demo/other", 1, 1);
    world.write(&[with_bodies(pair(other, BEGIN_MS + 999_999), 10)]);
    let mut written = 1;
    for round in 0..60 {
        let pair = |n| with_bodies(pair(iris(), BEGIN_MS + round * 100 + n), 2_000);
        let pairs: Vec<NewPair> = (0..100).map(pair).collect();
        assert_eq!(world.write(&pairs), Wrote::All);
        written += 100;
        let bytes = side_file::bytes_on_disk(&world.path());
        // The log has what was written since it was begun.
        assert!(bytes <= (16 << 20) + (5 << 20), "{bytes}");
    }
    let left = count(&world, "pair");
    assert!((1_000..written - 500).contains(&left), "{left}");
    assert_eq!(count(&world, "bodies"), left);
    // What went is what was written first, whatever its moment says.
    assert_eq!(world.all(&Filter::new(name("demo/other"))), []);
    let mut oldest = Filter::new(name("demo/iris"));
    oldest.order = Order::Oldest;
    let ids = world.ids(&oldest);
    assert_eq!(ids, (written - left + 1..=written).collect::<Vec<_>>());
    assert_eq!(world.journal.states().expect("read"), evidence);
}

#[test]
fn a_batch_that_finds_no_room_gets_some_at_once() {
    let options = JournalOptions {
        disk_bytes_max: 16 << 20,
        ..JournalOptions::default()
    };
    let world = World::new(options);
    // Each takes most of what is spare.
    for round in 0..12 {
        let pair = |n| with_bodies(pair(iris(), BEGIN_MS + round * 100 + n), 100_000);
        let pairs: Vec<NewPair> = (0..10).map(pair).collect();
        assert_eq!(world.write(&pairs), Wrote::All, "{round}");
    }
    let newest = world.page(&Filter::new(name("demo/iris"))).items;
    assert_eq!(newest[0].id, 120);
    // One that is larger than the whole file is given up, and the next one is not.
    let pairs = vec![with_bodies(pair(iris(), BEGIN_MS), 8 << 20)];
    assert_eq!(world.write(&pairs), Wrote::Nothing);
    let small = [pair(iris(), BEGIN_MS + 9_999)];
    assert_eq!(world.write(&small), Wrote::All);
    let newest = world.page(&Filter::new(name("demo/iris"))).items;
    assert_eq!(newest[0].record, small[0].record);
}

#[test]
fn where_points_and_states_alone_take_the_room_the_stalest_challenger_goes() {
    let options = JournalOptions {
        disk_bytes_max: 16 << 20,
        ..JournalOptions::default()
    };
    let world = World::new(options);
    for version in 1..=40u32 {
        let of = challenger("demo/iris", 1, version);
        let states = [(of, StateBlob(vec![7; 1 << 20]))];
        let now_ms = BEGIN_MS + u64::from(version);
        let wrote = world.journal.write(&[], &states, &[], now_ms, true);
        assert_eq!(wrote, Wrote::All, "{version}");
    }
    let left = world.journal.challengers(&name("demo/iris")).expect("read");
    let versions: Vec<u32> = left.iter().map(|each| each.version.0).collect();
    let newest: Vec<u32> = (1..=40).rev().take(versions.len()).collect();
    assert!((8..16).contains(&versions.len()), "{versions:?}");
    assert_eq!(versions, newest);
}

#[test]
fn a_series_is_thinned_where_it_is_old() {
    let world = World::new(JournalOptions::default());
    let total = 3 * POINTS_MAX as u64;
    for first in (0..total).step_by(512) {
        let points: Vec<_> = (first..first + 512)
            .map(|n| (iris(), point(BEGIN_MS + n)))
            .collect();
        world.journal.write(&[], &[], &points, world.now_ms, true);
    }
    let series = |span, most| world.journal.series(&iris(), span, most).expect("read");
    let all = series(0..u64::MAX, usize::MAX);
    assert!(
        (POINTS_MAX / 2..=POINTS_MAX).contains(&all.len()),
        "{}",
        all.len()
    );
    let at: Vec<u64> = all.iter().map(|point| point.at_ms - BEGIN_MS).collect();
    assert_eq!((at[0], at[at.len() - 1]), (0, total - 1));
    assert!(at.is_sorted());
    assert!(
        all.iter()
            .all(|point| point.body == point.at_ms.to_le_bytes())
    );
    // The newest quarter is whole, and what is older has ever larger steps.
    let gaps: Vec<u64> = at.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(
        gaps[gaps.len() - POINTS_MAX / 4..]
            .iter()
            .all(|gap| *gap == 1)
    );
    assert!(gaps[0] >= 4, "{}", gaps[0]);
    // Fewer on demand, with both ends.
    let few = series(0..u64::MAX, 100);
    assert_eq!(few.len(), 100);
    assert_eq!((&few[0], &few[99]), (&all[0], &all[all.len() - 1]));
    let newest = BEGIN_MS + total - 10..BEGIN_MS + total - 5;
    assert_eq!(series(newest, 100).len(), 5);
    // The same moment again is the same point.
    let again = SeriesPoint {
        at_ms: BEGIN_MS + total - 1,
        body: b"again".to_vec(),
    };
    world
        .journal
        .write(&[], &[], &[(iris(), again.clone())], world.now_ms, true);
    let after = series(0..u64::MAX, usize::MAX);
    assert_eq!((after.len(), after.last()), (all.len(), Some(&again)));
    let nobody = challenger("demo/iris", 9, 9);
    assert_eq!(
        world.journal.series(&nobody, 0..u64::MAX, 9).expect("read"),
        []
    );
}
