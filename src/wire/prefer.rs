//! Preferences of a request (RFC 7240): whether its answer may come later, and how long the client
//! waits for it at once.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header.
pub const PREFER: HeaderName = HeaderName::from_static("prefer");

/// What concerns weir of a request's preferences.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Preferences {
    /// The answer may come later.
    pub respond_async: bool,
    /// How long the client waits for it at once, in seconds. The first one counts.
    pub wait_s: Option<u32>,
}

// === impl Preferences ===

impl Preferences {
    /// Reads one header of several. What can't be read is no preference.
    pub fn add(&mut self, value: &[u8]) {
        for preference in value.split(|&byte| byte == b',') {
            match ours(preference) {
                Some(Ours::RespondAsync) => self.respond_async = true,
                Some(Ours::Wait(seconds)) => {
                    self.wait_s.get_or_insert(seconds);
                }
                None => {}
            }
        }
    }
}

/// Takes what weir itself heeds out of a request's preferences; others stay for the backend.
pub fn take_ours(headers: &mut HeaderMap) {
    let others: Vec<HeaderValue> = headers
        .get_all(&PREFER)
        .iter()
        .filter_map(|value| {
            let preferences = value.as_bytes().split(|&byte| byte == b',');
            let others: Vec<&[u8]> = preferences
                .filter(|preference| ours(preference).is_none())
                .map(<[u8]>::trim_ascii)
                .filter(|preference| !preference.is_empty())
                .collect();
            // Parts of a value are values.
            HeaderValue::from_bytes(&others.join(&b", "[..])).ok()
        })
        .filter(|value| !value.is_empty())
        .collect();
    headers.remove(&PREFER);
    for value in others {
        headers.append(PREFER, value);
    }
}

enum Ours {
    RespondAsync,
    Wait(u32),
}

fn ours(preference: &[u8]) -> Option<Ours> {
    // Parameters of a preference say nothing about these two.
    let preference = preference.split(|&byte| byte == b';').next()?.trim_ascii();
    if preference.eq_ignore_ascii_case(b"respond-async") {
        return Some(Ours::RespondAsync);
    }
    let at = preference.iter().position(|&byte| byte == b'=')?;
    let (name, value) = (
        preference[..at].trim_ascii(),
        preference[at + 1..].trim_ascii(),
    );
    if !name.eq_ignore_ascii_case(b"wait") {
        return None;
    }
    let value = value
        .strip_prefix(b"\"")
        .and_then(|v| v.strip_suffix(b"\""))
        .unwrap_or(value);
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if !digits {
        return None;
    }
    // More seconds than fit are as good as any large number of them.
    let seconds = std::str::from_utf8(value).ok()?.parse().unwrap_or(u32::MAX);
    Some(Ours::Wait(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Preferences {
        let mut preferences = Preferences::default();
        for value in values {
            preferences.add(value.as_bytes());
        }
        preferences
    }

    #[test]
    fn what_is_preferred() {
        for (values, respond_async, wait_s) in [
            (&["respond-async"][..], true, None),
            (&["Respond-Async, wait=10"], true, Some(10)),
            (&["wait = 5", "respond-async; foo=\"a\""], true, Some(5)),
            (&["wait=\"7\""], false, Some(7)),
            (&["wait=1, wait=2"], false, Some(1)),
            (&["wait=-1, respond-asynch"], false, None),
            (&["wait=99999999999"], false, Some(u32::MAX)),
            (&["return=minimal", ""], false, None),
        ] {
            let expected = Preferences {
                respond_async,
                wait_s,
            };
            assert_eq!(read(values), expected, "{values:?}");
        }
    }

    #[test]
    fn others_stay_for_the_backend() {
        let mut headers = HeaderMap::new();
        for value in [
            "respond-async, return=minimal",
            "wait=3",
            "handling=lenient,wait=1",
        ] {
            headers.append(PREFER, HeaderValue::from_static(value));
        }
        take_ours(&mut headers);
        let left: Vec<_> = headers.get_all(PREFER).iter().collect();
        assert_eq!(left, ["return=minimal", "handling=lenient"]);
    }
}
