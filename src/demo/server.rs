//! The HTTP side of the sample models: a few routes over axum, errors as JSON that says what is
//! expected.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    routing::{get, post},
    serve::ListenerExt as _,
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot};

use super::{
    SampleModel,
    events::Events,
    iris::{self, Iris},
    text::{TextRequest, Trigrams},
};

/// The largest request body.
const BODY_BYTES_MAX: usize = 1 << 20;

/// How long open exchanges may go on after the shutdown was asked for.
const GRACE: Duration = Duration::from_secs(5);

type Response = http::Response<Body>;

/// What the handlers share.
#[derive(Debug)]
struct Server {
    model: SampleModel,
    mind: Mind,
    /// How long it thinks before it answers.
    delay: Duration,
    streams_open: Arc<AtomicUsize>,
}

/// The part that knows something.
#[derive(Debug)]
enum Mind {
    Iris(&'static Iris),
    Text(Arc<Trigrams>),
}

/// Serves `model` on `listener` until `shutdown`, then lets open exchanges end for five seconds. Each
/// answer begins `delay` later than it could.
///
/// # Errors
/// What the listener reports.
///
/// # Cancellation
/// Dropping it closes the listener; connections already accepted live until the runtime ends.
pub async fn serve<F>(
    model: SampleModel,
    delay: Duration,
    listener: TcpListener,
    shutdown: F,
) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    // Without it the kernel holds a token back until the one before was acknowledged.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a sample model's connection keeps nagle's delay");
        }
    });
    let (asked, was_asked) = oneshot::channel::<()>();
    let server = axum::serve(listener, router(model, delay)).with_graceful_shutdown(async move {
        shutdown.await;
        drop(asked);
    });
    let grace = async {
        // Ends with an error, the sender being dropped, which is the signal.
        let _ = was_asked.await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = server.into_future() => served,
        () = grace => Ok(()),
    }
}

fn router(model: SampleModel, delay: Duration) -> Router {
    let mind = match model {
        SampleModel::Iris => Mind::Iris(&iris::MAIN),
        SampleModel::IrisChallenger => Mind::Iris(&iris::CHALLENGER),
        SampleModel::Text => Mind::Text(Arc::new(Trigrams::learn())),
    };
    let mut router = Router::new()
        .route("/health", get(health))
        .route("/predict", post(predict));
    if matches!(mind, Mind::Text(_)) {
        router = router.route("/stream", post(stream));
    }
    router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Arc::new(Server {
            model,
            mind,
            delay,
            streams_open: Arc::default(),
        }))
}

async fn health(State(server): State<Arc<Server>>) -> Response {
    let open = server.streams_open.load(Ordering::Relaxed);
    let body = json!({"status": "ok", "model": server.model.model(), "streams_open": open});
    answer(StatusCode::OK, &body)
}

async fn predict(
    State(server): State<Arc<Server>>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    server.think().await;
    let model = server.model.model();
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return refusal(rejection.status(), &rejection.body_text()),
    };
    let predicted = match &server.mind {
        Mind::Iris(iris) => iris.predict(model, &body).map_err(|e| e.to_string()),
        Mind::Text(text) => TextRequest::parse(&body)
            .map(|request| {
                let tokens: Vec<String> = text.continue_text(&request).collect();
                json!({"model": model, "text": tokens.concat(), "tokens": tokens.len()})
            })
            .map_err(|e| e.to_string()),
    };
    match predicted {
        Ok(value) => answer(StatusCode::OK, &value),
        Err(told) => refusal(StatusCode::BAD_REQUEST, &told),
    }
}

async fn stream(
    State(server): State<Arc<Server>>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let Mind::Text(text) = &server.mind else {
        return not_found().await;
    };
    server.think().await;
    let request = match body {
        Ok(body) => TextRequest::parse(&body),
        Err(rejection) => return refusal(rejection.status(), &rejection.body_text()),
    };
    match request {
        Ok(request) => {
            let events = Events::new(
                text.continue_text(&request),
                Arc::clone(&server.streams_open),
            );
            respond(StatusCode::OK, "text/event-stream", Body::new(events))
        }
        Err(error) => refusal(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

impl Server {
    async fn think(&self) {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
    }
}

async fn not_found() -> Response {
    refusal(StatusCode::NOT_FOUND, "no such path")
}

async fn method_not_allowed() -> Response {
    refusal(
        StatusCode::METHOD_NOT_ALLOWED,
        "POST /predict and /stream, GET /health",
    )
}

fn refusal(status: StatusCode, told: &str) -> Response {
    answer(status, &json!({"error": told}))
}

fn answer(status: StatusCode, body: &Value) -> Response {
    respond(status, "application/json", Body::from(body.to_string()))
}

fn respond(status: StatusCode, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::Instant};

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    use super::*;

    /// Runs `test` against a model served on a real socket.
    async fn with_model(model: SampleModel, test: impl AsyncFnOnce(SocketAddr)) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let at = listener.local_addr().expect("an address");
        tokio::select! {
            served = serve(model, Duration::ZERO, listener, std::future::pending()) => panic!("{served:?}"),
            () = test(at) => {}
        }
    }

    async fn send(at: SocketAddr, request: &str, body: &str) -> TcpStream {
        let mut socket = TcpStream::connect(at).await.expect("connected");
        let length = body.len();
        // HTTP/1.0, so that the answer's body is unframed and ends with the connection.
        let head = format!("{request} HTTP/1.0\r\ncontent-length: {length}\r\n\r\n");
        socket.write_all(head.as_bytes()).await.expect("sent");
        // A server that refuses the body by its length alone may close before it is written.
        let _ = socket.write_all(body.as_bytes()).await;
        socket
    }

    /// Status, head and body of an answer.
    async fn ask(at: SocketAddr, request: &str, body: &str) -> (u16, String, String) {
        let mut answer = String::new();
        let mut socket = send(at, request, body).await;
        socket.read_to_string(&mut answer).await.expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head[9..12].parse().expect("a status");
        (status, head.to_owned(), body.to_owned())
    }

    async fn ask_json(at: SocketAddr, request: &str, body: &str) -> (u16, Value) {
        let (status, head, body) = ask(at, request, body).await;
        assert!(head.contains("content-type: application/json"), "{head}");
        (status, serde_json::from_str(&body).expect("JSON"))
    }

    #[tokio::test]
    async fn iris_answers_and_refuses_in_json() {
        with_model(SampleModel::Iris, async |at| {
            let flower = r#"{"inputs": [[6.3, 2.5, 4.9, 1.5]]}"#;
            let (status, body) = ask_json(at, "POST /predict", flower).await;
            assert_eq!(status, 200);
            assert_eq!(body["model"], "iris-logreg:1.2");
            assert_eq!(body["outputs"][0]["label"], "versicolor");
            for (request, body, expected) in [
                ("POST /predict", "{}", 400),
                ("GET /predict", "", 405),
                ("POST /stream", "{}", 404),
                ("POST /predict/x", flower, 404),
                ("GET /", "", 404),
            ] {
                let (status, told) = ask_json(at, request, body).await;
                assert_eq!(status, expected, "{request}");
                assert!(told["error"].is_string(), "{request}: {told}");
            }
            let (status, body) = ask_json(at, "GET /health", "").await;
            assert_eq!((status, &body["status"]), (200, &json!("ok")));
        })
        .await;
    }

    #[tokio::test]
    async fn the_challenger_calls_the_demos_second_flower_otherwise() {
        with_model(SampleModel::IrisChallenger, async |at| {
            let flowers = r#"{"inputs": [[5.1, 3.5, 1.4, 0.2], [6.3, 2.5, 4.9, 1.5]]}"#;
            let (_, body) = ask_json(at, "POST /predict", flowers).await;
            assert_eq!(body["outputs"][0]["label"], "setosa");
            assert_eq!(body["outputs"][1]["label"], "virginica");
        })
        .await;
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_413_and_one_at_the_limit_is_read() {
        with_model(SampleModel::Text, async |at| {
            let (open, close) = (r#"{"max_tokens": 1, "prompt": ""#, r#""}"#);
            let filler = BODY_BYTES_MAX - open.len() - close.len();
            for (filler, expected) in [(filler, 200), (filler + 1, 413)] {
                let body = format!("{open}{}{close}", "a".repeat(filler));
                let (status, _) = ask_json(at, "POST /predict", &body).await;
                assert_eq!(status, expected);
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_stream_is_the_predicted_text_in_events_at_its_pace() {
        with_model(SampleModel::Text, async |at| {
            let request = r#"{"prompt": "The river", "max_tokens": 12, "seed": 5}"#;
            let (_, whole) = ask_json(at, "POST /predict", request).await;
            let started = Instant::now();
            let (status, head, body) = ask(at, "POST /stream", request).await;
            assert!(started.elapsed() >= super::super::events::PACE * 11);
            assert_eq!(status, 200);
            assert!(head.contains("content-type: text/event-stream"), "{head}");

            let mut events: Vec<_> = body.split_terminator("\n\n").collect();
            assert_eq!(events.pop(), Some("data: [DONE]"));
            let mut text = String::new();
            for (index, event) in events.iter().enumerate() {
                let data = event.strip_prefix("data: ").expect("a data line");
                let data: Value = serde_json::from_str(data).expect("JSON");
                assert_eq!(data["index"], index);
                text.push_str(data["token"].as_str().expect("a token"));
            }
            assert_eq!(events.len(), 12);
            assert_eq!(whole["tokens"], 12);
            assert_eq!(whole["text"], text);
        })
        .await;
    }

    #[tokio::test]
    async fn a_stream_ends_when_its_client_is_gone() {
        with_model(SampleModel::Text, async |at| {
            // 1,024 tokens last 20 s: only the disconnect can end it within the two seconds below.
            let request = r#"{"prompt": "", "max_tokens": 1024}"#;
            let mut socket = send(at, "POST /stream", request).await;
            let mut seen = Vec::new();
            while !String::from_utf8_lossy(&seen).contains("\"index\":1") {
                assert_ne!(socket.read_buf(&mut seen).await.expect("read"), 0);
            }
            let (_, open) = ask_json(at, "GET /health", "").await;
            assert_eq!(open["streams_open"], 1);
            drop(socket);
            let gone =
                async { while ask_json(at, "GET /health", "").await.1["streams_open"] != 0 {} };
            let two_seconds = Duration::from_secs(2);
            tokio::time::timeout(two_seconds, gone)
                .await
                .expect("ended");
        })
        .await;
    }

    #[tokio::test]
    async fn shutdown_lets_a_stream_end_and_takes_no_new_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let at = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel::<()>();
        let served = serve(SampleModel::Text, Duration::ZERO, listener, async {
            let _ = stopped.await;
        });
        let client = async {
            let request = r#"{"prompt": "", "max_tokens": 8}"#;
            let mut socket = send(at, "POST /stream", request).await;
            let mut seen = vec![0];
            socket.read_exact(&mut seen).await.expect("a first byte");
            stop.send(()).expect("still serving");
            socket.read_to_end(&mut seen).await.expect("the rest");
            String::from_utf8(seen).expect("text")
        };
        let (served, seen) = tokio::join!(served, client);
        served.expect("a clean end");
        assert!(seen.ends_with("data: [DONE]\n\n"), "{seen}");
        assert!(TcpStream::connect(at).await.is_err());
    }
}
