//! How many turns there are, found out from the time to the first byte.
//!
//! The gradient of Netflix's concurrency-limits (`Gradient2Limit`: a tolerance of 1.5, headroom of the
//! limit's square root) against a time without load that is measured as Envoy's adaptive concurrency
//! filter does it: every so often fewer are let through for a moment, and what answers take then is
//! what they take without a queue. A mean that follows the load, as `Gradient2Limit` has it, would in a
//! long overload take the queue for the usual.
//!
//! ```text
//! limit' = limit × clamp(1.5 × without load ÷ now, 0.5 .. 1) + √limit      once a window, only if it was used
//! ```
//!
//! Times are averaged by their logarithms: one answer that took a hundred times as long as the others
//! moves the mean of 32 by a seventh.

use crate::{base::clock::Tick, spec::OverloadSpec};

/// How much longer than without load answers may take.
const TOLERANCE: f64 = 1.5;
/// The most that one window may take off.
const GRADIENT_MIN: f64 = 0.5;
/// How far towards a lower limit one window goes.
const FALL: f64 = 0.5;
/// What is left of the limit when backends themselves refuse, as in AIMD.
const BACKOFF: f64 = 0.9;
/// The limit there is before anything is known.
const FIRST: f64 = 8.0;
/// Answers that make a window; more where more are under way, so that it sees what its limit does.
const SAMPLES: std::ops::RangeInclusive<u32> = 32..=512;
/// Long streams bring few first bytes: so many make a window that lasts so long, and so many times what
/// answers take.
const FEW_SAMPLES: u32 = 8;
const FEW_LAST_NS: f64 = 1e9;
const FEW_TIMES: f64 = 20.0;
/// How far the time without load goes towards a shorter one that was seen, ...
const SHORTER: f64 = 0.2;
/// ... towards one seen while hardly anything was under way, and ...
const IDLE: f64 = 0.25;
/// ... upwards where it could not be measured.
const DRIFT: f64 = 0.1;
/// What is left of the limit while the time without load is measured, and how many answers make it.
const PROBE_SHARE: f64 = 0.5;
const PROBE_SAMPLES: u32 = 16;
/// Between two measurements: so long, and so many times the time without load.
const PROBE_EVERY_NS: f64 = 5e9;
const PROBE_EVERY_TIMES: f64 = 100.0;
/// Neither between two measurements nor for one is longer waited than that: what was learned from an
/// answer that took hours would otherwise hold for weeks.
const PROBE_MOST_NS: f64 = 600e9;
/// A measurement is given up after so many times of what answers take now, and so long at least.
const PROBE_TIMES: f64 = 4.0;
const PROBE_LEAST_NS: f64 = 100e6;

/// What finds the limit out. Time is an argument.
#[derive(Debug)]
pub(super) struct Adaptive {
    min: f64,
    max: f64,
    limit: f64,
    /// The logarithm of the time without load, in nanoseconds.
    unloaded: Option<f64>,
    /// The same of the last window.
    newest: f64,
    window: Window,
    probe: Probe,
}

#[derive(Debug, Default)]
struct Window {
    began: Tick,
    sum: f64,
    samples: u32,
    refused: u32,
    /// The most that were under way.
    peak: u32,
}

/// The measurement of the time without load.
#[derive(Debug, Clone, Copy)]
enum Probe {
    /// Due then, or when the limit has fallen to half of what it was.
    Rests { until: Tick, limit: f64 },
    /// Fewer are let in, until no more are under way than that.
    Drains { until: Tick },
    /// Those that began from then on count.
    Measures { from: Tick, until: Tick },
}

// === impl Adaptive ===

impl Adaptive {
    /// Nothing is known yet.
    pub(super) fn new(spec: &OverloadSpec) -> Self {
        let mut new = Self {
            min: 1.0,
            max: 1.0,
            limit: FIRST,
            unloaded: None,
            newest: 0.0,
            window: Window::default(),
            probe: Probe::Rests {
                until: Tick::default(),
                limit: 0.0,
            },
        };
        new.declare(spec);
        new
    }

    /// Other bounds; what was learned is kept within them.
    pub(super) fn declare(&mut self, spec: &OverloadSpec) -> u32 {
        self.max = f64::from(spec.concurrency_max.max(1));
        self.min = f64::from(spec.concurrency_min().max(1)).min(self.max);
        self.limit = self.limit.clamp(self.min, self.max);
        self.limit()
    }

    /// How many turns there are now.
    pub(super) fn limit(&self) -> u32 {
        match self.probe {
            Probe::Rests { .. } => self.limit as u32,
            Probe::Drains { .. } | Probe::Measures { .. } => self.lowered() as u32,
        }
    }

    fn lowered(&self) -> f64 {
        (self.limit * PROBE_SHARE).max(self.min)
    }

    /// A backend's answer began, `ns` after it had the whole request; its turn was taken at `since`.
    pub(super) fn answered(&mut self, since: Tick, now: Tick, ns: u64, in_flight: u32) {
        let time = (ns.max(1) as f64).ln();
        match self.probe {
            Probe::Drains { until } => {
                if in_flight <= self.lowered() as u32 {
                    self.window = Window::default();
                    let until = now.plus_ms(self.patience_ms());
                    self.probe = Probe::Measures { from: now, until };
                } else if now >= until {
                    self.give_up(now);
                }
            }
            Probe::Measures { from, until } => {
                if since >= from {
                    self.window.add(time, in_flight, now);
                }
                let enough = PROBE_SAMPLES.max(self.lowered() as u32);
                if self.window.samples >= enough.min(*SAMPLES.end()) {
                    self.unloaded = Some(self.window.mean());
                    self.rest(now);
                } else if now >= until {
                    self.give_up(now);
                }
            }
            Probe::Rests { .. } => {
                self.window.add(time, in_flight, now);
                self.close_if_full(now);
            }
        }
    }

    /// A backend refused, or did not answer in time: how long that took says nothing.
    pub(super) fn refused(&mut self, now: Tick) {
        if matches!(self.probe, Probe::Rests { .. }) {
            self.window.begin(now);
            self.window.refused += 1;
            self.close_if_full(now);
        }
    }

    /// Somebody comes and finds no room: a measurement must not keep turns back for longer than it may,
    /// and there may be no answers to end it while long streams hold them.
    pub(super) fn tick(&mut self, now: Tick) {
        if let Probe::Drains { until } | Probe::Measures { until, .. } = self.probe
            && now >= until
        {
            self.give_up(now);
        }
    }

    fn close_if_full(&mut self, now: Tick) {
        let window = &self.window;
        let enough = (self.limit as u32).clamp(*SAMPLES.start(), *SAMPLES.end());
        let lasted_ns = now.ns_since(window.began) as f64;
        let count = window.samples + window.refused;
        let took_ns = window.mean().exp();
        let is_old = lasted_ns >= (took_ns * FEW_TIMES).max(FEW_LAST_NS);
        let is_enough = count >= enough || count >= FEW_SAMPLES && is_old;
        if !is_enough || lasted_ns < took_ns {
            return;
        }
        let window = std::mem::take(&mut self.window);
        if window.samples > 0 {
            self.newest = window.mean();
        }
        let peak = f64::from(window.peak);
        if peak < self.limit / 2.0 && window.refused == 0 {
            // Without load: as good as a measurement.
            let unloaded = self.unloaded.unwrap_or(self.newest);
            self.unloaded = Some(unloaded + (self.newest - unloaded) * IDLE);
            return self.rest(now);
        }
        let was_used = peak >= self.limit * 0.8;
        let unloaded = self.decide(&window, was_used);
        self.unloaded = unloaded;
        self.probe_if_due(now);
    }

    /// The limit behind a window, and the time without load.
    fn decide(&mut self, window: &Window, was_used: bool) -> Option<f64> {
        let before = self.limit;
        let mut target = before;
        let mut unloaded = self.unloaded;
        if window.samples > 0 {
            let known = unloaded.unwrap_or(self.newest);
            let shorter = (known - self.newest).max(0.0) * SHORTER;
            let known = known - shorter;
            let gradient = (TOLERANCE * (known - self.newest).exp()).clamp(GRADIENT_MIN, 1.0);
            target = before * gradient + before.sqrt();
            unloaded = Some(known);
        }
        if window.refused > 0 {
            target = target.min(before * BACKOFF);
        }
        if target < before {
            self.limit = before + (target - before) * FALL;
        } else if was_used {
            self.limit = target;
        }
        self.limit = self.limit.clamp(self.min, self.max);
        unloaded
    }

    fn probe_if_due(&mut self, now: Tick) {
        let Probe::Rests { until, limit } = self.probe else {
            return;
        };
        if until == Tick::default() {
            return self.rest(now);
        }
        if now < until && self.limit > limit * PROBE_SHARE {
            return;
        }
        let until = now.plus_ms(self.patience_ms());
        self.probe = Probe::Drains { until };
    }

    fn rest(&mut self, now: Tick) {
        let unloaded_ns = self.unloaded.map_or(0.0, f64::exp);
        let pause_ns = unloaded_ns * PROBE_EVERY_TIMES;
        let pause_ns = pause_ns.clamp(PROBE_EVERY_NS, PROBE_MOST_NS);
        self.window = Window::default();
        self.probe = Probe::Rests {
            until: now.plus_ms((pause_ns / 1e6) as u64),
            limit: self.limit,
        };
    }

    /// Streams hold their turns for long, or hardly anybody comes: it could not be measured.
    fn give_up(&mut self, now: Tick) {
        if let Some(unloaded) = &mut self.unloaded {
            *unloaded += (self.newest - *unloaded).max(0.0) * DRIFT;
        }
        self.rest(now);
    }

    fn patience_ms(&self) -> u64 {
        let ns = self.newest.exp() * PROBE_TIMES;
        let ns = ns.clamp(PROBE_LEAST_NS, PROBE_MOST_NS);
        (ns / 1e6) as u64
    }
}

// === impl Window ===

impl Window {
    fn begin(&mut self, now: Tick) {
        if self.samples + self.refused == 0 {
            self.began = now;
        }
    }

    fn add(&mut self, time: f64, in_flight: u32, now: Tick) {
        self.begin(now);
        self.sum += time;
        self.samples += 1;
        self.peak = self.peak.max(in_flight);
    }

    fn mean(&self) -> f64 {
        match self.samples {
            0 => 0.0,
            samples => self.sum / f64::from(samples),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(min: u32, max: u32) -> OverloadSpec {
        OverloadSpec {
            concurrency_max: max,
            concurrency_min: Some(min),
            adaptive: true,
            ..OverloadSpec::default()
        }
    }

    fn at(ms: u64) -> Tick {
        Tick::from_ns(1_000_000_000_000).plus_ms(ms)
    }

    /// Answers that take as long as said, one a millisecond, with as many under way as may be.
    fn answers(adaptive: &mut Adaptive, from: u64, count: u64, ms: impl Fn(u64) -> f64) -> u64 {
        for step in from..from + count {
            let in_flight = adaptive.limit();
            let ns = (ms(step) * 1e6) as u64;
            adaptive.answered(at(step), at(step), ns, in_flight);
        }
        from + count
    }

    #[test]
    fn one_slow_answer_does_not_take_the_limit_down() {
        let mut adaptive = Adaptive::new(&spec(1, 64));
        let now = answers(&mut adaptive, 0, 3_000, |_| 10.0);
        assert_eq!(adaptive.limit(), 64);
        answers(&mut adaptive, now, 64, |step| {
            if step == now { 60_000.0 } else { 10.0 }
        });
        assert!(adaptive.limit() >= 60, "{}", adaptive.limit());
    }

    #[test]
    fn it_grows_only_when_it_is_used() {
        let mut adaptive = Adaptive::new(&spec(1, 1_000));
        for step in 0..10_000 {
            adaptive.answered(at(step), at(step), 10_000_000, 3);
        }
        assert_eq!(adaptive.limit(), FIRST as u32);
        for step in 10_000..20_000 {
            adaptive.answered(at(step), at(step), 10_000_000, 5);
        }
        assert_eq!(adaptive.limit(), FIRST as u32, "half used");
    }

    #[test]
    fn a_backend_that_refuses_is_asked_for_less_down_to_the_floor() {
        let mut adaptive = Adaptive::new(&spec(4, 64));
        let now = answers(&mut adaptive, 0, 3_000, |_| 10.0);
        for step in 0..5_000 {
            adaptive.refused(at(now + step));
        }
        assert_eq!(adaptive.limit(), 4);
        // How quickly it refused was not taken for how quickly it answers.
        answers(&mut adaptive, now + 5_000, 3_000, |_| 10.0);
        assert_eq!(adaptive.limit(), 64);
    }

    #[test]
    fn a_backend_that_is_slower_for_good_is_found_to_be_so() {
        let mut adaptive = Adaptive::new(&spec(1, 64));
        let now = answers(&mut adaptive, 0, 3_000, |_| 10.0);
        let now = answers(&mut adaptive, now, 20_000, |_| 40.0);
        assert!(adaptive.limit() >= 32, "{} at {now}", adaptive.limit());
    }

    #[test]
    fn other_bounds_hold_at_once_and_what_was_learned_is_kept() {
        let mut adaptive = Adaptive::new(&spec(1, 64));
        answers(&mut adaptive, 0, 3_000, |_| 10.0);
        assert_eq!(adaptive.declare(&spec(1, 48)), 48);
        assert_eq!(adaptive.declare(&spec(1, 400)), 48);
        assert_eq!(adaptive.declare(&spec(60, 400)), 60);
    }
}
