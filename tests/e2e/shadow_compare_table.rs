//! What each comparator is asked in [`shadow_compare`](crate::shadow_compare), and has to find.

use serde_json::{Value, json};

/// One way of comparing, and what it makes of answers.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// As in TOML.
    pub(crate) compare: &'static str,
    pub(crate) rows: Vec<Row>,
}

/// What main and the challenger say, what comes of it, and where in the pair what is said of it.
pub(crate) type Row = (Value, Value, &'static str, Vec<(&'static str, Value)>);

fn text(text: &str) -> Value {
    json!({"text": text})
}

fn of(kind: &str, words: &str) -> Value {
    json!({"text": words, "type": kind})
}

fn events(words: &[&str]) -> Value {
    let piece = |word: &&str| format!("data: {word}\n\n");
    json!({"stream": words.iter().map(piece).collect::<Vec<_>>()})
}

/// An answer of the Open Inference Protocol.
fn tensors(outputs: Value) -> Value {
    text(&Value::from_iter([("model_name", json!("m")), ("outputs", outputs)]).to_string())
}

fn fp32(data: &[f64]) -> Value {
    json!([{"name": "y", "datatype": "FP32", "shape": [data.len()], "data": data}])
}

pub(crate) fn tables() -> Vec<Table> {
    let (agree, disagree) = ("agree", "disagree");
    vec![
        Table {
            name: "exact",
            compare: "{ kind = \"exact\" }",
            rows: vec![
                (
                    text("{\"a\":1}"),
                    text("{\"a\":1}"),
                    agree,
                    vec![("/kind", json!("exact"))],
                ),
                (
                    text("{\"a\":1}"),
                    text("{\"a\": 1}"),
                    disagree,
                    vec![("/detail/first", json!(5)), ("/kind", json!("exact"))],
                ),
                (
                    of("image/png", "abc"),
                    of("image/png", "abd"),
                    disagree,
                    vec![("/detail/first", json!(2))],
                ),
                (
                    text("abc"),
                    text("abcd"),
                    disagree,
                    vec![("/detail/first", json!(3))],
                ),
            ],
        },
        Table {
            name: "json-plain",
            compare: "{ kind = \"json\" }",
            rows: vec![
                (
                    text("{\"a\":1,\"b\":[2]}"),
                    text("{ \"b\": [2], \"a\": 1 }"),
                    agree,
                    vec![],
                ),
                (
                    text("{\"a\":1,\"b\":[2]}"),
                    text("{\"a\":2,\"b\":[3]}"),
                    disagree,
                    vec![
                        ("/detail/differences", json!(2)),
                        ("/detail/places", json!(["/a", "/b/0"])),
                    ],
                ),
                (text("{\"a\":1}"), text("{\"a\":\"1\"}"), disagree, vec![]),
                (text("{\"a\":null}"), text("{}"), disagree, vec![]),
                (text("[1,2]"), text("[2,1]"), disagree, vec![]),
                (
                    text("{\"a\":1}"),
                    text("nonsense"),
                    disagree,
                    vec![("/detail/what", json!("unreadable"))],
                ),
                // Whatever its header says.
                (
                    of("text/html", "{\"a\":1}"),
                    text("{\"a\":1}"),
                    agree,
                    vec![],
                ),
            ],
        },
        Table {
            name: "json-tolerant",
            compare: "{ kind = \"json\", tolerance_abs = 0.1, tolerance_rel = 0.01, \
                      ignore = [\"/id\", \"/rows/*/at\"], unordered = [\"/tags\"] }",
            rows: vec![
                (text("{\"p\":0.5}"), text("{\"p\":0.59}"), agree, vec![]),
                (
                    text("{\"p\":0.5}"),
                    text("{\"p\":0.65}"),
                    disagree,
                    vec![("/detail/places", json!(["/p"]))],
                ),
                (text("{\"p\":1000}"), text("{\"p\":1009}"), agree, vec![]),
                (text("{\"p\":1000}"), text("{\"p\":1020}"), disagree, vec![]),
                (
                    text("{\"id\":1,\"p\":1}"),
                    text("{\"id\":\"x\",\"p\":1}"),
                    agree,
                    vec![],
                ),
                (text("{\"id\":1}"), text("{}"), agree, vec![]),
                (
                    text("{\"rows\":[{\"at\":1,\"v\":1},{\"at\":2,\"v\":2}]}"),
                    text("{\"rows\":[{\"at\":9,\"v\":1},{\"at\":8,\"v\":2}]}"),
                    agree,
                    vec![],
                ),
                (
                    text("{\"tags\":[1,2,3]}"),
                    text("{\"tags\":[3,1,2]}"),
                    agree,
                    vec![],
                ),
                (
                    text("{\"tags\":[1,2,3]}"),
                    text("{\"tags\":[3,1,7]}"),
                    disagree,
                    vec![],
                ),
                (
                    text("{\"list\":[1,2]}"),
                    text("{\"list\":[2,1]}"),
                    disagree,
                    vec![],
                ),
            ],
        },
        Table {
            name: "label",
            compare: "{ kind = \"label\", pointer = \"/out/0/label\" }",
            rows: vec![
                (
                    text("{\"out\":[{\"label\":\"cat\",\"p\":0.9}]}"),
                    text("{\"out\":[{\"label\":\"cat\",\"p\":0.1}]}"),
                    agree,
                    vec![
                        ("/detail/main", json!("cat")),
                        ("/detail/challenger", json!("cat")),
                    ],
                ),
                (
                    text("{\"out\":[{\"label\":\"cat\"}]}"),
                    text("{\"out\":[{\"label\":\"dog\"}]}"),
                    disagree,
                    vec![
                        ("/detail/main", json!("cat")),
                        ("/detail/challenger", json!("dog")),
                    ],
                ),
                (
                    text("{\"out\":[]}"),
                    text("{\"out\":[{\"label\":\"dog\"}]}"),
                    "uncompared",
                    vec![("/reason", json!("unreadable"))],
                ),
                (
                    text("{\"out\":[{\"label\":\"cat\"}]}"),
                    text("{}"),
                    disagree,
                    vec![("/detail/what", json!("unreadable"))],
                ),
            ],
        },
        Table {
            name: "number",
            compare: "{ kind = \"number\", pointer = \"/price\", tolerance_abs = 1 }",
            rows: vec![
                (
                    text("{\"price\":10}"),
                    text("{\"price\":10.5}"),
                    agree,
                    vec![
                        ("/detail/main", json!(10.0)),
                        ("/detail/challenger", json!(10.5)),
                    ],
                ),
                (
                    text("{\"price\":10}"),
                    text("{\"price\":14}"),
                    disagree,
                    vec![],
                ),
                (
                    text("{\"price\":10}"),
                    text("{\"price\":8}"),
                    disagree,
                    vec![],
                ),
                (
                    text("{\"price\":10}"),
                    text("{\"price\":\"ten\"}"),
                    disagree,
                    vec![],
                ),
                (
                    text("{\"price\":null}"),
                    text("{\"price\":1}"),
                    "uncompared",
                    vec![],
                ),
            ],
        },
        Table {
            name: "tensor",
            compare: "{ kind = \"tensor\", tolerance_abs = 0.01 }",
            rows: vec![
                (
                    tensors(fp32(&[1.0, 2.0, 3.0])),
                    tensors(fp32(&[1.0, 2.0, 3.005])),
                    agree,
                    vec![
                        ("/detail/elements", json!(3)),
                        ("/detail/mismatch", Value::Null),
                    ],
                ),
                (
                    tensors(fp32(&[1.0, 2.0])),
                    tensors(fp32(&[1.5, 2.0])),
                    disagree,
                    vec![
                        ("/detail/max_abs", json!(0.5)),
                        ("/detail/mean_abs", json!(0.25)),
                    ],
                ),
                (
                    tensors(fp32(&[1.0, 2.0])),
                    tensors(fp32(&[1.0])),
                    disagree,
                    vec![],
                ),
                (
                    tensors(fp32(&[1.0])),
                    tensors(json!([{"name": "y", "datatype": "INT64", "shape": [1], "data": [1]}])),
                    disagree,
                    vec![],
                ),
                (
                    text("{\"a\":1}"),
                    tensors(fp32(&[1.0])),
                    "uncompared",
                    vec![("/reason", json!("unreadable"))],
                ),
            ],
        },
        Table {
            name: "text",
            compare: "{ kind = \"text\", tolerance_abs = 0.2 }",
            rows: vec![
                (
                    of("text/plain", "The river runs on."),
                    of("text/plain", "The  river runs\non."),
                    agree,
                    vec![("/kind", json!("text"))],
                ),
                (
                    of("text/plain", "the river runs on"),
                    of("text/plain", "the river ran on"),
                    agree,
                    vec![],
                ),
                (
                    of("text/plain", "the river runs on"),
                    of("text/plain", "no"),
                    disagree,
                    vec![],
                ),
                // Of streams the joined text, however it was cut into pieces.
                (
                    events(&["{\"token\":\"the \"}", "{\"token\":\"river\"}", "[DONE]"]),
                    events(&["{\"token\":\"the river\"}", "[DONE]"]),
                    agree,
                    vec![
                        ("/detail/similarity", json!(1.0)),
                        ("/detail/main_chars", json!(9)),
                    ],
                ),
                (
                    events(&["{\"choices\":[{\"delta\":{\"content\":\"abc\"}}]}"]),
                    events(&["{\"choices\":[{\"delta\":{\"content\":\"xyz\"}}]}"]),
                    disagree,
                    vec![("/detail/similarity", json!(0.0))],
                ),
            ],
        },
        Table {
            name: "auto",
            compare: "{}",
            rows: vec![
                (
                    text("{\"a\":1}"),
                    text("{ \"a\": 1 }"),
                    agree,
                    vec![("/kind", json!("json"))],
                ),
                (
                    of("application/problem+json", "{\"a\":1}"),
                    text("{\"a\":2}"),
                    disagree,
                    vec![("/kind", json!("json"))],
                ),
                (
                    of("text/plain; charset=utf-8", "a"),
                    of("text/plain", " a "),
                    agree,
                    vec![("/kind", json!("text"))],
                ),
                (
                    events(&["a"]),
                    events(&["a"]),
                    agree,
                    vec![("/kind", json!("text"))],
                ),
                (
                    of("application/octet-stream", "{\"a\":1}"),
                    of("application/octet-stream", "{\"a\": 1}"),
                    disagree,
                    vec![("/kind", json!("exact"))],
                ),
                (
                    tensors(fp32(&[1.0])),
                    tensors(fp32(&[1.0])),
                    agree,
                    vec![("/kind", json!("tensor"))],
                ),
                (
                    of("", "{\"a\":1}"),
                    of("", "{ \"a\": 1 }"),
                    agree,
                    vec![("/kind", json!("json"))],
                ),
                (
                    of("", "\u{1}"),
                    of("", "\u{2}"),
                    disagree,
                    vec![("/kind", json!("exact"))],
                ),
            ],
        },
    ]
}
