//! Deliveries against receivers that behave and that do not, over real sockets and the real store.

mod deliveries;
mod kills;
mod mail;

use std::sync::Arc;

use serde_json::Value;
use tokio::task::JoinHandle;

use super::{delivery::DUE, *};
use crate::{
    base::{
        async_id::{AsyncId, Position},
        clock,
        id::VersionNumber,
        name::Name,
        task,
    },
    hook::{
        DeliveryState, Signer, sign,
        testing::{
            in_time, receiver,
            receiver::{Received, Receiver},
            store::{Faulty, WELL},
        },
    },
    net::guard::AddressGuard,
    spec::{EventName, Target},
    store::{If, Memory, Order, Records, Sqlite, SqliteOptions, Write},
};

/// A store with subscriptions, and a notifier over it that runs when it is told to.
struct Bench {
    _directory: tempfile::TempDir,
    inner: Arc<dyn Records>,
    store: Arc<Faulty>,
    signer: Arc<Signer>,
}

/// A notifier that runs; dropped, it is killed.
struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Which store is under it.
#[derive(Debug, Clone, Copy)]
enum Under {
    Sqlite,
    /// Where who reads waits for who read before.
    OneReader,
    Memory,
}

fn options() -> NotifyOptions {
    NotifyOptions {
        timeout_ms: 5_000,
        concurrency: 16,
        per_host: 4,
        pauses_ms: vec![1; 9],
        ca_file: None,
        base: "http://weir.example:1".to_owned(),
        deliveries_kept: 200,
    }
}

/// Loopback is where the tests' receivers are.
fn lenient() -> AddressGuard {
    let loopback = ["127.0.0.0/8", "::1/128"].map(|text| text.parse().expect("a network"));
    AddressGuard::for_webhooks(loopback.into(), vec![], vec![])
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn subscription(id: &str, target: Target) -> Subscription {
    Subscription {
        id: id.to_owned(),
        project: name("demo"),
        name: String::new(),
        events: Vec::new(),
        deployments: Vec::new(),
        target,
        paused: false,
        generation: 3,
        created_at_ms: 1,
        created_by: "ann".to_owned(),
    }
}

fn hook(id: &str, url: &str) -> Subscription {
    let url = url.to_owned();
    subscription(id, Target::Webhook { url })
}

fn message(event: EventName) -> Message {
    let mut message = Message::new(event, &name("demo"), "ann", clock::unix_ms());
    message.deployment = Some(name("iris"));
    message.version = Some(VersionNumber(3));
    message.version_name = Some("iris_v3".to_owned());
    message
}

fn id(number: u64) -> AsyncId {
    AsyncId::of(Position::at(number), [number as u8; 16])
}

impl Bench {
    fn new(under: Under) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let open = |options| {
            let store = Sqlite::open(directory.path(), options);
            Arc::new(store.expect("a store"))
        };
        let inner: Arc<dyn Records> = match under {
            Under::Memory => Arc::new(Memory::new()),
            Under::Sqlite => open(SqliteOptions::default()),
            Under::OneReader => open(SqliteOptions {
                readers: 1,
                ..SqliteOptions::default()
            }),
        };
        Self {
            store: Faulty::over(Arc::clone(&inner)),
            signer: Arc::new(Signer::open(directory.path()).expect("a key")),
            _directory: directory,
            inner,
        }
    }

    fn run_with(
        &self,
        options: NotifyOptions,
        guard: AddressGuard,
        mailer: Option<Mailer>,
    ) -> Running {
        self.store.set(WELL);
        let notifier = Notifier::new(
            Arc::clone(&self.store) as Arc<dyn Records>,
            Arc::new(guard),
            Arc::clone(&self.signer),
            mailer,
            options,
        );
        let notifier = notifier.expect("certificates");
        Running(task::spawn("notifier", async move { notifier.run().await }))
    }

    fn run(&self) -> Running {
        self.run_with(options(), lenient(), None)
    }

    async fn put(&self, subscription: &Subscription) {
        let write = Write::Put {
            key: subscription.place(),
            value: serde_json::to_vec(subscription).expect("JSON").into(),
            condition: If::Any,
        };
        self.inner.commit(vec![write]).await.expect("committed");
    }

    /// Has a subscription tell of something.
    async fn tell(&self, subscription: &Subscription, number: u64) -> AsyncId {
        let id = id(number);
        let writes = deliver(subscription, id, &message(EventName::VersionReady));
        self.inner.commit(writes).await.expect("committed");
        id
    }

    async fn deliveries(&self, of: &str) -> Vec<Delivery> {
        let all = deliveries(&*self.inner, of, None, 1_000).await;
        all.expect("a list")
    }

    /// How a delivery stands, once it is as `is` says.
    async fn until(&self, of: &str, id: AsyncId, is: impl Fn(&Delivery) -> bool) -> Delivery {
        let mut watch = self.inner.watch("notify/of/");
        let reached = async {
            loop {
                let all = self.deliveries(of).await;
                let found = all.into_iter().find(|delivery| delivery.id == id);
                if let Some(found) = found.filter(|found| is(found)) {
                    return found;
                }
                watch.next().await.expect("a store");
            }
        };
        in_time("the delivery", reached).await
    }

    async fn until_done(&self, of: &str, id: AsyncId) -> Delivery {
        self.until(of, id, |delivery| delivery.state != DeliveryState::Pending)
            .await
    }

    /// Turns that are to come.
    async fn turns(&self) -> usize {
        let due = self.inner.list(DUE, None, 1_000, Order::Up).await;
        due.expect("a list").len()
    }

    /// Asserts that a message is signed by the subscription's secret, and answers what it says.
    fn verified(&self, received: &Received, of: &Subscription) -> Value {
        let signed_as = format!("subscription:{}", of.id);
        let secret = self.signer.secret(&signed_as, 0, of.generation);
        let stamp = received.header("webhook-timestamp");
        let at_s = stamp.parse().expect("seconds");
        let expected = sign(&secret, received.header("webhook-id"), at_s, &received.body);
        assert_eq!(received.header("webhook-signature"), expected);
        serde_json::from_slice(&received.body).expect("JSON")
    }
}

#[test]
fn a_subscription_wants_what_it_names() {
    let all = hook("s1", "http://a/");
    let of = |event, deployment: Option<&str>| {
        let mut message = Message::new(event, &name("demo"), "ann", 1);
        message.deployment = deployment.map(name);
        message
    };
    let ready = of(EventName::VersionReady, Some("iris"));
    let other = of(EventName::VersionReady, Some("flan"));
    let down = of(EventName::PoolDown, Some("iris"));
    let whole = of(EventName::KeyRevoked, None);
    let mut elsewhere = ready.clone();
    elsewhere.project = name("demo2");
    let some = Subscription {
        events: vec![EventName::VersionReady, EventName::KeyRevoked],
        deployments: vec![name("iris")],
        ..all.clone()
    };
    let paused = Subscription {
        paused: true,
        ..all.clone()
    };
    for (what, message, by_all, by_some) in [
        ("ready", &ready, true, true),
        ("another deployment", &other, true, false),
        ("another event", &down, true, false),
        ("the whole project", &whole, true, false),
        ("another project", &elsewhere, false, false),
    ] {
        assert_eq!(all.wants(message), by_all, "{what}");
        assert_eq!(some.wants(message), by_some, "{what}");
        assert!(!paused.wants(message), "{what}");
    }
}
