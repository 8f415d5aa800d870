//! A request from its head to its last byte. Each phase is a function in the file of its name, and
//! what it knows goes into the next phase's type: an `Admitted` is proof of admission, a `Routed`
//! of routing.

use std::{convert::Infallible, future::Future, rc::Rc};

use http::{Request, Response};
use hyper::body::Incoming;

use super::{
    admit::admit,
    call::read_call,
    dispatch::{Dispatched, Refused, dispatch, take_body},
    exchange::{Caller, Exchange},
    health::health,
    local::Local,
    respond::{ReplyBody, answer_own, refuse, respond},
    route::{Routed, route},
};
use crate::{
    base::task::{Panicked, caught},
    fault::{Code, Fault},
    shadow::mirror::Ticket,
    wire::target::{Target, normalise},
};

/// Answers a request: with a backend's answer, streamed as it comes, or with a fault.
///
/// # Cancellation
/// Dropping it, or the body that it returns, says that the client is gone: the upstream exchange is
/// closed with it.
pub(super) fn serve(
    local: &Rc<Local>,
    caller: Caller,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<ReplyBody>, Infallible>> + use<> {
    let (parts, body) = request.into_parts();
    let mut exchange = Exchange::begin(local, caller, parts);
    // Not an `async fn`: its argument would have a place in the future beside the parts made of it.
    async move {
        if let Some(own) = health(exchange.parts(), exchange.local()) {
            return Ok(answer_own(exchange, own));
        }
        Ok(
            match caught("request", try_serve(&mut exchange, body)).await {
                Ok(Ok(dispatched)) => respond(exchange, dispatched),
                Ok(Err(refused)) => refuse(exchange, refused),
                Err(Panicked) => refuse(exchange, Refused::own(Code::Internal)),
            },
        )
    }
}

async fn try_serve(exchange: &mut Exchange, body: Incoming) -> Result<Dispatched, Refused> {
    let uri = exchange.take_uri();
    let unread = |fault: Fault, body| Refused {
        fault,
        unread: Some(body),
    };
    let Ok(path) = normalise(uri.path()) else {
        return Err(unread(Code::PathMalformed.into(), body));
    };
    let (target, routed) = match decide(exchange, &path) {
        Ok(decided) => decided,
        Err(fault) => return Err(unread(fault, body)),
    };
    let Routed { plan, principal } = routed;
    exchange.enter(&plan, principal);
    let ticket = Ticket::draw(&plan, exchange.id()); // perhaps a copy
    let upload = take_body(body, exchange, &plan, ticket.as_ref())?; // bounded
    dispatch(exchange, &plan, &uri, target, upload, ticket).await // pick, send, the next-best
}

/// Everything that is decided from the head and one snapshot, before anything is waited for.
fn decide<'p>(exchange: &mut Exchange, path: &'p str) -> Result<(Target<'p>, Routed), Fault> {
    let local = Rc::clone(exchange.local());
    let view = local.current.load(); // one snapshot, to the last byte
    exchange.note_epoch(view.epoch_header());
    let call = read_call(exchange.seen(), exchange.parts(), path)?; // what is asked
    let admitted = admit(&call, &view, local.current.keys())?; // who asks, and may they
    let routed = route(admitted, &call)?; // which version answers
    Ok((call.target, routed))
}
