//! Subscriptions that are made, and what can be changed of one.

use lettre::Address;

use super::refuse_nothing;
use crate::{
    base::name::Name,
    spec::{
        EventName, Field, Mistakes, Node, Reader, Target, read,
        read::text::{name, one_line},
    },
};

/// A subscription's name, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// Deployments that one subscription names.
const DEPLOYMENTS_MAX: usize = 256;
/// People that one subscription tells by mail.
const ADDRESSES_MAX: usize = 16;
/// An address for mail: what a mail server has to take (RFC 5321, with its erratum).
const ADDRESS_BYTES_MAX: usize = 254;
/// An address of a receiver, in bytes.
const URL_BYTES_MAX: usize = 2 << 10;

/// `POST .../subscriptions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSubscription {
    /// Free text.
    pub name: String,
    /// Of what it tells; of everything when empty.
    pub events: Vec<EventName>,
    /// Of which deployments; of the whole project when empty.
    pub deployments: Vec<Name>,
    /// Where.
    pub target: Target,
    /// Whether it tells nothing for now.
    pub paused: bool,
}

/// `PATCH .../subscriptions/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubscriptionPatch {
    /// Free text.
    pub name: Option<String>,
    /// Of what it tells.
    pub events: Option<Vec<EventName>>,
    /// Of which deployments.
    pub deployments: Option<Vec<Name>>,
    /// Where.
    pub target: Option<Target>,
    /// Whether it tells nothing for now.
    pub paused: Option<bool>,
}

// === impl NewSubscription, SubscriptionPatch ===

impl NewSubscription {
    /// Reads the body.
    ///
    /// # Errors
    /// Every mistake in it at once.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Mistakes> {
        read(&Node::from_json(json), |reader| {
            let parts = parts(reader);
            if parts.target.is_none() {
                // A mistake inside of it stands there already.
                reader.required("target");
            }
            Some(Self {
                name: parts.name.unwrap_or_default(),
                events: parts.events.unwrap_or_default(),
                deployments: parts.deployments.unwrap_or_default(),
                target: parts.target?,
                paused: parts.paused.unwrap_or_default(),
            })
        })
    }
}

impl SubscriptionPatch {
    /// Reads the body.
    ///
    /// # Errors
    /// Every mistake in it at once; one that changes nothing is a mistake.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Mistakes> {
        read(&Node::from_json(json), |reader| {
            let parts = parts(reader);
            refuse_nothing(reader);
            Some(parts)
        })
    }
}

fn parts(reader: &mut Reader<'_>) -> SubscriptionPatch {
    let title = |field: Field<'_>| Some(one_line(&field, NAME_BYTES_MAX)?.to_owned());
    SubscriptionPatch {
        name: reader.field("name").and_then(title),
        events: reader.field("events").and_then(|field| events(&field)),
        deployments: reader
            .field("deployments")
            .and_then(|field| each(&field, DEPLOYMENTS_MAX, name)),
        target: reader.field("target").and_then(|field| target(&field)),
        paused: reader.field("paused").and_then(|field| field.flag()),
    }
}

fn events(field: &Field<'_>) -> Option<Vec<EventName>> {
    each(field, EventName::ALL.len(), |item| {
        item.parse(|text| {
            EventName::parse(text).map_err(|error| format!("{} {error}", item.quote(text)))
        })
    })
}

fn target(field: &Field<'_>) -> Option<Target> {
    field.table(|reader| {
        // An address may hold a secret, which no mistake is to repeat.
        reader.keep_private();
        let kinds = [("webhook", true), ("email", false)];
        let is_webhook = reader
            .required("kind")
            .and_then(|field| field.choice(&kinds));
        let (url, to) = (reader.field("url"), reader.field("to"));
        let (own, other) = match is_webhook? {
            true => ("url", to.as_ref()),
            false => ("to", url.as_ref()),
        };
        if let Some(other) = other {
            other.wrong("belongs to a target of the other kind");
        }
        match (is_webhook?, url, to) {
            (true, Some(url), _) => Some(Target::Webhook {
                url: url.text_within(1..=URL_BYTES_MAX)?.to_owned(),
            }),
            (false, _, Some(to)) => {
                let addresses = each(&to, ADDRESSES_MAX, address)?;
                if addresses.is_empty() {
                    to.wrong("must not be empty");
                    return None;
                }
                Some(Target::Email { to: addresses })
            }
            _ => {
                reader.wrong(own, "is missing");
                None
            }
        }
    })
}

fn address(field: &Field<'_>) -> Option<String> {
    let text = field.text_within(1..=ADDRESS_BYTES_MAX)?;
    // Mail servers that take more than ASCII are not to be counted on.
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    match text.parse::<Address>() {
        Ok(_) if plain => Some(text.to_owned()),
        _ => {
            field.wrong("is no e-mail address such as team@example.org");
            None
        }
    }
}

/// The items of a list, each once.
fn each<T: PartialEq>(
    field: &Field<'_>,
    count_max: usize,
    read: impl Fn(&Field<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let mut items = Vec::new();
    for item in field.list_within(count_max)? {
        let Some(value) = read(&item) else {
            continue;
        };
        if items.contains(&value) {
            item.wrong("stands in this list already");
        } else {
            items.push(value);
        }
    }
    Some(items)
}
