//! The fields of a line of text. The library writes most values as they are: one with a line feed in it
//! would make two lines, of which the second says whatever its author wanted.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{FormatFields, format::Writer},
};

use crate::base::harm::Harmless;

/// Writes fields as the library does, with harmless values.
#[derive(Debug)]
pub(super) struct Fields;

struct Line<'w> {
    writer: Writer<'w>,
    is_empty: bool,
    written: fmt::Result,
}

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut line = Line {
            writer,
            is_empty: true,
            written: Ok(()),
        };
        fields.record(&mut line);
        line.written
    }
}

// === impl Line ===

impl Line<'_> {
    fn write(&mut self, name: &str, value: fmt::Arguments<'_>) -> fmt::Result {
        if !std::mem::take(&mut self.is_empty) {
            self.writer.write_char(' ')?;
        }
        match name {
            "message" => {}
            name if self.writer.has_ansi_escapes() => {
                write!(self.writer, "\x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m")?;
            }
            name => write!(self.writer, "{name}=")?,
        }
        Harmless(&mut self.writer).write_fmt(value)
    }
}

impl Visit for Line<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.record_debug(field, &format_args!("{value}")),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // What `log` knows of a line's place, which is told elsewhere.
        if self.written.is_ok() && !field.name().starts_with("log.") {
            self.written = self.write(field.name(), format_args!("{value:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt};

    use super::*;
    use crate::{base::harm::is_harmful, telemetry::log::json};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("whole").extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'w> MakeWriter<'w> for Kept {
        type Writer = Self;

        fn make_writer(&'w self) -> Self {
            self.clone()
        }
    }

    impl Kept {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("whole").clone()).expect("UTF-8")
        }
    }

    const HOSTILE: &str = "a\r\n2026-01-01T00:00:00Z ERROR forged \x1b[2J\x7f\u{9b}31m\t\u{2028}\u{202e}\0 \"b\\\u{e0041}";

    fn say() {
        tracing::info!(
            display = %HOSTILE,
            debug = ?HOSTILE,
            text = HOSTILE,
            none = None::<u8>,
            count = 3,
            "said {HOSTILE}"
        );
    }

    #[test]
    fn an_event_is_one_line_of_text_whatever_is_in_it() {
        for ansi in [false, true] {
            let kept = Kept::default();
            let layer = tracing_subscriber::fmt::layer()
                .with_ansi(ansi)
                .fmt_fields(Fields)
                .with_writer(kept.clone());
            tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), say);
            let mut text = kept.text();
            assert!(text.ends_with(" count=3\n") || ansi, "{text:?}");
            if ansi {
                assert!(text.contains("\x1b[3mdisplay\x1b[0m"), "{text:?}");
                for colour in ["\x1b[2m", "\x1b[3m", "\x1b[32m", "\x1b[0m"] {
                    text = text.replace(colour, "");
                }
            }
            assert_eq!(text.matches("forged").count(), 4, "{text:?}");
            assert!(text.contains("said a\\u{d}\\u{a}2026"), "{text:?}");
            let line = text.strip_suffix('\n').expect("a line");
            assert!(!line.contains(is_harmful), "{line:?}");
        }
    }

    #[test]
    fn an_event_is_one_object_of_json_that_says_the_same() {
        let kept = Kept::default();
        let writer = kept.clone();
        let layer = tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(move || json::Harmless(writer.clone()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), say);
        let text = kept.text();
        let line = text.strip_suffix('\n').expect("a line");
        assert!(!line.contains(is_harmful), "{line:?}");
        let said: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(said["display"], HOSTILE);
        assert_eq!(said["text"], HOSTILE);
        assert_eq!(said["message"], format!("said {HOSTILE}"));
    }
}
