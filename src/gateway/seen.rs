//! What weir itself wants to know of a request's headers, found in one pass over them: nine
//! look-ups by name took four times as long.

use http::{HeaderMap, HeaderValue, header};

use crate::{
    base::secret::KeyDigest,
    wire::headers::{self, Named},
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
    pub(super) is_async: bool,
    /// The client waits for `100 Continue`.
    pub(super) expects_continue: bool,
    /// There is exactly one `Host`, and it can be one.
    pub(super) has_one_host: bool,
}

impl Seen {
    pub(super) fn read(map: &HeaderMap) -> Self {
        let mut seen = Self {
            presented: Presented::Nothing,
            request_id: None,
            named: Named::default(),
            pin: None,
            is_async: false,
            expects_continue: false,
            has_one_host: false,
        };
        let (mut key, mut conflict) = (None, false);
        let mut present = |presented| match key {
            None => key = Some(presented),
            Some(known) => conflict |= known != presented,
        };
        let (mut hosts, mut ids) = (0, 0);
        for (name, value) in map {
            match name.as_str() {
                "host" => {
                    hosts += 1;
                    seen.has_one_host = hosts == 1 && headers::is_host(value);
                }
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
                    seen.is_async = wish.eq_ignore_ascii_case(b"true");
                }
                _ => {}
            }
        }
        seen.presented = match key {
            _ if conflict => Presented::Wrong,
            None => Presented::Nothing,
            Some(key) => KeyDigest::of_key(key).map_or(Presented::Wrong, Presented::Key),
        };
        debug_assert!(map.contains_key(header::HOST) || !seen.has_one_host);
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(pairs: &[(&'static str, &'static str)]) -> Seen {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        Seen::read(&headers)
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
    fn one_host_and_one_id() {
        assert!(seen(&[("host", "a:80")]).has_one_host);
        assert!(seen(&[("host", "[::1]:80")]).has_one_host);
        for bad in [
            &[][..],
            &[("host", "")],
            &[("host", "a b")],
            &[("host", "a"), ("host", "a")],
        ] {
            assert!(!seen(bad).has_one_host, "{bad:?}");
        }
        assert!(seen(&[("x-request-id", "a")]).request_id.is_some());
        assert!(seen(&[("x-request-id", "a b")]).request_id.is_none());
        let two = seen(&[("x-request-id", "a"), ("x-request-id", "b")]);
        assert!(two.request_id.is_none());
    }

    #[test]
    fn wishes() {
        assert!(seen(&[("x-async-request", "TRUE")]).is_async);
        assert!(!seen(&[("x-async-request", "false")]).is_async);
        assert!(seen(&[("expect", "100-continue")]).expects_continue);
        assert!(seen(&[("x-deployment-version", "2")]).pin.is_some());
    }
}
