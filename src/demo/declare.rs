//! What `weir demo` declares, and the lines that it prints to be pasted.

use std::net::SocketAddr;

use super::SampleModel;
use crate::base::{clock::unix_ms, draw};

/// A new API key of weir's own form, `wk_{id}_{secret}`, drawn from the operating system.
///
/// # Errors
/// When the operating system has no random bytes to give.
pub fn draw_key() -> Result<String, getrandom::Error> {
    draw::secret("wk", &draw::id(unix_ms())?)
}

/// The demo's declarations: `demo/iris` with its challenger, `demo/text`, and one key for the
/// whole project.
pub fn declarations_toml(
    iris: SocketAddr,
    challenger: SocketAddr,
    text: SocketAddr,
    key: &str,
) -> String {
    let (iris_model, text_model) = (SampleModel::Iris.model(), SampleModel::Text.model());
    format!(
        r#"[[deployment]]
project = "demo"
name = "iris"
description = "Three species of iris, told apart by four measurements"

[deployment.version]
model = "{iris_model}"
input_example = {{ inputs = [[5.1, 3.5, 1.4, 0.2], [6.3, 2.5, 4.9, 1.5]] }}

[deployment.version.main]
backends = [{{ url = "http://{iris}" }}]
health_path = "/health"

[deployment.version.challenger]
backends = [{{ url = "http://{challenger}" }}]
health_path = "/health"
sample = 1.0
compare = {{ kind = "label", pointer = "/outputs/0/label" }}

[[deployment]]
project = "demo"
name = "text"
description = "A text, continued token by token"

[deployment.version]
model = "{text_model}"
input_example = {{ prompt = "The river", max_tokens = 40 }}

[deployment.version.main]
backends = [{{ url = "http://{text}" }}]
health_path = "/health"

[[key]]
secret = "{key}"
scope = "demo"
description = "made at this start of the demo"
"#
    )
}

/// The lines that the demo prints: ready to paste, each under a comment that says what it shows.
pub fn curl_lines(data_url: &str, admin_url: &str, key: &str) -> String {
    // One flower on which main and challenger agree and one on which they do not.
    let iris = r#"'{"inputs": [[5.1, 3.5, 1.4, 0.2], [6.3, 2.5, 4.9, 1.5]]}'"#;
    let zeros = "0".repeat(draw::SECRET_CHARS);
    let text = r#"'{"prompt": "The river", "max_tokens": 40}'"#;
    format!(
        r#"# Predict: two flowers; the answer is main's, the challenger gets a copy.
curl -s {data_url}/predict/demo/iris -H "Authorization: Bearer {key}" -d {iris}

# Stream: one event per token, 50 a second.
curl -sN {data_url}/stream/demo/text -H "Authorization: Bearer {key}" -d {text}

# A wrong key: 401, the same words for every wrong key.
curl -si {data_url}/predict/demo/iris -H "Authorization: Bearer wk_wrong_{zeros}" -d {iris}

# Later: written to disk and answered with an id at once; then, how what was asked for stands.
curl -s {data_url}/predict/demo/iris -H "Authorization: Bearer {key}" -H "X-Async-Request: true" -d {iris}
curl -s "{data_url}/async?limit=1" -H "Authorization: Bearer {key}"

# Metrics: requests by deployment, version, role and code.
curl -s {admin_url}/metrics | grep '^weir_requests_total'

# The challenger: copies sent to it, copies dropped, and its answers.
curl -s {admin_url}/metrics | grep -E '^weir_(mirror_|requests_total.*role="challenger")'
"#
    )
}

/// Flowers that the line of [`load_line`] asks about.
const FLOWERS: u32 = 300;

/// A line that asks about many different flowers, and how many they are.
pub fn load_line(data_url: &str, key: &str) -> (u32, String) {
    // Petals from 4.0 to 4.9 cm long: where the two species that resemble each other meet.
    let flower = r#""{\"inputs\": [[6.$((i % 7)), 2.8, 4.$((i % 10)), 1.$((i % 9))]]}""#;
    let call = format!("curl -s {data_url}/predict/demo/iris -H \"Authorization: Bearer {key}\"");
    let line = format!("for i in $(seq {FLOWERS}); do {call} -d {flower} -o /dev/null; done");
    (FLOWERS, line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declarations_are_toml_with_both_deployments_and_the_key() {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let text = declarations_toml(at(1001), at(1002), at(1003), "wk_a_b");
        let table: toml::Table = text.parse().expect("TOML");
        let url = |deployment: usize, pool: &str| {
            table["deployment"][deployment]["version"][pool]["backends"][0]["url"]
                .as_str()
                .expect("a URL")
        };
        assert_eq!(url(0, "main"), "http://127.0.0.1:1001");
        assert_eq!(url(0, "challenger"), "http://127.0.0.1:1002");
        assert_eq!(url(1, "main"), "http://127.0.0.1:1003");
        assert!(
            table["deployment"][1]["version"]
                .get("challenger")
                .is_none()
        );
        assert_eq!(table["key"][0]["secret"].as_str(), Some("wk_a_b"));
        assert_eq!(table["key"][0]["scope"].as_str(), Some("demo"));
    }

    #[test]
    fn the_printed_lines_name_the_urls_and_only_the_wrong_one_lacks_the_key() {
        let lines = curl_lines("http://d", "http://a", "wk_id_secret");
        let curls: Vec<_> = lines.lines().filter(|l| l.starts_with("curl ")).collect();
        assert_eq!(curls.len(), 7);
        assert!(
            curls[0].contains("http://d/predict/demo/iris") && curls[0].contains("wk_id_secret")
        );
        assert!(curls[1].contains("-sN http://d/stream/demo/text"));
        assert!(!curls[2].contains("wk_id_secret"));
        assert!(curls[3].contains("X-Async-Request: true") && curls[4].contains("http://d/async"));
        assert!(curls[5..].iter().all(|l| l.contains("http://a/metrics")));
        let commented = lines.split("\n\n").all(|part| part.starts_with("# "));
        assert!(commented, "{lines}");
    }

    #[test]
    fn the_readme_shows_the_lines_as_they_are_printed() {
        let readme = include_str!("../../README.md");
        assert!(readme.contains(&curl_lines("$DATA", "$ADMIN", "$KEY")));
    }
}
