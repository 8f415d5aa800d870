//! The comparators from their entrance: tables over one `check`, and what holds for all.

mod entrance;
mod json;
mod properties;
mod speed;
mod texts;
mod values;

use super::{Answer, Compared, Detail, Found, compare};
use crate::spec::{CompareKind, CompareSpec, JsonPointer};

const SAME: &str = "agree";
const DIFFERENT: &str = "differ";

/// A whole answer with this body.
fn answer<'a>(content_type: &'a str, body: &'a [u8]) -> Answer<'a> {
    Answer {
        status: Some(200),
        is_complete: true,
        content_type: Some(content_type).filter(|name| !name.is_empty()),
        body,
        ..Answer::default()
    }
}

fn json(body: &str) -> Answer<'_> {
    answer("application/json", body.as_bytes())
}

fn of_kind(kind: CompareKind) -> CompareSpec {
    CompareSpec {
        kind,
        ..CompareSpec::default()
    }
}

fn pointers(texts: &[&str]) -> Vec<JsonPointer> {
    let parse = |text: &&str| JsonPointer::parse(text).expect("a pointer");
    texts.iter().map(parse).collect()
}

fn looked(spec: &CompareSpec, main: &Answer<'_>, challenger: &Answer<'_>) -> Found {
    match compare(spec, main, challenger) {
        Compared::Looked(found) => found,
        Compared::Not(why) => panic!("not compared: {why:?}"),
    }
}

/// Compares, and holds what came of it against a word: [`SAME`], [`DIFFERENT`], `unread` for the
/// challenger's, or why they were not compared.
fn check(spec: &CompareSpec, main: &Answer<'_>, challenger: &Answer<'_>, wanted: &str) -> Compared {
    let compared = compare(spec, main, challenger);
    let word = match &compared {
        Compared::Looked(found) if found.detail == Detail::Unreadable => "unread",
        Compared::Looked(found) if found.agrees => SAME,
        Compared::Looked(_) => DIFFERENT,
        Compared::Not(why) => why.as_str(),
    };
    let bodies = [main, challenger].map(|answer| String::from_utf8_lossy(answer.body));
    assert_eq!(word, wanted, "{spec:?} {bodies:?} {compared:?}");
    compared
}

fn check_json(spec: &CompareSpec, main: &str, challenger: &str, wanted: &str) -> Compared {
    check(spec, &json(main), &json(challenger), wanted)
}
