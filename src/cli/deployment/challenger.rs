//! What a version's flags say of its challenger.

use std::fmt::Display;

use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::flags::{Backend, pool};
use crate::{
    cli::failure::Failure,
    spec::{CompareKind, JsonPointer},
};

/// What gets a copy, and what follows from its answers.
#[derive(Debug, Clone, PartialEq, Default, clap::Args)]
#[command(next_help_heading = "Version")]
pub(super) struct ChallengerFlags {
    /// A backend of the challenger, likewise; a new challenger takes main's paths
    #[arg(long = "challenger", value_name = "URL[=WEIGHT]")]
    challengers: Vec<Backend>,
    /// No challenger
    #[arg(long, conflicts_with_all = [
        "challengers", "sample", "compare", "compare_pointer", "min_agreement", "auto_promote",
        "auto_stop",
    ])]
    no_challenger: bool,
    /// The share of requests that the challenger gets a copy of, 0.0 to 1.0
    #[arg(long, value_name = "SHARE")]
    sample: Option<f64>,
    /// How its answers are compared with main's; a version file says tolerances and more
    #[arg(long, value_name = "KIND", value_parser = kinds())]
    compare: Option<String>,
    /// Where in JSON the label, number or text stands that is compared, such as /label
    #[arg(long, value_name = "POINTER", value_parser = JsonPointer::parse)]
    compare_pointer: Option<JsonPointer>,
    /// The share of answers that have to agree with main's, 0.0 to 1.0
    #[arg(long, value_name = "SHARE")]
    min_agreement: Option<f64>,
    /// Make the challenger main once its verdict is promote; =false takes that back
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
        default_missing_value = "true", hide_possible_values = true)]
    auto_promote: Option<bool>,
    /// Copy nothing more to the challenger once its verdict is reject; =false takes that back
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
        default_missing_value = "true", hide_possible_values = true)]
    auto_stop: Option<bool>,
}

/// The members of a version that do something by themselves.
const DEEDS: [&str; 2] = ["auto_promote", "auto_stop"];

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(CompareKind::WORDS.map(|(word, _)| word))
}

// === impl ChallengerFlags ===

impl ChallengerFlags {
    /// Puts what is said on top of a version.
    ///
    /// # Errors
    /// When it does not fit to it.
    pub(super) fn put_on(&self, version: &mut Value) -> Result<(), Failure> {
        if self.no_challenger {
            version["challenger"] = Value::Null;
            if let Some(members) = version.as_object_mut() {
                // Nothing is left that they could be about.
                members.retain(|name, _| !DEEDS.contains(&name.as_str()));
            }
        }
        if !self.challengers.is_empty() {
            if version["challenger"].is_null() {
                version["challenger"] = beside(&version["main"]);
            }
            let challenger = &mut version["challenger"];
            challenger["backends"] = pool(&self.challengers, &challenger["backends"]);
        }
        let sample = share("--sample", self.sample)?;
        let min_agreement = share("--min-agreement", self.min_agreement)?;
        let pointer = self.compare_pointer.as_ref().map(|pointer| json!(pointer));
        let own = [
            ("--sample", &["sample"][..], sample),
            (
                "--compare",
                &["compare", "kind"],
                self.compare.as_ref().map(|kind| json!(kind)),
            ),
            ("--compare-pointer", &["compare", "pointer"], pointer),
            (
                "--min-agreement",
                &["verdict", "min_agreement"],
                min_agreement,
            ),
        ];
        for (flag, path, value) in own {
            let Some(value) = value else { continue };
            needed(flag, version)?;
            let challenger = &mut version["challenger"];
            *path.iter().fold(challenger, |at, step| &mut at[*step]) = value;
        }
        let deeds = [
            ("--auto-promote", "auto_promote", self.auto_promote),
            ("--auto-stop", "auto_stop", self.auto_stop),
        ];
        for (flag, name, wanted) in deeds {
            let Some(wanted) = wanted else { continue };
            if wanted {
                needed(flag, version)?;
            }
            version[name] = json!(wanted);
        }
        Ok(())
    }
}

/// A new challenger, which is asked as main is.
fn beside(main: &Value) -> Value {
    let mut fresh = json!({});
    for name in ["predict_path", "stream_path", "health_path"] {
        if !main[name].is_null() {
            fresh[name] = main[name].clone();
        }
    }
    fresh
}

fn share(flag: &str, share: Option<f64>) -> Result<Option<Value>, Failure> {
    match share {
        // JSON has neither, and would say that nothing was said.
        Some(share) if !share.is_finite() => Err(Failure::usage(format_args!(
            "{flag} is a number from 0 to 1"
        ))),
        share => Ok(share.map(|share| json!(share))),
    }
}

fn needed(flag: impl Display, version: &Value) -> Result<(), Failure> {
    match version["challenger"].is_null() {
        true => Err(
            Failure::usage(format_args!("there is no challenger for {flag}"))
                .hint("name its backends with --challenger URL"),
        ),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;

    fn flags(line: &str) -> Result<ChallengerFlags, clap::Error> {
        let command = ChallengerFlags::augment_args(clap::Command::new("x").no_binary_name(true));
        let matches = command.try_get_matches_from(line.split_whitespace())?;
        ChallengerFlags::from_arg_matches(&matches)
    }

    fn put(line: &str, mut version: Value) -> Value {
        let flags = flags(line).expect(line);
        flags.put_on(&mut version).expect(line);
        version
    }

    #[test]
    fn a_challenger_that_stays_keeps_what_nothing_is_said_of() {
        let there = json!({"challenger": {"backends": [{"url": "http://c"}], "sample": 0.5,
            "compare": {"kind": "json", "tolerance_abs": 0.1}}, "auto_stop": true});
        assert_eq!(
            put("--challenger http://d", there.clone()),
            json!({"challenger": {"backends": [{"url": "http://d"}], "sample": 0.5,
                "compare": {"kind": "json", "tolerance_abs": 0.1}}, "auto_stop": true})
        );
        assert_eq!(
            put(
                "--compare label --compare-pointer /label --min-agreement 0.9 --auto-promote \
                 --auto-stop=false",
                there
            ),
            json!({"challenger": {"backends": [{"url": "http://c"}], "sample": 0.5,
                "compare": {"kind": "label", "tolerance_abs": 0.1, "pointer": "/label"},
                "verdict": {"min_agreement": 0.9}}, "auto_stop": false, "auto_promote": true})
        );
    }

    #[test]
    fn without_a_challenger_nothing_is_done_about_one() {
        let there = json!({"challenger": {"backends": []}, "auto_promote": true, "model": "m"});
        assert_eq!(
            put("--no-challenger", there),
            json!({"challenger": null, "model": "m"})
        );
        for flag in [
            "--sample 0.5",
            "--compare json",
            "--compare-pointer /a",
            "--min-agreement 0.9",
            "--auto-promote",
            "--auto-stop=true",
        ] {
            let failure = flags(flag).expect(flag).put_on(&mut json!({}));
            let name = flag.split([' ', '=']).next().expect("one");
            assert_eq!(
                failure.expect_err("no challenger").words(),
                format!("there is no challenger for {name}")
            );
            let line = format!("--no-challenger {flag}");
            assert!(flags(&line).is_err(), "{line}");
        }
        let off = put("--auto-stop=false", json!({}));
        assert_eq!(off, json!({"auto_stop": false}));
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for line in [
            "--compare json5",
            "--compare-pointer label",
            "--auto-stop=maybe",
            "--auto-stop true",
        ] {
            assert!(flags(line).is_err(), "{line}");
        }
        for flag in ["--sample", "--min-agreement"] {
            for none in ["NaN", "inf"] {
                let line = format!("--challenger http://a {flag} {none}");
                let failure = flags(&line).expect(none).put_on(&mut json!({}));
                assert!(failure.is_err(), "{line}");
            }
        }
    }
}
