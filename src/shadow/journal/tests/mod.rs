//! A journal over a real file, with a clock that the test sets.

mod keeping;
mod million;
mod pages;
mod restart;

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::{
    base::id::{ExchangeId, VersionNumber},
    shadow::compare::{Detail, Uncompared},
    spec::CompareKind,
    telemetry::outcome::Ended,
};

/// When the tests begin.
const BEGIN_MS: u64 = 1_700_000_000_000;
const HOUR_MS: u64 = 3_600_000;

/// A journal and its directory.
struct World {
    directory: TempDir,
    options: JournalOptions,
    journal: Arc<Journal>,
    now_ms: u64,
}

impl World {
    fn new(options: JournalOptions) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self::within(directory, options)
    }

    /// What the directory has is found.
    fn within(directory: TempDir, options: JournalOptions) -> Self {
        let path = directory.path().join("comparison.db");
        let journal = Arc::new(Journal::open(&path, options));
        Self {
            directory,
            options,
            journal,
            now_ms: BEGIN_MS,
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("comparison.db")
    }

    fn aside(&self) -> PathBuf {
        self.directory.path().join("comparison.db.broken")
    }

    /// The process ends, and another one begins.
    fn restart(&mut self) {
        self.journal = Arc::new(Journal::open(&self.path(), self.options));
    }

    fn write(&self, pairs: &[NewPair]) -> Wrote {
        self.journal.write(pairs, &[], &[], self.now_ms, true)
    }

    /// Writes nothing, so often; what is to be forgotten goes meanwhile.
    fn rest(&self, times: usize) {
        for _ in 0..times {
            assert_eq!(self.write(&[]), Wrote::All);
        }
    }

    fn page(&self, filter: &Filter) -> Page<Kept> {
        self.journal.pairs(filter).expect("read")
    }

    /// All that match, page by page.
    fn all(&self, filter: &Filter) -> Vec<Kept> {
        let mut filter = filter.clone();
        let mut all = Vec::new();
        loop {
            let page = self.page(&filter);
            assert!(page.items.len() <= filter.limit);
            all.extend(page.items);
            filter.after = page.next;
            if filter.after.is_none() {
                return all;
            }
        }
    }

    fn ids(&self, filter: &Filter) -> Vec<u64> {
        self.all(filter).iter().map(|kept| kept.id).collect()
    }
}

fn name(name: &str) -> DeploymentName {
    DeploymentName::parse(name).expect("a name")
}

fn challenger(of: &str, life: u32, version: u32) -> Challenger {
    Challenger {
        name: name(of),
        life,
        version: VersionNumber(version),
    }
}

fn iris() -> Challenger {
    challenger("demo/iris", 1, 1)
}

/// A pair that agrees.
fn pair(challenger: Challenger, at_ms: u64) -> NewPair {
    let side = SideRecord {
        status: Some(200),
        ended: Some(Ended::Complete),
        latency_ns: Some(12_345_678),
        first_byte_ns: Some(11_234_567),
        bytes: 1_234,
        ..SideRecord::default()
    };
    let mut exchange = [7; 16];
    exchange[..8].copy_from_slice(&at_ms.to_be_bytes());
    NewPair {
        challenger,
        record: Record {
            at_ms,
            exchange: ExchangeId::from_bytes(exchange),
            request_id: "0123456789abcdef01234567".into(),
            is_stream: false,
            result: PairResult::Agree,
            has_error: false,
            kind: CompareKind::Number,
            distance: 0.0,
            detail: Some(Detail::Number {
                main: 0.25,
                challenger: 0.25,
            }),
            main: side.clone(),
            challenger: side,
        },
        bodies: None,
    }
}

fn disagreeing(challenger: Challenger, at_ms: u64, distance: f64) -> NewPair {
    let mut pair = pair(challenger, at_ms);
    pair.record.result = PairResult::Disagree;
    pair.record.distance = distance;
    pair
}

fn failed(mut pair: NewPair) -> NewPair {
    pair.record.has_error = true;
    pair
}

fn uncompared(challenger: Challenger, at_ms: u64, why: Uncompared) -> NewPair {
    let mut pair = pair(challenger, at_ms);
    pair.record.result = PairResult::Uncompared(why);
    pair.record.has_error = why == Uncompared::MainFailed;
    pair.record.detail = None;
    pair
}

fn with_bodies(mut pair: NewPair, bytes: usize) -> NewPair {
    let body = |byte| Body {
        bytes: vec![byte; bytes],
        ..Body::default()
    };
    pair.bodies = Some(Bodies {
        request: Some(body(b'r')),
        main: Some(body(b'm')),
        challenger: Some(body(b'c')),
    });
    pair
}

fn state(words: &str) -> StateBlob {
    StateBlob(words.as_bytes().to_vec())
}

fn point(at_ms: u64) -> SeriesPoint {
    SeriesPoint {
        at_ms,
        body: at_ms.to_le_bytes().to_vec(),
    }
}
