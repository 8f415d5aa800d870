//! The text of an answer: of streams, what their events say one behind the other.
//!
//! ```text
//! events ──data──┐
//! lines ─────────┼──▶ pieces ──▶ text at the pointer, or at a usual place ──▶ joined
//! one JSON text ─┘           └─▶ no place in any of them: the pieces themselves
//! text ──────────────────────────────────────────────────────────────────────▶ as it is
//! ```

use std::borrow::Cow;

use super::{
    Uncompared,
    content::{Content, is_latin1},
    node::{self, Node},
};
use crate::spec::JsonPointer;

/// Where servers put the text: of chat and completion streams, of text-generation servers, of this
/// program's own samples, and the same in answers of one piece. The first that is a string counts.
const USUAL_PLACES: [&[&str]; 13] = [
    &["choices", "0", "delta", "content"],
    &["choices", "0", "message", "content"],
    &["choices", "0", "text"],
    &["token", "text"],
    &["token"],
    &["text"],
    &["content"],
    &["delta", "text"],
    &["message", "content"],
    &["output"],
    &["response"],
    &["generated_text"],
    &["0", "generated_text"],
];

/// What ends some streams: no text.
const DONE: &str = "[DONE]";

/// Joins the texts of pieces.
struct Joiner<'p> {
    pointer: Option<&'p JsonPointer>,
    /// Texts that were found at a place, and pieces that are no JSON object.
    text: String,
    /// The same with those pieces that have no text at any place.
    whole: String,
    /// Whether any piece had text at a place.
    is_placed: bool,
}

/// The text of a body.
///
/// # Errors
/// [`Uncompared::Unreadable`] when it is no text, or there is none at the declared pointer.
pub(super) fn text_of<'a>(
    body: &'a [u8],
    content: Content,
    content_type: Option<&str>,
    pointer: Option<&JsonPointer>,
) -> Result<Cow<'a, str>, Uncompared> {
    let text = match std::str::from_utf8(body) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) if is_latin1(content_type) => body.iter().map(|&byte| char::from(byte)).collect(),
        Err(_) => return Err(Uncompared::Unreadable),
    };
    let mut joiner = Joiner {
        pointer,
        text: String::new(),
        whole: String::new(),
        is_placed: false,
    };
    match content {
        Content::Events => each_event(&text, |data| joiner.push(data)),
        Content::Lines => text
            .split(['\n', '\r'])
            .filter(|line| !line.trim().is_empty())
            .for_each(|line| joiner.push(line)),
        Content::Json => joiner.push(&text),
        Content::Text | Content::Bytes | Content::Unknown => {
            // A pointer says that it is JSON; a body of which nobody says what it is may well be.
            if pointer.is_none() && (content != Content::Unknown || node::read(body).is_err()) {
                return Ok(text);
            }
            joiner.push(&text);
        }
    }
    joiner.end().map(Cow::Owned)
}

/// Calls for the data of each event, by the HTML standard's section on server-sent events, but for an
/// event at the end that no blank line has closed: it counts, for the stream has come to its end.
fn each_event(stream: &str, mut event: impl FnMut(&str)) {
    let stream = stream.strip_prefix('\u{FEFF}').unwrap_or(stream);
    let mut data: Option<Cow<'_, str>> = None;
    // A CR LF ends one line, not two: the empty line between would close an event.
    let lines = stream.split_inclusive(['\n', '\r']);
    let mut was_cr = false;
    for line in lines {
        let is_rest = was_cr && line == "\n";
        was_cr = line.ends_with('\r');
        if is_rest {
            continue;
        }
        let line = line.strip_suffix(['\n', '\r']).unwrap_or(line);
        if line.is_empty() {
            if let Some(data) = data.take() {
                event(&data);
            }
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        if name == "data" {
            let value = value.strip_prefix(' ').unwrap_or(value);
            data = Some(match data {
                None => Cow::Borrowed(value),
                Some(lines) => {
                    let mut lines = lines.into_owned();
                    lines.push('\n');
                    lines.push_str(value);
                    Cow::Owned(lines)
                }
            });
        }
    }
    if let Some(data) = data {
        event(&data);
    }
}

// === impl Joiner ===

impl Joiner<'_> {
    fn push(&mut self, piece: &str) {
        if piece.trim() == DONE {
            return;
        }
        // Only what has members or items can have a place, unless the pointer is the whole.
        let is_deep = piece.trim_start().starts_with(['{', '[']);
        let json = if is_deep || self.pointer.is_some() {
            node::read(piece.as_bytes()).ok()
        } else {
            None
        };
        let found = json.as_ref().and_then(|json| self.find(json));
        if let Some(text) = found {
            self.is_placed = true;
            self.text.push_str(text);
            self.whole.push_str(text);
            return;
        }
        self.whole.push_str(piece);
        if json.is_none() {
            self.text.push_str(piece);
        }
    }

    fn find<'n>(&self, json: &'n Node<'_>) -> Option<&'n str> {
        if let Some(pointer) = self.pointer {
            return json.at(pointer)?.text();
        }
        let at = |place: &&[&str]| json.follow(place.iter().copied())?.text();
        USUAL_PLACES.iter().find_map(at)
    }

    fn end(self) -> Result<String, Uncompared> {
        match (self.is_placed, self.pointer) {
            (true, _) => Ok(self.text),
            // Pieces without text (roles, usage) count only where no piece has any.
            (false, None) => Ok(self.whole),
            (false, Some(_)) => Err(Uncompared::Unreadable),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(content_type: &str, body: &str, pointer: Option<&str>, text: Option<&str>) {
        let pointer = pointer.map(|pointer| JsonPointer::parse(pointer).expect("a pointer"));
        let content = Content::new(Some(content_type).filter(|name| !name.is_empty()));
        let found = text_of(
            body.as_bytes(),
            content,
            Some(content_type),
            pointer.as_ref(),
        );
        assert_eq!(found.ok().as_deref(), text, "{content_type} {body:?}");
    }

    #[test]
    fn events() {
        let check = |body, text| check("text/event-stream", body, None, Some(text));
        check("data: a\n\ndata:b\n\n", "ab");
        check("\u{FEFF}data: a\r\n\r\ndata: b\r\rdata: c\n\n", "abc");
        check("data: a\r\ndata: b\r\n\r\n", "a\nb");
        check("data: a\ndata\ndata:  b\n\n", "a\n\n b");
        check(": note\nevent: x\nid: 1\ndata: a\nretry: 5\n\n", "a");
        check("data: a\n\ndata: unclosed", "aunclosed");
        check("data: a\n\ndata: [DONE]\n\n", "a");
        check("", "");
        check(
            "data: {\"token\":\"a\",\"index\":0}\n\ndata: {\"token\":\" b\"}\n\ndata: [DONE]\n\n",
            "a b",
        );
        check(
            "data: {\"token\":{\"text\":\"a\"}}\n\ndata: {\"token\":{\"text\":\"b\"},\"generated_text\":\"ab\"}\n\n",
            "ab",
        );
        check(
            "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n\
             data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n\
             data: {\"choices\":[],\"usage\":{\"tokens\":3}}\n\ndata: [DONE]\n\n",
            "Hi",
        );
        check(
            "event: message_start\ndata: {\"type\":\"message_start\"}\n\n\
             event: content_block_delta\ndata: {\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n",
            "Hi",
        );
        // Nothing usual in any of them.
        check(
            "data: {\"a\":1}\n\ndata: {\"a\":2}\n\n",
            "{\"a\":1}{\"a\":2}",
        );
        check("data: 5\n\ndata: \"x\"\n\n", "5\"x\"");
    }

    #[test]
    fn other_texts() {
        check(
            "application/x-ndjson",
            "{\"response\":\"a\"}\r\n\n{\"response\":\"b\"}\n",
            None,
            Some("ab"),
        );
        check(
            "application/json",
            "{\"choices\":[{\"message\":{\"content\":\"a\"}}]}",
            None,
            Some("a"),
        );
        check("application/json", "{\"x\":1}", None, Some("{\"x\":1}"));
        check(
            "text/plain",
            "{\"text\":\"a\"}",
            None,
            Some("{\"text\":\"a\"}"),
        );
        check("", "{\"text\":\"a\"}", None, Some("a"));
        check("", "a", None, Some("a"));
        check("text/plain", "{\"x\":\"a\"}", Some("/x"), Some("a"));
        check("application/json", "\"a\"", Some(""), Some("a"));
        check("application/json", "{\"x\":1}", Some("/x"), None);
        check("application/json", "{\"text\":\"b\"}", Some("/x"), None);
        check(
            "text/event-stream",
            "data: {\"x\":\"a\"}\n\ndata: {\"y\":\"a\"}\n\n",
            Some("/x"),
            Some("a"),
        );
        check("text/plain", "a", Some("/x"), None);
        let latin1 = |content_type| text_of(b"\xe9", Content::Text, Some(content_type), None);
        assert_eq!(latin1("text/plain"), Err(Uncompared::Unreadable));
        assert_eq!(latin1("text/plain; charset=ISO-8859-1").as_deref(), Ok("é"));
    }

    proptest! {
        #[test]
        fn any_lines_come_back(
            events in prop::collection::vec(prop::collection::vec("[a-z:]{0,4}( [a-z]{1,3})?", 1..4), 0..6),
            end in "\n|\r|\r\n",
        ) {
            let data = |lines: &Vec<String>| {
                let lines = lines.iter().map(|line| format!("data: {line}{end}"));
                lines.chain([end.clone()]).collect::<String>()
            };
            let stream: String = events.iter().map(data).collect();
            let mut found = Vec::new();
            each_event(&stream, |data| found.push(data.to_owned()));
            let wanted: Vec<_> = events.iter().map(|lines| lines.join("\n")).collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
