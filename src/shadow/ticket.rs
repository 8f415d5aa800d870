//! The right to one copy of a sampled exchange.

use std::{rc::Rc, sync::Arc};

use http::HeaderValue;

use super::{
    door::PairTeller,
    witness::{Making, Witness},
};
use crate::{
    base::{
        clock::{Tick, unix_ms},
        id::{ExchangeId, SampleShare},
        memory::{Pressure, pressure},
    },
    snapshot::{Challenger, Let, Plan, Skipped},
    wire::target::Operation,
};

/// The right to one copy of a sampled exchange. Dropped unused, it counts as a copy not made.
pub struct Ticket {
    pub(super) plan: Arc<Plan>,
    pub(super) making: Rc<Making>,
    used: bool,
}

/// A request that gets no copy, where another attempt at it may get one. Counted when it is dropped.
pub struct Blank {
    plan: Arc<Plan>,
    why: Option<Skipped>,
}

/// The exchange that a ticket is drawn for.
#[derive(Clone, Copy)]
pub struct Drawn<'a> {
    /// Its id.
    pub exchange: ExchangeId,
    /// Its request's id.
    pub request_id: &'a HeaderValue,
    /// Which URL was called.
    pub operation: Operation,
    /// The tail, normalised.
    pub tail: &'a str,
}

// === impl Ticket ===

impl Ticket {
    /// A ticket, if the plan has a challenger, the exchange belongs to its sample, and the budget has
    /// room for it. What is left out of the sample is counted.
    pub(super) fn draw(
        teller: &Rc<PairTeller>,
        plan: &Arc<Plan>,
        drawn: Drawn<'_>,
    ) -> Option<Self> {
        let challenger = plan.challenger.as_ref()?;
        match may(challenger, drawn) {
            Ok(()) => Some(Self::new(teller, plan, challenger, drawn)),
            Err(skipped) => {
                skip(challenger, skipped);
                None
            }
        }
    }

    /// The same for one of several attempts at a request, each of which may be the last.
    pub(super) fn draw_for_attempt(
        teller: &Rc<PairTeller>,
        plan: &Arc<Plan>,
        drawn: Drawn<'_>,
    ) -> (Option<Self>, Option<Blank>) {
        let Some(challenger) = &plan.challenger else {
            return (None, None);
        };
        match may(challenger, drawn) {
            Ok(()) => (Some(Self::new(teller, plan, challenger, drawn)), None),
            Err(skipped) => {
                let plan = Arc::clone(plan);
                let why = Some(skipped);
                (None, Some(Blank { plan, why }))
            }
        }
    }

    fn new(
        teller: &Rc<PairTeller>,
        plan: &Arc<Plan>,
        challenger: &Challenger,
        drawn: Drawn<'_>,
    ) -> Self {
        let keep = &challenger.rules.keep_bodies;
        // A part of the sample: shares of exchanges are nested.
        let kept = SampleShare::new(challenger.share_max * keep.sample);
        Self {
            plan: Arc::clone(plan),
            making: Rc::new(Making {
                rules: Arc::clone(&challenger.rules),
                exchange: drawn.exchange,
                request_id: drawn.request_id.clone(),
                at_ms: unix_ms(),
                is_stream: drawn.operation == Operation::Stream,
                keeps: keep.bytes_max > 0 && drawn.exchange.sampled(kept),
                bytes_max: challenger.response_bytes_max,
                timeout_ms: challenger.timeout_ms,
                teller: Rc::clone(teller),
                is_sent: Default::default(),
                halves: Default::default(),
            }),
            used: false,
        }
    }

    /// Main's half of the pair that may come of it.
    pub fn witness(&self) -> Box<Witness> {
        self.making.witness()
    }

    /// How much of the request's body is to be kept for the copy.
    pub fn body_bytes_max(&self) -> u64 {
        self.challenger()
            .map_or(0, |challenger| challenger.body_bytes_max)
    }

    /// Makes no copy, since the request's body is larger than is copied.
    pub fn refuse_body(self) {
        self.skip(Skipped::BodyTooLarge);
    }

    /// Makes no copy, since no backend of main took the request, and its body was not read.
    pub fn forsake(self) {
        self.skip(Skipped::MainUnreachable);
    }

    /// Makes no copy, and counts nothing: the same request will have another chance.
    pub fn forgo(mut self) {
        self.used = true;
    }

    /// Makes no copy, and counts why.
    pub(super) fn skip(mut self, skipped: Skipped) {
        self.used = true;
        self.count(skipped);
    }

    /// A copy is on its way.
    pub(super) fn used(&mut self) {
        self.used = true;
    }

    pub(super) fn challenger(&self) -> Option<&Challenger> {
        self.plan.challenger.as_ref()
    }

    pub(super) fn count(&self, skipped: Skipped) {
        if let Some(challenger) = self.challenger() {
            skip(challenger, skipped);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.used {
            self.count(Skipped::MainIncomplete);
        }
    }
}

// === impl Blank ===

impl Blank {
    /// Counts nothing: the same request will have another chance.
    pub fn forgo(mut self) {
        self.why = None;
    }
}

impl Drop for Blank {
    fn drop(&mut self) {
        if let (Some(challenger), Some(why)) = (&self.plan.challenger, self.why) {
            skip(challenger, why);
        }
    }
}

/// Whether an exchange may have a copy, by what is known at its head.
fn may(challenger: &Challenger, drawn: Drawn<'_>) -> Result<(), Skipped> {
    if !drawn.exchange.sampled(challenger.share) {
        return Err(Skipped::NotSampled);
    }
    if pressure() > Pressure::None {
        return Err(Skipped::Memory);
    }
    match challenger.brake.lets(drawn.exchange) {
        Let::Through => {}
        Let::Stopped => return Err(Skipped::Stopped),
        Let::HeldBack => return Err(Skipped::BudgetAdaptive),
    }
    if challenger.leg.path(drawn.operation, drawn.tail).is_none() {
        return Err(Skipped::TailNotForwarded);
    }
    match &challenger.requests {
        Some(requests) if !requests.take(1.0, Tick::now()) => Err(Skipped::BudgetRate),
        _ => Ok(()),
    }
}

fn skip(challenger: &Challenger, skipped: Skipped) {
    challenger.rules.books.count(skipped);
    if let Some(reason) = skipped.reason() {
        challenger.leg.role_meters.count(reason);
    }
}
