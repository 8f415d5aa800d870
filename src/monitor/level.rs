//! The levels of detail, and which of them answers a question.

use std::ops::Range;

/// The finest step.
pub(super) const STEP_MS: u64 = 10_000;
/// Points in a chunk.
const CHUNK_STEPS: u64 = 60;
/// Points that an answer aims at when no step is asked for.
const POINTS_AIM: u64 = 1_000;
/// Points of an answer at most.
const POINTS_MAX: u64 = 11_000;

/// How fine points are kept. Each level holds everything from its own age limit to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    TenSeconds,
    Minute,
    TenMinutes,
}

/// What is asked of a series, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// From when.
    pub from_s: u64,
    /// Until when.
    pub to_s: u64,
    /// In which steps; none leaves it to the answer.
    pub step_s: Option<u64>,
}

/// How it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// The seconds since 1970 that it covers: whole steps.
    pub(super) span_s: Range<u64>,
    pub(super) step_s: u64,
    /// Where on the disk it is read; none where nothing is kept.
    pub(super) level: Option<Level>,
}

/// Why a question is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The end is not behind the beginning.
    #[error("`to` must be later than `from`")]
    Backwards,
    /// A step that is not made of what is kept.
    #[error("`step` is a multiple of 10 s")]
    Step,
    /// Too many points.
    #[error(
        "that would be {points} points, and {POINTS_MAX} are the most; a step of {would_do} s would do"
    )]
    TooMany {
        /// As many.
        points: u64,
        /// The step that would do.
        would_do: u64,
    },
}

// === impl Level ===

impl Level {
    pub(super) const ALL: [Self; 3] = [Self::TenSeconds, Self::Minute, Self::TenMinutes];

    pub(super) const fn step_s(self) -> u64 {
        match self {
            Self::TenSeconds => 10,
            Self::Minute => 60,
            Self::TenMinutes => 600,
        }
    }

    /// Seconds that a chunk spans.
    pub(super) const fn chunk_s(self) -> u64 {
        self.step_s() * CHUNK_STEPS
    }

    /// The chunk that a moment falls into, and its place there.
    pub(super) fn place_of(self, at_s: u64) -> (u64, u8) {
        let chunk = at_s / self.chunk_s();
        (chunk, (at_s % self.chunk_s() / self.step_s()) as u8)
    }

    /// When the step at a place of a chunk begins.
    pub(super) fn at_s(self, chunk: u64, place: u8) -> u64 {
        chunk * self.chunk_s() + u64::from(place) * self.step_s()
    }
}

// === impl Plan ===

impl Plan {
    /// How to answer; `floors` says from when on each level has what happened, none where it is not
    /// kept at all.
    pub(super) fn new(asked: Asked, floors: [Option<u64>; 3]) -> Result<Self, Refused> {
        let Asked {
            from_s,
            to_s,
            step_s,
        } = asked;
        if to_s <= from_s {
            return Err(Refused::Backwards);
        }
        if step_s.is_some_and(|step| step == 0 || step % Level::TenSeconds.step_s() != 0) {
            return Err(Refused::Step);
        }
        let kept = Level::ALL.into_iter().zip(floors);
        let kept = kept.filter_map(|(level, floor)| Some((level, floor?)));
        // The finest that reaches back so far; else the one that reaches farthest.
        let reaches = kept.clone().find(|(_, floor)| from_s >= *floor);
        let finest = reaches.or_else(|| kept.clone().min_by_key(|(_, floor)| *floor));
        let finest_s = finest.map_or(10, |(level, _)| level.step_s());
        let points = |step: u64| to_s.div_ceil(step) - from_s / step;
        let nice = |most: u64| {
            let mut steps = nice_steps().filter(|step| step % finest_s == 0);
            // Steps grow without end, so there is one.
            steps.find(|step| points(*step) <= most).unwrap_or(u64::MAX)
        };
        let step_s = match step_s {
            None => nice(POINTS_AIM),
            Some(step) => step.next_multiple_of(finest_s),
        };
        if points(step_s) > POINTS_MAX {
            return Err(Refused::TooMany {
                points: points(step_s),
                would_do: nice(POINTS_MAX),
            });
        }
        // The coarsest that the step is made of, which is the least to read.
        let own = |(level, floor): &(Level, u64)| {
            let is_finest = finest.is_some_and(|(finest, _)| finest == *level);
            step_s % level.step_s() == 0 && (from_s >= *floor || is_finest)
        };
        Ok(Self {
            span_s: from_s / step_s * step_s..to_s.next_multiple_of(step_s),
            step_s,
            level: kept.filter(own).map(|(level, _)| level).next_back(),
        })
    }
}

/// Steps that people expect, each longer than the one before.
fn nice_steps() -> impl Iterator<Item = u64> {
    let short = [
        10, 20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200,
    ];
    short.into_iter().chain((1..).map(|days| days * 86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;
    const HOUR: u64 = 3_600;
    /// As with the settings' defaults.
    const FLOORS: [Option<u64>; 3] = [
        Some(NOW - 72 * HOUR),
        Some(NOW - 336 * HOUR),
        Some(NOW - 2_160 * HOUR),
    ];

    fn plan(back_s: u64, step_s: Option<u64>, floors: [Option<u64>; 3]) -> Result<Plan, Refused> {
        let asked = Asked {
            from_s: NOW - back_s,
            to_s: NOW,
            step_s,
        };
        Plan::new(asked, floors)
    }

    #[test]
    fn the_step_is_the_finest_that_is_kept_and_not_too_many() {
        use Level::{Minute, TenMinutes, TenSeconds};
        for (hours, asked, step, level) in [
            (1, None, 10, TenSeconds),
            (2, None, 10, TenSeconds),
            (3, None, 20, TenSeconds),
            (6, None, 30, TenSeconds),
            (24, None, 120, Minute),
            (72, None, 300, Minute),
            (73, None, 300, Minute),
            (336, None, 1_800, TenMinutes),
            (2_160, None, 10_800, TenMinutes),
            (9_000, None, 43_200, TenMinutes),
            (1, Some(10), 10, TenSeconds),
            (1, Some(60), 60, Minute),
            (1, Some(70), 70, TenSeconds),
            (1, Some(1_200), 1_200, TenMinutes),
            // Older than the finest level is kept.
            (80, Some(10), 60, Minute),
            (80, Some(70), 120, Minute),
            (400, Some(60), 600, TenMinutes),
        ] {
            let plan = plan(hours * HOUR, asked, FLOORS).expect("good");
            assert_eq!(
                (plan.step_s, plan.level),
                (step, Some(level)),
                "{hours} {asked:?}"
            );
            assert!(plan.span_s.start <= NOW - hours * HOUR && plan.span_s.end >= NOW);
            assert_eq!(plan.span_s.start % step + plan.span_s.end % step, 0);
        }
        let only_minutes = [None, FLOORS[1], None];
        let plan_of = plan(HOUR, Some(10), only_minutes).expect("good");
        assert_eq!((plan_of.step_s, plan_of.level), (60, Some(Minute)));
        let plan_of = plan(HOUR, None, [None; 3]).expect("good");
        assert_eq!((plan_of.step_s, plan_of.level), (10, None));
    }

    #[test]
    fn what_can_not_be_answered_says_what_could() {
        let many = plan(72 * HOUR, Some(10), FLOORS);
        let would_do = Refused::TooMany {
            points: 25_920,
            would_do: 30,
        };
        assert_eq!(many, Err(would_do));
        assert_eq!(
            plan(72 * HOUR, Some(30), FLOORS).map(|plan| plan.step_s),
            Ok(30)
        );
        assert_eq!(plan(0, None, FLOORS), Err(Refused::Backwards));
        for step in [0, 7, 15] {
            assert_eq!(plan(HOUR, Some(step), FLOORS), Err(Refused::Step));
        }
    }
}
