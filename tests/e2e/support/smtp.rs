//! A mail relay that does as it is told, in the clear or after STARTTLS, and remembers what it took.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::rustls::{
    ServerConfig, ServerConnection, StreamOwned, crypto::ring, pki_types::PrivatePkcs8KeyDer,
};

use super::PATIENCE;

/// A relay on a port of its own.
pub(crate) struct Relay {
    port: u16,
    mails: Arc<Mutex<Vec<Mail>>>,
}

/// A message as it came, whatever was answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    /// Head and body.
    pub(crate) text: String,
    /// Whether it came over TLS.
    pub(crate) is_secret: bool,
    /// What was presented as name and password.
    pub(crate) login: Option<String>,
}

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

// === impl Relay ===

impl Relay {
    /// Answers messages with these lines in turn, the last one from then on.
    pub(crate) fn start(answers: &[&str]) -> Self {
        Self::over(answers, None)
    }

    /// The same, which takes nothing before STARTTLS; beside it the authority to trust, in PEM.
    pub(crate) fn secret(answers: &[&str]) -> (Self, String) {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let leaf = params.signed_by(&key, &issuer).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key.into())
            .unwrap();
        let text = STANDARD.encode(issuer.der());
        let lines: Vec<_> = text
            .as_bytes()
            .chunks(64)
            .map(String::from_utf8_lossy)
            .collect();
        let pem = format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            lines.join("\n")
        );
        (Self::over(answers, Some(Arc::new(config))), pem)
    }

    fn over(answers: &[&str], tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mails = Arc::new(Mutex::new(Vec::new()));
        let answers: Vec<_> = answers.iter().map(|&answer| answer.to_owned()).collect();
        let taken = Arc::clone(&mails);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, taken, tls) = (answers.clone(), Arc::clone(&taken), tls.clone());
                // One that breaks off has sent nothing.
                thread::spawn(move || drop(talk(stream, &answers, &taken, tls.as_ref())));
            }
        });
        Self { port, mails }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What has come so far.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap().clone()
    }
}

fn talk(
    stream: TcpStream,
    answers: &[String],
    taken: &Mutex<Vec<Mail>>,
    tls: Option<&Arc<ServerConfig>>,
) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut tcp = Some(stream);
    let mut secret: Option<Box<dyn Stream>> = None;
    let mut mail = Mail::default();
    let say = |tcp: &mut Option<TcpStream>, secret: &mut Option<Box<dyn Stream>>, text: &str| {
        let bytes = format!("{text}\r\n");
        match (secret, tcp) {
            (Some(stream), _) => stream
                .write_all(bytes.as_bytes())
                .and_then(|()| stream.flush()),
            (None, Some(stream)) => stream.write_all(bytes.as_bytes()),
            (None, None) => Ok(()),
        }
    };
    let hear =
        |tcp: &mut Option<TcpStream>, secret: &mut Option<Box<dyn Stream>>| match (secret, tcp) {
            (Some(stream), _) => line(stream),
            (None, Some(stream)) => line(stream),
            (None, None) => Ok(String::new()),
        };
    say(&mut tcp, &mut secret, "220 relay")?;
    loop {
        let line = hear(&mut tcp, &mut secret)?;
        let (word, rest) = line.split_once(' ').unwrap_or((line.as_str(), ""));
        let needs_tls = tls.is_some() && secret.is_none();
        let reply = match word.to_ascii_uppercase().as_str() {
            "EHLO" if needs_tls => "250-relay\r\n250 STARTTLS".to_owned(),
            "EHLO" if tls.is_some() => "250-relay\r\n250 AUTH PLAIN".to_owned(),
            "EHLO" => "250 relay".to_owned(),
            "STARTTLS" => {
                say(&mut tcp, &mut secret, "220 go on")?;
                let config = Arc::clone(tls.expect("it was offered"));
                let connection = ServerConnection::new(config).map_err(io::Error::other)?;
                let stream = tcp.take().expect("once");
                secret = Some(Box::new(StreamOwned::new(connection, stream)));
                mail.is_secret = true;
                continue;
            }
            _ if needs_tls => "530 not in the clear".to_owned(),
            "AUTH" => {
                mail.login = rest.strip_prefix("PLAIN ").map(|text| {
                    let bytes = STANDARD.decode(text.trim()).unwrap_or_default();
                    String::from_utf8_lossy(&bytes).replace('\0', " ")
                });
                "235 welcome".to_owned()
            }
            "MAIL" => {
                mail.from = rest.to_owned();
                "250 ok".to_owned()
            }
            "RCPT" => {
                mail.to.push(rest.to_owned());
                "250 ok".to_owned()
            }
            "DATA" => {
                say(&mut tcp, &mut secret, "354 go on")?;
                loop {
                    let line = hear(&mut tcp, &mut secret)?;
                    if line == "." {
                        break;
                    }
                    mail.text.push_str(&line);
                    mail.text.push('\n');
                }
                let mut taken = taken.lock().unwrap();
                let answer = &answers[taken.len().min(answers.len() - 1)];
                taken.push(mail.clone());
                answer.clone()
            }
            "QUIT" => return say(&mut tcp, &mut secret, "221 bye"),
            _ => "250 ok".to_owned(),
        };
        say(&mut tcp, &mut secret, &reply)?;
    }
}

/// A line without its end; byte by byte, so that nothing behind it is taken along.
fn line(stream: &mut impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n") {
        stream.read_exact(&mut byte)?;
        bytes.push(byte[0]);
    }
    bytes.truncate(bytes.len() - 2);
    String::from_utf8(bytes).map_err(io::Error::other)
}
