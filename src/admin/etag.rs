//! Entity tags and the conditions on them (RFC 9110, section 13).
//!
//! A tag carries the revision of its record: `"r123"`. Where an answer shows more than the record
//! (a backend's health, a key's last use), a digest of that stands behind it, `"r123-9f86d081"`, so
//! that the tag changes whenever the answer does; `If-Match` looks at the revision alone.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use super::problem::Problem;
use crate::base::id::Revision;

/// Tags that one header may list.
const TAGS_MAX: usize = 64;

/// What `If-Match` asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum IfMatch {
    /// Nothing, or `*`: whatever is there.
    #[default]
    Any,
    /// One of these revisions. Empty when the header lists only tags that no record can have.
    OneOf(Vec<Revision>),
}

/// The tag of a record.
pub(super) fn of_revision(revision: Revision) -> HeaderValue {
    value(format!("\"r{revision}\""))
}

/// The tag of an answer that shows more than its record.
pub(super) fn of_answer(revision: Revision, body: &[u8]) -> HeaderValue {
    let digest = blake3::hash(body).to_hex();
    value(format!("\"r{revision}-{}\"", &digest[..8]))
}

fn value(tag: String) -> HeaderValue {
    HeaderValue::try_from(tag).expect("a quoted word of visible ASCII")
}

/// Reads `If-Match`.
///
/// # Errors
/// 400 when it is no list of tags.
pub(super) fn if_match(headers: &HeaderMap) -> Result<IfMatch, Problem> {
    match tags(headers, &header::IF_MATCH)? {
        None => Ok(IfMatch::Any),
        Some(Tags::Any) => Ok(IfMatch::Any),
        // Weak tags never match here: section 13.1.1 asks for the strong comparison.
        Some(Tags::List(list)) => Ok(IfMatch::OneOf(
            list.iter()
                .filter(|tag| !tag.weak)
                .filter_map(|tag| revision(tag.opaque))
                .collect(),
        )),
    }
}

/// Whether `If-None-Match` names `tag`: the client has this answer already.
///
/// # Errors
/// 400 when it is no list of tags.
pub(super) fn has_already(headers: &HeaderMap, tag: &HeaderValue) -> Result<bool, Problem> {
    let own = tag.to_str().unwrap_or_default().trim_matches('"');
    Ok(match tags(headers, &header::IF_NONE_MATCH)? {
        None => false,
        Some(Tags::Any) => true,
        Some(Tags::List(list)) => list.iter().any(|tag| tag.opaque == own),
    })
}

#[derive(Debug, PartialEq)]
enum Tags<'a> {
    Any,
    List(Vec<Tag<'a>>),
}

#[derive(Debug, PartialEq)]
struct Tag<'a> {
    weak: bool,
    opaque: &'a str,
}

fn tags<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<Tags<'a>>, Problem> {
    let malformed = || {
        Problem::invalid(format!(
            "{name} is * or a list of entity tags, such as \"r123\""
        ))
    };
    let mut list = Vec::new();
    let mut lines = headers.get_all(name).iter().peekable();
    if lines.peek().is_none() {
        return Ok(None);
    }
    for line in lines {
        let text = line.to_str().map_err(|_| malformed())?.trim();
        if text == "*" && headers.get_all(name).iter().count() == 1 {
            return Ok(Some(Tags::Any));
        }
        parse_list(text, &mut list).ok_or_else(malformed)?;
    }
    if list.is_empty() || list.len() > TAGS_MAX {
        return Err(malformed());
    }
    Ok(Some(Tags::List(list)))
}

fn parse_list<'a>(text: &'a str, list: &mut Vec<Tag<'a>>) -> Option<()> {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Some(());
        }
        let strong = rest.strip_prefix("W/");
        let (weak, quoted) = (strong.is_some(), strong.unwrap_or(rest));
        let (opaque, behind) = quoted.strip_prefix('"')?.split_once('"')?;
        let is_plain = |b: u8| b == b'!' || (0x23..=0x7e).contains(&b) || b >= 0x80;
        if !opaque.bytes().all(is_plain) {
            return None;
        }
        list.push(Tag { weak, opaque });
        rest = behind.trim_start_matches([' ', '\t']);
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
    }
}

fn revision(opaque: &str) -> Option<Revision> {
    let number = opaque.strip_prefix('r')?;
    let number = number.split_once('-').map_or(number, |(number, _)| number);
    // `parse` alone would take a leading `+`.
    let digits = number.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| number.parse().ok().map(Revision)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_str(line).expect(line));
        }
        headers
    }

    #[test]
    fn if_match_reads_lists_stars_and_refuses_the_rest() {
        let one_of = |list: &[u64]| {
            Some(IfMatch::OneOf(
                list.iter().copied().map(Revision).collect::<Vec<_>>(),
            ))
        };
        let cases: [(&[&str], Option<IfMatch>); 16] = [
            (&[], Some(IfMatch::Any)),
            (&["*"], Some(IfMatch::Any)),
            (&["\"r1\""], one_of(&[1])),
            (&["\"r1-0badcafe\""], one_of(&[1])),
            (&["\"r1\", \"r2\"", "\"r3\""], one_of(&[1, 2, 3])),
            (&["\"r1\",,\"r2\" ,"], one_of(&[1, 2])),
            (&["W/\"r1\", \"r2\""], one_of(&[2])),
            (&["\"of somebody else\""], None),
            (&["\"else\""], one_of(&[])),
            (&["\"r+1\", \"r\", \"r99999999999999999999\""], one_of(&[])),
            (&[""], None),
            (&["r1"], None),
            (&["\"r1"], None),
            (&["\"r1\" \"r2\""], None),
            (&["*", "\"r1\""], None),
            (&["*, \"r1\""], None),
        ];
        for (lines, expected) in cases {
            let read = if_match(&headers(&header::IF_MATCH, lines));
            assert_eq!(read.ok(), expected, "{lines:?}");
        }
        let many = vec!["\"r1\""; TAGS_MAX + 1].join(",");
        assert!(if_match(&headers(&header::IF_MATCH, &[&many])).is_err());
    }

    #[test]
    fn if_none_match_compares_whole_tags_weakly() {
        let tag = of_answer(Revision(7), b"body");
        let text = tag.to_str().expect("ASCII");
        for (line, expected) in [
            (text.to_owned(), true),
            (format!("W/{text}"), true),
            (format!("\"r6\", {text}"), true),
            ("*".to_owned(), true),
            ("\"r7\"".to_owned(), false),
        ] {
            let headers = headers(&header::IF_NONE_MATCH, &[&line]);
            assert_eq!(has_already(&headers, &tag).ok(), Some(expected), "{line}");
        }
        assert_eq!(has_already(&HeaderMap::new(), &tag).ok(), Some(false));
        assert_ne!(tag, of_answer(Revision(7), b"bodz"));
    }
}
