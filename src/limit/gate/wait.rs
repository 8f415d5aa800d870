//! Waiting for a turn.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{Gate, NoTurn, Turn, line::Waiter};
use crate::{base::clock::Tick, spec::Priority};

/// A place in the line. Dropped, it is left, and a turn that was handed to it goes on to the next.
#[derive(Debug)]
pub struct Waiting {
    gate: Arc<Gate>,
    priority: Priority,
    place: u64,
    waiter: Arc<Waiter>,
    /// Whether it is still to be left.
    is_over: bool,
}

impl Waiting {
    pub(super) fn new(
        gate: &Arc<Gate>,
        priority: Priority,
        place: u64,
        waiter: Arc<Waiter>,
    ) -> Self {
        Self {
            gate: Arc::clone(gate),
            priority,
            place,
            waiter,
            is_over: false,
        }
    }

    /// It has waited for as long as it may; unless its turn came at the same moment, there is none.
    ///
    /// # Errors
    /// [`NoTurn`].
    pub fn give_up(mut self, now: Tick) -> Result<Turn, NoTurn> {
        self.is_over = true;
        match self.gate.step_out(self.priority, self.place, &self.waiter) {
            true => Ok(self.gate.turn(now)),
            false => Err(self.gate.learn(self.priority, &self.waiter, now)),
        }
    }
}

impl Future for Waiting {
    type Output = Result<Turn, NoTurn>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let told = std::task::ready!(self.waiter.poll(cx));
        self.is_over = true;
        Poll::Ready(told.map(|since| self.gate.turn(since)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let (gate, place) = (&self.gate, self.place);
        if gate.step_out(self.priority, place, &self.waiter) {
            // Never used: how long it was held says nothing of exchanges.
            gate.pass_on(Tick::now());
        }
    }
}
