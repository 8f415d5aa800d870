//! Pairs as a download: page after page, each read when the client has taken the one before, so that
//! what is in memory is one page, however many there are.
//!
//! It ends with the last pair. When the listener closes, the caller's right to read ends or the file
//! fails, it breaks off: what is not whole must not look like it. Nobody reads on for a client that
//! left.

use std::{io, sync::Arc};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;

use super::csv;
use crate::{
    admin::{Shared, guard, problem::Problem, shape::Pair},
    shadow::{
        comparison::{Comparison, LookError},
        journal::{Filter, Kept, Page},
    },
};

/// Pairs that are read at once: with the longest words they come to a few megabytes, else to much less.
pub(super) const PAGE: usize = 250;

/// How pairs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A page of them.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// A table.
    Csv,
}

/// A download that has begun.
pub(super) struct Download {
    plane: Shared,
    comparison: Arc<Comparison>,
    headers: HeaderMap,
    /// What is still to come; none at the end.
    rest: Option<Filter>,
    form: Form,
    /// How many more there may be, where that is limited.
    left: Option<usize>,
    /// The first page, and what stands in front of it.
    first: String,
    filename: String,
}

// === impl Form ===

impl Form {
    /// Every form with its word.
    pub(super) const WORDS: [(&'static str, Self); 3] = [
        ("json", Self::Json),
        ("ndjson", Self::Ndjson),
        ("csv", Self::Csv),
    ];

    fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }
}

// === impl Download ===

impl Download {
    /// Reads the first page, so that what can't be read at all is no download that breaks off.
    ///
    /// # Errors
    /// 503 when pairs can't be read.
    pub(super) async fn begin(
        plane: &Shared,
        headers: HeaderMap,
        filter: Filter,
        form: Form,
        left: Option<usize>,
    ) -> Result<Self, Problem> {
        let (word, head) = match form {
            Form::Csv => ("csv", csv::head()),
            Form::Json | Form::Ndjson => ("ndjson", String::new()),
        };
        let name = filter.name.as_str().replace('/', "-");
        let mut download = Self {
            comparison: Arc::clone(plane.comparison()?),
            plane: Shared::clone(plane),
            headers,
            rest: Some(filter),
            form,
            left,
            first: String::new(),
            filename: format!("{name}-pairs.{word}"),
        };
        let mut first = head;
        if let Some(page) = download.read().await? {
            download.write(page, &mut first);
        }
        download.first = first;
        Ok(download)
    }

    /// The next page; none behind the last one.
    async fn read(&self) -> Result<Option<Page<Kept>>, LookError> {
        let Some(rest) = &self.rest else {
            return Ok(None);
        };
        let mut filter = rest.clone();
        filter.limit = self.left.unwrap_or(PAGE).min(PAGE);
        self.comparison.pairs(filter).await.map(Some)
    }

    /// Appends a page, and notes where the next one begins.
    fn write(&mut self, page: Page<Kept>, out: &mut String) {
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(page.items.len());
        }
        let next = page.next.filter(|_| self.left != Some(0));
        self.rest = self.rest.take().zip(next).map(|(rest, next)| Filter {
            after: Some(next),
            ..rest
        });
        for pair in page.items.into_iter().map(Pair::from) {
            match self.form {
                Form::Csv => csv::row(&pair, out),
                Form::Json | Form::Ndjson => {
                    // Shapes can't fail to serialise.
                    out.push_str(&serde_json::to_string(&pair).unwrap_or_default());
                    out.push('\n');
                }
            }
        }
    }

    /// The next bytes; none at the end.
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let mut out = std::mem::take(&mut self.first);
        // A page may be empty and not the last.
        while out.is_empty() {
            let rest = self.rest.as_ref()?;
            if !guard::still_reads(&self.plane, &self.headers, &rest.name) {
                return Some(self.break_off("the token may not read this any more"));
            }
            let page = tokio::select! {
                // What closes must not wait for those who read slowly.
                biased;
                () = self.plane.closed() => return Some(self.break_off("the gateway stops")),
                page = self.read() => page,
            };
            match page {
                Ok(page) => self.write(page?, &mut out),
                Err(error) => return Some(self.break_off(&error.to_string())),
            }
        }
        Some(Ok(out.into()))
    }

    fn break_off(&mut self, words: &str) -> io::Result<Bytes> {
        self.rest = None;
        Err(io::Error::other(words.to_owned()))
    }
}

impl IntoResponse for Download {
    fn into_response(self) -> Response {
        let disposition = format!("attachment; filename=\"{}\"", self.filename);
        let headers = [
            (header::CONTENT_TYPE, self.form.media_type().to_owned()),
            (header::CONTENT_DISPOSITION, disposition),
            (header::VARY, "accept".to_owned()),
        ];
        let all = stream::unfold(self, |mut download| async move {
            let bytes = download.next().await?;
            Some((bytes, download))
        });
        (headers, Body::from_stream(all)).into_response()
    }
}
