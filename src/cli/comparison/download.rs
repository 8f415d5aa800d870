//! Pairs as files of their own: what the gateway writes is passed on as it comes.

use std::io::BufRead;

use crate::cli::failure::{Code, Failure};

/// A format that the gateway writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// A line of heads, then a record each.
    Csv,
    /// A line of JSON each.
    Ndjson,
}

/// Where in a file a reader is: records end with a line, but for lines within quotes of CSV.
#[derive(Debug)]
struct Place {
    format: Written,
    is_quoted: bool,
    /// Records that are still wanted, the line of heads among them.
    left: u64,
}

// === impl Written ===

impl Written {
    /// As the API names it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }

    /// Its media type.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

// === impl Place ===

impl Place {
    /// How many bytes of a part are still wanted.
    fn take(&mut self, part: &[u8]) -> usize {
        for (at, byte) in part.iter().enumerate() {
            if self.left == 0 {
                return at;
            }
            match byte {
                // A quote within quotes is written as two, which change nothing.
                b'"' if self.format == Written::Csv => self.is_quoted ^= true,
                b'\n' if !self.is_quoted => self.left -= 1,
                _ => {}
            }
        }
        part.len()
    }
}

/// Passes on `limit` records, or all of them.
///
/// # Errors
/// When it breaks off; whatever `write` fails with.
pub(super) fn passed_on(
    mut from: impl BufRead,
    format: Written,
    limit: Option<u64>,
    mut write: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let heads = u64::from(format == Written::Csv);
    let mut place = Place {
        format,
        is_quoted: false,
        left: limit.map_or(u64::MAX, |limit| limit.saturating_add(heads)),
    };
    while place.left > 0 {
        let part = match from.fill_buf() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            part => part.map_err(|error| {
                let words = format_args!("the pairs broke off: {error}");
                Failure::with(Code::Unreachable, words)
                    .hint("what was written is not whole; repeat it")
            })?,
        };
        let (length, wanted) = (part.len(), place.take(part));
        if length == 0 {
            break;
        }
        write(&part[..wanted])?;
        from.consume(length);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{self, BufReader, Read};

    use super::*;

    fn taken(text: &str, format: Written, limit: Option<u64>) -> String {
        let mut results = Vec::new();
        // Parts may end anywhere.
        for size in [1, 3, 7, 1_000] {
            let mut written = Vec::new();
            let from = BufReader::with_capacity(size, text.as_bytes());
            passed_on(from, format, limit, |part| {
                written.extend_from_slice(part);
                Ok(())
            })
            .expect("passed on");
            results.push(String::from_utf8(written).expect("UTF-8"));
        }
        results.dedup();
        assert_eq!(results.len(), 1, "{results:?}");
        results.remove(0)
    }

    #[test]
    fn records_are_counted_and_not_lines() {
        let csv = "id,detail\r\n1,\"a\nb\"\"\n\"\r\n2,c\r\n3,d\r\n";
        assert_eq!(taken(csv, Written::Csv, None), csv);
        assert_eq!(
            taken(csv, Written::Csv, Some(2)),
            "id,detail\r\n1,\"a\nb\"\"\n\"\r\n2,c\r\n"
        );
        assert_eq!(taken(csv, Written::Csv, Some(0)), "id,detail\r\n");
        assert_eq!(taken(csv, Written::Csv, Some(9)), csv);
        let lines = "{\"a\":\"\\\"\"}\n{}\n{}\n";
        assert_eq!(taken(lines, Written::Ndjson, Some(1)), "{\"a\":\"\\\"\"}\n");
        assert_eq!(taken(lines, Written::Ndjson, None), lines);
    }

    #[test]
    fn an_end_too_early_is_no_success_and_a_closed_pipe_no_failure() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
        }
        let from = BufReader::new(b"{}\n".chain(Broken));
        let mut written = 0;
        let failure = passed_on(from, Written::Ndjson, None, |part| {
            written += part.len();
            Ok(())
        });
        let failure = failure.expect_err("it broke off");
        assert_eq!((written, failure.code()), (3, Some(Code::Unreachable)));
        let failure = passed_on(&b"{}\n"[..], Written::Ndjson, None, |_| {
            Err(Failure::nobody_reads())
        });
        assert_eq!(failure.expect_err("nobody reads").code(), None);
    }
}
