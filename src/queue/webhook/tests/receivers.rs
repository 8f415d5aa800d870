//! Receivers that do not behave, and places where none may be.

use tokio::net::TcpListener;

use super::{
    receiver::{Does, OK, Receiver},
    *,
};

#[tokio::test]
async fn whatever_a_receiver_does_is_written_down_and_it_is_tried_again() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let location = elsewhere.local_addr().expect("an address");
    let redirect =
        format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{location}/\r\n\r\n");
    let redirect: &'static str = redirect.leak();
    let long: &'static str =
        format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(100_000)).leak();
    let cases = [
        (Does::Says("HTTP/1.1 500 No\r\n\r\n"), Some(500), None),
        (Does::Says("HTTP/1.1 404 No\r\n\r\n"), Some(404), None),
        (Does::Says("HTTP/1.1 429 No\r\n\r\n"), Some(429), None),
        (
            Does::Says(redirect),
            Some(307),
            Some("redirects are not followed"),
        ),
        (
            Does::Says("SSH-2.0-OpenSSH_9.2\r\n"),
            None,
            Some("no answer that is HTTP: "),
        ),
        (Does::Says(long), None, Some("no answer that is HTTP: ")),
        (Does::Closes, None, Some("no answer that is HTTP: ")),
        (Does::Slams, None, Some("no answer that is HTTP: ")),
        (Does::Hangs, None, Some("no answer in time")),
    ];
    for (number, (does, status, words)) in cases.into_iter().enumerate() {
        let bench = Bench::new();
        let receiver = Receiver::new(&[does, OK]).await;
        let id = bench.complete(number as u64 + 1, &receiver.url()).await;
        let options = WebhookOptions {
            timeout_ms: if matches!(does, Does::Hangs) {
                100
            } else {
                5_000
            },
            ..quick()
        };
        let _running = bench.run_with(options, lenient());
        let done = bench.until_done(id).await;
        assert_eq!(done.state, DeliveryState::Delivered, "{does:?}: {done:?}");
        let first = &done.attempts[0];
        assert_eq!(first.status, status, "{does:?}");
        match (words, &first.error) {
            (Some(words), Some(error)) => assert!(error.starts_with(words), "{does:?}: {error}"),
            (words, error) => assert_eq!(words, error.as_deref(), "{does:?}"),
        }
    }
    let nobody = std::future::poll_fn(|cx| std::task::Poll::Ready(elsewhere.poll_accept(cx)));
    assert!(nobody.await.is_pending(), "a redirect was followed");
}

#[tokio::test]
async fn a_body_without_end_is_not_read_to_its_end() {
    let bench = Bench::new();
    let receiver = Receiver::new(&[Does::Babbles]).await;
    let id = bench.complete(1, &receiver.url()).await;
    let _running = bench.run();
    let done = bench.until_done(id).await;
    assert_eq!(done.state, DeliveryState::Delivered);
    assert_eq!(done.attempts[0].status, Some(200));
}

#[tokio::test]
async fn nobody_is_told_where_nobody_may_be() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    let port = address.port();
    let own = || {
        let all = ["0.0.0.0/0", "::/0"].map(|text| text.parse().expect("a network"));
        AddressGuard::for_webhooks(all.into(), vec![], vec![address])
    };
    let strict = || AddressGuard::for_webhooks(vec![], vec![], vec![]);
    let guards: [(&dyn Fn() -> AddressGuard, &[&str]); 2] = [
        // A name that stands for a private address; addresses that only a resolver knows for such.
        (
            &strict,
            &[
                "127.0.0.1",
                "localhost",
                "2130706433",
                "0x7f.1",
                "[::ffff:127.0.0.1]",
            ],
        ),
        (&own, &["127.0.0.1", "2130706433", "[::ffff:127.0.0.1]"]),
    ];
    for (guard, hosts) in guards {
        for (number, host) in hosts.iter().enumerate() {
            let bench = Bench::new();
            let url = format!("http://{host}:{port}/hook");
            let id = bench.complete(number as u64 + 1, &url).await;
            let options = WebhookOptions {
                pauses_ms: vec![],
                ..quick()
            };
            let _running = bench.run_with(options, guard());
            let done = bench.until_done(id).await;
            assert_eq!(done.state, DeliveryState::Failed, "{host}");
            let error = done.attempts[0].error.as_deref().unwrap_or_default();
            assert!(
                error.contains("is not allowed for webhooks"),
                "{host}: {error}"
            );
        }
    }
    let nobody = std::future::poll_fn(|cx| std::task::Poll::Ready(listener.poll_accept(cx)));
    assert!(nobody.await.is_pending(), "somebody connected");
}

#[tokio::test]
async fn an_address_that_is_none_any_more_fails_in_words() {
    let bench = Bench::new();
    let _running = bench.run();
    let id = bench.complete(1, "gopher://a.example/").await;
    let done = bench.until_done(id).await;
    assert_eq!(done.attempts.len(), 10);
    let error = done.attempts[0].error.as_deref().unwrap_or_default();
    assert!(
        error.starts_with("the address cannot be asked: "),
        "{error}"
    );
}

async fn in_another_lane(than: &Receiver) -> Receiver {
    let lane = |receiver: &Receiver| crate::hook::lane_of(&receiver.address.to_string());
    loop {
        let other = Receiver::new(&[OK]).await;
        if lane(&other) != lane(than) {
            return other;
        }
    }
}

/// A receiver that hangs has hundreds waiting, and all the others are told meanwhile.
#[tokio::test]
async fn one_that_hangs_holds_up_nobody_else() {
    let bench = Bench::new();
    let mut hangs = Receiver::new(&[Does::Hangs]).await;
    for number in 0..200 {
        bench.note(number, &hangs.url(), FOREVER_MS).await;
    }
    let options = WebhookOptions {
        timeout_ms: 600_000,
        concurrency: 5,
        per_host: 4,
        ..quick()
    };
    let running = bench.run_with(options, lenient());
    for _ in 0..4 {
        hangs.next().await;
    }
    // In the same lane they would wait behind the first page of those that hang.
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(in_another_lane(&hangs).await);
    }
    for number in 0..30 {
        let other = &others[number % others.len()];
        let id = bench
            .note(1_000 + number as u64, &other.url(), FOREVER_MS)
            .await;
        bench.until_done(id).await;
    }
    assert_eq!(hangs.further(), 0, "no more than four at once");
    assert_eq!(bench.turns().await, (200, 30));
    drop(running);
}

/// Beyond the first page of a lane, and more than there are turns at once.
#[tokio::test]
async fn a_long_line_is_worked_off() {
    let bench = Bench::new();
    let mut receiver = Receiver::new(&[OK]).await;
    for number in 0..150 {
        bench.note(number, &receiver.url(), FOREVER_MS).await;
    }
    let options = WebhookOptions {
        concurrency: 3,
        per_host: 2,
        ..quick()
    };
    let running = bench.run_with(options, lenient());
    let mut told = std::collections::BTreeSet::new();
    for _ in 0..150 {
        let received = receiver.next().await;
        assert!(
            told.insert(received.header("webhook-id").to_owned()),
            "told once"
        );
    }
    let mut watch = bench.sqlite.watch(DUE);
    while bench.turns().await != (0, 150) {
        in_time("the last one", watch.next())
            .await
            .expect("a change");
    }
    drop(running);
}

/// More changes at once than are kept for a listener, and the one that matters is the first.
#[tokio::test]
async fn a_note_is_found_though_its_change_was_lost() {
    let bench = Bench::new();
    let busy = Receiver::new(&[OK]).await;
    let mut receiver = in_another_lane(&busy).await;
    let running = bench.run();
    // It runs, and has nothing more to do.
    let first = bench.note(1, &busy.url(), FOREVER_MS).await;
    bench.until_done(first).await;
    let now_ms = clock::unix_ms();
    let (id, mut writes) = noted(2, &receiver.url(), FOREVER_MS, now_ms);
    for number in 3..3_000 {
        let tomorrow_ms = now_ms + 86_400_000;
        writes.extend(noted(number, "http://a.example/", FOREVER_MS, tomorrow_ms).1);
    }
    // This thread is where the webhooks run: they hear of nothing until all of it has happened.
    let store = Arc::clone(&bench.sqlite);
    let committed = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(store.commit(writes))
    });
    committed.join().expect("no panic").expect("committed");
    bench.until_done(id).await;
    assert_eq!(receiver.next().await.header("webhook-id"), id.to_string());
    drop(running);
}
