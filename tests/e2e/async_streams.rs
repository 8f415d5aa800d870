//! A stream that runs later is recorded as it comes: whoever follows it sees it live, can leave and
//! come back, and never takes one attempt's bytes for another's.

use std::sync::Arc;

use crate::support::{
    Backend, Ended, Gate, Gateway, Head, Next, PATIENCE, RawClient, Stop, client::chunk,
    eventually, iris, later, later::Caller, pattern, problem, want,
};

const STREAM: &str = "POST /stream/demo/iris";

/// What the model says, piece by piece; one event is framed as Windows would, two have no id.
const PIECES: [&str; 6] = [
    "id: 1\ndata: one\n\n",
    "id: two\r\ndata: x\r\n\r\n",
    "data: nameless\n\n: a comment\n\n",
    "id: 3\nevent: e\ndata: a\n",
    "data: b\n\n",
    "data: [DONE]\n\n",
];

/// Somebody who reads a result while it grows.
struct Follower {
    client: RawClient,
    head: Head,
    got: Vec<u8>,
}

impl Follower {
    /// Follows from where the headers say, once the stream's head is there.
    fn of(gateway: &Gateway, id: &str, headers: &[(&str, &str)]) -> Self {
        let mut all = vec![crate::support::AUTH];
        all.extend(headers);
        let mut found = None;
        eventually(PATIENCE, "the stream's head", || {
            let mut client = gateway.connect();
            let line = format!("GET /async/{id}/result");
            let head = client.request(&line, &all, b"").head();
            let there = head.status() != Ok(202);
            found = Some(Self {
                client,
                head,
                got: Vec::new(),
            });
            there
        });
        found.unwrap()
    }

    /// Reads until so many bytes have come.
    #[track_caller]
    fn until(&mut self, bytes: usize) -> &[u8] {
        while self.got.len() < bytes {
            match self.client.read_chunk() {
                Ok(piece) if !piece.is_empty() => self.got.extend(piece),
                other => panic!("{other:?} after {:?}", String::from_utf8_lossy(&self.got)),
            }
        }
        &self.got
    }

    /// Reads to the end, and says how it came.
    fn end(mut self) -> (Vec<u8>, Ended) {
        let framing = self.head.response_framing("GET").unwrap();
        let rest = self.client.read_body(framing);
        self.got.extend(rest.bytes);
        (self.got, rest.ended)
    }
}

/// Streams the pieces, each once the gate lets it through.
fn stepping(gate: &Gate) -> Backend {
    let door = gate.clone();
    Backend::start(move |conn, head| {
        conn.body(head);
        conn.start_chunked();
        for piece in PIECES {
            while !door.wait() {}
            if conn.write(chunk(piece)).is_err() {
                return Next::Close;
            }
        }
        let _ = conn.write("0\r\n\r\n");
        Next::Keep
    })
}

fn whole() -> Vec<u8> {
    PIECES.concat().into_bytes()
}

/// The bytes before piece `n`.
fn before(n: usize) -> usize {
    PIECES[..n].concat().len()
}

#[test]
fn followers_see_each_piece_as_it_comes() {
    let gate = Gate::new();
    let backend = stepping(&gate);
    let gateway = Gateway::start(iris(&backend));
    let caller = gateway.caller();
    let id = caller.accepted_as(STREAM, &[], b"{}");
    backend.wait_count(1);
    assert_eq!(backend.last().head.target(), "/stream");
    let mut followers = [(); 3].map(|()| Follower::of(&gateway, &id, &[]));
    for (n, piece) in (1..).zip(PIECES) {
        gate.step();
        for follower in &mut followers {
            let got = follower.until(before(n)).to_vec();
            assert!(got.ends_with(piece.as_bytes()) && got.len() == before(n));
        }
        if n < PIECES.len() {
            assert_eq!(caller.show(&id)["status"], "running");
        }
    }
    for follower in followers {
        assert_eq!(follower.head.status(), Ok(200));
        let kind = follower.head.get("content-type");
        assert_eq!(kind.as_deref(), Some("text/event-stream"));
        assert!(!follower.head.has("content-length"), "its end is not known");
        assert_eq!(follower.end(), (whole(), Ended::Clean));
    }
    assert_eq!(caller.ends(&id, "completed")["attempts"], 1);
    let result = caller.result(&id);
    assert_eq!((result.status, result.body), (200, whole()));
    assert_eq!(backend.count(), 1, "however many follow");
}

#[test]
fn before_its_head_is_there_it_is_not_ready() {
    let gate = Gate::new();
    let door = gate.clone();
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        while !door.wait() {}
        conn.start_chunked();
        while !door.wait() {}
        let _ = conn.write("0\r\n\r\n");
        Next::Keep
    });
    let gateway = Gateway::start(iris(&backend));
    let caller = gateway.caller();
    let id = caller.accepted_as(STREAM, &[], b"{}");
    backend.wait_count(1);
    let early = caller.result(&id);
    assert_eq!(want(202, &early)["status"], "running");
    gate.step();
    let follower = Follower::of(&gateway, &id, &[]);
    assert_eq!(follower.head.status(), Ok(200));
    let stranger = RawClient::connect(gateway.addr()).call(
        &format!("GET /async/{id}/result"),
        &[("x-api-key", "wk_nobody_0123456789abcdefghijklmnopqr")],
        b"",
    );
    assert_eq!(stranger.status, 401);
    gate.open();
    assert_eq!(follower.end(), (Vec::new(), Ended::Clean));
    caller.ends(&id, "completed");
}

#[test]
fn who_comes_back_goes_on_behind_the_last_event_it_saw() {
    let gate = Gate::new();
    let backend = stepping(&gate);
    let gateway = Gateway::start(iris(&backend));
    let caller = gateway.caller();
    let id = caller.accepted_as(STREAM, &[], b"{}");
    for _ in 0..3 {
        gate.step();
    }
    Follower::of(&gateway, &id, &[]).until(before(3));
    let cases = [("1", 1), ("two", 2), ("never", 0), ("nameless", 0)];
    let mut live: Vec<_> = cases
        .map(|(last, piece)| {
            let follower = Follower::of(&gateway, &id, &[("last-event-id", last)]);
            (follower, before(piece))
        })
        .into_iter()
        .collect();
    for (follower, from) in &mut live {
        assert_eq!(follower.head.status(), Ok(200));
        assert_eq!(
            follower.until(before(3) - *from),
            &whole()[*from..before(3)]
        );
    }
    gate.open();
    for (follower, from) in live {
        assert_eq!(follower.end(), (whole()[from..].to_vec(), Ended::Clean));
    }
    caller.ends(&id, "completed");
    for (last, piece) in [("1", 1), ("two", 2), ("3", 5), ("never", 0)] {
        let line = format!("GET /async/{id}/result");
        let rest = caller.send(&line, &[("last-event-id", last)], b"");
        assert_eq!(rest.status, 200);
        assert_eq!(rest.body, whole()[before(piece)..], "{last}");
    }
}

#[test]
fn streams_without_ids_are_resumed_by_range() {
    let gate = Gate::new();
    let backend = stepping(&gate);
    let gateway = Gateway::start(iris(&backend));
    let caller = gateway.caller();
    let id = caller.accepted_as(STREAM, &[], b"{}");
    gate.step();
    gate.step();
    let mut first = Follower::of(&gateway, &id, &[]);
    first.until(before(2));
    let etag = first.head.get("etag").expect("ETag");
    assert_eq!(etag, later::etag(&caller.show(&id), 1));
    for headers in [
        vec![("range", "bytes=5-")],
        vec![("range", "bytes=5-"), ("if-range", etag.as_str())],
    ] {
        let mut resumed = Follower::of(&gateway, &id, &headers);
        assert_eq!(resumed.head.status(), Ok(206));
        let range = resumed.head.get("content-range");
        assert_eq!(range.as_deref(), Some("bytes 5-9007199254740991/*"));
        assert_eq!(resumed.until(before(2) - 5), &whole()[5..before(2)]);
    }
    let stale = [("range", "bytes=5-"), ("if-range", "\"another.1\"")];
    let mut stale = Follower::of(&gateway, &id, &stale);
    assert_eq!(stale.head.status(), Ok(200));
    assert_eq!(stale.until(before(2)), &whole()[..before(2)]);
    let beyond = Follower::of(&gateway, &id, &[("range", "bytes=100000-")]);
    assert_eq!(beyond.head.status(), Ok(416));
    let mut resumed = Follower::of(&gateway, &id, &[("range", "bytes=7-")]);
    resumed.until(1);
    gate.open();
    assert_eq!(resumed.end(), (whole()[7..].to_vec(), Ended::Clean));
    assert_eq!(first.end(), (whole(), Ended::Clean));
    caller.ends(&id, "completed");
    let line = format!("GET /async/{id}/result");
    let rest = caller.send(&line, &[("range", "bytes=9-")], b"");
    let all = whole().len();
    assert_eq!(rest.status, 206);
    let right = format!("bytes 9-{}/{all}", all - 1);
    assert_eq!(rest.get("content-range"), Some(right));
    assert_eq!(rest.body, whole()[9..]);
}

#[test]
fn a_long_stream_is_kept_byte_by_byte() {
    let body = Arc::new(pattern(3 << 20));
    let said = Arc::clone(&body);
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        conn.start_chunked();
        for piece in said.chunks(9_973) {
            if conn.write(chunk(piece)).is_err() {
                return Next::Close;
            }
        }
        let _ = conn.write("0\r\n\r\n");
        Next::Keep
    });
    let mut gateway = Gateway::start(iris(&backend));
    let caller = gateway.caller();
    let id = caller.accepted_as(STREAM, &[], b"{}");
    let (got, ended) = Follower::of(&gateway, &id, &[]).end();
    assert!(
        ended == Ended::Clean && got == *body,
        "{} bytes live",
        got.len()
    );
    let check = |caller: &Caller| {
        caller.ends(&id, "completed");
        assert!(caller.result(&id).body == *body);
        let line = format!("GET /async/{id}/result");
        let part = caller.send(&line, &[("range", "bytes=2000000-2000099")], b"");
        assert!(part.status == 206 && part.body == body[2_000_000..2_000_100]);
    };
    check(&caller);
    gateway.restart(Stop::Kill);
    check(&gateway.caller());
}

#[test]
fn broken_behind_its_head_it_is_an_error_and_no_follower_takes_it_for_whole() {
    for next in [Next::Reset, Next::Close] {
        let gate = Gate::new();
        let door = gate.clone();
        let backend = Backend::start(move |conn, head| {
            conn.body(head);
            conn.start_chunked();
            let _ = conn.write(chunk("data: half\n\n"));
            while !door.wait() {}
            next
        });
        let gateway = later::impatient(Gateway::with(iris(&backend))).start();
        let caller = gateway.caller();
        let id = caller.accepted_as(STREAM, &[], b"{}");
        let mut follower = Follower::of(&gateway, &id, &[]);
        assert_eq!(follower.until(12), b"data: half\n\n");
        gate.open();
        let (got, ended) = follower.end();
        assert_eq!(got, b"data: half\n\n");
        assert_ne!(ended, Ended::Clean, "a broken stream looked whole");
        assert_ne!(ended, Ended::Timeout, "its follower was forgotten");
        let document = caller.fails(&id, "stream_broken");
        assert_eq!(document["attempts"], 1, "{document}");
        let late = caller.try_send(&format!("GET /async/{id}/result"), &[], b"");
        match late {
            Ok(answer) if answer.status == 502 => {
                assert_eq!(problem(&[502], &answer), "async_stream_broken");
            }
            Ok(answer) => assert_ne!(answer.ended, Ended::Clean, "{answer:?}"),
            Err(ended) => assert_ne!(ended, Ended::Timeout),
        }
        assert_eq!(backend.count(), 1, "not tried again");
    }
}

#[test]
fn a_stream_that_fails_before_its_head_is_tried_again_unseen() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let backend = Backend::start(move |conn, head| {
        conn.body(head);
        match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Next::Reset,
            1 => conn.answer(503, &[], b"busy"),
            _ => {
                conn.start_chunked();
                let _ = conn.write([chunk("data: at last\n\n"), b"0\r\n\r\n".to_vec()].concat());
                Next::Keep
            }
        }
    });
    let gateway = later::impatient(Gateway::with(iris(&backend))).start();
    let caller = gateway.caller();
    let id = caller.accepted_as(STREAM, &[], b"{}");
    let follower = Follower::of(&gateway, &id, &[]);
    assert_eq!(
        follower.head.status(),
        Ok(200),
        "the busy one was not shown"
    );
    assert_eq!(
        follower.end(),
        (b"data: at last\n\n".to_vec(), Ended::Clean)
    );
    assert_eq!(caller.ends(&id, "completed")["attempts"], 3);
}

#[test]
fn a_new_attempt_is_told_from_the_one_before_it() {
    for stop in [Stop::Kill, Stop::Term] {
        let gate = Gate::new();
        let door = gate.clone();
        let backend = Backend::start(move |conn, head| {
            let attempt = format!("data: delivery {}\n\n", conn.id);
            conn.body(head);
            conn.start_chunked();
            let _ = conn.write(chunk(&attempt));
            while !door.wait() {}
            let _ = conn.write([chunk("data: end\n\n"), b"0\r\n\r\n".to_vec()].concat());
            Next::Keep
        });
        let mut gateway = later::impatient(Gateway::with(iris(&backend)))
            .env("WEIR_DRAIN_GRACE_MS", 300)
            .start();
        let caller = gateway.caller();
        let id = caller.accepted_as(STREAM, &[], b"{}");
        let mut follower = Follower::of(&gateway, &id, &[]);
        let old = follower.until(10).to_vec();
        let etag = follower.head.get("etag").expect("ETag");
        gateway.signal(if stop == Stop::Kill { "KILL" } else { "TERM" });
        let (_, ended) = follower.end();
        assert_ne!(
            ended,
            Ended::Clean,
            "{stop:?}: a broken stream looked whole"
        );
        gateway.wait_exit(PATIENCE);
        gateway.start_again();
        backend.wait_count(2);
        let caller = gateway.caller();
        let headers = [("range", "bytes=6-"), ("if-range", etag.as_str())];
        let mut resumed = Follower::of(&gateway, &id, &headers);
        // What was given back is not counted, but its bytes are others all the same.
        assert_eq!(resumed.head.status(), Ok(200), "{stop:?}: from its start");
        assert_ne!(resumed.head.get("etag"), Some(etag), "{stop:?}");
        resumed.until(10);
        gate.open();
        let (new, ended) = resumed.end();
        assert_eq!(ended, Ended::Clean);
        assert!(new.ends_with(b"data: end\n\n") && !new.starts_with(&old));
        let document = caller.ends(&id, "completed");
        let attempts = if stop == Stop::Kill { 2 } else { 1 };
        assert_eq!(document["attempts"], attempts, "{stop:?} {document}");
        assert_eq!(
            caller.result(&id).body,
            new,
            "the new attempt's bytes alone"
        );
    }
}
