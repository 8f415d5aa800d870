//! Query parameters, read strictly: one that is unknown, given twice or malformed is a 400. A
//! misspelt `wait` would otherwise be a client that asks in a circle.

use std::time::Duration;

use crate::{
    base::{async_id::Position, name::DeploymentName},
    fault::{Code, Fault},
    store::JobStatus,
};

/// The longest a status is waited for, in seconds.
const WAIT_S_MAX: u64 = 60;
/// Requests of a page, when nothing is said.
const LIMIT_DEFAULT: usize = 50;
/// Requests of a page at most.
const LIMIT_MAX: usize = 200;
/// Parameters of one query: as many as there are at all.
const PARAMETERS_MAX: usize = 4;
/// Digits of a cursor.
const CURSOR_DIGITS: usize = 16;

/// A query that is being read: what is known is taken, and [`Query::finish`] refuses the rest.
#[derive(Debug)]
pub(super) struct Query {
    rest: Vec<(String, String)>,
}

// === impl Query ===

impl Query {
    /// Splits and decodes a raw query.
    pub(super) fn parse(raw: Option<&str>) -> Result<Self, Fault> {
        let mut rest: Vec<(String, String)> = Vec::new();
        for pair in raw.unwrap_or_default().split('&') {
            if pair.is_empty() {
                continue;
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            let is_twice = rest.iter().any(|(earlier, _)| *earlier == name);
            if is_twice || rest.len() == PARAMETERS_MAX {
                return Err(malformed(&name));
            }
            rest.push((name, value));
        }
        Ok(Self { rest })
    }

    /// How long to wait. What is longer than is waited at all is taken for that.
    pub(super) fn wait(&mut self) -> Result<Duration, Fault> {
        let seconds = self.read("wait", number)?.unwrap_or(0);
        Ok(Duration::from_secs(seconds.min(WAIT_S_MAX)))
    }

    /// Which deployment.
    pub(super) fn deployment(&mut self) -> Result<Option<DeploymentName>, Fault> {
        self.read("deployment", |text| DeploymentName::parse(text).ok())
    }

    /// Which status.
    pub(super) fn status(&mut self) -> Result<Option<JobStatus>, Fault> {
        self.read("status", JobStatus::parse)
    }

    /// How many.
    pub(super) fn limit(&mut self) -> Result<usize, Fault> {
        let within = |text: &str| {
            let limit = usize::try_from(number(text)?).ok()?;
            (1..=LIMIT_MAX).contains(&limit).then_some(limit)
        };
        Ok(self.read("limit", within)?.unwrap_or(LIMIT_DEFAULT))
    }

    /// Where to go on.
    pub(super) fn cursor(&mut self) -> Result<Option<Position>, Fault> {
        self.read("cursor", read_cursor)
    }

    /// Ends the reading.
    pub(super) fn finish(self) -> Result<(), Fault> {
        match self.rest.first() {
            None => Ok(()),
            Some((name, _)) => Err(malformed(name)),
        }
    }

    fn read<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Fault> {
        let Some(at) = self.rest.iter().position(|(own, _)| own == name) else {
            return Ok(None);
        };
        let (_, text) = self.rest.swap_remove(at);
        read(&text).map(Some).ok_or_else(|| malformed(name))
    }
}

/// A place in a list as text.
pub(super) fn write_cursor(position: Position) -> String {
    format!("{:0CURSOR_DIGITS$x}", position.as_u64())
}

/// The place again; none for what [`write_cursor`] does not write.
fn read_cursor(text: &str) -> Option<Position> {
    let plain = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != CURSOR_DIGITS || !text.bytes().all(plain) {
        return None;
    }
    Position::from_u64(u64::from_str_radix(text, 16).ok()?)
}

/// Digits alone; more than fit are as many as fit.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

fn malformed(name: &str) -> Fault {
    let name: String = name.chars().take(64).collect();
    Fault::because(Code::QueryMalformed, format_args!("parameter {name:?}"))
}

/// Decodes `application/x-www-form-urlencoded` once.
fn decode(text: &str) -> Result<String, Fault> {
    let bad = || Fault::because(Code::QueryMalformed, "not percent-encoded UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let &[high, low, ref behind @ ..] = behind else {
                    return Err(bad());
                };
                let digit = |b: u8| char::from(b).to_digit(16).ok_or_else(bad);
                bytes.push((digit(high)? * 16 + digit(low)?) as u8);
                rest = behind;
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_wait_is_whole_seconds_up_to_a_minute() {
        for (raw, seconds) in [
            ("", Some(0)),
            ("wait=0", Some(0)),
            ("wait=7", Some(7)),
            ("w%61it=60", Some(60)),
            ("wait=61", Some(60)),
            ("wait=99999999999999999999999", Some(60)),
            ("wait", None),
            ("wait=", None),
            ("wait=-1", None),
            ("wait=+1", None),
            ("wait=1.5", None),
            ("wait=1&wait=1", None),
            ("wiat=1", None),
            ("wait=%3", None),
            ("wait=%ff", None),
        ] {
            let read = || -> Result<Duration, Fault> {
                let mut query = Query::parse(Some(raw))?;
                let wait = query.wait()?;
                query.finish()?;
                Ok(wait)
            };
            assert_eq!(read().ok().map(|wait| wait.as_secs()), seconds, "{raw}");
        }
    }

    #[test]
    fn a_list_is_asked_for_strictly() {
        for (raw, good) in [
            ("", true),
            ("&&", true),
            ("deployment=demo/iris&status=queued&limit=200", true),
            ("deployment=demo%2Firis&cursor=00000000000000ff", true),
            ("limit=1", true),
            ("limit=0", false),
            ("limit=201", false),
            ("limit=x", false),
            ("status=done", false),
            ("status=", false),
            ("status=Queued", false),
            ("deployment=iris", false),
            ("deployment=", false),
            ("cursor=", false),
            ("cursor=ff", false),
            ("cursor=00000000000000FF", false),
            ("cursor=ffffffffffffffff", false),
            ("cursor=+0000000000000ff", false),
            ("wait=1", false),
            ("color=red", false),
            ("a=&b=&c=&d=&e=", false),
        ] {
            let read = || -> Result<(), Fault> {
                let mut query = Query::parse(Some(raw))?;
                query.deployment()?;
                query.status()?;
                query.limit()?;
                query.cursor()?;
                query.finish()
            };
            assert_eq!(read().is_ok(), good, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn a_cursor_comes_back(number in 0u64..1 << 63) {
            let position = Position::from_u64(number).expect("a position");
            prop_assert_eq!(read_cursor(&write_cursor(position)), Some(position));
        }

        #[test]
        fn any_cursor_is_one_of_ours_or_none(text in "[0-9a-fA-F+]{14,18}|\\PC{0,20}") {
            if let Some(position) = read_cursor(&text) {
                prop_assert_eq!(write_cursor(position), text);
            }
        }
    }
}
