//! What is kept, on which level, for how long, and how much of it.

use super::*;
use crate::store::side_file;

#[test]
fn steps_without_anything_are_left_out_and_the_running_one_is_the_last() {
    let mut world = World::new("outline", MonitorOptions::default());
    world.request(5);
    // Also of a deployment that was made in this very step.
    assert_eq!(outline(&world.main(10)), [(0, 1)]);
    world.request(5);
    world.step();
    world.step();
    world.fail(Failed::Timeout);
    world.step();
    world.now_s += 3;
    world.request(7);
    let main = world.main(10);
    assert_eq!(outline(&main), [(0, 2), (20, 1), (30, 1)]);
    let lengths: Vec<u64> = main.iter().map(|shown| shown.ms).collect();
    assert_eq!(lengths, [10_000, 10_000, 3_000]);
    assert_eq!(main[1].point.failed[Failed::Timeout as usize], 1);
    assert_eq!(main[1].point.errors(), 1);
    // The same in steps of a minute: one, which is running.
    let minute = world.main(60);
    assert_eq!(outline(&minute), [(0, 4)]);
    assert_eq!(minute[0].ms, 33_000);
    assert_eq!(minute[0].point.request_bytes, 300);
}

#[test]
fn coarser_steps_are_the_exact_sum_of_finer_ones() {
    let mut world = World::new("sums", MonitorOptions::default());
    // A slow minute in every ten, over two hours: the mean of the minutes' p99 would be far off.
    for minute in 0..120u64 {
        world.pass(60, if minute % 10 == 9 { 900 } else { 10 });
    }
    assert_eq!(world.requests(10), 720);
    let (tens, minutes, ten_minutes) = (world.main(10), world.main(60), world.main(600));
    assert_eq!(
        (tens.len(), minutes.len(), ten_minutes.len()),
        (720, 120, 12)
    );
    for (coarse, fine) in [
        (&minutes, &tens),
        (&ten_minutes, &minutes),
        (&ten_minutes, &tens),
    ] {
        let each = fine.len() / coarse.len();
        for (coarse, fine) in coarse.iter().zip(fine.chunks(each)) {
            let mut sum = fine[0].point.clone();
            fine[1..].iter().for_each(|shown| sum.add(&shown.point));
            assert_eq!((coarse.at_s, &coarse.point), (fine[0].at_s, &sum));
        }
    }
    for shown in &ten_minutes {
        let quantile = |share| shown.point.latency.quantile_ns(share).expect("some") / 1e6;
        assert!(
            (quantile(0.5) / 10.0 - 1.0).abs() < 0.1,
            "{}",
            quantile(0.5)
        );
        assert!(
            (quantile(0.99) / 900.0 - 1.0).abs() < 0.1,
            "{}",
            quantile(0.99)
        );
    }
}

#[test]
fn each_level_goes_when_its_time_is_over() {
    let hour = 3_600;
    let options = MonitorOptions {
        kept_s: [hour, 3 * hour, 0],
        ..MonitorOptions::default()
    };
    let mut world = World::new("ages", options);
    world.pass(12 * hour, 5);
    // Older than any: the answer is in the coarsest that is kept, and what has gone is not in it.
    let all = world.series(BEGIN_S, world.now_s, None);
    assert_eq!(all.step_s, 60);
    let oldest = all.main[0].at_s;
    let three_hours_ago = world.now_s - 3 * hour;
    assert!(
        oldest >= three_hours_ago - hour && oldest <= three_hours_ago,
        "{oldest}"
    );
    let recent = world.series(world.now_s - hour, world.now_s, Some(10));
    assert_eq!((recent.step_s, recent.main.len()), (10, 360));
    let older = world.series(world.now_s - hour - 10, world.now_s, Some(10));
    assert_eq!(older.step_s, 60);
    let sql = rusqlite::Connection::open(world.path()).expect("opened");
    // Other tests' deployments are counted by the same process.
    let count = |table: &str| -> u64 {
        let sql_text = format!(
            "SELECT count(*) FROM {table} JOIN series ON series.id = {table}.id & 0xffffff
             WHERE deployment = 'monitor/ages'"
        );
        let counted = sql.query_row(&sql_text, [], |row| row.get(0));
        counted.expect("counted")
    };
    // An hour and the chunk that it begins in; no chunks of a level that is not kept.
    let chunks = (count("chunk_0"), count("chunk_1"), count("chunk_2"));
    assert!(
        (6..=7).contains(&chunks.0) && (3..=4).contains(&chunks.1),
        "{chunks:?}"
    );
    assert_eq!(chunks.2, 0);
}

#[test]
fn the_file_stays_within_its_bytes_and_keeps_the_newest() {
    let options = MonitorOptions {
        disk_bytes_max: 1 << 20,
        ..MonitorOptions::default()
    };
    let mut world = World::new("cap", options);
    // Durations over the whole scale make large points.
    for _ in 0..4 * 360 {
        (0..120).for_each(|i| world.request(1 << (i % 18)));
        (0..120).for_each(|i| world.request(3 << (i % 17)));
        let others = (0..40).map(|i| {
            let name = DeploymentName::parse(&format!("monitor/cap-{i}")).expect("a name");
            RoleMeters::new(&name, Role::Main)
        });
        for meters in others {
            (0..30).for_each(|i| meters.record_end(MS << (i % 18), 9, 9, Ended::Complete, None));
        }
        world.step();
        if world.now_s.is_multiple_of(60) {
            world.write();
            let bytes = side_file::bytes_on_disk(&world.path());
            assert!(bytes < (1 << 20) + (1 << 20), "{bytes}");
        }
    }
    let newest = world.series(world.now_s - 600, world.now_s, Some(10));
    assert_eq!(newest.main.len(), 60);
    // The oldest went, on the level that took most; the coarser ones still tell of it.
    let all = world.series(BEGIN_S, world.now_s, Some(10));
    assert!(all.step_s > 10, "{}", all.step_s);
    let file = std::fs::metadata(world.path()).expect("a file").len();
    assert!(file <= 1 << 20, "{file}");
}

#[test]
fn a_deployment_that_goes_has_its_last_step_and_stays_to_be_read() {
    let mut world = World::new("gone", MonitorOptions::default());
    world.pass(600, 5);
    world.request(5);
    // Its last exchange ends after it was deleted and made anew.
    let (old, new) = (
        Arc::clone(&world.meters),
        RoleMeters::new(&world.name, Role::Main),
    );
    world.meters = Arc::new(new);
    world.request(5);
    old.record_end(5 * MS, 1, 1, Ended::Complete, None);
    drop(old);
    world.step();
    assert_eq!(world.requests(10), 63);
    world.step();
    world.request(5);
    world.step();
    assert_eq!(world.requests(10), 64);
    let nobody = DeploymentName::parse("monitor/nobody").expect("a name");
    world.meters = Arc::new(RoleMeters::new(&nobody, Role::Main));
    world.step();
    world.step();
    world.now_s += 3_600;
    world.step();
    world.write();
    assert_eq!(world.requests(10), 64);
    assert_eq!(world.requests(600), 64);
}

#[test]
fn the_newest_figures_are_of_the_last_step_and_the_running_one() {
    let mut world = World::new("newest", MonitorOptions::default());
    world.request(5);
    world.step();
    world.request(5);
    world.step();
    world.request(50);
    world.now_s += 4;
    let newest = |world: &World| {
        world
            .monitor
            .newest([&world.name], world.now_ms())
            .remove(0)
    };
    let figures = newest(&world);
    assert_eq!((figures.ms, figures.point.requests), (14_000, 2));
    world.now_s += 6;
    world.monitor.sample(world.now_ms());
    world.step();
    assert_eq!(newest(&world).point.requests, 0);
}

/// However many read at once: the store needs threads, too.
#[test]
fn who_reads_takes_few_threads() {
    let world = World::new("threads", MonitorOptions::default());
    let monitor = Arc::new(world.monitor);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(READING_MAX + 1)
        .enable_all()
        .build()
        .expect("a runtime");
    let held = lock(&monitor.reader);
    let asked = Asked {
        from_s: BEGIN_S,
        to_s: BEGIN_S + 10,
        step_s: None,
    };
    let readings: Vec<_> = (0..50)
        .map(|_| {
            let (monitor, name) = (Arc::clone(&monitor), world.name.clone());
            runtime.spawn(async move { monitor.read(name, asked, BEGIN_S * 1_000).await })
        })
        .collect();
    runtime.block_on(async {
        // All of them have come as far as they can.
        while monitor.reading.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let other = tokio::task::spawn_blocking(|| ());
        let other = tokio::time::timeout(std::time::Duration::from_secs(60), other).await;
        other.expect("a thread is left").expect("it ran");
    });
    drop(held);
    for reading in readings {
        let read = runtime.block_on(reading).expect("it ran");
        read.expect("read").expect("answered");
    }
}
