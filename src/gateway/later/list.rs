//! `/async`: the caller's own requests, newest first.

use http::StatusCode;
use serde::Serialize;

use super::{
    fetch::{Asking, unavailable},
    fetched::Fetched,
    query::{Query, write_cursor},
};
use crate::{
    base::secret::KeyDigest,
    fault::Fault,
    queue::{Document, Page, document},
    store::JobFilter,
};

/// A part of a list.
#[derive(Serialize)]
struct Shown<'a> {
    items: Vec<Document<'a>>,
    next: Option<String>,
}

/// The part of the list that the query asks for.
pub(super) async fn list(
    asking: &Asking<'_>,
    owner: KeyDigest,
    mut query: Query,
) -> Result<Fetched, Fault> {
    let filter = JobFilter {
        owner: Some(owner),
        deployment: query.deployment()?.map(|name| name.as_str().to_owned()),
        status: query.status()?,
        dead: false,
    };
    let (limit, before) = (query.limit()?, query.cursor()?);
    query.finish()?;
    let page = asking.queue.list(&filter, before, limit).await;
    let Page { requests, next } = page.map_err(unavailable)?;
    let (language, base) = (asking.language, asking.base());
    let items = requests.iter();
    let page = Shown {
        items: items
            .map(|request| document(request, language, base))
            .collect(),
        next: next.map(write_cursor),
    };
    let tag = super::fetch::tag(language);
    Ok(Fetched::document(StatusCode::OK, tag, &page))
}
