//! The table of all metrics: name, kind, labels, and what each says. Nothing else registers one.

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes both ways.
    Gauge,
    /// Samples in buckets.
    Histogram,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name, with the unit behind it.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its labels. Their values come from declared names and from this program's own words only.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// Upper bounds of the buckets of every duration, in seconds: from 10 µs, so that the gateway's
/// own share shows, to 10 min, the default `total_ms`.
pub const SECONDS_BUCKETS: &[f64] = &[
    10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1,
    0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0,
];

macro_rules! table {
    ($($name:ident = $kind:ident $text:literal $labels:expr, $help:literal;)*) => {
        $(#[doc = $help] pub const $name: Metric = Metric {
            name: $text, kind: Kind::$kind, labels: &$labels, help: $help,
        };)*

        /// Every metric, in the order of the table.
        pub const ALL: &[Metric] = &[$($name,)*];
    };
}

table! {
    REQUESTS = Counter "weir_requests_total" ["project", "deployment", "version", "role", "code"],
        "Finished exchanges, by the status answered (\"none\": ended without one).";
    DURATION = Histogram "weir_request_duration_seconds" ["project", "deployment", "role"],
        "From a request's head read to the last byte of its answer passed on.";
    FIRST_BYTE = Histogram "weir_first_byte_seconds" ["project", "deployment", "role"],
        "From a request's head read to the head of the backend's answer.";
    OVERHEAD = Histogram "weir_gateway_overhead_seconds" ["project", "deployment"],
        "Time to first byte that was weir's own: all but connecting to and waiting for clients and backends.";
    IN_FLIGHT = Gauge "weir_requests_in_flight" ["project", "deployment", "role"],
        "Exchanges under way.";
    REQUEST_BYTES = Counter "weir_request_bytes_total" ["project", "deployment", "role"],
        "Bytes of request bodies taken.";
    RESPONSE_BYTES = Counter "weir_response_bytes_total" ["project", "deployment", "role"],
        "Bytes of answers' bodies passed on (challenger: read).";
    BROKEN = Counter "weir_exchanges_broken_total" ["project", "deployment", "role", "reason"],
        "Exchanges that did not reach their last byte, by reason.";
    RETRIES = Counter "weir_retries_total" ["project", "deployment", "reason"],
        "Requests sent again to a backend, by reason.";
    RETRIES_REFUSED = Counter "weir_retries_refused_total" ["project", "deployment"],
        "Retries that the retry budget did not allow.";
    EJECTIONS = Counter "weir_ejections_total" ["project", "deployment", "role", "reason"],
        "Backends taken out of their pool after failures, by reason.";
    BACKENDS = Gauge "weir_backends" ["project", "deployment", "role", "state"],
        "Backends of the live version by state: available, unhealthy, ejected.";
    MIRRORED = Counter "weir_mirror_copies_total" ["project", "deployment"],
        "Copies sent to a challenger.";
    MIRROR_DROPPED = Counter "weir_mirror_dropped_total" ["project", "deployment", "reason"],
        "Copies meant for a challenger and not made, or given up, by reason.";
    LIMIT_REFUSED = Counter "weir_limit_refused_total" ["project", "deployment", "scope", "limit", "mode"],
        "Requests beyond a limit of their key or of the deployment; mode enforce: refused, count: let through all the same.";
    FAULTS = Counter "weir_faults_total" ["code"],
        "Faults answered, by the code of the catalogue.";
    UPSTREAM_CONNECTIONS = Gauge "weir_upstream_connections" ["state"],
        "Connections to backends: active, idle.";
    UPSTREAM_CONNECTS = Counter "weir_upstream_connects_total" ["result"],
        "Connections opened to backends: ok, refused, denied, tls, timeout, error.";
    CONNECTIONS = Gauge "weir_client_connections" ["worker"],
        "Client connections open, by worker.";
    GATE_LIMIT = Gauge "weir_gate_limit" ["project", "deployment"],
        "Exchanges that a deployment's gate lets through at once.";
    GATE_WAITING = Gauge "weir_gate_waiting" ["project", "deployment"],
        "Requests that wait for their turn at a deployment's gate.";
    GATE_REFUSED = Counter "weir_gate_refused_total" ["project", "deployment", "priority", "reason"],
        "Requests that got no turn at a deployment's gate, by reason: full, too_long, displaced.";
    SHED = Counter "weir_shed_total" ["reason", "priority"],
        "Requests not taken because weir itself is short of something: memory, connections.";
    MEMORY_HIGH = Gauge "weir_memory_high" [],
        "Whether work is shed for want of memory: 0 none, 1 what nobody waits for, 2 all new requests.";
    CONNECTIONS_REFUSED = Counter "weir_client_connections_refused_total" ["reason"],
        "Client connections and bodies turned away or closed before their request was served, by a limit or for a malformed head, by reason.";
    TLS_HANDSHAKES = Counter "weir_tls_handshakes_total" ["listener", "result", "resumed"],
        "TLS handshakes of clients, by listener (data, admin), how they ended (ok, failed, timeout), and whether an earlier session went on.";
    TLS_RELOADS = Counter "weir_tls_reloads_total" ["use", "result"],
        "Changes of TLS files: ok (in force), failed (something is wrong with them, and what was before stays); by use: data, admin, upstream.";
    TLS_EXPIRY = Gauge "weir_tls_certificate_expiry_seconds" ["use"],
        "Unix time of the last second in which the TLS certificate is valid, by use: data, admin, upstream.";
    HANDED_OVER = Counter "weir_client_connections_handed_over_total" [],
        "Accepted connections handed to a less loaded worker.";
    EPOCH = Gauge "weir_config_epoch" [],
        "Number of the snapshot in force.";
    SNAPSHOT_BUILD = Histogram "weir_snapshot_build_seconds" [],
        "Time to build a snapshot from its declarations.";
    SNAPSHOT_PUBLISH = Histogram "weir_snapshot_publish_seconds" [],
        "Time to put a built snapshot and its keys in force.";
    RELOADS = Counter "weir_declaration_reloads_total" ["result"],
        "Times the declarations were read: applied, unchanged, refused.";
    OUTCOMES_DROPPED = Counter "weir_outcomes_dropped_total" [],
        "Outcomes that the log and the comparison were too slow to take.";
    LOG_LINES_DROPPED = Counter "weir_log_lines_dropped_total" ["reason"],
        "Lines of deployments' logs that were not kept or not shown, by reason: rate, door, memory, slow_follower.";
    LOG_BYTES = Gauge "weir_log_bytes" [],
        "Lines of deployments' logs and what holds them, in bytes.";
    MUTATION = Histogram "weir_mutation_seconds" [],
        "From a mutation's call to its being in force, its wait for earlier ones included.";
    TASKS = Counter "weir_tasks_total" ["kind", "status"],
        "Tasks that ended, by kind and how.";
    CONTROL_LIMITED = Counter "weir_control_limited_total" ["limit"],
        "Changes that were turned away because there may be no more of something, by limit.";
    ADMIN_REFUSED = Counter "weir_admin_refused_total" ["code"],
        "Calls of the admin plane that were turned away, by code.";
    AUDIT_DROPPED = Counter "weir_audit_dropped_total" [],
        "Refusals that were not written down because too many came at once or the store failed.";
    DEPLOYMENTS = Gauge "weir_deployments" [],
        "Deployments in the snapshot in force.";
    KEYS = Gauge "weir_keys" [],
        "API keys in force.";
    ASYNC_DEPTH = Gauge "weir_async_requests" ["project", "deployment", "state"],
        "Async requests that have not ended: queued, running.";
    ASYNC_OLDEST = Gauge "weir_async_oldest_age_seconds" ["project", "deployment"],
        "Age of the oldest async request that waits.";
    ASYNC_OPEN = Gauge "weir_async_waiting_requests" [],
        "Async requests of all deployments that wait for their turn.";
    ASYNC_BYTES = Gauge "weir_async_bytes" [],
        "Bodies, answers and rows of async requests that are kept, in bytes.";
    ASYNC_ACCEPTED = Counter "weir_async_accepted_total" ["project", "deployment"],
        "Async requests accepted, durably.";
    ASYNC_REFUSED = Counter "weir_async_refused_total" ["reason"],
        "Async requests not accepted, by reason; known: accepted before under its idempotency key.";
    ASYNC_ATTEMPTS = Counter "weir_async_attempts_total" ["project", "deployment"],
        "Attempts begun at async requests.";
    ASYNC_FINISHED = Counter "weir_async_finished_total" ["project", "deployment", "status"],
        "Async requests that ended, by status: completed, error, cancelled, expired.";
    ASYNC_FENCED = Counter "weir_async_fenced_total" [],
        "Ends that came too late for their attempt to speak for its request, and were refused.";
    ASYNC_LAPSED = Counter "weir_async_lapsed_total" [],
        "Attempts whose lease lapsed without a sign of life.";
    ASYNC_COMMIT = Histogram "weir_async_commit_seconds" [],
        "Time to make a batch of accepted async requests durable.";
    ASYNC_COMMIT_REQUESTS = Counter "weir_async_commit_requests_total" [],
        "Async requests in those batches; divided by their count it is the size of a batch.";
    WEBHOOK_DELIVERIES = Counter "weir_webhook_deliveries_total" ["result"],
        "Attempts to tell a webhook's receiver: delivered, again (it failed and is repeated), failed (it was the last).";
    WEBHOOK_PENDING = Gauge "weir_webhook_pending" [],
        "Webhooks whose receivers are still to be told.";
    NOTIFICATIONS = Counter "weir_notifications_total" ["kind", "result"],
        "Attempts to deliver a notification: delivered, again (it failed and is repeated), failed (it was the last); dropped without one, as too many waited.";
    NOTIFICATIONS_PENDING = Gauge "weir_notifications_pending" [],
        "Notifications that are still to be delivered.";
    STORE_COMMIT = Histogram "weir_store_commit_seconds" [],
        "Time to make a group of batches durable, from the first write to the sync's return.";
    STORE_COMMITS = Counter "weir_store_commits_total" ["result"],
        "Batches that the store was asked to write: ok, conflict, failed.";
    STORE_SYNCS = Counter "weir_store_syncs_total" [],
        "Groups of batches made durable, by one sync of the log each.";
    STORE_AVAILABLE = Gauge "weir_store_available" [],
        "Whether the store takes writes: 1, or 0 while it is out of service.";
    STORE_BYTES = Gauge "weir_store_bytes" [],
        "Size of the store's file and of its log.";
    MONITORING_BYTES = Gauge "weir_monitoring_bytes" [],
        "Size of the file of the monitoring series and of its log.";
    MONITORING_AVAILABLE = Gauge "weir_monitoring_available" [],
        "Whether the file of the monitoring series takes writes: 1, or 0 while it does not.";
    MONITORING_DROPPED = Counter "weir_monitoring_steps_dropped_total" ["reason"],
        "Steps of monitoring series that were dropped before their time: full (disk_bytes_max), unwritten (the file took none for hours).";
    COMPARISON_PAIRS = Counter "weir_comparison_pairs_total" ["project", "deployment", "result"],
        "Pairs of main's and its challenger's answers, by result: agree, disagree, uncompared.";
    COMPARISON_AGREEMENT = Gauge "weir_comparison_agreement_ratio" ["project", "deployment"],
        "Share of the live version's compared pairs that agree.";
    COMPARISON_ERROR_INCREASE = Gauge "weir_comparison_error_increase_ratio" ["project", "deployment"],
        "By how much the challenger's share of errors exceeds main's; below 0: it has fewer.";
    COMPARISON_LATENCY = Gauge "weir_comparison_latency_ratio" ["project", "deployment", "percentile"],
        "How many times main's latency the challenger's is, at a percentile: 50, 99.";
    COMPARISON_VERDICT = Gauge "weir_comparison_verdict" ["project", "deployment", "state"],
        "1 at the state that the live version's challenger has, 0 at the others: hold, promote, reject.";
    COMPARISON_DROPPED = Counter "weir_comparison_pairs_dropped_total" ["reason"],
        "Pairs that were dropped, by reason. Not compared: queue_full, panicked, stopping; compared, but not kept: unwritten (the file took none), full (disk_bytes_max).";
    COMPARISON_BYTES = Gauge "weir_comparison_bytes" [],
        "Size of the file of pairs and of its log.";
    COMPARISON_AVAILABLE = Gauge "weir_comparison_available" [],
        "Whether the file of pairs takes writes: 1, or 0 while it does not.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_habits_of_prometheus() {
        for metric in ALL {
            assert!(metric.name.starts_with("weir_"), "{}", metric.name);
            let total = metric.name.ends_with("_total");
            assert_eq!(total, metric.kind == Kind::Counter, "{}", metric.name);
            if metric.kind == Kind::Histogram {
                assert!(metric.name.ends_with("_seconds"), "{}", metric.name);
                assert!(!metric.labels.contains(&"version"), "{}", metric.name);
            }
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }
}
