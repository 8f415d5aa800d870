//! Lists and documents.

use super::*;
use crate::{
    admin::later::tests::script::{BEGAN_MS, owner},
    base::id::KeyId,
    store::JobFilter,
};

fn ids(reply: &Reply) -> Vec<String> {
    let items = reply.json()["items"].as_array().cloned().expect("a list");
    let id = |item: &Value| item["id"].as_str().unwrap_or_default().to_owned();
    items.iter().map(id).collect()
}

/// Follows a list to its end; answers what came, and in how many pages.
async fn all(world: &World, query: &str) -> (Vec<String>, usize) {
    let (mut found, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let line = format!("GET {IRIS}/async?{query}{cursor}");
        let page = world.call(&line, &[], "").await;
        assert_eq!(page.status, 200, "{line}: {}", page.json());
        found.extend(ids(&page));
        pages += 1;
        match page.json()["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (found, pages),
        }
    }
}

#[tokio::test]
async fn a_document_is_what_is_described_and_tells_no_secret() {
    let mut requests = one_of_each();
    requests[0].accepted.pinned = Some(crate::base::id::VersionNumber(2));
    requests[0].job.attempt = 1;
    requests[2].accepted.tail = "v1/chat".to_owned();
    requests[2].accepted.retry_of = Some(requests[3].id());
    requests[2].job.answer = crate::store::Kept::Inline(5);
    let script = Script::of(requests.clone());
    let world = world(&script).await;
    let document = crate::admin::openapi::document();
    let schema = &document["components"]["schemas"]["AsyncRequest"];
    let described = schema["properties"].as_object().expect("properties");
    let required: Vec<_> = schema["required"].as_array().expect("some").clone();
    for own in &requests {
        let path = format!("{IRIS}/async/{}", own.id());
        let reply = world.call(&format!("GET {path}"), &[], "").await;
        let shown = reply.json();
        for member in shown.as_object().expect("a table").keys() {
            assert!(described.contains_key(member), "{member} is not described");
        }
        for member in &required {
            let member = member.as_str().expect("a name");
            assert!(shown.get(member).is_some(), "{member} is not there");
        }
        assert_eq!(shown["status_url"], path);
        assert_eq!(shown["result_url"], format!("{path}/result"));
        assert_eq!(shown["cancel_url"], format!("{path}/cancel"));
        assert_eq!(shown["key"], "k7");
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(!text.contains("secret"), "{text}");
        assert_eq!(reply.header("cache-control"), "no-store");
    }
    let read = async |own: &Request| {
        let line = format!("GET {IRIS}/async/{}", own.id());
        world.call(&line, &[], "").await.json()
    };
    let (queued, completed) = (read(&requests[0]).await, read(&requests[2]).await);
    assert_eq!(queued["path"], "/predict/demo/iris");
    assert_eq!(completed["path"], "/predict/demo/iris/v1/chat");
    assert_eq!(
        (&queued["body_bytes"], &queued["result_bytes"]),
        (&json!(3), &Value::Null)
    );
    assert_eq!(
        (&completed["body_bytes"], &completed["result_bytes"]),
        (&json!(3), &json!(5))
    );
    assert_eq!(
        (
            &queued["dead_letter"],
            &read(&requests[3]).await["dead_letter"]
        ),
        (&json!(false), &json!(true))
    );
}

#[tokio::test]
async fn the_words_follow_the_language_and_the_status_does_not() {
    let requests = one_of_each();
    let id = id_of(&requests, JobStatus::Queued);
    let script = Script::of(requests);
    let world = world(&script).await;
    for (asked, text) in [
        ("", "Queued"),
        ("en", "Queued"),
        ("ru-RU,ru;q=0.9,en;q=0.8", "В очереди"),
    ] {
        let headers = [("accept-language", asked)];
        let line = format!("GET {IRIS}/async/{id}");
        let one = world.call(&line, &headers, "").await.json();
        let line = format!("GET {IRIS}/async?status=queued");
        let list = world.call(&line, &headers, "").await.json();
        let listed = list["items"][0].clone();
        for shown in [one, listed] {
            assert_eq!(
                (&shown["status"], &shown["status_text"]),
                (&json!("queued"), &json!(text)),
                "{asked}"
            );
        }
    }
}

#[tokio::test]
async fn what_is_not_this_deployments_is_answered_as_what_is_not_there() {
    let mut requests = one_of_each();
    let other = request(50, "demo/rose", JobStatus::Queued);
    let other_id = other.id();
    requests.push(other);
    let nobody = request(60, "demo/iris", JobStatus::Queued).id();
    let script = Script::of(requests);
    let world = world(&script).await;
    let mut answers = Vec::new();
    for id in [
        other_id.to_string(),
        nobody.to_string(),
        "x".to_owned(),
        "é".to_owned(),
        "a".repeat(33),
        "%2e%2e".to_owned(),
    ] {
        for (method, rest) in [
            ("GET", ""),
            ("GET", "/result"),
            ("GET", "/webhook"),
            ("POST", "/cancel"),
            ("POST", "/retry"),
        ] {
            let id = id.replace('é', "%c3%a9");
            let line = format!("{method} {IRIS}/async/{id}{rest}");
            let reply = world.call(&line, &[("x-request-id", "one")], "").await;
            assert_eq!(outcome(&reply), (404, "async_unknown".into()), "{line}");
            let body = String::from_utf8(reply.body).expect("text");
            // What was asked for is said again; nothing else differs.
            let shown = id.replace("%c3%a9", "é").replace("%2e", ".");
            let shown = format!("\\\"{shown}\\\"");
            assert!(body.contains(&shown), "{body}");
            answers.push(body.replace(&shown, "ID"));
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(script.told().done.len(), 0);
    let listed = world.call(&format!("GET {IRIS}/async"), &[], "").await;
    assert!(!ids(&listed).contains(&other_id.to_string()));
    let rose = IRIS.replace("iris", "rose");
    let line = format!("GET {rose}/async/{other_id}");
    assert_eq!(world.call(&line, &[], "").await.status, 200);
}

#[tokio::test]
async fn pages_of_any_size_join_without_a_gap_whatever_is_looked_for() {
    let mut requests: Vec<Request> = (0..20)
        .map(|after| {
            let status = JobStatus::ALL[after as usize % 6];
            let name = ["demo/iris", "demo/rose"][usize::from(after % 5 == 4)];
            request(after, name, status)
        })
        .collect();
    for (i, own) in requests.iter_mut().enumerate() {
        own.accepted.key = KeyId::new(["k7", "far"][i % 2]);
        own.accepted.request_id = format!("r-{}", i % 4);
    }
    let script = Script::of(requests.clone());
    let world = world(&script).await;
    let expected = |fits: &dyn Fn(&Request) -> bool| -> Vec<String> {
        let own = requests.iter().rev();
        own.filter(|own| own.job.lane.deployment == "demo/iris" && fits(own))
            .map(|own| own.id().to_string())
            .collect()
    };
    type Fits = Box<dyn Fn(&Request) -> bool>;
    let cases: [(&str, Fits); 6] = [
        ("", Box::new(|_| true)),
        (
            "status=completed",
            Box::new(|own| own.status() == JobStatus::Completed),
        ),
        ("dead=true", Box::new(|own| own.job.dead)),
        (
            "key=far",
            Box::new(|own| own.accepted.key.as_str() == "far"),
        ),
        (
            "request_id=r-1",
            Box::new(|own| own.accepted.request_id == "r-1"),
        ),
        (
            "request_id=r-3&key=far&status=error",
            Box::new(|own| own.accepted.request_id == "r-3" && own.status() == JobStatus::Error),
        ),
    ];
    for (query, fits) in cases {
        let expected = expected(&fits);
        assert!(!expected.is_empty(), "{query}");
        for limit in [1, 2, 3, 7, 100] {
            let (found, pages) = all(&world, &format!("{query}&limit={limit}")).await;
            assert_eq!(found, expected, "{query} {limit}");
            assert!(pages >= expected.len().div_ceil(limit), "{query} {limit}");
        }
    }
}

#[tokio::test]
async fn a_rare_id_is_looked_for_among_so_many_and_the_page_says_where_to_go_on() {
    // Three are looked at in one step, and a call takes ten.
    let requests: Vec<Request> = (0..100)
        .map(|after| request(after, "demo/iris", JobStatus::Queued))
        .collect();
    let script = Script::of(requests.clone());
    let world = world(&script).await;
    let line = format!("GET {IRIS}/async?request_id=r-0");
    let first = world.call(&line, &[], "").await;
    assert_eq!(ids(&first), Vec::<String>::new());
    assert!(first.json()["next"].is_string());
    assert_eq!(script.told().filters.len(), 10);
    let (found, pages) = all(&world, "request_id=r-0").await;
    assert_eq!(found, [requests[0].id().to_string()]);
    assert_eq!(pages, 4);
}

#[tokio::test]
async fn a_key_that_is_known_is_looked_for_by_the_store() {
    let mut requests = one_of_each();
    let secret = "a-key-of-its-own-with-32-letters";
    let script = Script::of(Vec::new());
    let world = world(&script).await;
    let body = json!({ "secret": secret }).to_string();
    let made = world.call(&format!("POST {IRIS}/keys"), &[], &body).await;
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    requests[1].job.lane.owner = owner(secret);
    requests[1].accepted.key = KeyId::new(&id);
    let expected = [requests[1].id().to_string()];
    script.told().requests = requests;
    let (found, _) = all(&world, &format!("key={id}")).await;
    assert_eq!(found, expected);
    let filter = JobFilter {
        owner: Some(owner(secret)),
        deployment: Some("demo/iris".to_owned()),
        ..JobFilter::default()
    };
    assert!(script.told().filters.iter().all(|asked| *asked == filter));
}

#[tokio::test]
async fn a_query_that_is_not_understood_is_refused() {
    let script = Script::of(one_of_each());
    let world = world(&script).await;
    for query in [
        "status=done",
        "status=Queued",
        "key=",
        "key=a%2Fb",
        "key=..%2f..",
        "request_id=",
        "dead=1",
        "limit=0",
        "limit=1001",
        "cursor=1",
        "cursor=1~00000000",
        "cursor=x~2d711642",
        "deployment=demo/rose",
    ] {
        let line = format!("GET {IRIS}/async?{query}");
        let reply = world.call(&line, &[], "").await;
        assert_eq!(outcome(&reply), (400, "invalid".into()), "{query}");
    }
    assert_eq!(script.told().filters.len(), 0);
}

#[tokio::test]
async fn a_queue_shows_how_it_stands() {
    let script = Script::of(Vec::new());
    let world = world(&script).await;
    let line = format!("GET {IRIS}/async/queue");
    let before = crate::base::clock::unix_ms();
    let shown = world.call(&line, &[], "").await.json();
    assert_eq!(
        (&shown["paused"], &shown["queued"]),
        (&json!(false), &json!(4))
    );
    assert_eq!(
        (&shown["running"], &shown["waiting_retry"]),
        (&json!(2), &json!(1))
    );
    let age = shown["oldest_queued_age_ms"].as_u64().expect("an age");
    let now = crate::base::clock::unix_ms();
    let range = before.saturating_sub(BEGAN_MS)..=now.saturating_sub(BEGAN_MS);
    assert!(range.contains(&age), "{age}");
}
