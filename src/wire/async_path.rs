//! The paths under which async requests are fetched.
//!
//! ```text
//! /async              the caller's list
//! /async/{id}         status document       DELETE: cancel
//! /async/{id}/result  the model's answer
//! /async/{id}/cancel
//! ```

use http::Method;

/// A path under `/async`. What an id looks like is not its business: a malformed one is like an
/// unknown one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsyncPath<'a> {
    /// The caller's requests.
    List,
    /// The request of this id.
    Request(&'a str),
    /// Its result.
    Result(&'a str),
    /// Where it is called off.
    Cancel(&'a str),
}

// === impl AsyncPath ===

impl<'a> AsyncPath<'a> {
    /// Whether a normalised path is to be parsed as one of these. Asked of every request, so it
    /// looks at the first letters alone: what begins so and is none of them is nothing else either.
    #[inline]
    pub fn may_be(path: &str) -> bool {
        path.starts_with("/async")
    }

    /// Reads a normalised path; none when it is none of these.
    pub fn parse(path: &'a str) -> Option<Self> {
        let rest = path.strip_prefix("/async")?;
        if rest.is_empty() {
            return Some(Self::List);
        }
        let rest = rest.strip_prefix('/')?;
        let (id, tail) = match rest.split_once('/') {
            Some((id, tail)) => (id, Some(tail)),
            None => (rest, None),
        };
        if id.is_empty() {
            return None;
        }
        match tail {
            None => Some(Self::Request(id)),
            Some("result") => Some(Self::Result(id)),
            Some("cancel") => Some(Self::Cancel(id)),
            Some(_) => None,
        }
    }

    /// Whether this method is for this path.
    pub fn takes(self, method: &Method) -> bool {
        match self {
            Self::List | Self::Result(_) => matches!(*method, Method::GET | Method::HEAD),
            Self::Request(_) => matches!(*method, Method::GET | Method::HEAD | Method::DELETE),
            Self::Cancel(_) => *method == Method::POST,
        }
    }

    /// The methods that are, for `Allow`.
    pub fn allowed(self) -> &'static str {
        match self {
            Self::List | Self::Result(_) => "GET, HEAD",
            Self::Request(_) => "GET, HEAD, DELETE",
            Self::Cancel(_) => "POST",
        }
    }
}

/// What holds for any path, for fuzzing and property tests: it is none of these, or exactly the text
/// that its reading stands for; it names no deployment beside; `Allow` says what is taken.
#[cfg(any(test, fuzzing))]
pub fn any_async_path_holds(raw: &str) {
    use super::target::{Target, normalise};
    let Ok(path) = normalise(raw) else { return };
    let Some(parsed) = AsyncPath::parse(&path) else {
        // Nothing that is served begins like them.
        assert!(!AsyncPath::may_be(&path) || Target::parse(&path).is_none());
        return;
    };
    assert!(AsyncPath::may_be(&path) && Target::parse(&path).is_none());
    let (id, told) = match parsed {
        AsyncPath::List => ("-", "/async".to_owned()),
        AsyncPath::Request(id) => (id, format!("/async/{id}")),
        AsyncPath::Result(id) => (id, format!("/async/{id}/result")),
        AsyncPath::Cancel(id) => (id, format!("/async/{id}/cancel")),
    };
    assert_eq!(told, *path, "of {raw:?}");
    assert!(!id.is_empty() && !id.contains('/'), "{path:?}");
    for method in [Method::GET, Method::HEAD, Method::POST, Method::DELETE] {
        let allowed = parsed.allowed().split(", ").any(|word| word == method);
        assert_eq!(parsed.takes(&method), allowed, "{method} {path}");
    }
    assert!(!parsed.takes(&Method::PUT) && !parsed.takes(&Method::OPTIONS));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths() {
        for (path, parsed) in [
            ("/async", Some(AsyncPath::List)),
            ("/async/x", Some(AsyncPath::Request("x"))),
            ("/async/result", Some(AsyncPath::Request("result"))),
            ("/async/x/result", Some(AsyncPath::Result("x"))),
            ("/async/x/cancel", Some(AsyncPath::Cancel("x"))),
            ("/async/%E2%82%AC", Some(AsyncPath::Request("%E2%82%AC"))),
            ("/async/", None),
            ("/asynchronous", None),
            ("/async2/x", None),
            ("/Async/x", None),
            ("/async/x/", None),
            ("/async/x/other", None),
            ("/async/x/result/", None),
            ("/async/x/result/y", None),
            ("/predict/async/x", None),
            ("/", None),
        ] {
            assert_eq!(AsyncPath::parse(path), parsed, "{path}");
        }
    }

    #[test]
    fn methods() {
        let request = AsyncPath::Request("x");
        assert!(request.takes(&Method::DELETE) && !request.takes(&Method::POST));
        assert!(AsyncPath::Cancel("x").takes(&Method::POST));
        assert!(!AsyncPath::Cancel("x").takes(&Method::GET));
        assert!(!AsyncPath::List.takes(&Method::DELETE));
    }

    proptest! {
        #[test]
        fn any_path(text in any::<String>(), pieces in prop::collection::vec(PIECES, 0..6)) {
            any_async_path_holds(&text);
            any_async_path_holds(&pieces.concat());
            any_async_path_holds(&format!("/async{}", pieces.concat()));
        }
    }

    /// What such paths are made of, and what they are attacked with.
    const PIECES: &str =
        "/|/async|/result|/cancel|/[0-9A-Za-z]{33}|a|[.]|;|%61sync|%2[eEfF]|%[0-9a-fA-F]{2}|[ -~]";
}
