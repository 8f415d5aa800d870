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
    later::{Asked, Fetched, fetch, submit},
    limits::Limits,
    local::Local,
    look::{Look, look},
    respond::{ReplyBody, answer_fetched, answer_own, refuse, respond},
    route::{Deferred, Routed, defer, route},
    shed,
    turn::wait_turn,
};
use crate::{
    base::task::{Panicked, caught},
    fault::{Code, Fault},
    limit::Arrival,
    spec::Priority,
    wire::{
        async_path::AsyncPath,
        target::{Target, normalise},
    },
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
    let (mut parts, body) = request.into_parts();
    let found = look(&mut parts, &caller, local);
    let mut exchange = Exchange::begin(local, caller, parts);
    // Not an `async fn`: its argument would have a place in the future beside the parts made of it.
    async move {
        let served = match found {
            Look::Usual => caught("request", try_serve(&mut exchange, body)).await,
            Look::Own(own) => return Ok(answer_own(exchange, own)),
            Look::NotAllowed(methods) => {
                let fetched = Fetched::not_allowed(methods);
                return Ok(answer_fetched(exchange, fetched, Some(body)));
            }
            Look::Refused(fault) => Ok(Err(Refused::unread(fault, body))),
        };
        Ok(match served {
            Ok(Ok(Served::Live(dispatched))) => respond(exchange, dispatched),
            Ok(Ok(Served::Kept(fetched, unread))) => answer_fetched(exchange, *fetched, unread),
            Ok(Err(refused)) => refuse(exchange, refused),
            Err(Panicked) => refuse(exchange, Refused::own(Code::Internal)),
        })
    }
}

/// What a request is answered with.
enum Served {
    /// A backend's answer, as it comes.
    Live(Dispatched),
    /// What weir says of an async request; what of the request's body is unread.
    Kept(Box<Fetched>, Option<Incoming>),
}

async fn try_serve(exchange: &mut Exchange, body: Incoming) -> Result<Served, Refused> {
    let uri = exchange.take_uri();
    let path = normalise(uri.path());
    let path = path.as_deref().map_err(|_| Code::PathMalformed);
    match find_way(exchange, path, uri.query()).await {
        Ok(Way::Now(routed, target)) => {
            let plan = routed.plan;
            exchange.enter(&plan, routed.principal, target);
            let ticket = exchange.draw_ticket(&plan, target); // perhaps a copy
            let upload = take_body(body, exchange, &plan, ticket.as_ref())?; // bounded
            dispatch(exchange, &plan, &uri, target, upload, ticket) // pick, send, the next-best
                .await
                .map(Served::Live)
        }
        Ok(Way::Later(deferred, target)) => {
            let asked = Asked::new(path.unwrap_or_default(), &uri, target);
            let submitted = Box::pin(submit(exchange, *deferred, asked, body)).await;
            let fetched = submitted.inspect_err(|refused| {
                if matches!(refused.fault.entry().status, 429 | 503) {
                    exchange.give_back(); // no room, which is not its fault
                }
            })?;
            Ok(Served::Kept(Box::new(fetched), None))
        }
        Ok(Way::Kept(fetched)) => Ok(Served::Kept(fetched, Some(body))),
        Err(fault) => Err(Refused::unread(fault, body)),
    }
}

/// Where a request goes. What is rare and large is boxed.
enum Way<'p> {
    /// To a version, now.
    Now(Routed, Target<'p>),
    /// It is taken in, to run later.
    Later(Box<Deferred>, Target<'p>),
    /// Nowhere: this is what is kept for it.
    Kept(Box<Fetched>),
}

/// All that comes before the body, which nobody has touched if it ends here.
async fn find_way<'p>(
    exchange: &mut Exchange,
    path: Result<&'p str, Code>,
    query: Option<&str>,
) -> Result<Way<'p>, Fault> {
    let path = path?;
    if AsyncPath::may_be(path) {
        // Boxed, so that the many requests that are no such ones do not carry its size.
        return Box::pin(fetch_kept(exchange, path, query)).await;
    }
    let way = decide(exchange, path)?;
    if let Way::Now(routed, _) = &way {
        wait_turn(exchange, routed).await?; // at the deployment's gate
    }
    Ok(way)
}

async fn fetch_kept<'p>(
    exchange: &mut Exchange,
    path: &str,
    query: Option<&str>,
) -> Result<Way<'p>, Fault> {
    let queue = exchange.local().queue.clone();
    let queue = queue.ok_or(Code::AsyncUnavailable)?;
    let fetched = fetch(exchange, &queue, path, query).await?;
    Ok(Way::Kept(Box::new(fetched)))
}

/// Everything that is decided from the head and one snapshot, before anything is waited for.
fn decide<'p>(exchange: &mut Exchange, path: &'p str) -> Result<Way<'p>, Fault> {
    let local = Rc::clone(exchange.local());
    let view = local.current.load(); // one snapshot, to the last byte
    exchange.note_epoch(view.epoch_header());
    let call = read_call(exchange.seen(), path)?; // what is asked
    let admitted = admit(&call, &view, local.current.keys())?; // who asks, and may they
    let (meters, target) = (admitted.route.main_meters(), call.target);
    let limits = Limits::of(&admitted); // of the key, of the deployment
    let decided = match call.seen.later {
        None => shed::by_class(admitted.priority()) // is there memory for it
            .and_then(|()| route(admitted, &call)) // which version answers
            .map(|routed| (Way::Now(routed, target), Arrival::Now)),
        Some(_) => shed::by_class(Priority::Bulk)
            .and_then(|()| defer(admitted, &call))
            .map(|deferred| (Way::Later(Box::new(deferred), target), Arrival::Later)),
    };
    decided
        .and_then(|(way, arrival)| {
            limits.take(arrival, meters, exchange)?; // may they have one more
            Ok(way)
        })
        .inspect_err(|fault| meters.turn_away(fault.code()))
}
