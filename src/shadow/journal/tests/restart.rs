//! What the next process finds, and what becomes of a file that is broken, another's, held or not
//! there; and of reading while it is written.

use std::{
    fs,
    io::Write as _,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use super::*;

#[test]
fn the_next_process_finds_all_of_it() {
    let mut world = World::new(JournalOptions::default());
    let (first, second) = (iris(), challenger("demo/iris", 1, 2));
    let reborn = challenger("demo/iris", 2, 1);
    let states = [
        (first.clone(), state("one")),
        (second.clone(), state("two")),
        (reborn.clone(), state("three")),
        (challenger("demo/other", 1, 1), state("other")),
    ];
    let pairs = [
        with_bodies(pair(first.clone(), BEGIN_MS), 5),
        disagreeing(second.clone(), BEGIN_MS, 1.0),
    ];
    let points = [(first.clone(), point(BEGIN_MS))];
    assert_eq!(
        world
            .journal
            .write(&pairs, &states, &points, world.now_ms, true),
        Wrote::All
    );
    let replaced = [(first.clone(), state("one more"))];
    world.journal.write(&[], &replaced, &[], world.now_ms, true);
    let filter = Filter::new(name("demo/iris"));
    let before = world.all(&filter);
    world.restart();
    assert_eq!(world.all(&filter), before);
    assert_eq!(before.len(), 2);
    let mut expected = states.to_vec();
    expected[0] = replaced[0].clone();
    assert_eq!(world.journal.states().expect("read"), expected);
    let known = world.journal.challengers(&name("demo/iris"));
    assert_eq!(known.expect("read"), [reborn, second, first.clone()]);
    let series = world.journal.series(&first, 0..u64::MAX, 9);
    assert_eq!(series.expect("read"), [point(BEGIN_MS)]);
    assert_eq!(world.write(&[pair(first, BEGIN_MS + 1)]), Wrote::All);
    assert_eq!(world.ids(&filter), [3, 2, 1]);
}

#[test]
fn a_file_that_is_removed_meanwhile_is_begun_anew() {
    let world = World::new(JournalOptions::default());
    let filter = Filter::new(name("demo/iris"));
    let states = [(iris(), state("one"))];
    let write = |at_ms| {
        let pairs = [pair(iris(), at_ms)];
        world
            .journal
            .write(&pairs, &states, &[], world.now_ms, true)
    };
    assert_eq!(write(BEGIN_MS), Wrote::All);
    assert_eq!(world.ids(&filter), [1]);
    // Its log is left, and is not taken for the new one's.
    fs::remove_file(world.path()).expect("removed");
    assert_eq!(write(BEGIN_MS + 1), Wrote::Anew);
    assert_eq!(world.ids(&filter), [1]);
    let page = world.page(&filter);
    assert_eq!(page.items[0].record.at_ms, BEGIN_MS + 1);
    assert_eq!(write(BEGIN_MS + 2), Wrote::All);
    assert_eq!(world.ids(&filter), [2, 1]);
    assert!(!world.aside().exists());
}

#[test]
fn a_broken_file_is_set_aside_and_the_writer_is_told_to_give_all_again() {
    let mut world = World::new(JournalOptions::default());
    let pairs: Vec<NewPair> = (0..2_000).map(|n| pair(iris(), BEGIN_MS + n)).collect();
    world.write(&pairs);
    let filter = Filter::new(name("demo/iris"));
    assert_eq!(world.page(&filter).items.len(), 100);
    for suffix in ["", "-wal"] {
        let mut name = world.path().into_os_string();
        name.push(suffix);
        let bytes = fs::metadata(&name).map_or(0, |found| found.len());
        let mut file = fs::OpenOptions::new()
            .write(true)
            .open(&name)
            .expect("opened");
        file.write_all(&vec![0x5a; bytes as usize])
            .expect("written");
    }
    // Who reads with a connection that knows nothing yet finds out.
    lock(&world.journal.readers).clear();
    world.journal.pairs(&filter).expect_err("broken");
    let states = [(iris(), state("again"))];
    let wrote = world
        .journal
        .write(&pairs[..1], &states, &[], world.now_ms, true);
    assert_eq!(wrote, Wrote::Anew);
    assert!(world.aside().exists());
    assert_eq!(world.write(&pairs[1..2]), Wrote::All);
    for _ in 0..2 {
        assert_eq!(world.ids(&filter), [2, 1]);
        assert_eq!(world.journal.states().expect("read"), states);
        world.restart();
    }
}

#[test]
fn a_file_that_is_another_programs_or_no_database_is_set_aside_at_the_start() {
    let foreign = {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("foreign.db");
        let sql = Connection::open(&path).expect("opened");
        sql.execute_batch("CREATE TABLE mine (a)").expect("made");
        drop(sql);
        fs::read(&path).expect("read")
    };
    for (content, is_set_aside) in [
        (&b"not a database, but long enough to look at"[..], true),
        (b"", false),
        (&foreign, true),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("comparison.db");
        fs::write(path, content).expect("written");
        let world = World::within(directory, JournalOptions::default());
        assert_eq!(world.aside().exists(), is_set_aside);
        if is_set_aside {
            let kept = fs::read(world.aside()).expect("kept");
            assert!(kept == content, "not a byte of it was changed");
        }
        let wrote = world.write(&[pair(iris(), BEGIN_MS)]);
        assert_eq!(wrote == Wrote::Anew, is_set_aside);
        assert_eq!(world.ids(&Filter::new(name("demo/iris"))), [1]);
    }
}

#[test]
fn while_the_file_can_not_be_used_pairs_are_dropped_and_then_kept_again() {
    let world = World::new(JournalOptions::default());
    assert_eq!(world.write(&[pair(iris(), BEGIN_MS)]), Wrote::All);
    let other = Connection::open(world.path()).expect("opened");
    other.execute_batch("BEGIN IMMEDIATE").expect("taken");
    for _ in 0..2 {
        assert_eq!(world.write(&[pair(iris(), BEGIN_MS + 1)]), Wrote::Nothing);
        assert!(!world.journal.standing.is_available());
    }
    // Readers don't mind.
    let filter = Filter::new(name("demo/iris"));
    assert_eq!(world.ids(&filter), [1]);
    other.execute_batch("ROLLBACK").expect("given back");
    assert_eq!(world.write(&[pair(iris(), BEGIN_MS + 2)]), Wrote::All);
    assert!(world.journal.standing.is_available());
    assert_eq!(world.ids(&filter), [2, 1]);
}

#[test]
fn a_directory_that_comes_later_is_used_then() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("later").join("comparison.db");
    let journal = Journal::open(&path, JournalOptions::default());
    let pairs = [pair(iris(), BEGIN_MS)];
    let filter = Filter::new(name("demo/iris"));
    journal.pairs(&filter).expect_err("nothing there");
    journal.states().expect_err("nothing there");
    assert_eq!(
        journal.write(&pairs, &[], &[], BEGIN_MS, true),
        Wrote::Nothing
    );
    fs::create_dir(directory.path().join("later")).expect("made");
    assert_eq!(journal.write(&pairs, &[], &[], BEGIN_MS, true), Wrote::All);
    assert_eq!(journal.pairs(&filter).expect("read").items.len(), 1);
}

#[test]
fn readers_see_whole_batches_while_others_are_written() {
    let world = World::new(JournalOptions::default());
    let is_over = AtomicBool::new(false);
    let filter = |order| Filter {
        order,
        limit: PAGE_MAX,
        ..Filter::new(name("demo/iris"))
    };
    thread::scope(|scope| {
        for order in [Order::Newest, Order::Worst, Order::Oldest] {
            let (world, is_over, filter) = (&world, &is_over, filter(order));
            scope.spawn(move || {
                let mut most = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let seen = world.page(&filter).items.len();
                    assert_eq!(seen % 10, 0, "a part of a batch");
                    assert!(seen >= most, "{seen} after {most}");
                    most = seen;
                }
            });
        }
        for round in 0..80 {
            let pair = |n| disagreeing(iris(), BEGIN_MS + round, f64::from(n));
            let pairs: Vec<NewPair> = (0..10).map(pair).collect();
            assert_eq!(world.write(&pairs), Wrote::All);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(world.page(&filter(Order::Newest)).items.len(), 800);
    assert_eq!(lock(&world.journal.readers).len(), READING_MAX);
}

#[tokio::test]
async fn reading_goes_through_a_few_threads() {
    let world = World::new(JournalOptions::default());
    world.write(&[pair(iris(), BEGIN_MS)]);
    let reads = (0..20).map(|_| {
        let journal = Arc::clone(&world.journal);
        async move {
            let busy = journal.read(|journal| {
                let busy = READING_MAX - journal.reading.available_permits();
                (busy, journal.challengers(&name("demo/iris")).is_ok())
            });
            busy.await.expect("read")
        }
    });
    for (busy, is_read) in futures_util::future::join_all(reads).await {
        assert!((1..=READING_MAX).contains(&busy) && is_read);
    }
}

#[test]
fn the_log_is_bounded_while_it_is_read_all_the_time() {
    let world = World::new(JournalOptions::default());
    let filter = Filter {
        limit: PAGE_MAX,
        ..Filter::new(name("demo/iris"))
    };
    let log = world.directory.path().join("comparison.db-wal");
    let bytes = |n: u64| with_bodies(pair(iris(), BEGIN_MS + n), 2_000);
    assert_eq!(
        world.write(&(0..4_000).map(bytes).collect::<Vec<_>>()),
        Wrote::All
    );
    let is_over = AtomicBool::new(false);
    let mut most = 0;
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    assert_eq!(world.page(&filter).items.len(), PAGE_MAX);
                }
            });
        }
        for round in 4..44 {
            let pairs: Vec<_> = (0..1_000).map(|n| bytes(round * 1_000 + n)).collect();
            assert_eq!(world.write(&pairs), Wrote::All);
            most = most.max(fs::metadata(&log).map_or(0, |found| found.len()));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    println!("the log had {} MiB at most", most >> 20);
    assert!(most < 32 << 20, "{most}");
}
