//! Names in addresses.

use std::fmt::Write;

use crate::base::name::DeploymentName;

/// A deployment's address in the admin API, with what comes behind it: `path_of(&name, "/keys")`.
pub(in crate::cli) fn path_of(name: &DeploymentName, rest: &str) -> String {
    let (project, deployment) = (name.project(), name.deployment());
    format!("/api/v1/projects/{project}/deployments/{deployment}{rest}")
}

/// A text as one segment of a path or one value of a query (RFC 3986, unreserved characters stay).
pub(in crate::cli) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_stays_one_segment() {
        assert_eq!(escaped("k1-._~"), "k1-._~");
        assert_eq!(escaped("a/b?c#d e%é"), "a%2Fb%3Fc%23d%20e%25%C3%A9");
    }
}
