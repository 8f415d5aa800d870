//! What weir's `/metrics` says of copies and pairs.

use std::{collections::BTreeMap, net::SocketAddr};

use super::{Checked, start::exchange};

/// Copies sent to challengers, and what became of them, of all deployments together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Copies {
    /// Copies that a challenger answered.
    pub(crate) sent: u64,
    /// Copies not made or given up, by reason.
    pub(crate) dropped: BTreeMap<String, u64>,
    /// Pairs of answers, by result.
    pub(crate) pairs: BTreeMap<String, u64>,
    /// Pairs that came to no comparison, by reason.
    pub(crate) pairs_dropped: BTreeMap<String, u64>,
}

// === impl Copies ===

impl Copies {
    /// Asks the admin plane.
    pub(crate) fn read(admin: SocketAddr) -> Checked<Self> {
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {admin}\r\n\r\n");
        let answer = String::from_utf8(exchange(admin, request.as_bytes())?)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("half an answer")?;
        match head.starts_with("HTTP/1.1 200 ") {
            true => Self::parse(body),
            false => Err(format!("/metrics: {head}").into()),
        }
    }

    fn parse(metrics: &str) -> Checked<Self> {
        let mut copies = Self::default();
        for line in metrics.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            let (by, label) = match name {
                "weir_mirror_copies_total" => (None, ""),
                "weir_mirror_dropped_total" => (Some(&mut copies.dropped), "reason=\""),
                "weir_comparison_pairs_total" => (Some(&mut copies.pairs), "result=\""),
                "weir_comparison_pairs_dropped_total" => {
                    (Some(&mut copies.pairs_dropped), "reason=\"")
                }
                _ => continue,
            };
            let (labels, value) = line.rsplit_once(' ').ok_or("a metric without a value")?;
            let value = value.parse::<f64>()? as u64;
            match by {
                None => copies.sent += value,
                Some(by) => {
                    let found = labels.split_once(label).map_or("", |(_, rest)| rest);
                    let found = found.split('"').next().unwrap_or_default();
                    *by.entry(found.to_owned()).or_default() += value;
                }
            }
        }
        Ok(copies)
    }

    /// What was added since an earlier moment.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let added = |now: &BTreeMap<String, u64>, then: &BTreeMap<String, u64>| {
            let less = |(word, count): (&String, &u64)| {
                let then = then.get(word).copied().unwrap_or(0);
                (word.clone(), count.saturating_sub(then))
            };
            now.iter().map(less).collect()
        };
        Self {
            sent: self.sent.saturating_sub(before.sent),
            dropped: added(&self.dropped, &before.dropped),
            pairs: added(&self.pairs, &before.pairs),
            pairs_dropped: added(&self.pairs_dropped, &before.pairs_dropped),
        }
    }

    /// Both together.
    pub(crate) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        for (into, of) in [
            (&mut self.dropped, &other.dropped),
            (&mut self.pairs, &other.pairs),
            (&mut self.pairs_dropped, &other.pairs_dropped),
        ] {
            for (word, count) in of {
                *into.entry(word.clone()).or_default() += count;
            }
        }
    }

    /// Pairs whose answers were held against each other.
    pub(crate) fn compared(&self) -> u64 {
        let of = |word: &str| self.pairs.get(word).copied().unwrap_or(0);
        of("agree") + of("disagree")
    }

    /// Pairs found to disagree.
    pub(crate) fn disagreeing(&self) -> u64 {
        self.pairs.get("disagree").copied().unwrap_or(0)
    }

    /// Whether this weir compares at all.
    pub(crate) fn knows_pairs(&self) -> bool {
        !self.pairs.is_empty()
    }
}

impl std::fmt::Display for Copies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |by: &BTreeMap<String, u64>| {
            let some = by.iter().filter(|(_, count)| **count > 0);
            let words: Vec<_> = some
                .map(|(word, count)| format!("{word} {count}"))
                .collect();
            match words.is_empty() {
                true => "none".to_owned(),
                false => words.join(", "),
            }
        };
        write!(f, "copies answered {}", self.sent)?;
        write!(f, "; copies dropped: {}", list(&self.dropped))?;
        write!(f, "; pairs: {}", list(&self.pairs))?;
        write!(f, "; pairs dropped: {}", list(&self.pairs_dropped))
    }
}
