//! What the comparators found, as shown.

use serde::Serialize;
use utoipa::ToSchema;

use crate::shadow::findings::{self, Findings};

/// What the comparators found, kind by kind. A kind that no pair was compared by is left out.
#[derive(Serialize, ToSchema)]
pub struct Kinds {
    /// Pairs of which the statuses decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub status: Option<DifferingPairs>,
    /// Pairs of which the challenger's answer could not be read as what main's is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub unreadable: Option<UnreadablePairs>,
    /// Pairs compared byte by byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub exact: Option<DifferingPairs>,
    /// Pairs compared as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub json: Option<JsonFindings>,
    /// Pairs of labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub label: Option<LabelFindings>,
    /// Pairs of numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub number: Option<NumberFindings>,
    /// Pairs of tensors.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tensor: Option<TensorFindings>,
    /// Pairs of texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub text: Option<TextFindings>,
}

/// How many pairs there are, and how many of them differ.
#[derive(Serialize, ToSchema)]
pub struct DifferingPairs {
    /// Pairs.
    pub pairs: u64,
    /// Those that differ.
    pub differing: u64,
}

/// Pairs of which the challenger's answer could not be read.
#[derive(Serialize, ToSchema)]
pub struct UnreadablePairs {
    /// Pairs.
    pub pairs: u64,
}

/// What JSON texts differ in.
#[derive(Serialize, ToSchema)]
pub struct JsonFindings {
    /// Pairs.
    pub pairs: u64,
    /// Differences in all; of one pair no more than 1,000.
    pub differences: u64,
    /// The largest difference of two numbers, tolerated or not.
    pub max_abs: f64,
    /// The same as a share of the larger one's size.
    pub max_rel: f64,
    /// Where pairs differ; the place in which most of them do first. At most 64.
    pub places: Vec<JsonPlace>,
    /// Pairs that differ in places beyond those.
    pub more: u64,
}

/// A place in JSON where pairs differ.
#[derive(Serialize, ToSchema)]
pub struct JsonPlace {
    /// A JSON pointer, with `*` for each item of an array.
    #[schema(example = "/outputs/*/score")]
    pub pointer: String,
    /// Pairs that differ there.
    pub count: u64,
}

/// Which label the challenger gives where main gives which.
#[derive(Serialize, ToSchema)]
pub struct LabelFindings {
    /// Pairs.
    pub pairs: u64,
    /// How often which labels met; the most frequent first. At most 1,024, of 64 labels.
    pub confusion: Vec<ConfusionCell>,
    /// Pairs that are not among those.
    pub more: u64,
}

/// How often two labels met.
#[derive(Serialize, ToSchema)]
pub struct ConfusionCell {
    /// Main's label.
    #[schema(example = "cat")]
    pub main: String,
    /// The challenger's.
    #[schema(example = "dog")]
    pub challenger: String,
    /// Pairs.
    pub count: u64,
}

/// By how much numbers differ: the challenger's less main's.
#[derive(Serialize, ToSchema)]
pub struct NumberFindings {
    /// Pairs.
    pub pairs: u64,
    /// The mean difference.
    pub mean: f64,
    /// The mean difference, the signs aside.
    pub mean_abs: f64,
    /// The least difference.
    pub min: f64,
    /// The greatest difference.
    pub max: f64,
    /// The difference, the sign aside, that half of the pairs do not exceed.
    pub p50_abs: f64,
    /// The same for 90 % of them.
    pub p90_abs: f64,
    /// The same for 99 % of them.
    pub p99_abs: f64,
    /// None was larger.
    pub max_abs: f64,
    /// By how much the three above may be wrong, as a share of themselves.
    pub quantiles_error_rel: f64,
    /// How the differences are spread: at most 64 bars, in order, on a logarithmic scale for each sign.
    /// Bars without any are left out.
    pub histogram: Vec<HistogramBar>,
}

/// A range of differences.
#[derive(Serialize, ToSchema)]
pub struct HistogramBar {
    /// Where it begins.
    pub from: f64,
    /// Where it ends; where it begins for differences of zero.
    pub to: f64,
    /// Pairs in it.
    pub count: u64,
}

/// By how much tensors differ.
#[derive(Serialize, ToSchema)]
pub struct TensorFindings {
    /// Pairs.
    pub pairs: u64,
    /// Those whose outputs have other names, shapes or types, so that no elements were compared.
    pub mismatches: u64,
    /// The largest difference of two elements; null when none were compared.
    pub max_abs: Option<f64>,
    /// The mean of the pairs' mean differences.
    pub mean_abs: Option<f64>,
}

/// How similar texts are: 0.0 for nothing in common to 1.0 for the same.
#[derive(Serialize, ToSchema)]
pub struct TextFindings {
    /// Pairs.
    pub pairs: u64,
    /// The mean.
    pub mean_similarity: f64,
    /// What a tenth of the pairs do not exceed, rounded down to a hundredth.
    pub p10_similarity: f64,
    /// What half of them do not exceed.
    pub p50_similarity: f64,
}

// === impl Kinds ===

impl Kinds {
    /// Shapes what was found.
    pub fn new(found: &Findings) -> Self {
        let differing = |count: &findings::Count| DifferingPairs {
            pairs: count.pairs,
            differing: count.differing,
        };
        Self {
            status: found.status().map(differing),
            unreadable: found.unreadable().map(|pairs| UnreadablePairs { pairs }),
            exact: found.exact().map(differing),
            json: found.json().map(JsonFindings::from),
            label: found.label().map(LabelFindings::from),
            number: found.number().and_then(NumberFindings::of),
            tensor: found.tensor().map(TensorFindings::from),
            text: found.text().and_then(TextFindings::of),
        }
    }
}

impl From<&findings::Json> for JsonFindings {
    fn from(json: &findings::Json) -> Self {
        let places = json.places().top().into_iter();
        Self {
            pairs: json.pairs(),
            differences: json.differences(),
            max_abs: json.max_abs(),
            max_rel: json.max_rel(),
            places: places
                .map(|(pointer, count)| JsonPlace {
                    pointer: pointer.to_owned(),
                    count,
                })
                .collect(),
            more: json.places().more(),
        }
    }
}

impl From<&findings::Confusion> for LabelFindings {
    fn from(confusion: &findings::Confusion) -> Self {
        let cells = confusion.cells().into_iter();
        Self {
            pairs: confusion.pairs(),
            confusion: cells
                .map(|(main, challenger, count)| ConfusionCell {
                    main: main.to_owned(),
                    challenger: challenger.to_owned(),
                    count,
                })
                .collect(),
            more: confusion.more(),
        }
    }
}

impl NumberFindings {
    fn of(number: &findings::Number) -> Option<Self> {
        let spread = number.spread();
        let bars = spread.bars().into_iter();
        Some(Self {
            pairs: number.pairs(),
            mean: number.mean()?,
            mean_abs: number.mean_abs()?,
            min: number.min()?,
            max: number.max()?,
            p50_abs: number.quantile_abs(0.5)?,
            p90_abs: number.quantile_abs(0.9)?,
            p99_abs: number.quantile_abs(0.99)?,
            max_abs: number.max_abs()?,
            quantiles_error_rel: spread.error_rel(),
            histogram: bars
                .map(|findings::Bar { from, to, count }| HistogramBar { from, to, count })
                .collect(),
        })
    }
}

impl From<&findings::Tensor> for TensorFindings {
    fn from(tensor: &findings::Tensor) -> Self {
        Self {
            pairs: tensor.pairs(),
            mismatches: tensor.mismatches(),
            max_abs: tensor.max_abs(),
            mean_abs: tensor.mean_abs(),
        }
    }
}

impl TextFindings {
    fn of(text: &findings::Text) -> Option<Self> {
        Some(Self {
            pairs: text.pairs(),
            mean_similarity: text.mean()?,
            p10_similarity: text.quantile(0.1)?,
            p50_similarity: text.quantile(0.5)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        shadow::compare::{Detail, Found},
        spec::CompareKind,
    };

    fn shown(details: Vec<Detail>) -> serde_json::Value {
        let mut findings = Findings::default();
        for detail in details {
            findings.add(&Found {
                kind: CompareKind::Auto,
                agrees: false,
                distance: 1.0,
                detail,
            });
        }
        serde_json::to_value(Kinds::new(&findings)).expect("JSON")
    }

    #[test]
    fn only_kinds_that_were_seen_are_shown() {
        assert_eq!(shown(Vec::new()), json!({}));
        let label = |main: &str, challenger: &str| Detail::Label {
            main: main.to_owned(),
            challenger: challenger.to_owned(),
        };
        let shown = shown(vec![Detail::Status, label("a", "b"), label("a", "b")]);
        let cell = json!({"main": "a", "challenger": "b", "count": 2});
        let expected = json!({"status": {"pairs": 1, "differing": 1},
            "label": {"pairs": 2, "confusion": [cell], "more": 0}});
        assert_eq!(shown, expected);
    }

    #[test]
    fn each_kind_has_its_figures() {
        let number = |main, challenger| Detail::Number { main, challenger };
        let tensor = |mismatch: Option<&str>| Detail::Tensor {
            max_abs: 0.5,
            mean_abs: 0.25,
            elements: 2,
            mismatch: mismatch.map(str::to_owned),
        };
        let text = |similarity| Detail::Text {
            similarity,
            main_chars: 1,
            challenger_chars: 1,
        };
        let places = vec!["/a/3".to_owned()];
        let json = Detail::Json {
            differences: 2,
            places,
            max_abs: 4.0,
            max_rel: 0.5,
        };
        let mut shown = shown(vec![
            number(2.0, 1.0),
            number(3.0, 3.0),
            tensor(None),
            tensor(Some("shape")),
            text(0.5),
            text(1.0),
            json,
            Detail::Unreadable,
            Detail::Exact { first: Some(1) },
        ]);
        let error = shown["number"]["quantiles_error_rel"].take();
        assert!(
            error
                .as_f64()
                .is_some_and(|error| (0.02..0.03).contains(&error))
        );
        let low = shown["number"]["histogram"][0]["from"].take();
        assert!(
            low.as_f64()
                .is_some_and(|low| (-1.05..=-1.0).contains(&low)),
            "{low}"
        );
        let high = shown["number"]["histogram"][0]["to"].take();
        assert!(
            high.as_f64()
                .is_some_and(|high| (-1.0..-0.95).contains(&high)),
            "{high}"
        );
        let p90 = shown["number"]["p90_abs"].take();
        assert!(
            p90.as_f64().is_some_and(|p90| (0.97..=1.0).contains(&p90)),
            "{p90}"
        );
        let p99 = shown["number"]["p99_abs"].take();
        assert_eq!(p99, p90);
        let bars = json!([{"from": null, "to": null, "count": 1},
            {"from": 0.0, "to": 0.0, "count": 1}]);
        let expected = json!({
            "unreadable": {"pairs": 1},
            "exact": {"pairs": 1, "differing": 1},
            "json": {"pairs": 1, "differences": 2, "max_abs": 4.0, "max_rel": 0.5,
                     "places": [{"pointer": "/a/*", "count": 1}], "more": 0},
            "number": {"pairs": 2, "mean": -0.5, "mean_abs": 0.5, "min": -1.0, "max": 0.0,
                       "p50_abs": 0.0, "p90_abs": null, "p99_abs": null, "max_abs": 1.0,
                       "quantiles_error_rel": null, "histogram": bars},
            "tensor": {"pairs": 2, "mismatches": 1, "max_abs": 0.5, "mean_abs": 0.25},
            "text": {"pairs": 2, "mean_similarity": 0.75, "p10_similarity": 0.5,
                     "p50_similarity": 0.5},
        });
        assert_eq!(shown, expected);
    }
}
