//! A request's status document: what clients, operators and webhooks are shown.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::request::{Reason, Request, Told};
use crate::{
    base::{async_id::AsyncId, id::VersionNumber},
    store::JobStatus,
};

/// The language of `status_text`. `status` is the same in every language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Russian.
    Ru,
}

/// A request's status document. The order of its members is that of their places here.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    id: AsyncId,
    request_id: &'a str,
    status: &'static str,
    status_text: &'static str,
    deployment: &'a str,
    version: Option<String>,
    attempts: u32,
    created_at: Time,
    expires_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned_version: Option<VersionNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_of: Option<AsyncId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<Told>,
    status_url: Address<'a>,
    result_url: Address<'a>,
    cancel_url: Address<'a>,
}

/// Milliseconds since 1970, shown as `2026-01-31T12:00:00.000Z`.
#[derive(Debug)]
struct Time(u64);

/// Where something of a request is found.
#[derive(Debug)]
struct Address<'a> {
    base: &'a str,
    id: AsyncId,
    what: &'static str,
}

/// The document of a request; `base` is put in front of its addresses, and may be empty.
pub fn document<'a>(request: &'a Request, language: Language, base: &'a str) -> Document<'a> {
    let (job, accepted) = (&request.job, &request.accepted);
    let deployment = job.lane.deployment.as_str();
    let short = deployment.rsplit('/').next().unwrap_or(deployment);
    let ended = request.ended.as_ref();
    let version = ended.and_then(|ended| ended.version);
    let version = version.or(accepted.pinned).or(accepted.version);
    let waits = job.status == JobStatus::Queued && job.attempt > 0;
    let started_at_ms = ended.and_then(|ended| ended.started_at_ms);
    let address = |what| Address {
        base,
        id: job.id,
        what,
    };
    Document {
        id: job.id,
        request_id: &accepted.request_id,
        status: job.status.as_str(),
        status_text: language.text(job.status),
        deployment,
        version: version.map(|number| format!("{short}_v{number}")),
        attempts: job.attempt,
        created_at: Time(job.id.position().unix_ms()),
        expires_at: Time(match job.status.has_ended() {
            true => job.due_at_ms,
            false => job.deadline_at_ms,
        }),
        next_attempt_at: waits.then_some(Time(job.due_at_ms)),
        started_at: started_at_ms.or(request.started_at_ms).map(Time),
        ended_at: ended.map(|ended| Time(ended.ended_at_ms)),
        result_status: ended.and_then(|ended| ended.result_status),
        reason: ended.and_then(|ended| ended.reason),
        detail: ended.and_then(|ended| ended.detail.as_deref()),
        pinned_version: accepted.pinned,
        retry_of: accepted.retry_of,
        webhook: request.told,
        status_url: address(""),
        result_url: address("/result"),
        cancel_url: address("/cancel"),
    }
}

// === impl Document ===

impl Document<'_> {
    /// As a map, for those who add to it.
    pub fn to_map(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(map)) => map,
            // A struct of plain facts always serialises to an object.
            _ => Map::new(),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ms = i64::try_from(self.0).unwrap_or(i64::MAX);
        // What lies beyond the year 9999 is shown as its end.
        let moment = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
        serializer.collect_str(&format_args!("{moment:.3}"))
    }
}

impl Serialize for Address<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { base, id, what } = self;
        serializer.collect_str(&format_args!("{base}/async/{id}{what}"))
    }
}

// === impl Language ===

impl Language {
    /// The best of ours for an `Accept-Language` (RFC 9110 section 12.5.4); English when it asks
    /// for neither.
    pub fn accepted(header: &str) -> Self {
        let mut best = (Self::En, 0);
        for range in header.split(',') {
            let mut parts = range.split(';');
            let tag = parts.next().unwrap_or_default().trim();
            let primary = tag.split('-').next().unwrap_or_default();
            let quality = parts
                .find_map(|part| part.trim().strip_prefix("q="))
                .map_or(1_000, thousandths);
            let language = match primary.to_ascii_lowercase().as_str() {
                "ru" => Self::Ru,
                "en" | "*" => Self::En,
                _ => continue,
            };
            if quality > best.1 {
                best = (language, quality);
            }
        }
        best.0
    }

    /// A status in this language.
    pub fn text(self, status: JobStatus) -> &'static str {
        match (self, status) {
            (Self::En, JobStatus::Queued) => "Queued",
            (Self::En, JobStatus::Running) => "Running",
            (Self::En, JobStatus::Completed) => "Completed",
            (Self::En, JobStatus::Error) => "Error",
            (Self::En, JobStatus::Cancelled) => "Cancelled",
            (Self::En, JobStatus::Expired) => "Expired",
            (Self::Ru, JobStatus::Queued) => "В очереди",
            (Self::Ru, JobStatus::Running) => "Выполняется",
            (Self::Ru, JobStatus::Completed) => "Завершен",
            (Self::Ru, JobStatus::Error) => "Ошибка",
            (Self::Ru, JobStatus::Cancelled) => "Отменен",
            (Self::Ru, JobStatus::Expired) => "Истек срок",
        }
    }
}

fn thousandths(quality: &str) -> u32 {
    quality
        .trim()
        .parse::<f64>()
        .map_or(0, |q| (q.clamp(0.0, 1.0) * 1_000.0) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_that_is_asked_for() {
        for (header, language) in [
            ("", Language::En),
            ("ru", Language::Ru),
            ("ru-RU,ru;q=0.9,en;q=0.8", Language::Ru),
            ("en-US,en;q=0.9,ru;q=0.8", Language::En),
            ("de, ru;q=0.1", Language::Ru),
            ("de, *", Language::En),
            ("ru;q=0, en;q=0.1", Language::En),
            ("ru;q=nonsense", Language::En),
        ] {
            assert_eq!(Language::accepted(header), language, "{header}");
        }
    }
}
