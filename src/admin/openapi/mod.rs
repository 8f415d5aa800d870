//! The API's description: OpenAPI 3.1, made from the handlers.
//!
//! ```text
//! #[utoipa::path], ToSchema ──▶ paths, schemas ──complete──▶ what all operations have in common
//!                                               ──schemas──▶ what JSON Schema says and Rust does not
//!                                                        └──▶ /api/openapi.json, /api/reference
//! ```
//!
//! `config/openapi.json` is the committed copy; a test compares the two and says how to renew it.

mod complete;
mod schemas;
#[cfg(test)]
mod tests;

use axum::{
    extract::State,
    http::{HeaderMap, Method, StatusCode},
};
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Shared,
    answer::{Answer, Answered},
    problem::Problem,
    query::Query,
    reference,
};
use crate::base::id::Revision;

/// The description in both of its forms, made once.
pub(super) struct Documents {
    /// As JSON.
    pub(super) json: Vec<u8>,
    /// As a page for people.
    pub(super) html: String,
}

// === impl Documents ===

impl Documents {
    pub(super) fn new() -> Self {
        let document = document();
        Self {
            // A value always serialises.
            json: serde_json::to_vec(&document).unwrap_or_default(),
            html: reference::render(&document),
        }
    }
}

/// The whole description.
pub(super) fn document() -> Value {
    let (_, made) = super::api().split_for_parts();
    let mut document = serde_json::to_value(made).unwrap_or_default();
    schemas::complete(&mut document);
    complete::complete(&mut document);
    document
}

/// Its route.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(read))
}

/// This description, as OpenAPI 3.1.
#[utoipa::path(get, path = "/api/openapi.json", tag = "reference",
    operation_id = "reference_openapi", responses((status = 200, body = Object)))]
async fn read(State(plane): State<Shared>, headers: HeaderMap, uri: axum::http::Uri) -> Answered {
    Query::parse(uri.query())?.finish()?;
    let json = plane.documents().json.clone();
    Answer::bytes(StatusCode::OK, "application/json", json)
        .tag_all(Revision(0))
        .unless_known(&headers)
}

/// Whatever no route takes.
pub(super) async fn unknown() -> Problem {
    let words = "there is nothing at this path; /api/reference lists what there is";
    Problem::unknown("path_unknown", words)
}

/// A path that is known with a method that is not; `Allow` says which ones are.
pub(super) async fn not_allowed(method: Method) -> Problem {
    let words = match method {
        Method::OPTIONS => {
            "Allow names the methods of this path; no other origin's page may use it"
        }
        _ => "this path does not take this method; Allow names those that it takes",
    };
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", words)
}
