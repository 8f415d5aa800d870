//! Query parameters, read strictly: one that is unknown, given twice or malformed is a 400 with
//! words, since a misspelt `dry_run` must not become a real run.

use std::{borrow::Cow, ops::RangeInclusive, time::Duration};

use utoipa::IntoParams;

use super::problem::Problem;
use crate::{
    base::name::Name,
    control::{IfBusy, Page},
};

/// The longest a call waits for its task, in seconds.
pub(super) const WAIT_S_MAX: f64 = 600.0;
/// Items of a page, when nothing is said.
const LIMIT_DEFAULT: usize = 100;
/// Items of a page at most.
const LIMIT_MAX: usize = 1_000;
/// A cursor or a filter, in bytes: longer than any that is given out.
const TEXT_BYTES_MAX: usize = 512;
/// Parameters of one query.
const PARAMETERS_MAX: usize = 32;

/// A query that is being read: whoever knows a parameter takes it, and [`Query::finish`] refuses the
/// rest.
#[derive(Debug)]
pub(super) struct Query {
    rest: Vec<(String, String)>,
}

/// Of calls that list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only the document is made from it")]
pub(super) struct ListParams {
    /// Items at most.
    #[param(minimum = 1, maximum = 1_000, default = 100)]
    pub(super) limit: Option<u32>,
    /// Where to go on: the `next` of the page before.
    #[param(max_length = 512, min_length = 1)]
    pub(super) cursor: Option<String>,
}

/// Of calls that change something.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only the document is made from it")]
pub(super) struct ChangeParams {
    /// Whether it is only tried: everything is checked, nothing is changed, and the answer is a 200
    /// with what would be.
    #[param(default = false)]
    pub(super) dry_run: Option<bool>,
    /// Allowed here too, where there is nothing to wait for.
    #[param(minimum = 0, maximum = 600, default = 0)]
    pub(super) wait: Option<f64>,
}

/// Of calls that start a task.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only the document is made from it")]
pub(super) struct TaskParams {
    /// Whether it is only tried: everything is checked, nothing is changed, and the answer is a 200
    /// with what would be.
    #[param(default = false)]
    pub(super) dry_run: Option<bool>,
    /// Seconds to wait for the task's end. The answer then shows the task as it stands.
    #[param(minimum = 0, maximum = 600, default = 0)]
    pub(super) wait: Option<f64>,
    /// What happens while another task of the deployment runs.
    #[param(inline)]
    pub(super) if_busy: Option<IfBusyWord>,
}

/// What happens while another task of the deployment runs.
#[derive(utoipa::ToSchema, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only the document is made from it")]
pub(super) enum IfBusyWord {
    /// This one waits for its turn.
    Wait,
    /// This one is refused: 409.
    Refuse,
}

// === impl Query ===

impl Query {
    /// Splits and decodes a raw query.
    ///
    /// # Errors
    /// 400 when a parameter is not UTF-8, badly encoded, or given twice.
    pub(super) fn parse(raw: Option<&str>) -> Result<Self, Problem> {
        let mut rest: Vec<(String, String)> = Vec::new();
        for pair in raw.unwrap_or_default().split('&') {
            if pair.is_empty() {
                continue;
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if rest.iter().any(|(earlier, _)| *earlier == name) {
                return Err(wrong(&name, "is given twice"));
            }
            if rest.len() == PARAMETERS_MAX {
                return Err(Problem::invalid("the query has too many parameters"));
            }
            rest.push((name, value));
        }
        Ok(Self { rest })
    }

    /// A parameter as text.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let at = self.rest.iter().position(|(own, _)| own == name)?;
        Some(self.rest.swap_remove(at).1)
    }

    /// A text that is short and not empty.
    ///
    /// # Errors
    /// 400 when it is neither.
    pub(super) fn short_text(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        if text.is_empty() || text.len() > TEXT_BYTES_MAX {
            return Err(wrong(name, "has 1 to 512 bytes"));
        }
        Ok(Some(text))
    }

    /// A name.
    ///
    /// # Errors
    /// 400 when it is none.
    pub(super) fn name(&mut self, name: &str) -> Result<Option<Name>, Problem> {
        let text = self.text(name);
        let parsed = text.map(|text| Name::parse(&text)).transpose();
        parsed.map_err(|error| wrong(name, &format!("is wrong: {error}")))
    }

    /// One of a few words.
    ///
    /// # Errors
    /// 400 when it is none of them.
    pub(super) fn choice<T: Copy>(
        &mut self,
        name: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let found = choices.iter().find(|(word, _)| *word == text);
        let Some((_, value)) = found else {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            return Err(wrong(name, &format!("is one of {}", words.join(", "))));
        };
        Ok(Some(*value))
    }

    /// `true` or `false`; false when it is not given.
    ///
    /// # Errors
    /// 400 when it is neither.
    pub(super) fn flag(&mut self, name: &str) -> Result<bool, Problem> {
        let read = self.choice(name, &[("true", true), ("false", false)])?;
        Ok(read.unwrap_or(false))
    }

    /// A whole number from 0 to a most.
    ///
    /// # Errors
    /// 400 when it is none.
    pub(super) fn count(
        &mut self,
        name: &str,
        default: usize,
        most: usize,
    ) -> Result<usize, Problem> {
        self.within(name, default, 0..=most)
    }

    /// A whole number within a range.
    ///
    /// # Errors
    /// 400 when it is none.
    pub(super) fn within(
        &mut self,
        name: &str,
        default: usize,
        range: RangeInclusive<usize>,
    ) -> Result<usize, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        let (low, high) = (range.start(), range.end());
        number(&text)
            .filter(|number| range.contains(number))
            .ok_or_else(|| wrong(name, &format!("is a whole number from {low} to {high}")))
    }

    /// How long to wait for a task.
    ///
    /// # Errors
    /// 400 when it is no number from 0 to 600.
    pub(super) fn wait(&mut self) -> Result<Duration, Problem> {
        let Some(text) = self.text("wait") else {
            return Ok(Duration::ZERO);
        };
        seconds(&text).ok_or_else(|| wrong("wait", "is a number of seconds from 0 to 600"))
    }

    /// What happens while another task runs.
    ///
    /// # Errors
    /// 400 when it is no known word.
    pub(super) fn if_busy(&mut self) -> Result<IfBusy, Problem> {
        let words = [("wait", IfBusy::Wait), ("refuse", IfBusy::Refuse)];
        Ok(self.choice("if_busy", &words)?.unwrap_or_default())
    }

    /// Which part of a list.
    ///
    /// # Errors
    /// 400 when the limit is no number from 1 to 1,000, or the cursor is empty or long.
    pub(super) fn page(&mut self) -> Result<Page, Problem> {
        let limit = self.limit()?.unwrap_or(LIMIT_DEFAULT);
        let after = self.short_text("cursor")?;
        Ok(Page { after, limit })
    }

    /// How many items at most.
    ///
    /// # Errors
    /// 400 when it is no number from 1 to 1,000.
    pub(super) fn limit(&mut self) -> Result<Option<usize>, Problem> {
        let limit = self.within("limit", 0, 1..=LIMIT_MAX)?;
        Ok(Some(limit).filter(|limit| *limit > 0))
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// 400 when a parameter is left that nobody knows.
    pub(super) fn finish(self) -> Result<(), Problem> {
        match self.rest.first() {
            None => Ok(()),
            Some((name, _)) => Err(wrong(name, "is not known here")),
        }
    }
}

/// A number of seconds that a call may wait.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    // Rust's own parser takes more: a leading `+`, `inf`, `nan`.
    let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'e' | b'E' | b'+');
    if text.starts_with('+') || !text.bytes().all(plain) {
        return None;
    }
    let seconds: f64 = text.parse().ok()?;
    let within = (0.0..=WAIT_S_MAX).contains(&seconds);
    within.then(|| Duration::from_secs_f64(seconds.abs()))
}

fn number(text: &str) -> Option<usize> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn wrong(name: &str, words: &str) -> Problem {
    let name: String = name.chars().take(64).collect();
    Problem::invalid(format!("the query parameter {name:?} {words}"))
}

/// Decodes `application/x-www-form-urlencoded` once.
fn decode(text: &str) -> Result<String, Problem> {
    let bad = || Problem::invalid("the query is not percent-encoded UTF-8");
    let spaced: Cow<'_, str> = if text.contains('+') {
        text.replace('+', " ").into()
    } else {
        text.into()
    };
    let mut bytes = Vec::with_capacity(spaced.len());
    let mut rest = spaced.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        if byte == b'%' {
            let digits = behind.get(..2).ok_or_else(bad)?;
            let digit = |b: u8| char::from(b).to_digit(16).ok_or_else(bad);
            bytes.push((digit(digits[0])? * 16 + digit(digits[1])?) as u8);
            rest = &behind[2..];
        } else {
            bytes.push(byte);
            rest = behind;
        }
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_or_refused_never_guessed() {
        for (raw, good) in [
            ("", true),
            ("dry_run=true", true),
            ("dry_run=false&wait=0.5", true),
            ("wait=600&if_busy=refuse", true),
            ("dry%5Frun=tru%65", true),
            ("dry_run", false),
            ("dry_run=1", false),
            ("dryrun=true", false),
            ("dry_run=true&dry_run=true", false),
            ("wait=601", false),
            ("wait=-1", false),
            ("wait=inf", false),
            ("wait=NaN", false),
            ("wait=+1", false),
            ("wait=", false),
            ("if_busy=Wait", false),
            ("wait=%zz", false),
            ("wait=%f", false),
            ("wait=%ff", false),
        ] {
            let read = || -> Result<(), Problem> {
                let mut query = Query::parse(Some(raw))?;
                query.flag("dry_run")?;
                query.wait()?;
                query.if_busy()?;
                query.finish()
            };
            assert_eq!(read().is_ok(), good, "{raw}");
        }
        let many: Vec<_> = (0..100).map(|i| format!("a{i}=1")).collect();
        assert!(Query::parse(Some(&many.join("&"))).is_err());
    }

    #[test]
    fn a_page_is_bounded() {
        let page = |raw| Query::parse(Some(raw)).and_then(|mut query| query.page());
        let read = page("limit=7&cursor=a+b%2B").expect("good");
        assert_eq!((read.limit, read.after.as_deref()), (7, Some("a b+")));
        assert_eq!(page("").expect("good").limit, LIMIT_DEFAULT);
        for bad in [
            "limit=0",
            "limit=1001",
            "limit=+1",
            "limit=a",
            "limit=",
            "cursor=",
        ] {
            assert!(page(bad).is_err(), "{bad}");
        }
        assert!(page(&format!("cursor={}", "a".repeat(513))).is_err());
    }
}
