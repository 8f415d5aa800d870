//! Mail, through a relay. One connection for each message: they are few.

use std::{
    fs, io,
    path::PathBuf,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    address::Envelope,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};

use super::Message;
use crate::{
    base::{async_id::AsyncId, clock},
    hook::{Attempt, Verdict},
};

/// How the relay is reached.
#[derive(Clone)]
pub struct MailOptions {
    /// Its name or address; TLS checks its certificate against this.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How what is sent is kept from others' eyes.
    pub tls: MailTls,
    /// Who weir is there, and its password; none when the relay does not ask.
    pub credentials: Option<(String, String)>,
    /// Whom mail comes from: `weir <weir@example.org>`.
    pub from: String,
    /// For one message, in milliseconds.
    pub timeout_ms: u64,
    /// Certificates in PEM that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// How what is sent is kept from others' eyes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// Not at all.
    None,
    /// The connection turns to TLS before anything of a message is sent, or nothing is.
    Starttls,
    /// From the first byte on.
    Tls,
}

/// Why no mail can be sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The file of further authorities.
    #[error("smtp.ca_file {}: {error}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: io::Error,
    },
    /// Whom it comes from.
    #[error("smtp.from: {0}")]
    From(#[from] lettre::address::AddressError),
    /// TLS itself.
    #[error("smtp: {0}")]
    Library(#[from] lettre::transport::smtp::Error),
}

/// Sends mail.
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    timeout: Duration,
}

/// Why a message was not taken.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("no answer in time")]
    Timeout,
    #[error("{} is no address: {error}", .text)]
    Address {
        text: String,
        error: lettre::address::AddressError,
    },
    #[error("the message can't be put together: {0}")]
    Message(#[from] lettre::error::Error),
    #[error("{0}")]
    Smtp(#[from] lettre::transport::smtp::Error),
}

// === impl Mailer ===

impl Mailer {
    /// Reads the certificates that are trusted.
    ///
    /// # Errors
    /// [`MailError`].
    pub fn new(options: MailOptions) -> Result<Self, MailError> {
        let timeout = Duration::from_millis(options.timeout_ms);
        let tls = match options.tls {
            MailTls::None => Tls::None,
            MailTls::Starttls => Tls::Required(parameters(&options)?),
            MailTls::Tls => Tls::Wrapper(parameters(&options)?),
        };
        let mut builder =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(options.host.clone())
                .port(options.port)
                .tls(tls)
                .timeout(Some(timeout));
        if let Some((name, password)) = options.credentials {
            builder = builder.credentials(Credentials::new(name, password));
        }
        Ok(Self {
            transport: builder.build(),
            from: options.from.parse()?,
            timeout,
        })
    }

    /// One attempt to send a message to all of these, and what it means; `pause_ms` is the time to
    /// the next attempt, if there is to be one.
    ///
    /// # Cancellation
    /// The message may have been sent.
    pub(super) async fn tell(
        &self,
        to: &[String],
        id: AsyncId,
        message: &Message,
        base: &str,
        pause_ms: Option<u64>,
    ) -> (Attempt, Verdict) {
        let (at_ms, began) = (clock::unix_ms(), Instant::now());
        let sent = self.send(to, id, message, base).await;
        let again = pause_ms.map(|pause_ms| clock::unix_ms().saturating_add(pause_ms));
        let again = again.map_or(Verdict::Failed, Verdict::Again);
        let (status, verdict) = match &sent {
            Ok((status, _)) => (Some(*status), Verdict::Delivered),
            Err(SendError::Smtp(error)) => {
                let status = error.status().map(u16::from);
                let is_final = error.is_permanent() && !status.is_some_and(is_about_weir);
                (status, if is_final { Verdict::Failed } else { again })
            }
            Err(SendError::Timeout) => (None, again),
            // These come out the same each time.
            Err(SendError::Address { .. } | SendError::Message(_)) => (None, Verdict::Failed),
        };
        let error = match sent {
            Ok((_, refused)) => refused,
            Err(error) => Some(in_full(&error)),
        };
        let error = error.map(|words| Attempt::words(&words));
        let attempt = Attempt {
            at_ms,
            status,
            error,
            ms: began.elapsed().as_millis() as u64,
        };
        (attempt, verdict)
    }

    /// The status that the message was taken with, and who of several it was refused for.
    async fn send(
        &self,
        to: &[String],
        id: AsyncId,
        message: &Message,
        base: &str,
    ) -> Result<(u16, Option<String>), SendError> {
        let message = self.compose(to, id, message, base)?;
        let (all, bytes) = (message.envelope(), message.formatted());
        let refused = match self.pass(all, &bytes).await {
            Err(SendError::Smtp(error)) if all.to().len() > 1 && is_about_somebody(&error) => error,
            sent => return Ok((sent?, None)),
        };
        // For one that is refused nobody got it: somebody has left, and the others are to be told.
        let (mut taken, mut refused) = (None, (None, SendError::Smtp(refused)));
        for one in all.to() {
            let envelope = Envelope::new(all.from().cloned(), vec![one.clone()])?;
            match self.pass(&envelope, &bytes).await {
                Ok(status) => taken = Some(status),
                Err(error) => refused = (Some(one), error),
            }
        }
        match (taken, refused) {
            (Some(status), (one, error)) => {
                let words = one.map(|one| format!("not to {one}: {}", in_full(&error)));
                Ok((status, words))
            }
            (None, (_, error)) => Err(error),
        }
    }

    async fn pass(&self, envelope: &Envelope, bytes: &[u8]) -> Result<u16, SendError> {
        // The transport's own limit is for each word of the exchange.
        let sent = self.transport.send_raw(envelope, bytes);
        let sent = tokio::time::timeout(self.timeout, sent).await;
        let answer = sent.map_err(|_| SendError::Timeout)??;
        Ok(answer.code().into())
    }

    fn compose(
        &self,
        to: &[String],
        id: AsyncId,
        message: &Message,
        base: &str,
    ) -> Result<lettre::Message, SendError> {
        // It is the same in each attempt, so that whoever gets a repetition can tell.
        let message_id = format!("<{id}@{}>", self.from.email.domain());
        let mut builder = lettre::Message::builder()
            .message_id(Some(message_id))
            .date(moment(message.at_ms))
            .from(self.from.clone())
            .subject(message.subject());
        for text in to {
            let address: Address = text.parse().map_err(|error| SendError::Address {
                text: text.clone(),
                error,
            })?;
            builder = builder.to(Mailbox::new(None, address));
        }
        let builder = builder.header(ContentType::TEXT_PLAIN);
        Ok(builder.body(message.text(base))?)
    }
}

/// Whether a relay refuses weir itself, and not the message: it wants another password, or none of
/// weir's mail before it is told who it is. People mend that, and then the message goes.
fn is_about_weir(status: u16) -> bool {
    matches!(status, 530 | 534 | 535 | 538)
}

/// Whether a relay has no such mailbox, or takes nothing for it.
fn is_about_somebody(error: &lettre::transport::smtp::Error) -> bool {
    let status = error.status().map(u16::from);
    error.is_permanent() && matches!(status, Some(550 | 551 | 553))
}

fn parameters(options: &MailOptions) -> Result<TlsParameters, MailError> {
    let mut builder = TlsParameters::builder(options.host.clone());
    if let Some(path) = &options.ca_file {
        let failed = |error: io::Error| MailError::CaFile {
            path: path.clone(),
            error,
        };
        let pem = fs::read(path).map_err(failed)?;
        let certificate = Certificate::from_pem(&pem);
        let certificate = certificate.map_err(|error| failed(io::Error::other(error)))?;
        builder = builder.add_root_certificate(certificate);
    }
    Ok(builder.build_rustls()?)
}

fn moment(unix_ms: u64) -> SystemTime {
    // A header's time has seconds.
    let at = UNIX_EPOCH.checked_add(Duration::from_secs(unix_ms / 1_000));
    at.unwrap_or(UNIX_EPOCH)
}

/// An error's words with those of what is under it: the library's own are short.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut under = error.source();
    while let Some(error) = under {
        let more = error.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        under = error.source();
    }
    words.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{async_id::Position, name::Name},
        spec::EventName,
    };

    fn mailer() -> Mailer {
        Mailer::new(MailOptions {
            host: "127.0.0.1".to_owned(),
            port: 1,
            tls: MailTls::None,
            credentials: None,
            from: "weir <weir@example.org>".to_owned(),
            timeout_ms: 1_000,
            ca_file: None,
        })
        .expect("a mailer")
    }

    fn written(message: &Message) -> String {
        let to = ["a@example.org".to_owned(), "b@example.org".to_owned()];
        let id = AsyncId::of(Position::at(1_700_000_000_000), [7; 16]);
        let composed = mailer()
            .compose(&to, id, message, "http://h:1")
            .expect("good");
        String::from_utf8(composed.formatted()).expect("text")
    }

    fn message() -> Message {
        let project = Name::parse("demo").expect("a name");
        let mut message = Message::new(EventName::VersionReady, &project, "ann", 1_700_000_000_123);
        message.deployment = Some(Name::parse("iris").expect("a name"));
        message.version = Some(crate::base::id::VersionNumber(3));
        message.version_name = Some("iris_v3".to_owned());
        message
    }

    #[test]
    fn a_mail_says_what_happened_and_is_the_same_each_time() {
        let mail = written(&message());
        assert_eq!(mail, written(&message()));
        let (head, text) = mail.split_once("\r\n\r\n").expect("a head");
        let id = AsyncId::of(Position::at(1_700_000_000_000), [7; 16]);
        for line in [
            format!("Message-ID: <{id}@example.org>"),
            "Subject: [weir] demo/iris: iris_v3 is live".to_owned(),
            "To: a@example.org, b@example.org".to_owned(),
            "Date: Tue, 14 Nov 2023 22:13:20 +0000".to_owned(),
        ] {
            assert!(head.lines().any(|own| own == line), "{line}: {head}");
        }
        assert!(head.contains("weir@example.org"), "{head}");
        assert!(head.contains("text/plain"), "{head}");
        for line in ["Version: 3", "By: ann", "Deployment: iris"] {
            assert!(text.lines().any(|own| own == line), "{line}: {text}");
        }
        assert!(text.contains("More: http://h:1/api/v1/projects/demo/deployments/iris"));
    }

    #[test]
    fn nothing_that_people_wrote_becomes_a_header() {
        let mut hostile = message();
        hostile.version_name = Some("x\r\nBcc: eve@example.org\r\n\r\nbody\n.\r\nMAIL".to_owned());
        hostile.by = "y\r\nBcc: eve@example.org".to_owned();
        hostile.reason = Some("z\n\n.\nQUIT\u{85}\u{1b}[31m".to_owned());
        let mail = written(&hostile);
        let (head, text) = mail.split_once("\r\n\r\n").expect("a head");
        let names: Vec<_> = head
            .lines()
            .filter(|line| !line.starts_with([' ', '\t']))
            .filter_map(|line| Some(line.split_once(':')?.0.to_lowercase()))
            .collect();
        assert!(!names.iter().any(|name| name == "bcc"), "{head}");
        for name in ["from", "to", "subject", "message-id"] {
            let count = names.iter().filter(|own| *own == name).count();
            assert_eq!(count, 1, "{name}: {head}");
        }
        assert!(
            !text
                .lines()
                .any(|line| line == "." || line.starts_with("Bcc"))
        );
        assert_eq!(hostile.subject().lines().count(), 1);
    }
}
