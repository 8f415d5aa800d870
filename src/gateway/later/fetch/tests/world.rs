//! Over a connection, with a real store behind the queue, and attempts that the test itself makes.

use std::net::SocketAddr;

use bytes::Bytes;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, LocalOptions},
    sync::watch,
};

use super::super::*;
use crate::{
    base::{
        id::{Epoch, KeyId, VersionNumber},
        name::DeploymentName,
        task,
    },
    gateway::{GatewayOptions, Levelling, Shared, connection::drive, local::Local},
    net::{socket::ClientLimits, way::Way},
    queue::{
        Answered, Attempted, QueueOptions, Recorder, Spill, Submission, Submitted, Work, Works,
    },
    shadow::door::{self as pairs, DoorOptions},
    snapshot::{BuildOptions, Current, Declared, Numbered, Principal, QueueRules, build},
    spec::{Access, Declarations, KeySpec, Scope},
    store::{Content, Sqlite, SqliteOptions},
    telemetry::{meters::FaultMeters, outcome::door},
    upstream::connections::ConnectionOptions,
};

pub(super) const KEY: &str = "wk_own_0123456789abcdefghijklmnopqrstuv";
pub(super) const OTHER: &str = "wk_other_0123456789abcdefghijklmnopqrstuv";

const PAIRS: DoorOptions = DoorOptions {
    pairs_max: 16,
    bytes_max: 1 << 20,
};

pub(super) struct World {
    pub(super) addr: SocketAddr,
    pub(super) local: Rc<Local>,
    pub(super) queue: Arc<Queue>,
    pub(super) works: Works,
    pub(super) directory: TempDir,
}

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Whether it ended as its head said.
    pub(super) is_whole: bool,
}

/// A connection whose answer is read as it comes.
pub(super) struct Live {
    pub(super) stream: TcpStream,
    pub(super) got: Vec<u8>,
}

pub(super) fn in_a_world<F: AsyncFnOnce(&World)>(test: F) {
    let mut builder = Builder::new_current_thread();
    builder.enable_all();
    let runtime = builder.build_local(LocalOptions::default()).unwrap();
    runtime.block_on(async {
        let world = World::new().await;
        test(&world).await;
        world.directory.close().unwrap();
    });
}

pub(super) fn digest(key: &str) -> KeyDigest {
    KeyDigest::of_key(key.as_bytes()).expect("a key")
}

pub(super) fn name() -> DeploymentName {
    DeploymentName::parse("demo/iris").unwrap()
}

/// demo/iris is live; both keys open it.
pub(super) fn current() -> Arc<Current> {
    let text = "[[deployment]]\nproject = \"demo\"\nname = \"iris\"\n\
                version = { main = { backends = [{ url = \"http://127.0.0.1:9\" }] } }";
    let parsed = Declarations::from_toml(text).unwrap();
    let declared = Declared {
        name: name(),
        access: Access::Keys,
        shared: Vec::new(),
        limits: crate::spec::LimitsSpec::default(),
        overload: None,
        live: Ok(Numbered {
            number: VersionNumber(1),
            spec: Arc::new(parsed.deployments[0].version.clone()),
            is_challenger_stopped: false,
        }),
        kept: Vec::new(),
        queue: QueueRules::default(),
        fresh: false,
    };
    let current = Arc::new(Current::empty());
    let before = current.load_full();
    let change = [(name(), Some(declared))];
    let options = BuildOptions::default();
    current.publish(Arc::new(build(change, &before, Epoch(1), &options)));
    let keys = [("own", KEY), ("other", OTHER)].map(|(id, key)| {
        let spec = KeySpec {
            id: KeyId::new(id),
            digest: digest(key),
            scope: Scope::parse("demo").unwrap(),
            description: String::new(),
            may_pin: false,
            limits: crate::spec::LimitsSpec::default(),
            priority: crate::spec::Priority::default(),
            expires_at_ms: None,
        };
        (spec.digest, Some(Arc::new(Principal::new(&spec))))
    });
    current.keys().apply(keys);
    current
}

pub(super) fn options() -> GatewayOptions {
    GatewayOptions {
        connections_max: 100,
        head_bytes_max: 16_384,
        request_body_bytes_max: 1 << 20,
        streams_max: 10,
        client: ClientLimits {
            head_ms: 60_000,
            idle_ms: 60_000,
            write_stall_ms: 60_000,
        },
        body_timeout_ms: 60_000,
        linger_ms: 1_000,
        grace_ms: 1_000,
        body_rate: Default::default(),
        connections_per_address_max: 0,
        beyond_max: 0,
        connections: ConnectionOptions {
            idle_max: 1,
            idle_ms: 1_000,
            warm_min: 0,
            open_max: 1,
            head_bytes_max: 16_384,
            way: Way::default(),
        },
        retries_max: 0,
        retry_body_bytes_max: 0,
        tls: None,
        public_url: "https://models.example/".to_owned(),
    }
}

impl World {
    pub(super) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Sqlite::open(directory.path(), SqliteOptions::default());
        let spill = Spill::open(&directory.path().join("spill")).unwrap();
        let current = current();
        let limits = QueueOptions {
            concurrency: 1,
            concurrency_floor: 1,
            ..QueueOptions::default()
        };
        let store = Arc::new(store.unwrap());
        let (queue, pump) = Queue::open(store, Arc::clone(&current), spill, Arc::default(), limits)
            .await
            .unwrap();
        let works = pump.start();
        let local = Local::of(&Shared {
            current,
            options: options(),
            levelling: Arc::new(Levelling::new(1, 1, 0).0),
            faults: Arc::new(FaultMeters::new()),
            door: door().0,
            pairs: pairs::door(PAIRS).0,
            drain: watch::channel(false).1,
            queue: Some(Arc::clone(&queue)),
            addresses: None,
            figures: Arc::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let serving = Rc::clone(&local);
        task::spawn_local("accept", async move {
            while let Ok((stream, _)) = listener.accept().await {
                task::spawn_local("client", drive(Rc::clone(&serving), stream, false));
            }
        });
        Self {
            addr,
            local,
            queue,
            works,
            directory,
        }
    }

    pub(super) async fn submit(&self, operation: &str) -> AsyncId {
        let accepted = json!({
            "request_id": "theirs", "key": "own", "operation": operation, "method": "POST",
            "headers": [], "body_bytes": 2, "version": 1,
        });
        let submission = Submission {
            id: self.queue.draw().unwrap(),
            deployment: name(),
            life: QueueRules::default().life,
            owner: digest(KEY),
            accepted: serde_json::from_value(accepted).unwrap(),
            body: Content::Inline(Bytes::from_static(b"{}")),
            deadline_ms: None,
            once: None,
        };
        match self.queue.submit(submission).await.unwrap() {
            Submitted::New(request) => request.id(),
            Submitted::Known(request) => panic!("known: {request:?}"),
        }
    }

    pub(super) async fn work(&self, id: AsyncId) -> Work {
        let work = self.works.next().await.expect("work");
        assert_eq!(work.id(), id);
        work
    }

    pub(super) fn recorder(&self, work: &Work, status: u16, headers: &HeaderMap) -> Recorder {
        Recorder::new(
            self.queue.spill().clone(),
            work.id(),
            work.attempt(),
            StatusCode::from_u16(status).unwrap(),
            headers.clone(),
            1 << 30,
        )
    }

    pub(super) async fn conclude(
        &self,
        work: &Work,
        mut recorder: Recorder,
        status: u16,
        headers: HeaderMap,
    ) {
        let content = recorder.finish().await.unwrap();
        let answered = Attempted::Answered(Box::new(Answered {
            recorder,
            status,
            headers,
            content,
            version: VersionNumber(2),
        }));
        self.queue.conclude(work, answered).await;
    }

    /// Has the model answer a request.
    pub(super) async fn answered(&self, operation: &str, status: u16, body: &[u8]) -> AsyncId {
        let id = self.submit(operation).await;
        let work = self.work(id).await;
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-model", "one"),
            ("x-model", "two"),
            ("etag", "\"model\""),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let mut recorder = self.recorder(&work, status, &headers);
        recorder.append(Bytes::copy_from_slice(body)).await.unwrap();
        self.conclude(&work, recorder, status, headers).await;
        id
    }

    pub(super) async fn open(&self, line: &str, headers: &str) -> Live {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        let head = format!(
            "{line} HTTP/1.1\r\nhost: weir\r\nconnection: close\r\nx-request-id: same\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let got = Vec::new();
        Live { stream, got }
    }

    pub(super) async fn ask_as(&self, key: &str, line: &str, headers: &str) -> Reply {
        let headers = format!("x-api-key: {key}\r\n{headers}");
        self.open(line, &headers).await.end().await
    }

    pub(super) async fn ask(&self, line: &str, headers: &str) -> Reply {
        self.ask_as(KEY, line, headers).await
    }
}

impl Live {
    pub(super) async fn read(&mut self) -> usize {
        let read = self.stream.read_buf(&mut self.got);
        let read = tokio::time::timeout(Duration::from_secs(30), read).await;
        read.expect("something within 30 s").unwrap_or(0)
    }

    /// Reads until this has come.
    pub(super) async fn until(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.got).contains(text) {
            assert!(
                self.read().await > 0,
                "{:?}",
                String::from_utf8_lossy(&self.got)
            );
        }
    }

    pub(super) async fn end(mut self) -> Reply {
        while self.read().await > 0 {}
        Reply::parse(&self.got)
    }
}

impl Reply {
    pub(super) fn parse(got: &[u8]) -> Self {
        let text = String::from_utf8_lossy(got);
        let end = got.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("{text}"));
        let head = String::from_utf8_lossy(&got[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let headers = lines.filter_map(|line| line.split_once(": "));
        let mut reply = Self {
            status: status.and_then(|status| status.parse().ok()).unwrap(),
            headers: headers.map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            body: got[end + 4..].to_vec(),
            is_whole: true,
        };
        if reply.get("transfer-encoding").is_some() {
            let framed = std::mem::take(&mut reply.body);
            (reply.body, reply.is_whole) = unchunk(&framed);
        } else if let Some(length) = reply.get("content-length") {
            reply.is_whole = length == reply.body.len().to_string();
        }
        reply
    }

    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        let own = self.headers.iter().filter(|(n, _)| n == name);
        own.map(|(_, value)| value.as_str()).collect()
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub(super) fn code(&self) -> String {
        assert_eq!(self.get("content-type"), Some("application/problem+json"));
        self.json()["code"].as_str().unwrap().to_owned()
    }

    /// All that a caller can see but the moment.
    pub(super) fn but_the_date(&self) -> (u16, Vec<&(String, String)>, &[u8]) {
        let headers = self.headers.iter().filter(|(name, _)| name != "date");
        (self.status, headers.collect(), &self.body)
    }
}

pub(super) fn unchunk(mut framed: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = framed.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&framed[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (body, true);
        }
        let Some(piece) = framed.get(end + 2..end + 2 + size) else {
            break;
        };
        body.extend_from_slice(piece);
        framed = framed.get(end + 4 + size..).unwrap_or_default();
    }
    (body, false)
}
