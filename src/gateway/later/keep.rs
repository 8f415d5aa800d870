//! The body of a submission, read to its end: into memory as long as it fits a row, else into a file.

use std::{future::poll_fn, pin::Pin, rc::Rc};

use bytes::{Bytes, BytesMut};
use http_body::Body;
use hyper::body::Incoming;

use super::{
    submit::{Asked, bytes_max},
    wishes::Wishes,
};
use crate::{
    base::{async_id::AsyncId, clock::Tick},
    fault::{Code, Fault},
    gateway::{dispatch::Refused, exchange::Exchange},
    net::watch::{Phase, Watch, within},
    queue::{INLINE_BYTES_MAX, Opener, Queue, Reserved, SpillError, SpillFile, SpillName},
    store::Content,
    telemetry::{series, table},
    upstream::rate::BodyPace,
};

/// A body that was taken in whole.
pub(super) struct Kept {
    pub(super) id: AsyncId,
    pub(super) content: Content,
    pub(super) digest: Option<[u8; 32]>,
}

/// Reads the body to its end: into memory as long as it fits a row, else into a file.
pub(super) async fn keep(
    exchange: &mut Exchange,
    queue: &Queue,
    reserved: &mut Reserved<'_>,
    asked: &Asked<'_>,
    wishes: &Wishes,
    mut body: Incoming,
) -> Result<Kept, Refused> {
    let refused = |code: Code| Refused {
        fault: code.into(),
        unread: None,
    };
    let id = queue.draw().map_err(|_| refused(Code::Internal))?;
    let mut digest = wishes.once.as_ref().map(|_| {
        let mut hasher = blake3::Hasher::new();
        let method = exchange.parts().method.as_str();
        for part in [method, asked.path, asked.query.unwrap_or("\0")] {
            // No part holds the byte that parts them.
            hasher.update(part.as_bytes()).update(b"\n");
        }
        hasher
    });
    let watch = Rc::clone(&exchange.caller().watch);
    let options = &exchange.local().options;
    let body_timeout_ms = options.body_timeout_ms;
    let mut pace = BodyPace::new(options.body_rate);
    let most = bytes_max(exchange, queue);
    let (mut held, mut file, mut bytes) = (Held::default(), None::<SpillFile>, 0u64);
    while let Some(data) = next(&mut body, &watch, body_timeout_ms, bytes, &mut pace)
        .await
        .map_err(refused)?
    {
        bytes += data.len() as u64;
        if bytes > most {
            queue.turned_away("body_too_large");
            return Err(Refused {
                fault: Code::BodyTooLarge.into(),
                unread: Some(body),
            });
        }
        exchange.count_request_bytes(bytes);
        if let Some(digest) = &mut digest {
            digest.update(&data);
        }
        if bytes <= INLINE_BYTES_MAX {
            held.push(data);
            continue;
        }
        if file.is_none() {
            let created = queue
                .spill()
                .create(SpillName::Body(id), Opener::Caller)
                .await;
            file = Some(created.map_err(|error| unkept(queue, error))?);
        }
        if let Some(file) = &mut file {
            for data in held.take().into_iter().chain([data]) {
                let room = reserved.take(data.len() as u64);
                room.map_err(|_| refused(Code::QueueDiskFull))?;
                let appended = file.append(data).await;
                appended.map_err(|error| unkept(queue, error))?;
            }
        }
    }
    let content = match file {
        None => Content::Inline(held.whole()),
        Some(file) => {
            let finished = file.finish().await;
            Content::Spilled(finished.map_err(|error| unkept(queue, error))?)
        }
    };
    Ok(Kept {
        id,
        content,
        digest: digest.map(|digest| *digest.finalize().as_bytes()),
    })
}

/// The next piece of a body; its trailers are not kept.
async fn next(
    body: &mut Incoming,
    watch: &Watch,
    timeout_ms: u64,
    received: u64,
    pace: &mut BodyPace,
) -> Result<Option<Bytes>, Code> {
    loop {
        let now = Tick::coarse();
        let limit_ms = pace.begin(received, timeout_ms, now);
        watch.enter_at(Phase::ClientBody, limit_ms, now);
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx));
        let Ok(frame) = within(watch, frame).await else {
            if pace.is_bound() {
                series::count(&table::CONNECTIONS_REFUSED, &["body_rate"], 1);
            }
            return Err(Code::BodyTimeout);
        };
        pace.end(Tick::coarse());
        watch.rest();
        let Some(frame) = frame else { return Ok(None) };
        let frame = frame.map_err(|_| Code::BodyMalformed)?;
        match frame.into_data() {
            Ok(data) if data.is_empty() => {}
            Ok(data) => return Ok(Some(data)),
            Err(_) => {}
        }
    }
}

/// The disk did not take a body.
fn unkept(queue: &Queue, error: SpillError) -> Refused {
    let code = match error {
        SpillError::Full(_) => Code::QueueDiskFull,
        SpillError::Descriptors | SpillError::Io(_) => Code::QueueUnavailable,
    };
    queue.turned_away(code.entry().code);
    Refused {
        fault: Fault::because(code, error),
        unread: None,
    }
}

/// Pieces of a body that may yet fit a row.
#[derive(Default)]
struct Held(Vec<Bytes>);

impl Held {
    fn push(&mut self, data: Bytes) {
        self.0.push(data);
    }

    fn take(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.0)
    }

    fn whole(mut self) -> Bytes {
        // The usual body came in one piece, which is kept as it is.
        match self.0.len() {
            0 => Bytes::new(),
            1 => self.0.remove(0),
            _ => {
                let mut whole = BytesMut::with_capacity(self.0.iter().map(Bytes::len).sum());
                self.0
                    .iter()
                    .for_each(|piece| whole.extend_from_slice(piece));
                whole.freeze()
            }
        }
    }
}
