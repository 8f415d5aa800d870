//! The queue's limits.

/// The queue's limits. Each has a setting of its name in `[queue]`.
#[derive(Debug, Clone)]
pub struct QueueOptions {
    /// Requests of one deployment under way at once.
    pub concurrency: u32,
    /// How many of them direct calls leave it, however many of those are under way.
    pub concurrency_floor: u32,
    /// Requests of all deployments under way at once.
    pub running_max: u32,
    /// Attempts of one request.
    pub attempts_max: u32,
    /// The shortest pause before a further attempt, in milliseconds.
    pub retry_min_ms: u64,
    /// The longest, in milliseconds.
    pub retry_max_ms: u64,
    /// How long an attempt holds its request without a sign of life, in milliseconds.
    pub lease_ms: u64,
    /// How long a request may take from its acceptance on, unless it says otherwise, in
    /// milliseconds.
    pub deadline_ms: u64,
    /// How long an ended request is kept, in milliseconds.
    pub result_ttl_ms: u64,
    /// How long a dead letter is kept, in milliseconds.
    pub dead_letter_ttl_ms: u64,
    /// How long an idempotency key is remembered, in milliseconds.
    pub idempotency_ttl_ms: u64,
    /// Requests that wait, of the whole gateway.
    pub waiting_max: u64,
    /// Requests that wait, of one key.
    pub waiting_per_key_max: u64,
    /// The largest body, in bytes.
    pub body_bytes_max: u64,
    /// The largest answer, in bytes.
    pub result_bytes_max: u64,
    /// Room on the disk that accepting leaves alone, in bytes: for what was accepted before. 0: none.
    pub disk_reserve_bytes: u64,
    /// Bodies, answers and rows of all requests that are kept, in bytes.
    pub disk_bytes_max: u64,
}

/// The settings' defaults.
impl Default for QueueOptions {
    fn default() -> Self {
        const DAY_MS: u64 = 24 * 3_600 * 1_000;
        Self {
            concurrency: 32,
            concurrency_floor: 4,
            running_max: 256,
            attempts_max: 5,
            retry_min_ms: 1_000,
            retry_max_ms: 60_000,
            lease_ms: 30_000,
            deadline_ms: DAY_MS,
            result_ttl_ms: DAY_MS,
            dead_letter_ttl_ms: 7 * DAY_MS,
            idempotency_ttl_ms: DAY_MS,
            waiting_max: 1_000_000,
            waiting_per_key_max: 100_000,
            body_bytes_max: 64 << 20,
            result_bytes_max: 64 << 20,
            disk_reserve_bytes: 16 << 20,
            disk_bytes_max: 10 << 30,
        }
    }
}
