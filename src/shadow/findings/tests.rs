use proptest::prelude::*;
use serde_json::json;

use super::{spread::BARS_MAX, *};
use crate::{base::chance::Chance, spec::CompareKind};

fn found(agrees: bool, detail: Detail) -> Found {
    Found {
        kind: CompareKind::Auto,
        agrees,
        distance: 0.0,
        detail,
    }
}

fn label(main: &str, challenger: &str) -> Found {
    let (main, challenger) = (main.to_owned(), challenger.to_owned());
    found(main == challenger, Detail::Label { main, challenger })
}

fn number(main: f64, challenger: f64) -> Found {
    found(main == challenger, Detail::Number { main, challenger })
}

fn tensor(max_abs: f64, mean_abs: f64, mismatch: Option<&str>) -> Found {
    let mismatch = mismatch.map(str::to_owned);
    let detail = Detail::Tensor {
        max_abs,
        mean_abs,
        elements: 4,
        mismatch,
    };
    found(max_abs == 0.0, detail)
}

fn text(similarity: f64) -> Found {
    let detail = Detail::Text {
        similarity,
        main_chars: 10,
        challenger_chars: 10,
    };
    found(similarity > 0.9, detail)
}

fn json(differences: u32, places: &[&str], max_abs: f64) -> Found {
    let places = places.iter().map(|&place| place.to_owned()).collect();
    let detail = Detail::Json {
        differences,
        places,
        max_abs,
        max_rel: max_abs / 10.0,
    };
    found(differences == 0, detail)
}

fn findings(all: impl IntoIterator<Item = Found>) -> Findings {
    let mut findings = Findings::default();
    all.into_iter().for_each(|found| findings.add(&found));
    findings
}

/// Written and read again.
fn again(findings: &Findings) -> Findings {
    let text = serde_json::to_string(findings).expect("JSON");
    serde_json::from_str(&text).expect("the same")
}

/// The exact quantile by the rank that [`Spread::quantile_abs`] names.
fn exact_quantile(sizes: &mut [f64], share: f64) -> f64 {
    sizes.sort_by(f64::total_cmp);
    let rank = (share * sizes.len() as f64).ceil() as usize;
    sizes[rank.clamp(1, sizes.len()) - 1]
}

#[test]
fn only_what_was_seen_is_there_and_written() {
    let none = Findings::default();
    assert_eq!(serde_json::to_string(&none).expect("JSON"), "{}");
    assert!(none.label().is_none() && none.number().is_none() && none.status().is_none());
    let some = findings([
        found(true, Detail::Status),
        found(false, Detail::Status),
        found(false, Detail::Unreadable),
        found(false, Detail::Exact { first: Some(7) }),
        found(true, Detail::Exact { first: None }),
    ]);
    let count = |pairs, differing| Count { pairs, differing };
    assert_eq!(some.status(), Some(&count(2, 1)));
    assert_eq!(some.exact(), Some(&count(2, 1)));
    assert_eq!(some.unreadable(), Some(1));
    let kept = serde_json::to_value(&some).expect("JSON");
    let names: Vec<&String> = kept.as_object().expect("object").keys().collect();
    assert_eq!(names, ["status", "unreadable", "exact"]);
}

#[test]
fn labels_fill_a_table_and_the_rest_is_counted() {
    let mut table = findings([
        label("cat", "cat"),
        label("cat", "dog"),
        label("cat", "dog"),
    ]);
    let confusion = table.label().expect("labels");
    assert_eq!(confusion.cells(), [("cat", "dog", 2), ("cat", "cat", 1)]);
    // 62 more labels have room.
    for i in 0..100 {
        table.add(&label(&format!("label {i}"), "cat"));
    }
    let confusion = table.label().expect("labels");
    assert_eq!((confusion.pairs(), confusion.more()), (103, 38));
    // Known labels go on being counted; of their pairs there is room for 1,024.
    for main in 0..62 {
        for challenger in 0..62 {
            table.add(&label(
                &format!("label {main}"),
                &format!("label {challenger}"),
            ));
        }
    }
    table.add(&label("cat", "dog"));
    let confusion = table.label().expect("labels");
    assert_eq!(confusion.cells().len(), 1_024);
    assert_eq!(confusion.cells()[0], ("cat", "dog", 3));
    assert_eq!(confusion.pairs(), 103 + 62 * 62 + 1);
    assert_eq!(again(&table), table);
}

#[test]
fn long_labels_are_cut_and_still_differ() {
    let long = "ü".repeat(500);
    let table = findings([label(&long, &format!("{long}a")), label(&long, &long)]);
    let confusion = table.label().expect("labels");
    let cells = confusion.cells();
    assert_eq!(cells.len(), 2);
    let sizes = cells.iter().flat_map(|(a, b, _)| [a.len(), b.len()]);
    assert!(sizes.max() <= Some(LABEL_BYTES_MAX));
    assert_eq!(cells.iter().filter(|(a, b, _)| a == b).count(), 1);
    assert_eq!(again(&table), table);
}

#[test]
fn numbers_beyond_all_bounds_stay_finite() {
    let huge = [
        number(f64::MAX, -f64::MAX),
        number(0.0, f64::INFINITY),
        number(f64::INFINITY, f64::INFINITY),
        number(1.0, f64::NAN),
        number(0.0, 5e-324),
        number(1.0, 1.0),
        tensor(f64::INFINITY, 1e300, None),
        tensor(f64::NAN, 0.0, None),
        text(f64::NAN),
        text(7.0),
        json(1, &["/a"], f64::INFINITY),
        json(1, &["/a"], f64::NAN),
    ];
    let all = findings(huge.into_iter().cycle().take(12_000));
    assert_eq!(again(&all), all);
    assert_eq!(all.unreadable(), Some(2_000));
    let numbers = all.number().expect("numbers");
    assert_eq!(numbers.pairs(), 4_000);
    assert_eq!((numbers.min(), numbers.max()), (Some(-LIMIT), Some(LIMIT)));
    assert_eq!(numbers.mean(), Some(0.0));
    assert_eq!(numbers.quantile_abs(0.5), Some(0.0));
    let p99 = numbers.quantile_abs(0.99).expect("some");
    assert!((p99 / LIMIT - 1.0).abs() < 0.03, "{p99}");
    let bars = numbers.spread().bars();
    assert!(
        bars.iter()
            .all(|bar| bar.from.is_finite() && bar.to.is_finite())
    );
    let tensors = all.tensor().expect("tensors");
    assert_eq!((tensors.pairs(), tensors.mismatches()), (2_000, 1_000));
    assert_eq!(tensors.max_abs(), Some(LIMIT));
    assert!(
        tensors
            .mean_abs()
            .is_some_and(|mean| (mean / LIMIT - 1.0).abs() < 1e-9)
    );
    let texts = all.text().expect("texts");
    assert_eq!((texts.mean(), texts.quantile(0.5)), (Some(0.5), Some(0.0)));
    assert_eq!(all.json().expect("json").max_abs(), LIMIT);
}

#[test]
fn tensors_and_json_are_summed_up() {
    let all = findings([
        tensor(0.5, 0.25, None),
        tensor(0.1, 0.05, None),
        tensor(0.0, 0.0, Some("shape")),
        json(3, &["/a/0", "/a/1", "/b"], 0.5),
        json(0, &[], 0.001),
    ]);
    let tensors = all.tensor().expect("tensors");
    assert_eq!((tensors.pairs(), tensors.mismatches()), (3, 1));
    assert_eq!(tensors.max_abs(), Some(0.5));
    assert!(
        tensors
            .mean_abs()
            .is_some_and(|mean| (mean - 0.15).abs() < 1e-12)
    );
    let only = findings([tensor(9.0, 9.0, Some("name"))]);
    let only = only.tensor().expect("a tensor");
    assert_eq!((only.max_abs(), only.mean_abs()), (None, None));
    let texts = all.json().expect("json");
    assert_eq!((texts.pairs(), texts.differences()), (2, 3));
    assert_eq!((texts.max_abs(), texts.max_rel()), (0.5, 0.05));
    assert_eq!(texts.places().top(), [("/a/*", 1), ("/b", 1)]);
}

#[test]
fn it_is_read_back_with_patience() {
    let kept = json!({
        "status": {"pairs": 5, "later": [1]}, "unreadable": "many", "later": {"a": 1},
        "exact": null, "json": {"pairs": 2, "places": {"counts": [["/a", 1, 2]]}},
        "label": {"labels": ["a"], "cells": [[0, 0, 7], [0, 9, 5]]},
        "number": {"sum": [1e308, 1e308], "sum_abs": [1.0, 0.0], "min": -1.0, "max": 2.0,
                   "spread": {"scale": 4, "zero": 3, "above": [[0, 1], [2_000_000_000, 4]]}},
        "tensor": {"pairs": -1}, "text": {"counts": [1, 0, 2]},
    });
    let mut read: Findings = serde_json::from_value(kept).expect("patience");
    let count = |pairs, differing| Count { pairs, differing };
    assert_eq!(read.status(), Some(&count(5, 0)));
    assert_eq!((read.unreadable(), read.exact()), (None, None));
    assert!(read.json().is_none() && read.tensor().is_none());
    let confusion = read.label().expect("labels");
    assert_eq!(confusion.cells(), [("a", "a", 7)]);
    assert_eq!((confusion.more(), confusion.pairs()), (5, 12));
    let numbers = read.number().expect("numbers");
    assert_eq!((numbers.pairs(), numbers.mean()), (4, Some(0.0)));
    assert_eq!(read.text().expect("texts").quantile(0.9), Some(0.02));
    // It goes on from there.
    read.add(&text(1.0));
    assert_eq!(read.text().expect("texts").quantile(1.0), Some(1.0));
    let bars = json!([[0, 1]]);
    for nonsense in [
        json!({"number": {"spread": {"scale": 99, "above": bars}}}),
        json!({"number": {"spread": {"above": bars}}}),
        json!({"label": 3}),
    ] {
        let read: Findings = serde_json::from_value(nonsense).expect("patience");
        assert_eq!(read, Findings::default());
    }
    // More than there is room for.
    let labels: Vec<String> = (0..300).map(|i| format!("l{i}")).collect();
    let cells: Vec<(u8, u8, u64)> = (0..=255).map(|i| (i, i, 1)).collect();
    let places: Vec<(String, u64)> = (0..300).map(|i| (format!("/p{i}"), 1)).collect();
    let kept = json!({"label": {"labels": labels, "cells": cells},
        "json": {"pairs": 1, "places": {"counts": places}}});
    let mut read: Findings = serde_json::from_value(kept).expect("patience");
    let confusion = read.label().expect("labels");
    assert_eq!((confusion.cells().len(), confusion.more()), (64, 192));
    read.add(&json(1, &["/p63", "/p64"], 0.0));
    let places = read.json().expect("json").places();
    assert_eq!((places.top()[0], places.more()), (("/p63", 2), 1));
}

#[test]
fn it_stays_small_whatever_comes() {
    let chance = Chance::seeded(6);
    let mut all = Findings::default();
    let mut sizes = Vec::new();
    for i in 0..60_000u64 {
        let wide = ((chance.unit() - 0.5) * 1_200.0).exp() * (chance.unit() - 0.5);
        all.add(&number(0.0, wide));
        let (a, b) = (chance.below(80), chance.below(80));
        all.add(&label(&format!("{a:0200}"), &format!("{b:0200}")));
        let place = format!("/{:0240}/{i}/{}", chance.below(1_000), "x".repeat(300));
        all.add(&json(1_000, &[&place], wide));
        all.add(&text(chance.unit()));
        all.add(&tensor(wide, wide, None));
        if i % 20_000 == 19_999 {
            sizes.push(serde_json::to_string(&all).expect("JSON").len());
        }
    }
    assert!(sizes.iter().all(|size| *size < 56 << 10), "{sizes:?}");
    assert!(sizes[2] < sizes[0] + (4 << 10), "{sizes:?}");
    assert_eq!(again(&all), all);
}

/// Differences of one sign or both, of one size or of many, with zeros.
fn differences() -> impl Strategy<Value = Vec<f64>> {
    let one = (-1.0f64..1.0, -20i32..20, prop::bool::weighted(0.1));
    let octaves = prop::sample::select(vec![0.05, 1.0, 20.0]);
    (octaves, prop::collection::vec(one, 1..800)).prop_map(|(wide, all)| {
        let all = all.into_iter();
        all.map(|(mantissa, octave, is_zero)| {
            let size = (f64::from(octave) * wide).exp2();
            if is_zero { 0.0 } else { mantissa * size }
        })
        .collect()
    })
}

proptest! {
    #[test]
    fn numbers_are_as_the_exact_ones_within_the_error(differences in differences()) {
        let mut all = Findings::default();
        for difference in &differences {
            all.add(&number(0.0, *difference));
        }
        let all = again(&all);
        let numbers = all.number().expect("numbers");
        let n = differences.len() as f64;
        prop_assert_eq!(numbers.pairs(), differences.len() as u64);
        let mean = differences.iter().sum::<f64>() / n;
        let mut sizes: Vec<f64> = differences.iter().map(|it| it.abs()).collect();
        let mean_abs = sizes.iter().sum::<f64>() / n;
        prop_assert!((numbers.mean().expect("some") - mean).abs() <= 1e-12 * mean_abs);
        prop_assert!((numbers.mean_abs().expect("some") - mean_abs).abs() <= 1e-12 * mean_abs);
        let exact_max = differences.iter().copied().reduce(f64::max);
        prop_assert_eq!(numbers.max(), exact_max);
        prop_assert_eq!(numbers.min(), differences.iter().copied().reduce(f64::min));
        let error = numbers.spread().error_rel() * (1.0 + 1e-9);
        for share in [0.0, 0.1, 0.5, 0.9, 0.99, 1.0] {
            let exact = exact_quantile(&mut sizes, share);
            let quantile = numbers.quantile_abs(share).expect("some");
            prop_assert!((quantile - exact).abs() <= error * exact, "{share}: {quantile} {exact}");
        }
        // The histogram loses nobody, keeps the order and the signs.
        let bars = numbers.spread().bars();
        prop_assert!(bars.len() <= BARS_MAX);
        prop_assert_eq!(bars.iter().map(|bar| bar.count).sum::<u64>(), differences.len() as u64);
        let ends: Vec<f64> = bars.iter().flat_map(|bar| [bar.from, bar.to]).collect();
        prop_assert!(ends.is_sorted(), "{ends:?}");
        for bar in &bars {
            // A difference at the very end of a bar may be counted beside it, by a rounding.
            let wide = |end: f64, sign: f64| end + sign * end.abs() * 1e-12;
            let inside = differences.iter().filter(|it| {
                wide(bar.from, -1.0) <= **it && **it <= wide(bar.to, 1.0)
            });
            prop_assert!(inside.count() as u64 >= bar.count, "{bar:?}");
        }
    }

    #[test]
    fn similarities_are_as_the_exact_ones_to_a_hundredth(
        mut similarities in prop::collection::vec(
            prop_oneof![Just(1.0), Just(0.0), Just(0.29), 0.0f64..=1.0], 1..300),
    ) {
        let all = again(&findings(similarities.iter().map(|it| text(*it))));
        let texts = all.text().expect("texts");
        prop_assert_eq!(texts.pairs(), similarities.len() as u64);
        let mean = similarities.iter().sum::<f64>() / similarities.len() as f64;
        prop_assert!((texts.mean().expect("some") - mean).abs() < 1e-12);
        for share in [0.1, 0.5, 1.0] {
            let exact = exact_quantile(&mut similarities, share);
            let quantile = texts.quantile(share).expect("some");
            prop_assert!(quantile <= exact && exact < quantile + 0.01, "{quantile} {exact}");
            prop_assert_eq!(quantile == 1.0, exact == 1.0);
        }
    }

    #[test]
    fn labels_are_counted_as_by_a_plain_map(
        pairs in prop::collection::vec((0u8..90, 0u8..90), 0..400),
    ) {
        let name = |label: u8| format!("l{label}");
        let all = again(&findings(pairs.iter().map(|(a, b)| label(&name(*a), &name(*b)))));
        let Some(confusion) = all.label() else {
            prop_assert!(pairs.is_empty());
            return Ok(());
        };
        let mut sum = confusion.more();
        for (main, challenger, count) in confusion.cells() {
            let exact = pairs.iter().filter(|(a, b)| name(*a) == main && name(*b) == challenger);
            prop_assert_eq!(exact.count() as u64, count);
            sum += count;
        }
        prop_assert_eq!(sum, pairs.len() as u64);
        let counts: Vec<u64> = confusion.cells().iter().map(|cell| cell.2).collect();
        prop_assert!(counts.is_sorted_by(|a, b| a >= b));
    }
}
