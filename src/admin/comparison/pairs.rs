//! `.../comparison/pairs`: what main and its challenger answered to the same requests, a page or all of
//! it; and one of them, with its bodies where they were kept.
//!
//! Bodies may hold what is nobody's business but the model's and its clients': only those who may
//! change the deployment see them.

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    download::{Download, Form},
    version,
};
use crate::{
    admin::{
        Shared,
        answer::{Answer, Answered},
        call::{Call, OfDeployment, OfPair},
        moment,
        problem::Problem,
        query::ListParams,
        shape::{List, Pair, PairBodies, PairWhole},
    },
    base::{clock::unix_ms, id::Revision},
    control::{
        Page,
        access::{Object, Verb},
    },
    shadow::journal::{Cursor, Filter, Order, Wanted},
};

/// Pairs of a page, when nothing is said.
const LIMIT_DEFAULT: usize = 100;

/// Which pairs.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only the document is made from it")]
struct PairParams {
    /// Only those of this version's challenger: its number, or `{deployment}_v{number}`.
    #[param(
        pattern = "^([a-z0-9][a-z0-9._-]{0,62}_v)?[1-9][0-9]{0,9}$",
        example = "3"
    )]
    version: Option<String>,
    /// Only those with this result.
    #[param(inline)]
    result: Option<ResultWord>,
    /// From when: as RFC 3339, in seconds since 1970, or as far before now as `-15m` says (`s`, `m`,
    /// `h`, `d`). From the beginning when it is not given.
    #[param(example = "-1h")]
    from: Option<String>,
    /// Until before when; now when it is not given.
    #[param(example = "2026-01-31T12:00:00Z")]
    to: Option<String>,
    /// Which come first.
    #[param(inline)]
    order: Option<OrderWord>,
    /// In which form, whatever `Accept` says. `ndjson` and `csv` are downloads of all that match.
    #[param(inline)]
    format: Option<FormWord>,
}

/// Which pairs.
#[derive(utoipa::ToSchema, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only the document is made from it")]
enum ResultWord {
    /// Those that agree.
    Agree,
    /// Those that do not.
    Disagree,
    /// Those that were not compared.
    Uncompared,
    /// Those of which one answer was an error, whatever the comparison found.
    Error,
}

/// Which pairs come first.
#[derive(utoipa::ToSchema, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only the document is made from it")]
enum OrderWord {
    /// The newest.
    Newest,
    /// The oldest.
    Oldest,
    /// Those that are farthest apart; only of those that disagree.
    Worst,
}

/// A form.
#[derive(utoipa::ToSchema, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only the document is made from it")]
enum FormWord {
    /// A page.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// A table with a row of names.
    Csv,
}

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(read))
}

/// Lists pairs of answers: a page, or as a download all that match.
///
/// A page may be short, even empty, and still have a `next`. A download has all that match from
/// `cursor` on, or the first `limit` of them, and breaks off when the gateway stops meanwhile. As CSV it
/// is what RFC 4180 says; text from outside that a spreadsheet would take for a formula, since it begins
/// with `=`, `+`, `-`, `@`, a tab or a carriage return, has an apostrophe in front.
#[utoipa::path(get, tag = "comparison", operation_id = "comparison_pairs",
    path = "/api/v1/projects/{project}/deployments/{deployment}/comparison/pairs",
    params(PairParams, ListParams),
    responses((status = 200, content((List<Pair> = "application/json"),
        (Pair = "application/x-ndjson"), (String = "text/csv")))))]
async fn list(
    State(plane): State<Shared>,
    mut call: Call,
    OfDeployment(name): OfDeployment,
) -> Result<Response, Problem> {
    let now_ms = unix_ms();
    let query = &mut call.query;
    let mut filter = Filter {
        version: version(query, &name)?,
        result: query.choice("result", &Wanted::WORDS)?,
        from_ms: moment::asked(query, "from", now_ms)?,
        to_ms: moment::asked(query, "to", now_ms)?,
        order: query.choice("order", &Order::WORDS)?.unwrap_or_default(),
        ..Filter::new(name.clone())
    };
    let asked = query.choice("format", &Form::WORDS)?;
    let form = asked.unwrap_or_else(|| accepted(&call.headers));
    let limit = query.limit()?;
    let page = Page {
        after: query.short_text("cursor")?,
        limit: limit.unwrap_or(LIMIT_DEFAULT),
    };
    call.plain()?;
    filter.after = cursor(&page, filter.order)?;
    filter.limit = page.limit;
    let shown = plane.control.deployment(&call.caller, &name).await?;
    filter.life = Some(shown.stored.value.first_version);
    if form != Form::Json {
        // What comes meanwhile does not belong to it: else the oldest first might never end.
        filter.to_ms = filter.to_ms.or(Some(now_ms + 1));
        let download = Download::begin(&plane, call.headers, filter, form, limit).await?;
        return Ok(download.into_response());
    }
    let page = plane.comparison()?.pairs(filter).await?;
    let list = List {
        items: page.items.into_iter().map(Pair::from).collect(),
        next: page.next.map(|next| Page::cursor(&next.to_string())),
    };
    Ok(Answer::ok(&list).vary_by_accept().into_response())
}

/// Shows a pair of answers. Its bodies, where they were kept, are for those who may change the
/// deployment.
#[utoipa::path(get, tag = "comparison", operation_id = "comparison_pair",
    path = "/api/v1/projects/{project}/deployments/{deployment}/comparison/pairs/{pair}",
    responses((status = 200, body = PairWhole)))]
async fn read(State(plane): State<Shared>, mut call: Call, OfPair(name, id): OfPair) -> Answered {
    call.plain()?;
    let shown = plane.control.deployment(&call.caller, &name).await?;
    let life = shown.stored.value.first_version;
    let found = plane.comparison()?.pair(name.clone(), life, id).await?;
    let (kept, bodies) = found.ok_or_else(|| unknown(&id.to_string()))?;
    let object = Object::Deployment(&name);
    let may_see = plane.control.permit(&call.caller, Verb::Operate, object);
    let may_see = may_see.is_ok();
    let whole = PairWhole {
        bodies_hidden: kept.has_bodies && !may_see,
        pair: kept.into(),
        bodies: bodies.filter(|_| may_see).map(PairBodies::from),
    };
    Answer::ok(&whole)
        .tag_all(Revision(0))
        .unless_known(&call.headers)
}

/// What is said of a pair that is not there.
pub(in crate::admin) fn unknown(id: &str) -> Problem {
    let id: String = id.chars().take(20).collect();
    let words = format!("no pair {id:?} of this deployment is kept");
    Problem::unknown("pair_unknown", words)
}

fn cursor(page: &Page, order: Order) -> Result<Option<Cursor>, Problem> {
    let Some(last) = page.last()? else {
        return Ok(None);
    };
    match Cursor::parse(last, order) {
        Some(cursor) => Ok(Some(cursor)),
        None => Err(Page::bad_cursor().into()),
    }
}

/// What a client asks for first decides: no program sends quality values here to say anything subtler.
fn accepted(headers: &HeaderMap) -> Form {
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok());
    let first = accept.and_then(|accept| accept.split([',', ';']).next());
    match first.map(str::trim) {
        Some("application/x-ndjson") => Form::Ndjson,
        Some("text/csv") => Form::Csv,
        _ => Form::Json,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_first_decides_the_form() {
        for (accept, expected) in [
            (None, Form::Json),
            (Some("*/*"), Form::Json),
            (Some("application/json, text/csv"), Form::Json),
            (Some("text/csv"), Form::Csv),
            (Some("text/csv;q=0.9, */*"), Form::Csv),
            (Some("application/x-ndjson, */*"), Form::Ndjson),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, accept.parse().expect("a value"));
            }
            assert_eq!(accepted(&headers), expected, "{accept:?}");
        }
    }
}
