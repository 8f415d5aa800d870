//! What a latency usually is, how much it varies by itself, and whether it is more than that now.
//!
//! Everything is in logarithms: latencies vary by factors, and a rise by a quarter is the same at any
//! size. A window's quantile is itself an estimate: the median of 20 answers that vary as usual
//! (lognormal, sigma 0.5) goes up and down by 14 %, so that a bare limit of 1.25 would be crossed in one
//! window of twenty, ninety times an hour. So windows are smoothed a little, and the limit is raised to
//! six mean deviations where those are more, as TCP's timeout is (RFC 6298: four of them, and a mean
//! deviation since it needs no squares and minds outliers less). Six are nearly five standard
//! deviations.

/// What is known of a latency.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Level {
    /// Windows that it was learnt from.
    learnt: u32,
    /// The logarithm of what is usual.
    usual: f64,
    /// The mean deviation of `smooth` from it.
    deviation: f64,
    /// The last windows' logarithms, the newest weighing half.
    smooth: f64,
}

/// How a latency is, compared with what is usual; the worse the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mood {
    /// What is usual is not known yet.
    Learning,
    /// As usual, or less.
    Calm,
    /// More than usual, but not by enough to act.
    Uneasy,
    /// Surely more.
    Raised,
}

/// A rise that is acted on, where the latency does not vary more by itself.
const RISE: f64 = 1.25;

/// A rise that is none.
const RISE_CALM: f64 = 1.1;

/// The same, in mean deviations.
const DEVIATIONS: f64 = 6.0;
const DEVIATIONS_CALM: f64 = 2.0;

/// A fall by so many is one, beyond [`RISE_CALM`].
const DEVIATIONS_FALL: f64 = 3.0;

/// Windows before anything is judged: a minute. With half of that, one main in some hundreds looked
/// steadier than it was, and was taken for raised for the next hour.
const LEARNT_MIN: u32 = 30;

/// How fast what is usual is followed.
const HALF_LIFE_S: f64 = 300.0;

/// How fast it follows a fall: what main can do now is the better measure at once.
const HALF_LIFE_FALL_S: f64 = 10.0;

// === impl Level ===

impl Level {
    /// Takes a window's latency, and learns from it where it may.
    pub(super) fn observe(&mut self, ns: f64, seconds: f64, may_learn: bool) -> Mood {
        let now = ns.ln();
        if self.learnt == 0 {
            (self.usual, self.smooth) = (now, now);
        }
        self.smooth = (self.smooth + now) / 2.0;
        let rise = self.smooth - self.usual;
        if self.learnt < LEARNT_MIN {
            self.learn(seconds);
            return Mood::Learning;
        }
        // The newest window has to be raised as well, not only what went before it.
        let limit = RISE.ln().max(DEVIATIONS * self.deviation);
        let is_raised = rise > limit && now - self.usual > RISE.ln();
        let calm = RISE_CALM.ln().max(DEVIATIONS_CALM * self.deviation);
        let fall = RISE_CALM.ln().max(DEVIATIONS_FALL * self.deviation);
        if rise < -fall {
            self.usual += rise * gain(HALF_LIFE_FALL_S, seconds);
        } else if may_learn && !is_raised {
            self.learn(seconds);
        }
        match rise {
            _ if is_raised => Mood::Raised,
            rise if rise < calm => Mood::Calm,
            _ => Mood::Uneasy,
        }
    }

    /// The first windows weigh the same, later ones fade.
    fn learn(&mut self, seconds: f64) {
        self.learnt = self.learnt.saturating_add(1);
        let gain = gain(HALF_LIFE_S, seconds).max(1.0 / f64::from(self.learnt));
        let rise = self.smooth - self.usual;
        self.usual += rise * gain;
        self.deviation += (rise.abs() - self.deviation) * gain;
    }
}

/// What a window of so many seconds weighs.
fn gain(half_life_s: f64, seconds: f64) -> f64 {
    1.0 - (-seconds / half_life_s).exp2()
}
