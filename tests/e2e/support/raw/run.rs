//! Runs a family of cases against a gateway of its own.

use std::{
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use super::{
    super::{
        Backend, Ended, Gateway, Next, PATIENCE, RawClient, SetOnDrop, Stop, eventually, iris,
    },
    Case, ID, Step, follower,
    judge::{judge, stray},
    replaced,
    victim::suffer,
};

/// The longest that a client waits for the next byte. Every case ends by itself: its last request
/// asks for the connection to be closed, or is refused, or the client ends its half.
const QUIET_MAX: Duration = Duration::from_secs(8);

/// Clients that work through a family at once.
const CLIENTS: usize = 3;

/// What a client saw of its case.
pub(super) struct Seen {
    pub(super) interim: Vec<u16>,
    pub(super) statuses: Vec<u16>,
    pub(super) ended: Ended,
}

/// Runs the cases, and fails with the list of those that went wrong.
pub(crate) fn run(family: &str, cases: &[Case]) {
    let backend = recorder();
    // One worker, so that victim and attacker share connections to the backend.
    let mut gateway = Gateway::with(iris(&backend)).env("WEIR_WORKERS", 1).start();
    let addr = gateway.addr();
    let (is_there, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let (seen, victim) = thread::scope(|scope| {
        let _stop = SetOnDrop(&stop);
        let victim = scope.spawn(|| suffer(addr, &is_there, &stop));
        eventually(PATIENCE * 2, "the victim's first call", || {
            is_there.load(Ordering::SeqCst)
        });
        let next = AtomicUsize::new(0);
        let seen: Mutex<Vec<(usize, Seen)>> = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    while let nth = next.fetch_add(1, Ordering::SeqCst)
                        && nth < cases.len()
                    {
                        let saw = perform(addr, &cases[nth], &id_of(nth));
                        seen.lock().unwrap().push((nth, saw));
                    }
                });
            }
        });
        stop.store(true, Ordering::SeqCst);
        (seen.into_inner().unwrap(), victim.join().unwrap())
    });
    // A head may reach the backend after its client was answered: all of them are looked at once
    // no more can come.
    gateway.stop(Stop::Kill);
    eventually(PATIENCE, "the upstream halves end", || {
        backend.open_connections() == 0
    });
    let received = backend.received();
    let mut wrong = stray(&backend, &received, cases.len());
    let mut seen = seen;
    seen.sort_by_key(|(nth, _)| *nth);
    assert_eq!(seen.len(), cases.len());
    for (nth, saw) in &seen {
        let reached: Vec<_> = received.iter().filter(|r| is_of(r, *nth)).collect();
        if let Err(words) = judge(&cases[*nth], &id_of(*nth), saw, &reached, backend.addr()) {
            wrong.push(words);
        }
    }
    wrong.extend(victim.complaints.iter().map(|c| format!("the victim: {c}")));
    assert!(
        wrong.is_empty(),
        "{family}: {} of {} cases went wrong\n\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

/// A backend that answers each request with its target and body, a line each.
pub(super) fn recorder() -> Backend {
    Backend::start(|conn, head| {
        let body = conn.body(head);
        if body.ended != Ended::Clean {
            return Next::Close;
        }
        let mut words = format!("{}\n", head.target()).into_bytes();
        words.extend(&body.bytes);
        if head.method() == "HEAD" {
            words.clear();
        }
        conn.answer(200, &[], &words)
    })
}

/// As long as [`ID`].
pub(super) fn id_of(nth: usize) -> String {
    format!("case{nth:04}")
}

/// Whether the request carries the id of the case, in its head or behind it.
pub(super) fn is_of(received: &super::super::backend::Received, nth: usize) -> bool {
    let id = id_of(nth);
    received.head.has("x-case") && received.head.all("x-case").contains(&id)
}

/// Sends a case and reads all that comes, until the gateway ends the connection.
pub(super) fn perform(addr: SocketAddr, case: &Case, id: &str) -> Seen {
    let mut client = match RawClient::try_connect(addr) {
        Ok(client) => client,
        Err(ended) => {
            return Seen {
                interim: Vec::new(),
                statuses: Vec::new(),
                ended,
            };
        }
    };
    client.socket.set_read_timeout(Some(QUIET_MAX)).unwrap();
    let method = method_of(case);
    let mut seen = Seen {
        interim: Vec::new(),
        statuses: Vec::new(),
        ended: Ended::Clean,
    };
    let mut pieces = pieces_of(case, id).into_iter();
    for step in &case.steps {
        match step {
            Step::Send(_) => {
                client.send(pieces.next().unwrap_or_default());
            }
            Step::Await100 | Step::AwaitAny => match hear(&mut client, method, &mut seen) {
                // A client that is refused instead of asked to go on keeps its body.
                Ok(true) if matches!(step, Step::Await100) => {
                    client.shutdown_write();
                    break;
                }
                Ok(_) => {}
                Err(ended) => {
                    seen.ended = ended;
                    return seen;
                }
            },
            Step::End => client.shutdown_write(),
        }
    }
    loop {
        let method = if seen.statuses.is_empty() {
            method
        } else {
            "GET"
        };
        match client.try_response(method) {
            Ok(answer) => {
                let interim = answer.interim.iter().filter_map(|head| head.status().ok());
                seen.interim.extend(interim);
                seen.statuses.push(answer.status);
                if answer.ended != Ended::Clean {
                    seen.ended = answer.ended;
                    return seen;
                }
            }
            Err(ended) => {
                seen.ended = ended;
                return seen;
            }
        }
    }
}

/// What is written, write by write, with the id filled in though it may stand across two of them;
/// the request that follows is part of the last.
fn pieces_of(case: &Case, id: &str) -> Vec<Vec<u8>> {
    let sent: Vec<&[u8]> = sent(case).collect();
    let whole = replaced(&sent.concat(), ID.as_bytes(), id.as_bytes());
    let mut rest = &whole[..];
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    for bytes in sent {
        let (piece, behind) = rest.split_at(bytes.len());
        pieces.push(piece.to_vec());
        rest = behind;
    }
    if let Some(last) = pieces.last_mut().filter(|_| case.is_followed) {
        last.extend(replaced(&follower(), ID.as_bytes(), id.as_bytes()));
    }
    pieces
}

fn sent(case: &Case) -> impl Iterator<Item = &[u8]> {
    case.steps.iter().filter_map(|step| match step {
        Step::Send(bytes) => Some(bytes.as_slice()),
        Step::Await100 | Step::AwaitAny | Step::End => None,
    })
}

/// Reads one answer; whether it was the final one.
fn hear(client: &mut RawClient, method: &str, seen: &mut Seen) -> Result<bool, Ended> {
    let head = client.read_head()?;
    let status = head.status().map_err(Ended::Bad)?;
    if status < 200 {
        seen.interim.push(status);
        return Ok(false);
    }
    seen.statuses.push(status);
    let framing = head.response_framing(method).map_err(Ended::Bad)?;
    match client.read_body(framing).ended {
        Ended::Clean => Ok(true),
        ended => Err(ended),
    }
}

/// The method of the first request, as far as it matters for reading its answer.
fn method_of(case: &Case) -> &'static str {
    if sent(case)
        .next()
        .is_some_and(|bytes| bytes.starts_with(b"HEAD "))
    {
        "HEAD"
    } else {
        "POST"
    }
}
