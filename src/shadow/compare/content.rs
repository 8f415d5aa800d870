//! What a body is, by its content type.

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// A JSON text.
    Json,
    /// Server-sent events.
    Events,
    /// JSON texts, one a line.
    Lines,
    /// Other text.
    Text,
    /// Anything else.
    Bytes,
    /// Nobody says.
    Unknown,
}

const LINES: [&str; 5] = [
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/jsonlines",
];

// === impl Content ===

impl Content {
    /// By the header, parameters apart.
    pub(super) fn new(content_type: Option<&str>) -> Self {
        let Some(content_type) = content_type else {
            return Self::Unknown;
        };
        let name = content_type.split(';').next().unwrap_or_default().trim();
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let starts = |with: &str| {
            let head = name.as_bytes().get(..with.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(with.as_bytes()))
        };
        let ends_in_json =
            name.len() > 5 && name.as_bytes()[name.len() - 5..].eq_ignore_ascii_case(b"+json");
        if name.is_empty() {
            Self::Unknown
        } else if is("application/json") || ends_in_json {
            Self::Json
        } else if is("text/event-stream") {
            Self::Events
        } else if LINES.iter().any(|other| is(other)) {
            Self::Lines
        } else if starts("text/") {
            Self::Text
        } else {
            Self::Bytes
        }
    }
}

/// Whether the header says that the text is ISO 8859-1, of which every byte is a character.
pub(super) fn is_latin1(content_type: Option<&str>) -> bool {
    let parameters = content_type.unwrap_or_default().split(';').skip(1);
    parameters.map(str::trim).any(|parameter| {
        let Some((name, value)) = parameter.split_once('=') else {
            return false;
        };
        let value = value.trim().trim_matches('"');
        let is_latin1 = ["iso-8859-1", "latin1"].iter();
        name.trim().eq_ignore_ascii_case("charset")
            && is_latin1
                .into_iter()
                .any(|charset| value.eq_ignore_ascii_case(charset))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents() {
        for (content_type, content) in [
            ("application/json", Content::Json),
            ("Application/JSON; charset=utf-8", Content::Json),
            ("application/problem+json", Content::Json),
            ("text/event-stream;charset=utf-8", Content::Events),
            ("application/x-ndjson", Content::Lines),
            ("text/plain", Content::Text),
            ("TEXT/HTML", Content::Text),
            ("text", Content::Bytes),
            ("+json", Content::Bytes),
            ("application/octet-stream", Content::Bytes),
            ("é", Content::Bytes),
            ("", Content::Unknown),
        ] {
            assert_eq!(Content::new(Some(content_type)), content, "{content_type}");
        }
        assert_eq!(Content::new(None), Content::Unknown);
        for (content_type, is) in [
            ("text/plain", false),
            ("text/plain; charset=ISO-8859-1", true),
            ("text/plain; x=y; Charset=\"latin1\"", true),
            ("text/plain; charset=utf-8", false),
        ] {
            assert_eq!(is_latin1(Some(content_type)), is, "{content_type}");
        }
    }
}
