//! The phase before a backend: waiting for a turn, where a deployment lets only so many through.

use std::{rc::Rc, sync::Arc};

use super::{admit::class_of, exchange::Exchange, route::Routed};
use crate::{
    base::{clock::Tick, name::DeploymentName},
    fault::{Code, Fault},
    limit::{Entry, Gate, NoTurn, Turn, Why},
    net::watch::{Phase, Watch, within},
    spec::Priority,
    upstream::answer::Answer,
};

/// Waits for a turn, if the deployment has a gate; the exchange keeps it to its end.
///
/// # Errors
/// There is none for it, as the client is told.
///
/// # Cancellation
/// That of [`pass`].
pub(super) async fn wait_turn(exchange: &mut Exchange, routed: &Routed) -> Result<(), Fault> {
    let Some(gate) = &routed.gate else {
        return Ok(());
    };
    let (plan, watch) = (&routed.plan, Rc::clone(&exchange.caller().watch));
    let class = class_of(routed.principal.as_deref());
    // Boxed, because it is rare.
    match Box::pin(pass(gate, &plan.name, class, &watch)).await {
        Ok((turn, waited_ns)) => {
            exchange.hold_turn(turn, waited_ns);
            Ok(())
        }
        Err(no) => {
            let fault = fault(no);
            plan.main.role_meters.turn_away(fault.code());
            exchange.give_back();
            Err(fault)
        }
    }
}

/// Passes a gate, for as long as that says; with the turn, how long it took, in nanoseconds.
///
/// # Errors
/// [`NoTurn`], counted.
///
/// # Cancellation
/// Leaves the line at once; a turn that was handed to it meanwhile goes to the next.
pub(super) async fn pass(
    gate: &Arc<Gate>,
    name: &DeploymentName,
    priority: Priority,
    watch: &Watch,
) -> Result<(Turn, u64), NoTurn> {
    let came = Tick::now();
    let entered = match gate.enter(priority, came) {
        Entry::Turn(turn) => return Ok((turn, 0)),
        Entry::No(no) => Err(no),
        Entry::Wait(mut waiting) => {
            watch.enter_at(Phase::Turn, gate.patience_ms(), came);
            let waited = within(watch, &mut waiting).await;
            watch.rest();
            let now = Tick::now();
            let turn = match waited {
                Ok(told) => told,
                Err(_) => waiting.give_up(now),
            };
            turn.map(|turn| (turn, now.ns_since(came)))
        }
    };
    entered.inspect_err(|no| gate.count_refused(name, priority, no.why))
}

/// What an answer says of how much its backend has to do: the time from the whole request to its head,
/// so that a slow client says nothing; and nothing where it is an error, which may be quick.
pub(super) fn judge(turn: &Turn, answer: &Answer) {
    match (answer.status.as_u16(), answer.answered_ns) {
        (429 | 502..=504, _) => turn.refused(),
        (..400, Some(ns)) => turn.first_byte(ns),
        _ => {}
    }
}

/// As the client is told.
fn fault(no: NoTurn) -> Fault {
    let code = match no.why {
        Why::Full | Why::Displaced => Code::Overloaded,
        Why::TooLong => Code::TurnTimeout,
    };
    Fault::after_ms(code, no.retry_ms)
}
