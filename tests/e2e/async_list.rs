//! A key finds all its own requests, and no sign of anybody else's.

use serde_json::Value;

use crate::support::{
    Declarations, Gate, Gateway, Head, Response, admin, deployment, iris, key, later, problem, want,
};

const OTHER: &str = "wk_other_0123456789abcdefghijklmnopqrstu";

#[test]
fn the_list_is_newest_first_filtered_and_in_pages() {
    let gate = Gate::new();
    let backend = later::held_echo(&gate);
    let gateway = later::at_most(
        Gateway::with(
            iris(&backend)
                .with(deployment("demo/text").backend(&backend))
                .with(key(OTHER, "demo")),
        ),
        1,
    )
    .start();
    let caller = gateway.caller();
    let first = caller.accepted(b"running");
    backend.wait_count(1);
    let mut ids = vec![first];
    ids.extend((0..9).map(|n| caller.accepted(format!("{n}").as_bytes())));
    let theirs = gateway.caller_with(OTHER).accepted(b"theirs");
    want(200, &caller.cancel(&ids[4]));
    ids.reverse();
    let of = |list: &[Value]| -> Vec<String> { list.iter().map(later::whole_document).collect() };
    assert_eq!(of(&caller.list("")), ids);
    assert_eq!(of(&caller.list("limit=3")), ids);
    assert_eq!(of(&caller.list("limit=200&deployment=demo/iris")), ids);
    assert_eq!(of(&caller.list("status=cancelled")), [ids[5].clone()]);
    assert_eq!(of(&caller.list("status=running")), [ids[9].clone()]);
    assert_eq!(caller.list("status=queued&limit=2").len(), 8);
    assert_eq!(caller.list("deployment=demo/text").len(), 0);
    assert_eq!(of(&gateway.caller_with(OTHER).list("")), [theirs]);
    // What comes while somebody turns the pages does not shift them.
    let page = want(200, &caller.get("/async?limit=4"));
    let newest = caller.accepted(b"newer");
    let next = page["next"].as_str().expect("another page").to_owned();
    let rest = want(200, &caller.get(&format!("/async?limit=4&cursor={next}")));
    assert_eq!(of(admin::items(&rest)), ids[4..8]);
    assert_eq!(of(&caller.list(""))[0], newest);
    for query in [
        "limit=0",
        "limit=201",
        "limit=x",
        "status=done",
        "status=",
        "deployment=iris",
        "cursor=nonsense",
        "color=red",
    ] {
        let answer = caller.get(&format!("/async?{query}"));
        assert_eq!(problem(&[400], &answer), "query_malformed", "{query}");
    }
    gate.open();
    for id in ids.iter().chain([&newest]) {
        caller.ended(id);
    }
    assert_eq!(
        caller.list("status=completed&deployment=demo/iris").len(),
        10
    );
}

/// Everything of an answer but the moment.
fn but_the_date(answer: &Response) -> (Vec<(String, Vec<u8>)>, String) {
    let Head { start, headers, .. } = &answer.head;
    let mut shown = vec![(start.clone(), Vec::new())];
    shown.extend(
        headers
            .iter()
            .filter(|(n, _)| !n.eq_ignore_ascii_case("date"))
            .cloned(),
    );
    (shown, answer.text())
}

#[test]
fn to_anybody_else_it_is_as_if_it_were_not_there() {
    let gate = Gate::new();
    let backend = later::held_echo(&gate);
    let declared: Declarations = iris(&backend)
        .with(key(OTHER, "demo"))
        .with(key("wk_narrow_0123456789abcdefghijklmnopqrst", "demo/iris"));
    let gateway = Gateway::start(declared);
    let caller = gateway.caller();
    let done = caller.accepted(b"done");
    backend.wait_count(1);
    gate.step();
    caller.ends(&done, "completed");
    let running = caller.accepted(b"running");
    backend.wait_count(2);
    let swapped: String = done
        .chars()
        .map(|c| match c {
            'a'..='z' => c.to_ascii_uppercase(),
            _ => c.to_ascii_lowercase(),
        })
        .collect();
    let near = format!(
        "{}{}",
        &done[..done.len() - 1],
        if done.ends_with('0') { '1' } else { '0' }
    );
    let strangers = [OTHER, "wk_narrow_0123456789abcdefghijklmnopqrst"];
    for key in strangers {
        let stranger = gateway.caller_with(key);
        for (method, tail) in [
            ("GET", ""),
            ("GET", "?wait=5"),
            ("HEAD", ""),
            ("GET", "/result"),
            ("HEAD", "/result"),
            ("POST", "/cancel"),
            ("DELETE", ""),
        ] {
            let ask = |id: &str| {
                let line = format!("{method} /async/{id}{tail}");
                let answer = stranger.send(&line, &[("x-request-id", "same")], b"");
                assert_eq!(answer.status, 404, "{line}");
                if method != "HEAD" {
                    assert_eq!(problem(&[404], &answer), "async_unknown", "{line}");
                }
                but_the_date(&answer)
            };
            let unknown = ask("0123456789abcdefghijABCDEFGHIJ01234");
            for id in [
                done.as_str(),
                &running,
                &swapped,
                &near,
                "x",
                "0",
                &done[..20],
                &"a".repeat(300),
                &"-".repeat(33),
            ] {
                assert_eq!(ask(id), unknown, "{method} {id}{tail}");
            }
        }
        assert_eq!(stranger.list("").len(), 0);
    }
    // And nothing of this touched it.
    assert_eq!(caller.show(&running)["status"], "running");
    gate.open();
    caller.ends(&running, "completed");
    assert_eq!(caller.result(&done).text(), "done");
}
