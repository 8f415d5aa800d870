//! `/api/v1/projects/{project}/subscriptions`: who is told what happens in a project.

use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Shared,
    answer::{Answer, Answered},
    call::{Call, OfProject, OfSubscription},
    json::Json,
    problem::Problem,
    query::{ChangeParams, ListParams},
    shape::{List, Subscription, SubscriptionDelivery, request},
};
use crate::{
    base::{id::Revision, name::Name},
    control::{Done, Intent, access::Caller, error::ControlError, record::Stored},
    notify,
    spec::{
        Mistakes, Target,
        body::{NewSubscription, SubscriptionPatch},
    },
};

/// Its routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, edit, delete))
        .routes(routes!(rotate))
        .routes(routes!(test))
        .routes(routes!(deliveries))
}

/// Lists the subscriptions of a project, oldest first.
#[utoipa::path(get, path = "/api/v1/projects/{project}/subscriptions", tag = "subscriptions",
    operation_id = "subscriptions_list", params(ListParams),
    responses((status = 200, body = List<Subscription>)))]
async fn list(
    State(plane): State<Shared>,
    mut call: Call,
    OfProject(project): OfProject,
) -> Answered {
    let page = call.page()?;
    let listed = plane.control.subscriptions(&call.caller, &project, &page)?;
    Ok(Answer::ok(&List::of(listed, |subscription| {
        shape(&plane, subscription.value, true)
    })))
}

/// Has somebody told what happens in a project.
#[utoipa::path(post, path = "/api/v1/projects/{project}/subscriptions", tag = "subscriptions",
    operation_id = "subscriptions_create", params(ChangeParams),
    request_body = request::NewSubscription, responses((status = 201, body = Subscription)))]
async fn create(
    State(plane): State<Shared>,
    mut call: Call,
    OfProject(project): OfProject,
    Json(body): Json,
) -> Answered {
    let intent = call.change()?.of_new();
    let (control, caller) = (&plane.control, &call.caller);
    control.permit_subscriptions(caller, &project)?;
    let body = NewSubscription::from_json(&body)?;
    check(&plane, &body.target)?;
    let done = control.create_subscription(caller, &project, body, &intent);
    let done = done.await?;
    let id = &done.value.value.id;
    let location = format!("/api/v1/projects/{project}/subscriptions/{id}");
    Ok(changed(&plane, &intent, done, StatusCode::CREATED).at(&location))
}

/// Shows a subscription.
#[utoipa::path(get, path = "/api/v1/projects/{project}/subscriptions/{subscription}",
    tag = "subscriptions", operation_id = "subscriptions_read",
    responses((status = 200, body = Subscription)))]
async fn read(
    State(plane): State<Shared>,
    mut call: Call,
    OfSubscription(project, id): OfSubscription,
) -> Answered {
    call.plain()?;
    let stored = plane.control.subscription(&call.caller, &project, &id)?;
    Answer::ok(&shape(&plane, stored.value, true))
        .tag_all(stored.revision)
        .unless_known(&call.headers)
}

/// Changes a subscription. What waits to be delivered goes to where it says then.
#[utoipa::path(patch, path = "/api/v1/projects/{project}/subscriptions/{subscription}",
    tag = "subscriptions", operation_id = "subscriptions_edit", params(ChangeParams),
    request_body = request::SubscriptionPatch, responses((status = 200, body = Subscription)))]
async fn edit(
    State(plane): State<Shared>,
    mut call: Call,
    OfSubscription(project, id): OfSubscription,
    Json(body): Json,
) -> Answered {
    let change = call.change()?;
    let (control, caller) = (&plane.control, &call.caller);
    control.permit_subscriptions(caller, &project)?;
    let body = SubscriptionPatch::from_json(&body)?;
    if let Some(target) = &body.target {
        check(&plane, target)?;
    }
    let current = async { revision(&plane, caller, &project, &id) };
    let intent = change.of(current).await?;
    let done = control.edit_subscription(caller, &project, &id, body, &intent);
    Ok(changed(&plane, &intent, done.await?, StatusCode::OK))
}

/// Deletes a subscription with its deliveries; what waits is told to nobody.
#[utoipa::path(delete, path = "/api/v1/projects/{project}/subscriptions/{subscription}",
    tag = "subscriptions", operation_id = "subscriptions_delete", params(ChangeParams),
    responses((status = 204)))]
async fn delete(
    State(plane): State<Shared>,
    mut call: Call,
    OfSubscription(project, id): OfSubscription,
) -> Answered {
    let change = call.change()?;
    let (control, caller) = (&plane.control, &call.caller);
    let current = async { revision(&plane, caller, &project, &id) };
    let intent = change.of(current).await?;
    let done = control.delete_subscription(caller, &project, &id, &intent);
    Ok(Answer::gone(intent.dry_run, done.await?.epoch))
}

/// Replaces the secret of a subscription. The old one signs nothing any more.
#[utoipa::path(post, tag = "subscriptions", operation_id = "subscriptions_rotate",
    path = "/api/v1/projects/{project}/subscriptions/{subscription}/rotate",
    params(ChangeParams), responses((status = 200, body = Subscription)))]
async fn rotate(
    State(plane): State<Shared>,
    mut call: Call,
    OfSubscription(project, id): OfSubscription,
) -> Answered {
    let change = call.change()?;
    let (control, caller) = (&plane.control, &call.caller);
    let current = async { revision(&plane, caller, &project, &id) };
    let intent = change.of(current).await?;
    let done = control.rotate_subscription(caller, &project, &id, &intent);
    Ok(changed(&plane, &intent, done.await?, StatusCode::OK))
}

/// Has a message delivered that says that nothing happened.
#[utoipa::path(post, tag = "subscriptions", operation_id = "subscriptions_test",
    path = "/api/v1/projects/{project}/subscriptions/{subscription}/test",
    params(ChangeParams), responses((status = 200, body = SubscriptionDelivery)))]
async fn test(
    State(plane): State<Shared>,
    mut call: Call,
    OfSubscription(project, id): OfSubscription,
) -> Answered {
    let intent = call.change()?.of_new();
    let (control, caller) = (&plane.control, &call.caller);
    let done = control.test_subscription(caller, &project, &id, &intent);
    let done = done.await?;
    let shape = SubscriptionDelivery::from(done.value);
    Ok(Answer::changed(
        intent.dry_run,
        StatusCode::OK,
        done.epoch,
        shape,
    ))
}

/// Lists how the deliveries of a subscription went, newest first.
#[utoipa::path(get, tag = "subscriptions", operation_id = "subscriptions_deliveries",
    path = "/api/v1/projects/{project}/subscriptions/{subscription}/deliveries",
    params(ListParams), responses((status = 200, body = List<SubscriptionDelivery>)))]
async fn deliveries(
    State(plane): State<Shared>,
    mut call: Call,
    OfSubscription(project, id): OfSubscription,
) -> Answered {
    let page = call.page()?;
    let (control, caller) = (&plane.control, &call.caller);
    let listed = control.subscription_deliveries(caller, &project, &id, &page);
    let listed = listed.await?;
    Ok(Answer::ok(&List::of(listed, SubscriptionDelivery::from)))
}

/// Whether somebody may be told there.
fn check(plane: &Shared, target: &Target) -> Result<(), Problem> {
    let wrong = match target {
        Target::Webhook { url } => (plane.later()?.check_webhook)(url)
            .err()
            .map(|words| ("/target/url", words)),
        Target::Email { .. } if plane.options.mail => None,
        Target::Email { .. } => {
            let words = "e-mail is off here: smtp.host is not set";
            Some(("/target/kind", words.to_owned()))
        }
    };
    let found = wrong.map(|(at, words)| (at.to_owned(), words));
    match Mistakes::found(found) {
        Some(mistakes) => Err(mistakes.into()),
        None => Ok(()),
    }
}

fn changed(
    plane: &Shared,
    intent: &Intent,
    done: Done<Stored<notify::Subscription>>,
    status: StatusCode,
) -> Answer {
    // A secret that was only tried is nobody's to know.
    let shape = shape(plane, done.value.value, !intent.dry_run);
    Answer::changed(intent.dry_run, status, done.epoch, shape).tag_all(done.value.revision)
}

fn shape(plane: &Shared, subscription: notify::Subscription, is_in_use: bool) -> Subscription {
    let is_signed = matches!(subscription.target, Target::Webhook { .. });
    let later = plane.later.as_ref().filter(|_| is_signed && is_in_use);
    let secret = later.map(|later| {
        let of = notify::Subscription::signed_as(&subscription.id);
        (later.webhook_secret)(&of, 0, subscription.generation)
    });
    Subscription::new(subscription, secret)
}

fn revision(
    plane: &Shared,
    caller: &Caller,
    project: &Name,
    id: &str,
) -> Result<Revision, ControlError> {
    Ok(plane.control.subscription(caller, project, id)?.revision)
}
