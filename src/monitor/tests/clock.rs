//! The wall's clock is set, forwards and back.

use super::*;

#[test]
fn a_step_that_comes_twice_adds_up() {
    let mut world = World::new("back", MonitorOptions::default());
    world.pass(1_800, 5);
    assert_eq!(world.requests(10), 180);
    // Half an hour back, into chunks that are written already.
    world.now_s -= 1_800;
    world.monitor.sample(world.now_ms());
    world.pass(1_800, 5);
    world.write();
    for step_s in [10, 60, 600] {
        assert_eq!(world.requests(step_s), 360, "{step_s}");
    }
    let doubled = world
        .main(10)
        .iter()
        .filter(|shown| shown.point.requests == 2)
        .count();
    assert!(doubled >= 178, "{doubled}");
    world.restart(false);
    assert_eq!(world.requests(60), 360);
}

#[test]
fn a_clock_that_jumps_ahead_loses_nothing() {
    let mut world = World::new("ahead", MonitorOptions::default());
    world.pass(600, 5);
    world.request(5);
    world.now_s += 86_400;
    world.monitor.sample(world.now_ms());
    world.pass(600, 5);
    world.write();
    // What was counted before the jump belongs to the step in which it was set.
    let main = world.main(600);
    assert_eq!(outline(&main), [(0, 60), (600, 1), (87_000, 60)]);
    // And back to where it was.
    world.now_s -= 86_400;
    world.monitor.sample(world.now_ms());
    world.pass(600, 5);
    world.write();
    let all = world.series(BEGIN_S, BEGIN_S + 90_000, Some(600)).main;
    assert_eq!(
        outline(&all),
        [(0, 60), (600, 1), (1_200, 60), (87_000, 60)]
    );
}

#[test]
fn while_the_clock_is_not_trusted_nothing_is_forgotten() {
    let options = MonitorOptions {
        kept_s: [3_600; 3],
        ..MonitorOptions::default()
    };
    let mut world = World::new("trust", options);
    world.pass(1_200, 5);
    world.now_s += 1_000_000;
    world.monitor.sample(world.now_ms());
    world.request(5);
    world.step();
    world.now_s += 600;
    world.monitor.sample(world.now_ms());
    world.monitor.write(world.now_ms(), false);
    world.now_s = BEGIN_S + 1_200;
    assert_eq!(world.requests(600), 120);
    world.now_s += 1_000_000;
    world.request(5);
    world.step();
    world.now_s += 1_200;
    world.monitor.sample(world.now_ms());
    world.write();
    world.now_s = BEGIN_S + 1_200;
    assert_eq!(world.requests(600), 0, "trusted, what is old is forgotten");
}
