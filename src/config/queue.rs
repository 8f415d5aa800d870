//! `[queue]` and `[webhook]`: async requests, and telling of their ends.

use std::path::PathBuf;

use ipnet::IpNet;
use serde::Serialize;

use super::{
    addresses::network,
    sections::{DAY_MS, file, integer, list, ms},
};
use crate::spec::Reader;

/// A week, in seconds.
const WEEK_S: u64 = 7 * 86_400;

/// `[queue]`: async requests.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueueSettings {
    /// Threads that make the attempts.
    pub runners: usize,
    /// Attempts at requests of one deployment under way at once. Each direct call under way takes
    /// one of them away.
    pub concurrency: u32,
    /// How many of them direct calls leave, however many those are.
    pub concurrency_floor: u32,
    /// Attempts at requests of all deployments under way at once.
    pub running_max: u32,
    /// Attempts of one request.
    pub attempts_max: u32,
    /// The shortest pause before a further attempt.
    pub retry_min_ms: u64,
    /// The longest.
    pub retry_max_ms: u64,
    /// How long an attempt may hold a request without a sign of life.
    pub lease_ms: u64,
    /// How long a request may take from its acceptance on, unless it says otherwise.
    pub deadline_s: u64,
    /// How long an ended request and its result are kept.
    pub result_ttl_s: u64,
    /// How long a dead letter is kept.
    pub dead_letter_ttl_s: u64,
    /// Requests that have not ended, of the whole gateway.
    pub waiting_max: u64,
    /// Requests that have not ended, of one key.
    pub waiting_per_key_max: u64,
    /// The largest body of a request.
    pub body_bytes_max: u64,
    /// The largest answer that is kept.
    pub result_bytes_max: u64,
    /// Room on the disk that accepting leaves alone, for what was accepted before.
    pub disk_reserve_bytes: u64,
    /// Bodies, answers and rows of everything that is kept.
    pub disk_bytes_max: u64,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            runners: 1,
            concurrency: 32,
            concurrency_floor: 4,
            running_max: 256,
            attempts_max: 5,
            retry_min_ms: 1_000,
            retry_max_ms: 60_000,
            lease_ms: 30_000,
            deadline_s: 86_400,
            result_ttl_s: 86_400,
            dead_letter_ttl_s: WEEK_S,
            waiting_max: 1_000_000,
            waiting_per_key_max: 100_000,
            body_bytes_max: 64 << 20,
            result_bytes_max: 64 << 20,
            disk_reserve_bytes: 16 << 20,
            disk_bytes_max: 10 << 30,
        }
    }
}

pub(super) fn queue(reader: &mut Reader<'_>, queue: &mut QueueSettings) {
    let bytes = 0..=1 << 40;
    integer(reader, "runners", 1..=64, &mut queue.runners);
    integer(reader, "concurrency", 1..=100_000, &mut queue.concurrency);
    let floor = &mut queue.concurrency_floor;
    integer(reader, "concurrency_floor", 0..=100_000, floor);
    integer(reader, "running_max", 1..=100_000, &mut queue.running_max);
    integer(
        reader,
        "attempts_max",
        1..=1_000_000,
        &mut queue.attempts_max,
    );
    integer(reader, "retry_min_ms", 0..=DAY_MS, &mut queue.retry_min_ms);
    integer(reader, "retry_max_ms", 0..=DAY_MS, &mut queue.retry_max_ms);
    integer(reader, "lease_ms", 100..=DAY_MS, &mut queue.lease_ms);
    integer(reader, "deadline_s", 1..=WEEK_S, &mut queue.deadline_s);
    integer(reader, "result_ttl_s", 1..=WEEK_S, &mut queue.result_ttl_s);
    let ttl = &mut queue.dead_letter_ttl_s;
    integer(reader, "dead_letter_ttl_s", 1..=52 * WEEK_S, ttl);
    let waiting = &mut queue.waiting_max;
    integer(reader, "waiting_max", 1..=100_000_000, waiting);
    let share = &mut queue.waiting_per_key_max;
    integer(reader, "waiting_per_key_max", 1..=100_000_000, share);
    let body = &mut queue.body_bytes_max;
    integer(reader, "body_bytes_max", bytes.clone(), body);
    let result = &mut queue.result_bytes_max;
    integer(reader, "result_bytes_max", bytes.clone(), result);
    let reserve = &mut queue.disk_reserve_bytes;
    integer(reader, "disk_reserve_bytes", bytes.clone(), reserve);
    integer(reader, "disk_bytes_max", bytes, &mut queue.disk_bytes_max);
    if queue.retry_min_ms > queue.retry_max_ms {
        reader.wrong("retry_min_ms", "must not be above retry_max_ms");
    }
    if queue.concurrency_floor > queue.concurrency {
        reader.wrong("concurrency_floor", "must not be above concurrency");
    }
}

/// `[webhook]`: telling receivers of the ends of async requests.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WebhookSettings {
    /// For one attempt, from the look-up of the name to the head of the answer.
    pub timeout_ms: u64,
    /// The pause before the second attempt; the others follow in the usual proportions, up to a day.
    pub retry_first_ms: u64,
    /// Attempts under way at once.
    pub concurrency: usize,
    /// Of these, at one host and port.
    pub per_host_max: usize,
    /// Where receivers may be beside public addresses.
    pub allow_networks: Vec<IpNet>,
    /// Where they may not be, whatever is allowed.
    pub deny_networks: Vec<IpNet>,
    /// Certificates in PEM that are trusted beside the system's; empty: none.
    pub ca_file: PathBuf,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            timeout_ms: 15_000,
            retry_first_ms: 5_000,
            concurrency: 16,
            per_host_max: 4,
            allow_networks: Vec::new(),
            deny_networks: Vec::new(),
            ca_file: PathBuf::new(),
        }
    }
}

pub(super) fn webhook(reader: &mut Reader<'_>, webhook: &mut WebhookSettings) {
    ms(reader, "timeout_ms", &mut webhook.timeout_ms);
    let first = &mut webhook.retry_first_ms;
    integer(reader, "retry_first_ms", 1..=DAY_MS, first);
    integer(reader, "concurrency", 1..=1_000, &mut webhook.concurrency);
    let per_host = &mut webhook.per_host_max;
    integer(reader, "per_host_max", 1..=1_000, per_host);
    list(
        reader,
        "allow_networks",
        network,
        &mut webhook.allow_networks,
    );
    list(reader, "deny_networks", network, &mut webhook.deny_networks);
    file(reader, "ca_file", &mut webhook.ca_file);
}
