use std::sync::Arc;

use futures_util::FutureExt;
use http::Method;

use super::*;
use crate::{
    base::{
        chance::Chance,
        id::{ExchangeId, KeyId, VersionNumber},
    },
    telemetry::outcome::{Ended, Role},
};

const NOW_MS: u64 = 1_767_268_800_000;

const ALL: Asked = Asked {
    since_ms: 0,
    level: Level::Info,
    limit: usize::MAX,
};

fn name(text: &str) -> DeploymentName {
    DeploymentName::parse(text).expect("a name")
}

fn iris() -> DeploymentName {
    name("demo/iris")
}

fn logs(lines_per_deployment: usize, bytes_max: usize) -> Arc<Logs> {
    Logs::new(LogsOptions {
        lines_per_deployment,
        bytes_max,
        ..LogsOptions::default()
    })
}

/// The nth request of a deployment, as most are.
fn outcome(of: &DeploymentName, n: u64) -> Outcome {
    Outcome {
        is_credited: true,
        exchange: ExchangeId::draw(&Chance::seeded(n)),
        request_id: format!("{n:024x}").into(),
        role: Role::Main,
        deployment: Some(of.clone()),
        version: Some(VersionNumber(3)),
        key: Some(KeyId::new("k7a1b2")),
        method: Method::POST,
        path: format!("/predict/{}", of.as_str()).into(),
        status: Some(200),
        fault: None,
        error: None,
        ended: Ended::Complete,
        started_at_ms: NOW_MS + n,
        first_byte_ns: Some(9_876_543),
        duration_ns: 12_345_678,
        request_bytes: 120,
        response_bytes: 340,
    }
}

fn with_status(n: u64, status: u16) -> Outcome {
    Outcome {
        status: Some(status),
        ..outcome(&iris(), n)
    }
}

/// Which requests are told of, and what else.
fn told(lines: &[Line]) -> Vec<String> {
    let word = |line: &Line| match &line.what {
        What::Request(request) => {
            let n = u64::from_str_radix(&request.request_id, 16);
            n.map_or(request.request_id.clone(), |n| n.to_string())
        }
        What::Lifecycle(what) => what.action.clone(),
        What::Lost(lines) => format!("lost {lines}"),
    };
    lines.iter().map(word).collect()
}

#[test]
fn a_line_comes_back_as_it_was_told() {
    let logs = logs(10, 1 << 20);
    let usual = outcome(&iris(), 1);
    let strange = Outcome {
        request_id: "not-hex".into(),
        role: Role::Challenger,
        version: None,
        key: None,
        method: Method::from_bytes(b"BREW").expect("a method"),
        path: "/stream/demo/iris/v1/pots".into(),
        status: None,
        fault: Some("backend_timeout"),
        error: Some("no answer\nfrom \u{1b}[31mhttp://a".into()),
        ended: Ended::TimedOut,
        first_byte_ns: None,
        request_bytes: u64::MAX,
        ..outcome(&iris(), 2)
    };
    let deployed = Lifecycle {
        action: "deploy".to_owned(),
        version: Some(3),
        by: "ada\u{202e}".to_owned(),
        status: "success".to_owned(),
        reason: Some(String::new()),
        text: "deploy iris_v3".to_owned(),
    };
    logs.take(&[usual, strange]);
    logs.happened(&iris(), NOW_MS + 5_000, Level::Info, &deployed);
    let lines = logs.read(&iris(), &ALL);
    assert_eq!(lines[0].at_ms, NOW_MS + 1 + 12);
    let What::Request(usual) = &lines[0].what else {
        panic!("{lines:?}");
    };
    assert_eq!(
        **usual,
        Request {
            request_id: "000000000000000000000001".to_owned(),
            role: Role::Main,
            method: "POST".to_owned(),
            operation: Operation::Predict,
            path: "/predict/demo/iris".to_owned(),
            status: Some(200),
            code: None,
            ended: Ended::Complete,
            version: Some(3),
            first_byte_us: Some(9_876),
            duration_us: 12_345,
            request_bytes: 120,
            response_bytes: 340,
            key: Some("k7a1b2".to_owned()),
            error: None,
        }
    );
    let What::Request(strange) = &lines[1].what else {
        panic!("{lines:?}");
    };
    assert_eq!(lines[1].level, Level::Error);
    assert_eq!(
        strange.error.as_deref(),
        Some("no answer\\u{a}from \\u{1b}[31mhttp://a")
    );
    assert_eq!((strange.status, strange.version), (None, None));
    assert_eq!(
        (&*strange.method, &*strange.request_id),
        ("BREW", "not-hex")
    );
    assert_eq!(strange.path, "/stream/demo/iris/v1/pots");
    assert_eq!(
        (strange.operation, strange.role),
        (Operation::Stream, Role::Challenger)
    );
    assert_eq!(strange.request_bytes, u64::MAX);
    let expected = Lifecycle {
        by: "ada\\u{202e}".to_owned(),
        ..deployed
    };
    assert_eq!(lines[2].what, What::Lifecycle(Box::new(expected)));
}

#[test]
fn the_oldest_lines_go_and_the_newest_are_read() {
    let logs = logs(100, 1 << 20);
    let all: Vec<_> = (0..1_000).map(|n| outcome(&iris(), n)).collect();
    logs.take(&all);
    let lines = logs.read(&iris(), &ALL);
    let expected: Vec<_> = (900..1_000).map(|n: u64| n.to_string()).collect();
    assert_eq!(told(&lines), expected);
    let newest = logs.read(&iris(), &Asked { limit: 3, ..ALL });
    assert_eq!(told(&newest), ["997", "998", "999"]);
    assert!(logs.read(&iris(), &Asked { limit: 0, ..ALL }).is_empty());
    let since_ms = lines[98].at_ms;
    let late = logs.read(&iris(), &Asked { since_ms, ..ALL });
    assert_eq!(told(&late), ["998", "999"]);
    assert!(logs.read(&name("demo/other"), &ALL).is_empty());
}

#[test]
fn levels_are_told_apart_and_the_limit_counts_what_is_asked_for() {
    let logs = logs(1_000, 1 << 20);
    logs.take(&[with_status(1, 500), with_status(2, 404)]);
    let gone = Outcome {
        ended: Ended::ClientGone,
        ..with_status(3, 200)
    };
    let broke = Outcome {
        ended: Ended::BackendBroke,
        ..with_status(4, 200)
    };
    logs.take(&[gone, broke]);
    let usual: Vec<_> = (5..500).map(|n| outcome(&iris(), n)).collect();
    logs.take(&usual);
    let of = |level, limit| {
        let asked = Asked {
            level,
            limit,
            ..ALL
        };
        told(&logs.read(&iris(), &asked))
    };
    assert_eq!(of(Level::Error, 1_000), ["1", "4"]);
    assert_eq!(of(Level::Warn, 1_000), ["1", "2", "3", "4"]);
    assert_eq!(of(Level::Warn, 2), ["3", "4"]);
    assert_eq!(of(Level::Info, 1_000).len(), 499);
}

#[test]
fn a_busy_deployment_takes_no_room_from_a_quiet_one() {
    let bytes_max = 1 << 20;
    let logs = logs(1_000_000, bytes_max);
    let quiet: Vec<_> = (0..50).map(|n| outcome(&name("demo/quiet"), n)).collect();
    logs.take(&quiet);
    for round in 0..100 {
        let busy: Vec<_> = (0..1_000)
            .map(|n| outcome(&name("demo/busy"), round * 1_000 + n))
            .collect();
        logs.take(&busy);
        assert!(logs.bytes() <= bytes_max, "{}", logs.bytes());
    }
    assert_eq!(logs.read(&name("demo/quiet"), &ALL).len(), 50);
    let busy = logs.read(&name("demo/busy"), &ALL);
    assert_eq!(told(&busy).last().map(String::as_str), Some("99999"));
    // As many as fit: what a line really takes, what holds it included.
    let each = bytes_max / busy.len();
    println!("a line of a full ring: {each} bytes");
    assert!((20..70).contains(&each), "{each} bytes a line");
}

#[test]
fn a_thousand_full_rings_stay_within_their_bytes() {
    let bytes_max = 4 << 20;
    let logs = logs(1_000, bytes_max);
    let names: Vec<_> = (0..1_000).map(|n| name(&format!("demo/d{n}"))).collect();
    for n in 0..200 {
        let round: Vec<_> = names.iter().map(|of| outcome(of, n)).collect();
        logs.take(&round);
    }
    assert!(logs.bytes() <= bytes_max, "{}", logs.bytes());
    assert!(logs.bytes() > bytes_max / 4 * 3, "{}", logs.bytes());
    let kept = names.iter().map(|of| logs.read(of, &ALL).len());
    let (least, most) = (kept.clone().min(), kept.max());
    assert!(
        least >= Some(10),
        "{least:?} to {most:?}: all give way alike"
    );
}

#[test]
fn what_was_over_is_told_as_seriously_as_what_is_missing() {
    let logs = logs(10, 1 << 20);
    let over = Over {
        usual: 40,
        faults: 2,
    };
    logs.was_over(&iris(), NOW_MS, over);
    assert_eq!(told(&logs.read(&iris(), &ALL)), ["lost 40", "lost 2"]);
    let asked = Asked {
        level: Level::Error,
        ..ALL
    };
    assert_eq!(told(&logs.read(&iris(), &asked)), ["lost 2"]);
    // What no credit covers is told to the process's log alone.
    logs.take(&[Outcome {
        is_credited: false,
        ..outcome(&iris(), 1)
    }]);
    assert_eq!(logs.read(&iris(), &ALL).len(), 2);
}

#[test]
fn moments_are_in_order_unless_the_clock_was_set() {
    let logs = logs(10, 1 << 20);
    let at = |ms| Outcome {
        started_at_ms: ms,
        duration_ns: 0,
        ..outcome(&iris(), 1)
    };
    logs.take(&[at(NOW_MS), at(NOW_MS - 60), at(NOW_MS - 90_000), at(5)]);
    let moments: Vec<_> = logs.read(&iris(), &ALL).iter().map(|l| l.at_ms).collect();
    assert_eq!(moments, [NOW_MS, NOW_MS, NOW_MS - 90_000, 5]);
}

#[test]
fn a_ring_is_of_one_life_and_goes_after_a_while() {
    let logs = logs(10, 1 << 20);
    let (lines, follower) = logs.follow(&iris(), &ALL);
    let mut follower = follower.expect("one");
    assert!(lines.is_empty());
    logs.take(&[outcome(&iris(), 1)]);
    assert!(follower.next().now_or_never().flatten().is_some());
    logs.begin(&iris(), 4);
    assert_eq!(
        follower.next().now_or_never(),
        Some(None),
        "its life is over"
    );
    assert!(logs.read(&iris(), &ALL).is_empty());
    // Versions go on over lives: one of the former life has a lower number.
    let late = Outcome {
        version: Some(VersionNumber(4)),
        ..outcome(&iris(), 3)
    };
    logs.take(&[outcome(&iris(), 2), late]);
    assert_eq!(told(&logs.read(&iris(), &ALL)), ["3"]);

    let (_, follower) = logs.follow(&iris(), &ALL);
    let mut follower = follower.expect("one");
    let at = |ms| Tick::from_ns(1).plus_ms(ms);
    logs.tidy(at(0), |_| false);
    logs.tidy(at(DELETED_KEPT_MS - 1), |_| true);
    logs.tidy(at(DELETED_KEPT_MS), |_| false);
    assert!(logs.has(&iris()), "it was there in between");
    logs.tidy(at(2 * DELETED_KEPT_MS), |_| false);
    assert!(!logs.has(&iris()));
    assert_eq!(logs.bytes(), 0);
    assert_eq!(follower.next().now_or_never(), Some(None));
}

#[test]
fn a_slow_follower_is_told_what_it_missed_and_goes_on() {
    let logs = logs(5, 1 << 20);
    let (_, follower) = logs.follow(&iris(), &ALL);
    let mut follower = follower.expect("one");
    let errors = Asked {
        level: Level::Error,
        ..ALL
    };
    let mut errors = logs.follow(&iris(), &errors).1.expect("one");
    assert_eq!(follower.next().now_or_never(), None);
    logs.take(&[outcome(&iris(), 1), with_status(2, 500)]);
    let mut next = || follower.next().now_or_never().flatten().unwrap_or_default();
    assert_eq!(told(&next()), ["1", "2"]);
    let more: Vec<_> = (3..21).map(|n| outcome(&iris(), n)).collect();
    logs.take(&more);
    assert_eq!(told(&next()), ["lost 13", "16", "17", "18", "19", "20"]);
    assert_eq!(told(&next()), [] as [&str; 0]);
    // One that asks for errors alone is told that it may have missed some, and is not woken by others.
    let first = errors.next().now_or_never().flatten().unwrap_or_default();
    assert_eq!(told(&first), ["lost 15"]);
    logs.take(&[outcome(&iris(), 21)]);
    assert_eq!(errors.next().now_or_never(), None);
    logs.take(&[with_status(22, 503)]);
    let next = errors.next().now_or_never().flatten().unwrap_or_default();
    assert_eq!(told(&next), ["22"]);
}

#[tokio::test]
async fn a_follower_wakes_and_reads_much_in_pieces() {
    let logs = logs(100_000, 64 << 20);
    let (_, follower) = logs.follow(&iris(), &ALL);
    let mut follower = follower.expect("one");
    let reading = async move {
        let (mut seen, mut pieces) = (Vec::new(), 0);
        while seen.len() < 10_000 {
            let lines = follower.next().await.expect("lines");
            seen.extend(told(&lines));
            pieces += 1;
        }
        (seen, pieces)
    };
    let telling = async {
        for round in 0..10 {
            tokio::task::yield_now().await;
            let some: Vec<_> = (0..1_000)
                .map(|n| outcome(&iris(), round * 1_000 + n))
                .collect();
            logs.take(&some);
        }
    };
    let ((seen, pieces), ()) = tokio::join!(reading, telling);
    let expected: Vec<_> = (0..10_000).map(|n| n.to_string()).collect();
    assert_eq!(seen, expected);
    assert!(pieces > 10, "{pieces}");
}

#[test]
fn where_no_lines_are_kept_nothing_is() {
    let logs = logs(0, 1 << 20);
    logs.take(&[outcome(&iris(), 1)]);
    logs.begin(&iris(), 1);
    assert!(logs.follow(&iris(), &ALL).1.is_none());
    assert_eq!(logs.bytes(), 0);
}
