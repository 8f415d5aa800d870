//! What the next process finds, and what becomes of a file that is broken, locked or not there.

use std::{fs, io::Write};

use super::*;
use crate::store::side_file;

#[test]
fn the_next_process_goes_on_where_the_last_one_ended() {
    let mut world = World::new("next", MonitorOptions::default());
    for with_a_last_word in [true, false, true] {
        // Into the middle of a chunk, and of a step.
        world.pass(1_330, 5);
        world.request(5);
        world.write();
        world.now_s += 5;
        world.restart(with_a_last_word);
        world.now_s += 5;
        world.monitor.sample(world.now_ms());
    }
    // The kill cost the step that was running.
    for step_s in [10, 60, 600] {
        assert_eq!(world.requests(step_s), 3 * 133 + 2, "{step_s}");
    }
}

#[test]
fn a_kill_costs_what_was_not_written_and_no_more() {
    let mut world = World::new("kill", MonitorOptions::default());
    world.pass(600, 5);
    world.write();
    world.request(5);
    world.step();
    world.request(5);
    world.restart(false);
    assert_eq!(world.requests(10), 60);
    world.pass(60, 5);
    assert_eq!(world.requests(10), 66);
}

#[test]
fn a_broken_file_is_set_aside_and_what_memory_has_is_written_anew() {
    let mut world = World::new("broken", MonitorOptions::default());
    world.pass(600, 5);
    world.request(5);
    world.step();
    world.write();
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
    // Whoever reads finds out, and gets what memory has.
    assert_eq!(world.requests(10), 1);
    world.write();
    let aside = world.directory.path().join("monitoring.db.broken");
    assert!(aside.exists());
    world.pass(600, 5);
    world.write();
    assert_eq!(world.requests(10), 61);
    world.restart(false);
    assert_eq!(world.requests(10), 61);
}

#[test]
fn a_file_that_is_another_programs_or_no_database_is_set_aside_at_the_start() {
    for (name, content) in [
        ("text", &b"not a database, but long enough to look at"[..]),
        ("empty", b""),
    ] {
        let mut world = World::new(name, MonitorOptions::default());
        fs::remove_file(world.path()).expect("removed");
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{suffix}", world.path().display()));
        }
        fs::write(world.path(), content).expect("written");
        world.restart(false);
        let aside = world.directory.path().join("monitoring.db.broken");
        assert_eq!(aside.exists(), !content.is_empty(), "{name}");
        world.pass(1_200, 5);
        world.restart(true);
        assert_eq!(world.requests(10), 120, "{name}");
    }
    let mut world = World::new("foreign", MonitorOptions::default());
    let _ = fs::remove_file(world.path());
    let foreign = rusqlite::Connection::open(world.path()).expect("opened");
    foreign
        .execute_batch("CREATE TABLE mine (a); INSERT INTO mine VALUES (1)")
        .expect("made");
    drop(foreign);
    world.restart(false);
    world.pass(60, 5);
    assert_eq!(world.requests(10), 6);
    let aside = world.directory.path().join("monitoring.db.broken");
    let foreign = rusqlite::Connection::open(aside).expect("kept");
    let kept: u64 = foreign
        .query_row("SELECT a FROM mine", [], |row| row.get(0))
        .expect("whole");
    assert_eq!(kept, 1);
}

#[test]
fn while_another_program_holds_the_file_memory_keeps_what_happens() {
    let mut world = World::new("held", MonitorOptions::default());
    world.pass(600, 5);
    let other = rusqlite::Connection::open(world.path()).expect("opened");
    other.execute_batch("BEGIN IMMEDIATE").expect("taken");
    for _ in 0..120 {
        world.request(5);
        world.step();
    }
    world.write();
    assert_eq!(world.requests(10), 180);
    other.execute_batch("ROLLBACK").expect("given back");
    world.write();
    world.restart(false);
    assert_eq!(world.requests(10), 180);
    assert!(side_file::bytes_on_disk(&world.path()) > 0);
}
