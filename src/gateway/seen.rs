//! What weir itself wants to know of a request's headers, found in one pass over them: nine
//! look-ups by name took four times as long. Whether the head keeps the rules was seen before.

use http::{HeaderMap, HeaderValue};

use crate::{
    base::secret::{DigestMemo, KeyDigest},
    wire::{
        headers::{self, Named},
        prefer::Preferences,
    },
};

/// The keys that a request presents, as a digest: what follows has no use for the key itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presented {
    /// None.
    Nothing,
    /// One, perhaps several times over.
    Key(KeyDigest),
    /// One that can't be a key, or two that differ.
    Wrong,
}

/// A wish for an answer later.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Later {
    /// When it came as `Prefer`: what else that says.
    pub(super) preferred: Option<Preferences>,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) presented: Presented,
    /// The client's id of the request, if it is one and the only one.
    pub(super) request_id: Option<HeaderValue>,
    /// What `Connection` names.
    pub(super) named: Named,
    /// The version asked for.
    pub(super) pin: Option<HeaderValue>,
    /// The answer is wanted later.
    pub(super) later: Option<Later>,
    /// It says which attempt it is, which is weir's to say.
    pub(super) claims_attempt: bool,
    /// The client waits for `100 Continue`.
    pub(super) expects_continue: bool,
}

impl Seen {
    pub(super) fn read(map: &HeaderMap, memo: &DigestMemo) -> Self {
        let mut seen = Self {
            presented: Presented::Nothing,
            request_id: None,
            named: Named::default(),
            pin: None,
            later: None,
            claims_attempt: false,
            expects_continue: false,
        };
        let (mut key, mut conflict) = (None, false);
        let mut present = |presented| match key {
            None => key = Some(presented),
            Some(known) => conflict |= known != presented,
        };
        let mut ids = 0;
        let mut preferences = Preferences::default();
        for (name, value) in map {
            match name.as_str() {
                "authorization" => {
                    if let Some(bearer) = headers::bearer(value) {
                        present(bearer);
                    }
                }
                "x-api-key" | "key" => present(value.as_bytes().trim_ascii()),
                "x-request-id" => {
                    ids += 1;
                    let fits = ids == 1 && headers::is_request_id(value);
                    seen.request_id = fits.then(|| value.clone());
                }
                "connection" => seen.named.add(value.as_bytes()),
                "expect" => seen.expects_continue = true,
                "x-deployment-version" => seen.pin = Some(value.clone()),
                "x-async-request" => {
                    let wish = value.as_bytes().trim_ascii();
                    if wish.eq_ignore_ascii_case(b"true") {
                        seen.later.get_or_insert_default();
                    }
                }
                "x-async-attempt" => seen.claims_attempt = true,
                "prefer" => preferences.add(value.as_bytes()),
                _ => {}
            }
        }
        if preferences.respond_async {
            seen.later.get_or_insert_default().preferred = Some(preferences);
        }
        seen.presented = match key {
            _ if conflict => Presented::Wrong,
            None => Presented::Nothing,
            Some(key) => memo.digest_of(key).map_or(Presented::Wrong, Presented::Key),
        };
        seen
    }
}

/// What holds for any headers, one `name: value` a line, for fuzzing and property tests: a key is
/// presented exactly when all the places for one that are in use hold the same text, and it can be
/// a key; what weir reads of the rest has its form.
#[cfg(any(test, fuzzing))]
pub fn any_headers_hold(bytes: &[u8]) {
    let mut map = HeaderMap::new();
    for line in bytes.split(|&b| b == b'\n') {
        let mut halves = line.splitn(2, |&b| b == b':');
        let name = http::HeaderName::from_bytes(halves.next().unwrap_or_default());
        let value = HeaderValue::from_bytes(halves.next().unwrap_or_default());
        if let (Ok(name), Ok(value)) = (name, value) {
            map.append(name, value);
        }
    }
    let seen = Seen::read(&map, &DigestMemo::default());
    let mut keys: Vec<&[u8]> = Vec::new();
    for name in ["x-api-key", "key"] {
        let values = map.get_all(name).iter();
        keys.extend(values.map(|value| value.as_bytes().trim_ascii()));
    }
    keys.extend(
        map.get_all("authorization")
            .iter()
            .filter_map(headers::bearer),
    );
    let can_be_key = |key: &[u8]| {
        (16..=512).contains(&key.len()) && key.iter().all(|b| (b'!'..=b'~').contains(b))
    };
    match (seen.presented, &keys[..]) {
        (Presented::Key(digest), [first, rest @ ..]) => {
            assert!(rest.iter().all(|key| key == first) && can_be_key(first));
            assert_eq!(digest.as_bytes(), blake3::hash(first).as_bytes());
            assert_eq!(format!("{digest:?}"), "KeyDigest(***)");
        }
        (Presented::Wrong, [first, rest @ ..]) => {
            assert!(rest.iter().any(|key| key != first) || !can_be_key(first));
        }
        (presented, keys) => {
            let nothing = presented == Presented::Nothing && keys.is_empty();
            assert!(nothing, "{presented:?} of {keys:?}");
        }
    }
    for (name, value) in &map {
        let is_key = matches!(name.as_str(), "x-api-key" | "key" | "authorization");
        assert!(!(is_key && headers::goes_upstream(name, &seen.named)));
        if let Some(number) = headers::pinned_version(value, "iris") {
            let text = value.to_str().unwrap_or_default().trim();
            assert!([format!("{number}"), format!("iris_v{number}")].contains(&text.to_owned()));
        }
    }
    if let Some(id) = &seen.request_id {
        assert!((1..=128).contains(&id.len()) && id.to_str().is_ok());
    }
    if let Some(child) = headers::child_traceparent(&map, 7) {
        assert_eq!(child.as_bytes()[36..52], *b"0000000000000007");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(pairs: &[(&'static str, &'static str)]) -> Seen {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        Seen::read(&headers, &DigestMemo::default())
    }

    const KEY: &str = "0123456789abcdef";

    #[test]
    fn keys_wherever_they_stand() {
        let key = Presented::Key(KeyDigest::of_key(KEY.as_bytes()).expect("a key"));
        let bearer = "Bearer 0123456789abcdef";
        for (pairs, presented) in [
            (vec![], Presented::Nothing),
            (vec![("authorization", bearer)], key),
            (vec![("authorization", "bEARER   0123456789abcdef ")], key),
            (
                vec![("authorization", "Basic 0123456789abcdef")],
                Presented::Nothing,
            ),
            (vec![("authorization", "Bearer")], Presented::Wrong),
            (
                vec![("authorization", "Bearer0123456789abcdef")],
                Presented::Nothing,
            ),
            (vec![("x-api-key", KEY), ("key", KEY)], key),
            (
                vec![("x-api-key", KEY), ("key", "0123456789abcdeg")],
                Presented::Wrong,
            ),
            (
                vec![("x-api-key", KEY), ("x-api-key", "x")],
                Presented::Wrong,
            ),
            (
                vec![("authorization", "Bearer a"), ("key", KEY)],
                Presented::Wrong,
            ),
            (vec![("x-api-key", "")], Presented::Wrong),
            (vec![("key", "short")], Presented::Wrong),
        ] {
            assert_eq!(seen(&pairs).presented, presented, "{pairs:?}");
        }
    }

    #[test]
    fn one_id() {
        assert!(seen(&[("x-request-id", "a")]).request_id.is_some());
        assert!(seen(&[("x-request-id", "a b")]).request_id.is_none());
        let two = seen(&[("x-request-id", "a"), ("x-request-id", "b")]);
        assert!(two.request_id.is_none());
    }

    #[test]
    fn wishes() {
        assert!(seen(&[("x-async-request", "TRUE")]).later.is_some());
        assert!(seen(&[("x-async-request", "false")]).later.is_none());
        assert!(seen(&[("prefer", "wait=5")]).later.is_none());
        let later = seen(&[("prefer", "wait=5"), ("prefer", "Respond-Async")]).later;
        let preferred = later.expect("later").preferred.expect("preferred");
        assert_eq!(preferred.wait_s, Some(5));
        assert!(seen(&[("expect", "100-continue")]).expects_continue);
        assert!(seen(&[("x-deployment-version", "2")]).pin.is_some());
    }

    proptest! {
        #[test]
        fn any_headers(
            noise in prop::collection::vec(any::<u8>(), 0..100),
            lines in prop::collection::vec(LINES, 0..6),
        ) {
            any_headers_hold(&noise);
            any_headers_hold(lines.concat().as_bytes());
        }
    }

    /// What heads are made of, and what they are attacked with.
    const LINES: &str = "(authorization:[bB]earer *|x-api-key: ?|key: ?)(a{15,17}|0123456789abcdef|[!-~]{0,20}) ?\n|(host|x-request-id|x-deployment-version):(iris_v)?[ -~]{0,9}\n|traceparent:[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-0[0-9]\n";
}
