//! Reads deployments and versions.

use std::collections::BTreeMap;

use super::{
    challenger, limits,
    pool::{self, TIMEOUT_MS_MAX},
    readiness,
    text::{ACCESSES, DESCRIPTION_BYTES_MAX, KEEP_PREVIOUS_MAX, line, name, one_line, tags},
};
use crate::{
    base::name::{DeploymentName, Name},
    spec::{
        DeploymentSpec, Example, Parameters, TimeoutsSpec, VersionSpec, field::Field,
        reader::Reader,
    },
};

/// A version's notes, in bytes.
const NOTES_BYTES_MAX: usize = 16 << 10;
/// A version's parameters, in bytes of JSON.
const PARAMETERS_BYTES_MAX: usize = 64 << 10;
/// An example, in bytes of JSON.
const EXAMPLE_BYTES_MAX: usize = 64 << 10;
/// Labels of a version.
const LABELS_MAX: usize = 64;
/// A label's name, in characters.
const LABEL_CHARS_MAX: usize = 64;
/// A label's value, in bytes.
const LABEL_VALUE_BYTES_MAX: usize = 256;
/// Instances that a version may say it runs as.
const INSTANCES_MAX: u64 = 100_000;

/// Reads a deployment. `project` is the one that is known from elsewhere.
pub(in crate::spec) fn deployment(
    reader: &mut Reader<'_>,
    project: Option<&Name>,
) -> Option<DeploymentSpec> {
    // Everything is asked for before anything is given up: a key that nobody asked for is unknown.
    let project = project_of(reader, project);
    let name = reader.required("name").and_then(|f| name(&f));
    let display_name = line(reader, "display_name");
    let description = reader.text("description", DESCRIPTION_BYTES_MAX, "");
    let tags = reader.field("tags").and_then(|f| tags(&f));
    let access = reader.choice("access", &ACCESSES);
    let keep_previous = reader.integer("keep_previous", 0..=KEEP_PREVIOUS_MAX, 0);
    let (limits, overload) = (limits::limits(reader), limits::overload(reader));
    let version = reader
        .required("version")
        .and_then(|f| f.table(|reader| Some(version(reader))));
    let (project, name) = (project?, name?);
    Some(DeploymentSpec {
        name: DeploymentName::new(&project, &name),
        display_name: if display_name.is_empty() {
            name.to_string()
        } else {
            display_name
        },
        description,
        tags: tags.unwrap_or_default(),
        access,
        keep_previous,
        limits,
        overload,
        version: version?,
    })
}

fn project_of(reader: &mut Reader<'_>, known: Option<&Name>) -> Option<Name> {
    let Some(known) = known else {
        return reader.required("project").and_then(|f| name(&f));
    };
    if let Some(field) = reader.field("project")
        && let Some(named) = name(&field)
        && named != *known
    {
        field.wrong(format!("names {named}, but the address names {known}"));
    }
    Some(known.clone())
}

/// Reads a version.
pub(super) fn version(reader: &mut Reader<'_>) -> VersionSpec {
    let default = VersionSpec::default();
    let spec = VersionSpec {
        model: line(reader, "model"),
        parameters: reader
            .field("parameters")
            .and_then(|f| parameters(&f))
            .unwrap_or(default.parameters),
        input_example: reader.field("input_example").and_then(|f| example(&f)),
        output_example: reader.field("output_example").and_then(|f| example(&f)),
        notes: reader.text("notes", NOTES_BYTES_MAX, ""),
        image: line(reader, "image"),
        hardware: line(reader, "hardware"),
        optimization: line(reader, "optimization"),
        instances: reader
            .field("instances")
            .and_then(|f| f.integer(0..=INSTANCES_MAX)),
        arch: line(reader, "arch"),
        labels: reader
            .field("labels")
            .and_then(|f| labels(&f))
            .unwrap_or_default(),
        main: reader
            .required("main")
            .and_then(|f| f.table(|reader| Some(pool::pool(reader))))
            .unwrap_or_default(),
        challenger: reader
            .field("challenger")
            .and_then(|f| f.table(|reader| Some(challenger::challenger(reader)))),
        auto_promote: reader.flag("auto_promote", false),
        auto_stop: reader.flag("auto_stop", false),
        timeouts: reader
            .field("timeouts")
            .and_then(|f| f.table(|reader| Some(timeouts(reader))))
            .unwrap_or_default(),
        readiness: reader
            .field("readiness")
            .and_then(|f| f.table(|reader| Some(readiness::readiness(reader))))
            .unwrap_or_default(),
        warm_up: reader
            .field("warm_up")
            .and_then(|f| f.table(|reader| Some(readiness::warm_up(reader)))),
    };
    for (key, is_on) in [
        ("auto_promote", spec.auto_promote),
        ("auto_stop", spec.auto_stop),
    ] {
        if is_on && reader.field("challenger").is_none() {
            reader.wrong(key, "is about a challenger, and there is none");
        }
    }
    spec
}

fn timeouts(reader: &mut Reader<'_>) -> TimeoutsSpec {
    let default = TimeoutsSpec::default();
    let mut ms = |key, default| reader.integer(key, 1..=TIMEOUT_MS_MAX, default);
    TimeoutsSpec {
        connect_ms: ms("connect_ms", default.connect_ms),
        first_byte_ms: ms("first_byte_ms", default.first_byte_ms),
        idle_ms: ms("idle_ms", default.idle_ms),
        total_ms: ms("total_ms", default.total_ms),
    }
}

fn labels(field: &Field<'_>) -> Option<BTreeMap<String, String>> {
    let pairs = field.pairs()?;
    if pairs.len() > LABELS_MAX {
        field.wrong(format!(
            "has {} labels, {LABELS_MAX} are allowed",
            pairs.len()
        ));
        return None;
    }
    let mut labels = BTreeMap::new();
    for (key, value) in pairs {
        if key.is_empty() || key.chars().count() > LABEL_CHARS_MAX || key.contains(char::is_control)
        {
            value.wrong(format!(
                "a label's name has 1 to {LABEL_CHARS_MAX} characters and no control characters"
            ));
        }
        if let Some(text) = one_line(&value, LABEL_VALUE_BYTES_MAX) {
            labels.insert(key.to_owned(), text.to_owned());
        }
    }
    Some(labels)
}

fn parameters(field: &Field<'_>) -> Option<Parameters> {
    // Anything but a table is a mistake, though any JSON may stand inside.
    let _pairs = field.pairs()?;
    let serde_json::Value::Object(members) = field.json()? else {
        return None;
    };
    let parameters = Parameters::new(members);
    is_within(field, &parameters, PARAMETERS_BYTES_MAX).then_some(parameters)
}

/// What a model takes or answers is JSON, so what JSON has no form for is a mistake here.
fn example(field: &Field<'_>) -> Option<Example> {
    if !field.refuse_datetimes() {
        return None;
    }
    let example = Example::new(field.json()?);
    is_within(field, &example, EXAMPLE_BYTES_MAX).then_some(example)
}

fn is_within(field: &Field<'_>, value: &impl serde::Serialize, bytes_max: usize) -> bool {
    let bytes = serde_json::to_string(value).map_or(0, |text| text.len());
    if bytes > bytes_max {
        field.wrong(format!(
            "has {bytes} bytes as JSON, {bytes_max} are allowed"
        ));
    }
    bytes <= bytes_max
}
