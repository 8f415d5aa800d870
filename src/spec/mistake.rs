//! What is wrong with something that people wrote: every mistake at once, each with its place.

use std::{borrow::Cow, fmt, path::Path};

use serde::Serialize;

use crate::base::harm::is_harmful;

/// How many mistakes of one text are kept; what comes after them is only counted. A person fixes
/// the first few and asks again, and an answer of the admin API stays small.
pub const MISTAKES_MAX: usize = 100;

/// One mistake. Its words never show a key, so they may be logged and sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// JSON pointer (RFC 6901) to what is wrong or missing; empty for the whole text.
    pub pointer: String,
    /// Line in the text, from 1 up, where the text has lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column in that line, in characters, from 1 up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The environment variable that brought the value, where it came from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
    /// What is wrong, for people.
    pub words: String,
}

/// All mistakes of one text, in the order of their places; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes {
    list: Vec<Mistake>,
    more: usize,
}

/// [`Mistakes`] with the name of their file in front, as a compiler shows them.
#[derive(Debug)]
pub struct InFile<'a> {
    file: Option<&'a Path>,
    mistakes: &'a Mistakes,
}

// === impl Mistakes ===

impl Mistakes {
    pub(super) fn new(mut list: Vec<Mistake>, more: usize) -> Self {
        // What has no place (the environment's) comes last; equal places keep their order.
        list.sort_by_key(|mistake| (mistake.line.is_none(), mistake.line, mistake.column));
        Self { list, more }
    }

    /// Mistakes that were found after reading, each by the pointer to what is wrong; none of none.
    pub fn found(list: impl IntoIterator<Item = (String, String)>) -> Option<Self> {
        let mut list = list.into_iter().map(|(pointer, words)| Mistake {
            pointer,
            line: None,
            column: None,
            variable: None,
            words,
        });
        let kept: Vec<_> = list.by_ref().take(MISTAKES_MAX).collect();
        let more = list.count();
        (!kept.is_empty()).then(|| Self::new(kept, more))
    }

    pub(super) fn one(line: Option<u32>, column: Option<u32>, words: String) -> Self {
        let mistake = Mistake {
            pointer: String::new(),
            line,
            column,
            variable: None,
            words,
        };
        Self::new(vec![mistake], 0)
    }

    /// The mistakes that were kept, in the order of their places.
    pub fn list(&self) -> &[Mistake] {
        &self.list
    }

    /// How many there are in all, the ones beyond [`MISTAKES_MAX`] included.
    pub fn count(&self) -> usize {
        self.list.len() + self.more
    }

    /// For showing them as `file:12:7: /pointer: words`, a line each.
    pub fn in_file<'a>(&'a self, file: Option<&'a Path>) -> InFile<'a> {
        InFile {
            file,
            mistakes: self,
        }
    }
}

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.in_file(None).fmt(f)
    }
}

// === impl InFile ===

impl fmt::Display for InFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.mistakes.list.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            one_line(f, self.file, mistake)?;
        }
        match self.mistakes.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        one_line(f, None, self)
    }
}

fn one_line(f: &mut fmt::Formatter<'_>, file: Option<&Path>, mistake: &Mistake) -> fmt::Result {
    // A variable's value does not stand in the file, so its name takes the file's place.
    match (&mistake.variable, file) {
        (Some(variable), _) => write!(f, "{}: ", printable(variable))?,
        (None, Some(file)) => match (mistake.line, mistake.column) {
            (Some(line), Some(column)) => write!(f, "{}:{line}:{column}: ", file.display())?,
            _ => write!(f, "{}: ", file.display())?,
        },
        (None, None) => {
            if let (Some(line), Some(column)) = (mistake.line, mistake.column) {
                write!(f, "{line}:{column}: ")?;
            }
        }
    }
    if !mistake.pointer.is_empty() {
        write!(f, "{}: ", printable(&mistake.pointer))?;
    }
    write!(f, "{}", printable(&mistake.words))
}

/// What a stranger wrote must not steer a terminal or split a log line.
fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_harmful(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(line: Option<u32>, pointer: &str, words: &str) -> Mistake {
        Mistake {
            pointer: pointer.into(),
            line,
            column: line.map(|_| 7),
            variable: None,
            words: words.into(),
        }
    }

    #[test]
    fn a_list_reads_like_a_compiler() {
        let mut of_environment = mistake(None, "/workers", "must be a whole number");
        of_environment.variable = Some("WEIR_WORKERS".into());
        let mistakes = Mistakes::new(
            vec![
                of_environment,
                mistake(Some(12), "/b", "second"),
                mistake(Some(3), "/a\nb", "first\u{1b}[31m"),
            ],
            2,
        );
        assert_eq!(
            mistakes.in_file(Some(Path::new("d.toml"))).to_string(),
            "d.toml:3:7: /a\\nb: first\\u{1b}[31m\nd.toml:12:7: /b: second\n\
             WEIR_WORKERS: /workers: must be a whole number\nand 2 more"
        );
        assert_eq!(mistakes.list()[1].to_string(), "12:7: /b: second");
        assert_eq!(mistakes.count(), 5);
    }

    #[test]
    fn what_is_found_later_has_a_pointer_and_no_place() {
        assert_eq!(Mistakes::found([]), None);
        let many = (0..150).map(|i| (format!("/a/{i}"), "is wrong".to_owned()));
        let mistakes = Mistakes::found(many).expect("some");
        assert_eq!(
            (mistakes.list().len(), mistakes.count()),
            (MISTAKES_MAX, 150)
        );
        assert_eq!(mistakes.list()[7].to_string(), "/a/7: is wrong");
    }
}
