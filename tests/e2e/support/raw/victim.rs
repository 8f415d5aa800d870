//! Somebody else who uses the same gateway and the same backend while it is attacked.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
};

use super::super::{AUTH, Ended, PREDICT, RawClient, Response};

/// What the victim saw.
pub(super) struct Account {
    calls: usize,
    pub(super) complaints: Vec<String>,
}

/// Calls at least this often, however soon the attack is over.
const CALLS_MIN: usize = 8;

/// Calls until it is told to stop, on a connection that it keeps and now and then on a new one, each
/// time with a path and a body of its own. `is_there` is set once it was answered.
pub(super) fn suffer(addr: SocketAddr, is_there: &AtomicBool, stop: &AtomicBool) -> Account {
    let mut account = Account {
        calls: 0,
        complaints: Vec::new(),
    };
    let mut kept = RawClient::connect(addr);
    while (!stop.load(Ordering::SeqCst) || account.calls < CALLS_MIN)
        && account.complaints.len() < 5
    {
        let nth = account.calls;
        account.calls += 1;
        let answer = if nth % 4 == 3 {
            let mut fresh = match RawClient::try_connect(addr) {
                Ok(fresh) => fresh,
                Err(ended) => {
                    let words = format!("call {nth}: no connection: {ended:?}");
                    account.complaints.push(words);
                    continue;
                }
            };
            ask(&mut fresh, nth)
        } else {
            ask(&mut kept, nth)
        };
        if let Err(words) = answer {
            account.complaints.push(format!("call {nth}: {words}"));
            kept = RawClient::connect(addr);
        }
        is_there.store(true, Ordering::SeqCst);
    }
    account
}

fn ask(client: &mut RawClient, nth: usize) -> Result<(), String> {
    let token = format!("token-of-call-{nth}");
    client.request(
        &format!("POST {PREDICT}/victim/{nth}"),
        &[AUTH],
        token.as_bytes(),
    );
    let answer = client.try_response("POST");
    let answer = answer.map_err(|ended| format!("no answer: {ended:?}"))?;
    is_mine(&answer, nth, &token)
}

fn is_mine(answer: &Response, nth: usize, token: &str) -> Result<(), String> {
    let text = answer.text();
    let (target, body) = text.split_once('\n').unwrap_or_default();
    // Other gateways do not rewrite the path.
    let mine = target.ends_with(&format!("/victim/{nth}")) && body == token;
    if answer.status == 200 && answer.ended == Ended::Clean && mine {
        return Ok(());
    }
    let (status, ended) = (answer.status, &answer.ended);
    Err(format!(
        "answered {status}, {ended:?}, {text:?} instead of {token:?}"
    ))
}
