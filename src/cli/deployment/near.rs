//! Which deployment may be meant by a name that none has.

use serde_json::Value;

use super::Target;
use crate::{
    base::name::DeploymentName,
    cli::{
        failure::{Code, Failure},
        remote::Session,
    },
    spec::nearest,
};

/// Deployments that are looked through: with more of them the list says more than a guess.
const LOOKED_AT_MAX: usize = 5_000;

/// Names that are offered.
const OFFERED_MAX: usize = 3;

/// Says which names are near, when something failed because there is no such deployment.
pub(super) fn hinted(failure: Failure, target: Option<&Target>, session: &Session) -> Failure {
    let name = target.and_then(|target| target.if_named().ok().flatten());
    let (Some(Code::Unknown), Some(name)) = (failure.code(), name) else {
        return failure;
    };
    let listed = session
        .client
        .list_up_to("/api/v1/deployments", LOOKED_AT_MAX);
    // Without a list there is nothing to add to what is known.
    let Ok(listed) = listed else {
        return failure;
    };
    let names: Vec<String> = listed.iter().map(full_name).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    if names.contains(&name.to_string().as_str()) {
        // Then it was something of it that is not there.
        return failure;
    }
    match near(&name, &names).as_slice() {
        [] => failure.hint("`weir deployment list` shows those there are"),
        near => failure.hint(format_args!("did you mean {}?", near.join(" or "))),
    }
}

/// A deployment's name, as the API shows it.
pub(super) fn full_name(deployment: &Value) -> String {
    let text = |member: &str| deployment[member].as_str().unwrap_or("");
    format!("{}/{}", text("project"), text("name"))
}

/// Names that may be meant: those of the same name in other projects, then those written alike.
fn near<'a>(name: &DeploymentName, names: &[&'a str]) -> Vec<&'a str> {
    let is_namesake = |other: &&&str| {
        let half = other.split_once('/').map(|(_, deployment)| deployment);
        half == Some(name.deployment())
    };
    let mut near: Vec<&str> = names.iter().filter(is_namesake).copied().collect();
    let mut rest: Vec<&str> = names.to_vec();
    rest.retain(|name| !near.contains(name));
    while near.len() < OFFERED_MAX
        && let Some(found) = nearest(&name.to_string(), &rest)
    {
        let at = rest.iter().position(|name| *name == found);
        near.extend(at.map(|at| rest.swap_remove(at)));
    }
    near.truncate(OFFERED_MAX);
    near
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namesakes_come_before_what_is_written_alike() {
        let names = ["demo/iris", "demo/iris2", "demo/text", "prod/iris"];
        for (name, expected) in [
            ("demo/irsi", vec!["demo/iris", "demo/iris2"]),
            ("dmeo/iris", vec!["demo/iris", "prod/iris", "demo/iris2"]),
            ("other/text", vec!["demo/text"]),
            ("x/unheard-of", vec![]),
        ] {
            let parsed = DeploymentName::parse(name).expect(name);
            assert_eq!(near(&parsed, &names), expected, "{name}");
        }
    }
}
