//! A call as its handler sees it: who asks, how it is meant, and what its address names.
//!
//! ```text
//! guards ──▶ Call (caller, headers, query) ──▶ Intent, Page ──▶ control
//! address ──▶ InProject, OfDeployment, OfVersion ... (decoded once, checked as names)
//! ```

use std::{future::Future, str::FromStr, sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::{HeaderMap, StatusCode, request::Parts},
};

use super::{
    etag::{self, IfMatch},
    problem::Problem,
    query::Query,
};
use crate::{
    base::{
        async_id::AsyncId,
        id::{Revision, VersionNumber},
        name::{DeploymentName, Name},
    },
    control::{Intent, Page, access::Caller, error::ControlError},
    spec::Scope,
};

/// An `Idempotency-Key`, in bytes.
const IDEMPOTENCY_BYTES_MAX: usize = 128;

/// A call that passed the guards.
pub(super) struct Call {
    /// Who asks.
    pub(super) caller: Arc<Caller>,
    /// Its headers.
    pub(super) headers: HeaderMap,
    /// Its query, of which handlers take what they know.
    pub(super) query: Query,
}

/// How a change is meant, before it is known what `If-Match` stands for.
pub(super) struct Change {
    intent: Intent,
    if_match: IfMatch,
}

impl<S: Sync> FromRequestParts<S> for Call {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Arc<Caller>>().cloned();
        Ok(Self {
            // The guard in front lets nobody else through.
            caller: caller.ok_or_else(|| Problem::internal("a call without a caller"))?,
            headers: parts.headers.clone(),
            query: Query::parse(parts.uri.query())?,
        })
    }
}

// === impl Call ===

impl Call {
    /// Ends the reading of the query of a call that takes no more.
    ///
    /// # Errors
    /// 400 when something is left in it.
    pub(super) fn plain(&mut self) -> Result<(), Problem> {
        std::mem::replace(&mut self.query, Query::parse(None)?).finish()
    }

    /// Which part of a list, as the last of the query.
    ///
    /// # Errors
    /// 400 when the query says anything else.
    pub(super) fn page(&mut self) -> Result<Page, Problem> {
        let page = self.query.page()?;
        self.plain()?;
        Ok(page)
    }

    /// How a change is meant that takes effect at once.
    ///
    /// # Errors
    /// 400 when the query or a condition is malformed.
    pub(super) fn change(&mut self) -> Result<Change, Problem> {
        // Allowed on every change, so that clients need not know which of them take time.
        self.query.wait()?;
        let intent = Intent {
            dry_run: self.query.flag("dry_run")?,
            ..Intent::default()
        };
        self.plain()?;
        let if_match = etag::if_match(&self.headers)?;
        Ok(Change { intent, if_match })
    }

    /// How a change is meant that starts a task, and how long to wait for it.
    ///
    /// # Errors
    /// 400 when the query, a condition or the idempotency id is malformed.
    pub(super) fn task(&mut self) -> Result<(Change, Duration), Problem> {
        let wait = self.query.wait()?;
        let if_busy = self.query.if_busy()?;
        let mut change = self.change()?;
        change.intent.if_busy = if_busy;
        change.intent.idempotency = self.idempotency()?;
        Ok((change, wait))
    }

    fn idempotency(&self) -> Result<Option<String>, Problem> {
        let mut values = self.headers.get_all("idempotency-key").iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        let bytes = value.as_bytes();
        let plain = (1..=IDEMPOTENCY_BYTES_MAX).contains(&bytes.len())
            && bytes.iter().all(u8::is_ascii_graphic);
        match value.to_str() {
            Ok(text) if plain && values.next().is_none() => Ok(Some(text.to_owned())),
            _ => Err(Problem::invalid(
                "Idempotency-Key is one value of 1 to 128 visible ASCII characters",
            )),
        }
    }
}

// === impl Change ===

impl Change {
    /// Of something that is not there yet: `If-Match` says nothing about it.
    pub(super) fn of_new(self) -> Intent {
        self.intent
    }

    /// Of something that is there. Its revision is asked for only when `If-Match` lists several:
    /// control compares one with what is stored, in the turn of the change.
    ///
    /// # Errors
    /// 412 when none of them is the current one; whatever the question for it answers.
    pub(super) async fn of(
        self,
        current: impl Future<Output = Result<Revision, ControlError>>,
    ) -> Result<Intent, Problem> {
        let mut intent = self.intent;
        intent.if_match = match self.if_match {
            IfMatch::Any => None,
            IfMatch::OneOf(list) => match list[..] {
                [one] => Some(one),
                _ => {
                    let current = current.await?;
                    if !list.contains(&current) {
                        return Err(ControlError::Changed.into());
                    }
                    Some(current)
                }
            },
        };
        Ok(intent)
    }
}

// === what addresses name ===

/// `/tenants/{tenant}`.
pub(super) struct OfTenant(pub(super) Name);
/// `/projects/{project}`.
pub(super) struct OfProject(pub(super) Name);
/// `/projects/{project}/deployments/{deployment}`.
pub(super) struct OfDeployment(pub(super) DeploymentName);
/// A deployment's `/versions/{version}`.
pub(super) struct OfVersion(pub(super) DeploymentName, pub(super) VersionNumber);
/// A deployment's `/shares/{share}`.
pub(super) struct OfShare(pub(super) DeploymentName, pub(super) String);
/// Where `/keys` is mounted.
pub(super) struct OfScope(pub(super) Scope);
/// `/keys/{key}`, wherever that is mounted.
pub(super) struct OfKey(pub(super) Scope, pub(super) String);
/// A project's `/subscriptions/{subscription}`.
pub(super) struct OfSubscription(pub(super) Name, pub(super) String);
/// `/tokens/{token}`.
pub(super) struct OfToken(pub(super) String);
/// A deployment's `/comparison/pairs/{pair}`.
pub(super) struct OfPair(pub(super) DeploymentName, pub(super) u64);
/// A deployment's `/async/{request}`.
pub(super) struct OfRequest(pub(super) DeploymentName, pub(super) AsyncId);
/// `/tasks/{task}`.
pub(super) struct OfTask(pub(super) String);

/// The decoded segments of an address.
struct Segments(RawPathParams);

impl Segments {
    async fn of<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        params
            .map(Self)
            .map_err(|_| Problem::unknown("path_unknown", "the path is not percent-encoded UTF-8"))
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(own, _)| *own == name);
        found.map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> Result<&str, Problem> {
        let found = self.get(name);
        found.ok_or_else(|| Problem::internal(format!("a route without {name}")))
    }

    /// A segment that can't be a name names nothing.
    fn name(&self, name: &str, code: &'static str) -> Result<Name, Problem> {
        Name::parse(self.text(name)?).map_err(|error| Problem::unknown(code, error.to_string()))
    }

    fn id(&self, name: &str, code: &'static str) -> Result<String, Problem> {
        let text = self.text(name)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
            Ok(text.to_owned())
        } else {
            let words = format!("no {name} has such an id");
            Err(Problem::unknown(code, words))
        }
    }

    fn project(&self) -> Result<Name, Problem> {
        self.name("project", "project_unknown")
    }

    fn deployment(&self) -> Result<DeploymentName, Problem> {
        let deployment = self.name("deployment", "deployment_unknown")?;
        Ok(DeploymentName::new(&self.project()?, &deployment))
    }

    fn scope(&self) -> Result<Scope, Problem> {
        match (self.get("project"), self.get("deployment")) {
            (None, _) => Ok(Scope::Instance),
            (Some(_), None) => self.project().map(Scope::Project),
            (Some(_), Some(_)) => self.deployment().map(Scope::Deployment),
        }
    }
}

macro_rules! named_by {
    ($($kind:ident: $segments:ident => $value:expr;)*) => {$(
        impl<S: Send + Sync> FromRequestParts<S> for $kind {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
                let $segments = Segments::of(parts, state).await?;
                Ok($value)
            }
        }
    )*};
}

named_by! {
    OfTenant: at => Self(at.name("tenant", "tenant_unknown")?);
    OfProject: at => Self(at.project()?);
    OfDeployment: at => Self(at.deployment()?);
    OfVersion: at => Self(at.deployment()?, version(at.text("version")?)?);
    OfShare: at => Self(at.deployment()?, at.text("share")?.chars().take(256).collect());
    OfScope: at => Self(at.scope()?);
    OfKey: at => Self(at.scope()?, at.id("key", "key_unknown")?);
    OfSubscription: at =>
        Self(at.project()?, at.id("subscription", "subscription_unknown")?);
    OfToken: at => Self(at.id("token", "token_unknown")?);
    OfPair: at => Self(at.deployment()?, pair(at.text("pair")?)?);
    OfRequest: at => Self(at.deployment()?, request(at.text("request")?)?);
    OfTask: at => Self(at.id("task", "task_unknown")?);
}

/// What can be no id is answered as what is none.
fn request(text: &str) -> Result<AsyncId, Problem> {
    AsyncId::parse(text).ok_or_else(|| super::later::unknown(text))
}

/// What can be no number is answered as one that no pair has.
fn pair(text: &str) -> Result<u64, Problem> {
    let number = number::<i64>(text).and_then(|number| u64::try_from(number).ok());
    number.ok_or_else(|| super::comparison::pair_unknown(text))
}

/// A number from 1 up, written in one way.
fn number<T: FromStr>(text: &str) -> Option<T> {
    let is_plain = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

/// What can be no number is answered as one that no version has.
pub(super) fn version(text: &str) -> Result<VersionNumber, Problem> {
    number(text).map(VersionNumber).ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "version_unknown",
            "a version is named by its number, from 1 up",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(if_match: IfMatch) -> Change {
        let intent = Intent::default();
        Change { intent, if_match }
    }

    #[tokio::test]
    async fn the_current_revision_is_asked_for_only_when_several_are_named() {
        let list =
            |numbers: &[u64]| IfMatch::OneOf(numbers.iter().copied().map(Revision).collect());
        for (if_match, is_asked, expected) in [
            (IfMatch::Any, false, Some(None)),
            (list(&[7]), false, Some(Some(Revision(7)))),
            (list(&[6]), false, Some(Some(Revision(6)))),
            (list(&[6, 7]), true, Some(Some(Revision(7)))),
            (list(&[5, 6]), true, None),
            (list(&[]), true, None),
        ] {
            let mut asked = false;
            let shown = format!("{if_match:?}");
            let intent = change(if_match)
                .of(async {
                    asked = true;
                    Ok(Revision(7))
                })
                .await;
            match (intent, expected) {
                (Ok(intent), Some(expected)) => assert_eq!(intent.if_match, expected, "{shown}"),
                (Err(problem), None) => assert_eq!(problem.status(), 412, "{shown}"),
                _ => panic!("{shown}"),
            }
            assert_eq!(asked, is_asked, "{shown}");
        }
    }

    #[test]
    fn versions_are_plain_numbers() {
        assert_eq!(version("12").expect("good"), VersionNumber(12));
        for bad in ["", "0", "01", "+1", "-1", "1.0", "x", "4294967296"] {
            assert_eq!(version(bad).expect_err(bad).code(), "version_unknown");
        }
    }
}
