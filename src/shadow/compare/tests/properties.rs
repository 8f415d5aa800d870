//! What holds for all answers.

use proptest::{prelude::*, sample::select};
use serde_json::{Value, json as value};

use super::{
    super::{any_pair_holds, edits::plain_distance},
    *,
};

/// Small values of few kinds, so that two of them have much in common.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..4_i64).prop_map(Value::from),
        (-8..8_i32).prop_map(|number| Value::from(f64::from(number) / 4.0)),
        "[ab]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[abc]", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_tensor() -> impl Strategy<Value = Value> {
    let output = |name: &'static str| {
        prop::collection::vec(-8..8_i32, 2).prop_map(move |data| {
            let data: Vec<_> = data.iter().map(|&number| f64::from(number) / 4.0).collect();
            value!({"name": name, "shape": [2], "datatype": "FP32", "data": data})
        })
    };
    let outputs = (output("x"), output("y")).prop_map(|(x, y)| [x, y]);
    outputs
        .prop_shuffle()
        .prop_map(|outputs| value!({ "outputs": outputs }))
}

fn tolerance() -> impl Strategy<Value = Option<f64>> {
    select(vec![None, Some(0.0), Some(0.25), Some(0.5), Some(1.0)])
}

fn any_spec() -> impl Strategy<Value = CompareSpec> {
    let places = || {
        let places = prop::sample::subsequence(vec!["", "/a", "/*", "/*/b", "/0", "/a/*/c"], 0..3);
        places.prop_map(|texts| pointers(&texts))
    };
    (tolerance(), tolerance(), places(), places()).prop_map(|(abs, rel, ignore, unordered)| {
        CompareSpec {
            kind: CompareKind::Json,
            tolerance_abs: abs,
            tolerance_rel: rel,
            ignore,
            unordered,
            pointer: None,
        }
    })
}

fn found(spec: &CompareSpec, main: &Value, challenger: &Value) -> Found {
    let [main, challenger] = [main, challenger].map(Value::to_string);
    looked(spec, &json(&main), &json(&challenger))
}

/// As a hand would do it, with nothing but `tolerance_abs` and `tolerance_rel`.
fn plain_agrees(spec: &CompareSpec, a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| plain_agrees(spec, a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let same = |name: &String| match (a.get(name), b.get(name)) {
                (Some(a), Some(b)) => plain_agrees(spec, a, b),
                _ => false,
            };
            a.keys().chain(b.keys()).all(same)
        }
        (Value::Number(a), Value::Number(b)) => {
            let is_float = a.is_f64() || b.is_f64();
            let default = |default: f64| if is_float { default } else { 0.0 };
            let (a, b) = (a.as_f64().expect("a float"), b.as_f64().expect("a float"));
            let abs = spec.tolerance_abs.unwrap_or(default(1e-9));
            let rel = spec.tolerance_rel.unwrap_or(default(1e-6));
            (a - b).abs() <= abs || (a - b).abs() <= rel * a.abs().max(b.abs())
        }
        _ => a == b,
    }
}

/// The same with the order of all members turned.
fn turned(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(turned).collect(),
        Value::Object(members) => {
            let members = members.iter().rev();
            Value::Object(
                members
                    .map(|(name, value)| (name.clone(), turned(value)))
                    .collect(),
            )
        }
        value => value.clone(),
    }
}

/// The least number of items that have no partner, by trying all ways.
fn plain_alone(tolerance: f64, a: &[f64], b: &[f64]) -> usize {
    let Some((first, rest)) = a.split_first() else {
        return b.len();
    };
    let without = plain_alone(tolerance, rest, b).max(1 + rest.len().saturating_sub(b.len()));
    let with = (0..b.len())
        .filter(|&at| (first - b[at]).abs() <= tolerance)
        .map(|at| {
            let mut others = b.to_vec();
            others.remove(at);
            plain_alone(tolerance, rest, &others)
        });
    with.min().map_or(without, |with| with.min(without))
}

proptest! {
    #[test]
    fn json_agrees_with_itself_and_both_ways(
        spec in any_spec(),
        a in any_value(),
        b in any_value(),
    ) {
        let same = found(&spec, &a, &turned(&a));
        prop_assert!(same.agrees && same.distance == 0.0, "{:?}", same);
        let (there, back) = (found(&spec, &a, &b), found(&spec, &b, &a));
        // Items in any order may find other partners, and so other largest differences.
        let differences = |found: &Found| match found.detail {
            Detail::Json { differences, .. } => Some(differences),
            _ => None,
        };
        prop_assert_eq!(differences(&there), differences(&back));
        prop_assert_eq!(there.agrees, back.agrees);
        if spec.unordered.is_empty() {
            prop_assert_eq!(there, back);
        }
    }

    #[test]
    fn json_as_by_hand(abs in tolerance(), rel in tolerance(), a in any_value(), b in any_value()) {
        let spec = CompareSpec {
            tolerance_abs: abs,
            tolerance_rel: rel,
            ..of_kind(CompareKind::Json)
        };
        let wrapped = [value!([a, 1]), value!([b, 1])];
        let found = found(&spec, &wrapped[0], &wrapped[1]);
        prop_assert_eq!(found.agrees, plain_agrees(&spec, &a, &b));
        prop_assert_eq!(found.agrees, found.distance < 1.0 + f64::EPSILON && matches!(
            found.detail, Detail::Json { differences: 0, .. }
        ));
    }

    #[test]
    fn more_tolerance_agrees_with_more(
        spec in any_spec(),
        a in any_value(),
        b in any_value(),
        tensors in (any_tensor(), any_tensor()),
        more in 0.0..2.0_f64,
    ) {
        let wider = CompareSpec {
            tolerance_abs: Some(spec.tolerance_abs.unwrap_or(1e-9) + more),
            tolerance_rel: Some(spec.tolerance_rel.unwrap_or(1e-6) + more),
            ..spec.clone()
        };
        if found(&spec, &a, &b).agrees {
            prop_assert!(found(&wider, &a, &b).agrees);
        }
        let kind = |spec: &CompareSpec, kind| CompareSpec { kind, ..spec.clone() };
        for of_kind in [CompareKind::Tensor, CompareKind::Text] {
            let agrees = |spec| found(&kind(spec, of_kind), &tensors.0, &tensors.1).agrees;
            if of_kind == CompareKind::Tensor || spec.tolerance_abs.is_some() {
                prop_assert!(!agrees(&spec) || agrees(&wider));
            }
        }
        if let (Value::Number(_), Value::Number(_)) = (&a, &b) {
            let agrees = |spec| found(&kind(spec, CompareKind::Number), &a, &b).agrees;
            prop_assert!(!agrees(&spec) || agrees(&wider));
        }
    }

    #[test]
    fn what_is_ignored_is_not_seen(
        rest in any_value(),
        a in any_value(),
        b in any_value(),
        is_missing in any::<bool>(),
        by_star in any::<bool>(),
    ) {
        let place = if by_star { "/x/*/id" } else { "/x/0/id" };
        let spec = CompareSpec {
            ignore: pointers(&[place]),
            ..of_kind(CompareKind::Json)
        };
        let main = value!({"x": [{"id": a, "rest": rest}]});
        let other = if is_missing {
            value!({"x": [{"rest": rest}]})
        } else {
            value!({"x": [{"id": b, "rest": rest}]})
        };
        prop_assert!(found(&spec, &main, &other).agrees);
        // Beside it, all is seen.
        let beside = value!({"x": [{"id": a, "rest": {"new": rest}}]});
        prop_assert!(!found(&spec, &main, &beside).agrees);
    }

    #[test]
    fn any_order_of_items_is_the_same(
        (items, shuffled) in prop::collection::vec(any_value(), 0..8)
            .prop_flat_map(|items| (Just(items.clone()), Just(items).prop_shuffle())),
        abs in tolerance(),
        other in any_value(),
    ) {
        let spec = CompareSpec {
            unordered: pointers(&["/items"]),
            tolerance_abs: abs,
            ..of_kind(CompareKind::Json)
        };
        let main = value!({ "items": items });
        let same = found(&spec, &main, &value!({ "items": shuffled }));
        prop_assert!(same.agrees, "{:?}", same);
        // One more, on either side; and the order does not matter where they differ.
        let mut more = shuffled.clone();
        more.push(other);
        let more = value!({ "items": more });
        prop_assert!(!found(&spec, &main, &more).agrees);
        let mut back: Vec<_> = items.clone();
        back.reverse();
        let back = value!({ "items": back });
        prop_assert_eq!(found(&spec, &main, &more), found(&spec, &back, &more));
    }

    #[test]
    fn numbers_in_any_order_find_their_partners(
        a in prop::collection::vec(-6..6_i32, 0..6),
        b in prop::collection::vec(-6..6_i32, 0..6),
    ) {
        let numbers = |numbers: &[i32]| -> Vec<f64> {
            numbers.iter().map(|&number| f64::from(number) / 2.0).collect()
        };
        let (a, b) = (numbers(&a), numbers(&b));
        let spec = CompareSpec {
            unordered: pointers(&[""]),
            tolerance_abs: Some(0.5),
            tolerance_rel: Some(0.0),
            ..of_kind(CompareKind::Json)
        };
        let found = found(&spec, &value!(a), &value!(b));
        let alone = plain_alone(0.5, &a, &b);
        prop_assert_eq!(found.agrees, alone == 0);
        let Detail::Json { differences, .. } = found.detail else {
            panic!("JSON");
        };
        prop_assert!(differences as usize >= alone);
    }

    #[test]
    fn tensors_do_not_care_for_order(a in any_tensor(), b in any_tensor()) {
        let spec = of_kind(CompareKind::Tensor);
        prop_assert!(found(&spec, &a, &a).agrees);
        prop_assert_eq!(found(&spec, &a, &b), found(&spec, &b, &a));
        let data = |tensor: &Value, name: &str| {
            let outputs = tensor["outputs"].as_array().cloned().unwrap_or_default();
            let output = outputs.into_iter().find(|output| output["name"] == name);
            output.map(|output| output["data"].clone())
        };
        let same = ["x", "y"].iter().all(|name| data(&a, name) == data(&b, name));
        prop_assert_eq!(found(&spec, &a, &b).agrees, same);
    }

    #[test]
    fn texts_are_as_similar_as_by_the_book(
        a in "[ab é字]{0,40}",
        b in "[ab é字]{0,40}",
    ) {
        let spec = of_kind(CompareKind::Text);
        let answers = [&a, &b].map(|text| answer("text/plain", text.as_bytes()));
        let there = looked(&spec, &answers[0], &answers[1]);
        let back = looked(&spec, &answers[1], &answers[0]);
        prop_assert_eq!(there.distance, back.distance);
        let chars = |text: &str| -> Vec<u32> {
            let words: Vec<_> = text.split_whitespace().collect();
            words.join(" ").chars().map(u32::from).collect()
        };
        let (a, b) = (chars(&a), chars(&b));
        let wanted = plain_distance(&a, &b) as f64 / a.len().max(b.len()).max(1) as f64;
        prop_assert_eq!(there.distance, wanted);
        prop_assert_eq!(there.agrees, wanted <= 0.1);
        let detail = Detail::Text {
            similarity: 1.0 - wanted,
            main_chars: a.len() as u64,
            challenger_chars: b.len() as u64,
        };
        prop_assert_eq!(there.detail, detail);
    }

    #[test]
    fn labels_and_numbers_both_ways(a in any_value(), b in any_value()) {
        for kind in [CompareKind::Label, CompareKind::Number] {
            let spec = of_kind(kind);
            let [main, other] = [&a, &b].map(Value::to_string);
            let there = compare(&spec, &json(&main), &json(&other));
            let back = compare(&spec, &json(&other), &json(&main));
            if let (Compared::Looked(there), Compared::Looked(back)) = (there, back) {
                prop_assert_eq!(there.agrees, back.agrees);
                prop_assert_eq!(there.distance, back.distance);
            }
        }
    }

    #[test]
    fn exact_is_equality(a in "[ab]{0,6}", b in "[ab]{0,6}") {
        let spec = of_kind(CompareKind::Exact);
        let there = looked(&spec, &json(&a), &json(&b));
        prop_assert_eq!(&there, &looked(&spec, &json(&b), &json(&a)));
        prop_assert_eq!(there.agrees, a == b);
        prop_assert!((0.0..=1.0).contains(&there.distance));
        if let Detail::Exact { first: Some(first) } = there.detail {
            let first = first as usize;
            prop_assert_eq!(&a[..first], &b[..first]);
            prop_assert_ne!(a.as_bytes().get(first), b.as_bytes().get(first));
        }
    }

    #[test]
    fn any_pair(
        settings in prop::collection::vec(any::<u8>(), 5),
        noise in prop::collection::vec(any::<u8>(), 0..60),
        a in any_value(),
        b in prop_oneof![any_value(), any_tensor()],
        packing in select(vec![0_u8, 0x11]),
    ) {
        any_pair_holds(&noise);
        any_pair_holds(&[&settings[..], &noise].concat());
        // Settings under which bodies can be read.
        let mut settings = settings;
        settings[2] = packing & 0x88;
        for (main, other) in [(&a, &b), (&b, &b)] {
            let bodies = [main.to_string().into_bytes(), other.to_string().into_bytes()];
            any_pair_holds(&[&settings[..], &bodies.join(&0xFF)].concat());
        }
    }
}
