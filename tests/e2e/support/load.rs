//! Clients that keep asking while a test does something, and what they were told.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use super::{Ended, Gateway, PATIENCE, RawClient, SetOnDrop, eventually, h2::H2Client};

/// One request and its answer.
#[derive(Clone, Debug)]
pub(crate) struct Shot {
    /// Before the first byte was sent.
    pub(crate) started: Instant,
    /// 0 when no whole answer came.
    pub(crate) status: u16,
    pub(crate) version: String,
    pub(crate) epoch: u64,
    pub(crate) text: String,
    /// Which client asked; the HTTP/2 ones come last.
    pub(crate) client: usize,
}

/// What is asked, and by how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load<'a> {
    pub(crate) path: &'a str,
    pub(crate) key: &'a str,
    pub(crate) http1: usize,
    pub(crate) http2: usize,
}

/// A load that is going on.
pub(crate) struct Going<'a> {
    served: &'a [AtomicUsize],
}

impl Going<'_> {
    /// Waits until every client has had `n` more answers.
    #[track_caller]
    pub(crate) fn wait_each(&self, n: usize) {
        let before: Vec<_> = self
            .served
            .iter()
            .map(|s| s.load(Ordering::SeqCst))
            .collect();
        eventually(PATIENCE, "the clients go on", || {
            self.served
                .iter()
                .zip(&before)
                .all(|(now, before)| now.load(Ordering::SeqCst) >= before + n)
        });
    }
}

/// Runs `act` while the load goes on, each answer shown to `judge`, which says what is wrong with
/// it; all that was wrong, and what `act` came to. Each client keeps one connection.
pub(crate) fn during<T>(
    gateway: &Gateway,
    load: Load<'_>,
    judge: impl Fn(&Shot) -> Result<(), String> + Sync,
    act: impl FnOnce(&Going<'_>) -> T,
) -> (Vec<String>, T) {
    let done = AtomicBool::new(false);
    let served: Vec<_> = (0..load.http1 + load.http2)
        .map(|_| AtomicUsize::new(0))
        .collect();
    let wrong = Mutex::new(Vec::new());
    let addr = gateway.addr();
    let note = |shot: &Shot| {
        if let Err(why) = judge(shot) {
            wrong.lock().unwrap().push(why);
        }
        served[shot.client].fetch_add(1, Ordering::SeqCst);
    };
    let result = thread::scope(|scope| {
        let (done, note) = (&done, &note);
        for client in 0..load.http1 {
            scope.spawn(move || {
                let mut kept = RawClient::connect(addr);
                while !done.load(Ordering::SeqCst) {
                    let shot = http1(&mut kept, load, client);
                    if shot.status == 0 {
                        kept = RawClient::connect(addr);
                    }
                    note(&shot);
                }
            });
        }
        for client in load.http1..load.http1 + load.http2 {
            scope.spawn(move || {
                let kept = H2Client::connect(addr);
                while !done.load(Ordering::SeqCst) {
                    note(&http2(&kept, load, client));
                }
            });
        }
        let _done = SetOnDrop(done);
        act(&Going { served: &served })
    });
    (wrong.into_inner().unwrap(), result)
}

fn http1(kept: &mut RawClient, load: Load<'_>, client: usize) -> Shot {
    let started = Instant::now();
    let answer = kept
        .request(
            &format!("POST {}", load.path),
            &[("x-api-key", load.key)],
            b"{}",
        )
        .try_response("POST");
    match answer {
        Ok(answer) if answer.ended == Ended::Clean => Shot {
            started,
            status: answer.status,
            version: answer.version(),
            epoch: answer
                .get("x-config-epoch")
                .and_then(|e| e.parse().ok())
                .unwrap_or_default(),
            text: answer.text(),
            client,
        },
        other => Shot {
            started,
            status: 0,
            version: String::new(),
            epoch: 0,
            text: format!("{other:?}"),
            client,
        },
    }
}

fn http2(kept: &H2Client, load: Load<'_>, client: usize) -> Shot {
    let started = Instant::now();
    let header = |answer: &http::HeaderMap, name: &str| {
        answer
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    match kept.try_call("POST", load.path, &[("x-api-key", load.key)], b"{}") {
        Ok(answer) if answer.clean => Shot {
            started,
            status: answer.status,
            version: header(&answer.headers, "x-deployment-version"),
            epoch: header(&answer.headers, "x-config-epoch")
                .parse()
                .unwrap_or_default(),
            text: String::from_utf8_lossy(&answer.body).into_owned(),
            client,
        },
        other => Shot {
            started,
            status: 0,
            version: String::new(),
            epoch: 0,
            text: format!("{other:?}"),
            client,
        },
    }
}
