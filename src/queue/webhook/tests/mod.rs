//! Webhooks against receivers that behave and that do not, over real sockets and the real store.

mod deliveries;
mod kills;
mod receivers;
mod secure;

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::{
    note::{DUE, END},
    *,
};
use crate::{
    base::{
        async_id::{AsyncId, Position},
        clock,
        id::KeyId,
        secret::KeyDigest,
        task,
    },
    hook::{
        Signer, sign,
        testing::{
            in_time, receiver,
            receiver::Received,
            store,
            store::{Faulty, WELL},
        },
    },
    net::guard::AddressGuard,
    queue::{Accepted, Ended},
    store::{
        Content, End, Holder, JobStatus, Jobs, Lane, NewJob, Order, Records, Sqlite, SqliteOptions,
        Write,
    },
    wire::target::Operation,
};

/// Which of the secrets is in use in these tests.
const GENERATION: u32 = 3;
const FOREVER_MS: u64 = u64::MAX >> 2;

/// A store with requests, and webhooks over it that run when they are told to.
struct Bench {
    directory: tempfile::TempDir,
    sqlite: Arc<Sqlite>,
    store: Arc<Faulty>,
    signer: Arc<Signer>,
}

/// Webhooks that run; dropped, they are killed.
struct Running {
    webhooks: Arc<Webhooks>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Loopback is where the tests' receivers are.
fn lenient() -> AddressGuard {
    let loopback = ["127.0.0.0/8", "::1/128"].map(|text| text.parse().expect("a network"));
    AddressGuard::for_webhooks(loopback.into(), vec![], vec![])
}

fn quick() -> WebhookOptions {
    WebhookOptions {
        timeout_ms: 5_000,
        pauses_ms: vec![1; 9],
        ..WebhookOptions::default()
    }
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Sqlite::open(directory.path(), SqliteOptions::default());
        let sqlite = Arc::new(store.expect("a store"));
        Self {
            store: Faulty::over(Arc::clone(&sqlite) as Arc<dyn Records>),
            signer: Arc::new(Signer::open(directory.path()).expect("a key")),
            directory,
            sqlite,
        }
    }

    fn run_with(&self, options: WebhookOptions, guard: AddressGuard) -> Running {
        self.store.set(WELL);
        let webhooks = Webhooks::new(
            Arc::clone(&self.store) as Arc<dyn Records>,
            Arc::clone(&self.sqlite) as Arc<dyn Jobs>,
            Arc::new(guard),
            Arc::clone(&self.signer),
            |deployment, life| (deployment == "demo/iris" && life == 2).then_some(GENERATION),
            options,
        );
        let webhooks = Arc::new(webhooks.expect("certificates"));
        let runs = Arc::clone(&webhooks);
        let task = task::spawn("webhooks", async move { runs.run().await });
        Running { webhooks, task }
    }

    fn run(&self) -> Running {
        self.run_with(quick(), lenient())
    }

    /// A request that is accepted, run and completed, with its webhook's note in the same commit.
    async fn complete(&self, number: u64, url: &str) -> AsyncId {
        let id = AsyncId::of(Position::at(number), [number as u8; 16]);
        let accepted = accepted();
        let lane = Lane {
            deployment: "demo/iris".to_owned(),
            life: 2,
            owner: KeyDigest::of_key(b"0123456789abcdef").expect("a key"),
        };
        let job = NewJob {
            id,
            lane: lane.clone(),
            deadline_at_ms: FOREVER_MS,
            weight: 1,
            doc: serde_json::to_vec(&accepted).expect("JSON").into(),
            body: Content::Inline(Bytes::from_static(b"{}")),
            once: None,
        };
        let added = self.sqlite.enqueue(vec![job], 1).await.expect("enqueued");
        assert_eq!(added.len(), 1);
        let leased = self.sqlite.lease(vec![id.position()], FOREVER_MS).await;
        let leased = leased.expect("leased").pop().flatten().expect("queued");
        let ended = ended();
        let end = End {
            status: JobStatus::Completed,
            doc: serde_json::to_vec(&ended).expect("JSON").into(),
            answer: Some((
                Bytes::from_static(b"{}"),
                Content::Inline(Bytes::from_static(b"the model's answer")),
            )),
            dead: false,
            forget_at_ms: FOREVER_MS,
            writes: written(id, &lane, url, FOREVER_MS, clock::unix_ms()),
        };
        let holder = Holder::Attempt(leased.attempt);
        self.sqlite.finish(id, holder, end).await.expect("finished");
        id
    }

    /// The note of a request that nothing else is known of any more.
    async fn note(&self, number: u64, url: &str, forget_at_ms: u64) -> AsyncId {
        let (id, writes) = noted(number, url, forget_at_ms, clock::unix_ms());
        self.sqlite.commit(writes).await.expect("committed");
        id
    }

    /// How the delivery stands, once it is as `is` says.
    async fn until(&self, id: AsyncId, is: impl Fn(&Delivery) -> bool) -> Delivery {
        let mut watch = self.sqlite.watch("webhook/of/");
        let reached = async {
            loop {
                let found = delivery(&*self.sqlite, id).await.expect("a store");
                if let Some(found) = found.filter(|found| is(found)) {
                    return found;
                }
                watch.next().await.expect("a store");
            }
        };
        in_time("the delivery", reached).await
    }

    async fn until_done(&self, id: AsyncId) -> Delivery {
        self.until(id, |delivery| delivery.state != DeliveryState::Pending)
            .await
    }

    /// Turns that are to come, and logs that are to be forgotten.
    async fn turns(&self) -> (usize, usize) {
        let due = self.sqlite.list(DUE, None, 1_000, Order::Up).await;
        let end = self.sqlite.list(END, None, 1_000, Order::Up).await;
        (due.expect("a list").len(), end.expect("a list").len())
    }

    /// Asserts that a delivery is signed by the deployment's secret, and answers what it says.
    fn verified(&self, received: &Received, life: u32, generation: u32) -> serde_json::Value {
        let deployment = match life {
            2 => "demo/iris",
            _ => "demo/gone",
        };
        let secret = self.signer.secret(deployment, life, generation);
        let at_s = received
            .header("webhook-timestamp")
            .parse()
            .expect("seconds");
        assert!(clock::unix_ms() / 1_000 - at_s <= 60, "it is now");
        let expected = sign(&secret, received.header("webhook-id"), at_s, &received.body);
        assert_eq!(received.header("webhook-signature"), expected);
        serde_json::from_slice(&received.body).expect("JSON")
    }
}

fn accepted() -> Accepted {
    Accepted {
        request_id: "req-1".to_owned(),
        key: KeyId::new("k1"),
        version: None,
        pinned: None,
        operation: Operation::Predict,
        method: "POST".to_owned(),
        tail: String::new(),
        query: None,
        headers: Vec::new(),
        body_bytes: 2,
        attempt_ms: None,
        webhook: None,
        retry_of: None,
    }
}

fn ended() -> Ended {
    Ended {
        ended_at_ms: 1_700_000_000_123,
        result_status: Some(200),
        ..Ended::default()
    }
}

/// What [`Bench::note`] commits, with its first turn at this time.
fn noted(number: u64, url: &str, forget_at_ms: u64, at_ms: u64) -> (AsyncId, Vec<Write>) {
    let id = AsyncId::of(Position::at(number), [number as u8; 16]);
    let lane = Lane {
        deployment: "demo/gone".to_owned(),
        life: 1,
        owner: KeyDigest::of_key(b"0123456789abcdef").expect("a key"),
    };
    (id, written(id, &lane, url, forget_at_ms, at_ms))
}

fn written(id: AsyncId, lane: &Lane, url: &str, forget_at_ms: u64, at_ms: u64) -> Vec<Write> {
    let notice = Notice {
        id,
        lane,
        status: JobStatus::Completed,
        attempt: 1,
        accepted: &accepted(),
        ended: &ended(),
        generation: 1,
        forget_at_ms,
    };
    note(&notice, url, at_ms)
}
