//! The words of a refusal by a limit that is known: whose it is, and which.

use super::Code;

/// Whose limit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The API key's.
    Key,
    /// The deployment's, of all its callers together.
    Deployment,
}

/// What happened and what to do, in place of the catalogue's words for either; none for what is no limit.
pub(super) const fn words(code: Code, scope: Scope) -> Option<&'static str> {
    Some(match (code, scope) {
        (Code::RateLimited, Scope::Key) => {
            "The API key's limit of requests by the second (requests_per_second, burst) is reached; `RateLimit` and `Retry-After` say when to come again."
        }
        (Code::RateLimited, Scope::Deployment) => {
            "The deployment's limit of requests by the second (requests_per_second, burst), for all its callers together, is reached; `RateLimit` and `Retry-After` say when to come again."
        }
        (Code::ConcurrencyLimited, Scope::Key) => {
            "The API key's limit of requests at once (concurrency_max) is reached; come again when one of them has ended."
        }
        (Code::ConcurrencyLimited, Scope::Deployment) => {
            "The deployment's limit of requests at once (concurrency_max), for all its callers together, is reached; come again when one of them has ended."
        }
        (Code::BytesLimited, Scope::Key) => {
            "The API key's limit of bytes by the second (bytes_per_second) is reached; `Retry-After` says when to come again."
        }
        (Code::BytesLimited, Scope::Deployment) => {
            "The deployment's limit of bytes by the second (bytes_per_second), for all its callers together, is reached; `Retry-After` says when to come again."
        }
        (Code::QuotaSpent, Scope::Key) => {
            "The API key's quota of requests for this day (requests_per_day, UTC) is spent; `Retry-After` says when the next one begins."
        }
        (Code::QuotaSpent, Scope::Deployment) => {
            "The deployment's quota of requests for this day (requests_per_day, UTC), of all its callers together, is spent; `Retry-After` says when the next one begins."
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    #[test]
    fn a_limit_is_named_with_whose_it_is() {
        let codes = [
            (Code::RateLimited, "requests_per_second"),
            (Code::ConcurrencyLimited, "concurrency_max"),
            (Code::BytesLimited, "bytes_per_second"),
            (Code::QuotaSpent, "requests_per_day"),
        ];
        for (code, member) in codes {
            for (scope, whose) in [
                (Scope::Key, "The API key's "),
                (Scope::Deployment, "The deployment's "),
            ] {
                let detail = Fault::after_ms(code, 1).by(scope).detail();
                assert!(
                    detail.starts_with(whose) && detail.contains(member),
                    "{detail}"
                );
            }
            assert_eq!(Fault::new(code).detail(), code.entry().detail);
        }
        let other = Fault::new(Code::Shedding).by(Scope::Key);
        assert_eq!(other.detail(), Code::Shedding.entry().detail);
    }
}
