//! Peak EWMA: an estimate of a backend's latency that believes bad news at once and forgets it
//! slowly.
//!
//! Source: the `PeakEwma` load metric of Finagle and linkerd2-proxy (`linkerd/proxy/balance`): a
//! sample above the estimate replaces it, one below moves it by `1 - exp(-dt / DECAY)`, and an
//! estimate that nobody confirms fades to zero, so that a backend which was slow gets another
//! chance.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::clock::Tick;

/// How fast an estimate fades. linkerd2-proxy takes 10 s, but there it decides alone; here load comes
/// first, and with 10 s one slow answer kept an idle backend out of a test's whole run.
const DECAY_NS: f64 = 2e9;

/// The estimate, in nanoseconds.
#[derive(Debug, Default)]
pub struct PeakEwma {
    estimate: AtomicU64,
    updated: AtomicU64,
}

impl PeakEwma {
    /// Takes a sample.
    pub fn observe(&self, sample_ns: u64, now: Tick) {
        let sample = sample_ns as f64;
        let faded = self.faded(now);
        let estimate = if sample > f64::from_bits(self.estimate.load(Ordering::Relaxed)) {
            sample
        } else {
            // `faded` has lost exactly the share that the sample is to gain.
            let stored = f64::from_bits(self.estimate.load(Ordering::Relaxed));
            let kept = if stored > 0.0 { faded / stored } else { 0.0 };
            faded + sample * (1.0 - kept)
        };
        // Relaxed, and two stores: workers that race lose a sample, which an estimate can bear.
        self.estimate.store(estimate.to_bits(), Ordering::Relaxed);
        self.updated.store(now.as_ns(), Ordering::Relaxed);
    }

    /// The estimate now, in nanoseconds; zero when nothing is known.
    pub fn faded(&self, now: Tick) -> f64 {
        let stored = f64::from_bits(self.estimate.load(Ordering::Relaxed));
        let age = now.ns_since(Tick::from_ns(self.updated.load(Ordering::Relaxed)));
        stored * (-(age as f64) / DECAY_NS).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_at_once_sinks_slowly_and_fades() {
        let ewma = PeakEwma::default();
        let at = |ms: u64| Tick::from_ns(1).plus_ms(ms);
        ewma.observe(1_000, at(0));
        ewma.observe(9_000, at(1));
        assert!(ewma.faded(at(1)) > 8_900.0);
        ewma.observe(1_000, at(1_001));
        let lower = ewma.faded(at(1_001));
        assert!((5_500.0..6_200.0).contains(&lower), "{lower}");
        assert!(ewma.faded(at(120_000)) < 1.0);
    }
}
