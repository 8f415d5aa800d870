//! Over a connection, with a real store behind the queue.

mod world;

use bytes::Bytes;
use serde_json::json;

use self::world::*;
use super::*;

#[test]
fn an_answer_comes_back_whole_and_in_parts() {
    in_a_world(async |world| {
        // In its row, and in a file.
        for length in [1_000usize, 300_000] {
            let body: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            let id = world.answered("predict", 200, &body).await;
            let line = format!("GET /async/{id}/result");
            let whole = world.ask(&line, "").await;
            let etag = whole.get("etag").expect("ETag").to_owned();
            assert!(etag.starts_with(&format!("\"{id}.1.")), "{etag}");
            assert_eq!((whole.status, whole.is_whole), (200, true));
            assert!(whole.body == body);
            assert_eq!(whole.all("x-model"), ["one", "two"]);
            assert_eq!(whole.all("etag"), [&etag]);
            assert_eq!(whole.all("accept-ranges"), ["bytes"]);
            assert_eq!(whole.all("x-async-status"), ["completed"]);
            assert_eq!(whole.all("x-deployment-version"), ["iris_v2"]);
            assert_eq!(whole.all("x-config-epoch"), ["1"]);
            assert_eq!(whole.all("x-request-id"), ["same"]);

            let head = world.ask(&format!("HEAD /async/{id}/result"), "").await;
            let told = length.to_string();
            assert_eq!((head.status, head.body.len()), (200, 0));
            assert_eq!(head.get("content-length"), Some(told.as_str()));

            for (range, from, to) in [
                ("0-0", 0, 1),
                ("500-", 500, length),
                ("-7", length - 7, length),
            ] {
                let headers = format!("range: bytes={range}\r\nif-range: {etag}\r\n");
                let part = world.ask(&line, &headers).await;
                assert_eq!((part.status, part.is_whole), (206, true), "{range}");
                assert!(part.body == body[from..to], "{range}");
                let told = format!("bytes {from}-{}/{length}", to - 1);
                assert_eq!(part.get("content-range"), Some(told.as_str()));
            }
            for headers in [
                "range: bytes=0-1,3-4\r\n",
                "range: bytes=1-2\r\nif-range: \"x\"\r\n",
            ] {
                let all = world.ask(&line, headers).await;
                assert!(all.status == 200 && all.body == body, "{headers}");
            }
            let none = world
                .ask(&line, &format!("range: bytes={length}-\r\n"))
                .await;
            assert_eq!(
                (none.status, none.code().as_str()),
                (416, "range_unsatisfiable")
            );
            let told = format!("bytes */{length}");
            assert_eq!(none.get("content-range"), Some(told.as_str()));
            let same = world
                .ask(&line, &format!("if-none-match: \"x\", {etag}\r\n"))
                .await;
            assert_eq!((same.status, same.body.len()), (304, 0));
            assert_eq!(
                (same.get("etag"), same.get("x-model")),
                (Some(etag.as_str()), None)
            );
        }
        let id = world.answered("predict", 404, b"0123456789").await;
        let line = format!("GET /async/{id}/result");
        let whole = world
            .ask(&line, "range: bytes=0-1\r\nif-none-match: *\r\n")
            .await;
        assert_eq!(
            (whole.status, whole.body.as_slice()),
            (404, &b"0123456789"[..])
        );
        let id = world.answered("predict", 204, b"").await;
        let line = format!("GET /async/{id}/result");
        assert_eq!(world.ask(&line, "").await.status, 204);
    });
}

#[test]
fn to_anybody_else_it_is_not_there() {
    in_a_world(async |world| {
        let done = world.answered("predict", 200, b"done").await;
        let queued = world.submit("predict").await;
        let unknown = AsyncId::draw(queued.position()).unwrap().to_string();
        for (method, tail) in [
            ("GET", ""),
            ("GET", "?wait=60"),
            ("HEAD", ""),
            ("DELETE", ""),
            ("GET", "/result"),
            ("POST", "/cancel"),
        ] {
            let right = format!("{method} /async/{unknown}{tail}");
            let right = world.ask_as(OTHER, &right, "").await;
            assert_eq!(right.status, 404);
            assert!(method == "HEAD" || right.code() == "async_unknown");
            for id in [
                &done.to_string(),
                &queued.to_string(),
                "x",
                &"a".repeat(500),
            ] {
                let line = format!("{method} /async/{id}{tail}");
                let reply = world.ask_as(OTHER, &line, "").await;
                assert_eq!(reply.but_the_date(), right.but_the_date(), "{line}");
                let nobody = world.open(&line, "").await.end().await;
                assert_eq!(nobody.status, 401, "{line}");
            }
        }
        assert_eq!(
            world.ask_as(OTHER, "GET /async", "").await.json()["items"],
            json!([])
        );
        let line = format!("GET /async/{queued}");
        let status = world.ask(&line, "").await.json()["status"].clone();
        assert!(status == "queued" || status == "running", "{status}");
    });
}

#[test]
fn paths_methods_and_queries_are_strict() {
    in_a_world(async |world| {
        let id = world.answered("predict", 200, b"done").await;
        for (line, status, code) in [
            (format!("GET /async/{id}/other"), 404, "route_unknown"),
            ("GET /async/".to_owned(), 404, "route_unknown"),
            ("GET /asynchronous".to_owned(), 404, "route_unknown"),
            (format!("GET /async/{id}?wait=x"), 400, "query_malformed"),
            (format!("GET /async/{id}?wiat=1"), 400, "query_malformed"),
            ("GET /async?limit=0".to_owned(), 400, "query_malformed"),
            (format!("PUT /async/{id}"), 405, "method_not_allowed"),
            (format!("GET /async/{id}/cancel"), 405, "method_not_allowed"),
        ] {
            let reply = world.ask(&line, "").await;
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (status, code),
                "{line}"
            );
        }
        let reply = world.ask(&format!("PATCH /async/{id}"), "").await;
        assert_eq!(reply.get("allow"), Some("GET, HEAD, DELETE"));
    });
}

#[test]
fn documents_and_lists_are_in_the_callers_language() {
    in_a_world(async |world| {
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(world.answered("predict", 200, b"done").await.to_string());
        }
        ids.reverse();
        let line = format!("GET /async/{}", ids[0]);
        let reply = world.ask(&line, "accept-language: ru\r\n").await;
        let document = reply.json();
        assert_eq!(
            (&document["status"], &document["status_text"]),
            (&json!("completed"), &json!("Завершен"))
        );
        let url = format!("https://models.example/async/{}", ids[0]);
        assert_eq!(document["status_url"], url);
        for (name, value) in [
            ("content-type", "application/json"),
            ("content-language", "ru"),
            ("vary", "Accept-Language"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(reply.all(name), [value]);
        }
        let page = world.ask("GET /async?limit=2", "").await.json();
        assert_eq!(
            (&page["items"][0]["id"], &page["items"][1]["id"]),
            (&json!(ids[0]), &json!(ids[1]))
        );
        assert_eq!(page["items"][0]["status_text"], "Completed");
        let next = page["next"].as_str().expect("another page");
        let line =
            format!("GET /async?limit=2&cursor={next}&deployment=demo%2Firis&status=completed");
        let page = world.ask(&line, "").await.json();
        assert_eq!(page["items"][0]["id"], json!(ids[2]));
        let head = world.ask("HEAD /async", "").await;
        assert_eq!((head.status, head.body.len()), (200, 0));
    });
}

#[test]
fn a_wait_ends_with_the_request_or_with_the_gateway() {
    in_a_world(async |world| {
        let id = world.submit("predict").await;
        let work = world.work(id).await;
        let line = format!("GET /async/{id}?wait=60");
        let key = format!("x-api-key: {KEY}\r\n");
        let waiting = world.open(&line, &key).await;
        let recorder = world.recorder(&work, 200, &HeaderMap::new());
        world.conclude(&work, recorder, 200, HeaderMap::new()).await;
        assert_eq!(waiting.end().await.json()["status"], "completed");

        let id = world.submit("predict").await;
        let _work = world.work(id).await;
        let waiting = world.open(&format!("GET /async/{id}?wait=60"), &key).await;
        let serves = || {
            let clients = world.local.clients.borrow();
            clients.iter().any(|(_, client)| client.is_serving())
        };
        while !serves() {
            tokio::task::yield_now().await;
        }
        world.local.draining.set(true);
        world.local.watchdog.wake_all();
        let early = tokio::time::timeout(Duration::from_secs(30), waiting.end()).await;
        let early = early.expect("an answer before the wait is over");
        assert_eq!(early.json()["status"], "running");
    });
}

#[test]
fn a_result_is_waited_for_until_there_is_something_of_it() {
    in_a_world(async |world| {
        let key = format!("x-api-key: {KEY}\r\n");
        let id = world.submit("stream").await;
        let work = world.work(id).await;
        let line = format!("GET /async/{id}/result?wait=30");
        let mut follower = world.open(&line, &key).await;
        let mut recorder = world.recorder(&work, 200, &HeaderMap::new());
        world.queue.show(&work, recorder.recording());
        recorder.append(Bytes::from_static(b"first")).await.unwrap();
        follower.until("first").await;
        world.conclude(&work, recorder, 200, HeaderMap::new()).await;
        let reply = follower.end().await;
        assert_eq!((reply.status, reply.is_whole), (200, true));

        let id = world.submit("predict").await;
        let work = world.work(id).await;
        let line = format!("GET /async/{id}/result?wait=30");
        let waiting = world.open(&line, &key).await;
        let mut recorder = world.recorder(&work, 201, &HeaderMap::new());
        recorder.append(Bytes::from_static(b"made")).await.unwrap();
        world.conclude(&work, recorder, 201, HeaderMap::new()).await;
        let reply = waiting.end().await;
        assert_eq!((reply.status, &*reply.body), (201, &b"made"[..]));

        let id = world.submit("predict").await;
        let line = format!("GET /async/{id}/result?wait=0");
        assert_eq!(world.ask(&line, "").await.status, 202);
    });
}

#[test]
fn what_is_cancelled_is_gone() {
    in_a_world(async |world| {
        let running = world.submit("predict").await;
        let work = world.work(running).await;
        let queued = world.submit("predict").await;
        let ask =
            async |method: &str, path: String| world.ask(&format!("{method} {path}"), "").await;
        for (id, status, now) in [(queued, 200, "queued"), (running, 202, "running")] {
            let early = ask("GET", format!("/async/{id}/result")).await;
            assert_eq!((early.status, early.get("retry-after")), (202, Some("1")));
            assert_eq!(early.get("x-async-status"), Some(now));
            assert_eq!(early.json()["status"], now);
            let reply = ask("POST", format!("/async/{id}/cancel")).await;
            assert_eq!(
                (reply.status, &reply.json()["status"]),
                (status, &json!("cancelled"))
            );
            let again = ask("DELETE", format!("/async/{id}")).await;
            assert_eq!((again.status, again.code().as_str()), (409, "async_ended"));
            let result = ask("GET", format!("/async/{id}/result")).await;
            assert_eq!(
                (result.status, result.code().as_str()),
                (410, "async_cancelled")
            );
            assert_eq!(result.get("x-async-status"), Some("cancelled"));
        }
        drop(work);
    });
}

const EVENTS: [&str; 3] = ["id: 1\ndata: a\n\n", "id: 2\ndata: b\n\n", "data: c\n\n"];

#[test]
fn a_stream_is_followed_from_where_the_client_stands() {
    in_a_world(async |world| {
        let id = world.submit("stream").await;
        let work = world.work(id).await;
        let line = format!("GET /async/{id}/result");
        assert_eq!(world.ask(&line, "").await.status, 202);
        let mut headers = HeaderMap::new();
        let kind = HeaderValue::from_static("text/event-stream");
        headers.insert(header::CONTENT_TYPE, kind);
        let mut recorder = world.recorder(&work, 200, &headers);
        world.queue.show(&work, recorder.recording());
        let event = |n: usize| Bytes::from_static(EVENTS[n].as_bytes());
        recorder.append(event(0)).await.unwrap();
        recorder.append(event(1)).await.unwrap();
        let key = format!("x-api-key: {KEY}\r\n");
        let first = world.ask(&format!("HEAD /async/{id}/result"), "").await;
        let etag = first.get("etag").expect("ETag").to_owned();
        assert!(etag.starts_with(&format!("\"{id}.1.")), "{etag}");
        let behind = EVENTS[0].len() + EVENTS[1].len();
        let mut live = Vec::new();
        for (headers, status, from) in [
            (String::new(), 200, 0),
            ("last-event-id: 1\r\n".to_owned(), 200, EVENTS[0].len()),
            ("last-event-id: never\r\n".to_owned(), 200, 0),
            (format!("range: bytes=5-\r\nif-range: {etag}\r\n"), 206, 5),
            (format!("range: bytes={behind}-\r\n"), 206, behind),
            ("range: bytes=5-\r\nif-range: \"x\"\r\n".to_owned(), 200, 0),
        ] {
            let mut follower = world.open(&line, &format!("{key}{headers}")).await;
            follower.until("\r\n\r\n").await;
            if from < behind {
                follower.until("data: b\n\n").await;
            }
            live.push((follower, status, from));
        }
        let beyond = world.ask(&line, "range: bytes=9999-\r\n").await;
        assert_eq!(
            (beyond.status, beyond.get("x-async-status")),
            (416, Some("running"))
        );
        let head = world.ask(&format!("HEAD /async/{id}/result"), "").await;
        assert_eq!((head.status, head.get("content-length")), (200, None));
        assert_eq!(head.get("x-async-status"), Some("running"));

        recorder.append(event(2)).await.unwrap();
        for (follower, ..) in &mut live {
            follower.until("data: c\n\n").await;
        }
        world.conclude(&work, recorder, 200, headers).await;
        let whole = EVENTS.concat();
        for (follower, status, from) in live {
            let reply = follower.end().await;
            assert_eq!((reply.status, reply.is_whole), (status, true));
            assert_eq!(reply.body, whole.as_bytes()[from..]);
            assert_eq!(reply.all("etag"), [&etag]);
            let grows = format!("bytes {from}-9007199254740991/*");
            let range = (status == 206).then_some(grows.as_str());
            assert_eq!(reply.get("content-range"), range);
        }
        for (last, from) in [("1", EVENTS[0].len()), ("2", behind), ("never", 0)] {
            let reply = world
                .ask(&line, &format!("last-event-id: {last}\r\n"))
                .await;
            assert_eq!((reply.status, reply.is_whole), (200, true), "{last}");
            assert_eq!(reply.body, whole.as_bytes()[from..], "{last}");
            assert_eq!(reply.all("etag"), [&etag], "as while it was followed");
        }
    });
}

#[test]
fn a_recording_that_is_given_up_ends_visibly_broken() {
    in_a_world(async |world| {
        let id = world.submit("stream").await;
        let work = world.work(id).await;
        let mut recorder = world.recorder(&work, 200, &HeaderMap::new());
        world.queue.show(&work, recorder.recording());
        recorder.append(Bytes::from_static(b"half")).await.unwrap();
        let key = format!("x-api-key: {KEY}\r\n");
        let mut follower = world.open(&format!("GET /async/{id}/result"), &key).await;
        follower.until("half").await;
        drop(recorder);
        let reply = follower.end().await;
        assert_eq!((reply.status, reply.body.as_slice()), (200, &b"half"[..]));
        assert!(!reply.is_whole, "taken for complete");
    });
}
