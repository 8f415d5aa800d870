//! A relay that takes mail, refuses it for now, and refuses it for good.

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    sync::mpsc,
};

use super::*;

/// A relay that answers each message with the next of these lines, the last one from then on.
async fn relay(answers: &[&'static str]) -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let (told, messages) = mpsc::unbounded_channel();
    let mut answers = answers.to_vec();
    answers.reverse();
    task::spawn("relay", async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let answer = match answers.len() {
                1 => answers[0],
                _ => answers.pop().expect("a script"),
            };
            let _ = talk(BufReader::new(stream), answer, &told).await;
        }
    });
    (port, messages)
}

async fn talk(
    mut stream: BufReader<tokio::net::TcpStream>,
    answer: &str,
    told: &mpsc::UnboundedSender<String>,
) -> std::io::Result<()> {
    stream.write_all(b"220 relay\r\n").await?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let word = line.split_whitespace().next().unwrap_or_default();
        let reply = match word.to_ascii_uppercase().as_str() {
            "EHLO" => "250 relay\r\n".to_owned(),
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let mut message = String::new();
                loop {
                    line.clear();
                    if stream.read_line(&mut line).await? == 0 {
                        return Ok(());
                    }
                    if line == ".\r\n" {
                        break;
                    }
                    message.push_str(&line);
                }
                told.send(message).expect("a test");
                format!("{answer}\r\n")
            }
            // Whoever has left.
            "RCPT" if line.contains("gone@") => "550 no such mailbox\r\n".to_owned(),
            "QUIT" => return stream.write_all(b"221 bye\r\n").await,
            _ => "250 ok\r\n".to_owned(),
        };
        stream.write_all(reply.as_bytes()).await?;
    }
}

fn mailer(port: u16) -> Mailer {
    Mailer::new(MailOptions {
        host: "127.0.0.1".to_owned(),
        port,
        tls: MailTls::None,
        credentials: None,
        from: "weir <weir@example.org>".to_owned(),
        timeout_ms: 10_000,
        ca_file: None,
    })
    .expect("a mailer")
}

fn people(id: &str) -> Subscription {
    let to = vec!["ops@example.org".to_owned()];
    subscription(id, Target::Email { to })
}

#[tokio::test]
async fn a_relay_that_is_busy_is_asked_again_and_one_that_refuses_is_not() {
    for (answers, state, statuses) in [
        (
            &["451 later", "250 taken"][..],
            DeliveryState::Delivered,
            &[451, 250][..],
        ),
        // Whoever changed the password is told of what happened meanwhile.
        (
            &["535 who are you", "530 say who you are", "250 taken"][..],
            DeliveryState::Delivered,
            &[535, 530, 250][..],
        ),
        (&["550 never"][..], DeliveryState::Failed, &[550][..]),
    ] {
        let bench = Bench::new(Under::Sqlite);
        let (port, mut messages) = relay(answers).await;
        let of = people("s1");
        bench.put(&of).await;
        let id = bench.tell(&of, 1).await;
        let _running = bench.run_with(options(), lenient(), Some(mailer(port)));
        let done = bench.until_done("s1", id).await;
        assert_eq!(done.state, state, "{done:?}");
        let seen: Vec<_> = done
            .attempts
            .iter()
            .filter_map(|made| made.status)
            .collect();
        assert_eq!(seen, statuses, "{done:?}");
        for _ in statuses {
            let message = in_time("a mail", messages.recv()).await.expect("a relay");
            let own = format!("Message-ID: <{id}@example.org>\r\n");
            assert!(message.contains(&own), "{message}");
            assert!(message.contains("Subject: [weir] demo/iris: iris_v3 is live\r\n"));
        }
        assert!(messages.try_recv().is_err(), "one more");
        assert_eq!(bench.turns().await, 0);
    }
}

/// The others of a team hear of it though somebody's mailbox is gone; the log says whose.
#[tokio::test]
async fn one_who_has_left_keeps_nobody_from_being_told() {
    for (to, state, told) in [
        (&["a", "gone", "b"][..], DeliveryState::Delivered, 2),
        (&["gone", "too.gone"][..], DeliveryState::Failed, 0),
    ] {
        let bench = Bench::new(Under::Sqlite);
        let (port, mut messages) = relay(&["250 taken"]).await;
        let to = to.iter().map(|name| format!("{name}@example.org"));
        let of = subscription("s1", Target::Email { to: to.collect() });
        bench.put(&of).await;
        let id = bench.tell(&of, 1).await;
        let _running = bench.run_with(options(), lenient(), Some(mailer(port)));
        let done = bench.until_done("s1", id).await;
        assert_eq!((done.state, done.attempts.len()), (state, 1), "{done:?}");
        let words = done.attempts[0].error.as_deref().expect("words");
        assert!(words.contains("no such mailbox"), "{words}");
        assert_eq!(words.contains("gone@example.org"), told > 0, "{words}");
        for _ in 0..told {
            in_time("a mail", messages.recv()).await.expect("a relay");
        }
        assert!(messages.try_recv().is_err(), "one more");
    }
}

/// No relay, or none that answers: it is tried again, and its log says why.
#[tokio::test]
async fn mail_without_a_relay_waits() {
    let bench = Bench::new(Under::Sqlite);
    let of = people("s1");
    bench.put(&of).await;
    let slow = NotifyOptions {
        pauses_ms: vec![3_600_000],
        ..options()
    };
    for (number, mailer, words) in [
        (1, None, "smtp.host is not set"),
        (2, Some(mailer(1)), "onnect"),
    ] {
        let id = bench.tell(&of, number).await;
        let _running = bench.run_with(slow.clone(), lenient(), mailer);
        let tried = bench
            .until("s1", id, |delivery| delivery.attempts.len() == 1)
            .await;
        assert_eq!(tried.state, DeliveryState::Pending);
        let error = tried.attempts[0].error.as_deref().expect("words");
        assert!(error.contains(words), "{error}");
    }
}
