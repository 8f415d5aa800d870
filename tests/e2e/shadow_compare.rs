//! Each comparator through the wire: what is declared, what is answered, what is found.

use serde_json::{Value, json};

use crate::shadow_compare_table::{Table, tables};
use crate::support::{
    AUTH, Declarations, Gateway, KEY, PATIENCE,
    admin::items,
    at, deployment,
    duel::{both, puppets},
    holds_within, key,
};

/// Pairs of a deployment, the oldest first, once there are so many.
#[track_caller]
fn pairs(gateway: &Gateway, name: &str, count: usize) -> Vec<Value> {
    let path = format!("{}/comparison/pairs?order=oldest", at(name));
    let mut page = Value::Null;
    let came = holds_within(PATIENCE, || {
        page = gateway.api().show(&path);
        items(&page).len() >= count
    });
    assert!(came, "{name}: {page}");
    items(&page).clone()
}

#[test]
fn each_finds_what_it_is_for() {
    let (main, challenger) = puppets();
    let tables = tables();
    let mut declared = Declarations::new().with(key(KEY, "demo"));
    for Table { name, compare, .. } in &tables {
        let own = deployment(&format!("demo/{name}")).backend(&main);
        let lines = format!("compare = {compare}");
        declared = declared.with(own.challenger(&challenger.url(), &lines));
    }
    let gateway = Gateway::start(declared);
    for Table { name, rows, .. } in &tables {
        let mut client = gateway.connect();
        for (at, (main, challenger, ..)) in rows.iter().enumerate() {
            let url = if main["stream"].is_array() {
                "stream"
            } else {
                "predict"
            };
            let body = both(main.clone(), challenger.clone());
            let id = at.to_string();
            let headers = [AUTH, ("x-request-id", id.as_str())];
            let answer = client.call(
                &format!("POST /{url}/demo/{name}"),
                &headers,
                body.as_bytes(),
            );
            assert_eq!(answer.status, 200);
        }
    }
    let mut wrong = Vec::new();
    for Table { name, rows, .. } in &tables {
        let seen = pairs(&gateway, &format!("demo/{name}"), rows.len());
        assert_eq!(seen.len(), rows.len(), "{name}: {seen:#?}");
        for (at, (main, challenger, result, found)) in rows.iter().enumerate() {
            let of = |pair: &&Value| pair["request_id"] == at.to_string().as_str();
            let pair = seen.iter().find(of).expect("the pair of this row");
            let mut expected = vec![("/result", json!(result))];
            expected.extend(found.iter().cloned());
            for (pointer, value) in expected {
                let shown = pair.pointer(pointer).unwrap_or(&Value::Null);
                if *shown != value {
                    wrong.push(format!(
                        "{name}, row {at}, {main} and {challenger}: {pointer} is {shown}, not {value}: {pair}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    what_was_found(&gateway);
}

/// What the comparators say of all pairs together.
fn what_was_found(gateway: &Gateway) {
    let kinds = |name: &str| -> Value {
        let shown = gateway.api().show(&format!("{}/comparison", at(name)));
        shown["kinds"].clone()
    };
    let label = kinds("demo/label");
    let cells = label["label"]["confusion"]
        .as_array()
        .expect("cells")
        .clone();
    for (challenger, count) in [("cat", 1), ("dog", 1)] {
        let cell = json!({"main": "cat", "challenger": challenger, "count": count});
        assert!(cells.contains(&cell), "{label}");
    }
    assert_eq!(label["label"]["pairs"], 2, "{label}");
    let number = &kinds("demo/number")["number"];
    let figure = |member: &str| number[member].as_f64().expect(member);
    // The challenger's less main's: 0.5, 4 and -2.
    assert_eq!(number["pairs"], 3, "{number}");
    assert!((figure("mean") - 2.5 / 3.0).abs() < 1e-9, "{number}");
    assert!((figure("mean_abs") - 6.5 / 3.0).abs() < 1e-9, "{number}");
    assert!((figure("max_abs") - 4.0).abs() < 1e-9, "{number}");
    assert!((figure("p50_abs") - 2.0).abs() <= 0.2, "{number}");
    let bars = number["histogram"].as_array().expect("bars");
    let counts: u64 = bars.iter().filter_map(|bar| bar["count"].as_u64()).sum();
    assert_eq!(counts, 3, "{number}");
    let tensor = &kinds("demo/tensor")["tensor"];
    assert!(
        (tensor["max_abs"].as_f64().expect("max") - 0.5).abs() < 1e-6,
        "{tensor}"
    );
    let text = &kinds("demo/text")["text"];
    assert_eq!(text["pairs"], 5, "{text}");
    let mean = text["mean_similarity"].as_f64().expect("a mean");
    assert!((0.4..0.9).contains(&mean), "{text}");
    let json = &kinds("demo/json-plain")["json"];
    let places = json["places"].as_array().expect("places");
    let pointers: Vec<_> = places
        .iter()
        .filter_map(|place| place["pointer"].as_str())
        .collect();
    assert!(pointers.contains(&"/a"), "{json}");
}
