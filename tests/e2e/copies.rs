//! What is copied to a challenger is bounded, and what is not copied is counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use crate::mirror::gateway;
use crate::support::{
    AUTH, Backend, Gate, Next, PATIENCE, client::chunk, eventually, holds_within, pattern, post,
};

#[test]
fn samples_are_shares_that_clients_do_not_choose() {
    for (sample, range) in [("0.0", 0..=0), ("0.5", 130..=270), ("1.0", 400..=400)] {
        let (main, challenger) = (Backend::echo(), Backend::echo());
        let gateway = gateway(&main, &challenger, &format!("sample = {sample}")).start();
        let mut client = gateway.connect();
        for _ in 0..400 {
            // One id for all: were it what is hashed, all or none would be copied.
            let answer = client.call(&post(), &[AUTH, ("x-request-id", "same")], b"{}");
            assert_eq!(answer.status, 200);
        }
        eventually(PATIENCE, "the copies", || {
            challenger.count() >= *range.start()
        });
        assert!(
            !holds_within(Duration::from_millis(100), || challenger.count()
                > *range.end()),
            "sample {sample} copied {}",
            challenger.count()
        );
        println!("sample {sample}: {} of 400", challenger.count());
    }
}

#[test]
fn a_body_over_its_cap_is_not_copied_and_counted() {
    let (main, challenger) = (Backend::echo(), Backend::echo());
    let gateway = gateway(&main, &challenger, "body_bytes_max = 1000").start();
    let mut client = gateway.connect();
    for size in [1_001, 50_000] {
        assert!(client.call(&post(), &[AUTH], &pattern(size)).body == pattern(size));
    }
    client.request(&post(), &[AUTH, ("transfer-encoding", "chunked")], b"");
    for piece in pattern(5_000).chunks(100) {
        client.send(chunk(piece));
    }
    client.send("0\r\n\r\n");
    assert!(client.response("POST").body == pattern(5_000));
    gateway.wait_metric("weir_mirror_dropped_total", &[], |n| n > 2.5);
    assert_eq!(client.call(&post(), &[AUTH], &pattern(1_000)).status, 200);
    challenger.wait_count(1);
    eventually(PATIENCE, "body", || challenger.last().body.is_some());
    assert!(challenger.received()[0].body.as_ref().unwrap().bytes == pattern(1_000));
    assert_eq!(challenger.count(), 1);
    let metrics = gateway.metrics();
    let reasons: Vec<_> = metrics
        .select("weir_mirror_dropped_total", &[])
        .filter(|s| s.value > 0.0)
        .collect();
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    assert!(reasons[0].label("reason").is_some(), "{reasons:?}");
}

#[test]
fn copies_under_way_and_waiting_are_capped() {
    let gate = Gate::new();
    let door = gate.clone();
    let busy = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (now, peak) = (Arc::clone(&busy), Arc::clone(&most));
    let challenger = Backend::start(move |conn, head| {
        conn.body(head);
        peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        door.wait();
        now.fetch_sub(1, Ordering::SeqCst);
        conn.answer(200, &[], b"ok")
    });
    let main = Backend::echo();
    let gateway = gateway(&main, &challenger, "concurrency_max = 2\nqueue_max = 3").start();
    // Over several connections, so that both workers take part: the caps are the deployment's.
    for _ in 0..20 {
        assert_eq!(gateway.call(&post(), &[AUTH], b"{}").status, 200);
    }
    gateway.wait_metric("weir_mirror_dropped_total", &[], |n| n > 14.5);
    challenger.wait_count(2);
    gate.open();
    challenger.wait_count(5);
    assert!(!holds_within(Duration::from_millis(200), || challenger
        .count()
        > 5));
    assert_eq!(most.load(Ordering::SeqCst), 2);
    let dropped = gateway.metric("weir_mirror_dropped_total", &[]);
    assert!(
        (dropped - 15.0).abs() < 0.5,
        "20 requests, 5 copies, {dropped} dropped"
    );
}

#[test]
fn queued_bodies_are_capped_in_bytes() {
    let challenger = Backend::start(|conn, _| {
        conn.wait_end(PATIENCE * 4);
        Next::Close
    });
    let main = Backend::says("ok");
    let gateway = gateway(&main, &challenger, "concurrency_max = 1\nqueue_max = 1000")
        .env("WEIR_MIRROR_QUEUE_BYTES_MAX", 1_000_000)
        .start();
    let mut client = gateway.connect();
    for _ in 0..40 {
        assert_eq!(client.call(&post(), &[AUTH], &pattern(100_000)).status, 200);
    }
    // About ten fit, however the copy under way is counted.
    gateway.wait_metric("weir_mirror_dropped_total", &[], |n| n > 25.5);
}

#[test]
fn a_copy_that_takes_too_long_is_given_up() {
    let (ended, ends) = mpsc::channel();
    let challenger = Backend::start(move |conn, head| {
        conn.body(head);
        let since = Instant::now();
        let _ = ended.send(conn.wait_end(PATIENCE).map(|_| since.elapsed()));
        Next::Close
    });
    let main = Backend::says("ok");
    let gateway = gateway(&main, &challenger, "timeout_ms = 500").start();
    gateway.call(&post(), &[AUTH], b"{}");
    let took = ends.recv_timeout(PATIENCE * 2).unwrap().expect("given up");
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn a_copy_that_had_to_wait_for_others_has_all_of_its_time_to_run() {
    let (ended, ends) = mpsc::channel();
    let challenger = Backend::start(move |conn, head| {
        conn.body(head);
        // What is given up ends its connection before this is over.
        let is_given_up = conn.wait_end(Duration::from_millis(900)).is_some();
        let _ = ended.send(is_given_up);
        match is_given_up {
            true => Next::Close,
            false => conn.answer(200, &[], b"ok"),
        }
    });
    let main = Backend::says("ok");
    let limits = "concurrency_max = 1\ntimeout_ms = 1500";
    let gateway = gateway(&main, &challenger, limits).start();
    for _ in 0..2 {
        assert_eq!(gateway.call(&post(), &[AUTH], b"{}").status, 200);
    }
    for copy in ["first", "second"] {
        let is_given_up = ends.recv_timeout(PATIENCE).expect("it was sent");
        assert!(!is_given_up, "the {copy} copy was given up");
    }
}

#[test]
fn a_copys_answer_is_read_up_to_its_cap() {
    let (sent, amounts) = mpsc::channel();
    let challenger = Backend::start(move |conn, head| {
        conn.body(head);
        conn.start_chunked();
        let piece = chunk(vec![b'x'; 60_000]);
        let mut written = 0_usize;
        while written < 1 << 30 && conn.write(&piece).is_ok() {
            written += piece.len();
        }
        let _ = sent.send(written);
        Next::Close
    });
    let main = Backend::says("ok");
    let gateway = gateway(&main, &challenger, "response_bytes_max = 100000").start();
    gateway.call(&post(), &[AUTH], b"{}");
    let written = amounts.recv_timeout(PATIENCE * 2).expect("given up");
    assert!(written < 64 << 20, "{written} bytes were taken");
}
