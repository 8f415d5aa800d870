//! Lists in pages.

use super::error::ControlError;

/// Which part of a list is asked for.
#[derive(Debug, Clone)]
pub struct Page {
    /// Where the page before ended: the `next` of its answer.
    pub after: Option<String>,
    /// Items at most.
    pub limit: usize,
}

/// A part of a list.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next part begins; none when this is the last.
    pub next: Option<String>,
}

// === impl Page ===

impl Page {
    /// Where the page before ended.
    ///
    /// # Errors
    /// When the cursor is none that a list has given out: a typing mistake must not pass for the end
    /// of a list, nor for its beginning.
    pub fn last(&self) -> Result<Option<&str>, ControlError> {
        let Some(cursor) = self.after.as_deref() else {
            return Ok(None);
        };
        match cursor.rsplit_once('~') {
            Some((last, check)) if check == check_of(last) => Ok(Some(last)),
            _ => Err(Self::bad_cursor()),
        }
    }

    /// The cursor of a page that ends with this item.
    pub fn cursor(last: &str) -> String {
        format!("{last}~{}", check_of(last))
    }

    /// What is said of a cursor that is none.
    pub fn bad_cursor() -> ControlError {
        ControlError::Invalid("this cursor is none: take the next of the page before".to_owned())
    }

    /// The part of `all` that lies beyond the cursor; items are told apart by `name`, in whose order
    /// they come.
    pub(super) fn cut<T>(
        &self,
        all: impl Iterator<Item = T>,
        name: impl Fn(&T) -> &str,
    ) -> Result<Listed<T>, ControlError> {
        let after = self.last()?;
        let mut items: Vec<T> = all
            .filter(|item| after.is_none_or(|after| name(item) > after))
            .take(self.limit + 1)
            .collect();
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        let next = items.last().filter(|_| more);
        Ok(Listed {
            next: next.map(|last| Self::cursor(name(last))),
            items,
        })
    }
}

/// Tells a cursor from what was not one.
fn check_of(last: &str) -> String {
    blake3::hash(last.as_bytes()).to_hex()[..8].to_owned()
}

// === impl Listed ===

impl<T> Listed<T> {
    /// The same list of other items.
    pub fn map<U>(self, each: impl FnMut(T) -> U) -> Listed<U> {
        Listed {
            items: self.items.into_iter().map(each).collect(),
            next: self.next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_join_without_a_gap() {
        let all = ["a", "b", "c", "d", "e"];
        for limit in 1..7 {
            let mut seen: Vec<&&str> = Vec::new();
            let mut page = Page { after: None, limit };
            loop {
                let part = page.cut(all.iter(), |name| name).expect("ours");
                assert!(part.items.len() <= limit);
                seen.extend(part.items);
                match part.next {
                    Some(next) => page.after = Some(next),
                    None => break,
                }
            }
            assert_eq!(seen, all.iter().collect::<Vec<_>>(), "{limit}");
        }
    }
    #[test]
    fn a_cursor_that_is_none_is_refused() {
        for bad in [
            "",
            "a",
            "a~",
            "~",
            "a~00000000",
            "nonsense",
            "\0",
            &Page::cursor("a")[1..],
        ] {
            let page = Page {
                after: Some(bad.to_owned()),
                limit: 1,
            };
            assert!(page.cut(["b"].iter(), |name| name).is_err(), "{bad:?}");
        }
    }
}
