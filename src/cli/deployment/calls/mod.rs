//! Calls of a deployment that are ready to be pasted: predict, stream and async, in three languages.
//!
//! ```text
//! curl.sh, python.py, javascript.mjs ──cut at their headings──▶ template ──▶ URLs, then the input
//! ```
//!
//! Each block stands by itself, reads the key from the environment and needs nothing but its language.

mod literal;

use std::fmt::Write;

use serde_json::{Value, json};

use self::literal::{Literal, survives_javascript};

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Language {
    Curl,
    Python,
    Javascript,
}

/// A way to call a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    /// The whole answer at once
    Predict,
    /// The answer as it comes
    Stream,
    /// Accepted now, fetched later
    Async,
}

/// All languages, in the order in which they are shown.
pub(super) const LANGUAGES: [Language; 3] =
    [Language::Curl, Language::Python, Language::Javascript];

/// All ways, likewise.
pub(super) const KINDS: [Kind; 3] = [Kind::Predict, Kind::Stream, Kind::Async];

/// A line with this is not there in a call that needs no key.
const KEY_LINE: &str = "WEIR_API_KEY";

/// A call of a deployment that the API showed, under its heading.
pub(super) fn block(deployment: &Value, language: Language, kind: Kind) -> String {
    let text = |member: &str| deployment[member].as_str().unwrap_or("");
    let own = &deployment["version"]["input_example"];
    // `null` is what the API shows where there is none.
    let example = Some(own).filter(|example| !example.is_null());
    // An async request belongs to the key that it came with.
    let needs_key = text("access") != "public" || kind == Kind::Async;
    let (predict_url, stream_url) = (text("predict_url"), text("stream_url"));
    let data_url = predict_url.split("/predict/").next().unwrap_or("");

    let mut lines = Vec::new();
    for (at, line) in language.template(kind).lines().enumerate() {
        if needs_key || !line.contains(KEY_LINE) {
            lines.push(line.to_owned());
        }
        if at == 0 && example.is_none() {
            let comment = language.comment();
            lines.push(format!(
                "{comment} {{}} stands for the model's input: the version has no input_example."
            ));
        }
    }
    if !needs_key {
        // Whatever was there for the key alone.
        lines.retain(|line| line != "import os");
    }
    let placeholder = json!({});
    let input = example.unwrap_or(&placeholder);
    let mut text = lines.join("\n");
    let mut literal = language.literal(input);
    if language == Language::Javascript && !survives_javascript(input) {
        // As a text, which is sent to the letter.
        text = text.replace("JSON.stringify({{input}})", "{{input}}");
        literal = Literal::Json.of(&json!(literal));
    }
    text.replace("{{predict_url}}", &quoted(predict_url))
        .replace("{{stream_url}}", &quoted(stream_url))
        .replace("{{data_url}}", &quoted(data_url))
        // Last, since it may hold anything.
        .replace("{{input}}", &literal)
}

// === impl Language ===

impl Language {
    /// The part of its file that shows a way to call.
    fn template(self, kind: Kind) -> &'static str {
        let file = match self {
            Self::Curl => include_str!("curl.sh"),
            Self::Python => include_str!("python.py"),
            Self::Javascript => include_str!("javascript.mjs"),
        };
        let word = match kind {
            Kind::Predict => ": predict\n",
            Kind::Stream => ": stream\n",
            Kind::Async => ": async\n",
        };
        let heading = file.find(word).unwrap_or(0);
        let start = file[..heading].rfind('\n').map_or(0, |at| at + 1);
        let next = format!("\n\n{} ", self.heading());
        let end = file[start..].find(&next);
        file[start..][..end.unwrap_or(file.len() - start)].trim_end()
    }

    fn heading(self) -> &'static str {
        match self {
            Self::Curl => "# cURL:",
            Self::Python => "# Python:",
            Self::Javascript => "// JavaScript:",
        }
    }

    fn comment(self) -> &'static str {
        match self {
            Self::Curl | Self::Python => "#",
            Self::Javascript => "//",
        }
    }

    /// JSON as it stands in a program.
    fn literal(self, json: &Value) -> String {
        match self {
            // In single quotes, which end where another one stands.
            Self::Curl => Literal::Json.of(json).replace('\'', r"'\''"),
            Self::Python => Literal::Python.of(json),
            Self::Javascript => Literal::Json.of(json),
        }
    }
}

/// A URL as it stands between quotes of any language. The settings take any, so this takes any.
fn quoted(url: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"'\"\\$`{}".contains(&byte);
    let mut quoted = String::with_capacity(url.len());
    for byte in url.bytes() {
        if is_plain(byte) {
            quoted.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(quoted, "%{byte:02X}");
        }
    }
    quoted
}

#[cfg(test)]
mod tests;
