//! `[notify]` and `[smtp]`: telling subscribers what happens in their projects.

use std::{fmt, path::PathBuf};

use lettre::message::Mailbox;
use serde::{Serialize, Serializer};

use super::sections::{file, integer, ms};
use crate::spec::{Field, Reader};

/// `[notify]`: subscriptions and their deliveries.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NotifySettings {
    /// Subscriptions of one project.
    pub subscriptions_per_project_max: usize,
    /// Deliveries of one subscription that are kept after their end; the oldest go first.
    pub deliveries_kept: usize,
}

/// `[smtp]`: the relay that mail goes through.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SmtpSettings {
    /// Its name or address; empty: there is no mail.
    pub host: String,
    /// Its port; 0: by `tls`.
    pub port: u16,
    /// How what is sent is kept from others' eyes.
    pub tls: SmtpTls,
    /// Who weir is there; empty: it does not ask.
    pub username: String,
    /// The password of that name.
    pub password: Password,
    /// Whom mail comes from.
    pub from: String,
    /// For one message.
    pub timeout_ms: u64,
    /// Certificates in PEM that are trusted beside the system's; empty: none.
    pub ca_file: PathBuf,
}

/// How mail is kept from others' eyes on its way to the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpTls {
    /// Not at all.
    None,
    /// The connection turns to TLS before anything is sent, or nothing is.
    #[default]
    Starttls,
    /// From the first byte on.
    Tls,
}

/// A password that others have given. Never shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Password(String);

/// A host, in bytes.
const HOST_BYTES_MAX: usize = 253;
/// A name, a password or whom mail comes from, in bytes.
const TEXT_BYTES_MAX: usize = 1_024;

impl Default for NotifySettings {
    fn default() -> Self {
        Self {
            subscriptions_per_project_max: 50,
            deliveries_kept: 200,
        }
    }
}

impl Default for SmtpSettings {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 0,
            tls: SmtpTls::default(),
            username: String::new(),
            password: Password::default(),
            from: String::new(),
            timeout_ms: 30_000,
            ca_file: PathBuf::new(),
        }
    }
}

pub(super) fn notify(reader: &mut Reader<'_>, notify: &mut NotifySettings) {
    let subscriptions = &mut notify.subscriptions_per_project_max;
    integer(
        reader,
        "subscriptions_per_project_max",
        0..=10_000,
        subscriptions,
    );
    let kept = &mut notify.deliveries_kept;
    integer(reader, "deliveries_kept", 0..=100_000, kept);
}

pub(super) fn smtp(reader: &mut Reader<'_>, smtp: &mut SmtpSettings) {
    let host = reader.field("host").filter(|field| !field.is_empty_text());
    if let Some(host) = host.and_then(|field| field.parse(host_of)) {
        smtp.host = host;
    }
    integer(reader, "port", 0..=65_535, &mut smtp.port);
    let kinds = [
        ("none", SmtpTls::None),
        ("starttls", SmtpTls::Starttls),
        ("tls", SmtpTls::Tls),
    ];
    smtp.tls = reader.choice("tls", &kinds);
    smtp.username = reader.text("username", TEXT_BYTES_MAX, "");
    let password = reader.field("password").map(Field::private);
    if let Some(text) = password.and_then(|field| field.text_within(0..=TEXT_BYTES_MAX)) {
        smtp.password = Password(text.to_owned());
    }
    let from = reader.field("from").filter(|field| !field.is_empty_text());
    let is_given = from.is_some();
    if let Some(from) = from.and_then(|field| field.parse(sender)) {
        smtp.from = from;
    }
    ms(reader, "timeout_ms", &mut smtp.timeout_ms);
    file(reader, "ca_file", &mut smtp.ca_file);
    if !smtp.host.is_empty() && !is_given {
        reader.wrong("from", "is missing; mail comes from somebody");
    }
    if smtp.username.is_empty() && !smtp.password.is_empty() {
        reader.wrong("username", "is missing; a password is somebody's");
    }
}

fn host_of(text: &str) -> Result<String, &'static str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'_');
    match text.len() <= HOST_BYTES_MAX && text.bytes().all(plain) {
        true => Ok(text.to_owned()),
        false => Err("is a name or an address such as smtp.example.org, without a port"),
    }
}

fn sender(text: &str) -> Result<String, &'static str> {
    let is_short = text.len() <= TEXT_BYTES_MAX && !text.contains(char::is_control);
    match text.parse::<Mailbox>() {
        Ok(_) if is_short => Ok(text.to_owned()),
        _ => Err("is an address such as weir@example.org or weir <weir@example.org>"),
    }
}

// === impl SmtpSettings ===

impl SmtpSettings {
    /// Its port, also where none is set.
    pub fn port(&self) -> u16 {
        match (self.port, self.tls) {
            (0, SmtpTls::None) => 25,
            (0, SmtpTls::Starttls) => 587,
            (0, SmtpTls::Tls) => 465,
            (port, _) => port,
        }
    }
}

// === impl Password ===

impl Password {
    /// The text, for the one place that presents it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// As a setting: empty when there is none, stars when there is one.
impl Serialize for Password {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if self.is_empty() { "" } else { "***" }.serialize(out)
    }
}
