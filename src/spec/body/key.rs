//! API keys that are made or imported, and what can be changed of one.

use std::fmt;

use super::{description_of_patch, limits_of_patch, refuse_nothing};
use crate::{
    base::{
        id::KeyId,
        secret::{KeyDigest, KeyFormError},
    },
    spec::{
        LimitsSpec, Mistakes, Node, Priority, Reader, read,
        read::{
            key::{BOTH, digest, given_id, own_id},
            limits::{PRIORITIES, limits},
            text::{DESCRIPTION_BYTES_MAX, future_ms},
        },
    },
};

/// `POST .../keys`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NewKey {
    /// Free text.
    pub description: String,
    /// Milliseconds since 1970 from which on it opens nothing; later than now.
    pub expires_at_ms: Option<u64>,
    /// Whether its requests may pin a version with `X-Deployment-Version`.
    pub may_pin: bool,
    /// How much it may ask for.
    pub limits: LimitsSpec,
    /// Whether its requests go before others'.
    pub priority: Priority,
    /// The public id that it is to have; else the one inside of it, or one made from its digest.
    pub id: Option<KeyId>,
    /// The operator's own key, to be imported; weir draws one when there is none.
    pub own: Option<OwnKey>,
}

/// A key that its operator brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnKey {
    /// Itself.
    Secret(KeySecret),
    /// By what stands for it: its owner alone has it.
    Digest(KeyDigest),
}

/// `PATCH .../keys/{id}`: what is left out stays as it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KeyPatch {
    /// Free text.
    pub description: Option<String>,
    /// How much it may ask for, in place of all that was declared.
    pub limits: Option<LimitsSpec>,
    /// Whether its requests go before others'.
    pub priority: Option<Priority>,
}

/// A whole key, as its owner presents it. Never shown.
#[derive(Clone)]
pub struct KeySecret {
    text: Box<str>,
    digest: KeyDigest,
}

// === impl NewKey ===

impl NewKey {
    /// Reads the body. No mistake repeats anything of it, since a key may have slipped into any of
    /// its values.
    ///
    /// # Errors
    /// Every mistake in it at once.
    pub fn from_json(json: &serde_json::Value, now_ms: u64) -> Result<Self, Mistakes> {
        read(&Node::from_json(json), |reader| {
            reader.keep_private();
            Some(Self {
                description: reader.text("description", DESCRIPTION_BYTES_MAX, ""),
                expires_at_ms: reader
                    .field("expires_at")
                    .and_then(|field| future_ms(&field, now_ms)),
                may_pin: reader.flag("may_pin", false),
                limits: limits(reader),
                priority: reader.choice("priority", &PRIORITIES),
                // A mistake when it is none, so that nothing is made under another one.
                id: given_id(reader).flatten(),
                own: own(reader),
            })
        })
    }
}

fn own(reader: &mut Reader<'_>) -> Option<OwnKey> {
    let (secret, by_digest) = (reader.field("secret"), reader.field("digest"));
    match (secret, by_digest) {
        (None, None) => None,
        (Some(secret), None) => secret.parse(KeySecret::parse).map(OwnKey::Secret),
        (None, Some(by_digest)) => digest(&by_digest).map(OwnKey::Digest),
        (Some(_), Some(_)) => {
            reader.wrong("digest", BOTH);
            None
        }
    }
}

// === impl OwnKey ===

impl OwnKey {
    /// What stands for it.
    pub fn digest(&self) -> KeyDigest {
        match self {
            Self::Secret(secret) => secret.digest(),
            Self::Digest(digest) => *digest,
        }
    }

    /// Its public id, when it is given none.
    pub fn to_key_id(&self) -> KeyId {
        match self {
            Self::Secret(secret) => secret.to_key_id(),
            Self::Digest(digest) => digest.to_key_id(),
        }
    }
}

// === impl KeyPatch ===

impl KeyPatch {
    /// Reads the body. No mistake repeats anything of it: a key may have slipped into it.
    ///
    /// # Errors
    /// Every mistake in it at once; one that changes nothing is a mistake.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Mistakes> {
        read(&Node::from_json(json), |reader| {
            reader.keep_private();
            let patch = Self {
                description: description_of_patch(reader),
                limits: limits_of_patch(reader),
                priority: reader
                    .field("priority")
                    .and_then(|field| field.choice(&PRIORITIES)),
            };
            if patch.limits.is_none() {
                refuse_nothing(reader);
            }
            Some(patch)
        })
    }
}

// === impl KeySecret ===

impl KeySecret {
    /// Checks that a text can be a key.
    ///
    /// # Errors
    /// [`KeyFormError::Secret`] when it can't.
    pub fn parse(text: &str) -> Result<Self, KeyFormError> {
        let digest = KeyDigest::of_key(text.as_bytes())?;
        let text = text.into();
        Ok(Self { text, digest })
    }

    /// The key itself, for the few places that seal it or hand it to its owner.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What stands for it everywhere else.
    pub fn digest(&self) -> KeyDigest {
        self.digest
    }

    /// Its public id: the one inside of it, if it is of weir's own form; else one made from its
    /// digest.
    pub fn to_key_id(&self) -> KeyId {
        own_id(&self.text, self.digest)
    }
}

impl PartialEq for KeySecret {
    fn eq(&self, other: &Self) -> bool {
        // Of the digests, so that the time it takes tells nothing about the text.
        self.digest == other.digest
    }
}

impl Eq for KeySecret {}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret(***)")
    }
}
