//! The phase before a backend: waiting for a turn, where a deployment lets only so many through.

use std::sync::Arc;

use super::exchange::Exchange;
use crate::{
    fault::{Code, Fault},
    limit::{Gate, NoTurn},
    spec::Priority,
};

/// Waits for a turn; the exchange holds it to its last byte.
pub(super) async fn wait_turn(
    exchange: &mut Exchange,
    gate: &Arc<Gate>,
    priority: Priority,
) -> Result<(), Fault> {
    match gate.enter(priority).await {
        Ok(turn) => {
            exchange.hold_turn(turn);
            Ok(())
        }
        Err(NoTurn::Full | NoTurn::Displaced) => Err(Code::Overloaded.into()),
        Err(NoTurn::TooLong) => Err(Code::TurnTimeout.into()),
    }
}
