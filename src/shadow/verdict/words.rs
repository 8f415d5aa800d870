//! A judgement's reasons, in words for people, with figures.

use super::{
    Estimate, Judgement, VerdictState,
    judge::{Judged, Standing},
};
use crate::spec::VerdictSpec;

/// Why it is as it is: what is broken; or what is not sure yet; or all that is surely kept.
pub(super) fn reasons(judgement: &Judgement, limits: &VerdictSpec) -> Vec<String> {
    let wanted = match judgement.state {
        VerdictState::Reject => Standing::Broken,
        VerdictState::Promote => Standing::Kept,
        VerdictState::Hold => Standing::Open,
    };
    let mut reasons = Vec::new();
    if judgement.state == VerdictState::Hold {
        if judgement.standings().next().is_none() {
            reasons.push("no limit is declared that an answer could break".to_owned());
        }
        let (pairs, least) = (judgement.pairs, limits.min_pairs);
        if pairs < least {
            reasons.push(format!("{pairs} of at least {least} pairs were seen"));
        }
    }
    let told = judgement.standings();
    let told = told.filter(|(_, _, standing)| *standing == wanted);
    let pairs = judgement.pairs;
    reasons
        .extend(told.map(|(judged, estimate, standing)| reason(judged, estimate, standing, pairs)));
    reasons
}

fn reason(judged: Judged, estimate: Estimate, standing: Standing, pairs: u64) -> String {
    match judged {
        Judged::Agreement if estimate.n == 0 && pairs > 0 => {
            format!("none of the pairs could be compared so far: {pairs} of them")
        }
        Judged::Agreement => agreement(estimate, standing),
        Judged::Errors => errors(estimate, standing),
        Judged::P50 => latency("median latency", estimate, standing),
        Judged::P99 => latency("p99 latency", estimate, standing),
    }
}

fn agreement(estimate: Estimate, standing: Standing) -> String {
    let Figures { limit, between, n } = figures(estimate);
    match standing {
        Standing::Kept => format!("agreement is surely {limit} or more: {between} in {n} pairs"),
        Standing::Broken => format!("agreement is surely below {limit}: {between} in {n} pairs"),
        Standing::Open if estimate.n == 0 => "no answers were compared yet".to_owned(),
        Standing::Open if estimate.limit >= Some(1.0) => format!(
            "agreement is {between}; that all answers agree can be disproved, but never be sure"
        ),
        Standing::Open => format!("agreement is {between}, not yet surely {limit} or more"),
    }
}

fn errors(estimate: Estimate, standing: Standing) -> String {
    let Figures { limit, between, n } = figures(estimate);
    match standing {
        Standing::Kept => format!(
            "the share of errors surely exceeds main's by {limit} at most: by {between} in {n} pairs"
        ),
        Standing::Broken => format!(
            "the share of errors surely exceeds main's by more than {limit}: by {between} in {n} pairs"
        ),
        Standing::Open if estimate.n == 0 => "no pair told of errors yet".to_owned(),
        Standing::Open => format!(
            "the share of errors exceeds main's by {between}, not yet surely by {limit} at most"
        ),
    }
}

fn latency(name: &str, estimate: Estimate, standing: Standing) -> String {
    let Figures { limit, between, n } = figures(estimate);
    match standing {
        Standing::Kept => {
            format!("{name} is surely {limit} times main's or less: {between} times in {n} pairs")
        }
        Standing::Broken => {
            format!("{name} is surely above {limit} times main's: {between} times in {n} pairs")
        }
        Standing::Open if estimate.low <= 0.0 || estimate.high.is_infinite() => {
            format!("{name} has no bounds on both sides yet, after {n} pairs without an error")
        }
        Standing::Open => {
            format!("{name} is {between} times main's, not yet surely {limit} times or less")
        }
    }
}

/// What is said of an estimate.
struct Figures {
    limit: f64,
    between: String,
    n: u64,
}

/// Two decimals, or as many more as it takes to see on which side of the limit each end lies.
fn figures(estimate: Estimate) -> Figures {
    let limit = estimate.limit.unwrap_or_default();
    let Estimate { n, low, high, .. } = estimate;
    let shows = |end: f64, decimals: usize| {
        rounded(end, decimals).partial_cmp(&limit) == end.partial_cmp(&limit)
    };
    let decimals = (2..6)
        .find(|decimals| shows(low, *decimals) && shows(high, *decimals))
        .unwrap_or(6);
    let [from, to] = [low, high].map(|end| format!("{:.decimals$}", rounded(end, decimals)));
    let between = if high.is_infinite() {
        format!("{from} or more")
    } else {
        format!("{from} to {to}")
    };
    Figures { limit, between, n }
}

/// A zero is none with a minus.
fn rounded(end: f64, decimals: usize) -> f64 {
    let unit = 10f64.powi(decimals as i32);
    (end * unit).round() / unit + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_show_on_which_side_of_the_limit_they_are() {
        let between = |low, high, limit| {
            let limit = Some(limit);
            figures(Estimate {
                n: 9,
                value: None,
                low,
                high,
                limit,
            })
            .between
        };
        assert_eq!(between(0.612, 0.731, 0.95), "0.61 to 0.73");
        assert_eq!(between(0.612, 0.949_6, 0.95), "0.6120 to 0.9496");
        assert_eq!(between(-0.002, 0.031, 0.02), "0.00 to 0.03");
        assert_eq!(between(-0.002, 0.031, 0.0), "-0.002 to 0.031");
        assert_eq!(between(1.7, f64::INFINITY, 1.5), "1.70 or more");
    }
}
