//! A text as server-sent events: one token every [`PACE`], then `[DONE]`.
//!
//! The body draws a token only when the connection has room for it and its time has come. When the
//! client goes away the server drops the body, and with it everything that the stream held.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::Frame;
use serde_json::json;
use tokio::time::{Interval, MissedTickBehavior};

use super::text::Continuation;

/// The time between two tokens: quick, and yet slow enough to watch them come one by one.
pub(super) const PACE: Duration = Duration::from_millis(20);

/// The body of a stream's answer.
#[derive(Debug)]
pub(super) struct Events {
    text: Continuation,
    clock: Interval,
    index: u64,
    ended: bool,
    _open: OpenStream,
}

/// Counts one open stream for as long as it lives.
#[derive(Debug)]
struct OpenStream(Arc<AtomicUsize>);

// === impl Events ===

impl Events {
    /// A stream of `text` that counts itself in `open` until it is dropped.
    pub(super) fn new(text: Continuation, open: Arc<AtomicUsize>) -> Self {
        let mut clock = tokio::time::interval(PACE);
        // After a stalled reader comes back the pace goes on; no burst makes up for lost time.
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Relaxed: a figure for `/health`, nothing is published through it.
        open.fetch_add(1, Ordering::Relaxed);
        Self {
            text,
            clock,
            index: 0,
            ended: false,
            _open: OpenStream(open),
        }
    }

    fn next_event(&mut self) -> String {
        let Some(token) = self.text.next() else {
            self.ended = true;
            return "data: [DONE]\n\n".to_owned();
        };
        let event = json!({"token": token, "index": self.index});
        self.index += 1;
        format!("data: {event}\n\n")
    }
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        std::task::ready!(self.clock.poll_tick(cx));
        let event = self.next_event();
        Poll::Ready(Some(Ok(Frame::data(event.into()))))
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
