//! How a gate stands, for people.

/// How a gate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GateStanding {
    /// Exchanges that may be under way at once, at this moment.
    pub limit: u32,
    /// Exchanges that are.
    pub in_flight: u32,
    /// Requests that wait for their turn.
    pub waiting: u32,
    /// Requests that got none.
    pub refused: TurnedAway,
}

/// Requests that got no turn, by reason, for as long as there is this gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TurnedAway {
    /// Too many waited.
    pub full: u64,
    /// They would have waited, or had waited, for longer than they may.
    pub too_long: u64,
    /// They had to make place for others of a higher class.
    pub displaced: u64,
}
