//! A key that its operator brings, on standard input: on a command line others could read it.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::cli::failure::Failure;

/// A key that is longer is none; the gateway says so of shorter ones too.
const SECRET_BYTES_MAX: u64 = 4 << 10;

/// The key on the first line of standard input.
///
/// # Errors
/// When there is none.
pub(super) fn secret_of_stdin() -> Result<String, Failure> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        let mut err = io::stderr();
        // Nobody has to read it.
        let _ = writeln!(err, "The key, on one line (it is shown as you type):");
    }
    first_line(stdin.lock())
}

fn first_line(from: impl BufRead) -> Result<String, Failure> {
    let mut line = String::new();
    let read = from.take(SECRET_BYTES_MAX).read_line(&mut line);
    read.map_err(|error| {
        Failure::usage(format_args!(
            "can't read a key from standard input: {error}"
        ))
    })?;
    match line.trim_end_matches(['\r', '\n']) {
        "" => Err(Failure::usage("there is no key on standard input")
            .hint("such as: weir key add demo/iris --secret-stdin < old.key")),
        secret => Ok(secret.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_line() {
        assert_eq!(
            first_line(&b"abc\r\ndef\n"[..]).ok().as_deref(),
            Some("abc")
        );
        assert_eq!(first_line(&b"a b"[..]).ok().as_deref(), Some("a b"));
        for none in [&b""[..], b"\n", b"\r\n"] {
            assert!(first_line(none).is_err());
        }
        assert!(first_line(&b"\xff\n"[..]).is_err());
    }
}
