//! What a submission wishes of the queue, from its head.

use http::{HeaderMap, HeaderName};

use crate::fault::{Code, Fault};

/// What makes a submission the same as an earlier one.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// How long one attempt may take, in seconds.
pub(super) const X_REQUEST_TIMEOUT: HeaderName = HeaderName::from_static("x-request-timeout");

/// How long a request may take from its acceptance to its end, in seconds.
pub(super) const X_FULL_LIVE_TIMEOUT: HeaderName = HeaderName::from_static("x-full-live-timeout");

/// Who is told of its end.
pub(super) const X_WEBHOOK_URL: HeaderName = HeaderName::from_static("x-webhook-url");

/// The longest that one attempt may be given: a day.
const ATTEMPT_MAX_S: u64 = 86_400;

/// The longest that a request may be given: a week.
const DEADLINE_MAX_S: u64 = 7 * 86_400;

/// The longest idempotency key, in bytes.
const IDEMPOTENCY_KEY_MAX: usize = 255;

/// What the head wishes of the queue.
pub(super) struct Wishes {
    pub(super) attempt_ms: Option<u64>,
    pub(super) deadline_ms: Option<u64>,
    pub(super) webhook: Option<String>,
    pub(super) once: Option<String>,
}

// === impl Wishes ===

impl Wishes {
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Fault> {
        let attempt_s = seconds(headers, &X_REQUEST_TIMEOUT, ATTEMPT_MAX_S)?;
        let deadline_s = seconds(headers, &X_FULL_LIVE_TIMEOUT, DEADLINE_MAX_S)?;
        let once = one(headers, &IDEMPOTENCY_KEY)?;
        let fits = |key: &str| {
            (1..=IDEMPOTENCY_KEY_MAX).contains(&key.len())
                && key.bytes().all(|b| b.is_ascii_graphic())
        };
        if once.is_some_and(|key| !fits(key)) {
            return Err(malformed(&IDEMPOTENCY_KEY));
        }
        Ok(Self {
            attempt_ms: attempt_s.map(|s| s * 1_000),
            deadline_ms: deadline_s.map(|s| s * 1_000),
            webhook: one(headers, &X_WEBHOOK_URL)?.map(str::to_owned),
            once: once.map(str::to_owned),
        })
    }
}

fn seconds(headers: &HeaderMap, name: &HeaderName, most: u64) -> Result<Option<u64>, Fault> {
    let Some(text) = one(headers, name)? else {
        return Ok(None);
    };
    let seconds = text.parse::<u64>().ok();
    let seconds = seconds.filter(|seconds| (1..=most).contains(seconds));
    seconds.map(Some).ok_or_else(|| malformed(name))
}

/// The one value of a header that may come once.
fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Fault> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(text) => Ok(Some(text.trim())),
            Err(_) => Err(malformed(name)),
        },
        (Some(_), Some(_)) => Err(malformed(name)),
    }
}

pub(super) fn malformed(name: &HeaderName) -> Fault {
    Fault::because(Code::AsyncHeaderInvalid, name)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn wishes(pairs: &[(&'static str, &'static str)]) -> Result<Wishes, Fault> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        Wishes::read(&headers)
    }

    #[test]
    fn what_a_head_may_wish() {
        let read = wishes(&[
            ("x-request-timeout", "30"),
            ("x-full-live-timeout", "604800"),
            ("idempotency-key", "a-1"),
        ]);
        let read = read
            .map_err(|fault| fault.to_string())
            .expect("well formed");
        assert_eq!(read.attempt_ms, Some(30_000));
        assert_eq!(read.deadline_ms, Some(604_800_000));
        assert_eq!(read.once.as_deref(), Some("a-1"));
        for bad in [
            ("x-request-timeout", "0"),
            ("x-request-timeout", "86401"),
            ("x-request-timeout", "1.5"),
            ("x-request-timeout", ""),
            ("x-full-live-timeout", "-1"),
            ("x-full-live-timeout", "604801"),
            ("idempotency-key", ""),
            ("idempotency-key", "two words"),
        ] {
            let fault = wishes(&[bad]).err().expect("malformed");
            assert_eq!(fault.code(), Code::AsyncHeaderInvalid, "{bad:?}");
        }
        let twice = wishes(&[("x-request-timeout", "1"), ("x-request-timeout", "1")]);
        assert!(twice.is_err());
    }
}
