//! Raw bytes, case by case: refused, or re-framed; never forwarded as they came, never taken for
//! one request here and for two there, and never to anybody else's harm.

mod chunks;
mod codings;
mod connection;
mod content_length;
mod expect;
mod fields;
mod host;
mod keys;
mod methods;
mod paths;
mod pipelines;
mod request_line;
mod sizes;
mod spellings;
mod splits;
mod spoofs;
mod targets;
mod trailers;
mod transfer_encoding;
mod versions;

use std::collections::BTreeSet;

use crate::support::raw::{Case, compare};

fn families() -> Vec<(&'static str, Vec<Case>)> {
    vec![
        ("request line", request_line::cases()),
        ("target", targets::cases()),
        ("host", host::cases()),
        ("field lines", fields::cases()),
        ("content-length", content_length::cases()),
        ("transfer-encoding", transfer_encoding::cases()),
        ("codings", codings::cases()),
        ("chunks", chunks::cases()),
        ("trailers", trailers::cases()),
        ("connection", connection::cases()),
        ("expect", expect::cases()),
        ("methods", methods::cases()),
        ("versions", versions::cases()),
        ("pipelines", pipelines::cases()),
        ("spoofs", spoofs::cases()),
        ("keys", keys::cases()),
        ("paths", paths::cases()),
        ("spellings", spellings::cases()),
        ("sizes", sizes::cases()),
        ("splits", splits::cases()),
    ]
}

#[test]
fn there_are_enough_cases_and_each_has_its_own_name_and_a_rule() {
    let mut names = BTreeSet::new();
    let mut total = 0;
    for (family, cases) in families() {
        // Those made in a loop over bytes stand for one case each loop, whatever their number.
        let made = ["control-", "byte-", "delimiter-"];
        let is_made = |case: &&Case| made.iter().any(|m| case.name.starts_with(m));
        let written = cases.len() - cases.iter().filter(is_made).count();
        println!("{family}: {written} written, {} in all", cases.len());
        total += written;
        for case in cases {
            let kebab = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            assert!(case.name.bytes().all(kebab), "{}", case.name);
            assert!(!case.rule.is_empty(), "{}", case.name);
            assert!(!names.contains(&case.name), "twice: {}", case.name);
            names.insert(case.name);
        }
    }
    assert!(total >= 300, "{total} cases");
}

/// Prints a table for whoever wants to know; it holds nothing against the others.
#[test]
#[ignore = "for information: needs nginx or HAProxy"]
fn compared_with_other_gateways() {
    compare(&families());
}
