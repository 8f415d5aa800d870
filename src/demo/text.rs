//! The text model: trigrams over the words of `corpus.txt`, learnt when the model starts.
//!
//! The next token is drawn from those that followed the last two. A share of the draws, by absolute
//! discounting, backs off to those that followed the last one, so that a pair seen once does not
//! tie the text to its source. A word that the corpus never used backs off to a sentence's start.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::Value;

use crate::base::chance::Chance;

/// Written for this model, so it is under weir's own licence.
const CORPUS: &str = include_str!("corpus.txt");

/// What absolute discounting takes from each distinct continuation of a pair (Ney, Essen, Kneser
/// 1994 estimate 0.5 to 0.8 for large corpora; a small one repeats less, and half of that keeps
/// the sentences whole).
const DISCOUNT: f64 = 0.3;

/// Tokens when the request names no number, and at most.
const TOKENS_DEFAULT: u64 = 64;
const TOKENS_MAX: u64 = 1_024;

/// A word's place in [`Trigrams::words`].
type Word = u32;

/// What followed what in the corpus.
#[derive(Debug)]
pub(super) struct Trigrams {
    /// Each distinct token as it is sent: a word brings the space before it, punctuation none.
    words: Vec<String>,
    by_text: HashMap<&'static str, Word>,
    after_two: HashMap<(Word, Word), Followers>,
    after_one: HashMap<Word, Followers>,
    /// The full stop: what stands before a sentence's start.
    stop: Word,
}

/// The continuations of a context, each as often as it occurred.
#[derive(Debug, Default)]
struct Followers {
    all: Vec<Word>,
    /// The share of draws that should back off.
    back_off: f64,
}

/// What a client asked for.
#[derive(Debug, PartialEq)]
pub(super) struct TextRequest {
    pub(super) prompt: String,
    pub(super) tokens: u64,
    pub(super) seed: Option<u64>,
}

/// A text on its way: an iterator of tokens.
#[derive(Debug)]
pub(super) struct Continuation {
    model: Arc<Trigrams>,
    chance: Chance,
    last: (Word, Word),
    left: u64,
}

/// Why a body is no text request. Its words go to the client.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum TextInputError {
    #[error("the body is not JSON: {0}; {EXPECTED}")]
    Json(String),
    #[error("\"prompt\" is missing or not a string; {EXPECTED}")]
    Prompt,
    #[error("\"max_tokens\" is not a whole number from 1 to {TOKENS_MAX}; {EXPECTED}")]
    Tokens,
    #[error("\"seed\" is not a whole number from 0 to 2^64 - 1; {EXPECTED}")]
    Seed,
}

const EXPECTED: &str = "expected {\"prompt\": \"...\", \"max_tokens\": 64, \"seed\": 1}, the last \
                        two optional";

// === impl Trigrams ===

impl Trigrams {
    /// Learns the corpus.
    pub(super) fn learn() -> Self {
        let mut model = Self {
            words: Vec::new(),
            by_text: HashMap::new(),
            after_two: HashMap::new(),
            after_one: HashMap::new(),
            stop: 0,
        };
        let text: Vec<Word> = tokens(CORPUS).map(|token| model.intern(token)).collect();
        model.stop = model.intern(".");
        // In a circle, so that the corpus's last words have a continuation too.
        for (at, &first) in text.iter().enumerate() {
            let second = text[(at + 1) % text.len()];
            let third = text[(at + 2) % text.len()];
            let pair = model.after_two.entry((first, second)).or_default();
            pair.all.push(third);
            model.after_one.entry(first).or_default().all.push(second);
        }
        for followers in model.after_two.values_mut() {
            let distinct: HashSet<_> = followers.all.iter().collect();
            followers.back_off = DISCOUNT * distinct.len() as f64 / followers.all.len() as f64;
        }
        model
    }

    fn intern(&mut self, token: &'static str) -> Word {
        let next = self.words.len() as Word;
        *self.by_text.entry(token).or_insert_with(|| {
            let is_word = token.starts_with(char::is_alphanumeric);
            self.words
                .push(format!("{}{token}", if is_word { " " } else { "" }));
            next
        })
    }

    /// Starts a text behind the request's prompt. The same seed gives the same text; none, a new
    /// one each time.
    pub(super) fn continue_text(self: &Arc<Self>, request: &TextRequest) -> Continuation {
        let known = |token| self.by_text.get(token).copied().unwrap_or(self.stop);
        let last = tokens(&request.prompt).fold((self.stop, self.stop), |(_, before), token| {
            (before, known(token))
        });
        Continuation {
            model: Arc::clone(self),
            chance: request.seed.map_or_else(Chance::from_os, Chance::seeded),
            last,
            left: request.tokens,
        }
    }

    fn draw(&self, (first, second): (Word, Word), chance: &Chance) -> Word {
        let one = || self.after_one.get(&second);
        let chosen = match self.after_two.get(&(first, second)) {
            Some(pair) if chance.unit() >= pair.back_off => Some(pair),
            _ => one(),
        };
        // Every word of a circle has a follower; the full stop stands in should one have none.
        chosen
            .and_then(|followers| {
                let at = chance.below(followers.all.len() as u64) as usize;
                followers.all.get(at).copied()
            })
            .unwrap_or(self.stop)
    }
}

/// Words (letters, digits and inner apostrophes) and single marks of punctuation.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let inside = |c: char| c.is_alphanumeric() || c == '\'';
        let first = rest.chars().next()?;
        let end = if first.is_alphanumeric() {
            rest.find(|c| !inside(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (token, behind) = rest.split_at(end);
        rest = behind;
        Some(token)
    })
}

// === impl Continuation ===

impl Iterator for Continuation {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.left = self.left.checked_sub(1)?;
        let next = self.model.draw(self.last, &self.chance);
        self.last = (self.last.1, next);
        self.model.words.get(next as usize).cloned()
    }
}

// === impl TextRequest ===

impl TextRequest {
    /// Reads a predict or stream body.
    pub(super) fn parse(body: &[u8]) -> Result<Self, TextInputError> {
        let request: Value = serde_json::from_slice(body)
            .map_err(|error| TextInputError::Json(error.to_string()))?;
        let prompt = request.get("prompt").and_then(Value::as_str);
        // A member that is null counts as left out.
        let number = |name, error| match request.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or(error),
        };
        let tokens = number("max_tokens", TextInputError::Tokens)?.unwrap_or(TOKENS_DEFAULT);
        if !(1..=TOKENS_MAX).contains(&tokens) {
            return Err(TextInputError::Tokens);
        }
        Ok(Self {
            prompt: prompt.ok_or(TextInputError::Prompt)?.to_owned(),
            tokens,
            seed: number("seed", TextInputError::Seed)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(prompt: &str, seed: Option<u64>) -> Vec<String> {
        let request = TextRequest {
            prompt: prompt.to_owned(),
            tokens: 200,
            seed,
        };
        Arc::new(Trigrams::learn())
            .continue_text(&request)
            .collect()
    }

    #[test]
    fn a_seed_repeats_itself_and_another_differs() {
        assert_eq!(text("The river", Some(1)), text("The river", Some(1)));
        assert_ne!(text("The river", Some(1)), text("The river", Some(2)));
        assert_ne!(text("The river", None), text("The river", None));
    }

    #[test]
    fn a_text_has_its_length_goes_on_from_its_prompt_and_leaves_its_source() {
        for prompt in ["", "The river", "quark", "говорит", "  \n"] {
            assert_eq!(text(prompt, Some(3)).len(), 200, "{prompt}");
        }
        // "miller's" is followed by "son" wherever it stands.
        assert_eq!(text("the miller's", Some(9))[0], " son");
        let source = tokens(CORPUS).collect::<Vec<_>>().join(" ");
        let written = text("The river", Some(1)).concat();
        let words: Vec<_> = tokens(&written).collect();
        assert!(!source.contains(&words.join(" ")), "a quotation: {written}");
    }

    #[test]
    fn requests_are_read_with_their_defaults_or_told_what_is_expected() {
        let parse = |body: &str| TextRequest::parse(body.as_bytes());
        let read = |prompt: &str, tokens, seed| {
            Ok(TextRequest {
                prompt: prompt.to_owned(),
                tokens,
                seed,
            })
        };
        for (body, expected) in [
            (r#"{"prompt": "a"}"#, read("a", 64, None)),
            (
                r#"{"prompt": "a", "max_tokens": 1024, "seed": 18446744073709551615}"#,
                read("a", 1024, Some(u64::MAX)),
            ),
            (
                r#"{"prompt": "", "max_tokens": null, "x": 1}"#,
                read("", 64, None),
            ),
            (r#"{"prompt": 1}"#, Err(TextInputError::Prompt)),
            ("[]", Err(TextInputError::Prompt)),
            (
                r#"{"prompt": "a", "max_tokens": 0}"#,
                Err(TextInputError::Tokens),
            ),
            (
                r#"{"prompt": "a", "max_tokens": 1025}"#,
                Err(TextInputError::Tokens),
            ),
            (
                r#"{"prompt": "a", "max_tokens": "9"}"#,
                Err(TextInputError::Tokens),
            ),
            (r#"{"prompt": "a", "seed": -1}"#, Err(TextInputError::Seed)),
        ] {
            assert_eq!(parse(body), expected, "{body}");
        }
        assert!(matches!(parse("{"), Err(TextInputError::Json(_))));
    }
}
