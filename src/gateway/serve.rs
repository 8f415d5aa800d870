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
    head_h2,
    health::health,
    later::{Asked, Fetched, fetch, submit},
    limits::Limits,
    local::Local,
    look::{Look, answer_here, look},
    respond::{ReplyBody, answer_fetched, answer_own, refuse, respond},
    route::{Deferred, Routed, defer, route},
    shed,
    turn::{self, wait_turn},
};
use crate::{
    base::task::{Panicked, caught},
    fault::{Code, Fault},
    limit::Arrival,
    snapshot::Principal,
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
    let found = look(&mut parts);
    let mut exchange = Exchange::begin(local, caller, parts);
    // Not an `async fn`: its argument would have a place in the future beside the parts made of it.
    async move {
        match found {
            Look::Usual => {}
            Look::GoesNoFurther => return Ok(answer_own(exchange, answer_here())),
            Look::Malformed => {
                let (fault, unread) = (Code::RequestMalformed.into(), Some(body));
                return Ok(refuse(exchange, Refused { fault, unread }));
            }
        }
        if let Some(own) = health(exchange.parts(), exchange.local()) {
            return Ok(answer_own(exchange, own));
        }
        Ok(
            match caught("request", try_serve(&mut exchange, body)).await {
                Ok(Ok(Served::Live(dispatched))) => respond(exchange, dispatched),
                Ok(Ok(Served::Kept(fetched, unread))) => answer_fetched(exchange, *fetched, unread),
                Ok(Err(refused)) => refuse(exchange, refused),
                Err(Panicked) => refuse(exchange, Refused::own(Code::Internal)),
            },
        )
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
    let unread = |fault: Fault, body| Refused {
        fault,
        unread: Some(body),
    };
    if let Err(fault) = shed::at_the_door(exchange) {
        return Err(unread(fault, body));
    }
    if exchange.caller().is_stream
        && let Err(code) = head_h2::check(&uri, exchange.parts())
    {
        return Err(unread(code.into(), body));
    }
    let Ok(path) = normalise(uri.path()) else {
        return Err(unread(Code::PathMalformed.into(), body));
    };
    if AsyncPath::may_be(&path) {
        // Boxed, so that the many requests that are no such ones do not carry its size.
        return match Box::pin(fetch_kept(exchange, &path, uri.query())).await {
            Ok(fetched) => Ok(Served::Kept(Box::new(fetched), Some(body))),
            Err(fault) => Err(unread(fault, body)),
        };
    }
    let (target, routed) = match decide(exchange, &path) {
        Ok((target, Decided::Now(routed))) => (target, routed),
        Ok((target, Decided::Later(deferred))) => {
            let asked = Asked::new(&path, &uri, target);
            let fetched = Box::pin(submit(exchange, *deferred, asked, body)).await?;
            return Ok(Served::Kept(Box::new(fetched), None));
        }
        Err(fault) => return Err(unread(fault, body)),
    };
    let Routed {
        plan,
        principal,
        gate,
    } = routed;
    let priority = priority(principal.as_deref());
    if let Some(gate) = gate {
        let watch = Rc::clone(&exchange.caller().watch);
        // Boxed, because it is rare.
        match Box::pin(wait_turn(&gate, &plan.name, priority, &watch)).await {
            Ok((turn, waited_ns)) => exchange.hold_turn(turn, waited_ns),
            Err(no) => {
                let fault = turn::fault(no);
                plan.main.role_meters.turn_away(fault.code());
                return Err(unread(fault, body));
            }
        }
    }
    exchange.enter(&plan, principal, target);
    let ticket = exchange.draw_ticket(&plan, target); // perhaps a copy
    let upload = take_body(body, exchange, &plan, ticket.as_ref())?; // bounded
    dispatch(exchange, &plan, &uri, target, upload, ticket) // pick, send, the next-best
        .await
        .map(Served::Live)
}

/// In which class a call waits.
fn priority(principal: Option<&Principal>) -> Priority {
    principal.map_or_else(Priority::default, Principal::priority)
}

async fn fetch_kept(
    exchange: &mut Exchange,
    path: &str,
    query: Option<&str>,
) -> Result<Fetched, Fault> {
    let queue = exchange.local().queue.clone();
    let queue = queue.ok_or(Code::AsyncUnavailable)?;
    fetch(exchange, &queue, path, query).await
}

/// What was decided.
enum Decided {
    /// The request goes to a version now.
    Now(Routed),
    /// It is taken in, to run later. Boxed, because it is rare and large.
    Later(Box<Deferred>),
}

/// Everything that is decided from the head and one snapshot, before anything is waited for.
fn decide<'p>(exchange: &mut Exchange, path: &'p str) -> Result<(Target<'p>, Decided), Fault> {
    let local = Rc::clone(exchange.local());
    let view = local.current.load(); // one snapshot, to the last byte
    exchange.note_epoch(view.epoch_header());
    let call = read_call(exchange.seen(), exchange.parts(), path)?; // what is asked
    let admitted = admit(&call, &view, local.current.keys())?; // who asks, and may they
    let (asked, target) = (admitted.route, call.target);
    let limits = Limits::of(&admitted); // of the key, of the deployment
    let class = match call.seen.later {
        None => priority(admitted.principal.as_deref()),
        Some(_) => Priority::Bulk,
    };
    if let Err(fault) = shed::by_class(class) {
        asked.main_meters().turn_away(fault.code());
        return Err(fault);
    }
    let decided = match call.seen.later {
        None => route(admitted, &call).map(Decided::Now), // which version answers
        Some(_) => defer(admitted, &call).map(|deferred| Decided::Later(Box::new(deferred))),
    };
    let limited = decided.and_then(|decided| {
        let entry = match decided {
            Decided::Now(_) => Arrival::Now,
            Decided::Later(_) => Arrival::Later,
        };
        let (limited, taken) = limits.take(entry, asked.main_meters()); // may they have one more
        exchange.hold(limited);
        taken.map(|()| decided)
    });
    match limited {
        Ok(decided) => Ok((target, decided)),
        Err(fault) => {
            asked.main_meters().turn_away(fault.code());
            Err(fault)
        }
    }
}
