//! What monitoring tells, as numbers of a frame.

use jiff::Timestamp;
use serde_json::Value;

/// A step of monitoring, in milliseconds.
const STEP_MS: i64 = 10_000;

/// Kinds of errors that are the client's own doing.
const OF_CLIENTS: [&str; 2] = ["client_error", "client_gone"];

/// What a role did lately.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Recent {
    /// Requests a second.
    pub(super) requests: f64,
    /// Failures a second that are not the clients' own.
    pub(super) errors: f64,
    /// Bytes of requests a second.
    pub(super) bytes_in: f64,
    /// Bytes of answers a second.
    pub(super) bytes_out: f64,
    /// Copies that were not made, a second.
    pub(super) dropped: f64,
    /// Milliseconds from head to last byte: half of them, nine tenths, 99 of 100.
    pub(super) latency_ms: [Option<f64>; 3],
    /// Milliseconds to the first byte: half of them, 99 of 100.
    pub(super) first_byte_ms: [Option<f64>; 2],
    /// Exchanges under way.
    pub(super) in_flight: u64,
    /// Streams under way.
    pub(super) streams: u64,
}

/// A role's curves, a value a step, the running one left out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Curves {
    /// Requests a second.
    pub(super) requests: Vec<Option<f64>>,
    /// Errors a second.
    pub(super) errors: Vec<Option<f64>>,
    /// 99 of 100 took no longer, in milliseconds.
    pub(super) p99_ms: Vec<Option<f64>>,
}

/// The answer of `.../monitoring`, looked up by time.
pub(super) struct Figures<'a> {
    series: &'a Value,
    from_ms: i64,
    /// The beginning of the running step.
    running_ms: i64,
    /// How long that has been going on.
    run_ms: i64,
}

// === impl Figures ===

impl<'a> Figures<'a> {
    /// Of an answer; none when it is not of its kind. `now_ms` is the time here, for a running step in
    /// which nothing happened yet.
    pub(super) fn of(monitoring: &'a Value, now_ms: i64) -> Option<Self> {
        // The end of the running step, which is still to come.
        let to_ms = ms(&monitoring["to"])?;
        let running_ms = (to_ms - 1).div_euclid(STEP_MS) * STEP_MS;
        let figures = Self {
            series: &monitoring["series"],
            from_ms: ms(&monitoring["from"])?,
            running_ms,
            run_ms: (now_ms - running_ms).clamp(0, STEP_MS),
        };
        let last = ["main", "challenger"].map(|role| figures.points(role).last());
        let told = last.into_iter().flatten().find_map(|point| {
            let is_running = ms(&point["at"])? == running_ms;
            is_running.then(|| point["seconds"].as_f64()).flatten()
        });
        Some(Self {
            run_ms: told.map_or(figures.run_ms, |seconds| (seconds * 1e3) as i64),
            ..figures
        })
    }

    /// Whether a role has any figures.
    pub(super) fn has(&self, role: &str) -> bool {
        self.points(role).next().is_some()
    }

    /// What a role did in the running step and the one before it.
    pub(super) fn recent(&self, role: &str) -> Recent {
        let before_ms = self.running_ms - STEP_MS;
        let newest: Vec<&Value> = self
            .points(role)
            .filter(|point| ms(&point["at"]).is_some_and(|at| at >= before_ms))
            .collect();
        let seconds = (STEP_MS + self.run_ms) as f64 / 1e3;
        let rate = |member: &str| {
            let sum: u64 = newest
                .iter()
                .filter_map(|point| point[member].as_u64())
                .sum();
            sum as f64 / seconds
        };
        // The quantiles of the step with most in it: two steps' can't be added up.
        let fullest = newest.iter().max_by_key(|point| point["requests"].as_u64());
        let quantile = |of: &str, which: &str| fullest?[of][which].as_f64();
        let last = newest.last();
        let count = |member: &str| last.and_then(|point| point[member].as_u64()).unwrap_or(0);
        Recent {
            requests: rate("requests"),
            errors: newest.iter().map(|point| failures(point)).sum::<u64>() as f64 / seconds,
            bytes_in: rate("request_bytes"),
            bytes_out: rate("response_bytes"),
            dropped: rate("mirror_dropped"),
            latency_ms: ["p50", "p90", "p99"].map(|which| quantile("latency_ms", which)),
            first_byte_ms: ["p50", "p99"].map(|which| quantile("first_byte_ms", which)),
            in_flight: count("in_flight"),
            streams: count("streams_open"),
        }
    }

    /// A role's curves over all the time that was asked for.
    pub(super) fn curves(&self, role: &str) -> Curves {
        let first_ms = self.from_ms.div_euclid(STEP_MS) * STEP_MS;
        let steps = usize::try_from((self.running_ms - first_ms) / STEP_MS).unwrap_or(0);
        // A step that is not told of had nothing in it.
        let mut curves = Curves {
            requests: vec![Some(0.0); steps],
            errors: vec![Some(0.0); steps],
            p99_ms: vec![None; steps],
        };
        for point in self.points(role) {
            let at = ms(&point["at"]).map(|at| (at - first_ms).div_euclid(STEP_MS));
            let Some(at) = at.and_then(|at| usize::try_from(at).ok()) else {
                continue;
            };
            if at < steps {
                let seconds = point["seconds"].as_f64().unwrap_or(10.0).max(1.0);
                let requests = point["requests"].as_u64().unwrap_or(0) as f64;
                curves.requests[at] = Some(requests / seconds);
                curves.errors[at] = Some(failures(point) as f64 / seconds);
                curves.p99_ms[at] = point["latency_ms"]["p99"].as_f64();
            }
        }
        curves
    }

    fn points(&self, role: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        let role = role.to_owned();
        let series = self.series.as_array().into_iter().flatten();
        let of_role = series.filter(move |series| series["role"] == role.as_str());
        of_role.flat_map(|series| series["points"].as_array().into_iter().flatten())
    }
}

/// Failures in a step that are not the clients' own doing.
pub(super) fn failures(point: &Value) -> u64 {
    let kinds = point["errors"].as_object().into_iter().flatten();
    kinds
        .filter(|(kind, _)| !OF_CLIENTS.contains(&kind.as_str()))
        .filter_map(|(_, count)| count.as_u64())
        .sum()
}

fn ms(time: &Value) -> Option<i64> {
    let time: Timestamp = time.as_str()?.parse().ok()?;
    Some(time.as_millisecond())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rates_are_over_the_running_step_and_the_one_before() {
        let point = |at: &str, requests: u64, errors: Value| {
            json!({"at": format!("2026-11-20T20:00:{at}Z"), "seconds": 10, "requests": requests,
                   "errors": errors, "latency_ms": {"p50": 1.5, "p90": 2.0, "p99": requests},
                   "request_bytes": requests * 10, "in_flight": requests, "streams_open": 1})
        };
        let mut answer = json!({
            "from": "2026-11-20T20:00:00Z", "to": "2026-11-20T20:00:50Z", "step_s": 10,
            "series": [{"role": "main", "points": [
                point("00", 10, json!({})),
                point("30", 100, json!({"client_error": 7, "timeout": 2})),
                point("40", 50, json!({"backend_error": 1})),
            ]}],
        });
        answer["series"][0]["points"][2]["seconds"] = json!(5.0);
        let at_ms = |time: &str| ms(&json!(format!("2026-11-20T20:00:{time}Z"))).expect("a time");
        let figures = Figures::of(&answer, at_ms("49")).expect("an answer");
        let recent = figures.recent("main");
        assert_eq!((recent.requests, recent.errors), (10.0, 0.2));
        assert_eq!(recent.bytes_in, 100.0);
        assert_eq!(recent.latency_ms, [Some(1.5), Some(2.0), Some(100.0)]);
        assert_eq!((recent.in_flight, recent.streams), (50, 1));
        let curves = figures.curves("main");
        assert_eq!(
            curves.requests,
            [Some(1.0), Some(0.0), Some(0.0), Some(10.0)]
        );
        assert_eq!(curves.errors[3], Some(0.2));
        assert_eq!(curves.p99_ms, [Some(10.0), None, None, Some(100.0)]);
        assert!(!figures.has("challenger"));
        // Nothing happened yet in the running step: how long it has run says the clock.
        let points = answer["series"][0]["points"]
            .as_array_mut()
            .expect("points");
        points.pop();
        let figures = Figures::of(&answer, at_ms("46")).expect("an answer");
        assert_eq!(figures.recent("main").requests, 100.0 / 16.0);
        let figures = Figures::of(&answer, at_ms("10")).expect("a clock that is wrong");
        assert_eq!(figures.recent("main").requests, 10.0);
        assert_eq!(figures.recent("challenger"), Recent::default());
    }
}
