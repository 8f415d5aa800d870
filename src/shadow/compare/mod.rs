//! Whether two answers say the same: pure functions, one for each kind of answer.
//!
//! ```text
//! Answer, Answer ──statuses──▶ bodies ──unpack──▶ by kind ┬▶ exact
//!                    │                                    ├▶ joined ──▶ text (edits)
//!                    │                                    └▶ node ──▶ json (normal, bag) │ label │ number │ tensor
//!                    └ nothing to compare: why                └──▶ Compared: agree, or by how much not
//! ```
//!
//! Main is right by definition. What can't be read of its answer is not compared; the same in the
//! challenger's is a disagreement. Nothing here trusts a body: what is unpacked, how many values are
//! read, how often items are tried against each other and how long texts may be is bounded, and each
//! bound has a name. Bodies that are the same byte by byte are read once, to see that they can be read
//! at all: a comparator that agrees on what it can't read would count only its agreements.

mod bag;
mod clip;
mod content;
mod edits;
mod exact;
mod figure;
mod joined;
mod json;
mod label;
mod lockstep;
mod node;
mod normal;
mod number;
mod redact;
mod tensor;
mod text;
mod unpack;

#[cfg(any(test, fuzzing))]
mod property;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

#[cfg(any(test, fuzzing))]
pub use property::any_pair_holds;
pub use redact::{Redacted, redact};

use self::{content::Content, node::Node};
use crate::spec::{CompareKind, CompareSpec};

/// One side of a comparison.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answer<'a> {
    /// The status; none: there was no answer.
    pub status: Option<u16>,
    /// Whether it came to its end.
    pub is_complete: bool,
    /// Whether it is a stream.
    pub is_stream: bool,
    /// What the body is, as the header says.
    pub content_type: Option<&'a str>,
    /// How the body is packed, as the header says.
    pub content_encoding: Option<&'a str>,
    /// The body as far as it was kept.
    pub body: &'a [u8],
    /// Whether more of it came than was kept.
    pub is_cut: bool,
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq)]
pub enum Compared {
    /// Both were looked at.
    Looked(Found),
    /// There was nothing to compare, and why.
    Not(Uncompared),
}

/// What was found where both were looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// By which comparator; `Auto` when the statuses alone decided.
    pub kind: CompareKind,
    /// Whether they agree.
    pub agrees: bool,
    /// How bad it is, so that the worst can be shown first: 0 when nothing differs, finite.
    pub distance: f64,
    /// What the comparator has to say.
    pub detail: Detail,
}

/// What a comparator has to say of two answers. It repeats no values but labels and numbers at the
/// declared pointer.
#[derive(Debug, Clone, PartialEq)]
pub enum Detail {
    /// The statuses decided.
    Status,
    /// The challenger's answer could not be read as what main's is.
    Unreadable,
    /// Byte by byte: where they differ first.
    Exact {
        /// The first byte that differs; none when none does.
        first: Option<u64>,
    },
    /// JSON.
    Json {
        /// Differences found; counting ends at [`DIFFERENCES_MAX`].
        differences: u32,
        /// Where the first of them are.
        places: Vec<String>,
        /// The largest difference of two numbers, tolerated or not.
        max_abs: f64,
        /// The same as a share of the larger one's size.
        max_rel: f64,
    },
    /// A label.
    Label {
        /// Main's.
        main: String,
        /// The challenger's.
        challenger: String,
    },
    /// A number.
    Number {
        /// Main's.
        main: f64,
        /// The challenger's.
        challenger: f64,
    },
    /// Tensors.
    Tensor {
        /// The largest difference of two elements.
        max_abs: f64,
        /// The mean difference of all elements.
        mean_abs: f64,
        /// Elements compared.
        elements: u64,
        /// What has another name, shape or type, in words.
        mismatch: Option<String>,
    },
    /// Text.
    Text {
        /// 0.0 for nothing in common to 1.0 for the same.
        similarity: f64,
        /// Characters of main's.
        main_chars: u64,
        /// Characters of the challenger's.
        challenger_chars: u64,
    },
}

/// Differences that are counted in two JSON texts; beyond, they are simply different.
pub const DIFFERENCES_MAX: u32 = 1_000;

/// Why there was nothing to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uncompared {
    /// Main failed, so nobody knows what is right.
    MainFailed,
    /// Main's answer did not come to its end: its client left.
    MainIncomplete,
    /// An answer is larger than is kept for the comparison.
    TooLarge,
    /// An answer is packed in a way that weir does not unpack.
    Encoded,
    /// Main's answer is not what the comparator reads, or has nothing at the pointer.
    Unreadable,
}

/// How bad it is when one has no answer, or none that can be read: no other difference is worse.
pub const DISTANCE_WORST: f64 = 1e6;

/// Compares two answers.
pub fn compare(spec: &CompareSpec, main: &Answer<'_>, challenger: &Answer<'_>) -> Compared {
    by_status(main, challenger).unwrap_or_else(|| match look(spec, main, challenger) {
        Ok(found) => Compared::Looked(found),
        Err(compared) => compared,
    })
}

/// What needs no look at the bodies.
fn by_status(main: &Answer<'_>, challenger: &Answer<'_>) -> Option<Compared> {
    let decided = |agrees| {
        Compared::Looked(Found {
            kind: CompareKind::Auto,
            agrees,
            distance: if agrees { 0.0 } else { DISTANCE_WORST },
            detail: Detail::Status,
        })
    };
    match (main.status, challenger.status) {
        (None | Some(500..), _) => Some(Compared::Not(Uncompared::MainFailed)),
        _ if !main.is_complete => Some(Compared::Not(Uncompared::MainIncomplete)),
        (main, challenger_status) if main != challenger_status || !challenger.is_complete => {
            Some(decided(false))
        }
        (Some(400..), _) => Some(decided(true)),
        _ => None,
    }
}

/// Looks at the bodies. An early end is as good an answer as any.
fn look(spec: &CompareSpec, main: &Answer<'_>, challenger: &Answer<'_>) -> Result<Found, Compared> {
    let content = Content::new(main.content_type);
    let kind = match (spec.kind, content) {
        (CompareKind::Auto, Content::Json) => CompareKind::Json,
        (CompareKind::Auto, Content::Events | Content::Lines | Content::Text) => CompareKind::Text,
        (CompareKind::Auto, Content::Bytes) => CompareKind::Exact,
        (kind, _) => kind,
    };
    if main.is_cut || challenger.is_cut {
        return look_at_cut(kind, main, challenger).map_err(Compared::Not);
    }
    let body = unpack::unpack(main.body, main.content_encoding).map_err(Compared::Not)?;
    let other = if main.body == challenger.body
        && main.content_encoding == challenger.content_encoding
    {
        Cow::Borrowed(&*body)
    } else {
        unpack::unpack(challenger.body, challenger.content_encoding).map_err(in_challenger(kind))?
    };
    match kind {
        CompareKind::Exact => Ok(exact::compare(&body, &other)),
        CompareKind::Text => {
            let read = |body, answer: &Answer<'_>, content| {
                let pointer = spec.pointer.as_ref();
                let text = joined::text_of(body, content, answer.content_type, pointer)?;
                text::normal(&text)
            };
            let text = read(&body, main, content).map_err(Compared::Not)?;
            // One that does not say what it is, is what main's is.
            let other_content = match Content::new(challenger.content_type) {
                Content::Unknown => content,
                known => known,
            };
            let other = read(&other, challenger, other_content).map_err(in_challenger(kind))?;
            Ok(text::compare(spec, &text, &other))
        }
        CompareKind::Auto
        | CompareKind::Json
        | CompareKind::Label
        | CompareKind::Number
        | CompareKind::Tensor => look_at_json(spec, kind, &body, &other),
    }
}

/// Something was not kept: only byte by byte that can still tell a difference.
fn look_at_cut(
    kind: CompareKind,
    main: &Answer<'_>,
    challenger: &Answer<'_>,
) -> Result<Found, Uncompared> {
    let is_plain = [main, challenger]
        .iter()
        .all(|answer| unpack::is_plain(answer.content_encoding));
    if kind != CompareKind::Exact || !is_plain {
        return Err(Uncompared::TooLarge);
    }
    exact::compare_cut(
        (main.body, main.is_cut),
        (challenger.body, challenger.is_cut),
    )
}

/// By the comparators that read JSON. `Auto` is a body that does not say what it is: JSON, if it can
/// be read as that.
fn look_at_json(
    spec: &CompareSpec,
    kind: CompareKind,
    body: &[u8],
    other: &[u8],
) -> Result<Found, Compared> {
    // Tensors are known by their look, and told of in their own way.
    let or_tensors = spec.kind == CompareKind::Auto && !has_places(spec);
    if matches!(kind, CompareKind::Auto | CompareKind::Json)
        && let Some(found) = lockstep::agree(spec, body, other, or_tensors)
    {
        return Ok(found);
    }
    let mut tree = match node::read(body) {
        Err(Uncompared::Unreadable) if kind == CompareKind::Auto => {
            return Ok(exact::compare(body, other));
        }
        tree => tree.map_err(Compared::Not)?,
    };
    // None: it is the same as main's.
    let other_tree = |kind| match body == other {
        true => Ok(None),
        false => node::read(other).map(Some).map_err(in_challenger(kind)),
    };
    let unread = |kind| move || in_challenger(kind)(Uncompared::Unreadable);
    const MAIN: Compared = Compared::Not(Uncompared::Unreadable);
    match kind {
        CompareKind::Label => {
            let label = label::read(at_pointer(spec, &tree)).ok_or(MAIN)?;
            let other = other_tree(kind)?;
            let at = at_pointer(spec, other.as_ref().unwrap_or(&tree));
            let other_label = label::read(at).ok_or_else(unread(kind))?;
            return Ok(label::compare(label, other_label));
        }
        CompareKind::Number => {
            let number = number::read(at_pointer(spec, &tree)).ok_or(MAIN)?;
            let other = other_tree(kind)?;
            let at = at_pointer(spec, other.as_ref().unwrap_or(&tree));
            let other_number = number::read(at).ok_or_else(unread(kind))?;
            return Ok(number::compare(spec, number, other_number));
        }
        _ => {}
    }
    // By default tensors are known by their look; places that are declared are for JSON.
    if kind == CompareKind::Tensor || (spec.kind == CompareKind::Auto && !has_places(spec)) {
        if let Some(outputs) = tensor::read(&tree) {
            let other = other_tree(CompareKind::Tensor)?;
            let other_outputs = tensor::read(other.as_ref().unwrap_or(&tree));
            let other_outputs = other_outputs.ok_or_else(unread(CompareKind::Tensor))?;
            return Ok(tensor::compare(spec, &outputs, &other_outputs));
        }
        if kind == CompareKind::Tensor {
            return Err(MAIN);
        }
    }
    match other_tree(CompareKind::Json)? {
        None => Ok(json::agreed(0.0, 0.0)),
        Some(mut other) => Ok(json::compare(spec, &mut tree, &mut other)),
    }
}

/// Whether places of JSON are declared.
fn has_places(spec: &CompareSpec) -> bool {
    !spec.ignore.is_empty() || !spec.unordered.is_empty()
}

/// The value that is declared to be looked at; without a pointer, all of it.
fn at_pointer<'n, 'a>(spec: &CompareSpec, tree: &'n Node<'a>) -> Option<&'n Node<'a>> {
    match &spec.pointer {
        Some(pointer) => tree.at(pointer),
        None => Some(tree),
    }
}

/// What it means that the challenger's answer can't be read.
fn in_challenger(kind: CompareKind) -> impl Fn(Uncompared) -> Compared {
    move |why| match why {
        Uncompared::Unreadable => Compared::Looked(Found {
            kind,
            agrees: false,
            distance: DISTANCE_WORST,
            detail: Detail::Unreadable,
        }),
        why => Compared::Not(why),
    }
}

/// A distance that is finite, and in the order of `distance`: up to 100,000 as it is, beyond by its
/// logarithm, so that [`DISTANCE_WORST`] stays the worst.
fn bounded(distance: f64) -> f64 {
    const PLAIN_MAX: f64 = 1e5;
    if distance <= PLAIN_MAX {
        distance
    } else {
        // 303 decades at the most.
        PLAIN_MAX + 1_000.0 * (distance.min(f64::MAX) / PLAIN_MAX).log10()
    }
}

// === impl Uncompared ===

impl Uncompared {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::MainFailed,
        Self::MainIncomplete,
        Self::TooLarge,
        Self::Encoded,
        Self::Unreadable,
    ];

    /// The word in labels and in what is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MainFailed => "main_failed",
            Self::MainIncomplete => "main_incomplete",
            Self::TooLarge => "too_large",
            Self::Encoded => "encoded",
            Self::Unreadable => "unreadable",
        }
    }
}
