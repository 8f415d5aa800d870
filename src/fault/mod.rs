//! The catalogue of faults: every error a client can see, in one list.
//!
//! A [`Fault`] answers five questions: what it is (`code`), how it is told (`status`), who caused
//! it (`origin`), whether asking again helps (`retry`), and what happened, in words for the caller
//! and, apart from them, in words for the log. Each dialect renders a `Fault` its own way.

mod limited;

use std::fmt;

pub use limited::Scope;

/// Who caused a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The caller.
    Client,
    /// weir itself, or its state.
    Gateway,
    /// A model server.
    Backend,
}

/// Whether the caller gains by asking again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same request will fail the same way.
    Never,
    /// Ask again after so many seconds.
    AfterSeconds(u32),
}

/// What the catalogue says of one code.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The stable word that programs match on, and the metric label.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// Who caused it.
    pub origin: Origin,
    /// Whether asking again helps.
    pub retry: Retry,
    /// A short name for people.
    pub title: &'static str,
    /// What happened and what to do, for the caller.
    pub detail: &'static str,
}

/// Declares the codes and their entries side by side, so that none can lack the other.
macro_rules! catalogue {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $status:literal, $origin:ident, $retry:expr, $title:literal, $detail:literal;)*) => {
        /// A fault's stable code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// Every code, in the order of the catalogue.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// What the catalogue says of it.
            pub const fn entry(self) -> &'static Entry {
                match self {
                    $(Code::$variant => &Entry {
                        code: $code,
                        status: $status,
                        origin: Origin::$origin,
                        retry: $retry,
                        title: $title,
                        detail: $detail,
                    },)*
                }
            }
        }
    };
}

catalogue! {
    /// The request can't be understood, or its framing is ambiguous.
    RequestMalformed = "request_malformed", 400, Client, Retry::Never, "Malformed request",
        "The request breaks HTTP's rules; the connection is closed.";
    /// The path has a form that different servers read differently.
    PathMalformed = "path_malformed", 400, Client, Retry::Never, "Malformed path",
        "The path holds dot segments, an empty segment, an encoded slash, a backslash, a control character or a broken escape; send it in its plain form.";
    /// The request body ended early or broke its framing.
    BodyMalformed = "body_malformed", 400, Client, Retry::Never, "Malformed request body",
        "The request body ended early or broke its framing.";
    /// A query of the gateway's own that is not understood. One sentence for all of it: a fault's
    /// words are fixed.
    QueryMalformed = "query_malformed", 400, Client, Retry::Never, "Malformed query",
        "A query parameter is unknown here, given twice or malformed. /async/{id} takes `wait` in whole seconds; /async takes `deployment` as {project}/{deployment}, `status`, `limit` from 1 to 200 and `cursor` as it was given in `next`.";
    /// A header that an async request may carry can't be read.
    AsyncHeaderInvalid = "async_header_invalid", 400, Client, Retry::Never, "Malformed header",
        "X-Request-Timeout takes 1 to 86400 whole seconds, X-Full-Live-Timeout 1 to 604800, Idempotency-Key 1 to 255 visible characters, X-Webhook-URL an http or https address; each once.";
    /// A webhook that may not be called.
    WebhookDenied = "webhook_denied", 400, Client, Retry::Never, "Webhook not allowed",
        "X-Webhook-URL leads where this gateway may not call: receivers are at public addresses, unless its operators name others in webhook.allow_networks.";
    /// No key, an unknown key, a revoked key, or keys that disagree.
    KeyInvalid = "key_invalid", 401, Client, Retry::Never, "Not authenticated",
        "Send one valid API key as `Authorization: Bearer`, `X-API-Key` or `key`.";
    /// A valid key that may not call this name.
    ScopeDenied = "scope_denied", 403, Client, Retry::Never, "Not allowed",
        "This API key may not call this deployment.";
    /// A request that pins a version with a key that may not.
    PinDenied = "pin_denied", 403, Client, Retry::Never, "Not allowed to pin",
        "This API key may not choose a version; leave out X-Deployment-Version.";
    /// Neither a predict nor a stream path, nor anything else that is served.
    RouteUnknown = "route_unknown", 404, Client, Retry::Never, "No such path",
        "Call /predict/{project}/{deployment} or /stream/{project}/{deployment}; async requests are at /async/{id}, /async/{id}/result and /async/{id}/cancel.";
    /// Inside the key's scope, but not declared.
    DeploymentUnknown = "deployment_unknown", 404, Client, Retry::Never, "No such deployment",
        "There is no deployment of this name.";
    /// A pinned version that is not deployed.
    VersionUnknown = "version_unknown", 404, Client, Retry::Never, "No such version",
        "The version asked for is not deployed.";
    /// A tail that the pool does not forward.
    TailUnknown = "tail_unknown", 404, Client, Retry::Never, "No such path in this deployment",
        "This deployment does not forward the path behind its name.";
    /// An async request that there is not, or not for this key. Which of the two is not told.
    AsyncUnknown = "async_unknown", 404, Client, Retry::Never, "No such async request",
        "There is no async request of this id for this API key; what has ended is kept for a while only.";
    /// A path of the gateway's own, called with a method that it does not know.
    MethodNotAllowed = "method_not_allowed", 405, Client, Retry::Never, "Method not allowed",
        "This path takes the methods in `Allow`.";
    /// The request body came too slowly.
    BodyTimeout = "body_timeout", 408, Client, Retry::AfterSeconds(1), "Request body too slow",
        "The request body stalled, or came more slowly than this gateway takes it.";
    /// The cancellation of what has ended.
    AsyncEnded = "async_ended", 409, Client, Retry::Never, "Async request has ended",
        "This async request has ended, and can't be cancelled any more.";
    /// The result of a request whose time was over first.
    AsyncExpired = "async_expired", 410, Client, Retry::Never, "Async request expired",
        "This async request did not end within its time limit, and has no result.";
    /// The result of a request that was called off.
    AsyncCancelled = "async_cancelled", 410, Client, Retry::Never, "Async request cancelled",
        "This async request was cancelled, and has no result.";
    /// The request body is larger than the gateway takes.
    BodyTooLarge = "body_too_large", 413, Client, Retry::Never, "Request body too large",
        "The request body is larger than this gateway takes.";
    /// A range of a result that begins behind its end.
    RangeUnsatisfiable = "range_unsatisfiable", 416, Client, Retry::Never, "Range not satisfiable",
        "The range begins behind the end of the result; `Content-Range` tells how long that is.";
    /// The head holds more headers than the gateway takes. One that is too large for other reasons is
    /// refused before there is a request.
    HeadTooLarge = "head_too_large", 431, Client, Retry::Never, "Request head too large",
        "The request has more headers than this gateway takes.";
    /// The idempotency key was used for another request.
    IdempotencyConflict = "idempotency_conflict", 422, Client, Retry::Never, "Idempotency key used",
        "This Idempotency-Key was sent before with another method, path, query or body; use a new one.";
    /// One key has as many async requests waiting as it may.
    QueueShareSpent = "queue_share_spent", 429, Client, Retry::AfterSeconds(5), "Share of the queue spent",
        "This API key has as many async requests waiting as it may; try again when some have ended.";
    /// More requests than the key or the deployment may have by the second.
    RateLimited = "rate_limited", 429, Client, Retry::AfterSeconds(1), "Too many requests",
        "This API key or this deployment has had as many requests as it may have for the moment; `RateLimit` and `Retry-After` say when to come again.";
    /// More exchanges at once than the key or the deployment may have.
    ConcurrencyLimited = "concurrency_limited", 429, Client, Retry::AfterSeconds(1), "Too many requests at once",
        "This API key or this deployment has as many requests under way as it may have at once.";
    /// More bytes than the key or the deployment may move by the second.
    BytesLimited = "bytes_limited", 429, Client, Retry::AfterSeconds(1), "Too many bytes",
        "This API key or this deployment has moved as many bytes as it may for the moment; `Retry-After` says when to come again.";
    /// As many requests as a day has.
    QuotaSpent = "quota_spent", 429, Client, Retry::AfterSeconds(60), "Daily quota spent",
        "This API key or this deployment has had as many requests as it may have on one day (UTC); `Retry-After` says when the next one begins.";
    /// A panic inside weir.
    Internal = "internal", 500, Gateway, Retry::AfterSeconds(1), "Internal error",
        "The gateway failed on this request; the operator's log says more under its request id.";
    /// `TRACE` and `CONNECT`: the one shows a client what is added on its way, the other makes a tunnel of
    /// a connection that is shared.
    MethodUnsupported = "method_unsupported", 501, Client, Retry::Never, "Method not supported",
        "This gateway takes every method but TRACE and CONNECT, which it does not pass on; over HTTP/1.1 the connection is closed.";
    /// A backend took the request and closed without an answer.
    BackendFailed = "backend_failed", 502, Backend, Retry::AfterSeconds(1), "Backend failed",
        "A backend was reached but closed the connection without an answer.";
    /// A backend's answer breaks HTTP's rules.
    BackendMalformed = "backend_malformed", 502, Backend, Retry::AfterSeconds(1), "Malformed answer from the backend",
        "A backend was reached but its answer breaks HTTP's rules.";
    /// The result of an async request each of whose attempts failed without an answer.
    AsyncExhausted = "async_exhausted", 502, Backend, Retry::Never, "Async request failed",
        "Every attempt that this async request may have has failed, the last one without an answer.";
    /// The result of one that failed in a way that another attempt would not change.
    AsyncUnprocessable = "async_unprocessable", 502, Backend, Retry::Never, "Async request failed",
        "This async request failed in a way that another attempt would not change: the backend's answer was malformed or broke off.";
    /// The result of one whose deployment is gone.
    AsyncDeploymentDeleted = "async_deployment_deleted", 502, Gateway, Retry::Never, "Deployment deleted",
        "The deployment of this async request was deleted before the request had run.";
    /// The result of one that was pinned to a version that is gone.
    AsyncVersionGone = "async_version_gone", 502, Gateway, Retry::Never, "Version gone",
        "The version that this async request was pinned to is no longer deployed.";
    /// The result of one whose answer was too large.
    AsyncResultTooLarge = "async_result_too_large", 502, Backend, Retry::Never, "Result too large",
        "The backend's answer to this async request was larger than this gateway keeps.";
    /// The result of one whose stream broke off behind its head.
    AsyncStreamBroken = "async_stream_broken", 502, Backend, Retry::Never, "Stream broken",
        "The backend's stream broke off before its end, and is not started again.";
    /// The result of one that weir itself failed on.
    AsyncInternal = "async_internal", 502, Gateway, Retry::Never, "Internal error",
        "The gateway failed on this async request; the operator's log says more under its request id.";
    /// No backend accepted a connection.
    BackendUnreachable = "backend_unreachable", 503, Backend, Retry::AfterSeconds(1), "No backend reachable",
        "No backend of this deployment could be reached.";
    /// Every connection that may be opened to the backends is in use.
    BackendBusy = "backend_busy", 503, Gateway, Retry::AfterSeconds(1), "Backends busy",
        "All connections that may be opened to this deployment's backends are in use.";
    /// The deployment's gate lets no more through, and no more wait.
    Overloaded = "overloaded", 503, Gateway, Retry::AfterSeconds(1), "Deployment overloaded",
        "This deployment is asked for more than its backends do, and as many requests wait as may.";
    /// A turn at the deployment's gate would come, or came, too late.
    TurnTimeout = "turn_timeout", 503, Gateway, Retry::AfterSeconds(1), "Deployment overloaded",
        "This deployment is asked for more than its backends do: this request's turn is not to be expected within the time that requests may wait.";
    /// The gateway itself is short of memory or of connections.
    Shedding = "shedding", 503, Gateway, Retry::AfterSeconds(1), "Gateway overloaded",
        "This gateway is short of memory or of connections, and takes no new requests for the moment.";
    /// No version of the deployment has been live yet.
    DeploymentNotLive = "deployment_not_live", 503, Gateway, Retry::AfterSeconds(5), "Deployment not live",
        "This deployment has no live version: it is being set up, or its set-up failed.";
    /// An operator stopped the deployment.
    DeploymentStopped = "deployment_stopped", 503, Gateway, Retry::AfterSeconds(30), "Deployment stopped",
        "This deployment was stopped by its operators.";
    /// As many async requests wait as may.
    QueueFull = "queue_full", 503, Gateway, Retry::AfterSeconds(5), "Queue full",
        "As many async requests wait as this gateway takes; try again later.";
    /// There is no room on the disk for another async request.
    QueueDiskFull = "queue_disk_full", 503, Gateway, Retry::AfterSeconds(30), "No room for async requests",
        "There is no room on the gateway's disk for another async request; try again later.";
    /// Async requests, on a gateway without a queue.
    AsyncUnavailable = "async_unavailable", 503, Gateway, Retry::AfterSeconds(3600), "Async requests not available",
        "This gateway takes no async requests; leave out X-Async-Request.";
    /// The store of async requests is out of service.
    QueueUnavailable = "queue_unavailable", 503, Gateway, Retry::AfterSeconds(5), "Queue unavailable",
        "The store of async requests is out of service for the moment; what was accepted is not lost.";
    /// The backend did not start its answer in time.
    BackendTimeout = "backend_timeout", 504, Backend, Retry::AfterSeconds(1), "Backend too slow",
        "The backend did not start its answer within the deployment's first_byte_ms or idle_ms.";
    /// The whole exchange took too long.
    ExchangeTimeout = "exchange_timeout", 504, Backend, Retry::AfterSeconds(1), "Exchange too slow",
        "The exchange did not end within the deployment's total_ms.";
}

/// A client-visible error: a code from the catalogue, and what only the log is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    code: Code,
    /// Whose limit it was.
    scope: Option<Scope>,
    /// When asking again helps, where that is known better than by the catalogue; 0 where not.
    retry_s: u32,
    private: Option<Box<str>>,
}

// === impl Fault ===

impl Fault {
    /// A fault of this code with nothing more to tell.
    pub const fn new(code: Code) -> Self {
        Self {
            code,
            scope: None,
            retry_s: 0,
            private: None,
        }
    }

    /// A fault with words for the log: addresses, system errors, what the caller must not see.
    pub fn because(code: Code, private: impl fmt::Display) -> Self {
        Self {
            code,
            scope: None,
            retry_s: 0,
            private: Some(private.to_string().into()),
        }
    }

    /// A fault after which asking again helps in so many milliseconds; told in whole seconds, rounded
    /// up.
    pub fn after_ms(code: Code, retry_ms: u64) -> Self {
        let retry_s = retry_ms.div_ceil(1_000).max(1);
        Self {
            retry_s: u32::try_from(retry_s).unwrap_or(u32::MAX),
            ..Self::new(code)
        }
    }

    /// The same, by a limit of this one's.
    pub fn by(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// What happened and what to do, for the caller: fixed words, and those of the catalogue where
    /// nothing is known more exactly.
    pub fn detail(&self) -> &'static str {
        let exact = self
            .scope
            .and_then(|scope| limited::words(self.code, scope));
        exact.unwrap_or(self.entry().detail)
    }

    /// Whether the caller gains by asking again, and when.
    pub fn retry(&self) -> Retry {
        match self.retry_s {
            0 => self.entry().retry,
            seconds => Retry::AfterSeconds(seconds),
        }
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What the catalogue says of it.
    pub fn entry(&self) -> &'static Entry {
        self.code.entry()
    }

    /// The words for the log, if there are any.
    pub fn private(&self) -> Option<&str> {
        self.private.as_deref()
    }
}

impl From<Code> for Fault {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.entry().code)?;
        match &self.private {
            Some(words) => write!(f, ": {words}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn its_own_time_goes_before_that_of_the_catalogue() {
        assert_eq!(
            Fault::new(Code::QuotaSpent).retry(),
            Retry::AfterSeconds(60)
        );
        let after = |ms| Fault::after_ms(Code::QuotaSpent, ms).retry();
        assert_eq!(after(0), Retry::AfterSeconds(1));
        assert_eq!(after(1_000), Retry::AfterSeconds(1));
        assert_eq!(after(1_001), Retry::AfterSeconds(2));
        assert_eq!(after(u64::MAX), Retry::AfterSeconds(u32::MAX));
        // It travels with every refusal.
        assert!(size_of::<Fault>() <= 3 * size_of::<usize>());
    }

    #[test]
    fn codes_are_unique_words_and_statuses_those_of_the_design() {
        let mut seen = HashSet::new();
        for code in Code::ALL {
            let entry = code.entry();
            assert!(seen.insert(entry.code), "{} stands twice", entry.code);
            assert!(
                entry
                    .code
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{}",
                entry.code
            );
            assert!((400..600).contains(&entry.status));
            let later = matches!(entry.retry, Retry::AfterSeconds(_));
            assert!(
                entry.status != 503 || later,
                "{} needs Retry-After",
                entry.code
            );
        }
    }
}
