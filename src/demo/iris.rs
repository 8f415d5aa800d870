//! The iris classifiers: multinomial logistic regressions over four measurements in centimetres.
//!
//! Data: Fisher's iris, 150 flowers, as `sklearn.datasets.load_iris` ships it (beside this file as
//! `iris.csv`, read by the tests only). Fitted with scikit-learn 1.9.1 on all 150 rows:
//! `LogisticRegression(solver="lbfgs", max_iter=10000, tol=1e-8)`, raw features without
//! standardisation, L2 with `C=1.0` for [`MAIN`] and `C=0.01` for [`CHALLENGER`]; coefficients
//! rounded to four decimals, which changes none of the 150 answers.
//!
//! | | right, of 150 | ten-fold cross-validation |
//! |---|---|---|
//! | `MAIN` | 146 | 0.960 |
//! | `CHALLENGER` | 131 | 0.867 |
//!
//! They differ on 15 of the 150: *versicolor* that the challenger calls *virginica* 14 times and
//! *setosa* once.

use serde_json::{Map, Value, json};

/// Rows in one request. Keeps the answer, a hundred bytes a row, in proportion to the request.
const ROWS_MAX: usize = 1_024;

/// The largest measurement taken, in centimetres either way: far beyond any flower, and far below
/// where the scores would overflow.
const MEASURE_MAX: f64 = 1e6;

const LABELS: [&str; 3] = ["setosa", "versicolor", "virginica"];

/// One row of weights and one intercept for each of [`LABELS`].
#[derive(Debug)]
pub(super) struct Iris {
    weights: [[f64; 4]; 3],
    intercepts: [f64; 3],
}

pub(super) const MAIN: Iris = Iris {
    weights: [
        [-0.4235, 0.9674, -2.5172, -1.0793],
        [0.5345, -0.3216, -0.2064, -0.9443],
        [-0.1110, -0.6458, 2.7235, 2.0236],
    ],
    intercepts: [9.8496, 2.2372, -12.0868],
};

pub(super) const CHALLENGER: Iris = Iris {
    weights: [
        [-0.1368, 0.0961, -0.4348, -0.1783],
        [-0.0010, -0.1024, 0.0867, -0.0034],
        [0.1378, 0.0063, 0.3482, 0.1817],
    ],
    intercepts: [2.1926, 0.2185, -2.4111],
};

/// Why a body is no iris request. Its words go to the client.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum IrisInputError {
    #[error("the body is not JSON: {0}; {EXPECTED}")]
    Json(String),
    #[error("\"inputs\" is missing or not a list; {EXPECTED}")]
    Inputs,
    #[error("\"inputs\" has {0} rows, which is not 1 to {ROWS_MAX}")]
    Rows(usize),
    #[error("inputs[{0}] is not a list of four numbers from -1e6 to 1e6; {EXPECTED}")]
    Row(usize),
}

const EXPECTED: &str = "expected {\"inputs\": [[sepal length, sepal width, petal length, petal \
                        width], ...]} in centimetres";

// === impl Iris ===

impl Iris {
    /// The answer to a predict body.
    pub(super) fn predict(&self, model: &str, body: &[u8]) -> Result<Value, IrisInputError> {
        let outputs: Vec<Value> = parse(body)?.iter().map(|row| self.output(row)).collect();
        Ok(json!({"model": model, "outputs": outputs}))
    }

    fn output(&self, row: &[f64; 4]) -> Value {
        let probabilities = self.probabilities(row);
        let shown: Map<String, Value> = LABELS
            .iter()
            .zip(probabilities)
            // Six decimals: more would only show the rounding of the coefficients.
            .map(|(label, p)| ((*label).to_owned(), json!((p * 1e6).round() / 1e6)))
            .collect();
        json!({"label": LABELS[most(&probabilities)], "probabilities": shown})
    }

    /// Softmax of the three scores, shifted by the largest so that no exponential overflows.
    fn probabilities(&self, row: &[f64; 4]) -> [f64; 3] {
        let mut scores = self.intercepts;
        for (score, weights) in scores.iter_mut().zip(&self.weights) {
            *score += weights.iter().zip(row).map(|(w, x)| w * x).sum::<f64>();
        }
        let top = scores[most(&scores)];
        let powers = scores.map(|score| (score - top).exp());
        let sum: f64 = powers.iter().sum();
        powers.map(|power| power / sum)
    }
}

/// The index of the largest; the first of equals.
fn most(values: &[f64; 3]) -> usize {
    (1..3).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

fn parse(body: &[u8]) -> Result<Vec<[f64; 4]>, IrisInputError> {
    let request: Value =
        serde_json::from_slice(body).map_err(|error| IrisInputError::Json(error.to_string()))?;
    let rows = request
        .get("inputs")
        .and_then(Value::as_array)
        .ok_or(IrisInputError::Inputs)?;
    if !(1..=ROWS_MAX).contains(&rows.len()) {
        return Err(IrisInputError::Rows(rows.len()));
    }
    rows.iter()
        .enumerate()
        .map(|(at, row)| parse_row(row).ok_or(IrisInputError::Row(at)))
        .collect()
}

fn parse_row(row: &Value) -> Option<[f64; 4]> {
    let numbers: Option<Vec<f64>> = row
        .as_array()?
        .iter()
        .map(|x| x.as_f64().filter(|x| x.abs() <= MEASURE_MAX))
        .collect();
    numbers?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flowers() -> Vec<([f64; 4], &'static str)> {
        include_str!("iris.csv")
            .lines()
            .map(|line| {
                let (numbers, label) = line.rsplit_once(',').expect("five columns");
                let row: Vec<f64> = numbers
                    .split(',')
                    .map(|x| x.parse().expect("number"))
                    .collect();
                (row.try_into().expect("four numbers"), label)
            })
            .collect()
    }

    fn label(model: &Iris, row: &[f64; 4]) -> &'static str {
        LABELS[most(&model.probabilities(row))]
    }

    #[test]
    fn the_models_are_as_good_and_as_different_as_their_comment_says() {
        let flowers = flowers();
        assert_eq!(flowers.len(), 150);
        let right = |model| {
            flowers
                .iter()
                .filter(|(row, truth)| label(model, row) == *truth)
                .count()
        };
        assert_eq!((right(&MAIN), right(&CHALLENGER)), (146, 131));
        let mut differ: Vec<_> = flowers
            .iter()
            .map(|(row, _)| (label(&MAIN, row), label(&CHALLENGER, row)))
            .filter(|(main, challenger)| main != challenger)
            .collect();
        differ.sort_unstable();
        let mut expected = vec![("versicolor", "setosa")];
        expected.resize(15, ("versicolor", "virginica"));
        assert_eq!(differ, expected);
    }

    #[test]
    fn an_answer_has_one_output_per_row_and_probabilities_that_add_up() {
        let answer = MAIN
            .predict(
                "m",
                br#"{"inputs": [[5.1,3.5,1.4,0.2],[6.3,3.3,6,2.5],[1e6,-1e6,1e6,1e6]]}"#,
            )
            .expect("well formed");
        assert_eq!(answer["model"], "m");
        let outputs = answer["outputs"].as_array().expect("a list");
        let labels: Vec<_> = outputs.iter().map(|output| &output["label"]).collect();
        assert_eq!(labels, ["setosa", "virginica", "virginica"]);
        for output in outputs {
            let probabilities = output["probabilities"].as_object().expect("an object");
            assert_eq!(probabilities.keys().collect::<Vec<_>>(), LABELS);
            let sum: f64 = probabilities.values().filter_map(Value::as_f64).sum();
            assert!((sum - 1.0).abs() < 1e-5, "{sum}");
        }
    }

    #[test]
    fn what_is_no_request_is_told_what_is_expected() {
        let rows = format!("{{\"inputs\": [{}[1,2,3,4]]}}", "[1,2,3,4],".repeat(1024));
        for (body, part) in [
            ("", "the body is not JSON"),
            ("{\"inputs\": [[1,2,3,4]]", "the body is not JSON"),
            ("[]", "\"inputs\" is missing"),
            ("{\"inputs\": {}}", "\"inputs\" is missing or not a list"),
            ("{\"inputs\": []}", "0 rows"),
            (&rows, "1025 rows"),
            ("{\"inputs\": [[1,2,3,4],[1,2,3]]}", "inputs[1]"),
            ("{\"inputs\": [[1,2,3,4,5]]}", "inputs[0]"),
            ("{\"inputs\": [[1,2,3,\"4\"]]}", "inputs[0]"),
            ("{\"inputs\": [[1,2,3,null]]}", "inputs[0]"),
            ("{\"inputs\": [[1,2,3,1e7]]}", "inputs[0]"),
        ] {
            let told = MAIN
                .predict("m", body.as_bytes())
                .expect_err(body)
                .to_string();
            assert!(told.contains(part), "{body}: {told}");
        }
    }
}
