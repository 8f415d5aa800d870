//! The client against a gateway of a few lines.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    thread::{self, JoinHandle},
};

use super::{tls::TlsFiles, *};
use crate::cli::{
    failure::Code,
    terminal::{Out, Style, Sure},
};

/// A gateway that gives these answers, one a connection, and then tells the heads of the requests.
pub(in crate::cli) fn gateway(
    answers: &'static [&'static str],
) -> (Session, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("its address"));
    let heads = thread::spawn(move || {
        let answer = |answer: &&str| {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut reader = BufReader::new(stream.try_clone().expect("a copy"));
            let (mut head, mut length) = (String::new(), 0);
            while reader.read_line(&mut head).expect("a line") > 2 {
                let last = head.lines().last().unwrap_or("").to_ascii_lowercase();
                if let Some(bytes) = last.strip_prefix("content-length: ") {
                    length = bytes.parse().expect("a number");
                }
            }
            reader.read_exact(&mut vec![0; length]).expect("a body");
            stream.write_all(answer.as_bytes()).expect("written");
            head.to_ascii_lowercase()
        };
        answers.iter().map(answer).collect()
    });
    let client = Client::new(&url, "wt_x", &TlsFiles::default()).expect("a client");
    let out = Out::new(OutputFormat::Json, Style::new(false), true);
    (Session { client, out }, heads)
}

const GONE: &str = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
const SEEN: &str = "HTTP/1.1 200 OK\r\netag: \"7\"\r\ncontent-length: 12\r\nconnection: close\r\n\r\n{\"a\": \"b\\n\"}";
const CHANGED: &str = "HTTP/1.1 412 Precondition Failed\r\ncontent-length: 37\r\nconnection: close\r\n\r\n\
     {\"detail\": \"it changed\", \"code\": \"x\"}\n";
const THEIRS: &str = "HTTP/1.1 500 Oops\r\nx-async-status: error\r\netag: \"1\"\r\n\
     content-length: 4\r\nconnection: close\r\n\r\noops";

#[test]
fn what_was_seen_is_what_goes() {
    let (session, heads) = gateway(&[SEEN, GONE]);
    let (seen, tag) = session.client.look("/api/v1/x").expect("seen");
    assert_eq!(text(&seen, "a"), "b\n");
    let call = Call::delete("/api/v1/x").if_match(tag.as_deref());
    let gone = session.send_if(call, "Really?", Sure { yes: true });
    let gone = gone.and_then(|gone| gone.json()).expect("gone");
    assert!(gone.is_null());
    let heads = heads.join().expect("heads");
    assert!(
        heads[0].starts_with("get /api/v1/x http/1.1\r\n"),
        "{heads:?}"
    );
    assert!(
        heads[0].contains("authorization: bearer wt_x\r\n"),
        "{heads:?}"
    );
    // Whoever is sure is not tried for.
    assert!(
        heads[1].starts_with("delete /api/v1/x http/1.1\r\n"),
        "{heads:?}"
    );
    assert!(heads[1].contains("if-match: \"7\"\r\n"), "{heads:?}");
}

#[test]
fn a_refusal_comes_before_the_question() {
    let (session, heads) = gateway(&[CHANGED]);
    let refused = session.send_if(Call::delete("/x?a=b"), "Really?", Sure::default());
    let refused = refused.expect_err("refused");
    assert_eq!(refused.code(), Some(Code::Conflict));
    assert_eq!(refused.words(), "it changed");
    let heads = heads.join().expect("heads");
    assert!(
        heads[0].starts_with("delete /x?a=b&dry_run=true "),
        "{heads:?}"
    );
}

#[test]
fn a_models_error_is_told_from_the_gateways() {
    let (session, heads) = gateway(&[THEIRS, CHANGED]);
    let is_theirs = |headers: &http::HeaderMap| headers.contains_key("x-async-status");
    let opened = session.client.open(Call::get("/x"), is_theirs);
    let mut opened = opened.expect("theirs");
    let mut bytes = Vec::new();
    opened.reader.read_to_end(&mut bytes).expect("read");
    assert_eq!((opened.status, &bytes[..]), (500, &b"oops"[..]));
    let refused = session.client.open(Call::get("/x"), is_theirs).err();
    assert_eq!(
        refused.map(|refused| refused.words().to_owned()).as_deref(),
        Some("it changed")
    );
    heads.join().expect("heads");
}

#[test]
fn nobody_at_home_is_its_own_exit_code() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    drop(listener);
    let client = Client::new(&url, "wt_x", &TlsFiles::default()).expect("a client");
    let failure = client.get("/x").expect_err("nobody");
    assert_eq!(failure.code(), Some(Code::Unreachable));
    assert!(
        failure
            .words()
            .starts_with(&format!("no gateway answers at {url}: "))
    );
}

#[test]
fn what_is_no_address_is_refused_before_anything_is_sent() {
    for url in [
        "http://127.0.0.1:8081/",
        "http://[::1]",
        "https://[::1]:8081",
        "https://weir.example/behind/a/proxy//",
    ] {
        let (base, _) = address(url).expect(url);
        assert_eq!(base, url.trim_end_matches('/'));
    }
    for url in [
        "",
        "127.0.0.1:8081",
        "ftp://a",
        "http://",
        "http://a b",
        "http://a:99999",
        "http://a:0",
        "http://a:",
        "http://a/#b",
        "http://a?b=c",
        "http://user:password@a",
    ] {
        let failure = address(url).expect_err(url);
        assert_eq!(failure.code(), Some(Code::Usage), "{url}");
    }
}

const NULL: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nnull";
const LIST: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]";
const EMPTY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const PAGE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 26\r\nconnection: close\r\n\r\n\
     {\"items\": [1],\"next\": \"a\"}";

#[test]
fn what_no_gateway_answers_is_no_success() {
    let (session, heads) = gateway(&[NULL, LIST, EMPTY]);
    for _ in 0..3 {
        let answer = session.client.send(Call::post("/x/revoke")).expect("200");
        let failure = answer.json().expect_err("nothing of ours");
        assert_eq!(failure.code(), Some(Code::Failed));
    }
    heads.join().expect("heads");
}

#[test]
fn a_list_that_goes_round_in_circles_ends() {
    let (session, heads) = gateway(&[PAGE, PAGE]);
    let failure = session.client.list("/x").expect_err("no end");
    assert!(
        failure.words().contains("a list without an end"),
        "{failure:?}"
    );
    heads.join().expect("heads");
}
