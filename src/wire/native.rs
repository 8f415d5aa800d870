//! The native dialect: faults as `application/problem+json` (RFC 9457).

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::fault::{Fault, Retry};

#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    request_id: &'a str,
}

/// Status, headers and body of a fault. Only the catalogue's public words are in it.
pub fn render(fault: &Fault, request_id: &str) -> (StatusCode, HeaderMap, Bytes) {
    let entry = fault.entry();
    let problem = Problem {
        kind: "about:blank",
        title: entry.title,
        status: entry.status,
        detail: fault.detail(),
        code: entry.code,
        request_id,
    };
    // Strings and a number always serialise; an empty body is what is left if they did not.
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let status = StatusCode::from_u16(entry.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    match (entry.status, fault.retry()) {
        (401, _) => {
            let scheme = HeaderValue::from_static("Bearer");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        (429 | 503, Retry::AfterSeconds(seconds)) => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        _ => {}
    }
    (status, headers, body.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Code;

    #[test]
    fn a_problem_says_the_public_words_only() {
        let fault = Fault::because(Code::BackendUnreachable, "http://127.0.0.1:9001: refused");
        let (status, headers, body) = render(&fault, "r\"1");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(status, 503);
        assert_eq!(headers[header::RETRY_AFTER], "1");
        assert_eq!(body["code"], "backend_unreachable");
        assert_eq!(body["request_id"], "r\"1");
        assert!(!body.to_string().contains("127.0.0.1"));
        let fault = Fault::after_ms(Code::RateLimited, 2_500);
        assert_eq!(render(&fault, "r").1[header::RETRY_AFTER], "3");
    }
}
