//! Monitoring's questions and their limits, and what is under way as they are asked.

use serde_json::{Value, json};

use crate::{
    ops_monitoring::{adds_up, moody, points, series, sum},
    support::{
        Backend, Gate, Gateway, PATIENCE,
        admin::{at, text},
        eventually, problem, version, want,
    },
};

#[test]
fn from_to_and_step_are_as_they_say() {
    let backend = Backend::says("x");
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let made = api.create("demo/iris", &version(&backend.url()));
    let headers = [("x-api-key", made.secret.as_str())];
    gateway.call("POST /predict/demo/iris", &headers, b"");
    adds_up(&api, "demo/iris", "requests", 1);
    let path = |query: &str| format!("{}/monitoring{query}", at("demo/iris"));
    let whole = api.show(&path(""));
    assert_eq!(
        (&whole["project"], &whole["deployment"]),
        (&json!("demo"), &json!("iris"))
    );
    assert_eq!(whole["step_s"], 10, "an hour in 360 points");
    let time = |value: &Value| -> jiff::Timestamp { text(value).parse().expect("RFC 3339") };
    let span = |answer: &Value| time(&answer["to"]).as_second() - time(&answer["from"]).as_second();
    assert!((3_590..=3_620).contains(&span(&whole)), "{whole}");
    let now = jiff::Timestamp::now();
    let earlier = now.as_second() - 900;
    let stamp = jiff::Timestamp::from_second(earlier).unwrap();
    let stamp = stamp.to_string();
    for from in [
        "-15m".to_owned(),
        earlier.to_string(),
        stamp,
        "-900s".to_owned(),
    ] {
        let answer = api.show(&path(&format!("?from={from}&step=1m")));
        assert_eq!(answer["step_s"], 60, "{from}");
        assert!((840..=980).contains(&span(&answer)), "{from}: {answer}");
        let all = points(&answer, "main");
        let counts = all
            .iter()
            .map(|p| p["requests"].as_u64().unwrap())
            .sum::<u64>();
        assert_eq!(counts, 1, "{from}: {answer}");
        for point in &all {
            assert_eq!(time(&point["at"]).as_second() % 60, 0, "{point}");
            assert!(point["seconds"].as_u64() <= Some(60), "{point}");
        }
    }
    for (step, seconds) in [
        ("10s", 10),
        ("30s", 30),
        ("1m", 60),
        ("10m", 600),
        ("120", 120),
    ] {
        assert_eq!(
            api.show(&path(&format!("?step={step}")))["step_s"],
            seconds,
            "{step}"
        );
    }
    let before = api.show(&path("?from=-2h&to=-1h"));
    assert!(points(&before, "main").is_empty(), "nothing was: {before}");
    let days = api.show(&path("?from=-72h"));
    let count = span(&days) / days["step_s"].as_i64().unwrap();
    assert!((200..=1_000).contains(&count), "{days}");
    for bad in [
        "?step=7s",
        "?step=0",
        "?step=-10s",
        "?step=x",
        "?from=x",
        "?from=-1h&to=-2h",
        "?to=yesterday",
        "?from=-1x",
    ] {
        problem(&[400, 422], &api.get(&path(bad)));
    }
    let many = api.get(&path("?from=-72h&step=10s"));
    problem(&[400], &many);
    let words = text(&many.json()["detail"]);
    let named = words
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| {
            let number = word.trim_end_matches('s').parse::<i64>();
            word == "1m" || number.is_ok_and(|n| n % 10 == 0 && n > 10 && 259_200 / n <= 11_000)
        });
    assert!(named, "the step that would do: {words}");
    problem(
        &[404],
        &api.get(&format!("{}/monitoring", at("demo/nothing"))),
    );
    problem(&[401], &api.nobody().get(&path("")));
    let (_, viewer) = api.token(&json!({"name": "v", "role": "viewer"}));
    want(200, &api.with_token(&viewer).get(&path("")));
    api.project("other");
    let (_, other) = api.token(&json!({"name": "o", "role": "member", "projects": ["other"]}));
    problem(&[403, 404], &api.with_token(&other).get(&path("")));
    let seen = api.with_token(&other).show("/monitoring");
    assert_eq!(seen["items"], json!([]), "only what the caller sees");
}

#[test]
fn what_is_open_now_and_the_challenger_beside() {
    let gate = Gate::new();
    let backend = moody(&gate);
    let shadow = Backend::says("shadow");
    let gateway = Gateway::bare().start();
    let api = gateway.api();
    let mut spec = version(&backend.url());
    spec["challenger"] = json!({"backends": [{"url": shadow.url()}], "sample": 1.0});
    let made = api.create("demo/iris", &spec);
    let headers = [("x-api-key", made.secret.as_str())];
    for _ in 0..6 {
        gateway.call("POST /predict/demo/iris", &headers, b"{}");
    }
    adds_up(&api, "demo/iris", "requests", 6);
    let copies = |member: &str| {
        let both = ["main", "challenger"].map(|role| sum(&api, "demo/iris", role, member));
        both.iter().sum::<u64>()
    };
    eventually(PATIENCE, "six copies", || copies("mirror_copies") == 6);
    assert_eq!(copies("mirror_dropped"), 0);
    eventually(PATIENCE, "the challenger's own", || {
        sum(&api, "demo/iris", "challenger", "requests") == 6
    });
    let mut streams: Vec<_> = (0..3).map(|_| gateway.connect()).collect();
    for stream in &mut streams {
        stream
            .request("POST /stream/demo/iris", &headers, b"{}")
            .head();
    }
    let newest = |member: &str| {
        let all = points(&series(&api, "demo/iris", "10s"), "main");
        all.last()
            .map_or(0, |point| point[member].as_u64().unwrap())
    };
    eventually(PATIENCE, "three streams", || newest("streams_open") == 3);
    assert_eq!(newest("in_flight"), 3);
    let item = || {
        let all = api.show("/monitoring");
        let items = all["items"].as_array().expect("items").clone();
        items
            .into_iter()
            .find(|item| item["deployment"] == "iris")
            .expect("iris")
    };
    eventually(PATIENCE, "the summary too", || {
        item()["last"]["streams_open"] == 3
    });
    let shown = item();
    assert_eq!(
        (&shown["state"], &shown["live_version"]),
        (&json!("live"), &json!(1))
    );
    assert!(
        shown["last"]["requests"].is_u64() && shown["last"]["errors"].is_u64(),
        "{shown}"
    );
    gate.open();
    drop(streams);
    eventually(PATIENCE * 2, "none is open", || {
        item()["last"]["in_flight"] == 0
    });
}
