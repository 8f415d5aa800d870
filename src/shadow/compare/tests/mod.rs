//! The comparators from their entrance: tables over one `check`, and what holds for all.

mod golden;
mod properties;
mod speed;

use super::{Answer, Compared, Detail, Found, compare};
use crate::spec::{CompareKind, CompareSpec, JsonPointer};

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
