//! The fourth phase: to a backend of main, and a copy to the challenger once main needs the
//! request no more.

use std::cell::Cell;

use http::Uri;
use hyper::body::Incoming;

use super::{exchange::Exchange, respond::Late};
use crate::{
    fault::{Code, Fault},
    shadow::{mirror::Original, ticket::Ticket},
    snapshot::Plan,
    telemetry::{series, table},
    upstream::{
        answer::Answer,
        deliver::{Delivered, Delivery},
        error::{ExchangeError, UploadError},
        request::Outgoing,
        upload::{Frames, Upload, UploadLimits},
    },
    wire::target::Target,
};

/// A main answer, and the copy that waits for its request to be complete.
pub(super) struct Dispatched {
    pub(super) answer: Answer,
    pub(super) late: Option<Box<Late>>,
}

/// Why there is no answer, and what of the request's body is still unread.
pub(super) struct Refused {
    pub(super) fault: Fault,
    pub(super) unread: Option<Incoming>,
}

impl Refused {
    /// Nothing of the body was looked at.
    pub(super) fn unread(fault: Fault, body: Incoming) -> Self {
        Self {
            fault,
            unread: Some(body),
        }
    }

    /// weir itself failed, and with it whatever read the body.
    pub(super) fn own(code: Code) -> Self {
        Self {
            fault: code.into(),
            unread: None,
        }
    }
}

/// Takes the body over, bounded by its limit: one that says it is larger is refused unread.
pub(super) fn take_body(
    body: Incoming,
    exchange: &Exchange,
    plan: &Plan,
    ticket: Option<&Ticket>,
) -> Result<Box<Upload>, Refused> {
    use http_body::Body;
    let options = &exchange.local().options;
    let limits = UploadLimits {
        bytes_max: options.request_body_bytes_max,
        body_timeout_ms: options.body_timeout_ms,
        idle_ms: plan.timeouts.idle_ms,
        rate: options.body_rate,
    };
    if body.size_hint().lower() > limits.bytes_max {
        return Err(Refused::unread(Code::BodyTooLarge.into(), body));
    }
    let keep = ticket.map_or(0, Ticket::body_bytes_max);
    let keep = keep.max(options.retry_body_bytes_max);
    let watch = exchange.caller().watch.clone();
    Ok(Box::new(Upload::new(body, limits, keep, watch)))
}

/// Sends the request to main, retries where that is safe, and sends the copy off.
pub(super) async fn dispatch(
    exchange: &mut Exchange,
    plan: &Plan,
    uri: &Uri,
    target: Target<'_>,
    upload: Box<Upload>,
    ticket: Option<Ticket>,
) -> Result<Dispatched, Refused> {
    let local = exchange.local();
    let parts = exchange.parts();
    let waited_ns = Cell::new(0);
    let delivery = Delivery {
        pool: &plan.main.pool,
        connections: &local.connections,
        chance: &local.chance,
        watch: &exchange.caller().watch,
        timeouts: &plan.timeouts,
        retries_max: local.options.retries_max,
        waited_ns: &waited_ns,
    };
    let request = Outgoing {
        method: &parts.method,
        headers: &parts.headers,
        named: &exchange.seen().named,
        // Routing has asked already.
        path: plan.main.path(target.operation, target.tail).unwrap_or("/"),
        tail: target.tail,
        query: uri.query(),
        request_id: exchange.request_id(),
        traceparent: None,
    };
    let delivered = delivery.deliver(&request, upload).await;
    let copy = ticket.map(|ticket| {
        let original = original(exchange, uri, target);
        Box::new(Late { ticket, original })
    });
    match delivered {
        Ok(Delivered { answer, load }) => {
            exchange.answered(&answer, load, waited_ns.get());
            let whole = answer.body.with_upload(whole);
            let late = copy.and_then(|copy| mirror(exchange, *copy, whole));
            Ok(Dispatched { answer, late })
        }
        Err(undelivered) => {
            let upload = undelivered.upload;
            if matches!(undelivered.error, ExchangeError::Timeout) {
                exchange.unanswered();
            }
            if matches!(
                undelivered.error,
                ExchangeError::Upload(UploadError::Timeout)
            ) && upload.is_too_slow()
            {
                series::count(&table::CONNECTIONS_REFUSED, &["body_rate"], 1);
            }
            exchange.count_request_bytes(upload.received());
            if let Some(copy) = copy {
                // What stays incomplete now stays so.
                let incomplete = mirror(exchange, *copy, whole(&upload));
                if let Some(copy) = incomplete.filter(|_| undelivered.error.is_unsent()) {
                    copy.ticket.forsake();
                }
            }
            let client_failed = !undelivered.error.blames_backend();
            Err(Refused {
                fault: undelivered.error.to_fault(),
                unread: upload.into_unread().filter(|_| !client_failed),
            })
        }
    }
}

/// How much of a request's body there is for a copy.
pub(super) enum Whole {
    Yes(Frames),
    NotYet,
    TooLarge,
}

pub(super) fn whole(upload: &Upload) -> Whole {
    match upload.whole() {
        Some(frames) => Whole::Yes(frames),
        None if upload.can_restart() => Whole::NotYet,
        None => Whole::TooLarge,
    }
}

/// Sends a copy off, unless its request is incomplete; then it is given back.
pub(super) fn mirror(exchange: &Exchange, copy: Late, whole: Whole) -> Option<Box<Late>> {
    match whole {
        Whole::NotYet => return Some(Box::new(copy)),
        Whole::TooLarge => copy.ticket.refuse_body(),
        Whole::Yes(frames) => {
            let bytes: u64 = frames.iter().map(|frame| frame.len() as u64).sum();
            if bytes > copy.ticket.body_bytes_max() {
                copy.ticket.refuse_body();
            } else {
                exchange
                    .local()
                    .mirror
                    .send(copy.ticket, copy.original, frames);
            }
        }
    }
    None
}

fn original(exchange: &mut Exchange, uri: &Uri, target: Target<'_>) -> Original {
    Original {
        headers: exchange.take_headers(),
        method: exchange.parts().method.clone(),
        named: exchange.seen().named.clone(),
        operation: target.operation,
        tail: target.tail.into(),
        query: uri.query().map(Into::into),
        request_id: exchange.request_id().clone(),
        key: exchange.key().cloned(),
    }
}
