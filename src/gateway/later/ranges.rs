//! Which part of a result is asked for, and whether it is needed at all (RFC 9110 sections 13 and
//! 14).

use std::ops::Range;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// One range of bytes. Several at once are not served: the whole is answered, as the RFC allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteRange {
    /// From this byte on.
    From(u64),
    /// From the one to the other, both included.
    Between(u64, u64),
    /// So many at the end.
    Last(u64),
}

/// What a request's head says of the part that it wants. The default wants all of it.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    /// No body is wanted.
    pub(super) is_head: bool,
    range: Option<ByteRange>,
    /// The id of the last event that the client has.
    last_event: Option<String>,
    if_range: Option<HeaderValue>,
    if_none_match: Vec<HeaderValue>,
}

// === impl ByteRange ===

impl ByteRange {
    /// Reads a `Range`; none for what is to be ignored: several ranges, another unit, garbage.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let (unit, spec) = value.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = spec.trim().split_once('-')?;
        match (first, last) {
            ("", last) => Some(Self::Last(number(last)?)),
            (first, "") => Some(Self::From(number(first)?)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Between(first, last))
            }
        }
    }

    /// The bytes of so many that it selects; none when there are no such bytes.
    pub(super) fn of(self, length: u64) -> Option<Range<u64>> {
        let selected = match self {
            Self::From(first) => first..length,
            Self::Between(first, last) => first..last.saturating_add(1).min(length),
            Self::Last(count) => length.saturating_sub(count)..length,
        };
        (selected.start < selected.end).then_some(selected)
    }
}

/// Digits alone; more than fit are more than there can be.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

// === impl Wishes ===

impl Wishes {
    /// Reads a head. Ranges are for GET alone.
    pub(super) fn read(parts: &Parts) -> Self {
        let headers = &parts.headers;
        let range = match parts.method == Method::GET {
            true => only(headers, &header::RANGE).and_then(|value| value.to_str().ok()),
            false => None,
        };
        // Browsers send it as UTF-8.
        let last_event = only(headers, &LAST_EVENT_ID)
            .and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
            .filter(|id| !id.is_empty());
        let if_none_match = headers.get_all(header::IF_NONE_MATCH);
        Self {
            is_head: parts.method == Method::HEAD,
            range: range.and_then(ByteRange::parse),
            last_event: last_event.map(str::to_owned),
            if_range: headers.get(header::IF_RANGE).cloned(),
            if_none_match: if_none_match.iter().cloned().collect(),
        }
    }

    /// Whether the client has what carries this tag already. Compared weakly.
    pub(super) fn has(&self, etag: &str) -> bool {
        let lists = self.if_none_match.iter();
        let mut tags = lists.flat_map(|list| list.as_bytes().split(|&b| b == b','));
        tags.any(|tag| {
            let tag = tag.trim_ascii();
            tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == etag.as_bytes()
        })
    }

    /// The range, if it is wanted of what carries this tag.
    pub(super) fn range(&self, etag: &str) -> Option<ByteRange> {
        self.range.filter(|_| self.is_of(etag))
    }

    /// The last event that the client has, if it is of what carries this tag. A range is more exact.
    pub(super) fn last_event(&self, etag: &str) -> Option<&str> {
        let event = self.last_event.as_deref();
        event.filter(|_| self.range.is_none() && self.is_of(etag))
    }

    /// Compared strongly; a date is never ours.
    fn is_of(&self, etag: &str) -> bool {
        let tag = self.if_range.as_ref();
        tag.is_none_or(|tag| tag.as_bytes().trim_ascii() == etag.as_bytes())
    }
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::{ByteRange::*, *};

    #[test]
    fn one_range_is_read_and_all_else_ignored() {
        for (text, range) in [
            ("bytes=0-0", Some(Between(0, 0))),
            ("bytes=5-9", Some(Between(5, 9))),
            ("bytes=5-", Some(From(5))),
            ("bytes=-5", Some(Last(5))),
            ("bytes=-0", Some(Last(0))),
            ("Bytes= 5-9 ", Some(Between(5, 9))),
            ("bytes=99999999999999999999-", Some(From(u64::MAX))),
            ("bytes=0-99999999999999999999", Some(Between(0, u64::MAX))),
            ("", None),
            ("bytes", None),
            ("bytes=", None),
            ("bytes=-", None),
            ("bytes=--5", None),
            ("bytes=9-5", None),
            ("bytes=0-1,5-9", None),
            ("bytes=0-,", None),
            ("bytes=x-y", None),
            ("bytes=+1-2", None),
            ("bytes=1-2-3", None),
            ("lines=0-1", None),
        ] {
            assert_eq!(ByteRange::parse(text), range, "{text}");
        }
    }

    #[test]
    fn what_a_range_selects() {
        for (range, length, selected) in [
            (From(0), 10, Some(0..10)),
            (From(9), 10, Some(9..10)),
            (From(10), 10, None),
            (From(0), 0, None),
            (Between(2, 4), 10, Some(2..5)),
            (Between(2, u64::MAX), 10, Some(2..10)),
            (Between(10, 12), 10, None),
            (Last(3), 10, Some(7..10)),
            (Last(30), 10, Some(0..10)),
            (Last(0), 10, None),
            (Last(3), 0, None),
        ] {
            assert_eq!(range.of(length), selected, "{range:?} of {length}");
        }
    }

    fn wishes(method: &str, headers: &[(&str, &str)]) -> Wishes {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Wishes::read(&request.body(()).expect("a request").into_parts().0)
    }

    const TAG: &str = "\"id.1\"";

    #[test]
    fn tags() {
        for (value, has) in [
            (TAG, true),
            ("*", true),
            ("W/\"id.1\"", true),
            ("\"x\" , \"id.1\"", true),
            ("\"id.2\"", false),
            ("id.1", false),
            ("\"id.11\"", false),
            ("", false),
        ] {
            let wishes = wishes("GET", &[("if-none-match", value)]);
            assert_eq!(wishes.has(TAG), has, "{value}");
        }
        let two = [("if-none-match", "\"x\""), ("if-none-match", TAG)];
        assert!(wishes("GET", &two).has(TAG));
        assert!(!wishes("GET", &[]).has(TAG));
    }

    #[test]
    fn a_range_is_of_one_attempt() {
        let range = ("range", "bytes=5-");
        assert_eq!(wishes("GET", &[range]).range(TAG), Some(From(5)));
        assert_eq!(wishes("HEAD", &[range]).range(TAG), None);
        assert_eq!(wishes("GET", &[range, range]).range(TAG), None);
        for (tag, applies) in [
            (TAG, true),
            ("\"id.2\"", false),
            ("W/\"id.1\"", false),
            ("Wed, 21 Oct 2015 07:28:00 GMT", false),
        ] {
            let with = wishes("GET", &[range, ("if-range", tag)]);
            assert_eq!(with.range(TAG).is_some(), applies, "{tag}");
            let event = [("last-event-id", "7"), ("if-range", tag)];
            let event = wishes("GET", &event);
            assert_eq!(event.last_event(TAG).is_some(), applies, "{tag}");
        }
        let both = wishes("GET", &[range, ("last-event-id", "7")]);
        assert_eq!(both.last_event(TAG), None);
        let named = wishes("GET", &[("last-event-id", "ü 7")]);
        assert_eq!(named.last_event(TAG), Some("ü 7"));
        assert_eq!(
            wishes("GET", &[("last-event-id", "")]).last_event(TAG),
            None
        );
    }

    /// The slow way: each byte is asked whether it is meant.
    fn naive(range: ByteRange, content: &[u8]) -> Vec<u8> {
        let length = content.len() as u128;
        let meant = |at: u128| match range {
            From(first) => at >= u128::from(first),
            Between(first, last) => (u128::from(first)..=u128::from(last)).contains(&at),
            Last(count) => at + u128::from(count) >= length,
        };
        let bytes = content.iter().enumerate();
        bytes
            .filter(|(at, _)| meant(*at as u128))
            .map(|(_, &byte)| byte)
            .collect()
    }

    fn edge() -> impl Strategy<Value = u64> {
        prop_oneof![0u64..40, Just(u64::MAX), Just(u64::MAX - 1)]
    }

    proptest! {
        #[test]
        fn any_range_selects_what_the_slow_way_does(
            content in prop::collection::vec(any::<u8>(), 0..32),
            kind in 0..3,
            a in edge(),
            b in edge(),
        ) {
            let text = match kind {
                0 => format!("bytes={a}-"),
                1 => format!("bytes={}-{}", a.min(b), a.max(b)),
                _ => format!("bytes=-{a}"),
            };
            let range = ByteRange::parse(&text).expect("a range");
            let right = naive(range, &content);
            let selected = range.of(content.len() as u64);
            prop_assert_eq!(selected.is_none(), right.is_empty());
            if let Some(selected) = selected {
                let (start, end) = (selected.start as usize, selected.end as usize);
                prop_assert_eq!(&content[start..end], &right[..]);
            }
        }

        #[test]
        fn any_text_is_read_or_ignored(text in "(bytes=)?[-0-9, ]{0,30}|\\PC{0,30}") {
            if let Some(Between(first, last)) = ByteRange::parse(&text) {
                prop_assert!(first <= last);
            }
        }
    }
}
