//! `.../{deployment}/comparison`: whether a challenger is as good as main, how that looked over time,
//! and the pairs of answers that say so; for as long as that is kept, also of a deleted deployment.
//!
//! ```text
//! summary, series ── of one version: asked for ─▶ live, with a challenger ─▶ the newest with evidence
//! pairs ──┬─▶ a page, as JSON
//!         └─▶ all that match, as a download: page after page, each read when the client took the last
//! ```

mod csv;
mod download;
mod pairs;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) use self::pairs::unknown as pair_unknown;
use super::{
    Plane, Shared,
    answer::{Answer, Answered},
    call::{self, Call, OfDeployment},
    moment,
    problem::Problem,
    query::Query,
    shape,
};
use crate::{
    base::{clock::unix_ms, id::VersionNumber, name::DeploymentName},
    control::{
        Shown,
        access::Caller,
        error::ControlError,
        record::{self, Stored},
    },
    shadow::comparison::{Comparison, LookError, Standing},
    spec::VersionSpec,
};

/// Moments of a series, when nothing is said.
const POINTS_DEFAULT: usize = 200;
/// Moments of a series at most.
const POINTS_MAX: usize = 1_000;

/// Whose challenger.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only the document is made from it")]
struct VersionParams {
    /// Of which version: its number, or `{deployment}_v{number}`. The live one when it is not given
    /// and has a challenger, else the newest one of which anything was seen.
    #[param(
        pattern = "^([a-z0-9][a-z0-9._-]{0,62}_v)?[1-9][0-9]{0,9}$",
        example = "3"
    )]
    version: Option<String>,
}

/// Which part of a series.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only the document is made from it")]
struct SeriesParams {
    /// From when: as RFC 3339, in seconds since 1970, or as far before now as `-15m` says (`s`, `m`,
    /// `h`, `d`). From the beginning when it is not given.
    #[param(example = "-1d")]
    from: Option<String>,
    /// Until before when; now when it is not given.
    #[param(example = "2026-01-31T12:00:00Z")]
    to: Option<String>,
    /// So many moments at most.
    #[param(minimum = 2, maximum = 1_000, default = 200)]
    points: Option<u32>,
}

/// The challenger that is looked at.
struct Subject {
    comparison: Arc<Comparison>,
    shown: Shown,
    version: VersionNumber,
    /// Its record; none when it was deleted.
    record: Option<record::Version>,
    /// What the version declares; none when it was deleted.
    spec: Option<Arc<VersionSpec>>,
    /// How its challenger stands; none when nothing was seen of it.
    standing: Option<Standing>,
}

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(read))
        .routes(routes!(series))
        .merge(pairs::routes())
}

/// Shows whether a version's challenger is as good as main, and what says so.
///
/// Bounds hold whenever and however often one looks. A deployment whose version has no challenger, and
/// of which nothing is kept, is a 404 `comparison_unknown`.
#[utoipa::path(get, path = "/api/v1/projects/{project}/deployments/{deployment}/comparison",
    tag = "comparison", operation_id = "comparison_read", params(VersionParams),
    responses((status = 200, body = shape::Comparison)))]
async fn read(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
) -> Answered {
    let version = version(&mut call.query, &name)?;
    call.plain()?;
    let subject = Subject::of(&plane, &call.caller, &name, version).await?;
    let running = subject.shown.challenger;
    let live = subject.shown.stored.value.live;
    Ok(Answer::ok(&shape::Comparison::new(shape::Compared {
        name: &name,
        version: subject.version,
        spec: subject.spec.as_deref(),
        record: subject.record,
        is_live: live == Some(subject.version),
        standing: subject.standing,
        running: running.filter(|running| running.version == subject.version),
    })))
}

/// Shows how a version's challenger stood over time.
#[utoipa::path(get, tag = "comparison", operation_id = "comparison_series",
    path = "/api/v1/projects/{project}/deployments/{deployment}/comparison/series",
    params(VersionParams, SeriesParams),
    responses((status = 200, body = shape::ComparisonSeries)))]
async fn series(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
) -> Answered {
    let now_ms = unix_ms();
    let version = version(&mut call.query, &name)?;
    let from_ms = moment::asked(&mut call.query, "from", now_ms)?;
    let to_ms = moment::asked(&mut call.query, "to", now_ms)?;
    let points_max = call
        .query
        .within("points", POINTS_DEFAULT, 2..=POINTS_MAX)?;
    call.plain()?;
    let subject = Subject::of(&plane, &call.caller, &name, version).await?;
    // What was written in this very millisecond belongs to it.
    let span_ms = from_ms.unwrap_or(0)..to_ms.unwrap_or(now_ms + 1);
    let points = subject
        .comparison
        .series(&name, subject.life(), subject.version, span_ms, points_max)
        .await?;
    Ok(Answer::ok(&shape::ComparisonSeries {
        project: name.project().to_owned(),
        deployment: name.deployment().to_owned(),
        version: subject.version.0,
        points: points.into_iter().map(Into::into).collect(),
    }))
}

// === impl Subject ===

impl Subject {
    /// The challenger of the version that is asked for, or of the one that people mean.
    async fn of(
        plane: &Shared,
        caller: &Caller,
        name: &DeploymentName,
        asked: Option<VersionNumber>,
    ) -> Result<Self, Problem> {
        let shown = plane.control.deployment(caller, name).await?;
        let comparison = Arc::clone(plane.comparison()?);
        let life = shown.stored.value.first_version;
        let number = shown.stored.value.live;
        let live = number.zip(shown.live.clone());
        let challenged = live.as_ref().filter(|(_, spec)| spec.challenger.is_some());
        let version = match asked.or(challenged.map(|(number, _)| *number)) {
            Some(version) => Some(version),
            None => comparison.newest(name, life).await?,
        };
        let version = version.ok_or_else(|| unknown(name, None))?;
        if version.0 < life {
            // Of a deployment that had this name before: what was seen then is not this one's.
            return Err(unknown(name, Some(version)));
        }
        let record = recorded(plane, caller, name, version).await?;
        let spec = match (live, &record) {
            (Some((number, spec)), _) if number == version => Some(spec),
            (_, Some(record)) => {
                let spec = VersionSpec::from_json(&record.spec);
                let spec = spec.map_err(|mistakes| Problem::internal(mistakes.to_string()))?;
                Some(Arc::new(spec))
            }
            (_, None) => None,
        };
        let is_declared = spec.as_ref().is_some_and(|spec| spec.challenger.is_some());
        let standing = comparison.look(name, life, version).await?;
        if !is_declared && standing.is_none() {
            return Err(unknown(name, Some(version)));
        }
        Ok(Self {
            comparison,
            shown,
            version,
            record,
            spec,
            standing,
        })
    }

    /// Which of the deployments that have had this name.
    fn life(&self) -> u32 {
        self.shown.stored.value.first_version
    }
}

/// A version's record; none when it was deleted.
async fn recorded(
    plane: &Shared,
    caller: &Caller,
    name: &DeploymentName,
    version: VersionNumber,
) -> Result<Option<record::Version>, Problem> {
    match plane.control.version(caller, name, version).await {
        Ok(Stored { value, .. }) => Ok(Some(value)),
        Err(ControlError::Unknown { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Plane {
    /// What compares challengers with main.
    ///
    /// # Errors
    /// 503 when this gateway compares none.
    fn comparison(&self) -> Result<&Arc<Comparison>, Problem> {
        self.comparison.as_ref().ok_or_else(|| {
            let words = "this gateway does not compare challengers with main";
            unavailable(words)
        })
    }
}

impl From<LookError> for Problem {
    fn from(error: LookError) -> Self {
        match error {
            // The log has its words.
            LookError::File(_) => unavailable("the file of pairs can't be read just now"),
            LookError::Panicked(error) => Self::internal(error.to_string()),
        }
    }
}

fn unavailable(words: &str) -> Problem {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Problem::new(status, "comparison_unavailable", words)
}

fn unknown(name: &DeploymentName, version: Option<VersionNumber>) -> Problem {
    let words = match version {
        Some(version) => {
            format!("version {version} of {name} has no challenger, and nothing is kept of one")
        }
        None => format!("{name} has no challenger, and nothing is kept of one"),
    };
    Problem::unknown("comparison_unknown", words)
}

/// The version that a query names, by its number or as the data plane shows it.
fn version(query: &mut Query, name: &DeploymentName) -> Result<Option<VersionNumber>, Problem> {
    let Some(text) = query.short_text("version")? else {
        return Ok(None);
    };
    let number = match text.rsplit_once("_v") {
        Some((deployment, number)) if deployment == name.deployment() => number,
        Some((deployment, _)) => {
            let words = format!("{deployment:?} is not the name of the deployment {name}");
            return Err(Problem::unknown("version_unknown", words));
        }
        None => &text,
    };
    call::version(number).map(Some)
}
