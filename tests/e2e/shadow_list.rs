//! Pairs are found again: by result, version and time, the worst first, page by page, and all of them
//! as a download.

use serde_json::{Value, json};

use crate::support::{
    Duel, PATIENCE, RawClient,
    admin::items,
    at,
    duel::{NAME, alike, both, challenged, puppets},
    eventually, problem, want,
};

fn pairs_path() -> String {
    format!("{}/comparison/pairs", at(NAME))
}

fn ids(pairs: &[Value]) -> Vec<u64> {
    pairs
        .iter()
        .map(|pair| pair["id"].as_u64().expect("an id"))
        .collect()
}

fn number(n: impl Into<f64>) -> Value {
    json!({"text": json!({"n": n.into()}).to_string()})
}

#[test]
fn filters_and_orders_find_what_they_say() {
    let sides = puppets();
    let compare = json!({"kind": "number", "pointer": "/n"});
    let spec = challenged(&sides.0.url(), &sides.1.url(), json!({"compare": compare}));
    let duel = Duel::start(&spec);
    // Ten that differ, by 1 to 10 in no order; five that agree; two uncompared; one error.
    for n in [3, 7, 1, 10, 5, 2, 9, 4, 8, 6] {
        duel.ask(&both(number(100), number(100 + n)));
    }
    duel.asks(5, &alike(number(1)));
    for _ in 0..2 {
        duel.ask(&both(json!({"status": 503}), number(1)));
    }
    duel.ask(&both(number(1), json!({"status": 500})));
    duel.saw(18);
    let all = duel.listed("", 18);
    // By when they were asked: numbers are given when both are over, by each worker for itself.
    let newest = ids(&all);
    let times: Vec<_> = all.iter().filter_map(|pair| pair["at"].as_str()).collect();
    assert!(
        times.is_sorted_by(|a, b| a >= b),
        "the newest first: {times:?}"
    );
    let oldest = ids(&duel.listed("order=oldest", 18));
    assert!(oldest.iter().rev().eq(&newest), "{oldest:?}");
    for (query, count) in [
        ("result=agree", 5),
        ("result=disagree", 11),
        ("result=uncompared", 2),
        ("result=error", 3),
        ("version=1", 18),
        ("version=iris_v1", 18),
        ("version=2", 0),
        ("from=-1h", 18),
        ("from=-1h&result=disagree&order=oldest", 11),
        ("to=2020-01-01T00:00:00Z", 0),
        ("from=2999-01-01T00:00:00Z", 0),
    ] {
        duel.listed(query, count);
    }
    let worst = duel.listed("order=worst", 11);
    let distances: Vec<_> = worst
        .iter()
        .filter_map(|p| p["distance"].as_f64())
        .collect();
    assert_eq!(distances.len(), 11);
    assert!(
        distances.windows(2).all(|two| two[0] >= two[1]),
        "{distances:?}"
    );
    assert_eq!(worst[0]["challenger"]["status"], 500, "{}", worst[0]);
    assert_eq!(worst[1]["detail"]["challenger"], 110.0, "{}", worst[1]);
    assert_eq!(worst[10]["detail"]["challenger"], 101.0, "{}", worst[10]);
    // Between two moments of the list, as it shows them itself.
    let middle = oldest[6];
    let at = all.iter().find(|pair| pair["id"] == middle).expect("it")["at"].clone();
    let from = duel
        .api
        .list(&format!("{}?from={}", pairs_path(), at.as_str().unwrap()));
    let to = duel
        .api
        .list(&format!("{}?to={}", pairs_path(), at.as_str().unwrap()));
    assert_eq!(from.len() + to.len(), 18, "from {at} on, and before");
    assert!(ids(&from).contains(&middle) && !ids(&to).contains(&middle));
    for (bad, statuses) in [
        ("result=maybe", [400, 422]),
        ("order=best", [400, 422]),
        ("limit=0", [400, 422]),
        ("limit=-1", [400, 422]),
        ("from=yesterday", [400, 422]),
        ("cursor=nonsense", [400, 422]),
        ("version=0", [404, 422]),
        ("format=xml", [400, 422]),
        ("what=1", [400, 422]),
    ] {
        problem(&statuses, &duel.api.get(&format!("{}?{bad}", pairs_path())));
    }
}

#[test]
fn pages_hold_together_while_pairs_arrive() {
    let sides = puppets();
    let duel = Duel::of(&sides, json!({}));
    let differ = both(number(1), number(2));
    duel.asks(30, &differ);
    let before = ids(&duel.listed("", 30));
    for order in ["newest", "oldest", "worst"] {
        let mut path = format!("{}?order={order}&limit=7", pairs_path());
        let mut seen = Vec::new();
        loop {
            let page = duel.api.show(&path);
            seen.extend(ids(items(&page)));
            let Some(next) = page["next"].as_str() else {
                break;
            };
            // More come between two pages.
            duel.asks(1, &differ);
            assert!(seen.len() < 500, "a list without an end");
            path = format!("{}?order={order}&limit=7&cursor={next}", pairs_path());
        }
        let mut once = seen.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(
            once.len(),
            seen.len(),
            "{order}: none comes twice: {seen:?}"
        );
        let missed: Vec<_> = before.iter().filter(|id| !seen.contains(id)).collect();
        assert!(missed.is_empty(), "{order} missed {missed:?}");
    }
}

#[test]
fn downloads_have_all_that_match() {
    let sides = puppets();
    let duel = Duel::of(&sides, json!({}));
    let differ = both(number(1), number(2));
    // More than are read at once.
    duel.asks(600, &differ);
    duel.asks(20, &alike(number(1)));
    duel.saw(620);
    duel.listed("limit=1000", 620);
    let ask = |accept: &str, query: &str| {
        let line = format!("GET /api/v1{}{query}", pairs_path());
        let answer = duel.api.send(&line, &[("accept", accept)], b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer
    };
    for answer in [
        ask("application/x-ndjson", "?result=disagree"),
        ask("*/*", "?result=disagree&format=ndjson"),
    ] {
        let kind = answer.get("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/x-ndjson"), "{kind}");
        let named = answer.get("content-disposition").unwrap_or_default();
        assert!(
            named.contains("attachment") && named.contains(".ndjson"),
            "{named}"
        );
        let text = answer.text();
        let pairs: Vec<Value> = text
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect();
        assert_eq!(pairs.len(), 600);
        assert!(pairs.iter().all(|pair| pair["result"] == "disagree"));
        let mut seen = ids(&pairs);
        seen.dedup();
        assert_eq!(seen.len(), 600);
        assert_eq!(pairs[0], {
            let page = duel
                .api
                .show(&format!("{}?result=disagree&limit=1", pairs_path()));
            items(&page)[0].clone()
        });
    }
    let csv = ask("text/csv", "").text();
    let lines: Vec<_> = csv.split("\r\n").filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 621, "a row of names and one for each");
    let names: Vec<_> = lines[0].split(',').collect();
    for name in [
        "id",
        "at",
        "result",
        "main_status",
        "challenger_latency_ms",
        "distance",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert_eq!(
        ask("*/*", "?format=csv&limit=5")
            .text()
            .trim_end()
            .lines()
            .count(),
        6
    );
    // Whoever asks for JSON gets a page of it.
    assert_eq!(
        items(&want(200, &ask("application/json", "?limit=3"))).len(),
        3
    );
}

/// What a client writes into a request must be no formula in somebody's spreadsheet, nor another row.
#[test]
fn a_download_is_no_program() {
    let sides = puppets();
    let duel = Duel::of(&sides, json!({}));
    let id = "-1:2_3";
    let headers = [("x-request-id", id)];
    duel.ask_at("POST /predict/demo/iris", &headers, &alike(json!({})));
    duel.listed("", 1);
    let answer = duel.api.get(&format!("{}?format=csv", pairs_path()));
    let text = answer.text();
    assert_eq!(text.trim_end().lines().count(), 2, "{text}");
    assert!(text.contains(",'-1:2_3,"), "{text}");
}

#[test]
fn a_client_that_leaves_a_download_costs_nothing() {
    let sides = puppets();
    let duel = Duel::of(&sides, json!({}));
    duel.asks(600, &both(number(1), number(2)));
    duel.listed("limit=1000", 600);
    for _ in 0..20 {
        let mut client = RawClient::connect(duel.gateway.admin_addr());
        let token = format!("Bearer {}", duel.api.token_presented().unwrap());
        let line = format!("GET /api/v1{}?format=ndjson", pairs_path());
        let host = duel.api.host();
        client.request(&line, &[("host", &host), ("authorization", &token)], b"");
        assert_eq!(client.head().status(), Ok(200));
        // It leaves without reading on.
        drop(client);
    }
    duel.asks(5, &alike(json!({})));
    eventually(PATIENCE, "pairs are still taken and shown", || {
        duel.shown()["pairs"] == 605
    });
    duel.listed("limit=1000", 605);
}
