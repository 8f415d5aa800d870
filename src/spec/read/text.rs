//! Texts that people write in many places: names, lines, descriptions, tags, instants.

use crate::{
    base::name::Name,
    spec::{Access, field::Field, reader::Reader},
};

/// Words for one line: display name, model, image, hardware, optimization, architecture. In bytes.
pub(in crate::spec) const LINE_BYTES_MAX: usize = 512;
/// A description of anything, in bytes.
pub(in crate::spec) const DESCRIPTION_BYTES_MAX: usize = 4 << 10;
/// Tags of a deployment.
const TAGS_MAX: usize = 64;
/// A tag, in characters.
const TAG_CHARS_MAX: usize = 64;
/// A date and time, in bytes: the longest useful form with nanoseconds has 35.
const DATETIME_BYTES_MAX: usize = 40;

/// Retired versions that a deployment may keep warm: each holds its pools and its probes.
pub(in crate::spec) const KEEP_PREVIOUS_MAX: u64 = 16;

/// The words for each access.
pub(in crate::spec) const ACCESSES: [(&str, Access); 4] = [
    ("keys", Access::Keys),
    ("project", Access::Project),
    ("instance", Access::Instance),
    ("public", Access::Public),
];

pub(in crate::spec) fn name(field: &Field<'_>) -> Option<Name> {
    field.parse(Name::parse)
}

/// A text without line breaks and other control characters, since it is shown in one line.
pub(in crate::spec) fn line(reader: &mut Reader<'_>, key: &'static str) -> String {
    let field = reader.field(key);
    let text = field.and_then(|field| one_line(&field, LINE_BYTES_MAX));
    text.unwrap_or_default().to_owned()
}

pub(in crate::spec) fn one_line<'n>(field: &Field<'n>, bytes_max: usize) -> Option<&'n str> {
    let text = field.text_within(0..=bytes_max)?;
    if text.contains(char::is_control) {
        field.wrong("must not have line breaks or other control characters");
        return None;
    }
    Some(text)
}

pub(in crate::spec) fn tags(field: &Field<'_>) -> Option<Vec<String>> {
    let mut tags = Vec::new();
    for item in field.list_within(TAGS_MAX)? {
        let Some(tag) = one_line(&item, TAG_CHARS_MAX * 4) else {
            continue;
        };
        if tag.is_empty() || tag.chars().count() > TAG_CHARS_MAX {
            item.wrong(format!("a tag has 1 to {TAG_CHARS_MAX} characters"));
        } else if tags.iter().any(|earlier| earlier == tag) {
            item.wrong(format!("{tag:?} stands in this list already"));
        } else {
            tags.push(tag.to_owned());
        }
    }
    Some(tags)
}

/// A date and time with its offset, in milliseconds since 1970.
pub(in crate::spec) fn instant_ms(field: &Field<'_>) -> Option<u64> {
    let text = field.datetime()?;
    // jiff also reads forms of its own, which all need a bracket or a longer text.
    let plain = text.len() <= DATETIME_BYTES_MAX && !text.contains('[');
    let instant: Option<jiff::Timestamp> = text.parse().ok().filter(|_| plain);
    let ms = instant.map(|instant| u64::try_from(instant.as_millisecond()));
    match ms {
        Some(Ok(ms)) => Some(ms),
        Some(Err(_)) => {
            field.wrong("lies before 1970");
            None
        }
        None => {
            field.wrong("must be a date and time with its offset, such as 2030-01-31T12:00:00Z");
            None
        }
    }
}

/// A date and time that is still to come.
pub(in crate::spec) fn future_ms(field: &Field<'_>, now_ms: u64) -> Option<u64> {
    let ms = instant_ms(field)?;
    if ms <= now_ms {
        field.wrong("lies in the past");
        return None;
    }
    Some(ms)
}
