//! Every setting with the range it may have.

use std::{fmt::Display, net::SocketAddr, ops::RangeInclusive, path::PathBuf};

use super::{
    LogFormat, LogLevel, Settings, Token,
    addresses::{host, network, origin},
    comparison::comparison,
    monitoring::monitoring,
    notify::{notify, smtp},
    overload::overload,
    queue::{queue, webhook},
    sealing::SealingKey,
    tls::tls,
    upstream_tls::upstream_tls,
};
use crate::spec::{Field, Reader};

/// A day, in milliseconds.
pub(super) const DAY_MS: u64 = 86_400_000;
/// As many as any process may hold open.
const CONNECTIONS_MAX: u64 = 1_000_000;
/// Bytes of a head: less than 8 KiB refuses ordinary requests, more than 1 MiB is no head.
const HEAD_BYTES: RangeInclusive<u64> = 8_192..=1 << 20;
/// Bytes of a body of the admin plane: less refuses ordinary versions, more is no document.
const ADMIN_BODY_BYTES: RangeInclusive<u64> = 8_192..=64 << 20;
/// Bytes of all deployments' logs: below, they would not hold a deployment's name each.
const LOGS_BYTES: RangeInclusive<u64> = 1 << 20..=1 << 40;
/// Hosts, origins or networks in one list.
const LIST_MAX: usize = 256;
/// The longest path of a directory or a file.
const PATH_BYTES_MAX: usize = 4_096;

pub(super) fn settings(reader: &mut Reader<'_>) -> Option<Settings> {
    let mut s = Settings::default();
    let directory = reader.field("data_dir");
    if let Some(text) = directory.and_then(|field| field.text_within(1..=PATH_BYTES_MAX)) {
        s.data_dir = text.into();
    }
    integer(reader, "workers", 0..=256, &mut s.workers);
    reader.section("data", |reader| {
        let data = &mut s.data;
        listen(reader, &mut data.listen);
        public_url(reader, &mut data.public_url);
        integer(
            reader,
            "connections_max",
            0..=CONNECTIONS_MAX,
            &mut data.connections_max,
        );
        integer(
            reader,
            "connections_per_address_max",
            0..=CONNECTIONS_MAX,
            &mut data.connections_per_address_max,
        );
        integer(
            reader,
            "head_bytes_max",
            HEAD_BYTES,
            &mut data.head_bytes_max,
        );
        let bodies = 0..=1 << 40;
        integer(
            reader,
            "request_body_bytes_max",
            bodies,
            &mut data.request_body_bytes_max,
        );
        integer(reader, "streams_max", 1..=10_000, &mut data.streams_max);
        ms(reader, "head_timeout_ms", &mut data.head_timeout_ms);
        ms(reader, "body_timeout_ms", &mut data.body_timeout_ms);
        let rate = &mut data.body_bytes_per_second_min;
        integer(reader, "body_bytes_per_second_min", 0..=1 << 30, rate);
        let grace = &mut data.body_rate_grace_ms;
        integer(reader, "body_rate_grace_ms", 0..=DAY_MS, grace);
        ms(reader, "idle_timeout_ms", &mut data.idle_timeout_ms);
        let stall = &mut data.write_stall_timeout_ms;
        ms(reader, "write_stall_timeout_ms", stall);
        integer(
            reader,
            "linger_timeout_ms",
            0..=60_000,
            &mut data.linger_timeout_ms,
        );
        reader.section("tls", |reader| tls(reader, &mut data.tls));
    });
    reader.section("overload", |reader| overload(reader, &mut s.overload));
    reader.section("drain", |reader| {
        integer(reader, "grace_ms", 0..=DAY_MS, &mut s.drain.grace_ms);
    });
    reader.section("upstream", |reader| {
        let upstream = &mut s.upstream;
        integer(reader, "idle_max", 0..=65_536, &mut upstream.idle_max);
        ms(reader, "idle_timeout_ms", &mut upstream.idle_timeout_ms);
        integer(reader, "warm_min", 0..=65_536, &mut upstream.warm_min);
        integer(
            reader,
            "connections_max",
            1..=CONNECTIONS_MAX,
            &mut upstream.connections_max,
        );
        integer(
            reader,
            "head_bytes_max",
            HEAD_BYTES,
            &mut upstream.head_bytes_max,
        );
        integer(reader, "retries_max", 0..=10, &mut upstream.retries_max);
        let bodies = 0..=16 << 20;
        integer(
            reader,
            "retry_body_bytes_max",
            bodies,
            &mut upstream.retry_body_bytes_max,
        );
        integer(
            reader,
            "retry_budget_percent",
            0..=100,
            &mut upstream.retry_budget_percent,
        );
        integer(reader, "retry_min", 0..=10_000, &mut upstream.retry_min);
        list(
            reader,
            "allow_networks",
            network,
            &mut upstream.allow_networks,
        );
        list(
            reader,
            "deny_networks",
            network,
            &mut upstream.deny_networks,
        );
        if upstream.warm_min > upstream.idle_max {
            reader.wrong("warm_min", "must not be above idle_max");
        }
        reader.section("tls", |reader| upstream_tls(reader, &mut upstream.tls));
    });
    reader.section("health", |reader| {
        let health = &mut s.health;
        ms(reader, "interval_ms", &mut health.interval_ms);
        ms(reader, "timeout_ms", &mut health.timeout_ms);
        integer(
            reader,
            "unhealthy_after",
            1..=1_000,
            &mut health.unhealthy_after,
        );
        integer(
            reader,
            "healthy_after",
            1..=1_000,
            &mut health.healthy_after,
        );
    });
    reader.section("ejection", |reader| {
        let ejection = &mut s.ejection;
        let failures = &mut ejection.consecutive_failures;
        integer(reader, "consecutive_failures", 1..=100_000, failures);
        let margin = ejection.success_rate_margin;
        ejection.success_rate_margin = reader.number("success_rate_margin", 0.0..=1.0, margin);
        let requests = &mut ejection.success_rate_min_requests;
        integer(reader, "success_rate_min_requests", 1..=1_000_000, requests);
        ms(reader, "base_ms", &mut ejection.base_ms);
        ms(reader, "max_ms", &mut ejection.max_ms);
        integer(
            reader,
            "return_ramp_ms",
            0..=DAY_MS,
            &mut ejection.return_ramp_ms,
        );
        if ejection.base_ms > ejection.max_ms {
            reader.wrong("base_ms", "must not be above max_ms");
        }
    });
    reader.section("mirror", |reader| {
        integer(
            reader,
            "queue_bytes_max",
            0..=1 << 40,
            &mut s.mirror.queue_bytes_max,
        );
    });
    reader.section("queue", |reader| queue(reader, &mut s.queue));
    reader.section("webhook", |reader| webhook(reader, &mut s.webhook));
    reader.section("notify", |reader| notify(reader, &mut s.notify));
    reader.section("smtp", |reader| smtp(reader, &mut s.smtp));
    reader.section("limits", |reader| {
        let limits = &mut s.limits;
        integer(
            reader,
            "deployments_max",
            1..=1_000_000,
            &mut limits.deployments_max,
        );
        integer(reader, "keys_max", 1..=100_000_000, &mut limits.keys_max);
        integer(
            reader,
            "projects_max",
            1..=1_000_000,
            &mut limits.projects_max,
        );
        integer(
            reader,
            "tenants_max",
            1..=1_000_000,
            &mut limits.tenants_max,
        );
        integer(reader, "tokens_max", 1..=1_000_000, &mut limits.tokens_max);
        integer(
            reader,
            "tasks_waiting_max",
            1..=10_000,
            &mut limits.tasks_waiting_max,
        );
        integer(
            reader,
            "tasks_kept_max",
            1..=10_000_000,
            &mut limits.tasks_kept_max,
        );
        integer(
            reader,
            "versions_kept_max",
            1..=1_000_000,
            &mut limits.versions_kept_max,
        );
        integer(
            reader,
            "history_kept_max",
            1..=100_000_000,
            &mut limits.history_kept_max,
        );
    });
    reader.section("deploy", |reader| {
        let deploy = &mut s.deploy;
        integer(
            reader,
            "unreachable_ms",
            0..=DAY_MS,
            &mut deploy.unreachable_ms,
        );
        integer(reader, "ready_ms", 0..=DAY_MS, &mut deploy.ready_ms);
        integer(reader, "drain_ms", 0..=DAY_MS, &mut deploy.drain_ms);
    });
    reader.section("keys", |reader| {
        s.keys.reveal = reader.flag("reveal", s.keys.reveal);
        let given = sealing_key(reader, &mut s.keys.sealing_key);
        if s.keys.reveal && !given {
            reader.wrong("sealing_key", "is missing; reveal needs one");
        }
    });
    reader.section("admin", |reader| {
        let admin = &mut s.admin;
        listen(reader, &mut admin.listen);
        token(reader, &mut admin.token);
        list(reader, "hosts", host, &mut admin.hosts);
        list(reader, "origins", origin, &mut admin.origins);
        let bodies = &mut admin.body_bytes_max;
        integer(reader, "body_bytes_max", ADMIN_BODY_BYTES, bodies);
        integer(reader, "audit_max", 0..=10_000_000, &mut admin.audit_max);
        reader.section("tls", |reader| tls(reader, &mut admin.tls));
    });
    reader.section("metrics", |reader| {
        token(reader, &mut s.metrics.token);
        integer(
            reader,
            "series_idle_s",
            1..=86_400,
            &mut s.metrics.series_idle_s,
        );
    });
    reader.section("monitoring", |reader| monitoring(reader, &mut s.monitoring));
    reader.section("comparison", |reader| comparison(reader, &mut s.comparison));
    reader.section("log", |reader| log(reader, &mut s));
    reader.section("logs", |reader| {
        let logs = &mut s.logs;
        let lines = &mut logs.lines_per_deployment;
        integer(reader, "lines_per_deployment", 0..=100_000, lines);
        integer(reader, "bytes_max", LOGS_BYTES, &mut logs.bytes_max);
        let rate = &mut logs.lines_per_second;
        integer(reader, "lines_per_second", 1..=1_000_000, rate);
    });
    if s.data.listen == s.admin.listen && s.admin.listen.port() != 0 {
        reader.wrong("admin", format!("listens on {} like data", s.admin.listen));
    }
    Some(s)
}

fn log(reader: &mut Reader<'_>, s: &mut Settings) {
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    s.log.format = reader.choice("format", &formats);
    let levels = [
        LogLevel::Off,
        LogLevel::Error,
        LogLevel::Warn,
        LogLevel::Info,
        LogLevel::Debug,
        LogLevel::Trace,
    ];
    s.log.level = reader.choice("level", &levels.map(|level| (level.as_str(), level)));
    s.log.access = reader.flag("access", s.log.access);
}

pub(super) fn integer<T: TryFrom<u64> + Copy>(
    reader: &mut Reader<'_>,
    key: &'static str,
    range: RangeInclusive<u64>,
    value: &mut T,
) {
    *value = reader.integer(key, range, *value);
}

/// The path of a file; empty: none.
pub(super) fn file(reader: &mut Reader<'_>, key: &'static str, value: &mut PathBuf) {
    let file = reader.field(key).filter(|field| !field.is_empty_text());
    if let Some(text) = file.and_then(|field| field.text_within(1..=PATH_BYTES_MAX)) {
        *value = text.into();
    }
}

/// A duration that can't be zero.
pub(super) fn ms(reader: &mut Reader<'_>, key: &'static str, value: &mut u64) {
    integer(reader, key, 1..=DAY_MS, value);
}

/// Where something is reached from outside: a scheme, a host, perhaps a port and a path, and no more.
fn public_url(reader: &mut Reader<'_>, value: &mut String) {
    let Some(field) = reader.field("public_url") else {
        return;
    };
    let parsed = field.parse(|text| {
        let uri: Option<http::Uri> = text.parse().ok();
        let plain = uri.as_ref().is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.authority().is_some_and(|at| !at.as_str().contains('@'))
                && uri.query().is_none()
                && !text.contains('#')
        });
        match text.is_empty() || plain {
            true => Ok(text.trim_end_matches('/').to_owned()),
            false => Err("is a URL such as https://models.example, without a query"),
        }
    });
    *value = parsed.unwrap_or_default();
}

fn listen(reader: &mut Reader<'_>, value: &mut SocketAddr) {
    let Some(field) = reader.field("listen") else {
        return;
    };
    let address = field.parse(|text| {
        text.parse().map_err(|_| {
            let quoted = field.quote(text);
            format!("{quoted} is not an address and a port such as 127.0.0.1:8080 or [::]:8080")
        })
    });
    *value = address.unwrap_or(*value);
}

fn token(reader: &mut Reader<'_>, value: &mut Token) {
    let field = reader.field("token");
    let read = field.and_then(|field| field.private().parse(Token::parse));
    *value = read.unwrap_or_else(|| value.clone());
}

/// Returns whether one is given, be it a good one or not. An empty one is none.
fn sealing_key(reader: &mut Reader<'_>, value: &mut Option<SealingKey>) -> bool {
    let field = reader.field("sealing_key").map(Field::private);
    let Some(field) = field.filter(|field| !field.is_empty_text()) else {
        return false;
    };
    *value = field.parse(SealingKey::parse);
    true
}

pub(super) fn list<T, E: Display>(
    reader: &mut Reader<'_>,
    key: &'static str,
    parse: fn(&str) -> Result<T, E>,
    value: &mut Vec<T>,
) {
    if let Some(field) = reader.field(key)
        && let Some(items) = field.texts_within(LIST_MAX, parse)
    {
        *value = items;
    }
}
