//! Bodies as JSON, read strictly: UTF-8, one value and nothing behind it, no member twice (parsers
//! differ on which of the two counts, so what one program checked another would not see), nested
//! 127 deep at most.

use std::{fmt, time::Duration};

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use super::{Shared, problem::Problem};

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// A body that has to be there.
pub(super) struct Json(pub(super) Value);

/// A body that may be left out, or be null; an empty table then.
pub(super) struct MaybeJson(pub(super) Value);

/// A body as it came, with its headers.
pub(super) struct Raw {
    /// Whether it is JSON.
    pub(super) is_json: bool,
    /// What came.
    pub(super) bytes: Vec<u8>,
}

impl FromRequest<Shared> for Json {
    type Rejection = Problem;

    async fn from_request(request: Request, plane: &Shared) -> Result<Self, Problem> {
        let bytes = read(request.into_body(), plane.options.body_bytes_max).await?;
        parse(&bytes).map(Self)
    }
}

impl FromRequest<Shared> for MaybeJson {
    type Rejection = Problem;

    async fn from_request(request: Request, plane: &Shared) -> Result<Self, Problem> {
        let bytes = read(request.into_body(), plane.options.body_bytes_max).await?;
        let value = match bytes.is_empty() {
            true => Value::Null,
            false => parse(&bytes)?,
        };
        Ok(Self(match value {
            Value::Null => Value::Object(Map::new()),
            value => value,
        }))
    }
}

impl FromRequest<Shared> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, plane: &Shared) -> Result<Self, Problem> {
        let is_json = media_type(request.headers()).as_deref() == Some("application/json");
        let bytes = read(request.into_body(), plane.options.body_bytes_max).await?;
        Ok(Self { is_json, bytes })
    }
}

/// The media type of a body, in lower case and without its parameters.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let kind = value.split(';').next().unwrap_or_default();
    Some(kind.trim().to_ascii_lowercase())
}

/// What is told to whoever sends too much.
pub(super) fn too_large(bytes_max: usize) -> Problem {
    let words = format!("the body is larger than {bytes_max} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", words)
}

async fn read(body: Body, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    read_within(BODY_TIMEOUT, body, bytes_max).await
}

async fn read_within(limit: Duration, body: Body, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    let whole = Limited::new(body, bytes_max).collect();
    match tokio::time::timeout(limit, whole).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes().into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(bytes_max)),
        Ok(Err(_)) => Err(Problem::invalid("the body broke off or is badly framed")),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_too_slow",
            "the body took too long to arrive",
        )),
    }
}

/// Parses one JSON value.
///
/// # Errors
/// 400 with the place of the first thing that is wrong.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    if bytes.is_empty() {
        return Err(Problem::invalid("the body is missing; send JSON"));
    }
    match serde_json::from_slice::<Strict>(bytes) {
        Ok(Strict(value)) => Ok(value),
        Err(error) => Err(Problem::invalid(format!("the body is not JSON: {error}"))),
    }
}

/// JSON without repeated members.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Strict, E> {
        Ok(Strict(Value::Null))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Strict, E> {
        Ok(Strict(flag.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Strict, E> {
        Ok(Strict(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Strict, E> {
        Ok(Strict(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Strict, E> {
        Ok(Strict(number.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Strict, E> {
        Ok(Strict(text.into()))
    }

    fn visit_string<E>(self, text: String) -> Result<Strict, E> {
        Ok(Strict(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Strict, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Strict(list.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Strict, A::Error> {
        let mut table = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let Strict(value) = members.next_value()?;
            if table.insert(name, value).is_some() {
                // The name is not repeated: a secret may have slipped into it.
                return Err(A::Error::custom("a member stands twice in one object"));
            }
        }
        Ok(Strict(table.into()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_read_strictly() {
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        for (text, good) in [
            (
                r#"{"a": [1, -1, 1.5, null, true, "x"], "b": {"a": 1}}"#.as_bytes(),
                true,
            ),
            (deep(127).as_bytes(), true),
            (b"", false),
            (b"{\"a\": 1, \"a\": 1}", false),
            (b"{\"a\": {\"b\": 1, \"\\u0062\": 2}}", false),
            (b"{} {}", false),
            (b"{}x", false),
            (b"\xef\xbb\xbf{}", false),
            (b"{\"a\": \"\xff\"}", false),
            (b"{\"a\": \"\\ud800\"}", false),
            (b"{'a': 1}", false),
            (b"[1,]", false),
            (b"NaN", false),
            (b"1e999", false),
            (deep(128).as_bytes(), false),
            (deep(100_000).as_bytes(), false),
        ] {
            let shown = String::from_utf8_lossy(&text[..text.len().min(40)]).into_owned();
            assert_eq!(parse(text).is_ok(), good, "{shown}");
        }
        let value = parse(br#"{"z": 1, "a": [1.0, 18446744073709551615]}"#).expect("good");
        assert_eq!(value, json!({"z": 1, "a": [1.0, u64::MAX]}));
    }

    #[test]
    fn what_is_wrong_is_said_without_repeating_the_body() {
        for text in ["{\"wk_secret\": 1, \"wk_secret\": 2}", "{\"a\": wk_secret}"] {
            let problem = parse(text.as_bytes()).expect_err(text);
            assert!(
                !problem.detail().contains("wk_secret"),
                "{}",
                problem.detail()
            );
        }
    }

    #[tokio::test]
    async fn a_body_is_bounded_however_it_is_cut() {
        let parts = || {
            let parts = vec![
                Ok::<_, std::io::Error>("12345".to_owned()),
                Ok("67890".into()),
            ];
            Body::from_stream(futures_util::stream::iter(parts))
        };
        assert_eq!(read(parts(), 10).await.expect("fits"), b"1234567890");
        let refused = read(parts(), 9).await.expect_err("one too many");
        assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up() {
        let stalled = futures_util::stream::pending::<Result<String, std::io::Error>>();
        let limit = Duration::from_millis(1);
        let read = read_within(limit, Body::from_stream(stalled), 10).await;
        let refused = read.expect_err("slow");
        assert_eq!(refused.status(), StatusCode::REQUEST_TIMEOUT);
    }

    #[test]
    fn a_media_type_is_read_without_its_parameters() {
        let mut headers = HeaderMap::new();
        let value = header::HeaderValue::from_static("Application/JSON; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, value);
        assert_eq!(media_type(&headers).as_deref(), Some("application/json"));
    }
}
