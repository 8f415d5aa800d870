//! What a version's flags say, put on top of a version that is there already.

use std::{path::PathBuf, str::FromStr};

use serde_json::{Value, json};

use super::{challenger::ChallengerFlags, file, readme};
use crate::{cli::failure::Failure, spec::BackendUrl};

/// What a backend may speak.
const PROTOCOLS: [&str; 3] = ["http1", "h2c", "h2"];

/// What is to answer.
#[derive(Debug, Clone, PartialEq, Default, clap::Args)]
#[command(next_help_heading = "Version")]
pub(in crate::cli) struct VersionFlags {
    /// A "version" object in TOML or JSON; - is standard input. The other flags go on top of it
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A backend of main, such as http://10.0.0.7:9001=2 or https://model.local; may be given several times, and replaces all
    #[arg(long = "backend", value_name = "URL[=WEIGHT]")]
    backends: Vec<Backend>,
    /// What main's backends speak, all of them: http1 (as they do unless it is said), h2c over http, h2 over https
    #[arg(long, value_parser = PROTOCOLS)]
    protocol: Option<String>,
    #[command(flatten)]
    challenger: ChallengerFlags,
    /// What model it is
    #[arg(long, visible_alias = "model-checkpoint", alias = "model_checkpoint")]
    model: Option<String>,
    /// What it runs on, in the operator's words
    #[arg(long)]
    arch: Option<String>,
    /// How many instances it runs as; stored and shown
    #[arg(long, value_name = "COUNT")]
    instances: Option<u32>,
    /// Stored and shown
    #[arg(long)]
    image: Option<String>,
    /// Stored and shown
    #[arg(long)]
    hardware: Option<String>,
    /// Where main's predict requests go
    #[arg(long, value_name = "PATH")]
    predict_path: Option<String>,
    /// Where main's stream requests go
    #[arg(long, value_name = "PATH")]
    stream_path: Option<String>,
    /// Where main's backends say that they are ready
    #[arg(long, value_name = "PATH")]
    health_path: Option<String>,
    /// A label, beside those there are; NAME= takes one away
    #[arg(long = "label", value_name = "NAME=VALUE")]
    labels: Vec<Label>,
    /// What is new about it
    #[arg(long, value_name = "TEXT")]
    notes: Option<String>,
    /// What a request's body looks like, for the calls that `info` prints; @FILE reads it
    #[arg(long, value_name = "JSON")]
    input_example: Option<String>,
    /// What an answer's body looks like; @FILE reads it
    #[arg(long, value_name = "JSON")]
    output_example: Option<String>,
}

/// An address, and its share of the requests.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Backend {
    url: BackendUrl,
    weight: Option<u32>,
}

/// A label.
#[derive(Debug, Clone, PartialEq)]
struct Label {
    name: String,
    value: String,
}

// === impl VersionFlags ===

impl VersionFlags {
    /// Whether nothing is said.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it is said what all else goes on top of, or what a first version needs.
    pub(super) fn is_whole(&self) -> bool {
        self.file.is_some() || !self.backends.is_empty()
    }

    /// The version in the file, when there is one.
    ///
    /// # Errors
    /// When it can't be read or has mistakes.
    pub(super) fn in_file(&self) -> Result<Option<Value>, Failure> {
        self.file.as_deref().map(file::version).transpose()
    }

    /// Puts what is said on top of a version.
    ///
    /// # Errors
    /// When it does not fit to it.
    pub(super) fn put_on(&self, version: &mut Value) -> Result<(), Failure> {
        if !self.backends.is_empty() {
            let main = &mut version["main"];
            main["backends"] = pool(&self.backends, &main["backends"]);
        }
        if let Some(protocol) = &self.protocol {
            let backends = version["main"]["backends"].as_array_mut();
            for backend in backends.into_iter().flatten() {
                backend["protocol"] = json!(protocol);
            }
        }
        let of_main = [
            ("predict_path", &self.predict_path),
            ("stream_path", &self.stream_path),
            ("health_path", &self.health_path),
        ];
        for (name, path) in of_main {
            if let Some(path) = path {
                version["main"][name] = json!(path);
            }
        }
        self.challenger.put_on(version)?;
        let lines = [
            ("model", &self.model),
            ("arch", &self.arch),
            ("image", &self.image),
            ("hardware", &self.hardware),
            ("notes", &self.notes),
        ];
        for (name, line) in lines {
            if let Some(line) = line {
                version[name] = json!(line);
            }
        }
        if let Some(instances) = self.instances {
            version["instances"] = json!(instances);
        }
        for Label { name, value } in &self.labels {
            version["labels"][name] = json!(value);
        }
        if let Some(labels) = version["labels"].as_object_mut() {
            labels.retain(|_, value| value != "");
        }
        let examples = [
            ("input_example", "--input-example", &self.input_example),
            ("output_example", "--output-example", &self.output_example),
        ];
        for (name, flag, text) in examples {
            if let Some(text) = text {
                version[name] = example(flag, text)?;
            }
        }
        Ok(())
    }
}

/// The backends named, in place of those there were. One that stays keeps what nothing is said of.
pub(super) fn pool(named: &[Backend], there: &Value) -> Value {
    let there = there.as_array().map_or(&[][..], Vec::as_slice);
    let backends = named.iter().map(|Backend { url, weight }| {
        let url = url.to_string();
        let same = there.iter().find(|backend| backend["url"] == url);
        let mut backend = same.cloned().unwrap_or_else(|| json!({"url": url}));
        if let Some(weight) = weight {
            backend["weight"] = json!(weight);
        }
        backend
    });
    backends.collect()
}

fn example(flag: &str, text: &str) -> Result<Value, Failure> {
    let bytes = match text.strip_prefix('@') {
        Some(file) => readme::read(file.as_ref())?,
        None => text.as_bytes().to_vec(),
    };
    serde_json::from_slice(&bytes).map_err(|error| {
        Failure::usage(format_args!("{flag} is no JSON: {error}"))
            .hint("write it in single quotes, or name a file that holds it as @FILE")
    })
}

// === impl Backend, Label ===

impl FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (url, weight) = match text.rsplit_once('=') {
            Some((url, weight)) if weight.bytes().all(|byte| byte.is_ascii_digit()) => {
                let weight = weight.parse::<u32>().ok().filter(|weight| *weight <= 1_000);
                let weight = weight.ok_or("a weight is a number from 0 to 1,000")?;
                (url, Some(weight))
            }
            _ => (text, None),
        };
        let url = BackendUrl::parse(url).map_err(|error| error.to_string())?;
        Ok(Self { url, weight })
    }
}

impl FromStr for Label {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or("a label is NAME=VALUE")?;
        Ok(Self {
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;

    fn flags(line: &str) -> Result<VersionFlags, clap::Error> {
        let command = VersionFlags::augment_args(clap::Command::new("x").no_binary_name(true));
        let matches = command.try_get_matches_from(line.split_whitespace())?;
        VersionFlags::from_arg_matches(&matches)
    }

    fn live() -> Value {
        json!({"model": "m:1", "labels": {"team": "a", "tier": "1"}, "instances": null,
            "main": {"backends": [{"url": "http://a", "weight": 3, "protocol": "h2c"},
                                  {"url": "http://b", "weight": 1, "protocol": "http1"}],
                     "predict_path": "/v1/predict", "stream_path": "/stream"},
            "future": {"kept": true}})
    }

    #[track_caller]
    fn check(line: &str, expected: &[(&str, Value)]) {
        let mut version = live();
        let flags = flags(line).expect(line);
        flags.put_on(&mut version).expect(line);
        let mut other = live();
        for (pointer, value) in expected {
            let at = version.pointer(pointer).unwrap_or(&Value::Null);
            assert_eq!(at, value, "{line}: {pointer}");
            let (parent, last) = pointer.rsplit_once('/').expect("a pointer");
            other.pointer_mut(parent).expect("there")[last] = value.clone();
        }
        // And nothing else.
        assert_eq!(version, other, "{line}");
    }

    #[test]
    fn flags_replace_what_they_name_and_nothing_else() {
        check("", &[]);
        check(
            "--model m:2 --notes new --arch sn40 --instances 4",
            &[
                ("/model", json!("m:2")),
                ("/notes", json!("new")),
                ("/arch", json!("sn40")),
                ("/instances", json!(4)),
            ],
        );
        check("--model-checkpoint m:3", &[("/model", json!("m:3"))]);
        let a = json!({"url": "http://a", "weight": 3, "protocol": "h2c"});
        check(
            "--backend http://a/ --backend http://c:1/x=7",
            &[(
                "/main/backends",
                json!([a, {"url": "http://c:1/x", "weight": 7}]),
            )],
        );
        check(
            "--backend https://a:443/=5",
            &[("/main/backends", json!([{"url": "https://a", "weight": 5}]))],
        );
        check(
            "--challenger http://c=2 --sample 0.25",
            &[(
                "/challenger",
                json!({"predict_path": "/v1/predict", "stream_path": "/stream",
                    "backends": [{"url": "http://c", "weight": 2}], "sample": 0.25}),
            )],
        );
        let h2 = |url, weight| json!({"url": url, "weight": weight, "protocol": "h2"});
        let both = json!([h2("http://a", 3), h2("http://b", 1)]);
        check("--protocol h2", &[("/main/backends", both)]);
        check(
            "--backend https://c=1 --protocol h2",
            &[("/main/backends", json!([h2("https://c", 1)]))],
        );
        check("--no-challenger", &[("/challenger", Value::Null)]);
        check(
            "--health-path /ok --predict-path /p",
            &[
                ("/main/health_path", json!("/ok")),
                ("/main/predict_path", json!("/p")),
            ],
        );
        check(
            "--label team= --label zone=b=c",
            &[("/labels", json!({"tier": "1", "zone": "b=c"}))],
        );
        check(
            r#"--input-example {"x":[1.0]}"#,
            &[("/input_example", json!({"x": [1.0]}))],
        );
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let broken = flags("--input-example {").expect("flags");
        let failure = broken.put_on(&mut live()).expect_err("no JSON");
        assert!(
            failure.words().starts_with("--input-example is no JSON: "),
            "{failure:?}"
        );
        for line in [
            "--backend 127.0.0.1:9001",
            "--backend wss://a",
            "--backend http://a=1001",
            "--protocol http2",
            "--label x",
            "--label =x",
            "--no-challenger --challenger http://a",
            "--no-challenger --sample 1",
        ] {
            assert!(flags(line).is_err(), "{line}");
        }
    }
}
