//! `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10): lists of items of
//! structured fields (RFC 9651), one for each quota that a request is under.
//!
//! ```text
//! RateLimit-Policy: "key";q=200;w=2, "key-day";q=100000;w=86400
//! RateLimit: "key";r=150;t=1, "key-day";r=99000;t=51234
//! ```

use std::fmt::Write;

use http::{HeaderMap, HeaderName, HeaderValue};

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The largest integer of structured fields.
const INTEGER_MAX: u64 = 999_999_999_999_999;

/// A quota, and how it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Its name: letters and dashes.
    pub name: &'static str,
    /// How many requests there may be.
    pub quota: u64,
    /// In how many seconds.
    pub window_s: u64,
    /// How many are left.
    pub left: u64,
    /// After how many seconds all are there again.
    pub reset_s: u64,
}

/// Says how the quotas stand, in place of what was said of others. Without any, nothing is changed.
pub fn put(headers: &mut HeaderMap, items: impl Iterator<Item = Item>) {
    let (mut policy, mut state) = (String::new(), String::new());
    for item in items {
        let [quota, window_s, left, reset_s] =
            [item.quota, item.window_s, item.left, item.reset_s].map(|n| n.min(INTEGER_MAX));
        let comma = if policy.is_empty() { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(policy, "{comma}\"{}\";q={quota};w={window_s}", item.name);
        let _ = write!(state, "{comma}\"{}\";r={left};t={reset_s}", item.name);
    }
    if policy.is_empty() {
        return;
    }
    for (name, text) in [(RATELIMIT_POLICY, policy), (RATELIMIT, state)] {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_items_in_place_of_what_was_said() {
        let key = Item {
            name: "key",
            quota: 200,
            window_s: 2,
            left: 150,
            reset_s: 1,
        };
        let day = Item {
            name: "key-day",
            quota: u64::MAX,
            window_s: 86_400,
            left: 99_000,
            reset_s: 51_234,
        };
        let mut headers = HeaderMap::new();
        headers.append(RATELIMIT, HeaderValue::from_static("\"theirs\";r=1"));
        headers.append(RATELIMIT, HeaderValue::from_static("\"others\";r=1"));
        put(&mut headers, [].into_iter());
        assert_eq!(headers.get_all(RATELIMIT).iter().count(), 2);
        put(&mut headers, [key].into_iter());
        assert_eq!(headers.get_all(RATELIMIT).iter().count(), 1);
        assert_eq!(headers[RATELIMIT], "\"key\";r=150;t=1");
        assert_eq!(headers[RATELIMIT_POLICY], "\"key\";q=200;w=2");
        put(&mut headers, [key, day].into_iter());
        assert_eq!(
            headers[RATELIMIT],
            "\"key\";r=150;t=1, \"key-day\";r=99000;t=51234"
        );
        assert_eq!(
            headers[RATELIMIT_POLICY],
            "\"key\";q=200;w=2, \"key-day\";q=999999999999999;w=86400"
        );
    }
}
