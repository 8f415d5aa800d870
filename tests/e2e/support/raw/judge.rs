//! Holds what came of a case against what is allowed.

use std::net::SocketAddr;

use super::{
    super::{Backend, Ended, Head, KEY, backend::Received},
    After, Case, Form, ID, Step, Want, Way, replaced,
    run::{Seen, is_of},
};

/// Headers that end at a gateway, whoever names them.
const NEVER_UPSTREAM: [&str; 14] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "upgrade",
    "http2-settings",
    "expect",
    "authorization",
    "x-api-key",
    "key",
    "x-async-request",
    "x-deployment-version",
];

/// Names that no client may put in disguise: what frames a message, opens a deployment or is weir's.
const SPOOFED: [&str; 7] = [
    "content-length",
    "transfer-encoding",
    "x-api-key",
    "x-request-id",
    "x-deployment-version",
    "x-config-epoch",
    "x-async-request",
];

/// Whether the case went in one of the allowed ways; else a paragraph on what happened.
pub(super) fn judge(
    case: &Case,
    id: &str,
    saw: &Seen,
    reached: &[&Received],
    backend: SocketAddr,
) -> Result<(), String> {
    let mut wrong = Vec::new();
    for received in reached {
        if received.head.target().contains("/smuggled") {
            wrong.push("desynchronised: the smuggled request reached the backend".to_owned());
        }
        wrong.extend(raw(&received.head, Some(backend)));
        let trailers = received.body.iter().flat_map(|body| &body.trailers);
        for (name, _) in trailers.filter(|(name, _)| is_protected(name)) {
            wrong.push(format!("forwarded raw: the trailer {name}"));
        }
    }
    let reasons: Vec<_> = case
        .ways
        .iter()
        .filter_map(|way| differs(way, id, saw, reached).err())
        .collect();
    if reasons.len() == case.ways.len() {
        wrong.extend(reasons);
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let mut text = format!(
        "* {} ({})\n    sent: {}\n    answered: {:?} (interim {:?}), then {:?}\n",
        case.name,
        case.rule,
        shown(case),
        saw.statuses,
        saw.interim,
        saw.ended
    );
    for received in reached {
        let head = received.head.raw.escape_ascii();
        let body = received.body.as_ref();
        text.push_str(&format!("    reached the backend: {head}\n"));
        text.push_str(&format!("        with {body:?}\n"));
    }
    for words in wrong {
        text.push_str(&format!("    wrong: {words}\n"));
    }
    Err(text)
}

/// What reached the backend and belongs to nobody, or is no HTTP at all.
pub(super) fn stray(backend: &Backend, received: &[Received], cases: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    for one in received {
        let is_victims = one.head.target().starts_with("/victim/");
        if !is_victims && !(0..cases).any(|nth| is_of(one, nth)) {
            wrong.push(format!(
                "* nobody's request reached the backend: {}",
                one.head.raw.escape_ascii()
            ));
        }
    }
    for conn in 0..backend.connections() {
        if let Some((_, Ended::Bad(words))) = backend.end_of(conn) {
            wrong.push(format!("* forwarded raw: {words}"));
        }
    }
    wrong
}

/// How a head that reached the backend falls short of the one canonical form. Without an address
/// of the backend it is judged as another gateway's, which has other habits with `Host` and keys.
pub(super) fn raw(head: &Head, backend: Option<SocketAddr>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut say = |words: String| wrong.push(format!("forwarded raw: {words}"));
    let parts: Vec<_> = head.start.split(' ').collect();
    match parts[..] {
        [_, target, "HTTP/1.1"] if is_plain(target) => {}
        _ => say(format!("the request line {:?}", head.start)),
    }
    let hosts = head.all("host");
    match (&hosts[..], backend) {
        ([host], Some(addr)) if *host == addr.to_string() => {}
        ([_], None) => {}
        _ => say(format!("Host {hosts:?}")),
    }
    if let Err(words) = head.request_framing() {
        say(words);
    }
    for (name, _) in &head.headers {
        let lower = name.to_ascii_lowercase();
        let plain = lower.replace('_', "-");
        if lower != plain && SPOOFED.contains(&plain.as_str()) {
            say(format!("the spoofed header {name}"));
        }
        if backend.is_some() && NEVER_UPSTREAM.contains(&lower.as_str()) {
            say(format!("the header {name}"));
        }
    }
    if backend.is_some() {
        let ids = head.all("x-request-id");
        if ids.len() != 1 {
            say(format!("X-Request-Id {ids:?}"));
        }
        if head.raw.windows(KEY.len()).any(|w| w == KEY.as_bytes()) {
            say("a key".to_owned());
        }
    }
    wrong
}

/// A target that every server reads alike.
fn is_plain(target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    let lower = path.to_ascii_lowercase();
    path.starts_with('/')
        && !path.contains("//")
        && target.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
        && !path.contains('\\')
        && !["%2f", "%5c", "%2e", "%00"]
            .iter()
            .any(|e| lower.contains(e))
        && !path
            .split('/')
            .any(|s| matches!(s.split(';').next(), Some("." | "..")))
}

/// Names that a backend may act on, so that no client may put them behind a body.
fn is_protected(name: &str) -> bool {
    let plain = name.to_ascii_lowercase().replace('_', "-");
    NEVER_UPSTREAM.contains(&plain.as_str())
        || matches!(
            plain.as_str(),
            "host" | "content-length" | "transfer-encoding" | "x-request-id"
        )
}

fn differs(way: &Way, id: &str, saw: &Seen, reached: &[&Received]) -> Result<(), String> {
    if !matches!(saw.ended, Ended::Eof | Ended::Reset) {
        return Err(format!("the connection was not closed: {:?}", saw.ended));
    }
    let (after, of_case): (Vec<&Received>, Vec<&Received>) =
        reached.iter().partition(|r| r.head.target() == "/after");
    let mut of_case = of_case.into_iter().peekable();
    let mut statuses = saw.statuses.iter();
    for want in &way.answers {
        let status = statuses.next().copied();
        match (want, status) {
            (Want::Backend(form), Some(200)) => {
                let one = of_case.next().ok_or("it did not reach the backend")?;
                is_formed(form, id, one)?;
            }
            (Want::Own(allowed), Some(status)) if allowed.contains(&status) => {}
            (Want::Cut(allowed), Some(status)) if allowed.contains(&status) => {
                skip_cut(&mut of_case);
            }
            (Want::Backend(_), got) => return Err(format!("answered {got:?}, not 200")),
            (Want::Own(allowed) | Want::Cut(allowed), got) => {
                return Err(format!("answered {got:?}, none of {allowed:?}"));
            }
        }
    }
    // A client that was not answered may have gone in the middle of its upload.
    if way.answers.is_empty() {
        skip_cut(&mut of_case);
    }
    if of_case.next().is_some() {
        return Err("it, or more than it, reached the backend".to_owned());
    }
    let answered: Vec<u16> = statuses.copied().collect();
    match (way.after, &answered[..], after.len()) {
        (After::Served | After::MayBeServed, [200], 1)
        | (After::Never | After::MayBeServed, [], 0) => Ok(()),
        (After::Served, ..) => Err(format!("what follows was not served once: {answered:?}")),
        (_, answers, reached) => Err(format!(
            "what follows was answered {answers:?} and reached the backend {reached} times"
        )),
    }
}

fn skip_cut<'a>(of_case: &mut std::iter::Peekable<impl Iterator<Item = &'a Received>>) {
    let is_whole = |r: &Received| r.body.as_ref().is_some_and(|b| b.ended == Ended::Clean);
    while of_case.next_if(|r| !is_whole(r)).is_some() {}
}

fn is_formed(form: &Form, id: &str, received: &Received) -> Result<(), String> {
    let head = &received.head;
    let (method, target) = (head.method(), head.target());
    let (wanted, at) = (form.method.as_str(), form.target.as_str());
    if (method, target) != (wanted, at) {
        return Err(format!("{method} {target} instead of {wanted} {at}"));
    }
    let body = received.body.as_ref().ok_or("its body was not read")?;
    let whole = replaced(&form.body, ID.as_bytes(), id.as_bytes());
    if body.ended != Ended::Clean || body.bytes != whole {
        let (bytes, ended) = (body.bytes.escape_ascii(), &body.ended);
        return Err(format!("its body became {bytes}, {ended:?}"));
    }
    for name in &form.lacks {
        let in_disguise = |(have, _): &&(String, Vec<u8>)| {
            have.replace('_', "-")
                .eq_ignore_ascii_case(&name.replace('_', "-"))
        };
        if let Some((have, _)) = head.headers.iter().chain(&body.trailers).find(in_disguise) {
            return Err(format!("the header {have} reached the backend"));
        }
    }
    for (name, value) in &form.has {
        let values = head.all(name);
        if values != [*value] {
            return Err(format!("{name} became {values:?}"));
        }
    }
    Ok(())
}

/// The bytes of a case, escaped; a long one's beginning and end.
fn shown(case: &Case) -> String {
    let mut text = String::new();
    for step in &case.steps {
        match step {
            Step::Send(bytes) => text.push_str(&bytes.escape_ascii().to_string()),
            Step::Await100 => text.push_str(" [100?] "),
            Step::AwaitAny => text.push_str(" [answer?] "),
            Step::End => text.push_str(" [end]"),
        }
        if case.steps.len() < 10 {
            text.push_str(" | ");
        }
    }
    match text.len() {
        0..1_500 => text,
        long => format!("{} ... {}", &text[..1_000], &text[long - 300..]),
    }
}
